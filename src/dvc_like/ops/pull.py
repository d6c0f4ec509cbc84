"""`pull`: fetch, then checkout."""

from __future__ import annotations

from typing import NamedTuple

from ..errors import DataMissing, DvcLikeError
from ..paths import show
from ..progress import SILENT, Progress
from ..project import Project
from ._choose import choose, unmatched
from ._journal import recorded, words
from ._pointer import hide
from ._session import open_session
from ._tracked import Selection
from .checkout import CheckedOut, checkout_in
from .fetch import Fetched, fetch_in, raise_failures


class Pulled(NamedTuple):
    """What came into the cache, and what then changed in the workspace."""

    fetched: Fetched
    checkout: CheckedOut


def pull(
    project: Project,
    selection: Selection = Selection(),
    *,
    remote: str | None = None,
    jobs: int | None = None,
    force: bool = False,
    allow_missing: bool = False,
    progress: Progress = SILENT,
) -> Pulled:
    """Bring targets from the remote into the workspace.

    What cannot be had is left out, and raised at the end; the rest is in place then. An object that turns out
    to be damaged in the cache is set aside and fetched again.
    """
    wrong: list[DvcLikeError] = []
    with open_session(project, progress, worktree=True, cache="shared") as session:
        wanted = choose(session, selection, wrong, unread=True)
        fetched = fetch_in(session, wanted, remote=remote, jobs=jobs)
        wrong += unmatched(session, selection, wanted)
        workspace = Selection(selection.targets, glob=selection.glob, profile=selection.profile)
        here = wanted if not selection.has_revisions else choose(session, workspace, [])
        orphans = not selection.targets and not wrong
        with recorded(session, words("pull", selection.targets)):
            done = checkout_in(session, here, wrong, force=force, orphans=orphans)
            if session.cache.set_aside and done.missing:
                again = fetch_in(session, here, remote=remote, jobs=jobs)
                known = {path for path, _ in fetched.failures}
                fetched.objects += again.objects
                fetched.size += again.size
                fetched.failures += [pair for pair in again.failures if pair[0] not in known]
                second = checkout_in(session, here, wrong, force=force)
                done = CheckedOut(
                    done.created + second.created, done.replaced + second.replaced, done.removed, second.missing
                )
            if not wrong:
                hide(session, dict.fromkeys(one.target.path for one in here))
    explained = {path for path, _ in fetched.failures}
    lost = [path for path in done.missing if show(path) not in explained]
    if lost and not fetched.failures:
        wrong.append(DataMissing(f"{len(lost)} files could not be had", details=tuple(show(path) for path in lost)))
    if allow_missing:
        fetched.failures = [pair for pair in fetched.failures if not isinstance(pair[1], DataMissing)]
    raise_failures("pull", fetched, wrong)
    return Pulled(fetched, done)
