"""kill -9 at any stage, then `adhere resume`: nothing paid twice, nothing lost, the same final output."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("torch", reason="needs the extra [local]")

SETTINGS = [
    "synth.count=40",
    "synth.max_tokens=200",
    "tune.tokens_per_step=256",
    "tune.epochs=3",
    "evaluate.seen=6",
    "evaluate.unseen=4",
    "evaluate.plain=4",
    "evaluate.seeds=2",
]
# Runs the command line, and kills its own process without warning when a task has come so far.
DRIVER = """
import os, signal, sys
from adhere.app import display
from adhere.app.cli import main

task, count, *words = sys.argv[1:]
real = display.TerminalProgress.__call__

def deadly(self, name, done, total=None, note=""):
    real(self, name, done, total, note)
    if name == task and done >= int(count):
        os.kill(os.getpid(), signal.SIGKILL)

display.TerminalProgress.__call__ = deadly
main(words)
"""
POINTS = [
    ("synthesise: replies", 1),
    ("synthesise: replies", 55),
    ("select", 3),
    ("tune", 1),
    ("tune", 30),
    ("evaluate: heldout-seen, base model", 5),
    ("evaluate: heldout-plain, tuned model", 7),
]


def adhere(place: Path, *words: str, kill: tuple[str, int] = ("", 0)) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ADHERE_CACHE": str(place.parent / "cache"), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", DRIVER, kill[0], str(kill[1]), *words],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def the_run(place: Path) -> Path:
    [folder] = [path.parent for path in (place / "runs").glob("*/run.json")]
    return folder


def outputs(folder: Path) -> dict[str, bytes]:
    """Every sealed output, and the numbers of the summary without times."""
    found = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted((folder / "out").rglob("*"))
        if path.is_file() and path.name != "tuned.json"
    }
    summary = json.loads((folder / "summary.json").read_bytes())
    for part in ("kept", "why", "slices", "synth", "select", "examples", "export"):
        found[part] = msgspec.json.encode(summary[part], order="deterministic")
    found["losses"] = msgspec.json.encode(summary["tuning"]["losses"])
    return found


def paid(folder: Path) -> list[tuple[str, int]]:
    lines = (folder / "journal.jsonl").read_text().splitlines()
    return [(one["key"], one["nth"]) for one in map(json.loads, lines) if one["kind"] == "reply"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("resume") / "whole"
    place.mkdir()
    done = adhere(place, "improve", "--model", "scripted", *SETTINGS)
    assert done.returncode == 0, done.stderr
    return the_run(place)


@pytest.mark.slow
@pytest.mark.parametrize("kill", POINTS, ids=[f"{task.replace(' ', '-')}-{count}" for task, count in POINTS])
def test_killed_and_resumed_is_the_same_run(uninterrupted: Path, kill: tuple[str, int]) -> None:
    place = uninterrupted.parent.parent.parent / f"killed-{POINTS.index(kill)}"
    place.mkdir()
    first = adhere(place, "improve", "--model", "scripted", *SETTINGS, kill=kill)
    assert first.returncode == -signal.SIGKILL, first.stderr
    before = paid(the_run(place))
    second = adhere(place, "resume")
    assert second.returncode == 0, second.stderr
    after = paid(the_run(place))
    assert after[: len(before)] == before
    assert len(after) == len(set(after)), "a finished reply was asked for again"
    assert sorted(after) == sorted(paid(uninterrupted))
    assert outputs(the_run(place)) == outputs(uninterrupted)


@pytest.mark.slow
def test_killed_twice_in_training(uninterrupted: Path) -> None:
    place = uninterrupted.parent.parent.parent / "killed-twice"
    place.mkdir()
    adhere(place, "improve", "--model", "scripted", *SETTINGS, kill=("tune", 27))
    again = adhere(place, "resume", kill=("tune", 36))
    assert again.returncode == -signal.SIGKILL, again.stderr
    last = adhere(place, "resume")
    assert last.returncode == 0, last.stderr
    assert outputs(the_run(place)) == outputs(uninterrupted)


@pytest.mark.slow
def test_a_finished_run_is_not_resumed(uninterrupted: Path) -> None:
    place = uninterrupted.parent.parent
    again = adhere(place, "resume", str(uninterrupted))
    assert again.returncode == 3
    assert "finished" in again.stderr
    assert "Traceback" not in again.stderr


@pytest.mark.slow
def test_a_spent_budget_ends_with_a_usable_result(uninterrupted: Path) -> None:
    place = uninterrupted.parent.parent.parent / "budget"
    place.mkdir()
    done = adhere(place, "improve", "--model", "scripted", "--budget", "12k tokens", "--json", *SETTINGS)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    summary = json.loads((the_run(place) / "summary.json").read_bytes())
    assert "budget" in summary["stopped"]
    assert told["slices"]["seen"]["n"] >= 1
    assert sum(cost["tokens_in"] + cost["tokens_out"] for cost in summary["costs"]) < 13_000


# --- synth and evaluate: one method in a run folder -----------------------------------------------------------------

STEPS = {
    "synth": ("synth", "complex-to-simple", "mine.jsonl", "count=20", "max_tokens=120", "-o", "rows.jsonl"),
    "heldout": ("evaluate", "heldout", "--limit", "4", "seeds=2", "-o", "rows.jsonl"),
    "ifeval": ("evaluate", "ifeval", "--data", "mine.jsonl"),
}
STEP_POINTS = [
    ("synth", "synthesise: replies", 17),
    ("synth", "synthesise: asking again", 1),
    ("heldout", "evaluate: heldout-unseen", 3),
    ("ifeval", "evaluate: ifeval", 2),
]


def step_place(folder: Path, step: str) -> Path:
    """An empty folder with the user's own file for the step."""
    folder.mkdir()
    words = ("tide", "loom", "flour", "ledger", "orbit")
    if step == "ifeval":
        kind = {"instruction_id_list": ["punctuation:no_comma"], "kwargs": [{}]}
        rows = [{"key": n, "prompt": f"Describe a {word}. Use no commas."} | kind for n, word in enumerate(words)]
    else:
        rows = [{"instruction": f"Explain the word {word} to a child."} for word in words]
    (folder / "mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def step_outputs(place: Path) -> dict[str, bytes]:
    """Everything sealed, and what the user asked to have."""
    out = the_run(place) / "out"
    return {str(path.relative_to(out)): path.read_bytes() for path in sorted(out.rglob("*"))} | {
        path.name: path.read_bytes() for path in place.glob("rows*.jsonl")
    }


@pytest.fixture(scope="module")
def whole_steps(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, str]]:
    """Each step uninterrupted: where, and what it printed."""
    root = tmp_path_factory.mktemp("steps")
    found = {}
    for step, words in STEPS.items():
        place = step_place(root / step, step)
        done = adhere(place, *words, "--model", "scripted")
        assert done.returncode == 0, done.stderr
        found[step] = (place, done.stdout)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("step", "task", "count"), STEP_POINTS, ids=[f"{s}-{n}" for s, _, n in STEP_POINTS])
def test_a_killed_step_resumed_is_the_same(
    whole_steps: dict[str, tuple[Path, str]], tmp_path: Path, step: str, task: str, count: int
) -> None:
    whole, printed = whole_steps[step]
    place = step_place(tmp_path / "killed", step)
    first = adhere(place, *STEPS[step], "--model", "scripted", kill=(task, count))
    assert first.returncode == -signal.SIGKILL, first.stderr
    before = paid(the_run(place))
    assert before
    assert len(before) < len(paid(the_run(whole)))
    again = adhere(place, *STEPS[step], "--model", "scripted")
    assert again.returncode == 3
    assert f"adhere resume {the_run(place).relative_to(place)}" in again.stderr
    (place / "mine.jsonl").unlink()  # the run has its own copy
    second = adhere(place, "resume")
    assert second.returncode == 0, second.stderr
    assert second.stdout == printed
    after = paid(the_run(place))
    assert after[: len(before)] == before
    assert len(after) == len(set(after)), "a finished reply was asked for again"
    assert sorted(after) == sorted(paid(the_run(whole)))
    assert step_outputs(place) == step_outputs(whole)


@pytest.mark.slow
def test_a_step_resumed_from_elsewhere_writes_where_it_was_told(
    whole_steps: dict[str, tuple[Path, str]], tmp_path: Path
) -> None:
    place = step_place(tmp_path / "killed", "synth")
    adhere(place, *STEPS["synth"], "--model", "scripted", kill=("synthesise: replies", 5))
    done = adhere(tmp_path, "resume", str(the_run(place)))
    assert done.returncode == 0, done.stderr
    assert step_outputs(place) == step_outputs(whole_steps["synth"][0])
