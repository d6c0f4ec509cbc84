"""Which objects of the cache were hashed, and what they looked like then.

Owns one SQLite file with a row per shard (the first two hex digits). An object is trusted while its size,
mtime, ctime and inode are what was recorded; its mode bits say nothing. Disposable: an object without a record is
hashed again.
"""

from __future__ import annotations

import sqlite3
import threading

import xxhash

from ..digest import FINGERPRINT_SIZE, HEX_LENGTH, Digest
from ..fsutil import SIGNATURE
from ..statefile import StateFile

VERSION = 1
_TAIL = SIGNATURE.size + FINGERPRINT_SIZE
Record = tuple[bytes, bytes]  # signature, fingerprint


class Trust:
    """Digest to (signature, fingerprint). Writes gather until `save`; safe to share between threads."""

    def __init__(self, path: str) -> None:
        self._file = StateFile(path, VERSION, "CREATE TABLE shard (name TEXT PRIMARY KEY, records BLOB, sum BLOB)")
        self._shards: dict[str, dict[bytes, Record]] = {}
        self._changes: dict[str, dict[bytes, Record | None]] = {}
        self._mutex = threading.Lock()

    def get(self, digest: Digest) -> Record | None:
        """Return what was recorded of an object."""
        name, key = _split(digest)
        with self._mutex:
            pending = self._changes.get(name)
            if pending is not None and key in pending:
                return pending[key]
            shard = self._shards.get(name)
            if shard is None:
                shard = self._shards[name] = self._load(name)
            return shard.get(key)

    def set(self, digest: Digest, signature: bytes, fingerprint: bytes) -> None:
        """Record an object that was just hashed."""
        name, key = _split(digest)
        with self._mutex:
            self._changes.setdefault(name, {})[key] = (signature, fingerprint)

    def drop(self, digest: Digest) -> None:
        """Forget an object."""
        name, key = _split(digest)
        with self._mutex:
            self._changes.setdefault(name, {})[key] = None

    def save(self) -> None:
        """Merge the changes into the file; other processes may have written meanwhile."""
        with self._mutex:
            if self._changes:
                self._file.write(self._merge)
                for name, changes in self._changes.items():
                    _apply(self._shards.setdefault(name, {}), changes)  # also where nothing could be written
                self._changes.clear()

    def _merge(self, database: sqlite3.Connection) -> None:
        for name, changes in self._changes.items():
            shard = self._load(name)
            _apply(shard, changes)
            self._shards[name] = shard
            blob = b"".join([key + record[0] + record[1] for key, record in sorted(shard.items())])
            database.execute("INSERT OR REPLACE INTO shard VALUES (?,?,?)", (name, blob, xxhash.xxh3_64_digest(blob)))

    def close(self) -> None:
        """Save and give the file back."""
        self.save()
        self._file.close()

    def _load(self, name: str) -> dict[bytes, Record]:
        found = self._file.read("SELECT records, sum FROM shard WHERE name = ?", name)
        blob, checksum = found[0] if found else (b"", None)
        if not isinstance(blob, bytes) or xxhash.xxh3_64_digest(blob) != checksum:
            return {}
        width = HEX_LENGTH[name.partition("/")[0]] // 2
        size, middle = width + _TAIL, width + SIGNATURE.size
        return {
            blob[at : at + width]: (blob[at + width : at + middle], blob[at + middle : at + size])
            for at in range(0, len(blob), size)
        }


def _apply(shard: dict[bytes, Record], changes: dict[bytes, Record | None]) -> None:
    for key, record in changes.items():
        if record is None:
            shard.pop(key, None)
        else:
            shard[key] = record


def _split(digest: Digest) -> tuple[str, bytes]:
    algorithm, _, hexes = digest.partition(":")
    return f"{algorithm}/{hexes[:2]}", bytes.fromhex(hexes)
