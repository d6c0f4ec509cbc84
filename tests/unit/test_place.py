"""How an object gets into the workspace: in the way that was asked for or the next best, and sound or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dvc_like import digest as digests
from dvc_like.cache.place import Placed, Placer
from dvc_like.cache.store import Cache
from dvc_like.cache.writer import CLONE_FROM, SMALL, Writer
from dvc_like.digest import Digest
from dvc_like.fsutil import Dir, copy_bytes, signature

pytestmark = pytest.mark.skipif(os.name != "posix", reason="tests links and bits of POSIX")

SIZES = [0, 5, CLONE_FROM - 1, CLONE_FROM, SMALL, SMALL + 1]
TYPES = ["reflink", "hardlink", "symlink", "copy"]


class Place:
    """A cache and a folder of the workspace."""

    def __init__(self, cache_root: Path, workspace: Path) -> None:
        self.root = workspace
        workspace.mkdir(exist_ok=True)
        self.cache = Cache(str(cache_root), str(cache_root) + ".sqlite")
        self.folder = Dir.open_root(str(workspace))

    def store(self, data: bytes) -> Digest:
        source = self.root / "source"
        source.write_bytes(data)
        with Writer(self.cache, "blake3") as writer, open(source, "rb") as file:
            digest = writer.put_file(file.fileno(), len(data)).digest
        source.unlink()
        return digest

    def place(
        self, digest: Digest, kind: str, name: str = "f", *, executable: bool = False, replace: bool = True
    ) -> Placed | None:
        return Placer(self.cache, tuple(kind.split(","))).place(
            self.folder, name, digest, executable=executable, replace=replace
        )

    def close(self) -> None:
        self.folder.close()
        self.cache.close()


@pytest.fixture
def there(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path / "cache", tmp_path / "workspace")
    yield made
    made.close()


def is_link(place: Place, digest: Digest, kind: str) -> bool:
    """Tell whether ``f`` is tied to the object in that way."""
    path, target = place.root / "f", place.cache.path(digest)
    if kind == "symlink":
        return path.is_symlink() and os.readlink(path) == target
    return path.samefile(target) and not path.is_symlink()


@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", TYPES)
def test_every_way_brings_the_bytes(there: Place, kind: str, size: int, replace: bool) -> None:
    data = os.urandom(size)
    digest = there.store(data)
    if replace:
        (there.root / "f").write_bytes(b"old")
    placed = there.place(digest, kind, replace=replace)
    assert placed is not None
    assert (there.root / "f").read_bytes() == data
    assert placed.fingerprint == digests.fingerprint(data)
    assert signature(placed.status) == signature(os.lstat(there.root / "f"))
    assert os.listdir(there.root) == ["f"]
    if kind in ("hardlink", "symlink"):
        assert is_link(there, digest, kind)
    else:
        assert not is_link(there, digest, "hardlink")
        assert (there.root / "f").stat().st_mode & 0o200
    assert there.cache.is_sound(digest)


@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
@pytest.mark.parametrize("size", [CLONE_FROM, SMALL + 1])
def test_a_clone_has_the_bytes_and_writing_to_it_spares_the_object(
    loop_fs: Callable[[str], Path], kind: str, size: int
) -> None:
    folder = loop_fs(kind)
    place = Place(folder / "cache", folder / "workspace")
    data = os.urandom(size)
    digest = place.store(data)
    placed = place.place(digest, "reflink")
    assert placed is not None
    path = place.root / "f"
    assert path.read_bytes() == data
    with open(path, "r+b") as file:
        file.write(b"user's")
    assert Path(place.cache.path(digest)).read_bytes() == data
    assert place.cache.is_sound(digest)
    place.close()


@pytest.mark.parametrize("kind", TYPES)
def test_the_executable_bit_is_never_shared_through_a_link(there: Place, kind: str) -> None:
    digest = there.store(b"#!/bin/sh\n")
    assert there.place(digest, kind, executable=True) is not None
    path = there.root / "f"
    assert not is_link(there, digest, "symlink")
    assert not is_link(there, digest, "hardlink")
    assert path.stat().st_mode & 0o100
    assert path.stat().st_mode & 0o777 == 0o777 & ~_umask()
    assert os.stat(there.cache.path(digest)).st_mode & 0o777 == 0o444


def _umask() -> int:
    old = os.umask(0)
    os.umask(old)
    return old


@pytest.mark.parametrize("size", [5, CLONE_FROM, SMALL + 1])
def test_no_mode_but_the_right_to_run_is_brought(there: Place, size: int) -> None:
    old = os.umask(0o027)
    try:
        there.place(there.store(os.urandom(size)), "copy")
    finally:
        os.umask(old)
    assert (there.root / "f").stat().st_mode & 0o7777 == 0o640


@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize("kind", TYPES)
def test_a_damaged_object_is_not_placed_and_nothing_is_touched(there: Place, kind: str, replace: bool) -> None:
    digest = there.store(b"sound")
    os.chmod(there.cache.path(digest), 0o644)
    Path(there.cache.path(digest)).write_bytes(b"wrong")
    name = "f" if replace else "g"
    (there.root / "f").write_bytes(b"the user's")
    assert there.place(digest, kind, name, replace=replace) is None
    assert (there.root / "f").read_bytes() == b"the user's"
    assert os.listdir(there.root) == ["f"]
    assert there.cache.set_aside == [digest]


@pytest.mark.parametrize("kind", TYPES)
def test_a_missing_object_is_not_placed(there: Place, kind: str) -> None:
    assert there.place(digests.of_bytes("blake3", b"none"), kind) is None
    assert os.listdir(there.root) == []


@pytest.mark.parametrize("kind", TYPES)
def test_without_replacing_a_name_that_is_taken_stays(there: Place, kind: str) -> None:
    digest = there.store(b"object")
    (there.root / "f").write_bytes(b"the user's")
    with pytest.raises(FileExistsError):
        there.place(digest, kind, replace=False)
    assert (there.root / "f").read_bytes() == b"the user's"


@pytest.mark.parametrize("kind", TYPES)
def test_a_link_in_the_way_is_replaced_and_not_followed(there: Place, tmp_path: Path, kind: str) -> None:
    (tmp_path / "outside").write_bytes(b"theirs")
    (there.root / "f").symlink_to(tmp_path / "outside")
    there.place(there.store(b"object"), kind)
    assert (there.root / "f").read_bytes() == b"object"
    assert (tmp_path / "outside").read_bytes() == b"theirs"


@pytest.mark.parametrize("kind", TYPES)
def test_a_folder_in_the_way_stays_and_no_temporary_file_is_left(there: Place, kind: str) -> None:
    digest = there.store(b"object")
    (there.root / "f").mkdir()
    (there.root / "f/mine").write_bytes(b"the user's")
    with pytest.raises(OSError, match=r"."):
        there.place(digest, kind)
    assert os.listdir(there.root) == ["f"]
    assert (there.root / "f/mine").read_bytes() == b"the user's"


def test_a_hard_linked_object_stays_trusted_until_somebody_writes_to_it(there: Place) -> None:
    digest = there.store(b"object")
    for name in ("f", "g"):
        there.place(digest, "hardlink", name)
    record = there.cache.trust.get(digest)
    assert record is not None
    assert record[0] == signature(os.lstat(there.cache.path(digest)))
    (there.root / "f").chmod(0o644)
    (there.root / "f").write_bytes(b"edited")
    assert not there.cache.is_sound(digest)
    assert there.place(digest, "copy", "h") is None


@pytest.mark.parametrize("kind", ["hardlink", "reflink"])
def test_across_file_systems_it_is_copied(small_disk: Callable[[int], Path], tmp_path: Path, kind: str) -> None:
    place = Place(tmp_path / "cache", small_disk(8 << 20))
    for size in SIZES:
        data = os.urandom(size)
        digest = place.store(data)
        placed = place.place(digest, kind)
        assert placed is not None
        assert (place.root / "f").read_bytes() == data
        assert (place.root / "f").stat().st_nlink == 1
        assert os.listdir(place.root) == ["f"]
    place.close()


@pytest.mark.parametrize("types", ["symlink", "hardlink,symlink"])
def test_across_file_systems_the_first_type_that_works_is_used(
    small_disk: Callable[[int], Path], tmp_path: Path, types: str
) -> None:
    place = Place(tmp_path / "cache", small_disk(1 << 20))
    digest = place.store(b"object")
    place.place(digest, types)
    assert is_link(place, digest, "symlink")
    place.close()


@pytest.mark.parametrize("size", [100_000, SMALL + 1])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    small_disk: Callable[[int], Path], tmp_path: Path, size: int
) -> None:
    disk = small_disk(64 << 10)
    place = Place(tmp_path / "cache", tmp_path / "elsewhere")
    digest = place.store(os.urandom(size))
    place.close()
    place = Place(tmp_path / "cache", disk)
    (place.root / "f").write_bytes(b"the user's")
    with pytest.raises(OSError, match="space"):
        place.place(digest, "copy")
    assert os.listdir(place.root) == ["f"]
    assert (place.root / "f").read_bytes() == b"the user's"
    place.close()


def test_one_placer_serves_many_where_cloning_cannot_be(small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(8 << 20)
    place = Place(disk / "cache", disk / "workspace")
    placer = Placer(place.cache)
    for number in range(3):
        data = os.urandom(CLONE_FROM)
        assert placer.place(place.folder, str(number), place.store(data), executable=False, replace=False) is not None
        assert (place.root / str(number)).read_bytes() == data
    place.close()


def test_only_links_that_share_the_inode_count_as_links(there: Place) -> None:
    assert [Placer(there.cache, (kind,)).links for kind in TYPES] == [False, True, True, False]


@pytest.mark.parametrize("replace", [True, False])
def test_an_object_that_is_written_to_while_it_is_copied_is_not_placed(
    there: Place, monkeypatch: pytest.MonkeyPatch, replace: bool
) -> None:
    digest = there.store(b"x" * (SMALL + 1))
    path = Path(there.cache.path(digest))

    def copy_late(source: int, target: int) -> None:
        path.chmod(0o644)
        with path.open("r+b") as file:  # as an editor does through a hard link in another workspace
            file.write(b"y")
        copy_bytes(source, target)

    monkeypatch.setattr("dvc_like.cache.place.copy_bytes", copy_late)
    assert there.place(digest, "copy", replace=replace) is None
    assert os.listdir(there.root) == []
