"""The same attacks on DVC, for comparison: ``python -m tests.safety_dvc path/to/dvc`` prints a table for both.

Only what means the same in both: damage in cache and remote, edits that a stat does not show, and what a stranger may
write into metadata. A case is kept when nothing wrong is delivered with exit code 0, nothing outside is touched, and it
ends within a minute.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

from blake3 import blake3

SECONDS = 60
TEXT = {"data/a": b"first file\n", "data/b": b"other file\n", "single": b"a file alone\n"}


class Tool:
    """One of the two, in a project `root` whose remote is the folder `store` and beside which `outside` lies."""

    suffix, private, meta = "", "", ""

    def __init__(self, words: list[str], folder: Path, sound: Path | None = None) -> None:
        """Make the project, or copy that below `sound`."""
        self.words, self.folder = words, folder
        self.root, self.store, self.outside = folder / "project", folder / "store", folder / "outside"
        if sound is not None:
            shutil.copytree(sound, folder, symlinks=True)
            return
        self.root.mkdir(parents=True)
        self.outside.mkdir()
        (self.outside / "note").write_text("victim")
        self._call(["git", "init", "-q"])
        self.run("init", "-q")
        for name, data in TEXT.items():
            (self.root / name).parent.mkdir(exist_ok=True)
            (self.root / name).write_bytes(data)
        self.run("add", "-q", "data", "single")
        self.run("remote", "add", "-d", "storage", "../store")
        self.run("push", "-q")

    def _call(self, words: list[str]) -> int:
        try:
            return subprocess.run(words, cwd=self.root, capture_output=True, check=False, timeout=SECONDS).returncode
        except subprocess.TimeoutExpired:
            return -1

    def run(self, *words: str) -> int:
        """Run a command; -1 stands for one that does not end."""
        return self._call([*self.words, *words])

    def objects(self, where: str) -> list[Path]:
        """Return the files that hold the objects of files: in the cache, or on the remote."""
        base = self.root / self.private / "cache" if where == "cache" else self.store
        return sorted(path for path in base.rglob("*") if path.is_file() and path.read_bytes() in TEXT.values())

    def clear(self, *, cache: bool) -> None:
        """Take away the workspace's data, and with `cache` what is cached."""
        shutil.rmtree(self.root / "data", ignore_errors=True)
        (self.root / "single").unlink(missing_ok=True)
        if cache:
            shutil.rmtree(self.root / self.private / "cache")

    def is_right(self) -> bool:
        """Tell whether all that lies in the workspace is as it should be."""
        return all(
            (self.root / name).read_bytes() == data for name, data in TEXT.items() if (self.root / name).exists()
        )

    def untouched(self) -> bool:
        """Tell whether nothing beside the project changed."""
        found = {path.name: path.read_text() for path in self.outside.iterdir()}
        return found == {"note": "victim"} and {p.name for p in self.folder.iterdir()} == {
            "project",
            "store",
            "outside",
        }

    def point(self, digest: str, size: int, files: int | None) -> None:
        """Write the metadata of ``data`` (of `files` files), or of ``single``."""
        raise NotImplementedError

    def tree(self, names: list[str], data: bytes) -> None:
        """Publish a folder in which every name is a file with these bytes, and point ``data`` to it."""
        raise NotImplementedError


class Ours(Tool):
    """dvc-like."""

    private = ".dvc-like"

    def point(self, digest: str, size: int, files: int | None) -> None:
        name = "single" if files is None else "data"
        text = f"hash: blake3:{digest}\nsize: {size}\n" + (f"files: {files}\n" if files is not None else "")
        (self.root / f"{name}.meta").write_text(text)

    def tree(self, names: list[str], data: bytes) -> None:
        lines = "".join(f"f\t{len(data)}\tblake3:{self._put(data)}\t{name}\n" for name in names)
        self.point(self._put(f"dvc-like tree 1\n{lines}".encode(), ".tree"), len(data) * len(names), len(names))

    def _put(self, data: bytes, suffix: str = "") -> str:
        hexes = blake3(data).hexdigest()
        path = self.store / f"files/blake3/{hexes[:2]}/{hexes[2:]}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return hexes


class Theirs(Tool):
    """DVC 3."""

    private = ".dvc"

    def point(self, digest: str, size: int, files: int | None) -> None:
        name, suffix = ("single", "") if files is None else ("data", ".dir")
        text = f"outs:\n- md5: '{digest}{suffix}'\n  size: {size}\n  hash: md5\n  path: {name}\n"
        (self.root / f"{name}.dvc").write_text(text + (f"  nfiles: {files}\n" if files is not None else ""))

    def tree(self, names: list[str], data: bytes) -> None:
        listed = json.dumps([{"md5": self._put(data), "relpath": name} for name in names]).encode()
        self.point(self._put(listed, ".dir"), len(data) * len(names), len(names))

    def _put(self, data: bytes, suffix: str = "") -> str:
        hexes = hashlib.md5(data, usedforsecurity=False).hexdigest()
        path = self.store / f"files/md5/{hexes[:2]}/{hexes[2:]}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return hexes


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "flipped": lambda data: bytes([data[0] ^ 1]) + data[1:],
    "cut": lambda data: data[:-1],
    "emptied": lambda data: b"",
    "grown": lambda data: data + b"x",
    "swapped": lambda data: next(other for other in TEXT.values() if other != data),
}
NAMES = (
    "../evil",
    "../../evil",
    "../../outside/note",
    "../.git/hooks/post-checkout",
    ".git/config",
    "/tmp/evil-by-name",
    "a/../../evil",
    "..\\evil",
)
# No file that a machine needs may stand here, nor one of anybody's: DVC deletes what it is led to, with our rights.
HASHES = ("../../../outside/note", "../../outside/note", "0" * 4, "", "/nowhere/note", "../" * 20 + "nowhere/note")


def damaged(make: Callable[[], Tool], where: str) -> Iterator[bool]:
    """Yield for each way to damage an object whether nothing wrong was delivered as good."""
    for how in DAMAGES.values():
        tool = make()
        for path in tool.objects(where):
            mode = path.stat().st_mode
            data = path.read_bytes()
            path.chmod(0o644)
            path.write_bytes(how(data))
            path.chmod(mode)
        tool.clear(cache=where == "remote")
        for words in (["checkout"], ["pull"]) if where == "cache" else (["pull"],):
            code = tool.run(*words)
            yield code > 0 or (code == 0 and tool.is_right())


def edited(make: Callable[[], Tool]) -> Iterator[bool]:
    """Yield whether an edit of the same size, whose mtime was put back, is seen."""
    for name in TEXT:
        tool = make()
        tool.run("status")  # so that it knows what the file looks like
        path = tool.root / name
        stamp = path.stat()
        with open(path, "r+b") as file:
            file.write(b"F")
        os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
        out = subprocess.run([*tool.words, "status"], cwd=tool.root, capture_output=True, check=False, text=True).stdout
        yield "changed" in out or "modified" in out


def named(make: Callable[[], Tool]) -> Iterator[bool]:
    """Yield whether a name in a folder's listing was kept from leaving it."""
    for name in NAMES:
        tool = make()
        hooks = {path.name for path in (tool.root / ".git/hooks").iterdir()}
        settings = (tool.root / ".git/config").read_bytes()
        tool.tree([name], b"evil")
        tool.clear(cache=True)
        tool.run("pull")
        around = {path.name for path in tool.root.iterdir()}
        yield (
            tool.untouched() and "evil" not in around and not Path("/tmp/evil-by-name").exists()
            and {path.name for path in (tool.root / ".git/hooks").iterdir()} == hooks
            and (tool.root / ".git/config").read_bytes() == settings
        )  # fmt: skip
        Path("/tmp/evil-by-name").unlink(missing_ok=True)


def hashed(make: Callable[[], Tool]) -> Iterator[bool]:
    """Yield whether a hash that is a path was kept from leading anywhere."""
    for digest in HASHES:
        tool = make()
        tool.point(digest, 6, None)
        codes = [tool.run(*words) for words in (["status"], ["checkout"], ["pull"], ["push"])]
        taken = (tool.root / "single").exists() and (tool.root / "single").read_bytes() not in TEXT.values()
        yield tool.untouched() and not taken and -1 not in codes


def bombed(make: Callable[[], Tool]) -> Iterator[bool]:
    """Yield whether metadata that grows without end, or a pipe, is refused in time."""
    levels = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" if n else "a0: &a0 [x]\n" for n in range(12))
    tool = make()
    (path,) = (each for each in tool.root.iterdir() if each.name in ("single.meta", "single.dvc"))
    path.write_text(path.read_text() + levels)
    yield tool.run("status") != -1
    tool = make()
    (tool.root / "data/a").unlink()
    os.mkfifo(tool.root / "data/a")
    yield tool.run("status") != -1 and tool.run("add", "data") > 0


KINDS: dict[str, Callable[[Callable[[], Tool]], Iterator[bool]]] = {
    "damaged objects in the cache are not delivered as good": lambda make: damaged(make, "cache"),
    "damaged objects on the remote are not delivered as good": lambda make: damaged(make, "remote"),
    "an edit of the same size whose mtime was put back is seen": edited,
    "a name in a listing does not lead out of its folder": named,
    "a hash that is a path leads nowhere": hashed,
    "what never ends is refused": bombed,
}


def main(dvc: str) -> None:
    """Print the table."""
    tools = {"dvc-like": (Ours, [sys.executable, "-m", "dvc_like"]), "DVC": (Theirs, [dvc])}
    os.environ.update({"GIT_CONFIG_GLOBAL": os.devnull, "DVC_NO_ANALYTICS": "1"})
    print("| kept, of cases tried |", " | ".join(tools), "|\n| --- | ---: | ---: |")
    with tempfile.TemporaryDirectory() as place:
        os.environ["DVC_SITE_CACHE_DIR"] = f"{place}/site"
        sound = {name: Path(place, f"sound-{kind.__name__}") for name, (kind, _) in tools.items()}
        for name, (kind, words) in tools.items():
            kind(words, sound[name])
        numbers = count()
        for about, attack in KINDS.items():
            counts = []
            for name, (kind, words) in tools.items():

                def make(kind: type[Tool] = kind, words: list[str] = words, name: str = name) -> Tool:
                    return kind(words, Path(place, str(next(numbers))), sound[name])

                verdicts = list(attack(make))
                counts.append(f"{sum(verdicts)} of {len(verdicts)}")
            print(f"| {about} | {' | '.join(counts)} |", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
