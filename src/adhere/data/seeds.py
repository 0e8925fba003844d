"""The seed instructions that ship with the package, in our own words."""

from __future__ import annotations

from importlib import resources
from typing import Literal

import msgspec

from adhere.core.errors import DataError
from adhere.core.record import Record, user

MADE_BY = "seeds@1"

Skill = Literal[
    "writing",
    "rewriting",
    "explaining",
    "listing",
    "extracting",
    "planning",
    "classifying",
    "answering",
    "summarising",
    "brainstorming",
    "advising",
    "roleplay",
    "comparing",
]


class Seed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of the file: what is asked, the text it is asked about (may be empty), skill and subject."""

    instruction: str
    input: str
    skill: Skill
    subject: str


def shipped_seeds() -> list[Record]:
    """Every shipped seed as a record of one user message, in file order.

    The message is the instruction, followed by a blank line and the input text where there is one. Notes hold
    `skill` and `subject`. No seed asks for a form that a check could verify: constraints are added by synthesis.
    """
    text = resources.files("adhere.data").joinpath("seeds.jsonl").read_text(encoding="utf-8")
    decoder = msgspec.json.Decoder(Seed)
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            found.append(_record(decoder.decode(line)))
        except msgspec.MsgspecError as error:
            raise DataError(f"seeds.jsonl, line {number}: {error}", "The installed package is damaged.") from None
    return found


def _record(seed: Seed) -> Record:
    asked = f"{seed.instruction}\n\n{seed.input}" if seed.input else seed.instruction
    return Record((user(asked),), made_by=MADE_BY, notes={"skill": seed.skill, "subject": seed.subject})
