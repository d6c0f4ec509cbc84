"""A folder as a remote: on this disk, on another one, or on a share that is mounted.

Owns how objects lie in that folder: each under its key, everything else (temporary files beside the objects, and the
marks in ``tmp/`` that tell whose they are) invisible. Knows nothing of what an object means, nor of other stores.

The root may be a link; below it none is followed, because whoever can write to a share can make one.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import sys
import threading
from collections.abc import Callable, Iterable, Iterator

from ..errors import (
    LockHeld,
    RemoteDenied,
    RemoteError,
    RemoteNotFound,
    RemoteQuota,
    RemoteUnavailable,
    UnsafePath,
    UsageError,
)
from ..fsutil import CHUNK, CREATE, READ_USER, TEMP_PREFIX, Dir, clone, copy_bytes
from ..paths import show
from .base import Backend, Capabilities, Info, Sink, check_key, check_prefix
from .pending import MARKS, Pending
from .room import write_large
from .source import SMALL, Source, first_bytes, open_source

BATCH_FILES = 20_000  # flushed by itself after so many, so that memory and the loss by a crash stay bounded

# Read-only, so that a slip in a shared folder does not damage an object. Windows cannot replace such a file.
_MODE = 0o444 if os.name == "posix" else 0o666
_QUOTA = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}
# What a reader may be told when a name is not there, or is that of a link, a folder, a fifo or a socket.
_ABSENT = {
    *(errno.ENOENT, errno.ELOOP, errno.EMLINK, errno.ENOTDIR, errno.EISDIR, errno.ENXIO, errno.EAGAIN, errno.ESPIPE),
    errno.ENAMETOOLONG,
}
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def open_url(url: str, options: dict[str, str], root: str) -> LocalBackend:
    """Make the backend of a path (relative ones start at `root`) or of a ``file:///absolute/path`` URL."""
    if not url.lower().startswith("file://"):
        return LocalBackend(os.path.normpath(os.path.join(root, os.path.expanduser(url))))
    from urllib.parse import unquote  # only here: most remotes are written as plain paths

    host, slash, path = url[len("file://") :].partition("/")
    if host.lower() not in ("", "localhost") or not slash:
        raise UsageError(
            f"{show(url)} names a folder of another machine", hint="Write file:///absolute/path, or the path alone."
        )
    path = unquote(path)
    return LocalBackend(os.path.normpath(path if os.name == "nt" else "/" + path))


class LocalBackend(Backend):
    """The store in the folder at the absolute path `path`. Opening it touches nothing; the first `put` makes it.

    Where the file system knows no locks, what killed processes left is not swept.
    """

    capabilities = Capabilities("local folder", concurrency=2, cheap_stat=True, streams=True)

    def __init__(self, path: str) -> None:
        self.path = path
        self._mutex = threading.Lock()
        self._root: Dir | None = None
        self._pending: Pending | None = None  # made by the first `put`
        self._real = {""}  # folders that were seen to be reached through no link
        self._lost: RemoteError | None = None

    # ---------------------------------------------------------------- the folder

    def _open(self) -> Dir | None:
        """Return the root, or None while nobody has made it."""
        if self._root is None:
            with self._mutex:
                self._root = self._root or self._open_root()
        return self._root

    def _open_root(self) -> Dir | None:
        try:
            return Dir.open_root(self.path)
        except FileNotFoundError:
            needed = self.path if os.path.islink(self.path) else os.path.dirname(self.path)
            if os.path.isdir(needed):
                return None
            # An empty answer would be taken for "nothing was ever pushed".
            raise RemoteDenied(f"the folder {show(needed)} does not exist (is the disk mounted?)") from None
        except OSError as error:
            raise self._failed(error, "") from error

    def _begin(self) -> tuple[Dir, Pending]:
        """Make the store, and make it ready for what this process puts."""
        with self._told(""):
            if self._open() is None:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(self.path)
            top = self._open()
            if top is None:
                raise RemoteUnavailable(f"the folder {show(self.path)} was removed meanwhile")
            with self._mutex:
                self._pending = self._pending or Pending(top)
                return top, self._pending

    def _is_real(self, top: Dir, folder: str) -> bool:
        """Tell whether the folder of a key is there; raise `RemoteDenied` when a link leads to it."""
        if folder not in self._real:
            with self._told(folder):
                try:
                    top.descend(folder).close()
                except (FileNotFoundError, NotADirectoryError):
                    return False
            self._real.add(folder)
        return True

    @contextlib.contextmanager
    def _told(self, key: str) -> Iterator[None]:
        """Make every error one that the contract knows."""
        try:
            yield
        except UnsafePath as error:
            raise RemoteDenied(error.message, hint=error.hint) from None
        except LockHeld as error:
            raise RemoteUnavailable(error.message, hint=error.hint) from None
        except OSError as error:
            raise self._failed(error, key) from error

    def _failed(self, error: OSError, key: str) -> RemoteError:
        message = f"{show(os.path.join(self.path, key) if key else self.path)}: {error.strerror or error}"
        if error.errno in _QUOTA:
            return RemoteQuota(message)
        if error.errno in _DENIED:
            return RemoteDenied(message)
        return RemoteUnavailable(message)

    # ---------------------------------------------------------------- putting

    def put(self, key: str, source: str | bytes | Source, *, label: str = "", once: bool = False) -> None:
        """Write a temporary file beside the key; `flush` gives it its name. The label is not used.

        With `once` the name is given only if nobody has it, at one blow where the file system knows hard links.
        """
        _check(key)
        if self._lost is not None:
            raise self._lost
        top, pending = self._root, self._pending
        if top is None or pending is None:
            top, pending = self._begin()
        if isinstance(source, Source) and source.fd >= 0:
            source.reached(0)
            os.lseek(source.fd, 0, os.SEEK_SET)
            temp = self._write(top, pending, key, b"", source.fd, source.moved)
        elif isinstance(source, bytes | Source):
            temp = self._write(top, pending, key, source, None)
        else:
            fd = open_source(source)
            try:
                data, more = first_bytes(fd, source)
                temp = self._write(top, pending, key, data, fd if more else None)
            finally:
                os.close(fd)
        if pending.add(key, temp, once=once) >= BATCH_FILES:
            self.flush()

    def _write(
        self,
        top: Dir,
        pending: Pending,
        key: str,
        data: bytes | Source,
        rest: int | None,
        moved: Callable[[int], object] = bool,
    ) -> str:
        """Write `data` and what is left to read of `rest`, a descriptor, into a temporary file; return its name."""
        temp = pending.temp_beside(key)
        folder = key.rpartition("/")[0]
        try:
            if folder not in self._real and not self._is_real(top, folder):
                self._make(top, pending, folder)
            try:
                out = top.open(temp, CREATE, _MODE)
            except FileNotFoundError:  # somebody removed the folder since we saw it
                self._make(top, pending, folder)
                out = top.open(temp, CREATE, _MODE)
            try:
                try:
                    if rest is None or not clone(rest, out):
                        for piece in _pieces(data):
                            write_large(out, piece)
                        if rest is not None:
                            copy_bytes(rest, out, moved)
                finally:
                    os.close(out)  # a share may tell only now that it is full
            except BaseException:
                pending.discard(temp)
                raise
        except OSError as error:
            raise self._failed(error, key) from error
        return temp

    def _make(self, top: Dir, pending: Pending, folder: str) -> None:
        with self._told(folder):
            top.descend(folder, create=True).close()
        pending.made_folder()
        self._real.add(folder)

    def flush(self) -> None:
        """Name what was put, durably.

        What failed once fails for good: after a failed write-back the kernel forgets the bytes, and a second
        attempt would succeed without them.
        """
        if self._lost is not None:
            raise self._lost
        if self._pending is None:
            return
        try:
            self._pending.flush()
        except OSError as error:
            failed = self._failed(error, "")
            self._lost = RemoteError(failed.message) if isinstance(failed, RemoteUnavailable) else failed
            raise self._lost from error
        except BaseException:
            self._lost = RemoteError(f"{show(self.path)}: a flush was broken off; what was stored is not there")
            raise

    # ---------------------------------------------------------------- reading

    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        """Read in pieces of at most 4 MiB. What is no regular file is not there; the sink's own errors pass."""
        _check(key)
        top = self._root or self._open()
        if top is None or not self._is_real(top, key.rpartition("/")[0]):
            raise RemoteNotFound(f"{key} is not in {show(self.path)}")
        try:
            fd = top.open(key, READ_USER)
        except OSError as error:
            raise self._unreadable(error, key) from error
        try:
            left, size, data = sys.maxsize if length is None else length, SMALL, b""
            self._seek(fd, start, key)
            while left > 0:
                try:
                    piece = os.read(fd, min(size, left))
                except OSError as error:
                    raise self._unreadable(error, key) from error
                if not piece:
                    break
                data = piece
                sink.write(data)
                left -= len(data)
                size = SMALL if len(data) < SMALL else CHUNK
            # A fifo reads as empty, and nothing was read at all of a folder if nothing was asked for.
            if not data and not stat.S_ISREG(os.fstat(fd).st_mode):
                raise RemoteNotFound(f"{key} is not in {show(self.path)}")
        finally:
            os.close(fd)

    def _seek(self, fd: int, start: int, key: str) -> None:
        if start:
            try:
                os.lseek(fd, start, os.SEEK_SET)
            except OSError as error:
                raise self._unreadable(error, key) from error

    def _unreadable(self, error: OSError, key: str) -> RemoteError:
        if error.errno in _ABSENT:
            return RemoteNotFound(f"{key} is not in {show(self.path)}")
        return self._failed(error, key)

    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        """Look at each. The token is made of mtime, ctime and inode, of which a program can forge but the first."""
        found: dict[str, Info] = {}
        top = self._root or self._open()
        if top is None:
            return found
        look, real = top.lstat, self._real
        absent: set[str] = set()
        for key in keys:
            folder = key.rpartition("/")[0]
            if folder in absent:
                continue
            _check(key)
            if folder not in real and not self._is_real(top, folder):
                absent.add(folder)
                continue
            try:
                status = look(key)
            except OSError as error:
                if error.errno in _ABSENT:
                    continue
                raise self._failed(error, key) from error
            if stat.S_ISREG(status.st_mode):
                found[key] = _info(status)
        return found

    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        """Walk the folders; one that cannot be read is an error, never an empty one."""
        folder = check_prefix(prefix)[:-1]
        top = self._root or self._open()
        if top is not None and self._is_real(top, folder):
            yield from self._walk(top, folder)

    def _walk(self, top: Dir, folder: str) -> Iterator[tuple[str, Info]]:
        found: list[tuple[str, Info | None]] = []
        try:
            with top.descend(folder) as here:
                for entry in here.entries():
                    key = f"{folder}/{entry.name}" if folder else entry.name
                    if _NAME.fullmatch(entry.name) is None or _is_private(key) or len(key) > 512:
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        found.append((key + "/", None))  # with the slash it sorts where its keys do
                    elif entry.is_file(follow_symlinks=False):
                        with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                            found.append((key, _info(entry.stat(follow_symlinks=False))))
        except (FileNotFoundError, UnsafePath):
            return  # removed or replaced meanwhile
        except OSError as error:
            raise self._failed(error, folder) from error
        for key, info in sorted(found, key=_first):
            if info is None:
                yield from self._walk(top, key[:-1])
            else:
                yield key, info

    # ---------------------------------------------------------------- the rest

    def delete(self, keys: Iterable[str]) -> None:
        """Remove files, also those that wait for their flush; the folders stay, for others may be writing there."""
        top = self._root or self._open()
        for key in keys:
            _check(key)
            if top is None:
                continue
            if self._pending is not None:
                self._pending.drop(key)
            if not self._is_real(top, key.rpartition("/")[0]):
                continue
            try:
                top.unlink(key)
            except OSError as error:
                if error.errno in _ABSENT:
                    continue
                raise self._failed(error, key) from error

    def close(self) -> None:
        """Throw away what was not flushed. A second call does nothing."""
        if self._pending is not None:
            self._pending.close()
            self._pending = None
        if self._root is not None:
            self._root.close()
            self._root = None


# ------------------------------------------------------------------------------ names


def _check(key: str) -> None:
    check_key(key)
    if _is_private(key):
        raise UsageError(f"{key[:80]!r} cannot be a key in a folder: such names are of temporary files")


def _is_private(key: str) -> bool:
    return TEMP_PREFIX in key or (key.startswith(MARKS) and key[len(MARKS) : len(MARKS) + 1] in ("", "/"))


def _pieces(data: bytes | Source) -> Iterable[bytes | memoryview]:
    """Return all of it: in one where it is in memory, so that what is large is written as such."""
    if isinstance(data, bytes):
        return (data,)
    return (data.memory,) if data.memory is not None else data.pieces(0, data.size)


def _first(pair: tuple[str, object]) -> str:
    return pair[0]


def _info(status: os.stat_result) -> Info:
    return Info(status.st_size, f"{status.st_mtime_ns}-{status.st_ctime_ns}-{status.st_ino}")
