"""A reply read as Markdown, line by line: headings, list items, fenced code, tables. Linear in its length."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_FENCES = ("```", "~~~")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})[^\S\n]*([^\s`]*)")
_HEADING = re.compile(r" {0,3}(#{1,6})(?:[^\S\n]+|$)")
_ITEM = re.compile(r"([^\S\n]*)(?:[-*+•]|\d{1,9}[.)])[^\S\n]+(?=\S)")
_BULLET = re.compile(r"[^\S\n]*[-*+•][^\S\n]+(?=\S)")
_DELIMITER_CELL = re.compile(r"\s*:?-+:?\s*")
_CELL_BREAK = re.compile(r"(?<!\\)\|")
_NUMBER = re.compile(r"\d{1,3}(?:\.\d{1,3}){0,4}[.):]?[^\S\n]+")
_LONGEST_NAME = 300  # a line longer than this is no heading


class Line(NamedTuple):
    """One line without its line break; `start` is where it begins in the reply."""

    start: int
    text: str

    @property
    def span(self) -> tuple[int, int]:
        """The range of the line in the reply."""
        return self.start, self.start + len(self.text)


class Fence(NamedTuple):
    """A fenced code block: its range with both fences, its label in lower case, and what is inside."""

    span: tuple[int, int]
    label: str
    body: str
    closed: bool


class Heading(NamedTuple):
    """A heading by number signs: its line, its level from 1 to 6, and its text without marks."""

    line: Line
    level: int
    text: str


class Table(NamedTuple):
    """A table: its range, the cells of its header, and those of each row below the line of dashes."""

    span: tuple[int, int]
    header: list[str]
    rows: list[list[str]]


def lines_of(reply: str) -> list[Line]:
    """All lines with where they start; a carriage return before the break is left out."""
    found, start = [], 0
    for text in reply.split("\n"):
        found.append(Line(start, text.removesuffix("\r")))
        start += len(text) + 1
    return found


def read(reply: str) -> tuple[list[Line], list[Fence]]:
    """The lines outside fenced code, and the fenced code blocks; one that is never closed runs to the end."""
    prose: list[Line] = []
    fences: list[Fence] = []
    opened: tuple[Line, str, str] | None = None
    body: list[str] = []
    for line in lines_of(reply):
        if opened is None:
            found = _FENCE.match(line.text) if line.text.lstrip(" ").startswith(_FENCES) else None
            if found:
                opened, body = (line, found.group(1), found.group(2).lower()), []
            else:
                prose.append(line)
        elif _closes(line.text, opened[1]):
            fences.append(Fence((opened[0].start, line.span[1]), opened[2], "\n".join(body), True))
            opened = None
        else:
            body.append(line.text)
    if opened is not None:
        fences.append(Fence((opened[0].start, len(reply)), opened[2], "\n".join(body), False))
    return prose, fences


def _closes(text: str, mark: str) -> bool:
    plain = text.strip()
    return len(plain) >= len(mark) and plain == mark[0] * len(plain) and len(text) - len(text.lstrip(" ")) <= 3


def headings(prose: list[Line]) -> list[Heading]:
    """The headings by number signs that have a text."""
    found = []
    for line in prose:
        sign = _HEADING.match(line.text) if "#" in line.text else None
        text = line.text[sign.end() :].strip().rstrip("#").strip() if sign else ""
        if sign and text:
            found.append(Heading(line, len(sign.group(1)), text))
    return found


def heading_name(line: str) -> str:
    """What a line names if it is read as a heading: without number signs, stars, number and closing colon."""
    if len(line) > _LONGEST_NAME:
        return ""
    plain = line.strip().lstrip("#").strip(" \t*_")
    number = _NUMBER.match(plain)
    return plain[number.end() if number else 0 :].strip(" \t*_").rstrip(":").strip(" \t*_").casefold()


def item_indent(line: str) -> int | None:
    """How far a list item is indented, a tab counting as four; None where the line is no item."""
    found = _ITEM.match(line)
    return len(found.group(1).expandtabs(4)) if found else None


def bullet_text(line: str) -> str | None:
    """The text of a bullet, None where the line is none."""
    found = _BULLET.match(line)
    return line[found.end() :].strip() if found else None


def item_text(line: str) -> str | None:
    """The text of a bullet or numbered item, None where the line is none."""
    found = _ITEM.match(line)
    return line[found.end() :].strip() if found else None


def tables(prose: list[Line]) -> Iterator[Table]:
    """The tables: a header row, a row of dashes with as many cells, and the rows up to a line without a bar."""
    at = 0
    while at + 1 < len(prose):
        header = _cells(prose[at].text)
        dashes = _cells(prose[at + 1].text) if header else []
        if not header or len(dashes) != len(header) or not all(map(_DELIMITER_CELL.fullmatch, dashes)):
            at += 1
            continue
        start, at = prose[at].start, at + 2
        rows = []
        stop = prose[at - 1].span[1]
        while at < len(prose) and "|" in prose[at].text:
            rows.append(_cells(prose[at].text))
            stop = prose[at].span[1]
            at += 1
        yield Table((start, stop), header, rows)


def _cells(line: str) -> list[str]:
    """The cells of a table row; none where the line has no bar."""
    plain = line.strip()
    if "|" not in plain:
        return []
    plain = plain.removeprefix("|")
    if plain.endswith("|") and not plain.endswith("\\|"):
        plain = plain[:-1]
    return [cell.strip() for cell in _CELL_BREAK.split(plain)]
