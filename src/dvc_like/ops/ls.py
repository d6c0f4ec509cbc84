"""`ls`: what a repository tracks, with us and with Git, whether it is here or not."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from .. import git as gits
from ..errors import DataMissing, DvcLikeError, UsageError, gathered
from ..meta.tree import FOLDER, LINK
from ..paths import RelPath, is_below, show
from ..progress import SILENT, Progress
from ..project import Project
from ._session import Session, open_session
from ._sides import Item, hinted, inside, item_then
from ._sources import KEY
from ._tracked import Target, commit_of, targets_at, walk


class Listed(NamedTuple):
    """One name. `kind` is ``f`` file, ``x`` executable file, ``l`` link or ``d`` folder; `size` and `files` are of all
    below. `tracked` is ``dvc-like``, ``git``, or empty for a folder that both, or several targets, lie in; `digest` is
    empty where Git has the bytes. `source` is that of an import, as its meta file has it.
    """

    path: RelPath
    kind: str
    size: int | None
    files: int
    tracked: str
    digest: str = ""
    source: dict[str, Any] | None = None


def ls(
    project: Project,
    path: str | os.PathLike[str] | None = None,
    *,
    rev: str | None = None,
    recursive: bool = False,
    dvc_only: bool = False,
    failures: list[DvcLikeError] | None = None,
    progress: Progress = SILENT,
) -> list[Listed]:
    """Return what is tracked in a folder (default: the root), or the one path; `recursive`: all files below.

    `rev` is a revision instead of the workspace's meta files. Paths in datasets come from their listings. `dvc_only`
    leaves out what Git tracks. What cannot be read is added to `failures`; when that is None it is raised at the end.
    """
    wrong: list[DvcLikeError] = [] if failures is None else failures
    top = project.relative(path) if path is not None else RelPath("")
    with open_session(project, progress, reading=True) as session:
        commit = commit_of(project, rev) if rev is not None else None
        if commit is not None:
            known = targets_at(project, commit, wrong).values()
            targets = [target for target in known if target is not None]
        else:
            targets = list(walk(session.root, failures=wrong))
        holder = next((one for one in targets if is_below(top, one.path) and top), None)
        if holder is not None and (holder.path == top or holder.meta.is_folder):
            found = list(_in_dataset(session, holder, top, wrong, recursive=recursive))
        else:
            below = [target for target in targets if is_below(target.path, top)]
            files = _git_files(session, commit, top) if project.git is not None and not dvc_only else ()
            found = list(_outside(session, below, files, top, wrong, recursive=recursive))
        if not found and top and not wrong and (holder is None or not holder.meta.is_folder):
            raise UsageError(f"{show(top)} is tracked neither by dvc-like nor by Git", hint="Check the spelling.")
    wrong[:] = [hinted(error, rev) for error in wrong]
    if wrong and failures is None:
        raise gathered(wrong)
    return sorted(found)


def _git_files(session: Session, commit: str | None, top: RelPath) -> Iterator[gits.File]:
    assert session.project.git is not None
    for file in gits.listing(session.project.git, commit, top):
        if commit is None:
            try:
                status = os.lstat(os.path.join(session.project.root, file.path))
                file = file._replace(size=status.st_size)
            except OSError:
                pass  # Git tracks it, and it was deleted
        yield file


def _in_dataset(
    session: Session, holder: Target, top: RelPath, failures: list[DvcLikeError], *, recursive: bool
) -> Iterator[Listed]:
    try:
        item = inside(item_then(session, holder), top)
        if item is None:
            raise UsageError(f"{show(top)} is not in the dataset {show(holder.path)}", hint="Check the spelling.")
        if item.side is None:
            yield _listed(item, holder)
            return
        for entry in item.side.listing().values():
            below = item.side.item(entry)
            yield from _all(below, failures) if recursive else (_listed(below),)
    except DataMissing as error:
        failures.append(error)


def _listed(item: Item, target: Target | None = None) -> Listed:
    """Return an item as it is listed; the `target` that it is, or lies in, knows whether it was imported."""
    entry, source = item.entry, dict(target.meta.extra).get(KEY) if target is not None else None
    digest = "" if entry.kind == LINK else entry.value
    where = source if isinstance(source, dict) and target is not None and item.path == target.path else None
    return Listed(item.path, entry.kind, entry.size, entry.files, "dvc-like", digest, where)


def _all(item: Item, failures: list[DvcLikeError]) -> Iterator[Listed]:
    """Yield the files at or below an item, and folders that hold nothing."""
    if item.side is None or not item.entry.files:
        yield _listed(item)
        return
    try:
        for entry in item.side.listing().values():
            yield from _all(item.side.item(entry), failures)
    except DataMissing as error:
        failures.append(error)
        yield _listed(item)


def _outside(
    session: Session,
    targets: list[Target],
    files: Iterable[gits.File],
    top: RelPath,
    failures: list[DvcLikeError],
    *,
    recursive: bool,
) -> Iterator[Listed]:
    """Yield what lies in a folder that is no dataset."""
    ours = {target.path: (item_then(session, target), target) for target in targets}
    theirs = [Listed(RelPath(one.path), one.kind, one.size, 1, "git") for one in files]
    if recursive:
        yield from theirs
        for item, target in ours.values():
            yield from _all(item, failures) if item.side is not None else (_listed(item, target),)
        return
    start = len(top) + 1 if top else 0
    folders: dict[RelPath, list[Listed]] = {}
    for one in [*theirs, *(_listed(*one) for one in ours.values())]:
        inner, _, rest = one.path[start:].partition("/")
        if one.path == top or not rest:
            yield one
        else:
            folders.setdefault(RelPath(one.path[:start] + inner), []).append(one)
    for path, below in folders.items():
        whose = {one.tracked for one in below}
        size = sum(one.size or 0 for one in below)
        yield Listed(path, FOLDER, size, sum(one.files for one in below), whose.pop() if len(whose) == 1 else "")
