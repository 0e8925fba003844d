"""Lengths in words, characters, sentences, lines and paragraphs, exactly and between; length buckets."""

from __future__ import annotations

from adhere.verify.constraint import ConstraintType

TYPES: tuple[ConstraintType, ...] = ()
