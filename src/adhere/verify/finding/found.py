"""What a finder gives: a check, where it stands in the instruction, and how sure the finder is."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from adhere.core.record import Check

Params = Mapping[str, Any]
Finding = tuple[str, dict[str, Any], tuple[int, int], float]
"""What a rule yields: type id, parameters, half-open span in the instruction, confidence."""
Findings = Iterator[Finding]


class Found(msgspec.Struct, frozen=True):
    """A constraint that an instruction states.

    `check.phrase` is the text of `span`, a half-open range of characters in the instruction. `confidence` is below 1
    where the words allow another reading.
    """

    check: Check
    span: tuple[int, int]
    confidence: float = 1.0
