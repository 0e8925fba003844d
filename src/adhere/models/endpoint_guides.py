"""Whether a reply is what its guide asks for.

Servers drop a field that they do not know without a word and answer freely, so a guided reply is looked at before it is
believed. A regular expression or grammar is run here over the reply, in a number of steps that is bounded whatever the
reply is; of a JSON Schema only that the reply is JSON, since servers differ in the keywords they hold.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from adhere.core.model import Guide, Reply
from adhere.models.grammars import Chars, Choice, Grammar, Literal, Node, Repeated, Rule, Sequenced
from adhere.models.guides import read_guide

MOST_STEPS = 200_000


def held(guide: Guide, reply: Reply) -> Reply:
    """The reply, or, where it ended without calls and is not what its guide asks for, a failure that says so."""
    if reply.finish != "stop" or reply.calls or follows(guide, reply.text) is not False:
        return reply
    said = f"the server did not hold the reply to its {guide.kind.replace('_', ' ')}: {reply.text[:80]!r}"
    return Reply("", "error", reply.tokens_in, reply.tokens_out, said, tokens_kept=reply.tokens_kept)


def follows(guide: Guide, text: str) -> bool | None:
    """Whether `text` is what the guide asks for; None where that would take too long to say."""
    if guide.kind == "json_schema":
        try:
            msgspec.json.decode(text)
        except (msgspec.MsgspecError, UnicodeError):
            return False
        except RecursionError:
            return None
        return True
    return is_word(read_guide(guide), text)


def is_word(grammar: Grammar, text: str) -> bool | None:
    """Whether `text` is a word of the grammar; None where more than `MOST_STEPS` would be needed, or too deep a stack.

    Every place at which a part can end is found once for each place at which it can begin, so the time is polynomial in
    the length of the text. The grammar has no rule that begins with itself (`check_grammar`).
    """
    try:
        return len(text) in _Walk(grammar, text).ends(Rule("root"), 0)
    except (RecursionError, _TooLongError):
        return None


class _TooLongError(Exception):
    pass


class _Walk:
    def __init__(self, grammar: Grammar, text: str) -> None:
        self._grammar, self._text, self._steps = grammar, text, 0
        self._known: dict[tuple[int, int], frozenset[int]] = {}

    def ends(self, node: Node, start: int) -> frozenset[int]:
        """The places at which `node` can end where it begins at `start`."""
        if isinstance(node, Rule):
            node = self._grammar[node.name]
        key = (id(node), start)
        if key not in self._known:
            self._count(1)
            self._known[key] = self._found(node, start)
            self._count(len(self._known[key]))  # they are kept
        return self._known[key]

    def _count(self, steps: int) -> None:
        self._steps += steps
        if self._steps > MOST_STEPS:
            raise _TooLongError

    def _found(self, node: Node, start: int) -> frozenset[int]:
        if isinstance(node, Literal):
            return frozenset({start + len(node.text)} if self._text.startswith(node.text, start) else ())
        if isinstance(node, Chars):
            code = ord(self._text[start]) if start < len(self._text) else -1
            return frozenset({start + 1} if any(low <= code <= high for low, high in node.ranges) else ())
        if isinstance(node, Sequenced):
            places = frozenset({start})
            for part in node.parts:
                places = self._from(part, places)
            return places
        if isinstance(node, Choice):
            return frozenset().union(*(self.ends(option, start) for option in node.options))
        if isinstance(node, Repeated):
            return self._repeated(node, start)
        return self.ends(node, start)

    def _repeated(self, node: Repeated, start: int) -> frozenset[int]:
        places = frozenset({start})
        for _ in range(node.low):
            places = self._from(node.body, places)
        reached, fresh, rounds = set(places), places, 0
        while fresh and (node.high is None or rounds < node.high - node.low):
            fresh = self._from(node.body, fresh) - reached
            reached |= fresh
            rounds += 1
        return frozenset(reached)

    def _from(self, node: Node, places: Iterable[int]) -> frozenset[int]:
        self._count(1)
        return frozenset().union(*(self.ends(node, place) for place in places))
