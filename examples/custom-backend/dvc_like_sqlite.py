"""A remote in one SQLite file: ``sqlite:///absolute/path``, or ``sqlite://path/from/the/project``.

Owns how objects lie in that file: a row each, under its key. Knows nothing of what an object means; hashing, trying
again and the bounds on what runs at once are dvc-like's.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager

from dvc_like.errors import RemoteDenied, RemoteError, RemoteNotFound, RemoteQuota, RemoteUnavailable
from dvc_like.paths import show
from dvc_like.remote.base import Backend, Capabilities, Info, Sink, check_key, check_prefix
from dvc_like.remote.source import read_whole

LARGEST = 999_000_000  # bytes; SQLite takes rows of a thousand million at most


def open_url(url: str, options: dict[str, str], root: str) -> SqliteBackend:
    """Make the backend of a url. `options` are the remote's settings, `root` is the project. Opens nothing yet."""
    return SqliteBackend(os.path.normpath(os.path.join(root, url[len("sqlite://") :])))


class SqliteBackend(Backend):
    """The store in the file at the absolute path `path`, which is made when it is first used, its folder never.

    An object is in memory as a whole while it is stored or read, and has at most `LARGEST` bytes.
    """

    capabilities = Capabilities("SQLite file", concurrency=1, stat_at_once=1000)

    def __init__(self, path: str) -> None:
        self.path = path

    @contextmanager
    def _table(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one transaction; make every error one of the four that the contract knows."""
        try:
            # A connection for each call, because calls come from several threads; a writer waits for the other.
            with closing(sqlite3.connect(self.path, timeout=60)) as database, database:
                database.execute("CREATE TABLE IF NOT EXISTS object (key TEXT PRIMARY KEY, data BLOB, version INTEGER)")
                yield database
        except sqlite3.Error as error:
            raise _failed(self.path, error) from error

    def put(self, key: str, source: str | bytes, *, label: str = "", once: bool = False) -> None:
        """Insert a row: durable when this returns, so that there is nothing to flush. The label is not used."""
        check_key(key)
        data = source if isinstance(source, bytes) else read_whole(source)
        if len(data) > LARGEST:
            raise RemoteQuota(f"{key} has {len(data)} bytes; {show(self.path)} takes objects of at most {LARGEST}")
        how = "INSERT OR IGNORE" if once else "REPLACE"  # with `once` the first one stays
        with self._table() as table:
            table.execute(f"{how} INTO object SELECT ?, ?, 1 + coalesce(max(version), 0) FROM object", (key, data))

    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        """Read the row. The sink gets its bytes when the file is closed: a slow one holds up nobody."""
        check_key(key)
        with self._table() as table:
            found = table.execute("SELECT data FROM object WHERE key = ?", (key,)).fetchone()
        if found is None:
            raise RemoteNotFound(f"{key} is not in {show(self.path)}")
        sink.write(memoryview(found[0])[start : None if length is None else start + length])

    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        """Look each key up, all in one transaction. The token counts what was ever put."""
        found: dict[str, Info] = {}
        with self._table() as table:
            for key in keys:
                check_key(key)
                for size, version in table.execute("SELECT length(data), version FROM object WHERE key = ?", (key,)):
                    found[key] = Info(size, str(version))
        return found

    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        """Read what there is first: who takes the keys one by one may put or delete meanwhile."""
        check_prefix(prefix)
        with self._table() as table:
            rows = table.execute("SELECT key, length(data), version FROM object ORDER BY key").fetchall()
        for key, size, version in rows:
            if key.startswith(prefix):
                yield key, Info(size, str(version))

    def delete(self, keys: Iterable[str]) -> None:
        """Remove rows, all or none. SQLite uses their space again, the file does not shrink."""
        with self._table() as table:
            table.executemany("DELETE FROM object WHERE key = ?", [(check_key(key),) for key in keys])


def _failed(path: str, error: sqlite3.Error) -> RemoteError:
    # Told apart by SQLite's own words: Python knows the codes only since 3.11.
    message, words = f"{show(path)}: {error}", str(error)
    if "locked" in words:
        return RemoteUnavailable(message)  # somebody else writes: the one failure that waiting helps against
    return RemoteQuota(message) if "full" in words else RemoteDenied(message)
