"""The cache's trash: what gc took out, until a later gc deletes it for good.

The way back is `Cache`'s own: it revives what is asked for.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

from .store import Cache, Object


def discard(cache: Cache, item: Object) -> None:
    """Move an object to the trash; its age there begins now."""
    os.utime(f"{cache.root}/{item.key}")  # before the move: a crash between must not make it look old there
    cache.move(item.key, f"trash/{item.key}")
    if not item.is_tree:
        cache.trust.drop(item.digest)


def trashed(cache: Cache) -> Iterator[tuple[str, os.stat_result]]:
    """Yield key and stat of everything in the trash."""
    top = f"{cache.root}/trash"
    for folder, _, names in os.walk(top):
        for name in names:
            path = os.path.join(folder, name)
            try:
                status = os.lstat(path)
            except FileNotFoundError:
                continue  # a reader, who needs no lock, took it back
            yield os.path.relpath(path, top).replace(os.sep, "/"), status


def delete(cache: Cache, key: str) -> bool:
    """Delete one key of the trash for good; tell whether it was there still."""
    path = f"{cache.root}/trash/{key}"
    with contextlib.suppress(OSError):  # Windows does not remove read-only files
        os.chmod(path, stat.S_IREAD | stat.S_IWRITE)
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
        return True
    return False
