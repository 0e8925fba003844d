"""IFEval: 541 prompts with 25 types of verifiable instructions, strict and loose.

Paper: Zhou, Lu, Mishra, Brahma, Basu, Luan, Zhou, Hou, "Instruction-Following Evaluation for Large Language
Models", 2023 (arXiv 2311.07911).

The idea in five lines:
1. Ask for things that a program can check: at least 300 words, no commas, a title in double angles.
2. Prompt level counts replies that follow every instruction, instruction level counts instructions.
3. Strict judges the reply as given; loose also tries it without asterisks, first or last line.
4. Greedy decoding, chat template on, at most 1,280 new tokens (the protocol of the published small-model numbers).
5. Beside the numbers stands the floor: what the best constant answer scores. It is above some small models.

What the paper says and its code does: the same four numbers, without intervals; two rows whose letter is `#` or
`!` are judged against a random letter, and language detection is random.
What we do: letters as written, seeded language detection, intervals at both levels, failed asks not judged.
Left out: nothing of the benchmark; its data is not shipped (`--data FILE`, or the hub).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from adhere.core.errors import DataError
from adhere.core.method import Card
from adhere.core.model import Generates, Sampling
from adhere.core.progress import Progress, silent
from adhere.evals.floor import null_floor
from adhere.evals.grade import grade
from adhere.evals.ifeval import ifeval_report, read_ifeval
from adhere.evals.report import EvaluationReport, ifeval_in_words
from adhere.verify.catalogue import IFEVAL_TYPES

CARD = Card(
    summary="IFEval's four numbers with intervals and the floor of the best constant answer.",
    version="1",
    family="evaluation",
    paper="arXiv:2311.07911",
    needs=("Generates",),
)


@dataclass(frozen=True)
class Settings:
    """How replies are drawn: the published protocol is greedy (`temperature` 0) and at most 1,280 `max_tokens`.

    `top_p` matters only where the temperature is above 0.
    """

    max_tokens: int = 1280
    temperature: float = 0.0
    top_p: float = 1.0


def evaluate(
    model: Generates,
    settings: Settings,
    data: Path | None = None,
    seed: int = 0,
    limit: int | None = None,
    progress: Progress = silent,
) -> EvaluationReport:
    """Grade `model` on IFEval's file; without `data` it is fetched from the hub."""
    benchmark = read_ifeval(data or _from_hub())
    if limit is not None:
        benchmark = msgspec.structs.replace(benchmark, records=benchmark.records[:limit])
    sampling = Sampling(settings.max_tokens, settings.temperature, settings.top_p)
    graded = grade(model, benchmark, (seed,), sampling, progress)
    report = ifeval_report(graded, benchmark, null_floor(benchmark.records, IFEVAL_TYPES))
    return EvaluationReport(report.for_json(), ifeval_in_words(report), (graded,))


def _from_hub() -> Path:
    hint = "Give the file: adhere evaluate ifeval --data input_data.jsonl"
    try:
        from huggingface_hub import hf_hub_download
    except ModuleNotFoundError:
        raise DataError("IFEval's file is needed, and the package huggingface_hub is not installed", hint) from None
    try:
        return Path(hf_hub_download("google/IFEval", "ifeval_input_data.jsonl", repo_type="dataset", etag_timeout=5))
    except Exception as error:  # the hub's library raises its own, requests' and the system's errors
        raise DataError(f"IFEval's file could not be fetched from the hub: {type(error).__name__}", hint) from error
