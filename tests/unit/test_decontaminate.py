"""Shared runs of words between training and held-out prompts."""

import pytest

from adhere.core.errors import SettingsError
from adhere.data.decontaminate import NgramIndex

HELD_OUT = "Write a short letter to the mayor about the noise from the new tram line."


def test_a_shared_run_of_n_words_is_found_whatever_case_and_punctuation() -> None:
    index = NgramIndex(texts=[HELD_OUT])
    shared = index.overlaps("Please: write a SHORT letter, to the mayor about trees.")
    assert shared == "write a short letter to the mayor about"


def test_a_run_one_word_shorter_is_not() -> None:
    index = NgramIndex(texts=[HELD_OUT])
    assert index.overlaps("Write a short letter to the mayor, concerning trees.") is None
    assert NgramIndex(n=7, texts=[HELD_OUT]).overlaps("Write a short letter to the mayor, concerning trees.")


def test_a_short_held_out_prompt_is_looked_for_whole() -> None:
    index = NgramIndex(texts=["Explain how rainbows form.", "Sing!"])
    assert index.overlaps("explain how rainbows form") == "explain how rainbows form"
    assert index.overlaps("Explain how rainbows form. Use no commas.") == "explain how rainbows form"
    assert index.overlaps("Explain how rainbows fade.") is None
    assert index.overlaps("sing") == "sing"
    assert index.overlaps("Sing me a song about rain.") is None


def test_a_short_text_inside_a_longer_held_out_prompt_is_no_overlap() -> None:
    assert NgramIndex(texts=[HELD_OUT]).overlaps("the noise from the") is None


def test_empty_texts_neither_match_nor_count() -> None:
    index = NgramIndex(texts=["", "?!"])
    assert index.overlaps("") is None
    assert index.overlaps("...") is None
    index.add(HELD_OUT)
    assert index.overlaps("") is None


def test_scripts_without_spaces_are_compared_by_character() -> None:
    index = NgramIndex(texts=["请写一封信给市长关于噪音"])
    assert index.overlaps("今天请写一封信给市长吧") == "请 写 一 封 信 给 市 长"
    assert index.overlaps("请写一首诗给市长") is None


def test_too_short_runs_are_refused() -> None:
    with pytest.raises(SettingsError, match="n=2"):
        NgramIndex(n=2)
