"""Every experiment runs from end to end on a handful of prompts, with a scripted model over tiny weights."""

from __future__ import annotations

from pathlib import Path

import pytest

from adhere.app.comparing import Race, compare
from adhere.app.proving import shared_tuning
from adhere.core.model import Ask
from adhere.core.record import Record, user
from adhere.evals.lab import Lab
from adhere.methods.catalogue import Entry, entries, load
from adhere.methods.contract import check_proof
from adhere.methods.proofs import has_experiment
from adhere.models.scripted import ScriptedModel, tiny_weights
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.find import find
from adhere.verify.repair import correct

PROSE = ScriptedModel()
ABLE = {"Generates", "Scores", "Trains"}


def now_right_now_wrong(ask: Ask) -> str:
    """Prose; every other draw is corrected until it follows what the prompt asks for."""
    said = PROSE._reply(ask).text
    if (ask.sample + ask.sampling.seed) % 2:
        return said
    instruction = ask.messages[-1].text
    checks = tuple(one.check for one in find(instruction))
    return correct(Record((user(instruction),), checks), said, ALL_TYPES).reply


def looks_inside(one: Entry) -> bool:
    """Whether the method or its experiment needs a real model; such have a smoke run in a test of their own."""
    return not set(one.card.needs) <= ABLE or "lab.inside" in Path(one.path).read_text(encoding="utf-8")


EXPERIMENTS = [one for one in entries() if has_experiment(one) and not looks_inside(one)]


@pytest.mark.parametrize("entry", EXPERIMENTS, ids=lambda one: one.name)
def test_the_experiment_runs(entry: Entry, tmp_path: Path) -> None:
    if "worlds.babyai" in Path(entry.path).read_text(encoding="utf-8"):
        pytest.importorskip("minigrid", reason="needs the extra [grid]")
    model = ScriptedModel(now_right_now_wrong, weights=tiny_weights(tmp_path / "weights"))
    lab = Lab(model, tmp_path / "models", tuner=shared_tuning(), smoke=True)
    proof = check_proof(load(entry), lab)
    assert proof.seconds >= 0


def test_methods_of_every_arrow_are_compared_within_a_budget(tmp_path: Path) -> None:
    model = ScriptedModel(now_right_now_wrong, weights=tiny_weights(tmp_path / "weights"))
    lab = Lab(model, tmp_path / "models", tuner=shared_tuning(), smoke=True)
    names, budget = ("best-of-n", "rnr", "ifd", "sft", "dpo"), 12_000
    found = compare(lab, Race(names, "seen", 4, budget, 1))
    assert [one.name for one in found.members] == ["none", *names]
    assert found.pool == lab.tokens("pool") > 0
    none, *others = found.members
    assert all(none.tokens < one.tokens <= budget for one in others)
    assert [one.not_judged for one in others] == [0] * len(names)
    assert f"{found.pool:,} tokens beside these" in found.in_words()


def test_rows_are_left_out_until_their_training_fits(tmp_path: Path) -> None:
    model = ScriptedModel(now_right_now_wrong, weights=tiny_weights(tmp_path / "weights"))
    spent = []
    for budget in (6_000, 60_000):
        lab = Lab(model, tmp_path / str(budget), tuner=shared_tuning(), smoke=True)
        spent.append(compare(lab, Race(("sft",), "seen", 4, budget, 1)).members[1].tokens)
        assert spent[-1] <= budget
    assert spent[0] < spent[1]
