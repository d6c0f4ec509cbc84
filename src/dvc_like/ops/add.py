"""`add`: put files and folders under version control.

Owns what may become a target, and the order that makes a crash harmless: objects, trees, `.gitignore`, meta file.
"""

from __future__ import annotations

import glob as globbing
import os
import stat
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from .. import paths
from ..cache.place import Placer
from ..digest import Digest
from ..errors import DvcLikeError, UnsafePath, UsageError, gathered
from ..fsutil import Dir
from ..meta.file import MAX_SIZE, SUFFIX, Meta
from ..meta.rewrite import rewrite
from ..meta.tree import EXECUTABLE, Entry
from ..paths import RelPath, join, show, typed
from ..progress import SILENT, Progress
from ..project import Project
from ..workspace import gitignore
from ..workspace.ignore import Rule
from ..workspace.leftovers import sweep
from ._build import Builder
from ._journal import recorded, words
from ._look import look
from ._scope import Scope
from ._session import Session, explained, open_session
from ._sources import KEY, recorded_as
from ._tracked import Target, enclosing, select, status_at, walk
from ._trees import Recorded, load, root_entry


class Added(NamedTuple):
    """What became of one path: `state` is ``added``, ``updated`` or ``unchanged``; `stored` counts files read."""

    target: Target
    state: str
    stored: int


def add(
    project: Project,
    targets: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    glob: bool = False,
    force: bool = False,
    progress: Progress = SILENT,
) -> list[Added]:
    """Track files and folders, or record the present state of tracked ones.

    A path inside a tracked folder updates only that path. With `force` everything is stored again, a folder
    becomes exactly what is in the workspace and not ignored, and a path that is ignored may be named.
    All targets are tried; the worst failure is raised at the end.
    """
    if isinstance(targets, str | os.PathLike):
        targets = [targets]  # one path is as good as a list of one
    typed = [os.fspath(target) for target in targets]
    if not typed:
        raise UsageError("nothing to add: name at least one file or folder")
    with open_session(project, progress, worktree=True, cache="shared") as session:
        wanted = _expand(session, typed) if glob else [(text, project.relative(text)) for text in typed]
        if glob and not force:
            wanted = [one for one in wanted if _ignoring(session, enclosing(session.root, one[1]), one[1]) is None]
        return _add_all(session, "add", wanted, [], force=force)


def commit(
    project: Project, targets: Sequence[str] = (), *, force: bool = False, progress: Progress = SILENT
) -> list[Added]:
    """Record the present state of targets that are tracked already (default: all that are here)."""
    with open_session(project, progress, worktree=True, cache="shared") as session:
        failures: list[DvcLikeError] = []
        found = select(project, session.root, tuple(targets), failures)
        here = [wanted.inside for wanted in found if targets or status_at(session.root, wanted.inside) is not None]
        return _add_all(session, "commit", [(path, path) for path in here], failures, force=force)


def _expand(session: Session, patterns: list[str]) -> list[tuple[str, RelPath]]:
    """Return what matches in the workspace, and what was there, is tracked and is gone."""
    found: dict[RelPath, str] = {}
    for pattern in patterns:
        hits = [hit for hit in globbing.glob(pattern, recursive=True) if not hit.endswith(SUFFIX)]
        matching = {session.project.relative(hit): hit for hit in sorted(hits)}
        matching.update((path, path) for path in _gone(session, Scope([session.project.relative(pattern)])))
        if not matching:
            raise UsageError(f"nothing matches {show(pattern)!r}")
        found.update(matching)
    return [(text, path) for path, text in found.items()]


def _gone(session: Session, scope: Scope) -> Iterator[RelPath]:
    """Yield paths in tracked folders that were checked out, and were deleted."""
    for one in select(session.project, session.root, ()):
        if not one.target.meta.is_folder or not scope.enters(one.target.path):
            continue
        seen, parent = look(session, one.target)
        if parent is not None:
            parent.close()
        waiting = [seen] if seen.exists else []
        while waiting:
            here = waiting.pop()
            yield from (path for name in (*here.gone, *here.lost) if scope.asks(path := join(here.path, name)))
            waiting += here.folders.values()


def _add_all(
    session: Session, verb: str, wanted: list[tuple[str, RelPath]], failures: list[DvcLikeError], *, force: bool
) -> list[Added]:
    """Check every target, store them in one batch, then write the pointers of those that succeeded."""
    sound: list[_Job] = []
    for text, path in wanted:
        try:
            sound.append(_check(session, text, path, force=force))
        except DvcLikeError as error:
            failures.append(error)
    _refuse_overlap(sound)
    done: dict[RelPath, _Done] = {}
    placer = Placer(session.cache, session.project.link_types)
    with session.progress.task("adding") as task, session.writer() as writer:
        builder = Builder(session, writer, placer, task, force=force)
        for job in sound:
            before, earlier = builder.stored, done.get(job.root)
            try:
                if earlier is not None:
                    writer.flush()  # the trees made so far are read again
                entry = _build(session, builder, job, earlier, force=force)
            except (DvcLikeError, OSError) as error:
                failures.append(explained(error, "Nothing was recorded for it."))
                continue
            read = builder.stored - before + (earlier.stored if earlier else 0)
            done[job.root] = _Done(job, entry, read)
        writer.flush()
        builder.relink()
    added = []
    with recorded(session, words(verb, (text for text, _ in wanted))) as recorder:
        changed = [root for root, one in done.items() if not one.is_unchanged]
        if changed:
            recorder.keep(changed)
        for finished in done.values():
            try:
                added.append(_point(session, finished))
            except (DvcLikeError, OSError) as error:
                failures.append(explained(error, "Nothing was recorded for it."))
    builder.record({job.root for job in sound} - {one.target.path for one in added})
    if session.project.git is not None and session.project.config.flag("core.autostage"):
        _stage(session, added)
    if failures:
        raise gathered(failures)
    return added


class _Job(NamedTuple):
    path: RelPath  # what was asked for
    holder: Target | None  # the target it is, or lies in, when that is tracked already
    status: os.stat_result | None

    @property
    def root(self) -> RelPath:
        return self.holder.path if self.holder is not None else self.path


class _Done(NamedTuple):
    job: _Job
    entry: Entry
    stored: int

    @property
    def meta(self) -> Meta:
        """What the meta file is going to say."""
        entry, old = self.entry, self.job.holder.meta if self.job.holder is not None else None
        return Meta(
            entry.digest,
            entry.size,
            entry.files if entry.kind == "d" else None,
            entry.kind == EXECUTABLE,
            old.remote if old else None,
            recorded_as(old, entry.digest),
        )

    @property
    def is_unchanged(self) -> bool:
        """Tell whether the meta file says so already."""
        return self.job.holder is not None and self.job.holder.meta == self.meta


def _check(session: Session, text: str, path: RelPath, *, force: bool) -> _Job:
    """Return what is to be done for a path, or raise why it cannot be tracked."""
    root = session.root
    if not path:
        raise UsageError("the project's root itself cannot be tracked", hint="Add the folders in it.")
    if path.endswith(SUFFIX):
        raise UsageError(f"{show(text)} is a meta file: Git tracks it", hint="Add the data it describes.")
    holder = enclosing(root, path)
    status = status_at(root, path)
    if status is None:
        if holder is not None and holder.path != path:
            return _Job(path, holder, None)
        raise UsageError(
            f"{show(text)} does not exist", hint="Check the spelling; paths are seen from the current folder."
        )
    rule = None if force else _ignoring(session, holder, path)
    if rule is not None:
        raise UsageError(
            f"{show(text)} is ignored by {show(rule.source)}, line {rule.line}: {show(rule.text)}",
            hint="Add it with --force, or change the rule.",
        )
    if stat.S_ISLNK(status.st_mode) and holder is None:
        raise UnsafePath(
            f"{show(text)} is a link, and a link alone cannot be tracked",
            hint="Track the folder that it lies in, or what it points to.",
        )
    if holder is None:
        inner = next(walk(root, path), None) if stat.S_ISDIR(status.st_mode) else None
        if inner is not None:
            raise UsageError(
                f"{show(text)} holds {show(inner.path)}, which is tracked on its own",
                hint=f"Remove {show(inner.meta_path)} first if the whole folder shall be one dataset.",
            )
        git = session.project.git
        if git is not None and git.tracked([path]):
            raise UsageError(
                f"Git tracks {show(text)} already",
                hint=f"Take it out of Git first: `git rm -r --cached {typed(path)}`, then add it again.",
            )
    return _Job(path, holder, status)


def _ignoring(session: Session, holder: Target | None, path: RelPath) -> Rule | None:
    """Return the rule that keeps a path out; None where there is none, or the path is recorded already."""
    if path == (holder.path if holder is not None else ""):
        return None
    status = status_at(session.root, path)
    is_folder = status is not None and stat.S_ISDIR(status.st_mode)
    rule = session.ignore.cause(path, is_folder, holder.path if holder is not None else "")
    if rule is None or rule.negated:
        return None
    recorded = holder is not None and path.rpartition("/")[2] in Recorded(session.cache, *holder)(
        paths.parent(path), None
    )
    return None if recorded else rule


def _refuse_overlap(jobs: list[_Job]) -> None:
    # Part by part: data-x would else come between data and what lies in it.
    tops = sorted({job.path for job in jobs if job.holder is None}, key=lambda path: path.split("/"))
    for first, second in pairwise(tops):
        if paths.is_below(second, first):
            raise UsageError(f"{show(second)} lies in {show(first)}: add one of them")


def _build(session: Session, builder: Builder, job: _Job, earlier: _Done | None, *, force: bool) -> Entry:
    """Store one job's data; return the entry of its target. `earlier` is what this run made of it already."""
    if job.holder is not None and job.path != job.holder.path:
        root_tree = earlier.entry.digest if earlier is not None else job.holder.meta.digest
        return _build_inside(session, builder, job, job.holder, root_tree, force=force)
    assert job.status is not None
    with session.root.descend(paths.parent(job.path)) as parent:
        name = job.path.rpartition("/")[2]
        if not stat.S_ISDIR(job.status.st_mode):
            builder.task.expect(files=1, size=job.status.st_size)
            old = root_entry(job.root, job.holder.meta) if job.holder is not None else None
            return builder.file(parent, session.scanner(None).file(parent, job.path), old)
        # What is new to us, or to be just what is here, has nothing recorded that rules would not concern.
        recorded = None if force or job.holder is None else Recorded(session.cache, *job.holder)
        base = job.holder.meta.digest if job.holder is not None and job.holder.meta.is_folder else None
        with parent.sub(name) as folder:
            seen = session.scanner(recorded).folder(folder, job.path)
            builder.expect(seen)
            # Where the cache was emptied, nothing that the index says is stored is.
            emptied = seen.row is not None and not session.cache.has_tree(Digest(seen.row.tree))
            return builder.folder(folder, seen, base, distrust=emptied)


def _build_inside(
    session: Session, builder: Builder, job: _Job, holder: Target, root_tree: Digest, *, force: bool
) -> Entry:
    """Store one path of a tracked folder and mend the trees above it."""
    if not holder.meta.is_folder:
        raise UsageError(f"{show(holder.path)} is tracked as a file")
    inner = job.path[len(holder.path) + 1 :].split("/")
    spine: list[tuple[RelPath, Digest | None]] = []
    here: RelPath = holder.path
    base: Digest | None = root_tree
    old: Entry | None = None
    for depth, name in enumerate(inner):
        spine.append((here, base))
        entries = {entry.name: entry for entry in load(session.cache, base, here, depth)} if base is not None else {}
        old = entries.get(name)
        base = old.digest if old is not None and old.kind == "d" else None
        here = join(here, name)
    changed: Entry | str = inner[-1]
    if job.status is None and old is None:
        raise UsageError(f"{show(job.path)} is neither in the workspace nor in {show(holder.path)}")
    if job.status is not None:
        with session.root.descend(paths.parent(job.path)) as parent:
            if stat.S_ISDIR(job.status.st_mode):
                with parent.sub(inner[-1]) as folder:
                    recorded = None if force else Recorded(session.cache, *holder)
                    seen = session.scanner(recorded).folder(folder, job.path)
                    changed = builder.folder(folder, seen, base, len(inner))
            else:
                changed = builder.entry(parent, job.path, len(inner) - 1, old)
    for depth in range(len(spine) - 1, -1, -1):
        path, tree = spine[depth]
        session.root.descend(path).close()  # raises where it is gone, or a link leads there by now
        changed = builder.splice(path, tree, changed, depth)
    assert isinstance(changed, Entry)
    return changed


def _point(session: Session, done: _Done) -> Added:
    """Write `.gitignore` and meta file of a target whose objects are on disk."""
    job, meta, stored = done.job, done.meta, done.stored
    old = job.holder.meta if job.holder is not None else None
    target = Target(job.root, meta)
    name = job.root.rpartition("/")[2]
    with session.root.descend(paths.parent(job.root)) as folder, Dir.open_root(session.project.tmp) as aside:
        sweep(aside)
        if session.project.git is not None:
            gitignore.add(folder, [name], aside)
        if old == meta:
            return Added(target, "unchanged", stored)
        keys = (KEY,) if old is not None and old.extra != meta.extra else ()
        folder.write(name + SUFFIX, rewrite(meta, _present(folder, name + SUFFIX), keys=keys), aside=aside)
    return Added(target, "added" if old is None else "updated", stored)


def _present(folder: Dir, name: str) -> bytes:
    """Return the meta file as it is now, empty when there is none."""
    try:
        return folder.read(name, MAX_SIZE)
    except FileNotFoundError:
        return b""


def _stage(session: Session, added: list[Added]) -> None:
    assert session.project.git is not None
    files: list[str] = []
    for done in added:
        files += [done.target.meta_path, join(paths.parent(done.target.path), gitignore.NAME)]
    session.project.git.stage(dict.fromkeys(files))
