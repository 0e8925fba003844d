"""So many words, characters, sentences, paragraphs or lines in a reply: exactly, at most, between.

One description of each unit (`_Unit`) makes all of its types.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, NamedTuple

from adhere.core.verifier import Verdict
from adhere.verify import units
from adhere.verify.constraint import ConstraintType, Drawing, Example, Params, judged_range
from adhere.verify.families import extent_repair as mend
from adhere.verify.families import extent_wording as say
from adhere.verify.families.extent_repair import checked
from adhere.verify.families.extent_wording import Size
from adhere.verify.pieces import regroup
from adhere.verify.units import Span

COUNT = range(1, 100_001)
WORD_LENGTHS = frozenset(
    {
        "length_constraints:number_words",
        "length_constraints:words_exactly",
        "length_constraints:words_at_most",
        "length_constraints:words_between",
        "length_constraints:words_about",
        "length_constraints:reading_time",
        "length_constraints:characters_at_most",
        "length_constraints:characters_between",
        "length_bucket",
        "counting:multiple_of",
    }
)
SENTENCE_LENGTHS = frozenset(
    {
        "length_constraints:number_sentences",
        "length_constraints:sentences_exactly",
        "length_constraints:sentences_between",
    }
)
PARAGRAPH_COUNTS = frozenset(
    {
        "length_constraints:number_paragraphs",
        "length_constraints:nth_paragraph_first_word",
        "length_constraints:paragraphs_exactly",
        "length_constraints:paragraphs_between",
        "combination:two_responses",
    }
)

_SPACES = ("counted", "not counted")
_SHOWN_LENGTH = 100_000
WORDS_PER_SENTENCE = 17
_CHARACTERS_PER_WORD = 6


def rounded(value: float, low: int, high: int) -> int:
    """A count as people choose it: in steps of one, five, ten, fifty or a hundred as it grows."""
    step = next((step for most, step in ((12, 1), (40, 5), (300, 10), (1000, 50)) if value <= most), 100)
    return min(max(step * round(value / step), low), high)


# ---------------------------------------------------------------- sizes: so many of a unit in the whole reply


class _Unit(NamedTuple):
    """A unit that a reply can be measured in, with what its three types share.

    `usual(answer_words)` is how many of them an ordinary answer has; `repair(params, reply, size)` brings a reply to a
    size; `least_words` is about how many words one unit needs.
    """

    family: str
    one: str
    many: str
    judge: Callable[[Params, str, Size], Verdict]
    usual: Callable[[int], float]
    repair: Callable[[Params, str, Size], str | None]
    phrasings: tuple[str, ...]
    heldout: tuple[str, ...]
    excludes: frozenset[str]
    rank: int
    least_words: float
    smallest: int = 1
    largest: int = 5000


def judge_words(params: Params, reply: str, size: Size) -> Verdict:
    """The verdict on the number of words; not judged in scripts without spaces."""
    return units.uncountable_words(reply) or units.judge_extent(units.word_spans(reply), *size, "words")


def _judge_sentences(params: Params, reply: str, size: Size) -> Verdict:
    return units.uncountable_sentences(reply) or units.judge_extent(units.sentence_ranges(reply), *size, "sentences")


def _judge_paragraphs(params: Params, reply: str, size: Size) -> Verdict:
    return units.judge_extent(units.paragraph_ranges(reply), *size, "paragraphs")


def _judge_lines(params: Params, reply: str, size: Size) -> Verdict:
    return units.judge_extent(units.line_ranges(reply), *size, "lines")


def _judge_characters(params: Params, reply: str, size: Size) -> Verdict:
    white_space = params["white_space"] == _SPACES[0]
    found = units.character_count(reply, white_space)
    spans: tuple[Span, ...] = ()
    if size.high is not None and found > size.high and len(reply) <= _SHOWN_LENGTH:
        spans = ((_end_of_room(reply, size.high, white_space), len(reply.rstrip())),)
    return judged_range(found, size.low, size.high, "characters" if white_space else "characters but spaces", spans)


def _end_of_room(reply: str, room: int, white_space: bool) -> int:
    """Where the first character beyond the room begins."""
    low, high = 0, len(reply)
    while low < high:
        middle = (low + high + 1) // 2
        fits = units.character_count(reply[:middle], white_space) <= room
        low, high = (middle, high) if fits else (low, middle - 1)
    return low


def _repair_words(params: Params, reply: str, size: Size) -> str | None:
    high = size.high if size.high is not None else COUNT[-1]
    if size.low is None:
        return mend.cut(reply, high, mend.words_of)
    return mend.thinned(reply, size.low, high)


def _repair_characters(params: Params, reply: str, size: Size) -> str | None:
    white_space = params["white_space"] == _SPACES[0]
    high = size.high if size.high is not None else COUNT[-1]
    return mend.cut(reply, high, lambda text: units.character_count(text, white_space))


def _repair_sentences(params: Params, reply: str, size: Size) -> str | None:
    found = len(units.sentence_ranges(reply))
    if size.high is not None and found > size.high:
        return mend.cut(reply, size.high, lambda text: len(units.sentence_ranges(text)))
    return mend.with_more_sentences(reply, size.low) if size.low is not None else None


def _repair_paragraphs(params: Params, reply: str, size: Size) -> str | None:
    found = len(units.paragraph_ranges(reply))
    wanted = size.high if size.high is not None and found > size.high else size.low
    parts = regroup(reply, wanted) if wanted and wanted <= 60 else None
    return "\n\n".join(parts) if parts else None


def _repair_lines(params: Params, reply: str, size: Size) -> str | None:
    found = len(units.line_ranges(reply))
    wanted = size.high if size.high is not None and found > size.high else size.low
    return mend.in_lines(reply, wanted) if wanted else None


_WORD = _Unit(
    "length_constraints",
    "word",
    "words",
    judge_words,
    float,
    _repair_words,
    say.WORDS,
    say.WORDS_HELDOUT,
    WORD_LENGTHS | SENTENCE_LENGTHS,
    2,
    1.0,
    5,
)
_CHARACTER = _Unit(
    "length_constraints",
    "character",
    "characters",
    _judge_characters,
    lambda words: float(_CHARACTERS_PER_WORD * words),
    _repair_characters,
    say.CHARACTERS,
    say.CHARACTERS_HELDOUT,
    WORD_LENGTHS | SENTENCE_LENGTHS,
    2,
    1 / _CHARACTERS_PER_WORD,
    60,
    20_000,
)
_SENTENCE = _Unit(
    "length_constraints",
    "sentence",
    "sentences",
    _judge_sentences,
    lambda words: words / WORDS_PER_SENTENCE,
    _repair_sentences,
    say.SENTENCES,
    say.SENTENCES_HELDOUT,
    WORD_LENGTHS | SENTENCE_LENGTHS | {"counting:sentences_per_paragraph", "letters:acrostic"},
    3,
    6.0,
    1,
    30,
)
_PARAGRAPH = _Unit(
    "length_constraints",
    "paragraph",
    "paragraphs",
    _judge_paragraphs,
    lambda words: words / 50,
    _repair_paragraphs,
    say.PARAGRAPHS,
    say.PARAGRAPHS_HELDOUT,
    PARAGRAPH_COUNTS
    | {"lines", "letters:acrostic_lines", "detectable_content:postscript", "detectable_format:multiple_sections"},
    21,
    10.0,
    2,
    12,
)
_LINE = _Unit(
    "lines",
    "line",
    "lines",
    _judge_lines,
    lambda words: words / 20 + 2,
    _repair_lines,
    say.LINES,
    say.LINES_HELDOUT,
    PARAGRAPH_COUNTS | {"lines", "letters:acrostic_lines", "detectable_content", "detectable_format"},
    23,
    4.0,
    2,
    40,
)


def _count_name(unit: _Unit) -> str:
    return f"num_{unit.many}"


def _exactly(unit: _Unit) -> Callable[[Params], Size]:
    return lambda params: Size(params[_count_name(unit)], params[_count_name(unit)])


def _at_most(unit: _Unit) -> Callable[[Params], Size]:
    return lambda params: Size(None, params[_count_name(unit)])


def _between(unit: _Unit) -> Callable[[Params], Size]:
    return lambda params: Size(params["least"], params["most"])


def _draw_count(unit: _Unit, low: float, high: float) -> Callable[[random.Random, Drawing], dict[str, Any] | None]:
    """Draws one count around what is usual, between `low` and `high` times that."""

    def draw(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
        number = rounded(unit.usual(drawing.answer_words) * rng.uniform(low, high), unit.smallest, unit.largest)
        return {_count_name(unit): number, **_drawn_spaces(unit, rng)}

    return draw


def _draw_bounds(unit: _Unit) -> Callable[[random.Random, Drawing], dict[str, Any] | None]:
    def draw(rng: random.Random, drawing: Drawing) -> dict[str, Any] | None:
        usual = unit.usual(drawing.answer_words)
        least = rounded(usual * rng.uniform(0.4, 0.9), unit.smallest, unit.largest - 1)
        most = rounded(least * rng.uniform(1.15, 1.6) + 1, least + 1, unit.largest)
        return {"least": least, "most": most, **_drawn_spaces(unit, rng)}

    return draw


def _drawn_spaces(unit: _Unit, rng: random.Random) -> dict[str, Any]:
    return {"white_space": rng.choice(_SPACES)} if unit is _CHARACTER else {}


def _note(unit: _Unit, params: Params) -> str:
    """What has to be said of a unit besides its name."""
    given = params.get("white_space")
    if given is not None:
        return f"spaces and line breaks {'included' if given == _SPACES[0] else 'not counted'}"
    return {"paragraphs": "set apart by blank lines", "lines": "blank ones not counted"}.get(unit.many, "")


def _sized(
    unit: _Unit,
    relation: str,
    limits: Callable[[Params], Size],
    draw: Callable[[random.Random, Drawing], dict[str, Any] | None],
    examples: tuple[Example, ...],
) -> ConstraintType:
    """The type that asks for a size of a unit."""

    def verify(params: Params, reply: str) -> Verdict:
        return unit.judge(params, reply, limits(params))

    names = ("least", "most") if relation == "between" else (_count_name(unit),)
    spaces: dict[str, range | tuple[str, ...]] = {"white_space": _SPACES} if unit is _CHARACTER else {}
    name = relation if unit is _LINE else f"{unit.many}_{relation}"
    return ConstraintType(
        id=f"{unit.family}:{name}",
        family=unit.family,
        parameters={**dict.fromkeys(names, int), **dict.fromkeys(spaces, str)},
        allowed={**dict.fromkeys(names, COUNT), **spaces},
        phrasings=(*say.SIZE, *unit.phrasings),
        heldout_phrasings=(*say.SIZE_HELDOUT, *unit.heldout),
        verify=verify,
        draw=draw,
        repair=checked(verify, lambda params, reply: unit.repair(params, reply, limits(params))),
        words=lambda params: say.size_words(limits(params), unit.one, unit.many, _note(unit, params)),
        examples=examples,
        rank=unit.rank,
        excludes=unit.excludes,
        forbids=relation == "at_most",
        least_words=lambda params: round((limits(params).low or 0) * unit.least_words),
    )


_TIDES = "The tide turns twice a day. Boats wait for it. Gulls don't."
TYPES: tuple[ConstraintType, ...] = (
    _sized(
        _WORD,
        "exactly",
        _exactly(_WORD),
        _draw_count(_WORD, 0.4, 1.1),
        (
            Example(
                {"num_words": 12},
                _TIDES,
                (_TIDES + " Ever.", "The tide turns twice a day. Boats wait for it. Gulls do not.", "Boats wait."),
            ),
            Example(
                {"num_words": 6},
                "1. Buy well-made shoes\n2. Wear them — often",
                ("1. Buy well-made shoes\n2. Wear them", "1. Buy well made shoes\n2. Wear them — often"),
            ),
        ),
    ),
    _sized(
        _WORD,
        "at_most",
        _at_most(_WORD),
        _draw_count(_WORD, 0.5, 1.3),
        (Example({"num_words": 5}, "Gulls don't wait for boats.", ("Gulls do not wait for boats.", _TIDES)),),
    ),
    _sized(
        _WORD,
        "between",
        _between(_WORD),
        _draw_bounds(_WORD),
        (
            Example(
                {"least": 4, "most": 6},
                "Boats wait for the tide.",
                ("Boats wait — patiently.", "Boats wait for the tide, gulls never."),
            ),
        ),
    ),
    _sized(
        _CHARACTER,
        "at_most",
        _at_most(_CHARACTER),
        _draw_count(_CHARACTER, 0.5, 1.3),
        (
            Example(
                {"num_characters": 10, "white_space": "counted"},
                "Cafe\u0301 no. 1\r\n",
                ("Cafe\u0301 no. 12\r\n", "Cafe\u0301 no.  12", "Café\r\nnumber"),
            ),
            Example(
                {"num_characters": 8, "white_space": "not counted"}, "Go  to\nbed.", ("Go  to\nbed!!", "Go to beds.")
            ),
        ),
    ),
    _sized(
        _CHARACTER,
        "between",
        _between(_CHARACTER),
        _draw_bounds(_CHARACTER),
        (
            Example({"least": 5, "most": 7, "white_space": "counted"}, "No tea.", ("No tea?!", "None", "    Tea.    ")),
            Example({"least": 3, "most": 4, "white_space": "not counted"}, "早安！", ("早！", "早安，早安！")),
        ),
    ),
    _sized(
        _SENTENCE,
        "exactly",
        _exactly(_SENTENCE),
        _draw_count(_SENTENCE, 0.5, 1.2),
        (
            Example(
                {"num_sentences": 2},
                "# Tea\n\nDr. Lee boils water, e.g. in a pot. Then she waits.",
                (
                    "# Tea\n\nDr. Lee boils water, e.g. in a pot; then she waits.",
                    "# Tea\n\nDr. Lee boils water. Then she waits. Then she drinks.",
                ),
            ),
            Example(
                {"num_sentences": 2}, "1. Boil it\n2. Drink it", ("1. Boil it, drink it", "- Boil it\n- Wait\n- Drink")
            ),
            Example({"num_sentences": 2}, "今天很冷。我在家。", ("今天很冷，我在家。", "今天很冷。我在家。晚安！")),
        ),
    ),
    _sized(
        _SENTENCE,
        "between",
        _between(_SENTENCE),
        _draw_bounds(_SENTENCE),
        (
            Example(
                {"least": 2, "most": 3}, _TIDES, (_TIDES + " Nor do I.", "The tide turns, boats wait, gulls don't.")
            ),
        ),
    ),
    _sized(
        _PARAGRAPH,
        "exactly",
        _exactly(_PARAGRAPH),
        _draw_count(_PARAGRAPH, 0.5, 1.5),
        (
            Example(
                {"num_paragraphs": 2},
                "# Tea\n\nBoil water.\nPour it.\n\n---\n\nThen wait.\n",
                (
                    "Boil water.\nPour it.\nThen wait.",
                    "Boil water.\n\nPour it.\n\nThen wait.",
                    "Tea\n\nBoil.\n \nWait.",
                ),
            ),
        ),
    ),
    _sized(
        _PARAGRAPH,
        "between",
        _between(_PARAGRAPH),
        _draw_bounds(_PARAGRAPH),
        (
            Example(
                {"least": 2, "most": 3}, "Boil.\n\nWait.\n\nDrink.", ("Boil.\nWait.\nDrink.", "Boil.\n\nA\n\nB\n\nC")
            ),
        ),
    ),
    _sized(
        _LINE,
        "at_most",
        _at_most(_LINE),
        _draw_count(_LINE, 0.7, 1.5),
        (Example({"num_lines": 2}, "Boil.\r\n\r\nWait.\r\n", ("Boil.\r\nWait.\r\nDrink.", "a\n\nb\n\nc")),),
    ),
    _sized(
        _LINE,
        "between",
        _between(_LINE),
        _draw_bounds(_LINE),
        (Example({"least": 2, "most": 3}, "Boil.\n\nWait.", ("Boil. Wait.", "Boil.\nWait.\nDrink.\nRest.")),),
    ),
)
