"""`get`: take a file or a folder out of a repository, this one or another, at any revision, and track nothing.

Owns where it is put and that it appears whole: everything is brought aside first, beside the place, and verified. What
a run that broke off brought stays there for the next one.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import shutil
import stat
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from .. import paths
from ..cache.place import Placer
from ..cache.store import Cache
from ..digest import Digest, of_bytes
from ..errors import DataMissing, DvcLikeError, PartialFailure, RemoteError, UnsafePath, UsageError, WouldOverwrite
from ..fsutil import TEMP_PREFIX, Dir, temp_name
from ..locks import is_same_file, lock
from ..meta.tree import EXECUTABLE, FOLDER, LINK, Entry
from ..paths import RelPath, join, show
from ..progress import SILENT, Progress, Task
from ..project import Project
from ._bring import There, bring
from ._clone import TIMEOUT
from ._elsewhere import elsewhere, is_folder, name_of, path_in
from ._session import Session, open_session
from ._trees import Measure, load_entry

_MADE = "made"  # the folder in which files are written before they get their names


class Got(NamedTuple):
    """What was put at `out` (absolute): the path in the repository, its commit (None: what is recorded there now), the
    digest, the size in bytes and the number of files.
    """

    path: RelPath
    out: str
    commit: str | None
    digest: str
    size: int
    files: int


def get(
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    rev: str | None = None,
    repo: Project | str | os.PathLike[str] | None = None,
    force: bool = False,
    remote: str | None = None,
    jobs: int | None = None,
    progress: Progress = SILENT,
) -> Got:
    """Put a file or a folder that a repository tracks (with dvc-like or with Git alone) at `out`; track nothing.

    `repo` is a project, a folder on this machine, or a URL that Git understands (default: the project here), `rev` any
    revision of it; without one, a folder's present meta files count, or the default branch of a URL. `path` is seen
    from the top of the repository. `out` (default: the same name here) may be a folder to put it into. With `force`
    files are replaced; in a folder that is there, files of other names stay. `remote` is one of that repository's.

    Raises `WouldOverwrite` when something is there, `UsageError` when the repository has no such path or revision,
    `DataMissing` when its bytes are nowhere.
    """
    here = repo if isinstance(repo, Project) else Project.find() if repo is None else None
    place = here.root if here is not None else os.fspath(repo)  # type: ignore[arg-type]  # it is no Project then
    inner = here.relative(path) if repo is None and here is not None else typed_path(path)
    with elsewhere(place, rev, path=inner, workspace=True, progress=progress) as (project, commit):
        there = There(project, commit, path_in(project, place, inner), name_of(place))
        target = _place_for(inner, out, force=force)
        with _brought(there, target, progress) as (session, aside, own):
            entry = bring(session, there, remote=remote, jobs=jobs)
            with (
                progress.task("writing") as task,
                Dir.open_root(os.path.dirname(target)) as folder,
                Dir.open_root(os.path.join(aside, _MADE)) as made,
            ):
                writing = _Writing(session.cache, entry, there.path, task, made, spend=own)
                writing.put(folder, os.path.basename(target), entry, there.path, force=force)
    return Got(there.path, target, commit, entry.value, entry.size, entry.files)


def typed_path(path: str | os.PathLike[str]) -> RelPath:
    """Return a path in a repository as somebody typed it; raise `UsageError` for its top and what is outside."""
    text = posixpath.normpath(os.fspath(path).replace(os.sep, "/"))
    if f"{text}/".startswith("../") or (text.startswith("/") and text.strip("/")):
        raise UsageError(f"{show(text)} leads out of the repository", hint="Name the path as seen from its top.")
    if text in (".", "/", ""):
        raise UsageError("name a file or a folder in the repository, not its top")
    return paths.parse(text)


def _place_for(path: RelPath, out: str | os.PathLike[str] | None, *, force: bool) -> str:
    name = path.rpartition("/")[2].removesuffix(".meta")
    text = os.fspath(out) if out is not None else name
    if out is not None and os.path.isdir(text):
        text = os.path.join(text, name)
    elif text.endswith(("/", os.sep)):
        raise UsageError(f"there is no folder {show(text)}", hint="Make it first, or leave out the slash at the end.")
    full = os.path.abspath(text)
    if os.path.lexists(full) and not force:
        _forget(full)
        raise _taken(full)
    if not is_folder(os.path.dirname(full)):
        raise UsageError(f"there is no folder {show(os.path.dirname(text))}", hint="Make it first.")
    return full


def _taken(full: str) -> WouldOverwrite:
    return WouldOverwrite(
        f"{show(full)} is there already; nothing was written", hint="Choose another place with -o, or use --force."
    )


@contextlib.contextmanager
def _brought(there: There, target: str, progress: Progress) -> Iterator[tuple[Session, str, bool]]:
    """Give a session whose cache gets what is brought, a folder beside the target, and whether the cache is in it.

    That of a project on this machine is used itself where it may be written to: nothing is copied twice then.
    """
    project = there.project
    aside = _aside(target)
    inner = os.path.join(aside, "cache")
    with contextlib.ExitStack() as stack:
        stack.enter_context(_alone(aside, progress))
        _clear(os.path.join(aside, _MADE))  # what a run that died was writing
        if os.path.isdir(project.cache_dir) and os.access(project.cache_dir, os.W_OK):
            session, own = stack.enter_context(open_session(project, progress, cache="shared")), False
        else:
            session, own = Session(project, progress, stack), True
            session.cache = stack.enter_context(Cache(inner, os.path.join(aside, "cache.sqlite")))
        os.mkdir(os.path.join(aside, _MADE))
        try:
            yield session, aside, own
        except (KeyboardInterrupt, RemoteError, PartialFailure):  # what came is kept for the next run
            if not any(os.path.isdir(os.path.join(inner, one)) for one in ("files", "partial", "new")):
                _clear(aside)
            raise
        except BaseException:
            _clear(aside)  # the next run would end the same way
            raise
        _clear(aside)


def _aside(target: str) -> str:
    """Return the folder beside a place in which all is made that goes there."""
    folder, name = os.path.split(target)
    return os.path.join(folder, f"{TEMP_PREFIX}get-{of_bytes('sha256', name.encode()).partition(':')[2][:16]}")


def _clear(folder: str) -> None:
    """Remove a folder as far as it goes: `ignore_errors` alone lets some through."""
    with contextlib.suppress(OSError):
        shutil.rmtree(folder, ignore_errors=True)


def _forget(target: str) -> None:
    """Remove what is aside of a place that is taken: a run that died put everything in it."""
    aside = _aside(target)
    with contextlib.suppress(OSError, DvcLikeError):
        if _is_own(os.lstat(aside)):
            with lock(os.path.join(aside, "lock"), timeout=0):
                _clear(aside)


def _is_own(status: os.stat_result) -> bool:
    """Tell whether a folder is one, and ours: in one that others write to, somebody may have been here first."""
    return stat.S_ISDIR(status.st_mode) and (not hasattr(os, "geteuid") or status.st_uid == os.geteuid())


@contextlib.contextmanager
def _alone(folder: str, progress: Progress) -> Iterator[None]:
    """Hold the lock in a folder that its last user removes."""
    path = os.path.join(folder, "lock")

    def tell(holder: str) -> None:
        progress.note(f"waiting for another dvc-like ({holder}) that gets the same ...")

    while True:
        with contextlib.suppress(FileExistsError):
            os.mkdir(folder, 0o700)
        try:
            status = os.lstat(folder)
        except FileNotFoundError:
            continue
        if not _is_own(status):
            raise UnsafePath(f"{show(folder)} is not ours; nothing is written there", hint="Remove it.")
        with contextlib.ExitStack() as stack:
            try:
                fd = stack.enter_context(lock(path, timeout=TIMEOUT, waiting=tell))
            except FileNotFoundError:
                continue  # it was removed in between
            if is_same_file(fd, path):
                yield
                return


class _Writing:
    """Writes entries out of a cache. With `spend` an object is deleted when its last file is in place."""

    def __init__(self, cache: Cache, entry: Entry, path: RelPath, task: Task, made: Dir, *, spend: bool) -> None:
        self._cache = cache
        self._made = made
        self._task = task
        self._spend = spend
        self._placer = Placer(cache)
        self._measure = Measure(cache, path, entry if entry.kind == FOLDER else None)
        self._uses: Counter[str] = Counter()
        if spend:
            self._count(entry, path, 0)
        task.expect(files=entry.files, size=entry.size)

    def _count(self, entry: Entry, path: RelPath, depth: int) -> None:
        if entry.kind == FOLDER:
            for one in self._listing(entry, path, depth):
                self._count(one, join(path, one.name), depth + 1)
        elif entry.kind != LINK:
            self._uses[entry.value] += 1

    def _listing(self, entry: Entry, path: RelPath, depth: int) -> list[Entry]:
        entries = load_entry(self._cache, entry, path, depth)
        self._measure.visit(entry, len(entries))
        return entries

    def put(self, here: Dir, name: str, entry: Entry, path: RelPath, depth: int = 0, *, force: bool) -> None:
        """Put an entry at a name; it appears whole. Only with `force` a file is replaced, and a folder filled."""
        try:
            there = "d" if stat.S_ISDIR(here.lstat(name).st_mode) else "f"
        except FileNotFoundError:
            there = ""
        if there == entry.kind == FOLDER and force:
            with here.sub(name) as below:
                for one in self._listing(entry, path, depth):
                    self.put(below, one.name, one, join(path, one.name), depth + 1, force=True)
            return
        temp = temp_name()
        self._make(self._made, temp, entry, path, depth)
        try:
            if there == "f" and force:
                here.unlink(name)
            self._made.rename_new(temp, name, into=here)
        except FileExistsError:
            raise _taken(f"{here.path}/{name}") from None

    def _make(self, here: Dir, name: str, entry: Entry, path: RelPath, depth: int) -> None:
        """Make an entry under a name that is free."""
        if entry.kind == FOLDER:
            here.mkdir(name)
            with here.sub(name) as below:
                for one in self._listing(entry, path, depth):
                    self._make(below, one.name, one, join(path, one.name), depth + 1)
            return
        if entry.kind == LINK:
            here.symlink(entry.value, name)
        else:
            digest = Digest(entry.value)
            placed = self._placer.place(here, name, digest, executable=entry.kind == EXECUTABLE, replace=False)
            if placed is None:
                raise DataMissing(f"the bytes of {show(path)} went away meanwhile", hint="Run the command again.")
            self._uses[entry.value] -= 1
            if self._spend and not self._uses[entry.value]:
                os.unlink(self._cache.path(digest))
        self._task.advance(files=1, size=entry.data_size)
