"""Giving memory back to the system between the stages of a run, and how many models are in memory at a time."""

from __future__ import annotations

import ctypes
import gc
import weakref
from typing import Protocol

MOST_LOADED = 3  # the one asked, the one that it is compared with, and one to spare; the embedded model takes 1 GB


class Freeable(Protocol):
    """A model that can give up its memory, and takes it again when it is asked."""

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits for a reply of it."""
        ...

    def close(self) -> None:
        """Free its memory."""
        ...


class Loaded:
    """The models that are in memory, the one asked last at the end; the first in the row makes room for a new one.

    A proof or a comparison tunes half a dozen models, asks each once, and holds on to all of them.
    """

    def __init__(self, most: int = MOST_LOADED) -> None:
        self._most = most
        self._models: list[weakref.ref[Freeable]] = []

    def enter(self, model: Freeable) -> None:
        """`model` is about to be asked: free what has not been asked for longest, as far as nobody waits for it."""
        others = [one for one in self._models if one() not in (None, model)]
        for one in list(others[: max(0, len(others) - self._most + 1)]):
            known = one()
            if known is not None and known.is_idle:
                others.remove(one)
                known.close()
        self._models = [*others, weakref.ref(model)]


LOADED = Loaded()


def release_freed() -> None:
    """Return freed memory to the system.

    Training and engines free gigabytes in small pieces, which glibc keeps for later use; the next stage then adds
    its own on top. Where the C library has no `malloc_trim` (macOS, musl, Windows) only Python's garbage is freed.
    """
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return
