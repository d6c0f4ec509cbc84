"""What `pre-commit` looks at: whether the pointers of a commit describe the data that is there.

Owns the rule what holds a commit up (data that changed and was not recorded, a pointer to an object that is nowhere
here, a pointer that cannot be read) and what is only pointed out.
"""

from __future__ import annotations

import os
import shlex

from ..errors import DataMissing, Differences, DvcLikeError
from ..git import Git, commit_index
from ..meta.file import SUFFIX
from ..paths import show
from ..progress import Progress
from ..project import Project
from ._hook_events import in_progress
from ._look import look
from ._session import Session, open_session
from ._tracked import Target, in_versions
from .status import TargetStatus, is_cached, status

LARGE = 10_000_000  # bytes: the default of hooks.largefile
_ANYWAY = "`git commit --no-verify` commits all the same."


def check_commit(
    project: Project, git: Git, progress: Progress
) -> tuple[list[Target], list[DvcLikeError], list[DvcLikeError]]:
    """Look at the commit that is being made; return its targets, what should hold it up, and what is worth a note."""
    place = f"{git.prefix}/" if git.prefix else ""
    staged = [(blob, path[len(place) :]) for blob, path in _staged(git) if path.startswith(place)]
    metas = [pair for pair in staged if pair[1].endswith(SUFFIX)]
    blocks: list[DvcLikeError] = []
    notes: list[DvcLikeError] = []
    targets = [one.target for one in in_versions(git.contents(metas), failures=blocks)]
    doing = in_progress(git)
    if not doing:  # else they are part of the history already
        notes += _large_files(project, git, [pair for pair in staged if not pair[1].endswith(SUFFIX)])
    if doing != "rebase":  # else the data here belongs to another commit than the one that is made
        unreadable: list[DvcLikeError] = []
        found = status(project, failures=unreadable, progress=progress)
        with open_session(project, progress, reading=True) as session:
            # What is merged or picked was added elsewhere: its data need not be here.
            blocks += _lost(session, [] if doing else targets)
            stale = _not_recorded(session, found, notes)
        known = set(map(str, blocks))
        notes += [error for error in unreadable if not isinstance(error, DataMissing) and str(error) not in known]
        named = {target.path for target in targets}
        for one in stale:
            # `git commit FILE` says what it wants: a target that is not part of it does not hold it up.
            beside = doing or (_is_partial(git) and one.path not in named)
            (notes if beside else blocks).append(_stale(project, one))
        notes += _not_staged(git, found)
    return targets, _placed(git, blocks), _placed(git, notes)


def _placed(git: Git, errors: list[DvcLikeError]) -> list[DvcLikeError]:
    """Say where hints are to be followed: Git runs its hooks at the top, the project may lie below."""
    if not git.prefix:
        return errors
    where = f"In {show(git.prefix)}: "
    return [type(one)(one.message, hint=one.hint and where + one.template, details=one.details) for one in errors]


def _is_partial(git: Git) -> bool:
    return os.path.basename(commit_index(git)).startswith("next-index-")


def _command(words: str, *names: str) -> str:
    return f"{words} {' '.join(shlex.quote(show(name)) for name in names)}"


def _stale(project: Project, target: Target) -> Differences:
    mend = _command("dvc-like commit", target.path)
    if not project.config.flag("core.autostage"):
        mend += _command(" && git add", target.meta_path)
    return Differences(
        f"{show(target.path)} was changed since it was last recorded", hint=f"Record it: `{mend}`. {_ANYWAY}"
    )


def _lost(session: Session, targets: list[Target]) -> list[DvcLikeError]:
    found: list[DvcLikeError] = []
    for target in targets:
        if not is_cached(session.cache, target):
            bring, make = _command("dvc-like fetch", target.path), _command("dvc-like add", target.path)
            found.append(
                DataMissing(
                    f"{show(target.meta_path)} points to data that is not in the cache",
                    hint=f"`{bring}` brings it, or `{make}` records what is here. {_ANYWAY}",
                )
            )
    return found


def _not_recorded(session: Session, found: list[TargetStatus], notes: list[DvcLikeError]) -> list[Target]:
    """Return the targets whose data the user changed. Where only the meta file moved, that is worth a note."""
    stale = []
    for one in found:
        if one.state != "changed":
            continue
        seen, parent = look(session, one.target)
        if parent is not None:
            parent.close()
        if seen.row is None or not seen.clean:
            stale.append(one.target)
        else:
            bring = _command("dvc-like checkout", one.target.path)
            notes.append(
                DvcLikeError(
                    f"{show(one.target.path)} is still the data of another version than its meta file says",
                    hint=f"`{bring}` brings what the meta file says.",
                )
            )
    return stale


def _not_staged(git: Git, found: list[TargetStatus]) -> list[DvcLikeError]:
    """Point out meta files that say something newer than what is committed."""
    listed = git.run("ls-files", "-z", "--full-name", "--", f"*{SUFFIX}").decode(errors="surrogateescape").split("\0")
    known = set(listed)
    differ = git.run("diff-files", "-z", "--name-only", "--", f"*{SUFFIX}").decode(errors="surrogateescape")
    changed = set(differ.split("\0"))
    notes = []
    for one in found:
        path = f"{git.prefix}/{one.target.meta_path}" if git.prefix else one.target.meta_path
        if path in changed or path not in known:
            what = "is not known to Git yet" if path not in known else "changed, and is not part of this commit"
            add = _command("git add", one.target.meta_path)
            notes.append(DvcLikeError(f"{show(one.target.meta_path)} {what}", hint=f"`{add}` takes it in."))
    return notes


def _large_files(project: Project, git: Git, files: list[tuple[str, str]]) -> list[DvcLikeError]:
    limit = project.config.number("hooks.largefile", LARGE)
    if not limit:
        return []
    found = []
    for (_, path), size in zip(files, _sizes(git, [blob for blob, _ in files]), strict=True):
        if size > limit:
            move = f"{_command('git rm --cached', path)} && {_command('dvc-like add', path)}"
            found.append(
                DvcLikeError(
                    f"{show(path)} ({size / 1e6:,.1f} MB) is about to become part of the Git history for good",
                    hint=f"`{move}` tracks it with dvc-like instead.",
                )
            )
    return found


def _staged(git: Git) -> list[tuple[str, str]]:
    """Return (blob, path seen from the top) of every file that the commit being made adds or changes."""
    against = "HEAD"
    if not git.run("rev-parse", "--verify", "--quiet", "HEAD", check=False):  # the very first commit
        against = git.run("hash-object", "-t", "tree", "--stdin", stdin=b"").decode().strip()
    listed = git.run("diff-index", "--cached", "--raw", "-z", "--no-renames", "--no-abbrev", against).split(b"\0")
    found = []
    for change, raw in zip(listed[::2], listed[1::2], strict=False):
        _, mode, _, name, _ = change.split()
        if mode.startswith(b"100"):
            found.append((name.decode(), raw.decode(errors="surrogateescape")))
    return found


def _sizes(git: Git, blobs: list[str]) -> list[int]:
    request = "".join(f"{name}\n" for name in blobs).encode()
    out = git.run("cat-file", "--batch-check=%(objectsize)", stdin=request) if blobs else b""
    return [int(size) if size.isdigit() else 0 for size in out.split(b"\n")[:-1]]
