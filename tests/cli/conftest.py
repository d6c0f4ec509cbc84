"""Fixtures of these tests: a project with a remote, and clones of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.place import Place, clone_of, make_place

from dvc_like.ops import _gitattributes


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
def copy(pushed: Place, clone: Callable[..., Place], monkeypatch: pytest.MonkeyPatch) -> Place:
    """A clone of what the file's own fixture `pushed` has pushed; its folder is the current one."""
    made = clone()
    monkeypatch.chdir(made.root)
    return made


@pytest.fixture
def driven(place: Place, on_path: Path) -> Place:
    """The project when Git merges and shows its meta files by dvc-like."""
    _gitattributes.add(place.project)
    place.save("drivers")
    return place
