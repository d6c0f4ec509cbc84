"""`checkout`: the workspace becomes what the meta files say, and nothing of the user's is lost on the way."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable

import pytest
from tests.cli.place import Place, unlock
from tests.conftest import Cli

import dvc_like
from dvc_like.errors import DataMissing, UsageError, WouldOverwrite


@pytest.fixture
def versions(place: Place) -> Place:
    """Two commits: one and two; the workspace is at two."""
    place.write({"data/same": "same", "data/edited": "one", "data/gone/a": "ga", "data/gone/b": "gb", "single": "one"})
    place.add("data", "single")
    place.save("one")
    place.git("tag", "one")
    place.write({"data/edited": "two", "data/new/x": "nx", "single": "two", "later": "l"})
    shutil.rmtree(place / "data/gone")
    place.add("data", "single", "later")
    place.save("two")
    place.git("tag", "two")
    return place


ONE = {
    "data": ("folder", False, b""),
    "data/same": ("file", False, b"same"),
    "data/edited": ("file", False, b"one"),
    "data/gone": ("folder", False, b""),
    "data/gone/a": ("file", False, b"ga"),
    "data/gone/b": ("file", False, b"gb"),
    "single": ("file", False, b"one"),
}


def test_files_are_created_replaced_and_removed(versions: Place, cli: Cli) -> None:
    versions.git("checkout", "-q", "one")
    done = cli("checkout", "--json").json
    assert done == {
        "schema": "dvc-like/checkout/1",
        "created": ["data/gone/a", "data/gone/b"],
        "replaced": ["data/edited", "single"],
        "removed": ["data/new/x", "later"],
        "missing": [],
    }
    assert versions.data() == ONE
    assert set(versions.states().values()) == {"unchanged"}


def test_there_and_back_again(versions: Place, cli: Cli) -> None:
    two = versions.data()
    for _ in range(2):
        versions.git("checkout", "-q", "one")
        out = cli("checkout").out
        assert versions.data() == ONE
        versions.git("checkout", "-q", "two")
        versions.checkout()
        assert versions.data() == two
    assert "2 files created, 2 replaced, 2 removed" in out
    assert "The workspace is up to date." in cli("checkout").out


def test_summary_shows_numbers_only(versions: Place, cli: Cli) -> None:
    versions.git("checkout", "-q", "one")
    out = cli("checkout", "--summary").out
    assert out.strip() == "2 files created, 2 replaced, 2 removed"


def test_only_the_named_target_is_touched(versions: Place) -> None:
    versions.git("checkout", "-q", "one")
    versions.checkout("single")
    assert (versions / "single").read_text() == "one"
    assert (versions / "data/edited").read_text() == "two"
    versions.checkout("data/gone/a")
    assert (versions / "data/gone/a").read_text() == "ga"
    assert not (versions / "data/gone/b").exists()
    assert (versions / "data/edited").read_text() == "two"
    versions.checkout()
    assert versions.data() == ONE


def test_several_paths_inside_one_folder_that_is_not_there(versions: Place) -> None:
    shutil.rmtree(versions / "data")
    versions.checkout("data/edited", "data/new")
    assert set(versions.data("data")) == {"edited", "new", "new/x"}
    with pytest.raises(UsageError, match="nope"):
        versions.checkout("data/same", "data/nope")
    assert (versions / "data/same").read_text() == "same"


def test_a_path_inside_that_the_dataset_does_not_have_is_a_usage_error(versions: Place) -> None:
    with pytest.raises(UsageError, match="nope"):
        versions.checkout("data/nope")


def test_an_untracked_target_is_a_usage_error(versions: Place, cli: Cli) -> None:
    versions.write({"stranger": "x"})
    cli("checkout", "stranger", code=2)


def test_deleted_files_come_back(versions: Place) -> None:
    before = versions.data()
    shutil.rmtree(versions / "data")
    (versions / "single").unlink()
    versions.checkout()
    assert versions.data() == before


# ------------------------------------------------------------------------------ the user's bytes


def test_untracked_files_in_a_dataset_are_left_alone(versions: Place) -> None:
    versions.write({"data/mine": "mine", "data/new/mine": "mine too"})
    versions.git("checkout", "-q", "one")
    versions.checkout()
    assert (versions / "data/mine").read_text() == "mine"
    assert (versions / "data/new/mine").read_text() == "mine too"
    assert not (versions / "data/new/x").exists()
    assert (versions / "data/edited").read_text() == "one"


def test_unsaved_edits_refuse_and_nothing_at_all_is_touched(versions: Place, cli: Cli) -> None:
    versions.git("checkout", "-q", "one")
    versions.write({"data/edited": "unsaved", "single": "unsaved too"})
    before = versions.data()
    done = cli("checkout", code=5)
    assert "data/edited" in done.err
    assert "single" in done.err
    assert "--force" in done.err
    assert versions.data() == before


def test_an_unsaved_edit_of_a_file_that_the_revision_lacks_refuses(versions: Place) -> None:
    versions.git("checkout", "-q", "one")
    versions.write({"data/new/x": "unsaved"})
    before = versions.data()
    try:
        versions.checkout()
    except WouldOverwrite:
        assert versions.data() == before
    assert (versions / "data/new/x").read_text() == "unsaved"


def test_an_unsaved_edit_of_a_target_that_the_revision_lacks_is_kept(versions: Place) -> None:
    versions.write({"later": "unsaved"})
    versions.git("checkout", "-q", "one")
    versions.checkout()
    assert (versions / "later").read_text() == "unsaved"


def test_an_untracked_file_where_a_file_belongs_refuses(versions: Place, clone: Callable[..., Place]) -> None:
    versions.push()
    copy = clone()
    copy.write({"data/same": "mine", "single": "mine"})
    with pytest.raises(WouldOverwrite) as caught:
        copy.pull()
    assert set(caught.value.details) >= {"data/same", "single"}
    assert (copy / "single").read_text() == "mine"


def test_equal_bytes_where_a_file_belongs_are_taken_over(versions: Place, clone: Callable[..., Place]) -> None:
    versions.push()
    copy = clone()
    copy.write({"single": "two"})
    inode = (copy / "single").stat().st_ino
    copy.pull()
    assert (copy / "single").stat().st_ino == inode


def test_an_edit_that_is_in_the_cache_is_replaced(versions: Place) -> None:
    versions.write({"single": "saved"})
    versions.add("single")
    versions.git("checkout", "-q", "--", "single.meta")
    versions.checkout()
    assert (versions / "single").read_text() == "two"


def test_force_gives_unsaved_edits_up(versions: Place, cli: Cli) -> None:
    versions.git("checkout", "-q", "one")
    versions.write({"data/edited": "unsaved", "single": "unsaved", "data/mine": "mine"})
    cli("checkout", "--force")
    (versions / "data/mine").unlink()
    assert versions.data() == ONE


def test_a_changed_bit_is_set_right(versions: Place) -> None:
    versions.write({"tool": ("file", True, b"x")})
    versions.add("tool")
    (versions / "tool").chmod(0o644)
    versions.checkout()
    assert os.access(versions / "tool", os.X_OK)


# ------------------------------------------------------------------------------ kinds


def test_a_file_in_a_dataset_becomes_a_folder_and_back(place: Place) -> None:
    place.track({"data/thing": "file", "data/other": "o"})
    place.git("tag", "file")
    as_file = place.data()
    (place / "data/thing").unlink()
    place.track({"data/thing/deep/a": "a", "data/thing/b": "b"})
    place.git("tag", "folder")
    as_folder = place.data()
    for tag, wanted in (("file", as_file), ("folder", as_folder), ("file", as_file)):
        place.git("checkout", "-q", tag)
        place.checkout()
        assert place.data() == wanted
        assert place.changes() == {}


def test_a_folder_that_becomes_a_file_keeps_unsaved_files_in_it(place: Place) -> None:
    place.track({"data/thing": "file"})
    (place / "data/thing").unlink()
    place.write({"data/thing/a": "a"})
    place.add("data")
    place.git("checkout", "-q", "--", "data.meta")
    place.write({"data/thing/mine": "mine"})
    with pytest.raises(WouldOverwrite):
        place.checkout()
    assert (place / "data/thing/mine").read_text() == "mine"


def test_a_link_becomes_a_file_and_back(place: Place) -> None:
    place.track({"data/a": "a", "data/l": ("link", False, "a")})
    link = place.data()
    (place / "data/l").unlink()
    place.track({"data/l": "a"})
    place.git("checkout", "-q", "HEAD~1")
    place.checkout()
    assert place.data() == link
    place.git("checkout", "-q", "main")
    place.checkout()
    assert place.data()["data/l"] == ("file", False, b"a")


@pytest.mark.parametrize("what", ["file", "link"])
def test_force_deals_with_a_file_or_link_where_a_folder_of_the_dataset_belongs(
    versions: Place, cli: Cli, what: str
) -> None:
    shutil.rmtree(versions / "data/new")
    versions.write({"data/new": "mine" if what == "file" else ("link", False, "/nowhere")})
    assert "data/new" in cli("checkout", code=(5, 7)).err
    assert os.path.lexists(versions / "data/new")
    done = cli("checkout", "--force", code=(0, 5, 7))
    assert ".dvc-like-tmp" not in done.err
    assert done.code or (versions / "data/new/x").read_text() == "nx"


@pytest.mark.parametrize("folder_is_recorded", [True, False])
def test_a_target_of_the_other_kind_is_not_deleted_to_make_room(
    versions: Place, cli: Cli, folder_is_recorded: bool
) -> None:
    if folder_is_recorded:
        shutil.rmtree(versions / "data")
        versions.write({"data": "a file of mine"})
    else:
        (versions / "single").unlink()
        versions.write({"single/mine": "mine"})
    before = versions.data()
    name = "data" if folder_is_recorded else "single"
    assert name in cli("checkout", code=5).err
    assert versions.data() == before


# ------------------------------------------------------------------------------ what is missing


def test_missing_objects_are_named_and_the_others_placed(versions: Place, cli: Cli) -> None:
    shutil.rmtree(versions / "data")
    (versions / "single").unlink()
    versions.cached("two").unlink()  # both data/edited and single
    done = cli("checkout", code=4)
    assert "data/edited" in done.err
    assert "single" in done.err
    assert "dvc-like pull" in done.err
    assert (versions / "data/same").read_text() == "same"
    assert (versions / "later").read_text() == "l"
    assert not (versions / "data/edited").exists()


def test_allow_missing_is_content_with_the_rest(versions: Place, cli: Cli) -> None:
    shutil.rmtree(versions / "data")
    versions.cached("two").unlink()
    done = cli("checkout", "--allow-missing", "--json")
    assert done.json["missing"] == ["data/edited"]
    assert (versions / "data/same").exists()


def test_a_file_whose_new_version_is_missing_keeps_its_old_bytes(versions: Place) -> None:
    versions.git("checkout", "-q", "one")
    versions.cached("one").unlink()
    with pytest.raises(DataMissing):
        versions.checkout()
    assert (versions / "single").read_text() == "two"


def test_a_missing_listing_fails_that_target_alone(versions: Place, cli: Cli) -> None:
    versions.git("checkout", "-q", "one")
    for path in versions.cache.rglob("*.tree"):
        path.unlink()
    assert "data" in cli("checkout", code=4).err
    assert (versions / "single").read_text() == "one"


@pytest.mark.parametrize("damage", ["flipped", "truncated", "emptied"])
def test_a_damaged_object_is_set_aside_and_never_placed(versions: Place, cli: Cli, damage: str) -> None:
    (versions / "single").unlink()
    rotten = unlock(versions.cached("two"))
    rotten.write_bytes({"flipped": b"tw\xef", "truncated": b"tw", "emptied": b""}[damage])
    rotten.chmod(0o444)
    assert "single" in cli("checkout", code=4).err
    assert not (versions / "single").exists()
    assert not rotten.exists()
    assert len(list((versions.cache / "bad").iterdir())) == 1


# ------------------------------------------------------------------------------ links


@pytest.mark.parametrize("kind", ["hardlink", "symlink", "copy"])
def test_relink_applies_another_kind_and_back(versions: Place, cli: Cli, kind: str) -> None:
    before = {name: node[2] for name, node in versions.data().items() if node[0] == "file"}
    cli("config", "--local", "cache.type", kind)
    cli("checkout", "--relink")
    shared = {name: (versions / name).samefile(versions.cached(data)) for name, data in before.items()}  # type: ignore[arg-type]
    assert set(shared.values()) == {kind != "copy"}
    assert {(versions / name).is_symlink() for name in before} == {kind == "symlink"}
    assert {name: (versions / name).read_bytes() for name in before} == before
    assert set(versions.states().values()) == {"unchanged"}
    cli("config", "--local", "cache.type", "copy")
    cli("checkout", "--relink")
    assert not any((versions / name).samefile(versions.cached(data)) for name, data in before.items())  # type: ignore[arg-type]
    assert {name: (versions / name).read_bytes() for name in before} == before
    assert set(versions.states().values()) == {"unchanged"}


@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
def test_versions_change_with_links_and_the_cache_stays_sound(versions: Place, cli: Cli, kind: str) -> None:
    two = versions.data()
    versions.config("local", cache_type=kind)
    versions.checkout(relink=True)
    versions.git("checkout", "-q", "one")
    versions.checkout()
    found = {name: (versions / name).read_bytes() for name, node in ONE.items() if node[0] == "file"}
    assert found == {name: node[2] for name, node in ONE.items() if node[0] == "file"}
    versions.git("checkout", "-q", "two")
    versions.checkout()
    assert set(two) == set(versions.data())
    cli("fsck", "--read-data")


def test_relink_keeps_unsaved_edits(versions: Place) -> None:
    versions.write({"single": "unsaved", "data/edited": "unsaved"})
    with pytest.raises(WouldOverwrite):
        versions.checkout(relink=True)
    assert (versions / "single").read_text() == "unsaved"


def test_executable_files_are_never_shared(place: Place) -> None:
    place.config(cache_type="hardlink")
    place.write({"data/run": ("file", True, b"x"), "data/plain": "x"})
    place.add("data")
    shutil.rmtree(place / "data")
    place.checkout()
    assert os.access(place / "data/run", os.X_OK)
    assert not (place / "data/run").samefile(place.cached("x"))
    assert (place / "data/plain").samefile(place.cached("x"))


# ------------------------------------------------------------------------------ places


def test_works_in_a_detached_head_and_a_subfolder(versions: Place, cli: Cli) -> None:
    versions.git("checkout", "-q", "--detach", "one")
    cli("checkout", cwd=versions / "data")
    assert versions.data() == ONE


def test_a_target_whose_parent_folder_is_gone_is_created_with_it(place: Place) -> None:
    place.write({"deep/er/x": "1"})
    place.add("deep/er/x")
    shutil.copy(place / "deep/er/x.meta", place / "kept")
    shutil.rmtree(place / "deep")
    (place / "deep/er").mkdir(parents=True)
    shutil.move(place / "kept", place / "deep/er/x.meta")
    place.checkout()
    assert (place / "deep/er/x").read_text() == "1"


# ------------------------------------------------------------------------------ what Git must not add


@pytest.mark.parametrize("verb", ["checkout", "pull"])
def test_a_meta_file_that_came_alone_gets_its_line(place: Place, verb: str) -> None:
    """`git checkout REV -- x.meta` brings no `.gitignore` along, and the next `git add .` would add the data."""
    place.write({"sub/x": "x", "sub/folder/a": "a"})
    place.add("sub/x", "sub/folder")
    first = place.save()
    place.push()
    dvc_like.remove(place.project, [str(place / "sub/x"), str(place / "sub/folder")], outs=True)
    place.save()
    assert not (place / "sub/.gitignore").exists()
    place.git("checkout", first, "--", "sub/x.meta", "sub/folder.meta")
    getattr(place, verb)()
    assert (place / "sub/x").read_text() == "x"
    place.git("add", ".")
    assert place.git("diff", "--cached", "--name-only").split() == ["sub/.gitignore", "sub/folder.meta", "sub/x.meta"]
    dvc_like.undo(place.project)
    assert not (place / "sub/.gitignore").exists()


def test_where_git_ignores_it_anyway_nothing_is_written(place: Place) -> None:
    place.track({"x.bin": "x", "data/a": "a"})
    (place / ".gitignore").write_text("*.bin\n/data/\n")
    place.save()
    (place / "x.bin").unlink()
    place.checkout()
    assert (place / ".gitignore").read_text() == "*.bin\n/data/\n"
    assert place.git("status", "--porcelain") == ""


def test_a_gitignore_that_is_a_link_stays(place: Place) -> None:
    place.track({"x": "x"})
    (place / ".gitignore").rename(place / "rules")
    (place / ".gitignore").symlink_to("rules")
    (place / "x").unlink()
    place.checkout()
    assert (place / "x").read_text() == "x"
    assert (place / ".gitignore").is_symlink()
