"""What a verdict says beyond passed or failed: score, miss, spans, vacuous, reason; and how verdicts are joined."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
import pytest

from adhere.core.errors import VerifierError
from adhere.core.record import Check, Record, user
from adhere.core.verifier import Verdict
from adhere.verify.constraint import ConstraintType, Example, Params, failed, judged_count, judged_range, passed
from adhere.verify.registers import register
from adhere.verify.score import ConstraintVerifier, judge, verdict_of


def kind_of(
    name: str,
    verify: Callable[[Params, str], Verdict] = lambda params, reply: passed("fine"),
    parameters: Mapping[str, Any] | None = None,
    allowed: Mapping[str, Any] | None = None,
) -> ConstraintType:
    return ConstraintType(
        id=f"made_up:{name}",
        family="made_up",
        parameters=dict(parameters or {}),
        phrasings=("Do it.",),
        heldout_phrasings=("Have it done.",),
        verify=verify,
        draw=lambda rng, drawing: {},
        examples=(),
        allowed=dict(allowed or {}),
    )


def test_a_plain_verdict_claims_nothing_more() -> None:
    assert passed("yes") == Verdict(True, 1.0, "yes", False, (), 0)
    assert failed("no") == Verdict(False, 0.0, "no", False, (), 0)


def test_partial_credit_stays_between_nothing_and_a_pass() -> None:
    assert [failed("no", score).score for score in (-3.0, 0.25, 0.995, 7.0)] == [0.0, 0.25, 0.99, 0.99]


@pytest.mark.parametrize(
    ("found", "relation", "wanted", "score", "miss"),
    [
        (3, "at least", 4, 0.75, -1),
        (0, "at least", 1, 0.0, -1),
        (6, "less than", 4, 0.5, 3),
        (1, "less than", 1, 0.0, 1),
        (4, "less than", 4, 0.75, 1),
        (2, "exactly", 8, 0.25, -6),
        (8, "exactly", 2, 0.25, 6),
    ],
)
def test_a_missed_count_says_by_how_much(found: int, relation: str, wanted: int, score: float, miss: int) -> None:
    verdict = judged_count(found, relation, wanted, "trees", ((0, 1),))
    assert verdict == Verdict(
        False, pytest.approx(score), f"{found} trees, wanted {relation} {wanted}", False, ((0, 1),), miss
    )


@pytest.mark.parametrize(
    ("found", "relation", "wanted", "vacuous"),
    [
        (0, "less than", 3, True),
        (1, "less than", 3, False),
        (2, "less than", 3, False),
        (3, "at least", 3, False),
        (0, "at least", 0, False),
        (0, "exactly", 0, False),
        (5, "exactly", 5, False),
    ],
)
def test_a_limit_is_vacuous_where_nothing_was_counted(found: int, relation: str, wanted: int, vacuous: bool) -> None:
    assert judged_count(found, relation, wanted, "trees") == Verdict(
        True, 1.0, f"{found} trees, wanted {relation} {wanted}", vacuous, (), 0
    )


@pytest.mark.parametrize(
    ("low", "high", "fitting", "wanted"),
    [
        (2, 4, [2, 3, 4], "between 2 and 4"),
        (3, 3, [3], "exactly 3"),
        (2, None, [2, 3, 4, 5, 6], "at least 2"),
        (None, 4, [0, 1, 2, 3, 4], "at most 4"),
        (0, 1, [0, 1], "between 0 and 1"),
    ],
)
def test_ranges_hold_their_bounds(low: int | None, high: int | None, fitting: list[int], wanted: str) -> None:
    verdicts = [judged_range(found, low, high, "trees") for found in range(7)]
    assert [found for found, verdict in enumerate(verdicts) if verdict.passed] == fitting
    assert [verdict.reason for verdict in verdicts] == [f"{found} trees, wanted {wanted}" for found in range(7)]
    assert [found for found, verdict in enumerate(verdicts) if verdict.vacuous] == ([0] if low is None else [])


def test_bounds_and_relations_without_sense_are_errors() -> None:
    with pytest.raises(VerifierError, match=r"expected a range of trees, found 4 to 2"):
        judged_range(3, 4, 2, "trees")
    with pytest.raises(VerifierError, match=r"unknown relation 'at leest'") as caught:
        judged_count(3, "at leest", 2, "trees")
    assert "at least" in caught.value.hint


def test_parameters_are_counts_words_and_truth_values() -> None:
    kind = kind_of(
        "all",
        parameters={"count": int, "share": (int, float), "strictly": bool, "shade": str},
        allowed={"count": range(1, 6), "shade": ("red", "blue")},
    )
    good = {"count": 2, "share": 0.5, "strictly": True, "shade": "red"}
    assert kind.validated({**good, "unheard_of": None}) == good
    whole = kind.validated({**good, "count": 3.0, "share": 4.0})
    assert (type(whole["count"]), type(whole["share"])) == (int, float)
    for wrong, message in [
        ({"count": True}, "count should be int, found True"),
        ({"count": 2.5}, "count should be int, found 2.5"),
        ({"share": False}, "share should be int or float, found False"),
        ({"strictly": 1}, "strictly should be bool, found 1"),
        ({"count": 6}, "count should be from 1 to 5, found 6"),
        ({"count": 0}, "count should be from 1 to 5, found 0"),
        ({"shade": "green"}, "shade should be one of red, blue, found 'green'"),
        ({"shade": None}, "needs parameter 'shade'"),
        ({"colour": 1}, "has no parameter 'colour'"),
    ]:
        with pytest.raises(VerifierError) as caught:
            kind.validated({**good, **wrong})
        assert message in caught.value.message


def test_checks_are_written_in_training_phrasings_unless_asked() -> None:
    kind = kind_of("any")
    assert kind.write(random.Random(1), {}).phrase == "Do it."
    assert kind.write(random.Random(1), {}, heldout=True).phrase == "Have it done."
    assert kind.write(random.Random(1), {}) == Check("made_up:any", {}, "Do it.")


def broken(params: Params, reply: str) -> Verdict:
    raise RuntimeError("x" * 900)


def picky(params: Params, reply: str) -> Verdict:
    raise VerifierError("these parameters do not go together")


BROKE = "made_up:broken broke on this reply: RuntimeError: " + "x" * 900
KINDS = {
    kind.id: kind
    for kind in (
        kind_of("fine", lambda params, reply: passed("went well", ((0, 2),))),
        kind_of("idle", lambda params, reply: passed("had nothing to do", vacuous=True)),
        kind_of("half", lambda params, reply: failed("half done", 0.5, ((3, 4), (0, 2)))),
        kind_of("poor", lambda params, reply: failed("badly done", 0.25)),
        kind_of(
            "one_line", lambda params, reply: passed("one line", ((0, 1),)) if "\n" not in reply else failed("two")
        ),
        kind_of("broken", broken),
        kind_of("picky", picky),
        kind_of("numbered", parameters={"count": int}),
    )
}


def checks(*names: str) -> tuple[Check, ...]:
    return tuple(Check(f"made_up:{name}") for name in names)


def joined(*names: str, loose: bool = False) -> Verdict:
    record = Record(messages=(user("Do it."),), checks=checks(*names))
    return ConstraintVerifier(KINDS, loose).verify(record, "Done as you said.")


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing", "no constraint type 'made_up:missing'"),
        ("numbered", "made_up:numbered needs parameter 'count'"),
        ("picky", "these parameters do not go together"),
        ("broken", BROKE[:500]),
    ],
)
def test_what_is_not_judged_counts_nothing_and_says_why(name: str, reason: str) -> None:
    expected = Verdict(None, 0.0, reason)
    assert verdict_of(checks(name)[0], "A reply.", KINDS) == expected
    (judged,) = judge(checks(name), "A reply.", KINDS).checks
    assert (judged.strict, judged.loose) == (expected, expected)


def test_the_strict_verdict_alone_is_that_of_both() -> None:
    for name in ("fine", "idle", "half", "one_line"):
        for reply in ("One.", "One.\nTwo.", "  \n "):
            (judged,) = judge(checks(name), reply, KINDS).checks
            assert verdict_of(checks(name)[0], reply, KINDS) == judged.strict
    assert verdict_of(checks("fine")[0], " \n", KINDS) == failed("the reply is blank")


def test_a_loose_pass_has_no_places_in_the_reply() -> None:
    outcome = judge(checks("one_line"), "First line\nsecond", KINDS)
    assert outcome.checks[0].loose == passed("one line")
    assert outcome.checks[0].strict == failed("two")
    assert (outcome.prompt_passed(), outcome.prompt_passed(loose=True)) == (False, True)
    assert outcome.verdicts() == (failed("two"),)
    assert judge(checks("one_line"), "One", KINDS).checks[0].loose.spans == ((0, 1),)


def test_several_verdicts_are_joined_to_one() -> None:
    assert joined("fine", "fine") == Verdict(True, 1.0, "all 2 checks passed", False, ((0, 2),))
    assert joined("fine", "half", "poor") == Verdict(
        False,
        pytest.approx(1.75 / 3),
        "made_up:half: half done; made_up:poor: badly done",
        False,
        ((0, 2), (3, 4)),
    )


def test_what_is_not_judged_is_left_out_of_the_mean() -> None:
    assert joined("half", "poor", "missing").score == pytest.approx(0.375)
    assert joined("half", "poor", "missing").passed is False
    assert (joined("fine", "missing").passed, joined("fine", "missing").score) == (None, 0.99)
    assert (joined("missing").passed, joined("missing").score) == (None, 0.0)
    assert joined() == Verdict(None, 0.0, "the record has no checks")


def test_a_record_is_passed_vacuously_only_where_every_check_was() -> None:
    assert joined("idle", "idle").vacuous
    assert not joined("idle", "fine").vacuous
    assert not joined("idle", "missing").vacuous
    assert not joined("poor").vacuous


def test_a_verifier_is_strict_unless_asked() -> None:
    record = Record(messages=(user("Do it."),), checks=checks("one_line"))
    assert ConstraintVerifier(KINDS).verify(record, "First\nsecond").passed is False
    assert ConstraintVerifier(KINDS, loose=True).verify(record, "First\nsecond").passed is True


def test_the_repaired_register_takes_the_mended_readings() -> None:
    strict = msgspec.structs.replace(kind_of("strict"), mended=lambda params, reply: failed("not so"))
    signs = msgspec.structs.replace(kind_of("signs"), examples=(Example({}, "***", ("a", "b")),))
    letters = msgspec.structs.replace(kind_of("letters"), examples=(Example({}, "abc", ("a", "b")),))
    types = {kind.id: kind for kind in (strict, signs, letters)}
    repaired = register("repaired", types)
    assert [repaired[key].verify({}, "Well.").passed for key in types] == [False, True, True]
    assert [repaired[key].verify({}, "---").passed for key in types] == [False, True, False]
    assert [register("faithful", types)[key].verify({}, "---").passed for key in types] == [True, True, True]
