"""The contract on fsspec's file systems that need no server: a local folder and memory."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from dvc_like.remote.fsspec import FsspecBackend, open_url
from dvc_like.testing import BackendContract

pytest.importorskip("fsspec", reason="fsspec is not installed (extra fsspec)")


class TestLocal(BackendContract):
    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.url = f"fsspec+file://{tmp_path}/store"

    def make_backend(self) -> FsspecBackend:
        return open_url(self.url, {}, "/")

    reopen = make_backend


class TestMemory(BackendContract):
    @pytest.fixture(autouse=True)
    def place(self) -> None:
        self.url = f"fsspec+memory://{uuid.uuid4().hex}/store"

    def make_backend(self) -> FsspecBackend:
        return open_url(self.url, {}, "/")

    reopen = make_backend
