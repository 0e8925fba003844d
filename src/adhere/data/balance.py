"""Choose records so that no constraint family and no number of constraints crowds out the others."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from adhere.core.errors import SettingsError
from adhere.core.record import Record, content_hash

Cell = tuple[str, int]


def balanced(
    records: Sequence[Record], families_of: Callable[[Record], Iterable[str]], limit: int | None, seed: int
) -> list[Record]:
    """At most `limit` of the records, balanced over constraint families and over how many constraints they have.

    A record stands in one cell per family it has, (family, number of its checks); one without families stands
    in the cell ("", number). Greedy: again and again a record is taken from the cell of which fewest have been
    taken. Which record, and which of equal cells, is drawn by `seed` from their contents, so the order of the
    input does not matter to the choice; the result keeps that order. `limit` None keeps every record.
    """
    if limit is not None and limit < 0:
        raise SettingsError(f"the limit should be 0 or more, found {limit}")
    if limit is None or limit >= len(records):
        return list(records)
    cells = [_cells(record, families_of) for record in records]
    chosen = _choose([record.id for record in records], cells, limit, seed)
    return [record for position, record in enumerate(records) if position in chosen]


def _cells(record: Record, families_of: Callable[[Record], Iterable[str]]) -> list[Cell]:
    return sorted({(family, len(record.checks)) for family in list(families_of(record)) or [""]})


def _choose(ids: list[str], cells: list[list[Cell]], limit: int, seed: int) -> set[int]:
    drawn = sorted(range(len(ids)), key=lambda position: (content_hash([seed, ids[position]]), position), reverse=True)
    waiting: dict[Cell, list[int]] = {}
    for position in drawn:
        for cell in cells[position]:
            waiting.setdefault(cell, []).append(position)
    tie = {cell: content_hash([seed, cell]) for cell in waiting}
    taken: Counter[Cell] = Counter()
    heap = [(0, tie[cell], cell) for cell in waiting]
    heapq.heapify(heap)
    chosen: set[int] = set()
    while len(chosen) < limit:
        count, _, cell = heapq.heappop(heap)
        if count != taken[cell]:
            continue  # out of date: the cell was pushed again when a record of it was taken through another
        found = _next(waiting[cell], chosen)
        if found is None:
            continue  # used up
        chosen.add(found)
        for touched in cells[found]:
            taken[touched] += 1
            heapq.heappush(heap, (taken[touched], tie[touched], touched))
    return chosen


def _next(queue: list[int], chosen: set[int]) -> int | None:
    while queue:
        position = queue.pop()
        if position not in chosen:
            return position
    return None
