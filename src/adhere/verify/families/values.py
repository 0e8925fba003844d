"""Dates, units, numbers, and regular expressions over the whole reply."""

from __future__ import annotations

from adhere.verify.constraint import ConstraintType

TYPES: tuple[ConstraintType, ...] = ()
