"""What S3 and boto3 say went wrong, as the contract's errors: their class, what is said, and that no secret is."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import pytest

from dvc_like.errors import DvcLikeError, RemoteDenied, RemoteError, RemoteNotFound, RemoteQuota, RemoteUnavailable
from dvc_like.remote.s3_errors import code_of, told, translate

exceptions = pytest.importorskip("botocore.exceptions", reason="boto3 is not installed (extra s3)")

PLACE = "s3://bucket/a/key"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


def answer(
    code: str, status: int = 400, operation: str = "PutObject", headers: dict[str, str] | None = None, **said: str
) -> Exception:
    meta = {"HTTPStatusCode": status, "HTTPHeaders": headers or {}}
    found: Exception = exceptions.ClientError(
        {"Error": {"Code": code, "Message": "text", **said}, "ResponseMetadata": meta}, operation
    )
    return found


def translated(error: Exception) -> DvcLikeError:
    found = translate(error, PLACE)
    assert found is not None
    assert PLACE in found.message
    return found


ANSWERS: list[tuple[Exception, type[DvcLikeError], str]] = [
    (answer("NoSuchKey", 404, "GetObject"), RemoteNotFound, "is not there"),
    (answer("404", 404, "HeadObject"), RemoteNotFound, "is not there"),
    (answer("NoSuchBucket", 404), RemoteDenied, "no such bucket"),
    (answer("AccessDenied", 403, "PutObject"), RemoteDenied, "s3:PutObject is not allowed"),
    (answer("AccessDenied", 403, "UploadPart"), RemoteDenied, "s3:PutObject is not allowed"),
    (answer("403", 403, "HeadObject"), RemoteDenied, "s3:GetObject is not allowed"),
    (answer("AccessDenied", 403, "ListObjectsV2"), RemoteDenied, "s3:ListBucket is not allowed"),
    (answer("AccessDenied", 403, "DeleteObjects"), RemoteDenied, "s3:DeleteObject is not allowed"),
    (answer("AccessDenied", 403, "AssumeRoleWithWebIdentity"), RemoteDenied, "sts:AssumeRoleWithWebIdentity"),
    (answer("InvalidAccessKeyId", 403), RemoteDenied, "access key is not known"),
    (answer("SignatureDoesNotMatch", 403), RemoteDenied, "secret key is wrong"),
    (answer("ExpiredToken"), RemoteDenied, "aws sso login"),
    (answer("PermanentRedirect", 301, Region="eu-west-3"), RemoteDenied, "region eu-west-3"),
    (answer("301", 301, "HeadObject", {"x-amz-bucket-region": "eu-west-3"}), RemoteDenied, "region eu-west-3"),
    (answer("AuthorizationHeaderMalformed", Region="eu-west-3"), RemoteDenied, "region eu-west-3"),
    (answer("KMS.DisabledException"), RemoteDenied, "encryption key"),
    (answer("InvalidObjectState", 403, "GetObject"), RemoteDenied, "archived"),
    (answer("SlowDown", 503), RemoteUnavailable, "SlowDown"),
    (answer("InternalError", 200, "CompleteMultipartUpload"), RemoteUnavailable, "InternalError"),
    (answer("503", 503, "HeadObject"), RemoteUnavailable, "503"),
    (answer("SomethingNew", 500), RemoteUnavailable, "SomethingNew"),
    (answer("RequestTimeout", 400), RemoteUnavailable, "RequestTimeout"),
    (answer("ConditionalRequestConflict", 409), RemoteUnavailable, "Conflict"),
    (answer("XAmzContentSHA256Mismatch"), RemoteUnavailable, "damaged on the way"),
    (answer("NoSuchUpload", 404, "UploadPart"), RemoteUnavailable, "NoSuchUpload"),
    (answer("QuotaExceeded", 403), RemoteQuota, "full"),
    (answer("XMinioStorageFull", 507), RemoteQuota, "full"),
    (answer("507", 507), RemoteQuota, "full"),
    (answer("NotImplemented", 501), RemoteError, "NotImplemented"),
    (answer("InvalidStorageClass", Message="no such class"), RemoteError, "no such class"),
]


@pytest.mark.parametrize(("error", "kind", "said"), ANSWERS, ids=lambda value: getattr(value, "operation_name", None))
def test_an_answer(error: Any, kind: type[DvcLikeError], said: str) -> None:
    found = translated(error)
    assert type(found) is kind
    assert said in f"{found.message} {found.hint}"
    assert code_of(found) == error.response["Error"]["Code"]
    if kind is RemoteDenied:
        assert found.hint.endswith((".", "`", "eu-west-3"))


@pytest.mark.parametrize(("minutes", "said"), [(-20, "20 minutes ahead"), (90, "90 minutes behind")])
def test_a_wrong_clock_is_told_by_how_much(minutes: int, said: str) -> None:
    there = datetime.now(timezone.utc) + timedelta(minutes=minutes)
    in_body = translated(answer("RequestTimeTooSkewed", 403, ServerTime=there.strftime("%Y-%m-%dT%H:%M:%SZ")))
    in_header = translated(answer("RequestTimeTooSkewed", 403, headers={"date": format_datetime(there)}))
    for found in (in_body, in_header, translated(answer("RequestTimeTooSkewed", 403))):
        assert type(found) is RemoteDenied
        assert "clock is wrong" in found.message
    assert said in in_body.message
    assert said in in_header.message


def test_a_clock_that_was_set_meanwhile_is_not_told_to_be_a_minute_off() -> None:
    there = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    found = translated(answer("RequestTimeTooSkewed", 403, ServerTime=there))
    assert found.message.endswith("clock is wrong")


@pytest.mark.parametrize(("text", "low", "high"), [("7", 7, 7), ("0", 0, 0), ("date", 50, 61)])
def test_how_long_to_wait_is_passed_on(text: str, low: float, high: float) -> None:
    if text == "date":
        text = format_datetime(datetime.now(timezone.utc) + timedelta(seconds=60))
    found = translated(answer("SlowDown", 503, headers={"retry-after": text}))
    assert low <= found.retry_after <= high  # type: ignore[attr-defined]
    assert not hasattr(translated(answer("SlowDown", 503, headers={"retry-after": "soon"})), "retry_after")


def of(name: str, **arguments: Any) -> Exception:
    """Make an error of botocore; one that this version lacks is left to its base."""
    made: Exception = getattr(exceptions, name)(**arguments)
    return made


BROKEN: list[tuple[Exception, type[DvcLikeError], str]] = [
    (of("NoCredentialsError"), RemoteDenied, "AWS_ACCESS_KEY_ID"),
    (of("PartialCredentialsError", provider="env", cred_var="aws_secret_access_key"), RemoteDenied, "incomplete"),
    (of("ProfileNotFound", profile="work"), RemoteDenied, "aws configure --profile work"),
    (of("SSOTokenLoadError", error_msg="x"), RemoteDenied, "aws sso login"),
    (of("UnauthorizedSSOTokenError"), RemoteDenied, "aws sso login"),
    (of("TokenRetrievalError", provider="sso", error_msg="x"), RemoteDenied, "aws sso login"),
    (of("CredentialRetrievalError", provider="custom-process", error_msg=SECRET), RemoteDenied, "credentials"),
    (
        of("EndpointConnectionError", endpoint_url="https://h/", error="Name or service not known"),
        RemoteUnavailable,
        "name",
    ),
    (of("EndpointConnectionError", endpoint_url="https://h/", error="refused"), RemoteUnavailable, "does not answer"),
    (of("ConnectTimeoutError", endpoint_url="https://h/"), RemoteUnavailable, "no answer in time"),
    (of("ReadTimeoutError", endpoint_url="https://h/"), RemoteUnavailable, "no answer in time"),
    (of("ConnectionClosedError", endpoint_url="https://h/"), RemoteUnavailable, "broke"),
    (of("IncompleteReadError", actual_bytes=1, expected_bytes=2), RemoteUnavailable, "broke"),
    (of("ResponseStreamingError", error="reset"), RemoteUnavailable, "broke"),
    (of("SSLError", endpoint_url="https://h/", error="[SSL: CERTIFICATE_VERIFY_FAILED]"), RemoteDenied, "verify"),
    (of("SSLError", endpoint_url="https://h/", error="[SSL: WRONG_VERSION_NUMBER]"), RemoteDenied, "https"),
    (of("SSLError", endpoint_url="https://h/", error="EOF occurred"), RemoteUnavailable, "broke"),
    (of("ProxyConnectionError", proxy_url=f"http://me:{SECRET}@p/", error="x"), RemoteUnavailable, "proxy"),
    (of("FlexibleChecksumError", error_msg="x"), RemoteUnavailable, "damaged"),
    (of("ParamValidationError", report="bad name"), RemoteDenied, "bad name"),
    (ConnectionResetError(104, "reset"), RemoteUnavailable, "broke"),
    (ValueError("Invalid endpoint: x"), RemoteDenied, "Invalid endpoint"),
]


@pytest.mark.parametrize(("error", "kind", "said"), BROKEN, ids=lambda value: type(value).__name__)
def test_no_answer(error: Exception, kind: type[DvcLikeError], said: str) -> None:
    found = translated(error)
    assert type(found) is kind
    assert said in f"{found.message} {found.hint}"
    assert SECRET not in f"{found.message} {found.hint}"


def test_other_libraries_below_are_told_too() -> None:
    from botocore.parsers import ResponseParserError
    from urllib3.exceptions import ProtocolError, ReadTimeoutError

    for error in (ProtocolError("cut"), ReadTimeoutError(None, "/", "late"), ResponseParserError("<html>")):  # type: ignore[arg-type]
        assert type(translated(error)) is RemoteUnavailable


def test_what_is_our_own_passes() -> None:
    assert translate(TypeError("a mistake of ours"), PLACE) is None
    with pytest.raises(TypeError), told(PLACE):
        raise TypeError("a mistake of ours")
    ours = RemoteQuota("full")
    with pytest.raises(RemoteQuota) as raised, told(PLACE):
        raise ours
    assert raised.value is ours


def test_an_answer_that_echoes_credentials_is_not_repeated() -> None:
    token = "FwoGZXIvYXdzEBYaD" * 20
    found = translated(answer("Strange", Message=f"The key AKIAIOSFODNN7EXAMPLE with {token} and {SECRET}\x1b[31m"))
    assert "AKIA" not in found.message
    assert token[:20] not in found.message
    assert SECRET[:20] not in found.message
    assert "\x1b" not in found.message
