"""`gc`: free the cache of what nothing needs, without ever losing data.

Owns what counts as needed, and the way back: objects go to the cache's trash first, are taken back from there the
moment something asks for them, and are deleted for good only by a later gc, after the grace period.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import NamedTuple

from ..cache.store import Cache, Object
from ..cache.trash import delete, discard, trashed
from ..config import CLOUD_GRACE, GRACE
from ..errors import BadMeta, DvcLikeError, ProjectError, UsageError, gathered
from ..fsutil import Dir
from ..git import hidden_metas
from ..meta.file import SUFFIX, Meta
from ..meta.tree import parse
from ..paths import RelPath, show, typed
from ..progress import SILENT, Progress
from ..project import FOLDER, Project
from . import _clone
from ._artifacts import artifacts
from ._closure import TreeNeed, close_over
from ._cloud import CloudCollected, CloudCollector
from ._journal import recorded
from ._record import live_records, needed_by
from ._session import Session, open_session
from ._store import open_store, remote_name
from ._tracked import Selection, Target, Wanted, at_revisions, in_versions, is_ours, walk, workspaces

LEAST_GRACE = 60  # seconds: with less, only --force goes on


class Garbage(NamedTuple):
    """One object nothing in the scope needs. `path` is where history knows it from, if it does."""

    item: Object
    path: str


@dataclass
class Collected:
    """What gc took out (or would), what it kept, and what it deleted for good.

    `clones` counts copies of other repositories, kept for all projects of the user, that none had read for long.
    """

    garbage: list[Garbage] = field(default_factory=list)
    kept: int = 0
    young: int = 0
    deleted: int = 0
    deleted_size: int = 0
    clones: int = 0
    cloud: CloudCollected | None = None

    @property
    def size(self) -> int:
        """Bytes of the garbage."""
        return sum(found.item.size for found in self.garbage)


def gc(
    project: Project,
    selection: Selection,
    *,
    workspace: bool = False,
    cloud: bool = False,
    remote: str | None = None,
    dry_run: bool = False,
    force: bool = False,
    grace: float | None = None,
    progress: Progress = SILENT,
) -> Collected:
    """Move cache objects to the trash that neither the workspaces nor the selected revisions need.

    `grace` is in seconds (default `gc.grace`, else two hours); younger objects are spared, and so is what they
    refer to. Stops before anything is touched when a meta file cannot be read, history is cut off here, or
    nothing at all would be kept. With `cloud` (or a `remote`) that remote is collected as well: see `_cloud`.
    """
    seconds = project.config.number("gc.grace", GRACE) if grace is None else grace
    cloud_seconds = project.config.number("gc.cloudgrace", CLOUD_GRACE) if grace is None else grace
    _refuse_unsafe(project, selection, (seconds, cloud_seconds), workspace=workspace, force=force or dry_run)
    lock = "shared" if dry_run else "exclusive"
    with open_session(project, progress, worktree=not dry_run, cache=lock) as session:
        with session.progress.task("reading what is needed"):
            roots = _roots(session, selection)
            needed = _needed(session, roots)
            if needed:
                needed |= _needed(session, _undone_roots(session, seconds))
            again = [key for key, _ in trashed(session.cache) if key in needed]  # since it was thrown away
            for key in () if dry_run else again:
                session.cache.revive(key)
        if not needed and not force:
            raise DvcLikeError(
                "nothing is tracked here: everything would go", hint="If that is meant, repeat with --force."
            )
        found = _sort(session, needed, time.time_ns() - int(seconds * 1e9))
        if dry_run:
            found.kept += len(again)
        else:
            with recorded(session, "gc") as recorder:
                if found.garbage and seconds:
                    recorder.touched = recorder.record.trash = True
                    recorder.write()
                _collect(session, found, seconds)
            found.clones = _clone.prune()
    if cloud or remote is not None:
        with open_session(project, progress, cache="shared") as session:
            found.cloud = _collect_cloud(session, roots, remote, dry_run=dry_run, grace=cloud_seconds)
    return found


def _refuse_unsafe(
    project: Project, selection: Selection, graces: tuple[float, float], *, workspace: bool, force: bool
) -> None:
    """Raise what speaks against collecting here at all."""
    if not workspace and not selection.has_revisions:
        raise UsageError(
            "say what to keep: --workspace, --all-branches, --all-tags, --all-commits or --rev",
            hint="`dvc-like gc --all-commits --dry-run` shows what no commit needs.",
        )
    if selection.has_revisions and project.git is None:
        raise ProjectError("there is no Git here, so there are no other revisions", hint="Use --workspace alone.")
    if project.config.find("cache.dir") is not None and not force:
        raise UsageError(
            f"the cache {project.cache_dir} is set by cache.dir: what other projects need of it is not known here",
            hint="If no other project uses it, repeat with --force.",
        )
    if not 0 <= min(graces) <= max(graces) < float("inf"):
        raise UsageError(f"a grace of {min(graces)} seconds means nothing", hint="Give a number of seconds.")
    if min(graces) < LEAST_GRACE and not force:
        raise UsageError(
            f"a grace of {min(graces):g} seconds also takes what another process is just adding",
            hint="Make sure nothing else runs, then repeat with --force.",
        )
    if project.git is not None and project.git.is_shallow():
        raise DvcLikeError(
            "this is a shallow clone: its history does not show what older commits need",
            hint="Run `git fetch --unshallow` first, or run gc in a full clone.",
        )


def _collect_cloud(
    session: Session, roots: list[Wanted], remote: str | None, *, dry_run: bool, grace: float
) -> CloudCollected:
    name = remote_name(session.project, remote)
    with open_store(session.project, name, jobs=None, create=False, progress=session.progress) as store:
        collector = CloudCollector(session, store, _names(session), dry_run=dry_run, grace=grace)
        with session.progress.task("collecting"):
            return collector.run(roots)


def undo(project: Project, *, progress: Progress = SILENT) -> int:
    """Take everything back out of the trash; return how many objects."""
    with open_session(project, progress, cache="exclusive") as session:
        return sum(session.cache.revive(key) for key, _ in list(trashed(session.cache)))


def _roots(session: Session, selection: Selection) -> list[Wanted]:
    """Return all that is kept: the targets of every worktree and of the revisions asked for, and the artifacts.

    A target that a sparse checkout leaves out is one of its worktree's.
    """
    wanted: list[Wanted] = []
    failures: list[DvcLikeError] = []
    project = session.project
    for top in project.git.worktrees() if project.git is not None else ():
        if not os.path.isdir(top):
            raise DvcLikeError(
                f"the Git worktree {show(top)} is not there, so what it needs is not known",
                hint="Mount it, or run `git worktree prune` if it is gone for good.",
            )
    for folder in workspaces(project):
        try:
            root = Dir.open_root(folder)
        except (FileNotFoundError, NotADirectoryError):
            continue  # a worktree without the project; anything else must not look like one
        with root:
            wanted += [Wanted(target, target.path) for target in walk(root, failures=failures)]
    wanted += artifacts(project, failures)
    if failures:
        first = gathered(failures)
        message = f"gc stopped, nothing was touched: {first.message}"
        raise type(first)(message, hint=first.template, details=first.details)
    if project.git is not None:
        _refuse_vanished(session, wanted)
        wanted += in_versions(hidden_metas(project.git, SUFFIX))
        if selection.has_revisions:
            wanted += at_revisions(project, selection)
    return wanted


def _undone_roots(session: Session, grace: float) -> list[Wanted]:
    """Return what the commands that can still be undone, in any worktree, would bring back."""
    folders = [os.path.join(folder, FOLDER) for folder in workspaces(session.project)]
    return [one for folder in folders for record in live_records(folder, grace) for one in needed_by(record)]


def _refuse_vanished(session: Session, wanted: list[Wanted]) -> None:
    """Stop when a file that the last commit knows as a meta file is there and no longer looks like one."""
    git = session.project.git
    assert git is not None
    here = {one.target.path for one in wanted}
    if not git.run("rev-parse", "--verify", "--quiet", "HEAD", check=False).strip():
        return
    for path, data in git.metas_at("HEAD", SUFFIX):
        full = os.path.join(session.project.root, path)
        if is_ours(data) and path[: -len(SUFFIX)] not in here and os.path.lexists(full):
            raise BadMeta(
                f"gc stopped, nothing was touched: {show(path)} is no meta file any more",
                hint=f"Restore it with `git checkout -- {typed(path)}`, or delete it.",
            )


def _needed(session: Session, roots: list[Wanted]) -> set[str]:
    """Return the keys of everything below the roots. A tree that is not in the cache keeps nothing else alive."""
    closure = close_over(roots, lambda level: _load(session.cache, level))
    keys = {need.key for need in closure.files.values()}
    keys.update(need.key for level in closure.levels for need in level)
    return keys


def _load(cache: Cache, level: list[TreeNeed]) -> None:
    for need in level:
        # Only what keeps what alive is asked here: neither depth nor links are judged, and nothing is moved.
        data = cache.peek_tree(need.digest, strict=True)
        if data is not None:
            need.entries = parse(data, f"the listing of {show(need.path)} ({need.digest.short})")


def _sort(session: Session, needed: set[str], young_after: int) -> Collected:
    """Tell garbage from what is needed or young. What a young tree lists is as young as the tree."""
    found = Collected()
    spare: list[Object] = []
    young: list[Wanted] = []
    for item in session.cache.objects():
        if item.key in needed:
            found.kept += 1
        elif item.mtime_ns >= young_after:
            found.young += 1
            if item.is_tree:
                young.append(_as_wanted(item))
        else:
            spare.append(item)
    below_young = _needed(session, young)
    names = _names(session) if spare else {}
    for item in spare:
        if item.key in below_young:
            found.young += 1
        else:
            found.garbage.append(Garbage(item, names.get(item.key, "")))
    found.garbage.sort(key=lambda one: (one.path == "", one.path, one.item.key))
    return found


def _as_wanted(item: Object) -> Wanted:
    path = RelPath("")
    return Wanted(Target(path, Meta(item.digest, 0, 0)), path)


def _names(session: Session) -> dict[str, str]:
    """Return a path for every object that any commit knows, as far as its trees are in the cache."""
    project = session.project
    if project.git is None:
        return {}
    try:
        known = at_revisions(project, Selection(all_commits=True))
        closure = close_over(known, lambda level: _load(session.cache, level))
    except DvcLikeError:
        return {}
    names = {need.key: str(need.path) for need in closure.files.values()}
    names.update({need.key: f"{need.path}/" for level in closure.levels for need in level})
    return names


def _collect(session: Session, found: Collected, grace: float) -> None:
    """Empty the trash of what has lain there long enough, then fill it."""
    _empty(session.cache, found, time.time() - grace)
    for one in found.garbage:
        discard(session.cache, one.item)
    if grace == 0:
        _empty(session.cache, found, float("inf"))


def _empty(cache: Cache, found: Collected, too_old: float) -> None:
    for key, status in list(trashed(cache)):
        if status.st_mtime <= too_old and delete(cache, key):
            found.deleted += 1
            found.deleted_size += status.st_size
