"""`install` and `uninstall`: at home in a Git repository that exists.

Owns which steps there are, and where Git looks for hooks here: its own folder, `core.hooksPath`, husky's. What a hook
runs is chosen by the user's command and kept in the clone's own configuration; no tracked file has a say.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from ..errors import DvcLikeError, ProjectError, UsageError, gathered
from ..fsutil import Dir
from ..git import Git
from ..paths import show
from ..project import Project
from . import _gitattributes
from ._hook_events import HOOKS, PROJECTS
from ._hook_files import ADDED, BEFORE, REMOVED, UNCHANGED, InstalledFile, Wish, put, take_away

PYTHON = "dvc-like.python"  # in Git's local configuration: the interpreter that hooks run
_HUSKY = ".husky"
_OLDER_HUSKY = '#!/usr/bin/env sh\n. "$(dirname -- "$0")/_/husky.sh"\n\n'
_SHEBANG = "#!/bin/sh\n"


@dataclass(frozen=True)
class HookOptions:
    """Which hooks, and how they behave: `warn` for pre-commit, `verify_only` and `required` for pre-push."""

    hooks: tuple[str, ...] = HOOKS
    warn: bool = False
    verify_only: bool = False
    required: bool = False


@dataclass
class Installed:
    """What became of each file, and what the user should know."""

    files: list[InstalledFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Step(NamedTuple):
    """One part of `install`, and how `uninstall` undoes it. Each tells what it did in the result it is given."""

    add: Callable[[Project, HookOptions, bool, Installed], None]
    remove: Callable[[Project, Installed], None]


class _Home(NamedTuple):
    """Where Git looks for hooks: `lines` when files there belong to others, `header` begins a new one then."""

    folder: str
    lines: bool = False
    header: str = _SHEBANG


def install(project: Project, options: HookOptions = HookOptions(), *, force: bool = False) -> Installed:
    """Install hooks, and drivers for merges and diffs; hooks of ours that are not asked for are taken away.

    Other hooks go on working. Hooks that all repositories of this user or machine share are touched with `force` only.
    """
    unknown = [hook for hook in options.hooks if hook not in HOOKS]
    if unknown:
        raise UsageError(f"there is no hook named {show(unknown[0])!r}", hint=f"Known: {', '.join(HOOKS)}.")
    done = Installed()
    for step in STEPS:
        step.add(project, options, force, done)
    return done


def uninstall(project: Project) -> Installed:
    """Take all hooks and drivers away, for all projects of the repository, and put back what was there before."""
    done = Installed()
    for step in STEPS:
        step.remove(project, done)
    return done


def _add_hooks(project: Project, options: HookOptions, force: bool, done: Installed) -> None:
    git = _git(project)
    home = _home(git, done.notes, force=force)
    os.makedirs(home.folder, exist_ok=True)
    if options.hooks:
        _remember(git)
    failures: list[DvcLikeError] = []
    with Dir.open_root(home.folder) as folder:
        for hook in HOOKS:
            try:
                if hook in options.hooks:
                    done.files.append(put(folder, _wish(hook, options), lines=home.lines, header=home.header))
                else:
                    gone = take_away(folder, hook, home.header)
                    done.files += [gone] if gone is not None else []
            except DvcLikeError as error:
                failures.append(error)
    if failures:
        raise gathered(failures)


def _remove_hooks(project: Project, done: Installed) -> None:
    git = _git(project)
    for name in (PYTHON, PROJECTS):
        git.run("config", "--local", "--unset-all", name, check=False)
    homes = [_home(git, [], force=True), _Home(_own_hooks(git)), _Home(os.path.join(git.top, _HUSKY))]
    for place in dict.fromkeys(home.folder for home in homes):
        if not os.path.isdir(place):
            continue
        header = next(home.header for home in homes if home.folder == place)
        with Dir.open_root(place) as folder:
            found = [take_away(folder, hook, header) for hook in HOOKS]
            done.files += [one for one in found if one is not None]
            done.notes += [
                f"{show(os.path.join(place, hook))} is not ours any more; {hook}{BEFORE} is what was there before."
                for hook in HOOKS
                if folder.exists(hook + BEFORE)
            ]


def _add_drivers(project: Project, options: HookOptions, force: bool, done: Installed) -> None:
    del options, force
    state = ADDED if _gitattributes.add(project) else UNCHANGED
    done.files.append(InstalledFile(_gitattributes.NAME, os.path.join(project.root, _gitattributes.NAME), state))
    if state == ADDED:
        done.notes.append("Datasets are merged file by file, and diffs name their files: commit .gitattributes.")


def _remove_drivers(project: Project, done: Installed) -> None:
    if _gitattributes.remove(project):
        path = os.path.join(project.root, _gitattributes.NAME)
        done.files.append(InstalledFile(_gitattributes.NAME, path, REMOVED))


STEPS = (Step(_add_hooks, _remove_hooks), Step(_add_drivers, _remove_drivers))


def _wish(hook: str, options: HookOptions) -> Wish:
    words = [hook]
    words += ["--warn"] if hook == "pre-commit" and options.warn else []
    words += ["--verify-only"] if hook == "pre-push" and options.verify_only else []
    return Wish(hook, " ".join(words), required=hook == "pre-push" and options.required)


def _git(project: Project) -> Git:
    if project.git is None:
        raise ProjectError("there is no Git here, so there are no hooks", hint="`git init` makes a repository.")
    if project.git.run("rev-parse", "--is-bare-repository").strip() == b"true":
        raise ProjectError(
            f"{show(project.git.git_dir)} is a bare repository, where nothing is ever checked out",
            hint="Install the hooks in a clone or worktree of it.",
        )
    return project.git


def _own_hooks(git: Git) -> str:
    return os.path.join(git.common_dir, "hooks")


def _home(git: Git, notes: list[str], *, force: bool) -> _Home:
    """Find where Git looks for hooks; what is worth knowing about it goes into `notes`."""
    scope, setting = _hooks_path(git)
    if scope in ("global", "system") and not force:
        raise DvcLikeError(
            f"hooks are in {show(setting)} for all repositories of this {'user' if scope == 'global' else 'machine'}",
            hint="`git config --local core.hooksPath .git/hooks` uses this repository's own; --force installs there.",
        )
    folder = os.path.normpath(os.path.join(git.top, setting)) if setting else _own_hooks(git)
    husky = os.path.join(git.top, _HUSKY)
    if os.path.basename(os.path.dirname(folder)) == _HUSKY and os.path.basename(folder) == "_":
        notes.append(f"husky's files are tracked by Git: commit what changed in {_HUSKY}.")
        return _Home(os.path.dirname(folder), lines=True, header="")
    if os.path.basename(folder) == _HUSKY:
        notes.append(f"husky's files are tracked by Git: commit what changed in {_HUSKY}.")
        return _Home(folder, lines=True, header=_OLDER_HUSKY)
    if not setting and os.path.isdir(husky) and not os.path.islink(husky):
        notes.append("husky is not active in this clone yet: its hooks, and so ours, run once it is (npm install).")
        return _Home(husky, lines=True, header="")
    real, top = os.path.realpath(folder), os.path.realpath(git.top) + os.sep
    private = [os.path.realpath(place) + os.sep for place in (git.git_dir, git.common_dir)]
    shared = f"{real}{os.sep}".startswith(top) and not f"{real}{os.sep}".startswith(tuple(private))
    if shared:
        notes.append(f"The hooks in {show(setting or folder)} are in the worktree: commit them if they are shared.")
    return _Home(folder, lines=shared)


def _hooks_path(git: Git) -> tuple[str, str]:
    """Return where `core.hooksPath` is set, and to what; two empty texts when it is not."""
    for scope in ("worktree", "local", "global", "system"):  # each alone: our own calls of Git set it to nothing
        found = git.run("config", f"--{scope}", "--includes", "--type=path", "--get", "core.hooksPath", check=False)
        if found.strip():
            return scope, found.decode(errors="surrogateescape").rstrip("\n")
    return "", ""


def _remember(git: Git) -> None:
    """Note in the clone's configuration what hooks need to know."""
    if sys.executable:
        git.run("config", "--local", PYTHON, sys.executable.replace(os.sep, "/"))
    known = git.run("config", "--local", "--get-all", "-z", PROJECTS, check=False).decode(errors="surrogateescape")
    if git.prefix and git.prefix not in known.split("\0"):
        git.run("config", "--local", "--add", PROJECTS, git.prefix)
