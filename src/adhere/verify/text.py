"""Words, sentences and paragraphs of a reply, counted as IFEval counts them."""

from __future__ import annotations

import re

from adhere.verify.languages import language_of
from adhere.verify.punkt import sentence_spans
from adhere.verify.word_tokens import capital_words, word_tokenize

__all__ = [
    "capital_words",
    "carries_meaning",
    "content_words",
    "language_of",
    "sentence_spans",
    "sentences",
    "word_tokenize",
    "words",
]

_WORD = re.compile(r"\w+")
_STOP_WORD_LIST = """
a about above across after again against all along also although always am among an and answer any anybody anyone
anything are around as ask at away be because been before being below between both but by can cannot comes could
create describe did do does doing done down during each either else ever every everybody everyone everything explain
few find finds following for from further gave generate get give given gives go goes going had has have having he
her here hers him his how however i if in include into is it its itself just keep kind least less let like list
looks made make makes many may me means might mine more most much must my name names near need never next no nor not
nothing now of off often on once one only onto or other our out over own paragraph per please provide put question
rather really reply response said same say says see sentence sentences shall she should show since so some somebody
someone something still such suggest sure take takes tell tells than that the their them then there these they thing
things this those though three through to too toward two under until up upon us use using very want wants was way we
well were what when where whether which while who whom whose why will with within without word words would write
written yes yet you your yours
"""
_STOP_WORDS = frozenset(_STOP_WORD_LIST.split())


def words(text: str) -> list[str]:
    """Maximal runs of word characters: "don't" is two words, "state-of-the-art" four."""
    return _WORD.findall(text)


def sentences(text: str) -> list[str]:
    """The sentences of a text by Punkt; see `adhere.verify.punkt`."""
    return [text[start:stop] for start, stop in sentence_spans(text)]


def carries_meaning(word: str, shortest: int = 4) -> bool:
    """Whether a word says something of its subject: long enough, and no stop word."""
    return len(word) >= shortest and word.lower() not in _STOP_WORDS


def content_words(text: str) -> list[str]:
    """The distinct words of a text that carry its subject, lower case: plain letters only, see `carries_meaning`."""
    found = dict.fromkeys(word.lower() for word in _WORD.findall(text) if word.isascii() and word.isalpha())
    return [word for word in found if carries_meaning(word)]
