"""`gc` on a remote: condemn first, delete after a grace period what is still condemned and still nobody needs.

Owns what is needed there (by this clone, and by every other clone whose ref counts), and the two phases. A pack that
holds little that is needed is written anew before it is condemned. Nothing is deleted on the word of this machine
alone: not before the grace period, and not when a push has spared it meanwhile.
"""

from __future__ import annotations

import io
import time
from dataclasses import dataclass, field

from ..digest import file_ident, file_key, of_ident, tree_ident, tree_key
from ..digest import parse as parse_digest
from ..errors import CorruptData, DvcLikeError
from ..meta.file import Meta
from ..meta.tree import parse
from ..paths import show
from ..remote import refs
from ..remote.packs import PREFIX, Condemned
from ..remote.refs import Ref, Root
from ._closure import TreeNeed, close_over
from ._refs import clone_id, clone_name, root_of
from ._remote_trees import read_trees
from ._repack import rewrite
from ._session import Session
from ._store import Store
from ._tracked import Target, Wanted

_LEAST_AGE = 86_400  # seconds: a transfer that began since then may be somebody's who is still at it
_AT_ONCE = 500  # names deleted before it is looked again whether somebody spared them


@dataclass(frozen=True)
class Doomed:
    """A whole object or a pack: its key (a pack's without suffix), its bytes, and what it holds, for people."""

    key: str
    size: int
    what: str


@dataclass
class CloudCollected:
    """What is condemned now, what was deleted, how many packs were written anew, and whose refs counted.

    `others` names clones whose needs were respected, `expired` those that are too old to count.
    """

    condemned: list[Doomed] = field(default_factory=list)
    deleted: list[Doomed] = field(default_factory=list)
    repacked: int = 0
    kept: int = 0
    others: list[str] = field(default_factory=list)
    expired: list[str] = field(default_factory=list)


class CloudCollector:
    """Collects the garbage of one store. `names` maps keys to paths, as far as this clone's history knows them."""

    def __init__(self, session: Session, store: Store, names: dict[str, str], *, dry_run: bool, grace: float) -> None:
        self._session = session
        self._store = store
        self._names = names
        self._dry_run = dry_run
        self._grace = grace
        self._now = time.time()
        self.done = CloudCollected()

    def run(self, ours: list[Wanted]) -> CloudCollected:
        """Delete what was condemned long enough ago, then condemn what nothing needs now."""
        store = self._store
        if not store.identity:
            return self.done  # nobody ever pushed there
        store.look()
        if store.packs.damaged:
            raise CorruptData(
                f"{len(store.packs.damaged)} pack indexes on remote {store.name} are damaged",
                hint=f"`dvc-like fsck --remote {store.name} --repair` makes them again; then repeat.",
            )
        others = self._read_refs()
        needed = self._needed(ours + [_wanted(root) for ref in others for root in ref.roots])
        whole = {key: info.size for key, info in store.backend.list("files/")}
        self._delete_old(needed, whole)
        if not self._dry_run:
            self._publish(ours)
            store.backend.sweep(max(self._grace, _LEAST_AGE))
        self._condemn(needed, whole)
        if self._grace == 0 and not self._dry_run:
            self._delete_old(needed, whole)
        return self.done

    # ---------------------------------------------------------------- what is needed

    def _read_refs(self) -> list[Ref]:
        """Return the refs of all other clones that count."""
        own = refs.PREFIX + clone_id(self._session.project)
        found = []
        for key, _ in list(self._store.backend.list(refs.PREFIX)):
            if key == own:
                continue
            buffer = io.BytesIO()
            self._store.backend.get(key, buffer, length=refs.MAX_SIZE)
            ref = refs.decode(buffer.getvalue(), key)
            day = time.strftime("%Y-%m-%d", time.gmtime(ref.written))
            label = f"{show(ref.name)} ({key[len(refs.PREFIX) :][:8]}, last push {day})"
            if ref.is_expired(self._now):
                self.done.expired.append(label)
            else:
                self.done.others.append(label)
                found.append(ref)
        return found

    def _publish(self, ours: list[Wanted]) -> None:
        """Say what this clone needs from now on."""
        project = self._session.project
        roots = frozenset(root_of(one.target) for one in ours)
        ref = Ref(clone_name(project), int(self._now), roots)
        self._store.backend.put(refs.PREFIX + clone_id(project), refs.encode(ref))
        self._store.backend.flush()

    def _needed(self, wanted: list[Wanted]) -> set[bytes]:
        closure = close_over(wanted, self._load)
        found = {need.ident for need in closure.files.values()}
        found.update(tree_ident(need.digest) for level in closure.levels for need in level)
        return found

    def _load(self, level: list[TreeNeed]) -> None:
        """Read a level of trees from the cache or the store. One that is in neither keeps nothing."""
        found = read_trees(self._session.cache, self._store, dict.fromkeys(need.digest for need in level))
        for need in level:
            data = found.get(need.digest)
            if isinstance(data, DvcLikeError):
                name = self._store.name
                raise type(data)(
                    f"gc stopped: the listing of {show(need.path)} on remote {name}: {data.message}",
                    hint=f"`dvc-like fsck --remote {name} --repair` mends what can be mended; then repeat.",
                )
            if data is not None:
                need.entries = parse(data, f"the listing of {show(need.path)} ({need.digest.short})")

    # ---------------------------------------------------------------- phase two: delete

    def _delete_old(self, needed: set[bytes], whole: dict[str, int]) -> None:
        packs = self._store.packs
        old = [one for one in packs.condemned.values() if one.written <= self._now - self._grace]
        if not old:
            return
        safe = self._safe(needed, whole)
        for one in old:
            doomed = [self._doomed(name, whole) for name in sorted(one.names) if self._is_spare(name, needed, safe)]
            doomed = [gone for gone in doomed if gone.size >= 0]
            if not self._dry_run and not self._delete(one, doomed):
                continue  # spared meanwhile: the next gc looks again
            self.done.deleted += doomed
            for gone in doomed:
                whole.pop(gone.key, None)

    def _delete(self, one: Condemned, doomed: list[Doomed]) -> bool:
        backend = self._store.backend
        for first in range(0, len(doomed), _AT_ONCE):
            if not backend.stat([one.key]):
                return False
            some = [gone.key for gone in doomed[first : first + _AT_ONCE]]
            self._store.packs.remove([key[len(PREFIX) :] for key in some if key.startswith(PREFIX)])
            backend.delete([key for key in some if not key.startswith(PREFIX)])
        self._store.packs.drop_lists([one])
        return True

    def _safe(self, needed: set[bytes], whole: dict[str, int]) -> set[bytes]:
        """Return what is needed and lies somewhere that is not condemned."""
        doomed = self._store.packs.condemned_names()
        found = {ident for ident in needed if _key(ident) in whole and _key(ident) not in doomed}
        for pack, index in self._store.packs.present():
            if PREFIX + pack not in doomed:
                found.update(member.ident for member in index.find(needed))
        return found

    def _is_spare(self, name: str, needed: set[bytes], safe: set[bytes]) -> bool:
        """Tell whether a condemned name holds nothing that is needed and lies nowhere else."""
        if not name.startswith(PREFIX):
            ident = _ident(name)
            return ident is not None and (ident not in needed or ident in safe)
        index = self._store.packs.indexes.get(name[len(PREFIX) :])
        return index is None or all(member.ident in safe for member in index.find(needed))

    # ---------------------------------------------------------------- phase one: condemn

    def _condemn(self, needed: set[bytes], whole: dict[str, int]) -> None:
        packs = self._store.packs
        doomed = packs.condemned_names()
        names = []
        for key in whole:
            ident = _ident(key)
            if ident is not None and ident not in needed:
                names.append(key)
            else:
                self.done.kept += 1
        for pack in {*packs.zips, *packs.listed}:
            index = packs.indexes.get(pack)
            there = index is not None and packs.is_there(pack)
            live = {member.ident for member in index.find(needed)} if index is not None and there else set()
            if live and index is not None:
                needed_bytes = sum(member.length for member in index if member.ident in live)
                is_worth_it = needed_bytes * 2 < sum(member.length for member in index)
                if PREFIX + pack in doomed or not is_worth_it or not self._rewrite(pack, live):
                    self.done.kept += len(live)
                    continue
            names.append(PREFIX + pack)
        fresh = [name for name in names if name not in doomed]
        self.done.condemned = sorted((self._doomed(name, whole) for name in fresh), key=lambda one: (one.what, one.key))
        if fresh and not self._dry_run:
            packs.condemn(fresh, self._now)
            self._store.backend.flush()

    def _rewrite(self, pack: str, live: set[bytes]) -> bool:
        """Write a pack anew with what is needed of it; tell whether the old one may be condemned."""
        self.done.repacked += 1
        if self._dry_run:
            return True
        whole = rewrite(self._store, pack, lambda member: member.ident in live, lambda ident: None)
        self.done.repacked -= not whole
        return whole

    # ---------------------------------------------------------------- for people

    def _doomed(self, name: str, whole: dict[str, int]) -> Doomed:
        if not name.startswith(PREFIX):
            return Doomed(name, whole.get(name, -1), self._names.get(name, ""))
        packs, pack = self._store.packs, name[len(PREFIX) :]
        size = sum(found[pack].size for found in (packs.zips, packs.listed) if pack in found)
        index = packs.indexes.get(pack)
        if index is None:
            return Doomed(name, size if size else -1, "a pack without an index")
        known = sorted(self._names[key] for key in (_key(member.ident) for member in index) if key in self._names)
        first = f", {known[0]} among them" if known else ""
        return Doomed(name, size, f"a pack of {len(index):,} objects{first}")


def _wanted(root: Root) -> Wanted:
    target = Target(root.path, Meta(root.digest, 0, 0 if root.is_folder else None))
    return Wanted(target, root.path)


def _key(ident: bytes) -> str:
    digest, is_tree = of_ident(ident)
    return tree_key(digest) if is_tree else file_key(digest)


def _ident(key: str) -> bytes | None:
    """Return the ident of a whole object's key; None for a foreign file, which is left alone."""
    from_tree = key.endswith(".tree")
    parts = key.removesuffix(".tree").split("/")
    if len(parts) != 4:
        return None
    try:
        digest = parse_digest(f"{parts[1]}:{parts[2]}{parts[3]}")
    except CorruptData:
        return None
    return tree_ident(digest) if from_tree else file_ident(digest)
