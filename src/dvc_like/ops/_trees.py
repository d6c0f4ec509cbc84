"""Trees out of the cache, side by side with the workspace.

Owns the walk over a dataset that stops at equal subtrees, which `status` and `checkout` are built on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..cache.store import Cache
from ..digest import Digest
from ..errors import BadTree, DataMissing, UnsafePath
from ..meta.file import Meta
from ..meta.tree import EXECUTABLE, FILE, FOLDER, LINK, Entry, link_stays_inside, parse
from ..paths import MAX_DEPTH, RelPath, is_below, join, show
from ..workspace.scan import Folder


def load(cache: Cache, digest: Digest, path: str, depth: int = 0) -> list[Entry]:
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
    if sum([entry.data_size for entry in entries]) != size or sum([entry.files for entry in entries]) != files:
        raise BadTree(
            f"{show(path)} does not have the size and number of files that are recorded for it",
            hint="Whoever wrote its meta file or its parent's listing did it wrongly: restore an older version.",
        )


class Pair(NamedTuple):
    """One folder as a revision wants it (`entry`; None: not at all) and as it is (`folder`; None: not there)."""

    path: RelPath
    entry: Entry | None
    entries: dict[str, Entry]
    folder: Folder | None


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
) -> Iterator[Pair]:
    """Walk a dataset and its workspace together, parents first; subtrees that are in step are not visited.

    Only what lies on the way to `inside`, or below it, is visited; without `absent`, not what the workspace lacks.
    """
    if not (is_below(path, inside) or is_below(inside, path)):
        return
    if entry is not None and in_step(entry, folder):
        return
    entries = {} if entry is None else {below.name: below for below in load_entry(cache, entry, path, depth)}
    yield Pair(path, entry, entries, folder)
    below_here = folder.folders if folder is not None else {}
    for name in sorted({*entries, *below_here}):
        wanted = entries.get(name)
        if wanted is not None and wanted.kind != FOLDER:
            wanted = None
        if name in below_here or (wanted is not None and absent):
            below = below_here.get(name)
            yield from pairs(cache, join(path, name), wanted, below, inside, depth + 1, absent=absent)
