"""The workspace compared with the index: what is as it was, what changed, what came and what went.

Owns the walk over the user's files. An unchanged folder costs one stat of its own and one per known name;
only an entry whose signature moved is read, and only up to its fingerprint. It reads, it never writes a
file of the user's; the index rows it refreshes are those of entries that turn out to be only touched.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace

from .. import digest as digests
from ..errors import UnsafePath, named
from ..fsutil import CHUNK, NO_SIGNATURE, READ_USER, Dir, is_racy, is_temp, signature, untrusted
from ..locks import has_writer
from ..paths import MAX_DEPTH, RelPath, check_name, join, show
from ..progress import Task
from .ignore import Ignore
from .index import NO_FINGERPRINT, Index, Row

FILE, EXECUTABLE, LINK = "f", "x", "l"

#: Gets a folder and its row; returns the names that the version in the workspace has there and the row may lack.
RecordedNames = Callable[[RelPath, "Row | None"], Collection[str]]


@dataclass(slots=True)
class Folder:
    """One folder (or a tracked single file, as the only name in it) as it is now.

    Names of files and links: `same` as the row says, `changed` against it, `new` to it, `gone` although it
    lists them. `folders` are the subfolders that are there, `lost` those the row lists and that are not. `ignored`
    are the names that a rule leaves out. `absent` counts the files at any depth that were never checked out.
    """

    path: str
    row: Row | None
    same: frozenset[str] | tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    folders: dict[str, Folder] = field(default_factory=dict)
    lost: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    stamp: bytes = NO_SIGNATURE
    racy: bool = False
    clean: bool = True
    absent: int = 0

    @property
    def trusted_stamp(self) -> bytes:
        """The stamp of the folder itself, to record; spoilt where an entry could come without moving it.

        A stamp promises that the row names all there is. What is left out depends on rules that may change, so such
        a folder has none: then rules need be known only where a folder is listed.
        """
        return NO_SIGNATURE if self.racy or self.ignored else self.stamp

    @property
    def exists(self) -> bool:
        """Tell whether anything of it is there."""
        return self.stamp != NO_SIGNATURE


def missing(path: str, row: Row | None) -> Folder:
    """Return the folder (or single file) that is not there at all."""
    if row is None:
        return Folder(path, None)
    return Folder(path, row, gone=row.names, lost=row.folders, clean=False)


class Scanner:
    """Walks folders and single files of one workspace.

    `cache_prefix` is the text that links into the cache begin with: such a link stands for its file.
    `now_ns` is the time the scan begins: entries written after it cannot be trusted by their stat.

    `ignore` holds the rules. They concern what is not `recorded` in the version of the workspace: without that
    (``add --force``), all there is.
    """

    def __init__(
        self,
        index: Index,
        cache_prefix: str,
        now_ns: int,
        task: Task | None = None,
        *,
        ignore: Ignore | None = None,
        recorded: RecordedNames | None = None,
    ) -> None:
        self._index = index
        self._cache_prefix = cache_prefix
        self._now = now_ns
        self._task = task
        self._ignore = ignore
        self._recorded = recorded

    def folder(self, directory: Dir, path: str) -> Folder:
        """Scan an open folder and all below it. It was asked for by name, so rules only concern what is in it."""
        return self._folder(directory, path, path)

    def _folder(self, directory: Dir, path: str, top: str) -> Folder:
        if path.count("/") > MAX_DEPTH:
            raise UnsafePath(f"{show(path[:80])}... is nested more than {MAX_DEPTH} levels deep")
        row = self._index.get(path)
        status = directory.status()
        stamp = signature(status)
        found = Folder(path, row, stamp=stamp, racy=is_racy(status, self._now))
        # A folder whose stamp stands has the names it had; Windows writes the stamp too lazily to rely on.
        strict = self._ignore is not None and self._recorded is None
        if row is not None and row.folder_stamp == stamp and os.name == "posix" and not strict:
            names, folders = row.names, row.folders
        else:
            names, folders, found.ignored = _listing(directory, path, self._rules(directory, RelPath(path), top, row))
        self._compare(found, directory, names)
        if self._task is not None:
            self._task.advance(files=len(names))
        for name in folders:
            with directory.sub(name) as below:
                found.folders[name] = self._folder(below, join(path, name), top)
        if row is not None:
            found.lost = tuple(name for name in row.folders if name not in found.folders)
            if row.folder_stamp != stamp and names == row.names and folders == row.folders:
                row = self._index.get(path)  # the comparison may have refreshed it
                if row is not None and found.trusted_stamp == stamp:
                    self._refresh(found, _with_stamp(row, stamp))
        found.clean = (
            row is not None
            and not (found.changed or found.new or found.gone or found.lost)
            and tuple(found.folders) == row.folders
            and all(below.clean for below in found.folders.values())
        )
        found.absent = (row.absent if row is not None else 0) + sum(sub.absent for sub in found.folders.values())
        return found

    def _rules(self, directory: Dir, path: RelPath, top: str, row: Row | None) -> Callable[[str, bool], bool] | None:
        """Return what tells whether a name in a folder is left out; None when no rule concerns it."""
        ignore, recorded = self._ignore, self._recorded
        if ignore is None or not ignore.concerns(path, directory):
            return None
        cause = ignore.cause(path, True, top) if path != top else None
        out = cause is not None and not cause.negated  # the folder itself: kept only for what is recorded in it
        known: Collection[str] = {*row.names, *row.folders} if recorded is not None and row is not None else ()
        also: Collection[str] | None = None if recorded is not None else ()

        def left_out(name: str, is_folder: bool) -> bool:
            nonlocal also
            if name in known or not (out or ignore.ignores(join(path, name), is_folder)):
                return False
            if also is None:
                assert recorded is not None
                also = recorded(path, row)
            return name not in also

        return left_out

    def file(self, parent: Dir, path: str) -> Folder:
        """Scan a tracked single file in its open folder."""
        name = path.rpartition("/")[2]
        row = self._index.get(path)
        try:
            status = parent.lstat(name)
        except FileNotFoundError:
            return missing(path, row)
        refuse_special(status, path)
        found = Folder(path, row, stamp=signature(status))
        self._compare(found, parent, (name,))
        found.clean = row is not None and not (found.changed or found.new)
        return found

    def _compare(self, found: Folder, directory: Dir, names: tuple[str, ...]) -> None:
        row = found.row
        if row is None:
            found.new = names
            return
        if names == row.names and directory.signatures(names) == row.signatures:
            found.same = names
            return
        known = {name: at for at, name in enumerate(row.names)}
        changed, new, touched = [], [], {}
        same = set(known)
        there = set()
        for name in names:
            try:
                status = directory.lstat(name)
            except FileNotFoundError:
                continue
            there.add(name)
            at = known.get(name)
            if at is None:
                new.append(name)
            elif signature(status) != row.signature(at):
                seen = self._touched(directory, found, row, at, status)
                if seen is not None:
                    touched[name] = seen
                else:
                    changed.append(name)
        found.gone = tuple(name for name in row.names if name not in there)
        found.changed, found.new = tuple(changed), tuple(new)
        found.same = frozenset(same.difference(found.gone, changed))
        if touched:
            self._refresh(found, row.with_signatures(touched))

    def _refresh(self, found: Folder, row: Row) -> None:
        found.row = row
        self._index.put(found.path, row)

    def _touched(self, directory: Dir, found: Folder, row: Row, at: int, status: os.stat_result) -> bytes | None:
        """Return what to record of an entry that has another signature; None where its content or kind is another."""
        name, kind, value = row.names[at], row.kinds[at], row.values[at]
        if stat.S_ISLNK(status.st_mode):
            target = directory.readlink(name)
            same = target == (value if kind == LINK else self._cache_prefix + digests.file_key(digests.Digest(value)))
            return trusted_signature(status, self._now) if same else None
        if kind == LINK or not stat.S_ISREG(status.st_mode) or file_kind(status, kind) != kind:
            return None
        if row.signature(at) != NO_SIGNATURE and row.signature(at)[:8] != signature(status)[:8]:
            return None  # another size: another content
        recorded = row.fingerprint(at)
        if recorded != NO_FINGERPRINT:
            content = read_content(directory, name, found.path, seed=self._index.seed)
            same = content.fingerprint == recorded
        else:
            content = read_content(directory, name, found.path, digests.Digest(value).algorithm)
            same = content.digest == value
        return content.signature(self._now) if same else None


def trusted_signature(status: os.stat_result, now_ns: int) -> bytes:
    """Return the signature to record of a file seen at `now_ns`, spoilt where a later write could hide behind it."""
    return untrusted(signature(status)) if is_racy(status, now_ns) else signature(status)


def _with_stamp(row: Row, stamp: bytes) -> Row:
    return replace(row, folder_stamp=stamp)


def _listing(
    directory: Dir, path: str, left_out: Callable[[str, bool], bool] | None
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the names of files and links, of folders, and of what is left out. Those may be any kind of thing."""
    names, folders, ignored = [], [], []
    for entry in directory.entries():
        name = entry.name
        if is_temp(name):
            continue
        is_folder = entry.is_dir(follow_symlinks=False)
        if left_out is not None and left_out(name, is_folder):
            ignored.append(name)
            continue
        try:
            check_name(name)
        except UnsafePath as error:
            raise UnsafePath(f"{show(join(path, name))}: {error.message}", hint=error.hint) from None
        if is_folder:
            folders.append(name)
        else:
            if not (entry.is_file(follow_symlinks=False) or entry.is_symlink()):
                refuse_special(directory.lstat(name), join(path, name))
            names.append(name)
    return tuple(sorted(names)), tuple(sorted(folders)), tuple(sorted(ignored))


def refuse_special(status: os.stat_result, path: str) -> None:
    """Raise `UnsafePath` for what is neither file, folder nor link: reading a pipe would wait for ever."""
    mode = status.st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode)):
        kinds = {stat.S_IFIFO: "named pipe", stat.S_IFSOCK: "socket"}
        kind = kinds.get(stat.S_IFMT(mode), "device")
        raise UnsafePath(f"{show(path)} is a {kind}; only files, folders and links can be tracked")


def file_kind(status: os.stat_result, recorded: str = FILE) -> str:
    """Return ``x`` for a file its owner may run, else ``f``. Windows keeps no such bit: as recorded."""
    if os.name != "posix":
        return recorded
    return EXECUTABLE if status.st_mode & stat.S_IXUSR else FILE


@dataclass(frozen=True, slots=True)
class Content:
    """What one reading of a file found: stat (the same before and after), fingerprint and, if asked, digest.

    `open_elsewhere`: somebody can write to it whose writes its stat need not show.
    """

    status: os.stat_result
    fingerprint: bytes
    digest: digests.Digest | None
    open_elsewhere: bool = False

    def signature(self, now_ns: int) -> bytes:
        """Return the signature to record, spoilt where a write after `now_ns` could hide behind it."""
        return untrusted(signature(self.status)) if self.open_elsewhere else trusted_signature(self.status, now_ns)


def read_content(directory: Dir, name: str, path: str, algorithm: str | None = None, *, seed: int = 0) -> Content:
    """Read a file once, up to its fingerprint under `seed` and (with `algorithm`) its digest.

    Raises `OSError` (EAGAIN) when the file changes while it is read, three times in a row.
    """
    for _ in range(3):
        fd = directory.open(name, READ_USER)
        try:
            before = os.fstat(fd)
            refuse_special(before, join(path, name))
            open_elsewhere = has_writer(fd, before.st_size)
            fast = digests.new_fingerprint(seed)
            slow = digests.hasher(algorithm) if algorithm else None
            while data := os.read(fd, CHUNK):
                fast.update(data)
                if slow is not None:
                    slow.update(data)
            after = os.fstat(fd)
        except OSError as error:
            raise named(error, f"{directory.path}/{name}") from None
        finally:
            os.close(fd)
        if signature(before) == signature(after):
            digest = digests.finish(algorithm, slow) if algorithm else None
            return Content(after, fast.digest(), digest, open_elsewhere)
    raise changing(join(path, name))


def changing(path: str) -> OSError:
    """Return the error for a file that another program keeps writing."""
    return OSError(errno.EAGAIN, "keeps changing while it is read; close the program that writes it", path)
