"""Where a verdict points to, and by how much a count missed."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest

from adhere.verify.catalogue import IFEVAL_TYPES, UNSEEN_TYPES
from adhere.verify.registers import register
from adhere.verify.spans import MOST_SPANS, counted_spans, first_spans, lines_with_places, says_something

FAITHFUL = {**IFEVAL_TYPES, **UNSEEN_TYPES}
REPAIRED = register("repaired", FAITHFUL)
AT_LEAST, LESS = {"relation": "at least"}, {"relation": "less than"}

# Type, parameters, reply, the texts that the spans mark, by how much the count missed.
MARKED: list[tuple[str, dict[str, Any], str, list[str], int]] = [
    ("keywords:existence", {"keywords": ["tea", "pot"]}, "A Pot of TEA, a pot.", ["Pot", "TEA"], 0),
    ("keywords:existence", {"keywords": ["tea", "cup", "mug"]}, "A pot of tea.", ["tea"], -2),
    ("keywords:frequency", {**AT_LEAST, "keyword": "tea", "frequency": 4}, "Tea, teapot.", ["Tea", "tea"], -2),
    ("keywords:frequency", {**LESS, "keyword": "tea", "frequency": 1}, "Tea, teapot.", ["Tea", "tea"], 2),
    ("keywords:forbidden_words", {"forbidden_words": ["pot", "tea"]}, "Tea in a pot. Tea!", ["Tea", "pot", "Tea"], 3),
    (
        "keywords:letter_frequency",
        {"let_relation": "less than", "letter": "i", "let_frequency": 2},
        "İ like it",
        ["İ", "i", "i"],
        2,
    ),
    ("length_constraints:number_sentences", {**AT_LEAST, "num_sentences": 3}, "One. Two?", ["One.", "Two?"], -1),
    ("length_constraints:number_words", {**LESS, "num_words": 3}, "Don't go on", ["Don", "t", "go", "on"], 2),
    ("length_constraints:number_paragraphs", {"num_paragraphs": 1}, "a\n***\nb", ["a", "b"], 1),
    (
        "length_constraints:nth_paragraph_first_word",
        {"num_paragraphs": 3, "nth_paragraph": 2, "first_word": "later"},
        "One.\n\n“Soon” two.",
        ["“Soon”"],
        -1,
    ),
    ("detectable_content:number_placeholders", {"num_placeholders": 3}, "[a] and [b]", ["[a]", "[b]"], -1),
    ("detectable_content:postscript", {"postscript_marker": "P.S."}, "Bye. p. s. Hi", ["p. s."], 0),
    ("detectable_format:number_bullet_lists", {"num_bullets": 1}, "* a\n- b\nc", ["* a", "- b"], 1),
    ("detectable_format:constrained_response", {}, "So: My answer is no.", ["My answer is no."], 0),
    ("detectable_format:number_highlighted_sections", {"num_highlights": 3}, "*a* b **c**", ["*a*", "**c**"], -1),
    (
        "detectable_format:multiple_sections",
        {"section_spliter": "Part", "num_sections": 3},
        "Part 1\na\nPart 2\nb",
        ["Part 1", "Part 2"],
        -1,
    ),
    ("detectable_format:json_format", {}, '```\n{"a": 1,}\n```', ["}"], 0),
    ("detectable_format:title", {}, "So:\n<<A B>>\ntext", ["<<A B>>"], 0),
    ("combination:two_responses", {}, " a ****** b\n******c", ["a", "b", "c"], 1),
    ("combination:repeat_prompt", {"prompt_to_repeat": "Name a fruit."}, "\nName a nut.", ["Name a "], -6),
    ("startend:end_checker", {"end_phrase": "Bye."}, "So. bye.\n", ["bye."], 0),
    ("startend:end_checker", {"end_phrase": "Bye."}, "So. Bye. Or not", [" Or not"], 0),
    ("startend:quotation", {}, '\n"Rain" falls', ['"'], 0),
    (
        "change_case:capital_word_frequency",
        {"capital_relation": "less than", "capital_frequency": 2},
        "It is NASA's, I CANNOT ask McDONALD or USAid. A",
        ["NASA", "I", "CAN", "NOT", "A"],
        4,
    ),
    ("change_case:english_capital", {}, "ALL Of it", ["Of", "it"], 3),
    ("change_case:english_lowercase", {}, "all Of IT", ["Of", "IT"], 3),
    ("punctuation:no_comma", {}, "a, b,c", [",", ","], 2),
    ("opening:first_word", {"first_word": "Today"}, "“To day”", ["To"], 0),
    ("opening:first_sentence_question", {}, " Why not? So.", ["Why not?"], 0),
    ("opening:first_phrase", {"phrase": "In short,"}, "\n in short, no", ["in short,"], 0),
    ("lines:line_count", {"num_lines": 3}, "a\r\n\n b", ["a", " b"], -1),
    ("lines:numbered_steps", {"num_steps": 1}, "So:\n1. a\n2. b", ["1. a", "2. b"], 1),
    ("lines:max_line_length", {"max_words": 2}, "a b\nc d e f\ng h i", ["c d e f", "g h i"], 2),
    ("tally:question_marks", {"num_questions": 2}, "So? Yes.", ["?"], -1),
    ("tally:exclamation_marks", {"num_exclamations": 0}, "So! Yes!", ["!", "!"], 2),
    ("tally:numbers", {"num_numbers": 3}, "1,5 of 20", ["1,5", "20"], -1),
    ("lipogram:avoid_letter", {"letter": "z"}, "Zoe is lazy", ["Z", "z"], 2),
    ("lipogram:no_contractions", {}, "It's so, isn't it", ["It's", "isn't"], 2),
    ("lipogram:no_digits", {}, "7 of 12", ["7", "1", "2"], 3),
]


@pytest.mark.parametrize(("kind", "params", "reply", "texts", "miss"), MARKED)
def test_what_was_counted_is_marked(kind: str, params: dict[str, Any], reply: str, texts: list[str], miss: int) -> None:
    verdict = FAITHFUL[kind].verify(FAITHFUL[kind].validated(params), reply)
    assert [reply[start:stop] for start, stop in verdict.spans] == texts
    assert verdict.miss == miss
    assert not (miss and verdict.passed)


def test_every_type_but_language_marks_something() -> None:
    assert {kind for kind, *_ in MARKED} == set(FAITHFUL) - {"language:response_language"}


PATTERNS = {
    "letters": "a",
    "words": "is it Tea, 7 ",
    "lines": "* a [b] *c*\n",
    "headings": "Part 1\nPart 2\n",
    "marks in a line": "*_> ",
    "opened": "*! ",
    "closed": "*a ",
    "runs": "*a **b ***c ",
    "quotes": '" "a',
    "brackets": "[a[",
    "titles": "<<",
    "capitals": "I ABC'S It ",
    "stars": "*",
    "rules": "***\n\n",
    "spaces": " ",
    "carriage returns": "a\r\n\r\n",
}


@pytest.mark.parametrize("name", PATTERNS)
def test_spans_are_few_in_order_and_found_in_linear_time(name: str) -> None:
    """300 KB take far below a second each; a quadratic step would take minutes."""
    text = PATTERNS[name]
    reply = text * (300_000 // len(text)) + "x"
    for types in (FAITHFUL, REPAIRED):
        for kind in types.values():
            if kind.family in ("language", "change_case") and name == "words":
                continue  # the language detector is the slow part there
            began = time.process_time()
            verdict = kind.verify(kind.validated(kind.examples[0].params), reply)
            assert time.process_time() - began < 10, kind.id
            assert len(verdict.spans) <= MOST_SPANS
            assert list(verdict.spans) == sorted(verdict.spans)
            assert all(0 <= start <= stop <= len(reply) for start, stop in verdict.spans)


def test_all_are_counted_and_the_first_kept() -> None:
    count, spans = counted_spans(re.finditer("a", "a" * 2500))
    assert (count, len(spans), spans[-1]) == (2500, MOST_SPANS, (MOST_SPANS - 1, MOST_SPANS))
    assert len(first_spans((at, at + 1) for at in range(5000))) == MOST_SPANS
    verdict = FAITHFUL["length_constraints:number_words"].verify({**LESS, "num_words": 9}, "word " * 2500)
    assert (verdict.miss, len(verdict.spans)) == (2492, MOST_SPANS)


def test_lines_stand_where_they_are_said_to() -> None:
    text = "a\r\n\nbc\r"
    assert list(lines_with_places(text)) == [(0, "a"), (3, ""), (4, "bc")]
    assert says_something("..a", 2)
    assert not says_something("..a_", 0, 2)
    assert not says_something("_")
