"""`World`: single use, begun with a seed, acted on until it ends."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import msgspec

from adhere.core.record import Message


class Turn(msgspec.Struct, frozen=True):
    """What an action brought: the messages seen, the reward, whether it ended or was cut short."""

    seen: tuple[Message, ...]
    reward: float = 0.0
    ended: bool = False
    cut: bool = False


@runtime_checkable
class World(Protocol):
    """A place to act in. One instance, one episode."""

    def begin(self, seed: int) -> Turn: ...

    def act(self, action: str) -> Turn: ...
