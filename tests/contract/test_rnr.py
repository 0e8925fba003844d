"""RNR: roles as they are said, rules in force in the system prompt, and rows only where every rule is kept."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from adhere.core.model import Ask, Reply
from adhere.core.record import Record, assistant, system, user
from adhere.core.step import Dropped, divided
from adhere.evals.lab import Lab
from adhere.methods.contract import check_method, check_proof, sample_records
from adhere.methods.synth import rnr
from adhere.methods.synth.rnr import ROLES, Settings, inside, role_in, synth, with_rules
from adhere.models.scripted import ScriptedModel, tiny_weights, untuned
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.roles import RolesVerifier, role_rule, standings
from adhere.verify.score import judge


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    check_method(rnr)
    model = ScriptedModel(weights=tiny_weights(tmp_path / "weights"))
    check_proof(rnr, Lab(model, tmp_path / "models", tuner=untuned, smoke=True))


@pytest.mark.parametrize(
    ("said", "role"),
    [
        ("a patient gardening teacher", "a patient gardening teacher"),
        ("**Experienced cook.**", "an experienced cook"),
        ("Role: Travel guide\nBecause ...", "a travel guide"), ("", ""), ("1. A cook <|im_end|>", ""),
        ("It would be best to have somebody who knows about all of it", ""),
    ],
)  # fmt: skip
def test_roles_are_read_or_refused(said: str, role: str) -> None:
    assert role_in(Reply(said)) == role
    assert role_in(Reply(said, "length")) == ""


def test_every_rule_stands_in_the_system_prompt_and_is_in_force() -> None:
    for number in range(30):
        made = with_rules(sample_records()[number % 6], "a cook", 1 + number % 3, random.Random(number))
        if isinstance(made, Dropped):
            continue
        assert [one.role for one in made.messages] == ["system", "user"]
        assert len(made.checks) == 1 + number % 3
        assert all(inside(check).phrase in made.messages[0].text for check in made.checks)
        found = standings([role_rule(check) for check in made.checks], made.prompt)
        assert {one.status for one in found} == {"in force"}
        assert {one.rule.by for one in found} == {"system"}


def test_kept_rows_pass_and_rejected_replies_do_not() -> None:
    kept, dropped = divided(synth(sample_records(8), ScriptedModel(), Settings(samples=3, plain_share=0.0), 2))
    verifier = RolesVerifier(ALL_TYPES)
    assert len(kept) + len(dropped) == 8
    assert kept
    for row in kept:
        assert verifier.verify(row, row.reply or "").passed is True
        if row.rejected is not None:
            assert judge([inside(one) for one in row.checks], row.rejected, ALL_TYPES).prompt_passed() is not True


def test_a_role_that_cannot_be_read_comes_from_the_list() -> None:
    def script(ask: Ask) -> str:
        return "???" if len(ask.messages) == 1 else "Tea is warm and it is made of leaves from a hill."

    found = list(synth(sample_records(4), ScriptedModel(script), Settings(plain_share=0.0), 0))
    rows = [one if isinstance(one, Record) else one.record for one in found]
    assert all(row.notes.get("role", ROLES[0]) in ROLES for row in rows)


def test_plain_rows_stay_as_they_are_and_system_prompts_are_left_alone() -> None:
    plain = Record((user("Tell me about tea."), assistant("It is warm.")))
    (made,) = synth([plain], ScriptedModel(), Settings(plain_share=1.0), 0)
    assert isinstance(made, Record)
    assert made.messages == plain.messages
    (gone,) = synth([Record((system("Be kind."), user("Tell me.")))], ScriptedModel(), Settings(), 0)
    assert isinstance(gone, Dropped)
    assert gone.reason.startswith("turns")
