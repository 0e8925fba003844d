"""Length-instructed DPO: preference pairs under a stated word limit, where keeping to the limit comes first.

Paper: Yuan, Kulikov, Yu, Cho, Sukhbaatar, Weston, Xu, "Following Length Constraints in Instructions" (LIFT), 2024
(arXiv 2406.17744), section 4. No code was released.

The idea in five lines:
1. Preference data teach length: judges like longer replies, and tuned models ignore a limit that a user states.
2. To each pair add a copy whose instruction is preceded by a limit: answer in at most so many words.
3. The limit is drawn anew for each pair, so that sometimes both replies keep to it and sometimes one does.
4. The winner under a limit is who keeps to it; where both or neither do, the winner of the pair stays the winner.
5. DPO on the pairs as they were and the pairs with limits together: limits are kept, other prompts lose nothing.

What the paper says: limits around the lengths of the two replies; replies ordered by limit first and quality second;
standard DPO at beta 0.1; measured by the share of replies over the limit (AlpacaEval-LI, MT-Bench-LI) and by the win
rate among those that keep to it. What we do: the same order of preference (after our own summary of the paper: how
exactly it draws its limits we could not check). A limit lies between the two lengths, so that only the shorter
reply keeps to it, for `decisive` of the pairs, and up to half as much again as the longer one for the rest. The loss is
that of `dpo`, through a LoRA adapter. Words are runs of word characters.
Left out: limits from below, the win rate (there is no judge here), and their baseline R-DPO.
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
from adhere.core.model import Trains
from adhere.core.progress import Progress, silent
from adhere.core.record import Message, Record, user
from adhere.methods.tune import dpo
from adhere.verify.text import words

if TYPE_CHECKING:
    from adhere.core.benchmark import Benchmark
    from adhere.core.proof import Proof
    from adhere.evals.grade import Row
    from adhere.evals.lab import Lab
    from adhere.training.adapt import Tuned

CARD = Card(
    summary="DPO on pairs under stated word limits, where keeping to the limit comes first.",
    version="1",
    family="tuning",
    paper="arXiv:2406.17744",
    seed=23,
    needs=("Trains",),
    builds_on=("dpo",),
    claim="LIFT-DPO breaks stated word limits less often than DPO on the same pairs without limits.",
    metric="violation rate: share of replies over the stated limit",
    relation="lower",
)
MADE_BY = "lift-dpo@1"
LIMIT = "Use at most {limit} words to answer this:\n\n{instruction}"
LIMITS = (20, 30, 45, 60)  # of the experiment, in turn


@dataclass(frozen=True)
class Settings(dpo.Settings):
    """Numbers of pairs and training.

    `decisive` is the share of limits that only the shorter reply keeps to, `fewest` the least limit in words. Beside
    them those of `dpo`.
    """

    decisive: float = 0.5
    fewest: int = 5


def limited(prompt: Sequence[Message], limit: int) -> tuple[Message, ...]:
    """The prompt with a word limit stated in the user's last turn."""
    last = max(place for place, message in enumerate(prompt) if message.role == "user")
    text = LIMIT.format(limit=limit, instruction=prompt[last].text)
    return (*prompt[:last], user(text), *prompt[last + 1 :])


def with_limit(pair: Record, settings: Settings, seed: int = 0) -> Record | None:
    """The pair under a limit drawn for it, won by the one who keeps to it; None where there is nothing to choose."""
    chosen, rejected = pair.reply or "", pair.rejected or ""
    first, second = len(words(chosen)), len(words(rejected))
    short, long = min(first, second), max(first, second)
    if not short or not any(message.role == "user" for message in pair.prompt):
        return None
    draw = random.Random(f"lift/{seed}/{pair.id}")
    is_decisive = draw.random() < settings.decisive and max(short, settings.fewest) < long
    least, most = (short, long - 1) if is_decisive else (long, long + long // 2)
    limit = max(draw.randint(least, most), settings.fewest)
    if first > limit >= second:
        chosen, rejected = rejected, chosen
    made = pair.derive(MADE_BY, messages=limited(pair.prompt, limit), checks=(), rejected=rejected)
    return made.with_reply(chosen).noted(limit=limit, swapped=first > limit >= second)


def tune(
    model: Trains,
    records: Sequence[Record],
    place: Path,
    settings: Settings,
    seed: int = 0,
    progress: Progress = silent,
    should_stop: Callable[[], bool] = lambda: False,
) -> Tuned:
    """The model tuned on the pairs of `records` as they are and under limits; its files in `place`."""
    from adhere.models.chat import ChatTokenizer
    from adhere.training.adapt import Objective, adapt
    from adhere.training.encode import encode_preferences
    from adhere.training.lora import with_reference
    from adhere.training.losses import Dpo

    pairs = [one for one in records if one.reply is not None and one.rejected is not None]
    if not pairs:
        raise DataError(
            f"lift-dpo needs rows with a chosen and a rejected reply, found none among {len(records)}",
            'A row is {"prompt": ..., "chosen": ..., "rejected": ...}.',
        )
    under = [with_limit(one, settings, seed) for one in pairs]
    rows = [*pairs, *(one for one in under if one is not None)]
    encoded = encode_preferences(rows, ChatTokenizer(model.weights), settings.max_length)
    loss = Dpo(settings.beta, settings.smoothing, settings.sft)
    objective = Objective("lift-dpo", encoded, loss, settings.schedule(seed), with_reference)
    return adapt(model, objective, place, progress, should_stop)


def _pairs(lab: Lab, count: int) -> list[Record]:
    """Pairs of replies of the pool, one a prompt, neither long nor asked for a length: those that differ in what they
    follow first, then those that do not (a toss)."""
    prompts = {one.id: one for one in lab.composed(160)}
    by_prompt: dict[str, list[Row]] = {}
    for row in lab.pool(160).rows:
        asks_length = any(check.kind.startswith("length_constraints") for check in prompts[row.record].checks)
        if row.judged and row.finish == "stop" and 5 <= len(words(row.reply)) <= 110 and not asks_length:
            by_prompt.setdefault(row.record, []).append(row)
    found: list[tuple[bool, Record]] = []
    for name, rows in by_prompt.items():
        ordered = sorted(rows, key=_followed)
        worst, best = ordered[0], ordered[-1]
        if worst.reply != best.reply:
            pair = msgspec.structs.replace(prompts[name].with_reply(best.reply), rejected=worst.reply)
            found.append((_followed(best) == _followed(worst), pair))
    return [pair for _, pair in sorted(found, key=lambda one: one[0])][:count]


def _followed(row: Row) -> float:
    from adhere.evals.grade import followed

    return followed(row) or 0.0


def _under_limits(bench: Benchmark) -> tuple[Benchmark, dict[str, int]]:
    """The benchmark with a limit in each prompt, and the limit by record."""
    records = [
        msgspec.structs.replace(one, messages=limited(one.prompt, LIMITS[at % len(LIMITS)]))
        for at, one in enumerate(bench.records)
    ]
    limits = {one.id: LIMITS[at % len(LIMITS)] for at, one in enumerate(records)}
    return msgspec.structs.replace(bench, name=f"{bench.name}, limited", records=tuple(records)), limits


def prove(lab: Lab) -> Proof:
    """DPO on pairs for two epochs against LIFT-DPO on the pairs and their limited copies for one."""
    from adhere.evals.grade import sound
    from adhere.evals.lab import WARM

    bench, limits = _under_limits(lab.benchmark("plain", 40))
    pairs = _pairs(lab, lab.count(32))
    drawn = msgspec.structs.replace(WARM, max_tokens=128)

    def over(row: Row) -> float | None:
        # What is no answer keeps to every limit, and is not what was asked for.
        return float(len(words(row.reply)) > limits[row.record] or sound(row) == 0.0) if row.judged else None

    common = {"learning_rate": 3e-4, "tokens_per_step": 1024}
    with lab.at("base"):
        settings = dpo.Settings(epochs=2.0, **common)  # type: ignore[arg-type]
        plain = lab.tune_each("dpo", lambda place, n: dpo.tune(lab.trainable, pairs, place, settings, n))
        base = lab.grade_each(plain, bench, drawn)
    with lab.at("treated"):
        own = Settings(epochs=1.0, **common)  # type: ignore[arg-type]
        made = lab.tune_each("lift", lambda place, n: tune(lab.trainable, pairs, place, own, n))
        treated = lab.grade_each(made, bench, drawn)
    outcome = lab.graded_outcome(bench.records, base, treated, ("DPO", "LIFT-DPO"), over)
    numbers = {**outcome.numbers, "pairs": float(len(pairs))}
    for name, side in (("DPO", base), ("LIFT-DPO", treated)):
        numbers[f"words a reply, {name}"] = round(sum(len(words(row.reply)) for row in side.rows) / len(side.rows), 1)
        numbers[f"sound replies, {name}"] = round(side.mean(sound) or 0.0, 4)
    remark = "Small steps at a learning rate of 3e-4 for both, as a few dozen pairs are all there is."
    return lab.proof("lift-dpo", CARD, msgspec.structs.replace(outcome, numbers=numbers, remark=remark))
