"""The file system, used so that a crash, a link or another process cannot hurt.

Owns the primitives everything on disk is built from: folders opened without following links (`Dir`),
temporary names, write-aside-and-rename, flushing, cloning and stat signatures. Knows
nothing of what is stored.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import struct
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from itertools import count
from typing import Any

from .errors import UnsafePath, named

TEMP_PREFIX = ".dvc-like-tmp-"
CHUNK = 1 << 20  # bytes moved at once: more no longer fits the processor's cache and costs twice as much
IN_KERNEL = 64 << 20  # bytes that the kernel copies at once
_POSIX = os.name == "posix"
_NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
_DIRECTORY = getattr(os, "O_DIRECTORY", 0)
_BINARY = getattr(os, "O_BINARY", 0)
READ = os.O_RDONLY | _NOFOLLOW | _BINARY | getattr(os, "O_CLOEXEC", 0)
#: For a file of the user's: a fifo that appears where a file was must not make us wait.
READ_USER = READ | getattr(os, "O_NONBLOCK", 0)
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NOFOLLOW | _BINARY | getattr(os, "O_CLOEXEC", 0)

_serial = count()
_BORN = time.time_ns()


def temp_name() -> str:
    """Return a name that no other process uses and that `is_temp` recognises."""
    return f"{TEMP_PREFIX}{os.getpid():x}-{_BORN:x}-{next(_serial):x}"


def is_temp(name: str) -> bool:
    """Tell whether `name` is a left-over of ours: never data, safe to sweep when it is old."""
    return name.startswith(TEMP_PREFIX)


# ------------------------------------------------------------------------------ signatures

SIGNATURE = struct.Struct("<4Q")  # size, mtime_ns, ctime_ns, inode
_MASK = (1 << 64) - 1
#: Never equal to a real one: stands for "nothing is known of this entry".
NO_SIGNATURE = b"\xff" * SIGNATURE.size


def signature(status: os.stat_result) -> bytes:
    """Return the 32 bytes that change whenever a file is written, replaced or has its mode changed.

    ctime is what makes it honest: a program can put the mtime back, not the ctime.
    """
    return SIGNATURE.pack(status.st_size, status.st_mtime_ns & _MASK, status.st_ctime_ns & _MASK, status.st_ino & _MASK)


def untrusted(signature: bytes) -> bytes:
    """Return a signature that keeps the size and equals no real one: the content must be compared."""
    return signature[:8] + NO_SIGNATURE[8:]


def is_racy(status: os.stat_result, now_ns: int) -> bool:
    """Tell whether a write after `now_ns` could leave the same signature (Git's "racy" rule).

    File systems stamp with a coarse clock: 4-10 ms in the Linux kernel, 2 s on FAT, where the stamps
    are whole seconds.
    """
    return is_young(status.st_ctime_ns if _POSIX else status.st_mtime_ns, now_ns)


def is_young(stamp: int, now_ns: int) -> bool:
    """Tell whether the clock may still stand where it stood when something was stamped."""
    tick = 2_000_000_000 if stamp % 1_000_000_000 == 0 else 20_000_000
    return stamp >= now_ns - tick


# ------------------------------------------------------------------------------ folders


class Dir:
    """An open folder. Names are resolved in it and never through a link.

    On POSIX every call is relative to the open descriptor, so nothing that is renamed or replaced
    by a link meanwhile can lead elsewhere; elsewhere (Windows) paths are joined after a check.
    """

    __slots__ = ("fd", "path")

    def __init__(self, path: str, fd: int | None) -> None:
        self.path = path
        self.fd = fd

    @classmethod
    def open_root(cls, path: str) -> Dir:
        """Open the folder at an absolute path that is ours to trust (links in it are followed)."""
        if _POSIX:
            return cls(path, os.open(path, os.O_RDONLY | _DIRECTORY | os.O_CLOEXEC))
        if not os.path.isdir(path):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        return cls(path, None)

    def sub(self, name: str, *, create: bool = False) -> Dir:
        """Open a folder in this one; raise `UnsafePath` when the name is a link."""
        if create:
            with contextlib.suppress(FileExistsError):
                self.mkdir(name)
        path = f"{self.path}/{name}"
        try:
            if self.fd is not None:
                flags = os.O_RDONLY | _DIRECTORY | _NOFOLLOW | os.O_CLOEXEC
                return Dir(path, os.open(name, flags, dir_fd=self.fd))
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR) and os.path.islink(path):
                raise UnsafePath(
                    f"{path} is a link; nothing is read or written through it",
                    hint="Replace the link by a real folder, or track what it points to where it lies.",
                ) from None
            raise
        return Dir(path, None)

    def descend(self, relative: str, *, create: bool = False) -> Dir:
        """Open a folder some levels below (empty: a second handle of this one)."""
        here = Dir(self.path, None if self.fd is None else os.dup(self.fd))
        for part in relative.split("/") if relative else ():
            try:
                below = here.sub(part, create=create)
            finally:
                here.close()
            here = below
        return here

    def open(self, name: str, flags: int, mode: int = 0o666) -> int:
        """Open a file in this folder; return its descriptor."""
        try:
            if self.fd is not None:
                return os.open(name, flags, mode, dir_fd=self.fd)
            return os.open(f"{self.path}/{name}", flags, mode)
        except OSError as error:
            error.filename = f"{self.path}/{name}"  # a name alone would not tell the user which
            raise

    def lstat(self, name: str) -> os.stat_result:
        """Stat an entry, not what it links to."""
        if self.fd is not None:
            return os.stat(name, dir_fd=self.fd, follow_symlinks=False)
        return os.lstat(f"{self.path}/{name}")

    def exists(self, name: str) -> bool:
        """Tell whether an entry of that name is there, be it a dangling link."""
        try:
            self.lstat(name)
        except FileNotFoundError:
            return False
        return True

    def signatures(self, names: Iterable[str]) -> bytes | None:
        """Return the packed signatures of all `names`, or None as soon as one is gone."""
        flat: list[int] = []
        add = flat.extend
        look, fd, mask = os.stat, self.fd, _MASK
        try:
            if fd is not None:
                for name in names:
                    s = look(name, dir_fd=fd, follow_symlinks=False)
                    add((s.st_size, s.st_mtime_ns & mask, s.st_ctime_ns & mask, s.st_ino & mask))
            else:
                return b"".join([signature(os.lstat(f"{self.path}/{name}")) for name in names])
        except (FileNotFoundError, NotADirectoryError):
            return None
        return struct.pack(f"<{len(flat)}Q", *flat)

    def status(self) -> os.stat_result:
        """Stat the folder itself."""
        try:
            return os.fstat(self.fd) if self.fd is not None else os.stat(self.path)
        except OSError as error:
            raise named(error, self.path) from None

    def entries(self) -> Iterator[os.DirEntry[str]]:
        """List the folder."""
        try:
            listing = os.scandir(self.fd if self.fd is not None else self.path)
        except OSError as error:
            error.filename = self.path
            raise
        with listing:
            yield from listing

    def rename(self, old: str, new: str, *, into: Dir | None = None) -> None:
        """Give an entry of this folder another name, in it or in another folder, replacing what bears it."""
        target = into or self
        if self.fd is not None and target.fd is not None:
            os.rename(old, new, src_dir_fd=self.fd, dst_dir_fd=target.fd)
        else:
            os.replace(f"{self.path}/{old}", f"{target.path}/{new}")

    def rename_new(self, old: str, new: str, *, into: Dir | None = None) -> None:
        """Rename as `rename` does, but raise `FileExistsError` where the name is taken: nothing is replaced."""
        target = into or self
        if self.fd is None or target.fd is None:
            os.rename(f"{self.path}/{old}", f"{target.path}/{new}")  # on Windows this never replaces
        elif not _rename_no_replace(self.fd, old, target.fd, new):
            if target.exists(new):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), f"{target.path}/{new}")
            self.rename(old, new, into=target)

    def unlink(self, name: str) -> None:
        """Remove an entry that is no folder."""
        if self.fd is not None:
            os.unlink(name, dir_fd=self.fd)
        else:
            path = f"{self.path}/{name}"
            with contextlib.suppress(OSError):  # Windows does not remove read-only files
                os.chmod(path, stat.S_IREAD | stat.S_IWRITE)
            os.unlink(path)

    def mkdir(self, name: str) -> None:
        """Make a folder."""
        if self.fd is not None:
            os.mkdir(name, dir_fd=self.fd)
        else:
            os.mkdir(f"{self.path}/{name}")

    def rmdir(self, name: str) -> None:
        """Remove an empty folder."""
        if self.fd is not None:
            os.rmdir(name, dir_fd=self.fd)
        else:
            os.rmdir(f"{self.path}/{name}")

    def readlink(self, name: str) -> str:
        """Return where a link points."""
        if self.fd is not None:
            return os.readlink(name, dir_fd=self.fd)
        return os.readlink(f"{self.path}/{name}")

    def symlink(self, target: str, name: str) -> None:
        """Make a symbolic link."""
        if self.fd is not None:
            os.symlink(target, name, dir_fd=self.fd)
        else:
            os.symlink(target, f"{self.path}/{name}")

    def write(self, name: str, data: bytes, *, mode: int = 0o666, aside: Dir | None = None) -> None:
        """Put `data` under `name` at once: aside, flushed, renamed. Replaces a link, never follows it.

        `aside` is a folder for the temporary file that Git does not look into, where it is on the same file system.
        """
        where, temp = aside or self, temp_name()
        fd = where.open(temp, CREATE, mode)
        try:
            try:
                write_all(fd, data)
                os.fsync(fd)
            finally:
                os.close(fd)
            where.rename(temp, name, into=self)
        except OSError as error:
            where._discard(temp)
            if aside is None or error.errno != errno.EXDEV:
                raise named(error, f"{self.path}/{name}") from None
            self.write(name, data, mode=mode)
        except BaseException:
            where._discard(temp)
            raise

    def _discard(self, temp: str) -> None:
        with contextlib.suppress(OSError):
            self.unlink(temp)

    def read(self, name: str, limit: int) -> bytes:
        """Return a small regular file whole; raise `OSError` (EFBIG) past `limit` bytes."""
        fd = self.open(name, READ_USER)
        try:
            status = os.fstat(fd)
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "not a regular file", f"{self.path}/{name}")
            if status.st_size > limit:
                raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), f"{self.path}/{name}")
            return read_all(fd, status.st_size)
        except OSError as error:
            raise named(error, f"{self.path}/{name}") from None
        finally:
            os.close(fd)

    def close(self) -> None:
        """Give the descriptor back; a second call does nothing."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    def __enter__(self) -> Dir:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


# ------------------------------------------------------------------------------ bytes


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write everything: one `write` may take only a part."""
    done = os.write(fd, data)
    while done < len(data):
        done += os.write(fd, memoryview(data)[done:])


def read_all(fd: int, size_hint: int) -> bytes:
    """Read up to the end of the file; the hint saves a call when it is right."""
    data = os.read(fd, size_hint + 1)
    if len(data) == size_hint:
        return data
    parts = [data]
    while parts[-1]:
        parts.append(os.read(fd, CHUNK))
    return b"".join(parts)


_FICLONE = 0x40049409


def clone(source: int, target: int) -> bool:
    """Make the empty file `target` share the blocks of `source`; False where that cannot be."""
    if not sys.platform.startswith("linux"):
        return False
    import fcntl

    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        return False
    return True


def copy_bytes(source: int, target: int, moved: Callable[[int], object] = bool) -> None:
    """Copy from one descriptor to another to the end, inside the kernel where it can; `moved` hears of each piece."""
    if hasattr(os, "copy_file_range"):
        try:
            while size := os.copy_file_range(source, target, IN_KERNEL):
                moved(size)
            return
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM):
                raise
    while data := os.read(source, CHUNK):
        write_all(target, data)
        moved(len(data))


@cache
def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def _errno() -> int:
    import ctypes

    return ctypes.get_errno()


_RENAME_NOREPLACE = 1


def _rename_no_replace(fd: int, old: str, into: int, new: str) -> bool:
    """Rename between folders and never replace; False where the system or the file system does not know how."""
    if not sys.platform.startswith("linux") or not hasattr(_libc(), "renameat2"):
        return False
    if _libc().renameat2(fd, os.fsencode(old), into, os.fsencode(new), _RENAME_NOREPLACE) == 0:
        return True
    if (code := _errno()) in (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP):
        return False
    raise OSError(code, os.strerror(code), new)


def flush_filesystem(fd: int) -> None:
    """Put everything written to the file system of `fd` on disk: one call for any number of files."""
    if sys.platform.startswith("linux"):
        if _libc().syncfs(fd) == 0:
            return
        code = _errno()
        if code != errno.ENOSYS:
            raise OSError(code, os.strerror(code))
    if hasattr(os, "sync"):
        os.sync()
