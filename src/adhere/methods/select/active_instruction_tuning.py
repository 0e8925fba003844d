"""Active instruction tuning: train on the tasks whose outcome hangs on the wording of their instruction.

Paper: Kung, Yin, Wu, Chang, Peng, "Active Instruction Tuning: Improving Cross-Task Generalization by Training on Prompt
Sensitive Tasks", EMNLP 2023 (arXiv 2311.00288), sections 2 and 3; code: PlusLabNLP/Active-IT.

The idea in five lines:
1. The model answers each task's instruction; how likely is that answer to it?
2. Words of the instruction are dropped at random; how likely is the same answer now?
3. Prompt uncertainty of a task: the mean absolute difference, over instances and perturbations.
4. Tasks of high uncertainty are ambiguous to the model: it has not tied the instruction to the task; train on these.
5. Uncertainty and likelihood make a map: low and likely is easy, low and unlikely is difficult and helps little.

What the paper says: |P(y|I', x) - P(y|I, x)| with y the model's own answer; each word dropped with probability 0.2;
tasks are added in rounds, and each round is chosen by the model tuned on the ones before.
What its code does: 10 instances a task, 10 perturbations, greedy answers, P = exp(mean token log-probability), 5
rounds, a fixed share of classification tasks; by its own account choices vary from run to run.
What we do: the same score; `select` is one round (give it the tuned model for the next). Rows with the same
notes["task"] are a task, a row without one is a task of its own, as in the paper's experiment on Self-Instruct; of the
last user message the words of notes["input"], where it stands there, are left alone. `task_map` gives the map.
Left out: perturbing demonstrations, the share of classification tasks.
"""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import TYPE_CHECKING, Any

import msgspec

from adhere.core.errors import SettingsError
from adhere.core.method import Card
from adhere.core.model import Ask, Sampling, Scores, replies
from adhere.core.progress import Progress, silent
from adhere.core.record import Message, Record, user
from adhere.core.step import Dropped
from adhere.data.ranking import highest, how_many

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab

CARD = Card(
    summary="Keep tasks whose answer's likelihood hangs on the wording of the instruction.",
    version="1",
    family="selection",
    paper="arXiv:2311.00288",
    seed=201,
    needs=("Generates", "Scores"),
    claim="Tuning on the most prompt-uncertain tasks follows more constraints than on as many drawn at random.",
    metric="share of constraints followed, strict",
)


@dataclass(frozen=True)
class Settings:
    """What is kept and how it is measured.

    `limit` tasks are kept, or at 0 the share `keep` (ours: the paper adds tasks in rounds up to a budget). Each word is
    dropped with probability `drop` (0.2, section 3), in `samples` perturbations (10, its code) of each of at most
    `instances` rows of a task (10, its code); the model's answers have at most `max_tokens` tokens (ours).
    """

    limit: int = 0
    keep: float = 0.25
    drop: float = 0.2
    samples: int = 10
    instances: int = 10
    max_tokens: int = 64


class Placed(msgspec.Struct, frozen=True):
    """Where a task stands on the map: prompt uncertainty, and the mean probability of the model's own answer."""

    task: str
    uncertainty: float
    probability: float


def perturbed(record: Record, drop: float, draw: random.Random) -> tuple[Message, ...]:
    """The prompt with words of its instruction dropped; one word at least stays, and the layout of the others."""
    at = max((place for place, one in enumerate(record.prompt) if one.role == "user"), default=-1)
    if at < 0:
        return record.prompt
    text, given = record.prompt[at].text, record.notes.get("input")
    before, shown, after = text.partition(given) if isinstance(given, str) and given else (text, "", "")
    if not (before + after).strip():  # nothing but the input
        return record.prompt
    kept = [_thinned(part, drop, draw) for part in (before, after)]
    if not any(one.strip() for one in kept):
        place = 0 if before.strip() else 1
        part = (before, after)[place]
        kept[place] = part.replace(part.strip(), draw.choice(part.split()))
    changed = kept[0] + shown + kept[1]
    if changed != text:
        changed = changed.strip()
    return (*record.prompt[:at], user(changed), *record.prompt[at + 1 :])


def _thinned(text: str, drop: float, draw: random.Random) -> str:
    """A text without words that the draw drops; the white space between the others stays, so that lists stay lists.

    Where a word goes, one of the two gaps beside it goes with it: that with fewer line breaks, else the shorter.
    """
    found, gap = "", ""
    for space, word in re.findall(r"(\s*)(\S+)", text):
        gap = max(gap, space, key=lambda one: (one.count("\n"), len(one)))
        if draw.random() >= drop:
            found, gap = found + gap + word, ""
    rest = text[len(text.rstrip()) :] if text.strip() else text
    return found + max(gap, rest, key=lambda one: (one.count("\n"), len(one)))


def tasks_of(records: Sequence[Record]) -> dict[str, list[int]]:
    """The positions of each task's rows that have an instruction."""
    found: dict[str, list[int]] = {}
    for at, record in enumerate(records):
        if record.instruction.strip():
            told = record.notes.get("task")
            found.setdefault(f"task {told}" if isinstance(told, str) and told else record.id, []).append(at)
    return found


def task_map(
    records: Sequence[Record], model: Any, settings: Settings, seed: int = 0, progress: Progress = silent
) -> list[Placed]:
    """Every task with its uncertainty and probability, in the order of their first rows; tasks without an answer not.

    `model` answers and scores.
    """
    if not 0 < settings.drop < 1 or min(settings.samples, settings.instances, settings.max_tokens) < 1:
        raise SettingsError(f"expected drop between 0 and 1 and counts of 1 or more, found {settings}", "drop=0.2")
    drawn = {
        name: sorted(random.Random(f"{seed}/{name}").sample(rows, min(settings.instances, len(rows))))
        for name, rows in tasks_of(records).items()
    }
    flat = [(name, records[at]) for name, rows in drawn.items() for at in rows]
    said = replies(model, [Ask(one.prompt, Sampling(settings.max_tokens)) for _, one in flat])
    progress("select: answers", len(flat), len(flat))
    answered = [(name, one, reply.text) for (name, one), reply in zip(flat, said, strict=True) if reply.text.strip()]
    pairs = [
        (prompt, text) for _, one, text in answered for prompt in (one.prompt, *_perturbations(one, settings, seed))
    ]
    scored = [math.exp(min(0.0, one.mean)) for one in model.score(pairs)]
    progress("select: scores", len(pairs), len(pairs))
    width, found = settings.samples + 1, dict[str, list[tuple[float, float]]]()
    for number, (name, _, _) in enumerate(answered):
        plain, *others = scored[number * width : (number + 1) * width]
        found.setdefault(name, []).append((fmean(abs(one - plain) for one in others), plain))
    return [Placed(name, fmean(u for u, _ in seen), fmean(p for _, p in seen)) for name, seen in found.items()]


def _perturbations(record: Record, settings: Settings, seed: int) -> list[tuple[Message, ...]]:
    draw = random.Random(f"{seed}/{record.id}")
    return [perturbed(record, settings.drop, draw) for _ in range(settings.samples)]


def kinds(places: Sequence[Placed]) -> list[str]:
    """Of each task: ambiguous (uncertainty above the median), else easy or difficult (probability about its median)."""
    if not places:
        return []
    unsure, likely = median(one.uncertainty for one in places), median(one.probability for one in places)
    return [
        "ambiguous" if one.uncertainty > unsure else "easy" if one.probability >= likely else "difficult"
        for one in places
    ]


def select(
    records: Sequence[Record], settings: Settings, seed: int = 0, progress: Progress = silent, *, model: Scores
) -> Iterator[Record | Dropped]:
    """The rows of the most uncertain tasks, in their order; the others with the reason."""
    places = task_map(records, model, settings, seed, progress)
    count = how_many(len(places), settings.limit, settings.keep)
    chosen = {places[at].task for at in highest([one.uncertainty for one in places], count)}
    known = {one.task: one for one in places}
    task_at = {at: name for name, rows in tasks_of(records).items() for at in rows}
    for at, record in enumerate(records):
        name = task_at.get(at)
        if name is None:
            yield Dropped(record, "no instruction")
        elif name in chosen:
            yield record
        elif name in known:
            yield Dropped(
                record, f"certain: prompt uncertainty {known[name].uncertainty:.4g} is below that of those kept"
            )
        else:
            yield Dropped(record, "not judged: the model gave no answer")


def prove(lab: Lab) -> Proof:
    """Prompts of the pool with a short right reply: the 24 most uncertain against 24 at random, SFT for each seed."""
    from adhere.core.step import divided
    from adhere.evals.grade import all_followed
    from adhere.evals.subsets import drawn, graded_after

    bench = lab.benchmark("seen", 48)
    right = lab.rows(160, keep=lambda row: row.tokens <= 96 and row.finish == "stop" and all_followed(row) == 1.0)
    rows = list({one.instruction: one for one in (lab.rows(160) if lab.smoke else right)}.values())[:72]
    count = min(lab.count(24), max(1, len(rows) // 2))
    with lab.at("base"):
        base = graded_after(lab, "random", lambda n: drawn(rows, count, n), bench)
    with lab.at("treated"):
        settings = Settings(limit=count)
        chosen = {n: divided(select(rows, settings, n, model=lab.model))[0] for n in lab.seeds}  # type: ignore[arg-type]
        treated = graded_after(lab, "chosen", lambda n: chosen[n], bench)
    every = [{one.id for one in kept} for kept in chosen.values()]
    numbers: dict[str, float] = {"tasks": len(rows), "kept": count}
    numbers["kept with every seed"] = len(set.intersection(*every))
    remark = "One round, by the untuned model; each prompt is a task. Both sides train on right replies only."
    outcome = lab.graded_outcome(bench.records, base, treated, ("drawn at random", "most prompt-uncertain"))
    outcome = msgspec.structs.replace(outcome, numbers=outcome.numbers | numbers, remark=remark)
    return lab.proof("active-instruction-tuning", CARD, outcome)
