"""Shards the cache does not have yet: filled aside under their final names, and put in place whole.

Owns the folder ``new/`` of the cache. A rename and a second look are a third of what a small object costs; a shard
that nobody has needs one rename for all its objects, and leaves what was seen of each of them true. Below ``new/``
every writer has a folder named like its mark (see `cache.writer`), which is removed with it.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable

from ..fsutil import Dir

NEW = "new"
TRASH = "trash"


class FreshShards:
    """The shards one writer fills aside. Not safe to share between threads: the writer's mutex guards it."""

    def __init__(self, top: Dir, mark: str) -> None:
        self._top = top
        self._folder = f"{NEW}/{mark}"
        self._aside: dict[str, str | None] = {}  # shard -> where it is filled; None: it is in its place already

    def path(self, key: str) -> str | None:
        """Return where the object of a key is written, or None where its shard is in place."""
        shard, _, name = key.rpartition("/")
        try:
            aside = self._aside[shard]
        except KeyError:
            aside = self._aside[shard] = self._begin(shard)
        return None if aside is None else f"{aside}/{name}"

    def is_aside(self, key: str) -> bool:
        """Tell whether the shard of a key is one that is filled aside: then nothing else holds the object."""
        return self._aside.get(key[: key.rindex("/")]) is not None

    def _begin(self, shard: str) -> str | None:
        if self._top.exists(shard) or self._top.exists(f"{TRASH}/{shard}"):
            return None
        aside = f"{self._folder}/{shard.replace('/', '-')}"
        os.makedirs(f"{self._top.path}/{aside}")
        return aside

    def place(self, but: Iterable[str]) -> set[str]:
        """Put the shards in their places; return where those are filled that could not be moved as a whole.

        `but` are objects that are not whole yet: their shards stay. So do those that another writer made meanwhile.
        """
        unfinished = {path.rpartition("/")[0] for path in but}
        left = set()
        for shard, aside in self._aside.items():
            if aside is None:
                continue
            if aside in unfinished or not self._move(aside, shard):
                left.add(aside)
        return left

    def _move(self, aside: str, shard: str) -> bool:
        try:
            os.makedirs(f"{self._top.path}/{shard.rpartition('/')[0]}", exist_ok=True)
            self._top.rename(aside, shard)
        except OSError:  # it is there and not empty
            return False
        return True

    def remove(self) -> None:
        """Remove the folders that are left; they are empty unless somebody else wrote into them."""
        for aside in filter(None, self._aside.values()):
            with contextlib.suppress(OSError):
                self._top.rmdir(aside)
        with contextlib.suppress(OSError):
            self._top.rmdir(self._folder)
