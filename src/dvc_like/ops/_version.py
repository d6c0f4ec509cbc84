"""One version of a repository by path: what there is in it, in datasets and in Git.

Owns the way from a path to an entry; links inside a dataset are followed. Listings come from the cache or a remote. How
bytes are read is in `_reader`.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import threading
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from .. import git_log, paths
from ..errors import DataMissing, DvcLikeError, UsageError, gathered
from ..meta.tree import FOLDER, LINK
from ..paths import RelPath, is_below, parent, show
from ..progress import SILENT, Progress
from ..project import Project
from ._objects import Listings, Objects
from ._sides import Item, Past, inside
from ._sources import KEY
from ._tracked import Target, enclosing, targets_at, walk
from ._trees import root_entry

_MAX_LINKS = 40  # in a row, as the kernel has it


class Listed(NamedTuple):
    """One name. `kind` is ``f`` file, ``x`` executable file, ``l`` link or ``d`` folder; `size` and `files` are of all
    below. `tracked` is ``dvc-like``, ``git``, or empty for a folder that both, or several targets, lie in; `digest` is
    empty where Git has the bytes. `source` is that of an import, as its meta file has it; `remote` is the one that the
    target names, empty for the default one.
    """

    path: RelPath
    kind: str
    size: int | None
    files: int
    tracked: str
    digest: str = ""
    source: dict[str, Any] | None = None
    remote: str = ""


class Version:
    """What a commit has, what the workspace's meta files say (None), or one made up of some `targets`.

    Without `keep` nothing is put into the cache, without `fetch` no remote is asked for listings,
    without `git` what Git tracks is not seen.
    """

    def __init__(
        self,
        project: Project,
        commit: str | None = None,
        *,
        targets: dict[RelPath, Target | None] | None = None,
        keep: bool = True,
        fetch: bool = True,
        git: bool = True,
        progress: Progress = SILENT,
    ) -> None:
        self.project = project
        self.commit = commit
        self._git = project.git if git and targets is None else None
        self._targets = targets
        self._failures: list[DvcLikeError] = []
        self._keep, self._fetch, self._progress = keep, fetch, progress
        self._mutexes: dict[int, threading.Lock] = {}
        self._opened: dict[int, Objects] = {}

    def close(self) -> None:
        """Give back what is open; it is opened again when something is read."""
        opened = self._opened.pop(os.getpid(), None)
        if opened is not None:
            opened.close()

    @property
    def _objects(self) -> Objects:
        """What is open in this process: a child uses no connection, lock or database of its parent."""
        process = os.getpid()
        with self._mutexes.setdefault(process, threading.Lock()):
            if process not in self._opened:
                self._opened[process] = Objects(self.project, keep=self._keep, progress=self._progress)
            return self._opened[process]

    # ---------------------------------------------------------------- what there is

    def find(self, path: RelPath) -> Listed | None:
        """Return what lies at a path (empty: the root), None when nothing that is tracked does.

        Raises `BadMeta` and the like when that cannot be told.
        """
        holder = self._holder(path)
        if holder is not None:
            item = self._followed(holder, path)
            return None if item is None else _listed(item, holder)
        if not path:
            return Listed(path, FOLDER, None, 0, "")
        found = [Listed(RelPath(one.path), one.kind, one.size, 1, "git") for one in self._git_files(path)]
        if found and found[0].path == path:
            return found[0]
        wrong: list[DvcLikeError] = []
        if found or next(self._below(path, wrong), None) is not None:
            return Listed(path, FOLDER, None, 0, "")
        if self._all_targets() is None and wrong:
            raise gathered(wrong)
        return None

    def listing(
        self,
        path: RelPath,
        *,
        recursive: bool = False,
        dvc_only: bool = False,
        failures: list[DvcLikeError] | None = None,
    ) -> list[Listed]:
        """Return what is tracked in a folder, or the one path; `recursive`: all files below, and empty folders.

        What cannot be read is added to `failures`; when that is None it is raised at the end.
        """
        wrong: list[DvcLikeError] = []
        holder = self._holder(path)
        if holder is not None:
            found = list(self._in_dataset(holder, path, wrong, recursive=recursive))
        else:
            below = list(self._below(path, wrong))
            files = () if dvc_only else self._git_files(path)
            found = list(self._outside(below, files, path, wrong, recursive=recursive))
        empty = (holder is not None and holder.meta.is_folder) or self._is_folder_here(path)
        if not found and path and not wrong and not empty:
            raise UsageError(f"{show(path)} is tracked neither by dvc-like nor by Git", hint="Check the spelling.")
        if failures is not None:
            failures += wrong
        elif wrong:
            raise gathered(wrong)
        return sorted(found)

    def _is_folder_here(self, path: RelPath) -> bool:
        """Tell whether it is a folder of the workspace, be it one that holds nothing tracked."""
        return self.commit is None and os.path.isdir(os.path.join(self.project.root, path))

    def _all_targets(self) -> dict[RelPath, Target | None] | None:
        if self._targets is None and self.commit is not None:
            failures: list[DvcLikeError] = []
            found = targets_at(self.project, self.commit, failures)
            self._failures, self._targets = failures, found
        return self._targets

    def _holder(self, path: RelPath) -> Target | None:
        """Return the target that is the path or holds it; the outermost, as in the workspace."""
        known = self._all_targets()
        if known is None:
            return enclosing(self._objects.root, path)
        parts = path.split("/")
        for here in (RelPath("/".join(parts[:end])) for end in range(1, len(parts) + 1)):
            target = known.get(here)
            if target is not None and (here == path or target.meta.is_folder):
                return target
            if here in known and target is None:
                raise gathered(list(self._failures))
        return None

    def _below(self, path: RelPath, failures: list[DvcLikeError]) -> Iterator[Target]:
        known = self._all_targets()
        if known is None:
            yield from walk(self._objects.root, path, failures)
            return
        failures += self._failures
        yield from (target for target in known.values() if target is not None and is_below(target.path, path))

    def _git_files(self, path: RelPath) -> Iterator[git_log.File]:
        if self._git is None:
            return
        for file in git_log.listing(self._git, self.commit, path):
            if self.commit is None:
                with contextlib.suppress(OSError):  # Git tracks it, and it was deleted
                    file = file._replace(size=os.lstat(os.path.join(self.project.root, file.path)).st_size)
            yield file

    # ---------------------------------------------------------------- in a dataset

    def _root(self, target: Target) -> Item:
        entry = root_entry(target.path, target.meta)
        if entry.kind != FOLDER:
            return Item(target.path, entry)
        objects = self._objects
        trees = Listings(objects, target.meta.remote or "") if self._fetch else objects.cache
        return Item(target.path, entry, Past(trees, target.path, entry))

    def _followed(self, holder: Target, path: RelPath) -> Item | None:
        """Return what lies at a path of a dataset; where a link does, what it leads to."""
        for _ in range(_MAX_LINKS):
            item: Item | None = self._root(holder)
            while item is not None and item.path != path and item.side is not None:
                entry = item.side.entry(path[len(item.path) + 1 :].partition("/")[0])
                item = item.side.item(entry) if entry is not None else None
            if item is None or item.entry.kind != LINK:
                return item if item is not None and item.path == path else None
            target = posixpath.join(parent(item.path), item.entry.value) + path[len(item.path) :]
            path = paths.parse(posixpath.normpath(target))
            if not is_below(path, holder.path):
                return None
        raise UsageError(f"{show(path)}: too many links lead to each other")

    def _in_dataset(
        self, holder: Target, top: RelPath, failures: list[DvcLikeError], *, recursive: bool
    ) -> Iterator[Listed]:
        try:
            item = inside(self._root(holder), top)
            if item is None:
                raise UsageError(f"{show(top)} is not in the dataset {show(holder.path)}", hint="Check the spelling.")
            if item.side is None:
                yield _listed(item, holder)
            elif recursive:
                yield from self._all(item, holder, failures)
            else:
                yield from (_listed(item.side.item(entry), holder) for entry in item.side.listing().values())
        except DataMissing as error:
            failures.append(error)

    def _all(self, top: Item, holder: Target, failures: list[DvcLikeError]) -> Iterator[Listed]:
        """Yield the files at or below an item, and folders that hold nothing; level by level, so few are asked for."""
        level = [top]
        while level:
            folders = [item for item in level if item.side is not None and item.entry.files]
            if self._fetch and folders:
                trees = [item.entry.digest for item in folders]
                self._objects.load_trees(trees, holder.meta.remote or "")
            level, last = [], level
            for item in last:
                if item.side is None or not item.entry.files:
                    if item is not top or item.side is None:
                        yield _listed(item, holder)
                    continue
                try:
                    level += [item.side.item(entry) for entry in item.side.listing().values()]
                except DataMissing as error:
                    failures.append(error)
                    yield _listed(item, holder)

    def _outside(
        self,
        targets: list[Target],
        files: Iterable[git_log.File],
        top: RelPath,
        failures: list[DvcLikeError],
        *,
        recursive: bool,
    ) -> Iterator[Listed]:
        """Yield what lies in a folder that is no dataset."""
        theirs = [Listed(RelPath(one.path), one.kind, one.size, 1, "git") for one in files]
        if recursive:
            yield from theirs
            for target in targets:
                yield from self._all(self._root(target), target, failures)
            return
        start = len(top) + 1 if top else 0
        folders: dict[RelPath, list[Listed]] = {}
        for one in [*theirs, *(_listed(Item(target.path, root_entry(*target)), target) for target in targets)]:
            inner, _, rest = one.path[start:].partition("/")
            if one.path == top or not rest:
                yield one
            else:
                folders.setdefault(RelPath(one.path[:start] + inner), []).append(one)
        for path, below in folders.items():
            whose = {one.tracked for one in below}
            size = sum(one.size or 0 for one in below)
            yield Listed(path, FOLDER, size, sum(one.files for one in below), whose.pop() if len(whose) == 1 else "")


def _listed(item: Item, target: Target) -> Listed:
    """Return an item as it is listed; the target that it is, or lies in, knows whether it was imported."""
    entry, path, source = item.entry, item.path, dict(target.meta.extra).get(KEY)
    value = "" if entry.kind == LINK else entry.value
    where = source if isinstance(source, dict) and path == target.path else None
    return Listed(path, entry.kind, entry.size, entry.files, "dvc-like", value, where, target.meta.remote or "")
