"""The contract on a real and strict S3 server, OpenStack Swift: over http, and over https without a prefix.

With the wrappers around the backend, as it is used: on a busy machine a connection may have lapsed when the next
request finds it. `test_s3_moto.py` has the backend alone.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable

import pytest
from tests.servers.s3 import Bucket, S3Server

from dvc_like.remote.base import Backend
from dvc_like.remote.registry import open_backend
from dvc_like.remote.wrap import wrap
from dvc_like.testing import BackendContract

pytestmark = pytest.mark.usefixtures("models_read_once")


def options_for(server: S3Server) -> dict[str, str]:
    """Return the options of a remote on a server."""
    found = {
        "endpointurl": server.endpoint,
        "region": server.region,
        "accesskeyid": server.key,
        "secretaccesskey": server.secret,
    }
    return found | ({"verify": server.ca_bundle} if server.ca_bundle else {})


class TestSwift(BackendContract):
    MANY = 25

    @pytest.fixture(autouse=True)
    def bucket(self, swift_server: S3Server, new_bucket: Callable[[S3Server], Bucket]) -> None:
        self.made = new_bucket(swift_server)

    def make_backend(self) -> Backend:
        self.url = f"{self.made.url}/a folder/{uuid.uuid4().hex}"
        return self.reopen()

    def reopen(self) -> Backend:
        return wrap(open_backend(self.url, options_for(self.made.server), "/"), attempts=5, concurrency=8)


class TestSwiftHttps(TestSwift):
    @pytest.fixture(autouse=True)
    def bucket(self, swift_https: S3Server, new_bucket: Callable[[S3Server], Bucket]) -> None:
        self.made = new_bucket(swift_https)

    def make_backend(self) -> Backend:
        self.url = self.made.url
        return self.reopen()
