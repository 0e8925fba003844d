"""Rules over the turns of a conversation: what is in force when, PIF, PIF-N-K, and the verifier."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.core.errors import VerifierError
from adhere.core.record import Check, Record, assistant, system, user
from adhere.core.verifier import Verifier
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.turns import (
    Rule,
    TurnsVerifier,
    judge_conversation,
    judge_turn,
    pif,
    pif_n_k,
    rule_of,
    rules_in_force,
    turn_of,
)

NO_COMMA = Check("punctuation:no_comma", {}, "From now on, no commas.")
UNKNOWN = Check("no:such_type")
VERIFIER = TurnsVerifier(ALL_TYPES)


def word(text: str) -> Check:
    return Check("keywords:existence", {"keywords": [text]}, f"Always use {text}.")


def ending(text: str) -> Check:
    return Check("startend:end_checker", {"end_phrase": text}, f"End with {text}")


def conversation(turns: int, *checks: Check) -> Record:
    messages = [system("Be brief.")]
    for at in range(1, turns + 1):
        messages.append(user(f"Question {at}."))
        if at < turns:
            messages.append(assistant(f"Answer {at}."))
    return Record(tuple(messages), checks)


# ---------------------------------------------------------------- in force


def test_a_rule_is_in_force_from_its_turn_to_its_last_both_included():
    rule = Rule(NO_COMMA, 2, 3)
    assert [bool(rules_in_force([rule], turn)) for turn in (1, 2, 3, 4)] == [False, True, True, False]
    assert rules_in_force([Rule(NO_COMMA, 2)], 99) == (Rule(NO_COMMA, 2),)


def test_a_later_rule_of_the_same_type_replaces_the_earlier_one_from_its_turn_on():
    first, second = Rule(ending("Yours."), 1), Rule(ending("Bye."), 3)
    assert rules_in_force([first, second], 2) == (first,)
    assert rules_in_force([first, second], 3) == (second,)
    assert rules_in_force([second, first], 3) == (second,)  # what counts is the turn, not the order in the data


def test_what_was_replaced_does_not_come_back():
    first, second = Rule(ending("Yours."), 1), Rule(ending("Bye."), 2, 2)
    assert rules_in_force([first, second], 3) == ()


def test_rules_of_other_types_and_of_the_same_turn_stay_side_by_side():
    rules = [Rule(word("sea"), 1), Rule(word("sun"), 1), Rule(NO_COMMA, 2)]
    assert rules_in_force(rules, 2) == tuple(rules)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, 6), st.none() | st.integers(6, 9)), max_size=8),
    st.integers(1, 9),
)
def test_in_force_means_given_not_ended_and_not_replaced(drawn, turn):
    rules = [Rule(Check(f"x:{name}"), first, last) for name, first, last in drawn]
    found = rules_in_force(rules, turn)
    for rule in rules:
        replaced = any(
            other.check.kind == rule.check.kind and rule.from_turn < other.from_turn <= turn for other in rules
        )
        expected = rule.from_turn <= turn and (rule.until_turn is None or turn <= rule.until_turn) and not replaced
        assert (rule in found) == expected


# ---------------------------------------------------------------- data


def test_a_rule_survives_json_and_is_part_of_the_identity():
    record = conversation(2, Rule(NO_COMMA, 1, 4).as_check(), Rule(word("sea"), 2).as_check())
    back = msgspec.json.decode(msgspec.json.encode(record), type=Record)
    assert [rule_of(check) for check in back.checks] == [Rule(NO_COMMA, 1, 4), Rule(word("sea"), 2)]
    assert back.id == record.id != conversation(2, Rule(NO_COMMA, 1).as_check(), Rule(word("sea"), 2).as_check()).id


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"check": "no check"},
        {"check": {}},
        {"check": {"kind": 3}},
        {"check": {"kind": "a:b"}, "from_turn": 0},
        {"check": {"kind": "a:b"}, "from_turn": "1"},
        {"check": {"kind": "a:b"}, "from_turn": True},
        {"check": {"kind": "a:b"}, "from_turn": 3, "until_turn": 2},
        {"check": {"kind": "a:b"}, "from_trun": 3},
    ],
)
def test_data_that_makes_no_sense_is_an_error_and_never_a_pass(params):
    with pytest.raises(VerifierError, match="turns:rule"):
        rule_of(Check("turns:rule", params))
    found = VERIFIER.verify(conversation(1, Check("turns:rule", params), NO_COMMA), "Plain words.")
    assert found.passed is None
    assert VERIFIER.verify(conversation(1, Check("turns:rule", params), NO_COMMA), "Plain, words.").passed is False


# ---------------------------------------------------------------- PIF


def test_pif_is_the_share_kept_of_what_was_judged():
    assert pif([True, False, True, True]) == 0.75
    assert pif([True, None, False]) == 0.5
    assert pif([None]) is None
    assert pif([]) is None


def test_pif_n_k_counts_turns_with_enough_perfect_samples():
    kept = [[True, True, False, True], [True, False, False, False], [True] * 4]
    assert [pif_n_k(kept, k).value for k in (1, 2, 3, 4)] == pytest.approx([1, 2 / 3, 2 / 3, 1 / 3])


def test_pif_n_k_decides_a_turn_as_soon_as_the_unknown_cannot_change_it():
    found = pif_n_k([[True, None], [False, None], [None, None]], 1)
    assert (found.value, found.turns, found.not_judged) == (1.0, 1, 2)
    assert pif_n_k([[True, None], [False, None]], 2).value == 0.0


@pytest.mark.parametrize(("kept", "k"), [([[True], [True, False]], 1), ([[True]], 2), ([[True]], 0)])
def test_uneven_samples_and_impossible_k_are_errors(kept, k):
    with pytest.raises(VerifierError, match="samples"):
        pif_n_k(kept, k)


@settings(deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=6))
def test_asking_for_more_samples_never_raises_the_share(kept):
    shares = [pif_n_k(kept, k).value for k in (1, 2, 3, 4)]
    assert shares == sorted(shares, reverse=True)


# ---------------------------------------------------------------- conversations


def test_the_turn_is_counted_from_the_users_messages():
    assert turn_of(conversation(3)) == 3
    assert turn_of(conversation(3).with_reply("A reply is no turn.")) == 3


def test_each_turn_is_judged_by_what_is_in_force_there():
    record = conversation(
        3, Rule(NO_COMMA, 1).as_check(), Rule(word("sea"), 2).as_check(), Rule(word("sun"), 3).as_check()
    )
    assert isinstance(VERIFIER, Verifier)
    found = VERIFIER.verify(record, "The sun shines, it does.")
    assert found.passed is False
    assert found.score == 0.5  # the word of turn 2 was replaced by that of turn 3
    assert "turn 3: 1 of 2 rules" in found.reason
    assert "no_comma" in found.reason
    assert VERIFIER.verify(record, "The sun shines.").passed is True


def test_other_checks_of_the_record_count_for_the_last_reply():
    record = conversation(2, Rule(NO_COMMA, 1).as_check(), word("moon"))
    assert VERIFIER.verify(record, "The sun shines.").passed is False
    assert VERIFIER.verify(record, "The moon shines.").passed is True


def test_without_rules_in_force_and_with_unknown_ones_nothing_is_judged():
    assert VERIFIER.verify(conversation(1), "Words.").passed is None
    assert VERIFIER.verify(conversation(1, Rule(NO_COMMA, 2).as_check()), "Words.").passed is None
    found = VERIFIER.verify(conversation(1, Rule(UNKNOWN, 1).as_check(), Rule(NO_COMMA, 1).as_check()), "Words.")
    assert found.passed is None
    assert "no:such_type" in found.reason


def test_a_whole_conversation_gives_a_pif_for_every_answered_turn():
    messages = (user("One."), assistant("No comma here."), user("Two."), assistant("Here, one."), user("Three."))
    record = Record(messages, (Rule(NO_COMMA, 1).as_check(), Rule(word("here"), 2).as_check()))
    found = judge_conversation(record, ALL_TYPES)
    assert [(turn.turn, turn.pif, turn.kept_all) for turn in found] == [(1, 1.0, True), (2, 0.5, False)]


def test_a_turn_without_rules_has_no_pif():
    found = judge_turn([], 1, "Words.", ALL_TYPES)
    assert found.pif is None
    assert found.kept_all is None


@pytest.mark.parametrize("reply", ["", "\0", "\ud800,", ", " * 100_000])
def test_hostile_replies_are_judged(reply):
    found = VERIFIER.verify(conversation(1, Rule(NO_COMMA, 1).as_check()), reply)
    assert found.passed is (reply == "\0")
    assert len(found.spans) <= 1_000
