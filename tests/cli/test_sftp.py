"""A remote over SFTP as people use it: set up, pushed to and pulled from, cut off, killed, refused in plain words."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess as Cli
from tests.cli.inprocess import in_process  # noqa: F401 - the fixture `cli` of this file
from tests.cli.place import Place, clone_of
from tests.servers.sshd import Line, Sshd

BIG = os.urandom(3 << 20)


@pytest.fixture
def folder(place: Place, cli: Cli, sshd: Sshd, home: Path) -> Path:
    """The folder on the server that is the default remote of the project."""
    sshd.trust(home)
    name = uuid.uuid4().hex
    cli("remote", "add", "-d", "lab", sshd.url(name))
    cli("remote", "modify", "--local", "lab", "fsspec", sshd.options())
    return sshd.folder / name


@pytest.fixture
def line(sshd: Sshd, cli: Cli, folder: Path, line_to: Callable[[Sshd], Line], home: Path) -> Line:
    """The line to the server, from now on."""
    made = line_to(sshd)
    sshd.trust(home, port=made.port)
    cli("remote", "modify", "lab", "url", sshd.url(folder.name, port=made.port))
    return made


def files_in(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_push_and_pull(place: Place, cli: Cli, folder: Path, sshd: Sshd, tmp_path: Path) -> None:
    assert sshd.url(folder.name) in (place / ".dvc-like/config").read_text()
    assert "key_filename" not in (place / ".dvc-like/config").read_text()
    assert "All of it works" in cli("remote", "test").out
    assert files_in(folder) == []
    place.track({f"data/{number}": f"small {number}" for number in range(30)} | {"big": BIG})
    assert "32 objects sent" in cli("push").out
    assert not [name for name in files_in(folder) if name.startswith("tmp/")]
    assert "Everything" in cli("push").out
    assert "Everything" in cli("status", "--cloud").out
    copy = clone_of(place, tmp_path / "copy")
    cli("remote", "modify", "--local", "lab", "fsspec", sshd.options(), cwd=copy.root)
    cli("pull", cwd=copy.root)
    assert copy.data() == place.data()
    assert "sound" in cli("fsck", "--remote", "lab").out


def test_the_key_is_kept_to_this_machine_and_not_shown(place: Place, cli: Cli, folder: Path, sshd: Sshd) -> None:
    assert "--local" in cli("remote", "modify", "lab", "fsspec", sshd.options(), code=2).err
    assert "no JSON object" in cli("remote", "modify", "--local", "lab", "fsspec", "key=x", code=2).err
    assert cli("remote", "list", "--json").json["remotes"]["lab"]["fsspec"] == "***"
    done = cli("remote", "add", "other", "fsspec+sftp://me:secret@127.0.0.1:1/x")
    assert "holds a password: it is kept in .dvc-like/config.local" in done.out
    assert "secret" not in done.out + cli("remote", "test", "other", code=6).err


def test_a_folder_through_fsspec_is_kept_to_this_machine(place: Place, cli: Cli, tmp_path: Path) -> None:
    done = cli("remote", "add", "-d", "here", f"fsspec+file://{tmp_path}/store")
    assert "is kept in .dvc-like/config.local" in done.out
    place.track({"data/a": "1", "data/b": "2"})
    cli("push")
    assert (tmp_path / "store/dvc-like.json").is_file()
    (place / ".dvc-like/config").write_text(f'[remote "evil"]\n\turl = fsspec+file://{tmp_path}/store\n')
    assert "no plain place" in cli("status", code=3).err


def test_adding_it_anew_forgets_the_url_of_this_machine(place: Place, cli: Cli) -> None:
    cli("remote", "add", "here", "fsspec+memory://x")
    cli("remote", "add", "--force", "here", "fsspec+gs://bucket")
    assert cli("remote", "list", "--json").json["remotes"]["here"]["url"] == "fsspec+gs://bucket"


def test_what_is_wrong_is_said_in_plain_words(place: Place, cli: Cli, folder: Path, sshd: Sshd, home: Path) -> None:
    cli("remote", "modify", "--local", "lab", "fsspec", sshd.options(key_filename=str(sshd.wrong_key)))
    done = cli("remote", "test", code=6)
    assert "lets nobody in" in done.err
    assert "dvc-like remote modify --local lab fsspec" in done.out
    (home / ".ssh/known_hosts").write_text("")
    assert "is in no known_hosts" in cli("remote", "test", code=6).err
    cli("remote", "modify", "lab", "url", sshd.url("store", port=1))
    assert "nothing answers there" in cli("remote", "test", code=6).err
    assert "Traceback" not in done.out + done.err


def test_who_may_only_read_can_pull(
    place: Place, cli: Cli, folder: Path, sshd: Sshd, read_only_sshd: Sshd, home: Path
) -> None:
    place.track({"data/a": "1"})
    cli("push")
    read_only_sshd.trust(home)
    url = f"fsspec+sftp://{read_only_sshd.user}@127.0.0.1:{read_only_sshd.port}{folder}"
    cli("remote", "modify", "lab", "url", url)
    cli("remote", "modify", "--local", "lab", "fsspec", read_only_sshd.options())
    (place / "data/a").unlink()
    cli("pull", "--force")
    assert (place / "data/a").read_text() == "1"
    place.track({"new": "2"})
    assert "permission denied" in cli("push", code=6).err


def test_a_server_that_is_gone_in_the_middle(place: Place, cli: Cli, folder: Path, line: Line) -> None:
    place.track({"big": BIG, "small": "1"})
    cli("remote", "modify", "lab", "retries", "0")
    line.at(1 << 20, line.cut)
    done = cli("push", code=(6, 9))
    assert "big: fsspec+sftp://" in done.err
    assert "the connection broke" in done.err
    assert "Traceback" not in done.err
    assert not [name for name in files_in(folder) if name.startswith("refs/")]  # nothing points to what is not there
    line.mend()
    cli("push")
    (place / "big").unlink()
    cli("pull", "--force")
    assert (place / "big").read_bytes() == BIG


def test_a_line_that_breaks_once_is_not_noticed(place: Place, cli: Cli, folder: Path, line: Line) -> None:
    place.track({"big": BIG})

    def hiccup() -> None:
        line.cut()
        line.mend()

    line.at(1 << 20, hiccup)
    assert "1 object sent" in cli("push").out
    assert line.sent > len(BIG)


def test_a_killed_push_is_repeated(place: Place, cli: Cli, folder: Path, line: Line) -> None:
    place.track({"big": BIG})
    words = [sys.executable, "-m", "dvc_like", "push"]
    with subprocess.Popen(words, cwd=place.root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as pushing:
        line.at(1 << 20, pushing.kill)
        assert pushing.wait(60) == -9
    assert not [name for name in files_in(folder) if name.startswith(("files/", "packs/", "refs/"))]
    assert [name for name in files_in(folder) if name.startswith("tmp/put-")]
    assert "1 object sent" in cli("push").out
    for name in files_in(folder):
        if name.startswith("tmp/"):
            os.utime(folder / name, (1, 1))
    cli("gc", "--workspace", "--cloud", "--force")
    assert not [name for name in files_in(folder) if name.startswith("tmp/")]


def test_a_file_and_a_folder_are_imported_and_followed(
    place: Place, cli: Cli, folder: Path, sshd: Sshd, home: Path
) -> None:
    there = sshd.folder / f"{folder.name}-files"
    (there / "deep").mkdir(parents=True)
    (there / "a b").write_text("one")
    (there / "deep/big").write_bytes(BIG)
    url = sshd.url(there.name).removeprefix("fsspec+")
    cli("import-url", f"{url}/a%20b")
    cli("import-url", url, "data", "-j", "4")
    assert (place / "a b").read_text() == "one"
    assert (place / "data/deep/big").read_bytes() == BIG
    assert f"url: {url}\n" in (place / "data.meta").read_text()
    (there / "a b").write_text("one and two")
    assert {one["state"] for one in cli("update", "--json").json["targets"]} == {"updated"}
    assert (place / "a b").read_text() == (place / "data/a b").read_text() == "one and two"
    os.mkfifo(there / "pipe")
    for name in ("pipe", "", "nothing"):
        cli("import-url", f"{url}/{name}", "other", code=(1, 4, 6))
    assert not (place / "other.meta").exists()
    (home / ".ssh/known_hosts").write_text("")
    assert "is in no known_hosts" in cli("update", code=6).err
