"""Which constraints cannot, or should not, stand in one prompt.

What a type excludes, demands and forbids stands with the type; here it is put together, symmetrically: a type that
excludes another, text that one type demands and another forbids, more words than a limit leaves room for. Only what
takes the numbers of both at once (words against sentences, letters in a long text, capitals in headings) is written
out below. A kind that nobody knows conflicts only with itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations

from adhere.core.errors import VerifierError
from adhere.core.record import Check
from adhere.verify.catalogue import ALL_TYPES
from adhere.verify.constraint import ConstraintType, Params

Types = Mapping[str, ConstraintType]

_SHORTEST_SENTENCE, _LONGEST_SENTENCE = 8, 25  # words, on the average over a reply
_MOST_WORDS = 100_000  # a need beyond that breaks every limit there is
_RARE_LETTERS = "qxzjkv"


def conflict(first: Check, second: Check, types: Types = ALL_TYPES) -> str | None:
    """Why the two cannot stand together, or None. Symmetric."""
    one, other = types.get(first.kind), types.get(second.kind)
    if first.kind == second.kind or (one and other and (_excludes(one, other) or _excludes(other, one))):
        return f"{first.kind} does not go with {second.kind}"
    if one is None or other is None:
        return None
    ours, theirs = _params(one, first), _params(other, second)
    if ours is None or theirs is None:
        return None
    return (
        _forbidden(one, ours, other, theirs)
        or _forbidden(other, theirs, one, ours)
        or _clash(one.id, ours, other.id, theirs)
        or _clash(other.id, theirs, one.id, ours)
    )


def compatible(checks: Sequence[Check], types: Types = ALL_TYPES) -> bool:
    """Whether one reply can pass all of the checks, as far as the types and the parameters tell."""
    if any(conflict(one, other, types) for one, other in combinations(checks, 2)):
        return False
    known = [(kind, params) for kind, params in _known(checks, types) if params is not None]
    needed = sum(min(kind.least_words(params), _MOST_WORDS) for kind, params in known)
    # As many words as the others need at the least, of no letters at all: only a limit on words fails them.
    shortest = "_ " * min(needed, _MOST_WORDS)
    return not any(_fails(kind, params, shortest) for kind, params in known if kind.forbids)


def _known(checks: Sequence[Check], types: Types) -> Iterator[tuple[ConstraintType, Params | None]]:
    return ((types[check.kind], _params(types[check.kind], check)) for check in checks if check.kind in types)


def _params(kind: ConstraintType, check: Check) -> Params | None:
    """The parameters, or None when they make no sense: then nothing can be told from them."""
    try:
        return kind.validated(check.params)
    except VerifierError:
        return None


def _excludes(kind: ConstraintType, other: ConstraintType) -> bool:
    if kind.only_with is not None and other.id not in kind.only_with:
        return True
    return not kind.excludes.isdisjoint((other.id, other.family, "*"))


def _forbidden(ban: ConstraintType, params: Params, other: ConstraintType, demanding: Params) -> str | None:
    """Why a text that the other type demands cannot stand where this one forbids it."""
    if not ban.forbids:
        return None
    found = next((text for text in other.demands(demanding) if _fails(ban, params, text)), None)
    return None if found is None else f"{ban.id} forbids what {other.id} demands: {found[:60]!r}"


def _fails(ban: ConstraintType, params: Params, text: str) -> bool:
    """Whether the text holds what is forbidden; one that merely falls short of a count does not."""
    try:
        verdict = ban.verify(params, text)
    except VerifierError:
        return False
    return verdict.passed is False and verdict.miss >= 0


def _clash(one: str, params: Params, other: str, theirs: Params) -> str | None:
    """What only the numbers of both together tell."""
    if one.startswith("change_case:"):
        return _capitals(one, params, other, theirs)
    if one != "length_constraints:number_words":
        return None
    if other == "length_constraints:number_sentences":
        return _words_and_sentences(params, theirs)
    if other == "keywords:letter_frequency":
        return _words_and_letter(params, theirs)
    return None


def _capitals(one: str, params: Params, other: str, theirs: Params) -> str | None:
    """Headings keep their case, and postscripts bring letters in capitals."""
    heading = str(theirs["section_spliter"]) if other == "detectable_format:multiple_sections" else ""
    if one == "change_case:english_lowercase" and heading != heading.lower():
        return f"lower case forbids the heading {heading!r}"
    if one == "change_case:english_capital" and heading != heading.upper():
        return f"capitals forbid the heading {heading!r}"
    if one == "change_case:capital_word_frequency" and params["capital_relation"] == "less than":
        shouted = theirs["num_sections"] if heading and heading == heading.upper() else 0
        shouted += 2 if other == "detectable_content:postscript" else 0
        if shouted >= params["capital_frequency"]:
            return f"{other} brings {shouted} words in capitals"
    return None


def _words_and_sentences(params: Params, theirs: Params) -> str | None:
    words, count = params["num_words"], theirs["num_sentences"]
    long, many = params["relation"] == "at least", theirs["relation"] == "at least"
    if long and not many and words > _LONGEST_SENTENCE * max(count - 1, 0):
        return f"{words} words do not fit into fewer than {count} sentences"
    if not long and many and words <= _SHORTEST_SENTENCE * count:
        return f"{count} sentences do not fit into fewer than {words} words"
    return None


def _words_and_letter(params: Params, theirs: Params) -> str | None:
    words, letter, most = params["num_words"], theirs["letter"], theirs["let_frequency"]
    often = letter.lower() not in _RARE_LETTERS and words > 12 * most
    if params["relation"] == "at least" and theirs["let_relation"] == "less than" and often:
        return f"{words} words hold the letter {letter!r} more often than {most} times"
    return None
