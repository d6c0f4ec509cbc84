"""A web server on loopback whose pages, and whose faults, a test chooses; it keeps what it was asked and sent.

`Page` says how a file is served. A fault is used up by the request it strikes:

    ("cut", n)      the connection ends after n bytes of the body
    ("status", n)   answered with this status
    ("stall", n)    after n bytes nothing more comes until the client is gone
    ("swap", data)  before the body is sent the page becomes another version
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

LONG_AGO = 1_600_000_000.0  # when a page was modified, unless it says something else
_PIECE = 64 << 10


@dataclass
class Page:
    """One file. `etag` and `modified` empty: not told; `length` "told", "chunked", or "no" for neither."""

    data: bytes
    etag: str = ""
    modified: float | None = None
    ranges: bool = True
    length: str = "told"
    login: str = ""  # the value of Authorization that is asked for
    head: int = 200  # the status of a HEAD
    tells_head: str = ""  # the ETag of a HEAD, if it is another one
    redirect: str = ""
    faults: list[tuple[str, Any]] = field(default_factory=list)


@dataclass
class Asked:
    """One request: what it was and how many bytes of a body were sent."""

    method: str
    path: str
    headers: dict[str, str]
    sent: int = 0


class Web:
    """A context manager; `pages` maps paths to pages, `asked` is in the order of arrival."""

    def __init__(self, certificate: Any = None) -> None:
        self.pages: dict[str, Page] = {}
        self.asked: list[Asked] = []
        self.gone = threading.Event()
        web = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.close_connection = True
                with contextlib.suppress(ConnectionError):
                    web.answer(self)

            do_HEAD = do_GET

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = False
        scheme = "http"
        if certificate is not None:
            self._server.socket = certificate.server_context().wrap_socket(self._server.socket, server_side=True)
            scheme = "https"
        self.url = f"{scheme}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    def __enter__(self) -> Web:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        self.gone.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def sent(self) -> int:
        """How many bytes of bodies were sent."""
        return sum(one.sent for one in self.asked)

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one request."""
        path = urlsplit(request.path).path
        asked = Asked(request.command, request.path, {k.lower(): v for k, v in request.headers.items()})
        self.asked.append(asked)
        page = self.pages.get(path)
        fault, value = page.faults.pop(0) if page and page.faults and request.command == "GET" else ("", None)
        if page is None:
            return _head(request, 404, {"Content-Length": "0"})
        if page.login and asked.headers.get("authorization") != page.login:
            return _head(request, 401, {"Content-Length": "0"})
        if page.redirect:
            return _head(request, 302, {"Location": page.redirect, "Content-Length": "0"})
        if fault == "status" or (request.command == "HEAD" and page.head != 200):
            status = value if fault == "status" else page.head
            return _head(request, status, {"Content-Length": "0", "Retry-After": "0"})
        if fault == "swap":
            page = self.pages[path] = replace(
                page, data=value, etag=page.etag and f'"{hash(value)}"', faults=page.faults
            )
        start, end, status = _part(page, asked)
        etag = page.tells_head if page.tells_head and request.command == "HEAD" else page.etag
        headers = {"ETag": etag} if etag else {}
        if page.modified is not None:
            headers["Last-Modified"] = formatdate(page.modified, usegmt=True)
        if page.length == "told":
            headers["Content-Length"] = str(end - start)
        elif page.length == "chunked":
            headers["Transfer-Encoding"] = "chunked"
        if status == 206:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(page.data)}"
        _head(request, status, headers)
        if request.command == "GET":
            limit = value if fault in ("cut", "stall") else None
            self._body(request, page, asked, page.data[start:end], limit)
            if fault == "stall":
                self.gone.wait(60)
        return None

    def _body(self, request: BaseHTTPRequestHandler, page: Page, asked: Asked, data: bytes, limit: int | None) -> None:
        whole = limit is None
        data = data if limit is None else data[:limit]
        for at in range(0, len(data), _PIECE):
            piece = data[at : at + _PIECE]
            frame = b"%x\r\n%s\r\n" % (len(piece), piece) if page.length == "chunked" else piece
            request.wfile.write(frame)
            asked.sent += len(piece)
        if page.length == "chunked" and whole:
            request.wfile.write(b"0\r\n\r\n")
        request.wfile.flush()


def _head(request: BaseHTTPRequestHandler, status: int, headers: dict[str, str]) -> None:
    request.send_response(status)
    for name, value in {**headers, "Connection": "close"}.items():
        request.send_header(name, value)
    request.end_headers()


def _part(page: Page, asked: Asked) -> tuple[int, int, int]:
    """Return the part of the data to send, and the status that goes with it."""
    text = asked.headers.get("range", "")
    condition = asked.headers.get("if-range")
    modified = formatdate(page.modified, usegmt=True) if page.modified is not None else None
    if not text or not page.ranges or condition not in (None, page.etag or None, modified):
        return 0, len(page.data), 200
    first, _, last = text.removeprefix("bytes=").partition("-")
    return int(first), min(len(page.data), int(last) + 1) if last else len(page.data), 206
