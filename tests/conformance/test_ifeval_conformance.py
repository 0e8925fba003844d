"""Our IFEval checkers against settled verdicts of the reference: edge-case texts and published responses."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from adhere.core.record import Check
from adhere.verify.catalogue import IFEVAL_TYPES
from adhere.verify.score import judge


def shared() -> Path:
    named = os.environ.get("ADHERE_SHARED")
    return (Path(named) if named else Path(__file__).parents[3] / "shared") / "data" / "ifeval"


pytestmark = pytest.mark.skipif(
    not (shared() / "conformance_verdicts.jsonl").exists(),
    reason="conformance data absent: set ADHERE_SHARED to the folder that holds data/ifeval",
)


TYPES = IFEVAL_TYPES


@cache
def rows(name: str) -> list[dict[str, Any]]:
    with (shared() / name).open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def compared(kind: str, verdicts: Iterator[tuple[str, bool, bool]]) -> None:
    """Fail, with the first few, when any settled verdict differs."""
    wrong, total = [], 0
    for where, expected, found in verdicts:
        total += 1
        if expected != found:
            wrong.append(f"{where}: reference {expected}, ours {found}")
    print(f"{kind}: {total - len(wrong)} of {total} settled verdicts agree")
    if not total:
        pytest.skip(f"no settled verdict for {kind} here")
    assert not wrong, f"{kind}: {len(wrong)} of {total} differ, first: {wrong[:5]}"


def on_texts(kind: str) -> Iterator[tuple[str, bool, bool]]:
    asked = [row for row in rows("conformance_verdicts.jsonl") if row["instruction_id"] == kind]
    checks = tuple(Check(kind, row["kwargs"]) for row in asked)
    for at, text in enumerate(row["text"] for row in rows("conformance_texts.jsonl")):
        for row, judged in zip(asked, judge(checks, text, TYPES).checks, strict=True):
            for mode, verdict in (("strict", judged.strict), ("loose", judged.loose)):
                if row[mode][at] in "01":
                    yield f"{mode} text {at} {row['kwargs']}", row[mode][at] == "1", verdict.passed is True


GOLDEN = (
    ("golden_verdicts_gpt4__input_data.jsonl", "input_data.jsonl", "input_response_data_gpt4_20231107_145030.jsonl"),
    (
        "golden_verdicts_text_bison__input_data_20231114.jsonl",
        "input_data_20231114.jsonl",
        "input_response_data_text_bison.jsonl",
    ),
)


def on_responses(kind: str, golden: str, prompts: str, responses: str) -> Iterator[tuple[str, bool, bool]]:
    asked = {row["key"]: row for row in rows(prompts)}
    answered = {row["prompt"]: row["response"] for row in rows(responses)}
    for row in rows(golden):
        prompt = asked[row["key"]]
        for at, found in enumerate(row["instruction_id_list"]):
            settled = {row["strict"][at], row["loose"][at]} <= {0.0, 1.0}
            if found != kind or not settled or prompt["prompt"] not in answered:
                continue
            check = Check(kind, prompt["kwargs"][at])
            (judged,) = judge((check,), answered[prompt["prompt"]], TYPES).checks
            yield f"strict key {row['key']}", row["strict"][at] == 1.0, judged.strict.passed is True
            yield f"loose key {row['key']}", row["loose"][at] == 1.0, judged.loose.passed is True


def reference_ids() -> list[str]:
    if not (shared() / "conformance_verdicts.jsonl").exists():
        return []
    return sorted({row["instruction_id"] for row in rows("conformance_verdicts.jsonl")})


IFEVAL_IDS = reference_ids()


@pytest.mark.parametrize("kind", IFEVAL_IDS)
def test_edge_case_texts(kind: str) -> None:
    compared(kind, on_texts(kind))


@pytest.mark.parametrize("files", GOLDEN, ids=("gpt4", "text_bison"))
@pytest.mark.parametrize("kind", IFEVAL_IDS)
def test_published_responses(kind: str, files: tuple[str, str, str]) -> None:
    compared(kind, on_responses(kind, *files))
