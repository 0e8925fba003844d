"""Endpoints that misbehave without hurting anybody: storms, connections, pace, secrets, and being stopped."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from statistics import fmean

import pytest
from fault_server import FAULTS, FaultServer, Plan, Told, asks, calm
from msgspec import structs

from adhere.core.model import Reply, replies
from adhere.models.endpoint import Endpoint, Gate, Passing, Patience
from adhere.store.run import Plan as RunPlan
from adhere.store.run import Run

KEY = "sk-recognise-me-0123456789abcdef"
QUICK = Patience(timeout_s=0.9, attempts=14, wait_s=0.01, max_wait_s=0.1, max_in_flight=16)


def used_slots(server: FaultServer, count: int) -> float:
    """The share of the slots that were taken, tick by tick, as long as there was enough to do."""
    slots = server.plan.slots
    return fmean(min(taken, slots) / slots for good, taken in server.counts.ticks if good < count - 4 * slots)


# --- the storm ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2])
def test_a_storm_costs_no_reply_no_second_call_and_little_throughput(seed):
    count, slots = 320, 16
    with FaultServer(Plan(seed=seed, slots=slots, in_ticks=True, slow_s=4.0)) as server:
        patience = replace(QUICK, timeout_s=2.0)  # far longer than a good reply can take
        found = list(Endpoint(server.url, "m", KEY, patience).generate(asks(count)))
    counts = server.counts

    assert sorted(position for position, _ in found) == list(range(count))  # exactly one end for each
    for position, reply in found:
        assert structs.replace(reply, retries=0) == Reply(f"reply to {position}", "stop", 7, 3)
        # An attempt on a connection that the server had just closed never reached it, and is one all the same.
        assert reply.retries >= counts.sent[str(position)] - 1
    assert set(counts.good.values()) == {1}  # nothing was asked again once it had been answered
    assert set(counts.faults) == set(FAULTS)
    faults = sum(counts.faults.values())
    assert 0.2 < faults / (faults + count) < 0.4
    assert sum(counts.sent.values()) == count + faults  # each fault costs one request and no more
    # The healthy share allows `slots` requests at a time. The end, where there is nothing left to ask, is left out.
    assert used_slots(server, count) > 0.8
    assert max(counts.under_way) <= slots + 3  # those given up for slowness may still be writing


def test_a_storm_leaves_each_reply_in_the_journal_and_the_key_nowhere(tmp_path, caplog):
    patient = replace(QUICK, timeout_s=3.0)
    with FaultServer(Plan(seed=3, work_s=0.01, slow_s=4.0, key=KEY)) as server, caplog.at_level(logging.DEBUG):
        endpoint = Endpoint(server.url, "m", KEY, patient)
        run = Run.create(tmp_path, RunPlan("storm", {}, {"model": endpoint.fingerprint}), [])
        found = list(run.remember(endpoint).generate(asks(100)))
        run.close()
        again = Run.open(run.folder)
        with_replay = list(again.remember(endpoint).generate(asks(100)))
        again.close()
    assert sorted(position for position, _ in found) == list(range(100))
    assert sorted(position for position, _ in with_replay) == list(range(100))
    assert set(server.counts.good.values()) == {1}
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert all(f"reply to {number}" in written for number in range(100))
    assert "httpx2" in caplog.text
    assert KEY not in written + caplog.text + repr(found) + repr(endpoint) + repr(vars(endpoint))
    assert not any(logging.getLogger(name).filters for name in ("httpx2", "httpcore2.http11"))


def test_what_never_comes_is_one_recorded_failure_and_no_key_in_it(tmp_path, caplog):
    plan = Plan(fault_share=1.0, work_s=0.001, slow_s=0.3, key=KEY)
    patience = Patience(timeout_s=0.1, attempts=3, wait_s=0.001, max_wait_s=0.01)
    with FaultServer(plan) as server, caplog.at_level(logging.DEBUG):
        endpoint = Endpoint(server.url, "m", KEY, patience)
        run = Run.create(tmp_path, RunPlan("storm", {}, {}), [])
        found = dict(run.remember(endpoint).generate(asks(60)))
        run.close()
    assert [reply.finish for reply in found.values()] == ["error"] * 60
    assert all("(after 3 attempts)" in reply.error for reply in found.values())
    assert len(server.counts.faults) == len(FAULTS)
    assert max(server.counts.sent.values()) == 3  # one that ran out of time before it was sent counts as well
    written = "".join(path.read_text() for path in tmp_path.rglob("*") if path.is_file())
    assert '"failure"' in written
    assert KEY not in written + caplog.text + repr(found)


def test_the_command_line_writes_no_key_anywhere(tmp_path):
    with FaultServer(Plan(work_s=0.001, slow_s=0.3, fault_share=0.2, faults=("500", "502 page"), key=KEY)) as server:
        model = f"{server.url}#m"
        words = ["synth", "complex-to-simple", "--model", model, "--limit", "4", "-o", "rows.jsonl", "count=4"]
        done = subprocess.run(
            check=False,
            args=[sys.executable, "-c", "from adhere.app.cli import main; main()", *words],
            cwd=tmp_path,
            env={**os.environ, "ADHERE_API_KEY": KEY, "ADHERE_CACHE": str(tmp_path / "cache")},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert server.counts.sent, done.stderr
    assert any(path.name == "journal.jsonl" for path in tmp_path.rglob("*"))
    written = "".join(path.read_text(errors="replace") for path in tmp_path.rglob("*") if path.is_file())
    assert KEY not in written + done.stdout + done.stderr


# --- connections ----------------------------------------------------------------------------------------------


def test_a_reply_sent_twice_is_not_taken_for_the_next_one():
    plan = Plan(fault_share=0.0, quirk_share=1.0, work_s=0.001)
    with FaultServer(plan) as server:
        found = replies(Endpoint(server.url, "m", patience=Patience(max_in_flight=2)), asks(80))
    assert [reply.text for reply in found] == [f"reply to {number}" for number in range(80)]
    assert set(server.counts.good.values()) == {1}


def test_connections_are_kept():
    with calm() as server:
        replies(Endpoint(server.url, "m"), asks(200))
    assert server.counts.connections <= 32


# --- pace -----------------------------------------------------------------------------------------------------


def test_the_room_at_a_full_server_is_found_and_used():
    slots = 8
    patience = Patience(attempts=12, wait_s=0.04, max_wait_s=0.3, max_in_flight=64)
    with calm(slots=slots, refuses=True, in_ticks=True) as server:
        found = replies(Endpoint(server.url, "m", patience=patience), asks(300))
    assert {reply.finish for reply in found} == {"stop"}
    assert used_slots(server, 300) > 0.8
    assert server.counts.refused < 0.5 * 300  # places are given back within a round


def test_two_models_at_one_endpoint_have_a_pace_each():
    def also(path: str, body: dict) -> Told:
        return (429, b'{"error": "not now"}') if body["model"] == "full" else None

    with calm(also) as server:
        full = Endpoint(server.url, "full", patience=Patience(attempts=4, wait_s=0.2, max_wait_s=0.4))
        free = Endpoint(server.url, "free")
        stuck = threading.Thread(target=lambda: replies(full, asks(40)))
        stuck.start()
        found = replies(free, asks(200))
        still_stuck = stuck.is_alive()
        stuck.join()
    assert still_stuck
    assert {reply.finish for reply in found} == {"stop"}
    assert free._gate.limit == 32
    assert full._gate.limit == 1


def test_the_pace_is_kept_between_calls_and_shared_by_threads():
    with calm(work_s=0.01) as server:
        endpoint = Endpoint(server.url, "m", patience=Patience(max_in_flight=6))
        threads = [threading.Thread(target=lambda: replies(endpoint, asks(60))) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert max(server.counts.under_way) <= 6
    assert endpoint._gate.limit == 6
    assert endpoint._gate.under_way == 0


async def _cancelled_waiters() -> tuple[int, int]:
    gate = Gate(1)
    entered = await gate.enter()
    waiting = [asyncio.create_task(gate.enter()) for _ in range(3)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    await gate.leave(entered, None, 1.0)
    waiting[1].cancel()  # its place is on the way to it
    last = await waiting[2]
    held = gate.under_way
    await gate.leave(last, None, 1.0)
    return held, gate.under_way


def test_cancelled_waiters_lose_no_place():
    assert asyncio.run(_cancelled_waiters()) == (1, 0)


async def _order_of_places() -> list[str]:
    gate, order = Gate(1), []
    entered = await gate.enter()

    async def come(name: str, again: bool) -> None:
        mine = await gate.enter(again=again)
        order.append(name)
        await gate.leave(mine, None, 1.0)

    waiting = [asyncio.create_task(come(name, name.startswith("again"))) for name in ("a", "again 1", "b", "again 2")]
    await asyncio.sleep(0)
    await gate.leave(entered, None, 1.0)
    await asyncio.gather(*waiting)
    return order


def test_asks_that_come_again_go_first():
    assert asyncio.run(_order_of_places()) == ["again 1", "again 2", "a", "b"]


async def _after_bursts(shares: list[float]) -> list[float]:
    gate, limits = Gate(64, start=32), []
    for share in shares:
        entered = [await gate.enter() for _ in range(int(gate.limit))]
        for number, one in enumerate(entered):
            await gate.leave(one, Passing("busy", busy=True) if number < share * len(entered) else None, 1.0)
        limits.append(gate.limit)
    return limits


def test_a_few_busy_signals_cut_little_and_many_cut_much():
    (once,) = asyncio.run(_after_bursts([1.0]))
    assert once == 16  # all at once: half, and only once
    strays = asyncio.run(_after_bursts([0.0, 0.0, 0.03, 0.03]))
    assert strays[-1] > 0.9 * strays[1]


def test_hedging_is_off_unless_asked_for_and_then_the_faster_answer_counts():
    slow_first = {"ask 0"}

    def also(path: str, body: dict) -> Told:
        said = body["messages"][-1]["content"]
        if said in slow_first:
            slow_first.discard(said)
            time.sleep(0.5)  # holds the whole server up: the second request is answered after it as well
        return None

    with calm(also) as server:
        plain = Endpoint(server.url, "m")
        assert replies(plain, asks(1))[0].finish == "stop"
        assert plain.requests["hedged"] == 0
        slow_first.add("ask 0")
        hedged = Endpoint(server.url, "m", patience=Patience(hedge_after_s=0.05))
        assert replies(hedged, asks(2))[0].text == "reply to 0"
    assert hedged.requests["hedged"] >= 1
    assert hedged._gate.under_way == 0


def test_an_ask_has_a_time_limit_over_all_its_attempts():
    plan = Plan(fault_share=1.0, faults=("500",), work_s=0.001)
    patience = Patience(attempts=50, wait_s=0.1, max_wait_s=0.1, ask_timeout_s=0.5)
    with FaultServer(plan) as server:
        (reply,) = replies(Endpoint(server.url, "m", patience=patience), asks(1))
    assert reply.finish == "error"
    assert 2 <= server.counts.sent["0"] <= 6
    assert f"(after {server.counts.sent['0']} attempts)" in reply.error


# --- being stopped --------------------------------------------------------------------------------------------


def test_closing_early_cancels_requests_and_waits_and_frees_the_places():
    with calm(work_s=0.05) as server:
        endpoint = Endpoint(server.url, "m", patience=Patience(max_in_flight=4))
        running = endpoint.generate(asks(400))
        next(running)
        running.close()
        asked = sum(server.counts.sent.values())
        time.sleep(0.3)
        assert sum(server.counts.sent.values()) <= asked + 4  # those on the wire
        assert endpoint._gate.under_way == 0
        assert {reply.finish for reply in replies(endpoint, asks(20))} == {"stop"}  # and it still works
    assert not [thread for thread in threading.enumerate() if thread.name == "adhere-endpoint"]


STOPPED = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job ignores it
import sys
from adhere.core.model import Ask
from adhere.core.record import user
from adhere.models.endpoint import Endpoint
try:
    for position, reply in Endpoint(sys.argv[1], "m").generate([Ask((user(f"ask {n}"),)) for n in range(1000)]):
        print(position, flush=True)
except KeyboardInterrupt:
    print("interrupted", flush=True)
"""


def test_ctrl_c_ends_what_is_under_way():
    with calm(also=None, work_s=0.1) as server:
        child = subprocess.Popen([sys.executable, "-c", STOPPED, server.url], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        child.stdout.readline()
        child.send_signal(signal.SIGINT)
        said, _ = child.communicate(timeout=20)
        asked = sum(server.counts.sent.values())
        time.sleep(0.3)
        assert sum(server.counts.sent.values()) == asked
    assert child.returncode == 0
    assert said.endswith("interrupted\n")
    assert asked < 1000
