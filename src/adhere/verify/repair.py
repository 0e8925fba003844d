"""Correcting replies constraint by constraint, by code, verifying after every correction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice, permutations

import msgspec

from adhere.core.errors import VerifierError, did_you_mean
from adhere.core.record import Check, Record
from adhere.verify import reformat
from adhere.verify.constraint import ConstraintType
from adhere.verify.subject import titles

_MOST_ORDERS = 24
_TITLE = "detectable_format:title"
_MOST_TITLES = 4


class Correction(msgspec.Struct, frozen=True):
    """What repairing made of a reply: the text, the checks repaired (in that order), those still failing."""

    reply: str
    repaired: tuple[Check, ...]
    failing: tuple[Check, ...]

    @property
    def passes(self) -> bool:
        """Whether every check now passes."""
        return not self.failing


class _Bench:
    """The checks of one record with their types; remembers verdicts, since orders meet the same texts again."""

    def __init__(self, record: Record, types: Mapping[str, ConstraintType]) -> None:
        self.checks = record.checks
        self.instruction = str(record.notes.get("instruction") or record.instruction)
        self._types = [_type_of(check, types) for check in self.checks]
        self._params = [kind.validated(check.params) for kind, check in zip(self._types, self.checks, strict=True)]
        self._known: dict[tuple[int, str], bool] = {}

    def rank(self, index: int) -> int:
        """When to repair the check: content before structure, additions before case, what wraps the whole last."""
        return self._types[index].rank

    def passes(self, index: int, text: str) -> bool:
        """Whether the text passes the check; a blank one never does, "not judged" does not count as passed."""
        if not text.strip():
            return False
        if (index, text) not in self._known:
            self._known[index, text] = self._types[index].verify(self._params[index], text).passed is True
        return self._known[index, text]

    def passing(self, text: str) -> frozenset[int]:
        """Positions of the checks that the text passes."""
        return frozenset(index for index in range(len(self.checks)) if self.passes(index, text))

    def repaired(self, index: int, text: str) -> list[str]:
        """The text as it may be repaired so that the check passes, best first."""
        options: list[str | None] = [*self._on_the_subject(index, text)]
        repair = self._types[index].repair
        if repair:
            options.append(repair(self._params[index], text))
        return [done for done in options if done is not None and self.passes(index, done)]

    def _on_the_subject(self, index: int, text: str) -> Iterator[str]:
        """Repairs that name the subject, which only the instruction tells."""
        if self.checks[index].kind == _TITLE:
            found = titles(self.instruction)
            # The shortest one as well, for replies that are close to a word limit.
            for title in (*found[:_MOST_TITLES], min(found, key=len)):
                yield reformat.with_title(text, title)


def _type_of(check: Check, types: Mapping[str, ConstraintType]) -> ConstraintType:
    if check.kind not in types:
        raise VerifierError(f"no constraint type {check.kind!r} to repair by", did_you_mean(check.kind, types))
    return types[check.kind]


def correct(record: Record, reply: str, types: Mapping[str, ConstraintType]) -> Correction:
    """The reply with its failing checks repaired by code, as far as that goes.

    A correction is kept only if its check then passes and every check that passed before still does, if need be
    after those it broke are repaired in turn. When one order of repairs leaves something failing, other orders
    are tried (24 at most), and the one that leaves least is taken. Raises `VerifierError` for a check of unknown
    type or with bad parameters. A blank reply is returned as it is.
    """
    bench = _Bench(record, types)
    passing = bench.passing(reply)
    failing = [index for index in range(len(record.checks)) if index not in passing]
    best, left = reply, len(failing)
    best_done: tuple[int, ...] = ()
    if reply.strip():
        for order in _orders(bench, failing):
            text, done = _repaired_in_order(bench, order, reply)
            remaining = len(record.checks) - len(bench.passing(text))
            if remaining < left:
                best, best_done, left = text, done, remaining
            if not left:
                break
    now = bench.passing(best)
    return Correction(
        best,
        tuple(record.checks[index] for index in best_done),
        tuple(check for index, check in enumerate(record.checks) if index not in now),
    )


def _orders(bench: _Bench, failing: Sequence[int]) -> Iterator[tuple[int, ...]]:
    ranked = sorted(failing, key=lambda index: (bench.rank(index), index))
    return islice(permutations(ranked), _MOST_ORDERS)


def _repaired_in_order(bench: _Bench, order: Sequence[int], reply: str) -> tuple[str, tuple[int, ...]]:
    text = reply
    done: list[int] = []
    for index in order:
        if bench.passes(index, text):  # an earlier correction has brought it along
            done.append(index)
            continue
        kept = _one_more(bench, index, text)
        if kept is not None:
            text = kept
            done.append(index)
    return text, tuple(index for index in done if bench.passes(index, text))


def _one_more(bench: _Bench, index: int, text: str) -> str | None:
    """The text with one check repaired and nothing lost, or None."""
    before = bench.passing(text)
    for option in bench.repaired(index, text):
        new = option
        broken = sorted(before - bench.passing(new), key=bench.rank)
        for lost in broken:
            new = next(iter(bench.repaired(lost, new)), new)
        after = bench.passing(new)
        if index in after and before <= after:
            return new
    return None
