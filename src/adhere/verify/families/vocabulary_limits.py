"""Words that must not occur, or not too often: in any form, as a phrase, from the instruction, as padding, repeated."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from adhere.core.errors import VerifierError
from adhere.core.verifier import Verdict
from adhere.verify.constraint import (
    ConstraintType,
    Drawing,
    Example,
    Params,
    failed,
    passed,
)
from adhere.verify.families import vocabulary_wording as wording_of
from adhere.verify.folding import Span, folded, named, strings, whole_words, word_pattern, word_spans
from adhere.verify.inflection import any_form
from adhere.verify.rewriting import drop_sentences
from adhere.verify.spans import first_spans
from adhere.verify.text import content_words
from adhere.verify.wording import listed

FILLERS = ("very", "really", "quite", "just", "basically", "actually", "literally", "simply")
"""The filler words of `keywords:no_fillers`; the instruction names all of them."""

_FEWEST_WORDS = 8  # a shorter reply hardly had an occasion for an unwanted word
_AVOIDABLE_TEXT = "thing matter change make need help work use think good great start find keep part show feel people"
_AVOIDABLE = tuple(_AVOIDABLE_TEXT.split())
_WORN_PHRASES = (
    "at the end of the day",
    "in conclusion",
    "in today's world",
    "a wide range of",
    "it is important to",
    "first and foremost",
    "last but not least",
    "when it comes to",
    "in order to",
    "as well as",
    "on the other hand",
    "due to the fact that",
)
_FILLER = re.compile(rf"\b(an?\s+)?(?:{'|'.join(FILLERS)})\b(?!['’-]),?[^\S\n]*([^\W\d_]?)", re.IGNORECASE)


def _judged_absent(spans: Sequence[Span], reply: str, said: str) -> Verdict:
    if not spans:
        return passed(f"{said}: none found", vacuous=len(word_spans(reply)) < _FEWEST_WORDS)
    kinds = sorted({reply[start:stop].lower() for start, stop in spans})[:10]
    number = len(spans)
    return failed(f"{said}: found {listed(kinds)}, {number} in all", 1.0 / (1 + number), first_spans(spans), number)


def _verify_banned(params: Params, reply: str) -> Verdict:
    banned = strings(params["forbidden_words"], "forbidden_words")
    spans = sorted(span for word in banned for span in any_form(word, reply))
    return _judged_absent(spans, reply, f"forms of {listed(banned, 'or')}")


def _repair_banned(params: Params, reply: str) -> str | None:
    return drop_sentences(reply, lambda piece: any(any_form(word, piece) for word in params["forbidden_words"]))


def _verify_phrase(params: Params, reply: str) -> Verdict:
    phrase = named(params, params["phrase"])
    return _judged_absent(whole_words([phrase], reply), reply, f"the phrase {phrase!r}")


def _repair_phrase(params: Params, reply: str) -> str | None:
    return drop_sentences(reply, lambda piece: bool(whole_words([params["phrase"]], piece)))


def _verify_fresh(params: Params, reply: str) -> Verdict:
    taken = _taken(params)
    return _judged_absent(whole_words(taken, reply), reply, "words of the instruction")


def _taken(params: Params) -> list[str]:
    """The words of the instruction that carry its subject."""
    found = content_words(params["instruction"])
    if not found:
        raise VerifierError(
            f"expected an instruction with words that carry its subject, found {params['instruction']!r:.200}",
            "Give the instruction that the reply answers.",
        )
    return found


def _verify_fillers(params: Params, reply: str) -> Verdict:
    return _judged_absent(whole_words(FILLERS, reply), reply, "filler words")


def _repair_fillers(params: Params, reply: str) -> str:
    """Fillers taken out; the article before one and the capital after one are set right."""

    def without(found: re.Match[str]) -> str:
        article, following = found.group(1) or "", found.group(2)
        if article:
            article = article[0] + ("n " if following.lower() in set("aeiou") else " ")
        opens = found.group()[:1].isupper() and found.group()[1:2].islower() and not found.group(1)
        return article + (following.upper() if opens else following)

    before, text = "", reply
    while before != text and len(text) <= len(reply):  # "very, very": each round takes at least one of a run
        before, text = text, _FILLER.sub(without, text)
    return re.sub(r",(?=[.;:!?])", "", re.sub(r"(?<![^\S\n])[^\S\n]+(?=[.,;:!?])", "", text))


def _verify_repeats(params: Params, reply: str) -> Verdict:
    letters, most = params["num_letters"], params["num_times"]
    counts = Counter(word for word in _long_words(reply, letters))
    if not counts:
        return passed(f"no word of {letters} or more letters", vacuous=True)
    over = {word: number for word, number in counts.items() if number > most}
    word, number = counts.most_common(1)[0]
    said = f"{word!r:.60} occurs {number} times, at most {most} allowed for words of {letters} or more letters"
    if not over:
        return passed(said, vacuous=len(counts) < _FEWEST_WORDS)
    # One pass for all offending words: as many patterns as words would take quadratic time.
    text = folded(reply)
    spans = (text.span(m.span()) for m in word_pattern(text.text).finditer(text.text) if m.group() in over)
    return failed(said, most / number, first_spans(spans), number - most)


def _long_words(reply: str, letters: int) -> Iterable[str]:
    """The folded words with so many letters or more; marks are no letters."""
    text = folded(reply).text
    return (word for word in word_pattern(text).findall(text) if sum(map(str.isalpha, word)) >= letters)


def _repair_repeats(params: Params, reply: str) -> str | None:
    return without_later(reply, lambda piece: Counter(_long_words(piece, params["num_letters"])), params["num_times"])


def without_later(reply: str, counted: Callable[[str], Counter[str]], most: int) -> str | None:
    """The reply without the sentences that bring something to be counted above `most`."""
    seen: Counter[str] = Counter()

    def beyond(piece: str) -> bool:
        held = counted(piece)
        if any(seen[word] + number > most for word, number in held.items() if number):
            return True
        seen.update(held)
        return False

    return drop_sentences(reply, beyond)


def _draw_banned(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    return {"forbidden_words": rng.sample(_AVOIDABLE, rng.randint(1, 4))}


def _draw_fresh(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    count = len(content_words(drawing.instruction))
    return {"instruction": drawing.instruction} if 1 <= count <= 6 else None


def _draw_repeats(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    if drawing.answer_words < 25:
        return None
    return {"num_letters": rng.choice((5, 6, 7)), "num_times": rng.choice((1, 2, 2, 3))}


TYPES: tuple[ConstraintType, ...] = (
    ConstraintType(
        id="keywords:forbidden_inflected",
        family="keywords",
        parameters={"forbidden_words": (list, tuple)},
        phrasings=wording_of.BANNED,
        heldout_phrasings=wording_of.BANNED_HELDOUT,
        verify=_verify_banned,
        draw=_draw_banned,
        repair=_repair_banned,
        words=lambda params: wording_of.banned(params["forbidden_words"]),
        rank=1,
        forbids=True,
        examples=(
            Example(
                {"forbidden_words": ["run", "city"]},
                "The runner left town as the sun rose over the hills.",
                ("He ran out of town.", "Two cities lie on the coast.", "They were RUNNING late."),
            ),
        ),
    ),
    ConstraintType(
        id="keywords:forbidden_phrase",
        family="keywords",
        parameters={"phrase": str},
        phrasings=wording_of.PHRASE,
        heldout_phrasings=wording_of.PHRASE_HELDOUT,
        verify=_verify_phrase,
        draw=lambda rng, drawing: {"phrase": rng.choice(_WORN_PHRASES)},
        repair=_repair_phrase,
        words=lambda params: wording_of.phrase(params["phrase"].strip()),
        rank=1,
        forbids=True,
        examples=(
            Example(
                {"phrase": "in order to"},
                "Put the books in order, to find them again later.",
                ("We rest in order to work.", "In order\nto see it, stand here.", "IN ORDER TO win, play."),
            ),
        ),
    ),
    ConstraintType(
        id="keywords:fresh_words",
        family="keywords",
        parameters={"instruction": str},
        phrasings=wording_of.FRESH,
        heldout_phrasings=wording_of.FRESH_HELDOUT,
        verify=_verify_fresh,
        draw=_draw_fresh,
        repair=lambda params, reply: drop_sentences(reply, lambda piece: bool(whole_words(_taken(params), piece))),
        words=lambda params: wording_of.fresh(_taken(params)),
        rank=1,
        forbids=True,
        examples=(
            Example(
                {"instruction": "Describe a winter morning."},
                "Frost lies on the roofs while the sun is still low, and mornings like this are silent.",
                ("A winter day begins with frost.", "Good morning, frost."),
            ),
        ),
    ),
    ConstraintType(
        id="keywords:no_fillers",
        family="keywords",
        parameters={},
        phrasings=wording_of.FILLERS,
        heldout_phrasings=wording_of.FILLERS_HELDOUT,
        verify=_verify_fillers,
        draw=lambda rng, drawing: {},
        repair=_repair_fillers,
        words=lambda params: wording_of.fillers(FILLERS),
        rank=1,
        forbids=True,
        examples=(
            Example(
                {},
                "The soup is good, and everyone at the table asked for more.",
                ("The soup is really good.", "Simply put, it is good.", "It's JUST soup."),
            ),
        ),
    ),
    ConstraintType(
        id="vocabulary:repeats",
        family="vocabulary",
        parameters={"num_letters": int, "num_times": int},
        phrasings=wording_of.REPEATS,
        heldout_phrasings=wording_of.REPEATS_HELDOUT,
        verify=_verify_repeats,
        draw=_draw_repeats,
        repair=_repair_repeats,
        words=lambda params: wording_of.repeats(params["num_letters"], params["num_times"]),
        allowed={"num_letters": range(1, 31), "num_times": range(1, 1001)},
        rank=3,
        examples=(
            Example(
                {"num_letters": 5, "num_times": 1},
                "The river turns, the road bends, and a river-boat waits.",
                ("The river is wide. The river is deep.", "RIVER meets river.", "Café crème au café, please, please."),
            ),
        ),
    ),
)
