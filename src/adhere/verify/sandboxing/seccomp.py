"""The system calls that a job may make, as a seccomp filter built in code.

An allow list, not a deny list: what is not named here (ptrace, mount, keyctl, bpf, io_uring, perf_event_open,
userfaultfd, unshare, setns, kexec, process_vm_*, memfd_create, System V IPC, ...) is refused with EPERM, and calls
newer than the table with ENOSYS, so a kernel that learns new calls opens nothing. Numbers are those of the kernel's
own headers (asm/unistd_64.h, asm-generic/unistd.h).
"""

from __future__ import annotations

import platform
import struct

# name x86_64 aarch64; "-" where the architecture lacks the call.
_ALWAYS = """
access 21 - brk 12 214 chdir 80 49 clock_getres 229 114 clock_gettime 228 113 clock_nanosleep 230 115 close 3 57
close_range 436 436 dup 32 23 dup2 33 - dup3 292 24 epoll_create 213 - epoll_create1 291 20 epoll_ctl 233 21
epoll_pwait 281 22 epoll_pwait2 441 441 epoll_wait 232 - eventfd2 290 19 exit 60 93 exit_group 231 94 faccessat 269 48
faccessat2 439 439 fadvise64 221 223 fchdir 81 50 fdatasync 75 83 flock 73 32 fstat 5 80 fstatfs 138 44 fsync 74 82
futex 202 98 getcwd 79 17 getdents 78 - getdents64 217 61 getegid 108 177 geteuid 107 175 getgid 104 176
getgroups 115 158 getitimer 36 102 getpgid 121 155 getpgrp 111 - getpid 39 172 getpeername 52 205 getsockname 51 204
getsockopt 55 209 getppid 110 173 getrandom 318 278 getresgid 120 150 getresuid 118 148 getrlimit 97 163
getrusage 98 165 getsid 124 156 gettid 186 178 gettimeofday 96 169 getuid 102 174 lseek 8 62 lstat 6 - madvise 28 233
mmap 9 222 mprotect 10 226 mremap 25 216 munmap 11 215 nanosleep 35 101 newfstatat 262 79 open 2 - openat 257 56 pause
34 - pipe 22 - pipe2 293 59 poll 7 - ppoll 271 73 pread64 17 67 preadv 295 69 pselect6 270 72 pwrite64 18 68 pwritev
296 70 read 0 63 readlink 89 - readlinkat 267 78 readv 19 65 recvfrom 45 207 restart_syscall 219 128 rseq 334 293
rt_sigaction 13 134 rt_sigpending 127 136 rt_sigprocmask 14 135 rt_sigreturn 15 139 rt_sigsuspend 130 133
rt_sigtimedwait 128 137 sched_get_priority_max 146 125 sched_get_priority_min 147 126 sched_getaffinity 204 123
sched_yield 24 124 select 23 - set_robust_list 273 99 set_tid_address 218 96 setitimer 38 103 shutdown 48 210
sigaltstack 131 132 stat 4 - statfs 137 43 statx 332 291 sysinfo 99 179 time 201 - times 100 153 umask 95 166 uname 63
160 wait4 61 260 waitid 247 95 write 1 64 writev 20 66 alarm 37 - arch_prctl 158 -
"""
_FILES = """
chmod 90 - creat 85 - fallocate 285 47 fchmod 91 52 fchmodat 268 53 ftruncate 77 46 link 86 - linkat 265 37 mkdir 83 -
mkdirat 258 34 rename 82 - renameat 264 38 renameat2 316 276 rmdir 84 - symlink 88 - symlinkat 266 36 truncate 76 45
unlink 87 - unlinkat 263 35 utime 132 - utimensat 280 88 utimes 235 - futimesat 261 -
"""
_PROCESSES = (
    "execve 59 221 fork 57 - vfork 58 - kill 62 129 tkill 200 130 tgkill 234 131 setpgid 109 154 setsid 112 157"
)
# Allowed or not by their arguments, see `_conditions`.
_JUDGED = """
kill 62 129 tkill 200 130 tgkill 234 131 prlimit64 302 261 fcntl 72 25 ioctl 16 29 socketpair 53 199 sendto 44 206
clone 56 220 clone3 435 435
"""
_NEWEST_KNOWN = 450
_AUDIT = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_LOAD, _EQUAL, _GREATER, _AT_LEAST, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x25, 0x35, 0x45, 0x54, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_EPERM, _ENOSYS = 1, 38
# Stands for the job's process id until it is known; no other instruction holds these bytes.
_OWN_PID = 0x7FFFFFFF
_NEW_NAMESPACES = 0x7E020000
# F_DUPFD, F_GETFD, F_SETFD, F_GETFL, F_SETFL, F_GETLK, F_SETLK, F_SETLKW, F_DUPFD_CLOEXEC: neither F_SETOWN (signals to
# others) nor F_SETPIPE_SZ (kernel memory).
_FCNTL = (0, 1, 2, 3, 4, 5, 6, 7, 1030)
# TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX.
_IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)

Instruction = tuple[int, int, int, int]


def machine() -> str:
    """The architecture as this table names it; empty where there is no table for it."""
    found = platform.machine()
    return found if found in _AUDIT and struct.calcsize("P") == 8 else ""


def numbers(table: str, arch: str) -> dict[str, int]:
    """The calls of a table that `arch` has, by name."""
    words, column = table.split(), 1 if arch == "x86_64" else 2
    rows = (words[start : start + 3] for start in range(0, len(words), 3))
    return {row[0]: int(row[column]) for row in rows if row[column] != "-"}


def tables(arch: str) -> dict[str, int]:
    """Every call named here with its number, for comparing with the kernel's headers."""
    return {
        name: number
        for table in (_ALWAYS, _FILES, _PROCESSES, _JUDGED)
        for name, number in numbers(table, arch).items()
    }


def _arg(index: int, high: bool = False) -> int:
    """Offset of an argument's low or high half in seccomp_data (both architectures are little-endian)."""
    return 16 + 8 * index + 4 * high


def _one_of(index: int, allowed: tuple[int, ...]) -> list[Instruction]:
    """Allow when the argument's low half is one of these numbers."""
    body: list[Instruction] = [(_LOAD, 0, 0, _arg(index))]
    for value in allowed:
        body += [(_EQUAL, 0, 1, value), (_RETURN, 0, 0, _ALLOW)]
    return [*body, (_RETURN, 0, 0, _ERRNO | _EPERM)]


def _conditions(several: bool) -> dict[str, list[Instruction]]:
    """For each call judged by its arguments, the instructions that end in allow or refuse."""
    refuse, allow = (_RETURN, 0, 0, _ERRNO | _EPERM), (_RETURN, 0, 0, _ALLOW)
    own = _one_of(0, (_OWN_PID,))
    found: dict[str, list[Instruction]] = {
        "prlimit64": _one_of(0, (0, _OWN_PID)),
        "fcntl": _one_of(1, _FCNTL),
        "ioctl": _one_of(1, _IOCTL),
        # AF_UNIX stream pairs only (asyncio wakes itself by one): they can reach nobody else.
        "socketpair": [
            *((_LOAD, 0, 0, _arg(0)), (_EQUAL, 1, 0, 1), refuse),
            *((_LOAD, 0, 0, _arg(1)), (_AND, 0, 0, 0xF), (_EQUAL, 0, 1, 1), allow, refuse),
        ],
        # Without an address.
        "sendto": [
            *((_LOAD, 0, 0, _arg(4)), (_EQUAL, 1, 0, 0), refuse),
            *((_LOAD, 0, 0, _arg(4, high=True)), (_EQUAL, 0, 1, 0), allow, refuse),
        ],
        # Its flags lie in memory, where a filter cannot look; libraries fall back to clone.
        "clone3": [(_RETURN, 0, 0, _ERRNO | _ENOSYS)],
    }
    if several:
        found["clone"] = [(_LOAD, 0, 0, _arg(0)), (_ANY_BIT, 0, 1, _NEW_NAMESPACES), refuse, allow]
    else:
        found.update(kill=own, tkill=own, tgkill=own)
    return found


def _runs(values: list[int]) -> list[tuple[int, int]]:
    """Sorted numbers as inclusive ranges without gaps."""
    runs: list[tuple[int, int]] = []
    for value in sorted(set(values)):
        if runs and runs[-1][1] == value - 1:
            runs[-1] = (runs[-1][0], value)
        else:
            runs.append((value, value))
    return runs


def for_process(template: bytes, pid: int) -> bytes:
    """A filter of `build_filter` for the process `pid`: without `several` it may signal only itself."""
    return template.replace(struct.pack("<I", _OWN_PID), struct.pack("<I", pid))


def build_filter(arch: str, several: bool = False, files: bool = False) -> bytes:
    """The filter for jobs as `struct sock_filter[]`, a mark in the place of the job's own process id.

    `several` allows processes, threads and execve, `files` calls that change files.
    """
    plain = numbers(_ALWAYS, arch) | (numbers(_FILES, arch) if files else {})
    if several:
        plain |= numbers(_PROCESSES, arch)
    judged = numbers(_JUDGED, arch)
    program: list[Instruction] = [
        (_LOAD, 0, 0, 4),
        (_EQUAL, 1, 0, _AUDIT[arch]),
        (_RETURN, 0, 0, _KILL),
        (_LOAD, 0, 0, 0),
    ]
    program += [(_GREATER, 0, 1, _NEWEST_KNOWN), (_RETURN, 0, 0, _ERRNO | _ENOSYS)]
    for first, last in _runs(list(plain.values())):
        program += [(_AT_LEAST, 0, 2, first), (_GREATER, 1, 0, last), (_RETURN, 0, 0, _ALLOW)]
    for name, body in _conditions(several).items():
        program += [(_EQUAL, 0, len(body), judged[name]), *body]
    program.append((_RETURN, 0, 0, _ERRNO | _EPERM))
    return b"".join(struct.pack("<HBBI", *instruction) for instruction in program)
