"""The job's side: runs in a forked child of the zygote, takes a request, runs hostile code, writes one claim, ends.

Everything the job can reach (this module, its frames, the descriptor of the claim) it may turn against itself, and only
against itself: the process ends with the job, and the parent reads the claim as data.
"""

from __future__ import annotations

import builtins
import gc
import json
import mmap
import os
import resource
import sys
import types
from typing import Any

# Limits of `resource` that nobody chooses: no core files, no locked memory, no message queues, no priorities.
_NEVER = ("RLIMIT_CORE", "RLIMIT_MEMLOCK", "RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RTPRIO")
_DESCRIPTORS = 64
_STACK_BYTES = 8 * 2**20
_RESERVE_BYTES = 2**20
_ERROR_CHARACTERS = 500
# EPERM is what the filter answers, ENOSYS for calls that it does not know.
_DENIED = (1, 38)

Claim = dict[str, Any]


def limit(limits: dict[str, Any], others: int) -> None:
    """Set the hard limits of this process; none can be raised again without privileges.

    `others` is how many processes of the box the kernel counts beside the job's own.
    """

    def at_most(name: str, soft: int, hard: int | None = None) -> None:
        kind = getattr(resource, name)
        ceiling = resource.getrlimit(kind)[1]
        wanted = [value if ceiling == resource.RLIM_INFINITY else min(value, ceiling) for value in (soft, hard or soft)]
        resource.setrlimit(kind, (wanted[0], wanted[1]))

    for name in _NEVER:
        at_most(name, 0)
    at_most("RLIMIT_NOFILE", _DESCRIPTORS)
    at_most("RLIMIT_STACK", _STACK_BYTES)
    at_most("RLIMIT_FSIZE", int(limits["file_bytes"]))
    seconds = max(1, -int(-float(limits["cpu_s"]) // 1))
    at_most("RLIMIT_CPU", seconds, seconds + 1)
    processes = int(limits["processes"])
    at_most("RLIMIT_AS", int(limits["memory_bytes"]) // processes)
    if processes > 1:
        at_most("RLIMIT_NPROC", processes + others)


def _told(error: BaseException) -> str:
    """The last line of the error's traceback, whatever its `__str__` does."""
    name = type(error).__name__
    try:
        text = str(error)
    except BaseException as second:
        text = f"(its text raised {type(second).__name__})"
    text = text.rstrip()
    start = text.rfind("\n") + 1
    line = text[start : start + _ERROR_CHARACTERS]
    return (f"{name}: {line}" if line else name)[:_ERROR_CHARACTERS]


def _failure(error: BaseException) -> Claim:
    if isinstance(error, MemoryError):
        return {"kind": "killed for memory", "error": _told(error)}
    denied = isinstance(error, OSError) and error.errno in _DENIED
    # Where the filter refuses a thread, Python tells it in these words only.
    denied = denied or (isinstance(error, RuntimeError) and "can't start new thread" in str(error))
    return {"kind": "refused" if denied else "failed", "error": _told(error)}


def _clean_module() -> types.ModuleType:
    """The job's `__main__`, so that pickles, dataclasses and `if __name__ == ...` find what they expect."""
    module = types.ModuleType("__main__")
    vars(module)["__builtins__"] = builtins
    sys.modules["__main__"] = module
    sys.argv = [""]
    return module


def _perform(request: dict[str, Any]) -> Claim:
    """Define the source and, if asked, call the function."""
    module = _clean_module()
    try:
        code = compile(request["source"], "<job>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, OverflowError) as error:
        return {"kind": "refused", "error": _told(error)}
    name = request["function"]
    try:
        exec(code, vars(module))
    except SystemExit as ended:
        if name is not None or ended.code not in (None, 0):
            return {"kind": "failed", "error": f"SystemExit: {ended.code!r}"[:_ERROR_CHARACTERS]}
        return {"kind": "passed"}
    if name is None:
        return {"kind": "passed"}
    function = vars(module).get(name)
    if not callable(function):
        return {"kind": "refused", "error": f"the source defines no function {name!r}"[:_ERROR_CHARACTERS]}
    return {"kind": "passed", "value": function(*request["arguments"])}


def _encoded(claim: Claim, seal: str, most_bytes: int) -> bytes:
    """The claim as JSON after its seal; a value that is no JSON or too long is the job's failure."""
    try:
        text = json.dumps(claim, allow_nan=False)
    except MemoryError:
        raise
    except BaseException as error:  # a value of the job's own class runs its code here
        text = json.dumps({"kind": "failed", "error": _told(error)})
    if len(text) > most_bytes + 2 * _ERROR_CHARACTERS:
        said = f"the value takes {len(text)} bytes as JSON; at most {most_bytes} are allowed (output_bytes)"
        text = json.dumps({"kind": "failed", "error": said})
    return (seal + text).encode()


def _flush() -> None:
    for stream in {id(found): found for found in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__)}.values():
        try:
            if stream is not None:
                stream.flush()
        except BaseException:  # the job may have closed or replaced it
            continue


def work(raw: bytes, claim_to: int, most_bytes: int) -> None:
    """Do one job and write its claim to the descriptor `claim_to`. Everything that the job raises ends here."""
    request = json.loads(raw)
    seal = request.pop("seal")
    no_memory = (seal + '{"kind": "killed for memory", "error": "MemoryError"}').encode()
    # Address space set aside, never touched: pages that are written would have to be copied for each job.
    reserve = mmap.mmap(-1, _RESERVE_BYTES)
    gc.enable()
    try:
        claim = _perform(request)
    except BaseException as error:
        reserve.close()  # room for telling about a memory that is full
        claim = _failure(error)
    else:
        reserve.close()
    try:
        _flush()
        data = _encoded(claim, seal, most_bytes)
    except MemoryError:
        data = no_memory
    while data:
        data = data[os.write(claim_to, data) :]
