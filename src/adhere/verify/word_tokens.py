"""Tokens by the rules of the Penn Treebank as NLTK's `word_tokenize` applies them, which IFEval counts capitals with.

The rules rewrite the text one after another, so their order is part of the meaning: opening quotes, punctuation,
brackets, dashes, closing quotes, clitics, old contractions. A text is first split into sentences, because only a
period at the end of a sentence is split off its word.
"""

from __future__ import annotations

import re
from functools import lru_cache

from adhere.verify.punkt import sentence_spans
from adhere.verify.sharing import SHARED

_Rules = tuple[tuple[re.Pattern[str], str], ...]

_OPENING: _Rules = (
    (re.compile(r"[«“‘„]|`+"), r" \g<0> "),
    (re.compile(r'^"'), "``"),
    (re.compile(r"``"), r" \g<0> "),
    (re.compile(r"([ (\[{<])(?:\"|'{2})"), r"\1 `` "),
    (re.compile(r"'(?!re|ve|ll|m|t|s|d|n)(\w)\b", re.IGNORECASE), r"' \1"),
)
_PUNCTUATION: _Rules = (
    (re.compile(r"([^.])(\.)([\])}>\"'»”’ ]*+)\s*+$"), r"\1 \2 \3 "),
    (re.compile(r"([:,])([^\d])"), r" \1 \2"),
    (re.compile(r"[:,]$"), r" \g<0> "),
    (re.compile(r"\.{2,}"), r" \g<0> "),
    (re.compile(r"[;@#$%&]"), r" \g<0> "),
    (re.compile(r"([^.])(\.)([\])}>\"']*+)\s*+$"), r"\1 \2\3 "),
    (re.compile(r"[?!]"), r" \g<0> "),
    (re.compile(r"([^'])' "), r"\1 ' "),
    (re.compile(r"\*"), r" * "),
    (re.compile(r"[\]\[(){}<>]"), r" \g<0> "),
    (re.compile(r"--"), r" -- "),
)
_CLOSING: _Rules = (
    (re.compile(r"[»”’]"), r" \g<0> "),
    (re.compile(r"''"), " '' "),
    (re.compile(r'"'), " '' "),
    (re.compile(r"\s+"), " "),
    (re.compile(r"([^' ])('[sSmMdD]|') "), r"\1 \2 "),
    (re.compile(r"([^' ])('ll|'LL|'re|'RE|'ve|'VE|n't|N'T) "), r"\1 \2 "),
    (re.compile(r"\b(can)(not)\b", re.IGNORECASE), r" \1 \2 "),
    (re.compile(r"\b(d)('ye)\b", re.IGNORECASE), r" \1 \2 "),
    (re.compile(r"\b(gim|lem)(me)\b", re.IGNORECASE), r" \1 \2 "),
    (re.compile(r"\b(gon)(na)\b", re.IGNORECASE), r" \1 \2 "),
    (re.compile(r"\b(got)(ta)\b", re.IGNORECASE), r" \1 \2 "),
    (re.compile(r"\b(more)('n)\b", re.IGNORECASE), r" \1 \2 "),
    (re.compile(r"\b(wan)(na)(?=\s)", re.IGNORECASE), r" \1 \2 "),
    (re.compile(r" ('t)(is|was)\b", re.IGNORECASE), r" \1 \2 "),
)


def _tokens_of_sentence(sentence: str) -> list[str]:
    text = sentence
    for pattern, replacement in _OPENING + _PUNCTUATION:
        text = pattern.sub(replacement, text)
    text = f" {text} "
    for pattern, replacement in _CLOSING:
        text = pattern.sub(replacement, text)
    return text.split()


@lru_cache(maxsize=SHARED)
def word_tokenize(text: str) -> tuple[str, ...]:
    """The tokens of a text, punctuation marks and clitics being tokens of their own."""
    return tuple(token for start, stop in sentence_spans(text) for token in _tokens_of_sentence(text[start:stop]))


@lru_cache(maxsize=SHARED)
def capital_words(text: str) -> tuple[str, ...]:
    """Tokens written all in capitals: "I", "NASA", "U.S.A." and "3D" count, "2024" does not.

    They are found part by part between spaces, since no rule makes more or fewer of them across a space; only parts
    with a capital letter are looked at.
    """
    found: list[str] = []
    for start, stop in sentence_spans(text):
        parts = text[start:stop].split(" ")
        for at, part in enumerate(parts, 1):
            if part != part.lower():
                found += _capitals_of_part(part, at == len(parts))
    return tuple(found)


@lru_cache(maxsize=4096)
def _capitals_of_part(part: str, is_last: bool) -> tuple[str, ...]:
    """The tokens in capitals of what stands between two spaces; a sentence's last period is split off its last part."""
    return tuple(token for token in _tokens_of_sentence(part if is_last else f"{part} _") if token.isupper())
