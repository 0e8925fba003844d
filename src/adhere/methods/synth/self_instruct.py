"""Self-Instruct: a model extends a pool of tasks from examples of it, writes their instances, and filters both.

Paper: Wang, Kordi, Mishra, Liu, Smith, Khashabi, Hajishirzi, "Self-Instruct: Aligning Language Models with
Self-Generated Instructions", ACL 2023 (arXiv 2212.10560), section 2 and appendix A.

The idea in five lines:
1. A pool begins with a few hand-written tasks. Eight of them, six by people and two by the model once it has written
   any, are shown as a numbered list, and the model goes on with it.
2. New instructions are filtered by form, and kept only when ROUGE-L with every task of the pool is at most 0.7.
3. The model says of each whether it is a classification task.
4. Instances: input first and output second; for classification the label first, then an input that deserves it, since
   input first gives mostly one label.
5. Instances are cleaned; what is left are training rows for the model that wrote them.

What the paper says: 175 seed tasks, 52,445 instructions, novelty below 0.7. What its released code does (read): all of
the above with the constants below; it rejects above 0.7, not at it; its words are runs of a-z and 0-9, so that text in
another script is never rejected; it puts instructions through `capitalize`, which writes "SQL" as "sql"; a response
cut at its limit is dropped whole; a task whose instances disagree on one input is dropped.
What we do: the same steps and filters in the same order, prompts and examples of our own for a chat model, novelty
decided exactly by `data.novelty`. With `faithful` false, words of every script count, other scripts may begin an
instruction, letters keep their case, and of a cut response only the last item goes.
Left out: encoding rows in one of 13 templates (chat models have their own), and the Alpaca variant with one prompt for
everything. In the proof instances are not written, and no model is tuned: it looks at what steps 1 and 2 yield.
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
from adhere.core.record import Record, assistant, user
from adhere.core.step import Dropped
from adhere.data.novelty import NoveltyIndex

if TYPE_CHECKING:
    from adhere.core.proof import Proof
    from adhere.evals.lab import Lab

CARD = Card(
    summary="Grow a pool of tasks from its own examples; write, clean and filter their instances.",
    version="1",
    family="generation",
    paper="arXiv:2212.10560",
    seed=62,
    needs=("Generates",),
    claim="Shown examples from a growing pool, a model writes more instructions that pass the filters of form and "
    "novelty, for the tokens it writes, than when it is just asked for a list of tasks.",
    metric="novel instructions that pass all filters, per 100 tokens written",
)

LIST = "Here is a list of tasks for a helpful assistant. Continue it with new tasks of other kinds.\n\n{shown}\n{next}."
NAIVE = "Write a list of tasks for a helpful assistant.\n\n1."
BLOCK = 5  # requests of the experiment that share a pool
CLASSIFY = """Some tasks ask to choose from a few given labels; they are classification tasks. Others are not.

Task: Say whether the comment below is friendly or rude.
Classification? Yes

Task: Write a poem about the first snow.
Classification? No

Task: Sort the animal into mammal, bird or fish.
Classification? Yes

Task: Translate the sentence into Spanish.
Classification? No

Task: Which of the three headings fits the paragraph best?
Classification? Yes

Task: How do I get wax out of a tablecloth?
Classification? No

Task: {task}
Classification?"""
INPUT_FIRST = """Give examples of a task: an input where the task needs one, and the right output.

Task: Turn the sentence into a question.
Example 1
Input: The shop opens at nine.
Output: Does the shop open at nine?
Example 2
Input: They have sold their boat.
Output: Have they sold their boat?

Task: Name three uses for an old newspaper.
Example 1
Output: Wrapping up glasses, drying wet shoes, and lighting a stove.

Task: {task}
Example 1"""
OUTPUT_FIRST = """Give examples of a classification task: for each possible label an input that deserves it.

Task: Say whether the comment is friendly or rude.
Class label: friendly
Comment: Thank you so much for the lift home.
Class label: rude
Comment: Nobody asked what you think.

Task: {task}
Class label:"""
BANNED = re.compile(r"\b(?:images?|graphs?|pictures?|files?|maps?|draw|plot|go to)\b", re.IGNORECASE)
SHORTEST, LONGEST = 4, 150  # words [code: more than 3, at most 150]
MOST_INSTANCES = 5  # of a task [code]


@dataclass(frozen=True)
class Settings:
    """How the pool grows (values of the released code, which the paper's appendix A gives too, but for `requests`).

    `count` instructions are wanted, from `requests` asks at most, `batch` of which go out at once (5); `exemplars` are
    shown (8), of which `machine` are the model's own (2); `threshold` is the greatest ROUGE-L that is still novel
    (0.7). New instructions are drawn at `temperature`, `top_p` and `presence_penalty` (0.7, 0.5, 2.0), at most
    `max_tokens` (1024) a request; instances greedily, at most `instance_tokens` (350), with a penalty of 1.5.
    `faithful` keeps the code's words, case and whole-response rule (see above).
    """

    count: int = 100
    requests: int = 100
    batch: int = 5
    exemplars: int = 8
    machine: int = 2
    threshold: float = 0.7
    temperature: float = 0.7
    top_p: float = 0.5
    presence_penalty: float = 2.0
    max_tokens: int = 1024
    instance_tokens: int = 350
    faithful: bool = True


class Candidate(msgspec.Struct, frozen=True):
    """An instruction that the model wrote: in which request, from which seeds, and why it is refused (empty: kept)."""

    text: str
    request: int
    parents: tuple[str, ...]
    refused: str = ""


class Pool:
    """The seeds, the model's own instructions so far, and the index that decides what is new."""

    def __init__(self, records: Sequence[Record], settings: Settings) -> None:
        self.seeds = [one for one in records if one.instruction.strip()]
        self.settings = settings
        self.own: list[str] = []
        self._index = NoveltyIndex(settings.threshold, unicode=not settings.faithful)
        for one in self.seeds:
            self._index.add(one.instruction, one.id)

    def shown(self, rng: random.Random) -> tuple[list[str], tuple[str, ...]]:
        """The exemplars of a request in a random order, and the ids of the seeds among them."""
        own = rng.sample(self.own, min(self.settings.machine, len(self.own)))
        seeds = rng.sample(self.seeds, min(max(1, self.settings.exemplars - len(own)), len(self.seeds)))
        texts = [*own, *(one.instruction for one in seeds)]
        return rng.sample(texts, len(texts)), tuple(dict.fromkeys(one.id for one in seeds))

    def refusal(self, text: str) -> str:
        """Why a new instruction is refused; one that is not refused joins the pool."""
        reason = misshapen(text, self.settings.faithful)
        if reason:
            return reason
        rival = self._index.keep(text, f"own/{len(self.own)}")
        if rival is not None:
            return f"not novel: ROUGE-L {rival[0]:.2f} with {rival[1][:12]}"
        self.own.append(text)
        return ""


def synth(
    records: Sequence[Record], model: Generates, settings: Settings, seed: int = 0, progress: Progress = silent
) -> Iterator[Record | Dropped]:
    """Rows for new tasks, an instruction with its input as the prompt; refused instructions and empty tasks as dropped.

    `notes` hold `classification` and `request`; parents are the seeds that were shown.
    """
    pool = Pool(records, settings)
    kept: list[Candidate] = []
    for candidate in _grown(pool, model, settings, seed, progress):
        if candidate.refused:
            yield Dropped(_record(candidate), candidate.refused)
        else:
            kept.append(candidate)
    asks = [Ask((user(CLASSIFY.format(task=one.text)),), Sampling(3, stop=("\n", "Task"))) for one in kept]
    said = replies(model, asks, "synthesise: classification?", progress)
    labels = [one.text.strip().rstrip(".") in ("Yes", "yes", "YES") for one in said]
    sampling = Sampling(settings.instance_tokens, presence_penalty=1.5, stop=("Example 6", "Task:"))
    prompts = [OUTPUT_FIRST if label else INPUT_FIRST for label in labels]
    asks = [Ask((user(form.format(task=one.text)),), sampling) for form, one in zip(prompts, kept, strict=True)]
    written = replies(model, asks, "synthesise: instances", progress)
    for at, (candidate, label, reply) in enumerate(zip(kept, labels, written, strict=True)):
        base = _record(candidate).noted(classification=label)
        found, reason = instances(reply, label)
        if reason:
            yield Dropped(base, reason)
        for given, output in random.Random(f"{seed}/{at}").sample(found, min(MOST_INSTANCES, len(found))):
            asked = f"{candidate.text}\n\n{given}" if given else candidate.text
            yield msgspec.structs.replace(base, messages=(user(asked), assistant(output)))


def _record(candidate: Candidate) -> Record:
    made_by = f"self-instruct@{CARD.version}"
    return Record((user(candidate.text),), (), None, candidate.parents, made_by, {"request": candidate.request})


def _grown(pool: Pool, model: Generates, settings: Settings, seed: int, progress: Progress) -> Iterator[Candidate]:
    """Candidates in the order in which they were written, until the pool has `count` new ones."""
    sampling = Sampling(
        settings.max_tokens, settings.temperature, settings.top_p, presence_penalty=settings.presence_penalty,
        stop=("\n\n", "\n16", "16.", "16 ."), seed=seed,
    )  # fmt: skip
    asked = 0
    while pool.seeds and len(pool.own) < settings.count and asked < settings.requests:
        numbers = range(asked, min(asked + max(1, settings.batch), settings.requests))
        drawn = [pool.shown(random.Random(f"{seed}/{number}")) for number in numbers]
        asks = [Ask((user(list_prompt(texts)),), sampling, n) for n, (texts, _) in zip(numbers, drawn, strict=True)]
        found = replies(model, asks, "synthesise: instructions", progress)
        for number, (_, parents), reply in zip(numbers, drawn, found, strict=True):
            yield from judged(pool, reply, number, parents)
        asked = numbers.stop


def list_prompt(texts: Sequence[str]) -> str:
    """The numbered list of exemplars, white space collapsed and a colon at the end taken off, open at its next item."""
    shown = [" ".join(text.split()).rstrip(":") for text in texts]
    lines = "\n".join(f"{at}. {text}" for at, text in enumerate(shown, 1))
    return LIST.format(shown=lines, next=len(shown) + 1)


def judged(pool: Pool, reply: Reply, request: int, parents: tuple[str, ...]) -> Iterator[Candidate]:
    """The instructions of one response, each with the reason why it is refused; what is not refused joins the pool."""
    if reply.finish == "error":
        yield Candidate("", request, parents, f"not answered: {reply.error}")
        return
    texts = items(reply.text, pool.settings.faithful)
    if reply.finish == "length":
        if pool.settings.faithful:
            yield Candidate("", request, parents, "cut: the response did not end within max_tokens")
            return
        texts = texts[:-1]
    for text in texts:
        yield Candidate(text, request, parents, pool.refusal(text))


def items(text: str, faithful: bool) -> list[str]:
    """The items of a numbered list that the prompt has begun, white space collapsed; the code's `capitalize` if so."""
    parts = re.split(r"\n\s*\d+\s?\.\s", re.sub(r"^\s*\d+\s?\.\s", "", text))
    plain = [" ".join(part.split()) for part in parts]
    return [part.capitalize() if faithful else part for part in plain]


def misshapen(text: str, faithful: bool = True) -> str:
    """Why the form of an instruction refuses it, by the code's filters in their order; empty when it passes."""
    if not text:
        return "empty: nothing but white space"
    count = len(text.split())
    if not SHORTEST <= count <= LONGEST:
        return f"length: {count} words, wanted {SHORTEST} to {LONGEST}"
    banned = BANNED.search(text)
    if banned:
        return f"word: a text model cannot do {banned.group().lower()!r}"
    if text.lower().startswith("write a program"):
        return "program: too many of these are written"
    if not (text[0].isalnum() or text[0].isspace()):
        return "punctuation: it begins with a mark"
    return "script: it does not begin with a letter of ASCII" if faithful and not text[0].isascii() else ""


def instances(reply: Reply, classification: bool) -> tuple[list[tuple[str, str]], str]:
    """The (input, output) pairs of a response after all filters, and why there are none."""
    if reply.finish == "error":
        return [], f"not answered: {reply.error}"
    read = _labelled(reply.text) if classification else _examples(reply.text)
    if reply.finish == "length":
        read = read[:-1]
    sound = [
        (given, output)
        for given, output in dict.fromkeys(read)
        if output and given != output and not given.endswith(":") and not output.endswith(":")
    ]
    inputs = [given for given, _ in sound if given]
    if len(set(inputs)) < len(inputs):
        return [], "contradiction: one input has two outputs"
    return sound, "" if sound else "no instance: nothing is left of what was written"


def _examples(text: str) -> list[tuple[str, str]]:
    found = []
    for part in re.split(r"Example\s?\d*\.?", text):
        pieces = re.split(r"Output\s*\d*\s*:", part)
        if not part.strip():
            continue
        given, output = (pieces[0], pieces[1]) if len(pieces) > 1 else ("", part)
        output = re.split(r"Input\s*\d*\s*:", output)[0] if len(pieces) > 1 else output
        found.append((re.sub(r"^\s*Input\s*\d*\s*:", "", given).strip(), output.strip()))
    return found


def _labelled(text: str) -> list[tuple[str, str]]:
    """Label first, then the input on the lines after it; the prompt has written the first "Class label:"."""
    opened = text if text.lstrip().startswith("Class label:") else f"Class label:{text}"
    pairs = [part.strip().partition("\n") for part in opened.split("Class label:")[1:]]
    return [(given.strip(), label.strip()) for label, _, given in pairs if given.strip()]


def prove(lab: Lab) -> Proof:
    """As many requests with exemplars as without, in blocks with the same sampling, filters and pool to begin with."""
    from adhere.evals.lab import Outcome

    seeds, requests = lab.instructions(100), lab.count(5 * BLOCK)
    sampling = lab.sized(Sampling(192, 0.7, 0.95, presence_penalty=0.5, stop=("\n\n", "\n16", "16.")))
    blocks = [(seed, begin) for seed in lab.seeds for begin in range(0, requests, BLOCK)]
    values: dict[str, list[float]] = {"base": [], "treated": []}
    kept = dict.fromkeys(values, 0)
    for side, own in values.items():
        for seed, begin in blocks:
            pool, found, written = Pool(seeds, Settings(faithful=False)), 0, 0
            for number in range(begin, min(begin + BLOCK, requests)):
                texts, parents = pool.shown(random.Random(f"{seed}/{number}"))
                said = list_prompt(texts) if side == "treated" else NAIVE
                draw = msgspec.structs.replace(sampling, seed=seed)
                with lab.at(side):
                    (reply,) = replies(lab.model, [Ask((user(said),), draw, number)], side)
                candidates = judged(pool, reply, number, parents)
                found += sum(not one.refused and not _leads_in(one.text) for one in candidates)
                written += reply.tokens_out
            # Of sums: a ratio per request would weigh one short line like a whole list.
            own.append(100 * found / max(1, written))
            kept[side] += found
    remark = (
        "A unit is a block of five requests whose pool begins with the seeds, on both sides, so that blocks are "
        "independent; its value is a ratio of sums. An item that ends in a colon leads in to a list and does not "
        "count. Nucleus 0.95 and a presence penalty of 0.5 on both sides (0.5 and 2 there), since a small model that "
        "is asked the same repeats itself otherwise."
    )
    outcome = Outcome(
        values["base"], values["treated"], [f"{seed}/{begin}" for seed, begin in blocks],
        ("asked for a list", "shown eight of the pool"), unit="blocks of requests",
        numbers={f"kept_{side}": float(count) for side, count in kept.items()}, remark=remark,
    )  # fmt: skip
    return lab.proof("self-instruct", CARD, outcome)


def _leads_in(text: str) -> bool:
    """Whether an item announces a list, whatever marks close it; looked at in the experiment alone."""
    return text.rstrip(" *_").endswith(":")
