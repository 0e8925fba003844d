"""Details of the IFEval families: partial credit, by how much a count was missed, places, loopholes closed."""

from __future__ import annotations

import re
from typing import Any

import pytest

from adhere.core.errors import VerifierError
from adhere.core.verifier import Verdict
from adhere.verify.catalogue import IFEVAL_TYPES
from adhere.verify.registers import register

MENDED = register("repaired", IFEVAL_TYPES)
WORDS = "length_constraints:number_words"
SENTENCES = "length_constraints:number_sentences"
PARAGRAPHS = "length_constraints:number_paragraphs"
FIRST_WORD = "length_constraints:nth_paragraph_first_word"
EXISTENCE = "keywords:existence"
FREQUENCY = "keywords:frequency"
FORBIDDEN = "keywords:forbidden_words"
LETTER = "keywords:letter_frequency"
COMMA = "punctuation:no_comma"
LANGUAGE = "language:response_language"
END = "startend:end_checker"
QUOTATION = "startend:quotation"
PLACEHOLDERS = "detectable_content:number_placeholders"
POSTSCRIPT = "detectable_content:postscript"
CAPITAL = "change_case:english_capital"
LOWER = "change_case:english_lowercase"
SHOUTED = "change_case:capital_word_frequency"
TITLE = "detectable_format:title"
SECTIONS = "detectable_format:multiple_sections"
FIXED = "detectable_format:constrained_response"
HIGHLIGHTS = "detectable_format:number_highlighted_sections"
JSON = "detectable_format:json_format"


def seen(kind: str, params: dict[str, Any], reply: str) -> Verdict:
    return IFEVAL_TYPES[kind].verify(params, reply)


def seen_mended(kind: str, params: dict[str, Any], reply: str) -> Verdict:
    return MENDED[kind].verify(params, reply)


def repaired(kind: str, params: dict[str, Any], reply: str) -> str | None:
    repair = IFEVAL_TYPES[kind].repair
    assert repair is not None
    fixed = repair(params, reply)
    if fixed is not None:
        assert seen(kind, params, fixed).passed
    return fixed


def first_word(nth: int, number: int, word: str) -> dict[str, Any]:
    return {"num_paragraphs": number, "nth_paragraph": nth, "first_word": word}


@pytest.mark.parametrize(
    ("kind", "params", "reply", "score", "miss"),
    [
        (EXISTENCE, {"keywords": ["pan", "oil", "egg", "salt"]}, "Heat the pan with oil.", 0.5, -2),
        (EXISTENCE, {"keywords": ["pan", "oil"]}, "Boil water.", 0.5, -1),
        (FORBIDDEN, {"forbidden_words": ["pan", "oil", "egg", "salt"]}, "Oil it and oil it well.", 0.75, 2),
        (FIRST_WORD, first_word(1, 2, "So"), "So it is.", 0.5, -1),
        (FIRST_WORD, first_word(1, 2, "So"), "It is so.\n\nThat is why.", 0.5, 0),
        (FIRST_WORD, first_word(1, 2, "So"), "It is so.\n\nThat is why.\n\nEnd.", 0.0, 1),
        (FIRST_WORD, first_word(2, 3, "So"), "It is so.", 0.0, -2),
        (COMMA, {}, "One, two, four.", 1 / 3, 2),
        (COMMA, {}, ",", 0.0, 1),
        (COMMA, {}, ",,,", 0.0, 3),
        (END, {"end_phrase": "The end."}, "The end. Or not.", 0.5, 0),
        (END, {"end_phrase": "The end."}, "Not yet.", 0.0, 0),
        (QUOTATION, {}, '"Half of it', 0.5, 0),
        (QUOTATION, {}, 'Half of it"', 0.5, 0),
        (QUOTATION, {}, '"', 0.5, 0),
        (QUOTATION, {}, "None of it", 0.0, 0),
        (CAPITAL, {}, "ABCDe", 0.72, 1),
        (LOWER, {}, "abCDE 12", 0.36, 3),
        (CAPITAL, {}, "12", 0.0, 0),
    ],
)
def test_partial_credit_and_miss(kind: str, params: dict[str, Any], reply: str, score: float, miss: int) -> None:
    verdict = seen(kind, params, reply)
    assert (verdict.passed, verdict.score, verdict.miss) == (False, pytest.approx(score), miss)


@pytest.mark.parametrize(
    ("kind", "params", "reply", "score", "miss"),
    [
        (FIRST_WORD, first_word(1, 2, "So"), "So it is.", 0.5, -1),
        (FIRST_WORD, first_word(1, 2, "So"), "It is so.\n\nThat is why.", 0.5, 0),
        (FIRST_WORD, first_word(1, 2, "So"), "It is so.\n\nThat is why.\n\nEnd.", 0.0, 1),
        (FIRST_WORD, first_word(2, 3, "So"), "It is so.", 0.0, -2),
        (FIXED, {}, "My answer is yes. My answer is no.", 0.5, 1),
        (FIXED, {}, "My answer is yes. My answer is no. My answer is maybe.", 0.5, 2),
        (FIXED, {}, "Yes.", 0.0, 0),
        (SECTIONS, {"section_spliter": "Part", "num_sections": 2}, "Part 2\nfoo\nPart 3\nbar", 0.8, 0),
        (
            SECTIONS,
            {"section_spliter": "Part", "num_sections": 2},
            "Part 1\nPart 2\nfoo\nPart 3\nbar\nPart 4\nx",
            0.75,
            0,
        ),
        (JSON, {}, '{"a": ', 0.3, 0),
        (JSON, {}, "[1, 2", 0.3, 0),
        (JSON, {}, "No.", 0.0, 0),
        (JSON, {}, "17", 0.3, 0),
        (TITLE, {}, "A title: <<Tea>> and text", 0.5, 0),
        (TITLE, {}, "No title", 0.0, 0),
        (TITLE, {}, "1 < 2", 0.0, 0),
        (QUOTATION, {}, '"a" or "b"', 0.5, 0),
        (END, {"end_phrase": "art"}, "This is my part", 0.5, 0),
        (END, {"end_phrase": "The end."}, "The end.", 0.5, 0),
        (POSTSCRIPT, {"postscript_marker": "P.S."}, "Done.\nP.S.", 0.5, 0),
        (POSTSCRIPT, {"postscript_marker": "P.S."}, "Done. P.S. More.", 0.5, 0),
        (POSTSCRIPT, {"postscript_marker": "P.S."}, "Done.", 0.0, 0),
    ],
)
def test_partial_credit_and_miss_as_mended(
    kind: str, params: dict[str, Any], reply: str, score: float, miss: int
) -> None:
    verdict = seen_mended(kind, params, reply)
    assert (verdict.passed, verdict.score, verdict.miss) == (False, pytest.approx(score), miss)


@pytest.mark.parametrize(
    ("kind", "params", "reply", "vacuous"),
    [
        (FORBIDDEN, {"forbidden_words": ["tea"]}, "Seven words are too few to tell.", True),
        (FORBIDDEN, {"forbidden_words": ["tea"]}, "Eight words are enough of them to tell.", False),
        (COMMA, {}, "Seven words are too few to tell.", True),
        (COMMA, {}, "Eight words are enough of them to tell.", False),
        (LANGUAGE, {"language": "de"}, "12 + 30 = 42", True),
        (LANGUAGE, {"language": "en"}, "This is an ordinary sentence in plain English.", False),
    ],
)
def test_a_pass_without_an_occasion_to_fail_is_vacuous(
    kind: str, params: dict[str, Any], reply: str, vacuous: bool
) -> None:
    assert seen(kind, params, reply) == Verdict(True, 1.0, seen(kind, params, reply).reason, vacuous)


def texts(verdict: Verdict, reply: str) -> list[str]:
    return [reply[start:stop] for start, stop in verdict.spans]


@pytest.mark.parametrize(
    ("mended", "kind", "params", "reply", "expected"),
    [
        (False, PARAGRAPHS, {"num_paragraphs": 2}, "a\n\n***\n\n \n\n***\n\nb", ["\n \n"]),
        (True, PARAGRAPHS, {"num_paragraphs": 2}, "a\n***\n-\n***\nb", ["-\n"]),
        (True, PARAGRAPHS, {"num_paragraphs": 2}, "a\n***\nb", ["a\n", "b"]),
        (True, FIRST_WORD, first_word(2, 2, "So"), 'One.\n\n"So-so it is.', ["So-so"]),
        (True, FIRST_WORD, first_word(2, 2, "So"), "One.\n\n***\n\n**So** it is.", ["So"]),
        (False, FIRST_WORD, first_word(2, 2, "So"), "One more.\n\n  So it is.", ["So"]),
        (False, FIRST_WORD, first_word(1, 1, "x-ray"), "'X-ray it.", ["'X-ray"]),
        (True, END, {"end_phrase": "The end."}, "The end.", ["The end."]),
        (False, END, {"end_phrase": "The end."}, "The end.", ["The end."]),
        (False, END, {"end_phrase": "the X"}, "It is the X", ["the X"]),
        (True, FIRST_WORD, first_word(1, 1, "So"), "So- and so.", ["So"]),
        (False, END, {"end_phrase": "The end."}, "THE END. Or not.", [" Or not."]),
        (False, QUOTATION, {}, '"Half of it', ['"']),
        (False, QUOTATION, {}, ' "All of it"', ['"', '"']),
        (False, QUOTATION, {}, "X of X", []),
        (False, PLACEHOLDERS, {"num_placeholders": 2}, "[a\nb] [c\n[d][e]", ["[d]", "[e]"]),
        (False, QUOTATION, {}, 'Half of it"', ['"']),
        (False, QUOTATION, {}, "None of it", []),
        (False, CAPITAL, {}, "ABC DeF GH ij", ["DeF", "ij"]),
        (True, PLACEHOLDERS, {"num_placeholders": 1}, "Dear [name]!", ["[name]"]),
        (False, PLACEHOLDERS, {"num_placeholders": 1}, "[a] b [c", ["[a]"]),
        (True, TITLE, {}, "\n # <<Tea>>\ntext", ["<<Tea>>"]),
        (True, HIGHLIGHTS, {"num_highlights": 1}, "*a **b** c*", ["*a **b** c*"]),
        (True, SECTIONS, {"section_spliter": "Part", "num_sections": 2}, "Part 1\nPart 2\nfoo", ["Part 1"]),
        (True, QUOTATION, {}, '"a" or "b"', ['"']),
    ],
)
def test_what_is_marked(mended: bool, kind: str, params: dict[str, Any], reply: str, expected: list[str]) -> None:
    assert texts((seen_mended if mended else seen)(kind, params, reply), reply) == expected


def test_the_opening_and_the_closing_mark_that_is_missing_is_named() -> None:
    assert [seen(QUOTATION, {}, reply).reason for reply in ('"a', 'a"', "a", '"')] == [
        "no closing double quotation mark",
        "no opening double quotation mark",
        "no opening and no closing double quotation mark",
        "no closing double quotation mark",
    ]


@pytest.mark.parametrize(
    ("kind", "params", "unit"),
    [
        (SENTENCES, {"relation": "at least", "num_sentences": 9}, "sentences"),
        (WORDS, {"relation": "at least", "num_words": 99}, "words"),
        (PARAGRAPHS, {"num_paragraphs": 9}, "paragraphs"),
        (PLACEHOLDERS, {"num_placeholders": 9}, "placeholders"),
        (SHOUTED, {"capital_relation": "at least", "capital_frequency": 9}, "words in all capitals"),
        (SECTIONS, {"section_spliter": "Part", "num_sections": 9}, "section headings"),
        (HIGHLIGHTS, {"num_highlights": 9}, "highlighted parts"),
        ("detectable_format:number_bullet_lists", {"num_bullets": 9}, "bullet points"),
    ],
)
def test_the_reason_names_what_was_counted(kind: str, params: dict[str, Any], unit: str) -> None:
    for judged in (seen, seen_mended):
        assert f" {unit}, wanted " in judged(kind, params, "One reply.").reason


@pytest.mark.parametrize(
    ("reply", "language", "said"),
    [
        ("Das ist ein ganz gewöhnlicher deutscher Satz.", "it", "the reply is German, wanted Italian"),
        ("Dit is een heel gewone Nederlandse zin.", "de", "the reply is language 'nl', wanted German"),
    ],
)
def test_languages_are_named(reply: str, language: str, said: str) -> None:
    assert seen(LANGUAGE, {"language": language}, reply).reason == said


def test_capitals_are_lowered_only_where_there_are_no_small_letters() -> None:
    shouted = "IL FAUT QUE VOUS VENIEZ NOUS VOIR DEMAIN MATIN"
    assert seen(LANGUAGE, {"language": "fr"}, shouted).passed is False
    assert seen_mended(LANGUAGE, {"language": "fr"}, shouted).passed
    assert seen_mended(LANGUAGE, {"language": "fr"}, shouted.capitalize()).passed
    assert seen_mended(LANGUAGE, {"language": "de"}, "12").passed is False


@pytest.mark.parametrize(
    ("word", "reply", "there"),
    [
        ("c#", "I write c#, not go.", True),
        ("c#", "I write abc# here.", False),
        ("c#", "I write c#x here.", True),
        ("#c", "I write #c here.", True),
        ("#c", "I write #cd here.", False),
        ("#c", "I write x#c here.", True),
        (" tea ", "tea", True),
        ("x", "x", True),
        ("x", "xx", False),
    ],
)
def test_whole_words_have_borders_where_they_have_letters(word: str, reply: str, there: bool) -> None:
    assert seen_mended(EXISTENCE, {"keywords": [word]}, reply).passed is there
    assert seen_mended(FORBIDDEN, {"forbidden_words": [word]}, reply).passed is not there


def test_forbidden_words_are_not_looked_for_inside_longer_ones() -> None:
    rock = {"forbidden_words": ["rock"]}
    assert [seen(FORBIDDEN, rock, text).passed for text in ("a bedrock", "two rocks", "a rock")] == [True, True, False]


@pytest.mark.parametrize(
    ("kind", "params", "expected"),
    [
        (
            EXISTENCE,
            {"keywords": ["a", "b", "c"]},
            {"quoted": '"a", "b" and "c"', "plain": "a, b and c", "commas": "a, b, c"},
        ),
        (FORBIDDEN, {"forbidden_words": ["a", "b"]}, {"quoted": '"a" or "b"', "both": '"a" and "b"', "commas": "a, b"}),
        (FIRST_WORD, first_word(2, 3, "So"), {"n": "3", "nth": "second", "k": "2", "first": "So"}),
        (PARAGRAPHS, {"num_paragraphs": 3}, {"n": "3", "breaks": "2"}),
        (LANGUAGE, {"language": "de"}, {"language": "German"}),
    ],
)
def test_words_of_an_instruction(kind: str, params: dict[str, Any], expected: dict[str, str]) -> None:
    assert IFEVAL_TYPES[kind].words(params) == expected


@pytest.mark.parametrize(
    ("kind", "params", "said"),
    [
        (FREQUENCY, {"relation": "at least", "keyword": "tea", "frequency": 1}, "once or more"),
        (FREQUENCY, {"relation": "less than", "keyword": "tea", "frequency": 3}, "less than 3 times"),
        (LETTER, {"let_relation": "at least", "letter": "q", "let_frequency": 1}, "once or more"),
        (LETTER, {"let_relation": "less than", "letter": "q", "let_frequency": 3}, "less than 3 times"),
        (WORDS, {"relation": "less than", "num_words": 1}, "less than 1 word"),
        (SENTENCES, {"relation": "less than", "num_sentences": 1}, "less than 1 sentence"),
    ],
)
def test_counts_in_an_instruction(kind: str, params: dict[str, Any], said: str) -> None:
    assert IFEVAL_TYPES[kind].words(params)["plain"] == said


@pytest.mark.parametrize(
    ("kind", "params", "reply", "expected"),
    [
        (SENTENCES, {"relation": "less than", "num_sentences": 3}, "1. Go there now.\n  2. Stay there now.", True),
        (SENTENCES, {"relation": "less than", "num_sentences": 2}, "It costs 3.\n4. Pay.", False),
        (SENTENCES, {"relation": "at least", "num_sentences": 2}, "He took no 1. She took no 2.", True),
        (WORDS, {"relation": "less than", "num_words": 4}, "a - b / c", True),
        (WORDS, {"relation": "less than", "num_words": 3}, "\u6c34\u6c34\u6c34", False),
        (PARAGRAPHS, {"num_paragraphs": 2}, "a\n ** * \nb", True),
        (PARAGRAPHS, {"num_paragraphs": 2}, "a\nb***\nc", False),
        (PARAGRAPHS, {"num_paragraphs": 2}, "***\na\n***\nb\n***", True),
        (PARAGRAPHS, {"num_paragraphs": 2}, "***\na\n***\nb\n***\n-", True),
        (FIRST_WORD, first_word(1, 2, "So"), "\n\nSo it is.\nStill.\n\nMore.", True),
        (FIRST_WORD, first_word(2, 2, "So"), "One.\nTwo.\n \nSo it is.", True),
        (FIRST_WORD, first_word(2, 2, "it"), "One.\r\n\r\nIt's me.", True),
        (FIRST_WORD, first_word(1, 1, "so"), "---\nSo it is.\nMore.\nStill more.", True),
        (COMMA, {}, "\u6c34\u3001\u6c34", False),
        (END, {"end_phrase": '"'}, 'He said "no"', True),
        (END, {"end_phrase": "The  end."}, "It is the end.\nThe\nEnd. ", True),
        (END, {"end_phrase": "end"}, "A - end", True),
        (QUOTATION, {}, '"He is 6" tall and says "no" to it."', True),
        (QUOTATION, {}, '"The board is 6" wide" he said"', False),
        (QUOTATION, {}, '"One", he said, "two"', False),
        (QUOTATION, {}, '"She said ("no") to it"', True),
        (QUOTATION, {}, '"She said "he said "no" to it" to me"', True),
        (QUOTATION, {}, '"She said "he said "no" to it" to me" and "left"', False),
        (QUOTATION, {}, '""No" is what she said"', True),
        (QUOTATION, {}, "\u201cAll of it\u201d", True),
        (PLACEHOLDERS, {"num_placeholders": 1}, "- [x] done", False),
        (PLACEHOLDERS, {"num_placeholders": 1}, "Read it.\n- [ X ] done", False),
        (PLACEHOLDERS, {"num_placeholders": 1}, "Mark [x] there", True),
        (PLACEHOLDERS, {"num_placeholders": 1}, "-[x] there", True),
        (PLACEHOLDERS, {"num_placeholders": 1}, "- [name] there", True),
        (PLACEHOLDERS, {"num_placeholders": 1}, "[name](there)", False),
        (POSTSCRIPT, {"postscript_marker": "P.P.S"}, "Done.\np. p. s. More", True),
        (POSTSCRIPT, {"postscript_marker": "P.P.S"}, "Done.\nP.P.Soon", False),
        (TITLE, {}, "Title: <<Tea>>", True),
        (TITLE, {}, "TITLE : <<Tea>>", True),
        (TITLE, {}, "Subtitle: <<Tea>>", False),
        (TITLE, {}, "<<Your title>>", False),
        (TITLE, {}, "x <<no>> y\n<<A>>", True),
        (TITLE, {}, "<<a>> <<b>>", False),
        (TITLE, {}, "<<>>", False),
        (TITLE, {}, "<Tea>", False),
        (TITLE, {}, "**<<Tea>>**", True),
        (HIGHLIGHTS, {"num_highlights": 1}, "*a*", True),
        (HIGHLIGHTS, {"num_highlights": 1}, "***a***", True),
        (HIGHLIGHTS, {"num_highlights": 1}, "****a****", False),
        (HIGHLIGHTS, {"num_highlights": 2}, "*a **b** c*", False),
        (HIGHLIGHTS, {"num_highlights": 2}, "*a* ***** *b*", True),
        (HIGHLIGHTS, {"num_highlights": 1}, "* a * b *", False),
        (HIGHLIGHTS, {"num_highlights": 1}, "a*b*c", True),
        (HIGHLIGHTS, {"num_highlights": 1}, "*-* **", False),
        (HIGHLIGHTS, {"num_highlights": 2}, "*a*b*c*", True),
        (HIGHLIGHTS, {"num_highlights": 1}, "*see a*", True),
        (HIGHLIGHTS, {"num_highlights": 1}, "*a *", False),
        (HIGHLIGHTS, {"num_highlights": 1}, "a *-* b", False),
        (SECTIONS, {"section_spliter": "Part", "num_sections": 2}, "Part 1\na\nPart 1\nb\nPart 2\nc", False),
        (TITLE, {}, "<Tea>>", False),
        (TITLE, {}, "X <<Tea>>", False),
        (TITLE, {}, "<<Tea>> X", False),
        (TITLE, {}, "<<Tea>>x", False),
        (TITLE, {}, " <<Tea>> ", True),
        (TITLE, {}, "<<X>>", True),
        (TITLE, {}, "<< title >>", False),
        (TITLE, {}, "<<a < b>>", True),
        (SECTIONS, {"section_spliter": "Part", "num_sections": 2}, "Part 1\na\nPart 2\nb\nPart 1\nc\nPart 2\nd", True),
        (SECTIONS, {"section_spliter": "Part", "num_sections": 2}, "Part 1\na\nPart 2\nb\nPart 3\nc", True),
        (SECTIONS, {"section_spliter": "Part", "num_sections": 2}, "Part 1\na\nPart 1\nb", False),
        (SECTIONS, {"section_spliter": "Part", "num_sections": 2}, "Part 1\na\nPart 2\nb\nPart 1\nc", False),
        (SECTIONS, {"section_spliter": "#Part", "num_sections": 1}, "#Part 1\na", True),
        (JSON, {}, "[" * 100_000, False),
    ],
)
def test_the_mended_reading(kind: str, params: dict[str, Any], reply: str, expected: bool) -> None:
    assert seen_mended(kind, params, reply).passed is expected


def test_english_is_asked_for_only_where_there_is_enough_of_it() -> None:
    short = "das ist ein ganz kurzer satz und sonst gar nichts"
    assert sum(map(str.isalpha, short)) == 40
    assert seen_mended(LOWER, {}, short).passed
    assert seen_mended(LOWER, {}, short + " mehr abcde").passed
    assert seen_mended(LOWER, {}, short + " mehr abcdef").passed is False
    assert seen_mended(LOWER, {}, short + " \u2013").passed
    verdict = seen_mended(LOWER, {}, short + " mehr abcd dada")
    assert (verdict.passed, verdict.score) == (False, 0.9)
    assert seen_mended(LOWER, {}, "\u0434\u0430 " + short).passed is False
    assert seen(LOWER, {}, "das ist ein ganz kurzer satz auf deutsch und nichts weiter").score == 0.9


@pytest.mark.parametrize(
    ("kind", "reply", "said"),
    [
        (
            CAPITAL,
            "THIS IS AN ENGLISH SENTENCE AND IT HAS MORE THAN FIFTY LETTERS IN IT",
            "all 55 letters in capitals",
        ),
        (
            LOWER,
            "this is an english sentence and it has more than fifty letters in it",
            "all 55 letters in lower case",
        ),
        (CAPITAL, "This is not", "8 of 9 letters are not in capitals"),
        (LOWER, "THIS is not", "4 of 9 letters are not in lower case"),
    ],
)
def test_case_is_named_with_the_number_of_letters(kind: str, reply: str, said: str) -> None:
    assert said in seen(kind, {}, reply).reason
    assert said in seen_mended(kind, {}, reply).reason


def test_places_of_capitals_follow_the_tokens() -> None:
    many = {"capital_relation": "at least", "capital_frequency": 2}
    reply = "ABC said: iPHONE, PHONE and abcABC, ABCd ABC."
    verdict = seen(SHOUTED, many, reply)
    assert verdict.spans == tuple(found.span() for found in re.finditer(r"\b[A-Z]+\b", reply))
    assert seen(SHOUTED, many, "ABCd and ABC.").spans == ((9, 12),)


@pytest.mark.parametrize(
    ("kind", "params", "reply", "expected"),
    [
        (FIRST_WORD, first_word(1, 1, "x-ray"), "'X-ray it.", True),
        (POSTSCRIPT, {"postscript_marker": "P.P.S"}, "Done. p. p. s More", True),
        (POSTSCRIPT, {"postscript_marker": "P.P.S"}, "Done. p.xp.s More", False),
        (POSTSCRIPT, {"postscript_marker": "P.P.S"}, "Done. p.p.xs More", False),
        (POSTSCRIPT, {"postscript_marker": "P.P.S"}, "Done. pxpxs More", False),
        (TITLE, {}, "<<X>>", True),
        (TITLE, {}, "<a>>", False),
        (QUOTATION, {}, '""', True),
        (TITLE, {}, "<tea>>", False),
        (TITLE, {}, "<< >>x", False),
    ],
)
def test_the_faithful_reading(kind: str, params: dict[str, Any], reply: str, expected: bool) -> None:
    assert seen(kind, params, reply).passed is expected


def test_a_blank_mark_or_request_is_an_error() -> None:
    for judged in (seen, seen_mended):
        with pytest.raises(VerifierError, match="marker is blank"):
            judged(POSTSCRIPT, {"postscript_marker": " "}, "Done.")
        with pytest.raises(VerifierError, match="prompt_to_repeat is blank"):
            judged("combination:repeat_prompt", {"prompt_to_repeat": " "}, "Done.")


def test_a_blank_heading_is_an_error() -> None:
    for judged in (seen, seen_mended):
        with pytest.raises(VerifierError, match="section_spliter is blank"):
            judged(SECTIONS, {"section_spliter": " ", "num_sections": 2}, "Part 1")


@pytest.mark.parametrize(
    ("params", "plain"),
    [
        ({"capital_relation": "at least", "capital_frequency": 1}, "word"),
        ({"capital_relation": "less than", "capital_frequency": 3}, "words"),
    ],
)
def test_capitals_in_an_instruction(params: dict[str, Any], plain: str) -> None:
    said = IFEVAL_TYPES[SHOUTED].words(params)
    assert any(text.split()[-1] == plain for text in said.values())
    assert not any("XX" in text or text.split()[-1] in ("ord", "ords", "ime", "imes") for text in said.values())
