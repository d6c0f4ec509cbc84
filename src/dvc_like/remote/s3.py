"""A bucket as a remote: Amazon S3 and what speaks its protocol, ``s3://BUCKET[/PREFIX]``, through boto3.

Owns how the methods of the contract become requests, and what is tried when a store does not know a request of newer
kind. What options mean is in `s3_options`, errors in `s3_errors`, big objects in `s3_upload`.

Requests in flight: every request takes one of `jobs` places of this backend, which the caller sets to what the user
wants in all; an object in parts uses up to four of them at a time, and waits for none while it holds one. Hence the
bound holds, whoever calls.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from ..errors import RemoteDenied, RemoteError, RemoteNotFound, RemoteUnavailable
from ..paths import show
from .base import Backend, Capabilities, Info, Sink, check_key, check_prefix, is_key
from .s3_errors import CONFLICT, NO_RANGE, NO_TRAILERS, NOT_IMPLEMENTED, code_of, refused, told
from .s3_options import CONCURRENCY, Options, make_client, parse
from .s3_upload import AT_ONCE, PART, Settings, send_parts, sweep_uploads
from .source import Source, Window

PIECE = 1 << 20  # what is handed to a sink at a time
BIG = 96 << 20  # sent in parts from this size on: seven requests and more, so the biggest pack is still below it
BATCH = 1000  # keys that S3 deletes with one request
_IN_MEMORY = 1 << 20
_GONE = ("NoSuchKey", "404", "NotFound")
#: What a store says that does not delete many with one request, or wants a checksum that boto3 no longer sends.
_NO_BATCHES = (
    *("NotImplemented", "MethodNotAllowed", "MissingContentMD5", "InvalidRequest", "InvalidDigest", "MalformedXML"),
    *("400", "405", "501", "MissingContentLength", "411"),
)


def open_url(url: str, options: dict[str, str], root: str) -> S3Backend:
    """Make the backend of an ``s3://`` url. Loads nothing and contacts nobody."""
    return S3Backend(parse(url, options, root))


class S3Backend(Backend):
    """The objects below a prefix of a bucket."""

    capabilities = Capabilities("S3 bucket", concurrency=CONCURRENCY, cheap_stat=False, streams=True)

    def __init__(self, options: Options) -> None:
        self._options = options
        self._prefix = options.prefix
        self._mutex = threading.Lock()
        self._clients: dict[bool, Any] = {}  # with newer checksums or without them
        self._places = threading.BoundedSemaphore(options.jobs)
        # What this store turned out not to know.
        self._newer_checksums = options.newer_checksums
        self._conditional = True
        self._batches = True
        self._seen = False  # whether the bucket is known to be there

    # ---------------------------------------------------------------- asking

    def _client(self, *, newer_checksums: bool) -> Any:
        """Return the client; the first call makes it, and its making takes a third of a second."""
        client = self._clients.get(newer_checksums)
        if client is None:
            with self._mutex:
                client = self._clients.get(newer_checksums)
                if client is None:
                    client = make_client(self._options, newer_checksums=newer_checksums)
                    self._clients[newer_checksums] = client
        return client

    def _name(self, key: str = "") -> str:
        """Return how a key is named in messages."""
        return show(f"s3://{self._options.bucket}/{self._prefix}{key}")

    def ask(self, operation: str, /, **arguments: Any) -> dict[str, Any]:
        """Carry out one operation of boto3 on the bucket; the key is the whole one."""
        key = arguments.get("Key", "")
        with told(self._name(key[len(self._prefix) :])):
            client = self._client(newer_checksums=self._newer_checksums)
            with self._places:
                answer: dict[str, Any] = getattr(client, operation)(Bucket=self._options.bucket, **arguments)
        self._seen = True
        return answer

    # ---------------------------------------------------------------- putting

    def put(self, key: str, source: str | bytes | Source, *, label: str = "", once: bool = False) -> None:
        """Send with one request, or from 96 MiB on in parts. It is durable then; the label is not used."""
        check_key(key)
        data = source if isinstance(source, Source) else Source(source)
        try:
            self._put(key, data, once)
        except Exception:
            if data.failed is not None:
                raise data.failed from None
            raise
        finally:
            if data is not source:
                data.close()

    def _put(self, key: str, data: Source, once: bool) -> None:
        """Try with all that the store is believed to know, and remember what it does not."""
        while True:
            newer, condition = self._newer_checksums, once and self._conditional
            try:
                return self._send(key, data, newer=newer, once=condition)
            except RemoteError as error:
                code = code_of(error)
                if condition and code in CONFLICT:
                    return None  # it is there already, and stays
                if newer and code in NO_TRAILERS:
                    self._newer_checksums = False
                elif condition and code in NOT_IMPLEMENTED:
                    self._conditional = False
                else:
                    raise

    def _send(self, key: str, data: Source, *, newer: bool, once: bool) -> None:
        of_object = dict(self._options.of_objects)
        full = self._prefix + key
        if data.size >= BIG:
            at_once = min(AT_ONCE, self._options.jobs)
            settings = Settings(of_object, "CRC32" if newer else None, once, at_once, PART)
            return send_parts(self.ask, full, data, settings)
        data.reached(0)
        small = data.size <= _IN_MEMORY
        body = b"".join(data.pieces(0, data.size)) if small else Window(data, 0, data.size)
        condition = {"IfNoneMatch": "*"} if once else {}
        self.ask("put_object", Key=full, Body=body, **of_object, **condition)
        return None

    # ---------------------------------------------------------------- reading

    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        """Hand on what arrives, a mebibyte at a time. A body that ends early is `RemoteUnavailable`."""
        check_key(key)
        name = self._name(key)
        if length == 0:
            if not self.stat([key]):
                raise RemoteNotFound(f"{name} is not there")
            return
        self.read(self._prefix + key, sink, start=start, length=length)

    def read(self, full: str, sink: Sink, *, start: int = 0, length: int | None = None, etag: str = "") -> None:
        """Do the work of `get` for any key of the bucket; with `etag`, of that version alone (code 412)."""
        asked = {"IfMatch": f'"{etag}"'} if etag else {}
        if start or length is not None:
            asked["Range"] = f"bytes={start}-{'' if length is None else start + length - 1}"
        name = show(f"s3://{self._options.bucket}/{full}")
        with told(name):
            client = self._client(newer_checksums=self._newer_checksums)
        with self._places:
            try:
                with told(name):
                    answer = client.get_object(Bucket=self._options.bucket, Key=full, **asked)
            except RemoteError as error:
                if code_of(error) in NO_RANGE:
                    return  # begins behind the end, or there is nothing in it
                raise
            self._seen = True
            if etag and str(answer.get("ETag", "")).strip('"') != etag:  # a store that knows no conditions
                answer["Body"].close()
                raise refused("PreconditionFailed", "", name)
            skip = 0 if answer.get("ContentRange") else start  # a store that knows no ranges sends everything
            self._receive(answer["Body"], name, sink, skip, sys.maxsize if length is None else length)

    @staticmethod
    def _receive(body: Any, name: str, sink: Sink, skip: int, left: int) -> None:
        try:
            while left > 0:
                with told(name):
                    piece = body.read(min(PIECE, left + skip))
                if not piece:
                    return
                if skip:
                    piece, skip = piece[skip:], max(0, skip - len(piece))
                if piece:
                    sink.write(piece)
                    left -= len(piece)
        finally:
            body.close()

    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        """Ask for each with a request of its own, one after the other. The token is the ETag."""
        found = {}
        for key in keys:
            check_key(key)
            try:
                answer = self.ask("head_object", Key=self._prefix + key)
            except RemoteNotFound:
                self.check_bucket()
            else:
                found[key] = _info(answer.get("ContentLength"), answer.get("ETag"))
        return found

    def check_bucket(self) -> None:
        """Raise when the bucket is not there: a HEAD says the same of a missing key and of a missing bucket."""
        if self._seen:
            return
        try:
            self.ask("head_bucket")
        except RemoteNotFound:
            raise refused("NoSuchBucket", "", self._name()) from None
        except RemoteDenied:
            self._seen = True  # not allowed to look, which a missing bucket does not say

    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        """Ask for a page of a thousand at a time. Names that are no keys are left out."""
        check_prefix(prefix)
        where = self._prefix + prefix
        page: dict[str, str] = {}
        last = ""
        while True:
            answer = self.ask("list_objects_v2", Prefix=where, **page)
            if not answer.keys() & {"Name", "Prefix", "KeyCount", "IsTruncated", "Contents"}:
                # A reply cut before its body; boto3 takes it for an empty listing, and gc would for nobody's needs.
                raise RemoteUnavailable(f"{self._name(prefix)}: the listing broke off")
            for one in answer.get("Contents", ()):
                key = one["Key"][len(self._prefix) :]
                if not one["Key"].startswith(where) or not is_key(key):
                    continue
                if key <= last:  # taken as they come, some would be missed
                    raise RemoteError(
                        f"{self._name(prefix)} is not listed in order", hint="Use a general purpose bucket."
                    )
                last = key
                yield key, _info(one.get("Size"), one.get("ETag"))
            if not answer.get("IsTruncated"):
                return
            following = answer.get("NextContinuationToken")
            if not following or following == page.get("ContinuationToken"):
                raise RemoteUnavailable(f"{self._name(prefix)}: the listing broke off")
            page = {"ContinuationToken": following}

    # ---------------------------------------------------------------- the rest

    def delete(self, keys: Iterable[str]) -> None:
        """Remove a thousand with one request; one by one where the store does not do that."""
        left = iter(keys)
        while batch := [check_key(key) for key in islice(left, BATCH)]:
            if len(batch) > 1 and self._batches:
                try:
                    self._delete_batch(batch)
                    continue
                except RemoteError as error:
                    if code_of(error) not in _NO_BATCHES:
                        raise
                    self._batches = False
            for key in batch:
                try:
                    self.ask("delete_object", Key=self._prefix + key)
                except RemoteNotFound:
                    self.check_bucket()

    def _delete_batch(self, batch: Iterable[str]) -> None:
        objects = [{"Key": self._prefix + key} for key in dict.fromkeys(batch)]
        answer = self.ask("delete_objects", Delete={"Objects": objects, "Quiet": True})
        failures = [one for one in answer.get("Errors", ()) if one.get("Code") not in _GONE]
        if failures:
            first = failures[0]
            key = str(first.get("Key", ""))[len(self._prefix) :]
            raise refused(str(first.get("Code", "")), str(first.get("Message", "")), self._name(key))

    def sweep(self, age: float) -> int:
        """End uploads in parts to which nothing came for so long."""
        return sweep_uploads(self.ask, self._prefix, age)

    def close(self) -> None:
        """Give back connections. A second call does nothing."""
        clients, self._clients = self._clients, {}
        for client in clients.values():
            client.close()


def _info(size: Any, etag: Any) -> Info:
    return Info(int(size or 0), str(etag or "").strip('"'))
