from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.core.errors import VerifierError
from adhere.core.verifier import Verdict
from adhere.verify.families import letters

TYPES = {kind.id: kind for kind in letters.TYPES}


def judged(kind: str, reply: str, **params: object) -> Verdict:
    return TYPES[kind].verify(TYPES[kind].validated(params), reply)


def repaired(kind: str, reply: str, **params: object) -> str | None:
    repair = TYPES[kind].repair
    assert repair is not None
    return repair(params, reply)


@pytest.mark.parametrize(
    ("kind", "params", "reply", "expected"),
    [
        ("change_case:title_case", {}, "Élan Vital 東京 Ǆ", True),
        ("change_case:title_case", {}, "E\u0301lan vital", False),
        ("change_case:alternating_words", {"first": "upper"}, "STRASSE ist 東京 LANG", True),
        ("change_case:alternating_words", {"first": "upper"}, "Straße ist LANG", False),
        ("change_case:sentence_case", {}, "“We went home.” then i slept.", True),
        ("change_case:sentence_case", {}, "We went home. 3 cats slept.", False),
        ("change_case:no_shouting", {}, "A U-boat and I.", True),
        ("change_case:no_shouting", {}, "The US.", False),
        ("change_case:named_words", {"keywords": ["salt"]}, "SALT and _SALT_", True),
        ("change_case:named_words", {"keywords": ["salt"]}, "SALT and Salt", False),
        ("letters:all_words_start", {"letter": "é"}, "Étienne étudie 12 éléphants.", True),
        ("letters:all_words_start", {"letter": "S"}, "Six Śledź \uff33ix", True),
        ("letters:all_words_start", {"letter": "s"}, "Six 6th-graders", False),
        ("letters:parity", {"parity": "even"}, "cafe\u0301 don't", True),
        ("letters:parity", {"parity": "odd"}, "cafe\u0301", False),
        ("letters:acrostic", {"word": "be"}, "“Both came.” 'Each sat down.'", True),
        ("letters:acrostic", {"word": "be"}, "Both came. 8 sat down.", False),
        ("letters:acrostic", {"word": "東山"}, "東は赤い。山は青い。", True),
        ("letters:sentence_endings", {"letter": "e"}, "We ate (more)! Olé.", True),
        ("letters:sentence_endings", {"letter": "e"}, "We ate at 8.", False),
        ("lipogram:double_letters", {}, "No one saw a thing. go on", True),
        ("lipogram:double_letters", {}, "Aaron", False),
        ("lipogram:double_letters", {}, "11 -- ...", True),
    ],
)
def test_rules_for_letters(kind: str, params: dict[str, object], reply: str, expected: bool) -> None:
    assert judged(kind, reply, **params).passed is expected


def test_scripts_without_case_pass_vacuously_and_say_so() -> None:
    for kind, params in (
        ("change_case:title_case", {}),
        ("change_case:sentence_case", {}),
        ("change_case:no_shouting", {}),
        ("change_case:alternating_words", {"first": "lower"}),
    ):
        verdict = judged(kind, "東京は大きい。", **params)
        assert verdict.passed
        assert verdict.vacuous
    assert judged("change_case:capital_share", "東京", least_percent=0, most_percent=50).passed is False


def test_misses_and_spans_name_the_offenders() -> None:
    verdict = judged("change_case:title_case", "A cat Sat on It")
    assert (verdict.miss, verdict.spans) == (2, ((2, 5), (10, 12)))
    assert judged("letters:pangram", "abc").miss == -23
    assert judged("letters:words_start", "Big bad dog", letter="b", num_words=3).miss == -1
    verdict = judged("letters:alliteration", "The big bad bear sat still", num_words=5)
    assert (verdict.miss, verdict.spans) == (-2, ((4, 16),))
    assert judged("letters:acrostic", "One. Two.", word="otx").miss == -1


def test_a_run_of_numbers_is_no_alliteration() -> None:
    assert judged("letters:alliteration", "1st 1st 1st", num_words=2).passed is False


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("letters:all_words_start", {"letter": "ab"}),
        ("letters:all_words_start", {"letter": ""}),
        ("letters:words_start", {"letter": "3", "num_words": 1}),
        ("letters:parity", {"parity": "none"}),
        ("letters:acrostic", {"word": "two words"}),
        ("letters:acrostic", {"word": " "}),
        ("letters:alliteration", {"num_words": 1}),
        ("change_case:alternating_words", {"first": "both"}),
        ("change_case:capital_share", {"least_percent": 60, "most_percent": 40}),
        ("change_case:capital_share", {"least_percent": -1, "most_percent": 40}),
        ("change_case:named_words", {"keywords": []}),
    ],
)
def test_impossible_parameters_are_errors(kind: str, params: dict[str, object]) -> None:
    with pytest.raises(VerifierError):
        judged(kind, "Some reply.", **params)


@pytest.mark.parametrize(("upper", "expected"), [(1, False), (2, True), (4, True), (5, False)])
def test_the_bounds_of_a_share_are_included(upper: int, expected: bool) -> None:
    reply = "A" * upper + "a" * (10 - upper)
    verdict = judged("change_case:capital_share", reply, least_percent=20, most_percent=40)
    assert verdict.passed is expected


def test_repairs_read_as_before() -> None:
    assert repaired("change_case:title_case", "the cat's well-known toy") == "The Cat's Well-known Toy"
    assert repaired("change_case:no_shouting", "I love NASA and the USA") == "I love Nasa and the Usa"
    assert repaired("change_case:sentence_case", "Anna came. I saw HER.") == "Anna came. I saw her."
    assert repaired("change_case:named_words", "salt is Salt", keywords=["salt"]) == "SALT is SALT"
    assert repaired("change_case:alternating_words", "we eat more fish", first="lower") == "we EAT more FISH"


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.text(alphabet=st.sampled_from("aBcé ß.İ东'-1\n?ŉǆ"), min_size=1, max_size=60))
def test_case_repairs_pass_or_give_up(reply: str) -> None:
    assert (
        judged("change_case:no_shouting", repaired("change_case:no_shouting", "CAPS " + reply) or "").passed is not None
    )
    fixed = repaired("change_case:sentence_case", reply)
    assert fixed is None or judged("change_case:sentence_case", fixed).passed
    fixed = repaired("change_case:capital_share", reply, least_percent=30, most_percent=70)
    if fixed is not None and any(map(str.isupper, fixed)):
        assert judged("change_case:capital_share", fixed, least_percent=30, most_percent=70).passed
