"""Making another tool's data ours: objects, trees, meta files, and the bytes in the workspace where they are not there.

Owns the order within that, and the choice between a hard link and a copy. What the other tool stored is only read.
"""

from __future__ import annotations

import os
import stat

from .. import paths
from ..cache.adopt import adopt
from ..cache.place import Placer
from ..cache.writer import Writer
from ..digest import Digest
from ..durable import everything_to_disk
from ..errors import CorruptData, DvcLikeError, UnsafePath, named
from ..fsutil import CHUNK, READ, Dir
from ..meta.file import SUFFIX, encode
from ..paths import RelPath, join, show
from ..workspace import gitignore
from ..workspace.ignore import NAME as IGNORE
from ..workspace.leftovers import sweep
from . import _lfs
from ._dvc import IGNORE as THEIR_IGNORE
from ._foreign import Found, Plan, Survey
from ._session import Session


class TakeOver:
    """One run. `copied` counts the bytes that could not be linked; `written` holds the files Git is to be told of."""

    def __init__(self, session: Session, survey: Survey) -> None:
        self._session = session
        self._survey = survey
        self._seen: set[Digest] = set()
        self.written: dict[RelPath, None] = {}
        self.copied = 0

    def run(self) -> None:
        """Take all plans over."""
        with self._session.progress.task("migrating") as task, self._session.writer() as writer:
            task.expect(files=sum(len(plan.files) for plan in self._survey.plans))
            for plan in self._survey.plans:
                shelf = self._survey.shelves[plan.found.source]
                for digest, size in plan.files.values():
                    if digest not in self._seen and shelf.size(digest) is not None:
                        self._bring(writer, shelf.place(digest), digest, size)
                    self._seen.add(digest)
                    task.advance(files=1)
                for tree in plan.trees:
                    writer.put_tree(tree)
            writer.flush()
            everything_to_disk(self._session.cache.top)
        with Dir.open_root(self._session.project.tmp) as aside:
            sweep(aside)
            for folder in self._survey.ignores:
                self._copy_rules(folder, aside)
            for plan in self._survey.plans:
                self._point(plan, aside)

    def _bring(self, writer: Writer, source: str, digest: Digest, size: int) -> None:
        """Have an object in the cache: a link to it, or a copy that is verified."""
        if adopt(self._session.cache, digest, source):
            return
        fd = os.open(source, READ)
        try:
            incoming = writer.receive(digest, size)
            try:
                os.lseek(fd, incoming.start, os.SEEK_SET)
                while data := _read(fd, source):
                    incoming.write(data)
                incoming.accept()
                self.copied += size
            except CorruptData:
                pass  # a remote may have it, and `status` says that the cache lacks it
            finally:
                incoming.reject()
        finally:
            os.close(fd)

    def _copy_rules(self, folder: RelPath, aside: Dir) -> None:
        with self._session.root.descend(folder) as here:
            rules = here.read(THEIR_IGNORE, 1 << 20)
            if not here.exists(IGNORE):
                here.write(IGNORE, rules, aside=aside)
            elif here.read(IGNORE, 1 << 20) != rules:  # else a run that died wrote it
                return
            self.written[join(folder, IGNORE)] = None

    def _point(self, plan: Plan, aside: Dir) -> None:
        path, root = plan.found.path, self._session.root
        holder, name = paths.parent(path), path.rpartition("/")[2]
        with root.descend(holder, create=True) as here:
            if self._session.project.git is not None:
                gitignore.add(here, [name], aside)
                self.written[join(holder, gitignore.NAME)] = None
            here.write(name + SUFFIX, encode(plan.meta), aside=aside)
        self.written[RelPath(path + SUFFIX)] = None
        self._settle(plan)

    # ---------------------------------------------------------------- the workspace

    def _settle(self, plan: Plan) -> None:
        """Put bytes where only something that stood for them is: LFS's pointer, or a link into DVC's cache."""
        placer = Placer(self._session.cache, self._session.project.link_types)
        is_lfs = plan.found.source == _lfs.SOURCE
        for below, (digest, _) in plan.files.items():
            path = join(plan.found.path, below) if plan.meta.is_folder else plan.found.path
            if not is_lfs and not _may_be_link(os.path.join(self._session.project.root, path)):
                continue
            name = path.rpartition("/")[2]
            source = self._survey.shelves[plan.found.source].place(digest)
            try:
                with self._session.root.descend(paths.parent(path)) as here:
                    if not (_is_pointer(here, name, plan.found) if is_lfs else _is_link(here, name, source)):
                        continue
                    placed = placer.place(here, name, digest, executable=plan.meta.executable, replace=True)
            except (FileNotFoundError, NotADirectoryError, UnsafePath):
                continue  # not there, or not in a place of ours: `status` says so
            if placed is None and self._session.cache.has(digest):  # else it is damaged, or on a remote alone
                raise DvcLikeError(f"the object of {show(path)} in the cache cannot be read", hint="Run this again.")


def _read(fd: int, source: str) -> bytes:
    try:
        return os.read(fd, CHUNK)
    except OSError as error:
        raise named(error, source) from None


def _is_pointer(here: Dir, name: str, found: Found) -> bool:
    text = _lfs.pointer(found)
    status = here.lstat(name)
    return stat.S_ISREG(status.st_mode) and status.st_size == len(text) and here.read(name, len(text)) == text


def _may_be_link(path: str) -> bool:
    """Tell whether it is worth a closer look; unlike `os.path.islink`, raise when that cannot be told."""
    try:
        return stat.S_ISLNK(os.lstat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _is_link(here: Dir, name: str, source: str) -> bool:
    return os.path.normpath(os.path.join(here.path, here.readlink(name))) == os.path.normpath(source)
