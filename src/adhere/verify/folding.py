"""Finding words in any spelling that Unicode allows, with the places where they stand in the text as given.

Two texts match when they are the same after compatibility decomposition and case folding: composed and decomposed
accents, full-width letters, ligatures and final sigmas are one, and "STRASSE" is "Straße". A dotted capital I and a
dotless small i both count as i, so that Turkish words match in either case; soft hyphens and joiners count for nothing,
and typographic apostrophes and hyphens are plain ones.

A *word* is a run of letters, digits and the marks that belong to them; one apostrophe or hyphen may stand inside it
("don't", "well-known"). A word matches as a whole where neither neighbour is a letter or digit; an underscore is no
letter. Scripts written without spaces (Han, kana, Thai and others) have no word borders, so none is asked for there.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from functools import lru_cache

from adhere.core.errors import VerifierError
from adhere.verify.sharing import SHARED

Span = tuple[int, int]

_PIECE = re.compile(r"[\x00-\x7f]+|[^\x00-\x7f]{1,64}")
_WITH_MARKS = (range(0x300, 0x1_0000), range(0x1_0000, 0x1_F000), range(0xE_0100, 0xE_01F0))
_JOINERS = "\u00ad\u034f\u200c\u200d\u2060\ufeff"
_DOT_ABOVE = "\u0307"
_PLAIN = str.maketrans({"ı": "i", "’": "'", "ʼ": "'", "\u2010": "-", **dict.fromkeys(_JOINERS)})
_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff"
)
# Full stops of other scripts; and typographic closing quotes, which Punkt does not know.
_LETTER_OR_DIGIT = re.compile(r"[^\W_]")
_ASCII_WORD = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")


@lru_cache(maxsize=2)
def _marks(spaced: bool = False) -> str:
    """All combining marks, as ranges inside a character class; `spaced` leaves out those of scripts without spaces.

    Joiners stand inside words like marks.
    """
    points = [at for plane in _WITH_MARKS for at in plane if unicodedata.category(chr(at))[0] == "M"]
    if spaced:
        points = [at for at in points if not re.match(f"[{_UNSPACED}]", chr(at))]
    firsts = [at for before, at in zip([-1, *points], points, strict=False) if at != before + 1]
    lasts = [at for at, after in zip(points, [*points[1:], -1], strict=True) if after != at + 1]
    ranges = "".join(f"{chr(first)}-{chr(last)}" for first, last in zip(firsts, lasts, strict=True))
    return _JOINERS + ranges


@lru_cache(maxsize=1)
def _any_word() -> re.Pattern[str]:
    return re.compile(rf"[^\W_](?:[^\W_]|[{_marks()}]|['’\-\u2010\u2011](?=[^\W_]))*")


@lru_cache(maxsize=4096)
def _folded_letter(letter: str) -> str:
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", letter).casefold())
    return folded.translate(_PLAIN).replace("i" + _DOT_ABOVE, "i")


def _folded_letters(piece: str, before: str) -> Iterator[str]:
    """What each character of a piece becomes; `before` is the folded character that stands before the piece."""
    for letter in piece:
        folded = "" if letter == _DOT_ABOVE and before == "i" else _folded_letter(letter)
        before = folded[-1:] or before
        yield folded


class Folded:
    """A text made comparable, and the way back: `text` is what to search, `span` says where a match stands."""

    __slots__ = ("_befores", "_length", "_pieces", "_starts", "_targets", "text")

    def __init__(self, original: str) -> None:
        self._length = len(original)
        self._pieces: list[str] = []
        self._starts: list[int] = []
        self._targets: list[int] = []
        self._befores: list[str] = []
        if original.isascii():
            self.text = original.lower()
            return
        done: list[str] = []
        length, before = 0, ""
        for found in _PIECE.finditer(original):
            piece = found.group()
            folded = piece.lower() if piece.isascii() else "".join(_folded_letters(piece, before))
            self._pieces.append(piece)
            self._starts.append(found.start())
            self._targets.append(length)
            self._befores.append(before)
            done.append(folded if piece.isascii() else unicodedata.normalize("NFKD", folded))
            length += len(folded)
            before = folded[-1:] or before
        self.text = "".join(done)

    def span(self, found: Span) -> Span:
        """The range of the original text that a range of the folded text came from."""
        return self._origin(found[0]), self._origin(found[1])

    def _origin(self, target: int) -> int:
        if not self._pieces:
            return target
        if target >= len(self.text):
            return self._length
        at = bisect_right(self._targets, target) - 1
        piece, left = self._pieces[at], target - self._targets[at]
        if piece.isascii():
            return self._starts[at] + left
        for index, folded in enumerate(_folded_letters(piece, self._befores[at])):
            if left <= 0:
                return self._starts[at] + index
            left -= len(folded)
        return self._starts[at] + len(piece)


@lru_cache(maxsize=SHARED)
def folded(text: str) -> Folded:
    """The text made comparable; remembered for the other checks of the same reply."""
    return Folded(text)


def fold(text: str) -> str:
    """The text as it is compared."""
    return Folded(text).text


@lru_cache(maxsize=256)
def whole(bodies: tuple[str, ...], plain: bool) -> re.Pattern[str]:
    """A pattern for any of the folded words as a whole word; white space in them stands for any.

    `plain` says that the folded text to be searched is ASCII, where no marks can be next to a word.
    """
    before, after = ("", "") if plain else (f"(?<![{_marks(True)}])", f"(?![{_marks()}])")
    edges: dict[tuple[bool, bool], list[str]] = {}
    for body in sorted(set(bodies), key=lambda one: (-len(one), one)):
        written = r"\s+".join(map(re.escape, body.split()))
        edges.setdefault((_bordered(body), _bordered(body[::-1])), []).append(written)
    border = rf"[^\W_{_UNSPACED}]"
    # A mark behind a match always belongs to its last letter: without it, "cafe" would be found in "café".
    options = [
        (f"{before}(?<!{border})" if left else "")
        + f"(?:{'|'.join(written)}){after}"
        + (f"(?!{border})" if right else "")
        for (left, right), written in edges.items()
    ]
    return re.compile("|".join(options))


def _bordered(body: str) -> bool:
    """Whether the word begins with a letter or digit of a script with word borders; marks are looked through."""
    first = next((letter for letter in body if unicodedata.category(letter)[0] != "M"), "")
    return bool(_LETTER_OR_DIGIT.match(first)) and not re.match(f"[{_UNSPACED}]", first)


def whole_words(words: Iterable[str], reply: str) -> list[Span]:
    """Where any of the words or phrases stands as a whole, in order, without overlaps; see the top of this file."""
    bodies = _bodies(tuple(words))
    text = folded(reply)
    if not any(body.split()[0] in text.text for body in bodies):  # far quicker than the pattern, and often the answer
        return []
    pattern = whole(bodies, text.text.isascii())
    return [text.span(found.span()) for found in pattern.finditer(text.text)]


@lru_cache(maxsize=256)
def _bodies(words: tuple[str, ...]) -> tuple[str, ...]:
    bodies = tuple(fold(word).strip() for word in words)
    if not bodies or not all(bodies):
        raise VerifierError("expected words to look for, found a blank one", "Give at least one letter in each.")
    return bodies


def word_pattern(text: str) -> re.Pattern[str]:
    """The pattern of one word in `text`."""
    return _ASCII_WORD if text.isascii() else _any_word()


@lru_cache(maxsize=SHARED)
def word_spans(text: str) -> tuple[Span, ...]:
    """Where the words of a text stand."""
    return tuple(found.span() for found in word_pattern(text).finditer(text))


def named(params: object, text: str) -> str:
    """A word or phrase from parameters, stripped; a `VerifierError` where it is blank."""
    if not text.strip():
        raise VerifierError(f"expected a word or phrase, found a blank one in {params!r:.200}", "Name a word.")
    return text.strip()


def strings(values: Iterable[object], key: str) -> list[str]:
    """A list parameter, refused with a `VerifierError` when it is empty or holds anything but text."""
    found = [value.strip() for value in values if isinstance(value, str)]
    if not found or not all(found) or len(found) != len(list(values)):
        raise VerifierError(f"{key} should be a list of non-empty text, found {values!r:.200}", "List a word.")
    return found
