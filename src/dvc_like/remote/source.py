"""The local file that a `put` sends: opened, read, and its failures told as what they are.

Owns that a file of this machine which cannot be read is no fault of the remote: it is neither tried again nor
reported as a refusal. For every driver; knows none.
"""

from __future__ import annotations

import os

from ..errors import DataMissing, DvcLikeError
from ..paths import show

SMALL = 64 << 10  # one read takes such a file whole; from this size on cloning can cost less than copying

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
