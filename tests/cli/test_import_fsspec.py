"""`import-url` of what fsspec knows and we do not: its file system in memory stands for all."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from tests.cli.inprocess import InProcess
from tests.cli.place import Place

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed")

run = InProcess()


@pytest.fixture
def memory() -> Iterator[Any]:
    """An empty file system in memory."""
    found = fsspec.filesystem("memory")
    found.store.clear()
    found.pseudo_dirs[:] = [""]
    yield found
    found.store.clear()


def test_a_file_and_a_folder(place: Place, memory: Any) -> None:
    memory.pipe({"/b/x.csv": b"a,b", "/b/deep/er/y": b"y" * 3_000_000, "/b/z": b""})
    run("import-url", "fsspec+memory://b/x.csv")
    assert (place / "x.csv").read_bytes() == b"a,b"
    assert "url: memory://b/x.csv\n" in (place / "x.csv.meta").read_text()
    done = run("import-url", "memory://b", "data/b", "--json").json
    assert (done["files"], done["size"]) == (3, 3_000_003)
    found = {name: node[2] for name, node in place.data("data/b").items() if node[0] == "file"}
    assert found == {"x.csv": b"a,b", "deep/er/y": b"y" * 3_000_000, "z": b""}


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("memory://nothing", 4),
        ("zip://x::memory://b/x", 2),
        ("nosuchscheme://b/x", 2),
        ("gs://bucket/x", 6),
        ("sftp://host", 2),
    ],
)
def test_what_cannot_be_read(place: Place, memory: Any, url: str, code: int) -> None:
    done = run("import-url", url, "x", code=code)
    assert done.err.startswith("error: ")
    assert place.data() == {}


def test_a_server_that_does_not_answer_is_named(place: Place) -> None:
    assert "ftp://127.0.0.1:1/x: the connection broke" in run("import-url", "ftp://127.0.0.1:1/x", code=6).err


def test_names_that_lead_out_are_refused(place: Place, memory: Any) -> None:
    memory.store["/b/../../evil"] = memory.open("/b/ok", "wb")
    memory.pipe("/b/.git/hooks/x", b"x")
    run("import-url", "memory://b", "b", code=(6, 7))
    assert place.data() == {}


def test_what_breaks_off_or_is_refused_is_told_as_such(
    place: Place, memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory.pipe("/b/x", b"x")
    for error, words in ((PermissionError("no"), "refused"), (RuntimeError("secret=1"), "RuntimeError")):

        def fail(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(type(memory), "info", fail)
        done = run("import-url", "memory://b/x", code=6)
        assert words in done.err
        assert "secret" not in done.err
