"""Reading a big file once: what is written is what was read, and the disk is only asked to begin early."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dvc_like import digest as digests
from dvc_like.cache import pump as pumping
from dvc_like.cache.pump import AHEAD, pump, start_writing


@pytest.mark.parametrize("size", [0, AHEAD - 1, AHEAD, 2 * AHEAD + 5])
def test_the_copy_is_exact_and_every_whole_part_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    begun: list[tuple[int, int]] = []
    monkeypatch.setattr(pumping, "start_writing", lambda fd, start, length: begun.append((start, length)))
    data = os.urandom(size)
    (tmp_path / "source").write_bytes(data)
    source, target = os.open(tmp_path / "source", os.O_RDONLY), os.open(tmp_path / "copy", os.O_WRONLY | os.O_CREAT)
    found = pump(source, target, "blake3", None)
    os.close(source)
    os.close(target)
    assert found == (digests.of_bytes("blake3", data), digests.fingerprint(data), size)
    assert (tmp_path / "copy").read_bytes() == data
    assert begun == [(start, AHEAD) for start in range(0, size // AHEAD * AHEAD, AHEAD)]


def test_asking_the_disk_to_begin_changes_nothing_and_never_fails(tmp_path: Path) -> None:
    fd = os.open(tmp_path / "f", os.O_RDWR | os.O_CREAT)
    os.write(fd, b"x" * 100_000)
    start_writing(fd, 0, 50_000)
    start_writing(fd, 1 << 40, 1)
    os.close(fd)
    start_writing(fd, 0, 50_000)
    assert (tmp_path / "f").read_bytes() == b"x" * 100_000
