"""What another tool tracks, in words that are neither its own nor ours.

Owns the values that the readers of DVC and Git LFS hand to `migrate`, and how their objects are found on this machine.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..digest import Digest, of_bytes
from ..errors import CorruptData, UnsafePath
from ..fsutil import Dir
from ..meta.file import Meta
from ..meta.tree import FILE, FOLDER, Entry, encode
from ..paths import RelPath, show

#: What a place says in which nothing can lie.
_NOWHERE = (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)


#: ... and what one says that is no ordinary file of a sound size.
_NO_FILE = (*_NOWHERE, errno.EINVAL, errno.EISDIR, errno.EFBIG, errno.ENXIO)


class Left(NamedTuple):
    """What stays as it is, why, and what would help."""

    path: str
    reason: str
    hint: str = ""
    source: str = "dvc"


class Found(NamedTuple):
    """One tracked path: `origin` is the file that says so, `source` the tool (``dvc`` or ``lfs``).

    `digest` names the file, or with `is_folder` the listing that the other tool keeps; `size` is in bytes, None when it
    is not recorded. `extra` holds further keys for the meta file. `optional` ones are left without a word where
    something of ours or Git tracks them.
    """

    path: RelPath
    origin: str
    source: str
    digest: Digest
    is_folder: bool = False
    size: int | None = None
    files: int | None = None
    executable: bool = False
    remote: str | None = None
    extra: tuple[tuple[str, Any], ...] = ()
    optional: bool = False


def is_there(path: str) -> bool:
    """Tell whether anything is at a path; raise `OSError` where nobody can tell."""
    try:
        os.lstat(path)
    except OSError as error:
        if error.errno not in _NOWHERE:
            raise
        return False
    return True


def read_if_any(root: Dir, name: str, limit: int) -> bytes | None:
    """Return the bytes of a file of another tool, None where there is no such ordinary file of `limit` bytes at most.

    Raises `OSError` where nobody can tell: what it says would be overlooked.
    """
    folder, _, base = name.rpartition("/")
    try:
        with root.descend(folder) as here:
            return here.read(base, limit)
    except UnsafePath:
        return None
    except OSError as error:
        if error.errno not in _NO_FILE:
            raise
        return None


@dataclass(frozen=True)
class Shelf:
    """Where a tool keeps its objects: a folder, and in it the `place` of each, whether it is there or not."""

    root: str
    place: Callable[[Digest], str]

    def size(self, digest: Digest) -> int | None:
        """Return the bytes of an object, None when it is not here. A link is no object.

        Raises `OSError` where nobody can tell.
        """
        try:
            status = os.lstat(self.place(digest))
        except OSError as error:
            if error.errno not in _NOWHERE:
                raise
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None


#: What a folder holds: path below it -> (digest, size).
Listing = Mapping[RelPath, tuple[Digest, int]]


class Plan(NamedTuple):
    """What becomes of one path: its meta file, the trees to write (children first), and the files it needs."""

    found: Found
    meta: Meta
    trees: tuple[bytes, ...]
    files: Listing


@dataclass
class Survey:
    """All that was found, without anything having been changed. `settings` are by level (``project``, ``local``)."""

    found: list[Found] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    settings: dict[str, dict[str, str]] = field(default_factory=lambda: {"project": {}, "local": {}})
    shelves: dict[str, Shelf] = field(default_factory=dict)
    ignores: list[RelPath] = field(default_factory=list)  # the folders with a `.dvcignore` that says something
    attributes: list[RelPath] = field(default_factory=list)  # `.gitattributes` with rules for Git LFS
    uncommitted: set[str] = field(default_factory=set)  # what is here and Git does not know
    gone: list[str] = field(default_factory=list)  # `.dvc` files that a run before this one took away


def trees_of(files: Listing, path: RelPath, algorithm: str) -> tuple[Entry, tuple[bytes, ...]]:
    """Return the entry of a folder that holds just these files, and its trees, children before parents.

    Raises `CorruptData` where a name is a file and a folder.
    """
    top: dict[str, Any] = {}
    for name, file in files.items():
        *folders, last = name.split("/")
        here = top
        for folder in folders:
            here = here.setdefault(folder, {})
            if isinstance(here, tuple):
                raise CorruptData(f"its list of files holds {show(name)} below a file")
        if last in here:
            raise CorruptData(f"its list of files holds {show(name)} twice, as a folder too")
        here[last] = file
    made: list[bytes] = []
    return _tree(top, path.rpartition("/")[2], algorithm, made), tuple(made)


def _tree(node: dict[str, Any], name: str, algorithm: str, made: list[bytes]) -> Entry:
    entries = [
        _tree(below, key, algorithm, made) if isinstance(below, dict) else Entry(key, FILE, below[1], below[0])
        for key, below in node.items()
    ]
    data = encode(entries)
    made.append(data)
    size, files = sum(entry.size for entry in entries), sum(entry.files for entry in entries)
    return Entry(name, FOLDER, size, of_bytes(algorithm, data), files)
