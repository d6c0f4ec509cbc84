"""`verify`: revisions whose data is not all there are found, and what lacks is named; with real git and stores."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess as Cli
from tests.cli.inprocess import in_process  # noqa: F401 - the fixture `cli` of this file
from tests.cli.place import Place, key_of, unlock
from tests.cli.stores import take_out

import dvc_like
from dvc_like import Selection
from dvc_like.errors import BadTree, UsageError
from dvc_like.remote.local import LocalBackend


def lacking(ran: object) -> list[tuple[str, str, bool]]:
    return [(one["revision"], one["path"], one["listing"]) for one in ran.json["lacking"]]  # type: ignore[attr-defined]


@pytest.fixture
def pushed(place: Place) -> Place:
    """A folder and a file, all of it on the remote."""
    place.track({"data/a": "a", "data/sub/b": "b", "data/sub/c": "c", "model.bin": "m"})
    place.push()
    return place


def test_all_is_there(pushed: Place, cli: Cli) -> None:
    assert cli("verify").out == "All that 1 revision needs is in the cache.\n"
    assert cli("verify", "--pushed").out == "All that 1 revision needs is on remote storage.\n"
    document = cli("verify", "--pushed", "--json").json
    assert document == {
        "schema": "dvc-like/verify/1",
        "whole": True,
        "revisions": 1,
        "targets": 2,
        "files": document["files"],
        "remotes": ["storage"],
        "lacking": [],
    }
    assert cli("verify", "-q").out == ""


def test_forgotten_push_is_found(pushed: Place, cli: Cli) -> None:
    pushed.track({"data/sub/new": "new", "data/a": "changed"})
    ran = cli("verify", "--pushed", code=10)
    assert "HEAD  data/a\nHEAD  data/sub/new\n" in ran.out
    assert "2 paths that are needed are not on remote storage" in ran.err
    assert "Where the data is, `dvc-like push` sends it." in ran.err
    assert lacking(cli("verify", "--pushed", "--json", code=10)) == [
        ("HEAD", "data/a", False),
        ("HEAD", "data/sub/new", False),
    ]
    cli("verify")
    cli("verify", "--pushed", "HEAD~1")
    cli("verify", "--pushed", "model.bin")
    # That file is there, but nobody can tell without the listing.
    assert lacking(cli("verify", "--pushed", "HEAD", "data/sub/b", "--json", code=10)) == [("HEAD", "data/sub", True)]
    assert lacking(cli("verify", "--pushed", "HEAD", "data/sub", "--json", code=10)) == [
        ("HEAD", "data/sub/new", False)
    ]
    cli("push")
    cli("verify", "--pushed")


def test_each_version_is_judged_by_itself(place: Place, cli: Cli) -> None:
    first = place.track({"data/a": "1", "data/b": "same"})
    second = place.track({"data/a": "2"})
    third = place.track({"data/a": "3"})
    place.push()  # only the last: an older version was never sent
    cli("verify", "--pushed")
    ran = cli("verify", "--pushed", f"{first}..HEAD", "--json", code=10)
    assert lacking(ran) == [(second[:10], "data/a", False)]
    assert ran.json["revisions"] == 2
    assert lacking(cli("verify", "--pushed", first, third, "--json", code=10)) == [(first, "data/a", False)]
    said = cli("verify", "--pushed", "--all-commits", code=10)
    assert {line.split()[0] for line in said.out.splitlines()} == {
        place.git("rev-parse", "--short", commit) for commit in (first, second)
    }
    assert "--rev" in said.err
    cli("push", "--all-commits")
    cli("verify", "--pushed", "--all-commits")


def test_branches_and_tags(pushed: Place, cli: Cli) -> None:
    pushed.git("checkout", "-q", "-b", "side")
    side = pushed.track({"data/side": "s"})
    pushed.git("checkout", "-q", "main")
    cli("verify", "--pushed", "--all-tags")
    assert lacking(cli("verify", "--pushed", "-a", "--json", code=10)) == [(side[:10], "data/side", False)]
    pushed.git("tag", "-a", "v1", "-m", "one", "side")
    cli("verify", "--pushed", "-T", code=10)
    assert lacking(cli("verify", "--pushed", "v1", "--json", code=10)) == [("v1", "data/side", False)]
    assert lacking(cli("verify", "--pushed", "main..side", "--json", code=10)) == [(side[:10], "data/side", False)]
    cli("verify", "--pushed", "side..main")


def test_what_the_cache_lacks(pushed: Place, clone: Callable[..., Place], cli: Cli) -> None:
    copy = clone()
    ran = cli("verify", "--cd", copy.root, code=10)
    assert ran.out == "HEAD  data/  (its listing)\nHEAD  model.bin\n"
    assert "`dvc-like fetch` brings it" in ran.err
    cli("verify", "--pushed", "--cd", copy.root)  # nothing has to be here for that
    copy.fetch()
    cli("verify", "--cd", copy.root)
    unlock(copy.cached("b")).unlink()
    assert lacking(cli("verify", "--cd", copy.root, "--json", code=10)) == [("HEAD", "data/sub/b", False)]


@pytest.mark.parametrize("content", ["b", "m"])
def test_what_the_remote_lost(pushed: Place, store: Path, cli: Cli, content: str) -> None:
    take_out(store, key_of(content))
    path = {"b": "data/sub/b", "m": "model.bin"}[content]
    assert lacking(cli("verify", "--pushed", "--json", code=10)) == [("HEAD", path, False)]


def test_a_lost_listing_is_named(pushed: Place, store: Path, cli: Cli) -> None:
    (key,) = [f"{key_of(data)}.tree" for data in trees(pushed) if b"\tsub\n" in data]
    take_out(store, key)
    assert lacking(cli("verify", "--pushed", "--json", code=10)) == [("HEAD", "data", True)]


def trees(place: Place) -> list[bytes]:
    return [path.read_bytes() for path in place.cache.rglob("*.tree")]


def test_a_shallow_clone_with_a_detached_head(pushed: Place, clone: Callable[..., Place], cli: Cli) -> None:
    head = pushed.track({"data/a": "new"})
    pushed.push()
    pushed.git("checkout", "-q", "--detach")
    copy = Place(pushed.root.with_name("shallow"))
    pushed.git("clone", "-q", "--depth", "1", f"file://{pushed.root}", copy.root)
    assert copy.git("rev-parse", "HEAD") == head
    cli("pull", "--cd", copy.root)
    assert (copy / "data/a").read_text() == "new"
    cli("verify", "--cd", copy.root)
    cli("verify", "--pushed", "--cd", copy.root)
    ran = cli("verify", "--pushed", "--cd", copy.root, "HEAD~1..HEAD", code=2)
    assert "shallow clone" in ran.err


def test_words_that_mean_nothing_or_two_things(pushed: Place, cli: Cli) -> None:
    assert "nonsense is no revision here, and no path" in cli("verify", "nonsense", code=2).err
    assert "data/typo is not in its dataset" in cli("verify", "data/typo", code=2).err
    pushed.git("branch", "data")
    assert "is a revision and a path" in cli("verify", "data", code=2).err
    cli("verify", "--rev", "data")
    cli("verify", "./data")
    assert "is no revision here" in cli("verify", "--rev", "nonsense", code=2).err
    cli("verify", "data.meta")


def test_a_remote_that_does_not_answer_is_6(pushed: Place, store: Path, cli: Cli) -> None:
    cli("config", "remote.storage.url", str(store / "dvc-like.json"))
    cli("verify", "--pushed", code=6)
    assert "no remote named" in cli("verify", "-r", "nowhere", code=3).err
    assert cli("verify", "-r", "nowhere", "--json", code=3).json["error"]["exit_code"] == 3


def test_an_empty_remote_lacks_all(place: Place, cli: Cli) -> None:
    place.track({"data/a": "a", "model.bin": "m"})
    assert {path for _, path, _ in lacking(cli("verify", "--pushed", "--json", code=10))} == {"data/a", "model.bin"}


def test_damaged_meta_files_and_listings_are_7(pushed: Place, cli: Cli) -> None:
    (pushed / "model.bin.meta").write_text("hash: nonsense\nsize: 1\n")
    pushed.save("bad")
    assert "model.bin.meta" in cli("verify", code=7).err
    cli("verify", "HEAD~1")
    meta = (pushed / "data.meta").read_text()
    (pushed / "data.meta").write_text(meta.replace("files: 3", "files: 4"))
    pushed.git("checkout", "-q", "HEAD~1", "--", "model.bin.meta")
    pushed.save("wrong total")
    with pytest.raises(BadTree):
        dvc_like.verify(pushed.project)


def test_nothing_tracked(place: Place, cli: Cli) -> None:
    assert cli("verify").out == "Nothing is tracked that 1 revision needs.\n"
    cli("verify", "--pushed")


def test_from_python(pushed: Place) -> None:
    done = dvc_like.verify(pushed.project, pushed=True)
    assert (done.revisions, done.targets, done.remotes, done.lacking) == (1, 2, ["storage"], [])
    shutil.rmtree(pushed.cache / "files")
    done = dvc_like.verify(pushed.project, Selection(("data",), ("main",)))
    assert [(one.revision, one.path, one.listing) for one in done.lacking] == [("main", "data", True)]
    with pytest.raises(UsageError):
        dvc_like.verify(pushed.project, Selection(revisions=("nowhere",)))


def test_the_remote_is_asked_no_more_than_by_a_push(place: Place, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    place.track({f"data/{folder}/{number}": f"{folder}{number}" for folder in range(10) for number in range(20)})
    for number in range(4):
        place.track({"data/3/5": f"version {number}"})
    place.push(all_commits=True)
    asked: list[str] = []
    for name in ("get", "stat", "list"):
        real = getattr(LocalBackend, name)

        def count(
            self: LocalBackend, *arguments: object, _real: object = real, _name: str = name, **options: object
        ) -> object:
            asked.append(_name)
            return _real(self, *arguments, **options)  # type: ignore[operator]

        monkeypatch.setattr(LocalBackend, name, count)
    cli("verify", "--pushed", "--all-commits")
    assert len(asked) <= 12, asked


@pytest.mark.skipif(os.name == "nt", reason="the shell of the example is POSIX")
def test_a_gate_before_a_push_of_commits(pushed: Place, cli: Cli, tmp_path: Path) -> None:
    bare = tmp_path / "origin.git"
    pushed.git("clone", "-q", "--bare", pushed.root, bare)
    pushed.git("remote", "add", "origin", bare)
    pushed.git("fetch", "-q", "origin")
    cli("verify", "--pushed", "origin/main..HEAD")
    pushed.track({"data/new": "n"})
    cli("verify", "--pushed", "origin/main..HEAD", code=10)
