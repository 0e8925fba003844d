"""Sequential instruction tuning: a request becomes a sequence of tasks, all of which the reply carries out in order.

Paper: Hu, Yu, Chen, Ponti, "Fine-Tuning Large Language Models with Sequential Instructions", arXiv 2403.07794. Its
first version, by Hu, Chen and Ponti, adds simple intermediate tasks; in the third a model rewrites the instructions.

The idea in five lines:
1. Instruction data hardly ever asks for several things in a row, so models leave some of them out.
2. A row gets an intermediate task before its own one (repeat the input, paraphrase it) or one after it.
3. The target shows the result of every task in order, each under its own heading.
4. Part of the rows stays as it is, so that single instructions are answered as before.
5. Tuned on that, models carry out longer sequences, also with intermediate tasks that they were not trained on.

What the paper says: first version, repeating, paraphrasing and translating before the answer, for rows with an input;
third version (Seq-Instruct), a model chooses per instruction whether to decompose it, to put a task before it, to add
one after it, or to keep it, and a model writes the replies; SeqEval has a judge count the instructions followed.
What its released code does (read): the rows of the first version open with "First repeat below input, then ", the
targets with "1. Repeat:" and the input; the paraphrase comes from gpt-3.5 at temperature 0; two steps are merged from
rows of one, beside 32,000 plain rows, and those of "paraphrase, then repeat" give the input itself as its paraphrase.
In the code of the third version the four choices are letters in a few-shot prompt.
What we do: the first version's way, for all rows: the tasks before and after are drawn from a table with phrasings of
our own, their results computed by code, and by the model for the paraphrase alone; one or two are added. A paraphrase
that is the request again, or no answer, drops the row.
Left out: translating, captions, and the third version's rewriting by a strong model. In the proof steps are checked by
rule in place of a judge.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Reply, Sampling, replies
from adhere.core.progress import Progress, silent
from adhere.core.record import Record, assistant, user
from adhere.core.step import Dropped
from adhere.verify.guard import degenerate, repetition
from adhere.verify.text import sentences, words

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab

CARD = Card(
    summary="Put checkable tasks before and after a request; the reply does all of them in order.",
    version="1",
    family="generation",
    paper="arXiv:2403.07794",
    seed=109,
    needs=("Generates",),
    claim="Tuned on sequential instructions, a model carries out more of the steps of unseen sequences, in order, than "
    "tuned on as many of the same rows with one instruction each.",
    metric="share of the steps carried out, in their order",
)
PARAPHRASE = "Say the following request in other words. Write only the request in its new words.\n\n{request}"
ANSWER = "Answer"
# "2. Repeat:", in any marks, and the same without a number or without a colon where the word is a heading of ours.
_HEADING = re.compile(
    r"^\W*(?:\d+\W+\w+(?: \w+)?\W*:|(?:\d+\W+)?(?:Repeat|Paraphrase|Words|Capitals|Quote|Loud|Answer)\W*(?::|$))\W*"
)


@dataclass(frozen=True)
class Task:
    """An intermediate task: its heading, how it is asked for, and its result from the request and the answer.

    `result` is None where a model has to do it; `after` says that it comes after the answer.
    """

    heading: str
    asked: tuple[str, ...]
    result: Callable[[str, str], str] | None
    after: bool = False


def _first_sentence(text: str) -> str:
    return next(iter(sentences(text)), text).strip()


TASKS = {
    "repeat": Task("Repeat", ("repeat the request", "write the request down once more"), lambda asked, said: asked),
    "paraphrase": Task("Paraphrase", ("paraphrase the request", "say the request in other words"), None),
    "count": Task(
        "Words", ("count the words of the request", "say how many words the request has"),
        lambda asked, said: str(len(words(asked))),
    ),
    "capitals": Task(
        "Capitals", ("copy the request in capital letters", "write the request in capitals"),
        lambda asked, said: asked.upper(),
    ),
    "quote": Task(
        "Quote", ("quote the first sentence of the answer", "give the first sentence of the answer again"),
        lambda asked, said: _first_sentence(said), after=True,
    ),
    "shout": Task(
        "Loud", ("give the first sentence of the answer in capital letters",),
        lambda asked, said: _first_sentence(said).upper(), after=True,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """Which sequences are made.

    `tasks` are the intermediate tasks that may be drawn (repeat, paraphrase, count, capitals, quote, shout; the first
    version has repeat, paraphrase and translate); `most` of them are added to a row at most, one at least (two there);
    `plain_share` of the rows stay as they are (32,000 rows beside the others in the released code; ours is a share, as
    fewer rows are made); `max_tokens` ends a paraphrase, which is greedy (256 tokens at temperature 0 there).
    """

    tasks: tuple[str, ...] = ("repeat", "paraphrase", "count", "quote")
    most: int = 2
    plain_share: float = 0.25
    max_tokens: int = 256


def synth(
    records: Sequence[Record], model: Generates, settings: Settings, seed: int = 0, progress: Progress = silent
) -> Iterator[Record | Dropped]:
    """One row for each record with a reply, in their order; `notes["steps"]` names its steps, the answer among them."""
    drawn = [_steps(one, settings, random.Random(f"{seed}/{at}")) for at, one in enumerate(records)]
    owed = [at for at, steps in enumerate(drawn) if "paraphrase" in steps and _answered(records[at])]
    asks = [
        Ask((user(PARAPHRASE.format(request=records[at].instruction)),), Sampling(settings.max_tokens)) for at in owed
    ]
    found = dict(zip(owed, replies(model, asks, "synthesise: paraphrases", progress), strict=True))
    for at, (record, steps) in enumerate(zip(records, drawn, strict=True)):
        row = msgspec.structs.replace(record.derive(_made_by()), checks=(), rejected=None)
        if not _answered(record):
            yield Dropped(row, "no reply: a sequence ends in an answer that is there")
            continue
        reason = _no_paraphrase(record, found[at]) if at in found else ""
        if reason:
            yield Dropped(row, reason)
        else:
            paraphrase = found[at].text.strip() if at in found else ""
            yield sequence(row, steps, paraphrase, random.Random(f"{seed}/{at}/words"))


def _made_by() -> str:
    return f"sequential-instruction-tuning@{CARD.version}"


def _answered(record: Record) -> bool:
    return bool((record.reply or "").strip() and record.instruction.strip())


def _steps(record: Record, settings: Settings, rng: random.Random) -> list[str]:
    """The names of the steps in their order, `answer` among them; that alone for a plain row."""
    tasks = [name for name in settings.tasks if name in TASKS]
    if not tasks or rng.random() < settings.plain_share:
        return ["answer"]
    chosen = rng.sample(tasks, min(rng.randint(1, max(1, settings.most)), len(tasks)))
    before = [name for name in chosen if not TASKS[name].after]
    return [*before, "answer", *(name for name in chosen if TASKS[name].after)]


def _no_paraphrase(record: Record, reply: Reply) -> str:
    if reply.finish != "stop":
        return f"not answered: {reply.error or 'the paraphrase was cut'}"
    said = reply.text.strip()
    if [one.lower() for one in words(said)] == [one.lower() for one in words(record.instruction)]:
        return "paraphrase: the request again"
    reason = degenerate(Record((user("Rewrite this."),)), said)
    return f"guard: {reason}" if reason else ""


def sequence(record: Record, steps: Sequence[str], paraphrase: str, rng: random.Random) -> Record:
    """The row for these steps: the request with its intermediate tasks, and a target with one heading per step."""
    asked, said = record.instruction.strip(), (record.reply or "").strip()
    if list(steps) == ["answer"]:
        return record.noted(steps=list(steps))
    results = {"answer": said, "paraphrase": paraphrase}
    for name in steps:
        compute = TASKS[name].result if name != "answer" else None
        if compute is not None:
            results[name] = compute(asked, said)
    parts = [f"{at}. {heading(name)}:\n{results[name]}" for at, name in enumerate(steps, 1)]
    messages = (*record.prompt[:-1], user(f"{opening(steps, rng)}\n\n{asked}"), assistant("\n\n".join(parts)))
    return msgspec.structs.replace(record, messages=messages).noted(steps=list(steps))


def heading(name: str) -> str:
    """What stands over the result of a step."""
    return ANSWER if name == "answer" else TASKS[name].heading


def opening(steps: Sequence[str], rng: random.Random) -> str:
    """The sentence that asks for the steps: "First ..., then ..., and then ..."."""
    said = ["answer the request below" if one == "answer" else rng.choice(TASKS[one].asked) for one in steps]
    return "First " + ", then ".join([", then ".join(said[:-1]), said[-1]] if len(said) > 1 else said) + "."


def steps_done(test: Record, reply: Reply) -> float:
    """The share of the steps whose result is in the reply, each after the one before; an answer is any text there.

    A step that code can do is done when its result stands in the reply as it is, but for space; the answer when three
    words or more follow that are no heading and no text of the prompt, and do not loop. A step that is missed does not
    count against later ones.
    """
    at, done = 0, 0
    for name in test.notes["steps"]:
        found = _place(name, test, reply.text, at)
        if found is not None:
            done, at = done + 1, found
    return done / len(test.notes["steps"])


def _place(name: str, test: Record, text: str, begin: int) -> int | None:
    """Where the result of a step ends, looked for from `begin` on; None where it is not there."""
    asked = str(test.notes["request"])
    if name == "answer":
        rest = _own_text(f"{test.instruction}\n{asked}", text[begin:])
        return begin if len(words(rest)) >= 3 and repetition(rest) is None else None
    compute = TASKS[name].result
    wanted = r"\s+".join(re.escape(part) for part in (compute(asked, "") if compute else "").split())
    if not wanted:
        return None
    found = re.search(rf"\b{wanted}\b(?!\.\s)" if name == "count" else wanted, text[begin:])
    return begin + found.end() if found else None


def _own_text(said: str, text: str) -> str:
    """What is left without headings of steps, which only a tuned model writes, and without sentences said before."""
    before = f" {' '.join(words(said.lower()))} "
    lines = [_HEADING.sub("", line) for line in text.splitlines()]
    kept = [[one for one in sentences(line) if f" {' '.join(words(one.lower()))} " not in before] for line in lines]
    return "\n".join(" ".join(line) for line in kept if line)


def prove(lab: Lab) -> Proof:
    """Tuned on sequences against the same rows as they are; asked for sequences of which no row has one."""
    from adhere.evals.arms import own_replies, tuned_arms

    rows = own_replies(lab, lab.instructions(44), 64)
    with lab.at("treated"):
        outcomes = list(synth(rows, lab.model, Settings(tasks=("repeat", "paraphrase", "quote"), max_tokens=48), 0))
    made = [one for one in outcomes if isinstance(one, Record)]
    by_id = {one.id: one for one in rows}
    plain = [by_id[one.parents[0]] for one in made]  # a bad paraphrase drops its row on both sides
    tests = []
    for at, record in enumerate(lab.instructions(48, "probe")):
        steps = (
            ["capitals", "answer"], ["repeat", "capitals", "answer"], ["capitals", "repeat", "answer"],
        )[at % 3]  # fmt: skip
        said = opening(steps, random.Random(at))
        notes = {"steps": steps, "request": record.instruction}
        tests.append(Record((user(f"{said}\n\n{record.instruction}"),), notes=notes))
    names = ("tuned on single instructions", "tuned on sequences")
    outcome = tuned_arms(lab, (plain, made), tests, steps_done, names, Sampling(128))
    remark = (
        "Steps are checked by rule where the paper has a judge; capital letters are an intermediate task of no row and "
        "of every test. Headings and text of the prompt are no answer."
    )
    return lab.proof("sequential-instruction-tuning", CARD, msgspec.structs.replace(outcome, remark=remark))
