"""`import`: track a file or a folder of another repository here, with a record of where it came from.

Owns where an import may lie, and the order: objects, `.gitignore`, meta file, data. From then on it is data like any
other; `update` moves it to what its source is later.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from ..digest import Digest
from ..errors import DvcLikeError, UsageError, WouldOverwrite, gathered
from ..fsutil import Dir
from ..meta.file import SUFFIX, Meta
from ..meta.rewrite import rewrite
from ..meta.tree import EXECUTABLE, FOLDER, Entry
from ..paths import RelPath, parent, show, typed
from ..progress import SILENT, Progress
from ..project import Project
from ..workspace import gitignore
from ..workspace.leftovers import sweep
from ._bring import There, bring
from ._elsewhere import elsewhere, name_of, path_in
from ._journal import recorded, words
from ._pointer import refuse_place, tell_git
from ._record import read_pointer
from ._session import Session, open_session
from ._sources import KEY, RepoSource, Source, allow, is_local, kept, source_of, with_source
from ._tracked import Target, Wanted, enclosing, status_at
from .checkout import checkout_in, missing_error
from .get import typed_path


class Imported(NamedTuple):
    """A new target, where it came from, and the files Git has to be told of (or was, with `core.autostage`)."""

    target: Target
    source: Source
    pointers: tuple[RelPath, ...]


def import_(
    project: Project,
    repo: str | os.PathLike[str],
    path: str | os.PathLike[str],
    out: str | os.PathLike[str] | None = None,
    *,
    rev: str | None = None,
    remote: str | None = None,
    jobs: int | None = None,
    progress: Progress = SILENT,
) -> Imported:
    """Track here what another repository tracks at `path`: data into the cache and the workspace, meta file, source.

    `repo` is a URL that Git understands or a folder on this machine, `rev` a revision of it (default: that of its
    default branch, or a folder's HEAD), `path` is seen from its top. `out` (default: the same name in the current
    folder) may be a folder to put it into. `remote` is one of that repository's. No credential in `repo` is recorded
    where Git tracks it. Raises as `get` does; `WouldOverwrite` when something is at `out`.
    """
    given, inner = os.fspath(repo), typed_path(path)
    place = kept(project, given)
    with elsewhere(given, rev, path=inner, progress=progress) as (other, commit):
        assert commit is not None
        there = There(other, commit, path_in(other, given, inner), name_of(given))
        source = RepoSource(place, inner, commit, rev)
        with open_session(project, progress, worktree=True, cache="shared") as session:
            target = destination(session, inner.rpartition("/")[2], out, source)
            entry = bring(session, there, remote=remote, jobs=jobs)
            found = Target(target, with_source(as_meta(entry), source))
            place_import(session, found, words("import", [name_of(given), inner]))
            pointers = tell_git(session, [target])
    allow(project, given if not is_local(given) else place)
    return Imported(found, source, pointers)


def as_meta(entry: Entry) -> Meta:
    """Return what a meta file says of an entry."""
    files = entry.files if entry.kind == FOLDER else None
    return Meta(Digest(entry.value), entry.size, files, entry.kind == EXECUTABLE)


def destination(session: Session, name: str, out: str | os.PathLike[str] | None, source: Source) -> RelPath:
    """Return where an import goes; raise when a target cannot lie there, or one does.

    The very same import may be there: a run that died is finished by the next one.
    """
    name = name.removesuffix(SUFFIX)
    text = os.fspath(out) if out is not None else name
    into = out is not None and (os.path.isdir(text) or text.endswith(("/", os.sep)))
    path = session.project.relative(os.path.join(text, name) if into else text)
    if not path or path.endswith(SUFFIX):
        raise UsageError(f"nothing can be tracked as {show(text)}", hint="Choose another name with -o.")
    holder = enclosing(session.root, path)
    if holder is not None and holder.path != path:
        raise UsageError(
            f"{show(path)} would lie in the tracked folder {show(holder.path)}",
            hint="Choose another place with -o; `dvc-like get` puts data there that is then added to that folder.",
        )
    refuse_place(session, path)
    if holder is not None and source_of(holder.meta, holder.meta_path) != source:
        raise WouldOverwrite(
            f"{show(path)} is tracked already; nothing was changed",
            hint=f"Choose another name with -o, or `dvc-like update {typed(path)}` if it is an import.",
        )
    if holder is None and status_at(session.root, path) is not None:
        raise WouldOverwrite(
            f"{show(path)} is there already; nothing was changed",
            hint="Choose another name with -o, or move it away.",
        )
    return path


def place_import(session: Session, target: Target, verb: str) -> None:
    """Write the pointer to an import whose objects are in the cache, then its data."""
    failures: list[DvcLikeError] = []
    with recorded(session, verb) as recorder:
        recorder.keep([target.path])
        holder = enclosing(session.root, target.path)  # of a run that died: what the user wrote into it stays
        if holder is not None:
            target = Target(target.path, target.meta._replace(remote=holder.meta.remote))
        before = read_pointer(session.root, target.meta_path) or b""
        write_pointer(session, target, rewrite(target.meta, before, keys=(KEY,)))
        done = checkout_in(session, [Wanted(target, target.path)], failures)
    for number, error in enumerate(failures):
        if isinstance(error, WouldOverwrite):  # here is no --force to give them up with
            hint = "Save them with `dvc-like add`, or move them away."
            failures[number] = WouldOverwrite(error.message, hint=hint, details=error.details)
    if done.missing:
        failures.append(missing_error(session, done.missing))
    if failures:
        raise gathered(failures)


def write_pointer(session: Session, target: Target, text: bytes) -> None:
    """Write `.gitignore` line and meta file of a target."""
    name = target.path.rpartition("/")[2]
    with (
        session.root.descend(parent(target.path), create=True) as folder,
        Dir.open_root(session.project.tmp) as aside,
    ):
        sweep(aside)
        if session.project.git is not None:
            gitignore.add(folder, [name], aside)
        folder.write(name + SUFFIX, text, aside=aside)
