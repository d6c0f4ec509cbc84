"""`migrate`: make a project of a repository that DVC or Git LFS keeps data in, where it lies.

Owns the order: first all is read and nothing changed; then objects, listings and meta files are made; last goes what
they replace, which Git still has. So a run that died is continued by the next. What DVC and LFS stored is only read.
"""

from __future__ import annotations

import os
import posixpath
from contextlib import suppress
from typing import NamedTuple

from .. import paths
from ..config import edit
from ..errors import DvcLikeError, NoProject, UsageError
from ..fsutil import Dir
from ..git import Git
from ..meta.file import MAX_SIZE, SUFFIX, Meta
from ..paths import RelPath, show
from ..progress import SILENT, Progress
from ..project import FOLDER, Project
from ..workspace import gitignore
from ..workspace.ignore import NAME as IGNORE
from . import _dvc, _lfs
from ._dvc_config import FOLDER as DVC_FOLDER
from ._foreign import Left, Survey, is_there
from ._migration import look_over, project_at
from ._session import Session, open_session
from ._take_over import TakeOver
from ._tracked import is_ours
from .init import init

SOURCES = (_dvc.SOURCE, _lfs.SOURCE)


class Migrated(NamedTuple):
    """A path and what it is tracked by now; `origin` is the file that tracked it for `source`, ``dvc`` or ``lfs``."""

    path: RelPath
    source: str
    origin: str
    meta: Meta


class Migration(NamedTuple):
    """What became of a repository, or with `dry_run` what would.

    `left` names data that stays as it was, `notes` say what else differs. `settings` are the names of those taken over.
    `files` and `size` count the objects that are needed, `copied` the bytes of those that could not be linked.
    `commit` is the way back; None where Git is not used.
    """

    root: str
    targets: tuple[Migrated, ...]
    left: tuple[Left, ...]
    notes: tuple[str, ...]
    settings: tuple[str, ...]
    files: int
    size: int
    copied: int
    commit: str | None
    dry_run: bool


def migrate(
    folder: str | os.PathLike[str] | None = None,
    *,
    source: str | None = None,
    dry_run: bool = False,
    progress: Progress = SILENT,
) -> Migration:
    """Make a project of the repository around `folder` (default: the current one), and targets of its data.

    `source` is ``dvc`` or ``lfs``; None takes what is there. What DVC and LFS stored, here and on remotes, is not
    touched; nothing is committed. Raises `NoProject` when neither is used here, `UsageError` when changes that are not
    committed would be lost on the way back, and for LFS, which is migrated as a whole, the error that it met.
    """
    if source not in (None, *SOURCES):
        raise UsageError(f"{show(str(source))} is no source", hint=f"Choose {' or '.join(SOURCES)}.")
    root, git = _find(os.path.abspath(os.fspath(folder) if folder is not None else os.getcwd()), source)
    survey = look_over(root, git, source)
    commit = _commit(git)
    _settle_cache(root, survey)
    copied, is_work = 0, bool(survey.plans or survey.attributes or survey.gone)
    try:
        _refuse_changes(root, git, survey)
    except DvcLikeError as error:
        if not dry_run:
            raise
        survey.notes.append("; ".join((f"It would be refused: {error.message}", *error.details)))
    if not dry_run:
        copied = _carry_out(root, git, survey, progress) if is_work else 0
    return Migration(
        root=root,
        targets=tuple(Migrated(one.found.path, one.found.source, one.found.origin, one.meta) for one in survey.plans),
        left=tuple(survey.left),
        notes=tuple(survey.notes),
        settings=tuple(sorted({name for level in survey.settings.values() for name in level if is_work})),
        files=sum(len(plan.files) for plan in survey.plans),
        size=sum(plan.meta.size for plan in survey.plans),
        copied=copied,
        commit=commit,
        dry_run=dry_run,
    )


def _find(start: str, source: str | None) -> tuple[str, Git | None]:
    """Return the root: the folder with DVC's or our own configuration, or else the top of the Git repository."""
    here = start
    git = Git.find(start)
    while True:
        for name in (DVC_FOLDER, FOLDER):
            if os.path.isfile(os.path.join(here, name, "config")) and not os.path.islink(os.path.join(here, name)):
                return here, Git.find(here)
        if os.path.dirname(here) == here or (git is not None and os.path.realpath(here) == git.top):
            break
        here = os.path.dirname(here)
    if git is None or source == _dvc.SOURCE:
        raise NoProject(f"neither DVC nor Git LFS keeps data in {show(start)}", hint="Name its folder with `--cd`.")
    return git.top, git if not git.prefix else Git.find(git.top)


def _commit(git: Git | None) -> str | None:
    found = git.run("rev-parse", "--verify", "--quiet", "HEAD^{commit}", check=False) if git is not None else b""
    if git is not None and not found:
        raise UsageError("nothing was ever committed here", hint="Commit first: Git is the way back.")
    return found.decode().strip() or None


def _refuse_changes(root: str, git: Git | None, survey: Survey) -> None:
    """Raise unless Git can bring back all that is going to be replaced, and nothing of LFS has to stay."""
    stay = [one for one in survey.left if one.source == _lfs.SOURCE]
    if stay:  # its rules would have to stay too, and could catch the meta files
        raise DvcLikeError(
            f"{len(stay):,} file(s) of Git LFS cannot be migrated, so none was",
            hint=stay[0].hint,
            details=tuple(f"{show(one.path)}: {one.reason}" for one in stay[:10]),
        )
    if git is None:
        return
    place = [f":(top,literal){git.prefix}"] if git.prefix else []
    listed = git.run("diff", "--name-only", "--no-ext-diff", "--ignore-submodules", "-z", "HEAD", "--", *place)
    changed = map(git.relative, listed.split(b"\0")[:-1])
    names = [name for name in changed if not _is_of_migration(root, name)]
    names += sorted({plan.found.origin for plan in survey.plans} & survey.uncommitted)
    if names:
        raise UsageError(
            f"{len(names):,} file(s) hold changes that are not committed; nothing was migrated",
            hint="Commit or stash them: one `git checkout` is the way back, and would take them back too.",
            details=tuple(map(show, names[:10])),
        )


def _is_of_migration(root: str, name: str) -> bool:
    """Tell whether a change that is not committed can be that of a migration before this one."""
    base = name.rpartition("/")[2]
    if base in (gitignore.NAME, IGNORE, _lfs.ATTRIBUTES) or base.endswith(SUFFIX) or name.startswith(f"{FOLDER}/"):
        return True
    if base.endswith(_dvc.SUFFIX) and not is_there(os.path.join(root, name)):
        return True
    with suppress(OSError), open(os.path.join(root, name + SUFFIX), "rb") as file:
        return is_ours(file.read(MAX_SIZE + 1))
    return False


def _carry_out(root: str, git: Git | None, survey: Survey, progress: Progress) -> int:
    """Do what was planned; return the bytes that had to be copied."""
    project = init(root, git=git is not None, subdir=git is not None and bool(git.prefix), force=True)
    for level, settings in survey.settings.items():
        kept = {name: value.text for name in settings if (value := project.config.find(name, level)) is not None}
        survey.notes += [f"{name} was set already, and stays as it is" for name in kept if kept[name] != settings[name]]
        if settings.keys() - kept.keys():
            edit(project.config.files[level], {name: text for name, text in settings.items() if name not in kept})
    project = Project.find(root)
    with open_session(project, progress, worktree=True, cache="shared") as session:
        origins = {plan.found.origin for plan in survey.plans if plan.found.source == _dvc.SOURCE}
        if not all(is_there(os.path.join(root, origin)) for origin in origins):
            raise DvcLikeError("another program took files of DVC away meanwhile", hint="Run this again.")
        taken = TakeOver(session, survey)
        taken.run()
        if git is not None:
            config = [name for name in ("config", ".gitignore") if is_there(os.path.join(project.folder, name))]
            _tell_git(session, git, survey, [*taken.written, *(f"{FOLDER}/{name}" for name in config)])
    return taken.copied


def _settle_cache(root: str, survey: Survey) -> None:
    """Where DVC's cache is a folder on another disk, keep ours there too: a link cannot lead to another one."""
    dvc, project = survey.shelves.get(_dvc.SOURCE), project_at(root)
    if (
        dvc is None
        or not os.path.isdir(dvc.root)
        or (project is not None and project.config.find("cache.dir") is not None)
    ):
        return
    with suppress(OSError):
        if os.stat(dvc.root).st_dev != os.stat(root).st_dev and os.access(dvc.root, os.W_OK):
            survey.settings["local"]["cache.dir"] = os.path.join(os.path.realpath(dvc.root), "dvc-like")


def _tell_git(session: Session, git: Git, survey: Survey, written: list[str]) -> None:
    """Stage what is new, then take out of Git what it replaces: what a killed run leaves is found by the next."""
    emptied = []
    for path in survey.attributes:
        with session.root.descend(paths.parent(path)) as folder, Dir.open_root(session.project.tmp) as aside:
            data = folder.read(_lfs.ATTRIBUTES, MAX_SIZE) if folder.exists(_lfs.ATTRIBUTES) else b""
            kept = _lfs.without_rules(data)
            if kept.strip():
                folder.write(_lfs.ATTRIBUTES, kept, aside=aside)
                written.append(path)
            else:
                if data:
                    folder.unlink(_lfs.ATTRIBUTES)
                emptied.append(path)
    git.forget(emptied)  # where there is none in the workspace, Git takes the rules from its index
    caught = _lfs.caught(git, written) if any(plan.found.source == _lfs.SOURCE for plan in survey.plans) else []
    if caught:
        raise DvcLikeError(
            f"{len(caught):,} meta file(s) would go to Git LFS by a rule that is still there",
            hint=f"Remove the rule that `git check-attr filter {show(caught[0])}` finds, then run this again.",
        )
    git.stage(written)
    origins = {plan.found.origin for plan in survey.plans if not plan.found.optional}
    for origin in {plan.found.origin for plan in survey.plans if plan.found.source == _dvc.SOURCE} & origins:
        with session.root.descend(posixpath.dirname(origin)) as folder:
            folder.unlink(posixpath.basename(origin))
    git.forget([*origins, *survey.gone])
