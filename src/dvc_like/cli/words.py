"""Numbers as people write them, and a sentence that several commands say."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

from ..paths import show

if TYPE_CHECKING:  # `--help` needs no project
    from ..project import Project


def human_size(size: float) -> str:
    """Return a size in decimal units: ``1.4 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 999.95:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def plural(number: int, noun: str) -> str:
    """Return ``1 file``, ``2 files``."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def git_hint(project: Project, files: Iterable[str]) -> str:
    """Return how to tell Git of changed meta files; empty where Git is not used, or told already.

    It can be pasted into a shell: paths are seen from the current folder, and quoted where a shell needs that.
    """
    names = list(dict.fromkeys(files))
    if not names or project.git is None or project.config.flag("core.autostage"):
        return ""
    say = typing_from_here(project.root)
    return f"To track the change with Git: git add {' '.join(map(say, names))}"


def typing_from_here(root: str) -> Callable[[str], str]:
    """Return what writes a path of the project as it is typed in the current folder, quoted where a shell needs it."""
    import shlex

    def say(path: str) -> str:
        try:
            seen = os.path.relpath(os.path.join(root, path)).replace(os.sep, "/")
        except FileNotFoundError:
            seen = path  # the current folder went away with its data
        return shlex.quote(show(f"./{seen}" if seen[0] in "-:" else seen))

    return say


#: The letters for what an entry is.
KINDS = {"f": "file", "x": "executable", "l": "link", "d": "folder"}
