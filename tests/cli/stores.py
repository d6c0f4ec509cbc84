"""What lies in a folder remote, read without the code under test; and ways to take things out of it or spoil them.

An object lies under its own key or in a pack: for most tests it must not matter which.
"""

from __future__ import annotations

import hashlib
import itertools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from blake3 import blake3
from tests.cli.place import objects_in, tree_lines, unlock

from dvc_like.remote.pack import Builder

_ALGORITHMS = {1: "blake3", 2: "sha256", 3: "xxh128", 4: "md5"}
_SIZES = {1: 32, 2: 32, 3: 16, 4: 16}


class Packed(NamedTuple):
    """One member of a pack: the ZIP it lies in, its name there, and its ident."""

    path: Path
    name: str
    ident: bytes

    @property
    def key(self) -> str:
        number = self.ident[0] & 0x7F
        hexes = self.ident[1 : 1 + _SIZES[number]].hex()
        return f"files/{_ALGORITHMS[number]}/{hexes[:2]}/{hexes[2:]}" + (".tree" if self.ident[0] & 0x80 else "")

    def read(self) -> bytes:
        with zipfile.ZipFile(self.path) as file:
            return file.read(self.name)


def packed_in(store: Path) -> Iterator[Packed]:
    """Yield the members of all packs that have an index."""
    for path in sorted((store / "packs").glob("*.zip")) if (store / "packs").is_dir() else ():
        if path.with_suffix(".idx").exists():
            with zipfile.ZipFile(path) as file:
                for member in file.infolist():
                    assert member.extra[:4] == b"\x64\x4c\x21\x00"
                    yield Packed(path, member.filename, member.extra[4:])


def contents_of(store: Path) -> dict[str, bytes]:
    """Return every object of a remote (or a cache) by its key."""
    found = {}
    for path, members in itertools.groupby(packed_in(store), lambda packed: packed.path):
        with zipfile.ZipFile(path) as file:
            found.update((packed.key, file.read(packed.name)) for packed in members)
    return found | {key: path.read_bytes() for key, path in objects_in(store).items()}


def unsound(store: Path | dict[str, bytes]) -> list[str]:
    """Return the keys of objects, in a store or read from one, whose bytes are not what their name says."""
    there = store if isinstance(store, dict) else contents_of(store)
    return [key for key, data in there.items() if not _is_named_right(key, data)]


def _is_named_right(key: str, data: bytes) -> bool:
    _, algorithm, *hexes = key.removesuffix(".tree").removesuffix(".dir").split("/")
    made = blake3(data) if algorithm == "blake3" else hashlib.new(algorithm, data, usedforsecurity=False)
    return made.hexdigest() == "".join(hexes)


def dangling(store: Path | dict[str, bytes]) -> list[str]:
    """Return what trees of a store list and the store lacks: must be nothing, whatever happened."""
    there = store if isinstance(store, dict) else contents_of(store)
    lost = []
    for key, data in there.items():
        if not key.endswith(".tree"):
            continue
        for line in tree_lines(data):
            if line.kind == "l":
                continue
            algorithm, _, hexes = line.value.partition(":")
            below = f"files/{algorithm}/{hexes[:2]}/{hexes[2:]}" + (".tree" if line.kind == "d" else "")
            if below not in there:
                lost.append(f"{key} -> {line.name}")
    return lost


def put_pack(store: Path, members: list[tuple[bytes, str, bytes]]) -> str:
    """Write a pack of (ident, name, bytes) as another clone might; return its id."""
    builder = Builder()
    for ident, name, data in members:
        builder.add(ident, name, data)
    made = builder.finish()
    (store / "packs").mkdir(parents=True, exist_ok=True)
    (store / "packs" / f"{made.id}.zip").write_bytes(made.data)
    (store / "packs" / f"{made.id}.idx").write_bytes(made.index_data)
    return made.id


def take_out(store: Path, key: str) -> None:
    """Make one object be missing; the others of its pack stay, in a pack without it."""
    if (store / key).exists():
        (store / key).unlink()
        return
    for path in {packed.path for packed in packed_in(store) if packed.key == key}:
        rest = [(one.ident, one.name, one.read()) for one in packed_in(store) if one.path == path and one.key != key]
        path.unlink()
        path.with_suffix(".idx").unlink()
        if rest:
            put_pack(store, rest)
    assert key not in contents_of(store)


def spoil(store: Path, key: str, garbage: bytes = b"") -> None:
    """Put garbage in the place of one object; in a pack as many bytes as it has there."""
    if (store / key).exists():
        unlock(store / key).write_bytes(garbage)
        return
    (packed,) = [packed for packed in packed_in(store) if packed.key == key]
    data = bytearray(packed.path.read_bytes())
    with zipfile.ZipFile(packed.path) as file:
        member = file.getinfo(packed.name)
        begin = member.header_offset + 30 + len(member.filename.encode()) + len(member.extra)
        for at in range(begin, begin + member.compress_size):
            data[at] = garbage[at - begin] if at - begin < len(garbage) else data[at] ^ 0x55
    unlock(packed.path).write_bytes(data)


def pack_id_is_right(path: Path) -> bool:
    """Tell whether a pack's index is what the pack is called."""
    return blake3(path.with_suffix(".idx").read_bytes()).hexdigest() == path.stem
