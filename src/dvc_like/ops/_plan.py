"""What a checkout is going to do, made before anything is touched.

Owns the decision for every name: keep, place, remove, leave alone, or *in the way*, when its bytes are in no object.
"""

from __future__ import annotations

import os
import stat
import unicodedata
from dataclasses import dataclass, field

from .. import paths
from ..digest import Digest
from ..errors import DvcLikeError, UnsafePath, UsageError
from ..fsutil import NO_SIGNATURE
from ..meta.file import Meta
from ..meta.tree import FOLDER, LINK, Entry
from ..paths import RelPath, is_below, join, show
from ..progress import Task
from ..project import FOLDER as PROJECT_FOLDER
from ..workspace.index import Present
from ..workspace.scan import Folder, missing
from ._apply import FolderPlan
from ._guard import judge, judge_recorded
from ._look import look, refuse_unknown, same_content
from ._scope import Scope
from ._session import Session
from ._tracked import Target, Wanted
from ._trees import Pair, Recorded, pairs, root_entry


@dataclass
class Plan:
    """What is to be done for one target."""

    wanted: Wanted
    seen: Folder
    folders: dict[RelPath, FolderPlan] = field(default_factory=dict)
    in_the_way: list[RelPath] = field(default_factory=list)
    stuck: list[RelPath] = field(default_factory=list)  # never added, in a folder where a file belongs
    giving_way: list[RelPath] = field(default_factory=list)  # folders where a file belongs
    other: Folder | None = None  # the folder that is where a single file belongs
    strict: bool = False  # what changed is in the way also where the version has nothing of that name

    @property
    def target(self) -> Target:
        """Whose plan it is."""
        return self.wanted.target

    @property
    def is_done(self) -> bool:
        """Tell whether all is in the workspace already."""
        todo = self.folders.values()
        return (
            self.seen.exists
            and self.other is None
            and not any(
                one.place or one.unlink or (one.pair.entry is not None and one.pair.folder is None) for one in todo
            )
        )


def make_plan(
    session: Session,
    group: list[Wanted],
    task: Task,
    failures: list[DvcLikeError],
    *,
    relink: bool,
    strict: bool = False,
) -> Plan:
    """Plan one target; it may be asked for several parts of it."""
    target = group[0].target
    seen, parent = look(session, target, task)
    if parent is not None:
        parent.close()
    known = []
    for one in group:
        try:
            refuse_unknown(session, one, seen)
            known.append(one)
        except UsageError as error:
            failures.append(error)
    wanted = together(known) if known else Wanted(target, target.path, Scope(exclude=["**"]))
    plan = Plan(wanted, seen, strict=strict)
    entry = root_entry(target.path, target.meta)
    _make_room(session, plan)
    if plan.other is not None:
        seen = plan.seen = missing(target.path, None)
    if target.meta.is_folder:
        for pair in pairs(session.cache, target.path, entry, None if relink or not seen.exists else seen, wanted):
            if relink:
                pair = pair._replace(folder=_find(seen, pair.path))
            plan_folder(session, plan, pair, relink=relink)
        if wanted.only is not None:
            _leave_out(plan)
        return plan
    if (
        not (seen.clean and seen.row is not None and seen.row.tree == entry.value and seen.row.kinds == entry.kind)
        or relink
    ):
        holder = paths.parent(target.path)
        plan_folder(
            session, plan, Pair(holder, None, {entry.name: entry}, seen if seen.exists else None), relink=relink
        )
    return plan


def plan_absence(session: Session, path: RelPath, *, strict: bool = False) -> Plan | None:
    """Plan the removal of what the index knows of a path, None when there is nothing.

    What changed since stays; with `strict` it stands in the way. What was never added stays in any case.
    """
    row, name, holder = session.index.get(path), path.rpartition("/")[2], paths.parent(path)
    if row is None:
        return None
    wanted = Wanted(Target(path, Meta(Digest(row.tree), row.size, row.files)), path)
    try:
        with session.root.descend(holder) as parent:
            if stat.S_ISDIR(parent.lstat(name).st_mode):
                with parent.sub(name) as here:
                    seen = session.scanner(Recorded(session.cache, path, None)).folder(here, path)
                plan = Plan(wanted, seen, strict=strict)
                for pair in pairs(session.cache, path, None, plan.seen, wanted):
                    plan_folder(session, plan, pair, relink=False)
                return plan
            plan = Plan(wanted._replace(target=Target(path, Meta(Digest(row.tree), row.size))), Folder(path, None))
            plan.seen = seen = session.scanner(None).file(parent, path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    todo = plan.folders[holder] = FolderPlan(Pair(holder, None, {}, None))
    if not seen.clean and not strict:
        plan.in_the_way.append(path)
        return plan
    _plan_removal(session, plan, todo, path, seen.row.present().get(name) if seen.clean and seen.row else None)
    return plan


def together(group: list[Wanted]) -> Wanted:
    """Return one wish for several of one target."""
    first = group[0]
    if len(group) == 1 or any(one.is_whole for one in group):
        return first if len(group) == 1 else Wanted(first.target, first.target.path)
    only = first.only if first.only is not None else Scope()
    return Wanted(first.target, first.target.path, only.within(one.inside for one in group))


def _leave_out(plan: Plan) -> None:
    """Take out folders that are not there and would be made for nothing: patterns ask for nothing in them."""
    needed: set[str] = set()
    for path, todo in reversed(list(plan.folders.items())):
        empty = todo.pair.entry is not None and not todo.pair.entry.files and plan.wanted.asks(path)
        if todo.pair.folder is not None or todo.place or path in needed or empty:
            needed.add(paths.parent(path))
        else:
            del plan.folders[path]


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
    for pair in pairs(session.cache, path, None, plan.other, Wanted(plan.target, path)):
        plan_folder(session, plan, pair, relink=False)


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


def plan_folder(session: Session, plan: Plan, pair: Pair, *, relink: bool) -> None:
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
            if name in here and plan.wanted.enters(path):
                _plan_removal(session, plan, todo, path, present[name] if name in same else None)
            continue
        if not plan.wanted.asks(path):
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
        if name in same and plan.wanted.asks(path):
            _plan_removal(session, plan, todo, path, present[name])
        elif folder is not None and name in folder.changed and (gives_way or (plan.strict and plan.wanted.asks(path))):
            _plan_removal(session, plan, todo, path, None)
    plan.folders[pair.path] = todo


def _settle_here(
    session: Session, plan: Plan, todo: FolderPlan, entry: Entry, path: RelPath, recorded: Present | None
) -> bool:
    """Look at a file that is in the place of another: True when it turns out to be the right one."""
    if recorded is None:
        with session.root.descend(todo.pair.path) as directory:
            found = same_content(session, directory, entry.name, todo.pair.path, entry)
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
