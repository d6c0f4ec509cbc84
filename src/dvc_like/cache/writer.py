"""How objects get into the cache: one pass that hashes and stores, one flush for many, then the names.

Owns the crash-safe order. Every object is written under a temporary name in its own shard folder, or aside in a shard
that is not there yet (`cache.fresh`); `flush` puts all of them on disk with one call and only then renames them. A
process that dies leaves temporary files and a mark; the next writer finds the mark unlocked and sweeps them. Needs no
lock against other writers.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from functools import partial
from itertools import count

from .. import digest as digests
from ..digest import Digest, file_key, tree_key
from ..durable import everything_to_disk, files_to_disk, names_to_disk
from ..errors import CorruptData, UnsafePath, named
from ..fsutil import CREATE, READ, clone, read_all, signature, write_all
from ..progress import Task
from . import marks
from .background import Background
from .fresh import FreshShards
from .incoming import Incoming, is_partial, sweep
from .marks import Mark
from .pump import Stored, pump
from .store import Cache

SMALL = 1 << 20  # up to this size a file is read into memory whole
CLONE_FROM = 64 << 10  # a small file costs more to clone than to copy; where it turns is an estimate
BATCH_FILES = 4096  # flushed while the next ones are read; also bounds memory
FRESH_FILES = 1 << 17  # objects for shards that are not there yet are named together: so many at most,
FRESH_SIZE = 4 << 30  # and so many bytes, which is what a process that is killed loses

_READ_ONLY = 0o444


#: By key: temporary name, digest of a file, fingerprint, and the signature where the name does not change it.
_Batch = dict[str, tuple[str, Digest | None, bytes, bytes]]


class Writer:
    """One batch of objects on their way in; a context manager. Safe to share between threads.

    Leaving it in peace flushes; leaving it by an error throws away what was not yet flushed.
    """

    def __init__(self, cache: Cache, algorithm: str, *, reflink: bool = True) -> None:
        self.cache = cache
        self.algorithm = algorithm
        self._reflink = reflink
        self._mutex = threading.Lock()
        self._pending: _Batch = {}
        self._under_way: _Batch = {}
        self._serial = count()
        self._open: set[str] = set()  # temporary files that are not enlisted yet
        self._beside: dict[str, str] = {}  # shard -> what our temporary names in it begin with
        self._made: FreshShards | None = None
        self._fresh: FreshShards | None = None  # the same until the first objects get their names
        self._left: set[str] = set()  # where fresh shards are filled that could not be put in place whole
        self._due = BATCH_FILES  # so many pending objects are flushed
        self._size = 0  # bytes that pend
        self._background = Background()
        self._is_aside = False  # whether a batch was flushed in a thread since the names were put on disk

    def __enter__(self) -> Writer:
        os.makedirs(self.cache.root, exist_ok=True)
        _ignore_everything(self.cache.root)
        marks.sweep(self.cache.root)
        sweep(self.cache)
        self._mark = Mark(self.cache.root)
        self._prefix = f"{self._mark.name}-"
        if self.cache.top.fd is not None:
            self._fresh = self._made = FreshShards(self.cache.top, self._mark.name)
        return self

    def __exit__(self, kind: object, *exc: object) -> None:
        try:
            # What was read before Ctrl-C is whole: keeping it spares the next run the work.
            if kind is None or (kind is KeyboardInterrupt and not self._under_way):
                self.flush()
        finally:
            self._throw_away()
            self._mark.close()

    # ---------------------------------------------------------------- putting

    def put_file(self, fd: int, size: int, task: Task | None = None) -> Stored:
        """Store the regular file open at `fd`; the caller checks that it stayed the same meanwhile.

        The bytes are counted on `task` as they are read.
        """
        if size > SMALL:
            return self._put_large(fd, task)
        if task is not None:
            task.advance(size=size)
        read = signature(os.fstat(fd)) if size >= CLONE_FROM and self._reflink else None
        data = read_all(fd, size)
        digest = digests.of_bytes(self.algorithm, data)
        fast = digests.fingerprint(data)
        key = file_key(digest)
        if not self._already(key, digest, fd):
            self._create(key, digest, fast, data, (fd, read) if read is not None else None)
        return Stored(digest, fast, len(data))

    def put_bytes(self, data: bytes, expected: Digest) -> None:
        """Store a whole file that came from outside; `CorruptData` when its bytes are not those of `expected`."""
        if digests.of_bytes(expected.algorithm, data) != expected:
            raise CorruptData("its bytes are not what its name says")
        key = file_key(expected)
        if key not in self._pending and key not in self._under_way:
            self._create(key, expected, digests.fingerprint(data), data, None)

    def put_tree(self, data: bytes, expected: Digest | None = None) -> Digest:
        """Store the bytes of a tree; with `expected` they must be its bytes, else `CorruptData`."""
        digest = digests.of_bytes(expected.algorithm if expected else self.algorithm, data)
        if expected not in (None, digest):
            raise CorruptData(f"a tree is damaged: its bytes are not those of {expected}")
        key = tree_key(digest)
        if key not in self._pending and key not in self._under_way:
            if self.cache.read_tree(digest) is None:
                self._create(key, None, b"", data, None)
            else:
                self.cache.renew(key)
        return digest

    def read_tree(self, digest: Digest, /) -> bytes | None:
        """Return the bytes of a tree that is in the cache or on its way there; None when missing or damaged."""
        with self._mutex:
            waiting = self._pending.get(tree_key(digest))
        if waiting is not None:
            try:
                fd = self.cache.top.open(waiting[0], READ)
                with open(fd, "rb") as file:
                    data = file.read()
            except FileNotFoundError:
                pass  # another thread is giving it its name
            except OSError as error:
                raise named(error, f"{self.cache.root}/{tree_key(digest)}") from None
            else:
                return data if digests.of_bytes(digest.algorithm, data) == digest else None
        if tree_key(digest) in self._under_way:
            self._background.join()
        return self.cache.read_tree(digest)

    def _already(self, key: str, digest: Digest, fd: int) -> bool:
        """Tell whether a sound object of that name is there or on its way.

        One without a record is not looked at: writing it again costs no more than reading it, and heals it. Nor is
        one made young again of which the file open at `fd` is a hard link: that would touch the user's file.
        """
        if key in self._pending or key in self._under_way:
            return True
        if self._fresh is not None and self._fresh.is_aside(key):
            return False
        record = self.cache.trust.get(digest)
        if record is None or not self.cache.is_sound(digest):
            return False
        if not os.path.samestat(os.fstat(fd), self.cache.top.lstat(key)):
            self.cache.renew(key)
            self.cache.trust.set(digest, signature(self.cache.top.lstat(key)), record[1])
        return True

    def _create(
        self, key: str, digest: Digest | None, fast: bytes, data: bytes, source: tuple[int, bytes] | None
    ) -> None:
        place = self._place(key)
        if place is None:
            return
        temp, is_final = place
        seen = b""
        try:
            fd = self.cache.top.open(temp, CREATE, _READ_ONLY)
            try:
                # On a file system that shares blocks a clone costs no space; `data` says what its bytes must be.
                if source is None or not _clone_unchanged(self._clone, source, fd):
                    write_all(fd, data)
                if is_final:
                    seen = signature(os.fstat(fd))
            finally:
                os.close(fd)
        except BaseException as error:
            self._discard(temp)
            raise _told(error, self.cache) from None
        self._enlist(key, temp, digest, fast, len(data), seen)

    def _place(self, key: str) -> tuple[str, bool] | None:
        """Return where to write an object, and whether it bears its own name there; None: another thread brings it."""
        with self._mutex:
            temp = self._fresh.path(key) if self._fresh is not None else None
            if temp is None:
                temp, is_final = self._temp_beside(key), False
            elif key in self._pending or temp in self._open:
                return None
            else:
                is_final = True
            self._open.add(temp)
            return temp, is_final

    def _discard(self, temp: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            self.cache.top.unlink(temp)
        with self._mutex:
            self._open.discard(temp)

    def _clone(self, source: int, target: int) -> bool:
        if self._reflink and not clone(source, target):
            self._reflink = False
        return self._reflink

    def _temp_beside(self, key: str) -> str:
        """Return a free name in the shard of a key."""
        shard = key[: key.rindex("/")]
        return f"{self._beside.get(shard) or self._open_shard(shard)}{next(self._serial):x}"

    def _open_shard(self, shard: str) -> str:
        """See that a shard is there and no link; once for each."""
        if self.cache.is_linked(shard):
            raise UnsafePath(f"{self.cache.root}/{shard} is a link; nothing is written through it")
        os.makedirs(os.path.join(self.cache.root, shard), exist_ok=True)
        self._beside[shard] = f"{shard}/{self._prefix}"
        return self._beside[shard]

    def _open_temp(self, temp: str) -> int:
        self._open.add(temp)
        return self.cache.top.open(temp, CREATE, _READ_ONLY)

    def _enlist(
        self, key: str, temp: str, digest: Digest | None, fast: bytes, size: int = 0, seen: bytes = b""
    ) -> None:
        with self._mutex:
            self._background.check()
            if key in self._pending or key in self._under_way:  # another thread brought the same bytes
                self.cache.top.unlink(temp)
            else:
                self._pending[key] = (temp, digest, fast, seen)
                self._size += size
            self._open.discard(temp)
            if len(self._pending) >= self._due and not self._background.is_busy:
                self._background.start(self._next_work())

    def _next_work(self) -> Callable[[], None]:
        """Return what the disk can do while the next files are read."""
        if self._fresh is not None and len(self._pending) < FRESH_FILES and self._size < FRESH_SIZE:
            self._due += BATCH_FILES
            return partial(everything_to_disk, self.cache.top)
        self._is_aside = True
        return self._take()

    def _take(self) -> Callable[[], None]:
        """Begin a new batch; return what names the full one. Called with the mutex held, or by the only thread."""
        batch, self._pending = self._pending, {}
        self._under_way, self._size, self._due = batch, 0, BATCH_FILES
        fresh, self._fresh = self._fresh, None
        unfinished = set(self._open)
        return lambda: self._name(batch, fresh, unfinished)

    def _put_large(self, fd: int, task: Task | None) -> Stored:
        temp = self._temp_beside(f"files/{self.algorithm}/x")
        before = os.fstat(fd)
        out = self._open_temp(temp)
        try:
            cloned = self._clone(fd, out)
            # A clone shares no page cache with its source: hash the source, which is warm or gets so.
            stored = pump(fd, None if cloned else out, self.algorithm, task)
            changed = cloned and signature(before) != signature(os.fstat(fd))
            self._temp_beside(file_key(stored.digest))  # its shard was not known when it was opened
        except BaseException as error:
            self._discard(temp)
            raise _told(error, self.cache) from None
        finally:
            os.close(out)
        key = file_key(stored.digest)
        # A clone that is not what was hashed: the caller sees it too.
        if changed or self._already(key, stored.digest, fd):
            self.cache.top.unlink(temp)
        else:
            self._enlist(key, temp, stored.digest, stored.fingerprint)
        return stored

    def receive(self, expected: Digest, size: int | None, *, is_known: bool = True) -> Incoming:
        """Return a sink for an object that comes from outside: nothing is kept unless its hash is right.

        Where nobody knows its digest yet, `expected` is that of what tells its version: see `Incoming`.
        """
        return Incoming(
            *(self.cache, expected, size),
            is_known=is_known,
            mark=self._mark.name,
            temp_beside=self._temp_beside,
            open_temp=self._open_temp,
            enlist=self._enlist,
        )

    # ---------------------------------------------------------------- flushing

    def flush(self) -> None:
        """Put everything pending on disk, then give it its names."""
        self._background.settle()
        with self._mutex:
            name = self._take()
        name()
        keys, self._under_way = list(self._under_way), {}
        if self._is_aside:
            everything_to_disk(self.cache.top)
        else:
            names_to_disk(self.cache.top, [*keys, *{key.rpartition("/")[0] for key in keys}])  # new shards, too
        self._is_aside = False
        self.cache.trust.save()

    def _name(self, batch: _Batch, fresh: FreshShards | None, unfinished: set[str]) -> None:
        if not batch:
            return
        files_to_disk(self.cache.top, [temp for temp, *_ in batch.values()])
        if fresh is not None:
            self._left = fresh.place(unfinished)
        placed: list[tuple[Digest, bytes]] = []
        placed_as: list[bytes] = []
        renamed: dict[str, tuple[Digest, bytes]] = {}
        for key, (temp, digest, fast, seen) in batch.items():
            if seen and temp.rpartition("/")[0] not in self._left:  # its shard has been put in place
                if digest is not None:
                    placed.append((digest, fast))
                    placed_as.append(seen)
                continue
            if seen:
                self._open_shard(key.rpartition("/")[0])
            self.cache.top.rename(temp, key)
            if digest is not None:
                renamed[key] = (digest, fast)
        self.cache.trust.add(placed, b"".join(placed_as))
        signatures = self.cache.top.signatures(renamed)
        if signatures is not None:  # else another process took one away, and they are hashed when they are used
            self.cache.trust.add(renamed.values(), signatures)

    def _throw_away(self) -> None:
        """Remove what has no name yet; after a flush that went well there is nothing."""
        self._background.join()
        enlisted = [temp for temp, *_ in (*self._under_way.values(), *self._pending.values())]
        self._under_way, self._pending = {}, {}
        for temp in (*enlisted, *self._open):
            if not is_partial(temp):  # it is whole, and spares the next run the way
                with contextlib.suppress(OSError):
                    self.cache.top.unlink(temp)
        if self._made is not None:
            self._made.remove()


def _told(error: BaseException, cache: Cache) -> BaseException:
    """Let a full or failing disk be that of the cache, not of the file that is being read."""
    return named(error, cache.root) if isinstance(error, OSError) else error


def _ignore_everything(root: str) -> None:
    # A worktree whose branch has no `.dvc-like` must not see the cache as untracked files.
    path = os.path.join(root, ".gitignore")
    if os.path.lexists(path) and os.lstat(path).st_size:
        return
    try:
        fd = os.open(path, CREATE & ~os.O_EXCL, 0o666)
        try:
            write_all(fd, b"*\n")
        finally:
            os.close(fd)
    except OSError as error:
        raise named(error, path) from None


def _clone_unchanged(clone: Callable[[int, int], bool], source: tuple[int, bytes], target: int) -> bool:
    """Clone what was read a moment ago; False, with `target` empty, when it may have changed since."""
    fd, read = source
    if not clone(fd, target):
        return False
    if signature(os.fstat(fd)) == read:
        return True
    os.ftruncate(target, 0)
    return False
