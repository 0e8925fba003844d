"""Two evaluations of the same benchmark, paired by prompt: is one model better than the other?

    adhere evaluate ifeval --data input_data.jsonl -o base.jsonl
    adhere evaluate ifeval --data input_data.jsonl --model runs/RUN/kept -o tuned.jsonl
    python bench/paired.py base.jsonl tuned.jsonl [--json]

The files are what `adhere evaluate ... -o` writes: a row for each reply, with its verdicts. The measure of a prompt is
the mean of "all instructions followed" and "share of instructions followed", strict: its mean over prompts is near the
mean of IFEval's two strict levels (which weighs instructions, not prompts, on the second level).
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import fmean
from typing import Any

from adhere.core.statistics import paired_difference


def scores_of(path: Path) -> dict[tuple[str, int], float]:
    """The measure by (record, seed); rows that were not judged are left out."""
    found = {}
    with path.open(encoding="utf-8") as file:
        for line in file:
            row: dict[str, Any] = json.loads(line)
            passed = [check["strict"]["passed"] for check in row["checks"]]
            if passed and None not in passed:
                found[row["record"], row["seed"]] = (all(passed) + fmean(passed)) / 2
    return found


def main() -> None:
    """Parse the command line, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("base", type=Path)
    parser.add_argument("tuned", type=Path)
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    base, tuned = scores_of(chosen.base), scores_of(chosen.tuned)
    both = [key for key in base if key in tuned]
    found = paired_difference([base[key] for key in both], [tuned[key] for key in both], [key[0] for key in both])
    print(
        f"base {fmean(base[key] for key in both):.1%}, tuned {fmean(tuned[key] for key in both):.1%}, difference "
        f"{100 * found.difference:+.1f} points (95 % {100 * found.low:+.1f} to {100 * found.high:+.1f}), {found.n} "
        f"prompts: {found.wins} better, {found.losses} worse, p = {found.p:.2g} (sign test)"
    )
    if chosen.json:
        told = {"difference": found.difference, "interval": found.ends, "n": found.n, "p": found.p}
        print(json.dumps(told))


if __name__ == "__main__":
    main()
