"""The call cache: lookups and stores of small replies per second, with one process and with two, and memory.

    python bench/cache.py [--entries 20000] [--memory 100000] [--json]

A store is one call of `CallCache.keep` with one reply, as a model gives it, safe from kill -9 when the call returns; a
lookup is one of `CallCache.find` with one key, or with 200 keys as `cached` asks for them. With two processes the rates
are those of both together on one database. Beside ours stands the plainest SQLite there is, one table of key and reply
in the same mode with a commit per reply; the limit is a dictionary in memory, with the same keys and JSON.
`--memory` is the number of calls after which the peak of resident memory is read, and compared with that after 1,000.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from adhere.core.model import Ask, Reply, Sampling
from adhere.core.record import user
from adhere.store.call_key import Call
from adhere.store.calls import CallCache

AT_ONCE = 200
TEXT = "Patience brings more light than before, and most people notice it soon. " * 4


def call(number: int) -> Call:
    """A small call: a prompt of 80 characters, a reply of 300."""
    ask = Ask((user(f"Write four sentences about subject number {number}, and mention patience in each."),), Sampling())
    return Call("bench/1", "bench", ask, Reply(f"{number}: {TEXT}", "stop", 24, 60))


def stores(path: Path, first: int, count: int) -> float:
    """Stores per second."""
    with CallCache(path) as cache:
        began = time.perf_counter()
        for number in range(first, first + count):
            cache.keep([call(number)])
        return count / (time.perf_counter() - began)


def lookups(path: Path, first: int, count: int, at_once: int = 1) -> float:
    """Lookups per second; every one must be a hit."""
    with CallCache(path) as cache:
        began = time.perf_counter()
        for start in range(first, first + count, at_once):
            cache.find([call(number).key for number in range(start, min(start + at_once, first + count))])
        seconds = time.perf_counter() - began
        if cache.counts.hits != count:
            raise SystemExit(f"expected {count} hits, found {cache.counts.hits}")
        return count / seconds


def _part(work: Callable[[Path, int, int], float], path: Path, first: int, count: int) -> None:
    work(path, first, count)


def together(work: Callable[[Path, int, int], float], path: Path, first: int, count: int) -> float:
    """Operations per second of two processes, each with its half."""
    context = multiprocessing.get_context("fork")
    parts = [context.Process(target=_part, args=(work, path, first + k * count // 2, count // 2)) for k in (0, 1)]
    began = time.perf_counter()
    for part in parts:
        part.start()
    for part in parts:
        part.join()
    if any(part.exitcode for part in parts):
        raise SystemExit("a process failed")
    return count / (time.perf_counter() - began)


def plain_rates(path: Path, count: int) -> tuple[float, float]:
    """Stores and lookups per second of one table in the same mode."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = NORMAL")
    database.execute("CREATE TABLE call(key TEXT PRIMARY KEY, reply BLOB)")
    began = time.perf_counter()
    for number in range(count):
        one = call(number)
        database.execute("INSERT INTO call VALUES (?, ?)", (one.key, msgspec.json.encode(one.reply)))
    stored = time.perf_counter()
    for number in range(count):
        found = database.execute("SELECT reply FROM call WHERE key = ?", (call(number).key,)).fetchone()
        msgspec.json.decode(found[0], type=Reply)
    done = time.perf_counter()
    database.close()
    return count / (stored - began), count / (done - stored)


def limit_rates(count: int) -> tuple[float, float]:
    """Stores and lookups per second of a dictionary."""
    kept: dict[str, bytes] = {}
    began = time.perf_counter()
    for number in range(count):
        one = call(number)
        kept[one.key] = msgspec.json.encode(one.reply)
    stored = time.perf_counter()
    for number in range(count):
        msgspec.json.decode(kept[call(number).key], type=Reply)
    return count / (stored - began), count / (time.perf_counter() - stored)


def fill(path: Path, count: int) -> None:
    """Store, look up and go through `count` calls, and print the peak of resident memory in MiB."""
    with CallCache(path) as cache:
        for first in range(0, count, AT_ONCE):
            cache.keep([call(number) for number in range(first, min(first + AT_ONCE, count))])
        for first in range(0, count, AT_ONCE):
            cache.find([call(number).key for number in range(first, min(first + AT_ONCE, count))])
        if sum(1 for _ in cache.calls()) != count:
            raise SystemExit("not every call is there")
        size = cache.totals().bytes
    print(json.dumps([peak_mib(), size / count]))


def peak_mib() -> float:
    """The most memory this process had. Linux hands `ru_maxrss` on from the parent, so its own figure comes first."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def peak(folder: Path, count: int) -> list[float]:
    """MiB of a process of its own, and bytes on disk per call."""
    words = [sys.executable, __file__, "--fill", str(folder / f"fill-{count}.sqlite"), "--entries", str(count)]
    found: list[float] = json.loads(subprocess.run(words, check=True, capture_output=True).stdout)
    return found


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--entries", type=int, default=20_000)
    parser.add_argument("--memory", type=int, default=100_000)
    parser.add_argument("--fill", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="end stdout with one JSON object")
    told = parser.parse_args()
    if told.fill:
        fill(told.fill, told.entries)
        return
    count = told.entries // 2 * 2
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "calls.sqlite"
        rates = {
            "stores": stores(path, 0, count),
            "stores, two processes": together(stores, path, count, count),
            "lookups": lookups(path, 0, count),
            "lookups, two processes": together(lookups, path, 0, count),
            "lookups, 200 at once": lookups(path, 0, count, AT_ONCE),
        }
        plain = dict(zip(("stores", "lookups"), plain_rates(folder / "plain.sqlite", count), strict=True))
        limit = dict(zip(("stores", "lookups"), limit_rates(count), strict=True))
        small, large = peak(folder, 1_000), peak(folder, told.memory)
    for name, rate in rates.items():
        beside = f"   plain table {plain[name]:8.0f}/s   dictionary {limit[name]:8.0f}/s" if name in plain else ""
        print(f"{name:24} {rate:8.0f}/s{beside}")
    print(f"memory: {small[0]:.0f} MiB after 1,000 calls, {large[0]:.0f} MiB after {told.memory:,}")
    print(f"disk: {large[1]:.0f} bytes per call")
    if told.json:
        ratio = {"plain table": rates["stores"] / plain["stores"]}
        found = {"ours": rates["stores"], "theirs": {"plain table": plain["stores"]}, "ratio": ratio,
                 "limit": limit["stores"], "rates": rates, "memory_mib": {"1000": small[0], str(told.memory): large[0]},
                 "bytes_per_call": large[1]}  # fmt: skip
        print(json.dumps(found))


if __name__ == "__main__":
    main()
