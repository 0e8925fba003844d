"""Chains: outputs feed the next instruction, the format is that of the released data, and bad links end a chain."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from adhere.core.model import Ask, Reply
from adhere.core.record import Record, assistant, user
from adhere.core.step import Dropped, divided
from adhere.evals.lab import Lab
from adhere.methods.contract import check_method, check_proof
from adhere.methods.synth import chain_of_instructions
from adhere.methods.synth.chain_of_instructions import TASKS, Settings, _steps, chained_prompt, final_output, synth
from adhere.models.scripted import ScriptedModel, tiny_weights, untuned

REVERSE = Record((user("Write the words in reverse order.\n\ntea ant bee"), assistant("bee ant tea")))
TWICE = Record((user("Write every word twice.\n\nfog sun"), assistant("fog fog sun sun")))


KNOWN = {**TASKS, "Write the words in reverse order.": lambda found: found[::-1]}


def able(ask: Ask) -> str:
    instruction, _, given = ask.messages[-1].text.partition("\n\n")
    return " ".join(KNOWN[instruction](given.split())) if instruction in KNOWN else "Yes, it can."


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    check_method(chain_of_instructions)
    model = ScriptedModel(weights=tiny_weights(tmp_path / "weights"))
    check_proof(chain_of_instructions, Lab(model, tmp_path / "models", tuner=untuned, smoke=True))


def test_the_first_output_is_the_second_input_in_the_format_of_the_data() -> None:
    kept, _ = divided(synth([REVERSE, TWICE], ScriptedModel(able), Settings(count=2), 0))
    made = next(one for one in kept if one.notes["instructions"][0].startswith("Write the words"))
    assert made.instruction == "Write the words in reverse order. and then write every word twice.\n\ntea ant bee"
    assert made.reply == "Task 1 output and task 2 input: bee ant tea\nTask 2 output: bee bee ant ant tea tea"
    assert set(made.parents) == {REVERSE.id, TWICE.id}


def test_the_steps_of_a_chain_are_rows_of_their_own() -> None:
    kept, _ = divided(synth([REVERSE, TWICE], ScriptedModel(able), Settings(count=2), 0))
    made = next(one for one in kept if one.notes["instructions"][0].startswith("Write the words"))
    told = [(one.instruction, one.reply) for one in _steps(made)]
    assert told == [
        ("Write the words in reverse order.\n\ntea ant bee", "bee ant tea"),
        ("Write every word twice.\n\nbee ant tea", "bee bee ant ant tea tea"),
    ]


def test_chains_of_three_never_use_an_instruction_twice() -> None:
    third = Record((user("Leave out the first word.\n\nred green"), assistant("green is left")))
    kept, _ = divided(synth([REVERSE, TWICE, third], ScriptedModel(able), Settings(count=6, steps=3), 1))
    assert kept
    assert all(len(set(one.notes["instructions"])) == 3 == len(one.notes["outputs"]) for one in kept)
    assert all("Task 2 output and task 3 input: " in (one.reply or "") for one in kept)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        (lambda ask: "No." if "Answer Yes" in ask.messages[-1].text else able(ask), "not composable"),
        (lambda ask: "Yes" if "Answer Yes" in ask.messages[-1].text else "bee  ant tea", "copy"),
        (lambda ask: "Yes" if "Answer Yes" in ask.messages[-1].text else "", "guard"),
        (lambda ask: "Yes" if "Answer Yes" in ask.messages[-1].text else Reply("a b", "length"), "not answered"),
    ],
)
def test_bad_links_end_the_chain_with_the_reason(script: object, reason: str) -> None:
    rows = [REVERSE, Record((user("Sort these.\n\nx y"), assistant("x")))]  # the second one's output is a label
    found = list(synth(rows, ScriptedModel(script), Settings(count=1), 0))  # type: ignore[arg-type]
    assert [one.reason.partition(":")[0] for one in found if isinstance(one, Dropped)] == [reason]


def test_rows_without_reply_and_lone_instructions_give_no_chain() -> None:
    found = list(synth([REVERSE, Record((user("Say."),))], ScriptedModel(able), Settings(count=1), 0))
    assert [one.reason.partition(":")[0] for one in found if isinstance(one, Dropped)] == ["no reply", "alone"]


def test_long_instructions_are_shortened_where_the_model_can() -> None:
    long = Record((user("Please " + "very " * 30 + "kindly sort.\n\nb a"), assistant("a b")))
    kept, _ = divided(
        synth(
            [REVERSE, long],
            ScriptedModel(
                lambda ask: "Sort the words." if "one short sentence" in ask.messages[-1].text else able(ask)
            ),
            Settings(count=1, ask_composable=False),
            0,
        )
    )
    assert all("Sort the words." in one.notes["instructions"] for one in kept)


@pytest.mark.parametrize(
    ("text", "last"),
    [("Task 1 output and task 2 input: a\nTask 2 output: b c", "b c"), ("b c", "b c"), ("", ""),
     ("Task 1 output and task 2 input: a", "a")],
)  # fmt: skip
def test_the_final_output_is_what_the_metric_looks_at(text: str, last: str) -> None:
    assert final_output(text) == last
    assert chained_prompt(["Do a.", "Then b."], "") == "Do a. and then then b."


def test_the_experiment_asks_for_pairs_and_words_of_no_row(tmp_path: Path, given_to_arms: list[Any]) -> None:
    chain_of_instructions.prove(Lab(ScriptedModel(), tmp_path))
    (singles, made), tests = given_to_arms[:2]
    assert (len(singles), len(made)) == (240, 120)  # both steps of each chain
    trained = {word for one in (*singles, *made) for word in one.instruction.partition("\n\n")[2].split()}
    assert not trained & {word for one in tests for word in one.instruction.partition("\n\n")[2].split()}
    assert len({one.notes["pair"] for one in tests}) == 10
    orders = [one.notes["instructions"] for one in made]
    assert not {" ".join(one) for told in orders for one in (told, told[::-1])} & {one.notes["pair"] for one in tests}
    assert all(one.notes["gold"] != one.instruction.partition("\n\n")[2] for one in tests)  # an echo is never right
