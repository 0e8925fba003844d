"""Counting tasks: so many of one unit in each of another, patterns of counts; `counting_words` has those on words.

Words, sentences, paragraphs and lines are those of `verify.units`. What rests on words is not judged where most letters
are of a script without spaces.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
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
    judged_range,
    passed,
)
from adhere.verify.families import counting_repair as mend
from adhere.verify.families import counting_wording as say
from adhere.verify.families import counting_words
from adhere.verify.families.extent_repair import checked, thinned_to, words_of
from adhere.verify.families.extent_sizes import PARAGRAPH_COUNTS, SENTENCE_LENGTHS, WORD_LENGTHS
from adhere.verify.spans import MOST_SPANS
from adhere.verify.units import Span
from adhere.verify.wording import ordinal, spelled

_DIRECTIONS = ("longer", "shorter")
_SENTENCE_RULES = frozenset(
    {"counting:words_per_sentence", "counting:words_in_each_sentence", "counting:growing_sentences"}
)
_LAYOUTS = frozenset({"lines", "detectable_format", "detectable_content", "combination:two_responses"})
_SMALL = range(1, 1001)
_MOST_LINES = 100


# ---------------------------------------------------------------- sentences by their words


def _counted_sentences(reply: str) -> tuple[Sequence[Span], list[int]]:
    spans = units.sentence_ranges(reply)
    return spans, units.words_in(reply, spans)


def _verify_sentence_range(params: Params, reply: str) -> Verdict:
    spans, counts = _counted_sentences(reply)
    unclear = units.uncountable_words(reply)
    return unclear or units.judge_each(counts, spans, params["least"], params["most"], "sentence", "words")


def _verify_sentence_exact(params: Params, reply: str) -> Verdict:
    spans, counts = _counted_sentences(reply)
    unclear = units.uncountable_words(reply)
    return unclear or units.judge_each(counts, spans, params["num_words"], params["num_words"], "sentence", "words")


def _verify_paragraph_sentences(params: Params, reply: str) -> Verdict:
    spans = units.paragraph_ranges(reply)
    counts = units.begun_in(units.sentence_ranges(reply), spans)
    wanted = params["num_sentences"]
    unclear = units.uncountable_sentences(reply)
    return unclear or units.judge_each(counts, spans, wanted, wanted, "paragraph", "sentences")


def _verify_growing(params: Params, reply: str) -> Verdict:
    unclear = units.uncountable_words(reply)
    if unclear is not None:
        return unclear
    spans, counts = _counted_sentences(reply)
    sign, least = (1 if params["direction"] == "longer" else -1), params["num_sentences"]
    wrong = [at for at in range(1, len(counts)) if sign * (counts[at] - counts[at - 1]) <= 0]
    said = f"{len(counts)} sentences of {', '.join(map(str, counts[:20]))} words, wanted {least} or more"
    if not wrong and len(counts) >= least:
        return passed(f"{said}, each {params['direction']}", tuple(spans[:MOST_SPANS]))
    right = (len(counts) - 1 - len(wrong)) / max(len(counts) - 1, 1)
    score = right * min(len(counts) / least, 1.0)
    offending = tuple(spans[at] for at in wrong[:MOST_SPANS])
    return failed(f"{said}; {len(wrong)} not {params['direction']} than the one before", score, offending)


def _verify_nth(params: Params, reply: str) -> Verdict:
    unclear = units.uncountable_words(reply)
    if unclear is not None:
        return unclear
    spans, counts = _counted_sentences(reply)
    nth, wanted = params["nth"], params["num_words"]
    if nth > len(counts):
        return failed(f"there is no sentence {nth}: {len(counts)} sentences")
    return judged_range(counts[nth - 1], wanted, wanted, f"words in sentence {nth}", (spans[nth - 1],))


def _verify_multiple(params: Params, reply: str) -> Verdict:
    unclear = units.uncountable_words(reply)
    if unclear is not None:
        return unclear
    found, divisor = words_of(reply), params["divisor"]
    over = found % divisor
    said = f"{found} words, wanted a multiple of {divisor}"
    if found and not over:
        return passed(said)
    miss = over if found > divisor and 2 * over <= divisor else over - divisor
    return failed(said, 1.0 - abs(miss) / divisor, (), miss)


def _draw_sentence_range(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    least = rng.randint(4, 12)
    return {"least": least, "most": least + rng.randint(3, 10)}


def _draw_growing(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    most = min(max(drawing.answer_words // 12, 2), 6)
    return {"direction": rng.choice(_DIRECTIONS), "num_sentences": rng.randint(2, most)}


def _draw_nth(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    last = min(max(drawing.answer_words // 20, 1), 5)
    return {"nth": rng.randint(1, last), "num_words": rng.randint(4, 16)}


def _draw_paragraph_sentences(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    return {"num_sentences": rng.randint(2, 5)} if drawing.answer_words >= 40 else None


def _growing_words(params: Params) -> dict[str, str]:
    rising = params["direction"] == "longer"
    return {
        "n": str(params["num_sentences"]),
        "longer": params["direction"],
        "more": "more" if rising else "fewer",
        "grow": "rise" if rising else "fall",
    }


def _nth_words(params: Params) -> dict[str, str]:
    number = params["num_words"]
    words = f"{spelled(number)} word{'' if number == 1 else 's'}"
    return {"nth": ordinal(params["nth"]), "k": str(params["nth"]), "words": words}


def _paragraph_sentence_words(params: Params) -> dict[str, str]:
    number = params["num_sentences"]
    return {"sentences": f"{spelled(number)} sentence{'' if number == 1 else 's'}"}


_SENTENCES = (
    ConstraintType(
        id="counting:words_per_sentence",
        family="counting",
        parameters={"least": int, "most": int},
        allowed={"least": _SMALL, "most": _SMALL},
        phrasings=say.SENTENCE_RANGE.phrasings,
        heldout_phrasings=say.SENTENCE_RANGE.heldout,
        verify=_verify_sentence_range,
        draw=_draw_sentence_range,
        words=say.SENTENCE_RANGE.words(),
        examples=(
            Example(
                {"least": 3, "most": 5},
                "# Boats\n\nBoats don't wait. Gulls never wait for us.",
                ("Boats wait. Gulls never wait for us.", "Boats don't wait. Gulls never wait for any tide."),
            ),
        ),
        excludes=_SENTENCE_RULES | {"length_constraints:longest_sentence", "lines"},
    ),
    ConstraintType(
        id="counting:words_in_each_sentence",
        family="counting",
        parameters={"num_words": int},
        allowed={"num_words": _SMALL},
        phrasings=say.SENTENCE_EXACT.phrasings,
        heldout_phrasings=say.SENTENCE_EXACT.heldout,
        verify=_verify_sentence_exact,
        draw=lambda rng, drawing: {"num_words": rng.randint(4, 12)},
        words=say.SENTENCE_EXACT.words(),
        examples=(
            Example(
                {"num_words": 3},
                "- Boats don't wait.\n- Gulls wait neither!",
                ("Boats don't wait. Gulls do not either!", "Boats don't wait. Gulls wait."),
            ),
        ),
        excludes=_SENTENCE_RULES | {"length_constraints:longest_sentence", "counting:nth_sentence_words", "lines"},
    ),
    ConstraintType(
        id="counting:sentences_per_paragraph",
        family="counting",
        parameters={"num_sentences": int},
        allowed={"num_sentences": range(1, 101)},
        phrasings=say.PARAGRAPH_SENTENCES.phrasings,
        heldout_phrasings=say.PARAGRAPH_SENTENCES.heldout,
        verify=_verify_paragraph_sentences,
        draw=_draw_paragraph_sentences,
        repair=checked(
            _verify_paragraph_sentences,
            lambda params, reply: mend.in_even_paragraphs(reply, params["num_sentences"]),
        ),
        words=say.PARAGRAPH_SENTENCES.words(_paragraph_sentence_words),
        examples=(
            Example(
                {"num_sentences": 2},
                "# Boats\n\nBoats wait. Gulls don't.\n\nThe tide turns.\nIt rises.",
                (
                    "Boats wait. Gulls don't.\n\nThe tide turns.",
                    "Boats wait. Gulls don't. Nor do I.\n\nIt turns. It rises.",
                ),
            ),
        ),
        rank=21,
        excludes=SENTENCE_LENGTHS | PARAGRAPH_COUNTS | _LAYOUTS | {"letters:acrostic", "letters:acrostic_lines"},
        least_words=lambda params: 8 * int(params["num_sentences"]),
    ),
    ConstraintType(
        id="counting:growing_sentences",
        family="counting",
        parameters={"direction": str, "num_sentences": int},
        allowed={"direction": _DIRECTIONS, "num_sentences": range(2, 101)},
        phrasings=say.GROWING.phrasings,
        heldout_phrasings=say.GROWING.heldout,
        verify=_verify_growing,
        draw=_draw_growing,
        repair=checked(
            _verify_growing, lambda params, reply: mend.in_order_of_length(reply, params["direction"] == "longer")
        ),
        words=say.GROWING.words(_growing_words),
        examples=(
            Example(
                {"direction": "longer", "num_sentences": 3},
                "Boats wait. Gulls never do. The tide turns at noon.",
                (
                    "Boats wait. Gulls don't. The tide turns at noon.",
                    "Boats wait. Gulls never do.",
                    "Go on. Stop. Wait here.",
                ),
            ),
            Example(
                {"direction": "shorter", "num_sentences": 2},
                "The tide turns. It rises.",
                ("The tide turns. It rises now.", "It rises. The tide turns."),
            ),
        ),
        rank=3,
        excludes=_SENTENCE_RULES | {"lines"},
        least_words=lambda params: int(params["num_sentences"] * (params["num_sentences"] + 3)),
    ),
    ConstraintType(
        id="counting:nth_sentence_words",
        family="counting",
        parameters={"nth": int, "num_words": int},
        allowed={"nth": range(1, 1001), "num_words": _SMALL},
        phrasings=say.NTH_SENTENCE.phrasings,
        heldout_phrasings=say.NTH_SENTENCE.heldout,
        verify=_verify_nth,
        draw=_draw_nth,
        words=say.NTH_SENTENCE.words(_nth_words),
        examples=(
            Example(
                {"nth": 2, "num_words": 3},
                "Boats wait. Gulls never do. Why?",
                ("Boats wait. Gulls don't. Why?", "Gulls never do. Boats wait.", "Gulls never do."),
            ),
        ),
        excludes=frozenset({"counting:words_in_each_sentence", "lines"}),
        least_words=lambda params: int(params["num_words"] + 8 * (params["nth"] - 1)),
    ),
    ConstraintType(
        id="counting:multiple_of",
        family="counting",
        parameters={"divisor": int},
        allowed={"divisor": range(2, 1001)},
        phrasings=say.MULTIPLE.phrasings,
        heldout_phrasings=say.MULTIPLE.heldout,
        verify=_verify_multiple,
        draw=lambda rng, drawing: {"divisor": rng.choice((2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 15, 20))},
        repair=checked(
            _verify_multiple,
            lambda params, reply: thinned_to(reply, range(params["divisor"], words_of(reply) + 1, params["divisor"])),
        ),
        words=say.MULTIPLE.words(),
        examples=(
            Example(
                {"divisor": 4},
                "Boats don't wait, gulls wait even less.  Why?",
                ("Boats don't wait.", "Why do gulls wait here?"),
            ),
        ),
        rank=2,
        excludes=WORD_LENGTHS,
        least_words=lambda params: int(params["divisor"]),
    ),
)

# ---------------------------------------------------------------- lines by their words


def _verify_equal_lines(params: Params, reply: str) -> Verdict:
    unclear = units.uncountable_words(reply)
    if unclear is not None:
        return unclear
    spans = units.line_ranges(reply)
    counts, least = units.words_in(reply, spans), params["num_lines"]
    usual = max(sorted(set(counts)), key=_tally(counts).__getitem__, default=0)
    wrong = [at for at, count in enumerate(counts) if count != usual or not count]
    said = f"{len(counts)} lines, wanted {least} or more; {len(counts) - len(wrong)} of them have {usual} words"
    if not wrong and len(counts) >= least:
        return passed(said, tuple(spans[:MOST_SPANS]))
    score = (len(counts) - len(wrong)) / max(len(counts), least)
    return failed(said, score, tuple(spans[at] for at in wrong[:MOST_SPANS]), min(len(counts) - least, 0))


def _tally(counts: Sequence[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for count in counts:
        found[count] = found.get(count, 0) + 1
    return found


def _verify_pattern(params: Params, reply: str) -> Verdict:
    pattern = _checked_pattern(params["pattern"])
    unclear = units.uncountable_words(reply)
    if unclear is not None:
        return unclear
    spans = units.line_ranges(reply)
    counts = units.words_in(reply, spans)
    said = f"lines of {', '.join(map(str, counts[:_MOST_LINES])) or 'no'} words, wanted {', '.join(map(str, pattern))}"
    if counts == pattern:
        return passed(said, tuple(spans))
    near = [judged_range(found, wanted, wanted, "words").score for found, wanted in zip(counts, pattern, strict=False)]
    wrong = [at for at, count in enumerate(counts) if at >= len(pattern) or count != pattern[at]]
    score = sum(near) / max(len(counts), len(pattern))
    return failed(said, score, tuple(spans[at] for at in wrong[:MOST_SPANS]), sum(counts) - sum(pattern))


def _checked_pattern(pattern: Sequence[Any]) -> list[int]:
    """The numbers of words per line, or a `VerifierError`."""
    right = all(isinstance(one, int) and not isinstance(one, bool) and 1 <= one <= 100 for one in pattern)
    if not right or not 1 <= len(pattern) <= _MOST_LINES:
        raise VerifierError(
            f"lines:word_pattern: pattern should be 1 to {_MOST_LINES} counts, found {pattern!r:.200}",
            "Give a count of words from 1 to 100 for each line.",
        )
    return list(pattern)


def _draw_pattern(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    if drawing.answer_words > 80:
        return None
    chosen = rng.choice(((5, 7, 5), (3, 5, 3), (1, 2, 3, 4), (6, 4, 6, 4), (2, 4, 6, 8), (4, 4, 4), (1, 2, 3, 4, 1)))
    return {"pattern": list(chosen)}


def _pattern_words(params: Params) -> dict[str, str]:
    pattern = [str(one) for one in params["pattern"]]
    said = pattern[0] if len(pattern) == 1 else f"{', '.join(pattern[:-1])} and {pattern[-1]}"
    return {"lines": spelled(len(pattern)), "pattern": said}


_LINES = (
    ConstraintType(
        id="lines:equal_words",
        family="lines",
        parameters={"num_lines": int},
        allowed={"num_lines": range(2, 1001)},
        phrasings=say.EQUAL_LINES.phrasings,
        heldout_phrasings=say.EQUAL_LINES.heldout,
        verify=_verify_equal_lines,
        draw=lambda rng, drawing: {"num_lines": rng.randint(2, min(max(drawing.answer_words // 15, 2), 8))},
        repair=checked(_verify_equal_lines, lambda params, reply: mend.in_even_lines(reply, params["num_lines"])),
        words=say.EQUAL_LINES.words(),
        examples=(
            Example(
                {"num_lines": 2},
                "Boats wait here.\nGulls don't wait.\n",
                ("Boats wait here.\nGulls do not wait.", "Boats wait here. Gulls don't wait."),
            ),
        ),
        rank=24,
        excludes=_LAYOUTS | PARAGRAPH_COUNTS | {"counting:sentences_per_paragraph", "letters:acrostic_lines"},
        least_words=lambda params: 4 * int(params["num_lines"]),
    ),
    ConstraintType(
        id="lines:word_pattern",
        family="lines",
        parameters={"pattern": list},
        phrasings=say.PATTERN.phrasings,
        heldout_phrasings=say.PATTERN.heldout,
        verify=_verify_pattern,
        draw=_draw_pattern,
        repair=checked(
            _verify_pattern, lambda params, reply: mend.in_pattern(reply, _checked_pattern(params["pattern"]))
        ),
        words=say.PATTERN.words(_pattern_words),
        examples=(
            Example(
                {"pattern": [2, 3, 2]},
                "Boats wait.\nGulls never do.\n\nTides turn.",
                (
                    "Boats wait.\nGulls don't.\nTides turn.",
                    "Boats wait.\nGulls never do.",
                    "Boats\nwait, gulls don't.\nTides turn.",
                ),
            ),
        ),
        rank=24,
        excludes=_LAYOUTS | PARAGRAPH_COUNTS | WORD_LENGTHS | {"counting", "letters:acrostic_lines"},
        least_words=lambda params: sum(_checked_pattern(params["pattern"])),
    ),
)

TYPES: tuple[ConstraintType, ...] = (*_SENTENCES, *_LINES, *counting_words.TYPES)
