"""Rules for letters and marks: at least or fewer than so many times, or not at all."""

from __future__ import annotations

import itertools
import re

from adhere.verify.finding.cues import DENIED_BEHIND, QTY, bounded, nearest, quantity, relations, requests
from adhere.verify.finding.found import Findings
from adhere.verify.finding.reading import Reading, Sentence

_LETTER = re.compile(
    r"\b(?:letters?|characters?|alphabet)\b(?: of| :)? ?(?:«(?P<quote>\d+)»|(?P<plain>[^\W\d_]|[#!@$%&?+])(?= |$))"
    r"|«(?P<quote2>\d+)» (?:is|as|should be|must be) a letter\b|(?:every|all) «(?P<quote3>\d+)» in"
    r"|«(?P<quote4>\d+)» (?:should|must|has to) be among them"
)
_MORE_LETTERS = re.compile(r"(?: ,)? (?:and|or|,) (?:the letter )?(?:«(?P<quote>\d+)»|(?P<plain>[^\W\d_])(?= |$))")


_LETTER_BANNED = re.compile(
    r"\b(?:not|never|without|avoid\w*|refrain\w*|no|exclud\w*|omit\w*|except)\b(?: (?!first|last|capital)\S+){0,6} $"
)
_MARK_NAMES = {"hashtag": "#", "hash tag": "#", "exclamation mark": "!", "exclamation point": "!", "question mark": "?"}
_MARK_COUNTED = re.compile(rf"{QTY} (?:or more )?(?P<name>{'|'.join(_MARK_NAMES)})s?\b")


def _marks(reading: Reading) -> Findings:
    """A mark at least or fewer than so many times: to the letter counter it is a character like any other."""
    for sentence in requests(reading, "|".join(_MARK_NAMES)):
        for match in _MARK_COUNTED.finditer(sentence.form):
            for relation, count in relations(quantity(reading, match.group(1))):
                params = {"letter": _MARK_NAMES[match.group("name")], "let_relation": relation, "let_frequency": count}
                yield "keywords:letter_frequency", params, reading.clause(sentence, *match.span()), 0.9


def letter_frequency(reading: Reading) -> Findings:
    """A letter at least or fewer than so many times, or not at all."""
    yield from _marks(reading)
    for sentence in requests(reading, r"\bletters?\b|\bcharacters?\b"):
        amounts = [(match, found) for match, found in bounded(reading, sentence) if _of_letters(sentence.form, match)]
        for match in _LETTER.finditer(sentence.form):
            amount = nearest(amounts, match.start(), match.end())
            if amount is not None:
                first, last = min(match.start(), amount[0].start()), max(match.end(), amount[0].end())
                yield from _said_of(reading, sentence, match, relations(amount[1]), (first, last))
            elif _banned(sentence.form, match):
                yield from _said_of(reading, sentence, match, [("less than", 1)], match.span())


def _said_of(
    reading: Reading,
    sentence: Sentence,
    match: re.Match[str],
    limits: list[tuple[str, int]],
    where: tuple[int, int],
) -> Findings:
    """The same limits for the letter that was named, and for a second one after "letters"."""
    letters = [_letter(reading, match)]
    more = _MORE_LETTERS.match(sentence.form, match.end())
    if more and match.group().startswith("letters"):
        letters.append(_letter(reading, more))
    span = reading.clause(sentence, *where)
    for letter, (relation, count) in itertools.product(letters, limits):
        if len(letter) == 1:
            params = {"letter": letter, "let_relation": relation, "let_frequency": count}
            yield "keywords:letter_frequency", params, span, 1.0


def _banned(form: str, match: re.Match[str]) -> bool:
    """Whether a letter is not to be used at all."""
    before, behind = form[max(match.start() - 60, 0) : match.start()], form[match.end() : match.end() + 60]
    denied = _LETTER_BANNED.search(before) or DENIED_BEHIND.match(behind)
    return bool(denied) and "‹" not in behind[:40]


def _letter(reading: Reading, match: re.Match[str]) -> str:
    named = {key: value for key, value in match.groupdict().items() if value is not None}
    if "plain" in named:
        return named["plain"].lower()
    return reading.quotes[int(next(iter(named.values())))].text.strip().lower()


def _of_letters(form: str, match: re.Match[str]) -> bool:
    return not re.match(
        r" (?:words?|sentences?|paragraphs?|lines?|sections?|bullet)\b", form[match.end() : match.end() + 12]
    )
