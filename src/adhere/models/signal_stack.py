"""Keeping the stack that signal handlers of a thread run on as it was."""

from __future__ import annotations

import contextlib
import ctypes
import sys
from collections.abc import Iterator


class _Stack(ctypes.Structure):
    """`stack_t` of Linux."""

    _fields_ = (("place", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextlib.contextmanager
def kept_signal_stack() -> Iterator[None]:
    """Put this thread's alternate signal stack back at the end of the block.

    OpenVINO registers one of its own while it loads a model and frees it with the model, but leaves it registered:
    from then on any signal with a Python handler, Ctrl-C among them, ends the process with a segmentation fault. Does
    nothing where the call is not that of Linux.
    """
    if sys.platform != "linux":
        yield
        return
    library, before = ctypes.CDLL(None), _Stack()
    is_known = library.sigaltstack(None, ctypes.byref(before)) == 0
    try:
        yield
    finally:
        if is_known:
            library.sigaltstack(ctypes.byref(before), None)
