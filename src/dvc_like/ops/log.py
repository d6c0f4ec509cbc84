"""`log`: what became of one path, commit by commit.

Owns the way back through the versions of the meta files that may describe a path: its own, and those of the folders it
lies in. Git is asked once for all of them, and once more for each time the path had another name before.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from ..errors import DataMissing, DvcLikeError, UsageError, gathered
from ..git import Git
from ..git_log import Commit, history
from ..meta.file import SUFFIX, parse
from ..meta.tree import Entry
from ..paths import RelPath, is_below, parent, show, typed
from ..progress import SILENT, Progress, Task
from ..project import Project
from ._compare import ADDED, DELETED, MODIFIED, RENAMED, Comparison
from ._pointer import only_holds
from ._session import Session, open_session
from ._sides import inside, item_then
from ._tracked import Target, commit_of, enclosing, is_ours, walk

PRESENT, UNKNOWN = "present", "unknown"


class Event(NamedTuple):
    """One commit that changed a path.

    `state` is ``added``, ``deleted``, ``modified`` or ``renamed`` (from `old_path`: the same content was there before);
    ``present``: history is cut off here, so what was before is not known; ``unknown``: a listing is not in the cache.
    `path` is its name then, `entry` what it was afterwards, or before it was deleted. `same_as` is an older commit of
    this log that had the same content.
    """

    commit: str
    author: str
    email: str
    date: str
    subject: str
    state: str
    path: RelPath
    entry: Entry | None
    old_path: RelPath | None = None
    same_as: str = ""


class _NotHere:
    """Stands for what a path was, where the listing that could tell is not in the cache."""


_State = Entry | _NotHere | None


def log(
    project: Project,
    path: str | os.PathLike[str],
    rev: str | None = None,
    *,
    limit: int | None = None,
    failures: list[DvcLikeError] | None = None,
    progress: Progress = SILENT,
) -> list[Event]:
    """Return what became of a target or a path in one up to `rev` (default: HEAD), the newest first.

    What it was called before is followed as long as its content moved unchanged. What cannot be read is added to
    `failures`; when that is None it is raised once all has been looked at.
    """
    wrong: list[DvcLikeError] = [] if failures is None else failures
    with open_session(project, progress, reading=True) as session, progress.task("reading history") as task:
        commit = commit_of(project, rev)
        name = _meant(session, project.relative(path))
        work = _History(session, task, wrong)
        found = work.of(commit, name, limit) if commit is not None else []
        here = os.path.lexists(os.path.join(project.root, name)) and enclosing(session.root, name) is not None
        if not found and not here and not wrong:
            below = list(walk(session.root, name))
            if below:
                raise only_holds(name or ".", below)
            raise UsageError(f"{show(name or '.')} is not tracked, and never was", hint="Check the spelling.")
    if work.missing:
        wrong.append(
            DataMissing(
                f"what became of {show(name)} is not known in {len(work.missing)} commit(s): not in the cache",
                hint=f"`dvc-like fetch --all-commits {typed(name)}` brings what is needed.",
                details=tuple(work.missing),
            )
        )
    if wrong and failures is None:
        raise gathered(wrong)
    return found


def _meant(session: Session, path: RelPath) -> RelPath:
    """Return the path of the data where its meta file is named."""
    if path.endswith(SUFFIX) and enclosing(session.root, path) is None:
        return RelPath(path[: -len(SUFFIX)])
    return path


class _History:
    def __init__(self, session: Session, task: Task, failures: list[DvcLikeError]) -> None:
        assert session.project.git is not None
        self._session = session
        self._git: Git = session.project.git
        self._task = task
        self._failures = failures
        self._targets: dict[tuple[str, str], Target | None] = {}  # by object and path
        self._states: dict[tuple[str, RelPath], _State] = {}  # by hash of the target and path
        self._cut = self._git.boundary()
        self.missing: list[str] = []

    def of(self, commit: str, path: RelPath, limit: int | None) -> list[Event]:
        """Return the events of a path up to a commit."""
        found: list[Event] = []
        while True:
            events = self._under_one_name(commit, path)
            origin = None
            if events and events[-1].state == ADDED and (limit is None or len(found) + len(events) <= limit):
                origin = self._origin(events[-1])
            if origin is not None:
                events[-1] = events[-1]._replace(state=RENAMED, old_path=origin)
            found += events
            if origin is None or (limit is not None and len(found) >= limit):
                return _with_same(found[:limit])
            commit, path = f"{events[-1].commit}^", origin

    def _under_one_name(self, commit: str, path: RelPath) -> list[Event]:
        holders = [path]
        while parent(holders[-1]):
            holders.append(parent(holders[-1]))
        holders.reverse()  # the outermost counts
        commits = list(history(self._git, commit, [holder + SUFFIX for holder in holders]))
        self._read(commits)
        events: list[Event] = []
        at = 0
        while at < len(commits):
            same = [one for one in commits[at:] if one.id == commits[at].id]  # a merge, once per parent that differs
            at += len(same)
            changes = [self._change(one, holders, path) for one in same]
            if len(same) >= len(same[0].parents) and all(changes):
                events += filter(None, changes[:1])
        return events

    def _read(self, commits: list[Commit]) -> None:
        """Read all meta files that the commits mention, in one go."""
        wanted = {(name, path) for one in commits for path, pair in one.changes.items() for name in pair if name}
        unread = sorted(pair for pair in wanted - self._targets.keys() if pair[1].endswith(SUFFIX))
        for (name, path), (_, data) in zip(unread, self._git.contents(unread), strict=True):
            self._targets[name, path] = None
            try:
                if is_ours(data):
                    label = f"{path} ({name[:8]})"
                    self._targets[name, path] = Target(RelPath(path[: -len(SUFFIX)]), parse(data, label))
            except DvcLikeError as error:
                self._failures.append(error)

    def _change(self, one: Commit, holders: list[RelPath], path: RelPath) -> Event | None:
        """Return what one commit did to the path, None when nothing."""
        before, after = (
            next((state for state in (self._state(one, side, holder, path) for holder in holders) if state), None)
            for side in (0, 1)
        )
        if before is None and after is None:
            return None
        entry = after if isinstance(after, Entry) else before if isinstance(before, Entry) else None
        if isinstance(before, _NotHere) or isinstance(after, _NotHere):
            state = UNKNOWN
            self.missing.append(one.id[:12])
        elif before is None:
            state = PRESENT if one.id in self._cut else ADDED
        elif after is None:
            state = DELETED
        elif (before.kind, before.value) == (after.kind, after.value):
            return None
        else:
            state = MODIFIED
        return Event(one.id, one.author, one.email, one.date, one.subject, state, path, entry)

    def _state(self, one: Commit, side: int, holder: RelPath, path: RelPath) -> _State:
        name = one.changes.get(holder + SUFFIX, ("", ""))[side]
        target = self._targets.get((name, holder + SUFFIX))
        if target is None or (holder != path and not target.meta.is_folder):
            return None
        key = target.meta.digest, path
        if holder == path:
            return item_then(self._session, target).entry
        if key not in self._states:
            try:
                item = inside(item_then(self._session, target), path)
                self._states[key] = item.entry if item is not None else None
            except DataMissing:
                self._states[key] = _NotHere()
            except DvcLikeError as error:
                self._failures.append(error)
                self._states[key] = _NotHere()
        return self._states[key]

    def _origin(self, event: Event) -> RelPath | None:
        """Return where the content of a path was before the commit in which it came up."""
        one = next(history(self._git, event.commit, [""], one=True), None)
        if one is None or not one.parents or one.id in self._cut:
            return None
        one = one._replace(changes={path: pair for path, pair in one.changes.items() if path.endswith(SUFFIX)})
        self._read([one])
        work = Comparison(self._session, self._task, now=False)
        for path, (old, new) in sorted(one.changes.items()):
            sides = self._targets.get((old, path)), self._targets.get((new, path))
            if sides != (None, None):
                try:
                    work.target(*sides, [RelPath(path[: -len(SUFFIX)])])
                except DvcLikeError:
                    continue  # then it cannot be told
        for found in work.finish():
            if found.old_path is not None and is_below(event.path, found.path):
                return RelPath(found.old_path + event.path[len(found.path) :])
        return None


def _with_same(events: list[Event]) -> list[Event]:
    """Note the older commits that had the same content."""
    older: dict[tuple[str, str], str] = {}
    found = []
    for event in reversed(events):
        key = (event.entry.kind, event.entry.value) if event.entry is not None else None
        same = older.get(key, "") if key is not None and event.state in (ADDED, MODIFIED) else ""
        if key is not None and event.state not in (DELETED, UNKNOWN):
            older.setdefault(key, event.commit)
        found.append(event._replace(same_as=same))
    return found[::-1]
