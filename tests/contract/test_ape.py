"""Automatic prompt engineer: guesses come from shown pairs, others score them, the best one is used."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from adhere.core.errors import SettingsError
from adhere.core.model import Ask, Reply, Sampling, Scored, replies
from adhere.core.record import Message, Record, system, user
from adhere.data.induction_tasks import Item, stated, task_named
from adhere.evals.lab import Lab
from adhere.methods.contract import check_method, check_proof
from adhere.methods.steer import ape
from adhere.methods.steer.ape import Settings, accuracy, instruction_in, search, steer, told
from adhere.models.scripted import ScriptedModel

GUESSES = ("Write it twice.", "Write it backwards.", 'The instruction was: "Write it backwards."', " \n")
ROWS = [Record((user(word),)).with_reply(word[::-1]) for word in ("stone", "river", "cloud", "bread", "house", "light")]


def guessing(ask: Ask) -> str | Reply:
    text = ask.messages[-1].text
    if "What was the instruction?" in text:
        return GUESSES[ask.sample % len(GUESSES)]
    if text.startswith("Say the following"):
        return "Reverse the letters."
    told_to, _, word = text.partition("\n\n")
    return word[::-1] if told_to in ("Write it backwards.", "Reverse the letters.") else word


class Judging(ScriptedModel):
    """Finds replies likelier under some instructions."""

    def score(self, pairs: Sequence[tuple[tuple[Message, ...], str]]) -> list[Scored]:
        likes = (("backwards", -1.0), ("Reverse", -0.5))
        return [
            Scored(4 * next((value for word, value in likes if word in prompt[-1].text), -2.0), 4)
            for prompt, _ in pairs
        ]


def test_it_keeps_the_contract_and_its_experiment_runs(tmp_path: Path) -> None:
    check_method(ape)
    proof = check_proof(ape, Lab(ScriptedModel(), tmp_path, smoke=True))
    assert proof.treated.tokens > proof.baseline.tokens > 0


@pytest.mark.parametrize("score", ["likelihood", "accuracy"])
def test_the_guess_that_explains_the_other_pairs_is_used(score: str) -> None:
    model = Judging(guessing)
    settings = Settings(samples=4, score=score)  # type: ignore[arg-type]
    found = search(model, ROWS, settings)
    assert found.guesses == ("Write it twice.", "Write it backwards.")
    assert found.best == "Write it backwards."
    (reply,) = replies(steer(model, ROWS, settings), [Ask((user("apple"),), Sampling(16))])
    assert reply.text == "elppa"


def test_pairs_that_are_shown_do_not_score() -> None:
    seen: list[str] = []

    def watching(ask: Ask) -> str | Reply:
        seen.append(ask.messages[-1].text)
        return guessing(ask)

    search(Judging(watching), ROWS, Settings(samples=1, score="accuracy"))
    shown, scored = seen[0], [text.rpartition("\n")[2] for text in seen[1:]]
    assert len(scored) == 3
    assert not any(f"Input: {word}\n" in shown for word in scored)


def test_a_round_varies_the_best_guess() -> None:
    found = search(Judging(guessing), ROWS, Settings(samples=4, rounds=2))
    assert found.guesses[-1] == found.best == "Reverse the letters."
    assert len(found.guesses) == 3  # the second round says nothing new


def test_what_is_no_instruction_falls_away() -> None:
    assert instruction_in("\n- Instruction: Sort\tthe \x1b[2Jwords.\nMore") == "Sort the [2Jwords."
    assert instruction_in("word " * 100) == ""
    assert instruction_in(" \n\n") == ""
    assert search(Judging(lambda ask: Reply("", "error", error="busy")), ROWS, Settings()).best == ""
    assert search(Judging(guessing), ROWS[:1], Settings()).guesses == ()


def test_the_instruction_stands_before_the_last_user_message() -> None:
    talk = (system("Be brief."), user("stone"))
    assert told(talk, "Reverse it.") == (talk[0], user("Reverse it.\n\nstone"))
    assert told(talk, "") == talk
    assert told(talk[:1], "Reverse it.") == talk[:1]


def test_an_answer_counts_in_a_sentence_unless_a_sentence_may_hold_it_by_chance() -> None:
    plural, item = task_named("pluralization"), Item("city", ("cities",))
    assert stated(plural, item, "The plural of the word is cities.\nMore.")
    assert not stated(plural, item, "The plural of the word is citiesque, or:\ncities")
    assert not stated(plural, Item("sheep", ("sheep",)), "The word is sheep.")  # it repeats the input
    assert stated(plural, Item("sheep", ("sheep",)), "Sheep.")
    total = Item("12 34", ("46",))
    assert stated(task_named("sum"), total, "12 + 34 = 46.")
    for said in ("1,046", "46.5", "-46", "146"):
        assert not stated(task_named("sum"), total, f"It is {said}")
    closed = Item("Anna on the film: dull.", ("negative",))
    assert not stated(task_named("sentiment"), closed, "It is positive or negative.")
    assert stated(task_named("sentiment"), closed, "Negative")
    assert not stated(task_named("membership"), Item("cat, cloud, dog", ("cat, dog",)), "Here: cat, dog")
    said = ScriptedModel(lambda ask: "The plural is cities.")
    assert accuracy(said, plural, [item, Item("box", ("boxes",))], "") == (0.5, 0.0)
    assert accuracy(said, plural, [], "") == (0.0, 0.0)


def test_settings_that_leave_nothing_are_refused() -> None:
    with pytest.raises(SettingsError):
        steer(Judging(guessing), ROWS, Settings(samples=0))
