"""Objects as open files: one that lies on this machine, parts of one that lies on a remote, and one that nobody keeps.

Owns that bytes are handed out only while they are what was verified, or that the file says they were not. Knows neither
paths nor revisions; where bytes come from is told by whoever opens.
"""

from __future__ import annotations

import io
import os
import tempfile
import threading
import weakref
from collections.abc import Callable
from typing import IO, Any

from .. import digest as digests
from ..digest import Digest
from ..errors import CorruptData
from ..fsutil import CHUNK, signature
from ..paths import show

WHOLE_UP_TO = 8 << 20  # bytes of an object that is never read in parts: one request brings all of it, verified
_FIRST, _MOST = 256 << 10, 8 << 20  # bytes asked for at once: the more, the longer somebody reads on


class LocalFile(io.FileIO):
    """A sound file of this machine; reading raises `CorruptData` once its bytes are others."""

    verified = True

    def __init__(self, fd: int, status: os.stat_result, digest: Digest, path: str) -> None:
        """Take over the descriptor of a file that had this status when it was verified."""
        super().__init__(fd)
        self._seen = signature(status)
        self._digest = digest
        self._path = path

    def readinto(self, buffer: Any, /) -> int | None:
        """Read the next bytes."""
        count = super().readinto(buffer)
        self._check()
        return count

    def readall(self) -> bytes:
        """Read what is left."""
        data = super().readall()
        self._check()
        return data

    def read(self, size: int | None = -1, /) -> bytes | None:  # type: ignore[override]
        """Read the next bytes, or what is left; that of `FileIO` calls neither of the others."""
        data = super().read(-1 if size is None else size)
        self._check()
        return data

    def _check(self) -> None:
        """Look whether somebody writes to the file. One that was linked, renewed or replaced is what it was."""
        fd = self.fileno()
        status = os.fstat(fd)
        if signature(status) == self._seen:
            return
        at = os.lseek(fd, 0, os.SEEK_CUR)
        os.lseek(fd, 0, os.SEEK_SET)
        state = digests.hasher(self._digest.algorithm)
        while data := os.read(fd, CHUNK):
            state.update(data)
        os.lseek(fd, at, os.SEEK_SET)
        if digests.finish(self._digest.algorithm, state) != self._digest:
            raise CorruptData(
                f"{show(self._path)} was changed while it was read", hint="Let nothing write to it meanwhile."
            )
        self._seen = signature(status)


class _Seekable(io.RawIOBase):
    """A file of known size, any part of which can be read."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that any part can be read."""
        return True

    def tell(self) -> int:
        """Return the place of the next byte."""
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place."""
        self._at = max(0, offset + (0, self._at, self._size)[whence])
        return self._at


class RangedFile(_Seekable):
    """A big object of a remote, read in parts that nobody can verify one by one.

    `verified` turns True when all of it was read from the first byte to the last and was what it is called, and False
    when some of it is fetched again; when it was not, `CorruptData` is raised from the last read on.
    `fetch(start, length)` gets bytes.
    """

    def __init__(self, digest: Digest, size: int, fetch: Callable[[int, int], bytes], path: str) -> None:
        super().__init__(size)
        self.verified = False
        self._digest, self._fetch, self._path = digest, fetch, path
        self._held, self._start = b"", 0
        self._window = _FIRST // 2
        self._hash, self._hashed = digests.hasher(digest.algorithm), 0  # -1: what was read is not all in a row
        self._wrong: CorruptData | None = None

    def readinto(self, buffer: Any, /) -> int:
        """Read the next bytes."""
        if self._at >= self._size or not len(buffer):
            return 0
        end = self._start + len(self._held)
        if not self._start <= self._at < end:
            self._window = min(self._window * 2, _MOST) if self._at == end else _FIRST
            self._hold(min(max(len(buffer), self._window), self._size - self._at))
        begin = self._at - self._start
        piece = self._held[begin : begin + len(buffer)]
        buffer[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)

    def _hold(self, length: int) -> None:
        if self._wrong is not None:
            raise self._wrong
        held = self._fetch(self._at, length)
        if len(held) != length:
            raise CorruptData(f"{show(self._path)} is shorter on the remote than it may be")
        self.verified = False
        if self._at == 0:
            self._hash, self._hashed = digests.hasher(self._digest.algorithm), 0
        if self._at == self._hashed:
            self._hash.update(held)
            self._hashed += length
            if self._hashed == self._size:
                self.verified = digests.finish(self._digest.algorithm, self._hash) == self._digest
                if not self.verified:
                    self._held = b""
                    message = f"the bytes of {show(self._path)} on the remote are not what their name says"
                    self._wrong = CorruptData(message)
                    raise self._wrong
        else:
            self._hashed = -1
        self._held, self._start = held, self._at


class HeldFile(_Seekable):
    """A file that only this process has, in memory or without a name, as one of its readers sees it."""

    verified = True

    def __init__(self, held: Shared, size: int) -> None:
        super().__init__(size)
        self._held = held

    def readinto(self, buffer: Any, /) -> int:
        """Read the next bytes."""
        data = self._held.read(self._at, len(buffer))
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def readall(self) -> bytes:
        """Read what is left."""
        data = self._held.read(self._at, max(0, self._size - self._at))
        self._at += len(data)
        return data


class Shared:
    """A verified file that several readers of this process share; it is closed when none is left."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._mutex = threading.Lock()
        weakref.finalize(self, file.close)

    def read(self, start: int, length: int) -> bytes:
        """Return some bytes at a place; fewer at the end."""
        with self._mutex:
            self._file.seek(start)
            return self._file.read(length)


class Held:
    """Takes objects that come from a remote as a `Writer` does, and keeps them only as long as somebody reads.

    Small ones are in memory, others in a file of the system's temporary folder that has no name.
    """

    def __init__(self) -> None:
        self.files: dict[str, Shared] = {}

    def put_bytes(self, data: bytes, expected: Digest) -> None:
        """Take a whole file; raise `CorruptData` when its bytes are not those of `expected`."""
        if digests.of_bytes(expected.algorithm, data) != expected:
            raise CorruptData("its bytes are not what its name says")
        self.files[expected] = Shared(io.BytesIO(data))

    def receive(self, expected: Digest, size: int) -> _Arriving:
        """Return a sink for one file."""
        return _Arriving(self.files, expected, size)


class _Arriving:
    start = 0

    def __init__(self, files: dict[str, Shared], expected: Digest, size: int) -> None:
        self._files, self._expected, self._left = files, expected, size
        self._hash = digests.hasher(expected.algorithm)
        self._file: IO[bytes] = io.BytesIO() if size <= WHOLE_UP_TO else tempfile.TemporaryFile()  # noqa: SIM115 - closed by whoever reads it

    def write(self, data: bytes | memoryview, /) -> int:
        self._left -= len(data)
        if self._left < 0:
            raise CorruptData("it is longer than it may be")
        self._hash.update(data)
        return self._file.write(data)

    def accept(self) -> None:
        if self._left or digests.finish(self._expected.algorithm, self._hash) != self._expected:
            raise CorruptData("its bytes are not what its name says")
        self._files[self._expected] = Shared(self._file)

    def reject(self) -> None:
        if self._expected not in self._files:
            self._file.close()
