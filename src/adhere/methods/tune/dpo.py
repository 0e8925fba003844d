"""Direct preference optimisation on (passing, failing) replies to the same instruction.

Paper: Rafailov, Sharma, Mitchell, Ermon, Manning, Finn, "Direct Preference Optimization: Your Language Model is
Secretly a Reward Model", NeurIPS 2023 (arXiv 2305.18290), sections 4 and appendix B.

The idea in five lines:
1. The log-ratio between the tuned and the frozen model is an implicit reward.
2. The chosen reply should have a higher one than the rejected: -log sigmoid(beta * difference).
3. Chosen replies here are those that pass every check, rejected ones those that failed one.
4. Looping replies are among the rejected, so looping itself is pushed down.
5. A share of likelihood on the chosen reply keeps it from falling with the rejected one.

What the paper says: beta 0.1, full tuning at 1e-6 (RMSprop), summed log-probabilities. What its code does: the same.
What we do: the same loss through a LoRA adapter, hence a higher learning rate; `sft` adds a mean-token
likelihood of the chosen reply (as in "From Complex to Simple", which joins DPO with SFT). The frozen model is
the adapter switched off, so nothing is loaded twice.
Left out: reference-model synchronisation, other losses of the family.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from adhere.core.errors import DataError
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
    summary="Prefer replies that pass over replies that fail, against the frozen model.",
    version="1",
    family="tuning",
    paper="arXiv:2305.18290",
    needs=("Trains",),
    builds_on=("sft",),
    claim="DPO on pairs of a passing and a failing reply follows more constraints than SFT on the passing ones alone.",
    metric="share of constraints followed, strict",
)


@dataclass(frozen=True)
class Settings(TuneSettings):
    """Numbers of the training run.

    `beta` as in the paper; `smoothing` is the share of pairs taken to be wrong way round; `sft` the weight of
    the chosen reply's likelihood. Beside them the numbers of every tuning (`TuneSettings`).
    """

    beta: float = 0.1
    smoothing: float = 0.0
    sft: float = 0.2
    learning_rate: float = 1e-4
    epochs: float = 1.0
    tokens_per_step: int = 4096
    warmup_share: float = 0.1


def tune(
    model: Trains,
    records: Sequence[Record],
    place: Path,
    settings: Settings,
    seed: int = 0,
    progress: Progress = silent,
    should_stop: Callable[[], bool] = lambda: False,
) -> Tuned:
    """The model tuned on the pairs of `records` that have both replies; its files in `place`."""
    from adhere.models.chat import ChatTokenizer
    from adhere.training.adapt import Objective, adapt
    from adhere.training.encode import encode_preferences
    from adhere.training.lora import with_reference
    from adhere.training.losses import Dpo

    if not any(record.reply is not None and record.rejected is not None for record in records):
        raise DataError(
            f"dpo needs rows with a chosen and a rejected reply, found none among {len(records)}",
            'A row is {"prompt": ..., "chosen": ..., "rejected": ...}.',
        )
    encoded = encode_preferences(records, ChatTokenizer(model.weights), settings.max_length)
    loss = Dpo(settings.beta, settings.smoothing, settings.sft)
    objective = Objective("dpo", encoded, loss, settings.schedule(seed), with_reference)
    return adapt(model, objective, place, progress, should_stop)


def prove(lab: Lab) -> Proof:
    """SFT on the chosen replies ("Preferred-FT" of section 6.1) against DPO on the pairs; two epochs for both."""
    from adhere.evals.lab import WARM
    from adhere.methods.tune import sft

    bench, pairs = lab.benchmark("seen", 60), lab.pairs(160)[: lab.count(48)]
    # A few dozen pairs are all there is: small steps at a higher rate, so that there are some to go.
    settings = Settings(learning_rate=3e-4, tokens_per_step=1024, epochs=2.0)
    with lab.at("base"):
        chosen = lab.tune_each("preferred", lambda place, n: sft.tune(lab.trainable, pairs, place, sft.Settings(), n))
        base = lab.grade_each(chosen, bench, WARM)
    with lab.at("treated"):
        tuned = lab.tune_each("dpo", lambda place, n: tune(lab.trainable, pairs, place, settings, n))
        treated = lab.grade_each(tuned, bench, WARM)
    outcome = lab.graded_outcome(bench.records, base, treated, ("SFT on the passing replies", "DPO on the pairs"))
    return lab.proof("dpo", CARD, outcome)
