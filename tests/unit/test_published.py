"""Scoring published responses: matching by prompt, missing ones, both registers, and the golden verdicts."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from adhere.core.errors import DataError
from adhere.core.record import Check, Record, user

pytest.importorskip("adhere.verify.registers", reason="the registers are not there yet")

from adhere.evals.ifeval import read_ifeval
from adhere.evals.published import Response, match, read_responses, score

ROWS: list[dict[str, Any]] = [
    {
        "key": 7,
        "prompt": "Describe a quarry without commas.",
        "instruction_id_list": ["punctuation:no_comma"],
        "kwargs": [{}],
    },
    {
        "key": 8,
        "prompt": "Name a  tool\nin 3 words or more, lower case.",
        "instruction_id_list": ["length_constraints:number_words", "change_case:english_lowercase"],
        "kwargs": [{"relation": "at least", "num_words": 3}, {}],
    },
    {
        "key": "nine",
        "prompt": "Say it twice over.",
        "instruction_id_list": ["punctuation:no_comma", "made:up"],
        "kwargs": [{}, {}],
    },
]


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def record(prompt: str, key: str = "1") -> Record:
    return Record((user(prompt),), (Check("punctuation:no_comma"),), notes={"key": key})


def test_responses_are_matched_exactly_then_by_words() -> None:
    records = [record("a b", "1"), record(" a\n b", "2"), record("c", "3")]
    found = match(records, [Response("a  b", "second", 1), Response("a b", "first", 2), Response("d", "none", 3)])
    assert found.replies == ("first", "second", None)
    assert (found.exact, found.by_words, found.missing, found.unused) == (1, 1, ("3",), (3,))
    assert found.for_json() == {
        "exact": 1,
        "normalised": 1,
        "prompts_without_response": 1,
        "responses_without_prompt": 1,
    }


def test_a_prompt_that_occurs_twice_takes_its_responses_in_order() -> None:
    records = [record("a", "1"), record("a", "2")]
    found = match(records, [Response("a", "x", 1), Response("a", "y", 2), Response("a", "z", 3)])
    assert found.replies == ("x", "y")
    assert found.unused == (3,)
    assert match(records, [Response("a", "x", 1)]).replies == ("x", None)


def test_scores_intervals_and_what_was_not_judged(tmp_path: Path) -> None:
    benchmark = read_ifeval(written(tmp_path / "prompts.jsonl", ROWS))
    given = [Response(ROWS[0]["prompt"], "Dust and echo", 1), Response(ROWS[1]["prompt"], "A hammer", 2)]
    found = score(benchmark, given, "mine")
    assert found.report.prompt_strict.share == 0.5
    assert found.report.prompt_strict.n == 2
    assert found.report.instruction_strict.share == pytest.approx(1 / 3)
    assert list(found.rows()) == [
        {"key": 7, "strict": [True], "loose": [True]},
        {"key": 8, "strict": [False, False], "loose": [False, False]},
        {"key": "nine", "strict": [None, None], "loose": [None, None]},
    ]
    told = found.for_json()
    assert told["not_judged"] == 2
    assert told["unknown"] == {"made:up": 1}
    assert told["matched"]["prompts_without_response"] == 1
    assert told["register"] == "faithful"
    assert set(told["delta"]) == {"prompt_strict", "instruction_strict", "prompt_loose", "instruction_loose"}
    assert "stops" not in told
    words = found.in_words()
    assert "prompts without a response, not judged: 1 (key nine)" in words
    assert "2 instructions (2 without a response)" in words
    assert "null floor" in words


def test_an_unknown_type_leaves_its_prompt_undecided_where_the_rest_passed(tmp_path: Path) -> None:
    benchmark = read_ifeval(written(tmp_path / "prompts.jsonl", [ROWS[0], ROWS[2]]))
    given = [Response(row["prompt"], "It it", 1) for row in (ROWS[0], ROWS[2])]
    found = score(benchmark, given, "mine").reports["faithful"]
    assert (found.prompt_strict.n, found.instruction_strict.n) == (1, 2)
    assert found.not_judged == 1
    with pytest.raises(DataError, match="no prompt could be judged"):
        score(read_ifeval(written(tmp_path / "prompts.jsonl", ROWS[2:])), given, "mine")


def test_an_empty_response_fails_and_is_not_missing(tmp_path: Path) -> None:
    path = written(tmp_path / "r.jsonl", [{"prompt": ROWS[0]["prompt"], "response": ""}, {"prompt": 1}, {"a": "b"}])
    given, rejected = read_responses(path)
    assert given == [Response(ROWS[0]["prompt"], "", 1)]
    assert [row.line for row in rejected] == [2, 3]
    benchmark = read_ifeval(written(tmp_path / "prompts.jsonl", ROWS[:1]))
    assert list(score(benchmark, given, "mine").rows()) == [{"key": 7, "strict": [False], "loose": [False]}]


def test_responses_to_other_prompts_are_an_error(tmp_path: Path) -> None:
    benchmark = read_ifeval(written(tmp_path / "prompts.jsonl", ROWS[:1]))
    with pytest.raises(DataError, match="none of 1 responses answers one of 1 prompts"):
        score(benchmark, [Response("something else", "x", 1)], "mine")
    with pytest.raises(DataError, match="holds no response; line 1: expected prompt and response"):
        read_responses(written(tmp_path / "r.jsonl", [{"prompt": "p"}]))


def test_the_repaired_register_differs_where_a_pass_was_a_loophole(tmp_path: Path) -> None:
    from adhere.verify.registers import register

    mended = {kind.id for kind in register("repaired").values() if kind is not register("faithful")[kind.id]}
    assert mended
    benchmark = read_ifeval(written(tmp_path / "prompts.jsonl", ROWS))
    found = score(benchmark, [Response(row["prompt"], "a b c", 1) for row in ROWS], "mine", "repaired")
    assert found.report is found.reports["repaired"]
    for level, change in found.delta.items():
        values = [getattr(found.reports[name], level).share for name in ("faithful", "repaired")]
        assert change == pytest.approx(values[1] - values[0])


# --- the published responses, where they are at hand --------------------------------------------------------------


def shared() -> Path:
    named = os.environ.get("ADHERE_SHARED")
    return (Path(named) if named else Path(__file__).parents[3] / "shared") / "data" / "ifeval"


FILES = {
    "gpt4": ("input_data.jsonl", "input_response_data_gpt4_20231107_145030.jsonl", "gpt4__input_data"),
    "text_bison": ("input_data_20231114.jsonl", "input_response_data_text_bison.jsonl", ""),
}


@pytest.mark.skipif(not shared().exists(), reason="published responses absent: set ADHERE_SHARED")
def test_gpt4_against_every_settled_golden_verdict() -> None:
    prompts, responses, golden = FILES["gpt4"]
    found = score(read_ifeval(shared() / prompts), read_responses(shared() / responses)[0], "gpt4")
    assert (found.matching.exact, found.matching.by_words, found.matching.missing) == (540, 0, ("2785",))
    ours = {row["key"]: row for row in found.rows()}
    settled = 0
    for line in (shared() / f"golden_verdicts_{golden}.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        for mode in ("strict", "loose"):
            for theirs, mine in zip(row[mode], ours[row["key"]][mode], strict=True):
                if theirs in (0.0, 1.0) and mine is not None:
                    settled += 1
                    assert mine == bool(theirs), (row["key"], mode)
    assert settled > 1600
