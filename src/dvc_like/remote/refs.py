"""Refs: what each clone needs of a store that it may share with others.

Owns the text format (specified in ``docs/format.md``) and when a ref is too old to count. A ref is a claim, not a
pointer: what it names and the store lacks is no error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from .. import digest as digests
from ..digest import Digest
from ..errors import CorruptData
from ..paths import RelPath, parse, show

PREFIX = "refs/"
EXPIRE = 365 * 86_400  # seconds
REFRESH = 7 * 86_400  # a ref is written again after so long, even where nothing changed
MAX_SIZE = 1 << 30

_HEAD = "dvc-like refs 1"


class Root(NamedTuple):
    """One target of one version: a file, or the root tree of a folder."""

    digest: Digest
    is_folder: bool
    path: RelPath


class Ref(NamedTuple):
    """What one clone needs. `name` says to people which repository it is; `written` is in seconds since 1970."""

    name: str
    written: int
    roots: frozenset[Root]

    def is_expired(self, now: float) -> bool:
        """Tell whether it counts no more."""
        return self.written < now - EXPIRE


def encode(ref: Ref) -> bytes:
    """Return the bytes of a ref: roots in the order of their paths."""
    lines = [_HEAD, f"name\t{show(ref.name)}", f"written\t{ref.written}"]
    for root in sorted(ref.roots, key=lambda root: (root.path, root.digest)):
        lines.append(f"{'d' if root.is_folder else 'f'}\t{root.digest}\t{root.path}")
    return "\n".join([*lines, ""]).encode()


def decode(data: bytes, key: str) -> Ref:
    """Read a ref; raise `CorruptData`: whoever deletes must not guess what somebody needs."""
    try:
        head, name, written, *lines = data.decode().split("\n")
        number = re.fullmatch(r"written\t([0-9]{1,12})", written)
        if head == _HEAD and name.startswith("name\t") and number and lines.pop() == "":
            return Ref(name[5:], int(number[1]), frozenset(_roots(lines)))
    except (ValueError, IndexError, CorruptData):
        pass
    raise CorruptData(
        f"{show(key)} on the remote cannot be read, so what its clone needs is not known",
        hint="The next push of that clone writes it again; if the clone is gone for good, delete the file there.",
    )


def _roots(lines: Iterable[str]) -> Iterable[Root]:
    for line in lines:
        kind, digest, path = line.split("\t")
        if kind not in ("d", "f"):
            raise CorruptData("neither a folder nor a file")
        yield Root(digests.parse(digest), kind == "d", parse(path))
