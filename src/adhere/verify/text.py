"""Words, sentences and paragraphs of a reply, counted as IFEval counts them."""

from __future__ import annotations

import re

from adhere.verify.languages import language_of
from adhere.verify.punkt import sentence_spans
from adhere.verify.word_tokens import capital_words, word_tokenize

__all__ = [
    "capital_words",
    "content_words",
    "language_of",
    "sentence_spans",
    "sentences",
    "word_tokenize",
    "words",
]

_WORD = re.compile(r"\w+")
_STOP_WORD_LIST = """
a about above after again all also am an and answer any are as ask at be because been before being below between
both but by can could create describe did do does doing down during each either else every explain few following for
from further generate get give given had has have having he her here hers him his how i if in include into is it its
itself just keep least less let like list make many may me might mine more most must my need no nor not of off on
once one only or other our out over own paragraph please provide question reply response same sentence sentences she
should show so some such suggest tell than that the their them then there these they this those three through to too
two under until up upon us use using very want was we were what when where which while who whom whose why will with
within word words would write written you your yours
"""
_STOP_WORDS = frozenset(_STOP_WORD_LIST.split())


def words(text: str) -> list[str]:
    """Maximal runs of word characters: "don't" is two words, "state-of-the-art" four."""
    return _WORD.findall(text)


def sentences(text: str) -> list[str]:
    """The sentences of a text by Punkt; see `adhere.verify.punkt`."""
    return [text[start:stop] for start, stop in sentence_spans(text)]


def content_words(text: str) -> list[str]:
    """The distinct words of a text that carry its subject: plain letters, four or more, no stop words, lower case."""
    found = dict.fromkeys(word.lower() for word in _WORD.findall(text) if word.isascii() and word.isalpha())
    return [word for word in found if len(word) > 3 and word not in _STOP_WORDS]
