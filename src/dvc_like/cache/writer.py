"""How objects get into the cache: one pass that hashes and stores, one flush for many, then the names.

Owns the crash-safe order. Every object is written under a temporary name in its own shard folder; `flush` puts
all of them on disk with one call and only then renames them. A process that dies leaves temporary files and a
mark; the next writer finds the mark unlocked and sweeps them. Needs no lock against other writers.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
from itertools import count

from .. import digest as digests
from ..digest import Digest, file_key, tree_key
from ..errors import CorruptData, LockHeld, UnsafePath
from ..fsutil import CREATE, Dir, clone, flush_filesystem, read_all, signature, temp_name, write_all
from ..locks import is_same_file, lock
from ..progress import Task
from .incoming import Incoming, is_partial, sweep
from .pump import Stored, pump
from .store import Cache

SMALL = 1 << 20  # up to this size a file is read into memory whole
CLONE_FROM = 64 << 10  # a small file costs more to clone than to copy; where it turns is an estimate
BATCH_FILES = 4096  # flushed while the next ones are read; also bounds memory
FSYNC_UP_TO = 8  # so few files are cheaper flushed one by one than with the whole file system

_READ_ONLY = 0o444


_Batch = dict[str, tuple[str, Digest | None, bytes]]  # key -> temporary name, digest of a file, fingerprint


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
        self._marks = contextlib.ExitStack()
        self._flushing: threading.Thread | None = None
        self._aside = False  # whether a batch was flushed in a thread since the names were put on disk
        self._flush_error: list[BaseException] = []

    def __enter__(self) -> Writer:
        marks = os.path.join(self.cache.root, "tmp")
        os.makedirs(marks, exist_ok=True)
        _ignore_everything(self.cache.root)
        self._sweep(marks)
        sweep(self.cache)
        self._mark = self._hold_mark(marks)
        self._prefix = os.path.basename(self._mark) + "-"
        return self

    def _hold_mark(self, marks: str) -> str:
        """Make and lock a mark; another writer may sweep it between the two, then it is made again."""
        while True:
            path = os.path.join(marks, temp_name())
            with contextlib.suppress(LockHeld), contextlib.ExitStack() as stack:
                held = stack.enter_context(lock(path, timeout=5))
                if is_same_file(held, path):
                    self._marks = stack.pop_all()
                    return path

    def __exit__(self, kind: object, *exc: object) -> None:
        try:
            # What was read before Ctrl-C is whole: keeping it spares the next run the work.
            if kind is None or (kind is KeyboardInterrupt and not self._under_way):
                self.flush()
        finally:
            self._throw_away()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._mark)
            self._marks.close()

    def _sweep(self, marks: str) -> None:
        """Remove what writers that died left behind."""
        for name in os.listdir(marks):
            path = os.path.join(marks, name)
            try:
                with lock(path, timeout=0, create=False) as held:
                    if not is_same_file(held, path):
                        continue
                    for folder, _, files in os.walk(os.path.join(self.cache.root, "files")):
                        for left in files:
                            if left.startswith(name + "-"):
                                os.unlink(os.path.join(folder, left))
                    os.unlink(path)
            except (LockHeld, FileNotFoundError):
                continue  # a living writer, or another process sweeps

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
        if not self._already(key, digest):
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

    def _already(self, key: str, digest: Digest) -> bool:
        """Tell whether a sound object of that name is there or on its way.

        One without a record is not looked at: writing it again costs no more than reading it, and heals it.
        """
        if key in self._pending or key in self._under_way:
            return True
        record = self.cache.trust.get(digest)
        if record is None or not self.cache.is_sound(digest):
            return False
        self.cache.renew(key)
        self.cache.trust.set(digest, signature(self.cache.top.lstat(key)), record[1])
        return True

    def _create(
        self, key: str, digest: Digest | None, fast: bytes, data: bytes, source: tuple[int, bytes] | None
    ) -> None:
        temp = self._temp_beside(key)
        fd = self._open_temp(temp)
        try:
            # On a file system that shares blocks a clone costs no space; `data` says what its bytes must be.
            if source is None or not self._clone_unchanged(source, fd):
                write_all(fd, data)
        except BaseException:
            self.cache.top.unlink(temp)
            raise
        finally:
            os.close(fd)
        self._enlist(key, temp, digest, fast)

    def _clone_unchanged(self, source: tuple[int, bytes], target: int) -> bool:
        """Clone what was read a moment ago; False, with `target` empty, when it may have changed since."""
        fd, read = source
        if not self._clone(fd, target):
            return False
        if signature(os.fstat(fd)) == read:
            return True
        os.ftruncate(target, 0)
        return False

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

    def _enlist(self, key: str, temp: str, digest: Digest | None, fast: bytes) -> None:
        with self._mutex:
            if self._flush_error:
                raise self._flush_error[0]  # the disk failed meanwhile: no use in going on
            if key in self._pending or key in self._under_way:  # another thread brought the same bytes
                self.cache.top.unlink(temp)
            else:
                self._pending[key] = (temp, digest, fast)
            self._open.discard(temp)
            if len(self._pending) < BATCH_FILES or (self._flushing is not None and self._flushing.is_alive()):
                return
            self._under_way, self._pending = self._pending, {}
            self._aside = True
            self._flushing = threading.Thread(target=self._flush_aside, args=(self._under_way,), daemon=True)
            self._flushing.start()

    def _flush_aside(self, batch: _Batch) -> None:
        """Flush in a thread of its own: the disk works while the next files are read."""
        try:
            self._name(batch)
        except BaseException as error:  # raised again by the next `flush`
            self._flush_error.append(error)

    def _put_large(self, fd: int, task: Task | None) -> Stored:
        temp = self._temp_beside(f"files/{self.algorithm}/x")
        out = self._open_temp(temp)
        before = os.fstat(fd)
        try:
            cloned = self._clone(fd, out)
            # A clone shares no page cache with its source: hash the source, which is warm or gets so.
            stored = pump(fd, None if cloned else out, self.algorithm, task)
            changed = cloned and signature(before) != signature(os.fstat(fd))
            self._temp_beside(file_key(stored.digest))  # its shard was not known when it was opened
        except BaseException:
            self.cache.top.unlink(temp)
            raise
        finally:
            os.close(out)
        key = file_key(stored.digest)
        if changed or self._already(key, stored.digest):  # a clone that is not what was hashed: the caller sees it too
            self.cache.top.unlink(temp)
        else:
            self._enlist(key, temp, stored.digest, stored.fingerprint)
        return stored

    def receive(self, expected: Digest, size: int) -> Incoming:
        """Return a sink for an object that comes from outside: nothing is kept unless its hash is right."""
        return Incoming(
            *(self.cache, expected, size),
            mark=self._mark,
            temp_beside=self._temp_beside,
            open_temp=self._open_temp,
            enlist=self._enlist,
        )

    # ---------------------------------------------------------------- flushing

    def flush(self) -> None:
        """Put everything pending on disk, then give it its names."""
        self._wait()
        with self._mutex:
            self._under_way, self._pending = self._pending, {}
        if self._under_way:
            self._name(self._under_way)
        keys, self._under_way = list(self._under_way), {}
        _names_to_disk(self.cache.top, keys, many=self._aside)
        self._aside = False
        self.cache.trust.save()

    def _wait(self) -> None:
        if self._flushing is not None:
            self._flushing.join()
            self._flushing = None
        if self._flush_error:
            raise self._flush_error.pop()
        self._under_way = {}

    def _name(self, batch: _Batch) -> None:
        _to_disk(self.cache.top, [temp for temp, _, _ in batch.values()])
        top = self.cache.top
        for key, (temp, _, _) in batch.items():
            top.rename(temp, key)
        files = {key: (digest, fast) for key, (_, digest, fast) in batch.items() if digest is not None}
        seen = top.signatures(files)
        if seen is not None:  # else another process took one away, and they are hashed when they are used
            self.cache.trust.add(files.values(), seen)

    def _throw_away(self) -> None:
        """Remove what has no name yet; after a flush that went well there is nothing."""
        if self._flushing is not None:
            self._flushing.join()
        enlisted = [temp for temp, _, _ in (*self._under_way.values(), *self._pending.values())]
        self._under_way, self._pending = {}, {}
        for temp in (*enlisted, *self._open):
            if not is_partial(temp):  # it is whole, and spares the next run the way
                with contextlib.suppress(OSError):
                    self.cache.top.unlink(temp)


def _ignore_everything(root: str) -> None:
    # A worktree whose branch has no `.dvc-like` must not see the cache as untracked files.
    path = os.path.join(root, ".gitignore")
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, CREATE, 0o666))
        with open(path, "w", encoding="utf-8") as file:
            file.write("*\n")


def _names_to_disk(top: Dir, keys: list[str], *, many: bool) -> None:
    """Put the new names on disk too: what points to them is written next."""
    shards = {key.rpartition("/")[0] for key in keys}
    if many or len(shards) > FSYNC_UP_TO:
        if top.fd is not None:
            flush_filesystem(top.fd)
        return
    for shard in shards:
        with top.descend(shard) as folder:
            if folder.fd is not None:
                os.fsync(folder.fd)


def _to_disk(top: Dir, temps: list[str]) -> None:
    if len(temps) > FSYNC_UP_TO and top.fd is not None:
        flush_filesystem(top.fd)
        return
    for temp in temps:
        fd = top.open(temp, os.O_RDONLY)
        try:
            os.fsync(fd)
        except OSError as error:
            if error.errno not in (errno.EBADF, errno.EINVAL):  # Windows wants a writable descriptor
                raise
        finally:
            os.close(fd)
