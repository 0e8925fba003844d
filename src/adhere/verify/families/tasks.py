"""Instructions with one right answer: rewriting, membership, labels, sequences of steps."""

from __future__ import annotations

from adhere.verify.constraint import ConstraintType

TYPES: tuple[ConstraintType, ...] = ()
