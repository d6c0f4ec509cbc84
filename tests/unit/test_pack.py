"""Packs and their indexes: ordinary ZIPs, found again member by member, and never trusted further than they go."""

from __future__ import annotations

import io
import os
import random
import struct
import subprocess
import zipfile
import zlib
from pathlib import Path
from shutil import which

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.safety import INPUT, cases

from dvc_like import digest as digests
from dvc_like.digest import file_ident, of_bytes, of_ident, tree_ident
from dvc_like.errors import CorruptData
from dvc_like.remote.pack import DEFLATE, RAW, Builder, Deflater, Index, Member, Pack, index_of, members_of, unpack


def ident(data: bytes) -> bytes:
    return file_ident(of_bytes("blake3", data))


def make(contents: dict[str, bytes], deflater: Deflater | None = None) -> Pack:
    builder = Builder(deflater)
    for name, data in contents.items():
        builder.add(ident(data), name, data)
    return builder.finish()


def read(pack: Pack) -> dict[bytes, bytes]:
    return {one.ident: unpack(one, pack.data[one.offset : one.offset + one.length]) for one in Index(pack.index_data)}


names = st.from_regex(r"[a-z]{1,3}(/[a-z]{1,3}(\.[a-z]{1,3})?){0,2}", fullmatch=True)


@given(st.dictionaries(names, st.binary(max_size=300), max_size=20), st.booleans())
def test_every_member_comes_back(contents: dict[str, bytes], deflate: bool) -> None:
    unique = {data: name for name, data in contents.items()}
    pack = make({name: data for data, name in unique.items()}, Deflater() if deflate else None)
    assert read(pack) == {ident(data): data for data in unique}
    assert index_of(pack.data) == pack.index_data
    assert Index(pack.index_data).id == pack.id
    with zipfile.ZipFile(io.BytesIO(pack.data)) as file:
        assert file.testzip() is None
        assert {one.filename: file.read(one) for one in file.infolist()} == {
            name: data for data, name in unique.items()
        }


def test_the_same_contents_make_the_same_pack() -> None:
    contents = {f"f/{n}": b"x" * n for n in range(50)}
    assert make(contents) == make(contents)
    assert make(contents).id != make({**contents, "f/0": b"other"}).id


def test_any_unzip_makes_usable_files_of_it(tmp_path: Path) -> None:
    contents = {
        "data/ünï.txt": b"text " * 100,
        "data/a b/c.bin": os.urandom(5000),
        ".trees/data.tree": b"dvc-like tree 1\n",
    }
    (tmp_path / "pack.zip").write_bytes(make(contents, Deflater()).data)
    if which("unzip"):
        subprocess.run(["unzip", "-q", "pack.zip", "-d", "out"], cwd=tmp_path, check=True)
    else:
        with zipfile.ZipFile(tmp_path / "pack.zip") as file:
            file.extractall(tmp_path / "out")
    for name, data in contents.items():
        assert (tmp_path / "out" / name).read_bytes() == data


def test_two_versions_of_a_path_lie_side_by_side() -> None:
    builder = Builder()
    for data in (b"one", b"two", b"three"):
        builder.add(ident(data), "data/demo.txt", data)
    found = [name for name, _ in members_of(builder.finish().data)]
    assert found == [
        "data/demo.txt",
        f"data/demo.{ident(b'two')[1:5].hex()}.txt",
        f"data/demo.{ident(b'three')[1:5].hex()}.txt",
    ]


def test_what_pays_is_deflated_and_what_does_not_is_kept_raw() -> None:
    noise = random.Random(1).randbytes(4000)
    pack = make({"a.txt": b"much of the same " * 300, "b.bin": noise, "c": b"short"}, Deflater())
    kinds = {one.ident: one.kind for one in Index(pack.index_data)}
    assert kinds == {ident(b"much of the same " * 300): DEFLATE, ident(noise): RAW, ident(b"short"): RAW}


def test_a_suffix_that_never_pays_is_tried_only_now_and_then() -> None:
    deflater, tried = Deflater(), []
    draw = random.Random(2)
    for _ in range(200):
        data = draw.randbytes(500)
        before = dict(deflater._failures)
        deflater("x.jpg", data)
        tried.append(before)
    assert deflater("x.jpg", b"a" * 5000) is None  # not looked at: it is not this suffix's turn
    assert deflater("x.txt", b"a" * 5000) is not None


def test_a_few_and_many_are_found_alike() -> None:
    pack = make({str(n): str(n).encode() for n in range(1000)})
    index = Index(pack.index_data)
    for count in (1, 3, 10, 1000, 2000):
        asked = [ident(str(n).encode()) for n in range(500, 500 + count)]
        assert {one.ident for one in index.find(asked)} == set(asked[:500])


def test_a_tree_and_a_file_of_the_same_bytes_are_two() -> None:
    digest = of_bytes("blake3", b"dvc-like tree 1\n")
    assert file_ident(digest) != tree_ident(digest)
    assert of_ident(file_ident(digest)) == (digest, False)
    assert of_ident(tree_ident(digest)) == (digest, True)


@pytest.mark.parametrize("algorithm", digests.WRITABLE)
def test_idents_of_all_algorithms(algorithm: str) -> None:
    digest = of_bytes(algorithm, b"x")
    assert len(file_ident(digest)) == digests.IDENT_SIZE
    assert of_ident(file_ident(digest)) == (digest, False)


@pytest.mark.parametrize("bad", [b"", b"\1" * 32, b"\0" * 33, b"\x09" + bytes(32), b"\3" + b"\1" * 32, b"\1" * 34])
def test_what_is_no_ident_is_refused(bad: bytes) -> None:
    with pytest.raises(CorruptData):
        of_ident(bad)


# ------------------------------------------------------------------------------ hostile


@pytest.mark.parametrize("cut", [0, 1, 15, 16, 27, 28, 60, -1, -50])
def test_an_index_cut_short_is_refused(cut: int) -> None:
    with pytest.raises(CorruptData):
        Index(make({"a": b"1", "b": b"2"}).index_data[:cut])


def test_a_newer_index_is_named_so() -> None:
    with pytest.raises(CorruptData, match="newer"):
        Index(b"dvc-like idx 2\n\0" + bytes(12))


def record(**changes: int) -> bytes:
    """An index of one record with wrong numbers in it."""
    values = {"kind": RAW, "offset": 0, "length": 5, "size": 5, "zip": 100} | changes
    head = struct.pack("<16sQI", b"dvc-like idx 1\n\0", values["zip"], 1)
    return head + struct.pack(
        "<33sBIIQ", ident(b"x"), values["kind"], values["offset"], values["length"], values["size"]
    )


@pytest.mark.parametrize("changes", [{"offset": 96}, {"length": 101, "size": 101}, {"size": 6}, {"size": 1 << 60}])
def test_a_record_that_leads_out_of_its_pack_is_refused(changes: dict[str, int]) -> None:
    with pytest.raises(CorruptData):
        Index(record(**changes)).check()


@pytest.mark.parametrize("kind", [2, 3, 255])
def test_an_unknown_kind_is_refused_by_name(kind: int) -> None:
    (member,) = Index(record(kind=kind))
    with pytest.raises(CorruptData, match="delta" if kind == 2 else f"kind {kind}"):
        unpack(member, b"12345")


def test_a_bomb_gives_no_more_than_it_claims() -> None:
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = squeeze.compress(bytes(50 << 20)) + squeeze.flush()
    with pytest.raises(CorruptData, match="size"):
        unpack(Member(ident(b"x"), DEFLATE, 0, len(bomb), 1000), bomb)


def test_an_index_may_not_claim_more_than_deflated_bytes_can_be() -> None:
    """Or somebody would have to make room for it."""
    sound = record(kind=DEFLATE, length=10, size=10_000)
    Index(sound).check()
    with pytest.raises(CorruptData, match="cannot be true"):
        Index(record(kind=DEFLATE, length=10, size=1 << 20)).check()


@pytest.mark.parametrize("data", [b"", b"\xff" * 40, b"short"])
def test_damaged_deflated_data_is_refused(data: bytes) -> None:
    with pytest.raises(CorruptData):
        unpack(Member(ident(b"x"), DEFLATE, 0, len(data), 1000), data)


@given(st.binary(max_size=400))
def test_garbage_is_no_pack(data: bytes) -> None:
    with pytest.raises(CorruptData):
        index_of(data)
    with pytest.raises(CorruptData):
        Index(data)


@given(st.integers(0, 10_000), st.integers(0, 255))
def test_a_flipped_byte_gives_other_bytes_or_an_error_and_never_a_crash(at: int, value: int) -> None:
    pack = make({"a/b.txt": b"text " * 50, "c": b"raw"}, Deflater())
    data = bytearray(pack.data)
    data[at % len(data)] = value
    try:
        Index(index_of(bytes(data)))
        for member in Index(pack.index_data):
            unpack(member, bytes(data[member.offset : member.offset + member.length]))
    except CorruptData:
        pass


def test_a_zip_of_somebody_else_is_no_pack() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a", "b")
    with pytest.raises(CorruptData, match="not a pack"):
        index_of(buffer.getvalue())


# ------------------------------------------------------------------------------ ZIPs that say two things


def central_at(data: bytes) -> int:
    return struct.unpack("<I", data[-6:-2])[0]


def test_members_that_share_their_bytes_are_refused() -> None:
    """As in bombs that are small because all members quote one and the same."""
    pack = make({"a": b"a" * 100, "b": b"b" * 100})
    records = bytearray(pack.index_data)
    first, second = 28, 28 + 50
    records[second + 34 : second + 38] = records[first + 34 : first + 38]
    with pytest.raises(CorruptData, match="cannot be true"):
        Index(bytes(records)).check()
    central = central_at(pack.data)
    data = bytearray(pack.data)
    size = 46 + 1 + 37
    data[central + size + 42 : central + size + 46] = data[central + 42 : central + 46]
    with pytest.raises(CorruptData):
        index_of(bytes(data))
    cases(INPUT, 2)


@pytest.mark.parametrize(
    ("at", "value"),
    [(26, 9), (28, 0), (28, 200), (0, 0), (2, 9)],
    ids=["name", "no extra", "extra", "no header", "kind"],
)
def test_a_local_header_that_disagrees_is_refused(at: int, value: int) -> None:
    """Another program would unpack other bytes than we read."""
    data = bytearray(make({"a": b"a" * 100, "b": b"b" * 100}).data)
    data[at] = value
    with pytest.raises(CorruptData, match="say different things"):
        index_of(bytes(data))
    cases(INPUT)


@pytest.mark.parametrize("field", [(10, 2), (20, 4), (24, 4), (28, 2), (30, 2), (42, 4)])
def test_no_number_of_a_directory_leads_out_of_the_pack(field: tuple[int, int]) -> None:
    """Also what ZIP64 writes where a number stands elsewhere: all ones."""
    whole = make({"a": b"a" * 100, "b": b"b" * 100}).data
    at, width = field
    for value in (b"\xff" * width, b"\xff" * (width - 1) + b"\x7f", b"\0" * width):
        data = bytearray(whole)
        start = central_at(whole) + at
        if data[start : start + width] == value:
            continue
        data[start : start + width] = value
        with pytest.raises(CorruptData):
            index_of(bytes(data))
        cases(INPUT)
