"""The wordings of our held-out constraint types, apart from their checks in `unseen`."""

from __future__ import annotations

FIRST_WORD = (
    'The first word of your answer has to be "{word}".',
    "Start with the word {word}.",
    'Let your answer open with "{word}".',
    'Make "{word}" the very first word.',
    "Begin the text by the word {word}.",
    'Your answer should start like this: "{word} ..."',
    "Please let {word} be the word that comes first.",
    'I want the opening word to be "{word}".',
    'Make sure that you begin with "{word}".',
    "Word number one must be {word}.",
    'Use "{word}" to open your answer.',
    "The text starts with {word}, whatever follows.",
)
FIRST_WORD_HELDOUT = (
    'Before any other word, "{word}" has to appear.',
    "Which word leads the reply? It is {word}.",
    'Nothing may stand in front of the word "{word}" in your reply.',
    'Kick off your reply by writing "{word}".',
)
FIRST_QUESTION = (
    "Open with a question.",
    "The first sentence must be a question.",
    "Start your answer by asking a question.",
    "Your answer should begin with a sentence that ends in a question mark.",
    "Make sure the opening sentence is a question.",
    "Please ask something in the very first sentence.",
    "Let the text start with a question to the reader.",
    "I would like the answer to begin by asking something.",
    "Use a question as your first sentence.",
    "Begin with a question and go on from there.",
    "The opening line should be a question, ending in ?",
    "First ask a question, then continue with the answer.",
)
FIRST_QUESTION_HELDOUT = (
    "Draw the reader in: sentence number one asks something.",
    "Where do you start? By posing a question, please.",
    "No statement may come before you have posed a question.",
    "A question mark has to close your initial sentence.",
)
GREETING = (
    'Start your answer with exactly these words: "{phrase}"',
    "Begin with the phrase {phrase}",
    'The opening words must be "{phrase}"',
    "Your answer should open like this: {phrase}",
    'Make sure the text starts with "{phrase}" and put nothing before it.',
    'Please open by saying "{phrase}"',
    "Use this opening, word for word: {phrase}",
    'Let the answer begin with "{phrase}"',
    'I want "{phrase}" to be how it starts.',
    "The very first words have to be: {phrase}",
    'Lead with the exact phrase "{phrase}"',
    "Put this phrase at the start of your answer: {phrase}",
)
GREETING_HELDOUT = (
    'What comes first in your reply is fixed: "{phrase}"',
    'Anything you write has to follow after the words "{phrase}"',
    "Required beginning: {phrase}",
    'Could your reply set out with "{phrase}" as given?',
)
LINE_COUNT = (
    "Write your answer in exactly {n} lines.",
    "The answer must have {spelled} lines, not counting empty ones.",
    "Use {n} lines of text, no more and no fewer.",
    "Your answer should be {spelled} lines long.",
    "Make sure that there are exactly {n} lines of text.",
    "Please break the answer into {spelled} lines.",
    "I want {n} lines in total.",
    "Spread the answer over {spelled} lines exactly.",
    "There should be {n} lines; blank lines do not count.",
    "Put it into {n} separate lines.",
    "Fill {spelled} lines, neither more nor fewer.",
    "Lay the text out as {n} lines.",
)
LINE_COUNT_HELDOUT = (
    "Counting only lines with text on them, I should find {n}.",
    "How many lines? {n} on the nose.",
    "Press Enter so that {spelled} lines of text result.",
    "The length is fixed at {spelled} lines.",
)
NUMBERED_STEPS = (
    "Give the answer as a numbered list of exactly {n} items (1., 2., and so on).",
    'Number the points from 1 to {n}, each on its own line, like "1. First point".',
    "Write {spelled} numbered steps, one per line, in the form 1. 2. 3.",
    "Your answer should contain a list numbered 1. to {n}.",
    "Make sure there is a numbered list with {spelled} entries, e.g. 1. Entry",
    "Please use exactly {n} numbered points, every one starting with its number and a period.",
    "List {n} items, numbered 1. through {n}.",
    "I need {spelled} numbered lines, such as:\n1. this\n2. that",
    "Present it in {n} numbered items, no more and no fewer.",
    "Use numbers, not bullets, for a list of {spelled} things: 1. 2. and onwards.",
    "There should be {n} points, and each line starts with 1., 2., etc.",
    "Structure the answer as {spelled} numbered points (write 1. before the first).",
)
NUMBERED_STEPS_HELDOUT = (
    "Count upwards in front of each line: 1. opens the first, {n}. opens the last.",
    "An enumeration is required whose final number is {n}.",
    "Lines that begin with a number and a period: I expect {spelled} of them, in order.",
    "Could you enumerate it from 1. up to {n}.?",
)
SHORT_LINES = (
    "No line may have more than {n} words.",
    "Keep every line to {n} words or fewer.",
    "Use short lines of at most {spelled} words.",
    "Your answer should have no line longer than {n} words.",
    "Make sure that each line has {n} words at most.",
    "Please break lines so that none is longer than {n} words.",
    "Each line can hold up to {spelled} words.",
    "Start a new line after {n} words at the latest.",
    "I want short lines: {n} words or less in each.",
    "The limit for any line is {n} words.",
    "Do not put more than {spelled} words on a line.",
    "Write in lines that have a maximum of {n} words.",
)
SHORT_LINES_HELDOUT = (
    "My screen is narrow; beyond {n} words, a line gets cut off.",
    "Once a line counts {spelled} words, press Enter.",
    "Every line: {n} words, or else fewer.",
    "Could all lines stay within {n} words?",
)
QUESTION_MARKS = (
    "Ask at least {n} question{s} in your answer.",
    "Use {spelled} or more question marks.",
    "Your answer should contain no fewer than {n} question mark{s}.",
    "Make sure that at least {spelled} question{s} appear in the text, each with a question mark.",
    "Please include {n} or more questions.",
    "The text needs at least {n} question mark{s} (?).",
    "Put {spelled} or more questions into it.",
    "There should be at least {n} ? in the answer.",
    "I want to read {spelled} or more questions in the answer.",
    "Add questions for the reader, {n} at the least.",
    "At minimum, {n} sentence{s} must end in a question mark.",
    "Let {spelled} or more of your sentences be questions.",
)
QUESTION_MARKS_HELDOUT = (
    "Be curious: the sign ? is to occur {n} times or more often.",
    "How many things should you ask? {n}, if not more.",
    "Fewer than {n} question mark{s} would be too few.",
    "Engage the reader by asking something {spelled} time{s} or more.",
)
EXCLAMATION_MARKS = (
    "Use exactly {n} exclamation mark{s}.",
    "Your answer should contain {spelled} exclamation mark{s}, no more and no fewer.",
    "Make sure there {are} exactly {n} exclamation mark{s} in the text.",
    "Put {n} exclamation mark{s} (!) into the answer.",
    "Please write exactly {spelled} exclamation mark{s}.",
    "The text must have {n} exclamation mark{s} in total.",
    "I want to count {n} exclamation mark{s}.",
    "There should be {spelled} ! in the answer, exactly.",
    "Include precisely {n} exclamation mark{s}.",
    "Exactly {spelled} exclamation mark{s} may appear.",
    "The number of exclamation marks has to be {n}.",
    "Add exclamation marks until there are {n}, then stop using them.",
)
EXCLAMATION_MARKS_HELDOUT = (
    "Show excitement by means of the sign !, used {n} time{s} overall.",
    "When I tally up each ! the sum is to be {n}.",
    "Limit and target alike for exclamation marks: {n}.",
    "How often does ! occur? {n} time{s}.",
)
NUMBERS = (
    "Mention at least {n} number{s}, written in digits.",
    "Use {spelled} or more numbers in digits, such as 12 or 2,500.",
    "Your answer should contain no fewer than {n} number{s} in figures.",
    "Make sure that {n} or more numbers appear, in digits and not in words.",
    "Please include at least {spelled} figure{s} (for example 7 or 40).",
    "The text needs {n} or more numbers written with digits.",
    "Put at least {n} number{s} into the answer, in digits.",
    "I want to see {spelled} or more numerals, e.g. 3 or 1990.",
    "There should be at least {n} number{s} like 5 or 100 in it.",
    "Give {n} or more exact figures, in digits.",
    "At least {spelled} number{s} must be there, as numerals.",
    "Work {n} or more numbers in digits into the text.",
)
NUMBERS_HELDOUT = (
    "Be precise: numerals such as 9 or 365 are to occur {n} times or more.",
    "A count of the figures in your reply should come to {n}, or above that.",
    "Fewer than {n} numeral{s} will not do, and spelled-out ones are ignored.",
    "Could you back it up by {spelled} or more figures in digits?",
)
AVOID_LETTER = (
    "Do not use the letter {letter} anywhere.",
    'Write the answer without the letter "{letter}".',
    "Avoid the letter {letter}, both as a capital and in lower case.",
    "Your answer should not contain the letter {letter}.",
    "Make sure that no word has the letter {letter} in it.",
    'Please leave out every word with the letter "{letter}".',
    "The letter {letter} is not allowed.",
    "No word may contain {letter} as a letter.",
    "I do not want to see the letter {letter} in the text.",
    'Stay away from words that have a "{letter}" in them.',
    "Use any letters you like except {letter}.",
    "Choose your words so that the letter {letter} never appears.",
)
AVOID_LETTER_HELDOUT = (
    "My keyboard lacks the {letter} key, so write as if yours did too.",
    "An alphabet minus {letter}: that is what you have for this.",
    'Searching your reply for "{letter}" has to give zero hits.',
    "Could you manage it when {letter} is forbidden as a letter?",
)
NO_CONTRACTIONS = (
    "Do not use contractions; write do not, it is, we will in full.",
    'Avoid contractions such as "don\'t" or "it\'s".',
    "Write out all contractions in full.",
    "Your answer should be free of contractions like can't and you're.",
    "Make sure there are no contractions (isn't, we'll, I'm).",
    'Please say "cannot" and "do not" rather than use short forms.',
    "No contractions are allowed.",
    "Use full forms only: never I'll, always I will.",
    "I want a text that has no contractions.",
    "Short forms such as they've or won't must not appear.",
    "Keep to a formal style, with every contraction spelled out.",
    "Leave out contractions altogether.",
)
NO_CONTRACTIONS_HELDOUT = (
    "Expand what people usually shorten: I am, they have, should not.",
    "An apostrophe that stands for missing letters is a mistake here.",
    "Could you keep clear of shortened verbs such as she'd or aren't?",
    "Formal writing has no place for words like couldn't; follow that.",
)
NO_DIGITS = (
    "Do not use any digits; spell out all numbers.",
    "Write every number as a word.",
    "Your answer should contain no digits (0 to 9).",
    "Make sure that numbers are written in words, such as seven or forty.",
    "Please avoid digits.",
    "No figures like 3 or 25 are allowed; use words.",
    "Numbers, if you need any, have to be in words.",
    "I do not want to see a single digit in the text.",
    "Leave out all digits from 0 to 9.",
    "Spell numbers out instead of using digits.",
    "The text must be free of digits.",
    "Use words for numbers throughout, never digits.",
)
NO_DIGITS_HELDOUT = (
    'Anything numeric is to be read as words: "twelve" and not the figure.',
    "The keys 0 to 9 are off limits.",
    "How do you write a quantity? With letters alone.",
    "Could you do it using letters for all amounts and years?",
)
