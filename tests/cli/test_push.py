"""`push`: what the remote lacks arrives there, files before the trees that list them, and failures are told."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.place import Place, digest_of, key_of, objects_in, temps_in, unlock
from tests.cli.stores import contents_of, dangling, take_out, unsound
from tests.conftest import AsNobody, Cli

import dvc_like
from dvc_like import fsutil
from dvc_like.errors import (
    ConfigError,
    CorruptData,
    DataMissing,
    DvcLikeError,
    PartialFailure,
    RemoteDenied,
    RemoteError,
    UsageError,
)
from dvc_like.meta.tree import Entry, encode
from dvc_like.ops._session import open_session
from dvc_like.remote import local
from dvc_like.remote.source import Source


@pytest.fixture
def full(place: Place) -> Place:
    place.write({f"data/{sub}/{n}.txt": f"{sub}{n}" for sub in ("cats", "dogs") for n in range(3)})
    place.track({"single": "single", "data/link": ("link", False, "cats/0.txt"), "data/hollow": None})
    return place


def check_store(store: Path) -> None:
    """Every object is what its name says, no tree lists what is not there, nothing is half-written."""
    assert unsound(store) == []
    assert dangling(store) == []
    assert temps_in(store) == []


def test_everything_is_sent_once_under_the_names_of_the_format(full: Place, store: Path, cli: Cli) -> None:
    done = cli("push", "--json").json
    assert done == {"schema": "dvc-like/push/1", "sent": 11, "size": 36, "present": 0, "healed": 0, "partial": []}
    assert contents_of(store)[key_of("single")] == b"single"
    described = json.loads((store / "dvc-like.json").read_bytes())
    assert described["format"] == 1
    assert described["store"].isalnum()
    assert set(contents_of(store)) == set(objects_in(full.cache))
    check_store(store)
    again = cli("push", "--json").json
    assert (again["sent"], again["present"]) == (0, 7)
    assert "Everything is on the remote." in cli("push").out


def test_a_target_alone(full: Place, store: Path) -> None:
    full.push("single")
    assert list(contents_of(store)) == [key_of("single")]


def test_a_path_inside_a_folder_brings_no_tree_that_promises_more(full: Place, store: Path) -> None:
    full.push("data/cats")
    assert key_of("cats0") in contents_of(store)
    assert key_of("dogs0") not in contents_of(store)
    check_store(store)
    full.push()
    assert key_of("dogs0") in contents_of(store)
    check_store(store)


def test_a_path_inside_that_the_dataset_does_not_have_is_a_usage_error(full: Place) -> None:
    with pytest.raises(UsageError, match="nope"):
        full.push("data/nope")


def test_an_untracked_target_is_a_usage_error(full: Place, cli: Cli) -> None:
    cli("push", "nope", code=2)


def test_another_remote_by_name_and_unknown_ones_are_refused(
    full: Place, store: Path, tmp_path: Path, cli: Cli
) -> None:
    cli("remote", "add", "backup", tmp_path / "backup")
    cli("push", "-r", "backup", "-j", "2")
    assert not store.exists()
    check_store(tmp_path / "backup")
    assert "storage" in cli("push", "-r", "nowhere", code=3).err
    cli("push", "-j", "0", code=2)
    cli("push", "-j", "many", code=2)


def test_the_remote_of_a_target_counts_unless_another_is_asked_for(full: Place, store: Path, tmp_path: Path) -> None:
    full.config(**{"remote_backup.url": str(tmp_path / "backup")})
    with open(full / "single.meta", "a") as file:
        file.write("remote: backup\n")
    full.push()
    assert list(objects_in(tmp_path / "backup")) == [key_of("single")]
    assert key_of("single") not in contents_of(store)
    full.push("single", remote="storage")
    assert key_of("single") in contents_of(store)


def test_without_a_remote_or_default_it_is_said(full: Place, cli: Cli) -> None:
    cli("remote", "default", "--unset")
    assert "no default remote" in cli("push", code=3).err
    cli("remote", "remove", "storage")
    assert "dvc-like remote add" in cli("push", code=3).err


@pytest.mark.parametrize("words", [["--all-branches"], ["-T"], ["--all-commits"], ["--rev", "main~1"]])
def test_other_revisions(full: Place, store: Path, cli: Cli, words: list[str]) -> None:
    full.track({"single": "second"})
    full.track({"single": "third"})
    full.git("tag", "-a", "-m", "t", "tagged", "main~1")
    full.git("branch", "side", "main~2")
    cli("push", *words)
    there = {name for name in ("single", "second", "third") if key_of(name) in contents_of(store)}
    assert (
        there
        == {
            "--all-branches": {"single", "third"},
            "-T": {"second", "third"},
            "--all-commits": {"single", "second", "third"},
            "--rev": {"second", "third"},
        }[words[0]]
    )
    check_store(store)


def test_revisions_narrow_to_the_targets(full: Place, store: Path) -> None:
    full.track({"single": "second", "data/cats/0.txt": "new"})
    full.push("single", all_commits=True)
    assert set(contents_of(store)) == {key_of("single"), key_of("second")}


def test_a_revision_that_is_none_is_a_usage_error(full: Place, cli: Cli) -> None:
    assert "nope" in cli("push", "--rev", "nope", code=2).err
    cli("push", "--rev", "--output=/tmp/x", code=2)


def test_all_commits_holds_what_a_merge_did_not_take(full: Place, store: Path) -> None:
    full.git("checkout", "-q", "-b", "side")
    full.track({"single": "side version"})
    full.git("checkout", "-q", "main")
    full.checkout()
    full.git("merge", "-q", "-s", "ours", "-m", "merge", "side")
    full.git("branch", "-D", "side")
    full.push(all_commits=True)
    assert key_of("side version") in contents_of(store)


def test_a_damaged_meta_file_in_history_does_not_keep_the_rest_from_being_sent(full: Place, store: Path) -> None:
    good = (full / "single.meta").read_bytes()
    (full / "single.meta").write_bytes(b"<<<<<<< HEAD\nhash: x\n>>>>>>> b\n")
    full.save()
    (full / "single.meta").write_bytes(good)
    full.save()
    with pytest.raises(CorruptData):
        full.push(all_commits=True)
    assert key_of("single") in contents_of(store)


# ------------------------------------------------------------------------------ what fails


def test_lost_objects_are_named_and_all_others_are_sent(full: Place, store: Path, cli: Cli) -> None:
    full.cached("cats1").unlink()
    full.cached("dogs2").unlink()
    done = cli("push", code=9)
    assert "data/cats/1.txt" in done.err
    assert "data/dogs/2.txt" in done.err
    there = contents_of(store)
    assert {key_of(name) for name in ("cats0", "cats2", "dogs0", "dogs1", "single")} <= set(there)
    assert dangling(store) == []
    assert full.states()["data"] == "unchanged"


def test_a_damaged_object_is_not_sent(full: Place, store: Path, cli: Cli) -> None:
    unlock(full.cached("single")).write_text("SINGLE")
    assert "single" in cli("push", "single", code=(4, 9)).err
    assert not store.exists() or key_of("single") not in contents_of(store)


def test_one_damaged_meta_file_does_not_keep_the_others_from_being_sent(full: Place, store: Path, cli: Cli) -> None:
    (full / "single.meta").write_text("")
    assert "single.meta" in cli("push", code=7).err
    assert key_of("cats0") in contents_of(store)
    check_store(store)


def test_push_of_a_partial_clone(full: Place, store: Path, clone: Callable[..., Place]) -> None:
    full.push()
    copy = clone()
    copy.pull("data/cats")
    copy.track({"data/cats/0.txt": "edited"})
    copy.push()
    check_store(store)
    other = clone("other")
    other.git("pull", "-q", str(copy.root), "main")
    other.pull()
    assert other.data()["data/cats/0.txt"][2] == b"edited"
    assert other.data()["data/dogs/0.txt"][2] == b"dogs0"


def test_push_of_a_partial_clone_to_another_remote_says_what_is_not_here(
    full: Place, clone: Callable[..., Place], tmp_path: Path, cli: Cli
) -> None:
    full.push()
    copy = clone()
    copy.pull("data/cats")
    cli("remote", "add", "backup", tmp_path / "backup", cwd=copy.root)
    done = cli("push", "-r", "backup", cwd=copy.root, code=9)
    assert "data/dogs" in done.err
    assert "single" in done.err
    assert dangling(tmp_path / "backup") == []


# ------------------------------------------------------------------------------ the store


def test_an_object_that_vanished_from_the_store_is_sent_again(full: Place, store: Path) -> None:
    full.push()
    take_out(store, key_of("cats0"))
    done = full.push()
    assert done.objects == 1
    check_store(store)


def test_a_store_that_was_emptied_is_filled_again(full: Place, store: Path) -> None:
    full.push()
    shutil.rmtree(store)
    full.push()
    assert set(contents_of(store)) == set(objects_in(full.cache))


@pytest.mark.parametrize("description", [b"", b"not json", b"[]", b'{"format": 1}', b'{"format": 1, "store": "../x"}'])
def test_a_damaged_description_is_refused(full: Place, store: Path, cli: Cli, description: bytes) -> None:
    store.mkdir()
    (store / "dvc-like.json").write_bytes(description)
    assert "remote storage" in cli("push", code=7).err
    assert contents_of(store) == {}


def test_a_store_of_a_newer_format_is_refused(full: Place, store: Path, cli: Cli) -> None:
    store.mkdir()
    (store / "dvc-like.json").write_text('{"format": 2, "store": "abc"}')
    assert "Upgrade" in cli("push", code=7).err
    assert contents_of(store) == {}


def test_a_place_that_is_not_there_is_unreachable(full: Place, tmp_path: Path, cli: Cli) -> None:
    full.use_store(tmp_path / "not" / "mounted")
    done = cli("push", code=6)
    assert "remote storage" in done.err
    assert "mounted?" in done.err
    assert not (tmp_path / "not").exists()


def test_a_store_that_is_a_file_is_refused(full: Place, store: Path, cli: Cli) -> None:
    store.write_text("I am a file")
    cli("push", code=6)
    assert store.read_text() == "I am a file"


def test_a_read_only_store_is_denied_and_one_that_has_all_is_fine(full: Place, store: Path, unprivileged: Cli) -> None:
    store.mkdir()
    store.chmod(0o555)
    done = unprivileged("push", code=6)
    assert "storage" in done.err
    assert "Traceback" not in done.err
    store.chmod(0o755)
    full.push()
    for path in [store, *store.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        unprivileged("push")
    finally:
        for path in [store, *store.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_a_store_of_another_user_can_be_pushed_to_where_its_folder_allows(
    full: Place, store: Path, as_nobody: AsNobody
) -> None:
    full.push("single")
    for path in [store, *store.rglob("*")]:
        if path.is_dir():
            path.chmod(0o777)
    as_nobody.own(full.root)
    as_nobody("push")
    assert dangling(store) == []
    assert key_of("cats0") in contents_of(store)


def test_a_link_in_the_store_is_not_written_through(full: Place, store: Path, tmp_path: Path, cli: Cli) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    store.mkdir()
    (store / "files").symlink_to(outside)
    cli("push", code=(6, 7))
    assert list(outside.iterdir()) == []


def test_pushed_objects_are_not_writable_by_accident(full: Place, store: Path) -> None:
    full.push()
    there = [path for path in store.rglob("*") if path.is_file() and path.parent.name != "tmp"]
    assert {path.suffix for path in there} >= {"", ".zip", ".idx"}
    assert {path.stat().st_mode & 0o222 for path in there} == {0}


def test_a_project_without_git_pushes_too(
    tmp_path: Path, store: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "plain"
    root.mkdir()
    monkeypatch.chdir(root)
    cli("init", "--no-git")
    (root / "x").write_text("x")
    cli("add", "x")
    cli("remote", "add", "-d", "storage", store)
    cli("push")
    assert key_of("x") in contents_of(store)
    cli("push", "-A", code=3)


def test_the_exceptions_have_the_kinds_that_are_documented() -> None:
    for kind, code in (
        (DvcLikeError, 1),
        (UsageError, 2),
        (ConfigError, 3),
        (DataMissing, 4),
        (RemoteError, 6),
        (CorruptData, 7),
        (PartialFailure, 9),
    ):
        assert kind.exit_code == code


@pytest.mark.parametrize("size", [5, 7])
@pytest.mark.parametrize("pushed", [False, True])
def test_bytes_of_another_size_than_is_recorded_are_not_sent(
    full: Place, store: Path, cli: Cli, size: int, pushed: bool
) -> None:
    """As after a merge by hand. Whoever fetched them would refuse them."""
    if pushed:
        cli("push")
    before = contents_of(store) if pushed else {}
    meta = full / "single.meta"
    meta.write_text(meta.read_text().replace("size: 6", f"size: {size}"))
    done = cli("push", "single", code=7)
    assert "single: its meta file gives another size" in done.err
    assert "add --force" in done.err
    assert contents_of(store) == before
    cli("add", "--force", "single")
    cli("push", "single")
    assert "size: 6" in meta.read_text()


def test_a_listing_that_gives_another_size_is_not_sent(full: Place, store: Path, cli: Cli) -> None:
    def entry(content: str, name: str, size: int) -> Entry:
        return Entry(name, "f", size, digest_of(content))

    with open_session(full.project) as session, session.writer() as writer:
        tree = writer.put_tree(encode([entry("cats0", "a", 4), entry("cats1", "b", 6)]))
    (full / "wrong.meta").write_text(f"hash: {tree}\nsize: 10\nfiles: 2\n")
    done = cli("push", "wrong", code=7)
    assert "wrong/a: the listing of its folder gives another size" in done.err
    assert not any(key.endswith(".tree") for key in contents_of(store))


class Heard:
    """A `Progress` that keeps how many bytes were done each time it was told."""

    def __init__(self) -> None:
        self.sizes = [0]
        self.files = 0

    def task(self, verb: str) -> Heard:
        return self

    def note(self, message: str) -> None:
        pass

    def expect(self, *, files: int = 0, size: int = 0) -> None:
        pass

    def advance(self, *, files: int = 0, size: int = 0) -> None:
        self.files += files
        self.sizes.append(self.sizes[-1] + size)

    def __enter__(self) -> Heard:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


def test_one_big_file_is_seen_to_move(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsutil, "IN_KERNEL", 1 << 20)
    monkeypatch.setattr(local, "clone", lambda source, target: False)
    data = bytes(8 << 20) + b"."
    place.track({"big": data})
    heard = Heard()
    dvc_like.push(place.project, progress=heard)
    assert len(set(heard.sizes)) > 8
    assert (heard.sizes[-1], heard.files) == (len(data), 1)


def test_what_was_sent_in_vain_does_not_count(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    real = local.LocalBackend.put

    def fails(self: local.LocalBackend, key: str, source: str | bytes | Source, **options: Any) -> None:
        if not isinstance(source, Source):
            return real(self, key, source, **options)
        source.moved(1 << 20)
        raise RemoteDenied("no")

    place.track({"big": bytes(8 << 20) + b"."})
    place.push()
    place.track({"big": bytes(8 << 20) + b"!"})
    heard = Heard()
    monkeypatch.setattr(local.LocalBackend, "put", fails)
    with pytest.raises(DvcLikeError):
        dvc_like.push(place.project, progress=heard)
    assert max(heard.sizes) == 1 << 20
    assert (heard.sizes[-1], heard.files) == (0, 0)
