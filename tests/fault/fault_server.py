"""An OpenAI-compatible server on the loopback that misbehaves by plan.

What happens to a request depends on the seed, the ask and how often that ask came before, on nothing else: two runs
meet the same faults whatever their timing. It counts every request, good reply and fault by ask, and how many requests
were under way. `FaultServer` runs it in a thread; `python fault_server.py` as a process of its own, which prints its
port, answers `GET /stats` and ends with its stdin. Asks carry their id as the last word of the last message (`ask 17`).
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import email.utils
import json
import random
import socket
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from adhere.core.model import Ask, Sampling
from adhere.core.record import user

FAULTS = (
    "429 in seconds",
    "429 by date",
    "500",
    "502 page",
    "reset",
    "reset in the body",
    "slow body",
    "truncated JSON",
    "short of its length",
    "wrong content type",
    "event stream",
    "empty choices",
    "error with status 200",
    "broken off",
    "reply of another",
)
QUIRKS = ("duplicated", "reordered", "doubled choices", "JSON called text")  # odd, and yet a good reply
Body = dict[str, Any]
Told = tuple[int, bytes] | None  # what `also` gives: a code and a body, or nothing


@dataclass(frozen=True)
class Plan:
    """How to misbehave. `slots` requests run at once, each for `work_s`; more wait, or are refused where `refuses`.

    With `in_ticks` no clock decides: what has come is worked on together as soon as all slots are taken, or once
    nothing more comes. How full the slots were at each tick says how well they were used, however slow the machine.
    """

    seed: int = 0
    fault_share: float = 0.3
    quirk_share: float = 0.15
    faults: tuple[str, ...] = FAULTS
    slots: int = 16
    work_s: float = 0.03
    slow_s: float = 1.0
    retry_after_s: float = 0.02
    refuses: bool = False
    in_ticks: bool = False
    key: str = ""  # echoed wherever a server might
    models: tuple[Body, ...] | None = None  # what GET /v1/models lists


@dataclass
class Counts:
    """What the server saw.

    `under_way` is how many requests there were at each arrival, itself included; `ticks` holds for each tick how many
    good replies came before it, and how many slots were taken.
    """

    sent: Counter[str] = field(default_factory=Counter)
    good: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    connections: int = 0
    cut_off: int = 0
    under_way: list[int] = field(default_factory=list)
    bodies: list[Body] = field(default_factory=list)
    ticks: list[tuple[int, int]] = field(default_factory=list)

    def summary(self) -> Body:
        sent, good = sum(self.sent.values()), sum(self.good.values())
        return {"sent": sent, "good": good, "refused": self.refused, "faults": dict(self.faults)}


def completion(text: str, number: str = "0", finish: str = "stop", copies: int = 1) -> bytes:
    choices = [
        {"index": at, "message": {"role": "assistant", "content": text if at == 0 else "not this one"}}
        | {"finish_reason": finish}
        for at in reversed(range(copies))
    ]
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    return json.dumps({"id": f"chatcmpl-{number}", "choices": choices, "usage": usage}).encode()


class FaultServer:
    """The server in a thread of its own.

    `also` may answer a request before the plan does, by giving `(code, body)`, at once or as a coroutine.
    """

    def __init__(self, plan: Plan, also: Callable[[str, Body], Any] | None = None) -> None:
        self.plan, self.also, self.counts = plan, also, Counts()
        self._now = 0
        self._held = 0
        self._arrivals = 0
        self._due: list[asyncio.Future[None]] = []
        self._watcher: asyncio.Task[None] | None = None
        self._slots = asyncio.Semaphore(plan.slots)
        self._marks: list[str] = []
        self._answered = 0
        self._serving: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="fault-server", daemon=True)
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> FaultServer:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._serve())

    async def _serve(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in self._serving:
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._connection(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.counts.connections += 1
        try:
            while True:
                request = await _read_request(reader)
                if request is None or not await self._request(Exchange(writer, *request)):
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            self.counts.cut_off += 1
        finally:
            with contextlib.suppress(ConnectionError, RuntimeError):
                writer.close()

    async def _request(self, exchange: Exchange) -> bool:
        """Answer one request; False where the connection is not to be used again."""
        if exchange.path.endswith("/stats"):
            await exchange.send(200, json.dumps(self.counts.summary()).encode())
            return True
        if exchange.path.endswith("/models") and self.plan.models is not None:
            await exchange.send(200, json.dumps({"data": list(self.plan.models)}).encode())
            return True
        told = self.also(exchange.path, exchange.body) if self.also and exchange.body is not None else None
        told = await told if asyncio.iscoroutine(told) else told
        if told is None and exchange.path.endswith("/models"):
            told = 404, b"{}"
        if told is not None:
            await exchange.send(*told)
            return True
        ask = exchange.ask
        visit = self.counts.sent[ask]
        self.counts.sent[ask] += 1
        self.counts.bodies.append(exchange.body)
        self._now += 1
        self.counts.under_way.append(self._now)
        try:
            self._arrivals += 1
            full = self._taken >= self.plan.slots if self.plan.in_ticks else self._now > self.plan.slots
            if self.plan.refuses and full:
                self.counts.refused += 1
                await exchange.send(429, b'{"error": {"message": "too many at once"}}')
                return True
            if self.plan.in_ticks:
                return await self._act(exchange, ask, visit)
            async with self._slots:
                return await self._act(exchange, ask, visit)
        finally:
            self._now -= 1

    async def _act(self, exchange: Exchange, ask: str, visit: int) -> bool:
        plan, dice = self.plan, random.Random(f"{self.plan.seed}:{ask}:{visit}")
        fault = dice.choice(plan.faults) if dice.random() < plan.fault_share else ""
        await (self._tick() if plan.in_ticks else asyncio.sleep(plan.work_s * (0.5 + dice.random())))
        self._marks.append(exchange.mark)
        if fault:
            self.counts.faults[fault] += 1
            return await getattr(self, "_" + fault.lower().replace(" ", "_"), self._plain_fault)(exchange, fault)
        quirk = dice.choice(QUIRKS) if dice.random() < plan.quirk_share else ""
        self.counts.good[ask] += 1
        self._answered += 1
        number = f"{ask}-{visit}"
        body = completion(f"reply to {ask}", number, copies=2 if quirk == "doubled choices" else 1)
        if quirk == "reordered":
            self._held += 1
            await self._wait_for_others(3)
            self._held -= 1
        kind = "text/plain" if quirk == "JSON called text" else "application/json"
        await exchange.send(200, body, kind, times=2 if quirk == "duplicated" else 1)
        return True

    @property
    def _taken(self) -> int:
        return len(self._due) + self._held

    async def _tick(self) -> None:
        """Wait until the slots are all taken, or nothing has come for twenty turns of the loop, ten ms apart."""
        mine: asyncio.Future[None] = self._loop.create_future()
        self._due.append(mine)
        if self._taken >= self.plan.slots and not self.plan.refuses:  # or nothing would ever come too many
            self._work_off()
        elif len(self._due) == 1:
            self._watcher = self._loop.create_task(self._watch(mine))
        await mine

    async def _watch(self, first: asyncio.Future[None]) -> None:
        seen, quiet, until = self._arrivals, 0, self._loop.time() + 1.2
        while not first.done() and quiet < 20 and self._loop.time() < until:
            await asyncio.sleep(0.01)
            quiet = quiet + 1 if seen == self._arrivals else 0
            seen = self._arrivals
        if not first.done():
            self._work_off()

    def _work_off(self) -> None:
        self.counts.ticks.append((self._answered, self._taken))
        for one in self._due:
            if not one.done():
                one.set_result(None)
        self._due.clear()

    async def _wait_for_others(self, count: int) -> None:
        """Let later requests be answered first."""
        until, deadline = self._answered + count, time.monotonic() + 5 * self.plan.work_s
        while self._answered < until and time.monotonic() < deadline:
            await asyncio.sleep(self.plan.work_s / 10)

    async def _plain_fault(self, exchange: Exchange, fault: str) -> bool:
        key = self.plan.key
        page = f"<html><head><title>Bad Gateway</title></head><body>{key}</body></html>".encode()
        date = email.utils.formatdate(time.time(), usegmt=True)
        good = completion("never to be seen", "x")
        answers: dict[str, tuple[int, bytes, str, dict[str, str]]] = {
            "429 in seconds": (429, b"{}", "application/json", {"Retry-After": f"{self.plan.retry_after_s}"}),
            "429 by date": (429, b"slow down", "text/plain", {"Retry-After": date}),
            "500": (500, f'{{"error": {{"message": "oops {key}"}}}}'.encode(), "application/json", {"X-Echo": key}),
            "502 page": (502, page, "text/html", {}),
            "truncated JSON": (200, good[:-25], "application/json", {}),
            "wrong content type": (200, page, "text/html; charset=utf-8", {}),
            "event stream": (200, b"data: " + good + b"\n\ndata: [DONE]\n\n", "text/event-stream", {}),
            "empty choices": (200, b'{"id": "x", "choices": [], "usage": null}', "application/json", {}),
            "error with status 200": (200, b'{"error": {"code": 503, "message": "upstream"}}', "application/json", {}),
            "broken off": (200, completion("never to be s", "x", "abort"), "application/json", {}),
        }
        code, body, kind, headers = answers[fault]
        await exchange.send(code, body, kind, headers)
        return True

    async def _reset(self, exchange: Exchange, fault: str) -> bool:
        exchange.reset()
        return False

    async def _reset_in_the_body(self, exchange: Exchange, fault: str) -> bool:
        await exchange.head(200, 900)
        await exchange.write(b'{"choices": [')
        exchange.reset()
        return False

    async def _short_of_its_length(self, exchange: Exchange, fault: str) -> bool:
        await exchange.head(200, 900)
        await exchange.write(completion("never to be seen"))
        return False

    async def _slow_body(self, exchange: Exchange, fault: str) -> bool:
        body = completion("never to be seen")
        await exchange.head(200, len(body) + 10)
        self._held += 1
        try:
            for byte in body:
                await exchange.write(bytes([byte]))
                await asyncio.sleep(self.plan.slow_s / len(body))
        finally:
            self._held -= 1
        return False

    async def _reply_of_another(self, exchange: Exchange, fault: str) -> bool:
        """A confused proxy: the answer, and the mark, of another request."""
        other = next((mark for mark in reversed(self._marks) if mark != exchange.mark), "adhere-0")
        await exchange.send(200, completion("reply to nobody", "y"), headers={"X-Request-Id": other})
        return True


@dataclass
class Exchange:
    """One request, and the way to answer it."""

    writer: asyncio.StreamWriter
    path: str
    headers: dict[str, str]
    body: Body

    @property
    def ask(self) -> str:
        messages = self.body.get("messages")
        said = messages[-1]["content"] if messages else str(self.body.get("prompt", self.body.get("input", "")))
        return said.rsplit(" ", 1)[-1]

    @property
    def mark(self) -> str:
        return self.headers.get("x-request-id", "")

    async def write(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def _head(self, code: int, length: int, kind: str, headers: dict[str, str] | None) -> bytes:
        lines = [f"HTTP/1.1 {code} Said", f"Content-Type: {kind}", f"Content-Length: {length}"]
        named = {"X-Request-Id": self.mark or "none", **(headers or {})}
        lines += [f"{name}: {value}" for name, value in named.items()]
        return ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def head(self, code: int, length: int) -> None:
        await self.write(self._head(code, length, "application/json", None))

    async def send(
        self,
        code: int,
        body: bytes,
        kind: str = "application/json",
        headers: dict[str, str] | None = None,
        times: int = 1,
    ) -> None:
        """All in one write, `times` over, so that a client may read the copies at once."""
        await self.write((self._head(code, len(body), kind, headers) + body) * times)

    def reset(self) -> None:
        """End the connection with RST."""
        held: socket.socket = self.writer.get_extra_info("socket")
        held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def asks(count: int, sampling: Sampling | None = None) -> list[Ask]:
    return [Ask((user(f"ask {number}"),), sampling or Sampling()) for number in range(count)]


def calm(also: Callable[[str, Body], Any] | None = None, **changes: object) -> FaultServer:
    """A server without faults, but for what `also` and `changes` bring."""
    return FaultServer(Plan(**{"fault_share": 0.0, "quirk_share": 0.0, "work_s": 0.002, **changes}), also)


async def _read_request(reader: asyncio.StreamReader) -> tuple[str, dict[str, str], Body] | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    first, *lines = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    raw = await reader.readexactly(int(headers.get("content-length", 0)))
    return first.split()[1], headers, json.loads(raw) if raw else {}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--faults", type=float, default=0.3)
    parser.add_argument("--slots", type=int, default=16)
    parser.add_argument("--work-s", type=float, default=0.05)
    parser.add_argument("--slow-s", type=float, default=60.0)
    parser.add_argument("--refuses", action="store_true")
    told = parser.parse_args()
    plan = Plan(told.seed, told.faults, 0.0, slots=told.slots, work_s=told.work_s, refuses=told.refuses)
    with FaultServer(Plan(**{**vars(plan), "slow_s": told.slow_s})) as server:
        print(server.port, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
