"""Chain-of-Instructions: instructions composed so that the output of one is the input of the next.

Paper: Hayati, Jung, Bodding-Long, Kar, Sethy, Kim, Kang, "Chain-of-Instructions: Compositional Instruction Tuning on
Large Language Models", AAAI 2025 (arXiv 2402.11532), section 3.

The idea in five lines:
1. Instruction data holds single tasks; people ask for several that build on each other.
2. Instructions of rows are shortened to a sentence, so that two of them can be joined.
3. Two are composable when the output of the first can be the input of the second; a model is asked.
4. Where they are, a model writes the second output from the first; longer chains go on from there.
5. The target shows the output of every task in turn, and the tuned model solves chains step by step.

What the paper says: rows of Super-NaturalInstructions, gpt-3.5-turbo for shortening, composability and outputs; tasks
that classify can only be last, since a label is no input; chains of two and three for training, longer ones for testing
too; ROUGE-L of the final output is the metric. What its released data has (read; of its code only training was seen):
instructions joined by " and then ", the input, and "Task 1 output and task 2 input: ..." up to "Task 3 output: ...";
some composed pairs make little sense ("identify the language of the given review" after writing that review).
What we do: the same format and steps. A row gives an instruction (its text up to the first blank line), an input (what
follows) and an output (its reply); the second instruction comes from another row with an input, which shows that it
takes one. An output of fewer than `least_words` words (a label) ends a chain. Outputs that are no answer, and those
that are the input again, end the attempt.
Left out: the filter of the paper that has a person look at the test set, and its control with irrelevant chains. The
proof takes a teacher that is always right, by rule, in the place of gpt-3.5: what is looked at is the tuning on chains.
The paper's score is ROUGE-L; of lines of four words an echo of the input already has half of it, so we ask for the
output to the letter.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Reply, Sampling, replies
from adhere.core.progress import Progress, silent
from adhere.core.record import Record, assistant, user
from adhere.core.step import Dropped
from adhere.verify.guard import degenerate
from adhere.verify.quoting import quoted
from adhere.verify.text import words

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab

CARD = Card(
    summary="Compose instructions whose outputs feed the next one; the target shows every output.",
    version="1",
    family="generation",
    paper="arXiv:2402.11532",
    seed=123,
    needs=("Generates",),
    claim="Tuned on chains of two instructions, a model gives the right final output of unseen chains more often than "
    "tuned on the same steps one by one.",
    metric="share of final outputs that are right to the letter",
)

SHORTEN = """{quoted}

Say what this instruction asks for in one short sentence, without the text that it is about. Write only the sentence."""
COMPOSABLE = """First task: {first}
Its result: {output}

Second task: {second}

Can the second task be done with the result of the first one as its input? Answer Yes or No."""
DO = "{instruction}\n\n{input}"
JOINT = " and then "


@dataclass(frozen=True)
class Settings:
    """How chains are made.

    `count` chains are tried for, each of `steps` instructions (2 or 3 in the paper); instructions of more than
    `longest` words are shortened by the model (all are there); an output of fewer than `least_words` words ends a chain
    (tasks that classify there); with `ask_composable` the model judges each pair (so in the paper); replies are greedy,
    an output at most `max_tokens` long.
    """

    count: int = 200
    steps: int = 2
    longest: int = 20
    least_words: int = 2
    ask_composable: bool = True
    max_tokens: int = 192


class Link(msgspec.Struct, frozen=True):
    """A row taken apart: its instruction in short, the input, the output, and the row's id."""

    instruction: str
    input: str
    output: str
    id: str


class Chain(msgspec.Struct, frozen=True):
    """A chain on its way: the links so far, the outputs so far, and why it is given up (empty: it is not)."""

    links: tuple[Link, ...]
    outputs: tuple[str, ...]
    refused: str = ""


def synth(
    records: Sequence[Record], model: Generates, settings: Settings, seed: int = 0, progress: Progress = silent
) -> Iterator[Record | Dropped]:
    """Chains of the rows with a reply and an input of their own to begin with; the rest is dropped, with reasons.

    `notes["outputs"]` are those of every step, `notes["instructions"]` the instructions in short.
    """
    links = yield from _links(records, model, settings, progress)
    rng = random.Random(seed)
    takers = [one for one in links if one.input]
    starters = [one for one in links if len(words(one.output)) >= settings.least_words]
    chains = [Chain((one,), (one.output,)) for one in _drawn(starters, settings.count if takers else 0, rng)]
    for _ in range(settings.steps - 1):
        chains = _extended(chains, takers, model, settings, rng, progress)
    seen: set[str] = set()
    for chain in chains:
        row = as_row(chain)
        repeated = "" if row.id not in seen else "duplicate: this chain is there already"
        seen.add(row.id)
        yield Dropped(row, chain.refused or repeated) if chain.refused or repeated else row


def _made_by() -> str:
    return f"chain-of-instructions@{CARD.version}"


def _drawn(links: Sequence[Link], count: int, rng: random.Random) -> list[Link]:
    """`count` links, each as often as any other but for one time."""
    found: list[Link] = []
    while links and len(found) < count:
        found += rng.sample(list(links), min(len(links), count - len(found)))
    return found


def _links(
    records: Sequence[Record], model: Generates, settings: Settings, progress: Progress
) -> Generator[Dropped, None, list[Link]]:
    """The links of the rows (as the generator's value); rows that make none are yielded as dropped."""
    found: list[Link] = []
    for record in records:
        instruction, _, given = record.instruction.strip().partition("\n\n")
        if not (record.reply or "").strip() or not instruction:
            yield Dropped(record.derive(_made_by()), "no reply: a chain is made of rows with an output")
        else:
            found.append(Link(" ".join(instruction.split()), given.strip(), (record.reply or "").strip(), record.id))
    long = [at for at, one in enumerate(found) if len(one.instruction.split()) > settings.longest]
    asks = [Ask((user(SHORTEN.format(quoted=quoted(task=found[at].instruction))),), Sampling(48)) for at in long]
    for at, reply in zip(long, replies(model, asks, "synthesise: instructions in short", progress), strict=True):
        said = reply.text.strip().partition("\n")[0].strip()
        if reply.finish == "stop" and 2 <= len(said.split()) < len(found[at].instruction.split()):
            found[at] = msgspec.structs.replace(found[at], instruction=said)
    return found


def _extended(
    chains: Sequence[Chain], takers: Sequence[Link], model: Generates, settings: Settings, rng: random.Random,
    progress: Progress,
) -> list[Chain]:  # fmt: skip
    """The chains with one more instruction and output each; those that end here with the reason."""
    tried = [_with_next(one, takers, settings, rng) for one in chains]
    owed = [at for at, one in enumerate(tried) if not one.refused]
    if settings.ask_composable:
        asks = [Ask((user(_question(tried[at])),), Sampling(4)) for at in owed]
        for at, reply in zip(owed, replies(model, asks, "synthesise: composable?", progress), strict=True):
            if not reply.text.strip().lower().startswith("yes"):
                tried[at] = msgspec.structs.replace(tried[at], refused="not composable: the model did not say yes")
        owed = [at for at in owed if not tried[at].refused]
    asks = [
        Ask(
            (user(DO.format(instruction=tried[at].links[-1].instruction, input=tried[at].outputs[-1])),),
            Sampling(settings.max_tokens),
        )
        for at in owed
    ]
    for at, reply in zip(owed, replies(model, asks, "synthesise: outputs", progress), strict=True):
        text, why = reply.text.strip(), _no_output(tried[at], reply)
        outputs = tried[at].outputs if why else (*tried[at].outputs, text)
        tried[at] = msgspec.structs.replace(tried[at], outputs=outputs, refused=why)
    return tried


def _with_next(chain: Chain, takers: Sequence[Link], settings: Settings, rng: random.Random) -> Chain:
    if chain.refused:
        return chain
    if len(words(chain.outputs[-1])) < settings.least_words:
        return msgspec.structs.replace(chain, refused="label: so short an output is no input of another task")
    used = {one.instruction for one in chain.links}
    fit = [one for one in takers if one.instruction not in used]
    if not fit:
        return msgspec.structs.replace(chain, refused="alone: no other instruction takes an input")
    return msgspec.structs.replace(chain, links=(*chain.links, rng.choice(fit)))


def _question(chain: Chain) -> str:
    first, second = chain.links[-2].instruction, chain.links[-1].instruction
    return COMPOSABLE.format(first=first, output=chain.outputs[-1], second=second)


def _no_output(chain: Chain, reply: Reply) -> str:
    """Why a reply is no output of the last instruction; empty when it is one."""
    if reply.finish != "stop":
        return f"not answered: {reply.error or 'the output was cut'}"
    if " ".join(reply.text.split()) == " ".join(chain.outputs[-1].split()):
        return "copy: the output is the input again"
    # A chain's last output may be a single word, so only what is no text at all, or a leak of marks, is refused.
    reason = degenerate(Record((user("What is the answer?"),)), reply.text)
    return f"guard: {reason}" if reason else ""


def as_row(chain: Chain) -> Record:
    """The row of a chain in the format of the released data."""
    said = [one.instruction for one in chain.links]
    prompt = chained_prompt(said, chain.links[0].input)
    lines = []
    for at, output in enumerate(chain.outputs, 1):
        last = at == len(chain.links)
        lines.append(f"Task {at} output: {output}" if last else f"Task {at} output and task {at + 1} input: {output}")
    return Record(
        (user(prompt), assistant("\n".join(lines))),
        parents=tuple(dict.fromkeys(one.id for one in chain.links)),
        made_by=_made_by(),
        notes={"instructions": said, "outputs": list(chain.outputs)},
    )


def chained_prompt(instructions: Sequence[str], given: str) -> str:
    """The instructions joined by "and then", and the input of the first."""
    joined = JOINT.join(one if at == 0 else one[:1].lower() + one[1:] for at, one in enumerate(instructions))
    return f"{joined}\n\n{given}" if given else joined


def final_output(text: str) -> str:
    """The output of the last task that a reply shows; the whole reply where it marks none."""
    _, mark, last = text.rpartition(" output: ")
    if not mark:
        _, mark, last = text.rpartition(" input: ")
    return (last if mark else text).strip()


# -- the experiment: words in a line, and what can be done with them ----------------------------------------------

TASKS: dict[str, Callable[[list[str]], list[str]]] = {
    "Write the words in capital letters.": lambda found: [one.upper() for one in found],
    "Leave out the first word.": lambda found: found[1:],
    "Leave out the last word.": lambda found: found[:-1],
    "Add the word stop at the end.": lambda found: [*found, "stop"],
    "Add the word go at the beginning.": lambda found: ["go", *found],
    "Write every word twice.": lambda found: [one for one in found for _ in "12"],
}
_UNSEEN = ((0, 3), (1, 3), (2, 5), (0, 5), (2, 4))  # pairs of tasks that no row has, in either order


class _Teacher:
    """Does the tasks of the experiment by rule."""

    name = "teacher by rule"
    fingerprint = "teacher by rule/1"

    def generate(self, asks: Sequence[Ask]) -> Iterator[tuple[int, Reply]]:
        """The right output of each task."""
        for at, ask in enumerate(asks):
            instruction, _, given = ask.messages[-1].text.partition("\n\n")
            yield at, Reply(" ".join(TASKS[instruction](given.split())))


def prove(lab: Lab) -> Proof:
    """Tuned on chains against both of their steps one by one; pairs of tasks and words of the test are in no row."""
    from adhere.evals.arms import tuned_arms
    from adhere.verify.chains import WORDS

    rng = random.Random(0)
    names = list(TASKS)
    starts = []
    for at in range(lab.count(160)):
        instruction, given = names[at % len(names)], rng.sample(WORDS[:14], 4)
        output = " ".join(TASKS[instruction](given))
        starts.append(Record((user(f"{instruction}\n\n{' '.join(given)}"), assistant(output))))
    unseen = {pair for one, other in _UNSEEN for pair in ((names[one], names[other]), (names[other], names[one]))}
    made = [
        one
        for one in synth(starts, _Teacher(), Settings(count=2 * len(starts), ask_composable=False), 0)
        if isinstance(one, Record) and tuple(one.notes["instructions"]) not in unseen
    ][:120]
    tests = []
    for first, second in sorted(unseen) * 6:
        given = rng.sample(WORDS[14:], 4)
        notes = {"gold": " ".join(TASKS[second](TASKS[first](given))), "pair": f"{first} {second}"}
        tests.append(Record((user(chained_prompt([first, second], " ".join(given))),), notes=notes))
    tests = tests[: lab.count(60)]

    def right(test: Record, reply: Reply) -> float:
        return float(final_output(reply.text).rstrip(".").split() == str(test.notes["gold"]).split())

    sides = ("tuned on the steps one by one", "tuned on chains of them")
    outcome = tuned_arms(lab, ([step for one in made for step in _steps(one)], made), tests, right, sides, Sampling(64))
    remark = (
        "A teacher by rule stands for gpt-3.5. Six tasks on words in a line; five of their fifteen pairs are the test, "
        "in both orders, on words that no row has. Both arms have the same steps. Tests of one pair are not "
        "independent, so the pair is the unit. An output is right when it is the same to the letter."
    )
    pairs = [test.notes["pair"] for _ in lab.seeds for test in tests]  # in the order of the outcome's values
    outcome = msgspec.structs.replace(outcome, units=pairs, unit="task pairs", remark=remark)
    return lab.proof("chain-of-instructions", CARD, outcome)


def _steps(row: Record) -> list[Record]:
    """The steps of a chain as rows of their own: each instruction with the output before it as its input."""
    given = row.instruction.rpartition("\n\n")[2]
    inputs = (given, *row.notes["outputs"])
    told = zip(row.notes["instructions"], inputs, row.notes["outputs"], strict=False)
    return [Record((user(DO.format(instruction=said, input=one)), assistant(output))) for said, one, output in told]
