"""Fixtures of these tests: a project with a remote, and clones of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.place import Place, clone_of, make_place


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The folder of the remote; the first push makes it."""
    return tmp_path / "storage"


@pytest.fixture
def place(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A project with a default remote; its folder is the current one."""
    made = make_place(tmp_path / "project")
    made.use_store(store)
    made.save("remote")
    monkeypatch.chdir(made.root)
    return made


@pytest.fixture
def clone(place: Place, tmp_path: Path) -> Callable[..., Place]:
    """Clone the project: ``clone("name", "--depth", "1")``."""

    def make(name: str = "copy", *options: str) -> Place:
        return clone_of(place, tmp_path / name, *options)

    return make


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put the command ``dvc-like`` of this very source on the PATH."""
    import os
    import sys

    folder = tmp_path / "bin"
    folder.mkdir()
    script = folder / "dvc-like"
    script.write_text(f'#!/bin/sh\nPYTHONSAFEPATH=1 exec "{sys.executable}" -m dvc_like "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder
