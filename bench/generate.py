"""Generated tokens per second: our engine beside transformers' own generation, in one run.

    python bench/generate.py [--model smollm2-135m] [--prompts 64] [--tokens 128] [--json]

Both answer the same prompts greedily, prefill included and loading left out. The naive way is transformers in fp32
with padded batches of eight, as its documentation shows. The limit is the measured rate of matrix products in bf16
(fp32 where the processor has no bf16) over the 2 x parameters FLOP that a token needs; prompts are not counted.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence

from adhere.core.model import Ask, Generates, Sampling, Trains, replies
from adhere.data.seeds import shipped_seeds
from adhere.models.llama import pick_device, pick_precision
from adhere.models.local import LocalModel
from adhere.models.resolve import open_model
from ceiling import parameters_of, product_rate


def rate(model: Generates, asks: Sequence[Ask]) -> float:
    """Generated tokens per second, after a warm-up that loads the engine."""
    replies(model, asks[:2])
    start = time.perf_counter()
    written = sum(reply.tokens_out for reply in replies(model, asks))
    return written / (time.perf_counter() - start)


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--json", action="store_true", help="end stdout with one JSON object")
    told = parser.parse_args()
    opened = open_model(told.model)
    if not isinstance(opened, Trains):
        parser.error(f"{told.model} has no weights here")
    folder = opened.weights
    asks = [Ask(seed.messages, Sampling(max_tokens=told.tokens)) for seed in shipped_seeds()[: told.prompts]]
    with LocalModel(folder) as model:
        ours = rate(model, asks)
    with LocalModel(folder, engine="torch") as model:
        theirs = rate(model, asks)
    limit = product_rate(pick_precision("auto", pick_device("cpu"))) / (2 * parameters_of(folder))
    found = {"ours": ours, "theirs": {"transformers": theirs}, "ratio": {"transformers": ours / theirs}, "limit": limit}
    if told.json:
        print(json.dumps(found))
        return
    print(f"ours {ours:.0f}, transformers {theirs:.0f} ({ours / theirs:.1f} x), limit {limit:.0f} tokens a second")


if __name__ == "__main__":
    main()
