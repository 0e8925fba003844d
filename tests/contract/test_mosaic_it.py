"""Mosaics: the target follows from the meta-instruction, single rows stay whole, and the proof's metric counts tags."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from adhere.core.model import Reply
from adhere.core.record import Record, assistant, user
from adhere.core.step import Dropped, divided
from adhere.evals.lab import Lab
from adhere.methods.contract import check_method, check_proof
from adhere.methods.synth import mosaic_it
from adhere.methods.synth.mosaic_it import MASKS, ORDERS, Settings, both_used, joined, synth
from adhere.models.scripted import ScriptedModel, tiny_weights, untuned

SAID = ["Name a long red fruit of the summer.", "b small", "A third of medium size", "Zz top"]
ROWS = [Record((user(text), assistant(f"reply {at}"))) for at, text in enumerate(SAID)]


def test_it_keeps_the_contract(tmp_path: Path) -> None:
    check_method(mosaic_it)
    model = ScriptedModel(weights=tiny_weights(tmp_path / "weights"))
    check_proof(mosaic_it, Lab(model, tmp_path / "models", tuner=untuned, smoke=True))


@pytest.mark.parametrize(
    ("at", "order"),
    [(1, [3, 2, 1, 0]), (2, [2, 1, 0, 3]), (3, [3, 0, 1, 2]), (4, [1, 3, 2, 0]), (5, [0, 2, 1, 3]), (8, [0, 2, 1, 3]),
     (9, [1, 3, 0, 2])],
)  # fmt: skip
def test_orders_are_those_that_the_words_ask_for(at: int, order: list[int]) -> None:
    assert ORDERS[at][1](SAID, random.Random(0)) == order


@pytest.mark.parametrize(("at", "left"), [(1, [1, 3]), (2, [0, 2]), (3, [1, 3]), (4, [0, 2])])
def test_masks_leave_out_what_the_words_name(at: int, left: list[int]) -> None:
    assert MASKS[at][1](SAID, random.Random(0), 2) == left


def test_the_reply_holds_the_parents_replies_in_the_order_noted() -> None:
    seen = set()
    for number in range(60):
        made = joined(ROWS, Settings(), random.Random(number))
        places = [made.reply.index(f"reply {at}") for at in made.notes["order"]] if made.reply else []
        assert places == sorted(places)
        assert (made.reply or "").count("reply ") == len(places) > 0
        assert all(text in made.instruction for text in SAID)
        seen.add(made.notes["family"])
    assert seen == {"format", "permute", "mask"}


def test_one_row_is_never_masked_away_and_every_row_is_used_once_a_round() -> None:
    kept, dropped = divided(synth(ROWS, ScriptedModel(), Settings(rounds=2, mask=False), 1))
    assert not dropped
    assert sum(one.notes["count"] for one in kept) == 2 * len(ROWS)
    assert all(joined(ROWS[:1], Settings(), random.Random(n)).notes["family"] == "format" for n in range(20))


def test_rows_without_reply_or_too_long_are_dropped_with_the_reason() -> None:
    long = Record((user("Say."), assistant("word " * 50)))
    found = list(synth([Record((user("Say."),)), long, ROWS[0]], ScriptedModel(), Settings(rounds=1, most_words=20), 0))
    assert [one.reason.split(":")[0] for one in found if isinstance(one, Dropped)] == ["no reply", "long"]


def test_the_metric_counts_the_words_that_are_used_and_not_said_again() -> None:
    bird, tea = "Name a bird.\nUse the word lamp in the answer.", "Praise tea.\nUse the word river in the answer."
    asked = f"Answer both of these requests.\n\n1. {bird}\n\n2. {tea}"
    test = Record((user(asked),), notes={"words": ["lamp", "river"]})
    said = {
        "1. A lark on a lamp.\n\n2. It is a warm RIVER.": 1.0,
        "**1)** A lark on a lamp.\n(2) It is a river.": 1.0,
        "The lamp is a bird, by the river of tea.": 0.0,
        "1. It is a warm river.\n2. A lark on a lamp.": 0.0,
        "1. A lark sits on the lamp.\n\n1. Another.\n2. The word river is short.": 0.5,
        "1. A lark by the riverside, with lamps.": 0.0,
        asked: 0.0,
        "1. Use the word lamp in the answer.\n2. You use the word river in both.": 0.0,
        "": 0.0,
    }
    assert {text: both_used(test, Reply(text)) for text in said} == said
