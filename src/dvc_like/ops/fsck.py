"""`fsck`: is every object in the cache what its name says, and is everything there that was checked out here?

What was never fetched is no damage, and is only counted. Owns the check and the mending: a damaged object is set aside;
a sound copy comes from the workspace or a remote.
"""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, field

from ..cache.store import Cache, Object
from ..digest import file_key
from ..errors import CorruptData, DvcLikeError, gathered
from ..fsutil import READ_USER
from ..paths import parent, show
from ..progress import SILENT, Progress
from ..project import Project
from ._artifacts import artifacts
from ._closure import Closure, TreeNeed, close_over, load_need
from ._fsck_remote import RemoteChecked, check_remote
from ._session import Session, open_session
from ._store import open_store, remote_name
from ._tracked import Wanted, select
from .fetch import fetch_in


@dataclass
class Checked:
    """What was found. `damaged` and `missing` name paths where they are known; `repaired` counts what came back.

    `not_fetched` counts the files of the workspace's targets that were never brought here.
    """

    objects: int = 0
    size: int = 0
    damaged: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    repaired: int = 0
    not_fetched: int = 0


def fsck(
    project: Project,
    *,
    read_data: float = 0,
    repair: bool = False,
    progress: Progress = SILENT,
) -> Checked:
    """Check the cache; return what was found when all is sound or was repaired, else raise `CorruptData`.

    Objects whose stat is not what was recorded are always read; `read_data` is the percentage of the others that is
    read too. With `repair`, what is damaged or missing is stored again from the workspace or fetched from the remote.
    """
    failures: list[DvcLikeError] = []
    with open_session(project, progress, worktree=repair, cache="exclusive" if repair else "shared") as session:
        kept = artifacts(project, failures)
        wanted = select(project, session.root, (), failures) + kept
        done = Checked()
        bad = _check_objects(session, done, read_data)
        here = session.index.keys() | {file_key(one.target.meta.digest) for one in kept}
        closure, absent = _look_for_missing(session, wanted)
        lost = absent & here
        names = _names(closure)
        done.damaged = sorted(show(names.get(key, key)) for key in bad)
        done.missing = sorted(show(names[key]) for key in lost if key not in bad)
        wanting = bad | lost
        if repair and wanting:
            _repair(session, wanted, closure, here | bad)
            closure, absent = _look_for_missing(session, wanted)
            names.update(_names(closure))  # a listing that came back names what it lists
            left = (absent & here) | {key for key in bad if not session.cache.has_key(key)}
            done.repaired = len(wanting - left)
            wanting = left
        done.not_fetched = _count_files(closure, absent - here - bad)
    if wanting:
        failures.append(_unsound(done, names, bad, wanting, repair=repair))
    if failures:
        raise gathered(failures)
    return done


def fsck_remote(
    project: Project,
    remote: str,
    *,
    read_data: float = 0,
    repair: bool = False,
    progress: Progress = SILENT,
) -> RemoteChecked:
    """Check that a remote has all that the workspace's targets need; return what was found, else raise `CorruptData`.

    Presence and sizes are compared; `read_data` is the percentage of objects that is read as well. With `repair`,
    what is missing or damaged there is sent again from the cache.
    """
    failures: list[DvcLikeError] = []
    with open_session(project, progress, cache="shared") as session:
        wanted = select(project, session.root, (), failures) + artifacts(project, failures)
        name = remote_name(project, remote)
        try:
            with open_store(project, name, jobs=None, create=repair, progress=progress) as store:
                done = check_remote(session, store, wanted, read=read_data, repair=repair)
        except DvcLikeError as error:
            failures.append(error)
    if failures:
        raise gathered(failures)
    return done


def _names(closure: Closure) -> dict[str, str]:
    """Return a path for the key of every object that is known to be needed."""
    names = {need.key: str(need.path) for need in closure.files.values()}
    names.update({need.key: f"{need.path}/" for level in closure.levels for need in level})
    return names


def _unsound(done: Checked, names: dict[str, str], bad: set[str], wanting: set[str], *, repair: bool) -> CorruptData:
    def lines(word: str, keys: set[str]) -> tuple[str, ...]:
        return tuple(sorted(f"{word}: {show(names.get(key, key))}" for key in keys))

    back = f"; {done.repaired} brought back" if done.repaired else ""
    return CorruptData(
        f"the cache is not sound: {len(wanting & bad)} damaged (set aside), {len(wanting - bad)} missing{back}",
        hint="What is left is neither in the workspace nor on the remote."
        if repair
        else "`dvc-like fsck --repair` brings back what the workspace or the remote has.",
        details=lines("damaged", wanting & bad) + lines("missing", wanting - bad),
    )


def _check_objects(session: Session, done: Checked, percent: float) -> set[str]:
    """Read what must be read; return the keys of objects that were damaged and are set aside now."""
    bad = set()
    chance = random.Random(0 if percent >= 100 else None)
    with session.progress.task("checking") as task:
        items = list(session.cache.objects())
        task.expect(files=len(items), size=sum(item.size for item in items))
        for item in items:
            before = len(session.cache.set_aside)
            sound = _is_sound(session.cache, item, read=chance.uniform(0, 100) < percent)
            if not sound or len(session.cache.set_aside) > before:
                bad.add(item.key)
            done.objects += 1
            done.size += item.size
            task.advance(files=1, size=item.size)
    return bad


def _is_sound(cache: Cache, item: Object, *, read: bool) -> bool:
    if item.is_tree:
        return cache.read_tree(item.digest) is not None
    if read:
        cache.trust.drop(item.digest)
    return cache.ensure(item.digest)


def _look_for_missing(session: Session, wanted: list[Wanted]) -> tuple[Closure, set[str]]:
    lost: set[str] = set()

    def load_level(level: list[TreeNeed]) -> None:
        for need in level:
            if session.cache.has_tree(need.digest):
                need.entries = load_need(session.cache, need)
            else:
                lost.add(need.key)

    closure = close_over(wanted, load_level)
    lost.update(need.key for need in closure.files.values() if not session.cache.has(need.digest))
    return closure, lost


def _count_files(closure: Closure, keys: set[str]) -> int:
    """Return how many files these objects stand for: one each, and a tree that cannot be read for all it lists."""
    trees = sum(need.files for level in closure.levels for need in level if need.key in keys)
    return trees + sum(need.key in keys for need in closure.files.values())


def _repair(session: Session, wanted: list[Wanted], closure: Closure, only: set[str]) -> None:
    """Bring back what is missing of these keys: from the workspace where it has the bytes, else from the remote."""
    with session.writer() as writer:
        for need in closure.files.values():
            if need.key not in only or session.cache.has(need.digest):
                continue
            try:
                with session.root.descend(parent(need.path)) as folder:
                    fd = folder.open(need.path.rpartition("/")[2], READ_USER)
                    try:
                        if os.fstat(fd).st_size == need.size:
                            writer.put_file(fd, need.size)
                    finally:
                        os.close(fd)
            except OSError:
                continue
    try:
        fetch_in(session, wanted, remote=None, jobs=None, only=only)
    except DvcLikeError as error:
        session.progress.note(f"nothing could be fetched: {error.message}")
