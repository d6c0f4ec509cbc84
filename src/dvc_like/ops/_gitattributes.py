"""How Git is told to merge and to show meta files: a line in `.gitattributes`, and what it means in Git's own config.

Owns that line and those settings, one step of `install` and `uninstall`. The line is for everybody who has the
repository; the commands it stands for are each clone's own, for no repository may bring commands along.
"""

from __future__ import annotations

import os
import shlex
import sys

from ..errors import ProjectError, UnsafePath
from ..fsutil import Dir
from ..git import Git
from ..project import Project

NAME = ".gitattributes"
LINE = "*.meta merge=dvc-like diff=dvc-like"
_MAX_SIZE = 16 << 20


def add(project: Project) -> bool:
    """Let Git merge and show meta files by dvc-like; return whether anything had to change."""
    git = _git(project)
    with Dir.open_root(project.root) as root:
        lines = _read(root)
        is_new = LINE not in map(str.strip, lines)
        if is_new:
            end = "\r\n" if lines and lines[0].endswith("\r\n") else "\n"
            if lines and not lines[-1].endswith("\n"):
                lines[-1] += end
            _write(root, [*lines, LINE + end])
    for name, value in _settings(git).items():
        if git.run("config", "--local", "--get", name, check=False).decode().rstrip("\n") != value:
            git.run("config", "--local", name, value)
            is_new = True
    return is_new


def remove(project: Project) -> bool:
    """Take back what `add` did; a `.gitattributes` that is left empty is deleted. Return whether anything was there."""
    git = _git(project)
    with Dir.open_root(project.root) as root:
        lines = _read(root)
        kept = [line for line in lines if line.strip() != LINE]
        was_there = len(kept) < len(lines)
        if was_there and kept:
            _write(root, kept)
        elif was_there:
            root.unlink(NAME)
    for section in ("merge.dvc-like", "diff.dvc-like"):
        if git.run("config", "--local", "--get-regexp", f"^{section}\\.", check=False):
            git.run("config", "--local", "--remove-section", section)
            was_there = True
    return was_there


def _settings(git: Git) -> dict[str, str]:
    command = _command()
    place = f" --project {shlex.quote(git.prefix)}" if git.prefix else ""
    return {
        "merge.dvc-like.name": "dvc-like: datasets are merged file by file",
        "merge.dvc-like.driver": f"{command.replace('%', '%%')} git-merge %O %A %B %P",
        # Not cached by Git: what it shows of a dataset depends on which listings are here.
        "diff.dvc-like.textconv": f"{command} git-textconv{place}",
        "diff.dvc-like.cachetextconv": "false",
    }


def _command() -> str:
    """Return how a shell starts dvc-like: as found on the PATH, else where this interpreter has it."""
    folder = os.path.dirname(sys.executable)
    if os.name == "posix" and os.access(os.path.join(folder, "dvc-like"), os.X_OK):
        return f'PATH="$PATH":{shlex.quote(folder)} dvc-like'
    return "dvc-like"


def _git(project: Project) -> Git:
    if project.git is None:
        raise ProjectError("there is no Git here", hint="`git init` makes a repository.")
    return project.git


def _read(root: Dir) -> list[str]:
    """Return the lines, each with its own end."""
    try:
        text = root.read(NAME, _MAX_SIZE).decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise UnsafePath(
            f"{root.path}/{NAME} is a link or no ordinary file ({error.strerror})",
            hint="Replace it by a real file: dvc-like does not write through links.",
        ) from None
    return [f"{line}\n" for line in text.split("\n")[:-1]] + [line for line in text.split("\n")[-1:] if line]


def _write(root: Dir, lines: list[str]) -> None:
    mode = root.lstat(NAME).st_mode & 0o777 if root.exists(NAME) else 0o666
    root.write(NAME, "".join(lines).encode("utf-8", "surrogateescape"), mode=mode)
