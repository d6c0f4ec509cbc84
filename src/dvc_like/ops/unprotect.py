"""`unprotect`: make files that share their bytes with the cache private and writable.

Owns what counts as such a file, and that its bytes stay what they are in the workspace now, edited or not.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from .. import paths
from ..cache.place import same_bytes
from ..digest import Digest
from ..errors import DataMissing, DvcLikeError, UsageError, gathered, named
from ..fsutil import CREATE, NO_SIGNATURE, READ_USER, Dir, clone, copy_bytes, signature, temp_name
from ..meta.tree import LINK
from ..paths import RelPath, is_below, join, show
from ..progress import SILENT, Progress
from ..project import Project
from ..workspace.index import Present, Row
from ..workspace.scan import Folder
from ._apply import without_racy
from ._guard import Guard, read_known
from ._look import look, refuse_unknown
from ._session import Session, explained, open_session
from ._tracked import Wanted, select


class Unprotected(NamedTuple):
    """The files that were links into the cache and are private copies now."""

    copied: tuple[RelPath, ...]


def unprotect(
    project: Project,
    targets: Sequence[str | os.PathLike[str]] | str | os.PathLike[str],
    *,
    progress: Progress = SILENT,
) -> Unprotected:
    """Put private, writable copies (clones where the file system can) in the place of links into the cache.

    Files that are private already are not touched. Raises `DataMissing` at the end for links whose object is missing
    or damaged: those stay as they are.
    """
    if isinstance(targets, str | os.PathLike):
        targets = [targets]
    if not targets:
        raise UsageError("nothing to unprotect: name at least one target")
    with open_session(project, progress, worktree=True, cache="shared") as session:
        failures: list[DvcLikeError] = []
        work = _Work(session)
        try:
            for wanted in select(project, session.root, tuple(os.fspath(one) for one in targets), failures):
                try:
                    work.target(wanted)
                except (DvcLikeError, OSError) as error:
                    failures.append(explained(error, "What was done is whole; run it again."))
        finally:
            work.settle()
    if work.missing:
        failures.append(
            DataMissing(
                f"{len(work.missing)} link(s) lead to objects that are missing or damaged; they were left as they are",
                hint="`dvc-like fetch` brings them from the remote.",
                details=tuple(show(path) for path in work.missing),
            )
        )
    if work.guard.left:
        failures.append(work.guard.error())
    if failures:
        raise gathered(failures)
    return Unprotected(tuple(sorted(work.copied)))


class _Work:
    """What was done so far, and the rows of the index that follow from it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._rows: dict[str, Row] = {}
        self.guard = Guard(session)
        self.copied: list[RelPath] = []
        self.missing: list[RelPath] = []

    def target(self, wanted: Wanted) -> None:
        """Go through the files of a target that are here."""
        with self._session.progress.task("unprotecting") as task:
            seen, parent = look(self._session, wanted.target, task)
            if parent is None:
                return
            with parent:
                refuse_unknown(self._session, wanted, seen)
                for folder in _folders(seen) if seen.exists else ():
                    path = RelPath(folder.path) if wanted.target.meta.is_folder else paths.parent(folder.path)
                    with self._session.root.descend(path) as here:
                        self._folder(here, path, folder, wanted.inside)

    def settle(self) -> None:
        """Record what the files look like now."""
        now = self._session.now_ns()
        for path, row in self._rows.items():
            self._session.index.put(path, without_racy(row, now))

    def _folder(self, here: Dir, path: RelPath, seen: Folder, inside: RelPath) -> None:
        row = seen.row
        present = row.present() if row is not None else {}
        signatures = {}
        for name in (*seen.same, *seen.changed, *seen.new):
            if not is_below(join(path, name), inside):
                continue
            done = self._file(here, path, name, present.get(name))
            if done is not None and name in seen.same:
                signatures[name] = signature(done)
        if row is not None and signatures:
            known = self._rows.get(seen.path, row)  # two paths in one folder may be named
            self._rows[seen.path] = replace(known.with_signatures(signatures), folder_stamp=NO_SIGNATURE)

    def _file(self, here: Dir, path: RelPath, name: str, recorded: Present | None) -> os.stat_result | None:
        """Make one file private; return its new stat, None when it was left as it is."""
        cache = self._session.cache
        before = here.lstat(name)
        if stat.S_ISLNK(before.st_mode):
            digest = cache.digest_of_link(here.readlink(name))
            opened = cache.open(digest) if digest is not None else None
            if opened is None:
                self.missing += [join(path, name)] if digest is not None else []
                return None
            source, status, _ = opened
        else:
            digest = self._object(here, path, name, before, recorded)
            if digest is None:
                return None
            source, status = here.open(name, READ_USER), before  # its own bytes, perhaps not the object's any more
        put = self.guard.put(here, path, signature(before), expected=True)
        try:
            if not _copy(here, name, source, status, put):
                self.guard.leave(join(path, name))
                return None
        except (FileExistsError, FileNotFoundError):
            return None  # changed or gone meanwhile
        finally:
            os.close(source)
        if digest is not None and not stat.S_ISLNK(before.st_mode):
            self._renew(digest, before)
        self.copied.append(join(path, name))
        return here.lstat(name)

    def _object(
        self, here: Dir, path: RelPath, name: str, before: os.stat_result, recorded: Present | None
    ) -> Digest | None:
        """Return the digest of the object that a file is a hard link to."""
        if before.st_nlink < 2 or not stat.S_ISREG(before.st_mode):
            return None
        if recorded is not None and recorded.kind != LINK:
            digest: Digest | None = Digest(recorded.value)
        else:
            content = read_known(self._session, here, name, path)
            digest = content.digest if content is not None else None
        with contextlib.suppress(FileNotFoundError):
            if digest is not None and os.path.samestat(os.lstat(self._session.cache.path(digest)), before):
                return digest
        return None

    def _renew(self, digest: Digest, before: os.stat_result) -> None:
        """Keep the object trusted: that a link to it went moved its ctime, and nothing else."""
        trust = self._session.cache.trust
        record = trust.get(digest)
        with contextlib.suppress(FileNotFoundError):
            after = signature(os.lstat(self._session.cache.path(digest)))
            if record is not None and record[0] == signature(before) and after[:16] == record[0][:16]:
                trust.set(digest, after, record[1])


def _folders(seen: Folder) -> Iterator[Folder]:
    yield seen
    for below in seen.folders.values():
        yield from _folders(below)


def _copy(here: Dir, name: str, source: int, status: os.stat_result, put: Callable[[str, str], None]) -> bool:
    """Put a copy of what is open at `source` under `name`; False: it was written to since its `status`."""
    temp = temp_name()
    out = here.open(temp, CREATE)
    try:
        try:
            if not clone(source, out):
                copy_bytes(source, out)
        finally:
            os.close(out)
        if not same_bytes(status, os.fstat(source)):
            here.unlink(temp)
            return False
        put(temp, name)
    except BaseException as error:
        with contextlib.suppress(FileNotFoundError):
            here.unlink(temp)
        raise named(error, f"{here.path}/{name}") if isinstance(error, OSError) else error from None
    return True
