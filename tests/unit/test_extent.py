"""Lengths of a reply and of its parts: what is counted, at which bounds it turns, what is not judged."""

from __future__ import annotations

import time
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adhere.core.errors import VerifierError
from adhere.core.verifier import Verdict
from adhere.verify import units
from adhere.verify.families import extent, extent_repair

TYPES = {kind.id: kind for kind in extent.TYPES}
CHINESE = "今天天气很好，我们去公园散步。晚上我在家里看书。"
THAI = "วันนี้อากาศดีมาก เราไปเดินเล่นที่สวน"
HINDI = "हिन्दी में लिखना अच्छा है"


def verdict(kind: str, reply: str, **params: Any) -> Verdict:
    found = TYPES[kind]
    return found.verify(found.validated(params), reply)


def repaired(kind: str, reply: str, **params: Any) -> str | None:
    found = TYPES[kind]
    assert found.repair is not None
    return found.repair(found.validated(params), reply)


def pieces(reply: str, spans: Any) -> list[str]:
    return [reply[start:stop] for start, stop in spans]


# ---------------------------------------------------------------- units


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't stop", ["Don't", "stop"]),
        ("a state-of-the-art lamp", ["a", "state-of-the-art", "lamp"]),
        ("It costs 3.50 and/or more", ["It", "costs", "3.50", "and/or", "more"]),
        ("one—two – three--four", ["one", "two", "three", "-four"]),
        ("wait...what", ["wait", "..what"]),
        ("1. Stir it.\n 12) Wait 3 days", ["Stir", "it.", "Wait", "3", "days"]),
        ("- * & # | ___ \U0001f600", []),
        ("**bold** `code`", ["**bold**", "`code`"]),
        (HINDI, HINDI.split()),
        ("\ufeff\0a\r\nb\ud800", ["\ufeff\0a", "b\ud800"]),
        ("see 今天 here", ["see", "今天", "here"]),
    ],
)
def test_a_word_stands_between_spaces_or_dashes_and_says_something(text: str, words: list[str]) -> None:
    assert pieces(text, units.word_spans(text)) == words


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two!\n\nThree", ["One.", "Two!", "Three"]),
        ("Wrapped\nprose is one. Yes.", ["Wrapped\nprose is one.", "Yes."]),
        ("1. Boil it\n2. Drink it", ["Boil it", "Drink it"]),
        ("# A title. Really\nBody.\n---\n<<Name>>\n**Part one**\nEnd.", ["Body.", "End."]),
        ("**A bold sentence.**", ["**A bold sentence."]),
        ("Use fruit, e.g. a pear (i.e. a ripe one).", ["Use fruit, e.g. a pear (i.e. a ripe one)."]),
        ("好。“很好！”再见", ["好。", "“很好！”", "再见"]),
        ("यह घर है। वह पेड़ है।", ["यह घर है।", "वह पेड़ है।"]),
        ("... !\n\n???", []),
    ],
)
def test_a_sentence_ends_with_its_mark_its_item_or_its_paragraph(text: str, sentences: list[str]) -> None:
    assert pieces(text, units.sentence_ranges(text)) == sentences


def test_paragraphs_need_a_line_of_their_own() -> None:
    text = "# Head\n\nOne\ntwo\r\n\r\n***\n \t\n## Next\nThree\n\n\n<<T>>\n"
    assert pieces(text, units.paragraph_ranges(text)) == ["One\ntwo\r", "## Next\nThree"]


def test_sections_run_from_heading_to_heading() -> None:
    text = "before\n# A\nx y\n### B\n"
    assert pieces(text, units.section_ranges(text)) == ["x y\n", ""]


@pytest.mark.parametrize(
    ("text", "every", "without_spaces"),
    [
        ("abc", 3, 3),
        ("  a b\r\nc \n", 5, 3),
        ("e\u0301", 1, 1),
        ("\u1112\u1161\u11ab", 1, 1),  # a decomposed Hangul syllable
        ("\U0001f468\u200d\U0001f469", 2, 2),
        ("\u2764\ufe0f", 1, 1),
        ("今天 好", 4, 3),
        ("\u202eab\u202c", 2, 2),
    ],
)
def test_a_character_is_what_a_reader_sees_as_one(text: str, every: int, without_spaces: int) -> None:
    assert units.character_count(text) == every
    assert units.character_count(text, white_space=False) == without_spaces


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=("Cs", "Cn")), max_size=40))
def test_composed_and_decomposed_texts_have_equal_counts(text: str) -> None:
    composed, decomposed = unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)
    assert units.character_count(composed) == units.character_count(decomposed)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(st.text("aB1 .!?\n\r#-*<>。、今ก\u0301'\"()", max_size=60))
def test_units_are_in_order_apart_and_inside(text: str) -> None:
    for spans in (
        units.word_spans(text),
        units.sentence_ranges(text),
        units.paragraph_ranges(text),
        units.line_ranges(text),
    ):
        edges = [edge for span in spans for edge in span]
        assert edges == sorted(edges)
        assert all(0 <= start < stop <= len(text) and text[start:stop].strip() for start, stop in spans)


# ---------------------------------------------------------------- verdicts


@pytest.mark.parametrize("kind", [kind for kind in TYPES if "word" in kind or "reading" in kind or "bucket" in kind])
@pytest.mark.parametrize("text", [CHINESE, THAI, "これは短い文です。"])
def test_words_of_scripts_without_spaces_are_not_judged(kind: str, text: str) -> None:
    found = TYPES[kind]
    judged = found.verify(found.examples[0].params, text)
    assert judged.passed is None
    assert judged.score == 0.0
    assert "without spaces" in judged.reason


def test_sentences_are_judged_where_the_script_marks_their_ends() -> None:
    assert verdict("length_constraints:sentences_exactly", CHINESE, num_sentences=2).passed
    assert verdict("length_constraints:sentences_exactly", THAI, num_sentences=1).passed is None
    assert verdict("length_constraints:characters_at_most", CHINESE, num_characters=24, white_space="counted").passed


def test_a_few_letters_of_such_a_script_do_not_stop_the_count() -> None:
    assert verdict("length_constraints:words_exactly", "The sign reads 今天 in red ink", num_words=7).passed
    assert verdict("length_constraints:words_exactly", "abc 今天好", num_words=2).passed  # three letters of six


@pytest.mark.parametrize(("count", "passes"), [(44, False), (45, True), (55, True), (56, False)])
def test_about_means_a_tenth_either_way(count: int, passes: bool) -> None:
    assert verdict("length_constraints:words_about", "word " * count, num_words=50).passed is passes
    assert (
        verdict("length_constraints:reading_time", "word " * count, seconds=20, words_per_minute=150).passed is passes
    )


def test_a_tenth_of_an_odd_number_is_not_stretched() -> None:
    for count, passes in ((13, False), (14, True), (16, True), (17, False)):
        assert verdict("length_constraints:words_about", "word " * count, num_words=15).passed is passes


BUCKETS = {
    "precise": "10:0-20 30:20-40 50:40-60 80:70-90 150:130-170 300:280-320 500:450-550 700:630-770 >800:800-",
    "flexible": "10:0-20 30:20-40 50:40-60 80:60-100 150:100-200 300:200-400 500:400-600 700:600-800 >800:800-",
}


@pytest.mark.parametrize("name", BUCKETS)
def test_buckets_leave_the_lower_bound_out_and_take_the_upper_in(name: str) -> None:
    for entry in BUCKETS[name].split():
        target, _, bounds = entry.partition(":")
        low, _, high = bounds.partition("-")
        kind = f"length_bucket:{name}"
        if int(low):
            assert not verdict(kind, "a " * int(low), target=target).passed
        assert verdict(kind, "a " * (int(low) + 1), target=target).passed
        if high:
            assert verdict(kind, "a " * int(high), target=target).passed
            assert not verdict(kind, "a " * (int(high) + 1), target=target).passed


def test_buckets_count_runs_of_word_characters() -> None:
    assert not verdict("length_bucket:precise", "up-to-date " * 7, target="10").passed
    assert verdict("length_constraints:words_exactly", "up-to-date " * 7, num_words=7).passed


def test_a_failure_says_by_how_much_and_shows_what_is_too_much() -> None:
    reply = "One two three. Four five."
    over = verdict("length_constraints:words_at_most", reply, num_words=3)
    assert (over.miss, pieces(reply, over.spans)) == (2, ["Four five."])
    assert "5 words" in over.reason
    under = verdict("length_constraints:words_between", reply, least=7, most=9)
    assert (under.miss, under.spans) == (-2, ())
    long = verdict("length_constraints:longest_sentence", reply, num_words=2)
    assert (long.miss, pieces(reply, long.spans)) == (1, ["One two three."])
    text = verdict("length_constraints:characters_at_most", "abcde\n", num_characters=3, white_space="counted")
    assert (text.miss, text.spans) == (2, ((3, 5),))


@pytest.mark.parametrize("kind", ["words_exactly", "sentences_exactly", "paragraphs_exactly"])
def test_the_score_rises_as_the_count_comes_nearer(kind: str) -> None:
    unit = {"words_exactly": "word ", "sentences_exactly": "We go. ", "paragraphs_exactly": "We go.\n\n"}[kind]
    name = next(iter(TYPES[f"length_constraints:{kind}"].parameters))
    scores = [verdict(f"length_constraints:{kind}", unit * n, **{name: 6}).score for n in range(1, 12)]
    assert scores[:6] == sorted(set(scores[:6]))
    assert scores[5:] == sorted(set(scores[5:]), reverse=True)
    assert scores[5] == 1.0


def test_a_rule_for_every_part_fails_where_there_is_none() -> None:
    assert verdict("length_constraints:longest_sentence", "# Only a heading", num_words=9).passed is False
    assert verdict("length_constraints:shortest_paragraph", "---", num_words=1).passed is False
    assert verdict("length_constraints:section_words", "Plenty of words but no heading.", num_words=1).passed is False


def test_at_most_is_vacuous_without_anything_to_count() -> None:
    assert verdict("length_constraints:words_at_most", "***", num_words=5).vacuous
    assert not verdict("length_constraints:words_at_most", "Yes.", num_words=5).vacuous


def test_bounds_the_wrong_way_round_are_an_error() -> None:
    for kind in ("length_constraints:words_between", "lines:between"):
        with pytest.raises(VerifierError, match="range"):
            verdict(kind, "Text.", least=9, most=3)


def test_impossible_parameters_are_refused() -> None:
    for kind, params in (
        ("length_constraints:words_exactly", {"num_words": 0}),
        ("length_bucket:precise", {"target": "20"}),
        ("length_constraints:characters_at_most", {"num_characters": 9, "white_space": "maybe"}),
    ):
        with pytest.raises(VerifierError):
            TYPES[kind].validated(params)


def test_crlf_changes_no_verdict() -> None:
    reply = "# Tea\n\nBoil it. Wait.\nDrink.\n\n- one more\n"
    for kind in extent.TYPES:
        for example in kind.examples:
            assert (
                kind.verify(example.params, reply).passed
                == kind.verify(example.params, reply.replace("\n", "\r\n")).passed
            )


# ---------------------------------------------------------------- repairs

PROSE = (
    "The ferry leaves at noon. It takes an hour, and the view is good. Bring a coat; the deck is windy.\n\n"
    "Tickets are sold on board. Children travel free of charge."
)


def test_words_are_thinned_by_leaving_out_whole_sentences() -> None:
    fixed = repaired("length_constraints:words_exactly", PROSE, num_words=19)
    assert fixed is not None
    kept = [piece.strip() for piece in fixed.replace("\n\n", " ").replace(". ", ".|").split("|")]
    assert kept[0] == "The ferry leaves at noon."
    assert all(piece in PROSE for piece in kept)
    assert repaired("length_constraints:words_exactly", PROSE, num_words=400) is None


def test_joined_clauses_become_sentences() -> None:
    fixed = repaired("length_constraints:sentences_exactly", PROSE, num_sentences=7)
    assert fixed is not None
    assert "It takes an hour. And the view is good. Bring a coat. The deck is windy." in fixed


def test_wrapping_keeps_every_word() -> None:
    fixed = repaired("lines:width", "- " + PROSE, num_characters=30)
    assert fixed is not None
    assert fixed.split() == ("- " + PROSE).split()
    assert max(map(len, fixed.split("\n"))) <= 30
    assert repaired("lines:width", "w" * 31, num_characters=30) is None


def test_thin_paragraphs_are_joined() -> None:
    assert (
        repaired("length_constraints:shortest_paragraph", "A b c d.\n\nE f.\n\nG.", num_words=3)
        == "A b c d.\n\nE f. G."
    )


def test_what_cannot_be_judged_is_not_repaired() -> None:
    assert repaired("length_constraints:words_at_most", CHINESE, num_words=2) is None


def test_a_passing_reply_is_returned_as_it_is() -> None:
    assert repaired("length_constraints:words_at_most", PROSE, num_words=90) == PROSE


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=12), st.integers(1, 60))
def test_thinning_finds_a_sum_exactly_when_there_is_one(counts: list[int], wanted: int) -> None:
    reply = " ".join(" ".join(["Word"] + ["word"] * (count - 1)) + "." for count in counts)
    sums = {counts[0]}
    for count in counts[1:]:
        sums |= {one + count for one in sums}
    fixed = extent_repair.thinned(reply, wanted, wanted)
    assert (fixed is not None) == (wanted in sums)
    assert fixed is None or extent_repair.words_of(fixed) == wanted


def test_hostile_text_takes_linear_time() -> None:
    """Four times the text may take little more than four times as long; a quadratic step would take sixteen times."""
    for piece in ("a", "(e.g. ", "# x\n", "e\u0301\u0315", "-.", "x\n\n"):
        took = []
        for size in (30_000, 120_000):
            reply = piece * (size // len(piece))
            start = time.process_time()
            for kind in ("length_constraints:longest_sentence", "lines:width", "length_constraints:shortest_paragraph"):
                found = TYPES[kind]
                assert found.verify(found.examples[0].params, reply).passed is not None
            took.append(time.process_time() - start)
        assert took[1] < 9 * took[0] + 0.2, piece
