"""The held-out benchmark: our own prompts and phrasings that training never sees, in three slices.

`seen` joins unseen prompts with constraints of the families that training uses, in held-out phrasings;
`unseen` joins them with families that training must not use; `plain` leaves them without constraints, to
show what tuning does to ordinary answers. The same arguments give the same benchmark on every machine.

Each slice is in two parts that share no prompt. Choose settings by looking at `development`; report `test`. A
choice made after looking at results on `test` spoils it: what was looked at then has to become `development`.
The part of a prompt stands in `heldout.jsonl` and depends on nothing else, so new prompts move no old one.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import resources
from typing import Literal, get_args

import msgspec

from adhere.core.benchmark import Benchmark
from adhere.core.errors import DataError, SettingsError, did_you_mean
from adhere.core.record import Check, Message, Record, Text, ToolResult, user
from adhere.data.decontaminate import NgramIndex
from adhere.data.novelty import words
from adhere.verify.catalogue import ALL_TYPES, IFEVAL_TYPES, UNSEEN_FAMILIES, UNSEEN_TYPES
from adhere.verify.compose import compose
from adhere.verify.constraint import ConstraintType
from adhere.verify.families.nested_parts import inner_kinds
from adhere.verify.score import ConstraintVerifier

Slice = Literal["seen", "unseen", "plain"]
Part = Literal["development", "test"]
SLICES: tuple[Slice, ...] = get_args(Slice)
PARTS: tuple[Part, ...] = get_args(Part)
VERSION = "3"  # rises when prompts, phrasings or the way of composing change
MADE_BY = f"heldout@{VERSION}"
NGRAM = 8
TRIES = 16  # compositions drawn per prompt, of which the one with the least used types is taken
NUMBERS: dict[Slice, tuple[int, ...]] = {"seen": (1, 2, 3), "unseen": (1, 2), "plain": ()}


class HeldOutPrompt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of `heldout.jsonl`: what is asked, the text it is asked about (may be empty), slice and part."""

    instruction: str
    input: str
    skill: str
    subject: str
    slice: Slice
    part: Part

    @property
    def text(self) -> str:
        """The user message: instruction, blank line, input text."""
        return f"{self.instruction}\n\n{self.input}" if self.input else self.instruction


def heldout_prompts(slice: Slice | None = None, part: Part | None = None) -> list[HeldOutPrompt]:
    """The shipped prompts of one slice and part, or of all, in file order."""
    text = resources.files("adhere.evals").joinpath("heldout.jsonl").read_text(encoding="utf-8")
    decoder = msgspec.json.Decoder(HeldOutPrompt)
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            found.append(decoder.decode(line))
        except msgspec.MsgspecError as error:
            raise DataError(f"heldout.jsonl, line {number}: {error}", "The installed package is damaged.") from None
    return [one for one in found if slice in (None, one.slice) and part in (None, one.part)]


def heldout_benchmark(slice: Slice, count: int | None = None, seed: int = 0, part: Part = "test") -> Benchmark:
    """`count` held-out records of one part of a slice (all when None), graded by their checks.

    Choose settings on `development`, report `test`; each part is composed by itself, and `seed` moves no
    prompt between them. The benchmark is named `heldout-SLICE`, with `-development` behind it for that part.

    Constraints are one to three per prompt for `seen` and one or two for `unseen`, balanced over types.
    Which prompts a small `count` takes is balanced over skills, and a smaller count is a prefix of a
    larger one. Notes hold `instruction` (the text without constraints), `skill`, `subject`, `slice`, `part`. Raises
    `SettingsError` for an unknown slice or part, or for more records than the part has prompts.
    """
    if slice not in SLICES:
        raise SettingsError(f"no held-out slice {slice!r}", did_you_mean(slice, SLICES))
    check_part(part)
    drawn = f"{VERSION}/{slice}/{part}/{seed}"
    prompts = _by_turns(heldout_prompts(slice, part), random.Random(drawn))
    wanted = len(prompts) if count is None else count
    if not 0 < wanted <= len(prompts):
        raise SettingsError(
            f"expected 1 to {len(prompts)} held-out records of slice {slice}, part {part}, found {wanted}",
            "More seeds give more replies per prompt; more prompts need a data file.",
        )
    types = slice_types(slice)
    used: Counter[str] = Counter()
    records: list[Record] = []
    for prompt in prompts:
        number = NUMBERS[slice][len(records) % len(NUMBERS[slice])] if types else 0
        record = _composed(prompt, number, types, used, random.Random(f"{drawn}/{prompt.text}"))
        if record is not None:
            records.append(record)
            used.update(check.kind for check in record.checks)
        if len(records) == wanted:
            break
    if len(records) < wanted:
        raise DataError(f"only {len(records)} of {wanted} held-out prompts of slice {slice} take a constraint")
    name = f"heldout-{slice}" if part == "test" else f"heldout-{slice}-{part}"
    return Benchmark(name, f"{VERSION}.{seed}", tuple(records), ConstraintVerifier(ALL_TYPES))


def check_part(part: str) -> None:
    """Raise `SettingsError` for anything that is no part of the benchmark."""
    if part not in PARTS:
        raise SettingsError(f"no part {part!r} of the held-out benchmark", did_you_mean(part, PARTS))


def slice_types(slice: Slice) -> dict[str, ConstraintType]:
    """The constraint types that a slice draws from; none for `plain`."""
    # by type and not by family: a family may grow, the benchmark stays what its version says
    return dict({"seen": IFEVAL_TYPES, "unseen": UNSEEN_TYPES}.get(slice, {}))


def refuse_overlap(training: Iterable[Record], benchmarks: Sequence[Benchmark] = ()) -> int:
    """Check that training shares nothing with held-out records; gives how many training records were checked.

    Raises `DataError` with the first offence and the number of offending records when a training record has a
    check of a family kept for `unseen`, a check in a held-out phrasing of its type, or a message other than a
    reply that shares a run of eight words with a held-out prompt of any slice and part, whether or not it is
    asked in this run, or with the plain text of a record of `benchmarks`. Phrasings are compared by whole
    phrase and not by n-gram, because what they must name ("My answer is yes.") is the same in both.
    """
    offence_of = overlap_finder(benchmarks)
    checked, offences = 0, []
    for record in training:
        checked += 1
        offence = offence_of(record)
        if offence:
            offences.append(f"record {record.id[:12]} {offence}")
    if offences:
        raise DataError(
            f"training data overlaps with the held-out benchmark: {offences[0]} ({len(offences)} of {checked} records)",
            "Leave these records out of training, or name other families; a score on them would prove nothing.",
        )
    return checked


def overlap_finder(benchmarks: Sequence[Benchmark] = ()) -> Callable[[Record], str | None]:
    """A function that says why a record may not be trained on, or None where it may; see `refuse_overlap`.

    All held-out prompts count, not only those of `benchmarks`, which may name further ones: a model that
    was trained on any of them could not be measured on them later.
    """
    index = NgramIndex(NGRAM, (prompt.text for prompt in heldout_prompts()))
    for benchmark in benchmarks:
        for record in benchmark.records:
            index.add(_plain(record))
    return lambda record: _offence(record, index)


def _offence(record: Record, index: NgramIndex) -> str | None:
    for check in record.checks:
        kind = ALL_TYPES.get(check.kind)
        if kind is None:
            continue
        for inner in sorted(inner_kinds(check) & ALL_TYPES.keys()):
            if ALL_TYPES[inner].family in UNSEEN_FAMILIES:
                return f"has a {inner} check, of the held-out family {ALL_TYPES[inner].family!r}"
        if check.phrase and words(check.phrase, unicode=True) in _heldout_phrases(kind, check):
            return f"asks for {check.kind} in a held-out phrasing: {check.phrase!r}"
    for message in record.messages:
        shared = index.overlaps(_shown(message)) if message.role != "assistant" else None
        if shared is not None:
            return f"shares the words {shared!r} with a held-out prompt"
    return None


def _shown(message: Message) -> str:
    """Everything that a message shows the model as text, answers of tools included."""
    return "\n".join(part.text for part in message.content if isinstance(part, Text | ToolResult))


def _heldout_phrases(kind: ConstraintType, check: Check) -> list[list[str]]:
    """The words of every held-out phrasing of a type with the check's parameters."""
    params = kind.validated(check.params)
    phrases = [kind.phrase(params, template) for template in kind.heldout_phrasings]
    turned = [one.replace(" above", " below") for one in phrases]  # as composing puts them before the request
    return [words(one, unicode=True) for one in (*phrases, *turned)]


def _plain(record: Record) -> str:
    return str(record.notes.get("instruction", record.instruction))


def _by_turns(prompts: Sequence[HeldOutPrompt], rng: random.Random) -> list[HeldOutPrompt]:
    """Shuffled, and spread so that every stretch holds the skills in about their overall shares."""
    groups: dict[str, list[HeldOutPrompt]] = {}
    for prompt in prompts:
        groups.setdefault(prompt.skill, []).append(prompt)
    placed = []
    for group in groups.values():
        shift = rng.random()
        placed += [((k + shift) / len(group), one) for k, one in enumerate(rng.sample(group, len(group)))]
    return [one for _, one in sorted(placed, key=lambda item: (item[0], item[1].text))]


def _composed(
    prompt: HeldOutPrompt,
    number: int,
    types: Mapping[str, ConstraintType],
    used: Counter[str],
    rng: random.Random,
) -> Record | None:
    """The prompt with `number` constraints, of the types used least so far; None where none fits."""
    notes = {
        "instruction": prompt.text,
        "skill": prompt.skill,
        "subject": prompt.subject,
        "slice": prompt.slice,
        "part": prompt.part,
    }
    plain = Record((user(prompt.text),), made_by=MADE_BY, notes=notes)
    if not number:
        return plain
    weights = {kind: (1 + used[kind]) ** -3.0 for kind in types}
    drawn = [compose(rng, plain, number, tuple(types.values()), True, weights) for _ in range(TRIES)]
    fitting = [record for record in drawn if record is not None]
    if not fitting:
        return None

    def wear(record: Record) -> float:
        return sum(used[check.kind] for check in record.checks) / len(record.checks)

    best = min(fitting, key=wear)
    return msgspec.structs.replace(best, made_by=MADE_BY, parents=(plain.id,)).noted(**notes)
