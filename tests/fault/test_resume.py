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
asks_for_round_2, task = task.startswith("2:"), task.removeprefix("2:")  # "2:TASK" dies in the second round
real = display.TerminalProgress.__call__
graded = []

def deadly(self, name, done, total=None, note=""):
    real(self, name, done, total, note)
    if name == "evaluate: heldout-plain, tuned model" and done == total:
        graded.append(name)
    if name == task and done >= int(count) and (not asks_for_round_2 or graded):
        os.kill(os.getpid(), signal.SIGKILL)

display.TerminalProgress.__call__ = deadly

from adhere.app import outcome
from adhere.store.run import Run

whole = Run.finish

def finish(run):
    if task == "before finish":
        os.kill(os.getpid(), signal.SIGKILL)
    whole(run)
    if task == "after finish":
        os.kill(os.getpid(), signal.SIGKILL)

Run.finish = finish
if os.environ.get("TEST_KEEPS"):  # a scripted model gets no better, so the decision is made here
    outcome.RoundResult.kept = property(lambda one: one.tuned is not None)
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
    ("before finish", 0),
]


def adhere(
    place: Path, *words: str, kill: tuple[str, int] = ("", 0), keeps: bool = False
) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "ADHERE_CACHE": str(place.parent / "cache"), "OMP_NUM_THREADS": "1"}
    environment |= {"TEST_KEEPS": "1"} if keeps else {}
    return subprocess.run(
        [sys.executable, "-c", DRIVER, kill[0], str(kill[1]), *words],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
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


BUDGETS = ["1 token", "6k tokens", "9k tokens", "20k tokens", "34k tokens", "3 s", "0.01 s"]


@pytest.mark.slow
@pytest.mark.parametrize("budget", BUDGETS)
def test_a_spent_budget_ends_with_a_usable_result(tmp_path: Path, budget: str) -> None:
    done = adhere(tmp_path, "improve", "--model", "scripted", "--budget", budget, "--json", *SETTINGS)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    folder = the_run(tmp_path)
    summary = json.loads((folder / "summary.json").read_bytes())
    assert told["kept"] is False
    assert "budget" in summary["stopped"] or budget == "3 s"  # a quick machine needs no more
    assert set(told["slices"]) == {"seen", "unseen", "plain"}
    unmeasured = [name for name, one in told["slices"].items() if one["n"] == 0]
    assert [one["name"] for one in summary["unmeasured"]] == unmeasured
    for name, one in told["slices"].items():
        numbers = [one[key] for key in ("base", "tuned", "difference", "interval")]
        assert all((number is None) == (name in unmeasured) for number in numbers)
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert all(f"Slice {name}: not measured" in page for name in unmeasured)
    if budget == "34k tokens":
        assert not unmeasured, "every slice has its part of the budget"
    if budget.endswith("tokens"):
        assert sum(spent_tokens(folder)) <= 1000 * int(budget.removesuffix("k tokens")), "the limit is not passed"
    if budget in ("1 token", "0.01 s"):
        assert len(unmeasured) == 3


def spent_tokens(folder: Path) -> tuple[int, int]:
    """Tokens asked for and tokens trained on, from the journal."""
    lines = [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]
    asked = sum(one["reply"]["tokens_in"] + one["reply"]["tokens_out"] for one in lines if one["kind"] == "reply")
    return asked, max(one["trained"] for one in lines if one["kind"] == "spent")


@pytest.mark.slow
def test_a_token_budget_limits_training_too_and_holds_over_a_resume(tmp_path: Path) -> None:
    words = ("improve", "--model", "scripted", "--budget", "20k tokens", *SETTINGS, "tune.epochs=40")
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    assert adhere(whole, *words).returncode == 0
    asked, trained = spent_tokens(the_run(whole))
    assert 0 < trained <= 0.7 * 20_000
    assert asked + trained <= 20_000
    assert "tuning after" in json.loads((the_run(whole) / "summary.json").read_bytes())["stopped"]
    assert adhere(cut, *words, kill=("evaluate: heldout-seen, tuned model", 1)).returncode == -signal.SIGKILL
    sealed = {path: path.stat().st_mtime_ns for path in (the_run(cut) / "out").rglob("*.jsonl")}
    assert adhere(cut, "resume").returncode == 0
    assert spent_tokens(the_run(cut)) == (asked, trained)
    assert outputs(the_run(cut)) == outputs(the_run(whole))
    assert {path: path.stat().st_mtime_ns for path in sealed} == sealed, "a sealed output was written twice"


@pytest.mark.slow
def test_the_time_of_a_run_is_that_of_all_its_sessions(tmp_path: Path) -> None:
    adhere(tmp_path, "improve", "--model", "scripted", *SETTINGS, kill=("evaluate: heldout-seen, tuned model", 1))
    journal = the_run(tmp_path) / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    for line in lines:
        line["elapsed"] += 600
        if line["kind"] == "spent" and line["stage"] == "tune":
            line["seconds"] += 300
    torn = [{"kind": "reply", "stage": "synthesise"}, {"kind": "spent"}, {"kind": "limit", "part": 3}]
    journal.write_text("".join(json.dumps(line) + "\n" for line in (*lines, *torn)))
    done = adhere(tmp_path, "resume", "--json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["minutes"] > 10
    assert 5 < told["stages"]["tune"] < 10


# --- the kept model, and further rounds -----------------------------------------------------------------------------

ROUNDS = ("improve", "--model", "scripted", "--rounds", "2", *SETTINGS)
ROUND_POINTS = [
    ("synthesise: replies", 30),
    ("tune", 20),
    ("evaluate: heldout-unseen, tuned model", 2),
    ("before finish", 0),
    ("after finish", 0),
]


@pytest.fixture(scope="module")
def two_rounds(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("rounds") / "whole"
    place.mkdir()
    done = adhere(place, *ROUNDS, keeps=True)
    assert done.returncode == 0, done.stderr
    return the_run(place)


@pytest.mark.slow
def test_rounds_differ_and_the_last_kept_model_is_linked(two_rounds: Path) -> None:
    assert (two_rounds / "kept").resolve() == two_rounds.resolve() / "out" / "round-2" / "tuned"
    assert (two_rounds / "kept" / "model.gguf").is_file()
    assert not (two_rounds / "out" / "round-1" / "tuned" / "merged").exists()
    assert (two_rounds / "out" / "round-1" / "tuned" / "adapter").is_dir()
    first, second = [(two_rounds / "out" / f"round-{k}" / "synth.jsonl").read_bytes() for k in (1, 2)]
    prompts = [{json.loads(line)["messages"][0]["content"][0]["text"] for line in one.splitlines()}
               for one in (first, second)]  # fmt: skip
    assert prompts[0] != prompts[1]
    notes = json.loads((two_rounds / "summary.json").read_bytes())["notes"]
    assert any("same held-out prompts" in note for note in notes)


@pytest.mark.slow
@pytest.mark.parametrize("kill", ROUND_POINTS, ids=[task.replace(" ", "-") for task, _ in ROUND_POINTS])
def test_killed_in_round_2_and_resumed_is_the_same_run(two_rounds: Path, tmp_path: Path, kill: tuple[str, int]) -> None:
    task, count = kill
    first = adhere(tmp_path, *ROUNDS, kill=(f"2:{task}" if count else task, count), keeps=True)
    assert first.returncode == -signal.SIGKILL, first.stderr
    folder = the_run(tmp_path)
    if task == "after finish":
        assert (folder / "kept" / "model.gguf").is_file()
        assert adhere(tmp_path, "resume", str(folder)).returncode == 3
        return
    before = paid(folder)
    second = adhere(tmp_path, "resume", keeps=True)
    assert second.returncode == 0, second.stderr
    after = paid(folder)
    assert after[: len(before)] == before
    assert sorted(after) == sorted(paid(two_rounds))
    assert outputs(folder) == outputs(two_rounds)
    assert (folder / "kept").readlink() == (two_rounds / "kept").readlink()


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
    assert len(before) <= len(paid(the_run(whole)))  # all, where the last ask was the only one of its kind
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
    done = adhere(tmp_path, "resume", str(the_run(place)), "--trust")  # each place has a key of its own
    assert done.returncode == 0, done.stderr
    assert step_outputs(place) == step_outputs(whole_steps["synth"][0])
