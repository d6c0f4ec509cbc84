"""The packs of one store: which there are, what they hold, and what is condemned.

Owns the keys below ``packs/``, the copies of indexes that are kept on this machine for good, and the question in which
pack an object lies. The store is asked once, by one listing of ``packs/``: a pack counts when its ZIP and its index
are there and the ZIP has the size that the index says. Formats are in `remote.pack`; who moves what is for `ops`.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import time
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

from ..errors import CorruptData, RemoteNotFound, RemoteUnavailable, UsageError
from ..fsutil import Dir
from .base import Backend, Info, check_key
from .deleting import fenced, forget_copies, over_at
from .pack import Index, Member, Pack
from .source import Source

PREFIX = "packs/"
_PACK = re.compile(r"packs/([0-9a-f]{64})\.(zip|idx)")
_CONDEMNED = re.compile(r"packs/[0-9]{10,12}-[0-9a-f]{8}\.condemned")
_DELETING = re.compile(r"packs/[0-9]{10,12}-[0-9a-f]{8}\.deleting")
_CONDEMNED_HEAD = "dvc-like condemned 1"
_MAX_INDEX = 8 << 20
_MAX_CONDEMNED = 256 << 20
_STEP = 100  # names deleted before it is looked again how late it is


def zip_key(pack: str) -> str:
    """Return where a pack's ZIP lies."""
    return f"{PREFIX}{pack}.zip"


def index_key(pack: str) -> str:
    """Return where a pack's index lies."""
    return f"{PREFIX}{pack}.idx"


class Place(NamedTuple):
    """Where an object lies: the pack's id and the member."""

    pack: str
    member: Member


class Condemned(NamedTuple):
    """One list of what is to be deleted: its key, when it was written (seconds since 1970), and what it names."""

    key: str
    written: int
    names: frozenset[str]


class Packs:
    """What is known of the packs of one store. Filled by `look` and `read_index`; not safe to share while it is."""

    def __init__(self, backend: Backend, folder: str) -> None:
        """Keep copies of indexes in `folder`, which is made when there is something to keep."""
        self._backend = backend
        self._folder = folder
        self.indexes: dict[str, Index] = {}
        self.zips: dict[str, Info] = {}
        self.listed: dict[str, Info] = {}  # indexes that the store has
        self.condemned: dict[str, Condemned] = {}
        self.deleting: dict[str, Condemned] = {}  # what others announced, and may be at now
        self.abandoned: list[str] = []  # announcements of deletions that cannot be going on any more
        self.unreadable: list[CorruptData] = []  # lists of the condemned: what they name is not known
        self.damaged: set[str] = set()  # packs whose index cannot be read
        self.broken: dict[str, frozenset[bytes]] = {}  # packs that were found damaged, and which members

    def again(self) -> Packs:
        """Return what is known, to be looked at anew while others go on using this."""
        other = Packs(self._backend, self._folder)
        other.indexes = dict(self.indexes)
        return other

    # ---------------------------------------------------------------- what there is

    def look(self, *, anew: bool = False) -> list[str]:
        """List the store's packs; return the ids of indexes that are not known on this machine yet.

        One that has another size there than here is not known; with `anew` none is.
        """
        self.zips, self.listed, self.abandoned, self.unreadable = {}, {}, [], []
        lists: list[str] = []
        going: list[str] = []
        for key, info in self._backend.list(PREFIX):
            match = _PACK.fullmatch(key)
            if match is not None:
                (self.zips if match[2] == "zip" else self.listed)[match[1]] = info
            elif _CONDEMNED.fullmatch(key):
                lists.append(key)
            elif _DELETING.fullmatch(key):
                (going if self._over_at(key) > time.time() else self.abandoned).append(key)
        self.deleting = {key: self._read_condemned(key) for key in going}
        self.condemned = {
            key: self._read_condemned(key) if key not in self.condemned else self.condemned[key] for key in lists
        }
        if anew:
            self.indexes.clear()
        for gone in self.indexes.keys() - self.listed.keys():
            del self.indexes[gone]
        forget_copies(self._folder, {*(f"{pack}.idx" for pack in self.listed), *(key[len(PREFIX) :] for key in going)})
        return [pack for pack in self.listed if anew or not self._is_known(pack)]

    def _is_known(self, pack: str) -> bool:
        if pack not in self.indexes:
            try:
                with Dir.open_root(self._folder) as folder:
                    self.indexes[pack] = _checked(folder.read(f"{pack}.idx", _MAX_INDEX), pack)
            except (OSError, CorruptData):
                return False
        if self.indexes[pack].file_size == self.listed[pack].size:
            return True
        del self.indexes[pack]
        return False

    def read_index(self, pack: str) -> None:
        """Get an index from the store and keep a copy; one that is damaged makes the pack count as damaged."""
        for _ in range(2):  # it may have been damaged on the way
            buffer = io.BytesIO()
            try:
                self._backend.get(index_key(pack), buffer, length=_MAX_INDEX)
                self.indexes[pack] = _checked(buffer.getvalue(), pack).check()  # the copies of it need it no more
            except CorruptData:
                continue
            except RemoteNotFound:
                self.listed.pop(pack, None)  # removed meanwhile
                return
            self._keep(pack, buffer.getvalue())
            return
        self.damaged.add(pack)

    def _keep(self, pack: str, data: bytes) -> None:
        with contextlib.suppress(OSError):  # only a copy
            os.makedirs(self._folder, exist_ok=True)
            with Dir.open_root(self._folder) as folder:
                folder.write(f"{pack}.idx", data)

    def is_there(self, pack: str) -> bool:
        """Tell whether a pack counts: both parts are there, and the ZIP has its size."""
        index, found = self.indexes.get(pack), self.zips.get(pack)
        return index is not None and found is not None and found.size == index.zip_size

    def present(self) -> Iterator[tuple[str, Index]]:
        """Yield the packs that count, those that are condemned last."""
        doomed = self.condemned_names()
        for pack in sorted(self.indexes, key=lambda pack: (PREFIX + pack in doomed, pack)):
            if self.is_there(pack):
                yield pack, self.indexes[pack]

    def find(self, idents: Collection[bytes], *, without: Collection[str] = ()) -> dict[bytes, Place]:
        """Return where those objects lie that some pack (but those in `without`) holds."""
        found: dict[bytes, Place] = {}
        left = set(idents)
        for pack, index in self.present():
            if not left:
                break
            if pack in without:
                continue
            broken = self.broken.get(pack, ())
            for member in index.find(left):
                if member.ident not in broken:
                    found[member.ident] = Place(pack, member)
            left.difference_update(found)
        return found

    # ---------------------------------------------------------------- what changes

    def put(self, pack: Pack) -> None:
        """Store a pack, the ZIP first. It counts after the backend's next flush and `added`."""
        known = self.zips.get(pack.id)
        is_doomed = PREFIX + pack.id in self.condemned_names()
        if known is None or known.size != len(pack.data) or pack.id in self.broken or is_doomed:
            data = pack.data if isinstance(pack.data, bytes) else Source(pack.data)
            self._backend.put(zip_key(pack.id), data, label=pack.label)
        self._backend.put(index_key(pack.id), pack.index_data)

    def added(self, pack: str, index: bytes) -> None:
        """Hear that a pack was stored and flushed."""
        found = Index(index)
        self.indexes[pack] = found
        self.zips[pack] = Info(found.zip_size)
        self.listed[pack] = Info(len(index))
        self._forget_damage(pack)
        self._keep(pack, index)

    def _forget_damage(self, pack: str) -> None:
        self.damaged.discard(pack)
        self.broken.pop(pack, None)

    def remove(self, packs: Iterable[str], backend: Backend | None = None) -> None:
        """Delete packs for good: their indexes first, so that none is found whose ZIP is gone."""
        backend, gone = backend or self._backend, list(packs)
        backend.delete([index_key(pack) for pack in gone])
        backend.delete([zip_key(pack) for pack in gone])
        for pack in gone:
            self._forget_damage(pack)
            for known in (self.indexes, self.zips, self.listed):
                known.pop(pack, None)

    # ---------------------------------------------------------------- condemned

    def condemned_names(self) -> set[str]:
        """Return everything that is condemned or being deleted: keys of whole objects, and packs as ``packs/<id>``."""
        return {name for lists in (self.condemned, self.deleting) for one in lists.values() for name in one.names}

    def condemn(self, names: Iterable[str], now: float | None = None) -> None:
        """Write down what is to be deleted later."""
        named = frozenset(names)
        if named:
            made = self._put_list("condemned", named, now)
            self.condemned[made.key] = made

    def _put_list(self, kind: str, names: frozenset[str], now: float | None = None) -> Condemned:
        written = int(time.time() if now is None else now)
        key = f"{PREFIX}{written:010}-{uuid.uuid4().hex[:8]}.{kind}"
        self._backend.put(key, encode_condemned(written, names))
        return Condemned(key, written, names)

    def spare(self, relied: Collection[str], sent: Collection[str] = ()) -> None:
        """Take names off the lists: each is written again without them, then removed. Flushes.

        Raises `RemoteUnavailable` when a gc may be deleting one of them at this moment, or has deleted one of those
        that were `relied` on since the store was looked at: see `announced`.
        """
        needed, doomed = {*relied, *sent}, self.condemned_names()
        if needed.isdisjoint(doomed):
            return
        touched = [one for one in self.condemned.values() if one.names & needed]
        for one in touched:
            self.condemn(one.names - needed, one.written)
        self._backend.flush()
        self.drop_lists(touched)
        said = [key for key, _ in self._backend.list(PREFIX) if _DELETING.fullmatch(key)]
        going = [key for key in said if self._over_at(key) > time.time()]
        against = [key for key in going if self._read_condemned(key).names & needed]
        keys = [key for name in doomed.intersection(relied) for key in _keys_of(name)]
        if against or len(self._backend.stat(keys)) < len(keys):
            free = time.strftime("%H:%M", time.localtime(max(map(self._over_at, against), default=0)))
            dead = f" If it was killed, this clone can push again from {free} on." if against else ""
            raise RemoteUnavailable("a gc deletes there what is needed now", hint=f"Push again when it is done.{dead}")

    def _over_at(self, key: str) -> float:
        """Return from when on what an announcement says cannot be going on."""
        name = key[len(PREFIX) :]
        return over_at(self._folder, name, int(name.partition("-")[0]))

    @contextlib.contextmanager
    def announced(self, names: Sequence[str]) -> Iterator[Callable[[], None]]:
        """Say that names are about to be deleted, for as long as the block runs; give what deletes them.

        Whoever deletes says so first and then looks whether the lists are still there; whoever needs something takes
        it off the lists first and then looks whether somebody said so. One of the two sees the other. What was said is
        taken back at the end, unless the store may still be deleting something.
        """
        backend, fence = fenced(self._backend)  # its time begins before anybody can see what is announced
        made = self._put_list("deleting", frozenset(names))
        self._backend.flush()
        # Where a store answers at once, each is a call of its own: between two of them it may be too late.
        step = 1 if backend.capabilities.cheap_stat else _STEP

        def delete() -> None:
            for first in range(0, len(names), step):
                some = names[first : first + step]
                self.remove([key[len(PREFIX) :] for key in some if key.startswith(PREFIX)], backend)
                backend.delete([key for key in some if not key.startswith(PREFIX)])

        try:
            yield delete
        finally:
            if not fence.in_doubt:
                self._backend.delete([made.key])

    def drop_lists(self, lists: Iterable[Condemned]) -> None:
        """Remove lists."""
        keys = [one.key for one in lists]
        self._backend.delete(keys)
        for key in keys:
            self.condemned.pop(key, None)

    def _read_condemned(self, key: str) -> Condemned:
        buffer = io.BytesIO()
        try:
            self._backend.get(key, buffer, length=_MAX_CONDEMNED)
        except RemoteNotFound:
            return Condemned(key, 0, frozenset())
        try:
            return parse_condemned(key, buffer.getvalue())
        except CorruptData as error:  # nobody deletes anything on its word, so who only reads or adds goes on
            self.unreadable.append(error)
            return Condemned(key, 0, frozenset())


def encode_condemned(written: int, names: Iterable[str]) -> bytes:
    """Return the bytes of a list."""
    return "\n".join([_CONDEMNED_HEAD, f"written\t{written}", *sorted(names), ""]).encode()


def parse_condemned(key: str, data: bytes) -> Condemned:
    """Read a list; raise `CorruptData`."""
    try:
        head, written, *names, last = data.decode("ascii").split("\n")
        word, _, number = written.partition("\t")
        if head == _CONDEMNED_HEAD and word == "written" and not last and re.fullmatch("[0-9]{1,12}", number):
            return Condemned(key, int(number), frozenset(check_key(name) for name in names))
    except (ValueError, UsageError):
        pass
    raise CorruptData(f"{key} on the remote is damaged", hint="Delete it there: gc will write a new one.")


def _keys_of(name: str) -> tuple[str, ...]:
    pack = name[len(PREFIX) :]
    return (zip_key(pack), index_key(pack)) if name.startswith(PREFIX) else (name,)


def _checked(data: bytes, pack: str) -> Index:
    index = Index(data)
    if index.id != pack:
        raise CorruptData("a pack's index is damaged")
    return index
