"""`migrate` on repositories of strangers: nothing outside is written or read, nothing hangs, all is told in a line."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.cli.dvc_repository import DvcRepository
from tests.cli.hostile_dvc import CANARY, SPOILS, Spoil, make
from tests.cli.inprocess import InProcess
from tests.cli.test_hostile_repositories import FORBIDDEN, SECONDS, Hang, git_folder, in_time  # noqa: F401 - the fixture
from tests.conftest import tree_of
from tests.safety import INPUT, PATHS, cases

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="links and pipes need rights there")

FEW, MANY = 40, 300
RUNS = (("migrate", "--dry-run"), ("migrate",), ("migrate", "--json"))
HONEST = (0, 1, 2, 3, 4, 5, 6, 7, 9)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    make(folder / "template")
    return folder


def taken(root: Path, outside: Path) -> list[str]:
    """Return the files of a repository that hold, or are, what lies outside."""
    theirs = {(one.stat().st_dev, one.stat().st_ino) for one in outside.rglob("*")}
    found = []
    for folder, _, names in os.walk(root):
        for path in (Path(folder, name) for name in names):
            status = path.lstat()
            if path.is_symlink() or not path.is_file():
                continue
            if (status.st_dev, status.st_ino) in theirs or CANARY in path.read_bytes():
                found.append(path.relative_to(root).as_posix())
    return found


def attempt(template: Path, spoils: list[Spoil]) -> None:
    root = template / "copy"
    shutil.rmtree(root, ignore_errors=True)
    shutil.copytree(template / "template", root, symlinks=True)
    repository = DvcRepository.__new__(DvcRepository)
    repository.root, repository.cache, repository.store = root / "project", root / "project/.dvc/cache", root / "store"
    for spoil in spoils:
        spoil(repository)
    repository.git("add", "-A")
    repository.git("commit", "-q", "--allow-empty", "-m", "theirs")
    outside, around = tree_of(root / "outside"), {one.name for one in root.iterdir()}
    private = git_folder(repository.root)
    for words in RUNS:
        signal.alarm(SECONDS)
        try:
            done = InProcess()(*words, cwd=repository.root, code=tuple(range(256)))
        except (Exception, Hang) as error:
            raise AssertionError(f"{words}: {type(error).__name__}: {error}") from error
        finally:
            signal.alarm(0)
        assert done.code in HONEST, done.err
        assert not FORBIDDEN.search(done.out + done.err)
        assert "Traceback" not in done.err
        assert not done.code or "error" in done.err + done.out
        assert tree_of(root / "outside") == outside
        assert taken(repository.root, root / "outside") == []
        assert {one.name for one in root.iterdir()} == around
        assert git_folder(repository.root) == private
        assert (repository.root / "mine/work.txt").read_bytes() == b"work of the user's that nothing may touch"
    cases(PATHS, len(RUNS))
    cases(INPUT, len(RUNS))


LISTS = st.lists(SPOILS, min_size=1, max_size=4)
CHECKS = (HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large)


@pytest.mark.usefixtures("in_time")
@settings(max_examples=FEW, deadline=None, derandomize=True, database=None, suppress_health_check=CHECKS)
@given(spoils=LISTS)
def test_repositories_of_strangers_that_are_migrated(template: Path, spoils: list[Spoil]) -> None:
    attempt(template, spoils)


@pytest.mark.slow
@pytest.mark.usefixtures("in_time")
@settings(max_examples=MANY, deadline=None, database=None, suppress_health_check=CHECKS)
@given(spoils=LISTS)
def test_a_great_many_repositories_of_strangers_that_are_migrated(template: Path, spoils: list[Spoil]) -> None:
    attempt(template, spoils)
