"""The recipe of a run: what each round is told."""

from __future__ import annotations

from typing import Any

import pytest

from adhere.app.recipe import Recipe, recipe_from
from adhere.core.errors import SettingsError

VALUES: dict[str, Any] = {
    "rounds": 12,
    "synth": {"count": 40, "samples": 3},
    "tune": {"epochs": 3.0, "rank": 4},
    "round-2": {"synth": {"count": 80}},
    "round-4": {"tune": {"method": "dpo", "beta": 0.3}, "synth": {"samples": 1}},
    "round-10": {"tune": {"beta": 0.5}},
}


def counts(recipe: Recipe) -> tuple[int, int]:
    return recipe.synth.settings.count, recipe.synth.settings.samples


def test_later_rounds_change_only_what_they_name_and_changes_stay() -> None:
    recipe = recipe_from(VALUES, "a test")
    assert [counts(recipe.at(number)) for number in range(1, 6)] == [(40, 3), (80, 3), (80, 3), (80, 1), (80, 1)]
    assert recipe.at(3).tune == recipe.tune
    assert recipe.at(2).select == recipe.select


def test_a_changed_method_starts_from_its_defaults() -> None:
    recipe = recipe_from(VALUES, "a test")
    before, after = recipe.at(3).tune, recipe.at(4).tune
    assert (before.method, before.settings.epochs, before.settings.rank) == ("sft", 3.0, 4)
    default = type(after.settings)()
    assert (after.method, after.settings.beta) == ("dpo", 0.3)
    assert (after.settings.epochs, after.settings.rank) == (default.epochs, default.rank)


def test_rounds_follow_each_other_as_numbers() -> None:
    recipe = recipe_from(VALUES, "a test")
    assert recipe.at(9).tune.settings.beta == 0.3
    assert recipe.at(10).tune.settings.beta == 0.5
    assert recipe.at(10).tune.method == "dpo"


def test_what_rounds_change_survives_the_plan() -> None:
    recipe = recipe_from(VALUES, "a test")
    again = recipe_from(recipe.as_values(), "the plan")
    assert [again.at(number) for number in (1, 4, 10)] == [recipe.at(number) for number in (1, 4, 10)]


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        ({"round-2": {"synht": {"count": 3}}}, ("unknown stage 'synht' in [round-2] of a test", "'synth'")),
        ({"round-2": {"evaluate": {"seeds": 3}}}, ("unknown stage 'evaluate' in [round-2]",)),
        ({"rounds": 2, "round-2": {"synth": {"cuont": 3}}}, ("unknown setting 'cuont'", "[round-2]", "'count'")),
        ({"rounds": 2, "round-2": {"tune": {"method": "dpo", "plain_share": 1}}}, ("unknown setting 'plain_share'",)),
        ({"round-0": {"synth": {"count": 3}}}, ("unknown stage or setting 'round-0'",)),
    ],
)
def test_a_wrong_round_is_refused_when_the_recipe_is_read(values: dict[str, Any], parts: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError) as refused:
        recipe_from(values, "a test")
    for part in parts:
        assert part in str(refused.value)


def test_the_test_part_is_evaluated_unless_asked_otherwise() -> None:
    benchmarks = recipe_from({}, "a test").benchmarks()
    assert {name: len(one.records) for name, one in benchmarks.items()} == {"seen": 72, "unseen": 48, "plain": 40}
    assert benchmarks["seen"].name == "heldout-seen"
    choosing = recipe_from({"evaluate": {"part": "development", "seen": 72}}, "a test")
    assert choosing.benchmarks()["seen"].name == "heldout-seen-development"
    assert len(choosing.benchmarks()["seen"].records) == 72
    assert recipe_from(choosing.as_values(), "the plan").evaluate == choosing.evaluate


def test_an_unknown_part_is_refused_when_the_recipe_is_read() -> None:
    with pytest.raises(SettingsError, match="'developement'") as refused:
        recipe_from({"evaluate": {"part": "developement"}}, "a test")
    assert "'development'" in str(refused.value)
