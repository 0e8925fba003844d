"""Reshaping replies by code: pieces of text that repairs group, wrap and add to.

Everything here is deterministic: where several wordings are possible, the text itself picks one, so that a
corrected corpus varies and a rerun gives the same bytes.
"""

from __future__ import annotations

import itertools
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from typing import TypeVar

from adhere.verify.text import sentences

T = TypeVar("T")

_LIST_MARK = re.compile(r"[^\S\n]*(?:[*\-+•][^\S\n]+|\d{1,3}[.)][^\S\n]+)")
_HEADING_MARK = re.compile(r"[^\S\n]*#{1,6}[^\S\n]+")
_RULE = re.compile(r"[^\S\n]*(?:[*\-_=][^\S\n]*){3,}")
_NUMBERS = "zero one two three four five six seven eight nine ten eleven twelve"
_SPELLED = tuple(_NUMBERS.split())
_STOP_TEXT = """
    a about above across after again against all also although always am among an and any are around as ask at
    away be because been before being below between both but by can cannot could create describe did do does doing
    done down during each either else ever every explain few find for from further gave generate get give given
    gives go goes going had has have having he her here hers him his how however i if in into is it its itself just
    keep kind let like list made make makes many may me might mine more most much must my name near need never next
    no nor not now of off often on once one only onto or other our out over own per please put rather really said
    same say see shall she should show since so some still such suggest sure take tell than that the their them then
    there these they thing things this those though three through to too toward two under until up upon us use using
    very want was way we well were what when where whether which while who whom whose why will with within without
    would write yes yet you your"""
_STOP_WORDS = frozenset(_STOP_TEXT.split())


def spelled(number: int) -> str:
    """A number up to twelve as a word, else in digits."""
    return _SPELLED[number] if 0 <= number < len(_SPELLED) else str(number)


def counted(number: int) -> dict[str, str]:
    """What phrasings say of a count: `n` in digits, `spelled`, and a plural `s`."""
    return {"n": str(number), "spelled": spelled(number), "s": "" if number == 1 else "s"}


def variant(text: str, options: Sequence[T]) -> T:
    """One of the options, picked by the text."""
    return options[zlib.crc32(text.encode("utf-8", "surrogatepass")) % len(options)]


def unmarked(line: str) -> str:
    """A line without the list or heading mark at its front."""
    for mark in (_LIST_MARK, _HEADING_MARK):
        found = mark.match(line)
        if found:
            return line[found.end() :].strip()
    return line.strip()


def is_list_item(line: str) -> bool:
    """Whether the line opens with a bullet or a number."""
    return bool(_LIST_MARK.match(line)) and not is_rule(line)


def is_rule(line: str) -> bool:
    """Whether the line is nothing but a drawn rule such as `***` or `---`."""
    return bool(_RULE.fullmatch(line.rstrip()))


def pieces(text: str) -> list[str]:
    """The sentences of every line, without list marks, rules and blank lines."""
    found: list[str] = []
    for line in text.split("\n"):
        plain = "" if is_rule(line) else unmarked(line)
        if plain:
            found.extend(part.strip() for part in sentences(plain) if part.strip())
    return found


def paragraphs(text: str) -> list[str]:
    """The parts between blank lines; rules and blank parts left out."""
    parts = [part.strip() for part in re.split(r"\n[^\S\n]*\n", text)]
    return [part for part in parts if part and not is_rule(part)]


def grouped(items: Sequence[T], count: int) -> list[list[T]] | None:
    """The items as `count` runs of nearly equal length in their order, or None when there are too few."""
    if count < 1 or len(items) < count:
        return None
    cuts = [len(items) * index // count for index in range(count + 1)]
    return [list(items[start:end]) for start, end in itertools.pairwise(cuts)]


def clauses(text: str) -> list[str]:
    """Pieces cut further at semicolons, colons and joined clauses, for texts with too few sentences."""
    found: list[str] = []
    for piece in pieces(text):
        for part in re.split(r"(?<=[;:])\s+|,\s+(?=(?:and|but|or|so|while|which)\s)", piece):
            plain = part.strip(" ,;:")
            if plain:
                found.append(plain[0].upper() + plain[1:])
    return found


def content_words(text: str) -> list[str]:
    """Words of three letters or more that carry meaning, in order, as written."""
    return [word for word in re.findall(r"[^\W\d_]{3,}", text) if word.lower() not in _STOP_WORDS]


def topic(text: str) -> str:
    """The lower-cased word that the text most likely is about; `this` when it has none."""
    counts = Counter(word.lower() for word in content_words(text) if len(word) > 3)
    return max(counts, key=lambda word: (counts[word], len(word))) if counts else "this"


def common_words(instruction: str, reply: str) -> list[str]:
    """Content words of the instruction's first line that the reply takes up, in the instruction's order."""
    taken_up = {word.lower() for word in content_words(reply)}
    first = instruction.strip().partition("\n")[0]
    return [word for word in content_words(first) if word.lower() in taken_up]


def title_of(text: str) -> str:
    """A short title made of the first content words, each once, in title case."""
    chosen: list[str] = []
    for word in content_words(text):
        if word.lower() not in (known.lower() for known in chosen):
            chosen.append(word)
        if len(chosen) == 4:
            break
    return " ".join(word[0].upper() + word[1:] for word in chosen) or "A Short Answer"


def key_phrases(text: str) -> list[tuple[int, int]]:
    """Ranges of one to three words worth stressing, best first: spread over the text, none overlapping.

    Lines with asterisks other than a bullet mark, and text in brackets of any kind, are left alone.
    """
    found: list[tuple[int, int]] = []
    start = 0
    for line in text.split("\n"):
        mark = _LIST_MARK.match(line)
        first = mark.end() if mark else 0
        if "*" not in line[first:] and not is_rule(line):
            found.extend((start + a, start + b) for a, b in _phrases_of(line, first))
        start += len(line) + 1
    return _spread(sorted(found))


def _phrases_of(line: str, first: int) -> list[tuple[int, int]]:
    guarded = [m.span() for m in re.finditer(r"<<[^<>]*>>|\[[^\[\]]*\]|\b[Pp]\.\s?(?:[Pp]\.\s?)?[Ss]\.?", line)]
    found = []
    for run in re.finditer(r"[^\W\d_]+(?: [^\W\d_]+){0,2}", line[first:]):
        words = list(re.finditer(r"[^\W\d_]+", run.group()))
        kept = [word for word in words if len(word.group()) > 3 and word.group().lower() not in _STOP_WORDS]
        if not kept:
            continue
        begin, end = first + run.start() + kept[0].start(), first + run.start() + kept[-1].end()
        if all(end <= a or begin >= b for a, b in guarded):
            found.append((begin, end))
    return found


def _spread(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The spans in an order that covers the text evenly however many are taken: halves, quarters, eighths."""
    order: list[tuple[int, int]] = []
    queue = [(0, len(spans))]
    while queue:
        low, high = queue.pop(0)
        if low < high:
            middle = (low + high) // 2
            order.append(spans[middle])
            queue += [(low, middle), (middle + 1, high)]
    return order


def added(text: str, line: str) -> str:
    """The text with a paragraph after it."""
    return f"{text.rstrip()}\n\n{line}"
