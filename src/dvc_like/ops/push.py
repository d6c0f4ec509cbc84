"""`push`: bring what targets need from the cache to a remote.

Owns the order of the whole: find out what is missing, send it, mend what was found damaged, then publish what this
clone needs. What is there is found out by `_survey`, what is sent first and what later is decided by `_send`.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field

from ..errors import DvcLikeError, RemoteDenied, gathered
from ..paths import show
from ..progress import SILENT, Progress
from ..project import Project
from ..remote.seen import Seen
from ._artifacts import artifacts
from ._choose import choose
from ._refs import publish
from ._repack import replace_damaged
from ._send import Sender
from ._session import Session, open_session
from ._settled import count_settled, settle
from ._store import Store, open_store, remote_name
from ._survey import Survey
from ._tracked import Selection, Wanted
from ._transfer import as_error


@dataclass
class Pushed:
    """What was sent (objects, trees among them, and bytes), and how many were mended on the remote.

    `partial` names targets of which only a part is on the remote now, so that their listing could not be put.
    """

    objects: int = 0
    size: int = 0
    present: int = 0
    healed: int = 0
    partial: list[str] = field(default_factory=list)
    failures: list[tuple[str, DvcLikeError]] = field(default_factory=list)
    untried: int = 0
    unknown: list[DvcLikeError] = field(default_factory=list)  # paths asked for that are nowhere


def push(
    project: Project,
    selection: Selection = Selection(),
    *,
    remote: str | None = None,
    jobs: int | None = None,
    progress: Progress = SILENT,
) -> Pushed:
    """Send what targets need and the remote lacks. All that can be sent is sent; then failures are raised as one."""
    wrong: list[DvcLikeError] = []
    with open_session(project, progress, cache="shared") as session:
        wanted = choose(session, selection, wrong, by_default=False)
        if not selection.targets and not selection.profile:
            wanted += artifacts(project, wrong)
        if not wanted and not wrong:
            remote_name(project, remote)  # so that a missing remote is told even where nothing is tracked
        return push_in(session, wanted, wrong, remote=remote, jobs=jobs)


def push_in(
    session: Session, wanted: list[Wanted], wrong: list[DvcLikeError], *, remote: str | None, jobs: int | None
) -> Pushed:
    """Do the work of `push` in an open session; what is `wrong` already is raised at the end as well."""
    done = Pushed()
    groups: dict[str, list[Wanted]] = {}
    for one in wanted:
        groups.setdefault(remote_name(session.project, remote, one.target.meta.remote), []).append(one)
    for name, group in groups.items():
        with open_store(session.project, name, jobs=jobs, create=True, progress=session.progress) as store:
            _push_to(session, store, group, done)
    wrong += done.unknown
    if done.failures or done.untried:
        wrong.append(as_error("push", done.failures, done.objects, done.untried))
    if wrong:
        raise gathered(wrong)
    return done


def _push_to(session: Session, store: Store, wanted: list[Wanted], done: Pushed) -> None:
    """Push to one store."""
    with Seen(os.path.join(session.project.shared_tmp, "remotes.sqlite"), store.identity) as seen:
        store.look()
        if store.packs.abandoned:  # by gcs that were killed: in nobody's way from here on
            with contextlib.suppress(RemoteDenied):
                store.backend.delete(store.packs.abandoned)
        settled = count_settled(store, seen, wanted)
        if settled is not None:
            done.present += settled
            publish(session, store, seen, set())
            return
        survey = Survey(session, store, seen)
        with session.progress.task("pushing") as task:
            missing = survey.run(wanted)
            if store.packs.condemned_names():  # nearly never: the keys of many files are not made for nothing
                store.packs.spare(survey.relied, {need.key for need in missing.files})
            sender = Sender(session, store, seen, survey.known, task)
            sender.run(missing)
        if not (missing.files or missing.failures or missing.unknown or sender.objects):
            settle(store, seen, wanted, survey.relied, missing.present)
        failed = [one for one in wanted if not sender.has(one.target)]
        whole = [one.target for one in wanted if one.target.meta.is_folder and one not in failed]
        seen.record_roots((target.path, target.meta.digest) for target in whole)
        try:
            if not sender.untried:  # else the store refuses everything
                replace_damaged(session, store)
                publish(session, store, seen, {one.target.meta.digest for one in failed})
        except DvcLikeError as error:
            done.failures.append(("the record of what this clone needs", error))
    done.objects += sender.objects
    done.size += sender.size
    done.present += missing.present
    done.healed += missing.damaged
    done.failures += missing.failures + sender.failures
    done.untried += sender.untried
    done.unknown += missing.unknown
    if not (missing.failures or sender.failures or missing.unknown):
        done.partial += sorted({show(one.target.path) for one in failed if not one.is_whole})
