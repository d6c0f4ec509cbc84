"""The servers themselves: that they start, are shared, and end with their last user, however it ends."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.servers import tools
from tests.servers.guard import Failed, joined
from tests.servers.s3 import Bucket, S3Server

ROOT = Path(__file__).parents[2]


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something that must happen; a minute is longer than any machine takes."""
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, f"not within a minute: {what}"
        time.sleep(0.02)


# ------------------------------------------------------------------------------ S3


def test_objects_come_back(any_s3: S3Server, new_bucket: Callable[[S3Server], Bucket]) -> None:
    bucket = new_bucket(any_s3)
    bucket.write("a/one", b"1")
    bucket.write("b", os.urandom(6 << 20))
    assert bucket.keys() == ["a/one", "b"]
    assert bucket.keys("a/") == ["a/one"]
    assert bucket.read("a/one") == b"1"
    assert len(bucket.read("b")) == 6 << 20
    assert new_bucket(any_s3).keys() == []


def test_parts_make_an_object(swift_https: S3Server, new_bucket: Callable[[S3Server], Bucket]) -> None:
    bucket = new_bucket(swift_https)
    client, place = bucket.client, {"Bucket": bucket.name, "Key": "k"}
    upload = client.create_multipart_upload(**place)["UploadId"]
    parts = []
    for number, body in enumerate((b"a" * (5 << 20), b"b"), 1):
        assert bucket.uploads() == ["k"]
        done = client.upload_part(**place, UploadId=upload, PartNumber=number, Body=body)
        parts.append({"PartNumber": number, "ETag": done["ETag"]})
    client.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts})
    assert bucket.uploads() == []
    assert bucket.read("k") == b"a" * (5 << 20) + b"b"


def test_swift_is_strict(swift_server: S3Server, new_bucket: Callable[[S3Server], Bucket]) -> None:
    from botocore.exceptions import ClientError

    bucket = new_bucket(swift_server)
    place = {"Bucket": bucket.name, "Key": "k"}
    with pytest.raises(ClientError, match="BadDigest"):
        bucket.client.put_object(**place, Body=b"x", ContentMD5="1B2M2Y8AsgTpgAmY7PhCfg==")
    for key, secret in ((swift_server.key, "wrong"), ("nobody", "x"), swift_server.limited or ("", "")):
        stranger = S3Server("swift", swift_server.endpoint, key, secret).client()
        with pytest.raises(ClientError) as caught:
            stranger.list_objects_v2(Bucket=bucket.name)
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403
        stranger.close()


# ------------------------------------------------------------------------------ sharing and ending

#: A server of a few lines: says its port, its process and where it keeps files.
_SERVER = """
import json, os, socket, sys, time
sock = socket.create_server(("127.0.0.1", 0))
open(sys.argv[1] + "/file", "w").close()
print(json.dumps({"port": sock.getsockname()[1], "pid": os.getpid()}), flush=True)
time.sleep(600)
"""
_WORDS = [sys.executable, "-c", _SERVER, "{data}"]
_PATTERN = r'"port": (\d+)'

#: Uses the server until it is told to end.
_USER = f"""
import sys
from pathlib import Path
from tests.servers.guard import joined
with joined(Path(sys.argv[1]), {_WORDS!r}, {_PATTERN!r}) as port:
    print(port, flush=True)
    sys.stdin.read()
"""


def _use(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _USER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except OSError:
        return False
    return True


def test_users_share_a_server_that_ends_with_the_last(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    with _use(folder) as first, _use(folder) as second:
        assert first.stdout
        assert second.stdout
        port = int(first.stdout.readline())
        assert int(second.stdout.readline()) == port
        first.communicate()
        with joined(folder, _WORDS, _PATTERN) as third:
            assert third == port
        assert _answers(port)
        second.kill()  # as a test run that is killed
    until(lambda: not _answers(port), "the server ends with its last user")
    until(lambda: not (folder / "data").exists(), "its files are removed")
    with joined(folder, _WORDS, _PATTERN) as again:
        assert _answers(again)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends a child with its parent")
def test_a_server_dies_with_its_guard(tmp_path: Path) -> None:
    with joined(tmp_path, _WORDS, _PATTERN) as port:
        server = json.loads((tmp_path / "log").read_text())["pid"]
        status = Path(f"/proc/{server}/status").read_text()
        os.kill(int(status.partition("PPid:")[2].split()[0]), signal.SIGKILL)
        until(lambda: not _answers(port), "the server dies")


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    words = [sys.executable, "-c", "raise SystemExit('out of luck')"]
    with pytest.raises(Failed, match="ended with 1"), joined(tmp_path, words, _PATTERN):
        pass
    assert "out of luck" in (tmp_path / "log").read_text()


def test_a_tool_that_cannot_be_had_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "_FOLDER", tmp_path)
    monkeypatch.setitem(tools.TOOLS, "nothing", "no-such-thing==1")
    monkeypatch.setattr(sys, "executable", shutil.which("false"))  # a Python that makes no environments
    with pytest.raises(tools.Missing, match=r"^no-such-thing==1 cannot be installed: no reason given$"):
        tools.program("nothing", "x")
    assert not list(tmp_path.rglob("complete"))
