"""Files damaged behind our back: journals, call caches, checkpoints. What is whole is used, no more is redone."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from kill_storm import PATIENCE_S, Kept, Place, RecordedServer, ask_of, kept_in, prepared

from adhere.core.errors import StoreError
from adhere.core.model import Ask, Reply, Sampling
from adhere.core.record import user
from adhere.store.call_key import Call
from adhere.store.calls import CallCache
from adhere.store.journal import Journal
from adhere.store.run import Plan, Run

# -- the journal ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[RecordedServer]:
    with RecordedServer(work_s=0.002, fault_share=0.0) as running:
        yield running


@pytest.fixture(scope="module")
def whole(server: RecordedServer, tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A run of evaluate from its beginning to its end."""
    place = prepared(tmp_path_factory.mktemp("whole"), "evaluate", server.model)
    place.words = (
        "evaluate",
        "heldout",
        "--limit",
        "3",
        "seeds=2",
        "--model",
        server.model,
    )  # to stdout, not to a file
    place.finish()
    return place


def stopped(whole: Place, folder: Path) -> Place:
    """A copy of the run as it stood before its outputs were sealed."""
    shutil.copytree(whole.folder, folder, dirs_exist_ok=True)
    place = Place(folder, whole.verb, whole.words, whole.caches)
    assert place.run is not None
    journal = place.run / "journal.jsonl"
    lines = [line for line in journal.read_bytes().splitlines(keepends=True) if b'{"kind":"reply"' in line[:20]]
    journal.write_bytes(b"".join(lines))
    for path in (place.run / "out").iterdir():
        path.unlink()
    return place


def with_bits_flipped(line: bytes) -> bytes:
    return line.replace(b'"key":"', b'"key":"\xff')


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "zeroed": lambda line: bytes(len(line) - 1) + b"\n",
    "cut": lambda line: line[: len(line) // 2] + b"\n",
    "its end of line lost": lambda line: line[:-1],
    "bits": with_bits_flipped,
    "deeply nested": lambda line: b"[" * 100_000 + b"\n",
    "an end of line within": lambda line: line[:40] + b"\n" + line[40:],
    "another kind of value": lambda line: b'"kind"\n',
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_line_in_the_middle_is_asked_for_again_and_no_other(
    whole: Place, server: RecordedServer, tmp_path: Path, damage: Callable[[bytes], bytes]
) -> None:
    place = stopped(whole, tmp_path / "run")
    assert place.run is not None
    journal = place.run / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    middle = len(lines) // 2
    hit = {ask_of(json.loads(lines[middle])["reply"]["text"])}
    if damage(lines[middle])[-1:] != b"\n":  # then it takes the line after it with it
        hit.add(ask_of(json.loads(lines[middle + 1])["reply"]["text"]))
    lines[middle] = damage(lines[middle])
    journal.write_bytes(b"".join(lines))
    good = server.settle()
    place.finish()
    assert set(server.settle() - good) == hit
    assert place.results() == whole.results()


def test_a_link_in_the_place_of_the_journal_or_the_lock_is_not_followed(tmp_path: Path) -> None:
    for name in ("journal.jsonl", ".lock"):
        run = Run.create(tmp_path / name, Plan("synth", {}, {}), [])
        run.close()
        mine = tmp_path / f"mine-{name}"
        mine.write_text("not to be touched")
        (run.folder / name).unlink()
        (run.folder / name).symlink_to(mine)
        with pytest.raises(StoreError) as caught:
            Run.open(run.folder)
        assert "link" in caught.value.hint
        assert mine.read_text() == "not to be touched"
        (run.folder / name).unlink()
        Run.open(run.folder).close()  # and the folder was let go of


def test_random_damage_never_stops_a_journal_from_being_read(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal = Journal(path)
    for number in range(40):
        journal.append("reply", number=number, text="word " * 8)
    journal.close()
    data, dice = path.read_bytes(), random.Random(7)
    for _ in range(200):
        torn = bytearray(data[: dice.randrange(len(data))] if dice.random() < 0.5 else data)
        start = dice.randrange(len(torn) + 1)
        torn[start : start + dice.randrange(60)] = dice.randbytes(dice.randrange(60))
        path.write_bytes(torn)
        found = Journal(path)
        numbers = [entry.get("number") for entry in found.entries]
        assert len(set(numbers) & set(range(40))) >= bytes(torn).count(b"\n") - 5
        found.append("reply", number=99)
        found.close()
        again = Journal(path)
        assert again.entries[-1]["number"] == 99
        again.close()


# -- the call cache -------------------------------------------------------------------------------------------

CACHE_DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "cut in half": lambda data: data[: len(data) // 2],
    "garbage for a header": lambda data: random.Random(1).randbytes(100) + data[100:],
    "a zeroed header": lambda data: bytes(100) + data[100:],
    "zero length": lambda data: b"",
    "zeroed from the second page on": lambda data: data[:4096] + bytes(len(data) - 4096),
    "garbage in the middle": lambda data: data[:8192] + random.Random(2).randbytes(8192) + data[16384:],
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", CACHE_DAMAGE.values(), ids=CACHE_DAMAGE)
@pytest.mark.parametrize("leaves_log", [False, True])
def test_a_damaged_call_cache_costs_the_cache_and_not_the_run(
    whole: Place, tmp_path: Path, damage: Callable[[bytes], bytes], leaves_log: bool
) -> None:
    place = stopped(whole, tmp_path / "run")
    assert place.run is not None
    (place.run / "journal.jsonl").write_bytes(b"")
    place.caches = True
    place.calls.parent.mkdir(exist_ok=True)
    fill(place.calls, leaves_log)
    place.calls.write_bytes(damage(place.calls.read_bytes()))
    said = resumed(place)
    assert "Traceback" not in said
    assert said.count("set aside") <= 1
    assert place.results() == whole.results()
    told: list[str] = []
    with CallCache(place.calls, told.append) as cache:  # what this run paid for is in a cache that is whole
        kept = {ask_of(one.reply.text) for one in cache.calls()}
    assert not told
    assert kept >= set(kept_in(whole).replies)


def resumed(place: Place) -> str:
    process = place.start(("resume", "--trust"))  # the folder is a copy of the one that was made
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, said
    return said


def fill(path: Path, leaves_log: bool) -> None:
    """A cache with calls in it; with `leaves_log` as a killed process leaves it, its log not yet written back."""
    script = (
        "import os, signal, sys\nfrom pathlib import Path\nfrom test_damage import stored\n"
        "stored(Path(sys.argv[1]))\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    if not leaves_log:
        stored(path).close()
        return
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *map(str, PATHS)])}
    done = subprocess.run(
        [sys.executable, "-c", script, str(path)], env=environment, check=False, capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert path.with_name(path.name + "-wal").stat().st_size > 0


PATHS = [part for part in os.environ.get("PYTHONPATH", "").split(os.pathsep) if part]


def stored(path: Path) -> CallCache:
    """An open cache with two hundred calls of another model."""
    cache = CallCache(path)
    calls = [Call("m", "m", Ask((user(f"q {n}"),), Sampling()), Reply(f"says number {n}." * 30)) for n in range(200)]
    assert cache.keep(calls)
    return cache


# -- checkpoints ----------------------------------------------------------------------------------------------


def flipped_digit(data: bytes) -> bytes:
    values = json.loads(data)
    values["losses"][0] += 1e-9
    return json.dumps(values).encode()


CHECKPOINT_DAMAGE: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "tensors cut": ("tensors.safetensors", lambda data: data[: len(data) // 2]),
    "tensors zeroed": ("tensors.safetensors", lambda data: bytes(len(data))),
    "tensors empty": ("tensors.safetensors", lambda data: b""),
    "state cut": ("state.json", lambda data: data[: len(data) // 2]),
    "state zeroed": ("state.json", lambda data: bytes(len(data))),
    "state empty": ("state.json", lambda data: b""),
    "state of another type": ("state.json", lambda data: b"[]"),
    "state deeply nested": ("state.json", lambda data: b"[" * 100_000),
    "a number in state changed": ("state.json", flipped_digit),
}


@pytest.mark.parametrize("case", CHECKPOINT_DAMAGE.values(), ids=CHECKPOINT_DAMAGE)
def test_a_damaged_checkpoint_is_passed_over_and_leaves_the_later_ones_alone(
    tmp_path: Path, case: tuple[str, Callable[[bytes], bytes]]
) -> None:
    torch = pytest.importorskip("torch")
    from adhere.training.checkpoints import Checkpoints

    checkpoints = Checkpoints(tmp_path, every=1, keep=2)
    for step in (1, 2):
        checkpoints.save(step, {"adapter": torch.full((64,), float(step))}, {"losses": [0.5] * step})
    name, damage = case
    path = tmp_path / "step-000002" / name
    path.write_bytes(damage(path.read_bytes()))
    found = checkpoints.newest()
    assert found is not None
    assert found.path.name == "step-000001"
    assert found.values["losses"] == [0.5]
    checkpoints.save(2, {"adapter": torch.full((64,), 2.0)}, {"losses": [0.5, 0.5]})
    again = checkpoints.newest()
    assert again is not None
    assert torch.equal(again.tensors["adapter"], torch.full((64,), 2.0))


def test_whole_checkpoints_stay_beside_damaged_ones_of_later_steps(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from adhere.training.checkpoints import Checkpoints

    checkpoints = Checkpoints(tmp_path, every=25, keep=2)
    for step in (100, 125):
        checkpoints.save(step, {"adapter": torch.zeros(8)}, {})
        (tmp_path / f"step-{step:06d}" / "tensors.safetensors").write_bytes(b"")
    (tmp_path / ".step-000125.4711.part").mkdir()  # of a process that was killed
    assert checkpoints.newest() is None
    for step in (25, 50, 75):
        checkpoints.save(step, {"adapter": torch.full((8,), float(step))}, {})
        found = checkpoints.newest()
        assert found is not None
        assert found.values["step"] == step
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-000050", "step-000075"]


@pytest.mark.slow
def test_a_tuning_with_every_checkpoint_zeroed_ends_with_the_same_weights(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from adhere.models.scripted import tiny_weights

    weights = str(tiny_weights(tmp_path / "weights"))
    undisturbed = prepared(tmp_path / "whole", "tune", weights)
    undisturbed.finish()
    place = prepared(tmp_path / "damaged", "tune", weights)
    process = place.start(place.words)
    deadline = time.monotonic() + PATIENCE_S
    while kept_in(place) == Kept() and time.monotonic() < deadline:
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not place.is_finished
    assert kept_in(place).step >= 25
    for path in (place.folder / "tuned" / "checkpoints").rglob("*.safetensors"):
        path.write_bytes(bytes(path.stat().st_size))
    place.finish()
    assert json.loads((place.folder / "tuned" / "tuned.json").read_bytes())["report"]["resumed_at"] == 0
    assert place.results() == undisturbed.results()
