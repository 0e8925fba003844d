"""How the counting types are asked for; the held-out phrasings never reach training data.

Frames for rules come from `extent_wording`; here are the rules themselves, in three wordings each (`rule` and `law` for
training, `hold` held out), and phrasings that only one type has.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from adhere.verify.constraint import Params
from adhere.verify.families.extent_wording import RULE, RULE_HELDOUT


class Wording(NamedTuple):
    """A rule in three wordings, with the phrasings that only its type has."""

    rule: str
    law: str
    hold: str
    own: tuple[str, ...] = ()
    own_heldout: tuple[str, ...] = ()

    @property
    def phrasings(self) -> tuple[str, ...]:
        """All phrasings for training."""
        return (*RULE, *self.own)

    @property
    def heldout(self) -> tuple[str, ...]:
        """All held-out phrasings."""
        return (*RULE_HELDOUT, *self.own_heldout)

    def words(self, said: Callable[[Params], dict[str, str]] | None = None) -> Callable[[Params], dict[str, str]]:
        """What fills the phrasings: the three wordings, themselves filled with what `said` makes of the parameters."""

        def filled(params: Params) -> dict[str, str]:
            given = said(params) if said else {key: _text(value) for key, value in params.items()}
            texts = {"rule": self.rule, "law": self.law, "hold": self.hold}
            return given | {key: text.format(**given) for key, text in texts.items()}

        return filled


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, Sequence) and not isinstance(value, str) else str(value)


SENTENCE_RANGE = Wording(
    "every sentence has between {least} and {most} words",
    "no sentence may have fewer than {least} or more than {most} words",
    "each of the sentences runs to {least} words at the least and {most} at the most",
    ("Write sentences of {least} to {most} words each.", "Words in every sentence: {least} to {most}."),
    ("Sentences under {least} or over {most} words will be sent back.",),
)
SENTENCE_EXACT = Wording(
    "every sentence has exactly {num_words} words",
    "each sentence must be {num_words} words long, no more and no fewer",
    "whichever sentence is picked, it counts {num_words} words",
    ("Write in sentences of exactly {num_words} words.", "Words in every single sentence: {num_words}."),
    ("Build all of your sentences from {num_words} words.",),
)
PARAGRAPH_SENTENCES = Wording(
    "every paragraph has exactly {sentences}",
    "each paragraph must be made of {sentences}, with a blank line after it",
    "between two blank lines there are always {sentences}",
    ("Write paragraphs of {sentences} each.", "In every paragraph: {sentences}, exactly."),
    ("After {sentences}, leave an empty line and go on.",),
)
GROWING = Wording(
    "there are at least {n} sentences and each has {more} words than the one before it",
    "from one sentence to the next the number of words has to {grow}, over {n} sentences or more",
    "the word counts of the sentences, no fewer than {n} in all, {grow} from first to last",
    (
        "Let your sentences get {longer} one by one, counted in words, and write {n} or more.",
        "Each of your sentences ({n} or more) should be {longer} than the last, in words.",
    ),
    ("Going down the text, past {n} sentences or more, I want to see each {longer} in words than the last.",),
)
NTH_SENTENCE = Wording(
    "the {nth} sentence has exactly {words}",
    "your {nth} sentence must consist of {words}",
    "sentence number {k} counts {words}",
    ("Give the {nth} sentence {words}, no more and no fewer.", "Length of the {nth} sentence: {words}."),
    ("Watch sentence {k}: its length is fixed at {words}.",),
)
MULTIPLE = Wording(
    "the number of words is a multiple of {divisor}",
    "the total word count must be divisible by {divisor}",
    "nothing is left over when the words are dealt out into groups of {divisor}",
    ("Choose the number of words so that {divisor} divides it.", "Total words: any multiple of {divisor}."),
    ("Divide your word count by {divisor}: a whole number should come out.",),
)
EQUAL_LINES = Wording(
    "there are at least {num_lines} lines and all of them have the same number of words",
    "each line has to have as many words as the others, in {num_lines} lines or more",
    "the lines, no fewer than {num_lines}, agree in how many words they hold",
    (
        "Set the text in {num_lines} or more lines with equally many words in each.",
        "Break lines so that they all have the same word count, {num_lines} lines or more.",
    ),
    ("Take {num_lines} lines or more and share the words out evenly among them.",),
)
PATTERN = Wording(
    "the text has {lines} lines, of {pattern} words in this order",
    "the words have to fall into {lines} lines like this: {pattern}",
    "{lines} lines hold, going down, {pattern} words",
    ("Write {lines} lines with these numbers of words: {pattern}.", "Words line by line: {pattern}."),
    ("Follow this pattern of words, a number for each line: {pattern}.",),
)
LONGEST_WORD = Wording(
    "no word has more than {num_letters} letters",
    "words may not be longer than {num_letters} letters",
    "the longest word gets by with {num_letters} letters",
    ("Use only words of up to {num_letters} letters.", "Letters per word: {num_letters} at most."),
    ("Swap every word of more than {num_letters} letters for a shorter one.",),
)
LONG_WORDS = Wording(
    "at least {num_words} of the words have {num_letters} letters or more",
    "there must be {num_words} or more words of at least {num_letters} letters",
    "no fewer than {num_words} words reach {num_letters} letters",
    (
        "Use {num_words} or more words that are at least {num_letters} letters long.",
        "Words of {num_letters} letters and up: {num_words} or more.",
    ),
    ("Show a rich vocabulary: {num_words} words or more with {num_letters} letters and up.",),
)
NO_REPEATS = Wording(
    "no word of {num_letters} or more letters occurs twice",
    "words of at least {num_letters} letters may be used once only",
    "every word that has {num_letters} letters or more is new when it comes",
    ("Do not repeat any word of {num_letters} or more letters.", "Never use a word of {num_letters}+ letters again."),
    ("A word with {num_letters} letters or more is spent once you have used it.",),
)
DISTINCT = Wording(
    "at least {percent} % of the words are different from each other",
    "the number of different words must come to {percent} % of all words or more",
    "distinct words divided by all words gives {percent} % or above",
    (
        "Vary your words: {percent} % or more of them should be distinct.",
        "Share of distinct words: {percent} % or more.",
    ),
    ("A vocabulary counter shall rate the variety of your words at {percent} % or better.",),
)
CAPITALISED = Wording(
    "the text has {bound} that begin with a capital letter",
    "the text must have {plain} with a capital as first letter",
    "counting all words written with an initial capital gives {cap}",
    ("Use {bound} with a capital first letter.", "Starting with a capital letter: {open}."),
    ("Words with a capital in front: {edge}.",),
)
PARENTHESES = Wording(
    "the text has exactly {remarks} in parentheses",
    "{remarks} must stand in (round) brackets, no more and no fewer",
    "pairs of round brackets turn up {times}",
    ("Put {remarks} in parentheses.", "Parentheses, as opened and closed: {n}."),
    ("The signs ( and ) are used as a pair {times}.",),
)
SEMICOLONS = Wording(
    "the text has exactly {n} semicolon{s}",
    "the semicolon must be used {times}, no more and no less",
    "the sign ; turns up {times}",
    ("Use {spelled} semicolon{s}, exactly.", "Semicolons: {n}."),
    ("Your reply holds the mark ; {times}.",),
)
ACRONYMS = Wording(
    "at least {n} different acronym{s} in capitals, such as NASA or U.K., {occur}",
    "the text must name {n} or more different acronyms in capital letters (like FAQ)",
    "acronyms in capitals (TV, ISBN) number {n} or more, each counted once",
    ("Use {spelled} or more different acronyms, e.g. GPS or USA.", "Different acronyms in capitals: {n} or more."),
    ("Let me meet {n} acronym{s} or more, no two alike, of the kind of HTML.",),
)
ACROSTIC_LINES = Wording(
    "the first letters of the lines spell {word}",
    "the lines have to begin with the letters of {word}, in order and one line for each letter",
    "reading only the initial of each line gives {word}",
    (
        "Write {n} lines whose initials, read downwards, give {word}.",
        "Hide the word {word} in the first letters of your lines.",
    ),
    ("An acrostic is wanted: its lines begin {letters}.",),
)
