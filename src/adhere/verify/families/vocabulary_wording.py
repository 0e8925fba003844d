"""How the further keyword constraints are asked for; the held-out phrasings never reach training data.

Most of it is said in frames, into which each type puts its demand in three wordings: `order` (what to do), `rule` (what
is then true) and, held out, `hold`. To these come phrasings that only one type has.
"""

from __future__ import annotations

from collections.abc import Sequence

from adhere.verify.wording import counted, listed, ordinal

FRAMES = (
    "{start}.",
    "Please {order}.",
    "I would like you to {order}.",
    "When you write the answer, {order}.",
    "Could you {order}?",
    "One request: {order}.",
    "When the answer is done, make sure that {rule}.",
    "Write the answer in such a way that {rule}.",
    "It is important for the answer that {rule}.",
    "Rule for the answer: {rule}.",
)
FRAMES_HELDOUT = (
    "I can only accept the answer if {hold}.",
    "Someone will go through the result and see whether {hold}.",
    "Before you hand in the text, ask yourself whether {hold}.",
)


def framed(order: str, rule: str, hold: str, **others: str) -> dict[str, str]:
    """The words that the frames are filled with, and those of a type's own phrasings."""
    return {"start": order[:1].upper() + order[1:], "order": order, "rule": rule, "hold": hold, **others}


def phrased(*own: str) -> tuple[str, ...]:
    """The training phrasings of a type: the frames and its own."""
    return (*FRAMES, *own)


def kept_back(*own: str) -> tuple[str, ...]:
    """The held-out phrasings of a type: the held-out frames and its own."""
    return (*FRAMES_HELDOUT, *own)


def times(least: int, most: int) -> tuple[str, str]:
    """A number of times in two wordings, the second one held out."""
    if least == most:
        return ("exactly once", "one time and no more") if least == 1 else (f"exactly {least} times", f"{least} times")
    if least == 0:
        return (f"at most {most} times" if most > 1 else "at most once"), f"no more than {most} time" + "s" * (most > 1)
    fewest = "once" if least == 1 else f"{least} times"
    return f"between {least} and {most} times", f"{fewest} at the fewest and {most} times at the most"


WHOLE = phrased(
    "Words to be used as they stand: {commas}.",
    "Each of these is to be found in the text as a word of its own: {commas}.",
    "Use these, and note that a longer word which merely contains one does not count: {commas}.",
)
WHOLE_HELDOUT = kept_back("Between spaces or marks, and not as a part of anything longer, I will look for {quoted}.")


def whole(keywords: Sequence[str]) -> dict[str, str]:
    """Words to be used as whole words."""
    every = listed(keywords)
    return framed(
        f"use {every} as {'whole words' if len(keywords) > 1 else 'a whole word'}",
        f"{every} can be found in it as {'words of their own' if len(keywords) > 1 else 'a word of its own'}",
        f"{every} can be read there, not hidden in any longer word",
        commas=", ".join(keywords),
        quoted=every,
    )


SOME = phrased(
    "Choose {n} or more of these words and use them: {commas}.",
    "Of the words {commas}, {n} or more should be in the text.",
    "From this list I want to see {n} or more: {commas}.",
)
SOME_HELDOUT = kept_back("A list of words: {commas}. Fewer than {n} of them in your text would be too few.")


def some(keywords: Sequence[str], least: int) -> dict[str, str]:
    """At least so many of the words."""
    either = listed(keywords, "or")
    return framed(
        f"use at least {least} of the words {listed(keywords)}",
        f"at least {least} of the words {listed(keywords)} can be found in it",
        f"{least} or more among {either} turn up in it" if least > 1 else f"{either} turns up in it",
        commas=", ".join(keywords),
        **counted(least),
    )


COUNT = phrased(
    'How often the word "{keyword}" is wanted: {bound}.',
    'The word "{keyword}" belongs in the text {bound}.',
    'Counted as a whole word, "{keyword}" should be there {bound}.',
)
COUNT_HELDOUT = kept_back('Searching for "{keyword}" with "whole words only" ticked should find it {cap}.')


def count(keyword: str, least: int, most: int) -> dict[str, str]:
    """A word so many times."""
    bound, cap = times(least, most)
    return framed(
        f'use the word "{keyword}" {bound}',
        f'the word "{keyword}" occurs in it {bound}',
        f'"{keyword}" comes up {cap}',
        bound=bound,
        cap=cap,
        keyword=keyword,
    )


EACH_ONCE = phrased(
    "Words to be used a single time each: {commas}.",
    "None of {quoted} may be repeated and none may be missing.",
    "There should be one {alternatives} in the text, and never a second.",
)
EACH_ONCE_HELDOUT = kept_back("Spend each of these words on the text one time: {commas}.")


def each_once(keywords: Sequence[str]) -> dict[str, str]:
    """Each of the words exactly once."""
    return framed(
        f"use each of the words {listed(keywords)} exactly once",
        f"each of the words {listed(keywords)} occurs in it exactly once",
        f"{listed(keywords)} come up in it one time apiece",
        commas=", ".join(keywords),
        quoted=listed(keywords),
        alternatives=", one ".join(f'"{keyword}"' for keyword in keywords),
    )


INFLECTED = phrased(
    "These words are wanted in whatever form suits the sentence: {commas}.",
    "Bring in {quoted}; plurals, past tenses and the like count as well.",
    "Use {quoted}, bent to fit the grammar if need be.",
)
INFLECTED_HELDOUT = kept_back("Number and tense are up to you, but {quoted} must not be missing.")


def inflected(keywords: Sequence[str]) -> dict[str, str]:
    """Words in any inflected form."""
    each = " and ".join(f'"{keyword}"' for keyword in keywords)
    return framed(
        f"use {each} in any grammatical form",
        f"some form of {each.replace(' and ', ' and of ')} occurs in it",
        f"it holds {each}, be it singular or plural, present or past",
        commas=", ".join(keywords),
        quoted=listed(keywords),
    )


BANNED = phrased(
    "Words to stay away from, together with all their forms: {commas}.",
    "Neither {pairs} nor any plural, past tense or other form of it is allowed.",
    "Not allowed in any form, be it plural, past or other: {commas}.",
)
BANNED_HELDOUT = kept_back("Changing the ending does not help: {quoted} must not appear under any disguise.")


def banned(words: Sequence[str]) -> dict[str, str]:
    """Words forbidden in any inflected form."""
    either = listed(words, "or")
    return framed(
        f"avoid {listed(words)} in every grammatical form",
        f"no form of {either} occurs in it",
        f"it does without {either}, whether singular or plural, present or past",
        commas=", ".join(words),
        quoted=listed(words),
        pairs=" nor ".join(f'"{word}"' for word in words),
    )


PHRASE = phrased(
    'Forbidden phrase: "{phrase}".',
    'The phrase "{phrase}" is worn out, so leave it out.',
    'Put it in other words wherever you would say "{phrase}".',
)
PHRASE_HELDOUT = kept_back('Whoever writes "{phrase}" pays a fine; do not be that person.')


def phrase(text: str) -> dict[str, str]:
    """A phrase that must not occur."""
    return framed(
        f'do not use the phrase "{text}"',
        f'the phrase "{text}" does not occur in it',
        f'"{text}" is nowhere to be read',
        phrase=text,
    )


FRESH = phrased(
    "Words of this request that must not come back: {commas}.",
    "Find words of your own in place of {quoted}, which I have used already.",
    "I have said {quoted}; now say it in other words.",
)
FRESH_HELDOUT = kept_back("The words of the question are taken, so {quoted} cannot be used a second time.")


def fresh(words: Sequence[str]) -> dict[str, str]:
    """The instruction's own words, which the reply must not repeat."""
    either = listed(words, "or")
    return framed(
        f"answer without repeating {either} from this request",
        f"it repeats none of the words {either} from the request",
        f"it gets by without {either}, which the question has used up",
        commas=", ".join(words),
        quoted=listed(words),
    )


REPEATS = phrased(
    "Look for synonyms once a word of {letters} or more letters has been used {bound}.",
    "The limit for any one word that has {letters} or more letters is {bound}.",
    "Vary your words: {bound} is the most for each that has {letters} letters or more.",
)
REPEATS_HELDOUT = kept_back("Sorted by frequency, no word of {letters} letters and up should stand above {n}.")


def repeats(letters: int, most: int) -> dict[str, str]:
    """No longer word more than so many times."""
    bound = "once" if most == 1 else "twice" if most == 2 else f"{most} times"
    return framed(
        f"use no word of {letters} or more letters more than {bound}",
        f"no word with {letters} or more letters occurs more than {bound}",
        f"each word that has at least {letters} letters is there {bound} at the most",
        bound=bound,
        letters=str(letters),
        n=str(most),
    )


FILLERS = phrased(
    "Keep the text free of these fillers: {commas}.",
    "Cut words that only fill space, by which I mean {quoted}.",
    "Filler words to leave out: {commas}.",
)
FILLERS_HELDOUT = kept_back("Padding of this kind has no place in what you write: {commas}.")


def fillers(words: Sequence[str]) -> dict[str, str]:
    """No filler word of a list."""
    either = listed(words, "or")
    return framed(
        f"leave out the filler words {listed(words)}",
        f"it has none of the filler words {listed(words)}",
        f"it is told without padding, that is without {either}",
        commas=", ".join(words),
        quoted=either,
    )


ORDERED = phrased(
    "Order of first appearance: {commas}.",
    "First comes {arrows}.",
    "The words {commas} should turn up in this very order, if not side by side.",
)
ORDERED_HELDOUT = kept_back("Reading from the top, a reader meets {arrows}.")


def ordered(keywords: Sequence[str]) -> dict[str, str]:
    """Words whose first occurrences stand in order."""
    return framed(
        f"use the words {listed(keywords)} in this order, going by where each is first used",
        f"the words {listed(keywords)} first appear in this order",
        f"the first mentions of {listed(keywords)} follow one another like that",
        commas=", ".join(keywords),
        arrows=", then ".join(f'"{keyword}"' for keyword in keywords),
    )


SENTENCE = phrased(
    'Where "{keyword}" belongs: in the {nth} sentence.',
    'The {nth} sentence has to hold the word "{keyword}".',
    'Let the word "{keyword}" be part of your {nth} sentence.',
)
SENTENCE_HELDOUT = kept_back('Take the {nth} sentence on its own and "{keyword}" should be one of its words.')


def sentence(keyword: str, at: int) -> dict[str, str]:
    """A word in a given sentence; -1 is the last."""
    nth = "last" if at == -1 else ordinal(at)
    return framed(
        f'use the word "{keyword}" in the {nth} sentence',
        f'the {nth} sentence contains the word "{keyword}"',
        f'"{keyword}" can be read in its {nth} sentence',
        nth=nth,
        keyword=keyword,
    )


NTH_WORD = phrased(
    'Word number {n} of the answer: "{keyword}".',
    'Counting from the first word, "{keyword}" stands in place {n}.',
    'In place {n} of all words I expect "{keyword}".',
)
NTH_WORD_HELDOUT = kept_back('After {before} of your words, "{keyword}" is due.')


def nth_word(keyword: str, position: int) -> dict[str, str]:
    """A word at a given place among all words."""
    return framed(
        f'let the {ordinal(position)} word be "{keyword}"',
        f'"{keyword}" is its {ordinal(position)} word',
        f'exactly {position - 1} word{"s" * (position > 2)} stand{"s" * (position == 2)} in front of "{keyword}"',
        n=str(position),
        before=f"{position - 1}",
        keyword=keyword,
    )


TOGETHER = phrased(
    'One sentence has to hold "{first}" as well as "{second}".',
    'The words "{first}" and "{second}" should meet in a sentence.',
    'In a sentence of your choice, say both "{first}" and "{second}".',
)
TOGETHER_HELDOUT = kept_back('No full stop may separate "{first}" from "{second}" in one place at the least.')


def together(first: str, second: str) -> dict[str, str]:
    """Two words in one sentence."""
    return framed(
        f'use "{first}" and "{second}" together in one sentence',
        f'at least one sentence contains both "{first}" and "{second}"',
        f'"{first}" shares a sentence with "{second}"',
        first=first,
        second=second,
    )


NEAR = phrased(
    'Most words allowed between "{first}" and "{second}": {n}.',
    'Once, "{first}" and "{second}" should stand close together, {n} word{s} in between or fewer, in either order.',
    'Let no more than {n} word{s} come between some "{first}" and some "{second}".',
)
NEAR_HELDOUT = kept_back('Somewhere no more than {n} word{s} may keep "{first}" away from "{second}".')


def near(first: str, second: str, between: int) -> dict[str, str]:
    """Two words close to each other."""
    gap = counted(between)
    return framed(
        f'use "{first}" and "{second}" with at most {between} word{gap["s"]} between them',
        f'"{first}" and "{second}" stand somewhere with at most {between} word{gap["s"]} between them',
        f'a place can be found where {between} word{gap["s"]} or less separate "{first}" from "{second}"',
        first=first,
        second=second,
        **gap,
    )


EVERY = phrased(
    'There may be no sentence that lacks the word "{keyword}".',
    'Each sentence, the first as well as the last, has "{keyword}" in it.',
    'Sentence after sentence, use the word "{keyword}".',
)
EVERY_HELDOUT = kept_back('Cut the text at its full stops: all of the pieces should hold "{keyword}".')


def every(keyword: str) -> dict[str, str]:
    """A word in every sentence."""
    return framed(
        f'use the word "{keyword}" in every sentence',
        f'every sentence contains the word "{keyword}"',
        f'"{keyword}" is missing from none of its sentences',
        keyword=keyword,
    )
