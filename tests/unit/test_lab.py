"""The lab of proofs: nothing held out is in it, and the same names give the same things."""

from __future__ import annotations

from pathlib import Path

import pytest

from adhere.core.errors import ModelError, SettingsError
from adhere.core.record import Check, Record, user
from adhere.evals.grade import all_followed, followed
from adhere.evals.heldout import heldout_prompts, refuse_overlap
from adhere.evals.lab import Lab, Outcome
from adhere.methods.catalogue import entry
from adhere.models.scripted import ScriptedModel, Untuned
from adhere.verify.catalogue import ALL_TYPES, UNSEEN_FAMILIES


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(ScriptedModel(), tmp_path)


def test_training_and_probe_share_no_instruction_and_touch_nothing_held_out(lab: Lab) -> None:
    train, probe = lab.composed(300), list(lab.probe(100).records)
    plain = lambda rows: {str(one.notes["instruction"]) for one in rows}  # noqa: E731
    assert not plain(train) & plain(probe)
    assert refuse_overlap([*train, *probe]) == 400
    kinds = {check.kind for one in (*train, *probe) for check in one.checks}
    assert not {ALL_TYPES[kind].family for kind in kinds} & UNSEEN_FAMILIES


def test_benchmarks_of_proofs_are_of_the_development_part(lab: Lab) -> None:
    reported = {one.text for one in heldout_prompts(part="test")}
    for name in ("seen", "plain"):
        for record in lab.benchmark(name, 30).records:
            assert str(record.notes["instruction"]) not in reported
    with pytest.raises(SettingsError, match="unseen"):
        lab.benchmark("unseen", 10)


def test_the_same_names_give_the_same_things(tmp_path: Path) -> None:
    first, second = (Lab(ScriptedModel(), tmp_path) for _ in "12")
    assert first.composed(50) == second.composed(50)
    assert first.composed(20) == first.composed(50)[:20]
    assert first.pool(10, 2) == second.pool(10, 2)


def test_the_pool_is_asked_once_and_gives_graded_rows(tmp_path: Path) -> None:
    model = ScriptedModel()
    lab = Lab(model, tmp_path)
    rows = lab.rows(12, 2)
    asked = model.calls
    passing = lab.rows(12, 2, keep=lambda row: all_followed(row) == 1.0)
    assert asked == model.calls == 24
    assert len(rows) == 24
    assert {one.id for one in passing} <= {one.id for one in rows}
    assert all(one.notes["followed"] == 1.0 for one in passing)


def test_a_smoke_run_takes_a_handful(tmp_path: Path) -> None:
    lab = Lab(ScriptedModel(), tmp_path, smoke=True)
    assert (len(lab.composed(100)), lab.count(60), lab.count(2), lab.seeds) == (4, 4, 2, (0,))


def test_cost_is_booked_by_side_and_includes_what_the_cache_had(lab: Lab) -> None:
    bench = lab.benchmark("seen", 5)
    with lab.at("base"):
        lab.grade(lab.model, bench)
    with lab.at("treated"):
        lab.grade(lab.model, bench)
        lab.grade(lab.model, bench)
    assert lab.tokens("treated") == 2 * lab.tokens("base") > 0
    assert lab.tokens("nothing was booked here") == 0


def test_tuning_needs_weights_a_tuner_and_rows_that_may_be_trained_on(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="no tuner"):
        Lab(ScriptedModel(), tmp_path).tuned([], "x")

    def tuner(model: object, records: object, place: Path, seed: int) -> Untuned:
        return Untuned(ScriptedModel(name="tuned"))

    lab = Lab(ScriptedModel(), tmp_path, tuner=tuner)
    with pytest.raises(ModelError, match="no weights"):
        lab.tuned([], "x")
    weights = tmp_path / "weights"
    weights.mkdir()
    (weights / "model.safetensors").write_bytes(b"x")
    trainable = Lab(ScriptedModel(weights=weights), tmp_path, tuner=tuner)
    held_out = Record((user("Write."),), (Check("tally:paragraph_count", {}),))
    kind = next(kind for kind, one in ALL_TYPES.items() if one.family in UNSEEN_FAMILIES)
    held_out = Record(held_out.messages, (Check(kind, {}),))
    with pytest.raises(SettingsError, match="held-out family"):
        trainable.tuned([held_out], "x")


def test_a_proof_counts_each_unit_once_and_leaves_out_what_was_not_judged(lab: Lab) -> None:
    outcome = Outcome(
        [0.0, 1.0, 0.5, None], [1.0, 1.0, None, 1.0], ["a", "a", "b", "c"], ("before", "after"), unit="tasks"
    )
    proof = lab.proof("best-of-n", entry("best-of-n").card, outcome)
    assert proof.pairs == ((0.5, 1.0),)
    assert (proof.baseline.value, proof.treated.value, proof.interval.n) == (0.5, 1.0, 1)
    assert (proof.interval.not_judged, proof.holds, proof.unit) == (2, False, "tasks")


def test_examples_are_those_that_moved_most(lab: Lab) -> None:
    bench = lab.benchmark("seen", 30)
    base = lab.grade(lab.model, bench)
    treated = lab.grade(ScriptedModel(lambda ask: "A short line."), bench)
    outcome = lab.graded_outcome(bench.records, base, treated, ("a", "b"))
    moved = [(one.treated_score or 0.0) - (one.base_score or 0.0) for one in outcome.examples]
    scores = [
        (followed(after) or 0.0) - (followed(before) or 0.0)
        for before, after in zip(base.rows, treated.rows, strict=True)
    ]
    assert moved[0] == max(scores)
    assert min(moved) == min(scores)
    assert len(moved) <= 12
