"""The phrasings of the case constraints; the held-out ones never reach training data."""

from __future__ import annotations

FREQUENCY = (
    "Put {bound} into capitals from start to end.",
    "Have {bound} stand in all caps in your answer.",
    "Make sure that {bound} of your response are written entirely in capitals.",
    "Words that consist of capitals only are to be found {times} in what you write.",
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
    "Could you write {bound} with caps lock on?",
    "Words in capitals: {open}.",
    "If a word matters to you, capitalise it fully; do so with {bound}.",
    "The number of words typed entirely in upper case should be {plain}.",
)
FREQUENCY_HELDOUT = (
    "Of all the words you write, {cap} should be typed with caps lock on.",
    "I will count the all-uppercase words and expect to find {edge}.",
    "Readers should come across a word made up of nothing but big letters {cap_times}.",
    "For emphasis in full capitals, the limit to respect is {edge}.",
)
CAPITAL = (
    "The response is to be in English, and every letter of it a capital.",
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
    "Could you answer in English and capitalise every single letter?",
    "English text, capitals only.",
    "Everything should be typed in upper case; the language to use is English.",
    "If a letter would normally be small, make it a capital, and keep to English.",
)
CAPITAL_HELDOUT = (
    "Imagine that your caps lock key is stuck down, and type out an English text that way.",
    "Not a single small letter may be found in this English text.",
    "As in an old telegram, print the English text in big letters only.",
    "Shout the entire answer at me in English, with caps lock on from beginning to end.",
)
LOWERCASE = (
    "The response is to be in English, and every letter of it a small one.",
    "Your answer should be English text that has not one capital letter.",
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
    "Could you answer in English without touching the shift key?",
    "English text, small letters only.",
    "Everything should be typed in lower case; the language to use is English.",
    "If a letter would normally be a capital, make it small, and keep to English.",
)
LOWERCASE_HELDOUT = (
    "Pretend that the shift key is missing from your keyboard while you type this in English.",
    "Nothing in your English text, neither names nor sentence openings, may begin with a big letter.",
    "English is the language, and capitals are out of the question from the first line to the last.",
    'Small letters are what I want throughout the English text, even for the word "i".',
)
