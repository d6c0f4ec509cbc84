"""The contract on a local folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from dvc_like.remote.local import LocalBackend
from dvc_like.testing import BackendContract


class TestLocal(BackendContract):
    MANY = 300

    @pytest.fixture(autouse=True)
    def place(self, tmp_path: Path) -> None:
        self.path = str(tmp_path / "store")

    def make_backend(self) -> LocalBackend:
        return LocalBackend(self.path)

    reopen = make_backend
