"""`Step`: a function from records to records; what it drops is kept with the reason."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from adhere.core.record import Record


class Dropped(msgspec.Struct, frozen=True):
    """A row that a step did not let through, and why. `reason` starts with a class: `guard: repetition`."""

    record: Record
    reason: str


def divided(outcomes: Iterable[Record | Dropped]) -> tuple[list[Record], list[Dropped]]:
    """Kept rows and dropped rows, each in order."""
    kept: list[Record] = []
    dropped: list[Dropped] = []
    for outcome in outcomes:
        if isinstance(outcome, Record):
            kept.append(outcome)
        else:
            dropped.append(outcome)
    return kept, dropped
