"""An object that the cache lost, of a file that is still in the workspace: who sees it, and what mends it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.cli.place import Place, objects_in, past_the_tick, unlock
from tests.cli.stores import unsound
from tests.conftest import Cli

import dvc_like
from dvc_like.errors import DvcLikeError

HARM = pytest.mark.parametrize("harm", ["lost", "damaged"])


@pytest.fixture
def settled(place: Place) -> Place:
    """A dataset that the index knows to be unchanged."""
    place.write({"data/x": "xx", "data/sub/y": "yy", "data/sub/z": "zz"})
    past_the_tick(place / "data/sub/z")
    place.add("data")
    place.save()
    assert place.changes() == {}
    return place


def harm_object(place: Place, content: str, harm: str) -> None:
    """Take an object away, or change its bytes."""
    path = place.cached(content)
    if harm == "lost":
        path.unlink()
    else:
        unlock(path).write_text("bad")


@HARM
def test_push_names_the_command_that_mends_it(settled: Place, harm: str) -> None:
    harm_object(settled, "yy", harm)
    with pytest.raises(DvcLikeError) as caught:
        settled.push()
    assert "data/sub/y" in "\n".join((caught.value.message, *caught.value.details))
    assert "dvc-like fsck --repair" in caught.value.hint
    dvc_like.fsck(settled.project, repair=True)
    settled.push()
    assert settled.cached("yy").read_text() == "yy"
    assert unsound(settled.cache) == []


@HARM
@pytest.mark.parametrize("words", [["add", "data/sub/y"], ["add", "--force", "data"], ["commit", "--force", "data"]])
def test_these_mend_it_as_well(settled: Place, cli: Cli, store: Path, harm: str, words: list[str]) -> None:
    harm_object(settled, "yy", harm)
    cli(*words)
    assert settled.cached("yy").read_text() == "yy"
    cli("push")
    shutil.rmtree(settled.cache)
    shutil.rmtree(settled / "data")
    cli("pull")
    assert (settled / "data/sub/y").read_text() == "yy"


@pytest.mark.parametrize("lost", ["everything", "the listings", "the root's listing", "the listing below"])
def test_add_of_an_unchanged_folder_mends_what_costs_little_to_see(settled: Place, lost: str) -> None:
    root = settled.cache / "files" / "blake3" / (settled / "data.meta").read_text()[13:15]
    root /= (settled / "data.meta").read_text()[15:77] + ".tree"
    gone = {
        "everything": lambda path: True,
        "the listings": lambda path: path.suffix == ".tree",
        "the root's listing": lambda path: path == root,
        "the listing below": lambda path: path.suffix == ".tree" and path != root,
    }[lost]
    found = [path for path in objects_in(settled.cache).values() if gone(path)]
    assert found
    for path in found:
        path.unlink()
    assert settled.add("data")[0].state == "unchanged"
    dvc_like.fsck(settled.project)
    settled.push()


def test_force_leaves_out_what_was_never_checked_out(settled: Place) -> None:
    """So it is not what a hint should name where a part of a dataset is here."""
    settled.push()
    shutil.rmtree(settled / "data")
    shutil.rmtree(settled / ".dvc-like/tmp")
    settled.checkout("data/sub")
    harm_object(settled, "yy", "lost")
    dvc_like.fsck(settled.project, repair=True)
    assert settled.cached("yy").read_text() == "yy"
    assert settled.add("data")[0].state == "unchanged"
