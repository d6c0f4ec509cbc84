"""Packs as a user meets them: what travels in one, what does not, and that a store without any is read as before."""

from __future__ import annotations

import os
import shutil
import subprocess
import tracemalloc
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from blake3 import blake3
from tests.cli.place import Place, key_of, objects_in
from tests.cli.stores import contents_of, dangling, pack_id_is_right, packed_in, put_pack, spoil, take_out, unsound
from tests.conftest import Cli

from dvc_like.errors import DvcLikeError
from dvc_like.ops import _send, _survey
from dvc_like.ops._packed import GAP, RUN, runs
from dvc_like.remote.base import Info
from dvc_like.remote.local import LocalBackend
from dvc_like.remote.pack import Member
from dvc_like.remote.packs import Place as Spot

MIB = 1 << 20


@pytest.fixture
def many(place: Place) -> Place:
    place.write({f"data/{n // 50}/{n}.txt": f"file {n}\n" * 20 for n in range(200)})
    place.add("data")
    place.save()
    return place


def packs_in(store: Path) -> list[Path]:
    return sorted((store / "packs").glob("*.zip"))


def test_small_files_of_a_folder_travel_in_one_pack_with_their_names(many: Place, store: Path, cli: Cli) -> None:
    done = cli("push", "--json").json
    assert done["sent"] == 205
    (pack,) = packs_in(store)
    assert pack_id_is_right(pack)
    names = {packed.name for packed in packed_in(store)}
    assert {"data/0/7.txt", "data/3/199.txt", ".trees/data.tree", ".trees/data/2.tree"} <= names
    assert not (store / "files").exists()
    assert set(contents_of(store)) == set(objects_in(many.cache))


def test_unzipping_a_pack_gives_the_folder_back(many: Place, store: Path, tmp_path: Path) -> None:
    many.push()
    (pack,) = packs_in(store)
    with zipfile.ZipFile(pack) as file:
        file.extractall(tmp_path / "unzipped")
    for name, node in many.data().items():
        if node[2] is not None and node[0] == "file":
            assert (tmp_path / "unzipped" / name).read_bytes() == node[2]


def test_single_files_and_big_ones_stay_whole(place: Place, store: Path) -> None:
    big = os.urandom(MIB + 1)
    place.write({"demo.txt": "hello", "data/big": big, "data/small": "s"})
    place.add("demo.txt", "data")
    place.push()
    assert (store / key_of("hello")).read_text() == "hello"
    assert (store / key_of(big)).stat().st_size == len(big)
    assert {packed.name for packed in packed_in(store)} == {"data/small", ".trees/data.tree"}


def test_a_change_of_one_file_sends_one_small_pack(many: Place, store: Path, clone: Callable[..., Place]) -> None:
    many.push()
    (first,) = packs_in(store)
    many.write({"data/2/120.txt": "changed"})
    many.add("data")
    many.save()
    assert many.push().objects == 3  # the file, its folder's tree, the root's
    (second,) = set(packs_in(store)) - {first}
    assert second.stat().st_size < first.stat().st_size / 3
    copy = clone()
    copy.pull()
    assert copy.data() == many.data()


def test_many_packs_and_a_clone_gets_every_byte(
    many: Place, store: Path, clone: Callable[..., Place], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_send, "PACK_SIZE", 3000)
    many.push()
    assert len(packs_in(store)) > 10
    assert dangling(store) == []
    assert unsound(store) == []
    copy = clone()
    copy.pull()
    assert copy.data() == many.data()


def test_part_of_a_dataset_is_read_out_of_a_pack(many: Place, clone: Callable[..., Place], cli: Cli) -> None:
    many.push()
    copy = clone()
    done = cli("pull", "data/2", "--json", cwd=copy.root).json
    assert done["fetched"] == 50
    assert set(copy.data()) >= {f"data/2/{n}.txt" for n in range(100, 150)}
    assert "data/0" not in copy.data()


def test_two_clones_that_push_the_same_make_one_pack(many: Place, store: Path, clone: Callable[..., Place]) -> None:
    many.push()
    before = packs_in(store)
    copy = clone()
    copy.pull()
    shutil.rmtree(store / "packs")
    copy.push()
    assert packs_in(store) == before


# ------------------------------------------------------------------------------ stores from before


def test_a_store_written_before_there_were_packs_is_read_and_added_to(
    many: Place, store: Path, clone: Callable[..., Place]
) -> None:
    for key, path in objects_in(many.cache).items():
        (store / key).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, store / key)
    (store / "dvc-like.json").write_text('{"format": 1, "store": "old"}\n')
    copy = clone()
    copy.pull()
    assert copy.data() == many.data()
    assert many.push().objects == 0
    many.write({"data/0/new": "new"})
    many.add("data")
    many.save()
    assert many.push().objects == 3
    other = clone("other")
    other.pull()
    assert other.data() == many.data()
    assert dangling(store) == []


# ------------------------------------------------------------------------------ what is not whole


def test_a_pack_without_its_index_is_not_there(many: Place, store: Path, clone: Callable[..., Place], cli: Cli) -> None:
    many.push()
    (pack,) = packs_in(store)
    pack.with_suffix(".idx").unlink()
    assert "not on remote" in cli("pull", cwd=clone().root, code=4).err
    stamp = pack.stat().st_mtime_ns
    assert many.push().objects == 205
    assert pack.stat().st_mtime_ns == stamp  # only the index had to be sent again
    copy = clone("second")
    copy.pull()
    assert copy.data() == many.data()


@pytest.mark.parametrize("size", [0, 100])
def test_a_pack_cut_short_is_not_there_and_is_replaced(
    many: Place, store: Path, clone: Callable[..., Place], size: int
) -> None:
    many.push()
    (pack,) = packs_in(store)
    pack.chmod(0o644)
    os.truncate(pack, size)
    many.push()
    assert unsound(store) == []
    copy = clone()
    copy.pull()
    assert copy.data() == many.data()


def test_a_damaged_index_is_no_answer_and_push_makes_it_again(
    many: Place, store: Path, clone: Callable[..., Place]
) -> None:
    many.push()
    (pack,) = packs_in(store)
    index = pack.with_suffix(".idx")
    sound = index.read_bytes()
    index.chmod(0o644)
    index.write_bytes(sound[:-1] + b"!")
    copy = clone()
    with pytest.raises(Exception, match="not on remote"):
        copy.pull()
    shutil.rmtree(many / ".dvc-like/tmp/packs")
    many.push()
    assert index.read_bytes() == sound
    copy.pull()
    assert copy.data() == many.data()


def test_a_damaged_member_is_found_in_another_pack(many: Place, store: Path, clone: Callable[..., Place]) -> None:
    many.push()
    key = key_of("file 7\n" * 20)
    (bad,) = [packed for packed in packed_in(store) if packed.key == key]
    data = bad.read()
    spoil(store, key)
    put_pack(store, [(bad.ident, "elsewhere", data)])
    copy = clone()
    copy.pull()
    assert copy.data() == many.data()


def test_a_damaged_pack_loses_nothing_that_another_clone_put_there(
    many: Place, store: Path, tmp_path: Path, cli: Cli
) -> None:
    """The pack of one repository holds a file of another; the one mends what it can, and the other's stays."""
    many.push()
    (one, two) = (packed for packed in packed_in(store) if packed.name in ("data/0/1.txt", "data/0/2.txt"))
    contents = one.read(), two.read()
    for packed in list(packed_in(store)):
        packed.path.unlink(missing_ok=True)
        packed.path.with_suffix(".idx").unlink(missing_ok=True)
    foreign = b"of somebody else"
    from dvc_like.digest import file_ident, of_bytes

    put_pack(
        store,
        [
            (one.ident, one.name, contents[0]),
            (two.ident, two.name, contents[1]),
            (file_ident(of_bytes("blake3", foreign)), "theirs", foreign),
        ],
    )
    spoil(store, one.key)
    many.push()
    there = contents_of(store)
    assert there[key_of(foreign)] == foreign
    assert unsound(store) == []
    assert dangling(store) == []


def test_what_vanished_from_a_pack_is_sent_again(many: Place, store: Path) -> None:
    many.push()
    take_out(store, key_of("file 7\n" * 20))
    assert many.push().objects == 1
    assert set(contents_of(store)) == set(objects_in(many.cache))


# ------------------------------------------------------------------------------ runs


def spots(*places: tuple[str, int, int]) -> list[Spot]:
    return [Spot(pack, Member(b"", 0, offset, length, length)) for pack, offset, length in places]


def test_what_lies_close_together_is_asked_for_at_once() -> None:
    found = list(runs(spots(("a", 0, 10), ("a", 50, 10), ("b", 0, 5), ("a", 60 + GAP + 1, 10))))
    assert [(run.pack, run.start, run.length) for run in found] == [
        ("a", 0, 60),
        ("a", 60 + GAP + 1, 10),
        ("b", 0, 5),
    ]


def test_a_run_is_no_longer_than_it_should_be() -> None:
    found = list(runs(spots(*(("a", n * MIB, MIB) for n in range(40)))))
    assert max(run.length for run in found) == RUN
    assert sum(len(run.members) for run in found) == 40


# ------------------------------------------------------------------------------ refs


def test_a_push_publishes_what_this_clone_needs_and_says_it_once(many: Place, store: Path, cli: Cli) -> None:
    many.push()
    (ref,) = (store / "refs").iterdir()
    text = ref.read_text()
    assert text.count("\tdata\n") == 1
    stamp = ref.stat().st_mtime_ns
    many.push()
    assert ref.stat().st_mtime_ns == stamp
    many.write({"data/0/1.txt": "again"})
    many.add("data")
    many.push()
    assert ref.read_text().count("\tdata\n") == 2  # the last commit still needs the older one
    subprocess.run(["git", "-C", many.root, "checkout", "-q", "--", "data.meta"], check=True)


def test_what_could_not_be_sent_is_not_published(many: Place, store: Path, cli: Cli) -> None:
    many.write({"single": "s"})
    many.add("single")
    many.cached("s").unlink()
    cli("push", code=9)
    (ref,) = (store / "refs").iterdir()
    assert "\tsingle\n" not in ref.read_text()
    assert "\tdata\n" in ref.read_text()


def test_a_part_of_a_target_is_told_to_be_a_part(many: Place, store: Path, cli: Cli) -> None:
    out = cli("push", "data/2").out
    assert "only a part" in out
    assert "dvc-like push data" in out
    assert cli("push", "--json").json["partial"] == []
    many.write({"data/2/100.txt": "changed"})
    many.add("data")
    assert "only a part" not in cli("push", "data/2").out  # the rest is there, so the listings could follow
    assert cli("push").out.startswith("Everything is on the remote.")


# ------------------------------------------------------------------------------ status --cloud


def test_status_says_what_is_not_on_the_remote(many: Place, cli: Cli) -> None:
    (one,) = cli("status", "--cloud", "--json").json["targets"]
    assert (one["remote"], one["on_remote"], len(one["not_on_remote"])) == ("storage", False, 200)
    assert "200 files not on remote storage" in cli("status", "-c").out
    many.push()
    assert "Everything is as recorded" in cli("status", "-c").out
    many.write({"data/0/1.txt": "again"})
    many.add("data")
    cli("status", "--cloud", "--exit-code", code=10)
    (one,) = cli("status", "--cloud", "--json").json["targets"]
    assert (one["state"], one["not_on_remote"]) == ("unchanged", ["data/0/1.txt"])
    assert "dvc-like push" in cli("status", "-r", "storage").out
    cli("status", "-r", "nowhere", code=3)


def test_copies_of_indexes_go_with_their_packs(many: Place, store: Path) -> None:
    many.push()
    kept = [path.name for path in (many / ".dvc-like/tmp/packs").rglob("*.idx")]
    assert kept == [packs_in(store)[0].with_suffix(".idx").name]
    shutil.rmtree(store / "packs")
    many.write({"data/0/1.txt": "another"})
    many.add("data")
    many.push()
    assert [path.name for path in (many / ".dvc-like/tmp/packs").rglob("*.idx")] == [
        packs_in(store)[0].with_suffix(".idx").name
    ]
    assert kept != [packs_in(store)[0].with_suffix(".idx").name]


def test_an_empty_file_comes_alone(place: Place, clone: Callable[..., Place]) -> None:
    place.track({"data/full": "full", "data/void": ""})
    place.push()
    other = clone()
    other.fetch("data/void")
    assert other.cached("").read_bytes() == b""


@pytest.mark.parametrize("size", [1 << 40, 1 << 63, (1 << 64) - 1])
def test_a_member_that_claims_to_be_huge_makes_its_pack_count_for_nothing(
    many: Place, store: Path, clone: Callable[..., Place], size: int
) -> None:
    many.push()
    (real,) = packs_in(store)
    data = bytearray(real.with_suffix(".idx").read_bytes())
    for at in range(28, len(data), 50):
        data[at + 33] = 1
        data[at + 42 : at + 50] = size.to_bytes(8, "little")
    while (forged := blake3(data).hexdigest()) > real.stem:  # so that it is asked first
        data[28 + 34] += 1
    (store / "packs" / f"{forged}.idx").write_bytes(data)
    shutil.copy(real, store / "packs" / f"{forged}.zip")
    other = clone()
    other.pull()
    assert other.data() == many.data()


def test_a_bomb_is_not_unpacked(many: Place, store: Path, clone: Callable[..., Place]) -> None:
    many.push()
    take_out(store, key_of("file 7\n" * 20))
    ident = b"\1" + blake3(("file 7\n" * 20).encode()).digest()
    put_pack(store, [(ident, "bomb", bytes(200 << 20))])
    other = clone()
    tracemalloc.start()
    with pytest.raises(DvcLikeError, match="fetch failed for 1 of 200"):
        other.fetch()
    assert tracemalloc.get_traced_memory()[1] < 100 << 20
    tracemalloc.stop()


def refs_in(store: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (store / "refs").iterdir()}


def test_what_a_clone_needs_is_published_again_where_it_is_gone(many: Place, store: Path) -> None:
    many.push()
    before = refs_in(store)
    shutil.rmtree(store / "refs")
    many.push()
    assert refs_in(store).keys() == before.keys()


def test_a_copy_of_a_repository_is_a_clone_of_its_own(many: Place, store: Path, tmp_path: Path) -> None:
    many.push()
    before = refs_in(store)
    shutil.copytree(many.root, tmp_path / "twin", symlinks=True)
    twin = Place(tmp_path / "twin")
    twin.track({"data/more": "more"})
    twin.push()
    assert before.items() < refs_in(store).items()


def test_what_another_worktree_needs_is_published(many: Place, store: Path, tmp_path: Path) -> None:
    many.push()
    many.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    side = Place(tmp_path / "side")
    side.pull()
    side.write({"data/side": "side"})
    side.add("data")
    side.push()
    line = (side / "data.meta").read_text().split("\n")[0].removeprefix("hash: ")
    many.track({"data/main": "main"})
    many.push()
    (published,) = refs_in(store).values()
    assert line in published


def test_status_says_that_a_listing_inside_is_not_on_the_remote(many: Place, store: Path, cli: Cli) -> None:
    many.push()
    (tree,) = {one.key for one in packed_in(store) if one.name == ".trees/data/2.tree"}
    take_out(store, tree)
    (one,) = cli("status", "--cloud", "--json").json["targets"]
    assert one["on_remote"] is False


def test_what_a_later_version_wrote_is_left_alone_and_told(
    many: Place, store: Path, clone: Callable[..., Place], cli: Cli
) -> None:
    many.push()
    (old,) = packs_in(store)
    data = bytearray(old.with_suffix(".idx").read_bytes())
    data[28 + 33] = 2  # a delta
    later = store / "packs" / f"{blake3(data).hexdigest()}.zip"
    old.with_suffix(".idx").unlink()
    old.rename(later)
    later.with_suffix(".idx").write_bytes(data)
    assert many.push().objects == 0
    assert packs_in(store) == [later]
    other = clone()
    assert "Upgrade dvc-like" in cli("pull", cwd=other.root, code=9).err


@pytest.mark.parametrize("harm", [take_out, spoil])
@pytest.mark.parametrize("what", ["file 7\n" * 20, "whole"])
def test_a_push_with_nothing_to_do_walks_nothing_until_something_was_touched(
    many: Place, store: Path, monkeypatch: pytest.MonkeyPatch, harm: Callable[[Path, str], None], what: str
) -> None:
    many.track({"single": "whole"})
    many.push()
    many.push()

    def walk(*_: object) -> None:
        raise AssertionError("it looks at everything again")

    with monkeypatch.context() as context:
        context.setattr(_survey.Survey, "run", walk)
        assert (many.push().objects, many.push().present) == (0, 201)
    harm(store, key_of(what))
    assert many.push().objects == 1
    assert contents_of(store)[key_of(what)] == what.encode()
    many.write({"single": "another"})
    many.add("single")
    assert many.push().objects == 1


def test_a_far_store_is_asked_once_for_each_whole_object(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    far = LocalBackend.capabilities._replace(cheap_stat=False)
    monkeypatch.setattr(LocalBackend, "capabilities", far)
    place.track({"single": "whole"})
    place.push()
    asked: list[str] = []
    real = LocalBackend.stat

    def stat(self: LocalBackend, keys: Iterable[str]) -> dict[str, Info]:
        keys = list(keys)
        asked.extend(keys)
        return real(self, keys)

    monkeypatch.setattr(LocalBackend, "stat", stat)
    place.push()
    assert asked.count(key_of("whole")) == 1
