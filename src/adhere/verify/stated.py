"""Numbers that a prompt states: `at least 300 words`, `5 or 6 sentences`, `appears more than twice`.

Made for auditing, so it prefers to say nothing: a number under a negation, behind `about` or without any relation is
vague, and whatever is vague can agree with a check but never contradict one by a relation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

_SMALL = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]
_WORDS = {word: value for value, word in enumerate(_SMALL)} | {
    "thirty": 30,
    "forty": 40,
    "fifty": 50,
    "sixty": 60,
    "hundred": 100,
    "once": 1,
    "twice": 2,
    "thrice": 3,
    "single": 1,
}
ADVERBS = ("once", "twice", "thrice")
_NUMBER = r"(?:\d{1,3}(?:,\d{3})+|\d{1,9}|" + "|".join(sorted(_WORDS, key=len, reverse=True)) + ")"
# Longer phrases first: `no more than` must not be read as `more than`.
_RELATIONS = {
    "at most": r"no more than|not more than|not exceed(?:ing)?|at most|(?:a )?maximum(?: of)?|up to|no longer than|"
    r"not longer than|no greater than",
    "at least": r"no less than|no fewer than|not less than|not fewer than|at least|(?:a )?minimum(?: of)?|"
    r"no shorter than",
    "more than": r"more than|greater than|longer than|over|above|exceed(?:ing|s)?",
    "less than": r"less than|fewer than|shorter than|under|below",
    "exactly": r"exactly|precisely|only|just",
    "between": r"between|(?:in the )?range of|from",
    "about": r"about|around|approximately|roughly|nearly|almost",
}
_BEFORE = "|".join(f"(?P<{name.replace(' ', '_')}>{pattern})" for name, pattern in _RELATIONS.items())
_AFTER = (
    r"(?P<or_more>or more|or above|or longer|and above|at (?:the )?least|minimum)|"
    r"(?P<or_less>or less|or fewer|or below|or shorter|at (?:the )?most|maximum|tops)"
)
_EXPRESSION = re.compile(
    rf"(?:\b(?:{_BEFORE})\s+)?(?:a total of\s+|the\s+)?(?<![\w.,/:#-])(?P<low>{_NUMBER})(?![\w]|[.,:/]\d)"
    rf"(?P<plus>\s?\+)?(?:\s*(?P<joint>-|–|—|to|or|and)\s*(?P<high>{_NUMBER})(?![\w]|[.,:/]\d))?"
    rf"(?:\s+(?:{_AFTER})(?!\w))?",
    re.IGNORECASE,
)
_NEGATION = re.compile(r"(?:\b(?:not|never|no|without|avoid|nor|cannot)|n['’]t)\b[^.!?;,\n]{0,40}$", re.IGNORECASE)
_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”)]*\s+|\n+")


class Stated(msgspec.Struct, frozen=True):
    """A number in a prompt: from `low` to `high` (None: no bound), where it stands, and whether that is vague."""

    low: int | None
    high: int | None
    start: int
    stop: int
    vague: bool = False
    exact: bool = False


def sentences_of(prompt: str) -> Iterator[tuple[int, int]]:
    """The half-open ranges of the prompt's sentences and lines."""
    start = 0
    for end in _SENTENCE_END.finditer(prompt):
        yield start, end.start()
        start = end.end()
    yield start, len(prompt)


def stated_numbers(prompt: str, start: int = 0, stop: int | None = None) -> Iterator[Stated]:
    """Every number stated in a range of the prompt, with its relation."""
    for found in _EXPRESSION.finditer(prompt, start, len(prompt) if stop is None else stop):
        yield _stated(found, prompt, start)


def _stated(found: re.Match[str], prompt: str, start: int) -> Stated:
    value = _value(found["low"])
    begin, end = found.span()
    high = None if found["high"] is None else _value(found["high"])
    if high is not None and (found["joint"].lower() != "and" or found["between"]) and value < high:
        return Stated(value, high, begin, end)
    if high is not None:  # two numbers side by side that are no range: the first one stands for itself
        end = found.end("plus") if found["plus"] else found.end("low")
    relation = next((name for name in _RELATIONS if found[name.replace(" ", "_")]), "")
    if _NEGATION.search(prompt, max(start, begin - 60), begin) or relation in ("about", "between"):
        return Stated(value, value, begin, end, vague=True)
    if relation == "at least" or found["plus"] or found["or_more"]:
        return Stated(value, None, begin, end)
    if relation == "at most" or found["or_less"]:
        return Stated(None, value, begin, end)
    if relation == "more than":
        return Stated(value + 1, None, begin, end)
    if relation == "less than":
        return Stated(None, value - 1, begin, end)
    return Stated(value, value, begin, end, vague=relation != "exactly", exact=relation == "exactly")


def _value(text: str) -> int:
    return _WORDS[text.lower()] if text.lower() in _WORDS else int(text.replace(",", ""))
