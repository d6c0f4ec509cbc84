"""The contract on S3 as moto plays it, in this process: no signature and no checksum is looked at there.

What real servers do is tried in `test_s3_swift.py` and `test_s3_rclone.py`.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from dvc_like.remote.base import Backend
from dvc_like.remote.registry import open_backend
from dvc_like.testing import BackendContract

boto3 = pytest.importorskip("boto3", reason="boto3 is not installed (extra s3)")
moto = pytest.importorskip("moto", reason="moto is not installed (extra test)")

from moto.core.botocore_stubber import BotocoreStubber  # noqa: E402  (only where moto is there)

pytestmark = pytest.mark.usefixtures("models_read_once")


@pytest.fixture
def one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let moto answer one request after the other: of two that put one key at once, one may find its bytes closed."""
    answer, lock = BotocoreStubber.__call__, threading.Lock()

    def alone(self: Any, *args: Any, **kwargs: Any) -> Any:
        with lock:
            return answer(self, *args, **kwargs)

    monkeypatch.setattr(BotocoreStubber, "__call__", alone)


class TestMoto(BackendContract):
    MANY = 60

    @pytest.fixture(autouse=True)
    def service(self, one_at_a_time: None) -> Iterator[None]:
        with moto.mock_aws():
            self.bucket = f"bucket-{uuid.uuid4().hex}"
            boto3.client("s3", region_name="us-east-1").create_bucket(Bucket=self.bucket)
            yield

    def make_backend(self) -> Backend:
        self.prefix = f"a folder/{uuid.uuid4().hex}"
        return self.reopen()

    def reopen(self) -> Backend:
        return open_backend(f"s3://{self.bucket}/{self.prefix}", {"region": "us-east-1"}, "/")

    @pytest.mark.skip(reason="moto closes the bytes of an object that is replaced while somebody reads them")
    def test_readers_see_the_old_object_or_the_new(self) -> None: ...
