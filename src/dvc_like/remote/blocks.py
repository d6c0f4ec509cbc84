"""A file of an origin as the source of a `put`: read a second time, and no byte handed on that the first did not see.

Owns the digests of a file's blocks, made while it is read once, and the few blocks that are in memory.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

import blake3

from ..errors import DvcLikeError, RemoteError, RemoteUnavailable, SourceChanged
from .base import Sink
from .source import Source

BLOCK = 16 << 20  # what a store that takes parts takes at a time
_KEPT = 5  # blocks in memory: one for each part in flight, and the next

#: Writes bytes of the file into a sink: so many from a place on.
Read = Callable[[Sink, int, int], None]


class BlockDigests:
    """A sink that makes a digest of each block; `digests` are complete after `finish`."""

    def __init__(self) -> None:
        self.digests: list[bytes] = []
        self._state = blake3.blake3()
        self._filled = 0

    def write(self, data: bytes | memoryview, /) -> int:
        """Take some bytes, in order."""
        left = memoryview(data)
        while left:
            some = left[: BLOCK - self._filled]
            self._state.update(some)
            self._filled += len(some)
            left = left[len(some) :]
            if self._filled == BLOCK:
                self._close()
        return len(data)

    def _close(self) -> None:
        self.digests.append(self._state.digest())
        self._state, self._filled = blake3.blake3(), 0

    def finish(self) -> list[bytes]:
        """Return the digests of all blocks; the last may be short."""
        if self._filled:
            self._close()
        return self.digests


class Blocks(Source):
    """Bytes that `read` fetches, block by block, each compared with what it was the first time."""

    def __init__(self, read: Read, size: int, digests: list[bytes]) -> None:
        self.failed: DvcLikeError | None = None
        self.size = size
        self.stamp = f"{size} {blake3.blake3(b''.join(digests)).hexdigest()}"
        self._read = read
        self._digests = digests
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._guard = threading.Lock()

    def read(self, start: int, length: int) -> bytes | memoryview:
        """Return some bytes at a place, at least one unless it is the end."""
        if start >= self.size:
            return b""
        number, offset = divmod(start, BLOCK)
        return memoryview(self._block(number))[offset : offset + length]

    def _block(self, number: int) -> bytes:
        with self._guard:
            block = self._blocks.get(number)
            if block is not None:
                self._blocks.move_to_end(number)
                return block
        buffer = _Buffer()
        try:
            self._read(buffer, number * BLOCK, min(BLOCK, self.size - number * BLOCK))
            block = bytes(buffer.data)
            if blake3.blake3(block).digest() != self._digests[number]:
                raise SourceChanged("it changed between being hashed and being sent", hint="Import it again.")
        except RemoteUnavailable as error:
            # It was tried again already, and it is not the store that fails.
            self.failed = RemoteError(error.message, hint=error.hint)
            raise self.failed from None
        except DvcLikeError as error:
            self.failed = error
            raise
        with self._guard:
            self._blocks[number] = block
            while len(self._blocks) > _KEPT:
                self._blocks.popitem(last=False)
        return block

    def close(self) -> None:
        """Give the memory back; it can be read on."""
        with self._guard:
            self._blocks.clear()


class _Buffer:
    def __init__(self) -> None:
        self.data = bytearray()

    def write(self, data: bytes | memoryview, /) -> int:
        self.data += data
        return len(data)
