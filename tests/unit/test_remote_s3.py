"""The S3 backend on a client that answers as told: pages, batches, and stores that lack what others have."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dvc_like.errors import RemoteDenied, RemoteError, RemoteNotFound, RemoteUnavailable
from dvc_like.remote import s3
from dvc_like.remote.s3_options import parse

exceptions = pytest.importorskip("botocore.exceptions", reason="boto3 is not installed (extra s3)")


class Client:
    """Answers each operation with what a function of that name returns; `calls` lists them in their order."""

    def __init__(self, newer_checksums: bool, answers: dict[str, Callable[..., Any]]) -> None:
        self.newer_checksums = newer_checksums
        self._answers = answers
        self.calls: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**arguments: Any) -> Any:
            self.calls.append((operation, arguments))
            return self._answers[operation](**arguments)

        return call

    def close(self) -> None:
        pass


class Lab:
    """A backend, and the clients it makes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, **answers: Callable[..., Any]) -> None:
        self.made: list[Client] = []

        def make(options: object, *, newer_checksums: bool) -> Client:
            self.made.append(Client(newer_checksums, answers))
            return self.made[-1]

        monkeypatch.setattr(s3, "make_client", make)
        self.backend = s3.S3Backend(parse("s3://bucket/p", {}, "/"))

    @property
    def calls(self) -> list[tuple[str, dict[str, Any]]]:
        return [call for client in self.made for call in client.calls]


def refusal(code: str, status: int, operation: str) -> Exception:
    said = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status, "HTTPHeaders": {}}}
    found: Exception = exceptions.ClientError(said, operation)
    return found


# ------------------------------------------------------------------------------ listing and deleting


def page(*keys: str, after: str = "") -> dict[str, Any]:
    more = {"IsTruncated": True, "NextContinuationToken": after} if after else {"IsTruncated": False}
    return {"Contents": [{"Key": key, "Size": 1, "ETag": f'"{key}"'} for key in keys], **more}


def test_pages_are_joined_and_foreign_names_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    pages = {None: page("p/a", "p/a b", "p/d/", after="1"), "1": page(after="2"), "2": page("p/e/../f", "p/é", "p/z")}
    lab = Lab(monkeypatch, list_objects_v2=lambda **given: pages[given.get("ContinuationToken")])
    assert [(key, info.token) for key, info in lab.backend.list("")] == [("a", "p/a"), ("z", "p/z")]
    assert [given["Prefix"] for _, given in lab.calls] == ["p/"] * 3
    assert lab.made[0].newer_checksums


def test_a_listing_that_breaks_off_is_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(monkeypatch, list_objects_v2=lambda **_: {**page("p/a"), "IsTruncated": True})
    with pytest.raises(RemoteUnavailable):
        list(lab.backend.list(""))
    lab = Lab(monkeypatch, list_objects_v2=lambda **given: page(f"p/{len(lab.calls)}", after="the same"))
    with pytest.raises(RemoteUnavailable):
        list(lab.backend.list(""))


def test_a_listing_out_of_order_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(monkeypatch, list_objects_v2=lambda **_: page("p/b", "p/a"))
    with pytest.raises(RemoteError) as raised:
        list(lab.backend.list(""))
    assert "order" in raised.value.message


def test_a_thousand_are_deleted_with_one_request(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(monkeypatch, delete_objects=lambda **_: {}, delete_object=lambda **_: {})
    lab.backend.delete(f"{number:04}" for number in range(2001))
    assert [operation for operation, _ in lab.calls] == ["delete_objects", "delete_objects", "delete_object"]
    first = lab.calls[0][1]["Delete"]
    assert (len(first["Objects"]), first["Objects"][0], first["Quiet"]) == (1000, {"Key": "p/0000"}, True)


def test_a_bucket_is_asked_for_once_when_a_key_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(**_: Any) -> None:
        raise refusal("404", 404, "HeadObject")

    lab = Lab(monkeypatch, head_object=missing, head_bucket=lambda **_: {})
    assert lab.backend.stat(["a", "b", "c"]) == {}
    assert [operation for operation, _ in lab.calls] == ["head_object", "head_bucket", "head_object", "head_object"]
    lab = Lab(monkeypatch, head_object=missing, head_bucket=missing)
    with pytest.raises(RemoteDenied):
        lab.backend.stat(["a"])


# ------------------------------------------------------------------------------ stores that lack something


def test_the_newer_checksums_are_given_up_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    def put(**given: Any) -> dict[str, Any]:
        if lab.made[-1].newer_checksums:
            raise refusal("MissingContentLength", 411, "PutObject")
        return {}

    lab = Lab(monkeypatch, put_object=put)
    for key in ("a", "b"):
        lab.backend.put(key, b"x", once=True)
    assert [(client.newer_checksums, len(client.calls)) for client in lab.made] == [(True, 1), (False, 2)]
    assert [given.get("IfNoneMatch") for _, given in lab.calls] == ["*"] * 3


def test_conditions_are_given_up_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    def put(**given: Any) -> dict[str, Any]:
        if "IfNoneMatch" in given:
            raise refusal("NotImplemented", 501, "PutObject")
        return {}

    lab = Lab(monkeypatch, put_object=put)
    lab.backend.put("a", b"x", once=True)
    lab.backend.put("b", b"x", once=True)
    assert ["IfNoneMatch" in given for _, given in lab.calls] == [True, True, False, False]


@pytest.mark.parametrize(("code", "status"), [("PreconditionFailed", 412), ("412", 412)])
def test_once_is_content_when_it_is_there(monkeypatch: pytest.MonkeyPatch, code: str, status: int) -> None:
    def put(**_: Any) -> None:
        raise refusal(code, status, "PutObject")

    lab = Lab(monkeypatch, put_object=put)
    lab.backend.put("a", b"x", once=True)
    with pytest.raises(RemoteError):
        lab.backend.put("a", b"x")  # nobody asked for a condition
    assert [given.get("IfNoneMatch") for _, given in lab.calls] == ["*", None]


def test_once_waits_when_another_one_is_about_to_write(monkeypatch: pytest.MonkeyPatch) -> None:
    def put(**_: Any) -> None:
        raise refusal("ConditionalRequestConflict", 409, "PutObject")

    with pytest.raises(RemoteUnavailable):
        Lab(monkeypatch, put_object=put).backend.put("a", b"x", once=True)


def body(data: bytes, **said: Any) -> dict[str, Any]:
    return {"Body": io.BytesIO(data), "ResponseMetadata": {"HTTPStatusCode": 200}, **said}


@pytest.mark.parametrize(("start", "length", "wanted"), [(2, 3, b"cde"), (4, None, b"ef"), (0, 2, b"ab"), (9, 1, b"")])
def test_a_store_without_ranges(monkeypatch: pytest.MonkeyPatch, start: int, length: int | None, wanted: bytes) -> None:
    monkeypatch.setattr(s3, "PIECE", 2)
    sink = io.BytesIO()
    Lab(monkeypatch, get_object=lambda **_: body(b"abcdef")).backend.get("a", sink, start=start, length=length)
    assert sink.getvalue() == wanted


def test_a_range_is_asked_for_and_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(monkeypatch, get_object=lambda **_: body(b"cde", ContentRange="bytes 2-4/6"))
    sink = io.BytesIO()
    lab.backend.get("a", sink, start=2, length=3)
    assert sink.getvalue() == b"cde"
    assert lab.calls[0][1]["Range"] == "bytes=2-4"


def test_an_object_that_is_not_there_has_no_empty_range(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(**_: Any) -> None:
        raise refusal("404", 404, "HeadObject")

    lab = Lab(monkeypatch, head_object=missing, head_bucket=lambda **_: {})
    with pytest.raises(RemoteNotFound):
        lab.backend.get("a", io.BytesIO(), length=0)


def test_objects_are_made_as_the_options_say(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(monkeypatch, put_object=lambda **_: {})
    lab.backend = s3.S3Backend(parse("s3://bucket", {"sse": "aws:kms", "storageclass": "STANDARD_IA"}, "/"))
    lab.backend.put("a", b"x", label="a name")
    given = lab.calls[0][1]
    assert (given["Key"], given["ServerSideEncryption"], given["StorageClass"]) == ("a", "aws:kms", "STANDARD_IA")


def test_threads_that_come_together_make_one_client(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(monkeypatch, put_object=lambda **_: {})
    ready = threading.Barrier(8)

    def put(number: int) -> None:
        ready.wait()
        lab.backend.put(f"k/{number}", b"x")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(put, range(8)))
    assert len(lab.made) == 1
    assert len(lab.calls) == 8
