"""`checkout`: make the workspace what the meta files say.

Owns the whole of it: every target's plan (`_plan`) is made before anything is touched, nothing is done while a file
whose bytes are not in the cache stands in the way of one, and what no meta file describes any more goes last.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .. import paths
from ..cache.place import Placer
from ..errors import DataMissing, DvcLikeError, WouldOverwrite, gathered
from ..meta.file import SUFFIX
from ..paths import RelPath, is_below, show
from ..progress import SILENT, Progress
from ..project import FOLDER as PROJECT_FOLDER
from ..project import Project
from ._apply import Applier
from ._choose import choose
from ._guard import Guard
from ._journal import Recorder, recorded, snapshot, words
from ._plan import Plan, make_plan, plan_absence
from ._pointer import hide
from ._session import Session, explained, open_session
from ._tracked import Selection, Wanted


class CheckedOut(NamedTuple):
    """What a checkout did: paths created, replaced and removed, and those whose bytes are not in the cache."""

    created: tuple[RelPath, ...]
    replaced: tuple[RelPath, ...]
    removed: tuple[RelPath, ...]
    missing: tuple[RelPath, ...]


def checkout(
    project: Project,
    targets: tuple[str, ...] = (),
    *,
    glob: bool = False,
    profile: str = "",
    force: bool = False,
    relink: bool = False,
    allow_missing: bool = False,
    progress: Progress = SILENT,
) -> CheckedOut:
    """Bring targets (default: all) of the workspace to what their meta files say.

    `glob` and `profile` are as in `Selection`. Raises `WouldOverwrite`, with nothing touched, when unsaved files stand
    in the way and `force` is not given, or when a file belongs where a folder holds files that were never added: those
    are not given up even with `force`. Files whose bytes are not in the cache are left out; unless `allow_missing`,
    `DataMissing` then names them at the end. `relink` places files again that are right already, to apply another
    `cache.type`.
    """
    with open_session(project, progress, worktree=True, cache="shared") as session:
        failures: list[DvcLikeError] = []
        wanted = choose(session, Selection(targets, glob=glob, profile=profile), failures)
        orphans = not targets and not failures
        with recorded(session, words("checkout", targets)):
            done = checkout_in(session, wanted, failures, force=force, relink=relink, orphans=orphans)
            if not failures:
                hide(session, dict.fromkeys(one.target.path for one in wanted))
    if done.missing and not allow_missing:
        failures.append(missing_error(session, done.missing))
    if failures:
        raise gathered(failures)
    return done


def missing_error(session: Session, missing: tuple[RelPath, ...]) -> DataMissing:
    """Return the error that names files whose bytes are not in the cache."""
    damaged = len(session.cache.set_aside)
    note = f" ({damaged} damaged in the cache and set aside)" if damaged else ""
    return DataMissing(
        f"{len(missing)} file{'s' if len(missing) > 1 else ''} could not be checked out: not in the cache{note}",
        hint="`dvc-like pull` brings them from the remote.",
        details=tuple(show(path) for path in missing),
    )


def checkout_in(
    session: Session,
    wanted: list[Wanted],
    failures: list[DvcLikeError],
    *,
    force: bool = False,
    relink: bool = False,
    orphans: bool = False,
    gone: Iterable[RelPath] = (),
    strict: bool = False,
) -> CheckedOut:
    """Do the work of `checkout` in an open session; failures are added to `failures`.

    When a file of the user's stands in the way of one target, nothing is done for any.
    With `orphans`, data goes whose meta file this revision no longer has, where it is safe in the cache. What is `gone`
    is to be removed. With `strict` what was changed is in the way also where the version has nothing of that name.
    """
    session.ignore.tell = session.progress.note
    plans: list[Plan] = []
    with session.progress.task("comparing") as task:
        for path in dict.fromkeys(one.target.path for one in wanted):
            try:
                group = [one for one in wanted if one.target.path == path]
                plans.append(make_plan(session, group, task, failures, relink=relink, strict=strict))
            except DvcLikeError as error:
                failures.append(error)
        leaving = list(filter(None, (plan_absence(session, path, strict=strict) for path in gone)))
    refused = _refused(plans + leaving, force=force)
    if refused is not None:
        failures.append(refused)
        return CheckedOut((), (), (), ())
    if orphans:
        leaving += _orphans(session, {one.target.path for one in wanted})
    placer, guard = Placer(session.cache, session.project.link_types), Guard(session, force=force)
    with session.progress.task("checking out") as task, recorded(session, "checkout") as recorder:
        _record(session, recorder, plans + leaving)
        applier = Applier(session, placer, guard, task)
        try:
            for plan in plans:
                try:
                    _refuse_read_only(session, plan)
                    applier.run(plan.wanted, plan.seen, plan.folders, plan.other)
                except (DvcLikeError, OSError) as error:
                    failures.append(explained(error, "What is in place is whole; check out again."))
            for plan in leaving:
                _remove(session, applier, plan)
        finally:
            applier.settle()
            recorder.touched |= any(applier.results[:3])
    if guard.left:
        failures.append(guard.error())
    return CheckedOut(*(tuple(sorted(found)) for found in applier.results))


def _remove(session: Session, applier: Applier, plan: Plan) -> None:
    """Carry out the plan of a target that goes."""
    path = plan.target.path
    gone_by_now = contextlib.suppress(FileNotFoundError, NotADirectoryError)
    with gone_by_now, session.root.descend(paths.parent(path)) as parent:
        if plan.target.meta.is_folder:
            applier.remove(parent, path, plan.seen, plan.folders)
        else:
            applier.remove_file(parent, path, *plan.folders[paths.parent(path)].judged.values())


def _record(session: Session, recorder: Recorder, plans: list[Plan]) -> None:
    """Keep what is in the workspace of all that is going to change, for `undo`."""
    busy = [plan for plan in plans if any(todo.place or todo.unlink for todo in plan.folders.values())]
    if busy:
        going = {path: todo.judged for plan in busy for path, todo in plan.folders.items()}
        seen = {plan.target.path: plan.other or plan.seen for plan in busy}
        planned = (item for plan in busy for item in plan.folders.items())
        kept = {path: todo.keep for path, todo in planned if todo.pair.entry is not None}
        try:
            parts = {plan.target.path: plan.wanted.patterns for plan in busy}
            recorder.keep(places=snapshot(session, seen, going, kept), parts=parts)
        except PermissionError:
            if any(plan.in_the_way for plan in busy):
                raise  # with `force` these are given up, but not before they are saved
            recorder.record.large = True
            recorder.keep()


def _refused(plans: list[Plan], *, force: bool) -> WouldOverwrite | None:
    """Return why nothing may be touched at all, if so."""
    in_the_way = [show(path) for plan in plans for path in plan.in_the_way if not force]
    stuck = [show(path) for plan in plans for path in plan.stuck]
    if stuck:
        return WouldOverwrite(
            f"{len(stuck)} file(s) that were never added are in a folder where a file belongs; nothing was changed",
            hint="Move the folder away: what was never added is not deleted, not even with `--force`.",
            details=tuple(stuck + in_the_way),
        )
    if in_the_way:
        return WouldOverwrite(
            f"{len(in_the_way)} unsaved file{'s' if len(in_the_way) > 1 else ''} in the way; nothing was changed",
            hint="Save them with `dvc-like add`, move them away, or give them up with `--force`.",
            details=tuple(in_the_way),
        )
    return None


def _refuse_read_only(session: Session, plan: Plan) -> None:
    """Raise before a target is touched in which something cannot be written."""
    folders = set()
    for path, todo in plan.folders.items():
        folder, wanted = todo.pair.folder, todo.pair.entry is not None
        if todo.place or todo.unlink:
            folders.add(path)
        if path != paths.parent(plan.target.path) and (
            folder is None if wanted else folder is not None and folder.row is not None
        ):
            folders.add(paths.parent(path))  # it is made, or removed, there
    for path in sorted(folders):
        full = os.path.join(session.project.root, path)
        if os.path.isdir(full) and not os.access(full, os.W_OK | os.X_OK):
            raise DvcLikeError(
                f"{show(path or '.')} cannot be written to; nothing of {show(plan.target.path)} was changed",
                hint="Check who owns it and its permissions.",
            )


def _orphans(session: Session, targets: set[RelPath]) -> Iterator[Plan]:
    """Plan the removal of tracked, unchanged data that no meta file describes any more: another revision did."""
    for path in session.index.tops(targets):
        if _left_behind(session, path, targets):
            plan = plan_absence(session, path)
            if plan is None:
                session.index.drop(path)
            elif not plan.in_the_way:
                yield plan  # all of it is safe in the cache


def _left_behind(session: Session, path: RelPath, targets: set[RelPath]) -> bool:
    """Tell whether it was Git that took away the meta file of a path, and nothing else claims the path."""
    git = session.project.git
    if git is None or any(is_below(target, path) for target in targets):
        return False
    if os.path.lexists(os.path.join(session.project.root, path + SUFFIX)):
        return False  # damaged, perhaps
    holder = path
    while holder := paths.parent(holder):
        for name in (".git", PROJECT_FOLDER):
            if os.path.lexists(os.path.join(session.project.root, holder, name)):
                return False  # another repository's
    return not git.tracked([path, path + SUFFIX]) and git.knows(path + SUFFIX)
