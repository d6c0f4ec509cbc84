"""`fsck --remote`: finds what is missing or damaged on a remote, and sends again what the cache has."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.place import Place, key_of, objects_in, unlock
from tests.cli.stores import contents_of, dangling, packed_in, spoil, take_out, unsound
from tests.conftest import Cli

from dvc_like.errors import CorruptData
from dvc_like.ops.fsck import fsck_remote

BIG = os.urandom((1 << 20) + 7)


@pytest.fixture
def pushed(place: Place) -> Place:
    place.write({f"data/{n % 3}/{n}": f"file {n}" for n in range(12)} | {"data/big": BIG, "single": "single"})
    place.add("data", "single")
    place.save()
    place.push()
    return place


def test_a_sound_remote(pushed: Place, cli: Cli) -> None:
    assert "is sound: 14 files" in cli("fsck", "--remote", "storage").out
    done = cli("fsck", "--remote", "storage", "--read-data", "--json").json
    assert (done["files"], done["missing"], done["damaged_packs"], done["repaired"]) == (14, [], [], 0)


def lose_single(store: Path) -> str:
    (store / key_of("single")).unlink()
    return "single"


def cut_big(store: Path) -> str:
    os.truncate(unlock(store / key_of(BIG)), 100)
    return "data/big"


def lose_member(store: Path) -> str:
    take_out(store, key_of("file 7"))
    return "data/1/7"


def spoil_member(store: Path) -> str:
    spoil(store, key_of("file 7"))
    return "data/1/7"


def lose_zip(store: Path) -> str:
    next((store / "packs").glob("*.zip")).unlink()
    return "data/1/7"


def cut_zip(store: Path) -> str:
    os.truncate(unlock(next((store / "packs").glob("*.zip"))), 200)
    return "data/1/7"


def lose_index(store: Path) -> str:
    next((store / "packs").glob("*.idx")).unlink()
    return "data/1/7"


def spoil_index(store: Path) -> str:
    unlock(next((store / "packs").glob("*.idx"))).write_bytes(b"dvc-like idx 1\n\0")
    return ""


def lose_all(store: Path) -> str:
    shutil.rmtree(store)
    return "single"


DAMAGE = [lose_single, cut_big, lose_member, spoil_member, lose_zip, cut_zip, lose_index, spoil_index, lose_all]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_damage_is_found_and_mended(
    pushed: Place, store: Path, cli: Cli, clone: Callable[..., Place], damage: Callable[[Path], str]
) -> None:
    path = damage(store)
    shutil.rmtree(pushed / ".dvc-like/tmp/packs", ignore_errors=True)
    done = cli("fsck", "--remote", "storage", code=7)
    assert path in done.err
    assert "--repair" in done.err
    cli("fsck", "--remote", "storage", "--repair")
    cli("fsck", "--remote", "storage", "--read-data")
    assert set(contents_of(store)) >= set(objects_in(pushed.cache))
    assert unsound(store) == []
    assert dangling(store) == []
    copy = clone()
    copy.pull()
    assert copy.data() == pushed.data()


def test_what_the_cache_lacks_too_is_named_and_the_rest_mended(pushed: Place, store: Path, cli: Cli) -> None:
    lose_single(store)
    cut_big(store)
    pushed.cached(BIG).unlink()
    (pushed / "data/big").unlink()
    done = cli("fsck", "--remote", "storage", "--repair", code=7)
    assert "data/big" in done.err
    assert "single" not in done.err.replace("missing or damaged, ", "")
    assert key_of("single") in contents_of(store)


def test_nothing_is_changed_without_repair(pushed: Place, store: Path, cli: Cli) -> None:
    spoil_member(store)
    before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
    cli("fsck", "--remote", "storage", code=7)
    assert {path: path.read_bytes() for path in store.rglob("*") if path.is_file()} == before


def test_a_share_of_the_data(pushed: Place, cli: Cli) -> None:
    cli("fsck", "--remote", "storage", "--read-data=10")


def test_an_unknown_remote_and_one_that_is_not_there(pushed: Place, cli: Cli, tmp_path: Path) -> None:
    cli("fsck", "--remote", "nowhere", code=3)
    cli("remote", "add", "away", tmp_path / "not" / "mounted")
    cli("fsck", "--remote", "away", code=6)


def test_packs_are_few(pushed: Place, store: Path) -> None:
    assert len({packed.path for packed in packed_in(store)}) == 1


def test_what_was_never_fetched_is_checked_as_well(pushed: Place, store: Path, clone: Callable[..., Place]) -> None:
    other = clone()
    done = fsck_remote(other.project, "storage")
    assert done.files == fsck_remote(pushed.project, "storage").files
    lose_single(store)
    lose_member(store)
    with pytest.raises(CorruptData, match="2 missing or damaged") as caught:
        fsck_remote(other.project, "storage")
    assert len(caught.value.details) == 2


def change_single(store: Path) -> str:
    unlock(store / key_of("single")).write_bytes(b"elgnis")
    return "single"


@pytest.mark.parametrize("damage", [change_single, spoil_member, lose_single], ids=lambda damage: damage.__name__)
def test_what_pull_and_fsck_tell_to_do_helps(
    pushed: Place, store: Path, cli: Cli, clone: Callable[..., Place], damage: Callable[[Path], str]
) -> None:
    """Where bytes were changed and the size was not, only reading finds it; the advice has to say so."""
    path = damage(store)
    copy = clone()
    done = cli("pull", cwd=copy.root, code=(7, 8, 9))
    assert path in done.err
    told = [done.err, cli("fsck", "--remote", "storage", "--read-data", code=7).err]
    advice = [found for text in told for found in re.findall(r"`dvc-like (fsck [^`]*)`", text)]
    assert len(advice) == 2
    assert all("--read-data" in words for words in advice) or damage is lose_single
    cli(*advice[0].split())
    cli("pull", cwd=copy.root)
    assert copy.data() == pushed.data()


def test_a_check_that_read_nothing_says_so(pushed: Place, cli: Cli) -> None:
    assert "--read-data" in cli("fsck", "--remote", "storage").out
    assert "--read-data" not in cli("fsck", "--remote", "storage", "--read-data").out
