"""The `.gitignore` line: Git ignores exactly the entry that was named, and the file around it stays the user's."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dvc_like import paths
from dvc_like.errors import UnsafePath
from dvc_like.fsutil import Dir
from dvc_like.workspace import gitignore

pytestmark = pytest.mark.skipif(os.name != "posix", reason="names of this kind exist on POSIX only")


@pytest.fixture
def folder(repo: Path) -> Iterator[Dir]:
    with Dir.open_root(str(repo)) as opened:
        yield opened


def ignored(repo: Path, names: list[str]) -> set[str]:
    """Ask Git which of the names it ignores."""
    done = subprocess.run(
        ["git", "check-ignore", "--stdin", "-z"],
        input="".join(f"{name}\0" for name in names).encode(),
        cwd=repo,
        capture_output=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stderr
    return {name.decode() for name in done.stdout.split(b"\0") if name}


AWKWARD = [
    *("plain", "with space", "end ", "end  ", " start", "#hash", "!bang", "!", "#", "*", "?", "[", "]", "[ab]", "a*b"),
    *("a?b", "**", "a{b}", "~", "-x", "ümlaut", "日本 語", "e\u0301", "\u00e9", "😀", "a\u00a0", "\u3000"),
    *("a'b", 'a"b', "$a", "%a%", "a:b", "a;b", "[!a]", "[^a]", "[a-z]", "[[:alpha:]]", "**a", "a**"),
]


def test_git_ignores_each_awkward_name_and_nothing_else(repo: Path, folder: Dir) -> None:
    for name in AWKWARD:
        gitignore.add(folder, [name])
        others = [other for other in AWKWARD if other != name]
        assert ignored(repo, [name]) == {name}
        assert ignored(repo, others) == set(), name
        gitignore.remove(folder, [name])
    assert not (repo / ".gitignore").exists()


def _is_safe(name: str) -> bool:
    try:
        paths.check_name(name)
    except UnsafePath:
        return False
    return True


names = st.text(
    st.one_of(st.sampled_from(" *?[]!#-^{}~.ab"), st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn"])),
    min_size=1,
    max_size=12,
).filter(lambda name: _is_safe(name) and name != ".gitignore")


@settings(derandomize=True, deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(names, min_size=2, max_size=12, unique=True))
def test_git_agrees_on_any_names(repo: Path, folder: Dir, some: list[str]) -> None:
    listed, free = some[::2], some[1::2]
    (repo / ".gitignore").unlink(missing_ok=True)
    gitignore.add(folder, listed)
    assert ignored(repo, some) == set(listed), free


def test_the_pattern_is_anchored_so_that_subfolders_stay_visible(repo: Path, folder: Dir) -> None:
    gitignore.add(folder, ["data"])
    assert ignored(repo, ["data", "sub/data", "data.meta", "data-x", "xdata"]) == {"data"}


def test_a_folder_is_ignored_with_all_below_it(repo: Path, folder: Dir) -> None:
    (repo / "data").mkdir()
    gitignore.add(folder, ["data"])
    assert ignored(repo, ["data/a", "data/b/c"]) == {"data/a", "data/b/c"}


def test_adding_twice_changes_nothing_the_second_time(repo: Path, folder: Dir) -> None:
    assert gitignore.add(folder, ["a", "b"]) is True
    before = os.stat(repo / ".gitignore")
    assert gitignore.add(folder, ["b", "a"]) is False
    assert os.stat(repo / ".gitignore") == before or (repo / ".gitignore").stat().st_ino == before.st_ino
    assert (repo / ".gitignore").read_text() == "/a\n/b\n"


def test_lines_of_the_user_stay_byte_for_byte(repo: Path, folder: Dir) -> None:
    text = b"# mine\n\n*.pyc\nlatin \xe9\nform\x0cfeed\ncr\r\n  \n!keep"
    (repo / ".gitignore").write_bytes(text)
    gitignore.add(folder, ["data"])
    assert (repo / ".gitignore").read_bytes() == text + b"\n/data\n"
    assert gitignore.remove(folder, ["data"]) is True
    assert (repo / ".gitignore").read_bytes() == text + b"\n"


def test_removing_what_is_not_there_changes_nothing(repo: Path, folder: Dir) -> None:
    assert gitignore.remove(folder, ["data"]) is False
    (repo / ".gitignore").write_text("/data-x\n/data/\ndata\n")
    assert gitignore.remove(folder, ["data"]) is False
    assert (repo / ".gitignore").read_text() == "/data-x\n/data/\ndata\n"


def test_removing_the_last_line_removes_the_file(repo: Path, folder: Dir) -> None:
    gitignore.add(folder, ["a"])
    assert gitignore.remove(folder, ["a"]) is True
    assert not (repo / ".gitignore").exists()


def test_the_mode_of_the_file_is_kept(repo: Path, folder: Dir) -> None:
    (repo / ".gitignore").write_text("x\n")
    (repo / ".gitignore").chmod(0o640)
    gitignore.add(folder, ["a"])
    assert (repo / ".gitignore").stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize("change", [gitignore.add, gitignore.remove])
def test_nothing_is_written_through_a_link(
    repo: Path, folder: Dir, tmp_path: Path, change: Callable[[Dir, list[str]], bool]
) -> None:
    outside = tmp_path / "outside"
    outside.write_text("/a\n")
    (repo / ".gitignore").symlink_to(outside)
    with pytest.raises(UnsafePath):
        change(folder, ["a"])
    assert outside.read_text() == "/a\n"
    assert (repo / ".gitignore").is_symlink()


def test_a_dangling_link_makes_no_file_elsewhere(repo: Path, folder: Dir, tmp_path: Path) -> None:
    (repo / ".gitignore").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UnsafePath):
        gitignore.add(folder, ["a"])
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo], ids=["folder", "fifo"])
def test_what_is_no_file_is_refused_at_once(repo: Path, folder: Dir, make: Callable[[Path], None]) -> None:
    make(repo / ".gitignore")
    with pytest.raises(UnsafePath):
        gitignore.add(folder, ["a"])
