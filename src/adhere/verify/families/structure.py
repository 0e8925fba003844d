"""How a reply is built: sections by name, bullets under headings, items with fields, contents.

What concerns terms, speakers, letters, sources and links is in `discourse`. Types about sections belong to IFEval's
family `detectable_format`, dividers between parts to `length_constraints`.
"""

from __future__ import annotations

import random
import re

from adhere.core.verifier import Verdict
from adhere.verify.constraint import ConstraintType, Drawing, Example, Params, failed, judged_count, passed
from adhere.verify.families import discourse
from adhere.verify.families import structure_wording as say
from adhere.verify.families.given import LISTS, counted_as, names, nearness, pick
from adhere.verify.families.markdown_lines import (
    Heading,
    Line,
    bullet_text,
    heading_name,
    headings,
    item_text,
    lines_of,
    read,
)
from adhere.verify.pieces import clauses, grouped, regroup, statements
from adhere.verify.rewriting import append_paragraph
from adhere.verify.spans import first_spans
from adhere.verify.wording import counted, listed

_COUNTS = range(1, 1001)
_PLAIN_SECTIONS = frozenset({"lines", "combination:two_responses", "detectable_format:multiple_sections"})

# ---------------------------------------------------------------- sections by name

_NAMES = (
    ("Background", "Main Points", "Conclusion"),
    ("Overview", "Details"),
    ("Introduction", "Body", "Conclusion"),
    ("Short Answer", "Explanation", "Next Steps"),
    ("Summary", "Reasons", "Examples"),
    ("What", "Why", "How"),
    ("Context", "Discussion"),
)


def _verify_named(params: Params, reply: str) -> Verdict:
    wanted = names(params, "names", "detectable_format:named_sections")
    keys = [name.rstrip(":").casefold() for name in wanted]
    lines = lines_of(reply)
    places: dict[str, list[int]] = {key: [] for key in keys}
    for at, line in enumerate(lines):
        name = heading_name(line.text)
        if name in places:
            places[name].append(at)
    missing = [name for name, key in zip(wanted, keys, strict=True) if not places[key]]
    twice = [name for name, key in zip(wanted, keys, strict=True) if len(places[key]) > 1]
    spans = first_spans(sorted(lines[at].span for found in places.values() for at in found))
    if missing or twice:
        said = f"sections missing: {listed(missing) or 'none'}; more than once: {listed(twice) or 'none'}"
        return failed(said, 0.8 * (1 - len(missing) / len(keys)) * (0.5 if twice else 1), spans, -len(missing))
    order = [places[key][0] for key in keys]
    if order != sorted(order):
        return failed(f"all {len(keys)} sections are there, but not in the order {listed(wanted)}", 0.8, spans)
    ends = [*order[1:], len(lines)]
    empty = [
        name
        for name, start, end in zip(wanted, order, ends, strict=True)
        if not any(re.search(r"\w", line.text) for line in lines[start + 1 : end])
    ]
    if empty:
        return failed(f"no text below {listed(empty)}", 0.9 * (1 - len(empty) / len(keys)), spans)
    return passed(f"the sections {listed(wanted)} in that order", spans)


def _repair_named(params: Params, reply: str) -> str | None:
    wanted = names(params, "names", "detectable_format:named_sections")
    keys = {name.rstrip(":").casefold() for name in wanted}
    body = "\n".join(line for line in reply.split("\n") if heading_name(line) not in keys)
    parts = regroup(body, len(wanted), "\n\n") if body.strip() else None
    if parts is None:
        groups = grouped(clauses(body), len(wanted))
        parts = [" ".join(group) for group in groups] if groups else None
    if parts is None:
        return None
    return "\n\n".join(f"## {name}\n\n{part}" for name, part in zip(wanted, parts, strict=True))


# ---------------------------------------------------------------- bullets under headings


def _bullets_below(reply: str) -> list[tuple[Heading, list[Line]]]:
    """Each Markdown heading with the bullets up to the next one; a title right above a deeper heading is left out."""
    prose = read(reply)[0]
    found: list[tuple[Heading, list[Line]]] = []
    by_start = {heading.line.start: heading for heading in headings(prose)}
    for line in prose:
        if line.start in by_start:
            found.append((by_start[line.start], []))
        elif found and bullet_text(line.text) is not None:
            found[-1][1].append(line)
    following = [*(later[0].level for later in found[1:]), 0]  # one too many where there is no heading
    return [one for one, below in zip(found, following, strict=False) if one[1] or below <= one[0].level]


def _verify_bulleted(params: Params, reply: str) -> Verdict:
    sections, number = params["num_sections"], params["num_bullets"]
    found = _bullets_below(reply)
    good = sum(len(bullets) == number for _, bullets in found)
    counts = ", ".join(str(len(bullets)) for _, bullets in found[:20]) or "none"
    said = f"{len(found)} sections with bullets: {counts}; wanted {sections} with {number} each"
    spans = first_spans(heading.line.span for heading, _ in found)
    if good == len(found) == sections:
        return passed(said, spans)
    share = good / len(found) if found else 0.0
    return failed(said, 0.5 * nearness(len(found), sections) + 0.45 * share, spans, len(found) - sections)


def _repair_bulleted(params: Params, reply: str) -> str | None:
    sections, number = params["num_sections"], params["num_bullets"]
    for parts in (statements(reply), clauses(reply)):
        groups = grouped(parts, sections * number)
        if groups:
            items = [f"- {' '.join(group)}" for group in groups]
            blocks = [items[at * number : (at + 1) * number] for at in range(sections)]
            return "\n\n".join(f"## Part {at}\n\n" + "\n".join(block) for at, block in enumerate(blocks, 1))
    return None


def _bulleted_words(params: Params) -> dict[str, str]:
    bullets = counted(params["num_bullets"])
    return {
        **counted_as(params, "num_sections"),
        "m": bullets["n"],
        "spelled_m": bullets["spelled"],
        "bullets": "bullet" + bullets["s"],
    }


# ---------------------------------------------------------------- items with fields

_FIELDS = (("Name", "Reason"), ("Idea", "Benefit"), ("Title", "Summary"), ("Item", "Why", "Tip"), ("Option", "Cost"))
_LISTS = re.compile(
    r"\b(?:list|suggest|recommend|name|give|propose|ideas?|ways|reasons|tips|examples)\b", re.IGNORECASE
)


def _verify_fields(params: Params, reply: str) -> Verdict:
    fields, wanted = names(params, "fields", "structure:items_with_fields"), params["num_items"]
    longest_first = sorted(fields, key=len, reverse=True)
    label = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, longest_first))})\*{{0,2}}[ \t]{{0,3}}:", re.IGNORECASE)
    found = list(label.finditer(reply))
    keys = [name.casefold() for name in fields]
    ends = [*(later.start() for later in found[1:]), len(reply)]
    blank = sum(not re.search(r"\w", reply[one.end() : end]) for one, end in zip(found, ends, strict=False))
    labels = [one.group(1).casefold() for one in found]
    items = sum(labels[at : at + len(keys)] == keys for at in range(len(labels)) if labels[at] == keys[0])
    spans = first_spans(one.span(1) for one in found)
    said = f"{items} items with {listed(fields)}, wanted exactly {wanted}; {blank} fields empty"
    if items == wanted and len(labels) == wanted * len(keys) and not blank:
        return passed(said, spans)
    astray = abs(len(labels) - items * len(keys)) + blank
    score = 0.9 * nearness(items, wanted) / (1 + astray / max(len(labels), 1))
    return failed(said + (f", {astray} out of place" if astray else ""), score, spans, items - wanted)


def _fields_words(params: Params) -> dict[str, str]:
    fields = names(params, "fields", "structure:items_with_fields")
    model = " ".join(f"{name}: ..." for name in fields)
    return {**counted_as(params, "num_items"), "fields": listed(fields), "model": model}


def _draw_fields(rng: random.Random, drawing: Drawing) -> dict[str, object] | None:
    if not _LISTS.search(drawing.instruction):
        return None
    return {"fields": pick(rng, _FIELDS), "num_items": rng.randint(2, max(2, min(6, drawing.answer_words // 15)))}


# ---------------------------------------------------------------- closing section, dividers

_LABELS = ("Summary", "In short", "Key takeaway", "Conclusion", "Bottom line")


def _verify_closing(params: Params, reply: str) -> Verdict:
    (label,) = names({"label": [params["label"]]}, "label", "structure:closing_section")
    key = label.rstrip(":").casefold()
    lines = lines_of(reply)
    at = next((at for at in range(len(lines) - 1, -1, -1) if _opens(lines[at].text, key)), None)
    if at is None:
        return failed(f"no section {label!r} at the end")
    before, after = reply[: lines[at].start], reply[lines[at].start :]
    if not re.search(r"\w", after.casefold().partition(key)[2]):
        return failed(f"the section {label!r} is empty", 0.5, (lines[at].span,))
    if not re.search(r"\w", before):
        return failed(f"the section {label!r} is all there is", 0.3, (lines[at].span,))
    later = sum(bool(re.match(r" {0,3}#{1,6}\s", line.text)) for line in lines[at + 1 :])
    if later or len(after) > len(before) + len(label) + 10:
        said = f"{later} headings" if later else "more text than before it"
        return failed(f"the section {label!r} does not close the reply: {said} below it", 0.5, (lines[at].span,))
    return passed(f"closes with the section {label!r}", ((lines[at].start, len(reply)),))


def _opens(line: str, key: str) -> bool:
    """Whether the line is the heading of a section, or starts with its name and a colon."""
    if key not in line.casefold():
        return False
    if heading_name(line) == key:
        return True
    head, colon, _ = line[: len(key) + 60].partition(":")
    return bool(colon) and heading_name(head) == key


def _repair_closing(params: Params, reply: str) -> str | None:
    parts = statements(reply)
    shortest = min(parts[: max(len(parts) // 2, 1)], key=len, default="")
    if len(parts) < 2 or len(shortest) * 2 > len(reply):
        return None
    return append_paragraph(reply, f"{params['label']}: {shortest}")


_DIVIDERS = ("---", "===", "~~~~", "* * *", "-----")


def _verify_divided(params: Params, reply: str) -> Verdict:
    lines = lines_of(reply)
    rules = [line.span for line in lines if line.text.strip() == params["divider"]]
    starts, ends = [0, *(stop for _, stop in rules)], [*(start for start, _ in rules), len(reply)]
    blank = sum(not reply[start:end].strip() for start, end in zip(starts, ends, strict=True))
    if blank:
        said = f"{blank} of {len(starts)} parts between lines of {params['divider']} are blank"
        return failed(said, 0.5 * (1 - blank / len(starts)), first_spans(rules))
    thing = f"parts divided by lines of {params['divider']}"
    return judged_count(len(starts), "exactly", params["num_parts"], thing, first_spans(rules))


def _repair_divided(params: Params, reply: str) -> str | None:
    kept = "\n".join(line for line in reply.split("\n") if line.strip() != params["divider"])
    parts = regroup(kept, params["num_parts"], "\n\n") if kept.strip() else None
    return None if parts is None else f"\n\n{params['divider']}\n\n".join(parts)


# ---------------------------------------------------------------- table of contents

_CONTENTS = frozenset({"contents", "table of contents"})
_LINK = re.compile(r"\[([^\[\]\n]*)\]\([^()\n]*\)")


def _listed_contents(lines: list[Line]) -> tuple[Line, list[str]] | None:
    """The line that opens the table of contents, and its entries as names of headings."""
    at = next((at for at, line in enumerate(lines) if heading_name(line.text) in _CONTENTS), None)
    if at is None:
        return None
    entries: list[str] = []
    for line in lines[at + 1 :]:
        text = item_text(line.text)
        if text is None and line.text.strip():
            break
        if text is not None:
            entries.append(heading_name(_LINK.sub(r"\1", text)))
    return lines[at], entries


def _verify_contents(params: Params, reply: str) -> Verdict:
    wanted, prose = params["num_sections"], read(reply)[0]
    found = _listed_contents(prose)
    if found is None:
        return failed("no table of contents: a line that says Contents, then a list")
    opening, entries = found
    below = [one for one in headings(prose) if one.line.start > opening.start]
    titles = [heading_name(one.text) for one in below]
    spans = first_spans([opening.span, *(one.line.span for one in below)])
    if entries == titles and entries:
        thing = "sections in the contents and below it"
        return judged_count(len(entries), "exactly", wanted, thing, spans)
    same = sum(one == other for one, other in zip(entries, titles, strict=False))
    said = f"{len(entries)} entries in the contents and {len(titles)} headings below it, {same} of them the same"
    return failed(said, 0.2 + 0.6 * same / max(len(entries), len(titles), 1), spans)


def _repair_contents(params: Params, reply: str) -> str | None:
    found = headings(read(reply)[0])
    if len(found) != params["num_sections"] or _CONTENTS & {heading_name(one.text) for one in found}:
        return None
    listing = "\n".join(f"- {one.text}" for one in found)
    return f"Contents:\n\n{listing}\n\n{reply.strip()}"


def _draw_bulleted(rng: random.Random, drawing: Drawing) -> dict[str, object] | None:
    if drawing.answer_words < 60:
        return None
    return {
        "num_sections": rng.randint(2, max(2, min(4, drawing.answer_words // 40))),
        "num_bullets": rng.randint(2, 3),
    }


def _draw_contents(rng: random.Random, drawing: Drawing) -> dict[str, object] | None:
    if drawing.answer_words < 100:
        return None
    return {"num_sections": rng.randint(2, min(5, drawing.answer_words // 40))}


TYPES: tuple[ConstraintType, ...] = (
    ConstraintType(
        id="detectable_format:named_sections",
        family="detectable_format",
        parameters={"names": LISTS},
        phrasings=say.NAMED,
        heldout_phrasings=say.NAMED_HELDOUT,
        verify=_verify_named,
        draw=lambda rng, drawing: {"names": pick(rng, _NAMES)} if drawing.answer_words >= 40 else None,
        repair=_repair_named,
        rank=26,
        words=lambda params: {
            "names": listed(names(params, "names", "detectable_format:named_sections")),
            "k": str(len(params["names"])),
        },
        demands=lambda params: tuple(params["names"]),
        least_words=lambda params: 10 * len(params["names"]),
        excludes=_PLAIN_SECTIONS,
        examples=(
            Example(
                {"names": ["Needs", "Steps"]},
                "## Needs\nFlour and water.\n\n**Steps:**\nMix them.",
                (
                    "## Steps\nMix them.\n\n## Needs\nFlour and water.",
                    "## Needs\nFlour and water. Steps: mix them.",
                    "## Needs\n\n## Steps\nMix them.",
                    "## Needs\nFlour.\n## Steps\nMix.\n## Needs\nWater.",
                ),
            ),
        ),
    ),
    ConstraintType(
        id="detectable_format:bulleted_sections",
        family="detectable_format",
        parameters={"num_sections": int, "num_bullets": int},
        allowed={"num_sections": _COUNTS, "num_bullets": _COUNTS},
        phrasings=say.BULLETED,
        heldout_phrasings=say.BULLETED_HELDOUT,
        verify=_verify_bulleted,
        draw=_draw_bulleted,
        repair=_repair_bulleted,
        rank=26,
        words=_bulleted_words,
        least_words=lambda params: 6 * params["num_sections"] * params["num_bullets"],
        excludes=_PLAIN_SECTIONS | {"detectable_format:number_bullet_lists", "markup:plain_text"},
        examples=(
            Example(
                {"num_sections": 2, "num_bullets": 2},
                "# Trip\n\n## Pack\n- tent\n- lamp\n\n## Leave\n- gas\n- radio",
                (
                    "## Pack\n- tent\n- lamp\n\n## Leave\n- radio",
                    "## Pack\n- tent\n- lamp",
                    "Pack\n- tent\n- lamp\n\nLeave\n- gas\n- radio",
                    "## Pack\n- tent\n- lamp\n- map\n\n## Leave\n- gas",
                ),
            ),
        ),
    ),
    ConstraintType(
        id="structure:items_with_fields",
        family="structure",
        parameters={"fields": LISTS, "num_items": int},
        allowed={"num_items": _COUNTS},
        phrasings=say.FIELDS,
        heldout_phrasings=say.FIELDS_HELDOUT,
        verify=_verify_fields,
        draw=_draw_fields,
        words=_fields_words,
        demands=lambda params: tuple(params["fields"]),
        least_words=lambda params: 4 * params["num_items"] * len(params["fields"]),
        excludes=frozenset({"lines", "combination:two_responses"}),
        examples=(
            Example(
                {"fields": ["Name", "Price"], "num_items": 2},
                "1. **Name:** saw, Price: 9\n2. **Name:** file, Price: 4",
                (
                    "Name: saw, Price: 9",
                    "Name: saw, Price: 9\nName: file",
                    "Price: 9, Name: saw\nPrice: 4, Name: file",
                    "Name: saw, Price: 9\nName: file, Price:",
                ),
            ),
        ),
    ),
    ConstraintType(
        id="structure:closing_section",
        family="structure",
        parameters={"label": str},
        phrasings=say.CLOSING,
        heldout_phrasings=say.CLOSING_HELDOUT,
        verify=_verify_closing,
        draw=lambda rng, drawing: {"label": rng.choice(_LABELS)} if drawing.answer_words >= 40 else None,
        repair=_repair_closing,
        rank=34,
        words=lambda params: {"label": params["label"].strip().rstrip(":")},
        demands=lambda params: (params["label"].strip().rstrip(":"),),
        least_words=lambda params: 15,
        excludes=frozenset({"lines", "combination", "startend", "detectable_content:postscript"}),
        examples=(
            Example(
                {"label": "Summary"},
                "Bread needs flour, water, salt and time.\n\n**Summary:** it takes four things.",
                (
                    "Bread needs flour, water, salt and time.",
                    "Summary: it takes four things.\n\nBread needs flour, water, salt and a great deal of time.",
                    "Bread needs flour, water, salt and time.\n\nSummary:",
                    "Summary: it takes four things.",
                ),
            ),
        ),
    ),
    ConstraintType(
        id="length_constraints:divided_parts",
        family="length_constraints",
        parameters={"num_parts": int, "divider": str},
        allowed={"num_parts": range(2, 1001), "divider": _DIVIDERS},
        phrasings=say.DIVIDED,
        heldout_phrasings=say.DIVIDED_HELDOUT,
        verify=_verify_divided,
        draw=lambda rng, drawing: (
            {"num_parts": rng.randint(2, max(2, min(5, drawing.answer_words // 25))), "divider": rng.choice(_DIVIDERS)}
            if drawing.answer_words >= 30
            else None
        ),
        repair=_repair_divided,
        rank=21,
        words=lambda params: {**counted_as(params, "num_parts"), "divider": params["divider"]},
        least_words=lambda params: 10 * params["num_parts"],
        excludes=frozenset(
            {
                "lines",
                "length_constraints:number_paragraphs",
                "length_constraints:nth_paragraph_first_word",
                "detectable_format:number_bullet_lists",
                "combination:two_responses",
            }
        ),
        examples=(
            Example(
                {"num_parts": 2, "divider": "---"},
                "Mix the dough.\n\n---\n\nBake it.",
                ("Mix the dough.\n\nBake it.", "Mix the dough.\n***\nBake it.", "---\nMix the dough.\n---\nBake it."),
            ),
        ),
    ),
    ConstraintType(
        id="structure:contents",
        family="structure",
        parameters={"num_sections": int},
        allowed={"num_sections": _COUNTS},
        phrasings=say.CONTENTS,
        heldout_phrasings=say.CONTENTS_HELDOUT,
        verify=_verify_contents,
        draw=_draw_contents,
        repair=_repair_contents,
        rank=28,
        words=lambda params: counted_as(params, "num_sections"),
        least_words=lambda params: 12 * params["num_sections"],
        excludes=_PLAIN_SECTIONS | {"detectable_format:number_bullet_lists", "markup:plain_text", "opening"},
        examples=(
            Example(
                {"num_sections": 2},
                "# Contents\n1. Dough\n2. [Oven](#oven)\n\n## Dough\nMix it.\n\n## Oven\nHeat it.",
                (
                    "## Dough\nMix it.\n\n## Oven\nHeat it.",
                    "# Contents\n1. Oven\n2. Dough\n\n## Dough\nMix it.\n\n## Oven\nHeat it.",
                    "# Contents\n1. Dough\n\n## Dough\nMix it.\n\n## Oven\nHeat it.",
                    "# Contents\n1. Dough\n\n## Dough\nMix it.",
                ),
            ),
        ),
    ),
    *discourse.TYPES,
)
