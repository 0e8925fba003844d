"""Tokens and sentences, rule by rule: what the Penn Treebank's tokens and Punkt's sentences are in short texts."""

from __future__ import annotations

import pytest

from adhere.verify.text import capital_words, carries_meaning, content_words, sentences, word_tokenize


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("He said ``go'' now", "He said `` go '' now"),
        ("'Tis true, 'twas so; 'TWAS not.", "'T is true , 't was so ; 'T WAS not ."),
        ("a 'tissue 'twasp", "a 'tissue 'twasp"),
        ("I cannot CANNOT scannot cannots", "I can not CAN NOT scannot cannots"),
        ("D'ye know? bad'ye d'yes", "D 'ye know ? bad'ye d'yes"),
        ("gimme lemme GIMME gimmes agimme", "gim me lem me GIM ME gimmes agimme"),
        ("gonna GONNA gonnas agonna", "gon na GON NA gonnas agonna"),
        ("gotta GOTTA gottas agotta", "got ta GOT TA gottas agotta"),
        ("more'n MORE'N amore'n more'nx", "more 'n MORE 'N amore'n more'nx"),
        ("wanna WANNA swanna wannas", "wan na WAN NA swanna wannas"),
        ("He said 'hello there' to me", "He said 'hello there ' to me"),
        ("the boys' toys", "the boys ' toys"),
        ("vitamin 'c and 'C and 'cd, 'M", "vitamin ' c and ' C and 'cd , 'M"),
        ("a:b 3:4 5,6 x,y end:", "a : b 3:4 5,6 x , y end :"),
        ("Wait... what?? 50% #1 @me $5 & co; fine", "Wait ... what ? ? 50 % # 1 @ me $ 5 & co ; fine"),
        ("a--b ---", "a -- b -- -"),
        ("* x *y*", "* x * y *"),
        ('"a" b "c" ("d")', "`` a '' b `` c '' ( `` d '' )"),
        ("(''d)", "( `` d )"),
        (
            "\u00aba\u00bb \u201cb\u201d \u2018c\u2019 \u201ed\u201c",
            "\u00ab a \u00bb \u201c b \u201d \u2018 c \u2019 \u201e d \u201c",
        ),
        ("[x] {y} <z> (w)", "[ x ] { y } < z > ( w )"),
        ("it's I'LL they'VE don't DON'T we're", "it 's I 'LL they 'VE do n't DO N'T we 're"),
        ("he'd I'm HE'S THEY'RE we'll", "he 'd I 'm HE 'S THEY 'RE we 'll"),
        ("Mr. A.", "Mr. A ."),
        ("rock 'n roll", "rock 'n roll"),
        ("go.''", "go . ''"),
        ("a.b.c.", "a.b.c ."),
        ("That was it.) ", "That was it . )"),
        ("(U.S.A.) X.", "( U.S.A. ) X ."),
        ("We saw it.\u2019", "We saw it . \u2019"),
        ("..", ".."),
    ],
)
def test_tokens(text: str, expected: str) -> None:
    assert " ".join(word_tokenize(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The U.S.A.", ["U.S.A"]),
        ("(U.S.A.) X.", ["U.S.A.", "X"]),
        ("I say I. I.", ["I", "I.", "I"]),
        ("O'NEIL X-RAY 3D A1. B2. 12", ["O'NEIL", "X-RAY", "3D", "A1", "B2"]),
        ("NASA. Esa and NATO.", ["NASA", "NATO"]),
        ("DON'T! I'M here", ["DO", "N'T", "I", "'M"]),
    ],
)
def test_tokens_in_capitals(text: str, expected: list[str]) -> None:
    assert list(capital_words(text)) == expected
    assert [token for token in word_tokenize(text) if token.isupper()] == expected


@pytest.mark.parametrize(
    "text",
    [
        "He paid $5.|30 people came.",
        "See no.|5 there.",
        "It costs -.5.|Then 3 more.",
        "A. Smith left.|B. is here.",
        "C. and D. went.",
        "He left .|.|.|and came.",
        "Wait... what?|No.",
        "Wait...|The end.|No.",
        "Stop.--Go on.",
        "Stop.|--Go on.",
        'He said "Go."|Then left.',
        "(He left.)|She stayed.",
        "It rained.|(He left.)|She stayed.",
        "I like e.g.|tea.|And co. is here.",
        "The semi-gov.|The man left.",
        "The vice-gen. Smith left.",
        "The vice-gen.|The man left.",
        "We met Prof. Smith.|He left.",
        "At 5 p.m.|The man left.",
        "at 5 p.m. we left.",
        "in the U.S. Bank of it",
        "In the U.S.|The law",
        "Oh!|yes.|no",
        "Hi !|!|There.|; x",
        "Is it 5?|6.|7.",
        "Go there,and.|Now",
        "a.. b... C",
        "Yes.'|No.",
        "Dr.\nSmith went.",
        'He said so... "Yes" then.',
        "Version 2.0.|Then.",
        "on Jan. 5. then",
        "on Jan. 5.|Then",
        "Is that 3.14?|yes.",
        "vs. Them.|etc.|The",
        "the Inc. they",
        "Ph.D. students.|M.D.|They",
        "ok.|So it is.",
        "a 5. b",
        "an A. b",
    ],
)
def test_sentences_end_where_punkt_ends_them(text: str) -> None:
    expected = text.split("|")
    assert sentences(" ".join(expected)) == expected


def test_a_word_carries_meaning_from_four_letters_on() -> None:
    assert [word for word in ("cat", "lamp", "with", "With", "river") if carries_meaning(word)] == ["lamp", "river"]
    assert carries_meaning("cat", 3)
    assert not carries_meaning("the", 3)


def test_content_words_are_plain_letters() -> None:
    assert content_words("Rivers rivers caf\u00e9s r2d2x 1234 STONE_S stone") == ["rivers", "stone"]
