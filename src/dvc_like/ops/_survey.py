"""What a store lacks of some targets: looked at before a push, and all that `status --cloud` does.

Owns what counts as being there. A tree that is on a store vouches for all below it, and so does an earlier version of
the same target for the files that it lists; a pack for its members. On a store that is near every object is looked at
all the same, and one that was touched since it was last verified is read.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterable
from dataclasses import dataclass, field

from .. import digest as digests
from ..digest import Digest, file_ident, file_key, tree_ident, tree_key
from ..errors import DataMissing, DvcLikeError, RemoteError
from ..meta.tree import FOLDER, LINK, Entry, parse
from ..paths import show
from ..remote.base import Info
from ..remote.pack import DEFLATE, RAW
from ..remote.packs import Place, zip_key
from ..remote.seen import Seen
from ._closure import Need, TreeNeed, close_over, load_need, refuse_unknown
from ._packed import read_packed
from ._remote_trees import read_trees, verify
from ._session import Session
from ._store import Store
from ._tracked import Wanted
from ._trees import load

PACKED_UP_TO = 1 << 20  # a larger file is an object of its own


def travels_whole(need: Need) -> bool:
    """Tell whether a file is to be an object of its own: a person recognises it, or its size is worth a request."""
    return need.single or need.size > PACKED_UP_TO


def _may_be_whole(need: Need) -> bool:
    """Tell whether a small file may lie there as an object of its own: DVC, which names by MD5, keeps each so."""
    return need.digest.algorithm == "md5"


def ident_of(entry: Entry) -> bytes:
    """Return the ident of what an entry names, empty for a link."""
    if entry.kind == LINK:
        return b""
    return tree_ident(entry.digest) if entry.kind == FOLDER else file_ident(entry.digest)


@dataclass
class Missing:
    """What a store lacks: files, and the levels of trees (the roots first) with what they list."""

    files: list[Need] = field(default_factory=list)
    levels: list[list[TreeNeed]] = field(default_factory=list)
    failures: list[tuple[str, DvcLikeError]] = field(default_factory=list)
    unknown: list[DvcLikeError] = field(default_factory=list)  # paths asked for that are nowhere
    present: int = 0  # files that are there and were looked at
    damaged: int = 0  # files that are there, and are not what their name says


class Survey:
    """Looks at one store. `known` holds the idents of what is there.

    With `closely` nothing vouches for anything else; `read` percent of what seems sound is read besides, with a
    negative number nothing at all.
    """

    def __init__(self, session: Session, store: Store, seen: Seen, *, closely: bool = False, read: float = 0) -> None:
        self._session = session
        self._store = store
        self._seen = seen
        self._closely = closely or store.is_near
        self._reads_trees = closely
        self._read = read
        self._chance = random.Random(0 if read >= 100 else None)
        self._tokens = seen.tokens() if store.is_near else {}
        self._older: dict[str, Digest] = {} if self._closely else {p: Digest(d) for p, d in seen.roots().items()}
        self._vouched: set[bytes] = set()
        self._looked_at: set[str] = set()  # packs that need no second look
        self.known: set[bytes] = {b""}
        self.relied: set[str] = set()  # packs and whole objects that `known` stands on
        self.missing = Missing()

    def run(self, wanted: list[Wanted]) -> Missing:
        """Look for everything the targets need."""
        closure = close_over(wanted, self._load)
        self.missing.unknown = refuse_unknown(closure)
        self.missing.levels = closure.levels
        self._look_for_files(list(closure.files.values()))
        self._look_beside(closure.levels)
        return self.missing

    # ---------------------------------------------------------------- trees

    def _load(self, level: list[TreeNeed]) -> None:
        """Read a level of trees, except those that the store has and so vouches for."""
        idents = {tree_ident(need.digest) for need in level}
        there = self._in_packs(idents)
        if self._closely:
            there |= self._whole_trees([need for need in level if tree_ident(need.digest) not in there])
        self.known |= there
        away: list[TreeNeed] = []
        for need in level:
            is_there = tree_ident(need.digest) in there
            if is_there and need.whole and not self._closely:
                continue
            try:
                need.entries = load_need(self._session.cache, need)
            except DataMissing:
                if is_there:
                    away.append(need)
                else:
                    lost = DataMissing("its listing is neither in the cache nor on the remote")
                    self.missing.failures.append((show(need.path), lost))
            except DvcLikeError as error:
                self.missing.failures.append((show(need.path), error))
        if self._reads_trees and away:
            self._load_from_store(away)
        self._hear_older([need for need in level if tree_ident(need.digest) not in there])

    def _load_from_store(self, needs: list[TreeNeed]) -> None:
        """Read trees that were never fetched: what they list is looked for as well."""
        found = read_trees(self._session.cache, self._store, dict.fromkeys(need.digest for need in needs))
        for need in needs:
            data = found.get(need.digest)
            try:
                if isinstance(data, DvcLikeError):
                    raise data
                if data is not None:
                    need.entries = parse(data, f"the listing of {show(need.path)} ({need.digest.short})")
            except DvcLikeError as error:
                self.missing.failures.append((show(need.path), error))

    def _whole_trees(self, needs: list[TreeNeed]) -> set[bytes]:
        """Return the trees that lie there as objects of their own: no version with packs puts them so."""
        found = self._store.stat([need.key for need in needs])
        there = set()
        for need in needs:
            info = found.get(need.key)
            if info is not None and self._is_good(need.key, need.digest, info.size, info):
                there.add(tree_ident(need.digest))
                self.relied.add(need.key)
        return there

    def _hear_older(self, needs: list[TreeNeed]) -> None:
        """Let earlier versions of folders, if all of those is on the store, vouch for the files they list."""
        older = [(need, self._older[need.path]) for need in needs if need.path in self._older]
        there = self._in_packs(tree_ident(tree) for _, tree in older)
        for need, tree in older:
            try:
                entries = load(self._session.cache, tree, need.path, need.depth) if tree_ident(tree) in there else []
            except DvcLikeError:
                continue
            for entry in entries:
                if entry.kind == FOLDER:
                    self._older[f"{need.path}/{entry.name}"] = entry.digest
                elif entry.kind != LINK:
                    self._vouched.add(file_ident(entry.digest))

    def _look_beside(self, levels: list[list[TreeNeed]]) -> None:
        """Where only a part is asked for: find out whether the rest is there, so that the listings above can follow."""
        beside = [entry for level in levels for need in level if not need.whole for entry in need.entries or ()]
        unseen = {ident_of(entry): entry for entry in beside if ident_of(entry) not in self.known}
        there = self._in_packs(unseen.keys())
        keys = {
            tree_key(entry.digest) if entry.kind == FOLDER else file_key(entry.digest): ident
            for ident, entry in unseen.items()
            if ident not in there and ident not in self._vouched
        }
        found = self._store.stat(keys).keys() & keys.keys()
        self.relied |= found
        whole = {keys[key] for key in found}
        self.known |= there | whole | (self._vouched & unseen.keys())

    # ---------------------------------------------------------------- files

    def _look_for_files(self, needs: list[Need]) -> None:
        of_ident = {need.ident: need for need in needs}
        there = self._in_packs(of_ident.keys())
        there |= self._vouched & of_ident.keys()
        asked = [need for ident, need in of_ident.items() if ident not in there]
        if not self._closely:
            asked = [need for need in asked if travels_whole(need) or _may_be_whole(need)]
        keys = [need.key for need in asked]
        found = self._store.stat(keys)
        for key, need in zip(keys, asked, strict=True) if found else ():
            info = found.get(key)
            if info is None:
                continue
            if self._is_good(key, need.digest, need.size, info):
                there.add(need.ident)
                self.relied.add(key)
            else:
                self.missing.damaged += 1
        self.known |= there
        self.missing.present = len(there)
        self.missing.files = [need for ident, need in of_ident.items() if ident not in there]
        broken = frozenset[bytes]().union(*self._store.packs.broken.values())
        self.missing.damaged += len(broken & of_ident.keys() - there)

    def _is_good(self, key: str, digest: Digest, size: int, info: Info) -> bool:
        """Tell whether a whole object counts: its size fits, and it was verified since it was touched."""
        if info.size != size:
            return False
        if not self._must_read(key, info):
            return True
        hashing = _Hashing(digest.algorithm)
        try:
            self._store.backend.get(key, hashing)
        except RemoteError:
            return False
        if digests.finish(digest.algorithm, hashing.state) != digest:
            return False
        self._seen.record([(key, info)])
        return True

    def _must_read(self, key: str, info: Info) -> bool:
        """Tell whether an object is to be read: it was touched since it was verified, or is drawn."""
        touched = self._store.is_near and self._read >= 0 and self._tokens.get(key) != info.token
        return touched or self._chance.uniform(0, 100) < self._read

    # ---------------------------------------------------------------- packs

    def _in_packs(self, idents: Iterable[bytes]) -> set[bytes]:
        """Return which objects some sound pack holds."""
        asked = set(idents)
        while True:
            places = self._store.packs.find(asked)
            used = {place.pack for place in places.values()}
            new = used - self._looked_at
            if not self._closely or not new:
                self.relied.update(f"packs/{pack}" for pack in used)
                return set(places)
            for pack in new:
                self._look_into(pack)
            self._looked_at |= new

    def _look_into(self, pack: str) -> None:
        """Find out which members of a pack are not what their idents say; one untouched since then is not read."""
        key, info = zip_key(pack), self._store.packs.zips[pack]
        if not self._must_read(key, info):
            return
        index = self._store.packs.indexes[pack]
        # What a later version wrote in a way of its own is not for this one to judge, let alone to replace.
        readable = (Place(pack, member) for member in index if member.kind in (RAW, DEFLATE))
        failures = read_packed(self._store, readable, verify)
        for error in failures.values():
            if isinstance(error, RemoteError):
                raise error  # it says nothing of what lies there
        if failures:
            self._store.packs.broken[pack] = frozenset(failures)
        else:
            self._seen.record([(key, info)])


class _Hashing(io.RawIOBase):
    """A sink that only hashes."""

    def __init__(self, algorithm: str) -> None:
        super().__init__()
        self.state = digests.hasher(algorithm)

    def write(self, data: bytes | memoryview, /) -> int:  # type: ignore[override]
        self.state.update(data)
        return len(data)
