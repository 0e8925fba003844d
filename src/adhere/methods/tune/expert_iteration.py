"""Expert iteration: tune on the best of several own replies, as chosen by noisy pairwise preferences.

Paper: Dubois, Li, Taori, Zhang, Gulrajani, Ba, Guestrin, Liang, Hashimoto, "AlpacaFarm: A Simulation Framework for
Methods that Learn from Human Feedback", NeurIPS 2023 (arXiv 2305.14387), sections 3 and 4: expert iteration under its
simulated annotators. The method is older (Anthony, Tian, Barber 2017; STaR, Zelikman et al. 2022).

The idea in five lines:
1. Sample several replies of the model to each prompt.
2. Annotators compare replies two by two; some of their verdicts are turned round, as human ones are.
3. The reply preferred most often is the prompt's best.
4. Supervised tuning on the best replies: best-of-n, paid for once and not with every answer.
5. Sample from the tuned model and go on, as many rounds as wanted.

What the paper says: annotators are prompted large models, 25 % of whose verdicts are flipped at random; a reward model
is fitted on 10k pairs; best-of-16 by it on new prompts, then tuning for one round, as further ones did not help; win
rate against a fixed reference. What its code does: expert iteration is its best-of-n script followed by its supervised
one. What we do: the annotator prefers, of two replies, one that is an answer (it ended, it does not loop) and then the
one that follows more of the prompt's checks, by a toss where both follow as much; `flips` of the verdicts are turned
round. All pairs of a prompt are compared, and the reply with most wins is taken, which is the order that a
Bradley-Terry fit gives for such a tournament. Every round tunes the given model anew, on the newest replies.
Left out: the reward model and with it transfer to prompts without feedback, PPO and Quark, prompted annotators.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from adhere.core.errors import DataError
from adhere.core.method import Card
from adhere.core.model import Reply, Sampling, Trains
from adhere.core.progress import Progress, silent
from adhere.core.record import Record, content_hash
from adhere.models.draws import answering, draws
from adhere.training.schedule import TuneSettings
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.guard import degenerate
from adhere.verify.score import verdict_of

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab
    from adhere.training.adapt import Tuned

CARD = Card(
    summary="Tune on the best of several own replies, chosen by noisy pairwise preferences.",
    version="1",
    family="tuning",
    paper="arXiv:2305.14387",
    seed=27,
    needs=("Generates", "Trains"),
    builds_on=("sft",),
    claim="Tuning on preferred replies of the model follows more constraints than tuning on as many unfiltered ones.",
    metric="share of constraints followed, strict",
)
MADE_BY = "expert-iteration@1"


@dataclass(frozen=True)
class Settings(TuneSettings):
    """Numbers of sampling, preferences and training.

    `rounds` of sampling and tuning (1 in the paper); `samples` replies a prompt (16 in the paper) at `temperature` and
    `top_p`, of at most `max_tokens`; `flips` is the share of preferences that are turned round (section 3: 0.25).
    Beside them the numbers of every tuning (`TuneSettings`).
    """

    rounds: int = 1
    samples: int = 16
    temperature: float = 1.0
    top_p: float = 1.0
    max_tokens: int = 300
    flips: float = 0.25


def worth(record: Record, reply: Reply) -> tuple[bool, float]:
    """What the annotators go by: whether a reply is an answer at all, and the share of the checks that it passes."""
    is_answer = reply.finish == "stop" and degenerate(record, reply.text) is None
    passed = [verdict_of(check, reply.text, ALL_TYPES).passed for check in record.checks]
    judged = [float(one) for one in passed if one is not None]
    return is_answer, sum(judged) / len(judged) if judged else 0.0


def preferred(record: Record, replies: Sequence[Reply], flips: float, seed: int = 0) -> Reply | None:
    """The reply that wins most comparisons, the earliest of several; None where the model never answered."""
    candidates = [one for one in replies if one.finish != "error" and one.text.strip()]
    if not candidates:
        return None
    draw = random.Random(f"expert-iteration/{seed}/{record.id}")
    values = [worth(record, one) for one in candidates]
    wins = [0] * len(candidates)
    for first in range(len(candidates)):
        for second in range(first + 1, len(candidates)):
            toss, flip = draw.random() < 0.5, draw.random() < flips
            first_wins = toss if values[first] == values[second] else values[first] > values[second]
            wins[first if first_wins is not flip else second] += 1
    return candidates[max(range(len(wins)), key=lambda at: wins[at])]


def tune(
    model: Trains,
    records: Sequence[Record],
    place: Path,
    settings: Settings,
    seed: int = 0,
    progress: Progress = silent,
    should_stop: Callable[[], bool] = lambda: False,
) -> Tuned:
    """The model tuned on its own best replies to the prompts of `records`; its files in `place`."""
    from adhere.models.chat import ChatTokenizer
    from adhere.training.adapt import Objective, adapt
    from adhere.training.encode import encode_records
    from adhere.training.losses import Nll

    if min(settings.rounds, settings.samples) < 1 or not records:
        raise DataError(f"expert-iteration needs prompts, rounds and samples, found {len(records)} prompts")
    schedule, chat = settings.schedule(seed), ChatTokenizer(model.weights)
    prompts = distinct(records)
    tuned, asked = None, model
    for number in range(settings.rounds):
        sampling = Sampling(settings.max_tokens, settings.temperature, settings.top_p, seed=seed + number)
        found = draws(
            answering(asked, "expert-iteration"), [one.prompt for one in prompts], sampling, settings.samples, progress
        )
        best = [preferred(one, said, settings.flips, seed) for one, said in zip(prompts, found, strict=True)]
        rows = [one.with_reply(said.text.strip()) for one, said in zip(prompts, best, strict=True) if said is not None]
        encoded = encode_records(rows, chat, settings.max_length)
        folder = place if number + 1 == settings.rounds else place / f"round-{number + 1}"
        objective = Objective("expert-iteration", encoded, Nll(), schedule)
        tuned = adapt(model, objective, folder, progress, should_stop)
        asked = tuned.model  # type: ignore[assignment]  # it answers, which is all that is asked of it
    assert tuned is not None
    return tuned


def distinct(records: Sequence[Record]) -> list[Record]:
    """The prompts of the records with their checks, each once, without replies."""
    found = {content_hash([one.prompt, one.checks]): one for one in records}
    return [one.derive(MADE_BY, messages=one.prompt, rejected=None) for one in found.values()]


def prove(lab: Lab) -> Proof:
    """Each prompt's first reply against the preferred one of four: as many rows, the same tuning."""
    from adhere.evals.lab import WARM
    from adhere.methods.tune import sft

    bench, prompts = lab.benchmark("seen", 48), distinct(lab.composed(40))
    shaped = {"temperature": WARM.temperature, "top_p": WARM.top_p, "max_tokens": WARM.max_tokens}
    own = Settings(samples=4, epochs=1.0, **shaped)  # type: ignore[arg-type]

    def on_the_first(place: Path, n: int) -> Tuned:
        first = draws(lab.model, [one.prompt for one in prompts], msgspec.structs.replace(WARM, seed=n), 1)
        rows = [one.with_reply(said[0].text.strip()) for one, said in zip(prompts, first, strict=True)]
        return sft.tune(lab.trainable, rows, place, sft.Settings(epochs=1.0), n)

    with lab.at("base"):
        plain = lab.tune_each("first", on_the_first)
        base = lab.grade_each(plain, bench, WARM)
    with lab.at("treated"):
        made = lab.tune_each("best", lambda place, n: tune(lab.trainable, prompts, place, own, n))
        treated = lab.grade_each(made, bench, WARM)
    names = ("SFT on the first reply", "SFT on the preferred of four")
    outcome = lab.graded_outcome(bench.records, base, treated, names)
    remark = "Best of four, not of sixteen; a quarter of the preferences are turned round, as in the paper."
    return lab.proof("expert-iteration", CARD, msgspec.structs.replace(outcome, remark=remark))
