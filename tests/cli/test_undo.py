"""`undo`: after every command that changes something, bytes and pointers come back, and nothing unsaved is lost."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess, in_process  # noqa: F401 - the fixture `cli` of this file
from tests.cli.place import Place
from tests.conftest import tree_of

import dvc_like
from dvc_like.errors import DataMissing, WouldOverwrite
from dvc_like.ops._journal import recorded
from dvc_like.ops._record import MAX_RECORDS
from dvc_like.ops._session import open_session
from dvc_like.paths import RelPath


def state(place: Place) -> dict[str, object]:
    """Return everything in the workspace: data, meta files and `.gitignore`."""
    return dict(tree_of(place.root, skip=(".git", ".dvc-like")))


def records(place: Place) -> list[str]:
    return [one.verb for one in dvc_like.undoable(place.project)]


@pytest.fixture
def tracked(place: Place) -> Place:
    """Two versions, `one` and `two`, at the remote; the workspace is at two, and nothing can be undone."""
    place.track({"data/a/x": "one", "data/b/y": "same", "data/gone": "g", "data/hollow": None, "single": "s one"})
    place.git("tag", "one")
    (place / "data/gone").unlink()
    place.track({"data/a/x": "two", "data/new/z": "n", "single": "s two"})
    place.git("tag", "two")
    place.push(all_commits=True)
    shutil.rmtree(place / ".dvc-like/undo")
    return place


@pytest.mark.parametrize(
    ("before", "command"),
    [
        ({"data/a/x": "three", "fresh": "f"}, lambda place: place.add("data/a/x", "fresh")),
        ({"data/a/x": "three", "single": "s three"}, lambda place: place.commit()),
        ({"data/a/x": "unsaved", "single": "lost?"}, lambda place: place.checkout(force=True)),
        ({"data/a/x": "unsaved", "data/a/new": "n"}, lambda place: place.pull(force=True)),
        ({"data/a/new": "never added"}, lambda place: dvc_like.drop(place.project, [str(place / "data/a"), "single"])),
    ],
    ids=["add", "commit", "checkout --force", "pull --force", "drop"],
)
def test_every_command_is_undone_and_done_again(
    tracked: Place, cli: InProcess, before: dict[str, str], command: Callable[[Place], object]
) -> None:
    tracked.write(dict(before))
    old, cached = state(tracked), set(tracked.cache.rglob("files/*/*/*"))
    command(tracked)
    new = state(tracked)
    assert len(records(tracked)) == 1
    for _ in range(2):
        cli("undo")
        assert state(tracked) == old
        assert cached <= set(tracked.cache.rglob("files/*/*/*"))
        cli("undo")
        assert state(tracked) == new
    cli("undo", "5")
    assert state(tracked) == old


def test_a_checkout_of_another_version_is_undone(tracked: Place, cli: InProcess) -> None:
    two = tracked.data()
    tracked.git("checkout", "-q", "one")
    tracked.checkout()
    one = tracked.data()
    assert one != two
    cli("undo")
    assert tracked.data() == two
    assert set(tracked.changes()) == {"data/a/x", "data/gone", "data/new/z", "single"}
    tracked.git("checkout", "-q", "two")
    assert tracked.changes() == {}
    assert all(done.state == "unchanged" for done in tracked.commit())
    tracked.git("checkout", "-q", "one")
    cli("undo")
    assert tracked.data() == one
    assert tracked.changes() == {}


def test_a_pull_into_a_clone_is_undone(tracked: Place, clone: Callable[..., Place], cli: InProcess) -> None:
    copy = clone()
    before = state(copy)
    cli("pull", cwd=copy.root)
    done = cli("undo", "--json", cwd=copy.root).json
    assert done["undone"] == ["pull"]
    assert "data/a/x" in done["removed"]
    assert state(copy) == before
    assert copy.states() == {"data": "absent", "single": "absent"}
    cli("undo", cwd=copy.root)
    assert copy.changes() == {}


def test_a_part_that_was_pulled_goes_and_the_rest_stays(tracked: Place, clone: Callable[..., Place]) -> None:
    copy = clone()
    copy.pull("data/b")
    before = state(copy)
    copy.pull("data/a", "single")
    dvc_like.undo(copy.project)
    assert state(copy) == before
    assert copy.changes("data") == {"data/a": "absent", "data/new": "absent", "data/hollow": "absent"}
    copy.write({"data/b/y": "edited"})
    copy.add("data")
    dvc_like.fetch(copy.project)
    copy.checkout("data")
    assert (copy / "data/a/x").read_text() == "two"


def test_what_a_revision_no_longer_tracks_comes_back(tracked: Place, cli: InProcess) -> None:
    tracked.git("rm", "-q", "single.meta")
    tracked.save("without")
    cli("checkout")
    assert not (tracked / "single").exists()
    cli("undo")
    assert (tracked / "single").read_text() == "s two"


def test_several_commands_at_once(tracked: Place, cli: InProcess) -> None:
    before = state(tracked)
    for text in ("three", "four", "five"):
        tracked.write({"single": text})
        tracked.add("single")
    (tracked / "single").write_text("s two")
    assert records(tracked) == ["add " + str(tracked / "single")] * 3
    cli("undo", "3")
    assert state(tracked) == before
    cli("undo")
    assert "five" not in (tracked / "single").read_text()
    assert "only" in cli("undo", "9", code=1).err


def test_the_list_names_the_last_command_first(tracked: Place, cli: InProcess) -> None:
    assert "nothing to undo" in cli("undo", code=1).err
    assert "nothing to undo" in cli("undo", "--list").out
    assert cli("undo", "--list", "--json").json["records"] == []
    tracked.write({"single": "three"})
    cli("add", "single")
    cli("checkout")  # changes nothing, so there is nothing to undo
    cli("commit")
    cli("undo")
    lines = cli("undo", "--list", "-q").out.splitlines()
    assert [line.split(maxsplit=3)[3] for line in lines] == ["undo add single", "add single"]
    cli("undo")
    assert records(tracked)[0] == "redo add single"


# ------------------------------------------------------------------------------ what it refuses


def test_unsaved_files_are_in_the_way_and_nothing_is_touched(tracked: Place, cli: InProcess) -> None:
    tracked.git("checkout", "-q", "one")
    tracked.checkout()
    tracked.write({"data/a/x": "unsaved", "data/gone": "unsaved too"})
    before = state(tracked)
    done = cli("undo", code=5)
    assert "data/a/x" in done.err
    assert "data/gone" in done.err
    assert state(tracked) == before
    cli("undo", "--force")
    assert (tracked / "data/a/x").read_text() == "two"
    cli("undo")
    assert state(tracked) == before  # it was put into the cache before it went


def test_what_was_edited_after_it_came_is_not_removed(tracked: Place, clone: Callable[..., Place]) -> None:
    copy = clone()
    copy.pull()
    copy.write({"data/a/x": "edited", "single": "edited", "data/mine": "never added"})
    before = state(copy)
    with pytest.raises(WouldOverwrite, match="2 unsaved"):
        dvc_like.undo(copy.project)
    assert state(copy) == before
    dvc_like.undo(copy.project, force=True)
    assert {name for name, node in copy.data().items() if node[0] == "file"} == {"data/mine"}


def test_what_the_command_was_not_asked_to_change_is_not_looked_at(tracked: Place, cli: InProcess) -> None:
    tracked.write({"data/b/y": "unsaved", "single": "unsaved"})
    (tracked / "data/a/x").unlink()
    before = state(tracked)
    cli("checkout", "data/a")
    cli("undo")
    assert state(tracked) == before
    cli("undo")
    cli("checkout", "--glob", "data/*/z")
    (tracked / "data/new/z").unlink()
    cli("checkout", "--glob", "data/*/z")
    cli("undo")
    assert not (tracked / "data/new/z").exists()
    assert (tracked / "data/b/y").read_text() == "unsaved"


def test_a_meta_file_that_changed_since_is_not_overwritten(tracked: Place, cli: InProcess) -> None:
    tracked.write({"single": "three"})
    cli("add", "single")
    with (tracked / "single.meta").open("a") as file:
        file.write("desc: mine\n")
    mine = (tracked / "single.meta").read_text()
    assert "single.meta" in cli("undo", code=5).err
    assert (tracked / "single.meta").read_text() == mine
    cli("undo", "--force")
    cli("undo")
    assert (tracked / "single.meta").read_text() == mine


def test_lines_that_others_wrote_into_gitignore_stay(tracked: Place, cli: InProcess) -> None:
    tracked.write({"fresh": "f"})
    before = (tracked / ".gitignore").read_text()
    cli("add", "fresh")
    with (tracked / ".gitignore").open("a") as file:
        file.write("*.log\n")
    cli("undo")
    assert (tracked / ".gitignore").read_text() == before + "*.log\n"
    cli("undo")
    assert set((tracked / ".gitignore").read_text().split()) == {*before.split(), "*.log", "/fresh"}


def test_what_was_tracked_only_for_a_moment_is_the_users_own_again(tracked: Place, cli: InProcess) -> None:
    tracked.write({"fresh": "f"})
    cli("add", "fresh")
    tracked.save("fresh")
    cli("undo")
    tracked.save("not after all")
    cli("checkout")
    assert (tracked / "fresh").read_text() == "f"
    assert "fresh" not in tracked.states()


def test_bytes_that_are_nowhere_are_missing_and_pointers_stay(tracked: Place, cli: InProcess, store: Path) -> None:
    tracked.write({"single": "never pushed"})
    cli("checkout", "--force", "single")
    tracked.cached("never pushed").unlink()
    before = state(tracked)
    cli("undo", code=(4, 9))
    assert state(tracked)["single.meta"] == before["single.meta"]
    assert (tracked / "single").read_text() == "s two"


def test_what_the_cache_lost_is_fetched(tracked: Place, cli: InProcess, store: Path) -> None:
    tracked.git("checkout", "-q", "one")
    cli("checkout")
    tracked.cached("two").unlink()
    cli("undo")
    assert (tracked / "data/a/x").read_text() == "two"
    tracked.cached("one").unlink()
    shutil.rmtree(store)
    with pytest.raises(DataMissing):
        dvc_like.undo(tracked.project)


def test_where_the_index_was_lost_undo_takes_nothing_else_away(tracked: Place, cli: InProcess) -> None:
    tracked.write({"data/a/x": "one"})  # as in another version, so it may be replaced
    (tracked / ".dvc-like/tmp/index.sqlite").unlink()
    before = state(tracked)
    assert cli("checkout", "--json").json["replaced"] == ["data/a/x"]
    cli("undo")
    assert state(tracked) == before


# ------------------------------------------------------------------------------ records


def test_gc_keeps_what_can_be_undone_and_is_undone_itself(tracked: Place, cli: InProcess) -> None:
    tracked.write({"single": "unsaved"})
    cli("checkout", "--force", "single")
    for path in tracked.cache.rglob("files/*/*/*"):
        os.utime(path, (1, 1))
    assert cli("gc", "--workspace", "--json").json["removed"]
    assert tracked.cached("unsaved").exists()
    assert not tracked.cached("one").exists()
    done = cli("undo", "--json").json
    assert done["undone"] == ["gc"]
    assert done["revived"] > 0
    assert tracked.cached("one").exists()
    cli("undo", "2")
    assert (tracked / "single").read_text() == "unsaved"


def test_a_worktree_needs_what_it_can_undo(tracked: Place, cli: InProcess, tmp_path: Path) -> None:
    tracked.git("worktree", "add", "-q", str(tmp_path / "other"), "one")
    other = Place(tmp_path / "other")
    other.checkout()
    other.write({"single": "unsaved"})
    other.checkout("single", force=True)
    for path in tracked.cache.rglob("files/*/*/*"):
        os.utime(path, (1, 1))
    cli("gc", "--workspace")
    assert tracked.cached("unsaved").exists()
    dvc_like.undo(other.project)
    assert (other / "single").read_text() == "unsaved"


def test_records_expire_and_are_bounded(tracked: Place, cli: InProcess) -> None:
    for number in range(MAX_RECORDS + 3):
        (tracked / "single").write_text(f"version {number}")
        tracked.add("single")
    assert len(records(tracked)) == MAX_RECORDS
    assert len(list((tracked / ".dvc-like/undo").glob("*.undo"))) <= MAX_RECORDS + 1
    tracked.age()
    assert records(tracked) == []
    cli("undo", code=1)
    tracked.write({"single": "last"})
    tracked.add("single")
    assert len(list((tracked / ".dvc-like/undo").glob("*.undo"))) == 1


def test_a_record_of_a_folder_is_its_digest_and_not_its_files(place: Place) -> None:
    place.track({f"data/{n % 7}/{n}": f"{n}" for n in range(200)})
    shutil.rmtree(place / "data")
    shutil.rmtree(place / ".dvc-like/undo")
    place.checkout()
    dvc_like.undo(place.project)
    dvc_like.undo(place.project)
    assert all(path.stat().st_size < 500 for path in (place / ".dvc-like/undo").glob("*.undo"))
    assert place.changes() == {}


def test_a_record_is_ignored_by_git_and_dies_with_nothing_changed(tracked: Place, cli: InProcess) -> None:
    tracked.write({"single": "three"})
    cli("add", "single")
    assert "undo" not in tracked.git("status", "--short", "--untracked-files=all")
    shutil.rmtree(tracked / ".dvc-like/tmp")  # state that may be lost: the way back is none of it
    cli("undo")
    assert tracked.git("status", "--short") == ""


@pytest.mark.parametrize(
    "line",
    [
        "pointer\t.git/hooks/post-checkout\tx",
        "pointer\t../outside.meta\tx",
        "pointer\tREADME.md\tx",
        "nothing\t/etc/x.meta",
        "-\t../outside",
        "d\t1\tblake3:../../x\t1\tdata",
        "what\tis\tthis",
        "f\tone\tblake3:aa\tdata",
    ],
)
def test_a_record_that_a_stranger_wrote_is_none(tracked: Place, cli: InProcess, line: str) -> None:
    tracked.write({"single": "three"})
    cli("add", "single")
    (path,) = (tracked / ".dvc-like/undo").glob("*.undo")
    path.write_text(f"dvc-like undo 1\nverb\tadd\n{line}\n")
    before = state(tracked)
    assert "nothing to undo" in cli("undo", code=1).err
    assert state(tracked) == before


def test_records_are_not_written_through_a_link(tracked: Place, cli: InProcess, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tracked / ".dvc-like/undo").symlink_to(tmp_path / "elsewhere")
    tracked.write({"single": "three"})
    cli("add", "single", code=7)
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_command_that_was_killed_can_be_undone(tracked: Place, cli: InProcess) -> None:
    """The record is there before the change; only what the command left is not known then."""
    tracked.write({"single": "three"})
    before = (tracked / "single.meta").read_text()
    cli("add", "single")
    (path,) = (tracked / ".dvc-like/undo").glob("*.undo")
    path.write_text("".join(line for line in path.read_text().splitlines(True) if not line.startswith("after")))
    cli("undo")
    assert (tracked / "single.meta").read_text() == before


def test_any_verb_is_recorded_with_one_line(tracked: Place, cli: InProcess) -> None:
    """As a verb that takes a target away and brings another does it."""
    before = state(tracked)
    project = tracked.project
    with (
        open_session(project, worktree=True, cache="shared") as session,
        recorded(session, "shuffle single", [RelPath("single"), RelPath("other")]),
    ):
        (tracked / "single").rename(tracked / "other")
        (tracked / "single.meta").rename(tracked / "other.meta")
        with (tracked / ".gitignore").open("a") as file:
            file.write("/other\n")
        row = session.index.get("single")
        assert row is not None
        session.index.drop("single")
        session.index.put("other", row)
    after = state(tracked)
    assert records(tracked) == ["shuffle single"]
    cli("undo")
    assert {name for name in before if name != "single"} == {name for name in state(tracked) if name != "single"}
    assert state(tracked)["single"] == before["single"]
    assert state(tracked)["single.meta"] == before["single.meta"]
    assert tracked.states()["single"] == "unchanged"
    cli("undo")
    assert state(tracked)["other"] == after["other"]
    assert not (tracked / "single").exists()


def test_with_autostage_git_sees_the_pointers_go_back(tracked: Place, cli: InProcess) -> None:
    tracked.config("local", core_autostage="true")
    tracked.write({"single": "three", "fresh": "f"})
    cli("add", "single", "fresh")
    assert "fresh.meta" in tracked.git("diff", "--cached", "--name-only")
    cli("undo")
    assert tracked.git("diff", "--cached", "--name-only") == ""
    assert tracked.git("status", "--short", "--untracked-files=no") == ""


@pytest.mark.parametrize(
    "words", [["remove", "data"], ["remove", "--outs", "data"], ["move", "data", "elsewhere"]], ids=" ".join
)
def test_what_was_removed_or_moved_comes_back(place: Place, cli: InProcess, words: list[str]) -> None:
    place.track({"data/x": "1", "data/sub/y": "2", "single": "3"})
    before, pointer = place.data(), (place / "data.meta").read_bytes()
    cli(*words, cwd=place.root)
    assert not (place / "data.meta").exists()
    cli("undo", cwd=place.root)
    assert place.data() == before
    assert (place / "data.meta").read_bytes() == pointer
    assert not (place / "elsewhere.meta").exists()
    assert cli("status", "--exit-code", cwd=place.root).code == 0
    assert place.git("status", "--porcelain") == ""


def test_what_a_forced_remove_gave_up_comes_back(place: Place, cli: InProcess) -> None:
    place.track({"data/x": "1", "data/sub/y": "2"})
    place.write({"data/x": "never saved"})
    before = place.data()
    cli("remove", "--outs", "--force", "data", cwd=place.root)
    assert "data/x" not in place.data()
    cli("undo", cwd=place.root)
    assert place.data() == before
