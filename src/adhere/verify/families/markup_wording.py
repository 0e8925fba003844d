"""The wordings of the constraint types about Markdown, code and tags; the held-out ones never reach training data."""

from __future__ import annotations

TABLE = (
    "Include a Markdown table with the columns {columns} and exactly {n} row{s} below the header.",
    "Show it in a table (Markdown) whose columns are {columns}, in that order, with {spelled} row{s} of content.",
    "Your answer should hold a Markdown table. Columns: {columns}. Rows, header not counted: {n}.",
    "Make a table in Markdown with {n} data row{s} under the headers {columns}.",
    "Please put the facts into a Markdown table that has the headers {columns} and {spelled} row{s} of entries.",
    "I want a Markdown table with exactly these columns: {columns}. It should have {n} row{s} besides the header.",
    "Use a Markdown table with {k} columns, {columns}, and fill {spelled} row{s}.",
    "Draw up a table with bars and dashes as Markdown has it, columns {columns}, {n} row{s} of data.",
    "There has to be a Markdown table: its header reads {columns}, and {spelled} row{s} follow.",
    "Arrange the content as a Markdown table headed by {columns}. Give it {n} row{s}, the header apart.",
    "Could you add a Markdown table with the columns {columns} and {n} row{s}?",
    "Table (Markdown): columns {columns}; {n} row{s}.",
)
TABLE_HELDOUT = (
    "A reader should find one table in Markdown, headed {columns}, that lists {spelled} entr{ies}.",
    "What I need is tabular: {columns} across the top, {n} line{s} of entries beneath, set in Markdown.",
    "Tabulate it in Markdown. The top row names {columns}; underneath come {n} more.",
    "Required: a Markdown table of {spelled} row{s}, the row of headers ({columns}) not included.",
)
HEADINGS = (
    "Use exactly {n} Markdown heading{s} of level {level} ({sign}).",
    "Your answer should have {spelled} heading{s} written with {sign} at the start of the line.",
    'Put {n} heading{s} of level {level} into the answer, in Markdown: "{sign} Heading".',
    "Structure the text by exactly {spelled} level-{level} Markdown heading{s}.",
    "Make sure there {are} exactly {n} heading{s} that begin with {sign} and a space.",
    "Please use {sign} for headings, and write {n} of them, no more and no fewer.",
    "I want {spelled} Markdown heading{s} at level {level}, marked by {sign}.",
    "The text must contain {n} heading{s} of the form {sign} Title.",
    "Break the answer up with {spelled} heading{s}; each starts with {sign} as Markdown has it.",
    "Exactly {n} line{s} should be Markdown headings of level {level}.",
    "Could you give it {n} heading{s} at level {level} ({sign})?",
    "Headings of level {level} ({sign}): {n}.",
)
HEADINGS_HELDOUT = (
    "Counting the lines that open with {sign} and a space, I should get {n}.",
    "Let {spelled} Markdown heading{s} of depth {level} guide the reader.",
    "Required: {n} times {sign} in front of a heading, neither more nor fewer.",
    "A table of contents made from the level-{level} headings would list {spelled} of them.",
)
HEADING_LEVELS = (
    "Use Markdown headings of at least {n} different levels, and never skip a level on the way down.",
    "Structure the answer with headings in Markdown on {spelled} or more levels; no jump from # to ###.",
    "Your headings (Markdown) should span {n} levels or more without leaving one out.",
    "Write Markdown headings on at least {spelled} levels. A heading may be only one level deeper than the last.",
    "Please nest your Markdown headings at least {n} levels deep, one step at a time.",
    "Make a proper outline: Markdown headings on {n} or more levels with none skipped.",
    "I expect headings and subheadings in Markdown, {spelled} levels at the least, in an unbroken hierarchy.",
    "The Markdown headings must form a clean hierarchy of {n} levels or more.",
    "Use # and deeper headings so that at least {spelled} levels occur and no level is passed over.",
    "Divide the text by headings on {n} or more levels (#, ##, ...), each at most one deeper than the one before.",
    "Could you use Markdown headings on at least {n} levels without skipping any?",
    "Heading levels in Markdown: {n} or more, none skipped.",
)
HEADING_LEVELS_HELDOUT = (
    "An outline drawn from your Markdown headings should reach {spelled} levels and have no gaps.",
    "Going deeper by more than one # at a time is not allowed, and {n} levels of headings is the minimum.",
    "Let headings and the headings under them (Markdown) make up {spelled} levels or more, step by step.",
    "Required: a gapless hierarchy of Markdown headings with {n} levels at least.",
)
CHECKLIST = (
    "Write a checklist with exactly {n} item{s} in Markdown, like this:\n- [ ] an item",
    "Give me {spelled} checkbox item{s}, each on a line of its own that begins with - [ ].",
    "Use Markdown checkboxes (- [ ]) for exactly {n} thing{s} to tick off.",
    "Your answer should contain a task list of {spelled} item{s} in the form - [ ] task.",
    "Make it a checklist: {n} line{s} starting with - [ ], no more and no fewer.",
    "Please set up {spelled} box{es} to tick, written as - [ ] followed by text.",
    "I would like a list of {n} task{s} with empty boxes, i.e. - [ ] in front of each.",
    "There should be exactly {n} checkbox{es} in the answer, in Markdown notation - [ ].",
    "Turn the content into a to-do list of {spelled} item{s}, with - [ ] before every one.",
    "The list must have {n} item{s} to check off. Mark each by - [ ].",
    "Could you write a checklist of {n} item{s} (- [ ])?",
    "Checklist (- [ ]): exactly {n} item{s}.",
)
CHECKLIST_HELDOUT = (
    "Someone will tick these off one by one, so offer {spelled} open box{es} of the kind - [ ].",
    "Required: {n} time{s} - [ ] at the start of a line, with something to do behind it.",
    "How many boxes? {n}, in the notation of Markdown task lists (- [ ]).",
    "Lay it out for ticking: - [ ] opens {spelled} line{s}, not one more or less.",
)
NESTED = (
    "Use a nested list that is at least {n} levels deep.",
    "Write a list with sublists so that there are {spelled} levels or more of items.",
    "Your answer should hold a list whose items have indented items below, {n} levels at least.",
    "Make a list in Markdown with {n} or more levels, deeper ones indented.",
    "Please nest the list: {spelled} levels of bullets or more.",
    "I want a list of lists, indented to a depth of at least {n}.",
    "Arrange the points as an indented list with no fewer than {spelled} levels.",
    "The list should go {n} levels deep or deeper, each level indented further.",
    "Group the points under other points in a list, down to at least {n} levels.",
    "There has to be a list in which indentation shows {spelled} or more levels.",
    "Could you use a list with {n} levels or more?",
    "Depth of the nested list: {n} levels at least.",
)
NESTED_HELDOUT = (
    "Points below points: let the indented list reach depth {n} somewhere.",
    "A flat list is not enough; indent some items so that {spelled} levels come about.",
    "Required: a hierarchical list, {n} levels being the least.",
    "Show by indenting which item belongs to which, with {spelled} levels or more.",
)
PLAIN = (
    "Write plain text only, without any Markdown.",
    "Do not use bold, italics, headings, bullets or other Markdown.",
    "Your answer should be plain text: no formatting marks of any kind.",
    "Leave out all Markdown formatting.",
    "Please answer without asterisks, number signs, bullets or code marks.",
    "No formatting, please; just plain sentences.",
    "Make sure that nothing in the answer is formatted as Markdown.",
    "I can only display plain text, so keep Markdown out of it.",
    "The answer has to be unformatted text.",
    "Use neither bold nor italic type, neither headings nor lists with bullets.",
    "Could you answer in plain text without Markdown?",
    "Formatting: none (plain text).",
)
PLAIN_HELDOUT = (
    "The text goes into a field that knows no Markdown, so any such mark would look wrong.",
    "Bare prose is what I want, free of stars, hashes and backticks.",
    "Required: text that looks the same in a plain editor as on a web page.",
    "Refrain from all markup; paragraphs are fine.",
)
CODE = (
    "Include a code block labelled {language} (```{language}) with valid {language} in it.",
    "Put the code into a fenced block that starts with ```{language}.",
    "Your answer should have a fenced code block in {language}, opened by ```{language} and closed by ```.",
    "Write the {language} in a code fence with the label {language}.",
    "Please give a block of {language} code, fenced as ```{language}, that is free of syntax errors.",
    "Make sure there is a ```{language} block and that its content is proper {language}.",
    "I want to copy the {language} from a code block, so fence it with ```{language} and ```.",
    "Show it in {language}. The code goes between ```{language} and ```.",
    "The answer must contain a closed code fence labelled {language}.",
    "Use a fenced block for the {language} code and name the language after the opening backticks.",
    "Could you add a ```{language} block?",
    "Code: {language}, in a labelled fence.",
)
CODE_HELDOUT = (
    "A tool will take the first fence labelled {language} out of your answer and parse it.",
    "Between ```{language} and the closing backticks I expect {language} that parses.",
    "Required: fenced {language} with its label.",
    "Set your {language} apart from the prose by three backticks and the word {language}.",
)
BLOCKS = (
    "Use exactly {n} fenced code block{s}.",
    "Your answer should have {spelled} code block{s} between triple backticks, no more and no fewer.",
    "Put code into {n} block{s} fenced by ```.",
    "Make sure there {are} exactly {spelled} fenced block{s} of code.",
    "Please give {n} code block{s}, each opened and closed by three backticks.",
    "I want precisely {spelled} code fence{s} in the answer.",
    "There should be {n} block{s} of code, every one with ``` before and after.",
    "Divide the code into {spelled} fenced block{s}.",
    "The answer must contain {n} code block{s} in Markdown fences.",
    "Show the code in exactly {spelled} separate fenced block{s}.",
    "Could you use {n} fenced code block{s}?",
    "Fenced code blocks: {n}.",
)
BLOCKS_HELDOUT = (
    "If I count the regions between triple backticks, I want to end up with {n}.",
    "Let {spelled} fence{s} of backticks, opened and closed, hold the code.",
    "Required: {n} piece{s} of code, fenced one by one.",
    "How many fenced regions? {n}, not one more.",
)
MATH = (
    "Write at least {n} formula{s} in LaTeX, between dollar signs.",
    "Use LaTeX for the mathematics, with {spelled} formula{s} or more such as $a + b$.",
    "Your answer should show at least {n} LaTeX formula{s}, inline as $...$ or set apart as $$...$$.",
    "Put {n} or more formulas between $ signs, written in LaTeX.",
    "Please typeset at least {spelled} expression{s} in LaTeX.",
    "Make sure that {n} or more formulas stand in LaTeX math mode.",
    "I expect LaTeX notation, {spelled} formula{s} at the least.",
    "The mathematics goes into LaTeX: a minimum of {n} formula{s} in dollar signs.",
    "Give no fewer than {n} formula{s} as LaTeX, for example $x^2$.",
    "There should be at least {spelled} place{s} with LaTeX math.",
    "Could you use LaTeX for {n} formula{s} or more?",
    "LaTeX formulas: {n} or more.",
)
MATH_HELDOUT = (
    "My page renders $...$ as mathematics; let it do so {n} time{s} or more.",
    "Formulas belong in LaTeX here, and {spelled} is the fewest I accept.",
    "Required: LaTeX math, {n} expression{s} at a minimum.",
    "What can be said in a formula, say in LaTeX, {spelled} time{s} at the very least.",
)
NO_HTML = (
    "Do not use any HTML tags.",
    "Your answer should be free of HTML.",
    "Write without HTML tags or entities.",
    "No HTML, please.",
    "Make sure that no HTML is in the text.",
    "Please leave out HTML such as <br> or &nbsp;.",
    "The answer must not contain HTML elements.",
    "I cannot show HTML, so keep every tag of it out.",
    "Avoid HTML altogether.",
    "Not a single HTML tag may occur in what you write.",
    "Could you write it without HTML?",
    "HTML: not allowed.",
)
NO_HTML_HELDOUT = (
    "A filter rejects all text with HTML in it, so write none.",
    "Tags like <b> or <div> have no place here.",
    "Required: text that holds no HTML whatsoever.",
    "What would a browser read as a tag? Leave that out.",
)
TAGGED = (
    "Put your whole answer between <{tag}> and </{tag}>.",
    "Wrap everything you write in a {tag} tag: <{tag}>...</{tag}>.",
    "Start with <{tag}> and finish with </{tag}>, with all of the text in between.",
    "Your answer should be enclosed by <{tag}> and </{tag}>, and nothing may stand outside.",
    "The complete text belongs inside one pair of tags, <{tag}> and </{tag}>.",
    "Please open with <{tag}>, give the answer, and close with </{tag}>.",
    "Make sure that the first thing is <{tag}> and the last thing is </{tag}>.",
    "Everything goes into <{tag}></{tag}>, without a word before or after.",
    "I read only what is between <{tag}> and </{tag}>, so put all of it there.",
    "Use the tag <{tag}> once, around the entire answer, and close it by </{tag}>.",
    "Could you place the full answer between <{tag}> and </{tag}>?",
    "Format: <{tag}>your text</{tag}>",
)
TAGGED_HELDOUT = (
    "A script cuts out the part from <{tag}> to </{tag}>; leave nothing for it to throw away.",
    "One <{tag}> at the very beginning, one </{tag}> at the very end, your text within.",
    "Required: a single element named {tag}, as in <{tag}>...</{tag}>, that holds the reply.",
    "No character may precede <{tag}> or follow </{tag}>.",
)
