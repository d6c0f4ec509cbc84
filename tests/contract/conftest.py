"""Fixtures of these tests."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.contract.gdrive_lab import PIECE, Lab
from tests.servers.drive import DriveServer


@pytest.fixture(scope="module")
def models_read_once() -> Iterator[None]:
    """Let all clients of boto3 share what it knows of services: reading it takes longer than most of these tests."""
    session = pytest.importorskip("botocore.session", reason="boto3 is not installed (extra s3)")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(session, "create_loader", functools.cache(session.create_loader))
        yield


@pytest.fixture
def lab(
    drive_server: DriveServer, no_waiting: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Lab]:
    """A folder of Anna's, who is logged in. What takes a session, and how much is sent at once, is made small."""
    from dvc_like.remote.gdrive import upload

    monkeypatch.setenv("DVC_LIKE_GDRIVE_CREDENTIALS", json.dumps(drive_server.authorized_user()))
    monkeypatch.setattr(upload, "SMALL", 100_000)
    monkeypatch.setattr(upload, "CHUNK", PIECE)
    made = Lab(drive_server, tmp_path)
    yield made
    made.close()
