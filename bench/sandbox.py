"""Executions of a small function per second in the sandbox, for each mechanism that this machine offers.

    python bench/sandbox.py [--jobs 500] [--workers 1] [--json]

The function counts words, as a generated check does. `start_ms` is from nothing to the first answer, `ms` the median
from asking to answer with one caller, `cpu_ms` the CPU of all processes of the box per execution, `per_s` executions a
second over the pool. `python_ms` is what a fresh interpreter takes for the same, without any protection.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time

from adhere.verify.sandbox import Limits, Sandbox, mechanisms

SOURCE = "import re\n\ndef holds(reply):\n    return len(re.findall(r'\\w+', reply)) >= 3\n"
JOB = (SOURCE, "holds", ["three words here"])


def cpu_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measured(mechanism: str, jobs: int, workers: int) -> dict[str, float]:
    before, began = cpu_of_children(), time.perf_counter()
    with Sandbox(workers=workers, limits=Limits(wall_s=10.0), mechanism=mechanism) as sandbox:
        assert sandbox.call(*JOB).value is True
        start, each = time.perf_counter() - began, []
        for _ in range(jobs):
            began = time.perf_counter()
            assert sandbox.call(*JOB).value is True
            each.append(time.perf_counter() - began)
        for _ in sandbox.map_calls([JOB] * 4 * workers):
            continue  # every worker is started
        began = time.perf_counter()
        assert all(done.value is True for done in sandbox.map_calls([JOB] * jobs))
        pooled = time.perf_counter() - began
    cpu = (cpu_of_children() - before) / (2 * jobs)
    return {
        "start_ms": start * 1e3,
        "ms": statistics.median(each) * 1e3,
        "cpu_ms": cpu * 1e3,
        "per_s": jobs / pooled,
    }


def fresh_interpreter(runs: int = 20) -> float:
    """Milliseconds for the same work in a new, unprotected Python."""
    each = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-I", "-S", "-c", SOURCE + "\nholds('three words here')"], check=True)
        each.append(time.perf_counter() - began)
    return statistics.median(each) * 1e3


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found: dict[str, object] = {"jobs": given.jobs, "workers": given.workers, "python_ms": fresh_interpreter()}
    for name, state in mechanisms().items():
        found[name] = measured(name, given.jobs, given.workers) if state == "available" else state
    if given.json:
        print(json.dumps(found))
        return
    print(f"a fresh interpreter takes {found['python_ms']:.1f} ms")
    for name in mechanisms():
        row = found[name]
        told = ", ".join(f"{key} {value:.1f}" for key, value in row.items()) if isinstance(row, dict) else row
        print(f"{name}: {told}")


if __name__ == "__main__":
    main()
