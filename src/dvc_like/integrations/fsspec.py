"""A version of a repository as a file system of fsspec: ``dvc-like://path?rev=v1&repo=../data``.

Owns the URL, how our errors are told as those of Python, and which readers are shared in a process. Read-only; it holds
what dvc-like tracks, not what Git does. What crosses to another process is where the repository is and which commit.
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

from fsspec import AbstractFileSystem
from fsspec.spec import make_instance
from fsspec.utils import stringify_path, tokenize

from .. import paths
from ..errors import DvcLikeError, RemoteDenied, RemoteUnavailable, UnsafePath, UsageError
from ..ops._reader import BUFFER, Reader, project_of
from ..ops._sources import is_local
from ..ops._version import Listed
from ..paths import RelPath, show

_OPTION = "(?:rev=[^&?]*|repo=[^&]*)"
_URL = re.compile(rf"dvc-like:(?://|:)(.*?)(?:\?({_OPTION}(?:&{_OPTION})*))?", re.S)
#: Options that fsspec, and programs that know its other file systems, give to all alike.
_OF_FSSPEC = {"asynchronous", "loop", "batch_size", "use_listings_cache", "listings_expiry_time", "max_paths"}
_OF_FSSPEC |= {"block_size", "default_block_size", "cache_type", "default_cache_type"}
_SHARED = 8  # readers that are kept for the next file system of the same version

_readers: OrderedDict[tuple[object, ...], Reader] = OrderedDict()
_mutex = threading.Lock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_mutex.acquire, after_in_parent=_mutex.release, after_in_child=_mutex.release)


class DvcLikeFileSystem(AbstractFileSystem):  # type: ignore[misc]
    """The data of one version, read-only. Paths are seen from the repository's root.

    `repo` is a folder in the repository (None: the current one), or a URL that Git understands. `rev` is any revision
    of Git, resolved once; None is what the workspace's meta files say at each moment, and of a URL the default branch.

    With `verify` all bytes are verified before any is handed out, for which an object is brought whole; without it,
    objects of more than 8 MiB are read in parts that are not verified. With `cache` what comes from a remote is kept in
    the repository's cache.
    """

    protocol = "dvc-like"
    cachable = False  # a revision is another commit tomorrow; what is slow to open is shared by `_shared`

    def __init__(
        self,
        repo: str | os.PathLike[str] | None = None,
        rev: str | None = None,
        *,
        verify: bool = True,
        cache: bool = True,
        **options: Any,
    ) -> None:
        if unknown := sorted(options.keys() - _OF_FSSPEC):  # a misspelt `rev` would read another version
            raise TypeError(f"dvc-like has no option {unknown[0]!r}, but repo, rev, verify and cache")
        super().__init__(**options)
        project, commit = project_of(repo, rev)
        place = "" if repo is None else os.fspath(repo)
        self.repo = project.root if is_local(place) else place
        self.rev, self._verify, self._cache = commit, verify, cache
        settings = [os.stat(path).st_mtime_ns for path in project.config.files.values() if os.path.exists(path)]
        self._reader = _shared(Reader(project, commit, keep=cache, git=False), (self.repo, commit, cache, *settings))

    def __reduce__(self) -> Any:
        """Send what names the version: no connection, no open file."""
        return make_instance, (type(self), (), self._named())

    def _named(self) -> dict[str, object]:
        return {"repo": self.repo, "rev": self.rev, "verify": self._verify, "cache": self._cache}

    @property
    def _fs_token(self) -> str:
        return str(tokenize(type(self), self._named()))

    @property
    def fsid(self) -> str:
        """Names the version, and stays the same between processes."""
        return f"dvc-like_{self._fs_token}"

    @classmethod
    def _strip_protocol(cls, path: Any) -> Any:
        if isinstance(path, list):
            return [cls._strip_protocol(one) for one in path]
        text = stringify_path(path)
        url = _URL.fullmatch(text)  # in a path that is none, what looks like the end of one is a part of the name
        return (url[1] if url else text).strip("/")

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, str]:
        found = _URL.fullmatch(path)
        return dict(parse_qsl(found[2] or "", keep_blank_values=True)) if found else {}

    # ---------------------------------------------------------------- what there is

    def _find(self, path: str) -> Listed:
        """Return what lies at a path; raise `FileNotFoundError`."""
        name = self._strip_protocol(path)
        with contextlib.suppress(UnsafePath):
            place = paths.parse(name) if name else RelPath("")
            with _told(name):
                found: Listed | None = self._reader.find(place)
            if found is not None:
                return found
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        """Tell type, size and hash of a path; of a link, those of what it leads to."""
        return _info(self._find(path), self._strip_protocol(path))

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        """List a folder, or the one file."""
        top = self._find(path)
        name = self._strip_protocol(path)
        if top.kind != "d":
            found = [_info(top, name)]
        else:
            with _told(name):
                listed = self._reader.listing(top.path)
            start = len(top.path) + 1 if top.path else 0
            pairs = ((one, f"{name}/{one.path[start:]}" if name else one.path) for one in listed)
            found = [info for one, at in pairs if (info := self._seen(one, at)) is not None]
        return found if detail else [one["name"] for one in found]

    def _seen(self, one: Listed, name: str) -> dict[str, Any] | None:
        """Return what is told of a listed path; None for a link that leads nowhere, or back to where it is listed."""
        if one.kind != "l":
            return _info(one, name)
        with contextlib.suppress(FileNotFoundError):
            found = self._find(one.path)
            above = [name[:end] for end, letter in enumerate(name) if letter == "/"] if found.kind == "d" else ()
            # Who walks would walk for ever where one leads to a folder that its own name passes through.
            if not any(paths.is_below(self._find(folder).path, found.path) for folder in above):
                return {**_info(found, name), "islink": True}
        return None

    # What cannot be told is an error: those of fsspec take it for "not there", and a program for a hole in the data.

    def exists(self, path: str, **_: Any) -> bool:
        """Tell whether something lies at a path."""
        try:
            return bool(self._find(path))
        except FileNotFoundError:
            return False

    def isdir(self, path: str) -> bool:
        """Tell whether a folder lies at a path."""
        return self.exists(path) and self._find(path).kind == "d"

    def isfile(self, path: str) -> bool:
        """Tell whether a file lies at a path."""
        return self.exists(path) and self._find(path).kind != "d"

    def walk(
        self, path: str, maxdepth: int | None = None, topdown: bool = True, on_error: Any = None, **options: Any
    ) -> Iterator[Any]:
        """Yield what lies in each folder; a listing that cannot be had is an error, `on_error` is for the first one."""
        return super().walk(path, maxdepth, topdown, _unless_absent if on_error is None else on_error, **options)  # type: ignore[no-any-return]

    def find(
        self, path: str, maxdepth: int | None = None, withdirs: bool = False, detail: bool = False, **options: Any
    ) -> Any:
        """Return all files below; listings come level by level, so that few requests bring them all."""
        if maxdepth is not None or withdirs:  # where nothing is, `glob` finds nothing
            return super().find(path, maxdepth, withdirs, detail, **options)
        top = self._find(path)
        if top.kind != "d" or top.path != self._strip_protocol(path):
            return super().find(path, maxdepth, withdirs, detail, **options)
        with _told(top.path):
            listed = self._reader.listing(top.path, recursive=True)
        seen = (self._seen(one, one.path) for one in listed if one.kind != "d")
        found = {one["name"]: one for one in seen if one is not None and one["type"] == "file"}
        return found if detail else list(found)

    def ukey(self, path: str) -> str:
        """Return the hash of what lies at a path."""
        return self._find(path).digest

    def checksum(self, path: str) -> int:
        """Return a number that is another one for other content."""
        return int(tokenize(self.ukey(path)), 16)

    # ---------------------------------------------------------------- bytes

    def _open(self, path: str, mode: str = "rb", **options: Any) -> io.BufferedReader:
        if mode != "rb":
            raise OSError(errno.EROFS, "a version is only read", path)
        found = self._find(path)
        if found.kind == "d":
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        with _told(path):
            return _File(self._reader.raw(found, verify=options.get("verify", self._verify)), found.size or 0, path)

    def cat_file(self, path: str, start: int | None = None, end: int | None = None, **options: Any) -> bytes:
        """Return the bytes of a file, or some of them; negative numbers count from its end."""
        with self._open(path, **options) as file:
            first, last, _ = slice(start, end).indices(file.seek(0, os.SEEK_END))  # a meta file may say another size
            file.seek(first)
            return file.read(max(0, last - first))

    def cat(self, path: Any, recursive: bool = False, on_error: str = "raise", **options: Any) -> Any:
        """Return the bytes of files; few requests bring many small ones."""
        names = self.expand_path(path, recursive=recursive)
        if not isinstance(path, list) and names == [self._strip_protocol(path)]:
            return self.cat_file(names[0], **options)
        found = {name: one for name in names if (one := self._find(name)).kind != "d"}
        result: dict[str, Any] = {}
        for name, (_, data) in zip(found, self._reader.read_many(found.values()), strict=True):
            try:
                with _told(name):
                    if isinstance(data, DvcLikeError):
                        raise data
                result[name] = data
            except OSError as error:
                if on_error == "raise":
                    raise
                result.update({name: error} if on_error == "return" else {})
        return result

    def get(self, rpath: Any, lpath: Any, recursive: bool = False, **options: Any) -> None:
        """Copy files to this machine; few requests bring many small ones into the cache."""
        if self._cache:
            self._reader.bring([self._find(name) for name in self.expand_path(rpath, recursive=recursive)])
        super().get(rpath, lpath, recursive, **options)


class _File(io.BufferedReader):
    """An open file with what fsspec's have: `size` and `path`; `verified` tells whether its bytes are."""

    def __init__(self, raw: io.RawIOBase, size: int, path: str) -> None:
        super().__init__(_Raw(raw, path), BUFFER)
        self.size = size
        self.path = path
        self._inner = raw

    @property
    def verified(self) -> bool:
        """Whether what was read is known to be what was recorded."""
        return bool(getattr(self._inner, "verified", True))


class _Raw(io.RawIOBase):
    """Tells errors of ours as those of Python, whoever reads."""

    def __init__(self, inner: io.RawIOBase, path: str) -> None:
        super().__init__()
        self._inner, self._path = inner, path

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        return self._inner.seek(offset, whence)

    def tell(self) -> int:
        return self._inner.tell()

    def readinto(self, buffer: Any, /) -> int | None:
        with _told(self._path):
            return self._inner.readinto(buffer)

    def readall(self) -> bytes:
        with _told(self._path):
            return self._inner.read(-1)

    def close(self) -> None:
        self._inner.close()
        super().close()


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    """Raise errors of ours as errors of Python that say the same.

    Bytes that cannot be had are an input/output error, never a file that is not there: programs take that for a hole
    in the data and go on.
    """
    try:
        yield
    except DvcLikeError as error:
        text = f"{error.message} ({error.hint})" if error.hint else error.message
        if isinstance(error, UsageError):
            raise FileNotFoundError(errno.ENOENT, text, show(path)) from error
        if isinstance(error, RemoteDenied):
            raise PermissionError(errno.EACCES, text, show(path)) from error
        if isinstance(error, RemoteUnavailable):
            raise ConnectionError(errno.ECONNABORTED, text, show(path)) from error
        raise OSError(errno.EIO, text, show(path)) from error


def _unless_absent(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _info(one: Listed, name: str) -> dict[str, Any]:
    kind = "directory" if one.kind == "d" else "file"
    return {"name": name, "type": kind, "size": one.size if kind == "file" else 0, "hash": one.digest or None}


def _shared(reader: Reader, key: tuple[object, ...]) -> Reader:
    """Return the reader of a version that is open already, or this new one, which opened nothing yet."""
    with _mutex:
        found = _readers[key] = _readers.pop(key, reader)
        while len(_readers) > _SHARED:
            _readers.popitem(last=False)  # closed when the last file system lets go of it
        return found
