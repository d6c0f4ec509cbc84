"""`gc --cloud`: names first and deletes later, respects everybody, and never takes what a push needed meanwhile."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.place import Place, clone_of, key_of, make_place, objects_in
from tests.cli.stores import contents_of, dangling, packed_in, spoil, unsound
from tests.conftest import Cli

from dvc_like.errors import CorruptData, DvcLikeError, RemoteError, RemoteUnavailable
from dvc_like.ops import _cloud
from dvc_like.remote import deleting, refs
from dvc_like.remote.local import LocalBackend
from dvc_like.remote.packs import Condemned, Packs

DAY = 86_400


def versions(place: Place, store: Path) -> None:
    """Two pushed versions of a folder and a single file; only the second is in the workspace, both in the history."""
    for round_ in ("old", "new"):
        place.write({f"data/{n}": f"{round_} {n} " * 50 for n in range(20)} | {"single": f"{round_} single"})
        place.add("data", "single")
        place.save(round_)
        place.push()


@pytest.fixture
def two(place: Place, store: Path) -> Place:
    versions(place, store)
    return place


def collect(place: Place, **options: object) -> object:
    """Collect the remote, and keep the cache out of it."""
    return place.gc(cloud=True, **options).cloud


def make_older(store: Path, seconds: float) -> None:
    """Let everything that says on the remote when it was written say it was so much earlier."""
    for path in [*(store / "packs").glob("*.condemned"), *(store / "refs").iterdir()]:
        lines = path.read_text().split("\n")
        lines = [f"written\t{int(line[8:]) - int(seconds)}" if line.startswith("written\t") else line for line in lines]
        path.chmod(0o644)
        path.write_text("\n".join(lines))


def condemned_in(store: Path) -> list[Path]:
    return sorted((store / "packs").glob("*.condemned"))


def test_nothing_goes_that_any_commit_needs(two: Place, store: Path) -> None:
    before = contents_of(store)
    done = collect(two, all_commits=True, grace=60)
    assert (done.condemned, done.deleted) == ([], [])
    assert contents_of(store) == before


def test_garbage_is_condemned_first_and_deleted_after_the_grace_period(two: Place, store: Path, cli: Cli) -> None:
    done = collect(two, workspace=True)
    assert {one.what for one in done.condemned} >= {"single"}
    assert len(done.condemned) == 2  # the single file, and the pack of the old version
    assert key_of("old single") in contents_of(store)
    done = collect(two, workspace=True)
    assert (done.condemned, done.deleted) == ([], [])
    make_older(store, 13 * DAY)
    assert collect(two, workspace=True).deleted == []
    make_older(store, 2 * DAY)
    done = collect(two, workspace=True)
    assert len(done.deleted) == 2
    there = contents_of(store)
    assert key_of("old single") not in there
    assert key_of("old 3 " * 50) not in there
    assert key_of("new 3 " * 50) in there
    assert condemned_in(store) == []
    assert dangling(store) == []
    assert unsound(store) == []


def test_a_dry_run_names_paths_and_sizes_and_touches_nothing(two: Place, store: Path, cli: Cli) -> None:
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    out = cli("gc", "-w", "--cloud", "--dry-run").out
    assert "condemned  single" in out
    assert "a pack of 21 objects, data/" in out
    assert "would be condemned" in out
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before


def test_what_another_clone_needs_stays(two: Place, store: Path, clone: Callable[..., Place]) -> None:
    other = clone()
    other.pull()
    other.write({"single": "another"})
    other.add("single")
    other.save()
    other.push()  # its history has both versions
    done = collect(two, workspace=True, grace=0, force=True)
    assert done.deleted == []
    assert len(done.others) == 1
    assert key_of("old single") in contents_of(store)


def test_what_another_repository_needs_stays(two: Place, store: Path, tmp_path: Path) -> None:
    """P5: a remote shared by two repositories."""
    other = make_place(tmp_path / "other")
    other.use_store(store)
    other.write({"theirs/a": "theirs", "lone": "lone"})
    other.add("theirs", "lone")
    other.save()
    other.push()
    done = collect(two, workspace=True, grace=0, force=True)
    assert len(done.deleted) == 2
    there = contents_of(store)
    assert {key_of("theirs"), key_of("lone")} <= set(there)
    copy = clone_of(other, tmp_path / "copy")
    copy.pull()
    assert copy.data() == other.data()


def test_a_clone_that_did_not_push_for_a_year_counts_no_more_and_is_named(
    two: Place, store: Path, tmp_path: Path, cli: Cli
) -> None:
    other = make_place(tmp_path / "other")
    other.use_store(store)
    other.write({"lone": "lone"})
    other.add("lone")
    other.save()
    other.push()
    own = {path.name for path in (store / "refs").iterdir()}
    make_older(store, refs.EXPIRE + DAY)
    done = cli("gc", "-w", "--cloud", "--dry-run")
    assert "not respected" in done.out
    assert "other (" in done.out
    assert key_of("lone") in done.out
    assert {path.name for path in (store / "refs").iterdir()} == own


def test_what_a_push_needed_meanwhile_is_spared(two: Place, store: Path, clone: Callable[..., Place]) -> None:
    other = clone()
    other.pull()
    collect(two, workspace=True)
    assert len(condemned_in(store)) == 1
    other.git("checkout", "-q", "HEAD~1")
    other.pull()
    other.git("checkout", "-q", "-b", "back")
    done = other.push()  # nothing to send: it is all there, though condemned
    assert done.objects == 0
    assert condemned_in(store) == []
    (store / "refs" / sorted(path.name for path in (store / "refs").iterdir())[0]).exists()
    make_older(store, 15 * DAY)
    collect(two, workspace=True)
    assert key_of("old single") in contents_of(store)
    assert dangling(store) == []


def test_a_list_that_is_spared_while_gc_runs_is_left_alone(
    two: Place, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collect(two, workspace=True)
    make_older(store, 15 * DAY)
    (listed,) = condemned_in(store)
    real = _cloud.CloudCollector._safe

    def spare(self: object, *arguments: object) -> object:
        listed.unlink()  # as a push does, after gc has read the lists
        return real(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(_cloud.CloudCollector, "_safe", spare)
    done = collect(two, workspace=True)
    assert done.deleted == []
    assert key_of("old single") in contents_of(store)


def test_a_pack_that_is_more_than_half_dead_is_written_anew(place: Place, store: Path) -> None:
    place.write({f"data/{n}": f"{n} " * 100 for n in range(20)})
    place.add("data")
    place.save()
    place.push()
    (before,) = {packed.path for packed in packed_in(store)}
    for n in range(5, 20):
        (place / f"data/{n}").unlink()
    place.add("data")
    place.push()
    done = collect(place, workspace=True)
    assert done.repacked == 1
    assert [one.key for one in done.condemned] == [f"packs/{before.stem}"]
    assert before.exists()
    make_older(store, 15 * DAY)
    collect(place, workspace=True)
    assert not before.exists()
    there = contents_of(store)
    assert {key_of(f"{n} " * 100) for n in range(5)} <= set(there)
    assert key_of("7 " * 100) not in there
    assert dangling(store) == []
    assert unsound(store) == []


def test_a_pack_that_is_mostly_needed_stays(place: Place, store: Path) -> None:
    place.write({f"data/{n}": f"{n} " * 100 for n in range(20)})
    place.add("data")
    place.push()
    (place / "data/0").unlink()
    place.add("data")
    place.push()
    done = collect(place, workspace=True)
    assert (done.repacked, done.condemned) == (0, [])


def test_a_pack_whose_index_never_came_is_garbage(two: Place, store: Path) -> None:
    orphan = store / "packs" / ("ab" * 32 + ".zip")
    orphan.write_bytes(b"PK")
    done = collect(two, all_commits=True)
    assert [one.key for one in done.condemned] == ["packs/" + "ab" * 32]
    make_older(store, 15 * DAY)
    collect(two, all_commits=True)
    assert not orphan.exists()


@pytest.fixture
def far(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a folder be looked at as sparingly as a bucket is: what is in packs is believed without reading it."""
    monkeypatch.setattr(LocalBackend, "capabilities", LocalBackend.capabilities._replace(cheap_stat=False))


def shrunk(place: Place) -> str:
    """Push a folder, and again without one file that travels whole; return the commit with it."""
    place.write({f"data/{n}": os.urandom(1000) for n in range(20)} | {"data/big": os.urandom((1 << 20) + 1)})
    place.add("data")
    first = place.save()
    place.push()
    (place / "data/big").unlink()
    place.add("data")
    place.save()
    place.push()
    return first


@pytest.mark.usefixtures("far")
def test_no_tree_stays_whose_files_go(place: Place, store: Path, clone: Callable[..., Place]) -> None:
    first = shrunk(place)
    collect(place, workspace=True)
    make_older(store, 15 * DAY)
    assert len(collect(place, workspace=True).deleted) == 2
    assert dangling(store) == []
    place.git("checkout", "-q", first)
    place.checkout()
    assert place.push().objects == 2  # the file and the listing
    other = clone()
    other.git("checkout", "-q", first)
    other.pull()
    assert other.data() == place.data()


def test_a_tree_that_stays_keeps_what_it_lists(place: Place, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shrunk(place)
    monkeypatch.setattr(_cloud.CloudCollector, "_rewrite", lambda *_: False)
    collect(place, workspace=True)
    make_older(store, 15 * DAY)
    assert collect(place, workspace=True).deleted == []
    assert dangling(store) == []


@pytest.mark.parametrize("killed_at", [1, 2, 3])
def test_a_gc_that_is_killed_leaves_no_tree_whose_files_went(
    place: Place, store: Path, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    shrunk(place)
    collect(place, workspace=True)
    make_older(store, 15 * DAY)
    calls = []
    real = LocalBackend.delete

    def delete(self: LocalBackend, keys: Iterable[str]) -> None:
        real(self, keys := list(keys))
        calls.extend([keys] if keys else [])
        if len(calls) == killed_at:
            raise KeyboardInterrupt

    monkeypatch.setattr(LocalBackend, "delete", delete)
    with pytest.raises(KeyboardInterrupt):
        collect(place, workspace=True)
    assert [keys for keys in calls[killed_at:] if not keys[0].endswith(".deleting")] == []
    assert dangling(store) == []


class Killed(BaseException):
    pass


@pytest.fixture
def killed(two: Place, store: Path, clone: Callable[..., Place], monkeypatch: pytest.MonkeyPatch) -> Place:
    """A clone that needs again what a gc was deleting when it was killed: a part of it is gone."""
    other = clone()
    other.pull()
    other.git("checkout", "-q", "HEAD~1")
    other.pull()
    collect(two, workspace=True)
    make_older(store, 15 * DAY)
    real, calls = LocalBackend.delete, []

    def delete(self: LocalBackend, keys: Iterable[str]) -> None:
        if not calls:
            real(self, keys := list(keys))
            calls.extend(keys)
        raise Killed  # nothing is tidied up

    with monkeypatch.context() as patched:
        patched.setattr(LocalBackend, "delete", delete)
        with pytest.raises(Killed):
            collect(two, workspace=True)
    assert len(calls) == 1
    assert len(announced_in(store)) == 1
    return other


def announced_in(store: Path) -> list[Path]:
    return sorted((store / "packs").glob("*.deleting"))


def seen_earlier(place: Place, seconds: float) -> None:
    """Let a clone have seen every announcement so much earlier."""
    notes = list((place.root / ".dvc-like/tmp/packs").glob("*/*.deleting"))
    assert notes
    for note in notes:
        note.write_text(str(float(note.read_text()) - seconds))


def test_what_a_gc_is_deleting_is_not_relied_on_however_often_one_pushes(killed: Place, store: Path, cli: Cli) -> None:
    for _ in range(3):
        done = cli("push", code=6, cwd=killed.root)
        assert "a gc deletes there what is needed now" in done.err
        assert "If it was killed, this clone can push again from " in done.err


def test_a_gc_that_was_killed_is_in_nobodys_way_for_long(
    killed: Place, store: Path, clone: Callable[..., Place]
) -> None:
    with pytest.raises(RemoteUnavailable):
        killed.push()
    seen_earlier(killed, deleting.OVER + 1)
    killed.push()
    assert announced_in(store) == []
    assert dangling(store) == []
    newcomer = clone("newcomer")  # who saw none of it
    newcomer.git("checkout", "-q", "HEAD~1")
    newcomer.pull()
    assert newcomer.data() == killed.data()
    newcomer.push()


def test_the_next_gc_takes_back_what_a_killed_one_announced(killed: Place, two: Place, store: Path) -> None:
    collect(two, workspace=True)
    assert len(announced_in(store)) == 1  # it may be alive, for all that is known
    seen_earlier(two, deleting.OVER + 1)
    collect(two, workspace=True)
    assert announced_in(store) == []
    killed.push()
    assert dangling(store) == []


def test_a_gc_that_stood_still_deletes_nothing_more(two: Place, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it would delete what others, who took it for dead, have sent again."""
    collect(two, workspace=True)
    make_older(store, 15 * DAY)
    before = contents_of(store)
    real = Packs._put_list

    def put(self: Packs, kind: str, *arguments: Any) -> Condemned:
        try:
            return real(self, kind, *arguments)
        finally:
            if kind == "deleting":
                now = time.time
                monkeypatch.setattr(time, "time", lambda: now() + deleting.LONGEST + 1)

    monkeypatch.setattr(Packs, "_put_list", put)
    with pytest.raises(RemoteError, match="longer than 10 minutes"):
        collect(two, workspace=True)
    assert contents_of(store) == before
    assert announced_in(store) == []


def test_what_md5_names_is_left_alone_and_told(two: Place, store: Path, cli: Cli) -> None:
    theirs = store / "files/md5/5b/bf5a52328e7439ae6e719dfe712200"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"x" * 2048)
    done = cli("gc", "--workspace", "--cloud", "--grace", "0", "--force")
    assert "left alone: 1 object, 2.0 kB, named by MD5, which DVC may need" in done.out
    assert theirs.exists()
    found = cli("gc", "--workspace", "--cloud", "--json").json
    assert (found["foreign"], found["foreign_size"]) == (1, 2048)


# ------------------------------------------------------------------------------ when to stop


def test_a_ref_that_cannot_be_read_stops_it(two: Place, store: Path) -> None:
    (store / "refs" / "stranger").write_text("gibberish")
    before = set(contents_of(store))
    with pytest.raises(CorruptData, match="stranger"):
        collect(two, workspace=True, grace=0, force=True)
    assert set(contents_of(store)) == before


def test_a_damaged_index_stops_it(two: Place, store: Path) -> None:
    path = next((store / "packs").glob("*.idx"))
    path.chmod(0o644)
    path.write_bytes(b"x")
    for copied in (two / ".dvc-like/tmp/packs").rglob("*.idx"):
        copied.unlink()
    with pytest.raises(CorruptData, match="damaged"):
        collect(two, workspace=True)
    assert condemned_in(store) == []


def test_a_listing_that_another_repository_needs_and_is_damaged_stops_it(
    two: Place, store: Path, tmp_path: Path
) -> None:
    other = make_place(tmp_path / "other")
    other.use_store(store)
    other.write({"theirs/a": "theirs"})
    other.add("theirs")
    other.save()
    other.push()
    (tree,) = (key for key in objects_in(other.cache) if key.endswith(".tree"))
    spoil(store, tree)
    before = set(store.rglob("*"))
    with pytest.raises(DvcLikeError, match="theirs"):
        collect(two, workspace=True, grace=0, force=True)
    assert set(store.rglob("*")) == before


def test_little_grace_needs_force(two: Place, cli: Cli) -> None:
    cli("gc", "-w", "--cloud", "--grace", "5", code=2)
    two.config("local", gc_cloudgrace="5")
    cli("gc", "-w", "--cloud", code=2)


def test_a_remote_by_name_and_none(two: Place, cli: Cli, tmp_path: Path) -> None:
    cli("gc", "-w", "-r", "nowhere", code=3)
    cli("remote", "add", "empty", tmp_path / "empty")
    assert "nothing to free on the remote" in cli("gc", "-w", "-r", "empty").out
    assert not (tmp_path / "empty").exists()


def test_the_cache_is_collected_as_without_cloud(two: Place) -> None:
    two.age()
    done = two.gc(workspace=True, cloud=True)
    assert "single" in {one.path for one in done.garbage}
    assert not two.cached("old single").exists()


def test_the_time_of_a_list_is_now(two: Place, store: Path) -> None:
    before = int(time.time())
    collect(two, workspace=True)
    (listed,) = condemned_in(store)
    written = int(listed.read_text().split("\n")[1].partition("\t")[2])
    assert before <= written <= time.time()
    assert os.path.basename(listed).startswith(f"{written:010}-")


def test_what_is_put_again_is_on_no_list(two: Place, store: Path) -> None:
    """A gc that was killed left a list that names what is gone; another one may be about to go on with it."""
    collect(two, workspace=True)
    for path in [store / key_of("old single"), *(path for path in store.glob("packs/*.idx"))]:
        path.unlink()
    two.git("checkout", "-q", "HEAD~1")
    two.checkout()
    two.push()
    names = "".join(path.read_text() for path in condemned_in(store))
    assert key_of("old single") not in names
    assert "packs/" not in names
    assert dangling(store) == []


def test_a_list_that_cannot_be_read_stops_gc_and_nobody_else(
    two: Place, store: Path, clone: Callable[..., Place]
) -> None:
    collect(two, workspace=True)
    (listed,) = condemned_in(store)
    listed.chmod(0o644)
    listed.write_text("gibberish")
    make = clone()
    make.pull()
    assert make.data() == two.data()
    two.push()
    with pytest.raises(CorruptData, match="condemned"):
        collect(two, workspace=True)


def test_a_clock_that_is_behind_stops_it(two: Place, store: Path, tmp_path: Path) -> None:
    other = make_place(tmp_path / "other")
    other.use_store(store)
    other.track({"lone": "lone"})
    other.push()
    make_older(store, -3 * DAY)
    with pytest.raises(DvcLikeError, match="clock"):
        collect(two, workspace=True)
    assert condemned_in(store) == []
