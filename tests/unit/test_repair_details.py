"""What the repairs of the IFEval families make of a reply, to the letter."""

from __future__ import annotations

from typing import Any

import pytest

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
LETTER = "keywords:letter_frequency"
COMMA = "punctuation:no_comma"
END = "startend:end_checker"
QUOTATION = "startend:quotation"
PLACEHOLDERS = "detectable_content:number_placeholders"
POSTSCRIPT = "detectable_content:postscript"
SHOUTED = "change_case:capital_word_frequency"


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
    assert [one.count("tea") for one in fixed.replace("Tea", "tea").split(". ")] == [1, 1, 1]
    assert "XX" not in fixed
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


@pytest.mark.parametrize(
    ("limit", "reply", "expected"),
    [
        (6, "Go home now. Then rest there.", "Go home now."),
        (6, "Go home now. Then, rest and sleep.", "Go home now."),
        (8, "Go home now. Then, rest or sleep in the warm bed until noon.", "Go home now. Then."),
        (6, "We go out now, they come", "We go out now."),
        (6, "We go to X, they come along", "We go to X."),
        (6, "We go out now -, they come along", "We go out now."),
    ],
)
def test_where_a_text_is_cut(limit: int, reply: str, expected: str) -> None:
    assert repaired(WORDS, {"relation": "less than", "num_words": limit}, reply) == expected


def test_sentences_are_cut_to_fit() -> None:
    reply = "One is here. Two is here. Three is here."
    assert repaired(SENTENCES, {"relation": "less than", "num_sentences": 3}, reply) == "One is here. Two is here."
    assert repaired(SENTENCES, {"relation": "less than", "num_sentences": 2}, reply) == "One is here."
    assert repaired(SENTENCES, {"relation": "less than", "num_sentences": 1}, reply) is None
    assert repaired(SENTENCES, {"relation": "at least", "num_sentences": 9}, reply) is None


def test_rules_between_paragraphs_replace_all_others() -> None:
    assert repaired(PARAGRAPHS, {"num_paragraphs": 2}, "One ****\n\nTwo.") == "One\n\n***\n\nTwo."
    assert repaired(PARAGRAPHS, {"num_paragraphs": 2}, "One.\n * * *\nMore.\n\nTwo.") == ("One.\nMore.\n\n***\n\nTwo.")
    for text, kept in (
        ("One.\n* * *\nMore.", "One.\nMore."),
        ("One.\n* * *", "One.\n"),
        ("One * * * more.", "One * * * more."),
        ("* * * One.", "* * * One."),
    ):
        assert repaired(PARAGRAPHS, {"num_paragraphs": 2}, f"{text}\n\nTwo.") == f"{kept}\n\n***\n\nTwo."
    assert repaired(PARAGRAPHS, {"num_paragraphs": 3}, "One.") is None


def test_the_first_word_is_put_before_the_paragraph_that_lacks_it() -> None:
    reply = "One is here.\n\nTwo is here."
    assert repaired(FIRST_WORD, first_word(2, 2, "two"), reply) == reply
    assert repaired(FIRST_WORD, first_word(1, 2, "one"), reply) == reply
    fixed = repaired(FIRST_WORD, first_word(2, 2, "Also"), reply)
    assert fixed is not None
    assert fixed.startswith("One is here.\n\nAlso")
    assert repaired(FIRST_WORD, first_word(1, 9, "Also"), reply) is None


def test_an_ending_that_is_there_loses_what_follows_it() -> None:
    end = {"end_phrase": "The end."}
    assert repaired(END, end, "Some story. The end.") == "Some story. The end."
    assert repaired(END, end, "Some story. THE END.**") == "Some story. THE END."
    assert repaired(END, end, 'He said "The end."') == 'He said "The end.'
    assert repaired(END, end, "Some story. The end. :)") == "Some story. The end."
    assert repaired(END, end, "Some story. The end. :-)") == "Some story. The end. :-) The end."
    assert repaired(END, end, "The end.") == "The end."
    assert repaired(END, end, "Some story. The end. More") == "Some story. The end. More. The end."
    assert repaired(END, end, "Some story.") == "Some story. The end."


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ('X said "it" and \u201cthat\u201d, \u201eno\u201c too.', "\"X said 'it' and 'that', 'no' too.\""),
        ('"Half of it', '"Half of it"'),
        ("\u00abAll of it\u00bb ", '"All of it"'),
        ("- one\n- two", '"\n- one\n- two"'),
        ("* one", '"\n* one"'),
        ("**Bold** move", '"**Bold** move"'),
        ('""', None),
    ],
)
def test_a_reply_is_put_in_quotation_marks(reply: str, expected: str | None) -> None:
    assert repaired(QUOTATION, {}, reply) == expected


def test_placeholders_are_added_in_lines_of_up_to_three() -> None:
    reply = "Dear [name], we meet."
    assert repaired(PLACEHOLDERS, {"num_placeholders": 1}, reply) == reply
    for wanted, lines in ((2, 1), (4, 1), (5, 2), (7, 2), (8, 3), (25, 8)):
        fixed = repaired(PLACEHOLDERS, {"num_placeholders": wanted}, reply)
        assert fixed is not None
        head, _, added = fixed.partition("\n\n")
        assert (head, fixed.count("[")) == (reply, wanted)
        assert len(added.split("\n")) == lines
        assert all(line.endswith(".") for line in added.split("\n"))
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
        ("Tables, eggs and tea.", "Tables and eggs and tea."),
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


def test_words_that_carry_the_subject_take_capitals_first() -> None:
    one = {"capital_relation": "at least", "capital_frequency": 1}
    assert repaired(SHOUTED, one, "With other kettles there.") == "With other KETTLES there."
    assert repaired(SHOUTED, one, "Kettle on.") == "KETTLE on."
    two = {**one, "capital_frequency": 2}
    assert repaired(SHOUTED, two, "I saw NASA and its rocket fly.") == "I saw NASA and its ROCKET fly."
    assert repaired(SHOUTED, two, "I or NASA.") == "I or NASA."
    none = {"capital_relation": "less than", "capital_frequency": 1}
    assert repaired(SHOUTED, none, 'He "GO" on.') == 'He "go" on.'
    assert repaired(SHOUTED, none, '"GO" on.') == '"Go" on.'
    assert repaired(SHOUTED, none, "(GO on)") == "(Go on)"
    assert repaired(SHOUTED, none, "* GO on") == "* Go on"
