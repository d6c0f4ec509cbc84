"""The pointer to a target: its meta file, and the line in the `.gitignore` beside it.

Owns taking it away, and what Git is to be told of it. What the pointer says is written by `add` and `move`.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable

from .. import paths
from ..errors import UnsafePath, UsageError
from ..fsutil import Dir
from ..git import ignores
from ..meta.file import SUFFIX
from ..paths import RelPath, join, show, typed
from ..project import FOLDER
from ..workspace import gitignore
from ._journal import recorded
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
    names = ", ".join(typed(one.path) for one in targets[:5])
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
            hint=f"Take it out of Git first: `git rm -r --cached {typed(path)}`, or choose another name.",
        )


def withdraw(session: Session, path: RelPath) -> None:
    """Take away the pointer to a target. The meta file goes last: a run that died before can be repeated."""
    name = path.rpartition("/")[2]
    with session.root.descend(paths.parent(path)) as folder, Dir.open_root(session.project.tmp) as aside:
        if session.project.git is not None:
            gitignore.remove(folder, [name], aside)
        folder.unlink(name + SUFFIX)


def hide(session: Session, targets: Iterable[RelPath]) -> None:
    """Give targets the line in `.gitignore` that they lack, where Git would add their data.

    A meta file that was taken alone from another revision came without. What another pattern ignores needs none.
    """
    git = session.project.git
    if git is None:
        return
    lacking: list[RelPath] = []
    for holder, names in _by_folder(targets).items():
        with contextlib.suppress(UnsafePath, FileNotFoundError), session.root.descend(holder) as folder:
            lacking += [join(holder, name) for name in gitignore.lacking(folder, names)]
    ignored = set(ignores(git, lacking)) if lacking else ()
    bare = [path for path in lacking if path not in ignored and status_at(session.root, path) is not None]
    if not bare:
        return
    with recorded(session, "checkout") as recorder, Dir.open_root(session.project.tmp) as aside:
        recorder.keep(bare)
        for holder, names in _by_folder(bare).items():
            with session.root.descend(holder) as folder:
                gitignore.add(folder, names, aside)
    what = f"{show(bare[0])} a line" if len(bare) == 1 else f"{len(bare):,} targets their lines"
    session.progress.note(f"gave {what} in .gitignore: Git would have added the data")


def _by_folder(targets: Iterable[RelPath]) -> dict[RelPath, list[str]]:
    found: dict[RelPath, list[str]] = {}
    for path in targets:
        found.setdefault(paths.parent(path), []).append(path.rpartition("/")[2])
    return found


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
