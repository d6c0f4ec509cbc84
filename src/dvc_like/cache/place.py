"""How an object gets into the workspace: clone, hard link, symbolic link or copy.

Owns the choice between them, in the order of `cache.type`, and that nothing unsound is ever placed. Knows the
workspace only as an open folder and a name.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from typing import NamedTuple

from ..digest import Digest
from ..errors import named
from ..fsutil import CREATE, Dir, clone, copy_bytes, signature, temp_name, write_all
from .store import Cache
from .writer import CLONE_FROM, SMALL

DEFAULT_TYPES = ("reflink", "copy")
#: What a file system answers that makes no such link.
CANNOT_LINK = {errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}


class Placed(NamedTuple):
    """What was put into the workspace: its signature now, and the fingerprint of its content."""

    status: os.stat_result
    fingerprint: bytes


class Placer:
    """Puts objects of one cache into the workspace: by the first of `types` that works; copying is the last resort."""

    def __init__(self, cache: Cache, types: tuple[str, ...] = DEFAULT_TYPES) -> None:
        self._cache = cache
        self._types = types if "copy" in types else (*types, "copy")

    @property
    def links(self) -> bool:
        """Tell whether a placed file shares its inode with the cache, so that `add` replaces it by such a link."""
        return self._types[0] in ("hardlink", "symlink")

    def place(
        self,
        folder: Dir,
        name: str,
        digest: Digest,
        *,
        executable: bool,
        replace: bool,
        put: Callable[[str, str], None] | None = None,
    ) -> Placed | None:
        """Put an object under `name`; None when it is missing or damaged (then nothing was touched).

        With `replace` the new file takes the place of the old one at once, else `name` must be free and the
        folder still out of sight: then the file is written under its own name. `put(temp, name)` gives the
        finished file its name, or raises; without it the old one is replaced unseen.
        """
        opened = self._cache.open(digest)
        if opened is None:
            return None
        fd, status, fingerprint = opened
        try:
            if replace and not executable and self._types[0] == "hardlink":
                here = folder.lstat(name) if folder.exists(name) else None
                if here is not None and os.path.samestat(here, status):
                    return Placed(here, fingerprint)  # a rename between two links to one file does nothing
            target = temp_name() if replace else name
            ways = (self._try(kind, folder, target, digest, fd, status, executable) for kind in self._types)
            placed = next(made for made in ways if made is not None)  # a copy at last
            try:
                after = os.fstat(fd)
                if not same_bytes(status, after):
                    folder.unlink(target)  # somebody writes to it through a hard link: what was copied may be anything
                    return None
                if replace:
                    (put or folder.rename)(target, name)
                    after, placed = os.fstat(fd), folder.lstat(name)
            except BaseException:
                with contextlib.suppress(OSError):  # the first error counts
                    folder.unlink(target)
                raise
            self._renew(digest, status, after, fingerprint)
            return Placed(placed, fingerprint)
        except OSError as error:
            raise named(error, f"{folder.path}/{name}") from None
        finally:
            os.close(fd)

    def _renew(self, digest: Digest, before: os.stat_result, after: os.stat_result, fingerprint: bytes) -> None:
        """Keep an object trusted whose ctime moved because a link to it came or went, and nothing else."""
        if after.st_ctime_ns != before.st_ctime_ns and same_bytes(before, after):
            self._cache.trust.set(digest, signature(after), fingerprint)

    def _try(
        self, kind: str, folder: Dir, name: str, digest: Digest, fd: int, status: os.stat_result, executable: bool
    ) -> os.stat_result | None:
        """Put an object under a free name in one way; return what it looks like there, None where that cannot be."""
        if kind in ("hardlink", "symlink"):
            if executable or not self._link(kind, folder, name, digest):
                return None  # the bit would be set for everyone who links to the object
            try:
                return folder.lstat(name)
            except BaseException:
                folder.unlink(name)
                raise
        if kind == "reflink" and status.st_size < CLONE_FROM:
            return None
        out = folder.open(name, CREATE, 0o777 if executable else 0o666)
        try:
            if kind == "reflink":
                if clone(fd, out):
                    return os.fstat(out)
                self._types = tuple(t for t in self._types if t != "reflink")
                folder.unlink(name)
                return None
            if status.st_size <= SMALL:
                if status.st_size:
                    write_all(out, os.read(fd, status.st_size))
            else:
                copy_bytes(fd, out)
            return os.fstat(out)
        except BaseException:
            folder.unlink(name)
            raise
        finally:
            os.close(out)

    def _link(self, kind: str, folder: Dir, name: str, digest: Digest) -> bool:
        path = self._cache.path(digest)
        try:
            if kind == "symlink":
                folder.symlink(path, name)
            elif folder.fd is not None:
                os.link(path, name, dst_dir_fd=folder.fd, follow_symlinks=False)
            else:
                os.link(path, f"{folder.path}/{name}")
        except OSError as error:
            if error.errno in CANNOT_LINK:
                return False
            raise
        return True


def same_bytes(before: os.stat_result, after: os.stat_result) -> bool:
    """Tell whether an open file was not written to in between."""
    return (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
