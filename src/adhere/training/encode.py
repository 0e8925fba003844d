"""From records to what is trained on: token ids, the tokens that count, and how many rows fell away and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from adhere.core.errors import AdhereError, TrainingError
from adhere.core.record import Record
from adhere.models.chat import flat_text
from adhere.models.scoring import Dialogues, encode_pair

MOST_WEIGHT = 100.0  # of a row against the others; notes are read from files, and a slip there must not drown the rest


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
    """What became of the rows: printed by every tuning run.

    `dropped_unreadable` rows are those that the chat template refuses. `truncated` is 0: long rows are dropped.
    """

    rows: int = 0
    kept: int = 0
    tokens: int = 0
    labelled: int = 0
    truncated: int = 0
    dropped_without_labels: int = 0
    dropped_too_long: int = 0
    dropped_unreadable: int = 0
    ends_trained: int = 0

    def describe(self) -> str:
        """One line for people."""
        return (
            f"{self.kept} of {self.rows} examples, {self.labelled} labelled of {self.tokens} tokens, "
            f"dropped: {self.dropped_without_labels} without labels, {self.dropped_too_long} too long, "
            f"{self.dropped_unreadable} unreadable; end of turn trained in {self.ends_trained}"
        )


@dataclass(frozen=True)
class Encoded:
    """Units ready to train on, and the counts."""

    units: tuple[Unit, ...]
    counts: Counts = field(default_factory=Counts)


def encode_records(records: Iterable[Record], chat: Dialogues, max_length: int) -> Encoded:
    """One example per record, trained on the reply; `notes["weight"]` scales its loss.

    Rows longer than `max_length` tokens are left out, so that no reply teaches stopping in the middle; so are rows
    without a reply or with a blank one, and rows that the chat template refuses. All of them are counted. Raises
    `TrainingError` when no labelled token is left.
    """
    return fit_units((_unit(record, chat, False) for record in records), max_length)


def encode_preferences(records: Iterable[Record], chat: Dialogues, max_length: int) -> Encoded:
    """A unit of chosen and rejected reply per record; rows without both are left out like those of `encode_records`."""
    return fit_units((_unit(record, chat, True) for record in records), max_length)


def fit_units(rows: Iterable[Unit | str], max_length: int) -> Encoded:
    """Drop what cannot be read, is too long or has nothing to learn, and count.

    A row that could not be encoded is given as the reason. A unit is kept whole or dropped whole. Raises
    `TrainingError` when no labelled token is left.
    """
    kept: list[Unit] = []
    dropped: Counter[str] = Counter()
    first_reason = ""
    for row in rows:
        if isinstance(row, str):
            dropped["unreadable"] += 1
            first_reason = first_reason or f" The first unreadable one: {row}"
        elif any(len(example.ids) > max_length for example in row):
            dropped["too long"] += 1
        elif not row or not all(example.targets for example in row):
            dropped["without labels"] += 1
        else:
            kept.append(row)
    examples = [example for unit in kept for example in unit]
    counts = Counts(
        rows=len(kept) + dropped.total(),
        kept=len(kept),
        tokens=sum(len(example.ids) for example in examples),
        labelled=sum(len(example.targets) for example in examples),
        dropped_without_labels=dropped["without labels"],
        dropped_too_long=dropped["too long"],
        dropped_unreadable=dropped["unreadable"],
        ends_trained=sum(all(example.supervised[-1] for example in unit) for unit in kept),
    )
    if counts.labelled == 0:
        raise TrainingError(
            f"expected labelled tokens to train on, found none: {counts.describe()}",
            f"Give records that end with an assistant message, shorter than max_length={max_length} tokens."
            + first_reason,
        )
    return Encoded(tuple(kept), counts)


def _unit(record: Record, chat: Dialogues, is_pair: bool) -> Unit | str:
    """What a record teaches: nothing without a reply, and the reason where the template refuses it."""
    if record.reply is None or (is_pair and record.rejected is None):
        return ()
    weight = _weight(record)
    try:
        if not flat_text(record.messages[-1]).strip():
            return ()
        if is_pair:
            rows = [encode_pair(record.prompt, reply, chat) for reply in (record.reply, record.rejected or "")]
        else:
            rows = [chat.encode_dialogue(record.messages)]
    except AdhereError as error:
        return error.message
    return tuple(Example(tuple(ids), tuple(marks), weight, record.id) for ids, marks in rows)


def _weight(record: Record) -> float:
    """`notes["weight"]` where it is a finite number above 0 and at most 100, else 1.0."""
    found = record.notes.get("weight")
    if isinstance(found, bool) or not isinstance(found, int | float):
        return 1.0
    return float(found) if 0 < found <= MOST_WEIGHT else 1.0  # no comparison holds for NaN
