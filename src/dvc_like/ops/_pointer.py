"""The pointer to a target: its meta file, and the line in the `.gitignore` beside it.

Owns taking it away, and what Git is to be told of it. What the pointer says is written by `add` and `move`.
"""

from __future__ import annotations

import os
import stat

from .. import paths
from ..errors import UsageError
from ..fsutil import Dir
from ..meta.file import SUFFIX
from ..paths import RelPath, join, show
from ..project import FOLDER
from ..workspace import gitignore
from ._session import Session
from ._tracked import Target, select, status_at


def named(session: Session, text: str, way_out: str) -> Target:
    """Return the one target that is meant, by the path of its data or of its meta file.

    A path inside a tracked folder, and a folder that only holds targets, are no target: `UsageError`, with `way_out`
    as the hint for the former.
    """
    path = session.project.relative(text)
    found = select(session.project, session.root, (text,))
    first = found[0]
    if first.inside != first.target.path:
        raise UsageError(f"{show(text)} lies in the tracked folder {show(first.target.path)}", hint=way_out)
    if path not in (first.target.path, first.target.meta_path):
        raise only_holds(text, [one.target for one in found])
    return first.target


def only_holds(text: str, targets: list[Target]) -> UsageError:
    """Say that a folder is no target, and which lie in it."""
    names = ", ".join(show(one.path) for one in targets[:5])
    return UsageError(
        f"{show(text)} is not tracked itself, but holds what is",
        hint=f"Name the targets: {names}{', ...' if len(targets) > 5 else ''}.",
    )


def refuse_place(session: Session, path: RelPath) -> None:
    """Raise `UsageError` where no target may lie: below a file, in another repository, where Git tracks the name."""
    above = paths.parent(path)
    while above:
        status = status_at(session.root, above)
        if status is not None and not stat.S_ISDIR(status.st_mode) and not stat.S_ISLNK(status.st_mode):
            raise UsageError(f"{show(above)} is a file, so nothing can lie in it")
        for mark in (".git", FOLDER):
            if os.path.lexists(os.path.join(session.project.root, above, mark)):
                raise UsageError(f"{show(above)} is a repository of its own: {show(path)} cannot lie in it")
        above = paths.parent(above)
    git = session.project.git
    if git is not None and git.tracked([path]):
        raise UsageError(
            f"Git tracks {show(path)} already",
            hint=f"Take it out of Git first: `git rm -r --cached {show(path)}`, or choose another name.",
        )


def withdraw(session: Session, path: RelPath) -> None:
    """Take away the pointer to a target. The meta file goes last: a run that died before can be repeated."""
    name = path.rpartition("/")[2]
    with session.root.descend(paths.parent(path)) as folder, Dir.open_root(session.project.tmp) as aside:
        if session.project.git is not None:
            gitignore.remove(folder, [name], aside)
        folder.unlink(name + SUFFIX)


def tell_git(session: Session, targets: list[RelPath]) -> tuple[RelPath, ...]:
    """Return which files beside these targets Git has to be told of; with `core.autostage` it is told."""
    git = session.project.git
    if git is None or not targets:
        return ()
    files = dict.fromkeys(
        file for path in targets for file in (RelPath(path + SUFFIX), join(paths.parent(path), gitignore.NAME))
    )
    known = set(git.tracked(files))
    found = tuple(file for file in files if file in known or status_at(session.root, file) is not None)
    if session.project.config.flag("core.autostage"):
        git.stage(found)
    return found
