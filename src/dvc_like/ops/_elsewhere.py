"""Another repository as a project: `with elsewhere(place, rev) as (project, commit)`.

Owns what stands for it: the project itself where it lies on this machine, else a part of it in the user's cache folder
(`_clone`), with a project over the one commit that is asked for: the configuration that commit has, within the limits
of a tracked file, and the user's. What is read of it goes through the verbs, as with any project.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator

from .. import paths
from ..config import MAX_SIZE, Config, default_files
from ..errors import ConfigError, DvcLikeError, NoProject, UsageError
from ..fsutil import Dir
from ..git import Git
from ..paths import RelPath, is_below, show
from ..progress import SILENT, Progress
from ..project import FOLDER, Project
from ._clone import Clone, clone_of
from ._sources import bare, check_place, folder_of, is_local

_CONFIG = f"{FOLDER}/config"


@contextlib.contextmanager
def elsewhere(
    place: str | os.PathLike[str],
    rev: str | None = None,
    *,
    path: str = "",
    near: Project | None = None,
    workspace: bool = False,
    progress: Progress = SILENT,
) -> Iterator[tuple[Project, str | None]]:
    """Give another repository as a project, and the commit that `rev` is there.

    `place` is a URL that Git understands, or a folder on this machine, seen from the root of `near` or else from the
    current folder. Of a URL `rev` None is the default branch; of a folder HEAD, or with `workspace` what lies there now
    (the commit is None then). Where several projects lie in one repository, it is the one that `path` lies in, seen
    from the top (of a folder: from there); see `path_in`. Where no project is, one without remotes and targets is
    given, so that what Git tracks can be read.

    Raises `UsageError` for a revision that is not there, `RemoteError` when the repository cannot be reached, and
    `UnsafePath` for an address that may be a command. Whether it *may* be reached is for `_sources.reach` to say.
    """
    text = os.fspath(place)
    check_place(text)
    if is_local(text):
        yield _here(folder_of(near, text), path, text, rev, workspace=workspace)
        return
    clone = clone_of(text, progress)
    with progress.task("reading the repository"):
        commit = clone.commit_at(rev)
        project = _project_at(clone, commit, RelPath(path), text)
    yield project, commit


def name_of(place: str | os.PathLike[str]) -> str:
    """Return a repository's address as it may be shown."""
    return show(bare(os.fspath(place)))


def path_in(project: Project, place: str | os.PathLike[str], path: str, near: Project | None = None) -> RelPath:
    """Return a path that was given to `elsewhere` as one seen from the root of the project that it gave."""
    text = os.fspath(place)
    if is_local(text):
        full = os.path.normpath(os.path.join(folder_of(near, text), path))
        inner = os.path.relpath(full, project.root).replace(os.sep, "/")
        return RelPath("") if inner == "." else paths.parse(inner)
    prefix = project.git.prefix if project.git is not None else ""
    return RelPath(path[len(prefix) :].strip("/"))


def _here(folder: str, path: str, place: str, rev: str | None, *, workspace: bool) -> tuple[Project, str | None]:
    if not is_folder(folder):
        raise UsageError(
            f"there is no folder {show(folder)}",
            hint="Check the spelling: a repository is named by a URL or by its folder.",
        )
    inner = folder
    for part in path.split("/"):  # a project in it may begin on the way to the path
        if not os.path.isdir(os.path.join(inner, part)):
            break
        inner = os.path.join(inner, part)
    git = Git.find(folder)
    try:
        project = Project.find(inner)
        if git is not None and not is_below(os.path.realpath(project.root), git.top):
            raise NoProject("")  # one that the whole repository lies in
    except NoProject:
        if git is None:
            raise UsageError(
                f"{show(place)} is neither a dvc-like project nor a Git repository", hint="Check the spelling."
            ) from None
        project = Project(git.top, Config({}), Git.find(git.top))
    if workspace and rev is None:
        return project, None
    if project.git is None:
        raise UsageError(
            f"{show(place)} is no Git repository, so there are no revisions",
            hint="`dvc-like get` without --rev takes what is recorded there now.",
        )
    try:
        return project, project.git.resolve(rev or "HEAD")
    except UsageError:
        raise UsageError(
            f"{show(place)} has no revision {show(rev)!r}" if rev else f"{show(place)} has no commit yet",
            hint="`git log` and `git branch -a` there show what it has." if rev else "Commit there first.",
        ) from None


def is_folder(path: str) -> bool:
    """Tell whether there is a folder; raise `OSError` where nobody can tell."""
    try:
        return stat.S_ISDIR(os.stat(path).st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _project_at(clone: Clone, commit: str, path: RelPath, place: str) -> Project:
    files = {name: oid for oid, name in clone.files_at(commit) if f"/{name}".endswith(f"/{_CONFIG}")}
    roots = [name[: -len(_CONFIG) - 1] for name in files]
    root = max((one for one in roots if is_below(path, one)), key=len, default=None)
    levels = default_files(None)
    if root is not None:
        oid = files[f"{root}/{_CONFIG}" if root else _CONFIG]
        levels["project"] = _kept_config(clone, oid)
    try:
        config = Config(levels)
    except ConfigError as error:
        raise ConfigError(f"{name_of(place)}: {error.message}", hint="Its owner has to mend it.") from None
    return Project(os.path.join(clone.top, "project"), config, clone.seen_from(root or ""))


def _kept_config(clone: Clone, oid: str) -> str:
    """Write the configuration that a commit has beside the clone, under the name of its content; return the path."""
    folder = os.path.join(clone.top, "project", "config")
    full = os.path.join(folder, oid)
    if not os.path.exists(full):
        ((_, data),) = clone.contents([(oid, _CONFIG)])
        if len(data) > MAX_SIZE:
            raise DvcLikeError(f"{name_of(clone.url)}: its {_CONFIG} is larger than {MAX_SIZE} bytes")
        os.makedirs(folder, exist_ok=True)
        with Dir.open_root(folder) as here:
            here.write(oid, data)
    return full
