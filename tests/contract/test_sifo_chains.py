"""Chains of instructions: the right answers are those of the rules, and whoever misses a step shows it."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from adhere.core.errors import ModelError, SettingsError, VerifierError
from adhere.core.model import Ask
from adhere.evals.lab import Lab
from adhere.methods.contract import check_method, check_proof
from adhere.methods.evaluate import sifo_chains
from adhere.methods.evaluate.sifo_chains import Settings, benchmark, changes, chosen, evaluate
from adhere.models.scripted import HOSTILE, ScriptedModel
from adhere.verify.chains import KINDS, drawn, options

FOUND = drawn(40, 3, 6, 0)
GOLD = {one.instruction: one.checks[0].params["gold"] for one in benchmark(FOUND, "1").records}


def knows(ask: Ask) -> list[str]:
    return list(GOLD[ask.messages[-1].text])


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    check_method(sifo_chains)
    proof = check_proof(sifo_chains, Lab(ScriptedModel(), tmp_path, smoke=True))
    assert proof.numbers["chance"] == 0.25
    assert proof.unit == "chains"


def test_whoever_answers_every_step_gets_everything() -> None:
    values = evaluate(ScriptedModel(lambda ask: json.dumps(knows(ask))), Settings(chains=40)).as_json()
    assert values["last_step"] == values["mean_over_steps"] == 1.0
    assert values["by_step"] == [1.0] * 6
    assert values["depth"] == pytest.approx(sum(len(one.steps) for one in FOUND) / 40)
    assert {one["chains"] for one in values["kinds"].values()} == {10}


def test_whoever_stops_after_the_first_step_gets_depth_one() -> None:
    values = evaluate(ScriptedModel(lambda ask: json.dumps(knows(ask)[:1])), Settings(chains=40)).as_json()
    assert values["depth"] == 1.0
    assert values["by_step"][0] == 1.0
    assert set(values["by_step"][1:]) == {0.0}
    assert values["last_step"] == 0.0


def test_a_hit_inside_a_longer_number_counts_in_the_faithful_register_alone() -> None:
    def longer(ask: Ask) -> str:
        return json.dumps([f"{one}0" if one.isdigit() else one for one in knows(ask)])

    faithful, repaired = (
        evaluate(ScriptedModel(longer), Settings(chains=40, register=register)).as_json()["kinds"]["number"]
        for register in ("faithful", "repaired")  # type: ignore[arg-type]
    )
    assert faithful["last_step"] == 1.0
    assert repaired["last_step"] == 0.0


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_replies_get_next_to_nothing(name: str) -> None:
    values = evaluate(ScriptedModel(HOSTILE[name]), Settings(chains=4)).as_json()
    assert (values["last_step"] or 0.0) <= 0.25  # a copied prompt names the town of some last steps


def test_the_choice_is_between_the_right_answer_and_three_others() -> None:
    right = {(one, n): one.answer(one.steps[:n]) for one in FOUND for n in range(1, len(one.steps) + 1)}

    class Likes(ScriptedModel):
        def score(self, pairs):  # type: ignore[no-untyped-def]
            texts = set(right.values())
            found = super().score(pairs)
            return [type(one)(-0.1 if at % 4 == 0 and pair[1] in texts else -9.0, 1)
                    for at, (one, pair) in enumerate(zip(found, pairs, strict=True))]  # fmt: skip

    assert all(chosen(Likes(), FOUND, [len(one.steps) for one in FOUND]))
    assert 0 < sum(chosen(ScriptedModel(), FOUND, [1] * len(FOUND))) < len(FOUND)


def test_what_was_given_is_no_option() -> None:
    compared = [one for one in FOUND if changes(one)]
    assert {one.kind for one in compared} == set(KINDS)
    for at, one in enumerate(compared):
        for count in (1, len(one.steps)):
            assert one.answer(()) not in options(one, count, 3, random.Random(at))


def test_a_model_without_likelihoods_and_settings_without_sense_are_refused() -> None:
    class Deaf:
        name = "deaf"

    with pytest.raises(ModelError, match="likelihoods"):
        chosen(Deaf(), FOUND, [1] * len(FOUND))  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="own chains"):
        evaluate(ScriptedModel(), Settings(), data=Path("x"))
    with pytest.raises(VerifierError, match="fewest"):
        evaluate(ScriptedModel(), Settings(fewest=4, most=3))
