"""Files of this machine, and of whatever fsspec reaches, as an origin.

Owns how a folder becomes names: regular files alone, and what is none of these is refused by name, never followed.
fsspec is loaded only for a scheme that is not ours.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import time
from collections.abc import Generator, Iterable, Iterator
from typing import Any

from ..errors import DvcLikeError, RemoteDenied, RemoteError, RemoteNotFound, RemoteUnavailable, UsageError
from ..fsutil import READ_USER, is_racy
from ..paths import show
from .base import Capabilities, Info, Sink
from .fsspec_errors import told
from .origin import UNKNOWN, Origin, changed
from .registry import open_backend, redact, scheme_of

PIECE = 1 << 20
_DOUBTFUL = 5.0  # seconds: what was written so shortly ago may be written again and bear the same time
_SSH = ("sftp", "ssh")


class LocalOrigin(Origin):
    """A file or a folder of this machine."""

    capabilities = Capabilities("local folder", concurrency=2, cheap_stat=True)

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def _full(self, key: str) -> str:
        return os.path.join(self._path, key) if key else self._path

    def _info(self, key: str, status: os.stat_result) -> Info:
        info = Info(status.st_size, f"mtime:{status.st_mtime_ns}")
        proof = f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns} {status.st_ino}"
        return self._saw(key, info, "" if is_racy(status, time.time_ns()) else proof)

    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        """Look at each."""
        found = {}
        for key in keys:
            try:
                status = os.stat(self._full(key)) if not key else os.lstat(self._full(key))
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                raise self._failed(error, key) from error
            if stat.S_ISREG(status.st_mode):
                found[key] = self._info(key, status)
            elif not stat.S_ISDIR(status.st_mode):
                raise DvcLikeError(f"{show(self._full(key))} is neither a file nor a folder")
        return found

    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        """Yield all files below, sorted; raise for a link or anything else that is no file."""
        found: list[tuple[str, Info]] = []
        waiting = [""]
        while waiting:
            here = waiting.pop()
            try:
                with os.scandir(self._full(here)) as entries:
                    for entry in entries:
                        name = f"{here}/{entry.name}" if here else entry.name
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(name)
                        elif entry.is_file(follow_symlinks=False):
                            found.append((name, self._info(name, entry.stat(follow_symlinks=False))))
                        else:
                            raise DvcLikeError(
                                f"{show(self._full(name))} is a link, or no file",
                                hint="Only files are imported: copy the folder here, and add it.",
                            )
            except FileNotFoundError:
                if here:
                    raise changed(here) from None
            except OSError as error:
                raise self._failed(error, here) from error
        yield from sorted(found)

    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        """Read in pieces; what was changed meanwhile is found out at the end."""
        try:
            fd = os.open(self._full(key), READ_USER if key else READ_USER & ~getattr(os, "O_NOFOLLOW", 0))
        except OSError as error:
            raise self._failed(error, key) from error
        try:
            self._info(key, self._status(fd, key))
            os.lseek(fd, start, os.SEEK_SET)
            left = length
            while left is None or left > 0:
                try:
                    piece = os.read(fd, PIECE if left is None else min(PIECE, left))
                except OSError as error:
                    raise self._failed(error, key) from error
                if not piece:
                    break
                sink.write(piece)
                left = None if left is None else left - len(piece)
            self._info(key, self._status(fd, key))
        finally:
            os.close(fd)

    def _status(self, fd: int, key: str) -> os.stat_result:
        try:
            return os.fstat(fd)
        except OSError as error:
            raise self._failed(error, key) from error

    def _failed(self, error: OSError, key: str) -> RemoteError:
        message = f"{show(self._full(key))} cannot be read: {error.strerror or error}"
        return (RemoteNotFound if isinstance(error, FileNotFoundError) else RemoteDenied)(message)


# ------------------------------------------------------------------------------ fsspec


def open_fsspec(url: str, options: dict[str, str], root: str) -> FsspecOrigin:
    """Make the origin of a URL that fsspec knows, with or without ``fsspec+`` in front."""
    plain = url[len("fsspec+") :] if url.lower().startswith("fsspec+") else url
    scheme = scheme_of(plain)
    if "::" in plain:
        raise UsageError(f"{show(redact(url))}: URLs that are chained with :: are not read")
    if scheme in _SSH:  # fsspec's own takes any server at its word that it is the one that is meant
        return SshOrigin(open_backend(f"fsspec+{plain}", options, root), show(redact(url)))
    try:
        from fsspec.core import url_to_fs
    except ImportError:
        raise RemoteError(
            f"{scheme}:// cannot be read here without fsspec", hint="Install it with: pip install 'dvc-like[fsspec]'"
        ) from None
    with _Told(show(redact(url))):  # some connect at once
        try:
            fs, path = url_to_fs(plain)
        except ImportError as error:
            why = show(str(error))[:200]
            raise RemoteError(f"{scheme}:// cannot be read here: {why}", hint="Install it.") from None
        except ValueError as error:
            raise UsageError(
                f"{show(redact(url))} cannot be read: {show(str(error))[:200]}",
                hint="Give a path, or a URL of http, https, s3 or a scheme that fsspec knows.",
            ) from None
    return FsspecOrigin(fs, path, show(redact(url)))


class FsspecOrigin(Origin):
    """A file or a folder of some file system that fsspec knows."""

    capabilities = Capabilities("fsspec file system", concurrency=4)

    def __init__(self, fs: Any, path: str, name: str) -> None:
        super().__init__()
        self._fs = fs
        self._path = path
        self._name = name

    def _full(self, key: str) -> str:
        return f"{self._path.rstrip('/')}/{key}" if key else self._path

    def _info(self, key: str, said: dict[str, Any]) -> Info:
        size = int(said["size"]) if said.get("size") is not None else UNKNOWN
        etag = next((said[name] for name in ("ETag", "etag", "e_tag", "md5Hash", "generation") if said.get(name)), "")
        if etag:
            token = str(etag).strip('"')
            return self._saw(key, Info(size, f"etag:{token}"), token)
        names = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
        when = next((said[name] for name in names if said.get(name)), "")
        stamp = when.timestamp() if hasattr(when, "timestamp") else when
        is_old = isinstance(stamp, int | float) and stamp < time.time() - _DOUBTFUL
        token = str(when)
        return self._saw(key, Info(size, f"mtime:{token}" if token else ""), f"{token} {size}" if is_old else "")

    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        """Ask for each."""
        found = {}
        for key in keys:
            with self._files() as files:
                files.invalidate_cache()
                try:
                    said = files.info(self._full(key))
                except FileNotFoundError:
                    continue
            if said.get("type") == "file":
                found[key] = self._info(key, said)
        return found

    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        """Yield all files below, sorted."""
        with self._files() as files:
            top = files._strip_protocol(self._path).rstrip("/")
            try:
                listed = files.find(self._path, detail=True)
            except FileNotFoundError:
                return
        for path, said in sorted(listed.items()):
            if not path.startswith(f"{top}/"):
                raise RemoteError(f"{self._name} lists {show(path)}, which is not below it")
            if said.get("type", "file") != "file" or said.get("islink"):
                raise DvcLikeError(f"{show(path)} is a link, or no file", hint="Only files are imported.")
            yield path[len(top) + 1 :], self._info(path[len(top) + 1 :], said)

    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        """Read in pieces; what was changed meanwhile is found out at the end."""
        if start and length is None and not self.validator(key):
            raise changed(key)
        with contextlib.closing(self._pieces(key, start, length)) as pieces:
            for piece in pieces:
                sink.write(piece)
        if not self.stat([key]):
            raise changed(key)

    def _pieces(self, key: str, start: int, length: int | None) -> Generator[bytes, None, None]:
        """Yield the bytes; what the consumer raises does not come by here."""
        with self._files() as files, files.open(self._full(key), "rb", cache_type="readahead") as file:
            if start:
                file.seek(start)
            left = length
            while (left is None or left > 0) and (piece := file.read(PIECE if left is None else min(PIECE, left))):
                yield piece
                left = None if left is None else left - len(piece)

    @contextlib.contextmanager
    def _files(self) -> Iterator[Any]:
        """Give the file system; its errors become those of the contract."""
        with _Told(self._name):
            yield self._fs


class SshOrigin(FsspecOrigin):
    """A file or a folder of a machine that is in ``known_hosts``, by the connections of `fsspec_sftp`."""

    def __init__(self, backend: Any, name: str) -> None:
        super().__init__(None, backend.folder, name)
        self._backend = backend

    @contextlib.contextmanager
    def _files(self) -> Iterator[Any]:
        with told(self._name), self._backend._lent() as files:
            yield files

    def _pieces(self, key: str, start: int, length: int | None) -> Generator[bytes, None, None]:
        path = self._full(key)
        with self._files() as files:
            if not stat.S_ISREG(files.ftp.stat(path).st_mode or 0):  # a pipe is never open, and nobody says why
                raise DvcLikeError(f"{show(path)} is no file", hint="Only files are imported.")
            yield from files.read(path, start, length)

    def close(self) -> None:
        """Close the connections."""
        self._backend.close()


class _Told:
    """Makes the errors of a file system those of the contract. Of others' only the class is shown."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *_: object) -> None:
        if error is None or isinstance(error, DvcLikeError) or not isinstance(error, Exception):
            return
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            raise RemoteNotFound(f"{self._name} is not there") from None
        if isinstance(error, PermissionError):
            raise RemoteDenied(f"{self._name}: access was refused") from None
        if isinstance(error, socket.gaierror):
            raise RemoteUnavailable(
                f"{self._name}: the name of the server is not known", hint="Look at the address and the network."
            ) from None
        if isinstance(error, OSError | EOFError):
            raise RemoteUnavailable(
                f"{self._name}: the connection broke ({type(error).__name__})",
                hint="Look at the address and the network.",
            ) from None
        raise RemoteError(f"{self._name} cannot be read: {type(error).__name__}") from error
