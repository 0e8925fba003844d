"""Unnatural Instructions: three examples with fixed fields elicit a fourth, then come its output and its rewordings.

Paper: Honovich, Scialom, Levy, Schick, "Unnatural Instructions: Tuning Language Models with (Almost) No Human Labor",
ACL 2023 (arXiv 2212.09689), section 2.

The idea in five lines:
1. An example has fields: an instruction, an input, and constraints on the output.
2. Three examples, without outputs, are shown; the model writes a fourth, drawn at random.
3. It is kept when no field is missing, it is none of the shown ones, and none before has its instruction and input.
4. Its output is written greedily from instruction, input and constraints, in a call of its own.
5. The core is expanded: each instruction is reworded freely, up to two ways, with the same input and output.

What the paper says: 15 seed examples in five sets of three; nucleus sampling with p 0.99 and text-davinci-002; 68,478
core examples, 240,670 with rewordings (97.5 % of the instructions got two); in a sample of 200, 56.5 % were right
throughout. Its repository holds data only, so the code of the filters is not known; the last two are from memory.
What we do: the same with prompts of our own. The examples are turns of a dialogue, since a chat model that is shown a
list to go on with answers it instead (none of 150 replies of the 135M model had the fields). Seeds are the records
given: text after the first blank line is the input, `notes["constraints"]` the constraints, "None." where there are
none. Sets of three are fixed by the seed of the run, as in the paper, and taken in turn. A reworded instruction must be
new, and no copy of the original.
Left out: nothing of the pipeline. The paper's result is a tuned 11B model that rivals others; at 135M the proof looks
at what shown examples do for the yield of valid, new examples.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from adhere.core.method import Card
from adhere.core.model import Ask, Generates, Reply, Sampling, replies
from adhere.core.progress import Progress, silent
from adhere.core.record import Message, Record, assistant, user
from adhere.core.step import Dropped
from adhere.verify.guard import degenerate

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab

CARD = Card(
    summary="Elicit examples with instruction, input and constraints from three others; reword them.",
    version="1",
    family="generation",
    paper="arXiv:2212.09689",
    seed=118,
    needs=("Generates",),
    claim="Shown three examples, a model writes a valid new one more often than when only the fields are described.",
    metric="share of requests that give a new example with all fields, its constraints not None, and neither these nor "
    "its instruction taken from the shown examples",
)

FIELDS = ("Instruction", "Input", "Constraints")
INTRODUCTION = (
    "Write one more example of a task, different from all others. Give it an instruction, the input that it is "
    "about, and the constraints on the output (None. where there are none), each on a line of its own."
)
MORE = "One more, different from all above."
DESCRIBED = INTRODUCTION + "\n\nBegin the lines with Instruction:, Input: and Constraints:"
OUTPUT = "{instruction}\n\n{input}\n\nThe output has to meet this: {constraints}"
REWORD = """Say the same request in a free, everyday way, and keep its meaning. Write only the new request.

Request: Given a list of words, sort them by length.
In other words: Please put these words in order from the shortest to the longest.

Request: You are given a sentence; decide whether it is about the weather.
In other words: Does the sentence talk about the weather or not?

Request: {instruction}
In other words:"""
NONE = "None."
# What the seeds of the experiment ask of the output: shipped seeds have no constraints.
CONSTRAINTS = (
    "At most three sentences.", "Use short words that a child knows.", "Keep a friendly tone.", "Name no person.",
    "One line for each item.", "Begin with the most important point.", "No numbers in digits.",
    "Fewer than forty words.", "Write in the past tense.", "End with a question.", "Leave out all opinions.",
    "Only small letters.",
)  # fmt: skip


class Example(msgspec.Struct, frozen=True):
    """An example without its output."""

    instruction: str
    input: str
    constraints: str = NONE

    @property
    def key(self) -> tuple[str, str]:
        """What makes two examples the same: instruction and input, but for case and space."""
        return _plain(self.instruction), _plain(self.input)


def _plain(text: str) -> str:
    return " ".join(text.lower().split())


@dataclass(frozen=True)
class Settings:
    """How much is written and how (section 2 where not said otherwise).

    `count` requests for a new example; `sets` of `shown` seeds each are fixed and taken in turn (5 and 3); drawn with
    nucleus `top_p` (0.99) at `temperature` (1.0), at most `max_tokens` long; `output_tokens` end a greedy output;
    `rewordings` of each instruction at most (2), drawn alike.
    """

    count: int = 100
    sets: int = 5
    shown: int = 3
    top_p: float = 0.99
    temperature: float = 1.0
    max_tokens: int = 256
    output_tokens: int = 256
    rewordings: int = 2


def synth(
    records: Sequence[Record], model: Generates, settings: Settings, seed: int = 0, progress: Progress = silent
) -> Iterator[Record | Dropped]:
    """Rows of the core, each followed by its rewordings; requests that gave no example as dropped.

    `notes["example"]` holds the fields, `notes["reworded"]` says whether the row is a rewording.
    """
    demos = demonstrations(records, settings, seed)
    sampling = Sampling(settings.max_tokens, settings.temperature, settings.top_p, seed=seed)
    shown = [demos[at % len(demos)] for at in range(settings.count if demos else 0)]
    asks = [Ask(prompt(set_of), sampling, at) for at, set_of in enumerate(shown)]
    seen: set[tuple[str, str]] = set()
    kept: list[tuple[Record, Example]] = []
    for set_of, reply in zip(shown, replies(model, asks, "synthesise: examples", progress), strict=True):
        base = Record((user(reply.text.strip()[:2000]),), parents=tuple(one.id for one in set_of), made_by=_made_by())
        example, reason = judged(reply, [fields(one) for one in set_of], seen)
        if example is None:
            yield Dropped(base, reason)
        else:
            kept.append((base.noted(example=msgspec.to_builtins(example)), example))
    yield from _answered(kept, model, settings, seed, progress)


def _made_by() -> str:
    return f"unnatural-instructions@{CARD.version}"


def fields(record: Record) -> Example:
    """A record as an example: the instruction, the input after its first blank line, and the constraints it notes."""
    instruction, _, given = record.instruction.strip().partition("\n\n")
    return Example(instruction.strip(), given.strip() or NONE, str(record.notes.get("constraints") or NONE))


def demonstrations(records: Sequence[Record], settings: Settings, seed: int) -> list[list[Record]]:
    """The fixed sets of seeds; fewer than a full set is no set, unless there is no other."""
    usable = [one for one in records if one.instruction.strip()]
    drawn = random.Random(f"{seed}/sets").sample(usable, len(usable))
    size = max(1, settings.shown)
    sets = [drawn[at : at + size] for at in range(0, len(drawn), size)][: max(1, settings.sets)]
    return [one for one in sets if len(one) == size] or sets[:1]


def prompt(shown: Sequence[Record]) -> tuple[Message, ...]:
    """A dialogue in which each of the shown examples has been written, and one more is asked for."""
    turns = [user(INTRODUCTION)]
    for one in map(fields, shown):
        values = (one.instruction, one.input, one.constraints)
        turns.append(assistant("\n".join(f"{k}: {v}" for k, v in zip(FIELDS, values, strict=True))))
        turns.append(user(MORE))
    return tuple(turns)


def read(text: str) -> Example | None:
    """The first example of a reply; None when a field is missing or empty."""
    found: dict[str, str] = {}
    marks = list(re.finditer(r"^[ \t*]*(Instruction|Input|Constraints)\**[ \t]*:\**", text, re.MULTILINE))
    for mark, end in zip(marks, [*(one.start() for one in marks[1:]), len(text)], strict=False):
        if mark.group(1) in found:
            break  # the fields of the next example
        value = re.split(r"\n[ \t]*Example \d", text[mark.end() : end])[0]
        found[mark.group(1)] = value.strip()
    if any(not found.get(name) for name in FIELDS):
        return None
    return Example(found["Instruction"], found["Input"], found["Constraints"])


def judged(reply: Reply, shown: Sequence[Example], seen: set[tuple[str, str]]) -> tuple[Example | None, str]:
    """The example of a reply, or why it is not kept; a kept one joins `seen`."""
    if reply.finish == "error":
        return None, f"not answered: {reply.error}"
    if reply.finish == "length":
        return None, "cut: the example did not end within max_tokens"
    example = read(reply.text)
    if example is None:
        return None, "fields: instruction, input or constraints are missing"
    if example.key in {one.key for one in shown}:
        return None, "copy: one of the shown examples again"
    if example.key in seen:
        return None, "duplicate: an example before has this instruction and input"
    seen.add(example.key)
    return example, ""


def _answered(
    kept: Sequence[tuple[Record, Example]], model: Generates, settings: Settings, seed: int, progress: Progress
) -> Iterator[Record | Dropped]:
    asks = [Ask((user(_asked(one, one.instruction, True)),), Sampling(settings.output_tokens)) for _, one in kept]
    outputs = replies(model, asks, "synthesise: outputs", progress)
    sampling = Sampling(96, settings.temperature, settings.top_p, stop=("\n\n", "Request:"), seed=seed)
    asks = [
        Ask((user(REWORD.format(instruction=one.instruction)),), sampling, number)
        for _, one in kept
        for number in range(settings.rewordings)
    ]
    said = replies(model, asks, "synthesise: rewordings", progress)
    for at, ((base, example), output) in enumerate(zip(kept, outputs, strict=True)):
        text = output.text.strip()
        reason = degenerate(Record((user(example.instruction),)), text) if output.finish == "stop" else ""
        if output.finish != "stop" or reason:
            why = f"guard: {reason}" if reason else f"not answered: {output.error or 'the output was cut'}"
            yield Dropped(base, why)
            continue
        core = msgspec.structs.replace(
            base, messages=(user(_asked(example, example.instruction, True)), assistant(text))
        )
        yield core.noted(reworded=False)
        for other in reworded(example, said[at * settings.rewordings : (at + 1) * settings.rewordings]):
            row = msgspec.structs.replace(base, messages=(user(_asked(example, other, False)), assistant(text)))
            yield row.noted(reworded=True)


def _asked(example: Example, instruction: str, strictly: bool) -> str:
    """The prompt: instruction, input where there is one, and, for the core alone, the constraints."""
    given = "" if example.input.lower().rstrip(".") == "none" else example.input
    parts = [instruction, given]
    if strictly and example.constraints.lower().rstrip(".") != "none":
        parts.append(f"The output has to meet this: {example.constraints}")
    return "\n\n".join(part for part in parts if part)


def reworded(example: Example, replies: Sequence[Reply]) -> list[str]:
    """The rewordings among the replies: answered, one line, and unlike the instruction and each other."""
    found: dict[str, str] = {_plain(example.instruction): ""}
    for reply in replies:
        lines = [line.strip() for line in reply.text.splitlines() if line.strip()]
        said = lines[0].removeprefix("In other words:").strip() if lines else ""
        if reply.finish == "stop" and said and degenerate(Record((user("Reword."),)), said) is None:
            found.setdefault(_plain(said), said)
    return [said for said in found.values() if said]


def prove(lab: Lab) -> Proof:
    """As many requests with three examples shown as with the fields described, at the same sampling."""
    from adhere.evals.lab import Outcome

    requests = lab.count(10)  # for each set of examples
    sampling = lab.sized(Sampling(192, 0.7, 0.95))  # an example of the length of the shown ones has room
    sets = [(seed, number, one) for seed, some in _shown_sets(lab).items() for number, one in enumerate(some)]
    values: dict[str, list[float]] = {"base": [], "treated": []}
    for side, own in values.items():
        for seed, number, shown in sets:
            asked = (user(DESCRIBED),) if side == "base" else prompt(shown)
            draw = msgspec.structs.replace(sampling, seed=seed)
            asks = [Ask(asked, draw, number * requests + at) for at in range(requests)]
            with lab.at(side):
                found = replies(lab.model, asks, side)
            examples, seen = [fields(one) for one in shown], set[tuple[str, str]]()  # so that sets are independent
            valid = [one for one in (judged(reply, examples, seen)[0] for reply in found) if one is not None]
            own.append(sum(original(one, examples) for one in valid) / requests)
    remark = (
        "A unit is a set of three examples, with the requests that show it and as many that describe the fields; new "
        "is what no request before has given in it. The shown have an input and constraints, so that a field that is "
        "copied does not count. Nobody read the rest. Temperature 0.7 and nucleus 0.95 on both sides, not 1.0 and "
        "0.99, at which this model writes noise."
    )
    names, units = ("the fields described", "three examples shown"), [f"{seed}/{number}" for seed, number, _ in sets]
    outcome = Outcome(values["base"], values["treated"], units, names, unit="sets of examples", remark=remark)
    return lab.proof("unnatural-instructions", CARD, outcome)


def _shown_sets(lab: Lab) -> dict[int, list[list[Record]]]:
    """Five sets of three for each seed of the lab, none of them in two sets: short inputs, and constraints drawn."""
    settings = Settings()

    def length(record: Record) -> tuple[bool, int]:
        given = fields(record).input
        return given == NONE, len(given.split())

    most = settings.sets * settings.shown * len(lab.seeds)
    able = sorted(lab.instructions(240), key=length)[:most]
    found: dict[int, list[list[Record]]] = {}
    for at, seed in enumerate(lab.seeds):
        rng = random.Random(f"{seed}/constraints")
        found[seed] = [
            [one.noted(constraints=said) for one, said in zip(some, rng.sample(CONSTRAINTS, len(some)), strict=True)]
            for some in demonstrations(able[at :: len(lab.seeds)], settings, seed)
        ]
    return found


def original(example: Example, shown: Sequence[Example]) -> bool:
    """Whether an example has an instruction and constraints of its own: not the shown ones, and constraints at all."""
    said, constraints = _bare(example.instruction), _bare(example.constraints)
    return (
        constraints not in (_bare(NONE), "")
        and constraints not in {_bare(one.constraints) for one in shown}
        and said not in {_bare(one.instruction) for one in shown}
    )


def _bare(text: str) -> str:
    return _plain(text).strip(" .*")
