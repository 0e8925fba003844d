"""`adhere runs cache`: what the call cache holds, replay files in and out, its limit, and forgetting it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from adhere.app.display import one_line, say
from adhere.app.output import check_file, print_json
from adhere.core.errors import EXIT_FINE, DataError, SettingsError
from adhere.core.model import Generates
from adhere.core.record import content_hash
from adhere.models.cached import cached
from adhere.models.distributed import Distributed
from adhere.models.replay import ReplayModel, call_of_line, replay_line, replay_lines
from adhere.models.scripted import ScriptedModel
from adhere.models.weights import cache_folder
from adhere.store.call_key import Call
from adhere.store.calls import CacheTotals, CallCache, CallCounts
from adhere.store.files import explained, write_atomically

PLACE = "ADHERE_CALL_CACHE"
SMALLEST = 1_000_000  # bytes
SIZE_FORMS = "Forms: 500MB, 2GB, 1.5GiB, or a number of bytes; at least 1MB."
_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_IMPORTED_AT_ONCE = 200
_SHOWN_FAULTS = 5


def open_cache() -> CallCache:
    """The call cache of this user; trouble with it is told on stderr.

    It is `calls.sqlite` in the cache folder, or the file that ADHERE_CALL_CACHE names; `off` there switches it off.
    """
    named = os.environ.get(PLACE, "").strip()
    return CallCache(Path(named) if named and named.lower() != "off" else cache_folder() / "calls.sqlite", say)


@contextlib.contextmanager
def through_cache(model: Generates, on: bool = True, tell: Callable[[str], None] = say) -> Iterator[Generates]:
    """`model` behind the call cache of this user, where its replies cost something; says at the end what that saved.

    A wrapper that journals or meters goes around it: replies from the cache are marked as cached. Raises `StoreError`
    for a cache of a newer version, before anything is asked.
    """
    if not on or os.environ.get(PLACE, "").strip().lower() == "off" or not is_worth_caching(model):
        yield model
        return
    with open_cache() as cache:
        try:
            yield cached(model, cache)
        finally:
            told = counts_in_words(cache.counts)
            if told:
                tell(told)


def is_worth_caching(model: Generates) -> bool:
    """Whether replies of this model cost something.

    A replay has them already. A scripted model is faster than looking up, and its fingerprint does not tell what a
    closure answers.
    """
    asked = model.inner if isinstance(model, Distributed) else model
    return not isinstance(asked, ReplayModel | ScriptedModel)


def counts_in_words(counts: CallCounts) -> str:
    """What a run had from the cache, on one line; empty when it was not asked."""
    if not counts.hits + counts.misses:
        return ""
    words = f"call cache: {counts.hits:,} of {counts.hits + counts.misses:,} asks were answered before"
    words += f", {counts.stored:,} stored" if counts.stored else ""
    words += f", {counts.evicted:,} old ones dropped" if counts.evicted else ""
    return words + (f", {counts.lost:,} could not be stored" if counts.lost else "")


def cache_command(
    export: Path | None = None,
    source: Path | None = None,
    clear: bool = False,
    limit: str | None = None,
    run: Path | None = None,
    as_json: bool = False,
) -> int:
    """List what the cache holds, or do one thing: export to or import from a replay file, clear, set the limit.

    With `run`, `export` writes only the calls that the run in this folder made.
    """
    wanted = [name for name, given in zip(("--export", "--import", "--clear", "--limit"),
                                          (export, source, clear, limit), strict=True) if given]  # fmt: skip
    if len(wanted) > 1:
        raise SettingsError(f"expected one of {' and '.join(wanted)}, found both", "Give them one after the other.")
    if run is not None and export is None:
        raise SettingsError("--run says which calls to export, and nothing is exported", "Add --export FILE.")
    size = parse_size(limit) if limit else 0
    check_file(export)
    with open_cache() as cache:
        if export is not None:
            done = _export(cache, export, run)
        elif source is not None:
            done = _import(cache, source)
        elif clear:
            done = {"cleared": cache.clear()}
            say(f"{done['cleared']:,} calls forgotten")
        elif limit:
            done = {"limit": size, "evicted": cache.set_limit(size)}
            say(f"The call cache may have {size_in_words(size)}; {done['evicted']:,} calls had to go")
        else:
            done = _list(cache.totals(), as_json)
    if as_json:
        print_json(done)
    return EXIT_FINE


def _list(totals: CacheTotals, as_json: bool) -> dict[str, Any]:
    if not as_json:
        print(f"{totals.path}: {size_in_words(totals.bytes)} of {size_in_words(totals.limit)}, "
              f"{totals.calls:,} calls, used again {totals.hits:,} times")  # fmt: skip
        for one in totals.models:
            name = one_line(one.name or "(no name)", 60)
            print(f"{one.calls:10,} calls {size_in_words(one.bytes):>9} {one.hits:10,} hits  {name}  "
                  f"{one_line(one.fingerprint, 200)[:16]}")  # fmt: skip
    return {**msgspec.to_builtins(totals), "calls": totals.calls, "hits": totals.hits}


def _export(cache: CallCache, path: Path, run: Path | None) -> dict[str, Any]:
    """Write the calls as a replay file, which appears whole or not at all."""
    only = None if run is None else asked_in(run)
    written = 0

    def lines() -> Iterator[bytes]:
        nonlocal written
        for call in cache.calls():
            if only is None or _was_asked(call, only):
                written += 1
                yield replay_line(call)

    write_atomically(path, lines())
    say(f"{written:,} calls written to {path}")
    return {"exported": written, "output": str(path)}


def _import(cache: CallCache, path: Path) -> dict[str, Any]:
    """Take up the calls of a replay file; lines that are none are set aside and told."""
    if not path.is_file():
        raise DataError(f"no replay file at {path}", "Check the path given with --import.")
    read, faults, before = 0, 0, cache.counts.stored
    calls: list[Call] = []
    for number, _, line in replay_lines(path):
        try:
            calls.append(call_of_line(line))
        except DataError as error:
            faults += 1
            if faults <= _SHOWN_FAULTS:
                say(f"{path}:{number}: set aside: {error.message}")
            continue
        read += 1
        if len(calls) == _IMPORTED_AT_ONCE:
            _keep(cache, calls)
            calls = []
    _keep(cache, calls)
    if faults > _SHOWN_FAULTS:
        say(f"{path}: {faults - _SHOWN_FAULTS:,} further lines set aside")
    if faults and not read:
        raise DataError(f"{path} holds no recorded call", "A replay file is made with: adhere runs cache --export FILE")
    new = cache.counts.stored - before
    say(f"{read:,} calls read from {path}: {new:,} new, {read - new:,} already there")
    return {"read": read, "imported": new, "rejected": faults}


def _keep(cache: CallCache, calls: list[Call]) -> None:
    if calls and not cache.keep(calls):
        cache.totals()  # says why, as an error, where the cache cannot be used at all
        raise DataError(f"not every call could be stored: {cache.trouble}", "Free space and import the file again.")


def asked_in(folder: Path) -> frozenset[str]:
    """The keys under which the run in `folder` and its shards journaled replies: those of walks and of the cache."""
    from adhere.store.run import read_about

    read_about(folder)  # refuses what is no run folder
    journals = [folder / "journal.jsonl", *sorted(folder.glob("shards/*/journal.jsonl"))]
    return frozenset(key for one in journals for key in _keys_in(one))


def _keys_in(journal: Path) -> Iterator[str]:
    with explained(journal), journal.open("rb") as file:
        for line in file:
            try:
                found = msgspec.json.decode(line, type=_Asked)
            except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
                continue
            if found.kind == "reply":
                yield from (found.key, found.call)


class _Asked(msgspec.Struct):
    kind: str
    key: str = ""
    call: str = ""


def _was_asked(call: Call, keys: frozenset[str]) -> bool:
    return content_hash([call.fingerprint, call.ask.key]) in keys or call.key in keys


def parse_size(text: str) -> int:
    """Bytes from words like `2GB`; a `SettingsError` for anything else and for less than 1 MB."""
    found = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,6})?)\s*([A-Za-z]{0,3})\s*", text)
    unit = _UNITS.get(found[2].upper()) if found else None
    size = round(float(found[1]) * unit) if found and unit else 0
    if not SMALLEST <= size < 1 << 50:
        raise SettingsError(f"expected a size for the call cache, found {text[:40]!r}", SIZE_FORMS)
    return size


def size_in_words(size: int) -> str:
    """Bytes for people: `1.4 GB`."""
    for unit, name in ((10**9, "GB"), (10**6, "MB"), (10**3, "KB")):
        if size >= unit:
            return f"{size / unit:.3g} {name}" if size < 1000 * unit else f"{size / unit:,.0f} {name}"
    return f"{size} B"
