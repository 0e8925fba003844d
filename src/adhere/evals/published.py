"""Published responses: scoring a file of prompts and replies that somebody else generated.

Responses belong to prompts by the text of the prompt, exactly, else by its words (white space collapsed). What has
no partner is counted and told. A prompt without a response was not judged; it is no failure. Every file is scored in
both registers (`adhere.verify.registers`): `faithful` is what papers report, `repaired` what checks were meant to say.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from adhere.core.benchmark import Benchmark
from adhere.core.errors import DataError
from adhere.core.model import Ask, Reply
from adhere.core.progress import Progress, silent
from adhere.core.record import Record
from adhere.data.read import REPLY_KEYS, BadRow, RejectedRow, rows_of_file, shown
from adhere.evals.floor import null_floor
from adhere.evals.grade import Graded, Row, grade
from adhere.evals.ifeval import LEVELS, IFEvalReport, ifeval_report
from adhere.evals.judging import KindCounts, kind_table, mended, types_of
from adhere.evals.report import in_words
from adhere.verify.registers import REGISTERS

_FORM = 'A row is {"prompt": ..., "response": ...}.'


class Response(msgspec.Struct, frozen=True):
    """One row of a response file: the prompt as it was sent, what came back, and the line it stands in."""

    prompt: str
    text: str
    line: int = 0


class Matching(msgspec.Struct, frozen=True):
    """Which reply belongs to which prompt: `replies` in the order of the prompts, None where there is none.

    `exact` and `by_words` count prompts by how they were matched, `missing` names the keys of those without a
    response, `unused` the lines of responses that belong to no prompt, or that come after one to the same prompt.
    """

    replies: tuple[str | None, ...]
    exact: int
    by_words: int
    missing: tuple[str, ...]
    unused: tuple[int, ...]

    def for_json(self) -> dict[str, int]:
        """The four counts."""
        return {
            "exact": self.exact,
            "normalised": self.by_words,
            "prompts_without_response": len(self.missing),
            "responses_without_prompt": len(self.unused),
        }


class Published(msgspec.Struct, frozen=True, kw_only=True):
    """Responses scored in both registers; `register` is the one whose numbers are asked for."""

    register: str
    benchmark: Benchmark
    matching: Matching
    reports: dict[str, IFEvalReport]
    gradings: dict[str, Graded]

    @property
    def report(self) -> IFEvalReport:
        """The numbers in the register asked for."""
        return self.reports[self.register]

    @property
    def delta(self) -> dict[str, float]:
        """Repaired minus faithful, at each level."""
        faithful, repaired = (self.reports[name] for name in REGISTERS)
        return {level: getattr(repaired, level).share - getattr(faithful, level).share for level in LEVELS}

    def changed(self) -> Counter[tuple[str, str]]:
        """How many strict verdicts differ between the registers, by type and by `passed -> failed` and the like."""
        words = {True: "passed", False: "failed", None: "not judged"}
        found: Counter[tuple[str, str]] = Counter()
        pairs = zip(*(self.gradings[name].rows for name in REGISTERS), strict=True)
        for one, other in pairs:
            for before, after in zip(one.checks, other.checks, strict=True):
                if before.strict.passed != after.strict.passed:
                    change = f"{words[before.strict.passed]} -> {words[after.strict.passed]}"
                    found[before.kind, change] += 1
        return found

    def rows(self) -> Iterator[dict[str, Any]]:
        """Per prompt its key and its verdicts, strict and loose, in the order of its instructions."""
        for record, row in zip(self.benchmark.records, self.gradings[self.register].rows, strict=True):
            none = [None] * len(record.checks)
            yield {
                "key": _key(record),
                "strict": [check.strict.passed for check in row.checks] if row.judged else none,
                "loose": [check.loose for check in row.checks] if row.judged else none,
            }

    def for_json(self) -> dict[str, Any]:
        """The documented object of `adhere verify ifeval --json`; the names are those of `adhere evaluate ifeval`."""
        found = self.report.for_json()
        del found["stops"]  # a response file does not say where a reply was cut
        return {**found, "register": self.register, "matched": self.matching.for_json(), "delta": self.delta}

    def in_words(self) -> str:
        """The report for people."""
        return "\n".join(_lines(self))


def read_responses(path: Path) -> tuple[list[Response], list[RejectedRow]]:
    """The responses of a file (JSONL, JSON, CSV, Parquet), and the rows that were set aside.

    A response may be empty, which fails every check. Raises `DataError` where no row is one.
    """
    found: list[Response] = []
    rejected: list[RejectedRow] = []
    for line, row, text in rows_of_file(path):
        try:
            found.append(_response(row, line))
        except BadRow as error:
            rejected.append(RejectedRow(line, str(error), shown(text or repr(row))))
    if not found:
        first = f"; line {rejected[0].line}: {rejected[0].reason}" if rejected else ""
        raise DataError(f"{path} holds no response{first}", _FORM)
    return found, rejected


def _response(row: Any, line: int) -> Response:
    if isinstance(row, BadRow):
        raise row
    if not isinstance(row, dict):
        raise BadRow(f"expected an object, found {type(row).__name__}")
    key = next((key for key in REPLY_KEYS if key in row), None)
    if key is None or "prompt" not in row:
        raise BadRow(f"expected prompt and response among its keys {sorted(map(str, row))[:8]}")
    for name in ("prompt", key):
        if not isinstance(row[name], str):
            raise BadRow(f"{name} should be text, found {type(row[name]).__name__}")
    return Response(row["prompt"], row[key], line)


def match(records: Sequence[Record], responses: Iterable[Response]) -> Matching:
    """Give each record its response. Prompts that occur more than once take the responses in their order."""
    waiting = list(responses)
    exact, by_words = _queues(waiting, str), _queues(waiting, _words)
    used: set[int] = set()
    how: list[tuple[str, Response | None]] = []
    for record in records:
        text = record.instruction
        response = _next(exact.get(text), used)
        how.append(("exact", response))
    for at, record in enumerate(records):
        if how[at][1] is None:
            how[at] = ("by_words", _next(by_words.get(_words(record.instruction)), used))
    counts = Counter(kind for kind, response in how if response is not None)
    return Matching(
        replies=tuple(None if response is None else response.text for _, response in how),
        exact=counts["exact"],
        by_words=counts["by_words"],
        missing=tuple(str(_key(record)) for record, (_, one) in zip(records, how, strict=True) if one is None),
        unused=tuple(response.line for at, response in enumerate(waiting) if at not in used),
    )


Queue = deque[tuple[int, Response]]


def _queues(responses: Sequence[Response], key: Any) -> dict[str, Queue]:
    found: dict[str, Queue] = {}
    for at, response in enumerate(responses):
        found.setdefault(key(response.prompt), deque()).append((at, response))
    return found


def _next(queue: Queue | None, used: set[int]) -> Response | None:
    """The first response that nobody took yet."""
    while queue:
        at, response = queue.popleft()
        if at not in used:
            used.add(at)
            return response
    return None


def _words(text: str) -> str:
    return " ".join(text.split())


def _key(record: Record) -> int | str:
    key = str(record.notes.get("key", record.id))
    return int(key) if key.isdecimal() and key.isascii() and str(int(key)) == key else key


def score(
    benchmark: Benchmark,
    responses: Iterable[Response],
    name: str,
    register: str = "faithful",
    progress: Progress = silent,
) -> Published:
    """Judge every response in both registers. Raises `DataError` when no response belongs to a prompt."""
    matching = match(benchmark.records, responses)
    if not matching.exact + matching.by_words:
        raise DataError(
            f"none of {len(matching.unused)} responses answers one of {len(benchmark.records)} prompts",
            "Responses are matched by the text of the prompt: is this the version of the prompts that was asked?",
        )
    author = _Author(name, matching.replies)
    reports, gradings = {}, {}
    for one in REGISTERS:
        asked, types = benchmark, types_of(one)
        if one == "repaired":
            asked = msgspec.structs.replace(benchmark, records=tuple(map(_mended, benchmark.records)))
        gradings[one] = grade(author, asked, progress=progress, types=types)
        if all(row.strict is None for row in gradings[one].rows):
            raise DataError("no prompt could be judged", "See what is wrong with them: adhere verify --audit FILE")
        floor = null_floor(asked.records, types)
        reports[one] = ifeval_report(gradings[one], asked, floor, types)
    return Published(register=register, benchmark=benchmark, matching=matching, reports=reports, gradings=gradings)


def _mended(record: Record) -> Record:
    return msgspec.structs.replace(record, checks=mended(record.instruction, record.checks))


class _Author:
    """A model that said everything already: it answers the n-th ask with the n-th reply."""

    def __init__(self, name: str, replies: Sequence[str | None]) -> None:
        self.name = self.fingerprint = name
        self._replies = replies

    def generate(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        """The replies in order; an error where there is none."""
        for at, (_, text) in enumerate(zip(asks, self._replies, strict=True)):
            yield at, Reply("", "error", error="no response in the file") if text is None else Reply(text)


def by_kind(rows: Iterable[Row]) -> dict[str, KindCounts]:
    """Counts per constraint type. Checks of prompts without a response are not in them."""
    found: dict[str, KindCounts] = {}
    for row in rows:
        for check in row.checks:
            found.setdefault(check.kind, KindCounts()).add(check.strict.passed, check.loose, check.strict.vacuous)
    return found


# --- words -------------------------------------------------------------------------------------------------------


def _lines(found: Published) -> Iterator[str]:
    report, matching = found.report, found.matching
    prompts, responses = len(found.benchmark.records), matching.exact + matching.by_words
    yield f"{report.model}: {responses} of {prompts} prompts have a response"
    yield from _matching_lines(matching)
    yield ""
    yield f"  {'':18}  {'faithful, 95 % interval':26}  {'repaired, 95 % interval':26}  difference"
    for level in LEVELS:
        both = "  ".join(f"{in_words(getattr(found.reports[name], level)):26}" for name in REGISTERS)
        yield f"  {level.replace('_', ' '):18}  {both}  {100 * found.delta[level]:+.1f} points"
    means = "  ".join(f"{_mean_in_words(found.reports[name]):26}" for name in REGISTERS)
    change = found.reports[REGISTERS[1]].mean_strict - found.reports[REGISTERS[0]].mean_strict
    yield f"  {'mean, strict':18}  {means}  {100 * change:+.1f} points"
    yield ""
    if report.floor is not None:
        floor = report.floor
        yield (
            f"  null floor          {_percent(floor.prompt_strict)} of prompts, {_percent(floor.instruction_strict)} "
            f"of instructions, by always answering: {floor.shown}"
        )
    yield f"  not judged          {_not_judged(found)}"
    yield ""
    yield f"  by family and type, {found.register} (vacuous: passed without being put to the test)"
    yield from kind_table(by_kind(found.gradings[found.register].rows))
    yield ""
    yield from _changed_lines(found.changed())


def _mean_in_words(report: IFEvalReport) -> str:
    low, high = report.mean_strict_interval
    return f"{_percent(report.mean_strict)}  [{_percent(low)}, {_percent(high)}]"


def _matching_lines(matching: Matching) -> Iterator[str]:
    yield f"  matched by exact text {matching.exact}, by words alone {matching.by_words}"
    if matching.missing:
        yield f"  prompts without a response, not judged: {_some(matching.missing, 'key')}"
    if 2 * len(matching.missing) > len(matching.replies):
        yield "  most prompts have none: IFEval's prompts exist in three versions; is this the one that was asked?"
    if matching.unused:
        yield f"  responses without a prompt, unused: {_some(matching.unused, 'line')}"


def _some(values: Sequence[object], what: str) -> str:
    first = ", ".join(str(value) for value in values[:8])
    return f"{len(values)} ({what} {first}{', ...' if len(values) > 8 else ''})"


def _not_judged(found: Published) -> str:
    """How many instructions have no verdict, and the most frequent reasons."""
    reasons: Counter[str] = Counter()
    for record, row in zip(found.benchmark.records, found.gradings[found.register].rows, strict=True):
        if not row.judged:
            reasons["without a response"] += len(record.checks)
        reasons.update(check.strict.reason for check in row.checks if check.strict.passed is None)
    first = ", ".join(f"{count} {reason[:80]}" for reason, count in reasons.most_common(3))
    more = ", ..." if len(reasons) > 3 else ""
    return f"{reasons.total()} instructions" + (f" ({first}{more})" if first else "")


def _changed_lines(changed: Mapping[tuple[str, str], int]) -> Iterator[str]:
    if not changed:
        yield "  the registers agree on every strict verdict"
        return
    yield f"  strict verdicts that differ, faithful -> repaired: {sum(changed.values())}"
    width = max(len(kind) for kind, _ in changed)
    for (kind, change), count in sorted(changed.items()):
        yield f"  {kind:{width}}  {count:4}  {change}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
