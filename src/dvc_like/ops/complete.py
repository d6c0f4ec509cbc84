"""What a word on the command line could become: tracked paths (also those that are not here), remotes, settings.

Owns the bounds: one folder or one listing is looked into, no remote is asked, and nothing is hashed but that listing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice

from .. import paths
from ..config import names
from ..digest import Digest
from ..errors import DvcLikeError
from ..fsutil import Dir
from ..meta.file import MAX_SIZE, SUFFIX
from ..meta.tree import Entry, parse
from ..paths import RelPath, join
from ..project import FOLDER, Project
from ._session import Session, open_session
from ._tracked import Target, enclosing, is_ours

MOST = 500  # so many candidates nobody reads
_LOOKED_AT = 5_000  # entries of one folder, or below one
_DEEP = 50


def remotes() -> list[str]:
    """Return the names of the remotes."""
    return list(Project.find().config.remotes())


def settings() -> list[str]:
    """Return the names of all settings, those of each remote among them."""
    return names(remotes())


def options_of_remotes() -> list[str]:
    """Return what a remote may be set to."""
    return [name.rpartition(".")[2] for name in names(["x"]) if name.startswith("remote.")]


def targets(typed: str) -> list[str]:
    """Return what `typed` could be the beginning of: targets, paths inside them, and folders that lead to some.

    The latter end with a slash. A way that does not fork is followed to its end.
    """
    project = Project.find()
    found: list[str] = []
    with open_session(project) as session:
        for _ in range(_DEEP):
            before, slash, begin = typed.rpartition("/")
            here = project.relative(before + slash or os.curdir)
            way, found = found, [before + slash + name for name in _names(session, here, begin)]
            if len(found) != 1 or not found[0].endswith("/"):
                return sorted(found or way)[:MOST]
            typed = found[0]
    return found


def _names(session: Session, here: RelPath, begin: str) -> Iterator[str]:
    holder = enclosing(session.root, here) if here else None
    if holder is not None:
        yield from (name for name in _inside(session, holder, here) if name.startswith(begin))
        return
    folders = []
    with session.root.descend(here) as folder:
        for entry in islice(folder.entries(), _LOOKED_AT):
            if not entry.name.startswith(begin) or entry.name in (FOLDER, ".git"):
                continue
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
            elif entry.name.endswith(SUFFIX) and _is_meta(folder, entry.name):
                yield entry.name[: -len(SUFFIX)]
        left = [_LOOKED_AT * 4]  # of all of them together: a stranger's repository may have any number
        for name in folders:
            if not _is_meta(folder, name + SUFFIX) and _leads(folder, name, left):
                yield name + "/"


def _is_meta(folder: Dir, name: str) -> bool:
    try:
        return is_ours(folder.read(name, MAX_SIZE))
    except OSError:
        return False


def _leads(folder: Dir, name: str, left: list[int]) -> bool:
    """Tell whether a meta file lies somewhere below; where looking takes too long, it may."""
    try:
        with folder.sub(name) as below:
            subfolders = []
            for entry in below.entries():
                left[0] -= 1
                if left[0] < 0:
                    return True
                if entry.is_dir(follow_symlinks=False):
                    subfolders.append(entry.name)
                elif entry.name.endswith(SUFFIX) and _is_meta(below, entry.name):
                    return True
            return any(_leads(below, sub, left) for sub in subfolders if sub not in (FOLDER, ".git"))
    except RecursionError:
        return True
    except (OSError, DvcLikeError):
        return False


def _inside(session: Session, holder: Target, here: RelPath) -> Iterator[str]:
    """Yield what a folder of a dataset lists; where the listing is not in the cache, what is in the workspace."""
    digest: Digest | None = holder.meta.digest if holder.meta.is_folder else None
    path = holder.path
    for part in [*here[len(path) + 1 :].split("/")] if here != path else []:
        entries = _listed(session, digest, path)
        digest = next((Digest(one.value) for one in entries if (one.name, one.kind) == (part, "d")), None)
        path = join(path, part)
    entries = _listed(session, digest, path)
    if entries:
        yield from (one.name for one in entries)
        return
    with session.root.descend(paths.parent(here)) as parent, parent.sub(here.rpartition("/")[2]) as folder:
        yield from [entry.name for entry in islice(folder.entries(), _LOOKED_AT)]


def _listed(session: Session, digest: Digest | None, path: str) -> list[Entry]:
    data = session.cache.peek_tree(digest) if digest is not None else None
    return parse(data, path) if data is not None else []
