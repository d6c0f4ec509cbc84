"""`checkout`: make the workspace what the meta files say.

Owns the plan (what is placed, replaced, removed, left alone) and its safety: a file whose bytes are not in the cache
stands in the way instead of being overwritten or removed. The whole plan is made before anything is touched.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from dataclasses import dataclass, field
from typing import NamedTuple

from .. import paths
from ..cache.place import Placer
from ..digest import Digest
from ..errors import DataMissing, DvcLikeError, UnsafePath, WouldOverwrite, gathered
from ..fsutil import NO_SIGNATURE
from ..meta.file import SUFFIX, Meta
from ..meta.tree import FOLDER, LINK, Entry
from ..paths import RelPath, is_below, join, show
from ..progress import SILENT, Progress, Task
from ..project import FOLDER as PROJECT_FOLDER
from ..project import Project
from ..workspace.index import Present
from ..workspace.scan import Folder, missing
from ._apply import Applier, FolderPlan
from ._guard import Guard, judge, judge_recorded
from ._session import Session, explained, open_session
from ._tracked import Target, Wanted, select
from ._trees import Pair, Recorded, pairs, root_entry
from .status import look, refuse_unknown, same_content


class CheckedOut(NamedTuple):
    """What a checkout did: paths created, replaced and removed, and those whose bytes are not in the cache."""

    created: tuple[RelPath, ...]
    replaced: tuple[RelPath, ...]
    removed: tuple[RelPath, ...]
    missing: tuple[RelPath, ...]


@dataclass
class Plan:
    """What is to be done for one target."""

    target: Target
    inside: RelPath
    seen: Folder
    folders: dict[RelPath, FolderPlan] = field(default_factory=dict)
    in_the_way: list[RelPath] = field(default_factory=list)
    stuck: list[RelPath] = field(default_factory=list)  # never added, in a folder where a file belongs
    giving_way: list[RelPath] = field(default_factory=list)  # folders where a file belongs
    other: Folder | None = None  # the folder that is where a single file belongs


def checkout(
    project: Project,
    targets: tuple[str, ...] = (),
    *,
    force: bool = False,
    relink: bool = False,
    allow_missing: bool = False,
    progress: Progress = SILENT,
) -> CheckedOut:
    """Bring targets (default: all) of the workspace to what their meta files say.

    Raises `WouldOverwrite`, with nothing touched, when unsaved files stand in the way and `force` is not given, or when
    a file belongs where a folder holds files that were never added: those are not given up even with `force`.
    Files whose bytes are not in the cache are left out; unless `allow_missing`, `DataMissing` then names them
    at the end. `relink` places files again that are right already, to apply another `cache.type`.
    """
    with open_session(project, progress, worktree=True, cache="shared") as session:
        failures: list[DvcLikeError] = []
        wanted = select(project, session.root, targets, failures)
        orphans = not targets and not failures
        done = checkout_in(session, wanted, failures, force=force, relink=relink, orphans=orphans)
    if done.missing and not allow_missing:
        failures.append(_missing_error(session, done.missing))
    if failures:
        raise gathered(failures)
    return done


def _missing_error(session: Session, missing: tuple[RelPath, ...]) -> DataMissing:
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
) -> CheckedOut:
    """Do the work of `checkout` in an open session; failures are added to `failures`.

    When a file of the user's stands in the way of one target, nothing is done for any.
    With `orphans`, data goes whose meta file this revision no longer has, where it is safe in the cache.
    """
    plans: list[Plan] = []
    with session.progress.task("comparing") as task:
        for one in wanted:
            try:
                plans.append(_plan(session, one, task, relink=relink))
            except DvcLikeError as error:
                failures.append(error)
    refused = _refused(plans, force=force)
    if refused is not None:
        failures.append(refused)
        return CheckedOut((), (), (), ())
    placer, guard = Placer(session.cache, session.project.link_types), Guard(session, force=force)
    with session.progress.task("checking out") as task:
        applier = Applier(session, placer, guard, task)
        try:
            for plan in plans:
                try:
                    _refuse_read_only(session, plan)
                    applier.run(plan.target, plan.inside, plan.seen, plan.folders, plan.other)
                except (DvcLikeError, OSError) as error:
                    failures.append(explained(error, "What is in place is whole; check out again."))
            if orphans:
                _remove_orphans(session, applier, {one.target.path for one in wanted})
        finally:
            applier.settle()
    if guard.left:
        failures.append(guard.error())
    return CheckedOut(*(tuple(sorted(found)) for found in applier.results))


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


def _remove_orphans(session: Session, applier: Applier, targets: set[RelPath]) -> None:
    """Remove tracked, unchanged data that no meta file describes any more: another revision did."""
    for path in session.index.tops(targets):
        if not _left_behind(session, path, targets):
            continue
        row = session.index.get(path)
        name, holder = path.rpartition("/")[2], paths.parent(path)
        try:
            parent = session.root.descend(holder)
        except (FileNotFoundError, NotADirectoryError):
            session.index.drop(path)
            continue
        with parent:
            if row is None or not parent.exists(name):
                session.index.drop(path)
            elif stat.S_ISDIR(parent.lstat(name).st_mode):
                with parent.sub(name) as here:
                    seen = session.scanner(Recorded(session.cache, path, None)).folder(here, path)
                plan = Plan(Target(path, Meta(Digest(row.tree), row.size, row.files)), path, seen)
                for pair in pairs(session.cache, path, None, seen, path):
                    _plan_folder(session, plan, pair, relink=False)
                if plan.in_the_way:
                    continue  # not all of it is safe in the cache: it stays
                applier.remove(parent, path, seen, plan.folders)
            else:
                seen = session.scanner(None).file(parent, path)
                row = seen.row or row  # a file that was only touched has another signature now
                if seen.clean and session.cache.ensure(Digest(row.tree)):
                    applier.remove_file(parent, path, row.signature(0))


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


def _plan(session: Session, wanted: Wanted, task: Task, *, relink: bool) -> Plan:
    target = wanted.target
    seen, parent = look(session, target, task)
    if parent is not None:
        parent.close()
    refuse_unknown(session, wanted, seen)
    plan = Plan(target, wanted.inside, seen)
    entry = root_entry(target.path, target.meta)
    _make_room(session, plan)
    if plan.other is not None:
        seen = plan.seen = missing(target.path, None)
    if target.meta.is_folder:
        for pair in pairs(
            session.cache, target.path, entry, None if relink or not seen.exists else seen, wanted.inside
        ):
            if relink:
                pair = pair._replace(folder=_find(seen, pair.path))
            _plan_folder(session, plan, pair, relink=relink)
        return plan
    if (
        not (seen.clean and seen.row is not None and seen.row.tree == entry.value and seen.row.kinds == entry.kind)
        or relink
    ):
        holder = paths.parent(target.path)
        _plan_folder(
            session, plan, Pair(holder, None, {entry.name: entry}, seen if seen.exists else None), relink=relink
        )
    return plan


def _find(seen: Folder, path: RelPath) -> Folder | None:
    here: Folder | None = seen
    for part in path[len(seen.path) + 1 :].split("/") if path != seen.path else ():
        here = here.folders.get(part) if here is not None else None
    return here if here is not None and here.exists else None


def _make_room(session: Session, plan: Plan) -> None:
    """Plan the removal of what is the other kind of thing than the target: a file for a folder, or a folder."""
    path = plan.target.path
    name, holder = path.rpartition("/")[2], paths.parent(path)
    try:
        with session.root.descend(holder) as parent:
            is_folder = stat.S_ISDIR(parent.lstat(name).st_mode)
            if is_folder == plan.target.meta.is_folder:
                return
            if is_folder:
                with parent.sub(name) as here:
                    plan.other = session.scanner(Recorded(session.cache, path, None)).folder(here, path)
    except (FileNotFoundError, NotADirectoryError):
        return
    if plan.other is None:
        todo = plan.folders[holder] = FolderPlan(Pair(holder, None, {}, None))
        _plan_removal(session, plan, todo, path, None)
        return
    _plan_clearing(plan, path, plan.other)
    for pair in pairs(session.cache, path, None, plan.other, path):
        _plan_folder(session, plan, pair, relink=False)


def _plan_clearing(plan: Plan, path: RelPath, folder: Folder) -> None:
    """A file belongs where a folder is: that goes when it holds only what was added."""
    plan.giving_way.append(path)
    waiting = [folder]
    while waiting:
        here = waiting.pop()
        plan.stuck += [join(here.path, name) for name in (*here.new, *here.ignored)]
        if here.row is None and not here.new:
            plan.stuck.append(RelPath(here.path))
        waiting += here.folders.values()


def _plan_folder(session: Session, plan: Plan, pair: Pair, *, relink: bool) -> None:
    """Decide for every name of one folder."""
    todo = FolderPlan(pair)
    folder = pair.folder
    present = folder.row.present() if folder is not None and folder.row is not None else {}
    same = set(folder.same) if folder is not None else set()
    here = same | ({*folder.changed, *folder.new} if folder is not None else set())
    _refuse_clashes(session, pair)
    for name, entry in pair.entries.items():
        path = join(pair.path, name)
        if entry.kind == FOLDER:
            # A file became a folder.
            if name in here and (is_below(path, plan.inside) or is_below(plan.inside, path)):
                _plan_removal(session, plan, todo, path, present[name] if name in same else None)
            continue
        if not is_below(path, plan.inside):
            continue
        if folder is not None and name in folder.folders:
            _plan_clearing(plan, path, folder.folders[name])
        if name in here:
            if name in same and (present[name].value, present[name].kind) == (entry.value, entry.kind):
                if not relink or entry.kind == LINK:
                    todo.keep[name] = present[name]
                    continue
            elif _settle_here(session, plan, todo, entry, path, present.get(name) if name in same else None):
                continue
            if relink and name not in todo.judged:
                todo.judged[name] = present[name].signature
        todo.place.append(entry)
    gives_way = any(is_below(pair.path, path) for path in plan.giving_way)
    for name in sorted(here - set(pair.entries)):
        path = join(pair.path, name)
        if name in same and is_below(path, plan.inside):
            _plan_removal(session, plan, todo, path, present[name])
        elif gives_way and folder is not None and name in folder.changed:
            _plan_removal(session, plan, todo, path, None)
    plan.folders[pair.path] = todo


def _settle_here(
    session: Session, plan: Plan, todo: FolderPlan, entry: Entry, path: RelPath, recorded: Present | None
) -> bool:
    """Look at a file that is in the place of another: True when it turns out to be the right one."""
    if recorded is None:
        with session.root.descend(todo.pair.path) as directory:
            found = same_content(session.cache, directory, entry.name, todo.pair.path, entry)
        if found is not None:
            todo.keep[entry.name] = found
            return True
    _judge(session, plan, todo, path, recorded)
    return False


def _judge(session: Session, plan: Plan, todo: FolderPlan, path: RelPath, recorded: Present | None) -> None:
    """Note what a file that is to go looks like now; it is in the way when its bytes are not in the cache."""
    name = path.rpartition("/")[2]
    judged = None if recorded is None else judge_recorded(session, recorded)
    if judged is None:
        with session.root.descend(todo.pair.path) as directory:
            judged = judge(session, directory, name, todo.pair.path, recorded)
    if judged is None:
        plan.in_the_way.append(path)  # it goes only with `force`
    todo.judged[name] = judged or NO_SIGNATURE


def _plan_removal(session: Session, plan: Plan, todo: FolderPlan, path: RelPath, recorded: Present | None) -> None:
    """Remove what the version no longer has, if its bytes are safe."""
    _judge(session, plan, todo, path, recorded)
    todo.unlink.append(path.rpartition("/")[2])


def _refuse_clashes(session: Session, pair: Pair) -> None:
    """Refuse two names that this file system would take for one."""
    if not os.path.exists(os.path.join(session.project.root, PROJECT_FOLDER.upper())):
        return  # it tells upper case from lower case
    folded: dict[str, str] = {}
    for name in pair.entries:
        other = folded.setdefault(unicodedata.normalize("NFC", name).casefold(), name)
        if other != name:
            raise UnsafePath(
                f"{show(pair.path)} holds both {show(other)} and {show(name)}, one name on this file system",
                hint="Rename one of them on a machine that tells them apart.",
            )
