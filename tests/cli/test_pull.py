"""`pull`: fetch and checkout in one; what can be had is brought, what cannot is named."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from tests.cli.place import Place, key_of, temps_in, unlock
from tests.cli.stores import spoil, take_out, unsound
from tests.conftest import Cli

from dvc_like.errors import DvcLikeError, PartialFailure, UsageError, WouldOverwrite


@pytest.fixture
def pushed(place: Place) -> Place:
    place.write({f"data/{sub}/{n}.txt": f"{sub}{n}" for sub in ("cats", "dogs") for n in range(3)})
    place.write({"data/run": ("file", True, b"r"), "data/link": ("link", False, "run"), "data/hollow": None})
    place.write({"single": "one"})
    place.add("data", "single")
    place.save()
    place.push()
    return place


def test_everything_comes_byte_for_byte(pushed: Place, copy: Place, cli: Cli) -> None:
    done = cli("pull", "--json").json
    assert done["schema"] == "dvc-like/pull/1"
    assert (done["fetched"], len(done["created"]), done["missing"]) == (8, 9, [])
    assert copy.data() == pushed.data()
    assert set(copy.states().values()) == {"unchanged"}
    out = cli("pull").out
    assert "Everything is in the cache." in out
    assert "The workspace is up to date." in out


def test_a_path_inside_brings_only_that_path(copy: Place, cli: Cli) -> None:
    cli("pull", "data/cats/1.txt", "single")
    assert {name for name, node in copy.data().items() if node[0] != "folder"} == {"data/cats/1.txt", "single"}
    cli("pull", "dogs", cwd=copy / "data")
    assert (copy / "data/dogs/2.txt").read_text() == "dogs2"
    assert not (copy / "data/cats/0.txt").exists()
    copy.pull()
    assert (copy / "data/cats/0.txt").read_text() == "cats0"


def test_a_path_inside_that_the_dataset_does_not_have_is_a_usage_error(copy: Place) -> None:
    with pytest.raises(UsageError, match="nope"):
        copy.pull("data/nope")


def test_a_meta_file_names_its_target(copy: Place, cli: Cli) -> None:
    cli("pull", "single.meta")
    assert (copy / "single").read_text() == "one"


def test_unsaved_edits_are_kept_and_force_gives_them_up(copy: Place, cli: Cli) -> None:
    copy.write({"single": "mine", "data/cats/0.txt": "mine"})
    done = cli("pull", code=5)
    assert "single" in done.err
    assert (copy / "single").read_text() == "mine"
    assert not (copy / "data/dogs").exists()
    cli("pull", "--force")
    assert (copy / "single").read_text() == "one"
    assert (copy / "data/cats/0.txt").read_text() == "cats0"


def test_revisions_go_into_the_cache_and_the_workspace_stays_at_its_own(pushed: Place, copy: Place, cli: Cli) -> None:
    pushed.track({"single": "two"})
    pushed.push()
    copy.git("pull", "-q")
    cli("pull", "--rev", "HEAD~1")
    assert (copy / "single").read_text() == "two"
    assert copy.cached("one").exists()


@pytest.mark.parametrize("names", [["data/cats/1.txt"], ["data/cats/1.txt", "data/dogs/0.txt", "single"]])
def test_missing_and_damaged_objects_are_named_and_all_others_come(
    pushed: Place, copy: Place, store: Path, cli: Cli, names: list[str]
) -> None:
    contents = {"data/cats/1.txt": "cats1", "data/dogs/0.txt": "dogs0", "single": "one"}
    for at, name in enumerate(names):
        if at % 2:
            spoil(store, key_of(contents[name]), b"x" * len(contents[name]))
        else:
            take_out(store, key_of(contents[name]))
    done = cli("pull", code=9)
    for name in names:
        assert name in done.err
        assert not (copy / name).exists()
    wanted = {name: node for name, node in pushed.data().items() if name not in names}
    assert copy.data() == wanted
    assert unsound(copy.cache) == []
    assert temps_in(copy.root) == []
    pushed.push()
    cli("pull")
    assert copy.data() == pushed.data()


def test_allow_missing_is_content_with_what_the_remote_has(copy: Place, store: Path, cli: Cli) -> None:
    take_out(store, key_of("cats1"))
    cli("pull", "--allow-missing")
    assert (copy / "data/cats/0.txt").exists()


def test_allow_missing_does_not_excuse_damage(copy: Place, store: Path, cli: Cli) -> None:
    spoil(store, key_of("cats1"), b"xxxxx")
    cli("pull", "--allow-missing", code=(7, 9))
    assert not (copy / "data/cats/1.txt").exists()


def test_an_object_damaged_in_the_cache_is_fetched_again(copy: Place, cli: Cli) -> None:
    copy.fetch()
    unlock(copy.cached("one")).write_text("xxx")
    cli("pull")
    assert (copy / "single").read_text() == "one"
    assert copy.cached("one").read_text() == "one"


def test_an_object_damaged_in_the_cache_and_gone_from_the_remote_is_never_placed(copy: Place, store: Path) -> None:
    copy.fetch()
    unlock(copy.cached("one")).write_text("xxx")
    take_out(store, key_of("one"))
    with pytest.raises(DvcLikeError) as caught:
        copy.pull("single")
    assert not (copy / "single").exists()
    assert "".join((caught.value.message, *caught.value.details)).count("single: ") == 1


def test_one_damaged_meta_file_does_not_keep_the_others_from_coming(copy: Place, cli: Cli) -> None:
    (copy / "single.meta").write_text("")
    assert "single.meta" in cli("pull", code=7).err
    assert (copy / "data/cats/0.txt").read_text() == "cats0"


def test_what_the_new_revision_lacks_goes_away(pushed: Place, copy: Place) -> None:
    copy.pull()
    (pushed / "data/cats/0.txt").unlink()
    pushed.add("data")
    pushed.save()
    pushed.push()
    copy.git("pull", "-q")
    copy.pull()
    assert copy.data("data") == pushed.data("data")


@pytest.mark.parametrize(
    ("size", "told"),
    [
        (2, "single: it has 3 bytes on remote storage, and 2 in what records it"),
        (4, "single: it has 3 bytes on remote storage, and 4 in what records it"),
    ],
)
def test_a_size_that_lies_in_the_meta_file_is_not_blamed_on_the_remote(
    copy: Place, cli: Cli, size: int, told: str
) -> None:
    text = (copy / "single.meta").read_text()
    (copy / "single.meta").write_text(text.replace("size: 3", f"size: {size}"))
    done = cli("pull", "single", code=7)
    assert told in done.err
    assert "A meta file that was written by hand, or merged wrongly, is to be restored" in done.err
    assert not (copy / "single").exists()


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize(("key", "wrong"), [("size", "1"), ("size", "9999"), ("files", "1"), ("files", "9999")])
def test_totals_of_a_folder_that_lie_in_the_meta_file_are_noticed(
    copy: Place, cli: Cli, cached: bool, key: str, wrong: str
) -> None:
    if cached:
        copy.fetch()
    meta = copy / "data.meta"
    meta.write_text(re.sub(f"(?m)^{key}: .*$", f"{key}: {wrong}", meta.read_text()))
    done = cli("pull", code=(7, 9))
    assert "data does not have the size and number of files" in done.err
    assert copy.data() == {"single": ("file", False, b"one")}


def test_a_shallow_clone_a_clone_of_a_clone_and_a_detached_head(pushed: Place, copy: Place, tmp_path: Path) -> None:
    subprocess.run(["git", "clone", "-q", "--depth", "1", f"file://{copy.root}", str(tmp_path / "shallow")], check=True)
    shallow = Place(tmp_path / "shallow")
    shallow.git("checkout", "-q", "--detach")
    shallow.pull()
    assert shallow.data() == pushed.data()


def test_everything_deleted_here_comes_back(pushed: Place, store: Path) -> None:
    before = pushed.data()
    shutil.rmtree(pushed / "data")
    shutil.rmtree(pushed.cache)
    (pushed / "single").unlink()
    pushed.pull()
    assert pushed.data() == before


def test_a_refusal_names_paths_in_json_too(copy: Place, store: Path, cli: Cli) -> None:
    take_out(store, key_of("cats1"))
    found = cli("pull", "--json", code=9).json
    assert found["schema"] == "dvc-like/error/1"
    assert found["error"]["exit_code"] == 9
    assert any("data/cats/1.txt" in line for line in found["error"]["details"])


def test_the_python_error_says_the_same(copy: Place, store: Path) -> None:
    take_out(store, key_of("cats1"))
    with pytest.raises(PartialFailure) as caught:
        copy.pull()
    assert any("data/cats/1.txt" in line for line in caught.value.details)


def test_a_refused_pull_has_fetched_already(copy: Place) -> None:
    copy.write({"single": "mine"})
    with pytest.raises(WouldOverwrite):
        copy.pull()
    assert copy.cached("cats0").exists()
