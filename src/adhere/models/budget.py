"""What a run may spend, what it has spent, and a model that stops at the limit."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from adhere.core.errors import SettingsError, StoreError
from adhere.core.model import Ask, Generates, Reply, Scored, Scores, Trains
from adhere.core.record import Message

BUDGET_SPENT = "budget spent"  # how the error of an ask begins that was not made for want of budget
FORMS = "Forms: 200000 tokens, 200k, 1.5M tokens, 15m, 15 minutes, 2h, or both: 200k tokens, 15m."
# `m` is minutes and `M` is million; everything else is read without regard to case.
TOKEN_UNITS = {"": 1, "k": 1_000, "M": 1_000_000}
MINUTE_UNITS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1 / 60),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 1.0),
    **dict.fromkeys(("h", "hour", "hours"), 60.0),
}


class Budget(msgspec.Struct, frozen=True):
    """A limit on tokens (read, written and trained on together), on minutes, on both, or on nothing."""

    tokens: int | None = None
    minutes: float | None = None

    def __str__(self) -> str:
        parts = [f"{self.tokens:,} tokens"] if self.tokens is not None else []
        parts += [f"{self.minutes:g} minutes"] if self.minutes is not None else []
        return ", ".join(parts) or "no limit"


def parse_budget(text: str) -> Budget:
    """The budget in words (`200000 tokens`, `200k`, `15m`, `15 minutes`, `200k tokens, 15m`).

    Raises `SettingsError` on anything else, on nothing, and on a limit that is not above zero.
    """
    tokens: int | None = None
    minutes: float | None = None
    for part in re.split(r",(?!\d{3})|\band\b", text):
        amount, unit = _parse_limit(part, text)
        if unit == "tokens" and tokens is None:
            tokens = max(round(amount), 1)
        elif unit == "minutes" and minutes is None:
            minutes = amount
        else:
            raise SettingsError(f"the budget {text!r} limits {unit} twice", FORMS)
    return Budget(tokens, minutes)


def _parse_limit(part: str, whole: str) -> tuple[float, str]:
    found = re.fullmatch(r"\s*(\d[\d_,]*(?:\.\d+)?|\.\d+)\s*([a-zA-Z]*)\s*([a-zA-Z]*)\s*", part)
    if not found:
        raise SettingsError(f"the budget should be an amount and a unit, found {whole!r}", FORMS)
    amount = float(found[1].replace(",", "").replace("_", ""))
    unit, noun = found[2], found[3].lower()
    if unit.lower() in ("token", "tokens", "tok") and not noun:
        unit, noun = "", "tokens"
    scale = unit if unit == "M" else unit.lower()
    if amount <= 0:
        raise SettingsError(f"the budget should be above zero, found {whole!r}", "Leave --budget out for no limit.")
    if scale in TOKEN_UNITS and noun in ("", "token", "tokens", "tok"):
        if not scale and not noun:
            raise SettingsError(f"the budget {whole!r} has no unit: tokens or minutes?", FORMS)
        return amount * TOKEN_UNITS[scale], "tokens"
    if scale in MINUTE_UNITS and not noun:
        return amount * MINUTE_UNITS[scale], "minutes"
    raise SettingsError(f"unknown unit {' '.join(found.group(2, 3)).strip()!r} in the budget {whole!r}", FORMS)


class Spent(msgspec.Struct):
    """What one stage used. `seconds` is the time spent waiting for the model, `trained` the tokens trained on.

    Replies from the call cache cost nothing: they are counted apart, in `cached` and `tokens_cached`.
    """

    calls: int = 0
    errors: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    trained: int = 0
    cached: int = 0
    tokens_cached: int = 0

    @property
    def tokens(self) -> int:
        """Tokens read, written and trained on."""
        return self.tokens_in + self.tokens_out + self.trained

    def add(self, reply: Reply) -> None:
        """Count one reply."""
        if reply.cached:
            self.cached += 1
            self.tokens_cached += reply.tokens_in + reply.tokens_out
            return
        self.calls += 1
        self.errors += reply.finish == "error"
        self.tokens_in += reply.tokens_in
        self.tokens_out += reply.tokens_out


class Ledger:
    """What a run has spent, by stage. `stage` names where the next reply is booked.

    `elapsed_s` is wall time since the ledger was made, plus that of earlier sessions of the same run; it is
    what a budget in minutes limits, so that training counts too.
    """

    def __init__(
        self, stages: dict[str, Spent] | None = None, earlier_s: float = 0.0, clock: Callable[[], float] | None = None
    ) -> None:
        self.stages: dict[str, Spent] = stages or {}
        self.stage = "all"
        self._earlier_s = earlier_s
        self._clock = clock or time.monotonic
        self._began = self._clock()

    @property
    def elapsed_s(self) -> float:
        """Seconds of wall time, earlier sessions included."""
        return self._earlier_s + self._clock() - self._began

    @property
    def total(self) -> Spent:
        """All stages together."""
        sums = Spent()
        for spent in self.stages.values():
            for field in Spent.__struct_fields__:
                setattr(sums, field, getattr(sums, field) + getattr(spent, field))
        return sums

    @contextlib.contextmanager
    def at(self, stage: str) -> Iterator[Spent]:
        """Book everything inside the block under `stage`."""
        before, self.stage = self.stage, stage
        try:
            yield self._here()
        finally:
            self.stage = before

    def book(self, reply: Reply) -> None:
        """Count one reply."""
        self._here().add(reply)

    def book_scores(self, scores: Sequence[Scored]) -> None:
        """Count scored replies: their tokens are read, none is written."""
        spent = self._here()
        spent.calls += len(scores)
        spent.tokens_in += sum(score.tokens for score in scores)

    def book_training(self, tokens: int) -> None:
        """Count tokens that a step of training went through, labelled or not."""
        self._here().trained += tokens

    @contextlib.contextmanager
    def timed(self) -> Iterator[Callable[[], None]]:
        """Add the time inside the block to the stage's seconds; calling what it gives adds the time so far at once."""
        spent, began = self._here(), self._clock()

        def lap() -> None:
            nonlocal began
            now = self._clock()
            spent.seconds += now - began
            began = now

        try:
            yield lap
        finally:
            lap()

    def shortfall(self, budget: Budget) -> str:
        """What of the budget is used up, in words; empty while something is left."""
        if budget.tokens is not None and self.total.tokens >= budget.tokens:
            return f"{self.total.tokens:,} of {budget.tokens:,} tokens are used"
        if budget.minutes is not None and self.elapsed_s >= budget.minutes * 60:
            return f"{self.elapsed_s / 60:.1f} of {budget.minutes:g} minutes are used"
        return ""

    def part_of_rest(self, budget: Budget, parts: int) -> Budget:
        """The limit that leaves `parts - 1` equal parts of what is left: all that is spent, and one part more."""
        spent, minutes = self.total.tokens, self.elapsed_s / 60
        return Budget(
            None if budget.tokens is None else spent + max(0, budget.tokens - spent) // parts,
            None if budget.minutes is None else minutes + max(0.0, budget.minutes - minutes) / parts,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        stages = {stage: msgspec.structs.asdict(spent) for stage, spent in self.stages.items()}
        return {"elapsed_s": self.elapsed_s, "stages": stages}

    @classmethod
    def from_dict(cls, values: Any, clock: Callable[[], float] | None = None) -> Ledger:
        """The ledger of an earlier session, to go on with. Raises `StoreError` when it is not one."""
        try:
            saved = msgspec.convert(values, _Saved)
        except msgspec.ValidationError as error:
            raise StoreError(f"this is not a saved ledger: {error}") from None
        return cls(saved.stages, saved.elapsed_s, clock)

    def _here(self) -> Spent:
        return self.stages.setdefault(self.stage, Spent())


class _Saved(msgspec.Struct):
    elapsed_s: float = 0.0
    stages: dict[str, Spent] = {}


class Metered:
    """A model whose replies are booked, and which stops once the budget is spent. Made by `metered`."""

    weights: Path
    score: Callable[[Sequence[tuple[tuple[Message, ...], str]]], list[Scored]]
    with_weights: Callable[[Path, str], Generates]

    def __init__(self, model: Generates, ledger: Ledger, budget: Budget) -> None:
        self._model, self._ledger, self._budget = model, ledger, budget
        # Set only where the model has them, so that isinstance(model, Scores) and Trains tell the truth.
        if isinstance(model, Scores):
            self.score = self._metered_score
        if isinstance(model, Trains):
            self.weights = model.weights
            self.with_weights = self._metered_with_weights

    def __repr__(self) -> str:
        return f"metered({self._model!r})"

    @property
    def name(self) -> str:
        """That of the model."""
        return self._model.name

    @property
    def fingerprint(self) -> str:
        """That of the model: metering changes no reply."""
        return self._model.fingerprint

    def generate(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        """Yield what the model yields; once the budget is spent, every ask still owed ends as a failed reply.

        Failing rather than raising lets every method end with what it has: a failed ask is a case that each
        of them must handle anyway. The model's own generator is closed in every case.
        """
        owed = dict.fromkeys(range(len(asks)))
        found = iter(self._model.generate(asks)) if owed and not self._shortfall() else iter(())
        try:
            while owed and not self._shortfall():
                with self._ledger.timed():
                    answer = next(found, None)
                if answer is None:
                    break
                self._ledger.book(answer[1])
                owed.pop(answer[0], None)
                yield answer
        finally:
            close = getattr(found, "close", None)
            if close is not None:
                close()
        shortfall = self._shortfall()
        for position in list(owed) if shortfall else ():
            yield position, Reply("", "error", error=f"{BUDGET_SPENT}: {shortfall}")

    def _shortfall(self) -> str:
        return self._ledger.shortfall(self._budget)

    def _metered_score(self, pairs: Sequence[tuple[tuple[Message, ...], str]]) -> list[Scored]:
        if not isinstance(self._model, Scores):
            raise TypeError(f"{self._model!r} does not score")
        with self._ledger.timed():
            scores = self._model.score(pairs)
        self._ledger.book_scores(scores)
        return scores

    def _metered_with_weights(self, folder: Path, name: str) -> Generates:
        if not isinstance(self._model, Trains):
            raise TypeError(f"{self._model!r} has no weights")
        return Metered(self._model.with_weights(folder, name), self._ledger, self._budget)


def metered(model: Generates, ledger: Ledger, budget: Budget | None = None) -> Generates:
    """`model`, booked in `ledger` and stopped by `budget`; it scores and trains if `model` does."""
    return Metered(model, ledger, budget or Budget())
