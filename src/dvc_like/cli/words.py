"""Numbers as people write them, and a sentence that several commands say."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable
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
    import shlex

    try:
        here = os.path.relpath(project.root).replace(os.sep, "/")
    except FileNotFoundError:
        here = "."  # the current folder went away with its data
    listed = [name if here == "." else posixpath.normpath(f"{here}/{name}") for name in names]
    words = [shlex.quote(show(f"./{name}" if name[0] in "-:" else name)) for name in listed]
    return f"To track the change with Git: git add {' '.join(words)}"


#: The letters for what an entry is.
KINDS = {"f": "file", "x": "executable", "l": "link", "d": "folder"}
