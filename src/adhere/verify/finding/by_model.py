"""Finding constraints by asking a model for them, as JSON that is checked before anything is believed.

What a model lists counts only when it names a known type, its parameters are valid for that type, and the words it
quotes stand in the instruction. Everything else is dropped and counted.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from adhere.core.model import Ask, Generates, Sampling, replies
from adhere.core.record import Check, user
from adhere.verify.constraint import ConstraintType
from adhere.verify.finding.found import Found

_LONGEST_REPLY = 100_000
_MOST_ENTRIES = 200
_CONFIDENCE = 0.8

ASK = """Below is a request that somebody sent to an assistant. List the constraints on the assistant's reply that a \
program could check, and only those that the request states in so many words. Text that the request merely quotes or \
pastes states nothing.

Answer with a JSON array and nothing else. Each entry is an object with three keys:
"kind": one of the kinds below; "params": an object with exactly the parameters of that kind; "quote": the words of the
request that state the constraint, copied letter by letter.
If there are no such constraints, answer [].

Kinds and parameters:
{kinds}

Request:
<<<
{instruction}
>>>"""


class Counts(msgspec.Struct):
    """What became of a model's lists: instructions asked about, lists that could be read, entries kept and dropped."""

    asked: int = 0
    unanswered: int = 0
    malformed: int = 0
    kept: int = 0
    not_a_type: int = 0
    bad_params: int = 0
    not_in_text: int = 0


class ModelFinder:
    """A finder that asks a model. A reply that cannot be read gives nothing; `counts` says how often that happened."""

    def __init__(self, model: Generates, types: Mapping[str, ConstraintType], sampling: Sampling | None = None) -> None:
        self._model = model
        self._types = types
        self._sampling = sampling or Sampling(max_tokens=1024)
        self.counts = Counts()

    def find(self, instruction: str) -> tuple[Found, ...]:
        """The constraints that the model lists and that hold up, ordered by span. One ask per instruction."""
        if not instruction.strip():
            return ()
        self.counts.asked += 1
        text = ASK.format(kinds=_kinds(self._types), instruction=instruction)
        reply = replies(self._model, [Ask((user(text),), self._sampling)])[0]
        if reply.finish == "error":
            self.counts.unanswered += 1
            return ()
        entries = _entries(reply.text)
        if entries is None:
            self.counts.malformed += 1
            return ()
        kept: dict[str, Found] = {}
        for entry in entries[:_MOST_ENTRIES]:
            found = self._checked(entry, instruction)
            if found is not None:
                kept.setdefault(repr((found.check.kind, sorted(found.check.params.items()))), found)
        self.counts.kept += len(kept)
        return tuple(sorted(kept.values(), key=lambda found: found.span))

    def _checked(self, entry: Any, instruction: str) -> Found | None:
        kind = self._types.get(entry["kind"]) if _is_entry(entry) else None
        if kind is None:
            self.counts.not_a_type += 1
            return None
        try:
            params = dict(kind.validated(entry["params"]))
            kind.verify(params, "a")  # some parameters only the checker sees through
        except Exception:  # what a model invents may break a checker in any way
            self.counts.bad_params += 1
            return None
        span = located(instruction, entry["quote"])
        if span is None or not _mentioned(params, instruction):
            self.counts.not_in_text += 1
            return None
        return Found(Check(kind.id, params, instruction[span[0] : span[1]]), span, _CONFIDENCE)


def located(instruction: str, words: str) -> tuple[int, int] | None:
    """Where these words stand, white space and case apart; None when they do not."""
    parts = words.split()
    if not parts:
        return None
    match = re.search(r"\s+".join(map(re.escape, parts)), instruction, re.IGNORECASE)
    return match.span() if match else None


def _mentioned(params: Mapping[str, Any], instruction: str) -> bool:
    """Whether the words that parameters hold are the instruction's; numbers and codes may be written otherwise."""
    lowered = " ".join(instruction.lower().split())
    for key, value in params.items():
        if key in ("keyword", "end_phrase", "first_word", "prompt_to_repeat", "section_spliter", "letter"):
            values = [value]
        elif key in ("keywords", "forbidden_words"):
            values = list(value)
        else:
            continue
        if any(" ".join(str(word).lower().split()) not in lowered for word in values):
            return False
    return True


def _is_entry(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("kind"), str)
        and isinstance(entry.get("params"), dict)
        and isinstance(entry.get("quote"), str)
    )


def _entries(text: str) -> list[Any] | None:
    """The JSON array in a reply, with or without words or a fence around it; None when there is none."""
    text = text[:_LONGEST_REPLY]
    start, stop = text.find("["), text.rfind("]")
    if not 0 <= start < stop:
        return None
    try:
        found = json.loads(text[start : stop + 1])
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, list) else None


def _kinds(types: Mapping[str, ConstraintType]) -> str:
    """One line per type: its id, its parameters, and an example of how it is asked for."""
    lines = []
    for kind in types.values():
        params = ", ".join(f"{key} ({_said(kind, key)})" for key in kind.parameters) or "none"
        example = kind.phrase(kind.examples[0].params, kind.phrasings[0]).replace("\n", " ")
        lines.append(f"- {kind.id}; parameters: {params}; asked for like this: {example}")
    return "\n".join(lines)


def _said(kind: ConstraintType, key: str) -> str:
    if "relation" in key:
        return "'at least' or 'less than'"
    value = kind.parameters[key]
    options = value if isinstance(value, tuple) else (value,)
    names = {int: "number", str: "text", list: "list of texts", tuple: "list of texts", bool: "true or false"}
    return names.get(options[0], options[0].__name__)
