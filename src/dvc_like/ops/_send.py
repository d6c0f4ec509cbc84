"""Sending what a store lacks, in the order that never leaves a promise unkept.

Owns that order: whole files and packs of files, then trees, children before parents, each only when all that it lists
is known to be there; and what goes into which pack. The last files travel in one pack with the trees, so that a small
change is two requests; a pack appears at once, so that this breaks no order.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from operator import attrgetter

from ..cache.store import read_files
from ..digest import file_ident, tree_ident
from ..errors import CorruptData, DataMissing, DvcLikeError
from ..meta.tree import FOLDER
from ..paths import show
from ..progress import Task
from ..remote.pack import TREES, Builder, Deflater
from ..remote.packs import zip_key
from ..remote.room import Room, Rooms
from ..remote.seen import Seen
from ..remote.source import Watched
from ._closure import Need, TreeNeed
from ._session import Session
from ._store import Store
from ._survey import Missing, ident_of, travels_whole
from ._tracked import Target
from ._transfer import Outcome

PACK_SIZE = 64 << 20
PACK_FILES = 60_000
_WATCHED = 4 << 20  # bytes; of a file of this size on it is told how much was sent
_ROOM = PACK_SIZE * 3 // 2  # bytes for a pack with its heads, and trees in the last
_PACKS_AT_ONCE = 4  # each is held in memory while it is sent
_ROUND = 1 << 30  # bytes between two flushes: what a kill can cost where only a flush makes objects count
_ROUND_FILES = 10_000


@dataclass
class _Batch:
    """What goes into one pack; `sent` and `pack` (its id and index) are what became of it."""

    needs: list[Need]
    trees: list[TreeNeed] = field(default_factory=list)
    sent: list[Need] = field(default_factory=list)
    pack: tuple[str, bytes] | None = None

    @property
    def size(self) -> int:
        return sum(need.size for need in self.needs)


class Sender:
    """Sends to one store. `known` holds the idents of what is there; it grows with what has arrived for good."""

    def __init__(self, session: Session, store: Store, seen: Seen, known: set[bytes], task: Task) -> None:
        self._cache = session.cache
        self._store = store
        self._seen = seen
        self._known = known
        self._sent: set[str] = set()  # digests of files among them, which trees list by their digests
        self._task = task
        self._deflater = None if store.is_near else Deflater()
        # Where nothing is deflated, filling takes the interpreter all the time: two threads at it hinder each other.
        self._filling = threading.Lock() if store.is_near else contextlib.nullcontext()
        # A folder has what it was given when `put` returns. Others may be slow, and hold many packs.
        self._rooms = Rooms(_ROOM) if store.is_near and store.backend.capabilities.streams else None
        self.failures: list[tuple[str, DvcLikeError]] = []
        self.objects = 0
        self.size = 0
        self.untried = 0

    def has(self, target: Target) -> bool:
        """Tell whether a target is on the store with all that belongs to it."""
        digest = target.meta.digest
        return (tree_ident(digest) if target.meta.is_folder else file_ident(digest)) in self._known

    def run(self, missing: Missing) -> None:
        """Send what is missing."""
        self._task.expect(files=len(missing.files), size=sum([need.size for need in missing.files]))
        small: list[Need] = []
        large: list[Need] = []
        for need in missing.files:
            (large if travels_whole(need) else small).append(need)
        small.sort(key=attrgetter("path"))  # what lies together in the workspace lies together in a pack
        batches = list(_batches(small))
        last = batches.pop() if batches else _Batch([])
        for files in _rounds(large, lambda need: need.size):
            outcome = self._store.transfer(files, self._put_whole, at_once=32 if self._store.is_near else 1)
            kept = self._gather(outcome, lambda need: [need])
            self._arrived([need for need in files if need.key not in kept], [])
        for some in _rounds(batches, lambda batch: batch.size):
            done = self._store.transfer(some, self._put_batch, jobs=min(self._store.jobs, _PACKS_AT_ONCE), at_once=1)
            self._gather(done, lambda batch: batch.needs)
            self._arrived([], [batch for batch in some if batch.pack])
        with self._room() as room:
            self._send_trees(missing.levels, last, room)

    def _room(self) -> contextlib.AbstractContextManager[Room | None]:
        return contextlib.nullcontext() if self._rooms is None else self._rooms.lent()

    def _gather(self, outcome: Outcome, needs_of: Callable) -> set[str]:  # type: ignore[type-arg]
        """Take over what failed or was not tried; return the keys of those files."""
        failed = [(need, error) for item, error in outcome.failures for need in needs_of(item)]
        self.failures += [(show(need.path), error) for need, error in failed]
        untried = [need for item in outcome.untried for need in needs_of(item)]
        self.untried += len(untried)
        return {need.key for need in untried} | {need.key for need, _ in failed}

    def _arrived(self, files: list[Need], batches: list[_Batch]) -> None:
        """Make count what was put, and hear what the store says of it."""
        self._store.backend.flush()
        self._spare([batch.pack[0] for batch in batches if batch.pack])
        keys = [need.key for need in files]
        for batch in batches:
            assert batch.pack is not None
            self._store.packs.added(*batch.pack)
            keys.append(zip_key(batch.pack[0]))
            files = files + batch.sent
            self._known.update(tree_ident(need.digest) for need in batch.trees)
            self.objects += len(batch.trees)
        self._known.update([need.ident for need in files])
        self._sent.update([need.digest for need in files])
        self.objects += len(files)
        self.size += sum([need.size for need in files])
        if keys and self._store.is_near:
            self._seen.record(self._store.backend.stat(keys).items())

    def _spare(self, packs: list[str]) -> None:
        """Take packs off the lists of what is to be deleted: a pack that is made again has its old name."""
        names = {f"packs/{pack}" for pack in packs} & self._store.packs.condemned_names()
        if names:
            self._store.packs.spare(names)

    # ---------------------------------------------------------------- files

    def _put_whole(self, need: Need) -> None:
        opened = self._cache.open(need.digest)
        if opened is None:
            raise _lost()
        os.close(opened[0])
        if opened[1].st_size != need.size:
            raise _lying(need)
        path = self._cache.path(need.digest)
        if need.size < _WATCHED or not self._store.backend.capabilities.streams:
            self._store.backend.put(need.key, path, label=need.path)
            self._task.advance(files=1, size=need.size)
            return
        with contextlib.closing(Watched(path, lambda size: self._task.advance(size=size))) as source:
            try:
                self._store.backend.put(need.key, source, label=need.path)
            except BaseException:
                source.reached(0)
                raise
            source.reached(need.size)  # whatever the driver said
            self._task.advance(files=1)

    def _put_batch(self, batch: _Batch) -> None:
        with self._room() as room:
            builder = Builder(self._deflater, room)
            with self._filling:
                self._fill(builder, batch)
            self._put(builder, batch)

    def _fill(self, builder: Builder, batch: _Batch) -> None:
        """Put files into a pack. One that the cache lost fails alone."""
        found = read_files(self._cache, (need.digest for need in batch.needs))
        for need, data in zip(batch.needs, found, strict=True):
            if data is None:
                self.failures.append((show(need.path), _lost()))
            elif len(data) != need.size:
                self.failures.append((show(need.path), _lying(need)))
            else:
                builder.add(need.ident, need.path, data)
                batch.sent.append(need)

    def _put(self, builder: Builder, batch: _Batch) -> None:
        if len(builder):
            pack = builder.finish()
            self._store.packs.put(pack)
            batch.pack = (pack.id, pack.index_data)
            self._task.advance(files=len(batch.sent), size=sum([need.size for need in batch.sent]))

    # ---------------------------------------------------------------- trees

    def _send_trees(self, levels: list[list[TreeNeed]], last: _Batch, room: Room | None) -> None:
        """Put the trees, the deepest first, with the last files. What one pack cannot hold follows in the next."""
        builder, batch = Builder(self._deflater, room), last
        self._fill(builder, batch)
        coming = {need.ident for need in batch.sent}
        files = self._sent | {need.digest for need in batch.sent}
        for need in (need for level in reversed(levels) for need in level):
            ident = tree_ident(need.digest)
            if need.entries is None or ident in self._known or ident in coming:
                continue
            others = [entry for entry in need.entries if entry.kind == FOLDER or entry.value not in files]
            if not all(below in self._known or below in coming for below in map(ident_of, others)):
                continue
            data = self._cache.read_tree(need.digest)
            if data is None:
                self.failures.append((show(need.path), CorruptData("its listing is damaged in the cache")))
                continue
            if len(builder) and (builder.size + len(data) > PACK_SIZE + PACK_SIZE // 4 or not builder.fits(len(data))):
                self._close(builder, batch)
                builder, batch, coming, files = Builder(self._deflater, room), _Batch([]), set(), self._sent
            builder.add(ident, f"{TREES}{need.path}.tree", data)
            batch.trees.append(need)
            coming.add(ident)
        self._close(builder, batch)

    def _close(self, builder: Builder, batch: _Batch) -> None:
        """Send one pack with trees. If that fails, nothing that needs it follows."""
        try:
            self._put(builder, batch)
        except DvcLikeError as error:
            paths = [need.path for need in batch.sent] + [need.path for need in batch.trees]
            self.failures += [(show(path), error) for path in paths]
        else:
            self._arrived([], [batch] if batch.pack else [])


def _lost() -> DataMissing:
    return DataMissing(
        "not in the cache, or damaged there, and not on the remote",
        hint="`dvc-like fsck --repair` brings back what the workspace or another remote has.",
    )


def _lying(need: Need) -> CorruptData:
    """Return the error for an object of another size than is recorded: nobody would take it from the remote."""
    where = "its meta file" if need.single else "the listing of its folder"
    return CorruptData(
        f"{where} gives another size than its bytes have",
        hint="It was written by hand, or merged wrongly: restore it, or write it anew with `dvc-like add --force`.",
    )


def _batches(needs: Iterable[Need]) -> Iterator[_Batch]:
    """Divide small files into packs."""
    batch, size = _Batch([]), 0
    for need in needs:
        if batch.needs and (size + need.size > PACK_SIZE or len(batch.needs) >= PACK_FILES):
            yield batch
            batch, size = _Batch([]), 0
        batch.needs.append(need)
        size += need.size
    if batch.needs:
        yield batch


def _rounds(items: list, size_of: Callable) -> Iterator[list]:  # type: ignore[type-arg]
    """Divide items into rounds of about `_ROUND` bytes."""
    some, size = [], 0
    for item in items:
        some.append(item)
        size += size_of(item)
        if size >= _ROUND or len(some) >= _ROUND_FILES:
            yield some
            some, size = [], 0
    if some:
        yield some
