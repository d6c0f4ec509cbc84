"""Hashing alone: reads a file or a folder once, hashes every file and prints nothing.

Owns the lower bound of ``add``. It is run as a script, ``python hashing.py xxh3|blake3|both PATH``, by the
interpreter that has the hash packages, and does as little as Python can: no file objects, one reused buffer
for large files.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

SMALL = 1 << 20
BLOCK = 1 << 20


def constructors(kind: str) -> list[Callable[..., Any]]:
    """The hash constructors that `kind` stands for."""
    found: list[Callable[..., Any]] = []
    if kind in ("xxh3", "both"):
        import xxhash

        found.append(xxhash.xxh3_128)
    if kind in ("blake3", "both"):
        import blake3

        found.append(blake3.blake3)
    return found


def hash_file(fd: int, new: list[Callable[..., Any]], buffer: bytearray) -> None:
    """Hash an open file."""
    data = os.read(fd, SMALL)
    if len(data) < SMALL:
        for make in new:
            make(data).digest()
        return
    states = [make(data) for make in new]
    view = memoryview(buffer)
    while count := os.readv(fd, [view]):
        for state in states:
            state.update(view[:count])
    for state in states:
        state.digest()


def main(kind: str, path: str) -> None:
    """Hash the file `path`, or all files below the folder `path`."""
    new = constructors(kind)
    buffer = bytearray(BLOCK)
    if os.path.isfile(path):
        top, name = os.path.split(os.path.abspath(path))
        walk: Iterable[tuple[str, Sequence[str]]] = [(top, [name])]
    else:
        walk = ((top, names) for top, _, names in os.walk(path))
    for top, names in walk:
        folder = os.open(top, os.O_RDONLY)
        for name in names:
            fd = os.open(name, os.O_RDONLY, dir_fd=folder)
            hash_file(fd, new, buffer)
            os.close(fd)
        os.close(folder)


if __name__ == "__main__":
    main(*sys.argv[1:])
