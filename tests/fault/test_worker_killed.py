"""kill -9 of a worker, or of the driver, in the middle: the same output, and nothing finished is paid for twice.

Replies are counted at an endpoint (`fault_server`); what was journaled when the process was killed must have been
answered there once.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fault_server import FaultServer, Plan

CODE = "import sys; from adhere.app.cli import main; sys.exit(main())"
ROWS = 150
WORDS = ("rejection-sampling", "prompts.jsonl", "samples=1", "--seed", "3")
SHARDED = (*WORDS, "--shard-rows", "50")
needs_ray = pytest.mark.skipif(
    subprocess.run([sys.executable, "-c", "import ray"], capture_output=True, check=False).returncode != 0,
    reason="needs the extra [scale]",
)


@pytest.fixture
def server() -> Iterator[FaultServer]:
    with FaultServer(Plan(fault_share=0.0, quirk_share=0.0, slots=4, work_s=0.04)) as running:
        yield running


class Place:
    """A folder of a user, with prompts that say which ask they are, and processes that run there."""

    def __init__(self, folder: Path, server: FaultServer) -> None:
        self.folder, self.server = folder, server
        folder.mkdir(parents=True)
        lines = (json.dumps({"prompt": f"Name what you are asked in ask {number}"}) for number in range(ROWS))
        (folder / "prompts.jsonl").write_text("\n".join(lines) + "\n")

    def begin(self, *words: str) -> subprocess.Popen[str]:
        environment = {**os.environ, "ADHERE_CACHE": str(self.folder / "cache"), "ADHERE_API_KEY": "sk-for-workers"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", CODE, *words],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        return self.process

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        """No process outlives a test that failed."""
        self.process.kill()
        self.process.communicate()

    def synth(self, *words: str) -> subprocess.Popen[str]:
        return self.begin("synth", *words, "--model", f"{self.server.url}#m", "-o", "rows.jsonl")

    def run(self, *words: str) -> None:
        done = self.begin(*words)
        finish(done)

    def journaled(self) -> list[str]:
        """The asks whose replies are in a journal."""
        lines = (
            line for path in self.folder.glob("runs/**/journal.jsonl") for line in path.read_bytes().split(b"\n")[:-1]
        )
        replies = (json.loads(line)["reply"] for line in lines if line.startswith(b'{"kind":"reply"'))
        return [reply["text"].rsplit(" ", 1)[-1] for reply in replies]

    def after_replies(self, count: int, driver: subprocess.Popen[str]) -> None:
        """Wait until so many replies are journaled."""
        deadline = time.monotonic() + 300  # against a hang; Ray takes its time to begin where others work too
        while len(self.journaled()) < count:
            assert driver.poll() is None, driver.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.005)

    @property
    def output(self) -> bytes:
        return (self.folder / "rows.jsonl").read_bytes() + (self.folder / "rows.dropped.jsonl").read_bytes()

    def assert_nothing_is_paid_twice(self, finished: list[str]) -> None:
        """Each ask is journaled once, and those that were when a process was killed were sent once."""
        assert sorted(self.journaled(), key=int) == [str(number) for number in range(ROWS)]
        again = {ask: self.server.counts.sent[ask] for ask in finished if self.server.counts.sent[ask] != 1}
        assert not again
        assert sum(self.server.counts.sent.values()) < ROWS + 100, "more than was under way was sent again"

    def assert_no_key_is_written(self) -> None:
        for path in self.folder.glob("**/*"):
            assert not path.is_file() or b"sk-for-workers" not in path.read_bytes()


@pytest.fixture
def place(tmp_path: Path, server: FaultServer) -> Iterator[Place]:
    with Place(tmp_path / "place", server) as made:
        yield made


def finish(process: subprocess.Popen[str]) -> str:
    _, said = process.communicate(timeout=400)
    assert process.returncode == 0, said
    return said


def local_workers(driver: subprocess.Popen[str]) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(driver.pid)], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]


def ray_workers(driver: subprocess.Popen[str]) -> list[int]:
    """Ray's processes that run a task of this driver: they carry its name, and descend from it."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=False).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    parents = {int(pid): int(parent) for pid, parent, *_ in rows}

    def is_ours(pid: int) -> bool:
        while pid in parents and pid != driver.pid:
            pid = parents[pid]
        return pid == driver.pid

    return [int(pid) for pid, _, *args in rows if args and args[0].startswith("ray::_serve") and is_ours(int(pid))]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """What one process makes of the prompts."""
    with FaultServer(Plan(fault_share=0.0, quirk_share=0.0, slots=64, work_s=0.001)) as fast:
        place = Place(tmp_path_factory.mktemp("whole") / "place", fast)
        finish(place.synth(*WORDS))
        assert sum(fast.counts.good.values()) == ROWS
        return place.output


KINDS: list[object] = [
    pytest.param(("--workers", "2"), local_workers, id="processes"),
    pytest.param(("--ray", "local", "--workers", "2"), ray_workers, id="ray", marks=[needs_ray, pytest.mark.slow]),
]
Find = Callable[[subprocess.Popen[str]], list[int]]


@pytest.mark.parametrize(("how", "find"), KINDS)
@pytest.mark.parametrize("words", [WORDS, SHARDED], ids=["whole", "shards"])
def test_a_worker_killed_in_the_middle_changes_nothing(
    place: Place, uninterrupted: bytes, words: tuple[str, ...], how: tuple[str, ...], find: Find
) -> None:
    driver = place.synth(*words, *how)
    place.after_replies(30, driver)
    victims = find(driver)
    assert 1 <= len(victims) <= 2  # one may be between two of its jobs
    finished = place.journaled()
    os.kill(victims[0], signal.SIGKILL)
    finish(driver)
    assert place.output == uninterrupted
    place.assert_nothing_is_paid_twice(finished)
    place.assert_no_key_is_written()


@pytest.mark.parametrize("words", [WORDS, SHARDED], ids=["whole", "shards"])
def test_a_killed_driver_is_gone_on_with(place: Place, uninterrupted: bytes, words: tuple[str, ...]) -> None:
    driver = place.synth(*words, "--workers", "2")
    place.after_replies(40, driver)
    workers = local_workers(driver)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    finished = place.journaled()
    place.run("resume", "--workers", "3")
    assert place.output == uninterrupted
    place.assert_nothing_is_paid_twice(finished)
    assert not [pid for pid in workers if is_alive(pid)]


def is_alive(pid: int) -> bool:
    found = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(found.stdout.strip()) and not found.stdout.startswith("Z")


# --- Ray -----------------------------------------------------------------------------------------------------------


@needs_ray
@pytest.mark.slow
def test_a_ray_cluster_gives_what_one_process_gives(tmp_path: Path) -> None:
    """All verbs that share their work, in one process that joins its local cluster once."""
    (tmp_path / "prompts.jsonl").write_text(
        "".join(
            json.dumps({"prompt": f"Explain tree {n}.", "checks": [{"kind": "punctuation:no_comma"}]}) + "\n"
            for n in range(60)
        )
    )
    script = """
import sys
from adhere.app.cli import main
def run(name, *words):
    try:
        main([*words, "--runs", name])
    except SystemExit as end:
        assert end.code in (0, 1), (words, end.code)
for name, how in (("one", ()), ("two", ("--ray", "auto"))):
    if how:
        import ray
        ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    model = ("--model", "scripted")
    run(name, "synth", "rejection-sampling", "prompts.jsonl", *model, *how, "-o", f"{name}-rows.jsonl")
    run(name, "synth", "complex-to-simple", "prompts.jsonl", "count=30", *model, *how, "-o", f"{name}-synth.jsonl")
    run(name, "verify", "one-rows.jsonl", "--shard-rows", "20", *how, "-o", f"{name}-verify.jsonl")
    run(name, "select", "verified", "one-rows.jsonl", "--shard-rows", "20", *how, "-o", f"{name}-select.jsonl")
    run(name, "evaluate", "heldout", "--limit", "6", *model, *how, "-o", f"{name}-evaluate.jsonl")
    run(name, "prove", "best-of-n", "mbr", "--seeds", "1", *model, *how)
    run(name, "compare", "best-of-n", "mbr", "--limit", "4", "--seeds", "1", *model, *how)
"""
    environment = {**os.environ, "ADHERE_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    outputs = sorted(tmp_path.glob("one-*.jsonl"))
    assert len(outputs) == 8
    for path in outputs:
        assert path.read_bytes() == path.with_name(path.name.replace("one-", "two-")).read_bytes(), path.name
    found = [sorted(filter(None, map(told, tmp_path.glob(f"{name}/*/*.json")))) for name in ("one", "two")]
    assert found[0] == found[1]
    assert len(found[0]) == 3


def told(path: Path) -> str:
    """A proof or a comparison without its times; empty for other files."""
    if path.name not in ("proof.json", "comparison.json"):
        return ""
    return json.dumps(untimed(json.loads(path.read_bytes())))


def untimed(found: object) -> object:
    """Without the seconds that it took, wherever they stand."""
    if isinstance(found, dict):
        return {name: untimed(value) for name, value in found.items() if name != "seconds"}
    return [untimed(value) for value in found] if isinstance(found, list) else found


@needs_ray
@pytest.mark.slow
def test_a_cluster_that_does_not_answer_is_told_in_two_lines(tmp_path: Path) -> None:
    for address, said in (("ray://127.0.0.1:9", "cannot be streamed"), ("auto", "no Ray cluster answers")):
        done = subprocess.run(
            [sys.executable, "-c", CODE, "evaluate", "heldout", "--model", "scripted", "--ray", address],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 3
        assert said in done.stderr
        assert "Traceback" not in done.stderr


def test_without_ray_the_command_says_how_to_get_it(tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("raise ImportError('no ray here')")
    done = subprocess.run(
        [sys.executable, "-c", CODE, "evaluate", "heldout", "--model", "scripted", "--ray", "local"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3
    assert "pip install 'adhere[scale]'" in done.stderr
