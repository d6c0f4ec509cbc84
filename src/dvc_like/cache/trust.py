"""Which objects of the cache were hashed, and what they looked like then.

Owns one SQLite file with a row per shard (the first two hex digits). An object is trusted while its size,
mtime, ctime and inode are what was recorded; its mode bits say nothing. Disposable: an object without a record is
hashed again.
"""

from __future__ import annotations

import sqlite3
import struct
import threading
from collections.abc import Iterable

import xxhash

from ..digest import FINGERPRINT_SIZE, HEX_LENGTH, Digest
from ..fsutil import SIGNATURE
from ..statefile import StateFile

VERSION = 2
Record = tuple[bytes, bytes]  # signature, fingerprint
_Shard = dict[str, Record | None]  # by digest; None: forgotten


class Trust:
    """Digest to (signature, fingerprint). Writes gather until `save`; safe to share between threads."""

    def __init__(self, path: str, seed: int = 0) -> None:
        """Open the records at `path`; those of another `seed` are as none."""
        self._file = StateFile(
            path, VERSION, "CREATE TABLE shard (name TEXT PRIMARY KEY, records BLOB, sum BLOB)", seed
        )
        self._shards: dict[str, _Shard] = {}  # as loaded, with the changes
        self._changes: dict[str, _Shard] = {}
        self._mutex = threading.Lock()

    def get(self, digest: Digest) -> Record | None:
        """Return what was recorded of an object."""
        shard = self._shards.get(digest[: digest.index(":") + 3])  # `_shard_of`, for every file of a push
        if shard is None:
            with self._mutex:
                shard = self._shard(_shard_of(digest))
        return shard.get(digest)

    def set(self, digest: Digest, signature: bytes, fingerprint: bytes) -> None:
        """Record an object that was just hashed."""
        with self._mutex:
            self._change(digest, (signature, fingerprint))

    def add(self, hashed: Iterable[tuple[Digest, bytes]], signatures: bytes) -> None:
        """Record many objects that were just hashed: (digest, fingerprint) each, and their signatures in one."""
        step = SIGNATURE.size
        with self._mutex:
            for at, (digest, fingerprint) in enumerate(hashed):
                self._change(digest, (signatures[at * step : at * step + step], fingerprint))

    def drop(self, digest: Digest) -> None:
        """Forget an object."""
        with self._mutex:
            self._change(digest, None)

    def _change(self, digest: Digest, record: Record | None) -> None:
        name = _shard_of(digest)
        changes = self._changes.get(name)
        if changes is None:
            changes = self._changes[name] = {}
        changes[digest] = record
        shard = self._shards.get(name)
        if shard is not None:
            shard[digest] = record

    def _shard(self, name: str) -> _Shard:
        """Return the records of a shard, those that are not saved yet included."""
        shard = self._shards.get(name)
        if shard is None:
            shard = self._shards[name] = {**self._load(name), **self._changes.get(name, {})}
        return shard

    def save(self) -> None:
        """Merge the changes into the file; other processes may have written meanwhile."""
        with self._mutex:
            if self._changes:
                self._file.write(self._merge)
                for name in self._changes:
                    self._shard(name)  # also where nothing could be written
                self._changes.clear()

    def _merge(self, database: sqlite3.Connection) -> None:
        for name, changes in self._changes.items():
            shard = self._load(name)
            shard.update(changes)
            self._shards[name] = shard
            start = name.index(":") + 1
            known = [(bytes.fromhex(digest[start:]), record) for digest, record in sorted(shard.items()) if record]
            blob = b"".join([key + record[0] + record[1] for key, record in known])
            values = (_row_of(name), blob, xxhash.xxh3_64_digest(blob))
            database.execute("INSERT OR REPLACE INTO shard VALUES (?,?,?)", values)

    def close(self) -> None:
        """Save and give the file back."""
        self.save()
        self._file.close()

    def _load(self, name: str) -> _Shard:
        found = self._file.read("SELECT records, sum FROM shard WHERE name = ?", _row_of(name))
        blob, checksum = found[0] if found else (b"", None)
        if not isinstance(blob, bytes) or xxhash.xxh3_64_digest(blob) != checksum:
            return {}
        algorithm = name.partition(":")[0]
        line = struct.Struct(f"{HEX_LENGTH[algorithm] // 2}s{SIGNATURE.size}s{FINGERPRINT_SIZE}s")
        if len(blob) % line.size:
            return {}
        return {f"{algorithm}:{key.hex()}": (known, mark) for key, known, mark in line.iter_unpack(blob)}


def _shard_of(digest: Digest) -> str:
    return digest[: digest.index(":") + 3]


def _row_of(shard: str) -> str:
    return shard.replace(":", "/")
