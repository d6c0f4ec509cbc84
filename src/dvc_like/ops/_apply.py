"""Carrying out a checkout's plan.

Owns the writing: a folder that is not there yet is filled out of sight and appears with all its files at once;
in a folder that is there each file is put aside and renamed into place. Rows of the index are written at the end.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from .. import paths
from ..cache.place import Placer
from ..digest import Digest
from ..fsutil import NO_SIGNATURE, Dir, is_young, signature, temp_name, untrusted
from ..meta.tree import EXECUTABLE, FOLDER, LINK, Entry
from ..paths import RelPath, join
from ..progress import Task
from ..workspace.index import MIXED, Present, Row, make_row
from ..workspace.leftovers import remove_flat, sweep
from ..workspace.scan import Folder
from ._guard import Guard
from ._session import Session
from ._tracked import Target, Wanted
from ._trees import Pair, root_entry

#: What a rename says when something stands where a new folder was to appear.
_TAKEN = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)


@dataclass
class FolderPlan:
    """What is to be done in one folder: `keep` is there and right, `unlink` is tracked and safe in the cache.

    `judged` holds, for each name that is to be replaced or removed, what the file looked like when it was judged.
    """

    pair: Pair
    keep: dict[str, Present] = field(default_factory=dict)
    place: list[Entry] = field(default_factory=list)
    unlink: list[str] = field(default_factory=list)
    judged: dict[str, bytes] = field(default_factory=dict)


class Applier:
    """Carries out plans, one target after the other."""

    def __init__(self, session: Session, placer: Placer, guard: Guard, task: Task) -> None:
        self._session = session
        self._placer = placer
        self._guard = guard
        self._task = task
        self._rows: dict[str, Row | None] = {}
        self._plans: dict[RelPath, FolderPlan] = {}
        self._wanted: Wanted | None = None
        self.created: list[RelPath] = []
        self.replaced: list[RelPath] = []
        self.removed: list[RelPath] = []
        self.missing: list[RelPath] = []

    @property
    def results(self) -> tuple[list[RelPath], ...]:
        """Paths created, replaced, removed and missing."""
        return self.created, self.replaced, self.removed, self.missing

    def run(
        self,
        wanted: Wanted,
        seen: Folder,
        plans: dict[RelPath, FolderPlan],
        other: Folder | None = None,
    ) -> None:
        """Carry out the plan of one target; `other` is the folder that gives way to a single file."""
        if not plans:
            return
        self._plans, self._wanted = plans, wanted
        target = wanted.target
        for plan in plans.values():
            self._task.expect(files=len(plan.place), size=sum(entry.data_size for entry in plan.place))
        entry = root_entry(target.path, target.meta)
        with self._session.root.descend(paths.parent(target.path), create=True) as parent:
            sweep(parent)
            holder = paths.parent(target.path)
            if other is not None:
                self.vanish(parent, target.path, other)
            elif target.meta.is_folder and holder in plans:
                self._remove_files(parent, holder, plans[holder])  # the file where the folder belongs
            if target.meta.is_folder:
                self._folder(parent, target.path, entry, seen if seen.exists else None)
            else:
                self._file(parent, target, entry)

    def remove(self, parent: Dir, path: RelPath, seen: Folder, plans: dict[RelPath, FolderPlan]) -> None:
        """Remove a folder that no meta file describes any more, as far as its plan says it is safe."""
        self._plans, self._wanted = plans, None
        self.vanish(parent, path, seen)

    def remove_file(self, parent: Dir, path: RelPath, judged: bytes) -> None:
        """Remove a single file that no meta file describes any more."""
        if self._guard.may_go(parent, paths.parent(path), path.rpartition("/")[2], judged):
            parent.unlink(path.rpartition("/")[2])
            self.removed.append(path)
        self._rows[path] = None

    def settle(self) -> None:
        """Record what was put in place. Entries so fresh that a later write could hide are marked."""
        now = self._session.now_ns()
        for path, row in self._rows.items():
            if row is None:
                self._session.index.drop(path)
            else:
                self._session.index.put(path, without_racy(row, now))

    def _asks(self, path: RelPath) -> bool:
        """Tell whether something of the target in hand is asked for; without one, all is."""
        return self._wanted is None or self._wanted.asks(path)

    def _file(self, parent: Dir, target: Target, entry: Entry) -> None:
        plan = self._plans[paths.parent(target.path)]
        present = self._place_all(parent, plan, staged=False)
        if present:
            self._rows[target.path] = make_row((entry.value, entry.size, 1), present)

    def _folder(self, parent: Dir, path: RelPath, entry: Entry, seen: Folder | None) -> None:
        """Bring one folder and all below it in step with its entry."""
        plan = self._plans.get(path)
        if plan is None:
            return  # in step already, or not asked for
        with contextlib.ExitStack() as stack:
            if seen is None:
                appeared = self._appear(parent, path, plan)
                if appeared is None:
                    return
                here, present = appeared
                stack.enter_context(here)
            else:
                here = stack.enter_context(parent.sub(path.rpartition("/")[2]))
                sweep(here)
                self._remove_files(here, path, plan)
                self._remove_folders(here, path, plan, seen)
                present = self._place_all(here, plan, staged=False)
            there = self._subfolders(here, path, plan, seen)
            self._record(here, path, entry, plan, present, there, seen)

    def _appear(self, parent: Dir, path: RelPath, plan: FolderPlan) -> tuple[Dir, dict[str, Present]] | None:
        """Fill a new folder under a temporary name, then give it its own; None when that is taken by now."""
        temp = temp_name()
        parent.mkdir(temp)
        here = parent.sub(temp)
        try:
            present = self._place_all(here, plan, staged=True)
            parent.rename(temp, path.rpartition("/")[2])
        except BaseException as error:
            remove_flat(parent, here, temp)
            if isinstance(error, OSError) and error.errno in _TAKEN:
                self._guard.leave(path)
                return None
            raise
        here.path = f"{parent.path}/{path.rpartition('/')[2]}"
        return here, present

    def _place_all(self, here: Dir, plan: FolderPlan, *, staged: bool) -> dict[str, Present]:
        present = dict(plan.keep)
        for entry in plan.place:
            path = join(plan.pair.path, entry.name)
            judged = plan.judged.get(entry.name)
            put = None if staged else self._guard.put(here, plan.pair.path, judged)
            try:
                placed = self._place(here, entry, put)
            except (FileExistsError, IsADirectoryError):
                self._guard.leave(path)
                continue
            if placed is None:
                self.missing.append(path)
                continue
            present[entry.name] = placed
            (self.created if judged is None else self.replaced).append(path)
            self._task.advance(files=1, size=entry.data_size)
        return present

    def _place(self, here: Dir, entry: Entry, put: Callable[[str, str], None] | None) -> Present | None:
        """Put one entry in place; without `put` the folder is out of sight, and the name free."""
        if entry.kind == LINK:
            name = entry.name if put is None else temp_name()
            here.symlink(entry.value, name)
            if put is not None:
                try:
                    put(name, entry.name)
                except BaseException:
                    here.unlink(name)
                    raise
            return Present(LINK, entry.value, signature(here.lstat(entry.name)))
        executable = entry.kind == EXECUTABLE
        placed = self._placer.place(
            here, entry.name, Digest(entry.value), executable=executable, replace=put is not None, put=put
        )
        if placed is None:
            return None
        return Present(entry.kind, entry.value, signature(placed.status), placed.fingerprint)

    def _remove_files(self, here: Dir, path: RelPath, plan: FolderPlan) -> set[str]:
        """Remove what is planned; return the names that are gone."""
        gone = set()
        for name in plan.unlink:
            if not self._guard.may_go(here, path, name, plan.judged.get(name, NO_SIGNATURE)):
                continue
            with contextlib.suppress(FileNotFoundError):
                here.unlink(name)
            self.removed.append(join(path, name))
            gone.add(name)
        return gone

    def _subfolders(self, here: Dir, path: RelPath, plan: FolderPlan, seen: Folder | None) -> list[str]:
        """Go on below; return the names of the wanted subfolders that are there now."""
        there = []
        below_here = seen.folders if seen is not None else {}
        for entry in plan.pair.entries.values():
            below = join(path, entry.name)
            if entry.kind != FOLDER:
                continue
            child = below_here.get(entry.name)
            if below in self._plans:
                self._folder(here, below, entry, child)
            if here.exists(entry.name):
                there.append(entry.name)
        return there

    def _remove_folders(self, here: Dir, path: RelPath, plan: FolderPlan, seen: Folder) -> None:
        for name, child in seen.folders.items():
            entry = plan.pair.entries.get(name)
            if entry is not None and entry.kind == FOLDER:
                continue
            if self._wanted is None or self._wanted.enters(join(path, name)):
                self.vanish(here, join(path, name), child)

    def vanish(self, parent: Dir, path: RelPath, seen: Folder) -> bool:
        """Remove the tracked files of a folder that the version no longer has, and the folder if it is empty then.

        Returns whether it still holds tracked files: patterns did not ask for them.
        """
        plan = self._plans.get(path)
        name = path.rpartition("/")[2]
        with parent.sub(name) as here:
            goes = self._remove_files(here, path, plan) if plan is not None else set()
            kept = [one for one, below in seen.folders.items() if self.vanish(here, join(path, one), below)]
        row = seen.row
        left = {one: of for one, of in row.present().items() if one in seen.same and one not in goes} if row else {}
        if row is not None and (left or kept):
            total = (row.tree, row.size, row.files)
            self._rows[path] = make_row(total, left, kept, absent=row.absent % MIXED + MIXED, stored=row.stored)
            return True
        if row is not None or seen.clean:
            with contextlib.suppress(OSError):  # not empty: it holds what was never added
                parent.rmdir(name)
            self._rows[path] = None
        return False

    def _record(
        self,
        here: Dir,
        path: RelPath,
        entry: Entry,
        plan: FolderPlan,
        present: dict[str, Present],
        there: list[str],
        seen: Folder | None,
    ) -> None:
        row = seen.row if seen is not None else None
        for name in plan.pair.entries:
            # Deleted by the user and not asked for now: it stays deleted, which is not "never checked out".
            if row is not None and name in row.names and name not in present and not self._asks(join(path, name)):
                old = row.present()[name]
                if old.value == plan.pair.entries[name].value:
                    present[name] = old._replace(signature=NO_SIGNATURE) if name in (seen.gone if seen else ()) else old
        absent = sum(e.files for e in plan.pair.entries.values() if e.name not in present and e.name not in there)
        if not all(self._agrees(join(path, name), plan.pair.entries[name], seen) for name in there):
            absent += MIXED  # only a part was asked for, and the rest is of another version
        # A stamp promises that these names are all there are: a file the user put there must not be hidden by it.
        stamp = signature(here.status())
        if {one.name for one in here.entries()} != {*present, *there}:
            stamp = NO_SIGNATURE
        known = set(seen.same) if seen is not None and row is not None and row.stored else set()
        stored = known.issuperset(plan.keep)  # what was only compared was not seen in the cache
        total = (entry.value, entry.size, entry.files)
        self._rows[path] = make_row(total, present, there, absent=absent, stored=stored, stamp=stamp)

    def _agrees(self, path: RelPath, entry: Entry, above: Folder | None) -> bool:
        """Tell whether a subfolder's row is of the very tree its entry names."""
        if path in self._rows:
            row = self._rows[path]
        else:
            below = above.folders.get(entry.name) if above is not None else None
            row = below.row if below is not None else None
        return row is None or (row.tree == entry.value and row.absent < MIXED)


def without_racy(row: Row, now: int) -> Row:
    """Spoil the signatures of files written within the last tick: a write after ours could look the same."""
    parts = [row.signature(at) for at in range(len(row.names))]
    parts = [untrusted(part) if is_young(_ctime(part), now) else part for part in parts]
    stamp = NO_SIGNATURE if is_young(_ctime(row.folder_stamp), now) else row.folder_stamp
    return replace(row, signatures=b"".join(parts), folder_stamp=stamp)


def _ctime(seen: bytes) -> int:
    return int.from_bytes(seen[16:24], "little")
