"""AutoIF: instructions that code can check, the code from the model itself, replies kept by running it.

Paper: Dong, Lu, Li, Xia, Yu, Zhou, Zhou, "Self-play with Execution Feedback: Improving Instruction-following
Capabilities of Large Language Models", ICLR 2025 (arXiv 2406.13542), section 3.

The idea in five lines:
1. A few hand-written instructions about the form of a reply are added to by the model.
2. For each the model writes several functions that check it, each with test cases; functions and cases that do not
   agree with the others go, and so does an instruction whose functions, put into words again, contradict it.
3. Each instruction is joined to queries of ordinary users; several replies are drawn for each.
4. A reply is kept when the functions pass it, and when a judge finds it relevant to the query.
5. Kept replies are for supervised tuning; with one that every function fails, a pair for DPO.

What the paper says: pass rate of at least 0.5 for positives of DPO, queries of ShareGPT, relevance on a scale to 10.
What its released code does (read): 36 seed instructions, 50 more per request; 3 functions and 10 cases at least, 0.8
accuracy on the cases; an NLI model for the contradictions; 16 queries of 20 to 300 characters for each instruction;
replies with a pass rate above 0 (not 0.5) go on, those with relevance above 8 stay; the prompt is query, space,
instruction, full stop. Its faults with case values and in-process `exec` are described in `verify.autoif`.
What we do: 1, 3 and 4 here, 2 by `verify.autoif` in a sandbox, with mutation tests besides. The pass rate has to be
above 0.5, not at least that: `verify.autoif` does not judge a reply on which the functions are evenly divided. The same
model describes functions in words, compares, and judges relevance; both can be left out.
Left out: the strong teacher. A model of 135M writes no function that survives, so in the proof a bank of drafts, right
and wrong ones, takes its part, and what is looked at is the tuning on replies kept by execution.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Reply, Sampling, replies
from adhere.core.progress import Progress, silent
from adhere.core.record import Check, Record, user
from adhere.core.step import Dropped
from adhere.verify import autoif
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.drafts import read_draft
from adhere.verify.guard import degenerate
from adhere.verify.quoting import closing_answer, quoted, unused_word
from adhere.verify.sandbox import Sandbox
from adhere.verify.score import verdict_of

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab

CARD = Card(
    summary="Instructions with checks written by the model itself; replies kept by running the checks.",
    version="1",
    family="generation",
    paper="arXiv:2406.13542",
    seed=151,
    needs=("Generates",),
    claim="Tuned on replies that cross-validated functions pass, a model follows these instructions on new queries "
    "more often than tuned on as many of its replies as they come.",
    metric="share of constraints followed, strict, by a check written by hand",
)

INSTRUCTIONS = (
    "Do not use any commas.", "Write everything in small letters.", "Put the whole answer into double quotation marks.",
    "Answer in exactly three sentences.", "Begin with the word Well.", "End with a question mark.",
    "Use no word of more than eight letters.", "Write at least two paragraphs.", "Leave out the letter z.",
    "Write a list with a dash before every item.",
)  # fmt: skip
MORE = """These are requirements on the form of a reply that a short Python function can check:

{shown}

Write {count} more of them, on form and not on style or content, each in one sentence, as a numbered list.

1."""
RELEVANT = """{quoted}

How well does the reply answer the query, from 0 (not at all) to 10 (fully)? Leave its form aside. End with one last \
line of exactly this form:
{word}: a number from 0 to 10"""
_WORDS = ("SCORE", "GRADE", "POINTS")


@dataclass(frozen=True)
class Settings:
    """How instructions, functions, queries and replies are made; values of the released code where not said otherwise.

    `instructions` to begin with (36 there; ours are ten); `more` are asked for (50), in one reply; `drafts` of a
    function for each (8); `queries` for each (16), of `shortest` to `longest` characters (20, 300); `samples` replies
    for each; `least_pass` is the share of functions that must pass a reply (0.5 in the paper, above 0 in the code; an
    even vote is not judged, so 0.5 means above it); `least_relevance` must be exceeded (8), a negative one asks no
    judge; `describe` lets the model compare functions in words with the instruction; `temperature`, `top_p` and
    `max_tokens` shape the replies (ours); `workers` sandboxes.
    """

    instructions: tuple[str, ...] = INSTRUCTIONS
    more: int = 50
    drafts: int = 8
    queries: int = 16
    shortest: int = 20
    longest: int = 300
    samples: int = 4
    least_pass: float = 0.5
    least_relevance: int = 8
    describe: bool = True
    temperature: float = 0.8
    top_p: float = 0.95
    max_tokens: int = 320
    workers: int = 1


class Prompt(msgspec.Struct, frozen=True):
    """A query joined with an instruction: the row so far, without a reply, and the query alone."""

    record: Record
    query: str


def synth(
    records: Sequence[Record], model: Generates, settings: Settings, seed: int = 0, progress: Progress = silent
) -> Iterator[Record | Dropped]:
    """Rows with a reply that its instruction's functions pass; instructions without a verifier and prompts without a
    passing reply are dropped. `notes["instruction_if"]` is the instruction, `notes["functions"]` holds their sources.
    """
    queries = [one for one in records if settings.shortest < len(one.instruction) < settings.longest]
    if not queries:
        yield from (Dropped(one.derive(_made_by()), "length: too short or too long for a query") for one in records)
        return
    wanted = instructions(model, settings, seed, progress)
    drafting = autoif.Settings(drafts=settings.drafts)
    written = autoif.write_drafts(model, wanted, drafting)
    relate = autoif.relation_by(model) if settings.describe else None
    with contextlib.ExitStack() as stack:
        box: Sandbox | None = None
        for at, (said, drafts) in enumerate(zip(wanted, written, strict=True)):
            drawn = random.Random(f"{seed}/{at}").sample(queries, min(settings.queries, len(queries)))
            if box is None and any(read_draft(one).source for one in drafts):
                box = stack.enter_context(Sandbox(settings.workers, autoif.LIMITS))
            made = autoif.Made(said, None, "no draft holds a function")
            if box is not None:
                made = autoif.make_verifier(said, drafts, box, drafting.bars)
                made = autoif.checked_in_words(model, made, drafting, relate)
            progress("synthesise: instructions", at + 1, len(wanted))
            if box is None or made.verifier is None:
                row = Record((user(said),), parents=tuple(one.id for one in drawn), made_by=_made_by())
                yield Dropped(row, f"no verifier: {made.reason}")
            else:
                prompts = [Prompt(_joined(query, made.verifier), query.instruction) for query in drawn]
                yield from _replied(prompts, made.verifier.within(box), model, settings, seed, progress)


def _made_by() -> str:
    return f"auto-if@{CARD.version}"


def instructions(model: Generates, settings: Settings, seed: int, progress: Progress = silent) -> list[str]:
    """The given instructions and those that the model adds: one sentence each, none twice."""
    found = {_plain(one): one for one in settings.instructions}
    if settings.more > 0:
        shown = "\n".join(f"- {one}" for one in settings.instructions)
        asked = Ask((user(MORE.format(shown=shown, count=settings.more)),), Sampling(2048, 0.7, 0.95, seed=seed))
        (reply,) = replies(model, [asked], "synthesise: more instructions", progress)
        said = re.findall(r"^\s*\d{1,3}[.)]\s+(\S.*)$", "1. " + reply.text.lstrip(), re.MULTILINE)
        for text in said[: settings.more] if reply.finish != "error" else ():
            if 3 <= len(text.split()) <= 40 and degenerate(Record((user("Write one."),)), text) is None:
                found.setdefault(_plain(text), text.strip())
    return list(found.values())


def _plain(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


def _joined(query: Record, verifier: autoif.GeneratedVerifier) -> Record:
    """The query, a space, the instruction, and a full stop where it has none [code]."""
    said = verifier.instruction.strip()
    text = f"{query.instruction.strip()} {said}{'' if said.endswith(('.', '!', '?')) else '.'}"
    notes = {"instruction_if": said, "functions": [one.source for one in verifier.functions]}
    return Record((*query.prompt[:-1], user(text)), parents=(query.id,), made_by=_made_by(), notes=notes)


def _replied(
    prompts: Sequence[Prompt], vote: autoif.Vote, model: Generates, settings: Settings, seed: int, progress: Progress
) -> Iterator[Record | Dropped]:
    sampling = Sampling(settings.max_tokens, settings.temperature, settings.top_p, seed=seed)
    asks = [Ask(one.record.prompt, sampling, sample) for one in prompts for sample in range(settings.samples)]
    drawn = replies(model, asks, "synthesise: replies", progress)
    owners = [prompt for prompt in prompts for _ in range(settings.samples)]
    reasons = [_refusal(owner.record, reply) for owner, reply in zip(owners, drawn, strict=True)]
    verdicts = vote.verify_all([(one.record, reply.text.strip()) for one, reply in zip(owners, drawn, strict=True)])
    passing = [
        at
        for at, verdict in enumerate(verdicts)
        if not reasons[at] and verdict.passed is not None and verdict.score >= max(settings.least_pass, 1e-9)
    ]
    for at in set(range(len(drawn))).difference(passing):
        reasons[at] = reasons[at] or f"fails: {verdicts[at].reason}"
    if settings.least_relevance >= 0:
        pairs = [(owners[at].query, drawn[at].text) for at in passing]
        for at, score in zip(passing, relevance(model, pairs, progress), strict=True):
            if score is None or score <= settings.least_relevance:
                reasons[at] = f"relevance: {'no score' if score is None else score}"
    for number, prompt in enumerate(prompts):
        places = range(number * settings.samples, (number + 1) * settings.samples)
        good = [at for at in places if not reasons[at]]
        bad = [
            at for at in places if verdicts[at].passed is False and not verdicts[at].score and drawn[at].text.strip()
        ]
        if not good:
            yield Dropped(prompt.record, next((reasons[at] for at in places), "not answered: nothing was asked"))
            continue
        losing = drawn[bad[0]].text.strip() if bad else None
        yield msgspec.structs.replace(prompt.record.with_reply(drawn[good[0]].text.strip()), rejected=losing)


def _refusal(record: Record, reply: Reply) -> str:
    if reply.finish != "stop":
        return f"not answered: {reply.error or 'the reply was cut'}"
    reason = degenerate(record, reply.text)
    return f"guard: {reason}" if reason else ""


def relevance(model: Generates, pairs: Sequence[tuple[str, str]], progress: Progress = silent) -> list[int | None]:
    """How well each reply answers its query by the model's word, 0 to 10; None where it gives no such number."""
    words = [unused_word(_WORDS, *pair) for pair in pairs]
    asks = [
        Ask((user(RELEVANT.format(quoted=quoted(query=query, reply=reply), word=word)),), Sampling(128))
        for (query, reply), word in zip(pairs, words, strict=True)
    ]
    said = replies(model, asks, "synthesise: relevance", progress)
    found = [closing_answer(reply, word).said for reply, word in zip(said, words, strict=True)]
    return [int(one) if re.fullmatch(r"\d|10", one) else None for one in found]


# -- the experiment: a bank of drafts in the place of a strong model ----------------------------------------------

CHECKS = {  # each followed by some of the model's replies as they are, and missed by some
    "Do not use any commas.": Check("punctuation:no_comma"),
    "Answer in at most 40 words.": Check("length_constraints:number_words", {"relation": "less than", "num_words": 41}),
    "Use the word because.": Check("keywords:existence", {"keywords": ["because"]}),
}
_BODIES = {
    "Do not use any commas.": (
        "',' not in response", "response.count(',') == 0", "not any(c == ',' for c in response)",
    ),
    "Answer in at most 40 words.": (
        "len(response.split()) <= 40", "len(response.split()) < 41", "not response.split()[40:]",
    ),
    "Use the word because.": (
        "'because' in response.lower()", "response.lower().count('because') > 0",
        "response.lower().find('because') >= 0",
    ),
}  # fmt: skip
_LONG = "rain falls on the green hill and " * 7
_CASES = (
    ("tea is hot and good.", (1, 1, 0)), ("Tea is hot, and good.", (0, 1, 0)), ("We run because it rains.", (1, 1, 1)),
    ("Because of you, we sing.", (0, 1, 1)), (f"{_LONG}then stops", (1, 0, 0)), (f"{_LONG}then, oh, ends", (0, 0, 0)),
    (f"{_LONG}stops because it is late", (1, 0, 1)), (f"First, {_LONG}stops because it is late", (0, 0, 1)),
    ("Go on", (1, 1, 0)), ("a, b", (0, 1, 0)), (f"so {_LONG}on we go", (1, 0, 0)), ("I do, because I can", (0, 1, 1)),
)  # fmt: skip


class Bank:
    """Writes the drafts from the bank, the last of them wrong, and leaves everything else to the model."""

    def __init__(self, model: Generates) -> None:
        self._model = model
        self.name, self.fingerprint = f"{model.name}+bank", f"{model.fingerprint}/bank/1"

    def generate(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        """Drafts for the asks that want a function, the model's replies to the others."""
        drafts = {at: _draft(ask) for at, ask in enumerate(asks) if "Python function" in ask.messages[-1].text}
        yield from drafts.items()
        others = [at for at in range(len(asks)) if at not in drafts]
        for place, reply in self._model.generate([asks[at] for at in others]):
            yield others[place], reply


def _draft(ask: Ask) -> Reply:
    place = next((at for at, said in enumerate(CHECKS) if said in ask.messages[-1].text), None)
    if place is None:
        return Reply("I cannot write that.")
    bodies = (*_BODIES[tuple(CHECKS)[place]], "True")
    cases = [{"input": text, "output": bool(right[place])} for text, right in _CASES]
    source = f"def evaluate(response):\n    return {bodies[ask.sample % len(bodies)]}"
    own = cases[ask.sample % 4 :: 4]
    return Reply(f"```json\n{json.dumps({'func': source, 'cases': own})}\n```")


def prove(lab: Lab) -> Proof:
    """Tuned on replies that the bank's functions pass against, of the same samples, the first that is an answer.

    Prompts whose first answer passes are left out: both arms would learn the same reply.
    """
    from adhere.evals.arms import answered, tuned_arms

    short = lab.sized(Sampling(96))
    settings = Settings(
        tuple(CHECKS), more=0, drafts=4, queries=lab.count(96), samples=4, least_relevance=-1, describe=False,
        max_tokens=short.max_tokens,
    )  # fmt: skip
    queries = lab.instructions(256)
    with lab.at("treated"):
        made = [one for one in synth(queries, Bank(lab.model), settings, 0) if isinstance(one, Record)]
    # The samples that the treated rows were chosen from, held to the same guard: what differs is the functions' word.
    sampling = Sampling(settings.max_tokens, settings.temperature, settings.top_p, seed=0)
    asks = [Ask(one.prompt, sampling, sample) for one in made for sample in range(settings.samples)]
    with lab.at("base"):
        drawn = replies(lab.model, asks, "base: replies")
    rows: list[tuple[Record, Record]] = []
    for at, one in enumerate(made):
        own = drawn[at * settings.samples : (at + 1) * settings.samples]
        answers = [reply.text.strip() for reply in own if not _refusal(one, reply)]
        rows += [(one.with_reply(answers[0]), one)] if answers and (answers[0] != one.reply or lab.smoke) else []
    rows = random.Random(0).sample(rows, min(len(rows), 80))
    plain, passing = [before for before, _ in rows], [after for _, after in rows]
    tests = [
        Record((user(f"{one.instruction} {said}"),), (msgspec.structs.replace(CHECKS[said], phrase=said),))
        for at, one in enumerate(lab.instructions(48, "probe"))
        for said in (tuple(CHECKS)[at % len(CHECKS)],)
    ]

    def follows(test: Record, reply: Reply) -> float | None:
        passed = verdict_of(test.checks[0], reply.text, ALL_TYPES).passed
        return None if passed is None else float(passed)

    names = ("tuned on replies as they come", "tuned on replies that functions pass")
    outcome = tuned_arms(lab, (plain, passing), tests, answered(follows), names, Sampling(96))
    by_instruction = {said: sum(one.notes["instruction_if"] == said for one in passing) for said in CHECKS}
    numbers = {**outcome.numbers, **{f"rows, {said}": float(count) for said, count in by_instruction.items()}}
    remark = (
        "Drafts of functions come from a bank, as a model of this size writes none that runs; a quarter are wrong. "
        "Both arms are rows for the same prompts, from the same samples, none cut or refused by the guard, and no "
        "reply is in both. A reply of the test that is a loop or a copy counts as a miss."
    )
    return lab.proof("auto-if", CARD, msgspec.structs.replace(outcome, numbers=numbers, remark=remark))
