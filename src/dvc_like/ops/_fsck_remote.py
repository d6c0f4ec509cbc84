"""`fsck --remote`: is everything there that the workspace needs, and is it what its name says?

Owns the check of one store and its mending: what is missing or damaged there is sent again from the cache, a lost
index is made again from its pack, and a damaged pack is written anew with what is sound of it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from ..digest import tree_ident
from ..errors import CorruptData, DvcLikeError, RemoteError
from ..paths import show
from ..remote.seen import Seen
from ._repack import replace_damaged
from ._send import Sender
from ._session import Session
from ._store import Store
from ._survey import Missing, Survey
from ._tracked import Wanted
from ._transfer import as_error


@dataclass
class RemoteChecked:
    """What was found on a remote: how many files were looked at, and the paths of those that are missing or damaged.

    `packs` names packs that are incomplete or hold damage, `repaired` counts files that are sound there again.
    """

    files: int = 0
    missing: list[str] = field(default_factory=list)
    packs: list[str] = field(default_factory=list)
    repaired: int = 0


def check_remote(session: Session, store: Store, wanted: list[Wanted], *, read: float, repair: bool) -> RemoteChecked:
    """Check a store; return what was found when all is sound or was repaired, else raise `CorruptData`."""
    with Seen(os.path.join(session.project.shared_tmp, "remotes.sqlite"), store.identity) as seen:
        store.look(anew=read > 0)  # copies of indexes on this machine would hide damage to them there
        survey = Survey(session, store, seen, closely=True, read=read)
        with session.progress.task("checking") as task:
            missing = survey.run(wanted)
            packs = store.packs
            incomplete = [pack for pack, index in packs.indexes.items() if not packs.is_there(pack)]
            for pack in incomplete:
                packs.broken[pack] = frozenset(member.ident for member in packs.indexes[pack])
            done = RemoteChecked(missing.present + len(missing.files))
            done.missing = _lacking(missing, survey.known)
            done.packs = sorted(pack[:12] for pack in {*packs.damaged, *packs.broken})
            left_paths, left_packs = done.missing, [*packs.damaged, *packs.broken]
            unread = [f"{path}: {error.message}" for path, error in missing.failures if f"{path}/" not in left_paths]
            if repair and (left_paths or left_packs):
                packs.spare(survey.relied, {need.key for need in missing.files})
                sender = Sender(session, store, seen, survey.known, task)
                sender.run(missing)
                refused: list[tuple[str, DvcLikeError]] = [
                    (path, error) for path, error in sender.failures if isinstance(error, RemoteError)
                ]
                if refused:
                    raise as_error("repair", refused, sender.objects, sender.untried)
                left_packs = replace_damaged(session, store)
                left_paths = _lacking(missing, survey.known)
                done.repaired = len(done.missing) - len(left_paths)
    if left_paths or left_packs or unread:
        raise _unsound(store, left_paths, left_packs, unread, read=read, repair=repair)
    return done


def _lacking(missing: Missing, known: set[bytes]) -> list[str]:
    """Return the paths of files and folders that a store lacks."""
    lost = {show(need.path) for need in missing.files if need.ident not in known}
    lost.update(
        f"{show(need.path)}/"
        for level in missing.levels
        for need in level
        if tree_ident(need.digest) not in known and need.whole
    )
    return sorted(lost)


def _unsound(
    store: Store, paths: list[str], packs: list[str], unread: list[str], *, read: float, repair: bool
) -> DvcLikeError:
    details = [f"missing or damaged: {path}" for path in paths] + [f"damaged pack: {pack[:12]}" for pack in packs]
    details += [f"not checked: {what}" for what in unread]
    reading = " --read-data" if read else ""  # without it, what only reading found would not be found again
    rest = f", {len(unread)} listings that cannot be read" if unread else ""
    return CorruptData(
        f"remote {store.name} is not sound: {len(paths)} missing or damaged, {len(packs)} damaged packs{rest}",
        hint="What is left is not in the cache here: repair from a clone that has it."
        if repair
        else f"`dvc-like fsck --remote {store.name}{reading} --repair` sends again what the cache has.",
        details=tuple(details),
    )
