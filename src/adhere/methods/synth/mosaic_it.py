"""Mosaic-IT: several instructions in one prompt, answered in a format, an order or a choice that the prompt sets.

Paper: Li, Chen, Wang, Zhao, Liang, Hou, Liu, Zhou, "Mosaic IT: Enhancing Instruction Tuning with Data Mosaics" (the
title of the first version), arXiv 2405.13326.

The idea in five lines:
1. Rows of instruction data are shuffled and joined, a few to a prompt; no model and no person is needed.
2. A meta-instruction says how the answers are to be written: between a begin and an end tag, numbered (format).
3. A second one may ask for another order (fixed, reversed, by alphabet, by length, odd before even): permute.
4. Or it says which instructions are to be left out (by number, the longest, the shortest, the odd ones): mask.
5. The target is made of the old replies by rule. Fewer, longer rows: about a fifth of the steps for the same data.

What the paper says: uniform choice among format, permute and mask; the number of instructions uniform up to 10; better
on general benchmarks with about 80 % less training time. What its released code does (read): the number is uniform
from 1 to 10, and rows are added only while the joined row has less than 2,000 tokens; all random choices are drawn
anew with each row that is tried; numbers are named in an order or a mask whether or not they are shown; the list of
phrasings for the alphabet lacks commas, so that seven of its eight are one long string; leaving out one of a single
instruction gives an empty reply; in the version read, `tqdm(args.epo_num)` goes through an integer and fails.
What we do: the same families and weights, tags and phrasings of our own, choices drawn once per row, numbers always
shown where the meta-instruction names them, and nothing but `format` for a single instruction. Length is counted in
words. A row that is longer alone than `most_words` is dropped.
Left out: the code's other distributions of the number (exponential, Pareto, ...). The proof measures the first thing
that the paper trains for, that several instructions in a prompt are answered, and not its judged benchmarks, which
need a judge. Unseen tags around the answers were tried first: at 135M no reply has any, after either tuning.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from adhere.core.method import Card
from adhere.core.model import Generates, Reply, Sampling
from adhere.core.progress import Progress, silent
from adhere.core.record import Record, assistant, user
from adhere.core.step import Dropped
from adhere.verify.text import words

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab

CARD = Card(
    summary="Join several rows into one prompt with a meta-instruction on format, order or choice.",
    version="1",
    family="generation",
    paper="arXiv:2405.13326",
    seed=76,
    claim="Tuned on mosaics of its rows, a model follows more of several instructions in a prompt than tuned on the "
    "same rows one by one.",
    metric="share of the two requests whose own word is used under their number",
)

TAGS = ("[{}]", "<{}>", "({})", "**{}**", "<<{}>>", "|{}|", "##{}##", "{{{}}}")
WORDS = (("START", "STOP"), ("ANSWER", "DONE"), ("OPEN", "SHUT"), ("REPLY", "END REPLY"), ("IN", "OUT"), ("A", "/A"))
NUMBERS = ("{}. ", "({}) ", "[{}] ", "Task {}: ", "#{}: ")
FORMATS = (
    "Write each answer between {begin} and {end}.",
    "Begin every answer with {begin} and close it with {end}.",
    "Put {begin} before and {end} after the answer to each of the requests.",
    "The form of each answer: {begin}answer{end}",
)
PLAIN = ("Answer all of these requests.", "Give an answer to each request.", "Reply to the requests one after another.")
JOINTS = ("\n", "\n\n")

Picked = list[int]


def _by(key: Callable[[str], object], reverse: bool = False) -> Callable[[Sequence[str], random.Random], Picked]:
    return lambda said, rng: sorted(range(len(said)), key=lambda at: key(said[at]), reverse=reverse)  # type: ignore[arg-type,return-value]


def _shuffled(said: Sequence[str], rng: random.Random) -> Picked:
    return rng.sample(range(len(said)), len(said))


# Each with its phrasing: {} stands for the numbers in their new order.
ORDERS: tuple[tuple[str, Callable[[Sequence[str], random.Random], Picked]], ...] = (
    ("Answer in this order: {}.", _shuffled),
    ("Answer the last request first and go backwards.", lambda said, rng: list(reversed(range(len(said))))),
    ("Answer in the alphabetical order of the requests.", _by(str.lower)),
    ("Answer in reverse alphabetical order of the requests.", _by(str.lower, True)),
    ("Answer the requests with the fewest words first.", _by(lambda text: len(text.split()))),
    ("Answer the requests with the most words first.", _by(lambda text: len(text.split()), True)),
    ("Answer the requests with the fewest characters first.", _by(len)),
    ("Answer the requests with the most characters first.", _by(len, True)),
    ("Answer the odd-numbered requests first.", lambda said, rng: [*range(0, len(said), 2), *range(1, len(said), 2)]),
    ("Answer the even-numbered requests first.", lambda said, rng: [*range(1, len(said), 2), *range(0, len(said), 2)]),
)


def _without(gone: Sequence[int], count: int) -> Picked:
    return [at for at in range(count) if at not in gone]


# Each with its phrasing: {} stands for the numbers left out, or for how many those are; `k` is how many to leave out.
MASKS: tuple[tuple[str, Callable[[Sequence[str], random.Random, int], Picked]], ...] = (
    ("Leave out these requests: {}.", lambda said, rng, k: _without(_shuffled(said, rng)[:k], len(said))),
    (
        "Leave out the requests with the most words, {} in number.",
        lambda said, rng, k: _without(ORDERS[5][1](said, rng)[:k], len(said)),
    ),
    (
        "Leave out the requests with the fewest words, {} in number.",
        lambda said, rng, k: _without(ORDERS[4][1](said, rng)[:k], len(said)),
    ),
    ("Leave out the odd-numbered requests.", lambda said, rng, k: list(range(1, len(said), 2))),
    ("Leave out the even-numbered requests.", lambda said, rng, k: list(range(0, len(said), 2))),
)
MASKED = (0.1, 0.5)  # the share that is left out, uniform in between [code]


@dataclass(frozen=True)
class Settings:
    """How rows are joined.

    `most` instructions in one prompt (10 in the released code, drawn uniformly from 1); `rounds` over all rows, each
    shuffled anew (4 there); `most_words` of prompt and reply together (2,000 tokens there; ours is smaller, for models
    with a short memory); `permute` and `mask` say whether those families are drawn beside `format` (both there).
    """

    most: int = 10
    rounds: int = 4
    most_words: int = 450
    permute: bool = True
    mask: bool = True


def synth(
    records: Sequence[Record], model: Generates, settings: Settings, seed: int = 0, progress: Progress = silent
) -> Iterator[Record | Dropped]:
    """Mosaics of the rows with a reply; `model` is not asked. Rows without a reply are dropped, as are too long ones.

    `notes` hold `family` (format, permute, mask), `order` (positions of the parents, as answered) and `count`.
    """
    rng = random.Random(seed)
    able: list[Record] = []
    for record in records:
        reason = _unfit(record, settings)
        if reason:
            yield Dropped(record.derive(_made_by()), reason)
        else:
            able.append(record)
    for turn in range(settings.rounds if able else 0):
        order = rng.sample(able, len(able))
        while order:
            taken = _taken(order, rng.randint(1, max(1, settings.most)), settings)
            order = order[len(taken) :]
            yield joined(taken, settings, rng)
        progress("synthesise: rounds", turn + 1, settings.rounds)


def _made_by() -> str:
    return f"mosaic-it@{CARD.version}"


def _unfit(record: Record, settings: Settings) -> str:
    if not (record.reply or "").strip():
        return "no reply: a mosaic is made of rows that are answered"
    if len(record.prompt) != 1:
        return "turns: only a single user message can be part of a mosaic"
    size = _size(record)
    return f"long: {size} words, at most {settings.most_words}" if size > settings.most_words else ""


def _size(record: Record) -> int:
    return len(record.instruction.split()) + len((record.reply or "").split())


def _taken(order: Sequence[Record], wanted: int, settings: Settings) -> list[Record]:
    """The next rows, as many as wanted while they fit; one at least."""
    taken = [order[0]]
    for record in order[1:wanted]:
        if sum(map(_size, taken)) + _size(record) > settings.most_words:
            break
        taken.append(record)
    return taken


def joined(rows: Sequence[Record], settings: Settings, rng: random.Random) -> Record:
    """One mosaic of these rows: the prompt with its meta-instructions, and the reply that follows from them."""
    said = [row.instruction.strip() for row in rows]
    families = ["format", *["permute"] * settings.permute, *["mask"] * settings.mask] if len(rows) > 1 else ["format"]
    family = rng.choice(families)
    number = rng.choice(NUMBERS)
    second, picked = _second(family, said, rng)
    begin, end, meta = _format(rng)
    prefix = [number.format(at + 1) for at in range(len(rows))]
    requests = rng.choice(JOINTS).join(mark + text for mark, text in zip(prefix, said, strict=True))
    metas = " ".join(part for part in (meta, second) if part)
    prompt = rng.choice((f"{metas}\n\n{requests}", f"{requests}\n\n{metas}"))
    reply = "\n\n".join(f"{prefix[at]}{begin}{(rows[at].reply or '').strip()}{end}" for at in picked)
    return Record(
        (user(prompt), assistant(reply)),
        parents=tuple(dict.fromkeys(row.id for row in rows)),
        made_by=_made_by(),
        notes={"family": family, "order": picked, "count": len(rows)},
    )


def _format(rng: random.Random) -> tuple[str, str, str]:
    """Begin and end of an answer and the words that ask for them; in half of the rows there are none [code]."""
    if rng.random() < 0.5:
        return "", "", rng.choice(PLAIN)
    tag, (first, last) = rng.choice(TAGS), rng.choice(WORDS)
    begin, end = tag.format(first), tag.format(last)
    if rng.random() < 0.5:
        begin, end = begin.lower(), end.lower()
    return begin, end, rng.choice(FORMATS).format(begin=begin, end=end)


def _second(family: str, said: Sequence[str], rng: random.Random) -> tuple[str, Picked]:
    """The meta-instruction on order or choice, and which instructions are answered, in their order."""
    if family == "permute":
        phrase, order = rng.choice(ORDERS)
        picked = order(said, rng)
        return phrase.format(", ".join(str(at + 1) for at in picked)), picked
    if family == "mask":
        phrase, choose = rng.choice(MASKS)
        picked = choose(said, rng, max(1, int(len(said) * rng.uniform(*MASKED))))
        gone = _without(picked, len(said))
        told = ", ".join(str(at + 1) for at in gone) if phrase == MASKS[0][0] else str(len(gone))
        return phrase.format(told), picked
    return "", list(range(len(said)))


USE = "Use the word {} in the answer."
_PART = re.compile(r"^[^\S\n]*(?:[*#]{0,3}[^\S\n]*)\(?([12])[.):]", re.MULTILINE)


def with_word(record: Record, word: str) -> Record:
    """The request, with a word that its answer has to use."""
    return Record((user(f"{record.instruction}\n{USE.format(word)}"),), notes={"word": word})


def uses(reply: str, word: str, prompt: str) -> bool:
    """Whether a sentence of the reply uses the word; one that the prompt has, or that is about the word, does not."""
    asked = f" {' '.join(words(prompt.lower()))} "
    said = [words(one) for one in re.split(r"(?<=[.!?:])\s+|\n+", reply.lower())]
    told = [f" {' '.join(one)} " for one in said if word in one]
    return any(one not in asked and f" word {word} " not in one for one in told)


def parts(reply: str) -> dict[str, str]:
    """The first answer under each of the numbers 1 and 2 at the beginning of a line."""
    marks = list(_PART.finditer(reply))
    ends = [*(one.start() for one in marks[1:]), len(reply)]
    found: dict[str, str] = {}
    for one, end in zip(marks, ends, strict=False):  # without any mark there is an end too many
        found.setdefault(one[1], reply[one.end() : end])
    return found


def both_used(test: Record, reply: Reply) -> float:
    """Share of the two words that are used in the answer to their own request, which has its number before it."""
    answers = parts(reply.text)
    wanted = dict(zip("12", test.notes["words"], strict=True))
    return sum(uses(answers.get(at, ""), word, test.instruction) for at, word in wanted.items()) / 2


def prove(lab: Lab) -> Proof:
    """The model's own right replies, tuned on one by one and as mosaics; asked two new requests with other words."""
    from adhere.evals.arms import answered, own_replies, tuned_arms
    from adhere.verify.chains import WORDS

    trained, asked = WORDS[:12], WORDS[12:]
    posed = [with_word(one, trained[at % len(trained)]) for at, one in enumerate(lab.instructions(96))]
    own = own_replies(lab, posed, 64)
    rows = [one for one in own if lab.smoke or uses(one.reply or "", one.notes["word"], one.instruction)]
    settings = Settings(most=4, rounds=1, most_words=300)
    made = [one for one in synth(rows, lab.model, settings, 0) if isinstance(one, Record)]
    probes = [with_word(one, asked[at % len(asked)]) for at, one in enumerate(lab.instructions(80, "probe"))]
    tests = []
    for first, second in zip(probes[::2], probes[1::2], strict=False):
        said = f"1. {first.instruction}\n\n2. {second.instruction}"
        asking = user(f"Answer both of these requests, each under its number.\n\n{said}")
        tests.append(Record((asking,), notes={"words": [first.notes["word"], second.notes["word"]]}))
    names = ("tuned on the rows one by one", "tuned on mosaics of them")
    outcome = tuned_arms(lab, (rows, made), tests, answered(both_used), names, Sampling(192))
    remark = (
        "Words and requests of the test are in no training row. Both arms hold the same rows, those whose reply uses "
        "its word. A word counts in the answer under its own number, in a sentence that is not of the prompt and not "
        "about the word; a reply that is a loop or a copy counts as nothing."
    )
    return lab.proof("mosaic-it", CARD, msgspec.structs.replace(outcome, remark=remark))
