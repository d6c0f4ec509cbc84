"""`cache dir`: where the objects lie, and which files may say so."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess as Cli
from tests.cli.inprocess import in_process  # noqa: F401 - the fixture `cli` of this file
from tests.cli.place import Place, key_of


def test_the_default_is_shown(place: Place, cli: Cli) -> None:
    assert cli("cache", "dir").out == f"{place.cache}\n"
    assert cli("cache", "dir", "--show-origin").out == f"(default)\t{place.cache}\n"
    assert cli("cache", "dir", "--json").json == {
        "schema": "dvc-like/cache-dir/1",
        "path": str(place.cache),
        "level": None,
        "origin": None,
    }


def test_another_folder_for_this_clone(place: Place, cli: Cli, tmp_path: Path) -> None:
    place.track({"old": "1"})
    done = cli("cache", "dir", tmp_path / "big")
    assert done.out.splitlines()[0] == str(tmp_path / "big")
    assert "stay there" in done.out
    assert place.git("status", "--short") == ""
    assert f"{place / '.dvc-like/config.local'}\t" in cli("cache", "dir", "--show-origin").out
    place.write({"new": "2"})
    cli("add", "new")
    assert (tmp_path / "big" / key_of("2")).exists()
    assert place.cached("1").exists()
    assert "stay there" in cli("cache", "dir", "--unset").out
    assert cli("cache", "dir").out == f"{place.cache}\n"


def test_a_relative_path_is_seen_from_the_current_folder(place: Place, cli: Cli) -> None:
    (place / "deep").mkdir()
    cli("cache", "dir", "../../pool", cwd=place / "deep")
    assert "dir = ../pool" in (place / ".dvc-like/config.local").read_text()
    assert cli("cache", "dir").out == f"{place.root.parent / 'pool'}\n"
    cli("cache", "dir", ".dvc-like/other")
    assert cli("cache", "dir").out == f"{place / '.dvc-like/other'}\n"


def test_for_all_my_projects(place: Place, cli: Cli, home: Path, clone: Callable[..., Place]) -> None:
    cli("cache", "dir", "--global", "~/cache")
    copy = clone()
    assert cli("cache", "dir", cwd=copy.root).out == f"{home / 'cache'}\n"
    cli("cache", "dir", "--global", "../mine")
    assert cli("cache", "dir", cwd=copy.root).out == f"{place.root.parent / 'mine'}\n"
    assert cli("cache", "dir", "--json", cwd=copy.root).json["level"] == "global"


def test_the_tracked_file_may_not_say_it(place: Place, cli: Cli) -> None:
    for path in ("/tmp/cache", ".dvc-like/other"):
        assert "--local" in cli("cache", "dir", "--project", path, code=2).err
    (place / ".dvc-like/config").write_text("[cache]\n\tdir = /tmp/cache\n")
    cli("cache", "dir", code=3)


@pytest.mark.parametrize("path", ["", " ", "data", ".", ".git", "file"])
def test_what_cannot_be_a_cache(place: Place, cli: Cli, path: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    cli("cache", "dir", tmp_path / "file" if path == "file" else path, code=2)
    assert cli("cache", "dir").out == f"{place.cache}\n"


def test_what_is_called_wrongly(place: Place, cli: Cli, tmp_path: Path) -> None:
    cli("cache", "dir", "x", "--unset", code=2)
    cli("cache", code=2)
    cli("cache", "dir", cwd=tmp_path, code=3)


def test_a_folder_that_cannot_be_made_is_told_by_the_command_that_needs_it(place: Place, cli: Cli) -> None:
    place.write({"x": "1"})
    cli("cache", "dir", os.devnull + "/cache")
    assert os.devnull in cli("add", "x", code=1).err


def test_help_names_the_level_that_is_the_default(cli: Cli) -> None:
    assert "never tracked (the default)" in " ".join(cli("cache", "dir", "--help").out.split())
    assert "tracked by Git (the default)" in " ".join(cli("config", "--help").out.split())
