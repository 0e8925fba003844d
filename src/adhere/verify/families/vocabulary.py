"""Words that must or must not occur: counts, order, position, inflected forms, sets."""

from __future__ import annotations

from adhere.verify.constraint import ConstraintType

TYPES: tuple[ConstraintType, ...] = ()
