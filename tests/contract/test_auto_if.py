"""AutoIF: the bank's wrong functions go, replies are kept by running the rest, and a judge's word is read strictly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from adhere.core.model import Ask, Reply
from adhere.core.record import Record, user
from adhere.core.step import Dropped, divided
from adhere.evals.lab import Lab
from adhere.methods.contract import check_method, check_proof
from adhere.methods.synth import auto_if
from adhere.methods.synth.auto_if import CHECKS, Bank, Settings, instructions, relevance, synth
from adhere.models.scripted import ScriptedModel, tiny_weights, untuned

QUERIES = [Record((user(f"Please tell me something about thing number {n}."),)) for n in range(3)]
SMALL = Settings(tuple(CHECKS), more=0, drafts=4, queries=2, samples=2, least_relevance=-1, describe=False)


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    check_method(auto_if)
    model = ScriptedModel(weights=tiny_weights(tmp_path / "weights"))
    check_proof(auto_if, Lab(model, tmp_path / "models", tuner=untuned, smoke=True))


GOOD = "it is small and round because it is old"
BAD = f"It is far, Sir. {' '.join(f'Mile {number} is far.' for number in range(12))}"  # a comma, too long, no because


def two(ask: Ask) -> str:
    return GOOD if ask.sample else BAD


def test_replies_are_kept_by_the_functions_and_lose_by_them() -> None:
    kept, dropped = divided(synth(QUERIES, Bank(ScriptedModel(two)), SMALL, 0))
    assert not dropped
    assert len(kept) == 6
    assert {one.reply for one in kept} == {GOOD}
    assert {one.rejected for one in kept} == {BAD}
    assert all("return True" not in source for one in kept for source in one.notes["functions"])
    assert kept[0].instruction == f"{kept[0].instruction.partition('. ')[0]}. Do not use any commas."


def test_instructions_without_functions_are_dropped_with_the_reason() -> None:
    settings = Settings(("Rhyme in every line.",), more=0, drafts=3, describe=False)
    (gone,) = synth(QUERIES, ScriptedModel(), settings, 0)
    assert isinstance(gone, Dropped)
    assert gone.reason.startswith("no verifier: ")


def test_prompts_without_a_passing_reply_say_why() -> None:
    found = list(synth(QUERIES, Bank(ScriptedModel(lambda ask: BAD)), SMALL, 0))
    assert {one.reason.partition(":")[0] for one in found if isinstance(one, Dropped)} == {"fails"}
    assert len(found) == 6


@pytest.mark.parametrize(
    ("said", "score"), [("Fine.\nSCORE: 9", 9), ("SCORE: 10", 10), ("SCORE: 11", None), ("9", None), ("", None)]
)
def test_relevance_is_a_closing_line_or_nothing(said: str, score: int | None) -> None:
    assert relevance(ScriptedModel(lambda ask: said), [("What is tea?", "A drink.")]) == [score]


def judging(score: str) -> Callable[[Ask], str]:
    return lambda ask: score if "SCORE" in ask.messages[-1].text else "it is all blue"


def test_a_judge_who_is_not_convinced_drops_the_reply() -> None:
    settings = Settings(tuple(CHECKS)[:1], more=0, drafts=4, queries=1, samples=1, describe=False)
    for said, kind in (("SCORE: 8", Dropped), ("SCORE: 9", Record)):
        (made,) = synth(QUERIES, Bank(ScriptedModel(judging(said))), settings, 0)
        assert isinstance(made, kind)


def test_more_instructions_are_read_from_the_list_without_doubles() -> None:
    said = " Use no digits at all.\n2. do not use any commas\n3. Hm\n4) Write five lines of text."
    assert instructions(ScriptedModel(lambda ask: said), Settings(("Do not use any commas.",)), 0) == [
        "Do not use any commas.", "Use no digits at all.", "Write five lines of text.",
    ]  # fmt: skip
    failed = ScriptedModel(lambda ask: Reply("", "error", error="busy"))
    assert instructions(failed, Settings(("A b c.",)), 0) == ["A b c."]


def test_queries_have_to_be_of_some_length() -> None:
    (gone,) = synth([Record((user("Tea?"),))], ScriptedModel(), SMALL, 0)
    assert isinstance(gone, Dropped)
    assert gone.reason.startswith("length")
