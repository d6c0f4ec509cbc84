"""`rclone serve s3`, for tests: a server that is lax where others are strict, and keeps objects as plain files."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from .guard import joined
from .s3 import S3Server
from .tools import program

_KEY, _SECRET = "tester", "testing-secret"


@contextlib.contextmanager
def running(folder: Path) -> Iterator[S3Server]:
    """Give a server whose files lie in ``folder/data``; who names the same folder shares it.

    Raises `Missing` where it cannot be installed; a server that is there and does not start is no such excuse.
    """
    rclone = program("rclone", "rclone")
    words = [str(rclone), "serve", "s3", "{data}", "--addr", "127.0.0.1:0", "--auth-key", f"{_KEY},{_SECRET}"]
    words += ["--config", str(folder / "no-config"), "--cache-dir", "{data}.cache"]
    with joined(folder, words, r"http://127\.0\.0\.1:(\d+)/") as port:
        yield S3Server("rclone", f"http://127.0.0.1:{port}", _KEY, _SECRET)
