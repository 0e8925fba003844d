"""Chains of instructions: reading the answers, comparing them, the metrics, and the verifier."""

from __future__ import annotations

import json
import time

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.core.errors import VerifierError
from adhere.core.record import Check, Record, user
from adhere.core.verifier import Verifier
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.sequence import (
    Chain,
    SequenceVerifier,
    chain_verdict,
    judge_chain,
    normalised,
    step_answers,
    step_is_right,
)

VERIFIER = SequenceVerifier()


def record(*gold: str, task: str = "answer") -> Record:
    return Record(
        (user("Do this."),), (Check("sequence:chain", {"steps": ["x"] * len(gold), "gold": list(gold), "task": task}),)
    )


# ---------------------------------------------------------------- reading


@pytest.mark.parametrize(
    "reply",
    [
        '["one", "two"]',
        'Here you are: ["one", "two"] Enjoy.',
        '```json\n["one", "two"]\n```',
        '{"Instruction_1": "one", "Instruction_2": "two"}',
        '{"Instruction_2": "two", "Instruction_1": "one"}',
        '{"first": "one", "second": "two"}',
        '[{"Instruction_1": "one"}, {"Instruction_2": "two"}]',
        '{"1": {"answer": "one"}, "2": {"answer": "two"}}',
        '["Instruction_1: one", "Instruction_2: two"]',
        "Instruction_1: one\nInstruction_2: two",
        "Sure! instruction 1: one instruction 2: two",
        "Instruction_2: two\nInstruction_1: one",
        "Instruction_1: one\r\nInstruction_2 : two\r\n",
        '[sic] ["one", "two"]',
    ],
)
def test_the_answers_are_found_however_they_are_laid_out(reply):
    assert step_answers(reply, 2) == ("one", "two")


def test_missing_answers_are_none_and_further_ones_ignored():
    assert step_answers('["one"]', 3) == ("one", None, None)
    assert step_answers('["one", null, 3]', 3) == ("one", None, "3")
    assert step_answers('["one", "two", "three"]', 2) == ("one", "two")
    assert step_answers("Instruction_3: x", 3) == (None, None, "x")
    assert step_answers("no answers here", 2) == (None, None)


def test_answers_with_brackets_in_marked_text_are_read_as_text():
    assert step_answers("Instruction_1: see [1]\nInstruction_2: {x}", 2) == ("see [1]", "{x}")


def test_a_single_step_needs_no_mark():
    assert step_answers("  Paris. ", 1) == ("Paris.",)


def test_numbers_lists_and_truth_values_are_read_as_their_json():
    assert step_answers('[5, 2.5, true, ["a", 1]]', 4) == ("5", "2.5", "true", '["a", 1]')


@settings(deadline=None)
@given(st.lists(st.text(max_size=12), min_size=2, max_size=5))
def test_what_is_written_as_a_json_list_is_read_back(answers):
    found = step_answers(json.dumps(answers), len(answers))
    expected = tuple(answers)
    if not any("instruction" in answer.lower() for answer in answers):
        assert found == expected


@pytest.mark.parametrize(
    "reply",
    [
        "[" * 500_000,
        "{" * 500_000,
        '{"a":' * 200_000,
        "[1," * 300_000,
        "Instruction_1:" * 70_000,
        "instruction " * 80_000,
        "```\n" * 250_000,
        '["' + "9" * 10_000,
        "[" + "9" * 10_000 + "]",
        "\ud800\0[",
    ],
)
def test_hostile_replies_are_wrong_and_take_linear_time(reply):
    began = time.process_time()
    assert VERIFIER.verify(record("gold", "answer"), reply).passed is False
    assert time.process_time() - began < 8


# ---------------------------------------------------------------- comparing


def test_each_task_has_its_own_normal_form():
    assert normalised("The  Answer, an apple!", "answer") == "answer apple"
    assert normalised("The  Answer, an apple!", "text") == "The Answer an apple"
    assert normalised(" 1,234.50 ", "math") == "1234.50"
    with pytest.raises(VerifierError, match="task"):
        normalised("x", "poetry")


@pytest.mark.parametrize(
    ("output", "gold", "task", "faithful", "repaired"),
    [
        ("It is the Paris!", "paris", "answer", True, True),
        ("Parisian", "paris", "answer", True, False),
        ("10", "1", "math", True, False),
        ("1,000 in all", "1000", "math", True, True),
        ("-5", "5", "math", True, False),
        ("3 + 4 = 7", "7", "math", True, False),
        ("7.50", "7", "math", True, False),
        ("The Cat", "the cat", "text", False, False),
        ("The cat sat.", "The cat", "text", True, False),
        ("The cat.", "The cat", "text", True, True),
        ("London", "paris", "answer", False, False),
        (None, "paris", "answer", False, False),
        ("anything", "the!", "answer", None, None),
    ],
)
def test_the_benchmark_asks_for_a_substring_and_the_repaired_register_for_more(output, gold, task, faithful, repaired):
    assert step_is_right(output, gold, task) is faithful
    assert step_is_right(output, gold, task, "repaired") is repaired


@settings(deadline=None)
@given(st.text(max_size=20), st.text(min_size=1, max_size=5), st.sampled_from(["answer", "text", "math"]))
def test_what_passes_repaired_passes_faithful_too(output, gold, task):
    faithful, repaired = step_is_right(output, gold, task), step_is_right(output, gold, task, "repaired")
    assert not (repaired and not faithful)
    assert (repaired is None) == (faithful is None)


# ---------------------------------------------------------------- metrics


@pytest.mark.parametrize(
    ("steps", "last", "mean", "depth"),
    [
        ((True, True, True), True, 1.0, 3),
        ((True, False, True), True, 2 / 3, 1),
        ((False, True, True), True, 2 / 3, 0),
        ((True, True, False), False, 2 / 3, 2),
        ((True, None, False), False, 1 / 2, 1),
        ((None, None), None, None, 0),
    ],
)
def test_last_mean_and_depth(steps, last, mean, depth):
    found = Chain(steps)
    assert found.last is last
    assert found.mean == (None if mean is None else pytest.approx(mean))
    assert found.depth == depth


@settings(deadline=None)
@given(st.lists(st.sampled_from([True, False, None]), min_size=1, max_size=6))
def test_a_chain_passes_exactly_by_its_last_step(steps):
    found = chain_verdict(Chain(tuple(steps)))
    assert found.passed is steps[-1]
    assert 0 <= found.score <= 1
    assert (found.score == 1.0) == (found.passed is True)


# ---------------------------------------------------------------- the verifier


def test_the_last_step_decides_and_the_reason_tells_the_rest():
    assert isinstance(VERIFIER, Verifier)
    found = VERIFIER.verify(record("one", "two", "three"), '["one", "zwei", "drei"]')
    assert found.passed is False
    assert found.score == pytest.approx(1 / 3)
    assert "1 of 3 steps right, the first 1 without a gap; wrong: step 2, 3" in found.reason
    assert VERIFIER.verify(record("one", "two"), '["eins", "two"]').passed is True
    assert VERIFIER.verify(record("one", "two"), "  ").passed is False


def test_the_register_is_chosen():
    assert SequenceVerifier("faithful").verify(record("2", "1", task="math"), '["2", "10"]').passed is True
    assert SequenceVerifier("repaired").verify(record("2", "1", task="math"), '["2", "10"]').passed is False
    assert SequenceVerifier("strict").verify(record("2"), "2").passed is None


def test_the_type_in_the_catalogue_is_the_same_check():
    kind = ALL_TYPES["sequence:chain"]
    params = dict(record("2", "1", task="math").checks[0].params)
    assert kind.verify(params, '["2", "10"]').passed is True
    assert kind.mended is not None
    assert kind.mended(params, '["2", "10"]').passed is False


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"gold": "x"},
        {"gold": []},
        {"gold": [1]},
        {"gold": ["x"], "task": "poetry"},
        {"gold": ["x"], "task": 3},
        {"gold": ["x"] * 201},
    ],
)
def test_data_that_makes_no_sense_is_not_judged(params):
    found = VERIFIER.verify(Record((user("x"),), (Check("sequence:chain", params),)), "x")
    assert found.passed is None
    assert found.reason


def test_without_a_chain_nothing_is_judged():
    assert VERIFIER.verify(Record((user("x"),), (Check("punctuation:no_comma"),)), "x").passed is None


def test_several_chains_must_all_pass():
    both = Record((user("x"),), (*record("one").checks, *record("two").checks))
    assert VERIFIER.verify(both, "one and two").passed is True
    assert VERIFIER.verify(both, "one").passed is False
    unsure = Record((user("x"),), (*record("one").checks, Check("sequence:chain", {})))
    assert VERIFIER.verify(unsure, "one").passed is None
    assert VERIFIER.verify(unsure, "two").passed is False


def test_a_chain_survives_json():
    back = msgspec.json.decode(msgspec.json.encode(record("one", "two")), type=Record)
    assert VERIFIER.verify(back, '["one", "two"]').passed is True


def test_unknown_registers_and_empty_chains_are_errors():
    with pytest.raises(VerifierError, match="register"):
        judge_chain("x", ["x"], "answer", "strict")
    with pytest.raises(VerifierError, match="gold"):
        judge_chain("x", [], "answer")
