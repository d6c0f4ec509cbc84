"""The contract on Google Drive, as a server on loopback plays it that checks every request."""

from __future__ import annotations

import json

import pytest
from tests.servers.drive import DriveServer

from dvc_like.remote.base import Backend
from dvc_like.remote.registry import open_backend
from dvc_like.testing import BackendContract
from dvc_like.testing.writers import WriterTests


class TestDrive(BackendContract):
    MANY = 24

    @pytest.fixture(autouse=True)
    def service(self, drive_server: DriveServer, no_waiting: None, monkeypatch: pytest.MonkeyPatch) -> None:
        self.drive = drive_server
        monkeypatch.setenv("DVC_LIKE_GDRIVE_CREDENTIALS", json.dumps(drive_server.authorized_user()))

    def make_backend(self) -> Backend:
        self.folder = self.drive.folder("store")
        return self.reopen()

    def reopen(self) -> Backend:
        return open_backend(f"gdrive://{self.folder}", {"endpointurl": self.drive.url}, "/nowhere")


class TestSharedDrive(WriterTests):
    """Where files belong to the drive: the part of the contract in which ownership could matter."""

    service = TestDrive.service
    reopen = TestDrive.reopen

    def make_backend(self) -> Backend:
        self.folder = self.drive.shared_drive("team")
        return self.reopen()
