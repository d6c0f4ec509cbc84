"""One request as it came: what it is called, its parameters, its body as a document. Answers nothing."""

from __future__ import annotations

import gzip
import json
import re
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote, urlsplit

from . import schema
from .errors import Violation, invalid
from .upload import Answer, headers_of, parts_of

MEDIA_PATH = re.compile(r"/(?:resumable/)?upload/drive/v3/(.*)")
IMPERSONATE = re.compile(r"/v1/projects/-/serviceAccounts/([^/:]+):generateAccessToken")


class Request:
    """One request, its body once it was read."""

    def __init__(self, verb: str, target: str, headers: dict[str, str], body: bytes = b"") -> None:
        parts = urlsplit(target)
        self.verb, self.path, self.headers, self.body = verb, parts.path, headers, body
        self.whole = True  # whether all of the body came
        self.kept = self.flipped = -1  # how much of it is to be kept, which byte is to be another; negative: all, none
        self.query = parse_qs(parts.query, keep_blank_values=True)

    def unwrap(self) -> None:
        """Turn a GET that came as a POST, because its address was too long, back into one."""
        if (verb := self.headers.get("x-http-method-override")) is None:
            return
        if self.verb != "POST" or "x-www-form-urlencoded" not in self.headers.get("content-type", ""):
            raise invalid("X-HTTP-Method-Override needs a POST with a form", reason="badRequest")
        self.verb, self.body, form = verb, b"", self.body.decode()
        self.query |= parse_qs(form, keep_blank_values=True)

    @property
    def file_id(self) -> str:
        """The file in the address; empty when there is none."""
        match = re.search(r"/files/([^/?]+)", self.path)
        return unquote(match[1]) if match and match[1] not in ("generateIds", "trash") else ""

    def arrived(self, content: bytes) -> bytes:
        """Return bytes of a file as they are stored."""
        at = self.flipped
        return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :] if 0 <= at < len(content) else content

    def encoded(self, answer: Answer) -> Answer:
        """Return an answer compressed, where Drive does that: documents, and bytes of files that are text."""
        kind = answer.headers.get("Content-Type", "")
        wanted = "gzip" in self.headers.get("accept-encoding", "")
        if kind.startswith("application/json"):
            wanted = wanted and "gzip" in self.headers.get("user-agent", "")
        if not wanted or answer.status == 206 or not kind.startswith(("application/json", "text/")):
            return answer
        headers = {**answer.headers, "Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
        return Answer(answer.status, headers, gzip.compress(answer.body, 1, mtime=0))

    def form(self) -> dict[str, str]:
        """Return the body as a form."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))

    def document(self) -> dict[str, Any]:
        """Return the body as JSON. Raises Violation."""
        if not self.body:
            return {}
        if not self.headers.get("content-type", "").startswith("application/json"):
            raise invalid("The body is not said to be JSON", reason="badContent")
        return as_object(self.body)

    @property
    def name(self) -> str:
        """What it is counted as."""
        path, query = self.path, self.query
        if path in ("/token", "/v1/token"):
            return "token"
        if path in ("/o/oauth2/auth", "/revoke"):
            return path.rpartition("/")[2]
        if IMPERSONATE.fullmatch(path):
            return "impersonate"
        if path == "/batch/drive/v3":
            return "batch"
        if MEDIA_PATH.fullmatch(path):
            if "upload_id" in query:
                asks = self.headers.get("content-range", "").startswith("bytes */")
                return "upload.cancel" if self.verb == "DELETE" else "upload.query" if asks else "upload.chunk"
            kind = query.get("uploadType", [""])[0]
            return {"resumable": "upload.start", "multipart": "upload.multipart"}.get(kind, "upload.media")
        verb = self.headers.get("x-http-method-override", self.verb)
        try:
            name = schema.route(verb, path.removeprefix("/drive/v3/"))[0].name
        except Violation:
            return "unknown"
        return "files.get_media" if query.get("alt") == ["media"] else name

    def metadata(self, name: str) -> Any:
        """Return the JSON that it carries, for faults that ask for it; None when there is none. Raises Violation."""
        if name == "upload.multipart":
            return as_object(parts_of(self.body, self.headers.get("content-type", ""))[0][1])
        if self.body and self.headers.get("content-type", "").startswith("application/json"):
            return as_object(self.body)
        return None


def as_object(data: bytes) -> dict[str, Any]:
    """Return the document that these bytes are. Raises Violation."""
    try:
        found = json.loads(data)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise invalid("Parse Error", reason="parseError")
    return found


def inner_request(content: bytes) -> Request:
    """Return the request that a part of a batch holds."""
    end = b"\r\n" if content.partition(b"\n")[0].endswith(b"\r") else b"\n"
    head, _, body = content.partition(end + end)
    first, _, rest = head.decode("latin-1").partition("\n")
    headers = headers_of(rest)
    verb, target, _ = first.strip().split(" ")
    return Request(verb, target, headers, body[: int(headers.get("content-length", len(body)))])
