"""Which writers live: each holds a locked file in ``tmp/`` of the cache, and all it writes aside is named after it.

Owns these marks, and the sweeping of what belongs to none. A process that dies frees its lock, whatever it died of.
"""

from __future__ import annotations

import contextlib
import os

from ..errors import LockHeld
from ..fsutil import is_temp, temp_name
from ..locks import is_same_file, lock, lock_of_the_dead
from .fresh import NEW

MARKS = "tmp"


class Mark:
    """A writer's mark; `name` is what its temporary names begin with, followed by a dash."""

    def __init__(self, root: str) -> None:
        """Make and lock a mark; another writer may sweep it between the two, then it is made again."""
        os.makedirs(f"{root}/{MARKS}", exist_ok=True)
        while True:
            self.name = temp_name()
            self._path = f"{root}/{MARKS}/{self.name}"
            with contextlib.suppress(LockHeld), contextlib.ExitStack() as stack:
                held = stack.enter_context(lock(self._path, timeout=5))
                if is_same_file(held, self._path):
                    self._held = stack.pop_all()
                    return

    def close(self) -> None:
        """Remove the mark; nothing that is named after it may be left."""
        with self._held, contextlib.suppress(FileNotFoundError):
            os.unlink(self._path)


def sweep(root: str) -> None:
    """Remove what writers that died left behind: temporary files beside objects, shards that were filled aside."""
    for name in _names(f"{root}/{MARKS}"):
        path = f"{root}/{MARKS}/{name}"
        try:
            with lock_of_the_dead(path) as held:
                if is_same_file(held, path):
                    _remove_files(f"{root}/files", f"{name}-")
                    os.unlink(path)
        except (LockHeld, FileNotFoundError):
            continue  # a living writer, or another process sweeps
    for name in _names(f"{root}/{NEW}"):
        # A shard is made after its mark and removed before it.
        if is_temp(name) and not os.path.lexists(f"{root}/{MARKS}/{name}"):
            import shutil  # costs as much as a small command, and is needed after a crash only

            shutil.rmtree(f"{root}/{NEW}/{name}", ignore_errors=True)


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _remove_files(top: str, prefix: str) -> None:
    for folder, _, files in os.walk(top):
        for left in files:
            if left.startswith(prefix):
                os.unlink(os.path.join(folder, left))
