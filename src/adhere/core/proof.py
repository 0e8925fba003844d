"""`Proof`: the outcome of the small experiment that would show a method working, whether it does or not.

The claim, its relation and its margin stand on the method's card before anything runs. A proof that does not hold is
kept like one that does: it says with which numbers the claim failed at this size.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from adhere.core.record import Check
from adhere.core.statistics import Interval

Relation = Literal["higher", "lower", "not lower", "same"]
RELATIONS = {
    "higher": "treated lies above the baseline by more than the margin",
    "lower": "treated lies below the baseline by more than the margin",
    "not lower": "treated lies below the baseline by less than the margin",
    "same": "treated lies within the margin of the baseline",
}
Size = Literal["tiny", "full"]


class Side(msgspec.Struct, frozen=True):
    """One side of a comparison: what it is called, its mean, and the tokens it took, from the call cache or not."""

    name: str
    value: float
    tokens: int = 0


class Shown(msgspec.Struct, frozen=True):
    """One prompt with both replies; `base_score` and `treated_score` are the metric on it (None: not judged).

    `checks` are those of the prompt, so that a page can mark their spans.
    """

    prompt: str
    base: str
    treated: str
    base_score: float | None
    treated_score: float | None
    checks: tuple[Check, ...] = ()


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """A paired comparison with the claim it was made for.

    `interval` is that of treated minus baseline, clustered by prompt (or by whatever the unit is: `unit`), `pairs` the
    means of each unit. `seeds` are those of the experiment. `holds` follows from `relation`, `margin` and the interval
    alone. `numbers` are further figures by name, `remark` says in words what a reader must know. `fingerprint` is that
    of the method's code, `model` the name and `weights` the fingerprint of what it was proved on; `seconds` is wall
    time.
    """

    method: str
    version: str
    claim: str
    metric: str
    relation: Relation
    margin: float
    baseline: Side
    treated: Side
    interval: Interval
    holds: bool
    seeds: tuple[int, ...]
    size: Size
    model: str
    weights: str
    fingerprint: str = ""
    unit: str = "prompts"
    pairs: tuple[tuple[float, float], ...] = ()
    numbers: dict[str, float] = {}
    remark: str = ""
    examples: tuple[Shown, ...] = ()
    seconds: float = 0.0
    made: str = ""

    @property
    def verdict(self) -> str:
        """What was found, in one sentence; says "no difference" where there is none."""
        found = self.interval
        effect = f"{found.difference:+.3f} (95 % {found.low:+.3f} to {found.high:+.3f}, {found.n} {self.unit})"
        if self.holds:
            return f"holds: {effect}"
        if found.low <= 0 <= found.high:
            seen = found.minimum_detectable
            missed = f"; a difference under {seen:.3f} is likely to be missed" if seen is not None else ""
            return f"refuted at this size: no difference found, {effect}{missed}"
        return f"refuted at this size: {effect}"


def holds(relation: Relation, margin: float, interval: Interval, baseline: float) -> bool:
    """Whether an interval of treated minus baseline shows what a claim says.

    The whole interval has to lie on the right side: `higher` above the margin, `lower` below minus the margin,
    `not lower` above minus the margin, `same` within the margin on both sides. Of the last two nothing is shown where
    the baseline's mean lies within the margin of zero: there both sides may fail alike.
    """
    if relation in ("not lower", "same") and abs(baseline) <= margin:
        return False
    return {
        "higher": interval.low > margin,
        "lower": interval.high < -margin,
        "not lower": interval.low > -margin,
        "same": -margin < interval.low and interval.high < margin,
    }[relation]
