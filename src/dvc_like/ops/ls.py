"""`ls`: what a repository tracks, with us and with Git, whether it is here or not."""

from __future__ import annotations

import os

from ..errors import DvcLikeError, gathered
from ..progress import SILENT, Progress
from ..project import Project
from ._reader import open_reader, path_in
from ._sides import hinted
from ._version import Listed


def ls(
    path: str | os.PathLike[str] = "",
    *,
    rev: str | None = None,
    repo: Project | str | os.PathLike[str] | None = None,
    recursive: bool = False,
    dvc_only: bool = False,
    fetch: bool = True,
    failures: list[DvcLikeError] | None = None,
    progress: Progress = SILENT,
) -> list[Listed]:
    """Return what is tracked in a folder (default: the root), or the one path; `recursive`: all files below.

    `rev` and `repo` are those of `open`. Paths in datasets come from their listings, which are brought from the remote
    where the cache lacks them, unless `fetch` is False. `dvc_only` leaves out what Git tracks. What cannot be read is
    added to `failures`; when that is None it is raised at the end.
    """
    wrong: list[DvcLikeError] = []
    with open_reader(repo, rev, fetch=fetch, progress=progress) as reader:
        top = path_in(reader.project, path, from_root=repo is not None or not os.fspath(path))
        found = reader.listing(top, recursive=recursive, dvc_only=dvc_only, failures=wrong)
    wrong = [hinted(error, rev) for error in wrong]
    if failures is not None:
        failures += wrong
    elif wrong:
        raise gathered(wrong)
    return found
