"""What a `put` sends: a local file opened, read, and its failures told as what they are; any part of it as a file.

Owns that a file of this machine which cannot be read is no fault of the remote: it is neither tried again nor
reported as a refusal. For every driver; knows none.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from ..errors import DataMissing, DvcLikeError
from ..paths import show

SMALL = 64 << 10  # one read takes such a file whole; from this size on cloning can cost less than copying
_PIECE = 1 << 20

_FLAGS = os.O_RDONLY | getattr(os, "O_BINARY", 0)


def open_source(path: str) -> int:
    """Open the file to be sent; raise `DataMissing` when there is none, `DvcLikeError` when it cannot be read."""
    try:
        return os.open(path, _FLAGS)
    except OSError as error:
        raise unreadable(error, path) from error


def first_bytes(fd: int, path: str) -> tuple[bytes, bool]:
    """Return what the file begins with, and whether there is more to read. Small files come whole."""
    try:
        data = os.read(fd, SMALL)
        if len(data) == SMALL:
            return data, True
        more = os.read(fd, SMALL)  # one read may stop short of the end
    except OSError as error:
        raise unreadable(error, path) from error
    return data + more, bool(more)


def read_whole(path: str) -> bytes:
    """Return all bytes of the file."""
    fd = open_source(path)
    try:
        with os.fdopen(fd, "rb", closefd=False) as file:
            return file.read()
    except OSError as error:
        raise unreadable(error, path) from error
    finally:
        os.close(fd)


def unreadable(error: OSError, path: str) -> DvcLikeError:
    """Return the error to raise when reading the source fails."""
    kind = DataMissing if isinstance(error, FileNotFoundError | NotADirectoryError) else DvcLikeError
    return kind(f"{show(path)} cannot be read: {error.strerror or error}")


class Source:
    """The bytes to be sent, of which any part can be read by any thread. `stamp` tells them from others, if it can."""

    stamp = ""
    fd = -1  # of the local file, where it is one; at any place
    memory: memoryview | None = None  # all of it, where it is in memory

    def __init__(self, given: str | bytes | memoryview) -> None:
        """Open the file at a path, or take the bytes themselves."""
        self.failed: DvcLikeError | None = None  # an error of this machine, which boto3 would hide in its own
        self.memory = None if isinstance(given, str) else memoryview(given)
        self._path = given if isinstance(given, str) else ""
        self.fd = open_source(given) if isinstance(given, str) else -1
        self._mutex = threading.Lock()
        try:
            if self.memory is not None:
                self.size = len(self.memory)
            else:
                status = os.fstat(self.fd)
                self.size, self.stamp = status.st_size, f"{status.st_size} {status.st_mtime_ns}"
            self.read(0, 1)  # a folder can be opened, and not read
        except BaseException:
            self.close()
            raise

    def read(self, start: int, length: int) -> bytes | memoryview:
        """Return some bytes at a place, at least one unless it is the end."""
        if self.memory is not None:
            return self.memory[start : start + length]
        try:
            if hasattr(os, "pread"):
                return os.pread(self.fd, length, start)
            with self._mutex:
                os.lseek(self.fd, start, os.SEEK_SET)
                return os.read(self.fd, length)
        except OSError as error:
            self.failed = unreadable(error, self._path)
            raise self.failed from error

    def pieces(self, start: int, length: int) -> Iterator[bytes | memoryview]:
        """Yield a part in pieces."""
        while length > 0:
            piece = self.read(start, min(_PIECE, length))
            if not piece:
                self.failed = DvcLikeError(f"{show(self._path)} became shorter while it was sent")
                raise self.failed
            yield piece
            start, length = start + len(piece), length - len(piece)

    def reached(self, place: int) -> None:
        """Hear from the driver that an attempt begins, at which so many bytes are there already."""

    def moved(self, size: int) -> None:
        """Hear from the driver that so many bytes more were handed over; a negative number is taken back."""

    def close(self) -> None:
        """Give the file back."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def handed_over(source: Source) -> Iterator[bytes | memoryview]:
    """Yield all of a source in pieces, each of which counts as handed over when the next is asked for."""
    source.reached(0)
    for piece in source.pieces(0, source.size):
        yield piece
        source.moved(len(piece))


class Watched(Source):
    """A local file that tells how much of it was handed to the store, as far as the driver says that on the way."""

    def __init__(self, path: str, hear: Callable[[int], None]) -> None:
        """Open the file; `hear` gets how many bytes more (or fewer, when it begins again) are done."""
        super().__init__(path)
        self._hear = hear
        self._done = 0
        self._counting = threading.Lock()

    def reached(self, place: int) -> None:
        """Count from this place on."""
        self.moved(place - self._done)

    def moved(self, size: int) -> None:
        """Count so many bytes more."""
        with self._counting:
            self._done += size
        self._hear(size)


class Window(io.RawIOBase):
    """A part of a source as a file, which boto3 reads more than once. Nothing but the piece asked for is in memory."""

    def __init__(self, source: Source, start: int, length: int) -> None:
        super().__init__()
        self._source, self._start, self._length, self._at = source, start, length, 0

    def __len__(self) -> int:
        return self._length

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it can be read again."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place."""
        before, self._at = self._at, max(0, offset + (0, self._at, self._length)[whence])
        self._source.moved(self._at - before)  # boto3 reads a body for its checksum, and again to send it
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read the next bytes."""
        wanted = min(len(buffer), self._length - self._at)
        if wanted <= 0:
            return 0
        piece = next(self._source.pieces(self._start + self._at, wanted))
        buffer[: len(piece)] = piece
        self._at += len(piece)
        self._source.moved(len(piece))
        return len(piece)
