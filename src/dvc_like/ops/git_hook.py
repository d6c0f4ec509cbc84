"""`git-hook`: what the hooks run.

Owns what each hook does for one project. A ``post-`` hook comes after the fact: it brings what it can and tells the
rest, and never fails for it. `pre-commit` and `pre-push` hold up what would leave pointers to data nobody can have.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field

from .. import paths
from ..errors import DataMissing, DvcLikeError, ProjectError, UnsafePath, UsageError, WouldOverwrite, gathered
from ..git import Git
from ..meta.file import SUFFIX
from ..paths import RelPath, is_below, show
from ..progress import SILENT, Progress
from ..project import Project
from ._commit_check import check_commit
from ._hook_events import HOOKS, Changed, Refs, changed_metas, is_file_checkout, is_skipped, project_folders
from ._look import look
from ._on_remote import on_remotes
from ._session import Session, open_session
from ._tracked import Target, Wanted, in_versions, read_target
from .checkout import CheckedOut, checkout_in
from .push import push_in
from .status import is_cached, status

_ANYWAY = "`git push --no-verify` pushes without the data."


@dataclass
class Hooked:
    """What a hook did for one project: targets concerned, files brought or removed, objects sent, what to know."""

    root: str
    targets: list[RelPath] = field(default_factory=list)
    checkout: CheckedOut = field(default_factory=lambda: CheckedOut((), (), (), ()))
    sent: int = 0
    size: int = 0
    notes: list[DvcLikeError] = field(default_factory=list)


@dataclass(frozen=True)
class HookCall:
    """How Git called a hook, and how the user wants it: `warn` for pre-commit, `verify_only` for pre-push."""

    hook: str
    arguments: tuple[str, ...] = ()
    stdin: bytes = b""
    warn: bool = False
    verify_only: bool = False


def git_hook(call: HookCall, failures: list[DvcLikeError], *, progress: Progress = SILENT) -> list[Hooked]:
    """Do what a hook is for, in every project of the repository here; what holds Git up is added to `failures`."""
    if call.hook not in HOOKS:
        raise UsageError(f"there is no hook named {show(call.hook)!r}", hint=f"Known: {', '.join(HOOKS)}.")
    if is_skipped():
        return []
    top = Git.find(os.getcwd())
    if top is None:
        raise ProjectError("there is no Git here", hint="Hooks are for Git to run.")
    done = []
    for folder in project_folders(top):
        one = Hooked(folder)
        done.append(one)
        try:
            project = Project.find(folder)
            _run(project, project.git or top, call, one, progress)
        except DvcLikeError as error:
            (one.notes if call.hook.startswith("post-") else failures).append(error)
    return done


def _run(project: Project, git: Git, call: HookCall, done: Hooked, progress: Progress) -> None:
    if call.hook == "pre-commit":
        targets, blocks, notes = check_commit(project, git, progress)
        done.targets = [target.path for target in targets]
        done.notes += notes + (blocks if call.warn else [])
        if blocks and not call.warn:
            raise gathered(blocks)
    elif call.hook == "pre-push":
        _before_push(project, git, call, done, progress)
    else:
        _after_change(project, git, call, done, progress)


# ------------------------------------------------------------------------------ after a checkout, merge or rebase


def _after_change(project: Project, git: Git, call: HookCall, done: Hooked, progress: Progress) -> None:
    changed = _targets(git, changed_metas(git, call.hook, list(call.arguments)))
    if not changed:
        return
    if is_file_checkout(call.hook, list(call.arguments)):
        _hint(project, [path for _, path in changed], done)
        return
    with open_session(project, progress, worktree=True, cache="shared") as session:
        wanted, lost = _concerned(session, changed, done)
        failures: list[DvcLikeError] = []
        orphans = any(letter == "D" for letter, _ in changed)
        done.checkout = checkout_in(session, wanted, failures, orphans=orphans)
        if any(isinstance(error, WouldOverwrite) for error in failures):
            # What is unsaved in one target must not keep the others back.
            failures, parts, sound = [], [done.checkout], []
            for one in wanted:
                told = len(failures)
                parts.append(checkout_in(session, [one], failures))
                sound += [one] if len(failures) == told else []
            if orphans:
                parts.append(checkout_in(session, sound, failures, orphans=True))
            done.checkout = CheckedOut(*(tuple(sorted({*sum(found, ())})) for found in zip(*parts, strict=True)))
    done.notes += map(_told, failures)
    lost += [
        one.target.path for one in wanted if any(is_below(path, one.target.path) for path in done.checkout.missing)
    ]
    if lost:
        done.notes.append(
            DataMissing(
                f"the data of {_names(lost)} is not all in the cache", hint="`dvc-like pull` brings what is missing."
            )
        )


def _targets(git: Git, changed: Changed) -> list[tuple[str, RelPath]]:
    """Return what the meta files of this project describe; names that no target can have are a stranger's files."""
    place = f"{git.prefix}/" if git.prefix else ""
    found = []
    for letter, path in changed:
        with contextlib.suppress(UnsafePath):
            found += [(letter, paths.parse(path[len(place) : -len(SUFFIX)]))] if path.startswith(place) else []
    return found


def _concerned(
    session: Session, changed: list[tuple[str, RelPath]], done: Hooked
) -> tuple[list[Wanted], list[RelPath]]:
    """Return the targets to bring, and those whose object is not here. What was never checked out here stays away."""
    wanted: list[Wanted] = []
    lost: list[RelPath] = []
    for letter, path in changed:
        is_here = os.path.lexists(os.path.join(session.project.root, path)) or session.index.get(path) is not None
        if letter != "D" and not is_here and letter != "A":
            continue
        done.targets.append(path)
        try:
            target = read_target(session.root, path) if letter != "D" else None  # none in a sparse checkout
        except DvcLikeError as error:
            done.notes.append(error)
            continue
        if target is not None and is_cached(session.cache, target):
            wanted.append(Wanted(target, target.path))
        elif target is not None:
            lost.append(path)
    return wanted, lost


def _told(error: DvcLikeError) -> DvcLikeError:
    if isinstance(error, DataMissing):
        return DataMissing(error.message, hint="`dvc-like pull` brings what is missing.", details=error.details)
    if not isinstance(error, WouldOverwrite):
        return error
    return WouldOverwrite(
        "unsaved data was left as it is, though the meta file says otherwise now",
        hint="Go back to record it, or give it up: `dvc-like checkout --force`.",
        details=error.details,
    )


def _names(targets: list[RelPath]) -> str:
    more = f" and {len(targets) - 5} more" if len(targets) > 5 else ""
    return ", ".join(show(path) for path in targets[:5]) + more


def _hint(project: Project, changed: list[RelPath], done: Hooked) -> None:
    """After `git checkout REV -- X.meta` say how the data comes along: it was not asked for."""
    failures: list[DvcLikeError] = []
    names = [os.path.join(project.root, path) for path in changed]
    here = [name for name in names if os.path.exists(name + SUFFIX)]
    found = status(project, tuple(here), failures=failures) if here else []
    differing = []
    with open_session(project, reading=True) as session:
        for one in found:
            if one.state == "unchanged":
                continue
            seen, parent = look(session, one.target)
            if parent is not None:
                parent.close()
            if seen.clean or not seen.exists:  # else it is the user's own change
                differing.append(one.target.path)
    if differing:
        done.targets = differing
        done.notes.append(
            DvcLikeError(
                f"{_names(differing)}: the data is not what the meta file says now",
                hint="`dvc-like checkout` brings it.",
            )
        )


# ------------------------------------------------------------------------------ before a push


def _before_push(project: Project, git: Git, call: HookCall, done: Hooked, progress: Progress) -> None:
    """Send what the pushed commits bring, or with `verify_only` see that it was sent."""
    revisions = Refs.read(list(call.arguments), call.stdin).revisions(git)
    if not revisions:
        return
    wrong: list[DvcLikeError] = []
    wanted = in_versions(git.metas_in_range(revisions, SUFFIX), failures=wrong)
    done.targets = sorted({one.target.path for one in wanted})
    if not wanted and not wrong:
        return
    try:
        with open_session(project, progress, cache="" if call.verify_only else "shared") as session:
            if call.verify_only:
                there = on_remotes(session, wanted, None)
                lost = [one.target for one, what in zip(wanted, there, strict=True) if not what.whole]
                wrong += [_not_there(lost)] if lost else []
                if wrong:
                    raise gathered(wrong)
            else:
                pushed = push_in(session, wanted, wrong, remote=None, jobs=None)
                done.sent, done.size = pushed.objects, pushed.size
    except DvcLikeError as error:
        hint = f"{error.template} {_ANYWAY}".strip()
        raise type(error)(error.message, hint=hint, details=error.details) from None


def _not_there(lost: list[Target]) -> DataMissing:
    names = sorted({show(target.path) for target in lost})
    return DataMissing(
        f"the data of {len(names)} target{'s' if len(names) > 1 else ''} is not on the remote",
        hint="`dvc-like push --all-commits` sends it.",
        details=tuple(names),
    )
