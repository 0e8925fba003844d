"""IFEval's punctuation constraint: no comma.

The faithful reading knows the ASCII comma only, so that a reply gets by with full-width, ideographic or Arabic ones;
the mended one (`adhere.verify.registers`) counts the commas of all scripts.
"""

from __future__ import annotations

import random
import re
from typing import Any

from adhere.core.verifier import Verdict
from adhere.verify.constraint import ConstraintType, Drawing, Example, Params, failed, passed
from adhere.verify.spans import counted_spans
from adhere.verify.text import words

_FEWEST_WORDS = 8  # a shorter reply had hardly an occasion for a comma
_COMMA = re.compile(",")
# Full-width, ideographic, small and half-width forms; Arabic, Ethiopic, Mongolian, N'Ko, Bamum; raised and turned.
_OTHER_COMMAS = "，、﹐﹑､︐︑،፣᠂᠈߸꛵⸲⸴⹁⹌"
_ANY_COMMA = re.compile(f"[,{_OTHER_COMMAS}]")
_GROUPED = re.compile(r"(?<=\d),(?=\d{3}\b)")
_MOST_JOINED = 4
# One to two words between the commas: longer parts are clauses as often as they are items.
_ITEM = r"[^\W\d_][\w'’\-]*(?: [^\W\d_][\w'’\-]*)?"
_ENUMERATION = re.compile(
    rf"(?<![\w'’\-])(?P<items>[^\W\d_][\w'’\-]*(?:, {_ITEM}){{1,6}}),? (?P<joint>and|or) (?P<last>[^\W\d_][\w'’\-]*)"
)
_NO_ITEM = re.compile(
    r"(?:an?|the|my|your|his|her|its|our|their|so|yes|no|well|oh|then|now|today|here|it|not)\b", re.IGNORECASE
)
_ADJECTIVE = re.compile(r"(?:ful|ous|ive|able|ible|less|ish|ic|al|ant|ent|ed|ing|y)$")


def _verify(_: Params, reply: str) -> Verdict:
    return _without(_COMMA, reply)


def _mended(_: Params, reply: str) -> Verdict:
    return _without(_ANY_COMMA, reply)


def _without(comma: re.Pattern[str], reply: str) -> Verdict:
    found, spans = counted_spans(comma.finditer(reply))
    if not found:
        return passed("no comma", vacuous=len(words(reply)) < _FEWEST_WORDS)
    return failed(f"{found} commas, wanted none", 1.0 - found / max(len(words(reply)), 1), spans, found)


def _repair(_: Params, reply: str) -> str:
    """The reply without commas: enumerations take their conjunction throughout, everywhere else the comma is dropped.

    Dashes and semicolons in place of commas read worse than a sentence that gets by without.
    """
    text = _GROUPED.sub("", reply)
    text = _ENUMERATION.sub(_spelled_out, text)
    text = re.sub(r",(?=[^\W_])", " ", text).replace(",", "")
    return re.sub(rf"[{_OTHER_COMMAS}][^\S\n]*(?P<more>\w?)", _spaced, text)


def _spaced(found: re.Match[str]) -> str:
    return " " + found["more"] if found["more"] else ""


def _spelled_out(found: re.Match[str]) -> str:
    """ "bread, milk and tea" as "bread and milk and tea"; adjectives before a noun keep to their order without it."""
    items = [item.strip() for item in found.group("items").split(",") if item.strip()]
    joint = found.group("joint")
    if len(items) + 1 > _MOST_JOINED or _ADJECTIVE.search(items[0]) or any(map(_NO_ITEM.match, items)):
        return found.group().replace(",", "")
    return f" {joint} ".join([*items, found.group("last")])


def _draw(_: random.Random, __: Drawing) -> dict[str, Any] | None:
    return {}


TYPES: tuple[ConstraintType, ...] = (
    ConstraintType(
        id="punctuation:no_comma",
        family="punctuation",
        parameters={},
        phrasings=(
            "Write without using the comma.",
            "Your answer should not contain a single comma.",
            "Make sure there are no commas in your response.",
            "Avoid commas entirely.",
            "Write the whole reply without commas.",
            "Please refrain from using commas anywhere.",
            "In your entire response, leave commas out.",
            "The comma is off limits in this answer.",
            "No commas, please.",
            "The use of commas is forbidden.",
            "Keep the text comma-free.",
            "The reply must hold zero commas.",
            "Commas may not appear in what you write.",
            "Answer using any punctuation except commas.",
            "Could you answer without any comma?",
            "Commas: none.",
            "If a sentence needs a comma, rephrase it until it does not.",
            "Periods are fine but commas are to be left out.",
        ),
        heldout_phrasings=(
            "I can't stand commas, so write this so that none is needed.",
            "Treat the comma as a forbidden character.",
            "Use periods if you must, but under no circumstances a comma.",
            "My system cannot display commas, so give me text that does without them.",
            "Every sentence has to get by without a comma.",
        ),
        verify=_verify,
        mended=_mended,
        rank=6,
        forbids=True,
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
