"""Cutting, regrouping and adding to a reply without touching the wording of what stays."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable

from adhere.verify.text import sentence_spans, words

_BREAK = re.compile(r"\n[^\S\n]*\n\s*|(?:\s*\*{3,}\s*)+")
_MARKER = re.compile(r"\s*(?:[-*•+]|\d+[.)]|#{1,6})?\s*")
_LIST_ITEM = re.compile(r"\s*(?:[-*•+]\s|\d+[.)]\s)")


def paragraphs(reply: str) -> list[str]:
    """The non-blank parts between blank lines or rules of asterisks, stripped."""
    return [part.strip() for part in _BREAK.split(reply) if part.strip()]


def units(paragraph: str) -> list[str]:
    """The pieces a paragraph can be split between: its lines, or the sentences when it is one line."""
    lines = [line for line in paragraph.split("\n") if line.strip()]
    return lines if len(lines) > 1 else line_sentences(paragraph)


def line_sentences(line: str) -> list[str]:
    """The sentences of one line; a list number stays with the sentence it numbers."""
    pieces: list[str] = []
    for start, stop in sentence_spans(line):
        if pieces and _MARKER.fullmatch(pieces[-1]):
            pieces[-1] += " " + line[start:stop]
        else:
            pieces.append(line[start:stop])
    return pieces


def regroup(reply: str, number: int) -> list[str] | None:
    """The reply as `number` paragraphs, neighbours merged or the longest ones split; None when it is too short."""
    parts = paragraphs(reply)
    if number < 1 or not parts:
        return None
    while len(parts) > max(number, 200):  # hostile text with very many paragraphs: halve before going one by one
        parts = ["\n".join(parts[at : at + 2]) for at in range(0, len(parts), 2)]
    while len(parts) > number:
        at = min(range(len(parts) - 1), key=lambda i: len(parts[i]) + len(parts[i + 1]))
        parts[at : at + 2] = [parts[at] + "\n" + parts[at + 1]]
    while len(parts) < number:
        splittable = [at for at, part in enumerate(parts) if len(units(part)) > 1]
        if not splittable:
            return None
        at = max(splittable, key=lambda i: len(parts[i]))
        parts[at : at + 1] = _halves(parts[at])
    return parts


def _halves(paragraph: str) -> list[str]:
    pieces = units(paragraph)
    glue = "\n" if "\n" in paragraph else " "
    middle = sum(map(len, pieces)) / 2
    length, cut = 0, 1
    for at, piece in enumerate(pieces[:-1], start=1):
        length += len(piece)
        cut = at
        if length >= middle:
            break
    return [glue.join(pieces[:cut]).strip(), glue.join(pieces[cut:]).strip()]


def drop_sentences(reply: str, unwanted: Callable[[str], bool], keep: float = 0.5) -> str | None:
    """The reply without the sentences that `unwanted` holds for; None when less than the share `keep` would be left."""
    lines: list[str] = []
    for line in reply.split("\n"):
        if not unwanted(line):
            lines.append(line)
            continue
        left = [piece for piece in line_sentences(line) if not unwanted(piece)]
        text = " ".join(left)
        if _MARKER.fullmatch(text) is None:
            lines.append(text)
    text = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    total = len(words(reply))
    return text if text and len(words(text)) >= keep * total else None


def cut_to_fit(reply: str, fits: Callable[[str], bool]) -> str | None:
    """The longest start of the reply that `fits`, ending at a sentence or line; None when not even one sentence does.

    `fits` must not turn true again as text is added.
    """
    ends = {stop for _, stop in sentence_spans(reply)} | {match.start() for match in re.finditer("\n", reply)}
    stops = sorted(end for end in ends if end)
    count = bisect_left(stops, True, key=lambda end: not fits(reply[:end]))
    text = reply[: stops[count - 1]].rstrip() if count else ""
    lines = text.split("\n")
    while lines and (not lines[-1].strip() or lines[-1].rstrip("* ").endswith(":") or _MARKER.fullmatch(lines[-1])):
        lines.pop()
    return "\n".join(lines) or None


def append_sentence(reply: str, sentence: str) -> str:
    """The reply with one more sentence at its end, on its own after a list."""
    text = reply.rstrip()
    if _LIST_ITEM.match(text.rsplit("\n", 1)[-1]):
        return f"{text}\n\n{sentence}"
    closed = text if not text or text[-1] in ".!?:\"')]}*>`" else text + "."
    return f"{closed} {sentence}".lstrip()


def to_last_sentence(reply: str) -> str:
    """A reply that was cut off at the token limit, without its unfinished last sentence or list item."""
    ends = [match.end() for match in re.finditer(r"[.!?][\"')\]*_]*(?=\s|$)", reply)]
    lines = reply.rstrip().rfind("\n")
    keep = max(ends[-1] if ends else 0, lines if lines > len(reply) // 2 else 0)
    return reply[:keep].rstrip() if keep else reply.rstrip()
