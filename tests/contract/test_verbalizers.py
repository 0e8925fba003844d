"""Verbalizer manipulation tells a model that follows instructions from one that follows words."""

from __future__ import annotations

import re

import pytest

from adhere.core.errors import SettingsError
from adhere.core.model import Ask
from adhere.methods.contract import check_method
from adhere.methods.evaluate import verbalizers
from adhere.methods.evaluate.verbalizers import Settings, evaluate, texts
from adhere.models.scripted import ScriptedModel

BENCH = texts(30, 0)
BY_PROMPT = {one.instruction: one.checks[0].params for one in BENCH.records}


def word(ask: Ask, follows: bool) -> str:
    """The label word that the instruction asks for, or the one that names the class."""
    params = BY_PROMPT[ask.messages[-1].text]
    labels = dict(params["labels"])
    if follows or params["style"] == "neutral":
        return str(labels[params["gold"]])
    natural = next(one for one in BENCH.records if one.checks[0].params["text"] == params["text"])
    return str(dict(natural.checks[0].params["labels"])[params["gold"]])


def test_it_keeps_the_contract() -> None:
    check_method(verbalizers)


@pytest.mark.parametrize(("follows", "flipped", "reliance"), [(True, 1.0, 0.0), (False, 0.0, 1.0)])
def test_who_follows_the_words_fails_where_they_are_flipped(follows: bool, flipped: float, reliance: float) -> None:
    found = evaluate(ScriptedModel(lambda ask: word(ask, follows)), Settings(texts=30)).as_json()
    assert found["styles"]["natural"]["accuracy"] == 1.0
    assert found["styles"]["flipped"]["accuracy"] == flipped
    assert found["prior_reliance"] == reliance
    assert found["styles"]["natural"]["no_label"] == 0.0


def test_a_reply_that_is_no_label_word_is_wrong_and_counted() -> None:
    report = evaluate(ScriptedModel(lambda ask: "I would rather not say."), Settings(texts=30))
    styles = report.as_json()["styles"]
    assert [styles[name]["accuracy"] for name in verbalizers.STYLES] == [0.0] * 3
    assert [styles[name]["no_label"] for name in verbalizers.STYLES] == [1.0] * 3
    assert "no label word: 100.0 %" in report.in_words()


def test_the_word_may_stand_in_a_sentence_and_both_words_are_no_answer() -> None:
    said = {"natural": "The answer is {gold}.", "neutral": "{gold} or {other}", "flipped": "{gold}"}

    def script(ask: Ask) -> str:
        params = BY_PROMPT[ask.messages[-1].text]
        labels = dict(params["labels"])
        other = next(word for name, word in labels.items() if name != params["gold"])
        return said[params["style"]].format(gold=labels[params["gold"]], other=other)

    styles = evaluate(ScriptedModel(script), Settings(texts=30)).as_json()["styles"]
    assert [styles[name]["accuracy"] for name in verbalizers.STYLES] == [1.0, 0.0, 1.0]
    assert [styles[name]["no_label"] for name in verbalizers.STYLES] == [0.0, 1.0, 0.0]
    assert [styles[name]["word_alone"] for name in verbalizers.STYLES] == [0.0, 0.0, 1.0]


def test_each_text_is_asked_three_times_in_the_same_phrasing() -> None:
    for first in range(0, len(BENCH.records), 3):
        group = BENCH.records[first : first + 3]
        assert [one.checks[0].params["style"] for one in group] == list(verbalizers.STYLES)
        assert len({one.checks[0].params["text"] for one in group}) == 1
        assert len({re.sub(r'"[^"]*"', '""', one.instruction) for one in group}) == 1  # all but what is quoted


def test_it_brings_its_own_data() -> None:
    with pytest.raises(SettingsError, match="own texts"):
        evaluate(ScriptedModel(), Settings(), data=verbalizers.Path("x"))
