"""`Speaking`: a policy that asks a model for each action, all open episodes at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from adhere.core.model import Ask, Generates, replies
from adhere.core.record import content_hash
from adhere.core.world import Situation


def as_said(situation: Situation, reply: str) -> str:
    """The reply without the space around it."""
    return reply.strip()


class Speaking:
    """`ask(situation)` says what a model is asked, `read(situation, reply)` what action its reply is.

    `made_by` is `method@version`; with `settings` (plain values: everything that changes a decision) and the model's
    fingerprint it makes the fingerprint. An ask that failed is None: not judged.
    """

    def __init__(
        self,
        model: Generates,
        made_by: str,
        settings: Any,
        ask: Callable[[Situation], Ask],
        read: Callable[[Situation, str], str] = as_said,
    ) -> None:
        self._model, self._made_by, self._settings, self._ask, self._read = model, made_by, settings, ask, read

    @property
    def name(self) -> str:
        """The model's name and the method's."""
        return f"{self._model.name}+{self._made_by.partition('@')[0]}"

    @property
    def fingerprint(self) -> str:
        """Over the model, the method and its settings."""
        return content_hash([self._model.fingerprint, self._made_by, self._settings])

    def decide(self, situations: Sequence[Situation]) -> list[str | None]:
        """What the model's replies are as actions."""
        said = replies(self._model, [self._ask(one) for one in situations])
        return [
            None if reply.finish == "error" else self._read(one, reply.text)
            for one, reply in zip(situations, said, strict=True)
        ]
