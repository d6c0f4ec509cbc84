"""`fetch`: from the remote into the cache, verified; the workspace is not touched."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.cli.place import Place, key_of, objects_in, unlock
from tests.cli.stores import contents_of, spoil, unsound
from tests.conftest import Cli

from dvc_like.errors import CorruptData, UsageError


@pytest.fixture
def pushed(place: Place) -> Place:
    place.write({f"data/{sub}/{n}.txt": f"{sub}{n}" for sub in ("cats", "dogs") for n in range(3)})
    place.write({"single": "one"})
    place.add("data", "single")
    place.save()
    place.track({"single": "two"})
    place.push(all_commits=True)
    return place


def test_the_cache_is_filled_and_the_workspace_left_alone(copy: Place, cli: Cli) -> None:
    before = copy.data()
    done = cli("fetch", "--json").json
    assert done == {"schema": "dvc-like/fetch/1", "fetched": 7, "size": 33, "present": 0}
    assert copy.data() == before
    copy.checkout()
    assert copy.data()["data/dogs/2.txt"][2] == b"dogs2"
    again = cli("fetch", "--json").json
    assert (again["fetched"], again["present"]) == (0, 7)
    assert "Everything is in the cache." in cli("fetch").out


def test_a_target_and_a_path_inside(copy: Place, cli: Cli) -> None:
    cli("fetch", "single", "data/cats/1.txt")
    files = {key for key in objects_in(copy.cache) if not key.endswith(".tree")}
    assert files == {key_of("two"), key_of("cats1")}


def test_a_path_inside_that_the_dataset_does_not_have_is_a_usage_error(copy: Place) -> None:
    with pytest.raises(UsageError, match="nope"):
        copy.fetch("data/nope")


@pytest.mark.parametrize("words", [["-a"], ["-T"], ["-A"], ["--rev", "HEAD~1"]])
def test_other_revisions(copy: Place, cli: Cli, words: list[str]) -> None:
    copy.git("tag", "old", "HEAD~1")
    cli("fetch", *words)
    there = {name for name in ("one", "two") if key_of(name) in objects_in(copy.cache)}
    assert there == ({"two"} if words == ["-a"] else {"one", "two"})


def test_a_target_that_only_another_revision_has(copy: Place, cli: Cli) -> None:
    copy.git("rm", "-q", "single.meta")
    copy.save()
    cli("fetch", "single", "--rev", "HEAD~1")
    assert key_of("two") in objects_in(copy.cache)


def test_jobs_and_remote(copy: Place, cli: Cli) -> None:
    cli("fetch", "-j", "1", "-r", "storage")
    assert unsound(copy.cache) == []
    assert "nowhere" in cli("fetch", "-r", "nowhere", code=3).err


def test_an_empty_remote_names_what_is_not_there(copy: Place, tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "empty").mkdir()
    copy.use_store(tmp_path / "empty")
    done = cli("fetch", code=4)
    assert "data" in done.err
    assert "single" in done.err


def test_a_remote_that_is_not_mounted_is_unreachable_not_empty(copy: Place, tmp_path: Path, cli: Cli) -> None:
    copy.use_store(tmp_path / "not" / "mounted")
    assert "remote storage" in cli("fetch", code=6).err


def test_a_remote_folder_that_nobody_ever_made_is_told(copy: Place, tmp_path: Path, cli: Cli) -> None:
    copy.use_store(tmp_path / "never")
    cli("fetch", code=(4, 6))
    assert not (tmp_path / "never").exists()


def test_a_damaged_listing_on_the_remote_is_refused(copy: Place, store: Path) -> None:
    for key in contents_of(store):
        if key.endswith(".tree"):
            spoil(store, key)
    with pytest.raises(CorruptData, match="data"):
        copy.fetch("data")
    assert not any(key.endswith(".tree") for key in objects_in(copy.cache))


def test_a_newer_or_damaged_store_is_refused(copy: Place, store: Path, cli: Cli) -> None:
    (unlock(store / "dvc-like.json")).write_text('{"format": 99, "store": "a"}')
    assert "Upgrade" in cli("fetch", code=7).err
    (store / "dvc-like.json").write_text("{")
    cli("fetch", code=7)


def test_nothing_is_opened_when_nothing_is_missing(copy: Place, store: Path) -> None:
    copy.fetch()
    store.rename(store.with_name("gone"))
    copy.fetch()
