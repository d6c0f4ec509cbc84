"""`remove`: stop tracking targets, and with `outs` remove their data too.

Owns the order: data first, where all of it is safe in the cache, then the pointer. What was never added stays.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from typing import NamedTuple

from .. import paths
from ..cache.place import Placer
from ..errors import DvcLikeError, UsageError, WouldOverwrite, gathered
from ..fsutil import NO_SIGNATURE
from ..paths import RelPath, join, show
from ..progress import SILENT, Progress, Task
from ..project import Project
from ._apply import Applier, FolderPlan
from ._guard import Guard, judge
from ._pointer import named, tell_git, withdraw
from ._session import Session, explained, open_session
from ._tracked import Target, Wanted
from ._trees import Pair, pairs, root_entry
from .checkout import Plan, plan_removal
from .status import compare, look


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
    progress: Progress = SILENT,
) -> Removal:
    """Stop tracking targets: the meta file and the line in `.gitignore` go, the data stays.

    With `outs` the data goes too. Raises `WouldOverwrite`, with nothing of that target touched, when some of it is not
    safe in the cache, unless `force` is given. Files in its folder that were never added always stay.
    All targets are tried; the worst failure is raised at the end.
    """
    if isinstance(targets, str | os.PathLike):
        targets = [targets]
    if not targets:
        raise UsageError("nothing to remove: name at least one target")
    failures: list[DvcLikeError] = []
    wanted: dict[RelPath, Target] = {}
    done: list[Removed] = []
    with open_session(project, progress, worktree=True, cache="shared") as session:
        for text in [os.fspath(one) for one in targets]:
            try:
                found = named(session, text, "Delete it, then record that: `dvc-like add` with the same path.")
                wanted[found.path] = found
            except DvcLikeError as error:
                failures.append(error)
        with session.progress.task("removing") as task:
            for target in wanted.values():
                try:
                    finished = _clear(session, target, task, force=force) if outs else Removed(target)
                    withdraw(session, target.path)
                    session.index.drop(target.path)
                    done.append(finished)
                except (DvcLikeError, OSError) as error:
                    failures.append(explained(error, "It is still tracked; what is gone is in the cache."))
        pointers = tell_git(session, [one.target.path for one in done])
    if failures:
        raise gathered(failures)
    return Removal(tuple(done), pointers)


def _clear(session: Session, target: Target, task: Task, *, force: bool) -> Removed:
    """Remove the data of a target, all of it or nothing."""
    plan, left = _plan(session, target, force=force)
    if plan.in_the_way and not force:
        raise WouldOverwrite(
            f"{len(plan.in_the_way)} file(s) of {show(target.path)} are not safe in the cache; nothing was removed",
            hint="Save them with `dvc-like add`, leave out `--outs`, or give them up with `--force`.",
            details=tuple(show(path) for path in plan.in_the_way),
        )
    guard = Guard(session, force=force)
    applier = Applier(session, Placer(session.cache), guard, task)
    holder = paths.parent(target.path)
    try:
        for todo in plan.folders.values():
            task.expect(files=len(todo.unlink))
        if plan.folders:
            with session.root.descend(holder) as parent:
                if target.meta.is_folder:
                    applier.remove(parent, target.path, plan.seen, plan.folders)
                else:
                    applier.remove_file(parent, target.path, next(iter(plan.folders[holder].judged.values())))
    finally:
        applier.settle()
    if guard.left:
        raise guard.error()
    task.advance(files=len(applier.removed))
    return Removed(target, tuple(sorted(applier.removed)), tuple(sorted(left)))


def _plan(session: Session, target: Target, *, force: bool) -> tuple[Plan, list[RelPath]]:
    """Return what would go, and what lies in the target's folder and was never added."""
    compared = compare(session, Wanted(target, target.path))  # makes the rows anew that the index has lost
    if compared.problem is not None and not force:
        raise compared.problem
    if target.meta.is_folder and not force:
        for _ in pairs(session.cache, target.path, root_entry(target.path, target.meta), None, target.path):
            pass  # a file is safe only when the listing that names it is: this raises where one is missing
    seen, parent = look(session, target)
    plan, left = Plan(target, target.path, seen), list[RelPath]()
    if parent is None:
        return plan, left
    with parent:
        if not target.meta.is_folder:
            _plan_file(session, plan, left)
            return plan, left
    waiting = [seen] if seen.exists else []
    while waiting:
        here = waiting.pop()
        waiting += here.folders.values()
        todo = plan.folders[RelPath(here.path)] = FolderPlan(Pair(RelPath(here.path), None, {}, here))
        left += [join(here.path, name) for name in here.new]
        present = here.row.present() if here.row is not None else {}
        for name in sorted({*here.same, *here.changed}):
            plan_removal(session, plan, todo, join(here.path, name), present[name] if name in here.same else None)
    return plan, left


def _plan_file(session: Session, plan: Plan, left: list[RelPath]) -> None:
    path, name = plan.target.path, plan.target.path.rpartition("/")[2]
    if not plan.seen.exists:
        return
    holder = paths.parent(path)
    with session.root.descend(holder) as parent:
        if stat.S_ISDIR(parent.lstat(name).st_mode):
            left.append(path)  # a folder where the file belongs: not what is tracked
            return
        judged = judge(session, parent, name, holder)
    if judged is None:
        plan.in_the_way.append(path)
    todo = plan.folders[holder] = FolderPlan(Pair(holder, None, {}, None), unlink=[name])
    todo.judged[name] = judged or NO_SIGNATURE
