"""`status`: what differs between the workspace and what is recorded.

Owns the comparison and nothing else: it reads, and only refreshes the index.
"""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from typing import NamedTuple

from .. import paths
from ..cache.store import Cache
from ..digest import Digest
from ..errors import DataMissing, DvcLikeError, UsageError, gathered
from ..fsutil import NO_SIGNATURE, Dir
from ..meta.tree import FILE, FOLDER, LINK, Entry
from ..paths import RelPath, join, show
from ..progress import SILENT, Progress, Task
from ..project import Project
from ..workspace.index import Present, make_row
from ..workspace.scan import Folder, file_kind, missing, read_content, trusted_signature
from ._on_remote import OnRemote, on_remotes
from ._session import Session, open_session
from ._tracked import Target, Wanted, select
from ._trees import Pair, load_entry, pairs, root_entry

MODIFIED, ADDED, DELETED, ABSENT = "modified", "added", "deleted", "absent"


class Change(NamedTuple):
    """One path that differs. `state` is ``modified``, ``added``, ``deleted`` or ``absent`` (never checked out here)."""

    path: RelPath
    state: str
    files: int = 1


class TargetStatus(NamedTuple):
    """One target: its changes, whether its object is in the cache, why it is unknown, and what a remote lacks of it."""

    target: Target
    changes: tuple[Change, ...]
    cached: bool
    problem: DvcLikeError | None = None
    remote: OnRemote | None = None

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
    cloud: bool = False,
    remote: str | None = None,
    failures: list[DvcLikeError] | None = None,
    progress: Progress = SILENT,
) -> list[TargetStatus]:
    """Compare targets (default: all) of the workspace with their meta files, with `cloud` (or a `remote`) also there.

    What cannot be read is added to `failures`; when that is None it is raised once all has been looked at.
    """
    wrong: list[DvcLikeError] = [] if failures is None else failures
    with open_session(project, progress, reading=True) as session:
        wanted = select(project, session.root, targets, wrong)
        found = [_compare(session, one) for one in wanted]
        if cloud or remote is not None:
            there = on_remotes(session, wanted, remote)
            found = [one._replace(remote=what) for one, what in zip(found, there, strict=True)]
    wrong += [one.problem for one in found if one.problem is not None]
    if wrong and failures is None:
        raise gathered(wrong)
    return found


def _compare(session: Session, wanted: Wanted) -> TargetStatus:
    target = wanted.target
    with session.progress.task("comparing") as task:
        try:
            seen, parent = look(session, target, task)
            if parent is not None:
                parent.close()
            entry = root_entry(target.path, target.meta)
            refuse_unknown(session, wanted, seen)
            if target.meta.is_folder:
                changes = tuple(_folder_changes(session, wanted, entry, seen))
            else:
                changes = tuple(_file_changes(session, target, entry, seen))
        except DvcLikeError as error:
            return TargetStatus(target, (), False, error)
    return TargetStatus(target, changes, is_cached(session.cache, target))


def refuse_unknown(session: Session, wanted: Wanted, seen: Folder) -> None:
    """Raise `UsageError` when the path asked for is neither in the workspace nor in the recorded dataset."""
    parts = wanted.inside[len(wanted.target.path) + 1 :].split("/") if wanted.inside != wanted.target.path else []
    entry: Entry | None = root_entry(wanted.target.path, wanted.target.meta)
    here: Folder | None = seen
    path = wanted.target.path
    for depth, name in enumerate(parts):
        names = {*here.same, *here.changed, *here.new, *here.gone, *here.lost} if here is not None else set()
        in_workspace = name in names or (here is not None and name in here.folders)
        if entry is not None and entry.kind == FOLDER:
            try:
                entries = load_entry(session.cache, entry, path, depth)
            except DataMissing:
                return  # cannot be told; whoever needs the listing says so
            entry = next((one for one in entries if one.name == name), None)
        else:
            entry = None
        if entry is None and not in_workspace:
            raise UsageError(
                f"{show(wanted.inside)} is neither in the workspace nor in the dataset {show(wanted.target.path)}",
                hint="Check the spelling.",
            )
        here = here.folders.get(name) if here is not None else None
        path = join(path, name)


def is_cached(cache: Cache, target: Target) -> bool:
    """Tell whether the object a meta file names is there: one look, what lies below a tree is for `fsck`."""
    return cache.has_tree(target.meta.digest) if target.meta.is_folder else cache.has(target.meta.digest)


def look(session: Session, target: Target, task: Task | None = None) -> tuple[Folder, Dir | None]:
    """Scan a target; return what was seen and its open parent folder (None: not there, the caller closes it)."""
    name = target.path.rpartition("/")[2]
    row = session.index.get(target.path)
    try:
        parent = session.root.descend(paths.parent(target.path))
    except (FileNotFoundError, NotADirectoryError):
        return missing(target.path, row), None
    try:
        if not target.meta.is_folder:
            return session.scanner(task).file(parent, target.path), parent
        try:
            with parent.sub(name) as folder:
                return session.scanner(task).folder(folder, target.path), parent
        except (FileNotFoundError, NotADirectoryError):
            return missing(target.path, row), parent
    except BaseException:
        parent.close()
        raise


def _file_changes(session: Session, target: Target, entry: Entry, seen: Folder) -> Iterator[Change]:
    row = seen.row
    if not seen.exists:
        yield Change(target.path, DELETED if row is not None else ABSENT)
        return
    if seen.clean and row is not None and row.tree == entry.value and row.kinds == entry.kind:
        return
    with session.root.descend(paths.parent(target.path)) as parent:
        found = same_content(session.cache, parent, entry.name, paths.parent(target.path), entry)
    if found is None:
        yield Change(target.path, MODIFIED)
    elif row is None or row.tree != entry.value:
        total = (entry.value, entry.size, 1)
        session.index.put(target.path, make_row(total, {entry.name: found}, stored=False))


def _folder_changes(session: Session, wanted: Wanted, entry: Entry, seen: Folder) -> Iterator[Change]:
    if not seen.exists:
        yield Change(wanted.inside, DELETED if seen.row is not None else ABSENT, entry.files)
        return
    try:
        found = [
            change
            for pair in pairs(session.cache, wanted.target.path, entry, seen, wanted.inside, absent=False)
            for change in _pair_changes(session, pair)
        ]
    except DataMissing:
        if seen.row is None:
            raise  # neither index nor tree: nothing to compare with
        found = list(_changes_by_index(seen))
    yield from (change for change in found if paths.is_below(change.path, wanted.inside))


def _pair_changes(session: Session, pair: Pair) -> Iterator[Change]:
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
            yield Change(join(pair.path, name), ADDED)
        elif name not in same or (present[name].value, present[name].kind) != (entry.value, entry.kind):
            with session.root.descend(pair.path) as directory:
                found = same_content(session.cache, directory, name, pair.path, entry)
            if found is None:
                yield Change(join(pair.path, name), MODIFIED)
            else:
                adopted[name] = found
    for name, entry in entries.items():
        if name not in here and not (entry.kind == FOLDER and name in folder.folders):
            was_here = name in folder.gone or name in folder.lost
            yield Change(join(pair.path, name), DELETED if was_here else ABSENT, entry.files)
    for name, below in folder.folders.items():
        if name not in entries and not (below.new or below.same or below.folders):
            yield Change(join(pair.path, name), ADDED, 0)  # an empty folder
    if folder.row is None and pair.entry is not None:
        _adopt(session, pair.entry, pair, folder, adopted)


def _adopt(session: Session, entry: Entry, pair: Pair, folder: Folder, adopted: dict[str, Present]) -> None:
    """Give a folder without a row (the index was lost) one again, from what was just found equal."""
    folders = [name for name in folder.folders if name in pair.entries and pair.entries[name].kind == FOLDER]
    absent = sum(e.files for e in pair.entries.values() if e.name not in adopted and e.name not in folders)
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


def same_content(cache: Cache, folder: Dir, name: str, path: str, entry: Entry) -> Present | None:
    """Return what to record of a file or link when it is exactly what `entry` says, else None."""
    now = time.time_ns()
    found = folder.lstat(name)
    is_link = stat.S_ISLNK(found.st_mode)
    if is_link or entry.kind == LINK:
        if is_link and entry.kind == LINK and folder.readlink(name) == entry.value:
            return Present(LINK, entry.value, trusted_signature(found, now))
        ours = is_link and cache.digest_of_link(folder.readlink(name)) == entry.value and entry.kind == FILE
        return Present(FILE, entry.value, trusted_signature(found, now)) if ours else None
    if found.st_size != entry.size or file_kind(found, entry.kind) != entry.kind:
        return None
    content = read_content(folder, name, path, Digest(entry.value).algorithm)
    if content.digest != entry.value:
        return None
    return Present(entry.kind, entry.value, trusted_signature(content.status, now), content.fingerprint)
