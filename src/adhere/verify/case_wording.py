"""The phrasings of the case constraints; the held-out ones never reach training data."""

from __future__ import annotations

FREQUENCY = (
    "Write {bound} in all capital letters.",
    "Your answer should contain {bound} in all caps.",
    "Make sure that {bound} of your response are written entirely in capitals.",
    "In your response, words with all capital letters should appear {times}.",
    "Use {bound} in full capitals.",
    "Please put {plain} in ALL CAPS.",
    "The reply must have {bound} spelled completely in upper case.",
    "Include {plain} written in capital letters only.",
    "Words in all caps should occur {times}.",
    "I want {bound} in upper case in the text.",
    "Capitalise every letter of {bound}.",
    "All-caps words: {plain}.",
    "Let fully capitalised words appear {times} in the answer.",
    "Set {open} in capitals from first letter to last.",
)
FREQUENCY_HELDOUT = (
    "Of the words you write, {cap} may be shouted, that is, typed with caps lock on.",
    "How many all-uppercase words do I want to count in it? I say {edge}.",
    "A word made up of nothing but big letters should meet the eye {cap_times}.",
    "For emphasis through full capitals the figure to respect is {edge}.",
)
CAPITAL = (
    "Write your entire response in English and in all capital letters.",
    "Your answer should be in English, with capital letters only.",
    "Make sure every letter of your response is a capital; the language is English.",
    "Answer in all caps, in English.",
    "Use only capital letters and the English language.",
    "Please respond in English using uppercase letters throughout.",
    "The whole reply must be in upper case English.",
    "No lowercase letters are allowed, and the reply should be in English.",
    "Reply in English and CAPITALISE EVERYTHING.",
    "All letters in your response have to be capitals. Write in English.",
    "Format: English, all uppercase.",
    "Do not use any lowercase letters; write in English.",
    "I want the text in English and entirely in capitals.",
)
CAPITAL_HELDOUT = (
    "Imagine that your caps lock key is stuck down, and type out an English text that way.",
    "Not a single small letter may be found in this English text.",
    "Let it look like an old English telegram: nothing but big letters.",
    "Shout the entire thing at me, in English, with each letter as big as it comes.",
)
LOWERCASE = (
    "Write your entire response in English and in all lowercase letters.",
    "Your answer should be in English, and no capital letters are allowed.",
    "Make sure every letter of your response is lowercase; the language is English.",
    "Answer in all lowercase, in English.",
    "Use only lowercase letters and the English language.",
    "Please respond in English without any capital letters.",
    "The whole reply must be in lower case English.",
    "No uppercase letters, please, and keep to English.",
    "Reply in English, in lowercase only.",
    "All letters in your response have to be lowercase. Write in English.",
    "Format: English, all lowercase.",
    "Do not capitalise anything, not even names or the first word of a sentence, and write in English.",
    "I want the text in English and entirely in small letters.",
)
LOWERCASE_HELDOUT = (
    "Pretend that the shift key is missing from your keyboard while you type this in English.",
    "Let me see plain English in which nothing, be it a name or the start of a line, gets a big letter.",
    "English it is, but with the capitals banished from first line to last.",
    "Even the pronoun for yourself should be small here, like all the rest of this English text.",
)
