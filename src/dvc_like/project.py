"""The project: where everything of one repository lies. A frozen value, no verbs.

Owns finding the root from a folder, the places of state and cache (shared between Git worktrees), and the way from
what a user typed to a safe path.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property

from . import paths
from .cache.place import DEFAULT_TYPES
from .config import Config, default_files, is_private
from .digest import DEFAULT
from .errors import ConfigError, NoProject, ProjectError, UsageError
from .git import Git, delivered
from .paths import RelPath, show, typed

FOLDER = ".dvc-like"


@dataclass(frozen=True)
class Project:
    """One initialised repository. `root` is absolute; `git` is None where there is no Git."""

    root: str
    config: Config
    git: Git | None

    @classmethod
    def find(cls, start: str | os.PathLike[str] | None = None) -> Project:
        """Return the project that `start` (default: the current folder) lies in; raise `NoProject`."""
        origin = os.path.abspath(os.fspath(start) if start is not None else os.getcwd())
        here, hint = origin, "Start one with `dvc-like init`, or name its folder with `--cd`."
        while True:
            folder = os.path.join(here, FOLDER)
            if os.path.isdir(folder) and not os.path.islink(folder) and os.path.exists(os.path.join(folder, "config")):
                found = cls(here, Config(default_files(folder)), Git.find(here))
                found._refuse_strange()
                return found
            if os.path.exists(os.path.join(here, ".dvc", "config")):
                hint = "DVC keeps data here: `dvc-like migrate --dry-run` shows what would become of it."
            parent = os.path.dirname(here)
            if parent == here:
                raise NoProject(
                    f"there is no dvc-like project in {show(origin)} or above",
                    hint=hint,
                )
            here = parent

    def _refuse_strange(self) -> None:
        """Raise `ConfigError` where Git tracks the local configuration, and it says what no tracked file may."""
        strange = [one for one in self.config.values if one.level == "local" and is_private(one)]
        if self.git is None or not strange:
            return
        try:
            name = delivered(self.git, f"{FOLDER}/config.local")
        except ProjectError:  # the program git is missing
            return
        if name:
            raise ConfigError(
                f"Git tracks {show(name)}, which sets {show(strange[0].name)}: that may be anybody's word",
                hint=f"Look at it; `git rm --cached {typed(name)}` makes it yours.",
            )

    @property
    def folder(self) -> str:
        """The ``.dvc-like`` folder."""
        return os.path.join(self.root, FOLDER)

    @property
    def tmp(self) -> str:
        """State of this worktree: index and lock."""
        return os.path.join(self.folder, "tmp")

    @cached_property
    def shared_folder(self) -> str:
        """The ``.dvc-like`` folder of the main worktree: its cache serves all worktrees."""
        if self.git is None or self.git.main_top == self.git.top:
            return self.folder
        return os.path.join(self.git.main_top, self.git.prefix, FOLDER)

    @property
    def shared_tmp(self) -> str:
        """State of the cache: what was verified, and the lock that keeps gc out."""
        return os.path.join(self.shared_folder, "tmp")

    @property
    def cache_dir(self) -> str:
        """Where the objects lie."""
        setting = self.config.text("cache.dir", "")
        if not setting:
            return os.path.join(self.shared_folder, "cache")
        return os.path.normpath(os.path.join(self.root, os.path.expanduser(setting)))

    @property
    def link_types(self) -> tuple[str, ...]:
        """How files come into the workspace, the preferred way first."""
        return self.config.words("cache.type", ()) or DEFAULT_TYPES

    @property
    def algorithm(self) -> str:
        """What new objects are named by."""
        return self.config.text("core.hash", DEFAULT)

    @property
    def lock_timeout(self) -> float:
        """Seconds to wait for another process."""
        return self.config.number("core.locktimeout", 60)

    def relative(self, typed: str | os.PathLike[str]) -> RelPath:
        """Return what a user typed (relative to the current folder, or absolute) as a path below the root.

        The root itself is the empty path. Raises `UsageError` outside the project, `UnsafePath` for a bad name.
        """
        text = os.fspath(typed)
        full = os.path.abspath(text)
        for candidate in (full, os.path.join(os.path.realpath(os.path.dirname(full)), os.path.basename(full))):
            for root in (self.root, os.path.realpath(self.root)):
                if candidate == root:
                    return RelPath("")
                if candidate.startswith(root.rstrip(os.sep) + os.sep):
                    inner = candidate[len(root.rstrip(os.sep)) + 1 :]
                    return paths.parse(inner.replace(os.sep, "/"))
        raise UsageError(
            f"{show(text)} is outside the project {show(self.root)}",
            hint="Only what lies in the repository can be tracked: move or copy it there first.",
        )
