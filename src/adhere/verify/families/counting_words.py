"""Counting tasks on the words and marks of a reply: their length, variety and capitals, asides, acronyms, an acrostic.

Words are those of `verify.units`, not judged where most letters are of a script without spaces. The length of a word is
that of its longest part between hyphens or slashes, in letters: "well-known" has five.
"""

from __future__ import annotations

import random
import re
from typing import Any

from adhere.core.errors import VerifierError
from adhere.core.verifier import Verdict
from adhere.verify import units
from adhere.verify.constraint import (
    ConstraintType,
    Drawing,
    Example,
    Params,
    failed,
    judged_count,
    judged_range,
    passed,
)
from adhere.verify.families import counting_repair as mend
from adhere.verify.families import counting_wording as say
from adhere.verify.families.extent_repair import checked
from adhere.verify.families.extent_sizes import PARAGRAPH_COUNTS
from adhere.verify.spans import MOST_SPANS
from adhere.verify.units import Span
from adhere.verify.wording import RELATIONS, bounds, counted, spelled

_LETTERS = range(2, 101)
_COUNTS = range(1, 10_001)
_CASES = frozenset({"change_case"})
_ACROSTICS = "SUN TEA JOY RAIN HOPE CALM WIND LIGHT RIVER DREAM HEART GARDEN WINTER HARBOR"
_ACRONYM = re.compile(r"\b(?:[A-Z]\.){2,6}|\b[A-Z]{2,6}(?=s?\b)")
_ASIDE = re.compile(r"(?<!\])\([^()]*\)|（[^（）]*）")
_SEMICOLON = re.compile(r"[;；]")


# ---------------------------------------------------------------- length and variety of words


def _verify_longest_word(params: Params, reply: str) -> Verdict:
    most = params["num_letters"]
    unclear = units.uncountable_words(reply)
    if unclear is not None:
        return unclear
    spans = units.word_spans(reply)
    wrong = [span for span in spans if units.letter_count(reply[slice(*span)]) > most]
    if not wrong:
        return passed(f"{len(spans)} words of up to {most} letters", vacuous=not spans)
    over = max(units.letter_count(reply[slice(*span)]) for span in wrong) - most
    said = f"{len(wrong)} of {len(spans)} words have more than {most} letters, the first is {_shown(reply, wrong[0])}"
    return failed(said, 1 / (1 + len(wrong)), tuple(wrong[:MOST_SPANS]), over)


def _shown(reply: str, span: Span) -> str:
    return repr(reply[span[0] : min(span[1], span[0] + 40)])


def _long_words(reply: str, least: int) -> list[Span]:
    return [span for span in units.word_spans(reply) if units.letter_count(reply[slice(*span)]) >= least]


def _verify_long_words(params: Params, reply: str) -> Verdict:
    unclear = units.uncountable_words(reply)
    if unclear is not None:
        return unclear
    letters = params["num_letters"]
    spans = _long_words(reply, letters)
    thing = f"words of {letters} or more letters"
    return judged_range(len(spans), params["num_words"], None, thing, tuple(spans[:MOST_SPANS]))


def _verify_no_repeats(params: Params, reply: str) -> Verdict:
    unclear = units.uncountable_words(reply)
    if unclear is not None:
        return unclear
    spans = _long_words(reply, params["num_letters"])
    seen: set[str] = set()
    again: list[Span] = []
    for span in spans:
        word = units.same_word(reply[slice(*span)])
        if word in seen:
            again.append(span)
        seen.add(word)
    said = f"{len(spans)} words of {params['num_letters']} or more letters, {len(again)} of them repeated"
    if not again:
        return passed(said, vacuous=len(spans) < 2)
    said += f", the first is {_shown(reply, again[0])}"
    return failed(said, 1.0 - len(again) / len(spans), tuple(again[:MOST_SPANS]), len(again))


def _verify_distinct(params: Params, reply: str) -> Verdict:
    unclear = units.uncountable_words(reply)
    if unclear is not None:
        return unclear
    found = [units.same_word(reply[slice(*span)]) for span in units.word_spans(reply)]
    different, wanted = len(set(found)), params["percent"]
    said = f"{different} of {len(found)} words are different, wanted {wanted} % or more"
    if not found:
        return failed("there are no words")
    if 100 * different >= wanted * len(found):
        return passed(said, vacuous=len(found) == 1)
    needed = -(-wanted * len(found) // 100)
    return failed(said, different / needed, (), different - needed)


def _draw_long_words(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    letters = rng.choice((7, 8, 9, 10, 11, 12))
    # About one word in five has seven letters, one in forty has eleven.
    usual = drawing.answer_words * 0.2 * 0.6 ** (letters - 7)
    return {"num_words": max(round(usual * rng.uniform(0.6, 1.6)), 1), "num_letters": letters}


def _draw_no_repeats(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    fitting = [
        letters for letters, most in ((4, 40), (5, 60), (6, 120), (7, 200), (8, 300)) if drawing.answer_words <= most
    ]
    return {"num_letters": rng.choice(fitting[:2])} if fitting else None


def _draw_distinct(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    usual = 85 if drawing.answer_words <= 40 else 70 if drawing.answer_words <= 150 else 55
    return {"percent": usual + rng.choice((-10, -5, 0, 5))}


_LENGTHS = (
    ConstraintType(
        id="counting:longest_word",
        family="counting",
        parameters={"num_letters": int},
        allowed={"num_letters": _LETTERS},
        phrasings=say.LONGEST_WORD.phrasings,
        heldout_phrasings=say.LONGEST_WORD.heldout,
        verify=_verify_longest_word,
        draw=lambda rng, drawing: {"num_letters": rng.choice((6, 7, 8, 9, 10))},
        repair=checked(
            _verify_longest_word, lambda params, reply: mend.without_long_words(reply, params["num_letters"])
        ),
        words=say.LONGEST_WORD.words(),
        examples=(
            Example(
                {"num_letters": 5},
                "Well-known boats don't wait, café 1234567 does.",
                ("Boats waited.", "Boats don't wait: naïveté."),
            ),
        ),
        rank=1,
        excludes=frozenset({"counting:long_words"}),
        forbids=True,
    ),
    ConstraintType(
        id="counting:long_words",
        family="counting",
        parameters={"num_words": int, "num_letters": int},
        allowed={"num_words": _COUNTS, "num_letters": _LETTERS},
        phrasings=say.LONG_WORDS.phrasings,
        heldout_phrasings=say.LONG_WORDS.heldout,
        verify=_verify_long_words,
        draw=_draw_long_words,
        words=say.LONG_WORDS.words(),
        examples=(
            Example(
                {"num_words": 2, "num_letters": 6},
                "Boats waited at the harbour.",
                ("Boats wait at the harbour.", "Boats lie well-tied at the harbour."),
            ),
        ),
        excludes=frozenset({"counting:longest_word"}),
        least_words=lambda params: 3 * int(params["num_words"]),
    ),
    ConstraintType(
        id="counting:no_word_twice",
        family="counting",
        parameters={"num_letters": int},
        allowed={"num_letters": _LETTERS},
        phrasings=say.NO_REPEATS.phrasings,
        heldout_phrasings=say.NO_REPEATS.heldout,
        verify=_verify_no_repeats,
        draw=_draw_no_repeats,
        words=say.NO_REPEATS.words(),
        examples=(
            Example(
                {"num_letters": 4},
                "Boats wait, the boat and the sea do not.",
                ("Boats wait; boats do not.", "The WAIT is long, so wait."),
            ),
        ),
        excludes=frozenset({"keywords:frequency", "combination:repeat_prompt", "combination:two_responses"}),
        forbids=True,
    ),
    ConstraintType(
        id="counting:distinct_words",
        family="counting",
        parameters={"percent": int},
        allowed={"percent": range(1, 101)},
        phrasings=say.DISTINCT.phrasings,
        heldout_phrasings=say.DISTINCT.heldout,
        verify=_verify_distinct,
        draw=_draw_distinct,
        words=say.DISTINCT.words(),
        examples=(
            Example(
                {"percent": 75},
                "The boats wait, the",
                ("The boats the wait. Wait!", "Wait, boats, wait, boats."),
            ),
        ),
        excludes=frozenset({"keywords:frequency"}),
    ),
)

# ---------------------------------------------------------------- capitals, asides, marks


def _verify_capitalised(params: Params, reply: str) -> Verdict:
    unclear = units.uncountable_words(reply)
    if unclear is not None:
        return unclear
    spans = [span for span in units.word_spans(reply) if _is_capitalised(reply[slice(*span)])]
    thing = "words with a capital first letter"
    return judged_count(len(spans), params["relation"], params["num_words"], thing, tuple(spans[:MOST_SPANS]))


def _is_capitalised(word: str) -> bool:
    first = next((letter for letter in word if letter.isalnum()), "")
    return first.isupper() or first.istitle()


def _draw_capitalised(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    relation = rng.choice(RELATIONS)
    usual = drawing.answer_words / 12
    scale = rng.uniform(0.8, 1.8) if relation == "at least" else rng.uniform(1.0, 2.0)
    return {"relation": relation, "num_words": max(round(usual * scale), 3)}


def _capitalised_words(params: Params) -> dict[str, str]:
    return bounds(params["relation"], params["num_words"], "word", "words")


def _verify_asides(params: Params, reply: str) -> Verdict:
    spans = [found.span() for found in _ASIDE.finditer(reply) if reply[found.start() + 1 : found.end() - 1].strip()]
    wanted = params["num_parentheses"]
    return judged_range(len(spans), wanted, wanted, "remarks in parentheses", tuple(spans[:MOST_SPANS]))


def _verify_semicolons(params: Params, reply: str) -> Verdict:
    spans = [found.span() for found in _SEMICOLON.finditer(reply)]
    wanted = params["num_semicolons"]
    return judged_range(len(spans), wanted, wanted, "semicolons", tuple(spans[:MOST_SPANS]))


def _verify_acronyms(params: Params, reply: str) -> Verdict:
    wanted = params["num_acronyms"]
    # In a text of capitals no word stands out as an acronym.
    small = sum(map(str.islower, reply))
    if 2 * small < sum(map(str.isupper, reply)):
        return failed("most letters are capitals, so that no word stands out as an acronym", 0.0, (), -wanted)
    first: dict[str, Span] = {}
    for found in _ACRONYM.finditer(reply):
        first.setdefault(found.group().replace(".", ""), found.span())
    return judged_range(len(first), wanted, None, "different acronyms", tuple(first.values())[:MOST_SPANS])


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{spelled(number)} times")


def _aside_words(params: Params) -> dict[str, str]:
    number = params["num_parentheses"]
    return {
        "n": str(number),
        "remarks": f"{spelled(number)} remark{'' if number == 1 else 's'}",
        "times": _times(number),
    }


def _semicolon_words(params: Params) -> dict[str, str]:
    return {**counted(params["num_semicolons"]), "times": _times(params["num_semicolons"])}


def _acronym_words(params: Params) -> dict[str, str]:
    number = params["num_acronyms"]
    return {**counted(number), "occur": "occurs" if number == 1 else "occur"}


_MARKS = (
    ConstraintType(
        id="change_case:capitalised_words",
        family="change_case",
        parameters={"relation": str, "num_words": int},
        allowed={"relation": RELATIONS, "num_words": _COUNTS},
        phrasings=say.CAPITALISED.phrasings,
        heldout_phrasings=say.CAPITALISED.heldout,
        verify=_verify_capitalised,
        draw=_draw_capitalised,
        words=say.CAPITALISED.words(_capitalised_words),
        examples=(
            Example(
                {"relation": "at least", "num_words": 3},
                '"Émile met Ann and me in "Oslo".',
                ('"Émile met ann and me in "Oslo".', "émile met Ann and me in Oslo.", "eMILE ANN 3D"),
            ),
            Example({"relation": "less than", "num_words": 2}, "Go to bed.", ("Go to Bed.", "Go, Ann, go to Oslo.")),
        ),
        excludes=_CASES,
    ),
    ConstraintType(
        id="tally:parentheses",
        family="tally",
        parameters={"num_parentheses": int},
        allowed={"num_parentheses": _COUNTS},
        phrasings=say.PARENTHESES.phrasings,
        heldout_phrasings=say.PARENTHESES.heldout,
        verify=_verify_asides,
        draw=lambda rng, drawing: {"num_parentheses": rng.randint(1, 4)},
        repair=checked(_verify_asides, lambda params, reply: mend.without_asides(reply, params["num_parentheses"])),
        words=say.PARENTHESES.words(_aside_words),
        examples=(
            Example(
                {"num_parentheses": 2},
                "1) Boats (old ones) wait for [tides](x.org) :) (mostly).",
                ("Boats (old ones) wait (mostly.", "Boats (old ones) wait () here.", "(a) (b) (c)"),
            ),
        ),
        rank=36,
    ),
    ConstraintType(
        id="tally:semicolons",
        family="tally",
        parameters={"num_semicolons": int},
        allowed={"num_semicolons": _COUNTS},
        phrasings=say.SEMICOLONS.phrasings,
        heldout_phrasings=say.SEMICOLONS.heldout,
        verify=_verify_semicolons,
        draw=lambda rng, drawing: {"num_semicolons": rng.randint(1, 3)},
        repair=checked(_verify_semicolons, lambda params, reply: mend.with_semicolons(reply, params["num_semicolons"])),
        words=say.SEMICOLONS.words(_semicolon_words),
        examples=(
            Example(
                {"num_semicolons": 1},
                "Boats wait; gulls don't.",
                ("Boats wait: gulls don't.", "Boats wait; gulls don't; why?", "Boats wait, gulls don't."),
            ),
        ),
        rank=36,
    ),
    ConstraintType(
        id="tally:acronyms",
        family="tally",
        parameters={"num_acronyms": int},
        allowed={"num_acronyms": _COUNTS},
        phrasings=say.ACRONYMS.phrasings,
        heldout_phrasings=say.ACRONYMS.heldout,
        verify=_verify_acronyms,
        draw=lambda rng, drawing: {"num_acronyms": rng.randint(1, 3)},
        words=say.ACRONYMS.words(_acronym_words),
        examples=(
            Example(
                {"num_acronyms": 2},
                "The U.K. has two kinds of ATMs along the coast.",
                (
                    "The U.K. has its own banks.",
                    "An ATM is an ATM, however old.",
                    "THE ATM AND THE GPS",
                    "I saw A and B.",
                ),
            ),
        ),
        excludes=_CASES,
    ),
)

# ---------------------------------------------------------------- an acrostic of lines


def _initials(params: Params) -> list[str]:
    """The initials that are wanted, or a `VerifierError` when the word is none."""
    word = params["word"]
    if not (word.isalpha() and 2 <= len(word) <= 60):
        raise VerifierError(
            f"letters:acrostic_lines: word should be 2 to 60 letters, found {word!r:.200}", "Give one word."
        )
    return [units.first_letter(letter) for letter in word]


def _verify_acrostic(params: Params, reply: str) -> Verdict:
    wanted, spans = _initials(params), units.line_ranges(reply)
    found = [units.first_letter(reply[slice(*span)]) for span in spans]
    wrong = [at for at, letter in enumerate(found) if at >= len(wanted) or letter != wanted[at]]
    read, goal = "".join(letter or "?" for letter in found[:80]), "".join(wanted)
    said = f"the lines begin with {read!r}, wanted {goal!r}"
    if found == list(wanted):
        return passed(said, tuple(spans[:MOST_SPANS]))
    score = (len(found) - len(wrong)) / max(len(found), len(wanted))
    return failed(said, score, tuple(spans[at] for at in wrong[:MOST_SPANS]), len(found) - len(wanted))


def _draw_acrostic(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    fitting = [word for word in _ACROSTICS.split() if 6 * len(word) <= drawing.answer_words]
    return {"word": rng.choice(fitting)} if fitting else None


def _acrostic_words(params: Params) -> dict[str, str]:
    word = params["word"].upper()
    return {"word": f'"{word}"', "letters": ", ".join(word), "n": spelled(len(word))}


_INITIALS = (
    ConstraintType(
        id="letters:acrostic_lines",
        family="letters",
        parameters={"word": str},
        phrasings=say.ACROSTIC_LINES.phrasings,
        heldout_phrasings=say.ACROSTIC_LINES.heldout,
        verify=_verify_acrostic,
        draw=_draw_acrostic,
        words=say.ACROSTIC_LINES.words(_acrostic_words),
        examples=(
            Example(
                {"word": "Tea"},
                "Then water boils,\n- each leaf opens,\n\n**and** we drink.",
                ("Then water boils,\neach leaf opens.", "Then water boils,\nleaves open,\nand we drink.", "T\nE\nA\nS"),
            ),
        ),
        excludes=PARAGRAPH_COUNTS
        | {"opening", "letters:acrostic", "language", "startend", "lines", "detectable_content"}
        | {"detectable_format", "combination", "counting:sentences_per_paragraph"},
        least_words=lambda params: 3 * len(params["word"]),
    ),
)

TYPES: tuple[ConstraintType, ...] = (*_LENGTHS, *_MARKS, *_INITIALS)
