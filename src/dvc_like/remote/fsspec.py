"""Any file system of fsspec as a remote, ``fsspec+PROTOCOL://PLACE``, through the package that brings its driver.

Owns what the kinds of file systems are like, as data, and how the methods of the contract become calls of theirs. What
is particular to SSH is in `fsspec_sftp`, errors in `fsspec_errors`. Knows no object, and asks nobody before it must.

A file system that has real folders shows a file while it is written: it is written below ``tmp/`` and renamed. Where
there are only keys, an object is there whole or not at all.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import threading
import uuid
from collections.abc import Generator, Iterable, Iterator
from typing import Any, NamedTuple

from ..errors import ConfigError, RemoteDenied, RemoteError, RemoteNotFound, RemoteUnavailable, UsageError
from ..paths import show
from .base import Backend, Capabilities, Info, Sink, check_key, check_prefix, is_key
from .fsspec_errors import ABSENT, NO_RANGE, status_of, told, unfit
from .source import Source, handed_over

PIECE = 8 << 20  # bytes that are asked for, and held, at a time
TEMPS = "tmp"  # no object's; in a folder remote it is where the marks of writers are, so our names are unlike theirs
_TEMP = re.compile(r"put-[0-9a-f]{32}")
_URL = re.compile(r"fsspec\+([a-z][a-z0-9.+-]*)://(.*)", re.I)
_PASSWORD = re.compile(r"^([^:/@]*):(?!\d*(?:/|$)).*@")


class Kind(NamedTuple):
    """What a kind of file system is like.

    `package`: what to install. `flat`: keys, no folders: an object appears whole, one call lists all below a prefix.
    `steady`: an open file stays what it was when another gets its name. `token`: what changes with every writing.
    """

    label: str
    package: str = ""
    concurrency: int = 8
    flat: bool = False
    steady: bool = False
    token: tuple[str, ...] = ()

    def info(self, found: dict[str, Any]) -> Info:
        """Return what the contract wants to know of what a file system knows."""
        return Info(int(found.get("size") or 0), "-".join(str(found.get(name, "")) for name in self.token))


_LOCAL = Kind("folder through fsspec", concurrency=2, steady=True, token=("mtime", "created", "ino"))
_GOOGLE = Kind("Google Cloud Storage bucket", "gcsfs", 16, flat=True, token=("generation",))
_AZURE = Kind("Azure Blob Storage container", "adlfs", 16, flat=True, token=("etag",))
KINDS = {
    **dict.fromkeys(("file", "local"), _LOCAL),
    **dict.fromkeys(("gs", "gcs"), _GOOGLE),
    **dict.fromkeys(("az", "abfs", "abfss"), _AZURE),
}


def open_url(url: str, options: dict[str, str], root: str) -> FsspecBackend:
    """Make the backend of a ``fsspec+PROTOCOL://...`` url. Loads nothing and contacts nobody."""
    protocol, place = split_url(url)
    given = settings(options)
    if protocol in ("file", "local") and not place.startswith("/"):
        raise UsageError(f"{show(url)} names no absolute path", hint=f"Write fsspec+{protocol}:///FOLDER.")
    if "sas_token" in given and "account_name" not in given:  # else whoever writes the url says who is sent it
        raise ConfigError("fsspec: sas_token stands alone", hint="Set account_name, whose it is, beside it.")
    return FsspecBackend(protocol, place, given, KINDS.get(protocol, Kind(f"{protocol} through fsspec")))


def split_url(url: str) -> tuple[str, str]:
    """Return the protocol, in lower case, and what follows ``://``; raise `UsageError` for what is no plain place."""
    match = _URL.fullmatch(url)
    if match is None or "::" in re.sub(r"\[[0-9A-Fa-f:.]*\]", "", match[2]):  # an address of IPv6 may hold it
        raise UsageError("urls of fsspec cannot be chained in a remote", hint="Write fsspec+PROTOCOL://PLACE.")
    if re.search(r"[?#*]", match[2]) or not match[2].strip("/~"):
        raise UsageError("the url of a remote through fsspec names a place, and holds none of ? # *")
    return match[1].lower(), match[2]


def settings(options: dict[str, str]) -> dict[str, Any]:
    """Return what ``remote.NAME.fsspec`` hands to the file system; raise `ConfigError` when it is no JSON object."""
    try:
        found = json.loads(options.get("fsspec") or "{}")
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise ConfigError("fsspec = ... is no JSON object", hint="""Write it like {"project": "my-project"}.""")
    return found


def open_files(protocol: str, place: str, given: dict[str, Any], kind: Kind) -> Any:
    """Return the file system of fsspec for a place; raise `RemoteError` when it cannot be loaded."""
    try:
        import fsspec
    except ImportError:
        raise RemoteError(
            f"fsspec is needed for fsspec+{protocol}:// and cannot be loaded",
            hint="Install it with: pip install 'dvc-like[fsspec]'",
        ) from None
    url = f"{protocol}://{place}"
    try:
        made = fsspec.get_filesystem_class(protocol)
        more = {"use_listings_cache": False} if kind.flat else {}  # what others put would not be seen
        return made(**{**made._get_kwargs_from_urls(url), **more, **given, "skip_instance_cache": True})
    except ImportError as error:
        how = f"pip install {kind.package}" if kind.package else show(str(error))[:200]
        message = f"the driver of fsspec for {protocol}:// is not installed"
        raise RemoteError(message, hint=f"Install it: {how}") from None
    except (TypeError, ValueError) as error:
        raise unfit(protocol, error) from None


class FsspecBackend(Backend):
    """The objects below a place of a file system."""

    def __init__(self, protocol: str, place: str, given: dict[str, Any], kind: Kind) -> None:
        self.capabilities = Capabilities(kind.label, concurrency=kind.concurrency, streams=not kind.flat)
        self._protocol, self._place, self._given, self._kind = protocol, place, given, kind
        self._shown = show(f"fsspec+{protocol}://" + _PASSWORD.sub(r"\1@", place).rstrip("/"))
        self._mutex = threading.Lock()
        self._files: Any = None
        self._process = 0  # the one that `_files` was made in: threads and sockets do not survive a fork
        self._made: set[str] = set()  # folders that are there
        self._seen = False  # whether the place is known to be there

    # ---------------------------------------------------------------- asking

    def _open(self) -> Any:
        """Return a new file system."""
        return open_files(self._protocol, self._place, self._given, self._kind)

    def _root(self, files: Any) -> str:
        """Return the path that stands before every key, without a slash at its end."""
        return str(files._strip_protocol(f"{self._protocol}://{self._place}")).rstrip("/")

    @contextlib.contextmanager
    def _lent(self) -> Iterator[Any]:
        """Give a file system that this thread may use."""
        if self._files is None or self._process != os.getpid():
            with self._mutex:
                if self._files is None or self._process != os.getpid():
                    self._files, self._process = self._open(), os.getpid()
        yield self._files

    @contextlib.contextmanager
    def _asked(self, key: str = "", *, writing: bool = False) -> Iterator[tuple[Any, str]]:
        """Give a file system and the path of a key there; errors become ours."""
        with told(f"{self._shown}/{key}" if key else self._shown, writing=writing), self._lent() as files:
            root = self._root(files)
            yield files, f"{root}/{key}" if key else root or "/"

    def _information(self, files: Any, path: str) -> dict[str, Any]:
        if not self._kind.flat:
            files.invalidate_cache()
        found: dict[str, Any] = files.info(path)
        if found.get("type") != "file":
            raise FileNotFoundError(path)
        self._seen = True
        return found

    def _check_place(self, files: Any) -> None:
        """Raise when what the store would lie in is not there: its emptiness would be taken for "nothing pushed"."""
        if self._seen or not (self._kind.flat or self._kind.steady):  # of others nobody knows what has to be there
            return
        root = self._root(files)
        needed = root.partition("/")[0] if self._kind.flat else root.rpartition("/")[0]
        try:
            if needed.strip("/"):
                files.info(needed)
        except ABSENT:
            raise RemoteDenied(
                f"{self._shown}: there is no {show(needed)}", hint="Make it there, or correct the url of the remote."
            ) from None
        except Exception as error:
            if not isinstance(error, PermissionError) and status_of(error) != 403:  # a missing place would not say so
                raise
        self._seen = True

    # ---------------------------------------------------------------- putting

    def put(self, key: str, source: str | bytes | Source, *, label: str = "", once: bool = False) -> None:
        """Store it at once. The label is not used."""
        _check(key)
        data = source if isinstance(source, Source) else Source(source)
        try:
            with self._asked(key, writing=True) as (files, path):
                if self._kind.flat:
                    assert not isinstance(source, Source), "such stores do not say that they stream"
                    _put_whole(files, path, source, once)
                else:
                    self._put_aside(files, path, data, once)
        finally:
            if data is not source:
                data.close()

    def _put_aside(self, files: Any, path: str, data: Source, once: bool) -> None:
        """Write a temporary file, look whether all of it arrived, and give it its name."""
        self._check_place(files)
        folder = f"{self._root(files)}/{TEMPS}"
        temp = f"{folder}/put-{uuid.uuid4().hex}"
        try:
            self._make(files, folder)
            self._write(files, temp, data)
            size = self._information(files, temp).get("size")
            if size != data.size:
                raise EOFError(f"{size} bytes of {data.size} arrived")
            self._make(files, path.rpartition("/")[0])
            if once:
                self._name_if_free(files, temp, path)
            else:
                files.mv(temp, path)
        except BaseException as error:
            with contextlib.suppress(Exception):
                files.rm_file(temp)
            if isinstance(error, FileNotFoundError) and self._made:
                self._made.clear()
                raise RemoteUnavailable(f"{self._shown}: a folder was removed meanwhile") from error
            raise

    def _make(self, files: Any, folder: str) -> None:
        if folder not in self._made:
            files.makedirs(folder, exist_ok=True)
            self._made.add(folder)

    def _write(self, files: Any, temp: str, data: Source) -> None:
        with files.open(temp, "wb") as file:
            for piece in handed_over(data):
                file.write(bytes(piece))

    def _name_if_free(self, files: Any, temp: str, path: str) -> None:
        """Give a name that nobody has; what comes between looking and renaming is not seen."""
        try:
            self._information(files, path)
        except ABSENT:
            files.mv(temp, path)
        else:
            files.rm_file(temp)

    # ---------------------------------------------------------------- reading

    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        """Hand on what arrives, up to 8 MiB at a time. What ends too early is `RemoteUnavailable`."""
        _check(key)
        with contextlib.closing(self._pieces(key, start, length)) as pieces:
            for piece in pieces:
                if piece:
                    sink.write(piece)

    def _pieces(self, key: str, start: int, length: int | None) -> Generator[bytes, None, None]:
        """Yield the bytes; what the consumer raises does not come by here."""
        with self._asked(key) as (files, path):
            try:
                yield from self._read(files, path, start, length)
            except ABSENT:
                self._check_place(files)
                raise

    def _read(self, files: Any, path: str, start: int, length: int | None) -> Iterator[bytes]:
        if self._kind.flat and length is not None and 0 < length <= PIECE:
            try:
                yield files.cat_file(path, start=start, end=start + length)  # one request instead of two
            except Exception as error:
                if status_of(error) != NO_RANGE:  # begins behind the end, or there is nothing in it
                    raise
            return
        size = int(self._information(files, path)["size"])
        end = size if length is None else min(size, start + length)
        if self._kind.steady:
            with files.open(path, "rb") as file:
                file.seek(start)
                for at in range(start, end, PIECE):
                    yield _whole(file.read(min(PIECE, end - at)), min(PIECE, end - at))
        elif start == 0 and length is None and size <= PIECE:
            yield files.cat_file(path)  # of whatever size it is by now
        else:
            for at in range(start, end, PIECE):
                there = min(at + PIECE, end)
                yield _whole(files.cat_file(path, start=at, end=there), there - at)

    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        """Ask for each, one after the other."""
        found = {}
        for key in keys:
            _check(key)
            try:
                with self._asked(key) as (files, path):
                    found[key] = self._kind.info(self._information(files, path))
            except RemoteNotFound:
                with self._asked() as (files, _):
                    self._check_place(files)
        return found

    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        """Ask folder by folder, or for everything at once where there are none. Foreign names are left out."""
        folder = check_prefix(prefix)[:-1]
        if not self._kind.flat:
            yield from self._walk(folder)
            return
        with self._asked(folder) as (files, path):
            self._check_place(files)
            below = f"{self._root(files)}/"
            entries = files.find(path, detail=True)
        if not isinstance(entries, dict):  # adlfs, of the name of an object
            return
        found = ((name.removeprefix(below), entry) for name, entry in entries.items() if name.startswith(below))
        for key, entry in sorted(found, key=lambda pair: pair[0]):
            if is_key(key) and key.startswith(prefix) and not _is_private(key):
                yield key, self._kind.info(entry)

    def _walk(self, folder: str) -> Iterator[tuple[str, Info]]:
        found: list[tuple[str, Info | None]] = []
        try:
            with self._asked(folder) as (files, path):
                files.invalidate_cache()
                for entry in files.ls(path, detail=True):
                    name = str(entry["name"]).rstrip("/").removeprefix(path.rstrip("/") + "/")
                    key = f"{folder}/{name}" if folder else name
                    if "/" in name or not is_key(key) or _is_private(key):
                        continue
                    if entry.get("type") == "directory":
                        found.append((f"{key}/", None))  # with the slash it sorts where its keys do
                    elif entry.get("type") == "file":
                        found.append((key, self._kind.info(entry)))
        except RemoteNotFound:
            with self._asked() as (files, _):
                self._check_place(files)
            return
        for key, info in sorted(found, key=lambda pair: pair[0]):
            if info is None:
                yield from self._walk(key[:-1])
            else:
                yield key, info

    # ---------------------------------------------------------------- the rest

    def delete(self, keys: Iterable[str]) -> None:
        """Remove one after the other; folders stay."""
        for key in keys:
            _check(key)
            with self._asked(key) as (files, path), contextlib.suppress(*ABSENT):
                files.rm_file(path)

    def sweep(self, age: float) -> int:
        """Remove temporary files that nobody has written to for so long, by the clock of this machine."""
        if self._kind.flat:
            return 0
        swept = 0
        with self._asked(TEMPS) as (files, folder), contextlib.suppress(*ABSENT):
            for path in files.ls(folder, detail=False):
                if _TEMP.fullmatch(path.rpartition("/")[2]) and _age(files, path) > age:
                    with contextlib.suppress(*ABSENT):
                        files.rm_file(path)
                        swept += 1
        return swept

    def close(self) -> None:
        """Forget the file system, which gives back its connections by itself."""
        self._files = None


def _check(key: str) -> None:
    check_key(key)
    if _is_private(key):
        raise UsageError(f"{key[:80]!r} cannot be a key: such names are of temporary files")


def _is_private(key: str) -> bool:
    return key == TEMPS or key.startswith(f"{TEMPS}/")


def _put_whole(files: Any, path: str, source: str | bytes, once: bool) -> None:
    more = {"mode": "create"} if once else {}
    try:
        if isinstance(source, bytes):
            files.pipe_file(path, source, **more)
        else:
            files.put_file(source, path, **more)
    except FileExistsError:
        if not once:
            raise


def _whole(piece: bytes, size: int) -> bytes:
    if len(piece) != size:
        raise RemoteUnavailable("an object became shorter while it was read")
    return piece


def _age(files: Any, path: str) -> float:
    """Return how many seconds ago a file was written; 0 where that cannot be told."""
    try:
        written = files.modified(path)
    except (NotImplementedError, *ABSENT):
        return 0.0
    return float((datetime.datetime.now(written.tzinfo) - written).total_seconds())
