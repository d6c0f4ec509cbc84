"""Whether targets are on their remotes: what `status --cloud` adds.

Owns the comparison of targets with stores. Nothing is read there but listings, and nothing is changed.
"""

from __future__ import annotations

import os
from typing import NamedTuple

from ..digest import file_ident, tree_ident
from ..paths import RelPath, is_below
from ..remote.seen import Seen
from ._session import Session
from ._store import open_store, remote_name
from ._survey import Survey
from ._tracked import Wanted


class OnRemote(NamedTuple):
    """What a remote lacks of a target. `whole` tells that nothing is missing; `missing` names files, where known."""

    remote: str
    whole: bool
    missing: tuple[RelPath, ...] = ()


def on_remotes(session: Session, wanted: list[Wanted], remote: str | None) -> list[OnRemote]:
    """Return for each target what its remote (or the one given) lacks of it."""
    project = session.project
    names = [remote_name(project, remote, one.target.meta.remote) for one in wanted]
    found: dict[int, OnRemote] = {}  # by place in the list: a target with labels of the user's has no hash
    for name in dict.fromkeys(names):
        group = {at: one for at, (one, of_one) in enumerate(zip(wanted, names, strict=True)) if of_one == name}
        with open_store(project, name, jobs=None, create=False, progress=session.progress) as store:
            store.look()
            with Seen(os.path.join(project.shared_tmp, "remotes.sqlite"), store.identity) as seen:
                survey = Survey(session, store, seen, read=-1)
                missing = survey.run(list(group.values()))
        for at, one in group.items():
            lost = tuple(need.path for need in missing.files if is_below(need.path, one.inside))
            below = (need for level in missing.levels for need in level if is_below(need.path, one.inside))
            trees = [need.digest for need in below if need.whole or one.only is None]
            idents = set(map(tree_ident, trees))
            if one.is_whole:  # a listing may be named by the path of another target that has it too
                meta = one.target.meta
                idents.add(tree_ident(meta.digest) if meta.is_folder else file_ident(meta.digest))
            whole = not lost and idents <= survey.known
            found[at] = OnRemote(name, whole, lost)
    return [found[at] for at in range(len(wanted))]
