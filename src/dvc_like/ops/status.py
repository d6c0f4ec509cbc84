"""`status`: what differs between the workspace and what is recorded.

Owns the comparison and nothing else: it reads, and only refreshes the index.
"""

from __future__ import annotations

import contextlib
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from .. import paths
from ..cache.store import Cache
from ..digest import Digest
from ..errors import DataMissing, DvcLikeError, gathered
from ..fsutil import NO_SIGNATURE, Dir
from ..meta.tree import EXECUTABLE, FILE, FOLDER, LINK, Entry
from ..paths import RelPath, join
from ..progress import SILENT, Progress
from ..project import Project
from ..workspace.index import MIXED, Present, make_row
from ..workspace.scan import Folder
from ._choose import choose
from ._look import look, refuse_unknown, same_content
from ._renames import files_below, find_renames
from ._session import Session, open_session
from ._tracked import Selection, Target, Wanted, status_at
from ._trees import UNFOLD_FREELY, Pair, load, pairs, root_entry

if TYPE_CHECKING:
    from ._on_remote import OnRemote

MODIFIED, ADDED, DELETED, ABSENT, RENAMED, RETYPED = "modified", "added", "deleted", "absent", "renamed", "retyped"


class Change(NamedTuple):
    """One path that differs, of `files` files.

    `state` is ``modified``, ``added``, ``deleted``, ``renamed`` (`source` is what the path was before), ``retyped`` (a
    file, a folder or a link where another of these is recorded) or ``absent`` (never checked out here). `cached` tells
    whether what is recorded for it is in the cache.
    """

    path: RelPath
    state: str
    files: int = 1
    source: RelPath | None = None
    cached: bool = True


class TargetStatus(NamedTuple):
    """One target: its changes, whether its object is in the cache, why it is unknown, and what a remote lacks of it.

    `uncached` names files that are here as recorded and not in the cache, as far as that is known: `fsck` looks closer.
    """

    target: Target
    changes: tuple[Change, ...]
    cached: bool
    problem: DvcLikeError | None = None
    remote: OnRemote | None = None
    uncached: tuple[RelPath, ...] = ()

    @property
    def differs(self) -> bool:
        """Tell whether anything is not as recorded, or not everywhere it was looked for."""
        away = self.remote is not None and not self.remote.whole
        return self.state != "unchanged" or not self.cached or bool(self.uncached) or away

    @property
    def state(self) -> str:
        """``unchanged``, ``changed``, ``absent`` (nothing of it is here), ``partial``, ``deleted`` or ``unknown``."""
        states = {change.state for change in self.changes}
        if self.problem is not None:
            return "unknown"
        if not states:
            return "unchanged"
        if any(change.path == self.target.path and change.state in (ABSENT, DELETED) for change in self.changes):
            return self.changes[0].state
        return "partial" if states == {ABSENT} else "changed"


def status(
    project: Project,
    targets: tuple[str, ...] = (),
    *,
    glob: bool = False,
    profile: str = "",
    cloud: bool = False,
    remote: str | None = None,
    failures: list[DvcLikeError] | None = None,
    progress: Progress = SILENT,
) -> list[TargetStatus]:
    """Compare targets (default: all) of the workspace with their meta files, with `cloud` (or a `remote`) also there.

    `glob` and `profile` are as in `Selection`; what a profile leaves out and is not here is no difference. Where
    neither targets nor a profile are named, artifacts that the remote lacks follow.

    What cannot be read is added to `failures`; when that is None it is raised once all has been looked at.
    """
    wrong: list[DvcLikeError] = [] if failures is None else failures
    with open_session(project, progress, reading=True) as session:
        wanted = choose(session, Selection(targets, glob=glob, profile=profile), wrong)
        found = [compare(session, one) for one in wanted]
        if cloud or remote is not None:
            from ._artifacts import artifacts
            from ._on_remote import on_remotes  # a third of what a plain `status` loads

            kept = [] if targets or profile else artifacts(project, wrong)
            there = on_remotes(session, [*wanted, *kept], remote)
            found = [one._replace(remote=what) for one, what in zip(found, there, strict=False)]
            found += [
                TargetStatus(one.target, (), is_cached(session.cache, one.target), remote=what)
                for one, what in zip(kept, there[len(wanted) :], strict=True)
                if not what.whole
            ]
    wrong += [one.problem for one in found if one.problem is not None]
    if wrong and failures is None:
        raise gathered(wrong)
    return found


def compare(session: Session, wanted: Wanted) -> TargetStatus:
    """Compare one target; rows that the index has lost are made anew for what turns out to be as recorded."""
    target = wanted.target
    with session.progress.task("comparing") as task:
        try:
            seen, parent = look(session, target, task)
            if parent is not None:
                parent.close()
            entry = root_entry(target.path, target.meta)
            refuse_unknown(session, wanted, seen)
            make = _folder_changes if target.meta.is_folder else _file_changes
            changes = _explained(session, wanted, list(make(session, wanted, entry, seen)))
            uncached = tuple(path for path in _unstored(session, seen) if wanted.asks(path))
        except DvcLikeError as error:
            return TargetStatus(target, (), False, error)
    return TargetStatus(target, changes, is_cached(session.cache, target), uncached=uncached)


def is_cached(cache: Cache, target: Target) -> bool:
    """Tell whether the object a meta file names is there: one look, what lies below a tree is for `fsck`."""
    return cache.has_tree(target.meta.digest) if target.meta.is_folder else cache.has(target.meta.digest)


#: A change, and what is recorded for its path if anything is.
_Finding = tuple[Change, Entry | None]


def _explained(session: Session, wanted: Wanted, found: list[_Finding]) -> tuple[Change, ...]:
    """Leave out what was not asked for, tell what was only renamed, and what of it the cache lacks."""
    asked = [one for one in (_narrowed(session, wanted, *one) for one in found) if one is not None]
    gone = {change.path: entry for change, entry in asked if change.state == DELETED and entry is not None}
    new = [change.path for change, _ in asked if change.state == ADDED and change.files]
    renamed = find_renames(session, gone, new) if gone and new else {}
    moved = Counter(one.holder for one in renamed.values())
    changes = []
    for change, entry in asked:
        if change.state == DELETED and moved[change.path]:
            change = change._replace(files=change.files - moved[change.path])
            if not change.files:
                continue
        if change.path in renamed and change.state == ADDED:
            source = renamed[change.path]
            change, entry = change._replace(state=RENAMED, source=source.path), source.entry
        cached = entry is None or _all_cached(session, change.path, entry)
        changes.append(change._replace(cached=cached))
    return tuple(changes)


def _narrowed(session: Session, wanted: Wanted, change: Change, entry: Entry | None) -> _Finding | None:
    """Return what of a change is asked for, None when nothing is. What is here is shown whatever a profile says."""
    if not paths.is_below(change.path, wanted.inside):
        return None
    if wanted.only is None or (wanted.only.is_profile and change.state != ABSENT):
        return change, entry
    if entry is None or entry.kind != FOLDER or change.state not in (ABSENT, DELETED):
        return (change, entry) if wanted.asks(change.path) else None
    files = entry.files
    if files <= UNFOLD_FREELY:
        with contextlib.suppress(DataMissing):
            files = sum(wanted.asks(path) for path, _ in files_below(session, change.path, entry))
    is_asked = files or (not entry.files and wanted.asks(change.path))
    return (change._replace(files=files), entry) if is_asked else None


def _all_cached(session: Session, path: RelPath, entry: Entry) -> bool:
    """Tell whether the cache has a file, or a folder's listings and all the files in them."""
    waiting, seen = [(entry, path)], {entry.value}
    while waiting:
        one, here = waiting.pop()
        if one.kind == FOLDER:
            try:
                below = [child for child in load(session.cache, one.digest, here) if child.value not in seen]
            except DataMissing:
                return False
            seen.update(child.value for child in below)
            waiting += [(child, join(here, child.name)) for child in below]
        elif one.kind != LINK and not session.cache.has(one.digest):
            return False
    return True


def _unstored(session: Session, seen: Folder) -> Iterator[RelPath]:
    """Yield the files here that the cache lacks, in folders whose files were not all seen in it."""
    row = seen.row
    if row is not None and not row.stored:
        present = row.present()
        files = (name for name in sorted(seen.same) if present[name].kind != LINK)
        lost = [name for name in files if not session.cache.has(Digest(present[name].value))]
        single = row.values == (row.tree,)
        yield from (RelPath(seen.path) if single else join(seen.path, name) for name in lost)
        if not lost and seen.clean:
            session.index.put(seen.path, replace(row, stored=True))
    for below in seen.folders.values():
        yield from _unstored(session, below)


def _file_changes(session: Session, wanted: Wanted, entry: Entry, seen: Folder) -> Iterator[_Finding]:
    row, target = seen.row, wanted.target
    if not seen.exists:
        yield Change(target.path, DELETED if row is not None else ABSENT), entry
        return
    if seen.clean and row is not None and row.tree == entry.value and row.kinds == entry.kind:
        return
    with session.root.descend(paths.parent(target.path)) as parent:
        state, found = _judged(session, parent, paths.parent(target.path), entry)
    if found is None:
        yield Change(target.path, state), entry
    elif row is None or row.tree != entry.value:
        total = (entry.value, entry.size, 1)
        session.index.put(target.path, make_row(total, {entry.name: found}, stored=False))


def _judged(session: Session, folder: Dir, path: str, entry: Entry) -> tuple[str, Present | None]:
    """Compare what stands at a recorded name: the state that it would be, and what to record where it is the same."""
    status = folder.lstat(entry.name)
    found = None
    if not stat.S_ISDIR(status.st_mode) and entry.kind != FOLDER:
        found = same_content(session, folder, entry.name, path, entry)
    is_link = stat.S_ISLNK(status.st_mode) and session.cache.digest_of_link(folder.readlink(entry.name)) is None
    is_kind = FOLDER if stat.S_ISDIR(status.st_mode) else LINK if is_link else FILE
    kind = FILE if entry.kind == EXECUTABLE else entry.kind
    return MODIFIED if is_kind == kind else RETYPED, found


def _folder_changes(session: Session, wanted: Wanted, entry: Entry, seen: Folder) -> Iterator[_Finding]:
    if not seen.exists:
        inside = wanted.inside
        if inside == wanted.target.path and status_at(session.root, inside) is not None:
            yield Change(inside, RETYPED, entry.files), entry
        else:
            yield Change(inside, DELETED if seen.row is not None else ABSENT, entry.files), entry
        return
    try:
        yield from [
            found
            for pair in pairs(session.cache, wanted.target.path, entry, seen, wanted, absent=False)
            for found in _pair_changes(session, pair)
        ]
    except DataMissing:
        if seen.row is None:
            raise  # neither index nor tree: nothing to compare with
        yield from ((change, None) for change in _changes_by_index(seen))


def _pair_changes(session: Session, pair: Pair) -> Iterator[_Finding]:
    """Compare one folder, name by name; a file the index does not vouch for is hashed if it could be equal."""
    folder, entries = pair.folder, pair.entries
    if folder is None:
        return  # the folder above reports it as a whole
    present = folder.row.present() if folder.row is not None else {}
    same = set(folder.same)
    adopted: dict[str, Present] = {}
    here = {*folder.same, *folder.changed, *folder.new}
    for name in sorted(here):
        entry = entries.get(name)
        if entry is None:
            yield Change(join(pair.path, name), ADDED), None
        elif name not in same or (present[name].value, present[name].kind) != (entry.value, entry.kind):
            with session.root.descend(pair.path) as directory:
                state, found = _judged(session, directory, pair.path, entry)
            if found is None:
                yield Change(join(pair.path, name), state, entry.files), entry
            else:
                adopted[name] = found
    for name, entry in entries.items():
        if name not in here and not (entry.kind == FOLDER and name in folder.folders):
            was_here = name in folder.gone or name in folder.lost
            state = RETYPED if name in folder.folders else DELETED if was_here else ABSENT
            yield Change(join(pair.path, name), state, entry.files), entry
    for name, below in folder.folders.items():
        if name not in entries and not (below.new or below.same or below.folders):
            yield Change(join(pair.path, name), ADDED, 0), None  # an empty folder
    if folder.row is None and pair.entry is not None:
        _adopt(session, pair.entry, pair, folder, adopted)


def _adopt(session: Session, entry: Entry, pair: Pair, folder: Folder, adopted: dict[str, Present]) -> None:
    """Give a folder without a row (the index was lost) one again, from what was just found equal."""
    folders = [name for name in folder.folders if name in pair.entries and pair.entries[name].kind == FOLDER]
    absent = sum(e.files for e in pair.entries.values() if e.name not in adopted and e.name not in folders)
    rows = [(pair.entries[name], folder.folders[name].row) for name in folders]
    absent += MIXED if any(row is not None and row.tree != below.value for below, row in rows) else 0
    total = (entry.value, entry.size, entry.files)
    # The stamp promises that the row names all there is; what differs must stay in sight.
    whole = len(adopted) == len(folder.new) and len(folders) == len(folder.folders)
    stamp = folder.trusted_stamp if whole else NO_SIGNATURE
    session.index.put(pair.path, make_row(total, adopted, folders, absent=absent, stored=False, stamp=stamp))


def _changes_by_index(folder: Folder) -> Iterator[Change]:
    """Compare with the index alone: the tree is not in the cache."""
    for state, names in ((MODIFIED, folder.changed), (ADDED, folder.new), (DELETED, (*folder.gone, *folder.lost))):
        for name in names:
            yield Change(join(folder.path, name), state)
    for below in folder.folders.values():
        yield from _changes_by_index(below)
