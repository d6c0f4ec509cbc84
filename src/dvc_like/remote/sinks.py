"""Where the bytes of a `get` go, watched: how many came, and that no more come than may.

Owns that a store which lies about sizes fills no memory.
"""

from __future__ import annotations

import io
import threading

from ..errors import CorruptData
from .base import Sink


class Counted:
    """A sink that knows how much went through it; takes no more than `limit` bytes, and nothing once `stop` is set.

    `key` is what is received, for messages.
    """

    def __init__(
        self, sink: Sink, stop: threading.Event | None = None, *, key: str = "", limit: int | None = None
    ) -> None:
        self._key = key
        self._sink = sink
        self._stop = stop
        self._limit = limit
        self.size = 0

    def write(self, data: bytes | memoryview, /) -> int:
        """Take some bytes; raise `CorruptData` for more than there may be."""
        if self._stop is not None and self._stop.is_set():
            raise KeyboardInterrupt
        if self._limit is not None and self.size + len(data) > self._limit:
            raise CorruptData(
                f"{self._key}: more than the {self._limit:,} bytes that were asked for arrived",
                hint="The remote, or what stands between, changes what is sent.",
            )
        written = self._sink.write(data)
        self.size += len(data)
        return written


class Bounded(io.BytesIO):
    """A buffer for what may have `limit` bytes: more is `CorruptData`."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def write(self, data: bytes | memoryview, /) -> int:  # type: ignore[override]
        """Take some bytes, in order."""
        if self.tell() + len(data) > self._limit:
            raise CorruptData(f"it is larger than {self._limit:,} bytes")
        return super().write(data)
