"""What the 25 IFEval types declare: what they draw, which parameters they take, what stands beside them, their place
among repairs."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from adhere.core.errors import VerifierError
from adhere.core.record import Check
from adhere.verify.catalogue import IFEVAL_TYPES
from adhere.verify.conflicts import compatible, conflict
from adhere.verify.constraint import Drawing

PLAIN = "Write about the bicycle and the gravel in a garden."
NUMBER_WORDS, NUMBER_SENTENCES = "length_constraints:number_words", "length_constraints:number_sentences"
PARAGRAPHS, FIRST_WORD = "length_constraints:number_paragraphs", "length_constraints:nth_paragraph_first_word"
LETTER, FREQUENCY = "keywords:letter_frequency", "keywords:frequency"
EXISTENCE, FORBIDDEN = "keywords:existence", "keywords:forbidden_words"
CAPITALS, NO_COMMA = "change_case:capital_word_frequency", "punctuation:no_comma"


def drawn(kind: str, answer_words: int, instruction: str = PLAIN, number: int = 1500) -> list[dict[str, Any]]:
    draw = IFEVAL_TYPES[kind].draw
    found = (draw(random.Random(seed), Drawing(instruction, answer_words)) for seed in range(number))
    return [params for params in found if params is not None]


def reach(found: list[dict[str, Any]], key: str, **having: object) -> tuple[int, int]:
    values = [one[key] for one in found if all(one[name] == value for name, value in having.items())]
    return min(values), max(values)


@pytest.mark.parametrize(
    ("kind", "key", "shortest", "longest"),
    [
        (NUMBER_WORDS, "num_words", 20, 400),
        (NUMBER_SENTENCES, "num_sentences", 2, 20),
        (FREQUENCY, "frequency", 1, 6),
        (LETTER, "let_frequency", 1, 30),
    ],
)
def test_drawn_counts_keep_within_their_limits(kind: str, key: str, shortest: int, longest: int) -> None:
    assert reach(drawn(kind, 20), key)[0] == shortest
    assert reach(drawn(kind, 2000), key)[1] == longest
    for words in (20, 60, 400, 2000):
        low, high = reach(drawn(kind, words), key)
        assert shortest <= low <= high <= longest


@pytest.mark.parametrize(("words", "most"), [(30, 2), (74, 2), (75, 3), (100, 4), (125, 5), (150, 6), (900, 6)])
def test_paragraphs_are_drawn_by_the_length_of_the_answer(words: int, most: int) -> None:
    assert {one["num_paragraphs"] for one in drawn(PARAGRAPHS, words)} == set(range(2, most + 1))
    found = drawn(FIRST_WORD, words)
    assert {one["num_paragraphs"] for one in found} == set(range(2, most + 1))
    assert {one["nth_paragraph"] for one in found} == set(range(1, most + 1))
    assert all(one["nth_paragraph"] <= one["num_paragraphs"] for one in found)
    assert len({one["first_word"] for one in found}) > 20


def test_a_type_without_parameters_can_be_drawn() -> None:
    for kind in (NO_COMMA, "startend:quotation", "detectable_format:title", "detectable_format:json_format"):
        assert drawn(kind, 120, number=2) == [{}, {}]


def test_a_short_answer_gets_no_paragraphs() -> None:
    assert not drawn(PARAGRAPHS, 29)
    assert not drawn(FIRST_WORD, 29)


@pytest.mark.parametrize(
    ("kind", "key", "unit", "shares"),
    [
        (NUMBER_WORDS, "num_words", 1.0, {"at least": (0.4, 1.2), "less than": (0.5, 1.4)}),
        (NUMBER_SENTENCES, "num_sentences", 17.0, {"at least": (0.5, 1.2), "less than": (0.5, 1.6)}),
    ],
)
def test_lengths_are_drawn_around_the_usual_one(
    kind: str, key: str, unit: float, shares: dict[str, tuple[float, float]]
) -> None:
    usual = 200 / unit
    found = drawn(kind, 200)
    for relation, (low, high) in shares.items():
        least, most = reach(found, key, relation=relation)
        assert low * usual * 0.9 - 1 <= least <= low * usual * 1.1 + 1
        assert high * usual * 0.9 - 1 <= most <= high * usual * 1.1 + 1
    assert {one["relation"] for one in found} == {"at least", "less than"}


def test_long_counts_are_mostly_round() -> None:
    long, short = (Counter(one["num_words"] % 5 == 0 for one in drawn(NUMBER_WORDS, words)) for words in (200, 30))
    assert 0.8 < long[True] / long.total() < 0.95
    assert 0.7 < short[True] / short.total() < 0.95
    assert any(one["num_words"] % 50 not in (0, 25) for one in drawn(NUMBER_WORDS, 200))


def test_keywords_are_drawn_whole_and_apart() -> None:
    found = [one["keywords"] for one in drawn(EXISTENCE, 120)]
    assert {len(words) for words in found} == {1, 2, 3, 4}
    assert all(len(set(words)) == len(words) for words in found)
    assert any("bicycle" in words for words in found)
    assert any("bicycle" not in words and "gravel" not in words for words in found)
    forbidden = [one["forbidden_words"] for one in drawn(FORBIDDEN, 120)]
    assert Counter(len(words) for words in forbidden).most_common(4)[-1][1] > 200
    assert max(len(words) for words in forbidden) == 5
    assert any("bicycle" in words for words in forbidden)
    assert {words[0] for words in forbidden} > {"very", "really"}


def test_words_of_the_instruction_that_are_too_short_or_long_are_no_keywords() -> None:
    instruction = "Compare the ant, the frog, the housekeepers, the misapprehension and the teapot."
    words = {word for one in drawn(EXISTENCE, 120, instruction) for word in one["keywords"]}
    assert {"frog", "housekeepers", "teapot"} <= words
    assert not {"ant", "misapprehension"} & words


def test_frequencies_follow_the_length_of_the_answer() -> None:
    for words, most in ((20, 2), (74, 2), (75, 3), (100, 4), (150, 6), (900, 6)):
        found = drawn(FREQUENCY, words)
        assert reach(found, "frequency", relation="at least") == (1, most)
        assert reach(found, "frequency", relation="less than") == (2, most)
    own = sum(one["keyword"] in PLAIN for one in found) / len(found)
    assert 0.7 < own < 0.8


def test_letters_are_drawn_by_how_often_english_uses_them() -> None:
    found = drawn(LETTER, 100, number=6000)
    asked = {
        relation: [one for one in found if one["let_relation"] == relation] for relation in ("at least", "less than")
    }
    assert 0.6 < len(asked["at least"]) / len(found) < 0.7
    assert {one["letter"] for one in asked["at least"]} == set("abcdefghijklmnopqrstuvwxyz")
    assert {one["letter"] for one in asked["less than"]} == set("zqxjkvbpgwy")
    for letters, low, high in (("etaoinsrh", 6, 24), ("dlcumwfgypbvk", 2, 8), ("qjxz", 1, 2)):
        counts = [one["let_frequency"] for one in asked["at least"] if one["letter"] in letters]
        assert (min(counts), max(counts)) == (low, high)
        assert all(one["letter"] in "etaoinsrhdlcumwfgypbvkqjxz" for one in found)
    for letters, low, high in (("zqxj", 2, 3), ("kvbpgwy", 4, 15)):
        counts = [one["let_frequency"] for one in asked["less than"] if one["letter"] in letters]
        assert (min(counts), max(counts)) == (low, high)
    assert reach(drawn(LETTER, 5), "let_frequency", let_relation="less than")[0] == 2


def test_a_language_is_drawn_where_the_instruction_asks_for_it() -> None:
    kind = "language:response_language"
    assert {one["language"] for one in drawn(kind, 120, "Say hello in german or in Italian.")} == {"de", "it"}
    seldom = drawn(kind, 120)
    assert 0.02 < len(seldom) / 1500 < 0.09
    assert 0.6 < sum(one["language"] in ("de", "it", "pt") for one in seldom) / len(seldom) < 0.97
    asked = "Translate it to English, Spanish, French, Japanese, Polish or Ukrainian."
    assert not {one["language"] for one in drawn(kind, 120, asked)} & {"en", "es", "fr", "ja", "pl", "uk"}


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        (NUMBER_WORDS, {"relation": "less than", "num_words": 0}),
        (NUMBER_WORDS, {"relation": "more than", "num_words": 9}),
        (NUMBER_WORDS, {"relation": "less than", "num_words": 1_000_001}),
        (NUMBER_SENTENCES, {"relation": "at least", "num_sentences": 0}),
        (PARAGRAPHS, {"num_paragraphs": 0}),
        (PARAGRAPHS, {"num_paragraphs": 1_000_001}),
        (FIRST_WORD, {"num_paragraphs": 0, "nth_paragraph": 1, "first_word": "so"}),
        (FIRST_WORD, {"num_paragraphs": 2, "nth_paragraph": 0, "first_word": "so"}),
        (FREQUENCY, {"relation": "at least", "keyword": "tea", "frequency": 0}),
        (FREQUENCY, {"relation": "exactly", "keyword": "tea", "frequency": 1}),
        (FREQUENCY, {"relation": "at least", "keyword": "tea", "frequency": 1_000_001}),
        (LETTER, {"let_relation": "at least", "letter": "a", "let_frequency": 0}),
        (LETTER, {"let_relation": "about", "letter": "a", "let_frequency": 1}),
        ("language:response_language", {"language": "tlh"}),
        ("detectable_content:number_placeholders", {"num_placeholders": 0}),
        ("detectable_format:number_bullet_lists", {"num_bullets": -1}),
        ("detectable_format:number_highlighted_sections", {"num_highlights": 0}),
        ("detectable_format:multiple_sections", {"section_spliter": "Part", "num_sections": 0}),
        (CAPITALS, {"capital_relation": "at least", "capital_frequency": 0}),
        (CAPITALS, {"capital_relation": "at most", "capital_frequency": 2}),
    ],
)
def test_counts_and_choices_out_of_bounds_are_refused(kind: str, params: dict[str, Any]) -> None:
    with pytest.raises(VerifierError, match=r"should be (from|one of)"):
        IFEVAL_TYPES[kind].validated(params)


def test_the_largest_count_is_a_million() -> None:
    for kind, params in (
        (NUMBER_WORDS, {"relation": "less than", "num_words": 1_000_000}),
        (FREQUENCY, {"relation": "at least", "keyword": "tea", "frequency": 1_000_000}),
        (LETTER, {"let_relation": "at least", "letter": "a", "let_frequency": 1}),
    ):
        assert IFEVAL_TYPES[kind].validated(params) == params


def words_below(number: int) -> Check:
    return Check(NUMBER_WORDS, {"relation": "less than", "num_words": number})


# A check, and the number of words under which it just fits.
@pytest.mark.parametrize(
    ("check", "need"),
    [
        (Check(EXISTENCE, {"keywords": ["river", "stone", "bridge"]}), 9),
        (Check(FREQUENCY, {"relation": "at least", "keyword": "tea", "frequency": 3}), 12),
        (Check(PARAGRAPHS, {"num_paragraphs": 3}), 30),
        (Check(FIRST_WORD, {"num_paragraphs": 3, "nth_paragraph": 1, "first_word": "So"}), 30),
        (Check("startend:end_checker", {"end_phrase": "That is all."}), 6),
        (Check("detectable_content:number_placeholders", {"num_placeholders": 5}), 15),
        (Check("detectable_content:postscript", {"postscript_marker": "P.S."}), 12),
        (Check("detectable_format:number_bullet_lists", {"num_bullets": 4}), 24),
        (Check("detectable_format:number_highlighted_sections", {"num_highlights": 4}), 16),
        (Check("detectable_format:multiple_sections", {"section_spliter": "Part", "num_sections": 3}), 30),
        (Check("detectable_format:title"), 5),
        (Check(CAPITALS, {"capital_relation": "at least", "capital_frequency": 3}), 9),
    ],
)
def test_a_word_limit_leaves_room_for_what_else_is_asked(check: Check, need: int) -> None:
    assert compatible([check, words_below(need + 1)])
    assert not compatible([check, words_below(need)])


def test_what_asks_for_little_needs_no_words() -> None:
    few = Check(FREQUENCY, {"relation": "less than", "keyword": "tea", "frequency": 9})
    assert compatible([few, words_below(1)])
    assert compatible([Check(CAPITALS, {"capital_relation": "less than", "capital_frequency": 9}), words_below(1)])


REPEAT = Check("combination:repeat_prompt", {"prompt_to_repeat": "Name it."})
FEW_TEA = Check(FREQUENCY, {"relation": "less than", "keyword": "tea", "frequency": 2})


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (FEW_TEA, Check(EXISTENCE, {"keywords": ["tea"]}), True),
        (FEW_TEA, Check(EXISTENCE, {"keywords": ["tea in a teapot"]}), False),
        (FEW_TEA, Check("startend:end_checker", {"end_phrase": "Tea for two and tea for one."}), False),
        (Check(NO_COMMA), Check("startend:end_checker", {"end_phrase": "Well, that is all."}), False),
        (Check(NO_COMMA), Check(FREQUENCY, {"relation": "at least", "keyword": "a,b", "frequency": 1}), False),
        (Check(NO_COMMA), Check(FREQUENCY, {"relation": "less than", "keyword": "a,b", "frequency": 1}), True),
        (Check(NO_COMMA), Check(FIRST_WORD, {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "so,"}), False),
        (
            Check(LETTER, {"let_relation": "less than", "letter": "e", "let_frequency": 3}),
            Check(FREQUENCY, {"relation": "at least", "keyword": "tree", "frequency": 2}),
            False,
        ),
        (
            Check(LETTER, {"let_relation": "less than", "letter": "e", "let_frequency": 5}),
            Check(FREQUENCY, {"relation": "at least", "keyword": "tree", "frequency": 2}),
            True,
        ),
        (Check(FORBIDDEN, {"forbidden_words": ["tea"]}), Check(EXISTENCE, {"keywords": ["green tea"]}), False),
        (
            Check(PARAGRAPHS, {"num_paragraphs": 2}),
            Check(NUMBER_SENTENCES, {"relation": "at least", "num_sentences": 2}),
            False,
        ),
        (
            Check(PARAGRAPHS, {"num_paragraphs": 2}),
            Check(FIRST_WORD, {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "so"}),
            False,
        ),
        (
            Check("detectable_format:title"),
            Check(FIRST_WORD, {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "so"}),
            False,
        ),
        (Check("change_case:english_capital"), Check("change_case:english_lowercase"), False),
        (
            Check("change_case:english_capital"),
            Check(CAPITALS, {"capital_relation": "at least", "capital_frequency": 2}),
            False,
        ),
        (
            Check("change_case:english_lowercase"),
            Check(CAPITALS, {"capital_relation": "at least", "capital_frequency": 2}),
            False,
        ),
        (
            Check(LETTER, {"let_relation": "less than", "letter": "s", "let_frequency": 1}),
            Check("detectable_content:postscript", {"postscript_marker": "P.S."}),
            False,
        ),
        (
            Check(LETTER, {"let_relation": "less than", "letter": "p", "let_frequency": 1}),
            Check("detectable_format:multiple_sections", {"section_spliter": "Part", "num_sections": 2}),
            False,
        ),
        (REPEAT, Check("startend:quotation"), False),
        (REPEAT, Check("detectable_format:title"), True),
        (Check("startend:quotation"), Check("detectable_format:title"), False),
        (Check("detectable_format:json_format"), Check(EXISTENCE, {"keywords": ["tea"]}), True),
        (Check("detectable_format:json_format"), Check(NO_COMMA), False),
        (Check("combination:two_responses"), Check(NO_COMMA), True),
        (Check("combination:two_responses"), Check("startend:quotation"), False),
        (Check("language:response_language", {"language": "de"}), Check(EXISTENCE, {"keywords": ["tea"]}), False),
        (Check("language:response_language", {"language": "de"}), Check(PARAGRAPHS, {"num_paragraphs": 2}), True),
    ],
)
def test_what_may_stand_together(one: Check, other: Check, expected: bool) -> None:
    assert (conflict(one, other) is None) is expected
    assert (conflict(other, one) is None) is expected


def test_the_same_word_is_not_demanded_without_end() -> None:
    (text,) = IFEVAL_TYPES[FREQUENCY].demands({"relation": "at least", "keyword": "tea", "frequency": 999_999})
    assert text == " ".join(["tea"] * 1000)


def test_repairs_of_ifeval_types_have_their_order() -> None:
    order = sorted(IFEVAL_TYPES.values(), key=lambda kind: kind.rank)
    assert [(kind.id.split(":")[1], kind.rank) for kind in order] == [
        ("response_language", 0),
        ("forbidden_words", 1),
        ("number_words", 2),
        ("number_sentences", 3),
        ("existence", 4),
        ("frequency", 5),
        ("no_comma", 6),
        ("letter_frequency", 7),
        ("constrained_response", 10),
        ("two_responses", 20),
        ("number_paragraphs", 21),
        ("number_bullet_lists", 22),
        ("multiple_sections", 26),
        ("nth_paragraph_first_word", 27),
        ("number_highlighted_sections", 30),
        ("title", 32),
        ("number_placeholders", 33),
        ("postscript", 34),
        ("end_checker", 35),
        ("capital_word_frequency", 40),
        ("english_capital", 41),
        ("english_lowercase", 41),
        ("quotation", 50),
        ("json_format", 51),
        ("repeat_prompt", 52),
    ]
