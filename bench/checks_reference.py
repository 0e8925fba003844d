"""The reference's side of `bench/checks.py`: judges rows from stdin with the lm_eval found in the folder named.

Started with `-S` so that nothing but that folder and the standard library is importable. lm_eval's package files are
passed over, because they import much that the checkers do not need.
"""

from __future__ import annotations

import json
import sys
import time
import types
from pathlib import Path

folder = Path(sys.argv[1])
sys.path.insert(0, str(folder))
for name in ("lm_eval", "lm_eval.tasks", "lm_eval.tasks.ifeval"):
    package = types.ModuleType(name)
    package.__path__ = [str(folder / name.replace(".", "/"))]
    sys.modules[name] = package

import langdetect  # noqa: E402
from lm_eval.tasks.ifeval import utils  # noqa: E402

langdetect.DetectorFactory.seed = 0
given = json.load(sys.stdin)
examples = [
    utils.InputExample(row["key"], row["instruction_id_list"], row["prompt"], row["kwargs"]) for row in given["rows"]
]
responses = [row["response"] for row in given["rows"]]


def work() -> list[list[list[bool]]]:
    found = []
    for example, response in zip(examples, responses, strict=True):
        strict = utils.test_instruction_following_strict(example, response)
        loose = utils.test_instruction_following_loose(example, response)
        found.append([strict.follow_instruction_list, loose.follow_instruction_list])
    return found


verdicts = work()
seconds = []
for _ in range(given["repeats"]):
    start = time.perf_counter()
    work()
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": min(seconds), "verdicts": verdicts}))
