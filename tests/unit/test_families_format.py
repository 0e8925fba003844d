"""The families content, formats, combination, startend and our held-out ones."""

import random
import re

import pytest

from adhere.core.errors import VerifierError
from adhere.verify.constraint import ConstraintType, Drawing
from adhere.verify.families import combination, content, formats, startend, unseen

TYPES = {kind.id: kind for module in (content, formats, combination, startend, unseen) for kind in module.TYPES}
HOSTILE = ("\n" * 60_000, "[" * 60_000, "<<" * 40_000, "*\n" * 40_000, "{" * 60_000, " " * 60_000, "\x00\ud800 a")
REPLY = (
    "Plan the garden before spring. Choose a sunny place for the beds. Good soil matters more than anything else.\n\n"
    "Water the young plants in the evening. Pull the weeds while they are small. Enjoy the harvest when it comes."
)

every_type = pytest.mark.parametrize("kind", TYPES.values(), ids=list(TYPES))


@every_type
def test_gold_passes_and_near_misses_fail_with_a_reason(kind: ConstraintType) -> None:
    for example in kind.examples:
        params = kind.validated(example.params)
        assert kind.verify(params, example.gold).passed is True
        assert len(example.near_misses) >= 2
        for miss in example.near_misses:
            verdict = kind.verify(params, miss)
            assert verdict.passed is False, miss
            assert verdict.reason
            assert 0.0 <= verdict.score < 1.0


@every_type
def test_every_phrasing_can_be_written_and_names_what_it_asks(kind: ConstraintType) -> None:
    rng = random.Random(1)
    params = kind.draw(rng, Drawing("Is it wise to plant trees in autumn?"))
    assert params is not None
    kind.validated(params)
    assert len(set(kind.phrasings)) >= 12
    assert len(set(kind.heldout_phrasings)) >= 4
    assert not set(kind.phrasings) & set(kind.heldout_phrasings)
    for template in (*kind.phrasings, *kind.heldout_phrasings):
        said = kind.phrase(params, template)
        assert said[0].isupper() or said[0] in "\"'*[<(", said
        assert "{n}" not in said
        for value in params.values():
            if isinstance(value, str) and "{" in template:
                assert value in said or kind.id == "combination:repeat_prompt"


@every_type
def test_heldout_phrasings_do_not_open_like_training_ones(kind: ConstraintType) -> None:
    def opening(template: str) -> str:
        return " ".join(re.findall(r"\w+", template.lower())[:3])

    assert not {opening(t) for t in kind.phrasings} & {opening(t) for t in kind.heldout_phrasings}


@every_type
def test_drawn_constraints_are_varied_and_repaired_replies_pass(kind: ConstraintType) -> None:
    repaired = 0
    for seed in range(30):
        params = kind.draw(random.Random(seed), Drawing("Is it wise to plant trees in autumn?", 60))
        if params is None or kind.repair is None:
            continue
        done = kind.repair(params, REPLY)
        if done is not None:
            assert kind.verify(params, done).passed, (params, done)
            repaired += 1
    assert kind.repair is None or kind.id == "combination:two_responses" or repaired >= 20


@every_type
@pytest.mark.parametrize("reply", HOSTILE, ids=lambda text: repr(text[:4]))
def test_hostile_replies_are_judged_and_repair_does_not_crash(kind: ConstraintType, reply: str) -> None:
    params = kind.validated(kind.examples[0].params)
    assert kind.verify(params, reply).passed in (True, False)
    if kind.repair and len(reply) < 100:
        kind.repair(params, reply)


def test_fixed_answers_are_drawn_only_for_closed_questions() -> None:
    draw = TYPES["detectable_format:constrained_response"].draw
    rng = random.Random(0)
    assert draw(rng, Drawing("Is coffee good for you?")) == {}
    assert draw(rng, Drawing("Write a poem about rain.")) is None
    assert draw(rng, Drawing("Can you write a poem?")) is None
    assert draw(rng, Drawing("What is rain?")) is None


def test_bullet_repair_keeps_the_lead_and_cuts_surplus_items() -> None:
    kind = TYPES["detectable_format:number_bullet_lists"]
    done = kind.repair({"num_bullets": 2}, "Take along:\n\n1. a tent\n2. a lamp\n3. a map\n\nHave fun.")  # type: ignore[misc]
    assert done == "Take along:\n\n* a tent\n* a lamp\n\nHave fun."


def test_two_responses_are_not_made_of_one() -> None:
    repair = TYPES["combination:two_responses"].repair
    assert repair is not None
    assert repair({}, "Call it Harbour, since it is where ideas come home.") is None
    assert (
        repair({}, "Response 1: Harbour.\nResponse 2: Lantern.")
        == "Response 1: Harbour.\n\n******\n\nResponse 2: Lantern."
    )


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        ("Yes, it is.", "yes"),
        ("No, never.", "no"),
        ("It depends.", "maybe"),
        ("my answer is NO", "no"),
        ("Hm.", "maybe"),
    ],
)
def test_fixed_answer_follows_the_leaning_of_the_reply(reply: str, wanted: str) -> None:
    repair = TYPES["detectable_format:constrained_response"].repair
    assert repair is not None
    assert repair({}, reply) == f"My answer is {wanted}."


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("detectable_content:postscript", {"postscript_marker": " "}),
        ("detectable_format:multiple_sections", {"section_spliter": "", "num_sections": 2}),
        ("startend:end_checker", {"end_phrase": "  "}),
        ("combination:repeat_prompt", {"prompt_to_repeat": ""}),
        ("lipogram:avoid_letter", {"letter": "ab"}),
        ("opening:first_word", {"first_word": "two words"}),
    ],
)
def test_senseless_parameters_are_an_error(kind: str, params: dict[str, object]) -> None:
    with pytest.raises(VerifierError):
        TYPES[kind].verify(params, "A reply.")


def test_markers_from_data_files_are_not_patterns() -> None:
    kind = TYPES["detectable_content:postscript"]
    assert kind.verify({"postscript_marker": "(a+)+$"}, "a" * 50 + "b").passed is False
    assert kind.verify({"postscript_marker": "N.B."}, "Done.\nN.B. Bring a coat.").passed is True


@pytest.mark.parametrize(
    ("reply", "count"),
    [("**a**", 0), ("*a*", 1), ("---", 1), ("*\n- x", 2), ("*", 0), ("\n\n  * a\n\n\n- b", 2), ("+ a\n• b\n1. c", 0)],
)
def test_bullet_edge_cases(reply: str, count: int) -> None:
    kind = TYPES["detectable_format:number_bullet_lists"]
    assert kind.verify({"num_bullets": count}, reply).passed is True


@pytest.mark.parametrize(
    ("reply", "count"), [("**a**", 1), ("***a***", 2), ("* x with *y*", 1), ("*a**b*", 2), ("* *", 0), ("*a\nb*", 0)]
)
def test_highlight_edge_cases(reply: str, count: int) -> None:
    verify = TYPES["detectable_format:number_highlighted_sections"].verify
    assert verify({"num_highlights": count}, reply).passed is True
    assert verify({"num_highlights": count + 1}, reply).passed is False
