"""Which examples go through the model together, and which of those make an optimiser step.

Units are packed best-fit into rows of at most `max_length` tokens. A row is a stream of segments: positions
start anew in each and attention stays inside, so packing changes no loss.
"""

from __future__ import annotations

import bisect
import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

from adhere.core.errors import TrainingError
from adhere.training.encode import Example, Unit


@dataclass(frozen=True)
class Batch:
    """One optimiser step: rows of units; each row goes through the model in one pass."""

    rows: tuple[tuple[Unit, ...], ...]

    @property
    def units(self) -> tuple[Unit, ...]:
        """All units of the step."""
        return tuple(unit for row in self.rows for unit in row)


@dataclass(frozen=True)
class Stream:
    """A row as the model takes it, in plain lists.

    `ids` and `lengths` are the flat stream and its segments, `positions` start at 0 in each segment and `segments`
    number them. `places` are the stream positions whose next token is a target, `targets` those tokens, and
    `owners` the index of the example in `examples` that each target belongs to.
    """

    examples: tuple[Example, ...]
    ids: tuple[int, ...]
    lengths: tuple[int, ...]
    positions: tuple[int, ...]
    segments: tuple[int, ...]
    places: tuple[int, ...]
    targets: tuple[int, ...]
    owners: tuple[int, ...]


def join(units: Sequence[Unit]) -> Stream:
    """Lay the examples of the units one after another."""
    examples = tuple(example for unit in units for example in unit)
    ids: list[int] = []
    positions: list[int] = []
    segments: list[int] = []
    places: list[int] = []
    targets: list[int] = []
    owners: list[int] = []
    for number, example in enumerate(examples):
        start = len(ids)
        for index in example.targets:
            places.append(start + index - 1)
            targets.append(example.ids[index])
            owners.append(number)
        ids += example.ids
        positions += range(len(example.ids))
        segments += [number] * len(example.ids)
    lengths = tuple(len(example.ids) for example in examples)
    return Stream(
        examples, tuple(ids), lengths, tuple(positions), tuple(segments), tuple(places), tuple(targets), tuple(owners)
    )


def size_of(unit: Unit) -> int:
    """Tokens of a unit."""
    return sum(len(example.ids) for example in unit)


def pack(units: Sequence[Unit], max_length: int) -> list[tuple[Unit, ...]]:
    """Best-fit decreasing: rows of units with at most `max_length` tokens each.

    Every unit lands in exactly one row, in a row of its own when it alone is longer (a pair of two long replies).
    Within a row units keep their order of arrival; ties are decided by that order, so equal input gives equal rows.
    """
    if max_length < 1:
        raise TrainingError(f"expected max_length of 1 or more, found {max_length}", "For example: max_length=512")
    sizes = [size_of(unit) for unit in units]
    rows: list[list[int]] = []
    open_rows: list[tuple[int, int]] = []  # (room left, row), sorted: the first with room enough fits best
    for index in sorted(range(len(units)), key=lambda index: (-sizes[index], index)):
        at = bisect.bisect_left(open_rows, (sizes[index], -1))
        if at < len(open_rows):
            room, row = open_rows.pop(at)
            rows[row].append(index)
        else:
            room, row = max(max_length, sizes[index]), len(rows)
            rows.append([index])
        if room > sizes[index]:
            bisect.insort(open_rows, (room - sizes[index], row))
    return [tuple(units[index] for index in sorted(row)) for row in rows]


def plan_batches(
    units: Sequence[Unit],
    max_length: int,
    tokens_per_step: int,
    epochs: float = 1.0,
    seed: int = 0,
    row_tokens: int = 1024,
) -> list[Batch]:
    """The optimiser steps of a whole run, in order; equal arguments give equal steps.

    A row is one pass through the model. It may hold `row_tokens` tokens when a step has room for them, which on a CPU
    is a little faster than rows of 512; on a large card take more. Memory grows with it.
    Each epoch packs all units, shuffles the rows, and cuts steps of about `tokens_per_step` tokens; the last step
    of an epoch may be smaller and is normalised by what it holds. A fractional epoch takes that share of the rows.
    """
    if epochs <= 0 or tokens_per_step < 1:
        raise TrainingError(
            f"expected epochs above 0 and tokens_per_step of 1 or more, found {epochs} and {tokens_per_step}",
            "For example: epochs=2 tokens_per_step=2048",
        )
    batches: list[Batch] = []
    left, epoch = epochs, 0
    while left > 1e-9:
        order = list(units)
        shuffler = random.Random(f"{seed}/{epoch}")
        shuffler.shuffle(order)
        rows = pack(order, max(max_length, min(row_tokens, tokens_per_step)))
        shuffler.shuffle(rows)
        if left < 1:
            rows = rows[: max(1, round(len(rows) * left))]
        batches += _cut_steps(rows, tokens_per_step)
        left, epoch = left - 1, epoch + 1
    return batches


def _cut_steps(rows: Sequence[tuple[Unit, ...]], tokens_per_step: int) -> list[Batch]:
    """Steps that come as near to `tokens_per_step` as whole rows allow."""
    steps: list[Batch] = []
    held: list[tuple[Unit, ...]] = []
    total = 0
    for row in rows:
        size = sum(size_of(unit) for unit in row)
        if held and total + size / 2 > tokens_per_step:
            steps.append(Batch(tuple(held)))
            held, total = [], 0
        held.append(row)
        total += size
    if held:
        steps.append(Batch(tuple(held)))
    return steps


def fingerprint(batches: Sequence[Batch]) -> str:
    """sha256 over tokens, marks and weights of all steps: what a resumed run must have in common.

    References are left out: they follow from the tokens and the frozen model, and another number of threads
    changes their last digits, which must not keep a run from going on.
    """
    digest = hashlib.sha256()
    for batch in batches:
        for row in batch.rows:
            for unit in row:
                for example in unit:
                    digest.update(repr((example.ids, example.supervised, example.weight)).encode())
                digest.update(b"|")
            digest.update(b"/")
        digest.update(b"#")
    return digest.hexdigest()
