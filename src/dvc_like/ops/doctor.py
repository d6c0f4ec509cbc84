"""`doctor`: what this installation and project are made of, what is wrong with them, and what mends it.

Owns the checks. They change nothing but for a scratch file that shows which links work, and contact remotes only to
look. What is wrong is in the answer, not raised; no secret is.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ..config import LEVELS, Config, Value, default_files, meaning, split_name
from ..errors import DvcLikeError, NoProject, UsageError
from ..git import delivered, ignores
from ..git import version as git_version
from ..paths import show
from ..progress import SILENT, Progress
from ..project import FOLDER, Project
from ..remote.registry import built_in, redact, scheme_of
from ._machine import Disk, Packages, disk, packages, try_links
from ._session import open_session
from ._sources import UrlSource, source_of
from ._tracked import walk
from .remote_test import Step, Tested, try_remote

TIME_LIMIT = 10.0  # seconds for all remotes together
_UNKNOWN = "is no setting"
_LITTLE = 1 << 30  # bytes; a disk with less, and less than a hundredth of it, is nearly full
_PRIVATE = (f"{FOLDER}/config.local", f"{FOLDER}/tmp", f"{FOLDER}/cache")


class Problem(NamedTuple):
    """Something that is wrong, and the command or the step that mends it."""

    what: str
    mend: str


class Import(NamedTuple):
    """A target that was imported, and the URL or repository (with the path there) that `update` would ask."""

    path: str
    source: str


class Level(NamedTuple):
    """A file of the configuration, and whether it is there."""

    name: str
    path: str
    exists: bool


@dataclass
class Diagnosis:
    """What was found. Without a project, what belongs to one is empty or None; `git` is None when it cannot be run."""

    python: str
    platform: str
    git: str | None
    packages: Packages
    levels: list[Level] = field(default_factory=list)
    root: str | None = None
    targets: int | None = None
    imports: list[Import] = field(default_factory=list)
    workspace: Disk | None = None
    cache: Disk | None = None
    links: dict[str, bool] = field(default_factory=dict)
    link_types: tuple[str, ...] = ()
    remotes: list[Tested] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def doctor(
    folder: str | os.PathLike[str] | None = None,
    *,
    remotes: bool = True,
    time_limit: float = TIME_LIMIT,
    progress: Progress = SILENT,
) -> Diagnosis:
    """Look at the project that `folder` (default: the current one) lies in, and at what it runs on.

    Remotes are only read from, and given `time_limit` seconds in all; without `remotes` they are not contacted.
    """
    found = Diagnosis(
        f"{platform.python_implementation()} {platform.python_version()}", platform.platform(), _git(), packages()
    )
    try:
        project = _find(folder, found)
    except DvcLikeError as error:
        _wrong(found, error.message, error.hint or "Correct the file.")
        project = None
    if project is None:
        return found
    found.root = project.root
    for check in (_check_settings, _check_git, _check_disks, _check_targets):
        try:
            check(project, found)
        except DvcLikeError as error:
            _wrong(found, error.message, error.hint or "See `dvc-like --help`.")
        except OSError as error:
            _wrong(found, f"{show(str(error.filename or project.root))}: {error.strerror}", "Check who owns it.")
    if remotes:
        with progress.task("trying remotes"):
            found.remotes = _try_remotes(project, time_limit)
    for one in found.remotes:
        for step in one.steps:
            if not step.ok:
                _wrong(
                    found,
                    f"remote {one.name}: cannot {step.name}: {step.problem}",
                    step.hint or f"`dvc-like remote test {one.name}` tries more.",
                )
    return found


def _find(folder: str | os.PathLike[str] | None, found: Diagnosis) -> Project | None:
    """Return the project, None when there is none; the user's and the machine's settings are read all the same."""
    files = default_files(None)
    found.levels = _levels(files)
    try:
        project = Project.find(folder)
    except NoProject:
        Config(files)
        return None
    found.levels = _levels(project.config.files)
    return project


def _wrong(found: Diagnosis, what: str, mend: str) -> None:
    found.problems.append(Problem(what, mend))


def _git() -> str | None:
    try:
        return git_version()
    except DvcLikeError:
        return None


def _levels(files: dict[str, str]) -> list[Level]:
    return [Level(level, files[level], os.path.exists(files[level])) for level in LEVELS if level in files]


# ------------------------------------------------------------------------------ checks


def _check_settings(project: Project, found: Diagnosis) -> None:
    config = project.config
    remotes = config.remotes()
    for value in config.values:
        reason = _bad_setting(config, value)
        if reason:
            mend = "Correct the name, or remove the line."
            if reason != _UNKNOWN:
                mend = f"`dvc-like config --{value.level} {show(value.name)} VALUE`"
            _wrong(found, f"{show(value.name)} in {value.path} {reason}", mend)
    named = {value.name.split(".", 1)[1].rpartition(".")[0] for value in config.values if _of_remote(value)}
    for name in sorted(named.difference(remotes)):
        _wrong(found, f"remote {show(name)} has no url", f"`dvc-like remote add {show(name)} URL`")
    default = config.get("core.remote")
    if default and default not in remotes:
        mend = "`dvc-like remote default --unset`, or name one of: " + (", ".join(remotes) or "(none is configured)")
        _wrong(found, f"the default remote {show(default)} is not configured", mend)


def _of_remote(value: Value) -> bool:
    return value.name.startswith("remote.") and value.name.count(".") > 1


def _bad_setting(config: Config, value: Value) -> str:
    """Return what ails a setting, without its text; empty when nothing does."""
    if _of_remote(value):
        url = config.get(f"{value.name.rpartition('.')[0]}.url")
        if not built_in(scheme_of(url)):
            return ""  # what a plug-in reads is for it to say
    try:
        split_name(value.name)
    except UsageError:
        return _UNKNOWN
    try:
        meaning(value.name, value.text)
    except ValueError as error:
        return str(error)
    return ""


def _check_git(project: Project, found: Diagnosis) -> None:
    git = project.git
    if git is None:
        return
    if found.git is None:
        _wrong(found, "git is not installed, or not on the PATH", "Install git: `add`, `gc` and --rev need it.")
        return
    for path in dict.fromkeys(filter(None, [*git.tracked(_PRIVATE), delivered(git, _PRIVATE[0])])):
        _wrong(found, f"Git tracks {path}, which may hold secrets or data", f"`git rm -r --cached {path}`")
    ignored = ignores(git, _PRIVATE)
    open_ = [path for path in _PRIVATE if path not in ignored and os.path.exists(os.path.join(project.root, path))]
    if open_:
        mend = f"Add `/config.local`, `/tmp` and `/cache` to {FOLDER}/.gitignore."
        if not os.path.exists(os.path.join(project.folder, ".gitignore")):
            mend = "`dvc-like init --force`"
        _wrong(found, f"Git does not ignore {', '.join(open_)}", mend)


def _check_disks(project: Project, found: Diagnosis) -> None:
    found.link_types = project.link_types
    found.workspace, found.cache = disk(project.root), disk(project.cache_dir)
    for place in dict.fromkeys([found.workspace, found.cache]):
        if place.free < min(_LITTLE, place.total // 100):
            _wrong(
                found,
                f"the disk of {show(place.path)} is nearly full ({place.free >> 20} MiB free)",
                "`dvc-like gc --workspace`",
            )
    with open_session(project):
        pass  # what stands in the way of every command is raised here
    if not os.path.isdir(project.cache_dir):
        return  # the first add makes it
    found.links = try_links(project.cache_dir, project.tmp)
    first = project.config.get("cache.type") and project.link_types[0]
    if first and not found.links[first]:
        works = [kind for kind, does in found.links.items() if does]
        _wrong(
            found,
            f"cache.type asks for {first}, which does not work between {show(project.cache_dir)} and the workspace",
            f"`dvc-like config --local cache.type {works[0] if works else 'copy'}`",
        )


def _check_targets(project: Project, found: Diagnosis) -> None:
    failures: list[DvcLikeError] = []
    with open_session(project) as session:
        targets = list(walk(session.root, failures=failures))
        found.targets = len(targets)
        for target in targets:
            try:
                source = source_of(target.meta, target.meta_path)
            except DvcLikeError as refused:
                failures.append(refused)
                continue
            if source is not None:
                place = source.url if isinstance(source, UrlSource) else f"{source.repo} {source.path}"
                found.imports.append(Import(target.path, place))
    for error in failures:
        _wrong(found, error.message, error.hint or "`git checkout` an older version of it.")


# ------------------------------------------------------------------------------ remotes


def _try_remotes(project: Project, time_limit: float) -> list[Tested]:
    """Try all remotes at once; one that does not answer in time is left behind."""
    answers: dict[str, Tested] = {}

    def ask(name: str, url: str) -> None:
        try:
            answers[name] = try_remote(project, name, write=False)
        except DvcLikeError as error:
            answers[name] = _failed(name, url, error.message, error.hint)
        except Exception as error:  # of a plug-in, perhaps: its text may hold a secret
            answers[name] = _failed(name, url, type(error).__name__, "")

    urls = {name: options["url"] for name, options in project.config.remotes().items()}
    asking = [threading.Thread(target=ask, args=each, daemon=True) for each in urls.items()]
    for thread in asking:
        thread.start()
    deadline = time.monotonic() + time_limit
    for thread in asking:
        thread.join(max(0.0, deadline - time.monotonic()))
    return list(_in_time(dict(answers), urls, time_limit))


def _in_time(answers: dict[str, Tested], urls: dict[str, str], time_limit: float) -> Iterator[Tested]:
    for name, url in urls.items():
        late = f"no answer within {time_limit:g} seconds"
        yield answers.get(name) or _failed(name, url, late, "Look at the network, the url and the endpoint.")


def _failed(name: str, url: str, problem: str, hint: str) -> Tested:
    return Tested(name, redact(url), "", (Step("open", problem, hint),))
