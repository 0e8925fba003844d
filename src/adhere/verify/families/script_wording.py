"""How constraints on script, marks, digits and emoji are asked for; held-out phrasings never reach training data.

The frames are those of `vocabulary_wording`; to these come phrasings that only one type has.
"""

from __future__ import annotations

from collections.abc import Sequence

from adhere.verify.families.vocabulary_wording import framed, kept_back, phrased
from adhere.verify.wording import bounds, counted, listed, ordinal

_NAMES = {
    "Han": "Chinese characters",
    "Hangul": "Korean letters (Hangul)",
    "Japanese": "Japanese characters (kana and kanji)",
    "Hiragana": "hiragana",
    "Katakana": "katakana",
}

ONLY = phrased(
    "Letters allowed: {letters}, and none besides.",
    "Type all of it in {letters}, foreign names included.",
    "No letter of another alphabet than {letters} may slip in.",
)
ONLY_HELDOUT = kept_back("My keyboard has nothing but {letters}, so that is all I can proofread.")


def letters_of(script: str) -> str:
    """What the letters of a script are called in an instruction."""
    return _NAMES.get(script, f"{script} letters")


def only(script: str) -> dict[str, str]:
    """One script for all letters."""
    letters = letters_of(script)
    return framed(
        f"use only {letters}",
        f"all of its letters are {letters}",
        f"no letters other than {letters} are to be seen",
        letters=letters,
    )


SHARE = phrased(
    "Share of {letters} among all letters: {percent} percent or more.",
    "Write mostly in {letters}; {percent} percent of all letters is the least.",
    "Other letters may be used as long as {percent} percent are {letters}.",
)
SHARE_HELDOUT = kept_back("Out of a hundred letters, {percent} or more should come out as {letters}.")


def share(script: str, percent: int) -> dict[str, str]:
    """A share of the letters in one script."""
    letters = letters_of(script)
    return framed(
        f"write at least {percent} percent of all letters as {letters}",
        f"at least {percent} percent of its letters are {letters}",
        f"{letters} account for {percent} percent of it or more",
        letters=letters,
        percent=str(percent),
    )


LEFTWARDS = phrased(
    "Choose a language that is written from right to left, such as Arabic or Hebrew.",
    "The lines should run from right to left.",
)
LEFTWARDS_HELDOUT = kept_back("A reader ought to begin at the right edge of the page and move to the left one.")
LEFTWARDS_WORDS = framed(
    "write in a script that runs from right to left",
    "it is written in a script that runs from right to left",
    "its first letter and most others belong to a script that starts at the right",
)

ASCII = phrased(
    "Plain ASCII only, which rules out accents, curly quotes, long dashes and emojis.",
    "An old terminal will show the text, and it knows nothing beyond ASCII.",
)
ASCII_HELDOUT = kept_back("Each character has to have a code below 128.")
ASCII_WORDS = framed(
    "use ASCII characters only",
    "every character in it is an ASCII character",
    "nothing outside the ASCII table is to be found",
)

ASCII_MARKS = phrased(
    "For punctuation, take the marks on an English keyboard; no curly quotes, long dashes or ellipsis signs.",
    "Typographic marks are unwelcome: straight quotes, hyphens and three periods will do.",
)
ASCII_MARKS_HELDOUT = kept_back(
    "My parser chokes on curly apostrophes, guillemets and dashes, so avoid marks like these."
)
ASCII_MARKS_WORDS = framed(
    "use no punctuation marks other than ASCII ones",
    "all punctuation marks in it are ASCII characters",
    "it gets by with the punctuation marks of plain ASCII",
)

QUOTES = phrased(
    "Quotation marks to use, at least once: {marks}.",
    "Where you quote, and you should quote at least once, use {marks}.",
    "Wrap at least one expression in {marks} and let no other double quotes appear.",
)
QUOTES_HELDOUT = kept_back("House style for anything quoted is {marks}; I expect to see it applied.")
_QUOTES = {
    "straight": 'straight quotation marks (" ")',
    "curly": "curly quotation marks (\u201c \u201d)",
    "angle": "angle quotation marks (\u00ab \u00bb)",
}


def quotes(style: str) -> dict[str, str]:
    """A style of double quotation marks."""
    marks = _QUOTES[style]
    return framed(
        f"put at least one expression in {marks} and use no other kind of double quotes",
        f"something in it is quoted, and only with {marks}",
        f"its quotations, one or more, all stand in {marks}",
        marks=marks,
    )


DIGITS = phrased(
    "Digits to use for every number: {digits}.",
    "Give at least one number, and write all numbers with these digits: {digits}.",
    "Where a number occurs, and one should, its digits are {kind} ones ({digits}).",
)
DIGITS_HELDOUT = kept_back("Of all ways to write a numeral, I accept {digits}; show me one or more.")


def digits(kind: str, written: str) -> dict[str, str]:
    """Numbers in the digits of one kind, which are given."""
    return framed(
        f"use at least one number, and write numbers in {kind} digits ({written}) only",
        f"it has a number, and every digit in it is {'an' if kind[0] in 'A' else 'a'} {kind} one ({written})",
        f"there are numbers in it whose digits all come from {written}",
        kind=kind,
        digits=written,
    )


ROMAN = phrased(
    "Numbers in Roman numerals, as in XIV or MCMXC: {n} or more, each of two letters or longer.",
    "Arabic numerals are out; show {n} or more Roman ones of two letters or longer.",
    "I want to find {n} or more numerals like VII or XL, and no digits.",
)
ROMAN_HELDOUT = kept_back(
    "Count as the Romans did: {n} or more numerals such as XII, and not one of the figures 0 to 9."
)


def roman(number: int) -> dict[str, str]:
    """At least so many Roman numerals, and no digits."""
    several = counted(number)
    return framed(
        f"use at least {number} Roman numeral{several['s']} of two or more letters and no digits",
        f"it has at least {number} Roman numeral{several['s']} of two or more letters and no digits",
        f"{number} or more numerals of the Roman kind, two letters or longer, occur and digits do not",
        **several,
    )


PARAGRAPHS = phrased(
    "Languages, paragraph by paragraph: {commas}.",
    "The text is a row of {n} paragraphs in {commas}, in that order.",
    "Separate {n} paragraphs by blank lines; their languages are {commas}.",
)
PARAGRAPHS_HELDOUT = kept_back("Readers of {readers} get a paragraph each, in that sequence, and nobody else does.")


def paragraphs(names: Sequence[str]) -> dict[str, str]:
    """A language for each paragraph."""
    each = [f"the {ordinal(at)} in {name}" for at, name in enumerate(names, 1)]
    said = listed(each, quote="")
    return framed(
        f"write {len(names)} paragraphs, {said}",
        f"it consists of {len(names)} paragraphs, {said}",
        f"it has {len(names)} paragraphs and no more, {said}",
        commas=", ".join(names),
        readers=listed(names, quote=""),
        n=str(len(names)),
    )


EMOJI = phrased(
    "What should come with the text: {plain}.",
    "Counting every emoji, there should be {bound}.",
    "Let {bound} go with the text.",
)
EMOJI_HELDOUT = kept_back("Somebody counts the little pictures and wants to arrive at {cap}.")


def emoji(relation: str, number: int) -> dict[str, str]:
    """A number of emojis."""
    said = bounds(relation, number, "emoji", "emojis")
    return framed(f"use {said['bound']}", f"it contains {said['bound']}", f"it shows {said['edge']}", **said)


NO_EMOJI = phrased(
    "Emojis are not welcome here.",
    "No smileys, hearts or other little pictures, please.",
)
NO_EMOJI_HELDOUT = kept_back("Say it in words alone, since pictures such as \U0001f600 will be dropped on the way.")
NO_EMOJI_WORDS = framed(
    "leave out emojis",
    "there is no emoji in it",
    "it is free of emojis",
)
