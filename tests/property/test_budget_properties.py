"""Whatever the asks, the replies and their order: a budget is never passed, and every ask ends once."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.core.model import Ask, Reply, Sampling
from adhere.core.record import user
from adhere.models.budget import BUDGET_SPENT, LEAST_SLICE, Budget, Ledger, Spent, metered, prompt_at_most
from adhere.models.prices import Price


class Busy:
    """Keeps up to `slots` calls in flight: what each will cost is decided when it begins, and it ends in any order."""

    name = fingerprint = "busy"

    def __init__(self, seed: int, slots: int) -> None:
        self.random, self.slots = random.Random(seed), slots
        self.begun, self.most = 0, 0  # calls, and the most that were in flight
        self.cost = Spent()  # of every call that was begun, whether its reply was waited for or not

    def generate(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        waiting, flying = list(range(len(asks))), []
        while waiting or flying:
            while waiting and len(flying) < self.slots:
                position = waiting.pop(0)
                ask = asks[position]
                read = self.random.randint(0, prompt_at_most(self, ask))
                written = self.random.randint(0, ask.sampling.max_tokens)
                finish = self.random.choice(("stop", "length", "error"))
                self.begun += 1
                self.cost.tokens_in += read
                self.cost.tokens_out += written
                flying.append((position, Reply("" if finish == "error" else "x", finish, max(read, 1), written)))
                self.cost.tokens_in += max(read, 1) - read
            self.most = max(self.most, len(flying))
            yield flying.pop(self.random.randrange(len(flying)))


PRICE = Price("USD", input=0.7, output=2.9)
CALLS = st.lists(st.tuples(st.integers(0, 400), st.integers(0, 60)), min_size=1, max_size=60)


def made(calls: Sequence[tuple[int, int]]) -> list[Ask]:
    return [Ask((user("w" * size),), Sampling(max_tokens=room), number) for number, (size, room) in enumerate(calls)]


@settings(max_examples=200, deadline=None)
@given(CALLS, st.integers(1, 30_000), st.integers(1, 64), st.integers(0, 1 << 30), st.booleans())
def test_a_budget_is_never_passed_with_calls_in_flight(
    calls: list[tuple[int, int]], limit: int, slots: int, seed: int, in_money: bool
) -> None:
    model, ledger, asks = Busy(seed, slots), Ledger(price=PRICE), made(calls)
    budget = Budget(money=limit / 1e6, currency="USD") if in_money else Budget(tokens=limit)
    found = list(metered(model, ledger, budget).generate(asks))
    assert sorted(position for position, _ in found) == list(range(len(asks)))
    unmade = [position for position, reply in found if reply.error.startswith(BUDGET_SPENT)]
    assert model.begun == len(asks) - len(unmade) == ledger.total.calls
    assert unmade == sorted(unmade)
    assert not unmade or unmade == list(range(len(asks) - len(unmade), len(asks))), "the asks are made in their order"
    spent = PRICE.money(model.cost.tokens_in, model.cost.tokens_out) if in_money else model.cost.tokens
    assert spent <= (limit / 1e6 if in_money else limit)
    assert ledger.total.tokens == model.cost.tokens
    if unmade:  # it did not stop before it had to, but for a rest of too few asks
        top = limit / 1e6 if in_money else limit
        rest = asks[unmade[0] :][: 1 + unmade[0] // LEAST_SLICE]
        read = sum(prompt_at_most(model, ask) for ask in rest)
        written = sum(ask.sampling.max_tokens for ask in rest)
        assert spent + (PRICE.at_most(read, written) if in_money else read + written) > top or spent >= top


@settings(max_examples=60, deadline=None)
@given(CALLS, st.integers(1, 20_000), st.integers(0, 1 << 30), st.integers(0, 60))
def test_a_resumed_session_goes_on_with_what_is_left(
    calls: list[tuple[int, int]], limit: int, seed: int, cut: int
) -> None:
    """The first session ends after `cut` replies; what it booked is what the second one begins with."""
    asks, first = made(calls), Ledger()
    running = metered(Busy(seed, 1), first, Budget(tokens=limit)).generate(asks)
    taken = [one for _, one in zip(range(cut), running, strict=False)]
    running.close()  # type: ignore[attr-defined]
    kept = {position for position, reply in taken if not reply.error.startswith(BUDGET_SPENT)}
    second = Ledger(dict(first.stages), first.elapsed_s)
    owed = [ask for position, ask in enumerate(asks) if position not in kept]
    list(metered(Busy(seed + 1, 8), second, Budget(tokens=limit)).generate(owed))
    assert second.total.tokens <= limit
    assert second.total.calls <= len(asks)


def test_near_the_limit_batches_stay_nearly_as_full_as_without_one() -> None:
    """An engine of 64 slots that decodes in steps: how many steps it takes, with a limit in sight and without one."""

    class Stepping(Busy):
        steps = 0

        def generate(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
            waiting, running = list(enumerate(asks)), dict[int, tuple[int, int]]()
            while waiting or running:
                while waiting and len(running) < self.slots:
                    position, _ = waiting.pop(0)
                    length = min(320, self.random.randint(20, 480))
                    running[position] = (length, length)
                self.steps += 1
                running = {position: (left - 1, length) for position, (left, length) in running.items()}
                for position in [one for one, (left, _) in running.items() if left <= 0]:
                    yield position, Reply("x", "stop", 100, running.pop(position)[1])

    asks = [Ask((user("w" * 60),), Sampling(max_tokens=320), number) for number in range(1200)]
    free = Stepping(3, 64)
    list(metered(free, Ledger()).generate(asks))
    far = Stepping(3, 64)
    list(metered(far, Ledger(), Budget(tokens=1_000_000)).generate(asks))
    assert far.steps == free.steps, "a limit far away costs nothing"
    near, ledger = Stepping(3, 64), Ledger()
    found = list(metered(near, ledger, Budget(tokens=250_000)).generate(asks))
    done = sum(reply.finish == "stop" for _, reply in found)
    assert 0.95 * 250_000 < ledger.total.tokens <= 250_000
    alone = Stepping(3, 64)
    list(alone.generate(asks[:done]))
    assert near.steps < 1.25 * alone.steps
