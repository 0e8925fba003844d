"""`Method`: a module with `CARD`, `Settings`, one arrow function, and `prove`."""

from __future__ import annotations

import msgspec

from adhere.core.proof import Relation

ARROWS = ("synth", "select", "steer", "tune", "reward", "evaluate", "act")
FAMILIES = (
    "generation", "selection", "tuning", "rewards", "decoding", "prompting", "evaluation", "understanding", "agents",
    "embodied", "multimodal", "code", "safety", "values", "domains", "outside",
)  # fmt: skip


class Card(msgspec.Struct, frozen=True):
    """Who thought of it and what it does. Every field is a literal, so that cards are read without import.

    `family` is one of `FAMILIES`: what its field calls it, where the arrow says what it does.
    `seed` is the system's id in the list of published systems, or None for our own. `needs` names
    capabilities (`Generates`, `Trains`); `builds_on` the methods this one may import. `version` rises
    when replies to the same settings could change. `per_record` says that what becomes of a record depends on
    that record, the settings and the seed alone, so that a file may be worked through in shards.

    What the proof is to show is declared here, before it runs: `claim` is one sentence with the direction that the
    paper states, `metric` the paper's own, `relation` and `margin` say when it holds (see `core.proof`).
    """

    summary: str
    version: str
    family: str = ""
    paper: str = ""
    seed: int | None = None
    needs: tuple[str, ...] = ()
    builds_on: tuple[str, ...] = ()
    per_record: bool = False
    claim: str = ""
    metric: str = ""
    relation: Relation = "higher"
    margin: float = 0.0
