"""IFEval's punctuation constraint: no comma."""

from __future__ import annotations

import random
import re
from typing import Any

from adhere.core.verifier import Verdict
from adhere.verify.constraint import ConstraintType, Drawing, Example, Params, failed, passed
from adhere.verify.text import words

_FEWEST_WORDS = 8  # a shorter reply had hardly an occasion for a comma
_JOINING = re.compile(r",(?=\s*(?:and|or|but|nor|so|yet|which|who|where|while|because|that|then)\b)", re.IGNORECASE)
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}\b)")
_OPENER = re.compile(
    r"(?<![^\n.!?:])(\s*(?:However|Therefore|Moreover|Furthermore|Additionally|Finally|First|Second|Third|Next|Then|Also"
    r"|Thus|Meanwhile|Instead|Overall|Today|Sure|Yes|No|Well|Hello|Hi|Dear \w+)),",
)


def _verify(_: Params, reply: str) -> Verdict:
    at = [match.start() for match in re.finditer(",", reply)]
    if not at:
        return passed("no comma", vacuous=len(words(reply)) < _FEWEST_WORDS)
    spans = tuple((start, start + 1) for start in at)
    return failed(f"{len(at)} commas, wanted none", 1.0 - len(at) / max(len(words(reply)), 1), spans)


def _repair(_: Params, reply: str) -> str | None:
    """Commas before conjunctions, after opening words and in numbers go; a comma before a name part becomes a dash."""
    text = _GROUPED.sub("", reply)
    text = _JOINING.sub("", text)
    text = _OPENER.sub(r"\1", text)
    text = re.sub(r",(?=[\"'”’)\]]|\s*$)", "", text, flags=re.MULTILINE)
    return re.sub(r"[ \t]*,", " -", text) if text.count(",") <= _dashes_that_read_well(text) else text.replace(",", "")


def _dashes_that_read_well(text: str) -> int:
    """One dash per forty words; a list with a dash for every comma reads worse than one without any mark."""
    return len(words(text)) // 40


def _draw(_: random.Random, __: Drawing) -> dict[str, Any] | None:
    return {}


TYPES: tuple[ConstraintType, ...] = (
    ConstraintType(
        id="punctuation:no_comma",
        family="punctuation",
        parameters={},
        phrasings=(
            "Do not use any commas.",
            "Your answer should not contain a single comma.",
            "Make sure there are no commas in your response.",
            "Avoid commas entirely.",
            "Write the whole reply without commas.",
            "Please refrain from using commas anywhere.",
            "In your entire response, leave commas out.",
            "You are not allowed to use the comma in this answer.",
            "No commas, please.",
            "The use of commas is forbidden.",
            "Keep the text comma-free.",
            "The reply must hold zero commas.",
            "Commas may not appear in what you write.",
            "Answer using any punctuation except commas.",
        ),
        heldout_phrasings=(
            "I can't stand commas, so write this so that none is needed.",
            "Treat the comma as a character that does not exist.",
            "Use periods if you must, but under no circumstances a comma.",
            "The comma key on my keyboard is broken: give me text that does without it.",
            "Every sentence has to get by without a comma.",
        ),
        verify=_verify,
        draw=_draw,
        repair=_repair,
        words=lambda params: {},
        examples=(
            Example(
                {},
                "Rain fell all night and the river rose. By dawn the bridge was closed.",
                (
                    "Rain fell all night, and the river rose. By dawn the bridge was closed.",
                    "The town has 12,000 people and one bridge over the river.",
                ),
            ),
        ),
    ),
)
