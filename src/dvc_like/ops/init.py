"""`init`: make a folder a project."""

from __future__ import annotations

import os

from ..errors import ProjectError, UsageError
from ..fsutil import Dir
from ..git import Git
from ..project import FOLDER, Project

_IGNORED = b"/config.local\n/tmp\n/cache\n"


def init(
    folder: str | os.PathLike[str] | None = None, *, git: bool = True, subdir: bool = False, force: bool = False
) -> Project:
    """Make `folder` (default: the current one) a project and return it.

    `git=False` does without Git. `subdir` allows a folder below the top of the Git repository. With `force` an
    existing project is fine and keeps everything it has.
    """
    root = os.path.abspath(os.fspath(folder) if folder is not None else os.getcwd())
    os.makedirs(root, exist_ok=True)
    repository = Git.find(root) if git else None
    if git and repository is None:
        raise ProjectError(
            f"{root} is not in a Git repository",
            hint="Run `git init` first, or `dvc-like init --no-git` to do without Git.",
        )
    if repository is not None and repository.prefix and not subdir:
        raise ProjectError(
            f"{root} is not the top of its Git repository ({repository.top})",
            hint="Run it there, or use `dvc-like init --subdir` for a project of its own here.",
        )
    if repository is None and subdir:
        raise UsageError("--subdir needs a Git repository around")
    with Dir.open_root(root) as top:
        if top.exists(FOLDER) and top.exists(f"{FOLDER}/config") and not force:
            raise ProjectError(
                f"{root} is a dvc-like project already", hint="Nothing to do; `--force` fills in what is missing."
            )
        with top.sub(FOLDER, create=True) as own:
            if not own.exists(".gitignore"):
                own.write(".gitignore", _IGNORED)
            if not own.exists("config"):
                own.write("config", b"")
    if repository is not None:
        repository.stage([f"{FOLDER}/.gitignore", f"{FOLDER}/config"])
    return Project.find(root)
