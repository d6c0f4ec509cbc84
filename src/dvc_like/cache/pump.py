"""Reading a big file once: hashed in one thread while another reads on and writes."""

from __future__ import annotations

import contextlib
import os
import queue
import sys
import threading
from typing import NamedTuple

from .. import digest as digests
from ..digest import Digest
from ..fsutil import CHUNK, write_all
from ..progress import Task

AHEAD = 8 << 20  # bytes written before the disk is asked to begin with them


class Stored(NamedTuple):
    """What storing a file found out about it."""

    digest: Digest
    fingerprint: bytes
    size: int


def pump(source: int, target: int | None, algorithm: str, task: Task | None, seed: int = 0) -> Stored:
    """Read a big file once; hash it in a second thread while the first one reads on and writes.

    `seed` is that of the fingerprint.
    The disk works meanwhile, but only a flush afterwards makes sure of what is written.
    """
    slow, fast = digests.hasher(algorithm), digests.new_fingerprint(seed)
    chunks: queue.SimpleQueue[memoryview | None] = queue.SimpleQueue()
    free: queue.SimpleQueue[bytearray] = queue.SimpleQueue()
    for _ in range(3):
        free.put(bytearray(CHUNK))

    def digest_chunks() -> None:
        while (chunk := chunks.get()) is not None:
            fast.update(chunk)
            slow.update(chunk)
            free.put(chunk.obj)  # type: ignore[arg-type]

    worker = threading.Thread(target=digest_chunks, daemon=True)
    worker.start()
    total = started = 0
    try:
        while True:
            buffer = free.get()
            length = os.readv(source, [buffer]) if hasattr(os, "readv") else _read_into(source, buffer)
            if not length:
                break
            view = memoryview(buffer)[:length]
            chunks.put(view)
            total += length
            if task is not None:
                task.advance(size=length)
            if target is not None:
                write_all(target, view)
                if total - started >= AHEAD:
                    start_writing(target, started, total - started)
                    started = total
    finally:
        chunks.put(None)
        worker.join()
    return Stored(digests.finish(algorithm, slow), fast.digest(), total)


_START_WRITING = 2  # SYNC_FILE_RANGE_WRITE


def start_writing(fd: int, start: int, size: int) -> None:
    """Let the disk begin with a part of a file, so that the flush at the end has little to wait for; only advice."""
    if sys.platform.startswith("linux"):
        import ctypes

        with contextlib.suppress(AttributeError):  # a C library without it
            begin = ctypes.CDLL(None).sync_file_range
            begin(fd, ctypes.c_int64(start), ctypes.c_int64(size), _START_WRITING)


def _read_into(fd: int, buffer: bytearray) -> int:
    data = os.read(fd, len(buffer))
    buffer[: len(data)] = data
    return len(data)
