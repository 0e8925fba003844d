"""Active instruction tuning: the paper's score on a hand-made case, what is perturbed, tasks kept whole, the map."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence

import pytest

from adhere.core.errors import SettingsError
from adhere.core.model import Scored
from adhere.core.record import Message, Record, assistant, system, user
from adhere.core.step import Dropped
from adhere.methods.contract import check_method
from adhere.methods.select import active_instruction_tuning as method
from adhere.methods.select.active_instruction_tuning import Placed, Settings, kinds, perturbed, select, task_map
from adhere.models.scripted import ScriptedModel

SURE, UNSURE = "Name one old bridge over this river", "Sort these seven words by their length"


class Moody(ScriptedModel):
    """The probability of an answer falls with each word that is missing, by how much depends on the task."""

    def score(self, pairs: Sequence[tuple[tuple[Message, ...], str]]) -> list[Scored]:
        found = []
        for prompt, _ in pairs:
            said = prompt[-1].text.split()
            step = 0.1 if set(said) & set(UNSURE.split()) else 0.01
            found.append(Scored(3 * math.log(0.9 - step * (7 - len(said))), 3))
        return found


def row(text: str, task: str = "") -> Record:
    return Record((user(text), assistant("Yes.")), notes={"task": task} if task else {})


def test_it_keeps_the_contract() -> None:
    check_method(method)


def test_uncertainty_is_the_mean_absolute_difference_in_probability() -> None:
    settings = Settings(samples=40, drop=0.3)
    sure, unsure = task_map([row(SURE), row(UNSURE)], Moody(), settings, 1)
    draw = random.Random(f"1/{row(UNSURE).id}")
    missing = [7 - len(perturbed(row(UNSURE), 0.3, draw)[0].text.split()) for _ in range(40)]
    assert unsure.uncertainty == pytest.approx(0.1 * sum(missing) / 40)
    assert unsure.probability == pytest.approx(0.9)
    assert sure.uncertainty < unsure.uncertainty / 5


def test_only_the_words_of_the_last_instruction_are_dropped_and_never_all_of_them() -> None:
    asked = Record(
        (
            system("Be brief."),
            user("One."),
            assistant("Two."),
            user("Sort these words: b a c Thank you"),
            assistant("x"),
        ),
        notes={"input": "b a c"},
    )
    found = [perturbed(asked, 0.5, random.Random(n)) for n in range(20)]
    assert all(one[:3] == asked.messages[:3] and "b a c" in one[3].text for one in found)
    assert len({one[3].text for one in found}) > 5
    assert perturbed(row(SURE), 0.999, random.Random(0))[0].text in SURE.split()


def test_the_layout_of_the_words_that_stay_is_kept() -> None:
    text = "Sort these:\n\n- one\n- two  words\n\nIn order: b a c\n Thanks"
    asked = Record((user(text),), notes={"input": "b a c"})
    assert perturbed(asked, 0.0, random.Random(0))[0].text == text
    for n in range(20):
        found = perturbed(asked, 0.3, random.Random(n))[0].text
        assert found == found.strip()
        assert found.count("\n") >= 3
    given_first = Record((user("b a c\nSort them"),), notes={"input": "b a c"})
    assert perturbed(given_first, 0.999, random.Random(0))[0].text in ("b a c\nSort", "b a c\nthem")
    assert perturbed(Record((user("b a c"),), notes={"input": "b a c"}), 0.9, random.Random(0))[0].text == "b a c"


def test_a_task_is_kept_or_left_as_a_whole() -> None:
    rows = [row(SURE, "a"), row(UNSURE, "b"), row(f"{SURE} here", "a"), row(f"{UNSURE} now", "b"), Record(())]
    found = list(select(rows, Settings(limit=1), model=Moody()))
    assert [one for one in found if isinstance(one, Record)] == [rows[1], rows[3]]
    reasons = [one.reason for one in found if isinstance(one, Dropped)]
    assert reasons[0].startswith("certain: ")
    assert reasons[2] == "no instruction"


def test_rows_without_an_answer_are_not_judged() -> None:
    (found,) = select([row(SURE)], Settings(), model=ScriptedModel(lambda ask: ""))
    assert isinstance(found, Dropped)
    assert found.reason.startswith("not judged")


def test_the_map_has_three_regions() -> None:
    places = [Placed("a", 0.9, 0.5), Placed("b", 0.1, 0.9), Placed("c", 0.1, 0.1), Placed("d", 0.05, 0.6)]
    assert kinds(places) == ["ambiguous", "easy", "difficult", "easy"]
    assert kinds([]) == []


@pytest.mark.parametrize("wrong", [Settings(drop=0.0), Settings(samples=0), Settings(keep=2.0)])
def test_senseless_settings_are_refused(wrong: Settings) -> None:
    with pytest.raises(SettingsError):
        list(select([row(SURE)], wrong, model=ScriptedModel()))
