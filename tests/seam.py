"""The seam at which tests make the N-th call to the system fail, in the manner of SQLite's tests.

Owns which calls of the product count, what each may fail with, and what a process does after its death. The calls are
replaced inside this process, for as long as a `Seam` is open, and only what our own code calls counts: Git, imports
and the test itself go by. The product knows nothing of it.

    trace = Seam().run(work)                          # every call in order: what there is to break
    Seam(Point(17, FAULTS["no space"])).run(work)     # the 17th fails, or the first after it that can
"""

from __future__ import annotations

import builtins
import ctypes
import errno
import gc
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple
from unittest import mock

from dvc_like import fsutil
from dvc_like.errors import RemoteDenied, RemoteQuota, RemoteUnavailable
from dvc_like.ops import _dvc_remote, _store, remote_test
from dvc_like.remote import origin_files
from dvc_like.remote.base import Backend
from dvc_like.remote.wrap import Wrapper

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]


class Killed(BaseException):
    """The process is dead: nothing it does any more has an effect."""


class Fault(NamedTuple):
    """What a call fails with: an errno, or nothing for a kill; which kinds of calls, and whether for good."""

    name: str
    code: int
    kinds: frozenset[str]
    lasting: bool = False
    late: bool = False  # the call is done, and only its answer is lost


class Point(NamedTuple):
    """Where something fails: at the first call that can, from number `at` (counted from 0) on."""

    at: int
    fault: Fault


class Call(NamedTuple):
    """One call of the product: its kind, and its name with what it was called with."""

    kind: str
    what: str

    def __str__(self) -> str:
        return self.what


#: Kinds of calls. What takes space can find none; what changes anything is a moment to die before.
_SPACE = frozenset({"create", "write", "mkdir", "link", "rename", "flush", "database"})
_CHANGE = _SPACE | {"remove", "attribute"}
_NAMES = frozenset({"open", "create", "mkdir", "link", "rename", "remove", "attribute", "list", "database"})
_LOOK = frozenset({"open", "read", "stat", "list", "lock", "spawn"})
_REMOTE = frozenset({"remote"})


def _faults() -> Iterator[Fault]:
    for lasting in (False, True):
        often = ", for good" if lasting else ", once"
        yield Fault("no space" + often, errno.ENOSPC, _SPACE, lasting)
        yield Fault("I/O error" + often, errno.EIO, _CHANGE if lasting else _CHANGE | _LOOK, lasting)
        yield Fault("permission" + often, errno.EACCES, _NAMES, lasting)
        yield Fault("remote unavailable" + often, errno.ETIMEDOUT, _REMOTE, lasting)
        yield Fault("remote denied" + often, errno.EPERM, _REMOTE, lasting)
    yield Fault("remote answer lost", errno.ETIMEDOUT, _REMOTE, late=True)
    yield Fault("remote full", errno.EDQUOT, _REMOTE, lasting=True)
    yield Fault("killed", 0, _CHANGE | _REMOTE)


FAULTS = {fault.name: fault for fault in _faults()}

_REMOTE_ERRORS = {
    errno.ETIMEDOUT: RemoteUnavailable("the connection broke"),
    errno.EPERM: RemoteDenied("access was denied"),
    errno.EDQUOT: RemoteQuota("there is no space left"),
}
_DATABASE_ERRORS = {
    errno.ENOSPC: "database or disk is full",
    errno.EIO: "disk I/O error",
    errno.EACCES: "attempt to write a readonly database",
}
#: Modules between our code and a call: what these do, our code does.
_THROUGH = frozenset({"os", "shutil", "genericpath", "posixpath", "ntpath", "contextlib", "glob", "io", "functools"})
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def _is_ours(depth: int, through: frozenset[str] = _THROUGH) -> bool:
    """Tell whether the product makes this call, directly or through the standard library."""
    frame = sys._getframe(depth)
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name not in through:
            return bool(name.startswith("dvc_like"))
        frame = frame.f_back  # type: ignore[assignment]
    return False


def points(trace: Iterable[Call], names: Iterable[str] = tuple(FAULTS)) -> list[Point]:
    """Return everything that can fail in a run that made these calls."""
    chosen = [FAULTS[name] for name in names]
    return [Point(at, fault) for at, call in enumerate(trace) for fault in chosen if call.kind in fault.kinds]


class Seam:
    """Counts the calls of the product, and lets one of them fail. `struck` is that one, None where none did."""

    def __init__(self, point: Point | None = None) -> None:
        self.trace: list[Call] = []
        self.struck: Call | None = None
        self._point = point
        self._dead = False
        self._mutex = threading.RLock()
        self._written: set[int] = set()  # descriptors that were opened for writing
        self.open: dict[int, str] = {}  # descriptors that nobody has closed yet, and what they are of

    def run(self, work: Callable[[], object]) -> list[Call]:
        """Do the work with the seam in place; return the calls."""
        with self:
            work()
        return self.trace

    def __enter__(self) -> Seam:
        self._stack = ExitStack()
        for owner, name, new in self._replacements():
            self._stack.enter_context(mock.patch.object(owner, name, new))
        # What is cleaned up after a death meets it once more, where nobody listens.
        self._stack.enter_context(mock.patch.object(sys, "unraisablehook", self._unraisable(sys.unraisablehook)))
        return self

    def _unraisable(self, real: Callable[[Any], object]) -> Callable[[Any], None]:
        def hook(told: Any) -> None:
            if told.exc_type is not Killed:
                real(told)

        return hook

    def __exit__(self, *exc: object) -> None:
        self._stack.close()

    def end(self) -> list[str]:
        """End the process as the kernel would: close what is open, which frees locks; return what that was.

        Called with the seam in place, when nothing holds the error any more that ended the work.
        """
        self._point = None
        if self.open:
            gc.collect()  # generators that were left in the middle close what they opened
        left, self.open = self.open, {}
        for fd in left:
            with suppress(OSError):
                os.close(fd)
        return [*left.values()]

    # ---------------------------------------------------------------- what a call meets

    def _meet(self, kind: str, what: str) -> Fault | None:
        """Count a call; return what it fails with."""
        with self._mutex:
            if self._dead:
                raise Killed
            number = len(self.trace)
            self.trace.append(Call(kind, what))
            if self._point is None or number < self._point.at or kind not in self._point.fault.kinds:
                return None
            fault = self._point.fault
            if self.struck is not None and not fault.lasting:
                return None
            self.struck = self.struck or self.trace[-1]
            if not fault.code:
                self._dead = True
            return fault

    def _raise(self, fault: Fault, name: object = None) -> None:
        if not fault.code:
            raise Killed
        shown = name if isinstance(name, (str, bytes)) else None
        raise OSError(fault.code, os.strerror(fault.code), shown)

    def _plain(self, kind: str, real: Callable[..., Any]) -> Callable[..., Any]:
        """Replace a call that is done or not done."""

        def call(*arguments: Any, **options: Any) -> Any:
            if _is_ours(2):
                fault = self._meet(kind, f"{real.__name__}{_shown(arguments)}")
                if fault is not None:
                    self._raise(fault, arguments[0] if arguments else None)
            return real(*arguments, **options)

        return call

    # ---------------------------------------------------------------- the calls

    def _replacements(self) -> Iterator[tuple[Any, str, Any]]:
        kinds = {
            "rename": ("rename", "replace"),
            "link": ("link", "symlink"),
            "mkdir": ("mkdir",),
            "remove": ("unlink", "remove", "rmdir"),
            "attribute": ("chmod", "utime"),
            "write": ("ftruncate", "pwrite", "copy_file_range"),
            "flush": ("fsync", "sync"),
            "read": ("read", "pread", "readv", "readlink"),
            "stat": ("stat", "lstat", "fstat"),
            "list": ("scandir", "listdir"),
        }
        for kind, names in kinds.items():
            for name in names:
                if hasattr(os, name):
                    yield os, name, self._plain(kind, getattr(os, name))
        yield os, "open", self._opening(os.open)
        yield os, "dup", self._doubling(os.dup)
        yield os, "write", self._writing(os.write)
        yield os, "close", self._closing(os.close)
        yield builtins, "open", self._opening_file(builtins.open)
        yield subprocess, "Popen", self._spawning(subprocess.Popen)
        if fcntl is not None:
            yield fcntl, "flock", self._plain("lock", fcntl.flock)
            yield fcntl, "ioctl", self._plain("write", fcntl.ioctl)
        libc = _Libc(self, fsutil._libc()) if sys.platform.startswith("linux") else None
        if libc is not None:
            yield fsutil, "_libc", lambda: libc
        connect = sqlite3.connect
        yield sqlite3, "connect", lambda path, **options: connect(path, factory=_database_of(self), **options)
        for module in (_store, _dvc_remote, remote_test, origin_files):
            real = module.open_backend
            yield module, "open_backend", lambda *given, real=real: _Remote(real(*given), self)

    def _opening(self, real: Callable[..., int]) -> Callable[..., int]:
        def call(path: Any, flags: int, *rest: Any, **options: Any) -> int:
            if not _is_ours(2):
                return real(path, flags, *rest, **options)
            fault = self._meet("create" if flags & _WRITES else "open", f"open{_shown((path, flags))}")
            if fault is not None:
                self._raise(fault, path)
            fd = real(path, flags, *rest, **options)
            self.open[fd] = str(path)
            if flags & _WRITES:
                self._written.add(fd)
            return fd

        return call

    def _doubling(self, real: Callable[[int], int]) -> Callable[[int], int]:
        def call(fd: int) -> int:
            made = real(fd)
            if _is_ours(2):
                self.open[made] = f"a second one of {self.open.get(fd)}"
            return made

        return call

    def _writing(self, real: Callable[..., int]) -> Callable[..., int]:
        def call(fd: int, data: Any) -> int:
            if _is_ours(2):
                fault = self._meet("write", f"write({fd}, {len(data)} bytes)")
                if fault is not None:
                    real(fd, memoryview(data)[: len(data) // 2])  # a part of it arrives
                    self._raise(fault)
            return real(fd, data)

        return call

    def _closing(self, real: Callable[[int], None]) -> Callable[[int], None]:
        def call(fd: int) -> None:
            self.open.pop(fd, None)
            real(fd)  # a dead process closes everything, too
            if fd in self._written:
                self._written.discard(fd)
                if _is_ours(2) and not self._dead:
                    fault = self._meet("flush", f"close({fd})")  # a share may tell only now
                    if fault is not None:
                        self._raise(fault)

        return call

    def _opening_file(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any, mode: str = "r", *rest: Any, **options: Any) -> Any:
            if not _is_ours(2):
                return real(path, mode, *rest, **options)
            writes = not set("wax+").isdisjoint(mode)
            fault = self._meet("create" if writes else "open", f"open{_shown((path, mode))}")
            if fault is not None:
                if isinstance(path, int):
                    os.close(path)  # as `open` would when it fails
                self._raise(fault, path)
            file = real(path, mode, *rest, **options)
            self.open.pop(path, None)  # it is the file's to close now
            return _File(self, file) if writes else file

        return call

    def _spawning(self, real: Any) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if _is_ours(2, _THROUGH | {"subprocess"}):
                fault = self._meet("spawn", f"run{_shown(arguments[0])}")
                if fault is not None:
                    self._raise(Fault(fault.name, errno.ENOMEM, fault.kinds))
            return real(*arguments, **options)

        return call


def _shown(arguments: Iterable[Any]) -> str:
    return f"({', '.join(str(one)[-60:] for one in arguments if isinstance(one, (str, int)))})"


class _File:
    """A file open for writing, whose text goes to the disk when it is written, or not."""

    def __init__(self, seam: Seam, file: Any) -> None:
        self._seam = seam
        self._file = file

    def write(self, text: Any) -> int:
        fault = self._seam._meet("write", f"write({self._file.name}, {len(text)})")
        if fault is not None:
            self._file.write(text[: len(text) // 2])
            self._file.flush()
            self._seam._raise(fault)
        return int(self._file.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __enter__(self) -> _File:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._file)


class _Libc:
    """The C library, for the calls that Python does not know."""

    def __init__(self, seam: Seam, real: Any) -> None:
        self._seam = seam
        self._real = real

    def _fails(self, kind: str, what: str) -> bool:
        fault = self._seam._meet(kind, what)
        if fault is None:
            return False
        if not fault.code:
            raise Killed
        ctypes.set_errno(fault.code)
        return True

    def syncfs(self, fd: int) -> int:
        return -1 if self._fails("flush", f"syncfs({fd})") else int(self._real.syncfs(fd))

    def renameat2(self, *arguments: Any) -> int:
        what = f"renameat2{_shown(arguments)}"
        return -1 if self._fails("rename", what) else int(self._real.renameat2(*arguments))


def _database_of(seam: Seam) -> type[sqlite3.Connection]:
    class Database(sqlite3.Connection):
        def execute(self, *arguments: Any) -> Any:
            self._meet(f"execute{_shown(arguments[:1])}")
            return super().execute(*arguments)

        def executemany(self, *arguments: Any) -> Any:
            self._meet(f"executemany{_shown(arguments[:1])}")
            return super().executemany(*arguments)

        def _meet(self, what: str) -> None:
            fault = seam._meet("database", what)
            if fault is not None:
                if not fault.code:
                    raise Killed
                raise sqlite3.OperationalError(_DATABASE_ERRORS[fault.code])

    return Database


class _Remote(Wrapper):
    """A backend each call of which may fail."""

    def __init__(self, inner: Backend, seam: Seam) -> None:
        super().__init__(inner)
        self._seam = seam

    def _do(self, what: str, call: Callable[[], Any]) -> Any:
        fault = self._seam._meet("remote", what)
        if fault is None:
            return call()
        if not fault.code:
            raise Killed
        if fault.late:
            call()
        raise _REMOTE_ERRORS[fault.code]

    def put(self, key: str, source: Any, **options: Any) -> None:
        self._do(f"remote put {key}", lambda: self.inner.put(key, source, **options))

    def get(self, key: str, sink: Any, **options: Any) -> None:
        self._do(f"remote get {key}", lambda: self.inner.get(key, sink, **options))

    def stat(self, keys: Iterable[str]) -> Any:
        return self._do("remote stat", lambda: self.inner.stat(keys))

    def list(self, prefix: str) -> Any:
        return iter(self._do(f"remote list {prefix}", lambda: [*self.inner.list(prefix)]))

    def delete(self, keys: Iterable[str]) -> None:
        self._do("remote delete", lambda: self.inner.delete(keys))

    def flush(self) -> None:
        self._do("remote flush", self.inner.flush)

    def sweep(self, age: float) -> int:
        return int(self._do("remote sweep", lambda: self.inner.sweep(age)))

    def close(self) -> None:
        self.inner.close()
