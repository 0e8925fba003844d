"""IFEval's length constraints: sentences, paragraphs, words, and the first word of a paragraph.

The mended readings are in `length_mended`.
"""

from __future__ import annotations

import random
import re
from typing import Any

from adhere.core.verifier import Verdict
from adhere.verify.additions import OPENINGS, opened_with
from adhere.verify.constraint import ConstraintType, Drawing, Example, Params, failed, judged_count, passed
from adhere.verify.families import length_mended
from adhere.verify.families import length_wording as wording_of
from adhere.verify.families.length_mended import checked_place
from adhere.verify.pieces import regroup
from adhere.verify.rewriting import cut_to_fit
from adhere.verify.spans import WORD, counted_spans, first_spans
from adhere.verify.text import sentence_spans, words
from adhere.verify.wording import RELATIONS, bounds, ordinal

_BREAK = re.compile(r"\n\n")
_RULE = re.compile(r"\s?\*\*\*\s?")
_WORD_ENDS = frozenset(".,?!'\"")
_COUNTS = range(1, 1_000_001)
_FEWEST_WORDS = 10  # of a paragraph, where there is a word limit
_RULE_LINE = "\n\n***\n\n"


def _verify_sentences(params: Params, reply: str) -> Verdict:
    found = sentence_spans(reply)
    return judged_count(len(found), params["relation"], params["num_sentences"], "sentences", first_spans(found))


def _verify_words(params: Params, reply: str) -> Verdict:
    found, spans = counted_spans(WORD.finditer(reply))
    return judged_count(found, params["relation"], params["num_words"], "words", spans)


def _verify_paragraphs(params: Params, reply: str) -> Verdict:
    parts, wanted = _parts(_RULE, reply), params["num_paragraphs"]
    written = [part for part in parts if reply[slice(*part)].strip()]
    blank = [part for part in parts[1:-1] if not reply[slice(*part)].strip()]
    if blank:
        return failed("a paragraph between two rules of asterisks is blank", spans=first_spans(blank))
    return judged_count(len(written), "exactly", wanted, "paragraphs", first_spans(written))


def _parts(break_: re.Pattern[str], reply: str) -> list[tuple[int, int]]:
    """Where the parts between breaks stand, blank ones included."""
    breaks = [found.span() for found in break_.finditer(reply)]
    starts, stops = [0, *(stop for _, stop in breaks)], [*(start for start, _ in breaks), len(reply)]
    return list(zip(starts, stops, strict=True))


def _verify_first_word(params: Params, reply: str) -> Verdict:
    nth, wanted = checked_place(params), params["num_paragraphs"]
    first = params["first_word"].lower()
    parts = _parts(_BREAK, reply)
    count = sum(bool(reply[slice(*part)].strip()) for part in parts)
    if nth > count or not reply[slice(*parts[nth - 1])].strip():
        return failed(f"there is no paragraph {nth}: {count} paragraphs, wanted {wanted}", miss=count - wanted)
    start, stop = parts[nth - 1]
    paragraph = reply[start:stop]
    found = _first_word(paragraph)
    said = f"paragraph {nth} starts with {found[:40]!r}, wanted {first!r}; {count} paragraphs, wanted {wanted}"
    token = start + len(paragraph) - len(paragraph.lstrip())
    spans = ((token, token + len(paragraph.split(maxsplit=1)[0])),)
    if count == wanted and found == first:
        return passed(said, spans)
    return failed(said, 0.5 * (count == wanted) + 0.5 * (found == first), spans, count - wanted)


def _first_word(paragraph: str) -> str:
    """The first word as IFEval reads it: leading quotes go, a mark ends it, a colon or asterisk is part of it."""
    token = paragraph.split(maxsplit=1)[0].lstrip("'").lstrip('"')
    end = next((at for at, letter in enumerate(token) if letter in _WORD_ENDS), len(token))
    return token[:end].lower()


def _repair_sentences(params: Params, reply: str) -> str | None:
    if params["relation"] != "less than" or params["num_sentences"] < 2:
        return None
    limit = params["num_sentences"]
    return cut_to_fit(reply, lambda text: len(sentence_spans(text)) < limit)


def _repair_words(params: Params, reply: str) -> str | None:
    if params["relation"] != "less than":
        return None
    limit = params["num_words"]
    cut = cut_to_fit(reply, lambda text: len(words(text)) < limit)
    # A cut that throws nearly everything away answers nothing: end inside the first sentence, at a clause, instead.
    return cut if cut is not None and 2 * len(words(cut)) >= limit else _cut_at_clause(reply, limit) or cut


def _cut_at_clause(reply: str, limit: int) -> str | None:
    """The reply up to the last comma, semicolon or conjunction within the limit, closed with a period."""
    spans = [match.span() for match in re.finditer(r"\w+", reply)]
    if limit < 4 or len(spans) < limit:
        return None
    text = reply[: spans[limit - 2][1]]
    clauses = [match.start() for match in re.finditer(r"[,;] | (?:and|but|because|which|while|so) ", text)]
    if not clauses or 2 * len(words(text[: clauses[-1]])) < limit:
        return None
    return text[: clauses[-1]].rstrip(" ,;:-") + "."


def _repair_paragraphs(params: Params, reply: str) -> str | None:
    parts = regroup(reply, params["num_paragraphs"])
    if parts is None:
        return None
    plain = [re.sub(r"^[^\S\n]*(?:\*[^\S\n]*){3,}$\n?", "", part, flags=re.MULTILINE) for part in parts]
    return _RULE_LINE.join(re.sub(r"\*{3,}", "**", part) for part in plain)


def _repair_first_word(params: Params, reply: str) -> str | None:
    parts = regroup(reply, params["num_paragraphs"])
    if parts is None or not 1 <= params["nth_paragraph"] <= len(parts):
        return None
    at, first = params["nth_paragraph"] - 1, params["first_word"]
    if _first_word(parts[at]) != first.lower():
        parts[at] = opened_with(first, parts[at])
    return "\n\n".join(parts)


def _rounded(rng: random.Random, value: float, low: int, high: int) -> int:
    """A count as people choose it: mostly round, sometimes odd."""
    step = rng.choice((1, 5, 10, 10, 10, 25, 50)) if value >= 50 else rng.choice((1, 5, 5, 10))
    return int(min(max(step * round(value / step), low), high))


def _draw_words(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    relation = rng.choice(RELATIONS)
    scale = rng.uniform(0.4, 1.2) if relation == "at least" else rng.uniform(0.5, 1.4)
    return {"relation": relation, "num_words": _rounded(rng, drawing.answer_words * scale, 20, 400)}


def _draw_sentences(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    relation = rng.choice(RELATIONS)
    usual = drawing.answer_words / 17
    scale = rng.uniform(0.5, 1.2) if relation == "at least" else rng.uniform(0.5, 1.6)
    return {"relation": relation, "num_sentences": min(max(round(usual * scale), 2), 20)}


def _draw_paragraphs(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    if drawing.answer_words < 30:
        return None
    return {"num_paragraphs": rng.randint(2, max(2, min(6, drawing.answer_words // 25)))}


def _draw_first_word(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    drawn = _draw_paragraphs(rng, drawing)
    if drawn is None:
        return None
    first = rng.choice(tuple(OPENINGS))
    return {**drawn, "nth_paragraph": rng.randint(1, drawn["num_paragraphs"]), "first_word": first}


def _paragraph_words(params: Params) -> dict[str, str]:
    return {"n": str(params["num_paragraphs"]), "breaks": str(params["num_paragraphs"] - 1)}


def _first_word_words(params: Params) -> dict[str, str]:
    nth = params["nth_paragraph"]
    return {"n": str(params["num_paragraphs"]), "nth": ordinal(nth), "k": str(nth), "first": params["first_word"]}


TYPES: tuple[ConstraintType, ...] = (
    ConstraintType(
        id="length_constraints:number_sentences",
        family="length_constraints",
        parameters={"relation": str, "num_sentences": int},
        phrasings=wording_of.SENTENCES,
        heldout_phrasings=wording_of.SENTENCES_HELDOUT,
        verify=_verify_sentences,
        mended=length_mended.sentences_said,
        allowed={"relation": RELATIONS, "num_sentences": _COUNTS},
        rank=3,
        draw=_draw_sentences,
        repair=_repair_sentences,
        words=lambda params: bounds(params["relation"], params["num_sentences"], "sentence", "sentences"),
        examples=(
            Example(
                {"relation": "at least", "num_sentences": 3},
                "Dr. Smith left early. He ran to the station. The train was late.",
                (
                    "Dr. Smith left early. He ran to the station, and the train was late.",
                    "Dr. Smith left early\nHe ran to the station\nThe train was late",
                ),
            ),
            Example(
                {"relation": "less than", "num_sentences": 3},
                "Soak the beans overnight. Then boil them for an hour.",
                ("Soak the beans overnight. Drain them. Then boil them for an hour.", "1. Soak them.\n2. Boil them."),
            ),
        ),
    ),
    ConstraintType(
        id="length_constraints:number_paragraphs",
        family="length_constraints",
        parameters={"num_paragraphs": int},
        phrasings=wording_of.PARAGRAPHS,
        heldout_phrasings=wording_of.PARAGRAPHS_HELDOUT,
        verify=_verify_paragraphs,
        mended=length_mended.paragraphs_between_rules,
        allowed={"num_paragraphs": _COUNTS},
        rank=21,
        excludes=frozenset(("length_constraints:nth_paragraph_first_word", "length_constraints:number_sentences")),
        least_words=lambda params: _FEWEST_WORDS * params["num_paragraphs"],
        draw=_draw_paragraphs,
        repair=_repair_paragraphs,
        words=_paragraph_words,
        examples=(
            Example(
                {"num_paragraphs": 2},
                "Water the plant once a week.\n\n***\n\nKeep it away from direct sun.",
                (
                    "Water the plant once a week.\n\nKeep it away from direct sun.",
                    "Water the plant once a week.\n\n***\n\nKeep it away from the sun.\n\n***\n\nFeed it in spring.",
                    "Water the plant once a week.\n\n---\n\nKeep it away from direct sun.",
                ),
            ),
        ),
    ),
    ConstraintType(
        id="length_constraints:number_words",
        family="length_constraints",
        parameters={"relation": str, "num_words": int},
        phrasings=wording_of.WORDS,
        heldout_phrasings=wording_of.WORDS_HELDOUT,
        verify=_verify_words,
        mended=length_mended.words_said,
        allowed={"relation": RELATIONS, "num_words": _COUNTS},
        rank=2,
        forbids=True,
        draw=_draw_words,
        repair=_repair_words,
        words=lambda params: bounds(params["relation"], params["num_words"], "word", "words"),
        examples=(
            Example(
                {"relation": "at least", "num_words": 8},
                "A modern lamp saves power and lasts for years.",
                ("A modern lamp saves a lot more.", "A lamp."),
            ),
            Example(
                {"relation": "less than", "num_words": 5},
                "Boil it for ten.",
                ("Boil it for ten minutes.", "Don't boil it twice."),
            ),
        ),
    ),
    ConstraintType(
        id="length_constraints:nth_paragraph_first_word",
        family="length_constraints",
        parameters={"num_paragraphs": int, "nth_paragraph": int, "first_word": str},
        phrasings=wording_of.FIRST_WORD,
        heldout_phrasings=wording_of.FIRST_WORD_HELDOUT,
        verify=_verify_first_word,
        mended=length_mended.first_word_of_paragraph,
        allowed={"num_paragraphs": _COUNTS, "nth_paragraph": _COUNTS},
        rank=27,
        excludes=frozenset(
            (
                "length_constraints:number_sentences",
                "detectable_content",
                "detectable_format:number_bullet_lists",
                "detectable_format:multiple_sections",
                "detectable_format:title",
            )
        ),
        demands=lambda params: (params["first_word"],),
        least_words=lambda params: _FEWEST_WORDS * params["num_paragraphs"],
        draw=_draw_first_word,
        repair=_repair_first_word,
        words=_first_word_words,
        examples=(
            Example(
                {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "later"},
                "The shop opens at nine.\n\nLater, around noon, it gets busy.",
                (
                    "The shop opens at nine.\nLater, around noon, it gets busy.",
                    "The shop opens at nine.\n\nAround noon, later than usual, it gets busy.",
                    "The shop opens at nine.\n\n**Later** it gets busy.",
                    "The shop opens at nine.\n\nLater it gets busy.\n\nIt closes at six.",
                ),
            ),
        ),
    ),
)
