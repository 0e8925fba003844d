"""Constraint types: writing, verifying, repairing and grading; finding them in a prompt; scoring of replies.

    from adhere.verify import IFEVAL_TYPES, Check, judge

    outcome = judge([Check("punctuation:no_comma")], "No comma here.", IFEVAL_TYPES)
    outcome.prompt_passed(), outcome.checks[0].strict.reason

The names below are imported when they are first used, so that `import adhere.verify` costs nothing. What has the name
of its file is taken from there: `adhere.verify.find.find`, `adhere.verify.compose.compose`,
`adhere.verify.audit.audit`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adhere.core.record import Check, Record
    from adhere.core.verifier import Verdict, Verifier
    from adhere.verify.catalogue import ALL_TYPES, FURTHER_TYPES, IFEVAL_TYPES, UNSEEN_TYPES, constraint_type
    from adhere.verify.conflicts import compatible, conflict
    from adhere.verify.constraint import ConstraintType
    from adhere.verify.registers import mended_checks, register
    from adhere.verify.repair import correct
    from adhere.verify.sandbox import Sandbox
    from adhere.verify.score import ConstraintVerifier, judge, loose_variants

__all__ = [
    "ALL_TYPES",
    "FURTHER_TYPES",
    "IFEVAL_TYPES",
    "UNSEEN_TYPES",
    "Check",
    "ConstraintType",
    "ConstraintVerifier",
    "Record",
    "Sandbox",
    "Verdict",
    "Verifier",
    "compatible",
    "conflict",
    "constraint_type",
    "correct",
    "judge",
    "loose_variants",
    "mended_checks",
    "register",
]

_PLACES = {
    "adhere.core.record": ("Check", "Record"),
    "adhere.core.verifier": ("Verdict", "Verifier"),
    "adhere.verify.catalogue": ("ALL_TYPES", "FURTHER_TYPES", "IFEVAL_TYPES", "UNSEEN_TYPES", "constraint_type"),
    "adhere.verify.conflicts": ("compatible", "conflict"),
    "adhere.verify.constraint": ("ConstraintType",),
    "adhere.verify.registers": ("mended_checks", "register"),
    "adhere.verify.repair": ("correct",),
    "adhere.verify.sandbox": ("Sandbox",),
    "adhere.verify.score": ("ConstraintVerifier", "judge", "loose_variants"),
}


def __getattr__(name: str) -> Any:
    import importlib

    for place, names in _PLACES.items():
        if name in names:
            return getattr(importlib.import_module(place), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
