"""`status`: every state there is, and that it says the same whatever became of its memory."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable

import pytest
from tests.cli.place import Place, past_the_tick
from tests.conftest import Cli

import dvc_like
from dvc_like.errors import UsageError


@pytest.fixture
def tracked(place: Place) -> Place:
    place.write({f"data/{sub}/{n}": f"{sub}{n}" for sub in "ab" for n in range(3)})
    place.write({"data/run": ("file", True, b"x"), "data/link": ("link", False, "a/0"), "data/hollow": None})
    place.write({"single": "s"})
    place.add("data", "single")
    place.save()
    return place


def test_nothing_tracked_says_how_to_begin(place: Place, cli: Cli) -> None:
    done = cli("status")
    assert "dvc-like add" in done.out
    assert cli("status", "--json").json == {"schema": "dvc-like/status/1", "targets": []}


def test_unchanged(tracked: Place, cli: Cli) -> None:
    assert "Everything is as recorded (2 targets)" in cli("status").out
    cli("status", "--exit-code")
    found = cli("status", "--json").json["targets"]
    assert [(one["path"], one["state"], one["cached"], one["changes"]) for one in found] == [
        ("data", "unchanged", True, []),
        ("single", "unchanged", True, []),
    ]


def test_every_kind_of_change_in_a_folder(tracked: Place, cli: Cli) -> None:
    tracked.write({"data/a/0": "A0", "data/new": "n", "data/fresh/deep/er": "f"})
    (tracked / "data/a/1").unlink()
    shutil.rmtree(tracked / "data/b")
    (tracked / "data/run").chmod(0o644)
    (tracked / "data/link").unlink()
    (tracked / "data/link").symlink_to("a/2")
    (tracked / "data/hollow").rmdir()
    (tracked / "data/void").mkdir()
    assert tracked.changes() == {
        "data/a/0": "modified",
        "data/a/1": "deleted",
        "data/b": "deleted",
        "data/run": "modified",
        "data/link": "modified",
        "data/hollow": "deleted",
        "data/new": "added",
        "data/fresh/deep/er": "added",
        "data/void": "added",
    }
    out = cli("status").out
    assert "modified  data/a/0" in out
    assert "deleted   data/b  (3 files)" in out
    assert "added     data/new" in out


def test_exit_code_is_10_only_when_asked_for(tracked: Place, cli: Cli) -> None:
    tracked.write({"single": "changed"})
    assert "modified  single" in cli("status").out
    assert "1 target differ" in cli("status", "--exit-code", code=10).err


def test_exit_code_with_json_prints_one_document(tracked: Place, cli: Cli) -> None:
    tracked.write({"single": "changed"})
    done = cli("status", "--exit-code", "--json", code=10)
    assert len(done.out.strip().splitlines()) == 1
    assert json.loads(done.out)["schema"] == "dvc-like/status/1"


def test_modified_and_deleted_single_files(tracked: Place) -> None:
    tracked.write({"single": "other"})
    assert tracked.states("single") == {"single": "changed"}
    assert tracked.changes("single") == {"single": "modified"}
    (tracked / "single").unlink()
    assert tracked.states("single") == {"single": "deleted"}


def test_a_folder_deleted_whole(tracked: Place, cli: Cli) -> None:
    shutil.rmtree(tracked / "data")
    assert tracked.states("data") == {"data": "deleted"}
    assert "deleted   data/" in cli("status").out


def test_a_file_written_back_with_the_same_size_and_time_is_seen(tracked: Place) -> None:
    past_the_tick(tracked / "single")
    tracked.states()
    before = (tracked / "single").stat()
    (tracked / "single").write_text("t")
    os.utime(tracked / "single", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert tracked.states("single") == {"single": "changed"}


def test_a_quick_change_of_the_same_size_right_after_add_is_seen(place: Place) -> None:
    for content in ("aaaa", "bbbb", "cccc", "dddd"):
        place.write({"x": content, "d/y": content})
        place.add("x", "d")
        place.write({"x": content.upper(), "d/y": content.upper()})
        assert place.states() == {"d": "changed", "x": "changed"}


def test_verbose_lists_what_is_unchanged_as_hints_promise(tracked: Place, cli: Cli) -> None:
    hint = cli("status", "nope", cwd=tracked.root, code=2).err
    assert "`dvc-like status -v` lists what is tracked" in hint
    lines = cli("status", "-v", cwd=tracked.root).out.splitlines()
    assert lines == ["unchanged data/", "unchanged single", "Everything is as recorded (2 targets)."]


def test_touched_and_rewritten_files_are_unchanged(tracked: Place) -> None:
    os.utime(tracked / "single", (1, 1))
    data = (tracked / "data/a/0").read_bytes()
    (tracked / "data/a/0").unlink()
    (tracked / "data/a/0").write_bytes(data)
    assert set(tracked.states().values()) == {"unchanged"}


def test_a_target_of_another_kind_is_changed(tracked: Place) -> None:
    (tracked / "single").unlink()
    tracked.write({"single/inner": "x"})
    assert tracked.states("single")["single"] != "unchanged"
    shutil.rmtree(tracked / "data")
    tracked.write({"data": "a file now"})
    assert tracked.states("data")["data"] != "unchanged"


# ------------------------------------------------------------------------------ paths


def test_a_path_inside_narrows_it(tracked: Place, cli: Cli) -> None:
    tracked.write({"data/a/0": "A0", "data/b/0": "B0"})
    assert tracked.changes("data/a") == {"data/a/0": "modified"}
    assert tracked.changes("data/b/0") == {"data/b/0": "modified"}


def test_a_folder_above_and_a_meta_file_name_targets_too(place: Place) -> None:
    place.write({"sub/x": "1", "sub/deep/y": "2", "z": "3"})
    place.add("sub/x", "sub/deep/y", "z")
    assert place.states("sub") == {"sub/x": "unchanged", "sub/deep/y": "unchanged"}
    assert place.states("z.meta") == {"z": "unchanged"}


def test_an_untracked_path_is_a_usage_error(tracked: Place, cli: Cli) -> None:
    tracked.write({"stranger": "x"})
    cli("status", "stranger", code=2)
    with pytest.raises(UsageError):
        tracked.states("never/was")


def test_a_path_inside_that_the_dataset_does_not_have_is_a_usage_error(tracked: Place) -> None:
    with pytest.raises(UsageError, match="nope"):
        tracked.states("data/nope")


# ------------------------------------------------------------------------------ revisions and clones


def test_after_git_checkout_of_another_revision_the_difference_is_shown(tracked: Place) -> None:
    tracked.write({"data/a/0": "version two", "data/more": "m"})
    tracked.add("data")
    tracked.save("two")
    tracked.git("checkout", "-q", "HEAD~1")
    assert tracked.changes() == {"data/a/0": "modified", "data/more": "added"}
    tracked.checkout()
    assert tracked.changes() == {}
    tracked.git("checkout", "-q", "main")
    assert tracked.changes() == {"data/a/0": "modified", "data/more": "absent"}


def test_a_fresh_clone_has_everything_absent_and_not_cached(
    tracked: Place, clone: Callable[..., Place], cli: Cli
) -> None:
    tracked.push()
    copy = clone()
    assert copy.states() == {"data": "absent", "single": "absent"}
    done = cli("status", cwd=copy.root)
    assert "not in the cache" in done.out
    assert "dvc-like pull" in done.out


def test_a_partial_clone_is_partial_and_edits_in_it_are_seen(
    tracked: Place, clone: Callable[..., Place], cli: Cli
) -> None:
    tracked.push()
    copy = clone()
    copy.pull("data/a")
    assert copy.states() == {"data": "partial", "single": "absent"}
    assert "5 of 8 files not checked out" in cli("status", cwd=copy.root).out
    assert "absent    data/b" in cli("status", "-v", cwd=copy.root).out
    copy.write({"data/a/0": "edit"})
    assert copy.changes("data")["data/a/0"] == "modified"
    assert copy.changes("data/a") == {"data/a/0": "modified"}
    assert copy.changes("data")["data/b"] == "absent"


@pytest.mark.parametrize("state", ["index.sqlite", "cache.sqlite", "remotes.sqlite", "*"])
@pytest.mark.parametrize("damage", ["deleted", "garbage", "empty"])
def test_lost_or_damaged_state_changes_no_answer(tracked: Place, state: str, damage: str) -> None:
    tracked.write({"data/a/0": "A0", "data/new": "n"})
    (tracked / "data/a/1").unlink()
    before = tracked.changes()
    before["data/a/1"] = "absent"  # without the index nobody knows that it was ever here
    for path in (tracked / ".dvc-like/tmp").glob(state):
        if path.suffix == ".sqlite":
            path.unlink()
            if damage != "deleted":
                path.write_bytes(b"\x00garbage" * 1000 if damage == "garbage" else b"")
    after = tracked.changes()
    if state not in ("index.sqlite", "*"):
        before["data/a/1"] = "deleted"
    assert after == before
    assert tracked.changes() == before


def test_without_the_index_a_clean_workspace_is_unchanged_and_stays_so(tracked: Place) -> None:
    (tracked / ".dvc-like/tmp/index.sqlite").unlink()
    for _ in range(3):
        assert tracked.states() == {"data": "unchanged", "single": "unchanged"}
    assert [one.state for one in tracked.add("data", "single")] == ["unchanged", "unchanged"]


def test_an_emptied_cache_is_told_and_changes_are_still_seen(tracked: Place, cli: Cli) -> None:
    shutil.rmtree(tracked.cache)
    tracked.write({"data/a/0": "A0"})
    done = cli("status")
    assert "not in the cache" in done.out
    assert tracked.changes()["data/a/0"] == "modified"


def test_neither_index_nor_listing_is_a_problem_that_is_named(tracked: Place, cli: Cli) -> None:
    shutil.rmtree(tracked.cache)
    (tracked / ".dvc-like/tmp/index.sqlite").unlink()
    done = cli("status", code=4)
    assert "data" in done.err
    found = cli("status", "--json", code=4)
    assert len(found.out.strip().splitlines()) == 1


def test_a_folder_that_was_checked_out_and_deleted_stays_deleted_for_all_readers(tracked: Place) -> None:
    (tracked / "data/a/0").unlink()
    for _ in range(3):
        assert tracked.changes() == {"data/a/0": "deleted"}


def test_status_works_where_nothing_can_be_written(tracked: Place, unprivileged: Cli) -> None:
    tracked.states()
    tracked.write({"single": "changed"})
    for folder in [tracked.root, *(path for path in tracked.root.rglob("*") if path.is_dir())]:
        folder.chmod(0o555)
    try:
        done = unprivileged("status", "--json")
    finally:
        for folder in [tracked.root, *(path for path in tracked.root.rglob("*") if path.is_dir())]:
            folder.chmod(0o755)
    assert {one["path"]: one["state"] for one in done.json["targets"]} == {"data": "unchanged", "single": "changed"}


def test_status_of_a_fresh_clone_works_where_nothing_can_be_written(
    tracked: Place, clone: Callable[..., Place], unprivileged: Cli
) -> None:
    copy = clone()
    (copy / ".dvc-like").chmod(0o555)
    try:
        done = unprivileged("status", "--json", cwd=copy.root)
    finally:
        (copy / ".dvc-like").chmod(0o755)
    assert {one["state"] for one in done.json["targets"]} == {"absent"}


# ------------------------------------------------------------------------------ meta files


@pytest.mark.parametrize("damage", ["", "hash: nonsense\nsize: 1\n", "<<<<<<< HEAD\nhash: x\n=======\n>>>>>>> b\n"])
def test_a_damaged_meta_file_is_named_and_the_others_are_shown(tracked: Place, cli: Cli, damage: str) -> None:
    (tracked / "single.meta").write_text(damage)
    tracked.write({"data/a/0": "A0"})
    done = cli("status", code=7)
    assert "single.meta" in done.err
    assert "modified  data/a/0" in done.out


def test_meta_files_of_other_programs_are_ignored(tracked: Place, cli: Cli) -> None:
    tracked.write(
        {
            "Assets/Ship.prefab.meta": "fileFormatVersion: 2\nguid: 0123456789abcdef\nNativeFormatImporter:\n  a: 1\n",
            "Assets/Ship.prefab": "x",
            "model.ckpt.meta": b"\x0a\x8e\x04\x0a\x03Add\x12" + bytes(range(256)) * 50,
            "huge.meta": b"hash: x\n" + b"0" * (2 << 20),
            ".meta": "hash: x\n",
        }
    )
    assert set(tracked.states()) == {"data", "single"}
    cli("checkout")
    cli("gc", "--workspace", "--dry-run")


def test_a_project_or_repository_inside_is_not_looked_into(tracked: Place) -> None:
    tracked.write(
        {"inner/.dvc-like/config": "", "inner/x.meta": "hash: broken\n", "other/.git/HEAD": "", "other/y.meta": ""}
    )
    assert set(tracked.states()) == {"data", "single"}


# ------------------------------------------------------------------------------ what happened, and what comes next


def details(place: Place, *names: str) -> dict[str, tuple[str, int, str | None]]:
    """Return every change: its state, how many files, and what it was before."""
    found = dvc_like.status(place.project, place._paths(names))
    return {change.path: (change.state, change.files, change.source) for one in found for change in one.changes}


def test_a_renamed_file_is_found_by_its_bytes(tracked: Place, cli: Cli) -> None:
    (tracked / "data/a/0").rename(tracked / "data/b/moved")
    tracked.write({"data/a/9": "zz"})  # as long as what is gone, and something else
    assert details(tracked) == {
        "data/b/moved": ("renamed", 1, "data/a/0"),
        "data/a/9": ("added", 1, None),
    }
    done = cli("status")
    assert "renamed   data/a/0 -> data/b/moved" in done.out
    assert "deleted" not in done.out
    tracked.add("data")
    assert details(tracked) == {}


def test_a_renamed_folder_leaves_only_what_is_really_gone(tracked: Place) -> None:
    (tracked / "data/b").rename(tracked / "data/c")
    (tracked / "data/c/1").unlink()
    assert details(tracked) == {
        "data/b": ("deleted", 1, None),
        "data/c/0": ("renamed", 1, "data/b/0"),
        "data/c/2": ("renamed", 1, "data/b/2"),
    }
    assert tracked.states("data") == {"data": "changed"}


def test_a_copy_is_added_and_each_gone_file_is_found_once(tracked: Place) -> None:
    shutil.copy(tracked / "data/a/0", tracked / "data/copy")
    assert details(tracked) == {"data/copy": ("added", 1, None)}
    (tracked / "data/a/0").rename(tracked / "data/other")
    assert sorted(state for state, _, _ in details(tracked).values()) == ["added", "renamed"]


def test_a_file_that_was_made_executable_on_the_way_is_not_the_same(tracked: Place) -> None:
    (tracked / "data/a/0").rename(tracked / "data/run2")
    (tracked / "data/run2").chmod(0o755)
    assert details(tracked) == {"data/a/0": ("deleted", 1, None), "data/run2": ("added", 1, None)}


def test_another_kind_of_thing_is_told_from_another_content(tracked: Place, cli: Cli) -> None:
    (tracked / "data/a/0").unlink()
    (tracked / "data/a/0").symlink_to("1")
    (tracked / "data/link").unlink()
    tracked.write({"data/link": "a file"})
    (tracked / "data/run").unlink()
    tracked.write({"data/run/inner": "a folder"})
    shutil.rmtree(tracked / "data/b")
    tracked.write({"data/b": "a file"})
    (tracked / "single").unlink()
    (tracked / "single").mkdir()
    assert details(tracked) == {
        "data/a/0": ("retyped", 1, None),
        "data/link": ("retyped", 1, None),
        "data/run": ("retyped", 1, None),
        "data/run/inner": ("added", 1, None),
        "data/b": ("retyped", 3, None),
        "single": ("retyped", 1, None),
    }
    assert "retyped   data/b  (3 files)" in cli("status").out
    shutil.rmtree(tracked / "data")
    tracked.write({"data": "a file"})
    assert details(tracked, "data") == {"data": ("retyped", 8, None)}
    assert tracked.states("data") == {"data": "changed"}


def test_a_link_into_the_cache_is_the_file_that_it_stands_for(place: Place) -> None:
    place.config("local", cache_type="symlink")
    place.track({"data/x": "one", "data/y": "other"})
    assert (place / "data/x").is_symlink()
    assert details(place) == {}
    (place / "data/x").unlink()
    (place / "data/x").symlink_to(place.cached("other"))
    assert details(place) == {"data/x": ("modified", 1, None)}


def test_what_the_cache_lacks_of_a_change_is_told(tracked: Place, cli: Cli) -> None:
    tracked.write({"data/a/0": "A0", "data/a/1": "A1"})
    shutil.rmtree(tracked / "data/b")
    tracked.cached("a0").unlink()
    tracked.cached("b2").unlink()
    found = cli("status", "data", "--json").json["targets"][0]["changes"]
    assert {change["path"]: change["cached"] for change in found} == {
        "data/a/0": False,
        "data/a/1": True,
        "data/b": False,
    }
    out = cli("status").out
    assert "modified  data/a/0  (not in the cache)" in out
    assert "deleted   data/b  (3 files, not in the cache)" in out


def test_what_comes_next_is_said_once_for_each_kind(tracked: Place, clone: Callable[..., Place], cli: Cli) -> None:
    tracked.write({"more/x": "m", "third": "t"})
    tracked.add("more", "third")
    tracked.save()
    tracked.write({"data/a/0": "A0", "single": "S"})
    (tracked / "third").unlink()
    hints = [line for line in cli("status").out.splitlines() if line.startswith("To ")]
    assert hints == [
        "To record this: dvc-like add TARGET",
        "To go back to what is recorded: dvc-like checkout TARGET",
        "To bring back what is not here: dvc-like checkout",
    ]
    assert "dvc-like push" in cli("status", "--cloud").out
    tracked.push()
    copy = clone()
    assert "To bring what is not here: dvc-like pull" in cli("status", cwd=copy.root).out
    copy.fetch()
    out = cli("status", cwd=copy.root).out
    assert "dvc-like pull" not in out
    assert "To bring back what is not here: dvc-like checkout" in out


def test_files_that_are_not_on_the_remote_are_named(tracked: Place, cli: Cli) -> None:
    tracked.push()
    tracked.track({"data/a/0": "A0", "data/new": "n"})
    out = cli("status", "--cloud").out
    assert "  unsent    data/a/0\n  unsent    data/new\n" in out
    assert "2 files not on remote storage" in out
