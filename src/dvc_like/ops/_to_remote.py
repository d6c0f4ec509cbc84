"""From a URL to a remote: hashed on the way, and never whole on this machine.

Owns how. An object's key is the hash of its bytes, so a file is known only when all of it was seen. A small file waits
in memory; a big one is read twice, to hash it and to send it, and what is sent is compared block by block with what
was hashed. The small files of a folder travel in packs. The trees stay in the cache, being little.
"""

from __future__ import annotations

import contextlib
import io
import os
import threading
from collections.abc import Callable, Iterable, Iterator

from .. import digest as digests
from ..digest import Digest, file_ident, file_key
from ..errors import CorruptData, DataMissing, RemoteError, RemoteUnavailable, SourceChanged
from ..meta.file import Meta
from ..meta.tree import FILE, Entry
from ..paths import RelPath, join, show
from ..progress import Task
from ..remote.base import Sink
from ..remote.blocks import BlockDigests, Blocks
from ..remote.origin import UNKNOWN
from ..remote.pack import Builder, Deflater
from ..remote.packs import index_key, zip_key
from ..remote.seen import Seen
from ..remote.sinks import Bounded
from ._closure import TreeNeed, close_over, load_need
from ._send import PACK_SIZE, Sender
from ._session import Session
from ._store import Store
from ._survey import PACKED_UP_TO, Missing
from ._tracked import Target, Wanted
from ._transfer import as_error
from ._urls import Came, Reading, plant
from .fetch import Counting

IN_MEMORY = 8 << 20  # a file up to this size is read once
_AT_ONCE = 2  # big files
_PACK_FILES = 20_000


def send(session: Session, source: Reading, store: Store, path: RelPath) -> tuple[Entry, int]:
    """Send all of it to a store, for the target at `path`; return its entry, without a name, and the bytes read."""
    with session.progress.task("importing") as task, session.writer() as writer:
        store.look()
        sender = _Sender(session, source, store, path, task)
        with contextlib.closing(sender.came):
            entries = sender.run()
        if not source.is_folder:
            return entries[RelPath("")], sender.moved
        root = plant(writer, entries)
        writer.flush()
    with session.progress.task("pushing") as task:
        _send_trees(session, store, Target(path, Meta(root.digest, root.size, root.files)), entries.values(), task)
    return root, sender.moved


def _send_trees(session: Session, store: Store, target: Target, files: Iterable[Entry], task: Task) -> None:
    """Send the trees of a folder, all of whose files are there."""

    def load(level: list[TreeNeed]) -> None:
        for need in level:
            need.entries = load_need(session.cache, need)

    levels = close_over([Wanted(target, target.path)], load).levels
    known = {b"", *(file_ident(entry.digest) for entry in files)}
    with Seen(os.path.join(session.project.shared_tmp, "remotes.sqlite"), store.identity) as seen:
        sender = Sender(session, store, seen, known, task)
        sender.run(Missing(levels=levels))
    if sender.failures or not sender.has(target):
        raise as_error("import", sender.failures, 0, 0) if sender.failures else DataMissing("its listing was not sent")


class _Sender:
    def __init__(self, session: Session, source: Reading, store: Store, path: RelPath, task: Task) -> None:
        self._algorithm = session.project.algorithm
        self._source = source
        self._store = store
        self._path = path
        self._task = task
        self._deflater = None if store.is_near else Deflater()
        self._mutex = threading.Lock()
        self._entries: dict[RelPath, Entry] = {}
        self.came = Came(session.project)
        self.moved = 0

    def run(self) -> dict[RelPath, Entry]:
        files = self._source.files
        self._task.expect(files=len(files), size=self._source.size or 0)
        left = [name for name in files if not self._is_there(name)]
        small = [name for name in left if self._source.is_folder and 0 <= files[name].size <= PACKED_UP_TO]
        for names in self._packs(small):
            self._pack(names)
        packed = set(small)
        self._each([name for name in left if name not in packed], self._put, min(_AT_ONCE, self._source.jobs))
        self._settle()
        return self._entries

    def _each(self, names: list[str], work: Callable[[str], None], jobs: int) -> None:
        """Call `work` for each name, and raise what failed once the others are done."""
        outcome = self._store.transfer(names, work, jobs=jobs, at_once=1)
        if outcome.failures:
            self._settle()
            if len(self._source.files) == 1:
                raise outcome.failures[0][1]
            failures = [(show(name), error) for name, error in outcome.failures]
            raise as_error("import", failures, 0, len(outcome.untried))

    def _settle(self) -> None:
        """Make what was put count, then remember it."""
        self._store.backend.flush()
        self.came.save()

    def _is_there(self, name: str) -> bool:
        """Tell whether the remote has what this version was the last time."""
        digest, size = self.came.get(self._source.version(name)), self._source.files[name].size
        if digest is None or not self._has(digest, size):
            return False
        self._arrived(name, digest, size, moved=0)
        return True

    def _has(self, digest: Digest, size: int) -> bool:
        if self._is_packed(digest):
            return True
        key = file_key(digest)
        found = self._store.backend.stat([key])
        return any(info.size == size for info in found.values()) and self._spare(key, [key])

    def _is_packed(self, digest: Digest) -> bool:
        places = self._store.packs.find([file_ident(digest)]).values()
        return any(self._spare(f"packs/{one.pack}", [zip_key(one.pack), index_key(one.pack)]) for one in places)

    def _spare(self, name: str, keys: list[str]) -> bool:
        """Take what is relied on off the lists of what a gc will delete; tell whether it is there all the same."""
        packs = self._store.packs
        with self._mutex:
            if name not in packs.condemned_names():
                return True
            packs.spare({name})
        return len(self._store.backend.stat(keys)) == len(keys)

    def _arrived(self, name: str, digest: Digest, size: int, *, moved: int) -> None:
        with self._mutex:
            self.came.note(self._source.version(name), digest)
            self._entries[RelPath(name)] = Entry(name.rpartition("/")[2], FILE, size, digest)
            self.moved += moved
        self._task.advance(files=1)

    # ---------------------------------------------------------------- small files

    def _packs(self, names: list[str]) -> Iterator[list[str]]:
        some: list[str] = []
        size = 0
        for name in names:
            some.append(name)
            size += self._source.files[name].size
            if size >= PACK_SIZE or len(some) >= _PACK_FILES:
                yield some
                some, size = [], 0
        if some:
            yield some

    def _pack(self, names: list[str]) -> None:
        """Read some files and send them in one pack."""
        read: dict[str, bytes] = {}

        def work(name: str) -> None:
            read[name] = self._whole(name)

        self._each(names, work, self._source.jobs)
        builder, found, sent = Builder(self._deflater), {}, set[bytes]()
        for name in names:
            found[name] = digests.of_bytes(self._algorithm, read[name])
            ident = file_ident(found[name])
            if ident not in sent and not self._is_packed(found[name]):
                builder.add(ident, join(self._path, name), read[name])
                sent.add(ident)
        if len(builder):
            pack = builder.finish()
            self._store.packs.put(pack)
            self._store.backend.flush()
            self._store.packs.added(pack.id, pack.index_data)
            if not self._spare(f"packs/{pack.id}", [zip_key(pack.id), index_key(pack.id)]):
                raise RemoteUnavailable("a gc deletes there what is being sent", hint="Import again when it is done.")
        for name, digest in found.items():
            self._arrived(name, digest, len(read[name]), moved=len(read[name]))
        self._settle()

    def _whole(self, name: str) -> bytes:
        """Read one file into memory, of the size that it is said to have."""
        buffer = Bounded(size := self._source.files[name].size)
        is_more = False
        try:
            self._source.backend.get(name, Counting(buffer, self._task))
        except CorruptData:
            is_more = True
        if is_more or buffer.tell() != size:
            raise SourceChanged(f"{show(name or self._source.url)} has another size than it was said to have")
        return buffer.getvalue()

    # ---------------------------------------------------------------- big ones

    def _put(self, name: str) -> None:
        if 0 <= self._source.files[name].size <= IN_MEMORY:
            data = self._whole(name)
            digest = digests.of_bytes(self._algorithm, data)
            if not self._has(digest, len(data)):
                self._spare(file_key(digest), [])
                self._store.backend.put(file_key(digest), data, label=self._label(name))
            self._arrived(name, digest, len(data), moved=len(data))
            return
        if not self._store.backend.capabilities.streams:
            raise RemoteError(
                f"remote {self._store.name} takes big files only from a disk",
                hint="Import without --to-remote, then push.",
            )
        # Told before all of it is read for nothing: not every server knows parts.
        self._source.backend.get(name, io.BytesIO(), start=1, length=1)
        digest, size, blocks = self._hash(name)
        moved = size
        if not self._has(digest, size):
            source = Blocks(lambda sink, start, length: self._part(name, sink, start, length), size, blocks)
            self._task.expect(size=size)
            self._spare(file_key(digest), [])
            self._store.backend.put(file_key(digest), source, label=self._label(name))
            moved += size
        self._arrived(name, digest, size, moved=moved)

    def _label(self, name: str) -> str:
        return join(self._path, name) if name else self._path

    def _part(self, name: str, sink: Sink, start: int, length: int) -> None:
        self._source.backend.get(name, Counting(sink, self._task), start=start, length=length)

    def _hash(self, name: str) -> tuple[Digest, int, list[bytes]]:
        """Read all of a file for its digest, its size and the digests of its blocks."""
        sink = _Hashing(self._algorithm)
        self._source.backend.get(name, Counting(sink, self._task))
        size = self._source.files[name].size
        if size not in (UNKNOWN, sink.size):
            raise SourceChanged(f"{show(name or self._source.url)} has another size than it was said to have")
        return digests.finish(self._algorithm, sink.state), sink.size, sink.blocks.finish()


class _Hashing:
    def __init__(self, algorithm: str) -> None:
        self.state = digests.hasher(algorithm)
        self.blocks = BlockDigests()
        self.size = 0

    def write(self, data: bytes | memoryview, /) -> int:
        self.state.update(data)
        self.size += len(data)
        return self.blocks.write(data)
