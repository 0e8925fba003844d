"""Select verified, novel and balanced rows: the gate between synthesis and tuning.

Our own combination of published parts: the ROUGE-L novelty filter of Self-Instruct (Wang et al. 2023,
section 2.2: reject above 0.7), applied to whole rows (prompt and reply) because composed prompts share
their seed instruction on purpose; and balance over constraint families and over the number of
constraints, without which easy families crowd out the rest.

What Self-Instruct says and does: novelty of instructions only, against a pool of about 52,000.
What we do: the same measure and threshold over `prompt + reply`, exact, near-linear; every row is verified
again here, so that no row depends on what an earlier stage claimed. Balance has to leave something out to work:
without a limit the balanced choice is `keep` (0.85) of the rows that are sound. Rows without a reply, and rows
whose checks cannot be judged, are dropped with the reason.
Left out: difficulty and influence scores; they are methods of their own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from adhere.core.errors import SettingsError
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
    version="2",
    family="selection",
    paper="arXiv:2212.10560",
)


@dataclass(frozen=True)
class Settings:
    """What is let through.

    `limit` rows at most, chosen balanced; at 0 the share `keep` of the sound rows instead (more than 0, at most 1;
    rounded down, but one row at least; 1 keeps them all, unbalanced). `novelty` is the largest ROUGE-L F to any kept
    row (Self-Instruct: 0.7).
    """

    limit: int = 0
    keep: float = 0.85
    novelty: float = 0.7


def select(
    records: Sequence[Record], settings: Settings, seed: int = 0, progress: Progress = silent
) -> Iterator[Record | Dropped]:
    """The rows that pass, in their first order; the others with the reason.

    Raises `SettingsError` for a share `keep` outside (0, 1].
    """
    if not 0 < settings.keep <= 1:
        raise SettingsError(f"keep should be above 0 and at most 1, found {settings.keep}", "For example: keep=0.85")
    verifier = ConstraintVerifier(ALL_TYPES)
    index = NoveltyIndex(threshold=settings.novelty)
    sound: list[Record] = []
    for done, record in enumerate(records, 1):
        progress("select", done, len(records))
        refusal = _refusal(record, verifier)
        if refusal:
            yield Dropped(record, refusal)
        elif not index.add(f"{record.instruction}\n{record.reply}", record.id):
            yield Dropped(record, "not novel: too near to a row already kept")
        else:
            sound.append(record)
    kept = balanced(sound, _families, settings.limit or _share(settings.keep, len(sound)), seed)
    chosen = {record.id for record in kept}
    for record in sound:
        yield record if record.id in chosen else Dropped(record, "balance: its families are full")


def _refusal(record: Record, verifier: ConstraintVerifier) -> str:
    """Why a row cannot be trained on, or an empty string."""
    if not (record.reply or "").strip():
        return "no reply"
    if not record.checks:
        return ""
    verdict = verifier.verify(record, record.reply or "")
    if verdict.passed is None:
        return f"not judged: {verdict.reason}"
    return "" if verdict.passed else f"not verified: {verdict.reason}"


def _share(keep: float, count: int) -> int:
    """That share of `count`, rounded down but never to nothing; the small addend undoes 0.85 * 20 = 16.999..."""
    return max(1, int(keep * count + 1e-9))


def _families(record: Record) -> tuple[str, ...]:
    return tuple(sorted({ALL_TYPES[check.kind].family for check in record.checks if check.kind in ALL_TYPES}))
