"""Words that must or must not occur: counts, order, position, inflected forms, sets.

Words are whole words as `adhere.verify.folding` finds them: case, accents in either composition and full-width letters
make no difference. Where a word has to stand is in `vocabulary_places`, what must not occur in `vocabulary_limits`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from typing import Any

from adhere.core.errors import VerifierError
from adhere.core.verifier import Verdict
from adhere.verify import additions
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
from adhere.verify.families import vocabulary_limits, vocabulary_places
from adhere.verify.families import vocabulary_wording as wording_of
from adhere.verify.families.vocabulary_limits import without_later
from adhere.verify.families.vocabulary_places import drawn_words
from adhere.verify.folding import named, strings, whole_words
from adhere.verify.inflection import any_form
from adhere.verify.rewriting import append_sentence
from adhere.verify.spans import first_spans
from adhere.verify.wording import listed

# ---------------------------------------------------------------- which words occur


def _verify_whole(params: Params, reply: str) -> Verdict:
    keywords = strings(params["keywords"], "keywords")
    found = {word: whole_words([word], reply) for word in keywords}
    missing = [word for word in keywords if not found[word]]
    if not missing:
        return passed(f"all of {listed(keywords)} found", first_spans(found[word][0] for word in keywords))
    return failed(f"{listed(missing)} not found as whole words", 1.0 - len(missing) / len(keywords))


def _verify_some(params: Params, reply: str) -> Verdict:
    keywords = list(dict.fromkeys(strings(params["keywords"], "keywords")))
    if not 1 <= params["least"] <= len(keywords):
        raise VerifierError(
            f"keywords:some_of: least should be from 1 to {len(keywords)}, found {params['least']}", "List more words."
        )
    firsts = [spans[0] for word in keywords if (spans := whole_words([word], reply))]
    return judged_count(len(firsts), "at least", params["least"], f"of {listed(keywords)}", first_spans(firsts))


def _verify_count(params: Params, reply: str) -> Verdict:
    spans = whole_words([named(params, params["keyword"])], reply)
    least = params["least"] or None
    return judged_range(len(spans), least, params["most"], f"times {params['keyword']!r}", first_spans(spans))


def _verify_each_once(params: Params, reply: str) -> Verdict:
    keywords = list(dict.fromkeys(strings(params["keywords"], "keywords")))
    found = {word: whole_words([word], reply) for word in keywords}
    wrong = {word: spans for word, spans in found.items() if len(spans) != 1}
    if not wrong:
        return passed(f"each of {listed(keywords)} found once", first_spans(spans[0] for spans in found.values()))
    counts = ", ".join(f"{word!r} {len(spans)} times" for word, spans in wrong.items())
    surplus = sorted(span for spans in wrong.values() for span in spans[1:])
    miss = sum(len(spans) - 1 for spans in wrong.values())
    return failed(f"found {counts}, wanted each once", 1.0 - len(wrong) / len(keywords), first_spans(surplus), miss)


def _verify_inflected(params: Params, reply: str) -> Verdict:
    keywords = strings(params["keywords"], "keywords")
    found = {word: any_form(word, reply) for word in keywords}
    missing = [word for word in keywords if not found[word]]
    if not missing:
        return passed(f"a form of each of {listed(keywords)} found", first_spans(found[word][0] for word in keywords))
    return failed(f"no form of {listed(missing, 'or')} found", 1.0 - len(missing) / len(keywords))


def _repair_missing(present: Callable[[str, str], bool], key: str = "keywords") -> Callable[[Params, str], str | None]:
    """A repair that mentions the words which are not present, all but those beyond what a reply can take."""

    def repaired(params: Params, reply: str) -> str | None:
        wanted = params.get("least", len(params[key]))
        missing = [word for word in dict.fromkeys(params[key]) if not present(word, reply)]
        missing = missing[: wanted - (len(dict.fromkeys(params[key])) - len(missing))] if "least" in params else missing
        if not missing:
            return reply
        if len(missing) > additions.MOST_MENTIONS:
            return None
        return append_sentence(reply, additions.mention_all(missing, reply))

    return repaired


def _is_there(word: str, reply: str) -> bool:
    return bool(whole_words([word], reply))


def _form_is_there(word: str, reply: str) -> bool:
    return bool(any_form(word, reply))


def _repair_count(params: Params, reply: str) -> str | None:
    return _with_count(params["keyword"].strip(), params["least"], params["most"], reply)


def _with_count(keyword: str, least: int, most: int, reply: str) -> str | None:
    """The reply with the word from `least` to `most` times: sentences beyond go, mentions are added."""
    text: str | None = reply
    if len(whole_words([keyword], reply)) > most:
        text = without_later(reply, lambda piece: Counter({keyword: len(whole_words([keyword], piece))}), most)
    if text is None:
        return None
    missing = least - len(whole_words([keyword], text))
    if missing > additions.MOST_MENTIONS:
        return None
    added = additions.mentions(keyword, max(missing, 0), text)
    return append_sentence(text, " ".join(added)) if added else text


def _repair_each_once(params: Params, reply: str) -> str | None:
    text: str | None = reply
    for keyword in params["keywords"]:
        text = _with_count(keyword.strip(), 1, 1, text) if text is not None else None
    return text


# ---------------------------------------------------------------- drawing


def _draw_keywords(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    return {"keywords": drawn_words(rng, drawing, rng.choice((1, 2, 2, 3)))}


def _draw_some(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    keywords = drawn_words(rng, drawing, rng.randint(2, 5))
    return {"keywords": keywords, "least": rng.randint(1, min(3, len(keywords) - 1))}


def _draw_count(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    most = rng.randint(1, max(2, min(4, drawing.answer_words // 25)))
    return {"keyword": drawn_words(rng, drawing, 1)[0], "least": rng.choice((most, max(most - 2, 0))), "most": most}


def _draw_each_once(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    return {"keywords": drawn_words(rng, drawing, rng.randint(2, 3))}


TYPES: tuple[ConstraintType, ...] = (
    ConstraintType(
        id="keywords:whole_words",
        family="keywords",
        parameters={"keywords": (list, tuple)},
        phrasings=wording_of.WHOLE,
        heldout_phrasings=wording_of.WHOLE_HELDOUT,
        verify=_verify_whole,
        draw=_draw_keywords,
        repair=_repair_missing(_is_there),
        words=lambda params: wording_of.whole(params["keywords"]),
        rank=4,
        demands=lambda params: tuple(params["keywords"]),
        least_words=lambda params: 3 * len(params["keywords"]),
        examples=(
            Example(
                {"keywords": ["café", "rain"]},
                "The CAFE\u0301 was full because of the rain.",
                ("The café was full because of the rainfall.", "Two cafés sat in the rain.", "The cafe sat in rain."),
            ),
        ),
    ),
    ConstraintType(
        id="keywords:some_of",
        family="keywords",
        parameters={"keywords": (list, tuple), "least": int},
        phrasings=wording_of.SOME,
        heldout_phrasings=wording_of.SOME_HELDOUT,
        verify=_verify_some,
        draw=_draw_some,
        repair=_repair_missing(_is_there),
        words=lambda params: wording_of.some(params["keywords"], params["least"]),
        rank=4,
        least_words=lambda params: 3 * int(params["least"]),
        examples=(
            Example(
                {"keywords": ["pear", "plum", "fig"], "least": 2},
                "A fig goes well with a plum.",
                ("A fig goes well with plums.", "A fig next to a fig.", "An apple a day."),
            ),
        ),
    ),
    ConstraintType(
        id="keywords:word_count",
        family="keywords",
        parameters={"keyword": str, "least": int, "most": int},
        phrasings=wording_of.COUNT,
        heldout_phrasings=wording_of.COUNT_HELDOUT,
        verify=_verify_count,
        draw=_draw_count,
        repair=_repair_count,
        words=lambda params: wording_of.count(params["keyword"].strip(), params["least"], params["most"]),
        allowed={"least": range(1001), "most": range(1, 1001)},
        rank=5,
        demands=lambda params: (" ".join([params["keyword"]] * int(params["least"])),) if params["least"] else (),
        least_words=lambda params: 4 * int(params["least"]),
        examples=(
            Example(
                {"keyword": "tea", "least": 2, "most": 2},
                "Tea first, then the teapot, then more tea.",
                ("Tea first, then the teapot.", "Tea, tea and again tea.", "The teapot and the teacup."),
            ),
            Example(
                {"keyword": "tea", "least": 1, "most": 3},
                "Tea at ten, tea at noon.",
                ("Coffee at ten.", "Tea, tea, tea and tea."),
            ),
        ),
    ),
    ConstraintType(
        id="keywords:each_once",
        family="keywords",
        parameters={"keywords": (list, tuple)},
        phrasings=wording_of.EACH_ONCE,
        heldout_phrasings=wording_of.EACH_ONCE_HELDOUT,
        verify=_verify_each_once,
        draw=_draw_each_once,
        repair=_repair_each_once,
        words=lambda params: wording_of.each_once(params["keywords"]),
        rank=5,
        demands=lambda params: tuple(params["keywords"]),
        least_words=lambda params: 4 * len(params["keywords"]),
        examples=(
            Example(
                {"keywords": ["key", "door"]},
                "The key opens the door, as keys do.",
                ("The key opens the door. Close the door.", "The key opens it.", "Doors need keys."),
            ),
        ),
    ),
    ConstraintType(
        id="keywords:inflected",
        family="keywords",
        parameters={"keywords": (list, tuple)},
        phrasings=wording_of.INFLECTED,
        heldout_phrasings=wording_of.INFLECTED_HELDOUT,
        verify=_verify_inflected,
        draw=_draw_keywords,
        repair=_repair_missing(_form_is_there),
        words=lambda params: wording_of.inflected(params["keywords"]),
        rank=4,
        least_words=lambda params: 3 * len(params["keywords"]),
        examples=(
            Example(
                {"keywords": ["write", "mouse"]},
                "She wrote about two mice.",
                ("The writer saw two mice.", "She wrote about two houses.", "She is writing on mousepads."),
            ),
            Example(
                {"keywords": ["big", "give up"]},
                "He gave up the bigger house.",
                ("He gave the bigger house up.", "He gave up the house."),
            ),
        ),
    ),
    *vocabulary_limits.TYPES,
    *vocabulary_places.TYPES,
)
