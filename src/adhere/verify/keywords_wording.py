"""The phrasings of the keyword constraints; the held-out ones never reach training data."""

from __future__ import annotations

EXISTENCE = (
    "Include the following keywords: {commas}.",
    "Your answer should contain {quoted}.",
    "Make sure to use {quoted} in your response.",
    "Use the following words: {plain}.",
    "The response must mention {quoted}.",
    "Please include {quoted} somewhere in the answer.",
    "Work {quoted} into what you write.",
    "Keywords to include: {commas}.",
    "In your reply, be sure to write {quoted}.",
    "I want to see {quoted} in the text.",
    "Your reply has to include the following: {quoted}.",
    "Don't forget to use {quoted}.",
    "Add {quoted} to your answer.",
    "Write it so that {quoted} can be found in it.",
)
EXISTENCE_HELDOUT = (
    "Searching the finished text for {quoted} has to turn up a hit every time.",
    "What you hand in is incomplete without {quoted}.",
    "Let {quoted} come up along the way.",
    "Leaving out {quoted} is not an option.",
)
FREQUENCY = (
    'Use the word "{keyword}" {bound}.',
    'The word "{keyword}" should appear {bound} in your answer.',
    'Make sure that "{keyword}" occurs {bound}.',
    'In your response, "{keyword}" must appear {plain}.',
    'Mention "{keyword}" {bound}.',
    'Please use "{keyword}" {open}.',
    'Your reply should contain the word "{keyword}" {plain}.',
    'Write "{keyword}" {bound} in the text.',
    'Include the keyword "{keyword}" {open}.',
    'The keyword "{keyword}" has to be used {bound}.',
    'Let "{keyword}" appear {open}.',
    'How often to use "{keyword}": {bound}.',
    'Say "{keyword}" {bound} in the course of the answer.',
    '"{keyword}" should be in your response {bound}.',
)
FREQUENCY_HELDOUT = (
    'Counting every "{keyword}" in it, whoever reads your text should get to {cap}.',
    'As for "{keyword}": {edge}.',
    'However the sentences fall, a reader should come across "{keyword}" {cap}.',
    'Watch your use of "{keyword}", since the limit set for it is {edge}.',
)
FORBIDDEN = (
    "Do not use the following words: {commas}.",
    "Your answer should not contain {quoted}.",
    "Make sure not to use {quoted}.",
    "Avoid the words {both}.",
    "The words {both} are not allowed.",
    "Please do not include {quoted} in your response.",
    "The response must not mention {quoted}.",
    "Write it without using {quoted}.",
    "Forbidden words: {commas}.",
    "Never use {quoted} in your reply.",
    "Leave out the words {both}.",
    "Exclude the following keywords from your answer: {commas}.",
    "Refrain from using {quoted}.",
    "You may not write {quoted}.",
)
FORBIDDEN_HELDOUT = (
    "Should {quoted} turn up anywhere, the text is of no use to me.",
    "Find other ways to put things where {quoted} would come to mind.",
    "I have banned {both}; pretend that English lacks them.",
    "Not one occurrence of {quoted} will be accepted.",
)
LETTER = (
    'The letter "{letter}" should appear {bound} in your answer.',
    'Use the letter "{letter}" {bound}.',
    'Make sure the letter "{letter}" occurs {bound}.',
    "In your entire response, the letter {letter} must appear {bound}.",
    'Your reply should contain the letter "{letter}" {plain}.',
    'Please let the letter "{letter}" appear {open}.',
    'Include the letter "{letter}" {plain}.',
    "The response must have the letter {letter} in it {bound}.",
    'Write the letter "{letter}" {open} overall.',
    'The character "{letter}" has to be used {bound}.',
    'Your text should use "{letter}" as a letter {bound}.',
    'How often the letter "{letter}" should occur: {plain}.',
    'I want the letter "{letter}" to show up {bound}, upper and lower case together.',
)
LETTER_HELDOUT = (
    'Go through your text letter by letter and tally each "{letter}": the sum should come to {cap}.',
    'For "{letter}", whether small or capital, the rule is {edge} across the whole text.',
    'Choose words in such a way that a reader meets the letter "{letter}" {cap}.',
    'A tally of the letter "{letter}", ignoring case, has to give {edge}.',
)
