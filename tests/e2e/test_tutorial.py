"""The README's tutorial word for word, the example script, and thousands of real files there and back."""

from __future__ import annotations

import os
import random
import re
import shutil
import struct
import subprocess
import sysconfig
import zlib
from pathlib import Path

import pytest
from tests.conftest import Cli, Node, tree_of

REPOSITORY = Path(__file__).resolve().parents[2]
pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="the tutorial is a POSIX shell's"),
    pytest.mark.usefixtures("on_path"),
]


def tutorial() -> list[str]:
    """Return the shell blocks of the README's section `Tutorial`."""
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    section = re.search(r"^## Tutorial\n(.*?)^## ", text, re.M | re.S)
    assert section is not None
    return re.findall(r"^```sh\n(.*?)^```$", section[1], re.M | re.S)


def shell(script: str, cwd: Path) -> str:
    """Run a script as a person would who stops at the first error."""
    done = subprocess.run(
        ["sh", "-eu", "-c", script], cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_readmes_tutorial_word_for_word(tmp_path: Path) -> None:
    start, elsewhere, change = tutorial()
    project = tmp_path / "project"
    project.mkdir()
    shell(start, project)
    assert (project / "data/demo.txt.meta").read_text().startswith("hash: blake3:")
    assert subprocess.run(["git", "status", "--porcelain"], cwd=project, capture_output=True, check=False).stdout == b""
    assert (tmp_path / "storage/dvc-like.json").exists()

    shell(elsewhere, tmp_path)
    copy = tmp_path / "copy"
    assert (copy / "data/demo.txt").read_text() == "first version\n"
    assert "git clone project copy\ncd copy\n" in elsewhere

    shell(change, copy)
    assert (copy / "data/demo.txt").read_text() == "first version\n"
    shell("git checkout HEAD data/demo.txt.meta && dvc-like checkout && dvc-like status --exit-code", copy)
    assert (copy / "data/demo.txt").read_text() == "second version\n"

    shell("git pull -q ../copy main && dvc-like pull", project)
    assert (project / "data/demo.txt").read_text() == "second version\n"


def test_the_example_script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setenv("TMPDIR", str(scratch))
    script = REPOSITORY / "examples/tutorial/run.sh"
    done = subprocess.run(
        ["sh", str(script)], capture_output=True, text=True, cwd=tmp_path, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "The first version is back." in done.stdout
    assert list(scratch.iterdir()) == [], "it removes what it made"


# ------------------------------------------------------------------------------ real files


def png(generator: random.Random, side: int) -> bytes:
    """Return a picture of noise."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + generator.randbytes(side * 3) for _ in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def copy_some(source: Path, target: Path, limit: int) -> int:
    """Copy up to `limit` real files below `source`, whatever they are, with their bits."""
    copied = 0
    for folder, names, files in os.walk(source):
        names[:] = sorted(name for name in names if name != "__pycache__")
        for name in sorted(files):
            path = Path(folder, name)
            if copied == limit:
                return copied
            if path.is_symlink() or path.stat().st_size > 1 << 20:
                continue
            here = target / path.relative_to(source)
            here.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, here)
            here.chmod(here.stat().st_mode | 0o200)
            copied += 1
    return copied


def fill(data: Path) -> None:
    """Make a folder of more than 2,000 files of every kind a dataset has."""
    generator = random.Random(1)
    copy_some(Path(sysconfig.get_paths()["stdlib"]), data / "library", 1700)
    copy_some(Path(pytest.__file__).parents[1], data / "packages", 300)
    for number in range(150):
        path = data / f"images/class {number % 7}/{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(generator, 8 + number % 24))
    for number in range(100):
        path = data / f"tables/{number % 10}/part-{number}.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("id,value\n" + "".join(f"{row},{generator.random()}\n" for row in range(number * 3)))
    (data / "tables/ünïcode naïve.csv").write_text("ä,ö\n")
    (data / "tables/empty.csv").write_bytes(b"")
    (data / "big.bin").write_bytes(generator.randbytes(1 << 20) * 5)
    for number in range(20):
        script = data / f"bin/tool-{number}"
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\necho {number}\n")
        script.chmod(0o755)
    for name in ("hollow", "deep/er/and/deeper", "images/none yet"):
        (data / name).mkdir(parents=True)
    (data / "latest.csv").symlink_to("tables/9/part-99.csv")
    (data / "bin/default").symlink_to("tool-3")
    (data / "tables/pictures").symlink_to("../images")
    (data / "not-yet").symlink_to("later/this")


def change(data: Path) -> None:
    """Turn version one into version two: every kind of change at once."""
    tables = data / "tables"
    for number in range(0, 100, 3):
        with open(tables / f"{number % 10}/part-{number}.csv", "a") as file:
            file.write("x,y\n")
    shutil.rmtree(data / "packages")
    (data / "library/abc.py").unlink()
    (data / "library/abc.py").mkdir()
    (data / "library/abc.py/now a folder").write_text("x")
    shutil.rmtree(data / "images/class 3")
    (data / "images/class 3").write_text("now a file")
    (data / "bin/tool-1").chmod(0o644)
    (data / "bin/default").unlink()
    (data / "bin/default").symlink_to("tool-5")
    (data / "latest.csv").unlink()
    (data / "latest.csv").write_text("no link any more\n")
    (data / "hollow").rmdir()
    (data / "fresh/empty").mkdir(parents=True)
    (data / "tables").rename(data / "sheets")
    with open(data / "big.bin", "r+b") as file:
        file.seek(2 << 20)
        file.write(b"overwritten in the middle")


def test_thousands_of_real_files_there_and_back(tmp_path: Path, cli: Cli) -> None:
    project, copy = tmp_path / "project", tmp_path / "copy"
    project.mkdir()
    shell("git init -q && dvc-like init && git commit -q -m start", project)
    fill(project / "data")
    one = tree_of(project / "data")
    assert sum(node[0] == "file" for node in one.values()) >= 2000
    save = "dvc-like add data && git add -A && git commit -q -m"
    shell(f"{save} one && git tag one && dvc-like remote add -d storage ../storage && git commit -qam remote", project)
    assert tree_of(project / "data") == one
    change(project / "data")
    two = tree_of(project / "data")
    assert two != one
    shell(f"{save} two && dvc-like push --all-commits", project)
    assert tree_of(project / "data") == two

    shell("git clone -q project copy", tmp_path)
    shell("dvc-like pull && dvc-like status --exit-code", copy)
    assert tree_of(copy / "data") == two
    back(copy, one, two)
    shell("git checkout -q one && dvc-like checkout && dvc-like status --exit-code", project)
    assert tree_of(project / "data") == one
    cli("fsck", "--read-data", cwd=project)


def back(copy: Path, one: dict[str, Node], two: dict[str, Node]) -> None:
    """Return to version one in the clone, and go forward again."""
    shell("git checkout -q one -- data.meta && dvc-like pull -r storage && dvc-like status --exit-code", copy)
    assert tree_of(copy / "data") == one
    shell("git checkout -q main -- data.meta && dvc-like checkout && dvc-like status --exit-code", copy)
    assert tree_of(copy / "data") == two
