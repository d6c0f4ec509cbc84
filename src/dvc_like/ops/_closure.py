"""What a target needs: the objects below it, each with a path to name it by.

Owns the walk over trees by level, with equal subtrees visited once, whether the trees come from the cache or elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ..digest import Digest, file_ident, file_key, tree_key
from ..errors import DvcLikeError, UsageError
from ..meta.tree import FOLDER, LINK, Entry
from ..paths import RelPath, join, show
from ._tracked import Wanted
from ._trees import Trees, check_totals, load, root_entry


class Need(NamedTuple):
    """One file: its digest and ident, its size, a path it is needed for, and whether that is a target of its own."""

    digest: Digest
    ident: bytes
    size: int
    path: RelPath
    single: bool = False

    @property
    def key(self) -> str:
        """Where a file object lies."""
        return file_key(self.digest)


@dataclass
class TreeNeed:
    """One tree: where it is needed, how deep, and what it lists once that is known."""

    digest: Digest
    path: RelPath
    depth: int
    wanted: Wanted
    size: int
    files: int
    entries: list[Entry] | None = None
    whole: bool = True  # everything below is asked for, not only a part

    @property
    def entry(self) -> Entry:
        """The tree as its parent would list it."""
        return Entry(self.path.rpartition("/")[2], FOLDER, self.size, self.digest, self.files)

    @property
    def key(self) -> str:
        """Where a tree object lies."""
        return tree_key(self.digest)


@dataclass
class Closure:
    """Files by digest, and trees by level (the roots first)."""

    files: dict[Digest, Need] = field(default_factory=dict)
    levels: list[list[TreeNeed]] = field(default_factory=list)
    unknown: set[RelPath] = field(default_factory=set)  # paths asked for that no listing has


def load_need(cache: Trees, need: TreeNeed) -> list[Entry]:
    """Return what a tree lists; raise as `load` does, and when it does not add up."""
    entries = load(cache, need.digest, need.path, need.depth)
    check_totals(entries, need.size, need.files, need.path)
    return entries


def refuse_unknown(closure: Closure) -> list[DvcLikeError]:
    """Return an error for each path that was asked for and is in no dataset."""
    return [
        UsageError(f"{show(path)} is not in its dataset", hint="Check the spelling; `dvc-like add` records new files.")
        for path in sorted(closure.unknown)
    ]


#: Gets one level of trees; fills in `entries` of those it can, the others are not descended into.
Loader = Callable[[list[TreeNeed]], None]


def close_over(wanted: Iterable[Wanted], load_level: Loader) -> Closure:
    """Return everything the targets need, as far as the loader brings their trees."""
    found = Closure()
    level: list[TreeNeed] = []
    for one in wanted:
        entry = root_entry(one.target.path, one.target.meta)
        if entry.kind == FOLDER:
            whole = one.asks_all(one.target.path)
            if one.inside != one.target.path:
                found.unknown.add(one.inside)
            level.append(TreeNeed(entry.digest, one.target.path, 0, one, entry.size, entry.files, whole=whole))
        else:
            found.files.setdefault(entry.digest, _need(entry, one.target.path, single=True))
    seen: set[tuple[Digest, object, int]] = set()
    while level := [need for need in level if not _seen(need, seen)]:
        load_level(level)
        found.levels.append(level)
        # Where a listing could not be had, that is the failure; what it might hold is not unknown.
        found.unknown -= {need.wanted.inside for need in level if need.entries is None}
        level = [below for need in level for below in _below(need, found)]
    return found


def _all_below(need: TreeNeed, found: Closure) -> Iterator[TreeNeed]:
    """Take in all that a tree lists. Most trees are asked for whole, and a million files pass here."""
    files, prefix = found.files, f"{need.path}/" if need.path else ""
    new = tuple.__new__  # what a named tuple's own constructor calls, in half the time
    for name, kind, size, value, count in need.entries or ():
        if kind == FOLDER:
            yield TreeNeed(Digest(value), RelPath(prefix + name), need.depth + 1, need.wanted, size, count)
        elif kind != LINK and value not in files:
            digest = Digest(value)
            files[digest] = new(Need, (digest, file_ident(digest), size, RelPath(prefix + name), False))


def _need(entry: Entry, path: RelPath, *, single: bool = False) -> Need:
    digest = Digest(entry.value)
    return Need(digest, file_ident(digest), entry.size, path, single)


def _seen(need: TreeNeed, seen: set[tuple[Digest, object, int]]) -> bool:
    # The depth counts: a relative link may be safe at one depth and lead out of the dataset at another.
    only = need.wanted.only
    part = None if need.whole else (need.wanted.inside, only, only.mark(need.path) if only is not None else None)
    mark = (need.digest, part, need.depth)
    if mark in seen:
        return True
    seen.add(mark)
    return False


def _below(need: TreeNeed, found: Closure) -> Iterator[TreeNeed]:
    if need.whole:
        yield from _all_below(need, found)
        return
    for entry in need.entries or ():
        path = join(need.path, entry.name)
        if path == need.wanted.inside:
            found.unknown.discard(path)
        if entry.kind == FOLDER:
            if need.wanted.enters(path):
                whole = need.wanted.asks_all(path)
                yield TreeNeed(entry.digest, path, need.depth + 1, need.wanted, entry.size, entry.files, whole=whole)
        elif entry.kind != LINK and need.wanted.asks(path):
            digest = Digest(entry.value)
            if digest not in found.files:
                found.files[digest] = _need(entry, path)
