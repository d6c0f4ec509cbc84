"""The line in `.gitattributes` and the settings it stands for: added once, taken out again, the user's left alone."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import dvc_like
from dvc_like import Project
from dvc_like.errors import ProjectError, UnsafePath
from dvc_like.ops._gitattributes import LINE, add, remove


@pytest.fixture
def project(repo: Path) -> Project:
    return dvc_like.init(repo)


def settings(git: Callable[..., str]) -> str:
    return git("config", "--local", "--list")


def test_added_once(project: Project, repo: Path, git: Callable[..., str]) -> None:
    assert add(project)
    assert (repo / ".gitattributes").read_text() == f"{LINE}\n"
    assert git("config", "merge.dvc-like.driver").endswith("dvc-like git-merge %O %A %B %P")
    assert git("config", "diff.dvc-like.textconv").endswith("dvc-like git-textconv")
    assert git("check-attr", "merge", "diff", "--", "x/data.meta") == (
        "x/data.meta: merge: dvc-like\nx/data.meta: diff: dvc-like"
    )
    before = settings(git)
    assert not add(project)
    assert (repo / ".gitattributes").read_text() == f"{LINE}\n"
    assert settings(git) == before


@pytest.mark.parametrize(
    "old", [b"*.bin binary\n", b"*.bin binary", b"*.bin binary\r\n*.txt text\r\n", b"# n\xe4me\n\n", b"a\x0cb -text\n"]
)
def test_what_the_user_wrote_stays(project: Project, repo: Path, old: bytes) -> None:
    path = repo / ".gitattributes"
    path.write_bytes(old)
    path.chmod(0o640)
    assert add(project)
    end = b"\r\n" if b"\r\n" in old else b"\n"
    whole = old if old.endswith(b"\n") else old + end
    assert path.read_bytes() == whole + LINE.encode() + end
    assert not add(project)
    assert remove(project)
    assert path.read_bytes() == whole
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o640


def test_taken_out_again(project: Project, repo: Path, git: Callable[..., str]) -> None:
    before = settings(git)
    git("config", "merge.other.driver", "true")
    add(project)
    assert remove(project)
    assert not (repo / ".gitattributes").exists()
    assert settings(git) == f"{before}\nmerge.other.driver=true"
    assert not remove(project)


def test_a_changed_setting_is_put_right(project: Project, git: Callable[..., str]) -> None:
    add(project)
    git("config", "merge.dvc-like.driver", "old %A")
    assert add(project)
    assert git("config", "merge.dvc-like.driver").endswith("dvc-like git-merge %O %A %B %P")


@pytest.mark.skipif(os.name == "nt", reason="links need a privilege there")
def test_a_link_is_not_written_through(project: Project, repo: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("mine\n")
    (repo / ".gitattributes").symlink_to(outside)
    with pytest.raises(UnsafePath):
        add(project)
    assert outside.read_text() == "mine\n"


def test_a_project_below_the_top_is_named(repo: Path, git: Callable[..., str]) -> None:
    (repo / "a b").mkdir()
    add(dvc_like.init(repo / "a b", subdir=True))
    assert (repo / "a b/.gitattributes").exists()
    assert git("config", "diff.dvc-like.textconv").endswith("dvc-like git-textconv --project 'a b'")


@pytest.mark.skipif(os.name == "nt", reason="Git's shell has another PATH there")
def test_the_command_is_found_without_the_path(
    project: Project, repo: Path, tmp_path: Path, git: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "100% mine's"
    folder.mkdir()
    command = folder / "dvc-like"
    command.write_text('#!/bin/sh\ncp "$4" "$3"\n')
    command.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    add(project)
    monkeypatch.setenv("PATH", os.pathsep.join(os.path.dirname(shutil.which(name) or "") for name in ("git", "cp")))
    git("add", "-A")
    git("commit", "-q", "-m", "start")
    git("branch", "side")
    for branch, text in (("main", "1"), ("side", "2")):
        git("checkout", "-q", branch)
        (repo / "x.meta").write_text(text)
        git("add", "-A")
        git("commit", "-q", "-m", branch)
    git("merge", "-q", "-m", "both", "main")
    assert (repo / "x.meta").read_text() == "1"


def test_without_git_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError):
        add(dvc_like.init(tmp_path / "plain", git=False))
