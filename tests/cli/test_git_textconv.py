"""Datasets in `git diff` and `git log -p`, with real git and the diff driver."""

from __future__ import annotations

import os
import shutil

import pytest
from tests.cli.inprocess import InProcess as Cli
from tests.cli.inprocess import in_process  # noqa: F401 - the fixture `cli` of this file
from tests.cli.place import Place, digest_of, key_of

from dvc_like.ops import git_textconv

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the driver of these tests is a POSIX shell script")


def changed(diff: str) -> list[str]:
    return [line for line in diff.splitlines() if line[:1] in "+-" and line[:3] not in ("+++", "---")]


def short(content: str) -> str:
    return digest_of(content).partition(":")[2][:8]


def test_a_diff_names_the_files_that_changed(driven: Place) -> None:
    driven.track({"data/a.txt": "one", "data/sub/b.txt": "two", "data/sub/c.txt": "three"})
    driven.track({"data/sub/b.txt": "twenty", "data/d.txt": "four", "data/run": ("file", True, b"x")})
    diff = driven.git("diff", "HEAD~1")
    listed = [line for line in changed(diff) if " B  " in line]
    assert f"-sub/b.txt  3 B  {short('two')}" in listed
    assert f"+sub/b.txt  6 B  {short('twenty')}" in listed
    assert f"+d.txt  4 B  {short('four')}" in listed
    assert f"+run  1 B  {short('x')}  exec" in listed
    assert not any("a.txt" in line or "c.txt" in line for line in listed)
    assert f" a.txt  3 B  {short('one')}" in diff
    assert listed == [line for line in changed(driven.git("log", "-p", "-1")) if " B  " in line]


def test_a_single_file_and_what_the_user_wrote(driven: Place, cli: Cli) -> None:
    driven.track({"model.bin": "one"})
    path = driven / "model.bin.meta"
    path.write_text(path.read_text() + "# from ann\n")
    assert changed(driven.git("diff")) == ["+# from ann"]
    assert cli("git-textconv", "model.bin.meta").out == path.read_text()


def test_links_and_empty_folders(driven: Place, cli: Cli) -> None:
    driven.track({"data/a": "1", "data/empty": None, "data/link": ("link", False, "a")})
    lines = cli("git-textconv", "data.meta").out.split("\n\n")[1].splitlines()
    assert lines[:2] == [f"a  1 B  {short('1')}", "empty/  0 files  0 B  " + lines[1][-8:]]
    assert lines[2:] == ["link -> a"]


def test_what_cannot_be_listed_is_said_and_fails_nothing(driven: Place, cli: Cli) -> None:
    driven.track({"data/a": "1", "data/sub/b": "2"})
    text = (driven / "data.meta").read_text()
    (sub,) = [path for path in driven.cache.rglob("*.tree") if b"\tb\n" in path.read_bytes()]
    sub.unlink()
    out = cli("git-textconv", "data.meta").out
    assert f"\na  1 B  {short('1')}\n" in out
    assert "(its listing is not in the cache)" in out
    assert "`dvc-like fetch` brings" in out
    shutil.rmtree(driven.cache / "files")
    out = cli("git-textconv", "data.meta").out
    assert out.startswith(f"{text}\n./  2 files  2 B  ")
    assert "(its listing is not in the cache)" in out
    (driven / "data.meta").write_text("hash: nonsense\n")
    assert "hash: nonsense\n\n(its files cannot be listed: " in cli("git-textconv", "data.meta").out
    shutil.rmtree(driven / ".dvc-like")
    (driven / "data.meta").write_text(text)
    assert "no dvc-like project here" in cli("git-textconv", "data.meta").out
    assert driven.git("log", "-p", "-1")


def test_a_file_of_another_program_is_shown_as_it_is(driven: Place, cli: Cli) -> None:
    (driven / "asset.meta").write_text("guid: 12\nx: [\n")
    assert cli("git-textconv", "asset.meta").out == "guid: 12\nx: [\n"


def test_json(driven: Place, cli: Cli) -> None:
    driven.track({"data/a": "1"})
    ran = cli("git-textconv", "data.meta", "--json")
    assert ran.json["text"] == cli("git-textconv", "data.meta").out
    cli("git-textconv", "nowhere.meta", code=1)


def test_a_huge_dataset_is_summarised(driven: Place, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_textconv, "MAX_LINES", 12)
    driven.track({f"data/{folder}/{number}": f"{folder}{number}" for folder in "ab" for number in range(8)})
    lines = cli("git-textconv", "data.meta").out.split("\n\n")[1].splitlines()
    assert [line.partition("  ")[0] for line in lines[:-1]] == [*(f"a/{number}" for number in range(8)), "b/"]
    assert lines[-1] == "(and 8 files that are not listed one by one)"
    driven.track({f"flat/{number:02}": str(number) for number in range(30)})
    lines = cli("git-textconv", "flat.meta").out.split("\n\n")[1].splitlines()
    assert len(lines) == 13
    assert lines[-1] == "(and 18 files that are not listed one by one)"


def test_it_only_looks(driven: Place, cli: Cli) -> None:
    driven.track({"data/a": "1"})
    tree = next(driven.cache.rglob("*.tree"))
    tree.chmod(0o644)
    tree.write_bytes(b"garbage")
    assert "(its listing is not in the cache)" in cli("git-textconv", "data.meta").out
    assert tree.read_bytes() == b"garbage"
    assert (driven.cache / key_of("1")).exists()
