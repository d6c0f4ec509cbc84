"""A version made up of one object that is known by its digest alone.

Owns finding out what the object is, a file or a folder, and how large, in the cache or on a remote.
"""

from __future__ import annotations

import os

from .. import paths
from ..digest import Digest, file_ident, file_key, tree_key
from ..errors import DataMissing
from ..meta.file import Meta
from ..meta.tree import LINK
from ..meta.tree import parse as parse_tree
from ..progress import SILENT, Progress
from ..project import Project
from ._objects import Objects
from ._reader import Reader
from ._tracked import Target


def object_reader(
    project: Project, digest: Digest, name: str, *, remote: str = "", progress: Progress = SILENT
) -> Reader:
    """Return a reader of a version in which one object, a file or a folder, is tracked under a name and nothing else.

    Raises `DataMissing` when the object is neither in the cache nor on the remote.
    """
    path = paths.parse(name)
    objects = Objects(project, keep=True, progress=progress)
    try:
        meta = _meta_of(objects, digest, remote)
    finally:
        objects.close()
    return Reader(project, targets={path: Target(path, meta)}, progress=progress)


def _meta_of(objects: Objects, digest: Digest, remote: str) -> Meta:
    """Return what a meta file would say of an object, looked for in the cache first."""
    file = objects.cached(digest, digest)
    if file is not None:
        with file:
            return Meta(digest, os.fstat(file.fileno()).st_size, None, remote=remote or None)
    tree = objects.cache.read_tree(digest)
    if tree is None:
        ident, key = file_ident(digest), file_key(digest)
        place, info = objects.ask(
            remote,
            lambda store: (store.packs.find([ident]).get(ident), store.stat([key]).get(key)),
            lambda result: not any(result),
        )
        size = place.member.size if place is not None else info.size if info is not None else None
        if size is not None:
            return Meta(digest, size, None, remote=remote or None)
        tree = objects.tree(digest, remote)
    if tree is None:
        raise DataMissing(
            f"{digest} is neither in the cache nor on the remote", hint="Run `dvc-like push` where it is."
        )
    entries = parse_tree(tree, tree_key(digest))
    size = sum(entry.size for entry in entries if entry.kind != LINK)
    return Meta(digest, size, sum(entry.files for entry in entries), remote=remote or None)
