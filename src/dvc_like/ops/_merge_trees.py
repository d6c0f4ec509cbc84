"""Three versions of a folder become one: ours and theirs, and the base that both grew from.

Owns what is a conflict and how both sides of one are kept. It reads trees through a function it is given and writes
none: what is new is in `Merger.made`. Subtrees that are equal on two sides are not read.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from .. import digest as digests
from ..meta.tree import EXECUTABLE, FILE, FOLDER, Entry, encode
from ..paths import MAX_NAME, RelPath, check_name, join

_MAX_SUFFIX = 20  # characters: what is longer behind the last dot is part of the name

Value = TypeVar("Value")


class Conflict(NamedTuple):
    """One name that both sides changed in ways that exclude each other, and the names under which they are kept."""

    path: RelPath
    why: str
    kept: tuple[RelPath, ...]


class Three(NamedTuple):
    """One name in the three versions; None where it is not there."""

    base: Entry | None
    ours: Entry | None
    theirs: Entry | None


class Undecided(Exception):
    """Both sides changed a value, and not to the same."""


def choose(base: Value, ours: Value, theirs: Value) -> Value:
    """Return the value that one side changed, or both alike; raise `Undecided` when they differ."""
    if ours == theirs or theirs == base:
        return ours
    if ours == base:
        return theirs
    raise Undecided


#: Returns what the tree of a folder lists (its path and depth are for messages and checks); None: it is not to be had.
Read = Callable[[Entry, RelPath, int], "list[Entry] | None"]


class Merger:
    """One merge. After it, `made` holds the new trees (children first), or `missing` those that could not be read."""

    def __init__(self, read: Read, algorithm: str) -> None:
        self._read = read
        self._algorithm = algorithm
        self._known: dict[tuple[str, str, str, int], Entry | None] = {}
        self.made: list[bytes] = []
        self.missing: list[Entry] = []
        self.conflicts: list[Conflict] = []

    def merge(self, three: Three, path: RelPath, depth: int = 0) -> Entry | None:
        """Return the folder that has the changes of both; each side is a folder or not there, and they differ.

        None when one side has none and nothing is left of the other's.
        """
        base, ours, theirs = three
        some = ours or theirs
        assert some is not None
        if base is not None and base.kind != FOLDER:
            base = None
        # A few small listings that name each other many times would unfold without end: each three are merged once.
        mark = (_value(base), _value(ours), _value(theirs), depth)
        if mark in self._known:
            found = self._known[mark]
            return None if found is None else found._replace(name=some.name)
        listed = [self._list(side, path, depth) for side in (base, ours, theirs)]
        names = sorted(set[str]().union(*listed))
        taken = set(map(_folded, names))
        renamed = _renamed(*listed)
        result: list[Entry] = []
        for name in names:
            if name in renamed:
                moved = renamed[name]
                result += [moved] if moved is not None else []
                continue
            below = Three(*(entries.get(name) for entries in listed))
            try:
                kept = choose(*below)
                result += [kept] if kept is not None else []
                continue
            except Undecided:
                pass
            if all(side is None or side.kind == FOLDER for side in below[1:]):
                merged = self.merge(below, join(path, name), depth + 1)
                result += [merged] if merged is not None else []
            else:
                result += self._settle(below, join(path, name), taken)
        made = None
        for side, entries in zip((ours, theirs), listed[1:], strict=True):
            if side is not None and result == list(entries.values()):
                made = side
        if made is None and (result or None not in (ours, theirs)):
            made = self._make(some.name, result)
        self._known[mark] = made
        return made

    def _list(self, side: Entry | None, path: RelPath, depth: int) -> dict[str, Entry]:
        if side is None:
            return {}
        entries = self._read(side, path, depth)
        if entries is None:
            self.missing.append(side)
        return {entry.name: entry for entry in entries or ()}

    def _make(self, name: str, entries: list[Entry]) -> Entry:
        size, files = sum(entry.data_size for entry in entries), sum(entry.files for entry in entries)
        self.made.append(encode(entries))
        return Entry(name, FOLDER, size, digests.of_bytes(self._algorithm, self.made[-1]), files)

    def _settle(self, three: Three, path: RelPath, taken: set[str]) -> list[Entry]:
        """Return what becomes of a name that is not a folder, or not on every side."""
        base, ours, theirs = three
        if ours is not None and theirs is not None and {ours.kind, theirs.kind} <= {FILE, EXECUTABLE}:
            try:
                return [_merge_files(base, ours, theirs)]
            except Undecided:
                pass
        kept = []
        for side, entry in (("ours", ours), ("theirs", theirs)):
            if entry is not None:
                kept.append(entry._replace(name=_free_name(entry, side, taken)))
        folder = RelPath(path.rpartition("/")[0])
        names = tuple(join(folder, entry.name) for entry in kept)
        self.conflicts.append(Conflict(path, _reason(three), names))
        return kept


def _merge_files(base: Entry | None, ours: Entry, theirs: Entry) -> Entry:
    """Return the file with the bytes one side changed and the bit the other changed."""
    if base is None or base.kind not in (FILE, EXECUTABLE):
        if ours.value != theirs.value:
            raise Undecided
        return ours if ours.kind == EXECUTABLE else theirs  # the same bytes on both sides: one made them executable
    size, value = choose((base.size, base.value), (ours.size, ours.value), (theirs.size, theirs.value))
    return Entry(ours.name, choose(base.kind, ours.kind, theirs.kind), size, value)


def _renamed(base: dict[str, Entry], ours: dict[str, Entry], theirs: dict[str, Entry]) -> dict[str, Entry | None]:
    """Return what becomes of the old and the new name of what one side renamed and the other changed.

    A rename is told by equal content, within one folder, and where only one new name can be meant.
    """
    found: dict[str, Entry | None] = {}
    for mine, other in ((ours, theirs), (theirs, ours)):
        fresh: dict[str, list[str]] = {}
        for name in mine.keys() - base.keys() - other.keys():
            fresh.setdefault(mine[name].value, []).append(name)
        for name, was in base.items():
            now = other.get(name)
            new = fresh.get(was.value, ())
            if name in mine or now is None or now == was or len(new) != 1 or not was.size or new[0] in found:
                continue
            kinds = {was.kind, mine[new[0]].kind, now.kind}
            if kinds == {FOLDER}:
                found[new[0]] = now._replace(name=new[0])
            elif kinds <= {FILE, EXECUTABLE}:
                found[new[0]] = _merge_files(was, mine[new[0]], now)
            else:
                continue
            found[name] = None
    return found


def _reason(three: Three) -> str:
    base, ours, theirs = three
    if ours is None:
        return "deleted by us, changed by them"
    if theirs is None:
        return "changed by us, deleted by them"
    if ours.kind != theirs.kind and FOLDER in (ours.kind, theirs.kind):
        return "a folder on one side only"
    return "added by both" if base is None else "changed by both"


def _free_name(entry: Entry, side: str, taken: set[str]) -> str:
    """Return a name like the entry's that nothing in the folder has, on no file system; it is then taken."""
    stem, dot, suffix = entry.name.rpartition(".")
    if not stem or len(suffix) > _MAX_SUFFIX or entry.kind == FOLDER:
        stem, dot, suffix = entry.name, "", ""
    number = 1
    while True:
        end = f".{side}{f'-{number}' if number > 1 else ''}{dot}{suffix}"
        while len((stem + end).encode()) > MAX_NAME and stem:
            stem = stem[:-1]
        name = stem + end
        if _folded(name) not in taken:
            taken.add(_folded(name))
            return check_name(name)
        number += 1


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold()


def _value(entry: Entry | None) -> str:
    return "" if entry is None else entry.value
