"""Kernel locks on files: freed the moment their holder dies, whatever it dies of.

Own code, since a shared mode is needed and the known library takes longer to load than most commands to run. A process
that is forked meanwhile holds none of them: the kernel would count its copy of a descriptor, for all its life.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from collections.abc import Callable, Iterator

from .errors import LockHeld, named

_POSIX = os.name == "posix"
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)

_held: set[int] = set()  # descriptors of locks
#: Held by whoever opens or closes one of them, so that none is forked off that is not among them.
_inside = threading.RLock()


def _let_go() -> None:
    """Leave the locks to the process this one was forked from, and keep the numbers taken: they are closed later."""
    _inside.release()
    for fd in _held:
        with contextlib.suppress(OSError):
            os.close(fd)  # first, for there may be no descriptor left
        with contextlib.suppress(OSError):
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != fd:
                os.dup2(nothing, fd, inheritable=False)
                os.close(nothing)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_inside.acquire, after_in_parent=_inside.release, after_in_child=_let_go)

#: What a file system says that knows no locks, as some network shares do.
_UNKNOWN = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS}


@contextlib.contextmanager
def lock(
    path: str,
    *,
    shared: bool = False,
    timeout: float,
    waiting: Callable[[str], None] | None = None,
    create: bool = True,
    unknown: Callable[[], None] | None = None,
    note: bool = True,
) -> Iterator[int]:
    """Hold a kernel lock on the file `path`: it is free again the moment this process is gone.

    Gives the descriptor held. Somebody may have removed the file meanwhile: see `is_same_file`.

    `shared` holders exclude only exclusive ones. `waiting` is called once, with the holder's note, before
    the wait begins; after `timeout` seconds `LockHeld` is raised. Where the file system knows no locks, nobody is
    excluded: `unknown` is called then, and may raise. Without `note` the file keeps what it holds.
    """
    flags = os.O_RDWR | (os.O_CREAT if create else 0) | _NOFOLLOW | getattr(os, "O_CLOEXEC", 0)
    with _inside:
        fd = os.open(path, flags, 0o666)
        _held.add(fd)
    try:
        try:
            _wait(fd, shared, timeout, waiting, unknown)
            if note and not shared and _POSIX:
                os.ftruncate(fd, 0)
                os.pwrite(fd, f"process {os.getpid()}".encode(), 0)
        except OSError as error:
            raise named(error, path) from None
        yield fd
    finally:
        with _inside, contextlib.suppress(OSError):  # that its note did not reach the disk is nobody's concern
            _held.discard(fd)
            os.close(fd)


def _wait(
    fd: int,
    shared: bool,
    timeout: float,
    waiting: Callable[[str], None] | None,
    unknown: Callable[[], None] | None,
) -> None:
    deadline = time.monotonic() + timeout
    told = False
    while not (held := _try_lock(fd, shared=shared)):
        if held is None:
            if unknown is not None:
                unknown()
            return
        holder = os.pread(fd, 200, 0).decode(errors="replace") if _POSIX else ""
        if time.monotonic() >= deadline:
            raise LockHeld(
                f"another dvc-like works here{f' ({holder})' if holder else ''}",
                hint="Wait for it to end; `core.locktimeout` sets how many seconds are waited.",
            )
        if not told and waiting is not None:
            waiting(holder)
            told = True
        time.sleep(0.02)


@contextlib.contextmanager
def lock_of_the_dead(path: str) -> Iterator[int]:
    """Hold the lock of a file whose owner held it for life, for what is left of that owner may go.

    Raises `LockHeld` while it lives, also where that cannot be told: where the file system knows no locks.
    """

    def spare() -> None:
        raise LockHeld(f"{path}: the file system knows no locks, so its owner may be alive")

    with lock(path, timeout=0, create=False, unknown=spare, note=False) as held:
        yield held


def is_same_file(fd: int, path: str) -> bool:
    """Tell whether the open file is still the one that bears the name."""
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False
    except OSError as error:
        raise named(error, path) from None


def _try_lock(fd: int, *, shared: bool) -> bool | None:
    """Tell whether the lock is ours now; None where there are none."""
    try:
        if _POSIX:
            import fcntl

            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        else:  # Windows knows no shared lock through this call: all holders exclude each other there
            import msvcrt

            msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EACCES, errno.EDEADLK):
            return False
        if error.errno in _UNKNOWN:
            return None
        raise
    return True


#: Bytes from which on it is asked who can write to a file: that costs as much as hashing some ten thousand of them.
MAPPED_FROM = 64 << 10


def has_writer(fd: int, size: int) -> bool:
    """Tell whether somebody has the file, open here for reading only, open for writing or mapped into memory.

    What is written through a map may leave no trace in the file's stat: the kernel stamps a page when it is first
    written to, and again only once that page was on disk. So ask before reading; whoever maps it later leaves a stamp.
    False as well for a small file, and where the system does not tell: of another user's file, or on a network share.
    """
    if size < MAPPED_FROM or not _POSIX:
        return False
    import fcntl
    import signal

    if not hasattr(fcntl, "F_SETLEASE"):  # Linux alone has it
        return False
    try:
        # Who opens it for writing while the lease is held waits, and we get a signal: one that by default does nothing.
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno == errno.EAGAIN and _is_local(fd)
    return False


#: By the number that Linux gives them: ext4, xfs, btrfs, tmpfs, f2fs, overlay, zfs, bcachefs.
_LOCAL = {0xEF53, 0x58465342, 0x9123683E, 0x01021994, 0xF2F52010, 0x794C7630, 0x2FC12FC1, 0xCA451A4E}


def _is_local(fd: int) -> bool:
    """Tell whether a file lies on a disk of this machine; a share refuses leases for reasons of its own."""
    import ctypes
    import struct

    found = ctypes.create_string_buffer(512)  # more than a `struct statfs` takes
    if ctypes.CDLL(None).fstatfs(fd, found):
        return False
    return struct.unpack_from("L", found)[0] & 0xFFFFFFFF in _LOCAL
