"""`remote test`: every step that works or does not, on every kind of remote; nothing stays behind."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.cli.inprocess import InProcess as Cli
from tests.cli.inprocess import in_process  # noqa: F401 - the fixture `cli` of this file
from tests.cli.place import Place
from tests.conftest import Cli as Real
from tests.servers.s3 import Bucket, S3Server

STEPS = ["open", "write", "read", "read a range", "list", "delete"]


def test_a_folder_that_works(place: Place, cli: Cli, store: Path) -> None:
    done = cli("remote", "test")
    assert [line.split()[-1] for line in done.out.splitlines()[1:7]] == ["ok"] * 6
    assert "first push" in done.out
    assert not [path for path in store.rglob("*") if path.is_file()]
    place.write({"x": "1"})
    place.add("x")
    cli("push")
    before = sorted(store.rglob("*"))
    document = cli("remote", "test", "storage", "--json").json
    assert [(step["name"], step["ok"]) for step in document["steps"]] == [(name, True) for name in STEPS]
    assert len(document["store"]) == 32
    assert sorted(store.rglob("*")) == before


def test_a_folder_that_is_not_mounted(place: Place, cli: Cli) -> None:
    cli("remote", "modify", "storage", "url", "/mnt/no-such-disk/store")
    done = cli("remote", "test", code=6)
    assert "is the disk mounted" in done.out
    assert "is the disk mounted" in done.err


def test_a_read_only_folder_can_be_read(place: Place, store: Path, unprivileged: Real) -> None:
    place.write({"x": "1"})
    place.add("x")
    unprivileged("push", cwd=place.root)
    folders = [store, *(path for path in store.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    try:
        done = unprivileged("remote", "test", "--json", cwd=place.root, code=6)
    finally:
        for folder in folders:
            folder.chmod(0o755)
    steps = {step["name"]: step["ok"] for step in json.loads(done.out.splitlines()[0])["steps"]}
    assert steps == {"open": True, "write": False, "read": True, "list": True}


def test_a_folder_of_something_else(place: Place, cli: Cli, store: Path) -> None:
    store.mkdir()
    (store / "dvc-like.json").write_text("{}")
    assert "damaged" in cli("remote", "test", code=6).err


def test_a_kind_that_nobody_serves(place: Place, cli: Cli) -> None:
    cli("remote", "add", "odd", "nobody+serves://x")
    assert "nobody+serves" in cli("remote", "test", "odd", code=6).err
    cli("remote", "test", "nowhere", code=3)


@pytest.fixture
def bucket(place: Place, cli: Cli, swift_server: S3Server, new_bucket: Callable[[S3Server], Bucket]) -> Bucket:
    made = new_bucket(swift_server)
    cli("remote", "add", "-d", "s", f"{made.url}/below")
    for option, value in {
        "endpointurl": made.server.endpoint,
        "region": made.server.region,
        "accesskeyid": made.server.key,
        "secretaccesskey": made.server.secret,
    }.items():
        cli("remote", "modify", "--local", "s", option, value)
    return made


def test_a_bucket_that_works(bucket: Bucket, place: Place, cli: Cli) -> None:
    assert "All of it works" in cli("remote", "test").out
    assert bucket.keys() == []
    place.write({"x": "1"})
    place.add("x")
    cli("push")
    cli("remote", "test")
    assert bucket.keys("below/dvc-like.json")
    assert not bucket.keys("below/tests/")


def test_a_bucket_that_is_not_there(bucket: Bucket, cli: Cli) -> None:
    cli("remote", "modify", "s", "url", "s3://no-such-bucket-at-all")
    done = cli("remote", "test", code=6)
    assert "there is no such bucket" in done.err
    assert "Make it" in done.out


def test_a_wrong_secret(bucket: Bucket, cli: Cli) -> None:
    cli("remote", "modify", "--local", "s", "secretaccesskey", "wr0ng-s3cr3t")
    done = cli("remote", "test", code=6)
    assert "secret key is wrong" in done.out
    assert "wr0ng-s3cr3t" not in done.out + done.err


def test_a_bucket_that_may_only_be_read(
    bucket: Bucket, place: Place, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    from botocore.client import BaseClient
    from botocore.exceptions import ClientError

    place.write({"x": "1"})
    place.add("x")
    cli("push")
    call = BaseClient._make_api_call

    def refuse(self: Any, operation: str, arguments: Any) -> Any:
        if operation.startswith(("Put", "Delete", "Create")):
            said = {"Error": {"Code": "AccessDenied"}, "ResponseMetadata": {"HTTPStatusCode": 403}}
            raise ClientError(said, operation)
        return call(self, operation, arguments)

    with monkeypatch.context() as patch:
        patch.setattr(BaseClient, "_make_api_call", refuse)
        done = cli("remote", "test", code=6)
    assert [line.split(maxsplit=1)[0] for line in done.out.splitlines() if line.endswith(" ok")] == [
        "open",
        "read",
        "list",
    ]
    assert "s3:PutObject is not allowed" in done.err
    assert "allow s3:PutObject" in done.err


def test_an_endpoint_that_does_not_answer(bucket: Bucket, cli: Cli) -> None:
    cli("remote", "modify", "--local", "s", "endpointurl", "http://127.0.0.1:1")
    document = cli("remote", "test", "--json", code=6).out
    assert '"name": "open", "ok": false' in document
    assert '"name": "write"' not in document  # it would only wait for the same


def test_what_git_and_a_second_clone_need_works_through_a_bucket(
    bucket: Bucket, place: Place, cli: Cli, tmp_path: Path
) -> None:
    place.write({"data/a": "1", "data/b/c": "22", "big": "x" * 100_000})
    place.add("data", "big")
    cli("push")
    assert "Everything is on the remote" in cli("push").out
    for path in ("data/a", "big"):
        (place / path).unlink()
    for folder in sorted((place / ".dvc-like/cache/files").rglob("*"), reverse=True):
        if folder.is_file():
            folder.chmod(0o600)
            folder.unlink()
    cli("pull")
    assert (place / "big").read_text() == "x" * 100_000
    assert (place / "data/a").read_text() == "1"


@pytest.mark.parametrize(
    ("option", "value", "hint"),
    [
        ("storageclass", "NO_SUCH", "storageclass"),
        ("sse", "aws:kms", "Look at sse"),
        ("nosign", "true", "nosign"),
        ("verify", "/no/such/file", "verify"),
    ],
)
def test_an_option_that_does_not_fit_the_store_is_named(
    bucket: Bucket, cli: Cli, option: str, value: str, hint: str
) -> None:
    cli("remote", "modify", "--local", "s", option, value)
    told = [line for line in cli("remote", "test", code=6).err.splitlines() if line.startswith("hint:")]
    assert told
    assert hint in told[0]


def test_half_a_pair_of_keys_says_which_half_is_missing(bucket: Bucket, cli: Cli) -> None:
    cli("remote", "modify", "--local", "--unset", "s", "secretaccesskey")
    assert "modify --local s secretaccesskey" in cli("remote", "test", code=6).err


def test_an_address_of_http_that_is_one_of_https(bucket: Bucket, cli: Cli, swift_https: S3Server) -> None:
    cli("remote", "modify", "--local", "s", "endpointurl", swift_https.endpoint.replace("https:", "http:"))
    assert "https://" in cli("remote", "test", code=6).err


def test_a_gc_ends_unfinished_uploads_and_says_so(
    bucket: Bucket, place: Place, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dvc_like.remote.s3 import S3Backend

    place.write({"x": "1"})
    place.add("x")
    place.save()
    cli("push")
    key = f"below/files/blake3/aa/{'1' * 62}"
    bucket.client.create_multipart_upload(Bucket=bucket.name, Key=key)
    collect = ("gc", "--workspace", "--cloud", "--force", "--grace", "0")
    cli(*collect)
    assert bucket.uploads() == [key], "somebody may still be at it"
    sweep = S3Backend.sweep
    monkeypatch.setattr(S3Backend, "sweep", lambda self, age: sweep(self, age - 2 * 86_400))  # two days later
    cli(*collect, "--dry-run")
    assert bucket.uploads() == [key]
    assert "1 unfinished upload on the remote ended" in cli(*collect).out
    assert bucket.uploads() == []
