"""Checks per second: ours beside the reference semantics as lm-eval ships them, on the same responses in one run.

    python bench/checks.py --prompts input_data.jsonl --responses responses.jsonl [--repeats 5] [--json]

Both judge every response strict and loose, in a warm process, on one core; the best of the repeats counts. Rows are
split into those whose checks detect a language and all others, since langdetect is the same code in both. The reference
(lm_eval's `ifeval` task, nltk, and the Punkt data that llama-index-core carries) is installed from PyPI into the user's
cache, never into this project. The limit is reading each response once: the rate of splitting it into words.
`agree` is the share of the reference's verdicts that ours match; both draw nothing at random but for langdetect in the
reference, whose seed is fixed here.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from adhere.core.record import Check
from adhere.verify.catalogue import IFEVAL_TYPES
from adhere.verify.score import judge

PACKAGES = ("lm_eval==0.4.13", "llama-index-core==0.14.25")
NEEDED = ("nltk", "langdetect==1.0.9", "immutabledict", "packaging")
LANGUAGE = ("language:response_language", "change_case:english_capital", "change_case:english_lowercase")
Row = dict[str, Any]


def joined(prompts: Path, responses: Path) -> list[Row]:
    """Rows of both files that belong together by prompt text."""
    with responses.open(encoding="utf-8") as file:
        answered = {row["prompt"].strip(): row["response"] for row in map(json.loads, file)}
    with prompts.open(encoding="utf-8") as file:
        asked = [json.loads(line) for line in file]
    return [{**row, "response": answered[row["prompt"].strip()]} for row in asked if row["prompt"].strip() in answered]


def best_of(repeats: int, work: Callable[[], object]) -> float:
    """Seconds of the fastest repeat."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def with_ours(rows: list[Row], repeats: int) -> tuple[float, list[list[list[bool | None]]]]:
    """Seconds, and per row the strict and the loose verdicts."""
    asked = [
        (
            [Check(kind, params) for kind, params in zip(row["instruction_id_list"], row["kwargs"], strict=True)],
            row["response"],
        )
        for row in rows
    ]

    def work() -> list[list[list[bool | None]]]:
        found = []
        for checks, response in asked:
            outcome = judge(checks, response, IFEVAL_TYPES)
            found.append([[verdict.passed for verdict in outcome.verdicts(loose)] for loose in (False, True)])
        return found

    verdicts = work()  # warm
    return best_of(repeats, work), verdicts


def reference_folder() -> Path:
    """Where the reference is installed; filled on the first call."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "adhere" / "bench" / "lm_eval-0.4.13"
    done = cache / "done"
    if not done.is_file():
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(cache)]
        subprocess.run([*install, "--no-deps", *PACKAGES], check=True)
        subprocess.run([*install, *NEEDED], check=True)
        done.write_text("installed\n", encoding="utf-8")
    return cache


def with_reference(rows: list[Row], repeats: int) -> tuple[float, list[list[list[bool]]]]:
    """As `with_ours`, by `bench/checks_reference.py` in a process of its own."""
    folder = reference_folder()
    script = Path(__file__).with_name("checks_reference.py")
    given = json.dumps({"rows": rows, "repeats": repeats})
    environment = {**os.environ, "NLTK_DATA": str(folder / "llama_index/core/_static/nltk_cache")}
    done = subprocess.run(
        [sys.executable, "-S", str(script), str(folder)],
        input=given,
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    return told["seconds"], told["verdicts"]


def agreement(ours: list[list[list[bool | None]]], theirs: list[list[list[bool]]]) -> float:
    """The share of equal verdicts."""
    pairs = [
        (one, other)
        for a, b in zip(ours, theirs, strict=True)
        for first, second in zip(a, b, strict=True)
        for one, other in zip(first, second, strict=True)
    ]
    return sum(one == other for one, other in pairs) / len(pairs)


def measured(name: str, rows: list[Row], repeats: int) -> Row:
    """Checks per second of both on some of the rows; a check is one instruction judged strict and loose."""
    checks = sum(len(row["instruction_id_list"]) for row in rows)
    seconds, ours = with_ours(rows, repeats)
    their_seconds, theirs = with_reference(rows, repeats)
    word = re.compile(r"\w+")
    limit = best_of(repeats, lambda: [word.findall(row["response"]) for row in rows])
    return {
        "rows": name,
        "responses": len(rows),
        "checks": checks,
        "ours": checks / seconds,
        "theirs": {"lm_eval": checks / their_seconds},
        "ratio": {"lm_eval": their_seconds / seconds},
        "limit": checks / limit,
        "seconds": seconds,
        "agree": agreement(ours, theirs),
    }


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--prompts", type=Path, required=True)
    parser.add_argument("--responses", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    rows = joined(chosen.prompts, chosen.responses)
    detects = [any(kind in LANGUAGE for kind in row["instruction_id_list"]) for row in rows]
    parts = [
        measured("all", rows, chosen.repeats),
        measured("no language", [row for row, does in zip(rows, detects, strict=True) if not does], chosen.repeats),
        measured("language", [row for row, does in zip(rows, detects, strict=True) if does], chosen.repeats),
    ]
    print(f"{'rows':12} {'responses':>9} {'checks':>6} {'ours/s':>9} {'lm_eval/s':>9} {'ratio':>6} {'agree':>7}")
    for part in parts:
        theirs, ratio = part["theirs"]["lm_eval"], part["ratio"]["lm_eval"]
        print(
            f"{part['rows']:12} {part['responses']:9} {part['checks']:6} {part['ours']:9.0f} {theirs:9.0f} "
            f"{ratio:6.1f} {part['agree']:7.2%}"
        )
    if chosen.json:
        whole = parts[0]
        print(json.dumps({key: whole[key] for key in ("ours", "theirs", "ratio", "limit")} | {"parts": parts}))


if __name__ == "__main__":
    main()
