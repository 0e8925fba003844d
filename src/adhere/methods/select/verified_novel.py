"""Select verified, novel and balanced rows: the gate between synthesis and tuning.

Our own combination of published parts: the ROUGE-L novelty filter of Self-Instruct (Wang et al. 2023,
section 2.2: reject above 0.7), applied to whole rows (prompt and reply) because composed prompts share
their seed instruction on purpose; and balance over constraint families and over the number of
constraints, without which easy families crowd out the rest.

What Self-Instruct says and does: novelty of instructions only, against a pool of about 52,000.
What we do: the same measure and threshold over `prompt + reply`, exact, near-linear; every row is verified
again here, so that no row depends on what an earlier stage claimed.
Left out: difficulty and influence scores; they are methods of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from adhere.core.method import Card
from adhere.core.progress import Progress, silent
from adhere.core.record import Record
from adhere.core.step import Dropped
from adhere.data.balance import balanced
from adhere.data.novelty import NoveltyIndex
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.score import ConstraintVerifier

CARD = Card(
    summary="Keep rows that verify, are novel by exact ROUGE-L, and balance families and counts.",
    version="1",
    paper="arXiv:2212.10560",
)


@dataclass(frozen=True)
class Settings:
    """`limit` rows at most (0: all); `novelty` is the largest ROUGE-L F to any kept row (Self-Instruct: 0.7)."""

    limit: int = 0
    novelty: float = 0.7


def select(
    records: Sequence[Record], settings: Settings, seed: int = 0, progress: Progress = silent
) -> Iterator[Record | Dropped]:
    """The rows that pass, in their first order; the others with the reason."""
    verifier = ConstraintVerifier(ALL_TYPES)
    index = NoveltyIndex(threshold=settings.novelty)
    sound: list[Record] = []
    for done, record in enumerate(records, 1):
        progress("select", done, len(records))
        verdict = verifier.verify(record, record.reply or "")
        if record.checks and not verdict.passed:
            yield Dropped(record, f"not verified: {verdict.reason}")
        elif not index.add(f"{record.instruction}\n{record.reply}", record.id):
            yield Dropped(record, "not novel: too near to a row already kept")
        else:
            sound.append(record)
    kept = balanced(sound, _families, settings.limit or None, seed)
    chosen = {record.id for record in kept}
    for record in sound:
        yield record if record.id in chosen else Dropped(record, "balance: its families are full")


def _families(record: Record) -> tuple[str, ...]:
    return tuple(sorted({ALL_TYPES[check.kind].family for check in record.checks if check.kind in ALL_TYPES}))
