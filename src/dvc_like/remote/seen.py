"""What a store acknowledged: key to token, as the store itself named it after an upload.

Owns one SQLite file per project. A record is never the sole evidence that an object is there: it only tells
an object that nobody touched since from one that somebody did. Disposable.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable

from .base import Info


class Seen:
    """Tokens of one store. A file that cannot be used is as if it were empty."""

    def __init__(self, path: str, store: str) -> None:
        self._store = store
        self._database: sqlite3.Connection | None = None
        with contextlib.suppress(sqlite3.Error):
            self._database = sqlite3.connect(path, timeout=5, isolation_level=None)
            self._database.execute("PRAGMA synchronous=OFF")
            self._database.execute(
                "CREATE TABLE IF NOT EXISTS seen"
                " (store TEXT, key TEXT, token TEXT, PRIMARY KEY (store, key)) WITHOUT ROWID"
            )

    def tokens(self) -> dict[str, str]:
        """Return everything known of the store."""
        if self._database is None:
            return {}
        try:
            return dict(self._database.execute("SELECT key, token FROM seen WHERE store = ?", (self._store,)))
        except sqlite3.Error:
            return {}

    def record(self, found: Iterable[tuple[str, Info]]) -> None:
        """Remember what the store just said."""
        if self._database is None:
            return
        with contextlib.suppress(sqlite3.Error):
            self._database.execute("BEGIN IMMEDIATE")
            self._database.executemany(
                "INSERT OR REPLACE INTO seen VALUES (?, ?, ?)",
                ((self._store, key, info.token) for key, info in found if info.token),
            )
            self._database.execute("COMMIT")

    def close(self) -> None:
        """Give the file back."""
        if self._database is not None:
            self._database.close()
            self._database = None
