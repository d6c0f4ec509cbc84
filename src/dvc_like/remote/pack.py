"""The pack: many small objects in one ordinary ZIP, and the index that tells where each lies.

Owns both formats (specified in ``docs/format.md``), in and out. Bytes only: where packs are kept, which of them
exist and what their members mean is for others. What comes out of `Index` is bounded and consistent with itself; that
a member's bytes are those of its ident is for whoever hashes them.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Collection, Iterator
from itertools import pairwise
from posixpath import commonprefix
from typing import Any, NamedTuple

import blake3

from ..digest import IDENT_SIZE
from ..errors import CorruptData
from .room import Room

fast_zlib: Any
try:
    from isal import isal_zlib as fast_zlib
except ImportError:  # nobody built it for this machine
    fast_zlib = zlib

MAX_SIZE = (1 << 32) - 1  # without ZIP64
MAX_MEMBERS = 65_535
RAW, DEFLATE, DELTA = 0, 1, 2

TREES = ".trees/"  # what the names of trees begin with
_MAGIC = b"dvc-like idx 1\n\0"
_HEAD = struct.Struct("<16sQI")
_RECORD = struct.Struct(f"<{IDENT_SIZE}sBIIQ")
_EXTRA = struct.Struct(f"<HH{IDENT_SIZE}s")
_EXTRA_ID = 0x4C64
_LOCAL = struct.Struct("<4s5H3I2H")
_CENTRAL = struct.Struct("<4s6H3I5H2I")
_CENTRAL_REST = struct.Struct("<3H2I")  # behind what is as in the local head
_END = struct.Struct("<4s4H2IH")
_VERSION, _UTF8, _DATE = 20, 0x800, 0x21  # 1980-01-01: a pack says nothing of when it was made
_MADE_ON_UNIX, _MODE = 3 << 8, 0o100644 << 16
_EXTRA_BEGIN = struct.pack("<HH", _EXTRA_ID, IDENT_SIZE)
_CENTRAL_BEGIN = struct.pack("<4sH", b"PK\1\2", _MADE_ON_UNIX | _VERSION)
_METHODS = {RAW: 0, DEFLATE: 8}
_MOST = 1100  # no byte of deflated data stands for more: 258 bytes by two bits, and some for the head


class Member(NamedTuple):
    """One record of an index: `length` bytes at `offset` of the ZIP unpack to `size` bytes."""

    ident: bytes
    kind: int
    offset: int
    length: int
    size: int


class Pack(NamedTuple):
    """A finished pack: its id, the bytes of the ZIP and those of its index; and what a person may call it.

    A view of the bytes shows them until the room that the pack was built in is used again.
    """

    id: str
    data: bytes | memoryview
    index_data: bytes
    label: str = ""


# ------------------------------------------------------------------------------ writing


class Deflater:
    """Deflates what pays, and learns by the suffix of names what never does."""

    _SAMPLE = 16 << 10
    _ENOUGH = 16  # so many failures in a row, and a suffix is tried only now and then

    def __init__(self) -> None:
        self._failures: dict[str, int] = {}

    def __call__(self, name: str, data: bytes) -> bytes | None:
        """Return `data` deflated, None when that saves less than a tenth."""
        if len(data) < 64:
            return None
        suffix = name.rpartition(".")[2][-8:]
        failures = self._failures.get(suffix, 0)
        if failures >= self._ENOUGH and failures % 64:
            self._failures[suffix] = failures + 1
            return None
        packed = _deflate(data[: self._SAMPLE]) if len(data) > 2 * self._SAMPLE else None
        if packed is None or len(packed) < self._SAMPLE * 9 // 10:
            packed = _deflate(data)
            if len(packed) < len(data) * 9 // 10:
                self._failures[suffix] = 0
                return packed
        self._failures[suffix] = failures + 1
        return None


def _deflate(data: bytes) -> bytes:
    squeeze = fast_zlib.compressobj(1, zlib.DEFLATED, -15)
    packed: bytes = squeeze.compress(data) + squeeze.flush()
    return packed


class Builder:
    """Puts one pack together in memory. The same members with the same names in the same order give the same bytes."""

    def __init__(self, deflater: Deflater | None = None, room: Room | None = None) -> None:
        """Begin a pack, in a room if there is one: what lay there is gone."""
        self._deflater = deflater
        self._zip: io.BytesIO | Room = io.BytesIO() if room is None else room
        if room is not None:
            room.clear()
        self._central: list[bytes] = []
        self._records: list[bytes] = []
        self._names: set[str] = set()
        self.size = 0

    def __len__(self) -> int:
        return len(self._records)

    def fits(self, size: int) -> bool:
        """Tell whether a member of that size can still be added."""
        return len(self) < MAX_MEMBERS and self.size + size + (len(self) + 1) * 20_000 < MAX_SIZE

    def add(self, ident: bytes, name: str, data: bytes, deflated: bytes | None = None) -> None:
        """Add a member that is not in this pack yet; `deflated` is that form of it where somebody has it already."""
        if deflated is None and self._deflater is not None:
            deflated = self._deflater(name, data)
        kind, stored = (RAW, data) if deflated is None else (DEFLATE, deflated)
        if name in self._names:
            name = self._other_name(name, ident)
        self._names.add(name)
        raw_name = name.encode()
        tail = raw_name + _EXTRA_BEGIN + ident
        size = len(stored)
        # From the version needed to the length of the extra field both heads of a member are the same.
        lengths = size, len(data), len(raw_name), _EXTRA.size
        head = _LOCAL.pack(b"PK\3\4", _VERSION, _UTF8, _METHODS[kind], 0, _DATE, fast_zlib.crc32(data), *lengths)
        self._central.append(b"".join((_CENTRAL_BEGIN, head[4:], _CENTRAL_REST.pack(0, 0, 0, _MODE, self.size), tail)))
        start = self.size + len(head) + len(tail)
        self._records.append(_RECORD.pack(ident, kind, start, size, len(data)))
        self._zip.writelines((head, tail, stored))
        self.size = start + size

    def _other_name(self, name: str, ident: bytes) -> str:
        """Return a name that unpacking does not write over: another version of a path gets part of its hash."""
        folder, slash, base = name.rpartition("/")
        stem, dot, suffix = base.partition(".") if base[:1] != "." else (base, "", "")
        other = f"{folder}{slash}{stem}.{ident[1:5].hex()}{dot}{suffix}"
        return f"{folder}{slash}{stem}.{ident.hex()}{dot}{suffix}" if other in self._names else other

    def finish(self) -> Pack:
        """Return the pack."""
        central = b"".join(self._central)
        count = len(self._records)
        end = _END.pack(b"PK\5\6", 0, 0, count, count, len(central), self.size, 0)
        self._zip.writelines((central, end))
        data = self._zip.getvalue()
        index = _encode_index(self._records, len(data))
        return Pack(blake3.blake3(index).hexdigest(), data, index, self._label())

    def _label(self) -> str:
        """Return a path that tells what is in it: named like the folder that all of it lies in."""
        trees = {name for name in self._names if name.startswith(TREES)}
        inside = [f"{name[len(TREES) : -len('.tree')]}/" for name in trees]
        common = commonprefix([*(self._names - trees), *inside]).rpartition("/")[0]
        return f"{common}/{common.rpartition('/')[2]}.zip" if common else "small files.zip"


def _encode_index(records: list[bytes], zip_size: int) -> bytes:
    return _HEAD.pack(_MAGIC, zip_size, len(records)) + b"".join(sorted(records))


# ------------------------------------------------------------------------------ reading


class Index:
    """The index of one pack, kept as the bytes it came in."""

    def __init__(self, data: bytes) -> None:
        """Take the bytes of an index; raise `CorruptData` when they are none."""
        if len(data) < _HEAD.size or data[: len(_MAGIC)] != _MAGIC:
            newer = data.startswith(b"dvc-like idx ")
            raise CorruptData("a pack's index is written in a newer format" if newer else "a pack's index is damaged")
        self.zip_size: int
        self.count: int
        _, self.zip_size, self.count = _HEAD.unpack_from(data)
        if len(data) != _HEAD.size + self.count * _RECORD.size or self.count > MAX_MEMBERS or self.zip_size > MAX_SIZE:
            raise CorruptData("a pack's index is damaged")
        self._data = data
        self._table: dict[bytes, int] | None = None

    @property
    def id(self) -> str:
        """The id of the pack it belongs to, if its bytes are sound."""
        return str(blake3.blake3(self._data).hexdigest())

    @property
    def file_size(self) -> int:
        """Bytes of the index itself."""
        return len(self._data)

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[Member]:
        for at in range(_HEAD.size, len(self._data), _RECORD.size):
            yield self._at(at)

    def find(self, idents: Collection[bytes]) -> Iterator[Member]:
        """Yield the members that are asked for and are here."""
        if len(idents) <= 4:
            places = [at for at in map(self._bisect, idents) if at]
        else:
            table = self._places()
            shorter = idents if len(idents) < len(table) else [ident for ident in table if ident in idents]
            places = [table[ident] for ident in shorter if ident in table]
        for at in places:
            yield self._at(at)

    def _places(self) -> dict[bytes, int]:
        if self._table is None:
            data = self._data
            self._table = {data[at : at + IDENT_SIZE]: at for at in range(_HEAD.size, len(data), _RECORD.size)}
        return self._table

    def _bisect(self, ident: bytes) -> int:
        """Return where the record of `ident` lies, 0 when there is none."""
        low, high = 0, self.count
        while low < high:
            middle = (low + high) // 2
            at = _HEAD.size + middle * _RECORD.size
            found = self._data[at : at + IDENT_SIZE]
            if found == ident:
                return at
            if found < ident:
                low = middle + 1
            else:
                high = middle
        return 0

    def _at(self, at: int) -> Member:
        return Member(*_RECORD.unpack_from(self._data, at))

    def check(self) -> Index:
        """Raise `CorruptData` where the records cannot be true, however well the index is named; return itself.

        Whoever can write to a store can name anything by its hash: nothing may be read on the word of a record that
        leads out of its pack, stands twice, shares its bytes with another, or claims to unpack to more than they can.
        """
        last, spans = b"", []
        for ident, kind, offset, length, size in _RECORD.iter_unpack(memoryview(self._data)[_HEAD.size :]):
            lies = (kind == RAW and size != length) or (kind == DEFLATE and size > (length + 1) * _MOST)
            if ident <= last or offset + length > self.zip_size or lies:
                raise CorruptData("a pack's index is damaged: its records cannot be true")
            last = ident
            spans.append((offset, offset + length))
        spans.sort()
        if any(end > start for (_, end), (start, _) in pairwise(spans)):
            raise CorruptData("a pack's index is damaged: its records cannot be true")
        return self


def unpack(member: Member, data: bytes) -> bytes:
    """Return the object that a member's data stands for; raise `CorruptData`. Never more than it claims to be."""
    if member.kind == RAW:
        return data
    if member.kind != DEFLATE:
        kind = "a delta" if member.kind == DELTA else f"of kind {member.kind}"
        raise CorruptData(f"it is stored as {kind}, which this version cannot read", hint="Upgrade dvc-like.")
    inflate: Any = fast_zlib.decompressobj(-15)
    try:
        found: bytes = inflate.decompress(data, member.size + 1)
    except (zlib.error, fast_zlib.error):
        raise CorruptData("its data in the pack is damaged") from None
    if len(found) != member.size:
        raise CorruptData("its data in the pack does not have the size that the index says")
    return found


def members_of(data: bytes) -> list[tuple[str, Member]]:
    """Return name and place of every member, read from the ZIP itself; raise `CorruptData` when it is no pack."""
    try:
        end = _END.unpack(data[-_END.size :])
        if end[0] != b"PK\5\6" or end[5] + end[6] + _END.size != len(data):
            raise CorruptData("not a pack: it does not end as one")
        at, found = end[6], []
        for _ in range(end[4]):
            head = _CENTRAL.unpack_from(data, at)
            method, length, size, name_length, extra_length, offset = (head[i] for i in (4, 8, 9, 10, 11, 16))
            name = data[at + _CENTRAL.size : at + _CENTRAL.size + name_length].decode()
            number, extra_size, ident = _EXTRA.unpack_from(data, at + _CENTRAL.size + name_length)
            if head[0] != b"PK\1\2" or (number, extra_size, extra_length) != (_EXTRA_ID, IDENT_SIZE, _EXTRA.size):
                raise CorruptData("not a pack: a member does not say what it is")
            kind = next(kind for kind, known in _METHODS.items() if known == method)
            begin = offset + _LOCAL.size + name_length + extra_length
            found.append((name, Member(ident, kind, begin, length, size)))
            at += _CENTRAL.size + name_length + extra_length
            local = _LOCAL.unpack_from(data, offset)
            # Where a reader that goes by the local headers finds other bytes than we do, somebody means harm.
            if local[0] != b"PK\3\4" or local[9:] != (name_length, extra_length) or begin + length > end[6]:
                raise CorruptData("not a pack: its headers say different things")
    except (struct.error, StopIteration, UnicodeDecodeError):
        raise CorruptData("not a pack, or a damaged one") from None
    return found


def index_of(data: bytes) -> bytes:
    """Make the index of a ZIP again; raise `CorruptData` when it is no pack."""
    found = _encode_index([_RECORD.pack(*member) for _, member in members_of(data)], len(data))
    Index(found).check()
    return found
