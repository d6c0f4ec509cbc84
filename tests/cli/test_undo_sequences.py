"""Random sequences of edits and commands: `undo` leads back, a second one forth again, and the index never lies."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable

import pytest
from tests.cli.place import Place
from tests.conftest import Node, tree_of

import dvc_like
from dvc_like.errors import DvcLikeError

NAMES = [*(f"data/{sub}/{n}" for sub in "ab" for n in range(3)), "data/top", "one", "two"]


def files(place: Place) -> dict[str, Node]:
    """Every file of the workspace, meta files and `.gitignore` included; folders that are left empty do not count."""
    found = tree_of(place.root, skip=(".git", ".dvc-like"))
    return {name: node for name, node in found.items() if node[0] != "folder"}


def edit(place: Place, chance: random.Random) -> None:
    for name in chance.sample(NAMES, chance.randrange(3)):
        path = place / name
        if chance.random() < 0.4:
            path.unlink(missing_ok=True)
        elif path.parent.is_dir():
            path.write_text(f"{chance.random()}")


def other_version(place: Place, chance: random.Random) -> None:
    commits = place.git("rev-list", "HEAD").split()[:-2]  # the first two track nothing
    place.git("checkout", "-q", "-f", chance.choice(commits), "--", "*.meta")


def command(place: Place, chance: random.Random) -> Callable[[], object]:
    def some(*names: str) -> list[str]:
        return [str(place / name) for name in chance.sample(names, chance.randrange(1, len(names)))]

    force = chance.random() < 0.5
    project = place.project
    return chance.choice(
        [
            lambda: dvc_like.add(project, some("data", "one", "two")),
            lambda: dvc_like.commit(project),
            lambda: dvc_like.checkout(project, force=force),
            lambda: dvc_like.checkout(project, (str(place / "data/*/1"),), glob=True, force=True),
            lambda: place.pull(force=force),
            lambda: place.pull("data/a"),
            lambda: dvc_like.drop(project, some("data/a", "data/b/1", "one"), cache=force),
        ]
    )


def without_the_index(place: Place) -> dict[str, str]:
    path = place / ".dvc-like/tmp/index.sqlite"
    kept = path.read_bytes()
    path.unlink()
    try:
        return place.changes()
    finally:
        path.write_bytes(kept)


@pytest.mark.parametrize("seed", range(4))
def test_back_and_forth(place: Place, seed: int) -> None:
    chance = random.Random(seed)
    place.track({name: name for name in NAMES})
    place.push()
    done = 0
    for _ in range(12):
        edit(place, chance)
        if chance.random() < 0.3:
            place.save()
            with contextlib.suppress(DvcLikeError):  # a part that was dropped cannot be sent again
                place.push()
        if chance.random() < 0.3:
            other_version(place, chance)
        run, before, known = command(place, chance), files(place), len(dvc_like.undoable(place.project))
        with contextlib.suppress(DvcLikeError):  # what it refuses, it refuses; what it did all the same is undone
            run()
        after = files(place)
        if after != before:
            done += 1
            assert len(dvc_like.undoable(place.project)) in (known + 1, 50)
            for wanted in (before, after, before)[: chance.randrange(2, 4)]:
                dvc_like.undo(place.project)
                assert files(place) == wanted
        with contextlib.suppress(DvcLikeError):
            plain = {"deleted": "absent", "renamed": "added"}  # only the index tells these apart
            told, found = place.changes(), without_the_index(place)
            if "renamed" not in {*told.values(), *found.values()}:
                assert {path: plain.get(state, state) for path, state in told.items()} == {
                    path: plain.get(state, state) for path, state in found.items()
                }
    assert done > 2
