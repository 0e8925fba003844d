"""Replies that are one document as a whole: taken out of their code fence, and made from an ordinary reply."""

from __future__ import annotations

import re

from adhere.verify.pieces import statements
from adhere.verify.rewriting import variant
from adhere.verify.subject import titles
from adhere.verify.text import words


def unfenced(reply: str) -> str:
    """The reply without the code fence around all of it, if there is one."""
    body = reply.strip()
    first, _, rest = body.partition("\n")
    if re.fullmatch(r"`{3}[\w+-]{0,20}", first.strip()) and rest.endswith("```"):
        return rest[:-3].strip()
    return body


def _content_of(name: str, reply: str) -> object | None:
    """What a repair puts under a name that it knows, or None."""
    parts = statements(reply)
    known: dict[str, object] = {
        "title": variant(reply, titles("")),
        "summary": parts[0] if parts else "",
        "answer": reply.strip(),
        "body": reply.strip(),
        "points": parts,
        "details": " ".join(parts[1:]) or " ".join(parts),
        "word_count": len(words(reply)),
    }
    return known.get(name)


def filled(wanted: tuple[str, ...], reply: str) -> dict[str, object] | None:
    """The reply put under the given names, or None where one of them is not known or there is nothing to put."""
    content = {name: _content_of(name, reply) for name in wanted}
    return None if None in content.values() or not statements(reply) else content
