"""InstructMining: both published rules, rules as words, refitting, and the indicators one by one."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from adhere.core.errors import DataError, SettingsError
from adhere.core.record import Record, assistant, user
from adhere.core.step import Dropped
from adhere.evals.lab import Lab
from adhere.methods.contract import check_method
from adhere.methods.select import instruct_mining
from adhere.methods.select.instruct_mining import Settings, coefficients, fit, indicators, mtld, select
from adhere.models.scripted import HOSTILE, ScriptedModel


def row(text: str, **told: float) -> Record:
    return Record((user("Say it."), assistant(text)), notes={"indicators": told} if told else {})


def kept(rows: list[Record], rule: str) -> list[str | None]:
    found = select(rows, Settings(rule=rule, limit=1), model=ScriptedModel())
    return [one.reply for one in found if isinstance(one, Record)]


def test_it_keeps_the_contract() -> None:
    check_method(instruct_mining)


def test_the_published_rules_rank_by_their_indicators() -> None:
    same = {"len": 10.0, "und": 0.5, "nat": 0.5, "coh": 0.5, "knn6": 1.0, "rew": 0.0}
    rows = [row("plain", **same), row("rewarded", **{**same, "rew": 1.0}), row("alone", **{**same, "knn6": 1.2})]
    assert kept(rows, "v1") == ["alone"]  # 0.935 * 0.2 is more than 0.1498 * 1
    assert kept(rows, "v3") == ["rewarded"]
    hard = [row("clear", **{**same, "und": 0.9}), row("natural", **{**same, "nat": 0.9})]
    assert kept(hard, "v3") == ["natural"]  # understandability raises the loss, as published


def test_a_rule_may_be_given_in_words() -> None:
    assert coefficients("len=0.5 rew=-2e-1") == {"len": 0.5, "rew": -0.2}
    assert kept([row("one two three"), row("one")], "len=1") == ["one"]
    assert kept([row("one two three"), row("one")], "len=-1") == ["one two three"]


@pytest.mark.parametrize("rule", ["", "v2", "len", "size=1", "len=nan", "len=a", "len=1=2"])
def test_other_words_are_refused(rule: str) -> None:
    with pytest.raises(SettingsError, match="expected rule"):
        coefficients(rule)


def test_a_refitted_rule_finds_what_moved_the_loss() -> None:
    pytest.importorskip("numpy")
    means = [{"len": float(n), "rew": float((7 * n) % 5), "mtld": 3.0} for n in range(20)]
    losses = [math.exp(0.3 + 0.05 * one["len"] - 0.2 * one["rew"]) for one in means]
    found = coefficients(fit(means, losses, ridge=0.0))
    assert found == pytest.approx({"len": 0.05, "rew": -0.2}, rel=1e-4)
    shrunk = coefficients(fit(means, losses, ridge=5.0))
    assert 0 < shrunk["len"] < 0.05
    with pytest.raises(SettingsError, match="three tunings"):
        fit(means[:2], losses[:2])
    with pytest.raises(SettingsError, match="differ"):
        fit([{"mtld": 3.0}] * 4, [1.0, 2.0, 3.0, 4.0])


def test_lexical_diversity_counts_runs_of_different_words() -> None:
    assert mtld("") == 0.0
    assert mtld("every word here differs") == 4.0
    assert mtld("so so so so so so so so") == pytest.approx(2.0)
    assert mtld("the cat and the dog and the cat and the cow") < mtld("a fox runs past one old barn twice today")


def test_indicators_are_of_the_row_and_the_model() -> None:
    pytest.importorskip("numpy")
    rows = [row("It is red."), row("It is blue, and big."), row("No.")]
    found = indicators(rows, ("len", "prompt", "nll", "rew", "und", "nat", "coh", "knn6"), ScriptedModel())
    assert [one["len"] for one in found] == [4.0, 7.0, 2.0]
    assert all(one["prompt"] == 3.0 and 1 <= one["nll"] <= 3 and one["knn6"] > 0 for one in found)
    assert all(0 < one[name] < 1 for one in found for name in ("und", "nat", "coh"))
    huge = Record(rows[0].messages, notes={"indicators": {"len": 10**400, "nll": "much"}})
    assert indicators([huge], ("len",), ScriptedModel())[0]["len"] == 4.0
    (near, _) = indicators([rows[0], row("It is red.", knn6=9.0)], ("knn6",), ScriptedModel())
    assert near["knn6"] == pytest.approx(0.0, abs=1e-3)
    assert indicators([row("x", len=3.5)], ("len",), ScriptedModel())[0]["len"] == 3.5


def test_what_fits_the_rule_and_what_judges_it_share_no_prompt(tmp_path: Path) -> None:
    fitting, judging, least = instruct_mining._heldout(Lab(ScriptedModel(), tmp_path))
    assert min(len(fitting), len(judging)) >= instruct_mining.ENOUGH
    assert least in (1.0, 0.5, 0.0)
    assert not {one.instruction for one in fitting} & {one.instruction for one in judging}
    with pytest.raises(DataError, match="held-out replies"):
        instruct_mining._heldout(Lab(ScriptedModel(HOSTILE["error"]), tmp_path))


def test_rows_without_a_reply_say_so() -> None:
    found = list(select([Record((user("Say it."),)), row("Yes.")], Settings(), model=ScriptedModel()))
    assert [one.reason for one in found if isinstance(one, Dropped)] == ["no reply"]
