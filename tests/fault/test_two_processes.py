"""Two processes at one thing: a run folder, the folder of a tuning, a call cache."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kill_storm import PATIENCE_S, Place, RecordedServer, ask_of, kept_in, prepared
from test_call_cache_faults import call, go, started, whole

from adhere.store.calls import CallCache
from adhere.store.files import held

ENVIRONMENT = 3


@pytest.fixture(scope="module")
def server() -> Iterator[RecordedServer]:
    with RecordedServer(work_s=0.15, fault_share=0.0) as running:  # slow enough to be met at work
        yield running


def evaluating(folder: Path, server: RecordedServer, cache: Path | None = None) -> Place:
    """A place for a run that takes about a second after its first reply."""
    place = prepared(folder, "evaluate", server.model, cache is not None, cache)
    place.words = tuple("4" if word == "8" else word for word in place.words)
    return place


def until(holds: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        time.sleep(0.005)


def refused(place: Place, *words: str) -> str:
    process = place.start(words)
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == ENVIRONMENT, said
    assert "Traceback" not in said
    return said


def test_the_second_process_in_a_run_folder_is_refused_and_the_first_undisturbed(
    server: RecordedServer, tmp_path: Path
) -> None:
    server.begin()
    place = evaluating(tmp_path / "one", server)
    first = place.start(place.words)
    until(lambda: kept_in(place).replies, "a reply was kept")
    assert place.run is not None
    about = (place.run / "run.json").read_bytes()
    first.send_signal(signal.SIGSTOP)  # so that it surely still holds the folder
    before = kept_in(place).journal
    try:
        assert "another process works in" in refused(place, "resume")
        assert "another process works in" in refused(place, *place.words)
        assert kept_in(place).journal == before
        assert (place.run / "run.json").read_bytes() == about
    finally:
        first.send_signal(signal.SIGCONT)
    _, said = first.communicate(timeout=PATIENCE_S)
    assert first.returncode == 0, said
    assert set(server.settle().values()) == {1}
    assert {ask_of(json.loads(row)["reply"]) for row in (place.folder / "rows.jsonl").read_text().splitlines()} == set(
        server.counts.good
    )


def test_two_processes_that_begin_the_same_run_at_once_make_one(server: RecordedServer, tmp_path: Path) -> None:
    server.begin()
    place = evaluating(tmp_path / "one", server)
    over = threading.Event()

    async def held_back(*_: object) -> None:
        while not over.is_set():
            await asyncio.sleep(0.01)

    server.also = held_back  # the first of them works until the others have tried, however late they start
    try:
        racing = [place.start(place.words) for _ in range(4)]
        until(lambda: sum(process.poll() is not None for process in racing) >= 3, "three were refused")
    finally:
        over.set()
        server.also = None
    said = [process.communicate(timeout=PATIENCE_S)[1] for process in racing]
    codes = sorted(process.returncode for process in racing)
    assert codes == [0, ENVIRONMENT, ENVIRONMENT, ENVIRONMENT], said
    assert not any("Traceback" in one for one in said)
    assert place.is_finished
    assert set(server.settle().values()) == {1}


def test_a_folder_is_free_again_the_moment_its_holder_was_killed(server: RecordedServer, tmp_path: Path) -> None:
    place = evaluating(tmp_path / "one", server)
    process = place.start(place.words)
    until(lambda: kept_in(place).replies, "a reply was kept")
    os.kill(process.pid, signal.SIGKILL)  # it alone: whatever it may have started lives on
    process.communicate()
    place.finish()
    assert place.is_finished


def test_a_held_folder_is_held_against_this_process_too(tmp_path: Path) -> None:
    with held(tmp_path / "new"), pytest.raises(Exception, match="another process works"), held(tmp_path / "new"):
        pytest.fail("it was held twice")
    with held(tmp_path / "new"):
        pass


@pytest.mark.slow
def test_the_second_tuning_in_a_folder_is_refused_and_the_first_undisturbed(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from adhere.models.scripted import tiny_weights

    weights = str(tiny_weights(tmp_path / "weights"))
    undisturbed = prepared(tmp_path / "whole", "tune", weights)
    undisturbed.finish()
    place = prepared(tmp_path / "one", "tune", weights)
    first = place.start(place.words)
    until(lambda: kept_in(place).step, "there was a checkpoint")
    first.send_signal(signal.SIGSTOP)
    second = place.start(place.words)
    try:
        _, said = second.communicate(timeout=PATIENCE_S)
    finally:
        first.send_signal(signal.SIGCONT)
    assert first.wait(PATIENCE_S) == 0
    assert place.results() == undisturbed.results()
    assert second.returncode == ENVIRONMENT, said
    assert "another process works in" in said


# -- one call cache -------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_processes_that_share_a_cache_under_load_lose_nothing_when_one_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    writers = [started(path, 150 * number, 300, 1) for number in range(4)]  # neighbours write half of theirs alike
    go(*writers)
    doomed = writers[1]
    assert doomed.stdout is not None
    told = [int(doomed.stdout.readline()) for _ in range(60)]
    doomed.send_signal(signal.SIGKILL)
    rest = [line for line in doomed.stdout.read().splitlines() if line.isdigit()]
    for process in (*writers[:1], *writers[2:]):
        said = process.communicate(timeout=PATIENCE_S)[0]
        assert process.returncode == 0, said
        assert "damaged" not in said
        assert "cannot be used" not in said
    doomed.wait()
    acknowledged = {*told, *map(int, rest[:-1]), *range(300), *range(300, 750)}
    with CallCache(path, pytest.fail) as cache:
        keys = {call(number).key for number in acknowledged}
        assert set(cache.find(sorted(keys))) == keys
        assert cache.totals().calls == 750
    whole(path)


@pytest.mark.slow
def test_two_runs_that_share_a_cache_pay_for_each_ask_once_or_while_it_was_under_way(
    server: RecordedServer, tmp_path: Path
) -> None:
    server.begin()
    places = [evaluating(tmp_path / name, server, tmp_path / "cache") for name in ("one", "two")]
    first = places[0].start(places[0].words)
    until(lambda: server.counts.good, "an ask was answered")
    second = places[1].start(places[1].words)
    for process in (first, second):
        _, said = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0, said
    assert places[0].results() == places[1].results()
    paid = server.settle()
    assert max(paid.values()) <= 2
    assert len(paid) == len(kept_in(places[0]).replies)
    third = evaluating(tmp_path / "three", server, tmp_path / "cache")
    third.finish()
    assert server.settle() == paid
    assert third.results() == places[0].results()
