"""`adhere verify`: verdicts on rows of a file, published IFEval responses, the null floor, and the prompt audit."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from adhere.app.display import TerminalProgress, one_line, say
from adhere.app.output import TOLD, check_file, encoded, print_json, tell_rejected, write_lines
from adhere.app.workers import executor_for, usable_cores
from adhere.core.cleaning import clean
from adhere.core.errors import EXIT_FINE, EXIT_NOT_MET, DataError, SettingsError
from adhere.core.executor import OneProcess
from adhere.store.files import write_atomically

if TYPE_CHECKING:
    from adhere.core.record import Record
    from adhere.data.read import RejectedRow
    from adhere.evals.floor import ConstantScore, Floor
    from adhere.evals.judging import FloorSample, Judged, Tally

BEST = 10  # constant answers that are printed


def verify_command(sources: Sequence[Path], **options: Any) -> int:
    """Choose by the words and options given; 1 when a check failed or the audit found something."""
    words = [str(source) for source in sources]
    if options["floor"] and options["audit"]:
        raise SettingsError("--floor and --audit are two questions", "Ask them one after the other.")
    if words[:1] == ["ifeval"] and not options["audit"] and not options["floor"]:
        if len(sources) != 3:
            raise SettingsError(
                f"expected two files after ifeval, found {len(sources) - 1}",
                "adhere verify ifeval PROMPTS.jsonl RESPONSES.jsonl   (a file of that name: ./ifeval)",
            )
        return _published(sources[1], sources[2], options)
    if len(sources) != 1:
        found = ", ".join(words) or "none"
        raise SettingsError(f"expected one file, found {found}", "adhere verify FILE   (see: adhere verify --help)")
    if options["rows"] is not None:
        raise SettingsError("--rows belongs to adhere verify ifeval", "Name the file for verdicts with -o.")
    if options["shard_rows"] is not None and (options["floor"] or options["audit"]):
        raise SettingsError("--shard-rows is for judging rows", "Leave out --floor and --audit.")
    if options["floor"]:
        return _floor(sources[0], options)
    if options["audit"]:
        return _audit(sources[0], options)
    return _rows(sources[0], options)


# --- verify ifeval PROMPTS RESPONSES -----------------------------------------------------------------------------


def _published(prompts: Path, responses: Path, options: dict[str, Any]) -> int:
    from adhere.evals.ifeval import read_ifeval
    from adhere.evals.published import read_responses, score

    output = options["rows"] or options["output"]
    check_file(output)
    benchmark = read_ifeval(prompts, {})  # parameters are looked at check by check: a bad one is not judged
    if options["limit"] is not None:
        benchmark = msgspec.structs.replace(benchmark, records=benchmark.records[: options["limit"]])
    given, rejected = read_responses(responses)
    tell_rejected(responses, rejected)
    found = score(benchmark, given, responses.name, options["register"])
    if output is not None:
        write_lines(output, encoded(found.rows()))
    print(clean(found.in_words()))
    if options["as_json"]:
        print_json(found.for_json())
    return EXIT_FINE


# --- verify FILE -------------------------------------------------------------------------------------------------


def _rows(source: Path, options: dict[str, Any]) -> int:
    from adhere.data.pieces import cut
    from adhere.evals.judging import PIECE_BYTES, PIECE_ROWS, FloorSample, Judging, Tally, judge_rows

    output: Path | None = options["output"]
    check_file(output)
    how = Judging(options["register"], options["given_only"])
    if options["shard_rows"] is not None:
        from adhere.app.shards import begin

        with executor_for(options["workers"], options["ray"]) as chosen:
            return begin("verify", source, how, options, chosen)
    tally, sample, aside = Tally(), FloorSample(), _SetAside(source)
    pieces = cut(source, PIECE_ROWS, options["limit"], PIECE_BYTES)
    workers = options["workers"] if options["ray"] else options["workers"] or len(usable_cores())
    with executor_for(workers, options["ray"]) as executor, TerminalProgress() as progress:

        def lines() -> Iterator[bytes]:
            for chunk in judge_rows(pieces, how, executor or OneProcess()):
                _take(chunk, tally, sample, aside)
                progress(f"verify {source.name}", tally.rows)
                yield chunk.lines
            aside.finish(tally.rows)

        if output is None:
            for chunk in lines():
                sys.stdout.buffer.write(chunk)
            sys.stdout.buffer.flush()
        else:
            write_atomically(output, lines())
    told = tell_verdicts(tally, sample, how.register, aside.count)
    if options["as_json"]:
        print_json(told)
    return EXIT_NOT_MET if tally.failed else EXIT_FINE


def tell_verdicts(tally: Tally, sample: FloorSample, register: str, aside: int) -> dict[str, Any]:
    """Say on stderr how the rows fared, beside what a constant answer scores; the object of `--json`."""
    from adhere.evals.judging import types_of

    floor = sample.floor(types_of(register))
    _tell(tally, floor, sample)
    return _as_json(tally, floor, aside)


def _take(chunk: Judged, tally: Tally, sample: FloorSample, aside: _SetAside) -> None:
    tally.merge(chunk.tally)
    sample.merge(chunk.drawn, chunk.with_checks)
    aside.add(chunk.rejected)


class _SetAside:
    """Rows that could not be read: the first few are told as they come, the others counted."""

    def __init__(self, source: Path) -> None:
        self._source = source
        self._first: list[RejectedRow] = []
        self.count = 0

    def add(self, rejected: Sequence[RejectedRow]) -> None:
        """Tell and count."""
        new = rejected[: TOLD - len(self._first)]
        tell_rejected(self._source, new)
        self._first += new
        self.count += len(rejected)

    def finish(self, good: int) -> None:
        """Tell how many more there were; an error where no row was good."""
        if not good:
            from adhere.data.read import ROW_FORMS
            from adhere.evals.judging import nothing_good

            raise nothing_good(self._source, self._first, self.count, ROW_FORMS)
        tell_rejected(self._source, (), self.count)


def _tell(tally: Tally, floor: Floor | None, sample: FloorSample) -> None:
    from adhere.evals.judging import kind_table

    say(f"{tally.passed} passed, {tally.failed} failed, {tally.not_judged} not judged")
    if tally.found:
        say(
            f"{tally.found} rows give no checks: theirs were found in the words of the prompt, which can be wrong "
            "(--given-only judges given checks alone)"
        )
    if tally.without_checks:
        say(f"{tally.without_checks} rows have no checks and are not judged")
    if tally.kinds:
        say("\n".join(["", *kind_table(tally.kinds), ""]))
    if floor is not None:
        kept = len(sample.drawn)
        drawn = f", on {kept:,} rows drawn from {sample.seen:,}" if sample.seen > kept else ""
        say(
            f"null floor: always answering {floor.shown} passes {_percent(floor.prompt_strict)} of rows and "
            f"{_percent(floor.instruction_strict)} of checks{drawn}"
        )


def _as_json(tally: Tally, floor: Floor | None, aside: int) -> dict[str, Any]:
    return {
        "passed": tally.passed,
        "failed": tally.failed,
        "not_judged": tally.not_judged,
        "set_aside": aside,
        "found": tally.found,
        "types": {kind: msgspec.to_builtins(counts) for kind, counts in sorted(tally.kinds.items())},
        "floor": None
        if floor is None
        else {
            "answer": floor.answer,
            "prompt_strict": floor.prompt_strict,
            "instruction_strict": floor.instruction_strict,
        },
    }


# --- verify --floor BENCH ----------------------------------------------------------------------------------------


def _floor(bench: Path, options: dict[str, Any]) -> int:
    """The best constant answers on a benchmark or file, best first."""
    check_file(options["output"])
    tables = {}
    for name, records in _benches(bench, options["limit"]).items():
        tables[name] = _constant_scores(records, options["register"])
    if not any(tables.values()):
        raise DataError(f"{bench} holds no check that can be judged", "A floor needs checks: see adhere verify --help")
    rows = [{"benchmark": name, **msgspec.to_builtins(score)} for name, found in tables.items() for score in found]
    if options["output"] is not None:
        write_lines(options["output"], encoded(rows))
    for name, found in tables.items():
        print(f"{name}: the best of {len(found)} constant answers, strict\n  prompts  checks  characters  answer")
        for score in found[:BEST]:
            shares = f"{_percent(score.prompt_strict):>7}  {_percent(score.instruction_strict):>6}"
            print(f"  {shares}  {len(score.answer):10,}  {_shown(score.answer)}")
    if options["as_json"]:
        print_json({name: [msgspec.to_builtins(score) for score in found[:BEST]] for name, found in tables.items()})
    return EXIT_FINE


def _benches(bench: Path, limit: int | None) -> dict[str, list[Record]]:
    from adhere.data.read import BadRow, RejectedRow
    from adhere.evals.heldout import heldout_benchmark
    from adhere.evals.judging import checked_record, rows_of

    if str(bench) == "heldout":
        return {f"heldout-{name}": list(heldout_benchmark(name).records[:limit]) for name in ("seen", "unseen")}
    records, aside = [], _SetAside(bench)
    for line, row, text in rows_of(bench, limit):
        try:
            records.append(checked_record(row))
        except BadRow as error:
            aside.add([RejectedRow(line, str(error), text)])
    aside.finish(len(records))
    return {bench.name: records}


def _constant_scores(records: Sequence[Record], register: str) -> list[ConstantScore]:
    """Every constant answer's score, best mean of both levels first."""
    from adhere.evals.floor import constant_answers, null_floor
    from adhere.evals.judging import types_of

    types = types_of(register)
    floors = [null_floor(records, types, [answer]) for answer in constant_answers()]
    scores = [floor.best_prompt for floor in floors if floor is not None]
    return sorted(scores, key=lambda score: -score.mean_strict)


# --- verify --audit FILE -----------------------------------------------------------------------------------------


def _audit(source: Path, options: dict[str, Any]) -> int:
    """Faults of prompts and their checks; 1 when there are any."""
    from adhere.verify.audit import KINDS

    check_file(options["output"])
    found, prompts, checks = _findings(source, options["limit"])
    if options["output"] is not None:
        write_lines(options["output"], encoded(found))
    for one in found:
        print(clean(f"{one['name']}: {one['kind']}: {one['reason']}"))
    kinds = Counter(one["kind"] for one in found)
    blamed = len({one["line"] for one in found})
    say(f"{len(found)} findings in {blamed} of {prompts} prompts ({checks} checks)")
    for kind, count in kinds.most_common():
        say(f"  {count:5}  {kind:14} {KINDS[kind]}")
    if options["as_json"]:
        print_json({"prompts": prompts, "with_findings": blamed, "kinds": dict(kinds), "findings": found})
    return EXIT_NOT_MET if found else EXIT_FINE


def _findings(source: Path, limit: int | None) -> tuple[list[dict[str, Any]], int, int]:
    """All findings as plain values, and how many prompts and checks were looked at."""
    from adhere.data.read import BadRow, RejectedRow
    from adhere.evals.judging import checked_record, rows_of
    from adhere.verify.audit import audit

    found, prompts, checks, aside = [], 0, 0, _SetAside(source)
    for line, row, text in rows_of(source, limit):
        try:
            record = checked_record(row)
        except BadRow as error:
            aside.add([RejectedRow(line, str(error), text)])
            continue
        prompts, checks = prompts + 1, checks + len(record.checks)
        key = record.notes.get("key")
        name = f"line {line}" if key is None else f"key {key}"
        for finding in audit(record.instruction, record.checks):
            found.append({"line": line, "key": key, "name": name, **msgspec.to_builtins(finding)})
    aside.finish(prompts)
    return found, prompts, checks


def _shown(answer: str) -> str:
    """Both ends of an answer on one line: constant answers differ in what they open and close with."""
    line = one_line(answer, len(answer) + 1)
    return line if len(line) <= 70 else f"{line[:40]} ... {line[-25:]}"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
