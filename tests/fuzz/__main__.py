"""Fuzzing without end, guided by coverage: ``python -m tests.fuzz TARGET [options of libFuzzer]``.

Needs ``pip install atheris`` (Linux, macOS). What it finds is written to the current folder; put it, as small as
it goes, into ``tests/fuzz/corpus/TARGET``, where the tests run it from then on.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["dvc_like"]):
    from tests.fuzz.mutation import seeds
    from tests.fuzz.parsers import TARGETS, refused


def main() -> None:
    """Fuzz the target that is named; new inputs go into a folder of their own."""
    name, *options = sys.argv[1:]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        for number, seed in enumerate(seeds(name)):
            Path(folder, str(number)).write_bytes(seed)
        words = [sys.argv[0], folder, "-timeout=10", "-rss_limit_mb=2000", *options]
        atheris.Setup(words, lambda data: refused(TARGETS[name], data) and None)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
