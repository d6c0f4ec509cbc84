"""`move`: give a target another name or folder, with its data and all that is known of it.

Owns where a target may go, and the order: ignored and pointed to at the new place, then the data, then the old pointer.
A run that died in between is continued by the same command: the new meta file equals the old one until then.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from dataclasses import replace
from typing import NamedTuple

from .. import paths
from ..digest import Digest
from ..errors import DvcLikeError, UsageError, WouldOverwrite
from ..fsutil import Dir, is_racy, signature
from ..meta.file import MAX_SIZE, SUFFIX
from ..paths import RelPath, is_below, join, show, typed
from ..progress import SILENT, Progress
from ..project import Project
from ..workspace import gitignore
from ..workspace.leftovers import sweep
from ..workspace.scan import trusted_signature
from ._journal import recorded, words
from ._pointer import named, refuse_place, tell_git, withdraw
from ._session import Session, open_session
from ._tracked import Target, enclosing, status_at

_INSIDE = "Move it with `mv`, then record both: `dvc-like add` with the old and the new path."


class Moved(NamedTuple):
    """A target at its new place, where it was, and the files Git has to be told of (or was, with `core.autostage`)."""

    source: RelPath
    target: Target
    pointers: tuple[RelPath, ...]


def move(
    project: Project,
    source: str | os.PathLike[str],
    destination: str | os.PathLike[str],
    *,
    progress: Progress = SILENT,
) -> Moved:
    """Move a target, into `destination` when that is a folder: data, meta file, `.gitignore` line and index rows.

    Nothing is hashed or copied, and the data need not be here. Raises `WouldOverwrite` when the new name is taken,
    `UsageError` when a target cannot lie there.
    """
    with open_session(project, progress, worktree=True, cache="shared") as session:
        target = named(session, os.fspath(source), _INSIDE)
        path = _destination(session, target, os.fspath(destination))
        _check(session, target, path)
        try:
            with recorded(session, words("move", [source, destination]), [target.path, path]):
                _move(session, target.path, path)
        except FileExistsError:
            raise _taken(path) from None
        pointers = tell_git(session, [target.path, path])
    return Moved(target.path, Target(path, target.meta), pointers)


def _destination(session: Session, target: Target, typed: str) -> RelPath:
    path = session.project.relative(typed)
    if path.endswith(SUFFIX):
        path = RelPath(path[: -len(SUFFIX)])
    status = status_at(session.root, path) if path else session.root.status()
    is_folder = stat.S_ISDIR(status.st_mode) if status is not None else typed.endswith(("/", os.sep))
    if is_folder and (status is not None or not target.meta.is_folder):
        if path == target.path or _continues(session, target.path, path):
            return path  # the folder that a run before this one has moved already
        return join(path, target.path.rpartition("/")[2])
    return path


def _check(session: Session, target: Target, path: RelPath) -> None:
    """Raise unless a target may lie at `path`."""
    root, source = session.root, target.path
    if is_below(path, source):
        where = "already there" if path == source else f"not to be moved into itself ({show(path)})"
        raise UsageError(f"{show(source)} is {where}")
    holder = enclosing(root, path)
    if holder is not None and holder.path != path:
        raise UsageError(
            f"{show(path)} would lie in the tracked folder {show(holder.path)}",
            hint=f"To make it part of that: `dvc-like remove {typed(source)}`, then `mv` and `dvc-like add` the data.",
        )
    refuse_place(session, path)
    data, new = status_at(root, source), status_at(root, path)
    if new is not None and (data is not None or not _continues(session, source, path)):
        raise _taken(path)
    if status_at(root, RelPath(path + SUFFIX)) is not None and not _continues(session, source, path):
        raise _taken(RelPath(path + SUFFIX))


def _taken(path: RelPath) -> WouldOverwrite:
    return WouldOverwrite(
        f"{show(path)} is there already; nothing was moved", hint="Choose another name, or remove it first."
    )


def _continues(session: Session, source: RelPath, path: RelPath) -> bool:
    """Tell whether a run that died has written the new meta file already: it equals the old one, byte for byte.

    One that Git tracks is of another target, which only has the same content.
    """
    try:
        if not path or _meta(session.root, source) != _meta(session.root, path):
            return False
    except OSError:
        return False
    git = session.project.git
    return git is None or not git.tracked([RelPath(path + SUFFIX)])


def _meta(root: Dir, path: RelPath) -> bytes:
    with root.descend(paths.parent(path)) as folder:
        return folder.read(path.rpartition("/")[2] + SUFFIX, MAX_SIZE)


def _move(session: Session, source: RelPath, path: RelPath) -> None:
    root, name, new = session.root, source.rpartition("/")[2], path.rpartition("/")[2]
    text = _meta(root, source)
    with (
        root.descend(paths.parent(source)) as here,
        root.descend(paths.parent(path), create=True) as there,
        Dir.open_root(session.project.tmp) as aside,
    ):
        sweep(aside)
        before = here.lstat(name) if here.exists(name) else None
        if before is not None and before.st_dev != there.status().st_dev:
            raise _elsewhere(source, path)
        if session.project.git is not None:
            gitignore.add(there, [new], aside)
        fresh = not there.exists(new + SUFFIX)
        if fresh:
            there.write(new + SUFFIX, text, aside=aside)
        try:
            if before is not None:
                here.rename_new(name, new, into=there)
        except OSError as error:
            if fresh:
                withdraw(session, path)
            if error.errno == errno.EXDEV:
                raise _elsewhere(source, path) from None
            raise
        withdraw(session, source)
        _carry(session, source, path, before, there)


def _elsewhere(source: RelPath, path: RelPath) -> DvcLikeError:
    return DvcLikeError(
        f"{show(path)} lies on another file system than {show(source)}; nothing was moved",
        hint="Copy the data there, `dvc-like add` it, and `dvc-like remove --outs` the old one.",
    )


def _carry(session: Session, source: RelPath, path: RelPath, before: os.stat_result | None, there: Dir) -> None:
    """Take the rows of the index along. A rename moves the ctime of a file: its row follows, so nothing is read."""
    row = session.index.get(source)
    session.index.move(source, path)
    if row is None or row.values != (row.tree,):
        return  # a folder: what is in it kept its stamps
    new = path.rpartition("/")[2]
    row = replace(row, names=(new,))
    if before is not None and signature(before) == row.signature(0):
        for _ in range(8):  # let the clock that stamps files go on, so that the stamp can be trusted
            if not is_racy(there.lstat(new), session.now_ns()):
                break
            time.sleep(0.004)
        now, after = session.now_ns(), there.lstat(new)
        if (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino):
            digest = Digest(row.tree)
            record = session.cache.trust.get(digest)
            if record is not None and record[0] == signature(before):
                session.cache.trust.set(digest, signature(after), record[1])  # a hard link: it is the object
            row = row.with_signatures({new: trusted_signature(after, now)})
    session.index.put(path, row)
