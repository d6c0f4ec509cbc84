"""Bytes on their way to Drive: in one request, or in a session that goes on where it stopped, also after a kill.

Owns that a file is made once: its id is chosen and written down before the first byte is sent, so a second attempt
finds what the first one made. What Drive says it has (size and MD5) is compared with what was read. The memory of
begun uploads is `State`'s.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import uuid
from collections.abc import Callable
from typing import Any, NamedTuple

from ...errors import RemoteError, RemoteNotFound, RemoteUnavailable
from ..source import Source, Window
from .connection import Connection
from .folders import Ids
from .refusals import is_too_fast
from .state import Begun, State

SMALL = 5 << 20  # Drive wants bigger ones in a session
CHUNK = 16 << 20  # of a session, in one request: what a broken connection can cost; a multiple of 256 KiB
_PIECE = 1 << 20
_KEPT = re.compile(r"bytes=0-([0-9]+)")


class Job(NamedTuple):
    """What is to be sent: the key, how it is called in messages, the bytes, and what tells them from others.

    `metadata` are those of a new file; with `file_id` the bytes of that file are replaced, and nothing else of it.
    """

    key: str
    what: str
    source: Source
    stamp: str
    metadata: dict[str, Any]
    file_id: str = ""


class Damaged(Exception):
    """What arrived is something else than what was sent."""


class Uploader:
    """Sends for one store."""

    def __init__(self, connection: Connection, ids: Ids, state: State, fields: str) -> None:
        """Have `fields` told of every file that was sent."""
        self._connection = connection
        self._ids = ids
        self._state = state
        self._fields = fields

    def send(self, job: Job) -> dict[str, Any]:
        """Send; return what Drive says of the file. A second attempt after a failure goes on with the first one's."""
        for _ in range(2):
            try:
                answer = self._send(job)
                self._state.end(job.key)
                return answer
            except Damaged:
                self._state.end(job.key)
        raise RemoteError(
            f"{job.what}: Drive has other bytes than were sent, twice",
            hint="Something between changes what is sent: a proxy, a virus scanner, or this machine's memory.",
        )

    def _send(self, job: Job) -> dict[str, Any]:
        begun = self._state.begun(job.key, job.stamp)
        if begun is None or (job.file_id and begun.file_id != job.file_id):
            begun = Begun(job.file_id or self._ids.take(), "", job.stamp)
            self._state.begin(job.key, begun)
        digest = _Digest(job.source)
        answer = self._small(job, begun) if job.source.size <= SMALL else self._large(job, begun, digest)
        if answer is None:  # the id is in use: an earlier attempt came through, and its answer was lost
            answer = self._made(begun.file_id, job)
        digest.reach(job.source.size)
        if "md5Checksum" not in answer:
            answer = self._made(begun.file_id, job)
        if (answer.get("size"), answer.get("md5Checksum")) != (str(job.source.size), digest.value):
            if not job.file_id:
                self._trash(begun.file_id, job)
            raise Damaged
        return answer

    def _made(self, file_id: str, job: Job) -> dict[str, Any]:
        request = self._connection.files.get(fileId=file_id, fields=self._fields, supportsAllDrives=True)
        try:
            return self._connection.call(request, job.what)
        except RemoteNotFound:
            raise Damaged from None

    def _trash(self, file_id: str, job: Job) -> None:
        with contextlib.suppress(RemoteNotFound):
            request = self._connection.files.update(
                fileId=file_id, body={"trashed": True}, fields="id", supportsAllDrives=True
            )
            self._connection.call(request, job.what)

    # ---------------------------------------------------------------- one request

    def _begin(self, job: Job, kind: str, begun: Begun, body: bytes, headers: dict[str, str]) -> Any:
        """Send the first request of an upload; the answer may be 409."""
        return self._connection.send(
            "PATCH" if job.file_id else "POST",
            self._connection.media_url(job.file_id, uploadType=kind, fields=self._fields),
            job.what,
            body=body,
            headers=headers,
            accept=() if job.file_id else (409,),
            creates=True,
        )

    def _metadata(self, job: Job, begun: Begun) -> bytes:
        metadata = {} if job.file_id else {"id": begun.file_id, **job.metadata}
        return json.dumps(metadata).encode()

    def _small(self, job: Job, begun: Begun) -> dict[str, Any] | None:
        mark = uuid.uuid4().hex
        kind = str(job.metadata.get("mimeType", "application/octet-stream"))
        body = b"".join(
            [
                f"--{mark}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".encode(),
                self._metadata(job, begun),
                f"\r\n--{mark}\r\nContent-Type: {kind}\r\n\r\n".encode(),
                *job.source.pieces(0, job.source.size),
                f"\r\n--{mark}--\r\n".encode(),
            ]
        )
        answer = self._begin(job, "multipart", begun, body, {"Content-Type": f"multipart/related; boundary={mark}"})
        return None if answer.status_code == 409 else _document(answer)

    # ---------------------------------------------------------------- a session

    def _large(self, job: Job, begun: Begun, digest: _Digest) -> dict[str, Any] | None:
        address, kept = begun.address, 0
        if address:
            found = self._ask(job, address)
            if isinstance(found, dict):
                return found
            address, kept = ("", 0) if found is None else (address, found)
        if not address:
            address = self._session(job, begun)
            if not address:
                return None
            self._state.begin(job.key, begun._replace(address=address))
        while True:
            try:
                found = self._chunk(job, address, kept, digest)
                if isinstance(found, int) and found <= kept:
                    raise RemoteUnavailable(f"{job.what}: Drive keeps nothing of what is sent")
            except RemoteError as error:
                if is_too_fast(error):
                    found = self._ask(job, address)
                else:
                    setattr(error, "kept", kept)  # noqa: B010 - read by `Retrying`
                    raise
            if isinstance(found, dict):
                return found
            if found is None:
                self._state.begin(job.key, begun._replace(address=""))
                raise RemoteUnavailable(f"{job.what}: Drive has forgotten the upload")
            kept = found

    def _session(self, job: Job, begun: Begun) -> str:
        """Begin a session; return its address, empty when the id is in use."""
        headers = {
            "Content-Type": "application/json; charset=UTF-8",
            "X-Upload-Content-Type": str(job.metadata.get("mimeType", "application/octet-stream")),
            "X-Upload-Content-Length": str(job.source.size),
        }
        answer = self._begin(job, "resumable", begun, self._metadata(job, begun), headers)
        if answer.status_code == 409:
            return ""
        if not answer.headers.get("location"):
            raise RemoteUnavailable(f"{job.what}: Drive began an upload and did not say where")
        return str(answer.headers["location"])

    def _chunk(self, job: Job, address: str, start: int, digest: _Digest) -> dict[str, Any] | int | None:
        """Send the next bytes; return the file when it is whole, else how much is there, None when all is lost."""
        digest.reach(start)
        job.source.reached(start)
        end = min(start + CHUNK, job.source.size)
        place = f"bytes {start}-{end - 1}/{job.source.size}"
        return self._put(job, address, place, lambda: _Read(job.source, start, end - start, digest))

    def _ask(self, job: Job, address: str) -> dict[str, Any] | int | None:
        """Return what `_chunk` does, without sending anything."""
        return self._put(job, address, f"bytes */{job.source.size}", bytes)

    def _put(self, job: Job, address: str, place: str, body: Callable[[], Any]) -> dict[str, Any] | int | None:
        answer = self._connection.send(
            "PUT",
            address,
            job.what,
            body=body,
            headers={"Content-Range": place},
            accept=(308, 404, 410),
            patient="*" in place,
        )
        if answer.status_code in (404, 410):
            return None
        if answer.status_code == 308:
            match = _KEPT.fullmatch(answer.headers.get("range", ""))
            return int(match[1]) + 1 if match else 0
        return _document(answer)


def _document(answer: Any) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        found = answer.json()
        if isinstance(found, dict):
            return found
    return {}


class _Digest:
    """The MD5 of a source that is read once: as it is sent, and before that what an earlier process has sent."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._state = hashlib.md5(usedforsecurity=False)
        self._at = 0

    @property
    def value(self) -> str:
        return self._state.hexdigest()

    def hear(self, start: int, data: Any) -> None:
        """Take what was read at a place; of what is read again nothing is taken twice."""
        end = start + len(data)
        if start <= self._at < end:
            self._state.update(memoryview(data)[self._at - start :])
            self._at = end

    def reach(self, place: int) -> None:
        """Read what is not known yet up to a place."""
        for piece in self._source.pieces(self._at, max(0, place - self._at)):
            self.hear(self._at, piece)


class _Read(Window):
    """A part of a source as a file, which is hashed while it is read."""

    def __init__(self, source: Source, start: int, length: int, digest: _Digest) -> None:
        super().__init__(source, start, length)
        self._begin, self._digest = start, digest

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes."""
        at = self._begin + self.tell()
        count = super().readinto(buffer)
        self._digest.hear(at, memoryview(buffer)[:count])
        return count
