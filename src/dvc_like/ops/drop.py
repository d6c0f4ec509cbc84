"""`drop`: free workspace and cache of what can be brought back.

Owns the proof: an object leaves the cache only when its remote was asked now and has it, and a file leaves the
workspace only when its bytes are there or stay in the cache. Listings stay in the cache, so that what was dropped is
absent, not forgotten: `status` tells of it, `add` keeps it, and `pull` brings it back.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from .. import paths
from ..cache.store import Object
from ..cache.trash import delete, discard
from ..digest import Digest, tree_ident
from ..errors import DataMissing, DvcLikeError, UsageError, WouldOverwrite, gathered
from ..fsutil import NO_SIGNATURE, Dir
from ..meta.tree import LINK
from ..paths import RelPath, join, show
from ..progress import SILENT, Progress
from ..project import Project
from ..remote.seen import Seen
from ..workspace.index import Present, make_row
from ..workspace.scan import Folder
from ._artifacts import artifacts
from ._choose import choose
from ._closure import Need, TreeNeed, close_over, refuse_unknown
from ._guard import Guard
from ._journal import recorded, snapshot, words
from ._look import look
from ._plan import together
from ._renames import files_below
from ._session import Session, open_session
from ._store import open_store, remote_name
from ._survey import Survey
from ._tracked import Selection, Wanted, walk, workspaces
from ._trees import UNFOLD_FREELY, load_entry, root_entry


@dataclass
class Dropped:
    """What went, or would go: files of the workspace and objects of the cache, with their bytes.

    `kept` counts objects that stay because other targets, other worktrees or links in the workspace need them.
    """

    files: list[RelPath] = field(default_factory=list)
    workspace_size: int = 0
    objects: int = 0
    cache_size: int = 0
    kept: int = 0


def drop(
    project: Project,
    targets: Iterable[str],
    *,
    glob: bool = False,
    cache: bool = True,
    workspace: bool = True,
    remote: str | None = None,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> Dropped:
    """Remove targets, or paths inside them, from workspace and cache.

    Raises `DataMissing`, with nothing touched, when the remote lacks something that would go (with `cache`; without,
    the cache must have it), and `WouldOverwrite` when a file differs from what is recorded. What was never added stays.
    """
    selection = Selection(tuple(targets), glob=glob)
    if not selection.targets:
        raise UsageError("nothing to drop: name at least one target")
    if not cache and not workspace:
        raise UsageError("nothing to drop: leave out one of --cache-only and --workspace-only")
    if cache and project.config.find("cache.dir") is not None:
        raise UsageError(
            f"the cache {project.cache_dir} is set by cache.dir: what other projects need of it is not known here",
            hint="Free the workspace alone with --workspace-only.",
        )
    lock = "exclusive" if cache and not dry_run else "shared"
    with open_session(project, progress, worktree=not dry_run, cache=lock) as session:
        failures: list[DvcLikeError] = []
        wanted = choose(session, selection, failures, by_default=False)
        closure = close_over(wanted, lambda level: _load(session, level))
        failures += refuse_unknown(closure)
        if failures:
            raise gathered(failures)
        proven = _prove(session, wanted, closure.files, remote) if cache else set()
        whole = [together([one for one in wanted if one.target.path == path]) for path in _paths(wanted)]
        sights = {one: _look(session, one) for one in whole}
        done = Dropped()
        dropper = _Dropper(session, done, proven, dry_run=dry_run)
        if workspace:
            dropper.refuse(sights)
        objects = _free_to_go(session, wanted, closure.files, proven, {} if workspace else sights, done)
        with recorded(session, words("drop", selection.targets)) as recorder:
            if not dry_run:
                recorder.record.freed = bool(objects)
                recorder.touched = True
                places = snapshot(session, {one.target.path: seen for one, seen in sights.items()})
                recorder.keep(places=places, parts={one.target.path: one.patterns for one in sights})
            for one, seen in sights.items():
                dropper.drop(one, seen) if workspace else dropper.distrust(one, seen)
            for need in objects:
                _delete(session, need, done, dry_run=dry_run)
        done.files.sort()
        if dropper.guard.left:
            raise dropper.guard.error()
    return done


def _paths(wanted: list[Wanted]) -> dict[RelPath, None]:
    return dict.fromkeys(one.target.path for one in wanted)


def _load(session: Session, level: list[TreeNeed]) -> None:
    for need in level:
        try:
            need.entries = load_entry(session.cache, need.entry, need.path, need.depth)
        except DataMissing:
            continue  # never fetched, so nothing below it is here


def _look(session: Session, wanted: Wanted) -> Folder:
    seen, parent = look(session, wanted.target)
    if parent is not None:
        parent.close()
    return seen


# ------------------------------------------------------------------------------ the proof


def _prove(session: Session, wanted: list[Wanted], files: dict[Digest, Need], remote: str | None) -> set[Digest]:
    """Return the files that the remotes have now; raise for those that they lack and that are in the cache."""
    lacking: dict[Digest, RelPath] = {}
    names = [remote_name(session.project, remote, one.target.meta.remote) for one in wanted]
    for name in dict.fromkeys(names):
        group = [one for one, of_one in zip(wanted, names, strict=True) if of_one == name]
        with open_store(session.project, name, jobs=None, create=False, progress=session.progress) as store:
            store.look()
            with Seen(os.path.join(session.project.shared_tmp, "remotes.sqlite"), store.identity) as seen:
                survey = Survey(session, store, seen, closely=True)
                missing = survey.run(group)
        if survey.relied & store.packs.condemned_names():
            raise DataMissing(
                f"remote {name} is going to delete some of what would go: no clone has published that it needs it",
                hint=f"`dvc-like push -r {name}` keeps it there.",
            )
        lacking.update((need.digest, need.path) for need in missing.files)
        listings = [need for level in missing.levels for need in level if need.whole and need.wanted.is_whole]
        lost = [need.path for need in listings if tree_ident(need.digest) not in survey.known]
        here = sorted({path for digest, path in lacking.items() if session.cache.has(digest)})
        if here or lost:
            raise DataMissing(
                f"remote {name} lacks {len(here) or 'the listing'} of what would go; nothing was dropped",
                hint=f"`dvc-like push -r {name}` sends it.",
                details=tuple(show(path) for path in here or lost),
            )
    return set(files) - set(lacking)


def _free_to_go(
    session: Session,
    wanted: list[Wanted],
    files: dict[Digest, Need],
    proven: set[Digest],
    staying: dict[Wanted, Folder],
    done: Dropped,
) -> list[Need]:
    """Return the objects that are in the cache, proven to be elsewhere, and that nothing else here needs."""
    here = [need for digest, need in files.items() if digest in proven and session.cache.has(digest)]
    if not here:
        return []
    needed = _needed_elsewhere(session, wanted)
    for one, seen in staying.items():
        needed |= _linked(session, one, seen)
    free = [need for need in here if need.digest not in needed]
    done.kept = len(here) - len(free)
    return free


def _needed_elsewhere(session: Session, wanted: list[Wanted]) -> set[Digest]:
    """Return the files of other targets, of the rest of these, of other worktrees, and all artifacts."""
    project = session.project
    asked = {one.target.path: [] for one in wanted}  # type: dict[RelPath, list[Wanted]]
    for one in wanted:
        asked[one.target.path].append(one)
    others: list[Wanted] = []
    found: set[Digest] = set()
    for top in workspaces(project):
        try:
            root = Dir.open_root(top)
        except (FileNotFoundError, NotADirectoryError):
            continue
        with root:
            for target in walk(root):
                wishes = asked.get(target.path, []) if os.path.realpath(top) == os.path.realpath(project.root) else []
                if not wishes or target.meta.file_count > 20 * UNFOLD_FREELY:
                    others.append(Wanted(target, target.path))
                elif not any(one.is_whole for one in wishes):
                    below = files_below(session, target.path, root_entry(target.path, target.meta))
                    rest = (entry for path, entry in below if not any(one.asks(path) for one in wishes))
                    found.update(entry.digest for entry in rest if entry.kind != LINK)
    others += artifacts(project)
    return found | set(close_over(others, lambda level: _load(session, level)).files)


def _linked(session: Session, wanted: Wanted, seen: Folder) -> set[Digest]:
    """Return the objects that files of the workspace are links to."""
    found = set()
    for path, name, _ in _files(wanted, seen):
        full = os.path.join(session.project.root, path, name)
        if os.path.islink(full):
            digest = session.cache.digest_of_link(os.readlink(full))
            if digest is not None:
                found.add(digest)
    return found


def _files(wanted: Wanted, seen: Folder) -> list[tuple[RelPath, str, Present]]:
    """Return what is asked for, is here and is as the index says: folder, name, and what is recorded."""
    found = []
    waiting = [seen]
    while waiting:
        here = waiting.pop()
        folder = _folder_of(wanted, here)
        present = here.row.present() if here.row is not None else {}
        found += [(folder, name, present[name]) for name in sorted(here.same) if wanted.asks(join(folder, name))]
        waiting += here.folders.values()
    return found


def _folder_of(wanted: Wanted, seen: Folder) -> RelPath:
    """Return the folder that the names of a scan lie in: a single file is scanned as the one name of itself."""
    return RelPath(seen.path) if wanted.target.meta.is_folder else paths.parent(seen.path)


def _delete(session: Session, need: Need, done: Dropped, *, dry_run: bool) -> None:
    item = Object(need.digest, False, need.size, 0)
    done.objects += 1
    done.cache_size += need.size
    if not dry_run:
        discard(session.cache, item)
        delete(session.cache, item.key)


# ------------------------------------------------------------------------------ the workspace


class _Dropper:
    """Takes files out of the workspace, and leaves rows that say they are absent."""

    def __init__(self, session: Session, done: Dropped, proven: set[Digest], *, dry_run: bool) -> None:
        self._session = session
        self._done = done
        self._proven = proven
        self._dry_run = dry_run
        self.guard = Guard(session, proven=proven)

    def refuse(self, sights: dict[Wanted, Folder]) -> None:
        """Raise when a file that would go is not as recorded, or is safe nowhere."""
        changed, unsafe = [], []
        for wanted, seen in sights.items():
            waiting = [seen]
            while waiting:
                here = waiting.pop()
                folder = _folder_of(wanted, here)
                known = here.row is not None
                names = here.changed if known or wanted.target.meta.is_folder else (*here.changed, *here.new)
                changed += [path for name in names if wanted.asks(path := join(folder, name))]
                waiting += here.folders.values()
            for folder, name, present in _files(wanted, seen):
                digest = Digest(present.value)
                if present.kind != LINK and digest not in self._proven and not self._session.cache.ensure(digest):
                    unsafe.append(join(folder, name))
        if changed:
            raise WouldOverwrite(
                f"{len(changed)} file(s) differ from what is recorded; nothing was dropped",
                hint="Save them with `dvc-like add`, or give them up with `dvc-like checkout --force`.",
                details=tuple(map(show, sorted(changed))),
            )
        if unsafe:
            raise DataMissing(
                f"{len(unsafe)} file(s) are in the workspace alone; nothing was dropped",
                hint="`dvc-like add --force` puts them into the cache, `dvc-like push` sends them.",
                details=tuple(map(show, sorted(unsafe))),
            )

    def drop(self, wanted: Wanted, seen: Folder) -> None:
        """Remove what is asked for of one target."""
        path = wanted.target.path
        if not seen.exists:
            return
        with self._session.root.descend(paths.parent(path)) as parent:
            if wanted.target.meta.is_folder:
                with parent.sub(path.rpartition("/")[2]) as here:
                    self._folder(here, wanted, seen)
                self._leave(parent, wanted, seen)
            elif seen.same and self._remove(parent, paths.parent(path), min(seen.same), seen) and not self._dry_run:
                self._session.index.drop(path)

    def _folder(self, here: Dir, wanted: Wanted, seen: Folder) -> None:
        row, folder = seen.row, RelPath(seen.path)
        gone = {
            name
            for name in sorted(seen.same)
            if wanted.asks(join(folder, name)) and self._remove(here, folder, name, seen)
        }
        absent = len(gone)
        left = []
        for name, below in seen.folders.items():
            if wanted.enters(join(folder, name)):
                with here.sub(name) as child:
                    self._folder(child, wanted, below)
                if self._leave(here, wanted, below):
                    absent += below.row.files if below.row is not None else 0
                    continue
            left.append(name)
        if row is not None and not self._dry_run and (gone or len(left) < len(seen.folders)):
            present = {name: one for name, one in row.present().items() if name not in gone}
            total = (row.tree, row.size, row.files)
            self._session.index.put(
                folder, make_row(total, present, left, absent=row.absent + absent, stored=row.stored)
            )

    def _leave(self, parent: Dir, wanted: Wanted, seen: Folder) -> bool:
        """Remove a folder that is empty now; tell whether it is gone. What it held is absent then, not deleted."""
        if self._dry_run or seen.row is None or not wanted.enters(seen.path):
            return False
        row = self._session.index.get(seen.path)
        try:
            parent.rmdir(seen.path.rpartition("/")[2])
        except OSError:
            if row is not None and not (row.names or row.folders):
                self._session.index.drop(seen.path)  # it holds only what was never added
            return False
        self._session.index.drop(seen.path)
        return True

    def _remove(self, here: Dir, folder: RelPath, name: str, seen: Folder) -> bool:
        assert seen.row is not None
        recorded = seen.row.present()[name]
        judged = recorded.signature
        if not self._dry_run:
            if not self.guard.may_go(here, folder, name, judged, recorded):
                return False
            here.unlink(name)
        self._done.files.append(join(folder, name))
        self._done.workspace_size += int.from_bytes(judged[:8], "little") if judged != NO_SIGNATURE else 0
        return True

    def distrust(self, wanted: Wanted, seen: Folder) -> None:
        """Let the index no longer say that the cache has what stays in the workspace."""
        if seen.row is not None and not self._dry_run:
            self._session.index.put(seen.path, replace(seen.row, stored=False))
        for below in seen.folders.values():
            if wanted.enters(below.path):
                self.distrust(wanted, below)
