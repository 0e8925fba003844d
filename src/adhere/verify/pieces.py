"""Splitting a text: paragraphs, lines, list items, sentences, clauses, and runs of them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import TypeVar

from adhere.verify.text import sentence_spans, sentences

T = TypeVar("T")

_BREAK = re.compile(r"\n[^\S\n]*\n|\*{3,}")  # what stands around is stripped: a pattern for it takes quadratic time
_LIST_MARK = re.compile(r"[^\S\n]*(?:[*\-+•][^\S\n]+|\d{1,3}[.)][^\S\n]+)")
_HEADING_MARK = re.compile(r"[^\S\n]*#{1,6}[^\S\n]+")
_BARE_MARK = re.compile(r"\s*(?:[-*•+]|\d+[.)]|#{1,6})?\s*")
_RULE = re.compile(r"[^\S\n]*(?:[*\-_=][^\S\n]*){3,}")
_MANY = 200


def is_list_item(line: str) -> bool:
    """Whether the line opens with a bullet or a number."""
    return bool(_LIST_MARK.match(line)) and not is_rule(line)


def is_heading(line: str) -> bool:
    """Whether the line opens with the number signs of a markdown heading."""
    return bool(_HEADING_MARK.match(line))


def is_rule(line: str) -> bool:
    """Whether the line is nothing but a drawn rule such as `***` or `---`."""
    return bool(_RULE.fullmatch(line.rstrip()))


def is_bare_mark(line: str) -> bool:
    """Whether the line is blank, or a list or heading mark with nothing after it."""
    return bool(_BARE_MARK.fullmatch(line))


def mark_length(line: str) -> int:
    """How many characters the list mark at the front of the line takes, 0 without one."""
    found = _LIST_MARK.match(line)
    return found.end() if found else 0


def unmarked(line: str) -> str:
    """A line without the list or heading mark at its front."""
    for mark in (_LIST_MARK, _HEADING_MARK):
        found = mark.match(line)
        if found:
            return line[found.end() :].strip()
    return line.strip()


def paragraphs(text: str) -> list[str]:
    """The parts between blank lines or rules of asterisks, stripped; blank parts and drawn rules left out."""
    parts = [part.strip() for part in _BREAK.split(text)]
    return [part for part in parts if part and not is_rule(part)]


def line_sentences(line: str) -> list[str]:
    """The sentences of one line; a list number stays with the sentence it numbers."""
    found: list[str] = []
    for start, stop in sentence_spans(line):
        if found and is_bare_mark(found[-1]):
            found[-1] += " " + line[start:stop]
        else:
            found.append(line[start:stop])
    return found


def units(paragraph: str) -> list[str]:
    """The pieces a paragraph can be split between: its lines, or the sentences when it is one line."""
    lines = [line for line in paragraph.split("\n") if line.strip()]
    return lines if len(lines) > 1 else line_sentences(paragraph)


def statements(text: str) -> list[str]:
    """The sentences of every line, without list marks, rules and blank lines."""
    found: list[str] = []
    for line in text.split("\n"):
        plain = "" if is_rule(line) else unmarked(line)
        if plain:
            found.extend(part.strip() for part in sentences(plain) if part.strip())
    return found


def clauses(text: str) -> list[str]:
    """Statements cut further at semicolons, colons and joined clauses, for texts with too few sentences."""
    found: list[str] = []
    for statement in statements(text):
        for part in re.split(r"(?<=[;:])\s+|,\s+(?=(?:and|but|or|so|while|which)\s)", statement):
            plain = part.strip(" ,;:")
            if plain:
                found.append(plain[0].upper() + plain[1:])
    return found


def grouped(items: Sequence[T], count: int) -> list[list[T]] | None:
    """The items as `count` runs of nearly equal length in their order, or None when there are too few."""
    if count < 1 or len(items) < count:
        return None
    cuts = [len(items) * index // count for index in range(count + 1)]
    return [list(items[start:end]) for start, end in itertools.pairwise(cuts)]


def regroup(text: str, number: int, glue: str = "\n") -> list[str] | None:
    """The text as `number` paragraphs: neighbours joined by `glue`, or the longest split; None when it is too short."""
    parts = paragraphs(text)
    if number < 1 or not parts:
        return None
    while len(parts) > max(number, _MANY):  # hostile text with very many paragraphs: halve before going one by one
        parts = [glue.join(parts[at : at + 2]) for at in range(0, len(parts), 2)]
    while len(parts) > number:
        at = min(range(len(parts) - 1), key=lambda i: len(parts[i]) + len(parts[i + 1]))
        parts[at : at + 2] = [glue.join(parts[at : at + 2])]
    while len(parts) < number:
        splittable = [at for at, part in enumerate(parts) if len(units(part)) > 1]
        if not splittable:
            return None
        at = max(splittable, key=lambda i: len(parts[i]))
        parts[at : at + 1] = _halves(parts[at])
    return parts


def _halves(paragraph: str) -> list[str]:
    found = units(paragraph)
    joint = "\n" if "\n" in paragraph else " "
    middle = sum(map(len, found)) / 2
    length, cut = 0, 1
    for at, unit in enumerate(found[:-1], start=1):
        length += len(unit)
        cut = at
        if length >= middle:
            break
    if cut > 1 and found[cut - 1].rstrip("* ").endswith(":"):  # a lead-in stays with what it leads to
        cut -= 1
    return [joint.join(found[:cut]).strip(), joint.join(found[cut:]).strip()]
