"""Self-Instruct: every filter by itself, the 6+2 exemplars, both ways of writing instances, and a growing pool."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from adhere.core.model import Ask, Reply
from adhere.core.record import Record, user
from adhere.core.step import Dropped, divided
from adhere.evals.lab import Lab
from adhere.methods.contract import check_method, check_proof, sample_records
from adhere.methods.synth import self_instruct
from adhere.methods.synth.self_instruct import (
    Pool,
    Settings,
    _leads_in,
    instances,
    items,
    judged,
    list_prompt,
    misshapen,
    synth,
)
from adhere.models.scripted import ScriptedModel

SEEDS = [Record((user(f"Explain the {word} to a child in two lines:"),)) for word in "abcdefghij"]


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    check_method(self_instruct)
    proof = check_proof(self_instruct, Lab(ScriptedModel(), tmp_path, smoke=True))
    assert proof.baseline.tokens > 0
    assert proof.unit == "blocks of requests"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"), ("One two three", "length"), ("word " * 151, "length"), ("Describe the Pictures below", "word"),
        ("Please go to the shop", "word"), ("Explain mapping to a child", ""), ("Write a program that adds", "program"),
        ("- list four green things", "punctuation"), ("Écris un poème sur Paris", "script"),
        ("Name four green things", ""), ("word " * 150, ""),
    ],
)  # fmt: skip
def test_the_filters_of_form(text: str, reason: str) -> None:
    assert misshapen(text.strip()).partition(":")[0] == reason


def test_other_scripts_pass_only_when_not_faithful() -> None:
    assert misshapen("Écris un poème sur Paris", faithful=False) == ""


def test_items_are_split_as_in_the_code_and_capitalised_as_there() -> None:
    text = " explain SQL  joins\n10. Name  a bird\n 11 . third one here"
    assert items(text, True) == ["Explain sql joins", "Name a bird", "Third one here"]
    assert items("9. " + text.strip(), False) == ["explain SQL joins", "Name a bird", "third one here"]


def test_six_exemplars_are_seeds_and_two_are_the_models_own() -> None:
    pool = Pool(SEEDS, Settings())
    first, parents = pool.shown(random.Random(0))
    assert (len(first), len(parents)) == (8, 8)
    for text in ("Sing a song about rain tonight", "List five heavy metals", "Compare two famous poets"):
        assert pool.refusal(text) == ""
    later, parents = pool.shown(random.Random(0))
    assert (len(later), len(parents), len(set(later) & set(pool.own))) == (8, 6, 2)
    assert list_prompt(later).endswith("\n9.")
    assert ":\n" not in list_prompt(later)


def test_novelty_compares_with_seeds_and_with_the_same_response() -> None:
    pool = Pool(SEEDS, Settings())
    said = "Explain the z to a child in two lines\n10. List five heavy metals\n11. List five heavy metals please"
    found = [one.refused.partition(":")[0] for one in judged(pool, Reply(said), 0, ())]
    assert found == ["not novel", "", "not novel"]


def test_a_cut_response_goes_whole_or_loses_its_last_item() -> None:
    cut = Reply("List five heavy metals\n10. Sing a song about the", "length")
    (gone,) = judged(Pool(SEEDS, Settings()), cut, 0, ())
    assert gone.refused.startswith("cut")
    (left,) = judged(Pool(SEEDS, Settings(faithful=False)), cut, 0, ())
    assert (left.text, left.refused) == ("List five heavy metals", "")


@pytest.mark.parametrize(
    ("text", "label", "found"),
    [
        ("\nInput: a\nOutput: b\nExample 2\nInput: c\nOutput: d", False, [("a", "b"), ("c", "d")]),
        ("\nOutput: only", False, [("", "only")]),
        ("Just an answer.", False, [("", "Just an answer.")]),
        ("\nInput: a\nOutput: a", False, []),
        ("\nInput: a\nOutput: these:", False, []),
        ("\nInput: a\nOutput: b\nExample 2\nInput: a\nOutput: c", False, []),
        ("\nInput: a\nOutput: b Input: x\nExample 2\nInput: a\nOutput: b", False, [("a", "b")]),
        (" good\nText: nice\nClass label: bad\nText: poor", True, [("Text: nice", "good"), ("Text: poor", "bad")]),
        (" good", True, []),
    ],
)
def test_instances_are_read_and_cleaned(text: str, label: bool, found: list[tuple[str, str]]) -> None:
    assert instances(Reply(text), label)[0] == found
    assert bool(instances(Reply(text), label)[1]) == (not found)


def test_the_last_instance_of_a_cut_response_is_left_out() -> None:
    cut = Reply("\nInput: a\nOutput: b\nExample 2\nInput: c\nOutput: d and", "length")
    assert instances(cut, False)[0] == [("a", "b")]


def script(ask: Ask) -> str:
    text = ask.messages[-1].text
    if "Classification?" in text:
        return "Yes" if "Task: Sort the" in text.rpartition("Task:")[1] + text.rpartition("Task:")[2] else "No"
    if text.endswith("Class label:"):
        return " heavy\nMetal: lead\nClass label: light\nMetal: tin"
    if text.endswith("Example 1"):
        return "\nInput: x\nOutput: y"
    return f"Sort the metal number {ask.sample} by weight now\n10. Praise colour {ask.sample} in a short poem"


def test_the_whole_pipeline_takes_the_branch_of_each_task() -> None:
    kept, dropped = divided(synth(sample_records(), ScriptedModel(script), Settings(count=2, requests=3, batch=1), 0))
    assert [(one.notes["classification"], one.reply) for one in kept if one.notes["request"] == 0] == [
        (one.notes["classification"], one.reply) for one in kept
    ]
    assert {one.reply for one in kept if one.notes["classification"]} == {"heavy", "light"}
    assert [one.reply for one in kept if not one.notes["classification"]] == ["y"]
    assert not dropped


def test_refused_instructions_come_back_with_their_reasons() -> None:
    found = list(synth(SEEDS, ScriptedModel(lambda ask: "Draw a cat\n10. Hm"), Settings(requests=1), 0))
    assert [one.reason.partition(":")[0] for one in found if isinstance(one, Dropped)] == ["length", "length"]


def test_an_item_that_announces_a_list_does_not_count_in_the_experiment() -> None:
    assert [_leads_in(text) for text in ("A list of tasks:", "**A list of tasks:**", "Write 3:1 in words")] == [
        True, True, False,
    ]  # fmt: skip
