"""The phrasings of the length constraints; the held-out ones never reach training data."""

from __future__ import annotations

SENTENCES = (
    "Use {bound}.",
    "Your answer should consist of {bound}.",
    "Make sure your response has {bound}.",
    "Write {plain}.",
    "The response must contain {bound}.",
    "Answer in {open}.",
    "Please keep your reply to {bound}.",
    "I want {bound} in the answer.",
    "Length: {plain}.",
    "Your whole reply has to be made up of {plain}.",
    "Give me {bound}, please.",
    "The number of sentences matters here: write {bound}.",
    "Respond with {open}.",
    "Count your sentences: there should be {bound}.",
)
SENTENCES_HELDOUT = (
    "When somebody counts the full sentences you wrote, they should arrive at {cap}.",
    "Plan for {edge}.",
    "What I am after is a text of {cap}.",
    "Sentence budget for this task: {edge}.",
)
PARAGRAPHS = (
    "Write exactly {n} paragraphs, separated by ***.",
    "Your answer should have {n} paragraphs, with the markdown divider *** between them.",
    "There should be {n} paragraphs. Separate paragraphs with the markdown divider: ***.",
    "Make sure your response contains exactly {n} paragraphs divided by three asterisks (***).",
    "Please split the reply into {n} paragraphs and put *** between each two.",
    "Use {n} paragraphs in total; mark each break between paragraphs with ***.",
    "The response must be {n} paragraphs long, and paragraphs are to be separated by ***.",
    "Organise your answer into {n} paragraphs using *** as the separator.",
    "Give me {n} paragraphs, each divided from the next by a line of three asterisks: ***.",
    "Format: {n} paragraphs, *** as separator.",
    "I would like {n} paragraphs with *** on a line of its own between them.",
    "Divide the text by *** so that it has exactly {n} paragraphs.",
    "Separate the paragraphs with ***, and write {n} of them.",
)
PARAGRAPHS_HELDOUT = (
    "Three asterisks (***) are the only paragraph break I recognise, and with them I want to find {n} paragraphs.",
    "If I cut your text wherever *** stands, {n} paragraphs should be left in my hands.",
    "Lay it out as {n} blocks of prose, a row of *** keeping neighbours apart.",
    "Nothing but *** should stand between one paragraph and the next, and the paragraphs should number {n}.",
)
WORDS = (
    "Use {bound}.",
    "Answer with {bound}.",
    "Your response should contain {bound}.",
    "Make sure the reply has {bound}.",
    "Write {plain}.",
    "Please write {bound}.",
    "The answer must be {open} long.",
    "Your entire reply should be {plain}.",
    "Length: {open}.",
    "I need {bound} from you.",
    "Give an answer of {bound}.",
    "The text has to have {plain}.",
    "Do this in {open}.",
    "Keep the length of your answer to {bound}.",
    "Respond in {bound}.",
)
WORDS_HELDOUT = (
    "My word counter should show {cap} once you are done.",
    "Word budget: {edge}.",
    "Stick to {edge}.",
    "This will be printed on a page that holds {cap}, so fill it accordingly.",
)
FIRST_WORD = (
    'Write {n} paragraphs, separated by two line breaks. The {nth} paragraph must start with the word "{first}".',
    'Your answer should have {n} paragraphs divided by a blank line, and paragraph {k} should begin with "{first}".',
    'There should be {n} paragraphs with a blank line between them. Paragraph {k} must start with the word "{first}".',
    "Make sure your response has exactly {n} paragraphs (blank line between each) and that the {nth} one starts with"
    ' the word "{first}".',
    'Use {n} paragraphs set apart by empty lines. Begin the {nth} paragraph with "{first}".',
    'Please give {n} paragraphs, with two newlines between them and "{first}" as the first word of the {nth} one.',
    'The response must contain {n} paragraphs separated by blank lines; "{first}" is the first word of paragraph {k}.',
    'Start paragraph {k} with the word "{first}". Write {n} paragraphs in total, with an empty line between them.',
    'Only two newlines separate paragraphs. Write {n} of them, the {nth} beginning with "{first}".',
    'Format: {n} paragraphs, blank lines between them, the {nth} starting with "{first}".',
    'I want {n} paragraphs with empty lines in between, and I want the {nth} to open with "{first}".',
    'Divide the answer into {n} paragraphs by blank lines and let the {nth} paragraph start with "{first}".',
    'The first word of the {nth} paragraph has to be "{first}". In all there are {n} paragraphs, with a blank line'
    " between one and the next.",
)
FIRST_WORD_HELDOUT = (
    "Reading down the page I should meet {n} paragraphs, an empty line after each but the last, and on reaching number"
    ' {k} the word "{first}" before any other.',
    "Leave a gap of one empty line after every paragraph until there are {n}; whatever the {nth} one says, it says"
    ' "{first}" first.',
    '"{first}" opens the {nth} of your {n} paragraphs, which blank lines keep apart.',
    'As to layout: blank lines make {n} paragraphs of it. As to wording: nothing comes before "{first}" in the {nth}.',
)
