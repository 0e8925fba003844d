"""Putting hostile text before a judging model, and reading the one line it was asked to end with.

What is judged is data. It stands between markers that it cannot contain, without control sequences, and the word of
the closing line is one that no quoted text contains: a reply that says "SCORE: 10" cannot be read as the verdict, even
where the judge repeats it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec

from adhere.core.cleaning import clean
from adhere.core.model import Reply
from adhere.core.record import Record

_EMPHASIS = " \t*_`#>-"


class Answer(msgspec.Struct, frozen=True):
    """What a closing line said, in capitals; or an empty `said` and the `problem`: why it could not be read."""

    said: str
    problem: str = ""


def cleaned(text: str) -> str:
    """`text` without terminal sequences, control characters, direction overrides and lone surrogates; CRLF is LF."""
    return clean(text.replace("\r\n", "\n"))


def quoted(**texts: str) -> str:
    """Each text under its name between markers that none of them contains; the same texts give the same markers."""
    shown = {name: cleaned(text) for name, text in texts.items()}
    mark = _unused_mark("\0".join(shown.values()))
    return "\n\n".join(f"<{name} {mark}>\n{text}\n</{name} {mark}>" for name, text in shown.items())


def _unused_mark(joined: str) -> str:
    digest = hashlib.sha256(joined.encode("utf-8", "replace")).hexdigest()
    # The hash of a text is not in the text, but six of its letters may be.
    return next((digest[at : at + 6] for at in range(0, 58) if digest[at : at + 6] not in joined), digest)


def unused_word(candidates: Sequence[str], *texts: str) -> str:
    """The first candidate that none of the texts contains in any case, or the last one with a mark they lack."""
    folded = "\n".join(cleaned(text) for text in texts).casefold()
    for word in candidates:
        if word.casefold() not in folded:
            return word
    return f"{candidates[-1]} {_unused_mark(folded)}"


def closing_answer(reply: Reply, word: str) -> Answer:
    """The one line `WORD: ...` of a judge's reply.

    It is read only when there is exactly one such line, it is the last that is not blank, and the reply was neither
    an error nor cut off: a cut may leave the 1 of a 10.
    """
    if reply.error or reply.finish == "error":
        return Answer("", "the model gave an error")
    if reply.finish == "length":
        return Answer("", "the answer was cut off")
    lines = [line for line in reply.text.splitlines() if line.strip()]
    if not lines:
        return Answer("", "the answer is empty")
    found = [(at, tail) for at, line in enumerate(lines) if (tail := _after(line, word)) is not None]
    if len(found) != 1:
        return Answer("", "no verdict line" if not found else "several verdict lines")
    at, tail = found[0]
    if at != len(lines) - 1:
        return Answer("", "text after the verdict line")
    return Answer(tail.upper(), "" if tail else "the verdict line is empty")


def _after(line: str, word: str) -> str | None:
    """What follows `WORD:` at the start of a line, without Markdown's emphasis and a final period."""
    head, colon, tail = line.partition(":")
    if not colon or head.strip(_EMPHASIS).casefold() != word.casefold():
        return None
    return tail.strip(" \t*_`.")


def task_of(record: Record) -> str:
    """What was asked: the user's text, or, in a conversation of several messages, all of them with their roles."""
    if len(record.prompt) == 1:
        return record.prompt[0].text
    return "\n\n".join(f"[{message.role}]\n{message.text}" for message in record.prompt)
