"""Which objects of the cache were hashed, and what they looked like then.

Owns one SQLite file with a row per shard (the first two hex digits). An object is trusted while its size,
mtime, ctime and inode are what was recorded; its mode bits say nothing. Disposable: an object without a record is
hashed again.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading

import xxhash

from ..digest import FINGERPRINT_SIZE, HEX_LENGTH, Digest
from ..fsutil import SIGNATURE

VERSION = 1
_TAIL = SIGNATURE.size + FINGERPRINT_SIZE
Record = tuple[bytes, bytes]  # signature, fingerprint


class Trust:
    """Digest to (signature, fingerprint). Writes gather until `save`; safe to share between threads."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._shards: dict[str, dict[bytes, Record]] = {}
        self._changes: dict[str, dict[bytes, Record | None]] = {}
        self._mutex = threading.Lock()
        self._database = self._open()

    def _open(self) -> sqlite3.Connection | None:
        for _ in range(2):
            try:
                database = sqlite3.connect(self._path, timeout=5, isolation_level=None, check_same_thread=False)
                database.execute("PRAGMA synchronous=OFF")
                database.execute("PRAGMA journal_mode=TRUNCATE")
                (version,) = database.execute("PRAGMA user_version").fetchone()
                if version != VERSION:
                    database.executescript(
                        "BEGIN IMMEDIATE; DROP TABLE IF EXISTS shard;"
                        "CREATE TABLE shard (name TEXT PRIMARY KEY, records BLOB, sum BLOB);"
                        f"PRAGMA user_version={VERSION}; COMMIT"
                    )
                return database
            except sqlite3.DatabaseError as error:
                if isinstance(error, sqlite3.OperationalError) and "not a database" not in str(error):
                    return None
                with contextlib.suppress(OSError):
                    os.unlink(self._path)
        return None

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
            if self._database is None or not self._changes:
                return
            try:
                self._database.execute("BEGIN IMMEDIATE")
                for name, changes in self._changes.items():
                    shard = self._load(name)
                    for key, record in changes.items():
                        if record is None:
                            shard.pop(key, None)
                        else:
                            shard[key] = record
                    self._shards[name] = shard
                    blob = b"".join([key + record[0] + record[1] for key, record in sorted(shard.items())])
                    self._database.execute(
                        "INSERT OR REPLACE INTO shard VALUES (?,?,?)", (name, blob, xxhash.xxh3_64_digest(blob))
                    )
                self._database.execute("COMMIT")
                self._changes.clear()
            except sqlite3.Error:
                with contextlib.suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")

    def close(self) -> None:
        """Save and give the file back."""
        self.save()
        if self._database is not None:
            self._database.close()
            self._database = None

    def _load(self, name: str) -> dict[bytes, Record]:
        if self._database is None:
            return {}
        try:
            found = self._database.execute("SELECT records, sum FROM shard WHERE name = ?", (name,)).fetchone()
        except sqlite3.Error:
            return {}
        if found is None or xxhash.xxh3_64_digest(found[0]) != found[1]:
            return {}
        blob: bytes = found[0]
        width = HEX_LENGTH[name.partition("/")[0]] // 2
        size, middle = width + _TAIL, width + SIGNATURE.size
        return {
            blob[at : at + width]: (blob[at + width : at + middle], blob[at + middle : at + size])
            for at in range(0, len(blob), size)
        }


def _split(digest: Digest) -> tuple[str, bytes]:
    algorithm, _, hexes = digest.partition(":")
    return f"{algorithm}/{hexes[:2]}", bytes.fromhex(hexes)
