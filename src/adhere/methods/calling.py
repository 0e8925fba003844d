"""Calling a method: what each arrow's function takes, and giving it those of the offered values that it names."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from types import ModuleType
from typing import Any

from adhere.core.errors import SettingsError

# The parameters of each arrow's function, by name and in order.
SIGNATURES: dict[str, tuple[str, ...]] = {
    "synth": ("records", "model", "settings", "seed", "progress"),
    "select": ("records", "settings", "seed", "progress"),
    "steer": ("model", "records", "settings", "seed", "progress"),
    "tune": ("model", "records", "place", "settings", "seed", "progress", "should_stop"),
    "reward": ("records", "settings", "seed", "progress"),
    "evaluate": ("model", "settings", "data", "seed", "limit", "progress"),
    "act": ("model", "settings", "seed", "progress"),
}
# What a method may ask for besides, as keyword-only parameters: a model to score with, rows like those that the tuned
# model is meant for, a world to act in, records to learn from, a folder for files.
FURTHER: dict[str, tuple[str, ...]] = {
    "synth": ("world",),
    "select": ("model", "target", "place"),
    "steer": ("place",),
    "reward": ("model", "place"),
    "evaluate": (),
    "act": ("records", "world", "place"),
}


def takes(module: ModuleType, arrow: str) -> frozenset[str]:
    """The names of what a method's arrow takes, wanted or not."""
    return frozenset(inspect.signature(getattr(module, arrow)).parameters)


def refuse_unmet(module: ModuleType, arrow: str, offered: Collection[str]) -> None:
    """Raise a `SettingsError` that names what a method needs and is not among what is `offered`."""
    parameters = inspect.signature(getattr(module, arrow)).parameters
    needed = (name for name, one in parameters.items() if one.default is inspect.Parameter.empty)
    missing = [name for name in needed if name not in offered]
    if missing:
        name = module.__name__.rsplit(".", 1)[-1].replace("_", "-")
        raise SettingsError(f"{name} needs {' and '.join(missing)}", f"See what it takes with: adhere show {name}")


def call(module: ModuleType, arrow: str, offered: Mapping[str, Any]) -> Any:
    """Call a method's arrow with what it takes of `offered`; a `SettingsError` names what it needs and is not there."""
    wanted = takes(module, arrow)
    given = {name: value for name, value in offered.items() if name in wanted and value is not None}
    refuse_unmet(module, arrow, given)
    return getattr(module, arrow)(**given)
