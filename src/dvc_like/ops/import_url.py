"""`import-url`: track what lies at a URL, and where it came from.

Owns what may be written over, and the order: bytes into the cache or onto a remote; then, of what is new here, the meta
file and the workspace, so that a run that died is finished by the next one, which knows the data for its own; of what
was here, the workspace and the meta file. `update` looks again by `newest`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..errors import DataMissing, DvcLikeError, UsageError, WouldOverwrite, gathered
from ..meta.file import SUFFIX, Meta
from ..meta.rewrite import rewrite
from ..meta.tree import Entry
from ..paths import RelPath, join, show
from ..progress import SILENT, Progress
from ..project import Project
from ..remote.origin import changed
from ._journal import recorded, words
from ._plan import make_plan, plan_absence
from ._pointer import refuse_place, tell_git
from ._record import read_pointer
from ._session import Session, open_session
from ._sources import KEY, UrlSource, allow, bare, check_place, has_leave, is_local, kept, reach, source_of, with_source
from ._store import open_store, remote_name
from ._to_remote import send
from ._tracked import Target, Wanted, enclosing, status_at, walk
from ._urls import Reading, bring, is_same, name_of, plain, public, reading
from .checkout import checkout_in, missing_error
from .import_ import as_meta, write_pointer
from .status import compare


class ImportedUrl(NamedTuple):
    """What became of a target: `state` is ``added``, ``updated`` or ``unchanged``; `moved` are bytes that were read."""

    target: Target
    state: str
    moved: int
    source: UrlSource


def import_url(
    project: Project,
    url: str,
    out: str | os.PathLike[str] | None = None,
    *,
    to_remote: bool = False,
    remote: str | None = None,
    force: bool = False,
    jobs: int | None = None,
    progress: Progress = SILENT,
) -> ImportedUrl:
    """Track what lies at `url` as `out` (default: what it is called there; into `out` where that is a folder).

    With `to_remote` the bytes go from there to a remote (default: the default one), and never all to this machine;
    `remote` is then where the target lives. `force` gives up what is in the way. Raises `WouldOverwrite` before
    anything is read when something is.
    """
    if remote is not None and not to_remote:
        raise UsageError("-r says where --to-remote sends to", hint="Import it, and push it to that remote.")
    url = plain(url)
    check_place(url)
    place = kept(project, url) if is_local(url) else url
    with open_session(project, progress, worktree=True, cache="shared") as session:
        path = _choose(session, url, out)
        old = _refuse(session, path, place, force=force)
        if old is not None and not force:
            refuse_unsaved(session, old, leaves=to_remote)
        with reading(project, place, jobs=jobs, progress=progress) as found:
            if old is not None and not force and _is_here(session, old, found):
                return ImportedUrl(old, "unchanged", 0, found.source())
            used = old.meta.remote if old is not None else None
            name = remote_name(project, remote, used) if to_remote else None
            entry, moved = _take(session, found, name, path, jobs)
            meta = _describe(old, entry, found, remote if to_remote else None)
            with recorded(session, words("import-url", [public(url)])):
                state = place_target(session, Target(path, meta), old, there=not to_remote, force=force)
            allow(project, _as_recorded(place), is_inside=found.origin.is_inside)
        return ImportedUrl(Target(path, meta), state, moved, found.source())


@contextlib.contextmanager
def newest(
    session: Session, target: Target, old: UrlSource, jobs: int | None, remote: str | None
) -> Iterator[tuple[UrlSource, Callable[[], Meta]]]:
    """Look what the URL of an import has now: yield its source, `old` itself where it is the same, and what brings it.

    Nothing but the look is read before the latter is called. It brings all into the cache, or to a `remote`.
    """
    project = session.project
    place, only_public = reach(project, old.url), not has_leave(project, old.url)
    with reading(project, place, jobs=jobs, progress=session.progress, only_public=only_public) as found:
        new = found.source()._replace(url=old.url)

        def get() -> Meta:
            entry, _ = _take(session, found, remote, target.path, jobs)
            if found.source()._replace(url=old.url) != new:
                raise changed(old.url)
            return as_meta(entry)

        yield old if is_same(old, new) else new, get


def _take(session: Session, found: Reading, remote: str | None, path: RelPath, jobs: int | None) -> tuple[Entry, int]:
    """Bring all that is found into the cache, or send it to a remote; return its entry and the bytes read."""
    if remote is None:
        with session.progress.task("importing") as task:
            return bring(session, found, task)
    with open_store(session.project, remote, jobs=jobs, create=True, progress=session.progress) as store:
        return send(session, found, store, path)


def _as_recorded(place: str) -> str:
    """Return a place as its meta file names it, but with its login: without what signs it, which serves only once."""
    shown = public(place)
    if shown == bare(place):
        return place
    return place.partition("?")[0].partition("#")[0] + shown[len(shown.partition("?")[0]) :]


def _choose(session: Session, url: str, out: str | os.PathLike[str] | None) -> RelPath:
    """Return where it is to be: a folder that is there, and is not tracked itself, is where it goes into."""
    if out is None:
        return session.project.relative(name_of(url))
    path = session.project.relative(out)
    is_folder = os.fspath(out).endswith(("/", os.sep)) or os.path.isdir(os.path.join(session.project.root, path))
    holder = enclosing(session.root, path) if path else None
    return join(path, name_of(url)) if is_folder and holder is None else path


def _refuse(session: Session, path: RelPath, place: str, *, force: bool) -> Target | None:
    """Return the target that is there already; raise when it cannot be there, or would cost what is."""
    root, shown = session.root, show(path)
    if not path or path.endswith(SUFFIX):
        raise UsageError(f"data cannot be put at {shown or 'the root of the project'}", hint="Name another OUT.")
    holder = enclosing(root, path)
    if holder is not None and holder.path != path:
        raise UsageError(f"{shown} lies in {show(holder.path)}, which is tracked as a whole", hint="Name another OUT.")
    inner = next(walk(root, path), None) if holder is None else None
    if inner is not None:
        raise UsageError(f"{shown} holds {show(inner.path)}, which is tracked on its own", hint="Name another OUT.")
    if holder is None:
        refuse_place(session, path)
    if force:
        return holder
    old = source_of(holder.meta, holder.meta_path) if holder is not None else None
    if holder is not None and not (isinstance(old, UrlSource) and old.url == public(place)):
        raise WouldOverwrite(
            f"{shown} is tracked already, and is no import of {show(public(place))}",
            hint="Name another OUT, or use --force.",
        )
    if old is not None and old.changed:
        raise WouldOverwrite(f"{shown}: other data was recorded here than what came from there", hint="Use --force.")
    if holder is None and status_at(root, path) is not None:
        raise WouldOverwrite(f"{shown} is there already", hint="Move it away, name another OUT, or use --force.")
    return holder


def refuse_unsaved(session: Session, target: Target, *, leaves: bool = False) -> None:
    """Raise `WouldOverwrite` for edits that were not added, before something is read for nothing.

    Where the target `leaves` the workspace, also for what is as recorded and not in the cache.
    """
    wanted = Wanted(target, target.path)
    with contextlib.suppress(DataMissing), session.progress.task("comparing") as task:
        if leaves:
            compare(session, wanted)  # makes the rows anew that the index has lost
            plan = plan_absence(session, target.path, strict=True)
        else:
            plan = make_plan(session, [wanted], task, [], relink=False, strict=True)
        if plan is not None and plan.in_the_way:
            what, way_out = "would be replaced", "move them away"
            if leaves:
                what, way_out = "would be removed", "take away what a remote has with `dvc-like drop`"
            raise WouldOverwrite(
                f"{len(plan.in_the_way)} unsaved file(s) of {show(target.path)} {what}; nothing was read",
                hint=f"Save them with `dvc-like add`, {way_out}, or give them up with `--force`.",
                details=tuple(show(path) for path in plan.in_the_way),
            )


def take_away(session: Session, old: Target, *, force: bool) -> None:
    """Remove what the workspace has of a version that went on to a remote; what was never added stays.

    Beside the new meta file it would look like an edit, and the next `add` would record the old bytes again.
    """
    compare(session, Wanted(old, old.path))
    failures: list[DvcLikeError] = []
    checkout_in(session, [], failures, force=force, gone=[old.path], strict=True)
    if failures:
        raise gathered(failures)


def _is_here(session: Session, old: Target, found: Reading) -> bool:
    """Tell whether what is found is what was imported, and is in the workspace."""
    source = source_of(old.meta, old.meta_path)
    if not isinstance(source, UrlSource) or not is_same(source, found.source()):
        return False
    if status_at(session.root, old.path) is None:
        return False
    with contextlib.suppress(DataMissing), session.progress.task("comparing") as task:
        return make_plan(session, [Wanted(old, old.path)], task, [], relink=False).is_done
    return False


def _describe(old: Target | None, entry: Entry, found: Reading, remote: str | None) -> Meta:
    data = as_meta(entry)
    if old is not None:
        data = data._replace(remote=old.meta.remote, extra=old.meta.extra)
    return with_source(data._replace(remote=remote or data.remote), found.source())


def place_target(session: Session, target: Target, old: Target | None, *, there: bool, force: bool) -> str:
    """Make the workspace and the pointers say what a target is; return its state.

    Its objects are in the cache, unless it is not to be `there`: then what is there of the old one goes.
    """
    failures: list[DvcLikeError] = []
    with recorded(session, "import-url") as recorder:

        def point() -> None:
            recorder.keep([target.path])
            before = read_pointer(session.root, target.meta_path) or b""
            write_pointer(session, target, rewrite(target.meta, before, keys=(KEY,)))

        is_new = old is None and status_at(session.root, target.path) is None
        if is_new:
            point()
        if there:
            done = checkout_in(session, [Wanted(target, target.path)], failures, force=force, strict=True)
            if done.missing:
                failures.append(missing_error(session, done.missing))
        elif old is not None:
            take_away(session, old, force=force)
        if failures:
            raise gathered(failures)
        if not is_new:
            point()
    tell_git(session, [target.path])
    return "added" if old is None else "unchanged" if old.meta.digest == target.meta.digest else "updated"
