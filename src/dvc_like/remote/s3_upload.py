"""A big object in parts: sent beside each other, found again after a kill, swept when nobody goes on with them.

Owns the parts of an object, and which upload a later attempt may continue. There is no local state: the bucket is asked
for unfinished uploads of the very key. A part counts as sent only when a checksum the store tells proves that it holds
the bytes at hand. Talks to the store through an `Ask`, which bounds what is in flight and translates errors.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
import time
import zlib
from base64 import b64encode
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, Protocol

from ..errors import DvcLikeError, RemoteError, RemoteUnavailable
from .base import is_key
from .s3_errors import CONFLICT, code_of
from .source import Source, Window

PART = 16 << 20
MAX_PARTS = 10_000
AT_ONCE = 4  # parts of one object in flight
_ROUND = 1 << 20  # parts that are larger than usual are whole mebibytes
_TRIED = 8  # so many unfinished uploads of one key are looked at


class Ask(Protocol):
    """Carry out one operation of boto3 on the bucket; errors are those of the contract."""

    def __call__(self, operation: str, /, **arguments: Any) -> dict[str, Any]:
        """Return the answer."""


# ------------------------------------------------------------------------------ sending


class Settings(NamedTuple):
    """How an object is to be made. `algorithm` is the checksum of each part, if any."""

    of_object: dict[str, str]
    algorithm: str | None
    once: bool
    at_once: int
    part_size: int


def send_parts(ask: Ask, key: str, source: Source, settings: Settings) -> None:
    """Send a source in parts, going on where an earlier attempt stopped.

    What failed with `RemoteUnavailable` can be gone on with: its parts stay, and the error's ``kept`` says how many
    bytes they are. After any other error the parts are removed. In no case is there an object.
    """
    if settings.once:
        with contextlib.suppress(RemoteError):
            ask("head_object", Key=key)
            return  # it is there; the condition below would find out too, but only after everything was sent
    size = settings.part_size
    size = max(size, -(-source.size // MAX_PARTS))
    size = -(-size // _ROUND) * _ROUND if size > settings.part_size else size
    lengths = [min(size, source.size - start) for start in range(0, source.size, size)]
    sums = {"ChecksumAlgorithm": settings.algorithm} if settings.algorithm else {}
    upload, sent = _unfinished(ask, key, source, lengths)
    if not upload:
        upload, sent = str(ask("create_multipart_upload", Key=key, **sums, **settings.of_object)["UploadId"]), {}
    source.reached(sum(lengths[number - 1] for number in sent))
    try:
        _send_missing(ask, key, upload, source, lengths, sent, settings)
        condition = {"IfNoneMatch": "*"} if settings.once else {}
        parts = [sent[number] for number in sorted(sent)]
        ask("complete_multipart_upload", Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, **condition)
    except DvcLikeError as error:
        if isinstance(error, RemoteUnavailable) and code_of(error) not in ("InvalidPart", "InvalidPartOrder"):
            setattr(error, "kept", sum(lengths[number - 1] for number in sent))  # noqa: B010 - read by `Retrying`
            raise
        _abort(ask, key, upload)
        if code_of(error) in CONFLICT and settings.once:
            return
        raise


def _send_missing(
    ask: Ask,
    key: str,
    upload: str,
    source: Source,
    lengths: list[int],
    sent: dict[int, dict[str, Any]],
    settings: Settings,
) -> None:
    """Send the parts that are not in `sent`, and enter them there."""
    stop = threading.Event()
    sums = {"ChecksumAlgorithm": settings.algorithm} if settings.algorithm else {}

    def send(number: int) -> tuple[int, dict[str, Any]] | None:
        if stop.is_set():
            return None
        length = lengths[number - 1]
        body = Window(source, (number - 1) * lengths[0], length)
        try:
            answer = ask("upload_part", Key=key, UploadId=upload, PartNumber=number, Body=body, **sums)
        except BaseException:
            stop.set()  # at once, before this thread takes the next part
            raise
        return number, _receipt(number, answer)

    failures: list[DvcLikeError] = []
    with ThreadPoolExecutor(max(1, settings.at_once), thread_name_prefix="part") as pool:
        try:
            for future in as_completed([pool.submit(send, n) for n in range(1, len(lengths) + 1) if n not in sent]):
                try:
                    done = future.result()
                except DvcLikeError as error:
                    failures.append(error)
                else:
                    if done is not None:
                        sent[done[0]] = done[1]
        finally:
            stop.set()
    if failures:
        # One that cannot be mended by trying again speaks for all.
        raise next((error for error in failures if not isinstance(error, RemoteUnavailable)), failures[0])


def _receipt(number: int, said: dict[str, Any]) -> dict[str, Any]:
    """Return what the store has to be told of a part at the end."""
    receipt: dict[str, Any] = {"PartNumber": number, "ETag": said.get("ETag", "")}
    if said.get("ChecksumCRC32"):
        receipt["ChecksumCRC32"] = said["ChecksumCRC32"]
    return receipt


def _abort(ask: Ask, key: str, upload: str) -> None:
    with contextlib.suppress(RemoteError):
        ask("abort_multipart_upload", Key=key, UploadId=upload)


# ------------------------------------------------------------------------------ going on


def _unfinished(ask: Ask, key: str, source: Source, lengths: list[int]) -> tuple[str, dict[int, dict[str, Any]]]:
    """Return an unfinished upload of this key, all of whose parts are parts of the source; and those parts.

    One with other parts may be another writer's: it is left to him, and to `sweep`.
    """
    try:
        found = [one for one in uploads(ask, key) if one["Key"] == key]
        found.sort(key=lambda one: str(one.get("Initiated", "")), reverse=True)
        for one in found[:_TRIED]:
            parts = _same_parts(_parts(ask, key, one["UploadId"]), source, lengths)
            if parts is not None:
                return str(one["UploadId"]), parts
    except RemoteUnavailable as error:
        if code_of(error) != "NoSuchUpload":
            raise
    except RemoteError:
        pass  # not allowed to ask, or the store does not know how: then it is sent from the beginning
    return "", {}


def _same_parts(
    found: Iterator[dict[str, Any]], source: Source, lengths: list[int]
) -> dict[int, dict[str, Any]] | None:
    same = {}
    for part in found:
        number = int(part["PartNumber"])
        if number > len(lengths) or part.get("Size") != lengths[number - 1]:
            return None
        if not _proven(part, source, (number - 1) * lengths[0], lengths[number - 1]):
            return None
        same[number] = _receipt(number, part)
    return same


def _proven(part: dict[str, Any], source: Source, start: int, length: int) -> bool:
    """Tell whether what the store says of a part fits our bytes. A store that says nothing of use proves nothing."""
    md5, crc = hashlib.md5(usedforsecurity=False), 0
    for piece in source.pieces(start, length):
        md5.update(piece)
        crc = zlib.crc32(piece, crc)
    if part.get("ChecksumCRC32"):
        return bool(part["ChecksumCRC32"] == b64encode(crc.to_bytes(4, "big")).decode())
    return str(part.get("ETag", "")).strip('"').lower() == md5.hexdigest()


def uploads(ask: Ask, prefix: str) -> Iterator[dict[str, Any]]:
    """Yield the unfinished uploads whose key begins with `prefix`, each with the store's own time as ``Now``."""
    marker: dict[str, str] = {}
    while True:
        try:
            answer = ask("list_multipart_uploads", Prefix=prefix, **marker)
        except RemoteError as error:
            if code_of(error) != "NoSuchUpload":
                raise
            return  # how some stores say that there is none
        for one in answer.get("Uploads", ()):
            yield {**one, "Now": _now(answer)}
        following = {
            name: answer[f"Next{name}"] for name in ("KeyMarker", "UploadIdMarker") if answer.get(f"Next{name}")
        }
        if not answer.get("IsTruncated") or not following or following == marker:
            return
        marker = following


def _parts(ask: Ask, key: str, upload: str) -> Iterator[dict[str, Any]]:
    marker: dict[str, int] = {}
    while True:
        answer = ask("list_parts", Key=key, UploadId=upload, **marker)
        yield from answer.get("Parts", ())
        following = int(answer.get("NextPartNumberMarker") or 0)
        if not answer.get("IsTruncated") or following <= marker.get("PartNumberMarker", 0):
            return
        marker = {"PartNumberMarker": following}


def _now(answer: dict[str, Any]) -> float:
    """Return what time it is where the store is: its stamps are by that clock."""
    headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    with contextlib.suppress(ValueError, TypeError):
        return parsedate_to_datetime(headers.get("date", "")).timestamp()
    return time.time()


def sweep_uploads(ask: Ask, prefix: str, age: float) -> int:
    """End the uploads below a prefix to which nothing came for `age` seconds; return how many."""
    ended = 0
    for one in list(uploads(ask, prefix)):
        key, upload = str(one["Key"]), str(one["UploadId"])
        before = one["Now"] - age
        if not is_key(key[len(prefix) :]) or _stamp(one.get("Initiated")) > before:
            continue
        try:
            if any(_stamp(part.get("LastModified")) > before for part in _parts(ask, key, upload)):
                continue  # began long ago and still goes on
            ask("abort_multipart_upload", Key=key, UploadId=upload)
        except RemoteError as error:
            if code_of(error) not in ("NoSuchUpload", "404"):
                raise
        else:
            ended += 1
    return ended


def _stamp(when: Any) -> float:
    return float(when.timestamp()) if when is not None else 0.0
