"""The repaired register: each loophole as a pair of verdicts, and the data errors that a prompt itself corrects."""

from __future__ import annotations

from typing import Any

import pytest

from adhere.core.errors import VerifierError
from adhere.core.record import Check, Record, user
from adhere.verify.additions import COMMON, mentions
from adhere.verify.catalogue import ALL_TYPES, IFEVAL_TYPES, UNSEEN_TYPES
from adhere.verify.families.keywords import whole_word
from adhere.verify.registers import REGISTERS, mended_checks, register
from adhere.verify.repair import correct
from adhere.verify.score import judge
from adhere.verify.spans import says_something

OURS = {**IFEVAL_TYPES, **UNSEEN_TYPES}
REPAIRED = register("repaired", OURS)

AT_LEAST, LESS = {"relation": "at least"}, {"relation": "less than"}
TEA = {"keyword": "tea", "frequency": 2}
WORDS, SENTENCES = "length_constraints:number_words", "length_constraints:number_sentences"
PARAGRAPHS, FIRST = "length_constraints:number_paragraphs", "length_constraints:nth_paragraph_first_word"
PLACES, POSTSCRIPT = "detectable_content:number_placeholders", "detectable_content:postscript"
BULLETS, FIXED = "detectable_format:number_bullet_lists", "detectable_format:constrained_response"
MARKED, SECTIONS = "detectable_format:number_highlighted_sections", "detectable_format:multiple_sections"
JSON, TITLE = "detectable_format:json_format", "detectable_format:title"
TWO, REPEAT = "combination:two_responses", "combination:repeat_prompt"
END, QUOTED = "startend:end_checker", "startend:quotation"
UPPER, LOWER = "change_case:english_capital", "change_case:english_lowercase"
SHOUTED, NO_COMMA = "change_case:capital_word_frequency", "punctuation:no_comma"
LANGUAGE, EXISTS = "language:response_language", "keywords:existence"
OFTEN, BANNED = "keywords:frequency", "keywords:forbidden_words"

SECOND = {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "later"}
PARTS = {"section_spliter": "Part", "num_sections": 2}
SHOUTS = {"capital_relation": "at least", "capital_frequency": 2}
ENDING = {"end_phrase": "That is all."}
REQUEST = {"prompt_to_repeat": "Name a fruit."}
LONG_CAPITALS = "THE GERMAN WATER WORKS OPENED IN SPRING. NOBODY KNEW WHAT HAD HAPPENED UNDER THE OLD BRIDGE."

# Type, parameters, reply, what the faithful reading says, what the mended one says.
PAIRS: list[tuple[str, dict[str, Any], str, bool, bool]] = [
    (EXISTS, {"keywords": ["tea"]}, "The teapot is here.", True, False),
    (EXISTS, {"keywords": ["tea"]}, "It is tea's hour, tea-time.", True, True),
    (EXISTS, {"keywords": ["北京"]}, "我在北京工作", True, True),
    (EXISTS, {"keywords": ["cafe"]}, "Meet me at the cafe\u0301.", True, False),
    (OFTEN, {**AT_LEAST, **TEA}, "Tea first, then the teapot.", True, False),
    (OFTEN, {**LESS, **TEA}, "Tea first, then the teapot.", False, True),
    (BANNED, {"forbidden_words": ["C++"]}, "We write C++ all day.", True, False),
    (BANNED, {"forbidden_words": ["tea"]}, "We drink _tea_ all day.", True, False),
    (LANGUAGE, {"language": "de"}, "12345 !!", True, False),
    (WORDS, {**AT_LEAST, "num_words": 4}, "_ _ _ word", True, False),
    (WORDS, {**LESS, "num_words": 5}, "Don't boil state-of-the-art eggs.", False, True),
    (WORDS, {**AT_LEAST, "num_words": 4}, "今天很冷", False, True),
    (WORDS, {**LESS, "num_words": 5}, "हिन्दी में लिखो", False, True),
    (SENTENCES, {**AT_LEAST, "num_sentences": 4}, "Hm. . . .", True, False),
    (SENTENCES, {**LESS, "num_sentences": 3}, "1. Soak it.\n2. Boil it.", False, True),
    (PARAGRAPHS, {"num_paragraphs": 2}, "one *** two", True, False),
    (PARAGRAPHS, {"num_paragraphs": 2}, "one\n* * *\ntwo", False, True),
    (PARAGRAPHS, {"num_paragraphs": 2}, "one\r\n***\r\ntwo", True, True),
    (PARAGRAPHS, {"num_paragraphs": 2}, "one\n\n***\n\n-", True, False),
    (PARAGRAPHS, {"num_paragraphs": 2}, "***\none\n***\ntwo\n***", True, True),
    (FIRST, SECOND, "One.\r\n\r\nLater on.", False, True),
    (FIRST, SECOND, "\n\nOne.\n\nLater on.", False, True),
    (FIRST, SECOND, "One.\n\n**Later** on.", False, True),
    (FIRST, SECOND, "One.\n\nLater: on.", False, True),
    (FIRST, SECOND, "One.\n \nLater on.", False, True),
    (FIRST, SECOND, "***\n\nLater on.", True, False),
    (FIRST, SECOND, "One.\n\nLater-day saints.", False, False),
    (PLACES, {"num_placeholders": 1}, "A list []", True, False),
    (PLACES, {"num_placeholders": 1}, "See [the page](https://a.b).", True, False),
    (PLACES, {"num_placeholders": 1}, "- [x] done", True, False),
    (PLACES, {"num_placeholders": 1}, "As shown [1].", True, False),
    (PLACES, {"num_placeholders": 2}, "Dear [[name] of [town], hello", True, True),
    (POSTSCRIPT, {"postscript_marker": "P.S."}, "I said p.s. in passing.", True, False),
    (POSTSCRIPT, {"postscript_marker": "P.S."}, "Bye.\nP.P.S. Bring a coat.", True, False),
    (POSTSCRIPT, {"postscript_marker": "P.S."}, "Bye.\n\nP.S.", True, False),
    (POSTSCRIPT, {"postscript_marker": "P.S."}, "Bye.\n\n**P.S.** Bring a coat.", True, True),
    (POSTSCRIPT, {"postscript_marker": "N.B."}, "Bye.\nNobody knows.", True, False),
    (BULLETS, {"num_bullets": 1}, "one\n---\ntwo", True, False),
    (BULLETS, {"num_bullets": 1}, "-5 degrees", True, False),
    (BULLETS, {"num_bullets": 1}, "*Note* that it is cold.", True, False),
    (BULLETS, {"num_bullets": 2}, "• a tent\n+ a lamp", False, True),
    (BULLETS, {"num_bullets": 1}, "* a tent\n* \n* !", False, True),
    (FIXED, {}, "My answer is yes. My answer is no. My answer is maybe.", True, False),
    (FIXED, {}, "My answer is yes. To repeat: My answer is yes.", True, True),
    (MARKED, {"num_highlights": 2}, "* a * b * c *", True, False),
    (MARKED, {"num_highlights": 2}, "***both***", True, False),
    (MARKED, {"num_highlights": 1}, "*?!*", True, False),
    (MARKED, {"num_highlights": 2}, "*a *b* c*", True, False),
    (MARKED, {"num_highlights": 2}, "* an item with **two** *marks*", True, True),
    (SECTIONS, PARTS, "I mean Part 1 and Part 2.", True, False),
    (SECTIONS, PARTS, "Part 1\nWash.\nPart 3\nDry.", True, False),
    (SECTIONS, PARTS, "Part 1\nPart 2\nDry.", True, False),
    (SECTIONS, PARTS, "## Part 1: Wash\nSoak.\n\n**Part  2**\nDry.", False, True),
    (SECTIONS, PARTS, "Part 1\na\nPart 2\nb\n******\nPart 1\nc\nPart 2\nd", True, True),
    (JSON, {}, "12", True, False),
    (JSON, {}, '"text"', True, False),
    (JSON, {}, '{"a": NaN}', True, False),
    (JSON, {}, '["a"]', True, True),
    (TITLE, {}, "So <<a>> it goes.", True, False),
    (TITLE, {}, "<<!>>\ntext", True, False),
    (TITLE, {}, "<<title>>\ntext", True, False),
    (TITLE, {}, "**<<Two Rivers>>**\ntext", True, True),
    (TWO, {}, "Call it Harbour.\n******\ncall  it HARBOUR!", True, False),
    (TWO, {}, "Response 1: Pear.\n******\nResponse 2: Pear.", True, False),
    (TWO, {}, "Pear.\n*******\nPlum.", True, False),
    (TWO, {}, "Pear.\n******\n...", True, False),
    (REPEAT, REQUEST, "Name a fruit.", True, False),
    (REPEAT, REQUEST, "Name a fruit. !", True, False),
    (REPEAT, REQUEST, "Name a\r\nfruit.\n\nPear.", False, True),
    (END, ENDING, "Boil it. “That is all.”", False, True),
    (END, ENDING, '"Boil it. That is all. "', False, True),
    (END, ENDING, "Boil it.\nThat is\nall.**", False, True),
    (END, ENDING, "That is all.", True, False),
    (END, {"end_phrase": "all"}, "It is small", True, False),
    (QUOTED, {}, '"Rain" and "snow"', True, False),
    (QUOTED, {}, '"..."', True, False),
    (QUOTED, {}, "“Rain falls.”", False, True),
    (QUOTED, {}, '"She said "rain" and left."', True, True),
    (QUOTED, {}, '"A 5" pipe (or "tube") bursts."', True, True),
    (SHOUTED, SHOUTS, "I said that I know.", True, False),
    (SHOUTED, SHOUTS, "NASA has a COVID-19 rule.", True, True),
    (SHOUTED, {"capital_relation": "less than", "capital_frequency": 2}, "I'M LATE", False, False),
    (SHOUTED, {"capital_relation": "less than", "capital_frequency": 2}, "I'M late, I know", False, True),
    (UPPER, {}, "\u24b6\u24b7", True, False),
    (UPPER, {}, "HELLO", False, True),
    (UPPER, {}, "ПРИВЕТ ТЕБЕ", False, False),
    (LOWER, {}, "\u24d0\u24d1", True, False),
    (LOWER, {}, "etchings", False, True),
    (NO_COMMA, {}, "红、黄，蓝 are colours of all sorts here", True, False),
    (NO_COMMA, {}, "نعم، لا are two of the words that we know", True, False),
    ("opening:first_sentence_question", {}, "?! No.", True, False),
    ("lipogram:no_digits", {}, "I have ٣ hats.", True, False),
]


@pytest.mark.parametrize(("kind", "params", "reply", "faithful", "mended"), PAIRS)
def test_what_the_two_readings_say(kind: str, params: dict[str, Any], reply: str, faithful: bool, mended: bool) -> None:
    (ours,) = judge((Check(kind, params),), reply, OURS).checks
    (theirs,) = judge((Check(kind, params),), reply, REPAIRED).checks
    assert ours.strict.passed is faithful, ours.strict.reason
    assert theirs.strict.passed is mended, theirs.strict.reason
    assert all(0 <= start <= stop <= len(reply) for start, stop in theirs.strict.spans)


def test_every_mended_reading_has_a_pair_that_differs() -> None:
    differs = {kind for kind, _, _, faithful, mended in PAIRS if faithful != mended}
    assert {kind.id for kind in OURS.values() if kind.mended} <= differs


@pytest.mark.parametrize("reply", ['""', "...", "🙂", "--- ***", "¿?"])
@pytest.mark.parametrize("kind", OURS.values(), ids=OURS)
def test_a_reply_that_says_nothing_fails_everything(kind: Any, reply: str) -> None:
    for example in kind.examples:
        verdict = REPAIRED[kind.id].verify(kind.validated(example.params), reply)
        assert verdict.passed is False
        assert verdict.reason


@pytest.mark.parametrize("kind", OURS.values(), ids=OURS)
def test_examples_hold_in_both_registers(kind: Any) -> None:
    """A near miss may pass where the mended reading forgives what the faithful one does not, a gold must not fail."""
    for example in kind.examples:
        verdict = REPAIRED[kind.id].verify(kind.validated(example.params), example.gold)
        assert verdict.passed, verdict.reason


def test_a_type_whose_answer_is_of_signs_only_may_say_nothing() -> None:
    for key, kind in register("repaired", ALL_TYPES).items():
        for example in kind.examples:
            if not says_something(example.gold):
                assert ALL_TYPES[key].verify(kind.validated(example.params), example.gold).passed
                assert kind.verify(kind.validated(example.params), example.gold).passed, key


def test_the_faithful_register_is_the_types_themselves() -> None:
    assert register("faithful", OURS) is OURS
    assert set(register("repaired", OURS)) == set(OURS)
    assert REGISTERS == ("faithful", "repaired")
    with pytest.raises(VerifierError, match="repairde") as caught:
        register("repairde")
    assert "'repaired'" in caught.value.hint


def test_keywords_that_are_mentioned_stand_as_whole_words() -> None:
    for word in (*COMMON, "tunnel"):
        assert all(whole_word(word).search(one) for one in mentions(word, 4, "Trains are fast."))


REPLY = (
    "Plan the teapots before spring. First, choose a sunny place. Good soil matters more than anything else.\n\n"
    "Water young plants in the evening. Pull the weeds while they are small, and enjoy the harvest."
)


@pytest.mark.parametrize(
    "check",
    [
        Check(EXISTS, {"keywords": ["teapot"]}),
        Check(OFTEN, {**AT_LEAST, "keyword": "teapot", "frequency": 2}),
        Check(PARAGRAPHS, {"num_paragraphs": 2}),
        Check(FIRST, {"num_paragraphs": 3, "nth_paragraph": 2, "first_word": "later"}),
        Check(PLACES, {"num_placeholders": 3}),
        Check(POSTSCRIPT, {"postscript_marker": "P.P.S"}),
        Check(BULLETS, {"num_bullets": 4}),
        Check(MARKED, {"num_highlights": 3}),
        Check(SECTIONS, {"section_spliter": "Day", "num_sections": 3}),
        Check(JSON),
        Check(TITLE),
        Check(REPEAT, {"prompt_to_repeat": "Explain  how to plan a garden."}),
        Check(END, {"end_phrase": "See you!"}),
        Check(QUOTED),
        Check(SHOUTED, SHOUTS),
        Check(UPPER),
        Check(LOWER),
        Check(NO_COMMA),
        Check("lipogram:no_digits"),
        Check("opening:first_sentence_question"),
    ],
    ids=lambda check: check.kind,
)
def test_repairs_satisfy_both_registers(check: Check) -> None:
    record = Record((user("Explain how to plan a garden."),), (check,))
    for reply in (REPLY, f"{REPLY}\n\n- [ ] []\n* * *\nNASA、ESA，I ٣"):
        done = correct(record, reply, REPAIRED)
        if reply == REPLY:
            assert done.passes, done.reply
        if done.passes and done.repaired:
            (judged,) = judge((check,), done.reply, OURS).checks
            assert judged.strict.passed or check.kind == QUOTED


# ---------------------------------------------------------------- data errors


def mended(prompt: str, kind: str, **params: Any) -> dict[str, Any]:
    (check,) = mended_checks(prompt, (Check(kind, params),))
    return check.params


@pytest.mark.parametrize(
    ("prompt", "coded", "right"),
    [
        ("Tell a tale of at least 400 words about owls.", 336, 400),
        ("Tell a tale of at least 400 words, 336 of them short.", 336, 336),
        ("Tell a tale of at least 400 words.", 401, 400),
        ("Tell a tale with 400 or more words.", 40, 400),
        ("Tell a 400+ word tale.", 40, 400),
        ("Tell a tale of more than 400 words.", 400, 401),
        ("Use no fewer than 1,000 words.", 100, 1000),
        ("Use at least twelve words.", 9, 12),
        ("At least 400 words here, at least 500 words there.", 336, 336),
        ("Use at least 5 words in each sentence.", 336, 336),
        ("Use at least 5 words in all capitals.", 336, 336),
        ("Do not use at least 5 words.", 336, 336),
        ("Use less than 400 words.", 336, 336),
        ("Make it long.", 336, 336),
    ],
)
def test_a_number_of_words_that_the_prompt_states(prompt: str, coded: int, right: int) -> None:
    assert mended(prompt, WORDS, relation="at least", num_words=coded)["num_words"] == right


@pytest.mark.parametrize(
    ("prompt", "coded", "right"),
    [
        ("Answer in at most 150 words.", 151, 151),
        ("Answer in at most 150 words.", 150, 151),
        ("Answer in less than 150 words.", 151, 150),
        ("Answer in 150 words or less.", 150, 151),
        ("Answer in no more than 150 words.", 149, 151),
        ("The reply should not hold less than 150 words.", 120, 120),
    ],
)
def test_bounds_that_are_off_by_one(prompt: str, coded: int, right: int) -> None:
    assert mended(prompt, WORDS, relation="less than", num_words=coded)["num_words"] == right


def test_counts_of_other_things() -> None:
    said = "The word owl should come up at most twice, and the letter q at least 4 times."
    assert mended(said, OFTEN, relation="less than", keyword="owl", frequency=2)["frequency"] == 3
    assert mended(said, OFTEN, relation="less than", keyword="bat", frequency=2)["frequency"] == 2
    assert mended("Use exactly 4 bullet points.", BULLETS, num_bullets=3)["num_bullets"] == 4
    assert mended("Leave at least six placeholders.", PLACES, num_placeholders=2)["num_placeholders"] == 6
    assert mended("Words in capital letters: at least 3 times.", SHOUTED, **SHOUTS)["capital_frequency"] == 3


def test_a_range_keeps_its_two_bounds_and_a_doubled_check_is_left_alone() -> None:
    low, high = Check(WORDS, {**AT_LEAST, "num_words": 40}), Check(WORDS, {**LESS, "num_words": 60})
    text = "Use at least 50 words and at most 60 words."
    assert [check.params["num_words"] for check in mended_checks(text, (low, high))] == [50, 61]
    assert mended_checks(text, (low, low)) == (low, low)


def test_a_keyword_that_was_left_out_of_a_quoted_list() -> None:
    said = "Use the keywords 'owl', 'barn' and 'night'."
    assert mended(said, EXISTS, keywords=["owl", "night"])["keywords"] == ["owl", "barn", "night"]
    assert mended(said, EXISTS, keywords=["owl", "mouse"])["keywords"] == ["owl", "mouse"]
    assert mended(f"Do not {said.lower()}", EXISTS, keywords=["owl"])["keywords"] == ["owl"]
    banned = mended('Avoid the keywords "owl" or "barn".', BANNED, forbidden_words=["owl"])
    assert banned["forbidden_words"] == ["owl", "barn"]


ASKING = "First repeat the request word for word, then give your answer."


@pytest.mark.parametrize(
    ("prompt", "coded", "right"),
    [
        (f"Name a fruit.\n{ASKING}", f"Name a fruit. {ASKING}", "Name a fruit."),
        (f"Name a fruit.\n{ASKING}", "Name a fruit. Use no commas.", "Name a fruit."),
        (f"{ASKING}\n\nName a fruit.", "Name one fruit.", "Name a fruit."),
        (f"Name a fruit. Be brief.\n{ASKING}", "Name a fruit. Be brief.", "Name a fruit. Be brief."),
        (f"Name a fruit. Be brief.\n{ASKING}", "Name a fruit.", "Name a fruit."),
        (
            'Name it.\nFirst, repeat "Could you name a fruit for me?" as it is.',
            "Name it all",
            "Could you name a fruit for me?",
        ),
        ("Name a fruit. Be brief.\nPlease repeat the first line.", "Name a nut.", "Name a fruit. Be brief."),
        (
            "Name a fruit. Be brief. Go.\nRepeat the request, which only contains the first two sentences.",
            "Name a nut.",
            "Name a fruit. Be brief.",
        ),
        ("Name a fruit.", "Name a nut.", "Name a nut."),
    ],
)
def test_the_request_to_repeat(prompt: str, coded: str, right: str) -> None:
    assert mended(prompt, REPEAT, prompt_to_repeat=coded)["prompt_to_repeat"] == right


def test_checks_without_sense_pass_through() -> None:
    checks = (
        Check(WORDS, {"num_words": float("nan"), "relation": "at least"}),
        Check(WORDS, {}),
        Check(EXISTS, {"keywords": 3}),
        Check(REPEAT, {}),
        Check("made:up", {"num_words": 3}),
        Check(OFTEN, {"relation": "at least", "frequency": 2}),
    )
    assert mended_checks("Use at least 5 words, repeat this.", checks)[1:] == checks[1:]
    assert mended_checks("", checks[1:]) == checks[1:]
