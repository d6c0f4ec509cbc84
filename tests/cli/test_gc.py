"""`gc`: takes out what nothing needs, and cannot lose data."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from tests.cli.place import Place, objects_in, unlock
from tests.cli.stores import contents_of, unsound
from tests.conftest import Cli

import dvc_like
from dvc_like.errors import BadMeta, CorruptData, DvcLikeError, UsageError
from dvc_like.ops.gc import undo


@pytest.fixture
def history(place: Place) -> Place:
    """Versions one (tagged), two (branch side) and three (main), none of them young."""
    for name in ("one", "two", "three"):
        place.write({"single": name, "data/x": f"{name} x", "data/same": "same"})
        place.add("single", "data")
        place.save(name)
        if name == "one":
            place.git("tag", "-a", "-m", "first", "v1")
        if name == "two":
            place.git("branch", "side")
    place.age()
    return place


def kept(place: Place) -> set[str]:
    """Which of the versions' objects are in the cache proper."""
    return {path.read_text() for key, path in objects_in(place.cache).items() if not key.endswith(".tree")}


def versions(*names: str) -> set[str]:
    return {"same", *names, *(f"{name} x" for name in names)}


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--workspace"], ("three",)),
        (["--all-branches"], ("two", "three")),
        (["--all-tags"], ("one", "three")),
        (["-a", "-T"], ("one", "two", "three")),
        (["--all-commits"], ("one", "two", "three")),
        (["--rev", "side"], ("two", "three")),
    ],
)
def test_scopes(history: Place, cli: Cli, words: list[str], wanted: tuple[str, ...]) -> None:
    cli("gc", *words)
    assert kept(history) == versions(*wanted)
    assert unsound(history.cache) == []
    assert set(history.states().values()) == {"unchanged"}


def test_a_scope_is_needed(history: Place, cli: Cli) -> None:
    assert "--workspace" in cli("gc", code=2).err
    cli("gc", "--dry-run", code=2)
    assert kept(history) == versions("one", "two", "three")


def test_unsaved_but_added_work_is_kept_in_every_scope(history: Place) -> None:
    history.write({"single": "not committed"})
    history.add("single")
    history.age()
    history.gc(all_commits=True)
    assert "not committed" in kept(history)


def test_a_staged_version_is_kept_with_all_commits(history: Place) -> None:
    history.write({"single": "staged only"})
    history.add("single")
    history.git("add", "single.meta")
    history.git("show", "HEAD:single.meta")
    (history / "single.meta").write_text(history.git("show", "HEAD:single.meta") + "\n")
    history.age()
    history.gc(all_commits=True)
    assert "staged only" in kept(history)


def test_a_stash_is_kept_with_all_commits(history: Place) -> None:
    history.write({"single": "stashed"})
    history.add("single")
    history.git("stash", "-q")
    history.age()
    history.gc(all_commits=True)
    assert "stashed" in kept(history)


def test_what_a_rebase_has_stashed_is_kept_with_all_commits(history: Place) -> None:
    history.git("checkout", "-q", "-b", "topic", "HEAD~1")
    (history / "other").write_text("topic")
    history.save("topic")
    history.checkout()
    history.write({"single": "stashed"})
    history.add("single")
    history.git("-c", "sequence.editor=echo break >", "rebase", "-q", "-i", "--autostash", "main")
    history.checkout()
    shutil.rmtree(history / ".dvc-like/undo")
    history.age()
    history.gc(all_commits=True)
    assert "stashed" in kept(history)


@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_a_sparse_checkout_hides_is_kept(history: Place, tmp_path: Path, elsewhere: bool) -> None:
    history.track({"hidden/file": "seldom"})
    history.age()
    place = history
    if elsewhere:
        place = Place(tmp_path / "tree")
        history.git("worktree", "add", "-q", "--detach", str(place.root))
        history.git("rm", "-q", "hidden.meta")
        (history / "hidden/file").unlink()
        history.save("no longer")
        shutil.rmtree(history / ".dvc-like/undo")
    place.git("sparse-checkout", "set", "--no-cone", "/*", "!/hidden.meta")
    assert not (place / "hidden.meta").exists()
    history.gc(workspace=True)
    assert kept(history) == {*versions("three"), "seldom"}


def test_json_names_paths_and_sizes(history: Place, cli: Cli) -> None:
    found = cli("gc", "-w", "--json").json
    assert found["schema"] == "dvc-like/gc/1"
    assert found["dry_run"] is False
    assert {(one["path"], one["size"]) for one in found["removed"]} >= {("single", 3), ("data/x", 5)}
    assert all(one["hash"].startswith("blake3:") for one in found["removed"])
    assert found["kept"] == 4
    assert found["size"] == sum(one["size"] for one in found["removed"])
    assert (found["young"], found["deleted"], found["deleted_size"]) == (0, 0, 0)


def test_the_young_are_spared_and_so_is_what_they_list(history: Place, cli: Cli) -> None:
    history.write({"data/x": "four x", "data/new": "fresh"})
    history.add("data")
    history.git("checkout", "-q", "--", "data.meta")
    history.checkout(force=True)
    history.cached("fresh").touch()
    os.utime(history.cached("four x"), (1, 1))  # old, but the young tree lists it
    shutil.rmtree(history / ".dvc-like/undo")  # what can be undone is needed
    found = cli("gc", "-w", "--json").json
    assert found["young"] == 3
    assert {"four x", "fresh"} <= kept(history)


def test_what_is_added_again_is_young_again(history: Place) -> None:
    history.write({"single": "one"})
    history.add("single")
    history.git("checkout", "-q", "--", "single.meta")
    history.checkout("single")
    history.gc(workspace=True)
    assert "one" in kept(history)


def test_grace_may_be_set(history: Place, cli: Cli) -> None:
    cli("config", "gc.grace", str(30 * 86400))
    assert cli("gc", "-w", "--json").json["removed"] == []
    assert cli("gc", "-w", "--grace", "60", "--json").json["removed"] != []


def test_no_grace_needs_force_and_then_deletes_for_good(history: Place, cli: Cli) -> None:
    assert "--force" in cli("gc", "-w", "--grace", "0", code=2).err
    assert kept(history) == versions("one", "two", "three")
    cli("gc", "-w", "--grace", "0", "--dry-run")
    found = cli("gc", "-w", "--grace", "0", "--force", "--json").json
    assert found["deleted"] == len(found["removed"]) > 0
    assert kept(history) == versions("three")
    assert list(history.cache.glob("trash/files/**/*")) == [] or all(
        path.is_dir() for path in history.cache.glob("trash/files/**/*")
    )


@pytest.mark.parametrize("grace", ["0.5", "59"])
def test_little_grace_needs_force_however_it_was_given(history: Place, cli: Cli, grace: str) -> None:
    assert "--force" in cli("gc", "-w", "--grace", grace, code=2).err
    cli("config", "--local", "gc.grace", grace)
    assert "--force" in cli("gc", "-w", code=2).err
    assert kept(history) == versions("one", "two", "three")
    cli("gc", "-w", "--dry-run")
    cli("gc", "-w", "--force")
    assert kept(history) == versions("three")


@pytest.mark.parametrize("grace", ["nan", "inf", "-1"])
def test_grace_that_is_no_number_of_seconds_is_refused(history: Place, cli: Cli, grace: str) -> None:
    cli("gc", "-w", "--grace", grace, code=2)


def everything_in(folder: Path) -> dict[str, tuple[object, ...]]:
    """Return stat and bytes of all below a folder, but for locks and the records that may be lost."""
    found: dict[str, tuple[object, ...]] = {}
    for path in sorted(folder.rglob("*")):
        if path.name == "lock" or ".sqlite" in path.name:
            continue
        status = path.lstat()
        content = path.read_bytes() if path.is_file() else b""
        found[path.relative_to(folder).as_posix()] = (*status[:7], status.st_mtime_ns, status.st_ctime_ns, content)
    return found


@pytest.mark.parametrize("words", [["-w"], ["-a", "-T"], ["-A"], ["-w", "--grace", "0"]])
def test_a_dry_run_changes_nothing(history: Place, cli: Cli, words: list[str]) -> None:
    cli("gc", "-w")
    history.git("checkout", "-q", "side")  # now what lies in the trash is needed
    history.write({"data/y": "young"})
    (history / "data.meta").unlink()
    history.add("data")
    rotten = next(path for key, path in objects_in(history.cache).items() if key.endswith(".tree"))
    unlock(rotten).write_text("rot")
    before = everything_in(history / ".dvc-like")
    assert any(name.startswith("cache/trash/files/") for name in before)
    cli("gc", *words, "--dry-run", code=(0, 7))  # where what the damaged one lists would have to be known, it stops
    assert everything_in(history / ".dvc-like") == before


def test_what_a_dry_run_counts_as_kept_is_what_is_kept(history: Place, cli: Cli) -> None:
    cli("gc", "-w")
    history.git("checkout", "-q", "side")
    would = cli("gc", "-w", "--dry-run", "--json").json
    does = cli("gc", "-w", "--json").json
    assert {**would, "dry_run": False} == does


def test_looking_for_the_names_of_garbage_takes_nothing_back(history: Place, cli: Cli) -> None:
    """The listings of old versions lie in the trash; the next gc reads them only to say what else goes."""
    cli("gc", "-w")
    history.write({"single": "passing"})
    history.add("single")
    history.write({"single": "three"})
    history.add("single")
    history.age()
    shutil.rmtree(history / ".dvc-like/undo")  # what can be undone is needed
    thrown = set(objects_in(history.cache / "trash"))
    cli("gc", "-w", "--grace", "1e8")
    os.utime(history.cached("passing"), (1, 1))
    cli("gc", "-w", "--grace", "1e8")
    assert thrown < set(objects_in(history.cache / "trash"))


# ------------------------------------------------------------------------------ the way back


def test_undo_takes_everything_back(history: Place, cli: Cli) -> None:
    cli("gc", "-w")
    assert kept(history) == versions("three")
    restored = cli("gc", "--undo", "--json").json
    assert restored == {"schema": "dvc-like/gc/1", "restored": 6}
    assert kept(history) == versions("one", "two", "three")
    assert "0 objects" in cli("gc", "--undo").out


def test_the_trash_is_emptied_only_after_the_grace_period(history: Place, cli: Cli) -> None:
    cli("gc", "-w")
    assert cli("gc", "-w", "--json").json["deleted"] == 0
    history.age(3600)
    assert cli("gc", "-w", "--json").json["deleted"] == 0
    history.age(2 * 3600)
    done = cli("gc", "-w", "--json").json
    assert done["deleted"] == 6
    assert done["deleted_size"] > 0
    assert cli("gc", "--undo", "--json").json["restored"] == 0


def test_what_is_needed_again_is_never_deleted_from_the_trash(history: Place) -> None:
    """The data of a branch goes to the trash; Git then checks that branch out, and gc runs after the grace period."""
    history.gc(workspace=True)
    history.git("checkout", "-q", "side")
    history.age()
    history.gc(workspace=True)
    history.checkout()
    assert (history / "single").read_text() == "two"
    assert (history / "data/x").read_text() == "two x"


def test_without_grace_what_is_needed_again_is_taken_out_of_the_trash(history: Place) -> None:
    history.gc(workspace=True)
    history.git("checkout", "-q", "side")
    history.gc(workspace=True, grace=0, force=True)
    history.checkout(force=True)
    assert (history / "single").read_text() == "two"


def test_all_commits_protects_what_an_earlier_gc_put_into_the_trash(history: Place) -> None:
    history.gc(workspace=True)
    history.age()
    history.gc(all_commits=True)
    undo(history.project)
    assert kept(history) == versions("one", "two", "three")


def test_a_push_takes_what_it_needs_out_of_the_trash(history: Place, store: Path) -> None:
    history.gc(workspace=True)
    history.push(all_commits=True)
    assert len(contents_of(store)) == 10


# ------------------------------------------------------------------------------ other workspaces


def test_what_other_worktrees_need_is_kept(history: Place, tmp_path: Path) -> None:
    history.git("worktree", "add", "-q", str(tmp_path / "tree"), "side")
    tree = Place(tmp_path / "tree")
    history.gc(workspace=True)
    assert kept(history) == versions("two", "three")
    tree.gc(workspace=True)
    assert kept(history) == versions("two", "three")
    tree.checkout()
    assert (tree / "single").read_text() == "two"


def test_added_and_uncommitted_work_in_another_worktree_is_kept(history: Place, tmp_path: Path) -> None:
    history.git("worktree", "add", "-q", str(tmp_path / "tree"), "side")
    tree = Place(tmp_path / "tree")
    tree.write({"fresh": "fresh"})
    tree.add("fresh")
    history.age()
    history.gc(all_commits=True)
    assert "fresh" in kept(history)


def test_a_damaged_meta_file_in_another_worktree_stops_it(history: Place, tmp_path: Path) -> None:
    history.git("worktree", "add", "-q", str(tmp_path / "tree"), "side")
    (tmp_path / "tree/single.meta").write_text("")
    with pytest.raises(BadMeta, match=r"single\.meta"):
        history.gc(workspace=True)
    assert kept(history) == versions("one", "two", "three")


def test_a_project_below_the_top_of_its_repository(tmp_path: Path, repo: Path, cli: Cli) -> None:
    dvc_like.init(repo / "sub", subdir=True)
    place = Place(repo / "sub")
    for name in ("one", "two"):
        place.write({"x": name})
        place.add("x")
        place.save(name)
    place.age()
    place.git("worktree", "add", "-q", str(tmp_path / "tree"), "HEAD~1")
    place.gc(workspace=True)
    assert kept(place) == {"one", "two"}
    place.git("worktree", "remove", "--force", str(tmp_path / "tree"))
    place.gc(all_commits=True)
    assert kept(place) == {"one", "two"}
    place.gc(workspace=True)
    assert kept(place) == {"two"}


# ------------------------------------------------------------------------------ when it stops


DAMAGE = {
    "emptied": "",
    "blank": "\n \n",
    "conflicted": "<<<<<<< HEAD\nhash: a\n=======\nhash: b\n>>>>>>> side\n",
    "a bad hash": "hash: blake3:../../..\nsize: 1\n",
    "no size": "hash: blake3:" + "0" * 64 + "\n",
    "another program's": "fileFormatVersion: 2\n",
    "binary": "\x00\x01\x02",
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("dry", [True, False])
def test_a_meta_file_that_cannot_be_read_stops_it(history: Place, cli: Cli, damage: str, dry: bool) -> None:
    (history / "single.meta").write_text(DAMAGE[damage])
    done = cli("gc", "-w", *(["--dry-run"] if dry else []), code=7)
    assert "single.meta" in done.err
    assert kept(history) == versions("one", "two", "three")


def test_a_meta_file_without_permission_stops_it(history: Place, unprivileged: Cli) -> None:
    (history / "single.meta").chmod(0)
    try:
        done = unprivileged("gc", "-w", code=(1, 7))
    finally:
        (history / "single.meta").chmod(0o644)
    assert "single.meta" in done.err
    assert kept(history) == versions("one", "two", "three")


def test_a_folder_that_cannot_be_listed_stops_it(history: Place, unprivileged: Cli) -> None:
    history.write({"deep/er/thing": "hidden"})
    history.add("deep/er/thing")
    history.age()
    (history / "deep").chmod(0)
    try:
        unprivileged("gc", "-w", code=(1, 7))
    finally:
        (history / "deep").chmod(0o755)
    assert "hidden" in kept(history)


def test_a_meta_file_replaced_by_a_link_stops_it(history: Place) -> None:
    (history / "single.meta").rename(history / "elsewhere")
    (history / "single.meta").symlink_to("elsewhere")
    with pytest.raises(CorruptData):
        history.gc(workspace=True)
    assert kept(history) == versions("one", "two", "three")


def test_a_damaged_meta_file_in_the_history_that_is_asked_for_stops_it(history: Place) -> None:
    good = (history / "single.meta").read_bytes()
    (history / "single.meta").write_text("")
    history.save()
    (history / "single.meta").write_bytes(good)
    history.save()
    with pytest.raises(CorruptData):
        history.gc(all_commits=True)
    assert kept(history) == versions("one", "two", "three")


def test_nothing_tracked_is_not_taken_for_nothing_needed(history: Place, cli: Cli) -> None:
    for name in ("single.meta", "data.meta"):
        (history / name).unlink()
    assert "--force" in cli("gc", "-w", code=1).err
    assert kept(history) == versions("one", "two", "three")
    cli("gc", "-w", "--force")
    assert kept(history) == set()
    cli("gc", "--undo")
    assert kept(history) == versions("one", "two", "three")


def test_a_shallow_clone_is_refused(history: Place, tmp_path: Path, cli: Cli) -> None:
    history.git("clone", "-q", "--depth", "1", f"file://{history.root}", str(tmp_path / "shallow"))
    done = cli("gc", "-w", cwd=tmp_path / "shallow", code=1)
    assert "unshallow" in done.err


def test_a_missing_listing_keeps_gc_from_guessing(history: Place) -> None:
    """What a needed listing holds cannot be known when it is gone: then nothing of it may go."""
    tree = next(path for key, path in objects_in(history.cache).items() if _is_current_tree(history, key))
    tree.unlink()
    try:
        history.gc(workspace=True)
    except DvcLikeError:
        assert "three x" in kept(history)
    history.gc(workspace=True, dry_run=True)
    undo(history.project)
    assert "three x" in kept(history)


def _is_current_tree(place: Place, key: str) -> bool:
    digest = (place / "data.meta").read_text().split("\n")[0].partition("blake3:")[2]
    return key == f"files/blake3/{digest[:2]}/{digest[2:]}.tree"


def test_a_scope_in_a_project_without_git(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    dvc_like.init(tmp_path / "plain", git=False)
    place = Place(tmp_path / "plain")
    place.write({"x": "one"})
    place.add("x")
    place.write({"x": "two"})
    place.add("x")
    place.age()
    cli("gc", "-A", cwd=place.root, code=3)
    assert kept(place) == {"one", "two"}
    found = cli("gc", "-w", "--json", cwd=place.root).json
    assert [one["path"] for one in found["removed"]] == [None]
    assert kept(place) == {"two"}


def test_a_revision_that_is_none_is_a_usage_error(history: Place, cli: Cli) -> None:
    cli("gc", "--rev", "nope", code=2)
    with pytest.raises(UsageError):
        history.gc()
    assert kept(history) == versions("one", "two", "three")


def test_another_process_that_reads_keeps_gc_waiting(history: Place, cli: Cli) -> None:
    fcntl = pytest.importorskip("fcntl")
    cli("config", "--local", "core.locktimeout", "0")
    with open(history / ".dvc-like/cache/lock", "a") as held:
        fcntl.flock(held, fcntl.LOCK_SH)
        cli("gc", "-w", code=8)
        cli("gc", "-w", "--dry-run")
    cli("gc", "-w")


@pytest.mark.parametrize("how", ["damaged", "unreadable"])
def test_a_listing_that_cannot_be_read_stops_it(place: Place, monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    """What it lists is not known, so nothing can be told to be garbage."""
    place.track({"data/x": "1", "data/sub/y": "2"})
    place.age()
    (tree,) = [path for path in place.cache.rglob("*.tree") if b"\ty\n" in path.read_bytes()]
    if how == "damaged":
        unlock(tree).write_bytes(b"garbage")
    else:
        real = os.read

        def read(fd: int, size: int) -> bytes:
            if os.path.samestat(os.fstat(fd), tree.stat()):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return real(fd, size)

        monkeypatch.setattr(os, "read", read)
    before = set(objects_in(place.cache))
    with pytest.raises(CorruptData if how == "damaged" else OSError, match=r"\.tree"):
        place.gc(workspace=True)
    assert set(objects_in(place.cache)) == before
