"""`init` and `root`: where a project begins."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from tests.cli.place import Place, make_place
from tests.conftest import Cli, tree_of


def ours(folder: Path) -> dict[str, bytes | str]:
    return {name: node[2] for name, node in tree_of(folder / ".dvc-like").items() if node[0] == "file"}


def test_two_files_are_written_and_staged(repo: Path, cli: Cli) -> None:
    done = cli("init")
    assert str(repo) in done.out
    assert "git commit" in done.out
    assert ours(repo) == {"config": b"", ".gitignore": b"/config.local\n/tmp\n/cache\n"}
    staged = subprocess.run(["git", "diff", "--cached", "--name-only"], capture_output=True, text=True, check=True)
    assert staged.stdout.split() == [".dvc-like/.gitignore", ".dvc-like/config"]


def test_json(repo: Path, cli: Cli) -> None:
    assert cli("init", "--json").json == {"schema": "dvc-like/init/1", "root": str(repo), "git": True}


def test_state_and_cache_are_never_seen_by_git(place: Place) -> None:
    place.write({"x": "1"})
    place.add("x")
    place.config("local", core_autostage="true")
    place.states()
    place.push()
    assert place.git("status", "--porcelain", "--untracked-files=all").split("\n") == ["?? .gitignore", "?? x.meta"]


def test_outside_of_git_is_refused_unless_asked_for(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "--no-git" in cli("init", code=3).err
    assert not (tmp_path / ".dvc-like").exists()
    cli("init", "--no-git")
    (tmp_path / "x").write_text("x")
    cli("add", "x")
    assert not (tmp_path / ".gitignore").exists()
    cli("status", "--exit-code")


def test_no_git_inside_a_repository_leaves_git_alone(repo: Path, cli: Cli) -> None:
    cli("init", "--no-git")
    staged = subprocess.run(["git", "diff", "--cached", "--name-only"], capture_output=True, text=True, check=True)
    assert staged.stdout == ""


def test_a_folder_may_be_named_and_is_made(tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    cli("init", "--no-git", "new/scratch")
    assert (tmp_path / "new/scratch/.dvc-like/config").exists()


def test_below_the_top_needs_subdir(repo: Path, cli: Cli) -> None:
    (repo / "sub/deep").mkdir(parents=True)
    assert "--subdir" in cli("init", cwd=repo / "sub", code=3).err
    cli("init", "--subdir", cwd=repo / "sub")
    (repo / "sub/deep/x").write_text("x")
    cli("add", "deep/x", cwd=repo / "sub")
    assert cli("root", cwd=repo / "sub/deep").out == "..\n"
    cli("status", code=3)
    cli("init", "--subdir", "--no-git", "other", code=2)


def test_twice_is_refused_and_force_keeps_everything(repo: Path, cli: Cli) -> None:
    cli("init")
    cli("config", "core.autostage", "true")
    before = ours(repo)
    assert "already" in cli("init", code=3).err
    (repo / ".dvc-like/.gitignore").unlink()
    cli("init", "--force")
    assert {name: text for name, text in ours(repo).items() if name in before} == before


def test_a_folder_of_that_name_without_a_config_is_completed(repo: Path, cli: Cli) -> None:
    (repo / ".dvc-like/cache").mkdir(parents=True)
    cli("status", code=3)
    cli("init")
    cli("status")


def test_inside_a_worktree(tmp_path: Path, cli: Cli) -> None:
    place = make_place(tmp_path / "project")
    place.git("checkout", "-q", "--orphan", "bare")
    place.git("rm", "-rq", "--cached", ".")
    place.git("commit", "-q", "--allow-empty", "-m", "nothing")
    place.git("checkout", "-q", "-f", "main")
    place.git("worktree", "add", "-q", str(tmp_path / "tree"), "bare")
    cli("init", cwd=tmp_path / "tree")
    (tmp_path / "tree/x").write_text("x")
    cli("add", "x", cwd=tmp_path / "tree")
    assert place.cached("x").exists()
    assert not (tmp_path / "tree/.dvc-like/cache").exists()


def test_a_link_named_like_our_folder_is_not_written_through(repo: Path, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (repo / ".dvc-like").symlink_to(tmp_path / "outside")
    cli("init", code=7)
    assert list((tmp_path / "outside").iterdir()) == []


def test_a_read_only_folder_is_told(repo: Path, unprivileged: Cli) -> None:
    repo.chmod(0o555)
    try:
        done = unprivileged("init", code=1)
    finally:
        repo.chmod(0o755)
    assert "Permission denied" in done.err


# ------------------------------------------------------------------------------ root


def test_root_is_relative_to_here(place: Place, cli: Cli) -> None:
    (place / "a/b").mkdir(parents=True)
    assert cli("root").out == ".\n"
    assert cli("root", cwd=place / "a/b").out == f"..{os.sep}..\n"
    assert cli("root", "-q").out == ".\n"
    assert cli("root", "--json", cwd=place / "a").json == {"schema": "dvc-like/root/1", "root": str(place.root)}


def test_root_outside_of_a_project(tmp_path: Path, cli: Cli) -> None:
    assert "dvc-like init" in cli("root", cwd=tmp_path, code=3).err
