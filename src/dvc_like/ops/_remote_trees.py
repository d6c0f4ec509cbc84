"""Trees wherever they are: in the cache, in a pack of a store, or there under their own key.

Owns that a tree is verified before anybody parses it. Nothing is kept in the cache: for verbs that only look.
"""

from __future__ import annotations

import io
from collections.abc import Iterable

from .. import digest as digests
from ..cache.store import Cache
from ..digest import Digest, tree_ident, tree_key
from ..errors import CorruptData, DvcLikeError, RemoteNotFound
from ..meta.tree import MAX_SIZE
from ._packed import read_packed
from ._store import Store


def read_trees(cache: Cache, store: Store, wanted: Iterable[Digest]) -> dict[Digest, bytes | DvcLikeError]:
    """Return the bytes of trees, or why one cannot be read; one that is nowhere is left out."""
    found: dict[Digest, bytes | DvcLikeError] = {}
    away: dict[bytes, Digest] = {}
    for digest in wanted:
        data = cache.read_tree(digest)
        if data is not None:
            found[digest] = data
        else:
            away[tree_ident(digest)] = digest

    def take(ident: bytes, data: bytes) -> None:
        verify(ident, data)
        found[away[ident]] = data

    if away:
        failures = read_packed(store, store.packs.find(away.keys()).values(), take)
        found.update({away[ident]: error for ident, error in failures.items()})
    for digest in away.values():
        if digest not in found:
            whole = _whole(store, digest)
            if whole is not None:
                found[digest] = whole
    return found


def _whole(store: Store, digest: Digest) -> bytes | DvcLikeError | None:
    buffer = io.BytesIO()
    try:
        store.backend.get(tree_key(digest), buffer, length=MAX_SIZE)
        verify(tree_ident(digest), buffer.getvalue())
    except RemoteNotFound:
        return None
    except CorruptData as error:
        return error
    return buffer.getvalue()


def verify(ident: bytes, data: bytes) -> None:
    """Raise `CorruptData` when bytes are not those of an ident."""
    digest, _ = digests.of_ident(ident)
    if digests.of_bytes(digest.algorithm, data) != digest:
        raise CorruptData("its bytes are not what its name says")
