"""Unnatural Instructions: reading the fields, each filter, fixed sets of three, outputs and rewordings."""

from __future__ import annotations

from pathlib import Path

import pytest

from adhere.core.model import Ask, Reply
from adhere.core.record import Record, user
from adhere.core.step import Dropped, divided
from adhere.evals.lab import Lab
from adhere.methods.contract import check_method, check_proof, sample_records
from adhere.methods.synth import unnatural_instructions
from adhere.methods.synth.unnatural_instructions import (
    MORE,
    Example,
    Settings,
    demonstrations,
    fields,
    judged,
    original,
    prompt,
    read,
    reworded,
    synth,
)
from adhere.models.scripted import ScriptedModel

FOURTH = "\nInstruction: Sort the words.\nInput: tea, ant, bee\nConstraints: One line."


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    check_method(unnatural_instructions)
    check_proof(unnatural_instructions, Lab(ScriptedModel(), tmp_path, smoke=True))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (FOURTH, Example("Sort the words.", "tea, ant, bee", "One line.")),
        (FOURTH + "\n\nExample 5\nInstruction: x", Example("Sort the words.", "tea, ant, bee", "One line.")),
        ("**Instruction:** a\n**Input:** b\nc\n**Constraints:** None.", Example("a", "b\nc", "None.")),
        ("Instruction: a\nConstraints: b", None),
        ("Instruction: a\nInput:\nConstraints: b", None),
        ("", None),
    ],
)
def test_an_example_has_all_its_fields(text: str, found: Example | None) -> None:
    assert read(text) == found


def test_filters_name_what_is_wrong() -> None:
    seen: set[tuple[str, str]] = set()
    shown = [Example("Count the  birds.", "two larks")]
    copy = Reply("Instruction: count the birds.\nInput: two larks\nConstraints: A number.")
    reasons = [
        judged(reply, shown, seen)[1].partition(":")[0]
        for reply in (Reply(FOURTH), Reply(FOURTH), copy, Reply("Hello"), Reply(FOURTH, "length"), Reply("", "error"))
    ]
    assert reasons == ["", "duplicate", "copy", "fields", "cut", "not answered"]


def test_constraints_and_instructions_that_are_none_or_copied_do_not_count_in_the_experiment() -> None:
    shown = [Example("Count the birds.", "two larks", "One line.")]
    said = [
        ("Sort the words.", "Be brief."),
        ("Sort.", " none"),
        ("Sort.", "one  line"),
        ("Count the BIRDS", "Be brief."),
    ]
    assert [original(Example(one, "x", rule), shown) for one, rule in said] == [True, False, False, False]


def test_sets_of_three_are_fixed_by_the_seed_and_shown_without_outputs() -> None:
    records = [Record((user(f"Do thing {n}.\n\nwith {n}"),), notes={"constraints": "Be brief."}) for n in range(17)]
    sets = demonstrations(records, Settings(), 1)
    assert [len(one) for one in sets] == [3] * 5
    assert sets == demonstrations(records, Settings(), 1) != demonstrations(records, Settings(), 2)
    assert fields(records[4]) == Example("Do thing 4.", "with 4", "Be brief.")
    said = prompt(sets[0])
    assert [one.role for one in said] == ["user", "assistant"] * 3 + ["user"]
    assert said[1].text.endswith("Constraints: Be brief.")


def test_rewordings_are_new_and_unlike_each_other() -> None:
    said = ["Sort the  WORDS.", "Please put these in order.", "please put these in order.", "", "Cut off here and"]
    replies = [Reply(text, "length" if text.startswith("Cut") else "stop") for text in said]
    assert reworded(Example("Sort the words.", "x"), replies) == ["Please put these in order."]


def script(ask: Ask) -> str:
    text = ask.messages[-1].text
    if text.endswith("In other words:"):
        return f" Could you put these words in order, way {ask.sample % 2}?"
    return FOURTH.replace("tea", f"tea{ask.sample}") if text == MORE else "ant, bee, and then tea"


def test_the_core_has_its_constraints_and_the_rewordings_have_not() -> None:
    kept, dropped = divided(synth(sample_records(), ScriptedModel(script), Settings(count=2), 0))
    assert not dropped
    assert [one.notes["reworded"] for one in kept] == [False, True, True, False, True, True]
    assert kept[0].instruction == "Sort the words.\n\ntea0, ant, bee\n\nThe output has to meet this: One line."
    assert kept[1].instruction == "Could you put these words in order, way 0?\n\ntea0, ant, bee"
    assert {one.reply for one in kept} == {"ant, bee, and then tea"}


def test_an_output_that_is_none_drops_the_example() -> None:
    model = ScriptedModel(lambda ask: FOURTH if ask.messages[-1].text == MORE else "")
    (gone,) = synth(sample_records(), model, Settings(count=1), 0)
    assert isinstance(gone, Dropped)
    assert gone.reason.startswith("guard: empty")
