"""Case and letters beyond IFEval's three case types.

Words are those of `adhere.verify.folding`: an apostrophe or hyphen stays inside its word, and so does a mark with its
letter. Where initials and endings are compared, case and accents make no difference. Letters of scripts without case
neither fulfil nor break a demand on case; a word without any letter, such as a number, is left out of all counts.
"""

from __future__ import annotations

import itertools
import random
import re
import string
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from adhere.core.errors import VerifierError
from adhere.core.verifier import Verdict
from adhere.verify import additions
from adhere.verify.constraint import ConstraintType, Drawing, Example, Params, failed, judged_count, passed
from adhere.verify.families import letter_case
from adhere.verify.families import letters_wording as wording_of
from adhere.verify.folding import Span, fold, folded, word_spans
from adhere.verify.rewriting import append_sentence
from adhere.verify.spans import first_spans
from adhere.verify.units import sentence_ranges

_DOUBLE = re.compile(r"([^\W\d_])\1", re.IGNORECASE)
_FREQUENT_INITIALS = "tasowcbpmf"
_FREQUENT_ENDINGS = "etdsny"
_ACROSTICS_TEXT = "SUN CAT TEA MAP SEA JOY HOPE RAIN WIND BOOK HOME TIME TREE MOON SALT RIVER HEART LIGHT STONE GREEN"
_ACROSTICS = tuple(_ACROSTICS_TEXT.split())
_ORDINARY_START = frozenset(
    {
        "combination",
        "detectable_content",
        "detectable_format",
        "keywords",
        "language",
        "length_constraints:nth_paragraph_first_word",
        "letters",
        "opening",
        "script",
        "startend",
    }
)
"""What cannot stand beside a rule for every word or every sentence: it would bring words of its own."""


@lru_cache(maxsize=4096)
def _plain(letter: str) -> str:
    """A letter without case and accents."""
    return fold(letter)[:1]


def _lettered(reply: str) -> list[Span]:
    """The words with a letter in them."""
    return [(start, stop) for start, stop in word_spans(reply) if any(map(str.isalpha, reply[start:stop]))]


def _one_letter(params: Params) -> str:
    """The letter asked for, without case and accents."""
    letter = unicodedata.normalize("NFC", params["letter"].strip())
    if len(letter) != 1 or not letter.isalpha():
        raise VerifierError(f"expected one letter, found {params['letter']!r:.40}", "Give a letter such as s.")
    return _plain(letter)


def _judged_all(wrong: Sequence[Span], total: int, rule: str) -> Verdict:
    """The verdict on a rule for every one of `total` things, `wrong` being those that break it."""
    if not total:
        return passed(f"nothing to apply it to: {rule}", vacuous=True)
    said = f"{len(wrong)} of {total} break it: {rule}"
    return failed(said, 1.0 - len(wrong) / total, first_spans(wrong), len(wrong)) if wrong else passed(said)


# ---------------------------------------------------------------- letters of words


def _verify_all_start(params: Params, reply: str) -> Verdict:
    letter, spans = _one_letter(params), _lettered(reply)
    wrong = [span for span in spans if _plain(reply[span[0]]) != letter]
    return _judged_all(wrong, len(spans), f"every word begins with {letter!r}")


def _verify_some_start(params: Params, reply: str) -> Verdict:
    letter = _one_letter(params)
    spans = [span for span in _lettered(reply) if _plain(reply[span[0]]) == letter]
    return judged_count(
        len(spans), "at least", params["num_words"], f"words that begin with {letter!r}", first_spans(spans)
    )


def _verify_run(params: Params, reply: str) -> Verdict:
    best: list[Span] = []
    for initial, group in itertools.groupby(_lettered(reply), key=lambda span: _plain(reply[span[0]])):
        spans = list(group) if initial.isalpha() else []
        best = max(best, spans, key=len)
    span = ((best[0][0], best[-1][1]),) if best else ()
    return judged_count(len(best), "at least", params["num_words"], "words in a row with the same initial", span)


def _verify_parity(params: Params, reply: str) -> Verdict:
    remainder = 0 if params["parity"] == "even" else 1
    spans = _lettered(reply)
    wrong = [(start, stop) for start, stop in spans if _letters_in(reply[start:stop]) % 2 != remainder]
    return _judged_all(wrong, len(spans), f"each word has an {params['parity']} number of letters")


def _letters_in(word: str) -> int:
    return sum(map(str.isalpha, word if word.isascii() else unicodedata.normalize("NFC", word)))


def _verify_double(params: Params, reply: str) -> Verdict:
    spans = [found.span() for found in _DOUBLE.finditer(reply)]
    if spans:
        first = reply[slice(*spans[0])]
        return failed(
            f"{len(spans)} doubled letters, the first is {first!r}",
            1.0 / (1 + len(spans)),
            first_spans(spans),
            len(spans),
        )
    return passed("no letter twice in a row", vacuous=len(word_spans(reply)) < 8)


def _verify_pangram(params: Params, reply: str) -> Verdict:
    missing = sorted(set(string.ascii_lowercase) - set(folded(reply).text))
    if not missing:
        return passed("all 26 letters of the alphabet found")
    return failed(f"not found: {', '.join(missing)}", 1.0 - len(missing) / 26, (), -len(missing))


def _repair_pangram(params: Params, reply: str) -> str | None:
    text, found = reply, set(fold(reply))
    for letter in "qzjxkvbpgwyfmculdhrsnioate":  # rare ones first: their sentences bring most of the others
        if letter not in found:
            added = additions.with_letter(letter, 1, text)
            if added is None:
                return None
            text = append_sentence(text, added)
            found |= set(added.lower())
    return text


# ---------------------------------------------------------------- letters of sentences


def _verify_acrostic(params: Params, reply: str) -> Verdict:
    wanted = params["word"].strip()
    if not wanted or not wanted.isalpha():
        raise VerifierError(f"letters:acrostic: expected a word of letters, found {wanted!r:.80}", "Give one word.")
    starts = [_first_letter(reply, span) for span in sentence_ranges(reply)]
    found = "".join(reply[at] for at in starts)
    right = sum(_plain(one) == _plain(other) for one, other in zip(found, wanted, strict=False))
    said = f"the first letters of {len(found)} sentences are {found[:60]!r}, wanted {wanted!r}"
    spans = first_spans((at, at + 1) for at in starts)
    if right == len(found) == len(wanted):
        return passed(said, spans)
    return failed(said, right / max(len(found), len(wanted)), spans, len(found) - len(wanted))


def _first_letter(reply: str, span: Span) -> int:
    return next(at for at in range(*span) if reply[at].isalpha() or reply[at].isnumeric())


def _verify_endings(params: Params, reply: str) -> Verdict:
    letter, ranges = _one_letter(params), sentence_ranges(reply)
    wrong = [span for span in ranges if _last_letter(reply, span) != letter]
    return _judged_all(wrong, len(ranges), f"the last letter of every sentence is {letter!r}")


def _last_letter(reply: str, span: Span) -> str:
    """The last letter or digit of a sentence, without case and accents."""
    last = next((reply[at] for at in range(span[1] - 1, span[0] - 1, -1) if reply[at].isalnum()), "")
    return _plain(last) if last else ""


# ---------------------------------------------------------------- drawing


def _draw_short(draw: Callable[[random.Random], dict[str, Any]], most: int) -> Any:
    """A draw for rules that bend every word or sentence: only where an ordinary answer is short enough for that."""
    return lambda rng, drawing: draw(rng) if drawing.answer_words <= most else None


def _draw_some_start(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    most = max(2, min(12, drawing.answer_words // 15))
    return {"letter": rng.choice(_FREQUENT_INITIALS), "num_words": rng.randint(1, most)}


_LETTERS = (
    ConstraintType(
        id="letters:all_words_start",
        family="letters",
        parameters={"letter": str},
        phrasings=wording_of.ALL_START,
        heldout_phrasings=wording_of.ALL_START_HELDOUT,
        verify=_verify_all_start,
        draw=_draw_short(lambda rng: {"letter": rng.choice("stpbc")}, 25),
        words=lambda params: wording_of.all_start(params["letter"]),
        excludes=_ORDINARY_START,
        examples=(
            Example(
                {"letter": "s"},
                "Seven silent swans swim, S\u0301ara.",
                ("Seven silent swans dive.", "Seven swans, a storm.", "1st swans swim."),
            ),
        ),
    ),
    ConstraintType(
        id="letters:words_start",
        family="letters",
        parameters={"letter": str, "num_words": int},
        phrasings=wording_of.SOME_START,
        heldout_phrasings=wording_of.SOME_START_HELDOUT,
        verify=_verify_some_start,
        draw=_draw_some_start,
        words=lambda params: wording_of.some_start(params["letter"], params["num_words"]),
        allowed={"num_words": range(1, 1001)},
        least_words=lambda params: 2 * int(params["num_words"]),
        examples=(
            Example(
                {"letter": "B", "num_words": 2},
                "A brown dog barks.",
                ("A brown dog sleeps.", "A dog grabs a cab."),
            ),
        ),
    ),
    ConstraintType(
        id="letters:alliteration",
        family="letters",
        parameters={"num_words": int},
        phrasings=wording_of.RUN,
        heldout_phrasings=wording_of.RUN_HELDOUT,
        verify=_verify_run,
        draw=lambda rng, drawing: {"num_words": rng.randint(2, 4)},
        words=lambda params: wording_of.run(params["num_words"]),
        allowed={"num_words": range(2, 1001)},
        least_words=lambda params: int(params["num_words"]) + 3,
        examples=(
            Example(
                {"num_words": 3},
                "I saw Peter pick pears today.",
                ("I saw Peter pick ripe pears.", "One apple, one egg and one orange."),
            ),
        ),
    ),
    ConstraintType(
        id="letters:parity",
        family="letters",
        parameters={"parity": str},
        phrasings=wording_of.PARITY,
        heldout_phrasings=wording_of.PARITY_HELDOUT,
        verify=_verify_parity,
        draw=_draw_short(lambda rng: {"parity": rng.choice(("even", "odd"))}, 25),
        words=lambda params: wording_of.parity(params["parity"]),
        allowed={"parity": ("even", "odd")},
        excludes=_ORDINARY_START,
        examples=(
            Example(
                {"parity": "even"},
                "Here we swim in deep cold lake.",
                ("Here we swim in a cold lake.", "Here we swam in the lake."),
            ),
            Example(
                {"parity": "odd"}, "The red fox can see 10 birds.", ("The red fox can see a bird.", "Red fox cubs")
            ),
        ),
    ),
    ConstraintType(
        id="letters:acrostic",
        family="letters",
        parameters={"word": str},
        phrasings=wording_of.ACROSTIC,
        heldout_phrasings=wording_of.ACROSTIC_HELDOUT,
        verify=_verify_acrostic,
        draw=lambda rng, drawing: {"word": rng.choice(_ACROSTICS)} if drawing.answer_words >= 20 else None,
        words=lambda params: wording_of.acrostic(params["word"].strip()),
        excludes=_ORDINARY_START | {"length_constraints:number_sentences"},
        least_words=lambda params: 4 * len(params["word"]),
        examples=(
            Example(
                {"word": "SEA"},
                "Sails fill with wind. \u201cEvery hand on deck!\u201d And off we go.",
                (
                    "Sails fill with wind. Every hand on deck!",
                    "Sails fill. Every hand helps. Off we go.",
                    "Sails fill. Every hand helps. And off we go. Tomorrow we rest.",
                ),
            ),
        ),
    ),
    ConstraintType(
        id="letters:pangram",
        family="letters",
        parameters={},
        phrasings=wording_of.PANGRAM,
        heldout_phrasings=wording_of.PANGRAM_HELDOUT,
        verify=_verify_pangram,
        draw=lambda rng, drawing: {} if drawing.answer_words >= 40 else None,
        repair=_repair_pangram,
        words=lambda params: wording_of.PANGRAM_WORDS,
        rank=7,
        excludes=frozenset({"language", "script", "lipogram", "keywords:letter_frequency"}),
        least_words=lambda params: 25,
        examples=(
            Example(
                {},
                "A quiet dozen of boxes held just my vague plans for a new kitchen rug.",
                (
                    "A quiet lot of boxes held just my vague plans for a new kitchen rug.",
                    "A calm dozen of boxes held just my vague plans for a new kitchen rug.",
                ),
            ),
        ),
    ),
    ConstraintType(
        id="letters:sentence_endings",
        family="letters",
        parameters={"letter": str},
        phrasings=wording_of.ENDINGS,
        heldout_phrasings=wording_of.ENDINGS_HELDOUT,
        verify=_verify_endings,
        draw=_draw_short(lambda rng: {"letter": rng.choice(_FREQUENT_ENDINGS)}, 60),
        words=lambda params: wording_of.endings(params["letter"]),
        excludes=_ORDINARY_START,
        examples=(
            Example(
                {"letter": "e"},
                "The tide came. We left the café! (Nobody spoke.)",
                ("The tide came. We left!", "The tide rose at 8. We ate.", "The tide came. We ate crabs."),
            ),
        ),
    ),
    ConstraintType(
        id="lipogram:double_letters",
        family="lipogram",
        parameters={},
        phrasings=wording_of.DOUBLE,
        heldout_phrasings=wording_of.DOUBLE_HELDOUT,
        verify=_verify_double,
        draw=lambda rng, drawing: {} if drawing.answer_words <= 60 else None,
        words=lambda params: wording_of.DOUBLE_WORDS,
        forbids=True,
        excludes=frozenset({"language"}),
        examples=(
            Example(
                {},
                "The new moth sat on a lamp and did not move.",
                ("The moth sat by the wall.", "Aaron sat by the lamp.", "The moon is new."),
            ),
        ),
    ),
)

TYPES: tuple[ConstraintType, ...] = (*letter_case.TYPES, *_LETTERS)
