"""Counting tasks: so many of one unit in each of another."""

from __future__ import annotations

from adhere.verify.constraint import ConstraintType

TYPES: tuple[ConstraintType, ...] = ()
