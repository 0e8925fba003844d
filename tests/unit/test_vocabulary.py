from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.core.errors import VerifierError
from adhere.core.verifier import Verdict
from adhere.verify.families import vocabulary
from adhere.verify.families.vocabulary_limits import FILLERS
from adhere.verify.folding import fold, whole_words, word_spans
from adhere.verify.inflection import any_form, forms
from adhere.verify.spans import MOST_SPANS
from adhere.verify.units import sentence_ranges

TYPES = {kind.id: kind for kind in vocabulary.TYPES}


def judged(kind: str, reply: str, **params: object) -> Verdict:
    return TYPES[kind].verify(TYPES[kind].validated(params), reply)


def repaired(kind: str, reply: str, **params: object) -> str | None:
    repair = TYPES[kind].repair
    assert repair is not None
    return repair(params, reply)


def found(word: str, reply: str) -> list[str]:
    return [reply[start:stop] for start, stop in whole_words([word], reply)]


# ---------------------------------------------------------------- finding words


@pytest.mark.parametrize(
    ("word", "reply", "expected"),
    [
        ("café", "Cafe\u0301! CAFÉ cafés cafe", ["Cafe\u0301", "CAFÉ"]),
        ("cafe", "Cafe\u0301 café", []),
        ("Straße", "STRASSE, strasse, Straßen", ["STRASSE", "strasse"]),
        ("strasse", "die Straße", ["Straße"]),
        (
            "istanbul",
            "İstanbul ISTANBUL I\u0307stanbul ıstanbul",
            ["İstanbul", "ISTANBUL", "I\u0307stanbul", "ıstanbul"],
        ),
        ("ışık", "IŞIK ışık", ["IŞIK", "ışık"]),
        ("hello", "ＨＥＬＬＯ hel\u00adlo", ["ＨＥＬＬＯ", "hel\u00adlo"]),
        ("σοφός", "ΣΟΦΌΣ", ["ΣΟΦΌΣ"]),
        ("office", "the o\ufb03ce", ["o\ufb03ce"]),
        ("don't", "Don’t", ["Don’t"]),
        ("rock", "_rock_ **rock** rock-solid rocket rock's", ["rock"] * 4),
        ("ice cream", "Ice\n  cream icecream", ["Ice\n  cream"]),
        ("C++", "use C++, not C+ or MC++", ["C++"]),
        ("東京", "私は東京に住む", ["東京"]),
        ("Python", "これはPythonです", ["Python"]),
        ("か", "が か", ["か"]),
        ("हिन्दी", "हिन्दी में हिन्दीवाला", ["हिन्दी"]),
        ("न", "दीन", []),
        ("한국", "한국 한국어", ["한국"]),
        ("سلام", "سلام عليكم", ["سلام"]),
    ],
)
def test_a_word_is_found_in_any_spelling_of_it(word: str, reply: str, expected: list[str]) -> None:
    assert found(word, reply) == expected


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(alphabet="aé\u0301İßﬁ 한が.-’\u00ad\ud800", max_size=40))
def test_composition_changes_nothing(text: str) -> None:
    for word in ("a", "é", "한"):
        composed, taken_apart = unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)
        assert len(found(word, composed)) == len(found(word, taken_apart))
        for match in (*found(word, text), *found(word, taken_apart)):
            assert fold(word) in fold(match)


def test_spans_survive_expansions_across_the_pieces_of_a_long_text() -> None:
    reply = "ﬃß" * 500 + " Ziel " + "İé" * 333 + " ziel"
    assert found("ziel", reply) == ["Ziel", "ziel"]


def test_words_keep_their_apostrophes_hyphens_and_marks() -> None:
    reply = "Don't re-read cafe\u0301s -- '90s हिन्दी x_y"
    expected = ["Don't", "re-read", "cafe\u0301s", "90s", "हिन्दी", "x", "y"]
    assert [reply[start:stop] for start, stop in word_spans(reply)] == expected


def test_sentences_end_at_full_stops_of_other_scripts_and_behind_curly_quotes() -> None:
    reply = "今日は。明日は！ “Go!” He went. 1. क्या। ठीक।"
    parts = [reply[start:stop].strip() for start, stop in sentence_ranges(reply)]
    assert parts == ["今日は。", "明日は！", "“Go!”", "He went.", "क्या।", "ठीक।"]


# ---------------------------------------------------------------- inflection


@pytest.mark.parametrize(
    ("word", "others"),
    [
        ("run", "runs ran running"),
        ("went", "go goes going gone"),
        ("child", "children"),
        ("mice", "mouse"),
        ("happy", "happier happiest"),
        ("better", "good best"),
        ("hope", "hopes hoped hoping"),
        ("hop", "hops hopped hopping"),
        ("carry", "carries carried carrying"),
        ("panic", "panicked panicking"),
        ("die", "dying died dies"),
        ("travel", "traveling travelling travelled"),
        ("quiz", "quizzes quizzed"),
        ("policeman", "policemen"),
        ("crises", "crisis"),
        ("leaves", "leaf leave leaving"),
        ("rebuilt", "rebuild rebuilding"),
        ("is", "be are was been"),
        ("has", "have had having"),
        ("boxes", "box boxed"),
        ("used", "use using"),
        ("wives", "wife"),
        ("dying", "die"),
        ("learnt", "learn learned"),
        ("withdrawn", "withdraw withdrew"),
    ],
)
def test_forms_of_a_word(word: str, others: str) -> None:
    assert set(others.split()) <= forms(word)


@pytest.mark.parametrize(
    ("word", "strangers"),
    [
        ("rat", "rating rate rated"),
        ("new", "news"),
        ("news", "new"),
        ("even", "evening"),
        ("see", "seed"),
        ("fee", "feed"),
        ("the", "thing"),
        ("corn", "corner"),
        ("teach", "teacher"),
        ("numb", "number"),
        ("bring", "bred bre"),
        ("hop", "hoping hoped"),
        ("plan", "planed plane"),
        ("class", "clas"),
        ("this", "thi"),
        ("wick", "wicked"),
        ("thus", "thu"),
    ],
)
def test_words_that_only_look_related_are_no_forms(word: str, strangers: str) -> None:
    assert not set(strangers.split()) & forms(word)
    assert all(word not in forms(stranger) for stranger in strangers.split())


def test_each_word_of_a_phrase_may_be_inflected_and_case_does_not_matter() -> None:
    assert any_form("give up", "Gave Up the giving.") == [(0, 7)]
    assert any_form("ice cream", "two ice\ncreams") == [(4, 14)]
    assert any_form("Mouse", "MICE") == [(0, 4)]


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(alphabet="abdeghilnoprstuy", min_size=1, max_size=9))
def test_every_form_leads_back_to_the_word(word: str) -> None:
    assert word in forms(word)
    assert all(form.isascii() and form.isalpha() for form in forms(word))


# ---------------------------------------------------------------- the types


def test_a_count_says_by_how_much_it_missed_and_where() -> None:
    verdict = judged("keywords:word_count", "Tea, teapot, TEA.", keyword="tea", least=3, most=4)
    assert verdict.passed is False
    assert verdict.miss == -1
    assert verdict.spans == ((0, 3), (13, 16))
    assert judged("keywords:word_count", "Tea tea", keyword="tea", least=0, most=1).miss == 1
    assert judged("keywords:word_count", "No.", keyword="tea", least=0, most=1).vacuous


def test_spans_are_capped_and_counts_are_not() -> None:
    verdict = judged("keywords:word_count", "tea " * 3000, keyword="tea", least=1, most=5)
    assert len(verdict.spans) == MOST_SPANS
    assert verdict.miss == 2995


@pytest.mark.parametrize(
    ("kind", "params"),
    [
        ("keywords:whole_words", {"keywords": []}),
        ("keywords:whole_words", {"keywords": ["a", 3]}),
        ("keywords:whole_words", {"keywords": ["  "]}),
        ("keywords:some_of", {"keywords": ["a", "b"], "least": 3}),
        ("keywords:word_count", {"keyword": "a", "least": 3, "most": 2}),
        ("keywords:in_sentence", {"keyword": "a", "sentence": 0}),
        ("keywords:in_sentence", {"keyword": "a", "sentence": -2}),
        ("keywords:nth_word", {"keyword": "a", "position": 1}),
        ("keywords:near", {"first": "", "second": "b", "between": 1}),
        ("keywords:inflected", {"keywords": [" \u00ad "]}),
        ("keywords:fresh_words", {"instruction": "Say it."}),
    ],
)
def test_impossible_parameters_are_errors(kind: str, params: dict[str, object]) -> None:
    with pytest.raises(VerifierError):
        judged(kind, "Some reply.", **params)


def test_partial_scores_rise_as_the_reply_comes_nearer() -> None:
    replies = ("Nothing.", "Salt.", "Salt and oil.", "Salt, oil and egg.")
    for kind in ("keywords:whole_words", "keywords:in_order", "keywords:inflected", "keywords:each_once"):
        scores = [judged(kind, reply, keywords=["salt", "oil", "egg"]).score for reply in replies]
        assert scores == sorted(set(scores)), kind
        assert scores[-1] == 1.0


def test_the_sentence_asked_for_is_the_one_looked_at() -> None:
    reply = "Dr. Smith left by boat. The boat sank.\n\nNobody swam."
    assert judged("keywords:in_sentence", reply, keyword="boat", sentence=2).spans == ((28, 32),)
    assert judged("keywords:in_sentence", reply, keyword="boat", sentence=3).passed is False
    assert judged("keywords:in_sentence", reply, keyword="boat", sentence=4).miss == -1
    assert judged("keywords:in_sentence", reply, keyword="swam", sentence=-1).passed


@pytest.mark.parametrize(
    ("reply", "between"),
    [("b a", 0), ("a b", 0), ("a x b", 1), ("a x-y z b", 2), ("a x x b x a", 1), ("a x x x x b", 4)],
)
def test_words_between_two_words(reply: str, between: int) -> None:
    assert judged("keywords:near", reply, first="a", second="b", between=between).passed
    if between:
        assert judged("keywords:near", reply, first="a", second="b", between=between - 1).miss == 1


def test_every_sentence_marks_those_without_the_word() -> None:
    verdict = judged("keywords:every_sentence", "The sea. A boat. The sea.", keyword="sea")
    assert verdict.spans == ((9, 16),)
    assert verdict.miss == -1
    assert judged("keywords:every_sentence", "12 + 4", keyword="sea").passed is False


def test_short_replies_pass_a_ban_vacuously() -> None:
    ban = {"forbidden_words": ["go"]}
    assert judged("keywords:forbidden_inflected", "Yes.", **ban).vacuous
    assert not judged("keywords:forbidden_inflected", "The boats that we saw were small and blue.", **ban).vacuous
    verdict = judged("keywords:forbidden_inflected", "We went, then we are going on.", **ban)
    assert verdict.spans == ((3, 7), (21, 26))
    assert verdict.miss == 2


def test_fillers_are_taken_out_cleanly() -> None:
    text = "Actually, it is a really old and very, very good boat. I just like it, quite simply."
    assert repaired("keywords:no_fillers", text) == "It is an old and good boat. I like it."
    for word in FILLERS:
        assert not judged("keywords:no_fillers", f"It is {word.upper()} good.").passed


def test_surplus_sentences_go_and_missing_words_come() -> None:
    reply = "A boat came. It was small. The boat left. Nobody saw the boat. We stayed. We ate. We slept well."
    fixed = repaired("keywords:word_count", reply, keyword="boat", least=1, most=1)
    assert fixed == "A boat came. It was small. We stayed. We ate. We slept well."
    fixed = repaired("keywords:each_once", reply, keywords=["boat", "friend"])
    assert fixed is not None
    assert judged("keywords:each_once", fixed, keywords=["boat", "friend"]).passed


def test_repeats_look_at_the_folded_word() -> None:
    verdict = judged("vocabulary:repeats", "Café CAFE\u0301s cafe\u0301", num_letters=4, num_times=1)
    assert verdict.passed is False
    assert verdict.miss == 1
    assert len(verdict.spans) == 2
    assert judged("vocabulary:repeats", "the the the", num_letters=4, num_times=1).vacuous
