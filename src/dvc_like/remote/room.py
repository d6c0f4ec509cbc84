"""Memory that packs are built in, one after another, and the way from there to the disk without a copy.

Owns two costs of a push to a folder: pages that the kernel clears for every pack anew, and its copy of every byte
into the page cache, which then is written while nobody does anything else. Knows nothing of what a pack is.
"""

from __future__ import annotations

import contextlib
import errno
import mmap
import os
import sys
from collections.abc import Iterable, Iterator

from ..fsutil import write_all

_LARGE = 8 << 20  # bytes; below, the wait for the disk costs more than the copy
_BLOCK = mmap.PAGESIZE  # no disk asks for more
_O_DIRECT = getattr(os, "O_DIRECT", 0) if sys.platform == "linux" else 0


class Room:
    """Memory that begins at a page and is written from its beginning on; it grows where it does not suffice."""

    def __init__(self, size: int) -> None:
        """Make room for `size` bytes. What is never written to takes no memory."""
        self._map = self._made(size)

    @staticmethod
    def _made(size: int) -> mmap.mmap:
        # What is shared lies in a file system of the kernel's, whose pages cost more.
        return mmap.mmap(-1, size) if sys.platform == "win32" else mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE)

    def clear(self) -> None:
        """Begin again. Views that were taken show what is written from now on."""
        self._map.seek(0)

    def writelines(self, parts: Iterable[bytes]) -> None:
        """Write some bytes behind the others."""
        for part in parts:
            try:
                self._map.write(part)
            except ValueError:
                self._grow(len(part))
                self._map.write(part)

    def _grow(self, size: int) -> None:
        old, end = self._map, self._map.tell()
        self._map = self._made(2 * max(len(old), size))
        self._map.write(memoryview(old)[:end])

    def getvalue(self) -> memoryview:
        """Return what was written, without copying it: good until `clear`."""
        return memoryview(self._map)[: self._map.tell()]


class Rooms:
    """Lends rooms of a size: as many as are wanted at once, and the same ones again."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._free: list[Room] = []

    @contextlib.contextmanager
    def lent(self) -> Iterator[Room]:
        """Lend one to one thread for as long as the block runs."""
        try:
            room = self._free.pop()
        except IndexError:
            room = Room(self._size)
        try:
            yield room
        finally:
            self._free.append(room)


def write_large(fd: int, data: bytes | memoryview) -> None:
    """Write all of `data` to an empty file: what is large past the page cache, if it begins at a page and that can be.

    Where memory, file system or platform do not take part, it is written as anything else is. Nothing is durable
    before it is flushed either way: the disk may hold it in a cache of its own. Raises `OSError`.
    """
    if len(data) < _LARGE:
        write_all(fd, data)
        return
    view = memoryview(data)
    done = _write_direct(fd, view[: len(view) // _BLOCK * _BLOCK])
    if done < len(view):
        write_all(fd, view[done:])


def _write_direct(fd: int, data: memoryview) -> int:
    """Write as much as can be written past the page cache; return how much."""
    done = 0
    if not _O_DIRECT:
        return done
    import fcntl

    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | _O_DIRECT)
        while done < len(data):
            done += os.write(fd, data[done:])  # after a part that ends within a block, the next is refused
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
    finally:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags)
    return done
