"""Whole repositories by strangers: whatever is run in them, nothing outside is touched, nothing hangs, all is told."""

from __future__ import annotations

import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.cli.hostile import Attack
from tests.cli.inprocess import InProcess, in_process
from tests.cli.place import make_place
from tests.conftest import tree_of
from tests.safety import INPUT, PATHS, cases

cli = in_process

FEW, MANY, RUNS = 40, 3500, 3
SECONDS = 60  # far more than any of them takes
MINE = {"mine/work.txt": "work of the user's that nothing may touch"}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project, its remote, and a folder outside of both."""
    folder = tmp_path_factory.mktemp("template")
    with pytest.MonkeyPatch.context() as patch:
        for who in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{who}_NAME", "A")
            patch.setenv(f"GIT_{who}_EMAIL", "a@example.com")
        place = make_place(folder / "project")
        place.use_store(Path("../storage"))
        place.track({"data/x": "first", "data/sub/y": "second", "single": "single"})
        place.push()
        place.track({"data/x": "first, changed", "deep/other": "third"})
        place.push()
    shutil.rmtree(place.cache)
    (place / ".git/dvc-like-state").unlink()  # as after a clone: what lies below `.dvc-like` came with it
    place.write({**MINE})  # type: ignore[dict-item]
    (folder / "outside/sub").mkdir(parents=True)
    (folder / "outside/note").write_text("victim")
    (folder / "outside/sub/letter").write_text("victim")
    return folder


class Hang(BaseException):
    """Nothing that a command would take for an error of the system."""


@pytest.fixture
def in_time() -> Iterator[None]:
    """Turn a hang into a failure."""

    def stop(*_: Any) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, stop) if hasattr(signal, "SIGALRM") else None
    yield
    if hasattr(signal, "SIGALRM"):
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


FORBIDDEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]")


def git_folder(root: Path) -> dict[str, object]:
    """Return what Git keeps that a command of ours must never change: its hooks and settings, but for `install`."""
    return {name: node for name, node in tree_of(root / ".git").items() if name.split("/")[0] in ("config", "hooks")}


def attempt(template: Path, folder: Path, number: int, cli: InProcess) -> None:
    attack = Attack(template, folder, number)
    outside, around = tree_of(attack.outside), {path.name for path in folder.iterdir()}
    private = git_folder(attack.copy.root)
    for _ in range(RUNS):
        words = attack.words()
        if hasattr(signal, "alarm"):
            signal.alarm(SECONDS)
        what = (number, attack.done, words)
        try:
            done = cli(*words, cwd=attack.copy.root, code=tuple(range(12)))
        except (Exception, Hang) as error:
            raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error
        assert tree_of(attack.outside) == outside, what
        # A setting may call any folder a remote; then it is one, and nothing else.
        beside = {path.name for path in folder.iterdir() if not (path / "dvc-like.json").exists()}
        assert beside - {"storage"} == around - {"storage"}, what
        assert not FORBIDDEN.search(done.out + done.err), what
        if words[0] == "install":
            private = git_folder(attack.copy.root)
        assert git_folder(attack.copy.root) == private, what
        for name, text in MINE.items():
            assert (attack.copy / name).read_text() == text, what
        if done.code:
            assert "error" in done.err or "error" in done.out or words[0] in ("doctor", "diff", "verify"), what
    shutil.rmtree(folder)


def run(template: Path, tmp_path: Path, numbers: range, cli: InProcess) -> None:
    for number in numbers:
        attempt(template, tmp_path / str(number), number, cli)
    cases(PATHS, RUNS * len(numbers))
    cases(INPUT, RUNS * len(numbers))


def test_repositories_of_strangers(template: Path, tmp_path: Path, cli: InProcess, in_time: None) -> None:
    run(template, tmp_path, range(FEW), cli)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(10))
def test_a_great_many_repositories_of_strangers(
    template: Path, tmp_path: Path, cli: InProcess, in_time: None, part: int
) -> None:
    first = 1000 + part * MANY // 10
    run(template, tmp_path, range(first, first + MANY // 10), cli)
