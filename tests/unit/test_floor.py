import pytest

from adhere.core.record import Check, Record, user
from adhere.evals.floor import constant_answers, null_floor
from adhere.verify.catalogue import IFEVAL_TYPES

NO_COMMA = Check("punctuation:no_comma")
QUOTED = Check("startend:quotation")
TITLE = Check("detectable_format:title")
UNKNOWN = Check("nowhere:nothing")


def row(*checks: Check) -> Record:
    return Record((user("Say something."),), checks)


def test_candidates_are_about_sixty_distinct_texts_that_say_something():
    answers = constant_answers()
    assert len(answers) == len(set(answers)) >= 60
    assert all(answer.strip() for answer in answers)
    assert '""' in answers


def test_each_level_is_scored_as_defined():
    records = [row(NO_COMMA), row(NO_COMMA, QUOTED), row(QUOTED, TITLE, NO_COMMA)]
    found = null_floor(records, IFEVAL_TYPES, ["plain words, with a comma", "no comma"])
    assert found is not None
    assert found.answer == "no comma"
    assert found.prompt_strict == pytest.approx(1 / 3)
    assert found.instruction_strict == pytest.approx(3 / 6)
    assert found.followed == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_the_best_constant_may_differ_between_the_levels():
    # one prompt of five checks that the second answer nearly meets, three of one check that the first meets
    records = [row(TITLE, QUOTED, NO_COMMA, TITLE, TITLE), row(Check("detectable_format:json_format"))]
    found = null_floor(records, IFEVAL_TYPES, ['{"a": 1}', '"<<a>> b, c"'])
    assert found is not None
    assert found.best_prompt.answer == '{"a": 1}'
    assert found.best_instruction.answer == '"<<a>> b, c"'


def test_two_quote_marks_pass_what_they_are_known_to_pass():
    found = null_floor([row(QUOTED, NO_COMMA), row(Check("detectable_format:json_format"))], IFEVAL_TYPES, ['""'])
    assert found is not None
    assert (found.prompt_strict, found.instruction_strict) == (1.0, 1.0)


def test_checks_that_cannot_be_judged_are_left_out():
    found = null_floor([row(UNKNOWN), row(NO_COMMA, UNKNOWN), row(QUOTED)], IFEVAL_TYPES, ["a"])
    assert found is not None
    assert found.prompt_strict == 0.0  # only the last prompt can be judged whole
    assert found.instruction_strict == 0.5


def test_without_checks_there_is_no_floor():
    assert null_floor([], IFEVAL_TYPES) is None
    assert null_floor([row()], IFEVAL_TYPES) is None
    assert null_floor([row(UNKNOWN)], IFEVAL_TYPES) is None


def test_the_best_of_all_candidates_is_at_least_as_good_as_each():
    records = [row(NO_COMMA), row(TITLE), row(QUOTED, TITLE)]
    every = null_floor(records, IFEVAL_TYPES)
    assert every is not None
    for answer in constant_answers()[::7]:
        one = null_floor(records, IFEVAL_TYPES, [answer])
        assert one is not None
        assert one.prompt_strict <= every.best_prompt.prompt_strict
        assert one.instruction_strict <= every.best_instruction.instruction_strict


def test_a_long_answer_is_cut_for_display_only():
    answer = "word\n" * 100
    found = null_floor([row(NO_COMMA)], IFEVAL_TYPES, [answer])
    assert found is not None
    assert found.answer == answer
    assert "\n" not in found.shown
    assert found.shown.endswith("(500 characters)")
    assert found.quote_marks is None
