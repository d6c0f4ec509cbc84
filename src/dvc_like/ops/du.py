"""`du`: how much tracked folders hold, told by their listings alone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..errors import DataMissing, DvcLikeError, UsageError, gathered
from ..meta.tree import FOLDER
from ..paths import RelPath, is_below, show
from ..progress import SILENT, Progress
from ..project import Project
from ._session import Session, open_session
from ._sides import Item, hinted, inside, item_then
from ._tracked import Wanted, select_at


class Usage(NamedTuple):
    """One path: bytes and number of the files at or below it, present or not. `depth` counts from what was asked for.

    Equal files count each time: it is what they take in the workspace, not in the cache.
    """

    path: RelPath
    size: int
    files: int
    is_folder: bool
    depth: int


def du(
    project: Project,
    targets: tuple[str, ...] = (),
    *,
    rev: str | None = None,
    max_depth: int | None = None,
    failures: list[DvcLikeError] | None = None,
    progress: Progress = SILENT,
) -> list[Usage]:
    """Return the sizes of targets (default: all) and of the folders in them, what is in a folder before it.

    A folder that holds targets is the sum of them. `rev` is a revision instead of the workspace's meta files; folders
    more than `max_depth` levels below what was asked for are not told on their own. What cannot be read is added to
    `failures`; when that is None it is raised once all has been looked at.
    """
    wrong: list[DvcLikeError] = [] if failures is None else failures
    found: list[Usage] = []
    with open_session(project, progress, reading=True) as session:
        for text in targets or (None,):
            wanted = select_at(project, session.root, (text,) if text is not None else (), rev, wrong)
            top = project.relative(text) if text is not None else None
            found += _one(session, wanted, top, max_depth, wrong)
    wrong[:] = [hinted(error, rev) for error in wrong]
    if wrong and failures is None:
        raise gathered(wrong)
    return found


def _one(
    session: Session,
    wanted: list[Wanted],
    top: RelPath | None,
    max_depth: int | None,
    failures: list[DvcLikeError],
) -> Iterator[Usage]:
    size = files = 0
    holds = top is not None and any(not is_below(top, one.target.path) for one in wanted)  # a folder of targets
    holds = holds and not any(one.target.meta_path == top for one in wanted)
    for one in wanted:
        depth = one.target.path[len(top) :].strip("/").count("/") + 1 if holds and top is not None else 0
        try:
            item = inside(item_then(session, one.target), one.inside)
            if item is None:
                raise UsageError(f"{show(one.inside)} is not in its dataset", hint="Check the spelling.")
            size, files = size + item.entry.data_size, files + item.entry.files
            yield from _below(item, depth, max_depth, failures)
        except DvcLikeError as error:
            failures.append(error)
    if holds and top is not None:
        yield Usage(top, size, files, True, 0)


def _below(item: Item, depth: int, max_depth: int | None, failures: list[DvcLikeError]) -> Iterator[Usage]:
    if max_depth is not None and depth > max_depth:
        return
    if item.side is not None and (max_depth is None or depth < max_depth):
        try:
            entries = item.side.listing()
        except DataMissing as error:
            failures.append(error)  # its own size is known all the same
            entries = {}
        for entry in entries.values():
            if entry.kind == FOLDER:
                yield from _below(item.side.item(entry), depth + 1, max_depth, failures)
    yield Usage(item.path, item.entry.data_size, item.entry.files, item.is_folder, depth)
