"""From a selection to what a verb works on: targets, and with patterns or a profile what of them is asked for.

Owns where patterns begin (the current folder for globs, the project's root for profiles), which profile counts, and the
complaint about a pattern that nothing matches.
"""

from __future__ import annotations

from dataclasses import replace

from ..errors import DvcLikeError, UsageError
from ..meta.tree import FOLDER, Entry
from ..paths import RelPath, join, show
from ._scope import Scope
from ._session import Session
from ._tracked import Selection, Wanted, at_revisions, select
from ._trees import load, root_entry


def choose(
    session: Session,
    selection: Selection,
    failures: list[DvcLikeError],
    *,
    by_default: bool = True,
    unread: bool = False,
) -> list[Wanted]:
    """Return the targets of the workspace, and of the revisions a selection asks for besides.

    A path that only another revision tracks is fine when revisions are asked for. `by_default` says whether
    `core.profile` counts. What is wrong with paths and patterns is added to `failures`; with `unread` listings are
    still to come, and the caller asks `unmatched` then. Raises `ConfigError` when there is no such profile,
    `UsageError` for a selection that contradicts itself.
    """
    project = session.project
    patterns = _patterns(session, selection)
    scope = Scope(patterns) if patterns else _profile(session, selection, by_default=by_default)
    named = () if patterns else selection.targets
    if selection.has_revisions:
        wanted = at_revisions(project, replace(selection, targets=named), failures)
        here: list[DvcLikeError] = []
        wanted += select(project, session.root, named, here)
        failures += [error for error in here if not (wanted and isinstance(error, UsageError))]
    else:
        wanted = select(project, session.root, named, failures)
    if scope is None:
        return wanted
    wanted = [one._replace(only=scope) for one in wanted]
    wanted = [one for one in wanted if one.enters(one.target.path)]
    if not unread:
        failures += unmatched(session, selection, wanted)
    return wanted


def unmatched(session: Session, selection: Selection, wanted: list[Wanted]) -> list[DvcLikeError]:
    """Return an error for each pattern that nothing matches, as far as the listings are in the cache."""
    return [
        UsageError(
            f"nothing that is tracked matches {show(typed)!r}",
            hint="Quote patterns, so that the shell leaves them alone; ** reaches into folders.",
        )
        for pattern, typed in zip(_patterns(session, selection), selection.targets, strict=False)
        if not any(_matches(session, one, Scope([pattern])) for one in wanted)
    ]


def _patterns(session: Session, selection: Selection) -> list[RelPath]:
    if selection.glob and selection.profile:
        raise UsageError("give either patterns or a profile, not both")
    if selection.glob and not selection.targets:
        raise UsageError("--glob needs a pattern", hint="For instance: --glob 'data/**/*.jpg'")
    return [session.project.relative(text) for text in selection.targets] if selection.glob else []


def _profile(session: Session, selection: Selection, *, by_default: bool) -> Scope | None:
    name = selection.profile
    if not name and by_default and not selection.targets:
        name = session.project.config.get("core.profile")
    if not name:
        return None
    return Scope(*session.project.config.profile(name), names_in=session.index.names_in)


def _matches(session: Session, wanted: Wanted, scope: Scope) -> bool:
    """Tell whether a target holds something that matches; it may, where a listing is not in the cache."""
    waiting: list[tuple[Entry, RelPath]] = [(root_entry(wanted.target.path, wanted.target.meta), wanted.target.path)]
    seen: set[tuple[str, object]] = set()
    while waiting:
        entry, path = waiting.pop()
        if scope.asks(path):
            return True
        if entry.kind == FOLDER and scope.enters(path) and (mark := (entry.value, scope.mark(path))) not in seen:
            seen.add(mark)  # a few listings may unfold without end
            try:
                waiting += [(one, join(path, one.name)) for one in load(session.cache, entry.digest, path)]
            except DvcLikeError:
                return True  # whoever needs it says so
    return False
