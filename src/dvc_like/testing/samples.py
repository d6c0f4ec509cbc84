"""What the contract's tests are written with: sample data, and the few steps that all of them take.

Owns no test. Knows a backend by its contract alone.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
import threading
from array import array
from collections.abc import Callable, Iterator

import pytest

from ..errors import RemoteNotFound
from ..remote.base import Backend

MIB = 1 << 20


class Suite:
    """A part of the contract: tests of what `make_backend` and `reopen` return."""

    MANY = 60

    def make_backend(self) -> Backend:
        """Return a backend on a fresh, empty store."""
        raise NotImplementedError

    def reopen(self) -> Backend:
        """Return another backend on the store of the last `make_backend`, as another process would open it."""
        raise NotImplementedError


@contextlib.contextmanager
def opened(make: Callable[[], Backend]) -> Iterator[Backend]:
    """A backend that is closed at the end."""
    backend = make()
    try:
        yield backend
    finally:
        backend.close()


@contextlib.contextmanager
def local_file(data: bytes) -> Iterator[str]:
    """The path of a local file that holds `data`."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "source")
        with open(path, "wb") as file:
            file.write(data)
        yield path


def pattern(size: int) -> bytes:
    """Bytes of which no two places look alike for long, so that a piece put elsewhere is noticed."""
    return array("Q", range(size // 8 + 1)).tobytes()[:size]


def store(backend: Backend, contents: dict[str, bytes]) -> None:
    """Put and flush."""
    for key, data in contents.items():
        backend.put(key, data)
    backend.flush()


def load(backend: Backend, key: str) -> bytes:
    """Get the whole object."""
    sink = io.BytesIO()
    backend.get(key, sink)
    return sink.getvalue()


def assert_absent(backend: Backend, key: str) -> None:
    """Check that a key is not there, told in every way."""
    sink = io.BytesIO()
    with pytest.raises(RemoteNotFound):
        backend.get(key, sink)
    assert sink.getvalue() == b""
    assert backend.stat([key]) == {}


class Interrupted:
    """A sink that calls something, in another thread, when the first bytes have arrived."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._parts: list[bytes] = []

    def write(self, data: bytes | memoryview, /) -> int:
        """Keep them."""
        self._parts.append(bytes(data))
        if len(self._parts) == 1:
            thread = threading.Thread(target=self._call)
            thread.start()
            thread.join()
        return len(data)

    def data(self) -> bytes:
        """Everything that arrived."""
        return b"".join(self._parts)


def difference(got: bytes, wanted: bytes) -> str:
    """Return where two contents differ, empty when they do not.

    For large ones: pytest would lay megabytes side by side, for minutes.
    """
    if got == wanted:
        return ""
    shorter = min(len(got), len(wanted))
    first = next((at for at in range(shorter) if got[at] != wanted[at]), shorter)
    return f"{len(got)} bytes instead of {len(wanted)}, and byte {first} is the first that differs"
