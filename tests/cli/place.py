"""A project as these tests use it: its folder, the Python API on it, and what lies in its cache and remote.

The API is called on a fresh `Project` each time, as a new process would.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from blake3 import blake3
from tests.conftest import Node, make_files, tree_of

import dvc_like
from dvc_like import Project, Selection
from dvc_like.config import edit
from dvc_like.fsutil import is_racy


def key_of(content: bytes | str) -> str:
    """Return where an object with this content lies in a store."""
    data = content.encode() if isinstance(content, str) else content
    hexes = blake3(data).hexdigest()
    return f"files/blake3/{hexes[:2]}/{hexes[2:]}"


def digest_of(content: bytes | str) -> str:
    """Return the digest of this content."""
    data = content.encode() if isinstance(content, str) else content
    return f"blake3:{blake3(data).hexdigest()}"


def unlock(path: Path) -> Path:
    """Make a read-only object writable."""
    path.chmod(0o644)
    return path


def objects_in(store: Path) -> dict[str, Path]:
    """Return every object of a store (cache or remote folder) by its key."""
    return {
        path.relative_to(store).as_posix(): path
        for path in sorted((store / "files").rglob("*"))
        if path.is_file() and not path.name.startswith(".dvc-like-tmp-")
    }


def temps_in(folder: Path) -> list[str]:
    """Return every temporary name below a folder."""
    return [path.relative_to(folder).as_posix() for path in folder.rglob(".dvc-like-tmp-*")]


def let_settle(folder: Path) -> None:
    """Wait until the clock has left the moment at which anything here was written last."""
    paths = [path for path in folder.rglob("*") if path.is_file()]
    while any(is_racy(path.stat(), time.time_ns()) for path in paths):
        time.sleep(0.005)


class Line(NamedTuple):
    """One entry of a tree object."""

    kind: str
    value: str
    name: str


def tree_lines(data: bytes) -> Iterator[Line]:
    """Yield the entries of a tree object, read without the code under test."""
    for line in data.decode().split("\n")[1:-1]:
        fields = line.split("\t")
        yield Line(fields[0], fields[2], fields[-1])


class Place:
    """A project in the folder `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __truediv__(self, name: str) -> Path:
        return self.root / name

    @property
    def project(self) -> Project:
        """The project as it is configured now."""
        return Project.find(self.root)

    @property
    def cache(self) -> Path:
        """Where the objects lie."""
        return self.root / ".dvc-like" / "cache"

    def cached(self, content: bytes | str) -> Path:
        """Return the path in the cache of an object with this content."""
        return self.cache / key_of(content)

    # ---------------------------------------------------------------- Git

    def git(self, *words: str | os.PathLike[str], code: int = 0) -> str:
        """Run git here."""
        done = subprocess.run(
            ["git", *map(os.fspath, words)], cwd=self.root, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, done.stderr
        return done.stdout.strip()

    def save(self, message: str = "state") -> str:
        """Commit everything; return the commit."""
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    # ---------------------------------------------------------------- files

    def write(self, spec: dict[str, bytes | str | Node | None]) -> None:
        """Make files here."""
        make_files(self.root, spec)

    def data(self, folder: str = "") -> dict[str, Node]:
        """Return the user's files: without Git's, ours, and what Git tracks for us."""
        found = tree_of(self.root / folder, skip=(".git", ".dvc-like", ".gitignore"))
        return {name: node for name, node in found.items() if not name.endswith(".meta")}

    def config(self, level: str = "project", /, **changes: str) -> None:
        """Set settings: ``place.config(core_remote="x")``."""
        settings = {name.replace("_", ".", 1): value for name, value in changes.items()}
        edit(self.project.config.files[level], dict(settings))

    def use_store(self, store: Path | str, name: str = "storage") -> None:
        """Make a folder the default remote."""
        edit(
            self.project.config.files["project"],
            {"core.remote": name, f"remote.{name}.url": str(store), f"remote.{name}.retries": "0"},
        )

    def track(self, spec: dict[str, bytes | str | Node | None]) -> str:
        """Write files, add what is new at the top (a folder as a whole), and commit; return the commit."""
        self.write(spec)
        self.add(*sorted({name.partition("/")[0] for name in spec}))
        return self.save()

    # ---------------------------------------------------------------- verbs

    def _paths(self, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(self.root / name) for name in names)

    def add(self, *names: str, **options: Any) -> list[Any]:
        """`dvc_like.add`."""
        return dvc_like.add(self.project, self._paths(names), **options)

    def commit(self, *names: str, **options: Any) -> list[Any]:
        """`dvc_like.commit`."""
        return dvc_like.commit(self.project, self._paths(names), **options)

    def checkout(self, *names: str, **options: Any) -> Any:
        """`dvc_like.checkout`."""
        return dvc_like.checkout(self.project, self._paths(names), **options)

    def states(self, *names: str) -> dict[str, str]:
        """Return the state of each target."""
        return {one.target.path: one.state for one in dvc_like.status(self.project, self._paths(names))}

    def changes(self, *names: str) -> dict[str, str]:
        """Return every path that differs, with its state."""
        return {
            change.path: change.state
            for one in dvc_like.status(self.project, self._paths(names))
            for change in one.changes
        }

    def push(self, *names: str, remote: str | None = None, **selection: Any) -> Any:
        """`dvc_like.push`."""
        return dvc_like.push(self.project, Selection(self._paths(names), **selection), remote=remote)

    def fetch(self, *names: str, remote: str | None = None, **selection: Any) -> Any:
        """`dvc_like.fetch`."""
        return dvc_like.fetch(self.project, Selection(self._paths(names), **selection), remote=remote)

    def pull(self, *names: str, remote: str | None = None, **options: Any) -> Any:
        """`dvc_like.pull`."""
        return dvc_like.pull(self.project, Selection(self._paths(names)), remote=remote, **options)

    def gc(self, **options: Any) -> Any:
        """`dvc_like.gc`; options that name revisions go into the selection."""
        names = ("revisions", "all_branches", "all_tags", "all_commits")
        selection = Selection(**{name: options.pop(name) for name in names if name in options})
        return dvc_like.gc(self.project, selection, **options)

    def age(self, seconds: float = 3 * 86400) -> None:
        """Make every object of the cache, also in the trash, and what can be undone so much older."""
        for path in (*self.cache.rglob("*"), *(self.root / ".dvc-like/undo").rglob("*")):
            if path.is_file() and not path.name.endswith(".sqlite"):
                then = path.stat().st_mtime - seconds
                os.utime(path, (then, then))


def make_place(root: Path) -> Place:
    """Make an empty project in a new Git repository, with one commit."""
    root.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True)
    dvc_like.init(root)
    place = Place(root)
    place.save("start dvc-like")
    return place


def clone_of(place: Place, root: Path, *options: str) -> Place:
    """Clone with Git; the data is not there then."""
    subprocess.run(["git", "clone", "-q", *options, str(place.root), str(root)], check=True, capture_output=True)
    return Place(root)


def past_the_tick(path: Path) -> None:
    """Return once a stat of `path` can be trusted: when its last change lies behind the clock's granularity."""
    while time.time_ns() <= path.lstat().st_ctime_ns + 30_000_000:
        os.sched_yield() if hasattr(os, "sched_yield") else None
