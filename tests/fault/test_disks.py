"""Disks that are full or read-only: one clear error, nothing lost, and the run goes on once there is room."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kill_storm import PATIENCE_S, Place, RecordedServer, Session, Tally, judge, kept_in, prepared

from adhere.core.errors import StoreError
from adhere.store import journal as journal_module
from adhere.store.journal import Journal
from adhere.store.run import Plan, Run, is_finished

ENVIRONMENT = 3


class Disk:
    """A file system of its own in memory, which can be made full, read-only, and roomy again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def remount(self, options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(self.folder)], check=True, capture_output=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """Only where this process may mount; others meet the same errors through a limit on the size of files."""
    folder = tmp_path / "disk"
    folder.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=20m", "adhere-test", str(folder)]
    if not sys.platform.startswith("linux") or shutil.which("mount") is None:
        pytest.skip("mounting a disk in memory needs Linux")
    if subprocess.run(words, check=False, capture_output=True).returncode:
        pytest.skip("this process may not mount a disk in memory")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=False, capture_output=True)


@pytest.fixture(scope="module")
def server() -> Iterator[RecordedServer]:
    with RecordedServer(work_s=0.002, fault_share=0.0) as running:
        yield running


@pytest.fixture(scope="module", params=["synth", "evaluate"])
def whole(request: pytest.FixtureRequest, server: RecordedServer, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Each run with nothing in its way."""
    place = prepared(tmp_path_factory.mktemp("whole"), request.param, server.model)
    place.finish()
    return place


def refused(place: Place, limit: Callable[[], None] | None = None) -> list[str]:
    """Go on, to be refused: the lines of the error and its hint. Whatever else is said comes before."""
    done = subprocess.run(
        [sys.executable, "-c", "from adhere.app.cli import main; main()", *place.next_words()],
        cwd=place.folder,
        env=place.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        preexec_fn=limit,
    )
    assert done.returncode == ENVIRONMENT, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.splitlines()
    [start] = [number for number, line in enumerate(lines) if line.startswith("error: ")]
    assert len(lines) - start == 2, done.stderr
    return lines[start:]


def used(folder: Path) -> int:
    """Bytes that the files of a finished run take on a disk."""
    return sum(-(-path.stat().st_size // 4096) * 4096 for path in folder.rglob("*") if path.is_file())


@contextlib.contextmanager
def judged(place: Place, server: RecordedServer) -> Iterator[Tally]:
    """Count what is asked inside the block against what is kept after it."""
    tally, before, good = Tally(), kept_in(place), server.settle()
    yield tally
    after, finished = kept_in(place), server.settle() - good
    judge([Session(before, finished, False)], after, tally)


# -- full -----------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("share", [0.05, 0.2, 0.4, 0.6, 0.8, 0.9])
def test_a_full_disk_at_any_point_is_one_error_and_the_run_goes_on(
    disk: Disk, server: RecordedServer, whole: Place, share: float, tmp_path: Path
) -> None:
    place = prepared(disk.folder, whole.verb, server.model, cache_folder=tmp_path / "cache")
    disk.remount(f"size={int(share * used(whole.folder)) // 4096 * 4096}")
    told, _ = refused(place)
    assert "No space left" in told or "full" in told
    kept = kept_in(place)
    assert share < 0.4 or kept.replies
    disk.remount("size=20m")
    with judged(place, server) as tally:
        place.finish()
    assert (tally.lost, tally.repaid) == (0, 0)
    assert place.results() == whole.results()
    assert not list(place.folder.rglob("*.part"))


def limited_to(size: int) -> Callable[[], None]:
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


@pytest.mark.parametrize("size", [500, 6_000, 21_001])
def test_files_that_may_not_grow_are_one_error_and_the_run_goes_on(
    server: RecordedServer, whole: Place, tmp_path: Path, size: int
) -> None:
    place = prepared(tmp_path, whole.verb, server.model)
    told, hint = refused(place, limited_to(size))
    assert "File too large" in told
    assert "adhere resume" in hint
    journal = kept_in(place).journal
    assert size < 6_000 or size - 2_000 < len(journal) <= size
    with judged(place, server) as tally:
        place.finish()
    assert (tally.lost, tally.repaid) == (0, 0)
    assert place.results() == whole.results()


@pytest.mark.slow
def test_replies_that_found_no_room_in_the_journal_are_taken_from_the_cache(
    disk: Disk, server: RecordedServer, whole: Place, tmp_path: Path
) -> None:
    place = prepared(disk.folder, whole.verb, server.model, caches=True, cache_folder=tmp_path / "cache")
    disk.remount(f"size={int(0.2 * used(whole.folder)) // 4096 * 4096}")
    refused(place)
    place.caches = False
    journaled = set(kept_in(place).replies)
    place.caches = True
    cached = set(kept_in(place).replies)
    assert cached > journaled if whole.verb == "evaluate" else cached >= journaled  # synth asks some things twice
    disk.remount("size=20m")
    with judged(place, server) as tally:
        place.finish()
    assert tally.repaid == 0
    assert place.results() == whole.results()


class NearlyFull:
    """`os.write` on a disk with room for so many bytes."""

    def __init__(self, room: int) -> None:
        self.room, self.real = room, os.write

    def __call__(self, handle: int, data: bytes | memoryview) -> int:
        if not self.room:
            raise OSError(28, "No space left on device")
        taken = self.real(handle, data[: self.room])
        self.room -= taken
        return taken


def test_a_line_that_found_room_for_its_half_takes_no_other_line_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append("reply", number=1)
    disk = NearlyFull(11)
    monkeypatch.setattr(journal_module.os, "write", disk)
    with pytest.raises(StoreError, match="No space left"):
        journal.append("reply", number=2)
    disk.room = 10**6  # somebody made room while the run was coming to its end
    journal.append("spent", seconds=3)
    journal.close()
    again = Journal(tmp_path / "journal.jsonl")
    assert [entry["kind"] for entry in again.entries] == ["reply", "spent"]
    assert again.corrupt == 0


def test_half_of_the_last_line_does_not_finish_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = Run.create(tmp_path, Plan("synth", {}, {}), [])
    (run.folder / "journal.jsonl").write_bytes(b'{"kind":"finished","stage":""')
    assert not is_finished(run.folder)
    monkeypatch.setattr(journal_module.os, "write", NearlyFull(25))
    with pytest.raises(StoreError, match="No space left"):
        run.finish()
    assert not is_finished(run.folder)


# -- read-only ------------------------------------------------------------------------------------------------


def test_on_a_read_only_disk_nothing_is_asked(disk: Disk, server: RecordedServer) -> None:
    place = prepared(disk.folder, "synth", server.model)
    disk.remount("ro")
    before = server.settle()
    told, _ = refused(place)
    assert "read-only" in told.lower()
    assert server.settle() == before


@pytest.mark.slow
def test_a_run_whose_disk_becomes_read_only_goes_on_once_it_is_writable(
    disk: Disk, server: RecordedServer, whole: Place, tmp_path: Path
) -> None:
    place = prepared(disk.folder, whole.verb, server.model, cache_folder=tmp_path / "cache")
    disk.remount(f"size={int(0.5 * used(whole.folder)) // 4096 * 4096}")
    refused(place)
    assert kept_in(place).replies
    disk.remount("ro,size=20m")
    before = server.settle()
    told, hint = refused(place)
    assert "read-only" in (told + hint).lower()
    assert server.settle() == before
    disk.remount("rw,size=20m")
    with judged(place, server) as tally:
        place.finish()
    assert (tally.lost, tally.repaid) == (0, 0)
    assert place.results() == whole.results()
