"""Language and script of the reply and of its parts.

Scripts are told by the letters alone (`adhere.verify.scripts` has the ranges); digits, marks and spaces may be of any
kind. Punctuation, quotation marks, digits and emoji have their own types in `script_marks`.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Callable
from typing import Any

from adhere.core.errors import VerifierError, did_you_mean
from adhere.core.verifier import Verdict
from adhere.verify.constraint import ConstraintType, Drawing, Example, Params, failed, judged_range, passed
from adhere.verify.families import script_marks
from adhere.verify.families import script_wording as wording_of
from adhere.verify.folding import Span, strings
from adhere.verify.languages import LANGUAGE_NAMES, known_languages
from adhere.verify.pieces import is_rule
from adhere.verify.scripts import SCRIPTS, letters_beside, letters_by_direction, letters_of
from adhere.verify.spans import first_spans
from adhere.verify.text import language_of

_MOST_PARAGRAPHS = 20
_SHARE_DRAWN = 0.05  # what a small model trained mostly on English can seldom do is drawn seldom
_OTHER_SCRIPTS = ("Cyrillic", "Greek", "Arabic", "Hebrew", "Devanagari", "Han", "Japanese", "Hangul", "Thai")
_PARAGRAPH_LANGUAGES = ("de", "fr", "es", "it", "pt", "nl")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")
_FOREIGN = frozenset(
    {
        "change_case",
        "combination:repeat_prompt",
        "detectable_content",
        "detectable_format:constrained_response",
        "detectable_format:multiple_sections",
        "keywords",
        "language",
        "letters",
        "lipogram:avoid_letter",
        "lipogram:no_contractions",
        "opening",
        "script",
        "startend:end_checker",
        "vocabulary",
    }
)
"""What asks for letters, words or a language of its own."""


def _runs(pattern: re.Pattern[str], reply: str) -> tuple[int, list[Span]]:
    """How many letters the runs that match have, and where they stand."""
    spans = [found.span() for found in pattern.finditer(reply)]
    return sum(stop - start for start, stop in spans), spans


def _verify_only(params: Params, reply: str) -> Verdict:
    script = params["script"]
    inside, _ = _runs(letters_of(script), reply)
    outside, spans = _runs(letters_beside(script), reply)
    said = f"{outside} of {inside + outside} letters are not {script}"
    if not inside:
        return failed(f"no {script} letters; {said}", 0.0, first_spans(spans), outside)
    return failed(said, inside / (inside + outside), first_spans(spans), outside) if outside else passed(said)


def _verify_share(params: Params, reply: str) -> Verdict:
    script, percent = params["script"], params["percent"]
    inside, _ = _runs(letters_of(script), reply)
    outside, spans = _runs(letters_beside(script), reply)
    total = inside + outside
    if not total:
        return failed(f"no letters, wanted {percent} percent {script}")
    return judged_range(
        inside,
        -(-percent * total // 100),
        None,
        f"of {total} letters are {script} ({percent} percent wanted)",
        first_spans(spans),
    )


def _verify_leftwards(params: Params, reply: str) -> Verdict:
    left, _ = _runs(letters_by_direction(True), reply)
    right, spans = _runs(letters_by_direction(False), reply)
    if not left:
        return failed(f"none of {right} letters belongs to a script written from right to left")
    first = letters_by_direction(True).search(reply)
    opens = first is not None and (not spans or first.start() < spans[0][0])
    said = f"{left} of {left + right} letters run from right to left, {'also' if opens else 'not'} the first one"
    share = left / (left + right)
    return (
        passed(said)
        if opens and 2 * left > left + right
        else failed(said, 0.5 * share + 0.4 * opens, first_spans(spans))
    )


def _verify_ascii(params: Params, reply: str) -> Verdict:
    number, spans = _runs(_BEYOND_ASCII, reply)
    if number:
        first = reply[slice(*spans[0])][:20]
        return failed(
            f"{number} characters are not ASCII, first {first!r}", 1 / (1 + number), first_spans(spans), number
        )
    return passed("every character is ASCII", vacuous=not re.search(r"[A-Za-z]", reply))


def _repair_ascii(params: Params, reply: str) -> str | None:
    """Typographic marks become plain ones, letters lose their accents; None where a letter has no plain form."""
    text = script_marks.without_emoji(script_marks.with_plain_marks(reply))
    decomposed = unicodedata.normalize("NFKD", text.translate(_SPELLED))
    plain = "".join(letter for letter in decomposed if not unicodedata.combining(letter))
    return plain if plain.isascii() else None


_SPELLED = str.maketrans(
    {
        **{"ß": "ss", "ẞ": "SS", "æ": "ae", "Æ": "AE", "œ": "oe", "Œ": "OE", "ø": "o", "Ø": "O", "ł": "l", "Ł": "L"},
        **{"đ": "d", "Đ": "D", "ð": "d", "Ð": "D", "þ": "th", "Þ": "Th", "ı": "i", "×": "x", "÷": "/", "−": "-"},
        **{"€": "EUR", "£": "GBP", "→": "->", "←": "<-", "≤": "<=", "≥": ">=", "≠": "!=", "\u200b": "", "\ufeff": ""},
    }
)


def _verify_paragraphs(params: Params, reply: str) -> Verdict:
    wanted = _languages(params)
    spans = _paragraph_spans(reply)
    parts = [reply[start:stop] for start, stop in spans]
    if len(parts) != len(wanted):
        said = f"{len(parts)} paragraphs, wanted {len(wanted)}, one for each language"
        nearness = 1.0 - abs(len(parts) - len(wanted)) / max(len(parts), len(wanted))
        return failed(said, 0.5 * nearness, (), len(parts) - len(wanted))
    # A paragraph without letters has no language and is wrong: one in a language was asked for.
    found = [language_of(part) for part in parts]
    wrong = [at for at, (one, other) in enumerate(zip(found, wanted, strict=True)) if one != other]
    said = ", ".join(LANGUAGE_NAMES.get(str(code), str(code)) for code in found)
    if wrong:
        places = first_spans(spans[at] for at in wrong)
        return failed(f"the paragraphs read as {said}", 1.0 - len(wrong) / len(wanted), places)
    return passed(f"the paragraphs read as {said}")


def _paragraph_spans(reply: str) -> list[Span]:
    """Where the paragraphs stand: runs of lines between blank ones; drawn rules are no text."""
    spans: list[Span] = []
    at, joins = 0, False
    for line in reply.split("\n"):
        stop = at + len(line)
        blank = not line.strip() or is_rule(line)
        if not blank:
            spans[-1:] = [(spans[-1][0], stop)] if joins else [*spans[-1:], (at, stop)]
        joins, at = not blank, stop + 1
    return spans


def _languages(params: Params) -> list[str]:
    codes = strings(params["languages"], "languages")
    for code in codes:
        if code not in known_languages():
            raise VerifierError(f"no detector for language {code!r}", did_you_mean(code, known_languages()))
    if not 2 <= len(codes) <= _MOST_PARAGRAPHS:
        raise VerifierError(
            f"language:by_paragraph takes 2 to {_MOST_PARAGRAPHS} languages, found {len(codes)}", "Change the list."
        )
    return codes


# ---------------------------------------------------------------- drawing


_Draw = Callable[[random.Random, Drawing], dict[str, Any] | None]


def _seldom(draw: Callable[[random.Random], dict[str, Any]]) -> _Draw:
    return lambda rng, _: draw(rng) if rng.random() < _SHARE_DRAWN else None


def _draw_paragraphs(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    if drawing.answer_words < 60 or rng.random() >= _SHARE_DRAWN:
        return None
    return {"languages": rng.sample(("en", *_PARAGRAPH_LANGUAGES), rng.choice((2, 2, 3)))}


_TYPES = (
    ConstraintType(
        id="script:only",
        family="script",
        parameters={"script": str},
        phrasings=wording_of.ONLY,
        heldout_phrasings=wording_of.ONLY_HELDOUT,
        verify=_verify_only,
        draw=_seldom(lambda rng: {"script": rng.choice(_OTHER_SCRIPTS)}),
        words=lambda params: wording_of.only(params["script"]),
        allowed={"script": tuple(SCRIPTS)},
        excludes=_FOREIGN,
        examples=(
            Example(
                {"script": "Cyrillic"},
                "Привет, мир! 2 + 2 = 4",
                ("Привет, world!", "Hello.", "2 + 2 = 4", "Пpивет, мир!"),
            ),
            Example(
                {"script": "Japanese"},
                "東京タワーはとても高いです。",
                ("東京タワー (Tokyo Tower) は高い。", "도쿄 타워", "Tokyo"),
            ),
        ),
    ),
    ConstraintType(
        id="script:share",
        family="script",
        parameters={"script": str, "percent": int},
        phrasings=wording_of.SHARE,
        heldout_phrasings=wording_of.SHARE_HELDOUT,
        verify=_verify_share,
        draw=_seldom(lambda rng: {"script": rng.choice(_OTHER_SCRIPTS), "percent": rng.choice((50, 60, 75, 80, 90))}),
        words=lambda params: wording_of.share(params["script"], params["percent"]),
        allowed={"script": tuple(SCRIPTS), "percent": range(1, 101)},
        excludes=_FOREIGN,
        examples=(
            Example(
                {"script": "Greek", "percent": 50},
                "Η Αθήνα (Athens)",
                ("Η Αθήνα is Athens.", "Athens", "12:30"),
            ),
        ),
    ),
    ConstraintType(
        id="script:right_to_left",
        family="script",
        parameters={},
        phrasings=wording_of.LEFTWARDS,
        heldout_phrasings=wording_of.LEFTWARDS_HELDOUT,
        verify=_verify_leftwards,
        draw=_seldom(lambda rng: {}),
        words=lambda params: wording_of.LEFTWARDS_WORDS,
        excludes=_FOREIGN,
        examples=(
            Example(
                {},
                "שלום לכולם (hi)",
                ("hi שלום לכולם", "שלום and good morning", "Hello."),
            ),
        ),
    ),
    ConstraintType(
        id="script:ascii_only",
        family="script",
        parameters={},
        phrasings=wording_of.ASCII,
        heldout_phrasings=wording_of.ASCII_HELDOUT,
        verify=_verify_ascii,
        draw=lambda rng, drawing: {},
        repair=_repair_ascii,
        words=lambda params: wording_of.ASCII_WORDS,
        rank=38,
        forbids=True,
        excludes=frozenset({"language", "script", "tally:emoji"}),
        examples=(
            Example(
                {},
                "Don't go - the cafe is closed...",
                ("Don\u2019t go - the cafe is closed...", "Don't go - the café is closed.", "Do go \U0001f600"),
            ),
        ),
    ),
    ConstraintType(
        id="language:by_paragraph",
        family="language",
        parameters={"languages": (list, tuple)},
        phrasings=wording_of.PARAGRAPHS,
        heldout_phrasings=wording_of.PARAGRAPHS_HELDOUT,
        verify=_verify_paragraphs,
        draw=_draw_paragraphs,
        words=lambda params: wording_of.paragraphs([LANGUAGE_NAMES.get(code, code) for code in params["languages"]]),
        excludes=_FOREIGN
        | {
            "detectable_format",
            "length_constraints:nth_paragraph_first_word",
            "length_constraints:number_paragraphs",
            "lines",
        },
        least_words=lambda params: 15 * len(params["languages"]),
        examples=(
            Example(
                {"languages": ["en", "de"]},
                "The train leaves every morning at eight, and the journey takes about two hours.\n\n"
                "Der Zug fährt jeden Morgen um acht Uhr ab, und die Reise dauert ungefähr zwei Stunden.",
                (
                    "Der Zug fährt jeden Morgen um acht Uhr ab, und die Reise dauert ungefähr zwei Stunden.\n\n"
                    "The train leaves every morning at eight, and the journey takes about two hours.",
                    "The train leaves every morning at eight, and the journey takes about two hours.",
                    "The train leaves every morning at eight.\n\nThe journey takes about two hours in all.",
                ),
            ),
        ),
    ),
)

TYPES: tuple[ConstraintType, ...] = (*_TYPES, *script_marks.TYPES)
