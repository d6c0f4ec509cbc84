"""The index is a cache: what is lost or damaged is as if it had never been, and nothing else goes with it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dvc_like.fsutil import NO_SIGNATURE
from dvc_like.workspace.index import NO_FINGERPRINT, Index, Present, Row, make_row

HASH = "blake3:" + "ab" * 32


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "index.sqlite")


def row(*names: str, tree: str = HASH, folders: tuple[str, ...] = ()) -> Row:
    present = {name: Present("f", HASH, bytes([7] * 32), bytes([9] * 16)) for name in names}
    return make_row((tree, 5, len(names)), present, folders, absent=2, stored=False, stamp=b"\x01" * 32)


@contextlib.contextmanager
def sql(path: str) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        yield database


texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Zl", "Zp"]), min_size=1, max_size=8)
entries = st.builds(
    Present,
    st.sampled_from("fxl"),
    texts,
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=16, max_size=16),
)


@settings(derandomize=True, deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(texts, entries, max_size=5), st.sets(texts, max_size=3), texts, st.booleans())
def test_a_row_comes_back_as_it_was_put(
    path: str, present: dict[str, Present], folders: set[str], where: str, stored: bool
) -> None:
    made = make_row((HASH, 2**63 - 1, 3), present, folders, absent=1, stored=stored, stamp=b"\xff" * 32)
    assert made.present() == present
    with Index(path) as index:
        index.put(where, made)
        assert index.get(where) is made
    with Index(path) as index:
        assert index.get(where) == made
        assert index.get(where + "x") is None


def test_a_row_may_be_empty(path: str) -> None:
    empty = make_row((HASH, 0, 0), {})
    with Index(path) as index:
        index.put("data", empty)
    with Index(path) as index:
        got = index.get("data")
    assert got == empty
    assert (got.names, got.values, got.folders, got.present()) == ((), (), (), {})
    assert got.folder_stamp == NO_SIGNATURE


def test_other_signatures_change_only_their_names() -> None:
    before = row("a", "b", "c")
    after = before.with_signatures({"b": b"\x05" * 32})
    assert [after.signature(at) for at in range(3)] == [b"\x07" * 32, b"\x05" * 32, b"\x07" * 32]
    assert after.fingerprints == before.fingerprints
    assert before.signature(1) == b"\x07" * 32


def test_an_entry_without_a_fingerprint_has_none() -> None:
    made = make_row((HASH, 0, 1), {"a": Present("f", HASH, bytes(32))})
    assert made.fingerprint(0) == NO_FINGERPRINT


SIBLINGS = ["data", "data/a", "data/a/b", "data-x", "data.old", "data.old/a", "data0", "dat", "Data", "data ", "x/data"]


def test_dropping_a_folder_leaves_its_siblings(path: str) -> None:
    with Index(path) as index:
        for name in SIBLINGS:
            index.put(name, row("f"))
    for saved in (False, True):  # gone at once, and still gone in the file
        with Index(path) as index:
            if not saved:
                index.drop("data")
            for name in SIBLINGS:
                assert (index.get(name) is None) is (name in ("data", "data/a", "data/a/b")), name


def test_dropping_reaches_what_was_put_and_not_yet_saved(path: str) -> None:
    with Index(path) as index:
        for name in SIBLINGS:
            index.put(name, row("f"))
        index.drop("data")
        assert [name for name in SIBLINGS if index.get(name) is None] == ["data", "data/a", "data/a/b"]
    with Index(path) as index:
        assert [name for name in SIBLINGS if index.get(name) is None] == ["data", "data/a", "data/a/b"]


def test_what_is_put_after_a_drop_stays(path: str) -> None:
    with Index(path) as index:
        index.put("data", row("old"))
        index.put("data/sub", row("old"))
    with Index(path) as index:
        index.drop("data")
        index.put("data", row("new"))
        assert index.get("data/sub") is None
    with Index(path) as index:
        got = index.get("data")
        assert got is not None
        assert got.names == ("new",)
        assert index.get("data/sub") is None


def test_tops_are_the_highest_unknown_paths(path: str) -> None:
    with Index(path) as index:
        for name in ("data", "data/a", "data-x/b", "data-x/b/c", "one.txt", "gone", "gone/x", "gone.txt"):
            index.put(name, row("f"))
    with Index(path) as index:
        index.put("late/a", row("f"))
        index.put("late", row("f"))
        assert index.tops([]) == ["data", "data-x/b", "gone", "gone.txt", "late", "one.txt"]
        assert index.tops(["data", "one.txt", "data-x", "late"]) == ["gone", "gone.txt"]
        assert index.tops(["data/a"]) == ["data", "data-x/b", "gone", "gone.txt", "late", "one.txt"]


def test_tops_leave_out_what_was_dropped(path: str) -> None:
    with Index(path) as index:
        for name in ("data", "data/a", "data.old"):
            index.put(name, row("f"))
    with Index(path) as index:
        index.drop("data")
        assert index.tops([]) == ["data.old"]


# ------------------------------------------------------------------------------ damage


def filled(path: str, count: int = 200) -> None:
    with Index(path) as index:
        for number in range(count):
            index.put(f"data/{number:03}", row(*[f"file{n:03}" for n in range(20)]))


def works(path: str) -> None:
    """Check that the index takes and gives rows, and keeps them."""
    with Index(path) as index:
        index.put("new", row("n"))
    with Index(path) as index:
        got = index.get("new")
    assert got is not None
    assert got.names == ("n",)


def _overwrite(path: str, at: int, data: bytes) -> None:
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(data)


def _other_table(path: str) -> None:
    with sql(path) as database:
        database.execute("DROP TABLE folder")
        database.execute("CREATE TABLE folder (path TEXT PRIMARY KEY, other TEXT)")
        database.execute("INSERT INTO folder VALUES ('data/001', 'x')")


def _version(path: str, number: int) -> None:
    with sql(path) as database:
        database.execute(f"PRAGMA user_version={number}")


DAMAGE: dict[str, Callable[[str], object]] = {
    "no database": lambda path: Path(path).write_bytes(b"not a database " * 1000),
    "zeros": lambda path: Path(path).write_bytes(bytes(os.path.getsize(path))),
    "empty": lambda path: Path(path).write_bytes(b""),
    "lost": os.unlink,
    "header overwritten": lambda path: _overwrite(path, 0, b"x" * 100),
    "cut in the middle": lambda path: os.truncate(path, os.path.getsize(path) // 2),
    "cut in the first page": lambda path: os.truncate(path, 1000),
    "cut to one page": lambda path: os.truncate(path, 4096),
    "all pages but the first overwritten": lambda path: _overwrite(
        path, 4096, b"\xa5" * (os.path.getsize(path) - 4096)
    ),
    "schema overwritten": lambda path: _overwrite(path, 100, b"\xa5" * 3000),
    "another table": _other_table,
    "an older version": lambda path: _version(path, 0),
    "a newer version": lambda path: _version(path, 99),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_file_is_rebuilt_in_silence(path: str, damage: Callable[[str], object]) -> None:
    filled(path)
    damage(path)
    with Index(path) as index:
        for number in range(200):
            got = index.get(f"data/{number:03}")
            assert got is None or len(got.names) == 20
        index.tops([])
    works(path)


COLUMNS = [
    *("tree", "size", "files", "absent", "stored", "folder_stamp", "folders", "names", "kinds"),
    *("signatures", "fingerprints", "digests", "sum", "path"),
]


@pytest.mark.parametrize("column", COLUMNS)
def test_a_row_with_a_changed_column_counts_as_none(path: str, column: str) -> None:
    filled(path, 3)
    value: object = {"size": 6, "files": 6, "absent": 6, "stored": 1, "path": "data/elsewhere"}.get(column, b"x")
    with sql(path) as database:
        database.execute(f"UPDATE folder SET {column} = ? WHERE path = 'data/001'", (value,))
    with Index(path) as index:
        assert index.get("data/001") is None
        assert index.get("data/elsewhere") is None
        assert index.get("data/000") is not None


@pytest.mark.parametrize("column", ["signatures", "fingerprints", "digests", "names", "kinds", "folders"])
@pytest.mark.parametrize("value", [None, 5, 2.5, ""])
def test_a_truncated_or_mistyped_column_is_no_answer_and_no_error(path: str, column: str, value: object) -> None:
    filled(path, 1)
    with sql(path) as database:
        database.execute(f"UPDATE folder SET {column} = ?", (value,))
    with Index(path) as index:
        got = index.get("data/000")
        assert got is None or (column, value) == ("folders", "")


def test_a_row_of_random_bytes_counts_as_none(path: str) -> None:
    filled(path, 1)
    for size in (1, 31, 32, 640):
        with sql(path) as database:
            database.execute("UPDATE folder SET signatures = ?", (os.urandom(size),))
        with Index(path) as index:
            assert index.get("data/000") is None


def test_a_locked_file_is_worked_without(path: str) -> None:
    filled(path, 1)
    with sql(path) as other:
        other.execute("BEGIN EXCLUSIVE")
        with Index(path) as index:  # waits its few seconds, then does without
            assert index.get("data/000") is None
            index.put("data/new", row("f"))
            assert index.get("data/new") is not None
        other.execute("ROLLBACK")
    with Index(path) as index:
        assert index.get("data/000") is not None
        assert index.get("data/new") is None


def test_two_processes_may_have_it_open(path: str) -> None:
    with Index(path) as one, Index(path) as other:
        one.put("a", row("f"))
        other.put("b", row("f"))
        one.save()
        other.save()
    with Index(path) as index:
        assert index.get("a") is not None
        assert index.get("b") is not None


@pytest.mark.parametrize("where", ["none/index.sqlite", "folder"])
def test_where_no_file_can_be_it_is_empty_and_forgets(tmp_path: Path, where: str) -> None:
    (tmp_path / "folder").mkdir()
    with Index(str(tmp_path / where)) as index:
        index.put("a", row("f"))
        assert index.get("a") is not None
        assert index.tops(["a"]) == []
        index.drop("a")
        assert index.get("a") is None
    with Index(str(tmp_path / where)) as index:
        assert index.get("a") is None


def test_a_size_that_sqlite_cannot_hold_is_no_error(path: str) -> None:
    with Index(path) as index:  # a stranger's tree may add up to anything
        index.put("data/huge", make_row((HASH, 1 << 64, 1 << 64), {}))
        index.put("data/other", row("f"))
        index.save()
        assert index.get("data/huge") is None or index.get("data/huge") == make_row((HASH, 1 << 64, 1 << 64), {})
    works(path)


@pytest.mark.parametrize("other", [0, 1 << 8, 6 << 60 | 5 << 8])
def test_rows_with_fingerprints_of_another_seed_are_none(path: str, other: int) -> None:
    seed = 7 << 60 | 5 << 8 | 1 << 20
    with Index(path, seed) as index:
        index.put("data", row("a"))
    with Index(path, seed) as index:
        assert index.get("data") == row("a")
    with Index(path, other) as index:
        assert index.get("data") is None
    with Index(path, seed) as index:
        assert index.get("data") is None
