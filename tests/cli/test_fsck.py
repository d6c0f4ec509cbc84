"""`fsck`: damage and loss are found, named by path, and mended from the workspace or the remote."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.place import Place, key_of, objects_in, past_the_tick, unlock
from tests.cli.stores import take_out, unsound
from tests.conftest import Cli

import dvc_like
from dvc_like.errors import CorruptData


@pytest.fixture
def full(place: Place) -> Place:
    place.track({"data/a": "aaa", "data/sub/b": "bbb", "single": "sss"})
    return place


def rot(place: Place, content: str) -> None:
    stored = unlock(place.cached(content))
    stored.write_text("x" * len(content))
    stored.chmod(0o444)


def rot_unseen(place: Place, content: str) -> None:
    """Damage an object as a disk would: no stat changes. What was recorded of it is made to fit."""
    from tests.cli.place import digest_of

    from dvc_like.digest import Digest
    from dvc_like.fsutil import signature
    from dvc_like.ops._session import open_session

    rot(place, content)
    with open_session(place.project) as session:
        digest = Digest(digest_of(content))
        record = session.cache.trust.get(digest)
        assert record is not None
        session.cache.trust.set(digest, signature(os.lstat(place.cached(content))), record[1])


def test_a_sound_cache(full: Place, cli: Cli) -> None:
    assert "The cache is sound: 5 objects" in cli("fsck").out
    found = cli("fsck", "--read-data", "--json").json
    assert {key: found[key] for key in ("schema", "objects", "damaged", "missing", "repaired")} == {
        "schema": "dvc-like/fsck/1",
        "objects": 5,
        "damaged": [],
        "missing": [],
        "repaired": 0,
    }


def test_an_empty_project_is_sound(place: Place, cli: Cli) -> None:
    cli("fsck")
    cli("fsck", "--repair")


def test_damage_is_found_named_and_set_aside(full: Place, cli: Cli) -> None:
    rot(full, "bbb")
    done = cli("fsck", code=7)
    assert "damaged: data/sub/b" in done.err
    assert "--repair" in done.err
    assert unsound(full.cache) == []
    assert [path.read_text() for path in (full.cache / "bad").iterdir()] == ["xxx"]
    assert "missing: data/sub/b" in cli("fsck", code=7).err


def test_loss_is_found_and_named(full: Place, cli: Cli) -> None:
    full.cached("sss").unlink()
    assert "missing: single" in cli("fsck", code=7).err
    found = cli("fsck", "--json", code=7).json
    assert found["schema"] == "dvc-like/error/1"
    assert found["error"]["details"] == ["missing: single"]


def test_a_lost_listing_is_found_and_named(full: Place, cli: Cli) -> None:
    for key, path in objects_in(full.cache).items():
        if key.endswith(".tree"):
            path.unlink()
    assert "missing: data/" in cli("fsck", code=7).err


def test_damage_that_no_stat_shows_is_found_by_reading(full: Place, cli: Cli) -> None:
    rot_unseen(full, "sss")
    cli("fsck")
    assert "damaged: single" in cli("fsck", "--read-data", code=7).err


def test_a_share_of_the_data_may_be_read(full: Place, cli: Cli) -> None:
    rot_unseen(full, "sss")
    cli("fsck", "--read-data=0")
    cli("fsck", "--read-data=100", code=7)
    cli("fsck", "--read-data=101", code=2)
    cli("fsck", "--read-data=-1", code=2)


def test_mode_bits_prove_nothing(full: Place) -> None:
    stored = full.cached("sss")
    os.chmod(stored, 0o644)
    dvc_like.fsck(full.project)
    os.chmod(stored, 0o444)
    dvc_like.fsck(full.project)


def test_repair_from_the_workspace(full: Place, cli: Cli) -> None:
    rot(full, "bbb")
    full.cached("sss").unlink()
    found = cli("fsck", "--repair", "--json").json
    assert found["damaged"] == ["data/sub/b"]
    assert found["missing"] == ["single"]
    assert found["repaired"] == 2
    assert full.cached("bbb").read_text() == "bbb"
    assert full.cached("sss").read_text() == "sss"
    cli("fsck", "--read-data")


def test_repair_from_the_remote(full: Place, cli: Cli) -> None:
    full.push()
    shutil.rmtree(full / "data")
    (full / "single").unlink()
    shutil.rmtree(full.cache / "files")
    assert "repaired" in cli("fsck", "--repair").out
    assert len(objects_in(full.cache)) == 5
    full.checkout()
    assert (full / "data/sub/b").read_text() == "bbb"


def test_repair_from_a_named_remote(full: Place, cli: Cli, tmp_path: object) -> None:
    cli("remote", "add", "backup", "../backup")
    cli("push", "-r", "backup")
    (full / "single").unlink()
    full.cached("sss").unlink()
    cli("fsck", "--repair", code=7)
    cli("fsck", "--repair", "-r", "backup")


def test_what_cannot_be_repaired_is_told_and_the_rest_is_mended(full: Place, cli: Cli) -> None:
    rot(full, "bbb")
    (full / "single").write_text("edited")
    full.cached("sss").unlink()
    done = cli("fsck", "--repair", code=7)
    assert "missing: single" in done.err
    assert full.cached("bbb").read_text() == "bbb"


def test_an_edited_file_of_the_same_size_is_not_taken_for_the_lost_one(full: Place) -> None:
    (full / "single").write_text("SSS")
    full.cached("sss").unlink()
    with pytest.raises(CorruptData):
        dvc_like.fsck(full.project, repair=True)
    assert not full.cached("sss").exists()


def test_damage_nobody_needs_any_more_is_set_aside(full: Place, cli: Cli) -> None:
    full.write({"single": "new"})
    full.add("single")
    rot(full, "sss")
    cli("fsck", code=7)
    cli("fsck")


def test_damage_that_nothing_can_mend_is_told_once(full: Place, cli: Cli) -> None:
    full.write({"single": "new"})
    full.add("single")
    rot(full, "sss")
    cli("fsck", "--repair", code=7)
    cli("fsck")


def test_a_damaged_meta_file_is_told(full: Place, cli: Cli) -> None:
    (full / "single.meta").write_text("")
    assert "single.meta" in cli("fsck", code=7).err


def test_links_in_place_of_objects_are_not_followed(full: Place, cli: Cli) -> None:
    stored = full.cached("sss")
    elsewhere = full.root.parent / "elsewhere"
    stored.rename(elsewhere)
    stored.symlink_to(elsewhere)
    cli("fsck", code=7)
    past_the_tick(elsewhere)
    assert elsewhere.read_text() == "sss"


# ------------------------------------------------------------------------------ a clone that has only a part


@pytest.fixture
def part(full: Place, clone: Callable[..., Place], monkeypatch: pytest.MonkeyPatch) -> Place:
    """A clone that pulled one file of a folder, and nothing else."""
    full.push()
    copy = clone("part")
    monkeypatch.chdir(copy.root)
    copy.pull("data/sub")
    return copy


def test_what_was_never_fetched_is_no_damage(part: Place, cli: Cli) -> None:
    done = cli("fsck")
    assert "2 files not fetched" in done.out
    found = cli("fsck", "--json").json
    assert (found["objects"], found["missing"], found["not_fetched"]) == (3, [], 2)


def test_a_clone_that_has_nothing_is_sound(full: Place, clone: Callable[..., Place], cli: Cli) -> None:
    full.push()
    empty = clone()
    assert cli("fsck", "--json", cwd=empty.root).json["not_fetched"] == 3
    assert cli("fsck", "--repair", "--json", cwd=empty.root).json["repaired"] == 0
    assert objects_in(empty.cache) == {}


def test_what_was_checked_out_and_then_lost_is_missing(part: Place, cli: Cli) -> None:
    part.cached("bbb").unlink()
    found = cli("fsck", "--json", code=7).json
    assert found["error"]["details"] == ["missing: data/sub/b"]


@pytest.mark.parametrize("also_here", [True, False])
def test_a_repair_brings_back_what_was_here_and_no_more(part: Place, cli: Cli, also_here: bool) -> None:
    shutil.rmtree(part.cache / "files")
    if not also_here:
        shutil.rmtree(part / "data")
    found = cli("fsck", "--repair", "--json").json
    assert found["missing"] == ["data/"]
    assert found["not_fetched"] == 2
    assert len(objects_in(part.cache)) == 3
    assert part.cached("bbb").read_text() == "bbb"


def test_what_stays_lost_below_a_listing_that_came_back_is_named(part: Place, store: Path, cli: Cli) -> None:
    shutil.rmtree(part.cache / "files")
    shutil.rmtree(part / "data")
    take_out(store, key_of("bbb"))
    done = cli("fsck", "--repair", "--json", code=7).json
    assert done["error"]["details"] == ["missing: data/sub/b"]


def test_a_damaged_object_that_was_only_fetched_is_repaired(part: Place, cli: Cli) -> None:
    part.fetch("single")
    rot(part, "sss")
    found = cli("fsck", "--repair", "--json").json
    assert (found["damaged"], found["repaired"], found["not_fetched"]) == (["single"], 1, 1)
    assert part.cached("sss").read_text() == "sss"


def test_another_revision_that_was_not_fetched_yet_is_no_damage(full: Place, part: Place, cli: Cli) -> None:
    full.track({"data/sub/b": "newer"})
    full.push()
    part.git("pull", "-q")
    assert cli("fsck", "--json").json["not_fetched"] == 3
