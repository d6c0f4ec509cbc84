"""`ls` and `du`: told from meta files and listings, whether the data is here or not."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess, in_process
from tests.cli.place import Place, digest_of, make_place
from tests.cli.sources import make_origin
from tests.servers.githttp import GitHttp

import dvc_like
from dvc_like.errors import DataMissing, UsageError

__all__ = ["in_process"]  # the fixture `cli`


@pytest.fixture
def full(place: Place) -> Place:
    """Two versions of a dataset, a file and some code."""
    place.write({"sets/data/a": "aaaa", "sets/data/sub/b": "bb", "sets/data/sub/deep/c": "c", "sets/data/hollow": None})
    place.write({"sets/data/run": ("file", True, b"x"), "sets/data/link": ("link", False, "a")})
    place.write({"model": "mmm", "src/code.py": "print()\n"})
    place.add("sets/data", "model")
    place.save()
    place.git("tag", "v1")
    place.write({"sets/data/new": "new one"})
    place.add("sets/data")
    place.save()
    place.git("tag", "v2")
    return place


@pytest.fixture
def pushed(full: Place) -> Place:
    full.push(all_commits=True)
    return full


def names(place: Place, path: str = "", **options: object) -> list[str]:
    found = dvc_like.ls(str(place / path), repo=place.project, **options)  # type: ignore[arg-type]
    return [one.path + ("/" if one.kind == "d" else "") for one in found]


DATASET = ["a", "hollow/", "link", "new", "run", "sub/"]


def test_a_folder_with_both_kinds(full: Place, cli: InProcess) -> None:
    assert names(full) == [".dvc-like/", ".gitignore", "model", "model.meta", "sets/", "src/"]
    assert names(full, "sets") == ["sets/.gitignore", "sets/data/", "sets/data.meta"]
    assert cli("ls", "sets").out.splitlines() == [".gitignore", "data/", "data.meta"]
    assert names(full, dvc_only=True) == ["model", "sets/"]


def test_inside_a_dataset(full: Place, cli: InProcess) -> None:
    assert cli("ls", "sets/data").out.splitlines() == DATASET
    assert cli("ls", "data/sub", cwd=full / "sets").out.splitlines() == ["b", "deep/"]
    assert cli("ls", "sets/data/sub/b").out.splitlines() == ["b"]
    assert cli("ls", "model").out.splitlines() == ["model"]


def test_all_files_below(full: Place) -> None:
    below = ["a", "hollow/", "link", "new", "run", "sub/b", "sub/deep/c"]
    assert names(full, "sets/data", recursive=True) == [f"sets/data/{name}" for name in below]
    assert names(full, recursive=True, dvc_only=True) == ["model", *(f"sets/data/{name}" for name in below)]
    assert set(names(full, recursive=True)) >= {"src/code.py", "model.meta", "sets/data/sub/deep/c", "model"}


def test_another_revision(full: Place) -> None:
    assert "sets/data/new" not in names(full, "sets/data", rev="v1")
    assert "sets/data/new" in names(full, "sets/data", rev="v2")
    full.git("rm", "-q", "-r", "src", "model.meta")
    full.save()
    assert "src/" not in names(full)
    assert names(full, rev="v1") == [".dvc-like/", ".gitignore", "model", "model.meta", "sets/", "src/"]


def test_sizes_hashes_and_kinds(full: Place, cli: InProcess) -> None:
    found = {one["path"]: one for one in cli("ls", "--json", "sets/data").json["paths"]}
    assert found["sets/data/a"] == {
        "path": "sets/data/a",
        "kind": "file",
        "size": 4,
        "files": 1,
        "tracked": "dvc-like",
        "hash": digest_of("aaaa"),
        "source": None,
    }
    assert (found["sets/data/sub"]["size"], found["sets/data/sub"]["files"]) == (3, 2)
    assert (found["sets/data/run"]["kind"], found["sets/data/link"]["kind"]) == ("executable", "link")
    top = {one["path"]: one for one in cli("ls", "--json", "--rev", "v2").json["paths"]}
    assert (top["src"]["tracked"], top["src"]["size"], top["sets"]["tracked"]) == ("git", 8, None)
    assert "10 B" not in cli("ls", "--size").out.splitlines()[2]
    assert cli("ls", "--size", "sets/data/a").out.split() == ["4", "B", "a"]
    assert cli("ls", "--show-hash", "sets/data/a").out.split() == [digest_of("aaaa")[7:15], "a"]


def test_nothing_need_be_checked_out(copy: Place, cli: InProcess) -> None:
    with pytest.raises(DataMissing):
        names(copy, "sets/data", fetch=False)
    assert "sets/" in names(copy)
    done = cli("ls", "sets/data", "--rev", "v1", code=4)
    assert "dvc-like fetch --rev v1 sets/data" in done.err
    copy.fetch("sets/data", revisions=("v1",))
    assert cli("ls", "sets/data").out.splitlines() == DATASET
    assert cli("ls", "sets/data", "--rev", "v1").out.splitlines() == [name for name in DATASET if name != "new"]


def test_all_files_of_what_is_partly_here(copy: Place, cli: InProcess) -> None:
    done = cli("ls", "-R", code=4)
    assert "src/code.py" in done.out
    assert "sets/data/" in done.out


def test_another_repository_on_this_machine(full: Place, tmp_path: Path, cli: InProcess) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    for url in (str(full.root), "../project", f"file://{full.root}"):
        assert cli("ls", url, cwd=elsewhere).out.splitlines()[-2:] == ["sets/", "src/"]
        assert cli("ls", url, "sets/data", "--rev", "v2", cwd=elsewhere).out.splitlines() == DATASET
        assert cli("ls", f"{url}/sets", "data", cwd=elsewhere).out.splitlines() == DATASET
    assert cli("ls", ".", "sets/data").out.splitlines() == DATASET
    assert cli("ls", str(full.root), "--json", cwd=elsewhere).json["root"] == str(full.root)


def test_the_current_folder_is_what_is_listed(full: Place, cli: InProcess) -> None:
    assert cli("ls", cwd=full / "sets").out.splitlines() == [".gitignore", "data/", "data.meta"]
    assert cli("ls", cwd=full / "sets/data/sub").out.splitlines() == ["b", "deep/"]
    assert cli("ls", "--rev", "v1", cwd=full / "sets/data").out.splitlines() == [x for x in DATASET if x != "new"]
    assert [one["path"] for one in cli("ls", "--json", cwd=full / "src").json["paths"]] == ["src/code.py"]
    assert cli("ls", "--dvc-only", cwd=full / "src").out == ""
    (full / "nothing").mkdir()
    assert cli("ls", cwd=full / "nothing").out == ""
    assert "nothing is tracked neither" in cli("ls", "--rev", "v1", cwd=full / "nothing", code=2).err


def test_a_revision_that_is_not_there_names_the_repository(full: Place, tmp_path: Path, cli: InProcess) -> None:
    other = make_place(tmp_path / "other")
    assert "'nope' is no revision here" in cli("ls", "--rev", "nope", code=2).err
    for asked in (
        lambda: cli("ls", "../other", "--rev", "nope", code=2).err,
        lambda: cli("get", "../other", "x", "--rev", "nope", code=2).err,
        lambda: message_of(lambda: dvc_like.read("x", rev="nope", repo="../other")),
        lambda: message_of(lambda: dvc_like.ls("", rev="nope", repo=other.project)),
    ):
        assert "other" in asked()
        assert "'nope'" in asked()
        assert "here" not in asked().partition("\n")[0]


def message_of(call: Callable[[], object]) -> str:
    with pytest.raises(UsageError) as caught:
        call()
    return caught.value.message


def test_a_repository_on_another_machine(tmp_path: Path, cli: InProcess) -> None:
    with contextlib.closing(GitHttp(tmp_path)) as server:
        origin = make_origin(tmp_path / "origin", server, tmp_path / "storage")
        assert cli("ls", origin.url, cwd=tmp_path).out.splitlines()[-4:] == [
            "data.meta",
            "model.bin",
            "model.bin.meta",
            "notes.txt",
        ]
        assert cli("ls", origin.url, "data/sub", "--rev", "v1", cwd=tmp_path).out.splitlines() == ["b.txt", "c.txt"]
        with_user = server.url("origin/.git", user="me:secret")
        found = cli("ls", with_user, "data", "--json", cwd=tmp_path)
        assert found.json["root"] == origin.url
        assert "secret" not in found.out + found.err
        cli("ls", origin.url, "nope", cwd=tmp_path, code=2)
        cli("ls", origin.url, "--rev", "nope", cwd=tmp_path, code=2)
    cli("ls", "ext::sh -c true", "data", cwd=tmp_path, code=3)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("ls", "nope"), 2),
        (("ls", "sets/data/nope"), 2),
        (("ls", "model/nope"), 2),
        (("ls", "--rev", "nope"), 2),
        (("ls", "a", "b", "c"), 2),
        (("ls", "/", "x"), 3),
        (("du", "nope"), 2),
        (("du", "sets/data/nope"), 2),
        (("du", "--rev", "nope"), 2),
        (("du", "--rev", "v1", "sets/data/new"), 2),
        (("du", "-s", "-d", "1"), 2),
    ],
)
def test_called_wrongly(full: Place, cli: InProcess, words: tuple[str, ...], code: int) -> None:
    cli(*words, code=code)


def test_outside_a_project_and_without_git(tmp_path: Path, cli: InProcess) -> None:
    for verb in ("ls", "du"):
        cli(verb, cwd=tmp_path, code=3)
    project = dvc_like.init(tmp_path / "plain", git=False)
    for verb in ("ls", "du"):
        cli(verb, cwd=project.root)
    (Path(project.root) / "x").write_text("xx")
    cli("add", "x", cwd=project.root)
    assert cli("ls", cwd=project.root).out == "x\n"
    assert cli("du", cwd=project.root).out == "2 B  1 file   x\n"
    cli("ls", "--rev", "HEAD", cwd=project.root, code=3)
    cli("du", "--rev", "HEAD", cwd=project.root, code=3)


def test_before_the_first_commit(repo: Path, cli: InProcess) -> None:
    cli("init")
    (repo / "x").write_text("x")
    cli("add", "x")
    assert "x" in cli("ls").out.splitlines()
    cli("ls", "--rev", "HEAD", code=2)


def test_a_damaged_meta_file_is_named_and_the_rest_is_listed(full: Place, cli: InProcess) -> None:
    (full / "model.meta").write_text("hash: nonsense\n")
    for words in (("ls",), ("du",)):
        done = cli(*words, code=7)
        assert "model.meta" in done.err
        assert "data" in done.out or "sets" in done.out


def test_a_damaged_listing_is_missing(full: Place, cli: InProcess) -> None:
    shutil.rmtree(full.cache / "files")
    cli("ls", "sets/data", code=4)
    done = cli("du", "sets/data", code=4)
    assert done.out == "15 B  6 files  sets/data/\n", "the meta file knows"
    cli("du", "-s", "sets/data")


def test_odd_names_are_shown_whole(place: Place, cli: InProcess) -> None:
    place.write({"data/a  b": "1", "data/é☃": "2", "data/-x": "3"})
    place.add("data")
    assert cli("ls", "data").out.splitlines() == ["-x", "a  b", "é☃"]
    assert cli("ls", "-q", "data").out == ""


# ------------------------------------------------------------------------------ du


def usage(place: Place, *targets: str, **options: object) -> list[tuple[str, int, int]]:
    named = tuple(str(place / target) for target in targets)
    return [(one.path, one.size, one.files) for one in dvc_like.du(place.project, named, **options)]  # type: ignore[arg-type]


ALL = [
    ("model", 3, 1),
    ("sets/data/hollow", 0, 0),
    ("sets/data/sub/deep", 1, 1),
    ("sets/data/sub", 3, 2),
    ("sets/data", 15, 6),
]


def test_sizes_of_everything(full: Place, cli: InProcess) -> None:
    assert sorted(usage(full)) == sorted(ALL)
    assert usage(full, "sets/data") == ALL[1:]
    assert usage(full, "sets/data/sub/b") == [("sets/data/sub/b", 2, 1)]
    assert usage(full, "sets") == [*ALL[1:], ("sets", 15, 6)]
    out = cli("du").out
    assert "15 B  6 files  sets/data/\n" in out
    assert out.splitlines()[-1] == "18 B  7 files  total"


def test_depth_and_sums(full: Place, cli: InProcess) -> None:
    assert usage(full, "sets/data", max_depth=1) == [*ALL[1:2], *ALL[3:]]
    assert usage(full, "sets/data", max_depth=0) == ALL[-1:]
    assert cli("du", "-s", "sets").out == "15 B  6 files  sets/\n"
    found = cli("du", "--json", "-d", "1", "sets").json
    assert [(one["path"], one["depth"]) for one in found["paths"]] == [("sets/data", 1), ("sets", 0)]
    assert (found["size"], found["files"]) == (15, 6)


def test_sizes_at_a_revision_and_of_what_is_not_here(pushed: Place, clone: Callable[..., Place]) -> None:
    assert usage(pushed, "sets/data", rev="v1", max_depth=0) == [("sets/data", 8, 5)]
    copy = clone()
    assert usage(copy, max_depth=0) == [("model", 3, 1), ("sets/data", 15, 6)]
    with pytest.raises(DataMissing):
        usage(copy)
    with pytest.raises(UsageError):
        usage(copy, "src")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such a name")
def test_names_of_git_that_are_no_text(full: Place, cli: InProcess) -> None:
    with open(os.fsencode(full.root) + b"/src/\xff\x1b.py", "w") as file:
        file.write("x")
    full.save()
    assert "\\udcff\\x1b.py" in cli("ls", "src").out
    assert [one["path"] for one in cli("ls", "src", "--json").json["paths"]] == ["src/code.py", "src/\\udcff\x1b.py"]


def test_one_entry_is_found_by_its_whole_name(place: Place, cli: InProcess) -> None:
    place.write({f"data/{name}": name for name in ("a", "b", "ba", "ab", "b.txt", "dvc-like tree 1", "tree 1")})
    place.write({"data/link": ("link", False, "ab")})
    place.add("data")
    for name in ("a", "b", "ba", "tree 1", "link"):
        (one,) = dvc_like.ls(f"data/{name}", repo=place.root)
        assert one.path == f"data/{name}"
    for name in ("t", "txt", "1", "dvc-like tree", "f"):
        cli("ls", f"data/{name}", code=2)
