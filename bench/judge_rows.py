"""Files of replies judged by `adhere verify FILE`: rows per second and memory as the file grows, on all cores.

    python bench/judge_rows.py [--rows 1000,10000,100000] [--json]

Rows are our own seed instructions composed with constraints, each with one of our constant answers as its reply, every
row another one by a number at its end. Memory is the peak resident size of the parent and of its largest worker. Growth
is linear and memory flat where the last two columns stay as they are.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from adhere.data.seeds import shipped_seeds
from adhere.evals.floor import constant_answers
from adhere.verify.catalogue import IFEVAL_TYPES
from adhere.verify.compose import compose

PROMPTS = 400


def write_rows(path: Path, rows: int) -> None:
    """A file of that many rows, the same at every call."""
    rng = random.Random(0)
    types = tuple(IFEVAL_TYPES.values())
    composed = (compose(rng, seed, 1 + rng.randrange(3), types) for seed in shipped_seeds()[:PROMPTS])
    prompts = [
        {
            "prompt": one.instruction,
            "checks": [{"kind": check.kind, "params": check.params} for check in one.checks],
        }
        for one in composed
        if one is not None
    ]
    answers = constant_answers()
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            row = {**rng.choice(prompts), "reply": f"{rng.choice(answers)} {number}"}
            file.write(json.dumps(row) + "\n")


def judged(path: Path) -> dict[str, float]:
    """Seconds and peak megabytes of one run of the command, in a process of its own."""
    code = (
        "import json, resource, sys; from adhere.app.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "who = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN\n"
        "peak = [resource.getrusage(one).ru_maxrss / 1024 for one in who]\n"
        "print(json.dumps(peak), file=sys.stderr)"
    )
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, "verify", str(path), "-o", os.devnull],
        stderr=subprocess.PIPE,
        text=True,
        check=True,
    )
    seconds = time.perf_counter() - start
    parent, worker = json.loads(done.stderr.splitlines()[-1])
    return {"seconds": seconds, "parent_mb": parent, "worker_mb": worker}


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", default="1000,10000,100000")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    found = []
    print(f"{'rows':>9} {'seconds':>8} {'rows/s':>7} {'parent MB':>9} {'worker MB':>9}")
    with tempfile.TemporaryDirectory() as folder:
        for rows in map(int, chosen.rows.split(",")):
            path = Path(folder) / f"{rows}.jsonl"
            write_rows(path, rows)
            one = {"rows": rows, **judged(path)}
            found.append(one)
            print(
                f"{rows:9,} {one['seconds']:8.1f} {rows / one['seconds']:7.0f} {one['parent_mb']:9.0f} "
                f"{one['worker_mb']:9.0f}"
            )
    if chosen.json:
        print(json.dumps({"ours": found[-1]["rows"] / found[-1]["seconds"], "theirs": {}, "ratio": {}, "steps": found}))


if __name__ == "__main__":
    main()
