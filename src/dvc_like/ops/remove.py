"""`remove`: stop tracking targets, and with `outs` remove their data too.

Owns the order: data first, where all of it is safe in the cache, then the pointer. What was never added stays.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import NamedTuple

from .. import paths
from ..cache.place import Placer
from ..errors import DvcLikeError, UsageError, WouldOverwrite, gathered
from ..fsutil import NO_SIGNATURE, Dir
from ..paths import RelPath, join, show
from ..progress import SILENT, Progress, Task
from ..project import Project
from ..workspace.index import Present
from ..workspace.scan import Folder
from ._apply import Applier, FolderPlan
from ._guard import Guard, judge, judge_recorded
from ._journal import Recorder, recorded, snapshot, words
from ._look import look
from ._pointer import named, tell_git, withdraw
from ._session import Session, explained, open_session
from ._tracked import Target, Wanted
from ._trees import Pair, pairs, root_entry
from .status import compare


class Removed(NamedTuple):
    """A target that is tracked no longer: the files of its data that were removed, and those that were not its own."""

    target: Target
    removed: tuple[RelPath, ...] = ()
    left: tuple[RelPath, ...] = ()


class Removal(NamedTuple):
    """What a `remove` did, and the files that Git has to be told of (or was, with `core.autostage`)."""

    targets: tuple[Removed, ...]
    pointers: tuple[RelPath, ...]


def remove(
    project: Project,
    targets: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    outs: bool = False,
    force: bool = False,
    failures: list[DvcLikeError] | None = None,
    progress: Progress = SILENT,
) -> Removal:
    """Stop tracking targets: the meta file and the line in `.gitignore` go, the data stays.

    With `outs` the data goes too. Raises `WouldOverwrite`, with nothing of that target touched, when some of it is not
    safe in the cache, unless `force` is given. Files in its folder that were never added, or are ignored, always
    stay.
    All targets are tried; what failed is added to `failures`, or when that is None raised at the end.
    """
    wrong: list[DvcLikeError] = [] if failures is None else failures
    if isinstance(targets, str | os.PathLike):
        targets = [targets]
    if not targets:
        raise UsageError("nothing to remove: name at least one target")
    wanted: dict[RelPath, Target] = {}
    done: list[Removed] = []
    with open_session(project, progress, worktree=True, cache="shared") as session:
        for text in [os.fspath(one) for one in targets]:
            try:
                found = named(session, text, "Delete it, then record that: `dvc-like add` with the same path.")
                wanted[found.path] = found
            except DvcLikeError as error:
                wrong.append(error)
        with session.progress.task("removing") as task, recorded(session, words("remove", targets)) as recorder:
            for target in wanted.values():
                try:
                    recorder.keep([target.path])
                    finished = _clear(session, target, task, recorder, force=force) if outs else Removed(target)
                    withdraw(session, target.path)
                    session.index.drop(target.path)
                    done.append(finished)
                except (DvcLikeError, OSError) as error:
                    wrong.append(explained(error, "It is still tracked; what is gone is in the cache."))
        pointers = tell_git(session, [one.target.path for one in done])
    if wrong and failures is None:
        raise gathered(wrong)
    return Removal(tuple(done), pointers)


def _clear(session: Session, target: Target, task: Task, recorder: Recorder, *, force: bool) -> Removed:
    """Remove the data of a target, all of it or nothing."""
    plan = _plan(session, target, force=force)
    if plan.unsafe and not force:
        raise WouldOverwrite(
            f"{len(plan.unsafe)} file(s) of {show(target.path)} are not safe in the cache; nothing was removed",
            hint="Save them with `dvc-like add`, leave out `--outs`, or give them up with `--force`.",
            details=tuple(show(path) for path in plan.unsafe),
        )
    # Only now: what is not safe yet goes into the cache.
    recorder.keep(places=snapshot(session, {target.path: plan.seen if plan.seen.exists else None}))
    recorder.touched = True
    guard = Guard(session, force=force)
    applier = Applier(session, Placer(session.cache), guard, task)
    holder = paths.parent(target.path)
    try:
        for todo in plan.folders.values():
            task.expect(files=len(todo.unlink))
        with session.root.descend(holder) if plan.seen.exists else nullcontext() as parent:
            if parent is not None and target.meta.is_folder:
                applier.remove(parent, target.path, plan.seen, plan.folders)
            elif parent is not None and plan.folders:
                applier.remove_file(parent, target.path, *plan.folders[holder].judged.values())
    finally:
        applier.settle()
    if guard.left:
        raise guard.error()
    task.advance(files=len(applier.removed))
    return Removed(target, tuple(sorted(applier.removed)), tuple(sorted(plan.left)))


@dataclass
class _Plan:
    """What would go, of that what is not safe, and what lies in the target's folder and was never added."""

    seen: Folder
    folders: dict[RelPath, FolderPlan] = field(default_factory=dict)
    unsafe: list[RelPath] = field(default_factory=list)
    left: list[RelPath] = field(default_factory=list)

    def add(self, session: Session, here: Dir, path: RelPath, name: str, recorded: Present | None = None) -> None:
        """Plan the removal of one file; `path` is its folder's."""
        todo = self.folders.setdefault(path, FolderPlan(Pair(path, None, {}, None)))
        judged = judge_recorded(session, recorded) if recorded is not None else None
        judged = judged or judge(session, here, name, path, recorded)
        if judged is None:
            self.unsafe.append(join(path, name))
        todo.unlink.append(name)
        todo.judged[name] = judged or NO_SIGNATURE


def _plan(session: Session, target: Target, *, force: bool) -> _Plan:
    wanted = Wanted(target, target.path)
    compared = compare(session, wanted)  # makes the rows anew that the index has lost
    if compared.problem is not None and not force:
        raise compared.problem
    if target.meta.is_folder and not force:
        for _ in pairs(session.cache, target.path, root_entry(target.path, target.meta), None, wanted):
            pass  # a file is safe only when the listing that names it is: this raises where one is missing
    seen, parent = look(session, target)
    plan = _Plan(seen)
    if parent is None:
        return plan
    with parent:
        if not target.meta.is_folder:
            name = target.path.rpartition("/")[2]
            if seen.exists and stat.S_ISDIR(parent.lstat(name).st_mode):
                plan.left.append(target.path)  # a folder where the file belongs: not what is tracked
            elif seen.exists:
                plan.add(session, parent, paths.parent(target.path), name)
            return plan
    waiting = [seen] if seen.exists else []
    while waiting:
        folder = waiting.pop()
        waiting += folder.folders.values()
        plan.left += [join(folder.path, name) for name in (*folder.new, *folder.ignored)]
        present = folder.row.present() if folder.row is not None else {}
        with session.root.descend(folder.path) as here:
            for name in sorted({*folder.same, *folder.changed}):
                recorded = present[name] if name in folder.same else None
                plan.add(session, here, RelPath(folder.path), name, recorded)
    return plan
