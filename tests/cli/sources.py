"""Another repository to take data from, served over HTTP on loopback, and what tests ask about it."""

from __future__ import annotations

from pathlib import Path

from tests.cli.place import Place, make_place
from tests.servers.githttp import GitHttp

DATA = {
    "data/a.txt": "alpha",
    "data/sub/b.txt": "beta",
    "data/sub/c.txt": "gamma",
    "data/link": ("link", False, "a.txt"),
    "data/run.sh": ("file", True, b"#!/bin/sh\n"),
    "model.bin": "model 1",
}


class Origin(Place):
    """The project that others import from. Everything is pushed; `url` is where Git finds it."""

    def __init__(self, root: Path, server: GitHttp) -> None:
        super().__init__(root)
        self.server = server

    @property
    def url(self) -> str:
        return self.server.url(f"{self.root.name}/.git")

    def change(self, spec: dict[str, str], message: str = "change") -> str:
        """Write files, record and push them; return the commit."""
        self.write(spec)
        self.commit()
        self.push()
        return self.save(message)


def make_origin(root: Path, server: GitHttp, store: Path) -> Origin:
    """Make it: tag v1 is its first version, and Git alone tracks some files."""
    make_place(root)
    origin = Origin(root, server)
    origin.use_store(store)
    origin.git("config", "uploadpack.allowFilter", "true")
    origin.write({"notes.txt": "by Git alone", "code/x.py": "print()", "code/deep/y.py": "y"})
    origin.track(DATA)
    origin.push()
    origin.git("tag", "-a", "v1", "-m", "first")
    return origin


def cached_repositories(home: Path) -> list[Path]:
    """Return the folders in which parts of other repositories are kept."""
    return sorted((home / "cache/dvc-like/repos").glob("*"))
