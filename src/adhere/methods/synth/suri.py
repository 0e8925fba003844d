"""Suri: constraint back-translation. A text is there; the instruction and the constraints that it meets are found.

Paper: Pham, Sun, Iyyer, "Suri: Multi-constraint Instruction Following for Long-form Text Generation", Findings of EMNLP
2024 (arXiv 2406.19371), section 2.

The idea in five lines:
1. Long replies to many constraints are hard to collect, good long texts are not: so the text comes first.
2. A model writes the main instruction that the text could be the answer to.
3. And a list of constraints on content and style that the text meets.
4. Each constraint is minimally edited so that the text breaks it: the same reply with a corrupted instruction.
5. Rows (instruction with constraints, text) are for tuning; with the corrupted instruction beside them, for I-ORPO,
   which raises the odds of the text under the true instruction against the corrupted one.

What the paper says: 20,000 human texts of 2,000 to 5,000 words from three corpora, about ten constraints each, written
by GPT-4-turbo; people found most of them met. What its released code does (read): one prompt asks for the main
instruction and the list under two headings, without direct quotes, balanced between content and style; another asks to
edit every constraint without negation, so that both versions cannot be met together, and to keep the main instruction.
What we do: the main instruction comes from the model (or is the row's own); constraints are drawn from the types that
code can check, with parameters under which the text passes, so that each one is true; the corrupted version is the same
type with parameters under which the text fails. Types that cannot be corrupted so are left out.
Left out: constraints on content and tone, which only a model can write and judge, I-ORPO (its rows are made here:
`notes["corrupted"]`), and the long texts: a text here is the reply of a row.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Reply, Sampling, replies
from adhere.core.progress import Progress, silent
from adhere.core.record import Check, Record, user
from adhere.core.step import Dropped
from adhere.verify.catalogue import ALL_TYPES, IFEVAL_TYPES
from adhere.verify.conflicts import compatible
from adhere.verify.constraint import ConstraintType, Drawing
from adhere.verify.guard import degenerate
from adhere.verify.quoting import quoted
from adhere.verify.score import verdict_of
from adhere.verify.text import words

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab

CARD = Card(
    summary="Back-translate texts into instructions with constraints they meet, and into broken ones.",
    version="1",
    family="generation",
    paper="arXiv:2406.19371",
    seed=34,
    needs=("Generates",),
    claim="Tuned on texts with back-translated constraints, a model follows more constraints than tuned on as many of "
    "the same texts with their plain instructions.",
    metric="share of constraints of the trained types followed, strict",
)

MAIN = """{quoted}

Somebody was given one short instruction and wrote this text. What was the instruction? Write it in one sentence, \
without quoting from the text, and write nothing else."""
LAYOUT = "{main}\n\n{heading}\n{lines}"
HEADINGS = ("Keep to these constraints:", "Constraints:", "While doing so:")


@dataclass(frozen=True)
class Settings:
    """What is asked for and found.

    `constraints` are found for a text at most (about 10 in the paper; ours fewer, as a short text meets fewer that
    mean anything), `fewest` at least, or the row is dropped; `tries` is how often parameters are drawn per type;
    `own_instruction` takes the row's instruction in place of a back-translated one; `shortest` is the least number of
    words of a text (2,000 in the paper); `max_tokens` ends a back-translated instruction, which is greedy.
    """

    constraints: int = 4
    fewest: int = 1
    tries: int = 12
    own_instruction: bool = False
    shortest: int = 12
    max_tokens: int = 64


class Pair(msgspec.Struct, frozen=True):
    """A constraint that a text meets, and the edited one that it breaks."""

    met: Check
    broken: Check


def synth(
    records: Sequence[Record], model: Generates, settings: Settings, seed: int = 0, progress: Progress = silent
) -> Iterator[Record | Dropped]:
    """One row for each record, whose reply is the text: an instruction with constraints that the text meets.

    `checks` are these constraints, `notes["instruction"]` the main instruction alone, `notes["corrupted"]` the prompt
    with every constraint edited so that the text breaks it.
    """
    reasons = [_unfit(one, settings) for one in records]
    owed = [at for at, reason in enumerate(reasons) if not reason and not settings.own_instruction]
    sampling = Sampling(settings.max_tokens, seed=seed)
    asks = [Ask((user(MAIN.format(quoted=quoted(text=records[at].reply or ""))),), sampling) for at in owed]
    said = dict(zip(owed, replies(model, asks, "synthesise: instructions", progress), strict=True))
    for at, (record, reason) in enumerate(zip(records, reasons, strict=True)):
        row = msgspec.structs.replace(record.derive(f"suri@{CARD.version}"), checks=(), rejected=None)
        main, why = (record.instruction.strip(), "") if at not in said else _main(said[at])
        if reason or why:
            yield Dropped(row, reason or why)
        else:
            yield _row(row, main, settings, random.Random(f"{seed}/{at}"))


def _unfit(record: Record, settings: Settings) -> str:
    count = len(words(record.reply or ""))
    if not count:
        return "no text: the reply of a row is what is back-translated"
    if count < settings.shortest:
        return f"short: a text of {count} words, at least {settings.shortest} wanted"
    reason = degenerate(Record((user("Write a text."),)), record.reply or "")
    return f"guard: {reason}" if reason else ""


def _main(reply: Reply) -> tuple[str, str]:
    """The instruction on the first line of a reply, or why it is none."""
    if reply.finish != "stop":
        return "", f"not answered: {reply.error or 'the instruction was cut'}"
    lines = [line.strip().strip('"') for line in reply.text.splitlines() if line.strip()]
    said = lines[0].removeprefix("Instruction:").strip() if lines else ""
    reason = degenerate(Record((user("Write an instruction."),)), said)
    if reason or len(words(said)) > 60:
        return "", f"guard: {reason or 'long: more than 60 words for one instruction'}"
    return said, ""


def _row(row: Record, main: str, settings: Settings, rng: random.Random) -> Record | Dropped:
    pairs = found_in(row.reply or "", main, settings, rng)
    row = row.noted(instruction=main)
    if len(pairs) < settings.fewest:
        return Dropped(row, f"constraints: {len(pairs)} found, at least {settings.fewest} wanted")
    heading = rng.choice(HEADINGS)
    met, broken = (_prompt(main, heading, checks) for checks in zip(*((p.met, p.broken) for p in pairs), strict=True))
    messages = (*(one for one in row.prompt if one.role == "system"), user(met), row.messages[-1])
    return msgspec.structs.replace(row, messages=messages, checks=tuple(p.met for p in pairs)).noted(corrupted=broken)


def _prompt(main: str, heading: str, checks: Sequence[Check]) -> str:
    lines = "\n".join("- " + check.phrase.replace("\n", "\n  ") for check in checks)
    return LAYOUT.format(main=main, heading=heading, lines=lines)


def found_in(text: str, main: str, settings: Settings, rng: random.Random) -> list[Pair]:
    """Constraints that a text meets, compatible with each other, each with one of its type that the text breaks."""
    drawing = Drawing(main, max(1, len(words(text))))
    found: list[Pair] = []
    for kind in rng.sample(list(IFEVAL_TYPES.values()), len(IFEVAL_TYPES)):
        if len(found) == settings.constraints:
            break
        pair = _pair(kind, text, drawing, settings.tries, rng)
        if pair is not None and compatible([*(one.met for one in found), pair.met]):
            found.append(pair)
    return found


def _pair(kind: ConstraintType, text: str, drawing: Drawing, tries: int, rng: random.Random) -> Pair | None:
    """One constraint of a type that the text meets (and not just because there is nothing to look at), and one that
    it breaks; the broken one differs in one parameter where such a one was drawn."""
    if kind.id.startswith("combination:"):  # they ask for the prompt or for two texts, not for a property of this one
        return None
    met: list[Check] = []
    broken: list[Check] = []
    for _ in range(tries):
        params = kind.draw(rng, drawing)
        if params is None:
            return None
        check = kind.write(rng, params)
        verdict = verdict_of(check, text, ALL_TYPES)
        if verdict.passed and not verdict.vacuous:
            met.append(check)
        elif verdict.passed is False:
            broken.append(check)
    pairs = [Pair(one, other) for one in met for other in broken if _differ(one, other)]
    return min(pairs, key=lambda pair: _differ(pair.met, pair.broken), default=None)


def _differ(one: Check, other: Check) -> int:
    """How many parameters two checks of a type differ in."""
    return sum(one.params.get(key) != other.params.get(key) for key in {*one.params, *other.params})


def prove(lab: Lab) -> Proof:
    """The model's own replies to their instructions with back-translated constraints against the plain instructions."""
    from adhere.evals.arms import answered, even, own_replies, tuned_arms

    texts = own_replies(lab, lab.instructions(120), 80)
    # Both arms have the main instruction that the text was written to, so that the constraints alone differ.
    settings = Settings(shortest=4, own_instruction=True)
    made = [one for one in synth(texts, lab.model, settings, 0) if isinstance(one, Record)]
    by_id = {one.id: one for one in texts}
    plain = [by_id[one.parents[0]] for one in made]
    learnt = {check.kind for one in made for check in one.checks}
    bench = lab.benchmark("seen", 72)
    if lab.smoke:  # a handful of texts meets next to nothing
        learnt = {check.kind for one in bench.records for check in one.checks}
    tests = [one for one in bench.records if any(check.kind in learnt for check in one.checks)]

    def followed(test: Record, reply: Reply) -> float | None:
        checks = [check for check in test.checks if check.kind in learnt]
        verdicts = [verdict_of(check, reply.text, ALL_TYPES).passed for check in checks]
        known = [one for one in verdicts if one is not None]
        return sum(known) / len(known) if known else None

    names = ("tuned on plain instructions", "tuned on them with back-translated constraints")
    outcome = tuned_arms(lab, even(plain, made), tests, answered(followed), names, Sampling(128))
    outcome.numbers["types learnt"] = float(len(learnt))
    remark = (
        "Both arms hold the same texts, the model's own, and the instructions that these were written to; the paper's "
        "texts are long and written by people, and its main instructions back-translated too. Constraints of types "
        "that stand in the rows count; a reply that is a loop or a copy counts as a miss."
    )
    return lab.proof("suri", CARD, msgspec.structs.replace(outcome, remark=remark))
