"""Putting on disk what was written: many files with one call, a few one by one.

Owns how much a flush flushes. Knows nothing of what is stored. A file is safe under its name after three steps, in this
order: its bytes on disk, the rename, the folder's new list of names on disk.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

from .errors import named
from .fsutil import Dir, flush_filesystem

FSYNC_UP_TO = 8  # so few are cheaper flushed one by one than with all that others wrote to the file system


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
