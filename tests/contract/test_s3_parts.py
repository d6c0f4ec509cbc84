"""Big objects, sent in parts: whole or not there, gone on with after a kill, bounded in requests and in memory."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from tests.contract.test_s3_swift import options_for
from tests.servers.faults import Rule
from tests.servers.proxy import Proxy
from tests.servers.s3 import Bucket, S3Server

from dvc_like.errors import DataMissing, DvcLikeError, RemoteDenied, RemoteUnavailable
from dvc_like.remote import s3, s3_upload
from dvc_like.remote import wrap as wrapping
from dvc_like.remote.base import Backend
from dvc_like.remote.registry import open_backend
from dvc_like.remote.source import Source
from dvc_like.remote.wrap import wrap
from dvc_like.testing.samples import difference, load, pattern

pytestmark = pytest.mark.usefixtures("models_read_once")

PART = 5 << 20  # no strict server takes smaller ones
SIZE = 4 * PART + 12_345
DATA = pattern(SIZE)


class Line:
    """A bucket, the proxy before its server, and backends that go through it."""

    def __init__(self, bucket: Bucket, proxy: Proxy) -> None:
        self.bucket, self.proxy = bucket, proxy

    def backend(self, **options: str) -> Backend:
        server = self.bucket.server.at(self.proxy.url)
        return open_backend(f"{self.bucket.url}/p", options_for(server) | options, "/")

    def broken_off(self, data: bytes, part: int = 3) -> None:
        """Leave an upload behind of which some parts were sent, one after the other."""
        self.proxy.reset(Rule("drop", kinds="part", nth=(part,)))
        with pytest.raises(RemoteUnavailable):
            self.backend(jobs="1").put("big", data)
        self.proxy.reset()


@pytest.fixture
def line(swift_server: S3Server, new_bucket: Any, proxy_to: Any, monkeypatch: pytest.MonkeyPatch) -> Line:
    monkeypatch.setattr(s3, "BIG", PART)
    monkeypatch.setattr(s3, "PART", PART)
    monkeypatch.setattr(wrapping, "FIRST_DELAY", 0.01)
    return Line(new_bucket(swift_server), proxy_to(swift_server))


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "big"
    path.write_bytes(DATA)
    return str(path)


def test_a_big_object_goes_in_parts(line: Line, file: str) -> None:
    backend = line.backend()
    backend.put("big", file)
    assert not difference(load(backend, "big"), DATA)
    assert {kind: line.proxy.counts[kind] for kind in ("create", "part", "complete", "put", "list_uploads")} == {
        **{"create": 1, "part": 5, "complete": 1},
        **{"put": 0, "list_uploads": 1},
    }
    assert line.bucket.uploads() == []
    backend.put("big", DATA[: 2 * PART])
    assert not difference(load(backend, "big"), DATA[: 2 * PART])


def test_what_was_sent_before_a_kill_is_not_sent_again(line: Line, file: str) -> None:
    line.broken_off(DATA, part=4)
    assert line.bucket.keys() == []
    assert line.bucket.uploads() == ["p/big"]
    line.backend().put("big", file)  # another process knows nothing of the first
    assert line.proxy.counts["part"] == 2
    assert line.proxy.counts["create"] == 0
    assert line.proxy.up < 2.5 * PART
    assert not difference(load(line.backend(), "big"), DATA)
    assert line.bucket.uploads() == []


def test_a_process_that_is_killed_leaves_no_object_and_what_it_sent(line: Line, file: str) -> None:
    line.proxy.reset(Rule("stall", kinds="part", nth=(3,)))
    code = (
        "import sys\n"
        "from dvc_like.remote import s3\n"
        "from dvc_like.remote.registry import open_backend\n"
        f"s3.BIG = s3.PART = {PART}\n"
        f"options = {options_for(line.bucket.server.at(line.proxy.url)) | {'jobs': '1'}!r}\n"
        f"open_backend({line.bucket.url + '/p'!r}, options, '/').put('big', {file!r})\n"
    )
    child = subprocess.Popen([sys.executable, "-c", code])
    try:
        while line.proxy.script.rules[0].struck == 0:
            assert child.poll() is None
            signal.sigtimedwait([], 0.02)
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    assert line.bucket.keys() == []
    line.proxy.reset()
    line.backend().put("big", file)
    assert line.proxy.counts["part"] == 3
    assert not difference(load(line.backend(), "big"), DATA)


def test_parts_of_other_bytes_are_not_gone_on_with(line: Line, file: str) -> None:
    line.broken_off(bytes(SIZE))
    line.backend().put("big", file)
    assert not difference(load(line.backend(), "big"), DATA)
    assert line.proxy.counts["part"] == 5
    assert line.bucket.uploads() == ["p/big"]  # perhaps somebody else's: left to the sweep


def test_an_upload_of_a_longer_key_is_not_taken(line: Line) -> None:
    line.broken_off(DATA)
    line.backend().put("bi", DATA)
    assert line.proxy.counts["part"] == 5
    assert sorted(line.bucket.keys()) == ["p/bi"]


def test_a_transfer_that_gets_on_is_not_given_up(line: Line, file: str) -> None:
    line.proxy.reset(Rule("drop", kinds="part", nth=(2, 4, 6, 8)))
    wrap(line.backend(jobs="1"), attempts=2, concurrency=1).put("big", file)  # four failures, none twice in a row
    assert not difference(load(line.backend(), "big"), DATA)
    assert line.proxy.counts["part"] == 9
    assert line.proxy.counts["create"] == 1


def test_what_cannot_be_mended_leaves_no_parts(line: Line, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = line.backend()
    ask = backend.ask  # type: ignore[attr-defined]

    def refuse(operation: str, /, **arguments: Any) -> Any:
        if operation == "complete_multipart_upload":
            raise RemoteDenied("not today")
        return ask(operation, **arguments)

    monkeypatch.setattr(backend, "ask", refuse)
    with pytest.raises(RemoteDenied):
        backend.put("big", file)
    assert line.bucket.uploads() == line.bucket.keys() == []


def test_once_sends_nothing_when_it_is_there(line: Line, file: str) -> None:
    line.backend().put("big", b"early")
    line.proxy.reset()
    line.backend().put("big", file, once=True)
    assert line.proxy.counts["part"] == 0
    assert load(line.backend(), "big") == b"early"


def test_once_keeps_what_came_meanwhile(line: Line, file: str) -> None:
    backend = line.backend(jobs="1")
    ask = backend.ask  # type: ignore[attr-defined]

    def late(operation: str, /, **arguments: Any) -> Any:
        if operation == "complete_multipart_upload":
            line.bucket.write("p/big", b"early")
        return ask(operation, **arguments)

    backend.ask = late  # type: ignore[attr-defined]
    backend.put("big", file, once=True)
    assert line.bucket.read("p/big") == b"early"
    assert line.bucket.uploads() == []


def test_a_file_that_becomes_shorter_is_no_fault_of_the_remote(line: Line, file: str) -> None:
    backend = line.backend(jobs="1")
    ask = backend.ask  # type: ignore[attr-defined]

    def cut(operation: str, /, **arguments: Any) -> Any:
        if arguments.get("PartNumber") == 2:
            os.truncate(file, PART + 1)
        return ask(operation, **arguments)

    backend.ask = cut  # type: ignore[attr-defined]
    with pytest.raises(DvcLikeError) as raised:
        backend.put("big", file)
    assert not isinstance(raised.value, RemoteUnavailable)
    assert "shorter" in raised.value.message
    assert line.bucket.keys() == []
    with pytest.raises(DataMissing):
        backend.put("big", file + "-not")


# ------------------------------------------------------------------------------ sweeping


def test_a_sweep_ends_what_was_broken_off_and_nothing_else(line: Line) -> None:
    line.broken_off(DATA)
    client = line.bucket.client
    for key in ("elsewhere/big", "p/no key of ours"):
        client.create_multipart_upload(Bucket=line.bucket.name, Key=key)
    line.bucket.write("p/kept", b"x")
    backend = line.backend()
    assert backend.sweep(3600) == 0
    assert "p/big" in line.bucket.uploads()
    assert backend.sweep(-60) == 1  # as if a minute had passed
    assert sorted(line.bucket.uploads()) == ["elsewhere/big", "p/no key of ours"]
    assert backend.sweep(-60) == 0
    assert line.bucket.keys() == ["p/kept"]
    for one in client.list_multipart_uploads(Bucket=line.bucket.name)["Uploads"]:
        client.abort_multipart_upload(Bucket=line.bucket.name, Key=one["Key"], UploadId=one["UploadId"])


def test_a_sweep_spares_what_began_long_ago_and_still_goes_on() -> None:
    from datetime import datetime, timedelta, timezone

    now = datetime.now(timezone.utc)
    long_ago, lately = now - timedelta(days=9), now - timedelta(minutes=1)
    stamps = {"old": [long_ago], "busy": [long_ago, lately], "empty": []}
    aborted = []

    def ask(operation: str, /, **arguments: Any) -> dict[str, Any]:
        if operation == "list_multipart_uploads":
            return {"Uploads": [{"Key": f"p/{key}", "UploadId": key, "Initiated": long_ago} for key in stamps]}
        if operation == "list_parts":
            return {
                "Parts": [{"PartNumber": n, "LastModified": at} for n, at in enumerate(stamps[arguments["UploadId"]])]
            }
        aborted.append(arguments["UploadId"])
        return {}

    assert s3_upload.sweep_uploads(ask, "p/", 86_400) == 2
    assert aborted == ["old", "empty"]


# ------------------------------------------------------------------------------ bounds


def test_no_more_requests_are_in_flight_than_wanted(line: Line, file: str) -> None:
    line.proxy.latency = 0.02
    backend = wrap(line.backend(jobs="3"), attempts=1, concurrency=3)
    with ThreadPoolExecutor(8) as pool:
        work = [pool.submit(backend.put, f"big/{n}", file) for n in range(3)]
        work += [pool.submit(backend.put, f"small/{n}", b"x") for n in range(20)]
        work += [pool.submit(backend.stat, [f"small/{n}"]) for n in range(20)]
        for one in work:
            one.result()
    assert 2 <= line.proxy.most_in_flight <= 3


def test_parts_are_sent_beside_each_other(line: Line, file: str) -> None:
    line.proxy.latency = 0.2
    line.backend().put("big", file)
    assert 2 <= line.proxy.most_in_flight <= s3_upload.AT_ONCE


@pytest.mark.parametrize(("size", "part"), [(64 << 20, 16 << 20), (156 << 30, 16 << 20), (1 << 40, 105 << 20)])
def test_no_object_has_more_parts_than_s3_takes(size: int, part: int) -> None:
    asked: list[dict[str, Any]] = []

    source = Source(b"")
    source.size = size

    def ask(operation: str, /, **arguments: Any) -> dict[str, Any]:
        if operation == "upload_part":
            asked.append({"number": arguments["PartNumber"], "length": len(arguments["Body"])})
        return {"UploadId": "u", "ETag": "e"}

    s3_upload.send_parts(ask, "k", source, s3_upload.Settings({}, None, False, 1, s3_upload.PART))
    assert len(asked) <= 10_000
    assert asked[0]["length"] == part
    assert sum(one["length"] for one in asked) == size


@pytest.mark.slow
def test_a_gibibyte_is_never_in_memory(rclone_server: S3Server, new_bucket: Any, tmp_path: Path) -> None:
    bucket = new_bucket(rclone_server)
    with open(tmp_path / "big", "wb") as big:
        big.truncate(1 << 30)
    code = (
        "import resource\n"
        "from dvc_like.remote.registry import open_backend\n"
        f"backend = open_backend({bucket.url!r}, {options_for(rclone_server)!r}, '/')\n"
        "backend.put('small', b'x')\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"backend.put('big', {str(tmp_path / 'big')!r})\n"
        f"backend.get('big', open({os.devnull!r}, 'wb'))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 100 << 10  # KiB
    assert bucket.client.head_object(Bucket=bucket.name, Key="big")["ContentLength"] == 1 << 30
