"""`completion`: what a shell is offered, that it comes at once, and that no error lands in the line that is typed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess as Cli
from tests.cli.inprocess import in_process  # noqa: F401 - the fixture `cli` of this file
from tests.cli.place import Place

from dvc_like.cli.table import COMMANDS
from dvc_like.ops import complete
from dvc_like.remote.local import LocalBackend

Offer = Callable[..., list[str]]


@pytest.fixture
def offer(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> Offer:
    """Ask as bash does: ``offer("checkout", "da")`` gives what the last word could become."""

    def ask(*words: str, shell: str = "bash", cwd: Path | None = None) -> list[str]:
        with monkeypatch.context() as patched:
            patched.setenv("COMP_WORDS", "\n".join(("dvc-like", *words)))
            patched.setenv("COMP_CWORD", str(len(words)))
            patched.setenv("_DVC_LIKE_COMPLETE", f"{shell}_complete")
            done = cli(cwd=cwd, code=(0, 1))
        assert done.err == ""
        return [line for line in done.out.splitlines() if line]

    return ask


def plain(lines: list[str]) -> list[str]:
    assert all(line.startswith("plain,") for line in lines)
    return [line.removeprefix("plain,") for line in lines]


@pytest.fixture
def tracked(place: Place) -> Place:
    place.write({"sets/a/x": "1", "sets/a/sub/y": "2", "sets/b": "3", "deep/er/one": "4", "code/main.py": ""})
    place.write({"game.meta": "a stranger's"})
    place.add("sets/a", "sets/b", "deep/er/one")
    place.save()
    return place


def test_commands_and_their_options(offer: Offer) -> None:
    assert plain(offer("")) == list(COMMANDS)
    assert plain(offer("checko")) == ["checkout"]
    assert plain(offer("remote", "re")) == ["remove", "rename"]
    assert {"--force", "--relink", "--json"} <= set(plain(offer("checkout", "--")))
    assert plain(offer("completion", "")) == ["bash", "zsh", "fish"]


def test_tracked_paths_that_are_not_here(tracked: Place, offer: Offer, clone: Callable[..., Place]) -> None:
    tracked.push()
    copy = clone()
    assert plain(offer("pull", "", cwd=copy.root)) == ["deep/", "sets/"]
    assert plain(offer("pull", "s", cwd=copy.root)) == ["sets/a", "sets/b"], "a way that does not fork is followed"
    assert plain(offer("pull", "d", cwd=copy.root)) == ["deep/er/one"]
    assert plain(offer("pull", "../copy/sets/", cwd=copy.root)) == ["../copy/sets/a", "../copy/sets/b"]
    assert plain(offer("pull", "a", cwd=copy / "sets")) == ["a"]
    assert offer("pull", "sets/a/", cwd=copy.root) == [], "its listing did not come yet"
    copy.fetch()
    assert plain(offer("checkout", "sets/a/", cwd=copy.root)) == ["sets/a/sub", "sets/a/x"]
    assert plain(offer("checkout", "sets/a/sub/", cwd=copy.root)) == ["sets/a/sub/y"]
    assert offer("checkout", "sets/a/nope/", cwd=copy.root) == []
    assert not (copy / "sets/a").exists()


def test_without_the_listing_what_is_here(tracked: Place, offer: Offer) -> None:
    shutil.rmtree(tracked.cache)
    assert sorted(plain(offer("status", "sets/a/"))) == ["sets/a/sub", "sets/a/x"]


def test_options_before_and_after(tracked: Place, offer: Offer, tmp_path: Path) -> None:
    assert plain(offer("checkout", "--force", "sets/", "d")) == ["deep/er/one"]
    assert plain(offer("--cd", str(tracked.root), "checkout", "d", cwd=tmp_path)) == ["deep/er/one"]
    assert plain(offer("checkout", "--cd", str(tracked.root), "d", cwd=tmp_path)) == ["deep/er/one"]


def test_where_any_file_can_be_meant_the_shell_is_asked(tracked: Place, offer: Offer) -> None:
    assert offer("add", "co") == ["file,co"]
    assert offer("move", "sets/a", "x") == ["file,x"]
    assert plain(offer("move", "d")) == ["deep/er/one"]
    assert offer("cache", "dir", "/m") == ["dir,/m"]
    assert offer("remote", "add", "x", "/m") == ["dir,/m"]


def test_remotes_and_settings(place: Place, offer: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    place.use_store("s3://bucket", "bucket")
    monkeypatch.setattr(LocalBackend, "get", lambda *_, **__: pytest.fail("asked"))
    assert plain(offer("push", "-r", "")) == ["bucket", "storage"]
    assert plain(offer("fsck", "--remote", "b")) == ["bucket"]
    assert plain(offer("remote", "test", "s")) == ["storage"]
    assert plain(offer("remote", "modify", "storage", "tim")) == ["timeout"]
    assert plain(offer("config", "core.a")) == ["core.autostage"]
    assert "remote.bucket.region" in plain(offer("config", "remote.b"))


def test_nothing_is_said_where_something_is_wrong(tracked: Place, offer: Offer, tmp_path: Path) -> None:
    assert offer("checkout", "", cwd=tmp_path) == []
    assert offer("push", "-r", "", cwd=tmp_path) == []
    assert offer("checkout", "/etc/") == []
    assert offer("nope", "x") == []
    assert offer("checkout", "", shell="tcsh") == []
    (tracked / "sets/b.meta").write_text("")
    assert plain(offer("checkout", "sets/")) == ["sets/a", "sets/b"]
    (tracked / "sets/a.meta").write_text("hash: nonsense\n")
    assert offer("checkout", "sets/a/") == []
    (tracked / ".dvc-like/config").write_text("[core\n")
    assert offer("checkout", "") == []
    assert plain(offer("checko")) == ["checkout"]


def test_interrupted_while_it_looks(tracked: Place, offer: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> Iterator[str]:
        raise KeyboardInterrupt

    monkeypatch.setattr(complete, "_names", interrupt)
    assert offer("checkout", "") == []


def test_the_work_is_bounded(place: Place, offer: Offer, monkeypatch: pytest.MonkeyPatch) -> None:
    place.write({f"many/{number:03}/x": "" for number in range(50)} | {f"big/{number:03}": "" for number in range(50)})
    place.add("big")
    monkeypatch.setattr(complete, "_LOOKED_AT", 20)
    monkeypatch.setattr(complete, "MOST", 30)
    looked = []
    plain_is_meta = complete._is_meta
    monkeypatch.setattr(complete, "_is_meta", lambda *a: looked.append(a) or plain_is_meta(*a))
    assert "many/" in plain(offer("checkout", "m")), "it may lead somewhere: that was not looked into to the end"
    assert len(looked) <= 2 * 20
    assert len(offer("checkout", "big/")) == 30


def test_no_other_command_is_loaded() -> None:
    code = (
        "import os, sys; from dvc_like.cli.main import main\n"
        "os.environ.update(_DVC_LIKE_COMPLETE='bash_complete', COMP_WORDS=sys.argv[1], COMP_CWORD='1')\n"
        "main([]); sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, "dvc-like checko"], capture_output=True, text=True, check=True)
    assert done.stdout == "plain,checkout\n"
    assert not {"dvc_like.cli.checkout", "dvc_like.cli.push", "boto3", "rich"}.intersection(done.stderr.split())


# ------------------------------------------------------------------------------ the scripts


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed(cli: Cli, shell: str, tmp_path: Path) -> None:
    script = cli("completion", shell, cwd=tmp_path).out
    assert f"_DVC_LIKE_COMPLETE={shell}_complete" in script
    assert cli("completion", shell, "--json").json == {
        "schema": "dvc-like/completion/1",
        "shell": shell,
        "script": script.rstrip("\n"),
    }
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed: its script was not parsed")
    subprocess.run([shell, "-n"], input=script, text=True, check=True)


def test_another_shell_is_refused(cli: Cli) -> None:
    cli("completion", "tcsh", code=2)
    cli("completion", code=2)


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not installed")
def test_in_bash_names_with_blanks_come_escaped(place: Place, on_path: Path) -> None:
    place.write({"my data/one two": "1", "my data/it's": "2"})
    place.add("my data/one two", "my data/it's")
    script = """
        eval "$(dvc-like completion bash)"
        COMP_WORDS=(dvc-like checkout "$1") COMP_CWORD=2 COMPREPLY=()
        _dvc_like_completion dvc-like checkout "$1"
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    environment = {name: text for name, text in os.environ.items() if not name.startswith("COMP_")}
    done = subprocess.run(
        ["bash", "-c", script, "bash", "my\\ d"], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout.splitlines() == ["my\\ data/it\\'s", "my\\ data/one\\ two"]
