"""`gc --cloud` and many small packs, one of each push of a small change: put together, with nothing lost."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.place import Place
from tests.cli.stores import contents_of, dangling, packed_in, spoil, unsound
from tests.conftest import Cli

from dvc_like.ops import _cloud
from dvc_like.remote.local import LocalBackend
from dvc_like.remote.pack import Builder
from dvc_like.remote.packs import Packs

PUSHES = 20


@pytest.fixture
def many(place: Place) -> Place:
    """A folder of which one file changed with every push."""
    place.write({f"data/{n}": f"{n} " * 50 for n in range(PUSHES)})
    for n in range(PUSHES):
        place.write({f"data/{n}": f"changed {n} " * 50})
        place.add("data")
        place.save()
        place.push()
    return place


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What the store is asked for."""
    asked: list[str] = []

    def count(verb: str) -> None:
        real = getattr(LocalBackend, verb)

        def counted(self: LocalBackend, *arguments: Any, **options: Any) -> Any:
            asked.append(verb)
            return real(self, *arguments, **options)

        monkeypatch.setattr(LocalBackend, verb, counted)

    for verb in ("get", "list", "put", "delete"):
        count(verb)
    return asked


def packs_in(store: Path) -> set[str]:
    return {path.stem for path in (store / "packs").glob("*.idx")}


def test_a_new_clone_asks_for_fewer(many: Place, store: Path, clone: Callable[..., Place], requests: list[str]) -> None:
    assert len(packs_in(store)) == PUSHES
    before = contents_of(store)
    requests.clear()
    clone("first").pull()
    assert len(requests) >= 2 * PUSHES
    done = many.gc(all_commits=True, cloud=True).cloud
    assert (done.merged, len(done.condemned), done.deleted) == (PUSHES, PUSHES, [])
    assert contents_of(store) == before
    many.gc(all_commits=True, cloud=True, grace=0, force=True)
    assert len(packs_in(store)) == 1
    assert contents_of(store) == before
    assert (dangling(store), unsound(store)) == ([], [])
    requests.clear()
    other = clone("second")
    other.pull()
    assert len(requests) <= 6
    assert other.data() == many.data()
    requests.clear()
    many.write({"data/0": "once more"})
    many.add("data")
    many.save()
    many.push()
    assert len(requests) <= 6


def test_a_dry_run_says_it_and_touches_nothing(many: Place, store: Path, cli: Cli) -> None:
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    assert f"{PUSHES} small packs would be put together" in cli("gc", "-A", "--cloud", "--dry-run").out
    assert cli("gc", "-A", "--cloud", "--dry-run", "--json").json["merged"] == PUSHES
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before


def test_a_few_stay_as_they_are(many: Place, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_cloud, "_MANY", PUSHES + 1)
    done = many.gc(all_commits=True, cloud=True).cloud
    assert (done.merged, done.condemned) == (0, [])
    monkeypatch.setattr(_cloud, "_MANY", 2)
    monkeypatch.setattr(_cloud, "_SMALL", 100)
    done = many.gc(all_commits=True, cloud=True).cloud
    assert (done.merged, done.condemned) == (0, [])


def test_what_nobody_needs_does_not_come_along(many: Place, store: Path) -> None:
    needed = {key for key, data in contents_of(store).items() if b"changed" in data}
    many.gc(workspace=True, cloud=True, grace=0, force=True)
    shutil.rmtree(many / ".dvc-like/undo", ignore_errors=True)
    many.gc(workspace=True, cloud=True, grace=0, force=True)
    there = contents_of(store)
    assert needed <= set(there)
    assert len([key for key in there if key.endswith(".tree")]) == 1
    assert (dangling(store), unsound(store)) == ([], [])


def test_killed_before_the_old_ones_were_condemned(
    many: Place, store: Path, clone: Callable[..., Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents_of(store)
    with monkeypatch.context() as patched:
        patched.setattr(Packs, "condemn", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            many.gc(all_commits=True, cloud=True)
    assert len(packs_in(store)) == PUSHES + 1
    assert contents_of(store) == before
    many.gc(all_commits=True, cloud=True, grace=0, force=True)
    assert len(packs_in(store)) == 1
    assert contents_of(store) == before
    other = clone()
    other.pull()
    assert other.data() == many.data()


def test_one_that_is_damaged_keeps_its_group(many: Place, store: Path) -> None:
    spoiled = next(one for one in packed_in(store) if one.name == "data/3")
    before = packs_in(store)
    spoil(store, spoiled.key)
    done = many.gc(all_commits=True, cloud=True, grace=0, force=True).cloud
    assert (done.merged, done.condemned, done.deleted) == (0, [], [])
    assert before <= packs_in(store)


def test_what_lies_in_two_groups_stays_in_one(many: Place, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clones that push the same at the same moment put it into two packs; no group may rely on another that goes."""
    before = contents_of(store)
    packs = [list(members) for _, members in itertools.groupby(packed_in(store), lambda one: one.path)]
    for first, second in itertools.pairwise(packs):
        builder = Builder()
        for member in {one.ident: one for one in (*first, *second)}.values():
            builder.add(member.ident, member.name, member.read())
        made = builder.finish()
        (store / f"packs/{made.id}.zip").write_bytes(made.data)
        (store / f"packs/{made.id}.idx").write_bytes(made.index_data)
    monkeypatch.setattr(_cloud, "PACK_SIZE", 20_000)
    for _ in range(2):
        many.gc(all_commits=True, cloud=True, grace=0, force=True)
        assert list((store / "packs").glob("*.condemned")) == []
    assert len(packs_in(store)) < PUSHES
    assert contents_of(store) == before
    assert (dangling(store), unsound(store)) == ([], [])
