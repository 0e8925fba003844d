"""Run Python that nobody has read, such as code written by a model, so that it can harm nobody but itself.

    with Sandbox(workers=2) as sandbox:
        done = sandbox.call("def twice(x):\\n    return 2 * x", "twice", [21])
        done.kind, done.value        # "passed", 42

Inside there is no network, no file but the Python installation, no environment, no host process, no privilege and,
unless asked for, no second process or thread. Each job is a fork of a small clean process and ends with all it
started; nothing of it is left for the next. What a job returns or prints is its claim: it can lie about itself (a
program can always pretend to have reached its end), never about another job. So compare values out here rather than
trusting a verdict made in there.
"""

from __future__ import annotations

import json
import os
import queue
import secrets
import signal
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from adhere.core.errors import EXIT_ENVIRONMENT, VerifierError, did_you_mean

if TYPE_CHECKING:
    from adhere.verify.sandboxing.box import Box, Report

Kind = Literal["passed", "failed", "timed out", "killed for memory", "refused", "crashed"]
Job = tuple[str, str, Sequence[Any]]

_LEAST_MEMORY = 64 * 2**20
_MOST_PROCESSES = 256
# How long past its wall-clock limit a job may stay unanswered before the whole box is killed.
_GRACE_S = 10.0
_CLAIMS = ("passed", "failed", "refused", "killed for memory")


class Limits(msgspec.Struct, frozen=True):
    """What one job may use.

    `wall_s` and `cpu_s` are seconds (CPU is counted in whole seconds, rounded up, per process). `memory_bytes` is
    address space, the interpreter's own 30 MB included; with several `processes` (threads count as such) each gets an
    equal share, so that the sum holds. `output_bytes` of what is printed are kept, the rest is read and dropped; the
    JSON of a returned value may be as long. `file_bytes` above 0 gives the job an empty /tmp of that size, for which
    it pays with a box of its own (some 50 ms).
    """

    wall_s: float = 2.0
    cpu_s: float = 2.0
    memory_bytes: int = 256 * 2**20
    output_bytes: int = 65536
    file_bytes: int = 0
    processes: int = 1


class Execution(msgspec.Struct, frozen=True):
    """How a job went.

    `passed`: ran to its end; `value` is what the function returned, as JSON knows it (tuples are lists). `failed`:
    raised; `error` holds the last line. `timed out`: wall clock or CPU. `killed for memory`. `refused`: not valid
    Python, no such function, or stopped by a call that is not allowed in here. `crashed`: died by a signal or left no
    readable result. `output` is what it printed (both streams), `seconds` the wall clock from its start to its end.
    """

    kind: Kind
    value: Any = None
    output: str = ""
    error: str = ""
    seconds: float = 0.0


_USUAL = Limits()
# Run in every new box before any other job: the box must hold, or it is not used.
_PROBE = """
def leaks(host, several):
    import os, socket
    found = []
    if os.getuid() == 0 or os.geteuid() == 0:
        found.append("jobs run as root")
    if os.environ:
        found.append("the environment is not empty")
    for name in host:
        try:
            os.close(os.open(name, os.O_RDONLY))
            found.append(name + " can be read")
        except OSError:
            pass
    try:
        os.close(os.open("/dev/canary", os.O_WRONLY | os.O_CREAT))
        found.append("files can be made")
    except OSError:
        pass
    try:
        socket.socket()
        found.append("sockets can be made")
    except PermissionError:
        pass
    try:
        os.kill(os.getppid(), 0)
        found.append("other processes can be signalled") if not several else None
    except PermissionError:
        pass
    if not several:
        try:
            if os.fork() == 0:
                os._exit(0)
            found.append("processes can be started")
        except PermissionError:
            pass
    return found
"""
# Every Linux has most of these, and none is to be seen from within.
_HOST_FILES = [
    "/etc/passwd",
    "/etc/hostname",
    "/proc/1/environ",
    "/proc/self/environ",
    "/sys",
    "/home",
    "/root",
    "/var",
]


def _checked(limits: Limits) -> Limits:
    """The limits, if a job can run within them.

    Raises VerifierError otherwise.
    """
    share = limits.memory_bytes // max(1, limits.processes)
    wrong = ""
    if not (0 < limits.wall_s < 86_400 and 0 < limits.cpu_s < 86_400):
        wrong = f"wall_s and cpu_s above 0, found {limits.wall_s} and {limits.cpu_s}"
    elif not 1 <= limits.processes <= _MOST_PROCESSES:
        wrong = f"processes from 1 to {_MOST_PROCESSES}, found {limits.processes}"
    elif share < _LEAST_MEMORY:
        wrong = f"memory_bytes of {_LEAST_MEMORY} or more per process, found {share}"
    elif not 0 <= limits.output_bytes <= 2**30:
        wrong = f"output_bytes from 0 to 2^30, found {limits.output_bytes}"
    elif limits.file_bytes < 0:
        wrong = f"file_bytes of 0 or more, found {limits.file_bytes}"
    if wrong:
        raise VerifierError(f"the limits of a sandbox need {wrong}", "Change the Limits that the sandbox is made with.")
    return limits


def _request(source: str, function: str | None, arguments: Sequence[Any], seal: str) -> bytes:
    """The job as the harness reads it.

    Raises VerifierError when the arguments are not JSON values.
    """
    job = {"seal": seal, "source": source, "function": function, "arguments": list(arguments)}
    try:
        return json.dumps(job, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise VerifierError(
            f"the arguments of {function or 'a program'} must be JSON values: {error}",
            "Pass only strings, finite numbers, booleans, None, lists and dictionaries.",
        ) from error


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _claimed(claim: bytes, seal: str) -> dict[str, Any] | None:
    """The claim of the harness, or None for anything that it would not have written."""
    try:
        text = claim.decode("ascii")
        if not text.startswith(seal):
            return None
        found = json.loads(text[len(seal) :], parse_constant=_no_constant)
    except (ValueError, RecursionError, MemoryError):
        return None
    good = isinstance(found, dict) and found.get("kind") in _CLAIMS and isinstance(found.get("error", ""), str)
    return found if good else None


def _judged(report: Report, seal: str, limits: Limits) -> tuple[Kind, Any, str]:
    """Kind, value and error: first what the kernel says about the job, then what the job says."""
    if report.timed_out:
        return "timed out", None, f"no end after {limits.wall_s:g} s"
    if os.WIFSIGNALED(report.status):
        number = os.WTERMSIG(report.status)
        if number == signal.SIGXCPU or (number == signal.SIGKILL and report.cpu_s >= limits.cpu_s):
            return "timed out", None, f"more than {limits.cpu_s:g} s of CPU"
        if number == signal.SIGKILL and report.peak_bytes >= limits.memory_bytes // 2:
            return "killed for memory", None, "killed by the kernel"
        if number == signal.SIGSYS:
            return "refused", None, "killed by the filter of system calls"
        names = {known.value: known.name for known in signal.Signals}
        return "crashed", None, f"died by {names.get(number, f'signal {number}')}"
    claim = _claimed(report.claim, seal) if report.status == 0 else None
    if claim is None:
        return "crashed", None, "ended without a result" if not report.claim else "left an unreadable result"
    value = claim.get("value") if claim["kind"] == "passed" else None
    return claim["kind"], value, claim.get("error", "")


def _missing(reasons: dict[str, str]) -> VerifierError:
    told = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    return VerifierError(
        f"running unread code needs a sandbox, and this machine gives none ({told})",
        "Install bubblewrap on Linux, or allow user namespaces. Code is never run without a sandbox.",
        code=EXIT_ENVIRONMENT,
    )


def _tried(mechanism: str, limits: Limits) -> Box:
    """A box that has been seen to hold.

    Raises BoxError where the mechanism gives none.
    """
    from adhere.verify.sandboxing.box import Box, BoxError, BoxGone, readable_paths

    # Folders on the way to the interpreter do exist inside, empty but for it.
    hidden = [name for name in _HOST_FILES if not any(path.startswith(name) for path in readable_paths())]
    box = Box(mechanism, msgspec.structs.asdict(limits))
    seal = secrets.token_hex(16)
    try:
        report = box.exchange(_request(_PROBE, "leaks", [hidden, limits.processes > 1], seal), _GRACE_S)
        kind, value, error = _judged(report, seal, limits)
    except BoxGone as gone:
        kind, value, error = "crashed", None, str(gone)
    if kind != "passed" or value != []:
        box.close()
        raise BoxError(f"does not contain: {', '.join(value)}" if value else f"a first job {kind}: {error}")
    return box


def mechanisms() -> dict[str, str]:
    """What can contain a job on this machine: name to "available", or to why not. Starts each once, for some 50 ms."""
    if sys.platform != "linux":
        return dict.fromkeys(("bubblewrap", "namespaces", "landlock"), f"needs Linux, this is {sys.platform}")
    from adhere.verify.sandboxing.box import MECHANISMS, BoxError

    found = {}
    for name in MECHANISMS:
        try:
            _tried(name, Limits(wall_s=10.0)).close()
            found[name] = "available"
        except BoxError as error:
            found[name] = str(error)
    return found


class Sandbox:
    """A pool of boxes for jobs, used as a context manager; may be called from several threads.

    `mechanism` names one (see `mechanisms`); without it the first that holds is taken, strongest first, and then kept.
    Raises VerifierError where the machine offers none (exit code 3), or for limits or names that make no sense.
    """

    def __init__(self, workers: int = 1, limits: Limits = _USUAL, mechanism: str | None = None) -> None:
        if workers < 1:
            raise VerifierError(f"a sandbox needs at least 1 worker, found {workers}", "Leave `workers` out for one.")
        self.workers, self.limits = workers, _checked(limits)
        self.mechanism, first = self._first_box(mechanism)
        # A free place of the pool: its box, or None for one still to be started. The last used is used next.
        self._free: queue.LifoQueue[Box | None] = queue.LifoQueue()
        for place in (*[None] * (workers - 1), first):
            self._free.put(place)
        self._closed = False

    def _first_box(self, wanted: str | None) -> tuple[str, Box]:
        if sys.platform != "linux":
            raise _missing(mechanisms())
        from adhere.verify.sandboxing.box import MECHANISMS, BoxError

        if wanted is not None and wanted not in MECHANISMS:
            raise VerifierError(f"no sandbox mechanism is named {wanted!r}", did_you_mean(wanted, MECHANISMS))
        reasons = {}
        for name in (wanted,) if wanted else MECHANISMS:
            try:
                return name, _tried(name, self.limits)
            except BoxError as error:
                reasons[name] = str(error)
        raise _missing(reasons)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End every box, after the jobs that are running. A closed sandbox takes no more jobs."""
        if self._closed:
            return
        self._closed = True
        for _ in range(self.workers):
            box = self._free.get()
            if box is not None:
                box.close()

    def call(self, source: str, function: str, arguments: Sequence[Any]) -> Execution:
        """Define `source`, call `function(*arguments)` with JSON values; the value is the JSON of what it returned.

        Raises VerifierError for arguments that are no JSON values, or when a box that died cannot be started again.
        """
        return self._execute(source, function, arguments)

    def run(self, source: str) -> Execution:
        """Run a whole program as `__main__`; passed when it ends without an exception or with exit status 0.

        Exit handlers are not run. Raises VerifierError when a box that died cannot be started again.
        """
        return self._execute(source, None, ())

    def map_calls(self, jobs: Iterable[Job]) -> Iterator[Execution]:
        """`call` for each `(source, function, arguments)`, in order, over the pool; takes jobs as they are needed."""
        if self.workers == 1:
            for job in jobs:
                yield self.call(*job)
            return
        pool, running = ThreadPoolExecutor(self.workers, "sandbox"), deque[Future[Execution]]()
        try:
            for job in jobs:
                running.append(pool.submit(self.call, *job))
                if len(running) >= 4 * self.workers:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _execute(self, source: str, function: str | None, arguments: Sequence[Any]) -> Execution:
        from adhere.verify.sandboxing.box import BoxError, BoxGone

        if self._closed:
            raise VerifierError("the sandbox is closed", "Use it within its `with` block.")
        seal = secrets.token_hex(16)
        request = _request(source, function, arguments, seal)
        box = self._free.get()
        try:
            box = box or _tried(self.mechanism, self.limits)
            report = box.exchange(request, _GRACE_S)
        except BoxError as error:
            raise _missing({self.mechanism: str(error)}) from error
        except BoxGone as gone:
            if box is not None:
                box.close()
            box = None
            return Execution("timed out" if gone.late else "crashed", error=f"{gone}; it is started anew")
        except BaseException:
            # Interrupted in the middle of an exchange: whoever used this box next would read the wrong answer.
            if box is not None:
                box.close()
            box = None
            raise
        else:
            if self.limits.file_bytes:
                box.close()
                box = None
        finally:
            self._free.put(box)
        kind, value, told = _judged(report, seal, self.limits)
        return Execution(kind, value, report.output.decode(errors="replace"), told, report.seconds)
