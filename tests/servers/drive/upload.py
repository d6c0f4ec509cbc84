"""Uploads: in one request with or without metadata, and resumable ones with their sessions. Knows no sockets.

A session keeps what came until all is there; only then is there a file. It lives for a week, survives connections, and
is asked with `Content-Range: bytes */TOTAL`. Pieces are multiples of 256 KiB, the last one aside.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from . import schema
from .errors import Refusal, Violation, invalid, refusal
from .methods import Api
from .store import Caller

PIECE = 256 << 10
WEEK = 7 * 24 * 3600
MAX_SIZE = 5497558138880
_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


_GAP = (
    "Invalid request.  According to the Content-Range header, the upload offset is {} byte(s), which exceeds already "
    "uploaded size of {} byte(s)."
)


class Gap(Violation):
    """A piece that does not follow on what is there; not answered in JSON."""

    def body(self) -> bytes:
        return self.message.encode()


class Answer(NamedTuple):
    """What is sent back."""

    status: int
    headers: dict[str, str]
    body: bytes = b""


def as_json(value: Any, status: int = 200) -> Answer:
    """Return an answer with this document; None is no content."""
    if value is None:
        return Answer(204, {})
    return Answer(status, {"Content-Type": "application/json; charset=UTF-8"}, json.dumps(value, indent=1).encode())


@dataclass
class Session:
    """One resumable upload. `total` None: not known yet."""

    id: str
    method: schema.Method
    given: dict[str, Any]
    metadata: dict[str, Any]
    caller: Caller
    total: int | None
    began: float
    data: bytearray = field(default_factory=bytearray)
    done: Answer | None = None


class Uploads:
    """All uploads under way."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self.sessions: dict[str, Session] = {}
        self._numbers = itertools.count(1)

    def finish(
        self, method: schema.Method, given: dict[str, Any], metadata: Any, content: bytes, caller: Caller
    ) -> Answer:
        """Make or change the file, now that its bytes are there. Raises Refusal."""
        api = self._api
        if not caller.scopes & method.scopes:
            raise refusal("insufficientPermissions")
        mask = api.mask(method, given)
        with api.store.lock:
            if method.name == "files.create":
                made = api.create(given, metadata, caller, content)
            else:
                made = api.update(given, metadata, caller, content)
            return as_json(api.masked(method, mask, made))

    # ---------------------------------------------------------------- resumable

    def start(
        self,
        method: schema.Method,
        given: dict[str, Any],
        metadata: dict[str, Any],
        caller: Caller,
        headers: dict[str, str],
        base: str,
    ) -> Answer:
        """Begin a session; the answer says where."""
        api, length = self._api, headers.get("x-upload-content-length")
        if not caller.scopes & method.scopes:
            raise refusal("insufficientPermissions")
        total = int(length) if length is not None else None
        if total is not None and total > MAX_SIZE:
            raise Refusal(400, "uploadTooLarge", "The file is too large.")
        if kind := headers.get("x-upload-content-type"):
            metadata = {"mimeType": kind, **metadata}
        api.mask(method, given)
        with api.store.lock:
            if method.name == "files.create":
                planned = api.planned(given, metadata, caller)
                owner, more = planned.owner, total or 0
                metadata = {**metadata}
            else:
                changing = api.changing(given, metadata, caller)
                owner, more = changing.owner, (total or 0) - len(changing.content)
            if owner:
                api.store.check_space(owner, more)
            session = Session(f"AB-{next(self._numbers)}", method, given, metadata, caller, total, api.store.now())
            self.sessions[session.id] = session
        path = f"{base}upload/drive/v3/files"
        path += f"/{given['fileId']}" if "fileId" in given else ""
        where = f"{path}?uploadType=resumable&upload_id={session.id}"
        return Answer(200, {"Location": where, "X-GUploader-UploadID": session.id})

    def find(self, session_id: str) -> Session:
        """Return a session. Raises a refusal (404) when there is none, or none any more."""
        session = self.sessions.get(session_id)
        if session is None or self._api.store.now() - session.began > WEEK:
            raise Refusal(404, "notFound", "Upload session not found.")
        return session

    def forget(self, session_id: str) -> None:
        """Let a session expire."""
        self.sessions.pop(session_id, None)

    def put(self, session_id: str, content_range: str, data: bytes, *, whole: bool = True, kept: int = -1) -> Answer:
        """Take a piece, or say how much is there.

        `whole`: all that the request promised came; else what came of it is kept in steps of 256 KiB. `kept` >= 0:
        keep only so many bytes of it.
        """
        with self._api.store.lock:
            session = self.find(session_id)
            if session.done is not None:
                return session.done
            first, total = self._range(session, content_range, len(data), whole)
            if total is not None:
                session.total = total
            have = len(session.data)
            if first > have:
                raise Gap(503, "badRequest", _GAP.format(first, have))
            fresh = data[have - first :]
            if not whole:
                fresh = fresh[: (have + len(fresh)) // PIECE * PIECE - have] if have + len(fresh) >= PIECE else b""
            session.data += fresh if kept < 0 else fresh[:kept]
            if not whole or session.total != len(session.data):
                return self._more(session)
            session.done = self.finish(
                session.method, session.given, session.metadata, bytes(session.data), session.caller
            )
            session.data = bytearray()
            return session.done

    @staticmethod
    def _more(session: Session) -> Answer:
        have = len(session.data)
        return Answer(308, {"Range": f"bytes=0-{have - 1}"} if have else {})

    @staticmethod
    def _range(session: Session, text: str, size: int, whole: bool) -> tuple[int, int | None]:
        """Return where a piece begins, and how long all is when that is said. Raises Violation."""
        if not text:
            return 0, size if whole else session.total
        match = _RANGE.fullmatch(text)
        if match is None:
            raise invalid(f"Failed to parse Content-Range header: {text}", reason="badRequest")
        total = None if match[3] == "*" else int(match[3])
        if total is not None and session.total not in (None, total):
            raise invalid(f"The size was said to be {session.total}, not {total}", reason="badRequest")
        if match[1] is None:
            if size:
                raise invalid("A question about an upload has no body.", reason="badRequest")
            return len(session.data), total
        first, last = int(match[1]), int(match[2])
        if whole and last - first + 1 != size:
            raise invalid(f"{text}: but the body has {size} bytes", reason="badRequest")
        final = total is not None and last + 1 == total
        if not final and (last - first + 1) % PIECE:
            raise invalid(f"{text}: a piece, the last one aside, must be a multiple of {PIECE}", reason="badRequest")
        return first, total


# ------------------------------------------------------------------------------ multipart


def parts_of(body: bytes, content_type: str) -> list[tuple[dict[str, str], bytes]]:
    """Split a multipart body into headers (lower-case names) and content. Raises Violation."""
    match = re.search(r'boundary="?([^";]+)"?', content_type)
    if not content_type.startswith("multipart/") or match is None:
        raise invalid(f"Content-Type {content_type!r} where multipart belongs", reason="badContent")
    mark = b"--" + match[1].encode()
    at = body.find(mark)
    if at < 0:
        raise invalid("The multipart body has no beginning.", reason="badContent")
    end = b"\r\n" if body[at + len(mark) :].startswith(b"\r\n") else b"\n"  # of lines; googleapiclient's are short
    pieces = (end + body[at:]).split(end + mark)[1:]
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise invalid("The multipart body has no end.", reason="badContent")
    found = []
    for piece in pieces[:-1]:
        head, gap, content = piece.removeprefix(end).partition(end + end)
        if not gap:
            raise invalid("A part of the multipart body has no headers.", reason="badContent")
        found.append((headers_of(head.decode("latin-1")), content))
    return found


def headers_of(text: str) -> dict[str, str]:
    """Return headers by lower-case name; long ones come in several lines."""
    lines = re.sub(r"\r?\n[ \t]+", " ", text).splitlines()
    pairs = (line.partition(":") for line in lines)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}
