"""The sandbox's interface: kinds, values, limits, the pool, and saying plainly where there is none."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from adhere.core.errors import EXIT_ENVIRONMENT, EXIT_USAGE, VerifierError
from adhere.verify.sandbox import Limits, Sandbox, mechanisms
from adhere.verify.sandboxing import seccomp

AVAILABLE = mechanisms()
WORKING = [name for name, state in AVAILABLE.items() if state == "available"]
needs_one = pytest.mark.skipif(not WORKING, reason=f"no sandbox on this machine: {AVAILABLE}")
needs_namespaces = pytest.mark.skipif(
    not {"bubblewrap", "namespaces"} & set(WORKING), reason=f"no process namespaces on this machine: {AVAILABLE}"
)
QUICK = Limits(wall_s=1.0, memory_bytes=128 * 2**20)
TWICE = "def twice(x):\n    return 2 * x\n"


def wait_for_a_child(pid: int) -> None:
    """Until the box has begun a job, which is a process of its own."""
    deadline = time.monotonic() + 60
    while not children(pid) and time.monotonic() < deadline:
        time.sleep(0.02)


@pytest.fixture(scope="module", params=WORKING or ["none"])
def sandbox(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    if not WORKING:
        pytest.skip(f"no sandbox on this machine: {AVAILABLE}")
    with Sandbox(limits=QUICK, mechanism=request.param) as made:
        yield made


def children(pid: int) -> list[int]:
    """The children of a process, as the host sees them."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


@pytest.mark.parametrize("value", [None, True, 0, -1.5, "ü\ud800\0", [1, [2, {"a": []}]], {"b": None}, 10**30])
def test_values_go_in_and_come_out_as_json(sandbox: Sandbox, value: object) -> None:
    done = sandbox.call("def same(x):\n    return x", "same", [value])
    assert (done.kind, done.value, done.error) == ("passed", value, "")
    assert type(done.value) is type(value)


def test_tuples_become_lists_and_output_is_kept(sandbox: Sandbox) -> None:
    source = "import sys\ndef f(a, b):\n    print('out', a)\n    print('err', file=sys.stderr)\n    return a, b"
    done = sandbox.call(source, "f", [1, "x"])
    assert (done.kind, done.value) == ("passed", [1, "x"])
    assert sorted(done.output.split("\n")) == ["", "err", "out 1"]
    assert 0 < done.seconds < QUICK.wall_s


@pytest.mark.parametrize(
    ("source", "function", "kind", "error"),
    [
        ("def f(): return 1 / 0", "f", "failed", "ZeroDivisionError: division by zero"),
        ("raise ValueError('one\\ntwo')", "f", "failed", "ValueError: two"),
        ("def f(): assert 1 == 2", "f", "failed", "AssertionError"),
        ("def f(:", "f", "refused", "SyntaxError: .*"),
        ("x = '\0'", "f", "refused", ".*null bytes.*"),
        ("x = '\ud800'", "f", "refused", "UnicodeEncodeError: .*"),
        ("def g(): pass", "f", "refused", "the source defines no function 'f'"),
        ("f = 3", "f", "refused", "the source defines no function 'f'"),
        ("def f(): return open('/x', 'w')", "f", "(failed|refused)", "(PermissionError|OSError): .*"),
        ("import socket\ndef f(): socket.socket()", "f", "refused", "PermissionError: .*"),
        ("def f(): return {1}", "f", "failed", "TypeError: Object of type set is not JSON serializable"),
        ("def f(): return 'x' * 10**6", "f", "failed", "the value takes 1000031 bytes as JSON; .*"),
        ("def f():\n    while True: pass", "f", "timed out", "no end after 1 s"),
        ("def f(): return 'x' * 10**9", "f", "killed for memory", "MemoryError"),
        ("import os\ndef f(): os._exit(0)", "f", "crashed", "ended without a result"),
        ("import os\ndef f(): os.abort()", "f", "crashed", "died by SIGABRT"),
    ],
)
def test_kinds(sandbox: Sandbox, source: str, function: str, kind: str, error: str) -> None:
    done = sandbox.call(source, function, [])
    assert re.fullmatch(kind, done.kind), done
    assert re.fullmatch(error, done.error), done
    assert done.value is None


@pytest.mark.parametrize(
    ("program", "kind"),
    [
        ("print('hello')", "passed"),
        ("import sys\nsys.exit()", "passed"),
        ("import sys\nsys.exit(0)", "passed"),
        ("import sys\nsys.exit(2)", "failed"),
        ("import sys\nsys.exit('no')", "failed"),
        ("assert False", "failed"),
        ("if __name__ != '__main__': raise ValueError", "passed"),
        ("x: undefined = 1", "failed"),  # the annotations of the harness's own file do not leak into the job
        (
            "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(1, 1)\nunittest.main()",
            "passed",
        ),
        (
            "import unittest\nclass T(unittest.TestCase):\n    def test(self): self.assertEqual(1, 2)\nunittest.main()",
            "failed",
        ),
        ("import pickle\nclass A: pass\nassert isinstance(pickle.loads(pickle.dumps(A())), A)", "passed"),
        ("import asyncio\nassert asyncio.run(asyncio.sleep(0, 5)) == 5", "passed"),
        ("import ssl, sqlite3, decimal, hashlib, zlib, lzma, uuid, ctypes\nhashlib.sha256(b'x')", "passed"),
    ],
)
def test_programs(sandbox: Sandbox, program: str, kind: str) -> None:
    done = sandbox.run(program)
    assert done.kind == kind, done


def test_output_is_cut_at_the_limit() -> None:
    if not WORKING:
        pytest.skip(f"no sandbox on this machine: {AVAILABLE}")
    with Sandbox(limits=Limits(output_bytes=100)) as small:
        done = small.run("print('x' * 10**6)")
    assert (done.kind, done.output) == ("passed", "x" * 100)


def test_what_was_printed_before_the_end_is_kept(sandbox: Sandbox) -> None:
    done = sandbox.run("print('one \\ud800')\nwhile True: pass")
    assert (done.kind, done.output) == ("timed out", "one \\ud800\n")
    done = sandbox.run("import os\nprint('two')\nos.abort()")
    assert (done.kind, done.output) == ("crashed", "two\n")


def test_the_same_words_hash_alike_in_every_box(sandbox: Sandbox) -> None:
    values = set()
    for _ in range(2):
        with Sandbox(mechanism=sandbox.mechanism, limits=QUICK) as other:
            values.add(other.call("def f(): return [hash('word'), list({'a', 'b', 'c'})]", "f", []).value[0])
    assert len(values) == 1


def test_random_numbers_differ_from_job_to_job(sandbox: Sandbox) -> None:
    source = "import random\ndef f(): return random.random()"
    assert sandbox.call(source, "f", []).value != sandbox.call(source, "f", []).value


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can look into the memory of a box")
def test_what_a_job_leaves_in_memory_is_hidden_from_forks(sandbox: Sandbox) -> None:
    """A fork gets all memory of its parent but the mappings marked "dc"; freed blocks would be in the others."""
    word = "quince" * 400
    show = f"def show(x):\n    print(x)\n    return [x, {word[::-1]!r}]\n"
    assert sandbox.call(show, "show", [word]).output == word + "\n"
    box = sandbox._free.queue[-1]
    assert box is not None
    hidden, seen = 0, []
    with Path(f"/proc/{box.pid}/mem").open("rb", buffering=0) as memory:
        for head, flags in re.findall(r"^([0-9a-f]+-[0-9a-f]+ .*?)$.*?^VmFlags: (.*?)$", smaps(box.pid), re.M | re.S):
            first, last = (int(part, 16) for part in head.split()[0].split("-"))
            if "[v" in head or not head.split()[1].startswith("r"):
                continue
            memory.seek(first)
            found = (text := memory.read(last - first)).count(b"quincequince") + text.count(b"ecniuqecniuq")
            hidden += found if "dc" in flags.split() else 0
            seen += [head] if found and "dc" not in flags.split() else []
    assert hidden
    assert not seen


def smaps(pid: int) -> str:
    return Path(f"/proc/{pid}/smaps").read_text()


def test_arguments_that_are_no_json(sandbox: Sandbox) -> None:
    for wrong in ({1, 2}, float("nan"), b"x"):
        with pytest.raises(VerifierError, match="must be JSON values") as raised:
            sandbox.call(TWICE, "twice", [wrong])
        assert raised.value.code == EXIT_USAGE
    assert sandbox.call(TWICE, "twice", [4]).value == 8


def test_a_large_argument(sandbox: Sandbox) -> None:
    done = sandbox.call("def f(text): return len(text)", "f", ["é" * 3_000_000])
    assert (done.kind, done.value) == ("passed", 3_000_000)


def test_map_calls_keeps_the_order_and_is_lazy(sandbox: Sandbox) -> None:
    taken = []

    def jobs() -> Iterator[tuple[str, str, list[int]]]:
        for number in range(100):
            taken.append(number)
            yield TWICE, "twice", [number]

    with Sandbox(workers=2, limits=QUICK, mechanism=sandbox.mechanism) as pool:
        found = pool.map_calls(jobs())
        first = [next(found).value for _ in range(20)]
        assert len(taken) < 40
        assert first + [done.value for done in found] == [2 * number for number in range(100)]


def test_a_dead_box_is_told_and_replaced(sandbox: Sandbox) -> None:
    with Sandbox(limits=QUICK, mechanism=sandbox.mechanism) as own:
        box = own._free.queue[-1]
        assert box is not None
        os.kill(box.pid, signal.SIGKILL)
        done = own.call(TWICE, "twice", [1])
        assert done.kind == "crashed"
        assert "started anew" in done.error
        assert own.call(TWICE, "twice", [1]).value == 2


def test_a_box_killed_during_a_job_takes_the_job_with_it(sandbox: Sandbox) -> None:
    with Sandbox(limits=msgspec.structs.replace(QUICK, wall_s=30.0), mechanism=sandbox.mechanism) as own:
        box = own._free.queue[-1]
        assert box is not None
        below: list[int] = []

        def kill() -> None:
            wait_for_a_child(box.pid)
            look = [box.pid]
            while look:
                look += children(found := look.pop())
                below.append(found)
            os.kill(box.pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        done = own.run("import time\ntime.sleep(20)")
        killer.join()
        assert done.kind == "crashed"
        deadline = time.monotonic() + 5
        while any(_alive(pid) for pid in below) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert len(below) >= 2
        assert not [pid for pid in below if _alive(pid)]


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_nothing_is_left_after_closing(sandbox: Sandbox) -> None:
    own = Sandbox(workers=2, limits=QUICK, mechanism=sandbox.mechanism)
    assert [done.value for done in own.map_calls([(TWICE, "twice", [n]) for n in range(8)])] == list(range(0, 16, 2))
    pids = [box.pid for box in list(own._free.queue) if box is not None]
    below = [child for pid in pids for child in children(pid)]
    own.close()
    own.close()
    assert pids
    assert not [pid for pid in pids + below if _alive(pid)]
    with pytest.raises(VerifierError, match="closed"):
        own.call(TWICE, "twice", [1])


def test_nothing_is_left_when_the_parent_is_killed(sandbox: Sandbox, tmp_path: Path) -> None:
    program = (
        "from adhere.verify.sandbox import *\nimport sys\n"
        f"s = Sandbox(mechanism={sandbox.mechanism!r}, limits=Limits(wall_s=60, cpu_s=60))\n"
        "print(s._free.queue[-1].pid, flush=True)\ns.run('while True: pass')"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    box = int(parent.stdout.readline())
    wait_for_a_child(box)
    look, below = [box], [box]
    while look:
        more = children(look.pop())
        look += more
        below += more
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while any(_alive(pid) for pid in below) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(below) >= 2
    assert not [pid for pid in below if _alive(pid)]


@needs_namespaces
@pytest.mark.parametrize("mechanism", [name for name in WORKING if name != "landlock"])
class TestMoreAllowed:
    def test_files_live_as_long_as_their_job(self, mechanism: str) -> None:
        limits = msgspec.structs.replace(QUICK, file_bytes=2**20)
        source = "import os\ndef f():\n    old = os.listdir('/tmp')\n    open('/tmp/a', 'w').write('x')\n"
        source += "    return old + os.listdir('.')"
        with Sandbox(limits=limits, mechanism=mechanism) as own:
            assert own.call(source, "f", []).value == ["a"]
            assert own.call(source, "f", []).value == ["a"]
            fill = own.run("for n in range(100):\n    with open(f'/tmp/{n}', 'wb') as f: f.write(b'x' * 2**18)")
            assert (fill.kind, fill.error.split("]")[0]) == ("failed", "OSError: [Errno 28")
            large = own.run("with open('/tmp/a', 'wb') as f: f.write(b'x' * 2**21)")
            assert large.kind == "failed"
            elsewhere = own.run("open('/dev/planted', 'w')")
            assert elsewhere.kind in ("failed", "refused")

    def test_processes_are_counted_and_end_with_the_job(self, mechanism: str) -> None:
        limits = Limits(wall_s=2.0, processes=4, memory_bytes=4 * 96 * 2**20)
        count = "import os, time\ndef f():\n    n = 0\n    try:\n        while n < 50:\n"
        count += (
            "            if os.fork() == 0: time.sleep(60)\n            n += 1\n    except OSError: pass\n    return n"
        )
        with Sandbox(limits=limits, mechanism=mechanism) as own:
            assert own.call(count, "f", []).value == 3
            box = own._free.queue[-1]
            assert box is not None
            assert not children(box.pid)
            assert own.call(count, "f", []).value == 3
            threads = (
                "from concurrent.futures import ThreadPoolExecutor as P\ndef f(): return list(P(2).map(abs, [-1, 2]))"
            )
            assert own.call(threads, "f", []).value == [1, 2]
            daemon = "import os, time\nif os.fork() == 0:\n    os.setsid()\n"
            daemon += "    if os.fork() == 0: time.sleep(60)\n    os._exit(0)"
            assert own.run(daemon).kind == "passed"
            assert not children(box.pid)
            bomb = own.run("import os\nwhile True: os.fork()")
            assert bomb.kind in ("failed", "timed out", "crashed")
            assert own.run("import os\nos.kill(1, 9)\nos.kill(-1, 15)").kind in ("crashed", "passed", "failed")
            assert own.call(TWICE, "twice", [3]).value == 6

    def test_several_boxes_do_not_share_their_count(self, mechanism: str) -> None:
        limits = Limits(processes=2, memory_bytes=2 * 96 * 2**20)
        source = (
            "import os, time\ndef f():\n    if os.fork() == 0: time.sleep(0.3); os._exit(0)\n    os.wait(); return 1"
        )
        with Sandbox(workers=3, limits=limits, mechanism=mechanism) as pool:
            assert [done.value for done in pool.map_calls([(source, "f", [])] * 6)] == [1] * 6


@needs_one
@pytest.mark.parametrize(
    "wrong",
    [
        Limits(wall_s=0), Limits(cpu_s=-1), Limits(wall_s=float("nan")), Limits(memory_bytes=2**20),
        Limits(processes=0), Limits(processes=8), Limits(output_bytes=-1), Limits(file_bytes=-1),
    ],
)  # fmt: skip
def test_limits_that_make_no_sense(wrong: Limits) -> None:
    with pytest.raises(VerifierError, match="the limits of a sandbox need") as raised:
        Sandbox(limits=wrong)
    assert raised.value.code == EXIT_USAGE


def test_a_mechanism_that_nobody_knows() -> None:
    with pytest.raises(VerifierError, match="'bubblewarp'") as raised:
        Sandbox(mechanism="bubblewarp")
    assert "'bubblewrap'" in raised.value.hint


def test_no_workers() -> None:
    with pytest.raises(VerifierError, match="at least 1 worker"):
        Sandbox(workers=0)


def test_a_machine_without_any_sandbox_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seccomp, "machine", lambda: "")
    with pytest.raises(VerifierError, match="this machine gives none") as raised:
        Sandbox()
    assert raised.value.code == EXIT_ENVIRONMENT
    assert all(name in raised.value.message for name in ("bubblewrap: ", "namespaces: ", "landlock: "))
    assert all("no table of system calls" in state for state in mechanisms().values())


def test_a_program_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert mechanisms()["bubblewrap"] == "the program bwrap is not installed"
    with pytest.raises(VerifierError, match="bwrap is not installed"):
        Sandbox(mechanism="bubblewrap")


@needs_one
def test_a_box_that_leaks_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    import adhere.verify.sandbox as module

    monkeypatch.setattr(module, "_HOST_FILES", ["/dev/null"])
    assert {state for name, state in mechanisms().items() if name in WORKING} == {
        "does not contain: /dev/null can be read"
    }
    with pytest.raises(VerifierError, match="can be read"):
        Sandbox()


@needs_one
def test_a_job_interrupted_from_outside_does_not_answer_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    with Sandbox(limits=QUICK) as own:
        before = signal.signal(signal.SIGALRM, interrupt)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            with pytest.raises(KeyboardInterrupt):
                own.run("import time\ntime.sleep(0.6)\nprint('late')")
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        assert own.call(TWICE, "twice", [5]).value == 10


def test_importing_is_light() -> None:
    program = "import sys, adhere.verify.sandbox\nprint('ctypes' in sys.modules, 'torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "False False\n"


HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("arch", ["x86_64", "aarch64"])
def test_numbers_are_those_of_the_kernels_headers(arch: str) -> None:
    if not HEADERS[arch].exists():
        pytest.skip(f"{HEADERS[arch]} is not installed (linux-libc-dev)")
    defined = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", HEADERS[arch].read_text())
    known = {name: int(number) for name, number in defined}
    known.setdefault("newfstatat", known.get("fstatat", -1))
    assert {name: known.get(name) for name in seccomp.tables(arch)} == seccomp.tables(arch)


def interpret(program: bytes, arch: int, number: int, args: tuple[int, ...] = ()) -> int:
    """What a filter answers, by running its instructions."""
    import struct

    data = struct.pack("<iIQ6Q", number, arch, 0, *(args + (0,) * 6)[:6])
    steps, at, value = list(struct.iter_unpack("<HBBI", program)), 0, 0
    while True:
        code, yes, no, operand = steps[at]
        at += 1
        if code == 0x06:
            return int(operand)
        if code == 0x20:
            (value,) = struct.unpack_from("<I", data, operand)
        elif code == 0x54:
            value &= operand
        else:
            held = {0x15: value == operand, 0x25: value > operand, 0x35: value >= operand, 0x45: bool(value & operand)}
            at += yes if held[code] else no


ALLOW, EPERM, ENOSYS, KILL = 0x7FFF0000, 0x00050001, 0x00050026, 0x80000000
X86, ARM = 0xC000003E, 0xC00000B7


@pytest.mark.parametrize(("arch", "audit"), [("x86_64", X86), ("aarch64", ARM)])
def test_the_filter_lets_through_what_the_table_names_and_nothing_else(arch: str, audit: int) -> None:
    program = seccomp.for_process(seccomp.build_filter(arch), 77)
    always = set(seccomp.numbers(seccomp._ALWAYS, arch).values())
    judged = set(seccomp.numbers(seccomp._JUDGED, arch).values())
    for number in range(451):
        if number not in judged:
            assert interpret(program, audit, number) == (ALLOW if number in always else EPERM), number
    for number in (451, 500, 0x40000000, 0x40000001, 2**31 - 1, -1):
        assert interpret(program, audit, number) == ENOSYS
    for other in {X86, ARM, 0x40000003} - {audit}:
        assert interpret(program, other, 0) == KILL


def test_calls_judged_by_their_arguments() -> None:
    one = seccomp.for_process(seccomp.build_filter("x86_64"), 77)
    many = seccomp.for_process(seccomp.build_filter("x86_64", several=True), 77)
    number = seccomp.tables("x86_64")
    cases = [
        ("kill", (77, 9), ALLOW, ALLOW), ("kill", (1, 9), EPERM, ALLOW), ("kill", (2**64 - 1, 9), EPERM, ALLOW),
        ("tgkill", (77, 5, 6), ALLOW, ALLOW), ("tkill", (78, 6), EPERM, ALLOW), ("prlimit64", (0,), ALLOW, ALLOW),
        ("prlimit64", (5,), EPERM, EPERM), ("fcntl", (3, 4), ALLOW, ALLOW), ("fcntl", (3, 8), EPERM, EPERM),
        ("fcntl", (3, 1031), EPERM, EPERM), ("ioctl", (0, 0x5401), ALLOW, ALLOW), ("ioctl", (0, 0x5412), EPERM, EPERM),
        ("socketpair", (1, 1), ALLOW, ALLOW), ("socketpair", (1, 0x80801), ALLOW, ALLOW),
        ("socketpair", (1, 2), EPERM, EPERM),
        ("socketpair", (2, 1), EPERM, EPERM), ("sendto", (3, 0, 0, 0, 0), ALLOW, ALLOW),
        ("sendto", (3, 0, 0, 0, 1), EPERM, EPERM), ("sendto", (3, 0, 0, 0, 2**32), EPERM, EPERM),
        ("clone", (0x11,), EPERM, ALLOW), ("clone", (0x10000011,), EPERM, EPERM), ("clone3", (), ENOSYS, ENOSYS),
        ("fork", (), EPERM, ALLOW), ("execve", (), EPERM, ALLOW), ("unlink", (), EPERM, EPERM),
    ]  # fmt: skip
    for name, args, alone, several in cases:
        assert interpret(one, X86, number[name], args) == alone, (name, args)
        assert interpret(many, X86, number[name], args) == several, (name, args)
    assert interpret(seccomp.build_filter("x86_64", files=True), X86, number["unlink"]) == ALLOW
