"""The mended readings of the family `detectable_format` (`adhere.verify.registers`).

*Bullets*: to the faithful reading `---`, `-5 degrees` and a line that opens with `*emphasis*` are bullets, while `•`
and `+` are none; here a bullet is a mark (`*`, `-`, `+` or `•`), white space and something said. *Fixed answers*: the
faithful reading is content with all three at once; here one of them stands in the reply and no other. *Highlights*:
the faithful reading counts what stands between any two asterisks of a line, so that `* a * b *` brings one and
`***a***` two; here emphasis is found as Markdown finds it (an opening mark touches the word after it, a closing one
the word before it, both are equally long), and emphasis within emphasis is not counted again. *Sections*: the faithful
reading counts "Section 1" wherever it stands; here headings open their line, are numbered 1, 2, 3 and so on to n or
further (from 1 again in a second response), and something is said under each. *JSON*: numbers, strings, NaN and
Infinity pass the faithful reading; here it is an object or an array by the standard. *Title*: `x <<a>> y` passes the
faithful reading; here a title has its line for itself, says something, and is not the word "title" of the instruction.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NoReturn

from adhere.core.errors import VerifierError
from adhere.core.verifier import Verdict
from adhere.verify import reformat
from adhere.verify.constraint import Params, failed, judged_count, passed
from adhere.verify.spans import counted_spans, first_spans, lines_with_places, says_something

_BULLET = re.compile(r"^[^\S\n]*[*\-+•][^\S\n]+[^\n]*", re.MULTILINE)
_STARS = re.compile(r"(?<!\\)\*+")
_MOST_STARS = 3  # a longer run is a drawn rule, not emphasis
_BEFORE_HEADING = " \t\xa0#>*_\"'“‘([-"
_TITLE_LABEL = re.compile(r"title\s*:\s*", re.IGNORECASE)
_NO_TITLES = frozenset(("title", "the title", "your title", "your title here"))


def bullets(params: Params, reply: str) -> Verdict:
    """Lines with a bullet's mark, white space and something said."""
    found, spans = counted_spans(line for line in _BULLET.finditer(reply) if says_something(line.group()))
    return judged_count(found, "exactly", params["num_bullets"], "bullet points", spans)


def one_fixed_answer(_: Params, reply: str) -> Verdict:
    """One of the fixed answers and no other."""
    found = [option for option in reformat.OPTIONS if option in reply]
    spans = tuple((reply.find(option), reply.find(option) + len(option)) for option in found)
    if len(found) == 1:
        return passed(f"contains {found[0]!r} and no other fixed answer", spans)
    if found:
        return failed(f"{len(found)} different fixed answers, wanted one", 0.5, spans, len(found) - 1)
    return failed("none of the three fixed answers is there, letter for letter")


def highlights(params: Params, reply: str) -> Verdict:
    """Parts that Markdown sets off, each counted once."""
    spans: list[tuple[int, int]] = []
    for start, line in lines_with_places(reply):
        if "*" in line:
            spans += [(start + begin, start + end) for begin, end in _emphasised(line)]
    return judged_count(len(spans), "at least", params["num_highlights"], "highlighted parts", first_spans(spans))


def _emphasised(line: str) -> Iterator[tuple[int, int]]:
    """Outermost emphasis in a line: runs of asterisks of equal length that embrace something said."""
    opened: list[tuple[int, int, int]] = []  # where a run starts, its length, and how much had been said before it
    open_lengths = [0] * (_MOST_STARS + 1)
    found: list[tuple[int, int]] = []
    said = last = 0
    for run in _STARS.finditer(line):
        start, stop = run.span()
        length = stop - start
        said += says_something(line, last, start)
        last = stop
        if length > _MOST_STARS:
            continue
        closes = start > 0 and not line[start - 1].isspace()
        if closes and open_lengths[length]:
            begin, before = _closed(opened, open_lengths, length)
            if said > before:
                found.append((begin, stop))
        elif stop < len(line) and not line[stop].isspace():
            opened.append((start, length, said))
            open_lengths[length] += 1
    reached = 0
    for begin, stop in sorted(found, key=lambda span: (span[0], -span[1])):
        if begin >= reached:
            reached = stop
            yield begin, stop


def _closed(opened: list[tuple[int, int, int]], open_lengths: list[int], length: int) -> tuple[int, int]:
    """Take the last opening run of this length off the stack, with all that was opened after it."""
    while True:
        begin, one, before = opened.pop()
        open_lengths[one] -= 1
        if one == length:
            return begin, before


def sections(params: Params, reply: str) -> Verdict:
    """Headings at the start of their lines, numbered from 1 to n or further, with something said under each."""
    name, wanted = params["section_spliter"].strip(), params["num_sections"]
    if not name:
        raise VerifierError("detectable_format:multiple_sections: section_spliter is blank", 'For example "Section".')
    # Possessive, since giving back marks one by one would take time quadratic in a line of them.
    marks = "" if name[0] in _BEFORE_HEADING else f"[{re.escape(_BEFORE_HEADING)}]*+"
    heading = rf"^{marks}(?P<name>{re.escape(name)}[^\S\n]*(?P<number>\d{{1,6}}))(?!\w)"
    pattern = re.compile(heading, re.MULTILINE)
    found = list(pattern.finditer(reply))
    spans = first_spans(one.span("name") for one in found)
    verdict = judged_count(len(found), "at least", wanted, "section headings", spans)
    if not verdict.passed:
        return verdict
    if not _in_order([int(one["number"]) for one in found], wanted):
        return failed(f"{len(found)} section headings, but not numbered from 1 to {wanted}", 0.8, spans)
    stops = [*(one.start() for one in found[1:]), len(reply)]
    ends = zip(found, stops, strict=True)
    empty = [one.span("name") for one, stop in ends if not says_something(reply, one.end(), stop)]
    if empty:
        return failed(f"{len(empty)} sections with nothing in them", 1.0 - len(empty) / len(found), first_spans(empty))
    return verdict


def _in_order(numbers: list[int], wanted: int) -> bool:
    """Whether the numbers run from 1 to `wanted` or further, once or several times over."""
    expected = 1
    for number in numbers:
        if number == 1 and expected > wanted:
            expected = 1
        if number != expected:
            return False
        expected += 1
    return expected > wanted


def json_document(_: Params, reply: str) -> Verdict:
    """The whole reply is a JSON object or array, in a code fence if need be."""
    body = reformat.without_fence(reply)
    try:
        value = json.loads(body, parse_constant=_refuse)
    except ValueError as error:
        return failed(f"not JSON: {error}", 0.3 if body.startswith(("{", "[")) else 0.0)
    except RecursionError:
        return failed("not JSON that can be read: nested too deeply")
    if isinstance(value, dict | list):
        return passed("the whole reply is JSON")
    return failed(f"JSON, but no object or array: a lone {type(value).__name__}", 0.3)


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def title_line(_: Params, reply: str) -> Verdict:
    """A title in double angle brackets on a line of its own."""
    for start, line in lines_with_places(reply):
        opens, closes = line.find("<<"), line.rfind(">>")
        if opens < 0 or closes < opens + 3:
            continue
        around = line[:opens].strip(" \t#*_\"'“”"), line[closes + 2 :].strip(" \t#*_\"'“”")
        label = not around[0] or _TITLE_LABEL.fullmatch(around[0] + " ")
        content = line[opens + 2 : closes].strip(" \t*_<>")
        own = content.lower() not in _NO_TITLES and "<<" not in content
        if label and not around[1] and says_something(content) and own:
            return passed("a title in double angle brackets", ((start + opens, start + closes + 2),))
    return failed("no line that holds a title in double angle brackets and nothing else", 0.5 * ("<<" in reply))
