"""`Recipe`: the settings of an `improve` run, from a TOML file and `stage.key=value` words."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import msgspec

from adhere.app.bounds import check_settings
from adhere.core.benchmark import Benchmark
from adhere.core.errors import SettingsError, did_you_mean
from adhere.core.settings import fill, parse_assignments, read_toml
from adhere.evals.heldout import Part, Slice, check_part, heldout_benchmark
from adhere.methods.calling import SIGNATURES, refuse_unmet
from adhere.methods.catalogue import entry, load

METHODS = {"synth": "complex-to-simple", "select": "verified-novel", "tune": "sft"}
_ROUND = re.compile(r"round-[1-9]\d?")
STAGES = (*METHODS, "evaluate")
OPTIONS = ("rounds", "seed", "budget")


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """The held-out evaluation: prompts of each slice, sampling seeds per prompt, and how to sample.

    `part` is `test`, whose results are reported, or `development`, by whose results settings may be chosen. The
    default numbers are a prefix of `test`, which has 105, 52 and 46 prompts; `development` has 80, 50 and 40.
    """

    part: str = "test"
    seen: int = 72
    unseen: int = 48
    plain: int = 40
    seeds: int = 3
    temperature: float = 0.7
    top_p: float = 0.95
    top_k: int = 40
    max_tokens: int = 320


class Stage(msgspec.Struct, frozen=True):
    """A method and its settings (a frozen dataclass of the method's own)."""

    method: str
    settings: Any


class Recipe(msgspec.Struct, frozen=True):
    """Everything an `improve` run can be told.

    `later` holds what changes from a round on (`round-2`: stage to settings); a stage whose method changes starts
    from that method's defaults.
    """

    synth: Stage
    select: Stage
    tune: Stage
    evaluate: Evaluation
    rounds: int = 1
    seed: int = 0
    budget: str = ""
    later: dict[str, dict[str, dict[str, Any]]] = {}

    def at(self, number: int) -> Recipe:
        """The recipe as it stands in round `number`, with all changes up to it."""
        found = self
        for name in sorted(self.later, key=_round_number):
            if _round_number(name) <= number:
                stages = {
                    stage: _changed(stage, getattr(found, stage), table, name)
                    for stage, table in self.later[name].items()
                }
                found = msgspec.structs.replace(found, **stages)
        return found

    def benchmarks(self) -> dict[str, Benchmark]:
        """The three held-out slices by name, `seen`, `unseen`, `plain`, of the part that is evaluated."""
        counts: dict[Slice, int] = {
            "seen": self.evaluate.seen,
            "unseen": self.evaluate.unseen,
            "plain": self.evaluate.plain,
        }
        part = cast(Part, self.evaluate.part)
        return {name: heldout_benchmark(name, count, part=part) for name, count in counts.items()}

    def as_values(self) -> dict[str, Any]:
        """Plain values, nulls kept, from which `recipe_from` makes an equal recipe."""
        stages = {name: _stage_values(getattr(self, name)) for name in METHODS}
        evaluation = dataclasses.asdict(self.evaluate)
        whole = {"evaluate": evaluation, "rounds": self.rounds, "seed": self.seed, "budget": self.budget}
        return {**stages, **whole, **self.later}


def read_recipe(path: Path | None, assignments: Sequence[str]) -> dict[str, Any]:
    """The values of a recipe file with `stage.key=value` words laid over them."""
    values: dict[str, Any] = read_toml(path) if path else {}
    for key, value in parse_assignments(assignments).items():
        stage, dot, name = key.partition(".")
        if not dot:
            raise SettingsError(f"the setting {key!r} does not name its stage", _stage_hint(key, value))
        table = values.setdefault(stage, {})
        if not isinstance(table, dict):
            raise SettingsError(f"{stage!r} is not a stage, found {key}={value}", did_you_mean(stage, STAGES))
        table[name] = value
    return values


def _stage_hint(key: str, value: str) -> str:
    """What was probably meant by a setting without its stage."""
    if key in OPTIONS:
        return f"Write --{key} {value}"
    kinds = {name: load(entry(method, name)).Settings for name, method in METHODS.items()} | {"evaluate": Evaluation}
    known = [f"{stage}.{field.name}" for stage, kind in kinds.items() for field in dataclasses.fields(kind)]
    found = [one for one in known if one.partition(".")[2] == key]
    meant = "Did you mean " + " or ".join(found) + "?" if found else did_you_mean(key, known)
    return f"Settings are stage.key=value. {meant}"


def recipe_from(values: Mapping[str, Any], where: str) -> Recipe:
    """Make a recipe; unknown stages, methods and settings are refused with the nearest names."""
    known = (*STAGES, *OPTIONS, "round-2")
    later = {key: _later(key, value, where) for key, value in values.items() if _ROUND.fullmatch(key)}
    for key in values:
        if key not in known and key not in later:
            raise SettingsError(f"unknown stage or setting {key!r} in {where}", did_you_mean(key, known))
    stages = {name: _stage(name, values.get(name, {}), where) for name in METHODS}
    evaluation = fill(Evaluation, _table(values.get("evaluate", {}), "evaluate", where), f"[evaluate] of {where}")
    check_settings(evaluation, f"[evaluate] of {where}")
    check_part(evaluation.part)
    rounds, seed = _whole(values, "rounds", 1, where), _whole(values, "seed", 0, where)
    if rounds < 1:
        raise SettingsError(f"rounds in {where} should be at least 1, found {rounds}", "One round is: rounds = 1")
    budget = str(values.get("budget", ""))
    found = Recipe(**stages, evaluate=evaluation, rounds=rounds, seed=seed, budget=budget, later=later)
    found.at(rounds)  # so that a wrong setting of a later round is refused now
    return found


def _whole(values: Mapping[str, Any], key: str, default: int, where: str) -> int:
    value = values.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise SettingsError(f"{key} in {where} should be a whole number, found {value!r}", f"Write {key} = {default}")
    return value


def _later(name: str, values: Any, where: str) -> dict[str, dict[str, Any]]:
    table = _table(values, name, where)
    for stage in table:
        if stage not in METHODS:
            raise SettingsError(f"unknown stage {stage!r} in [{name}] of {where}", did_you_mean(stage, METHODS))
    return {stage: _table(settings, f"{name}.{stage}", where) for stage, settings in table.items()}


def _changed(name: str, stage: Stage, table: Mapping[str, Any], where: str) -> Stage:
    same = table.get("method", stage.method) == stage.method
    return _stage(name, {**(_stage_values(stage) if same else {}), **table}, f"[{where}]")


def _round_number(name: str) -> int:
    return int(name.removeprefix("round-"))


def _stage(name: str, values: Any, where: str) -> Stage:
    table = _table(values, name, where)
    method = str(table.pop("method", METHODS[name]))
    module = load(entry(method, name))
    refuse_unmet(module, name, {*SIGNATURES[name], "model", "place"})
    settings = fill(module.Settings, table, f"[{name}] of {where}")
    check_settings(settings, f"[{name}] of {where}")
    return Stage(method, settings)


def _table(values: Any, name: str, where: str) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise SettingsError(f"[{name}] of {where} should be a table, found {values!r}", f"[{name}]\nkey = value")
    return dict(values)


def _stage_values(stage: Stage) -> dict[str, Any]:
    return {"method": stage.method, **dataclasses.asdict(stage.settings)}
