"""`commit`: record the present state of what is tracked already."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.cli.place import Place
from tests.conftest import Cli

from dvc_like.errors import UsageError


@pytest.fixture
def tracked(place: Place) -> Place:
    place.track({"data/x": "1", "data/y": "2", "single": "3"})
    return place


def test_everything_that_is_here_is_recorded(tracked: Place, cli: Cli) -> None:
    tracked.write({"data/x": "changed", "single": "changed too"})
    found = cli("commit", "--json").json
    assert found["schema"] == "dvc-like/commit/1"
    assert {one["path"]: one["state"] for one in found["targets"]} == {"data": "updated", "single": "updated"}
    assert tracked.states() == {"data": "unchanged", "single": "unchanged"}


def test_only_the_named_target_is_recorded(tracked: Place, cli: Cli) -> None:
    tracked.write({"data/x": "changed", "single": "changed too"})
    cli("commit", "single")
    assert tracked.states() == {"data": "changed", "single": "unchanged"}


def test_only_the_named_path_inside_is_recorded(tracked: Place, cli: Cli) -> None:
    tracked.write({"data/x": "changed", "data/y": "changed too"})
    cli("commit", "data/x")
    assert tracked.changes() == {"data/y": "modified"}


def test_nothing_changed_is_said_and_nothing_written(tracked: Place, cli: Cli) -> None:
    before = (tracked / "data.meta").stat().st_ino
    assert "unchanged  data" in cli("commit").out
    assert (tracked / "data.meta").stat().st_ino == before


def test_what_is_not_tracked_is_a_usage_error(tracked: Place, cli: Cli) -> None:
    tracked.write({"other": "x"})
    cli("commit", "other", code=2)
    assert not (tracked / "other.meta").exists()


def test_what_is_not_here_is_left_as_it_is(tracked: Place, clone: Callable[..., Place]) -> None:
    tracked.push()
    copy = clone()
    copy.pull("data/x")
    copy.write({"data/x": "edited"})
    single = (copy / "single.meta").read_bytes()
    copy.commit()
    assert (copy / "single.meta").read_bytes() == single
    assert "files: 2" in (copy / "data.meta").read_text()


def test_a_missing_target_that_is_named_is_an_error(tracked: Place) -> None:
    (tracked / "single").unlink()
    with pytest.raises(UsageError, match="single"):
        tracked.commit("single")


def test_one_damaged_meta_file_does_not_keep_the_others_from_being_recorded(tracked: Place, cli: Cli) -> None:
    (tracked / "single.meta").write_text("")
    tracked.write({"data/x": "changed"})
    assert "single.meta" in cli("commit", code=7).err
    assert tracked.states("data") == {"data": "unchanged"}


def test_an_unchanged_commit_in_an_empty_project_says_so(place: Place, cli: Cli) -> None:
    cli("commit")
