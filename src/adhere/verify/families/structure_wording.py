"""The wordings of the constraint types about structure; the held-out ones never reach training data."""

from __future__ import annotations

NAMED = (
    "Divide your answer into {k} sections with the headings {names}, in that order.",
    "Use the headings {names}, in this order, and write something below each.",
    "Your answer should have the sections {names}, one after the other.",
    "Structure the text under these headings: {names}. Keep to the order.",
    "Please write one section each for {names}, each with its name as a heading on a line of its own.",
    "Make sure the answer has headings that read {names}, in the order given.",
    "I want {k} sections, headed {names}.",
    "Organise what you write by the headings {names} and leave none of them empty.",
    "There must be a heading for each of {names}, and text below it.",
    "Put the content under the following headings, without changing their order: {names}.",
    "Could you use {names} as your headings, in this order?",
    "Headings, in order: {names}.",
)
NAMED_HELDOUT = (
    "Readers look for {names} when they skim, so set these above the parts of your text, in sequence.",
    "From top to bottom, the parts are called {names}; say so on a line above each.",
    "Required layout: {names} as headings, each once, with content.",
    "What comes first, what next? The headings settle it: {names}.",
)
BULLETED = (
    "Write {n} section{s}, each under a Markdown heading (##) and with exactly {m} {bullets}.",
    "Your answer should have {spelled} Markdown heading{s} with {spelled_m} {bullets} under each.",
    "Use {n} heading{s} (## Title), and give exactly {m} {bullets} below every one.",
    "Make {spelled} section{s} in Markdown, and in each of them put {m} {bullets}.",
    "Please structure it as {n} Markdown section{s} of {spelled_m} {bullets} each.",
    "I want {n} heading{s} in Markdown. Under each there should be {m} {bullets}, no more and no fewer.",
    "Every one of the {spelled} section{s} needs a Markdown heading and {spelled_m} {bullets}.",
    "Give me {spelled} section{s} headed by ##, each a list with exactly {m} {bullets}.",
    "Set it out in {n} section{s} with Markdown headings; a section holds {m} {bullets}.",
    "Sort the points into {spelled} section{s} (## headings) of {m} {bullets} apiece.",
    "Could you write {n} section{s} with headings in Markdown and {m} {bullets} in each?",
    "Layout: {n} section{s} under ## headings, {m} {bullets} in each.",
)
BULLETED_HELDOUT = (
    "Below each Markdown heading I want to count {m} {bullets}, and I want to count {n} such heading{s}.",
    "Required: {spelled} time{s} a heading with ##, followed by {spelled_m} {bullets} every time.",
    "Group it: {n} group{s}, each named by a ## heading and filled with {spelled_m} {bullets}.",
    "Let no heading (##) stand above more or fewer than {m} {bullets}; there are {n} to write.",
)
FIELDS = (
    "List exactly {n} item{s}, each with the fields {fields}, in the form: {model}",
    "Give {spelled} entr{ies}. For every one, fill in {fields}, like this: {model}",
    "Your answer should present {n} item{s}, and each item has {fields} (written as {model}).",
    "Write {spelled} item{s} and label their parts {fields}, as in {model}",
    "Please describe {n} thing{s} by the fields {fields}. The form is {model}",
    "Make sure there {are} {spelled} entr{ies}, all of which state {fields}, each label followed by a colon.",
    "I want {n} item{s} in the pattern {model}",
    "Each of the {n} item{s} must have {fields}, in that order: {model}",
    "Come up with {spelled} item{s}; note {fields} for each, with a colon after the label.",
    "Use the pattern {model} exactly {n} time{s}.",
    "Could you give {n} item{s} with {fields} for each, in the form {model}?",
    "Entries: {n}. Fields of an entry: {fields}, each label with a colon.",
)
FIELDS_HELDOUT = (
    "Fill in this form {n} time{s}: {model}",
    "A record consists of {fields}, with a colon behind each label; write {spelled} of those records.",
    "Required: {n} record{s} on the model of {model}",
    "Leave no field open; {spelled} record{s} with {fields} are what I need, as in {model}",
)
DEFINITIONS = (
    "Define exactly {n} term{s}, each on its own line as **Term**: definition.",
    "Write {spelled} definition{s} in the form **word**: what it means.",
    "Your answer should explain {n} term{s}, each line starting with the term in bold and a colon.",
    "Give a list of {spelled} definition{s} with the defined word in bold, followed by a colon.",
    "Please include {n} line{s} of the kind **Term**: meaning.",
    "Make sure that exactly {spelled} term{s} {are} defined as **Term**: text.",
    "I want {n} definition{s}. Put the term in bold at the start of the line and a colon behind it.",
    "Explain {spelled} important word{s}, one per line: **word**: explanation.",
    "There should be {n} bold term{s} with a colon and a definition, a line for each.",
    "Set up a small glossary with {n} entr{ies}, written as **entry**: definition.",
    "Could you define {n} term{s} as **Term**: definition?",
    "Glossary: {n} entr{ies}, **Term**: definition.",
)
DEFINITIONS_HELDOUT = (
    "Which {spelled} word{s} might a beginner not know? Gloss each on a line, **like this**: so and so.",
    "Required: {n} line{s} where a bold term, a colon and its meaning stand in this order.",
    "A reader should find {spelled} gloss{es} of the shape **term**: meaning.",
    "Bold term, colon, meaning; and that {n} time{s}, line by line.",
)
CLOSING = (
    'End with a section called "{label}" that sums up what you wrote.',
    'Close your answer with a short part that starts with "{label}:".',
    "The last section should be headed {label}.",
    'Your answer should finish with "{label}:" and one or two sentences.',
    'Please add a final part under the heading "{label}".',
    'Make sure that a section "{label}" comes last and that it is shorter than the rest.',
    "After the main text, write a brief section headed {label}.",
    'Let the text end in a section with the name "{label}".',
    'Put "{label}:" before the last few sentences, which should wrap it up.',
    "I want a last section, {label}, at the bottom.",
    'Could you finish with a section headed "{label}"?',
    "Final section: {label}.",
)
CLOSING_HELDOUT = (
    'Whoever reads only the bottom of the page should find "{label}" there, and a sentence or two.',
    "Required at the very end: a part that is named {label}.",
    'When the rest is said, add "{label}:" and say it in brief.',
    "No section may follow the one called {label}, with which your text closes.",
)
DIVIDED = (
    "Write {n} parts and separate them by a line that says only {divider}",
    "Your answer should have {spelled} parts, divided by lines of {divider}",
    "Split the text into exactly {n} parts. Between two parts goes a line with nothing but {divider}",
    "Use {divider} on a line of its own to divide the answer into {n} parts.",
    "Please separate the {spelled} parts of your answer by {divider}",
    "Make sure there are {n} parts in all, with the divider {divider} between them.",
    "I want {spelled} parts, and a line {divider} between each two of them.",
    "Put the divider {divider} on separate lines so that {n} parts result.",
    "The text must be cut by lines of {divider} into exactly {spelled} parts.",
    "Divide it into {n} pieces; the line {divider} marks where one ends and the next begins.",
    "Could you write {n} parts with {divider} between them?",
    "Parts: {n}. Divider (on its own line): {divider}",
)
DIVIDED_HELDOUT = (
    "A script splits your answer wherever a line is just {divider} and should get {n} pieces.",
    "Required: {spelled} blocks of text with a {divider} line in each gap.",
    "Nothing but {divider} may stand on the line that parts one block from the next; make {n} blocks.",
    "Where a new block begins, let a line of {divider} come before it, up to block {n}.",
)
CONTENTS = (
    'Begin with a list headed "Contents" that names your {n} section{s}, then write them under Markdown headings.',
    "Give a table of contents first. It lists {spelled} heading{s}, the same as those in the text below (Markdown).",
    "Your answer should have a table of contents that matches its {n} Markdown heading{s}.",
    'Write "Contents:", list your {n} heading{s}, and then use exactly these as Markdown headings.',
    "Please open with a table of contents for the {spelled} section{s} that follow under Markdown headings.",
    "Make sure the list under Contents has {n} entr{ies} and that every one comes back as a heading, in order.",
    "I want a table of contents and {n} section{s}; entries and Markdown headings must be the same.",
    "Start with the contents (a list), then {spelled} section{s} with these very headings in Markdown.",
    "The text needs a table of contents with {n} entr{ies}, equal to the Markdown headings beneath.",
    "Put a list named Contents at the top that gives your {spelled} Markdown heading{s} in order.",
    "Could you add a table of contents that lists your {n} Markdown heading{s}?",
    "Table of contents: yes, {n} entr{ies}, same as the Markdown headings.",
)
CONTENTS_HELDOUT = (
    "Every line of the table of contents reappears below as a Markdown heading, {n} in number.",
    "Required: a Contents list of {spelled}, mirrored by the Markdown headings of the text.",
    "Tell the reader at the top, under Contents, which {n} heading{s} will come, and keep your word.",
    "Contents and Markdown headings have to agree, word for word, with {spelled} of each.",
)
PAIRS = (
    "Write exactly {n} question{s} with answers, each marked Q: and A:.",
    'Answer in the form of {spelled} question{s} and answer{s}; begin the lines with "Q:" and "A:".',
    "Your answer should be a list of {n} pair{s} of Q: and A:.",
    "Make it a small FAQ with {spelled} question{s}. Put Q: before each question and A: before its answer.",
    "Please present it as {n} question{s} (Q:) with one answer (A:) each.",
    "Make sure that there {are} {spelled} Q: line{s} and that an A: line follows each.",
    "I want a catechism of {n} question{s}: Q: for asking, A: for answering.",
    "Put the content into {n} pair{s} of a question and an answer, labelled Q: and A:.",
    "Ask and answer {spelled} question{s}. Label them Q: and A:.",
    "The text must consist of {n} exchange{s} of the form Q: ...? A: ...",
    "Could you write it as {n} question{s} and answer{s} with Q: and A:?",
    "Q: and A: pairs: {n}.",
)
PAIRS_HELDOUT = (
    "What would people ask? Pose {spelled} such question{s} after Q: and settle each after A:.",
    "Required: Q: then A:, {n} time{s} over.",
    "Cast it as an interview with yourself, {n} round{s} of Q: and A:.",
    "Let {spelled} Q: be raised, and let none go without its A:.",
)
DIALOGUE = (
    "Write a dialogue between {speakers} with exactly {n} turn{s}, each beginning with the name and a colon.",
    "Let {speakers} talk in {spelled} turn{s}, marked like this:\n{first}: ...",
    "Your answer should be a conversation of {n} turn{s} between {speakers}; they take turns.",
    "Make it a script: {speakers} speak {spelled} time{s} in all, and nobody twice in a row.",
    "Please use the form {first}: text, with {speakers} as the speakers and {n} turn{s}.",
    "Have {speakers} speak alternately until there are exactly {n} line{s} of speech, each led by a name and a colon.",
    "I want {n} turn{s} of talk among {speakers}, the name of the speaker and a colon before each.",
    "The dialogue has {spelled} turn{s}. Its speakers are {speakers}, written as {first}: ...",
    "Put it as a conversation in which {speakers} take {n} turn{s} together.",
    "Each turn starts with the name of {speakers} and a colon; there must be {n} of them.",
    "Could you write {n} turn{s} of dialogue between {speakers}, as in {first}: ...?",
    "Dialogue: {speakers}, {n} turn{s}, name and colon first.",
)
DIALOGUE_HELDOUT = (
    "A play for {speakers} in {spelled} line{s} of speech, the name (as in {first}:) in front of each.",
    "Required: speech by {speakers}, by turns, {n} in total, in the manner of {first}: ...",
    "On stage are {speakers}. Count {n} before the curtain falls, each opened by a name and a colon.",
    "Nobody else may talk: {speakers} share {spelled} line{s}, never two running for one of them.",
)
TAGS = (
    "First think inside <{first}>...</{first}>, then answer inside <{second}>...</{second}>, and write nothing else.",
    "Put your considerations between <{first}> and </{first}> and the result between <{second}> and </{second}>.",
    "Your answer should have two parts: <{first}> with its closing tag, then <{second}> with its closing tag.",
    "Use the tags <{first}> and <{second}> in that order, close both, and leave no text outside.",
    "Please write <{first}>...</{first}> first and <{second}>...</{second}> after it.",
    "Make sure that everything is either in <{first}></{first}> or, after that, in <{second}></{second}>.",
    "I need the tag {first} for how you got there and the tag {second} for what you say in the end.",
    "Begin with a part in <{first}> tags and end with a part in <{second}> tags; there is nothing around them.",
    "The format is <{first}>notes</{first}><{second}>text</{second}>.",
    "Work it out within <{first}> and </{first}>; then give it within <{second}> and </{second}>.",
    "Could you use <{first}>...</{first}> and then <{second}>...</{second}> for the whole answer?",
    "Tags, in order: <{first}>, <{second}>. Nothing outside.",
)
TAGS_HELDOUT = (
    "Two elements make up the reply, {first} and after it {second}, in angle brackets and properly closed.",
    "I show people what is in <{second}> and hide what is in <{first}>, so use both, the hidden one first.",
    "Required: <{first}>, some text, </{first}>, <{second}>, some text, </{second}>, and no more.",
    "Keep notes in <{first}> apart from the outcome in <{second}>; close each tag before you go on.",
)
LETTER = (
    "Write it as a letter with a salutation and close it with {sign_off} and a name.",
    "Use the form of a letter: a greeting on the first line, and {sign_off} above the name at the end.",
    "Your answer should be a letter that starts with a salutation such as Dear ... and closes with {sign_off}.",
    "Please begin with Dear ..., and sign with {sign_off}, your name on the next line.",
    "Make it a proper letter. The line before the name reads {sign_off},",
    "Give the letter a salutation on a line of its own and the complimentary close {sign_off}.",
    "I want a letter with Dear ... at the top and {sign_off} plus a name at the bottom.",
    "The text has to look like a letter, from the salutation to {sign_off} and the signature.",
    "Start with a salutation, end with {sign_off} on its own line, and sign below.",
    "Format it as a letter; {sign_off} should stand right above the signature.",
    "Could you write a letter with a salutation and with {sign_off} above the name?",
    "Form: letter. Close: {sign_off}, then a name.",
)
LETTER_HELDOUT = (
    "Greet the person on line one, and take leave by {sign_off}, followed by who is writing.",
    "Required: salutation at the head, {sign_off} at the foot, a signature after that.",
    "As in any letter, address the reader first; then sign off by means of {sign_off} and a name.",
    "Neither the salutation nor {sign_off} with a signature may be missing from the letter.",
)
EMAIL = (
    "Write it as an e-mail whose first line is Subject: with at most {n} word{s}.",
    'Start with "Subject:" and a subject of no more than {n} word{s}, then the message.',
    "Your answer should be an e-mail with a subject line (Subject: ...) of up to {spelled} word{s} at the top.",
    "Please put a subject line first, Subject: and then {n} word{s} or fewer.",
    "Make it an e-mail. The line Subject: ... comes first and has {n} word{s} at the most.",
    "Give the e-mail a subject in the first line, in the form Subject: text, not longer than {n} word{s}.",
    "I want an e-mail that opens with Subject: and at most {spelled} word{s}.",
    "Line one is the subject (Subject: ...), with no more than {spelled} word{s}; the message follows.",
    "Use a subject line of {n} word{s} at most, written Subject: ..., above the message.",
    "The first line must read Subject: followed by up to {n} word{s}.",
    "Could you begin with Subject: and {n} word{s} or fewer, and then write the e-mail?",
    "E-mail with Subject: line, {n} word{s} at most.",
)
EMAIL_HELDOUT = (
    "In an inbox only Subject: and the first {spelled} word{s} show, so let line one hold that and not more.",
    "Required: Subject: at the head of the message, and {n} word{s} as the limit for it.",
    "Name what the message is about on line one, after Subject:, within {n} word{s}.",
    "How long may the subject be? {n} word{s}, behind Subject:, ahead of everything else.",
)
CITATIONS = (
    "Cite {n} source{s} as [1], [2] and so on in the text, and list all of them at the end with their numbers.",
    "Use numbered citations up to [{n}] and put the list of sources below the text.",
    "Your answer should refer to {spelled} source{s} by numbers in square brackets, and list them at the bottom.",
    "Give {spelled} numbered reference{s}, each cited in the text as [number] and listed at the end.",
    "Please support the text by {n} source{s}, cited like [1], with a list of these as the last thing.",
    "Make sure that exactly {n} source{s} {are} cited in square brackets and listed below, each line starting [1] etc.",
    "I want {n} reference{s}: a number in square brackets where it is used, and the same number in the final list.",
    "Every source from [1] to [{n}] must be used in the text and described in the list that ends it.",
    "Add {spelled} citation{s} in square brackets and close with the list of sources.",
    "End with a list of {n} source{s}, [1] and following, all of which the text cites.",
    "Could you cite {n} source{s} by [1] and so on, and list them at the end?",
    "Sources: {n}, cited as [1] etc. and listed last.",
)
CITATIONS_HELDOUT = (
    "Whatever you list as [1] to [{n}] at the bottom has to be called upon above, by its number.",
    "Required: bracketed numbers for {spelled} source{s}, in the text as much as in the closing list.",
    "Let a reader look each claim up: number in brackets, {n} in all, resolved in the last lines.",
    "The closing list runs to [{n}], and no number in it goes without a mention before.",
)
LINKS = (
    "Include at least {n} link{s}, written out with https://.",
    "Your answer should have {spelled} or more web addresses.",
    "Give at least {n} URL{s}.",
    "Please add {spelled} link{s} or more, each a full address.",
    "Make sure that {n} or more URLs are in the text.",
    "I would like at least {spelled} web address{es} (https://...).",
    "Point to {n} web page{s} or more by their addresses.",
    "The text must hold {n} or more links.",
    "Put in no fewer than {spelled} URL{s}.",
    "Refer to websites with their full address at least {n} time{s}.",
    "Could you include {n} link{s} or more?",
    "Links: at least {n}.",
)
LINKS_HELDOUT = (
    "A reader should be able to click {n} time{s} or more.",
    "Required: web addresses, {spelled} at a minimum, each with https:// in front.",
    "Where on the web is that? Say so with {n} URL{s} at the least.",
    "Let {spelled} or more addresses of web pages stand in the reply.",
)
NO_LINKS = (
    "Do not include any links.",
    "Your answer should have no web addresses in it.",
    "Leave out all URLs.",
    "No links, please.",
    "Make sure that there is no URL in the text.",
    "Please write without links to websites.",
    "The answer must not contain a web address.",
    "I cannot open links, so give none.",
    "Avoid URLs of any kind.",
    "Use no hyperlinks.",
    "Could you answer without links?",
    "Links: none.",
)
NO_LINKS_HELDOUT = (
    "This will be read on paper, where a web address is of no use, so write none.",
    "Nothing in the reply should be clickable.",
    "Required: a text in which no website is linked.",
    "Refrain from sending the reader to the web.",
)
