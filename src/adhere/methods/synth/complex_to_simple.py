"""From Complex to Simple: compose constraints, sample, and correct failures one constraint at a time.

Paper: He, Zeng, He, Liang, Xiao, "From Complex to Simple: Enhancing Multi-Constraint Complex Instruction
Following Ability of Large Language Models", Findings of EMNLP 2024 (arXiv 2404.15846).

The idea in five lines:
1. Training on instructions that compose several constraints beats training on atomic ones, also on
   simpler instructions and on kinds of constraints that were not trained.
2. So each seed instruction is composed with one to four compatible, checkable constraints.
3. A reply to a composed instruction usually fails one or two of them; it is kept and corrected
   constraint by constraint, verifying after every correction ("discrimination").
4. Corrected replies are training targets; the replies they were corrected from lose against them.
5. Here checks are executed, so a row enters the data only when every check passes.

What the paper says: seeds from existing data, 3 to 5 constraints from IFEval's types, weak model's output
corrected by GPT-3.5-turbo one constraint at a time, then SFT joined with DPO on (corrected, failing) pairs.
What its released code does: the same with prompts for the teacher; corrections are not verified again
after later ones (from memory of the release, not re-run here).
What we do: one to four constraints; no teacher. Corrections are made by code where code can (case, commas,
endings, titles, bullets, sections, ...), else by asking the same model again with the failures named;
each correction is verified and dropped if it breaks a check that held. Half of the samples are drawn from
the plain instruction, which a small model answers better than the composed one; the checks decide.
Left out: the paper's teacher, and its mixing with ShareGPT rows; `plain_share` plays that part.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Reply, Sampling, replies
from adhere.core.progress import Progress, silent
from adhere.core.record import Check, Record, assistant, user
from adhere.core.step import Dropped
from adhere.verify.catalogue import IFEVAL_TYPES
from adhere.verify.compose import compose
from adhere.verify.guard import degenerate, repeated_share, repetition
from adhere.verify.repair import correct
from adhere.verify.rewriting import to_last_sentence

CARD = Card(
    summary="Compose 1-4 checkable constraints, sample, correct failures constraint by constraint.",
    version="1",
    family="tuning",
    paper="arXiv:2404.15846",
    seed=70,
    needs=("Generates",),
)

ASK_AGAIN = """Your answer does not yet meet all requirements:
{failures}
Please write the complete answer again so that it meets these requirements and all the others."""


# Types that go with few others would hardly ever be drawn beside them; a 135M model writes few languages.
WEIGHTS = {
    "detectable_format:json_format": 4.0,
    "detectable_format:constrained_response": 4.0,
    "combination:repeat_prompt": 2.0,
    "combination:two_responses": 1.5,
    "language:response_language": 0.5,
}


# Notes that this method writes; on a seed they tell of another row.
RESERVED_NOTES = ("instruction", "sampled", "how", "repaired")

# How often prompts carry one, two, three, four constraints: people ask for one or two at a time.
NUMBERS = (4, 3, 2, 1)


@dataclass(frozen=True)
class Settings:
    """How much to synthesise and how.

    `count` composed prompts; `most_constraints` per prompt (paper: 3 to 5; ours 1 to 4, because a 135M
    model meets few at once); `samples` replies per prompt, odd ones drawn from the plain instruction;
    with `greedy_first` the first sample is the greedy one, so that loops, which greedy decoding falls into, become
    rejected replies; `plain_share` of the prompts carry no constraint, so that ordinary answers are kept;
    `ask_again` rounds of asking with the failures named; `temperature`, `top_p` and `top_k` shape the sampling,
    `max_tokens` ends a reply; one that repeats more than `most_repeated` of its runs of four words is refused, because
    a model that is trained on its own repetitions loops (LOG.md); `families` limits the constraint families.
    """

    count: int = 400
    most_constraints: int = 4
    samples: int = 2
    greedy_first: bool = False
    plain_share: float = 0.1
    ask_again: int = 1
    most_repeated: float = 0.12
    temperature: float = 0.8
    top_p: float = 0.95
    top_k: int = 60
    max_tokens: int = 320
    families: tuple[str, ...] = ()


class Candidate(msgspec.Struct, frozen=True):
    """A reply on its way to a row: as corrected and as given, what code repaired, what still fails, and why it
    is no answer at all (empty when it is one), and whether it had to be cut at the token limit."""

    text: str
    raw: str
    repaired: tuple[Check, ...] = ()
    failing: tuple[Check, ...] = ()
    refused: str = ""
    cut: bool = False

    @property
    def sound(self) -> bool:
        """Whether it can be a row."""
        return not self.failing and not self.refused


def synth(
    records: Sequence[Record], model: Generates, settings: Settings, seed: int = 0, progress: Progress = silent
) -> Iterator[Record | Dropped]:
    """Rows with verified replies, made from the instructions of `records`; rejected rows with reasons.

    Every kept row passes all its checks; `notes["how"]` is `passed`, `repaired` or `asked again`,
    `notes["repaired"]` lists the constraint types that code mended, `rejected` is the reply it was
    corrected from (or another sample that failed), for preference tuning. Of a seed only the prompt counts:
    checks, replies and the notes that this method writes are left behind.
    """
    rng = random.Random(seed)
    prompts = _composed(records, settings, rng)
    asks = [_ask(prompt, sample, settings, seed) for prompt in prompts for sample in range(settings.samples)]
    answered = replies(model, asks, "synthesise: replies", progress)
    tried = [
        _candidates(prompt, answered[number * settings.samples :][: settings.samples], settings)
        for number, prompt in enumerate(prompts)
    ]
    asked_again: set[int] = set()
    for _ in range(settings.ask_again):
        near = {n: _closest(options) for n, options in enumerate(tried) if not _best(options)}
        owed = {n: candidate for n, candidate in near.items() if candidate is not None}
        again = [_ask_again(prompts[n], candidate, settings, seed) for n, candidate in owed.items()]
        for n, reply in zip(owed, replies(model, again, "synthesise: asking again", progress), strict=True):
            tried[n].append(_candidate(prompts[n], reply, settings))
            asked_again.add(n)
    for number, (prompt, options) in enumerate(zip(prompts, tried, strict=True)):
        yield _row(prompt, options, number in asked_again)


def _composed(records: Sequence[Record], settings: Settings, rng: random.Random) -> list[Record]:
    types = [one for one in IFEVAL_TYPES.values() if not settings.families or one.family in settings.families]
    weights = {one.id: WEIGHTS.get(one.id, 1.0) for one in types}
    prompts: list[Record] = []
    order: list[Record] = []
    misses = 0
    while records and len(prompts) < settings.count and misses < 20 * settings.count:
        if not order:
            order = rng.sample(list(records), len(records))
        given = order.pop()
        seed_record = _bare(given)
        if rng.random() < settings.plain_share:
            prompts.append(msgspec.structs.replace(seed_record, made_by=_made_by(), parents=(given.id,)))
            continue
        number = rng.choices(range(1, settings.most_constraints + 1), NUMBERS[: settings.most_constraints])[0]
        composed = compose(rng, seed_record, number, types, weights=weights)
        if composed is None:
            misses += 1
            continue
        prompts.append(msgspec.structs.replace(composed, made_by=_made_by(), parents=(given.id,)))
    return prompts


def _bare(record: Record) -> Record:
    """What a seed asks, without what it says about a reply: its checks, its replies, and notes of an earlier row."""
    notes = {key: value for key, value in record.notes.items() if key not in RESERVED_NOTES}
    return msgspec.structs.replace(record, messages=record.prompt, checks=(), rejected=None, notes=notes)


def _made_by() -> str:
    return f"complex-to-simple@{CARD.version}"


def _ask(prompt: Record, sample: int, settings: Settings, seed: int) -> Ask:
    messages = prompt.prompt
    if sample % 2 and prompt.checks:
        messages = (*messages[:-1], user(str(prompt.notes["instruction"])))
    sampling = _sampling(settings, seed)
    if settings.greedy_first and sample == 0:
        sampling = msgspec.structs.replace(sampling, temperature=0.0)
    return Ask(messages, sampling, sample)


def _ask_again(prompt: Record, near: Candidate, settings: Settings, seed: int) -> Ask:
    complaint = ASK_AGAIN.format(failures="\n".join(f"- {check.phrase}" for check in near.failing))
    return Ask((*prompt.prompt, assistant(near.text), user(complaint)), _sampling(settings, seed))


def _sampling(settings: Settings, seed: int) -> Sampling:
    return Sampling(settings.max_tokens, settings.temperature, settings.top_p, settings.top_k, seed=seed)


def _candidates(prompt: Record, answers: Sequence[Reply], settings: Settings) -> list[Candidate]:
    found = [_candidate(prompt, reply, settings) for reply in answers]
    wants_two = any(check.kind == "combination:two_responses" for check in prompt.checks)
    if wants_two and not _best(found):
        # Two samples are the two responses that were asked for; code cannot write the second one.
        halves = [to_last_sentence(reply.text.replace("***", "")) for reply in answers[:2] if reply.finish != "error"]
        if len(halves) == 2 and all(half.strip() for half in halves):
            found.append(_candidate(prompt, Reply("\n\n******\n\n".join(half.strip() for half in halves)), settings))
    return found


def _candidate(prompt: Record, reply: Reply, settings: Settings) -> Candidate:
    if reply.finish == "error":
        return Candidate("", "", refused=f"not answered: {reply.error}")
    raw = reply.text.strip()
    text = to_last_sentence(raw) if reply.finish == "length" else raw
    loop = repetition(raw)  # a loop that was cut short is still a loop
    if not loop and repeated_share(raw) > settings.most_repeated:
        loop = f"repetition: {repeated_share(raw):.0%} of its runs of four words repeat"
    if loop:
        return Candidate(text, raw, refused=f"guard: {loop}")
    correction = correct(prompt, text, IFEVAL_TYPES)
    reason = degenerate(prompt, correction.reply)
    return Candidate(
        correction.reply,
        raw,
        correction.repaired,
        correction.failing,
        f"guard: {reason}" if reason else "",
        reply.finish == "length",
    )


def _best(options: Sequence[Candidate]) -> Candidate | None:
    """The sound one that ended by itself, if any did, with the fewest repairs: rows should teach how to end."""
    return min((one for one in options if one.sound), key=lambda one: (one.cut, len(one.repaired)), default=None)


def _closest(options: Sequence[Candidate]) -> Candidate | None:
    near = [one for one in options if one.failing and not one.refused]
    return min(near, key=lambda one: len(one.failing), default=None)


def _row(prompt: Record, options: Sequence[Candidate], asked_again: bool) -> Record | Dropped:
    prompt = prompt.noted(sampled=len(options))
    best = _best(options)
    if best is None:
        last = _closest(options) or (options[-1] if options else Candidate("", "", refused="not answered"))
        reason = last.refused or "fails: " + ", ".join(check.kind for check in last.failing)
        return Dropped(prompt.with_reply(last.text) if last.text else prompt, reason)
    how = "asked again" if asked_again else "repaired" if best.repaired else "passed"
    losing = [one.raw for one in options if (not one.sound or one.repaired) and one.raw not in ("", best.text)]
    row = msgspec.structs.replace(prompt.with_reply(best.text), rejected=losing[0] if losing else None)
    return row.noted(how=how, repaired=[check.kind for check in best.repaired])
