"""Details of the families detectable_format and combination: what is counted, drawn and made by repairs."""

from __future__ import annotations

import random
from typing import Any

import pytest

from adhere.core.verifier import Verdict
from adhere.verify.catalogue import IFEVAL_TYPES
from adhere.verify.constraint import Drawing
from adhere.verify.registers import register

MENDED = register("repaired", IFEVAL_TYPES)
BULLETS, FIXED = "detectable_format:number_bullet_lists", "detectable_format:constrained_response"
HIGHLIGHTS, SECTIONS = "detectable_format:number_highlighted_sections", "detectable_format:multiple_sections"
JSON, TITLE = "detectable_format:json_format", "detectable_format:title"
TWO, REPEAT = "combination:two_responses", "combination:repeat_prompt"
PLACEHOLDERS, SHOUTED = "detectable_content:number_placeholders", "change_case:capital_word_frequency"


def seen(kind: str, params: dict[str, Any], reply: str) -> Verdict:
    return IFEVAL_TYPES[kind].verify(params, reply)


def seen_mended(kind: str, params: dict[str, Any], reply: str) -> Verdict:
    return MENDED[kind].verify(params, reply)


def texts(verdict: Verdict, reply: str) -> list[str]:
    return [reply[start:stop] for start, stop in verdict.spans]


def drawn(kind: str, answer_words: int, key: str, instruction: str = "Write about tea.") -> set[object]:
    draw = IFEVAL_TYPES[kind].draw
    found = (draw(random.Random(seed), Drawing(instruction, answer_words)) for seed in range(400))
    return {params[key] for params in found if params is not None}


@pytest.mark.parametrize(
    ("kind", "key", "words", "least", "most"),
    [
        (BULLETS, "num_bullets", 5, 2, 2),
        (BULLETS, "num_bullets", 29, 2, 2),
        (BULLETS, "num_bullets", 30, 2, 3),
        (BULLETS, "num_bullets", 55, 2, 5),
        (BULLETS, "num_bullets", 900, 2, 8),
        (HIGHLIGHTS, "num_highlights", 59, 1, 3),
        (HIGHLIGHTS, "num_highlights", 60, 1, 6),
        (SECTIONS, "num_sections", 40, 2, 2),
        (SECTIONS, "num_sections", 75, 2, 3),
        (SECTIONS, "num_sections", 100, 2, 4),
        (SECTIONS, "num_sections", 900, 2, 6),
        (PLACEHOLDERS, "num_placeholders", 59, 1, 4),
        (PLACEHOLDERS, "num_placeholders", 60, 1, 8),
    ],
)
def test_counts_are_drawn_by_the_length_of_the_answer(kind: str, key: str, words: int, least: int, most: int) -> None:
    assert drawn(kind, words, key) == set(range(least, most + 1))


def test_capitals_are_drawn_by_the_length_of_the_answer() -> None:
    draw = IFEVAL_TYPES[SHOUTED].draw
    for words, most in ((5, 2), (23, 2), (24, 3), (80, 10), (160, 20), (900, 20)):
        found = [draw(random.Random(seed), Drawing("Write.", words)) for seed in range(900)]
        for relation, least in (("at least", 1), ("less than", 2)):
            counts = {one["capital_frequency"] for one in found if one and one["capital_relation"] == relation}
            assert counts == set(range(least, most + 1))


@pytest.mark.parametrize("kind", ["change_case:english_capital", "change_case:english_lowercase"])
def test_a_handful_of_words_gets_no_language(kind: str) -> None:
    assert IFEVAL_TYPES[kind].draw(random.Random(0), Drawing("Write.", 15)) == {}
    assert IFEVAL_TYPES[kind].draw(random.Random(0), Drawing("Write.", 14)) is None


def test_short_answers_get_no_sections() -> None:
    assert not drawn(SECTIONS, 39, "num_sections")
    assert len(drawn(SECTIONS, 40, "section_spliter")) == 10


@pytest.mark.parametrize(
    ("instruction", "fits"),
    [
        ("Is tea good?", True),
        ("I like it. Is tea good?", True),
        ("Look here:\nis tea good?", True),
        ("Is tea good? What about it?", True),
        ("IS TEA GOOD?", True),
        ("What is tea?", False),
        ("Is tea good.", False),
        ("Is tea good or bad?", False),
        ("Is the orchard green?", True),
        ("Could you make tea?", False),
        ("Can you make tea?", False),
        ("Can your uncle make tea?", True),
        ("Isotopes: what are they?", False),
        ("Tell me: is it?", True),
    ],
)
def test_fixed_answers_suit_closed_questions(instruction: str, fits: bool) -> None:
    drawn_here = IFEVAL_TYPES[FIXED].draw(random.Random(0), Drawing(instruction))
    assert drawn_here == ({} if fits else None)


def test_a_request_is_repeated_up_to_ninety_words() -> None:
    draw = IFEVAL_TYPES[REPEAT].draw
    for number in (1, 89, 90):
        text = " ".join(["word"] * number)
        assert draw(random.Random(0), Drawing(f" {text}\n")) == {"prompt_to_repeat": text}
    assert draw(random.Random(0), Drawing(" ".join(["word"] * 91))) is None
    assert draw(random.Random(0), Drawing("  ")) is None
    assert IFEVAL_TYPES[REPEAT].least_words({"prompt_to_repeat": "Name a fruit."}) == 8


@pytest.mark.parametrize(
    ("kind", "params", "reply", "expected"),
    [
        (BULLETS, {"num_bullets": 2}, "a\n * b\n\t- c - d", [" * b", "\t- c - d"]),
        (HIGHLIGHTS, {"num_highlights": 1}, "**a** * * *b*", ["**a**", "*b*"]),
        (HIGHLIGHTS, {"num_highlights": 1}, "*X* **** ** **", ["*X*"]),
        (SECTIONS, {"section_spliter": "P.t", "num_sections": 1}, "Pat1 and Pit 2", ["Pat1", "Pit 2"]),
        (TITLE, {}, "a\n\nb <<c>> d\n<<e>>", ["<<c>>"]),
        (TITLE, {}, "<<< >\n<a>>\n<<b", []),
        (TITLE, {}, "a <b>>\n<<a> >>\n", ["<<a> >>"]),
        (TITLE, {}, "<<>>\n>> a <<", []),
        (JSON, {}, '```\n{"a" 1}\n```', ["1"]),
        (JSON, {}, "[1, 2", ["2"]),
        (REPEAT, {"prompt_to_repeat": "Name it."}, "  NAME IT. Pear", ["NAME IT."]),
        (REPEAT, {"prompt_to_repeat": "Name it."}, " Name one.", ["Name "]),
        (REPEAT, {"prompt_to_repeat": "Name it."}, "It.", []),
        (TWO, {}, " a \n******\n b", ["a", "b"]),
    ],
)
def test_what_is_marked(kind: str, params: dict[str, Any], reply: str, expected: list[str]) -> None:
    assert texts(seen(kind, params, reply), reply) == expected


@pytest.mark.parametrize(
    ("kind", "params", "reply", "score", "miss"),
    [
        (TWO, {}, "a ****** a", 0.5, 0),
        (TWO, {}, "only one", 0.0, -1),
        (TWO, {}, "a ****** ****** b", 0.0, 0),
        (TWO, {}, "a ****** b ****** c", 0.0, 1),
        (REPEAT, {"prompt_to_repeat": "Name it."}, "Name it", 0.875, -1),
        (REPEAT, {"prompt_to_repeat": "Name it."}, "Name is it. Name it.", 0.75, -2),
        (REPEAT, {"prompt_to_repeat": "Name it."}, "Pear", 0.0, -8),
        (REPEAT, {"prompt_to_repeat": "Name it."}, "Nxme it.", 0.125, -7),
        (JSON, {}, "{", 0.3, 0),
        (JSON, {}, "[", 0.3, 0),
        (JSON, {}, "so", 0.0, 0),
        (JSON, {}, "9" * 5000, 0.0, 0),
        (JSON, {}, f"[{'9' * 5000}]", 0.3, 0),
        (JSON, {}, f'{{"a": {"9" * 5000}}}', 0.3, 0),
    ],
)
def test_partial_credit_and_miss(kind: str, params: dict[str, Any], reply: str, score: float, miss: int) -> None:
    verdict = seen(kind, params, reply)
    assert (verdict.passed, verdict.score, verdict.miss) == (False, pytest.approx(score), miss)


@pytest.mark.parametrize(
    ("kind", "params", "reply", "score", "miss", "marked"),
    [
        (TWO, {}, "Say it ****** say IT.", 0.5, 0, ["Say it", "say IT."]),
        (TWO, {}, "Response 1: Say it ****** Response 2: say it", 0.5, 0, None),
        (TWO, {}, "Say it ****** ---", 0.5, 0, None),
        (REPEAT, {"prompt_to_repeat": "Name it now."}, "Name\nit soon.", 2 / 3, -1, ["Name\nit "]),
        (REPEAT, {"prompt_to_repeat": "Name it now."}, "Pear.", 0.0, -3, []),
        (REPEAT, {"prompt_to_repeat": "Name it."}, " Name it. ", 0.5, 0, ["Name it."]),
    ],
)
def test_partial_credit_and_miss_as_mended(
    kind: str, params: dict[str, Any], reply: str, score: float, miss: int, marked: list[str] | None
) -> None:
    verdict = seen_mended(kind, params, reply)
    assert (verdict.passed, verdict.score, verdict.miss) == (False, pytest.approx(score), miss)
    assert marked is None or texts(verdict, reply) == marked


@pytest.mark.parametrize(
    ("kind", "params", "reply", "expected"),
    [
        (TWO, {}, "Response 1: a ****** Response 2: b", True),
        (TWO, {}, "**Answer #1** a ****** **Answer #2** a", False),
        (TWO, {}, "Option one a ****** Option two a", False),
        (TWO, {}, "Version number 1 a ****** Version number 2 a", False),
        (TWO, {}, "Reply a: x ****** Reply b: x", False),
        (TWO, {}, "Response 12 ****** Response 13", True),
        (TWO, {}, "The response 1 ****** The response 2", True),
        (TWO, {}, "a ******* b", False),
        (TWO, {}, "****** a ****** b ******", True),
        (REPEAT, {"prompt_to_repeat": "Name  it."}, "Name it.\n\nPear.", True),
        (REPEAT, {"prompt_to_repeat": "Name it."}, "Nameit. Pear.", True),
    ],
)
def test_the_mended_reading(kind: str, params: dict[str, Any], reply: str, expected: bool) -> None:
    assert seen_mended(kind, params, reply).passed is expected


def test_an_empty_response_is_told_from_one_too_few() -> None:
    assert "empty response" in seen(TWO, {}, "a ****** ****** b").reason
    assert seen(TWO, {}, "****** a ****** b").passed
    assert seen(TWO, {}, "a ******").passed is False


# Repairs.


def halves(reply: str) -> list[str] | None:
    repair = IFEVAL_TYPES[TWO].repair
    assert repair is not None
    fixed = repair({}, reply)
    return None if fixed is None else fixed.split("\n\n******\n\n")


LEFT = "The red kettle stands on the old stove and sings all morning."
RIGHT = "A copper kettle on that stove boils the water for our tea."


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Response 1: a\nb\nResponse 2: c\nd", ["Response 1: a\nb", "Response 2: c\nd"]),
        ("## Option #1\na\n## Option #2\nb", ["## Option #1\na", "## Option #2\nb"]),
        ("Answer number one: a\nANSWER NUMBER TWO: b", ["Answer number one: a", "ANSWER NUMBER TWO: b"]),
        ("Version A a\nVersion B b", ["Version A a", "Version B b"]),
        ("Reply1 a\nReply2 b", ["Reply1 a", "Reply2 b"]),
        ("The answer 1\nThe answer 2", None),
        ("Answer 1: a\nAnswer 2: b\nAnswer 1: c", None),
        ("Answer 12\nAnswer 13", None),
        ("a\nb\n---\nc\nd", ["a\nb", "c\nd"]),
        ("a\n---\nb\n---\nc", None),
        ("a\n---\na", None),
        ("---\na", None),
        ("a\n---", None),
        ("Ideas:\n\n* a\n* b\n* c\n* d", ["* a\n* b", "* c\n* d"]),
        ("1. a\n2. b\n3. c\n4. d\n5. e", ["* a\n* b", "* c\n* d\n* e"]),
        ("* a\n* b\n* c", None),
        ("So:\n* a\n* b\n* c\n* d\nThat is it.", None),
        (f"{LEFT}\n\n{RIGHT}", [LEFT, RIGHT]),
        (f"{LEFT}\n******\n{RIGHT}", [LEFT, RIGHT]),
        (f"{LEFT}\n\nAlso {RIGHT}", None),
        (f'{LEFT}\n\n"Then {RIGHT}"', None),
        (f"{LEFT[:-1]}:\n\n{RIGHT}", None),
        (f"{LEFT[:-1]},\n\n{RIGHT}", None),
        (f"{LEFT}\n\n{RIGHT}\n\nMore.", None),
        (f"{LEFT}\n\n{RIGHT} {RIGHT}", [LEFT, f"{RIGHT} {RIGHT}"]),
        (f"{LEFT}\n\n{RIGHT} {RIGHT} So it is.", None),
        (f"{LEFT}\n\nSomebody else prefers cold lemonade in the evening after work.", None),
        (f"{LEFT}\n\nSomebody else prefers a cold kettle in the evening after work.", None),
        (
            "The kettle is on the stove right now.\n\nA kettle on a stove is boiling right now.",
            [
                "The kettle is on the stove right now.",
                "A kettle on a stove is boiling right now.",
            ],
        ),
        ("The kettle is on the stove now.\n\nA kettle on a stove is boiling right now.", None),
        ("Only one.", None),
    ],
)
def test_two_responses_are_found_where_they_are(reply: str, expected: list[str] | None) -> None:
    assert halves(reply) == expected
    if expected:
        assert seen(TWO, {}, "\n\n******\n\n".join(expected)).passed


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Pear.", "Name it.\n\nPear."),
        ("Name it. Pear.", "Name it.\n\nPear."),
        ('"name it." Pear.', "Name it.\n\nPear."),
        ("**Name it.**\n\nPear.", "Name it.\n\nPear."),
        ("x" * 80 + "Name it. Pear.", "Name it.\n\nPear."),
        ("x" * 81 + "Name it. Pear.", "Name it.\n\n" + "x" * 81 + "Name it. Pear."),
        ("Name it.", "Name it.\n\nName it."),
    ],
)
def test_the_request_is_put_first_and_its_copy_goes(reply: str, expected: str) -> None:
    repair = IFEVAL_TYPES[REPEAT].repair
    assert repair is not None
    assert repair({"prompt_to_repeat": "Name it."}, reply) == expected


@pytest.mark.parametrize(
    ("kind", "params", "reply"),
    [
        (HIGHLIGHTS, {"num_highlights": 2}, "The kettle stands on the stove. The cup is on the table."),
        (SECTIONS, {"section_spliter": " Part ", "num_sections": 2}, "One is here.\n\nTwo is here."),
        (JSON, {}, "The kettle is on the stove."),
        (TITLE, {}, "The kettle is on the stove."),
        (BULLETS, {"num_bullets": 2}, "The kettle is on the stove. The cup is on the table."),
        (FIXED, {}, "Yes, it is."),
    ],
)
def test_each_format_can_be_made(kind: str, params: dict[str, Any], reply: str) -> None:
    repair = IFEVAL_TYPES[kind].repair
    assert repair is not None
    fixed = repair(params, reply)
    assert fixed is not None
    assert seen(kind, params, fixed).passed
    assert seen_mended(kind, params, fixed).passed
