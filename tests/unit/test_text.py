from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adhere.verify import languages
from adhere.verify.languages import known_languages, language_of
from adhere.verify.pieces import paragraphs, regroup
from adhere.verify.punkt import sentence_spans
from adhere.verify.rewriting import append_sentence, cut_to_fit, drop_sentences, to_last_sentence
from adhere.verify.subject import key_phrases, nouns, titles
from adhere.verify.text import capital_words, content_words, sentences, word_tokenize, words
from adhere.verify.wording import bounds, listed, ordinal


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("don't", 2),
        ("state-of-the-art", 4),
        ("$3.50 1,000", 4),
        ("snake_case", 1),
        ("naïve café", 2),
        (" \n\t", 0),
    ],
)
def test_words_are_runs_of_word_characters(text: str, expected: int) -> None:
    assert len(words(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Dr. Smith left. He ran.", ["Dr. Smith left.", "He ran."]),
        ("Wait... what? Yes!", ["Wait... what?", "Yes!"]),
        ("e.g. this. i.e. That.", ["e.g.", "this.", "i.e.", "That."]),
        ("1. First\n2. Second", ["1.", "First\n2.", "Second"]),
        ("one line\nanother line\n\nno mark at all", ["one line\nanother line\n\nno mark at all"]),
        ('He said "Go." Then he left.', ['He said "Go."', "Then he left."]),
        ("It costs 3.5 dollars. Cheap!", ["It costs 3.5 dollars.", "Cheap!"]),
        ("I met J. Harper in Boston.", ["I met J. Harper in Boston."]),
        ("It was 5 p.m. When the bell rang we left.", ["It was 5 p.m.", "When the bell rang we left."]),
        ("(All done.) Next one.", ["(All done.)", "Next one."]),
        ("", []),
    ],
)
def test_sentences_follow_punkt(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


def test_sentence_spans_do_not_overlap_and_cover_every_letter() -> None:
    text = 'Mr. Lee (the "boss") came. "Late," he said... Then? No! 3. Done'
    spans = sentence_spans(text)
    assert all(first[1] <= second[0] for first, second in pairwise(spans))
    covered = "".join(text[start:stop] for start, stop in spans)
    assert covered.replace(" ", "") == text.replace(" ", "")


def test_word_tokenize_splits_clitics_and_final_periods() -> None:
    assert word_tokenize("NASA's IBM-PC U.S.A.") == ("NASA", "'s", "IBM-PC", "U.S.A", ".")
    assert word_tokenize('I can\'t say "no" (yet).') == (
        *("I", "ca", "n't", "say", "``", "no", "''", "(", "yet", ")", "."),
    )
    assert word_tokenize("cannot gimme 'tis") == ("can", "not", "gim", "me", "'t", "is")


def test_capital_words_need_a_letter() -> None:
    assert capital_words("I saw COVID-19 in 2024 at A 3D Show") == ("I", "COVID-19", "A", "3D")


def test_language_is_none_without_letters_and_settled_with() -> None:
    assert language_of("123 !!") is None
    text = "Das Wetter ist heute sehr schön und wir gehen spazieren."
    assert [language_of.__wrapped__(text) for _ in range(5)] == ["de"] * 5
    assert {"en", "de", "zh-cn"} <= known_languages()


def test_content_words_leave_out_stop_words_and_repeats() -> None:
    assert content_words("Write a poem about the Ocean and the ocean breeze.") == ["poem", "ocean", "breeze"]


def test_regroup_splits_and_merges_without_losing_words() -> None:
    reply = "One here. Two here. Three here.\n\nFour here."
    for number in (1, 2, 3, 4):
        parts = regroup(reply, number)
        assert parts is not None
        assert len(parts) == number
        assert words(" ".join(parts)) == words(reply)
    assert regroup(reply, 5) is None
    assert regroup("", 2) is None


def test_paragraphs_end_at_blank_lines_and_rules() -> None:
    assert paragraphs("a\n\n***\n\nb\n \nc***d\n") == ["a", "b", "c", "d"]


def test_drop_sentences_keeps_list_numbers_with_their_sentence() -> None:
    reply = "1. Buy milk.\n2. Sell cheese.\n3. Eat bread."
    assert drop_sentences(reply, lambda piece: "cheese" in piece) == "1. Buy milk.\n3. Eat bread."
    assert drop_sentences("Cheese is good.", lambda piece: "Cheese" in piece) is None


def test_cut_to_fit_ends_at_a_sentence() -> None:
    reply = "One two three. Four five six. Seven eight."
    assert cut_to_fit(reply, lambda text: len(words(text)) < 7) == "One two three. Four five six."
    assert cut_to_fit(reply, lambda text: len(words(text)) < 2) is None


def test_append_sentence_goes_below_a_list() -> None:
    assert append_sentence("A start", "An end.") == "A start. An end."
    assert append_sentence("- one\n- two", "An end.") == "- one\n- two\n\nAn end."


def test_wording_of_bounds() -> None:
    assert bounds("at least", 1, "word", "words")["bound"] == "at least 1 word"
    assert bounds("less than", 40, "word", "words")["cap"] == "no more than 39 words"
    assert bounds("less than", 2, "word", "words")["edge"] == "a maximum of 1 word"
    assert listed(["a", "b", "c"], "or") == '"a", "b" or "c"'
    assert [ordinal(n) for n in (1, 10, 11, 21, 112)] == ["first", "tenth", "11th", "21st", "112th"]


def test_append_sentence_keeps_quotations_verse_and_code_apart() -> None:
    assert append_sentence('"All is well."', "Good night.") == '"All is well. Good night."'
    assert append_sentence('He said "Go." Then "Stay."', "Good night.") == 'He said "Go." Then "Stay." Good night.'
    assert append_sentence("A rose is red\nA tree is tall", "The end.") == "A rose is red\nA tree is tall\n\nThe end."
    assert append_sentence('```json\n{"a": 1}\n```', "The end.") == '```json\n{"a": 1}\n```\n\nThe end.'


@pytest.mark.parametrize(
    ("reply", "expected"),
    [
        ("One is done. Two is do", "One is done."),
        ("One is done. Two is done.", "One is done. Two is done."),
        ("All is said.\n", "All is said."),
        ("Ask Dr. Smith about it now. He will kn", "Ask Dr. Smith about it now."),
        ("It costs 3.5 dollars a kilo. That is 2.", "It costs 3.5 dollars a kilo. That is 2."),
        ("1. Wash the plums well.\n2. Dry the plums wi", "1. Wash the plums well."),
        ("1. Wash the plums well.\n2.", "1. Wash the plums well."),
        ("Take these:\n\n* a tent\n* a lamp\n* a sleeping ba", "Take these:\n\n* a tent\n* a lamp"),
        ("Wash it. Dry it. Store it.\n\nTips:\n\n* Use co", "Wash it. Dry it. Store it."),
        ("Wash it. Dry it. Store it.\n\n## Tips", "Wash it. Dry it. Store it."),
        ("Roses are red\nViolets are blue\nSugar is", "Roses are red\nViolets are blue"),
        ('He was calm. He said, "Go home. It is la', 'He was calm. He said, "Go home."'),
        ('"It is late. We should go. The bus le', '"It is late. We should go."'),
        ('He said, "It is late."', 'He said, "It is late."'),
        ("This is **very important.** And th", "This is **very important.**"),
        ("Run this:\n```python\na = 1\nb = a +", "Run this:\n```python\na = 1\n```"),
        ("Run this. It prints one.\n\n```python\na =", "Run this. It prints one."),
        ("Run this:\n```\na = 1\n```\nIt prints one. Then i", "Run this:\n```\na = 1\n```\nIt prints one."),
        ("no end mark anywhere in this text", "no end mark anywhere in this text"),
        ("Yes. And then comes a sentence so long that the rest of it is most of the te", None),
        ("", ""),
        (" \n", ""),
    ],
)
def test_a_reply_cut_at_the_limit_loses_its_unfinished_end(reply: str, expected: str | None) -> None:
    assert to_last_sentence(reply) == (reply if expected is None else expected)


@pytest.mark.parametrize(
    ("instruction", "title"),
    [
        ("Why do onions make us cry, and can anything be done about it?", "Why Onions Make Us Cry"),
        ("How do I get red wine out of a white tablecloth?", "How to Get Red Wine out of a White Tablecloth"),
        ("Please write a short story about two brave sisters who save a goat.", "Two Brave Sisters"),
        (
            "Explain the difference between baking soda and baking powder.",
            "The Difference Between Baking Soda and Baking Powder",
        ),
        ("List simple experiments that can be done with vinegar.", "Simple Experiments"),
        ("Is chess a sport?", "Is Chess a Sport?"),
        ("Sum up the passage below.", "A Short Summary"),
    ],
)
def test_titles_come_from_the_instruction(instruction: str, title: str) -> None:
    found = titles(instruction)
    assert found[0].startswith(title)
    assert "," not in found[0]
    assert len(found[0].split()) <= 10
    assert len(set(found)) > 10


def test_nouns_and_phrases_worth_stressing() -> None:
    assert nouns("Write a letter to the new neighbour about noise.") == ["letter", "neighbour", "noise"]
    text = "The old lighthouse is gone. People like the salty wind and [name]."
    stressed = [text[start:stop] for start, stop in key_phrases(text)]
    assert set(stressed[:2]) == {"old lighthouse", "salty wind"}
    assert "name" not in stressed


@given(st.text(alphabet="AbZ Iis.'\"-,:)!?*` \nÉé3&", max_size=60))
def test_capital_words_are_the_upper_case_tokens(text: str) -> None:
    whole = [token for token in word_tokenize(text) if token.isupper()]
    assert [one.rstrip(".") for one in capital_words(text)] == [one.rstrip(".") for one in whole]


@given(st.text(alphabet="aäé漢字かなカ한글אбвAB \n.-İßșťạ\u0301!@. http://x.y ", max_size=80))
def test_languages_are_those_of_langdetect_to_the_last_bit(text: str) -> None:
    from langdetect.lang_detect_exception import LangDetectException

    detector = languages._factory().create()
    detector.append(text)
    try:
        label, chances = detector.detect(), detector.langprob
    except LangDetectException:
        label, chances = None, []
    assert languages.language_probabilities(text) == chances
    assert languages.language_of(text) == label
