"""Making another tool's data ours: objects, trees, meta files, and the bytes in the workspace where they are not there.

Owns the order within that, and the choice between a hard link and a copy. What the other tool stored is only read.
"""

from __future__ import annotations

import os

from .. import paths
from ..cache.adopt import adopt
from ..cache.place import Placer
from ..cache.writer import Writer
from ..digest import Digest
from ..durable import everything_to_disk
from ..errors import DvcLikeError
from ..fsutil import CHUNK, READ, Dir
from ..meta.file import SUFFIX, encode
from ..paths import RelPath, join
from ..workspace import gitignore
from ..workspace.ignore import NAME as IGNORE
from ..workspace.leftovers import sweep
from . import _lfs
from ._dvc import IGNORE as THEIR_IGNORE
from ._foreign import Plan, Survey
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
                for digest, size in plan.files.values():
                    self._bring(writer, self._survey.shelves[plan.found.source].place(digest), digest, size)
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
        """Have an object in the cache. One that is not here at all stays for a remote to bring."""
        if digest in self._seen:
            return
        self._seen.add(digest)
        try:
            if adopt(self._session.cache, digest, source):
                return
            with open(os.open(source, READ), "rb", buffering=0) as file:
                incoming = writer.receive(digest, size)
                try:
                    file.seek(incoming.start)
                    while data := file.read(CHUNK):
                        incoming.write(data)
                    incoming.accept()
                finally:
                    incoming.reject()
            self.copied += size
        except FileNotFoundError:
            return

    def _copy_rules(self, folder: RelPath, aside: Dir) -> None:
        with self._session.root.descend(folder) as here:
            if not here.exists(IGNORE):
                here.write(IGNORE, here.read(THEIR_IGNORE, 1 << 20), aside=aside)
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
        stands_for = _is_pointer if plan.found.source == _lfs.SOURCE else _is_link
        placer = Placer(self._session.cache, self._session.project.link_types)
        for below, (digest, _) in plan.files.items():
            path = join(plan.found.path, below) if plan.meta.is_folder else plan.found.path
            name = path.rpartition("/")[2]
            try:
                with self._session.root.descend(paths.parent(path)) as here:
                    if stands_for(here, name, plan, self._survey.shelves[plan.found.source].place(digest)):
                        placer.place(here, name, digest, executable=plan.meta.executable, replace=True)
            except (OSError, DvcLikeError):
                continue  # not there, or not to be read: `status` says so


def _is_pointer(here: Dir, name: str, plan: Plan, source: str) -> bool:
    text = _lfs.pointer(plan.found)
    return here.lstat(name).st_size == len(text) and here.read(name, len(text)) == text


def _is_link(here: Dir, name: str, plan: Plan, source: str) -> bool:
    return os.path.islink(f"{here.path}/{name}") and os.path.join(here.path, here.readlink(name)) == source
