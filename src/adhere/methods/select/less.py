"""LESS: keep the rows whose gradient points where the gradients of a few target rows point.

Paper: Xia, Malladi, Gururangan, Arora, Chen, "LESS: Selecting Influential Data for Targeted Instruction Tuning", ICML
2024 (arXiv 2402.04333), sections 3 and 4; code: princeton-nlp/LESS.

The idea in five lines:
1. Warm up an adapter on a small random part of the rows, and keep what it and Adam's moments are after each epoch.
2. There, a row's feature is the step that Adam would take on it alone; a target's is its plain gradient.
3. Losses are means over the tokens of a reply, or else short replies would have the longest gradients.
4. Features are projected at random to a size that can be held, and set to length one.
5. A row's influence on a target is their cosine, summed over the epochs by learning rate; best target group counts.

What the paper says: cosine of Adam's update with the target's gradient, mean over a target task's few examples, the
highest of the tasks; top 5 %. What its code does: m = 0.9 m + 0.1 g and v = 0.999 v + 0.001 g^2 without bias
correction, m / sqrt(v + 1e-8), epsilon inside the root; one backward pass per example; dense random signs in half
precision. What we do: the same formula; the gradients of many examples come out of one backward pass
(`training.per_example`); `projection=sketch` adds up signed numbers in place of a dense matrix of signs, at the same
order of error (`signs` is the paper's). Target rows with one notes["task"] are a group.
Deviations in the settings: rank 8 and alpha 32 for 128 and 512 (the same scale), no dropout for 0.1, steps counted in
tokens, and ten times the learning rate: small models and small adapters hardly move at 2e-5.
Left out: the store of gradients on disk (scores are summed as they come).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from adhere.core.errors import SettingsError
from adhere.core.method import Card
from adhere.core.model import Trains
from adhere.core.progress import Progress, silent
from adhere.core.record import Record, user
from adhere.core.step import Dropped
from adhere.data.ranking import kept_highest

if TYPE_CHECKING:
    from torch import Tensor

    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab
    from adhere.training.encode import Unit
    from adhere.training.lora import LoraTrainee
    from adhere.training.schedule import Schedule

CARD = Card(
    summary="Keep rows whose Adam step points where the gradients of target rows point.",
    version="1",
    family="selection",
    paper="arXiv:2402.04333",
    seed=269,
    needs=("Trains",),
    claim="Tuning on the rows that LESS chooses for a skill leaves a lower loss on that skill than as many at random.",
    metric="loss on held-out replies of the target skill, nats per token",
    relation="lower",
)
BETAS, EPSILON = (0.9, 0.999), 1e-8
SMALL_LETTERS = "Use small letters only, not a single capital."


@dataclass(frozen=True)
class Settings:
    """How influence is measured and what is kept.

    `limit` rows, or at 0 the share `keep` (5 %, section 4). Warm-up: `warmup_share` of the rows (5 %, section 3) over
    `epochs` (4) at `learning_rate` (2e-5 there; see above), steps of `tokens_per_step` tokens, rows up to `max_length`
    tokens (2048 there). `rank` and `alpha` are those of the adapter on q, k, v and o; `size` is that of a feature
    (8192, section 4), `projection` sketch or signs; `precision` is auto, bf16 or fp32.
    """

    limit: int = 0
    keep: float = 0.05
    warmup_share: float = 0.05
    epochs: int = 4
    learning_rate: float = 2e-4
    tokens_per_step: int = 1024
    max_length: int = 768
    rank: int = 8
    alpha: float = 32.0
    size: int = 8192
    projection: str = "sketch"
    precision: str = "auto"


def adam_step(gradients: Tensor, mean: Tensor, square: Tensor) -> Tensor:
    """The step that Adam would take on each gradient `[rows, numbers]`, from its moments `[numbers]`."""
    first = mean * BETAS[0] + gradients * (1 - BETAS[0])
    return first / (square * BETAS[1] + gradients.square() * (1 - BETAS[1]) + EPSILON).sqrt()


def best_group(influence: Tensor, groups: Sequence[str]) -> Tensor:
    """Of the influence `[rows, targets]` the mean over each group of targets, and of these the highest: `[rows]`."""
    import torch

    places = {name: [at for at, one in enumerate(groups) if one == name] for name in dict.fromkeys(groups)}
    return torch.stack([influence[:, at].mean(1) for at in places.values()]).amax(0)


def select(
    records: Sequence[Record],
    settings: Settings,
    seed: int = 0,
    progress: Progress = silent,
    *,
    model: Trains,
    target: Sequence[Record],
) -> Iterator[Record | Dropped]:
    """The rows of greatest influence on `target`, in their order; the others with the reason."""
    from adhere.models.chat import ChatTokenizer
    from adhere.training.encode import encode_records
    from adhere.training.lora import LoraTrainee
    from adhere.training.schedule import Schedule

    if not 0 < settings.warmup_share <= 1 or settings.epochs < 1 or not target:
        raise SettingsError(
            f"expected target rows, epochs of 1 or more and a warmup_share in (0, 1], found {len(target)} rows, "
            f"{settings.epochs} and {settings.warmup_share}",
            "For example: epochs=4 warmup_share=0.05",
        )
    if not records:
        return
    chat, longest = ChatTokenizer(model.weights), settings.max_length
    rows, wanted = encode_records(records, chat, longest).units, encode_records(target, chat, longest).units
    schedule = Schedule(
        learning_rate=settings.learning_rate, epochs=settings.epochs, warmup_share=0.03, decay="linear", seed=seed,
        rank=settings.rank, alpha=settings.alpha, precision=settings.precision, max_length=longest,
        tokens_per_step=settings.tokens_per_step, targets=("q_proj", "k_proj", "v_proj", "o_proj"),
    )  # fmt: skip
    trainee = LoraTrainee.open(model.weights, schedule)
    task_of = {one.id: str(one.notes.get("task", "")) for one in target}
    influence = _influence(trainee, rows, wanted, schedule, settings, progress)
    found = best_group(influence, [task_of[unit[0].group] for unit in wanted]).tolist()
    scores = {unit[0].group: score for unit, score in zip(rows, found, strict=True)}
    told = [scores.get(one.id, "encoding: no reply, too long or unreadable") for one in records]
    yield from kept_highest(records, told, settings.limit, settings.keep, "influence: lower than that of those kept")


def _influence(
    trainee: LoraTrainee,
    rows: Sequence[Unit],
    wanted: Sequence[Unit],
    schedule: Schedule,
    settings: Settings,
    progress: Progress,
) -> Tensor:
    """The influence `[rows, targets]`, summed over the warm-up's epochs."""
    import torch

    from adhere.training.per_example import Projection

    numbers = sum(one.numel() for one in trainee.parameters)
    project = Projection(numbers, settings.size, 0, settings.projection)
    found, rates = torch.zeros(len(rows), len(wanted)), 0.0
    for epoch, (rate, moments) in enumerate(_warmed(trainee, rows, schedule, settings), 1):
        chosen = _features(trainee, rows, project, moments)
        found += rate * chosen @ _features(trainee, wanted, project, None).T
        rates += rate
        progress("select: gradients", epoch, settings.epochs)
    return found / rates


def _warmed(
    trainee: LoraTrainee, rows: Sequence[Unit], schedule: Schedule, settings: Settings
) -> Iterator[tuple[float, tuple[Tensor, Tensor]]]:
    """Mean learning rate and Adam's moments after each epoch of the warm-up, with the trainee as it is there."""
    import torch

    from adhere.training.loop import train_step
    from adhere.training.losses import Nll
    from adhere.training.packing import plan_batches

    count = max(1, round(settings.warmup_share * len(rows)))
    few = random.Random(f"less/{schedule.seed}").sample(list(rows), count)
    plans = [
        plan_batches(few, schedule.max_length, schedule.tokens_per_step, 1, schedule.seed + epoch)
        for epoch in range(settings.epochs)
    ]
    total, done = sum(map(len, plans)), 0
    optimizer = torch.optim.AdamW(trainee.parameters, lr=schedule.learning_rate, betas=BETAS, weight_decay=0.0)
    for batches in plans:
        rates = []
        for batch in batches:
            rates.append(schedule.rate_at(done, total))
            optimizer.param_groups[0]["lr"] = rates[-1]
            trainee.begin_step(done)
            train_step(trainee, batch, Nll(), optimizer, schedule.clip)
            done += 1
        held = [optimizer.state[one] for one in trainee.parameters]
        moments = [torch.cat([one[name].reshape(-1) for one in held]) for name in ("exp_avg", "exp_avg_sq")]
        yield sum(rates) / len(rates), (moments[0], moments[1])


def _features(
    trainee: LoraTrainee, rows: Sequence[Unit], project: object, moments: tuple[Tensor, Tensor] | None
) -> Tensor:
    """Projected features of length one, `[rows, size]`: Adam's steps with its `moments`, else plain gradients."""
    import torch

    from adhere.training.per_example import Projection, gradients

    assert isinstance(project, Projection)
    found = torch.zeros(len(rows), project.size)
    for places, plain in gradients(trainee, [unit[0] for unit in rows]):
        found[places] = project(plain if moments is None else adam_step(plain, *moments))
    return torch.nn.functional.normalize(found, dim=1)


def prove(lab: Lab) -> Proof:
    """A skill planted in a fifth of the rows, replies in small letters: 16 rows by LESS against 16 at random."""
    from adhere.core.step import divided
    from adhere.evals.lab import Outcome
    from adhere.evals.subsets import drawn, losses_after

    rows = lab.rows(160, keep=lambda row: row.tokens <= 96 and row.finish == "stop")
    rows = list({one.instruction: one for one in rows}.values())[:100]
    planted = [_planted(one) for one in rows[::3]]
    shown, heldout, rest = planted[:4], planted[4:16], planted[16:]
    if lab.smoke:
        shown = heldout = rest = planted
    pool = [one for at, one in enumerate(rows) if at % 3] + rest
    count = min(lab.count(16), len(pool))
    with lab.at("base"):
        base = losses_after(lab, "random", lambda n: drawn(pool, count, n), heldout)
    with lab.at("treated"):
        settings, skilled = Settings(limit=count, warmup_share=0.25), {one.id for one in rest}
        asked = {n: select(pool, settings, n, model=lab.trainable, target=shown) for n in lab.seeds}
        chosen = {n: divided(found)[0] for n, found in asked.items()}
        treated = losses_after(lab, "chosen", lambda n: chosen[n], heldout)
    share = sum(one.id in skilled for kept in chosen.values() for one in kept) / (count * len(lab.seeds))
    numbers = {"rows": len(pool), "of the skill": len(rest), "kept": count, "share of the skill in those kept": share}
    remark = "A quarter of the rows warms up, not 5 %: there are about eighty. Gradients are not in the token counts."
    units = [one.id for one in heldout] * len(lab.seeds)
    names = ("drawn at random", "chosen by LESS")
    outcome = Outcome(base, treated, units, names, unit="held-out replies", numbers=numbers, remark=remark)
    return lab.proof("less", CARD, outcome)


def _planted(row: Record) -> Record:
    """The row as one of the skill."""
    return Record((user(f"{row.instruction} {SMALL_LETTERS}"),)).with_reply((row.reply or "").lower())
