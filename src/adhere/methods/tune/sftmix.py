"""SFTMix: besides the likelihood of the data, that of blends of a confident and an unconfident example.

Paper: Xiao, Zhang, Zhou, Ghassemi, Zhao, "SFTMix: Elevating Language Model Instruction Tuning with Mixup Recipe",
ACL 2026 (arXiv 2410.05248), section 3. No code was released.

The idea in five lines:
1. Tune a reference model for an epoch; an example's confidence is the negative mean of its perplexity at checkpoints.
2. Split the data at the median into a confident and an unconfident half.
3. Pair one example of each half; blend their last hidden states, token by token, with a share drawn from Beta(a, a).
4. The head must give the blended targets in the same shares: a Mixup loss over the shorter of the two replies.
5. Loss: that of the next token on all data, plus a small multiple of the Mixup loss, which regularises it.

What the paper says: as above, a = 0.5 and a weight of 0.2; full tuning at 2e-6, 3 epochs, batches of equal halves in
random pairs; as the only loss, Mixup hurts. What we do: the same losses. The head is linear, so blended states have
blended logits, and the loss of blended targets is the blend of the losses: no soft labels are held. The reference is
the adapter itself, tuned for an epoch and put back to its start. A pair stays together, with its share, over all epochs
(drawn from the seed and the pair), where the paper pairs anew; of an odd number of examples the middle one stays alone
and has no Mixup loss. Pairs count by their tokens, as examples do in `sft`. A LoRA adapter, hence a higher learning
rate.
Left out: references of other models, and other ways to split.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from adhere.core.errors import DataError, ModelError
from adhere.core.method import Card
from adhere.core.model import Generates, Scored, Scores, Trains
from adhere.core.progress import Progress, silent
from adhere.core.record import Record
from adhere.training.schedule import TuneSettings

if TYPE_CHECKING:
    from torch import Tensor

    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab
    from adhere.training.adapt import Tuned
    from adhere.training.encode import Example, Unit
    from adhere.training.lora import LoraTrainee
    from adhere.training.schedule import Schedule

CARD = Card(
    summary="Likelihood plus a Mixup loss between confident and unconfident examples.",
    version="1",
    family="tuning",
    paper="arXiv:2410.05248",
    seed=15,
    needs=("Trains",),
    builds_on=("sft",),
    claim="SFTMix has a lower loss on replies to unseen prompts than plain SFT on the same rows for as many epochs.",
    metric="negative log-likelihood per token of held-out replies, nats",
    relation="lower",
)


@dataclass(frozen=True)
class Settings(TuneSettings):
    """Numbers of Mixup and training.

    `mixup` weights the Mixup loss (the paper's 0.2), `shape` is the a of Beta(a, a) (0.5), `checkpoints` of the
    reference epoch give the confidence. Beside them the numbers of every tuning (`TuneSettings`); the paper has 3
    epochs and a weight decay of 0.1.
    """

    mixup: float = 0.2
    shape: float = 0.5
    checkpoints: int = 3
    warmup_share: float = 0.1


@dataclass(frozen=True)
class SftMix:
    """Likelihood of all examples, and per pair (confident, unconfident) the Mixup loss, weighted by its tokens.

    [sum over tokens of -log p + mixup * sum over pairs (n + n') mean over min(n, n') tokens of
    -(share log p(y | z) + (1 - share) log p(y' | z))] / tokens, with z = share * state + (1 - share) * state'.
    """

    mixup: float
    shape: float
    seed: int
    over_states: ClassVar[bool] = True

    def measure(self, units: Sequence[Unit]) -> float:
        """Labelled tokens."""
        return float(sum(len(example.targets) for unit in units for example in unit))

    def __call__(self, seen: Any) -> Tensor:
        """The sum over the units of a row."""
        import torch

        total = -seen.logprobs.sum()
        counts = torch.bincount(seen.owners, minlength=len(seen.examples)).tolist()
        starts = [sum(counts[:at]) for at in range(len(counts))]
        firsts, seconds = list[int](), list[int]()
        shares, weights, at = list[float](), list[float](), 0
        for width in seen.widths:
            if width == 2:
                both, common = counts[at] + counts[at + 1], min(counts[at], counts[at + 1])
                firsts += range(starts[at], starts[at] + common)
                seconds += range(starts[at + 1], starts[at + 1] + common)
                shares += [self.share(seen.examples[at], seen.examples[at + 1])] * common
                weights += [both / common] * common
            at += width
        if not firsts or not self.mixup:
            return total  # type: ignore[no-any-return]  # seen is a SeenStates
        share, weight = seen.logprobs.new_tensor(shares), seen.logprobs.new_tensor(weights)
        blended = share[:, None] * seen.states[firsts] + (1 - share)[:, None] * seen.states[seconds]
        first, second = (seen.read(blended, seen.targets[places]) for places in (firsts, seconds))
        return total - self.mixup * (weight * (share * first + (1 - share) * second)).sum()  # type: ignore[no-any-return]

    def share(self, confident: Example, unconfident: Example) -> float:
        """The confident example's share in the blend of a pair, from the seed and the pair alone."""
        pair = hashlib.sha256(repr((confident.ids, unconfident.ids)).encode()).hexdigest()
        return random.Random(f"sftmix/{self.seed}/{pair}").betavariate(self.shape, self.shape)


def confidence(trainee: LoraTrainee, units: Sequence[Unit], schedule: Schedule, checkpoints: int) -> list[float]:
    """Of each example the negative mean perplexity of its reply at points of an epoch; leaves the trainee as it was."""
    from adhere.training.loop import fit
    from adhere.training.losses import Nll
    from adhere.training.packing import plan_batches

    start = {name: tensor.clone() for name, tensor in trainee.state().items()}
    batches = plan_batches(units, schedule.max_length, schedule.tokens_per_step, 1.0, schedule.seed)
    points = {math.ceil(len(batches) * (at + 1) / checkpoints) for at in range(checkpoints)}
    rows = [(unit[0].ids, unit[0].supervised) for unit in units]
    sums, seen = [0.0] * len(rows), 0

    def look(task: str, done: int, total: int | None = None, note: str = "") -> None:
        nonlocal seen
        if task == "tune" and done in points:
            seen += 1
            for at, values in enumerate(trainee.scorer().score_tokens(rows)):
                sums[at] += math.exp(min(-sum(values) / len(values), 50.0))

    fit(trainee, batches, Nll(), schedule, None, look)
    trainee.load(start)
    return [-one / max(seen, 1) for one in sums]


def paired(units: Sequence[Unit], confidences: Sequence[float], seed: int) -> list[Unit]:
    """Units (confident, unconfident) in random pairs across the median; the middle one of an odd number stays alone."""
    order = sorted(range(len(units)), key=lambda at: (-confidences[at], at))
    half = len(order) // 2
    confident, middle, unconfident = order[:half], order[half : len(order) - half], order[len(order) - half :]
    random.Random(f"sftmix/{seed}").shuffle(unconfident)
    pairs = [(*units[one], *units[other]) for one, other in zip(confident, unconfident, strict=True)]
    return pairs + [units[at] for at in middle]


def tune(
    model: Trains,
    records: Sequence[Record],
    place: Path,
    settings: Settings,
    seed: int = 0,
    progress: Progress = silent,
    should_stop: Callable[[], bool] = lambda: False,
) -> Tuned:
    """The model tuned on the replies of `records` and on blends of them; its files in `place`."""
    from adhere.models.chat import ChatTokenizer
    from adhere.training.adapt import Objective, adapt
    from adhere.training.encode import encode_records

    if settings.checkpoints < 1 or settings.shape <= 0:
        raise DataError(
            f"sftmix needs checkpoints and a shape above 0, found {settings.checkpoints} and {settings.shape}"
        )
    loss, schedule = SftMix(settings.mixup, settings.shape, seed), settings.schedule(seed)
    encoded = encode_records(records, ChatTokenizer(model.weights), settings.max_length)

    def prepare(trainee: LoraTrainee, units: Sequence[Unit]) -> list[Unit]:
        progress("tune: reference epoch", 0, None, "how confident the model is of each row")
        return paired(units, confidence(trainee, units, schedule, settings.checkpoints), seed)

    return adapt(model, Objective("sftmix", encoded, loss, schedule, prepare), place, progress, should_stop)


def prove(lab: Lab) -> Proof:
    """SFTMix with and without its Mixup loss, on the same rows in the same pairs; the loss on replies to other prompts.

    The rows are the model's own replies, corrected by code until their checks pass.
    """
    from adhere.evals.lab import Outcome, by_seed
    from adhere.verify.catalogue import ALL_TYPES
    from adhere.verify.repair import correct

    given = [one for one in lab.rows(160) if len((one.reply or "").split()) <= 96]
    mended = [(one, correct(one, one.reply or "", ALL_TYPES)) for one in given]
    rows = [one.with_reply(found.reply) for one, found in mended if not found.failing] or given
    prompts = list(dict.fromkeys(one.instruction for one in rows))
    known = set(prompts[: len(prompts) * 2 // 3])
    train = [one for one in rows if one.instruction in known][: lab.count(80)]
    held = [one for one in rows if one.instruction not in known][: lab.count(60)]
    held = held or (train if lab.smoke else [])
    plainly = Settings(mixup=0.0)
    with lab.at("base"):
        plain = lab.tune_each("plain", lambda place, n: tune(lab.trainable, train, place, plainly, n))
        base = [one for tuned in plain for one in _losses(tuned.model, held)]
    with lab.at("treated"):
        made = lab.tune_each("mixed", lambda place, n: tune(lab.trainable, train, place, Settings(), n))
        lab.ledger.book_training(sum(one.counts.tokens for one in made))  # the reference epoch
        treated = [one for tuned in made for one in _losses(tuned.model, held)]
    untuned = [-one.mean for one in _losses(lab.model, held)]
    losses = [[-one.mean for one in side] for side in (base, treated)]
    numbers = {"not tuned": round(sum(untuned) / len(untuned), 4), "rows": float(len(train))}
    outcome = Outcome(
        losses[0],
        losses[1],
        [one.instruction for _ in lab.seeds for one in held],
        ("SFT", "SFTMix"),
        numbers={**numbers, **by_seed([seed for seed in lab.seeds for _ in held], *losses)},
        remark="The paper judges chats by a larger model; the loss on unseen replies is what shows at this size. Both "
        "sides train on the same pairs in the same order, the plain one without the Mixup loss.",
    )
    return lab.proof("sftmix", CARD, outcome)


def _losses(model: Generates, rows: Sequence[Record]) -> list[Scored]:
    if not isinstance(model, Scores):
        raise ModelError(f"{model.name} gives no log-probabilities", "Use a local model.")
    return model.score([(one.prompt, one.reply or "") for one in rows])
