"""How well two judges agree, or one with the truth: share, Cohen's kappa, interval, and the constant answer's floor.

Intervals are those of `core.statistics`: Wilson's, clustered by prompt.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import msgspec

from adhere.core.errors import DataError
from adhere.core.statistics import Proportion, proportion_interval


class Agreement(msgspec.Struct, frozen=True):
    """Verdicts beside the truth.

    `accuracy` is the share of equal ones among those judged, `floor` what the better constant answer has on the same
    rows, `kappa` Cohen's (Educ. Psychol. Meas. 20, 1960), None where one side is constant or nothing was judged.
    `abstained` is the share not judged.
    """

    accuracy: Proportion
    kappa: float | None
    floor: float
    abstained: Proportion
    false_passes: int
    false_fails: int

    @property
    def beats_chance(self) -> bool:
        """Whether the whole interval of the accuracy lies above the constant answer."""
        return self.accuracy.n > 0 and self.accuracy.low > self.floor


def share_of(hits: Sequence[bool], clusters: Sequence[Hashable] | None = None, level: float = 0.95) -> Proportion:
    """The share of true values with its interval, all of [0, 1] without values; `clusters` names their prompts."""
    return proportion_interval(hits, clusters, level) if hits else Proportion(0.0, 0.0, 1.0, 0, 0)


def kappa(first: Sequence[bool], second: Sequence[bool]) -> float | None:
    """Cohen's kappa of two sequences of verdicts; None where chance alone would agree always, or there are none."""
    n = len(first)
    if n != len(second):
        raise DataError(f"expected as many verdicts on both sides, found {n} and {len(second)}")
    if not n:
        return None
    equal = sum(one == other for one, other in zip(first, second, strict=True)) / n
    yes, also = sum(first) / n, sum(second) / n
    chance = yes * also + (1 - yes) * (1 - also)
    return None if chance >= 1.0 else (equal - chance) / (1 - chance)


def agreement(
    found: Sequence[bool | None], truth: Sequence[bool], clusters: Sequence[Hashable] | None = None
) -> Agreement:
    """Verdicts (None is not judged) against the truth. Raises `DataError` on unequal lengths."""
    if len(found) != len(truth):
        raise DataError(f"expected as many verdicts as truths, found {len(found)} and {len(truth)}")
    names: Sequence[Hashable] = clusters if clusters is not None else range(len(truth))
    rows = [(one, true, name) for one, true, name in zip(found, truth, names, strict=True) if one is not None]
    ones, trues = [row[0] for row in rows], [row[1] for row in rows]
    passes = sum(trues) / len(trues) if trues else 0.5
    return Agreement(
        accuracy=share_of([one == true for one, true, _ in rows], [name for *_, name in rows]),
        kappa=kappa(ones, trues),
        floor=max(passes, 1 - passes),
        abstained=share_of([one is None for one in found], names),
        false_passes=sum(one and not true for one, true, _ in rows),
        false_fails=sum(true and not one for one, true, _ in rows),
    )
