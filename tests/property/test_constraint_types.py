"""What every constraint type promises, over all types that the rooms hold."""

from __future__ import annotations

import random
import re
import string
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.core.errors import VerifierError
from adhere.core.record import Check, Record, user
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.conflicts import compatible
from adhere.verify.constraint import ConstraintType, Drawing
from adhere.verify.repair import correct
from adhere.verify.score import verdict_of

INSTRUCTIONS = (
    "Explain how a bicycle stays upright while it moves.",
    "Write a short letter to a neighbour about a noisy party.",
    "List reasons to visit the coast in winter.",
    "Say hi.",
    "",
)
ORDINARY = (
    "A bicycle stays upright because its front wheel steers into a fall. The rider helps by shifting weight. "
    "At speed, small corrections are enough, and the frame follows. Heavy bikes react more slowly, but the rule "
    "holds.\n\nTry it on an empty street first. Keep your eyes on the road ahead. Do not brake hard in a curve.",
    "Here are some reasons to visit the coast:\n\n1. The beaches are empty and quiet.\n2. Hotels cost less than in "
    "summer.\n3. Storms are a sight worth seeing.\n4. Seafood tastes best when it is cold outside.\n\n"
    "Bring a warm coat.",
    "Dear neighbour, I hope you are well. Last night the music from your party kept us awake until three. We know that "
    "birthdays are special, and we like a good party too. Next time, could you please turn it down after midnight? "
    "A short note beforehand would help as well. Thank you for understanding. Best wishes from next door.",
)


TYPES = ALL_TYPES
each_type = pytest.mark.parametrize("kind", TYPES.values(), ids=TYPES.keys())


def draws(kind: ConstraintType, number: int = 60) -> list[tuple[Drawing, dict[str, Any]]]:
    found = []
    for seed in range(number):
        drawing = Drawing(INSTRUCTIONS[seed % len(INSTRUCTIONS)], (20, 60, 120, 300)[seed % 4])
        params = kind.draw(random.Random(seed), drawing)
        if params is not None:
            found.append((drawing, params))
    return found


@each_type
def test_gold_passes_and_near_misses_fail(kind: ConstraintType) -> None:
    assert kind.examples
    for example in kind.examples:
        params = kind.validated(example.params)
        gold = kind.verify(params, example.gold)
        assert gold.passed, gold.reason
        assert gold.score == 1.0
        assert len(example.near_misses) >= 2
        for miss in example.near_misses:
            verdict = kind.verify(params, miss)
            assert verdict.passed is False, f"{miss!r} passes: {verdict.reason}"
            assert verdict.reason
            assert 0 <= verdict.score < 1


@each_type
def test_spans_lie_in_the_reply(kind: ConstraintType) -> None:
    for example in kind.examples:
        for reply in (example.gold, *example.near_misses):
            spans = kind.verify(kind.validated(example.params), reply).spans
            assert all(0 <= start <= stop <= len(reply) for start, stop in spans)


@each_type
def test_phrasings_are_many_disjoint_and_filled(kind: ConstraintType) -> None:
    assert len(set(kind.phrasings)) >= 12
    assert len(set(kind.heldout_phrasings)) >= 4
    assert not set(kind.phrasings) & set(kind.heldout_phrasings)
    cases = [params for _, params in draws(kind, 12)] or [example.params for example in kind.examples]
    for params in cases:
        for template in (*kind.phrasings, *kind.heldout_phrasings):
            phrase = kind.phrase(params, template)
            assert re.search(r"\{[a-z_]*\}", phrase) is None, phrase
            assert phrase.strip() == phrase != ""
            assert "  " not in phrase


@each_type
def test_parameters_change_the_words(kind: ConstraintType) -> None:
    """Each phrasing names what it asks for; only a prompt to repeat is the prompt itself and can go unnamed."""
    if not kind.parameters or kind.id == "combination:repeat_prompt":
        return
    for template in (*kind.phrasings, *kind.heldout_phrasings):
        assert any(name for _, name, _, _ in string.Formatter().parse(template)), template


@each_type
def test_draws_are_valid_and_settled_by_the_seed(kind: ConstraintType) -> None:
    for seed in range(40):
        drawing = Drawing(INSTRUCTIONS[seed % len(INSTRUCTIONS)], 20 + 10 * seed)
        first = kind.draw(random.Random(seed), drawing)
        assert first == kind.draw(random.Random(seed), drawing)
        if first is not None:
            assert dict(kind.validated(first)) == first
            assert kind.verify(first, ORDINARY[0]).passed is not None
            check = kind.write(random.Random(seed), first)
            assert check == kind.write(random.Random(seed), first)


@each_type
def test_draws_vary(kind: ConstraintType) -> None:
    found = [str(params) for _, params in draws(kind, 200)]
    if kind.parameters and found:
        assert len(set(found)) >= min(2, len(found) // 4)


@each_type
def test_bad_parameters_are_refused(kind: ConstraintType) -> None:
    with pytest.raises(VerifierError):
        kind.validated({"no_such_parameter": 1})
    for example in kind.examples:
        for name in example.params:
            with pytest.raises(VerifierError):
                kind.validated({key: value for key, value in example.params.items() if key != name})
            with pytest.raises(VerifierError):
                kind.validated({**example.params, name: {"a": "table"}})


# A share of repaired replies that pass; where code cannot repair it says None, which is counted apart.
@each_type
def test_repairs_of_ordinary_replies_pass(kind: ConstraintType) -> None:
    if kind.repair is None:
        return
    tried = good = 0
    for _, params in draws(kind, 40):
        for reply in ORDINARY:
            fixed = kind.repair(params, reply)
            if fixed is None:
                continue
            tried += 1
            good += bool(fixed.strip() and kind.verify(params, fixed).passed)
    assert good >= 0.9 * tried, f"{good} of {tried} repairs pass"


@each_type
def test_a_passing_reply_survives_repair(kind: ConstraintType) -> None:
    if kind.repair is None:
        return
    for example in kind.examples:
        fixed = kind.repair(kind.validated(example.params), example.gold)
        assert fixed is None or kind.verify(kind.validated(example.params), fixed).passed


HOSTILE = st.text(
    alphabet=st.sampled_from("aZé ß.,!?;:'\"*#<>[](){}-_\n\r\t\0\x1b\u202e\u200d\u05d0\u0627\U0001f600\u4e2d19$`\\"),
    max_size=120,
)


@each_type
@settings(max_examples=25, deadline=None, derandomize=True)
@given(reply=HOSTILE)
def test_hostile_text_never_breaks_a_type(kind: ConstraintType, reply: str) -> None:
    if not reply.strip():
        return
    for example in kind.examples:
        params = kind.validated(example.params)
        verdict = kind.verify(params, reply)
        assert verdict == kind.verify(params, reply)
        assert 0 <= verdict.score <= 1
        assert (verdict.score == 1.0) == (verdict.passed is True)
        if kind.repair is not None:
            fixed = kind.repair(params, reply)
            assert fixed is None or isinstance(fixed, str)


HOSTILE_PATTERNS = {
    "letters": "a",
    "lines": "word\n",
    "marks": ". ! ? ",
    "quotes": '"',
    "spaces after a mark": "Mr." + " " * 999,
    "asterisks": "* ",
    "initials": "A. ",
    "brackets": "[<",
    "blank lines": "x\n\n",
    "right to left": "\u202e\u05d0 \u0627. ",
    "emoji": "\U0001f600 ",
    "control": "\0\x1b[2J\r\n",
    "capitals": "ABC, I'M ",
}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["letters", "marks", "spaces after a mark", "asterisks", "blank lines"])
@each_type
def test_a_long_reply_of_anything_comes_through(kind: ConstraintType, name: str) -> None:
    """A quadratic step on 300,000 characters takes hours, so that coming back at all is the test of linear time."""
    text = HOSTILE_PATTERNS[name]
    reply = text * (300_000 // len(text))
    params = kind.validated(kind.examples[0].params)
    assert kind.verify(params, reply).passed is not None
    if kind.repair is not None:
        fixed = kind.repair(params, reply)
        assert fixed is None or isinstance(fixed, str)


@each_type
def test_sixty_kilobytes_of_anything_come_through(kind: ConstraintType) -> None:
    params = kind.validated(kind.examples[0].params)
    for text in HOSTILE_PATTERNS.values():
        reply = text * (60_000 // len(text))
        assert kind.verify(params, reply).passed is not None
        if kind.repair is not None:
            kind.repair(params, reply)


@each_type
def test_white_space_around_a_reply_changes_no_verdict(kind: ConstraintType) -> None:
    for example in kind.examples:
        params = kind.validated(example.params)
        for reply in (example.gold, *example.near_misses):
            before = kind.verify(params, reply).passed
            for edited in (reply + "\n", reply + "  \n\n", reply.rstrip()):
                if edited.strip():
                    assert kind.verify(params, edited).passed == before, repr(edited)


@pytest.mark.parametrize("seed", range(12))
def test_corrections_leave_what_held_as_it_was(seed: int) -> None:
    """Two to four compatible checks of any types: after repair those that passed still pass, and no fewer do."""
    rng = random.Random(seed)
    kinds = [kind for kind in TYPES.values() if kind.repair is not None]
    done = 0
    for _ in range(60):
        drawing = Drawing(rng.choice(INSTRUCTIONS[:3]), 120)
        checks: list[Check] = []
        for kind in rng.sample(kinds, 4):
            params = kind.draw(rng, drawing)
            if params is not None and compatible([*checks, kind.write(rng, params)]):
                checks.append(kind.write(rng, params))
        if len(checks) < 2:
            continue
        reply = rng.choice(ORDINARY)
        held = [check for check in checks if verdict_of(check, reply, TYPES).passed]
        record = Record((user(drawing.instruction),), tuple(checks))
        corrected = correct(record, reply, TYPES)
        for check in held:
            assert verdict_of(check, corrected.reply, TYPES).passed, f"{check.kind} was broken"
        for check in checks:
            assert bool(verdict_of(check, corrected.reply, TYPES).passed) == (check not in corrected.failing)
        done += 1
    assert done >= 20
