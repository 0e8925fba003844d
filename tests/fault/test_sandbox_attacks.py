"""Hostile programs in the sandbox: each is contained, the host untouched, the next job served as if nothing was.

Every attack runs on every mechanism that this machine offers, as the user of the tests and, where that is root, as an
ordinary user too (this file is then run as a program under another user id, see `as_ordinary_user`).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from adhere.verify.sandbox import Execution, Limits, Sandbox, mechanisms

LIMITS = Limits(wall_s=1.0, cpu_s=2.0, memory_bytes=128 * 2**20, output_bytes=4096)
KINDS = {"p": "passed", "f": "failed", "t": "timed out", "m": "killed for memory", "r": "refused", "c": "crashed"}
NOBODY = 65534
_AT_ONCE = 6

# Name, the kinds that count as contained (first letters), and the body of a function `attack()`. A body that returns
# "escaped" has got out; whatever it returns or prints must not hold the host's secret. <words> are filled in by `Host`.
PROCESSES = """
fork_bomb | r | import os
    while True: os.fork()
fork_swallowing_errors | p | import os
    for _ in range(1000):
        try: os.fork()
        except OSError: pass
    return "alone"
thread_bomb | r | import threading
    while True: threading.Thread(target=lambda: __import__("time").sleep(9)).start()
subprocess_shell | rf | import subprocess
    return subprocess.run("id", shell=True, capture_output=True).stdout.decode()
subprocess_python | rf | import subprocess, sys
    return subprocess.run([sys.executable, "-c", "print(1)"], capture_output=True).stdout.decode()
os_system | prf | import os
    return "escaped" if os.system("true") == 0 else "no shell"
posix_spawn | rf | import os
    os.posix_spawn("/bin/sh", ["sh", "-c", "true"], {}); return "escaped"
exec_other_program | rf | import os
    os.execv("/usr/bin/env", ["env"])
exec_python_again | rf | import os, sys
    os.execv(os.path.realpath(sys.executable), ["python", "-c", "print(1)"])
exec_from_memory | prf | import os
    fd = os.memfd_create("x"); os.write(fd, b"#!/bin/sh\\ntrue"); os.execve(fd, ["x"], {})
multiprocessing_pool | rf | import multiprocessing
    return multiprocessing.Pool(4).map(abs, [1, 2])
executor_threads | r | from concurrent.futures import ThreadPoolExecutor
    return list(ThreadPoolExecutor(8).map(abs, range(8)))
double_fork_daemon | r | import os, time
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0: time.sleep(60)
raw_vfork_and_clone | p | import ctypes
    libc = ctypes.CDLL(None)
    found = [libc.syscall(n, 0x4111, 0, 0, 0, 0) for n in (56, 57, 58, 435)]
    return "escaped" if max(found) >= 0 else "none"
"""
MEMORY = """
one_big_string | m | return len("x" * 10**10)
growing_list | mt | kept = []
    while True: kept.append(bytearray(10**6))
growing_integers | mt | kept = [1]
    while True: kept.append(kept[-1] << 10**6)
out_of_memory_swallowed | tm | kept = []
    while True:
        try: kept.append(bytearray(10**6))
        except MemoryError: pass
anonymous_mapping | mfr | import mmap
    kept = [mmap.mmap(-1, 2**26) for _ in range(100)]; return "escaped"
shared_mapping | mfr | import mmap
    kept = [mmap.mmap(-1, 2**26, flags=mmap.MAP_SHARED) for _ in range(100)]; return "escaped"
memory_file | r | import os
    fd = os.memfd_create("x"); os.ftruncate(fd, 2**40); return "escaped"
shared_memory_segment | rf | from multiprocessing import shared_memory
    return shared_memory.SharedMemory(create=True, size=2**20).name and "escaped"
tmpfs_of_devices | rf | import os
    for place in ("/dev/shm", "/run", "/dev", "/"):
        try:
            with open(place + "/fill", "wb") as file: file.write(b"x" * 10**6)
            return "escaped"
        except OSError: pass
    raise OSError("nowhere")
pipes_full_of_bytes | prf | import os, fcntl
    for _ in range(1000):
        r, w = os.pipe(); os.set_blocking(w, False)
        try: os.write(w, b"x" * 10**6)
        except BlockingIOError: pass
pipe_made_huge | r | import os, fcntl
    r, w = os.pipe(); fcntl.fcntl(w, 1031, 2**20); return "escaped"
locked_memory | p | import ctypes
    return "escaped" if ctypes.CDLL(None).mlockall(3) == 0 else "not locked"
nested_value | pf | value = []
    for _ in range(100000): value = [value]
    return value
huge_value | f | return "x" * 10**6
memory_by_libc | p | import ctypes
    libc = ctypes.CDLL(None); libc.malloc.restype = ctypes.c_void_p
    for _ in range(1000):
        block = libc.malloc(ctypes.c_size_t(2**26))
        if not block: return "no more"
        ctypes.memset(block, 1, 2**26)
    return "escaped"
compiled_bomb | mtfc | eval(compile("(1,)*50000000 and " * 40 + "1", "x", "eval")); return [0] * 10**9
"""
DISK = """
fill_tmp | rf | with open("/tmp/fill", "wb") as file:
        while True: file.write(b"x" * 10**6)
fill_working_folder | rf | with open("fill", "wb") as file:
        while True: file.write(b"x" * 10**6)
write_beside_secret | rf | open("<folder>/planted", "w").write("x"); return "escaped"
overwrite_secret | rf | open("<secret_file>", "w").write("x"); return "escaped"
append_by_flags | rf | import os
    os.open("<secret_file>", os.O_WRONLY | os.O_APPEND | os.O_CREAT); return "escaped"
truncate_secret | rf | import os
    os.truncate("<secret_file>", 0); return "escaped"
unlink_secret | rf | import os
    os.unlink("<secret_file>"); return "escaped"
rename_folder | rf | import os
    os.rename("<folder>", "<folder>2"); return "escaped"
chmod_secret | rf | import os
    os.chmod("<secret_file>", 0o777); return "escaped"
touch_secret | rf | import os
    os.utime("<secret_file>", (1, 1)); return "escaped"
remove_tree | pft | import shutil
    shutil.rmtree("<folder>", ignore_errors=True); shutil.rmtree("/", ignore_errors=True)
poison_standard_library | rf | import json
    open(json.__file__, "a").write("raise SystemExit"); return "escaped"
poison_byte_code | rf | import os, json
    os.makedirs(os.path.dirname(json.__file__) + "/__pycache__/planted"); return "escaped"
temporary_file | rf | import tempfile
    tempfile.NamedTemporaryFile(); return "escaped"
unnamed_temporary | rf | import os
    os.open("/tmp", os.O_TMPFILE | os.O_RDWR); return "escaped"
many_folders | rf | import os
    for n in range(10**6): os.mkdir(f"d{n}")
named_pipe | rf | import os
    os.mkfifo("/tmp/fifo"); return "escaped"
"""
NETWORK = """
tcp_to_host | rf | import socket
    socket.create_connection(("127.0.0.1", <port>), 1); return "escaped"
tcp6_to_host | rf | import socket
    socket.create_connection(("::1", <port>), 1); return "escaped"
udp_to_host | rf | import socket
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", <port>)); return "escaped"
tcp_listen | rf | import socket
    s = socket.socket(); s.bind(("0.0.0.0", 0)); s.listen(); return "escaped"
name_service | rf | import socket
    socket.getaddrinfo("localhost.example", 80); return "escaped"
web_page | rf | import urllib.request
    urllib.request.urlopen("http://127.0.0.1:<port>/", timeout=1); return "escaped"
raw_socket | rf | import socket
    socket.socket(socket.AF_INET, socket.SOCK_RAW, 1); return "escaped"
packet_socket | rf | import socket
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW); return "escaped"
netlink_socket | rf | import socket
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); return "escaped"
virtual_machine_socket | rf | import socket
    socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).connect((2, 1024)); return "escaped"
unix_socket_by_path | rf | import socket
    socket.socket(socket.AF_UNIX).connect("<unix_socket>"); return "escaped"
unix_socket_abstract | rf | import socket
    socket.socket(socket.AF_UNIX).connect("\\0<abstract>"); return "escaped"
pair_that_sends_elsewhere | rf | import socket
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM); a.sendto(b"x", "\\0<abstract>"); return "escaped"
stream_pair_that_sends_elsewhere | rf | import socket
    a, b = socket.socketpair(); a.sendto(b"x", "<unix_socket>"); a.connect("<unix_socket>"); return "escaped"
asyncio_server | prf | import asyncio
    async def serve(): return len((await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)).sockets)
    return "escaped" if asyncio.run(serve()) else "none"
"""
SECRETS = """
passwords | rf | return open("/etc/shadow").read()
users | rf | return open("/etc/passwd").read() and "escaped"
secret_file | rf | return open("<secret_file>").read()
secret_by_relative_path | rf | return open("../" * 20 + "<secret_file>".lstrip("/")).read()
folder_listing | rf | import os
    return os.listdir("<folder>")
project_listing | rf | import os
    return os.listdir("<project>") and "escaped"
project_source | rf | return open("<project>/pyproject.toml").read() and "escaped"
home_listing | prf | import os
    names = os.listdir("<home>"); return "escaped" if len(names) > 1 else "no more than the way to Python"
own_environment | p | import os
    return dict(os.environ)
environment_in_memory | pc | import ctypes
    block = ctypes.POINTER(ctypes.c_char_p).in_dll(ctypes.CDLL(None), "environ")
    found = []
    while block and block[len(found)]: found.append(block[len(found)].decode())
    return found
environment_of_everyone | p | import glob
    found = ""
    for name in glob.glob("/proc/*/environ") + ["/proc/1/environ", "/proc/self/environ", "/proc/<victim>/environ"]:
        try: found += open(name, errors="replace").read()
        except OSError: pass
    return found
command_lines | p | import glob
    found = []
    for name in [f"/proc/{n}/cmdline" for n in (1, 2, <parent>, <victim>)]:
        try: found.append(open(name).read())
        except OSError: pass
    return "escaped" if found else "none"
inherited_descriptors | p | import os
    found = b""
    for fd in range(4, 4096):
        try: found += os.pread(fd, 1000, 0)
        except OSError: pass
        try: found += os.read(fd, 1000)
        except OSError: pass
    return found.decode(errors="replace")
descriptor_by_proc | pt | import os
    found = ""
    for fd in range(0, 100):
        for who in ("self", "<parent>"):
            try: found += open(f"/proc/{who}/fd/{fd}").read(100)
            except OSError: pass
    return found
memory_of_the_parent | p | found = []
    for who in ("1", "<parent>", "<victim>"):
        try: open(f"/proc/{who}/mem", "rb"); found.append(who)
        except OSError: pass
    return "escaped" if found else "none"
devices | p | found = []
    for name in ("mem", "kmsg", "vda", "sda", "kvm", "tty", "ptmx", "fuse", "net/tun"):
        try: open("/dev/" + name, "rb"); found.append(name)
        except OSError: pass
    return "escaped" if found else "none"
walk_everything | pt | import os
    found = []
    for folder, _, names in os.walk("/", followlinks=False):
        found += [folder + "/" + n for n in names if n == "secret.txt" or n.startswith("shadow")]
        if len(found) > 10: break
    return "escaped" if found else "none"
"""
SIGNALS = """
kill_everyone | rp | import os
    os.kill(-1, 9); return "alive"
kill_parent | rp | import os
    os.kill(os.getppid(), 9); return "alive"
kill_first_process | rp | import os
    os.kill(1, 9); return "alive"
kill_host_parent | rf | import os
    os.kill(<parent>, 9); return "escaped"
kill_victim | rf | import os
    os.kill(<victim>, 15); return "escaped"
kill_own_group | rf | import os
    os.killpg(0, 9); return "escaped"
kill_victims_group | rf | import os
    os.killpg(<victim>, 9); return "escaped"
stop_parent | rp | import os, signal
    os.kill(os.getppid(), signal.SIGSTOP); return "alive"
signal_by_descriptor | rf | import os, signal
    signal.pidfd_send_signal(os.pidfd_open(<victim>), 9); return "escaped"
signal_by_input | rf | import fcntl, os
    r, w = os.pipe(); fcntl.fcntl(r, fcntl.F_SETOWN, <victim>); return "escaped"
signal_by_thread_call | p | import ctypes
    found = [ctypes.CDLL(None).syscall(n, <victim>, <victim>, 9) for n in (200, 234, 129, 297)]
    return "escaped" if max(found) >= 0 else "none"
slow_down_others | rf | import os
    os.setpriority(os.PRIO_PROCESS, <victim>, 19); return "escaped"
limit_others | rf | import resource
    resource.prlimit(<victim>, resource.RLIMIT_CPU, (1, 1)); return "escaped"
pin_others | rf | import os
    os.sched_setaffinity(<victim>, {0}); return "escaped"
kill_self | cm | import os
    os.kill(os.getpid(), 9)
stop_self | t | import os
    os.kill(os.getpid(), 19)
"""
ESCAPES = """
symlink_out | rf | import os
    os.symlink("<secret_file>", "link"); return open("link").read()
hard_link_out | rf | import os
    os.link("<secret_file>", "/tmp/link"); return open("/tmp/link").read()
root_of_a_process | rf | return open("/proc/1/root<secret_file>").read()
working_folder_of_a_process | rf | import os
    return os.listdir("/proc/<parent>/cwd")
change_root | rf | import os
    os.chroot("/"); return "escaped"
change_root_and_climb | rf | import os
    top = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    os.mkdir("jail"); os.chroot("jail"); os.fchdir(top)
    for _ in range(50): os.chdir("..")
    os.chroot("."); return open("<secret_file>").read()
climb_from_libraries | rf | import os
    os.chdir(os.path.dirname(os.__file__))
    for _ in range(50): os.chdir("..")
    return open("." + "<secret_file>").read()
open_by_handle | p | import ctypes
    handle = ctypes.create_string_buffer(b"\\x08\\0\\0\\0\\x01\\0\\0\\0\\x02\\0\\0\\0\\0\\0\\0\\0" + bytes(128))
    return "escaped" if ctypes.CDLL(None).syscall(304, 0, handle, 0) >= 0 else "none"
become_root | rf | import os
    os.setuid(0); return "escaped"
become_root_group | rf | import os
    os.setgid(0); os.setgroups([0]); return "escaped"
nested_user_namespace | p | import ctypes
    return "escaped" if ctypes.CDLL(None).unshare(0x10000000) == 0 else "none"
mount_host_tree | p | import ctypes
    return "escaped" if ctypes.CDLL(None).mount(b"none", b"/tmp", b"proc", 0, None) == 0 else "none"
unmount_root | p | import ctypes
    return "escaped" if ctypes.CDLL(None).umount2(b"/", 2) == 0 else "none"
writable_again | p | import ctypes
    return "escaped" if ctypes.CDLL(None).mount(None, b"/", None, 0x20 | 0x1000, None) == 0 else "none"
trace_parent | p | import ctypes, os
    return "escaped" if ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0) == 0 else "none"
read_memory_of_parent | p | import ctypes, os
    buf = ctypes.create_string_buffer(64)
    return "escaped" if ctypes.CDLL(None).syscall(310, os.getppid(), buf, 1, buf, 1, 0) >= 0 else "none"
old_system_call_gate | rcp | import ctypes, mmap, platform
    if platform.machine() != "x86_64": return "none"
    page = mmap.mmap(-1, 4096, prot=7); page.write(bytes.fromhex("b802000000cd80c3"))
    run = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    return "escaped" if run() >= 0 else "none"
other_number_space | p | import ctypes
    return "escaped" if max(ctypes.CDLL(None).syscall(0x40000000 + n, 0, 0) for n in (57, 101, 41)) >= 0 else "none"
"""
OUTPUT = """
endless_output | t | while True: print("x" * 1000)
endless_error_output | t | import os
    while True: os.write(2, b"y" * 65536)
one_huge_line | p | print("z" * 2 * 10**7); return "printed"
terminal_codes | p | print("\\x1b]0;owned\\x07\\x1b[2J"); return "printed"
bytes_that_are_no_text | p | import os
    os.write(1, bytes(range(256)) * 10); return "printed"
lone_surrogate | pf | return "\\ud800"
not_a_number | f | return float("nan")
not_json | f | return {1, 2}
"""
LOOPS = """
endless_loop | t | while True: pass
endless_power | t | return 7 ** (7 ** 12)
endless_match | t | import re
    return bool(re.match(r"(a+)+$", "a" * 60 + "b"))
endless_sum | t | import itertools
    return sum(itertools.repeat(0))
endless_sleep | t | import time
    time.sleep(10**8)
endless_pause | t | import signal
    signal.pause()
deaf_to_every_signal | t | import signal
    for n in range(1, 65):
        try: signal.signal(n, signal.SIG_IGN)
        except (OSError, ValueError): pass
    while True: pass
blocked_signals | t | import signal
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))
    while True: pass
errors_swallowed | t | while True:
        try:
            while True: pass
        except BaseException: pass
deadlock | t | import threading
    lock = threading.Lock(); lock.acquire(); lock.acquire()
waiting_for_input | f | return input()
waiting_for_a_pipe | t | import os
    r, w = os.pipe(); os.read(r, 1)
"""
HARNESS = r"""
exit_early | c | import os
    os._exit(0)
exit_with_status | c | import os
    os._exit(3)
system_exit | f | raise SystemExit(0)
forged_claim | c | import os
    os.write(3, b'{"kind": "passed", "value": "forged"}'); os._exit(0)
forged_claims_everywhere | c | import os
    for fd in range(0, 256):
        try: os.write(fd, b'{"kind": "passed", "value": "forged"}')
        except OSError: pass
    os._exit(0)
forged_report | c | import os
    for fd in range(0, 256):
        try: os.write(fd, bytes([200, 0, 0, 0]) + bytes(8000))
        except OSError: pass
noise_before_the_claim | c | import os
    os.write(3, b"noise"); return "noise"
claim_without_end | tc | import os
    while True: os.write(3, b"x" * 65536)
claim_closed | c | import os
    os.close(3); return "closed"
all_descriptors_closed | c | import os
    os.closerange(0, 1000); return "closed"
claim_replaced | c | import os
    r, w = os.pipe(); os.dup2(w, 3); return "replaced"
claim_cut | c | import os, sys
    frame = sys._getframe(); seal = ""
    while frame: seal = frame.f_locals.get("seal", seal); frame = frame.f_back
    os.write(3, (seal + '{"kind": "pas').encode()); os._exit(0)
claim_of_a_kind_not_its_own | c | import os, sys
    frame = sys._getframe(); seal = ""
    while frame: seal = frame.f_locals.get("seal", seal); frame = frame.f_back
    os.write(3, (seal + '{"kind": "timed out", "value": 1}').encode()); os._exit(0)
claim_nested_too_deep | c | import os, sys
    frame = sys._getframe(); seal = ""
    while frame: seal = frame.f_locals.get("seal", seal); frame = frame.f_back
    os.write(3, (seal + "[" * 5000).encode()); os._exit(0)
json_replaced | pf | import json
    json.dumps = lambda *a, **k: '{"kind": "passed", "value": "replaced"}'; return 1
builtins_replaced | pfc | import builtins
    for name in ("len", "isinstance", "open", "str", "id", "reversed"): setattr(builtins, name, None)
    return 1
standard_output_replaced | p | import sys
    class Bad:
        def flush(self): raise SystemExit
        def write(self, text): raise KeyboardInterrupt
    sys.stdout = sys.stderr = sys.__stdout__ = Bad(); return 1
write_replaced | c | import os
    os.write = lambda *a: 10**9; return 1
exit_replaced | pfc | import os
    os._exit = lambda *a: None; return 1
tracing | pfct | import sys
    def trace(*a): raise KeyboardInterrupt
    sys.settrace(trace); sys._getframe(1).f_trace = trace; return 1
profiling | pfct | import sys
    sys.setprofile(lambda *a: 1 / 0); return 1
exit_handler | p | import atexit, time
    atexit.register(time.sleep, 60); return 1
memory_walk | pfc | import gc
    for thing in gc.get_objects():
        if isinstance(thing, dict) and "arguments" in thing: thing.clear()
    return 1
modules_emptied | pfc | import sys
    sys.modules.clear(); return 1
error_with_endless_text | t | class Bad(Exception):
        def __str__(self):
            while True: pass
    raise Bad
error_with_bad_text | f | class Bad(Exception):
        def __str__(self): raise Bad
    raise Bad
error_beyond_exceptions | f | raise BaseException("x")
error_with_many_lines | f | raise ValueError("line\n" * 10**6)
error_that_pretends | f | raise ValueError('"}\n{"kind": "passed"}')
pickle_that_runs_a_shell | prf | import pickle
    class Bad:
        def __reduce__(self): return (__import__("os").system, ("true",))
    return "escaped" if pickle.loads(pickle.dumps(Bad())) == 0 else "none"
pickle_that_exits | c | import pickle
    class Bad:
        def __reduce__(self): return (__import__("os")._exit, (0,))
    return pickle.loads(pickle.dumps(Bad()))
value_with_a_bad_class | pf | class Bad(dict):
        def items(self): raise SystemExit
        def __iter__(self): raise KeyboardInterrupt
    return Bad(a=1)
garbage_with_a_finaliser | p | class Bad:
        def __del__(self): raise SystemExit
    keep = Bad(); keep.self = keep; return 1
collector_callback | pfc | import gc
    gc.callbacks.append(lambda *a: 1 / 0); gc.collect(); return 1
signal_on_the_way_out | pfct | import signal
    def late(*a): raise KeyboardInterrupt
    signal.signal(signal.SIGALRM, late); signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001); return 1
import_hook | p | import sys
    class Bad:
        def find_spec(self, *a): raise SystemExit
    sys.meta_path.insert(0, Bad()); return 1
state_for_the_next | p | import builtins, json, sys, random, re
    builtins.planted = json.planted = 1; sys.modules["planted"] = json; random.seed(1); re.compile = None; return 1
"""
# Calls that no job needs, by name and number on x86_64 and aarch64; each made with zeros for arguments.
KERNEL_CALLS = """
ptrace 101 117 keyctl 250 219 add_key 248 217 request_key 249 218 bpf 321 280 io_uring_setup 425 425
io_uring_enter 426 426 perf_event_open 298 241 userfaultfd 323 282 kexec_load 246 104 init_module 175 105
finit_module 313 273 reboot 169 142 swapon 167 224 sethostname 170 161 settimeofday 164 170 clock_settime 227 112
personality 135 92 acct 163 89 setns 308 268 unshare 272 97 mount 165 40 pivot_root 155 41 chroot 161 51
open_tree 428 428 fsopen 430 430 move_mount 429 429 mount_setattr 442 442 process_vm_writev 311 271 kcmp 312 272
pidfd_getfd 438 438 memfd_create 319 279 memfd_secret 447 447 shmget 29 194 msgget 68 186 semget 64 190 mq_open
240 180 prctl 157 167 seccomp 317 277 capset 126 91 setuid 105 146 fanotify_init 300 262 inotify_init1 294 26
quotactl 179 60 lookup_dcookie 212 18 name_to_handle_at 303 264 vmsplice 278 75 socket 41 198 accept 43 202
sendmsg 46 211 execveat 322 281 landlock_create_ruleset 444 444 process_madvise 440 440 a_call_yet_unknown 900 900
"""
CRASHES = """
deep_recursion | fm | def down(n): return down(n + 1)
    return down(0)
deep_recursion_unlimited | cfmt | import sys
    sys.setrecursionlimit(10**9)
    class Down:
        def __repr__(self): return repr(self)
    def down(n): return [down(n + 1), repr(Down())]
    return down(0)
null_pointer | c | import ctypes
    return ctypes.string_at(0)
abort | c | import os
    os.abort()
wild_write | c | import ctypes
    ctypes.memset(0x10000, 1, 4096)
freed_twice | cp | import ctypes
    libc = ctypes.CDLL(None); libc.malloc.restype = ctypes.c_void_p; libc.free.argtypes = [ctypes.c_void_p]
    block = libc.malloc(10**6); libc.free(block); libc.free(block)
interpreter_broken | cfpt | import ctypes
    ctypes.pythonapi.Py_DecRef.argtypes = [ctypes.py_object]
    for _ in range(100000): ctypes.pythonapi.Py_DecRef(None)
    import gc; gc.collect()
code_object_by_hand | cfp | def f(): pass
    f.__code__ = f.__code__.replace(co_code=bytes([100, 255] * 8), co_stacksize=0); return f()
raise_limits | f | import resource
    for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU, resource.RLIMIT_NPROC, resource.RLIMIT_FSIZE):
        try: resource.setrlimit(kind, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        except ValueError: continue
        if kind != resource.RLIMIT_NPROC: return "escaped"
    raise ValueError("none raised")
source_nested_too_deep | rfmc | eval("(" * 5000 + ")" * 5000)
syntax_tree_too_deep | rfmc | eval("-" * 200000 + "1")
"""
GROUPS = (PROCESSES, MEMORY, DISK, NETWORK, SECRETS, SIGNALS, ESCAPES, OUTPUT, LOOPS, HARNESS, CRASHES)

Attack = tuple[str, str]  # the kinds that count as contained, the source


def written(table: str) -> Iterator[tuple[str, Attack]]:
    """The attacks of a table; a line that starts with white space goes on with the one before."""
    entries: list[str] = []
    for line in table.strip("\n").split("\n"):
        if line.startswith(" "):
            entries[-1] += "\n" + line
        else:
            entries.append(line)
    for entry in entries:
        name, kinds, body = entry.split(" | ", 2)
        yield name, (kinds, f"def attack():\n    {body}\n")


def kernel_calls() -> dict[str, Attack]:
    words, column = KERNEL_CALLS.split(), 1 if os.uname().machine == "x86_64" else 2
    return {f"call_{words[at]}": kernel_call(int(words[at + column])) for at in range(0, len(words), 3)}


def kernel_call(number: int) -> Attack:
    lines = [
        "import ctypes", "libc = ctypes.CDLL(None, use_errno=True)",
        f"done = libc.syscall(ctypes.c_long({number}), 0, 0, 0, 0, 0, 0)",
        'return "escaped" if done >= 0 or ctypes.get_errno() not in (1, 38) else "refused"',
    ]  # fmt: skip
    return "p", "def attack():\n" + "".join(f"    {line}\n" for line in lines)


def every_attack() -> dict[str, Attack]:
    """Name to kinds and source, the <words> still to be filled in."""
    found = {name: attack for table in GROUPS for name, attack in written(table)}
    return found | kernel_calls()


class Host:
    """What an attack could harm: a secret file and environment, sockets that nobody may reach, a process of our own."""

    def __init__(self, folder: Path) -> None:
        self.secret = secrets.token_hex(16)
        self.folder = folder / "host"
        self.folder.mkdir()
        self.file = self.folder / "secret.txt"
        self.file.write_text(self.secret)
        self.before = self.file.stat()
        os.environ["SANDBOX_TEST_SECRET"] = self.secret
        self.descriptor = os.open(self.file, os.O_RDONLY)
        os.set_inheritable(self.descriptor, True)
        self.victim = subprocess.Popen(["sleep", "600"], start_new_session=True)
        self.tcp, self.udp = socket.socket(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.tcp.bind(("127.0.0.1", 0))
        self.udp.bind(("127.0.0.1", self.tcp.getsockname()[1]))
        self.path, self.abstract = str(self.folder / "socket"), f"sandbox-{secrets.token_hex(4)}"
        self.by_path, self.by_name = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
        self.by_path.bind(self.path)
        self.by_name.bind("\0" + self.abstract)
        for listener in (self.tcp, self.by_path, self.by_name):
            listener.listen()
        self.names = sorted(path.name for path in self.folder.iterdir())

    def fill(self, source: str) -> str:
        """The source with the words that name this host."""
        words = {
            "secret_file": self.file, "folder": self.folder, "port": self.tcp.getsockname()[1],
            "victim": self.victim.pid, "parent": os.getpid(), "project": Path(__file__).parents[2],
            "home": Path.home(), "unix_socket": self.path,
            "abstract": self.abstract,
        }  # fmt: skip
        for word, value in words.items():
            source = source.replace(f"<{word}>", str(value))
        return source

    def harmed(self) -> list[str]:
        """What is no longer as it was."""
        found = []
        now = self.file.stat() if self.file.exists() else None
        if now is None or self.file.read_text() != self.secret:
            found.append("the secret file was changed")
        elif (now.st_mode, now.st_mtime, now.st_nlink) != (
            self.before.st_mode,
            self.before.st_mtime,
            self.before.st_nlink,
        ):
            found.append("the secret file's attributes were changed")
        if sorted(path.name for path in self.folder.iterdir()) != self.names:
            found.append("the folder was changed")
        if self.victim.poll() is not None:
            found.append("a process of the host was killed")
        elif os.getpriority(os.PRIO_PROCESS, self.victim.pid) != os.getpriority(os.PRIO_PROCESS, 0):
            found.append("a process of the host was slowed down")
        for name in ("tcp", "by_path", "by_name", "udp"):
            found += [f"{name} was reached"] if self._reached(getattr(self, name)) else []
        return found

    def _reached(self, listener: socket.socket) -> bool:
        listener.settimeout(0)
        try:
            listener.recvfrom(100) if listener is self.udp else listener.accept()
        except OSError:
            return False
        return True

    def close(self) -> None:
        self.victim.kill()
        self.victim.wait()
        os.environ.pop("SANDBOX_TEST_SECRET", None)
        os.close(self.descriptor)
        for held in (self.tcp, self.udp, self.by_path, self.by_name):
            held.close()


NEXT = """
import builtins, json, random, re, sys
def after(x):
    import os
    planted = hasattr(builtins, "planted") or hasattr(json, "planted") or "planted" in sys.modules
    try: files = [n for n in os.listdir(".") if n.startswith(("fill", "link", "d0", "jail", "planted"))]
    except OSError: files = []
    print("after", x)
    return [x + 1, planted, files, bool(re.compile("a").match("a")), len(json.dumps([x]))]
"""


def descendants(root: int) -> list[str]:
    """The command lines of all processes below `root`."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(entry.name))
    found, look = [], [root]
    while look:
        below = parents.get(look.pop(), [])
        look += below
        found += below
    return [str(pid) for pid in found]


def assault(mechanism: str, folder: Path) -> dict[str, list[str]]:
    """Each attack and then an honest job on the same sandbox; by attack what went wrong, empty when all is well."""
    host = Host(folder)
    names = list(every_attack())
    try:
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            shares = pool.map(lambda part: _share(mechanism, host, names[part::_AT_ONCE]), range(_AT_ONCE))
            return {name: wrong for share in shares for name, wrong in share.items()}
    finally:
        host.close()


def _share(mechanism: str, host: Host, names: list[str]) -> dict[str, list[str]]:
    table, found = every_attack(), {}
    with Sandbox(limits=LIMITS, mechanism=mechanism) as sandbox:
        for number, name in enumerate(names):
            kinds, source = table[name]
            done = sandbox.call(host.fill(source), "attack", [])
            if done.kind == "timed out" and "t" not in kinds:  # a busy machine: once more
                done = sandbox.call(host.fill(source), "attack", [])
            after = sandbox.call(NEXT, "after", [number])
            found[name] = _wrong(host, kinds, done) + _wrong_after(number, after) + host.harmed()
        box = sandbox._free.queue[-1]  # type: ignore[attr-defined]  # only here, to count what the box has left running
        left = descendants(box.pid)
        if left:
            found[names[-1]].append(f"processes left behind: {left}")
    return found


def _wrong(host: Host, kinds: str, done: Execution) -> list[str]:
    told = json.dumps([done.value, done.output, done.error])
    found = []
    if done.kind not in {KINDS[letter] for letter in kinds}:
        found.append(f"kind {done.kind}: {told[:300]}")
    if done.value == "escaped":
        found.append("escaped")
    if host.secret in told:
        found.append("the secret was read")
    if len(done.output) > LIMITS.output_bytes or len(told) > 10 * LIMITS.output_bytes:
        found.append("too much output")
    if done.seconds > LIMITS.wall_s + 3:
        found.append(f"took {done.seconds:.1f} s")
    if "gone" in done.error or "anew" in done.error:
        found.append(f"the box died: {done.error}")
    return found


def _wrong_after(number: int, after: Execution) -> list[str]:
    good = after.kind == "passed" and after.value == [number + 1, False, [], True, len(json.dumps([number]))]
    return [] if good and after.output == f"after {number}\n" else [f"the next job: {after}"]


# --- as pytest sees it ------------------------------------------------------------------------------------------------


def as_ordinary_user(folder: Path) -> list[str] | str:
    """The command line that runs this file as nobody, or why it cannot be had.

    Where Python lies in root's closed home, it is shown to that user at the same place in mounts of its own.
    """
    if os.geteuid() != 0:
        return "these tests run as an ordinary user already"
    if not all(shutil.which(name) for name in ("unshare", "setpriv", "mount")):
        return "needs unshare, setpriv and mount (util-linux)"
    steps = ["mount --make-rprivate /"]
    for number, path in enumerate((sys.base_prefix, str(Path(__file__).parents[2]), sys.prefix)):
        closed = next((p for p in reversed(Path(path).parents) if not p.stat().st_mode & 1), None)
        if closed is not None and not any(f" {closed}" in step for step in steps):
            keep = folder / f"keep{number}"
            keep.mkdir()
            steps += [f"mount --bind {shlex.quote(path)} {shlex.quote(str(keep))}"]
            steps += [f"mount -t tmpfs -o mode=755 none {shlex.quote(str(closed))}", f"mkdir -p {shlex.quote(path)}"]
            steps += [f"mount --bind {shlex.quote(str(keep))} {shlex.quote(path)}"]
    user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--inh-caps=-all", "--no-new-privs"]
    program = [*user, sys.executable, "-B", "-P", __file__]
    return ["unshare", "-m", "sh", "-c", " && ".join([*steps, f'exec {shlex.join(program)} "$0"'])]


AVAILABLE = mechanisms()
EVERY = sorted(every_attack())


def test_at_least_sixty_attacks() -> None:
    assert len(EVERY) >= 60


@pytest.fixture(scope="module", params=["bubblewrap", "namespaces", "landlock"])
def results(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """All attacks on one mechanism, as the user of the tests."""
    if AVAILABLE[request.param] != "available":
        pytest.skip(f"{request.param}: {AVAILABLE[request.param]}")
    return assault(request.param, tmp_path_factory.mktemp("attacks"))


@pytest.fixture(scope="module", params=["bubblewrap", "namespaces", "landlock"])
def ordinary(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """All attacks on one mechanism, as nobody."""
    line = as_ordinary_user(tmp_path_factory.mktemp("keep"))
    if isinstance(line, str):
        pytest.skip(line)
    clean = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    ran = subprocess.run([*line, request.param], capture_output=True, text=True, timeout=300, env=clean, check=False)
    if ran.returncode != 0:
        pytest.fail(ran.stderr[-2000:] or f"status {ran.returncode}")
    answer: dict[str, Any] = json.loads(ran.stdout)
    if "skip" in answer:
        pytest.skip(answer["skip"])
    return answer


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_attack_is_contained(name: str, results: dict[str, list[str]]) -> None:
    assert results[name] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", EVERY)
def test_attack_is_contained_for_an_ordinary_user(name: str, ordinary: dict[str, list[str]]) -> None:
    assert ordinary[name] == []


def main() -> None:
    """Run every attack on the mechanism named on the command line and print what went wrong, as JSON."""
    state = mechanisms()[sys.argv[1]]
    if state != "available":
        print(json.dumps({"skip": f"{sys.argv[1]}: {state}"}))
        return
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(assault(sys.argv[1], Path(folder))))


if __name__ == "__main__":
    began = time.monotonic()
    main()
    print(f"{time.monotonic() - began:.1f} s", file=sys.stderr)
