"""ROUGE-L as google computes it, and the index on cases worked out by hand."""

import json
import os
from pathlib import Path

import pytest
from rapidfuzz.distance import LCSseq

from adhere.core.errors import SettingsError
from adhere.data import novelty
from adhere.data.novelty import NoveltyIndex, rouge_l, words

REAL_ROWS = (
    Path(os.environ.get("ADHERE_SHARED") or Path(__file__).parents[3] / "shared")
    / "data/self_instruct/self_instruct_5k.jsonl"
)


def test_words_are_lower_case_runs_of_ascii_letters_and_digits() -> None:
    assert words("It's 3.5 km, NOT_4!") == ["it", "s", "3", "5", "km", "not", "4"]
    assert words("Écris un poème") == ["cris", "un", "po", "me"]
    assert words("写一首诗") == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Écris un POÈME", ["écris", "un", "poème"]),
        ("E\u0301cris", ["écris"]),
        ("写一首诗 now", ["写", "一", "首", "诗", "now"]),
        ("हिन्दी में", ["हिन्दी", "में"]),
        ("Straße", ["strasse"]),
        ("don’t stop", ["don", "t", "stop"]),
        ("\u0301 — !", []),
        ("กำลัง", ["กํ", "า", "ลั", "ง"]),
    ],
)
def test_unicode_words_keep_letters_and_marks_of_every_script(text: str, found: list[str]) -> None:
    assert words(text, unicode=True) == found


def test_f_measure_by_hand() -> None:
    # common subsequence "the sat mat" of 5 and 4 words: P = 3/4, R = 3/5
    assert rouge_l("the cat sat on mat", "the dog sat mat") == pytest.approx(2 * 3 / 9)
    assert rouge_l("same words here", "Same words, here!") == 1.0
    assert rouge_l("a b c", "c b a") == pytest.approx(1 / 3)
    assert rouge_l("", "anything") == 0.0


def test_nothing_in_another_script_is_alike_unless_unicode_is_asked_for() -> None:
    assert rouge_l("写一首关于春天的诗", "写一首关于春天的诗") == 0.0
    assert rouge_l("写一首关于春天的诗", "写一首关于春天的诗", unicode=True) == 1.0
    faithful, fair = NoveltyIndex(), NoveltyIndex(unicode=True)
    assert [faithful.add("写一首诗", "a"), faithful.add("写一首诗", "b")] == [True, True]
    assert [fair.add("写一首诗", "a"), fair.add("写一首诗", "b")] == [True, False]


def test_a_score_at_the_threshold_is_novel_and_above_it_is_not() -> None:
    ten = "a b c d e f g h i j"
    seven, eight = "a b c d e f g x y z", "a b c d e f g h y z"
    index = NoveltyIndex(threshold=rouge_l(ten, seven))
    assert index.add(ten, "ten")
    assert index.rival(seven) is None
    assert index.rival(eight) == (rouge_l(ten, eight), "ten")
    assert not index.add(eight, "eight")
    assert len(index) == 1


def test_most_similar_is_exact_below_the_threshold_and_names_the_earliest_of_equals() -> None:
    index = NoveltyIndex()
    assert index.most_similar("anything") == (0.0, "")
    for id, text in {"sea": "write about the sea", "hill": "write about a hill", "soup": "cook a soup"}.items():
        assert index.add(text, id)
    assert index.most_similar("write about lemons") == (rouge_l("write about the sea", "write about lemons"), "sea")
    assert index.most_similar("write about the sea") == (1.0, "sea")
    assert index.most_similar("zebra") == (0.0, "")
    assert index.most_similar("?!") == (0.0, "")


def test_texts_without_words_are_always_novel() -> None:
    index = NoveltyIndex(threshold=0.0)
    assert index.add("", "a")
    assert index.add("...", "b")
    assert index.add("word", "c")
    assert not index.add("one word", "d")


def test_a_vocabulary_beyond_the_code_points_is_compared_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(novelty, "_CODE_POINTS", 5)
    index = NoveltyIndex()
    assert index.add("one two three four", "low")
    assert index.add("five six seven one", "mixed")
    assert index.rival("five six seven") == (rouge_l("five six seven one", "five six seven"), "mixed")
    assert not index.add("one two three four five", "again")


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan")])
def test_a_threshold_outside_0_to_1_is_refused(threshold: float) -> None:
    with pytest.raises(SettingsError, match="between 0 and 1"):
        NoveltyIndex(threshold)


@pytest.mark.skipif(not REAL_ROWS.exists(), reason="the Self-Instruct rows are not here (set ADHERE_SHARED)")
def test_kept_set_of_machine_written_instructions_is_that_of_brute_force() -> None:
    with REAL_ROWS.open(encoding="utf-8") as file:
        rows = [json.loads(line)["instruction"] for line, _ in zip(file, range(1500), strict=False)]
    index = NoveltyIndex()
    kept = [position for position, text in enumerate(rows) if index.add(text, str(position))]
    brute: list[list[str]] = []
    expected = []
    for position, text in enumerate(rows):
        tokens = words(text)
        if not any(_exceeds(tokens, other, 0.7) for other in brute):
            brute.append(tokens)
            expected.append(position)
    assert kept == expected
    assert 0 < len(kept) < len(rows)


def _exceeds(a: list[str], b: list[str], threshold: float) -> bool:
    common = LCSseq.similarity(a, b)
    if common == 0:
        return False
    precision, recall = common / len(b), common / len(a)
    return 2 * precision * recall / (precision + recall) > threshold
