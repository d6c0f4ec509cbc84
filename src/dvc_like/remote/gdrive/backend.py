"""A folder on Google Drive as a remote: how the methods of the contract become requests.

Owns that and nothing else: where it is stands in `place`, how requests are sent in `connection`, which objects there
are in `listing`, how they look in `naming`, how they get there in `upload`.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterable, Iterator
from typing import Any

from ...errors import RemoteDenied, RemoteError, RemoteNotFound, RemoteUnavailable
from ..base import Backend, Capabilities, Info, Sink, check_key, check_prefix
from ..source import Source
from .connection import BATCH, Connection, answered
from .credentials import Found, find, needs_google
from .entries import FIELDS, Entry
from .folders import Folders, Ids
from .listing import Listing
from .naming import KEY, STORE, TOP, look_of, properties_of
from .place import Place, parse
from .refusals import is_of_file, is_too_fast
from .state import State
from .upload import Job, Uploader

CONCURRENCY = 8  # what Drive lets through is bounded by its pace, not by requests in flight
PIECE = 1 << 20  # what is handed to a sink at a time
Entries = list[Entry]  # outside the class, in which `list` is a method


def open_url(url: str, options: dict[str, str], root: str) -> DriveBackend:
    """Make the backend of a ``gdrive://`` url. Loads nothing of Google's and contacts nobody."""
    return DriveBackend(parse(url, options, root), options)


class DriveBackend(Backend):
    """The objects of one store in a folder."""

    capabilities = Capabilities(
        "Google Drive folder", concurrency=CONCURRENCY, cheap_stat=False, stat_at_once=10_000, streams=True
    )

    def __init__(self, place: Place, options: dict[str, str]) -> None:
        self._place = place
        self._connection = Connection(place, lambda: _signed_in(options, place.root))
        self._ids = Ids(self._connection)
        self._folders = Folders(self._connection, self._ids)
        self._mutex = threading.Lock()
        self._parts: tuple[State, Listing, Uploader] | None = None

    def _name(self, key: str) -> str:
        return f"{self._place.url}/{key}"

    @property
    def _open(self) -> tuple[State, Listing, Uploader]:
        """What needs to know the account; made by the first call."""
        if self._parts is None:
            account = _account(self._connection.credentials)
            with self._mutex:
                if self._parts is None:
                    # What one account sees says nothing of another, and ids that one asked for are not the other's.
                    state = State(self._place.root, f"gdrive-{_hash(self._place.endpoint, self._place.url, account)}")
                    listing = Listing(self._connection, self._folders, state)
                    self._parts = state, listing, Uploader(self._connection, self._ids, state, FIELDS)
        return self._parts

    # ---------------------------------------------------------------- putting

    def put(self, key: str, source: str | bytes | Source, *, label: str = "", once: bool = False) -> None:
        """Send, in the folder and under the name that the label asks for. It is durable then.

        With `once` two that put at the same moment may both win; everybody takes the older file then.
        """
        check_key(key)
        data = source if isinstance(source, Source) else Source(source)
        try:
            self._put(key, data, data.stamp or _stamp(source), label, once)
        except Exception:
            if data.failed is not None:
                raise data.failed from None
            raise
        finally:
            if data is not source:
                data.close()

    def _put(self, key: str, source: Source, stamp: str, label: str, once: bool) -> None:
        _, listing, uploader = self._open
        self._folders.check_writable()
        entry = listing.find([key]).get(key) if once else listing.for_put(key)
        if entry is not None and once:
            return
        if entry is not None:
            try:
                if listing.wrote(uploader.send(Job(key, self._name(key), source, stamp, {}, entry.id))):
                    return
            except RemoteNotFound:
                listing.forget(entry.id)
        look = look_of(key, label)
        for _ in range(2):
            metadata = {
                "name": look.name,
                "mimeType": look.mime,
                "description": look.description,
                "parents": [self._folders.for_path(look.folder)],
                "properties": properties_of(self._folders.for_path(""), key),
            }
            with contextlib.suppress(RemoteNotFound):  # the folder was deleted
                if listing.wrote(uploader.send(Job(key, self._name(key), source, stamp, metadata))):
                    return
            self._folders.forget_paths()
        raise RemoteUnavailable(f"{self._name(key)}: what is made there is deleted or moved away at once")

    # ---------------------------------------------------------------- reading

    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        """Hand on what arrives, a mebibyte at a time. A body that ends early is `RemoteUnavailable`."""
        check_key(key)
        _, listing, _ = self._open
        for _ in range(2):
            entry = listing.find([key]).get(key)
            if entry is None:
                raise RemoteNotFound(f"{self._name(key)} is not there")
            wanted = entry.size - start if length is None else min(length, entry.size - start)
            if wanted <= 0 or self._receive(entry, sink, start, wanted):
                return
            listing.forget(entry.id)
        raise RemoteUnavailable(f"{self._name(key)}: what comes is not of the size that is listed")

    def _receive(self, entry: Entry, sink: Sink, start: int, wanted: int) -> bool:
        """Hand on bytes; False, with none of them handed on, when there is no such file any more, or another one."""
        name = self._name(entry.key)
        headers = {"Accept-Encoding": "identity"}
        if start or wanted < entry.size:
            headers["Range"] = f"bytes={start}-{start + wanted - 1}"
        url = f"{self._place.endpoint}drive/v3/files/{entry.id}?alt=media&supportsAllDrives=true"
        if self._place.acknowledge_abuse:
            url += "&acknowledgeAbuse=true"
        answer = self._connection.send("GET", url, name, headers=headers, accept=(404, 416), stream=True)
        with contextlib.closing(answer):
            if answer.status_code in (404, 416) or not _is_of(answer, entry.size):
                return False
            skip = start if answer.status_code == 200 else 0  # all of it came
            while wanted > 0:
                with answered(name):
                    piece = answer.raw.read(min(PIECE, wanted + skip), decode_content=False)
                if not piece:
                    self._open[1].doubt()
                    raise RemoteUnavailable(f"{name}: the connection broke before all had come")
                piece, skip = piece[skip:], max(0, skip - len(piece))
                if piece:
                    sink.write(piece)
                    wanted -= len(piece)
        return True

    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        """Ask for all at once: one call for what was seen before, a few for others. The token is id and MD5."""
        asked = [check_key(key) for key in keys]
        return {key: _info(entry) for key, entry in self._open[1].find(asked).items()}

    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        """Ask for a thousand at a time, or only for what changed. Nothing is asked for while it is yielded."""
        check_prefix(prefix)
        for entry in self._open[1].walk(prefix):
            yield entry.key, _info(entry)

    # ---------------------------------------------------------------- the rest

    def delete(self, keys: Iterable[str]) -> None:
        """Put files into the trash, a hundred with one request.

        What belongs to somebody else only he can put there: such a file stays, and is no object of the store any more.
        """
        _, listing, _ = self._open
        entries = listing.all_of([check_key(key) for key in keys])
        foreign: Entries = []
        for at in range(0, len(entries), BATCH):
            some = entries[at : at + BATCH]
            kept = self._change(some, {"trashed": True})
            left = self._change(kept, {"properties": {STORE: None, TOP: None, KEY: None}})
            for entry in some:
                if entry not in left:
                    listing.forget(entry.id)
            foreign += left
        if entries:
            listing.doubt()
        if foreign:
            raise RemoteDenied(
                f"{self._place.url}: {len(foreign)} files belong to others and cannot be deleted",
                hint="Ask their owners, or the manager of the shared drive.",
            )

    def _change(self, entries: Iterable[Entry], body: dict[str, Any]) -> Entries:
        """Change files; return those for which it is not allowed."""
        todo, kept = list(entries), []
        while todo:
            update = self._connection.files.update
            requests = [update(fileId=one.id, body=body, fields="id", supportsAllDrives=True) for one in todo]
            again = []
            for entry, answer in zip(todo, self._connection.call_many(requests, self._place.url), strict=True):
                if not isinstance(answer, RemoteError) or isinstance(answer, RemoteNotFound):
                    continue
                if is_too_fast(answer):
                    again.append(entry)
                elif is_of_file(answer):
                    kept.append(entry)
                else:
                    raise answer
            todo = again
        return kept

    def close(self) -> None:
        """Save what is known, and give back connections. A second call does nothing."""
        parts, self._parts = self._parts, None
        if parts is not None:
            parts[1].close()
            parts[0].close()
        self._connection.close()


def _is_of(answer: Any, size: int) -> bool:
    """Tell whether an answer is of a file of that size, as far as it says."""
    said = answer.headers.get("content-range" if answer.status_code == 206 else "content-length", "")
    total = said.rpartition("/")[2]
    return not total.isdigit() or int(total) == size


def _info(entry: Entry) -> Info:
    return Info(entry.size, f"{entry.id}-{entry.md5}")


def _stamp(source: str | bytes | Source) -> str:
    """Return what tells bytes from others under the same key."""
    if not isinstance(source, bytes):
        return ""
    return f"{len(source)} {hashlib.md5(source, usedforsecurity=False).hexdigest()}"


def _signed_in(options: dict[str, str], root: str) -> Found:
    try:
        import googleapiclient.discovery  # noqa: F401 - what is installed in part fails here, and not half-way
    except ImportError as error:
        raise needs_google(error) from None
    return find(options, root=root)


def _account(held: Any) -> str:
    """Return a text that is another one for another account."""
    names = ("client_id", "refresh_token", "service_account_email", "_subject", "_audience")
    return "\n".join(str(getattr(held, name, None) or "") for name in names)


def _hash(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]
