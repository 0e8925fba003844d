"""The command line as a new user meets it, with the scripted model: what it prints, where, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from adhere.app.cli import app, main
from adhere.methods.catalogue import entries

SMALL = ["evaluate.seen=3", "evaluate.unseen=3", "evaluate.plain=3", "evaluate.seeds=1", "synth.max_tokens=120"]
IFEVAL = [
    {
        "key": 1,
        "prompt": "Describe a harbour at night. Use no commas.",
        "instruction_id_list": ["punctuation:no_comma"],
        "kwargs": [{}],
    },
    {
        "key": 2,
        "prompt": "Tell me about bread in at least 20 words, all in lower case letters.",
        "instruction_id_list": ["length_constraints:number_words", "change_case:english_lowercase"],
        "kwargs": [{"relation": "at least", "num_words": 20}, {}],
    },
]


class Ran:
    """What a command line did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out.splitlines()[-1])


Adhere = Callable[..., Ran]


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def adhere(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Adhere:
    """Runs a command line in this process, in an empty folder."""
    monkeypatch.setenv("ADHERE_CACHE", str(cache))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Ran:
        capfd.readouterr()
        code: Any = 0
        try:
            main(list(words))
        except SystemExit as end:
            code = end.code
        said = capfd.readouterr()
        return Ran(int(code or 0), said.out, said.err)

    return run


def lines_of(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


# --- looking around -------------------------------------------------------------------------------------------


def test_help_is_data_and_names_every_verb(adhere: Adhere) -> None:
    ran = adhere("--help")
    assert (ran.code, ran.err) == (0, "")
    for verb in app.commands:
        assert f"  {verb} " in ran.out


def test_without_a_verb_the_help_is_talk_and_the_exit_status_is_usage(adhere: Adhere) -> None:
    ran = adhere()
    assert (ran.code, ran.out) == (2, "")
    assert "Usage: adhere" in ran.err
    assert "error:" not in ran.err


@pytest.mark.parametrize("verb", sorted(app.commands))
def test_every_verb_explains_itself_and_its_options(adhere: Adhere, verb: str) -> None:
    ran = adhere(verb, "--help")
    assert (ran.code, ran.err) == (0, "")
    undocumented = [
        option.name for option in app.commands[verb].params if isinstance(option, click.Option) and not option.help
    ]
    assert not undocumented


def test_shared_options_mean_the_same_everywhere() -> None:
    """One spelling, one kind of value, one default, on each verb where the option makes sense."""
    expected = {
        "--json": set(app.commands),
        "--model": {"improve", "evaluate", "synth", "select", "tune", "prove", "compare"},
        "--seed": {"improve", "evaluate", "synth", "select", "tune"},
        "--limit": {"improve", "evaluate", "synth", "select", "tune", "verify", "compare"},
        "--runs": {"improve", "evaluate", "synth", "resume", "runs", "report", "prove", "compare", "select", "verify"},
        "--prices": {"improve", "evaluate", "synth"},
        "--dry-run": {"improve", "evaluate", "synth"},
    }
    for flag, verbs in expected.items():
        options = {
            verb: option for verb, command in app.commands.items() for option in command.params if flag in option.opts
        }
        assert set(options) == verbs
        assert len({(option.type.name, option.nargs, option.multiple) for option in options.values()}) == 1


def test_list_and_show(adhere: Adhere) -> None:
    listed = adhere("list")
    assert (listed.code, listed.err) == (0, "")
    assert [line.split()[1] for line in listed.out.splitlines()] == [one.name for one in entries()]
    assert {row["name"] for row in adhere("list", "--json").json} == {one.name for one in entries()}
    assert {row["arrow"] for row in adhere("list", "--arrow", "tune", "--json").json} == {"tune"}
    shown = adhere("show", "complex_to_simple")
    assert (shown.code, shown.err) == (0, "")
    assert "count = " in shown.out
    assert "The idea in five lines" in shown.out
    told = adhere("show", "sft", "--json").json
    assert told["arrow"] == "tune"
    assert told["settings"]["rank"] == 16


@pytest.mark.parametrize("words", [["--help"], ["list"], ["list", "--json"], ["improve", "--help"]])
def test_looking_around_imports_nothing_heavy(words: list[str]) -> None:
    code = f"""
import sys
from adhere.app.cli import main
try:
    main({words!r})
except SystemExit as end:
    assert not end.code
heavy = ("torch", "transformers", "openvino", "numpy", "pyarrow", "httpx2", "langdetect", "adhere.verify.catalogue")
light = heavy + (("rich", "msgspec", "jinja2") if "--help" in {words!r} else ())
print(*[name for name in light if name in sys.modules], file=sys.stderr)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stderr.split() == []
    assert ran.stdout


# --- the parts of the pipeline --------------------------------------------------------------------------------


def test_a_method_gets_the_model_that_it_asks_for_and_says_what_else_it_needs(adhere: Adhere) -> None:
    rows = [{"prompt": f"Explain tree {n}.", "reply": f"Tree {n} has leaves."} for n in range(8)]
    Path("given.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    chosen = adhere("select", "ifd", "given.jsonl", "--model", "scripted", "limit=3", "-o", "chosen.jsonl")
    assert chosen.code == 0, chosen.err
    assert len(lines_of(Path("chosen.jsonl").read_text())) <= 3
    for words, said in (
        (("select", "less", "given.jsonl", "--model", "scripted"), "less needs target"),
        (("synth", "bagel", "given.jsonl", "--model", "scripted"), "bagel needs world"),
        (("improve", "--model", "scripted", "select.method=less"), "less needs target"),
    ):
        refused = adhere(*words)
        assert refused.code == 2, words
        assert said in refused.err
    assert not Path("runs").exists()


def test_synth_verify_select(adhere: Adhere, tmp_path: Path) -> None:
    made = adhere("synth", "complex-to-simple", "--model", "scripted", "--limit", "5", "-o", "rows.jsonl", "count=12")
    assert (made.code, made.out) == (0, "")
    kept, dropped = lines_of(Path("rows.jsonl").read_text()), lines_of(Path("rows.dropped.jsonl").read_text())
    assert len(kept) + len(dropped) == 12
    assert f"{len(kept)} rows kept, {len(dropped)} dropped" in made.err
    assert all(row["reason"] for row in dropped)

    verified = adhere("verify", "rows.jsonl", "--given-only")
    assert verified.code == 0
    verdicts = lines_of(verified.out)
    assert len(verdicts) == len(kept)
    assert all(one["passed"] in (True, None) for one in verdicts)
    counted = adhere("verify", "rows.jsonl", "--given-only", "-o", "verdicts.jsonl", "--json").json
    assert counted["passed"] == sum(one["passed"] is True for one in verdicts)
    assert counted["failed"] == counted["found"] == counted["set_aside"] == 0
    assert counted["not_judged"] == sum(one["passed"] is None for one in verdicts)
    assert lines_of(Path("verdicts.jsonl").read_text()) == verdicts

    chosen = adhere("select", "verified-novel", "rows.jsonl", "limit=3")
    assert chosen.code == 0
    assert [row in kept for row in lines_of(chosen.out)] == 3 * [True]


def test_synth_without_output_is_rows_on_stdout_and_one_seed_gives_the_same(adhere: Adhere) -> None:
    words = ("synth", "complex-to-simple", "count=4", "--model", "scripted", "--seed", "5")
    first, second = adhere(*words), adhere(*words)
    assert first.out == second.out
    assert all(row["messages"] for row in lines_of(first.out))
    assert adhere(*words[:-1], "6").out != first.out
    told = adhere(*words, "--json")
    assert told.json.keys() == {"kept", "dropped", "output", "cost"}
    assert told.out.splitlines()[:-1] == first.out.splitlines()


def test_verify_says_by_its_exit_status_that_a_check_failed(adhere: Adhere) -> None:
    row = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "a, b"}]}
    Path("bad.jsonl").write_text(json.dumps(row | {"checks": [{"kind": "punctuation:no_comma"}]}) + "\n")
    ran = adhere("verify", "bad.jsonl")
    assert ran.code == 1
    assert "0 passed, 1 failed, 0 not judged" in ran.err
    assert lines_of(ran.out)[0]["passed"] is False


@pytest.mark.slow
def test_tune_leaves_a_model_that_can_be_evaluated(adhere: Adhere) -> None:
    pytest.importorskip("torch", reason="needs the extra [local]")
    adhere("synth", "complex-to-simple", "--model", "scripted", "-o", "rows.jsonl", "count=8", "max_tokens=60")
    words = ("tune", "sft", "rows.jsonl", "--model", "scripted", "-o", "tuned", "epochs=1", "rank=4")
    ran = adhere(*words)
    assert (ran.code, ran.out) == (0, "tuned\n")
    assert "labelled of" in ran.err
    for name in ("adapter", "merged", "model.gguf"):
        assert Path("tuned", name).exists()
    again = adhere(*words, "--json")
    assert again.json["folder"] == "tuned"
    assert "already tuned so" in again.err
    other = adhere(*words, "--seed", "2")
    assert other.code == 2
    assert "from other data or settings" in other.err


def pairs(path: str, rejected: bool) -> str:
    """Records with a reply, and a worse one beside it or not."""
    rows = [
        {"prompt": f"Name a {word}.", "chosen": f"A {word} is what I name."}
        | ({"rejected": "No no no."} if rejected else {})
        for word in ("river", "tool", "colour", "bird")
    ]
    Path(path).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.mark.slow
def test_tune_dpo_learns_from_pairs(adhere: Adhere) -> None:
    pytest.importorskip("torch", reason="needs the extra [local]")
    words = ("--model", "scripted", "-o", "tuned", "epochs=1", "rank=4", "--json")
    ran = adhere("tune", "dpo", pairs("pairs.jsonl", rejected=True), *words)
    assert ran.code == 0, ran.err
    assert ran.json["folder"] == "tuned"
    assert ran.json["rows"] == 4
    assert ran.json["steps"] >= 1
    for name in ("adapter", "merged", "model.gguf"):
        assert Path("tuned", name).exists()


def test_tune_dpo_refuses_rows_without_pairs(adhere: Adhere) -> None:
    pytest.importorskip("torch", reason="needs the extra [local]")
    ran = adhere("tune", "dpo", pairs("single.jsonl", rejected=False), "--model", "scripted", "-o", "tuned")
    assert (ran.code, ran.out) == (2, "")
    assert "Traceback" not in ran.err
    assert "none among 4" in ran.err
    assert not Path("tuned", "adapter").exists()


def test_evaluate_heldout(adhere: Adhere) -> None:
    words = ("evaluate", "heldout", "--model", "scripted", "--limit", "3", "seeds=2", "-o", "replies.jsonl")
    ran = adhere(*words)
    assert ran.code == 0
    assert "floor" in ran.out
    assert len(lines_of(Path("replies.jsonl").read_text())) == 3 * 3 * 2
    told = adhere(*words, "--json").json
    assert set(told["slices"]) == {"seen", "unseen", "plain"}


def test_evaluate_ifeval_gives_the_documented_object(adhere: Adhere) -> None:
    Path("ifeval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in IFEVAL))
    ran = adhere("evaluate", "ifeval", "--data", "ifeval.jsonl", "--model", "scripted", "--json")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == 1
    told = ran.json
    levels = ("prompt_strict", "instruction_strict", "prompt_loose", "instruction_loose")
    assert set(levels) | {"intervals", "floor", "not_judged"} <= told.keys()
    for level in levels:
        low, high = told["intervals"][level]
        assert 0 <= low <= told[level] <= high <= 1
    assert told["not_judged"] == 0
    assert 0 <= told["floor"]["mean_strict"] <= 1
    words = adhere("evaluate", "ifeval", "--data", "ifeval.jsonl", "--model", "scripted", "--limit", "1").out
    assert "1 prompts" in words
    assert "floor" in words


# --- run folders of synth and evaluate ------------------------------------------------------------------------


def the_run(root: str = "runs") -> Path:
    [folder] = [path.parent for path in Path(root).glob("*/run.json")]
    return folder


def test_synth_keeps_its_rows_in_a_run_folder(adhere: Adhere) -> None:
    made = adhere("synth", "complex-to-simple", "count=6", "--model", "scripted", "-o", "rows.jsonl", "--runs", "mine")
    assert made.code == 0, made.err
    run = the_run("mine")
    assert run.name.split("-")[3] == "synth"
    assert f"Run folder: {run}" in made.err
    assert (run / "out" / "rows.jsonl").read_bytes() == Path("rows.jsonl").read_bytes()
    assert (run / "out" / "dropped.jsonl").read_bytes() == Path("rows.dropped.jsonl").read_bytes()
    plan = json.loads((run / "run.json").read_text())["plan"]
    assert plan["settings"]["method"] == "complex-to-simple"
    assert (plan["settings"]["settings"]["count"], plan["settings"]["settings"]["samples"]) == (6, 2)
    assert plan["inputs"].keys() == {"model", "model_name", "seeds"}

    [row] = adhere("runs", "--runs", "mine", "--json").json
    assert (row["verb"], row["state"]) == ("synth", "finished")
    assert adhere("runs", "-o", "mine").out.split()[:2] == ["finished", "synth"]
    rows = len(lines_of(Path("rows.jsonl").read_text()))
    told = adhere("report", str(run))
    assert (told.code, told.out.splitlines()[0]) == (
        0,
        f"{rows} rows kept, {6 - rows} dropped: {run / 'out/rows.jsonl'}",
    )
    counts = adhere("report", "--runs", "mine", "--json").json
    cost = counts.pop("cost")
    assert counts == {"kept": rows, "dropped": 6 - rows, "output": str(run / "out" / "rows.jsonl")}
    [stage] = cost["stages"]
    assert (stage["stage"], stage["method"], stage["failed"], stage["money"]) == ("synth", "complex-to-simple", 0, None)
    assert stage["calls"] >= 12
    assert cost["per_row"]["tokens_out"] == round(stage["tokens_out"] / rows)
    assert "no price given" in told.out
    assert "An accepted row took" in told.out
    again = adhere("resume", str(run))
    assert again.code == 3
    assert f"adhere report {run}" in again.err


def test_evaluate_keeps_its_report_and_its_data_in_a_run_folder(adhere: Adhere) -> None:
    Path("ifeval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in IFEVAL))
    ran = adhere("evaluate", "ifeval", "--data", "ifeval.jsonl", "--model", "scripted", "-o", "replies.jsonl")
    assert ran.code == 0, ran.err
    run = the_run()
    assert run.name.split("-")[3] == "evaluate"
    assert (run / "out" / "data.jsonl").read_bytes() == Path("ifeval.jsonl").read_bytes()
    assert (run / "out" / "replies.jsonl").read_bytes() == Path("replies.jsonl").read_bytes()
    told = adhere("report", str(run)).out
    assert told.startswith(ran.out)
    assert told.removeprefix(ran.out).split()[0] == "Cost"
    stored = json.loads((run / "out" / "report.json").read_text())
    again = adhere("report", "--json").json
    assert again.pop("cost")["together"]["calls"] == 2
    assert again == stored
    fresh = adhere("evaluate", "ifeval", "--data", "ifeval.jsonl", "--model", "scripted", "--json")
    told = fresh.json
    assert told.pop("cost")["stages"][0]["method"] == "ifeval"
    assert told == stored


def test_a_refused_input_leaves_no_run_behind(adhere: Adhere) -> None:
    Path("x.jsonl").write_text('{"key": 1}\n')
    for words in (["heldout", "--data", "x.jsonl"], ["ifeval", "--data", "x.jsonl"]):
        ran = adhere("evaluate", *words, "--model", "scripted")
        assert ran.code == 2
        assert "out/" not in ran.err
    assert "x.jsonl, line 1" in ran.err
    assert not list(Path("runs").iterdir())


SILENT = [
    ("synth", "complex-to-simple", "count=3", "--model", "scripted:error"),
    ("evaluate", "heldout", "--limit", "2", "seeds=1", "--model", "scripted:error"),
]


def test_rows_that_all_fail_are_a_finished_run_that_says_why(adhere: Adhere) -> None:
    ran = adhere("synth", "complex-to-simple", "count=3", "--model", "scripted:empty")
    assert (ran.code, ran.out) == (1, "")
    assert f"All reasons are in {the_run() / 'out' / 'dropped.jsonl'}" in ran.err
    assert adhere("report").out.splitlines()[0].startswith("0 rows kept, 3 dropped")


@pytest.mark.parametrize("words", SILENT, ids=lambda words: words[0])
def test_a_silent_model_leaves_a_run_that_can_be_resumed(adhere: Adhere, words: tuple[str, ...]) -> None:
    first = adhere(*words)
    assert (first.code, first.out) == (3, "")
    assert "answered none of" in first.err
    assert "adhere resume" in first.err
    run = the_run()
    again = adhere("resume")
    assert again.code == 3
    assert "answered none of" in again.err
    assert [row["state"] for row in adhere("runs", "--json").json] == ["unfinished"]
    second = adhere(*words)
    assert second.code == 3
    assert f"adhere resume {run}" in second.err
    early = adhere("report", str(run))
    assert early.code == 2
    assert "has no result yet" in early.err


def test_what_a_run_began_with_is_checked_when_it_goes_on(adhere: Adhere) -> None:
    adhere(*SILENT[0])
    run = the_run()
    sealed, about = run / "out" / "seeds.jsonl", run / "run.json"
    seeds, plan = sealed.read_bytes(), about.read_text()
    cases = {
        "is not what this run began with": lambda: sealed.write_bytes(seeds + b"\n"),
        "stopped before its seeds were sealed": sealed.unlink,
        "is not the one that this run began with": lambda: about.write_text(plan.replace('"model": "', '"model": "0')),
        "unknown setting 'weird'": lambda: about.write_text(plan.replace('"samples"', '"weird"')),
        "no synth method called": lambda: about.write_text(plan.replace("complex-to-simple", "simple-to-complex")),
        "not a whole run of adhere synth": lambda: about.write_text(plan.replace('"seeds"', '"needs"')),
        "does not say where its rows go": lambda: about.write_text(plan.replace('"delivery"', '"parcel"')),
    }
    for message, damage in cases.items():
        damage()
        ran = adhere("resume", str(run), "--trust")
        assert (ran.code, ran.out) == (3, ""), message
        assert message in ran.err
        sealed.write_bytes(seeds)
        about.write_text(plan)


# --- the main job ---------------------------------------------------------------------------------------------


def test_a_dry_run_prints_the_plan_and_leaves_nothing(adhere: Adhere, tmp_path: Path) -> None:
    ran = adhere("improve", "--dry-run", "--budget", "20m", "--rounds", "2")
    assert ran.code == 0
    for word in ("synthesise", "tune", "evaluate", "in all", "min", "rounds 2", "Budget: 20m"):
        assert word in ran.out
    told = adhere("improve", "--dry-run", "--json", "--model", "scripted", "--limit", "10").json
    assert told["minutes"] > 0
    assert [one["stage"] for one in told["stages"]] == ["synthesise", "tune", "evaluate"]
    assert list(tmp_path.iterdir()) == []


def test_limit_lowers_and_never_raises(adhere: Adhere) -> None:
    def asked(*words: str) -> int:
        return int(adhere("improve", "--dry-run", "--json", "--model", "scripted", *words).json["stages"][0]["units"])

    assert asked("--limit", "10") < asked("--limit", "100") < asked()
    assert asked("--limit", "100", "synth.count=10") == asked("synth.count=10")


def test_a_recipe_is_overlaid_by_words_and_by_options(adhere: Adhere) -> None:
    Path("r.toml").write_text("seed = 3\nrounds = 2\n[synth]\ncount = 40\n")

    def plan(*words: str) -> Any:
        return adhere("improve", "--recipe", "r.toml", "--dry-run", "--json", "--model", "scripted", *words).json

    assert (plan()["seed"], plan()["rounds"]) == (3, 2)
    assert (plan("--seed", "0")["seed"], plan("--rounds", "1")["rounds"]) == (0, 1)
    assert plan("synth.count=20")["stages"][0]["units"] < plan()["stages"][0]["units"]


@pytest.mark.slow
def test_improve_runs_resume_report(adhere: Adhere, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="needs the extra [local]")
    seeds = [{"instruction": f"Explain the word {word}."} for word in ("tide", "loom", "flour", "ledger", "orbit")]
    Path("mine.jsonl").write_text("".join(json.dumps(row) + "\n" for row in seeds) + "not json\n")
    ran = adhere("improve", "--model", "scripted", "--limit", "10", "--seeds", "mine.jsonl", "--json", *SMALL)
    assert ran.code == 0, ran.err
    assert "mine.jsonl:6: set aside" in ran.err
    assert len(ran.out.splitlines()) == 1
    told = ran.json
    assert told.keys() == {"kept", "minutes", "stages", "floor", "slices", "run", "cost"}
    assert isinstance(told["kept"], bool)
    assert set(told["slices"]) == {"seen", "unseen", "plain"}
    for one in told["slices"].values():
        assert one.keys() == {"base", "tuned", "difference", "interval", "n", "seeds"}
    folder = Path(told["run"])
    page = (folder / "report.html").read_text()
    assert len([line for line in ran.err.splitlines() if "%  " in line]) < 30, "progress is not chatty"

    listed = adhere("runs", "--json").json
    assert [(row["folder"], row["state"]) for row in listed] == [(told["run"], "finished")]
    assert told["run"] in adhere("runs").out
    (folder / "report.html").unlink()
    assert adhere("report").out == f"{folder / 'report.html'}\n"
    assert (folder / "report.html").read_text() == page
    again = adhere("report", str(folder), "--json").json
    assert again == {"report": str(folder / "report.html"), "cost": told["cost"]}
    again = adhere("resume", str(folder))
    assert again.code == 3
    assert "finished" in again.err


def test_a_reader_that_goes_away_is_no_error(cache: Path) -> None:
    code = "import sys; from adhere.app.cli import main; main(['list'])"
    reader, writer = os.pipe()
    os.close(reader)
    ran = subprocess.run(
        [sys.executable, "-c", code], stdout=writer, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    os.close(writer)
    assert ran.returncode == 1
    assert ran.stderr == ""


def test_an_interrupt_says_what_is_kept(adhere: Adhere, monkeypatch: pytest.MonkeyPatch) -> None:
    from adhere.app import commands, verifying

    def interrupted(*args: Any, **options: Any) -> int:
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "improve_command", interrupted)
    monkeypatch.setattr(commands, "synth_command", interrupted)
    monkeypatch.setattr(verifying, "verify_command", interrupted)
    for words in (["improve"], ["synth", "complex-to-simple"]):
        ran = adhere(*words)
        assert ran.code == 130
        assert "adhere resume" in ran.err
    ran = adhere("verify", "rows.jsonl")
    assert ran.code == 130
    assert "resume" not in ran.err
