"""From workspace files to objects and trees: the inner part of `add`.

Owns what a new tree is made of: what the index vouches for is taken over, what changed is stored, and what the
present version has but was never checked out here is kept. Rows of the index are held back until the pointers
are written.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection
from dataclasses import replace

from ..cache.place import Placer
from ..cache.writer import Writer
from ..digest import Digest, parse
from ..errors import CorruptData, DataMissing, UnsafePath, named
from ..fsutil import NO_SIGNATURE, READ_USER, Dir, is_racy, signature, untrusted
from ..locks import has_writer
from ..meta.tree import EXECUTABLE, FILE, FOLDER, LINK, Entry, encode, link_stays_inside
from ..paths import RelPath, is_below, join, show, typed
from ..progress import Task
from ..workspace.index import MIXED, Present, Row, make_row
from ..workspace.leftovers import sweep
from ..workspace.scan import Folder, changing, file_kind, refuse_special, trusted_signature
from ._guard import Guard
from ._look import same_content
from ._session import Session
from ._trees import load

#: Stands for the entries of a listing that is not needed: nothing of its folder is absent.
_ALL_HERE: dict[str, Entry] = {}


class Builder:
    """Stores the workspace of one or more targets and makes their trees."""

    def __init__(self, session: Session, writer: Writer, placer: Placer, task: Task, *, force: bool) -> None:
        self._session = session
        self._cache = session.cache
        self._writer = writer
        self._placer = placer
        self._guard = Guard(session)
        self._relinks = placer.links
        self.task = task
        self._force = force
        self._rows: dict[str, Row] = {}
        self._read: dict[RelPath, Present] = {}  # single files and links of folders, as they were when they were read
        self._fresh: list[tuple[str, str, Digest, bytes]] = []  # folder, name, digest, signature when it was read
        self.stored = 0

    def expect(self, seen: Folder) -> None:
        """Tell how many files there are to read."""
        self.task.expect(files=len(seen.changed) + len(seen.new))
        for below in seen.folders.values():
            self.expect(below)

    def file(self, folder: Dir, seen: Folder, base: Entry | None = None) -> Entry:
        """Store a tracked single file; `base` is what is recorded of it."""
        name = seen.path.rpartition("/")[2]
        row = seen.row
        if row is not None and seen.clean and row.stored and not self._force:
            digest = Digest(row.tree)
            if self._cache.ensure(digest):
                return Entry(name, row.kinds, row.size, digest)
        parent = os.path.dirname(seen.path)
        entry, present = self._keep(folder, name, parent, base) or self._store(folder, name, parent)
        if entry.kind == LINK:
            raise UnsafePath(
                f"{show(seen.path)} is a link, and a link alone cannot be tracked",
                hint="Track the folder that it lies in, or what it points to.",
            )
        self._rows[seen.path] = make_row((entry.value, entry.size, 1), {name: present})
        return entry

    def entry(self, folder: Dir, path: RelPath, depth: int, base: Entry | None = None) -> Entry:
        """Store one file or link that lies `depth` levels below its dataset's root; `base` is what is recorded."""
        parent, _, name = path.rpartition("/")
        entry, self._read[path] = self._keep(folder, name, parent, base) or self._store(folder, name, parent)
        _refuse_escape(entry, parent, depth)
        return entry

    def folder(self, here: Dir, seen: Folder, base: Digest | None, depth: int = 0, *, distrust: bool = False) -> Entry:
        """Store a folder; `base` is its tree in the present version. With `distrust` all its files are read again."""
        row, name = seen.row, seen.path.rpartition("/")[2]
        distrust = distrust or self._force or row is None or not row.stored
        distrust = distrust or (row is not None and not self._cache.has_tree(parse(row.tree)))
        whole = row is not None and seen.clean and seen.absent < MIXED and base in (None, row.tree)
        if row is not None and whole and not distrust and self._is_listed(seen):
            return Entry(name, FOLDER, row.size, row.tree, row.files)
        recorded = {} if distrust else self._recorded(seen, depth)
        known = set(row.names) | set(row.folders) if row is not None else set()
        entries, present = self._files(here, seen, base, recorded, depth)
        before = self._base_entries(seen, base, recorded, depth)
        for child_name, child in seen.folders.items():
            old = before.get(child_name)
            child_base = old.digest if old is not None and old.kind == FOLDER else None
            if before is _ALL_HERE and child.row is not None:
                child_base = parse(child.row.tree)
            with here.sub(child_name) as below:
                entries.append(self.folder(below, child, child_base, depth + 1, distrust=distrust))
        there = {entry.name for entry in entries}
        absent = 0
        for entry in before.values():
            if entry.name not in there and entry.name not in known:
                entries.append(entry)  # never checked out here, so its absence says nothing
                absent += entry.files
        return self._finish(seen, entries, present, absent)

    def _is_listed(self, seen: Folder) -> bool:
        """Tell whether the cache has the tree of every folder below: one look each. The files are too many for that."""
        return all(
            below.row is not None and self._cache.has_tree(Digest(below.row.tree)) and self._is_listed(below)
            for below in seen.folders.values()
        )

    def _recorded(self, seen: Folder, depth: int) -> dict[str, Entry]:
        """Return the entries of the tree the index knows, for the files that need not be read again."""
        row = seen.row
        assert row is not None
        try:
            return {entry.name: entry for entry in load(self._cache, parse(row.tree), seen.path, depth)}
        except (DataMissing, CorruptData):
            return {}  # everything in it is stored anew

    def _base_entries(
        self, seen: Folder, base: Digest | None, recorded: dict[str, Entry], depth: int
    ) -> dict[str, Entry]:
        if base is None or self._force:
            return {}
        if seen.row is not None and seen.row.tree == base:
            if recorded:
                return recorded
            if not seen.row.absent:
                return _ALL_HERE  # so what is not here now was deleted
        try:
            return {entry.name: entry for entry in load(self._cache, base, seen.path, depth)}
        except DataMissing as error:
            raise DataMissing(
                f"cannot tell which files of {show(seen.path)} are only not checked out here: {error.message}",
                hint=f"Run `dvc-like fetch {typed(seen.path)}` first, or add with --force to record just what is here.",
            ) from None

    def _files(
        self, here: Dir, seen: Folder, base: Digest | None, recorded: dict[str, Entry], depth: int
    ) -> tuple[list[Entry], dict[str, Present]]:
        entries: list[Entry] = []
        present: dict[str, Present] = {}
        unread = [*seen.changed, *seen.new]
        if seen.row is not None:
            same = set(seen.same)
            for name, entry in seen.row.present().items():
                if name in same:
                    if name in recorded and recorded[name].value == entry.value:
                        entries.append(recorded[name])
                        present[name] = entry
                    else:
                        unread.append(name)
        unread.sort()
        otherwise = self._named_otherwise(seen, base, recorded, depth) if unread else {}
        for name in unread:
            kept = self._keep(here, name, seen.path, otherwise.get(name))
            made, present[name] = kept or self._store(here, name, seen.path)
            _refuse_escape(made, seen.path, depth)
            entries.append(made)
        return entries, present

    def _finish(self, seen: Folder, entries: list[Entry], present: dict[str, Present], absent: int) -> Entry:
        digest = self._writer.put_tree(encode(entries))
        size = sum([entry.size for entry in entries if entry.kind != LINK])
        files = sum([entry.files for entry in entries])
        self._rows[seen.path] = make_row(
            (digest, size, files), present, seen.folders, absent=absent, stamp=seen.trusted_stamp
        )
        return Entry(seen.path.rpartition("/")[2], FOLDER, size, digest, files)

    def splice(self, path: RelPath, base: Digest | None, changed: Entry | str, depth: int) -> Entry:
        """Make the tree of a folder in which one entry is another (a name: is gone); nothing else is looked at."""
        entries = {entry.name: entry for entry in load(self._cache, base, path, depth)} if base is not None else {}
        name = changed if isinstance(changed, str) else changed.name
        entries.pop(name, None)
        if isinstance(changed, Entry):
            entries[name] = changed
        digest = self._writer.put_tree(encode(list(entries.values())))
        total = (
            digest,
            sum(entry.data_size for entry in entries.values()),
            sum(entry.files for entry in entries.values()),
        )
        self._splice_row(path, base, changed, total, entries)
        return Entry(path.rpartition("/")[2], FOLDER, total[1], digest, total[2])

    def _splice_row(
        self,
        path: RelPath,
        base: Digest | None,
        changed: Entry | str,
        total: tuple[str, int, int],
        entries: dict[str, Entry],
    ) -> None:
        row = self._rows.get(path) or self._session.index.get(path)
        if row is not None and row.tree != base:
            # In step with another version, and what lies below is no longer: the next checkout sorts it out.
            self._rows[path] = replace(row, absent=row.absent % MIXED + MIXED)
            return
        present = row.present() if row is not None else {}
        folders = set(row.folders) if row is not None else set()
        name = changed if isinstance(changed, str) else changed.name
        present.pop(name, None)
        folders.discard(name)
        if isinstance(changed, Entry):
            if changed.kind == FOLDER:
                folders.add(name)
            else:
                present[name] = self._read[join(path, name)]  # what it looks like by now may be an edit
        absent = sum(
            entry.files for entry in entries.values() if entry.name not in present and entry.name not in folders
        )
        absent += MIXED if row is not None and row.absent >= MIXED else 0
        self._rows[path] = make_row(total, present, folders, absent=absent, stored=row is None or row.stored)

    # ---------------------------------------------------------------- one file

    def _named_otherwise(
        self, seen: Folder, base: Digest | None, recorded: dict[str, Entry], depth: int
    ) -> dict[str, Entry]:
        """Return the files of the present version whose names are of another algorithm than new ones get."""
        if base is None or self._force:
            return {}
        try:
            known = recorded.values() if seen.row and seen.row.tree == base and recorded else None
            entries = known or load(self._cache, base, seen.path, depth)
        except (DataMissing, CorruptData):
            return {}
        return {one.name: one for one in entries if one.kind in (FILE, EXECUTABLE)}

    def _keep(self, folder: Dir, name: str, path: str, old: Entry | None) -> tuple[Entry, Present] | None:
        """Keep the name of a file that is what is recorded under another algorithm: it need not travel again."""
        if old is None or self._force or old.kind not in (FILE, EXECUTABLE):
            return None
        digest = Digest(old.value)
        if digest.algorithm == self._writer.algorithm or not self._cache.is_sound(digest):
            return None
        try:
            present = same_content(self._session, folder, name, join(path, name), old)
        except OSError:
            return None  # `_store` says what ails it
        if present is None:
            return None
        self.task.advance(files=1, size=old.size)
        return old, present

    def _store(self, folder: Dir, name: str, path: str) -> tuple[Entry, Present]:
        """Store one file or link; the entry and the row's part describe the same moment."""
        for _ in range(3):
            now = self._session.now_ns()
            try:
                fd = folder.open(name, READ_USER)
            except OSError as error:
                if error.errno != errno.ELOOP:
                    raise
                return self._store_link(folder, name, path, now)
            try:
                before = os.fstat(fd)
                if not stat.S_ISREG(before.st_mode):
                    refuse_special(before, join(path, name))
                open_elsewhere = has_writer(fd, before.st_size)
                stored = self._writer.put_file(fd, before.st_size, self.task)
                after = os.fstat(fd)
            except OSError as error:
                raise named(error, f"{folder.path}/{name}") from None
            finally:
                os.close(fd)
            if after.st_ctime_ns == before.st_ctime_ns and after.st_size == stored.size:
                break
        else:
            raise changing(join(path, name))
        self.task.advance(files=1)
        self.stored += 1
        kind = file_kind(after)
        seen = signature(after)
        if open_elsewhere or is_racy(after, now):
            seen = untrusted(seen)
        if self._relinks:
            self._fresh.append((path, name, stored.digest, seen))
        return Entry(name, kind, stored.size, stored.digest), Present(kind, stored.digest, seen, stored.fingerprint)

    def _store_link(self, folder: Dir, name: str, path: str, now: int) -> tuple[Entry, Present]:
        status = folder.lstat(name)
        target = folder.readlink(name)
        digest = self._cache.digest_of_link(target)
        if digest is not None:  # our own link to an object: stands for the file
            opened = self._cache.open(digest)
            if opened is None:
                raise DataMissing(f"{show(join(path, name))} links to a cache object that is missing or damaged")
            os.close(opened[0])
            state = Present(FILE, digest, trusted_signature(status, now), opened[2])
            return Entry(name, FILE, opened[1].st_size, digest), state
        try:
            size = len(target.encode())
        except UnicodeEncodeError:
            raise UnsafePath(f"{show(join(path, name))} links to a name that is not UTF-8") from None
        if any(ord(char) < 32 or ord(char) == 127 for char in target) or "\\" in target or size > 4095:
            raise UnsafePath(f"{show(join(path, name))} links to {show(target)!r}, which cannot be recorded")
        return Entry(name, LINK, size, target), Present(LINK, target, trusted_signature(status, now))

    # ---------------------------------------------------------------- afterwards

    def record(self, but: Collection[str]) -> None:
        """Once the pointers are written: record the rows, but not those of targets whose pointers could not be.

        With the old ones the next run finds again what was deleted: a new one no longer knows that it was there.
        """
        for path, row in self._rows.items():
            if not but or not any(is_below(path, target) for target in but):
                self._session.index.put(path, row)

    def relink(self) -> None:
        """Once the objects are on disk: link workspace files to them where that is configured."""
        swept = set()
        for path, name, digest, seen in self._fresh:
            row_path = path if path in self._rows and name in self._rows[path].names else join(path, name)
            row = self._rows.get(row_path)
            if row is None or row.kinds[row.names.index(name)] == EXECUTABLE:
                continue
            with self._session.root.descend(path) as folder:
                if path not in swept:
                    swept.add(path)
                    sweep(folder)  # a link that a process which died could not give its name
                put = self._guard.put(folder, path, seen, expected=True)
                try:
                    placed = self._placer.place(folder, name, digest, executable=False, replace=True, put=put)
                except (FileExistsError, FileNotFoundError):
                    continue  # the user wrote to it, or removed it, meanwhile: it stays as it is
                if placed is not None:
                    linked = row.with_signatures({name: trusted_signature(placed.status, self._session.now_ns())})
                    self._rows[row_path] = replace(linked, folder_stamp=NO_SIGNATURE)  # the rename moved it


def _refuse_escape(entry: Entry, folder: str, depth: int) -> None:
    if entry.kind == LINK and not link_stays_inside(depth, entry.value):
        raise UnsafePath(
            f"{show(join(folder, entry.name))} links to {show(entry.value)}, outside the dataset",
            hint="Replace the link by what it points to, or make it a relative link inside the dataset.",
        )
