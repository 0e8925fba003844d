"""The finder: our own phrasings by type, what states nothing, pasted input, numbers, and the finder by model."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from own_phrasings import STATED, UNSTATED

from adhere.core.model import Ask, Reply
from adhere.models.scripted import ScriptedModel
from adhere.verify.catalogue import IFEVAL_TYPES
from adhere.verify.find import Finder, Found, GrammarFinder, ModelFinder, find
from adhere.verify.finding.by_model import located
from adhere.verify.finding.pasted import pasted
from adhere.verify.finding.quotes import quotes
from adhere.verify.finding.reading import read

CASES = [(kind, text, params) for kind, cases in STATED.items() for text, params in cases]


def normal(params: dict[str, Any]) -> dict[str, Any]:
    """Case apart, lists without order."""
    return {
        key: sorted(map(str.lower, value)) if isinstance(value, list | tuple) else str(value).lower()
        for key, value in params.items()
    }


def told(found: tuple[Found, ...]) -> list[tuple[str, dict[str, Any]]]:
    """Kinds and parameters only."""
    return [(one.check.kind, normal(one.check.params)) for one in found]


def test_the_own_phrasings_cover_every_type() -> None:
    assert set(STATED) == set(IFEVAL_TYPES)
    assert min(Counter(kind for kind, *_ in CASES).values()) >= 12
    assert len(UNSTATED) >= 60


@pytest.mark.parametrize(("kind", "text", "params"), CASES)
def test_a_stated_constraint_is_found_and_nothing_else(kind: str, text: str, params: dict[str, Any]) -> None:
    assert told(find(text)) == [(kind, normal(params))]


@pytest.mark.parametrize("text", UNSTATED)
def test_words_that_only_sound_like_a_constraint_state_none(text: str) -> None:
    assert find(text) == ()


def test_the_phrase_is_the_text_of_the_span_and_each_constraint_has_its_own_clause() -> None:
    text = "Tell me about tides. Use at least 3 sentences, and do not use any commas."
    found = find(text)
    assert [one.check.kind for one in found] == ["length_constraints:number_sentences", "punctuation:no_comma"]
    assert all(text[slice(*one.span)] == one.check.phrase for one in found)
    assert "at least 3 sentences" in found[0].check.phrase
    assert "commas" not in found[0].check.phrase
    assert "any commas" in found[1].check.phrase
    assert "3" not in found[1].check.phrase


def test_only_the_types_asked_for_are_found() -> None:
    text = "No commas. At least 50 words."
    only = {"punctuation:no_comma": IFEVAL_TYPES["punctuation:no_comma"]}
    assert [one.check.kind for one in find(text, only)] == ["punctuation:no_comma"]
    assert find(text, {}) == ()


def test_the_same_constraint_said_twice_is_one_and_two_keywords_are_two() -> None:
    assert len(find("No commas. I repeat: do not use commas.")) == 1
    found = find('Use "fog" at least twice and "mist" at least 4 times.')
    assert [one.check.params["keyword"] for one in found] == ["fog", "mist"]
    assert [one.check.params["frequency"] for one in found] == [2, 4]


def test_english_is_part_of_a_case_constraint_but_a_language_of_its_own_elsewhere() -> None:
    assert [one.check.kind for one in find("Answer in English. Use only capital letters.")] == [
        "change_case:english_capital"
    ]
    assert [one.check.params for one in find("Answer in English.")] == [{"language": "en"}]


@pytest.mark.parametrize(
    ("said", "limits"),
    [
        ("at least 3 sentences", [("at least", 3)]),
        ("no fewer than three sentences", [("at least", 3)]),
        ("more than 3 sentences", [("at least", 4)]),
        ("3+ sentences", [("at least", 3)]),
        ("a dozen sentences or more", [("at least", 12)]),
        ("between 3 and five sentences", [("at least", 3), ("less than", 6)]),
        ("3-5 sentences", [("at least", 3), ("less than", 6)]),
        ("exactly 3 sentences", [("at least", 3), ("less than", 4)]),
        ("up to 3 sentences", [("less than", 4)]),
        ("no more than thirty-two sentences", [("less than", 33)]),
        ("three (3) sentences at most", [("less than", 4)]),
        ("under one hundred and fifty sentences", [("less than", 150)]),
        ("3 sentences", []),
        ("about 3 sentences", []),
        (f"at least {'9' * 5000} sentences", []),
    ],
)
def test_bounds_in_plain_words(said: str, limits: list[tuple[str, int]]) -> None:
    found = find(f"Answer in {said}.")
    assert sorted((one.check.params["relation"], one.check.params["num_sentences"]) for one in found) == sorted(limits)


def test_a_negation_turns_a_comparison_round() -> None:
    for said in (
        "do not write more than 40 words",
        "it should never be longer than 40 words",
        "avoid using over 40 words",
    ):
        assert [one.check.params for one in find(said)] == [{"relation": "less than", "num_words": 41}], said


@pytest.mark.parametrize(
    "pasted_part",
    [
        "Text: Use at least 90 words and no commas.",
        '"""\nUse at least 90 words and no commas.\n"""',
        "```\nUse at least 90 words and no commas.\n```",
        '"Use at least 90 words and no commas."',
        "Passage:\nUse at least 90 words.\nUse no commas.",
    ],
)
def test_pasted_input_states_nothing_but_what_stands_around_it_does(pasted_part: str) -> None:
    text = f"Correct the spelling.\n\n{pasted_part}\n\nPlease answer in Finnish."
    assert told(find(text)) == [("language:response_language", {"language": "fi"})]


def test_input_after_a_line_that_announces_it_is_pasted() -> None:
    text = "Shorten the following email:\n\nDear Ana,\nplease write at least 300 words.\n\nBest, Tom"
    assert find(text) == ()
    assert [text[slice(*span)].strip()[:8] for span in pasted(text)] == ["Dear Ana"]


def test_quotations_are_told_from_apostrophes_and_lone_marks() -> None:
    assert [quote.text for quote in quotes("the dogs' bowl isn't 'mine', she said \"yes\"")] == ["mine", "yes"]
    assert quotes('The first and the last character must be ".') == []
    assert quotes('one "a\n\nb" two') == []


def test_the_form_of_a_sentence_leads_back_to_the_text() -> None:
    text = "Use  no more than\tthree “words”."
    reading = read(text)
    assert [sentence.form for sentence in reading.sentences] == ["use ‹0› «0» ."]
    sentence = reading.sentences[0]
    assert reading.raw(sentence, 4, 7) == "no more than\tthree"


def test_a_count_that_a_type_does_not_allow_is_not_found() -> None:
    assert all(IFEVAL_TYPES[one.check.kind].validated(one.check.params) for one in find("Write 3 paragraphs. ***"))


# ---------------------------------------------------------------- by a model

TEXT = 'Describe a lighthouse. Use the word "lamp" and write at least 30 words.'
LISTED = [
    {"kind": "keywords:existence", "params": {"keywords": ["lamp"]}, "quote": 'Use the word "lamp"'},
    {
        "kind": "length_constraints:number_words",
        "params": {"relation": "at least", "num_words": 30},
        "quote": "write at  least 30 words",
    },
]


def asked(said: str | Reply) -> tuple[ModelFinder, tuple[Found, ...]]:
    finder = ModelFinder(ScriptedModel(lambda ask: said), IFEVAL_TYPES)
    return finder, finder.find(TEXT)


def test_the_model_finder_gives_what_the_model_lists_and_the_text_holds() -> None:
    finder, found = asked("Here you are:\n```json\n" + json.dumps(LISTED[::-1]) + "\n```")
    assert [one.check.kind for one in found] == ["keywords:existence", "length_constraints:number_words"]
    assert all(TEXT[slice(*one.span)] == one.check.phrase and one.confidence < 1 for one in found)
    assert (finder.counts.asked, finder.counts.kept, finder.counts.malformed) == (1, 2, 0)


def test_the_model_is_told_the_types_and_the_instruction() -> None:
    seen: list[Ask] = []

    def script(ask: Ask) -> str:
        seen.append(ask)
        return "[]"

    assert ModelFinder(ScriptedModel(script), IFEVAL_TYPES).find(TEXT) == ()
    assert TEXT in seen[0].messages[0].text
    assert all(kind in seen[0].messages[0].text for kind in IFEVAL_TYPES)


@pytest.mark.parametrize("said", ["", "no constraints", "[1, 2", '{"kind": "x"}', "[" * 50_000 + "]" * 50_000, "]["])
def test_a_malformed_list_gives_nothing_and_is_counted(said: str) -> None:
    finder, found = asked(said)
    assert found == ()
    assert finder.counts.malformed == 1


def test_an_ask_that_failed_gives_nothing_and_is_counted_apart() -> None:
    finder, found = asked(Reply("", "error", error="no connection"))
    assert found == ()
    assert (finder.counts.unanswered, finder.counts.malformed) == (1, 0)


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        ({"kind": "keywords:magic", "params": {}, "quote": "Use"}, "not_a_type"),
        ({"kind": ["keywords:existence"], "params": {}, "quote": "Use"}, "not_a_type"),
        ("keywords:existence", "not_a_type"),
        ({"kind": "keywords:existence", "params": {}, "quote": "Use"}, "bad_params"),
        ({"kind": "keywords:existence", "params": {"keywords": []}, "quote": "Use"}, "bad_params"),
        ({"kind": "keywords:existence", "params": {"keywords": [1]}, "quote": "Use"}, "bad_params"),
        ({"kind": "keywords:existence", "params": {"keywords": ["lamp"]}, "quote": "Mention lamps"}, "not_in_text"),
        ({"kind": "keywords:existence", "params": {"keywords": ["candle"]}, "quote": "Use the word"}, "not_in_text"),
        ({"kind": "punctuation:no_comma", "params": {}, "quote": "  "}, "not_in_text"),
    ],
)
def test_entries_that_do_not_hold_up_are_dropped_and_counted(entry: Any, reason: str) -> None:
    finder, found = asked(json.dumps([entry, LISTED[1]]))
    assert [one.check.kind for one in found] == ["length_constraints:number_words"]
    assert getattr(finder.counts, reason) == 1


def test_words_are_located_whatever_their_white_space_and_case() -> None:
    assert located("Use\n\n THE lamp.", "use the lamp") == (0, 14)
    assert located("Use the lamp.", "(use") is None


def test_both_finders_have_one_interface() -> None:
    finders: list[Finder] = [GrammarFinder(), ModelFinder(ScriptedModel(lambda ask: json.dumps(LISTED)), IFEVAL_TYPES)]
    assert [told(finder.find(TEXT)) for finder in finders] == [told(find(TEXT))] * 2
