"""Two arms: what each was tuned on, what is booked where, and what is left out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from adhere.core.errors import DataError
from adhere.core.model import Ask, Reply, Sampling, Trains
from adhere.core.record import Record, assistant, user
from adhere.evals.arms import answered, even, own_replies, tuned_arms
from adhere.evals.lab import Lab
from adhere.models.scripted import ScriptedModel, Untuned, tiny_weights

TESTS = [Record((user(f"Test {n}."),)) for n in range(3)]
ROWS = [Record((user(f"Say {n}."), assistant("ok"))) for n in range(4)]


def test_each_arm_is_tuned_on_its_rows_for_every_seed_and_booked_apart(tmp_path: Path) -> None:
    made: list[tuple[str, int, int]] = []

    def tuner(model: Trains, records: Sequence[Record], place: Path, seed: int) -> Untuned:
        made.append((place.parent.name, len(records), seed))
        return Untuned(ScriptedModel(lambda ask: "yes" if len(records) == 3 else "no"))

    lab = Lab(ScriptedModel(weights=tiny_weights(tmp_path / "w")), tmp_path, tuner=tuner, seeds=(0, 1))

    def score(test: Record, reply: Reply) -> float:
        return float(reply.text == "yes")

    outcome = tuned_arms(lab, (ROWS, ROWS[:3]), TESTS, score, ("plain", "made"), Sampling(8))
    assert made == [("base", 4, 0), ("base", 4, 1), ("treated", 3, 0), ("treated", 3, 1)]
    assert list(outcome.base) == [0.0] * 6
    assert list(outcome.treated) == [1.0] * 6
    assert list(outcome.units) == [one.id for one in TESTS] * 2
    assert outcome.numbers == {
        "rows, baseline": 4.0, "rows, treated": 3.0, "rows whose reply both arms have": 3.0, "not tuned": 0.0,
        "words a reply, baseline": 1.0, "words a reply, treated": 1.0,
        "difference, seed 0": 1.0, "difference, seed 1": 1.0,
    }  # fmt: skip
    assert set(lab.ledger.stages) >= {"as it is", "base", "treated"}
    assert {one.base for one in outcome.examples} == {"no"}


def test_an_arm_without_rows_is_no_experiment(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="rows for both arms"):
        tuned_arms(Lab(ScriptedModel(), tmp_path), (ROWS, []), TESTS, lambda *_: 1.0, ("plain", "made"), Sampling(8))


def test_what_is_no_answer_scores_nothing() -> None:
    always = answered(lambda test, reply: 1.0)
    loop = "The lamp is red. " * 30
    assert [always(TESTS[0], Reply(text)) for text in ("A lamp stands by the river.", loop, "")] == [1.0, 0.0, 0.0]
    assert answered(lambda test, reply: None)(TESTS[0], Reply("A lamp stands by the river.")) is None


def test_own_replies_leave_out_what_is_no_answer(tmp_path: Path) -> None:
    def script(ask: Ask) -> str | Reply:
        text = ask.messages[-1].text
        said = "Tea is a hot drink. It is made of"
        return {"Test 0.": Reply(said, "length"), "Test 1.": Reply("", "error", error="busy")}.get(text, "")

    found = own_replies(Lab(ScriptedModel(script), tmp_path), TESTS)
    assert [one.reply for one in found] == ["Tea is a hot drink."]


def test_even_takes_as_many_of_both() -> None:
    assert even(ROWS, ROWS[:2]) == (ROWS[:2], ROWS[:2])
