"""The data sets: what the benchmark hashes, copies and moves.

Owns their shapes and their generation. Everything comes from a seed, so two machines measure the same bytes; a
data set is made once per work folder and recognised by the marker file that is written last.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

KIB = 1024
MIB = 1024 * KIB
#: Random bytes are drawn in blocks of this size; it also bounds the memory of the generator.
BLOCK = MIB
#: Part of the name of a generated data set: raise it when the generator changes.
VERSION = 1


@dataclass(frozen=True)
class Shape:
    """A data set before scaling: `files` files of `low` to `high` bytes, spread evenly over `folders` folders."""

    files: int
    folders: int
    low: int
    high: int

    def scaled(self, scale: float) -> Shape:
        """The same with fewer files; one large file becomes smaller instead."""
        if self.files == 1:
            size = max(1, int(self.high * scale))
            return Shape(1, 1, size, size)
        files = max(2, int(self.files * scale))
        return Shape(files, max(1, min(files, round(self.folders * scale))), self.low, self.high)


SHAPES = {
    "tiny10": Shape(10, 1, KIB, 16 * KIB),
    "small20k": Shape(20_000, 200, KIB, 16 * KIB),
    "small100k": Shape(100_000, 1_000, KIB, 16 * KIB),
    "mid": Shape(2_000, 20, MIB // 2, MIB),
    "big": Shape(1, 1, 2048 * MIB, 2048 * MIB),
    "million": Shape(1_000_000, 10_000, 0, 16),
}


def shape(name: str, scale: float = 1.0) -> Shape:
    """The shape of the data set `name` at `scale`; ten files stay ten files."""
    return SHAPES[name] if name == "tiny10" else SHAPES[name].scaled(scale)


def file_names(what: Shape) -> Iterator[tuple[str, str]]:
    """(folder, name) of every file, folder by folder, in the order in which they are generated."""
    for number in range(what.folders):
        first = number * what.files // what.folders
        for at in range(first, (number + 1) * what.files // what.folders):
            yield f"d{number:05}", f"f{at:07}.bin"


def generate(target: Path, what: Shape, seed: int) -> None:
    """Write the files of `what` under `target`, which must not exist yet."""
    rng = random.Random(seed)
    target.mkdir(parents=True)
    if what.files == 1:
        _write_large(target / "big.bin", what.high, rng)
        return
    block = rng.randbytes(BLOCK + what.high)
    current = ""
    for folder, name in file_names(what):
        if folder != current:
            (target / folder).mkdir()
            current = folder
        size, start = rng.randint(what.low, what.high), rng.randrange(BLOCK)
        fd = os.open(f"{target}/{folder}/{name}", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        os.write(fd, block[start : start + size])
        os.close(fd)


def _write_large(target: Path, size: int, rng: random.Random) -> None:
    with target.open("wb") as out:
        for start in range(0, size, BLOCK):
            out.write(rng.randbytes(min(BLOCK, size - start)))


def ensure(root: Path, name: str, *, seed: int, scale: float) -> Path:
    """The folder of the data set `name` below `root`, generated unless an earlier run left it complete."""
    target = root / f"{name}-v{VERSION}-seed{seed}-x{scale:g}"
    marker = target.with_name(target.name + ".done")
    if not marker.exists():
        shutil.rmtree(target, ignore_errors=True)
        generate(target, shape(name, scale), seed)
        marker.write_text("complete\n", encoding="ascii")
    return target
