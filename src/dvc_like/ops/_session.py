"""What a verb works with while it runs: the locks, the index, the cache and the workspace's root.

Owns the order in which locks are taken (worktree, then cache) and what is opened when.
"""

from __future__ import annotations

import contextlib
import errno
import os
import time
from collections.abc import Iterator
from functools import cached_property

from ..cache.store import Cache
from ..cache.writer import Writer
from ..digest import HEX_LENGTH
from ..errors import DvcLikeError, LockHeld, UnsafePath
from ..fsutil import Dir
from ..locks import lock
from ..paths import show
from ..progress import SILENT, Progress, Task
from ..project import Project
from ..workspace.ignore import Ignore
from ..workspace.index import Index
from ..workspace.scan import RecordedNames, Scanner
from ._state import claim

_COARSE = 10_000_000  # nanoseconds: the kernel stamps files by a clock that stands still for so long


class Session:
    """Open state of one project. Made by `open_session` only."""

    def __init__(self, project: Project, progress: Progress, stack: contextlib.ExitStack, seed: int = 0) -> None:
        self.project = project
        self.seed = seed  # of the fingerprints: see `_state`
        self.progress = progress
        self.recorder: object | None = None  # of the command that runs: see `_journal`
        self._stack = stack

    @cached_property
    def root(self) -> Dir:
        """The project's root folder."""
        return self._stack.enter_context(Dir.open_root(self.project.root))

    @cached_property
    def _ahead(self) -> int:
        """By how many nanoseconds our clock is ahead of that of the file system, as where a server is behind."""
        with contextlib.suppress(OSError):
            before = time.time_ns()  # not after: a delay in between must not look like a server that is behind
            os.utime(self.project.tmp)
            return max(0, before - os.stat(self.project.tmp).st_ctime_ns - _COARSE)
        return 0

    def now_ns(self) -> int:
        """Return the time by the clock that stamps the workspace's files: only what is older can be trusted."""
        return time.time_ns() - self._ahead

    @cached_property
    def index(self) -> Index:
        """What the workspace looked like."""
        return self._stack.enter_context(Index(os.path.join(self.project.tmp, "index.sqlite"), self.seed))

    @cached_property
    def cache(self) -> Cache:
        """The objects on this machine."""
        return self._stack.enter_context(
            Cache(self.project.cache_dir, os.path.join(self.project.shared_tmp, "cache.sqlite"), self.seed)
        )

    @property
    def algorithms(self) -> tuple[str, ...]:
        """By what the cache may know a file: what new objects are named by, then what others of it are.

        A fingerprint proves nothing where others may write, so it counts only where the project chose it.
        """
        folder = os.path.join(self.project.cache_dir, "files")
        others = [name for name in HEX_LENGTH if name != "xxh128" and os.path.isdir(os.path.join(folder, name))]
        return tuple(dict.fromkeys((self.project.algorithm, *others)))

    @cached_property
    def ignore(self) -> Ignore:
        """What is left out of datasets."""
        return Ignore(self.root)

    def lent(self, project: Project) -> Session:
        """Return a session on another project whose objects come into the cache of this one."""
        other = Session(project, self.progress, self._stack, self.seed)
        other.cache = self.cache
        return other

    def scanner(self, recorded: RecordedNames | None, task: Task | None = None) -> Scanner:
        """Return a scanner whose clock starts now; it counts the files it sees on `task`.

        No rule concerns what is `recorded`; with None rules concern all there is.
        """
        prefix = f"{self.project.cache_dir}/"
        return Scanner(self.index, prefix, self.now_ns(), task, ignore=self.ignore, recorded=recorded)

    def writer(self) -> Writer:
        """Return a batch of objects on their way into the cache."""
        return Writer(self.cache, self.project.algorithm, reflink="reflink" in self.project.link_types)


@contextlib.contextmanager
def open_session(
    project: Project, progress: Progress = SILENT, *, worktree: bool = False, reading: bool = False, cache: str = ""
) -> Iterator[Session]:
    """Open a project's state.

    `worktree` takes the lock of verbs that change the workspace, `reading` keeps those out if it can without
    waiting; `cache` is ``shared`` for verbs that need its
    objects to stay, ``exclusive`` for gc.
    """
    seed = claim(project)
    cache_folder = os.path.join(project.shared_folder, "cache")
    if os.path.islink(cache_folder):
        raise UnsafePath(f"{show(cache_folder)} is a link; nothing is written through it", hint="Remove the link.")
    with contextlib.ExitStack() as stack:
        if worktree:
            stack.enter_context(_waiting_lock(project, progress, os.path.join(project.tmp, "lock"), shared=False))
        if cache:
            # In the cache itself, since several projects may share one.
            os.makedirs(project.cache_dir, exist_ok=True)
            path = os.path.join(project.cache_dir, "lock")
            stack.enter_context(_waiting_lock(project, progress, path, shared=cache == "shared"))
        session = Session(project, progress, stack, seed)
        if reading:
            session.index.frozen = not _may_refresh(project, stack)
            session.ignore.tell = progress.note
        yield session


def _may_refresh(project: Project, stack: contextlib.ExitStack) -> bool:
    """Tell whether a verb that only reads may refresh the index: not while another one changes the workspace."""
    try:
        stack.enter_context(lock(os.path.join(project.tmp, "lock"), shared=True, timeout=0))
    except (LockHeld, OSError):
        return False
    return True


def _waiting_lock(
    project: Project, progress: Progress, path: str, *, shared: bool
) -> contextlib.AbstractContextManager[int]:
    def tell(holder: str) -> None:
        progress.note(f"waiting for another dvc-like{f' ({holder})' if holder else ''} to finish ...")

    def unknown() -> None:
        progress.note(f"{show(path)}: this file system knows no locks; run one dvc-like at a time here")

    return lock(path, shared=shared, timeout=project.lock_timeout, waiting=tell, unknown=unknown)


def explained(error: DvcLikeError | OSError, hint: str) -> DvcLikeError:
    """Return what one target failed by; a full or failing disk ends everything instead."""
    if isinstance(error, DvcLikeError):
        return error
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE):
        raise error
    return DvcLikeError(f"{show(str(error.filename or ''))}: {error.strerror}", hint=hint)
