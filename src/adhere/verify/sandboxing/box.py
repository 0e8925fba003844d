"""One box from the parent's side: start the zygote by a mechanism, exchange a request for a report, end it.

Three mechanisms. `bubblewrap`: the zygote started by bwrap in new namespaces. `namespaces`: the zygote makes the same
namespaces itself. `landlock`: no namespaces (they are refused in many containers); Landlock and the filter alone. In
all three the zygote gives up its privileges, puts itself under Landlock where the kernel has it, and each job gets the
filter.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import platform
import secrets
import shutil
import signal
import socket
import struct
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Any

import msgspec

from adhere.verify.sandboxing import kernel, seccomp, zygote

MECHANISMS = ("bubblewrap", "namespaces", "landlock")
_INSIDE, _PROGRAM = "/box", Path(zygote.__file__).resolve()
_START_S = 30.0
_CREDENTIALS = struct.Struct("iII")  # struct ucred: process, user, group
# A range of user ids that no distribution hands out, so that every box is a user of its own towards the kernel's
# counts.
_FIRST_UID, _UIDS = 1_900_000_000, 2**24
_LIBRARIES = ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ld.so.cache")


class BoxError(Exception):
    """This mechanism cannot give a box here; the text says why."""


class BoxGone(Exception):
    """The zygote died or no longer answers. `late` when it ran past its time."""

    def __init__(self, text: str, late: bool = False) -> None:
        super().__init__(text)
        self.late = late


class Report(msgspec.Struct, frozen=True):
    """What the zygote saw of a job; `output` and `claim` are bytes that the job wrote."""

    status: int
    timed_out: bool
    seconds: float
    cpu_s: float
    peak_bytes: int
    output: bytes
    claim: bytes


@functools.cache
def python_program() -> str:
    """The interpreter itself, not the link to it in a virtual environment."""
    return os.path.realpath(getattr(sys, "_base_executable", None) or sys.executable)


@functools.cache
def readable_paths() -> tuple[str, ...]:
    """What a job may read: the interpreter, its standard library and the system's shared libraries."""
    # A virtual environment's own folders are not wanted: packages installed there are no part of Python.
    base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    stdlib = [sysconfig.get_path(name, vars=base) for name in ("stdlib", "platstdlib")]
    own = [] if sys.base_prefix in ("/", "/usr") else [str(Path(sys.base_prefix) / "lib")]
    nix = ["/nix/store"] if python_program().startswith("/nix/store/") else []
    wanted = [*_LIBRARIES, *nix, *own, *stdlib, python_program()]
    kept: list[str] = []
    for path in dict.fromkeys(path for path in wanted if path and Path(path).exists()):
        if not any(path.startswith(other + "/") for other in kept):
            kept.append(path)
    return tuple(kept)


def _bubblewrap(program: str, scratch_bytes: int) -> list[str]:
    """The command line up to the program to be run in the box."""
    line = [
        program,
        "--unshare-pid",
        "--unshare-net",
        "--unshare-ipc",
        "--unshare-uts",
        "--as-pid-1",
        "--cap-drop",
        "ALL",
    ]
    if os.geteuid() == 0:
        # Root needs no user namespace, which would make root of every job outside; the zygote becomes another user.
        line += ["--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID", "--cap-add", "CAP_SETPCAP"]
    else:
        line += ["--unshare-user", "--uid", str(kernel.NOBODY), "--gid", str(kernel.NOBODY)]
    if scratch_bytes:
        line += ["--size", str(scratch_bytes), "--tmpfs", kernel.SCRATCH]
    parents = {str(parent) for path in (*readable_paths(), "/dev/null") for parent in Path(path).parents} - {"/"}
    for folder in sorted(parents):
        # Made by bwrap itself they would be closed to the user that the zygote becomes.
        line += ["--dir", folder]
    for path in readable_paths():
        line += ["--ro-bind", path, path]
    line += ["--ro-bind", str(_PROGRAM.parent), _INSIDE]
    return [*line, "--dev-bind", "/dev/null", "/dev/null", "--remount-ro", "/", "--chdir", "/", "--"]


def why_not(mechanism: str, limits: dict[str, Any]) -> str:
    """What is missing for a mechanism as far as can be seen without trying it; empty when nothing is."""
    if sys.platform != "linux":
        return f"needs Linux, this is {sys.platform}"
    if not seccomp.machine():
        return f"no table of system calls for {platform.machine()} (x86_64 and aarch64 of 64 bits have one)"
    if mechanism == "bubblewrap" and not shutil.which("bwrap"):
        return "the program bwrap is not installed"
    if mechanism == "landlock":
        if not kernel.landlock_version():
            return "the kernel has no Landlock, or it is switched off"
        if limits["processes"] > 1 or limits["file_bytes"]:
            return "cannot contain jobs with several processes or with files of their own"
    return ""


class Box:
    """A running zygote. Not for several threads at once.

    `pid` is the zygote's process id as this process sees it.
    """

    def __init__(self, mechanism: str, limits: dict[str, Any]) -> None:
        """Start it, within 30 s.

        Raises BoxError with the reason where the mechanism does not work here.
        """
        missing = why_not(mechanism, limits)
        if missing:
            raise BoxError(missing)
        self._wall_s = float(limits["wall_s"])
        settings = {
            "mechanism": mechanism,
            "uid": _FIRST_UID + secrets.randbelow(_UIDS),
            "readable": readable_paths(),
            "limits": limits,
        }
        wrapped = mechanism == "bubblewrap"
        program = [python_program(), "-s", "-S", "-P", "-B", "-X", "utf8"]
        program += [f"{_INSIDE}/zygote.py" if wrapped else str(_PROGRAM), json.dumps(settings)]
        before = _bubblewrap(shutil.which("bwrap") or "bwrap", limits["file_bytes"]) if wrapped else []
        self._socket, theirs = socket.socketpair()
        try:
            with theirs:
                # A fixed hash seed: a verdict must not hang on the order of a set. The session of its own keeps
                # Ctrl-C away.
                self._process = subprocess.Popen(
                    [*before, *program],
                    stdin=theirs.fileno(),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    env={"PYTHONHASHSEED": "0"},
                    cwd="/",
                    start_new_session=True,
                )
        except OSError as error:
            self._socket.close()
            raise BoxError(f"cannot be started: {error}") from error
        self._await_ready()

    def _await_ready(self) -> None:
        """Wait for the first frame, and learn from the kernel which process sent it."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self._socket.settimeout(_START_S)
        try:
            ready, notes, _, _ = self._socket.recvmsg(zygote.FRAME.size, socket.CMSG_SPACE(_CREDENTIALS.size))
        except OSError:
            ready, notes = b"", []
        if len(ready) < zygote.FRAME.size or not notes:
            self._process.kill()
            _, said = self._process.communicate()
            self._socket.close()
            lines = [line for line in said.decode(errors="replace").splitlines() if line.strip()]
            raise BoxError(lines[-1].strip() if lines else "did not start")
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
        self.pid = int(_CREDENTIALS.unpack(notes[0][2][: _CREDENTIALS.size])[0])
        self._zygote = kernel.pidfd_open(self.pid)
        if self._process.stderr:
            self._process.stderr.close()

    def _receive(self, count: int, deadline: float) -> bytes:
        parts = bytearray()
        while len(parts) < count:
            left = deadline - time.monotonic()
            if left <= 0:
                raise BoxGone("the sandbox did not answer in time", late=True)
            self._socket.settimeout(left)
            try:
                part = self._socket.recv(min(count - len(parts), 2**20))
            except TimeoutError:
                continue
            except OSError as error:
                raise BoxGone(f"the sandbox is gone: {error}") from error
            if not part:
                raise BoxGone("the sandbox ended")
            parts += part
        return bytes(parts)

    def exchange(self, request: bytes, grace_s: float) -> Report:
        """Have one job done.

        Raises BoxGone when the zygote dies or takes `grace_s` seconds longer than the job's wall-clock limit; the box
        is of no more use then.
        """
        deadline = time.monotonic() + self._wall_s + grace_s
        self._socket.settimeout(self._wall_s + grace_s)
        try:
            self._socket.sendall(zygote.FRAME.pack(len(request)) + request)
        except OSError as error:
            raise BoxGone(f"the sandbox is gone: {error}") from error
        (length,) = zygote.FRAME.unpack(self._receive(zygote.FRAME.size, deadline))
        body = self._receive(length, deadline)
        status, late, seconds, cpu_s, peak_kib, said, claimed = zygote.REPORT.unpack_from(body)
        start = zygote.REPORT.size
        output = body[start : start + said]
        claim = body[start + said + len(zygote.STARTED) : start + said + claimed]
        return Report(status, bool(late), seconds, cpu_s, peak_kib * 1024, output, claim)

    def close(self) -> None:
        """Hang up and see to it that every process of the box is gone."""
        self._socket.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(1.0)
        # Process 1 first: all others of the box end with it. Who started it may be unable to.
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self._zygote, signal.SIGKILL)
        os.close(self._zygote)
        self._process.kill()
        self._process.wait()
