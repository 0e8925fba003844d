"""How our own length types are asked for; the held-out phrasings never reach training data.

A size can stand in many sentences ("exactly 40 words", "between 4 and 6 sentences"), and so can a rule ("no sentence is
longer than 20 words"): frames for both are shared, and each type adds phrasings that only it has. A size is put in
three ways (`bound` and `plain` for training, `cap` held out), a rule as well (`rule`, `law`, `hold`).
"""

from __future__ import annotations

from typing import NamedTuple

from adhere.verify.wording import spelled

SIZE = (
    "Your answer should have {bound}.",
    "Make sure that the text has {bound}.",
    "Please write {bound}.",
    "The length of the answer is set: {bound}.",
    "In total I want {bound}.",
    "What you hand in must come to {bound}.",
    "Could you write {bound} on this?",
    "Use {plain}.",
    "I need a text of {plain}.",
    "Length: {plain}.",
    "Say what there is to say in {plain}.",
    "Once it is finished, the answer should consist of {plain}.",
    "The answer has to be made up of {plain}.",
)
SIZE_HELDOUT = (
    "A counter will be run over your reply and should stop at {cap}.",
    "The editor has promised the printer {cap}; please deliver that.",
    "Plan your reply so that it ends up at {cap}.",
    "How much do I want to read? {cap}.",
)
RULE = (
    "Make sure that {rule}.",
    "Please write in such a way that {rule}.",
    "It matters to me that {rule}.",
    "See to it that {rule}.",
    "Take care that {rule}.",
    "Could you write it so that {rule}?",
    "Keep to this rule: {law}.",
    "I will check that {rule}.",
    "A rule on form: {law}.",
    "Whatever you say, {law}.",
    "The form of the text is set: {law}.",
    "This task comes with a rule: {law}.",
)
RULE_HELDOUT = (
    "A script is going to test the following: {hold}.",
    "Your reply counts as right if {hold}.",
    "Here is what the form comes down to: {hold}.",
    "On a second reading I want to find that {hold}.",
)

WORDS = ("Count the words as you go: {bound}.", "Word count: {plain}.")
WORDS_HELDOUT = ("The box in the form holds words, and it wants {cap}.",)
CHARACTERS = ("The text goes into a field for {plain}.", "Character count: {plain}.")
CHARACTERS_HELDOUT = ("Letters, digits and marks together: {cap}.",)
SENTENCES = ("Count the sentences as you go: {bound}.", "Sentence count: {plain}.")
SENTENCES_HELDOUT = ("Going by the full stops, there should be {cap}.",)
PARAGRAPHS = ("Break the text up into {bound}.", "Paragraph count: {plain}.")
PARAGRAPHS_HELDOUT = ("I would like to look at {cap}.",)
LINES = ("Press Enter often enough, and not too often: {bound}.", "Line count: {plain}.")
LINES_HELDOUT = ("My screen has room for {cap}.",)
WIDTH = ("Wrap the text at {n} characters.", "The window is {n} characters wide, so break lines before that.")
WIDTH_HELDOUT = ("No line of your reply may stick out beyond column {n}.",)
READING = (
    "Make it last about {time} when read at {pace} words a minute (give or take 10 %).",
    "Write what a reader at {pace} words a minute gets through in {time}, within 10 %.",
)
READING_HELDOUT = ("A speaker who reads {pace} words a minute has {time} to fill, and may be 10 % off.",)
LONGEST_SENTENCE = ("Keep sentences short: {n} words at most in each.", "Break up any sentence of more than {n} words.")
LONGEST_SENTENCE_HELDOUT = ("After {n} words in a row I need a full stop.",)
SHORTEST_PARAGRAPH = ("Write no paragraph of fewer than {n} words.", "Fill each paragraph with {n} words or more.")
SHORTEST_PARAGRAPH_HELDOUT = ("A paragraph that stays under {n} words is too thin for me.",)
SECTIONS = (
    "Divide the answer by Markdown headings (#) and put {n} words or more under each.",
    "Use headings marked with #, none of them followed by fewer than {n} words.",
)
SECTIONS_HELDOUT = ("Under whichever # heading I look, I want {n} words at the least.",)


class Size(NamedTuple):
    """From `low` to `high` of something, both included; None is no bound."""

    low: int | None
    high: int | None


def size_words(size: Size, one: str, many: str, note: str = "") -> dict[str, str]:
    """A size as `bound` and `plain` for training and `cap` held out; `note` goes behind each in parentheses."""
    low, high = size
    noun = one if (high or low) == 1 else many
    if low is not None and low == high:
        texts = {"bound": f"exactly {low} {noun}", "plain": f"{low} {noun}, no more and no fewer"}
        texts["cap"] = f"{spelled(low)} {noun} on the dot"
    elif low is not None and high is not None:
        texts = {"bound": f"between {low} and {high} {many}", "plain": f"{low} to {high} {many}"}
        texts["cap"] = f"anything from {low} up to {high} {many}"
    elif high is not None:
        texts = {"bound": f"at most {high} {noun}", "plain": f"{high} {noun} or fewer"}
        texts["cap"] = f"no more than {high} {noun}"
    else:
        texts = {
            "bound": f"at least {low} {noun}",
            "plain": f"{low} {noun} or more",
            "cap": f"no fewer than {low} {noun}",
        }
    return {key: text + (f" ({note})" if note else "") for key, text in texts.items()}


def about_words(number: int, many: str) -> dict[str, str]:
    """A size that may be missed by a tenth."""
    return {
        "bound": f"about {number} {many} (give or take 10 %)",
        "plain": f"roughly {number} {many}, at most 10 % above or below",
        "cap": f"{number} {many}, with a margin of 10 % either way",
    }


def duration(seconds: int) -> str:
    """Seconds as people say them: "45 seconds", "one minute", "one and a half minutes", "3 minutes"."""
    if seconds == 90:
        return "one and a half minutes"
    minutes, rest = divmod(seconds, 60)
    if rest or not minutes:
        return f"{seconds} seconds"
    return "one minute" if minutes == 1 else f"{spelled(minutes)} minutes"
