"""From what a user named to the targets meant: meta files in the workspace or in other revisions.

Owns the walk that finds meta files, which ``.meta`` files are ours (other programs use the suffix too), and the
meaning of a path: a target, its meta file, a path inside a tracked folder, or a folder with targets below.
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from .. import paths
from ..errors import BadMeta, DvcLikeError, ProjectError, UsageError, gathered
from ..fsutil import Dir, is_temp
from ..git import Git
from ..meta.file import MAX_SIZE, SUFFIX, Meta, parse
from ..paths import RelPath, is_below, show
from ..project import FOLDER, Project
from ._scope import Scope, escape

_CONFIG = f"{FOLDER}/config"


class Target(NamedTuple):
    """A tracked path and what its meta file says."""

    path: RelPath
    meta: Meta

    @property
    def meta_path(self) -> RelPath:
        """Where the meta file lies."""
        return RelPath(self.path + SUFFIX)


class Wanted(NamedTuple):
    """A target, and what of it is asked for: the path `inside` it (the target itself when all of it is), and of that
    `only` what patterns match.
    """

    target: Target
    inside: RelPath
    only: Scope | None = None

    @property
    def is_whole(self) -> bool:
        """Tell whether the whole target is asked for."""
        return self.inside == self.target.path and self.only is None

    @property
    def patterns(self) -> list[str]:
        """What of the target is asked for, as patterns; none when that may be all of it."""
        if self.only is not None and self.only.patterns:
            return self.only.patterns
        return [] if self.inside == self.target.path else [escape(self.inside)]

    def asks(self, path: str) -> bool:
        """Tell whether a file is asked for, or a folder as such."""
        return is_below(path, self.inside) and (self.only is None or self.only.asks(path))

    def asks_all(self, path: str) -> bool:
        """Tell whether a folder and all that it can hold are asked for."""
        return is_below(path, self.inside) and (self.only is None or self.only.asks_all(path))

    def enters(self, path: str) -> bool:
        """Tell whether something at or below a path may be asked for."""
        near = is_below(path, self.inside) or is_below(self.inside, path)
        return near and (self.only is None or self.only.asks(path) or self.only.enters(path))


@dataclass(frozen=True)
class Selection:
    """Which targets of which revisions. Empty: every target of the workspace.

    With `glob` the targets are patterns over all that is tracked, present or not. A `profile` leaves out what that does
    not ask for and is not here; where neither it nor a target is named, `core.profile` is meant.
    """

    targets: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ()
    all_branches: bool = False
    all_tags: bool = False
    all_commits: bool = False
    glob: bool = False
    profile: str = ""

    @property
    def has_revisions(self) -> bool:
        """Tell whether other revisions than the workspace are asked for."""
        return bool(self.revisions or self.all_branches or self.all_tags or self.all_commits)


def is_ours(data: bytes) -> bool:
    """Tell whether a file called ``*.meta`` is a meta file of ours, be it a damaged one.

    Game engines and TensorFlow write ``.meta`` files too: those have no line that begins with ``hash:``.
    An empty one counts as ours, since taking it for a stranger's could cost its data.
    """
    return len(data) <= MAX_SIZE and (not data.strip() or re.search(rb"^hash:", data, re.M) is not None)


def read_target(root: Dir, path: RelPath) -> Target | None:
    """Return the target at `path`, or None when no meta file of ours is there. Raises `BadMeta`."""
    try:
        with root.descend(paths.parent(path)) as folder:
            return _read(folder, path)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _read(folder: Dir, path: RelPath) -> Target | None:
    name = path.rpartition("/")[2] + SUFFIX
    try:
        data = folder.read(name, MAX_SIZE)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.EFBIG:
            return None  # too large to be one of ours
        raise BadMeta(f"{show(path + SUFFIX)} cannot be read: {error.strerror}") from None
    return Target(path, parse(data, path + SUFFIX)) if is_ours(data) else None


def walk(root: Dir, below: RelPath = RelPath(""), failures: list[DvcLikeError] | None = None) -> Iterator[Target]:
    """Yield every target below a folder. Bad meta files are gathered in `failures`, or raised when it is None."""
    try:
        with root.descend(below) as folder:
            yield from _walk(folder, below, failures)
    except (FileNotFoundError, NotADirectoryError):
        return


def _walk(folder: Dir, path: RelPath, failures: list[DvcLikeError] | None) -> Iterator[Target]:
    metas, folders = [], []
    for entry in folder.entries():
        name = entry.name
        if path and name in (FOLDER, ".git"):
            return  # another project, or another repository, begins here
        if entry.is_dir(follow_symlinks=False):
            folders.append(name)
        elif name.endswith(SUFFIX) and len(name) > len(SUFFIX) and entry.is_file(follow_symlinks=False):
            metas.append(name[: -len(SUFFIX)])
    tracked = set()
    for name in sorted(metas):
        try:
            target = _read(folder, paths.join(path, paths.check_name(name)))
        except DvcLikeError as error:
            tracked.add(name)
            if failures is None:
                raise
            failures.append(error)
            continue
        if target is not None:
            tracked.add(name)
            yield target
    if path.count("/") >= paths.MAX_DEPTH:
        return  # no path below may be tracked
    for name in sorted(folders):
        if name in tracked or is_temp(name) or name in (FOLDER, ".git"):
            continue
        try:
            below = folder.sub(name)
        except FileNotFoundError:
            continue
        except PermissionError as error:
            unlisted = DvcLikeError(f"{show(f'{path}/{name}' if path else name)}: {error.strerror}")
            if failures is None:
                raise unlisted from None
            failures.append(unlisted)
            continue
        with below:
            yield from _walk(below, RelPath(f"{path}/{name}" if path else name), failures)


def select(
    project: Project, root: Dir, named: tuple[str, ...], failures: list[DvcLikeError] | None = None
) -> list[Wanted]:
    """Return what the named paths (none: everything) mean in the workspace.

    All are looked at; what is wrong is added to `failures`, or raised at the end when that is None.
    """
    found: list[Wanted] = []
    wrong: list[DvcLikeError] = [] if failures is None else failures
    if not named:
        found = [Wanted(target, target.path) for target in walk(root, failures=wrong)]
    for text in named:
        try:
            found += _meaning(root, project.relative(text), text, wrong)
        except DvcLikeError as error:
            wrong.append(error)
    if wrong and failures is None:
        raise gathered(wrong)
    return list({(wanted.target.path, wanted.inside): wanted for wanted in found}.values())


def _meaning(root: Dir, path: RelPath, typed: str, failures: list[DvcLikeError]) -> list[Wanted]:
    holder = enclosing(root, path)
    if holder is not None:
        return [Wanted(holder, path)]
    if path.endswith(SUFFIX):
        named = read_target(root, RelPath(path[: -len(SUFFIX)]))
        if named is not None:
            return [Wanted(named, named.path)]
    below = [Wanted(target, target.path) for target in walk(root, path, failures)]
    if below:
        return below
    if failures:
        return []
    raise UsageError(
        f"{show(typed)} is not tracked, and nothing below it is",
        hint="`dvc-like status -v` lists what is tracked; `dvc-like add` tracks more.",
    )


def enclosing(root: Dir, path: RelPath) -> Target | None:
    """Return the target that is `path` or the tracked folder that holds it.

    The outermost wins: a dataset may hold files that look like meta files of ours.
    """
    parts = path.split("/")
    for end in range(1, len(parts) + 1):
        here = RelPath("/".join(parts[:end]))
        target = read_target(root, here) if here else None
        if target is not None and (here == path or target.meta.is_folder):
            return target
    return None


def commit_of(project: Project, revision: str | None) -> str | None:
    """Return the commit of a revision; of None that of HEAD, or None when there is no commit yet."""
    git = project.git
    if git is None:
        raise ProjectError(
            "there is no Git here, so there are no revisions",
            hint="`dvc-like status` compares the workspace with its meta files.",
        )
    if revision is None and not git.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}", check=False):
        return None
    return git.resolve("HEAD" if revision is None else revision)


def select_at(
    project: Project, root: Dir, named: tuple[str, ...], revision: str | None, failures: list[DvcLikeError]
) -> list[Wanted]:
    """Return what the named paths (none: everything) mean in a revision, or like `select` in the workspace."""
    if revision is None:
        return select(project, root, named, failures)
    commit = commit_of(project, revision)
    assert commit is not None
    targets = [target for target in targets_at(project, commit, failures).values() if target is not None]
    found = []
    for text in named:
        hits = [wanted for target in targets for wanted in narrow(target, (project.relative(text),))]
        if not hits and not failures:
            failures.append(UsageError(f"{show(text)} is not tracked in {show(revision)}", hint="Check the spelling."))
        found += hits
    return found if named else [Wanted(target, target.path) for target in sorted(targets)]


def targets_at(project: Project, commit: str, failures: list[DvcLikeError]) -> dict[RelPath, Target | None]:
    """Return the targets of one commit by path, as `walk` finds those of the workspace; None: it cannot be read."""
    assert project.git is not None
    found: dict[RelPath, Target | None] = {}
    folders: set[str] = set()  # what lies below belongs to a dataset, or to another project
    files = project.git.files_at(commit)
    folders.update(path[: -len(_CONFIG) - 1] for _, path in files if path.endswith("/" + _CONFIG))
    metas = [(name, path) for name, path in files if path.endswith(SUFFIX)]
    for path, data in sorted(project.git.contents(metas), key=lambda one: one[0].count("/")):
        parts = path.split("/")
        if not is_ours(data) or any("/".join(parts[:end]) in folders for end in range(1, len(parts))):
            continue
        try:
            name = paths.parse(path[: -len(SUFFIX)])
            found[name] = None
            target = found[name] = Target(name, parse(data, path))
        except DvcLikeError as error:
            failures.append(error)
            continue
        if target.meta.is_folder:
            folders.add(target.path)
    return found


def workspaces(project: Project) -> set[str]:
    """Return this project's folder in every Git worktree, also where that is not there."""
    git = project.git
    tops = git.worktrees() if git is not None else []
    return {project.root, *(os.path.join(top, git.prefix) if git is not None and git.prefix else top for top in tops)}


def at_revisions(project: Project, selection: Selection, failures: list[DvcLikeError] | None = None) -> list[Wanted]:
    """Return what a selection means in other revisions of the repository.

    A meta file that cannot be read is added to `failures`, or raised when that is None.
    """
    if project.git is None:
        raise ProjectError(
            "there is no Git here, so there are no other revisions", hint="Leave out -a, -T, -A and --rev."
        )
    named = tuple(project.relative(text) for text in selection.targets)
    return in_versions(_versions(project.git, selection), named, failures)


def in_versions(
    versions: Iterable[tuple[str, bytes]], named: tuple[RelPath, ...] = (), failures: list[DvcLikeError] | None = None
) -> list[Wanted]:
    """Return what meta files, given by path and bytes, mean; `failures` as for `at_revisions`."""
    found: dict[tuple[str, str, str], Wanted] = {}
    for path, data in versions:
        if not is_ours(data):
            continue
        try:
            target = Target(paths.parse(path[: -len(SUFFIX)]), parse(data, path))
        except DvcLikeError as error:
            if failures is None:
                raise
            failures.append(error)
            continue
        for wanted in narrow(target, named):
            found[(target.meta.digest, target.path, wanted.inside)] = wanted
    return list(found.values())


def _versions(git: Git, selection: Selection) -> Iterator[tuple[str, bytes]]:
    if selection.all_commits:
        yield from git.metas_in_history(SUFFIX)
        return
    commits = {git.resolve(revision): None for revision in selection.revisions}
    for flag, kind in ((selection.all_branches, "branches"), (selection.all_tags, "tags")):
        if flag:
            commits.update(dict.fromkeys(git.tips(kind)))
    for commit in commits:
        yield from git.metas_at(commit, SUFFIX)


def status_at(root: Dir, path: RelPath) -> os.stat_result | None:
    """Return what lies at a path of the workspace, None for nothing; a link is not followed."""
    try:
        with root.descend(paths.parent(path)) as folder:
            return folder.lstat(path.rpartition("/")[2])
    except (FileNotFoundError, NotADirectoryError):
        return None


def narrow(target: Target, named: tuple[RelPath, ...]) -> Iterator[Wanted]:
    """Yield what the named paths (none: all) mean for a target."""
    if not named:
        yield Wanted(target, target.path)
    for name in named:
        if is_below(target.path, name) or name == target.meta_path:
            yield Wanted(target, target.path)
        elif target.meta.is_folder and is_below(name, target.path):
            yield Wanted(target, name)
