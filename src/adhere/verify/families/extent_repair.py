"""Bringing a reply to a length by code: dropping and splitting sentences, regrouping, rewrapping.

Nothing here invents text, so that what is too short stays as it is (None).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from adhere.core.verifier import Verdict
from adhere.verify.constraint import Params
from adhere.verify.pieces import (
    clauses,
    grouped,
    is_bare_mark,
    is_list_item,
    line_sentences,
    mark_length,
    statements,
    unmarked,
)
from adhere.verify.rewriting import cut_to_fit
from adhere.verify.units import (
    character_count,
    is_headline,
    line_ranges,
    paragraph_ranges,
    sentence_ranges,
    word_spans,
    words_in,
)

_MOST_PIECES = 120
_MOST_DROPPED = 1500
_MOST_PARTS = 60
_LONGEST = 200_000
_SUBJECT = r"(?:I|you|we|they|he|she|it|this|that|these|those|there|the|an?)\b"
_JOINT = re.compile(rf"(?:; +(?=[a-z])|, +(?=(?:and|but|so|yet) {_SUBJECT}))(?=\S+(?: +\S+){{2}})")

Repair = Callable[[Params, str], str | None]


def checked(verify: Callable[[Params, str], Verdict], repair: Repair) -> Repair:
    """A repair that returns a passing reply as it is, and only what then passes; one not judged gives None."""

    def done(params: Params, reply: str) -> str | None:
        before = verify(params, reply).passed
        if before is not False:
            return reply if before else None
        text = repair(params, reply)
        return text if text and text.strip() and verify(params, text).passed else None

    return done


def cut(reply: str, high: int, measure: Callable[[str], int]) -> str | None:
    """The longest start of the reply that measures `high` at most, ending at a sentence or line."""
    return cut_to_fit(_start_beyond(reply, high, measure), lambda text: measure(text) <= high)


def _start_beyond(reply: str, high: int, measure: Callable[[str], int]) -> str:
    """A start of the reply that measures more than `high`, so that cutting takes no time on what goes anyway."""
    size = 10 * high + 1000
    while size < len(reply):
        if measure(reply[:size]) > high:
            return reply[:size]
        size *= 4
    return reply


def words_of(text: str) -> int:
    """How many words a text has."""
    return len(word_spans(text))


def thinned(reply: str, low: int, high: int, words: Callable[[str], int] = words_of) -> str | None:
    """The reply with as few sentences left out as bring its words into the range, the first one kept."""
    return thinned_to(reply, range(max(low, 1), high + 1), words)


def thinned_to(reply: str, wanted: range, words: Callable[[str], int] = words_of) -> str | None:
    """The reply without the fewest sentences, late ones first, so that the number of its words is in `wanted`."""
    if not wanted:
        return None
    most = wanted[-1] + _MOST_DROPPED
    text = (
        cut(reply, wanted[-1] + _MOST_DROPPED // 2, words) if words(_start_beyond(reply, most, words)) > most else reply
    )
    if text is None or len(text) > _LONGEST:
        return None
    lines = [line_sentences(line) for line in text.split("\n")]
    pieces = [(at, nth, words(piece)) for at, line in enumerate(lines) for nth, piece in enumerate(line)]
    total = sum(count for _, _, count in pieces)
    if len(pieces) > _MOST_PIECES:
        return cut(reply, wanted[-1], words)
    dropped = _fewest([count for _, _, count in pieces[1:]], [total - one for one in wanted if one <= total])
    if dropped is None:
        return None
    gone = {pieces[at + 1][:2] for at in dropped}
    kept = [
        " ".join(piece for nth, piece in enumerate(line) if (at, nth) not in gone) if line else ""
        for at, line in enumerate(lines)
    ]
    whole = [line for line, before in zip(kept, lines, strict=True) if not before or not is_bare_mark(line)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(whole)).strip() or None


def _fewest(counts: Sequence[int], sums: Sequence[int]) -> list[int] | None:
    """Positions of the fewest counts that add up to one of the sums, late ones preferred; None when none do."""
    most = max(sums, default=-1)
    ways: dict[int, tuple[int, ...]] = {0: ()}
    for at in range(len(counts) - 1, -1, -1):
        for reached, way in list(ways.items()):
            new = reached + counts[at]
            if counts[at] and new <= most and (new not in ways or len(ways[new]) > len(way) + 1):
                ways[new] = (*way, at)
    found = [ways[one] for one in sums if one in ways]
    best = min(found, key=len, default=None)
    return None if best is None else list(best)


def with_more_sentences(reply: str, wanted: int) -> str | None:
    """The reply with joined clauses made into sentences until there are `wanted`; None when there are too few."""
    missing = wanted - len(sentence_ranges(reply))
    joints = [found.span() for start, stop in _prose_lines(reply) for found in _JOINT.finditer(reply, start, stop)]
    if not 0 < missing <= len(joints):
        return None
    chosen = [joints[len(joints) * at // missing] for at in range(missing)]
    return _split_at(reply, chosen)


def with_shorter_sentences(reply: str, high: int) -> str | None:
    """The reply with its long sentences split between clauses, at the joint nearest the middle, where they have one."""
    for _ in range(4):
        spans = sentence_ranges(reply)
        long = [span for span, count in zip(spans, words_in(reply, spans), strict=True) if count > high]
        if not long:
            return reply
        chosen = []
        for start, stop in long[:_MOST_PIECES]:
            joints = [found.span() for found in _JOINT.finditer(reply, start, stop)]
            if joints:
                middle = (start + stop) / 2
                chosen.append(min(joints, key=lambda joint: abs(joint[0] - middle)))
        if not chosen:
            return None
        reply = _split_at(reply, chosen)
    return reply


def _split_at(reply: str, joints: Sequence[tuple[int, int]]) -> str:
    done, at = [], 0
    for start, stop in joints:
        done += [reply[at:start], ". ", reply[stop : stop + 1].upper()]
        at = stop + 1
    return "".join([*done, reply[at:]])


def _prose_lines(reply: str) -> list[tuple[int, int]]:
    return [span for span in line_ranges(reply) if not is_headline(reply[slice(*span)])]


def in_lines(reply: str, high: int) -> str | None:
    """The reply's lines, or else its sentences, put together into `high` lines of about as many parts each."""
    if not 1 <= high <= _MOST_PARTS:
        return None
    lines = [reply[start:stop].strip() for start, stop in line_ranges(reply)]
    for parts in (lines, statements(reply), clauses(reply)):
        groups = grouped(parts, high)
        if groups:
            # A number or bullet in the middle of a line marks nothing.
            return "\n".join(" ".join([group[0], *map(unmarked, group[1:])]) for group in groups)
    return None


def wrapped(reply: str, width: int) -> str | None:
    """The reply with long lines broken at white space; None where a word alone is wider than that."""
    done: list[str] = []
    for line in reply.split("\n"):
        if character_count(line) <= width:
            done.append(line.rstrip())
            continue
        indent = " " * min(mark_length(line), width // 4)
        current, used = "", 0
        for word in line.split():
            size = character_count(word)
            if current.strip() and used + 1 + size > width:
                done.append(current)
                current, used = indent, len(indent)
            gap = " " if current.strip() else ""
            current, used = f"{current}{gap}{word}", used + len(gap) + size
        done.append(current)
    return "\n".join(done)


def with_longer_paragraphs(reply: str, least: int) -> str | None:
    """The reply with thin paragraphs of prose joined to the next one (the last to the one before)."""
    spans = paragraph_ranges(reply)
    blocks = [reply[start:stop].strip() for start, stop in spans]
    if any(is_headline(line) or is_list_item(line) for block in blocks for line in block.split("\n")):
        return None
    done: list[str] = []
    sizes: list[int] = []
    for block in blocks:
        if sizes and sizes[-1] < least:
            done[-1] += f" {block}"
            sizes[-1] += words_of(block)
        else:
            done.append(block)
            sizes.append(words_of(block))
    if len(sizes) > 1 and sizes[-1] < least:
        last = done.pop()
        done[-1] += f" {last}"
    return "\n\n".join(done) or None
