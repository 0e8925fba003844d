"""Constraints made of constraints: all, any, chains and conditions."""

from __future__ import annotations

from adhere.verify.constraint import ConstraintType

TYPES: tuple[ConstraintType, ...] = ()
