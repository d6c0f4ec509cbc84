"""What a store acknowledged: key to token as the store itself named it, and the tree of each target sent last.

Owns one SQLite file per project. A record is never the sole evidence that an object is there: a token only tells
an object that nobody touched since from one that somebody did, and a tree is looked for on the store before it
vouches for anything. Disposable.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from ..statefile import StateFile
from .base import Info

VERSION = 2
_SCHEMA = "CREATE TABLE seen (store TEXT, key TEXT, token TEXT, PRIMARY KEY (store, key)) WITHOUT ROWID"
_ROOT = "root:"  # no key of a store holds a colon


class Seen:
    """Tokens of one store."""

    def __init__(self, path: str, store: str) -> None:
        self._store = store
        self._file = StateFile(path, VERSION, _SCHEMA)

    def tokens(self) -> dict[str, str]:
        """Return everything known of the store."""
        rows = self._file.read("SELECT key, token FROM seen WHERE store = ?", self._store)
        return {str(key): str(token) for key, token in rows if not str(key).startswith(_ROOT)}

    def roots(self) -> dict[str, str]:
        """Return the tree of every target as it was when all of it was last sent: path to digest."""
        rows = self._file.read(
            "SELECT key, token FROM seen WHERE store = ? AND key >= ? AND key < ?", self._store, _ROOT, _ROOT[:-1] + ";"
        )
        return {str(key)[len(_ROOT) :]: str(token) for key, token in rows}

    def token(self, key: str) -> str:
        """Return what is known of one key, empty when that is nothing."""
        rows = self._file.read("SELECT token FROM seen WHERE store = ? AND key = ?", self._store, key)
        return str(rows[0][0]) if rows else ""

    def record_token(self, key: str, token: str) -> None:
        """Remember something about one key."""
        self._insert([(self._store, key, token)])

    def record_roots(self, roots: Iterable[tuple[str, str]]) -> None:
        """Remember which tree of a target is on the store with all below it."""
        self._insert([(self._store, _ROOT + path, digest) for path, digest in roots])

    def record(self, found: Iterable[tuple[str, Info]]) -> None:
        """Remember what the store just said."""
        self._insert([(self._store, key, info.token) for key, info in found if info.token])

    def _insert(self, rows: list[tuple[str, str, str]]) -> None:
        def insert(database: sqlite3.Connection) -> None:
            database.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", rows)

        if rows:
            self._file.write(insert)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()

    def __enter__(self) -> Seen:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
