"""`Verifier` and its verdict of three outcomes: passed, failed, not judged."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

from adhere.core.record import Record


class Verdict(msgspec.Struct, frozen=True):
    """What a check found.

    `passed` is None when the check cannot judge, which is counted apart and is never a zero. `score` is
    partial credit in [0, 1], 1.0 exactly when passed. `reason` says what was counted and by how much it
    missed. `vacuous` marks a pass that was never exercised (no comma in an empty reply). `spans` are the
    half-open character ranges of the reply that the verdict rests on. `miss` is by how much a count missed, in the
    unit that was counted: negative when there was too little, 0 when it passed or nothing was counted.
    """

    passed: bool | None
    score: float
    reason: str
    vacuous: bool = False
    spans: tuple[tuple[int, int], ...] = ()
    miss: int = 0


@runtime_checkable
class Verifier(Protocol):
    """Judges a reply to a record."""

    def verify(self, record: Record, reply: str) -> Verdict: ...
