"""Terms with definitions, questions with answers, speakers, letters, sources, links (family `structure` and others).

Letters and e-mails belong to the held-out family `opening`, because they say how a reply begins; the number of links
belongs to `tally`.
"""

from __future__ import annotations

import itertools
import random
import re

from adhere.core.errors import VerifierError
from adhere.core.verifier import Verdict
from adhere.verify.constraint import ConstraintType, Drawing, Example, Params, failed, judged_count, passed
from adhere.verify.families import structure_wording as say
from adhere.verify.families.given import LISTS, counted_as, names, nearness, pick
from adhere.verify.families.markdown_lines import Line, lines_of, read
from adhere.verify.rewriting import variant
from adhere.verify.spans import first_spans
from adhere.verify.subject import titles
from adhere.verify.wording import counted, listed

_COUNTS = range(1, 1001)

# ---------------------------------------------------------------- definitions

_DEFINITION = re.compile(r"[^\S\n]*(?:[-+*][^\S\n]+)?\*\*([^*\n]+)\*\*(:?)[^\S\n]*(:?)[^\S\n]*(?=\w|\S\w)")


def _verify_definitions(params: Params, reply: str) -> Verdict:
    spans = []
    for line in read(reply)[0]:
        found = _DEFINITION.match(line.text)
        if found and (found.group(2) or found.group(3) or found.group(1).rstrip().endswith(":")):
            spans.append(line.span)
    return judged_count(len(spans), "exactly", params["num_terms"], "terms with a definition", first_spans(spans))


# ---------------------------------------------------------------- questions and answers, speakers

_LABEL = re.compile(
    r"[\s*#>_-]{0,12}(Q|A|Question|Answer) ?\d{0,4}[*_]{0,2} ?:[*_]{0,2}(.*)", re.IGNORECASE | re.DOTALL
)


def _verify_pairs(params: Params, reply: str) -> Verdict:
    wanted = params["num_pairs"]
    turns: list[tuple[str, list[str]]] = []
    spans = []
    for line in lines_of(reply):
        found = _LABEL.match(line.text)
        if found:
            turns.append((found.group(1)[0].upper(), [found.group(2)]))
            spans.append(line.span)
        elif turns:
            turns[-1][1].append(line.text)
    said = [" ".join(parts) for _, parts in turns]
    pairs = sum(
        turns[at][0] == "Q" and turns[at + 1][0] == "A" and "?" in said[at] and bool(re.search(r"\w", said[at + 1]))
        for at in range(len(turns) - 1)
    )
    reason = f"{pairs} questions (Q:) each with an answer (A:), {len(turns)} such lines, wanted {wanted} of each"
    if pairs == wanted and len(turns) == 2 * wanted:
        return passed(reason, first_spans(spans))
    score = 0.9 * nearness(pairs, wanted) / (1 + abs(len(turns) - 2 * pairs) / max(len(turns), 1))
    return failed(reason, score, first_spans(spans), pairs - wanted)


_SPEAKERS = (("Anna", "Ben"), ("Host", "Guest"), ("Teacher", "Student"), ("Mia", "Tom"), ("Doctor", "Patient"))
_TALKS = re.compile(r"\b(?:dialogue|conversation|interview|scene|script|chat|discussion|argument)\b", re.IGNORECASE)


def _verify_dialogue(params: Params, reply: str) -> Verdict:
    speakers, wanted = names(params, "speakers", "structure:dialogue"), params["num_turns"]
    longest_first = sorted(speakers, key=len, reverse=True)
    turn = re.compile(
        rf"[\s*_>-]{{0,8}}({'|'.join(map(re.escape, longest_first))})[*_]{{0,2}}(?: ?\([^()]{{0,80}}\))?"
        r" ?:[*_]{0,2}\s*(?=\S)",
        re.IGNORECASE,
    )
    found = [(line, mark.group(1).casefold()) for line in lines_of(reply) if (mark := turn.match(line.text))]
    spans = first_spans(line.span for line, _ in found)
    heard = {name for _, name in found}
    silent = [name for name in speakers if name.casefold() not in heard]
    doubled = sum(one[1] == other[1] for one, other in itertools.pairwise(found))
    said = f"{len(found)} turns, wanted exactly {wanted} by {listed(speakers)}"
    if silent or doubled:
        more = f"silent: {listed(silent) or 'nobody'}; {doubled} times the same speaker twice in a row"
        score = 0.6 * nearness(len(found), wanted) * (1 - len(silent) / len(speakers))
        return failed(f"{said}; {more}", score, spans, len(found) - wanted)
    return judged_count(len(found), "exactly", wanted, f"turns by {listed(speakers)}", spans)


def _draw_dialogue(rng: random.Random, drawing: Drawing) -> dict[str, object] | None:
    if not _TALKS.search(drawing.instruction):
        return None
    return {"speakers": pick(rng, _SPEAKERS), "num_turns": 2 * rng.randint(2, 5)}


_THOUGHT = (("thinking", "answer"), ("think", "answer"), ("reasoning", "result"), ("draft", "final"))
_TAG = re.compile(r"[A-Za-z][\w-]{0,40}")


def _verify_tags(params: Params, reply: str) -> Verdict:
    tags = params["first_tag"], params["second_tag"]
    if not all(map(_TAG.fullmatch, tags)) or tags[0] == tags[1]:
        raise VerifierError(f"structure:two_tags: {tags!r:.200} should be two names of tags", "Letters and digits.")
    marks = [f"<{tags[0]}>", f"</{tags[0]}>", f"<{tags[1]}>", f"</{tags[1]}>"]
    places = [reply.find(mark) for mark in marks]
    spans = tuple(sorted((at, at + len(mark)) for at, mark in zip(places, marks, strict=True) if at >= 0))
    once = sum(reply.count(mark) == 1 for mark in marks)
    if once < len(marks):
        return failed(f"{', '.join(marks)} should stand once each, {once} of them do", 0.15 * once, spans)
    if places != sorted(places):
        return failed(f"the tags do not come in the order {', '.join(marks)}", 0.5, spans)
    ends = [at + len(mark) for at, mark in zip(places, marks, strict=True)]
    outside = reply[: places[0]], reply[ends[1] : places[2]], reply[ends[3] :]
    inside = reply[ends[0] : places[1]], reply[ends[2] : places[3]]
    if any(text.strip() for text in outside) or not all(text.strip() for text in inside):
        said = "text outside of the tags" if all(text.strip() for text in inside) else "nothing inside a tag"
        return failed(f"{said}: <{tags[0]}> and <{tags[1]}> should hold everything", 0.8, spans)
    return passed(f"<{tags[0]}> and then <{tags[1]}>, nothing outside", spans)


# ---------------------------------------------------------------- letters

_SALUTATION = re.compile(
    r"(?:dear|hello|hi|hey|good (?:morning|afternoon|evening|day)|greetings)\b.{0,120}[,:!.]$", re.I
)
_SIGN_OFFS = ("Kind regards", "Best wishes", "Yours sincerely", "With love", "Yours truly", "Many thanks")


def _filled_lines(reply: str) -> list[Line]:
    return [line for line in lines_of(reply) if line.text.strip()]


def _verify_letter(params: Params, reply: str) -> Verdict:
    (sign_off,) = names({"sign_off": [params["sign_off"]]}, "sign_off", "opening:letter")
    lines, key = _filled_lines(reply), sign_off.rstrip(",").casefold()
    salutation = lines[:1] if lines and len(lines[0].text) < 200 and _SALUTATION.match(lines[0].text.strip()) else []
    closing = [line for line in lines[1:][-3:-1] if line.text.strip().rstrip(",").casefold() == key]
    spans = tuple(line.span for line in (*salutation, *closing))
    if salutation and closing and lines.index(closing[-1]) > 1:
        return passed(f"a letter with a salutation, and a name below {sign_off!r}", spans)
    missing = [
        said
        for said, there in (
            ("a first line with a salutation", salutation),
            (f"the line {sign_off!r} with a name below it", closing),
        )
        if not there
    ]
    return failed(f"missing: {' and '.join(missing) or 'text between the two'}", 0.45 * len(spans), spans)


def _repair_letter(params: Params, reply: str) -> str | None:
    sign_off = params["sign_off"].strip().rstrip(",")
    lines, body = _filled_lines(reply), reply.strip()
    if not (lines and len(lines[0].text) < 200 and _SALUTATION.match(lines[0].text.strip())):
        body = f"Dear {variant(reply, ('reader', 'friend', 'neighbour'))},\n\n{body}"
    return f"{body}\n\n{sign_off},\n{variant(reply, ('Robin', 'Alex', 'Kim'))}"


def _verify_email(params: Params, reply: str) -> Verdict:
    most, lines = params["max_words"], _filled_lines(reply)
    found = re.match(r"[*_]{0,2}Subject:[*_]{0,2}(.*)", lines[0].text.strip()) if lines else None
    if not found:
        later = any(line.text.lstrip(" *_").startswith("Subject:") for line in lines)
        return failed("the first line is no subject (Subject: ...)", 0.4 * later)
    span = lines[0].span
    number = len(found.group(1).split())
    if not number or len(lines) < 2:
        return failed("the subject is empty" if not number else "no text below the subject", 0.5, (span,))
    if number > most:
        return failed(f"a subject of {number} words, wanted at most {most}", most / number, (span,), number - most)
    return passed(f"a subject of {number} words, wanted at most {most}", (span,))


def _repair_email(params: Params, reply: str) -> str | None:
    found = re.match(r"[*_]{0,2}Subject:[*_]{0,2}([^\n]*)\n", reply.strip())
    body = reply.strip()[found.end() :].strip() if found else reply.strip()
    fitting = [one for one in titles("") if len(one.split()) <= params["max_words"]]
    return f"Subject: {variant(reply, fitting)}\n\n{body}" if fitting and body else None


_MAIL = re.compile(r"\be-?mail\b", re.IGNORECASE)

# ---------------------------------------------------------------- sources and links

_MARK = re.compile(r"\[(\d{1,4})\]")
_SOURCE = re.compile(r"[\s*-]{0,8}\[(\d{1,4})\][:.]?\s+(?=\S)")


def _verify_citations(params: Params, reply: str) -> Verdict:
    wanted = params["num_sources"]
    lines = _filled_lines(reply)
    first = len(lines)
    while first and _SOURCE.match(lines[first - 1].text):
        first -= 1
    sources = [int(found.group(1)) for line in lines[first:] if (found := _SOURCE.match(line.text))]
    end = lines[first].start if first < len(lines) else len(reply)
    marks = [(int(found.group(1)), found.span()) for found in _MARK.finditer(reply, 0, end)]
    numbers = set(range(1, wanted + 1))
    cited = {number for number, _ in marks}
    spans = first_spans([*(span for _, span in marks), *(line.span for line in lines[first:])])
    said = (
        f"sources listed at the end: {len(sources)}; of 1 to {wanted}, {len(cited & numbers)} are cited in the text; "
        f"{len(cited - numbers)} other numbers are"
    )
    if sources == sorted(numbers) and cited == numbers:
        return passed(said, spans)
    score = 0.45 * nearness(len(sources), wanted) + 0.45 * len(cited & numbers) / len(cited | numbers)
    return failed(said, score, spans, len(sources) - wanted)


_FACTS = re.compile(r"\b(?:explain|describe|essay|report|article|history|research|compare|discuss|why|how)\b", re.I)

_URL = re.compile(r"\b(?:https?://|www\.)[^\s<>\"'()\[\]{}|\\^`]{1,2000}", re.IGNORECASE)


def _links(reply: str) -> list[tuple[int, int]]:
    return [found.span() for found in _URL.finditer(reply) if "." in found.group()[4:]]


def _verify_links(params: Params, reply: str) -> Verdict:
    spans = _links(reply)
    return judged_count(len(spans), "at least", params["num_links"], "links", first_spans(spans))


def _verify_no_links(params: Params, reply: str) -> Verdict:
    spans = _links(reply)
    if spans:
        said = f"{len(spans)} links, the first is {reply[slice(*spans[0])]!r:.80}"
        return failed(said, 1 / (1 + len(spans)), first_spans(spans), len(spans))
    return passed("no links", vacuous=True)


_MARKDOWN_LINK = re.compile(r"\[([^\[\]\n]*)\]\((?:https?://|www\.)[^()\s]*\)", re.IGNORECASE)


def _repair_no_links(params: Params, reply: str) -> str | None:
    return _URL.sub("", _MARKDOWN_LINK.sub(r"\1", reply)).strip() or None


def _draw_citations(rng: random.Random, drawing: Drawing) -> dict[str, object] | None:
    if drawing.answer_words < 60 or not _FACTS.search(drawing.instruction):
        return None
    return {"num_sources": rng.randint(2, 4)}


def _draw_letter(rng: random.Random, drawing: Drawing) -> dict[str, object] | None:
    is_letter = re.search(r"\b(?:letter|e-?mail|note to|write to)\b", drawing.instruction, re.IGNORECASE)
    return {"sign_off": rng.choice(_SIGN_OFFS)} if is_letter else None


def _draw_tags(rng: random.Random, drawing: Drawing) -> dict[str, object]:
    first, second = rng.choice(_THOUGHT)
    return {"first_tag": first, "second_tag": second}


TYPES: tuple[ConstraintType, ...] = (
    ConstraintType(
        id="structure:definitions",
        family="structure",
        parameters={"num_terms": int},
        allowed={"num_terms": _COUNTS},
        phrasings=say.DEFINITIONS,
        heldout_phrasings=say.DEFINITIONS_HELDOUT,
        verify=_verify_definitions,
        draw=lambda rng, drawing: {"num_terms": rng.randint(2, max(2, min(6, drawing.answer_words // 15)))},
        words=lambda params: counted_as(params, "num_terms"),
        least_words=lambda params: 6 * params["num_terms"],
        excludes=frozenset({"lines", "markup:plain_text"}),
        examples=(
            Example(
                {"num_terms": 2},
                "**Yeast**: a fungus that makes dough rise.\n- **Rye:** a cereal.",
                (
                    "**Yeast**: a fungus that makes dough rise.",
                    "Yeast: a fungus.\nRye: a cereal.",
                    "**Yeast** makes dough rise.\n**Rye** is a cereal.",
                ),
            ),
        ),
    ),
    ConstraintType(
        id="structure:questions_and_answers",
        family="structure",
        parameters={"num_pairs": int},
        allowed={"num_pairs": _COUNTS},
        phrasings=say.PAIRS,
        heldout_phrasings=say.PAIRS_HELDOUT,
        verify=_verify_pairs,
        draw=lambda rng, drawing: {"num_pairs": rng.randint(2, max(2, min(5, drawing.answer_words // 25)))},
        words=lambda params: counted_as(params, "num_pairs"),
        least_words=lambda params: 12 * params["num_pairs"],
        excludes=frozenset({"lines", "combination", "structure:dialogue"}),
        examples=(
            Example(
                {"num_pairs": 2},
                "**Q:** Is it hot?\n**A:** Yes.\n\nQ2: For long?\nA2: An hour.",
                (
                    "Q: Is it hot?\nA: Yes.",
                    "Q: Is it hot?\nA: Yes.\nQ: For long?",
                    "Q: It is hot.\nA: Yes.\nQ: For long?\nA: An hour.",
                    "Is it hot? Yes.\nFor long? An hour.",
                ),
            ),
        ),
    ),
    ConstraintType(
        id="structure:dialogue",
        family="structure",
        parameters={"speakers": LISTS, "num_turns": int},
        allowed={"num_turns": _COUNTS},
        phrasings=say.DIALOGUE,
        heldout_phrasings=say.DIALOGUE_HELDOUT,
        verify=_verify_dialogue,
        draw=_draw_dialogue,
        words=lambda params: {
            **counted_as(params, "num_turns"),
            "speakers": listed(names(params, "speakers", "structure:dialogue"), quote=""),
            "first": str(params["speakers"][0]).strip(),
        },
        demands=lambda params: tuple(params["speakers"]),
        least_words=lambda params: 5 * params["num_turns"],
        excludes=frozenset({"lines", "combination", "startend:quotation"}),
        examples=(
            Example(
                {"speakers": ["Anna", "Ben"], "num_turns": 3},
                "At the door.\n\nAnna: Is it late?\n**Ben** (yawning): Very.\nAnna: Then good night.",
                (
                    "Anna: Is it late?\nBen: Very.",
                    "Anna: Is it late?\nAnna: Hello?\nBen: Very.",
                    "Anna: Is it late?\nCarl: Very.\nAnna: Good night.",
                    'Anna asks, "Is it late?" Ben says, "Very." Anna leaves.',
                ),
            ),
        ),
    ),
    ConstraintType(
        id="structure:two_tags",
        family="structure",
        parameters={"first_tag": str, "second_tag": str},
        phrasings=say.TAGS,
        heldout_phrasings=say.TAGS_HELDOUT,
        verify=_verify_tags,
        draw=_draw_tags,
        words=lambda params: {"first": params["first_tag"], "second": params["second_tag"]},
        demands=lambda params: (f"<{params['first_tag']}>", f"<{params['second_tag']}>"),
        least_words=lambda params: 20,
        excludes=frozenset({"startend", "opening", "combination", "detectable_format:json_format", "markup:tagged"}),
        examples=(
            Example(
                {"first_tag": "think", "second_tag": "answer"},
                "<think>Six eggs make two cakes.</think>\n<answer>Three eggs.</answer>",
                (
                    "<answer>Three eggs.</answer>\n<think>Six make two.</think>",
                    "<think>Six make two.</think>\nThree eggs.",
                    "<think>Six make two.</think>\nSo: <answer>Three eggs.</answer>",
                    "<think></think>\n<answer>Three eggs.</answer>",
                ),
            ),
        ),
    ),
    ConstraintType(
        id="opening:letter",
        family="opening",
        parameters={"sign_off": str},
        phrasings=say.LETTER,
        heldout_phrasings=say.LETTER_HELDOUT,
        verify=_verify_letter,
        draw=_draw_letter,
        repair=_repair_letter,
        rank=35,
        words=lambda params: {"sign_off": params["sign_off"].strip().rstrip(",")},
        demands=lambda params: (params["sign_off"].strip().rstrip(","),),
        least_words=lambda params: 15,
        excludes=frozenset({"opening", "lines", "startend", "combination", "detectable_format"}),
        examples=(
            Example(
                {"sign_off": "Kind regards"},
                "Dear Ms Lee,\n\nthe roof leaks again.\n\nKind regards,\nJo Hill",
                (
                    "The roof leaks again.\n\nKind regards,\nJo Hill",
                    "Dear Ms Lee,\n\nthe roof leaks again.\n\nJo Hill",
                    "Dear Ms Lee,\n\nthe roof leaks again.\n\nKind regards,",
                    "Dear Ms Lee,\n\nKind regards,\nJo Hill",
                ),
            ),
        ),
    ),
    ConstraintType(
        id="opening:email",
        family="opening",
        parameters={"max_words": int},
        allowed={"max_words": range(1, 101)},
        phrasings=say.EMAIL,
        heldout_phrasings=say.EMAIL_HELDOUT,
        verify=_verify_email,
        draw=lambda rng, drawing: {"max_words": rng.randint(4, 9)} if _MAIL.search(drawing.instruction) else None,
        repair=_repair_email,
        rank=35,
        words=lambda params: counted(params["max_words"]),
        demands=lambda params: ("Subject:",),
        excludes=frozenset({"opening", "lines", "startend:quotation", "combination", "detectable_format"}),
        examples=(
            Example(
                {"max_words": 4},
                "Subject: The roof leaks again\n\nDear Ms Lee, please send someone.",
                (
                    "Subject: The roof of my house leaks\n\nDear Ms Lee, please send someone.",
                    "Dear Ms Lee, please send someone.",
                    "Hello!\nSubject: The roof\n\nPlease send someone.",
                    "Subject:\n\nPlease send someone.",
                ),
            ),
        ),
    ),
    ConstraintType(
        id="structure:citations",
        family="structure",
        parameters={"num_sources": int},
        allowed={"num_sources": _COUNTS},
        phrasings=say.CITATIONS,
        heldout_phrasings=say.CITATIONS_HELDOUT,
        verify=_verify_citations,
        draw=_draw_citations,
        words=lambda params: counted_as(params, "num_sources"),
        least_words=lambda params: 12 * params["num_sources"],
        excludes=frozenset({"lines", "startend", "combination", "detectable_content:postscript"}),
        examples=(
            Example(
                {"num_sources": 2},
                "Rye is hardy [1]. It grows on sand [2].\n\nSources:\n[1] A farmer's book.\n[2] A map of soils.",
                (
                    "Rye is hardy [1].\n\n[1] A farmer's book.\n[2] A map of soils.",
                    "Rye is hardy [1]. It grows on sand [2].\n\n[1] A farmer's book.",
                    "Rye is hardy [1]. It grows [2] on sand [3].\n\n[1] A farmer's book.\n[2] A map of soils.",
                    "Rye is hardy [1]. It grows on sand [2].",
                ),
            ),
        ),
    ),
    ConstraintType(
        id="tally:links",
        family="tally",
        parameters={"num_links": int},
        allowed={"num_links": _COUNTS},
        phrasings=say.LINKS,
        heldout_phrasings=say.LINKS_HELDOUT,
        verify=_verify_links,
        draw=lambda rng, drawing: None,
        words=lambda params: counted_as(params, "num_links"),
        excludes=frozenset({"structure:no_links"}),
        examples=(
            Example(
                {"num_links": 2},
                "See https://example.org/a and [this](http://example.com/b).",
                ("See https://example.org/a.", "See example.org and example.com.", "See http:// and https://"),
            ),
        ),
    ),
    ConstraintType(
        id="structure:no_links",
        family="structure",
        parameters={},
        phrasings=say.NO_LINKS,
        heldout_phrasings=say.NO_LINKS_HELDOUT,
        verify=_verify_no_links,
        draw=lambda rng, drawing: {},
        repair=_repair_no_links,
        rank=29,
        words=lambda params: {},
        forbids=True,
        excludes=frozenset({"tally:links"}),
        examples=(
            Example(
                {},
                "Ask at the town hall, e.g. in room 4.",
                ("See https://example.org for more.", "Visit www.example.com soon.", "Ask [here](http://example.org)."),
            ),
        ),
    ),
)
