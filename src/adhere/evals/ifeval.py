"""IFEval (Zhou et al. 2023, arXiv 2311.07911): its file, its four numbers with intervals, and its floor.

Prompt level is the share of prompts with every instruction followed, instruction level the share of all
instructions; strict judges the reply as given, loose also seven simplified versions of it. Leaderboards give
the mean of the two strict levels.

The reference checkers replace a letter outside a-z by a random one at each run, which concerns keys 1122 (`#`)
and 1129 (`!`) of the current file; here those letters are counted as written, and the report lists them. The
reference's language detection is random too; ours is seeded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from adhere.core.benchmark import Benchmark
from adhere.core.errors import DataError, VerifierError
from adhere.core.record import Check, Record, content_hash, user
from adhere.core.statistics import Proportion, paired_difference, proportion_interval
from adhere.evals.floor import Floor
from adhere.evals.grade import Graded, Metric, Row
from adhere.verify.catalogue import IFEVAL_TYPES
from adhere.verify.constraint import ConstraintType
from adhere.verify.score import ConstraintVerifier

LEVELS = ("prompt_strict", "instruction_strict", "prompt_loose", "instruction_loose")
_HINT = "Expected IFEval's form: key, prompt, instruction_id_list, kwargs (one object per instruction)."


class _Line(msgspec.Struct):
    key: int | str
    prompt: str
    instruction_id_list: list[str]
    kwargs: list[dict[str, Any] | None]


class IFEvalReport(msgspec.Struct, frozen=True, kw_only=True):
    """The numbers of one grading; shares between 0 and 1.

    Intervals are at 95 %: Wilson at prompt level, cluster-robust by prompt at instruction level. `not_judged`
    counts instructions without a verdict (unknown ids and failed asks), `unknown` the ids without a checker,
    `judged_literally` the keys on which the reference is random by construction. `stops` is the share of
    replies that ended before the token limit.
    """

    model: str
    prompt_strict: Proportion
    instruction_strict: Proportion
    prompt_loose: Proportion
    instruction_loose: Proportion
    mean_strict: float
    mean_strict_interval: tuple[float, float]
    floor: Floor | None
    not_judged: int
    unknown: dict[str, int]
    judged_literally: tuple[str, ...]
    stops: float | None

    def for_json(self) -> dict[str, Any]:
        """The documented object of `adhere evaluate ifeval --json`."""
        found: dict[str, Any] = {level: getattr(self, level).share for level in LEVELS}
        found["intervals"] = {level: [getattr(self, level).low, getattr(self, level).high] for level in LEVELS}
        found["mean_strict"] = self.mean_strict
        found["intervals"]["mean_strict"] = list(self.mean_strict_interval)
        found["floor"] = _floor_for_json(self.floor)
        found["not_judged"] = self.not_judged
        found["unknown"] = self.unknown
        found["judged_literally"] = list(self.judged_literally)
        found["stops"] = self.stops
        found["prompts"] = self.prompt_strict.n
        found["instructions"] = self.instruction_strict.n
        return found


def _floor_for_json(floor: Floor | None) -> dict[str, Any]:
    if floor is None:
        return {}
    found: dict[str, Any] = {
        "answer": floor.answer,
        "prompt_strict": floor.prompt_strict,
        "instruction_strict": floor.instruction_strict,
        "mean_strict": floor.mean_strict,
        "best_prompt_strict": floor.best_prompt.prompt_strict,
        "best_instruction_strict": floor.best_instruction.instruction_strict,
    }
    if floor.quote_marks is not None:
        found["quote_marks_mean_strict"] = floor.quote_marks.mean_strict
    return found


def read_ifeval(path: Path, types: Mapping[str, ConstraintType] = IFEVAL_TYPES) -> Benchmark:
    """IFEval's JSONL as a benchmark; `notes["key"]` holds the row's key.

    Null parameters are dropped and whole numbers stored as floats become integers. An instruction id that is not
    in `types` stays in the record and is not judged. Raises `DataError` naming file and line for a row that
    is no IFEval row, a parameter of the wrong kind, or a row that occurs twice.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except OSError as error:
        raise DataError(
            f"cannot read {path}: {error.strerror}", "Give IFEval's input_data.jsonl with --data."
        ) from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text: {error.reason} at byte {error.start}", _HINT) from None
    decoder = msgspec.json.Decoder(_Line)
    seen: dict[str, int] = {}
    records = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            record = _record(decoder.decode(line), types)
        except (msgspec.MsgspecError, ValueError) as error:
            raise DataError(f"{where}: {error}", _HINT) from None
        except VerifierError as error:
            raise DataError(f"{where}: {error.message}", error.hint or _HINT) from None
        if record.id in seen:
            raise DataError(f"{where}: the same prompt and instructions as line {seen[record.id]}", "Leave one out.")
        seen[record.id] = number
        records.append(record)
    if not records:
        raise DataError(f"{path} holds no row", _HINT)
    version = content_hash([record.id for record in records])[:12]
    return Benchmark("ifeval", version, tuple(records), ConstraintVerifier(types))


def _record(line: _Line, types: Mapping[str, ConstraintType]) -> Record:
    ids, kwargs = line.instruction_id_list, line.kwargs
    if not line.prompt.strip():
        raise ValueError("the prompt is blank")
    if not ids or len(ids) != len(kwargs):
        raise ValueError(f"expected as many kwargs as instruction ids, found {len(kwargs)} and {len(ids)}")
    checks = []
    for kind, given in zip(ids, kwargs, strict=True):
        params = {key: _whole(value) for key, value in (given or {}).items() if value is not None}
        if kind in types:
            params = dict(types[kind].validated(params))
        checks.append(Check(kind, params))
    return Record((user(line.prompt),), tuple(checks), made_by="ifeval", notes={"key": str(line.key)})


def _whole(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def ifeval_report(
    graded: Graded,
    benchmark: Benchmark,
    floor: Floor | None = None,
    types: Mapping[str, ConstraintType] = IFEVAL_TYPES,
) -> IFEvalReport:
    """The four numbers of a grading of `benchmark`, with intervals, beside its floor.

    Raises `DataError` when no reply could be judged at all.
    """
    rows = graded.rows
    sizes = {record.id: len(record.checks) for record in benchmark.records}
    replicated = len(graded.seeds) > 1
    mean = paired_difference([0.0] * len(rows), *_values(rows, mean_level(benchmark)))
    unknown: dict[str, int] = {}
    for record in benchmark.records:
        for check in record.checks:
            if check.kind not in types:
                unknown[check.kind] = unknown.get(check.kind, 0) + 1
    silent = sum(sizes[row.record] for row in rows if not row.judged)
    return IFEvalReport(
        model=graded.model,
        prompt_strict=_prompt_level(rows, [row.strict for row in rows], replicated),
        instruction_strict=_instruction_level(rows, loose=False),
        prompt_loose=_prompt_level(rows, [row.loose for row in rows], replicated),
        instruction_loose=_instruction_level(rows, loose=True),
        mean_strict=mean.difference,
        mean_strict_interval=(max(0.0, mean.low), min(1.0, mean.high)),
        floor=floor,
        not_judged=silent + sum(check.strict.passed is None for row in rows for check in row.checks),
        unknown=unknown,
        judged_literally=_literal_letters(benchmark),
        stops=graded.stops,
    )


def mean_level(benchmark: Benchmark) -> Metric:
    """A metric whose mean over prompts is the mean of prompt level and instruction level, strict.

    Half the prompt's own pass, half its passed instructions over the mean number of instructions per prompt, so
    that two gradings can be compared on the headline number pairwise: `compare_graded(a, b, mean_level(x))`.
    """
    sizes = [len(record.checks) for record in benchmark.records]
    per_prompt = sum(sizes) / len(sizes)

    def metric(row: Row) -> float | None:
        if row.strict is None or any(check.strict.passed is None for check in row.checks):
            return None
        return 0.5 * row.strict + 0.5 * sum(bool(check.strict.passed) for check in row.checks) / per_prompt

    return metric


def _values(rows: Sequence[Row], metric: Metric) -> tuple[list[float | None], list[str]]:
    return [metric(row) for row in rows], [row.record for row in rows]


def _prompt_level(rows: Sequence[Row], passes: Sequence[bool | None], replicated: bool) -> Proportion:
    return proportion_interval(passes, [row.record for row in rows] if replicated else None)


def _instruction_level(rows: Sequence[Row], loose: bool) -> Proportion:
    found = [(check.loose if loose else check.strict.passed, row.record) for row in rows for check in row.checks]
    return proportion_interval([passed for passed, _ in found], [name for _, name in found])


def _literal_letters(benchmark: Benchmark) -> tuple[str, ...]:
    letters = (
        (record.notes["key"], str(check.params.get("letter", "a")))
        for record in benchmark.records
        for check in record.checks
        if check.kind == "keywords:letter_frequency"
    )
    return tuple(key for key, letter in letters if not (len(letter) == 1 and "a" <= letter.lower() <= "z"))
