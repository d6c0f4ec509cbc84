"""The url and the options of a bucket's remote: what they mean, what is refused, and what boto3 is given."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dvc_like.errors import ConfigError, DvcLikeError, RemoteError, UsageError
from dvc_like.remote.registry import open_backend
from dvc_like.remote.s3_options import make_client, parse


@pytest.mark.parametrize(
    ("url", "bucket", "prefix"),
    [
        *(
            ("s3://b-1", "b-1", ""),
            ("s3://b-1/", "b-1", ""),
            ("s3://b.c/a", "b.c", "a/"),
            ("s3://bu/a/b/", "bu", "a/b/"),
        ),
        *(("s3://bu//a b/ü#?", "bu", "a b/ü#?/"), ("S3://BU/A", "BU", "A/"), ("s3://tenant:b/x", "tenant:b", "x/")),
    ],
)
def test_url(url: str, bucket: str, prefix: str) -> None:
    assert parse(url, {}, "/")[:2] == (bucket, prefix)


@pytest.mark.parametrize(
    "url", ["s3://", "s3:///a", "s3://b c/a", "s3://-x", f"s3://bu/{'x' * 501}", "s3://k:s3cr3t@b/x"]
)
def test_no_url(url: str) -> None:
    with pytest.raises(UsageError) as raised:
        open_backend(url, {}, "/")
    assert "s3cr3t" not in raised.value.message + raised.value.hint


@pytest.mark.parametrize(
    "options",
    [
        *({"accesskeyid": "k"}, {"secretaccesskey": "s"}, {"endpointurl": "host:9000"}, {"sessiontoken": "t"}),
        {"checksums": "no"},
        *({"timeout": "soon"}, {"timeout": "-1"}, {"jobs": "many"}, {"nosign": "perhaps"}, {"pathstyle": "perhaps"}),
    ],
)
def test_no_option(options: dict[str, str]) -> None:
    with pytest.raises(ConfigError) as raised:
        open_backend("s3://bucket", options, "/")
    assert next(iter(options)) in raised.value.message


def test_what_objects_are_made_with() -> None:
    def of(**options: str) -> dict[str, str]:
        return dict(parse("s3://bu", options, "/").of_objects)

    assert of() == of(sse="false") == of(sse="") == {}
    assert of(sse="true") == {"ServerSideEncryption": "AES256"}
    assert of(sse="aws:kms", ssekmskeyid="k") == {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "k"}
    assert of(ssekmskeyid="k") == {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "k"}
    assert of(acl="private", storageclass="STANDARD_IA") == {"ACL": "private", "StorageClass": "STANDARD_IA"}


# ------------------------------------------------------------------------------ what boto3 is given

boto3 = pytest.importorskip("boto3", reason="boto3 is not installed (extra s3)")


def client(url: str = "s3://bucket", newer_checksums: bool = True, root: str = "/root", **options: str) -> Any:
    return make_client(parse(url, options, root), newer_checksums=newer_checksums)


def test_the_client_tries_once_and_has_a_connection_for_every_place() -> None:
    config = client(jobs="7", timeout="9").meta.config
    assert config.retries == {"total_max_attempts": 1, "mode": "standard"}
    assert (config.max_pool_connections, config.connect_timeout, config.read_timeout) == (7, 9.0, 9.0)
    assert config.signature_version == "s3v4"
    assert config.request_checksum_calculation == "when_supported"
    assert config.response_checksum_validation == "when_required"
    assert client(newer_checksums=False).meta.config.request_checksum_calculation == "when_required"


def where(made: Any, bucket: str = "bucket") -> str:
    return str(made.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"}).partition("?")[0])


@pytest.mark.parametrize(
    ("bucket", "options", "url"),
    [
        ("bucket", {"region": "eu-west-3"}, "https://bucket.s3.amazonaws.com/k"),
        ("with.dots", {"region": "eu-west-3"}, "https://s3.eu-west-3.amazonaws.com/with.dots/k"),
        ("bucket", {"region": "eu-west-3", "pathstyle": "true"}, "https://s3.eu-west-3.amazonaws.com/bucket/k"),
        ("bucket", {"endpointurl": "http://localhost:9000"}, "http://localhost:9000/bucket/k"),
        ("bucket", {"endpointurl": "https://o.example", "pathstyle": "false"}, "https://bucket.o.example/k"),
    ],
)
def test_how_the_bucket_is_named(bucket: str, options: dict[str, str], url: str) -> None:
    made = client(f"s3://{bucket}", accesskeyid="k", secretaccesskey="s", **options)
    assert where(made, bucket) == url


def test_an_endpoint_of_the_environment_is_addressed_by_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://localhost:9000")
    assert where(client(accesskeyid="k", secretaccesskey="s")) == "http://localhost:9000/bucket/k"


def test_credentials_proxy_and_certificates(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: dict[str, Any] = {}

    class Session:
        def __init__(self, **options: Any) -> None:
            given.update(options)

        def client(self, name: str, **options: Any) -> None:
            given.update(options)

    monkeypatch.setattr(boto3.session, "Session", Session)
    options = {"profile": "p", "sessiontoken": "t", "accesskeyid": "k", "secretaccesskey": "s", "proxy": "http://p:1"}
    with pytest.raises(ConfigError, match="no such file"):
        client(root=str(tmp_path), verify="ca.pem", **options)
    (tmp_path / "ca.pem").write_text("an authority")
    client(root=str(tmp_path), verify="ca.pem", **options)
    assert (given["profile_name"], given["aws_session_token"]) == ("p", "t")
    assert given["verify"] == str(tmp_path / "ca.pem")
    assert given["config"].proxies == {"http": "http://p:1", "https": "http://p:1"}
    client(verify="false")
    assert given["verify"] is False
    client()
    assert given["verify"] is None


def test_nothing_is_loaded_or_asked_before_it_is_used() -> None:
    code = (
        "import sys\n"
        "from dvc_like.remote.registry import open_backend\n"
        "backend = open_backend('s3://bucket/x', {}, '/')\n"
        "print('boto3' in sys.modules, 'botocore' in sys.modules)\n"
        "backend.flush(); backend.close(); backend.close()\n"
        "print('botocore' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\nFalse\n"


@pytest.mark.parametrize("call", ["put", "get", "stat", "list", "delete", "sweep"])
def test_without_boto3_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    backend = open_backend("s3://bucket", {}, "/")
    calls = {
        "put": lambda: backend.put("a", b"x"),
        "get": lambda: backend.get("a", sys.stdout.buffer),
        "stat": lambda: backend.stat(["a"]),
        "list": lambda: [*backend.list("")],
        "delete": lambda: backend.delete(["a"]),
        "sweep": lambda: backend.sweep(0),
    }
    with pytest.raises(RemoteError) as raised:
        calls[call]()
    assert "pip install 'dvc-like[s3]'" in raised.value.hint


@pytest.mark.parametrize(("options", "said"), [({}, "no credentials"), ({"profile": "nobody"}, "no profile nobody")])
def test_without_credentials(options: dict[str, str], said: str) -> None:
    backend = open_backend("s3://bucket", {"endpointurl": "http://127.0.0.1:9", **options}, "/")
    with pytest.raises(DvcLikeError) as raised:
        backend.stat(["a"])
    assert said in raised.value.message
    assert type(raised.value).__name__ == "RemoteDenied"
