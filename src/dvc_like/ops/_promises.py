"""What trees that nobody needs promise: as long as a pack holds one, all that it lists has to be there.

Owns reading those listings. A push believes a tree that it finds on a store, however old it is, so `gc` may not leave
one behind whose files it deletes.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..cache.store import Cache
from ..digest import is_tree_ident, of_ident
from ..errors import CorruptData, DvcLikeError
from ..meta.tree import parse
from ._remote_trees import read_trees
from ._store import Store
from ._survey import ident_of


class Promises:
    """What the trees in the packs of one store list, each read once. One that is damaged promises nothing."""

    def __init__(self, cache: Cache, store: Store, needed: set[bytes]) -> None:
        """`needed` names what is kept anyway."""
        self._cache = cache
        self._store = store
        self._needed = needed
        self._listed: dict[bytes, frozenset[bytes]] = {}

    def of(self, packs: Iterable[str]) -> dict[str, set[bytes]]:
        """Return for each pack that holds trees that are not needed the idents of what those list."""
        indexes = self._store.packs.indexes
        trees = {
            pack: [one.ident for one in indexes[pack] if is_tree_ident(one.ident) and one.ident not in self._needed]
            for pack in packs
        }
        self._read({tree for dead in trees.values() for tree in dead} - self._listed.keys())
        return {pack: set().union(*(self._listed[tree] for tree in dead)) for pack, dead in trees.items() if dead}

    def _read(self, trees: set[bytes]) -> None:
        digests = {of_ident(tree)[0]: tree for tree in trees}
        found = read_trees(self._cache, self._store, digests)
        for digest, tree in digests.items():
            data = found.get(digest, b"")
            if isinstance(data, DvcLikeError) and not isinstance(data, CorruptData):
                raise data
            try:
                entries = parse(data, digest.short) if isinstance(data, bytes) else []
            except CorruptData:
                entries = []
            self._listed[tree] = frozenset(map(ident_of, entries)) - {b""} - self._needed
