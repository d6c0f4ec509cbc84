"""Memory that packs are built in again and again, and writing it past the page cache."""

from __future__ import annotations

import errno
import io
import mmap
import os
import sys
import threading
from pathlib import Path

import pytest

from dvc_like.digest import file_ident, of_bytes
from dvc_like.errors import RemoteQuota
from dvc_like.remote import room as rooms
from dvc_like.remote.local import LocalBackend
from dvc_like.remote.memory import MemoryBackend
from dvc_like.remote.pack import Builder, Pack
from dvc_like.remote.room import Room, Rooms, write_large
from dvc_like.remote.source import Source

BLOCK = mmap.PAGESIZE
KEY = "packs/one.zip"
DIRECT = getattr(os, "O_DIRECT", 0)

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux is asked to write past its page cache")


def filled(size: int) -> memoryview:
    """A view of a room, as a pack hands it over."""
    room = Room(size)
    room.writelines([(bytes(range(251)) * (size // 251 + 1))[:size]])
    return room.getvalue()


def pack_of(contents: list[bytes], room: Room | None) -> Pack:
    builder = Builder(None, room)
    for number, data in enumerate(contents):
        builder.add(file_ident(of_bytes("blake3", data)), f"f/{number}", data)
    return builder.finish()


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> int:
    """What counts as large is small."""
    monkeypatch.setattr(rooms, "_LARGE", 2 * BLOCK)
    return 2 * BLOCK


# ------------------------------------------------------------------------------ rooms


@pytest.mark.parametrize("size", [1, 100, BLOCK, 1 << 20])
def test_a_room_holds_what_a_pack_in_memory_holds_whatever_was_in_it_before(size: int) -> None:
    room = Room(size)
    for contents in ([b"long" * 9_000, b"x" * 70_000], [b"a"], [], [b"b" * 200_000, b"c", b"d" * 3]):
        found, wanted = pack_of(contents, room), pack_of(contents, None)
        assert (found.id, found.index_data, bytes(found.data)) == (wanted.id, wanted.index_data, wanted.data)


def test_a_view_outlives_the_growth_of_its_room() -> None:
    room = Room(BLOCK)
    room.writelines([b"a" * BLOCK])
    before = room.getvalue()
    room.writelines([b"b"])
    assert before == b"a" * BLOCK
    assert room.getvalue() == b"a" * BLOCK + b"b"


def test_a_room_is_lent_again_also_after_an_error_but_never_to_two() -> None:
    lender = Rooms(BLOCK)
    with lender.lent() as first, lender.lent() as second:
        assert first is not second
    with pytest.raises(KeyError), lender.lent() as third:
        raise KeyError
    with lender.lent() as fourth:
        assert fourth is third
        assert fourth in (first, second)


def test_threads_at_the_same_time_have_a_room_each() -> None:
    lender, both, found = Rooms(BLOCK), threading.Barrier(2, timeout=30), []

    def borrow() -> None:
        with lender.lent() as room:
            both.wait()
            found.append(room)

    threads = [threading.Thread(target=borrow) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(set(map(id, found))) == 2


# ------------------------------------------------------------------------------ stores


@pytest.mark.parametrize("kind", ["folder", "memory"])
def test_a_store_does_not_look_at_a_room_after_put(tmp_path: Path, kind: str) -> None:
    backend = LocalBackend(str(tmp_path / "s")) if kind == "folder" else MemoryBackend("room")
    room = Room(BLOCK)
    room.writelines([b"first"])
    backend.put(KEY, Source(room.getvalue()))
    room.clear()
    room.writelines([b"other"])
    backend.flush()
    sink = io.BytesIO()
    backend.get(KEY, sink)
    assert sink.getvalue() == b"first"
    backend.close()


# ------------------------------------------------------------------------------ past the page cache


@pytest.mark.parametrize("more", [-BLOCK, -1, 0, 1, BLOCK - 1, BLOCK, BLOCK + 1])
@pytest.mark.parametrize("start", [0, 1])
def test_every_size_arrives_from_any_place(tmp_path: Path, large: int, more: int, start: int) -> None:
    data = filled(start + large + more)[start:]
    with open(tmp_path / "f", "wb", buffering=0) as file:
        write_large(file.fileno(), data)
    assert (tmp_path / "f").read_bytes() == data


@on_linux
def test_whole_blocks_go_past_the_cache_and_the_rest_does_not(
    tmp_path: Path, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    seen: list[tuple[bool, int]] = []
    fcntl_of, write = fcntl.fcntl, os.write
    direct = False

    def setting(fd: int, what: int, value: int = 0) -> int:
        nonlocal direct
        if what == fcntl.F_SETFL:
            direct = bool(value & DIRECT)
            return 0  # a file system that takes it
        return fcntl_of(fd, what, value)

    def writing(fd: int, data: memoryview) -> int:
        seen.append((direct, len(data)))
        return write(fd, data)

    monkeypatch.setattr(fcntl, "fcntl", setting)
    monkeypatch.setattr(os, "write", writing)
    with open(tmp_path / "f", "wb", buffering=0) as file:
        write_large(file.fileno(), filled(large + 5))
        assert seen == [(True, large), (False, 5)]
        seen.clear()
        write_large(file.fileno(), filled(large - 1))
        assert seen == [(False, large - 1)]
    assert not direct


@on_linux
@pytest.mark.parametrize("code", [errno.EINVAL, errno.EOPNOTSUPP])
@pytest.mark.parametrize("at_once", [0, BLOCK, BLOCK + 7])
def test_where_it_is_refused_the_rest_is_written_as_usual(
    tmp_path: Path, large: int, monkeypatch: pytest.MonkeyPatch, code: int, at_once: int
) -> None:
    data, write = filled(large + 5), os.write
    calls: list[int] = []

    def writing(fd: int, piece: memoryview) -> int:
        calls.append(len(piece))
        if len(calls) == 1 and at_once:  # through another descriptor: a file system may want whole blocks of this one
            with open(tmp_path / "f", "r+b", buffering=0) as other:
                return os.lseek(fd, write(other.fileno(), piece[:at_once]), os.SEEK_SET)
        if len(calls) == (2 if at_once else 1):
            raise OSError(code, os.strerror(code))
        return write(fd, piece)

    monkeypatch.setattr(os, "write", writing)
    with open(tmp_path / "f", "wb", buffering=0) as file:
        write_large(file.fileno(), data)
    assert (tmp_path / "f").read_bytes() == data


@on_linux
def test_a_file_system_that_refuses_the_flag_gets_the_bytes(
    tmp_path: Path, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    real, refused = fcntl.fcntl, []

    def refuse(fd: int, what: int, value: int = 0) -> int:
        if what == fcntl.F_SETFL and value & DIRECT:
            refused.append(fd)
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        return real(fd, what, value)

    monkeypatch.setattr(fcntl, "fcntl", refuse)
    with open(tmp_path / "f", "wb", buffering=0) as file:
        write_large(file.fileno(), filled(large + 5))
    assert refused
    assert (tmp_path / "f").read_bytes() == filled(large + 5)


@on_linux
def test_a_disk_that_fills_up_half_way_is_told_and_nothing_stays(
    tmp_path: Path, large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend, write, pieces = LocalBackend(str(tmp_path / "s")), os.write, [BLOCK]

    def full(fd: int, data: memoryview) -> int:
        if pieces:
            return write(fd, data[: pieces.pop()])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    backend.put("packs/before.zip", b"this stays")
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(RemoteQuota):
            backend.put(KEY, Source(filled(large)))
    assert not pieces
    backend.flush()
    assert os.listdir(tmp_path / "s" / "packs") == ["before.zip"]
    backend.put(KEY, Source(filled(large)))  # there is space again
    backend.flush()
    assert (tmp_path / "s" / KEY).read_bytes() == filled(large)
    backend.close()
