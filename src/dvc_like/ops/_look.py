"""A look at one target, or one file of it, in the workspace.

Owns what status, checkout, add and drop begin with: the scan, whether a path that was asked for is anywhere, and
whether a file is what is recorded for it.
"""

from __future__ import annotations

import stat

from .. import paths
from ..digest import Digest
from ..errors import DataMissing, UsageError
from ..fsutil import Dir
from ..meta.tree import FILE, FOLDER, LINK, Entry
from ..paths import join, show
from ..progress import Task
from ..workspace.index import Present
from ..workspace.scan import Folder, file_kind, missing, read_content, trusted_signature
from ._session import Session
from ._tracked import Target, Wanted
from ._trees import Recorded, load_entry, root_entry


def look(session: Session, target: Target, task: Task | None = None) -> tuple[Folder, Dir | None]:
    """Scan a target; return what was seen and its open parent folder (None: not there, the caller closes it)."""
    name = target.path.rpartition("/")[2]
    row = session.index.get(target.path)
    try:
        parent = session.root.descend(paths.parent(target.path))
    except (FileNotFoundError, NotADirectoryError):
        return missing(target.path, row), None
    scanner = session.scanner(Recorded(session.cache, target.path, target.meta), task)
    try:
        if not target.meta.is_folder:
            return scanner.file(parent, target.path), parent
        try:
            with parent.sub(name) as folder:
                return scanner.folder(folder, target.path), parent
        except (FileNotFoundError, NotADirectoryError):
            return missing(target.path, row), parent
    except BaseException:
        parent.close()
        raise


def refuse_unknown(session: Session, wanted: Wanted, seen: Folder) -> None:
    """Raise `UsageError` when the path asked for is neither in the workspace nor in the recorded dataset."""
    parts = wanted.inside[len(wanted.target.path) + 1 :].split("/") if wanted.inside != wanted.target.path else []
    entry: Entry | None = root_entry(wanted.target.path, wanted.target.meta)
    here: Folder | None = seen
    path = wanted.target.path
    for depth, name in enumerate(parts):
        names = {*here.same, *here.changed, *here.new, *here.gone, *here.lost} if here is not None else set()
        names.update(here.ignored if here is not None else ())
        in_workspace = name in names or (here is not None and name in here.folders)
        if entry is not None and entry.kind == FOLDER:
            try:
                entries = load_entry(session.cache, entry, path, depth)
            except DataMissing:
                return  # cannot be told; whoever needs the listing says so
            entry = next((one for one in entries if one.name == name), None)
        else:
            entry = None
        if entry is None and not in_workspace:
            raise UsageError(
                f"{show(wanted.inside)} is neither in the workspace nor in the dataset {show(wanted.target.path)}",
                hint="Check the spelling.",
            )
        here = here.folders.get(name) if here is not None else None
        path = join(path, name)


def same_content(session: Session, folder: Dir, name: str, path: str, entry: Entry) -> Present | None:
    """Return what to record of a file or link when it is exactly what `entry` says, else None."""
    now = session.now_ns()
    found = folder.lstat(name)
    is_link = stat.S_ISLNK(found.st_mode)
    if is_link or entry.kind == LINK:
        if is_link and entry.kind == LINK and folder.readlink(name) == entry.value:
            return Present(LINK, entry.value, trusted_signature(found, now))
        ours = is_link and session.cache.digest_of_link(folder.readlink(name)) == entry.value and entry.kind == FILE
        return Present(FILE, entry.value, trusted_signature(found, now)) if ours else None
    if found.st_size != entry.size or file_kind(found, entry.kind) != entry.kind:
        return None
    content = read_content(folder, name, path, Digest(entry.value).algorithm, seed=session.seed)
    if content.digest != entry.value:
        return None
    return Present(entry.kind, entry.value, content.signature(now), content.fingerprint)
