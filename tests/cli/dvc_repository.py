"""A repository in DVC 3's format on disk, written without DVC: what tests that run all day migrate.

`tests/cli/test_migrate_dvc.py` proves that DVC itself writes the same, byte for byte.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path

from tests.conftest import make_files

Files = dict[str, bytes]

CONFIG = "[core]\n    remote = storage\n['remote \"storage\"']\n    url = ../../store\n"
IGNORED = "/config.local\n/tmp\n/cache\n"
RULES = (
    "# Add patterns of files dvc should ignore, which could improve\n"
    "# the performance. Learn more at\n# https://dvc.org/doc/user-guide/dvcignore\n"
)


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


class DvcRepository:
    """A Git repository that DVC was used in; its remote `store` lies beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache = root / ".dvc/cache"
        self.store = root.parent / "store"
        root.mkdir(parents=True)
        self.git("init", "-q", "-b", "main")
        make_files(root, {".dvc/config": CONFIG, ".dvc/.gitignore": IGNORED, ".dvcignore": RULES})

    def git(self, *words: str, code: int = 0) -> str:
        done = subprocess.run(["git", *words], cwd=self.root, capture_output=True, text=True, check=False)
        assert done.returncode == code, done.stderr
        return done.stdout.strip()

    def save(self, message: str = "state") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def store_object(self, data: bytes, *, suffix: str = "", push: bool = True) -> str:
        """Put an object into the cache, and on the remote; return its MD5."""
        name = md5(data)
        for place in (self.cache, *([self.store] if push else [])):
            path = place / "files/md5" / name[:2] / (name[2:] + suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            if not path.exists():
                path.write_bytes(data)
                path.chmod(0o444)
        return name

    def add(self, path: str, content: bytes | Files, *, push: bool = True) -> None:
        """Do what `dvc add` does with a file, or a folder of files, and `dvc push`."""
        self.write(path, content)
        lines = self.out(content, push=push)
        folder, _, name = path.rpartition("/")
        (self.root / f"{path}.dvc").write_text(f"outs:\n{lines}  path: {name}\n", newline="\n")
        ignore = self.root / folder / ".gitignore"
        known = ignore.read_text() if ignore.exists() else ""
        if f"/{name}\n" not in known:
            ignore.write_text(f"{known}/{name}\n", newline="\n")

    def write(self, path: str, content: bytes | Files) -> None:
        if isinstance(content, dict):
            make_files(self.root, {f"{path}/{name}": data for name, data in content.items()})
        else:
            make_files(self.root, {path: content})

    def out(self, content: bytes | Files, *, push: bool = True) -> str:
        """Store the content; return how an entry of `outs` begins."""
        if isinstance(content, bytes):
            return f"- md5: {self.store_object(content, push=push)}\n  size: {len(content)}\n  hash: md5\n"
        entries = [
            {"md5": self.store_object(data, push=push), "relpath": name} for name, data in sorted(content.items())
        ]
        name = self.store_object(json.dumps(entries).encode(), suffix=".dir", push=push)
        size = sum(map(len, content.values()))
        return f"- md5: {name}.dir\n  size: {size}\n  nfiles: {len(content)}\n  hash: md5\n"


def fingerprints(folder: Path) -> dict[str, tuple[str, int]]:
    """Return digest and mode of every file below a folder."""
    return {
        path.relative_to(folder).as_posix(): (md5(path.read_bytes()), os.lstat(path).st_mode)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
