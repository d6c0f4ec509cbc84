"""One version of a repository, read by path: what there is, and its bytes, from the workspace, the cache or a remote.

Owns the way from a path to an entry (links inside a dataset are followed, what Git tracks is found too), and where the
bytes are looked for, the nearest place first. Nothing of the workspace is changed; what came from a remote is kept in
the cache unless that is not wanted. A reader may be used by several threads, and by the children of its process.
"""

from __future__ import annotations

import contextlib
import io
import os
import posixpath
import stat
import threading
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .. import git as gits
from .. import paths
from ..digest import Digest, file_ident
from ..errors import DataMissing, DvcLikeError, UsageError, gathered
from ..fsutil import READ_USER, signature
from ..meta.tree import FOLDER, LINK
from ..paths import RelPath, is_below, parent, show
from ..progress import SILENT, Progress
from ..project import Project
from ._closure import Need
from ._objects import Listings, Objects
from ._opened import HeldFile, LocalFile
from ._sides import Item, Past, inside
from ._tracked import Target, commit_of, enclosing, targets_at, walk
from ._trees import root_entry

_MAX_LINKS = 40  # in a row, as the kernel has it


class Listed(NamedTuple):
    """One name. `kind` is ``f`` file, ``x`` executable file, ``l`` link or ``d`` folder; `size` and `files` are of all
    below. `tracked` is ``dvc-like``, ``git``, or empty for a folder that both, or several targets, lie in; `digest` is
    empty where Git has the bytes. `remote` is the one that the target names, empty for the default one.
    """

    path: RelPath
    kind: str
    size: int | None
    files: int
    tracked: str
    digest: str = ""
    remote: str = ""


class Reader:
    """Reads the version of a commit, of the workspace's meta files (None), or one made up of some `targets`.

    A context manager. Without `keep` nothing is put into the cache, without `fetch` no remote is asked for listings,
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

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

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
        is_folder = bool(found) or next(self._below(path, self._failures), None) is not None
        return Listed(path, FOLDER, None, 0, "") if is_folder else None

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
        if not found and path and not wrong and (holder is None or not holder.meta.is_folder):
            raise UsageError(f"{show(path)} is tracked neither by dvc-like nor by Git", hint="Check the spelling.")
        if failures is not None:
            failures += wrong
        elif wrong:
            raise gathered(wrong)
        return sorted(found)

    def _all_targets(self) -> dict[RelPath, Target | None] | None:
        if self._targets is None and self.commit is not None:
            failures: list[DvcLikeError] = []
            self._targets = targets_at(self.project, self.commit, failures)
            self._failures = failures
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
        failures += [error for error in self._failures if failures is not self._failures]
        yield from (target for target in known.values() if target is not None and is_below(target.path, path))

    def _git_files(self, path: RelPath) -> Iterator[gits.File]:
        if self._git is None:
            return
        for file in gits.listing(self._git, self.commit, path):
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
        files: Iterable[gits.File],
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

    # ---------------------------------------------------------------- bytes

    def open(self, one: Listed, *, verify: bool = True) -> io.BufferedReader:
        """Open a file that `find` or `listing` gave. All bytes are verified before any is handed out.

        Without `verify` an object of more than `WHOLE_UP_TO` bytes that is not on this machine is read from the remote
        in parts, which are not; the attribute `verified` of its `raw` says so. Raises `DataMissing`, `CorruptData`, or
        what the remote raises.
        """
        return io.BufferedReader(self.raw(one, verify=verify))

    def read(self, one: Listed) -> bytes:
        """Return all bytes of a file; raises as `open` does."""
        with self.open(one) as file:
            return file.read()

    def bring(self, some: Iterable[Listed]) -> None:
        """Bring files into the cache before they are opened, few requests for many; raises as `open` does."""
        by_remote: dict[str, dict[str, Need]] = {}
        for one in some:
            if one.kind not in (FOLDER, LINK) and one.digest:
                by_remote.setdefault(one.remote, {})[one.digest] = _need(one)
        cache = self._objects.cache
        for remote, needs in by_remote.items():
            missing = [need for need in needs.values() if not cache.is_sound(need.digest)]
            if missing and self._keep:
                self._objects.bring(missing, remote)

    def raw(self, one: Listed, *, verify: bool = True) -> io.RawIOBase:
        """Open a file as `open` does, without a buffer."""
        if one.kind in (FOLDER, LINK):
            what = "folder" if one.kind == FOLDER else "link that Git tracks"
            raise UsageError(f"{show(one.path)} is a {what}, which cannot be read as a file")
        if not one.digest:
            return self._of_git(one)
        objects, need = self._objects, _need(one)
        found = objects.cached(need.digest, one.path) or self._in_workspace(one)
        return found or objects.open(need, one.remote, verify=verify)

    def _of_git(self, one: Listed) -> io.RawIOBase:
        """Open a file that Git tracks: as it is in the commit, or as it is now."""
        git = self._git
        assert git is not None
        if self.commit is not None:
            place = "/".join(part for part in (git.prefix, one.path) if part)
            return HeldFile(io.BytesIO(git.run("cat-file", "blob", f"{self.commit}:{place}")))
        opened = self._open_here(one.path)
        if opened is None:
            raise DataMissing(f"{show(one.path)} is not in the workspace", hint="`git checkout` brings it back.")
        return io.FileIO(opened[0])

    def _in_workspace(self, one: Listed) -> LocalFile | None:
        """Open a file of the workspace that is what was recorded, as `status` would tell without reading it."""
        objects = self._objects
        with objects.mutex:
            rows = [objects.index.get(path) for path in (one.path, parent(one.path))]
        name = one.path.rpartition("/")[2]
        for row in rows:
            if row is None or name not in row.names:
                continue
            at = row.names.index(name)
            opened = self._open_here(one.path) if row.values[at] == one.digest else None
            if opened is not None:
                if row.signature(at) == signature(opened[1]):
                    return LocalFile(*opened, Digest(one.digest), one.path)
                os.close(opened[0])
        return None

    def _open_here(self, path: RelPath) -> tuple[int, os.stat_result] | None:
        try:
            with self._objects.root.descend(parent(path)) as folder:
                fd = folder.open(path.rpartition("/")[2], READ_USER)
        except (OSError, DvcLikeError):
            return None
        status = os.fstat(fd)
        if stat.S_ISREG(status.st_mode):
            return fd, status
        os.close(fd)
        return None


def _need(one: Listed) -> Need:
    digest = Digest(one.digest)
    return Need(digest, file_ident(digest), one.size or 0, one.path)


def _listed(item: Item, target: Target) -> Listed:
    entry = item.entry
    value = "" if entry.kind == LINK else entry.value
    return Listed(item.path, entry.kind, entry.size, entry.files, "dvc-like", value, target.meta.remote or "")


def project_of(repo: Project | str | os.PathLike[str] | None, rev: str | None) -> tuple[Project, str | None]:
    """Return the project that is meant and the commit of a revision; see `open_reader`."""
    project = repo if isinstance(repo, Project) else Project.find(repo)
    return project, commit_of(project, rev) if rev is not None else None


@contextlib.contextmanager
def open_reader(
    repo: Project | str | os.PathLike[str] | None = None,
    rev: str | None = None,
    *,
    keep: bool = True,
    fetch: bool = True,
    progress: Progress = SILENT,
) -> Iterator[Reader]:
    """Open a version of a repository: a project, or a folder in one (None: the current folder).

    `rev` is any revision of Git; None is what the workspace's meta files say.
    """
    project, commit = project_of(repo, rev)
    with Reader(project, commit, keep=keep, fetch=fetch, progress=progress) as reader:
        yield reader


def path_in(project: Project, path: str | os.PathLike[str], *, from_root: bool) -> RelPath:
    """Return a path as the project has it: seen from the current folder, or (`from_root`) from the project's root.

    Raises `UsageError` outside the project, `UnsafePath` for a bad name.
    """
    text = os.fspath(path)
    return project.relative(os.path.join(project.root, text) if from_root else text)
