"""What a run may spend, what it has spent, and a model that stops before the limit.

A limit holds with calls in flight: before an ask is handed to the model, the most that it can cost (the tokens of its
prompt and `max_tokens`) is held back, and what it did not use is given back with its reply. An ask whose bound would
pass the limit is not made. Where everything that is asked fits, all of it is handed over at once and the model's
batches are as full as without a budget; near the limit it goes in slices, each as large as what is left allows, until
a further one would be worth less than the wait for it.

What no counting can see: an attempt that a server worked on and never answered, and, in minutes, how long the next
reply takes. Time is therefore taken to be up as soon as another wait like the longest so far would pass the limit.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from adhere.core.errors import AdhereError
from adhere.core.model import INSIDE, Ask, Generates, Reply, Scored, Scores, Trains, pass_on
from adhere.core.record import Message, canonical_json
from adhere.models.limits import Budget, parse_budget
from adhere.models.prices import Price, money_in_words

__all__ = ["BUDGET_SPENT", "Budget", "Ledger", "Metered", "Spent", "metered", "parse_budget", "prompt_at_most"]

BUDGET_SPENT = "budget spent"  # how the error of an ask begins that was not made for want of budget
LEAST_SLICE = 32  # a further slice smaller than one in so many of all asks made is not worth waiting for
TEMPLATE_TOKENS = 128  # room for what a server's chat template may write around the messages


class Spent(msgspec.Struct):
    """What one stage used. `seconds` is the time spent waiting for the model, `trained` the tokens trained on.

    `kept` of `tokens_in` were in a prompt cache of the server's own. `retries` are the further attempts that replies
    took. `uncounted` replies came from a server that counts no tokens: theirs stand here at an upper bound. Replies
    from the call cache cost nothing: they are counted apart, in `cached` and `tokens_cached`.
    """

    calls: int = 0
    errors: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0
    trained: int = 0
    cached: int = 0
    tokens_cached: int = 0
    kept: int = 0
    retries: int = 0
    uncounted: int = 0

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
        self.kept += reply.tokens_kept
        self.retries += reply.retries


class Ledger:
    """What a run has spent, by stage. `stage` names where the next reply is booked.

    `elapsed_s` is wall time since the ledger was made, plus that of earlier sessions of the same run; it is
    what a budget in minutes limits, and what a machine is paid for, so that training counts too. `price` is that of
    the model (None: money is not known), `limit` what may be spent in all until the stage at work ends.
    """

    def __init__(
        self,
        stages: dict[str, Spent] | None = None,
        earlier_s: float = 0.0,
        clock: Callable[[], float] | None = None,
        price: Price | None = None,
    ) -> None:
        self.stages: dict[str, Spent] = stages or {}
        self.stage = "all"
        self.price = price
        self.limit = Budget()
        self._held = Spent()  # what calls in flight may still use
        self._lock = threading.Lock()
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

    def money(self, spent: Spent | None = None) -> float | None:
        """What a stage cost, or the whole run with all its wall time (None); None where no price is given."""
        if self.price is None:
            return None
        seconds = self.elapsed_s if spent is None else spent.seconds
        used = spent or self.total
        return self.price.money(used.tokens_in, used.tokens_out, used.kept, seconds)

    @contextlib.contextmanager
    def at(self, stage: str, limit: Budget | None = None) -> Iterator[Spent]:
        """Book everything inside the block under `stage`, and let it spend no more than `limit`."""
        before, self.stage = self.stage, stage
        until, self.limit = self.limit, self.limit if limit is None else limit
        try:
            yield self._here()
        finally:
            self.stage, self.limit = before, until

    def book(self, reply: Reply) -> None:
        """Count one reply."""
        self._here().add(reply)

    def book_scores(self, scores: Sequence[Scored]) -> None:
        """Count scored replies: prompts and replies are read, none is written."""
        spent = self._here()
        spent.calls += len(scores)
        spent.tokens_in += sum(score.prompt_tokens + score.tokens for score in scores)

    def book_training(self, tokens: int) -> None:
        """Count tokens that a step of training went through, labelled or not."""
        self._here().trained += tokens

    def book_uncounted(self) -> None:
        """Note that the tokens of a reply are an upper bound, because the server counts none."""
        self._here().uncounted += 1

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

    # -- limits -----------------------------------------------------------------------------------------------

    def shortfall(self, budget: Budget, ahead: Spent | None = None) -> str:
        """What of the budget is used up, or what would be passed by `ahead` beside all that is in flight; in words.

        Empty while neither is so. A limit may be met exactly, but nothing starts once it is.
        """
        return self._passed(budget, self.total, _sum(self._held, ahead or Spent())) if budget else ""

    def _passed(self, budget: Budget, total: Spent, ahead: Spent) -> str:
        used, more = total.tokens, ahead.tokens
        if budget.tokens is not None and (used >= budget.tokens or used + more > budget.tokens):
            words = f"{used:,} of {budget.tokens:,} tokens are used"
            return words if used >= budget.tokens else f"{words}, and what comes next may take {more:,}"
        if budget.minutes is not None and self.elapsed_s + ahead.seconds >= budget.minutes * 60:
            words = f"{self.elapsed_s / 60:.1f} of {budget.minutes:g} minutes are used"
            is_over = self.elapsed_s >= budget.minutes * 60
            return words if is_over else f"{words}, and what comes next may take {ahead.seconds:.1f} s"
        return "" if budget.money is None else self._money_passed(budget.money, budget.currency, total, ahead)

    def _money_passed(self, limit: float, currency: str, total: Spent, ahead: Spent) -> str:
        if self.price is None or self.price.currency != currency:
            return f"the limit is in {currency}, and no price in it is given"
        used = self.price.money(total.tokens_in, total.tokens_out, total.kept, self.elapsed_s)
        more = self.price.at_most(ahead.tokens_in, ahead.tokens_out, ahead.seconds)
        if used < limit and used + more <= limit:
            return ""
        words = f"{money_in_words(used, currency)} of {money_in_words(limit, currency)} are used"
        return words if used >= limit else f"{words}, and what comes next may take {money_in_words(more, currency)}"

    def hold(self, bounds: Iterator[Spent], budget: Budget) -> tuple[list[Spent], str]:
        """Hold back what the next calls can cost at most, one by one while the budget lasts.

        Returns the bounds that were held, and what the next one would have passed (empty when all fit).
        """
        with self._lock:
            total, held, admitted = self.total, self._held, list[Spent]()
            reason = self._passed(budget, total, held)
            for bound in bounds if not reason else ():
                possible = _sum(held, bound)
                reason = self._passed(budget, total, possible)
                if reason:
                    break
                held = possible
                admitted.append(bound)
            self._held = held
            return admitted, reason

    def give_back(self, bound: Spent) -> None:
        """Let go of what was held back for a call that has ended."""
        with self._lock:
            self._held = Spent(
                tokens_in=self._held.tokens_in - bound.tokens_in, tokens_out=self._held.tokens_out - bound.tokens_out
            )

    def part_of_rest(self, budget: Budget, parts: int) -> Budget:
        """The limit that leaves `parts - 1` equal parts of what is left: all that is spent, and one part more."""
        spent, minutes, money = self.total.tokens, self.elapsed_s / 60, self.money() or 0.0
        return Budget(
            None if budget.tokens is None else spent + max(0, budget.tokens - spent) // parts,
            None if budget.minutes is None else minutes + max(0.0, budget.minutes - minutes) / parts,
            None if budget.money is None else money + max(0.0, budget.money - money) / parts,
            budget.currency,
        )

    def _here(self) -> Spent:
        return self.stages.setdefault(self.stage, Spent())


def _sum(one: Spent, other: Spent) -> Spent:
    """What two bounds hold together: tokens and seconds."""
    return Spent(
        tokens_in=one.tokens_in + other.tokens_in,
        tokens_out=one.tokens_out + other.tokens_out,
        trained=one.trained + other.trained,
        seconds=one.seconds + other.seconds,
    )


class Metered:
    """A model whose replies are booked, and which stops before the budget is passed. Made by `metered`.

    It belongs directly around the model, inside a call cache: replies from the cache cost nothing and need no room.
    """

    weights: Path
    score: Callable[[Sequence[tuple[tuple[Message, ...], str]]], list[Scored]]
    with_weights: Callable[[Path, str], Generates]
    close: Callable[[], None]

    def __init__(self, model: Generates, ledger: Ledger, budget: Budget | None) -> None:
        self._model, self._ledger, self._budget = model, ledger, budget
        self._surplus = Spent()  # by how much a reply was ever above its bound
        # Set only where the model has them, so that isinstance(model, Scores) and Trains tell the truth.
        if isinstance(model, Scores):
            self.score = self._metered_score
        if isinstance(model, Trains):
            self.weights = model.weights
            self.with_weights = self._metered_with_weights
        pass_on(self, model, INSIDE)  # stepping changes neither cache nor account
        if hasattr(model, "close"):
            self.close = model.close

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
        """Yield what the model yields; every ask that could pass the limit ends as a failed reply, never made.

        Asks are made in their order: the first that does not fit ends the asking, however small the ones behind it
        are, so that a budget that runs out does not prefer short prompts. Failing rather than raising lets every
        method end with what it has: a failed ask is a case that each of them must handle anyway. The model's own
        generator is closed in every case.
        """
        begin = 0
        while begin < len(asks):
            bounds, reason = self._admit(asks, begin)
            if len(bounds) * LEAST_SLICE < begin and reason:
                for bound in bounds:
                    self._ledger.give_back(bound)
                bounds = ()
            if not bounds:
                yield from ((position, _unmade(reason)) for position in range(begin, len(asks)))
                return
            yield from self._ask(asks, begin, bounds)
            begin += len(bounds)

    def _admit(self, asks: Sequence[Ask], begin: int) -> tuple[Sequence[Spent], str]:
        """The bounds of the asks from `begin` on that fit together, and why no more of them do."""
        if not self._limit:
            return [_NOTHING] * (len(asks) - begin), ""
        bounds = (self._bound(asks[position]) for position in range(begin, len(asks)))
        return self._ledger.hold(bounds, self._limit)

    def _ask(self, asks: Sequence[Ask], begin: int, bounds: Sequence[Spent]) -> Iterator[tuple[int, Reply]]:
        """Have the model answer the asks that `bounds` are held for."""
        owed = dict(enumerate(bounds))
        found = iter(self._model.generate(asks if len(bounds) == len(asks) else asks[begin : begin + len(bounds)]))
        longest_s, came = 0.0, 0  # the first wait is left out: it holds the loading of the model
        try:
            while owed and not self._ledger.shortfall(self._limit, Spent(seconds=longest_s)):
                asked_at = self._ledger.elapsed_s
                with self._ledger.timed():
                    answer = next(found, None)
                if answer is None:
                    break
                longest_s, came = max(longest_s, self._ledger.elapsed_s - asked_at) if came else 0.0, came + 1
                position, reply = answer
                reply = self._booked(reply, asks[begin + position], owed.pop(position, _NOTHING))
                yield begin + position, reply
        finally:
            for bound in owed.values():
                self._ledger.give_back(bound)
            close = getattr(found, "close", None)
            if close is not None:
                close()
        reason = self._ledger.shortfall(self._limit, Spent(seconds=longest_s)) if owed else ""
        for position in list(owed) if reason else ():
            yield begin + position, _unmade(reason)

    def _booked(self, reply: Reply, ask: Ask, bound: Spent) -> Reply:
        """The reply in the ledger, its tokens at an upper bound where the server counts none."""
        if reply.text and not reply.cached and not (reply.tokens_in or reply.tokens_out):
            written = len((reply.thinking + reply.text).encode("utf-8", "replace")) + 1
            most = min(written, max(ask.sampling.max_tokens, 1))
            reply = msgspec.structs.replace(reply, tokens_in=prompt_at_most(self._model, ask), tokens_out=most)
            self._ledger.book_uncounted()
        self._ledger.give_back(bound)
        self._ledger.book(reply)
        if self._limit and bound is not _NOTHING:
            extra = self._surplus
            self._surplus = Spent(
                tokens_in=max(extra.tokens_in, reply.tokens_in - bound.tokens_in + extra.tokens_in),
                tokens_out=max(extra.tokens_out, reply.tokens_out - bound.tokens_out + extra.tokens_out),
            )
        return reply

    def _bound(self, ask: Ask) -> Spent:
        """The most that an ask can cost; more from the moment on that a server was seen to count more."""
        read = prompt_at_most(self._model, ask) + self._surplus.tokens_in
        return Spent(tokens_in=read, tokens_out=ask.sampling.max_tokens + self._surplus.tokens_out)

    @property
    def _limit(self) -> Budget:
        return self._ledger.limit if self._budget is None else self._budget

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


_NOTHING = Spent()  # the bound where nothing is limited


def _unmade(reason: str) -> Reply:
    return Reply("", "error", error=f"{BUDGET_SPENT}: {reason}")


def prompt_at_most(model: Generates, ask: Ask) -> int:
    """How many tokens the prompt of an ask has, exactly where the model has its tokenizer here, else at most.

    A token stands for one byte or more in every tokenizer that can write any text; what a chat template adds per
    message is shorter than our JSON around it, and `TEMPLATE_TOKENS` are left for what it writes on its own account.
    """
    encode = getattr(getattr(model, "chat", None), "encode_prompt", None)
    if encode is not None and not ask.tools:
        with contextlib.suppress(AdhereError):  # a message that the template refuses is no call at all
            return len(encode(ask.messages))
    guide = ask.sampling.guide.text if ask.sampling.guide else ""
    try:
        size = len(canonical_json([ask.messages, ask.tools])) + len(guide.encode())
    except (UnicodeEncodeError, RecursionError):  # half a surrogate pair
        size = 4 * sum(len(message.text) for message in ask.messages) + 4 * len(guide)
    return size + TEMPLATE_TOKENS


def metered(model: Generates, ledger: Ledger, budget: Budget | None = None) -> Generates:
    """`model`, booked in `ledger` and stopped before `budget` is passed; it scores and trains if `model` does.

    Without a budget of its own it keeps to `ledger.limit`, which may change from stage to stage.
    """
    return Metered(model, ledger, budget)
