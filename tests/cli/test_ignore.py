"""`.dvc-likeignore` and `check-ignore`: what a rule leaves out, and that it never takes anything away."""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess, in_process
from tests.cli.place import Place, past_the_tick, tree_lines

import dvc_like
from dvc_like.errors import UsageError, WouldOverwrite
from dvc_like.workspace import ignore
from dvc_like.workspace.ignore import MAX_RULES, MAX_SIZE, Ignore

__all__ = ["in_process"]  # the fixture `cli`


def listed(place: Place, path: str = "data") -> set[str]:
    """Return the paths of the files in a recorded dataset."""
    found = set()

    def visit(digest: str, prefix: str) -> None:
        hexes = digest.partition(":")[2]
        tree = place.cache / "files/blake3" / hexes[:2] / f"{hexes[2:]}.tree"
        for line in tree_lines(tree.read_bytes()):
            found.add(prefix + line.name + ("/" if line.kind == "d" else ""))
            if line.kind == "d":
                visit(line.value, f"{prefix}{line.name}/")

    visit((place / f"{path}.meta").read_text().split()[1], "")
    return found


@pytest.fixture
def ruled(place: Place) -> Place:
    """A dataset with a rule above it."""
    place.write({".dvc-likeignore": "*.tmp\nlogs/\n"})
    place.write({"data/a": "a", "data/a.tmp": "t", "data/sub/b": "b", "data/sub/b.tmp": "t", "data/logs/l": "l"})
    place.add("data")
    place.save()
    return place


def test_ignored_files_are_in_no_tree_and_no_status(ruled: Place) -> None:
    assert listed(ruled) == {"a", "sub/", "sub/b"}
    assert ruled.states() == {"data": "unchanged"}
    ruled.write({"data/c.tmp": "t", "data/logs/m": "m", "data/c": "c"})
    assert ruled.changes() == {"data/c": "added"}


def test_what_is_ignored_may_be_what_could_not_be_tracked(place: Place) -> None:
    place.write({"data/.dvc-likeignore": "*.sock\n.git/\n", "data/a": "a", "data/.git/HEAD": "x"})
    os.mkfifo(place / "data/x.sock")
    place.add("data")
    assert listed(place) == {".dvc-likeignore", "a"}


@pytest.mark.parametrize("settle", [True, False])
def test_a_rule_that_comes_or_goes_is_noticed_at_once(ruled: Place, settle: bool) -> None:
    if settle:  # the index now vouches for what it can
        past_the_tick(ruled / "data/sub")
        ruled.states()
    ruled.write({".dvc-likeignore": "*.tmp\n"})
    assert ruled.changes() == {"data/logs/l": "added"}
    (ruled / ".dvc-likeignore").unlink()
    assert ruled.changes() == {"data/a.tmp": "added", "data/sub/b.tmp": "added", "data/logs/l": "added"}
    ruled.write({"data/sub/.dvc-likeignore": "*\n"})
    assert ruled.changes() == {"data/a.tmp": "added", "data/logs/l": "added"}
    ruled.write({"data/sub/.dvc-likeignore": "*\n!.dvc-likeignore\n"})
    assert ruled.changes() == {"data/a.tmp": "added", "data/logs/l": "added", "data/sub/.dvc-likeignore": "added"}


def test_what_is_recorded_stays_recorded(place: Place) -> None:
    place.write({"data/a": "a", "data/x.tmp": "t", "data/logs/l": "l"})
    place.add("data")
    place.write({".dvc-likeignore": "*.tmp\nlogs/\n"})
    place.write({"data/b": "b", "data/y.tmp": "new", "data/logs/m": "new"})
    assert place.changes() == {"data/b": "added"}
    place.write({"data/x.tmp": "changed"})
    assert place.changes() == {"data/b": "added", "data/x.tmp": "modified"}
    place.add("data")
    assert listed(place) == {"a", "b", "x.tmp", "logs/", "logs/l"}
    (place / "data/x.tmp").unlink()
    place.add("data")
    assert listed(place) == {"a", "b", "logs/", "logs/l"}


def test_what_is_recorded_stays_recorded_without_the_index(place: Place) -> None:
    place.write({"data/a": "a", "data/sub/x.tmp": "t", "data/logs/l": "l"})
    place.add("data")
    place.write({".dvc-likeignore": "*.tmp\nlogs/\n", "data/sub/y.tmp": "new"})
    shutil.rmtree(place / ".dvc-like/tmp")
    assert place.changes() == {}
    shutil.rmtree(place / ".dvc-like/tmp")
    place.write({"data/sub/x.tmp": "changed"})
    assert place.changes() == {"data/sub/x.tmp": "modified"}
    place.add("data")
    assert listed(place) == {"a", "sub/", "sub/x.tmp", "logs/", "logs/l"}


def test_force_makes_a_dataset_what_is_here_and_not_ignored(place: Place) -> None:
    place.write({"data/a": "a", "data/x.tmp": "t", "data/logs/l": "l"})
    place.add("data")
    place.write({".dvc-likeignore": "*.tmp\nlogs/\n"})
    place.add("data", force=True)
    assert listed(place) == {"a"}
    assert (place / "data/x.tmp").read_text() == "t"
    assert (place / "data/logs/l").read_text() == "l"
    assert place.states() == {"data": "unchanged"}


def test_an_ignored_path_is_added_only_by_force(ruled: Place, cli: InProcess) -> None:
    done = cli("add", "data/a.tmp", code=2)
    assert "is ignored by .dvc-likeignore, line 1: *.tmp" in done.err
    assert "--force" in done.err
    with pytest.raises(UsageError):
        ruled.add("data/logs/l")
    ruled.write({"top.tmp": "t"})
    cli("add", "top.tmp", code=2)
    cli("add", "--force", "data/a.tmp", "data/logs")
    assert listed(ruled) == {"a", "a.tmp", "sub/", "sub/b", "logs/", "logs/l"}
    ruled.write({"data/a.tmp": "changed"})
    assert ruled.changes() == {"data/a.tmp": "modified"}
    cli("add", "data/a.tmp")  # recorded now


def test_a_glob_passes_over_what_is_ignored(ruled: Place, cli: InProcess) -> None:
    ruled.write({"raw/1.bin": "1", "raw/2.bin": "2", "raw/3.tmp": "3"})
    cli("add", "--glob", "raw/*")
    assert set(ruled.states()) == {"data", "raw/1.bin", "raw/2.bin"}


def test_a_target_is_a_target_whatever_covers_it(place: Place) -> None:
    place.write({"data/a": "a"})
    place.add("data")
    place.write({".dvc-likeignore": "data/\n", "data/b": "b"})
    assert place.changes() == {"data/b": "added"}
    place.add("data")
    assert listed(place) == {"a", "b"}


# ------------------------------------------------------------------------------ checkout


def versions(place: Place) -> None:
    """Tag ``with``, which has the file ``x.tmp``, and ``without``, where a rule keeps it out."""
    place.write({"data/a": "a", "data/x.tmp": "old"})
    place.add("data")
    place.save()
    place.git("tag", "with")
    place.write({".dvc-likeignore": "*.tmp\n"})
    place.add("data", force=True)
    place.save()
    place.git("tag", "without")


def test_a_version_that_has_what_is_ignored_is_checked_out_whole(place: Place) -> None:
    versions(place)
    (place / "data/x.tmp").unlink()
    place.git("checkout", "-q", "with")
    place.write({".dvc-likeignore": "*.tmp\n"})  # a rule that Git did not bring along
    assert place.checkout().created == ("data/x.tmp",)
    assert place.states() == {"data": "unchanged"}
    assert not any(place.checkout())


def test_an_ignored_file_is_never_overwritten(place: Place) -> None:
    versions(place)
    place.write({"data/x.tmp": "mine, in no cache"})
    place.git("checkout", "-q", "with")
    place.write({".dvc-likeignore": "*.tmp\n"})
    assert place.changes() == {"data/x.tmp": "modified"}
    with pytest.raises(WouldOverwrite, match="1 unsaved file"):
        place.checkout()
    assert (place / "data/x.tmp").read_text() == "mine, in no cache"
    place.write({"data/x.tmp": "old"})
    assert not any(place.checkout())


def test_a_folder_that_goes_keeps_what_is_ignored_in_it(place: Place) -> None:
    place.write({"data/a": "a"})
    place.add("data")
    place.write({".dvc-likeignore": "*.tmp\n"})
    first = place.save()
    place.write({"data/sub/b": "b", "data/sub/b.tmp": "precious"})
    place.add("data")
    place.save()
    place.git("checkout", "-q", first)
    assert place.checkout().removed == ("data/sub/b",)
    assert (place / "data/sub/b.tmp").read_text() == "precious"
    assert not any(place.checkout())


def test_a_folder_with_ignored_files_does_not_give_way_to_a_file(place: Place) -> None:
    place.write({"data": "a file"})
    place.add("data")
    place.write({".dvc-likeignore": "*.tmp\n"})
    first = place.save()
    (place / "data").unlink()
    place.write({"data/b": "b", "data/b.tmp": "precious"})
    place.add("data")
    place.save()
    place.git("checkout", "-q", first)
    with pytest.raises(WouldOverwrite, match="never added"):
        place.checkout(force=True)
    assert (place / "data/b.tmp").read_text() == "precious"


def test_a_clone_pulls_what_is_recorded(place: Place, clone: Callable[..., Place]) -> None:
    place.write({"data/a": "a", "data/x.tmp": "t"})
    place.add("data")
    place.write({".dvc-likeignore": "*.tmp\n"})
    place.save()
    place.push()
    copy = clone()
    copy.pull()
    assert (copy / "data/x.tmp").read_text() == "t"
    assert copy.states() == {"data": "unchanged"}


# ------------------------------------------------------------------------------ check-ignore


def test_check_ignore_answers_as_git_does(ruled: Place, cli: InProcess) -> None:
    assert cli("check-ignore", "data/a.tmp", "data/a", "data/logs/l").out == "data/a.tmp\ndata/logs/l\n"
    assert cli("check-ignore", "data/a", code=1).out == ""
    details = cli("check-ignore", "-d", "-n", "data/a.tmp", "data/logs/l", "data/a").out.splitlines()
    assert details == [".dvc-likeignore:1:*.tmp\tdata/a.tmp", ".dvc-likeignore:2:logs/\tdata/logs/l", "::\tdata/a"]
    assert cli("check-ignore", "-v", "data/a.tmp").out == ".dvc-likeignore:1:*.tmp\tdata/a.tmp\n"
    assert cli("check-ignore", "-q", "data/a.tmp").out == ""
    assert cli("check-ignore", "nowhere/logs/", "nowhere/logs").out == "nowhere/logs/\n"


def test_check_ignore_in_a_subfolder_and_as_json(ruled: Place, cli: InProcess) -> None:
    found = cli("check-ignore", "--json", "a.tmp", "a", cwd=ruled / "data").json
    assert [(one["path"], one["ignored"], one["line"]) for one in found["paths"]] == [
        ("data/a.tmp", True, 1),
        ("data/a", False, None),
    ]


def test_check_ignore_reads_paths_from_stdin(ruled: Place, cli: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    import io

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"data/a\ndata/a.tmp\n"), encoding="utf-8"))
    assert cli("check-ignore", "--stdin").out == "data/a.tmp\n"


@pytest.mark.parametrize("words", [(), ("--stdin", "x"), ("-n", "x"), ("/outside/of/it",)])
def test_check_ignore_called_wrongly(ruled: Place, cli: InProcess, words: tuple[str, ...]) -> None:
    cli("check-ignore", *words, code=2)


def test_check_ignore_without_a_project(tmp_path: Path, cli: InProcess) -> None:
    assert json.loads(cli("check-ignore", "--json", "x", cwd=tmp_path, code=3).out)["error"]["kind"] == "NoProject"


def test_a_bad_file_of_rules_is_named(ruled: Place, cli: InProcess) -> None:
    (ruled / ".dvc-likeignore").unlink()
    (ruled / ".dvc-likeignore").symlink_to("/etc/passwd")
    assert ".dvc-likeignore is a link" in cli("check-ignore", "x", code=7).err
    ruled.write({"data/new": "n"})
    assert ".dvc-likeignore is a link" in cli("add", "data", code=7).err
    assert ".dvc-likeignore is a link or no ordinary file: its rules do not count" in cli("status").err


def test_python(ruled: Place) -> None:
    (found,) = dvc_like.check_ignore(ruled.project, [str(ruled / "data/a.tmp")])
    assert found.ignored
    assert found.rule is not None
    assert found.rule.text == "*.tmp"


# ------------------------------------------------------------------------------ as a whole


@pytest.mark.parametrize("seed", range(6))
def test_what_is_added_is_what_git_would_take(place: Place, seed: int) -> None:
    rng = random.Random(seed)
    names = ["a", "b", "ab", "a.tmp", "keep", "x.log"]
    rules = ["*", "a", "/a", "b/", "!keep", "*.tmp", "!*.tmp", "a/**", "**/b", "!a/", "sub/*", "data/b", "/data/sub/"]
    rules += ["a**/**", "a**/b", "/s**", "sub/a**/x.log", "!data/s**/keep", "d***/b", "sub/?**/a"]
    spec = {"/".join(["data", *rng.choices(["a", "b", "sub"], k=rng.randint(0, 3)), rng.choice(names) + "_"]): "1"}
    for _ in range(40):
        path = "/".join(["data", *rng.choices(["a", "b", "sub", "d"], k=rng.randint(0, 3)), rng.choice(names)])
        if not any(other.startswith(f"{path}/") or path.startswith(f"{other}/") for other in spec):
            spec[path] = "1"
    folders = sorted({os.path.dirname(path) for path in spec})
    for folder in ["", *rng.sample(folders, min(3, len(folders)))]:
        lines = rng.sample(rules, rng.randint(1, 4))
        spec[f"{folder}/.dvc-likeignore".lstrip("/")] = "".join(f"{line}\n" for line in lines)
    place.write(dict(spec))
    place.add("data", force=True)  # whatever covers the folder as a whole
    listed_by_git = place.git("ls-files", "--others", "--exclude-per-directory=.dvc-likeignore", "-z", "data")
    rules_above = (place / ".dvc-likeignore").read_text().split()
    if not {"*", "data/b"} & set(rules_above):  # those of the first cover what Git then would not enter
        theirs = {path.removeprefix("data/") for path in listed_by_git.split("\0") if path}
        assert {path for path in listed(place) if not path.endswith("/")} == theirs
    assert place.states() == {"data": "unchanged"}
    shutil.rmtree(place / ".dvc-like/tmp")
    assert place.states() == {"data": "unchanged"}


def test_rules_are_not_even_looked_for_where_nothing_changed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write({".dvc-likeignore": "*.tmp\n", "data/a": "a", "data/sub/b": "b"})
    place.add("data")
    past_the_tick(place / "data/sub")
    place.states()
    asked: list[str] = []
    concerns = Ignore.concerns
    monkeypatch.setattr(Ignore, "concerns", lambda *args: asked.append(args[1]) or concerns(*args))  # type: ignore[func-returns-value]
    assert place.states() == {"data": "unchanged"}
    assert asked == []
    place.write({"data/sub/c.tmp": "t"})
    assert place.states() == {"data": "unchanged"}
    assert asked == ["data/sub"]


def test_rules_that_cannot_be_read_are_not_taken_for_missing_data(place: Place, cli: InProcess) -> None:
    place.track({"data/a": "a"})
    (place / "data/.dvc-likeignore").symlink_to("a")
    done = cli("status")
    assert "data/.dvc-likeignore is a link" in done.err
    assert "pull" not in done.out
    assert "data/.dvc-likeignore is a link" in cli("commit", code=7).err


@pytest.mark.parametrize("kind", ["link", "large", "many"])
@pytest.mark.parametrize("where", ["data/sub/", "data/", ""])
def test_rules_of_a_stranger_that_cannot_be_read_keep_nobody_from_his_data(
    place: Place, store: Path, clone: Callable[..., Place], monkeypatch: pytest.MonkeyPatch, kind: str, where: str
) -> None:
    """As Git does not read a `.gitignore` that is a link. What is in the dataset cannot even be taken out first."""
    texts = {"link": ("link", False, "b"), "large": "#" * (MAX_SIZE + 1), "many": "x\n" * (MAX_RULES + 1)}
    place.write({f"{where}.dvc-likeignore": texts[kind], "data/sub/a": "a", "data/sub/b": "b"})
    with monkeypatch.context() as patched:
        patched.setattr(ignore, "NAME", ".somewhere-else")
        place.add("data")
    place.save()
    place.push()
    copy, run = clone(), InProcess()
    for words in (["pull"], ["checkout"], ["status"], ["diff"]):
        done = run(*words, cwd=copy.root)
    assert copy.data() == place.data()
    (copy / "data/sub/a").unlink()
    copy.write({"data/sub/new.tmp": "mine"})
    done = run("checkout", "--force", cwd=copy.root)
    assert f"{where}.dvc-likeignore " in done.err
    assert "its rules do not count" in done.err
    assert (copy / "data/sub/a").read_text() == "a"
    assert (copy / "data/sub/new.tmp").read_text() == "mine"
    assert f"{where}.dvc-likeignore " in run("add", "data", cwd=copy.root, code=(3, 7)).err
