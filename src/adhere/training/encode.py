"""From records to what is trained on: token ids, the tokens that count, and how many rows fell away and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from adhere.core.errors import TrainingError
from adhere.core.record import Record, assistant
from adhere.models.scoring import Dialogues, encode_pair


@dataclass(frozen=True)
class Example:
    """One dialogue in tokens. `supervised[i]` says that token i counts in the loss.

    `weight` multiplies its loss, `group` says what it belongs to (a prompt, a task) for losses and reports.
    `reference` holds the frozen model's log-probabilities of the supervised tokens, where a loss needs them.
    """

    ids: tuple[int, ...]
    supervised: tuple[bool, ...]
    weight: float = 1.0
    group: str = ""
    reference: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.ids) != len(self.supervised):
            raise TrainingError(
                f"expected a mark for each of {len(self.ids)} tokens, found {len(self.supervised)}",
                "Give ids and supervised of equal length.",
            )

    @property
    def targets(self) -> tuple[int, ...]:
        """Positions of the tokens that count. The first token is never predicted, so it never counts."""
        return tuple(index for index in range(1, len(self.ids)) if self.supervised[index])


Unit = tuple[Example, ...]
"""Examples that a loss must see together: one for supervised tuning, chosen and rejected for preferences."""


@dataclass(frozen=True)
class Counts:
    """What became of the rows: printed by every tuning run."""

    rows: int = 0
    kept: int = 0
    tokens: int = 0
    labelled: int = 0
    truncated: int = 0
    dropped_without_labels: int = 0
    dropped_too_long: int = 0
    ends_trained: int = 0

    def describe(self) -> str:
        """One line for people."""
        return (
            f"{self.kept} of {self.rows} examples, {self.labelled} labelled of {self.tokens} tokens, "
            f"{self.truncated} truncated, dropped: {self.dropped_without_labels} without labels, "
            f"{self.dropped_too_long} too long; end of turn trained in {self.ends_trained}"
        )


@dataclass(frozen=True)
class Encoded:
    """Units ready to train on, and the counts."""

    units: tuple[Unit, ...]
    counts: Counts = field(default_factory=Counts)


def encode_records(
    records: Iterable[Record], chat: Dialogues, max_length: int, last_turn_only: bool = False, too_long: str = "drop"
) -> Encoded:
    """One example per record, trained on what the assistant says.

    `too_long="truncate"` cuts rows at `max_length` tokens, which loses their end of turn; `"drop"` leaves them out,
    so that no reply teaches stopping in the middle. Raises `TrainingError` when no labelled token is left.
    """
    rows: list[tuple[Example, ...]] = []
    for record in records:
        if record.reply is None:
            rows.append((Example((), ()),))
            continue
        if last_turn_only:
            ids, marks = encode_pair(record.prompt, record.reply, chat)
        else:
            ids, marks = chat.encode_dialogue(record.messages)
        rows.append((Example(tuple(ids), tuple(marks), _weight(record), record.id),))
    return fit_units(rows, max_length, too_long)


def encode_preferences(records: Iterable[Record], chat: Dialogues, max_length: int) -> Encoded:
    """A unit of chosen and rejected reply per record; rows without both, or too long, are dropped and counted."""
    rows: list[tuple[Example, ...]] = []
    for record in records:
        if record.reply is None or record.rejected is None:
            rows.append((Example((), ()),))
            continue
        sides = (record.messages, (*record.prompt, assistant(record.rejected)))
        encoded = [encode_pair(side[:-1], side[-1].text, chat) for side in sides]
        rows.append(tuple(Example(tuple(ids), tuple(marks), _weight(record), record.id) for ids, marks in encoded))
    return fit_units(rows, max_length, "drop")


def fit_units(rows: Iterable[Unit], max_length: int, too_long: str = "drop") -> Encoded:
    """Truncate or drop what is too long, drop what has nothing to learn, and count.

    A unit is kept whole or dropped whole. Raises `TrainingError` when no labelled token is left.
    """
    if too_long not in ("drop", "truncate"):
        raise TrainingError(f"expected too_long drop or truncate, found {too_long!r}", "Use too_long=drop.")
    kept: list[Unit] = []
    counts = Counts()
    for row in rows:
        unit, counts = row, replace(counts, rows=counts.rows + 1)
        if any(len(example.ids) > max_length for example in row):
            if too_long == "drop":
                counts = replace(counts, dropped_too_long=counts.dropped_too_long + 1)
                continue
            unit = tuple(_cut(example, max_length) for example in row)
            counts = replace(counts, truncated=counts.truncated + 1)
        if not unit or not all(example.targets for example in unit):
            counts = replace(counts, dropped_without_labels=counts.dropped_without_labels + 1)
            continue
        kept.append(unit)
        counts = replace(
            counts,
            kept=counts.kept + 1,
            tokens=counts.tokens + sum(len(example.ids) for example in unit),
            labelled=counts.labelled + sum(len(example.targets) for example in unit),
            ends_trained=counts.ends_trained + int(all(_trains_end(*pair) for pair in zip(unit, row, strict=True))),
        )
    if counts.labelled == 0:
        raise TrainingError(
            f"expected labelled tokens to train on, found none: {counts.describe()}",
            f"Give records that end with an assistant message, shorter than max_length={max_length} tokens.",
        )
    return Encoded(tuple(kept), counts)


def _weight(record: Record) -> float:
    found = record.notes.get("weight", 1.0)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else 1.0


def _cut(example: Example, max_length: int) -> Example:
    return replace(example, ids=example.ids[:max_length], supervised=example.supervised[:max_length])


def _trains_end(example: Example, whole: Example) -> bool:
    """Whether the last token that an assistant wrote, its end of turn, is still there and counts."""
    return bool(whole.targets) and example.targets[-1:] == whole.targets[-1:]
