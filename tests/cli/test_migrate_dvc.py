"""`migrate` on what DVC itself made, and DVC on what `migrate` left of it; the tests' own writer equals DVC."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.dvc_repository import DvcRepository, fingerprints
from tests.cli.place import Place, clone_of
from tests.conftest import make_files, tree_of
from tests.servers.tools import Missing, program

import dvc_like

pytestmark = pytest.mark.slow  # DVC is a hundred packages, and half a second to start

Dvc = Callable[..., str]

FIRST = {"data/a.txt": b"one\n", "data/sub/deep/b.txt": b"two\n", "data/sub/\u00e9.txt": b"", "model.bin": b"m" * 3000}
SECOND = {**FIRST, "data/a.txt": b"changed\n", "data/new/c": b"three\n", "model.bin": b"n" * 3000}
OTHER = {"data/sub/deep/b.txt": b"two\n", "data/only here": b"other\n", "model.bin": b"m" * 3000}


@pytest.fixture
def dvc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dvc:
    try:
        command = program("dvc", "dvc")
    except Missing as reason:
        pytest.skip(str(reason))
    monkeypatch.setenv("DVC_NO_ANALYTICS", "1")
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(tmp_path / "site"))
    monkeypatch.setenv("DVC_GLOBAL_CONFIG_DIR", str(tmp_path / "global"))

    def run(*words: str, cwd: Path | None = None) -> str:
        done = subprocess.run([command, *words], cwd=cwd, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    return run


def started(root: Path, dvc: Dvc, monkeypatch: pytest.MonkeyPatch) -> Place:
    root.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main", str(root)], check=True)
    monkeypatch.chdir(root)
    dvc("init", "-q")
    dvc("remote", "add", "-q", "-d", "storage", "../store")
    return Place(root)


def record(place: Place, dvc: Dvc, files: dict[str, bytes]) -> None:
    for name in ("data", "model.bin"):
        path = place.root / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
    make_files(place.root, files)
    dvc("add", "-q", "data", "model.bin")
    dvc("push", "-q")
    place.save()


def test_the_writer_of_the_tests_writes_what_dvc_writes(
    tmp_path: Path, dvc: Dvc, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "theirs").mkdir()
    theirs = started(tmp_path / "theirs/project", dvc, monkeypatch)
    ours = DvcRepository(tmp_path / "ours/project")
    for files in (FIRST, SECOND):
        record(theirs, dvc, files)
        ours.add("data", {name[5:]: data for name, data in files.items() if name.startswith("data/")})
        ours.add("model.bin", files["model.bin"])
        ours.save()
    for path in ("project", "store"):
        mine, its = (tree_of(tmp_path / side / path, skip=(".git", "tmp", "data")) for side in ("ours", "theirs"))
        assert mine == its
    assert fingerprints(ours.cache) == fingerprints(theirs.root / ".dvc/cache")


def test_a_repository_of_dvc_moves_and_comes_back(tmp_path: Path, dvc: Dvc, monkeypatch: pytest.MonkeyPatch) -> None:
    place = started(tmp_path / "project", dvc, monkeypatch)
    record(place, dvc, FIRST)
    place.git("tag", "v1")
    place.git("checkout", "-q", "-b", "other")
    record(place, dvc, OTHER)
    place.git("checkout", "-q", "main")
    record(place, dvc, SECOND)
    place.git("tag", "v2")
    cache, store = fingerprints(place.root / ".dvc/cache"), fingerprints(tmp_path / "store")
    revisions = {"v1": FIRST, "v2": SECOND, "other": OTHER}
    for revision in revisions:
        place.git("checkout", "-q", "-b", f"moved-{revision}", revision)
        assert dvc_like.migrate().left == ()
        place.git("commit", "-q", "-m", "moved")
        assert place.push().size == 0
    after = fingerprints(tmp_path / "store")
    assert {name: one for name, one in after.items() if name in store} == store
    assert not [name for name in after.keys() - store.keys() if name.startswith("files/")]
    assert fingerprints(place.root / ".dvc/cache") == cache
    copy = clone_of(place, tmp_path / "copy")
    for revision, files in revisions.items():
        copy.git("checkout", "-q", f"moved-{revision}")
        copy.pull()
        assert {name: (copy.root / name).read_bytes() for name in present(copy)} == files
    for revision, files in revisions.items():
        place.git("checkout", "-q", revision)
        dvc("checkout", "-q", "--force")
        assert "up to date" in dvc("status")
        assert {name: (place.root / name).read_bytes() for name in present(place)} == files
    fresh = clone_of(place, tmp_path / "fresh")
    fresh.git("checkout", "-q", "v2")
    dvc("pull", "-q", cwd=fresh.root)
    assert {name: (fresh.root / name).read_bytes() for name in present(fresh)} == SECOND
    place.git("checkout", "-q", "main")
    make_files(place.root, {"data/a.txt": b"DVC goes on\n"})
    dvc("add", "-q", "data")
    dvc("push", "-q")
    assert "in sync" in dvc("status", "--cloud")


def present(place: Place) -> list[str]:
    found = [path.relative_to(place.root) for path in (place.root / "data").rglob("*") if path.is_file()]
    return sorted([*(path.as_posix() for path in found), "model.bin"])


def test_links_and_stages_that_dvc_made(tmp_path: Path, dvc: Dvc, monkeypatch: pytest.MonkeyPatch) -> None:
    place = started(tmp_path / "project", dvc, monkeypatch)
    dvc("config", "cache.type", "symlink")
    record(place, dvc, FIRST)
    make_files(
        place.root, {"dvc.yaml": "stages:\n  s:\n    cmd: cp model.bin out\n    deps: [model.bin]\n    outs: [out]\n"}
    )
    dvc("repro", "-q")
    place.save()
    assert os.path.islink(place.root / "data/a.txt")
    dvc_like.migrate()
    shutil.rmtree(place.root / ".dvc")
    assert place.changes() == {}
    assert {name: (place.root / name).read_bytes() for name in present(place)} == FIRST
    assert (place.root / "out").read_bytes() == FIRST["model.bin"]
