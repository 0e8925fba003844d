"""Records of tasks with one right answer, split so that the held-out ones need rules never seen in training.

What generalises from string rewriting is the number of distinct rules rather than that of examples for each (Zhang et
al. 2024), so that a split is drawn by rules, examples per rule and held-out rules. A regular language is held out as a
language and not as a pattern: two patterns that say the same do not stand on both sides.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from adhere.core.errors import VerifierError
from adhere.core.record import Check, Record, user
from adhere.verify import formal
from adhere.verify.constraint import ConstraintType, Drawing
from adhere.verify.families.task_draws import draw_labels_in_all_styles, draw_membership, draw_rule, draw_string
from adhere.verify.families.tasks import TYPES, is_noop
from adhere.verify.turns import pif

MADE_BY = "instances@1"
LEARNT = 0.9
"""The share of a language's strings that have to be right for it to count as learnt (RegSet)."""

_TASKS: Mapping[str, ConstraintType] = {kind.id: kind for kind in TYPES}
_MOST_STALE = 500


class Split(msgspec.Struct, frozen=True):
    """Training records, and held-out ones whose rules the training records do not use."""

    training: tuple[Record, ...]
    heldout: tuple[Record, ...]


def task_records(kinds: Sequence[str], count: int, seed: int, heldout_phrasings: bool = False) -> tuple[Record, ...]:
    """`count` records of the given task types in turn, all different; the prompt of each is the task itself."""
    unknown = [kind for kind in kinds if kind not in _TASKS]
    if unknown or not kinds:
        raise VerifierError(f"expected task types, found {unknown or 'none'}", f"Known: {', '.join(sorted(_TASKS))}.")
    rng = random.Random(seed)
    found: dict[str, Record] = {}
    for attempt in range(count * 20 + 100):
        kind = _TASKS[kinds[len(found) % len(kinds)] if attempt < count * 10 else rng.choice(kinds)]
        params = kind.draw(rng, Drawing(""))
        if params is not None:
            record = _record(rng, kind.id, params, heldout_phrasings)
            found.setdefault(record.id, record)
        if len(found) == count:
            break
    return tuple(found.values())


def rewriting_split(
    rules: int, examples_per_rule: int, heldout_rules: int, seed: int, noop_share: float = 0.25
) -> Split:
    """String rewriting with rules of which none is both trained on and held out, as told by its left side.

    `noop_share` of the examples of each rule have a string that the rule does not fit. Held-out records have held-out
    phrasings. Raises `VerifierError` where so many rules cannot be drawn.
    """
    rng = random.Random(seed)
    drawn = _distinct(rules + heldout_rules, lambda: draw_rule(rng), lambda rule: rule[0])

    def examples(some: Iterable[tuple[str, str]], heldout: bool) -> Iterator[Record]:
        for find, put in some:
            noops = round(noop_share * examples_per_rule)
            for at in range(examples_per_rule):
                params = {"find": find, "put": put, "string": draw_string(rng, find, at >= noops)}
                yield _record(rng, "rewriting:leftmost", params, heldout)

    return Split(tuple(examples(drawn[:rules], False)), tuple(examples(drawn[rules:], True)))


def membership_split(languages: int, strings_per_language: int, heldout_languages: int, seed: int) -> Split:
    """Membership in regular languages of which none is both trained on and held out, in whatever pattern."""
    rng = random.Random(seed)
    drawn = _distinct(
        languages + heldout_languages,
        lambda: formal.random_pattern(rng),
        lambda pattern: formal.fingerprint(formal.language(pattern)),
    )

    def examples(some: Iterable[str], heldout: bool) -> Iterator[Record]:
        for pattern in some:
            for _ in range(strings_per_language):
                yield _record(rng, "membership:regular", draw_membership(rng, pattern), heldout)

    return Split(tuple(examples(drawn[:languages], False)), tuple(examples(drawn[languages:], True)))


def verbalizer_records(texts: int, seed: int, heldout_phrasings: bool = False) -> tuple[Record, ...]:
    """Each text three times, with natural, neutral and flipped label words in the same phrasing."""
    rng = random.Random(seed)
    found = []
    for _ in range(texts):
        order = rng.getrandbits(32)
        for params in draw_labels_in_all_styles(rng):
            found.append(_record(random.Random(order), "label:verbalizer", params, heldout_phrasings))
    return tuple(found)


def _distinct(count: int, draw: Callable[[], Any], key: Callable[[Any], Any]) -> list[Any]:
    """`count` draws with different keys, given up after very many in a row that bring nothing new."""
    found: dict[Any, Any] = {}
    stale = 0
    while len(found) < count and stale < _MOST_STALE:
        drawn = draw()
        before = len(found)
        found.setdefault(key(drawn), drawn)
        stale = 0 if len(found) > before else stale + 1
    if len(found) < count:
        raise VerifierError(f"expected {count} different rules, could draw {len(found)}", "Ask for fewer.")
    return list(found.values())


def _record(rng: random.Random, kind: str, params: dict[str, Any], heldout: bool) -> Record:
    check = _TASKS[kind].write(rng, params, heldout)
    return Record((user(check.phrase),), (check,), made_by=MADE_BY)


# ---------------------------------------------------------------- measures


def share_by(
    checks: Sequence[Check], outcomes: Sequence[bool | None], key: Callable[[Check], str]
) -> dict[str, float | None]:
    """The share passed among what was judged, for each group of checks."""
    groups: dict[str, list[bool | None]] = {}
    for check, outcome in zip(checks, outcomes, strict=True):
        groups.setdefault(key(check), []).append(outcome)
    return {name: pif(found) for name, found in groups.items()}


def by_operation(check: Check) -> str:
    """`operation` or `no-op`, for string rewriting."""
    return "no-op" if is_noop(check.params) else "operation"


def learnt_share(checks: Sequence[Check], outcomes: Sequence[bool | None]) -> float | None:
    """The share of regular languages learnt: with 90 % or more of their strings right; None without any judged."""
    shares = share_by(checks, outcomes, lambda check: str(check.params["pattern"]))
    return pif([None if share is None else share >= LEARNT for share in shares.values()])


def prior_reliance(checks: Sequence[Check], outcomes: Sequence[bool | None]) -> float | None:
    """Accuracy with natural label words less that with flipped ones; None where either is missing."""
    shares = share_by(checks, outcomes, lambda check: str(check.params["style"]))
    natural, flipped = shares.get("natural"), shares.get("flipped")
    return None if natural is None or flipped is None else natural - flipped
