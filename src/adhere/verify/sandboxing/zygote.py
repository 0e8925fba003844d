"""The program inside the box: a small single-threaded Python that forks once per job and never runs a job itself.

Started with one argument, JSON: `mechanism`, `uid` (to become where root), `readable` paths, `limits`. Descriptor 0 is
a stream socket to the parent. Requests and reports are frames: 4 bytes of length, then the body. A request is the
job's JSON; a report is `REPORT` and then the raw bytes of output and claim.

A fork sees the memory of what it was forked from, freed memory too. So nothing of any job ever lies in this process's
own memory: the child reads the request itself, and output and claim go through a mapping that forks do not get.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import mmap
import os
import select
import signal
import struct
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING or __package__:
    from adhere.verify.sandboxing import harness, kernel, seccomp
else:
    _HERE = str(Path(__file__).resolve().parent)
    sys.path.insert(0, _HERE)
    import harness
    import kernel
    import seccomp

    sys.path.remove(_HERE)

# Modules that small functions import; here once instead of in each job.
import collections
import datetime
import functools
import itertools
import math
import random
import re
import string
import textwrap
import typing
import unicodedata

WARM = (collections, datetime, functools, itertools, math, random, re, string, textwrap, typing, unicodedata)
# status as of wait(2), 1 if the wall clock ran out, seconds, CPU seconds, peak memory in KiB, bytes of output and
# claim.
REPORT = struct.Struct("<iBddQII")
FRAME = struct.Struct("<I")
CONTROL = 0
# First byte of every claim, written before the job begins.
STARTED = b"!"
_CHUNK, _CLAIM_ROOM = 65536, 4096
# How long a child may take to read its request.
_DELIVERY_S = 8.0


def _read_exactly(count: int) -> bytes:
    """That many bytes of the control socket; ends this process when the parent has gone."""
    parts = bytearray()
    while len(parts) < count:
        part = os.read(CONTROL, min(count - len(parts), 2**20))
        if not part:
            os._exit(1)
        parts += part
    return bytes(parts)


def _write_all(data: bytes | memoryview) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(CONTROL, view) :]


def _child(settings: dict[str, Any], template: bytes, output: int, claim: int) -> None:
    """Everything between fork and the job's first line: the request, descriptors, limits, filter."""
    (length,) = FRAME.unpack(_read_exactly(FRAME.size))
    raw = _read_exactly(length)
    os.write(claim, STARTED)
    limits = settings["limits"]
    null = os.open("/dev/null", os.O_RDWR)
    # Out of the way of the numbers that they are copied to.
    claim, output, null = (os.dup2(fd, 40 + place) for place, fd in enumerate((claim, output, null)))
    for target, source in enumerate((null, output, output, claim)):
        os.dup2(source, target)
    os.closerange(4, 1024)
    harness.limit(limits, settings["others"])
    program = seccomp.for_process(template, os.getpid())
    for name in ("zygote", "kernel", "seccomp", "harness"):
        sys.modules.pop(name, None)
    # Without a process namespace nothing else ends a job whose zygote was killed.
    kernel.die_with_parent()
    kernel.install_filter(program)
    harness.work(raw, 3, limits["output_bytes"])


def _kill(pid: int) -> None:
    """End the job and, as process 1, whatever it started; elsewhere it cannot have started anything."""
    os.kill(pid, signal.SIGKILL)
    if os.getpid() == 1:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)


def _reap_strays() -> None:
    if os.getpid() != 1:
        return
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


class _Store:
    """Room for what a job writes, hidden from forks."""

    def __init__(self, output_bytes: int) -> None:
        # A claim longer than this was not written by the harness; one byte more shows it.
        claim_bytes = output_bytes + _CLAIM_ROOM
        room = mmap.mmap(-1, output_bytes + claim_bytes + _CHUNK)
        room.madvise(mmap.MADV_DONTFORK)
        view = memoryview(room)
        self.output, self.claim = view[:output_bytes], view[output_bytes : output_bytes + claim_bytes]
        self.spill = view[output_bytes + claim_bytes :]


class _Job:
    """A running job as the zygote sees it: a process to wait for and two pipes of opaque bytes."""

    def __init__(self, pid: int, output: int, claim: int, store: _Store) -> None:
        self.pid = pid
        self.ended = kernel.pidfd_open(pid)
        self.room, self.spill = {output: store.output, claim: store.claim}, store.spill
        self.taken, self.claim = {output: 0, claim: 0}, claim
        self.timed_out = False

    def watch(self, seconds: float) -> None:
        """Read what the job writes until it has ended; kill it when the time is up, counted from its having started."""
        poll = select.poll()
        for fd in (CONTROL, self.ended, *self.room):
            # The control socket only for its hanging up: no request comes before this one is answered.
            poll.register(fd, 0 if fd == CONTROL else select.POLLIN)
        deadline, started = time.monotonic() + _DELIVERY_S, False
        while True:
            if self.taken[self.claim] and not started:
                deadline, started = time.monotonic() + seconds, True
            left = deadline - time.monotonic()
            if left <= 0 and not self.timed_out:
                self.timed_out = True
                _kill(self.pid)
            ready = dict(poll.poll(None if self.timed_out else max(left, 0) * 1000 + 1))
            if CONTROL in ready:
                os._exit(0)
            if self.ended in ready:
                return
            for fd in ready:
                if not self._take(fd):
                    poll.unregister(fd)

    def _take(self, fd: int) -> int:
        """Read once; past the room of this pipe what comes is dropped."""
        free = self.room[fd][self.taken[fd] :]
        if not free:
            return os.readv(fd, [self.spill])
        count = os.readv(fd, [free])
        self.taken[fd] += count
        return count

    def finish(self) -> tuple[int, Any]:
        """With everything dead, take the rest of the pipes; wait status and resource usage."""
        _, status, usage = os.wait4(self.pid, 0)
        _reap_strays()
        os.close(self.ended)
        for fd in self.room:
            while self._take(fd):
                continue
            os.close(fd)
        return status, usage


def _run(settings: dict[str, Any], template: bytes, store: _Store) -> None:
    """One job, from fork to report."""
    output, claim = os.pipe(), os.pipe()
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            _child(settings, template, output[1], claim[1])
            code = 0
        finally:
            os._exit(code)
    os.close(output[1])
    os.close(claim[1])
    job = _Job(pid, output[0], claim[0], store)
    job.watch(settings["limits"]["wall_s"])
    status, usage = job.finish()
    seconds = time.monotonic() - began
    said, claimed = job.taken[output[0]], job.taken[claim[0]]
    if not claimed:
        # It never took its whole request: what is left of that would be read as the next one.
        os._exit(1)
    cpu = usage.ru_utime + usage.ru_stime
    head = REPORT.pack(status, job.timed_out, seconds, cpu, usage.ru_maxrss, said, claimed)
    _write_all(FRAME.pack(len(head) + said + claimed) + head)
    _write_all(store.output[:said])
    _write_all(store.claim[:claimed])


def _await_request() -> None:
    """Wait for the first byte of a request, or end with the parent."""
    poll = select.poll()
    poll.register(CONTROL, select.POLLIN | select.POLLRDHUP)
    if poll.poll()[0][1] & ~select.POLLIN:
        os._exit(0)


def _confine(settings: dict[str, Any]) -> None:
    """Give up everything that this process could do and a job should not."""
    mechanism, scratch = settings["mechanism"], settings["limits"]["file_bytes"]
    if mechanism == "namespaces":
        kernel.enter_namespaces(settings["readable"], scratch)
    elif mechanism == "bubblewrap" and scratch:
        Path(kernel.SCRATCH).chmod(0o1777)
    os.chdir(kernel.SCRATCH if scratch else "/")
    if os.geteuid() == 0:
        kernel.become_user(settings["uid"])
    if mechanism != "landlock":
        kernel.die_with_parent()
    kernel.drop_privileges(seccomp.machine())
    version = kernel.restrict_files(settings["readable"], kernel.SCRATCH if scratch else "")
    if mechanism == "landlock" and not version:
        raise OSError("the kernel has no Landlock, or it is switched off")


def main() -> None:
    """Confine this process, say so, serve jobs until the parent hangs up."""
    settings = json.loads(sys.argv[1])
    os.environ.clear()
    # This process, and where it had to make a user namespace its outer half too.
    settings["others"] = 2 if settings["mechanism"] == "namespaces" and os.geteuid() != 0 else 1
    _confine(settings)
    for fd in (1, 2):
        # Both were pipes to the parent for what goes wrong before this line.
        os.dup2(os.open("/dev/null", os.O_RDWR), fd)
    os.closerange(3, 1024)
    # By the line, so that what a job printed before it was killed is not lost; never a failure for odd characters.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")
    limits = settings["limits"]
    template = seccomp.build_filter(seccomp.machine(), limits["processes"] > 1, limits["file_bytes"] > 0)
    store = _Store(limits["output_bytes"])
    gc.collect()
    gc.disable()
    gc.freeze()
    _write_all(FRAME.pack(0))
    while True:
        _await_request()
        _run(settings, template, store)


if __name__ == "__main__":
    main()
