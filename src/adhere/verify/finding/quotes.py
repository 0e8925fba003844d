"""Quotations in an instruction: words that are mentioned, such as a keyword or the phrase to end with."""

from __future__ import annotations

import re
from bisect import bisect_right

import msgspec

_STRAIGHT = str.maketrans({"“": '"', "”": '"', "„": '"', "«": '"', "»": '"', "‘": "'", "’": "'", "\u00a0": " "})
_OPENER = re.compile(r"""(?<![\w"'`.,!?;])(["'`])(?=\S)""")
_CLOSER = re.compile(r"""(?<=\S)(["'`])(?!\w)""")
_BLANK_LINE = re.compile(r"\n[ \t]*\n")


class Quote(msgspec.Struct, frozen=True):
    """The words between two quotation marks, and the half-open span that includes the marks."""

    text: str
    start: int
    stop: int
    mark: str


def straightened(text: str) -> str:
    """`text` with straight quotation marks and plain spaces; every character keeps its place."""
    return text.translate(_STRAIGHT)


def quotes(text: str) -> list[Quote]:
    """Quotations from left to right, none within another; a quotation does not go on past a blank line."""
    closers: dict[str, list[int]] = {'"': [], "'": [], "`": []}
    for match in _CLOSER.finditer(text):
        closers[match.group(1)].append(match.start())
    blanks = [match.start() for match in _BLANK_LINE.finditer(text)]
    found: list[Quote] = []
    after = 0
    for match in _OPENER.finditer(text):
        start = match.start()
        if start < after:
            continue
        stop = _closing(text, start, closers[match.group(1)])
        if stop is None:
            continue
        blank = bisect_right(blanks, start)
        if blank < len(blanks) and blanks[blank] < stop and not _whole_text(text, start, stop):
            continue
        found.append(Quote(text[start + 1 : stop], start, stop + 1, match.group(1)))
        after = stop + 1
    return found


def _closing(text: str, start: int, closers: list[int]) -> int | None:
    at = bisect_right(closers, start + 1)
    if at == len(closers):
        return None
    stop = closers[at]
    # A mark right before punctuation opens nothing: 'the last character must be ".', but '"!"' is a quotation.
    if text[start + 1] in ".,;:?!)" and text[start + 1 : stop].strip(".,;:?!)"):
        return None
    return stop


def _whole_text(text: str, start: int, stop: int) -> bool:
    """Whether a quotation over several paragraphs stands apart, after a colon or on lines of its own."""
    before, behind = text[max(start - 8, 0) : start].rstrip(" "), text[stop + 1 : stop + 8].lstrip(" ")
    return before.endswith((":", "\n")) and (not behind or behind[0] == "\n")
