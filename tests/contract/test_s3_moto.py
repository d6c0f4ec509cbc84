"""The contract on S3 as moto plays it, in this process: no signature and no checksum is looked at there.

What real servers do is tried in `test_s3_swift.py` and `test_s3_rclone.py`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from dvc_like.remote.base import Backend
from dvc_like.remote.registry import open_backend
from dvc_like.testing import BackendContract

boto3 = pytest.importorskip("boto3", reason="boto3 is not installed: pip install -e '.[test]'")
moto = pytest.importorskip("moto", reason="moto is not installed: pip install -e '.[test]'")


class TestMoto(BackendContract):
    MANY = 300
    URL = "s3://{}/a folder/below"

    @pytest.fixture(autouse=True)
    def service(self) -> Iterator[None]:
        with moto.mock_aws():
            yield

    def make_backend(self) -> Backend:
        self.bucket = f"bucket-{uuid.uuid4().hex}"
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=self.bucket)
        return self.reopen()

    def reopen(self) -> Backend:
        return open_backend(self.URL.format(self.bucket), {"region": "us-east-1"}, "/")


class TestMotoWithoutPrefix(TestMoto):
    URL = "s3://{}"
