"""Replies in a formal language: tables, XML, YAML, JSON by a schema, CSV, code."""

from __future__ import annotations

from adhere.verify.constraint import ConstraintType

TYPES: tuple[ConstraintType, ...] = ()
