"""`move`: a target at another place, with its data and all that is known of it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess as Cli
from tests.cli.inprocess import in_process  # noqa: F401 - the fixture `cli` of this file
from tests.cli.killing import count_changes, moments, run_child, start
from tests.cli.place import Place, digest_of, past_the_tick
from tests.conftest import Cli as Real

import dvc_like
from dvc_like import digest as digests
from dvc_like.digest import Digest
from dvc_like.errors import WouldOverwrite
from dvc_like.locks import lock
from dvc_like.ops._session import open_session


@pytest.fixture
def tracked(place: Place) -> Place:
    place.track({"data/x": "1", "data/sub/y": "2", "single": "3"})
    past_the_tick(place / "single")
    place.checkout()
    return place


@pytest.fixture
def reading(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is hashed while the test runs."""
    hashed: list[str] = []

    def fingerprint(seed: int, plain: Callable[[int], object] = digests.new_fingerprint) -> object:
        hashed.append("fingerprint")
        return plain(seed)

    def hasher(algorithm: str, plain: Callable[[str], object] = digests.hasher) -> object:
        hashed.append(algorithm)
        return plain(algorithm)

    monkeypatch.setattr(digests, "new_fingerprint", fingerprint)
    monkeypatch.setattr(digests, "hasher", hasher)
    return hashed


def test_a_file_and_a_folder_move_and_nothing_is_hashed(tracked: Place, cli: Cli, reading: list[str]) -> None:
    before = tracked.data()
    done = cli("move", "single", "models/best", "--json").json
    assert done == {
        "schema": "dvc-like/move/1",
        "source": "single",
        "path": "models/best",
        "meta": "models/best.meta",
    }
    cli("move", "data", "raw")
    assert tracked.states() == {"models/best": "unchanged", "raw": "unchanged"}
    assert reading == []
    after = tracked.data()
    assert after["models/best"] == before["single"]
    assert {name: after[f"raw/{name}"] for name in ("x", "sub/y")} == {
        name: before[f"data/{name}"] for name in ("x", "sub/y")
    }
    assert not (tracked / "data").exists()
    assert not (tracked / "data.meta").exists()


def test_a_hard_link_moves_and_its_object_stays_trusted(tracked: Place, cli: Cli, reading: list[str]) -> None:
    tracked.config("local", cache_type="hardlink")
    tracked.checkout(relink=True)
    past_the_tick(tracked / "single")
    cli("status")
    reading.clear()
    cli("move", "single", "other")
    assert (tracked / "other").samefile(tracked.cached("3"))
    assert tracked.states("other") == {"other": "unchanged"}
    with open_session(tracked.project) as session:
        assert session.cache.ensure(Digest(digest_of("3")))
    assert reading == []


def test_git_sees_a_rename(tracked: Place, cli: Cli) -> None:
    done = cli("move", "data", "raw")
    tracked.git("add", *done.out.splitlines()[-1].partition("git add ")[2].split())
    assert tracked.git("status", "--short").splitlines() == ["M  .gitignore", "R  data.meta -> raw.meta"]
    assert (tracked / ".gitignore").read_text().splitlines() == ["/single", "/raw"]


def test_what_the_user_wrote_into_the_meta_file_moves(tracked: Place, cli: Cli) -> None:
    text = (tracked / "single.meta").read_text() + "# by Ann\ndesc: the best\n"
    (tracked / "single.meta").write_text(text)
    cli("move", "single.meta", "best.meta")
    assert (tracked / "best.meta").read_text() == text


def test_into_a_folder_and_back_to_the_root(tracked: Place, cli: Cli) -> None:
    (tracked / "models").mkdir()
    cli("move", "single", "models")
    assert (tracked / "models/single").read_text() == "3"
    cli("move", "models/single", ".")
    assert (tracked / "single").read_text() == "3"
    cli("move", "single", "fresh/")
    assert (tracked / "fresh/single").read_text() == "3"
    cli("move", "data", "raw/")
    assert (tracked / "raw/x").read_text() == "1"
    cli("move", tracked / "fresh/single", "here", cwd=tracked / "raw/..")
    assert tracked.states() == {"here": "unchanged", "raw": "unchanged"}


def test_edits_and_deletions_move_along(tracked: Place, cli: Cli) -> None:
    tracked.write({"single": "edited", "data/new": "new"})
    (tracked / "data/x").unlink()
    cli("move", "single", "other")
    cli("move", "data", "raw")
    assert tracked.changes() == {"other": "modified", "raw/new": "added", "raw/x": "deleted"}
    assert (tracked / "other").read_text() == "edited"


def test_data_that_is_not_here_or_only_in_part(tracked: Place, cli: Cli, clone: Callable[..., Place]) -> None:
    tracked.push()
    copy = clone()
    copy.pull("data/x")
    cli("move", "data", "deep/er/raw", cwd=copy.root)
    cli("move", "single", "other", cwd=copy.root)
    assert copy.states() == {"deep/er/raw": "partial", "other": "absent"}
    assert copy.changes("deep/er/raw") == {"deep/er/raw/sub": "absent"}
    copy.pull()
    assert (copy / "deep/er/raw/sub/y").read_text() == "2"


def test_the_old_revision_can_be_checked_out_again(tracked: Place, cli: Cli) -> None:
    before = tracked.data()
    cli("move", "data", "raw")
    tracked.save("moved")
    tracked.git("checkout", "-q", "HEAD~1")
    tracked.checkout()
    assert tracked.data() == before


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (["single", "single"], 2, "already there"),
        (["data", "data"], 2, "already there"),
        (["data", "data/sub/deep"], 2, "into itself"),
        (["single", "data/single"], 2, "tracked folder data"),
        (["single", "data"], 2, "tracked folder data"),
        (["data/x", "y"], 2, "dvc-like add"),
        (["nope", "y"], 2, "not tracked"),
        (["single", "../outside"], 2, "outside the project"),
        (["single", ".git/x"], 7, ".git"),
        (["single", ".dvc-like/x"], 7, ".dvc-like"),
        (["single", "link/x"], 7, "link"),
        (["single", "plain/x"], 2, "is a file"),
        (["single", "plain"], 5, "there already"),
        (["single", "strange"], 5, "strange.meta"),
        (["single", "other"], 5, "there already"),
        (["single", "dangling"], 5, "there already"),
        (["single", "gone"], 2, "Git tracks"),
        (["single", "nested/x"], 2, "repository of its own"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else None,
)
def test_where_it_cannot_go(tracked: Place, cli: Cli, words: list[str], code: int, says: str) -> None:
    tracked.write({"plain": "mine", "strange.meta": "a stranger's", "gone": "git's", "other": "4", "nested/.git/x": ""})
    tracked.git("add", "gone")
    (tracked / "gone").unlink()
    tracked.add("other")
    os.symlink("models", tracked / "link")
    os.symlink("nowhere", tracked / "dangling")
    before = tracked.data()
    ignored, metas = (tracked / ".gitignore").read_text(), sorted(tracked.root.rglob("*.meta"))
    done = cli("move", *words, code=code)
    assert says in done.err
    assert tracked.data() == before
    assert (tracked / ".gitignore").read_text() == ignored
    assert sorted(tracked.root.rglob("*.meta")) == metas


def test_a_gitignore_that_is_a_link(tracked: Place, cli: Cli, tmp_path: Path) -> None:
    tracked.write({"models/x": ""})
    (tmp_path / "elsewhere").write_text("")
    (tracked / "models/.gitignore").symlink_to(tmp_path / "elsewhere")
    cli("move", "single", "models", code=7)
    assert (tmp_path / "elsewhere").read_text() == ""
    assert not (tracked / "models/single.meta").exists()
    assert tracked.states("single") == {"single": "unchanged"}


def test_two_equal_datasets_do_not_become_one(tracked: Place, cli: Cli) -> None:
    tracked.write({"twin": "3", "box/x": "1", "box/sub/y": "2"})
    tracked.add("twin", "box")
    for words in (["single", "twin"], ["data", "box"]):
        cli("move", *words, code=5)
    assert len(tracked.states()) == 4


@pytest.mark.parametrize("gone", [["single"], ["single", "twin"], ["data"], ["data", "double"]])
def test_a_target_is_not_taken_for_its_equal_that_is_there(tracked: Place, cli: Cli, gone: list[str]) -> None:
    tracked.track({"twin": "3", "double/x": "1", "double/sub/y": "2"})
    for name in gone:
        (tracked / name).unlink() if (tracked / name).is_file() else shutil.rmtree(tracked / name)
    before = tracked.data()
    cli("move", gone[0], "twin" if gone[0] == "single" else "double", code=(2, 5))
    assert {"data", "single", "twin", "double"} <= set(tracked.states())
    assert tracked.data() == before


def test_a_file_that_appears_meanwhile_is_not_replaced(tracked: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    plain = dvc_like.ops.move._check  # type: ignore[attr-defined]

    def check(*arguments: object) -> None:
        plain(*arguments)
        (tracked / "late").write_text("mine")

    monkeypatch.setattr(dvc_like.ops.move, "_check", check)  # type: ignore[attr-defined]
    with pytest.raises(WouldOverwrite):
        dvc_like.move(tracked.project, tracked / "single", tracked / "late")
    assert (tracked / "late").read_text() == "mine"
    assert not (tracked / "late.meta").exists()
    assert tracked.states("single") == {"single": "unchanged"}


def test_onto_another_disk(tracked: Place, cli: Cli, small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(1 << 20)
    (tracked / "disk").mkdir()
    subprocess.run(["mount", "--bind", str(disk), str(tracked / "disk")], check=True)
    try:
        done = cli("move", "single", "disk/single", code=1)
        assert "another file system" in done.err
        assert list((tracked / "disk").iterdir()) == []
    finally:
        subprocess.run(["umount", str(tracked / "disk")], check=True)
    assert tracked.states("single") == {"single": "unchanged"}


def test_a_damaged_meta_file_and_no_project(tracked: Place, cli: Cli, tmp_path: Path) -> None:
    (tracked / "single.meta").write_text("hash: nonsense\n")
    cli("move", "single", "x", code=7)
    cli("move", "data", "x", cwd=tmp_path, code=3)


def test_git_is_told_with_autostage(tracked: Place, cli: Cli) -> None:
    tracked.config(core_autostage="true")
    assert "git add" not in cli("move", "data", "raw").out
    assert "R  data.meta -> raw.meta" in tracked.git("status", "--short")


def test_another_process_is_waited_for(tracked: Place, cli: Cli) -> None:
    tracked.config("local", core_locktimeout="0")
    with lock(str(tracked / ".dvc-like/tmp/lock"), timeout=1):
        cli("move", "data", "raw", code=8)


def test_two_at_once(tracked: Place) -> None:
    running = [start(["move", "data", name], tracked.root) for name in ("one", "two")]
    ended = sorted((process.communicate()[1], process.returncode)[1] for process in running)
    assert ended == [0, 2]
    assert len(tracked.states()) == 2
    assert set(tracked.states().values()) == {"unchanged"}


@pytest.mark.skipif(os.name != "posix", reason="signals of this kind do not exist on this system")
@pytest.mark.parametrize(
    ("name", "number"), [("data", signal.SIGKILL), ("data", signal.SIGINT), ("single", signal.SIGKILL)]
)
def test_stopped_at_many_moments(tracked: Place, cli: Real, number: int, name: str, tmp_path: Path) -> None:
    words = ["move", name, "deep/moved"]
    contents = {node[2] for node in tracked.data().values()}
    shutil.copytree(tracked.root, tmp_path / "counted", symlinks=True)
    for at in moments(count_changes(words, tmp_path / "counted"), 6):
        place = Place(tmp_path / f"at-{at}")
        shutil.copytree(tracked.root, place.root, symlinks=True)
        ended = run_child(at, words, place.root, number).returncode
        assert ended == (130 if number == signal.SIGINT else -number)
        assert {node[2] for node in place.data().values()} == contents
        untracked = place.git("status", "--short", "--untracked-files=all").split()
        assert not {"data/x", "single", "deep/moved", "deep/moved/x"}.intersection(untracked), "Git never sees the data"
        if (place / f"{name}.meta").exists():
            cli(*words, cwd=place.root)
        assert set(place.states().values()) == {"unchanged"}
        assert set(place.states()) == {"data", "single", "deep/moved"} - {name}
        assert {node[2] for node in place.data().values()} == contents
        place.checkout()
        assert not (place / name).exists()
