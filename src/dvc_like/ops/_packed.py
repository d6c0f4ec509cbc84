"""Reading objects out of packs: few large requests instead of many small ones.

Owns how members are gathered into runs of bytes that are asked for at once, and how a run is cut up again while it
arrives. Verifying is for whoever takes the objects: nothing here knows a hash.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from ..errors import CorruptData, DataMissing, DvcLikeError, RemoteNotFound
from ..remote.pack import Member, unpack
from ..remote.packs import Place, zip_key
from ._store import Store

#: Takes one object: its ident, and bytes that are not verified yet. Called from several threads.
Take = Callable[[bytes, bytes], None]

RUN = 16 << 20  # so much is asked for at once, at most: a request each, and several at a time
GAP = 256 << 10  # so many bytes that nobody wants cost less than another request
NEAR_GAP = 16 << 10  # of a folder on this machine


class Run(NamedTuple):
    """Bytes of one pack that are asked for at once, and the members in them, in their order."""

    pack: str
    members: list[Member]

    @property
    def start(self) -> int:
        """Where the run begins in the ZIP."""
        return self.members[0].offset

    @property
    def length(self) -> int:
        """How long it is."""
        return max(member.offset + member.length for member in self.members) - self.start


def runs(places: Iterable[Place], gap: int = GAP) -> Iterator[Run]:
    """Gather members into runs; what lies close together is one, up to `RUN` bytes."""
    of_pack: dict[str, list[Member]] = {}
    for place in places:
        of_pack.setdefault(place.pack, []).append(place.member)
    for pack, members in of_pack.items():
        members.sort(key=lambda member: member.offset)
        first = 0
        for at in range(1, len(members)):
            end = members[at - 1].offset + members[at - 1].length
            whole = members[at].offset + members[at].length - members[first].offset
            if members[at].offset - end > gap or whole > RUN:
                yield Run(pack, members[first:at])
                first = at
        yield Run(pack, members[first:])


def read_packed(store: Store, places: Iterable[Place], take: Take) -> dict[bytes, DvcLikeError]:
    """Read objects from packs; return why some could not be had. All that can be read is read."""
    failures: dict[bytes, DvcLikeError] = {}

    def read(run: Run) -> None:
        splitter = _Splitter(run.members, take, failures)
        if not run.length:
            splitter.write(b"")  # nothing but empty files: there is nothing to ask for
            return
        try:
            store.backend.get(zip_key(run.pack), splitter, start=run.start, length=run.length)
        except RemoteNotFound:
            splitter.give_up(DataMissing(f"its pack {run.pack[:8]} is not on remote {store.name}"))
        except DvcLikeError as error:
            splitter.give_up(error)
            raise  # counted by `transfer`: after many refusals the rest is not tried
        splitter.give_up(CorruptData("its pack ends too early"))

    gap = NEAR_GAP if store.is_near else GAP
    outcome = store.transfer(list(runs(places, gap)), read, at_once=1)
    for run in outcome.untried:
        first = outcome.failures[0][1]
        failures.update({member.ident: first for member in run.members})
    return failures


class _Splitter:
    """A sink that cuts a run into its members while it arrives."""

    def __init__(self, members: list[Member], take: Take, failures: dict[bytes, DvcLikeError]) -> None:
        self._members = members
        self._next = 0
        self._take = take
        self._failures = failures
        self._parts: list[bytes] = []
        self._size = 0
        self._at = members[0].offset  # where in the ZIP the parts begin

    def write(self, data: bytes | memoryview, /) -> int:
        """Take some bytes, in order, and hand on every member that is complete."""
        if self._next == len(self._members):
            return len(data)  # more than was asked for
        self._parts.append(bytes(data))
        self._size += len(data)
        end = self._at + self._size
        if self._end_of(self._next) > end:
            return len(data)  # joined once when a member is whole, not with every piece
        held = b"".join(self._parts)
        while self._next < len(self._members) and self._end_of(self._next) <= end:
            member = self._members[self._next]
            self._next += 1
            begin = member.offset - self._at
            try:
                self._take(member.ident, unpack(member, held[begin : begin + member.length]))
            except CorruptData as error:
                self._failures[member.ident] = error
        used = len(held) if self._next == len(self._members) else self._members[self._next].offset - self._at
        rest = held[max(used, 0) :]
        self._at, self._parts, self._size = end - len(rest), [rest], len(rest)
        return len(data)

    def _end_of(self, number: int) -> int:
        member = self._members[number]
        return member.offset + member.length

    def give_up(self, error: DvcLikeError) -> None:
        """Say why those that did not arrive did not."""
        for member in self._members[self._next :]:
            self._failures[member.ident] = error
        self._next = len(self._members)
