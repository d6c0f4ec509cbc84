"""Trees out of the cache, side by side with the workspace.

Owns the walk over a dataset that stops at equal subtrees, which `status` and `checkout` are built on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import NamedTuple, Protocol

from ..cache.store import Cache
from ..digest import Digest
from ..errors import BadTree, CorruptData, DataMissing, UnsafePath
from ..meta.file import Meta
from ..meta.tree import EXECUTABLE, FILE, FOLDER, LINK, Entry, link_stays_inside, parse
from ..paths import MAX_DEPTH, RelPath, join, parent, show, typed
from ..workspace.index import Row
from ..workspace.scan import Folder
from ._tracked import Wanted


class Trees(Protocol):
    """Where listings are read from."""

    def read_tree(self, digest: Digest, /) -> bytes | None:
        """Return the verified bytes of a tree, None when it is missing or damaged."""


def load(cache: Trees, digest: Digest, path: str, depth: int = 0) -> list[Entry]:
    """Return the entries of a tree; `depth` is how far below the dataset's root its folder lies.

    Raises `DataMissing` when the tree is not in the cache, `BadTree` or `UnsafePath` when it must not be used.
    """
    return _parsed(_read(cache, digest, path), digest, path, depth)


def load_one(cache: Trees, digest: Digest, path: str, depth: int, name: str) -> Entry | None:
    """Return one entry of a tree, None when it has no such name; raises as `load` does.

    Only its line is parsed: the folder may hold a million, and history many versions of it.
    """
    data = _read(cache, digest, path)
    at = data.find(f"\t{name}\n".encode())  # the name is the last field, and no field holds a tab
    if at < 0:
        return None
    start = data.rfind(b"\n", 0, at) + 1
    head = data[: data.find(b"\n") + 1]
    return _parsed(head + data[start : data.find(b"\n", at) + 1], digest, path, depth)[0]


def _read(cache: Trees, digest: Digest, path: str) -> bytes:
    data = cache.read_tree(digest)
    if data is None:
        raise DataMissing(
            f"the listing of {show(path)} ({digest.short}) is not in the cache",
            hint=f"`dvc-like fetch {typed(path)}` brings it.",
        )
    return data


def _parsed(data: bytes, digest: Digest, path: str, depth: int) -> list[Entry]:
    label = f"the listing of {show(path)} ({digest.short})"
    if depth > MAX_DEPTH:
        raise BadTree(f"{label} is nested more than {MAX_DEPTH} levels deep")
    entries = parse(data, label)
    for entry in entries:
        if entry.kind == LINK and not link_stays_inside(depth, entry.value):
            where = show(join(path, entry.name))
            raise UnsafePath(f"{where} would link to {show(entry.value)[:200]}, outside the dataset")
    return entries


def root_entry(path: str, meta: Meta) -> Entry:
    """Return a target as an entry of the folder it lies in."""
    name = path.rpartition("/")[2]
    if meta.files is None:
        return Entry(name, EXECUTABLE if meta.executable else FILE, meta.size, meta.digest)
    return Entry(name, FOLDER, meta.size, meta.digest, meta.files)


def load_entry(cache: Trees, entry: Entry, path: str, depth: int) -> list[Entry]:
    """Return what the tree of a folder entry lists; its totals must be what the entry says."""
    entries = load(cache, entry.digest, path, depth)
    check_totals(entries, entry.size, entry.files, path)
    return entries


def check_totals(entries: list[Entry], size: int, files: int, path: str) -> None:
    """Raise `BadTree` when a listing does not add up to what is said of its folder."""
    found = sum([entry.size for entry in entries if entry.kind != LINK]), sum([entry.files for entry in entries])
    if found != (size, files):
        raise BadTree(
            f"{show(path)} does not have the size and number of files that are recorded for it",
            hint="Whoever wrote its meta file or its parent's listing did it wrongly: restore an older version.",
        )


class Recorded:
    """Tells the scanner which names a version has in a folder: no rule of ``.dvc-likeignore`` concerns those."""

    def __init__(self, cache: Cache, path: RelPath, meta: Meta | None) -> None:
        self._cache = cache
        self._path = path
        self._root = root_entry(path, meta) if meta is not None else None
        self._known: dict[str, dict[str, Entry]] = {}

    def __call__(self, path: RelPath, row: Row | None) -> Collection[str]:
        """Return the names in a folder; none where the row has them all, or the listing is not here."""
        entry = self._entry(path)
        if entry is None or (row is not None and row.tree == entry.value and not row.absent):
            return ()
        return self._names(entry, path)

    def _entry(self, path: RelPath) -> Entry | None:
        if path == self._path:
            found = self._root
        else:
            above = self._entry(parent(path))
            found = self._names(above, parent(path)).get(path.rpartition("/")[2]) if above is not None else None
        return found if found is not None and found.kind == FOLDER else None

    def _names(self, entry: Entry, path: RelPath) -> dict[str, Entry]:
        if path not in self._known:
            depth = path.count("/") - self._path.count("/")
            try:
                self._known[path] = {one.name: one for one in load(self._cache, entry.digest, path, depth)}
            except (DataMissing, CorruptData):
                self._known[path] = {}  # whoever needs it says so
        return self._known[path]


UNFOLD_FREELY = 1_000_000  # names
UNFOLD_TIMES = 100


class Pair(NamedTuple):
    """One folder as a revision wants it (`entry`; None: not at all) and as it is (`folder`; None: not there)."""

    path: RelPath
    entry: Entry | None
    entries: dict[str, Entry]
    folder: Folder | None


class Measure:
    """Sees to it that a walk ends: a few small listings that name each other twice would unfold without end.

    A dataset may unfold to a million names, or to a hundred times as many as its different listings hold. It is
    counted, each listing once, when a walk comes upon equal listings more often than upon new ones.
    """

    def __init__(self, cache: Trees, path: RelPath, entry: Entry | None) -> None:
        self._cache = cache
        self._path = path
        self._entry = entry
        self._seen: set[str] = set()
        self._names = self._different = 0
        self._counted = entry is None  # nothing of a revision is walked over

    def visit(self, entry: Entry, names: int) -> None:
        """Count one listing; raise `BadTree` when the dataset unfolds too far."""
        self._names += names
        if entry.value not in self._seen:
            self._seen.add(entry.value)
            self._different += names
        if self._counted or self._names <= max(UNFOLD_FREELY // 50, 2 * self._different):
            return
        self._counted = True
        assert self._entry is not None
        known: dict[str, tuple[int, int]] = {}
        total = self._count(self._entry, self._path, 0, known)
        if total > max(UNFOLD_FREELY, UNFOLD_TIMES * sum(own for own, _ in known.values())):
            raise BadTree(
                f"{show(self._path)}.meta describes {total} files and folders, unfolded from a few listings",
                hint="No honest dataset looks like that. Whoever wrote it may mean harm.",
            )

    def _count(self, entry: Entry, path: RelPath, depth: int, known: dict[str, tuple[int, int]]) -> int:
        """Return how many names a folder unfolds to; `known` gets the names in each listing, and below it."""
        if entry.value not in known:
            try:
                entries = load(self._cache, entry.digest, path, depth)
            except DataMissing:
                entries = []  # whoever needs it says so
            below = [self._count(one, join(path, one.name), depth + 1, known) for one in entries if one.kind == FOLDER]
            known[entry.value] = (len(entries), len(entries) + sum(below))
        return known[entry.value][1]


def in_step(entry: Entry, folder: Folder | None) -> bool:
    """Tell whether a workspace folder is exactly, and wholly, what the entry names."""
    if folder is None or not folder.clean or folder.row is None:
        return False
    return folder.row.tree == entry.value and not folder.absent


def pairs(
    cache: Cache,
    path: RelPath,
    entry: Entry | None,
    folder: Folder | None,
    wanted: Wanted,
    depth: int = 0,
    *,
    absent: bool = True,
    measure: Measure | None = None,
) -> Iterator[Pair]:
    """Walk a dataset and its workspace together, parents first; subtrees that are in step are not visited.

    Only what leads to something that is `wanted` is visited; without `absent`, not what the workspace lacks.
    Raises `BadTree` for a dataset that a few listings unfold to past any measure.
    """
    measure = measure or Measure(cache, path, entry)
    if not wanted.enters(path):
        return
    if entry is not None and in_step(entry, folder):
        return
    entries = {} if entry is None else {below.name: below for below in load_entry(cache, entry, path, depth)}
    if entry is not None:
        measure.visit(entry, len(entries))
    yield Pair(path, entry, entries, folder)
    below_here = folder.folders if folder is not None else {}
    for name in sorted({*entries, *below_here}):
        child = entries.get(name)
        if child is not None and child.kind != FOLDER:
            child = None
        if name in below_here or (child is not None and absent):
            below = below_here.get(name)
            yield from pairs(cache, join(path, name), child, below, wanted, depth + 1, absent=absent, measure=measure)
