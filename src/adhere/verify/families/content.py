"""Constraint family `detectable_content`: placeholders in square brackets, postscripts.

What the mended readings change (`adhere.verify.registers`). *Placeholders*: the faithful one counts `[]`, a Markdown
link, a ticked box and a footnote mark; the mended one counts innermost brackets that hold a letter, a link or a ticked
box apart. *Postscript*: the faithful one finds the mark anywhere, even inside "p.p.s." or with nothing after it; the
mended one wants it at the start of a line, bold or quoted if need be, with something said after it.
"""

from __future__ import annotations

import random
import re

from adhere.core.errors import VerifierError
from adhere.core.verifier import Verdict
from adhere.verify.additions import POSTSCRIPTS
from adhere.verify.constraint import ConstraintType, Drawing, Example, Params, failed, judged_count, passed
from adhere.verify.rewriting import append_paragraph, variant
from adhere.verify.spans import SAID, first_spans, lines_with_places, says_something
from adhere.verify.wording import counted

_COUNTS = range(1, 1_000_001)
_MOST_PLACEHOLDERS_ADDED = 24

# Lines that may close nearly any text, with one, two or three things left open. No commas: a repair must not
# break a constraint that forbids them.
_OPEN_LINES: dict[int, tuple[str, ...]] = {
    1: ("Prepared for [name].", "Last updated on [date].", "Written by [author].", "Reference number: [number]."),
    2: (
        "Prepared by [name] on [date].",
        "Visit [website] or stop by at [address].",
        "Send your questions to [name] at [email].",
        "We meet at [location] at [time].",
    ),
    3: (
        "For questions please contact [name] at [email] or [phone number].",
        "Join us on [date] at [time] in [location].",
        "Best regards from [your name] at [company] in [city].",
        "Signed by [full name] as [job title] on [date].",
    ),
}


def _spans_in_brackets(reply: str) -> tuple[tuple[int, int], ...]:
    """Shortest `[`…`]` spans on one line, left to right. Linear in the reply, unlike the obvious pattern."""
    spans: list[tuple[int, int]] = []
    start = reply.find("[")
    while start >= 0:
        newline = reply.find("\n", start)
        line_end = len(reply) if newline < 0 else newline
        close = reply.find("]", start, line_end)
        if close < 0:
            start = reply.find("[", line_end)
        else:
            spans.append((start, close + 1))
            start = reply.find("[", close + 1)
    return tuple(spans)


def _verify_placeholders(params: Params, reply: str) -> Verdict:
    return _judged_placeholders(params, _spans_in_brackets(reply))


_LABEL = re.compile(r"(?P<tick>^[^\S\n]*[*\-+•][^\S\n]+)?\[(?P<label>[^\[\]\n]++)\](?!\()", re.MULTILINE)
_TICK = re.compile(r"\s*[xX]?\s*")
_LETTER = re.compile(r"[^\W\d_]")


def _mended_placeholders(params: Params, reply: str) -> Verdict:
    return _judged_placeholders(params, _labels(reply))


def _labels(reply: str) -> tuple[tuple[int, int], ...]:
    """Brackets that name something to fill in."""
    return tuple(
        (found.start("label") - 1, found.end("label") + 1)
        for found in _LABEL.finditer(reply)
        if _LETTER.search(found["label"]) and not (found["tick"] and _TICK.fullmatch(found["label"]))
    )


def _judged_placeholders(params: Params, spans: tuple[tuple[int, int], ...]) -> Verdict:
    return judged_count(len(spans), "at least", params["num_placeholders"], "placeholders", first_spans(spans))


def _draw_placeholders(rng: random.Random, drawing: Drawing) -> dict[str, object]:
    most = 8 if drawing.answer_words >= 60 else 4
    return {"num_placeholders": rng.choice([n for n in (1, 2, 2, 3, 3, 4, 5, 6, 7, 8) if n <= most])}


def _repair_placeholders(params: Params, reply: str) -> str | None:
    missing = params["num_placeholders"] - min(len(_spans_in_brackets(reply)), len(_labels(reply)))
    if missing <= 0:
        return reply
    if missing > _MOST_PLACEHOLDERS_ADDED:
        return None
    lines: list[str] = []
    while missing > 0:
        size = min(missing, 3)
        options = [line for line in _OPEN_LINES[size] if line not in lines] or list(_OPEN_LINES[size])
        lines.append(variant(reply + str(missing), options))
        missing -= size
    return append_paragraph(reply, "\n".join(lines))


_PLACEHOLDERS = ConstraintType(
    id="detectable_content:number_placeholders",
    family="detectable_content",
    parameters={"num_placeholders": int},
    phrasings=(
        "Leave at least {n} blank{s} for me to fill in, each shown in square brackets like [name].",
        "Include {spelled} or more placeholders in square brackets, such as [date].",
        "Use at least {n} placeholder{s} in square brackets, for example [address].",
        "Your answer should have no fewer than {n} bracketed placeholder{s}, like [city] or [phone number].",
        "Wherever a personal detail would go, write it as [detail]; there should be {n} or more of these in total.",
        "Make sure that {spelled} or more spots are left open in square brackets, e.g. [company name].",
        "Please put in at least {spelled} placeholder{s} written with square brackets, like this: [item].",
        "I want to fill in some details myself, so mark at least {n} of them with square brackets, as in [time].",
        "The text must contain {n} or more placeholders, each enclosed in [ and ].",
        "At minimum, {spelled} slot{s} such as [recipient] must appear in square brackets.",
        "Write it as a template with {n} or more fields in square brackets, for instance [price] and [location].",
        "Placeholders go in square brackets, like [your name], and at least {n} should be present.",
        "Mark unknown details by square brackets (for example [email]) and do so {n} or more times.",
        "Represent at least {spelled} variable part{s} of the response by bracketed words, such as [product].",
        "Could you leave {n} or more gaps in square brackets, such as [price]?",
        "Placeholders in square brackets (like [name]): {n} or more.",
    ),
    heldout_phrasings=(
        "Treat it like a form letter: [subject], [sender] and the like, with {n} such gap{s} as the minimum.",
        "Can you keep {spelled} or more fields open? Show each as a bracketed label, e.g. [venue].",
        "Required: bracketed placeholders like [title], {n} at the very least.",
        "Anything I should customise later belongs in square brackets, [like this], and I expect {n} or more of them.",
    ),
    verify=_verify_placeholders,
    mended=_mended_placeholders,
    allowed={"num_placeholders": _COUNTS},
    rank=33,
    least_words=lambda params: 3 * params["num_placeholders"],
    draw=_draw_placeholders,
    repair=_repair_placeholders,
    words=lambda params: counted(params["num_placeholders"]),
    examples=(
        Example(
            {"num_placeholders": 2},
            "Dear [name], we will meet on [date].",
            ("Dear [name], we will meet soon.", "Dear (name), on (date).", "Dear [name, on [da\nte]."),
        ),
    ),
)


def _postscript_pattern(marker: str) -> re.Pattern[str]:
    """P.P.S and P.S. by their own rules; any other marker lower-cased, its dots standing for any character.

    The reference takes the marker as a regular expression; we read every sign but the dot literally, so
    that no marker from a data file can hang the check.
    """
    if not marker.strip():
        raise VerifierError("detectable_content:postscript: the marker is blank", 'Use "P.S." or "P.P.S".')
    if marker == "P.P.S":
        return re.compile(r"p\.\s?p\.\s?s")
    if marker == "P.S.":
        return re.compile(r"p\.\s?s\.")
    return re.compile(re.escape(marker.lower()).replace(r"\.", "."))


def _verify_postscript(params: Params, reply: str) -> Verdict:
    marker = params["postscript_marker"]
    lowered = reply.lower()
    found = _postscript_pattern(marker).search(lowered)
    if not found:
        return failed(f"no postscript marked {marker!r}")
    span = (found.span(),) if len(lowered) == len(reply) else ()  # some characters change length in lower case
    return passed(f"postscript marked {marker!r} found", span)


def _mended_postscript(params: Params, reply: str) -> Verdict:
    marker = params["postscript_marker"]
    _postscript_pattern(marker)  # refuses a blank mark
    mark = re.compile(_MARK_LETTERS.get(marker) or re.escape(marker.strip()), re.IGNORECASE)
    for start, line in lines_with_places(reply):
        text = line.lstrip(_BEFORE_MARK)
        found = mark.match(text)
        if found and not (found.group()[-1].isalnum() and SAID.match(text, found.end())):
            at = start + len(line) - len(text)
            if says_something(reply, at + found.end()):
                return passed(f"postscript marked {marker!r} found", ((at, at + found.end()),))
            return failed(f"nothing follows the mark {marker!r}", 0.5, ((at, at + found.end()),))
    return failed(f"no line starts with {marker!r}", 0.5 if mark.search(reply) else 0.0)


# Spaces between the letters are as good as none, and P.P.S is as often written with a third period.
_MARK_LETTERS = {"P.P.S": r"p\.[^\S\n]?p\.[^\S\n]?s\.?", "P.S.": r"p\.[^\S\n]?s\."}
_BEFORE_MARK = " \t*_#>\"'“‘("

# A postscript that the reply has under another mark, at the front of a line.
_OTHER_MARK = re.compile(r"^([*_]{0,2})(?:P\.?[^\S\n]?){1,2}S\b\.?:?", re.MULTILINE)


def _repair_postscript(params: Params, reply: str) -> str:
    """The reply's own postscript under the mark that was asked for, else one of ours."""
    marker = params["postscript_marker"]
    own = list(_OTHER_MARK.finditer(reply))
    if own:
        start, end = own[-1].span()
        return f"{reply[:start]}{own[-1].group(1)}{marker}{reply[end:]}"
    return append_paragraph(reply, f"{marker} {variant(reply, POSTSCRIPTS)}")


_POSTSCRIPT = ConstraintType(
    id="detectable_content:postscript",
    family="detectable_content",
    parameters={"postscript_marker": str},
    phrasings=(
        "Finish with a postscript under the mark {marker}",
        "Below the answer, add a postscript and introduce it by {marker}",
        'After the main text, write a postscript introduced by "{marker}".',
        "Your answer should close with a postscript marked {marker}",
        "Please append a short note after your answer and start it with {marker}",
        'Make sure there is a postscript, opened by the letters "{marker}", at the bottom.',
        "There must be a postscript; begin it with {marker}",
        'Include a final afterthought that starts with "{marker}".',
        'Put one last remark below the answer, labelled "{marker}".',
        "Once you are done, leave me a postscript with {marker} in front of it",
        'The last part has to be a postscript whose first characters are "{marker}".',
        "A closing postscript is needed. Start it with {marker}",
        "I would like a small extra comment at the end with {marker} in front of it.",
        'Add an extra line at the end, in the manner of "{marker} Do not forget your umbrella."',
        'Could you close with a postscript that begins "{marker}"?',
        'Postscript: yes, under the mark "{marker}".',
    ),
    heldout_phrasings=(
        "Below your main answer there has to be one more remark, and {marker} is how that remark opens.",
        'Do not leave without a postscript: it comes last and is flagged by "{marker}".',
        'Could you tack on an afterthought under the marker "{marker}"?',
        'Required ending: a postscript ("{marker}" followed by a sentence or two).',
    ),
    verify=_verify_postscript,
    mended=_mended_postscript,
    rank=34,
    demands=lambda params: (params["postscript_marker"],),
    least_words=lambda params: 12,
    draw=lambda rng, drawing: {"postscript_marker": rng.choice(("P.S.", "P.P.S"))},
    repair=_repair_postscript,
    words=lambda params: {"marker": params["postscript_marker"]},
    examples=(
        Example(
            {"postscript_marker": "P.S."},
            "See you there.\n\nP.S. Bring a coat.",
            ("See you there.\n\nPS: Bring a coat.", "See you there.\n\nP.S Bring a coat.", "See you there."),
        ),
        Example(
            {"postscript_marker": "P.P.S"},
            "See you there.\n\nP.P.S Bring a coat.",
            ("See you there.\n\nP.S. Bring a coat.", "See you there. PPS Bring a coat."),
        ),
    ),
)

TYPES: tuple[ConstraintType, ...] = (_PLACEHOLDERS, _POSTSCRIPT)
