"""`update`: bring what was imported to what its source is now.

Owns what is replaced: no data that is not safe in the cache, and none that was recorded here instead of what was
imported. How a kind of source is asked stands in `_KINDS`, one line each.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from ..errors import DvcLikeError, UsageError, WouldOverwrite, gathered
from ..meta.file import Meta
from ..meta.rewrite import rewrite
from ..paths import show
from ..progress import SILENT, Progress
from ..project import Project
from ._bring import There, bring
from ._elsewhere import elsewhere, name_of, path_in
from ._journal import Recorder, recorded, words
from ._pointer import tell_git
from ._record import read_pointer
from ._session import Session, explained, open_session
from ._sources import KEY, RepoSource, Source, UrlSource, reach, source_of, with_source
from ._store import remote_name
from ._tracked import Target, Wanted, select
from ._urls import is_same
from .checkout import checkout_in, missing_error
from .import_ import as_meta, write_pointer
from .import_url import newest, refuse_unsaved, take_away


class Updated(NamedTuple):
    """What became of one import: `state` is ``updated``, ``recorded`` (the same data at another commit) or
    ``unchanged``. `old` is what it was and `new` what it is, or with `dry_run` would be; the sources likewise.
    """

    old: Target
    new: Target
    old_source: Source
    new_source: Source
    state: str


@dataclass(frozen=True)
class Asking:
    """What holds for all targets of one call; `commits` is what repositories answered already."""

    rev: str | None = None
    remote: str | None = None
    jobs: int | None = None
    to_remote: bool = False
    commits: dict[tuple[str, str | None], str] = field(default_factory=dict)


#: A source as it is now, and what gives the data's meta: of an import without its bytes (False), or with them. None
#: where nobody knows it before the bytes are read.
Answer = tuple[Source, Callable[[bool], Meta | None]]
_Kind = Callable[[Session, Target, Any, Asking], AbstractContextManager[Answer]]


def update(
    project: Project,
    targets: tuple[str, ...] = (),
    *,
    rev: str | None = None,
    dry_run: bool = False,
    force: bool = False,
    to_remote: bool = False,
    remote: str | None = None,
    jobs: int | None = None,
    failures: list[DvcLikeError] | None = None,
    progress: Progress = SILENT,
) -> list[Updated]:
    """Bring imported targets (default: all) to what their branch, tag or URL is now, or to another revision `rev`.

    Raises `WouldOverwrite` for data that is not safe in the cache, or that was recorded here since, unless `force`.
    With `dry_run` nothing is changed. With `to_remote` what comes from a URL goes to a remote and not to this machine,
    as by `import_url`, and what is here of its old version goes. All targets are tried; what went wrong is added to
    `failures`; when that is None it is raised at the end.
    """
    wrong: list[DvcLikeError] = []
    done: list[Updated] = []
    asking = Asking(rev, remote, jobs, to_remote)
    with open_session(project, progress, worktree=not dry_run, cache="shared") as session:
        imports = list(_imports(session, targets, wrong))
        record = contextlib.nullcontext() if dry_run else recorded(session, words("update", targets))
        with record as recorder:
            for target, source in imports:
                try:
                    with _KINDS[type(source)](session, target, source, asking) as answer:
                        done.append(_update(session, target, source, answer, asking, recorder, force=force))
                except (DvcLikeError, OSError) as error:
                    told = explained(error, "Nothing was recorded for it.")
                    wrong.append(
                        type(told)(f"{show(target.path)}: {told.message}", hint=told.hint, details=told.details)
                    )
        if not dry_run:
            tell_git(session, [one.new.path for one in done if one.state != "unchanged"])
    if failures is not None:
        failures += wrong
    elif wrong:
        raise gathered(wrong)
    return done


def _imports(
    session: Session, targets: tuple[str, ...], failures: list[DvcLikeError]
) -> Iterator[tuple[Target, Source]]:
    found = select(session.project, session.root, targets, failures)
    named = {session.project.relative(text) for text in targets}
    for target, inside, _ in found:
        if inside != target.path:
            failures.append(
                UsageError(f"{show(inside)} is a part of {show(target.path)}", hint="Update all of that target.")
            )
            continue
        try:
            source = source_of(target.meta, target.meta_path)
        except DvcLikeError as error:
            failures.append(error)
            continue
        if source is not None:
            yield target, source
        elif {target.path, target.meta_path} & named:
            failures.append(UsageError(f"{show(target.path)} was not imported", hint="`dvc-like add` records changes."))


def _update(
    session: Session,
    target: Target,
    old: Source,
    answer: Answer,
    asking: Asking,
    recorder: Recorder | None,
    *,
    force: bool,
) -> Updated:
    """Bring one target to what its source is now; without a recorder only say what that would be."""
    source, ask = answer
    if force and old.changed:
        source = source._replace(changed=False)
    if source == old and (not isinstance(old, UrlSource) or is_same(old, old)):  # else nobody tells
        return Updated(target, target, old, old, "unchanged")
    data = ask(False)
    if data is None:
        if old.changed and not force:
            raise _recorded_here()
        if recorder is None:
            return Updated(target, Target(target.path, with_source(target.meta, source)), old, source, "updated")
        if not force:
            refuse_unsaved(session, target, leaves=asking.to_remote)
        data = ask(True)
    meta = _with_data(target.meta, data)
    new = Target(target.path, with_source(meta, source))
    state = "updated" if meta != target.meta else "unchanged" if source == old else "recorded"
    if state == "updated" and old.changed and not force:
        raise _recorded_here()
    if recorder is None or state == "unchanged":
        return Updated(target, new, old, source, state)
    recorder.keep([target.path])
    if isinstance(source, UrlSource) and asking.to_remote:
        new = Target(new.path, new.meta._replace(remote=asking.remote or new.meta.remote))
        if state == "updated":
            take_away(session, target, force=force)
    elif state == "updated":
        new = Target(target.path, with_source(_with_data(target.meta, ask(True)), source))
        failures: list[DvcLikeError] = []
        placed = checkout_in(session, [Wanted(new, new.path)], failures, force=force)
        if placed.missing:
            failures.append(missing_error(session, placed.missing))
        if failures:
            raise gathered(failures)
    before = read_pointer(session.root, target.meta_path) or b""
    write_pointer(session, new, rewrite(new.meta, before, keys=(KEY,)))
    return Updated(target, new, old, source, state)


def _recorded_here() -> WouldOverwrite:
    return WouldOverwrite(
        "other data was recorded here than what was imported; nothing was changed",
        hint="`--force` takes the source's; to keep yours for good, remove `source` from the meta file.",
    )


def _with_data(meta: Meta, data: Meta | None) -> Meta:
    assert data is not None
    return meta._replace(digest=data.digest, size=data.size, files=data.files, executable=data.executable)


# ------------------------------------------------------------------------------ kinds of sources


@contextlib.contextmanager
def _from_repo(session: Session, target: Target, old: RepoSource, asking: Asking) -> Iterator[Answer]:
    if asking.to_remote:
        raise UsageError("it comes from a repository: only what comes from a URL goes to a remote by itself")
    project, rev = session.project, asking.rev or old.rev
    place = reach(project, old.repo)
    known = asking.commits.get((place, rev), rev)
    with elsewhere(place, known, path=old.path, near=project, progress=session.progress) as (other, commit):
        assert commit is not None
        asking.commits[place, rev] = commit
        there = There(other, commit, path_in(other, place, old.path, project), name_of(place))

        def ask(data: bool) -> Meta:
            return as_meta(bring(session, there, remote=asking.remote, jobs=asking.jobs, data=data))

        yield old._replace(commit=commit, rev=rev, changed=old.changed and commit == old.commit), ask


@contextlib.contextmanager
def _from_url(session: Session, target: Target, old: UrlSource, asking: Asking) -> Iterator[Answer]:
    if asking.rev is not None:
        raise UsageError("it comes from a URL, which has no revisions", hint="Leave out --rev.")
    if asking.remote is not None and not asking.to_remote:
        raise UsageError(
            "it comes from a URL: -r says where --to-remote sends to",
            hint="Leave out -r and push it to that remote, or add --to-remote.",
        )
    remote = remote_name(session.project, asking.remote, target.meta.remote) if asking.to_remote else None
    with newest(session, target, old, asking.jobs, remote) as (source, get):
        found: list[Meta] = []

        def ask(data: bool) -> Meta | None:
            if data and not found:
                found.append(get())
            return found[0] if found else None

        yield source, ask


_KINDS: dict[type, _Kind] = {RepoSource: _from_repo, UrlSource: _from_url}
