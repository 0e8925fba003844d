"""`Benchmark`: records to answer, the verifier that grades them, and a version."""

from __future__ import annotations

import msgspec

from adhere.core.record import Record, content_hash
from adhere.core.verifier import Verifier


class Benchmark(msgspec.Struct, frozen=True):
    """Held-out records and how they are graded. Single-turn: its world has one turn."""

    name: str
    version: str
    records: tuple[Record, ...]
    verifier: Verifier

    @property
    def fingerprint(self) -> str:
        """sha256 over name, version and the ids of the records, in order."""
        return content_hash([self.name, self.version, [record.id for record in self.records]])
