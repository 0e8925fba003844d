"""`Recipe`: the settings of an `improve` run, from a TOML file and `stage.key=value` words."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from adhere.core.benchmark import Benchmark
from adhere.core.errors import SettingsError, did_you_mean
from adhere.core.settings import fill, parse_assignments, read_toml
from adhere.evals.heldout import Slice, heldout_benchmark
from adhere.methods.catalogue import entry, load

METHODS = {"synth": "complex-to-simple", "select": "verified-novel", "tune": "sft"}
STAGES = (*METHODS, "evaluate")


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The held-out evaluation: prompts of each slice, sampling seeds per prompt, and how to sample."""

    seen: int = 100
    unseen: int = 60
    plain: int = 50
    seeds: int = 3
    temperature: float = 0.7
    top_p: float = 0.95
    max_tokens: int = 320


class Stage(msgspec.Struct, frozen=True):
    """A method and its settings (a frozen dataclass of the method's own)."""

    method: str
    settings: Any


class Recipe(msgspec.Struct, frozen=True):
    """Everything an `improve` run can be told."""

    synth: Stage
    select: Stage
    tune: Stage
    evaluate: Evaluation
    rounds: int = 1
    seed: int = 0
    budget: str = ""

    def benchmarks(self) -> dict[str, Benchmark]:
        """The three held-out slices by name: `seen`, `unseen`, `plain`."""
        counts: dict[Slice, int] = {
            "seen": self.evaluate.seen,
            "unseen": self.evaluate.unseen,
            "plain": self.evaluate.plain,
        }
        return {name: heldout_benchmark(name, count) for name, count in counts.items()}

    def as_values(self) -> dict[str, Any]:
        """Plain values, nulls kept, from which `recipe_from` makes an equal recipe."""
        stages = {name: _stage_values(getattr(self, name)) for name in METHODS}
        evaluation = dataclasses.asdict(self.evaluate)
        return {**stages, "evaluate": evaluation, "rounds": self.rounds, "seed": self.seed, "budget": self.budget}


def read_recipe(path: Path | None, assignments: Sequence[str]) -> dict[str, Any]:
    """The values of a recipe file with `stage.key=value` words laid over them."""
    values: dict[str, Any] = read_toml(path) if path else {}
    for key, value in parse_assignments(assignments).items():
        stage, dot, name = key.partition(".")
        if not dot:
            hint = f"Settings are stage.key=value. {did_you_mean(key, [f'{one}.{key}' for one in STAGES])}"
            raise SettingsError(f"the setting {key!r} does not name its stage", hint)
        table = values.setdefault(stage, {})
        if not isinstance(table, dict):
            raise SettingsError(f"{stage!r} is not a stage, found {key}={value}", did_you_mean(stage, STAGES))
        table[name] = value
    return values


def recipe_from(values: Mapping[str, Any], where: str) -> Recipe:
    """Make a recipe; unknown stages, methods and settings are refused with the nearest names."""
    known = (*STAGES, "rounds", "seed", "budget")
    for key in values:
        if key not in known:
            raise SettingsError(f"unknown stage {key!r} in {where}", did_you_mean(key, known))
    stages = {name: _stage(name, values.get(name, {}), where) for name in METHODS}
    evaluation = fill(Evaluation, _table(values.get("evaluate", {}), "evaluate", where), f"[evaluate] of {where}")
    rounds, seed = values.get("rounds", 1), values.get("seed", 0)
    if not isinstance(rounds, int) or not isinstance(seed, int) or rounds < 1:
        raise SettingsError(f"rounds and seed in {where} should be whole numbers, found {rounds!r} and {seed!r}")
    return Recipe(**stages, evaluate=evaluation, rounds=rounds, seed=seed, budget=str(values.get("budget", "")))


def _stage(name: str, values: Any, where: str) -> Stage:
    table = _table(values, name, where)
    method = str(table.pop("method", METHODS[name]))
    module = load(entry(method, name))
    return Stage(method, fill(module.Settings, table, f"[{name}] of {where}"))


def _table(values: Any, name: str, where: str) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise SettingsError(f"[{name}] of {where} should be a table, found {values!r}", f"[{name}]\nkey = value")
    return dict(values)


def _stage_values(stage: Stage) -> dict[str, Any]:
    values: dict[str, Any] = msgspec.to_builtins(stage.settings)
    return {"method": stage.method, **values}
