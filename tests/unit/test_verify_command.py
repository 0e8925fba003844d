"""`adhere verify` as a new user meets it: rows, published responses, the floor and the audit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from adhere.app.cli import main

pytest.importorskip("adhere.verify.registers", reason="the registers are not there yet")

NO_COMMA = {"kind": "punctuation:no_comma", "params": {}}
WORDS = {"kind": "length_constraints:number_words", "params": {"relation": "at least", "num_words": 3}}
PROMPTS = [
    {
        "key": 4,
        "prompt": "Describe a ferry without commas.",
        "instruction_id_list": ["punctuation:no_comma"],
        "kwargs": [{}],
    },
    {
        "key": 5,
        "prompt": "Sum up a storm in at least 30 words.",
        "instruction_id_list": ["length_constraints:number_words"],
        "kwargs": [{"relation": "at least", "num_words": 20, "num_bullets": None}],
    },
]


class Ran:
    """What a command line did."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def json(self) -> Any:
        return json.loads(self.out.splitlines()[-1])

    @property
    def rows(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Adhere = Callable[..., Ran]


@pytest.fixture
def adhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Adhere:
    """Runs a command line in this process, in an empty folder."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> Ran:
        capfd.readouterr()
        code: Any = 0
        try:
            main(["verify", *words])
        except SystemExit as end:
            code = end.code
        said = capfd.readouterr()
        return Ran(int(code or 0), said.out, said.err)

    return run


def write(name: str, rows: list[Any]) -> str:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return name


# --- rows ---------------------------------------------------------------------------------------------------------


def test_each_row_has_its_verdict_and_every_check_its_own(adhere: Adhere) -> None:
    rows = [
        {"prompt": "Tell me of tar.", "reply": "It is, well, black", "checks": [NO_COMMA, WORDS]},
        {"prompt": "Tell me of tar.", "response": "It is black stuff", "checks": [NO_COMMA, WORDS]},
        {"prompt": "Tell me of tar.", "response": "", "checks": [WORDS]},
        {"prompt": "Tell me of tar.", "checks": [WORDS]},
    ]
    ran = adhere(write("rows.jsonl", rows))
    assert ran.code == 1
    one, two, blank, missing = ran.rows
    assert [row["line"] for row in ran.rows] == [1, 2, 3, 4]
    assert (one["passed"], one["score"] < 1, one["reason"]) == (
        False,
        True,
        "punctuation:no_comma: 2 commas, wanted none",
    )
    assert [check["passed"] for check in one["checks"]] == [False, True]
    assert one["checks"][0]["spans"] == [[5, 6], [11, 12]]
    assert (two["passed"], two["score"]) == (True, 1.0)
    assert (blank["passed"], blank["reason"]) == (False, "length_constraints:number_words: the reply is blank")
    assert (missing["passed"], missing["reason"]) == (None, "the row has no reply")
    assert "1 passed, 2 failed, 1 not judged" in ran.err
    assert "null floor" in ran.err
    table = {line.split()[0]: line.split()[1:] for line in ran.err.splitlines() if line.startswith("  ")}
    assert table["punctuation:no_comma"][0] == "2"
    assert table["length_constraints:number_words"][0] == "4"


def test_all_passed_is_exit_status_0_and_counts_are_json(adhere: Adhere) -> None:
    name = write("rows.jsonl", [{"prompt": "Go on.", "reply": "one two three", "checks": [WORDS]}, 7])
    ran = adhere(name, "--json", "-o", "verdicts.jsonl")
    assert ran.code == 0
    assert ran.json["passed"] == 1
    assert ran.json["set_aside"] == 1
    assert ran.json["types"]["length_constraints:number_words"]["judged"] == 1
    assert 0 <= ran.json["floor"]["instruction_strict"] <= 1
    assert "rows.jsonl:2: set aside: expected an object" in ran.err
    assert len(Path("verdicts.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"prompt": "p", "reply": "r", "checks": 3}, "checks should be a list, found int"),
        ({"prompt": "p", "reply": "r", "checks": [{"params": {}}]}, "checks are not a list of kind and params"),
        ({"prompt": "p", "reply": "r", "checks": "[{"}, "checks is text that is not JSON"),
        ({"prompt": "p", "instruction_id_list": ["a:b"], "kwargs": []}, "as many kwargs as instruction ids"),
        ({"prompt": 9, "reply": "r"}, "prompt should be text, found int"),
    ],
)
def test_a_row_that_makes_no_sense_is_set_aside_and_told(adhere: Adhere, row: Any, reason: str) -> None:
    good = {"prompt": "Go on.", "reply": "one two three", "checks": [WORDS]}
    ran = adhere(write("rows.jsonl", [good, row]))
    assert ran.code == 0
    assert "rows.jsonl:2: set aside" in ran.err
    assert reason in ran.err
    assert len(ran.rows) == 1


def test_checks_that_cannot_be_judged_are_no_failures(adhere: Adhere) -> None:
    broken = {"kind": "length_constraints:number_words", "params": {"num_words": "many"}}
    rows = [
        {"prompt": "Go on.", "reply": "r", "checks": [broken]},
        {"prompt": "Go.", "reply": "r", "checks": [{"kind": "x:y"}]},
    ]
    ran = adhere(write("rows.jsonl", rows), "--json", "-o", "v.jsonl")
    assert ran.code == 0
    assert (ran.json["not_judged"], ran.json["floor"]) == (2, None)
    assert ran.json["types"]["unknown type"]["not_judged"] == 1


def test_csv_and_parquet_give_the_same_verdicts_as_jsonl(adhere: Adhere) -> None:
    import csv

    pyarrow = pytest.importorskip("pyarrow", reason="needs the extra [data]")
    from pyarrow import parquet

    rows = [{"prompt": f"Go on {n}.", "reply": "a, b" if n % 2 else "one two three"} for n in range(4)]
    asked = [{**row, "checks": [NO_COMMA, WORDS]} for row in rows]
    flat = [{**row, "checks": json.dumps([NO_COMMA, WORDS])} for row in rows]
    with Path("rows.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["prompt", "reply", "checks"])
        writer.writeheader()
        writer.writerows(flat)
    parquet.write_table(pyarrow.Table.from_pylist(flat), "flat.parquet")
    nulls = {"relation": None, "num_words": None}
    nested = [{**row, "checks": [{"kind": "punctuation:no_comma", "params": nulls}, WORDS]} for row in rows]
    parquet.write_table(pyarrow.Table.from_pylist(nested), "nested.parquet")
    expected = [(row["id"], row["passed"]) for row in adhere(write("rows.jsonl", asked)).rows]
    assert [passed for _, passed in expected] == [True, False, True, False]
    for name in ("rows.csv", "flat.parquet", "nested.parquet"):
        assert [(row["id"], row["passed"]) for row in adhere(name).rows] == expected


def test_checks_are_found_in_the_prompt_where_none_are_given(adhere: Adhere) -> None:
    pytest.importorskip("adhere.verify.find", reason="the finder is not there yet")
    rows = [{"prompt": "Describe a mill in at least 50 words.", "reply": "It grinds."}]
    ran = adhere(write("rows.jsonl", rows), "--json")
    assert ran.code == 1
    [verdict] = ran.rows[:-1]
    assert verdict["found"] is True
    assert verdict["checks"][0]["kind"] == "length_constraints:number_words"
    assert ran.json["found"] == 1
    assert "1 rows give no checks: theirs were found in the words of the prompt" in " ".join(ran.err.split())
    given = adhere("rows.jsonl", "--given-only", "--json")
    assert (given.code, given.json["not_judged"], given.json["found"]) == (0, 1, 0)


def many(name: str, count: int) -> str:
    replies = ["one two three", "one, two", "", "one two three four"]
    rows = [{"prompt": f"Row {n}.", "reply": replies[n % 4], "checks": [NO_COMMA, WORDS]} for n in range(count)]
    return write(name, rows)


def test_many_rows_keep_their_order_over_several_workers(adhere: Adhere) -> None:
    name = many("rows.jsonl", 700)
    with Path(name).open("a") as file:
        file.write("broken\n" * 9)
    alone, together = adhere(name, "--workers", "1"), adhere(name, "--workers", "3")
    assert alone.out == together.out
    assert [row["line"] for row in together.rows] == list(range(1, 701))
    for ran in (alone, together):
        assert ran.code == 1
        assert "350 passed, 350 failed, 0 not judged" in ran.err
        assert "rows.jsonl:701: set aside" in ran.err
        assert "4 further rows set aside" in ran.err


def test_limit_reads_no_further(adhere: Adhere) -> None:
    assert len(adhere(many("rows.jsonl", 20), "--limit", "3").rows) == 3


@pytest.mark.parametrize("workers", ["1", "2"])
def test_ctrl_c_leaves_no_worker_and_no_half_file(tmp_path: Path, workers: str) -> None:
    """Interrupted while it writes, as a shell does it: the signal goes to the command and to its workers."""
    row = json.dumps({"prompt": "Go on.", "reply": "one two three " * 20, "checks": [NO_COMMA, WORDS]}) + "\n"
    (tmp_path / "rows.jsonl").write_text(row * 60_000)
    # A test run in the background of a shell would hand on that interrupts are ignored.
    code = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)"
    code += "; from adhere.app.cli import main; main(sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "verify", "rows.jsonl", "--workers", workers, "-o", "out.jsonl"],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    until(lambda: any(path.stat().st_size for path in tmp_path.glob(".out.jsonl.*")))
    os.killpg(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 130, said
    assert "Interrupted" in said
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]
    until(lambda: not alive(process.pid))


def until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


# --- published responses ------------------------------------------------------------------------------------------


def published(adhere: Adhere, *words: str) -> Ran:
    write("prompts.jsonl", PROMPTS)
    write(
        "responses.jsonl",
        [
            {"prompt": "Describe a  ferry without commas.", "response": "It floats"},
            {"prompt": PROMPTS[1]["prompt"], "response": "Wind"},
            {"prompt": "Nobody asked.", "response": "Yes"},
            {"nothing": 1},
        ],
    )
    return adhere("ifeval", "prompts.jsonl", "responses.jsonl", *words)


def test_published_responses_are_scored(adhere: Adhere) -> None:
    ran = published(adhere, "--json", "--rows", "rows.jsonl")
    assert ran.code == 0
    assert ran.json["prompt_strict"] == 0.5
    assert ran.json["matched"] == {
        "exact": 1,
        "normalised": 1,
        "prompts_without_response": 0,
        "responses_without_prompt": 1,
    }
    assert {"intervals", "floor", "not_judged", "register", "delta"} <= set(ran.json)
    assert "responses.jsonl:4: set aside: expected prompt and response" in ran.err
    assert "responses without a prompt, unused: 1 (line 3)" in ran.out
    assert [json.loads(line) for line in Path("rows.jsonl").read_text().splitlines()] == [
        {"key": 4, "strict": [True], "loose": [True]},
        {"key": 5, "strict": [False], "loose": [False]},
    ]
    assert published(adhere, "--register", "repaired", "--json").json["register"] == "repaired"


# --- floor and audit ----------------------------------------------------------------------------------------------


def test_the_floor_names_the_best_constant_answers(adhere: Adhere) -> None:
    ran = adhere("--floor", write("prompts.jsonl", PROMPTS), "--json")
    assert ran.code == 0
    [scores] = ran.json.values()
    assert len(scores) == 10
    levels = [score["prompt_strict"] + score["instruction_strict"] for score in scores]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] == 2.0, "a long text without commas passes both"
    lines = ran.out.splitlines()
    assert lines[0].startswith("prompts.jsonl: the best of")
    assert len(lines) == 2 + 10 + 1


def test_the_floor_of_the_held_out_benchmark(adhere: Adhere) -> None:
    ran = adhere("--floor", "heldout", "--limit", "6", "--json", "-o", "scores.jsonl")
    assert set(ran.json) == {"heldout-seen", "heldout-unseen"}
    assert len(Path("scores.jsonl").read_text().splitlines()) > 20


def test_the_audit_names_faults_and_fails(adhere: Adhere) -> None:
    ran = adhere("--audit", write("prompts.jsonl", PROMPTS), "--json", "-o", "findings.jsonl")
    assert ran.code == 1
    assert ran.out.startswith("key 5: number: the prompt says 'at least 30'")
    assert "1 findings in 1 of 2 prompts (2 checks)" in ran.err
    assert ran.json["kinds"] == {"number": 1}
    [finding] = ran.json["findings"]
    start, stop = finding["span"]
    assert PROMPTS[1]["prompt"][start:stop] == "at least 30"
    assert json.loads(Path("findings.jsonl").read_text()) == finding
    sound = adhere("--audit", write("sound.jsonl", PROMPTS[:1]), "--json")
    assert (sound.code, sound.json["findings"]) == (0, [])


# --- usage --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        ([], ["expected one file, found none"]),
        (["a.jsonl", "b.jsonl"], ["expected one file, found a.jsonl, b.jsonl"]),
        (["ifeval"], ["expected two files after ifeval, found 0"]),
        (["ifeval", "p.jsonl"], ["expected two files after ifeval, found 1", "PROMPTS.jsonl RESPONSES.jsonl"]),
        (["ifeval", "p.jsonl", "r.jsonl"], ["cannot read p.jsonl"]),
        (["--floor", "absent.jsonl"], ["no file at absent.jsonl"]),
        (["--audit", "absent.jsonl"], ["no file at absent.jsonl"]),
        (["--audit", "--floor", "a.jsonl"], ["two questions"]),
        (["a.jsonl", "--rows", "r.jsonl"], ["--rows belongs to adhere verify ifeval"]),
        (["a.jsonl", "--register", "strict"], ["'faithful', 'repaired'"]),
        (["a.jsonl", "--workers", "0"], ["--workers"]),
    ],
)
def test_what_makes_no_sense_is_said_with_what_to_do(adhere: Adhere, words: list[str], parts: list[str]) -> None:
    ran = adhere(*words)
    assert (ran.code, ran.out) == (2, "")
    assert len(ran.err.splitlines()) >= 2
    for part in parts:
        assert part in ran.err
