"""Linux calls that Python's standard library does not have, through ctypes: namespaces, mounts, Landlock, privileges.

Every function raises OSError naming the call that the kernel refused. Packages for this exist (py-landlock,
pyseccomp), but would have to be carried into the box, bind libseccomp.so or have one small release; the calls are
stable kernel ABI.
"""

from __future__ import annotations

import ctypes
import os
import signal
import struct
from collections.abc import Sequence
from pathlib import Path

NOBODY = 65534
# The scratch folder that a job may write, inside the box.
SCRATCH = "/tmp"
_OLD_ROOT = "/.host"

_CAPSET = {"x86_64": 126, "aarch64": 91}
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}
_PIDFD_OPEN, _MOUNT_SETATTR = 434, 442
_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446

_NEW_MOUNTS, _NEW_UTS, _NEW_IPC, _NEW_USER, _NEW_PID, _NEW_NET = (
    0x00020000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000
)  # fmt: skip
_MS_NOSUID, _MS_NODEV, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 0x1000, 0x4000, 0x40000
_MNT_DETACH, _AT_FDCWD, _AT_RECURSIVE = 2, -100, 0x8000
_RDONLY, _NOSUID, _NODEV = 1, 2, 4

_SET_DUMPABLE, _SET_DEATH_SIGNAL, _DROP_BOUND, _NO_NEW_PRIVILEGES, _SET_SECCOMP, _AMBIENT = 4, 1, 24, 38, 22, 47
_CAPABILITY_VERSION = 0x20080522

# Landlock's file rights by version of its interface: all that exist, and those given on a readable or writable path.
_FILE_RIGHTS = (0, 0x1FFF, 0x3FFF, 0x7FFF, 0x7FFF, 0xFFFF)
_READ, _READ_FILE_ONLY, _DEVICE = 1 | 4 | 8, 1 | 4, 2 | 4
_SCRATCH_RIGHTS = 0x7FFF & ~(1 | 0x40 | 0x800)  # all but executing and making devices

_libc = ctypes.CDLL(None, use_errno=True)


def _checked(name: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def _syscall(name: str, number: int, *arguments: object) -> int:
    return _checked(name, _libc.syscall(ctypes.c_long(number), *arguments))


def _prctl(name: str, option: int, *arguments: int) -> None:
    given = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    _checked(f"prctl({name})", _libc.prctl(option, *given))


def pidfd_open(pid: int) -> int:
    """A descriptor that becomes readable when the child `pid` has ended (Linux 5.3)."""
    return _syscall("pidfd_open", _PIDFD_OPEN, ctypes.c_int(pid), ctypes.c_uint(0))


def install_filter(program: bytes) -> None:
    """Put a seccomp filter on this process, for good."""
    count = len(program) // 8
    body = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HxxxxxxP", count, ctypes.addressof(body))
    pointer = ctypes.create_string_buffer(header, len(header))
    _prctl("PR_SET_SECCOMP", _SET_SECCOMP, 2, ctypes.addressof(pointer))


def die_with_parent() -> None:
    """Be killed when the process that started this one ends; to be called after a change of user, which undoes it."""
    _prctl("PR_SET_PDEATHSIG", _SET_DEATH_SIGNAL, signal.SIGKILL)


def become_user(uid: int) -> None:
    """As root, become an ordinary user for good: `uid`, or nobody where this container has no such id."""
    os.setgroups([])
    for identity in (uid, NOBODY):
        try:
            os.setresgid(identity, identity, identity)
            os.setresuid(identity, identity, identity)
            return
        except OSError:
            if identity == NOBODY:
                raise


def drop_privileges(arch: str) -> None:
    """No capability, none to be had by executing anything, and no look into this process by its equals."""
    _prctl("PR_SET_NO_NEW_PRIVS", _NO_NEW_PRIVILEGES, 1)
    for capability in range(64):
        # Past the last capability, or without the right to drop: the empty sets below and no_new_privs hold anyhow.
        _libc.prctl(_DROP_BOUND, ctypes.c_ulong(capability), 0, 0, 0)
    _libc.prctl(_AMBIENT, ctypes.c_ulong(4), 0, 0, 0)
    header = ctypes.create_string_buffer(struct.pack("<II", _CAPABILITY_VERSION, 0), 8)
    empty = ctypes.create_string_buffer(24)
    _syscall("capset", _CAPSET[arch], header, empty)
    _prctl("PR_SET_DUMPABLE", _SET_DUMPABLE, 0)


def landlock_version() -> int:
    """The version of the kernel's Landlock interface; 0 where it has none or it is switched off."""
    found = int(_libc.syscall(ctypes.c_long(_LANDLOCK_CREATE), None, ctypes.c_size_t(0), ctypes.c_uint(1)))
    return max(found, 0)


def restrict_files(readable: Sequence[str], scratch: str = "") -> int:
    """Confine this process and its children by Landlock to reading `readable` and writing `scratch`, and no TCP.

    Returns the interface's version, 0 when the kernel has no Landlock (then nothing was done). Needs no_new_privs.
    """
    version = landlock_version()
    if not version:
        return 0
    handled = _FILE_RIGHTS[min(version, len(_FILE_RIGHTS) - 1)]
    # Files; TCP bind and connect (version 4); abstract sockets and signals to the outside (version 6).
    ruleset = struct.pack("<QQQ", handled, 3, 3)[: 24 if version >= 6 else 16 if version >= 4 else 8]
    rules = _syscall(
        "landlock_create_ruleset", _LANDLOCK_CREATE, ruleset, ctypes.c_size_t(len(ruleset)), ctypes.c_uint(0)
    )
    grants = [(path, _READ if Path(path).is_dir() else _READ_FILE_ONLY) for path in readable]
    grants += [("/dev/null", _DEVICE), *([(scratch, _SCRATCH_RIGHTS)] if scratch else [])]
    for path, rights in grants:
        folder = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = struct.pack("<Qi", rights & handled, folder)
        _syscall("landlock_add_rule", _LANDLOCK_ADD, ctypes.c_int(rules), ctypes.c_int(1), rule, ctypes.c_uint(0))
        os.close(folder)
    _syscall("landlock_restrict_self", _LANDLOCK_RESTRICT, ctypes.c_int(rules), ctypes.c_uint(0))
    os.close(rules)
    return version


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    done = _libc.mount(source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode() or None)
    _checked(f"mount({target})", done)


def _lock_mount(path: str, attributes: int, recursive: bool) -> None:
    wanted = struct.pack("<QQQQ", attributes, 0, 0, 0)
    flags = ctypes.c_uint(_AT_RECURSIVE if recursive else 0)
    size = ctypes.c_size_t(len(wanted))
    _syscall("mount_setattr", _MOUNT_SETATTR, ctypes.c_int(_AT_FDCWD), path.encode(), flags, wanted, size)


def _write_maps(uid: int, gid: int) -> None:
    """As an ordinary user: this process's only user and group are nobody inside."""
    for name, text in (("setgroups", "deny"), ("uid_map", f"{NOBODY} {uid} 1"), ("gid_map", f"{NOBODY} {gid} 1")):
        Path(f"/proc/self/{name}").write_text(text)


def _show(path: str) -> None:
    """Bind one path of the old root read-only at the same place of the new one."""
    source = _OLD_ROOT + path
    if Path(source).is_dir():
        Path(path).mkdir(parents=True, exist_ok=True)
    else:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()
    _mount(source, path, "", _MS_BIND | _MS_REC)
    _lock_mount(path, _RDONLY | _NOSUID | _NODEV, recursive=True)


def enter_namespaces(readable: Sequence[str], scratch_bytes: int) -> None:
    """Move into new namespaces whose root holds nothing but `readable`, /dev/null and perhaps a scratch folder.

    The caller goes on as process 1 of the box, in a child; the process that called stays outside only to wait for it,
    so that killing either ends all. An ordinary user gets a user namespace of one user; root needs none and gives up
    its rights afterwards (`become_user`).
    """
    uid, gid = os.geteuid(), os.getegid()
    flags = _NEW_MOUNTS | _NEW_UTS | _NEW_IPC | _NEW_PID | _NEW_NET
    _checked("unshare", _libc.unshare(flags if uid == 0 else flags | _NEW_USER))
    if uid != 0:
        _write_maps(uid, gid)
    _mount("none", "/", "", _MS_REC | _MS_PRIVATE)
    place = next(path for path in ("/tmp", "/mnt", "/run", "/dev") if Path(path).is_dir())
    _mount("none", place, "tmpfs", _MS_NOSUID | _MS_NODEV, "size=1m,nr_inodes=4096,mode=755")
    Path(place + _OLD_ROOT).mkdir()
    pivot = (place.encode(), (place + _OLD_ROOT).encode())
    _syscall("pivot_root", _PIVOT_ROOT[os.uname().machine], *pivot)
    os.chdir("/")
    if scratch_bytes:
        # Before the rest: Python itself may lie below this folder.
        Path(SCRATCH).mkdir(parents=True, exist_ok=True)
        _mount("none", SCRATCH, "tmpfs", _MS_NOSUID | _MS_NODEV, f"size={scratch_bytes},nr_inodes=4096,mode=1777")
    for path in readable:
        _show(path)
    Path("/dev").mkdir(exist_ok=True)
    Path("/dev/null").touch()
    _mount(_OLD_ROOT + "/dev/null", "/dev/null", "", _MS_BIND)
    _checked("umount2", _libc.umount2(_OLD_ROOT.encode(), _MNT_DETACH))
    Path(_OLD_ROOT).rmdir()
    _lock_mount("/", _RDONLY | _NOSUID | _NODEV, recursive=False)
    child = os.fork()
    if child:
        os.closerange(0, 1024)
        _, status = os.waitpid(child, 0)
        os._exit(0 if status == 0 else 1)
