"""Tokens per second of LoRA tuning: our loop beside a plain peft loop, and whether their losses agree.

    python bench/train.py [--model smollm2-135m] [--steps 4] [--json]

All variants train the same optimiser steps of two full rows of 512
tokens: ours on a flat stream of segments, peft on rows with positions that start anew in each segment and no
attention mask, which is how transformers keeps packed segments apart. The variants take turns, and a variant's rate
is its fastest step, so that other work on the machine disturbs the comparison less. The limit is the measured rate
of matrix products in the precision of ours over the 4 x parameters FLOP that LoRA needs per token. `peft` must be
installed.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from pydoc_data.topics import topics
from typing import Any

import torch

from adhere.core.model import Trains
from adhere.models.chat import ChatTokenizer
from adhere.models.llama import pick_precision
from adhere.models.resolve import open_model
from adhere.training.encode import Example, Unit
from adhere.training.loop import train_step
from adhere.training.lora import LoraTrainee
from adhere.training.losses import Nll
from adhere.training.packing import Batch, join
from adhere.training.schedule import Schedule
from ceiling import parameters_of, product_rate

ROW, ROWS = 512, 2
SCHEDULE = Schedule(learning_rate=1e-3, warmup_share=0.0, decay="constant", alpha=32.0, clip=1.0)
Step = Callable[[], float]


def draw_batches(folder: Path, steps: int) -> list[Batch]:
    """Steps of two rows of exactly 512 tokens, segments of 60 to 260, about 60 % of them labelled.

    The text is Python's own language reference, which is on every machine that runs this.
    """
    draw = random.Random(0)
    text = "\n".join(topics[name] for name in sorted(topics))
    tokens = iter(ChatTokenizer(folder).encode_text(text[: 8 * steps * ROW * ROWS]))
    batches = []
    for _ in range(steps):
        rows = []
        for _ in range(ROWS):
            left, row = ROW, []
            while left:
                length = min(left, draw.randint(60, 260))
                length = left if left - length < 20 else length
                row.append(_unit([next(tokens) for _ in range(length)]))
                left -= length
            rows.append(tuple(row))
        batches.append(Batch(tuple(rows)))
    return batches


def _unit(ids: list[int]) -> Unit:
    return (Example(tuple(ids), tuple(index >= 0.4 * len(ids) for index in range(len(ids)))),)


def ours(folder: Path, batches: list[Batch], precision: str) -> Iterator[float]:
    """The loss of each step of our loop, one step per `next`."""
    schedule = replace(SCHEDULE, precision=precision, device="cpu")
    trainee = LoraTrainee.open(folder, schedule)
    told: list[float] = []
    optimizer = torch.optim.AdamW(trainee.parameters, lr=schedule.learning_rate, weight_decay=0.0, foreach=True)

    for batch in batches:
        trainee.begin_step(len(told))
        told.append(train_step(trainee, batch, Nll(), optimizer, schedule.clip)[0])
        yield told[-1]


def with_peft(folder: Path, batches: list[Batch], precision: str) -> Iterator[float]:
    """The loss of each step of the usual loop: transformers, peft, AdamW, logits of every position."""
    import peft
    import transformers

    transformers.utils.logging.set_verbosity_error()
    kind = torch.bfloat16 if precision == "bf16" else torch.float32
    transformers.utils.logging.disable_progress_bar()
    model = transformers.AutoModelForCausalLM.from_pretrained(str(folder), dtype=kind)
    adapted = peft.get_peft_model(
        model,
        peft.LoraConfig(
            r=SCHEDULE.rank,
            lora_alpha=SCHEDULE.alpha,
            lora_dropout=0.0,
            target_modules=list(SCHEDULE.targets),
            task_type="CAUSAL_LM",
        ),
        autocast_adapter_dtype=True,
    )
    _same_start(adapted, folder)
    parameters = [parameter for parameter in adapted.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=SCHEDULE.learning_rate, weight_decay=0.0, foreach=True)
    adapted.train()
    for batch in batches:
        streams = [join(row) for row in batch.rows]
        ids = torch.tensor([stream.ids for stream in streams])
        positions = torch.tensor([stream.positions for stream in streams])
        labels = torch.full_like(ids, -100)
        for row, stream in enumerate(streams):
            labels[row, torch.tensor(stream.places)] = torch.tensor(stream.targets)
        optimizer.zero_grad(set_to_none=True)
        logits = adapted(input_ids=ids, position_ids=positions, use_cache=False).logits
        loss = torch.nn.functional.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), ignore_index=-100)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, SCHEDULE.clip)
        optimizer.step()
        yield float(loss.detach())


def _same_start(adapted: Any, folder: Path) -> None:
    """Give the peft model the A matrices that our adapter starts with."""
    start = LoraTrainee.open(folder, replace(SCHEDULE, precision="fp32", device="cpu")).state()
    with torch.no_grad():
        for name, parameter in adapted.named_parameters():
            if ".lora_" in name:
                part = name.removeprefix("base_model.model.model.").replace(".default.weight", "")
                parameter.copy_(start[part])


def measure(folder: Path, steps: int) -> dict[str, Any]:
    """Run all variants in turns and put the numbers together."""
    batches = draw_batches(folder, steps)
    best_precision = "bf16" if pick_precision("auto", torch.device("cpu")) == torch.bfloat16 else "fp32"
    variants = {
        "ours": ours(folder, batches, best_precision),
        "ours fp32": ours(folder, batches, "fp32"),
        "peft bf16": with_peft(folder, batches, "bf16"),
        "peft fp32": with_peft(folder, batches, "fp32"),
    }
    losses: dict[str, list[float]] = {name: [] for name in variants}
    fastest = dict.fromkeys(variants, float("inf"))
    for step in range(steps):
        for name, variant in variants.items():
            start = time.perf_counter()
            losses[name].append(next(variant))
            if step:  # the first one loads the model
                fastest[name] = min(fastest[name], time.perf_counter() - start)
            print(f"step {step + 1} {name}: loss {losses[name][-1]:.4f}", file=sys.stderr, flush=True)
    rates = {name: ROW * ROWS / seconds for name, seconds in fastest.items()}
    kind = torch.bfloat16 if best_precision == "bf16" else torch.float32
    theirs = {name: rates[name] for name in ("peft bf16", "peft fp32")}
    return {
        "precision": best_precision,
        "threads": torch.get_num_threads(),
        "losses": {name: [round(value, 4) for value in found] for name, found in losses.items()},
        "apart_from_peft_fp32": {
            name: round(max(abs(one - other) for one, other in zip(found, losses["peft fp32"], strict=True)), 5)
            for name, found in losses.items()
        },
        "ours_fp32": rates["ours fp32"],
        "ours": rates["ours"],
        "theirs": theirs,
        "ratio": {name: rates["ours"] / rate for name, rate in theirs.items()},
        "limit": product_rate(kind) / (4 * parameters_of(folder)),
    }


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--json", action="store_true", help="end stdout with one JSON object")
    told = parser.parse_args()
    opened = open_model(told.model)
    if not isinstance(opened, Trains):
        parser.error(f"{told.model} has no weights here")
    found = measure(opened.weights, max(2, told.steps))
    if told.json:
        print(json.dumps({name: found[name] for name in found}))
        return
    print(f"{'variant':12} tokens/s  apart from peft fp32 (worst loss of {told.steps} steps)")
    rates = {"ours": found["ours"], "ours fp32": found["ours_fp32"], **found["theirs"]}
    for name, rate in rates.items():
        print(f"{name:12} {rate:8.0f}  {found['apart_from_peft_fp32'][name]:.4f}")
    print(f"{'limit':12} {found['limit']:8.0f}")


if __name__ == "__main__":
    main()
