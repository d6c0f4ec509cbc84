"""A small SQLite file that holds nothing which cannot be found out again.

Owns opening it, and that it never stands in the way: one that is damaged or of another version is made anew in
silence, one that is locked, read-only or on a full disk is as if it were empty.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
from collections.abc import Callable

# What passes by itself, or concerns the disk and not the content: such a file is left as it is.
_PASSING = ("locked", "readonly", "unable to open", "full", "disk i/o")

_SEED = 0x7FFFFF00  # the bits of a seed that SQLite's `user_version` holds beside the version

#: Held by whoever is inside of SQLite: a child that is forked meanwhile would wait for the locks of threads it lacks.
_inside = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_inside.acquire, after_in_parent=_inside.release, after_in_child=_inside.release)


class StateFile:
    """One database; `schema` makes its tables, and `version` changes whenever that does.

    `seed` is that of the fingerprints in it: a file that was made with another says nothing here.
    """

    def __init__(self, path: str, version: int, schema: str, seed: int = 0) -> None:
        self._path = path
        self._version = version + (seed & _SEED)
        self._schema = schema
        self._database = self._open()

    def _open(self) -> sqlite3.Connection | None:
        with _inside:
            for _ in range(2):
                try:
                    return self._prepare()
                except sqlite3.Error as error:
                    if not self._forget(error):
                        return None
        return None

    def _prepare(self) -> sqlite3.Connection:
        database = sqlite3.connect(self._path, timeout=5, isolation_level=None, check_same_thread=False)
        try:
            # What is stored carries checksums, so a torn write after a power cut costs work, not an answer.
            database.execute("PRAGMA synchronous=OFF")
            database.execute("PRAGMA journal_mode=TRUNCATE")
            if database.execute("PRAGMA user_version").fetchone() != (self._version,):
                database.execute("BEGIN IMMEDIATE")
                for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                    database.execute(f'DROP TABLE "{name}"')
                database.execute(self._schema)
                database.execute(f"PRAGMA user_version={self._version}")
                database.execute("COMMIT")
        except BaseException:
            database.close()
            raise
        return database

    def _forget(self, error: sqlite3.Error) -> bool:
        """Remove the file when it is damaged; tell whether a fresh one is worth a try."""
        if any(word in str(error).lower() for word in _PASSING):
            return False
        for path in (self._path, self._path + "-journal"):
            with contextlib.suppress(OSError):
                os.unlink(path)
        return not os.path.exists(self._path)

    def read(self, query: str, *values: object) -> list[tuple[object, ...]]:
        """Return the rows of a query; none when they cannot be had."""
        if self._database is None:
            return []
        try:
            with _inside:
                return self._database.execute(query, values).fetchall()
        except (sqlite3.Error, OverflowError):
            return []

    def write(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Run `work` as one transaction. A damaged file is made anew first; where nothing helps nothing is written."""
        with _inside:
            self._write(work)

    def _write(self, work: Callable[[sqlite3.Connection], None]) -> None:
        for _ in range(2):
            if self._database is None:
                return
            try:
                self._database.execute("BEGIN IMMEDIATE")
                work(self._database)
                self._database.execute("COMMIT")
                return
            except (sqlite3.Error, OverflowError) as error:
                with contextlib.suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                if isinstance(error, OverflowError) or any(word in str(error).lower() for word in _PASSING):
                    return
                self._database.close()
                self._database = self._open() if self._forget(error) else None

    def close(self) -> None:
        """Give the file back; a second call does nothing."""
        with _inside:
            if self._database is not None:
                self._database.close()
                self._database = None
