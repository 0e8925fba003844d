"""Cues that all rules share: what is a request, what is negated, and what a bound says in IFEval's relations."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator

from adhere.verify.finding.numbers import Quantity
from adhere.verify.finding.reading import Reading, Sentence

QTY = r"‹(\d+)›"
LIST = r"«\d+»(?:(?: ,| ;)?(?: and| or| nor| as well as| and also| / or| /| &)? «\d+»)*"
NEGATED = re.compile(
    r"\b(?:not|no|never|without|avoid\w*|refrain\w*|zero|forbid\w*|forbidden|exclud\w*|omit\w*|prohibited|banned?|"
    r"disallowed|free of|leav\w+ out|stay away|steer clear|keep clear|instead of|rather than|skip|abstain\w*|eschew|"
    r"do without|off limits|out of the question|eliminate|none|neither|nor|lacks?|lacking|"
    r"devoid|except|any other|leav\w+ commas out|left out|comma free)\b"
)
DENIED_BEHIND = re.compile(
    r"^ ?(?:,|\)|\])?(?: (?!and\b|but\b)\w+){0,6}? (?:not|never|banned|forbidden|prohibited|"
    r"off limits|disallowed|turned up|pick another|taboo|excluded|avoided|omitted|left out|no "
    r"place)\b"
)
EMPHASIS = (
    r"\b(?:highlight\w*|emphasi[sz]\w*|emphasis|itali\w*|bold\w*|starring|asterisks?|"
    r"stress\w*|stand out|jump out|set off)\b|\*marked\*"
)
_ASKED = re.compile(
    r"^(?:and |but |so )?(?:why|what|who|whose|whom|when|where|which|how|is|are|was|were|am|do|does|did|has|have|had|"
    r"(?:should|can|could|may|must|would|will|shall) (?!you|your|we|the (?:answer|response|"
    r"reply|output|text|whole|entire|full|story|poem))\w+)\b"
)
_TOLD = re.compile(
    r"^(?:\w+ ){0,3}?(?:i|we|he|she|they|teacher|boss|sister|brother|friend|dictionary|book|article|author) "
    r"(?:\w+ )?(?:wrote|read|had|has|have|used|uses|said|says|got|counted|counts|spent|saw|"
    r"sent|gave|learn\w*|know|knows|was|were|am|ate|"
    r"bought|made|ran|did|contains|holds)\b(?! to\b)"
)
_WISH = re.compile(
    r"\b(?:want|need|needs|should|must|please|would like|expect|has to|have to|shall|your|"
    r"answer|respond|reply|response|ought|may not|not allowed|banned|choose|make sure|ensure|"
    r"see to it)\b"
)


def is_request(sentence: Sentence) -> bool:
    """Whether a sentence asks for something, as far as its form tells: no question for facts, no tale."""
    form = sentence.form
    if form.endswith(("?", "? )")) and _ASKED.match(form):
        return False
    return not (_TOLD.match(form) and not _WISH.search(form))


def requests(reading: Reading, trigger: str) -> Iterator[Sentence]:
    """The sentences that ask for something and match the trigger, a regular expression."""
    pattern = re.compile(trigger)
    for sentence in reading.sentences:
        if pattern.search(sentence.form) and is_request(sentence):
            yield sentence


def quantity(reading: Reading, place: str) -> Quantity:
    """The quantity whose number stands in a form as `‹place›`."""
    return reading.quantities[int(place)]


def relations(found: Quantity) -> list[tuple[str, int]]:
    """A bound as IFEval's relations: at most 3 is less than 4; a range and "exactly 3" are two; a plain 3 is none."""
    if found.kind not in ("bound", "range", "exact"):
        return []
    low = [("at least", found.low)] if found.low is not None else []
    high = [("less than", found.high + 1)] if found.high is not None else []
    return low + high


def bounded(reading: Reading, sentence: Sentence) -> list[tuple[re.Match[str], Quantity]]:
    """The quantities of a sentence that are bounds, with where they stand."""
    every = [(match, quantity(reading, match.group(1))) for match in re.finditer(QTY, sentence.form)]
    return [(match, found) for match, found in every if found.kind in ("bound", "range", "exact")]


def quoted(reading: Reading, form: str) -> list[str]:
    """The words of the quotations in a piece of a form."""
    return [reading.quotes[int(place)].text for place in re.findall(r"«(\d+)»", form)]


def starts_at(amount: tuple[re.Match[str], Quantity]) -> int:
    """Where the number of an amount stands in its form."""
    return amount[0].start()


def nearest(
    amounts: list[tuple[re.Match[str], Quantity]], start: int, stop: int
) -> tuple[re.Match[str], Quantity] | None:
    """The bound that goes with words at `start`: the first behind them, else the last before."""
    place = bisect_left(amounts, stop, key=starts_at)
    if place < len(amounts):
        return amounts[place]
    place = bisect_left(amounts, start, key=starts_at)
    return amounts[place - 1] if place else None
