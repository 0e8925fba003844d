"""Subsets by seed, and one tuning and one grading for each."""

from __future__ import annotations

from pathlib import Path

import pytest

from adhere.core.errors import ModelError
from adhere.core.record import Record, assistant, user
from adhere.evals.lab import Lab
from adhere.evals.subsets import drawn, graded_after, losses, losses_after
from adhere.models.scripted import ScriptedModel, Untuned, tiny_weights

ROWS = [Record((user(f"Say {n}."), assistant(f"{n}, as you say."))) for n in range(9)]


def lab_of(place: Path, tuned: list[tuple[int, int]]) -> Lab:
    def tuner(model: object, records: list[Record], place: Path, seed: int) -> Untuned:
        tuned.append((seed, len(records)))
        return Untuned(ScriptedModel())

    return Lab(ScriptedModel(weights=tiny_weights(place)), place, tuner=tuner, seeds=(0, 1, 2))  # type: ignore[arg-type]


def test_a_subset_follows_its_seed_and_keeps_the_order() -> None:
    found = drawn(ROWS, 4, 1)
    assert found == drawn(ROWS, 4, 1)
    assert found != drawn(ROWS, 4, 2)
    assert [ROWS.index(one) for one in found] == sorted(ROWS.index(one) for one in found)
    assert drawn(ROWS, 99, 0) == ROWS


def test_every_seed_is_tuned_on_its_rows_and_measured(tmp_path: Path) -> None:
    tuned: list[tuple[int, int]] = []
    lab = lab_of(tmp_path, tuned)
    assert len(losses_after(lab, "some", lambda n: ROWS[: n + 2], ROWS[:4])) == 12
    assert tuned == [(0, 2), (1, 3), (2, 4)]
    graded = graded_after(lab, "some", lambda _: ROWS, lab.probe(3))
    assert graded.seeds == (0, 1, 2)
    assert len(graded.rows) == 9


def test_losses_are_nats_per_token_and_need_a_model_that_scores() -> None:
    assert all(1 <= one <= 3 for one in losses(ScriptedModel(), ROWS))

    class Mute:
        name = fingerprint = "mute"

    with pytest.raises(ModelError, match="scores replies"):
        losses(Mute(), ROWS)  # type: ignore[arg-type]
