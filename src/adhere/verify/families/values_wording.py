"""The wordings of the constraint types about values; the held-out ones never reach training data."""

from __future__ import annotations

DATES = (
    "Write every date in the form {form}, and give at least {n} date{s}.",
    "Dates should look like {sample} ({form}). Mention {spelled} or more.",
    "Your answer should have at least {n} date{s}, all in the format {form}.",
    "Use the format {form} for dates, such as {sample}, at least {n} time{s}.",
    "Please include {n} or more dates and write each as {form}.",
    "Make sure that all dates follow the pattern {form} and that there {are} at least {spelled}.",
    "I need {spelled} date{s} or more in the form {sample}, and no date in another form.",
    "Any date must be given as {form}; there should be {n} or more of them.",
    "Give the dates, {n} at the least, in this format only: {form}.",
    "All dates take the form {form} (like {sample}), with no fewer than {n} of them.",
    "Could you write at least {n} date{s}, each as {form}?",
    "Date format: {form}. Dates: {n} or more.",
)
DATES_HELDOUT = (
    "A program sorts by date and understands nothing but {form}; let it find {n} or more.",
    "Required: {form} wherever a date stands, and a minimum of {spelled} such place{s}.",
    "What does a date look like? {sample}, never otherwise, {n} time{s} at the least.",
    "Real days of the calendar, set as {form}, should turn up {spelled} time{s} or more.",
)
TIMES = (
    "Give all times on the 24-hour clock (HH:MM), at least {n} of them.",
    "Write times like 07:30 or 18:45, and mention {spelled} or more.",
    "Your answer should have at least {n} time{s} of day, in 24-hour format with two digits for the hour.",
    "Use the 24-hour format HH:MM for every time; there should be {n} or more.",
    "Please state {spelled} or more times, each as HH:MM without am or pm.",
    "Make sure that times are written as HH:MM from 00:00 to 23:59 and that there {are} at least {n}.",
    "I want {n} time{s} or more on the 24-hour clock, never with am or pm.",
    "All times must be in 24-hour notation such as 09:05; give no fewer than {spelled}.",
    "Mention at least {n} time{s}, and use HH:MM only.",
    "Times of day go in as HH:MM (24 hours), {spelled} at the least.",
    "Could you give {n} or more times in the form HH:MM on the 24-hour clock?",
    "Times: {n} or more, 24-hour format HH:MM.",
)
TIMES_HELDOUT = (
    "As on a railway timetable, write 06:05 or 22:10, and do so {n} time{s} or more.",
    "Required: clock times from 00:00 to 23:59, {spelled} as a minimum, no am, no pm.",
    "Four digits and a colon make a time here; a reader should find {n} or more.",
    "Half past six in the evening is 18:30. Put {spelled} or more times that way.",
)
CURRENCY = (
    "Give every amount of money with the sign {sign}.",
    "All prices should be in {sign}, for example {sign}20.",
    "Your answer should state amounts of money with {sign} only.",
    "Use {sign} for money, and no other currency.",
    "Please write each price with {sign}, and name at least one.",
    "Make sure that any amount of money carries the sign {sign}.",
    "I want amounts in {sign}; do not spell the currency out.",
    "Money is to be written with {sign}, at least once and always.",
    "Whenever you mention a sum of money, mark it by {sign}.",
    "Name prices, and put {sign} on all of them.",
    "Could you give all amounts with {sign}?",
    "Currency sign: {sign}, for all amounts.",
)
CURRENCY_HELDOUT = (
    "What things cost should be shown with {sign} and nothing else.",
    "Required: sums of money marked {sign}, without an exception.",
    "No other currency than {sign}, please, and some amount should be there.",
    "A price without {sign} would not be understood, so attach it to each.",
)
UNITS = (
    "Use {system} units only, and give at least one measure.",
    "All measures should be in {system} units such as {samples}.",
    "Your answer should state sizes and weights in {system} units.",
    "Give measurements in the {system} system and in no other.",
    "Please write quantities with {system} units, for example {samples}.",
    "Make sure that every measure uses {system} units.",
    "I want figures in {system} units alone, no conversions.",
    "Measures must be {system}; mention at least one in digits.",
    "Whenever you measure something, do it in {system} units.",
    "Stick to the {system} system for all quantities with a unit.",
    "Could you use {system} units throughout?",
    "Units: {system}.",
)
UNITS_HELDOUT = (
    "My readers think in {samples} and the like, so stay with the {system} system.",
    "Required: quantities in {system} units, never in others, not even in parentheses.",
    "Which system of measures? The {system} one, with some figure to show it.",
    "Let each length, weight or volume be {system}.",
)
DECIMALS = (
    "Write every number with exactly {n} {digits} after the decimal point, like {sample}.",
    "All numbers should have {spelled} decimal {digits}, for example {sample}.",
    "Your answer should give numbers rounded to {n} decimal {digits}, whole ones included ({sample}).",
    "Round each number so that {spelled} {digits} follow the point.",
    "Please show all figures with {n} {digits} after the point, e.g. {sample}.",
    "Make sure that any number has {n} decimal {digits}, no more and no fewer.",
    "I want numbers with exactly {spelled} {digits} behind the point; seven would be {sample}.",
    "Use {n} decimal {digits} in every number you write.",
    "Numbers must look like {sample}, that is, with {n} {digits} after the point.",
    "Give numbers to {spelled} decimal {digits} throughout.",
    "Could you write all numbers with {n} {digits} after the point?",
    "Decimal {digits}: {n}, in every number.",
)
DECIMALS_HELDOUT = (
    "Behind the decimal point of any figure I expect {n} {digits}.",
    "Required precision: {spelled} {digits} past the point, as {sample} has.",
    "In the manner of {sample}, let each figure end {n} {digits} after its point.",
    "How exact? To {spelled} decimal {digits}, neither finer nor coarser.",
)
SHARES = (
    "Give exactly {n} percentages that add up to 100.",
    "Name {spelled} shares in percent; together they must make 100.",
    "Your answer should contain {n} percentages, and their sum is 100.",
    "Use {spelled} figures with a percent sign that total 100%.",
    "Please split it into {n} parts and give each in percent, 100 in total.",
    "Make sure that there are {n} percentages and that they sum up to exactly 100.",
    "I want {spelled} percentages in the text, adding up to one hundred.",
    "Divide the whole into {n} shares with % so that nothing is left over.",
    "State {n} percentages, no other ones, with 100 as their sum.",
    "The {spelled} shares, each with a percent sign, have to add up to 100.",
    "Could you give {n} percentages that make 100 together?",
    "Percentages: {n}, sum 100.",
)
SHARES_HELDOUT = (
    "If I add the {n} figures in percent, I should arrive at 100 on the dot.",
    "Required: {spelled} slices of the pie in percent, and the pie is whole.",
    "Cut one hundred percent into {n} and tell me each.",
    "Neither 99 nor 101: the {spelled} percentages you mention total 100.",
)
THOUSANDS = (
    "Group the digits of large numbers by a {name}, as in {sample}.",
    "Write numbers of five digits or more with a {name} between thousands: {sample}.",
    "Your answer should separate thousands by a {name} ({sample}).",
    "Use a {name} as the thousands separator, for example {sample}.",
    "Please set a {name} between groups of three digits in large numbers, like {sample}.",
    "Make sure that long numbers are grouped with a {name}, such as {sample}.",
    "Large numbers take a {name} before each group of three digits ({sample}).",
    "Where a number has five digits or more, put a {name} at the thousands.",
    "The thousands separator is the {name}: {sample}.",
    "In numbers above 9999 there must be a {name} at every third digit.",
    "Could you write large numbers like {sample}, with a {name}?",
    "Thousands separator: {name}.",
)
THOUSANDS_HELDOUT = (
    "Nobody can read ten digits in a row, so break large numbers by a {name}, {sample} being a model.",
    "Required: groups of three, and a {name} between them, from five digits on.",
    "Print big figures the way {sample} is printed, with a {name}.",
    "What stands between thousands and hundreds? A {name}, if the number is long.",
)
PATTERN = (
    "Your whole answer must match this regular expression: {pattern}",
    "Answer with a text that the regular expression {pattern} matches from start to end.",
    "Write something that fits the pattern {pattern} as a whole.",
    "The complete reply has to match the regular expression below.\n{pattern}",
    "Give only text that is matched in full by {pattern}",
    "Please answer in the exact form described by this regular expression: {pattern}",
    "Make sure that {pattern} matches all of your answer, not just a part.",
    "I check your answer by the regular expression {pattern} and accept a full match only.",
    "Format, as a regular expression over the entire answer: {pattern}",
    "Write nothing that would keep {pattern} from matching the full answer.",
    "Could you answer in a form that {pattern} matches entirely?",
    "Full match required: {pattern}",
)
PATTERN_HELDOUT = (
    "A form field validates what you send with {pattern} and rejects anything else.",
    "Required: a reply in the language of this regular expression: {pattern}",
    "From its first to its last character, your text should obey {pattern}",
    "The regular expression {pattern} says what you may send.",
)
OPTION = (
    "Answer with exactly one of {options} and nothing else.",
    "Your whole answer should be {options}, as written here.",
    "Choose one: {options}. Write only that.",
    "Reply with one of these and no other word: {options}.",
    "Please pick one of {options} and give it without any explanation.",
    "Make sure that your answer is just {options}.",
    "Say only {options}, letter for letter.",
    "The reply has to be one of {options}, without a period or a comment.",
    "Decide for one of the options {options} and write down nothing more.",
    "I accept {options} as an answer and nothing besides.",
    "Could you answer with just one of {options}?",
    "Options: {options}. Write one.",
)
OPTION_HELDOUT = (
    "A machine reads your reply and knows {options} only.",
    "Required: one of {options}, in this very spelling, alone.",
    "Tick a box, so to speak: {options}; then stop.",
    "Which is it, {options}? Copy the one you mean.",
)
NUMBER = (
    "Answer with a single number from {low} to {high} and nothing else.",
    "Your whole answer should be a number between {low} and {high}.",
    "Give only a number, at least {low} and at most {high}.",
    "Reply with one number in digits, between {low} and {high}, without any words.",
    "Please write just a number from {low} to {high}.",
    "Make sure your answer is a number not below {low} and not above {high}, with no text around it.",
    "Say it in one number on a scale of {low} to {high}; leave out everything else.",
    "The reply must consist of a number in the range {low} to {high}.",
    "I only want a figure between {low} and {high}.",
    "Pick a number from {low} to {high} and write down nothing but that.",
    "Could you answer by a number between {low} and {high} alone?",
    "Number only, {low} to {high}.",
)
NUMBER_HELDOUT = (
    "What you send is stored in a numeric field that runs from {low} to {high}.",
    "Required: digits, no words, a value of {low} up to {high}.",
    "Put a figure on it, {low} being the least and {high} the most, and add no word.",
    "Neither unit nor explanation; a value within {low} and {high} is the reply.",
)
SORTED = (
    "Give a list and sort its items in {order} order.",
    "Your answer should contain a list whose items are in {order} order.",
    "Put the list items into {order} order.",
    "List the things in {order} order, one item per line.",
    "Please write a bulleted or numbered list in {order} order.",
    "Make sure that the list is in {order} order.",
    "The items of your list must be sorted ({order}).",
    "I want the points as a list, sorted in {order} order.",
    "Arrange the list in {order} order from top to bottom.",
    "Sort the list you give: {order} order.",
    "Could you list them in {order} order?",
    "Order of the list: {order}.",
)
SORTED_HELDOUT = (
    "Someone will look things up in your list, which therefore has to follow {order} order.",
    "Required: a list, its entries in {order} sequence.",
    "No entry of the list may break the {order} order.",
    "From the first entry of the list to the last, keep to an {order} arrangement.",
)
SUMS = (
    "Show at least {n} calculation{s} of the form a + b = c, and get them right.",
    "Write out {spelled} or more equations such as 3 x 4 = 12; all must hold.",
    "Your answer should have at least {n} correct equation{s} in digits.",
    "Include {n} or more sums with their results, like 12 + 8 = 20, without a mistake.",
    "Please do the arithmetic in the open: {spelled} equation{s} or more, each of them true.",
    "Make sure that {n} or more calculations with = are shown and that every one is right.",
    "I want to see {spelled} equation{s} at least, in numbers, and none of them wrong.",
    "Give the steps as equations (a - b = c), {n} or more, all correct.",
    "Work it out in {n} or more lines of arithmetic with an equals sign.",
    "There should be no fewer than {spelled} equation{s} in digits, and they have to hold.",
    "Could you show {n} or more correct calculations with =?",
    "Equations shown: {n} or more, all correct.",
)
SUMS_HELDOUT = (
    "A teacher ticks each equation that holds and wants {n} tick{s} or more, and no cross.",
    "Required: arithmetic you can check, with =, {spelled} time{s} at a minimum.",
    "Let the reader follow the numbers by {n} or more true equation{s}.",
    "Both sides of every = must be equal, and {spelled} of these is the fewest.",
)
