"""IFS: the share of prompts that a model answers rather than continues.

Paper: AlShikh, Daaboul, Goddard, Imel, Kamble, Kulkarni, Russak, "Becoming self-instruct: introducing early stopping
criteria for minimal instruct tuning", 2023 (arXiv 2307.03692), sections 3 and 4.

The idea in five lines:
1. A base model goes on writing the prompt; an instruct model answers it. That is one bit, apart from how good the
   answer is.
2. It shows most clearly on *partial* prompts, instructions that break off in the middle: who follows instructions never
   completes them.
3. A classifier calls each reply answer-like or continuation-like.
4. IFS is the share of answer-like replies, over full and over partial prompts (IFS full, IFS partial).
5. While a model is tuned the score rises early and then stays; training on from there changes what it says, not that it
   answers.

What the paper says (abstract and summaries read): a binary BERT classifier, trained on instructions cut in two with
their rests (and rests followed by answers) against answers, tells the two apart almost without error; base models have
a far lower IFS than instruct models.
What its released code does: no code was found to compare with.
What we do: the classifier is a few rules, stated at `is_answer`, and looks at prompt and reply. Of Self-Instruct's rows
it calls 95 % of the outputs answers (those of four words or more), and continuations 99 % of the second halves of cut
instructions, 91 % of other instructions, and 6 in 10 of the second sentences of an instruction, its weak point. The
instructions are the shipped ones, cut at half of their first sentence. Left out: stopping a tuning at the plateau, and
ObjecQA, the paper's measure of what else changes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from adhere.core.benchmark import Benchmark
from adhere.core.errors import SettingsError
from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Reply, Sampling, Steps
from adhere.core.progress import Progress, silent
from adhere.core.record import Message, Record, user
from adhere.core.statistics import proportion_interval
from adhere.data.seeds import shipped_seeds
from adhere.evals.grade import Graded, grade
from adhere.evals.report import EvaluationReport, in_words
from adhere.models.steered import Steered
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.score import ConstraintVerifier

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab

CARD = Card(
    summary="Share of full and of cut instructions that are answered rather than continued.",
    version="1",
    family="evaluation",
    paper="arXiv:2307.03692",
    seed=176,
    needs=("Generates",),
    claim="The same weights answer more prompts through their chat template than when they complete the plain text.",
    metric="IFS: share of answer-like replies",
)
PARTS = ("full", "partial")
_GOES_ON = re.compile(r"[a-z0-9,.;:)\]%'’&/]")
_VERBS = (
    "write|describe|explain|list|name|tell|compare|discuss|identify|rewrite|summari[sz]e|translate|generate|classify|"
    "given|find|detect|select|convert|create|design|calculate|compute|output|determine|imagine|answer|rate|rank|sort|"
    "predict|extract|edit|suggest|come up|construct|provide|pick|choose|think of|what|how|why|which|who|where|can you"
)  # of instructions; those of advice (use, try, add, keep) are left out, because advice is an answer
_ASKS = re.compile(
    rf"(?:please |now )?(?:(?:{_VERBS})\b|give (?:me|us|an?|the|two|three|some)\b|make (?:an?|up)\b)(?! it is|,|:)"
    r"|you (?:are given|are asked|will|have|need|want)\b|(?:question|instruction|task|input)\b[^.?!\n]{0,20}:"
    r"|(?:you|your (?:answer|response|reply|essay|text|letter|list|story|poem|task|goal))\b[^.?!\n]{0,60}\b"
    r"(?:should|must|is to|are to)\b|(?:the|each|every) [^.?!\n]{1,40}\b(?:should|must)\b",
    re.IGNORECASE,
)
_ENDS = (".", "?", "!", ":", '"', ")", "\n")
_SENTENCE = re.compile(r"[^.?!\n]*[.?!]?")


@dataclass(frozen=True)
class Settings:
    """`prompts` instructions are asked in full and cut; `max_tokens` ends a reply, whose beginning decides."""

    prompts: int = 100
    max_tokens: int = 48


def is_answer(prompt: str, reply: str) -> bool:
    """Whether a reply answers the prompt; otherwise it goes on with it.

    A continuation goes on in the middle of the prompt's sentence (with a small letter, a digit or a mark that needs
    something before it, where the prompt does not end its sentence), or its first sentence is a further question or
    instruction, or says what the answer should be like, or repeats the prompt. A blank reply answers nothing.
    """
    said = reply.strip()
    if not said or (not prompt.rstrip().endswith(_ENDS) and _GOES_ON.match(said)):
        return False
    first = _SENTENCE.match(said)
    opening = first.group().strip() if first else said
    if opening.endswith("?") or _ASKS.match(opening):
        return False
    return len(opening.split()) < 4 or not prompt.strip().lower().startswith(opening.lower().rstrip("."))


def cut(text: str) -> str:
    """An instruction broken off after half of the words of its first sentence, without a mark at its end."""
    first = _SENTENCE.match(text.strip())
    words = (first.group() if first else text).split()
    return " ".join(words[: max(1, len(words) // 2)]).rstrip(",;:")


def prompts(instructions: Sequence[Record]) -> Benchmark:
    """Each instruction in full and cut."""
    records = [
        Record((user(text),), notes={"part": part})
        for one in instructions
        for part, text in (("full", one.instruction), ("partial", cut(one.instruction)))
    ]
    return Benchmark("answered", "1", tuple(records), ConstraintVerifier(ALL_TYPES))


def answered(bench: Benchmark, graded: Graded, part: str = "") -> list[bool | None]:
    """Whether each reply (of one part, where named) is an answer; None where none came."""
    return [
        is_answer(record.instruction, row.reply) if row.judged else None
        for record, row in zip(bench.records, graded.rows, strict=True)
        if part in ("", record.notes["part"])
    ]


def evaluate(
    model: Generates,
    settings: Settings,
    data: Path | None = None,
    seed: int = 0,
    limit: int | None = None,
    progress: Progress = silent,
) -> EvaluationReport:
    """IFS, IFS full and IFS partial; greedy, at most `limit` instructions, the first of the shipped ones."""
    if data is not None:
        raise SettingsError("instruction-following-score makes its own prompts", "Leave --data out.")
    bench = prompts(shipped_seeds()[: min(settings.prompts, limit or settings.prompts)])
    graded = grade(model, bench, (0,), Sampling(settings.max_tokens), progress)
    values: dict[str, Any] = {"model": model.name, "prompts": len(bench.records) // 2}
    lines = [f"Instruction following score, {model.name}: {values['prompts']} instructions, in full and cut"]
    for name, part in (("IFS", ""), ("IFS full", "full"), ("IFS partial", "partial")):
        found = answered(bench, graded, part)
        if any(one is not None for one in found):
            share = proportion_interval(found, [at // (1 if part else 2) for at in range(len(found))])
            values[name.lower().replace(" ", "_")] = {"share": share.share, "interval": [share.low, share.high]}
            lines.append(f"  {name:12} {in_words(share)}")
    return EvaluationReport(values, tuple(lines), (graded,))


class _Untemplated:
    """A tokenizer that reads a prompt as plain text, without the marks of a conversation."""

    def __init__(self, chat: Any) -> None:
        self._chat = chat

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chat, name)

    def encode_prompt(self, messages: Sequence[Message], tools: Sequence[Any] = ()) -> list[int]:
        """The tokens of the last message's text."""
        return list(self._chat.encode_text(messages[-1].text))


class _Plain:
    """A white box whose tokenizer knows no template."""

    def __init__(self, model: Steps) -> None:
        self._model, self.chat = model, _Untemplated(model.chat)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


def stepped(model: Steps, template: bool) -> Steered:
    """The model decoded step by step, through its chat template or as a completion of the plain prompt."""
    inside: Any = model if template else _Plain(model)

    def answer(asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        from adhere.models.decoding import decode

        return decode(inside, asks)

    assert isinstance(model, Generates)
    return Steered(model, f"instruction-following-score@{CARD.version}", ["template" if template else "plain"], answer)


def prove(lab: Lab) -> Proof:
    """Plain completion against the chat template, by one loop, on the same full and cut instructions."""
    from adhere.evals.lab import Outcome

    bench = prompts(lab.instructions(80, "probe"))
    found = {}
    for side, template in (("base", False), ("treated", True)):
        with lab.at(side):
            found[side] = lab.grade(stepped(lab.inside, template), bench, Sampling(40))
    numbers = {
        f"IFS {part}, {name}": fmean(bool(one) for one in answered(bench, found[side], part))
        for part in PARTS
        for side, name in (("base", "plain text"), ("treated", "chat template"))
    }
    units = [at // 2 for at in range(len(bench.records))]
    outcome = Outcome(
        answered(bench, found["base"]), answered(bench, found["treated"]), units,
        ("completing plain text", "through the chat template"), unit="instructions", numbers=numbers,
        remark="Both are the instruct weights; a base model was not at hand. What is an answer is decided by rules.",
    )  # fmt: skip
    return lab.proof("instruction-following-score", CARD, outcome)
