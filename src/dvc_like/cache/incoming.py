"""One object on its way in from outside, which may take several runs to come whole.

Owns `Incoming` and the folder ``partial/`` of the cache, in which what came of a big object waits for the next run. The
name of a partial file tells whose it is: it ends with that of the mark its writer holds locked (see `cache.writer`).
While the writer lives nobody else touches it; afterwards whoever wants the rest takes it over by renaming it. Nothing
in it is ever trusted: its bytes are hashed again. Knows nothing of remotes; `cache.writer` gives an object its name.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Callable, Iterator

from .. import digest as digests
from ..digest import Digest, file_key
from ..errors import CorruptData, LockHeld, named
from ..fsutil import CHUNK, CREATE, READ, TEMP_PREFIX, write_all
from ..locks import is_same_file, lock_of_the_dead
from .pump import Stored
from .store import Cache

PARTIAL = "partial"
RESUME_FROM = 8 << 20  # a smaller object is fetched again sooner than it is found
KEEP = 7 * 86400  # seconds a partial file waits for its rest


class Incoming:
    """An object being received: write its bytes from `start` on, then `accept` or `reject`.

    `start` is how many of its first bytes an earlier run left; they are part of what `accept` judges. Where nobody
    knows the object's digest yet (`is_known` false) `expected` only names what waits for the next run: it is that of
    what tells its version; `size` is None when nobody tells it.
    """

    def __init__(
        self,
        cache: Cache,
        expected: Digest,
        size: int | None,
        *,
        is_known: bool = True,
        mark: str,
        temp_beside: Callable[[str], str],
        open_temp: Callable[[str], int],
        enlist: Callable[[str, str, Digest, bytes], None],
    ) -> None:
        self._cache = cache
        self._expected = expected
        self._size = size
        self._enlist = enlist
        self._is_known = is_known
        self._temp_beside = temp_beside
        self._is_wrong = False
        self._begin()
        # Refuses a link in the way, so before anything else.
        self._temp = temp_beside(file_key(expected) if is_known else f"files/{expected.algorithm}/x")
        partial = self._open_partial(mark) if size is not None and size >= RESUME_FROM else None
        self._is_partial = partial is not None
        self._fd: int | None = open_temp(self._temp) if partial is None else partial

    def _begin(self) -> None:
        self._slow = digests.hasher(self._expected.algorithm)
        self._fast = digests.new_fingerprint(self._cache.seed)
        self.start = self._done = 0

    def _open_partial(self, mark: str) -> int | None:
        """Open a partial file of this object, one that is left or a new one; None where that cannot be."""
        mine = f"{PARTIAL}/{_stem(self._expected)}{mark}"
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(f"{self._cache.root}/{PARTIAL}")
            if self._cache.top.exists(mine):
                return None  # this very process receives it twice
            if _adopt(self._cache, self._expected, mine):
                fd = self._cache.top.open(mine, READ | os.O_RDWR)
                self._hash_again(fd)
            else:
                fd = self._cache.top.open(mine, CREATE, 0o644)
        except OSError:  # it is another user's, or cannot be read
            with contextlib.suppress(OSError):
                self._cache.top.unlink(mine)
            self._begin()
            return None
        self._temp = mine
        return fd

    def _hash_again(self, fd: int) -> None:
        """Hash what is there, or throw it away when it cannot be the beginning of the object."""
        try:
            if self._size is not None and os.fstat(fd).st_size > self._size:
                os.ftruncate(fd, 0)
            while data := os.read(fd, CHUNK):  # leaves us at the end, where the rest goes
                self._slow.update(data)
                self._fast.update(data)
                self._done += len(data)
        except BaseException:
            os.close(fd)
            raise
        self.start = self._done

    def write(self, data: bytes | memoryview, /) -> int:
        """Take some bytes, in order; raise `CorruptData` for more than there may be."""
        assert self._fd is not None
        if self._size is not None and self._done + len(data) > self._size:
            self._is_wrong = True
            raise CorruptData("it is longer than it may be")
        self._slow.update(data)
        self._fast.update(data)
        try:
            write_all(self._fd, data)
        except OSError as error:
            raise named(error, self._cache.root) from None
        self._done += len(data)
        return len(data)

    def accept(self) -> Stored:
        """Keep the object if its bytes are those of its name, and as many as they should be; else `CorruptData`."""
        digest = digests.finish(self._expected.algorithm, self._slow)
        if self._size not in (None, self._done) or (self._is_known and digest != self._expected):
            self._is_wrong = True
            raise CorruptData("its bytes are not what its name says" if self._is_known else "it ended too early")
        if self._is_partial and self._fd is not None:
            self._cache.renew(self._temp)  # its age begins now, also when an earlier run wrote all of it
            os.chmod(f"{self._cache.root}/{self._temp}", os.fstat(self._fd).st_mode & 0o444)
        if not self._is_known:
            self._temp_beside(file_key(digest))  # its shard was not known when it was opened
        self._close()
        self._enlist(file_key(digest), self._temp, digest, self._fast.digest())
        return Stored(digest, self._fast.digest(), self._done)

    @property
    def done(self) -> int:
        """How many bytes are there."""
        return self._done

    def reject(self, *, wrong: bool = False) -> None:
        """Give up for now; nothing happens after `accept`.

        What came of a big object waits for the next run, unless it turned out to be `wrong`.
        """
        if self._close() and (wrong or self._is_wrong or not self._is_partial or not self._done):
            with contextlib.suppress(OSError):
                self._cache.top.unlink(self._temp)

    def _close(self) -> bool:
        if self._fd is None:
            return False
        fd, self._fd = self._fd, None
        try:
            os.close(fd)  # a share may tell only now that it is full
        except OSError as error:
            raise named(error, self._cache.root) from None
        return True


def is_partial(temp: str) -> bool:
    """Tell whether a temporary name of a writer is that of a partial file, which outlives it."""
    return temp.startswith(PARTIAL + "/")


def sweep(cache: Cache) -> None:
    """Remove partial files nobody writes that are old, or whose object came another way."""
    for name, digest, status in _partials(cache):
        is_old = status.st_mtime < time.time() - KEEP
        if (is_old or cache.top.exists(file_key(digest))) and _is_abandoned(cache, name):
            with contextlib.suppress(FileNotFoundError):
                cache.top.unlink(f"{PARTIAL}/{name}")


def _stem(digest: Digest) -> str:
    return f"{digest.algorithm}-{digest.hex}"


def _partials(cache: Cache) -> Iterator[tuple[str, Digest, os.stat_result]]:
    """Yield name, digest and stat of every partial file; what has no name of ours is left alone."""
    try:
        names = os.listdir(f"{cache.root}/{PARTIAL}")
    except (FileNotFoundError, NotADirectoryError):
        return
    for name in names:
        stem, prefix, _ = name.partition(TEMP_PREFIX)
        with contextlib.suppress(FileNotFoundError, CorruptData):
            digest = digests.parse(stem.replace("-", ":", 1))
            status = cache.top.lstat(f"{PARTIAL}/{name}")
            if prefix and stat.S_ISREG(status.st_mode):
                yield name, digest, status


def _is_abandoned(cache: Cache, name: str) -> bool:
    """Tell whether the writer of a partial file, named by the end of its name, is gone."""
    path = f"{cache.root}/tmp/{''.join(name.partition(TEMP_PREFIX)[1:])}"
    try:
        with lock_of_the_dead(path) as held:
            return is_same_file(held, path)
    except FileNotFoundError:
        return True
    except (LockHeld, OSError):
        return False


def _adopt(cache: Cache, digest: Digest, mine: str) -> bool:
    """Take over the longest partial file of an object; False when there is none to be had."""
    found = [(status.st_size, name) for name, of, status in _partials(cache) if of == digest]
    for _, name in sorted(found, reverse=True):
        if _is_abandoned(cache, name):
            with contextlib.suppress(FileNotFoundError):  # somebody was faster
                cache.top.rename(f"{PARTIAL}/{name}", mine)
                os.chmod(f"{cache.root}/{mine}", 0o644)  # one that was whole is read-only
                return True
    return False
