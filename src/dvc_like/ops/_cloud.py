"""`gc` on a remote: condemn first, delete after a grace period what is still condemned and still nobody needs.

Owns what is needed there (by this clone, and by every other clone whose ref counts), and the two phases. A pack that
holds little that is needed is written anew before it is condemned, and so are many small ones, as one. Nothing is
deleted on the word of this machine alone: not before the grace period, and not when a push has spared it meanwhile.
"""

from __future__ import annotations

import io
import itertools
import os
import time
from dataclasses import dataclass, field

from ..digest import file_ident, file_key, is_tree_ident, of_ident, tree_ident, tree_key
from ..digest import parse as parse_digest
from ..errors import CorruptData, DvcLikeError
from ..meta.file import Meta
from ..meta.tree import parse
from ..paths import show
from ..remote import refs
from ..remote.pack import Member
from ..remote.packs import PREFIX, Condemned
from ..remote.refs import Ref, Root
from ..remote.seen import Seen
from ._closure import TreeNeed, close_over
from ._promises import Promises
from ._refs import clone_id, clone_name, root_of
from ._remote_trees import read_trees
from ._repack import rewrite
from ._send import PACK_FILES, PACK_SIZE
from ._session import Session
from ._store import Store
from ._tracked import Target, Wanted

_LEAST_AGE = 86_400  # seconds: a transfer that began since then may be somebody's who is still at it
_FOREIGN = "files/md5/"  # DVC may use the same store, and publishes nothing of what it needs
_SMALL = 4 << 20  # bytes; packs below are put together once there are so many of them:
_MANY = 16
_AT_ONCE = 500  # names deleted before it is looked again whether somebody spared them


@dataclass(frozen=True)
class Doomed:
    """A whole object or a pack: its key (a pack's without suffix), its bytes, and what it holds, for people."""

    key: str
    size: int
    what: str


@dataclass
class CloudCollected:
    """What is condemned now, what was deleted, and whose refs counted.

    `repacked` packs were written anew with what is needed of them, `merged` small ones were put together.

    `others` names clones whose needs were respected, `expired` those that are too old to count. `foreign` objects, of
    `foreign_size` bytes, are named by MD5: they are left alone. `unfinished` is how many uploads were ended to which
    nothing came any more.
    """

    condemned: list[Doomed] = field(default_factory=list)
    deleted: list[Doomed] = field(default_factory=list)
    repacked: int = 0
    merged: int = 0
    unfinished: int = 0
    kept: int = 0
    foreign: int = 0
    foreign_size: int = 0
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
        if store.packs.unreadable:
            raise store.packs.unreadable[0]
        others = self._read_refs()
        needed = self._needed(ours + [_wanted(root) for ref in others for root in ref.roots])
        whole = {key: info.size for key, info in store.backend.list("files/")}
        self._delete_old(needed, whole)
        if not self._dry_run:
            self._publish(ours)
            self.done.unfinished = store.backend.sweep(max(self._grace, _LEAST_AGE))
            store.backend.delete(store.packs.abandoned)
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
            if ref.written > self._now + _LEAST_AGE:
                raise DvcLikeError(
                    f"gc stopped: {key} was written on {day}, which is still to come by this machine's clock",
                    hint="Set the clock: how old things are decides what is deleted.",
                )
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
        key = refs.PREFIX + clone_id(project)
        self._store.backend.put(key, refs.encode(ref))
        self._store.backend.flush()
        with Seen(os.path.join(project.shared_tmp, "remotes.sqlite"), self._store.identity) as seen:
            seen.record_token(key, "")  # the next push has its own to say

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
        going = self._going({name for one in old for name in one.names}, needed, whole)
        doomed = [self._doomed(name, whole) for name in sorted(going, key=self._order)]
        doomed = [gone for gone in doomed if gone.size >= 0]
        if not self._dry_run and not self._delete(old, doomed):
            return  # spared meanwhile: the next gc looks again
        self.done.deleted += doomed
        for gone in doomed:
            whole.pop(gone.key, None)

    def _going(self, names: set[str], needed: set[bytes], whole: dict[str, int]) -> set[str]:
        """Return which names can go: neither needed, nor promised by a tree in a pack that stays."""
        packs = self._store.packs
        present = {pack for pack, _ in packs.present()}
        promises = Promises(self._session.cache, self._store, needed)
        kept, going = set(needed), names
        while True:
            safe = self._safe(kept, whole)
            going = {name for name in going if self._is_spare(name, kept, safe)}
            promised = promises.of(pack for pack in present if PREFIX + pack not in going)
            more = set[bytes]().union(*promised.values()) - kept
            if not more:
                return going
            kept |= more

    def _order(self, name: str) -> tuple[int, str]:
        """Sort packs with trees first: what they list goes only after them."""
        if not name.startswith(PREFIX):
            return 2, name
        index = self._store.packs.indexes.get(name[len(PREFIX) :])
        return int(index is None or not any(is_tree_ident(member.ident) for member in index)), name

    def _delete(self, old: list[Condemned], doomed: list[Doomed]) -> bool:
        """Delete, and drop the lists; False when somebody spared anything of them meanwhile."""
        for _, group in itertools.groupby(doomed, key=lambda gone: self._order(gone.key)[0]):
            of_group = [gone.key for gone in group]
            for first in range(0, len(of_group), _AT_ONCE):
                some = of_group[first : first + _AT_ONCE]
                with self._store.packs.announced(some) as delete:
                    if len(self._store.stat([one.key for one in old])) < len(old):
                        return False
                    delete()
        self._store.packs.drop_lists(old)
        return True

    def _safe(self, needed: set[bytes], whole: dict[str, int]) -> set[bytes]:
        """Return what is needed and lies somewhere that is not condemned."""
        doomed = self._store.packs.condemned_names()
        found = {ident for ident in needed if (key := _key(ident)) in whole and key not in doomed}
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
        for key, size in whole.items():
            ident = _ident(key)
            if ident is not None and ident not in needed:
                names.append(key)
            else:
                self.done.kept += 1
            if key.startswith(_FOREIGN):
                self.done.foreign += 1
                self.done.foreign_size += size
        kept, sparse = self._sort_packs(needed)
        for group in self._small(kept):
            live = set[bytes]().union(*(kept[pack] for pack in group))
            if self._rewrite(group, live, names):
                self.done.merged += len(group)
                self.done.kept += len(live)
                names += [PREFIX + pack for pack in group]
                for pack in group:
                    del kept[pack]
        for pack in sparse:
            live = {member.ident for member in packs.indexes[pack].find(needed)}
            if live and not self._rewrite([pack], live, names):
                kept[pack] = live
            else:
                self.done.repacked += bool(live)
                names.append(PREFIX + pack)
        self.done.kept += sum(map(len, kept.values()))
        names += [PREFIX + pack for pack in {*packs.zips, *packs.listed} if not packs.is_there(pack)]
        fresh = [name for name in names if name not in doomed]
        self.done.condemned = sorted((self._doomed(name, whole) for name in fresh), key=lambda one: (one.what, one.key))
        if fresh and not self._dry_run:
            packs.condemn(fresh, self._now)
            self._store.backend.flush()

    def _sort_packs(self, needed: set[bytes]) -> tuple[dict[str, set[bytes]], list[str]]:
        """Return the packs that stay, each with what is needed of it, and those that hold too little, or nothing.

        A pack whose trees list what goes cannot stay as it is either. One that is condemned already is not judged
        again while something of it is needed: when its time comes it is seen to.
        """
        packs = self._store.packs
        doomed = packs.condemned_names()
        kept: dict[str, set[bytes]] = {}
        sparse: list[str] = []
        for pack, index in packs.present():
            live = {member.ident: member.length for member in index.find(needed)}
            is_worth_it = sum(live.values()) * 2 < sum(member.length for member in index)
            if live and (PREFIX + pack in doomed or not is_worth_it):
                kept[pack] = set(live)
            else:
                sparse.append(pack)
        promises = Promises(self._session.cache, self._store, needed)
        promised = promises.of(pack for pack in kept if PREFIX + pack not in doomed)
        while promised:
            staying = set[bytes]().union(*(map(_ident_of, packs.indexes[pack]) for pack in kept))
            broken = {pack for pack, listed in promised.items() if not listed <= staying}
            if not broken:
                break
            for pack in broken:
                del kept[pack], promised[pack]
            sparse += sorted(broken)
        return kept, sparse

    def _small(self, kept: dict[str, set[bytes]]) -> list[list[str]]:
        """Return groups of small packs, each to become one: every pack costs each new clone two requests."""
        packs = self._store.packs
        doomed = packs.condemned_names()
        small = [pack for pack in sorted(kept) if packs.zips[pack].size < _SMALL and PREFIX + pack not in doomed]
        groups: list[list[str]] = [[]]
        size = members = 0
        for pack in small if len(small) >= _MANY else ():
            size, members = size + packs.zips[pack].size, members + len(packs.indexes[pack])
            if groups[-1] and (size > PACK_SIZE or members > PACK_FILES):
                groups.append([])
                size, members = packs.zips[pack].size, len(packs.indexes[pack])
            groups[-1].append(pack)
        return [group for group in groups if len(group) > 1]

    def _rewrite(self, some: list[str], live: set[bytes], going: list[str]) -> bool:
        """Write packs anew, as one, with what is needed of them; tell whether the old ones may be condemned.

        What lies in packs that are `going` as well is not safe there.
        """
        return self._dry_run or rewrite(self._store, some, lambda member: member.ident in live, going=going)

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


def _ident_of(member: Member) -> bytes:
    return member.ident


def _key(ident: bytes) -> str:
    digest, is_tree = of_ident(ident)
    return tree_key(digest) if is_tree else file_key(digest)


def _ident(key: str) -> bytes | None:
    """Return the ident of a whole object's key; None for a foreign file, which is left alone."""
    from_tree = key.endswith(".tree")
    parts = key.removesuffix(".tree").split("/")
    if len(parts) != 4 or key.startswith(_FOREIGN):
        return None
    try:
        digest = parse_digest(f"{parts[1]}:{parts[2]}{parts[3]}")
    except CorruptData:
        return None
    return tree_ident(digest) if from_tree else file_ident(digest)
