"""Sections in order, items with fields, steps, citations."""

from __future__ import annotations

from adhere.verify.constraint import ConstraintType

TYPES: tuple[ConstraintType, ...] = ()
