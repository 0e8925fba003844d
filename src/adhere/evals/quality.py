"""What tuning did to ordinary answers: length, repetition, stopping, likelihood; and one guard over them.

A model can learn constraints and forget how to answer. On plain instructions there is no check to pass, so
the guard asks three things of the tuned model's replies: do they end, do they not repeat themselves, and does
the original model still find them likely. Likelihood is that of each model's greedy replies, which hold no luck of
sampling, and is compared only on prompts where both replies ended and are sound: a loop is the likeliest text there
is, and a model that stops looping would look worse.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

import msgspec

from adhere.core.benchmark import Benchmark
from adhere.core.model import Scores
from adhere.core.statistics import Interval, paired_difference
from adhere.evals.grade import Graded, Row, paired_rows
from adhere.verify.guard import repeated_share

_WORD = re.compile(r"\w+")
Measure = Callable[[Row], float | None]


@dataclass(frozen=True)
class Margins:
    """How much worse the tuned model may be. Shares in [0, 1], log-likelihood in nats per token.

    Half a nat is a factor of 1.65 in perplexity: the base model's greedy reply is nearly the likeliest one by
    construction, so any other model's is less likely; ten points are one to two standard errors of what some 35
    prompts can show. With fewer than `fewest` comparable prompts the likelihood is not judged.
    """

    loglik: float = 0.5
    stops: float = 0.10
    repetition: float = 0.10
    fewest: int = 10


class Compared(msgspec.Struct, frozen=True):
    """One measure of base and tuned replies; `holds` is None where too little could be compared."""

    name: str
    base: float
    tuned: float
    interval: tuple[float, float]
    margin: float
    n: int
    holds: bool | None
    unit: str = ""


class QualityGuard(msgspec.Struct, frozen=True):
    """Whether ordinary answers survived, as far as that was judged.

    `passes` says that replies were compared and that no *judged* measure is worse by more than its margin;
    `unjudged` names the measures it says nothing about, and any claim has to name them too. The decision
    rests on the point estimate; the interval stands beside it in each measure. `words` is the mean length of
    base and tuned replies, for information. `reasons` says what failed, and why something was not judged.
    """

    passes: bool
    measures: tuple[Compared, ...]
    words: tuple[float, float]
    reasons: tuple[str, ...] = ()
    unjudged: tuple[str, ...] = ()


def guard_quality(
    base: Graded,
    tuned: Graded,
    benchmark: Benchmark,
    original: Scores | None = None,
    margins: Margins | None = None,
    greedy: tuple[Graded, Graded] | None = None,
) -> QualityGuard:
    """Compare two gradings of plain records; `original` scores replies (None: likelihood is not judged).

    `benchmark` holds the records that both were graded on. `greedy` are gradings of the two models' greedy replies to
    the same records, on which likelihood is computed; without them it is computed on the sampled replies of `base`
    and `tuned`. Replies that failed to come are left out in pairs.
    """
    margins = margins or Margins()
    pairs = _judged_pairs(base, tuned)
    likelihood, missing = _likelihood(_judged_pairs(*greedy) if greedy else pairs, benchmark, original, margins)
    measures = [
        _compared("stop share", pairs, lambda row: float(row.finish == "stop"), margins.stops, 1),
        _compared("repetition", pairs, lambda row: repeated_share(row.reply), margins.repetition, -1),
        likelihood,
    ]
    unjudged = tuple(one.name for one in measures if one.holds is None)
    why = {likelihood.name: missing} if missing else {}
    reasons = [
        f"{one.name} was not judged: {why.get(one.name, 'no prompt was answered by both models')}"
        if one.holds is None
        else f"{one.name} worse by {abs(one.tuned - one.base):.2f}, allowed {one.margin:.2f}"
        for one in measures
        if not one.holds
    ]
    passes = bool(pairs) and all(one.holds is not False for one in measures)
    lengths = [
        fmean([len(_WORD.findall(row.reply)) for row in side]) if side else 0.0
        for side in ([one for one, _ in pairs], [other for _, other in pairs])
    ]
    return QualityGuard(passes, tuple(measures), (lengths[0], lengths[1]), tuple(reasons), unjudged)


def _judged_pairs(base: Graded, tuned: Graded) -> list[tuple[Row, Row]]:
    return [(one, other) for one, other in paired_rows(base, tuned) if one.judged and other.judged]


def _compared(
    name: str, pairs: Sequence[tuple[Row, Row]], measure: Measure, margin: float, better: int, unit: str = ""
) -> Compared:
    """`better` is 1 where more is better, -1 where less is."""
    if not pairs:
        return Compared(name, 0.0, 0.0, (-math.inf, math.inf), margin, 0, None, unit)
    before, after = [measure(one) for one, _ in pairs], [measure(other) for _, other in pairs]
    found = paired_difference(before, after, [one.record for one, _ in pairs])
    return _judged(name, before, found, margin, better, unit)


def _judged(
    name: str, before: Sequence[float | None], found: Interval, margin: float, better: int, unit: str
) -> Compared:
    base = fmean([value for value in before if value is not None])
    holds = better * found.difference >= -margin
    return Compared(name, base, base + found.difference, (found.low, found.high), margin, found.n, holds, unit)


def _likelihood(
    pairs: Sequence[tuple[Row, Row]], benchmark: Benchmark, original: Scores | None, margins: Margins
) -> tuple[Compared, str]:
    """The measure, and why it was not judged (empty where it was)."""
    name, unit = "log-likelihood under the original model", "nats per token"
    prompts = {record.id: record.prompt for record in benchmark.records}
    fit = [(one, other) for one, other in pairs if _complete(one) and _complete(other) and one.record in prompts]
    comparable = len({one.record for one, _ in fit})
    unknown = Compared(name, 0.0, 0.0, (-math.inf, math.inf), margins.loglik, comparable, None, unit)
    if original is None:
        return unknown, "the original model gives no likelihoods"
    if comparable < max(1, margins.fewest):
        return unknown, f"{comparable} prompts have sound replies of both models, {margins.fewest} are needed"
    scores = [one.mean for one in original.score([(prompts[row.record], row.reply) for pair in fit for row in pair])]
    if not all(map(math.isfinite, scores)):
        odd = sum(not math.isfinite(a + b) for a, b in zip(scores[::2], scores[1::2], strict=True))
        return unknown, f"{odd} of {len(fit)} pairs have a likelihood that is no finite number"
    found = paired_difference(scores[::2], scores[1::2], [one.record for one, _ in fit])
    return _judged(name, scores[::2], found, margins.loglik, 1, unit), ""


def _complete(row: Row) -> bool:
    return row.finish == "stop" and row.degenerate is None and bool(row.reply.strip())
