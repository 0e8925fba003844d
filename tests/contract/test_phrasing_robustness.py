"""Phrasings: the same parameters in words that were and were not seen, and what a model of words makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from adhere.core.errors import SettingsError
from adhere.core.model import Ask, Trains
from adhere.core.record import Record
from adhere.data.seeds import shipped_seeds
from adhere.evals.lab import Lab
from adhere.methods.contract import check_method, check_proof
from adhere.methods.evaluate import phrasing_robustness
from adhere.methods.evaluate.phrasing_robustness import (
    Settings,
    by_item,
    evaluate,
    gains,
    items,
    measures,
    seen_templates,
)
from adhere.models.scripted import HOSTILE, ScriptedModel, Untuned, tiny_weights
from adhere.verify.catalogue import ALL_TYPES, IFEVAL_TYPES, UNSEEN_FAMILIES

SEEDS = shipped_seeds()[:50]
BENCH = items(SEEDS, 48, 2, 0)


def by_sort() -> dict[str, list[Record]]:
    return {sort: [one for one in BENCH.records if one.notes["sort"] == sort] for sort in ("observed", "unobserved")}


def test_it_keeps_the_contract_and_proves_with_a_tuner(tmp_path: Path) -> None:
    check_method(phrasing_robustness)
    asked: list[int] = []

    def tuner(model: Trains, records: object, place: Path, seed: int) -> Untuned:
        asked.append(seed)
        return Untuned(ScriptedModel(name=f"tuned-{seed}"))

    tiny_weights(tmp_path / "weights")
    model = ScriptedModel(weights=tmp_path / "weights")
    proof = check_proof(phrasing_robustness, Lab(model, tmp_path, tuner=tuner, smoke=True))
    assert asked == [0]
    assert "gap before tuning" in proof.numbers
    assert proof.unit == "types"


def test_an_item_has_one_instruction_and_one_constraint_in_both_sorts_of_words() -> None:
    for item in range(48):
        rows = [one for one in BENCH.records if one.notes["item"] == item]
        assert len({one.checks[0].kind for one in rows}) == len({str(one.checks[0].params) for one in rows}) == 1
        assert len({one.notes["instruction"] for one in rows}) == 1
        kind = ALL_TYPES[rows[0].checks[0].kind]
        assert kind.family not in UNSEEN_FAMILIES
        for one in rows:
            pool = kind.phrasings if one.notes["sort"] == "observed" else kind.heldout_phrasings
            check = one.checks[0]
            assert check.phrase in {kind.phrase(check.params, template) for template in pool}
            assert one.instruction.endswith(check.phrase)
        assert [one.notes["sort"] for one in rows] == ["unobserved"] * 2 + ["observed"] * 2


def test_a_model_of_the_words_has_a_gap_and_a_model_of_the_constraint_has_none() -> None:
    gold = {
        one.instruction: ALL_TYPES[one.checks[0].kind].repair(one.checks[0].params, "Tea is warm. It is good.") or ""
        for one in BENCH.records
        if ALL_TYPES[one.checks[0].kind].repair is not None
    }  # type: ignore[misc]
    seen = {one.instruction for one in by_sort()["observed"]}

    def words(ask: Ask) -> str:
        prompt = ask.messages[-1].text
        return gold.get(prompt, "") if prompt in seen else ""

    full = evaluate(ScriptedModel(lambda ask: gold.get(ask.messages[-1].text, "")), Settings(48, 2)).as_json()
    assert full["items"] == 48
    from adhere.evals.grade import grade

    found = measures(by_item(BENCH, grade(ScriptedModel(words), BENCH)))
    assert found["observed"]["mean"] > 0.7
    assert found["unobserved"] == {"mean": 0.0, "spread": 0.0}
    same = measures(by_item(BENCH, grade(ScriptedModel(lambda ask: gold.get(ask.messages[-1].text, "")), BENCH)))
    assert same["observed"]["mean"] == pytest.approx(same["unobserved"]["mean"], abs=0.05)


def test_a_gap_that_was_there_before_is_no_gain() -> None:
    from adhere.evals.grade import grade

    before = grade(ScriptedModel(), BENCH)
    assert gains(BENCH, before, before) == {at: {"unobserved": 0.0, "observed": 0.0} for at in range(48)}
    worse = gains(BENCH, before, grade(ScriptedModel(lambda ask: ""), BENCH))
    was = measures(by_item(BENCH, before))
    for sort in ("observed", "unobserved"):
        assert sum(one[sort] for one in worse.values()) / 48 == pytest.approx(-was[sort]["mean"])
    assert gains(BENCH, before, grade(ScriptedModel(HOSTILE["error"]), BENCH)) == {}


def test_mean_and_spread_by_hand() -> None:
    found = measures(
        [{"observed": [1.0, 0.0], "unobserved": [0.0, 0.0]}, {"observed": [1.0, 1.0], "unobserved": [1.0, 0.0]}]
    )
    assert found["observed"] == {"mean": 0.75, "spread": 0.25}
    assert found["unobserved"] == {"mean": 0.25, "spread": 0.25}


def test_only_phrasings_that_stand_in_the_rows_count_as_seen(tmp_path: Path) -> None:
    rows = Lab(ScriptedModel(), tmp_path).composed(60)
    seen = seen_templates(rows)
    assert seen
    for name, templates in seen.items():
        assert set(templates) <= set(IFEVAL_TYPES[name].phrasings)
    assert seen_templates([]) == {}
    some = items(SEEDS, 10, 1, 0, seen)
    for one in some.records:
        check = one.checks[0]
        kind = IFEVAL_TYPES[check.kind]
        rest = [template for template in kind.phrasings if template not in seen[check.kind]]
        pool = seen[check.kind] if one.notes["sort"] == "observed" else rest
        assert check.phrase in {kind.phrase(check.params, template) for template in pool}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_replies_are_graded(name: str) -> None:
    found = evaluate(ScriptedModel(HOSTILE[name]), Settings(2, 1)).as_json()
    assert found["items"] == (0 if name == "error" else 2)
    assert 0.0 <= found.get("observed", {"mean": 0.0})["mean"] <= 1.0


def test_nothing_to_ask_is_refused() -> None:
    with pytest.raises(SettingsError, match="observed phrasings"):
        items(SEEDS, 5, 2, 0, {})
    with pytest.raises(SettingsError, match="own items"):
        evaluate(ScriptedModel(), Settings(), data=Path("x"))
