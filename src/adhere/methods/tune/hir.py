"""Hindsight instruction relabelling: every reply is right for some instruction, so train it on that one.

Paper: Zhang, Liu, Wong, Abbeel, Gonzalez, "The Wisdom of Hindsight Makes Language Models Better Instruction Followers",
ICML 2023 (arXiv 2302.05206), sections 3 and 4; code: tianjunz/HIR.

The idea in five lines:
1. Sample replies to instructions; nothing is thrown away, wrong replies teach too.
2. Feedback says what a reply did; the instruction is rewritten into one that the reply meets.
3. Train on (rewritten instruction, reply) by likelihood.
4. Contrast: the same reply should be likelier under the instruction that it meets than under one that it fails.
5. A little entropy keeps the model from closing itself off; then sample again, from the tuned model.

What the paper says: likelihood, plus a contrastive term over the instructions of a batch, plus an entropy term;
alternate sampling and training. What its code does: two instructions only ("solve it with a correct answer", "with a
wrong answer"), the contrary one as the only negative; -log p(right)/(p(right)+p(contrary)) with p the exponential of
the mean token log-probability, smoothed with 0.2; label smoothing of 0.2 on the tokens; entropy weighted 0.001; 30
rounds of 10 epochs, replies of all rounds kept; random parts of each reply as targets. What we do: the checks are the
feedback. A constraint that the reply failed is replaced by one that it meets (the same type with other numbers or
words, else another type), and the original is the contrary instruction; of a reply that met everything one constraint
is replaced by one that it fails, and that is the contrary one. Every round tunes the given model anew on all replies so
far, so that the adapter stays one on that model.
Deviations in the settings: no label smoothing on tokens (the paper's answers are a few tokens long; a fifth of every
token's mass over the whole vocabulary would ruin a reply of a hundred), fewer rounds and epochs, a LoRA adapter.
Left out: parts of replies as targets (a check judges the whole reply), the KL term that its code has switched off.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import msgspec

from adhere.core.errors import AdhereError, DataError
from adhere.core.method import Card
from adhere.core.model import Generates, Sampling, Trains
from adhere.core.progress import Progress, silent
from adhere.core.record import Record, content_hash
from adhere.models.draws import answering, draws
from adhere.training.schedule import TuneSettings
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.exchange import exchanged
from adhere.verify.guard import degenerate
from adhere.verify.score import verdict_of

if TYPE_CHECKING:
    from torch import Tensor

    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab
    from adhere.training.adapt import Tuned
    from adhere.training.encode import Unit

CARD = Card(
    summary="Train each reply on an instruction that it meets, against one that it fails.",
    version="1",
    family="tuning",
    paper="arXiv:2302.05206",
    seed=69,
    needs=("Generates", "Trains"),
    builds_on=("sft",),
    claim="Hindsight relabelling follows more constraints than SFT on those of the same replies that were right.",
    metric="share of constraints followed, strict",
)
MADE_BY = "hir@1"
MOST_EPOCHS = 4.0  # of the baseline in the experiment


@dataclass(frozen=True)
class Settings(TuneSettings):
    """Numbers of sampling and training.

    `rounds` of sampling and training (30 in the code); `samples` replies a prompt and round at `temperature` (4 and 1.0
    in the code) and `top_p`, of at most `max_tokens`: replies that the records bring are the first round.
    `contrast` and `entropy` weight these terms, `smoothing` is the share of the contrast that is turned round,
    `token_smoothing` that of the likelihood spread over the vocabulary (0.2 in the paper). Beside them the numbers of
    every tuning (`TuneSettings`), the learning rate that of the code.
    """

    rounds: int = 2
    samples: int = 4
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 256
    contrast: float = 1.0
    entropy: float = 0.001
    smoothing: float = 0.2
    token_smoothing: float = 0.0
    learning_rate: float = 5e-4
    epochs: float = 1.0
    tokens_per_step: int = 2048


@dataclass(frozen=True)
class Hir:
    """The loss of a unit (right, contrary): likelihood and entropy of the right one, contrast of the two; per unit.

    -(1 - t) s - t v - c [(1 - e) log sigmoid(s - s') + e log sigmoid(s' - s)] - h H, with s and s' the mean token
    log-probabilities under the right and the contrary instruction, v the mean log-probability over the vocabulary, H
    the mean entropy: exp(s) / (exp(s) + exp(s')) is sigmoid(s - s').
    """

    contrast: float
    entropy: float
    smoothing: float
    token_smoothing: float
    over_states: ClassVar[bool] = True

    def measure(self, units: Sequence[Unit]) -> float:
        """Units, weighted."""
        return sum(unit[0].weight for unit in units)

    def __call__(self, seen: Any) -> Tensor:
        """The weighted sum over the units of a row."""
        from adhere.training.losses import dpo_terms

        means = seen.sums() / seen.counts()
        right, contrary = means[0::2], means[1::2]
        terms = -(1 - self.token_smoothing) * right
        terms = terms + self.contrast * dpo_terms(right, contrary, 1.0, self.smoothing)
        if self.entropy or self.token_smoothing:
            places = (seen.owners % 2 == 0).nonzero().squeeze(1)
            entropies, even = seen.spread(places)
            spread = self.entropy * entropies + self.token_smoothing * even
            sums = spread.new_zeros(len(terms)).index_add(0, seen.owners[places] // 2, spread)
            terms = terms - sums / seen.counts()[0::2]
        return (terms * seen.weights()[0::2]).sum()  # type: ignore[no-any-return]  # seen is a SeenStates


def relabelled(record: Record, seed: int = 0) -> tuple[Record, Record] | str:
    """The row with an instruction that its reply meets and the row with a contrary one, or why there are none."""
    reply = record.reply or ""
    reason = degenerate(record, reply)
    if reason or not record.checks:
        return reason or "nothing to relabel: no constraints"
    passed = [verdict_of(check, reply, ALL_TYPES).passed for check in record.checks]
    if None in passed:
        return "not judged: a constraint could not be checked"
    draw = random.Random(f"hir/{seed}/{record.id}")
    if all(passed):
        contrary = exchanged(draw, record, draw.randrange(len(passed)), False)
        return contrary if isinstance(contrary, str) else (record, _made(contrary, record))
    right: Record | str = record
    for at, was_met in enumerate(passed):
        if not was_met and isinstance(right, Record):
            right = exchanged(draw, right, at, True)
    return right if isinstance(right, str) else (_made(right, record), record)


def _made(row: Record, of: Record) -> Record:
    return msgspec.structs.replace(row, parents=(of.id,), made_by=MADE_BY, rejected=None)


def tune(
    model: Trains,
    records: Sequence[Record],
    place: Path,
    settings: Settings,
    seed: int = 0,
    progress: Progress = silent,
    should_stop: Callable[[], bool] = lambda: False,
) -> Tuned:
    """The model tuned on relabelled replies, those of `records` and its own; its files in `place`."""
    from adhere.models.chat import ChatTokenizer
    from adhere.training.adapt import Objective, adapt
    from adhere.training.encode import fit_units

    if settings.rounds < 1 or not records:
        raise DataError(f"hir needs instructions and a round at least, found {len(records)} and {settings.rounds}")
    loss = Hir(settings.contrast, settings.entropy, settings.smoothing, settings.token_smoothing)
    schedule, chat = settings.schedule(seed), ChatTokenizer(model.weights)
    prompts = list({content_hash([one.prompt, one.checks]): one for one in records}.values())
    rows, tuned, asked = [one for one in records if one.reply], None, model
    for number in range(settings.rounds):
        if number or not rows:
            draw = Sampling(settings.max_tokens, settings.temperature, settings.top_p, seed=seed + number)
            rows += _sampled(answering(asked, "hir"), prompts, draw, settings.samples, progress)
        distinct = list({one.id: one for one in rows}.values())
        encoded = fit_units(_units(distinct, seed, chat), settings.max_length)
        folder = place if number + 1 == settings.rounds else place / f"round-{number + 1}"
        tuned = adapt(model, Objective("hir", encoded, loss, schedule), folder, progress, should_stop)
        asked = tuned.model  # type: ignore[assignment]  # it answers, which is all that is asked of it
    assert tuned is not None
    return tuned


def _sampled(
    model: Generates, prompts: Sequence[Record], sampling: Sampling, samples: int, progress: Progress
) -> list[Record]:
    found = draws(model, [one.prompt for one in prompts], sampling, samples, progress)
    return [
        msgspec.structs.replace(one.with_reply(reply.text.strip()), rejected=None)
        for one, replies in zip(prompts, found, strict=True)
        for reply in replies
        if reply.finish == "stop" and reply.text.strip()
    ]


def _units(rows: Sequence[Record], seed: int, chat: Any) -> Iterator[Unit | str]:
    """A unit (right, contrary) per row; nothing for a row that cannot be relabelled, or why it cannot be encoded."""
    from adhere.models.scoring import encode_pair
    from adhere.training.encode import Example

    for row in rows:
        found = relabelled(row, seed)
        if isinstance(found, str):
            yield ()
            continue
        try:
            pairs = [encode_pair(one.prompt, one.reply or "", chat) for one in found]
        except AdhereError as error:
            yield error.message
            continue
        yield tuple(Example(tuple(ids), tuple(marks), 1.0, row.id) for ids, marks in pairs)


def prove(lab: Lab) -> Proof:
    """One round on replies of the pool: SFT on those that were right against relabelling on all of them."""
    from adhere.evals.grade import followed
    from adhere.evals.lab import WARM
    from adhere.methods.tune import sft

    bench = lab.benchmark("seen", 48)
    rows = lab.rows(160, keep=lambda row: row.tokens <= 96 and row.finish == "stop")
    rows = rows[: lab.count(96)]
    right = [one for one in rows if one.notes["followed"] == 1.0]
    own = Settings(rounds=1)
    # The same rate and steps, and up to as many tokens: a relabelled row is two dialogues.
    epochs = min(MOST_EPOCHS, 2 * len(rows) / max(1, len(right)))
    plainly = sft.Settings(learning_rate=own.learning_rate, tokens_per_step=own.tokens_per_step, epochs=epochs)
    with lab.at("base"):
        plain = lab.tune_each("right", lambda place, n: sft.tune(lab.trainable, right, place, plainly, n))
        base = lab.grade_each(plain, bench, WARM)
    with lab.at("treated"):
        made = lab.tune_each("hir", lambda place, n: tune(lab.trainable, rows, place, own, n))
        treated = lab.grade_each(made, bench, WARM)
    names = ("SFT on the replies that were right", "all replies, relabelled")
    outcome = lab.graded_outcome(bench.records, base, treated, names, followed)
    numbers = {**outcome.numbers, "replies": len(rows), "right": len(right), "relabelled": made[0].counts.kept}
    numbers["epochs of SFT"] = round(epochs, 2)
    remark = "One offline round on short replies that were sampled before, not the paper's thirty."
    return lab.proof("hir", CARD, msgspec.structs.replace(outcome, numbers=numbers, remark=remark))
