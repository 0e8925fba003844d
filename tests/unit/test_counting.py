"""Counting tasks: units in other units, patterns of counts, words and marks, acrostics."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.core.errors import VerifierError
from adhere.core.verifier import Verdict
from adhere.verify.families import counting, counting_repair, extent

TYPES = {kind.id: kind for kind in counting.TYPES}
CHINESE = "今天天气很好，我们去公园散步。晚上我在家里看书。"
PROSE = (
    "The ferry leaves at noon. It takes an hour and a half. The deck is windy. "
    "Tickets are sold on board by a friendly crew. Children travel free. Dogs pay."
)


def verdict(kind: str, reply: str, **params: Any) -> Verdict:
    found = TYPES[kind]
    return found.verify(found.validated(params), reply)


def repaired(kind: str, reply: str, **params: Any) -> str | None:
    found = TYPES[kind]
    assert found.repair is not None
    return found.repair(found.validated(params), reply)


def test_ids_are_unique_and_held_out_families_are_kept() -> None:
    every = [kind.id for kind in (*extent.TYPES, *counting.TYPES)]
    assert len(set(every)) == len(every) >= 20
    assert all(kind.id.split(":")[0] == kind.family for kind in (*extent.TYPES, *counting.TYPES))


ON_WORDS = [
    "counting:words_per_sentence",
    "counting:words_in_each_sentence",
    "counting:growing_sentences",
    "counting:nth_sentence_words",
    "counting:multiple_of",
    "counting:longest_word",
    "counting:long_words",
    "counting:no_word_twice",
    "counting:distinct_words",
    "change_case:capitalised_words",
    "lines:equal_words",
    "lines:word_pattern",
]


@pytest.mark.parametrize("kind", ON_WORDS)
def test_words_of_scripts_without_spaces_are_not_judged(kind: str) -> None:
    assert TYPES[kind].verify(TYPES[kind].examples[0].params, CHINESE).passed is None


def test_the_rest_judges_such_scripts() -> None:
    assert verdict("counting:sentences_per_paragraph", CHINESE, num_sentences=2).passed
    assert verdict("letters:acrostic_lines", "今天好\n晚安", word="今晚").passed
    assert verdict("tally:parentheses", "今天（周一）很好。", num_parentheses=1).passed


def test_each_sentence_counts_by_itself() -> None:
    reply = "Boats wait here. Gulls do not. Go on and on and on."
    found = verdict("counting:words_per_sentence", reply, least=3, most=4)
    assert not found.passed
    assert [reply[slice(*span)] for span in found.spans] == ["Go on and on and on."]
    assert found.miss == 2
    assert 0.5 < found.score < 1
    assert verdict("counting:words_per_sentence", reply, least=3, most=6).passed


def test_the_score_is_the_mean_of_how_near_each_comes() -> None:
    near = verdict("counting:words_in_each_sentence", "Gulls never wait. Boats wait for us.", num_words=4)
    far = verdict("counting:words_in_each_sentence", "Go. Boats wait for us.", num_words=4)
    assert near.score == pytest.approx((0.75 + 1) / 2)
    assert far.score == pytest.approx((0.25 + 1) / 2)


def test_growing_is_strict_and_needs_enough_sentences() -> None:
    assert not verdict("counting:growing_sentences", "We go. We run.", direction="longer", num_sentences=2).passed
    assert not verdict("counting:growing_sentences", "We go.", direction="longer", num_sentences=2).passed
    assert verdict("counting:growing_sentences", "We all go. We run.", direction="shorter", num_sentences=2).passed


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=9))
def test_growing_agrees_with_the_list_of_counts(counts: list[int]) -> None:
    reply = " ".join(" ".join(["Word"] + ["word"] * (count - 1)) + "." for count in counts)
    rising = all(one < two for one, two in itertools.pairwise(counts))
    assert verdict("counting:growing_sentences", reply, direction="longer", num_sentences=2).passed is rising


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.integers(-5, 5), max_size=10))
def test_the_longest_rise_is_one_of_the_longest(counts: list[int]) -> None:
    kept = [counts[at] for at in counting_repair._longest_rise(counts)]
    assert kept == sorted(set(kept))
    best = [1] * len(counts)
    for at in range(len(counts)):
        best[at] = 1 + max((best[one] for one in range(at) if counts[one] < counts[at]), default=0)
    assert len(kept) == max(best, default=0)


@pytest.mark.parametrize(("count", "miss"), [(8, 0), (9, 1), (11, -1), (1, -3), (3, -1)])
def test_a_multiple_is_missed_by_the_way_to_the_nearest(count: int, miss: int) -> None:
    found = verdict("counting:multiple_of", "word " * count, divisor=4)
    assert (found.passed, found.miss) == (miss == 0, miss)


def test_no_words_are_no_multiple() -> None:
    assert verdict("counting:multiple_of", "...", divisor=2).passed is False


def test_patterns_must_be_counts() -> None:
    for pattern in ([], [0], [2.5], ["3"], [True], [101], [1] * 101):
        with pytest.raises(VerifierError, match="pattern"):
            verdict("lines:word_pattern", "Some text.", pattern=pattern)


@pytest.mark.parametrize(
    ("word", "letters"), [("well-known", 5), ("don't", 4), ("1234567", 0), ("(naïve)", 5), ("nai\u0308ve", 5)]
)
def test_a_word_is_as_long_as_its_longest_part(word: str, letters: int) -> None:
    if letters > 2:
        assert not verdict("counting:longest_word", word, num_letters=letters - 1).passed
    assert verdict("counting:longest_word", word, num_letters=max(letters, 2)).passed


def test_words_are_the_same_whatever_their_case_marks_or_composition() -> None:
    assert not verdict("counting:no_word_twice", "Cafés, (CAFE\u0301S)!", num_letters=4).passed
    assert verdict("counting:no_word_twice", "the cat, the dog", num_letters=4).vacuous
    assert verdict("counting:distinct_words", "Tea tea TEA milk", percent=50).passed
    assert not verdict("counting:distinct_words", "Tea tea TEA milk", percent=51).passed


def test_acronyms_are_counted_once_and_not_in_shouted_text() -> None:
    assert verdict("tally:acronyms", "The UN, the U.N. and three ATMs met.", num_acronyms=2).passed
    assert not verdict("tally:acronyms", "The UN, the U.N. and the UN met.", num_acronyms=2).passed
    assert not verdict("tally:acronyms", "EVERY WORD IS A CAPITAL ONE", num_acronyms=1).passed


def test_capitals_count_at_the_front_only() -> None:
    reply = '"Ann" met éva, Éva and iPhone McCoy 3D'
    found = verdict("change_case:capitalised_words", reply, relation="at least", num_words=3)
    assert [reply[slice(*span)] for span in found.spans] == ['"Ann"', "Éva", "McCoy"]


def test_link_targets_and_smileys_are_no_remarks() -> None:
    assert verdict("tally:parentheses", "See [here](x.org) (now) :)", num_parentheses=1).passed


def test_acrostics_look_past_marks_and_accents() -> None:
    assert verdict("letters:acrostic_lines", "1. Éclairs\n\n**a**nd\n'tea'", word="eat").passed
    found = verdict("letters:acrostic_lines", "Even\nbees\ntire", word="eat")
    assert found.spans == ((5, 9),)
    assert found.score == pytest.approx(2 / 3)
    for word in ("x", "two words", "a1", ""):
        with pytest.raises(VerifierError, match="letters"):
            verdict("letters:acrostic_lines", "Text", word=word)


# ---------------------------------------------------------------- repairs


def test_sentences_are_dealt_out_to_paragraphs() -> None:
    fixed = repaired("counting:sentences_per_paragraph", PROSE, num_sentences=2)
    assert fixed is not None
    assert [part.count(".") for part in fixed.split("\n\n")] == [2, 2, 2]
    assert fixed.replace("\n\n", " ") == PROSE


def test_lists_are_not_torn_apart() -> None:
    listed = "- One thing here.\n- Another one there.\n- And a third."
    assert repaired("counting:sentences_per_paragraph", listed, num_sentences=1) is None
    assert repaired("lines:equal_words", listed, num_lines=5) is None


def test_an_order_is_reached_by_leaving_out_little() -> None:
    reply = "We go. We all go home. Nobody goes. We go home as late as we can."
    fixed = repaired("counting:growing_sentences", reply, direction="longer", num_sentences=3)
    assert fixed == "We go. We all go home. We go home as late as we can."
    assert repaired("counting:growing_sentences", reply, direction="shorter", num_sentences=3) is None


def test_lines_come_out_even() -> None:
    fixed = repaired("lines:equal_words", PROSE, num_lines=3)
    assert fixed is not None
    assert len({len(line.split()) for line in fixed.split("\n")}) == 1


def test_semicolons_come_and_go_between_sentences() -> None:
    assert repaired("tally:semicolons", "Boats wait. The gulls do not.", num_semicolons=1) == (
        "Boats wait; the gulls do not."
    )
    assert repaired("tally:semicolons", "Boats wait; gulls fly; we stay.", num_semicolons=1) == (
        "Boats wait; gulls fly. We stay."
    )
    assert repaired("tally:semicolons", "Boats wait.", num_semicolons=2) is None


def test_surplus_remarks_go_and_none_are_made_up() -> None:
    assert repaired("tally:parentheses", "Boats (old) wait (here).", num_parentheses=1) == "Boats (old) wait."
    assert repaired("tally:parentheses", "Boats wait.", num_parentheses=1) is None
