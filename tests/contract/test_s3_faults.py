"""The S3 backend on connections that break and servers that refuse: nothing half-done, and each error what it is."""

from __future__ import annotations

import io
import socket
from collections.abc import Callable
from typing import Any

import pytest
from tests.contract.test_s3_swift import options_for
from tests.servers.certificate import Certificate
from tests.servers.faults import Rule
from tests.servers.proxy import Proxy
from tests.servers.s3 import Bucket, S3Server

from dvc_like.errors import DvcLikeError, RemoteDenied, RemoteUnavailable
from dvc_like.remote import wrap as wrapping
from dvc_like.remote.base import Backend
from dvc_like.remote.registry import open_backend
from dvc_like.remote.wrap import wrap
from dvc_like.testing.samples import load, pattern

pytestmark = pytest.mark.usefixtures("models_read_once")

DATA = pattern(3 << 20)
CALLS: dict[str, Callable[[Backend], object]] = {
    "put": lambda backend: backend.put("k", b"x"),
    "get": lambda backend: load(backend, "k"),
    "stat": lambda backend: backend.stat(["k"]),
    "list": lambda backend: [*backend.list("")],
    "delete": lambda backend: backend.delete(["k", "l"]),
    "sweep": lambda backend: backend.sweep(0),
}


class Line:
    """A bucket, the proxy before its server, and backends that go through it."""

    def __init__(self, bucket: Bucket, proxy: Proxy) -> None:
        self.bucket, self.proxy = bucket, proxy

    def backend(self, **options: str) -> Backend:
        server = self.bucket.server.at(self.proxy.url)
        return open_backend(f"{self.bucket.url}/p", options_for(server) | options, "/")

    def patient(self, **options: str) -> Backend:
        return wrap(self.backend(**options), attempts=4, concurrency=4)


@pytest.fixture
def line(swift_server: S3Server, new_bucket: Any, proxy_to: Any, monkeypatch: pytest.MonkeyPatch) -> Line:
    monkeypatch.setattr(wrapping, "FIRST_DELAY", 0.01)
    return Line(new_bucket(swift_server), proxy_to(swift_server))


# ------------------------------------------------------------------------------ connections that break


@pytest.mark.parametrize("fault", ["drop", "swallow", "error", "lost", "slow_down", "cut_request", "flip_request"])
def test_a_put_that_fails_is_unavailable_and_works_the_next_time(line: Line, fault: str) -> None:
    rule = Rule(fault, kinds="put", times=1, at=1000)
    line.proxy.reset(rule)
    with pytest.raises(RemoteUnavailable):
        line.backend().put("k", DATA)
    assert load(line.backend(), "k") == DATA if fault in ("swallow", "lost") else line.bucket.keys() == []
    line.proxy.reset(Rule(fault, kinds="put", times=2, at=1000))
    line.patient().put("k", DATA)
    assert line.bucket.read("p/k") == DATA
    assert line.proxy.counts["put"] == 3


@pytest.mark.parametrize("fault", ["cut_reply", "stall_reply"])
def test_a_get_that_breaks_off_is_gone_on_with(line: Line, fault: str) -> None:
    line.bucket.write("p/k", DATA)
    line.proxy.reset(Rule(fault, kinds="get", times=1, at=2_000_000))
    sink = io.BytesIO()
    with pytest.raises(RemoteUnavailable):
        line.backend(timeout="1").get("k", sink)
    assert DATA.startswith(sink.getvalue())
    assert len(sink.getvalue()) < len(DATA)
    line.proxy.reset(Rule(fault, kinds="get", times=1, at=2_000_000))
    assert load(line.patient(timeout="1"), "k") == DATA
    assert line.proxy.down < 1.5 * len(DATA)  # what had come was not asked for again


def test_a_server_that_wants_to_be_left_alone_says_for_how_long(line: Line) -> None:
    line.proxy.reset(Rule("slow_down", seconds=7))
    for call in CALLS.values():
        with pytest.raises(RemoteUnavailable) as raised:
            call(line.backend())
        assert raised.value.retry_after == 7  # type: ignore[attr-defined]


@pytest.mark.parametrize("fault", ["drop", "error", "stall"])
@pytest.mark.parametrize("call", CALLS)
def test_no_answer(line: Line, call: str, fault: str) -> None:
    line.proxy.reset(Rule(fault))
    with pytest.raises(RemoteUnavailable):
        CALLS[call](line.backend(timeout="0.5"))
    assert sum(line.proxy.counts.values()) == 1  # the driver itself tries nothing again


def test_an_error_in_the_answer_of_a_batch_is_an_error(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = line.backend()
    backend.put("a", b"x")
    (client,) = backend._clients.values()  # type: ignore[attr-defined]
    said = {"Errors": [{"Key": "p/a", "Code": "AccessDenied"}, {"Key": "p/b", "Code": "NoSuchKey"}]}
    monkeypatch.setattr(client, "delete_objects", lambda **_: said)
    with pytest.raises(RemoteDenied) as raised:
        backend.delete(["a", "b"])
    assert "p/a" in raised.value.message
    said["Errors"] = [{"Key": "p/a", "Code": "SlowDown"}]
    with pytest.raises(RemoteUnavailable):
        backend.delete(["a", "b"])
    said["Errors"].clear()
    backend.delete(["a", "b"])


def test_a_store_that_deletes_no_batches_is_asked_one_by_one(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    from botocore.exceptions import ClientError

    backend = line.backend()
    for key in ("a", "b", "c"):
        backend.put(key, b"x")
    (client,) = backend._clients.values()  # type: ignore[attr-defined]
    asked = []

    def refuse(**_: Any) -> None:
        asked.append(1)
        raise ClientError(
            {"Error": {"Code": "MissingContentMD5"}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "DeleteObjects"
        )

    monkeypatch.setattr(client, "delete_objects", refuse)
    backend.delete(["a", "b", "not"])
    backend.delete(["c", "not"])
    assert line.bucket.keys() == []
    assert len(asked) == 1


# ------------------------------------------------------------------------------ servers that refuse


@pytest.mark.parametrize("call", CALLS)
def test_a_wrong_secret(line: Line, call: str) -> None:
    with pytest.raises(RemoteDenied) as raised:
        CALLS[call](line.backend(secretaccesskey="not-the-secret"))
    assert raised.value.hint
    assert "not-the-secret" not in raised.value.message + raised.value.hint


@pytest.mark.parametrize("call", CALLS)
def test_no_such_bucket(swift_server: S3Server, call: str) -> None:
    with pytest.raises(RemoteDenied) as raised:
        CALLS[call](open_backend("s3://no-such-bucket-here", options_for(swift_server), "/"))
    assert "no such bucket" in raised.value.message


@pytest.mark.parametrize("call", CALLS)
def test_a_user_who_may_nothing_is_told_what_he_may_not(line: Line, call: str) -> None:
    if line.bucket.server.limited is None:
        pytest.skip("this server has no second user")
    key, secret = line.bucket.server.limited
    with pytest.raises(RemoteDenied) as raised:
        CALLS[call](line.backend(accesskeyid=key, secretaccesskey=secret))
    actions = {"put": "PutObject", "list": "ListBucket", "delete": "Delete", "sweep": "ListBucketMultipartUploads"}
    assert f"s3:{actions.get(call, 'GetObject')}" in raised.value.message


def test_nobody_listens(swift_server: S3Server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for host in (f"127.0.0.1:{port}", "no-such-host.invalid"):
        backend = open_backend("s3://bucket", options_for(swift_server.at(f"http://{host}")) | {"timeout": "5"}, "/")
        with pytest.raises(RemoteUnavailable) as raised:
            backend.stat(["a"])
        assert "endpoint" in raised.value.message + raised.value.hint


def test_a_certificate_that_nobody_vouches_for(swift_https: S3Server, certificate: Certificate) -> None:
    known = options_for(swift_https)
    unknown = {name: text for name, text in known.items() if name != "verify"}
    with pytest.raises(RemoteDenied) as raised:
        open_backend("s3://bucket", unknown, "/").stat(["a"])
    assert "verify" in raised.value.hint
    with pytest.raises(DvcLikeError) as raised_too:
        open_backend("s3://bucket", known | {"verify": "/no/such/file.pem"}, "/").stat(["a"])
    assert "verify" in raised_too.value.message


def test_https_asked_of_a_server_that_speaks_http(swift_server: S3Server) -> None:
    options = options_for(swift_server.at(swift_server.endpoint.replace("http:", "https:")))
    with pytest.raises(RemoteDenied) as raised:
        open_backend("s3://bucket", options, "/").stat(["a"])
    assert "https" in raised.value.message


def test_a_region_that_is_wrong_is_corrected_or_named(line: Line) -> None:
    backend = line.backend(region="eu-central-7")
    backend.put("k", b"x")  # boto3 asks again for the region that the answer names
    assert load(backend, "k") == b"x"


def test_a_store_that_takes_no_trailers_is_met_with_plain_puts(
    rclone_https: S3Server, certificate: Certificate, new_bucket: Any
) -> None:
    bucket = new_bucket(rclone_https)
    backend = open_backend(bucket.url, options_for(rclone_https), "/")
    wrap(backend, attempts=3, concurrency=1).put("a", DATA)
    assert not backend._newer_checksums  # type: ignore[attr-defined]
    assert bucket.read("a") == DATA
    plain = open_backend(bucket.url, options_for(rclone_https) | {"checksums": "required-only"}, "/")
    plain.put("b", DATA)
    assert bucket.read("b") == DATA
