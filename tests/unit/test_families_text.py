from __future__ import annotations

import msgspec
import pytest

from adhere.core.errors import VerifierError
from adhere.core.record import Check, Record, user
from adhere.core.verifier import Verdict, Verifier
from adhere.verify.additions import COMMON, OPENINGS, mentions, opened_with, with_letter
from adhere.verify.constraint import ConstraintType, Params
from adhere.verify.families import case, keywords, language, length, punctuation
from adhere.verify.score import ConstraintVerifier, judge, loose_variants

TYPES = {kind.id: kind for family in (keywords, language, length, case, punctuation) for kind in family.TYPES}
COMMA, WORDS = Check("punctuation:no_comma"), "length_constraints:number_words"


def strict(kind: str, reply: str, **params: object) -> bool | None:
    (judged,) = judge((Check(kind, dict(params)),), reply, TYPES).checks
    return judged.strict.passed


def repaired(kind: str, reply: str, **params: object) -> str | None:
    repair = TYPES[kind].repair
    assert repair is not None
    return repair(params, reply)


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("***a***b***", True),
        ("a****b", True),
        ("a******b", False),
        ("a\n\n***\n\nb\n\n***\n\n", True),
        ("a\n\n---\n\nb", False),
    ],
)
def test_two_paragraphs(reply: str, expected: bool) -> None:
    assert strict("length_constraints:number_paragraphs", reply, num_paragraphs=2) is expected


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("Weekend, at last.\n\nb", True),
        ("\nweekend's here\n\nb", True),
        ("\n\nweekend\n\nb", False),
        ("weekend: a\n\nb", False),
        ("**weekend** a\n\nb", False),
        ("'\"weekend a\n\n\n\nb", True),
        ("weekend a\r\n\r\nb", False),
    ],
)
def test_first_word_of_a_paragraph(reply: str, expected: bool) -> None:
    params = {"num_paragraphs": 2, "nth_paragraph": 1, "first_word": "Weekend"}
    assert strict("length_constraints:nth_paragraph_first_word", reply, **params) is expected


def test_impossible_parameters_are_errors() -> None:
    for kind, params in (
        ("length_constraints:nth_paragraph_first_word", {"num_paragraphs": 2, "nth_paragraph": 3, "first_word": "a"}),
        (WORDS, {"relation": "at most", "num_words": 3}),
        (WORDS, {"relation": "at least"}),
        (WORDS, {"relation": "at least", "num_words": "3"}),
        ("keywords:existence", {"keywords": []}),
        ("keywords:forbidden_words", {"forbidden_words": [3]}),
        ("keywords:frequency", {"keyword": " ", "frequency": 1, "relation": "at least"}),
        ("keywords:letter_frequency", {"letter": "ab", "let_frequency": 1, "let_relation": "at least"}),
        ("language:response_language", {"language": "klingon"}),
    ):
        with pytest.raises(VerifierError) as caught:
            TYPES[kind].verify(TYPES[kind].validated(params), "Some text.")
        outcome = judge((Check(kind, params), COMMA), "Some text.", TYPES)
        bad, fine = outcome.checks
        assert (bad.strict.passed, bad.loose.passed, fine.strict.passed) == (None, None, True)
        assert caught.value.message in bad.strict.reason
        assert outcome.prompt_passed() is None
        verdict = ConstraintVerifier(TYPES).verify(Record((user("Say it."),), (Check(kind, params),)), "Some text.")
        assert verdict.passed is None
        assert caught.value.message in verdict.reason


def test_nulls_are_dropped_and_whole_floats_are_counts() -> None:
    assert strict(WORDS, "one two three", relation="at least", num_words=3.0, num_sentences=None) is True


def test_a_keyword_is_no_pattern() -> None:
    assert strict("keywords:existence", "cats", keywords=["c.ts"]) is False
    assert strict("keywords:frequency", "a+b a+b", keyword="a+b", frequency=2, relation="at least") is True


def test_repairs_read_as_text() -> None:
    assert (
        repaired("punctuation:no_comma", "First, wash 1,000 plums, and dry them.")
        == "First wash 1000 plums and dry them."
    )
    reply = "Trains are fast. Buses are cheap, and they stop everywhere. Walking is free."
    assert repaired(WORDS, reply, relation="less than", num_words=12) == (
        "Trains are fast. Buses are cheap, and they stop everywhere."
    )
    assert repaired(WORDS, reply, relation="at least", num_words=50) is None
    assert repaired("length_constraints:number_sentences", reply, relation="less than", num_sentences=2) == (
        "Trains are fast."
    )
    assert repaired("keywords:forbidden_words", reply, forbidden_words=["walking"]) == (
        "Trains are fast. Buses are cheap, and they stop everywhere."
    )
    assert repaired("keywords:forbidden_words", reply, forbidden_words=["cheap"]) is None, "too little would be left"
    assert repaired("keywords:existence", reply, keywords=["tram"]).startswith(reply)  # type: ignore[union-attr]
    assert repaired("change_case:english_lowercase", reply) == reply.lower()


def test_loose_variants_come_in_order_and_skip_blanks() -> None:
    assert loose_variants("*a*\nb\nc") == ("*a*\nb\nc", "a\nb\nc", "b\nc", "*a*\nb", "b", "a\nb")
    assert loose_variants("one line") == ("one line",)
    assert loose_variants(" \n") == ()


def test_loose_forgives_a_first_line_that_strict_does_not() -> None:
    (judged,) = judge((COMMA,), "Sure, here it is:\nNo mark of that kind here.", TYPES).checks
    assert (judged.strict.passed, judged.loose.passed) == (False, True)
    assert judged.loose.spans == ()


def test_a_blank_reply_fails_even_what_it_would_pass() -> None:
    for blank in ("", " \n\t"):
        (judged,) = judge((COMMA,), blank, TYPES).checks
        assert (judged.strict.passed, judged.loose.passed) == (False, False)


def broken(_: Params, reply: str) -> Verdict:
    raise RuntimeError("no such luck")


BROKEN: dict[str, ConstraintType] = {
    **TYPES,
    "punctuation:no_comma": msgspec.structs.replace(TYPES["punctuation:no_comma"], verify=broken),
}


def test_what_cannot_be_judged_is_counted_apart() -> None:
    fine, short = (
        Check(WORDS, {"relation": "at least", "num_words": 2}),
        Check(WORDS, {"relation": "less than", "num_words": 2}),
    )
    unknown = Check("made:up")
    outcomes = [
        judge((COMMA, fine), "two words", BROKEN),  # not judged, passed -> prompt not judged
        judge((COMMA, short), "two words", BROKEN),  # not judged, failed -> prompt failed
        judge((fine,), "two words", BROKEN),
        judge((unknown,), "two words", BROKEN),
        judge((), "two words", BROKEN),
    ]
    assert [outcome.prompt_passed() for outcome in outcomes] == [None, False, True, None, None]
    assert "no such luck" in outcomes[0].checks[0].strict.reason


def test_constraint_verifier_joins_reasons_and_averages() -> None:
    verifier = ConstraintVerifier(TYPES)
    assert isinstance(verifier, Verifier)
    record = Record((user("Say it."),), (COMMA, Check(WORDS, {"relation": "at least", "num_words": 4})))
    good = verifier.verify(record, "four words stand here")
    assert (good.passed, good.score) == (True, 1.0)
    bad = verifier.verify(record, "two, words")
    assert bad.passed is False
    assert "commas" in bad.reason
    assert "2 words" in bad.reason
    assert 0 < bad.score < 1
    assert ConstraintVerifier(BROKEN).verify(record, "four words stand here").passed is None
    assert ConstraintVerifier(BROKEN).verify(record, "two words").passed is False
    assert verifier.verify(Record((user("Say it."),)), "anything").passed is None
    sure = "Sure, see below\nfour words stand here"
    assert verifier.verify(record, sure).passed is False
    assert ConstraintVerifier(TYPES, loose=True).verify(record, sure).passed is True


ADDED_TO = "Trains are fast. Buses are cheap."


@pytest.mark.parametrize(("word", "number"), [("people", 2), ("tunnel", 4), ("Simple", 3)])
def test_mentions_differ_hold_the_word_and_no_comma(word: str, number: int) -> None:
    found = mentions(word, number, ADDED_TO)
    assert len(set(found)) == number
    assert all(word.lower() in one.lower() and "," not in one and one.endswith(".") for one in found)


def test_every_common_word_stands_in_its_sentences() -> None:
    assert all(word in one.lower() for word, sentences in COMMON.items() for one in sentences)


def test_openings_begin_with_their_word_and_are_joined_only_where_safe() -> None:
    assert all(one.lower().startswith(word) and one[-1] == "." for word, all_ in OPENINGS.items() for one in all_)
    assert opened_with("overall", "The plan works.") == "Overall, the plan works."
    assert opened_with("now", "Sometimes the best plan fails.").endswith(". Sometimes the best plan fails.")
    assert opened_with("now", "* one\n* two").split("\n")[1:] == ["* one", "* two"]


def test_letters_are_added_as_sentences() -> None:
    added = with_letter("q", 2, ADDED_TO)
    assert added is not None
    assert added.count("q") >= 2
    assert with_letter("q", 99, ADDED_TO) is None
