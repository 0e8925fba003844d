"""Case beyond IFEval's types: title case, words by turns, sentence case, named words, the share of capitals."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from adhere.core.errors import VerifierError
from adhere.core.verifier import Verdict
from adhere.verify import additions
from adhere.verify.constraint import ConstraintType, Drawing, Example, Params, failed, judged_range, passed
from adhere.verify.families import letters_wording as wording_of
from adhere.verify.families.vocabulary_places import drawn_words
from adhere.verify.folding import Span, strings, whole_words, word_spans
from adhere.verify.rewriting import append_sentence
from adhere.verify.spans import first_spans
from adhere.verify.units import sentence_ranges
from adhere.verify.wording import listed

_SHARES = ((10, 30), (20, 40), (30, 50), (40, 60), (50, 100))
_SPREAD = 0.6180339887498949  # the golden ratio: multiples of it, cut to [0, 1), cover a range evenly in any number
_ROUNDS = 3
_ONE_CASE = frozenset(
    {"change_case", "language", "detectable_content:postscript", "detectable_format:multiple_sections"}
)


def _judged_words(wrong: Sequence[Span], total: int, rule: str) -> Verdict:
    if not total:
        return passed(f"no letters that have a case: {rule}", vacuous=True)
    said = f"{len(wrong)} of {total} words break it: {rule}"
    return failed(said, 1.0 - len(wrong) / total, first_spans(wrong), len(wrong)) if wrong else passed(said)


def _has_case(text: str) -> bool:
    return text.upper() != text or text.lower() != text


def _rewritten(reply: str, changed: Sequence[tuple[Span, str]]) -> str:
    """The reply with ranges replaced; they come in order."""
    done, last = [], 0
    for (start, stop), text in changed:
        done += [reply[last:start], text]
        last = stop
    return "".join([*done, reply[last:]])


# ---------------------------------------------------------------- every word


def _verify_title(params: Params, reply: str) -> Verdict:
    spans = [span for span in word_spans(reply) if _has_case(reply[span[0]])]
    wrong = [span for span in spans if reply[span[0]].islower()]
    return _judged_words(wrong, len(spans), "every word begins with a capital")


def _repair_title(params: Params, reply: str) -> str:
    return _rewritten(reply, [((start, start + 1), reply[start].upper()) for start, _ in word_spans(reply)])


def _verify_alternating(params: Params, reply: str) -> Verdict:
    spans = [span for span in word_spans(reply) if _has_case(reply[slice(*span)])]
    odd = params["first"] == "lower"
    wrong = [
        (start, stop)
        for at, (start, stop) in enumerate(spans)
        if not (reply[start:stop].islower() if at % 2 != odd else reply[start:stop].isupper())
    ]
    return _judged_words(wrong, len(spans), f"words are in upper and lower case by turns, {params['first']} first")


def _repair_alternating(params: Params, reply: str) -> str:
    spans = [span for span in word_spans(reply) if _has_case(reply[slice(*span)])]
    odd = params["first"] == "lower"
    parts = [(span, reply[slice(*span)]) for span in spans]
    changed = [(span, text.lower() if at % 2 != odd else text.upper()) for at, (span, text) in enumerate(parts)]
    return _rewritten(reply, changed)


def _shouted(reply: str) -> list[Span]:
    return [
        (start, stop)
        for start, stop in word_spans(reply)
        if reply[start:stop].isupper() and sum(map(str.isalpha, reply[start:stop])) > 1
    ]


def _verify_no_shouting(params: Params, reply: str) -> Verdict:
    total = sum(_has_case(reply[slice(*span)]) for span in word_spans(reply))
    return _judged_words(_shouted(reply), total, "no word of two or more letters is all capitals")


def _repair_no_shouting(params: Params, reply: str) -> str:
    return _rewritten(reply, [((start, stop), reply[start:stop].capitalize()) for start, stop in _shouted(reply)])


# ---------------------------------------------------------------- sentences, named words, share


def _verify_sentence_case(params: Params, reply: str) -> Verdict:
    wrong: list[Span] = []
    total = 0
    for start, stop in sentence_ranges(reply):
        opened = False
        for at in range(start, stop):
            upper = reply[at].isupper()
            if upper or reply[at].islower():
                total += 1
                if upper == opened:
                    wrong.append((at, at + 1))
                opened = True
    said = f"{len(wrong)} of {total} letters break it: a capital at the start of each sentence and nowhere else"
    if wrong:
        return failed(said, 1.0 - len(wrong) / total, first_spans(wrong), len(wrong))
    return passed(said, vacuous=not total)


def _repair_sentence_case(params: Params, reply: str) -> str | None:
    """Where a sentence ends can depend on the case of the next word, so that it may take more than one round."""
    text = reply.lower()
    for _ in range(_ROUNDS):
        plain, firsts = text.lower(), []
        if len(plain) != len(text):
            return None
        for start, stop in sentence_ranges(text):
            first = next((at for at in range(start, stop) if _has_case(text[at])), None)
            firsts += [] if first is None else [((first, first + 1), plain[first].upper())]
        text = _rewritten(plain, firsts)
        if _verify_sentence_case(params, text).passed:
            return text
    return None


def _verify_named(params: Params, reply: str) -> Verdict:
    keywords = strings(params["keywords"], "keywords")
    found = {word: whole_words([word], reply) for word in keywords}
    missing = [word for word in keywords if not found[word]]
    spans = sorted(span for one in found.values() for span in one)
    wrong = [(start, stop) for start, stop in spans if _small(reply[start:stop])]
    if not missing and not wrong:
        return passed(f"{listed(keywords)} found in capitals {len(spans)} times", first_spans(spans))
    faults = [f"{listed(missing)} not found"] if missing else []
    faults += [f"{len(wrong)} of {len(spans)} not in capitals"] if wrong else []
    right = (len(spans) - len(wrong)) / len(spans) if spans else 0.0
    return failed(
        "; ".join(faults), right * (1.0 - len(missing) / len(keywords)), first_spans(wrong), len(wrong) or -len(missing)
    )


def _small(text: str) -> bool:
    return any(map(str.islower, text))


def _repair_named(params: Params, reply: str) -> str | None:
    keywords = list(params["keywords"])
    missing = [word for word in keywords if not whole_words([word], reply)]
    if len(missing) > additions.MOST_MENTIONS:
        return None
    text = append_sentence(reply, additions.mention_all(missing, reply)) if missing else reply
    return _rewritten(text, [(span, text[slice(*span)].upper()) for span in whole_words(keywords, text)])


def _verify_share(params: Params, reply: str) -> Verdict:
    least, most = params["least_percent"], params["most_percent"]
    if least > most:
        raise VerifierError(f"expected a share of capitals, found {least} to {most} percent", "Smaller bound first.")
    upper, cased = _counted(reply)
    if not cased:
        return failed("no letters that have a case")
    low, high = -(-least * cased // 100), most * cased // 100
    if low > high:  # too few letters for any number of capitals to lie between: the nearest one misses by one
        return failed(f"{cased} letters are too few for {least} to {most} percent of them", 0.5, (), -1)
    return judged_range(upper, low, high, f"of {cased} letters are capitals ({least} to {most} percent wanted)")


def _counted(text: str) -> tuple[int, int]:
    """Capitals, and letters that have a case."""
    upper = sum(map(str.isupper, text))
    return upper, upper + sum(map(str.islower, text))


def _repair_share(params: Params, reply: str) -> str | None:
    """Words spread over the text go into capitals, until there are enough."""
    upper, cased = _counted(reply)
    text = reply.lower() if upper * 100 > params["most_percent"] * cased else reply
    upper, cased = _counted(text)
    spans = word_spans(text)
    changed: list[tuple[Span, str]] = []
    for at in sorted(range(len(spans)), key=lambda index: index * _SPREAD % 1):
        if upper * 100 >= params["least_percent"] * cased:
            break
        word = text[slice(*spans[at])]
        gained = _counted(word.upper())[0] - _counted(word)[0]
        if len(word.upper()) == len(word) and (upper + gained) * 100 <= params["most_percent"] * cased:
            changed.append((spans[at], word.upper()))
            upper += gained
    return _rewritten(text, sorted(changed)) if upper * 100 >= params["least_percent"] * cased else None


def _draw_named(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    return {"keywords": drawn_words(rng, drawing, rng.randint(1, 3))}


def _draw_share(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    least, most = rng.choice(_SHARES)
    return {"least_percent": least, "most_percent": most} if drawing.answer_words >= 20 else None


TYPES: tuple[ConstraintType, ...] = (
    ConstraintType(
        id="change_case:title_case",
        family="change_case",
        parameters={},
        phrasings=wording_of.TITLE_CASE,
        heldout_phrasings=wording_of.TITLE_CASE_HELDOUT,
        verify=_verify_title,
        draw=lambda rng, drawing: {},
        repair=_repair_title,
        words=lambda params: wording_of.TITLE_CASE_WORDS,
        rank=41,
        excludes=frozenset({"change_case"}),
        examples=(
            Example(
                {},
                "The Cat Of My Well-known Aunt Eats 3 Fish.",
                ("The Cat of My Aunt Eats Fish.", "The Cat Eats Fish, see?", "the Cat Eats."),
            ),
        ),
    ),
    ConstraintType(
        id="change_case:alternating_words",
        family="change_case",
        parameters={"first": str},
        phrasings=wording_of.ALTERNATING,
        heldout_phrasings=wording_of.ALTERNATING_HELDOUT,
        verify=_verify_alternating,
        draw=lambda rng, drawing: {"first": rng.choice(("upper", "lower"))},
        repair=_repair_alternating,
        words=lambda params: wording_of.alternating(params["first"]),
        allowed={"first": ("upper", "lower")},
        rank=41,
        excludes=_ONE_CASE,
        examples=(
            Example(
                {"first": "upper"},
                "THE cat ATE 3 more FISH.",
                ("the CAT ate MORE.", "THE cat Ate more.", "THE cat ATE MORE."),
            ),
            Example({"first": "lower"}, "we DON'T eat FISH.", ("WE don't EAT.", "we Don't eat.")),
        ),
    ),
    ConstraintType(
        id="change_case:sentence_case",
        family="change_case",
        parameters={},
        phrasings=wording_of.SENTENCE_CASE,
        heldout_phrasings=wording_of.SENTENCE_CASE_HELDOUT,
        verify=_verify_sentence_case,
        draw=lambda rng, drawing: {},
        repair=_repair_sentence_case,
        words=lambda params: wording_of.SENTENCE_CASE_WORDS,
        rank=41,
        excludes=_ONE_CASE,
        examples=(
            Example(
                {},
                "We met anna in rome. Then i left.",
                ("We met Anna in rome. Then i left.", "we met anna. Then i left.", "We met anna. Then I left."),
            ),
        ),
    ),
    ConstraintType(
        id="change_case:no_shouting",
        family="change_case",
        parameters={},
        phrasings=wording_of.NO_SHOUTING,
        heldout_phrasings=wording_of.NO_SHOUTING_HELDOUT,
        verify=_verify_no_shouting,
        draw=lambda rng, drawing: {},
        repair=_repair_no_shouting,
        words=lambda params: wording_of.NO_SHOUTING_WORDS,
        rank=41,
        excludes=_ONE_CASE,
        forbids=True,
        examples=(
            Example(
                {},
                "I saw Anna at the Unesco office, and it was a great day.",
                ("I saw Anna at the UNESCO office.", "I SAW Anna.", "A 4K film with an MP3 song."),
            ),
        ),
    ),
    ConstraintType(
        id="change_case:named_words",
        family="change_case",
        parameters={"keywords": (list, tuple)},
        phrasings=wording_of.NAMED,
        heldout_phrasings=wording_of.NAMED_HELDOUT,
        verify=_verify_named,
        draw=_draw_named,
        repair=_repair_named,
        words=lambda params: wording_of.named(params["keywords"]),
        rank=40,
        excludes=frozenset({"change_case", "language"}),
        demands=lambda params: tuple(word.upper() for word in params["keywords"]),
        least_words=lambda params: 4 * len(params["keywords"]),
        examples=(
            Example(
                {"keywords": ["salt", "Öl"]},
                "Add SALT and O\u0308L, then more SALT to the salty soup.",
                ("Add SALT and ÖL, then more salt.", "Add salt and öl.", "Add SALT to the soup."),
            ),
        ),
    ),
    ConstraintType(
        id="change_case:capital_share",
        family="change_case",
        parameters={"least_percent": int, "most_percent": int},
        phrasings=wording_of.SHARE,
        heldout_phrasings=wording_of.SHARE_HELDOUT,
        verify=_verify_share,
        draw=_draw_share,
        repair=_repair_share,
        words=lambda params: wording_of.share(params["least_percent"], params["most_percent"]),
        allowed={"least_percent": range(101), "most_percent": range(101)},
        rank=41,
        excludes=frozenset({"change_case", "language"}),
        examples=(
            Example(
                {"least_percent": 20, "most_percent": 40},
                "We ate RICE at noon.",
                ("We ate rice at noon.", "WE ATE RICE at noon.", "12 + 4"),
            ),
        ),
    ),
)
