"""Where in a reply something stands: half-open character ranges, the first of them kept, all of them counted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice

MOST_SPANS = 1000
"""Spans that a verdict holds at most: more would weigh more than the reply, and no page can show them."""

WORD = re.compile(r"\w+")
SAID = re.compile(r"[^\W_]")
"""A letter or a digit: what a text without any says nothing."""

Spans = tuple[tuple[int, int], ...]


def first_spans(spans: Iterable[tuple[int, int]]) -> Spans:
    """The first spans, `MOST_SPANS` at most; the rest is not looked at."""
    return tuple(islice(spans, MOST_SPANS))


def counted_spans(found: Iterable[re.Match[str]]) -> tuple[int, Spans]:
    """How many matches there are, and where the first ones stand. One pass, however many there are."""
    matches = iter(found)
    spans = [match.span() for match in islice(matches, MOST_SPANS)]
    return len(spans) + sum(1 for _ in matches), tuple(spans)


def says_something(text: str, start: int = 0, stop: int | None = None) -> bool:
    """Whether a letter or digit stands between the two positions."""
    return SAID.search(text, start, len(text) if stop is None else stop) is not None


def lines_with_places(text: str) -> Iterator[tuple[int, str]]:
    """Each line with the position where it starts, without its line break; `\\r\\n` counts as one break."""
    start = 0
    for line in text.split("\n"):
        yield start, line.removesuffix("\r")
        start += len(line) + 1
