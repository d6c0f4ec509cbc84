"""`diff`: every kind of difference, between any two sides, and what is said when a side cannot be read."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess, in_process
from tests.cli.place import Place, digest_of, objects_in

import dvc_like
from dvc_like.cache.store import Cache
from dvc_like.errors import DataMissing, ProjectError

__all__ = ["in_process"]  # the fixture `cli`


@pytest.fixture
def tracked(place: Place) -> Place:
    place.write({f"data/{sub}/{n}": f"{sub}{n} content" for sub in "ab" for n in range(3)})
    place.write({"data/run": ("file", True, b"x"), "data/link": ("link", False, "a/0"), "data/hollow": None})
    place.write({"single": "single content"})
    place.add("data", "single")
    place.save()
    place.git("tag", "v1")
    return place


def states(place: Place, *revisions: str, targets: tuple[str, ...] = ()) -> dict[str, str]:
    """Return every path that differs, with its state and where it was."""
    named = tuple(str(place / target) for target in targets)
    found = dvc_like.diff(place.project, *revisions, targets=named)
    return {one.path: f"{one.state}{f' {one.old_path}' if one.old_path else ''}" for one in found.differences}


def change(place: Place) -> dict[str, str]:
    """Change the workspace in every way; return what `diff` has to say of it."""
    place.write({"data/a/0": "A0 content", "data/new": "n", "data/fresh/deep/er": "f", "data/void": None})
    (place / "data/a/1").unlink()
    (place / "data/a/2").rename(place / "data/moved")
    (place / "data/b").rename(place / "data/c")
    (place / "data/run").chmod(0o644)
    (place / "data/link").unlink()
    (place / "data/link").symlink_to("moved")
    (place / "data/hollow").rmdir()
    (place / "single").write_text("another thing")
    return {
        "data/a/0": "modified",
        "data/a/1": "deleted",
        "data/moved": "renamed data/a/2",
        "data/c": "renamed data/b",
        "data/run": "modified",
        "data/link": "modified",
        "data/hollow": "deleted",
        "data/new": "added",
        "data/fresh": "added",
        "data/fresh/deep": "added",
        "data/fresh/deep/er": "added",
        "data/void": "added",
        "single": "modified",
    }


def test_nothing_differs(tracked: Place, cli: InProcess) -> None:
    assert states(tracked) == {}
    assert "HEAD -> workspace: nothing differs." in cli("diff", "--exit-code").out
    assert cli("diff", "--json").json == {
        "schema": "dvc-like/diff/1",
        "a": tracked.git("rev-parse", "HEAD"),
        "b": None,
        "differences": [],
        "missing": [],
    }


def test_every_difference_to_the_workspace(tracked: Place) -> None:
    wanted = change(tracked)
    assert states(tracked) == wanted
    tracked.add("data", "single")  # recorded, not committed
    assert states(tracked) == wanted


def test_without_the_index_content_is_compared_and_nothing_counts_as_deleted(tracked: Place) -> None:
    wanted = change(tracked)
    shutil.rmtree(tracked / ".dvc-like/tmp")
    found = states(tracked)
    assert {path: state for path, state in found.items() if state == "modified"} == {
        path: state for path, state in wanted.items() if state == "modified"
    }
    assert set(found.values()) == {"modified", "added"}


def test_every_difference_between_revisions(tracked: Place) -> None:
    wanted = change(tracked)
    tracked.add("data", "single")
    tracked.save()
    assert states(tracked, "v1") == wanted
    assert states(tracked, "v1", "HEAD") == wanted
    assert states(tracked, "HEAD") == {}
    back = states(tracked, "HEAD", "v1")
    assert back["data/b"] == "renamed data/c"
    assert back["data/a/2"] == "renamed data/moved"
    assert (back["data/a/1"], back["data/new"]) == ("added", "deleted")


def test_a_path_narrows_it(tracked: Place, cli: InProcess) -> None:
    change(tracked)
    assert states(tracked, targets=("data/a/0",)) == {"data/a/0": "modified"}
    assert states(tracked, targets=("data/a", "single.meta")) == {
        "data/a/0": "modified",
        "data/a/1": "deleted",
        "data/a/2": "deleted",
        "single": "modified",
    }
    for words in (("--", "data/a/0"), ("--targets", "data/a/0", "single"), ("v1", "--targets", "data/a/0")):
        assert "data/a/0" in cli("diff", *words).out
        assert "data/new" not in cli("diff", *words).out
    assert "data/a/0" in cli("diff", "--", "a/0", cwd=tracked / "data").out


def test_a_target_that_came_went_or_moved(tracked: Place) -> None:
    tracked.write({"late": "late content"})
    tracked.add("late")
    (tracked / "other").mkdir()
    (tracked / "single").rename(tracked / "other/single")
    (tracked / "single.meta").rename(tracked / "other/single.meta")
    shutil.rmtree(tracked / "data")
    (tracked / "data.meta").unlink()
    found = states(tracked)
    assert found["late"] == "added"
    assert found["other/single"] == "renamed single"
    assert found["data"] == "deleted"
    assert found["data/b/1"] == "deleted"


def test_files_become_folders_and_back(tracked: Place) -> None:
    shutil.rmtree(tracked / "data/a")
    (tracked / "data/run").unlink()
    tracked.write({"data/a": "a file", "data/run/inner": "inner"})
    found = states(tracked)
    assert (found["data/a"], found["data/run"], found["data/run/inner"]) == ("added", "added", "added")
    differences = dvc_like.diff(tracked.project).differences
    assert [(one.state, one.entry.kind) for one in differences if one.path == "data/a"] == [
        ("deleted", "d"),
        ("added", "f"),
    ]


def test_hashes_and_sizes(tracked: Place, cli: InProcess) -> None:
    tracked.write({"single": "another content, longer"})
    (one,) = cli("diff", "--json").json["differences"]
    assert (one["old_hash"], one["new_hash"]) == (digest_of("single content"), None)  # there was no need to hash it
    assert (one["old_size"], one["new_size"]) == (14, 23)
    tracked.add("single")
    (one,) = cli("diff", "--json").json["differences"]
    assert one["new_hash"] == digest_of("another content, longer")


def test_empty_files_are_not_taken_for_moved_ones(tracked: Place) -> None:
    tracked.write({"data/empty": ""})
    tracked.add("data")
    tracked.save()
    (tracked / "data/empty").unlink()
    tracked.write({"data/void": ""})
    assert states(tracked) == {"data/empty": "deleted", "data/void": "added"}


def test_a_moved_folder_that_also_changed_is_told_by_file(tracked: Place) -> None:
    (tracked / "data/b").rename(tracked / "data/c")
    tracked.write({"data/c/0": "changed"})
    assert states(tracked) == {
        "data/b": "deleted",
        "data/b/0": "deleted",
        "data/c": "added",
        "data/c/0": "added",
        "data/c/1": "renamed data/b/1",
        "data/c/2": "renamed data/b/2",
    }


# ------------------------------------------------------------------------------ partial presence


@pytest.fixture
def pushed(tracked: Place) -> Place:
    tracked.push()
    change(tracked)
    tracked.add("data", "single")
    tracked.save()
    tracked.git("tag", "v2")
    tracked.push()
    return tracked


def test_what_was_never_checked_out_is_not_deleted(copy: Place) -> None:
    copy.pull("data/a")
    assert states(copy) == {}
    copy.write({"data/a/0": "edited here"})
    assert states(copy) == {"data/a/0": "modified"}
    (copy / "data/a/0").unlink()
    assert states(copy) == {"data/a/0": "deleted"}


def test_what_is_not_in_the_cache_is_named_and_the_rest_is_compared(copy: Place, cli: InProcess) -> None:
    copy.pull()
    done = cli("diff", "v1", code=4)
    assert "2 paths could not be compared" in done.err or "1 path could not be compared" in done.err
    assert "dvc-like fetch --rev v1" in done.err
    assert "modified  single" in done.out
    assert "data/  (its listing is not in the cache)" in done.out
    document = cli("diff", "v1", "--json", "--hide-missing").json
    assert document["missing"] == ["data"]
    assert {one["path"]: one["state"] for one in document["differences"]} == {"data": "modified", "single": "modified"}
    with pytest.raises(DataMissing):
        dvc_like.diff(copy.project, "v1")
    cli("fetch", "--rev", "v1")
    assert "renamed   data/b/ -> data/c/" in cli("diff", "v1").out


def test_equal_subtrees_are_not_read(tracked: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    tracked.write({"data/a/0": "A0"})
    tracked.add("data")
    tracked.save()
    read: list[str] = []
    original = Cache.read_tree
    monkeypatch.setattr(Cache, "read_tree", lambda cache, digest: read.append(digest) or original(cache, digest))  # type: ignore[func-returns-value]
    assert states(tracked, "v1", "HEAD") == {"data/a/0": "modified"}
    assert len(read) == 4  # the root and `a`, twice
    read.clear()
    assert states(tracked) == {}
    assert read == []
    tracked.write({"data/b/0": "B0"})
    assert states(tracked) == {"data/b/0": "modified"}
    assert len(read) <= 2


def test_no_object_of_unchanged_data_is_needed(tracked: Place) -> None:
    shutil.rmtree(tracked.cache / "files")
    assert states(tracked) == {}
    assert states(tracked, "v1", "HEAD") == {}


# ------------------------------------------------------------------------------ content


def test_content_of_text_tables_and_images(tracked: Place, cli: InProcess) -> None:
    png = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\2\x80\0\0\1\xe0"
    before = {"d/t.csv": "id,x\n1,2\n", "d/pic.png": png, "d/blob": b"\0\1", "d/lines": "a\nb\n"}
    tracked.write(before)
    tracked.add("d")
    tracked.save()
    tracked.write(
        {"d/t.csv": "id,x,y\n1,2,3\n", "d/pic.png": png[:-1] + b"\xe1", "d/blob": b"\0\1\2", "d/lines": "a\nB\n"}
    )
    for _ in range(2):
        out = cli("diff", "--content").out
        assert "rows: +2 -2; fields: +y" in out
        assert "      -id,x\n      -1,2\n      +id,x,y\n      +1,2,3\n" in out
        assert "640x480 -> 640x481" in out
        assert "lines: +1 -1\n      -b\n      +B\n" in out
        tracked.add("d")  # then both sides come from the cache
    by_path = {one["path"]: one["content"] for one in cli("diff", "--content", "--json").json["differences"]}
    assert by_path["d/blob"]["kind"] == "bytes"
    assert by_path["d/t.csv"]["new_fields"] == ["y"]


def test_content_that_is_not_here_is_named(tracked: Place, cli: InProcess) -> None:
    tracked.cached("single content").unlink()
    tracked.write({"single": "other"})
    cli("diff")
    done = cli("diff", "--content", code=4)
    assert "  single\n" in done.err
    assert "modified  single" in done.out
    cli("diff", "--content", "--hide-missing")


def test_a_mode_that_changed_is_no_other_content(tracked: Place, cli: InProcess) -> None:
    (tracked / "data/run").chmod(0o644)
    out = cli("diff", "--content", "--show-hash").out
    assert "modified  data/run  executable -> file" in out
    assert "lines:" not in out


# ------------------------------------------------------------------------------ output


def test_folders_are_folded_and_opened_with_verbose(tracked: Place, cli: InProcess) -> None:
    tracked.write({f"data/many/{n:03}": f"{n}" for n in range(150)})
    out = cli("diff").out
    assert "added     data/many/  (150 files, 340 B)" in out
    assert "data/many/001" not in out
    assert "data/many/149" in cli("diff", "-v").out
    assert cli("diff", "-q").out == ""
    assert len(cli("diff", "--json").json["differences"]) == 151


def test_a_table_for_a_pull_request(tracked: Place, cli: InProcess) -> None:
    assert cli("diff", "--md").out == "No differences in tracked data.\n"
    tracked.write({"data/a|b `c`": "x", "data/@team [x](y)": "x", "data/a/0": "A0"})
    lines = cli("diff", "--md", "--content").out.splitlines()
    assert lines[:2] == ["| state | path | size |", "| --- | --- | ---: |"]
    rows = [line for line in lines if line.startswith("| added")]
    assert "| added | `data/@team [x](y)` | 1 B |" in rows
    assert "| added | `` data/a\\|b `c` `` | 1 B |" in rows
    assert "```diff" in lines
    assert "-a0 content" in lines


def test_what_stands_in_a_file_cannot_move_the_cursor(tracked: Place, cli: InProcess) -> None:
    tracked.write({"data/tab.tsv": "a\tb\n"})
    tracked.add("data")
    tracked.save()
    tracked.write({"data/tab.tsv": "a\t\x1b[31mb\n"})
    out = cli("diff", "--content", "--md").out + cli("diff", "--content").out
    assert "\x1b" not in out
    assert "+a\\t\\x1b[31mb" in out


def test_exit_code_is_10_only_when_asked_for(tracked: Place, cli: InProcess) -> None:
    tracked.write({"single": "changed"})
    cli("diff")
    assert "1 path differs" in cli("diff", "--exit-code", code=10).err
    assert len(cli("diff", "--exit-code", "--json", code=10).out.splitlines()) == 1


# ------------------------------------------------------------------------------ failure


@pytest.mark.parametrize(
    "words", [("nope",), ("v1", "nope"), ("v1", "HEAD", "v1"), ("--", "nope"), ("v1", "--", "data/nope"), ("-x",)]
)
def test_called_wrongly(tracked: Place, cli: InProcess, words: tuple[str, ...]) -> None:
    cli("diff", *words, code=2)


def test_outside_a_project_and_without_git(tmp_path: Path, cli: InProcess) -> None:
    cli("diff", cwd=tmp_path, code=3)
    project = dvc_like.init(tmp_path / "plain", git=False)
    assert "dvc-like status" in cli("diff", cwd=project.root, code=3).err
    with pytest.raises(ProjectError):
        dvc_like.diff(project)


def test_before_the_first_commit_everything_is_added(repo: Path, cli: InProcess) -> None:
    cli("init")
    (repo / "x").write_text("x")
    cli("add", "x")
    done = cli("diff", "--json").json
    assert (done["a"], [(one["path"], one["state"]) for one in done["differences"]]) == (None, [("x", "added")])
    assert "nothing -> workspace" in cli("diff").out
    cli("diff", "HEAD", code=2)


def test_a_detached_head_and_a_shallow_clone(pushed: Place, clone: Callable[..., Place], cli: InProcess) -> None:
    pushed.git("checkout", "-q", "--detach", "v1")
    assert "renamed   data/b/ -> data/c/" in cli("diff", "HEAD", "v2").out
    shallow = clone("shallow", "--depth", "1", "--no-local")
    cli("diff", "HEAD~1", cwd=shallow.root, code=2)
    assert "nothing differs" in cli("diff", cwd=shallow.root).out


def test_a_damaged_meta_file_is_named_and_is_no_difference(tracked: Place, cli: InProcess) -> None:
    (tracked / "single.meta").write_text("hash: nonsense\n")
    tracked.write({"data/a/0": "A0 content"})
    done = cli("diff", code=7)
    assert "single.meta" in done.err
    assert "modified  data/a/0" in done.out
    assert "deleted" not in done.out
    tracked.save()
    done = cli("diff", "v1", "HEAD", code=7)
    assert "single.meta" in done.err
    assert "deleted" not in done.out


def test_a_damaged_listing_counts_as_missing(tracked: Place, cli: InProcess) -> None:
    tracked.write({"data/a/0": "A0"})
    tracked.add("data")
    tracked.save()
    root = (tracked / "data.meta").read_text().split()[1].partition(":")[2]
    path = objects_in(tracked.cache)[f"files/blake3/{root[:2]}/{root[2:]}.tree"]
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"x")
    cli("diff", "v1", "HEAD", code=4)


def test_a_nested_project_is_not_looked_into(tracked: Place, cli: InProcess) -> None:
    (tracked / "sub").mkdir()
    cli("init", "--subdir", cwd=tracked / "sub")
    (tracked / "sub/inner").write_text("inner")
    cli("add", "inner", cwd=tracked / "sub")
    tracked.save()
    assert states(tracked) == {}
    assert states(tracked, "v1", "HEAD") == {}
    assert cli("diff", "v1", "--json", cwd=tracked / "sub").json["differences"][0]["path"] == "inner"


def test_diff_changes_nothing(tracked: Place) -> None:
    change(tracked)
    before, objects = tracked.data(), set(objects_in(tracked.cache))
    states(tracked)
    states(tracked, "v1", "HEAD")
    assert (tracked.data(), set(objects_in(tracked.cache))) == (before, objects)
    assert tracked.changes()["data/new"] == "added"


@pytest.mark.parametrize("seed", [*range(5), 64])
def test_the_differences_lead_from_one_side_to_the_other(place: Place, seed: int) -> None:
    rng = random.Random(seed)

    def shuffle() -> None:
        """Add, edit, move and remove at random."""
        for _ in range(rng.randint(1, 12)):
            there = sorted(path for path in (place / "data").rglob("*"))
            name = "/".join(rng.choices("abc", k=rng.randint(1, 3)))
            target = place / "data" / name
            if rng.random() < 0.6 or not there:
                if not any(above.is_file() for above in [*target.parents, target]) and not target.is_dir():
                    place.write({f"data/{name}": rng.choice(["one", "two", "three and more", ""])})
                continue
            chosen = rng.choice(there)
            if rng.random() < 0.5:
                shutil.rmtree(chosen) if chosen.is_dir() else chosen.unlink()
            elif not target.exists() and target.parent.is_dir() and chosen not in [target, *target.parents]:
                chosen.rename(target)

    def files() -> dict[str, bytes]:
        root = place.root
        return {
            path.relative_to(root).as_posix(): path.read_bytes()
            for path in (place / "data").rglob("*")
            if path.is_file()
        }

    def replay(old: dict[str, bytes], new: dict[str, bytes], *revisions: str) -> None:
        found = dvc_like.diff(place.project, *revisions).differences
        made, moved = dict(old), dict[str, bytes]()
        for one in found:
            if one.old_path is not None:
                below = [name for name in old if f"{name}/".startswith(f"{one.old_path}/")]
                moved |= {one.path + name[len(one.old_path) :]: made.pop(name) for name in below}
            elif one.state == "deleted" and one.entry.kind != "d":
                del made[one.path]
        made |= moved
        for one in found:
            if one.state == "added" and one.entry.kind != "d":
                assert one.path not in made
                made[one.path] = new[one.path]
            elif one.state == "modified":
                assert made[one.path] != new[one.path]
                made[one.path] = new[one.path]
        assert made == new

    place.write({"data/a/first": "first"})
    place.add("data")
    place.save()
    versions = []
    for number in range(3):
        before = files()
        shuffle()
        (place / "data").mkdir(exist_ok=True)
        if number:
            replay(before, files())
        place.add("data")
        place.save()
        versions.append(files())
    replay(versions[0], versions[2], "HEAD~2")
    replay(versions[0], versions[2], "HEAD~2", "HEAD")
    replay(versions[2], versions[1], "HEAD", "HEAD~1")


def test_sizes_of_links_into_the_cache_are_those_of_the_files(place: Place) -> None:
    place.config("local", cache_type="symlink")
    place.track({"data/a": "first content", "data/b": "b"})
    assert (place / "data/a").is_symlink()
    (place / "data/a").unlink()
    place.write({"data/a": "second, longer content"})
    place.add("data")
    (place / "data/a").rename(place / "data/c")
    (one, two) = dvc_like.diff(place.project).differences
    assert ((one.state, one.entry.size), (two.state, two.entry.size)) == (("deleted", 13), ("added", 22))


def test_a_listing_that_lies_is_named_and_the_rest_is_compared(tracked: Place, cli: InProcess) -> None:
    tracked.write({"single": "changed", "data/a/0": "changed"})
    tracked.add("data", "single")
    meta = tracked / "data.meta"
    meta.write_text(meta.read_text().replace("files: 8", "files: 9"))
    tracked.save()
    tracked.git("tag", "lie")
    done = cli("diff", "v1", "lie", code=7)
    assert "data does not have the size and number of files" in done.err
    assert "modified  single" in done.out


def test_what_only_went_to_another_target_is_no_difference(tracked: Place) -> None:
    shutil.rmtree(tracked / "data/b")
    tracked.write({"data/b/0": "b0 content", "data/b/1": "other", "data/b/2": "b2 content"})
    (tracked / "data.meta").unlink()
    tracked.write({".gitignore": "/single\n"})
    (tracked / "data/hollow").rmdir()
    tracked.add("data/a", "data/b", "data/run")
    tracked.save()
    found = states(tracked, "v1", "HEAD")
    assert found == {"data/b/1": "modified", "data/link": "deleted", "data/hollow": "deleted", "data": "deleted"}
