"""A workspace that holds part of one version and part of another: every verb sees that it is neither."""

from __future__ import annotations

import sqlite3

import pytest
from tests.cli.place import Place


@pytest.fixture
def mixed(place: Place) -> Place:
    """Everything is of version two, and the meta files and `data/a` of version one."""
    place.track({"data/a/x": "one", "data/b/deep/x": "one", "data/b/y": "same"})
    place.git("tag", "one")
    place.track({"data/a/x": "two!", "data/b/deep/x": "two!"})
    place.git("tag", "two")
    place.git("checkout", "-q", "one")
    place.checkout("data/a")
    return place


def test_status_shows_the_rest(mixed: Place) -> None:
    for _ in range(2):
        assert mixed.changes() == {"data/b/deep/x": "modified"}
    mixed.git("checkout", "-q", "two")
    assert mixed.changes() == {"data/a/x": "modified"}


def test_checkout_brings_the_rest(mixed: Place) -> None:
    assert mixed.checkout().replaced == ("data/b/deep/x",)
    assert (mixed / "data/b/deep/x").read_text() == "one"
    assert mixed.states() == {"data": "unchanged"}


def test_checkout_of_the_other_version_brings_the_part_back(mixed: Place) -> None:
    mixed.git("checkout", "-q", "two")
    assert mixed.checkout().replaced == ("data/a/x",)
    assert mixed.states() == {"data": "unchanged"}


def test_add_records_what_is_here(mixed: Place) -> None:
    (done,) = mixed.add("data")
    assert done.state == "updated"
    mixed.save()
    (mixed / "data/b/deep/x").unlink()
    mixed.checkout()
    assert (mixed / "data/b/deep/x").read_text() == "two!"
    assert (mixed / "data/a/x").read_text() == "one"


def test_adding_a_part_leaves_the_rest_in_sight(mixed: Place) -> None:
    mixed.write({"data/a/x": "three"})
    mixed.add("data/a/x")
    assert mixed.changes() == {"data/b/deep/x": "modified"}


def test_a_part_added_onto_another_version_is_in_sight_there(mixed: Place) -> None:
    mixed.checkout()
    mixed.git("checkout", "-q", "two")
    mixed.write({"data/a/x": "three"})
    mixed.add("data/a")
    mixed.save("three")
    mixed.git("checkout", "-q", "one")
    assert mixed.changes() == {"data/a/x": "modified"}


def test_a_folder_without_its_row_is_not_taken_for_what_is_recorded(mixed: Place) -> None:
    with sqlite3.connect(mixed / ".dvc-like/tmp/index.sqlite") as index:
        index.execute("DELETE FROM folder WHERE path IN ('data', 'data/b')")
    index.close()
    for _ in range(2):
        assert mixed.changes() == {"data/b/deep/x": "modified"}
