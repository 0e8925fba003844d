"""BAGEL's round trip: label, execute, label again, stop where both agree."""

from __future__ import annotations

from pathlib import Path

import pytest

from adhere.core.model import Ask, Reply
from adhere.core.record import Record, user
from adhere.core.step import Dropped, divided
from adhere.evals.lab import Lab
from adhere.methods.contract import check_method, check_proof
from adhere.methods.synth import bagel
from adhere.methods.synth.bagel import Settings, agrees, synth
from adhere.models.scripted import ScriptedModel
from adhere.worlds.tool_graph import ToolGraph
from adhere.worlds.tool_plans import Node, written

WORLD = ToolGraph()
PLAN = written((Node("upper_case", {"text": "red fig"}),))
START = [Record((user("Explore."),), notes={"seed": seed}) for seed in (3, 4)]


def talker(ask: Ask) -> str:
    """Names everything alike, does one thing, and agrees with that thing only."""
    said = ask.messages[-1].text
    if said.startswith("Here is what somebody did"):
        return 'Put "red fig" in capital letters.'
    if said.startswith("Instruction:"):
        return "Yes." if '"RED FIG"' in said else "No."
    return PLAN


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    check_method(bagel)
    proof = check_proof(bagel, Lab(ScriptedModel(), tmp_path, smoke=True))
    assert proof.unit == "draws of demonstrations"
    assert {"mean rounds of kept pairs", "demonstrations shown on both sides"} <= set(proof.numbers)


def test_what_does_not_agree_goes_round_until_it_does() -> None:
    kept, dropped = divided(synth(START, ScriptedModel(talker), Settings(), world=WORLD))
    assert not dropped
    for row, start in zip(kept, START, strict=True):
        assert (row.instruction, row.reply) == ('Put "red fig" in capital letters.', PLAN)
        assert (row.parents, row.notes["rounds"], row.notes["actions"]) == ((start.id,), 1, [PLAN])


def test_two_records_may_share_a_beginning() -> None:
    twice = [*START, Record((user("Explore once more."),), notes={"seed": 3})]
    kept, dropped = divided(synth(twice, ScriptedModel(talker), Settings(), world=WORLD))
    assert [row.parents for row in kept] == [(one.id,) for one in twice]
    assert not dropped


def test_no_rounds_leave_what_was_explored() -> None:
    for one in synth(START, ScriptedModel(talker), Settings(rounds=0), world=WORLD):
        assert isinstance(one, Dropped)
        assert one.reason == "disagree: after 0 rounds"


def test_a_pair_that_agrees_is_not_touched_again() -> None:
    model = ScriptedModel(lambda ask: "yes" if ask.messages[-1].text.startswith("Instruction:") else "Do that.")
    kept, _ = divided(synth(START, model, Settings(), world=WORLD))
    assert [row.notes["rounds"] for row in kept] == [0, 0]
    assert model.calls == 4  # a label and a score for each


def test_what_is_no_action_is_dropped_though_they_agree() -> None:
    def script(ask: Ask) -> str:
        said = ask.messages[-1].text
        explored = '"tool"' in said
        return "no" if said.startswith("Instruction:") and explored else "yes"

    _, dropped = divided(synth(START, ScriptedModel(script), Settings(), world=WORLD))
    assert {one.reason for one in dropped} == {"refused: it holds what is no action"}


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply("", "error", error="busy"), "not answered: busy"),
        (Reply("  "), "empty: no label"),
        (Reply("Do", "length"), "cut: a label without an end"),
    ],
)
def test_a_label_that_cannot_be_had_ends_the_trip(reply: Reply, reason: str) -> None:
    model = ScriptedModel(lambda ask: reply)
    _, dropped = divided(synth(START, model, Settings(), world=WORLD))
    assert {one.reason for one in dropped} == {reason}
    assert model.calls == 2


def test_only_the_agent_is_guided_and_only_to_plans() -> None:
    seen: list[Ask] = []

    def script(ask: Ask) -> str:
        seen.append(ask)
        return talker(ask)

    list(synth(START, ScriptedModel(script), Settings(guided=True), world=WORLD))
    asked = ("Here is what somebody did", "Instruction:")
    for ask in seen:
        assert (ask.sampling.guide is None) == ask.messages[-1].text.startswith(asked)


def test_only_yes_is_yes() -> None:
    assert [agrees(one) for one in ("Yes, it was.", ' "yes"', "**Yes**", "no", "", "Maybe yes")] == [
        True, True, True, False, False, False,
    ]  # fmt: skip
