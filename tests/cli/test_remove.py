"""`remove`: a target is tracked no longer; its data stays, or goes where that is safe."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess as Cli
from tests.cli.inprocess import in_process  # noqa: F401 - the fixture `cli` of this file
from tests.cli.killing import count_changes, moments, run_child, start
from tests.cli.place import Place, past_the_tick
from tests.conftest import Cli as Real

import dvc_like
from dvc_like.errors import UsageError
from dvc_like.locks import lock


@pytest.fixture
def tracked(place: Place) -> Place:
    place.track({"data/x": "1", "data/sub/y": "2", "single": "3", "other": "4"})
    past_the_tick(place / "other")
    return place


def ignored(place: Place) -> list[str]:
    path = place / ".gitignore"
    return path.read_text().splitlines() if path.exists() else []


def test_the_pointer_goes_and_the_data_stays(tracked: Place, cli: Cli) -> None:
    before = tracked.data()
    done = cli("remove", "data", "single.meta")
    assert "the data stays" in done.out
    assert tracked.data() == before
    assert list(tracked.states()) == ["other"]
    assert ignored(tracked) == ["/other"]
    hint = done.out.splitlines()[-1].partition("git add ")[2].split()
    tracked.git("add", *hint)
    assert tracked.git("status", "--short").splitlines() == [
        "M  .gitignore",
        "D  data.meta",
        "D  single.meta",
        "?? data/",
        "?? single",
    ]


def test_it_can_be_added_again_and_the_old_version_checked_out(tracked: Place, cli: Cli) -> None:
    before = tracked.data()
    cli("remove", "--outs", "data")
    tracked.save("without")
    assert not (tracked / "data").exists()
    tracked.git("checkout", "-q", "HEAD~1")
    tracked.checkout()
    assert tracked.data() == before


def test_an_empty_gitignore_goes_and_other_lines_stay(tracked: Place, cli: Cli) -> None:
    cli("remove", "data", "single", "other")
    assert not (tracked / ".gitignore").exists()
    tracked.add("data")
    (tracked / ".gitignore").write_text("# mine\n/data\n*.log\n")
    cli("remove", "data")
    assert ignored(tracked) == ["# mine", "*.log"]


def test_outs_removes_files_and_folders(tracked: Place, cli: Cli) -> None:
    done = cli("remove", "--outs", "data", "single", "--json").json
    assert [one["removed"] for one in done["targets"]] == [["data/sub/y", "data/x"], ["single"]]
    assert set(tracked.data()) == {"other"}
    assert tracked.states() == {"other": "unchanged"}
    tracked.checkout()
    assert set(tracked.data()) == {"other"}


@pytest.mark.parametrize("kind", ["copy", "hardlink", "symlink"])
def test_outs_removes_links_and_leaves_the_cache_whole(tracked: Place, cli: Cli, kind: str) -> None:
    tracked.config("local", cache_type=kind)
    tracked.checkout(relink=True)
    cli("remove", "--outs", "data", "single")
    assert set(tracked.data()) == {"other"}
    cli("fsck", "--read-data")
    tracked.git("checkout", "-q", ".")
    tracked.checkout()
    assert {"data/x", "data/sub/y", "single"} <= set(tracked.data())


@pytest.mark.parametrize("name", ["data/sub/y", "single"])
def test_unsaved_edits_keep_all_of_the_target(tracked: Place, cli: Cli, name: str) -> None:
    tracked.write({name: "edited"})
    before = tracked.data()
    target = name.partition("/")[0]
    done = cli("remove", "--outs", target, "other", code=5)
    assert name in done.err
    assert "dvc-like add" in done.err
    del before["other"]
    assert tracked.data() == before, "the other target is done, of this one nothing was touched"
    assert target in tracked.states()
    cli("remove", "--outs", "--force", target)
    assert not (tracked / target).exists()


def test_what_was_never_added_stays_also_with_force(tracked: Place, cli: Cli) -> None:
    tracked.write({"data/sub/mine": "mine", "data/x": "edited"})
    done = cli("remove", "--outs", "--force", "data", "--json").json
    assert done["targets"][0]["left"] == ["data/sub/mine"]
    assert {name for name in tracked.data() if name.startswith("data/")} == {"data/sub", "data/sub/mine"}


def test_what_is_ignored_stays_and_is_counted(tracked: Place, cli: Cli) -> None:
    tracked.write({".dvc-likeignore": "*.tmp\nlogs/\n", "data/sub/b.tmp": "1", "data/logs/l": "2"})
    done = cli("remove", "--outs", "data", "--json").json
    assert done["targets"][0]["left"] == ["data/logs", "data/sub/b.tmp"]
    assert set(tracked.data("data")) == {"sub", "sub/b.tmp", "logs", "logs/l"}


def test_outs_of_empty_folders(place: Place, cli: Cli) -> None:
    place.track({"data/none": None, "data/nothing/at/all": None})
    cli("remove", "--outs", "data")
    assert place.data() == {}


def test_outs_without_an_index(tracked: Place, cli: Cli) -> None:
    (tracked / ".dvc-like/tmp/index.sqlite").unlink()
    cli("remove", "--outs", "data", "single")
    assert set(tracked.data()) == {"other"}


def test_outs_where_the_cache_lacks_something(tracked: Place, cli: Cli) -> None:
    tracked.cached("2").unlink()
    done = cli("remove", "--outs", "data", code=5)
    assert "data/sub/y" in done.err
    shutil.rmtree(tracked.cache / "files")
    assert "listing" in cli("remove", "--outs", "data", code=4).err
    assert (tracked / "data/x").exists()
    assert (tracked / "data.meta").exists()
    cli("remove", "--outs", "--force", "data")
    assert not (tracked / "data").exists()


def test_data_that_is_not_here(tracked: Place, cli: Cli, clone: Callable[..., Place]) -> None:
    tracked.push()
    copy = clone()
    cli("remove", "single", cwd=copy.root)
    copy.fetch("data")
    cli("remove", "--outs", "data", cwd=copy.root)
    assert list(copy.states()) == ["other"]


def test_what_is_no_target(tracked: Place, cli: Cli, tmp_path: Path) -> None:
    tracked.write({"more/a": "1", "more/b": "2"})
    tracked.add("more/a", "more/b")
    assert "dvc-like add" in cli("remove", "data/x", code=2).err
    assert "more/a, more/b" in cli("remove", "more", code=2).err
    cli("remove", "nope", code=2)
    cli("remove", "--force", "data", code=2)
    assert "outside the project" in cli("remove", tmp_path / "x", code=2).err
    done = cli("remove", "nope", "other", code=2)
    assert "other" not in tracked.states(), "the others are done"
    assert "no longer tracked  other" in done.out
    assert "git add other.meta" in done.out
    assert [one["path"] for one in cli("remove", "single", "nope", "--json", code=2).json["targets"]] == ["single"]
    with pytest.raises(UsageError):
        dvc_like.remove(tracked.project, [])


def test_outside_of_a_project(tmp_path: Path, cli: Cli) -> None:
    cli("remove", "x", cwd=tmp_path, code=3)


def test_a_damaged_meta_file(tracked: Place, cli: Cli) -> None:
    (tracked / "single.meta").write_text("hash: nonsense\n")
    assert "single.meta" in cli("remove", "--outs", "single", code=7).err
    assert (tracked / "single").exists()


def test_a_gitignore_that_is_a_link(tracked: Place, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text("/single\n")
    (tracked / ".gitignore").unlink()
    (tracked / ".gitignore").symlink_to(tmp_path / "elsewhere")
    cli("remove", "single", code=7)
    assert (tmp_path / "elsewhere").read_text() == "/single\n"
    assert (tracked / "single.meta").exists()


def test_git_is_told_with_autostage(tracked: Place, cli: Cli) -> None:
    tracked.config(core_autostage="true")
    done = cli("remove", "single")
    assert "git add" not in done.out
    assert "D  single.meta" in tracked.git("status", "--short")
    (tracked / "fresh").write_text("never committed")
    tracked.add("fresh")
    tracked.git("rm", "-q", "--cached", "fresh.meta")
    cli("remove", "fresh")


def test_without_git(tmp_path: Path, cli: Cli) -> None:
    dvc_like.init(tmp_path / "plain", git=False)
    (tmp_path / "plain/x").write_text("1")
    cli("add", "x", cwd=tmp_path / "plain")
    cli("remove", "--outs", "x", cwd=tmp_path / "plain")
    assert os.listdir(tmp_path / "plain") == [".dvc-like"]


def test_another_process_is_waited_for(tracked: Place, cli: Cli) -> None:
    tracked.config("local", core_locktimeout="0")
    with lock(str(tracked / ".dvc-like/tmp/lock"), timeout=1):
        cli("remove", "data", code=8)
    assert (tracked / "data.meta").exists()


def test_two_at_once(tracked: Place) -> None:
    running = [start(["remove", "--outs", "data"], tracked.root) for _ in range(2)]
    ended = sorted((process.communicate()[1], process.returncode)[1] for process in running)
    assert ended == [0, 2]
    assert not (tracked / "data").exists()
    assert not (tracked / "data.meta").exists()


@pytest.mark.skipif(os.name != "posix", reason="signals of this kind do not exist on this system")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_stopped_at_many_moments(tracked: Place, cli: Real, number: int, tmp_path: Path) -> None:
    words = ["remove", "--outs", "data", "single"]
    shutil.copytree(tracked.root, tmp_path / "counted", symlinks=True)
    for at in moments(count_changes(words, tmp_path / "counted"), 5):
        place = Place(tmp_path / f"at-{at}")
        shutil.copytree(tracked.root, place.root, symlinks=True)
        ended = run_child(at, words, place.root, number).returncode
        assert ended == (130 if number == signal.SIGINT else -number)
        left = [name for name in ("data", "single") if (place / f"{name}.meta").exists()]
        assert all((place / f"{name}.meta").exists() for name in ("data", "single") if (place / name).exists())
        if left:
            cli("remove", "--outs", *left, cwd=place.root)
        assert set(place.data()) == {"other"}
        assert place.states() == {"other": "unchanged"}
        place.git("checkout", "-q", ".")
        place.checkout()
        assert place.data() == tracked.data()


def test_from_inside_the_folder_that_goes(tracked: Place, cli: Real) -> None:
    done = cli("remove", "--outs", ".", cwd=tracked / "data")
    assert "2 files removed" in done.out
    assert "git add data.meta .gitignore" in done.out
    assert not (tracked / "data").exists()
