"""Wordings of tasks with one right answer; each states the whole task, so that nothing else need be asked."""

LEFTMOST = (
    "Replace the leftmost {find} in {string} by {put}. If it does not occur, leave the string as it is. "
    "Answer with the resulting string only.",
    "In the string {string}, turn the first {find} from the left into {put} and touch nothing else. With no such part, "
    "repeat the string unchanged. Give only the result.",
    "Rewriting rule: {find} becomes {put}. Apply it once to {string}, as far left as you can; a rule that does not fit "
    "changes nothing. Write the outcome and nothing more.",
    "Here is a string: {string}. Its leftmost {find} has to become {put}; should there be none, the string stays. "
    "Reply with just the new string.",
    "Apply the rule {find} -> {put} one time to {string}, at the first place where it fits. Where it fits nowhere, "
    "copy the string. No explanation, only the string.",
    "Take {string} and exchange {find} for {put} at the leftmost place only. Not found means not changed. "
    "Just the string, please.",
    "Let {find} -> {put} be a rule that is used once, from the left. What becomes of {string}? Reply with the string "
    "alone; it stays the same if the rule has no place in it.",
    "Search {string} from the left for {find}. Put {put} in the place of the first one you meet, or do nothing if you "
    "meet none. Then write down the string by itself.",
    "One step of rewriting: the earliest {find} in {string} gives way to {put}. A string without it is its own result. "
    "Answer with the result only.",
    "What do you get from {string} when the first {find} in it is swapped for {put}? If there is nothing to swap, the "
    "answer is the string itself. Write only that.",
    "Please rewrite {string} by this rule, used a single time and as far left as possible: {find} turns into {put}. "
    "No match, no change. Output the string only.",
    "Swap out one {find} for {put} in {string}: the leftmost. In case there is none, hand the string back as it was. "
    "Nothing but the string belongs in your reply.",
)
LEFTMOST_HELDOUT = (
    "You are a machine with the single instruction {find} => {put}, carried out once at the earliest fit. Input: "
    "{string}. Print the output; without a fit, print the input.",
    "Of all the places in {string} where {find} stands, change the one nearest to the beginning to {put}. None there? "
    "Then echo the string. Print nothing besides.",
    "Edit {string} so that its initial {find}, if any, reads {put}. The edited string is all I want to see.",
    "Given {string} and the production {find} ::= {put}, perform one leftmost derivation step, or none where it cannot "
    "be used, and state the string that results, on its own.",
)
EVERYWHERE = (
    "Replace every {find} in {string} by {put}, from left to right. Answer with the resulting string only.",
    "In {string}, turn each {find} into {put}, reading from the left. Give only the result.",
    "Rewriting rule: {find} becomes {put}, wherever it stands. Apply it to {string}, left to right, and write the "
    "outcome and nothing more.",
    "Here is a string: {string}. All of its {find} parts have to become {put}, taken from the left. Reply with just "
    "the new string.",
    "Go through {string} from left to right and exchange {find} for {put} each time you meet it. Just the string, "
    "please.",
    "What becomes of {string} when all {find} in it, from the left, are swapped for {put}? Write only that.",
    "Use the rule {find} -> {put} at all places of {string} where it fits, from the left and without overlaps. No "
    "explanation, only the string.",
    "Please rewrite {string}: {find} turns into {put} throughout, left to right. Output the string only.",
    "Each {find} in {string} gives way to {put}; begin at the left. A string without it stays as it is. Answer with "
    "the result only.",
    "Take {string}, find all {find} in it from the left on, and put {put} in their places. Then write down the string "
    "by itself.",
    "Wherever {find} occurs in {string}, write {put} instead, working from the left; the rest stays. Reply with the "
    "string alone.",
    "Swap out {find} for {put} all through {string}, starting at the left end. Nothing but the string belongs in your "
    "reply.",
)
EVERYWHERE_HELDOUT = (
    "You are a machine with the single instruction {find} => {put}, carried out at each fit in one pass from the left. "
    "Input: {string}. Print the output.",
    "No {find} that stands in {string} may be left as it was: read from the start, and make each {put}. Print nothing "
    "besides the string.",
    "Edit {string} so that {find} reads {put} in all its places, first to last. The edited string is all I want to "
    "see.",
    "A search for {find} and a global replacement by {put}, left to right: do that to {string} and state the string "
    "that results, on its own.",
)
IN_ORDER = (
    "Take {string} and apply these rules in turn, each one once, at the leftmost place where it fits: {rules}. A rule "
    "that does not fit is skipped. Answer with the resulting string only.",
    "Rewrite {string} step by step: {rules}. Use each rule a single time, as far left as possible, and pass over those "
    "that fit nowhere. Give only the final string.",
    "Here are rewriting rules, to be used in this order, once each and from the left: {rules}. Start from {string}; a "
    "rule without a match changes nothing. Write the outcome and nothing more.",
    "Start with {string}. Then follow the rules {rules}. Every rule changes the first match from the left, or nothing "
    "if there is none. Reply with just the last string.",
    "Carry out {rules} on {string}, one after the other, one replacement per rule, leftmost first. No match, no "
    "change. Only the string, please.",
    "What is left of {string} after {rules}, each done once at the leftmost match, in the order given? Skip what does "
    "not match. Write only the string.",
    "Please transform {string} by {n} rules in sequence: {rules}. One use each, leftmost match, skipped if absent. "
    "Output the final string only.",
    "Each of these rules is applied once, in order, to what the one before has left, at the leftmost match: {rules}. "
    "The first works on {string}. Unfitting rules do nothing. Answer with the result only.",
    "The string is {string}; the rules are {rules}. Go through the rules in order and use each at its first match, if "
    "it has one. Then write down the string by itself.",
    "Work through {rules} and rewrite {string} accordingly. Each rule touches its leftmost match only, and is passed "
    "over without one. Your reply is the string you end with.",
    "Let {string} go through this list of replacements, top to bottom, each made once and at the left: {rules}. What "
    "cannot be made is left out. Reply with the string alone.",
    "Follow the list: {rules}. Each entry means one replacement at the leftmost match in the current string, and the "
    "first string is {string}. Entries that do not match are ignored. Nothing but the final string belongs in your "
    "reply.",
)
IN_ORDER_HELDOUT = (
    "You are a machine with this program: {rules}. Every line runs once and changes the earliest fit, or nothing. "
    "Input: {string}. Print the output.",
    "Feed {string} into a pipeline of {n} stages, {rules}, where a stage edits its leftmost match or lets the string "
    "through. What comes out? Print nothing besides.",
    "Edit {string} in rounds, {rules}, one leftmost edit to a round, idle where impossible. The string after the last "
    "round is all I want to see.",
    "Given the productions {rules}, perform one leftmost derivation step with each in turn, beginning at {string} and "
    "leaving out what cannot be used, and state the string that results, on its own.",
)
MEMBERSHIP = (
    "Does the string {string} match the regular expression {pattern} as a whole? Answer True or False, nothing else.",
    "Regular expression: {pattern}. String: {string}. Say True if the whole string matches, otherwise False. One word "
    "only.",
    "Decide whether {pattern} describes {string} from its first letter to its last. Reply with just True or False.",
    "The pattern {pattern} uses | for a choice and * for any number of times. Is {string} one of its strings? Answer "
    "True or False only.",
    "Check {string} against the pattern {pattern}; the entire string has to fit. Your answer is True or False, with no "
    "explanation.",
    "True or False: the regular expression {pattern} generates {string}. Give the one word and stop.",
    "Is {string} in the language of {pattern}? Write True or False, nothing more.",
    "Tell me by True or False alone whether all of {string} is matched by {pattern}.",
    "Can {pattern} produce exactly {string}? One word, True or False.",
    "Look at the pattern {pattern} and at the string {string}. If the pattern covers the full string, write True, and "
    "if it does not, write False. No other words.",
    "Please test whether {string} is a full match for {pattern}, and reply True or False only.",
    "Full match of {string} with {pattern}: True or False? The single word is enough.",
)
MEMBERSHIP_HELDOUT = (
    "An automaton built from {pattern} reads {string}. Does it accept? Print True for yes, False for no, and nothing "
    "besides.",
    "Put True on the page if {string} belongs to what {pattern} stands for, False if it is foreign to it, and leave it "
    "at that.",
    "Judge this claim with a bare True or False: {string} can be spelled out by following {pattern}.",
    "Given the expression {pattern}, would {string} be recognised in full? State True or False on its own.",
)
GENERATE = (
    "Give a string of exactly {n} letters that matches the regular expression {pattern} as a whole. Write only the "
    "string.",
    "Write one string with {spelled} letters that {pattern} describes from start to end, and nothing else.",
    "Regular expression: {pattern}. Find a string of length {n} that it matches completely. Reply with just that.",
    "Name any string of {n} letters in the language of {pattern}. No explanation, only the string.",
    "The pattern {pattern} uses | for a choice and * for any number of times. Produce one of its strings that is {n} "
    "letters long, by itself.",
    "I need a full match for {pattern} that has exactly {n} letters. Answer with the string only.",
    "Make up a string of {spelled} letters that fits {pattern} from the first letter to the last. Just the string, "
    "please.",
    "What is a string of length {n} that {pattern} can produce? Write nothing but one such string.",
    "Follow the pattern {pattern} and spell out a string that comes to {n} letters. Only the string.",
    "Please give an example of {n} letters for the regular expression {pattern}; all of it has to match. Output the "
    "string only.",
    "With {pattern} as your pattern, write down a matching string of {n} letters, no more and no fewer, on its own.",
    "Length: {n} letters. Pattern: {pattern}. Reply with one string that meets both.",
)
GENERATE_HELDOUT = (
    "An automaton built from {pattern} should accept what you print: {n} letters, and nothing besides.",
    "Walk through {pattern} so that you collect precisely {n} letters, and put down what you collected.",
    "Of the strings that {pattern} stands for, pick one that counts {n} letters. The string is all I want to see.",
    "Given the expression {pattern}, state a word of size {n} that it would recognise in full, on its own.",
)
VERBALIZER = (
    'Text: "{text}" Answer with one word: {cases}.',
    'Read this: "{text}" Then say {cases}. Say nothing else.',
    '"{text}" Reply with {cases}, and with that word alone.',
    'Look at the following: "{text}" {Rules}. Give only the word.',
    'Here is a text: "{text}" Your answer has to be {cases}. No explanation.',
    'Please sort this: "{text}" Write {cases}, nothing more.',
    'I will use these words: {cases}. Which one goes with "{text}"? Just the word, please.',
    'Label what follows with {cases}. "{text}" The label only.',
    'Classify the text between the quotation marks. {Rules}. Output the word only. "{text}"',
    'Decide about "{text}" and tell me {cases}. One word is all I need.',
    'Choose one word for "{text}" by this rule: {rules}. Reply with the word by itself.',
    'The rule is: {rules}. The text is: "{text}" What is the word? Write only that.',
)
VERBALIZER_HELDOUT = (
    'You are a machine that prints {cases}. Input: "{text}" Print the output.',
    'For "{text}" exactly one of these applies: {rules}. Put the word that does on the page and leave it at that.',
    'Given "{text}", stamp it with {cases}. The stamp is all I want to see.',
    'Code book: {rules}. Item: "{text}" State its code on its own.',
)
COUNT_ITEMS = (
    'How many words in this list begin with "{letter}"? {items}. Answer with the number only.',
    'Count the words that start with the letter "{letter}": {items}. Give just the number, in digits.',
    'List: {items}. Tell me how many of these have "{letter}" as their first letter. Only the number, please.',
    'Go through {items} and count those whose first letter is "{letter}". Write the number and nothing more.',
    'Of these words, how many start with "{letter}"? {items}. Reply with the number alone.',
    'Here are some words: {items}. The question is how many of them begin with "{letter}". Answer in digits, with no '
    "explanation.",
    'What number of words here starts with "{letter}"? {items}. Output the number only.',
    'Please count. Words: {items}. First letter wanted: "{letter}". Say the number by itself.',
    'In the list {items}, words with an initial "{letter}" are to be counted. Your answer is the number only.',
    'If you take from {items} only what begins with "{letter}", how many words do you have? Just the number.',
    'The letter is "{letter}" and the words are {items}. How many words open with that letter? Digits only.',
    'Look at {items}. Give the count of the words beginning with "{letter}", and leave out everything else.',
)
COUNT_ITEMS_HELDOUT = (
    'You are a counter for words that start with "{letter}". Input: {items}. Print your reading.',
    'How often does "{letter}" stand at the front of a word among {items}? State the figure on its own.',
    'File {items} by first letter. How thick is the file under "{letter}"? The figure is all I want to see.',
    'Put on the page, in digits, how many entries of {items} are led by "{letter}", and leave it at that.',
)
COUNT_LETTER = (
    'How many times does the letter "{letter}" occur in "{string}"? Answer with the number only.',
    'Count the letter "{letter}" in "{string}". Give just the number, in digits.',
    'String: "{string}". Tell me how many of its letters are "{letter}". Only the number, please.',
    'Go through "{string}" letter by letter and count each "{letter}". Write the number and nothing more.',
    'In "{string}", how often do you find "{letter}"? Reply with the number alone.',
    'Here is a string: "{string}". The question is how many times it has "{letter}". Answer in digits, with no '
    "explanation.",
    'What number of times does "{string}" contain the letter "{letter}"? Output the number only.',
    'Please count. String: "{string}". Letter: "{letter}". Say the number by itself.',
    'In the string "{string}", every "{letter}" is to be counted. Your answer is the number only.',
    'If you keep only "{letter}" from "{string}", how many letters are left? Just the number.',
    'The letter is "{letter}" and the string is "{string}". How many are there? Digits only.',
    'Look at "{string}". Give the count of "{letter}" in it, and leave out everything else.',
)
COUNT_LETTER_HELDOUT = (
    'You are a counter for the letter "{letter}". Input: "{string}". Print your reading.',
    'Someone types "{string}". How often is the key "{letter}" struck? State the figure on its own.',
    'Spell "{string}" aloud. How often do you say "{letter}"? The figure is all I want to see.',
    'Put on the page, in digits, the frequency of "{letter}" in "{string}", and leave it at that.',
)
TOTAL = (
    "Add up these numbers: {numbers}. Answer with the sum only.",
    "What is the sum of {numbers}? Give just the number, in digits.",
    "Numbers: {numbers}. Tell me what they come to in all. Only the number, please.",
    "Take {numbers} together and write the total and nothing more.",
    "How much is it if you add {numbers}? Reply with the number alone.",
    "Here are some numbers: {numbers}. The question is their sum. Answer in digits, with no explanation.",
    "Work out the sum of {numbers}. Output the number only.",
    "Please add: {numbers}. Say the result by itself.",
    "The numbers {numbers} are to be summed. Your answer is the total only.",
    "If you put {numbers} together, which number do you get? Just the number.",
    "Sum of {numbers}: which number is it? Digits only.",
    "Look at {numbers}. Give their total, and leave out everything else.",
)
TOTAL_HELDOUT = (
    "You are an adding machine. Input: {numbers}. Print the output.",
    "A shopper pays {numbers} at one till. State the whole amount on its own.",
    "Tally {numbers} into one figure. The figure is all I want to see.",
    "Put on the page, in digits, what {numbers} amount to, and leave it at that.",
)
STEPS = (
    "Start with {start}. Then {steps}. Which number do you have at the end? Answer with the number only.",
    "Take the number {start} and {steps}. Give just the final number, in digits.",
    "Begin at {start}, {steps}, and tell me the result. Only the number, please.",
    "You have {start}. In this order, {steps}. Write the last number and nothing more.",
    "From {start} on: {steps}. What comes out? Reply with the number alone.",
    "Here is a number: {start}. Do this with it, in order: {steps}. Answer in digits, with no explanation.",
    "Work from {start} step by step: {steps}. Output the final number only.",
    "Please calculate. First number: {start}. Steps: {steps}. Say the result by itself.",
    "The number {start} goes through these steps: {steps}. Your answer is the last number only.",
    "If you start from {start} and {steps}, where do you end? Just the number.",
    "Starting number {start}; steps {steps}. Which number is left? Digits only.",
    "Go from {start} through the following: {steps}. Give the outcome, and leave out everything else.",
)
STEPS_HELDOUT = (
    "You are a calculator showing {start}. Someone lets you {steps}. Print the display.",
    "A counter stands at {start}. Now {steps}, one after the other. State its reading on its own.",
    "Carry {start} along while you {steps}. The figure you end with is all I want to see.",
    "Put on the page, in digits, what {start} turns into once you {steps}, and leave it at that.",
)
CHAIN = (
    "Carry out these instructions one after the other, each on the result of the one before:\n{steps}\nAnswer with a "
    "JSON list of the {n} results, in order, and nothing else.",
    "Follow the {n} instructions in order. Each starts from what the last one gave.\n{steps}\nReply only with a JSON "
    "list that holds the result of every instruction.",
    "Work through this list from top to bottom and note every result:\n{steps}\nGive the {n} results as a JSON list.",
    "Below are {n} instructions that build on each other.\n{steps}\nWrite your {n} results as one JSON list, without "
    "explanation.",
    "Do the following in order, using the result of each for the next:\n{steps}\nOutput a JSON list with {n} entries, "
    "one per instruction.",
    "Here is a chain of instructions:\n{steps}\nI want a JSON list with what you have after each of the {n}.",
    "Please do these {n} things in turn, every time with the latest result:\n{steps}\nThe answer is a JSON list of "
    "results, in the same order.",
    "Execute:\n{steps}\nEach instruction takes the result above it. Return {n} results in a JSON list.",
    "There are {n} instructions:\n{steps}\nCarry them out in sequence and give me all results, first to last, as a "
    "JSON list.",
    "Take these one by one, and never skip ahead:\n{steps}\nYour reply is a JSON list of the {n} results only.",
    "Each line depends on the line before it:\n{steps}\nWhat are the {n} results? Write them in a JSON list.",
    "Go through the chain below and record where you are after every link:\n{steps}\nThe record is a JSON list of {n} "
    "entries.",
)
CHAIN_HELDOUT = (
    "You are a machine with this program:\n{steps}\nPrint a JSON array with the state after each of the {n} lines.",
    "Let a value pass through the stations below.\n{steps}\nThe {n} values on the way, as a JSON array, are all I want "
    "to see.",
    "Trace these {n} operations:\n{steps}\nState the trace, one value per operation, as a JSON array on its own.",
    "Every order hands its outcome to the next.\n{steps}\nPut the {n} outcomes on the page in a JSON array and leave "
    "it at that.",
)
