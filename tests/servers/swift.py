"""Swift with its S3 interface, for tests: strict about signatures and checksums."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .guard import joined
from .s3 import S3Server
from .tools import Missing, program

_USERS = {"test:tester": ("testing", ".admin"), "test:limited": ("limiting", "")}


@contextlib.contextmanager
def running(folder: Path) -> Iterator[S3Server]:
    """Give a server whose files lie in `folder`; who names the same folder shares it.

    Raises `Missing` where it cannot be installed; a server that is there and does not start is no such excuse.
    """
    python = program("swift", "python")
    _check_attributes(folder)
    node = Path(__file__).with_name("swift_node.py")
    words = [str(python), str(node), "{data}", json.dumps(_USERS)]
    with joined(folder, words, r'"port": (\d+)') as port:
        (key, (secret, _)), (other, (others, _)) = _USERS.items()
        yield S3Server("swift", f"http://127.0.0.1:{port}", key, secret, limited=(other, others))


def _check_attributes(folder: Path) -> None:
    """Swift keeps metadata in attributes of files."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        try:
            os.setxattr(file.name, "user.test", b"x")
        except (OSError, AttributeError):
            raise Missing(f"Swift needs user attributes of files, which {folder} does not have") from None
