"""How the constraints on letters and case are asked for; the held-out phrasings never reach training data.

The frames are those of `vocabulary_wording`; to these come phrasings that only one type has.
"""

from __future__ import annotations

from collections.abc import Sequence

from adhere.verify.families.vocabulary_wording import framed, kept_back, phrased
from adhere.verify.wording import counted, listed

TITLE_CASE = phrased(
    "Title Case throughout: every single word starts with a capital, the small ones too.",
    "Write Like This, With A Capital At The Start Of Each Word.",
)
TITLE_CASE_HELDOUT = kept_back("Treat the whole text as if it were a heading in which no word may start small.")
TITLE_CASE_WORDS = framed(
    "begin every word with a capital letter",
    "every word in it begins with a capital letter",
    "there is not one word that starts small",
)

ALTERNATING = phrased(
    "Words in capitals and words in small letters take turns, and the first is {first}.",
    "Pattern for the words: {pattern}, and so on to the end.",
    "Start with a word that is {first} and switch with each word that follows.",
)
ALTERNATING_HELDOUT = kept_back("Like steps on a staircase, {pattern}: that is how the words should change their size.")


def alternating(first: str) -> dict[str, str]:
    """Words by turns in capitals and in small letters."""
    one, other = ("in capitals", "in small letters")[:: 1 if first == "upper" else -1]
    pattern = ("BIG small BIG small", "small BIG small BIG")[first != "upper"]
    return framed(
        f"write the words by turns {one} and {other}, the first {one}",
        f"its words are by turns {one} and {other}, beginning {one}",
        f"each second word is {other} and all the rest are {one}",
        first=one,
        pattern=pattern,
    )


SENTENCE_CASE = phrased(
    "Capitals stand at the start of sentences only, so that even names and the word I are small.",
    "One capital per sentence, namely its first letter.",
)
SENTENCE_CASE_HELDOUT = kept_back("Press shift once for each sentence, at its very first letter, and never again.")
SENTENCE_CASE_WORDS = framed(
    "write the first letter of each sentence as a capital and every other letter small, names included",
    "each sentence begins with a capital and has no other one, not even in names",
    "a capital opens each sentence and no second one follows in it",
)

NO_SHOUTING = phrased(
    "Words in full capitals are out, be it for stress or as abbreviations.",
    "Do not shout: after its first letter, a word should not go on in capitals only.",
)
NO_SHOUTING_HELDOUT = kept_back(
    "Even an acronym is to be written like a name, with its first letter alone in capitals."
)
NO_SHOUTING_WORDS = framed(
    "write no word of two or more letters in all capitals, abbreviations included",
    "no word of two or more letters stands in all capitals, not even an abbreviation",
    "nothing longer than a single letter is all capitals",
)

NAMED = phrased(
    "Words to be put in capitals each time they are used: {commas}.",
    "In capitals, and at least once each: {upper}.",
    "Use {quoted}, but only ever written as {upper}.",
)
NAMED_HELDOUT = kept_back("What should catch the eye is {upper}, so type {quoted} that way and leave none of them out.")


def named(keywords: Sequence[str]) -> dict[str, str]:
    """Words that are always in capitals."""
    each = listed(keywords)
    return framed(
        f"use {each}, each time in capital letters",
        f"{each} can be found in it and always in capital letters",
        f"{each} appear there and stand in capitals wherever they do"
        if len(keywords) > 1
        else f"{each} appears there and stands in capitals wherever it does",
        commas=", ".join(keywords),
        quoted=each,
        upper=", ".join(keyword.upper() for keyword in keywords),
    )


SHARE = phrased(
    "Share of capitals among all letters: {bound}.",
    "Of all letters, {bound} should be capitals.",
    "Capitals should make up {bound} of the letters.",
)
SHARE_HELDOUT = kept_back("Divide the capitals by all letters and the result should lie in a window: {cap}.")


def share(least: int, most: int) -> dict[str, str]:
    """A share of capitals in percent."""
    if least == 0:
        bound, cap = f"at most {most} percent", f"no higher than {most} in a hundred"
    elif most == 100:
        bound, cap = f"at least {least} percent", f"no lower than {least} in a hundred"
    else:
        bound, cap = f"between {least} and {most} percent", f"from {least} to {most} in a hundred"
    return framed(
        f"write {bound} of the letters as capitals",
        f"{bound} of its letters are capitals",
        f"the capitals among its letters number {cap}",
        bound=bound,
        cap=cap,
    )


ALL_START = phrased(
    "Nothing but words that start with {letter}: that is the game.",
    'Allowed are words with "{letter}" as their first letter, and no others.',
    "Initial letter of each word: {letter}.",
)
ALL_START_HELDOUT = kept_back('Open the dictionary at "{letter}" and take every word of the text from there.')


def all_start(letter: str) -> dict[str, str]:
    """Every word with the same initial."""
    return framed(
        f'begin every word with the letter "{letter}"',
        f'every word in it begins with the letter "{letter}"',
        f'each word has "{letter}" as its initial',
        letter=letter,
    )


SOME_START = phrased(
    'Wanted: {n} word{s} or more with "{letter}" as the first letter.',
    'At a minimum, {n} word{s} should start with "{letter}".',
    'Let "{letter}" be the first letter of {n} or more words.',
)
SOME_START_HELDOUT = kept_back('I want to underline every word with the initial "{letter}", {n} or more of them.')


def some_start(letter: str, number: int) -> dict[str, str]:
    """A number of words with the same initial."""
    several = counted(number)
    return framed(
        f'use at least {number} word{several["s"]} beginning with "{letter}"',
        f'at least {number} word{several["s"]} in it begin{"s" if number == 1 else ""} with "{letter}"',
        f'no fewer than {number} word{several["s"]} have "{letter}" in front',
        letter=letter,
        **several,
    )


_LIKE = "big brown bears bravely balance beside bright blue boats by breezy beaches"

RUN = phrased(
    'Somewhere, {n} words in a row should share their first letter, like "{like}".',
    "Put in an alliteration of {n} words, one right after the other.",
    "A chain of {n} neighbouring words with one initial should be part of it.",
)
RUN_HELDOUT = kept_back("Make my tongue stumble once over {n} words in succession with one and the same initial.")


def run(number: int) -> dict[str, str]:
    """Neighbouring words with the same initial."""
    return framed(
        f"let at least {number} words in a row begin with the same letter",
        f"at least {number} words in a row begin with the same letter",
        f"an initial is kept up over {number} successive words or more",
        n=str(number),
        like=" ".join(_LIKE.split()[:number]),
    )


PARITY = phrased(
    "Words with an {other} number of letters are not allowed.",
    "Count the letters of each word before you use it: the number has to be {parity}.",
    "Lengths allowed for a word, in letters: {lengths} and so on.",
)
PARITY_HELDOUT = kept_back("Dividing the length of any word by two leaves {left}.")


def parity(wanted: str) -> dict[str, str]:
    """Words with an even or an odd number of letters."""
    even = wanted == "even"
    return framed(
        f"use only words that have an {wanted} number of letters",
        f"each of its words has an {wanted} number of letters",
        f"counting letters gives an {wanted} number for all words",
        parity=wanted,
        other="odd" if even else "even",
        lengths="2, 4, 6" if even else "1, 3, 5",
        left="no remainder" if even else "a remainder of one",
    )


ACROSTIC = phrased(
    "Write an acrostic on {word}: one sentence for each letter, beginning with it.",
    "The initials of your sentences are {spaced}, in that order, and there is no further sentence.",
    "Hidden in the first letters of the sentences should be the word {word}.",
)
ACROSTIC_HELDOUT = kept_back("Whoever reads just the first letter of every sentence gets {word} and nothing more.")


def acrostic(word: str) -> dict[str, str]:
    """Sentences whose initials spell a word."""
    capitals = word.upper()
    return framed(
        f"let the first letters of your sentences spell {capitals}",
        f"the first letters of its sentences spell {capitals}",
        f"its sentences open with {', '.join(capitals)} in turn",
        word=capitals,
        spaced=", ".join(capitals),
    )


PANGRAM = phrased(
    "Every letter from a to z has to be in the text.",
    "Leave no letter of the English alphabet unused.",
)
PANGRAM_HELDOUT = kept_back("Ticking off the alphabet while reading, I should have nothing left at the end.")
PANGRAM_WORDS = framed(
    "use each of the 26 letters of the alphabet at least once",
    "each of the 26 letters of the alphabet occurs in it",
    "none of the letters a to z is missing",
)

ENDINGS = phrased(
    'Final letter of each sentence: "{letter}".',
    'Right before its closing mark, every sentence has the letter "{letter}".',
    'Sentences may end in no letter other than "{letter}".',
)
ENDINGS_HELDOUT = kept_back('The last word of any sentence is one that "{letter}" finishes.')


def endings(letter: str) -> dict[str, str]:
    """Sentences that end with the same letter."""
    return framed(
        f'end every sentence with a word whose last letter is "{letter}"',
        f'the last letter of every sentence is "{letter}"',
        f'"{letter}" is the letter that each sentence closes with',
        letter=letter,
    )


DOUBLE = phrased(
    'Words like "book" or "letter", with a letter twice in a row, are not allowed.',
    "Choose words that are spelled without double letters.",
)
DOUBLE_HELDOUT = kept_back('A letter must never be its own neighbour, as it is in "moon" or "happy".')
DOUBLE_WORDS = framed(
    "use no word in which a letter stands twice in a row",
    "no letter stands twice in a row in any of its words",
    "all of its words are free of doubled letters",
)
