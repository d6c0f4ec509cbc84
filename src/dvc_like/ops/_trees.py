"""Trees out of the cache, side by side with the workspace.

Owns the walk over a dataset that stops at equal subtrees, which `status` and `checkout` are built on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from ..cache.store import Cache
from ..digest import Digest
from ..errors import BadTree, DataMissing, UnsafePath
from ..meta.file import Meta
from ..meta.tree import EXECUTABLE, FILE, FOLDER, LINK, Entry, link_stays_inside, parse
from ..paths import MAX_DEPTH, RelPath, is_below, join, show
from ..workspace.scan import Folder


class Trees(Protocol):
    """Where listings are read from."""

    def read_tree(self, digest: Digest, /) -> bytes | None:
        """Return the verified bytes of a tree, None when it is missing or damaged."""


def load(cache: Trees, digest: Digest, path: str, depth: int = 0) -> list[Entry]:
    """Return the entries of a tree; `depth` is how far below the dataset's root its folder lies.

    Raises `DataMissing` when the tree is not in the cache, `BadTree` or `UnsafePath` when it must not be used.
    """
    data = cache.read_tree(digest)
    if data is None:
        raise DataMissing(
            f"the listing of {show(path)} ({digest.short}) is not in the cache",
            hint=f"`dvc-like fetch {show(path)}` brings it.",
        )
    label = f"the listing of {show(path)} ({digest.short})"
    if depth > MAX_DEPTH:
        raise BadTree(f"{label} is nested more than {MAX_DEPTH} levels deep")
    entries = parse(data, label)
    for entry in entries:
        if entry.kind == LINK and not link_stays_inside(depth, entry.value):
            raise UnsafePath(f"{show(join(path, entry.name))} would link to {show(entry.value)}, outside the dataset")
    return entries


def root_entry(path: str, meta: Meta) -> Entry:
    """Return a target as an entry of the folder it lies in."""
    name = path.rpartition("/")[2]
    if meta.files is None:
        return Entry(name, EXECUTABLE if meta.executable else FILE, meta.size, meta.digest)
    return Entry(name, FOLDER, meta.size, meta.digest, meta.files)


def load_entry(cache: Cache, entry: Entry, path: str, depth: int) -> list[Entry]:
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


UNFOLD_FREELY = 1_000_000  # names
UNFOLD_TIMES = 100


class Pair(NamedTuple):
    """One folder as a revision wants it (`entry`; None: not at all) and as it is (`folder`; None: not there)."""

    path: RelPath
    entry: Entry | None
    entries: dict[str, Entry]
    folder: Folder | None


class _Measure:
    """Sees to it that a walk ends: a few small listings that name each other twice would unfold without end.

    A dataset may unfold to a million names, or to a hundred times as many as its different listings hold. It is
    counted, each listing once, when a walk comes upon equal listings more often than upon new ones.
    """

    def __init__(self, cache: Cache, path: RelPath, entry: Entry | None) -> None:
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
    inside: RelPath,
    depth: int = 0,
    *,
    absent: bool = True,
    measure: _Measure | None = None,
) -> Iterator[Pair]:
    """Walk a dataset and its workspace together, parents first; subtrees that are in step are not visited.

    Only what lies on the way to `inside`, or below it, is visited; without `absent`, not what the workspace lacks.
    Raises `BadTree` for a dataset that a few listings unfold to past any measure.
    """
    measure = measure or _Measure(cache, path, entry)
    if not (is_below(path, inside) or is_below(inside, path)):
        return
    if entry is not None and in_step(entry, folder):
        return
    entries = {} if entry is None else {below.name: below for below in load_entry(cache, entry, path, depth)}
    if entry is not None:
        measure.visit(entry, len(entries))
    yield Pair(path, entry, entries, folder)
    below_here = folder.folders if folder is not None else {}
    for name in sorted({*entries, *below_here}):
        wanted = entries.get(name)
        if wanted is not None and wanted.kind != FOLDER:
            wanted = None
        if name in below_here or (wanted is not None and absent):
            below = below_here.get(name)
            yield from pairs(cache, join(path, name), wanted, below, inside, depth + 1, absent=absent, measure=measure)
