"""The call cache when things go wrong: killed, shared, truncated, damaged, read-only, full, newer than we are."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from adhere.core.errors import StoreError
from adhere.core.model import Ask, Reply, Sampling, replies
from adhere.core.record import user
from adhere.models.cached import cached
from adhere.store import calls as calls_module
from adhere.store.call_key import Call
from adhere.store.calls import CallCache
from adhere.store.calls_database import APPLICATION_ID, SCHEMA_VERSION

WRITER = """
import sys
from pathlib import Path
from adhere.core.model import Ask, Reply, Sampling
from adhere.core.record import user
from adhere.store.call_key import Call
from adhere.store.calls import CallCache

path, first, count, uses = Path(sys.argv[1]), *map(int, sys.argv[2:5])
cache = CallCache(path, print)
print("ready", flush=True)
sys.stdin.readline()
for number in range(first, first + count):
    call = Call("m", "m", Ask((user(f"question {number}"),), Sampling()), Reply(f"answer {number}" * 20))
    if not cache.keep([call]):
        raise SystemExit("not stored")
    print(number, flush=True)
    for _ in range(uses):
        cache.find([call.key])
sys.stdin.readline()  # the last one to close the file takes its log away: not before the test has looked
cache.close()
print(f"stored {cache.counts.stored}", flush=True)
"""


class Echo:
    name, fingerprint = "echo", "m"

    def __init__(self) -> None:
        self.calls = 0

    def generate(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        for position, ask in enumerate(asks):
            self.calls += 1
            yield position, Reply(f"echo: {ask.messages[0].text}" + " more" * 100)


def call(number: int) -> Call:
    return Call("m", "m", Ask((user(f"question {number}"),), Sampling()), Reply(f"answer {number}" * 20))


def started(path: Path, *numbers: int) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", WRITER, str(path), *map(str, numbers)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def go(*processes: subprocess.Popen[str]) -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()


def whole(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT count(*) FROM call").fetchone() == (
            database.execute("SELECT count(*) FROM call JOIN body USING (id)").fetchone()
        )


# -- killed, and shared ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("acknowledged", [1, 8, 33])
def test_nothing_acknowledged_is_lost_by_kill_9(tmp_path: Path, acknowledged: int) -> None:
    path = tmp_path / "calls.sqlite"
    process = started(path, 0, 100_000, 1)
    go(process)
    assert process.stdout is not None
    for _ in range(acknowledged):
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    rest = process.stdout.read()  # acknowledged between the last line that was read and the kill
    process.wait()
    last = int(rest.splitlines()[-1]) if rest.strip() else acknowledged - 1
    told: list[str] = []
    with CallCache(path, told.append) as cache:
        keys = [call(number).key for number in range(last + 1)]
        assert set(cache.find(keys)) == set(keys)
        assert cache.totals().calls <= last + 2  # one can be stored and not yet acknowledged
        assert cache.keep([call(10**6)])
    assert told == []
    whole(path)


def test_two_processes_lose_neither_replies_nor_uses(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    one, other = started(path, 0, 60, 2), started(path, 30, 60, 2)  # 30 calls are of both
    go(one, other)
    stored = []
    for process in (one, other):
        said = process.communicate(timeout=60)[0].splitlines()
        assert process.returncode == 0, said
        stored.append(int(said[-1].removeprefix("stored ")))
    assert sum(stored) == 90
    with CallCache(path) as cache:
        totals = cache.totals()
        assert (totals.calls, totals.hits) == (90, 2 * 2 * 60)
    with contextlib.closing(sqlite3.connect(path)) as database:
        ticks = [row[0] for row in database.execute("SELECT used FROM call")]
        assert len(set(ticks)) == 90
        assert max(ticks) <= database.execute("SELECT value FROM state WHERE name = 'tick'").fetchone()[0]
    whole(path)


def test_many_threads_share_one_cache(tmp_path: Path) -> None:
    with CallCache(tmp_path / "calls.sqlite") as cache:
        failures: list[int] = []

        def work(first: int) -> None:
            for number in range(first, first + 25):
                if not cache.keep([call(number)]) or call(number).key not in cache.find([call(number).key]):
                    failures.append(number)

        threads = [threading.Thread(target=work, args=(20 * k,)) for k in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert (cache.counts.stored, cache.counts.hits, cache.totals().hits) == (125, 150, 150)


def _in_child(cache: CallCache) -> None:
    ok = call(1).key in cache.find([call(1).key]) and cache.keep([call(2)])
    cache.close()
    os._exit(0 if ok else 1)


def test_a_forked_process_opens_the_file_itself(tmp_path: Path) -> None:
    with CallCache(tmp_path / "calls.sqlite") as cache:
        cache.keep([call(1)])
        with cache._lock:  # as if another thread held it at that moment
            child = multiprocessing.get_context("fork").Process(target=_in_child, args=(cache,))
            child.start()
        child.join(30)
        assert child.exitcode == 0
        assert set(cache.find([call(1).key, call(2).key])) == {call(1).key, call(2).key}
    whole(tmp_path / "calls.sqlite")


# -- damaged --------------------------------------------------------------------------------------------------


def filled(path: Path, count: int = 60) -> bytes:
    with CallCache(path) as cache:
        assert cache.keep([call(number) for number in range(count)])
    return path.read_bytes()


@pytest.mark.parametrize("left", [99, 4_096, 0.3, 0.9])
def test_a_truncated_file_is_set_aside_and_a_new_one_begun(tmp_path: Path, left: float) -> None:
    path, told = tmp_path / "calls.sqlite", list[str]()
    data = filled(path)
    torn = data[: int(left if left > 1 else left * len(data))]
    path.write_bytes(torn)
    with CallCache(path, told.append) as cache:
        assert cache.totals().calls == 0
        assert cache.keep([call(1)])
    assert len(told) == 1
    assert "set aside as calls.sqlite.damaged-1" in told[0]
    assert (tmp_path / "calls.sqlite.damaged-1").read_bytes()[:100] == torn[:100]
    whole(path)


def test_a_file_of_something_else_that_is_no_database_is_set_aside(tmp_path: Path) -> None:
    path, told = tmp_path / "calls.sqlite", list[str]()
    for number in (1, 2):
        path.write_bytes(b"This was never a database.\n" * 400)
        with CallCache(path, told.append) as cache:
            assert cache.keep([call(number)])
        assert (tmp_path / f"calls.sqlite.damaged-{number}").is_file()
    assert len(told) == 2


def test_an_empty_file_is_a_new_cache(tmp_path: Path) -> None:
    (tmp_path / "calls.sqlite").touch()
    with CallCache(tmp_path / "calls.sqlite", pytest.fail) as cache:
        assert cache.keep([call(1)])


def test_a_torn_log_loses_its_end_only(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    process = started(path, 0, 40, 0)
    go(process)
    assert process.stdout is not None
    for _ in range(40):
        process.stdout.readline()
    log = tmp_path / "calls.sqlite-wal"
    copy = tmp_path / "copy"
    copy.mkdir()
    data = log.read_bytes() if log.exists() else b""
    shutil.copy(path, copy / "calls.sqlite")
    process.communicate()
    (copy / "calls.sqlite-wal").write_bytes(data[: len(data) * 2 // 3 + 11])
    with CallCache(copy / "calls.sqlite", pytest.fail) as cache:
        found = cache.find([call(number).key for number in range(40)])
        assert set(found) == {call(number).key for number in range(len(found))}
        assert 5 < len(found) < 40
        assert cache.keep([call(99)])
    whole(copy / "calls.sqlite")


def test_damage_found_in_the_middle_of_a_run_costs_only_the_cache(tmp_path: Path) -> None:
    path, told = tmp_path / "calls.sqlite", list[str]()
    data = filled(path, 400)
    # Every page of the tables but the first pages, which opening looks at; the length stays.
    path.write_bytes(data[: 4096 * 12] + b"\xa5" * (len(data) - 4096 * 12))
    with CallCache(path, told.append) as cache:
        model = Echo()
        asks = [call(number).ask for number in range(400)]
        assert all(reply.finish == "stop" for reply in replies(cached(model, cache), asks))
        assert cache.keep([call(10**6)])
        assert replies(cached(model, cache), asks)[-1].cached
    assert len(told) == 1
    assert "damaged" in told[0]
    whole(path)


def test_a_reply_whose_bits_changed_is_asked_for_again_and_stored_anew(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    filled(path, 3)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        changed = "UPDATE body SET reply = CAST(replace(reply, 'answer 1', 'answer 7') AS BLOB) WHERE id = 2"
        assert database.execute(changed).rowcount == 1
    with CallCache(path) as cache:
        keys = [call(number).key for number in range(3)]
        assert set(cache.find(keys)) == {keys[0], keys[2]}
        assert len(list(cache.calls())) == 2
        assert cache.keep([call(1)])
        assert cache.find(keys)[keys[1]].text == call(1).reply.text


def test_a_file_set_aside_by_another_process_is_not_set_aside_twice(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    filled(path)
    mine = CallCache(path, pytest.fail)
    for file in list(tmp_path.iterdir()):
        if not file.name.endswith(".lock"):
            file.rename(file.with_name("aside-" + file.name))
    with CallCache(path) as other:
        other.keep([call(500)])
        assert mine.keep([call(501)])  # into the file that was set aside: lost to the others, and no harm
        mine.close()  # must not take the log of the new file away
        assert call(500).key in other.find([call(500).key])
    with CallCache(path) as again:
        assert call(500).key in again.find([call(500).key])
    whole(path)


# -- refused --------------------------------------------------------------------------------------------------


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    data = filled(path)
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StoreError, match=f"has version {SCHEMA_VERSION + 1}, this adhere reads"):
        CallCache(path)
    assert len(path.read_bytes()) == len(data)


def test_the_database_of_another_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE mine(x)")
    before = path.read_bytes()
    with pytest.raises(StoreError, match="another program"):
        CallCache(path)
    assert path.read_bytes() == before
    assert APPLICATION_ID


# -- no room, no permission -----------------------------------------------------------------------------------


@contextlib.contextmanager
def forbidden(folder: Path) -> Iterator[None]:
    """Nobody may write in `folder`; root is somebody else for as long, since it may everything."""
    folder.chmod(0o555)
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)
        folder.chmod(0o755)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that others may enter, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize("exists", [False, True])
def test_in_a_read_only_folder_the_run_goes_on_without_the_cache(open_folder: Path, exists: bool) -> None:
    told, model = list[str](), Echo()
    if exists:
        filled(open_folder / "calls.sqlite")
    with forbidden(open_folder), CallCache(open_folder / "calls.sqlite", told.append) as cache:
        asks = [call(number).ask for number in range(5)]
        assert len({reply.text for reply in replies(cached(model, cache), asks)}) == 5
        assert len({reply.text for reply in replies(cached(model, cache), asks)}) == 5
        assert (model.calls, cache.counts.stored, cache.counts.lost) == (10, 0, 10)
        with pytest.raises(StoreError, match="cannot be used"):
            cache.totals()
    assert len(told) == 1
    assert "goes on without it" in told[0]


def test_a_folder_that_cannot_be_made_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    told: list[str] = []
    with CallCache(tmp_path / "file" / "calls.sqlite", told.append) as cache:
        assert len(replies(cached(Echo(), cache), [call(1).ask])) == 1
    assert len(told) == 1


def test_on_a_full_disk_what_is_there_is_still_used_and_it_is_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told, model = list[str](), Echo()
    path = tmp_path / "calls.sqlite"
    filled(path, 10)
    with CallCache(path, told.append) as cache:
        assert cache._database is not None
        pages = cache._database.execute("PRAGMA page_count").fetchone()[0]
        cache._database.execute(f"PRAGMA max_page_count = {pages + 3}")
        asks = [call(number).ask for number in range(60)]
        assert sum(reply.cached for reply in replies(cached(model, cache), asks)) == 10
        monkeypatch.setattr(calls_module, "PAUSE_S", 0.0)
        cache._rest_until = 0.0
        assert sum(reply.cached for reply in replies(cached(model, cache), asks)) >= 10
        assert cache.counts.lost > 0
        assert len(told) == 1
        assert "full" in told[0]
        cache._database.execute("PRAGMA max_page_count = 100000")  # somebody made room
        replies(cached(model, cache), asks)
        assert all(reply.cached for reply in replies(cached(model, cache), asks))
        assert cache.trouble == ""
    assert len(told) == 1
    whole(path)


FULL = """
import resource, sys
from pathlib import Path
from adhere.core.model import Ask, Reply, Sampling, replies
from adhere.core.record import user
from adhere.models.cached import cached
from adhere.store.calls import CallCache

class Model:
    name, fingerprint = "m", "m"
    def generate(self, asks):
        for position, ask in enumerate(asks):
            yield position, Reply(ask.messages[0].text * 50)

resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
told = []
with CallCache(Path(sys.argv[1]), told.append) as cache:
    asks = [Ask((user(f"question {number}"),), Sampling()) for number in range(400)]
    first = replies(cached(Model(), cache), asks)
    again = replies(cached(Model(), cache), asks)
    assert [one.text for one in first] == [one.text for one in again]
    assert cache.counts.stored >= 5, cache.counts
    assert cache.counts.lost >= 5, cache.counts
    assert sum(one.cached for one in again) == cache.counts.stored
assert len(told) == 1, told
print("fine")
"""


def test_a_file_that_may_not_grow_ends_no_run(tmp_path: Path) -> None:
    assert resource.RLIMIT_FSIZE is not None
    path = tmp_path / "calls.sqlite"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout == "fine\n", done.stderr
    with CallCache(path, pytest.fail) as cache:
        assert cache.keep([call(1)])
    whole(path)


def test_a_database_held_by_somebody_else_ends_no_run(tmp_path: Path) -> None:
    path, told = tmp_path / "calls.sqlite", list[str]()
    filled(path, 2)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    with CallCache(path, told.append) as cache:
        assert cache._database is not None
        cache._database.execute("PRAGMA busy_timeout = 20")
        found = replies(cached(Echo(), cache), [call(number).ask for number in range(4)])
        assert [reply.cached for reply in found] == [True, True, False, False]
        assert cache.counts.lost == 2
    holder.close()
    assert len(told) == 1
    assert "locked" in told[0]
