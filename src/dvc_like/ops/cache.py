"""`cache dir`: which folder the objects on this machine lie in, and who says so. Moves nothing."""

from __future__ import annotations

import os
from typing import NamedTuple

from ..config import USER_LEVELS
from ..errors import UsageError
from ..paths import show
from ..project import FOLDER, Project
from .settings import set_setting

_SETTING = "cache.dir"


class CacheDir(NamedTuple):
    """The absolute path of the cache; the level and the file that set it, None for the default."""

    path: str
    level: str | None
    origin: str | None


def cache_dir(project: Project) -> CacheDir:
    """Return the cache's folder and where that comes from."""
    found = project.config.find(_SETTING)
    return CacheDir(project.cache_dir, found.level if found else None, found.path if found else None)


def set_cache_dir(project: Project, typed: str | None, *, level: str = "local") -> Project:
    """Set the cache's folder, or with None go back to the default; return the project as it is configured now.

    Raises `UsageError` for the tracked level, and for what cannot be a cache.
    """
    value = None if typed is None else _value(project, typed, level)
    set_setting(project.config, _SETTING, value, level=level)
    return Project.find(project.root)


def _value(project: Project, typed: str, level: str) -> str:
    full = os.path.abspath(os.path.expanduser(typed))
    if os.path.lexists(full) and not os.path.isdir(full):
        raise UsageError(f"{show(typed)} is there already, and is no folder")
    if not typed.strip() or (_is_in(full, project.root) and not _is_in(full, project.folder)):
        raise UsageError(
            f"{show(typed)!r} lies among the project's own files, where Git would see every object",
            hint=f"Choose a folder below {FOLDER}, or outside of the project.",
        )
    if level in USER_LEVELS or typed.startswith("~") or os.path.isabs(typed):
        return typed if typed.startswith("~") else full
    return os.path.relpath(full, project.root).replace(os.sep, "/")  # the same from every folder of the project


def _is_in(path: str, folder: str) -> bool:
    real = os.path.realpath(folder).rstrip(os.sep) + os.sep
    return f"{os.path.realpath(path)}{os.sep}".startswith(real)
