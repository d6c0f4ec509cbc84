"""Putting on disk what was written: many files with one call, a few one by one, large ones past the page cache.

Owns how much a flush flushes, and how little is left for it to do. Knows nothing of what is stored. A file is safe
under its name after three steps, in this order: its bytes on disk, the rename, the folder's new list of names on disk.
"""

from __future__ import annotations

import errno
import mmap
import os
from collections.abc import Iterable

from .errors import named
from .fsutil import Dir, flush_filesystem, write_all

if os.name == "posix":
    import fcntl

FSYNC_UP_TO = 8  # so few are cheaper flushed one by one than with all that others wrote to the file system
_PAST_CACHE = 8 << 20  # from so many bytes on
_PIECE = 4 << 20
_ALIGNED = 4096  # what disks want places and sizes to be multiples of
_O_DIRECT = getattr(os, "O_DIRECT", 0)


def write_large(fd: int, data: bytes | memoryview) -> None:
    """Write to the end of a new file what nobody is going to read soon; raise `OSError`.

    Past the page cache, where there is enough of it and the file system can: no page is filled, nothing is left for the
    flush to wait for. It takes a tenth of the processor time.
    """
    done = _write_past_cache(fd, memoryview(data)) if _O_DIRECT and len(data) >= _PAST_CACHE else 0
    write_all(fd, memoryview(data)[done:])


def _write_past_cache(fd: int, data: memoryview) -> int:
    """Write what can be written so; return how many bytes, 0 where the file system does not know of it."""
    flags = fcntl.fcntl(fd, fcntl.F_GETFL)
    done, whole = 0, len(data) // _ALIGNED * _ALIGNED
    try:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | _O_DIRECT)
        aligned = memoryview(mmap.mmap(-1, _PIECE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        while done < whole and done % _ALIGNED == 0:
            size = min(_PIECE, whole - done)
            aligned[:size] = data[done : done + size]
            done += os.write(fd, aligned[:size])
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):
            raise
    finally:
        fcntl.fcntl(fd, fcntl.F_SETFL, flags)
    return done


def everything_to_disk(top: Dir) -> None:
    """Put all of a folder's file system on disk; where folders cannot be opened (Windows) there is nothing to do."""
    if top.fd is None:
        return
    try:
        flush_filesystem(top.fd)
    except OSError as error:
        raise named(error, top.path) from None


def files_to_disk(top: Dir, names: Iterable[str]) -> None:
    """Put files or folders below `top` on disk."""
    names = tuple(names)
    if len(names) > FSYNC_UP_TO and top.fd is not None:
        everything_to_disk(top)
        return
    for name in names:
        fd = top.open(name, os.O_RDONLY)
        try:
            os.fsync(fd)
        except OSError as error:
            # Windows wants a writable descriptor; some shares cannot flush a folder.
            if error.errno not in (errno.EBADF, errno.EINVAL):
                raise named(error, top.path) from None
        finally:
            os.close(fd)


def names_to_disk(top: Dir, names: Iterable[str]) -> None:
    """Put on disk that files below `top` bear their names; a folder above that is new is not looked at."""
    if top.fd is not None:  # Windows opens no folder
        files_to_disk(top, {name.rpartition("/")[0] or "." for name in names})
