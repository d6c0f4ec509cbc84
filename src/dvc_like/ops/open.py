"""`open` and `read`: a file of any version of a repository, as a file of Python."""

from __future__ import annotations

import io
import os
from typing import IO, Any

from ..errors import UsageError
from ..paths import show
from ..progress import SILENT, Progress
from ..project import Project
from ._reader import open_reader, path_in


def open(
    path: str | os.PathLike[str],
    mode: str = "r",
    *,
    rev: str | None = None,
    repo: Project | str | os.PathLike[str] | None = None,
    encoding: str = "utf-8",
    newline: str | None = None,
    progress: Progress = SILENT,
) -> IO[Any]:
    """Open a tracked file for reading, whether it is here or not; `mode` is ``r`` for text or ``rb`` for bytes.
    `encoding` and `newline` are those of the built-in `open`.

    `rev` is any revision of Git; without one it is the version that the meta file in the workspace names, whatever
    became of the file itself. `repo` is a project, a folder in one or the URL of a repository of Git, and the path is
    seen from its root; without one it is the project of the current folder, and the path is seen from there. Of a URL
    no more than the one commit is brought; without `rev` it is that of the default branch.

    The bytes come from the cache, the workspace or the remote, and are verified before any is handed out. A file that
    Git tracks can be read too.

    Raises `UsageError` when nothing is tracked there, `DataMissing` when its bytes are nowhere.
    """
    if mode not in ("r", "rt", "rb"):
        raise UsageError(f"mode {show(mode)!r}: a version is only read", hint="Give 'r' for text or 'rb' for bytes.")
    with open_reader(repo, rev, progress=progress) as reader:
        place = path_in(reader.project, path, from_root=repo is not None)
        found = reader.find(place)
        if found is None:
            version = f" in {show(rev)}" if rev is not None else ""
            raise UsageError(f"{show(place)} is not tracked{version}", hint="`dvc-like ls` lists what is.")
        file = reader.open(found)
    return file if mode == "rb" else io.TextIOWrapper(file, encoding, newline=newline)


def read(
    path: str | os.PathLike[str],
    *,
    rev: str | None = None,
    repo: Project | str | os.PathLike[str] | None = None,
    progress: Progress = SILENT,
) -> bytes:
    """Return all bytes of a tracked file; see `open`."""
    with open(path, rev=rev, repo=repo, mode="rb", progress=progress) as file:
        data: bytes = file.read()
    return data
