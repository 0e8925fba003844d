"""Composing prompts: an instruction together with one to four compatible constraints, in varied layouts."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from adhere.core.errors import VerifierError
from adhere.core.record import Check, Record, user
from adhere.verify.conflicts import compatible
from adhere.verify.constraint import ConstraintType, Drawing

MADE_BY = "compose@1"
MOST_CONSTRAINTS = 4

_ATTEMPTS = 8
_REPEAT = "combination:repeat_prompt"
_FAMILIAR_ANSWER_WORDS = 120
_HEADERS = (
    "Requirements:",
    "Please note:",
    "Keep to these rules:",
    "Rules for the answer:",
    "Conditions:",
    "Please follow these points:",
    "What I need:",
    "Format:",
)


def family_weights(types: Sequence[ConstraintType]) -> dict[str, float]:
    """Weights per type id that balance families: a family of n types is drawn in proportion to the root of n.

    Equal families would put the one type of `punctuation` into nearly half of the prompts and each of the six
    of `detectable_format` into few; equal types would drown the small families.
    """
    sizes = Counter(kind.family for kind in types)
    return {kind.id: sizes[kind.family] ** -0.5 for kind in types}


def compose(
    rng: random.Random,
    record: Record,
    count: int,
    types: Sequence[ConstraintType],
    heldout: bool = False,
    weights: Mapping[str, float] | None = None,
) -> Record | None:
    """A record that asks for `count` constraints on top of the record's instruction, or None.

    `count` is 1 to 4. Types are drawn by `weights` (per type id, 0 or absent: never), by default balanced over
    families (`family_weights`). `heldout` takes the held-out phrasings. None when the instruction is blank, the
    record has checks already, or no compatible set of that size was found. The result has no reply; its
    `notes["instruction"]` is the plain instruction. `record.notes["answer_words"]`, where given, says how long an
    ordinary answer is.
    """
    if not 1 <= count <= MOST_CONSTRAINTS:
        raise VerifierError(f"expected 1 to {MOST_CONSTRAINTS} constraints, found {count}", "Choose a count in there.")
    instruction = record.instruction.strip()
    if not instruction or record.checks:
        return None
    drawing = Drawing(instruction, _answer_words(record))
    chances = family_weights(types) if weights is None else weights
    for _ in range(_ATTEMPTS):
        checks = _drawn(rng, drawing, count, types, chances, heldout)
        if checks is None:
            continue
        text, checks = _written(rng, instruction, checks)
        if compatible(checks):
            return _derived(record, instruction, text, checks)
    return None


def _answer_words(record: Record) -> int:
    given = record.notes.get("answer_words")
    if isinstance(given, int | float) and given > 0:
        return int(given)
    return _FAMILIAR_ANSWER_WORDS


def _derived(record: Record, instruction: str, text: str, checks: list[Check]) -> Record:
    messages = list(record.prompt)
    last = max(index for index, message in enumerate(messages) if message.role == "user")
    messages[last] = user(text)
    notes = {**record.notes, "instruction": instruction}
    return record.derive(
        MADE_BY, messages=tuple(messages[: last + 1]), checks=tuple(checks), rejected=None, notes=notes
    )


def _drawn(
    rng: random.Random,
    drawing: Drawing,
    count: int,
    types: Sequence[ConstraintType],
    chances: Mapping[str, float],
    heldout: bool,
) -> list[Check] | None:
    pool = [kind for kind in types if chances.get(kind.id, 0.0) > 0.0]
    chosen: list[Check] = []
    while pool and len(chosen) < count:
        kind = rng.choices(pool, [chances[kind.id] for kind in pool])[0]
        pool.remove(kind)
        params = kind.draw(rng, drawing)
        if params is None:
            continue
        check = kind.write(rng, params, heldout)
        if compatible([*chosen, check]):
            chosen.append(check)
    return chosen if len(chosen) == count else None


def _written(rng: random.Random, instruction: str, checks: list[Check]) -> tuple[str, list[Check]]:
    """The prompt, and the checks as they stand in it.

    The repeated request is everything but the sentence that asks for the repetition: `the request above` has to
    mean what a reader takes it to mean. Alone, that is the plain instruction.
    """
    others = [check for check in checks if check.kind != _REPEAT]
    if len(others) == len(checks):
        return _laid_out(rng, instruction, others), checks
    request = _laid_out(rng, instruction, others) if others else instruction
    repeat = next(check for check in checks if check.kind == _REPEAT)
    phrase = repeat.phrase
    if rng.random() < 0.25 and " above" in phrase:
        phrase = phrase.replace(" above", " below")
        text = f"{_sentence(phrase)}\n\n{request}"
    else:
        text = request + rng.choice(("\n", "\n\n")) + _sentence(phrase)
    repeat = msgspec.structs.replace(repeat, params={"prompt_to_repeat": request}, phrase=phrase)
    return text, [repeat if check.kind == _REPEAT else check for check in checks]


def _sentence(phrase: str) -> str:
    """The phrasing, closed by a period where it would run into the next sentence."""
    closed = phrase.endswith((".", "!", "?", ":")) or phrase.endswith(('."', '!"', '?"', ".)", ".'"))
    return phrase if closed or "\n" in phrase else phrase + "."


def _open_ended(check: Check) -> bool:
    """Whether the phrasing ends in the very words that the reply has to use, without quotation marks."""
    return any(isinstance(value, str) and check.phrase.endswith(value) for value in check.params.values())


def _laid_out(rng: random.Random, instruction: str, checks: list[Check]) -> str:
    ordered = sorted(checks, key=_open_ended)
    phrases = [_sentence(check.phrase) for check in ordered]
    # Words to be used as they are, examples on lines of their own and input texts must not run into other text.
    loose = sum(map(_open_ended, ordered)) > 1 or any("\n" in phrase for phrase in phrases)
    has_input = "\n" in instruction
    layouts = [_on_lines, _as_list, _before_on_lines]
    if not loose:
        layouts += [_in_paragraph, _in_paragraph]
        layouts += [] if has_input else [_trailing, _trailing, _trailing, _trailing]
        if not any(map(_open_ended, ordered)):
            layouts += [_before, _around]
            layouts += [_in_parentheses] if not has_input and instruction[-1] in ".?!" else []
    if len(phrases) == 1 and _as_list in layouts:
        layouts.remove(_as_list)
    return rng.choice(layouts)(rng, instruction, phrases)


def _trailing(rng: random.Random, instruction: str, phrases: list[str]) -> str:
    lead = instruction if instruction[-1] in ".?!:\"')" else instruction + "."
    return " ".join([lead, *phrases])


def _in_paragraph(rng: random.Random, instruction: str, phrases: list[str]) -> str:
    return f"{instruction}\n\n{' '.join(phrases)}"


def _on_lines(rng: random.Random, instruction: str, phrases: list[str]) -> str:
    return instruction + rng.choice(("\n", "\n\n")) + "\n".join(phrases)


def _as_list(rng: random.Random, instruction: str, phrases: list[str]) -> str:
    mark = rng.choice(("- ", "- ", "(", "1"))
    lines = []
    for number, phrase in enumerate(phrases, 1):
        lead = {"- ": "- ", "(": f"({number}) ", "1": f"{number}. "}[mark]
        lines.append(lead + phrase.replace("\n", "\n   "))
    return f"{instruction}\n\n{rng.choice(_HEADERS)}\n" + "\n".join(lines)


def _before_on_lines(rng: random.Random, instruction: str, phrases: list[str]) -> str:
    return "\n".join(phrases) + "\n\n" + instruction


def _before(rng: random.Random, instruction: str, phrases: list[str]) -> str:
    return " ".join(phrases) + rng.choice(("\n\n", "\n")) + instruction


def _around(rng: random.Random, instruction: str, phrases: list[str]) -> str:
    after = "\n\n" + " ".join(phrases[1:]) if phrases[1:] else ""
    return f"{phrases[0]}\n\n{instruction}{after}"


def _in_parentheses(rng: random.Random, instruction: str, phrases: list[str]) -> str:
    return f"{instruction} ({' '.join(phrases)})"
