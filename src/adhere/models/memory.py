"""Giving memory back to the system between the stages of a run."""

from __future__ import annotations

import ctypes
import gc


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
