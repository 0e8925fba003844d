"""Bad input of every kind: the exit status, what is said and what to do about it, and nothing left half-written."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

USAGE, NOT_MET, ENVIRONMENT = 2, 1, 3
SMALL = ["evaluate.seen=3", "evaluate.unseen=3", "evaluate.plain=3", "evaluate.seeds=1", "synth.max_tokens=80"]
COMMAND = [sys.executable, "-c", "from adhere.app.cli import main; main()"]


class Ran:
    """What a command line did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def said(self) -> list[str]:
        """The error and its hint, without progress and other talk before them."""
        lines = self.err.splitlines()
        start = next((n for n, line in enumerate(lines) if line.startswith("error: ")), len(lines))
        return lines[start:]


Adhere = Callable[..., Ran]
Outside = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache in which the scripted model's tiny weights lie already."""
    from adhere.models.resolve import TINY_FOLDER
    from adhere.models.scripted import tiny_weights

    folder = tmp_path_factory.mktemp("cache")
    tiny_weights(folder / "models" / TINY_FOLDER)
    return folder


@pytest.fixture
def outside(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Outside:
    """Runs a command line in a process of its own, for limits, pipes and permissions."""
    monkeypatch.chdir(tmp_path)

    def run(
        *words: str, preexec: Callable[[], None] | None = None, stdout: int | None = None, **more: str
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "ADHERE_CACHE": str(cache), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **more}
        return subprocess.run(
            [*COMMAND, *words],
            cwd=tmp_path,
            env=environment,
            stdout=subprocess.PIPE if stdout is None else stdout,
            stderr=subprocess.PIPE,
            text=True,
            timeout=600,
            check=False,
            preexec_fn=preexec,
        )

    return run


@pytest.fixture
def adhere(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Adhere:
    """Runs a command line in this process, in an empty folder."""
    from adhere.app.cli import main

    monkeypatch.setenv("ADHERE_CACHE", str(cache))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Ran:
        capfd.readouterr()
        code: object = 0
        try:
            main(list(words))
        except SystemExit as end:
            code = end.code
        said = capfd.readouterr()
        return Ran(int(str(code or 0)), said.out, said.err)

    return run


def refused(ran: Ran, code: int, *parts: str) -> None:
    """An error with a message and a hint on stderr, nothing on stdout, no traceback."""
    assert ran.code == code, ran.err
    assert ran.out == ""
    assert "Traceback" not in ran.err
    assert len(ran.said) >= 2, f"no hint: {ran.err}"
    for part in parts:
        assert part in "\n".join(ran.said)


def rows(path: str, count: int = 6) -> str:
    """A file of sound records with replies."""
    replies = (
        "Tides rise because the moon pulls.",
        "A loom holds threads tight.",
        "Millers grind wheat into flour.",
        "Ledgers keep old accounts.",
        "Planets go round on orbits.",
        "Kettles boil water quickly.",
        "Birds nest inside hedges.",
        "Violins have four strings.",
    )
    with Path(path).open("w") as file:
        for number, reply in enumerate(replies[:count]):
            file.write(json.dumps({"instruction": f"Say something, {number}.", "output": reply}) + "\n")
    return path


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


# --- names and settings -----------------------------------------------------------------------------------------

NAMES = [
    (["impove"], USAGE, ["no verb 'impove'", "Did you mean 'improve'"]),
    (["show", "sftt"], USAGE, ["no method called 'sftt'", "Did you mean 'sft'"]),
    (["synth", "sft"], USAGE, ["no synth method called 'sft'", "complex-to-simple"]),
    (["list", "--arrow", "synht"], USAGE, ["no arrow 'synht'", "Did you mean 'synth'?"]),
    (["improve", "--modle", "x"], USAGE, ["--modle", "--model"]),
    (["improve", "--limit"], USAGE, ["--limit", "adhere"]),
    (["improve", "--limit", "0"], USAGE, ["--limit", "improve --help"]),
    (["improve", "--rounds", "0"], USAGE, ["--rounds", "improve --help"]),
    (["improve", "--seed", "x"], USAGE, ["--seed", "improve --help"]),
    (["improve", "synth.cont=3"], USAGE, ["unknown setting 'cont'", "Did you mean 'count'?"]),
    (["improve", "synht.count=3"], USAGE, ["'synht'", "Did you mean 'synth'"]),
    (["improve", "count=3"], USAGE, ["does not name its stage", "synth.count"]),
    (["improve", "rounds=3"], USAGE, ["does not name its stage", "--rounds 3"]),
    (["improve", "words"], USAGE, ["expected key=value, found 'words'"]),
    (["improve", "synth.method=complex"], USAGE, ["no synth method called 'complex'", "complex-to-simple"]),
    (["improve", "synth.count=many"], USAGE, ["[synth]", "count"]),
    (["improve", "synth.count=0"], USAGE, ["count", "at least 1, found 0"]),
    (["improve", "synth.samples=0"], USAGE, ["samples", "at least 1, found 0"]),
    (["improve", "synth.most_constraints=0"], USAGE, ["most_constraints", "found 0"]),
    (["improve", "synth.temperature=-1"], USAGE, ["temperature", "found -1"]),
    (["improve", "synth.temperature=nan"], USAGE, ["temperature", "finite"]),
    (["improve", "synth.families=keyword"], USAGE, ["no constraint family 'keyword'", "Did you mean 'keywords'?"]),
    (["improve", "select.novelty=7"], USAGE, ["novelty", "from 0 to 1, found 7"]),
    (["improve", "tune.epochs=0"], USAGE, ["epochs"]),
    (["improve", "tune.decay=sudden"], USAGE, ["decay='sudden'"]),
    (["improve", "evaluate.seeds=0"], USAGE, ["seeds", "from 1 to 1000, found 0"]),
    (["improve", "evaluate.seen=100000"], USAGE, ["100000"]),
    (["improve", "--budget", "15"], USAGE, ["'15' has no unit", "15m"]),
    (["improve", "--budget", "soon"], USAGE, ["found 'soon'", "15m"]),
    (["improve", "--model", "scriptd"], ENVIRONMENT, ["'scriptd'", "Did you mean 'scripted'"]),
    (["improve", "--model", "smollm"], ENVIRONMENT, ["'smollm'", "Did you mean 'smollm2-135m'"]),
    (["improve", "--model", "./nowhere"], ENVIRONMENT, ["nothing at ./nowhere"]),
    (["improve", "--model", "absent.gguf"], ENVIRONMENT, ["nothing at absent.gguf"]),
    (["improve", "--model", "scripted:hostil"], ENVIRONMENT, ["'hostil'", "Did you mean 'hostile'"]),
    (["improve", "--model", "http://localhost:1/v1"], ENVIRONMENT, ["which model", "#MODEL"]),
    (["improve", "--model", "http://localhost:1/v1#x"], ENVIRONMENT, ["can be tuned", "adhere synth"]),
    (["evaluate", "ifevall", "--model", "scripted"], USAGE, ["no evaluate method called 'ifevall'", "'ifeval'"]),
    (["evaluate", "heldout", "seeds=0", "--model", "scripted"], USAGE, ["seeds", "from 1 to 1000"]),
    (["evaluate", "heldout", "--data", "x", "--model", "scripted"], USAGE, ["no file at x"]),
    (["evaluate", "ifeval", "--data", "x.jsonl", "--model", "scripted"], USAGE, ["no file at x.jsonl", "--data"]),
    (["synth", "complex-to-simple", "absent.jsonl", "--model", "scripted"], USAGE, ["no file at absent.jsonl"]),
    (["select", "verified-novel", "absent.jsonl"], USAGE, ["no file at absent.jsonl"]),
    (["verify", "absent.jsonl"], USAGE, ["no file at absent.jsonl"]),
    (["tune", "sft", "absent.jsonl", "--model", "scripted", "-o", "t"], USAGE, ["no file at absent.jsonl"]),
    (["improve", "--seeds", "absent.jsonl", "--model", "scripted"], USAGE, ["no file at absent.jsonl"]),
    (["improve", "--held-out", "absent.jsonl", "--model", "scripted"], USAGE, ["no file at absent.jsonl"]),
    (["improve", "--recipe", "absent.toml"], USAGE, ["no recipe at absent.toml", "--recipe"]),
    (["resume"], ENVIRONMENT, ["no unfinished run", "adhere runs"]),
    (["resume", "absent"], ENVIRONMENT, ["not a run folder", "adhere runs"]),
    (["report"], ENVIRONMENT, ["no finished run", "adhere runs"]),
    (["report", "absent"], ENVIRONMENT, ["absent", "adhere runs"]),
]


@pytest.mark.parametrize(("words", "code", "parts"), NAMES, ids=[" ".join(words)[:50] for words, _, _ in NAMES])
def test_what_is_not_there_or_makes_no_sense(
    adhere: Adhere, tmp_path: Path, words: list[str], code: int, parts: list[str]
) -> None:
    refused(adhere(*words), code, *parts)
    assert list(tmp_path.iterdir()) == [], "nothing was begun"


RECIPES = {
    "synth = [": ["is not TOML", "key = 3"],
    "\x00\xff": ["is not TOML"],
    "[synht]\ncount = 3\n": ["'synht'", "Did you mean 'synth'"],
    "[synth]\ncuont = 3\n": ["unknown setting 'cuont'", "Did you mean 'count'?"],
    "synth = 3\n": ["[synth]", "should be a table"],
    '[synth]\ncount = "many"\n': ["[synth]", "count"],
    "[synth]\ncount = [1]\n": ["[synth]", "count"],
    'rounds = "two"\n': ["rounds", "whole number, found 'two'"],
    "rounds = 0\n": ["rounds", "at least 1, found 0"],
    "seed = true\n": ["seed", "whole number, found True"],
    "budget = 15\n": ["'15' has no unit"],
    '[tune]\nmethod = "complex-to-simple"\n': ["no tune method called 'complex-to-simple'"],
}


@pytest.mark.parametrize("text", RECIPES, ids=lambda text: repr(text)[:40])
def test_a_recipe_that_is_wrong(adhere: Adhere, text: str) -> None:
    Path("r.toml").write_bytes(text.encode("latin-1"))
    refused(adhere("improve", "--model", "scripted", "--recipe", "r.toml"), USAGE, *RECIPES[text])
    assert not Path("runs").exists()


def test_debug_shows_the_traceback_wherever_it_stands(adhere: Adhere) -> None:
    from adhere.core.errors import SettingsError

    for words in (["--debug", "show", "sftt"], ["show", "sftt", "--debug"]):
        with pytest.raises(SettingsError):
            adhere(*words)


# --- files --------------------------------------------------------------------------------------------------------


def test_a_file_without_a_good_row_is_refused_with_the_first_lines(adhere: Adhere) -> None:
    Path("bad.jsonl").write_text('{"a": 1}\nnot json\n{"instruction": 3}\n{"instruction": ""}\n')
    for words in (
        ["improve", "--model", "scripted", "--seeds", "bad.jsonl"],
        ["synth", "complex-to-simple", "bad.jsonl", "--model", "scripted"],
        ["select", "verified-novel", "bad.jsonl"],
        ["verify", "bad.jsonl"],
        ["tune", "sft", "bad.jsonl", "--model", "scripted", "-o", "tuned"],
    ):
        refused(adhere(*words), USAGE, "bad.jsonl holds no good row among 4", "line 2", 'A row is {"messages"')
    assert sorted(path.name for path in Path().iterdir()) == ["bad.jsonl"]


def test_malformed_rows_are_set_aside_with_their_line_and_the_rest_is_used(adhere: Adhere) -> None:
    rows("some.jsonl", 3)
    with Path("some.jsonl").open("a") as file:
        file.write('{"instruction": \x1b[2J\n' + "[1, 2]\n" * 7)
    ran = adhere("verify", "some.jsonl")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 3
    assert "some.jsonl:4: set aside" in ran.err
    assert "3 further rows set aside" in ran.err
    assert "\x1b" not in ran.err


def test_ifeval_rows_are_refused_with_their_line(adhere: Adhere) -> None:
    Path("x.jsonl").write_text('{"key": 1, "prompt": "p", "instruction_id_list": ["punctuation:no_comma"]}\n')
    ran = adhere("evaluate", "ifeval", "--data", "x.jsonl", "--model", "scripted", "--json")
    refused(ran, USAGE, "x.jsonl, line 1", "kwargs", "Expected IFEval's form")


def test_a_folder_where_a_file_should_be_and_the_other_way_round(adhere: Adhere) -> None:
    Path("folder").mkdir()
    rows("rows.jsonl")
    refused(adhere("verify", "folder"), USAGE, "folder")
    refused(adhere("verify", "rows.jsonl", "-o", "folder"), USAGE, "should name a file", "-o folder/rows.jsonl")
    refused(adhere("verify", "rows.jsonl", "-o", "rows.jsonl/v.jsonl"), ENVIRONMENT, "rows.jsonl", "it is a file")
    refused(adhere("improve", "--model", "scripted", "-o", "rows.jsonl"), USAGE, "should name a folder")
    refused(adhere("tune", "sft", "rows.jsonl", "--model", "scripted", "-o", "rows.jsonl"), USAGE, "name a folder")
    Path("folder/mine.txt").write_text("mine")
    ran = adhere("tune", "sft", "rows.jsonl", "--model", "scripted", "-o", "folder")
    refused(ran, USAGE, "files that are not of this tuning")
    assert sorted(path.name for path in Path("folder").iterdir()) == ["mine.txt"]


def test_records_without_replies_cannot_be_tuned_on(adhere: Adhere) -> None:
    pytest.importorskip("torch", reason="needs the extra [local]")
    Path("plain.txt").write_text("Say hello.\nSay goodbye.\n")
    ran = adhere("tune", "sft", "plain.txt", "--model", "scripted", "-o", "tuned")
    refused(ran, USAGE, "labelled tokens", "2 without labels")


# --- models --------------------------------------------------------------------------------------------------------


def test_a_port_where_nobody_listens(adhere: Adhere) -> None:
    address = f"http://127.0.0.1:{free_port()}/v1#some-model"
    for words in (["synth", "complex-to-simple", "count=2"], ["evaluate", "heldout", "--limit", "2", "--json"]):
        refused(adhere(*words, "--model", address), ENVIRONMENT, "no connection to http://127.0.0.1", "server runs")


def test_an_endpoint_cannot_be_tuned(adhere: Adhere) -> None:
    ran = adhere("tune", "sft", rows("rows.jsonl"), "--model", "http://127.0.0.1:1/v1#x", "-o", "tuned")
    refused(ran, ENVIRONMENT, "tune needs a model that can be tuned", "smollm2-135m")
    assert not Path("tuned").exists()


def test_a_model_that_answers_nothing_is_a_matter_of_the_environment(adhere: Adhere) -> None:
    ran = adhere("synth", "complex-to-simple", "count=3", "--model", "scripted:error", "-o", "rows.jsonl")
    refused(ran, ENVIRONMENT, "answered none of", "the engine gave up")
    assert not Path("rows.jsonl").exists()
    ran = adhere("evaluate", "heldout", "--limit", "2", "seeds=1", "--model", "scripted:error")
    refused(ran, ENVIRONMENT, "answered none of", "the engine gave up")


def test_a_model_whose_answers_are_no_answers_is_a_check_not_met(adhere: Adhere) -> None:
    ran = adhere("synth", "complex-to-simple", "count=3", "--model", "scripted:empty", "-o", "rows.jsonl")
    refused(ran, NOT_MET, "no row was kept", "guard: empty", "rows.dropped.jsonl")
    assert len(Path("rows.dropped.jsonl").read_text().splitlines()) == 3


def test_hostile_replies_do_not_reach_the_terminal_or_stop_a_command(adhere: Adhere) -> None:
    ran = adhere("evaluate", "heldout", "--limit", "12", "seeds=1", "--model", "scripted:hostile", "-o", "r.jsonl")
    assert ran.code == 0, ran.err
    assert "were not answered: the engine gave up" in ran.err
    for text in (ran.out, ran.err):
        assert not any(ord(char) < 32 and char not in "\n\t" for char in text)
    assert len(Path("r.jsonl").read_bytes().splitlines()) == 36


def test_improve_with_nothing_to_tune_on_says_why(adhere: Adhere) -> None:
    pytest.importorskip("torch", reason="needs the extra [local]")
    refused(
        adhere("improve", "--model", "scripted:error", "--limit", "3", *SMALL),
        ENVIRONMENT,
        "no row is left to tune on",
        "not answered: the engine gave up",
    )
    refused(
        adhere("improve", "--model", "scripted:empty", "--limit", "3", *SMALL),
        NOT_MET,
        "no row is left to tune on",
        "guard: empty",
    )


# --- run folders ----------------------------------------------------------------------------------------------------


def a_run(folder: Path, **changes: object) -> Path:
    """A run folder as it stands when a run was stopped right after its seeds were sealed."""
    from adhere.app.recipe import recipe_from
    from adhere.models.resolve import open_model
    from adhere.store.run import Plan, Run

    model = open_model("scripted")
    recipe = recipe_from({"synth": {"count": 3}}, "a test")
    inputs = {"model": model.fingerprint, "model_name": "scripted", "seeds": "0" * 64}
    run = Run.create(folder, Plan("improve", recipe.as_values(), inputs), ["adhere", "improve"])
    run.close()
    about = json.loads((run.folder / "run.json").read_text())
    about.update(changes)
    (run.folder / "run.json").write_text(json.dumps(about))
    return run.folder


def test_a_run_that_cannot_be_gone_on_with(adhere: Adhere) -> None:
    pytest.importorskip("torch", reason="needs the extra [local]")
    whole = a_run(Path("runs"))
    refused(adhere("resume", str(whole)), USAGE, "made elsewhere, moved or changed", "--trust")
    refused(adhere("resume", str(whole), "--trust"), ENVIRONMENT, "stopped before its seeds were sealed")
    refused(adhere("resume", "runs"), ENVIRONMENT, "runs is not a run folder", "adhere runs")

    plan = json.loads((whole / "run.json").read_text())["plan"]
    (Path("torn") / "x").mkdir(parents=True)
    Path("torn/x/run.json").write_text('{"plan": {"verb"')
    refused(adhere("resume", "torn/x"), ENVIRONMENT, "run.json is not JSON")
    inputs = plan["inputs"]
    changed = plan | {"settings": plan["settings"] | {"synth": {"weird": 1}}}
    cases = {
        "other-verb": ({"plan": plan | {"verb": "brew"}}, "not a whole run of adhere improve"),
        "no-inputs": ({"plan": plan | {"inputs": {}}}, "not a whole run of adhere improve"),
        "wrong-type": ({"plan": {"verb": 1}}, "cannot be read"),
        "unknown-setting": ({"plan": changed}, "unknown setting 'weird'"),
        "other-model": ({"plan": plan | {"inputs": inputs | {"model": "0"}}}, "is not the one that this run"),
        "lost-model": (
            {"plan": plan | {"inputs": inputs | {"model_name": "gone"}}},
            "no model is called 'gone'",
        ),
    }
    for name, (change, message) in cases.items():
        refused(adhere("resume", str(a_run(Path(name), **change)), "--trust"), ENVIRONMENT, message)


def test_a_damaged_run_does_not_hide_the_others(adhere: Adhere) -> None:
    pytest.importorskip("torch", reason="needs the extra [local]")
    a_run(Path("runs"))
    for name, text in {"a": "{", "b": "[]", "c": '{"plan": 3}', "d": '{"plan": {"verb": "\\u001b[2J"}}'}.items():
        (Path("runs") / name).mkdir()
        (Path("runs") / name / "run.json").write_text(text)
    ran = adhere("runs")
    assert ran.code == 0
    assert sorted(line.split()[0] for line in ran.out.splitlines()) == 4 * ["damaged"] + ["unfinished"]
    assert "\x1b" not in ran.out


# --- disks ----------------------------------------------------------------------------------------------------------


def only_full() -> int:
    if not Path("/dev/full").is_char_device():
        pytest.skip("this system has no /dev/full")
    return os.open("/dev/full", os.O_WRONLY)


def as_ran(done: subprocess.CompletedProcess[str]) -> Ran:
    return Ran(done.returncode, done.stdout or "", done.stderr)


@pytest.mark.parametrize("words", [["list"], ["verify", "rows.jsonl"], ["show", "sft", "--json"]])
def test_a_full_disk_behind_stdout(outside: Outside, words: list[str]) -> None:
    rows("rows.jsonl")
    full = only_full()
    done = as_ran(outside(*words, stdout=full))
    os.close(full)
    refused(done, ENVIRONMENT, "No space left", "standard output")


def test_a_device_as_output_is_written_to_and_never_replaced(outside: Outside, tmp_path: Path) -> None:
    """Through a pipe with a name: a device of the system must not be what a failing test would replace."""
    rows("rows.jsonl")
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen(["cat", "pipe"], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    done = outside("select", "verified-novel", "rows.jsonl", "keep=1", "-o", "pipe")
    if not (tmp_path / "pipe").is_fifo():
        reader.kill()
    read, _ = reader.communicate(timeout=20)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "pipe").is_fifo()
    assert len(read.splitlines()) == 6
    assert not (tmp_path / "pipe.dropped.jsonl").exists()


def limited_to(size: int) -> Callable[[], None]:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


def test_a_disk_that_fills_while_rows_are_written_leaves_the_old_file(outside: Outside, tmp_path: Path) -> None:
    rows("rows.jsonl", 8)
    Path("out.jsonl").write_text("as it was\n")
    done = as_ran(outside("verify", "rows.jsonl", "-o", "out.jsonl", preexec=limited_to(300)))
    refused(done, ENVIRONMENT, "out.jsonl")
    assert Path("out.jsonl").read_text() == "as it was\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "rows.jsonl"]


@pytest.mark.slow
def test_a_disk_that_fills_during_a_run_and_then_has_room_again(outside: Outside, tmp_path: Path) -> None:
    """Once while replies are journaled, once while weights are written; then the run goes on as if nothing had been."""
    pytest.importorskip("torch", reason="needs the extra [local]")
    Path("seeds.txt").write_text("".join(f"Explain how {word} is made.\n" for word in ("tea", "rope", "glass", "ink")))
    words = ("improve", "--model", "scripted", "--limit", "12", "--seeds", "seeds.txt", "tune.epochs=1", *SMALL)
    whole = outside(*words, "-o", "whole", "--json")
    assert whole.returncode == 0, whole.stderr
    done = as_ran(outside(*words, preexec=limited_to(8_000)))
    refused(done, ENVIRONMENT, "journal.jsonl")
    [folder] = Path("runs").iterdir()
    done = as_ran(outside("resume", preexec=limited_to(250_000)))
    refused(done, ENVIRONMENT, "write")
    assert not (folder / "summary.json").exists()
    assert not [path for path in tmp_path.rglob("*.part") if path.is_file()]
    again = outside("resume", "--json")
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["slices"] == json.loads(whole.stdout)["slices"]


def without_override() -> None:
    """Takes from root the right to write where permissions forbid it (capability 1); changes nothing for others."""
    ctypes.CDLL(None, use_errno=True).prctl(24, 1, 0, 0, 0)


def test_an_output_folder_that_is_not_ours_to_write(outside: Outside, tmp_path: Path) -> None:
    rows("rows.jsonl")
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    for words in (
        ["synth", "complex-to-simple", "count=2", "--model", "scripted", "-o", "closed/rows.jsonl"],
        ["evaluate", "heldout", "--model", "scripted", "-o", "closed/deeper/replies.jsonl"],
        ["improve", "--model", "scripted", "-o", "closed"],
        ["tune", "sft", "rows.jsonl", "--model", "scripted", "-o", "closed/tuned"],
    ):
        done = as_ran(outside(*words, preexec=without_override))
        refused(done, ENVIRONMENT, "cannot write in closed", "-o")
        assert "%" not in done.err, "refused before anything was asked"
    assert list(closed.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_said_when_it_is_needed(outside: Outside, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    nowhere = str(tmp_path / "file" / "cache")
    done = outside("synth", "complex-to-simple", "count=2", "--model", "scripted", ADHERE_CACHE=nowhere)
    assert done.returncode == 0, done.stderr
    done = as_ran(outside("improve", "--model", "scripted", "--limit", "3", ADHERE_CACHE=nowhere))
    refused(done, ENVIRONMENT, "improve needs a model that can be tuned")


def test_the_command_is_installed() -> None:
    found = shutil.which("adhere", path=str(Path(sys.executable).parent))
    assert found, "the entry point of pyproject.toml"
    done = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.startswith("adhere, version ")
