"""Constraints made of constraints: logic with three outcomes, dependencies, conditions, hostile parameters."""

from __future__ import annotations

import json
import random
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.core.errors import VerifierError
from adhere.core.record import Check
from adhere.core.verifier import Verdict
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.constraint import Drawing
from adhere.verify.families import nested_parts as logic
from adhere.verify.families.nested import TYPES
from adhere.verify.families.nested_parts import MOST_DEPTH, MOST_PARTS, Part, as_part
from adhere.verify.score import judge

REPLY = "yes it is so"
OUTCOMES = (True, False, None)
outcome = st.sampled_from(OUTCOMES)
outcomes = st.lists(outcome, min_size=1, max_size=6)


def word(text: str) -> dict[str, Any]:
    return as_part(Check("keywords:existence", {"keywords": [text]}, f"Say {text}."))


def part(wanted: bool | None) -> dict[str, Any]:
    """A part of which the verdict on REPLY is as wanted."""
    return word("yes") if wanted else word("no") if wanted is False else as_part(Check("no:such_type", {}))


def verdict(kind: str, reply: str = REPLY, **params: Any) -> Verdict:
    return ALL_TYPES[f"nested:{kind}"].verify(ALL_TYPES[f"nested:{kind}"].validated(params), reply)


def parts(found: list[bool | None]) -> list[dict[str, Any]]:
    return [part(one) for one in found]


# ---------------------------------------------------------------- logic


def possible(found: list[bool | None]) -> list[list[bool]]:
    """All ways in which what is not judged could turn out."""
    return [list(way) for way in product(*[(True, False) if one is None else (one,) for one in found])]


def settled(answers: list[bool]) -> bool | None:
    """What holds whichever way it turns out, else None: the meaning of "not judged"."""
    return answers[0] if len(set(answers)) == 1 else None


@settings(deadline=None)
@given(outcomes)
def test_all_any_and_none_say_what_holds_whatever_the_unknown_turn_out_to_be(found):
    ways = possible(found)
    assert verdict("all", checks=parts(found)).passed is settled([all(way) for way in ways])
    assert verdict("any", checks=parts(found)).passed is settled([any(way) for way in ways])
    assert verdict("none", checks=parts(found)).passed is settled([not any(way) for way in ways])


@settings(deadline=None)
@given(outcomes, st.data())
def test_at_least_says_what_holds_whatever_the_unknown_turn_out_to_be(found, data):
    count = data.draw(st.integers(1, len(found)))
    expected = settled([sum(way) >= count for way in possible(found)])
    assert verdict("at_least", count=count, checks=parts(found)).passed is expected


@settings(deadline=None)
@given(outcome, outcome, outcome)
def test_selection_is_known_under_an_unknown_condition_only_where_both_ways_agree(condition, then, otherwise):
    found = verdict("selection", when=[part(condition)], text="", then=[part(then)], otherwise=[part(otherwise)])
    if condition is None:
        assert found.passed is (then if then == otherwise else None)
    else:
        assert found.passed is (then if condition else otherwise)


@settings(deadline=None)
@given(
    st.integers(1, 6).flatmap(
        lambda n: st.tuples(st.lists(outcome, min_size=n, max_size=n), st.permutations(range(n)), st.data())
    )
)
def test_a_part_counts_exactly_if_all_it_rests_on_hold(drawn):
    found, order, data = drawn
    place = {at: rank for rank, at in enumerate(order)}
    needs = [
        data.draw(
            st.lists(
                st.sampled_from([other for other in order if place[other] < place[at]] or [at]), max_size=3, unique=True
            )
        )
        for at in range(len(found))
    ]
    needs = [[other for other in row if other != at] for at, row in enumerate(needs)]

    def rests_on(at: int) -> set[int]:
        return {at}.union(*(rests_on(other) for other in needs[at]))

    nodes = [Part(Check("x:y"), tuple(row)) for row in needs]
    counted = logic.dependent(found, nodes)
    assert counted == [logic.both(found[other] for other in rests_on(at)) for at in range(len(found))]
    # dependencies never make a result better, so the score never exceeds that of the parts taken alone
    assert counted.count(True) <= found.count(True)
    whole = verdict("graph", checks=[{**part(one), "depends_on": row} for one, row in zip(found, needs, strict=True)])
    assert whole.passed is logic.both(found)
    if whole.passed is False:
        assert whole.score == pytest.approx(min(counted.count(True) / len(found), 0.99))


@settings(deadline=None)
@given(outcomes)
def test_the_two_laws_of_de_morgan(found):
    assert logic.negated(logic.both(found)) is logic.either(map(logic.negated, found))
    assert logic.at_least(1, found) is logic.either(found)
    assert logic.at_least(len(found), found) is logic.both(found)


def test_the_table_of_two_is_kleenes():
    table = {
        (True, True): (True, True),
        (True, False): (False, True),
        (True, None): (None, True),
        (False, False): (False, False),
        (False, None): (False, None),
        (None, None): (None, None),
    }
    for (one, other), (conjunction, disjunction) in table.items():
        for pair in ([one, other], [other, one]):
            assert logic.both(pair) is conjunction
            assert logic.either(pair) is disjunction


@settings(deadline=None)
@given(outcomes)
def test_scores_are_in_range_and_one_exactly_for_a_pass(found):
    for kind, more in (
        ("all", {}),
        ("any", {}),
        ("none", {}),
        ("chain", {}),
        ("graph", {}),
        ("at_least", {"count": 1}),
    ):
        seen = verdict(kind, checks=parts(found), **more)
        assert 0 <= seen.score <= 1
        assert (seen.score == 1) == (seen.passed is True)
        assert seen.reason


# ---------------------------------------------------------------- chains


def test_a_chain_breaks_at_the_first_failure_and_counts_what_came_before():
    found = verdict("chain", checks=[word("yes"), word("no"), word("it"), word("so")])
    assert found.passed is False
    assert found.score == pytest.approx(1 / 4)
    assert "part 3, 4 fails with what it depends on" in found.reason


def test_a_chain_scores_below_the_same_parts_taken_together():
    checks = [word("no"), word("yes"), word("it")]
    assert verdict("chain", checks=checks).score == 0.0
    assert verdict("all", checks=checks).score > 0.6


def test_an_unknown_link_hides_what_depends_on_it_but_not_a_failure():
    assert verdict("chain", checks=parts([None, True])).passed is None
    assert verdict("chain", checks=parts([None, False])).passed is False
    assert verdict("chain", checks=parts([True, None, True])).passed is None


@pytest.mark.parametrize(
    ("needs", "said"),
    [([[1], [0]], "circle"), ([[0]], "circle"), ([[], [5]], "part 5"), ([[-1]], "part -1"), ([[], [1]], "circle")],
)
def test_circles_and_bad_positions_are_errors_of_the_parameters(needs, said):
    checks = [{**word("yes"), "depends_on": row} for row in needs]
    with pytest.raises(VerifierError, match=said):
        verdict("graph", checks=checks)
    (judged,) = judge([Check("nested:graph", {"checks": checks})], REPLY, ALL_TYPES).checks
    assert judged.strict.passed is None


@pytest.mark.parametrize("needs", ["0", [True], [0.0], {"0": 1}, 3])
def test_dependencies_are_lists_of_whole_numbers(needs):
    with pytest.raises(VerifierError, match="depends_on"):
        verdict("graph", checks=[word("yes"), {**word("it"), "depends_on": needs}])


# ---------------------------------------------------------------- conditions


def test_a_condition_on_a_given_text_looks_there_and_not_at_the_reply():
    params = {"when": [word("rain")], "then": [word("yes")], "otherwise": [word("no")]}
    assert verdict("selection", text="Will it rain?", **params).passed is True
    assert verdict("selection", text="Will it snow?", **params).passed is False
    assert verdict("selection", "no rain", text="", **params).passed is False  # now the reply itself has the word


def test_an_empty_branch_asks_nothing_and_passes_vacuously():
    found = verdict("selection", when=[word("no")], text="", then=[word("hail")], otherwise=[])
    assert found.passed is True
    assert found.vacuous
    assert verdict("selection", when=[word("yes")], text="", then=[word("hail")], otherwise=[]).passed is False


def test_selection_is_nestable():
    inner = as_part(
        Check("nested:selection", {"when": [word("it")], "text": "", "then": [word("so")], "otherwise": []})
    )
    assert verdict("selection", when=[word("yes")], text="", then=[inner], otherwise=[]).passed is True
    assert verdict("selection", "yes it", when=[word("yes")], text="", then=[inner], otherwise=[]).passed is False
    assert verdict("selection", "yes", when=[word("yes")], text="", then=[inner], otherwise=[]).passed is True


def test_a_selection_without_condition_or_demand_is_an_error():
    for when, then in (([], [word("yes")]), ([word("yes")], [])):
        with pytest.raises(VerifierError, match="selection"):
            verdict("selection", when=when, text="", then=then, otherwise=[])


# ---------------------------------------------------------------- nesting and hostile parameters


def nested(depth: int) -> dict[str, Any]:
    """A check of `depth` levels of `nested:all` around one word."""
    inner = word("yes")
    for _ in range(depth):
        inner = as_part(Check("nested:all", {"checks": [inner]}))
    return inner


def test_eight_levels_are_judged_and_nine_are_an_error():
    assert verdict("all", checks=[nested(MOST_DEPTH - 1)]).passed is True
    with pytest.raises(VerifierError, match="levels"):
        verdict("all", checks=[nested(MOST_DEPTH)])


def test_a_hundred_thousand_levels_are_refused_without_recursion():
    with pytest.raises(VerifierError, match="levels"):
        verdict("any", checks=[nested(100_000)])


def test_all_types_inside_are_found_at_any_depth():
    inside = as_part(Check("nested:any", {"checks": [word("a"), as_part(Check("tally:numbers", {"num_numbers": 1}))]}))
    params = {"when": [word("a")], "text": "", "then": [inside], "otherwise": [part(None), "no check"]}
    found = logic.inner_kinds(Check("nested:selection", params))
    assert found == {"nested:selection", "keywords:existence", "nested:any", "tally:numbers", "no:such_type"}
    assert logic.inner_kinds(Check("punctuation:no_comma", {"checks": [word("a")]})) == {"punctuation:no_comma"}
    with pytest.raises(VerifierError, match="levels"):
        logic.inner_kinds(Check("nested:all", {"checks": [nested(50)]}))


def test_very_many_checks_are_refused():
    with pytest.raises(VerifierError, match="at most"):
        verdict("any", checks=[word("yes")] * (MOST_PARTS + 1))


def test_not_judged_travels_through_levels():
    unknown = as_part(Check("nested:any", {"checks": [part(None), part(False)]}))
    assert verdict("any", checks=[unknown, part(True)]).passed is True
    assert verdict("all", checks=[unknown, part(False)]).passed is False
    assert verdict("none", checks=[unknown]).passed is None


def test_bad_parameters_inside_are_not_judged_and_say_why():
    found = verdict("all", checks=[as_part(Check("keywords:existence", {}))])
    assert found.passed is None
    assert "keywords" in found.reason


@pytest.mark.parametrize(
    "entry",
    [
        "no check",
        3,
        None,
        {},
        {"kind": 3},
        {"kind": "a:b", "params": []},
        {"kind": "a:b", "phrase": 1},
        {"kind": "a:b", "x": 1},
    ],
)
def test_an_entry_that_is_no_check_is_an_error(entry):
    with pytest.raises(VerifierError, match="part 1"):
        verdict("all", checks=[word("yes"), entry])


@pytest.mark.parametrize("count", [0, -1, 3])
def test_a_count_beyond_the_parts_is_an_error(count):
    with pytest.raises(VerifierError, match="from 1 to 2"):
        verdict("at_least", count=count, checks=parts([True, False]))


def test_at_least_misses_by_a_count():
    found = verdict("at_least", count=3, checks=parts([True, False, False, False]))
    assert (found.passed, found.miss) == (False, -2)
    assert found.score == pytest.approx(1 / 3)
    assert verdict("at_least", count=3, checks=parts([True, False, True, False])).score == pytest.approx(2 / 3)


def test_parameters_survive_json():
    for kind in TYPES:
        for example in kind.examples:
            back = json.loads(json.dumps(example.params))
            assert kind.verify(kind.validated(back), example.gold) == kind.verify(example.params, example.gold)


def test_spans_of_a_failure_are_those_of_what_failed():
    comma = as_part(Check("punctuation:no_comma", {}))
    found = verdict("all", "yes, it is", checks=[word("yes"), comma])
    assert found.spans == ((3, 4),)


@pytest.mark.parametrize("kind", ["all", "any", "none", "chain", "graph"])
def test_nothing_inside_is_an_error(kind):
    with pytest.raises(VerifierError, match="found none"):
        verdict(kind, checks=[])


# ---------------------------------------------------------------- words, drawing and repair


def test_the_words_of_the_parts_are_in_the_phrase():
    checks = [
        as_part(Check("punctuation:no_comma", {}, "Leave commas out.")),
        as_part(Check("detectable_format:title", {})),
    ]
    for kind in TYPES:
        if set(kind.parameters) <= {"checks", "count"}:
            params = {"checks": checks, **({"count": 1} if "count" in kind.parameters else {})}
            for template in (*kind.phrasings, *kind.heldout_phrasings):
                phrase = kind.phrase(params, template)
                assert "Leave commas out." in phrase
                assert "title" in phrase  # no phrase given: the first phrasing of its type


def test_a_condition_reads_as_a_clause_or_is_quoted():
    kind = ALL_TYPES["nested:selection"]
    clause = as_part(Check("punctuation:no_comma", {}, "your answer has no comma"))
    demand = as_part(Check("punctuation:no_comma", {}, "Use no comma."))
    branch = {"text": "", "then": [word("yes")], "otherwise": []}
    assert kind.phrase({"when": [clause], **branch}, "If {when}!") == "If your answer has no comma!"
    assert kind.phrase({"when": [demand], **branch}, "If {when}!") == 'If this holds: "Use no comma."!'
    given = {**branch, "when": [clause], "text": "Some words"}
    assert "<<Some words>>" in kind.phrase(given, "If {when}!")


def test_a_graph_says_what_needs_what():
    kind = ALL_TYPES["nested:graph"]
    said = kind.phrase({"checks": [word("a"), {**word("b"), "depends_on": [0]}]}, "{parts}")
    assert said == "(1) Say a. (2) Say b. This needs (1)."


@pytest.mark.parametrize("kind", TYPES, ids=[kind.id for kind in TYPES])
def test_drawn_compositions_can_be_met(kind):
    """Repair shows it where there is one: a drawn composition is never a contradiction."""
    ordinary = "The tower stands by the sea. It was built long ago. Many people come to see it in the summer months."
    met = drawn = 0
    for seed in range(30):
        params = kind.draw(random.Random(seed), Drawing("Write about a tower.", 60))
        if params is None or kind.repair is None:
            continue
        drawn += 1
        fixed = kind.repair(params, ordinary)
        met += fixed is not None and kind.verify(params, fixed).passed is True
    assert kind.id == "nested:none" or (drawn >= 20 and met >= 0.9 * drawn), f"{met} of {drawn}"


def test_repair_keeps_what_holds_and_adds_what_is_missing():
    ending = as_part(Check("startend:end_checker", {"end_phrase": "Good night."}))
    comma = as_part(Check("punctuation:no_comma", {}))
    kind = ALL_TYPES["nested:at_least"]
    fixed = kind.repair({"count": 2, "checks": [word("hail"), ending, comma]}, "Rain falls, and snow.")
    assert fixed is not None
    assert verdict("at_least", fixed, count=2, checks=[word("hail"), ending, comma]).passed is True
    assert ALL_TYPES["nested:all"].repair({"checks": [part(None), ending]}, REPLY) is None


def test_what_all_parts_demand_is_known_to_the_search_for_conflicts():
    kind = ALL_TYPES["nested:all"]
    assert kind.least_words({"checks": [word("yes"), part(None)]}) >= 0
    assert isinstance(kind.demands({"checks": [word("yes")]}), tuple)
    assert ALL_TYPES["nested:any"].demands({"checks": [word("yes")]}) == ()


@settings(max_examples=40, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inside: (
            st.lists(inside, max_size=3)
            | st.dictionaries(
                st.sampled_from(["kind", "params", "checks", "when", "phrase", "depends_on"]), inside, max_size=4
            )
        ),
        max_leaves=12,
    )
)
def test_whatever_stands_in_the_parameters_only_a_verifier_error_comes_out(value):
    for kind in TYPES:
        params = dict.fromkeys(kind.parameters, value)
        try:
            found = kind.verify(kind.validated(params), REPLY)
        except VerifierError:
            continue
        assert found.passed in OUTCOMES
