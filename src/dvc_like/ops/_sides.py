"""A dataset as a revision has it, and as `add` would record the workspace now: two sides in one shape.

Owns what a folder lists on either side, read only when it is asked for. Of a workspace file that the index does not
vouch for, the digest is found out only when somebody needs it: an entry without one has an empty `value`.
"""

from __future__ import annotations

import stat
from dataclasses import dataclass
from typing import NamedTuple

from ..cache.store import Cache
from ..digest import Digest, file_key
from ..errors import DataMissing, DvcLikeError
from ..fsutil import NO_SIGNATURE, SIGNATURE, Dir
from ..meta.tree import FILE, FOLDER, LINK, Entry
from ..paths import RelPath, join, parent, show
from ..progress import Task
from ..workspace.scan import Folder, file_kind, read_content
from ._look import look
from ._session import Session
from ._tracked import Target
from ._trees import Measure, Trees, load_entry, load_one, root_entry

_SPOILT = int.from_bytes(NO_SIGNATURE[:8], "little")


class Item(NamedTuple):
    """One path on one side. `side` is what a folder lists; `here` tells that the bytes are in the workspace."""

    path: RelPath
    entry: Entry
    side: Past | Now | None = None
    here: bool = False

    @property
    def is_folder(self) -> bool:
        """Tell a folder from a file or a link."""
        return self.entry.kind == FOLDER


class Past:
    """A folder of a dataset as its tree says; raises as `load_entry` does."""

    def __init__(
        self, cache: Trees, path: RelPath, entry: Entry, depth: int = 0, measure: Measure | None = None
    ) -> None:
        self._cache = cache
        self._path = path
        self._entry = entry
        self._depth = depth
        self._measure = measure or Measure(cache, path, entry)

    def listing(self) -> dict[str, Entry]:
        """Return the entries by name."""
        entries = load_entry(self._cache, self._entry, self._path, self._depth)
        self._measure.visit(self._entry, len(entries))
        return {entry.name: entry for entry in entries}

    def entry(self, name: str) -> Entry | None:
        """Return one of the entries, None when there is none of that name."""
        return load_one(self._cache, self._entry.digest, self._path, self._depth, name)

    def item(self, entry: Entry) -> Item:
        """Return one of the entries as an item."""
        path = join(self._path, entry.name)
        side = Past(self._cache, path, entry, self._depth + 1, self._measure) if entry.kind == FOLDER else None
        return Item(path, entry, side)


@dataclass
class Now:
    """A folder of the workspace. What was never checked out of the present version, `base`, is as it is there."""

    session: Session
    folder: Folder
    base: Entry | None
    depth: int = 0

    def __post_init__(self) -> None:
        self._kept: dict[str, Entry] = {}  # of the base, never checked out
        self._before: dict[str, Entry] | None = None

    def whole(self) -> Entry:
        """Return the folder as an entry; without a digest where it would have to be made."""
        row, name = self.folder.row, self.folder.path.rpartition("/")[2]
        if row is not None and self.folder.clean and (self.base is None or self.base.value == row.tree):
            return Entry(name, FOLDER, row.size, row.tree, row.files)
        return Entry(name, FOLDER, 0, "", 0)

    def listing(self) -> dict[str, Entry]:
        """Return the entries by name, as the tree would have them."""
        folder, row, found = self.folder, self.folder.row, dict[str, Entry]()
        known: set[str] = set()
        if row is not None:
            known = {*row.names, *row.folders}
            same, values, width = set(folder.same), row.values, SIGNATURE.size
            for at, name in enumerate(row.names):
                if name in same:
                    size = int.from_bytes(row.signatures[at * width : at * width + 8], "little")
                    found[name] = Entry(name, row.kinds[at], size, values[at])
        if folder.changed or folder.new:
            with self.session.root.descend(folder.path) as here:
                for name in (*folder.changed, *folder.new):
                    found[name] = entry_here(self.session, here, name)
        for name, below in folder.folders.items():
            found[name] = self._below(name, below).whole()
        for entry in self._base_entries().values():
            if entry.name not in found and entry.name not in known:
                found[entry.name] = self._kept[entry.name] = entry
        return found

    def entry(self, name: str) -> Entry | None:
        """Return one of the entries, None when there is none of that name."""
        return self.listing().get(name)

    def item(self, entry: Entry) -> Item:
        """Return one of the entries as an item."""
        path = join(self.folder.path, entry.name)
        if entry.name in self._kept:
            assert self.base is not None
            return Past(self.session.cache, RelPath(self.folder.path), self.base, self.depth).item(entry)
        below = self.folder.folders.get(entry.name)
        return Item(path, entry, self._below(entry.name, below) if below is not None else None, True)

    def _below(self, name: str, folder: Folder) -> Now:
        row, below = self.folder.row, folder.row
        if row is not None and below is not None and self.base is not None and row.tree == self.base.value:
            base: Entry | None = Entry(name, FOLDER, below.size, below.tree, below.files)  # so nothing need be read
        else:
            base = self._base_entries().get(name)
        return Now(self.session, folder, base if base is not None and base.kind == FOLDER else None, self.depth + 1)

    def _base_entries(self) -> dict[str, Entry]:
        """Return what the present version has here; nothing where all of that was checked out."""
        row, base = self.folder.row, self.base
        if base is None or (row is not None and row.tree == base.value and not row.absent):
            return {}
        if self._before is None:
            entries = load_entry(self.session.cache, base, self.folder.path, self.depth)
            self._before = {entry.name: entry for entry in entries}
        return self._before


def item_then(session: Session, target: Target) -> Item:
    """Return a target as a revision has it."""
    entry = root_entry(target.path, target.meta)
    return Item(target.path, entry, Past(session.cache, target.path, entry) if entry.kind == FOLDER else None)


def item_now(session: Session, target: Target, task: Task) -> Item | None:
    """Return a target as the workspace has it; None when it was deleted there."""
    seen, holder = look(session, target, task)
    base = root_entry(target.path, target.meta)
    if holder is not None:
        with holder:
            if seen.exists and not target.meta.is_folder:
                if seen.clean and seen.row is not None:
                    return Item(target.path, Entry(base.name, seen.row.kinds, seen.row.size, seen.row.tree), here=True)
                if not stat.S_ISDIR(holder.lstat(base.name).st_mode):
                    return Item(target.path, entry_here(session, holder, base.name), here=True)
                return None  # a folder is there: not this file
    if not seen.exists:
        return item_then(session, target) if seen.row is None else None  # never checked out, or deleted
    side = Now(session, seen, base)
    return Item(target.path, side.whole(), side, True)


def entry_here(session: Session, folder: Dir, name: str) -> Entry:
    """Return a file or link of the workspace; a file without its digest."""
    status = folder.lstat(name)
    if not stat.S_ISLNK(status.st_mode):
        return Entry(name, file_kind(status), status.st_size, "")
    target = folder.readlink(name)
    digest = session.cache.digest_of_link(target)
    if digest is not None:
        return Entry(name, FILE, _object_size(session.cache, digest), digest)
    return Entry(name, LINK, len(target.encode("utf-8", "surrogateescape")), target)


def settled(session: Session, item: Item, algorithm: str = "") -> Item:
    """Return an item with digest and size as they are; `algorithm` is the digest's, where it has to be found out."""
    entry, name = item.entry, item.path.rpartition("/")[2]
    if not item.here or item.is_folder or entry.kind == LINK:
        return item
    if entry.value:
        # The index knows the size, but for an entry it spoilt, and for a link into the cache that of the link.
        link = len(session.cache.path(Digest(entry.value)).encode("utf-8", "surrogateescape"))
        if entry.size not in (link, _SPOILT):
            return item
        with session.root.descend(parent(item.path)) as folder:
            status = folder.lstat(name)
        size = _object_size(session.cache, Digest(entry.value)) if stat.S_ISLNK(status.st_mode) else status.st_size
        return item._replace(entry=entry._replace(size=size))
    with session.root.descend(parent(item.path)) as folder:
        content = read_content(folder, name, parent(item.path), algorithm or session.project.algorithm)
    assert content.digest is not None
    return item._replace(entry=Entry(name, entry.kind, content.status.st_size, content.digest))


def _object_size(cache: Cache, digest: Digest) -> int:
    try:
        return cache.top.lstat(file_key(digest)).st_size
    except OSError:
        return 0  # the link leads nowhere any more


def hinted(error: DvcLikeError, revision: str | None) -> DvcLikeError:
    """Return what to say of a listing that is not here, with a way out that fits the revision it belongs to."""
    if not isinstance(error, DataMissing) or revision is None:
        return error
    fetch = f"dvc-like fetch --rev {show(revision)}"
    return DataMissing(error.message, hint=error.template.replace("dvc-like fetch", fetch), details=error.details)


def inside(item: Item | None, path: RelPath) -> Item | None:
    """Return what lies at a path at or below an item; None when nothing does. Raises `DataMissing`."""
    while item is not None and item.path != path:
        if item.side is None:
            return None
        name = path[len(item.path) + 1 :].partition("/")[0]
        entry = item.side.entry(name)
        item = item.side.item(entry) if entry is not None else None
    return item
