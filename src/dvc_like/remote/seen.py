"""What a store acknowledged: key to token, as the store itself named it after an upload.

Owns one SQLite file per project. A record is never the sole evidence that an object is there: it only tells
an object that nobody touched since from one that somebody did. Disposable.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from ..statefile import StateFile
from .base import Info

VERSION = 1
_SCHEMA = "CREATE TABLE seen (store TEXT, key TEXT, token TEXT, PRIMARY KEY (store, key)) WITHOUT ROWID"


class Seen:
    """Tokens of one store."""

    def __init__(self, path: str, store: str) -> None:
        self._store = store
        self._file = StateFile(path, VERSION, _SCHEMA)

    def tokens(self) -> dict[str, str]:
        """Return everything known of the store."""
        rows = self._file.read("SELECT key, token FROM seen WHERE store = ?", self._store)
        return {str(key): str(token) for key, token in rows}

    def record(self, found: Iterable[tuple[str, Info]]) -> None:
        """Remember what the store just said."""
        rows = [(self._store, key, info.token) for key, info in found if info.token]

        def insert(database: sqlite3.Connection) -> None:
            database.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?)", rows)

        if rows:
            self._file.write(insert)

    def close(self) -> None:
        """Give the file back."""
        self._file.close()
