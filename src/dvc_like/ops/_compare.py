"""Two sides of some targets compared, and what moved from one path to another.

Owns `Difference`. Equal subtrees are not read; what cannot be compared, since its listing is not here, is noted.
"""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from typing import NamedTuple

from ..digest import Digest
from ..errors import CorruptData, DataMissing, DvcLikeError, UsageError
from ..meta.tree import FOLDER, LINK, Entry
from ..paths import RelPath, is_below, parent, show
from ..progress import Task
from ._content import Content
from ._session import Session
from ._sides import Item, inside, item_now, item_then, settled
from ._tracked import Target

ADDED, DELETED, MODIFIED, RENAMED = "added", "deleted", "modified", "renamed"
_SIDES = (DELETED, ADDED)


class Difference(NamedTuple):
    """One path that differs, in a target. `state` is ``added``, ``deleted``, ``modified`` or ``renamed``.

    `old` and `new` are what is recorded on either side, None where there is nothing. A file of the workspace that did
    not have to be hashed has no digest (an empty `value`). A folder that came or went as a whole is followed by what
    it holds; one that is ``modified`` could not be compared. Of what was renamed `old_path` is where it was.
    """

    path: RelPath
    state: str
    target: RelPath
    old: Entry | None = None
    new: Entry | None = None
    old_path: RelPath | None = None
    content: Content | None = None

    @property
    def entry(self) -> Entry:
        """The newer of the two."""
        found = self.new if self.new is not None else self.old
        assert found is not None
        return found


class Comparison:
    """Compares targets, one after the other, and then finds what moved from one to another."""

    def __init__(self, session: Session, task: Task, *, now: bool) -> None:
        self._session = session
        self._task = task
        self._now = now
        self._gone: list[tuple[RelPath, Item]] = []  # with the target each lies in
        self._come: list[tuple[RelPath, Item]] = []
        self._found: list[Difference] = []
        self.missing: set[RelPath] = set()
        self.failures: list[DvcLikeError] = []
        self.items: dict[RelPath, tuple[Item, Item]] = {}  # both sides of what is modified, by path

    def target(self, old: Target | None, new: Target | None, asked: list[RelPath]) -> None:
        """Compare one target, which may be on one side only, as far as it is asked for."""
        named = next(filter(None, (new, old)))
        first = item_then(self._session, old) if old is not None else None
        second = None
        if new is not None:
            second = item_now(self._session, new, self._task) if self._now else item_then(self._session, new)
        for path in asked:
            try:
                pair = inside(first, path), inside(second, path)
            except DataMissing:
                self.missing.add(path)
                continue
            if pair == (None, None):
                if path != named.path:
                    raise UsageError(f"{show(path)} is on neither side", hint="Check the spelling.")
                continue
            self._compare(named.path, *pair)

    def _compare(self, target: RelPath, old: Item | None, new: Item | None) -> None:
        if old is not None and new is not None and old.is_folder == new.is_folder:
            if old.is_folder:
                self._folders(target, old, new)
                return
            x, y = old.entry, new.entry
            if not y.value and x.kind != LINK and x.size == y.size:
                new = settled(self._session, new, Digest(x.value).algorithm)
            if (x.kind, x.value) != (new.entry.kind, new.entry.value):
                new = settled(self._session, new) if new.entry.value else new
                self._found.append(Difference(new.path, MODIFIED, target, x, new.entry))
                self.items[new.path] = old, new
            return
        if old is not None:
            self._gone.append((target, old))
        if new is not None:
            self._come.append((target, new))

    def _folders(self, target: RelPath, old: Item, new: Item) -> None:
        if old.entry.value == new.entry.value:
            return
        before, after = self._listing(old), self._listing(new)
        if before is None or after is None:
            self._found.append(Difference(new.path, MODIFIED, target, old.entry, new.entry))
            return
        assert old.side is not None
        assert new.side is not None
        for name in sorted({*before, *after}):
            x, y = before.get(name), after.get(name)
            if x is not None and y is not None and x.value == y.value and x.kind == y.kind:
                continue
            self._compare(
                target, old.side.item(x) if x is not None else None, new.side.item(y) if y is not None else None
            )

    def _listing(self, item: Item) -> dict[str, Entry] | None:
        assert item.side is not None
        try:
            return item.side.listing()
        except DataMissing:
            self.missing.add(item.path)
        except CorruptData as error:
            self.failures.append(error)
        return None

    # ---------------------------------------------------------------- what came and went

    def finish(self) -> list[Difference]:
        """Return everything that differs, by path."""
        self._match_files(*self._unfold())
        sides = [
            {one.path for one in self._found if one.state == state and one.entry.kind == FOLDER} for state in _SIDES
        ]
        both = sides[0] & sides[1]
        found = [one for one in self._found if one.path not in both or one.entry.kind != FOLDER]
        return sorted(_with_moved_folders(found), key=lambda one: (one.path.split("/"), one.state != DELETED))

    def _unfold(self) -> tuple[list[tuple[RelPath, Item]], list[tuple[RelPath, Item]]]:
        """Open the folders that came or went, but for those that only moved; return the files on both sides.

        The largest is opened first: so a folder and its equal elsewhere meet before either is opened.
        """
        files: tuple[list[tuple[RelPath, Item]], list[tuple[RelPath, Item]]] = ([], [])
        heap: list[tuple[int, RelPath, int, RelPath, Item]] = []
        waiting: tuple[dict[tuple[str, RelPath], tuple[RelPath, Item]], ...] = ({}, {})
        equal: tuple[dict[str, list[RelPath]], ...] = (defaultdict(list), defaultdict(list))

        def put(number: int, target: RelPath, item: Item) -> None:
            if not item.is_folder:
                files[number].append((target, item))
                return
            value = item.entry.value
            if value and item.entry.files:
                waiting[number][value, item.path] = target, item
                equal[number][value].append(item.path)
            first = item.entry.files if value else 1 << 63  # one that is not recorded has no equal
            heapq.heappush(heap, (-first, item.path, number, target, item))

        for number, side in enumerate((self._gone, self._come)):
            for target, item in side:
                put(number, target, item)
        while heap:
            _, path, number, target, item = heapq.heappop(heap)
            value = item.entry.value
            if value and item.entry.files:
                if waiting[number].pop((value, path), None) is None:
                    continue  # it moved
                others = [one for one in equal[1 - number][value] if (value, one) in waiting[1 - number]]
                other = path if path in others else next(iter(others), None)
                if other == path:
                    del waiting[1 - number][value, path]
                    continue  # it only went from one target to another
                if other is not None:
                    pair = (target, item), waiting[1 - number].pop((value, other))
                    (_, old), (new_target, new) = pair if number == 0 else pair[::-1]
                    self._found.append(Difference(new.path, RENAMED, new_target, old.entry, new.entry, old.path))
                    continue
            listing = self._listing(item) or {}
            entry = item.entry if value else _summed(item.entry, listing)
            self._single(number, target, item._replace(entry=entry))
            assert item.side is not None
            for below in listing.values():
                put(number, target, item.side.item(below))
        return files

    def _match_files(self, gone: list[tuple[RelPath, Item]], come: list[tuple[RelPath, Item]]) -> None:
        before = {item.path: item for _, item in gone}
        stayed = {item.path for _, item in come} & before.keys()  # only in another target now
        for target, item in come:
            if item.path in stayed:
                self._compare(target, before[item.path], item)
        gone = [one for one in gone if one[1].path not in stayed]
        come = [one for one in come if one[1].path not in stayed]
        by_value: dict[str, list[Item]] = defaultdict(list)
        sizes: dict[int, str] = {}  # of what went, with the algorithm it is named by
        for _, item in gone:
            if item.entry.kind != LINK and item.entry.size:
                by_value[item.entry.value].append(item)
                sizes[item.entry.size] = Digest(item.entry.value).algorithm
        moved: set[RelPath] = set()
        for target, item in sorted(come, key=lambda one: one[1].path):
            if not item.entry.value and item.entry.size in sizes:
                item = settled(self._session, item, sizes[item.entry.size])
            others = by_value.get(item.entry.value, [])
            name = item.path.rpartition("/")[2]
            old = next((one for one in others if one.path.rpartition("/")[2] == name), others[0] if others else None)
            if old is None:
                self._single(1, target, item)
                continue
            others.remove(old)
            moved.add(old.path)
            self._found.append(Difference(item.path, RENAMED, target, old.entry, item.entry, old.path))
        for target, item in gone:
            if item.path not in moved:
                self._single(0, target, item)

    def _single(self, number: int, target: RelPath, item: Item) -> None:
        """Note what is on one side only."""
        if number == 0:
            self._found.append(Difference(item.path, DELETED, target, old=item.entry))
        else:
            if item.entry.value:
                item = settled(self._session, item)
            self._found.append(Difference(item.path, ADDED, target, new=item.entry))


def _summed(entry: Entry, listing: dict[str, Entry]) -> Entry:
    """Return an unrecorded folder with the totals of what is directly in it, as far as they are known."""
    below = listing.values()
    return entry._replace(size=sum(one.data_size for one in below), files=sum(one.files for one in below))


def _with_moved_folders(found: list[Difference]) -> list[Difference]:
    """Take the renamed files of a folder that moved as a whole for one renamed folder.

    Only a folder of the workspace gets here: it has no digest that it could be known by.
    """
    gone, come = (
        {one.path: one for one in found if one.state == state and one.entry.kind == FOLDER}
        for state in (DELETED, ADDED)
    )
    if not gone or not come:
        return found
    pairs: Counter[tuple[RelPath, RelPath]] = Counter()
    inside_old, inside_new = Counter[RelPath](), Counter[RelPath]()  # everything below, moved there or not
    for one in found:
        if one.entry.kind == FOLDER:
            continue
        for path, counts, folders in ((one.old_path or one.path, inside_old, gone), (one.path, inside_new, come)):
            counts.update(above for above in _above(path) if above in folders)
        if one.old_path is not None:
            for old, new in zip(_above(one.old_path), _above(one.path), strict=False):
                if one.old_path[len(old) :] == one.path[len(new) :] and old in gone and new in come:
                    pairs[old, new] += 1
    moved: dict[RelPath, RelPath] = {}
    for (old, new), number in sorted(pairs.items()):
        if number == inside_old[old] == inside_new[new] and not any(is_below(old, top) for top in moved):
            moved[old] = new
    if not moved:
        return found
    left, entered = set(moved), set(moved.values())
    kept = []
    for one in found:
        before = one.path if one.state == DELETED else one.old_path
        if before is not None and not left.isdisjoint([before, *_above(before)]):
            continue
        if one.state != ADDED or entered.isdisjoint([one.path, *_above(one.path)]):
            kept.append(one)
    for old, new in moved.items():
        kept.append(come[new]._replace(state=RENAMED, old=gone[old].old, old_path=old, new=gone[old].old))
    return kept


def _above(path: RelPath) -> list[RelPath]:
    """Return the folders a path lies in, the nearest first."""
    found = []
    while path := parent(path):
        found.append(path)
    return found
