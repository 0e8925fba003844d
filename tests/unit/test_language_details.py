"""Chosen texts on which the language must be read exactly as langdetect reads it."""

from __future__ import annotations

import pytest

from adhere.verify import languages

GERMAN = "Das alte Haus steht am Rand der Stadt und niemand wohnt mehr darin."
DUTCH = "Het oude huis staat aan de rand van de stad en niemand woont er nog."
NORWEGIAN = "Det gamle huset ligger ved utkanten av byen, og ingen bor der lenger."
DANISH = "Det gamle hus ligger i udkanten af byen, og ingen bor der længere."
SPANISH = "La vieja casa está al borde de la ciudad y ya nadie vive en ella."
PORTUGUESE = "A velha casa fica na beira da cidade e ninguém mora mais nela."
RUSSIAN = "Старый дом стоит на краю города, и в нём больше никто не живёт."
CHINESE = "老房子在城市的边上，没有人住在里面。"
VIETNAMESE = "Ngôi nhà cũ nằm ở rìa thành phố và không còn ai sống ở đó nữa."
SENTENCES = (GERMAN, DUTCH, NORWEGIAN, DANISH, SPANISH, PORTUGUESE, RUSSIAN, CHINESE, VIETNAMESE)

DECOMPOSED = (
    "Nga\u0300y mai tro\u031b\u0300i co\u0301 the\u0302\u0309 mu\u031ba, ba\u0323n nho\u031b\u0301 mang theo o\u0302."
)
TEXTS = (
    *SENTENCES,
    *(f"{one} {other}" for one in SENTENCES for other in SENTENCES if one < other),
    *(f"{one[:20]} {other[:30]}" for one in SENTENCES for other in SENTENCES if one != other),
    *(one[:12] for one in SENTENCES),
    "taxi radio hotel",
    "no se la de a",
    DECOMPOSED,
    f"{RUSSIAN} A z [\\]^_` AZaz",
    f"{RUSSIAN} {GERMAN[:10]}",
    f"{RUSSIAN[:20]} {GERMAN[:14]}",
    f"{RUSSIAN[:12]} abcde z A",
    "\u0434\u0430 a \u0434\u0430",
    "\u0434\u0430z\u0434\u0430 \u0434\u0430A\u0434\u0430",
    "да нет abcd",
    "\u1ea1\u1ea3\u1ea5 abc \u1ed9\u1ed1 ab",
    "\u1ea1\u1ea3\u1ea5\u1ed9\u1ed1\u1ea1\u1ea3\u1ea5\u1ed9\u1ed1 abc",
    "so   much    space   here    and  there",
    "see https://example.org/abc?d=e or mail to some.body@example.org for it",
    "Donaudampfschifffahrtsgesellschaftskapitaen " * 3,
    "rindfleischetikettierungsueberwachung " + "a" * 31 + " " + "b" * 32 + " " + "c" * 33,
    "NASA und ESA fliegen zum Mond und GEHEN dort spazieren",
    (DUTCH + " ") * 200,
    DUTCH * 120 + GERMAN * 300,
    "1 2 3",
    " ",
)


@pytest.mark.parametrize("number", range(len(TEXTS)))
def test_the_language_is_that_of_langdetect(number: int) -> None:
    from langdetect.lang_detect_exception import LangDetectException

    text = TEXTS[number]
    detector = languages._factory().create()
    detector.append(text)
    try:
        label, chances = detector.detect(), detector.langprob
    except LangDetectException:
        label, chances = None, []
    assert languages.language_probabilities(text) == chances
    assert languages.language_of(text) == label


def test_the_profiles_are_those_of_the_package() -> None:
    assert languages.SEED == 0
    assert {"af", "cs", "en", "zh-cn", "zh-tw"} <= languages.known_languages()
    assert len(languages.known_languages()) == 55
