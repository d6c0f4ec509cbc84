"""Keeping what `undo` needs: one line in a verb, before it changes anything.

    with recorded(session, "remove data", paths):
        ...

Owns when a record is written (before the change, so that a crash leaves the way back), when it is dropped again
(nothing changed), and what stands for the workspace: a tree of just what is there, for most targets the very tree they
are in step with, so that a record costs no more than its digest.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property

from .. import paths
from ..cache.writer import Writer
from ..config import GRACE
from ..digest import Digest
from ..errors import DvcLikeError
from ..fsutil import READ_USER, Dir
from ..meta.file import SUFFIX, Meta
from ..meta.tree import EXECUTABLE, FOLDER, LINK, Entry, encode
from ..paths import RelPath, join
from ..workspace import gitignore
from ..workspace.index import Present
from ..workspace.leftovers import sweep
from ..workspace.scan import Folder, file_kind
from ._record import Record, fingerprint, open_folder, prune, read_pointer, serials
from ._record import encode as encode_record
from ._session import Session
from ._trees import Recorded, load


def grace_of(session: Session) -> float:
    """Return for how many seconds a command can be undone: as long as gc keeps what it takes out."""
    return session.project.config.number("gc.grace", GRACE)


class Recorder:
    """The record of the command that runs. `touched` is set when the workspace or the cache was changed."""

    def __init__(self, session: Session, verb: str) -> None:
        self._session = session
        self.record = Record(0, verb)
        self.touched = False

    def keep(
        self,
        targets: Iterable[RelPath] = (),
        places: dict[RelPath, Meta | None] | None = None,
        *,
        pointers: Iterable[RelPath] = (),
        parts: Mapping[RelPath, list[str]] | None = None,
    ) -> None:
        """Record, before any of it changes, meta file and `.gitignore` of `targets`, and what is in the workspace.

        `parts` holds by target the patterns of what may change of it, where that is not all.
        """
        record, root = self.record, self._session.root
        wanted = [one for path in targets for one in (RelPath(path + SUFFIX), join(paths.parent(path), gitignore.NAME))]
        for path in (*wanted, *pointers):
            if path not in record.pointers:
                record.pointers[path] = read_pointer(root, path)
        for path, place in (places or {}).items():
            record.add_place(path, place, (parts or {}).get(path, []))
        self.write()

    def write(self) -> None:
        """Put the record on disk."""
        folder = open_folder(self._session.project.folder, create=True)
        assert folder is not None
        with folder:
            if not self.record.serial:
                prune(folder, grace_of(self._session))
                self.record.serial = max(serials(folder), default=0) + 1
            folder.write(self.record.name, encode_record(self.record))

    def finish(self) -> None:
        """Complete the record, or drop it when nothing changed."""
        record = self.record
        folder = open_folder(self._session.project.folder)
        if folder is not None:
            with folder, Dir.open_root(self._session.project.tmp) as aside:
                sweep(folder)
                sweep(aside)
        with Dir.open_root(self._session.project.folder) as own:
            sweep(own)  # of settings that were being written
        if not record.serial:
            return
        now = {path: read_pointer(self._session.root, path) for path in record.pointers}
        record.after = {path: fingerprint(data) for path, data in now.items()}
        if self.touched or now != record.pointers:
            self.write()
        else:
            folder = open_folder(self._session.project.folder)
            if folder is not None:
                with folder, contextlib.suppress(FileNotFoundError):
                    folder.unlink(record.name)


def words(verb: str, targets: Iterable[str | os.PathLike[str]] = ()) -> str:
    """Return how a command is called in a list: not with a thousand targets."""
    listed = [os.fspath(target) for target in targets]
    return " ".join([verb, *listed[:5], *(["..."] if listed[5:] else [])])


@contextlib.contextmanager
def recorded(session: Session, verb: str, targets: Iterable[RelPath] = ()) -> Iterator[Recorder]:
    """Record what a command changes, so that it can be undone. The session holds the worktree's lock.

    `targets` are data paths that are going to change, tracked or not yet: their meta files, the lines in `.gitignore`
    and what is in the workspace. A verb that finds out later what it changes calls `keep` then. Within another one,
    both are one command.
    """
    outer = session.recorder
    recorder = outer if isinstance(outer, Recorder) else Recorder(session, verb)
    session.recorder = recorder
    try:
        listed = list(targets)
        if listed:
            recorder.keep(listed, snapshot(session, dict.fromkeys(listed)))
            recorder.touched = True
        yield recorder
    finally:
        if outer is None:
            session.recorder = None
            recorder.finish()


def snapshot(
    session: Session,
    seen: Mapping[RelPath, Folder | None],
    going: Mapping[RelPath, Iterable[str]] | None = None,
    kept: Mapping[RelPath, Mapping[str, Present]] | None = None,
) -> dict[RelPath, Meta | None]:
    """Return for each path what is in the workspace, as a meta file would describe it; None where nothing is.

    `seen` holds what a scan found of a path, None where it is still to be looked at. `going` names by folder the files
    that will be replaced or removed (None: all that was tracked): their bytes are put into the cache where the index
    does not vouch for them. `kept` holds by folder what was found to be as recorded though the index did not know it.
    Other files are nobody's business.
    """
    found: dict[RelPath, Meta | None] = {}
    with contextlib.ExitStack() as stack:
        taker = _Snapshot(session, stack, going, kept or {})
        for path, folder in seen.items():
            found[path] = taker.take(path, folder)
    return found


class _Snapshot:
    def __init__(
        self,
        session: Session,
        stack: contextlib.ExitStack,
        going: Mapping[RelPath, Iterable[str]] | None,
        kept: Mapping[RelPath, Mapping[str, Present]],
    ) -> None:
        self._session = session
        self._stack = stack
        self._going = going
        self._kept = kept

    @cached_property
    def _writer(self) -> Writer:
        """Opened when it is needed: mostly the cache has all that a record names."""
        return self._stack.enter_context(self._session.writer())

    def take(self, path: RelPath, seen: Folder | None) -> Meta | None:
        name = path.rpartition("/")[2]
        try:
            with self._session.root.descend(paths.parent(path)) as parent:
                status = parent.lstat(name)
                if stat.S_ISDIR(status.st_mode):
                    if seen is None or not seen.exists:
                        with parent.sub(name) as here:
                            seen = self._session.scanner(Recorded(self._session.cache, path, None)).folder(here, path)
                    entry = self._folder(seen)
                    return Meta(entry.digest, entry.size, entry.files)
                file = seen if seen is not None and seen.exists else self._session.scanner(None).file(parent, path)
                if file.clean and file.row is not None and file.row.names == (name,):
                    return Meta(Digest(file.row.tree), file.row.size, None, file.row.kinds == EXECUTABLE)
                stored = self._store(parent, name)
                return (
                    None
                    if stored is None or stored.kind == LINK
                    else Meta(stored.digest, stored.size, None, stored.kind == EXECUTABLE)
                )
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _folder(self, seen: Folder) -> Entry:
        row, name = seen.row, seen.path.rpartition("/")[2]
        if row is not None and seen.clean and not seen.absent and self._session.cache.has_tree(Digest(row.tree)):
            return Entry(name, FOLDER, row.size, row.tree, row.files)
        entries = list(self._files(seen))
        for below in seen.folders.values():
            entry = self._folder(below)
            if below.row is not None or entry.files or below.path in self._kept:
                entries.append(entry)
        digest = self._writer.put_tree(encode(entries))
        size, files = sum(one.data_size for one in entries), sum(one.files for one in entries)
        return Entry(name, FOLDER, size, digest, files)

    def _files(self, seen: Folder) -> Iterator[Entry]:
        row, path = seen.row, RelPath(seen.path)
        same, unvouched = set(seen.same), [*seen.changed, *seen.new]
        vouched = {name: one for name, one in row.present().items() if name in same} if row is not None else {}
        vouched.update((name, one) for name, one in self._kept.get(path, {}).items() if name in unvouched)
        sizes: dict[str, int] = {}
        if row is not None:
            with contextlib.suppress(DvcLikeError):
                sizes = {one.value: one.size for one in load(self._session.cache, Digest(row.tree), path)}
        for name, present in vouched.items():
            yield Entry(name, present.kind, self._size(present, sizes), present.value)
        if self._going is None:
            going: Iterable[str] = seen.changed if row is not None else unvouched
        else:
            going = self._going.get(path, ())
        lost = [name for name in unvouched if name in going and name not in vouched]
        if lost:
            with self._session.root.descend(path) as here:
                yield from filter(None, (self._store(here, name) for name in lost))

    def _size(self, present: Present, sizes: dict[str, int]) -> int:
        if present.kind == LINK:
            return len(present.value.encode())
        if present.value in sizes:
            return sizes[present.value]
        try:
            return os.lstat(self._session.cache.path(Digest(present.value))).st_size
        except FileNotFoundError:
            return int.from_bytes(present.signature[:8], "little")

    def _store(self, folder: Dir, name: str) -> Entry | None:
        """Put a file into the cache that is there already in most cases; None for what cannot be brought back."""
        try:
            status = folder.lstat(name)
            if stat.S_ISLNK(status.st_mode):
                target = folder.readlink(name)
                digest = self._session.cache.digest_of_link(target)
                if digest is None:
                    return Entry(name, LINK, len(target.encode()), target)
                return Entry(name, "f", os.lstat(target).st_size, digest)
            fd = folder.open(name, READ_USER)
            try:
                stored = self._writer.put_file(fd, status.st_size)
            finally:
                os.close(fd)
        except (FileNotFoundError, UnicodeEncodeError):
            return None
        return Entry(name, file_kind(status), stored.size, stored.digest)
