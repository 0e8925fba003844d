"""All constraint types by id. Built from explicit imports: adding a family is one line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from adhere.core.errors import VerifierError, did_you_mean
from adhere.verify.constraint import ConstraintType
from adhere.verify.families import (
    case,
    combination,
    content,
    counting,
    extent,
    formats,
    keywords,
    language,
    length,
    letters,
    markup,
    nested,
    punctuation,
    script,
    startend,
    structure,
    tasks,
    unseen,
    values,
    vocabulary,
)

_FURTHER_MODULES = (extent, counting, vocabulary, letters, script, markup, structure, values, nested, tasks)
_IFEVAL_MODULES = (keywords, language, length, content, formats, combination, case, startend, punctuation)


def _by_id(types: tuple[ConstraintType, ...]) -> Mapping[str, ConstraintType]:
    return MappingProxyType({kind.id: kind for kind in types})


IFEVAL_TYPES: Mapping[str, ConstraintType] = _by_id(tuple(kind for module in _IFEVAL_MODULES for kind in module.TYPES))
"""IFEval's 25 types over nine families."""

UNSEEN_TYPES: Mapping[str, ConstraintType] = _by_id(unseen.TYPES)
"""Our own types, kept out of training data, for measuring generalisation."""

FURTHER_TYPES: Mapping[str, ConstraintType] = _by_id(
    tuple(kind for module in _FURTHER_MODULES for kind in module.TYPES)
)
"""Our own types beyond IFEval's. Those that ask for the same as a held-out type belong to its family."""

ALL_TYPES: Mapping[str, ConstraintType] = _by_id(
    (*IFEVAL_TYPES.values(), *UNSEEN_TYPES.values(), *FURTHER_TYPES.values())
)

SEEN_FAMILIES: frozenset[str] = frozenset(kind.family for kind in IFEVAL_TYPES.values())
UNSEEN_FAMILIES: frozenset[str] = frozenset(kind.family for kind in UNSEEN_TYPES.values())


def constraint_type(kind: str) -> ConstraintType:
    """The type called `kind`, or a `VerifierError` that names the nearest ones."""
    found = ALL_TYPES.get(kind)
    if found is None:
        raise VerifierError(f"no constraint type {kind!r}", did_you_mean(kind, ALL_TYPES))
    return found
