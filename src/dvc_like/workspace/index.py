"""The index: what the workspace looked like when it was last in step with a tree.

Owns one SQLite file with one row per folder (a tracked single file has a row of its own). A row says which
entries of the folder's tree are *present*, their stat signatures, fingerprints and digests. It is a cache:
lost, damaged or locked, it is as if it were empty, and it is rebuilt in silence.
The columns are specified in ``docs/format.md``.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

import xxhash

from ..digest import FINGERPRINT_SIZE, Digest, file_key, tree_key
from ..fsutil import NO_SIGNATURE, SIGNATURE
from ..paths import RelPath
from ..statefile import StateFile

VERSION = 2
#: Of an entry whose bytes went into place without passing through us (a clone, a link).
NO_FINGERPRINT = bytes(FINGERPRINT_SIZE)
#: Added to `Row.absent` where a subfolder is in step with another version than the row's tree says.
MIXED = 1 << 40


class Present(NamedTuple):
    """One file or link that is in the workspace: `value` is its digest, or the target of a link."""

    kind: str
    value: str
    signature: bytes
    fingerprint: bytes = NO_FINGERPRINT


@dataclass(frozen=True, slots=True)
class Row:
    """One folder in step with a tree.

    `tree` is the digest of the whole folder, `size` and `files` its totals. `absent` counts the files that were
    never brought into the workspace: those directly in it, and those of subfolders that are not there at all; with
    `MIXED` on top the folder as a whole is what no tree says.
    `stored` says that every object was seen in the cache. The columns `names`, `kinds`, `values`, `signatures` and
    `fingerprints` run in parallel over the files and links that are present; `folders` names the subfolders that
    are. A tracked single file has a row with its one name.
    """

    tree: str
    size: int
    files: int
    absent: int
    stored: bool
    folder_stamp: bytes
    names: tuple[str, ...]
    kinds: str
    values_text: str
    signatures: bytes
    fingerprints: bytes
    folders: tuple[str, ...]

    @property
    def values(self) -> tuple[str, ...]:
        """Digest, or target of a link, of each name; kept as one text, since an unchanged folder never needs them."""
        return _split(self.values_text)

    def signature(self, at: int) -> bytes:
        """The signature of the entry number `at`."""
        return self.signatures[at * SIGNATURE.size : (at + 1) * SIGNATURE.size]

    def fingerprint(self, at: int) -> bytes:
        """The fingerprint of the entry number `at`."""
        return self.fingerprints[at * FINGERPRINT_SIZE : (at + 1) * FINGERPRINT_SIZE]

    def present(self) -> dict[str, Present]:
        """The columns as a mapping."""
        values = self.values
        return {
            name: Present(self.kinds[at], values[at], self.signature(at), self.fingerprint(at))
            for at, name in enumerate(self.names)
        }

    def with_signatures(self, changes: dict[str, bytes]) -> Row:
        """Return the row with other signatures for some names: same content, touched."""
        parts = [changes.get(name, self.signature(at)) for at, name in enumerate(self.names)]
        return replace(self, signatures=b"".join(parts))


def make_row(
    total: tuple[str, int, int],
    present: dict[str, Present],
    folders: Iterable[str] = (),
    *,
    absent: int = 0,
    stored: bool = True,
    stamp: bytes = NO_SIGNATURE,
) -> Row:
    """Build a row; `total` is (tree digest, size, files)."""
    names = sorted(present)
    columns = [present[name] for name in names]
    return Row(
        *total,
        absent,
        stored,
        stamp,
        tuple(names),
        "".join([entry[0] for entry in columns]),
        "\n".join([entry[1] for entry in columns]),
        b"".join([entry[2] for entry in columns]),
        b"".join([entry[3] for entry in columns]),
        tuple(sorted(folders)),
    )


_SCHEMA = (
    "CREATE TABLE folder (path TEXT PRIMARY KEY, tree TEXT, size INT, files INT, absent INT, stored INT,"
    " folder_stamp BLOB, folders TEXT, names TEXT, kinds TEXT, signatures BLOB, fingerprints BLOB, digests TEXT,"
    " sum BLOB)"
)


class Index:
    """The rows by folder path (relative to the project, POSIX). Writes gather until `save`."""

    def __init__(self, path: str, seed: int = 0) -> None:
        """Open the index at `path`; rows with fingerprints of another `seed` are as none."""
        self._file = StateFile(path, VERSION, _SCHEMA, seed)
        self.seed = seed
        self._changes: dict[str, Row | None] = {}
        self._swept: list[str] = []
        self.frozen = False  # another process changes the workspace: nothing is written

    def get(self, path: str) -> Row | None:
        """Return the row of a folder, or None."""
        if path in self._changes:
            return self._changes[path]
        if self._is_swept(path):
            return None
        found = self._file.read("SELECT * FROM folder WHERE path = ?", path)
        try:
            return _decode(found[0]) if found else None
        except (ValueError, TypeError, AttributeError):
            return None

    def _is_swept(self, path: str) -> bool:
        return any(path == gone or path.startswith(gone + "/") for gone in self._swept)

    def tops(self, known: Iterable[str]) -> list[RelPath]:
        """Return the highest paths with a row that are neither one of `known` nor below one."""
        covered = set(known)
        found = []
        for path in sorted(self._paths(), key=lambda path: path.split("/")):
            parts = path.split("/")
            if not any("/".join(parts[:end]) in covered for end in range(1, len(parts) + 1)):
                found.append(RelPath(path))
                covered.add(path)
        return found

    def _paths(self) -> set[str]:
        stored = [str(path) for (path,) in self._file.read("SELECT path FROM folder")]
        return {*(path for path in stored if not self._is_swept(path)), *self._changes}

    def keys(self) -> set[str]:
        """Return the keys of the objects, files and trees, that everything present was recorded with."""
        found: set[str] = set()
        for row in filter(None, map(self.get, self._paths())):
            found.update(file_key(Digest(one.value)) for one in row.present().values() if one.kind != "l")
            if row.values != (row.tree,):  # else it is the row of a single file
                found.add(tree_key(Digest(row.tree)))
        return found

    def names_in(self, path: str) -> frozenset[str] | None:
        """Return the names a folder was recorded with, of files and folders, None when it was not."""
        row = self.get(path)
        return None if row is None else frozenset((*row.names, *row.folders))

    def put(self, path: str, row: Row) -> None:
        """Set the row of a folder."""
        self._changes[path] = row

    def drop(self, path: str) -> None:
        """Forget a folder and all below it."""
        for known in [known for known in self._changes if known == path or known.startswith(path + "/")]:
            del self._changes[known]
        self._swept.append(path)

    def move(self, old: str, new: str) -> None:
        """Give the rows of a folder (or a single file) and of all below it another path."""
        rows = {path: self.get(path) for path in self._paths() if path == old or path.startswith(old + "/")}
        self.drop(new)
        self.drop(old)
        for path, row in rows.items():
            if row is not None:
                self.put(new + path[len(old) :], row)

    def save(self) -> None:
        """Write what was changed, at once."""
        if (self._changes or self._swept) and not self.frozen:
            self._file.write(self._write)
        self._changes.clear()
        self._swept.clear()

    def _write(self, database: sqlite3.Connection) -> None:
        for path in self._swept:
            database.execute("DELETE FROM folder WHERE path = ?", (path,))
            database.execute("DELETE FROM folder WHERE path >= ? AND path < ?", (path + "/", path + "0"))
        database.executemany(
            "INSERT OR REPLACE INTO folder VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            (_encode(path, row) for path, row in self._changes.items() if row is not None),
        )

    def close(self) -> None:
        """Save and give the file back."""
        self.save()
        self._file.close()

    def __enter__(self) -> Index:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


# Neither a name, a link's target nor a digest can hold a newline: it separates the columns' items.
def _encode(path: str, row: Row) -> tuple[object, ...]:
    fields = (
        path,
        row.tree,
        row.size,
        row.files,
        row.absent,
        int(row.stored),
        row.folder_stamp,
        "\n".join(row.folders),
        "\n".join(row.names),
        row.kinds,
        row.signatures,
        row.fingerprints,
        row.values_text,
    )
    return (*fields, _checksum(fields))


def _decode(found: tuple[object, ...]) -> Row | None:
    fields: tuple[object, ...] = tuple(found[:-1])
    if _checksum(fields) != found[-1]:
        return None
    _, tree, size, files, absent, stored, stamp, folders, names, kinds, signatures, fingerprints, values = fields
    return Row(
        tree,  # type: ignore[arg-type]
        size,  # type: ignore[arg-type]
        files,  # type: ignore[arg-type]
        absent,  # type: ignore[arg-type]
        bool(stored),
        stamp,  # type: ignore[arg-type]
        _split(names),
        kinds,  # type: ignore[arg-type]
        values,  # type: ignore[arg-type]
        signatures,  # type: ignore[arg-type]
        fingerprints,  # type: ignore[arg-type]
        _split(folders),
    )


def _split(text: object) -> tuple[str, ...]:
    return tuple(text.split("\n")) if isinstance(text, str) and text else ()


def _checksum(fields: tuple[object, ...]) -> bytes:
    state = xxhash.xxh3_64()
    for field in fields:
        data = field if isinstance(field, bytes) else str(field).encode()
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.digest()
