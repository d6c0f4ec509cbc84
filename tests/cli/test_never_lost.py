"""Bytes of the user that no command may lose, and claims the index may not make: each was lost or claimed once."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import pytest
from tests.cli.place import Place, objects_in
from tests.cli.stores import contents_of, dangling
from tests.conftest import Cli

from dvc_like.errors import DvcLikeError, RemoteDenied, WouldOverwrite
from dvc_like.ops import _send, _transfer
from dvc_like.remote.pack import Pack
from dvc_like.remote.packs import Packs


def two_versions(place: Place) -> None:
    """Version 1 without `notes`, version 2 with it; the workspace is back at version 1."""
    place.write({"data/a": "1"})
    place.add("data")
    place.save("one")
    place.write({"data/notes": "theirs"})
    place.add("data")
    place.save("two")
    place.git("checkout", "-q", "HEAD~1")
    place.checkout()


def test_a_file_that_was_never_added_stays_in_sight_after_a_checkout(place: Place) -> None:
    two_versions(place)
    place.write({"data/notes": "mine"})
    place.checkout()
    assert place.changes() == {"data/notes": "added"}
    place.git("checkout", "-q", "-")
    with pytest.raises(WouldOverwrite):
        place.checkout()
    assert (place / "data/notes").read_text() == "mine"


def test_an_edit_stays_in_sight_when_the_index_was_lost(place: Place) -> None:
    place.write({"data/a": "1", "data/b": "2"})
    place.add("data")
    place.save("one")
    for name in os.listdir(place / ".dvc-like/tmp"):
        if name.startswith("index"):
            os.unlink(place / ".dvc-like/tmp" / name)
    place.write({"data/b": "edited"})
    for _ in range(2):
        assert place.changes() == {"data/b": "modified"}
    with pytest.raises(WouldOverwrite):
        place.checkout()
    assert (place / "data/b").read_text() == "edited"


def test_data_of_a_vanished_meta_file_stays_when_it_is_not_in_the_cache(place: Place) -> None:
    two_versions(place)
    shutil.rmtree(place / ".dvc-like/cache/files")
    place.git("rm", "-q", "--cached", "data.meta")
    (place / "data.meta").unlink()
    place.git("commit", "-q", "-m", "three")
    place.checkout()
    assert (place / "data/a").read_text() == "1"


@pytest.mark.parametrize("why", ["split", "moved into git", "damaged", "nested repository", "removed by hand"])
def test_only_what_git_took_away_is_removed(place: Place, why: str) -> None:
    place.write({"data/sub/f": "1"})
    place.add("data")
    place.save("one")
    if why == "split":
        (place / "data.meta").unlink()
        place.add("data/sub")
        place.save("two")
    elif why == "moved into git":
        (place / "data.meta").unlink()
        (place / ".gitignore").unlink()
        place.git("add", "-A")
        place.git("commit", "-q", "-m", "two")
    elif why == "damaged":
        (place / "data.meta").write_text("hsah: x\n")
    elif why == "nested repository":
        place.write({"deep/er": "2"})
        place.add("deep/er")
        place.save("two")
        place.git("init", "-q", "deep")
    else:
        (place / "data.meta").unlink()
    place.checkout()
    assert (place / "data/sub/f").read_text() == "1"
    if why == "nested repository":
        assert (place / "deep/er").read_text() == "2"


def test_what_git_took_away_is_removed_and_comes_back(place: Place) -> None:
    place.save("zero")
    place.write({"data/f": "1"})
    place.add("data")
    place.save("one")
    place.git("checkout", "-q", "HEAD~1")
    place.checkout()
    assert not (place / "data").exists()
    place.git("checkout", "-q", "-")
    place.checkout()
    assert (place / "data/f").read_text() == "1"


def test_a_folder_is_not_taken_over_when_its_listing_left_the_cache(place: Place, cli: Cli) -> None:
    place.write({"data/a": "1", "data/sub/x": "2"})
    place.add("data")
    for path in (place / ".dvc-like/cache/files").rglob("*.tree"):
        if b"\tx\n" in path.read_bytes():
            path.unlink()
    place.add("data/sub")
    cli("fsck")


def test_a_young_listing_with_a_link_does_not_stop_gc(place: Place, cli: Cli) -> None:
    place.write({"other": "o", "data/a": "1", "data/sub/b": "2"})
    os.symlink("../a", place / "data/sub/l")
    place.add("other", "data")
    (place / "data.meta").unlink()
    cli("gc", "-w")


def test_what_was_not_begun_is_told_by_name() -> None:
    def refuse(item: int) -> None:
        raise RemoteDenied("no")

    outcome = _transfer.transfer(range(100), refuse, 1)
    tried = {item for item, _ in outcome.failures}
    assert tried | set(outcome.untried) == set(range(100))
    assert outcome.done == 0
    assert len(tried) < 100


@pytest.mark.parametrize("refused", [range(1, 2), range(3, 4), range(5, 6), range(1, 99)])
def test_trees_whose_children_did_not_arrive_are_not_put(
    place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: range
) -> None:
    """Packs so small that each holds a few files or one listing; some are refused."""
    place.write({f"data/{n % 3}/leaf/{n}": str(n) * 50 for n in range(12)})
    place.add("data")
    store = tmp_path / "storage"
    monkeypatch.setattr(_send, "PACK_SIZE", 200)
    real, number = Packs.put, itertools.count()

    def put(self: Packs, pack: Pack) -> None:
        if next(number) in refused:
            raise RemoteDenied("no")
        real(self, pack)

    monkeypatch.setattr(Packs, "put", put)
    with pytest.raises(DvcLikeError, match="push failed"):
        place.push()
    assert len(list((store / "packs").glob("*.zip"))) > 0
    assert dangling(store) == []
    monkeypatch.undo()
    place.push()
    assert set(contents_of(store)) == set(objects_in(place.cache))


@pytest.mark.parametrize("verb", ["add", "commit"])
def test_what_the_user_wrote_into_a_meta_file_survives(place: Place, verb: str) -> None:
    place.write({"data/a": "1"})
    place.add("data")
    own = "# from the first flight\nversion: 1.10  # not 1.1\nlabels: [a,   b]\n"
    with (place / "data.meta").open("a") as file:
        file.write(own)
    place.write({"data/a": "two"})
    getattr(place, verb)("data")
    text = (place / "data.meta").read_text()
    assert text.endswith("files: 1\n" + own)
    assert "size: 3\n" in text
    getattr(place, verb)("data")
    assert (place / "data.meta").read_text() == text
