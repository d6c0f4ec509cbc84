"""`verify`: is everything that some revisions need in the cache, or with `pushed` on the remote?

Owns which version of a target lacks what: a file is named with a revision that needs it. Nothing is read but listings,
each once, and nothing is changed; whether bytes are sound is for `fsck` to say.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ..digest import Digest, tree_ident
from ..errors import DataMissing, DvcLikeError, ProjectError, UsageError, gathered
from ..git import Git
from ..git_log import commits_of
from ..meta.file import SUFFIX
from ..meta.tree import FOLDER, LINK, Entry
from ..paths import RelPath, is_below, join, show
from ..progress import SILENT, Progress
from ..project import Project
from ..remote.seen import Seen
from ._closure import TreeNeed, close_over, load_need, refuse_unknown
from ._session import Session, open_session
from ._store import open_store, remote_name
from ._survey import Survey
from ._tracked import Selection, Wanted, at_revisions
from ._trees import root_entry

MAX_LACKING = 100_000  # so many paths of one version are named


class Lacking(NamedTuple):
    """A path that a revision needs and that is not there. With `listing` it is a folder whose files are not known.

    `revision` is as it was asked for, of a range and of many the commit; empty when it is in no commit.
    """

    revision: str
    path: RelPath
    listing: bool


@dataclass
class Verified:
    """What was looked for (commits, versions of targets, and different files known of) and where, and what lacks."""

    revisions: int = 0
    targets: int = 0
    files: int = 0
    remotes: list[str] = field(default_factory=list)
    lacking: list[Lacking] = field(default_factory=list)


class _Version(NamedTuple):
    """A target as some revision has it; `revision` is empty where that is not known yet."""

    revision: str
    wanted: Wanted


def verify(
    project: Project,
    selection: Selection = Selection(),
    *,
    pushed: bool = False,
    remote: str | None = None,
    jobs: int | None = None,
    progress: Progress = SILENT,
) -> Verified:
    """Look for everything the selected revisions (default: HEAD) need, in the cache or with `pushed` on the remote.

    A revision may be a range (``main..HEAD``), and means all of its commits then. What lacks is in the result; what
    cannot be read or reached is raised when all has been looked at.
    """
    if project.git is None:
        raise ProjectError("there is no Git here, so there are no revisions", hint="Use `dvc-like status --cloud`.")
    done, wrong = Verified(), list[DvcLikeError]()
    versions = _versions(project, project.git, selection, done, wrong)
    done.targets = len(versions)
    with open_session(project, progress) as session, progress.task("verifying"):
        if not pushed:
            _check(project.git, versions, _in_cache(session, versions, wrong), done)
        groups: dict[str, list[_Version]] = {}
        for version in versions if pushed else ():
            name = remote_name(project, remote, version.wanted.target.meta.remote)
            groups.setdefault(name, []).append(version)
        done.remotes = list(groups)
        for name, group in groups.items():
            _check(project.git, group, _on_remote(session, name, jobs, group, wrong), done)
    if wrong:
        raise gathered(wrong)
    return done


def sort_words(project: Project, words: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Tell revisions from targets, as `git log` does; return both. Raises `UsageError` for what may be either."""
    revisions: list[str] = []
    targets: list[str] = []
    for word in words:
        is_path = os.path.lexists(word) or os.path.lexists(f"{word.rstrip('/')}{SUFFIX}")
        is_revision = project.git is not None and _is_revision(project.git, word)
        if is_path and is_revision:
            raise UsageError(
                f"{show(word)} is a revision and a path", hint=f"Write `--rev {show(word)}`, or `./{show(word)}`."
            )
        (revisions if is_revision else targets).append(word)
    return tuple(revisions), tuple(targets)


def _is_revision(git: Git, word: str) -> bool:
    try:
        commits_of(git, word)
    except UsageError:
        return False
    return True


# ------------------------------------------------------------------------------ what is needed


def _versions(
    project: Project, git: Git, selection: Selection, done: Verified, wrong: list[DvcLikeError]
) -> list[_Version]:
    """Return every version of every target that is asked for, once."""
    commits: dict[str, str] = {}
    for revision in selection.revisions if selection.has_revisions else ("HEAD",):
        commits.update({commit: name for commit, name in commits_of(git, revision).items() if commit not in commits})
    for flag, kind in ((selection.all_branches, "branches"), (selection.all_tags, "tags")):
        commits.update({commit: commit[:10] for commit in (git.tips(kind) if flag else ()) if commit not in commits})
    done.revisions = len(commits)
    found: dict[tuple[str, str, str], _Version] = {}

    def take(revision: str, scope: Selection) -> None:
        for one in at_revisions(project, scope, wrong):
            found.setdefault((one.target.meta.digest, one.target.path, one.inside), _Version(revision, one))

    for commit, name in commits.items():
        take(name, Selection(selection.targets, (commit,)))
    if selection.all_commits:
        take("", Selection(selection.targets, all_commits=True))
        done.revisions = len(git.run("rev-list", "--all").split())
    for text in selection.targets:
        path = project.relative(text)
        if not any(
            is_below(one.target.path, path) or is_below(path, one.inside) or path == one.target.meta_path
            for _, one in found.values()
        ):
            hint = "This is a shallow clone: older commits are not here." if git.is_shallow() else "Check the spelling."
            wrong.append(UsageError(f"{show(text)} is no revision here, and no path that is tracked", hint=hint))
    return list(found.values())


def _commit_with(git: Git, one: Wanted) -> str:
    """Return the first commit that has a version, empty when none has."""
    path = f"{git.prefix}/{one.target.meta_path}" if git.prefix else one.target.meta_path
    text = f"-S{one.target.meta.digest.hex}"
    found = git.run("log", "--all", "--reverse", "--format=%h", text, "--", f":(top,literal){path}").decode().split()
    return found[0] if found else ""


# ------------------------------------------------------------------------------ what is there


class _Found(NamedTuple):
    """What one place has: the trees that could be read by digest, and which files and trees it lacks."""

    trees: list[TreeNeed]
    files: int
    lost_files: set[Digest]
    lost_trees: set[Digest]


def _in_cache(session: Session, versions: list[_Version], wrong: list[DvcLikeError]) -> _Found:
    cache = session.cache

    def load(level: list[TreeNeed]) -> None:
        for need in level:
            try:
                need.entries = load_need(cache, need)
            except DataMissing:
                continue
            except DvcLikeError as error:
                wrong.append(error)

    closure = close_over([version.wanted for version in versions], load)
    wrong += refuse_unknown(closure)
    trees = [need for level in closure.levels for need in level]
    return _Found(
        trees,
        len(closure.files),
        {digest for digest in closure.files if not cache.has(digest)},
        {need.digest for need in trees if need.entries is None},
    )


def _on_remote(
    session: Session, name: str, jobs: int | None, versions: list[_Version], wrong: list[DvcLikeError]
) -> _Found:
    project = session.project
    with open_store(project, name, jobs=jobs, create=False, progress=session.progress) as store:
        store.look()
        with Seen(os.path.join(project.shared_tmp, "remotes.sqlite"), store.identity) as seen:
            survey = Survey(session, store, seen, read=-1)
            missing = survey.run([version.wanted for version in versions])
    wrong += missing.unknown
    wrong += [error for _, error in missing.failures if not isinstance(error, DataMissing)]
    trees = [need for level in missing.levels for need in level]
    return _Found(
        trees,
        missing.present + len(missing.files),
        {need.digest for need in missing.files},
        {need.digest for need in trees if tree_ident(need.digest) not in survey.known},
    )


def _check(git: Git, versions: list[_Version], found: _Found, done: Verified) -> None:
    """Add what each version lacks."""
    done.files += found.files
    entries = {need.digest: need.entries for need in found.trees}
    bad = set(found.lost_trees)  # trees that lack something, themselves or below
    for need in reversed(found.trees):
        for entry in need.entries or ():
            if entry.value in (bad if entry.kind == FOLDER else found.lost_files) and entry.kind != LINK:
                bad.add(need.digest)
                break
    for revision, one in versions:
        walk = _walk(root_entry(one.target.path, one.target.meta), one, entries, found, bad)
        lost = list(itertools.islice(walk, MAX_LACKING))
        name = revision or (_commit_with(git, one) if lost else "")
        done.lacking += [Lacking(name, *each) for each in lost]


def _walk(
    root: Entry, one: Wanted, entries: dict[Digest, list[Entry] | None], found: _Found, bad: set[Digest]
) -> Iterator[tuple[RelPath, bool]]:
    """Yield what a version lacks: files, and folders whose listing it is."""
    stack = [(root, one.target.path)]
    while stack:
        entry, path = stack.pop()
        if entry.kind == LINK or not (is_below(path, one.inside) or is_below(one.inside, path)):
            continue
        if entry.kind != FOLDER:
            if entry.digest in found.lost_files and is_below(path, one.inside):
                yield path, False
            continue
        if entry.digest not in bad:
            continue
        listed = entries.get(entry.digest)
        below = [(inner, join(path, inner.name)) for inner in listed or ()]
        if listed is None or not any(inner.value in bad or inner.value in found.lost_files for inner, _ in below):
            yield path, True
        stack += reversed(below)
