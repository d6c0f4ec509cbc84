"""What S3 and boto3 say went wrong, told as one of the contract's errors, with what to do about it.

Owns the mapping and its words. Every error keeps the store's ``code`` (empty when there was no answer), and a
`RemoteUnavailable` its ``retry_after``. Nothing of a request is quoted, and of an answer only what holds no secret.
botocore is loaded already when anything here runs.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Any

from ..errors import DvcLikeError, RemoteDenied, RemoteError, RemoteNotFound, RemoteQuota, RemoteUnavailable
from ..paths import show
from .wrap import seconds_asked

#: What a store answers that does not take a checksum behind the body.
NO_TRAILERS = ("MissingContentLength", "411", "NotImplemented", "501")
CONFLICT = ("PreconditionFailed", "412")
NOT_IMPLEMENTED = ("NotImplemented", "501")
NO_RANGE = ("InvalidRange", "416")

_BUSY = {
    *("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "Throttling", "ThrottlingException"),
    *("TooManyRequests", "TooManyRequestsException", "RequestLimitExceeded", "BandwidthLimitExceeded"),
    *("OperationAborted", "ConditionalRequestConflict", "XMinioServerNotInitialized", "PriorRequestNotComplete"),
    *("NoSuchUpload", "InvalidPart", "InvalidPartOrder"),  # another one ended this upload, or took part in it
}
_DAMAGED = {"BadDigest", "XAmzContentSHA256Mismatch", "IncompleteBody", "XAmzContentChecksumMismatch"}
_QUOTA = {
    *("QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "StorageQuotaExceeded", "OverQuota"),
    *("InsufficientStorage", "507", "ServiceQuotaExceeded", "AccountQuotaExceeded"),
}
_WRONG_KEY = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "AuthFailure", "InvalidClientTokenId"}
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired", "InvalidToken"}
_SKEWED = {"RequestTimeTooSkewed", "RequestInTheFuture"}
_FORBIDDEN = {"AccessDenied", "403", "Forbidden", "AllAccessDisabled", "AccountProblem", "UnauthorizedAccess", "401"}
_ELSEWHERE = {
    *("PermanentRedirect", "301", "307", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"),
    "TemporaryRedirect",
}
#: The operations of boto3 whose permission has another name.
_PERMISSIONS = {
    **dict.fromkeys(("CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"), "PutObject"),
    **dict.fromkeys(("ListObjectsV2", "HeadBucket"), "ListBucket"),
    "HeadObject": "GetObject",
    "DeleteObjects": "DeleteObject",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListParts": "ListMultipartUploadParts",
}
_LIKE_A_SECRET = re.compile(r"[A-Za-z0-9/+=_-]{16,}")
_SIGN_IN = "Sign in again: `aws sso login`, or renew what your profile or environment holds."


@contextlib.contextmanager
def told(place: str) -> Iterator[None]:
    """Make every error of boto3 and of the network one that the contract knows; `place` is what was asked for."""
    try:
        yield
    except DvcLikeError:
        raise
    except Exception as error:
        found = translate(error, place)
        if found is None:
            raise
        raise found from error


def code_of(error: BaseException) -> str:
    """Return what the store called an error that `told` raised."""
    return str(getattr(error, "code", ""))


def translate(error: Exception, place: str) -> DvcLikeError | None:
    """Return the error to raise instead; None for one that is no store's and no network's."""
    from botocore import exceptions, parsers
    from urllib3.exceptions import HTTPError

    if isinstance(error, exceptions.ClientError):
        return _answered(error, place)
    if isinstance(error, parsers.ResponseParserError):
        return RemoteUnavailable(
            f"{place}: the answer is not one of S3", hint="Is endpointurl the address of its S3 service?"
        )
    if isinstance(error, exceptions.BotoCoreError):
        return _no_access(error, place) or _unreachable(error, place) or _unfit(error, place)
    if isinstance(error, HTTPError | HTTPException | OSError):
        return RemoteUnavailable(f"{place}: the connection broke ({type(error).__name__})")
    if isinstance(error, ValueError):
        return RemoteDenied(f"{place}: {_text(error)}", hint="Look at the url and the options of the remote.")
    return None


def refused(code: str, message: str, place: str) -> RemoteError:
    """Return the error for one key of many that an answer names."""
    return _classified(code, 0, {"Code": code, "Message": message}, {}, "s3:DeleteObject", place)


# ------------------------------------------------------------------------------ what the store answered


def _answered(error: Any, place: str) -> RemoteError:
    said = error.response.get("Error", {})
    meta = error.response.get("ResponseMetadata", {})
    headers = meta.get("HTTPHeaders", {})
    code, status = str(said.get("Code", "")), int(meta.get("HTTPStatusCode", 0))
    name = error.operation_name
    service = "sts" if name.startswith("Assume") else "sso" if name in ("GetRoleCredentials", "CreateToken") else "s3"
    action = f"{service}:{_PERMISSIONS.get(name, name)}"
    found = _classified(code, status, said, headers, action, place)
    if isinstance(found, RemoteUnavailable):
        wait = seconds_asked(headers.get("retry-after", ""))
        if wait is not None:
            setattr(found, "retry_after", wait)  # noqa: B010 - read by `Retrying`
    return found


def _classified(
    code: str, status: int, said: dict[str, Any], headers: dict[str, str], action: str, place: str
) -> RemoteError:
    found = _of_code(code, said, headers, action, place)
    if found is None and (status in (408, 409, 429) or (status >= 500 and status not in (501, 505))):
        found = RemoteUnavailable(f"{place}: the store cannot do it now ({code or status})")
    if found is None:
        text = _text(said.get("Message", ""))
        found = RemoteError(
            f"{place}: {action} was refused: {code or status}{f' ({text})' if text else ''}",
            hint=_option_for(code, action),
        )
    setattr(found, "code", code)  # noqa: B010 - see `code_of`
    return found


def _of_code(code: str, said: dict[str, Any], headers: dict[str, str], action: str, place: str) -> RemoteError | None:
    if code in ("NoSuchKey", "404", "NotFound"):
        return RemoteNotFound(f"{place} is not there")
    if code in _BUSY:
        return RemoteUnavailable(f"{place}: the store cannot do it now ({code})")
    if code in _DAMAGED:
        return RemoteUnavailable(f"{place}: the bytes were damaged on the way ({code})")
    if code in _QUOTA:
        return RemoteQuota(f"{place}: the store is full ({code})", hint="Free space there, or raise its quota.")
    if code == "NoSuchBucket":
        return RemoteDenied(
            f"{place}: there is no such bucket", hint="Make it, or correct the remote's url (and its endpointurl)."
        )
    if code in _WRONG_KEY:
        what = "the access key is not known there" if code == "InvalidAccessKeyId" else "the secret key is wrong"
        return RemoteDenied(
            f"{place}: {what} ({code})",
            hint="Look at the profile, the environment (AWS_ACCESS_KEY_ID), or accesskeyid and secretaccesskey.",
        )
    if code in _EXPIRED:
        return RemoteDenied(f"{place}: the credentials have expired ({code})", hint=_SIGN_IN)
    if code in _SKEWED:
        return RemoteDenied(f"{place}: this machine's clock is wrong{_skew(said, headers)}", hint="Set the clock.")
    if code in _FORBIDDEN:
        return _forbidden(code, action, place)
    if code in _ELSEWHERE:
        region = str(said.get("Region") or headers.get("x-amz-bucket-region") or "")
        where = f" {region}" if re.fullmatch(r"[a-z0-9-]{1,40}", region) else ""
        return RemoteDenied(
            f"{place}: the bucket is in another region{f':{where}' if where else ''}",
            hint=f"Set it: dvc-like remote modify NAME region{where or ' REGION'}",
        )
    if code.startswith("KMS"):
        return RemoteDenied(f"{place}: the encryption key cannot be used ({code})", hint="Look at ssekmskeyid.")
    if code == "InvalidObjectState":
        return RemoteDenied(f"{place} is archived", hint="Restore it to a class that can be read (S3 Glacier).")
    return None


def _option_for(code: str, action: str) -> str:
    """Return which option of the remote to look at when a request is not what this store takes."""
    if code == "InvalidStorageClass":
        return "Look at storageclass: this store has no such class."
    if action == "s3:PutObject":
        return "Look at sse, ssekmskeyid, acl and storageclass: not every store knows them."
    return "Look at the options of the remote: endpointurl, region, and nosign if it is set."


def _forbidden(code: str, action: str, place: str) -> RemoteDenied:
    hint = f"Whoever manages the bucket has to allow {action}"
    if action in ("s3:GetObject", "s3:PutObject"):
        hint += " (and the use of its key, if it is encrypted with KMS)"
    if action == "s3:GetObject":
        hint += "; without s3:ListBucket, S3 says the same of what is not there"
    return RemoteDenied(f"{place}: {action} is not allowed ({code})", hint=f"{hint}.")


def _skew(said: dict[str, Any], headers: dict[str, str]) -> str:
    """Return by how much, if the answer tells what time it is there."""
    for text in (str(said.get("ServerTime", "")), headers.get("date", "")):
        with contextlib.suppress(ValueError, TypeError):
            there = (
                datetime.fromisoformat(text.replace("Z", "+00:00"))
                if text[:4].isdigit()
                else parsedate_to_datetime(text)
            )
            seconds = (datetime.now(timezone.utc) - there).total_seconds()
            minutes = round(abs(seconds) / 60)
            if minutes < 2:  # no store minds so little: it was set meanwhile, or that is not the store's own time
                return ""
            return f", {minutes} minutes {'ahead' if seconds > 0 else 'behind'}"
    return ""


def _text(said: object) -> str:
    """Return a stranger's words, fit to be shown: what looks like a key or a token is not."""
    return _LIKE_A_SECRET.sub("***", show(str(said).strip()))[:200]


# ------------------------------------------------------------------------------ what never got an answer


def _no_access(error: Exception, place: str) -> RemoteError | None:
    from botocore import exceptions as e

    if isinstance(error, e.NoCredentialsError):
        return RemoteDenied(
            f"{place}: no credentials were found",
            hint="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or the remote's profile; nosign for a public bucket.",
        )
    if isinstance(error, e.PartialCredentialsError):
        return RemoteDenied(f"{place}: the credentials are incomplete ({_text(error.kwargs.get('cred_var', ''))})")
    if isinstance(error, e.ProfileNotFound):
        name = show(str(error.kwargs.get("profile", "")))[:60]
        return RemoteDenied(
            f"{place}: this machine has no profile {name}",
            hint=f"Make it with `aws configure --profile {name}`, or name another: dvc-like remote modify NAME profile",
        )
    signed_out = (e.SSOError, e.TokenRetrievalError, e.NoAuthTokenError, getattr(e, "LoginError", e.SSOError))
    if isinstance(error, signed_out):
        return RemoteDenied(f"{place}: the sign-in has expired ({type(error).__name__})", hint=_SIGN_IN)
    if isinstance(error, e.CredentialRetrievalError | e.MetadataRetrievalError):
        return RemoteDenied(
            f"{place}: the credentials could not be had ({type(error).__name__})",
            hint="Look at what your profile says they come from.",
        )
    return None


def _unreachable(error: Exception, place: str) -> RemoteError | None:
    from botocore import exceptions as e

    cause = str(getattr(error, "kwargs", {}).get("error", ""))
    if isinstance(error, e.SSLError) and ("CERTIFICATE" in cause or "certificate" in cause):
        return RemoteDenied(
            f"{place}: the certificate of the endpoint is not trusted",
            hint="Give its authority: dvc-like remote modify --local NAME verify /path/to/ca.pem",
        )
    if isinstance(error, e.SSLError) and ("WRONG_VERSION" in cause or "HTTP_REQUEST" in cause):
        return RemoteDenied(f"{place}: the endpoint does not speak https", hint="Correct endpointurl (http://...).")
    if isinstance(error, e.SSLError | e.HTTPClientError) and re.search(r"CA bundle|No such file|PEM|X509", cause):
        return RemoteDenied(f"{place}: the certificates of `verify` cannot be read", hint="Correct the path there.")
    if isinstance(error, e.ProxyConnectionError):
        return RemoteUnavailable(
            f"{place}: the proxy does not answer", hint="Look at the remote's proxy, or HTTPS_PROXY."
        )
    if isinstance(error, e.EndpointConnectionError):
        unknown = re.search(r"resolve|getaddrinfo|Name or service|nodename", cause)
        what = "the name of the endpoint is not known" if unknown else "the endpoint does not answer"
        return RemoteUnavailable(f"{place}: {what}", hint="Look at the network, endpointurl and region.")
    if isinstance(error, e.ConnectTimeoutError | e.ReadTimeoutError):
        return RemoteUnavailable(
            f"{place}: no answer in time", hint="Look at the network; remote.NAME.timeout says how long."
        )
    if isinstance(error, e.ConnectionError | e.HTTPClientError | e.IncompleteReadError):
        return RemoteUnavailable(
            f"{place}: the connection broke ({type(error).__name__})",
            hint="Look at the network, and whether endpointurl begins with http:// or https:// as it should.",
        )
    if isinstance(error, e.ChecksumError | getattr(e, "FlexibleChecksumError", e.ChecksumError)):
        return RemoteUnavailable(f"{place}: the bytes were damaged on the way")
    return None


def _unfit(error: Exception, place: str) -> RemoteError:
    """Return the error for settings that boto3 cannot work with."""
    return RemoteDenied(
        f"{place}: {type(error).__name__}: {_text(error)}", hint="Look at the options of the remote and ~/.aws/config."
    )
