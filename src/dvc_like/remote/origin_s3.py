"""An object of a bucket, or all below a prefix, as an origin: ``s3://BUCKET/KEY``, by the connection of `s3`.

Owns how keys that are none of ours are asked for. The version of an object is its ETag.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..errors import RemoteError, RemoteNotFound, RemoteUnavailable
from ..paths import show
from .base import Info, Sink
from .origin import Origin, changed
from .s3 import S3Backend
from .s3_errors import CONFLICT, code_of
from .s3_options import parse


def open_url(url: str, options: dict[str, str], root: str) -> S3Origin:
    """Make the origin of an ``s3://`` URL. Loads nothing and contacts nobody."""
    bucket, _, key = url[len("s3://") :].partition("/")
    return S3Origin(S3Backend(parse(f"s3://{bucket}", options, root)), key)


class S3Origin(Origin):
    """Names are what follows the URL's key and a slash; a key that ends with a slash is a folder."""

    capabilities = S3Backend.capabilities

    def __init__(self, bucket: S3Backend, key: str) -> None:
        super().__init__()
        self._bucket = bucket
        self._key = key
        self._folder = key if not key or key.endswith("/") else f"{key}/"

    def _full(self, name: str) -> str:
        return self._folder + name if name else self._key

    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        """Ask for each with a request of its own."""
        found = {}
        for key in keys:
            if key or self._key != self._folder:
                try:
                    answer = self._bucket.ask("head_object", Key=self._full(key))
                except RemoteNotFound:
                    self._bucket.check_bucket()
                else:
                    found[key] = self._info(key, answer.get("ContentLength"), answer.get("ETag"))
        return found

    def _info(self, key: str, size: object, etag: object) -> Info:
        token = str(etag or "").strip('"')
        return self._saw(key, Info(int(str(size or 0)), f"etag:{token}" if token else ""), token)

    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        """Yield all below, without the empty objects that stand for folders."""
        page: dict[str, str] = {}
        while True:
            answer = self._bucket.ask("list_objects_v2", Prefix=self._folder, **page)
            for one in answer.get("Contents", ()):
                name = one["Key"][len(self._folder) :]
                if one["Key"].startswith(self._folder) and name and not (name.endswith("/") and not one.get("Size")):
                    yield name, self._info(name, one.get("Size"), one.get("ETag"))
            if not answer.get("IsTruncated"):
                return
            following = answer.get("NextContinuationToken")
            if not following or following == page.get("ContinuationToken"):
                raise RemoteUnavailable(f"s3://.../{show(self._folder)}: the listing broke off")
            page = {"ContinuationToken": following}

    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        """Hand on what arrives, of the version that was seen first."""
        try:
            self._bucket.read(self._full(key), sink, start=start, length=length, etag=self.validator(key))
        except RemoteError as error:
            raise (changed(key) if code_of(error) in CONFLICT else error) from None

    def close(self) -> None:
        """Give back connections."""
        self._bucket.close()
