"""Replies in markup: Markdown tables, headings and lists here, code and tags in `code`, whole files in `documents`."""

from __future__ import annotations

import itertools
import random
import re

from adhere.core.verifier import Verdict
from adhere.verify.constraint import (
    ConstraintType,
    Drawing,
    Example,
    Params,
    failed,
    judged_count,
    judged_range,
    passed,
)
from adhere.verify.families import code, documents
from adhere.verify.families import markup_wording as say
from adhere.verify.families.given import LISTS, counted_as, names, nearness, pick
from adhere.verify.families.markdown_lines import Table, headings, item_indent, read, tables
from adhere.verify.pieces import grouped, is_list_item, statements, unmarked
from adhere.verify.spans import first_spans
from adhere.verify.wording import listed

# ---------------------------------------------------------------- tables

_COLUMNS = (
    ("Aspect", "Details"),
    ("Point", "Why it matters"),
    ("Idea", "Example"),
    ("Option", "Advantage", "Drawback"),
    ("Topic", "Summary", "Tip"),
    ("Question", "Short answer"),
    ("Item", "Purpose", "Cost"),
)


def _verify_table(params: Params, reply: str) -> Verdict:
    columns, wanted = names(params, "columns", "markup:table"), params["num_rows"]
    best = failed("no Markdown table: a header row, a row of dashes, then rows, all with bars between cells")
    for table in tables(read(reply)[0]):
        verdict = _judged_table(table, columns, wanted)
        if verdict.passed:
            return verdict
        best = max(best, verdict, key=lambda one: one.score)
    return best


def _judged_table(table: Table, columns: tuple[str, ...], wanted: int) -> Verdict:
    found = [cell.strip(" *_`") for cell in table.header]
    fits = [cell.casefold() for cell in found] == [name.casefold() for name in columns]
    ragged = sum(len(row) != len(table.header) for row in table.rows)
    blank = sum(not any(row) for row in table.rows)
    said = f"a table with the columns {listed(found)[:200]} and {len(table.rows)} rows"
    if ragged or blank:
        return failed(f"{said}, {ragged} of them with too few or too many cells, {blank} empty", 0.3, (table.span,))
    if fits and len(table.rows) == wanted:
        return passed(said, (table.span,))
    score = 0.3 + 0.35 * fits + 0.3 * nearness(len(table.rows), wanted)
    return failed(f"{said}; wanted {listed(columns)} and {wanted}", score, (table.span,), len(table.rows) - wanted)


def _table_words(params: Params) -> dict[str, str]:
    columns = names(params, "columns", "markup:table")
    return {**counted_as(params, "num_rows"), "columns": listed(columns), "k": str(len(columns))}


# ---------------------------------------------------------------- headings, lists, plain text


def _verify_headings(params: Params, reply: str) -> Verdict:
    spans = [found.line.span for found in headings(read(reply)[0]) if found.level == params["level"]]
    thing = f"headings of level {params['level']}"
    return judged_count(len(spans), "exactly", params["num_headings"], thing, first_spans(spans))


def _verify_heading_levels(params: Params, reply: str) -> Verdict:
    found, wanted = headings(read(reply)[0]), params["num_levels"]
    jumps = [later.line.span for one, later in itertools.pairwise(found) if later.level > one.level + 1]
    levels = len({one.level for one in found})
    if jumps:
        said = f"{len(jumps)} headings skip a level, wanted none"
        return failed(said, 0.5 * (1 - len(jumps) / len(found)), first_spans(jumps), len(jumps))
    spans = first_spans(one.line.span for one in found)
    return judged_range(levels, wanted, None, "levels of headings, none skipped", spans)


_CHECKBOX = re.compile(r"[^\S\n]*[-*+][^\S\n]+\[[ xX]\][^\S\n]+\S")


def _verify_checklist(params: Params, reply: str) -> Verdict:
    spans = [line.span for line in read(reply)[0] if _CHECKBOX.match(line.text)]
    return judged_count(len(spans), "exactly", params["num_items"], "checkbox items", first_spans(spans))


def _repair_checklist(params: Params, reply: str) -> str | None:
    lines = [unmarked(line) for line in reply.split("\n") if is_list_item(line)]
    items = [re.sub(r"^\[[ xX]\]\s*", "", line) for line in lines]
    groups = grouped([item for item in items if item] or statements(reply), params["num_items"])
    return "\n".join(f"- [ ] {' '.join(group)}" for group in groups) if groups else None


def _verify_nested(params: Params, reply: str) -> Verdict:
    open_indents: list[int] = []
    deepest, at = 0, (0, 0)
    for line in read(reply)[0]:
        indent = item_indent(line.text)
        if indent is None:
            if line.text.strip() and not line.text[0].isspace():
                open_indents.clear()
            continue
        while open_indents and open_indents[-1] >= indent:
            open_indents.pop()
        open_indents.append(indent)
        if len(open_indents) > deepest:
            deepest, at = len(open_indents), line.span
    return judged_range(deepest, params["depth"], None, "levels of list items", (at,) if deepest else ())


_MARKS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("heading", re.compile(r"^ {0,3}#{1,6}[^\S\n]", re.MULTILINE)),
    ("code", re.compile(r"^ {0,3}(?:`{3}|~{3})|`[^`\n]+`", re.MULTILINE)),
    ("bullet", re.compile(r"^[^\S\n]*[-*+][^\S\n]+(?=\S)", re.MULTILINE)),
    ("bold or italic text", re.compile(r"\*[^\s*][^*\n]*\*|(?<!\w)_[^\s_][^_\n]*_(?!\w)")),
    ("link", re.compile(r"\[[^\[\]\n]*\]\([^()\n]*\)")),
    ("quotation mark of Markdown", re.compile(r"^ {0,3}>[^\S\n]?(?=\S)", re.MULTILINE)),
    ("table row", re.compile(r"^[^\S\n]*\|[^|\n]*\|", re.MULTILINE)),
)


def _verify_plain(params: Params, reply: str) -> Verdict:
    found = {name: [one.span() for one in mark.finditer(reply)] for name, mark in _MARKS}
    kinds = [name for name, spans in found.items() if spans]
    total = sum(map(len, found.values()))
    if kinds:
        spans = first_spans(sorted(span for spans in found.values() for span in spans))
        return failed(f"{total} marks of Markdown: {', '.join(kinds)}", 1 / (1 + total), spans, total)
    return passed("no Markdown", vacuous=not re.search(r"[^\W\d_]", reply))


def _repair_plain(params: Params, reply: str) -> str | None:
    if "|" in reply or "```" in reply or "~~~" in reply:  # taking a table or code apart leaves a heap of words
        return None
    text = re.sub(r"^[^\S\n]*(?:#{1,6}|[-*+]|>)[^\S\n]+", "", reply, flags=re.MULTILINE)
    text = re.sub(r"\[([^\[\]\n]*)\]\([^()\n]*\)", r"\1", text)
    return re.sub(r"(?<!\w)_([^\s_][^_\n]*)_(?!\w)", r"\1", text).replace("*", "").replace("`", "").strip()


def _paged(drawing: Drawing, words_each: int, most: int) -> int:
    """How many parts of so many words an ordinary answer has room for, two at least."""
    return max(2, min(most, drawing.answer_words // words_each))


def _draw_levels(rng: random.Random, drawing: Drawing) -> dict[str, object] | None:
    return {"num_levels": rng.randint(2, 3)} if drawing.answer_words >= 60 else None


def _draw_nested(rng: random.Random, drawing: Drawing) -> dict[str, object] | None:
    return {"depth": rng.choice((2, 2, 3))} if drawing.answer_words >= 40 else None


_COUNTS = range(1, 1001)
_TABLE = ConstraintType(
    id="markup:table",
    family="markup",
    parameters={"columns": LISTS, "num_rows": int},
    allowed={"num_rows": _COUNTS},
    phrasings=say.TABLE,
    heldout_phrasings=say.TABLE_HELDOUT,
    verify=_verify_table,
    draw=lambda rng, drawing: {
        "columns": pick(rng, _COLUMNS),
        "num_rows": rng.randint(2, _paged(drawing, 12, 8)),
    },
    words=_table_words,
    demands=lambda params: tuple(params["columns"]),
    least_words=lambda params: len(params["columns"]) * (1 + 2 * params["num_rows"]),
    excludes=frozenset({"markup:plain_text", "lines", "detectable_format:json_format", "combination:two_responses"}),
    examples=(
        Example(
            {"columns": ["Tool", "Use"], "num_rows": 2},
            "Both are cheap:\n\n| Tool | Use |\n|---|:---:|\n| saw | cutting |\n| file | smoothing |",
            (
                "| Tool | Use |\n|---|---|\n| saw | cutting |",
                "| Tool | Price |\n|---|---|\n| saw | 9 |\n| file | 4 |",
                "| Use | Tool |\n|---|---|\n| cutting | saw |\n| smoothing | file |",
                "| Tool | Use |\n| saw | cutting |\n| file | smoothing |",
                "| Tool | Use |\n|---|---|\n| saw | cutting | wood |\n| file | smoothing |",
            ),
        ),
    ),
)
_HEADINGS = ConstraintType(
    id="markup:headings",
    family="markup",
    parameters={"level": int, "num_headings": int},
    allowed={"level": range(1, 7), "num_headings": _COUNTS},
    phrasings=say.HEADINGS,
    heldout_phrasings=say.HEADINGS_HELDOUT,
    verify=_verify_headings,
    draw=lambda rng, drawing: {"level": rng.randint(2, 4), "num_headings": rng.randint(2, _paged(drawing, 25, 6))},
    words=lambda params: {
        **counted_as(params, "num_headings"),
        "level": str(params["level"]),
        "sign": "#" * params["level"],
    },
    least_words=lambda params: 10 * params["num_headings"],
    excludes=frozenset({"markup:plain_text", "lines"}),
    examples=(
        Example(
            {"level": 2, "num_headings": 2},
            "# Bread\n## Flour\nUse rye.\n## Oven\nHeat it.",
            ("## Flour\nUse rye.", "## Flour\nUse rye.\n### Oven\nHeat it.", "##Flour\nUse rye.\n##Oven\nHeat it."),
        ),
    ),
)
_HEADING_LEVELS = ConstraintType(
    id="markup:heading_levels",
    family="markup",
    parameters={"num_levels": int},
    allowed={"num_levels": range(1, 7)},
    phrasings=say.HEADING_LEVELS,
    heldout_phrasings=say.HEADING_LEVELS_HELDOUT,
    verify=_verify_heading_levels,
    draw=_draw_levels,
    words=lambda params: counted_as(params, "num_levels"),
    least_words=lambda params: 10 * params["num_levels"],
    excludes=frozenset({"markup:plain_text", "lines"}),
    examples=(
        Example(
            {"num_levels": 2},
            "# Bread\n## Flour\nUse rye.\n## Oven\nHeat it.",
            ("# Bread\n### Flour\nUse rye.", "# Flour\nUse rye.\n# Oven\nHeat it.", "Flour\nUse rye."),
        ),
    ),
)
_CHECKLIST = ConstraintType(
    id="markup:checklist",
    family="markup",
    parameters={"num_items": int},
    allowed={"num_items": _COUNTS},
    phrasings=say.CHECKLIST,
    heldout_phrasings=say.CHECKLIST_HELDOUT,
    verify=_verify_checklist,
    draw=lambda rng, drawing: {"num_items": rng.randint(2, _paged(drawing, 10, 8))},
    repair=_repair_checklist,
    rank=22,
    words=lambda params: counted_as(params, "num_items"),
    least_words=lambda params: 5 * params["num_items"],
    excludes=frozenset({"markup:plain_text", "lines", "detectable_format:number_bullet_lists"}),
    examples=(
        Example(
            {"num_items": 2},
            "Pack:\n- [ ] tent\n- [x] lamp",
            ("Pack:\n- [ ] tent", "- tent\n- lamp", "- [] tent\n- [] lamp", "[ ] tent\n[ ] lamp"),
        ),
    ),
)
_NESTED = ConstraintType(
    id="markup:nested_list",
    family="markup",
    parameters={"depth": int},
    allowed={"depth": range(2, 11)},
    phrasings=say.NESTED,
    heldout_phrasings=say.NESTED_HELDOUT,
    verify=_verify_nested,
    draw=_draw_nested,
    words=lambda params: counted_as(params, "depth"),
    least_words=lambda params: 5 * params["depth"],
    excludes=frozenset({"markup:plain_text", "lines"}),
    examples=(
        Example(
            {"depth": 2},
            "- fruit\n  - apple\n- bread",
            ("- fruit\n- apple\n- bread", "- fruit\n  apple\n- bread", "- fruit\n\nAlso:\n  - apple"),
        ),
    ),
)
_PLAIN = ConstraintType(
    id="markup:plain_text",
    family="markup",
    parameters={},
    phrasings=say.PLAIN,
    heldout_phrasings=say.PLAIN_HELDOUT,
    verify=_verify_plain,
    draw=lambda rng, drawing: {},
    repair=_repair_plain,
    rank=29,
    words=lambda params: {},
    forbids=True,
    excludes=frozenset(
        {
            "detectable_format:number_bullet_lists",
            "detectable_format:number_highlighted_sections",
            "detectable_format:bulleted_sections",
            "detectable_format:json_lines",
            "structure:definitions",
            "structure:contents",
            "markup",
        }
    ),
    examples=(
        Example(
            {},
            "Bake it at 200 degrees. Let it cool.\n\nThen slice it - 2 * 3 = 6 pieces.",
            ("Bake it at **200** degrees.", "# Bread\nBake it.", "* Bake it.\n* Cool it.", "Run `bake` twice."),
        ),
    ),
)

TYPES: tuple[ConstraintType, ...] = (
    _TABLE,
    _HEADINGS,
    _HEADING_LEVELS,
    _CHECKLIST,
    _NESTED,
    _PLAIN,
    *code.TYPES,
    *documents.TYPES,
)
