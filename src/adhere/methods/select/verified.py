"""Keep rows whose replies pass their checks: the plainest of gates, for files of any size.

1. Every row is verified on its own, by running its checks.
2. A row without a reply, or whose reply is no answer, is dropped with the reason.
3. What cannot be judged is not kept, and is told apart from what failed.

Our own. Rows do not know of each other: novelty and balance, which need all rows, are in verified-novel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from adhere.core.method import Card
from adhere.core.progress import Progress, silent
from adhere.core.record import Record
from adhere.core.step import Dropped
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.guard import degenerate
from adhere.verify.score import ConstraintVerifier

CARD = Card(
    summary="Keep rows whose reply is an answer and passes all its checks.",
    version="1",
    family="selection",
    per_record=True,
)


@dataclass(frozen=True)
class Settings:
    """What is let through.

    With `answers_only` replies that say nothing (empty, looping, a copy of the prompt) are dropped too; without
    `unchecked` so are rows that have no checks.
    """

    answers_only: bool = True
    unchecked: bool = True


def select(
    records: Sequence[Record], settings: Settings, seed: int = 0, progress: Progress = silent
) -> Iterator[Record | Dropped]:
    """The rows that pass, in their order; the others with the reason."""
    verifier = ConstraintVerifier(ALL_TYPES)
    for done, record in enumerate(records, 1):
        progress("select", done, len(records))
        refusal = _refusal(record, verifier, settings)
        yield Dropped(record, refusal) if refusal else record


def _refusal(record: Record, verifier: ConstraintVerifier, settings: Settings) -> str:
    """Why a row is not kept; empty when it is."""
    reply = record.reply or ""
    if not reply.strip():
        return "no reply"
    reason = degenerate(record, reply) if settings.answers_only else None
    if reason:
        return f"guard: {reason}"
    if not record.checks:
        return "" if settings.unchecked else "no checks"
    verdict = verifier.verify(record, reply)
    if verdict.passed is None:
        return f"not judged: {verdict.reason}"
    return "" if verdict.passed else f"not verified: {verdict.reason}"
