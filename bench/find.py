"""How well the constraints of IFEval's prompts are found in their plain text: precision and recall per type.

    python bench/find.py --data input_data.jsonl [--half first|second|all] [--errors] [--json]

The metadata of the file is the gold and is used here only. A found check is right when kind and parameters equal the
gold after normalisation: case and white space apart, lists without order, the texts to repeat squeezed. `by kind`
counts kinds alone. The halves are the first 270 prompts in file order and the rest. `--errors` prints what was missed
and what was found too much. Some rows of the file are wrong; they
count as they stand.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from adhere.core.errors import AdhereError, DataError
from adhere.verify.catalogue import IFEVAL_TYPES
from adhere.verify.find import find

FIRST_HALF = 270
Row = tuple[str, list[tuple[str, Mapping[str, Any]]]]


def rows_of(path: Path) -> list[Row]:
    """The prompts with their gold checks, in file order."""
    try:
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        rows = [json.loads(line) for line in lines]
        return [(row["prompt"], list(zip(row["instruction_id_list"], row["kwargs"], strict=True))) for row in rows]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"expected IFEval's JSONL file at {path}, found: {error}", "Give it by --data.") from None


def key_of(kind: str, params: Mapping[str, Any]) -> str:
    """A check as one string, normalised."""
    normal = {key: _normal(value) for key, value in params.items() if value is not None}
    return f"{kind} {json.dumps(normal, sort_keys=True, ensure_ascii=False)}"


def _normal(value: Any) -> Any:
    if isinstance(value, str):
        return " ".join(value.lower().split()).strip("\"'")
    if isinstance(value, list | tuple):
        return sorted(_normal(one) for one in value)
    return int(value) if isinstance(value, float) and value.is_integer() else value


class Tally:
    """Right, found and gold counts per type, with parameters and by kind alone."""

    def __init__(self) -> None:
        self.right: Counter[str] = Counter()
        self.kind_right: Counter[str] = Counter()
        self.found: Counter[str] = Counter()
        self.gold: Counter[str] = Counter()

    def add(self, gold: Iterable[tuple[str, str]], found: Iterable[tuple[str, str]]) -> None:
        """Count one prompt; both are (kind, key) pairs."""
        gold, found = list(gold), list(found)
        for kind, _ in (Counter(gold) & Counter(found)).elements():
            self.right[kind] += 1
        self.kind_right += Counter(kind for kind, _ in gold) & Counter(kind for kind, _ in found)
        self.found += Counter(kind for kind, _ in found)
        self.gold += Counter(kind for kind, _ in gold)

    def row(self, kinds: Iterable[str]) -> dict[str, float]:
        """Precision and recall over these kinds; 1 where nothing was found or there is nothing to find."""
        kinds = list(kinds)
        right, by_kind, found, gold = (
            sum(counts[kind] for kind in kinds) for counts in (self.right, self.kind_right, self.found, self.gold)
        )
        return {
            "gold": gold,
            "found": found,
            "precision": right / found if found else 1.0,
            "recall": right / gold if gold else 1.0,
            "kind_precision": by_kind / found if found else 1.0,
            "kind_recall": by_kind / gold if gold else 1.0,
        }


def measure(rows: list[Row], errors: bool) -> tuple[Tally, int, float]:
    """The tally, the prompts whose checks were found exactly, and seconds spent in `find`."""
    tally, exact, seconds = Tally(), 0, 0.0
    for number, (prompt, checks) in enumerate(rows, 1):
        start = time.perf_counter()
        found = find(prompt)
        seconds += time.perf_counter() - start
        gold = [(kind, key_of(kind, params)) for kind, params in checks]
        got = [(one.check.kind, key_of(one.check.kind, one.check.params)) for one in found]
        tally.add(gold, got)
        exact += Counter(gold) == Counter(got)
        if errors and Counter(gold) != Counter(got):
            print(f"--- {number}: {prompt!r}\n    missed {_less(gold, got)}\n    extra  {_less(got, gold)}")
    return tally, exact, seconds


def _less(one: list[tuple[str, str]], other: list[tuple[str, str]]) -> list[str]:
    return [key for _, key in (Counter(one) - Counter(other)).elements()]


def main() -> int:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--data", type=Path, required=True, help="IFEval's prompts with metadata, JSONL")
    parser.add_argument("--half", choices=("first", "second", "all"), default="all")
    parser.add_argument("--errors", action="store_true", help="print every prompt that is not found exactly")
    parser.add_argument("--json", action="store_true", help="end stdout with one JSON object")
    told = parser.parse_args()
    try:
        rows = rows_of(told.data)
    except AdhereError as error:
        print(error, file=sys.stderr)
        return error.code
    parts = {"first": rows[:FIRST_HALF], "second": rows[FIRST_HALF:], "all": rows}
    tally, exact, seconds = measure(parts[told.half], told.errors)
    table = {kind: tally.row([kind]) for kind in IFEVAL_TYPES}
    total = tally.row([*IFEVAL_TYPES, *(kind for kind in tally.gold if kind not in IFEVAL_TYPES)])
    print(f"{'type':<50} gold found  precision recall   by kind: precision recall")
    for kind, row in [*table.items(), ("all", total)]:
        print(
            f"{kind:<50} {row['gold']:4} {row['found']:5}  {row['precision']:9.3f} {row['recall']:6.3f}"
            f"            {row['kind_precision']:9.3f} {row['kind_recall']:6.3f}"
        )
    prompts = len(parts[told.half])
    print(f"{exact} of {prompts} prompts found exactly, {1000 * seconds / max(prompts, 1):.2f} ms a prompt")
    if told.json:
        summary = {"half": told.half, "prompts": prompts, "exact": exact, "seconds": seconds, "all": total}
        print(json.dumps({**summary, "types": table}))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
