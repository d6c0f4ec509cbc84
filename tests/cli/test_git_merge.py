"""Merging branches whose datasets changed, with real git and the merge driver."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess as Cli
from tests.cli.inprocess import in_process  # noqa: F401 - the fixture `cli` of this file
from tests.cli.place import Place

import dvc_like
from dvc_like.ops import _gitattributes

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the driver of these tests is a POSIX shell script")


def on_branch(place: Place, name: str, change: Callable[[], None], *targets: str) -> None:
    """Make a change on a new branch that starts at main."""
    place.git("checkout", "-q", "-b", name, "main")
    place.checkout()
    change()
    if targets:
        place.add(*targets)
    place.save(name)


def diverge(place: Place, ours: Callable[[], None], theirs: Callable[[], None], *targets: str) -> None:
    """Change targets on branches `left` and `right`; left is checked out at the end."""
    on_branch(place, "right", theirs, *targets)
    on_branch(place, "left", ours, *targets)


def texts(place: Place, folder: str = "data") -> dict[str, str]:
    return {
        name: node[2].decode() for name, node in place.data(folder).items() if node[0] == "file" and node[2] is not None
    }  # type: ignore[union-attr]


def meta(place: Place, name: str = "data") -> dict[str, str]:
    return dict(line.split(": ", 1) for line in (place / f"{name}.meta").read_text().splitlines() if ": " in line)


def test_two_branches_that_both_changed_a_thousand_files(driven: Place) -> None:
    names = [f"{number // 100}/{number:04}.txt" for number in range(1000)]
    driven.track({f"data/{name}": f"old {name}" for name in names})

    def ours() -> None:
        driven.write({f"data/{name}": f"ours {name}" for name in names[:400]} | {"data/new/a.txt": "a"})
        (driven / "data" / names[999]).unlink()

    def theirs() -> None:
        driven.write({f"data/{name}": f"theirs {name}" for name in names[400:900]} | {"data/new/b.txt": "b"})
        (driven / "data" / names[999]).unlink()

    diverge(driven, ours, theirs, "data")
    driven.git("merge", "-q", "-m", "both", "right")
    assert driven.git("status", "--porcelain") == ""
    driven.checkout()
    wanted = {
        name: f"{'ours' if at < 400 else 'theirs' if at < 900 else 'old'} {name}" for at, name in enumerate(names)
    }
    del wanted[names[999]]
    assert texts(driven) == wanted | {"new/a.txt": "a", "new/b.txt": "b"}
    assert meta(driven)["files"] == "1001"
    assert meta(driven)["size"] == str(sum(map(len, texts(driven).values())))
    assert driven.states() == {"data": "unchanged"}


def test_a_file_that_both_changed_is_kept_twice(driven: Place, cli: Cli) -> None:
    driven.track({"data/a.txt": "old", "data/b.txt": "same", "data/gone.txt": "old"})

    def ours() -> None:
        driven.write({"data/a.txt": "mine", "data/gone.txt": "saved"})

    def theirs() -> None:
        driven.write({"data/a.txt": "theirs", "data/c.txt": "new"})
        (driven / "data/gone.txt").unlink()

    diverge(driven, ours, theirs, "data")
    said = driven.git("merge", "right", code=1)
    assert driven.git("diff", "--name-only", "--diff-filter=U") == "data.meta"
    assert "CONFLICT" in said
    driven.checkout()
    assert texts(driven) == {
        "a.ours.txt": "mine",
        "a.theirs.txt": "theirs",
        "b.txt": "same",
        "c.txt": "new",
        "gone.ours.txt": "saved",
    }
    # The way out that is printed.
    (driven / "data/a.theirs.txt").rename(driven / "data/a.txt")
    (driven / "data/a.ours.txt").unlink()
    cli("add", "data")
    driven.git("add", "data.meta")
    driven.git("commit", "-q", "-m", "resolved")
    assert texts(driven)["a.txt"] == "theirs"
    assert driven.states() == {"data": "unchanged"}


def versions(place: Place, tmp_path: Path) -> list[str]:
    """Write the three versions as Git hands them to the driver."""
    base = place.git("merge-base", "left", "right")
    found = []
    for name, revision in (("base", base), ("ours", "left"), ("theirs", "right")):
        path = tmp_path / name
        path.write_text(place.git("show", f"{revision}:data.meta") + "\n")
        found.append(str(path))
    return found


def test_what_is_said(driven: Place, cli: Cli, tmp_path: Path) -> None:
    driven.track({"data/x/a.txt": "old"})
    diverge(
        driven,
        lambda: driven.write({"data/x/a.txt": "mine"}),
        lambda: driven.write({"data/x/a.txt": "yours"}),
        "data",
    )
    ran = cli("git-merge", *versions(driven, tmp_path), "data.meta", "--json", code=1)
    assert ran.json["conflicts"] == [
        {
            "path": "data/x/a.txt",
            "why": "changed by both",
            "kept": ["data/x/a.ours.txt", "data/x/a.theirs.txt"],
        }
    ]
    assert ran.json["hash"] in (tmp_path / "ours").read_text()
    assert "1 file of data changed on both sides; each version is kept" in ran.err
    assert "data/x/a.txt (changed by both): data/x/a.ours.txt, data/x/a.theirs.txt" in ran.err
    assert "`dvc-like checkout data`" in ran.err
    quiet = cli("git-merge", *versions(driven, tmp_path), "data.meta", "-q", code=1)
    assert quiet.out == ""


def test_a_single_file_is_left_for_a_choice(driven: Place, cli: Cli) -> None:
    driven.track({"model.bin": "old"})
    diverge(driven, lambda: driven.write({"model.bin": "1"}), lambda: driven.write({"model.bin": "2"}), "model.bin")
    driven.git("merge", "right", code=1)
    assert "<<<<<<< ours\nhash: " in (driven / "model.bin.meta").read_text()
    ran = cli("status", code=7)
    assert "holds a merge conflict" in ran.err
    driven.git("checkout", "--theirs", "--", "model.bin.meta")
    cli("checkout", "model.bin")
    driven.git("add", "model.bin.meta")
    driven.git("commit", "-q", "-m", "theirs")
    assert (driven / "model.bin").read_text() == "2"


def test_what_the_user_wrote_stays(driven: Place) -> None:
    driven.track({"data/a.txt": "old"})
    path = driven / "data.meta"
    path.write_text(f"# where it comes from\n{path.read_text()}desc: frames\nlabels: [one]\n")
    driven.save("words")

    def words(line: str, name: str) -> Callable[[], None]:
        def change() -> None:
            path.write_text(path.read_text() + line)
            driven.write({f"data/{name}": name})

        return change

    diverge(driven, words("owner: ann\n", "b.txt"), words("# seen by bob\nlicence: free\n", "c.txt"), "data")
    driven.git("merge", "-q", "-m", "both", "right")
    text = path.read_text()
    for line in (
        "# where it comes from",
        "desc: frames",
        "labels: [one]",
        "owner: ann",
        "# seen by bob",
        "licence: free",
    ):
        assert text.count(f"{line}\n") == 1
    assert meta(driven)["files"] == "3"
    driven.checkout()
    assert texts(driven).keys() == {"a.txt", "b.txt", "c.txt"}


def test_one_key_with_two_values_is_a_conflict_of_lines(driven: Place, cli: Cli) -> None:
    driven.track({"data/a.txt": "old"})
    path = driven / "data.meta"

    def words(value: str, name: str) -> Callable[[], None]:
        def change() -> None:
            path.write_text(f"{path.read_text()}desc: {value}\n")
            driven.write({f"data/{name}": name})

        return change

    diverge(driven, words("mine", "b.txt"), words("yours", "c.txt"), "data")
    driven.git("merge", "right", code=1)
    text = path.read_text()
    assert "<<<<<<< ours\ndesc: mine\n=======\ndesc: yours\n>>>>>>> theirs\n" in text
    path.write_text(text.replace("<<<<<<< ours\n", "").replace("=======\ndesc: yours\n>>>>>>> theirs\n", ""))
    cli("checkout", "data")  # the data is merged all the same
    assert texts(driven).keys() == {"a.txt", "b.txt", "c.txt"}


def test_both_added_the_same_target(driven: Place) -> None:
    diverge(driven, lambda: driven.write({"data/a": "1"}), lambda: driven.write({"data/b": "2"}), "data")
    driven.git("merge", "-q", "-m", "both", "right")
    driven.checkout()
    assert texts(driven) == {"a": "1", "b": "2"}


def test_where_a_target_lives_is_merged_too(driven: Place) -> None:
    driven.track({"data/a": "1"})
    path = driven / "data.meta"
    diverge(
        driven,
        lambda: path.write_text(f"{path.read_text()}remote: far\n") and None,
        lambda: driven.write({"data/b": "2"}),
        "data",
    )
    driven.git("merge", "-q", "-m", "both", "right")
    assert meta(driven)["remote"] == "far"
    assert meta(driven)["files"] == "2"


def test_rebase_and_cherry_pick(driven: Place) -> None:
    driven.track({"data/a": "1"})
    diverge(driven, lambda: driven.write({"data/b": "2"}), lambda: driven.write({"data/c": "3"}), "data")
    driven.git("branch", "other", "left")
    driven.git("cherry-pick", "right")
    driven.checkout()
    assert texts(driven) == {"a": "1", "b": "2", "c": "3"}
    picked = meta(driven)["hash"]
    driven.git("checkout", "-q", "other")
    driven.git("rebase", "-q", "right")
    assert meta(driven)["hash"] == picked


def test_in_a_worktree_and_out_of_a_stash(driven: Place, tmp_path: Path) -> None:
    driven.track({"data/a": "1", "code/main.py": "pass"})
    diverge(driven, lambda: driven.write({"data/b": "2"}), lambda: driven.write({"data/c": "3"}), "data")
    driven.git("checkout", "-q", "main")
    other = Place(tmp_path / "worktree")
    driven.git("worktree", "add", "-q", other.root, "left")
    driven.git("-C", other.root, "merge", "-q", "-m", "both", "right")
    other.checkout()
    assert texts(other) == {"a": "1", "b": "2", "c": "3"}
    other.write({"data/d": "4"})
    other.add("data")
    other.git("stash", "-q")
    other.git("reset", "-q", "--hard", "HEAD~1")
    other.git("stash", "pop", "-q")
    other.checkout(force=True)
    assert texts(other) == {"a": "1", "b": "2", "d": "4"}


def test_history_that_crosses_itself_loses_nothing(driven: Place) -> None:
    driven.track({"data/a": "1"})
    diverge(driven, lambda: driven.write({"data/a": "mine"}), lambda: driven.write({"data/a": "yours"}), "data")
    for branch, other in (("left", "right"), ("right", "left")):
        driven.git("checkout", "-q", "-b", f"{branch}-crossed", branch)
        driven.git("merge", other, code=1)
        driven.checkout(force=True)
        (driven / "data/a.ours").rename(driven / "data/a")
        (driven / "data/a.theirs").unlink()
        driven.add("data")
        driven.save("crossed")
    driven.git("merge", "left-crossed", code=1)
    driven.checkout(force=True)
    assert {"mine", "yours"} <= set(texts(driven).values())


def test_foreign_meta_files_are_merged_as_text(driven: Place) -> None:
    lines = [f"line {number}" for number in range(20)]
    asset = driven / "asset.meta"

    def put(*changes: tuple[int, str]) -> None:
        found = dict(enumerate(lines)) | dict(changes)
        asset.write_text("".join(f"{line}\n" for line in found.values()))

    put()
    driven.save("asset")
    diverge(driven, lambda: put((1, "ours")), lambda: put((18, "theirs")))
    driven.git("merge", "-q", "-m", "both", "right")
    assert "line 0\nours\n" in asset.read_text()
    assert "theirs\nline 19\n" in asset.read_text()
    driven.git("checkout", "-q", "right")
    put((1, "again"))
    driven.save("again")
    driven.git("merge", "left", code=1)
    assert "<<<<<<< ours\nagain\n" in asset.read_text()


# ------------------------------------------------------------------------------ listings that are not here


@pytest.fixture
def fresh(driven: Place, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A clone, nothing fetched, of a project whose branches left and right changed other files of one folder."""
    driven.track({f"data/{name}/file": name for name in "abc"})
    diverge(driven, lambda: driven.write({"data/a/file": "A"}), lambda: driven.write({"data/b/file": "B"}), "data")
    driven.push(all_branches=True, revisions=("main",))
    driven.git("checkout", "-q", "main")
    copy = Place(tmp_path / "copy")
    driven.git("clone", "-q", driven.root, copy.root)
    for name in ("left", "right"):
        copy.git("branch", name, f"origin/{name}")
    copy.git("checkout", "-q", "left")
    _gitattributes.add(copy.project)
    monkeypatch.chdir(copy.root)
    return copy


def test_listings_come_from_the_remote(fresh: Place, cli: Cli) -> None:
    fresh.git("merge", "-q", "-m", "both", "right")
    files = [path for path in fresh.cache.rglob("*") if path.is_file() and path.parent.parent.name == "blake3"]
    assert files
    assert all(path.name.endswith(".tree") for path in files)  # no data was moved
    cli("pull")
    assert texts(fresh) == {"a/file": "A", "b/file": "B", "c/file": "c"}
    cli("push")


def test_without_the_remote_the_command_that_helps_is_named(
    fresh: Place, store: Path, cli: Cli, capfd: pytest.CaptureFixture[str]
) -> None:
    away = store.with_name("away")
    store.rename(away)
    ran = subprocess.run(["git", "merge", "right"], cwd=fresh.root, capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "data cannot be merged: listings of its folders are not here" in ran.stderr
    assert cli("status", code=7).err.count("merge conflict")  # it is not taken for one of the sides
    away.rename(store)
    (line,) = [line for line in ran.stderr.splitlines() if line.startswith("hint: ")]
    subprocess.run(line.split("`")[1], shell=True, cwd=fresh.root, check=True, capture_output=True)
    assert "<<<<<<<" not in (fresh / "data.meta").read_text()
    fresh.git("add", "data.meta")
    fresh.git("commit", "-q", "-m", "both")
    cli("pull")
    assert texts(fresh) == {"a/file": "A", "b/file": "B", "c/file": "c"}


def test_a_damaged_side_is_a_conflict(driven: Place, cli: Cli, tmp_path: Path) -> None:
    driven.track({"data/a": "1"})
    diverge(driven, lambda: driven.write({"data/b": "2"}), lambda: driven.write({"data/c": "3"}), "data")
    three = versions(driven, tmp_path)
    Path(three[2]).write_text("hash: nonsense\nsize: 1\nfiles: 1\n")
    ran = cli("git-merge", *three, "data.meta", code=7)
    assert "their data.meta has a bad `hash`" in ran.err
    assert "<<<<<<< ours" in Path(three[1]).read_text()


def test_a_damaged_listing_is_a_conflict_and_nothing_is_written(driven: Place, cli: Cli, tmp_path: Path) -> None:
    driven.track({"data/a": "1"})
    diverge(driven, lambda: driven.write({"data/b": "2"}), lambda: driven.write({"data/c": "3"}), "data")
    three = versions(driven, tmp_path)
    shutil.rmtree(driven.cache / "files")
    ran = cli("git-merge", *three, "data.meta", code=4)
    assert "git checkout -m -- data.meta" in ran.err
    assert not (driven.cache / "files").exists() or not list((driven.cache / "files").rglob("*.tree"))


def test_a_project_below_the_top(tmp_path: Path, on_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = tmp_path / "top"
    (top / "sub dir").mkdir(parents=True)
    subprocess.run(["git", "init", "-q", "-b", "main", str(top)], check=True)
    dvc_like.init(top / "sub dir", subdir=True)
    place = Place(top / "sub dir")
    monkeypatch.chdir(place.root)
    _gitattributes.add(place.project)
    place.track({"data/a": "1"})
    diverge(place, lambda: place.write({"data/b": "2"}), lambda: place.write({"data/c": "3"}), "data")
    place.git("merge", "-q", "-m", "both", "right")
    place.checkout()
    assert texts(place) == {"a": "1", "b": "2", "c": "3"}
    assert "+b  1 B" in place.git("diff", "main", "HEAD")
