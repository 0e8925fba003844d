"""Automatic prompt engineer: guess the instruction behind examples, keep the guess that explains others best.

Paper: Zhou, Muresanu, Han, Paster, Pitis, Chan, Ba, "Large Language Models Are Human-Level Prompt Engineers", ICLR 2023
(arXiv 2211.01910), section 3.

The idea in five lines:
1. The model is shown input-output pairs of a task and asked which instruction they were answers to; many draws.
2. Each guess is scored on pairs that it was not made from: the likelihood of the outputs under it, or how many the
   model gets right with it.
3. The best may be varied (say it in other words) and scored again, for some rounds.
4. The best of all is kept.
5. It then stands before every input, without examples.

What the paper says: 50 guesses from 5 pairs each; execution accuracy or log-likelihood of the outputs, first on a
subsample; rounds of resampling help little where the first guesses are good; 19 of 24 tasks as good as instructions
that people wrote. What its released code does: 5 subsets of pairs with 50 guesses at temperature 0.9, 50 pairs to score
on, a bandit (UCB) as an option.
What we do: the same at a smaller size; likelihood by default, since a small model gets so little right that accuracies
tie. The mean over pairs of the log-likelihood per token. The examples are `records` with a reply: the first half of
them, shuffled, are shown, the others score. In the proof an answer is right where it stands in the first line of the
reply (`data/induction_tasks.stated`), because a small model answers in a sentence; the stricter accuracy, where the
line is the answer, stands beside. Left out: the template that fills in rather than asks, the bandit.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean
from typing import TYPE_CHECKING, Literal

import msgspec

from adhere.core.errors import ModelError, SettingsError
from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Reply, Sampling, Scores, replies
from adhere.core.progress import Progress, silent
from adhere.core.record import Message, Record, user
from adhere.models.steered import Steered

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.data.induction_tasks import Item, Task
    from adhere.evals.lab import Lab

CARD = Card(
    summary="Guess the instruction behind examples many times, keep the guess that explains others best.",
    version="1",
    family="prompting",
    paper="arXiv:2211.01910",
    seed=52,
    needs=("Generates", "Scores"),
    claim="The guess that scores best makes more answers right on the 24 induction tasks than the first guess.",
    metric="accuracy on inputs that were not shown, mean over tasks",
)

GUESS = """Somebody was given one instruction and followed it on every input below.

{pairs}

What was the instruction? Write it in one sentence that begins with a verb."""
VARY = """Say the following instruction in other words. Keep its meaning, and write one sentence only.

{instruction}"""
PAIR = "Input: {input}\nOutput: {output}"
USE = "{instruction}\n\n{text}"
LONGEST = 300  # characters of an instruction


@dataclass(frozen=True)
class Settings:
    """`samples` guesses (50 a subset in section 4.1), drawn at `temperature` from `shown` pairs each.

    `scored` pairs at most judge a guess, by `score`: "likelihood" of their outputs, or "accuracy" of greedy answers. In
    each of `rounds` the best quarter is varied once each (0 by default, as in the paper's main table).
    """

    samples: int = 16
    temperature: float = 0.9
    shown: int = 5
    scored: int = 10
    score: Literal["likelihood", "accuracy"] = "likelihood"
    rounds: int = 0


class Search(msgspec.Struct, frozen=True):
    """Guesses in the order they were made, with their scores; `best` is the first of the highest."""

    guesses: tuple[str, ...]
    scores: tuple[float, ...]

    @property
    def best(self) -> str:
        """The instruction to use; empty where there is no guess."""
        return max(zip(self.scores, self.guesses, strict=True), key=lambda one: one[0])[1] if self.guesses else ""


def steer(
    model: Generates, records: Sequence[Record], settings: Settings, seed: int = 0, progress: Progress = silent
) -> Steered:
    """The model that reads the best guess before every last user message; `records` are examples of one task."""
    return with_instruction(model, search(model, records, settings, seed, progress).best)


def search(
    model: Generates, records: Sequence[Record], settings: Settings, seed: int = 0, progress: Progress = silent
) -> Search:
    """All guesses with their scores. Without two examples at least there is nothing to guess from."""
    if not isinstance(model, Scores) and settings.score == "likelihood":
        raise ModelError(f"ape needs the likelihood of replies of {model.name}", "Use score=accuracy.")
    if min(settings.samples, settings.shown, settings.scored) < 1:
        raise SettingsError("expected samples, shown and scored from 1 on", "Leave them at their defaults.")
    rows = [one for one in records if (one.reply or "").strip() and one.instruction.strip()]
    draw = random.Random(f"ape/{seed}")
    draw.shuffle(rows)
    shown, scored = rows[: len(rows) // 2], rows[len(rows) // 2 :][: settings.scored]
    if not shown:
        return Search((), ())
    sampling = Sampling(64, settings.temperature, seed=seed)
    count = min(settings.shown, len(shown))
    asks = [_guess_ask(draw.sample(shown, count), sampling, number) for number in range(settings.samples)]
    found = _scored(model, _guesses(model, asks), scored, settings)
    for number in range(settings.rounds):
        ranked = sorted(zip(found.scores, found.guesses, strict=True), key=lambda one: -one[0])
        best = [guess for _, guess in ranked[: max(1, settings.samples // 4)]]
        asks = [Ask((user(VARY.format(instruction=one)),), sampling, number) for one in best]
        fresh = [one for one in _guesses(model, asks) if one not in found.guesses]
        more = _scored(model, fresh, scored, settings)
        found = Search(found.guesses + more.guesses, found.scores + more.scores)
        progress("ape: rounds", number + 1, settings.rounds)
    return found


def with_instruction(model: Generates, instruction: str) -> Steered:
    """The model that reads an instruction before the last user message; an empty one changes nothing."""

    def answer(asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        return model.generate([msgspec.structs.replace(ask, messages=told(ask.messages, instruction)) for ask in asks])

    return Steered(model, f"ape@{CARD.version}", instruction, answer)


def told(messages: Sequence[Message], instruction: str) -> tuple[Message, ...]:
    """The conversation with an instruction before its last user message."""
    last = max((at for at, one in enumerate(messages) if one.role == "user"), default=None)
    if last is None or not instruction:
        return tuple(messages)
    text = USE.format(instruction=instruction, text=messages[last].text)
    return (*messages[:last], user(text), *messages[last + 1 :])


def _guess_ask(rows: Sequence[Record], sampling: Sampling, number: int) -> Ask:
    pairs = "\n\n".join(PAIR.format(input=one.instruction, output=one.reply) for one in rows)
    return Ask((user(GUESS.format(pairs=pairs)),), sampling, number)


def _guesses(model: Generates, asks: Sequence[Ask]) -> list[str]:
    """Different instructions in the order of the asks."""
    said = [instruction_in(one.text) for one in replies(model, asks) if one.finish != "error"]
    return [one for one in dict.fromkeys(said) if one]


def instruction_in(text: str) -> str:
    """The first line of a reply, without what introduces it; empty where it is none or goes on and on."""
    line = next((one for one in text.splitlines() if one.strip()), "")
    line = re.sub(r"^\W*(?:the )?instructions?(?: was| is)?\s*:?\s+", "", line.strip(), flags=re.IGNORECASE)
    line = " ".join("".join(letter for letter in line if letter.isprintable() or letter.isspace()).split()).strip(
        "\"'*` "
    )
    return line if len(line) <= LONGEST else ""


def _scored(model: Generates, guesses: Sequence[str], rows: Sequence[Record], settings: Settings) -> Search:
    pairs = [(told(one.prompt, guess), one.reply or "") for guess in guesses for one in rows]
    if settings.score == "likelihood":
        assert isinstance(model, Scores)
        values = [one.mean for one in model.score(pairs)]
    else:
        longest = 8 + 2 * max((len(reply.split()) for _, reply in pairs), default=0)
        said = replies(model, [Ask(prompt, Sampling(4 * longest)) for prompt, _ in pairs])
        values = [float(_same(one.text, reply)) for one, (_, reply) in zip(said, pairs, strict=True)]
    step = max(1, len(rows))
    return Search(tuple(guesses), tuple(fmean(values[at : at + step]) for at in range(0, len(values), step)))


def _same(said: str, wanted: str) -> bool:
    plain = [" ".join(one.split()).strip(".!?\"' ").casefold() for one in (said, wanted)]
    return plain[0] == plain[1]


def prove(lab: Lab) -> Proof:
    """Per task: eight guesses from ten pairs; the first guess against the best one on inputs of the test part.

    Answers count where they stand in the first line; where the line has to be the answer, the accuracies are numbers.
    """
    from adhere.data.induction_tasks import TASKS, items
    from adhere.evals.lab import Outcome

    tasks = TASKS[: lab.count(len(TASKS))]
    settings = Settings(samples=lab.count(8), scored=5)
    found: dict[str, list[tuple[float, float]]] = {"base": [], "treated": [], "person": []}
    for seed in lab.seeds:
        for task in tasks:
            rows = [Record((user(one.input),)).with_reply(one.answers[0]) for one in items(task, 10, "train", seed)]
            test = items(task, lab.count(10), "test", seed)
            with lab.at("treated"):
                tried = search(lab.model, rows, settings, seed)
                found["treated"].append(accuracy(lab.model, task, test, tried.best))
            with lab.at("base"):  # its cost is that of one guess; the first that is one, should that be none
                first = search(lab.model, rows, replace(settings, samples=1, scored=1), seed).guesses or tried.guesses
                found["base"].append(accuracy(lab.model, task, test, first[0] if first else ""))
            with lab.at("person"):
                found["person"].append(accuracy(lab.model, task, test, task.instruction))
    units = [task.name for _ in lab.seeds for task in tasks]
    numbers = {"accuracy with a person's instruction": fmean(stated for stated, _ in found["person"])}
    for side, name in (("base", "first guess"), ("treated", "best guess"), ("person", "a person's instruction")):
        numbers[f"exact accuracy, {name}"] = fmean(exact for _, exact in found[side])
    base, treated = ([stated for stated, _ in found[side]] for side in ("base", "treated"))
    remark = (
        "An answer counts where it stands as whole words in the first line of the reply; lists, closed choices and "
        "other answers that a sentence holds by chance have to be the line. Exact: every answer has to be the line."
    )
    names = ("first guess", "best of 8 guesses")
    outcome = Outcome(base, treated, units, names, unit="tasks", numbers=numbers, remark=remark)
    return lab.proof("ape", CARD, outcome)


def accuracy(model: Generates, task: Task, items: Sequence[Item], instruction: str) -> tuple[float, float]:
    """Shares of the items whose answer stands in the first line of the greedy reply, and is that line."""
    from adhere.data.induction_tasks import right, stated

    asks = [Ask((user(one.input),), Sampling(24)) for one in items]
    said = replies(with_instruction(model, instruction), asks)
    pairs = [(item, one.text) for item, one in zip(items, said, strict=True)]
    stands, exact = (sum(judge(task, *pair) for pair in pairs) / max(1, len(pairs)) for judge in (stated, right))
    return stands, exact
