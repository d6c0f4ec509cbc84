"""What a remote in a bucket is set to: its url and options checked, and a client made of them.

Owns which options there are and what they mean to boto3. Asks no server anything; boto3 is loaded only by
`make_client`.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from ..errors import ConfigError, RemoteError, UsageError
from ..paths import show
from .options import FALSE, TRUE, flag, number, verify

CONCURRENCY = 32  # requests wait for the network, not for the processor
_TIMEOUT = 60.0  # seconds, as boto3 has it
_MAX_PREFIX = 500  # a key of S3 has 1024 bytes, one of ours up to 512
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{1,254}")

#: Option -> parameter of every request that makes an object.
_OF_OBJECTS = {"ssekmskeyid": "SSEKMSKeyId", "acl": "ACL", "storageclass": "StorageClass"}


class Options(NamedTuple):
    """Where the store is and how it is to be talked to."""

    bucket: str
    prefix: str = ""  # empty, or ends with a slash
    jobs: int = CONCURRENCY
    region: str | None = None
    profile: str | None = None
    endpoint: str | None = None
    key_id: str | None = None
    secret: str | None = None
    token: str | None = None
    sign: bool = True
    style: str = "auto"  # "path", "virtual", or "auto": boto3 takes the path for every endpoint but Amazon's
    newer_checksums: bool = True
    timeout: float = _TIMEOUT
    verify: bool | str | None = None
    proxy: str | None = None
    of_objects: tuple[tuple[str, str], ...] = ()


def parse(url: str, options: dict[str, str], root: str) -> Options:
    """Return what ``s3://BUCKET[/PREFIX]`` and a remote's options mean; raise when they cannot be meant."""
    bucket, prefix = _place(url)
    given = {name: text for name, text in options.items() if text != ""}
    key_id, secret = given.get("accesskeyid"), given.get("secretaccesskey")
    if (key_id is None) != (secret is None):
        missing = "secretaccesskey" if secret is None else "accesskeyid"
        raise ConfigError(
            "accesskeyid and secretaccesskey are of use only together",
            hint=f"Set the other one, too: dvc-like remote modify --local NAME {missing} VALUE",
        )
    if "sessiontoken" in given and key_id is None:
        raise ConfigError("sessiontoken is of use only with the accesskeyid and secretaccesskey it belongs to")
    endpoint = given.get("endpointurl")
    if endpoint is not None and not re.match(r"https?://[^/]", endpoint, re.I):
        raise ConfigError(f"endpointurl = {show(endpoint)[:100]} is not a url", hint="Write https://host[:port].")
    checksums = given.get("checksums", "auto")
    if checksums not in ("auto", "required-only"):
        raise ConfigError(f"checksums = {show(checksums)[:100]} is neither auto nor required-only")
    return Options(
        bucket,
        prefix,
        jobs=int(number("jobs", given, CONCURRENCY)) or CONCURRENCY,
        region=given.get("region"),
        profile=given.get("profile"),
        endpoint=endpoint,
        key_id=key_id,
        secret=secret,
        token=given.get("sessiontoken"),
        sign=not flag("nosign", given.get("nosign", "false")),
        style=_style(given.get("pathstyle", "auto"), bucket, endpoint),
        newer_checksums=checksums == "auto",
        timeout=number("timeout", given, _TIMEOUT) or _TIMEOUT,
        verify=verify(given.get("verify"), root),
        proxy=given.get("proxy"),
        of_objects=_of_objects(given),
    )


def _place(url: str) -> tuple[str, str]:
    bucket, _, prefix = url[len("s3://") :].partition("/")
    if "@" in bucket:
        raise UsageError(
            "the url of a bucket holds no credentials", hint="Set accesskeyid and secretaccesskey with `--local`."
        )
    if not _BUCKET.fullmatch(bucket):
        raise UsageError(f"{show(url)} names no bucket", hint="Write s3://BUCKET or s3://BUCKET/FOLDER.")
    prefix = prefix.strip("/")
    if len(prefix.encode()) > _MAX_PREFIX:
        raise UsageError(f"{show(url)[:80]}...: the folder in the bucket is longer than {_MAX_PREFIX} bytes")
    return bucket, f"{prefix}/" if prefix else ""


def _style(text: str, bucket: str, endpoint: str | None) -> str:
    if text.lower() == "auto":
        # A certificate for *.s3.amazonaws.com fits no bucket with a dot, and few other services name hosts by buckets.
        return "path" if endpoint is not None or "." in bucket else "auto"
    return "path" if flag("pathstyle", text) else "virtual"


def _of_objects(given: dict[str, str]) -> tuple[tuple[str, str], ...]:
    found = {parameter: given[name] for name, parameter in _OF_OBJECTS.items() if name in given}
    sse = given.get("sse", "")
    if sse.lower() in TRUE:
        sse = "AES256"
    if sse.lower() not in FALSE:
        found["ServerSideEncryption"] = sse
    elif "SSEKMSKeyId" in found:
        found["ServerSideEncryption"] = "aws:kms"
    return tuple(found.items())


def make_client(options: Options, *, newer_checksums: bool) -> Any:
    """Return a client of boto3. Takes a third of a second, and raises what boto3 raises."""
    try:
        import boto3
        import botocore
        from botocore.config import Config
    except ImportError as error:
        raise RemoteError(
            f"boto3 is needed for s3:// and cannot be loaded ({show(str(error))[:100]})",
            hint="Install it with: pip install 'dvc-like[s3]'",
        ) from None
    session = boto3.session.Session(
        profile_name=options.profile,
        region_name=options.region,
        aws_access_key_id=options.key_id,
        aws_secret_access_key=options.secret,
        aws_session_token=options.token,
    )
    config = Config(
        signature_version="s3v4" if options.sign else botocore.UNSIGNED,
        retries={"total_max_attempts": 1, "mode": "standard"},  # one place tries again, and it is not this one
        max_pool_connections=options.jobs,
        connect_timeout=options.timeout,
        read_timeout=options.timeout,
        tcp_keepalive=True,
        s3={"addressing_style": options.style},
        proxies={"http": options.proxy, "https": options.proxy} if options.proxy else None,
        request_checksum_calculation="when_supported" if newer_checksums else "when_required",
        # All that is read is hashed by the caller; some stores send the whole object's checksum with a range.
        response_checksum_validation="when_required",
        user_agent_extra="dvc-like",
    )
    return session.client("s3", endpoint_url=options.endpoint, verify=options.verify, config=config)
