"""Canary secrets wherever a secret can be put, then every command: none of them comes out, and none is written down."""

from __future__ import annotations

import contextlib
import io
import json
import os
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.inprocess import InProcess, in_process
from tests.cli.place import Place
from tests.conftest import Cli
from tests.safety import SECRETS, cases

from dvc_like.cli.main import main

cli = in_process

CANARY = "CANARYs3cr3t"  # each canary begins so

CALLS = (
    *(["status"], ["status", "--cloud"], ["status", "--cloud", "-r", "web"], ["push"], ["push", "-r", "web"], ["pull"]),
    *(
        ["pull", "-r", "web"],
        ["fetch", "-r", "proxied"],
        ["push", "-r", "proxied"],
        ["gc", "-w", "--cloud", "-r", "web"],
    ),
    *(
        ["fsck", "--remote", "web"],
        ["fsck", "--remote", "drive"],
        ["remote", "list"],
        ["remote", "list", "-v"],
        ["doctor"],
    ),
    *(
        ["remote", "test", "web"],
        ["remote", "test", "proxied"],
        ["remote", "test", "drive"],
        ["remote", "test", "plugged"],
    ),
    *(["config", "-l"], ["config", "-l", "--show-origin"], ["config", "-l", "--local"], ["remote", "whoami", "drive"]),
    *(["remote", "add", "web", f"s3://k:{CANARY}@bucket/x"], ["remote", "add", "bad", f"s3://k:{CANARY}\x01@b"]),
    *(["remote", "modify", "web", "url", f"s3://k:{CANARY}@bucket/x"], ["remote", "rename", "web", "proxied"]),
    *(
        ["remote", "modify", "web", "jobs", "many"],
        ["verify", "--pushed", "-r", "web"],
        ["drop", "data"],
        ["undo", "-l"],
    ),
    *(["remote", "add", "other", f"s3://k:{CANARY}@bucket/x?token={CANARY}#{CANARY}"], ["remote", "default", "other"]),
    *(
        ["remote", "modify", "--local", "web", "sessiontoken", f"{CANARY}token"],
        ["push", "-r", "other"],
        ["remote", "list"],
    ),
    *(["config", "--local", "remote.web.proxy", f"http://u:{CANARY}@127.0.0.1:1"], ["push", "-r", "web"]),
    *(["add", "data"], ["move", "data", "data2"], ["remove", "data2"], ["undo"], ["undo", "-l"], ["log", "data"]),
)


@pytest.fixture
def secretive(place: Place, home: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A project whose remotes, environment and home are full of secrets, none of which leads anywhere."""
    nowhere = "http://127.0.0.1:1"
    place.track({"data/x": "1"})
    place.push()
    here = {"retries": "0", "timeout": "1"}
    remotes = {
        "web": {"url": f"s3://name:{CANARY}@bucket/path", "endpointurl": nowhere, "secretaccesskey": f"{CANARY}key",
                "accesskeyid": f"{CANARY}id", "sessiontoken": f"{CANARY}session"},
        "proxied": {"url": "s3://bucket/path", "endpointurl": nowhere, "proxy": f"http://user:{CANARY}@127.0.0.1:1",
                    "secretaccesskey": f"{CANARY}key", "accesskeyid": "id"},
        "drive": {"url": "gdrive://0AIac4JZqHhKmUk9PDA", "endpointurl": nowhere, "clientsecret": f"{CANARY}client",
                  "clientid": "1-a.apps.googleusercontent.com", "credentials": str(home / "service.json")},
        "plugged": {"url": f"plug://name:{CANARY}@x", "token": f"{CANARY}token"},
    }  # fmt: skip
    for name, options in remotes.items():
        place.config("local", **{f"remote_{name}.{key}": text for key, text in {**here, **options}.items()})
    account = {"type": "service_account", "private_key": f"{CANARY}pem", "client_email": "a@b", "private_key_id": "x"}
    (home / "service.json").write_text(json.dumps({**account, "token_uri": nowhere}))
    (home / "service.json").chmod(0o600)
    for name in ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.setenv(name, f"{CANARY}{name}")
    monkeypatch.setenv("DVC_LIKE_TRACE", "1")
    return place


def holding(root: Path, allowed: set[str]) -> list[str]:
    """Return the files below a folder that hold a canary; `allowed` are where secrets are kept."""
    found = []
    for folder, _, names in os.walk(root):
        for name in names:
            path = Path(folder, name)
            relative = path.relative_to(root).as_posix()
            if relative not in allowed and not path.is_symlink() and CANARY.encode() in path.read_bytes():
                found.append(relative)
    return found


@contextlib.contextmanager
def told(words: list[str]) -> Iterator[str]:
    """Run a command with --debug in this process; give all it printed and the whole traceback."""
    out, err = io.TextIOWrapper(io.BytesIO(), errors="replace"), io.TextIOWrapper(io.BytesIO(), errors="replace")
    failure = ""
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(["--debug", "-v", *words])
        except Exception:
            failure = traceback.format_exc()
    texts = []
    for stream in (out, err):
        stream.flush()
        texts.append(stream.buffer.getvalue().decode(errors="replace"))  # type: ignore[attr-defined]
    yield "".join([*texts, failure])


def test_no_secret_is_printed_or_written_down(secretive: Place, cli: InProcess) -> None:
    codes = set()
    for words in CALLS:
        for more in ([], ["-v"], ["--json"]):
            done = cli(*more, *words, cwd=secretive.root, code=tuple(range(11)))
            assert CANARY not in done.out, words
            assert CANARY not in done.err, words
            codes.add(done.code)
        with told(words) as text:
            assert CANARY not in text, words
        assert holding(secretive.root, {".dvc-like/config.local"}) == [], words
    assert {0, 2, 3, 6} <= codes
    cases(SECRETS, 4 * len(CALLS))


def test_a_password_in_a_url_is_kept_where_git_does_not_look(place: Place, cli: InProcess) -> None:
    done = cli("remote", "add", "-d", "web", f"s3://name:{CANARY}@bucket", cwd=place.root)
    assert "config.local" in done.out
    assert CANARY not in (place / ".dvc-like/config").read_text()
    assert CANARY in (place / ".dvc-like/config.local").read_text()
    place.save()
    assert CANARY not in place.git("log", "-p", "--all")
    assert place.git("status", "--porcelain", "--untracked-files=all") == ""
    cases(SECRETS)


def test_who_asks_for_one_secret_by_name_gets_it(secretive: Place, cli: InProcess) -> None:
    assert CANARY in cli("config", "remote.web.secretaccesskey", cwd=secretive.root).out
    assert "***" in cli("config", "-l", cwd=secretive.root).out


@pytest.mark.parametrize("line", [f'secretaccesskey = "{CANARY}', f"secretaccesskey = {CANARY}\\q", f"x y = {CANARY}"])
def test_a_line_that_cannot_be_read_is_not_quoted_with_its_secret(place: Place, cli: InProcess, line: str) -> None:
    (place / ".dvc-like/config.local").write_text(f'[remote "web"]\n\t{line}\n')
    done = cli("status", cwd=place.root, code=3)
    assert "line 2" in done.err
    assert CANARY not in done.err
    cases(SECRETS)


@pytest.mark.skipif(os.name != "posix", reason="there are no such permissions")
def test_files_with_secrets_are_for_their_owner_alone(
    place: Place, home: Path, cli: InProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = os.umask(0)
    try:
        local = place / ".dvc-like/config.local"
        local.write_text("[core]\n\tlocktimeout = 5\n")
        local.chmod(0o666)
        cli("config", "--local", "remote.storage.secretaccesskey", CANARY, cwd=place.root)
        assert local.stat().st_mode & 0o777 == 0o600
        user = home / "user-config"
        monkeypatch.setenv("DVC_LIKE_CONFIG_GLOBAL", str(user))
        cli("config", "--global", "core.locktimeout", "7", cwd=place.root)
        assert user.stat().st_mode & 0o777 == 0o666
        cli("config", "--global", "remote.storage.sessiontoken", CANARY, cwd=place.root)
        assert user.stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(before)
    cases(SECRETS, 2)


def test_the_real_command_prints_none_with_a_traceback_either(secretive: Place) -> None:
    for words in (["push", "-r", "proxied"], ["remote", "test", "web"], ["status", "--cloud", "-r", "drive"]):
        done = Cli()("--debug", *words, cwd=secretive.root, code=tuple(range(11)))
        assert CANARY not in done.out + done.err
        cases(SECRETS)
