"""Details of the IFEval families: partial credit, by how much a count was missed, places, and what repairs make."""

from __future__ import annotations

from typing import Any

import pytest

from adhere.core.verifier import Verdict
from adhere.verify.catalogue import IFEVAL_TYPES
from adhere.verify.registers import register

MENDED = register("repaired", IFEVAL_TYPES)
WORDS, SENTENCES = "length_constraints:number_words", "length_constraints:number_sentences"
PARAGRAPHS, FIRST_WORD = "length_constraints:number_paragraphs", "length_constraints:nth_paragraph_first_word"
EXISTENCE, FREQUENCY = "keywords:existence", "keywords:frequency"
FORBIDDEN, LETTER = "keywords:forbidden_words", "keywords:letter_frequency"
COMMA, LANGUAGE = "punctuation:no_comma", "language:response_language"
END, QUOTATION = "startend:end_checker", "startend:quotation"
PLACEHOLDERS, POSTSCRIPT = "detectable_content:number_placeholders", "detectable_content:postscript"
CAPITAL, LOWER = "change_case:english_capital", "change_case:english_lowercase"
SHOUTED, TITLE = "change_case:capital_word_frequency", "detectable_format:title"
SECTIONS, FIXED = "detectable_format:multiple_sections", "detectable_format:constrained_response"
HIGHLIGHTS, JSON = "detectable_format:number_highlighted_sections", "detectable_format:json_format"


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
        (FORBIDDEN, {"forbidden_words": ["pan", "oil", "egg", "salt"]}, "Oil the pan, oil it well.", 0.5, 3),
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
        (False, END, {"end_phrase": "The end."}, "THE END. Or not.", [" Or not."]),
        (False, QUOTATION, {}, '"Half of it', ['"']),
        (False, QUOTATION, {}, 'Half of it"', ['"']),
        (False, QUOTATION, {}, "None of it", []),
        (False, CAPITAL, {}, "ABC DeF GH ij", ["DeF", "ij"]),
        (True, PLACEHOLDERS, {"num_placeholders": 1}, "Dear [name]!", ["[name]"]),
        (False, PLACEHOLDERS, {"num_placeholders": 1}, "[a] b [c", ["[a]"]),
        (True, TITLE, {}, "\n # <<Tea>>\ntext", ["<<Tea>>"]),
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
    shouted = "DAS IST EIN GANZ NORMALER SATZ, DEN JEDER VERSTEHEN KANN UND DER NICHT SEHR LANG IST."
    assert seen_mended(LANGUAGE, {"language": "de"}, shouted).passed
    assert seen_mended(LANGUAGE, {"language": "de"}, shouted.capitalize()).passed
    assert seen_mended(LANGUAGE, {"language": "de"}, "12").passed is False


# Repairs of keywords.


def test_keywords_that_are_there_are_left_alone_and_the_missing_ones_added() -> None:
    reply = "The river is wide. The stone is flat."
    assert repaired(EXISTENCE, {"keywords": ["river", "Stone"]}, reply) == reply
    fixed = repaired(EXISTENCE, {"keywords": ["river", "bridge"]}, reply)
    assert fixed is not None
    assert fixed.startswith(reply + " ")
    assert fixed.count("bridge") == 1
    assert fixed.count("river") == 1


def test_only_so_many_keywords_are_added() -> None:
    from adhere.verify.additions import MOST_MENTIONS

    many = [f"word{chr(97 + at // 26)}{chr(97 + at % 26)}" for at in range(MOST_MENTIONS + 1)]
    reply = "A plain reply of a few words."
    assert repaired(EXISTENCE, {"keywords": many[:-1]}, reply) is not None
    assert repaired(EXISTENCE, {"keywords": many}, reply) is None
    inside = reply + f" It holds {many[0]}s."
    assert repaired(EXISTENCE, {"keywords": many}, inside) is not None
    at_least = {"relation": "at least", "keyword": "tea", "frequency": MOST_MENTIONS}
    assert repaired(FREQUENCY, at_least, reply) is not None
    assert repaired(FREQUENCY, {**at_least, "frequency": MOST_MENTIONS + 1}, reply) is None
    assert repaired(FREQUENCY, {**at_least, "frequency": MOST_MENTIONS + 1}, reply + " Teapots.") is not None


def test_a_word_is_added_as_often_as_it_is_missing() -> None:
    at_least = {"relation": "at least", "keyword": "tea", "frequency": 3}
    enough = "Tea, more tea and the last tea."
    assert repaired(FREQUENCY, at_least, enough) == enough
    fixed = repaired(FREQUENCY, at_least, "Some tea for you.")
    assert fixed is not None
    assert fixed.lower().count("tea") == 3
    assert fixed.startswith("Some tea for you. ")
    assert repaired(FREQUENCY, {**at_least, "frequency": 1}, "Some tea for you.") == "Some tea for you."


def test_sentences_with_a_word_too_many_go() -> None:
    reply = "Tea is good. Water is better. More tea is too much. Bread is fine. Cake is nice. No tea. Rest."
    few = {"relation": "less than", "keyword": "tea"}
    assert repaired(FREQUENCY, {**few, "frequency": 4}, reply) == reply
    assert repaired(FREQUENCY, {**few, "frequency": 3}, reply) == reply.replace(" No tea.", "")
    assert repaired(FREQUENCY, {**few, "frequency": 2}, reply) == (
        "Tea is good. Water is better. Bread is fine. Cake is nice. Rest."
    )
    assert repaired(FREQUENCY, {**few, "frequency": 1}, reply) == "Water is better. Bread is fine. Cake is nice. Rest."


def test_letters_are_added_until_there_are_enough() -> None:
    at_least = {"let_relation": "at least", "letter": "Q", "let_frequency": 3}
    assert repaired(LETTER, at_least, "Quite a quick quiz.") == "Quite a quick quiz."
    fixed = repaired(LETTER, at_least, "Quite a quick test.")
    assert fixed is not None
    assert fixed.startswith("Quite a quick test. ")
    assert repaired(LETTER, {**at_least, "let_relation": "less than"}, "Quite a quick quiz.") is None


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


# Repairs of lengths.

LONG = "We left the house early in the morning, but the train that we had hoped for did not come until noon."


def test_a_text_of_one_sentence_is_cut_at_a_clause() -> None:
    assert repaired(WORDS, {"relation": "less than", "num_words": 12}, LONG) == (
        "We left the house early in the morning."
    )
    assert repaired(WORDS, {"relation": "less than", "num_words": 9}, LONG) is None
    assert repaired(WORDS, {"relation": "less than", "num_words": 10}, LONG) == LONG.split(",", maxsplit=1)[0] + "."
    assert repaired(WORDS, {"relation": "less than", "num_words": 16}, LONG) == (
        "We left the house early in the morning."
    )
    assert repaired(WORDS, {"relation": "less than", "num_words": 17}, LONG) is None
    assert repaired(WORDS, {"relation": "less than", "num_words": 22}, LONG) == LONG


def test_a_short_limit_has_its_clause_too() -> None:
    assert repaired(WORDS, {"relation": "less than", "num_words": 4}, "Go now, then rest a while.") == "Go now."
    assert repaired(WORDS, {"relation": "less than", "num_words": 3}, "Go now, then rest a while.") is None


def test_a_cut_that_keeps_half_of_the_limit_is_a_cut_at_a_sentence() -> None:
    reply = "Go home now. Then rest there for a while, and do not get up before the sun does."
    assert repaired(WORDS, {"relation": "less than", "num_words": 6}, reply) == "Go home now."
    assert repaired(WORDS, {"relation": "less than", "num_words": 12}, reply) == (
        "Go home now. Then rest there for a while."
    )
    assert repaired(WORDS, {"relation": "at least", "num_words": 99}, reply) is None


def test_sentences_are_cut_to_fit() -> None:
    reply = "One is here. Two is here. Three is here."
    assert repaired(SENTENCES, {"relation": "less than", "num_sentences": 3}, reply) == "One is here. Two is here."
    assert repaired(SENTENCES, {"relation": "less than", "num_sentences": 2}, reply) == "One is here."
    assert repaired(SENTENCES, {"relation": "less than", "num_sentences": 1}, reply) is None
    assert repaired(SENTENCES, {"relation": "at least", "num_sentences": 9}, reply) is None


def test_rules_between_paragraphs_replace_all_others() -> None:
    assert repaired(PARAGRAPHS, {"num_paragraphs": 2}, "One ****\n\nTwo.") == "One\n\n***\n\nTwo."
    assert repaired(PARAGRAPHS, {"num_paragraphs": 2}, "One.\n * * *\nMore.\n\nTwo.") == ("One.\nMore.\n\n***\n\nTwo.")
    assert repaired(PARAGRAPHS, {"num_paragraphs": 3}, "One.") is None


def test_the_first_word_is_put_before_the_paragraph_that_lacks_it() -> None:
    reply = "One is here.\n\nTwo is here."
    assert repaired(FIRST_WORD, first_word(2, 2, "two"), reply) == reply
    assert repaired(FIRST_WORD, first_word(1, 2, "one"), reply) == reply
    fixed = repaired(FIRST_WORD, first_word(2, 2, "Also"), reply)
    assert fixed is not None
    assert fixed.startswith("One is here.\n\nAlso")
    assert repaired(FIRST_WORD, first_word(1, 9, "Also"), reply) is None


# Readings that close loopholes.


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


# Repairs of endings, contents, commas and case.


def test_an_ending_that_is_there_loses_what_follows_it() -> None:
    end = {"end_phrase": "The end."}
    assert repaired(END, end, "Some story. The end.") == "Some story. The end."
    assert repaired(END, end, "Some story. THE END.**") == "Some story. THE END."
    assert repaired(END, end, 'He said "The end."') == 'He said "The end.'
    assert repaired(END, end, "Some story. The end. :)") == "Some story. The end."
    assert repaired(END, end, "The end.") == "The end."
    assert repaired(END, end, "Some story. The end. More") == "Some story. The end. More. The end."
    assert repaired(END, end, "Some story.") == "Some story. The end."


def test_placeholders_are_added_in_lines_of_up_to_three() -> None:
    reply = "Dear [name], we meet."
    assert repaired(PLACEHOLDERS, {"num_placeholders": 1}, reply) == reply
    for wanted, lines in ((2, 1), (4, 1), (5, 2), (7, 2), (8, 3), (25, 8)):
        fixed = repaired(PLACEHOLDERS, {"num_placeholders": wanted}, reply)
        assert fixed is not None
        head, _, added = fixed.partition("\n\n")
        assert (head, fixed.count("[")) == (reply, wanted)
        assert len(added.split("\n")) == lines
        assert len(set(added.split("\n"))) == min(lines, len(set(added.split("\n"))))
    assert repaired(PLACEHOLDERS, {"num_placeholders": 26}, reply) is None
    twelve = repaired(PLACEHOLDERS, {"num_placeholders": 13}, reply)
    assert twelve is not None
    assert len(set(twelve.split("\n\n")[1].split("\n"))) == 4


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Done.\n\n**PS:** More.", "Done.\n\n**P.S.** More."),
        ("Done.\n\nP. S. More.", "Done.\n\nP.S. More."),
        ("PSst, done.\n\nPPS More.", "PSst, done.\n\nP.S. More."),
        ("PS One.\n\nThe PS is here.\n\nPS Two.", "PS One.\n\nThe PS is here.\n\nP.S. Two."),
    ],
)
def test_a_postscript_keeps_its_text_under_the_mark_asked_for(reply: str, expected: str) -> None:
    assert repaired(POSTSCRIPT, {"postscript_marker": "P.S."}, reply) == expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("It costs 12,000 or 1,234,567 in all.", "It costs 12000 or 1234567 in all."),
        ("It is 3,5 here.", "It is 3 5 here."),
        ("It is 1,2345 here.", "It is 1 2345 here."),
        ("We sell bread, milk, and tea.", "We sell bread and milk and tea."),
        ("We sell bread, cold milk or tea.", "We sell bread or cold milk or tea."),
        ("Q, b and c.", "Q and b and c."),
        ("We sell eggs, b, milk and tea.", "We sell eggs and b and milk and tea."),
        ("We sell eggs, bread, milk, oil and tea.", "We sell eggs bread milk oil and tea."),
        ("A useful, small and cheap thing.", "A useful small and cheap thing."),
        ("Eggs, the milk and tea.", "Eggs the milk and tea."),
        ("Eggs, items and tea.", "Eggs and items and tea."),
        ("Well, so it goes.", "Well so it goes."),
        ("\u6c34\uff0c\u706b\u3001", "\u6c34 \u706b"),
        ("a\uff0c b\uff0c\nc", "a b\nc"),
        ("one,two", "one two"),
    ],
)
def test_commas_go_and_the_sentence_reads_on(reply: str, expected: str) -> None:
    assert repaired(COMMA, {}, reply) == expected
    assert seen_mended(COMMA, {}, expected).passed


def test_words_take_capitals_and_lose_them() -> None:
    more = {"capital_relation": "at least", "capital_frequency": 2}
    assert repaired(SHOUTED, more, "NASA and ESA agree.") == "NASA and ESA agree."
    assert repaired(SHOUTED, more, "NASA sent a rocket there with it.") == "NASA SENT a rocket there with it."
    assert repaired(SHOUTED, {**more, "capital_frequency": 3}, "That they have been there with them.") == (
        "THAT they HAVE been THERE with them."
    )
    assert repaired(SHOUTED, more, "It is so.") is None
    fewer = {"capital_relation": "less than", "capital_frequency": 2}
    assert repaired(SHOUTED, fewer, "NASA agrees.") == "NASA agrees."
    assert repaired(SHOUTED, fewer, "The ESA and NASA agree.") == "The ESA and nasa agree."
    assert repaired(SHOUTED, {**fewer, "capital_frequency": 1}, "STOP there. GO on. So WHAT now?") == (
        "Stop there. Go on. So what now?"
    )
    assert repaired(SHOUTED, {**fewer, "capital_frequency": 1}, "A plan.") is None


def test_english_is_asked_for_only_where_there_is_enough_of_it() -> None:
    short = "das ist ein ganz kurzer satz und sonst gar nichts"
    assert sum(map(str.isalpha, short)) == 40
    assert seen_mended(LOWER, {}, short).passed
    assert seen_mended(LOWER, {}, short + " mehr abc").passed
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
    reply = "ABC said: iPHONE, PHONE and abcABC, ABC."
    assert texts(seen(SHOUTED, many, reply), reply) == ["ABC", "PHONE", "ABC"]
