"""Parameters that say something else than the prompt they stand for, as IFEval's file has some.

Only what the prompt itself states without a second reading is corrected, and by grammar, never by a row's key: a number
that the prompt does not hold where it gives another one for the same thing; a bound that is off by one ("at most 150"
checked as "less than 150"); a keyword left out of a quoted list; a request to repeat that takes in the sentence asking
for the repetition. All else stays as it is, contradictions included: those are for the audit of prompts to report.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from adhere.core.record import Check
from adhere.verify.text import sentences

_WORDS = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
_NUMBERS = {word: number for number, word in enumerate(_WORDS.split())} | {"twenty": 20, "once": 1, "twice": 2}
_NUMBER = r"(?P<number>\d{1,3}(?:,\d{3})+|\d{1,7}|" + "|".join(_NUMBERS) + r")"
# Each bound as it is said before a number, with IFEval's relation and what to add to the number.
_BOUNDS = {
    r"at least|no fewer than|no less than|a minimum of": ("at least", 0),
    r"more than": ("at least", 1),
    r"less than|fewer than": ("less than", 0),
    r"at most|no more than|up to|a maximum of": ("less than", 1),
    r"exactly": ("exactly", 0),
}
_AFTERWARDS = {"more": ("at least", 0), "less": ("less than", 1), "fewer": ("less than", 1)}
_NEGATED = re.compile(r"(?:\bnot|n't|\bnever|\bwithout)\s+(?:\w+\s+){0,2}$", re.IGNORECASE)
_DISTRIBUTED = re.compile(r"\b(?:each|every|per)\b", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+|\n")


class _Count(NamedTuple):
    """How a type's count is told: its parameters, the unit in words, and what its sentence has to mention."""

    number: str
    relation: str | None
    unit: str
    about: str = ""


_COUNTS = {
    "length_constraints:number_words": _Count("num_words", "relation", r"words?(?! (?:in|with|of) (?:all )?cap)"),
    "length_constraints:number_sentences": _Count("num_sentences", "relation", r"sentences?"),
    "length_constraints:number_paragraphs": _Count("num_paragraphs", None, r"paragraphs?"),
    "detectable_content:number_placeholders": _Count("num_placeholders", "at least", r"placeholders?"),
    "detectable_format:number_bullet_lists": _Count("num_bullets", None, r"bullets?(?: points?)?"),
    "detectable_format:number_highlighted_sections": _Count(
        "num_highlights", "at least", r"(?:\w+ )?(?:sections?|parts?|phrases?)", r"highlight|italic"
    ),
    "change_case:capital_word_frequency": _Count(
        "capital_frequency", "capital_relation", r"(?:times|words)", r"capital|all[- ]caps"
    ),
    "keywords:frequency": _Count("frequency", "relation", r"times", r"\b{keyword}\b"),
    "keywords:letter_frequency": _Count("let_frequency", "let_relation", r"times", r"(?<!\w){letter}(?!\w)"),
}


def mended_checks(prompt: str, checks: Sequence[Check]) -> tuple[Check, ...]:
    """The checks with the parameters that the prompt states otherwise corrected; the others as they are."""
    asked = Counter((check.kind, _relation(check)) for check in checks)
    return tuple(_mended(prompt, check) if asked[check.kind, _relation(check)] == 1 else check for check in checks)


def _relation(check: Check) -> str:
    """The relation of a count, so that a range given as two checks is told from a doubled one."""
    return next((str(value) for key, value in check.params.items() if key.endswith("relation")), "")


def _mended(prompt: str, check: Check) -> Check:
    if check.kind in _COUNTS:
        return _with_count(prompt, check, _COUNTS[check.kind])
    if check.kind in ("keywords:existence", "keywords:forbidden_words"):
        return _with_keywords(prompt, check)
    if check.kind == "combination:repeat_prompt":
        return _with_request(prompt, check)
    return check


def _with(check: Check, key: str, value: object) -> Check:
    return msgspec.structs.replace(check, params={**check.params, key: value})


# ---------------------------------------------------------------- counts


def _with_count(prompt: str, check: Check, count: _Count) -> Check:
    coded = check.params.get(count.number)
    if not isinstance(coded, int | float) or not float(coded).is_integer():
        return check
    # A type without a relation of its own asks for exactly so many, or for at least so many.
    relation = check.params.get(count.relation) if count.relation in check.params else count.relation or "exactly"
    about = count.about
    for key in ("keyword", "letter"):
        about = about.replace(f"{{{key}}}", re.escape(str(check.params.get(key) or "\0")))
    stated = {found for found in _statements(prompt, count.unit, about) if found[0] == relation}
    if len(stated) != 1:
        return check
    ((_, bound, written),) = stated
    if abs(written - coded) > 1 and _mentions(prompt, int(coded)):
        return check  # the prompt holds the number in other words, and what was found may be about something else
    return _with(check, count.number, bound)


def _statements(prompt: str, unit: str, about: str) -> Iterator[tuple[str, int, int]]:
    """Bounds on the unit that the prompt states plainly: relation, bound, and the number as it is written."""
    number = rf"(?<![\w.,]){_NUMBER}"
    for sentence in _SENTENCE_END.split(prompt):
        if _DISTRIBUTED.search(sentence) or not re.search(about, sentence, re.IGNORECASE):
            continue
        times = r"(?:(?<=once)|(?<=twice)|\s+" + unit + r")\b" if unit == "times" else rf"\s+{unit}\b"
        for said, (relation, more) in _BOUNDS.items():
            for found in re.finditer(rf"\b(?:{said})\s+{number}{times}", sentence, re.IGNORECASE):
                if not _NEGATED.search(sentence[max(found.start() - 40, 0) : found.start()]):
                    yield relation, _value(found) + more, _value(found)
        later = rf"{number}(?:\s+or\s+(?P<way>more|less|fewer)\s+{unit}|(?P<plus>\+)\s*{unit}|"
        later += rf"\s+{unit}\s+or\s+(?P<after>more|less|fewer))\b"
        for found in re.finditer(later, sentence, re.IGNORECASE):
            relation, more = _AFTERWARDS[(found["way"] or found["after"] or "more").lower()]
            yield relation, _value(found) + more, _value(found)


def _value(found: re.Match[str]) -> int:
    said = found["number"].lower()
    return _NUMBERS[said] if said in _NUMBERS else int(said.replace(",", ""))


def _mentions(prompt: str, number: int) -> bool:
    """Whether the prompt holds the number or a neighbour of it, in digits or in words."""
    near = (number - 1, number, number + 1)
    found = re.findall(rf"(?<![\w.,]){_NUMBER}(?!\w)", prompt, re.IGNORECASE)
    said = [_NUMBERS.get(one.lower()) if not one[0].isdigit() else int(one.replace(",", "")) for one in found]
    return any(one in near for one in said)


# ---------------------------------------------------------------- keywords

_QUOTED = r"[\"'“‘]([^\"'“”‘’\n]{1,40})[\"'”’]"
_JOINT = r"(?:\s*,\s*(?:and\s+|or\s+)?|\s+(?:and|or)\s+)"
_QUOTED_LIST = re.compile(rf"\bkeywords?:?\s+(?P<list>{_QUOTED}(?:{_JOINT}{_QUOTED})+)")
_FORBIDDING = re.compile(r"\b(?:not|avoid\w*|exclud\w*|without|never|refrain)\b|n't\b", re.IGNORECASE)


def _with_keywords(prompt: str, check: Check) -> Check:
    """A list of keywords all quoted in the prompt is the whole list, where the check has a part of it."""
    key = "keywords" if check.kind == "keywords:existence" else "forbidden_words"
    given = check.params.get(key)
    if not isinstance(given, list | tuple):
        return check
    coded = [str(word).lower() for word in given]
    lists = []
    for sentence in _SENTENCE_END.split(prompt):
        if bool(_FORBIDDING.search(sentence)) == (key == "forbidden_words"):
            lists += [re.findall(_QUOTED, found["list"]) for found in _QUOTED_LIST.finditer(sentence)]
    fuller = [words for words in lists if set(coded) < {word.lower() for word in words}]
    return _with(check, key, fuller[0]) if len(fuller) == 1 else check


# ---------------------------------------------------------------- the request to repeat

_REPEAT = re.compile(r"\brepeat", re.IGNORECASE)
_REPEAT_THIS = re.compile(r"\brepeat:?\s+[\"“](?P<request>[^\"“”\n]{12,})[\"”]", re.IGNORECASE)
_FIRST_LINE = re.compile(r"\brepeat\s+the\s+(?:entire\s+|whole\s+)?first\s+line\b", re.IGNORECASE)
_FIRST_SENTENCES = re.compile(rf"\bonly\s+contains\s+the\s+first\s+{_NUMBER}\s+sentences\b", re.IGNORECASE)


def _with_request(prompt: str, check: Check) -> Check:
    coded = check.params.get("prompt_to_repeat")
    if not isinstance(coded, str):
        return check
    request = _stated_request(prompt)
    given = _plain(coded)
    if request is None or given == _plain(request) or (given in _plain(prompt) and not _REPEAT.search(coded)):
        return check
    return _with(check, "prompt_to_repeat", request)


def _stated_request(prompt: str) -> str | None:
    """What the prompt asks to have repeated: a quoted request, its first line, or all but the asking itself."""
    quoted = _REPEAT_THIS.search(prompt)
    if quoted:
        return quoted["request"]
    first_line = prompt.strip().partition("\n")[0]
    if _FIRST_LINE.search(prompt):
        return first_line.strip()
    few = _FIRST_SENTENCES.search(prompt)
    if few:
        return " ".join(sentences(first_line)[: _value(few)])
    asking = [found.start() for found in re.finditer(r"(?m)^.*\brepeat.*$", prompt, re.IGNORECASE)]
    if not asking:
        return None
    above = prompt[: asking[0]].strip()
    if above:
        return above
    below = re.split(r"\n[^\S\n]*\n", prompt.strip(), maxsplit=1)[1:]
    return below[0].strip() if below and not _REPEAT.search(below[0]) else None


def _plain(text: str) -> str:
    return " ".join(text.lower().split())
