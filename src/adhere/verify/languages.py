"""Which language a text is in: langdetect 1.0.9 with its seed fixed, so that verdicts do not change between runs.

The profiles and constants are the package's; reading a text and the sampling are written anew here, because n-grams
can be looked up word by word and remembered. Every probability is the same to the last bit (tests compare the two).
The package works in three steps, and so do we: clean the text of addresses and of stray Latin letters; list the one to
three letter pieces of its words that the profiles know, passing over words in capitals; and seven times draw pieces
at random until one language has nearly all the probability.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from adhere.verify.sharing import SHARED

SEED = 0
_LONGEST = 100_000  # characters cleaned
_READ = 10_000  # characters read after cleaning, as in langdetect
_TRIALS = 7
_BETWEEN = 5  # draws between two normalisations
_UNKNOWN = "unknown"
_REMEMBERED_LENGTH = 32

LANGUAGE_NAMES = {
    "ar": "Arabic",
    "bg": "Bulgarian",
    "bn": "Bengali",
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fa": "Persian",
    "fi": "Finnish",
    "fr": "French",
    "gu": "Gujarati",
    "hi": "Hindi",
    "it": "Italian",
    "ja": "Japanese",
    "kn": "Kannada",
    "ko": "Korean",
    "mr": "Marathi",
    "ne": "Nepali",
    "pa": "Punjabi",
    "pl": "Polish",
    "pt": "Portuguese",
    "ru": "Russian",
    "sw": "Swahili",
    "ta": "Tamil",
    "te": "Telugu",
    "th": "Thai",
    "uk": "Ukrainian",
    "ur": "Urdu",
    "vi": "Vietnamese",
}


@lru_cache(maxsize=1)
def _factory() -> Any:
    """Language profiles, read in name order: the order of a folder listing differs between machines."""
    from langdetect.detector_factory import PROFILES_DIRECTORY, DetectorFactory

    factory = DetectorFactory()
    profiles = sorted(path for path in Path(PROFILES_DIRECTORY).iterdir() if not path.name.startswith("."))
    factory.load_json_profile([path.read_text(encoding="utf-8") for path in profiles])
    factory.set_seed(SEED)
    return factory


@lru_cache(maxsize=1)
def known_languages() -> frozenset[str]:
    """The codes that `language_of` can answer."""
    return frozenset(_factory().get_lang_list())


@lru_cache(maxsize=SHARED)
def language_of(text: str) -> str | None:
    """The most likely language as a two-letter code (`zh-cn`, `zh-tw` for Chinese), None when no letters tell one.

    langdetect's first label, as IFEval takes it. It samples; here its seed is always 0. Time is bounded: only the
    first 10,000 characters that are left after cleaning are read.
    """
    chances: list[float] = []
    for number, chances in enumerate(_trials(text), 1):
        second, first = sorted(chances)[-2:]
        if first - second > 1.01 * (1 - number / _TRIALS):
            break  # the trials to come add up to less than what this language is ahead
    if not chances:
        return None
    # as the package sorts: of equal ones the last in its order of languages
    likely, place = max((chance, place) for place, chance in enumerate(chances))
    return str(_factory().langlist[place]) if likely > _detector().PROB_THRESHOLD else _UNKNOWN


def language_probabilities(text: str) -> list[float]:
    """The probability of each language in the order of langdetect's list; empty when there is nothing to tell by."""
    return [[], *_trials(text)][-1]


def _trials(text: str) -> Iterator[list[float]]:
    """After each trial the probabilities as they are so far: sums of a seventh of each trial's."""
    factory, limits = _factory(), _detector()
    pieces = _pieces(_cleaned(text[:_LONGEST]))
    if not pieces:
        return
    number = len(factory.langlist)
    dice = random.Random(factory.seed)
    so_far = [0.0] * number
    for _ in range(_TRIALS):
        weight = (limits.ALPHA_DEFAULT + dice.gauss(0.0, 1.0) * limits.ALPHA_WIDTH) / limits.BASE_FREQ
        found = _trial(pieces, weight, dice, [1.0 / number] * number)
        so_far = [one + chance / _TRIALS for one, chance in zip(so_far, found, strict=True)]
        yield so_far


def _trial(pieces: list[str], weight: float, dice: random.Random, chances: list[float]) -> list[float]:
    """Draw pieces until a language has nearly all the probability.

    The package multiplies piece by piece and normalises at the first and then at every fifth; five factors at a time
    give the same numbers to the last bit.
    """
    limits, known = _detector(), _factory().word_lang_prob_map
    chances = [chance * (weight + one) for chance, one in zip(chances, known[dice.choice(pieces)], strict=True)]
    for drawn in range(0, limits.ITERATION_LIMIT + 1, _BETWEEN):
        if drawn:
            five = [known[dice.choice(pieces)] for _ in range(_BETWEEN)]
            chances = [
                chance * (weight + a) * (weight + b) * (weight + c) * (weight + d) * (weight + e)
                for chance, a, b, c, d, e in zip(chances, *five, strict=True)
            ]
        whole = sum(chances)
        chances = [chance / whole for chance in chances]
        if max(chances) > limits.CONV_THRESHOLD:
            break
    return chances


def _detector() -> Any:
    """The package's class, for its constants and patterns."""
    from langdetect.detector import Detector

    return Detector


class _Normal(dict[int, str]):
    """A table for `str.translate` that fills itself: how the profiles write a character."""

    def __missing__(self, code: int) -> str:
        from langdetect.utils.ngram import NGram

        self[code] = written = str(NGram.normalize(chr(code)))
        return written


_NORMAL = _Normal()


def _cleaned(text: str) -> str:
    """Without addresses, nor Latin letters where they are a small part; characters as the profiles write them."""
    from langdetect.utils.ngram import NGram

    limits = _detector()
    text = limits.MAIL_RE.sub(" ", limits.URL_RE.sub(" ", text))
    if not text.isascii():
        text = NGram.normalize_vi(text)
    text = _without_double_spaces(text[:_READ])
    if not text.isascii():
        letters = Counter(text)
        latin = sum(number for letter, number in letters.items() if "A" <= letter <= "z")
        other = sum(number for letter, number in letters.items() if letter >= "\u0300" and not _is_latin(letter))
        if latin * 2 < other:
            text = "".join(letter for letter in text if letter < "A" or letter > "z")
    return text.translate(_NORMAL)


def _without_double_spaces(text: str) -> str:
    while "  " in text:
        text = text.replace("  ", " ")
    return text


def _is_latin(letter: str) -> bool:
    from langdetect.utils.unicode_block import unicode_block

    return bool(unicode_block(letter) == "Latin Extended Additional")


def _pieces(text: str) -> list[str]:
    """The pieces of a cleaned text that the profiles know, in order."""
    *closed, last = text.split(" ")
    found: list[str] = []
    for word in closed:
        if word:
            found += _pieces_of_word(word) if len(word) <= _REMEMBERED_LENGTH else _known_pieces(f" {word} ")
    return found + _known_pieces(f" {last}") if last else found


@lru_cache(maxsize=8192)
def _pieces_of_word(word: str) -> list[str]:
    return _known_pieces(f" {word} ")


def _known_pieces(word: str) -> list[str]:
    """One to three letters ending at each place of a word with the spaces around it, but for a run of capitals."""
    known = _factory().word_lang_prob_map
    found: list[str] = []
    shouted = False
    for at in range(1, len(word)):
        shouted = word[at].isupper() and (shouted or word[at - 1].isupper())
        if not shouted:
            first = max(at - 2, 0)
            found += [piece for start in range(at, first - 1, -1) if (piece := word[start : at + 1]) in known]
    return found
