"""Renamed files: what is gone under one name and new under another, told by the digest.

Owns the search. A new file is read only while something of its size is gone, and no more than a bounded number of
bytes in all: this is told for convenience, and `add` records the same without it.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from typing import NamedTuple

from .. import paths
from ..digest import Digest
from ..errors import DvcLikeError
from ..meta.tree import FOLDER, LINK, Entry
from ..paths import RelPath, join
from ..workspace.scan import file_kind, read_content
from ._session import Session
from ._trees import UNFOLD_FREELY, load_entry

MOST_READ = 1 << 30  # bytes
MOST_FILES = 10_000


class Gone(NamedTuple):
    """A recorded file that is not where it was; `holder` is the path it was reported by, itself or a folder."""

    path: RelPath
    entry: Entry
    holder: RelPath


def files_below(session: Session, path: RelPath, entry: Entry, depth: int = 0) -> Iterator[tuple[RelPath, Entry]]:
    """Yield the recorded files and links at and below a path. Raises what `load_entry` does."""
    if entry.kind != FOLDER:
        yield path, entry
    elif entry.files:  # folders in folders alone could unfold without end
        for below in load_entry(session.cache, entry, path, depth):
            yield from files_below(session, join(path, below.name), below, depth + 1)


def find_renames(session: Session, gone: dict[RelPath, Entry], new: list[RelPath]) -> dict[RelPath, Gone]:
    """Return for new files which of the gone ones they are. `gone` and `new` are as they were reported."""
    lost: dict[tuple[int, str], list[Gone]] = {}
    sizes: dict[int, int] = {}
    for holder, entry in gone.items() if new else ():
        if entry.files > UNFOLD_FREELY:
            continue
        try:
            for path, one in files_below(session, holder, entry):
                if one.kind != LINK and one.size:
                    lost.setdefault((one.size, one.kind + one.value), []).append(Gone(path, one, holder))
                    sizes[one.size] = sizes.get(one.size, 0) + 1
        except DvcLikeError:
            continue  # its listing cannot be had: told elsewhere
    found: dict[RelPath, Gone] = {}
    left, files = MOST_READ, MOST_FILES
    for path in new if lost else ():
        key = _key(session, path, sizes, left)
        if key is None:
            continue
        left, files = left - key[0], files - 1
        candidates = lost.get(key, [])
        if candidates:
            name = path.rpartition("/")[2]
            same = next((one for one in candidates if one.path.rpartition("/")[2] == name), candidates[0])
            candidates.remove(same)
            sizes[key[0]] -= 1
            found[path] = same
        if files == 0:
            break
    return found


def _key(session: Session, path: RelPath, sizes: dict[int, int], left: int) -> tuple[int, str] | None:
    """Return size, kind and digest of a new file; None when nothing of its size is gone."""
    name = path.rpartition("/")[2]
    with session.root.descend(paths.parent(path)) as folder:
        status = folder.lstat(name)
        if not stat.S_ISREG(status.st_mode) or not sizes.get(status.st_size) or status.st_size > left:
            return None
        content = read_content(folder, name, paths.parent(path), session.project.algorithm)
    assert isinstance(content.digest, Digest)
    return content.status.st_size, file_kind(content.status) + content.digest
