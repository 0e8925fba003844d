"""Cutting from and adding to a reply without touching the wording of what stays."""

from __future__ import annotations

import re
import zlib
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TypeVar

from adhere.verify.pieces import is_bare_mark, is_heading, is_list_item, is_rule, line_sentences, mark_length
from adhere.verify.text import sentence_spans, words

T = TypeVar("T")

_CLOSERS = "\"')]}*_`>”’"
_ENDS = (".", "!", "?", "…", "।", "。", "！", "？")
_FENCE = "```"


def variant(text: str, options: Sequence[T]) -> T:
    """One of the options, picked by the text: a corrected corpus varies, and a rerun gives the same bytes."""
    return options[zlib.crc32(text.encode("utf-8", "surrogatepass")) % len(options)]


def drop_sentences(reply: str, unwanted: Callable[[str], bool], keep: float = 0.5) -> str | None:
    """The reply without the sentences that `unwanted` holds for; None when less than the share `keep` would be left."""
    lines: list[str] = []
    for line in reply.split("\n"):
        if not unwanted(line):
            lines.append(line)
            continue
        text = " ".join(piece for piece in line_sentences(line) if not unwanted(piece))
        if not is_bare_mark(text):
            lines.append(text)
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    return text if text and len(words(text)) >= keep * len(words(reply)) else None


def cut_to_fit(reply: str, fits: Callable[[str], bool]) -> str | None:
    """The longest start of the reply that `fits`, ending at a sentence or line; None when not even one sentence does.

    `fits` must not turn true again as text is added.
    """
    ends = {stop for _, stop in sentence_spans(reply)} | {match.start() for match in re.finditer("\n", reply)}
    stops = sorted(end for end in ends if end)
    count = bisect_left(stops, True, key=lambda end: not fits(reply[:end]))
    return _without_loose_end(reply[: stops[count - 1]].rstrip() if count else "") or None


def _without_loose_end(text: str) -> str:
    """The text without lines at its end that lead to nothing: blank ones, bare marks, lead-ins, headings, rules."""
    lines = text.split("\n")
    while lines and (
        is_bare_mark(lines[-1]) or lines[-1].rstrip("* ").endswith(":") or is_heading(lines[-1]) or is_rule(lines[-1])
    ):
        lines.pop()
    return "\n".join(lines).rstrip()


def append_sentence(reply: str, sentence: str) -> str:
    """The reply with one more sentence: behind prose, below lists, verse and code, inside marks around the whole."""
    text = reply.rstrip()
    if len(text) > 2 and text[0] == text[-1] == '"' and text.count('"') == 2:
        return f'"{append_sentence(text[1:-1], sentence)}"'
    last = text.rsplit("\n", 1)[-1]
    if is_list_item(last) or is_heading(last) or last.startswith((_FENCE, "<<", "}", "|")) or _is_verse(text):
        return append_paragraph(text, sentence)
    closed = text if not text or text.rstrip(_CLOSERS).endswith((*_ENDS, ":")) or text[-1] in _CLOSERS else text + "."
    return f"{closed} {sentence}".lstrip()


def _is_verse(text: str) -> bool:
    """Whether the last paragraph is set in several short lines."""
    lines = text.rsplit("\n\n", 1)[-1].split("\n")
    return len(lines) > 1 and all(len(line.split()) <= 12 for line in lines)


def append_paragraph(reply: str, paragraph: str) -> str:
    """The reply with a paragraph after it."""
    return f"{reply.rstrip()}\n\n{paragraph}".lstrip("\n")


def to_last_sentence(reply: str) -> str:
    """A reply that was cut off at the token limit, without its unfinished last sentence or list item.

    Lead-ins and bare list marks left at the end go as well; an open code block or quotation is closed. A text
    that would lose more than two thirds of its words is returned whole, since it has no better place to end.
    """
    text = reply.rstrip()
    if text.count(_FENCE) % 2:
        return _with_code_closed(text)
    if not _is_finished(text):
        head, _, last = text.rpartition("\n")
        body = _whole_sentences(last)
        # A sentence may begin on an earlier line only in wrapped prose; there the cut is at the line, too.
        kept = _without_loose_end(f"{head}\n{body}" if body else head).strip("\n")
        if not kept or 3 * len(words(kept)) < len(words(text)):
            return text
        text = kept
    return text + '"' if text.count('"') % 2 else text


def _whole_sentences(line: str) -> str:
    """The line up to where its last sentence begins, with the marks that close the one before; blank if that is all."""
    spans = sentence_spans(line)[:-1]
    if not spans or is_bare_mark(line[: spans[-1][1]]):
        return ""
    end = spans[-1][1]
    while line[end : end + 1] and line[end] in _CLOSERS:
        end += 1
    return line[:end]


def _is_finished(text: str) -> bool:
    """Whether the text ends in a sentence or a closed code block."""
    last = text.rsplit("\n", 1)[-1]
    if last.strip() == _FENCE:
        return True
    return not is_bare_mark(last) and last.rstrip(_CLOSERS).endswith(_ENDS) and bool(words(last[mark_length(last) :]))


def _with_code_closed(text: str) -> str:
    """A text that ends inside a code block: its complete lines and the closing fence, or what stands before the block.

    The last line is taken to be cut off.
    """
    before, _, code = text.rpartition(_FENCE)
    lines = code.split("\n")[:-1]
    if any(line.strip() for line in lines[1:]):
        return f"{before}{_FENCE}" + "\n".join(lines).rstrip() + f"\n{_FENCE}"
    return _without_loose_end(before.rstrip()) or text
