"""A command that failed half the way is run again: each of these once did not end as the first would have."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable

import pytest
from tests.cli.place import Place, temps_in

import dvc_like
from dvc_like.errors import WouldOverwrite
from dvc_like.fsutil import Dir
from dvc_like.ops._guard import Guard
from dvc_like.paths import join

Failing = Callable[[str, str], None]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Failing:
    """Let a method of an open folder fail for one name, once: ``failing("write", "data.meta")``."""

    def arrange(method: str, wanted: str) -> None:
        real = getattr(Dir, method)

        def call(self: Dir, name: str, *arguments: object, **options: object) -> object:
            if wanted in (name, *arguments):
                monkeypatch.setattr(Dir, method, real)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
            return real(self, name, *arguments, **options)

        monkeypatch.setattr(Dir, method, call)

    return arrange


def test_a_deletion_is_recorded_though_the_meta_file_could_not_be_written_at_first(
    place: Place, failing: Failing
) -> None:
    place.track({"data/a": "1", "data/gone": "2"})
    (place / "data/gone").unlink()
    failing("write", "data.meta")
    with pytest.raises(OSError, match="No space"):
        place.add("data")
    place.add("data")
    assert "files: 1\n" in (place / "data.meta").read_text()
    assert place.changes() == {}


@pytest.mark.skipif(os.name != "posix", reason="the ctime of a file tells here that it was written to")
def test_files_that_are_hard_links_already_are_added_again(place: Place) -> None:
    place.config(cache_type="hardlink")
    place.track({"data/a": "1", "data/b": os.urandom(2 << 20)})
    before = (place / "data/a").stat()
    place.add("data", force=True)
    assert temps_in(place.root) == [], "a rename between two links to one file does nothing"
    assert (place / "data/a").stat().st_mtime_ns == before.st_mtime_ns
    for state in (place / ".dvc-like/tmp").glob("*.sqlite"):
        state.unlink()
    place.add("data")
    assert place.states() == {"data": "unchanged"}
    assert (place / "data/a").samefile(place.cached("1"))


@pytest.fixture
def switched(place: Place) -> Place:
    """The workspace was brought from version 1 to version 2 by the last command."""
    place.track({"data/a": "1", "data/b": "1", "data/one/x": "x"})
    (place / "data/one/x").unlink()
    (place / "data/one").rmdir()
    place.track({"data/a": "2", "data/b": "2", "data/two/y": "y"})
    place.git("checkout", "-q", "HEAD~1")
    place.checkout()
    place.git("checkout", "-q", "main")
    place.checkout()
    return place


@pytest.mark.parametrize("times", [1, 2])
def test_an_undo_that_failed_is_brought_to_its_end_by_the_next(switched: Place, failing: Failing, times: int) -> None:
    place = switched
    two = place.data()
    for _ in range(times):
        failing("rename", "b")
        with pytest.raises(OSError, match="No space"):
            dvc_like.undo(place.project)
        assert (place / "data/b").read_text() == "2"
    dvc_like.undo(place.project)
    assert {name: node[2] for name, node in place.data().items() if node[0] == "file"} == {
        "data/a": b"1",
        "data/b": b"1",
        "data/one/x": b"x",
    }
    dvc_like.undo(place.project)
    assert place.data() == two, "both runs are one command"


def test_a_file_that_could_not_be_removed_is_still_known_as_one_of_ours(
    switched: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    place, real = switched, Guard.may_go
    place.git("checkout", "-q", "HEAD~1")

    def may_go(self: Guard, here: Dir, path: str, name: str, judged: bytes) -> bool:
        if name != "y":
            return real(self, here, path, name, judged)
        self.leave(join(path, name))
        return False

    with monkeypatch.context() as patched:
        patched.setattr(Guard, "may_go", may_go)
        with pytest.raises(WouldOverwrite, match="left as they are"):
            place.checkout()
    assert (place / "data/two/y").exists()
    place.checkout()
    assert not (place / "data/two").exists()
