"""Judging files of any length: rows of prompt, reply and checks in, verdicts out, in order, on all cores.

Memory does not grow with the file: rows are read, judged and handed on in chunks, and only counts are kept. A row that
cannot be read is set aside with its line. Where a row gives no checks, those that its prompt states are found
(`adhere.verify.find`), and the verdict says so.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from adhere.core.errors import EXIT_ENVIRONMENT, DataError, VerifierError
from adhere.core.record import Check, Record
from adhere.core.verifier import Verdict
from adhere.data.read import REPLY_KEYS, BadRow, RejectedRow, Row, record_from, rows_of_file, shown
from adhere.evals.floor import Floor, null_floor
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.constraint import ConstraintType
from adhere.verify.score import Outcome, all_passed, judge

CHUNK_ROWS = 64
CHUNK_CHARACTERS = 1_000_000
FLOOR_ROWS = 500
Types = Mapping[str, ConstraintType]


class Judging(msgspec.Struct, frozen=True):
    """How to judge: by which register, and whether to look for checks in prompts that come without."""

    register: str = "faithful"
    given_only: bool = False


class KindCounts(msgspec.Struct):
    """How the checks of one type fared."""

    judged: int = 0
    strict: int = 0
    loose: int = 0
    vacuous: int = 0
    not_judged: int = 0

    def add(self, strict: bool | None, loose: bool | None, vacuous: bool) -> None:
        """Count one check; None was not judged."""
        if strict is None:
            self.not_judged += 1
            return
        self.judged += 1
        self.strict += strict
        self.loose += bool(loose)
        self.vacuous += strict and vacuous

    def merge(self, other: KindCounts) -> None:
        """Add the counts of another."""
        for name in self.__struct_fields__:
            setattr(self, name, getattr(self, name) + getattr(other, name))


def kind_table(kinds: Mapping[str, KindCounts]) -> Iterator[str]:
    """Lines of a table for people: each family, then its types."""
    families: dict[str, dict[str, KindCounts]] = {}
    for kind, counts in sorted(kinds.items()):
        families.setdefault(kind.partition(":")[0], {})[kind.partition(":")[2] or kind] = counts
    width = max(len("family and type"), *(len(name) for name in kinds))
    yield f"  {'family and type':{width}}  {'n':>7}  {'passed':>7}  {'loosely':>7}  {'failed':>7}  not judged  vacuous"
    for family, group in families.items():
        total = KindCounts()
        for counts in group.values():
            total.merge(counts)
        if len(group) == 1:
            yield _kind_line(next(kind for kind in kinds if kind.partition(":")[0] == family), total, width)
            continue
        yield _kind_line(family, total, width)
        for name, counts in group.items():
            yield _kind_line(f"  {name}", counts, width)


def _kind_line(name: str, counts: KindCounts, width: int) -> str:
    shares = [f"{100 * n / counts.judged:.1f} %" if counts.judged else "-" for n in (counts.strict, counts.loose)]
    failed = counts.judged - counts.strict
    return (
        f"  {name:{width}}  {counts.judged + counts.not_judged:7,}  {shares[0]:>7}  {shares[1]:>7}  {failed:7,}  "
        f"{counts.not_judged:10,}  {counts.vacuous:7,}"
    )


class Tally(msgspec.Struct):
    """Counts over rows: by outcome, how many had their checks found and not given, and by constraint type."""

    passed: int = 0
    failed: int = 0
    not_judged: int = 0
    found: int = 0
    without_checks: int = 0
    kinds: dict[str, KindCounts] = {}

    @property
    def rows(self) -> int:
        """All rows that could be read."""
        return self.passed + self.failed + self.not_judged

    def merge(self, other: Tally) -> None:
        """Add the counts of another."""
        for name in ("passed", "failed", "not_judged", "found", "without_checks"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for kind, counts in other.kinds.items():
            self.kinds.setdefault(kind, KindCounts()).merge(counts)


class Judged(msgspec.Struct, frozen=True):
    """A chunk of rows, judged: verdicts as JSON lines, rows set aside, counts, and each row's checks."""

    lines: bytes
    rejected: tuple[RejectedRow, ...]
    tally: Tally
    checks: tuple[tuple[Check, ...], ...]


def rows_of(path: Path, limit: int | None = None) -> Iterator[Row]:
    """The rows of a file with their line numbers, as they are read; at most `limit`."""
    return itertools.islice(rows_of_file(path), limit)


def checked_record(row: Any) -> Record:
    """A row as a record with its checks, whichever form it has; raises `BadRow`, which says what is wrong.

    Checks stand under `checks`, as objects or as JSON in a string, or in IFEval's two columns. A reply may be empty,
    which is not the same as none.
    """
    if isinstance(row, BadRow):
        raise row
    if not isinstance(row, dict):
        return record_from(row)
    given = dict(row)
    checks = _given_checks(given)
    record = record_from(given)
    if record.reply is None and any(given.get(key) == "" for key in REPLY_KEYS):
        record = record.with_reply("")
    notes = {"key": str(given["key"])} if isinstance(given.get("key"), int | str) else {}
    return msgspec.structs.replace(record, checks=checks, notes={**record.notes, **notes})


def _given_checks(row: dict[str, Any]) -> tuple[Check, ...]:
    """The checks of a row, taken out of it."""
    given = _decoded(row.pop("checks", None), "checks")
    ids, kwargs = row.pop("instruction_id_list", None), row.pop("kwargs", None)
    if given is None and isinstance(ids, list):
        params = kwargs if isinstance(kwargs, list) else []
        if len(ids) != len(params):
            raise BadRow(f"expected as many kwargs as instruction ids, found {len(params)} and {len(ids)}")
        given = [{"kind": kind, "params": one or {}} for kind, one in zip(ids, params, strict=True)]
    if given is None:
        return ()
    if not isinstance(given, list):
        raise BadRow(f"checks should be a list, found {type(given).__name__}")
    given = [{**one, "params": _params(one)} if isinstance(one, dict) else one for one in given]
    try:
        return msgspec.convert(given, tuple[Check, ...])
    except msgspec.ValidationError as error:
        raise BadRow(f"checks are not a list of kind and params: {error}") from None


def _params(check: dict[str, Any]) -> Any:
    params = _decoded(check.get("params"), "params")
    if isinstance(params, dict):  # columns of a table hold a null for every parameter of every other type
        return {key: value for key, value in params.items() if value is not None}
    return {} if params is None else params


def _decoded(value: Any, name: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return msgspec.json.decode(value) if value.strip() else None
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadRow(f"{name} is text that is not JSON: {error}") from None


# --- one row -----------------------------------------------------------------------------------------------------


def judge_chunk(rows: Sequence[Row], how: Judging) -> Judged:
    """Judge some rows; what a worker process does."""
    tally, lines, rejected, checks = Tally(), [], [], []
    for line, row, text in rows:
        try:
            record = checked_record(row)
        except BadRow as error:
            rejected.append(RejectedRow(line, str(error), shown(text or repr(row))))
            continue
        value, asked = _judged_row(record, how, tally)
        lines.append(msgspec.json.encode({"line": line, **value}) + b"\n")
        checks.append(asked)
    return Judged(b"".join(lines), tuple(rejected), tally, tuple(checks))


def _judged_row(record: Record, how: Judging, tally: Tally) -> tuple[dict[str, Any], tuple[Check, ...]]:
    checks, found = record.checks, not record.checks and not how.given_only
    if found:
        checks = _found_in(record.instruction)
    if how.register == "repaired":
        checks = mended(record.instruction, checks)
    if record.reply is None:
        missing = Verdict(None, 0.0, "the row has no reply")
        strict = loose = (missing,) * len(checks)
    else:
        outcome: Outcome = judge(checks, record.reply, types_of(how.register))
        strict, loose = outcome.verdicts(), outcome.verdicts(loose=True)
    passed = all_passed(strict)
    _count(tally, passed, found and bool(checks), checks, zip(strict, loose, strict=True))
    rated = [verdict.score for verdict in strict if verdict.passed is not None]
    return {
        "id": record.id,
        "passed": passed,
        "loose": all_passed(loose),
        "score": 1.0 if passed else min(sum(rated) / len(rated), 0.99) if rated else 0.0,
        "reason": _reason(record, checks, strict),
        "vacuous": bool(passed) and all(verdict.vacuous for verdict in strict),
        "found": found and bool(checks),
        "checks": [
            {"kind": check.kind, "params": check.params, **msgspec.to_builtins(one), "loose": other.passed}
            for check, one, other in zip(checks, strict, loose, strict=True)
        ],
    }, checks


def _reason(record: Record, checks: Sequence[Check], strict: Sequence[Verdict]) -> str:
    if not checks:
        return "the row has no checks, and none were found in its prompt"
    if record.reply is None:
        return "the row has no reply"
    wrong = [
        f"{check.kind}: {verdict.reason}" for check, verdict in zip(checks, strict, strict=True) if not verdict.passed
    ]
    return "; ".join(wrong) or f"all {len(checks)} checks passed"


def _count(
    tally: Tally,
    passed: bool | None,
    found: bool,
    checks: Sequence[Check],
    verdicts: Iterable[tuple[Verdict, Verdict]],
) -> None:
    name = {True: "passed", False: "failed", None: "not_judged"}[passed]
    setattr(tally, name, getattr(tally, name) + 1)
    tally.found += found
    tally.without_checks += not checks
    for check, (strict, loose) in zip(checks, verdicts, strict=True):
        kind = check.kind if check.kind in ALL_TYPES else "unknown type"  # a hostile file must not grow the table
        tally.kinds.setdefault(kind, KindCounts()).add(strict.passed, loose.passed, strict.vacuous)


@lru_cache(maxsize=2)
def types_of(register: str) -> Types:
    """All constraint types as a register reads them."""
    from adhere.verify.registers import register as reading_of

    return reading_of(register, ALL_TYPES)


def mended(prompt: str, checks: tuple[Check, ...]) -> tuple[Check, ...]:
    """The checks of a prompt with the faults of their parameters mended, as the register `repaired` takes them."""
    from adhere.verify.registers import mended_checks

    return tuple(mended_checks(prompt, checks))


def _found_in(prompt: str) -> tuple[Check, ...]:
    from adhere.verify.find import find

    return tuple(one.check for one in find(prompt))


# --- many rows ---------------------------------------------------------------------------------------------------


def judge_rows(rows: Iterable[Row], how: Judging, workers: int) -> Iterator[Judged]:
    """Chunks of judged rows in the order of the rows. A few rows, or one worker, need no further process."""
    chunks = _chunks(rows)
    first = list(itertools.islice(chunks, 4))
    if workers < 2 or len(first) < 4:
        for chunk in itertools.chain(first, chunks):
            yield judge_chunk(chunk, how)
        return
    yield from _in_parallel(itertools.chain(first, chunks), how, workers)


def _in_parallel(chunks: Iterable[list[Row]], how: Judging, workers: int) -> Iterator[Judged]:
    pool = ProcessPoolExecutor(workers, initializer=_begin_worker)
    waiting: deque[Future[Judged]] = deque()
    try:
        for chunk in chunks:
            waiting.append(pool.submit(judge_chunk, chunk, how))
            if len(waiting) > 3 * workers:  # keeps every worker busy and the memory flat
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise VerifierError(
            "a worker process was killed, perhaps for want of memory", "Try again with --workers 1.", EXIT_ENVIRONMENT
        ) from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _begin_worker() -> None:
    """Leave ctrl-c to the parent, and end when it is gone: nobody else would end an idle worker."""
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = parent_process()
    if parent is not None:
        handle = parent.sentinel
        threading.Thread(target=lambda: (wait([handle]), os._exit(1)), daemon=True).start()


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += _characters(row[1])
        if len(chunk) == CHUNK_ROWS or size >= CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _characters(row: Any) -> int:
    """About how much text a row holds; a conversation counts by its messages."""
    values = row.values() if isinstance(row, dict) else [row]
    turns = itertools.chain.from_iterable(value for value in values if isinstance(value, list))
    texts = itertools.chain(values, (text for turn in turns if isinstance(turn, dict) for text in turn.values()))
    return sum(len(text) for text in texts if isinstance(text, str))


def usable_cores() -> int:
    """How many cores this process may use."""
    affinity: Callable[[int], Any] | None = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity is not None else os.cpu_count() or 1


# --- the floor ---------------------------------------------------------------------------------------------------


class FloorSample:
    """The checks of up to `FLOOR_ROWS` rows, drawn evenly from all rows that pass by (Vitter's algorithm R)."""

    def __init__(self, size: int = FLOOR_ROWS) -> None:
        self._size, self._rng = size, random.Random(0)
        self.kept: list[tuple[Check, ...]] = []
        self.seen = 0

    def add(self, checks: tuple[Check, ...]) -> None:
        """Take note of a row's checks; a row without any does not count."""
        if not checks:
            return
        self.seen += 1
        if len(self.kept) < self._size:
            self.kept.append(checks)
            return
        place = self._rng.randrange(self.seen)
        if place < self._size:
            self.kept[place] = checks

    def floor(self, types: Types) -> Floor | None:
        """What the best constant answer scores on these checks; None without one that can be judged."""
        return null_floor([Record((), checks) for checks in self.kept], types)


def nothing_good(path: Path, rejected: Sequence[RejectedRow], count: int, forms: str) -> DataError:
    """The error for a file of which no row could be read."""
    if not count:
        return DataError(f"{path} holds no rows", forms)
    first = "".join(f"\n  line {row.line}: {row.reason}: {row.text[:80]}" for row in rejected[:3])
    return DataError(f"{path} holds no good row among {count}; the first:{first}", forms)
