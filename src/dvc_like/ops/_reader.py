"""The files of one version of a repository, opened: from the workspace, the cache or a remote.

Owns where bytes are looked for, the nearest place first. Nothing of the workspace is changed; what came from a remote
is kept in the cache unless that is not wanted. Several threads may use a reader, and so may children of its process.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Iterable, Iterator

from .. import git_log
from ..digest import Digest, file_ident
from ..errors import DataMissing, DvcLikeError, UsageError
from ..fsutil import READ_USER, signature
from ..meta.tree import FOLDER, LINK
from ..paths import RelPath, parent, show
from ..progress import SILENT, Progress
from ..project import Project
from ._closure import Need
from ._elsewhere import elsewhere
from ._opened import HeldFile, LocalFile, Shared
from ._sources import check_place, folder_of, is_local
from ._tracked import commit_of
from ._version import Listed, Version

BUFFER = 128 << 10  # bytes; Python's own buffer would look 16 times as often whether a file changed


class Reader(Version):
    """A version whose files can be read; a context manager."""

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def open(self, one: Listed, *, verify: bool = True) -> io.BufferedReader:
        """Open a file that `find` or `listing` gave. All bytes are verified before any is handed out.

        Without `verify` an object of more than `WHOLE_UP_TO` bytes that is not on this machine is read from the remote
        in parts, which are not; the attribute `verified` of its `raw` says so. Raises `DataMissing`, `CorruptData`, or
        what the remote raises.
        """
        return io.BufferedReader(self.raw(one, verify=verify), BUFFER)

    def read(self, one: Listed) -> bytes:
        """Return all bytes of a file; raises as `open` does."""
        with self.open(one) as file:
            return file.read()

    def read_many(self, some: Iterable[Listed]) -> Iterator[tuple[Listed, bytes | DvcLikeError]]:
        """Yield files with their bytes, or with why they cannot be had; few requests bring many small ones."""
        listed = list(some)
        held = self.bring(listed)
        for one in listed:
            try:
                found = held.get(one.digest)
                yield one, found.read(0, one.size or 0) if found is not None else self.read(one)
            except DvcLikeError as error:
                yield one, error

    def bring(self, some: Iterable[Listed]) -> dict[str, Shared]:
        """Bring files before they are opened; return by digest those that are not kept.

        What cannot be had is not told: who opens it hears it.
        """
        by_remote: dict[str, dict[str, Need]] = {}
        for one in some:
            if one.kind not in (FOLDER, LINK) and one.digest:
                by_remote.setdefault(one.remote, {})[one.digest] = _need(one)
        objects, held = self._objects, dict[str, Shared]()
        for remote, needs in by_remote.items():
            missing = [need for need in needs.values() if not objects.cache.is_sound(need.digest)]
            with contextlib.suppress(DvcLikeError):
                held.update(objects.bring(missing, remote)[0] if missing else {})
        return held

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
            blobs = [(file.object, file.path) for file in git_log.listing(git, self.commit, one.path)]
            ((_, data),) = git.contents(blobs)  # of a repository elsewhere it is brought now
            return HeldFile(Shared(io.BytesIO(data)), len(data))
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


#: A project, a folder in one, the URL of a repository of Git, or None: the project of the current folder.
Repo = Project | str | os.PathLike[str] | None


def project_of(repo: Repo, rev: str | None, progress: Progress = SILENT) -> tuple[Project, str | None]:
    """Return the project that is meant, and the commit of a revision: None for what the workspace's meta files say.

    Of a URL a revision of None is the default branch.
    """
    if isinstance(repo, Project):
        return repo, commit_of(repo, rev) if rev is not None else None
    place = os.fspath(repo) if repo is not None else "."
    check_place(place)
    if is_local(place):
        return project_of(Project.find(folder_of(None, place)), rev)
    with elsewhere(place, rev, progress=progress) as found:
        return found


@contextlib.contextmanager
def open_reader(
    repo: Repo = None, rev: str | None = None, *, keep: bool = True, fetch: bool = True, progress: Progress = SILENT
) -> Iterator[Reader]:
    """Open a version of a repository; see `project_of`."""
    project, commit = project_of(repo, rev, progress)
    with Reader(project, commit, keep=keep, fetch=fetch, progress=progress) as reader:
        yield reader


def path_in(project: Project, path: str | os.PathLike[str], *, from_root: bool) -> RelPath:
    """Return a path as the project has it: seen from the current folder, or (`from_root`) from the project's root.

    Raises `UsageError` outside the project, `UnsafePath` for a bad name.
    """
    text = os.fspath(path)
    return project.relative(os.path.join(project.root, text) if from_root else text)
