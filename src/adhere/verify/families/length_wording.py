"""The phrasings of the length constraints; the held-out ones never reach training data."""

from __future__ import annotations

SENTENCES = (
    "I expect {bound} from you.",
    "Your answer should consist of {bound}.",
    "Make sure your response has {bound}.",
    "Tell me in {plain}.",
    "The response needs {bound} to be right.",
    "Answer in {open}.",
    "Please keep your reply to {bound}.",
    "I want {bound} in the answer.",
    "Desired length: {plain}.",
    "Your whole reply has to be made up of {plain}.",
    "Give me {bound}, please.",
    "The number of sentences matters here: write {bound}.",
    "Respond with {open}.",
    "Count your sentences: there should be {bound}.",
    "Could you answer in {bound}?",
    "The answer should be given in {bound}.",
    "When you are done, the text should have {plain}.",
)
SENTENCES_HELDOUT = (
    "If I count the full sentences you wrote, I want to find {cap}.",
    "Plan for {edge}.",
    "A text of {cap} is what I am after.",
    "Sentence budget for this task: {edge}.",
)
PARAGRAPHS = (
    "Write exactly {n} paragraphs, separated by ***.",
    "Your answer should have {n} paragraphs, with the markdown divider *** between them.",
    "There should be {n} paragraphs. Between any two of them comes the divider ***.",
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
    "Could you write this as {n} paragraphs with *** between them?",
    "Paragraphs: {n}. Divider: ***.",
    "The text should be divided into {n} paragraphs by rows of three asterisks (***).",
    "If you start a new paragraph, put *** before it; stop after paragraph {n}.",
)
PARAGRAPHS_HELDOUT = (
    "Three asterisks (***) mark the end of a paragraph for me, and I want to find {n} paragraphs that way.",
    "If your text is cut at every ***, the result should be {n} paragraphs.",
    "Lay it out as {n} blocks of prose with *** between neighbours.",
    "Nothing but *** should stand between one paragraph and the next, and the paragraphs should number {n}.",
)
WORDS = (
    "I expect {bound}.",
    "Let your answer come to {bound}.",
    "The response is to be written in {bound}.",
    "Make sure the reply has {bound}.",
    "Say it in {plain}.",
    "Please see to it that the text has {bound}.",
    "The answer must be {open} long.",
    "Your entire reply should be {plain}.",
    "Length: {open}.",
    "I need {bound} from you.",
    "Give an answer of {bound}.",
    "The text has to have {plain}.",
    "Do this in {open}.",
    "Keep the length of your answer to {bound}.",
    "Respond in {bound}.",
    "Could you do it in {bound}?",
    "The answer should be kept at {open}.",
)
WORDS_HELDOUT = (
    "My word counter should show {cap} once you are done.",
    "Word budget: {edge}.",
    "Please stick to {edge}.",
    "It will be printed in a box for a text of {cap}.",
)
FIRST_WORD = (
    'Write {n} paragraphs and leave a blank line after each. Paragraph number {k} opens with "{first}".',
    'Your answer should have {n} paragraphs divided by a blank line, and paragraph {k} should begin with "{first}".',
    'There should be {n} paragraphs with a blank line between them. "{first}" is how paragraph {k} has to begin.',
    "Make sure your response has exactly {n} paragraphs (blank line between each) and that the {nth} one starts with"
    ' the word "{first}".',
    'Use {n} paragraphs set apart by empty lines. Begin the {nth} paragraph with "{first}".',
    'Please give {n} paragraphs, with two newlines between them and "{first}" as the first word of the {nth} one.',
    'The response must contain {n} paragraphs separated by blank lines; "{first}" is the first word of paragraph {k}.',
    'Let "{first}" be the first word of paragraph {k}. In total, write {n} paragraphs with an empty line between them.',
    'Only two newlines separate paragraphs. Write {n} of them, the {nth} beginning with "{first}".',
    'Format: {n} paragraphs, blank lines between them, the {nth} starting with "{first}".',
    'I want {n} paragraphs with empty lines in between, and I want the {nth} to open with "{first}".',
    'Divide the answer into {n} paragraphs by blank lines and let the {nth} paragraph start with "{first}".',
    'The first word of the {nth} paragraph has to be "{first}". In all there are {n} paragraphs, with a blank line'
    " between one and the next.",
    'Could you write {n} paragraphs with blank lines between them and begin the {nth} one with "{first}"?',
    'Paragraphs: {n}, with blank lines in between. First word of paragraph {k}: "{first}".',
    'When you get to paragraph {k} of {n}, open it with "{first}". All paragraphs are set apart by blank lines.',
    'The text should be made of {n} paragraphs set apart by blank lines, the {nth} of which is opened by "{first}".',
)
FIRST_WORD_HELDOUT = (
    "Going down the page, I should find {n} paragraphs with empty lines between them, and number {k} should open with"
    ' the word "{first}".',
    "Leave an empty line after every paragraph until there are {n}; whatever the {nth} one is about, its first word is"
    ' "{first}".',
    '"{first}" opens the {nth} of your {n} paragraphs, and blank lines keep the paragraphs apart.',
    'Layout: {n} paragraphs with blank lines in between. Wording: nothing comes before "{first}" in number {k}.',
)
