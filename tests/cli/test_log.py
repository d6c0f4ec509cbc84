"""`log`: what became of one path, told from the meta files and listings of history."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess, in_process
from tests.cli.place import Place, digest_of

import dvc_like
from dvc_like.errors import DataMissing, ProjectError, UsageError
from dvc_like.git import Git

__all__ = ["in_process"]  # the fixture `cli`


def events(place: Place, path: str, **options: object) -> list[tuple[str, str]]:
    """Return the subject and the state of each commit that changed a path, the newest first."""
    found = dvc_like.log(place.project, str(place / path), **options)  # type: ignore[arg-type]
    return [(one.subject, one.state) for one in found]


def record(place: Place, message: str, *targets: str) -> str:
    place.add(*targets)
    return place.save(message)


@pytest.fixture
def story(place: Place) -> Place:
    """Five commits on a dataset and a file."""
    place.write({"data/a": "a1", "data/sub/b": "b1 content", "data/sub/c": "c", "model": "m1"})
    record(place, "one", "data", "model")
    place.write({"data/a": "a2"})
    record(place, "two", "data")
    place.write({"other": "x"})
    place.save("nothing of ours")
    (place / "data/sub/b").rename(place / "data/moved")
    place.write({"model": "m2"})
    record(place, "four", "data", "model")
    place.write({"data/a": "a1"})
    (place / "data/sub/c").unlink()
    record(place, "five", "data")
    return place


def test_a_target(story: Place) -> None:
    assert events(story, "model") == [("four", "modified"), ("one", "added")]
    assert events(story, "model.meta") == [("four", "modified"), ("one", "added")]
    assert [one[0] for one in events(story, "data")] == ["five", "four", "two", "one"]


def test_paths_in_a_dataset(story: Place) -> None:
    assert events(story, "data/a") == [("five", "modified"), ("two", "modified"), ("one", "added")]
    assert events(story, "data/sub/c") == [("five", "deleted"), ("one", "added")]
    assert [one[0] for one in events(story, "data/sub")] == ["five", "four", "one"]


def test_what_an_event_says(story: Place) -> None:
    newest, _, oldest = dvc_like.log(story.project, "data/a")
    assert newest.entry is not None
    assert (newest.entry.value, newest.entry.size) == (digest_of("a1"), 2)
    assert newest.same_as == oldest.commit == story.git("rev-parse", "HEAD~4")
    assert newest.commit == story.git("rev-parse", "HEAD")
    assert newest.date[:4].isdigit()
    assert (newest.author, newest.email) == (story.git("config", "user.name"), story.git("config", "user.email"))


def test_a_file_that_moved_is_followed(story: Place, cli: InProcess) -> None:
    assert events(story, "data/moved") == [("four", "renamed"), ("one", "added")]
    found = dvc_like.log(story.project, "data/moved")
    assert [(one.path, one.old_path) for one in found] == [("data/moved", "data/sub/b"), ("data/sub/b", None)]
    assert "data/sub/b -> data/moved" in cli("log", "data/moved").out


def test_a_dataset_that_moved_is_followed_also_for_what_is_in_it(story: Place) -> None:
    (story / "data").rename(story / "set")
    (story / "data.meta").rename(story / "set.meta")
    story.save("six")
    assert [one[1] for one in events(story, "set")] == ["renamed", "modified", "modified", "modified", "added"]
    assert events(story, "set/a")[0] == ("six", "renamed")
    assert events(story, "set/a")[-1] == ("one", "added")
    assert events(story, "set/moved") == [("six", "renamed"), ("four", "renamed"), ("one", "added")]
    assert events(story, "data/a")[0] == ("six", "deleted")


def test_a_file_that_became_part_of_a_dataset(place: Place) -> None:
    place.write({"all/x": "content of x"})
    record(place, "alone", "all/x")
    place.git("rm", "-q", "all/x.meta", "all/.gitignore")
    record(place, "together", "all")
    assert events(place, "all/x") == [("alone", "added")]  # the same bytes under the same name: nothing became of it
    place.write({"all/x": "changed"})
    record(place, "changed", "all")
    assert events(place, "all/x") == [("changed", "modified"), ("alone", "added")]


def test_only_the_newest(story: Place, cli: InProcess) -> None:
    assert events(story, "data/a", limit=1) == [("five", "modified")]
    assert len(cli("log", "data/a", "-n", "2", "--json").json["events"]) == 2
    assert events(story, "data/moved", limit=1) == [("four", "renamed")]


def test_up_to_a_revision(story: Place, cli: InProcess) -> None:
    assert events(story, "data/a", rev="HEAD~1") == [("two", "modified"), ("one", "added")]
    assert cli("log", "data/a", "--rev", "HEAD~3").out.count("\n") == 2


def test_git_is_not_asked_for_each_commit(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(12):
        place.write({"data/a": f"{number}", "data/b": "b"})
        record(place, f"{number}", "data")
    asked: list[str] = []
    run = Git.run
    monkeypatch.setattr(Git, "run", lambda git, *words, **more: asked.append(words[0]) or run(git, *words, **more))  # type: ignore[func-returns-value]
    assert len(events(place, "data/a")) == 12
    assert len(asked) <= 6


def test_branches_and_merges(story: Place) -> None:
    story.git("checkout", "-q", "-b", "side")
    story.write({"data/side": "s", "model": "m3"})
    record(story, "on the side", "data", "model")
    story.git("checkout", "-q", "main")
    story.checkout(force=True)
    story.write({"readme": "r"})
    story.save("meanwhile")
    story.git("merge", "-q", "--no-edit", "side")
    assert events(story, "data/side") == [("on the side", "added")]
    assert events(story, "model")[0] == ("on the side", "modified")
    story.checkout()
    assert events(story, "data/a") == [("five", "modified"), ("two", "modified"), ("one", "added")]


def test_a_merge_that_decided_is_shown(story: Place) -> None:
    story.git("checkout", "-q", "-b", "side", "HEAD~1")
    story.checkout(force=True)
    story.write({"model": "side"})
    record(story, "side", "model")
    story.git("checkout", "-q", "main")
    story.checkout(force=True)
    story.write({"model": "main"})
    record(story, "main", "model")
    story.git("merge", "-q", "--no-commit", "side", code=1)
    story.git("checkout", "-q", "--ours", "model.meta", "data.meta", code=0)
    story.write({"model": "both"})
    record(story, "merged", "model")
    found = events(story, "model")
    assert found[0] == ("merged", "modified")
    assert {subject for subject, _ in found} == {"merged", "main", "side", "four", "one"}


# ------------------------------------------------------------------------------ what is not here


@pytest.fixture
def pushed(story: Place) -> Place:
    story.push(all_commits=True)
    return story


def test_a_listing_that_is_not_here_is_told(copy: Place, cli: InProcess) -> None:
    copy.pull()
    done = cli("log", "data/a", code=4)
    assert "dvc-like fetch --all-commits data/a" in done.err
    assert "unknown" in done.out
    assert len(cli("log", "model").out.splitlines()) == 2  # single files need no listing
    with pytest.raises(DataMissing):
        dvc_like.log(copy.project, "data/a")
    copy.fetch("data", all_commits=True)
    assert events(copy, "data/a") == [("five", "modified"), ("two", "modified"), ("one", "added")]


def test_a_shallow_clone_says_that_history_is_cut_off(
    pushed: Place, clone: Callable[..., Place], cli: InProcess
) -> None:
    shallow = clone("shallow", "--depth", "2", "--no-local")
    shallow.pull()
    shallow.fetch(revisions=("HEAD~1",))
    assert events(shallow, "model") == [("four", "present")]
    assert "git fetch --unshallow" in cli("log", "model", cwd=shallow.root).out
    assert events(shallow, "data/a") == [("five", "modified"), ("four", "present")]


def test_a_damaged_meta_file_in_history_is_named(story: Place, cli: InProcess) -> None:
    (story / "model.meta").write_text("hash: nonsense\n")
    story.save("damage")
    story.git("checkout", "-q", "HEAD~1", "model.meta")
    story.save("repaired")
    done = cli("log", "model", code=7)
    assert "model.meta" in done.err
    assert "four" in done.out


# ------------------------------------------------------------------------------ output and failure


def test_text_for_people(story: Place, cli: InProcess) -> None:
    lines = cli("log", "data/a").out.splitlines()
    assert lines[0].split("  ")[2:4] == ["modified", "2 B"]
    assert lines[0].endswith(": five")
    assert lines[1].strip() == f"the same content as in {story.git('rev-parse', 'HEAD~4')[:10]}"
    assert cli("log", "-q", "data/a").out == ""
    assert cli("log", "a", cwd=story / "data").out == cli("log", "data/a").out


def test_hostile_subjects_cannot_move_the_cursor(place: Place, cli: InProcess) -> None:
    place.write({"x": "1"})
    place.add("x")
    place.save("\x01commit :100644 \x1b[31m\x1b]0;title\x07")
    out = cli("log", "x").out
    assert "\x1b" not in out
    assert "\\x1b[31m" in out
    assert len(cli("log", "x", "--json").json["events"]) == 1


@pytest.mark.parametrize("words", [("nope",), ("data/nope",), ("data", "--rev", "nope"), (), ("data", "-n", "0")])
def test_called_wrongly(story: Place, cli: InProcess, words: tuple[str, ...]) -> None:
    cli("log", *words, code=2)


def test_outside_a_project_without_git_and_without_commits(tmp_path: Path, repo: Path, cli: InProcess) -> None:
    cli("log", "x", cwd=tmp_path, code=3)
    project = dvc_like.init(tmp_path / "plain", git=False)
    (Path(project.root) / "x").write_text("x")
    dvc_like.add(project, Path(project.root) / "x")
    with pytest.raises(ProjectError):
        dvc_like.log(project, Path(project.root) / "x")
    cli("init", cwd=repo)
    (repo / "x").write_text("x")
    cli("add", "x", cwd=repo)
    assert "in no commit yet" in cli("log", "x", cwd=repo).out
    with pytest.raises(UsageError):
        dvc_like.log(dvc_like.Project.find(repo), repo / "y")


def test_in_a_subproject_and_a_worktree(repo: Path, cli: InProcess, git: Callable[..., str]) -> None:
    (repo / "deep").mkdir()
    cli("init", "--subdir", cwd=repo / "deep")
    (repo / "deep/x").write_text("x")
    cli("add", "x", cwd=repo / "deep")
    git("add", "-A")
    git("commit", "-q", "-m", "one")
    assert cli("log", "x", cwd=repo / "deep").out.endswith(": one\n")
    git("worktree", "add", "-q", str(repo.parent / "tree"))
    assert cli("log", "x", cwd=repo.parent / "tree/deep").out.endswith(": one\n")
    shutil.rmtree(repo.parent / "tree")


def test_a_folder_that_only_holds_targets_is_sent_to_them(place: Place, cli: InProcess) -> None:
    place.write({"sets/a/x": "1", "sets/b": "2"})
    place.add("sets/a", "sets/b")
    place.save()
    done = cli("log", "sets", code=2)
    assert "sets is not tracked itself" in done.err
    assert "sets/a, sets/b" in done.err
    assert "never was" in cli("log", "nope", code=2).err
