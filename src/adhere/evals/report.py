"""`EvaluationReport`: what an evaluate method returns: numbers for programs, words for people, and every row."""

from __future__ import annotations

from typing import Any

import msgspec

from adhere.core.statistics import Proportion
from adhere.evals.grade import Graded, Row
from adhere.evals.ifeval import LEVELS, IFEvalReport


class EvaluationReport(msgspec.Struct, frozen=True):
    """`values` is the documented JSON object, `words` the lines for a terminal, `gradings` what they rest on."""

    values: dict[str, Any]
    words: tuple[str, ...]
    gradings: tuple[Graded, ...]

    @property
    def rows(self) -> list[Row]:
        """Every graded reply, in the order asked."""
        return [row for graded in self.gradings for row in graded.rows]

    def as_json(self) -> dict[str, Any]:
        """The documented object."""
        return self.values

    def in_words(self) -> str:
        """The report for people."""
        return "\n".join(self.words)


def ifeval_in_words(found: IFEvalReport) -> tuple[str, ...]:
    """The four numbers, their intervals, the floor beside them."""
    lines = [f"IFEval, {found.model}: {found.prompt_strict.n} prompts, {found.instruction_strict.n} instructions"]
    lines += [f"  {level.replace('_', ' '):19} {in_words(getattr(found, level))}" for level in LEVELS]
    low, high = found.mean_strict_interval
    lines.append(f"  {'mean, strict':19} {_percent(found.mean_strict)}  [{_percent(low)}, {_percent(high)}]")
    lines.append(f"  {'replies that stop':19} {_percent(found.stops or 0.0)}")
    if found.not_judged:
        lines.append(f"  not judged: {found.not_judged} instructions {dict(found.unknown) or ''}".rstrip())
    if found.judged_literally:
        keys = ", ".join(found.judged_literally)
        lines.append(f"  letters judged as written (the reference draws them): keys {keys}")
    if found.floor is not None:
        mean = (found.floor.prompt_strict + found.floor.instruction_strict) / 2
        levels = f"{_percent(found.floor.prompt_strict)} / {_percent(found.floor.instruction_strict)}"
        lines.append(f"  floor: the constant answer {found.floor.shown} scores {levels}, mean {_percent(mean)}")
    return tuple(lines)


def in_words(found: Proportion) -> str:
    """A share with its interval: `31.7 %  [29.1 %, 34.4 %]`."""
    return f"{_percent(found.share)}  [{_percent(found.low)}, {_percent(found.high)}]"


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"
