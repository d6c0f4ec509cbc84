"""`status`: every state there is, and that it says the same whatever became of its memory."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable

import pytest
from tests.cli.place import Place, past_the_tick
from tests.conftest import Cli

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
