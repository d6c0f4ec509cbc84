"""The contract on a SQLite file, and the failures that only such a file has."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import dvc_like_sqlite
import pytest
from dvc_like_sqlite import SqliteBackend, open_url

from dvc_like.errors import RemoteDenied, RemoteQuota, RemoteUnavailable
from dvc_like.testing import BackendContract


class TestSqlite(BackendContract):
    """Every obligation of a backend, each as a test of its own."""

    MANY = 20  # how many objects "many" are: more than a page of the store's listing, if it has pages

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.path = str(tmp_path / "store.sqlite")

    def make_backend(self) -> SqliteBackend:
        """Return a backend on an empty store."""
        return SqliteBackend(self.path)

    reopen = make_backend  # another one on the same store, as another process would open it


def test_a_url_is_of_the_project_or_absolute(tmp_path: Path) -> None:
    root = str(tmp_path / "project")
    assert open_url("sqlite://../store.sqlite", {}, root).path == str(tmp_path / "store.sqlite")
    assert open_url(f"sqlite://{tmp_path}/store.sqlite", {}, root).path == str(tmp_path / "store.sqlite")


def test_what_waiting_does_not_help_against_is_denied(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database, and long enough to be told from an empty one\n" * 10)
    with pytest.raises(RemoteDenied, match="not a database"):
        SqliteBackend(str(tmp_path / "text")).put("key", b"data")
    with pytest.raises(RemoteDenied, match="unable to open"):
        SqliteBackend(str(tmp_path / "missing/store.sqlite")).stat(["key"])


def test_a_store_that_others_hold_is_unavailable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = str(tmp_path / "store.sqlite")
    SqliteBackend(path).put("key", b"data")
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path, timeout: connect(path, timeout=0))
    with closing(connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(RemoteUnavailable, match="locked"):
            SqliteBackend(path).put("key", b"more")


def test_an_object_that_no_row_takes_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dvc_like_sqlite, "LARGEST", 3)
    backend = SqliteBackend(str(tmp_path / "store.sqlite"))
    backend.put("key", b"123")
    with pytest.raises(RemoteQuota, match="key has 4 bytes"):
        backend.put("key", b"1234")
    assert [(key, info.size) for key, info in backend.list("")] == [("key", 3)]
