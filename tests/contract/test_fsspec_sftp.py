"""The contract over SFTP, against a real sshd; what the driver refuses, survives and says."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest
from tests.servers.sshd import Sshd

from dvc_like.remote.base import Backend
from dvc_like.remote.registry import open_backend
from dvc_like.testing import BackendContract


class TestSftp(BackendContract):
    MANY = 30

    @pytest.fixture(autouse=True)
    def place(self, sshd: Sshd, home: Path) -> None:
        sshd.trust(home)
        self.server = sshd
        self.url = sshd.url(uuid.uuid4().hex)

    def make_backend(self) -> Backend:
        return open_backend(self.url, {"fsspec": self.server.options()}, "/")

    reopen = make_backend
