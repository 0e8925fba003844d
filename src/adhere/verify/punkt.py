"""Sentence boundaries as the Punkt algorithm finds them (Kiss and Strunk 2006), with an English model of our own.

The decisions are those of NLTK's implementation, because published IFEval counts rest on it: a newline is ordinary
white space, "1. First" is two sentences, "e.g." ends one. Punkt's learnt tables are replaced by `english.py`: short
lists of abbreviations, sentence starters and ordinary words, and a rule on word endings for words not listed.
Everything here takes time linear in the text.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterator
from functools import lru_cache

from adhere.verify import english
from adhere.verify.sharing import SHARED

_CLOSED = r"[)\";}\]*:@'({\[?!]"
_RUN = r"(?:-{2,}|\.{2,}|(?:\.\s){2,}\.)"
_TOKEN = re.compile(
    rf"{_RUN}"
    rf"|(?=[^(\"`{{\[:;&#*@)}}\]\-,])\S+?(?=\s|$|{_CLOSED}|{_RUN}|,(?=$|\s|{_CLOSED}|{_RUN}))"
    r"|\S"
)
_CANDIDATE = re.compile(rf"[.?!](?=(?P<after>{_CLOSED}|\s+(?P<next>\S+)))")
_CLOSERS = re.compile(r"[\"')\]}]+?(?:\s+|(?=--)|$)", re.MULTILINE)
_PLAIN_WORD = re.compile(r"[^\W\d_]{2,}+([.?!])\s")
_ELLIPSIS = re.compile(r"\.\.+$")
_NUMBER = re.compile(r"-?[.,]?\d[\d,.\-]*\.?$")
_INITIAL = re.compile(r"[^\W\d]\.$")
_NUMBER_TYPE = "##number##"


def _bare_type(token: str) -> str:
    """The type of a token: lower case, numbers as one class, a final period dropped."""
    kind = _NUMBER_TYPE if _NUMBER.match(token) else token.lower()
    return kind[:-1] if len(kind) > 1 and kind.endswith(".") else kind


def _breaks_alone(token: str) -> tuple[bool, bool]:
    """Whether a token ends a sentence when only the token itself is looked at, and whether it is an abbreviation."""
    if token in (".", "?", "!"):
        return True, False
    if not token.endswith(".") or token.endswith(".."):
        return False, False
    stem = token[:-1].lower()
    short = stem in english.ABBREVIATIONS or stem.rsplit("-", 1)[-1] in english.ABBREVIATIONS
    return not short, short


def _next_type(token: str) -> str:
    kind = _NUMBER_TYPE if _NUMBER.match(token) else token.lower()
    return _bare_type(token) if _breaks_alone(token)[0] else kind


def _starts_sentence(token: str) -> bool | None:
    """Whether a token looks like the first of a sentence by its case; None when the case says nothing."""
    if token in (";", ":", ",", ".", "!", "?"):
        return False
    kind = _next_type(token)
    if token[0].isupper():
        return True if english.is_ordinary(kind) and not english.is_name_part(kind) else None
    return False if token[0].islower() else None


def _ends_before(token: str, following: str) -> bool:
    """Whether a sentence ends between two neighbouring tokens of a candidate context."""
    breaks, short = _breaks_alone(token)
    if not token.endswith("."):
        return breaks
    initial = bool(_INITIAL.match(token))
    kind, next_kind = _bare_type(token), _next_type(following)
    capital = following[0].isupper()
    starts = _starts_sentence(following)
    may_end = (short or _ELLIPSIS.match(token)) and not initial
    if may_end and (starts or (capital and next_kind in english.STARTERS)):
        return True
    if initial or kind == _NUMBER_TYPE:
        if starts is False:
            return False
        if starts is None and initial and capital and not english.is_ordinary(next_kind):
            return False
    return breaks


def _contexts(text: str) -> Iterator[tuple[re.Match[str], str]]:
    """Each possible end with the word before and after it; of overlapping ones the last."""
    start = stop = 0
    previous: re.Match[str] | None = None
    for match in _CANDIDATE.finditer(text):
        space = _last_space(text, stop, match.start())
        word_start = space + 1 if space > stop else start
        if previous is not None and stop <= word_start:
            yield previous, text[start:stop] + previous.group() + previous["after"]
        previous, start, stop = match, word_start, match.start()
    if previous is not None:
        yield previous, text[start:stop] + previous.group() + previous["after"]


def _last_space(text: str, start: int, stop: int) -> int:
    """Position of the last ASCII white space in `text[start:stop]`, or -1."""
    return next((at for at in range(stop - 1, start - 1, -1) if text[at] in string.whitespace), -1)


def _contains_break(context: str) -> bool:
    """Whether a sentence ends inside the context, before its last token."""
    plain = _PLAIN_WORD.match(context)
    if plain and (plain[1] != "." or context[: plain.start(1)].lower() not in english.ABBREVIATIONS):
        return True  # what nearly all sentences end in: a word of letters, a mark and white space
    tokens = [token for line in context.split("\n") for token in _TOKEN.findall(line)]
    return any(_ends_before(token, tokens[at + 1]) for at, token in enumerate(tokens[:-1]))


def _cuts(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    for match, context in _contexts(text):
        if _contains_break(context):
            yield start, match.end()
            start = match.start("next") if match["next"] else match.end()
    yield start, len(text.rstrip())


@lru_cache(maxsize=SHARED)
def sentence_spans(text: str) -> tuple[tuple[int, int], ...]:
    """Half-open character ranges of the sentences; closing quotes and brackets stay with the sentence they close."""
    cuts = list(_cuts(text))
    spans: list[tuple[int, int]] = []
    moved = 0
    for at, (start, stop) in enumerate(cuts):
        begin = start + moved
        closers = None
        if at + 1 < len(cuts):
            next_start, next_stop = cuts[at + 1]
            closers = _CLOSERS.match(text, next_start, next_stop) if next_start < next_stop else None
        if closers is not None:
            spans.append((begin, next_start + len(closers.group().rstrip())))
            moved = closers.end() - next_start
            continue
        moved = 0
        if begin < stop:
            spans.append((begin, stop))
    return tuple(spans)
