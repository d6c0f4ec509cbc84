"""`undo`: take back the last commands, pointers and bytes.

Owns what it refuses (pointers that changed since, unsaved files) and the order: bytes come into the workspace first,
then the pointers. What `undo` changes is recorded after what it undoes, like the changes of any command: so it can be
undone as well, and going back over it leads to what was before. One that failed half the way is brought to its end by
the next, and both are one command then.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from .. import paths
from ..cache.trash import trashed
from ..errors import DvcLikeError, UsageError, WouldOverwrite, gathered
from ..fsutil import Dir
from ..meta.file import SUFFIX
from ..paths import RelPath, show
from ..progress import SILENT, Progress
from ..project import Project
from ..workspace import gitignore
from ._journal import Recorder, grace_of, recorded
from ._record import Record, fingerprint, live_records, read_pointer
from ._scope import Scope
from ._session import Session, open_session
from ._tracked import Target, Wanted
from .checkout import CheckedOut, checkout_in, missing_error
from .fetch import fetch_in, raise_failures


@dataclass
class Undone:
    """What `undo` did.

    The `commands`, the last one first; the `pointers` it put back; what changed in the workspace; and how many objects
    came back out of the cache's trash.
    """

    commands: list[str]
    checkout: CheckedOut
    pointers: list[RelPath] = field(default_factory=list)
    revived: int = 0


def undoable(project: Project) -> list[Record]:
    """Return the commands that can be undone, the last one first."""
    with open_session(project) as session:
        return live_records(project.folder, grace_of(session))[::-1]


def undo(
    project: Project, count: int = 1, *, force: bool = False, remote: str | None = None, progress: Progress = SILENT
) -> Undone:
    """Bring pointers and workspace back to what they were before the last `count` commands.

    Raises `WouldOverwrite`, with nothing touched, when a pointer changed since, or a file that is not in the cache is
    in the way; with `force` such a file is put into the cache first, as all that a command replaces is. What the cache
    no longer has is fetched; `DataMissing` when it cannot be.
    """
    if count < 1:
        raise UsageError("undo at least one command")
    with open_session(project, progress, worktree=True, cache="shared") as session:
        records = live_records(project.folder, grace_of(session))[::-1]
        # One that failed, or was killed: it is brought to its end.
        begun = records.pop(0) if records and records[0].undoing else None
        if begun is not None:
            count += begun.undoing - 1
        if len(records) < count:
            left = f"only {len(records)} commands can be undone" if records else "there is nothing to undo"
            raise DvcLikeError(left, hint=f"A command can be undone for {grace_of(session):g} seconds (gc.grace).")
        before = _merged(records[:count])
        if not force:
            _refuse_changed(session, before)
        with recorded(session, _opposite(before.verb)) as recorder:
            if begun is not None:
                recorder.record, recorder.touched = begun, True
            recorder.record.undoing = count
            recorder.keep(pointers=before.pointers)
            done = Undone([one.verb for one in records[:count]], _bring(session, before, remote, force=force))
            _point(session, before, done, recorder)
            _stage(session, done.pointers)
            if before.trash:
                done.revived = sum(session.cache.revive(key) for key, _ in list(trashed(session.cache)))
            recorder.record.undoing = 0
    return done


def _opposite(verb: str) -> str:
    first, _, rest = verb.partition(" ")
    if first in ("undo", "redo"):
        return f"{'redo' if first == 'undo' else 'undo'} {rest}"
    return f"undo {verb}"


def _merged(records: list[Record]) -> Record:
    """Return one record for several, the last command first: what was before all of them, and what is after."""
    found = Record(0, records[0].verb if len(records) == 1 else f"{len(records)} commands")
    for record in records:
        if record.large:
            raise DvcLikeError(
                f"{show(record.verb)!r} could not be recorded",
                hint="Go back with Git, and `dvc-like checkout`.",
            )
        found.pointers.update(record.pointers)
        for path, place in record.places.items():
            found.add_place(path, place, record.parts.get(path, []))
            found.places[path] = place  # the older one counts
        found.after = {**record.after, **found.after}
        found.freed |= record.freed
        found.trash |= record.trash
    return found


def _is_meta(path: RelPath) -> bool:
    return path.endswith(SUFFIX)


def _refuse_changed(session: Session, before: Record) -> None:
    """Raise when a meta file is neither what the command left nor what it found: that is somebody's work."""
    changed = []
    for path in filter(_is_meta, before.pointers):
        now = read_pointer(session.root, path)
        # A command that was killed could not say what it left.
        if now != before.pointers[path] and before.after.get(path, fingerprint(now)) != fingerprint(now):
            changed.append(show(path))
    if changed:
        raise WouldOverwrite(
            f"{len(changed)} meta file(s) changed since; nothing was undone",
            hint="Put them back with Git, or go on with --force: that can be undone as well.",
            details=tuple(changed),
        )


def _bring(session: Session, before: Record, remote: str | None, *, force: bool) -> CheckedOut:
    """Bring the workspace back; raise, with no pointer touched, what stands against it."""
    there = [
        Wanted(Target(path, place), path, Scope(before.parts[path]) if path in before.parts else None)
        for path, place in before.places.items()
        if place is not None
    ]
    gone = [path for path, place in before.places.items() if place is None]
    failures: list[DvcLikeError] = []
    if before.freed:
        _fetch(session, there, remote, failures)
    done = checkout_in(session, there, failures, force=force, gone=gone, strict=True)
    if done.missing and not failures:
        part = [one._replace(only=(one.only or Scope()).within(done.missing)) for one in there]
        part = [one for one in part if one.enters(one.target.path)]
        _fetch(session, part, remote, failures)
        more = checkout_in(session, part, failures, force=force, strict=True)
        done = CheckedOut(done.created + more.created, done.replaced + more.replaced, done.removed, more.missing)
    if done.missing:
        failures.append(missing_error(session, done.missing))
    if failures:
        raise gathered(failures)
    return done


def _fetch(session: Session, wanted: list[Wanted], remote: str | None, failures: list[DvcLikeError]) -> None:
    """Bring what the cache no longer has, where there is a remote to ask."""
    if remote is None and not session.project.config.get("core.remote"):
        return
    raise_failures("fetch", fetch_in(session, wanted, remote=remote, jobs=None), failures)


def _point(session: Session, before: Record, done: Undone, recorder: Recorder) -> None:
    """Put the pointers back: what is ignored first, so that Git never sees the data."""
    for path in sorted(before.pointers, key=_is_meta):
        data, now = before.pointers[path], read_pointer(session.root, path)
        if not _is_meta(path) and fingerprint(now) != before.after.get(path, fingerprint(now)):
            data = _mixed(path, now, data, before)
        if data == now:
            continue
        name = path.rpartition("/")[2]
        with (
            session.root.descend(paths.parent(path), create=True) as folder,
            Dir.open_root(session.project.tmp) as aside,
        ):
            if data is None:
                folder.unlink(name)
            else:
                folder.write(name, data, aside=aside)
        done.pointers.append(path)
        target = RelPath(path[: -len(SUFFIX)])
        if _is_meta(path) and data is None and target not in before.places:
            session.index.drop(target)  # no longer tracked: the user's own again


def _stage(session: Session, pointers: list[RelPath]) -> None:
    """With `core.autostage`, let Git know as `add` does."""
    git = session.project.git
    if git is not None and pointers and session.project.config.flag("core.autostage"):
        there = [path for path in pointers if read_pointer(session.root, path) is not None]
        git.stage(dict.fromkeys([*there, *git.tracked(pointers)]))


def _mixed(path: RelPath, now: bytes | None, data: bytes | None, before: Record) -> bytes:
    """Return a `.gitignore` that somebody wrote to since: theirs, with our lines as they were."""
    lines, old = ((text or b"").decode("utf-8", "surrogateescape").split("\n") for text in (now, data))
    for meta in filter(_is_meta, before.pointers):
        if paths.parent(meta) == paths.parent(path):
            line = gitignore.pattern(meta.rpartition("/")[2][: -len(SUFFIX)])
            lines = [one for one in lines if one != line or line in old]
            if line in old and line not in lines:
                lines.insert(max(0, len(lines) - 1), line)
    return "\n".join(lines).encode("utf-8", "surrogateescape")
