"""Tasks with one right answer: the engines behind them, reading the answer, drawing, and held-out rules."""

from __future__ import annotations

import itertools
import json
import random
import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.core.errors import VerifierError
from adhere.core.record import Check
from adhere.verify import formal
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.constraint import Drawing
from adhere.verify.families.task_answers import answer_spans, nearness
from adhere.verify.families.tasks import TYPES, gold_answer, is_noop
from adhere.verify.instances import (
    by_operation,
    learnt_share,
    membership_split,
    prior_reliance,
    rewriting_split,
    share_by,
    task_records,
    verbalizer_records,
)
from adhere.verify.score import ConstraintVerifier
from adhere.verify.wording import spelled

each_task = pytest.mark.parametrize("kind", TYPES, ids=[kind.id for kind in TYPES])
STRINGS = ["".join(letters) for length in range(6) for letters in itertools.product("ab", repeat=length)]
patterns = st.integers(0, 10_000).map(lambda seed: formal.random_pattern(random.Random(seed)))


def verdict(kind: str, reply: str, **params):
    return ALL_TYPES[kind].verify(ALL_TYPES[kind].validated(params), reply)


# ---------------------------------------------------------------- regular languages


@settings(max_examples=60, deadline=None)
@given(patterns)
def test_membership_agrees_with_a_full_match(pattern):
    found, expected = formal.language(pattern), re.compile(pattern)
    for string in STRINGS:
        assert found.holds(string) == bool(expected.fullmatch(string)), (pattern, string)


@settings(max_examples=60, deadline=None)
@given(patterns, st.integers(0, 9), st.integers(0, 99))
def test_samples_belong_and_exist_where_some_string_has_the_length(pattern, length, seed):
    found = formal.language(pattern)
    drawn = found.sample(random.Random(seed), length)
    assert (drawn is not None) == found.has_length(length)
    if length <= 5:
        assert found.has_length(length) == any(found.holds(string) for string in STRINGS if len(string) == length)
    if drawn is not None:
        assert len(drawn) == length
        assert found.holds(drawn)
    outside = found.outside(random.Random(seed), length, "ab") if length else None
    assert outside is None or (len(outside) == length and not found.holds(outside))


@pytest.mark.parametrize(
    ("pattern", "at"),
    [("", 1), ("a|", 3), ("|a", 1), ("()", 2), ("(a", 1), ("a)", 2), ("*a", 1), ("(|a)", 2), ("a+", 2), ("a.b", 2)],
)
def test_a_pattern_that_makes_no_sense_names_the_place(pattern, at):
    with pytest.raises(VerifierError, match=f"character {at} "):
        formal.language(pattern)


def test_a_pattern_may_be_up_to_a_limit():
    assert formal.language("a" * formal.MOST_PATTERN).holds("a" * formal.MOST_PATTERN)
    with pytest.raises(VerifierError, match="at most"):
        formal.language("a" * (formal.MOST_PATTERN + 1))


@pytest.mark.parametrize("pattern", ["(a*)*b", "(a|a)*b", "((a*)*)*b", "(a|aa)*b", "(" * 290 + "a*" + ")" * 290 + "b"])
def test_patterns_that_make_backtracking_explode_take_linear_time(pattern):
    began = time.process_time()
    assert not formal.language(pattern).holds("a" * 100_000)
    assert time.process_time() - began < 8


def test_letters_outside_the_alphabet_belong_to_nothing():
    found = formal.language("(a|b)*")
    for string in ("c", "aXb", "\ud800", "ａ", "a\n"):
        assert not found.holds(string)


def test_equal_languages_have_equal_fingerprints():
    one, same, other = (formal.language(pattern) for pattern in ("(a|b)*", "(a*b*)*", "(a|b)*a"))
    assert formal.fingerprint(one) == formal.fingerprint(same) != formal.fingerprint(other)


# ---------------------------------------------------------------- rewriting


@settings(deadline=None)
@given(st.text("abc", max_size=12), st.text("abc", min_size=1, max_size=3), st.text("abc", max_size=3))
def test_rewriting_changes_the_leftmost_place_and_nothing_else(string, find, put):
    done = formal.rewritten_once(string, (find, put))
    at = next((at for at in range(len(string)) if string.startswith(find, at)), None)
    assert done == (string if at is None else string[:at] + put + string[at + len(find) :])
    assert is_noop({"find": find, "put": put, "string": string}) == (at is None)
    if find not in put:
        everywhere = formal.rewritten_everywhere(string, (find, "-"))
        assert find not in everywhere


def test_rules_work_on_what_the_one_before_has_left():
    assert formal.rewritten_in_order("ab", [("a", "b"), ("bb", "c"), ("x", "y")]) == "c"
    assert formal.rewritten_in_order("ab", [("bb", "c"), ("a", "b")]) == "bb"


@pytest.mark.parametrize(("string", "rule"), [("ab", ("", "x")), ("a" * 3_000, ("a", "b")), ("a", ("b" * 3_000, "c"))])
def test_rules_without_a_left_side_or_of_great_length_are_errors(string, rule):
    for rewrite in (formal.rewritten_once, formal.rewritten_everywhere):
        with pytest.raises(VerifierError):
            rewrite(string, rule)


@pytest.mark.parametrize("rules", [[], [["a"]], ["ab"], [["a", 1]], [["", "a"]], [["a", "b"]] * 101])
def test_lists_that_are_no_rules_are_errors(rules):
    with pytest.raises(VerifierError):
        verdict("rewriting:apply_all", "x", rules=rules, string="ab")


def test_an_answer_that_would_be_blank_is_an_error_of_the_parameters():
    with pytest.raises(VerifierError, match="blank"):
        verdict("rewriting:leftmost", "x", find="a", put="", string="a")


def test_partial_credit_rises_with_what_is_right():
    scores = [
        verdict("rewriting:leftmost", given, find="q", put="x", string="qabcd").score
        for given in ("zzzzz", "xzzzd", "xabzd", "xabcd")
    ]
    assert scores == sorted(scores)
    assert len(set(scores)) == 4
    assert scores[-1] == 1.0


# ---------------------------------------------------------------- reading an answer


@pytest.mark.parametrize(
    "around", ["{}", " {}\n", '"{}"', "`{}`", "**{}**", "```\n{}\n```", "“{}”", "{}.", '"{}."', "\r\n{}\r\n"]
)
def test_what_wraps_the_whole_answer_is_taken_off(around):
    reply = around.format("xcab")
    found = verdict("rewriting:leftmost", reply, find="ab", put="c", string="xabab")
    assert found.passed is True
    ((start, stop),) = found.spans
    assert reply[start:stop] == "xcab"


@pytest.mark.parametrize(
    "reply", ["It is xcab", "xcab xcab", "xcab, I think", "XCAB", "x c a b", '"xcab', "xcab\nxcab", "xcab!"]
)
def test_nothing_is_read_out_of_a_sentence(reply):
    assert verdict("rewriting:leftmost", reply, find="ab", put="c", string="xabab").passed is False


@settings(deadline=None)
@given(st.text(max_size=30))
def test_every_reading_lies_in_the_reply(reply):
    spans = answer_spans(reply)
    assert all(0 <= start <= stop <= len(reply) for start, stop in spans)
    assert reply.strip() == reply[slice(*spans[0])]


@settings(deadline=None)
@given(st.text("ab", max_size=8), st.text("ab", max_size=8))
def test_nearness_is_one_exactly_for_equal_texts(gold, given_text):
    assert 0 <= nearness(gold, given_text) <= 1
    assert (nearness(gold, given_text) == 1) == (gold == given_text)


@pytest.mark.parametrize(
    ("reply", "outcome"),
    [
        ("7", True),
        ("7.", True),
        ("**7**", True),
        ("07", True),
        ("7.0", False),
        ("٧", False),
        ("seven", False),
        ("9" * 5_000, False),
        ("-7", False),
        ("1,7", False),
    ],
)
def test_numbers_are_whole_and_in_digits(reply, outcome):
    assert verdict("arithmetic:total", reply, numbers=[3, 4]).passed is outcome


def test_a_wrong_number_says_by_how_much():
    found = verdict("arithmetic:total", "1,000", numbers=[3, 4])
    assert (found.passed, found.miss) == (False, 993)
    assert (
        verdict("arithmetic:total", "8", numbers=[3, 4]).score > verdict("arithmetic:total", "80", numbers=[3, 4]).score
    )


def test_very_long_right_numbers_are_judged():
    params = {"start": 10**12, "steps": [["multiply", 10**12]] * 50}
    gold = gold_answer("arithmetic:apply_steps", params)
    assert gold is not None
    assert verdict("arithmetic:apply_steps", gold, **params).passed is True
    assert verdict("arithmetic:apply_steps", gold[:-1] + "1", **params).passed is False


# ---------------------------------------------------------------- labels


LABELS = [["the number is even", "foo"], ["the number is odd", "bar"]]


def label(reply: str, **changes):
    params = {"text": "14", "labels": LABELS, "gold": "the number is even", "style": "neutral", **changes}
    return verdict("label:verbalizer", reply, **params)


def test_a_wrong_label_is_told_from_no_label():
    assert label("foo").passed is True
    assert "the number is odd" in label("bar").reason
    assert "none of the labels" in label("even").reason
    assert label("foo or bar").passed is False


@pytest.mark.parametrize(
    "changes",
    [
        {"labels": [["x", "foo"]]},
        {"labels": [["x", "foo"], ["y", "FOO"]]},
        {"labels": [["x", "foo"], ["x", "bar"]]},
        {"labels": [["x", ""], ["y", "bar"]]},
        {"labels": ["xy", "zw"]},
        {"labels": [[1, 2], [3, 4]]},
        {"gold": "neither"},
    ],
)
def test_labels_that_make_no_sense_are_errors(changes):
    with pytest.raises(VerifierError, match="label:verbalizer"):
        label("foo", **changes)


def test_flipped_labels_say_the_opposite_and_natural_ones_what_they_mean():
    natural, neutral, flipped = (record.checks[0].params for record in verbalizer_records(1, 5))
    assert [params["style"] for params in (natural, neutral, flipped)] == ["natural", "neutral", "flipped"]
    assert [pair[1] for pair in natural["labels"]] == [pair[1] for pair in reversed(flipped["labels"])]
    assert all(word in name for name, word in natural["labels"])
    assert not {word for _, word in neutral["labels"]} & {word for _, word in natural["labels"]}
    assert natural["text"] == neutral["text"] == flipped["text"]


# ---------------------------------------------------------------- all tasks


@each_task
def test_the_wording_states_the_whole_task(kind):
    """What an answer depends on is in the words: no parameter but the gold answer and the style goes unsaid."""
    for seed in range(6):
        params = kind.draw(random.Random(seed), Drawing(""))
        for template in (*kind.phrasings, *kind.heldout_phrasings):
            phrase = kind.phrase(params, template).lower()
            for name, value in params.items():
                if name in ("gold", "style", "task"):
                    continue
                for leaf in leaves(value):
                    said = {leaf.lower(), spelled(int(leaf)) if leaf.isdigit() else leaf}
                    assert any(word in phrase for word in said), (template, leaf)


def leaves(value) -> list[str]:
    return [leaf for entry in value for leaf in leaves(entry)] if isinstance(value, list) else [str(value)]


@each_task
def test_drawn_tasks_have_a_right_answer_that_passes_and_survive_json(kind):
    for seed in range(40):
        params = kind.draw(random.Random(seed), Drawing(""))
        gold = gold_answer(kind.id, params)
        assert gold is not None
        assert kind.verify(kind.validated(json.loads(json.dumps(params))), gold).passed is True
        assert kind.verify(params, "I cannot tell.").passed is False
        if kind.mended:
            assert kind.mended(params, gold).passed is True


@each_task
def test_a_task_is_not_put_beside_another_instruction(kind):
    assert kind.draw(random.Random(1), Drawing("Explain how a lock works.")) is None
    assert "*" in kind.excludes
    assert kind.repair is not None
    params = kind.examples[0].params
    assert kind.verify(params, kind.repair(params, "Something else.")).passed is True


@pytest.mark.parametrize("kind", ["rewriting:leftmost", "membership:regular", "label:verbalizer"])
def test_no_constant_answer_does_well(kind):
    """Right answers are spread: the best constant one is right in at most 60 of 100."""
    golds = [gold_answer(kind, ALL_TYPES[kind].draw(random.Random(seed), Drawing(""))) for seed in range(200)]
    assert max(map(golds.count, golds)) <= 120


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("membership:regular", {"pattern": "(a", "string": "a"}),
        ("membership:regular", {"pattern": "a", "string": "a" * 2_001}),
        ("membership:generate", {"pattern": "(aa)*", "length": 3}),
        ("membership:generate", {"pattern": "a*", "length": 0}),
        ("membership:generate", {"pattern": "a*", "length": 10**6}),
        ("arithmetic:count_items", {"items": [], "letter": "a"}),
        ("arithmetic:count_items", {"items": ["a", 3], "letter": "a"}),
        ("arithmetic:count_items", {"items": ["a"], "letter": "ab"}),
        ("arithmetic:count_letter", {"string": "aa", "letter": "5"}),
        ("arithmetic:total", {"numbers": [True]}),
        ("arithmetic:total", {"numbers": [10**13]}),
        ("arithmetic:total", {"numbers": ["3"]}),
        ("arithmetic:apply_steps", {"start": 1, "steps": [["divide", 2]]}),
        ("arithmetic:apply_steps", {"start": 1, "steps": []}),
        ("arithmetic:apply_steps", {"start": 10**13, "steps": [["add", 2]]}),
        ("sequence:chain", {"steps": [], "gold": [], "task": "math"}),
        ("sequence:chain", {"steps": ["x"], "gold": [3], "task": "math"}),
    ],
)
def test_parameters_that_make_no_sense_are_errors(kind, params):
    with pytest.raises(VerifierError):
        verdict(kind, "x", **params)


def test_a_generated_string_is_told_what_it_lacks():
    found = verdict("membership:generate", "abab", pattern="a(ba)*", length=5)
    assert (found.passed, found.miss) == (False, -1)
    assert "does not match" in found.reason
    near = verdict("membership:generate", "aba", pattern="a(ba)*", length=5)
    assert near.score > found.score > 0.0
    assert verdict("membership:generate", "xyzxyz", pattern="a(ba)*", length=5).score == 0.0


@pytest.mark.parametrize("reply", ["a" * 300_000, " " * 300_000 + "a", '"' * 300_000, "." * 300_000, "1," * 150_000])
def test_a_long_reply_is_judged_wrong_in_linear_time(reply):
    began = time.process_time()
    for kind in TYPES:
        assert kind.verify(kind.examples[0].params, reply).passed is False
    assert time.process_time() - began < 20


# ---------------------------------------------------------------- held-out instances


def test_held_out_rules_are_never_trained_on():
    found = rewriting_split(rules=30, examples_per_rule=4, heldout_rules=10, seed=3)
    assert (len(found.training), len(found.heldout)) == (120, 40)
    trained, held = ({record.checks[0].params["find"] for record in part} for part in (found.training, found.heldout))
    assert (len(trained), len(held)) == (30, 10)
    assert not trained & held
    noops = [record for record in found.training if is_noop(record.checks[0].params)]
    assert len(noops) == 30
    assert found == rewriting_split(rules=30, examples_per_rule=4, heldout_rules=10, seed=3)
    assert found.training != rewriting_split(rules=30, examples_per_rule=4, heldout_rules=10, seed=4).training


def test_held_out_languages_are_new_whatever_their_pattern():
    found = membership_split(languages=12, strings_per_language=5, heldout_languages=6, seed=1)
    prints = [
        {formal.fingerprint(formal.language(record.checks[0].params["pattern"])) for record in part}
        for part in (found.training, found.heldout)
    ]
    assert (len(prints[0]), len(prints[1])) == (12, 6)
    assert not prints[0] & prints[1]
    answers = [gold_answer("membership:regular", record.checks[0].params) for record in found.training]
    assert 0.25 < answers.count("True") / len(answers) < 0.75


def test_more_rules_than_there_are_is_an_error():
    with pytest.raises(VerifierError, match="different rules"):
        rewriting_split(rules=8_000, examples_per_rule=1, heldout_rules=1, seed=1)


def test_records_of_tasks_ask_for_the_task_and_are_scored_by_their_check():
    records = task_records([kind.id for kind in TYPES], 33, seed=2)
    assert len({record.id for record in records}) == 33
    assert {record.checks[0].kind for record in records} == {kind.id for kind in TYPES}
    verifier = ConstraintVerifier(ALL_TYPES)
    for record in records:
        check = record.checks[0]
        assert record.instruction == check.phrase
        assert verifier.verify(record, gold_answer(check.kind, check.params) or "").passed is True
    with pytest.raises(VerifierError, match="task types"):
        task_records(["length_constraints:number_words"], 3, seed=1)


def test_held_out_phrasings_are_used_for_held_out_records():
    found = rewriting_split(rules=4, examples_per_rule=3, heldout_rules=4, seed=3)
    kind = ALL_TYPES["rewriting:leftmost"]
    for records, templates in ((found.training, kind.phrasings), (found.heldout, kind.heldout_phrasings)):
        for record in records:
            assert record.instruction in {kind.phrase(record.checks[0].params, template) for template in templates}


# ---------------------------------------------------------------- measures


def rewriting(find: str) -> Check:
    return Check("rewriting:leftmost", {"find": find, "put": "x", "string": "abc"})


def test_scores_are_split_by_whether_the_rule_applies():
    checks = [rewriting("a"), rewriting("b"), rewriting("z")]
    assert share_by(checks, [True, False, None], by_operation) == {"operation": 0.5, "no-op": None}


def test_a_language_is_learnt_at_nine_tenths_of_its_strings():
    checks = [Check("membership:regular", {"pattern": pattern}) for pattern in ("a*", "b*") for _ in range(10)]
    assert learnt_share(checks, [True] * 9 + [False] + [True] * 8 + [False] * 2) == 0.5
    assert learnt_share(checks, [None] * 20) is None


def test_prior_reliance_is_the_gap_between_natural_and_flipped_labels():
    checks = [Check("label:verbalizer", {"style": style}) for style in ("natural", "natural", "flipped", "flipped")]
    assert prior_reliance(checks, [True, True, True, False]) == 0.5
    assert prior_reliance(checks[:2], [True, True]) is None
