"""Implicit process reward: a model tuned on outcomes alone rewards every step by how much likelier it finds it.

Paper: Yuan, Li, Chen, Cui, Ding, Zhang, Zhou, Liu, Peng, "Free Process Rewards without Process Labels", ICML 2025
(arXiv 2412.01981), section 3.

The idea in five lines:
1. The reward of a reply is beta * log(pi / reference), pi being what is trained.
2. It is trained on outcomes: whole replies that are right or wrong, by DPO or by cross entropy.
3. Then the same ratio up to a step is the expected reward of what may follow, so
4. a step's own reward is the difference between the ratios at its end and at its beginning.
5. Among several replies the one with the best steps wins.

What the paper says: beta 0.05, 1 epoch at 5e-7 of the whole model; both losses work, cross entropy with little data or
unpaired rows; replies are ranked by their lowest step. What its released code does: the same; the loss as its README
prints it lacks the minus.
What we do: pairs only, and cross entropy takes the two replies as one right and one wrong: -log s(b g) - log s(-b g'),
g the summed log-ratios. A LoRA adapter, hence a higher learning rate; the reference is the untuned model. A step is a
line, or a sentence of one. Verdicts pass where the folded reward is above 0.
Left out: unpaired rows, a reference of another model than the one that is tuned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from adhere.core.errors import AdhereError, DataError, SettingsError
from adhere.core.method import Card
from adhere.core.model import Trains
from adhere.core.progress import Progress, silent
from adhere.core.record import Record
from adhere.core.verifier import Verdict
from adhere.training.schedule import TuneSettings

if TYPE_CHECKING:
    from torch import Tensor

    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab
    from adhere.training.encode import Unit

CARD = Card(
    summary="Reward steps by the log-ratio of a model tuned on outcomes to the one that it was tuned from.",
    version="1",
    family="rewards",
    paper="arXiv:2412.01981",
    seed=398,
    needs=("Trains",),
    claim="The implicit reward ranks a passing reply above a failing one more often than the untuned likelihood does.",
    metric="share of held-out pairs ranked right, ties as one half",
)
_ENDS = (".", "!", "?")


@dataclass(frozen=True)
class Settings(TuneSettings):
    """`beta` scales the log-ratio, `loss` is "ce" or "dpo", `fold` makes one number of the steps: min, sum or mean.

    Beside them the numbers of every tuning (`TuneSettings`).
    """

    beta: float = 0.05
    loss: Literal["ce", "dpo"] = "ce"
    fold: Literal["min", "sum", "mean"] = "min"
    learning_rate: float = 1e-4
    epochs: float = 1.0
    tokens_per_step: int = 2048
    warmup_share: float = 0.1


@dataclass(frozen=True)
class Ce:
    """-log s(beta g) - log s(-beta g') of each pair, g and g' the log-ratios of the right and the wrong reply."""

    beta: float

    def measure(self, units: Sequence[Unit]) -> float:
        """Weighted count of replies."""
        return sum(2 * unit[0].weight for unit in units)

    def __call__(self, seen: Any) -> Tensor:
        """Weighted sum over the replies of a row."""
        from torch.nn import functional

        gains = self.beta * (seen.sums() - seen.reference_sums())
        terms = -functional.logsigmoid(gains[0::2]) - functional.logsigmoid(-gains[1::2])
        total: Tensor = (terms * seen.weights()[0::2]).sum()
        return total


@dataclass(frozen=True)
class ImplicitReward:
    """The `Verifier`: process rewards of a reply, and what they come to.

    `tuned` and `reference` give the log-probability of every token; `chat` turns messages into tokens.
    """

    tuned: Any
    reference: Any
    chat: Any
    settings: Settings
    tokens_trained: int = field(default=0, compare=False)

    def steps(self, record: Record, reply: str) -> list[float]:
        """The reward of each step of a reply."""
        from adhere.models.scoring import encode_pair

        row = encode_pair(record.prompt, reply, self.chat)
        (after,), (before,) = self.tuned.score_tokens([row]), self.reference.score_tokens([row])
        ratios = [self.settings.beta * (one - other) for one, other in zip(after, before, strict=True)]
        written = [token for token, is_written in zip(*row, strict=True) if is_written]
        return step_rewards(ratios, [self.chat.decode([token]) for token in written])

    def rate(self, record: Record, reply: str) -> float:
        """The steps' rewards as one number."""
        return folded(self.steps(record, reply), self.settings.fold)

    def verify(self, record: Record, reply: str) -> Verdict:
        """Passed where the reward lies above 0; else the score says how far below, from 0.99 down to 0."""
        if not reply.strip():
            return Verdict(None, 0.0, "the reply is blank")
        try:
            found = self.steps(record, reply)
        except AdhereError as error:
            return Verdict(None, 0.0, f"the reply cannot be read: {error.message}")
        value = folded(found, self.settings.fold)
        reason = f"reward {value:+.4f} ({self.settings.fold} of {len(found)} steps)"
        return Verdict(value > 0, 1.0 if value > 0 else min(0.99, exp(value)), reason)


def step_rewards(ratios: Sequence[float], texts: Sequence[str]) -> list[float]:
    """The sums of `ratios` over steps: a step ends with a token that ends a line, or a sentence before a space.

    What stands at the end, the end of turn included, belongs to the last step.
    """
    found: list[float] = []
    total, said, line_ended, sentence_ended = 0.0, False, False, False
    for ratio, text in zip(ratios, texts, strict=True):
        if said and (line_ended or (sentence_ended and text[:1].isspace())):
            found.append(total)
            total, said = 0.0, False
        total += ratio
        said = said or any(letter.isalnum() for letter in text)
        line_ended, sentence_ended = "\n" in text, text.rstrip().endswith(_ENDS)
    return [*found, total] if said or not found else [*found[:-1], found[-1] + total]


def folded(steps: Sequence[float], fold: str) -> float:
    """One number of the rewards of steps."""
    if fold not in ("min", "sum", "mean"):
        raise SettingsError(f"expected fold min, sum or mean, found {fold!r}")
    return min(steps) if fold == "min" else sum(steps) if fold == "sum" else fmean(steps)


def reward(
    records: Sequence[Record],
    settings: Settings,
    seed: int = 0,
    progress: Progress = silent,
    *,
    model: Trains,
    place: Path,
) -> ImplicitReward:
    """The reward learnt from those of `records` that have a right and a rejected reply; the tuned model in `place`."""
    from adhere.models.chat import ChatTokenizer
    from adhere.models.scoring import Scorer
    from adhere.training.adapt import Objective, adapt
    from adhere.training.encode import encode_preferences
    from adhere.training.lora import with_reference
    from adhere.training.losses import Dpo

    if settings.loss not in ("ce", "dpo"):
        raise SettingsError(f"expected loss ce or dpo, found {settings.loss!r}")
    folded([0.0], settings.fold)
    if not any(one.reply is not None and one.rejected is not None for one in records):
        raise DataError(
            f"implicit-prm needs rows with a right and a rejected reply, found none among {len(records)}",
            'A row is {"prompt": ..., "chosen": ..., "rejected": ...}.',
        )
    loss = Dpo(settings.beta) if settings.loss == "dpo" else Ce(settings.beta)
    chat = ChatTokenizer(model.weights)
    encoded = encode_preferences(records, chat, settings.max_length)
    objective = Objective("implicit-prm", encoded, loss, settings.schedule(seed), with_reference)
    tuned = adapt(model, objective, place, progress)
    after, before = (Scorer.open(folder, settings.precision) for folder in (tuned.folder / "merged", model.weights))
    return ImplicitReward(after, before, chat, settings, tuned.report.tokens)


def prove(lab: Lab) -> Proof:
    """Train on one half of the pairs, rank the other: the implicit reward against the model's own mean likelihood."""
    from adhere.core.model import Reply
    from adhere.evals.lab import Outcome

    pairs = _unlike(lab.rows(160))
    short = [one for one in pairs if len(f"{one.reply} {one.rejected}".split()) <= 320] or pairs
    train, held = short[0::2][: lab.count(40)], short[1::2] or short
    # A few dozen pairs: more and smaller steps, so that the ratio stands out of the rounding.
    settings = Settings(learning_rate=5e-4, tokens_per_step=1024, epochs=2.0)
    base: list[float] = []
    treated: list[float] = []
    fewer: list[float] = []
    sums: list[float] = []
    for seed in lab.seeds:
        with lab.at("treated"):
            made = reward(train, settings, seed, model=lab.trainable, place=lab.folder("implicit-prm", seed))
            lab.ledger.book_training(made.tokens_trained)
            steps = [[made.steps(one, text) for text in (one.reply or "", one.rejected or "")] for one in held]
            lab.ledger.book(Reply("", tokens_in=made.tuned.computed + made.reference.computed))
            treated += [_ranked(*(folded(one, made.settings.fold) for one in both)) for both in steps]
            fewer += [_ranked(-len(both[0]), -len(both[1])) for both in steps]
            sums += [_ranked(*(sum(one) for one in both)) for both in steps]
        with lab.at("base"):
            read = made.reference.computed
            texts = [(one.prompt, text) for one in held for text in (one.reply or "", one.rejected or "")]
            means = [one.mean for one in made.reference.score(texts, made.chat)]
            lab.ledger.book(Reply("", tokens_in=made.reference.computed - read))
            base += [_ranked(right, wrong) for right, wrong in zip(means[0::2], means[1::2], strict=True)]
    units = [one.id for _ in lab.seeds for one in held]
    numbers = {"pairs to train on": len(train), "ranked right by the sum of the steps": fmean(sums)}
    numbers["ranked right by fewer steps"] = fmean(fewer)
    names = ("mean likelihood, untuned", "implicit reward")
    remark = "Of each prompt the reply that follows most of its constraints, against the one that follows fewest."
    outcome = Outcome(base, treated, units, names, unit="pairs", numbers=numbers, remark=remark)
    return lab.proof("implicit-prm", CARD, outcome)


def _unlike(rows: Sequence[Record]) -> list[Record]:
    """Of each prompt the reply that follows most, with the one that follows least as rejected, where these differ."""
    by_prompt: dict[str, list[Record]] = {}
    for row in rows:
        by_prompt.setdefault(row.instruction, []).append(row)
    ordered = [sorted(some, key=lambda one: float(one.notes["followed"] or 0)) for some in by_prompt.values()]
    return [
        msgspec.structs.replace(some[-1], rejected=some[0].reply)
        for some in ordered
        if some[0].notes["followed"] != some[-1].notes["followed"]
    ]


def _ranked(right: float, wrong: float) -> float:
    return float(right > wrong) if right != wrong else 0.5
