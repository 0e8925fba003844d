"""Exact ROUGE-L novelty: what Self-Instruct's filter decides, without comparing every pair.

ROUGE-L of two texts of m and n words whose longest common subsequence has L words is F = 2L / (m + n).
Two bounds leave few pairs for the longest common subsequence, and none of them can change a decision:

- L is at most the size of the common bag of words, so F > t needs c = t(m + n)/2 common words;
- order the words of all texts alike, rarest first: two texts with c common words share one of their first
  m - c + 1 and n - c + 1 words (prefix filtering), and what follows the first shared word caps the rest.

Self-Instruct's words are runs of a-z and 0-9, so a text in another script has none and nothing like it is
ever rejected. `unicode=True` counts words of every script instead.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from functools import lru_cache

from rapidfuzz.distance import LCSseq

from adhere.core.errors import SettingsError

Packed = str | list[int]  # a text as numbers of words

_SLACK = 1e-9  # bounds are exact in the reals; floats may be this far off, so a bound never prunes a tie
_CODE_POINTS = 0x110000
_UNSEEN = 0  # stands for every word the index has not seen: it matches nothing
_NOT_A_WORD = re.compile(r"[^a-z0-9]+")

# Scripts written without spaces: each character is a word. Half-open ranges of code points.
_UNSPACED = (
    (0x0E00, 0x0F00),  # Thai, Lao
    (0x1000, 0x10A0),  # Myanmar
    (0x1780, 0x1800),  # Khmer
    (0x3040, 0x3100),  # Hiragana, Katakana
    (0x31F0, 0x3200),  # Katakana extensions
    (0x3400, 0x4DC0),  # Han extension A
    (0x4E00, 0xA000),  # Han
    (0xF900, 0xFB00),  # Han compatibility
    (0x20000, 0x32000),  # Han extensions B and up
)


def words(text: str, unicode: bool = False) -> list[str]:
    """The words that are compared.

    Without `unicode`: google's rouge-score, no stemmer (lower case; runs of a-z and 0-9; every other
    character separates). With it: NFKC, case folded, runs of letters, digits and their marks in any
    script; in scripts without spaces each character with its marks. Both agree on ASCII text.
    """
    if not unicode or text.isascii():
        return _NOT_A_WORD.sub(" ", text.lower()).split()
    found: list[str] = []
    last = "other"
    for char in unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()):
        kind = _kind(char)
        if (kind == "mark" and last != "other") or kind == last == "letter":
            found[-1] += char
        elif kind in ("letter", "single"):
            found.append(char)
        if kind != "mark":
            last = kind
    return found


@lru_cache(maxsize=65536)
def _kind(char: str) -> str:
    category = unicodedata.category(char)
    if category[0] == "M":
        return "mark"
    if category[0] not in "LN":
        return "other"
    return "single" if any(first <= ord(char) < end for first, end in _UNSPACED) else "letter"


def _f_measure(common: int, m: int, n: int) -> float:
    # google's formula step by step, not 2L/(m+n): the last bit decides at the threshold
    if not common:
        return 0.0
    precision, recall = common / m, common / n
    return 2 * precision * recall / (precision + recall)


def rouge_l(a: str, b: str, unicode: bool = False) -> float:
    """ROUGE-L F-measure in [0, 1], as google's rouge-score computes it without a stemmer; 0.0 without words."""
    left, right = words(a, unicode), words(b, unicode)
    return _f_measure(LCSseq.similarity(left, right), len(left), len(right))


class NoveltyIndex:
    """Texts so far, and whether a new one is unlike all of them.

    Decisions are those of comparing with every text added before: a text is rejected when the greatest
    ROUGE-L F-measure exceeds `threshold` (0.7 in Self-Instruct, arXiv 2212.10560, section 2.2).
    `unicode` counts words of every script; without it the words are those of the paper's code.
    """

    def __init__(self, threshold: float = 0.7, unicode: bool = False) -> None:
        if not 0.0 <= threshold <= 1.0:
            raise SettingsError(f"novelty threshold should be between 0 and 1, found {threshold}")
        self.threshold = threshold
        self.unicode = unicode
        self._ids: list[str] = []
        self._texts: list[Packed] = []
        self._vocabulary: dict[str, int] = {}
        self._seen_in: Counter[int] = Counter()
        self._order: dict[int, int] = {}  # how often each word had been seen when the index was last built
        self._postings: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
        self._rebuild_at = 64

    def __len__(self) -> int:
        return len(self._ids)

    def add(self, text: str, id: str) -> bool:
        """Add `text` under `id` and give True if it is novel; leave the index as it was and give False if not."""
        if self.rival(text) is not None:
            return False
        numbers = [self._vocabulary.setdefault(word, len(self._vocabulary) + 1) for word in words(text, self.unicode)]
        self._ids.append(id)
        self._texts.append(_packed(numbers))
        self._seen_in.update(set(numbers))
        if len(self._ids) >= self._rebuild_at:
            self._rebuild()
        else:
            self._post(len(self._ids) - 1, numbers)
        return True

    def rival(self, text: str) -> tuple[float, str] | None:
        """The most similar text if its score exceeds the threshold: `(score, id)`, else None. Pruned search."""
        numbers = self._numbers(text)
        packed = _packed(numbers)
        best: tuple[float, int] | None = None
        for position in self._candidates(numbers):
            score = self._score(packed, position)
            if score > self.threshold and (best is None or (-score, position) < (-best[0], best[1])):
                best = (score, position)
        return (best[0], self._ids[best[1]]) if best else None

    def most_similar(self, text: str) -> tuple[float, str]:
        """`(score, id)` of the most similar text, the earliest of equals; `(0.0, "")` when none shares a word.

        Exact below the threshold too, where it has to look at every text.
        """
        found = self.rival(text)
        if found is not None:
            return found
        packed = _packed(self._numbers(text))
        best, where = 0.0, ""
        for position, other in enumerate(self._texts):
            m, n = len(packed), len(other)
            if _f_measure(min(m, n), m, n) < best - _SLACK:
                continue
            score = self._score(packed, position)
            if score > best:
                best, where = score, self._ids[position]
        return best, where

    def _numbers(self, text: str) -> list[int]:
        return [self._vocabulary.get(word, _UNSEEN) for word in words(text, self.unicode)]

    def _score(self, packed: Packed, position: int) -> float:
        other = self._texts[position]
        return _f_measure(LCSseq.similarity(packed, other), len(packed), len(other))

    def _candidates(self, numbers: list[int]) -> list[int]:
        """Positions of all texts whose score could exceed the threshold, and some more."""
        m = len(numbers)
        seen: set[int] = set()
        found: list[int] = []
        for place, key in enumerate(self._prefix(numbers)):
            for position, other_place in self._postings.get(key, ()):
                if position in seen:
                    continue
                seen.add(position)
                n = len(self._texts[position])
                # the first shared word of both: what is common is at most the shorter rest from here
                if min(m - place, n - other_place) >= self.threshold * (m + n) / 2 - _SLACK:
                    found.append(position)
        return found

    def _prefix(self, numbers: list[int]) -> list[tuple[int, int, int]]:
        """The first words, rarest first, one of which every text above the threshold shares.

        A repeated word counts once per occurrence: the k-th "the" is its own word. The fewest common words
        that suffice against any text of fitting length n >= tm/(2 - t) are tm/(2 - t) too.
        """
        times: Counter[int] = Counter()
        keys = []
        for number in numbers:
            times[number] += 1
            keys.append((self._order.get(number, 0), number, times[number]))
        keys.sort()
        fewest = max(1, math.ceil(self.threshold * len(numbers) / (2 - self.threshold) - _SLACK))
        return keys[: len(numbers) - fewest + 1]

    def _post(self, position: int, numbers: list[int]) -> None:
        for place, key in enumerate(self._prefix(numbers)):
            self._postings.setdefault(key, []).append((position, place))

    def _rebuild(self) -> None:
        # each time the index has doubled: the order of rarity is kept true at a constant cost per text
        self._order = dict(self._seen_in)
        self._postings = {}
        self._rebuild_at = 2 * len(self._ids)
        for position, packed in enumerate(self._texts):
            self._post(position, list(map(ord, packed)) if isinstance(packed, str) else packed)


def _packed(numbers: list[int]) -> Packed:
    # one character per word: rapidfuzz reads strings fastest, and takes chr(k) and k for the same element
    return "".join(map(chr, numbers)) if max(numbers, default=0) < _CODE_POINTS else numbers
