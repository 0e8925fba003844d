"""Small damages to a good text, for asking whether a check notices any: mutation testing of verifiers.

Which damage breaks a constraint depends on the constraint, so no single one has to be noticed. But a check that
notices none of them, whatever the text, checks nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

LONGEST = 20_000


class Mutant(msgspec.Struct, frozen=True):
    """A changed text and the name of the change."""

    change: str
    text: str


def mutants(text: str, bad: Sequence[str] = ()) -> tuple[Mutant, ...]:
    """The distinct changed texts of `text` (its first 20,000 characters), fixed by the text; none of a blank one.

    `bad` are texts known to break the constraint. Each is added to the end of `text`: what must not occur then does.
    """
    text = text[:LONGEST]
    if not text.strip():
        return ()
    found: dict[str, Mutant] = {}
    for change, make in MUTATORS.items():
        made = make(text)
        if made != text:
            found.setdefault(made, Mutant(change, made))
    for other in bad:
        if other.strip():
            made = f"{text.rstrip()}\n{other[:LONGEST]}"
            found.setdefault(made, Mutant("bad text added", made))
    return tuple(found.values())


def _half(text: str) -> str:
    return text[: len(text) // 2].rstrip()


def _words(text: str) -> list[re.Match[str]]:
    return list(re.finditer(r"\w+", text))


def _at_word(text: str, choose: Callable[[int], int], change: Callable[[str], str]) -> str:
    """The text with one word changed; `choose` gives its place from the number of words."""
    words = _words(text)
    if not words:
        return text
    word = words[choose(len(words))]
    return text[: word.start()] + change(word[0]) + text[word.end() :]


def _next_letter(word: str) -> str:
    """The word with another first letter or digit: the one after it in ASCII, or an x for what is not."""
    first = word[0]
    if first in "9zZ":
        changed = {"9": "0", "z": "a", "Z": "A"}[first]
    else:
        changed = chr(ord(first) + 1) if first.isascii() and first.isalnum() else "x"
    return changed + word[1:]


def _digit(text: str) -> str:
    return re.sub(r"[0-9]", lambda digit: str((int(digit[0]) + 1) % 10), text, count=1)


def _without_line(text: str, at: int) -> str:
    lines = text.split("\n")
    full = [n for n, line in enumerate(lines) if line.strip()]
    if len(full) < 2:
        return text
    del lines[full[at]]
    return "\n".join(lines)


def _line_doubled(text: str) -> str:
    lines = text.split("\n")
    full = [n for n, line in enumerate(lines) if line.strip()]
    lines.insert(full[-1], lines[full[-1]])
    return "\n".join(lines)


MUTATORS: dict[str, Callable[[str], str]] = {
    "emptied": lambda text: "",
    "cut in half": _half,
    "first word only": lambda text: text.split()[0],
    "first word dropped": lambda text: _at_word(text, lambda n: 0, lambda word: "").lstrip(),
    "last word dropped": lambda text: text.rstrip().rsplit(None, 1)[0],
    "doubled": lambda text: f"{text}\n\n{text}",
    "repeated ten times": lambda text: "\n".join([text] * 10),
    "all capitals": str.upper,
    "all lower case": str.lower,
    "case swapped": str.swapcase,
    "one word in capitals": lambda text: _at_word(text, lambda n: n // 2, str.upper),
    "one capital": lambda text: _at_word(text, lambda n: n // 2, str.capitalize),
    "comma inserted": lambda text: _at_word(text, lambda n: n // 2, lambda word: word + ","),
    "exclamation added": lambda text: text.rstrip() + "!",
    "question added": lambda text: text.rstrip() + "?",
    "marks removed": lambda text: re.sub(r"[^\w\s]", "", text),
    "sentence added": lambda text: text.rstrip() + " And here is one sentence more.",
    "sentence before": lambda text: "Here is a sentence before it. " + text,
    "paragraph added": lambda text: text.rstrip() + "\n\nThis is a further paragraph.",
    "bullet added": lambda text: text.rstrip() + "\n* One more point",
    "lines merged": lambda text: " ".join(text.split()),
    "lines split": lambda text: re.sub(r"(?<=[.!?]) +", "\n", text),
    "first line dropped": lambda text: _without_line(text, 0),
    "last line dropped": lambda text: _without_line(text, -1),
    "line doubled": _line_doubled,
    "letter changed": lambda text: _at_word(text, lambda n: 0, _next_letter),
    "middle letter changed": lambda text: _at_word(text, lambda n: n // 2, _next_letter),
    "last letter changed": lambda text: _at_word(text, lambda n: n - 1, _next_letter),
    "digit changed": _digit,
    "digit added": lambda text: text.rstrip() + " 7",
    "quoted": lambda text: f'"{text}"',
    "quotes removed": lambda text: text.replace('"', ""),
    "in another script": lambda text: "Это другой текст.",
}
"""Every change by name; one that does nothing to a text gives no mutant of it."""
