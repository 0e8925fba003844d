"""Sequences: the target has every step in order, bad paraphrases are refused, and the metric is by rule."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from adhere.core.model import Ask, Reply
from adhere.core.record import Record, assistant, user
from adhere.core.step import Dropped
from adhere.evals.lab import Lab
from adhere.methods.contract import check_method, check_proof
from adhere.methods.synth import sequential_instruction_tuning as sit
from adhere.methods.synth.sequential_instruction_tuning import Settings, opening, sequence, steps_done, synth
from adhere.models.scripted import ScriptedModel, tiny_weights, untuned

ROW = Record((user("Tell me about tea."), assistant("Tea is hot. It comes from leaves.")))
ALWAYS = Settings(plain_share=0.0, tasks=("paraphrase",))


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    check_method(sit)
    model = ScriptedModel(weights=tiny_weights(tmp_path / "weights"))
    check_proof(sit, Lab(model, tmp_path / "models", tuner=untuned, smoke=True))


def test_the_target_shows_the_result_of_every_step_in_order() -> None:
    made = sequence(ROW, ["repeat", "count", "answer", "quote"], "", random.Random(0))
    assert made.reply == (
        "1. Repeat:\nTell me about tea.\n\n2. Words:\n4\n\n3. Answer:\nTea is hot. It comes from leaves.\n\n"
        "4. Quote:\nTea is hot."
    )
    assert made.instruction.startswith("First ")
    assert made.instruction.count(", then ") == 3
    assert made.instruction.endswith("\n\nTell me about tea.")


def test_a_plain_share_of_one_changes_no_row_and_asks_nothing() -> None:
    model = ScriptedModel()
    (made,) = synth([ROW], model, Settings(plain_share=1.0), 0)
    assert isinstance(made, Record)
    assert (made.messages, made.notes["steps"], model.calls) == (ROW.messages, ["answer"], 0)


@pytest.mark.parametrize(
    ("said", "reason"),
    [("tell me about TEA", "paraphrase"), ("", "guard: empty"), ("What can you say about the drink tea?", "")],
)
def test_a_paraphrase_has_to_be_other_words(said: str, reason: str) -> None:
    (made,) = synth([ROW], ScriptedModel(lambda ask: said), ALWAYS, 0)
    assert isinstance(made, Dropped) == bool(reason)
    if isinstance(made, Dropped):
        assert made.reason.startswith(reason)
    else:
        assert f"1. Paraphrase:\n{said}" in (made.reply or "")


def test_failed_and_cut_paraphrases_drop_the_row_alone() -> None:
    def script(ask: Ask) -> str | Reply:
        return Reply("half of", "length") if "tea" in ask.messages[-1].text else "Please speak about coffee now."

    other = Record((user("Tell me of coffee."), assistant("It is black.")))
    kinds = [type(one) for one in synth([ROW, other, Record((user("Say."),))], ScriptedModel(script), ALWAYS, 0)]
    assert kinds == [Dropped, Record, Dropped]


def test_steps_count_only_in_their_order() -> None:
    test = Record((user("x"),), notes={"steps": ["repeat", "capitals", "answer"], "request": "Tell me about tea."})
    full = "Tell me about tea.\nTELL ME ABOUT TEA.\nTea is a hot drink."
    assert steps_done(test, Reply(full)) == 1.0
    assert steps_done(test, Reply("TELL ME ABOUT TEA. Tell me about tea. Tea is hot and good.")) == pytest.approx(2 / 3)
    assert steps_done(test, Reply("Tea is a hot drink.")) == pytest.approx(1 / 3)
    assert steps_done(test, Reply("")) == 0.0


@pytest.mark.parametrize(
    ("said", "done"),
    [
        ("1. Repeat:\n\n2. Answer:\n", 0), ("1. Repeat:\nTell me about tea.\n\n2. Answer:", 0),
        ("**1. Capital letters:**\nTELL ME ABOUT TEA.", 0), ("Answer:\nIt is\n3. Quote:", 0), ("tea tea " * 9, 0),
        ("First answer the request below.", 0), ("2. Answer:\nTell me about tea. It is hot.", 1), ("It is hot.", 1),
    ],
)  # fmt: skip
def test_headings_the_prompt_and_loops_are_no_answer(said: str, done: int) -> None:
    asked = "First answer the request below.\n\nTell me about tea."
    test = Record((user(asked),), notes={"steps": ["answer"], "request": "Tell me about tea."})
    assert steps_done(test, Reply(said)) == done


def test_the_opening_names_the_steps() -> None:
    assert opening(["answer"], random.Random(0)) == "First answer the request below."


def test_the_arms_of_the_experiment_are_rows_of_the_same_parents(tmp_path: Path, given_to_arms: list[Any]) -> None:
    sit.prove(Lab(ScriptedModel(), tmp_path))
    (plain, made), tests = given_to_arms[:2]
    assert [one.id for one in plain] == [one.parents[0] for one in made]
    trained = {tuple(one.notes["steps"]) for one in made}
    assert not trained & {tuple(one.notes["steps"]) for one in tests}
