"""Artifacts: what another program keeps in the cache is needed like a target, and no workspace shows it."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess, in_process  # noqa: F401 - the fixture `cli` of this file
from tests.cli.place import Place, digest_of, key_of, objects_in, temps_in, unlock
from tests.cli.stores import contents_of

from dvc_like.errors import BadMeta, CorruptData, DataMissing, UnsafePath, UsageError
from dvc_like.ops import _artifacts as artifacts
from dvc_like.paths import RelPath
from dvc_like.project import Project


def keep(place: Place, files: dict[str, str]) -> None:
    """Store artifacts of this content."""
    folder = place.root.parent / "outside"
    local = []
    for at, (path, content) in enumerate(files.items()):
        folder.mkdir(exist_ok=True)
        (folder / str(at)).write_text(content)
        local.append((str(folder / str(at)), RelPath(path)))
    artifacts.store(place.project, local)


def pointers(place: Place) -> dict[str, str]:
    """Return what is kept, by path, with its digest."""
    return {one.target.path: one.target.meta.digest for one in artifacts.artifacts(place.project)}


@pytest.fixture
def kept(place: Place) -> Place:
    """A project with one target and artifacts of two runs, one file of which both have."""
    place.track({"data/x": "x", "own": "own"})
    keep(place, {"runs/1/model/weights": "w1", "runs/1/same": "same", "runs/2/same": "same", "runs/2/log": "l2"})
    return place


def test_each_is_a_meta_file_and_equal_bytes_are_one_object(kept: Place) -> None:
    pointer = kept / ".dvc-like/mlflow/runs/1/model/weights.meta"
    assert pointer.read_text() == f"hash: {digest_of('w1')}\nsize: 2\n"
    assert pointers(kept) == {
        "mlflow/runs/1/model/weights": digest_of("w1"),
        "mlflow/runs/1/same": digest_of("same"),
        "mlflow/runs/2/log": digest_of("l2"),
        "mlflow/runs/2/same": digest_of("same"),
    }
    assert len([key for key in objects_in(kept.cache) if not key.endswith(".tree")]) == 5
    assert temps_in(kept.root) == []


def test_neither_git_nor_the_workspace_sees_them(kept: Place, cli: InProcess) -> None:
    assert kept.git("status", "--porcelain") == ""
    before = kept.data()
    assert set(kept.states()) == {"data", "own"}
    for verb in (["checkout"], ["commit"], ["diff"], ["ls", "-R"]):
        assert "runs" not in cli(*verb).out
    assert kept.data() == before


def test_gc_keeps_them_in_every_scope_until_they_are_removed(kept: Place) -> None:
    kept.age()
    for scope in ({"workspace": True}, {"all_commits": True}, {"revisions": ("HEAD",)}):
        assert kept.gc(**scope).garbage == []
    artifacts.remove(kept.project, RelPath("runs/1"))
    assert [one.item.key for one in kept.gc(workspace=True).garbage] == [key_of("w1")]
    assert kept.cached("same").exists()
    artifacts.remove(kept.project, RelPath(""))
    assert {one.item.key for one in kept.gc(workspace=True).garbage} == {key_of("same"), key_of("l2")}
    assert os.listdir(kept / ".dvc-like/mlflow") == [".gitignore"]


@pytest.mark.parametrize("damage", [b"", b"no pointer\n", b"hash: blake3:12\nsize: 1\n"])
def test_gc_stops_at_a_damaged_pointer_and_push_sends_the_rest(kept: Place, store: Path, damage: bytes) -> None:
    (kept / ".dvc-like/mlflow/runs/1/same.meta").write_bytes(damage)
    kept.age()
    with pytest.raises(BadMeta, match=r"gc stopped.*\.dvc-like/mlflow/runs/1/same\.meta"):
        kept.gc(workspace=True)
    with pytest.raises(BadMeta, match=r"runs/1/same\.meta"):
        kept.push()
    assert {b"w1", b"l2", b"x", b"own"} <= set(contents_of(store).values())


def test_a_damaged_pointer_hides_no_other(kept: Place) -> None:
    (kept / ".dvc-like/mlflow/runs/1/same.meta").write_bytes(b"")
    assert set(artifacts.stored(kept.project, RelPath("runs/1/model"))) == {"runs/1/model/weights"}
    assert set(artifacts.stored(kept.project, RelPath("runs/2/log"))) == {"runs/2/log"}


def test_worktrees_share_them(kept: Place, tmp_path: Path) -> None:
    kept.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    side = Place(tmp_path / "side")
    keep(side, {"runs/3/log": "l3"})
    assert "mlflow/runs/3/log" in pointers(kept)
    kept.git("worktree", "remove", "--force", str(side.root))
    kept.age()
    assert kept.gc(workspace=True).garbage == []


def test_push_sends_them_and_tells_when_it_cannot(kept: Place, store: Path, cli: InProcess) -> None:
    assert "mlflow/runs/1/model/weights" in cli("status", "--cloud").out
    cli("push", "data")
    assert b"w1" not in contents_of(store).values()
    cli("push")
    assert {b"w1", b"same", b"l2"} <= set(contents_of(store).values())
    assert cli("status", "--cloud", "--json").json["targets"][-1]["path"] == "own"
    assert "Everything is on the remote" in cli("push").out
    keep(kept, {"runs/3/log": "l3"})
    unlock(kept.cached("l3")).unlink()
    with pytest.raises(DataMissing, match="mlflow/runs/3/log: not in the cache"):
        kept.push()
    cli("status", "--cloud", "--exit-code", code=10)


def test_a_remote_shared_with_others_keeps_them(kept: Place, clone: Callable[..., Place], store: Path) -> None:
    kept.push()
    other = clone()
    other.pull()
    other.gc(workspace=True, cloud=True, grace=0, force=True)
    assert {b"w1", b"same", b"l2"} <= set(contents_of(store).values())


def test_drop_keeps_what_an_artifact_needs(kept: Place, cli: InProcess) -> None:
    keep(kept, {"runs/3/copy": "own"})
    kept.push()
    cli("drop", "own")
    assert kept.cached("own").exists()


def test_fsck_finds_damage_and_brings_it_back(kept: Place, cli: InProcess) -> None:
    kept.push()
    unlock(kept.cached("w1")).write_text("??")
    assert "damaged: mlflow/runs/1/model/weights" in cli("fsck", code=7).err
    assert "missing: mlflow/runs/1/model/weights" in cli("fsck", code=7).err
    cli("fsck", "--repair")
    assert kept.cached("w1").read_text() == "w1"
    cli("fsck", "--remote", "storage")


def test_a_new_version_replaces_the_pointer(kept: Place) -> None:
    keep(kept, {"runs/1/same": "other"})
    assert pointers(kept)["mlflow/runs/1/same"] == digest_of("other")
    kept.age()
    assert kept.gc(workspace=True).garbage == []


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("data", "belongs to data, which is tracked"),
        ("data/new", "belongs to data, which is tracked"),
        ("runs/1", "is a folder of artifacts"),
        ("runs/1/same/below", "the artifact runs/1/same is a file"),
    ],
)
def test_no_path_means_two_things(kept: Place, path: str, words: str) -> None:
    before = pointers(kept)
    with pytest.raises(UsageError, match=words):
        keep(kept, {"first": "1", path: "2"})
    assert pointers(kept) == before  # nothing of a batch is pointed to when a part of it is refused


@pytest.mark.parametrize(("path", "words"), [("runs/1/same.meta/x", "same"), ("odd", "odd.meta")])
def test_names_like_those_of_pointers(kept: Place, path: str, words: str) -> None:
    keep(kept, {"odd.meta/x": "x", "runs/3/a.meta": "a file of this name is no matter"})
    before = pointers(kept)
    with pytest.raises(UsageError, match=words):
        keep(kept, {path: "2"})
    assert pointers(kept) == before


def test_all_can_be_removed(kept: Place) -> None:
    keep(kept, {"top": "t"})
    artifacts.remove(kept.project, RelPath(""))
    assert pointers(kept) == {}
    assert kept.git("status", "--porcelain") == ""


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_nothing_is_read_or_written_through_a_link(kept: Place, tmp_path: Path) -> None:
    shutil.move(kept / ".dvc-like/mlflow", tmp_path / "elsewhere")
    (kept / ".dvc-like/mlflow").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UnsafePath, match="is a link"):
        keep(kept, {"runs/3/log": "l3"})
    with pytest.raises(UnsafePath, match="is a link"):
        artifacts.remove(kept.project, RelPath("runs"))
    with pytest.raises(CorruptData, match="gc stopped"):
        kept.gc(workspace=True)
    assert (tmp_path / "elsewhere/runs/1/same.meta").exists()
    assert not (tmp_path / "elsewhere/runs/3").exists()


def test_a_pointer_that_is_a_link_is_no_pointer(kept: Place, tmp_path: Path) -> None:
    (tmp_path / "secret.meta").write_text(f"hash: {digest_of('w1')}\nsize: 2\n")
    (kept / ".dvc-like/mlflow/runs/1/link.meta").symlink_to(tmp_path / "secret.meta")
    with pytest.raises(BadMeta, match="cannot be read"):
        artifacts.stored(kept.project, RelPath("runs/1"))


def write_many(root: str, number: int) -> None:
    place = Place(Path(root))
    for turn in range(5):
        folder = place.root.parent / f"outside-{number}"
        folder.mkdir(exist_ok=True)
        (folder / "own").write_text(f"{number} {turn}")
        (folder / "same").write_text(f"of turn {turn}")
        files = [(str(folder / "own"), RelPath(f"{number}/{turn}")), (str(folder / "same"), RelPath(f"same/{turn}"))]
        artifacts.store(Project.find(root), files)


def test_several_write_at_once(place: Place) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(str(place.root), number)) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    found = pointers(place)
    assert len(found) == 20
    assert found["mlflow/2/4"] == digest_of("2 4")
    assert found["mlflow/same/3"] == digest_of("of turn 3")
    place.age()
    assert place.gc(workspace=True).garbage == []
    assert temps_in(place.root) == []
