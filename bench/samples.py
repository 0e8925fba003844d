"""Several samples of each prompt on OpenVINO: prompts read once for all of them, beside every prompt read whole.

    python bench/samples.py [--model smollm2-135m] [--prompts 40] [--samples 3] [--tokens 170] [--system 0,600]
                            [--precision auto] [--order] [--json]

One case for each length of system prompt in `--system` (tokens, about). Rates are tokens written per second; `read` is
the share of the prompt tokens that had to be computed, as the engine's bookkeeping has it. `--order` measures besides
how many replies change when the same asks come backwards, and how many with sharing against without; that is arithmetic
in another order, which `f32` mostly does not show and bf16 does.
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any, get_args

from adhere.core.model import Ask, Reply, Sampling, Trains, replies
from adhere.core.record import system, user
from adhere.data.seeds import shipped_seeds
from adhere.models.chat import ChatTokenizer
from adhere.models.openvino_engine import OpenVinoEngine, Precision
from adhere.models.prepared import PreparedWeights
from adhere.models.resolve import open_model


def asks_of(chat: ChatTokenizer, told: argparse.Namespace, length: int) -> list[Ask]:
    """Prompts of about 88 tokens, by samples as an evaluation asks: all prompts, then all once more."""
    seeds = shipped_seeds()
    words = " ".join(seed.instruction for seed in seeds).split()
    said = []
    for number in range(told.prompts):
        text, at = seeds[number].instruction, 13 * number
        while len(chat.encode_text(text)) < 57:  # the template adds about 31
            text, at = f"{text} {words[at % len(words)]}", at + 1
        said.append(user(text))
    rules = system(" ".join(words[: int(length * 0.75)])) if length else None
    sampling = Sampling(told.tokens, temperature=0.8, top_p=0.95)
    return [Ask((rules, one) if rules else (one,), sampling, sample) for sample in range(told.samples) for one in said]


def timed(engine: OpenVinoEngine, asks: list[Ask]) -> tuple[list[Reply], float, int]:
    """Replies, seconds, and prompt tokens computed, on a cache that knows none of the prompts."""
    before = engine.prompt_tokens_read
    start = time.perf_counter()
    found = replies(engine, asks)
    return found, time.perf_counter() - start, engine.prompt_tokens_read - before


def case(gguf: Any, chat: ChatTokenizer, told: argparse.Namespace, length: int) -> dict[str, Any]:
    """One length of system prompt: with sharing, without, and how far replies depend on order and sharing."""
    asks = asks_of(chat, told, length)
    warm = [Ask((user("Say hello."),), Sampling(4))]
    results = {}
    for shares in (False, True):
        engine = OpenVinoEngine(gguf, chat, precision=told.precision, shares=shares)
        replies(engine, warm)
        results[shares] = timed(engine, asks)
        if told.order and shares:
            turned = replies(engine, asks[::-1])[::-1]
        engine.close()
    found, seconds, read = results[True]
    whole, whole_seconds, _ = results[False]
    written = [sum(reply.tokens_out for reply in some) for some in (found, whole)]
    rates = [written[0] / seconds, written[1] / whole_seconds]
    told_of: dict[str, Any] = {
        "ours": rates[0],
        "theirs": {"unshared": rates[1]},
        "ratio": {"unshared": rates[0] / rates[1]},
        "prompt_tokens": sum(reply.tokens_in for reply in found) / len(found),
        "reply_tokens": written[0] / len(found),
        "read": read / sum(reply.tokens_in for reply in found),
    }
    if told.order:
        told_of["changed_by_order"] = sum(a.text != b.text for a, b in zip(found, turned, strict=True)) / len(found)
        told_of["changed_by_sharing"] = sum(a.text != b.text for a, b in zip(found, whole, strict=True)) / len(found)
    return told_of


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--prompts", type=int, default=40)
    parser.add_argument("--samples", type=int, default=3)
    parser.add_argument("--tokens", type=int, default=170)
    parser.add_argument("--system", default="0,600", help="lengths of the system prompt in tokens, about")
    parser.add_argument("--precision", choices=get_args(Precision), default="auto")
    parser.add_argument("--order", action="store_true", help="count the replies that order and sharing change")
    parser.add_argument("--json", action="store_true", help="end stdout with one JSON object")
    told = parser.parse_args()
    opened = open_model(told.model)
    if not isinstance(opened, Trains):
        parser.error(f"{told.model} has no weights here")
    chat = ChatTokenizer(opened.weights)
    gguf = PreparedWeights(opened.weights, None).gguf
    cases = {length: case(gguf, chat, told, int(length)) for length in told.system.split(",")}
    if told.json:
        first = next(iter(cases.values()))
        print(json.dumps({**{key: first[key] for key in ("ours", "theirs", "ratio")}, "limit": None, "cases": cases}))
        return
    for length, one in cases.items():
        print(
            f"system prompt {length}: {one['ours']:.0f} tokens a second, unshared {one['theirs']['unshared']:.0f} "
            f"({one['ratio']['unshared']:.2f} x); {one['read']:.0%} of {one['prompt_tokens']:.0f} prompt tokens read, "
            f"replies of {one['reply_tokens']:.0f}"
        )
        if told.order:
            print(f"  changed by order {one['changed_by_order']:.0%}, by sharing {one['changed_by_sharing']:.0%}")


if __name__ == "__main__":
    main()
