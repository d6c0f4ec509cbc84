"""`diff`: what differs between two revisions, or between one and the workspace.

Owns which targets are compared with which, and reading the files whose content is compared.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

from .. import paths
from ..digest import Digest
from ..errors import DataMissing, DvcLikeError, UsageError, gathered
from ..fsutil import READ_USER, read_all
from ..meta.tree import LINK
from ..paths import RelPath, show
from ..progress import SILENT, Progress
from ..project import Project
from ._compare import MODIFIED, Comparison, Difference
from ._content import MAX_TEXT, compare
from ._session import Session, open_session
from ._sides import Item
from ._tracked import Target, commit_of, narrow, read_target, targets_at, walk

MAX_COMPARED = 500  # files of which the content is compared


class Diff(NamedTuple):
    """All that differs between commit `a` (None: nothing, since there is no commit yet) and `b` (None: the workspace).

    `missing` names what could not be compared, since it is not in the cache.
    """

    a: str | None
    b: str | None
    differences: tuple[Difference, ...]
    missing: tuple[RelPath, ...] = ()


def diff(
    project: Project,
    a: str | None = None,
    b: str | None = None,
    targets: tuple[str, ...] = (),
    *,
    content: bool = False,
    allow_missing: bool = False,
    failures: list[DvcLikeError] | None = None,
    progress: Progress = SILENT,
) -> Diff:
    """Compare revision `a` (default: HEAD) with revision `b` (default: the workspace, as `add` would record it).

    `targets` narrow it to some paths. With `content` files that changed are compared inside. Unless `allow_missing`,
    it is a failure (`DataMissing`) when a listing or content that is needed is not in the cache.

    What cannot be read is added to `failures`; when that is None it is raised once all has been looked at.
    """
    wrong: list[DvcLikeError] = [] if failures is None else failures
    with open_session(project, progress, reading=True) as session, progress.task("comparing") as task:
        first = commit_of(project, a)
        second = commit_of(project, b) if b is not None else None
        old = targets_at(project, first, wrong) if first is not None else {}
        new = targets_at(project, second, wrong) if second is not None else _targets_now(session, old, wrong)
        work = Comparison(session, task, now=second is None)
        for path, below in _chosen(project, old, new, targets, wrong):
            try:
                if all(side.get(path, True) for side in (old, new)):  # else it is known already that one is unreadable
                    work.target(old.get(path), new.get(path), below)
            except DvcLikeError as error:
                wrong.append(error)
        found = work.finish()
        wrong += work.failures
        if content:
            found = _with_content(session, found, work)
    if work.missing and not allow_missing:
        wrong.append(_missing_error(work.missing, a if first is not None else None, b))
    if wrong and failures is None:
        raise gathered(wrong)
    return Diff(first, second, tuple(found), tuple(sorted(work.missing)))


def _targets_now(
    session: Session, old: dict[RelPath, Target | None], failures: list[DvcLikeError]
) -> dict[RelPath, Target | None]:
    """Return the targets of the workspace by path; None: it is one of the `old` and cannot be read."""
    new: dict[RelPath, Target | None] = {one.path: one for one in walk(session.root, failures=failures)}
    for path in old.keys() - new.keys():
        try:
            read_target(session.root, path)
        except DvcLikeError:
            new[path] = None
    return new


def _chosen(
    project: Project,
    old: dict[RelPath, Target | None],
    new: dict[RelPath, Target | None],
    named: tuple[str, ...],
    failures: list[DvcLikeError],
) -> Iterable[tuple[RelPath, list[RelPath]]]:
    """Yield every target of either side with the paths of it that are asked for."""
    asked = {project.relative(text): text for text in named}
    met: set[RelPath] = set()
    found = []
    for path in sorted({*old, *new}):
        below: set[RelPath] = set()
        for target in filter(None, (old.get(path), new.get(path))):
            for name in asked:
                hits = {wanted.inside for wanted in narrow(target, (name,))}
                below |= hits
                met.update([name] if hits else ())
        if below or not asked:
            found.append((path, [path] if path in below or not asked else sorted(below)))
    for name in asked.keys() - met:
        failures.append(
            UsageError(
                f"{show(asked[name])} is tracked on neither side, and nothing below it is",
                hint="Check the spelling; `dvc-like status -v` lists what is tracked.",
            )
        )
    return found


def _missing_error(missing: set[RelPath], a: str | None, b: str | None) -> DataMissing:
    revisions = "".join(f" --rev {show(one)}" for one in (a or "HEAD", b) if one is not None)
    return DataMissing(
        f"{len(missing)} path{'s' if len(missing) > 1 else ''} could not be compared: not in the cache",
        hint=f"`dvc-like fetch{revisions}` brings what is needed.",
        details=tuple(show(path) for path in sorted(missing)),
    )


# ------------------------------------------------------------------------------ content


def _with_content(session: Session, found: list[Difference], work: Comparison) -> list[Difference]:
    """Compare the files that changed inside, as many as that is bearable for."""
    left = MAX_COMPARED
    done = []
    for one in found:
        if one.state == MODIFIED and one.path in work.items and left:
            left -= 1
            old, new = work.items[one.path]
            if LINK in (old.entry.kind, new.entry.kind) or old.entry.value == new.entry.value:
                done.append(one)
                continue
            first, second = _head(session, old), _head(session, new)
            if first is None or second is None:
                work.missing.add(one.path)
                done.append(one)
                continue
            alike = compare(one.path.rpartition("/")[2], first, second)
            done.append(one._replace(content=alike))
        else:
            done.append(one)
    return done


def _head(session: Session, item: Item) -> bytes | None:
    """Return what a file begins with, a byte more than is compared; None when it is not here."""
    if item.here:
        try:
            with session.root.descend(paths.parent(item.path)) as folder:
                fd = folder.open(item.path.rpartition("/")[2], READ_USER)
        except OSError:
            fd = -1  # a link into the cache, perhaps
        if fd >= 0:
            return _read(fd)
    opened = session.cache.open(Digest(item.entry.value)) if item.entry.value else None
    return _read(opened[0]) if opened is not None else None


def _read(fd: int) -> bytes:
    try:
        return read_all(fd, 0)[: MAX_TEXT + 1] if os.fstat(fd).st_size <= MAX_TEXT else os.read(fd, MAX_TEXT + 1)
    finally:
        os.close(fd)
