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
from ..workspace.scan import Folder
from ._apply import Applier, FolderPlan
from ._guard import Guard, judge, judge_recorded
from ._session import Session, open_session
from ._tracked import Target, Wanted, select
from ._trees import Pair, pairs, root_entry
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

    Raises `WouldOverwrite`, with nothing touched, when unsaved files stand in the way and `force` is not given.
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
    """Do the work of `checkout` in an open session; failures of single targets are added to `failures`.

    With `orphans`, data goes whose meta file this revision no longer has, where it is safe in the cache.
    """
    plans: list[Plan] = []
    with session.progress.task("comparing") as task:
        for one in wanted:
            try:
                plans.append(_plan(session, one, task, relink=relink))
            except DvcLikeError as error:
                failures.append(error)
    in_the_way = [path for plan in plans for path in plan.in_the_way]
    if in_the_way and not force:
        raise WouldOverwrite(
            f"{len(in_the_way)} unsaved file{'s' if len(in_the_way) > 1 else ''} in the way; nothing was changed",
            hint="Save them with `dvc-like add`, move them away, or give them up with `--force`.",
            details=tuple(show(path) for path in in_the_way),
        )
    placer, guard = Placer(session.cache, session.project.link_types), Guard(session, force=force)
    with session.progress.task("checking out") as task:
        applier = Applier(session, placer, guard, task)
        try:
            for plan in plans:
                try:
                    applier.run(plan.target, plan.inside, plan.seen, plan.folders)
                except DvcLikeError as error:
                    failures.append(error)
            if orphans:
                _remove_orphans(session, applier, {one.target.path for one in wanted})
        finally:
            applier.settle()
    if guard.left:
        failures.append(guard.error())
    return CheckedOut(*(tuple(sorted(found)) for found in applier.results))


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
                    seen = session.scanner().folder(here, path)
                plan = Plan(Target(path, Meta(Digest(row.tree), row.size, row.files)), path, seen)
                for pair in pairs(session.cache, path, None, seen, path):
                    _plan_folder(session, plan, pair, relink=False)
                if plan.in_the_way:
                    continue  # not all of it is safe in the cache: it stays
                applier.remove(parent, path, seen, plan.folders)
            else:
                seen = session.scanner().file(parent, path)
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
    if target.meta.is_folder:
        _refuse_other_kind(session, target.path, folder=True)
        for pair in pairs(
            session.cache, target.path, entry, None if relink or not seen.exists else seen, wanted.inside
        ):
            if relink:
                pair = pair._replace(folder=_find(seen, pair.path))
            _plan_folder(session, plan, pair, relink=relink)
        return plan
    _refuse_other_kind(session, target.path, folder=False)
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


def _refuse_other_kind(session: Session, path: RelPath, *, folder: bool) -> None:
    """Refuse a target whose place is taken by the other kind of thing: nothing is deleted to make room."""
    try:
        with session.root.descend(paths.parent(path)) as parent:
            mode = parent.lstat(path.rpartition("/")[2]).st_mode
    except (FileNotFoundError, NotADirectoryError):
        return
    if stat.S_ISDIR(mode) == folder:
        return
    what = "a folder" if stat.S_ISDIR(mode) else "no folder"
    raise WouldOverwrite(
        f"{show(path)} is {what}, but its meta file describes {'a folder' if folder else 'a file'}",
        hint="Move it away, then check out again.",
    )


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
            if name in here:  # a file became a folder
                _plan_removal(session, plan, todo, path, present[name] if name in same else None)
            continue
        if not is_below(path, plan.inside):
            continue
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
    for name in sorted(here - set(pair.entries)):
        path = join(pair.path, name)
        if name in same and is_below(path, plan.inside):
            _plan_removal(session, plan, todo, path, present[name])
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
