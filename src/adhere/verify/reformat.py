"""Bringing a reply into a format by code: bullets, sections, highlights, titles, JSON, fixed answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable

from adhere.verify.pieces import clauses, grouped, is_list_item, is_rule, regroup, statements, unmarked
from adhere.verify.rewriting import variant
from adhere.verify.subject import key_phrases, titles

OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")

_MOST_PARTS = 30
_YES = re.compile(r"\b(?:yes|yeah|certainly|definitely|indeed|absolutely|of course|correct|true)\b", re.IGNORECASE)
_NO = re.compile(r"\b(?:no|not|never|cannot|isn't|aren't|can't|don't|doesn't|false|incorrect)\b", re.IGNORECASE)
_HEDGE = re.compile(r"\b(?:maybe|perhaps|depends?|might|possibly|not sure|unclear|both)\b", re.IGNORECASE)


def as_bullets(reply: str, count: int) -> str | None:
    """The reply with exactly `count` bullets: surplus items cut, or its sentences made into items."""
    if not 1 <= count <= _MOST_PARTS:
        return None
    lines = [line for line in reply.strip().split("\n") if not is_rule(line)]
    marked = [index for index, line in enumerate(lines) if is_list_item(line) and unmarked(line)]
    if len(marked) >= count:
        return _with_items_kept(lines, marked, count)
    for parts in (statements(reply), clauses(reply)):
        lead = parts[:1] if parts and parts[0].endswith(":") else []
        groups = grouped(parts[len(lead) :], count)
        if groups:
            items = [_undashed(" ".join(group)) for group in groups]
            return "\n".join([_undashed(line) + "\n" for line in lead] + [f"* {item}" for item in items])
    return None


def _with_items_kept(lines: list[str], marked: list[int], count: int) -> str:
    kept = set(marked[:count])
    last = marked[count - 1]
    done = []
    for index, line in enumerate(lines):
        if index in kept:
            done.append(f"* {_undashed(unmarked(line))}")
        elif index < last or not line.strip() or (index > marked[-1] and not is_list_item(line)):
            done.append(_undashed(line))
        # Everything between the last kept item and the end of the list belongs to the items that go.
    return re.sub(r"\n{3,}", "\n\n", "\n".join(done)).strip()


def _undashed(line: str) -> str:
    """A line that no longer opens like a bullet."""
    return re.sub(r"^[\s\-–]*(?:\*(?!\*)\s+)?", "", line) if re.match(r"\s*(?:-|\*[^*])", line) else line


def as_option(reply: str) -> str:
    """The fixed answer that the reply leans to: by its first sentence, `maybe` when that hedges or is silent."""
    said = re.search(r"my answer is\W+(yes|no|maybe)\b", reply, re.IGNORECASE)
    if said:
        return f"My answer is {said.group(1).lower()}."
    first = next(iter(statements(reply)), "")
    yes, no = bool(_YES.search(first)), bool(_NO.search(first))
    if _HEDGE.search(first) or yes == no:
        return OPTIONS[2]
    return OPTIONS[0] if yes else OPTIONS[1]


def with_highlights(reply: str, enough: Callable[[str], bool]) -> str | None:
    """The reply with one key phrase after another put between asterisks until there are enough."""
    chosen: list[tuple[int, int]] = []
    for span in [None, *key_phrases(reply)[:_MOST_PARTS]]:
        if span is not None:
            chosen.append(span)
        text = reply
        for start, end in sorted(chosen, reverse=True):
            text = f"{text[:start]}*{text[start:end]}*{text[end:]}"
        if enough(text):
            return text
    return None


def as_sections(reply: str, splitter: str, count: int) -> str | None:
    """The reply's paragraphs, or else its sentences, under `count` numbered headings."""
    if not 1 <= count <= _MOST_PARTS:
        return None
    heading = re.compile(rf"^[ \t#*]*{re.escape(splitter)}[ \t]*\d+[ \t:.*]*$", re.MULTILINE)
    body = heading.sub("", reply).strip()
    closing = variant(reply, ("", "", ":"))
    parts = regroup(body, count, "\n\n")
    if parts is None:
        groups = grouped(clauses(body), count)
        parts = [" ".join(group) for group in groups] if groups else None
    if parts is None:
        return None
    return "\n\n".join(f"{splitter} {number}{closing}\n{part}" for number, part in enumerate(parts, 1))


def without_fence(reply: str) -> str:
    """What is left of the reply when the code fences that the JSON check forgives are taken off."""
    body = reply.strip()
    for fence in ("```json", "```Json", "```JSON", "```"):
        body = body.removeprefix(fence)
    return body.removesuffix("```").strip()


def as_json(reply: str) -> str | None:
    """The JSON that the reply holds, or the reply in a JSON object with plain keys."""
    text = reply.strip()
    held = _held_json(text)
    if held is not None:
        return held
    plain = re.sub(r"^`{3}\w*\n?|\n?`{3}$", "", text).strip()
    if not plain:
        return None
    items = [unmarked(line) for line in plain.split("\n") if is_list_item(line)]
    parts = statements(plain)
    if len(items) >= 2:
        key = variant(plain, ("items", "points", "list", "answer"))
        lead = next((line.strip() for line in plain.split("\n") if line.strip() and not is_list_item(line)), "")
        value: dict[str, object] = {"description": lead.rstrip(":"), key: items} if lead else {key: items}
    elif len(parts) >= 4 and len(plain) % 2:
        value = {"summary": parts[0], "details": parts[1:]}
    else:
        value = {variant(plain, ("answer", "response", "result", "text", "content")): plain}
    body = json.dumps(value, indent=variant(plain, (2, 2, None)), ensure_ascii=False)
    return f"```json\n{body}\n```" if len(plain) % 3 == 0 else body


def _held_json(text: str) -> str | None:
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end - start < 2:
        return None
    try:
        value = json.loads(text[start : end + 1])
    except (ValueError, RecursionError):
        return None
    return text[start : end + 1] if value else None


def with_title(reply: str, title: str | None = None) -> str:
    """The reply under `<<title>>`: its own heading if it has one, else the given title, else a plain one."""
    first, _, rest = reply.strip().partition("\n")
    own = re.fullmatch(r"(?:#{1,3}\s+|\**title:?\**:?\s*|<)(.{1,80}?)[*>]*", first.strip(), re.IGNORECASE)
    own = own or re.fullmatch(r"\*\*([^*]{1,60}[^*.:])\*\*", first.strip())
    name = own.group(1).strip(" *\"'<>") if own and rest.strip() else ""
    body = rest.strip() if name else reply.strip()
    return f"<<{name or title or variant(reply, titles(''))}>>\n\n{body}"
