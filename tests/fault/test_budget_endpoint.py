"""A budget over a real connection: many requests in flight, faults on the way, and never a token too much."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from fault_server import FaultServer, Plan, asks, calm

from adhere.app.accounts import Account
from adhere.core.model import Reply, Sampling
from adhere.models.budget import BUDGET_SPENT, Budget, Ledger, metered
from adhere.models.cached import cached
from adhere.models.endpoint import Endpoint, Patience
from adhere.models.prices import Price
from adhere.store.calls import CallCache
from adhere.store.run import Plan as RunPlan
from adhere.store.run import Run

SLOTS = 24
QUICK = Patience(timeout_s=30.0, attempts=14, wait_s=0.01, max_wait_s=0.1, max_in_flight=SLOTS)
TOKENS = 10  # of each reply of the fault server: 7 read, 3 written
COUNTED = 158  # and of each reply of `Counter`
PRICE = Price("USD", input=100.0, output=400.0)


def endpoint(server: FaultServer) -> Endpoint:
    return Endpoint(server.url, "m", "", QUICK)


def kinds(found: list[tuple[int, Reply]]) -> tuple[int, int]:
    """How many asks were answered, and how many were not made for want of budget."""
    return (
        sum(reply.finish == "stop" for _, reply in found),
        sum(reply.error.startswith(BUDGET_SPENT) for _, reply in found),
    )


class Counter:
    """Answers every ask with 158 tokens, and knows how many requests came and were under way."""

    def __init__(self) -> None:
        self.came, self.now, self.most = 0, 0, 0

    async def __call__(self, path: str, body: dict[str, Any]) -> tuple[int, bytes] | None:
        if not path.endswith("/chat/completions"):
            return None
        self.came, self.now = self.came + 1, self.now + 1
        self.most = max(self.most, self.now)
        await asyncio.sleep(0.1)  # long enough for others to come meanwhile on a busy machine
        self.now -= 1
        choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 150, "completion_tokens": 8}
        return 200, json.dumps({"choices": [choice], "usage": usage}).encode()


def test_with_many_requests_in_flight_no_limit_is_passed() -> None:
    count, each = 300, PRICE.money(150, 8)
    made = asks(count, Sampling(max_tokens=8))
    for limit in (Budget(tokens=12_000), Budget(money=1.2, currency="USD")):
        counter, ledger = Counter(), Ledger(price=PRICE)
        with calm(counter) as server:
            found = list(metered(endpoint(server), ledger, limit).generate(made))
        answered, unmade = kinds(found)
        assert sorted(position for position, _ in found) == list(range(count))
        assert answered + unmade == count
        assert counter.came == answered + ledger.total.retries, "nothing was asked that is not booked"
        assert ledger.total.tokens == COUNTED * answered
        money = ledger.money()
        assert money == pytest.approx(each * answered)
        assert ledger.total.tokens <= (limit.tokens or 10**9)
        assert money <= (limit.money or 10**9)
        spent = ledger.total.tokens / 12_000 if limit.tokens else money / 1.2
        assert spent > 0.9, "it stops near the limit, not long before"
        assert counter.most > 16


def test_in_a_storm_retries_are_told_and_the_limit_holds() -> None:
    with FaultServer(Plan(seed=5, slots=SLOTS, work_s=0.005, faults=("500", "reset", "429 in seconds"))) as server:
        ledger = Ledger()
        list(metered(endpoint(server), ledger, Budget(tokens=30_000)).generate(asks(100)))
    answered = sum(server.counts.good.values())
    assert ledger.total.tokens == TOKENS * answered <= 30_000
    assert ledger.total.retries >= sum(server.counts.sent.values()) - answered > 0
    assert ledger.total.errors == ledger.total.calls - answered


def test_a_resumed_run_pays_for_nothing_twice_and_goes_on_with_what_is_left(tmp_path: Path) -> None:
    """The journal decides: what it holds is spent, what the call cache gave is not, what failed was paid for."""
    plan, made = RunPlan("synth", {}, {}), asks(90, Sampling(max_tokens=8))
    budget = "8000 tokens"
    with calm(Counter()) as server:
        with CallCache(tmp_path / "calls.sqlite") as cache:
            list(cached(endpoint(server), cache).generate(made[:10]))  # an earlier run
            account = Account(Run.create(tmp_path / "runs", plan, ["test"]), budget)
            with account.at("synth"):
                running = account.remembered(cached(account.metered(endpoint(server)), cache)).generate(made)
                taken = [next(running) for _ in range(30)]
            account.run.close()  # as a killed process: nothing else is written
            assert sum(reply.cached for _, reply in taken) == 10
            first = account.ledger.total
            assert (first.calls, first.cached, first.tokens_cached) == (20, 10, 10 * COUNTED)

        with CallCache(tmp_path / "other.sqlite") as cache:  # the cache may forget, the journal may not
            again = Account(Run.open(account.run.folder), budget)
            assert again.ledger.total.tokens == 20 * COUNTED
            assert (again.ledger.total.calls, again.ledger.total.cached) == (20, 10)
            with again.at("synth"):
                model = again.remembered(cached(again.metered(endpoint(server)), cache))
                found = list(model.generate(made))
            again.run.close()
    answered, unmade = kinds(found)
    assert answered + unmade == len(made)
    assert unmade
    assert again.ledger.total.tokens == (answered - 10) * COUNTED <= 8000
    lines = [json.loads(line) for line in (account.run.folder / "journal.jsonl").read_text().splitlines()]
    kept = [line["key"] for line in lines if line["kind"] == "reply"]
    assert len(kept) == len(set(kept)) == answered


def test_once_the_budget_is_spent_the_call_cache_still_answers(tmp_path: Path) -> None:
    with calm() as server, CallCache(tmp_path / "calls.sqlite") as cache:
        list(cached(endpoint(server), cache).generate(asks(5)))
        account = Account(Run.create(tmp_path / "runs", RunPlan("synth", {}, {}), ["test"]), "1 token")
        found = list(account.remembered(cached(account.metered(endpoint(server)), cache)).generate(asks(8)))
        account.run.close()
    assert kinds(found) == (5, 3)
    assert (account.ledger.total.calls, account.ledger.total.cached) == (0, 5)
