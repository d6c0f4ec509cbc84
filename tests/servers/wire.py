"""HTTP/1.1 as far as a proxy needs it: heads are kept byte for byte, bodies pass in pieces. Knows no S3, no faults."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator

PIECE = 256 << 10
MAX_HEAD = 1 << 20


class Broken(Exception):
    """The peer closed the connection, or speaks no HTTP."""


class Head:
    """The first line and the headers of a request or a reply."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        lines = raw[:-4].decode("latin-1").split("\r\n")
        self.first = lines[0].split(" ", 2)
        pairs = (line.partition(":") for line in lines[1:])
        self.headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        if len(self.first) < 2:
            raise Broken(f"not HTTP: {lines[0][:80]!r}")

    def get(self, name: str) -> str:
        """Return a header's value, lower-case; empty without it."""
        return self.headers.get(name, "").lower()

    @property
    def status(self) -> int:
        """Of a reply."""
        return int(self.first[1])

    @property
    def closes(self) -> bool:
        """Tell whether the connection ends with this message."""
        old = "HTTP/1.0" in (self.first[0], self.first[-1])
        return "close" in self.get("connection") or (old and "keep-alive" not in self.get("connection"))

    def with_length(self, length: int) -> bytes:
        """Return the head again, saying that the body has this length."""
        lines = self.raw[:-4].split(b"\r\n")
        dropped = (b"content-length:", b"transfer-encoding:")
        kept = [line for line in lines if not line.lower().startswith(dropped)]
        return b"\r\n".join([*kept, b"Content-Length: %d" % length, b"", b""])


class Stream:
    """One side of a connection: buffered reading, plain writing, and a count of both."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._read = self.written = 0
        self._buffer = b""

    def _more(self) -> bytes:
        data = self.sock.recv(PIECE)
        self._read += len(data)
        return data

    @property
    def taken(self) -> int:
        """Bytes that were read and handed out."""
        return self._read - len(self._buffer)

    def head(self) -> Head | None:
        """Read a head; None when the peer closed the connection before it."""
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            data = self._more()
            if not data and not self._buffer:
                return None
            if not data or len(self._buffer) > MAX_HEAD:
                raise Broken("half a head")
            self._buffer += data
        raw, self._buffer = self._buffer[: end + 4], self._buffer[end + 4 :]
        return Head(raw)

    def body(self, head: Head, *, until_close: bool = False) -> Iterator[tuple[bytes, bool]]:
        """Yield the body as it is on the wire; with each piece, whether it is content (not framing)."""
        if "chunked" in head.get("transfer-encoding"):
            yield from self._chunked()
        elif "content-length" in head.headers:
            yield from ((piece, True) for piece in self._exactly(int(head.headers["content-length"])))
        elif until_close:
            yield from ((piece, True) for piece in iter(self._any, b""))

    def _any(self) -> bytes:
        data, self._buffer = self._buffer, b""
        return data or self._more()

    def _exactly(self, size: int) -> Iterator[bytes]:
        while size:
            data = self._any()
            if not data:
                raise Broken("half a body")
            piece, self._buffer = data[:size], data[size:]
            size -= len(piece)
            yield piece

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\r\n")) < 0:
            data = self._more()
            if not data:
                raise Broken("half a body")
            self._buffer += data
        line, self._buffer = self._buffer[: end + 2], self._buffer[end + 2 :]
        return line

    def _chunked(self) -> Iterator[tuple[bytes, bool]]:
        while True:
            line = self._line()
            yield line, False
            size = int(line.partition(b";")[0], 16)
            if not size:
                break
            for piece in self._exactly(size):
                yield piece, True
            yield self._line(), False
        while line != b"\r\n":  # trailers
            line = self._line()
            yield line, False

    def write(self, data: bytes) -> None:
        """Send everything."""
        self.sock.sendall(data)
        self.written += len(data)  # at most a piece late

    def close(self) -> None:
        """Close the connection at once; a peer that still reads gets what was sent."""
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
