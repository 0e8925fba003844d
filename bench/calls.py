"""Replies per second from an endpoint of which 30 % is faults: ours beside the naive ways, in one run.

    python bench/calls.py [--asks 480] [--slots 16] [--work-s 0.2] [--faults 0.3] [--slow-s 8] [--full] [--json]

The server (`tests/fault/fault_server.py`, a process of its own on the loopback) works on `slots` requests at a time,
`work-s` each on average; the others wait, or with `--full` are answered 429. What happens to a request depends on the
ask and how often it came, so all meet the same faults. The naive ways are what scripts do: one request after the
other; `asyncio.gather` with eight at a time; `gather` over all at once. Each tries an ask as often as ours, waits as
long between attempts (doubling, no jitter), and gives the same time limit to its HTTP library, which counts it anew
with every byte: a body that drips for `slow-s` holds a naive way that long. `lost` asks ended without a reply, `wrong`
ones with a reply that is not theirs. The limit is what the healthy share of the slots could do, with no time lost to
requests that are slow: slots / work-s x (1 - faults).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2

from adhere.core.model import Ask, replies
from adhere.core.record import user
from adhere.models.endpoint import Endpoint, Patience

SERVER = Path(__file__).resolve().parent.parent / "tests" / "fault" / "fault_server.py"
PATIENCE = Patience(timeout_s=1.0, attempts=12, wait_s=0.05, max_wait_s=0.4)
Way = Callable[[str, int], list[str | None]]


@contextlib.contextmanager
def serving(told: argparse.Namespace) -> Iterator[str]:
    """A fresh server; gives its URL."""
    words = [
        "--faults",
        str(told.faults),
        "--slots",
        str(told.slots),
        "--work-s",
        str(told.work_s),
        "--slow-s",
        str(told.slow_s),
    ]
    words += ["--refuses"] if told.full else []
    process = subprocess.Popen(
        [sys.executable, str(SERVER), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        yield f"http://127.0.0.1:{process.stdout.readline().strip()}/v1"
    finally:
        process.communicate()


def ours(slots: int) -> Way:
    def way(url: str, count: int) -> list[str | None]:
        patience = Patience(**{**vars(PATIENCE), "max_in_flight": slots})
        asks = [Ask((user(f"ask {number}"),)) for number in range(count)]
        return [reply.text or None for reply in replies(Endpoint(url, "m", patience=patience), asks)]

    return way


async def _ask(client: httpx2.AsyncClient, url: str, number: int) -> str | None:
    """One ask as scripts make it: anything wrong, wait and try again."""
    body = {"model": "m", "messages": [{"role": "user", "content": f"ask {number}"}]}
    for attempt in range(PATIENCE.attempts):
        try:
            response = await client.post(f"{url}/chat/completions", json=body)
            response.raise_for_status()
            choice = response.json()["choices"][0]
            if choice["finish_reason"] != "abort":
                return str(choice["message"]["content"])
        except (httpx2.HTTPError, ValueError, LookupError, TypeError):
            pass
        await asyncio.sleep(min(PATIENCE.wait_s * 2**attempt, PATIENCE.max_wait_s))
    return None


def gathered(at_once: int) -> Way:
    async def work(url: str, count: int) -> list[str | None]:
        room = asyncio.Semaphore(at_once)

        async def one(client: httpx2.AsyncClient, number: int) -> str | None:
            async with room:
                return await _ask(client, url, number)

        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(timeout=PATIENCE.timeout_s, limits=limits) as client:
            return list(await asyncio.gather(*(one(client, number) for number in range(count))))

    return lambda url, count: asyncio.run(work(url, count))


def measured(way: Way, count: int, told: argparse.Namespace) -> dict[str, Any]:
    """Right replies per second, and what became of the rest."""
    with serving(told) as url:
        start = time.perf_counter()
        found = way(url, count)
        seconds = time.perf_counter() - start
        stats = httpx2.get(url.removesuffix("/v1") + "/stats").json()
    right = sum(text == f"reply to {number}" for number, text in enumerate(found))
    wrong = sum(text is not None for text in found) - right
    return {
        "rate": right / seconds,
        "asks": count,
        "lost": count - right - wrong,
        "wrong": wrong,
        "sent": stats["sent"],
        "refused": stats["refused"],
    }


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--asks", type=int, default=480)
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--work-s", type=float, default=0.2)
    parser.add_argument("--faults", type=float, default=0.3)
    parser.add_argument("--slow-s", type=float, default=8.0)
    parser.add_argument("--full", action="store_true", help="the server refuses what is beyond its slots")
    parser.add_argument("--json", action="store_true", help="end stdout with one JSON object")
    told = parser.parse_args()
    at_most = 4 * told.slots if told.full else 2 * told.slots  # nobody knows the slots of a server
    ways = {
        "ours": (ours(at_most), told.asks),
        "sequential": (gathered(1), max(told.asks // 16, 1)),  # a part of the asks, or one would wait all day
        "gather_8": (gathered(8), told.asks),
        "gather_all": (gathered(told.asks), told.asks),
    }
    parts = {name: measured(way, count, told) for name, (way, count) in ways.items()}
    limit = told.slots / told.work_s * (1 - told.faults)
    for name, part in parts.items():
        rest = ", ".join(f"{part[key]} {key}" for key in ("asks", "lost", "wrong", "sent", "refused"))
        print(f"{name:11} {part['rate']:7.1f} replies/s, {part['rate'] / limit:4.0%} of the limit; {rest}")
    if told.json:
        theirs = {name: part["rate"] for name, part in parts.items() if name != "ours"}
        rate = parts["ours"]["rate"]
        ratio = {name: rate / their for name, their in theirs.items() if their}
        print(json.dumps({"ours": rate, "theirs": theirs, "ratio": ratio, "limit": limit, "parts": parts}))


if __name__ == "__main__":
    main()
