"""What this machine remembers of one store on Drive: its files, and the uploads that were begun.

Owns one SQLite file in ``.dvc-like/tmp`` (in memory where there is no such folder), readable by its owner alone: the
address of a begun upload is as good as a key. All of it may be lost: files are then listed again, uploads begun again.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
import uuid
from typing import Any, NamedTuple

from ...statefile import StateFile

VERSION = 2
_SCHEMA = "CREATE TABLE known (kind TEXT, name TEXT, value TEXT, PRIMARY KEY (kind, name)) WITHOUT ROWID"
_BELIEVED = 86_400  # seconds: then all is listed again, whatever the feed of changes said
_UPLOAD, _FILE, _FOLDER, _HEAD = "upload", "file", "folder", "head"
_LIFE = 7 * 86_400 - 3600  # of an upload at Google


class Begun(NamedTuple):
    """An upload: the id its file has or will have, the address it goes on at, and what tells its source."""

    file_id: str
    address: str
    stamp: str


class State:
    """The memory of one store, as one account sees it."""

    def __init__(self, root: str, name: str) -> None:
        """Open ``<root>/.dvc-like/tmp/<name>.sqlite``."""
        folder = os.path.join(root, ".dvc-like", "tmp")
        path = os.path.join(folder, f"{name}.sqlite") if root and os.path.isdir(folder) else ":memory:"
        if path != ":memory:":
            with contextlib.suppress(OSError):
                os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
                os.chmod(path, 0o600)
        self._file = StateFile(path, VERSION, _SCHEMA)
        self._mutex = threading.Lock()
        self._saved: object = None  # by which what was loaded is known again

    # ---------------------------------------------------------------- uploads

    def begun(self, key: str, stamp: str) -> Begun | None:
        """Return the upload of a key that was begun with the same source."""
        with self._mutex:
            rows = self._file.read("SELECT value FROM known WHERE kind = ? AND name = ?", _UPLOAD, key)
        with contextlib.suppress(ValueError, TypeError, IndexError):
            *fields, written = json.loads(str(rows[0][0]))
            found = Begun(*fields)
            if found.stamp == stamp and written > time.time() - _LIFE:
                return found
        return None

    def begin(self, key: str, upload: Begun) -> None:
        """Remember an upload, before its first byte is sent."""
        self._write([(_UPLOAD, key, json.dumps([*upload, int(time.time())]))])

    def end(self, key: str) -> None:
        """Forget an upload."""
        self._write([(_UPLOAD, key, None)])

    # ---------------------------------------------------------------- files

    def load(self) -> tuple[dict[str, Any], dict[str, Any], dict[str, str]]:
        """Return what was saved: the head, the files and the folders by their ids. All empty when it is too old."""
        with self._mutex:
            rows = self._file.read("SELECT kind, name, value FROM known WHERE kind != ?", _UPLOAD)
        found: dict[str, dict[str, Any]] = {_HEAD: {}, _FILE: {}, _FOLDER: {}}
        try:
            for kind, name, value in rows:
                found[str(kind)][str(name)] = json.loads(str(value))
            if found[_HEAD].get("since", 0) > time.time() - _BELIEVED:
                self._saved = found[_HEAD].get("saved")
                return found[_HEAD], found[_FILE], found[_FOLDER]
        except (ValueError, KeyError, TypeError):
            pass
        self.clear()
        return {}, {}, {}

    def clear(self) -> None:
        """Forget all files."""
        with self._mutex:
            self._saved = None
            self._file.write(lambda database: _run(database, "DELETE FROM known WHERE kind != ?", [(_UPLOAD,)]))

    def save(self, head: dict[str, Any], files: dict[str, Any], folders: dict[str, str]) -> None:
        """Save the head, and what changed of files and folders; None is what is gone.

        Nothing is saved when another process has saved or forgotten something since: what is here and what is there
        were heard at different times, and mixed they would be true of none.
        """
        saved = uuid.uuid4().hex
        head = {**head, "saved": saved}
        rows: list[tuple[str, str, str | None]] = [(_HEAD, name, json.dumps(value)) for name, value in head.items()]
        for kind, changed in ((_FILE, files), (_FOLDER, folders)):
            rows += [(kind, name, None if value is None else json.dumps(value)) for name, value in changed.items()]

        def write(database: sqlite3.Connection) -> None:
            there = database.execute("SELECT value FROM known WHERE kind = ? AND name = 'saved'", (_HEAD,)).fetchone()
            if (there or ("null",))[0] == json.dumps(self._saved):
                _change(database, rows)
                self._saved = saved

        with self._mutex:
            self._file.write(write)

    def _write(self, rows: list[tuple[str, str, str | None]]) -> None:
        with self._mutex:
            self._file.write(lambda database: _change(database, rows))

    def close(self) -> None:
        """Give the file back; a second call does nothing."""
        with self._mutex:
            self._file.close()


def _change(database: sqlite3.Connection, rows: list[tuple[str, str, str | None]]) -> None:
    gone = [(kind, name) for kind, name, value in rows if value is None]
    _run(database, "DELETE FROM known WHERE kind = ? AND name = ?", gone)
    _run(database, "INSERT OR REPLACE INTO known VALUES (?, ?, ?)", [row for row in rows if row[2] is not None])


def _run(database: sqlite3.Connection, statement: str, rows: list[Any]) -> None:
    database.executemany(statement, rows)
