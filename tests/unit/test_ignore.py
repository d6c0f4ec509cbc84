"""The grammar of `.dvc-likeignore`: Git itself says what is right, and no pattern takes long."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dvc_like.errors import ConfigError, UnsafePath
from dvc_like.fsutil import Dir
from dvc_like.paths import RelPath
from dvc_like.workspace.ignore import MAX_RULES, MAX_SIZE, NAME, Ignore, parse

pytestmark = pytest.mark.skipif(os.name != "posix", reason="names of the other characters exist on POSIX only")

ATOMS = [
    *("a", "b", ".", "*", "**", "?", "x", " ", "]", "-", "!", "#", "\\a", "\\*", "\\]"),
    *("[ab]", "[!a]", "[^]]", "[a-c]", "[]a]", "[a-]", "[b-a]", "[\\]]", "[[:alpha:]]", "[[:digit:]x]", "[a"),
]
GLOBS = st.lists(st.sampled_from(ATOMS), min_size=1, max_size=4).map("".join).filter(lambda one: one[-1] != "\\")
RULES = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "", "/", "**/", "!", "!/", "#"]),
    st.lists(GLOBS, min_size=1, max_size=3).map("/".join),
    st.sampled_from(["", "", "/", "/**", "/**/a", "  ", "\\ ", "\r"]),
)
NAMES = st.sampled_from(["a", "b", "ab", "a.b", "b.a", "-", "x y", "a ", "[", "]", "!a", "#a", "a*", "cab", ".a", "1"])
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rules")
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    return folder


# The same rules each time: a rare one that Git takes in a way of its own must not turn an unrelated change red.
@settings(
    max_examples=150, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rules=st.lists(RULES, min_size=1, max_size=4), paths=st.lists(PATHS, min_size=1, max_size=30, unique=True))
@example(rules=["a", "[!a][a/[ab]"], paths=["!a", "ab", "a"])
@example(rules=["a**/**"], paths=["a", "ab", "ab/b", "b/a"])
@example(rules=["a**/b", "/b/a**"], paths=["a", "ab", "ab/b", "a/x/b", "a/x/y/b", "acab/1/b", "b/a", "b/ab/1", "b/b"])
@example(
    rules=["a****/b", "a**b/1", "b/**a", "1/\\a**/b"],
    paths=["a/x/b", "ab/1", "a/b/1", "b/a", "b/1/a", "1/a/b", "1/a/x/b"],
)
def test_git_takes_every_rule_the_same_way(place: Path, rules: list[str], paths: list[str]) -> None:
    text = "\n".join(rules) + "\n"
    (place / ".gitignore").write_text(text, newline="")
    (place / NAME).write_text(text, newline="")
    done = subprocess.run(
        ["git", "check-ignore", "-z", "-v", "-n", "--no-index", "--stdin"],
        cwd=place,
        input="".join(f"{path}\0" for path in paths).encode(),
        capture_output=True,
        check=False,
    )
    fields = done.stdout.decode().split("\0")
    theirs = {fields[at + 3]: int(fields[at + 1] or 0) for at in range(0, len(fields) - 1, 4)}
    with Dir.open_root(str(place)) as root:
        ignore = Ignore(root)
        ours = {path: rule.line if (rule := ignore.cause(RelPath(path), False)) else 0 for path in paths}
    assert ours == theirs


def lines(*rules: str) -> bytes:
    return "".join(f"{rule}\n" for rule in rules).encode()


@pytest.mark.parametrize(
    ("pattern", "name"),
    [("*a" * 60 + "b", "a" * 250 + "c"), ("*?a" * 40 + "b", "a" * 255), ("*[ab]" * 60 + "c", "ab" * 127)],
)
def test_a_hostile_pattern_costs_little(pattern: str, name: str) -> None:
    (rule,) = parse(lines(pattern), RelPath(NAME))
    before = time.process_time()
    assert not rule.fits([name], False)
    assert time.process_time() - before < 1  # naive backtracking takes longer than anyone lives


def test_a_hostile_path_pattern_costs_little() -> None:
    (rule,) = parse(lines("/".join(["**", "a*a*b"] * 200)), RelPath(NAME))
    before = time.process_time()
    assert not rule.fits(["a" * 200] * 500, False)
    assert time.process_time() - before < 2


def test_the_nearest_file_decides_and_folders_are_told_from_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / NAME).write_bytes(lines("*.tmp", "logs/"))
    (tmp_path / "sub" / NAME).write_bytes(lines("!keep.tmp"))
    with Dir.open_root(str(tmp_path)) as root:
        ignore = Ignore(root)
        assert ignore.ignores(RelPath("sub/x.tmp"), False)
        assert not ignore.ignores(RelPath("sub/keep.tmp"), False)
        assert ignore.ignores(RelPath("keep.tmp"), False)
        assert ignore.ignores(RelPath("sub/logs"), True)
        assert not ignore.ignores(RelPath("sub/logs"), False)
        cause = ignore.cause(RelPath("logs/deep/x"), False)
        assert cause is not None
        assert (cause.line, cause.text) == (2, "logs/")
        assert ignore.cause(RelPath("logs/deep/x"), False, top="logs") is None


def test_rules_are_not_read_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_bytes(lines("*"))
    (tmp_path / NAME).symlink_to("elsewhere")
    with Dir.open_root(str(tmp_path)) as root, pytest.raises(UnsafePath, match="is a link"):
        Ignore(root).ignores(RelPath("x"), False)


@pytest.mark.parametrize("data", [b"x" * (MAX_SIZE + 1), lines(*["x"] * (MAX_RULES + 1))])
def test_a_file_past_its_bounds_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / NAME).write_bytes(data)
    with Dir.open_root(str(tmp_path)) as root, pytest.raises(ConfigError, match=NAME):
        Ignore(root).ignores(RelPath("x"), False)
