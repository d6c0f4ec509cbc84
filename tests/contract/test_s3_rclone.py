"""The contract on a lax S3 server whose objects are files, `rclone serve s3`.

With the wrappers around the backend, as it is used: this server answers 500 while an object is being replaced, and
over https closes connections on which it refused a put, so that the next request on one of them may find it dead.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from tests.contract.test_s3_swift import options_for
from tests.servers.s3 import Bucket, S3Server

from dvc_like.remote.base import Backend
from dvc_like.remote.registry import open_backend
from dvc_like.remote.wrap import wrap
from dvc_like.testing import BackendContract

pytestmark = pytest.mark.usefixtures("models_read_once")


class TestRclone(BackendContract):
    MANY = 25

    @pytest.fixture(autouse=True)
    def bucket(self, rclone_server: S3Server, new_bucket: Callable[[S3Server], Bucket]) -> None:
        self.made = new_bucket(rclone_server)

    def make_backend(self) -> Backend:
        self.url = f"{self.made.url}/below/{uuid.uuid4().hex}"
        return self.reopen()

    def reopen(self) -> Backend:
        return wrap(open_backend(self.url, options_for(self.made.server), "/"), attempts=5, concurrency=8)

    @pytest.mark.xfail(strict=True, reason="rclone ignores If-None-Match: the later one replaces what is there")
    def test_once_keeps_what_is_there(self) -> None:
        super().test_once_keeps_what_is_there()


class TestRcloneHttps(TestRclone):
    @pytest.fixture(autouse=True)
    def bucket(self, rclone_https: S3Server, new_bucket: Callable[[S3Server], Bucket]) -> None:
        self.made = new_bucket(rclone_https)
