"""Bringing a reply to what a counting type asks for, without new words: by regrouping, leaving out, joining."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence

from adhere.verify.families.extent_repair import thinned_to, words_of
from adhere.verify.pieces import is_list_item
from adhere.verify.rewriting import drop_sentences
from adhere.verify.units import (
    Span,
    is_headline,
    letter_count,
    line_ranges,
    sentence_ranges,
    word_spans,
    words_in,
)

_MOST_SENTENCES = 2000
_WORDS_PER_LINE = (8, 7, 9, 6, 10, 5, 11, 4)
_JOINED = r"The|This|These|That|Those|It|They|We|You|He|She|There|A|An|But|And|So|Some|Many|Most|Even|Then"
_JOINABLE = re.compile(rf"(?<=[a-z]{{2}})\. +(?=(?:{_JOINED}) )")
_CUTTABLE = re.compile(r"[;；] *(?=[a-z])")
_ASIDE = re.compile(r"[^\S\n]?(?<!\])\([^()]*\)")


def is_prose(reply: str) -> bool:
    """Whether a reply has no list items, headings, titles or drawn rules."""
    lines = (reply[start:stop] for start, stop in line_ranges(reply))
    return not any(is_list_item(line) or is_headline(line) for line in lines)


def in_even_paragraphs(reply: str, each: int) -> str | None:
    """The prose in paragraphs of `each` sentences; up to a third of them is left out at the end, to come out even."""
    if not is_prose(reply):
        return None
    texts = [" ".join(reply[start:stop].split()) for start, stop in sentence_ranges(reply)]
    kept = len(texts) // each * each
    if not kept or 3 * kept < 2 * len(texts):
        return None
    return "\n\n".join(" ".join(texts[at : at + each]) for at in range(0, kept, each))


def in_order_of_length(reply: str, longer: bool) -> str | None:
    """The prose without the sentences that break the order, or None where more than half of the words would go."""
    spans = sentence_ranges(reply)
    if not is_prose(reply) or len(spans) > _MOST_SENTENCES:
        return None
    counts = words_in(reply, spans)
    kept = _longest_rise([count if longer else -count for count in counts])
    if 2 * sum(counts[at] for at in kept) < sum(counts):
        return None
    return " ".join(" ".join(reply[slice(*spans[at])].split()) for at in kept)


def _longest_rise(counts: Sequence[int]) -> list[int]:
    """Positions of a longest strictly rising run of counts, by patience sorting."""
    tops: list[int] = []
    top_at: list[int] = []
    before: list[int] = []
    for at, count in enumerate(counts):
        pile = bisect_left(tops, count)
        before.append(top_at[pile - 1] if pile else -1)
        if pile == len(tops):
            tops.append(count)
            top_at.append(at)
        else:
            tops[pile], top_at[pile] = count, at
    found = []
    at = top_at[-1] if top_at else -1
    while at >= 0:
        found.append(at)
        at = before[at]
    return found[::-1]


def in_even_lines(reply: str, least: int) -> str | None:
    """The prose in lines of equally many words, at least so many lines; sentences are left out to come out even."""
    if not is_prose(reply):
        return None
    total = words_of(reply)
    for each in _WORDS_PER_LINE:
        if each * least > total:
            continue
        text = thinned_to(reply, range(each * least, total + 1, each))
        if text is not None and 3 * words_of(text) >= 2 * total:
            return _broken(text, [each] * (words_of(text) // each))
    return None


def in_pattern(reply: str, pattern: Sequence[int]) -> str | None:
    """The prose in lines of these numbers of words; sentences are left out to come out even."""
    text = thinned_to(reply, range(sum(pattern), sum(pattern) + 1)) if is_prose(reply) else None
    return None if text is None else _broken(text, pattern)


def _broken(text: str, pattern: Sequence[int]) -> str:
    """The text on one line, broken again so that the lines have these numbers of words."""
    flat = " ".join(text.split())
    spans: Sequence[Span] = word_spans(flat)
    starts, used = [0], 0
    for each in pattern[:-1]:
        used += each
        starts.append(spans[used][0] if used < len(spans) else len(flat))
    stops = [*starts[1:], len(flat)]
    return "\n".join(flat[start:stop].strip() for start, stop in zip(starts, stops, strict=True))


def without_long_words(reply: str, most: int) -> str | None:
    """The reply without the sentences that hold a longer word."""
    return drop_sentences(reply, lambda piece: any(letter_count(piece[a:b]) > most for a, b in word_spans(piece)))


def without_asides(reply: str, wanted: int) -> str | None:
    """The reply with the surplus of parentheses left out, what stands in them included; nothing is put in."""
    found = [aside.span() for aside in _ASIDE.finditer(reply)]
    if len(found) <= wanted:
        return None
    return _replaced(reply, [(span, "") for span in found[wanted:]])


def with_semicolons(reply: str, wanted: int) -> str | None:
    """The reply with semicolons made into periods, or periods between short sentences into semicolons."""
    missing = wanted - len(re.findall("[;；]", reply))
    if missing > 0:
        places = [found.span() for found in _JOINABLE.finditer(reply)][:missing]
        changes = [((start, stop + 1), f"; {reply[stop].lower()}") for start, stop in places]
    else:
        cuts = [found.span() for found in _CUTTABLE.finditer(reply)]
        places = cuts[len(cuts) + missing :] if len(cuts) >= -missing else []
        changes = [((start, stop + 1), f". {reply[stop].upper()}") for start, stop in places]
    return _replaced(reply, changes) if len(places) == abs(missing) else None


def _replaced(text: str, changes: Sequence[tuple[Span, str]]) -> str:
    done, at = [], 0
    for (start, stop), new in changes:
        done += [text[at:start], new]
        at = stop
    return "".join([*done, text[at:]])
