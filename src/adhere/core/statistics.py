"""Paired comparison of two models, and intervals for shares; standard library only.

Prompts are the sampling unit: several seeds or several checks of one prompt are not independent, so every
interval here is clustered by prompt. The interval of a difference is a t interval over per-prompt mean
differences (the cluster-robust one for equally weighted prompts): deterministic, and from about 30 prompts on
as well calibrated as a bootstrap over prompts, which needs random numbers. Intervals of shares are
Wilson's (JASA 22, 1927), which stay within [0, 1] and do not collapse at its ends.

What the intervals cover is the choice of prompts. Seeds are sampling seeds: several replies of one model, from one
training run, to the same prompt. They are averaged within the prompt, and the share per seed is reported beside
(`Comparison.by_seed`). How much another training run would differ is not measured by any number here.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from statistics import NormalDist, fmean, stdev

import msgspec

from adhere.core.errors import DataError

Share = bool | float | None
POWER = 0.8


class Interval(msgspec.Struct, frozen=True):
    """A paired mean difference with its interval, over `n` prompts.

    `low` and `high` are infinite where one prompt gives no spread. `minimum_detectable` is the true difference
    that this many prompts of this spread would show with 80 % power; None where the spread is unknown or
    zero. `wins` and `losses` count prompts that moved up and down, `p` is the exact two-sided sign test on
    them, `pairs` the (prompt, seed) pairs used and `not_judged` those left out.
    """

    difference: float
    low: float
    high: float
    n: int
    minimum_detectable: float | None = None
    wins: int = 0
    losses: int = 0
    p: float = 1.0
    pairs: int = 0
    not_judged: int = 0
    level: float = 0.95

    @property
    def ends(self) -> list[float | None]:
        """`[low, high]` for JSON, which has no infinity: None there."""
        return [end if math.isfinite(end) else None for end in (self.low, self.high)]


class Proportion(msgspec.Struct, frozen=True):
    """A share with its interval: over `n` values in `clusters` prompts."""

    share: float
    low: float
    high: float
    n: int
    clusters: int


def paired_difference(
    base: Sequence[Share], treated: Sequence[Share], clusters: Sequence[Hashable], level: float = 0.95
) -> Interval:
    """The mean of `treated - base` over prompts, with its t interval.

    The three sequences run in parallel, one entry per (prompt, seed); `clusters` names the prompt. A pair with
    None on either side was not judged and is left out. Each prompt counts once, however many of its pairs were
    judged. Raises `DataError` on unequal lengths, numbers that are not finite, or when nothing is left.
    """
    _same_length(base, treated, clusters)
    differences: dict[Hashable, list[float]] = {}
    for before, after, cluster in zip(base, treated, clusters, strict=True):
        if before is not None and after is not None:
            differences.setdefault(cluster, []).append(_finite(after) - _finite(before))
    if not differences:
        raise DataError("no pair was judged on both sides", "Look at the errors of the asks: all of them failed.")
    means = [math.fsum(values) / len(values) for values in differences.values()]
    wins, losses = sum(mean > 0 for mean in means), sum(mean < 0 for mean in means)
    pairs = sum(map(len, differences.values()))
    n = len(means)
    middle = fmean(means)
    spread = stdev(means) if n > 1 else math.inf
    half = t_quantile(0.5 + level / 2, n - 1) * spread / math.sqrt(n) if n > 1 else math.inf
    detectable = minimum_detectable_effect(spread, n, POWER, level) if 0 < spread < math.inf else None
    return Interval(
        difference=middle,
        low=middle - half,
        high=middle + half,
        n=n,
        minimum_detectable=detectable,
        wins=wins,
        losses=losses,
        p=sign_test(wins, losses),
        pairs=pairs,
        not_judged=len(base) - pairs,
        level=level,
    )


def sign_test(wins: int, losses: int) -> float:
    """Exact two-sided p of `wins` against `losses` at even odds; ties are left out before.

    For one binary outcome per prompt this is McNemar's exact test. 1.0 when nothing moved.
    """
    moved = wins + losses
    tail = sum(math.comb(moved, k) for k in range(min(wins, losses) + 1))
    return min(1.0, 2 * tail / (1 << moved))


def proportion_interval(
    values: Sequence[Share], clusters: Sequence[Hashable] | None = None, level: float = 0.95
) -> Proportion:
    """The share over all values with Wilson's interval, clustered where `clusters` is given.

    Values are in [0, 1]; None is not judged and left out. Without clusters every value is its own
    prompt: plain Wilson. With them the number of values in Wilson's formula is the effective one,
    share * (1 - share) / SE^2 with the cluster-robust SE (never above the number of values), and the
    quantile is that of t with one degree of freedom fewer than prompts; at a share of 0 or 1, where the SE
    vanishes, the number of prompts takes its place. Raises `DataError` when no value was judged.
    """
    names = range(len(values)) if clusters is None else clusters
    _same_length(values, names)
    sums: dict[Hashable, float] = {}
    counts: dict[Hashable, int] = {}
    for value, cluster in zip(values, names, strict=True):
        if value is not None:
            sums[cluster] = sums.get(cluster, 0.0) + _within_unit(value)
            counts[cluster] = counts.get(cluster, 0) + 1
    n, prompts = sum(counts.values()), len(counts)
    if not n:
        raise DataError("no value was judged", "Look at the errors of the asks: all of them failed.")
    share = min(1.0, math.fsum(sums.values()) / n)
    if clusters is None:
        low, high = wilson(share, n, NormalDist().inv_cdf(0.5 + level / 2))
        return Proportion(share, low, high, n, prompts)
    if prompts < 2:
        return Proportion(share, 0.0, 1.0, n, prompts)
    residuals = math.fsum((sums[name] - share * counts[name]) ** 2 for name in counts)
    variance = prompts / (prompts - 1) * residuals / n**2
    effective = min(n, share * (1 - share) / variance) if variance > 0 and 0 < share < 1 else prompts
    low, high = wilson(share, effective, t_quantile(0.5 + level / 2, prompts - 1))
    return Proportion(share, low, high, n, prompts)


def wilson(share: float, n: float, quantile: float) -> tuple[float, float]:
    """Wilson's score interval of `share` over `n` values for a two-sided normal (or t) quantile."""
    square = quantile * quantile / n
    centre = (share + square / 2) / (1 + square)
    half = quantile / (1 + square) * math.sqrt(share * (1 - share) / n + square / (4 * n))
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def minimum_detectable_effect(spread: float, n: int, power: float = POWER, level: float = 0.95) -> float:
    """The true mean difference that `n` prompts show with probability `power` at this level, two-sided.

    `spread` is the standard deviation of per-prompt differences; (t_level + t_power) * spread / sqrt(n).
    """
    if n < 2:
        raise DataError(f"a detectable effect needs at least 2 prompts, found {n}")
    return (t_quantile(0.5 + level / 2, n - 1) + t_quantile(power, n - 1)) * spread / math.sqrt(n)


def verdict_in_words(interval: Interval, thing: str = "share of constraints followed") -> str:
    """One sentence on a difference of shares: better, worse or no difference found, in points.

    "No difference" comes with the size of the effect that would have been missed.
    """
    low, high, n = interval.low, interval.high, interval.n
    per_cent = f"{100 * interval.level:.0f} %"
    prompts = f"{n} prompt{'s' * (n != 1)}"
    evidence = f"{per_cent} interval {100 * low:+.1f} to {100 * high:+.1f}, {prompts}"
    size = f"{100 * abs(interval.difference):.1f} points"
    if low > 0:
        return f"{thing}: higher by {size} ({evidence})"
    if high < 0:
        return f"{thing}: lower by {size} ({evidence})"
    found = f"{thing}: no difference found, {100 * interval.difference:+.1f} points ({evidence})"
    if interval.minimum_detectable is None:
        return found
    return f"{found}; a true difference under {100 * interval.minimum_detectable:.1f} points is likely to be missed"


def t_quantile(p: float, degrees: float) -> float:
    """The `p` quantile of Student's t, to about 10 digits; `degrees` of freedom above 0."""
    if not 0 < p < 1 or degrees <= 0:
        raise DataError(f"a t quantile needs 0 < p < 1 and degrees > 0, found p={p}, degrees={degrees}")
    if p == 0.5:
        return 0.0
    if p < 0.5:
        return -t_quantile(1 - p, degrees)
    low, high = 0.0, 1.0
    while t_cdf(high, degrees) < p:
        low, high = high, 2 * high
    for _ in range(100):
        middle = (low + high) / 2
        low, high = (middle, high) if t_cdf(middle, degrees) < p else (low, middle)
        if high - low <= 1e-12 * high:
            break
    return (low + high) / 2


def t_cdf(t: float, degrees: float) -> float:
    """P(T <= t) for Student's t, through the regularised incomplete beta function."""
    tail = _beta_share(degrees / (degrees + t * t), degrees / 2, 0.5) / 2
    return 1 - tail if t >= 0 else tail


def _beta_share(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta I_x(a, b): Abramowitz and Stegun 26.5.8 by Lentz's method."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # the fraction converges fast on the other side only
        return 1 - _beta_share(1 - x, b, a)
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    value, c, d = 1.0, 1.0, 0.0
    for step in range(1, 1000):
        m = step // 2
        if step % 2:
            term = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        else:
            term = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        d = 1 / _not_zero(1 + term * d)
        c = _not_zero(1 + term / c)
        value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return math.exp(log_front) / (a * value)


def _not_zero(value: float) -> float:
    return value if abs(value) > 1e-300 else 1e-300


def _same_length(*sequences: Sequence[object]) -> None:
    lengths = [len(one) for one in sequences]
    if len(set(lengths)) > 1:
        raise DataError(f"expected sequences of one length, found {lengths}", "One entry per (prompt, seed) pair.")


def _finite(value: bool | float) -> float:
    if not math.isfinite(value):
        raise DataError(f"expected a finite score, found {value}", "Leave a score that could not be judged as None.")
    return float(value)


def _within_unit(value: bool | float) -> float:
    if not 0 <= value <= 1:
        raise DataError(f"expected a share between 0 and 1, found {value}")
    return float(value)
