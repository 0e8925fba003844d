"""Where words stand: in order, in a sentence, at a place, close to each other."""

from __future__ import annotations

import itertools
import random
from bisect import bisect_left, bisect_right
from typing import Any

from adhere.core.errors import VerifierError
from adhere.core.verifier import Verdict
from adhere.verify import additions
from adhere.verify.constraint import ConstraintType, Drawing, Example, Params, failed, judged_range, passed
from adhere.verify.families import vocabulary_wording as wording_of
from adhere.verify.folding import Span, named, strings, whole_words, word_spans
from adhere.verify.rewriting import append_sentence
from adhere.verify.spans import first_spans
from adhere.verify.subject import nouns
from adhere.verify.units import sentence_ranges
from adhere.verify.wording import listed, ordinal

_COMMON = tuple(additions.COMMON)
_LAST = -1

# Words that can stand nearly anywhere in a first sentence.
_ANYWHERE_TEXT = "often people today together time world many with from about their most when because simple new"
_ANYWHERE = tuple(_ANYWHERE_TEXT.split())


def _verify_order(params: Params, reply: str) -> Verdict:
    keywords = list(dict.fromkeys(strings(params["keywords"], "keywords")))
    firsts = [(word, found[0]) for word in keywords if (found := whole_words([word], reply))]
    missing = [word for word in keywords if word not in dict(firsts)]
    right = 1 + sum(one[1][0] < other[1][0] for one, other in itertools.pairwise(firsts)) if firsts else 0
    spans = first_spans(span for _, span in firsts)
    if missing:
        return failed(f"{listed(missing)} not found", 0.9 * right / len(keywords))
    if right < len(keywords):
        order = [word for word, _ in sorted(firsts, key=lambda one: one[1])]
        return failed(f"first found in the order {listed(order)}", right / len(keywords), spans)
    return passed(f"first found in the order {listed(keywords)}", spans)


def _repair_order(params: Params, reply: str) -> str | None:
    """Words still missing are mentioned at the end, where the others already stand in order before them."""
    keywords = list(dict.fromkeys(params["keywords"]))
    there = [word for word in keywords if whole_words([word], reply)]
    missing = keywords[len(there) :]
    if not missing or there != keywords[: len(there)] or len(missing) > additions.MOST_MENTIONS:
        return None
    # One by one: sentences of their own may come out of order where several are mentioned at once.
    text = reply
    for word in missing:
        text = append_sentence(text, additions.mentions(word, 1, text)[0])
    return text


def _verify_sentence(params: Params, reply: str) -> Verdict:
    keyword, at = named(params, params["keyword"]), params["sentence"]
    if at == 0:
        raise VerifierError("keywords:in_sentence: there is no sentence 0", "Count from 1, or give -1 for the last.")
    spans, ranges = whole_words([keyword], reply), sentence_ranges(reply)
    nth = "last" if at == _LAST else ordinal(at)
    if at > len(ranges) or not ranges:
        return failed(f"there is no {nth} sentence: found {len(ranges)}", 0.3 * bool(spans), (), len(ranges) - at)
    start, stop = ranges[at if at == _LAST else at - 1]
    inside = [span for span in spans if start <= span[0] < stop]
    if inside:
        return passed(f"{keyword!r} found in the {nth} sentence", first_spans(inside))
    # Elsewhere is half of it.
    return failed(f"{keyword!r} not found in the {nth} sentence", 0.5 * bool(spans), ((start, stop),))


def _repair_sentence(params: Params, reply: str) -> str | None:
    if params["sentence"] != _LAST:
        return None
    return append_sentence(reply, additions.mentions(params["keyword"].strip(), 1, reply)[0])


def _verify_nth_word(params: Params, reply: str) -> Verdict:
    keyword, position = named(params, params["keyword"]), params["position"]
    every, hits = word_spans(reply), whole_words([keyword], reply)
    if len(every) < position:
        return failed(f"there are only {len(every)} words, wanted {keyword!r} as number {position}")
    start, stop = every[position - 1]
    found = [span for span in hits if span == (start, stop)]
    if found:
        return passed(f"word number {position} is {keyword!r}", first_spans(found))
    nearest = min((abs(bisect_left(every, span) + 1 - position) for span in hits), default=None)
    score = 0.0 if nearest is None else 0.9 / (1 + nearest)
    said = f"word number {position} is {reply[start:stop]!r:.60}, wanted {keyword!r}"
    return failed(said, score, ((start, stop),))


def _verify_together(params: Params, reply: str) -> Verdict:
    first, second = (whole_words([named(params, params[key])], reply) for key in ("first", "second"))
    ranges = sentence_ranges(reply)
    starts = [start for start, _ in ranges]
    holders = {bisect_right(starts, span[0]) - 1 for span in first} & {
        bisect_right(starts, span[0]) - 1 for span in second
    }
    said = f"{params['first']!r} and {params['second']!r}"
    if holders - {-1}:
        return passed(
            f"{said} found together in {len(holders)} sentences", first_spans(ranges[at] for at in sorted(holders))
        )
    score = 0.3 * (bool(first) + bool(second))
    return failed(f"no sentence with both {said}", score, first_spans(sorted([*first, *second])))


def _verify_near(params: Params, reply: str) -> Verdict:
    first, second = (whole_words([named(params, params[key])], reply) for key in ("first", "second"))
    said = f"{params['first']!r} and {params['second']!r}"
    if not first or not second:
        lacking = listed([params[key] for key, spans in (("first", first), ("second", second)) if not spans])
        return failed(f"{lacking} not found", 0.2 * (bool(first) + bool(second)))
    between, pair = _closest(first, second, word_spans(reply))
    return judged_range(between, None, params["between"], f"words between {said} where they are closest", pair)


def _closest(first: list[Span], second: list[Span], every: tuple[Span, ...]) -> tuple[int, tuple[Span, Span]]:
    """The fewest words between two occurrences, and where these stand."""
    marked = sorted([(span, 0) for span in first] + [(span, 1) for span in second])
    best: tuple[int, tuple[Span, Span]] | None = None
    last: dict[int, Span] = {}
    for span, which in marked:
        other = last.get(1 - which)
        if other is not None:
            between = max(bisect_left(every, (span[0], 0)) - bisect_left(every, (other[1], 0)), 0)
            if best is None or between < best[0]:
                best = between, (other, span)
        last[which] = span
    if best is None:  # both kinds occur, so that one always follows the other
        raise VerifierError("expected occurrences of both words, found those of one")
    return best


def _repair_pair(params: Params, reply: str) -> str | None:
    if params.get("between", 2) < 2:
        return None
    both = f"{params['first'].strip()} and the {params['second'].strip()}"
    return append_sentence(reply, additions.mentions(both, 1, reply)[0])


def _verify_every(params: Params, reply: str) -> Verdict:
    keyword = named(params, params["keyword"])
    ranges, spans = sentence_ranges(reply), whole_words([keyword], reply)
    if not ranges:
        return failed("there is no sentence with a letter in it")
    starts = [start for start, _ in ranges]
    holders = {bisect_right(starts, span[0]) - 1 for span in spans}
    without = [span for at, span in enumerate(ranges) if at not in holders]
    if not without:
        return passed(f"{keyword!r} found in each of {len(ranges)} sentences", first_spans(spans))
    said = f"{len(without)} of {len(ranges)} sentences are without {keyword!r}"
    return failed(said, 1.0 - len(without) / len(ranges), first_spans(without), -len(without))


# ---------------------------------------------------------------- drawing


def drawn_words(rng: random.Random, drawing: Drawing, number: int) -> list[str]:
    """Distinct plain words, those of the instruction among them where it has any."""
    own = [word for word in nouns(drawing.instruction) if 4 <= len(word) <= 12]
    mine = rng.sample(own, min(len(own), rng.randint(0, number)))
    rest = [word for word in rng.sample(_COMMON, 2 * number) if word not in mine]
    drawn = [*mine, *rest][:number]
    rng.shuffle(drawn)
    return drawn


def _draw_order(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    return {"keywords": drawn_words(rng, drawing, rng.choice((2, 3)))}


def _draw_sentence(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    # How a reply opens is a held-out matter, so that the first sentence is never drawn.
    choices = (2, 3, _LAST, _LAST) if drawing.answer_words >= 60 else (_LAST,)
    return {"keyword": drawn_words(rng, drawing, 1)[0], "sentence": rng.choice(choices)}


def _draw_nth_word(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    if drawing.answer_words < 20:
        return None
    return {"keyword": rng.choice(_ANYWHERE), "position": rng.randint(3, 12)}


def _draw_together(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    first, second = drawn_words(rng, drawing, 2)
    return {"first": first, "second": second}


def _draw_near(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    first, second = drawn_words(rng, drawing, 2)
    return {"first": first, "second": second, "between": rng.randint(2, 8)}


def _draw_every(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    own = nouns(drawing.instruction)
    return {"keyword": rng.choice(own)} if own and drawing.answer_words <= 80 else None


TYPES: tuple[ConstraintType, ...] = (
    ConstraintType(
        id="keywords:in_order",
        family="keywords",
        parameters={"keywords": (list, tuple)},
        phrasings=wording_of.ORDERED,
        heldout_phrasings=wording_of.ORDERED_HELDOUT,
        verify=_verify_order,
        draw=_draw_order,
        repair=_repair_order,
        words=lambda params: wording_of.ordered(params["keywords"]),
        rank=4,
        demands=lambda params: tuple(params["keywords"]),
        least_words=lambda params: 4 * len(params["keywords"]),
        examples=(
            Example(
                {"keywords": ["seed", "leaf", "fruit"]},
                "A seed grows a leaf, then fruit, then a seed again.",
                ("A leaf follows the seed, then fruit.", "A seed, then fruit, then a leaf.", "A seed and a leaf."),
            ),
        ),
    ),
    ConstraintType(
        id="keywords:in_sentence",
        family="keywords",
        parameters={"keyword": str, "sentence": int},
        phrasings=wording_of.SENTENCE,
        heldout_phrasings=wording_of.SENTENCE_HELDOUT,
        verify=_verify_sentence,
        draw=_draw_sentence,
        repair=_repair_sentence,
        words=lambda params: wording_of.sentence(params["keyword"].strip(), params["sentence"]),
        allowed={"sentence": range(-1, 1001)},
        rank=36,
        demands=lambda params: (params["keyword"],),
        least_words=lambda params: 6 * max(int(params["sentence"]), 1),
        examples=(
            Example(
                {"keyword": "boat", "sentence": 2},
                "We left at dawn. The boat was small. Nobody spoke.",
                ("We left by boat. It was small. Nobody spoke.", "We left by boat.", "We left. Nobody spoke."),
            ),
            Example(
                {"keyword": "boat", "sentence": -1},
                "We left at dawn. Nobody spoke in the boat.",
                ("The boat left at dawn. Nobody spoke.", "We left. Nobody spoke."),
            ),
        ),
    ),
    ConstraintType(
        id="keywords:nth_word",
        family="keywords",
        parameters={"keyword": str, "position": int},
        phrasings=wording_of.NTH_WORD,
        heldout_phrasings=wording_of.NTH_WORD_HELDOUT,
        verify=_verify_nth_word,
        draw=_draw_nth_word,
        words=lambda params: wording_of.nth_word(params["keyword"].strip(), params["position"]),
        allowed={"position": range(2, 10_001)},
        excludes=frozenset({"opening", "detectable_format:title", "detectable_format:multiple_sections"}),
        demands=lambda params: (params["keyword"],),
        least_words=lambda params: int(params["position"]),
        examples=(
            Example(
                {"keyword": "often", "position": 3},
                "Well-worn shoes often last.",
                ("Well worn shoes often last.", "Shoes often last.", "Old shoes last."),
            ),
        ),
    ),
    ConstraintType(
        id="keywords:same_sentence",
        family="keywords",
        parameters={"first": str, "second": str},
        phrasings=wording_of.TOGETHER,
        heldout_phrasings=wording_of.TOGETHER_HELDOUT,
        verify=_verify_together,
        draw=_draw_together,
        repair=_repair_pair,
        words=lambda params: wording_of.together(params["first"].strip(), params["second"].strip()),
        rank=4,
        demands=lambda params: (params["first"], params["second"]),
        least_words=lambda params: 6,
        examples=(
            Example(
                {"first": "wind", "second": "sail"},
                "It was cold. The wind filled the sail.",
                ("The wind was cold. The sail hung low.", "The wind filled the sails."),
            ),
        ),
    ),
    ConstraintType(
        id="keywords:near",
        family="keywords",
        parameters={"first": str, "second": str, "between": int},
        phrasings=wording_of.NEAR,
        heldout_phrasings=wording_of.NEAR_HELDOUT,
        verify=_verify_near,
        draw=_draw_near,
        repair=_repair_pair,
        words=lambda params: wording_of.near(params["first"].strip(), params["second"].strip(), params["between"]),
        allowed={"between": range(1001)},
        rank=4,
        demands=lambda params: (params["first"], params["second"]),
        least_words=lambda params: 6,
        examples=(
            Example(
                {"first": "bread", "second": "butter", "between": 2},
                "Butter. Good old bread.",
                ("Butter, and some good bread.", "Bread without anything.", "Butterfly bread."),
            ),
        ),
    ),
    ConstraintType(
        id="keywords:every_sentence",
        family="keywords",
        parameters={"keyword": str},
        phrasings=wording_of.EVERY,
        heldout_phrasings=wording_of.EVERY_HELDOUT,
        verify=_verify_every,
        draw=_draw_every,
        words=lambda params: wording_of.every(params["keyword"].strip()),
        excludes=frozenset({"startend:end_checker", "detectable_content:postscript", "vocabulary:repeats"}),
        demands=lambda params: (params["keyword"],),
        least_words=lambda params: 5,
        examples=(
            Example(
                {"keyword": "sea"},
                "The sea is calm. I love the sea!",
                ("The sea is calm. I love it!", "The sea is calm. Seas are deep."),
            ),
        ),
    ),
)
