"""IFEval's case constraints: all capitals, all lower case, and how many words stand in capitals."""

from __future__ import annotations

import random
import re
from typing import Any

from adhere.core.verifier import Verdict
from adhere.verify.constraint import ConstraintType, Drawing, Example, Params, failed, judged_count, passed
from adhere.verify.families import case_wording as wording_of
from adhere.verify.text import capital_words, content_words, language_of
from adhere.verify.wording import RELATIONS, bounds

# Words whose capitals make one Treebank token: no apostrophe, hyphen, period or letter touches them.
_PLAIN_WORD = re.compile(r"(?<![\w'’.\-])[A-Za-z]{4,}(?![\w'’.\-])")
_CAPITALS = re.compile(r"(?<![\w'’.\-])[A-Z]{2,}(?![\w'’\-])")


def _verify_frequency(params: Params, reply: str) -> Verdict:
    found = len(capital_words(reply))
    return judged_count(found, params["capital_relation"], params["capital_frequency"], "words in all capitals")


def _verify_capital(_: Params, reply: str) -> Verdict:
    return _verify_case(reply, reply.isupper(), str.islower, "capitals")


def _verify_lowercase(_: Params, reply: str) -> Verdict:
    return _verify_case(reply, reply.islower(), str.isupper, "lower case")


def _verify_case(reply: str, holds: bool, wrong: Any, said: str) -> Verdict:
    """All of one case and English; without letters there is no case, so that fails."""
    cased = sum(letter.isupper() or letter.islower() for letter in reply)
    if not holds:
        misses = sum(map(wrong, reply))
        return failed(f"{misses} of {cased} letters are not in {said}", 0.9 * (1 - misses / cased) if cased else 0.0)
    language = language_of(reply)
    if language not in (None, "en"):
        return failed(f"all in {said}, but the language reads as {language!r}, wanted English", 0.9)
    return passed(f"all {cased} letters in {said}")


def _repair_frequency(params: Params, reply: str) -> str | None:
    found, wanted = len(capital_words(reply)), params["capital_frequency"]
    if params["capital_relation"] == "at least":
        return reply if found >= wanted else _with_capitals(reply, wanted - found)
    return reply if found < wanted else _with_fewer_capitals(reply, found - wanted + 1)


def _with_capitals(reply: str, number: int) -> str | None:
    """The reply with that many more words in capitals, the ones that carry the subject, spread evenly."""
    telling = set(content_words(reply))
    spots = [match for match in _PLAIN_WORD.finditer(reply) if not match.group().isupper()]
    chosen = [match for match in spots if match.group().lower() in telling]
    if len(chosen) < number:
        chosen = spots
    if len(chosen) < number:
        return None
    picked = {chosen[at * len(chosen) // number].start() for at in range(number)}
    return _PLAIN_WORD.sub(lambda match: match.group().upper() if match.start() in picked else match.group(), reply)


def _with_fewer_capitals(reply: str, number: int) -> str | None:
    """The reply with that many fewer words in capitals, the longest first, since short ones tend to be acronyms."""
    spots = sorted(_CAPITALS.finditer(reply), key=lambda match: (-len(match.group()), match.start()))
    if len(spots) < number:
        return None
    picked = {match.start() for match in spots[:number]}

    def lowered(match: re.Match[str]) -> str:
        if match.start() not in picked:
            return match.group()
        opens = not reply[: match.start()][-3:].strip(" *#\"'(") or reply[: match.start()].rstrip()[-1:] in ".!?:"
        return match.group().capitalize() if opens else match.group().lower()

    return _CAPITALS.sub(lowered, reply)


def _draw_frequency(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    relation = rng.choice(RELATIONS)
    most = max(2, min(20, drawing.answer_words // 8))
    low = 1 if relation == "at least" else 2
    return {"capital_relation": relation, "capital_frequency": rng.randint(low, most)}


def _draw_plain(_: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    # The language is part of these two checks, and it cannot be told from a handful of words.
    return {} if drawing.answer_words >= 15 else None


def _frequency_words(params: Params) -> dict[str, str]:
    counts = bounds(params["capital_relation"], params["capital_frequency"], "word", "words")
    times = bounds(params["capital_relation"], params["capital_frequency"], "time", "times")
    return {**counts, "times": times["bound"], "cap_times": times["cap"]}


TYPES: tuple[ConstraintType, ...] = (
    ConstraintType(
        id="change_case:capital_word_frequency",
        family="change_case",
        parameters={"capital_relation": str, "capital_frequency": int},
        phrasings=wording_of.FREQUENCY,
        heldout_phrasings=wording_of.FREQUENCY_HELDOUT,
        verify=_verify_frequency,
        draw=_draw_frequency,
        repair=_repair_frequency,
        words=_frequency_words,
        examples=(
            Example(
                {"capital_relation": "at least", "capital_frequency": 3},
                "NASA says that I should look UP tonight.",
                ("NASA says that you should look UP tonight.", "Nasa Says That You Should Look Up In 2024."),
            ),
            Example(
                {"capital_relation": "less than", "capital_frequency": 2},
                "Never open the valve while the pump is ON.",
                ("NEVER open the valve while the pump is ON.", "I said what I said."),
            ),
        ),
    ),
    ConstraintType(
        id="change_case:english_capital",
        family="change_case",
        parameters={},
        phrasings=wording_of.CAPITAL,
        heldout_phrasings=wording_of.CAPITAL_HELDOUT,
        verify=_verify_capital,
        draw=_draw_plain,
        repair=lambda params, reply: reply.upper(),
        words=lambda params: {},
        examples=(
            Example(
                {},
                "THE MUSEUM IS OPEN EVERY DAY EXCEPT MONDAY AND THE ENTRANCE IS FREE FOR CHILDREN.",
                (
                    "THE MUSEUM IS OPEN EVERY DAY EXCEPT MONDAY AND THE ENTRANCE IS FREE FOR CHILDREn.",
                    "DAS MUSEUM IST JEDEN TAG AUSSER MONTAG OFFEN UND DER EINTRITT IST FREI.",
                    "2024",
                ),
            ),
        ),
    ),
    ConstraintType(
        id="change_case:english_lowercase",
        family="change_case",
        parameters={},
        phrasings=wording_of.LOWERCASE,
        heldout_phrasings=wording_of.LOWERCASE_HELDOUT,
        verify=_verify_lowercase,
        draw=_draw_plain,
        repair=lambda params, reply: reply.lower(),
        words=lambda params: {},
        examples=(
            Example(
                {},
                "the museum is open every day except monday and the entrance is free for children.",
                (
                    "the museum is open every day except Monday and the entrance is free for children.",
                    "le musée est ouvert tous les jours sauf le lundi et les enfants ne paient rien.",
                    "2024",
                ),
            ),
        ),
    ),
)
