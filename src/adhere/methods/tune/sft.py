"""Supervised fine-tuning on verified replies, through a LoRA adapter.

Papers: supervised fine-tuning on instruction data as in Wei et al. 2022 (FLAN, arXiv 2109.01652); adapter from
Hu et al. 2022 (LoRA, arXiv 2106.09685).

The idea in five lines:
1. The loss is the negative log-likelihood of the assistant's tokens only, the end-of-turn token included.
2. It is averaged over all labelled tokens of an optimiser step, so that long and short replies weigh
   by their tokens and accumulation over micro-batches changes nothing.
3. Rows are packed without seeing each other.
4. Rows longer than `max_length` are left out, not cut: a cut reply teaches stopping in the middle.
5. Only the adapter moves: rank 16 on all seven projections.

What the LoRA paper says: adapt the attention projections q and v, scale by alpha / rank. What later practice
(and every tuning library) does: all linear layers. What we do: all linear layers, alpha = 2 * rank, a
learning rate far above that of full tuning, constant data order per seed.
A row may carry `notes["weight"]`, a number above 0 and at most 100 that its loss is multiplied by; anything else
counts as 1.
Left out: full tuning, dropout by default, NEFTune noise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from adhere.core.method import Card
from adhere.core.model import Trains
from adhere.core.progress import Progress, silent
from adhere.core.record import Record
from adhere.training.schedule import TuneSettings

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab
    from adhere.training.adapt import Tuned

CARD = Card(
    summary="Likelihood of the assistant's tokens, packed, through a LoRA adapter.",
    version="1",
    family="tuning",
    paper="arXiv:2106.09685",
    needs=("Trains",),
    claim="Tuned on its own replies, corrected by code until their checks pass, a model follows more constraints than "
    "before.",
    metric="share of constraints followed, strict",
)


@dataclass(frozen=True)
class Settings(TuneSettings):
    """The numbers of every tuning (`TuneSettings`), and no further ones."""


def tune(
    model: Trains,
    records: Sequence[Record],
    place: Path,
    settings: Settings,
    seed: int = 0,
    progress: Progress = silent,
    should_stop: Callable[[], bool] = lambda: False,
) -> Tuned:
    """The model tuned on the replies of `records`; its files in `place`."""
    from adhere.models.chat import ChatTokenizer
    from adhere.training.adapt import Objective, adapt
    from adhere.training.encode import encode_records
    from adhere.training.losses import Nll

    encoded = encode_records(records, ChatTokenizer(model.weights), settings.max_length)
    return adapt(model, Objective("sft", encoded, Nll(), settings.schedule(seed)), place, progress, should_stop)


def prove(lab: Lab) -> Proof:
    """The model as it is against the model tuned for an epoch on replies of its own that pass, one tuning per seed."""
    from adhere.evals.lab import WARM
    from adhere.verify.catalogue import ALL_TYPES
    from adhere.verify.repair import correct

    bench = lab.benchmark("seen", 60)
    given = lab.rows(160)
    mended = [(one, correct(one, one.reply or "", ALL_TYPES)) for one in given]
    rows = [one.with_reply(found.reply) for one, found in mended if not found.failing][: lab.count(240)] or given
    with lab.at("base"):
        base = lab.grade(lab.model, bench, WARM)
    with lab.at("treated"):
        tuned = lab.tune_each("sft", lambda place, n: tune(lab.trainable, rows, place, Settings(epochs=1.0), n))
        treated = lab.grade_each(tuned, bench, WARM)
    outcome = lab.graded_outcome(bench.records, base, treated, ("not tuned", "tuned"))
    outcome.numbers["rows"] = float(len(rows))
    remark = "Without the correction 47 rows pass as they come: tuning on those showed no difference (LOG.md)."
    return lab.proof("sft", CARD, msgspec.structs.replace(outcome, remark=remark))
