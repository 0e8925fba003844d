"""Lengths of a reply and of its parts; see `extent_sizes` for so many of a unit in the whole.

Here: about so many words, reading time, the length buckets of Ruler, the width of lines, the length of the longest
sentence, the shortest paragraph, every section. What a word, a sentence, a paragraph, a line and a character is stands
in `verify.units`: the units of a reader, not those of IFEval. Word counts of texts in scripts without spaces (Chinese,
Japanese, Thai, ...) are not judged. The length buckets alone count words as Ruler does (Li et al. 2024), as runs of
word characters.
"""

from __future__ import annotations

import random
import re
from typing import Any

from adhere.core.verifier import Verdict
from adhere.verify import units
from adhere.verify.constraint import ConstraintType, Drawing, Example, Params
from adhere.verify.families import extent_repair as mend
from adhere.verify.families import extent_sizes as sizes
from adhere.verify.families import extent_wording as say
from adhere.verify.families.extent_repair import checked
from adhere.verify.families.extent_sizes import COUNT, WORD_LENGTHS, judge_words, rounded
from adhere.verify.families.extent_wording import Size

_WORD_CLASHES = WORD_LENGTHS | sizes.SENTENCE_LENGTHS
_TIDE = "The tide turns twice a day, and boats wait."

# ---------------------------------------------------------------- nearly so many words


def _tenth_around(number: int) -> Size:
    """The counts that are off by a tenth at most."""
    return Size(max(-(-9 * number // 10), 1), 11 * number // 10)


def _verify_about(params: Params, reply: str) -> Verdict:
    return judge_words(params, reply, _tenth_around(params["num_words"]))


def _draw_about(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    return {"num_words": rounded(drawing.answer_words * rng.uniform(0.4, 1.2), 10, 1000)}


def _thinned(reply: str, size: Size) -> str | None:
    return mend.thinned(reply, size.low or 1, COUNT[-1] if size.high is None else size.high)


def _spoken_number(params: Params) -> int:
    return max(round(int(params["seconds"]) * int(params["words_per_minute"]) / 60), 1)


def _verify_reading(params: Params, reply: str) -> Verdict:
    return judge_words(params, reply, _tenth_around(_spoken_number(params)))


def _draw_reading(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    pace = rng.choice((120, 130, 150, 180, 200, 220, 250))
    target = drawing.answer_words * rng.uniform(0.5, 1.2)
    times = (5, 10, 20, 30, 45, 60, 90, 120, 180, 240, 300)
    fitting = [time for time in times if 0.6 * target <= time * pace / 60 <= 1.5 * target]
    return {"seconds": rng.choice(fitting), "words_per_minute": pace} if fitting else None


def _reading_words(params: Params) -> dict[str, str]:
    time, pace = say.duration(params["seconds"]), params["words_per_minute"]
    said = {
        "rule": f"reading the answer aloud takes about {time} at {pace} words a minute (within 10 %)",
        "law": f"at {pace} words a minute, reading it should take about {time} (give or take 10 %)",
        "hold": f"whoever reads {pace} words a minute is done with the reply after {time}, 10 % more or less",
    }
    return {**said, "time": time, "pace": str(pace)}


_NEARLY = (
    ConstraintType(
        id="length_constraints:words_about",
        family="length_constraints",
        parameters={"num_words": int},
        allowed={"num_words": COUNT},
        phrasings=(*say.SIZE, *say.WORDS),
        heldout_phrasings=(*say.SIZE_HELDOUT, *say.WORDS_HELDOUT),
        verify=_verify_about,
        draw=_draw_about,
        repair=checked(_verify_about, lambda params, reply: _thinned(reply, _tenth_around(params["num_words"]))),
        words=lambda params: say.about_words(params["num_words"], "words"),
        examples=(
            Example(
                {"num_words": 10},
                _TIDE,
                ("The tide turns twice a day; boats wait.", _TIDE + " Gulls don't wait."),
            ),
        ),
        rank=2,
        excludes=_WORD_CLASHES,
        least_words=lambda params: int(params["num_words"]),
    ),
    ConstraintType(
        id="length_constraints:reading_time",
        family="length_constraints",
        parameters={"seconds": int, "words_per_minute": int},
        allowed={"seconds": range(1, 7201), "words_per_minute": range(60, 601)},
        phrasings=(*say.RULE, *say.READING),
        heldout_phrasings=(*say.RULE_HELDOUT, *say.READING_HELDOUT),
        verify=_verify_reading,
        draw=_draw_reading,
        repair=checked(_verify_reading, lambda params, reply: _thinned(reply, _tenth_around(_spoken_number(params)))),
        words=_reading_words,
        examples=(
            Example(
                {"seconds": 5, "words_per_minute": 120},
                _TIDE,
                ("The tide turns twice a day; boats wait.", _TIDE + " Gulls don't wait."),
            ),
        ),
        rank=2,
        excludes=_WORD_CLASHES,
        least_words=_spoken_number,
    ),
)

# ---------------------------------------------------------------- length buckets

_PRECISE: dict[str, Size] = {
    "10": Size(0, 20),
    "30": Size(20, 40),
    "50": Size(40, 60),
    "80": Size(70, 90),
    "150": Size(130, 170),
    "300": Size(280, 320),
    "500": Size(450, 550),
    "700": Size(630, 770),
    ">800": Size(800, None),
}
"""Ruler's precise match: the number of words is above the first bound and not above the second."""

_FLEXIBLE: dict[str, Size] = _PRECISE | {
    "80": Size(60, 100),
    "150": Size(100, 200),
    "300": Size(200, 400),
    "500": Size(400, 600),
    "700": Size(600, 800),
}
"""Ruler's flexible match."""


def _bucket(buckets: dict[str, Size], params: Params) -> Size:
    """The bucket of a target as counts that are both included."""
    low, high = buckets[params["target"]]
    return Size((low or 0) + 1, high)


def _verify_bucket(buckets: dict[str, Size], params: Params, reply: str) -> Verdict:
    unclear = units.uncountable_words(reply)
    if unclear is not None:
        return unclear
    spans = [found.span() for found in re.finditer(r"\w+", reply)]
    return units.judge_extent(spans, *_bucket(buckets, params), "words")


def _draw_bucket(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    usual = drawing.answer_words
    near = [name for name in _PRECISE if 0.3 * usual <= int(name.lstrip(">")) <= 1.5 * usual]
    return {"target": rng.choice(near)} if near else None


def _bucket_words(buckets: dict[str, Size], params: Params) -> dict[str, str]:
    low, high = buckets[params["target"]]
    goal = params["target"].lstrip(">")
    if high is None:
        return {"bound": f"more than {goal} words", "plain": f"over {goal} words", "cap": f"upwards of {goal} words"}
    if not low:
        first = {"bound": f"about {goal} words (at most {high})", "plain": f"{goal} words or so, {high} at the most"}
        return {**first, "cap": f"something like {goal} words, in no case more than {high}"}
    return {
        "bound": f"about {goal} words (more than {low}, at most {high})",
        "plain": f"{goal} words or so, over {low} but not over {high}",
        "cap": f"something like {goal} words, where {low + 1} is the least and {high} the most",
    }


def _bucketed(name: str, buckets: dict[str, Size], examples: tuple[Example, ...]) -> ConstraintType:
    def verify(params: Params, reply: str) -> Verdict:
        return _verify_bucket(buckets, params, reply)

    def repair(params: Params, reply: str) -> str | None:
        size = _bucket(buckets, params)
        most = COUNT[-1] if size.high is None else size.high
        return mend.thinned(reply, size.low or 1, most, lambda text: len(re.findall(r"\w+", text)))

    return ConstraintType(
        id=f"length_bucket:{name}",
        family="length_bucket",
        parameters={"target": str},
        allowed={"target": tuple(buckets)},
        phrasings=(*say.SIZE, *say.WORDS),
        heldout_phrasings=(*say.SIZE_HELDOUT, *say.WORDS_HELDOUT),
        verify=verify,
        draw=_draw_bucket,
        repair=checked(verify, repair),
        words=lambda params: _bucket_words(buckets, params),
        examples=examples,
        rank=2,
        excludes=_WORD_CLASHES,
        least_words=lambda params: _bucket(buckets, params).low or 0,
    )


_BUCKETS = (
    _bucketed(
        "precise",
        _PRECISE,
        (
            Example({"target": "10"}, "word " * 20, ("word " * 21, "word-of-mouth " * 7)),
            Example({"target": "80"}, "word " * 71, ("word " * 70, "word " * 91)),
            Example({"target": ">800"}, "word " * 801, ("word " * 800, "word")),
        ),
    ),
    _bucketed(
        "flexible",
        _FLEXIBLE,
        (
            Example({"target": "80"}, "word " * 61, ("word " * 60, "word " * 101)),
            Example({"target": "300"}, "word " * 400, ("word " * 401, "word " * 200)),
        ),
    ),
)

# ---------------------------------------------------------------- limits on every part


def _verify_width(params: Params, reply: str) -> Verdict:
    spans = units.line_ranges(reply)
    counts = [units.character_count(reply[start:stop]) for start, stop in spans]
    return units.judge_each(counts, spans, None, params["num_characters"], "line", "characters")


def _verify_longest_sentence(params: Params, reply: str) -> Verdict:
    unclear = units.uncountable_words(reply)
    if unclear is not None:
        return unclear
    spans = units.sentence_ranges(reply)
    return units.judge_each(units.words_in(reply, spans), spans, None, params["num_words"], "sentence", "words")


def _verify_shortest_paragraph(params: Params, reply: str) -> Verdict:
    unclear = units.uncountable_words(reply)
    if unclear is not None:
        return unclear
    spans = units.paragraph_ranges(reply)
    return units.judge_each(units.words_in(reply, spans), spans, params["num_words"], None, "paragraph", "words")


def _verify_sections(params: Params, reply: str) -> Verdict:
    unclear = units.uncountable_words(reply)
    if unclear is not None:
        return unclear
    spans = units.section_ranges(reply)
    return units.judge_each(units.words_in(reply, spans), spans, params["num_words"], None, "section", "words")


def _draw_paragraph_least(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    if drawing.answer_words < 40:
        return None
    return {"num_words": rounded(drawing.answer_words * rng.uniform(0.1, 0.4), 10, 80)}


def _draw_sections(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
    if drawing.answer_words < 80:
        return None
    return {"num_words": rounded(drawing.answer_words * rng.uniform(0.1, 0.3), 10, 80)}


def _rule(rule: str, law: str, hold: str) -> Any:
    """The words of a rule with a number `n` in it."""

    def words(params: Params) -> dict[str, str]:
        number = next(value for key, value in params.items() if key.startswith("num_"))
        texts = {"rule": rule, "law": law, "hold": hold}
        return {"n": str(number)} | {key: text.format(n=number) for key, text in texts.items()}

    return words


_PARTS = (
    ConstraintType(
        id="lines:width",
        family="lines",
        parameters={"num_characters": int},
        allowed={"num_characters": range(1, 10_001)},
        phrasings=(*say.RULE, *say.WIDTH),
        heldout_phrasings=(*say.RULE_HELDOUT, *say.WIDTH_HELDOUT),
        verify=_verify_width,
        draw=lambda rng, drawing: {"num_characters": rng.choice((30, 40, 50, 60, 72, 80, 100))},
        repair=checked(_verify_width, lambda params, reply: mend.wrapped(reply, params["num_characters"])),
        words=_rule(
            "no line is longer than {n} characters",
            "a line may hold up to {n} characters, spaces included",
            "all lines end at the latest with character number {n}",
        ),
        examples=(
            Example(
                {"num_characters": 12},
                "Boats wait.\n\nGulls do not   \r\nin a gale.",
                ("Boats wait.\n\nGulls do not!\nin a gale.", "Boats wait. Gulls do not."),
            ),
        ),
        rank=25,
        excludes=frozenset(
            {"lines:line_count", "lines:at_most", "lines:between", "lines:width", "lines:max_line_length"}
        )
        | {"lines:equal_words", "lines:word_pattern", "detectable_format:json_format"},
        forbids=True,
    ),
    ConstraintType(
        id="length_constraints:longest_sentence",
        family="length_constraints",
        parameters={"num_words": int},
        allowed={"num_words": range(1, 1001)},
        phrasings=(*say.RULE, *say.LONGEST_SENTENCE),
        heldout_phrasings=(*say.RULE_HELDOUT, *say.LONGEST_SENTENCE_HELDOUT),
        verify=_verify_longest_sentence,
        draw=lambda rng, drawing: {"num_words": rng.choice((8, 10, 12, 15, 18, 20, 25))},
        repair=checked(
            _verify_longest_sentence, lambda params, reply: mend.with_shorter_sentences(reply, params["num_words"])
        ),
        words=_rule(
            "no sentence is longer than {n} words",
            "every sentence has to end within {n} words",
            "even the longest sentence stays within {n} words",
        ),
        examples=(
            Example(
                {"num_words": 5},
                "## The tides of the northern sea\n\nBoats don't wait for long. Gulls — well-fed — do.",
                ("Boats do not wait for long. Gulls do.", "Boats don't wait for long, gulls do."),
            ),
        ),
        rank=3,
        excludes=frozenset({"counting:words_per_sentence", "counting:words_in_each_sentence"}),
    ),
    ConstraintType(
        id="length_constraints:shortest_paragraph",
        family="length_constraints",
        parameters={"num_words": int},
        allowed={"num_words": range(1, 2001)},
        phrasings=(*say.RULE, *say.SHORTEST_PARAGRAPH),
        heldout_phrasings=(*say.RULE_HELDOUT, *say.SHORTEST_PARAGRAPH_HELDOUT),
        verify=_verify_shortest_paragraph,
        draw=_draw_paragraph_least,
        repair=checked(
            _verify_shortest_paragraph, lambda params, reply: mend.with_longer_paragraphs(reply, params["num_words"])
        ),
        words=_rule(
            "every paragraph has at least {n} words",
            "paragraphs of fewer than {n} words are not accepted",
            "the shortest paragraph still has {n} words",
        ),
        examples=(
            Example(
                {"num_words": 4},
                "# Tides\n\nBoats wait for it.\n\nGulls never wait for\nanything.",
                (
                    "# Tides\n\nBoats wait here.\n\nGulls never wait for\nanything.",
                    "Boats wait for it.\n\nGulls don't.",
                ),
            ),
        ),
        rank=21,
        excludes=frozenset({"lines", "detectable_format", "detectable_content", "length_constraints:number_paragraphs"})
        | {"combination:two_responses"},
        least_words=lambda params: int(params["num_words"]),
    ),
    ConstraintType(
        id="length_constraints:section_words",
        family="length_constraints",
        parameters={"num_words": int},
        allowed={"num_words": range(1, 2001)},
        phrasings=(*say.RULE, *say.SECTIONS),
        heldout_phrasings=(*say.RULE_HELDOUT, *say.SECTIONS_HELDOUT),
        verify=_verify_sections,
        draw=_draw_sections,
        words=_rule(
            "the text is divided by Markdown headings with at least {n} words under each",
            "Markdown headings have to divide the text, and each must be followed by at least {n} words",
            "the reply falls into sections headed by #, and {n} words is the least that any of them has",
        ),
        examples=(
            Example(
                {"num_words": 4},
                "# Tea\nBoil water and wait.\n## Coffee\nGrind the beans first. Then brew.",
                (
                    "# Tea\nBoil water, wait.\n## Coffee\nGrind the beans first.",
                    "Boil water and wait.",
                    "# Tea\n# Boil it at once",
                ),
            ),
        ),
        excludes=frozenset(
            {"lines", "opening", "detectable_format:multiple_sections", "length_constraints:number_paragraphs"}
        )
        | {"detectable_format:json_format", "combination:two_responses", "length_constraints:nth_paragraph_first_word"},
        least_words=lambda params: 2 * int(params["num_words"]),
    ),
)

TYPES: tuple[ConstraintType, ...] = (*sizes.TYPES, *_NEARLY, *_BUCKETS, *_PARTS)
