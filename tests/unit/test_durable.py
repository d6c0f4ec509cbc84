"""Large data past the page cache: the same bytes, whatever the file system thinks of it."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from random import Random

import pytest

from dvc_like import durable

MIB = 1 << 20
pytestmark = pytest.mark.skipif(not hasattr(os, "O_DIRECT"), reason="no O_DIRECT on this system")


def written(path: Path, data: bytes | memoryview) -> bytes:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        durable.write_large(fd, data)
        os.write(fd, b".")  # an odd piece behind it: the descriptor is as it was
    finally:
        os.close(fd)
    return path.read_bytes()


@pytest.mark.parametrize("size", [0, 1, 8 * MIB - 1, 8 * MIB, 8 * MIB + 1, 9 * MIB + 4095, 9 * MIB + 4097])
def test_the_bytes_are_those_given(tmp_path: Path, size: int) -> None:
    data = Random(size).randbytes(size)
    assert written(tmp_path / "file", data) == data + b"."
    assert written(tmp_path / "part", memoryview(data)[: size // 2]) == data[: size // 2] + b"."


def test_a_file_system_that_refuses_it_gets_them_the_usual_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Random(1).randbytes(9 * MIB)
    real = os.write

    def refuse(fd: int, piece: bytes | memoryview) -> int:
        if durable.fcntl.fcntl(fd, durable.fcntl.F_GETFL) & os.O_DIRECT:
            raise OSError(errno.EINVAL, "its blocks are larger")
        return real(fd, piece)

    monkeypatch.setattr(durable.os, "write", refuse)
    assert written(tmp_path / "at write", data) == data + b"."
    monkeypatch.setattr(durable.os, "write", real)
    known = durable.fcntl.fcntl

    def unknown(fd: int, command: int, flags: int = 0) -> int:
        if flags & os.O_DIRECT:
            raise OSError(errno.EINVAL, "not here")
        return int(known(fd, command, flags))

    monkeypatch.setattr(durable.fcntl, "fcntl", unknown)
    assert written(tmp_path / "at once", data) == data + b"."


def test_a_write_that_stops_short_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Random(2).randbytes(12 * MIB)
    real, calls = os.write, 0

    def short(fd: int, piece: bytes | memoryview) -> int:
        nonlocal calls
        calls += 1
        at_most = {1: 1 * MIB, 2: 4 * MIB - 4096}.get(calls, len(piece))
        return real(fd, piece[:at_most])

    monkeypatch.setattr(durable.os, "write", short)
    assert written(tmp_path / "file", data) == data + b"."
    assert calls > 3


def test_a_full_disk_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, piece: bytes | memoryview) -> int:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(durable.os, "write", full)
    with pytest.raises(OSError, match="full") as caught:
        written(tmp_path / "file", bytes(9 * MIB))
    assert caught.value.errno == errno.ENOSPC
