"""`Method`: a module with `CARD`, `Settings` and one arrow function."""

from __future__ import annotations

import msgspec

ARROWS = ("synth", "select", "steer", "tune", "reward", "evaluate", "act")


class Card(msgspec.Struct, frozen=True):
    """Who thought of it and what it does. Every field is a literal, so that cards are read without import.

    `seed` is the system's id in the list of published systems, or None for our own. `needs` names
    capabilities (`Generates`, `Trains`); `builds_on` the methods this one may import. `version` rises
    when replies to the same settings could change.
    """

    summary: str
    version: str
    paper: str = ""
    seed: int | None = None
    needs: tuple[str, ...] = ()
    builds_on: tuple[str, ...] = ()
