"""Packs written anew: what is sound or still needed of an old one goes into a new one.

Owns that nothing of a pack is given up before all of it that counts is elsewhere. Used to replace damaged packs, and by
`gc --cloud` for packs that hold little that is needed, and to put many small ones together.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence

from .. import digest as digests
from ..cache.store import Cache
from ..errors import CorruptData, DvcLikeError, RemoteNotFound
from ..remote.pack import DEFLATE, MAX_SIZE, TREES, Builder, Deflater, Index, Member, index_of, members_of, unpack
from ..remote.packs import index_key, zip_key
from ._remote_trees import verify
from ._session import Session
from ._store import Store


def replace_damaged(session: Session, store: Store) -> list[str]:
    """Replace the packs that were found damaged; return those that hold something nobody here has.

    Sound members move, broken ones come from the cache. A pack that cannot be replaced whole stays, for somebody
    else may have what is lost here.
    """
    left = [pack for pack in list(store.packs.damaged) if not _mend_index(store, pack)]
    return left + [pack for pack in list(store.packs.broken) if not _replace(session.cache, store, pack)]


def _mend_index(store: Store, pack: str) -> bool:
    """Put a pack's index again when it was only the index that was damaged."""
    try:
        index = index_of(_read_zip(store, pack))
        if Index(index).id != pack:
            return False
    except (CorruptData, RemoteNotFound):
        return False
    store.backend.put(index_key(pack), index)
    store.backend.flush()
    store.packs.added(pack, index)
    return True


def _replace(cache: Cache, store: Store, pack: str) -> bool:
    whole = rewrite(store, [pack], lambda member: True, lambda ident: from_cache(cache, ident))
    if whole and pack in store.packs.broken:  # else the new pack is the old one as it should have been
        store.packs.remove([pack])
    return whole


def from_cache(cache: Cache, ident: bytes) -> bytes | None:
    """Return an object of the cache, None when it is not there or not sound."""
    digest, is_tree = digests.of_ident(ident)
    return cache.read_tree(digest) if is_tree else cache.read_file(digest)


def rewrite(
    store: Store,
    packs: Sequence[str],
    keep: Callable[[Member], bool],
    instead: Callable[[bytes], bytes | None] = lambda ident: None,
    *,
    going: Iterable[str] = (),
) -> bool:
    """Put members of packs, which are held in memory, into a new one; tell whether all that are to be kept were had.

    A damaged member is replaced by what `instead` returns. Members that another sound pack has are not written again,
    unless that is condemned, or `going` to be.
    """
    doomed = store.packs.condemned_names().union(going)
    wanted = {pack: [member for member in store.packs.indexes[pack] if keep(member)] for pack in packs}
    idents = {member.ident for members in wanted.values() for member in members}
    found_in = store.packs.find(idents, without=set(packs))
    done = {ident for ident, place in found_in.items() if f"packs/{place.pack}" not in doomed}
    zips = _read_zips(store, packs)
    builder = Builder(None if store.is_near else Deflater())
    for pack, member, name in _ordered(wanted, zips):
        if member.ident in done:
            continue
        stored = zips[pack][member.offset : member.offset + member.length]
        found = _sound(member, stored)
        deflated = stored if found is not None and member.kind == DEFLATE else None
        if found is None:
            found = instead(member.ident)
        if found is not None:
            builder.add(member.ident, name, found, deflated)
            done.add(member.ident)
    if len(builder):
        made = builder.finish()
        store.packs.put(made)
        store.backend.flush()
        store.packs.added(made.id, made.index_data)
    return idents <= done


def _ordered(wanted: dict[str, list[Member]], zips: dict[str, bytes]) -> list[tuple[str, Member, str]]:
    """Return packs' members with their names: of one pack in its order, of several by name, the trees last."""
    found = []
    for pack, members in wanted.items():
        try:
            names = {member.ident: name for name, member in members_of(zips[pack])}
        except CorruptData:
            names = {}
        for member in sorted(members, key=lambda one: one.offset):
            digest, is_tree = digests.of_ident(member.ident)
            name = names.get(member.ident) or f"{'.trees' if is_tree else 'files'}/{digest.hex}"
            found.append((pack, member, name))
    return found if len(wanted) == 1 else sorted(found, key=lambda one: (one[2].startswith(TREES), one[2]))


def _sound(member: Member, stored: bytes) -> bytes | None:
    try:
        found = unpack(member, stored)
        verify(member.ident, found)
    except DvcLikeError:
        return None
    return found


def _read_zips(store: Store, packs: Iterable[str]) -> dict[str, bytes]:
    """Read packs, several at a time; one that is gone is empty."""
    found: dict[str, bytes] = {}

    def read(pack: str) -> None:
        try:
            found[pack] = _read_zip(store, pack)
        except RemoteNotFound:
            found[pack] = b""

    outcome = store.transfer(packs, read, at_once=1)
    if outcome.failures:
        raise outcome.failures[0][1]
    return found


def _read_zip(store: Store, pack: str) -> bytes:
    buffer = io.BytesIO()
    store.backend.get(zip_key(pack), buffer, length=MAX_SIZE)
    return buffer.getvalue()
