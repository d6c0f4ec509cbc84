"""State counts only where it was made here.

Git can deliver anything below ``.dvc-like/tmp``: links to other people's files, databases that do more than hold rows
(SQLite runs what their schema says, and deletes what their journal names), an index with paths that lead away. Owns the
mark that no clone brings along: what lies in ``.git`` is never delivered. It is a secret as well, which seeds the
fingerprints: else a stranger could make two files of which one passes for the other.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat

from ..errors import UnsafePath
from ..fsutil import CREATE, READ, Dir, read_all, write_all
from ..locks import lock
from ..paths import show
from ..project import Project
from ._record import FOLDER as RECORDS
from ._record import MARK

_KEY = "dvc-like-state"  # in Git's own folder
_MAX = 64


def claim(project: Project) -> int:
    """Empty the folders of state, unless they were made in this very repository; return the seed of fingerprints.

    Without Git nobody delivers any. What is lost is found again: state is never needed. The records of `undo` are no
    state, but what a stranger did is nobody else's to take back.
    """
    folders = dict.fromkeys((project.tmp, project.shared_tmp))
    records = os.path.join(project.folder, RECORDS)
    for folder in folders:
        if os.path.islink(folder):
            raise UnsafePath(f"{show(folder)} is a link; nothing is written through it", hint="Remove the link.")
    if project.git is None:
        for folder in folders:
            _make(folder)
        place, strange = os.path.join(project.tmp, MARK), []
    else:
        place = os.path.join(project.git.common_dir, _KEY)
        key = _text(place)
        there = [*folders, *([records] if os.path.isdir(records) and not os.path.islink(records) else [])]
        strange = [folder for folder in there if not key or _text(os.path.join(folder, MARK)) != key]
    if key := "" if strange else _text(place):
        return _seed(key)
    try:
        with lock(place, timeout=project.lock_timeout, note=False) as fd:  # who looks again finds what another made
            key = read_all(fd, _MAX).decode("ascii", "replace")
            if not key:
                key = os.urandom(16).hex()
                write_all(fd, key.encode())
            for folder in strange:
                if _text(os.path.join(folder, MARK)) != key:
                    _begin(folder, key)
    except OSError as error:  # Git's folder is not ours to write to: what is not there yet, nobody delivered
        for folder in strange:
            if os.path.lexists(folder):
                raise UnsafePath(
                    f"{show(folder)} may not have been made here, and cannot be made anew: {error.strerror}",
                    hint="Git may have delivered it. Remove it, or let somebody run `dvc-like status` who may write.",
                ) from None
            _make(folder)
    return _seed(key)


def _seed(key: str) -> int:
    """Return 64 bits of a key; of none, or of what is no key of ours, nobody can know that it is secret."""
    return int(key[:16], 16) if re.fullmatch("[0-9a-f]{32}", key) else 0


def _text(path: str) -> str:
    """Return what a small file holds, never through a link: one could lead to the key itself."""
    with contextlib.suppress(OSError):
        fd = os.open(path, READ)
        try:
            return os.read(fd, _MAX).decode("ascii", "replace") if stat.S_ISREG(os.fstat(fd).st_mode) else ""
        finally:
            os.close(fd)
    return ""


def _begin(folder: str, key: str) -> None:
    """Make a folder of state with nothing in it but its mark."""
    if os.path.lexists(folder):
        import shutil  # only after a clone

        if os.path.isdir(folder):
            try:
                shutil.rmtree(folder)
            except RecursionError:
                raise UnsafePath(
                    f"{show(folder)} was not made here, and is nested too deeply to be emptied", hint="Remove it."
                ) from None
        else:
            os.unlink(folder)
    _make(folder)
    if os.path.isdir(folder):
        with Dir.open_root(folder) as here:
            here.write(MARK, key.encode())


def _make(folder: str) -> None:
    if os.path.isdir(folder):
        return
    with contextlib.suppress(OSError):
        os.makedirs(folder)
        fd = os.open(os.path.join(folder, ".gitignore"), CREATE)
        try:
            write_all(fd, b"*\n")  # also where a worktree's branch has no `.dvc-like/.gitignore`
        finally:
            os.close(fd)
