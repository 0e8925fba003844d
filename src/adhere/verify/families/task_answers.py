"""Reading the one answer out of a reply, and comparing it with the right one."""

from __future__ import annotations

import re
from collections.abc import Mapping

from adhere.core.verifier import Verdict
from adhere.verify.constraint import failed, passed

_WRAPPED_IN = {'"': '"', "'": "'", "`": "`", "*": "*", "“": "”", "‘": "’", "«": "»"}
_MOST_LAYERS = 8
_NUMBER = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)", re.ASCII)
_LONGEST_NUMBER = 1_000

Span = tuple[int, int]


def answer_spans(reply: str) -> list[Span]:
    """The readings of a reply that is nothing but an answer: as given, without marks around it, without a period.

    White space around each is dropped. Only what wraps the whole is taken off, so that an answer inside a sentence is
    never read out of it.
    """
    start, stop = _trimmed(reply, 0, len(reply))
    found = [(start, stop)]
    for _ in range(_MOST_LAYERS):
        if stop - start >= 2 and _WRAPPED_IN.get(reply[start]) == reply[stop - 1]:
            start, stop = _trimmed(reply, start + 1, stop - 1)
        elif stop - start >= 2 and reply[stop - 1] == ".":
            start, stop = _trimmed(reply, start, stop - 1)
        else:
            break
        found.append((start, stop))
    return found


def _trimmed(reply: str, start: int, stop: int) -> Span:
    inside = reply[start:stop]
    bare = inside.lstrip()
    start += len(inside) - len(bare)
    return start, start + len(bare.rstrip())


def judged_text(gold: str, reply: str) -> Verdict:
    """The verdict on an answer that has to be `gold` to the letter; partial credit for what begins and ends alike."""
    readings = answer_spans(reply)
    for start, stop in readings:
        if stop - start == len(gold) and reply[start:stop] == gold:
            return passed(f"the answer is {_shown(gold)}", ((start, stop),))
    given = reply[slice(*readings[-1])]
    return failed(f"the answer is {_shown(given)}, wanted {_shown(gold)}", 0.9 * nearness(gold, given))


def judged_choice(gold: str, others: Mapping[str, str], reply: str) -> Verdict:
    """The verdict on a label; `others` are the wrong ones, each with what it would have said."""
    readings = answer_spans(reply)
    for start, stop in readings:
        given = reply[start:stop] if stop - start <= _LONGEST_NUMBER else ""
        if given == gold:
            return passed(f"the label is {_shown(gold)}", ((start, stop),))
        if given in others:
            said = f"the label is {_shown(given)} ({others[given][:60]}), wanted {_shown(gold)}"
            return failed(said, spans=((start, stop),))
    given = reply[slice(*readings[-1])]
    return failed(f"the answer is {_shown(given)}, which is none of the labels; wanted {_shown(gold)}")


def judged_number(gold: int, reply: str) -> Verdict:
    """The verdict on a whole number in digits, with or without commas between groups of three."""
    start, stop = answer_spans(reply)[-1]
    given = reply[start:stop] if stop - start <= _LONGEST_NUMBER else ""
    if not _NUMBER.fullmatch(given):
        return failed(f"the answer is {_shown(reply[start:stop])}, wanted the number {gold} alone")
    number = int(given.replace(",", ""))
    if number == gold:
        return passed(f"the number is {gold}", ((start, stop),))
    miss = number - gold
    # A ratio of whole numbers: some have more digits than a float can hold.
    near = 1 - min(abs(miss) * 1_000 // max(abs(number), abs(gold), 1), 1_000) / 1_000
    return failed(f"the number is {_shown(given)}, wanted {gold}", near, ((start, stop),), miss)


def nearness(gold: str, given: str) -> float:
    """How much of the two is the same from the front and, beyond that, from the back: 0 to 1."""
    longest, shortest = max(len(gold), len(given)), min(len(gold), len(given))
    if not longest:
        return 1.0
    front = next((at for at in range(shortest) if gold[at] != given[at]), shortest)
    rest = shortest - front
    back = next((at for at in range(rest) if gold[-1 - at] != given[-1 - at]), rest)
    return (front + back) / longest


def _shown(text: str) -> str:
    return repr(text) if len(text) <= 60 else f"{text[:60]!r}... ({len(text)} characters)"
