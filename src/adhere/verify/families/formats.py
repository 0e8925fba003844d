"""Constraint family `detectable_format`: bullets, fixed answers, highlights, sections, JSON, titles.

The mended readings are in `formats_mended`.
"""

from __future__ import annotations

import json
import random
import re

from adhere.core.errors import VerifierError
from adhere.core.verifier import Verdict
from adhere.verify import reformat
from adhere.verify.constraint import ConstraintType, Drawing, Example, Params, failed, judged_count, passed
from adhere.verify.families import formats_mended as mended
from adhere.verify.spans import counted_spans, first_spans
from adhere.verify.wording import counted

_COUNTS = range(1, 1_000_001)

# ---------------------------------------------------------------- bullets

# The reference lets the white space before a mark span blank lines; a line's own white space gives the same
# counts without going quadratic on a reply of newlines.
_STAR_BULLET = re.compile(r"^[^\S\n]*\*[^*].*$", re.MULTILINE)
_DASH_BULLET = re.compile(r"^[^\S\n]*-.*$", re.MULTILINE)


def _verify_bullets(params: Params, reply: str) -> Verdict:
    spans = sorted(found.span() for pattern in (_STAR_BULLET, _DASH_BULLET) for found in pattern.finditer(reply))
    return judged_count(len(spans), "exactly", params["num_bullets"], "bullet points", first_spans(spans))


def _draw_bullets(rng: random.Random, drawing: Drawing) -> dict[str, object]:
    most = min(8, max(2, drawing.answer_words // 10))
    return {"num_bullets": rng.randint(2, most)}


_BULLETS = ConstraintType(
    id="detectable_format:number_bullet_lists",
    family="detectable_format",
    parameters={"num_bullets": int},
    phrasings=(
        "Use exactly {n} bullet point{s}, each on its own line and starting with an asterisk, like this:\n"
        "* This is a point.",
        "Give your answer as a list of exactly {n} markdown bullet{s} (* item).",
        'The answer must have {spelled} bullet point{s}, no more and no fewer, in the form "* text".',
        "Write {n} bullet{s} in markdown, one per line:\n* like this one",
        "Your answer should be made of exactly {spelled} bulleted item{s}, each beginning with *.",
        "Put the answer into precisely {n} bullet point{s}. Begin every one with an asterisk and a space.",
        "Make sure that there are exactly {n} bullet points in total, marked by * at the start of the line.",
        "Please answer in {spelled} bullet point{s}, written as:\n* first point\n* next point",
        "List exactly {n} points. A point is one line that begins with * and a space.",
        "I need {n} bullets, not one more or less, in the usual markdown style (* point).",
        "Organise what you write under {spelled} bullet point{s} (use * for the bullets).",
        "There should be a bulleted list with exactly {n} entries, such as:\n* an entry",
        "Only {n} bullet point{s}, please, each of them a line that starts with an asterisk (*).",
        "Sum it up in exactly {spelled} bullet point{s} and mark each by an asterisk.",
        "Could you put it into {spelled} markdown bullet{s} (* like this), no more and no fewer?",
        "Bullet points (*): exactly {n}.",
    ),
    heldout_phrasings=(
        "If I count the lines that begin with an asterisk (* like this), I should arrive at {n}.",
        "Required layout: {spelled} lines that open with *, neither fewer nor more.",
        "How many bullets? Exactly {n}, in markdown:\n* one thing\n* another thing",
        "Break the content down into {spelled} lines starting with *, not one more or less.",
    ),
    verify=_verify_bullets,
    mended=mended.bullets,
    allowed={"num_bullets": range(1_000_001)},
    rank=22,
    least_words=lambda params: 6 * params["num_bullets"],
    draw=_draw_bullets,
    repair=lambda params, reply: reformat.as_bullets(reply, params["num_bullets"]),
    words=lambda params: counted(params["num_bullets"]),
    examples=(
        Example(
            {"num_bullets": 2},
            "Pack these:\n* a tent\n* a lamp",
            ("Pack these:\n* a tent", "* a tent\n* a lamp\n* a map", "• a tent\n• a lamp", "1. a tent\n2. a lamp"),
        ),
    ),
)

# ---------------------------------------------------------------- fixed answers


def _verify_constrained(params: Params, reply: str) -> Verdict:
    for option in reformat.OPTIONS:
        at = reply.find(option)
        if at >= 0:
            return passed(f"contains {option!r}", ((at, at + len(option)),))
    return failed("none of the three fixed answers is there, letter for letter")


_CLOSED = re.compile(
    r"^(?:is|are|was|were|do|does|did|can|could|should|would|will|has|have|had|may|might|must|am)\b", re.IGNORECASE
)


def _draw_constrained(rng: random.Random, drawing: Drawing) -> dict[str, object] | None:
    """Only for a question that yes, no or maybe answers."""
    text = drawing.instruction.strip()
    last = re.split(r"(?<=[.!?:])\s+|\n", text)[-1]
    closed = text.endswith("?") and (_CLOSED.match(last) or _CLOSED.match(text)) and " or " not in last.lower()
    request = re.match(r"(?:can|could|would|will) you\b", last, re.IGNORECASE)
    return {} if closed and not request else None


_CONSTRAINED = ConstraintType(
    id="detectable_format:constrained_response",
    family="detectable_format",
    parameters={},
    phrasings=(
        'Answer with one of three sentences: "My answer is yes.", else "My answer is no.", else "My answer is maybe."',
        "Choose one line.\nFor agreement: My answer is yes.\nFor disagreement: My answer is no.\nFor anything else: "
        "My answer is maybe.",
        "If it is true, write 'My answer is yes.' If it is not, write 'My answer is no.' If it depends, write "
        "'My answer is maybe.'",
        "Your answer should be one of three: (1) My answer is yes. (2) My answer is no. (3) My answer is maybe.",
        "Pick A, B or C and write out its sentence.\nA: My answer is yes.\nB: My answer is no.\nC: My answer is maybe.",
        'Say "My answer is yes." where you agree, "My answer is no." where you do not, and otherwise "My answer is '
        'maybe."',
        'Please decide, and write only "My answer is yes." (agreed), "My answer is no." (not agreed) or "My answer is '
        'maybe." (open).',
        "Use one of these sentences, word for word. Positive: My answer is yes. Negative: My answer is no. Undecided: "
        "My answer is maybe.",
        'Make sure to respond in the form "My answer is X." where X is yes, no or maybe.',
        'Complete the sentence "My answer is ..." with yes, no or maybe, close it with a period, and write it down.',
        'Keep it to a single fixed sentence, "My answer is yes." for a yes, "My answer is no." for a no, "My answer is '
        'maybe." for neither.',
        'I only accept the sentence "My answer is yes." with a period, or the same with no or with maybe.',
        'Could you answer by "My answer is yes.", or with "no" or "maybe" as the last word of that sentence?',
        'The answer should be given as one sentence: "My answer is" followed by yes, no or maybe and a period.',
        "Answer format: My answer is [yes/no/maybe].",
        'Fill in one word, yes, no or maybe: "My answer is ___." Write the whole sentence with its period.',
    ),
    heldout_phrasings=(
        "A verdict, please: “My answer is yes.” if you are for it, “My answer is no.” if against, "
        "“My answer is maybe.” if unsure.",
        "Allowed replies: [My answer is yes.] and [My answer is no.] and [My answer is maybe.]",
        "Which is it? Copy the fitting line: 1) My answer is yes. 2) My answer is no. 3) My answer is maybe.",
        "Settle the question in four words, My answer is yes. When it is not so, replace yes by no, or by maybe.",
    ),
    verify=_verify_constrained,
    mended=mended.one_fixed_answer,
    rank=10,
    only_with=frozenset(),
    demands=lambda params: ("My answer is maybe.",),
    draw=_draw_constrained,
    repair=lambda params, reply: reformat.as_option(reply),
    words=lambda params: {},
    examples=(Example({}, "My answer is no.", ("My answer is No.", "My answer is no", "No.", "my answer is maybe.")),),
)

# ---------------------------------------------------------------- highlights

_SINGLE_STARS = re.compile(r"\*[^\n*]*\*")
_DOUBLE_STARS = re.compile(r"\*\*[^\n*]*\*\*")


def _verify_highlights(params: Params, reply: str) -> Verdict:
    spans = [m.span() for m in _SINGLE_STARS.finditer(reply) if m.group().strip("*").strip()]
    spans += [m.span() for m in _DOUBLE_STARS.finditer(reply) if m.group()[2:-2].strip()]
    wanted = params["num_highlights"]
    return judged_count(len(spans), "at least", wanted, "highlighted parts", first_spans(sorted(spans)))


def _repair_highlights(params: Params, reply: str) -> str | None:
    def enough(text: str) -> bool:
        return all(judge(params, text).passed for judge in (_verify_highlights, mended.highlights))

    return reformat.with_highlights(reply, enough)


def _draw_highlights(rng: random.Random, drawing: Drawing) -> dict[str, object]:
    most = 6 if drawing.answer_words >= 60 else 3
    return {"num_highlights": rng.randint(1, most)}


_HIGHLIGHTS = ConstraintType(
    id="detectable_format:number_highlighted_sections",
    family="detectable_format",
    parameters={"num_highlights": int},
    phrasings=(
        "Highlight at least {n} part{s} of your answer with markdown, like *this*.",
        "Emphasise {spelled} or more phrases by putting them between asterisks, e.g. *key phrase*.",
        "Put asterisks around at least {n} important phrase{s}: *like this*.",
        "Your answer should have no fewer than {n} highlighted passage{s}, written as *highlighted passage*.",
        "Mark the {spelled} or more most useful bits in italics with markdown (*such as this*).",
        "Make sure to stress at least {spelled} section{s} of the text using markdown, for example *stressed words*.",
        "At least {n} piece{s} of the text must stand between single asterisks, such as *important point*.",
        "Please use markdown emphasis (*text*) {n} times or more.",
        "Make {n} or more key ideas stand out by writing them as *key idea*.",
        "I want to see {spelled} or more highlighted section{s} in the answer, in the form *highlighted text*.",
        "Wrap {n} phrase{s} or more in asterisks (*phrase*) so that they catch the eye.",
        "Set off at least {spelled} passage{s} with the markdown marks for emphasis, *as shown here*.",
        "Use *asterisks* for highlights, with {n} of them at the least.",
        "Highlighting is needed in {n} place{s} or more. In markdown it looks *like so*.",
        "Could you highlight {n} or more phrases by *asterisks*?",
        "Highlights in markdown (*like this*): {n} or more.",
    ),
    heldout_phrasings=(
        "Skimming should be easy: let {n} or more phrases jump out *in this manner*.",
        "The reader should notice {spelled} or more *emphasised* spots, each enclosed by one asterisk on both sides.",
        "Required: markdown italics such as *a few words*, used a minimum of {n} time{s}.",
        "Which {spelled} things matter most? Show me by *starring* them in the text (more are welcome).",
    ),
    verify=_verify_highlights,
    mended=mended.highlights,
    allowed={"num_highlights": _COUNTS},
    rank=30,
    least_words=lambda params: 4 * params["num_highlights"],
    draw=_draw_highlights,
    repair=_repair_highlights,
    words=lambda params: counted(params["num_highlights"]),
    examples=(
        Example(
            {"num_highlights": 2},
            "Drink *plenty of water* and *sleep well*.",
            ("Drink *plenty of water* and sleep well.", "Drink _water_ and _sleep_.", "Drink * water\n* and sleep."),
        ),
    ),
)

# ---------------------------------------------------------------- sections

_SPLITTERS = ("Section", "SECTION", "Part", "PART", "Chapter", "Day", "Step", "PARAGRAPH", "Paragraph", "Topic")


def _section_pattern(splitter: str) -> re.Pattern[str]:
    """The splitter and a number. The reference takes the splitter as a pattern; we take all but dots literally."""
    name = splitter.strip()
    if not name:
        raise VerifierError("detectable_format:multiple_sections: section_spliter is blank", 'For example "Section".')
    return re.compile(re.escape(name).replace(r"\.", ".") + r"\s?\d+")


def _verify_sections(params: Params, reply: str) -> Verdict:
    found, spans = counted_spans(_section_pattern(params["section_spliter"]).finditer(reply))
    return judged_count(found, "at least", params["num_sections"], "section headings", spans)


def _draw_sections(rng: random.Random, drawing: Drawing) -> dict[str, object] | None:
    if drawing.answer_words < 40:
        return None
    most = min(6, max(2, drawing.answer_words // 25))
    return {"section_spliter": rng.choice(_SPLITTERS), "num_sections": rng.randint(2, most)}


_SECTIONS = ConstraintType(
    id="detectable_format:multiple_sections",
    family="detectable_format",
    parameters={"section_spliter": str, "num_sections": int},
    phrasings=(
        "Divide your answer into {n} sections and head them {name} 1, {name} 2, and so on.",
        'The answer must have {spelled} parts. Start each with "{name} X", where X is its number.',
        "Organise the text in {n} numbered sections, each introduced by a line such as:\n{name} 1",
        "Your answer should be split up into {spelled} sections, labelled {name} 1 to {name} {n}.",
        'Use the headings "{name} 1" through "{name} {n}" to structure your answer.',
        "Make sure the text has {n} sections; write {name} and the section's number above each.",
        "Please write it in {spelled} sections like this:\n{name} 1\n[text]\n{name} 2\n[text]",
        "I want {n} sections, and where one begins, write {name} plus its number, for example {name} 1.",
        "Break the answer down into {spelled} pieces with the labels {name} 1, {name} 2, etc.",
        'Every one of the {n} sections has to begin with the word "{name}" and a running number, as in "{name} 2".',
        "Structure: {n} sections named {name} 1, {name} 2 and so forth.",
        "Present the content under {spelled} headings of the form {name} X (X counts from 1).",
        "Number the {n} sections of your answer as {name} 1, {name} 2 ... {name} {n}.",
        "Could you split it into {n} sections called {name} 1, {name} 2 and so on?",
        "Sections: {n}. Headings: {name} 1, {name} 2, ...",
        "The text should be arranged in {spelled} sections, and over each of them goes {name} with its number.",
    ),
    heldout_phrasings=(
        "{name} 1 comes first, {name} 2 follows, and so it continues until you have {n}; text belongs under each.",
        "A reader should be able to jump from {name} 1 to {name} {n}: give each of these its own heading.",
        "Required layout: headings {name} 1, {name} 2 and onwards until there are {spelled} of them.",
        'Could you separate the material by the marker "{name}" followed by 1, 2 and so on, up to {n}?',
    ),
    verify=_verify_sections,
    mended=mended.sections,
    allowed={"num_sections": _COUNTS},
    rank=26,
    demands=lambda params: (params["section_spliter"],),
    least_words=lambda params: 10 * params["num_sections"],
    draw=_draw_sections,
    repair=lambda params, reply: reformat.as_sections(reply, params["section_spliter"].strip(), params["num_sections"]),
    words=lambda params: {**counted(params["num_sections"]), "name": params["section_spliter"].strip()},
    examples=(
        Example(
            {"section_spliter": "Part", "num_sections": 2},
            "Part 1\nWash it.\n\nPart 2\nDry it.",
            ("Part 1\nWash it and dry it.", "part 1\nWash it.\npart 2\nDry it.", "Part A\nWash.\nPart B\nDry."),
        ),
    ),
)

# ---------------------------------------------------------------- JSON


def _verify_json(params: Params, reply: str) -> Verdict:
    body = reformat.without_fence(reply)
    try:
        json.loads(body)
    except json.JSONDecodeError as error:
        at = min(reply.find(body) + error.pos, len(reply) - 1)
        return failed(f"not JSON: {error}", 0.3 if body.startswith(("{", "[")) else 0.0, ((at, at + 1),))
    except ValueError as error:  # a number of more digits than Python reads
        return failed(f"not JSON: {error}", 0.3 if body.startswith(("{", "[")) else 0.0)
    except RecursionError:
        return failed("not JSON that can be read: nested too deeply")
    return passed("the whole reply is JSON")


_JSON = ConstraintType(
    id="detectable_format:json_format",
    family="detectable_format",
    parameters={},
    phrasings=(
        "Give your whole answer as JSON.",
        "Write the answer as one valid JSON object and nothing else.",
        "Format everything as JSON. You may put it in a ```json code block.",
        "Your answer should be valid JSON from start to end, with no text around it.",
        "Return the result in JSON format only.",
        "Make sure that all of your output can be parsed as JSON.",
        "Please put all of the answer into a JSON object with keys that fit the content.",
        'Respond only in JSON, for example {{"answer": "..."}}.',
        "The complete reply has to be a JSON document; markdown fences such as ``` are fine.",
        "I will read your answer with a JSON parser, so write no words outside of the JSON.",
        "Express the answer as a JSON structure, and leave out any introduction or comment.",
        'Use JSON for the entire answer, like {{"key": "value"}}.',
        "Output format: JSON.",
        "Deliver the content in the form of a JSON object, without further remarks.",
        "Could you answer in JSON only?",
        "If I paste your answer into a JSON parser, it should be read without an error.",
    ),
    heldout_phrasings=(
        "Think of yourself as an API: what you send back is JSON, optionally fenced by ```.",
        "A program will read your reply and expects JSON, so write no sentence before or after it.",
        "No prose, please: a single JSON value carrying what you have to say.",
        "Could the full response be machine-readable (JSON)?",
    ),
    verify=_verify_json,
    mended=mended.json_document,
    rank=51,
    only_with=frozenset(("keywords:existence", "keywords:forbidden_words")),
    draw=lambda rng, drawing: {},
    repair=lambda params, reply: reformat.as_json(reply),
    words=lambda params: {},
    examples=(
        Example(
            {},
            '```json\n{"capital": "Oslo"}\n```',
            ('Here it is: {"capital": "Oslo"}', "{'capital': 'Oslo'}", '{"capital": "Oslo",}'),
        ),
    ),
)

# ---------------------------------------------------------------- titles


def _verify_title(params: Params, reply: str) -> Verdict:
    start = 0
    for line in reply.split("\n"):
        opens, closes = line.find("<<"), line.rfind(">>")
        if opens >= 0 and closes >= opens + 3 and line[opens : closes + 2].lstrip("<").rstrip(">").strip():
            return passed("a title in double angle brackets", ((start + opens, start + closes + 2),))
        start += len(line) + 1
    return failed("no title in double angle brackets")


_TITLE = ConstraintType(
    id="detectable_format:title",
    family="detectable_format",
    parameters={},
    phrasings=(
        "Give your answer a title in double angle brackets, like <<A Good Title>>.",
        "Start with a title, written as <<title>>.",
        "Add a title and wrap it in double angular brackets, for example <<My Day>>.",
        "Your answer should carry a title between << and >>.",
        "Make sure there is a title; put it inside double angle brackets: <<title>>.",
        "Please include a title of your choice in the form <<your title>>.",
        "On top, place a title enclosed in << >>.",
        "The answer needs a heading in double angle brackets, such as <<A New Idea>>.",
        "Think of a title and show it between double angular brackets (<<like this>>).",
        "A title is required. Surround it with two angle brackets on either side, i.e. <<the title>>.",
        "Name the text with a title that is written <<in this way>>.",
        "Use << and >> to mark the title of your answer, and do not forget the title.",
        "Put a fitting title above the text. It must look like this: <<Fitting Title>>",
        "I would like a title at the top, set in double angle brackets as in <<Summer>>.",
        "Could you give it a title in double angle brackets, like <<Home at Last>>?",
        "Title: required, in the form <<title>>.",
    ),
    heldout_phrasings=(
        "Give the text a name and set the name between two pairs of angle brackets, as in <<River Song>>.",
        "What is your text called? Write its title between << and >>.",
        "Do not hand it in untitled: a title within << >> is compulsory.",
        "Required: <<title>>, with your own words in place of the word title.",
    ),
    verify=_verify_title,
    mended=mended.title_line,
    rank=32,
    least_words=lambda params: 5,
    draw=lambda rng, drawing: {},
    repair=lambda params, reply: reformat.with_title(reply),
    words=lambda params: {},
    examples=(
        Example(
            {},
            "<<The Old Mill>>\n\nThe mill stood by the river.",
            ("<The Old Mill>\n\nThe mill stood.", "<<>>\n\nThe mill stood.", "<< >>\nThe mill.", "<<The\nMill>>"),
        ),
    ),
)

TYPES: tuple[ConstraintType, ...] = (_BULLETS, _CONSTRAINED, _HIGHLIGHTS, _SECTIONS, _JSON, _TITLE)
