"""Our held-out benchmark: seen families on unseen prompts, unseen families, and plain instructions.

Ours, after two findings about published evaluations: a verifier used as reward must not be the one that is
reported, and a score says nothing without the floor that a constant answer reaches.

The idea in five lines:
1. Prompts of our own, in words and phrasings that never stand in training data (refused if they do).
2. `seen`: constraints of IFEval's nine families, which training composes.
3. `unseen`: four families that training never composes.
4. `plain`: no constraint; does the model still answer, and does it end by itself?
5. Several sampling seeds per prompt; intervals treat the prompt, not the reply, as the unit.

Settings are chosen on the part `development`; what is reported comes from the part `test`.

What is left out: judged quality of answers; `plain` only guards against broken ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from adhere.core.errors import SettingsError
from adhere.core.method import Card
from adhere.core.model import Generates, Sampling
from adhere.core.progress import Progress, silent
from adhere.core.statistics import proportion_interval
from adhere.evals.floor import null_floor
from adhere.evals.grade import Graded, followed, grade, sound
from adhere.evals.heldout import SLICES, Part, check_part, heldout_benchmark, heldout_prompts
from adhere.evals.report import EvaluationReport, in_words
from adhere.verify.catalogue import ALL_TYPES

CARD = Card(
    summary="Held-out prompts in three slices: seen families, unseen families, plain instructions.",
    version="2",
    family="evaluation",
    needs=("Generates",),
)


@dataclass(frozen=True)
class Settings:
    """How many `seeds`, which is replies per prompt, and how these are drawn.

    `part` is `test`, the default and the one to report, or `development`, the one to choose settings on.
    `temperature`, `top_p` and `top_k` shape the sampling, `max_tokens` ends a reply.
    """

    seeds: int = 3
    temperature: float = 0.7
    top_p: float = 0.95
    top_k: int = 40
    max_tokens: int = 320
    part: str = "test"


def evaluate(
    model: Generates,
    settings: Settings,
    data: Path | None = None,
    seed: int = 0,
    limit: int | None = None,
    progress: Progress = silent,
) -> EvaluationReport:
    """Grade `model` on all three slices of a part, at most `limit` prompts of each."""
    if data is not None:
        raise SettingsError("the held-out benchmark brings its own prompts", "Leave --data out.")
    check_part(settings.part)
    part = cast(Part, settings.part)
    values: dict[str, Any] = {"model": model.name, "part": part, "slices": {}}
    lines = [f"Held-out benchmark, part {part}, {model.name}: {settings.seeds} replies per prompt"]
    gradings: list[Graded] = []
    sampling = Sampling(settings.max_tokens, settings.temperature, settings.top_p, settings.top_k)
    for name in SLICES:
        count = None if limit is None else min(limit, len(heldout_prompts(name, part)))
        benchmark = heldout_benchmark(name, count, part=part)
        graded = grade(model, benchmark, range(1000 * seed, 1000 * seed + settings.seeds), sampling, progress)
        metric = sound if name == "plain" else followed
        share = proportion_interval([metric(row) for row in graded.rows], [row.record for row in graded.rows])
        floor = null_floor(benchmark.records, ALL_TYPES)
        beside = f"   floor {100 * floor.best_followed.followed:.1f} % by {floor.shown}" if floor else ""
        what = "sound replies" if name == "plain" else "constraints followed"
        lines.append(f"  {name:7} {what:21} {in_words(share)}{beside}")
        floor_share = floor.best_followed.followed if floor else None
        summary = {**graded.summary(), "interval": [share.low, share.high], "floor": floor_share}
        values["slices"][name] = summary
        gradings.append(graded)
    return EvaluationReport(values, tuple(lines), tuple(gradings))
