"""`add`: what becomes a target, what is refused, and what a path inside a tracked folder changes."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.place import Place, digest_of
from tests.conftest import Cli

from dvc_like.errors import DataMissing, UnsafePath, UsageError


def meta(place: Place, name: str) -> dict[str, str]:
    lines = (place / f"{name}.meta").read_text().splitlines()
    return dict(line.split(": ", 1) for line in lines)


# ------------------------------------------------------------------------------ targets


def test_a_file_gets_a_meta_file_an_ignore_line_and_an_object(place: Place, cli: Cli) -> None:
    place.write({"data/demo.txt": "first version\n"})
    done = cli("add", "data/demo.txt")
    assert meta(place, "data/demo.txt") == {"hash": digest_of("first version\n"), "size": "14"}
    assert (place / "data/.gitignore").read_text() == "/demo.txt\n"
    assert place.cached("first version\n").read_text() == "first version\n"
    assert "added" in done.out
    assert "git add data/demo.txt.meta data/.gitignore" in done.out


def test_a_file_in_the_root_names_the_root_ignore_file(place: Place, cli: Cli) -> None:
    place.write({"demo.txt": "x"})
    assert "git add demo.txt.meta .gitignore" in cli("add", "demo.txt").out


@pytest.mark.parametrize("below", ["", "a folder/deep"])
def test_what_it_says_to_type_works_from_any_folder(place: Place, cli: Cli, below: str) -> None:
    names = ["a folder/deep/it's.txt", "a folder/$HOME", "- odd [x]*.txt", ":(top)x", "été"]
    place.write(dict.fromkeys(names, "x"))
    done = cli("add", "--", *(place / name for name in names), cwd=place / below)
    typed = done.out.splitlines()[-1].partition(": ")[2]
    subprocess.run(["sh", "-c", typed], cwd=place / below, check=True)
    staged = place.git("diff", "--cached", "--name-only", "-z").split("\0")
    assert {f"{name}.meta" for name in names} <= {*staged}


def test_git_ignores_what_was_added(place: Place) -> None:
    place.write({"a b.txt": "1", "odd*[x].txt": "2", "oddyx.txt": "3", "!bang": "4", "#hash": "5", "end ": "6"})
    place.add("a b.txt", "odd*[x].txt", "!bang", "#hash", "end ")
    untracked = place.git("status", "--porcelain", "-z", "--untracked-files=all").split("\0")
    names = {line[3:] for line in untracked if line}
    assert "oddyx.txt" in names
    assert names.isdisjoint({"a b.txt", "odd*[x].txt", "!bang", "#hash", "end "})


def test_a_folder_is_counted_and_kept_with_bits_links_and_empty_folders(place: Place) -> None:
    place.write(
        {
            "data/a.txt": "aa",
            "data/sub/run.sh": ("file", True, b"#!/bin/sh\n"),
            "data/sub/link": ("link", False, "../a.txt"),
            "data/empty": None,
        }
    )
    place.add("data")
    assert meta(place, "data")["size"] == "12"
    assert meta(place, "data")["files"] == "3"
    assert (place / ".gitignore").read_text() == "/data\n"


def test_several_targets_of_both_kinds_in_one_call(place: Place, cli: Cli) -> None:
    place.write({"one.txt": "1", "two/x": "2", "two/y": "3"})
    found = cli("add", "one.txt", "two", "--json").json
    assert found["schema"] == "dvc-like/add/1"
    assert [(one["path"], one["state"], one["files"]) for one in found["targets"]] == [
        ("one.txt", "added", None),
        ("two", "added", 2),
    ]
    assert found["targets"][0]["hash"] == digest_of("1")
    assert found["targets"][0]["meta"] == "one.txt.meta"


def test_what_is_added_again_unchanged_is_not_read_and_its_meta_file_not_written(place: Place) -> None:
    place.write({"data/x": "1"})
    place.add("data")
    before = (place / "data.meta").stat().st_ino
    (again,) = place.add("data")
    assert again.state == "unchanged"
    assert (place / "data.meta").stat().st_ino == before


def test_a_changed_file_is_updated(place: Place, cli: Cli) -> None:
    place.write({"x": "1"})
    place.add("x")
    place.write({"x": "22"})
    assert "updated" in cli("add", "x").out
    assert meta(place, "x")["hash"] == digest_of("22")


def test_keys_of_the_user_survive(place: Place) -> None:
    place.write({"x": "1"})
    place.add("x")
    with open(place / "x.meta", "a") as file:
        file.write("remote: storage\ndesc: my file\nlabels: [raw, new]\n")
    place.write({"x": "2"})
    place.add("x")
    text = (place / "x.meta").read_text()
    assert text.startswith(f"hash: {digest_of('2')}\nsize: 1\nremote: storage\n")
    assert "desc: my file" in text
    assert "raw" in text


def test_an_executable_file_is_recorded_as_such(place: Place) -> None:
    place.write({"run": ("file", True, b"#!/bin/sh\n")})
    place.add("run")
    assert meta(place, "run")["exec"] == "true"
    (place / "run").chmod(0o644)
    assert place.states() == {"run": "changed"}
    place.add("run")
    assert "exec" not in meta(place, "run")


def test_an_empty_file_and_an_empty_folder_are_data_too(place: Place) -> None:
    place.write({"nothing": "", "hollow": None})
    place.add("nothing", "hollow")
    assert meta(place, "nothing")["size"] == "0"
    assert meta(place, "hollow")["files"] == "0"
    (place / "nothing").unlink()
    (place / "hollow").rmdir()
    place.checkout()
    assert (place / "nothing").read_bytes() == b""
    assert (place / "hollow").is_dir()


def test_glob_takes_what_matches_and_no_meta_files(place: Place, cli: Cli) -> None:
    place.write({"raw/a.csv": "1", "raw/deep/b.csv": "2", "raw/c.txt": "3"})
    cli("add", "--glob", "raw/**/*.csv")
    assert place.states() == {"raw/a.csv": "unchanged", "raw/deep/b.csv": "unchanged"}
    cli("add", "--glob", "raw/a.*")
    assert not (place / "raw/a.csv.meta.meta").exists()


def test_a_glob_without_hits_is_a_usage_error(place: Place, cli: Cli) -> None:
    assert "*.none" in cli("add", "--glob", "*.none", code=2).err


def test_a_target_may_be_named_from_a_subfolder_and_absolutely(place: Place, cli: Cli, tmp_path: Path) -> None:
    place.write({"data/x": "1", "y": "2"})
    cli("add", "x", "../y", cwd=place / "data")
    assert place.states() == {"data/x": "unchanged", "y": "unchanged"}
    cli("add", place / "y", cwd=place / "data")


def test_autostage_puts_meta_and_ignore_file_into_gits_index(place: Place, cli: Cli) -> None:
    place.config(core_autostage="true")
    place.save()
    place.write({"d/x": "1"})
    done = cli("add", "d/x")
    assert place.git("diff", "--cached", "--name-only").split() == ["d/.gitignore", "d/x.meta"]
    assert "git add" not in done.out


# ------------------------------------------------------------------------------ a path inside a tracked folder


@pytest.fixture
def dataset(place: Place) -> Place:
    place.write({f"data/{sub}/{n}.txt": f"{sub}{n}" for sub in ("cats", "dogs") for n in range(3)})
    place.write({"data/notes.txt": "notes"})
    place.add("data")
    place.save("data")
    return place


def test_an_edit_inside_is_recorded_alone(dataset: Place) -> None:
    dataset.write({"data/cats/0.txt": "new cat", "data/dogs/0.txt": "not yet"})
    (done,) = dataset.add("data/cats/0.txt")
    assert (done.target.path, done.state, done.stored) == ("data", "updated", 1)
    assert dataset.changes() == {"data/dogs/0.txt": "modified"}
    assert not (dataset / "data/cats/0.txt.meta").exists()


def test_a_new_file_inside_is_recorded_alone(dataset: Place) -> None:
    dataset.write({"data/cats/new.txt": "n", "data/dogs/new.txt": "m"})
    dataset.add("data/cats/new.txt")
    assert meta(dataset, "data")["files"] == "8"
    assert dataset.changes() == {"data/dogs/new.txt": "added"}


def test_a_file_deleted_inside_is_recorded_alone(dataset: Place) -> None:
    (dataset / "data/cats/0.txt").unlink()
    (dataset / "data/dogs/0.txt").unlink()
    dataset.add("data/cats/0.txt")
    assert meta(dataset, "data")["files"] == "6"
    assert dataset.changes() == {"data/dogs/0.txt": "deleted"}


def test_a_folder_deleted_inside_is_recorded(dataset: Place) -> None:
    for path in (dataset / "data/cats").iterdir():
        path.unlink()
    (dataset / "data/cats").rmdir()
    dataset.add("data/cats")
    assert meta(dataset, "data")["files"] == "4"
    assert dataset.states() == {"data": "unchanged"}


def test_a_new_subfolder_inside_is_recorded(dataset: Place) -> None:
    dataset.write({"data/birds/deep/er/0.txt": "b", "data/birds/none": None})
    dataset.add("data/birds")
    assert meta(dataset, "data")["files"] == "8"
    assert dataset.states() == {"data": "unchanged"}


def test_a_file_in_a_new_subfolder_inside_is_recorded(dataset: Place) -> None:
    dataset.write({"data/birds/deep/0.txt": "b"})
    dataset.add("data/birds/deep/0.txt")
    assert dataset.states() == {"data": "unchanged"}
    assert meta(dataset, "data")["files"] == "8"


def test_two_paths_inside_at_once_are_both_recorded(dataset: Place) -> None:
    dataset.write({"data/cats/0.txt": "new cat", "data/dogs/0.txt": "new dog"})
    (done,) = dataset.add("data/cats/0.txt", "data/dogs")
    assert done.state == "updated"
    assert dataset.states() == {"data": "unchanged"}
    whole = meta(dataset, "data")["hash"]
    dataset.add("data", force=True)
    assert meta(dataset, "data")["hash"] == whole


def test_a_file_inside_that_became_a_folder_and_back(dataset: Place) -> None:
    (dataset / "data/notes.txt").unlink()
    dataset.write({"data/notes.txt/one": "1", "data/notes.txt/two": "2"})
    dataset.add("data/notes.txt")
    assert dataset.states() == {"data": "unchanged"}
    assert meta(dataset, "data")["files"] == "8"
    for path in (dataset / "data/notes.txt").iterdir():
        path.unlink()
    (dataset / "data/notes.txt").rmdir()
    dataset.write({"data/notes.txt": "notes"})
    dataset.add("data/notes.txt")
    assert dataset.states() == {"data": "unchanged"}
    assert meta(dataset, "data")["files"] == "7"


def test_a_path_inside_that_never_was_is_a_usage_error(dataset: Place) -> None:
    with pytest.raises(UsageError, match="nope"):
        dataset.add("data/cats/nope")


def test_what_is_absent_is_not_deleted_unless_forced(dataset: Place, clone: Callable[..., Place]) -> None:
    dataset.push()
    copy = clone()
    copy.pull("data/cats/0.txt")
    copy.write({"data/cats/0.txt": "edited"})
    copy.add("data")
    assert meta(copy, "data")["files"] == "7"
    copy.add("data", force=True)
    assert meta(copy, "data")["files"] == "1"


def test_a_partial_folder_whose_listing_is_gone_is_not_guessed(dataset: Place, clone: Callable[..., Place]) -> None:
    dataset.push()
    copy = clone()
    copy.write({"data/cats/0.txt": "edited"})
    before = (copy / "data.meta").read_bytes()
    with pytest.raises(DataMissing, match="not checked out"):
        copy.add("data")
    assert (copy / "data.meta").read_bytes() == before


# ------------------------------------------------------------------------------ refused


def test_a_folder_that_holds_a_target_is_refused(place: Place, cli: Cli) -> None:
    place.write({"data/x": "1", "data/y": "2"})
    place.add("data/x")
    done = cli("add", "data", code=2)
    assert "data/x" in done.err
    assert not (place / "data.meta").exists()


def test_two_new_targets_one_in_the_other_are_refused(place: Place) -> None:
    place.write({"data/x": "1", "data-2": "sorts between them"})
    with pytest.raises(UsageError, match="add one of them"):
        place.add("data", "data-2", "data/x")
    assert not (place / "data.meta").exists()
    assert not (place / "data/x.meta").exists()


def test_outside_of_the_project_is_refused(place: Place, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "outside.txt").write_text("x")
    done = cli("add", "../outside.txt", code=2)
    assert "outside the project" in done.err
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".meta"] == []


def test_the_root_itself_is_refused(place: Place, cli: Cli) -> None:
    cli("add", ".", code=2)


def test_what_does_not_exist_is_refused(place: Place, cli: Cli) -> None:
    assert "nope.txt" in cli("add", "nope.txt", code=2).err


def test_no_target_is_a_usage_error(place: Place, cli: Cli) -> None:
    cli("add", code=2)


def test_what_git_tracks_is_refused_with_the_way_out(place: Place, cli: Cli) -> None:
    place.write({"readme.txt": "x", "src/a.py": "x"})
    place.save()
    assert "git rm -r --cached readme.txt" in cli("add", "readme.txt", code=2).err
    with pytest.raises(UsageError, match="Git tracks"):
        place.add("src")


def test_a_meta_file_is_refused(place: Place) -> None:
    place.write({"x": "1"})
    place.add("x")
    with pytest.raises(UsageError, match="meta file"):
        place.add("x.meta")


def test_a_link_alone_is_refused(place: Place, cli: Cli) -> None:
    place.write({"x": "1", "to-x": ("link", False, "x"), "nowhere": ("link", False, "gone")})
    cli("add", "to-x", code=7)
    with pytest.raises(UnsafePath):
        place.add("nowhere")


@pytest.mark.parametrize("target", ["/etc/hostname", "../outside", "sub/../../outside"])
def test_a_link_that_leaves_the_dataset_is_refused(place: Place, target: str) -> None:
    place.write({"data/ok": "1", "data/sub/x": "2", "data/out": ("link", False, target)})
    with pytest.raises(UnsafePath, match="data/out"):
        place.add("data")
    assert not (place / "data.meta").exists()


def test_a_dangling_link_inside_the_dataset_is_kept(place: Place) -> None:
    place.write({"data/later": ("link", False, "not-yet/there")})
    place.add("data")
    (place / "data/later").unlink()
    place.checkout()
    assert os.readlink(place / "data/later") == "not-yet/there"


def test_a_link_to_an_edited_parent_folder_is_not_followed(place: Place, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("s")
    place.write({"hop": ("link", False, str(outside))})
    with pytest.raises(UnsafePath):
        place.add("hop/secret")
    assert [path.name for path in outside.iterdir()] == ["secret"]


def test_a_fifo_is_refused_at_once(place: Place, cli: Cli) -> None:
    place.write({"data/x": "1"})
    os.mkfifo(place / "data/pipe")
    os.mkfifo(place / "alone")
    assert "data/pipe is a named pipe" in cli("add", "data", code=7, timeout=20).err
    cli("add", "alone", code=7, timeout=20)


def test_a_socket_is_refused(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write({"d/x": "1"})
    monkeypatch.chdir(place / "d")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("s")
        with pytest.raises(UnsafePath, match="socket"):
            place.add("d")


@pytest.mark.parametrize(
    "name",
    [b"new\nline", b"esc\x1b[31m", b"back\\slash", b"not-utf8-\xff", b".GIT", b"git~1", b".git ", "sep\u2028".encode()],
)
def test_an_unsafe_name_is_refused_and_shown_escaped(place: Place, cli: Cli, name: bytes) -> None:
    folder = os.fsencode(place / "data")
    os.mkdir(folder)
    with open(os.path.join(folder, name), "wb") as file:
        file.write(b"x")
    done = cli("add", "data", code=7)
    assert "\x1b[31m" not in done.err
    assert len(done.err.splitlines()) == 2  # the thing, the way out
    assert not (place / "data.meta").exists()


def test_a_repository_inside_the_data_is_refused(place: Place) -> None:
    place.write({"data/x": "1", "data/inner/.git/config": "x"})
    with pytest.raises(UnsafePath, match=r"data/inner/\.git"):
        place.add("data")


def test_an_unreadable_file_fails_and_the_other_targets_are_added(place: Place, unprivileged: Cli) -> None:
    place.write({"data/locked": "1", "data/open": "2", "fine": "3"})
    (place / "data/locked").chmod(0)
    done = unprivileged("add", "data", "fine", code=1)
    assert "locked" in done.err
    assert "Traceback" not in done.err
    assert not (place / "data.meta").exists()
    (place / "data/locked").chmod(0o644)
    unprivileged("add", "data", "fine")
    assert place.states() == {"data": "unchanged", "fine": "unchanged"}


def test_one_bad_target_does_not_keep_the_others_from_being_added(place: Place, cli: Cli) -> None:
    place.write({"a": "1", "z": "2", "link": ("link", False, "a")})
    done = cli("add", "a", "nope", "link", "z", code=7)
    assert "nope" in done.err
    assert "link" in done.err
    assert place.states() == {"a": "unchanged", "z": "unchanged"}


# ------------------------------------------------------------------------------ force


def test_force_stores_again_what_is_damaged_in_the_cache(place: Place) -> None:
    place.write({"data/x": "precious"})
    place.add("data")
    stored = place.cached("precious")
    stored.chmod(0o644)
    stored.write_text("rotten!!")
    place.add("data", force=True)
    assert place.cached("precious").read_text() == "precious"


def test_an_emptied_cache_is_filled_again_by_add_force(place: Place) -> None:
    place.write({"data/x": "1", "y": "2"})
    place.add("data", "y")
    shutil.rmtree(place.cache)
    place.add("data", "y", force=True)
    assert place.cached("1").read_text() == "1"
    assert place.cached("2").read_text() == "2"


def test_a_single_object_lost_from_the_cache_is_filled_again_by_add_force(place: Place) -> None:
    place.write({"data/x": "1", "data/y": "2"})
    place.add("data")
    place.cached("1").unlink()
    place.add("data", force=True)
    assert place.cached("1").read_text() == "1"


# ------------------------------------------------------------------------------ links into the cache


@pytest.mark.parametrize("kind", ["hardlink", "symlink"])
def test_with_links_the_workspace_shares_its_bytes_with_the_cache(place: Place, kind: str) -> None:
    place.config(cache_type=f"{kind},copy")
    place.write({"data/x": "1", "y": "2"})
    place.add("data", "y")
    for name, content in (("data/x", "1"), ("y", "2")):
        assert (place / name).samefile(place.cached(content))
        assert (place / name).is_symlink() == (kind == "symlink")
    assert place.states() == {"data": "unchanged", "y": "unchanged"}
    assert [one.state for one in place.add("data", "y")] == ["unchanged", "unchanged"]


def test_data_written_through_a_hard_link_is_not_taken_for_the_object(place: Place) -> None:
    place.config(cache_type="hardlink")
    place.write({"y": "good"})
    place.add("y")
    (place / "y").chmod(0o644)
    with open(place / "y", "r+") as file:
        file.write("evil")
    assert place.states() == {"y": "changed"}
    copy_of = place / "again"
    place.add("y")
    assert meta(place, "y")["hash"] == digest_of("evil")
    assert place.cached("evil").read_text() == "evil"
    assert not copy_of.exists()
