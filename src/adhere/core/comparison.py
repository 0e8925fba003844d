"""`Compared`: several methods on one benchmark, paired with one another."""

from __future__ import annotations

import msgspec

from adhere.core.statistics import Interval


class Member(msgspec.Struct, frozen=True):
    """A method in a comparison: its mean score over prompts and seeds, and what it cost.

    `tokens` are those read and written, and twice those trained on, for all seeds together; `none` is the model as it
    is.
    """

    name: str
    score: float | None
    tokens: int
    seconds: float
    not_judged: int = 0


class Duel(msgspec.Struct, frozen=True):
    """Two methods, paired by prompt: `interval` is that of `second` minus `first`, `verdict` says it in words."""

    first: str
    second: str
    interval: Interval
    verdict: str


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison: on what, at what budget (tokens per method and seed, None: no limit), and what came out.

    `pool` are the tokens of the replies that methods learn from: made once for all, and in nobody's cost.
    """

    on: str
    measured: str
    prompts: int
    seeds: int
    budget: int | None
    pool: int
    model: str
    members: tuple[Member, ...]
    duels: tuple[Duel, ...]

    @property
    def command(self) -> str:
        """The command line that made it."""
        names = " ".join(one.name for one in self.members[1:])
        slice_name = self.on.removeprefix("heldout-").partition("-")[0]
        budget = f' --budget "{self.budget} tokens"' if self.budget else ""
        return f"adhere compare {names} --on {slice_name} --limit {self.prompts} --seeds {self.seeds}{budget}"

    def against(self, name: str) -> Duel | None:
        """The pairing of a method with the model as it is."""
        return next((one for one in self.duels if one.first == self.members[0].name and one.second == name), None)

    def in_words(self) -> str:
        """A table for people: score, difference to the model as it is, interval, detectable effect, cost, verdict."""
        budget = f"{self.budget:,} tokens each" if self.budget else "no budget"
        lines = [
            f"{self.model} on {self.on}: {self.measured}, {self.prompts} prompts, {self.seeds} seeds, {budget}",
            f"{'method':24} {'score':>6} {'difference':>10}  {'95 % interval':18} {'detect.':>7} {'tokens':>10}",
        ]
        for one in self.members:
            duel = self.against(one.name)
            score = "-" if one.score is None else f"{100 * one.score:.1f}"
            found = "" if duel is None else _numbers(duel.interval)
            lines.append(f"{one.name:24} {score:>6} {found:38} {one.tokens:>10,}")
        lines += [one.verdict for one in self.duels if one.first != self.members[0].name]
        if self.pool:
            lines.append(f"The pool of replies that methods learn from took {self.pool:,} tokens beside these.")
        return "\n".join(lines)


def _numbers(interval: Interval) -> str:
    detectable = "-" if interval.minimum_detectable is None else f"{100 * interval.minimum_detectable:.1f}"
    ends = f"{100 * interval.low:+.1f} to {100 * interval.high:+.1f}"
    return f"{100 * interval.difference:+10.1f}  {ends:18} {detectable:>7}"


def duel_of(first: str, second: str, interval: Interval) -> Duel:
    """The pairing of two methods; where the interval holds zero, the verdict is "no difference found"."""
    low, high = 100 * interval.low, 100 * interval.high
    evidence = f"95 % {low:+.1f} to {high:+.1f}"
    if low > 0:
        verdict = f"{second} is better than {first} by {100 * interval.difference:.1f} points ({evidence})"
    elif high < 0:
        verdict = f"{first} is better than {second} by {-100 * interval.difference:.1f} points ({evidence})"
    else:
        missed = interval.minimum_detectable
        tail = f"; under {100 * missed:.1f} points would likely be missed" if missed is not None else ""
        verdict = f"{first} and {second}: no difference found ({evidence}{tail})"
    return Duel(first, second, interval, verdict)
