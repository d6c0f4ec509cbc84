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
from ._sources import KEY, RepoSource, Source, reach, source_of, with_source
from ._tracked import Target, Wanted, select
from .checkout import checkout_in, missing_error
from .import_ import as_meta, write_pointer


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
    commits: dict[tuple[str, str | None], str] = field(default_factory=dict)


#: A source as it is now, and what gives the data's meta: of an import without its bytes (False), or with them.
Answer = tuple[Source, Callable[[bool], Meta]]
_Kind = Callable[[Session, Any, Asking], AbstractContextManager[Answer]]


def update(
    project: Project,
    targets: tuple[str, ...] = (),
    *,
    rev: str | None = None,
    dry_run: bool = False,
    force: bool = False,
    remote: str | None = None,
    jobs: int | None = None,
    progress: Progress = SILENT,
) -> list[Updated]:
    """Bring imported targets (default: all) to what their branch, tag or URL is now, or to another revision `rev`.

    Raises `WouldOverwrite` for data that is not safe in the cache, or that was recorded here since, unless `force`.
    With `dry_run` nothing is changed. All targets are tried; the worst failure is raised at the end.
    """
    failures: list[DvcLikeError] = []
    done: list[Updated] = []
    asking = Asking(rev, remote, jobs)
    with open_session(project, progress, worktree=not dry_run, cache="shared") as session:
        imports = list(_imports(session, targets, failures))
        record = contextlib.nullcontext() if dry_run else recorded(session, words("update", targets))
        with record as recorder:
            for target, source in imports:
                try:
                    with _KINDS[type(source)](session, source, asking) as answer:
                        done.append(_update(session, target, source, answer, recorder, force=force))
                except (DvcLikeError, OSError) as error:
                    wrong = explained(error, "Nothing was recorded for it.")
                    failures.append(
                        type(wrong)(f"{show(target.path)}: {wrong.message}", hint=wrong.hint, details=wrong.details)
                    )
        if not dry_run:
            tell_git(session, [one.new.path for one in done if one.state != "unchanged"])
    if failures:
        raise gathered(failures)
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
    session: Session, target: Target, old: Source, answer: Answer, recorder: Recorder | None, *, force: bool
) -> Updated:
    """Bring one target to what its source is now; without a recorder only say what that would be."""
    source, ask = answer
    if force and old.changed:
        source = source._replace(changed=False)
    if source == old:
        return Updated(target, target, old, old, "unchanged")
    meta = _with_data(target.meta, ask(False))
    new = Target(target.path, with_source(meta, source))
    state = "recorded" if meta == target.meta else "updated"
    if state == "updated" and old.changed and not force:
        raise WouldOverwrite(
            "other data was recorded here than what was imported; nothing was changed",
            hint="`--force` takes the source's; to keep yours for good, remove `source` from the meta file.",
        )
    if recorder is None:
        return Updated(target, new, old, source, state)
    recorder.keep([target.path])
    if state == "updated":
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


def _with_data(meta: Meta, data: Meta) -> Meta:
    return meta._replace(digest=data.digest, size=data.size, files=data.files, executable=data.executable)


# ------------------------------------------------------------------------------ kinds of sources


@contextlib.contextmanager
def _from_repo(session: Session, old: RepoSource, asking: Asking) -> Iterator[Answer]:
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


_KINDS: dict[type, _Kind] = {RepoSource: _from_repo}
