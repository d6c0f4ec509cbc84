"""`drop`: what a remote is proved to have goes, everything else stays, and all of it can come back."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess, in_process  # noqa: F401 - the fixture `cli` of this file
from tests.cli.place import Place, objects_in, past_the_tick
from tests.cli.stores import contents_of

import dvc_like

DATA = {"data/a/1": "a1", "data/a/2": "a2", "data/b/3": "b3", "data/link": ("link", False, "b/3"), "single": "s"}


@pytest.fixture
def pushed(place: Place) -> Place:
    place.track(DATA)
    past_the_tick(place / "data/b/3")
    place.push()
    return place


def files_in_cache(place: Place) -> set[str]:
    return {path.read_text() for key, path in objects_in(place.cache).items() if not key.endswith(".tree")}


def test_a_target_goes_and_is_absent(pushed: Place, cli: InProcess) -> None:
    done = cli("drop", "data", "--json").json
    assert done["files"] == ["data/a/1", "data/a/2", "data/b/3", "data/link"]
    assert (done["objects"], done["cache_size"], done["kept"]) == (3, 6, 0)
    assert not (pushed / "data").exists()
    assert files_in_cache(pushed) == {"s"}
    assert pushed.states() == {"data": "absent", "single": "unchanged"}
    assert "dvc-like pull" in cli("status").out
    cli("drop", "single")
    assert pushed.states()["single"] == "absent"
    cli("pull")
    assert pushed.states() == {"data": "unchanged", "single": "unchanged"}


def test_a_part_goes_and_add_keeps_it(pushed: Place, cli: InProcess) -> None:
    cli("drop", "data/a")
    assert pushed.changes() == {"data/a": "absent"}
    assert files_in_cache(pushed) == {"b3", "s"}
    pushed.write({"data/b/3": "edited"})
    cli("add", "data")
    cli("push")
    cli("pull")
    assert (pushed / "data/a/1").read_text() == "a1"
    assert (pushed / "data/b/3").read_text() == "edited"
    cli("drop", "data/a/1")
    assert pushed.changes() == {"data/a/1": "absent"}
    cli("checkout", code=4)
    cli("fetch")
    assert "data/a/1" in cli("checkout", "--json").json["created"]


def test_several_parts_of_one_target(pushed: Place, cli: InProcess) -> None:
    cli("drop", "data/a/1", "data/b", "single")
    assert pushed.changes() == {"data/a/1": "absent", "data/b": "absent", "single": "absent"}
    cli("undo")
    assert pushed.changes() == {}


def test_patterns(pushed: Place, cli: InProcess) -> None:
    cli("drop", "--glob", "data/*/[23]")
    assert pushed.changes() == {"data/a/2": "absent", "data/b": "absent"}
    assert (pushed / "data/link").is_symlink()
    assert "nothing that is tracked matches" in cli("drop", "--glob", "*.png", code=2).err


def test_a_dry_run_says_what_would_go_and_touches_nothing(pushed: Place, cli: InProcess) -> None:
    before, cached = pushed.data(), files_in_cache(pushed)
    done = cli("drop", "data", "--dry-run")
    assert "data/a/1" in done.out
    assert "3 objects would be dropped from the cache, 6 B" in done.out
    assert (pushed.data(), files_in_cache(pushed)) == (before, cached)
    assert not any(one.startswith("drop") for one in cli("undo", "--list").out.split())
    assert pushed.states()["data"] == "unchanged"


def test_the_workspace_alone_and_the_cache_alone(pushed: Place, cli: InProcess, store: Path) -> None:
    shutil.rmtree(store)  # nobody asks it when the cache keeps everything
    assert cli("drop", "--workspace-only", "data", "--json").json["objects"] == 0
    assert pushed.states()["data"] == "absent"
    assert "dvc-like checkout" in cli("status").out
    cli("checkout")
    pushed.push()
    done = cli("drop", "--cache-only", "data", "--json").json
    assert (done["files"], done["objects"]) == ([], 3)
    assert (pushed / "data/a/1").read_text() == "a1"
    (target, _) = cli("status", "--json").json["targets"]
    assert (target["state"], target["changes"]) == ("unchanged", [])
    assert target["not_cached"] == ["data/a/1", "data/a/2", "data/b/3"]
    assert "uncached  data/a/1" in cli("status", "--exit-code", code=10).out
    cli("undo")
    assert "Everything is as recorded" in cli("status").out
    cli("drop", "--cache-only", "--workspace-only", "data", code=2)


def test_what_the_cache_lacks_is_named_in_order_whatever_was_recorded_a_moment_ago(
    pushed: Place, cli: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dvc_like.ops._apply.is_young", lambda stamp, now: True)
    cli("drop", "--workspace-only", "data", "single")
    cli("checkout")
    cli("drop", "--cache-only", "data", "single")
    found = {one["path"]: one["not_cached"] for one in cli("status", "--json").json["targets"]}
    assert found == {"data": ["data/a/1", "data/a/2", "data/b/3"], "single": ["single"]}


def test_what_was_taken_from_the_cache_alone_may_leave_the_workspace_later(pushed: Place, cli: InProcess) -> None:
    cli("drop", "--cache-only", "data")
    assert "in the workspace alone" in cli("drop", "--workspace-only", "data", code=4).err
    cli("drop", "data")
    assert not (pushed / "data").exists()


# ------------------------------------------------------------------------------ what it refuses


def test_what_was_recorded_a_moment_ago_goes_when_the_remote_alone_has_it(pushed: Place, cli: InProcess) -> None:
    # The stat of such a file proves nothing, so its bytes are judged once more right before it goes.
    past_the_tick(pushed / "data/a/1")
    os.utime(pushed / "data/a/1")
    cli("drop", "data/a", "--cache-only")
    assert files_in_cache(pushed) == {"b3", "s"}
    os.utime(pushed / "data/a/1", ns=(1, 1))
    assert cli("drop", "data/a", "--json").json["files"] == ["data/a/1", "data/a/2"]


def test_what_the_remote_lacks_is_named_and_nothing_goes(pushed: Place, cli: InProcess) -> None:
    pushed.track({"data/a/1": "not pushed", "data/new": "nor this"})
    before = pushed.data()
    done = cli("drop", "data", "single", code=4)
    assert "data/a/1" in done.err
    assert "data/new" in done.err
    assert "dvc-like push" in done.err
    assert pushed.data() == before
    cli("drop", "data/b")  # this part is there


def test_a_remote_that_lost_or_damaged_something_is_no_proof(pushed: Place, cli: InProcess, store: Path) -> None:
    pushed.track({"big.bin": "b" * 100_000})
    pushed.push()
    (found,) = [path for path in store.rglob("*") if path.is_file() and path.stat().st_size == 100_000]
    found.chmod(0o644)
    found.write_bytes(b"x" * 100_000)
    cli("drop", "big.bin", code=4)
    found.unlink()
    cli("drop", "big.bin", code=4)
    assert (pushed / "big.bin").exists()
    for pack in store.glob("packs/*.zip"):
        pack.unlink()
    cli("drop", "data", code=4)
    assert pushed.states()["data"] == "unchanged"


def test_an_unreachable_remote_is_no_proof(pushed: Place, cli: InProcess) -> None:
    shutil.rmtree(pushed.root.parent / "storage")
    cli("drop", "data", code=(4, 6))
    cli("drop", "data", "-r", "nowhere", code=3)
    assert pushed.states()["data"] == "unchanged"


def test_changed_files_are_not_given_up(pushed: Place, cli: InProcess) -> None:
    pushed.write({"data/a/1": "edited", "data/b/mine": "never added"})
    assert "data/a/1" in cli("drop", "data", code=5).err
    assert (pushed / "data/b/3").exists()
    cli("drop", "data/b")
    assert (pushed / "data/b/mine").read_text() == "never added"
    assert pushed.changes() == {"data/a/1": "modified", "data/b/3": "absent", "data/b/mine": "added"}


def test_a_cache_that_other_projects_may_use_is_left_alone(pushed: Place, cli: InProcess, tmp_path: Path) -> None:
    pushed.config("local", cache_dir=str(tmp_path / "shared"))
    pushed.pull()
    assert "--workspace-only" in cli("drop", "data", code=2).err
    cli("drop", "--workspace-only", "data")
    assert pushed.states()["data"] == "absent"


def test_an_untracked_path_and_no_path(pushed: Place, cli: InProcess) -> None:
    cli("drop", code=2)
    cli("drop", "nothing", code=2)
    cli("drop", "data/nothing", code=2)


# ------------------------------------------------------------------------------ what others need


def test_what_other_targets_and_other_parts_need_stays_in_the_cache(pushed: Place, cli: InProcess) -> None:
    pushed.track({"other/copy": "a1", "data/b/again": "a2"})
    pushed.push()
    done = cli("drop", "data/a", "--json").json
    assert (done["objects"], done["kept"]) == (0, 2)
    assert {"a1", "a2"} <= files_in_cache(pushed)
    assert "1 object kept in the cache" in cli("drop", "data/b").out
    assert pushed.states("other") == {"other": "unchanged"}


def test_what_another_worktree_needs_stays(pushed: Place, cli: InProcess, tmp_path: Path) -> None:
    pushed.git("worktree", "add", "-q", str(tmp_path / "beside"))
    beside = Place(tmp_path / "beside")
    beside.checkout()
    assert cli("drop", "data", "--json").json["kept"] == 3
    assert beside.states() == {"data": "unchanged", "single": "unchanged"}
    (beside / "data/a/1").unlink()
    beside.checkout()
    assert (beside / "data/a/1").read_text() == "a1"


def test_links_in_the_workspace_never_dangle(place: Place, cli: InProcess) -> None:
    place.config("local", cache_type="symlink")
    place.track({"data/x": "linked", "data/y": "too"})
    place.push()
    assert cli("drop", "--cache-only", "data", "--json").json["kept"] == 2
    assert (place / "data/x").read_text() == "linked"
    cli("drop", "data")
    assert not (place / "data").exists()
    assert files_in_cache(place) == set()


def test_a_clone_that_never_had_it_has_nothing_to_drop(
    pushed: Place, clone: Callable[..., Place], cli: InProcess
) -> None:
    copy = clone()
    assert cli("drop", "data", "--json", cwd=copy.root).json["files"] == []
    copy.pull("data/a")
    assert cli("drop", "data", "--json", cwd=copy.root).json["files"] == ["data/a/1", "data/a/2"]


def test_the_remote_is_left_alone(pushed: Place, cli: InProcess, store: Path) -> None:
    before = contents_of(store)
    cli("drop", "data", "single")
    assert contents_of(store) == before


def test_what_was_added_a_moment_ago_can_be_dropped(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the very tick of the clock no stat can be trusted, so each is looked at: a link by its text."""
    monkeypatch.setattr("dvc_like.workspace.scan.is_racy", lambda status, now: True)
    place.write({"data/a": "a", "data/link": ("link", False, "a")})
    place.add("data")
    place.push()
    dvc_like.drop(place.project, [str(place / "data")])
    assert not (place / "data").exists()
    place.pull()
    assert (place / "data/link").readlink() == Path("a")
