"""`adhere compare` and `adhere new` from the command line, with the scripted model."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from adhere.app.cli import app
from adhere.core.comparison import duel_of
from adhere.core.statistics import Interval


def compared(tmp_path: Path, *words: str) -> Any:
    done = CliRunner().invoke(app, ["compare", *words, "--model", "scripted", "--runs", str(tmp_path), "--json"])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout.splitlines()[-1])


def test_every_member_is_paired_with_every_other(tmp_path: Path) -> None:
    found = compared(tmp_path, "best-of-n", "--limit", "8", "--seeds", "2")
    assert [one["name"] for one in found["members"]] == ["none", "best-of-n"]
    assert [(one["first"], one["second"]) for one in found["duels"]] == [("none", "best-of-n")]
    assert (found["prompts"], found["seeds"]) == (8, 2)
    none, best = found["members"]
    assert best["tokens"] > 4 * none["tokens"] > 0
    (folder,) = tmp_path.iterdir()
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert "adhere compare best-of-n --on seen --limit 8 --seeds 2" in page
    assert "<script" not in page


def test_members_run_by_workers_are_what_they_are_in_one_process(tmp_path: Path) -> None:
    words = ("best-of-n", "mbr", "--limit", "4", "--seeds", "1")
    alone, shared = (
        compared(tmp_path / name, *words, *how) for name, how in (("one", ()), ("two", ("--workers", "2")))
    )
    for found in (alone, shared):
        for one in found["members"]:
            assert one.pop("seconds") >= 0
    assert alone == shared


def test_the_report_is_made_again_from_the_folder(tmp_path: Path) -> None:
    compared(tmp_path, "best-of-n", "--limit", "4", "--seeds", "1")
    (folder,) = tmp_path.iterdir()
    before = (folder / "report.html").read_bytes()
    (folder / "report.html").unlink()
    done = CliRunner().invoke(app, ["report", str(folder)])
    assert done.exit_code == 0, done.output
    assert (folder / "report.html").read_bytes() == before


def test_a_budget_stops_a_method_and_what_it_did_not_answer_is_not_judged(tmp_path: Path) -> None:
    found = compared(tmp_path, "best-of-n", "--limit", "8", "--seeds", "1", "--budget", "3000 tokens")
    best = found["members"][1]
    assert best["tokens"] <= 3000
    assert best["not_judged"] > 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "expected methods to compare"),
        (["ifeval"], "makes no model"),
        (["best-of-n", "--on", "unseen"], "no benchmark"),
        (["best-of-n", "--budget", "5m"], "budget in tokens"),
        (["best-off-n"], "best-of-n"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_asked(tmp_path: Path, words: list[str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "adhere", "compare", *words, "--model", "scripted", "--runs", str(tmp_path)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("interval", "said"),
    [
        (Interval(0.1, 0.02, 0.18, 40), "b is better than a by 10.0 points"),
        (Interval(-0.1, -0.18, -0.02, 40), "a is better than b by 10.0 points"),
        (Interval(0.1, -0.02, 0.22, 40, 0.17), "a and b: no difference found (95 % -2.0 to +22.0; under 17.0 points"),
    ],
)
def test_a_duel_in_words(interval: Interval, said: str) -> None:
    assert duel_of("a", "b", interval).verdict.startswith(said)


@pytest.mark.parametrize("arrow", ["synth", "select", "steer", "tune", "reward"])
def test_a_new_method_is_two_files_that_keep_the_contract(tmp_path: Path, arrow: str) -> None:
    root = Path(__file__).parents[2]
    (tmp_path / "src" / "adhere").mkdir(parents=True)
    package = tmp_path / "src" / "adhere"
    for one in sorted((root / "src" / "adhere").iterdir()):
        if one.name != "methods":
            (package / one.name).symlink_to(one)
    for one in sorted((root / "src" / "adhere" / "methods").rglob("*.py")):
        target = package / one.relative_to(root / "src" / "adhere")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(one.read_bytes())
    (tmp_path / "tests" / "contract").mkdir(parents=True)
    before = {path for path in tmp_path.rglob("*.py") if not path.is_symlink()}
    words = ["-m", "adhere", "new", arrow, "my-idea", "--into", str(tmp_path)]
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    made = {path for path in tmp_path.rglob("*.py") if not path.is_symlink()} - before
    assert {path.name for path in made} == {"my_idea.py", "test_my_idea.py"}
    checked = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "tests")],
        env={"PYTHONPATH": str(tmp_path / "src"), "PATH": ""}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "1 passed" in checked.stdout, checked.stdout
