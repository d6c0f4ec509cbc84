"""What is sent of a big file is told on the way, by every driver that takes a `Source`, also when it begins again."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.contract.test_s3_swift import options_for
from tests.servers.drive import DriveServer
from tests.servers.faults import Rule
from tests.servers.s3 import S3Server
from tests.servers.sshd import Sshd

from dvc_like import fsutil
from dvc_like.remote import s3, wrap
from dvc_like.remote.base import Backend
from dvc_like.remote.gdrive import upload
from dvc_like.remote.registry import open_backend
from dvc_like.remote.source import Watched
from dvc_like.testing.samples import difference, load, pattern

pytestmark = pytest.mark.usefixtures("models_read_once")

MIB = 1 << 20
DATA = pattern(20 * MIB + 12_345)


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "big"
    path.write_bytes(DATA)
    return str(path)


@pytest.fixture(autouse=True)
def scaled_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fsutil, "IN_KERNEL", MIB)
    monkeypatch.setattr(fsutil, "clone", lambda source, target: False)
    monkeypatch.setattr(wrap, "FIRST_DELAY", 0.01)


def check(backend: Backend, file: str) -> list[int]:
    """Send a file; return how much of it was done each time it was told."""
    done = [0]
    source = Watched(file, lambda size: done.append(done[-1] + size))
    backend.put("files/big", source)
    source.close()
    backend.flush()
    assert not difference(load(backend, "files/big"), DATA)
    backend.close()
    assert done[-1] == len(DATA)
    assert all(0 <= one <= len(DATA) for one in done)
    return done


def test_folder(tmp_path: Path, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dvc_like.remote.local.clone", lambda source, target: False)
    assert len(set(check(open_backend(f"{tmp_path}/store", {}, "/"), file))) > 10


def test_a_file_that_is_put_again_comes_whole(tmp_path: Path, file: str) -> None:
    backend = open_backend(f"{tmp_path}/store", {}, "/")
    with_retries = Watched(file, lambda size: None)
    backend.put("files/one", with_retries)
    backend.put("files/two", with_retries)
    with_retries.close()
    backend.flush()
    assert not difference(load(backend, "files/two"), DATA)
    backend.close()


def test_fsspec(tmp_path: Path, file: str) -> None:
    pytest.importorskip("fsspec")
    assert len(set(check(open_backend(f"fsspec+file://{tmp_path}/store", {}, "/"), file))) > 10


def test_sftp(sshd: Sshd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    sshd.trust(home)
    backend = open_backend(sshd.url(uuid.uuid4().hex), {"fsspec": sshd.options()}, "/")
    assert len(set(check(backend, file))) > 10


@pytest.mark.parametrize("big", [5 * MIB, 1 << 30], ids=["parts", "one request"])
def test_s3(
    swift_server: S3Server,
    new_bucket: Any,
    proxy_to: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    big: int,
) -> None:
    monkeypatch.setattr(s3, "BIG", big)
    monkeypatch.setattr(s3, "PART", 5 * MIB)
    bucket, proxy = new_bucket(swift_server), proxy_to(swift_server)
    proxy.reset(Rule("drop", kinds="part" if big < 1 << 30 else "put", nth=(3 if big < 1 << 30 else 1,)))
    backend = wrap.wrap(
        open_backend(f"{bucket.url}/p", options_for(swift_server.at(proxy.url)), "/"), attempts=3, concurrency=2
    )
    assert len(set(check(backend, file))) > 10


def test_drive(drive_server: DriveServer, no_waiting: None, monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    monkeypatch.setenv("DVC_LIKE_GDRIVE_CREDENTIALS", json.dumps(drive_server.authorized_user()))
    monkeypatch.setattr(upload, "CHUNK", 4 * MIB)
    backend = open_backend(f"gdrive://{drive_server.folder('store')}", {"endpointurl": drive_server.url}, "/nowhere")
    assert len(set(check(backend, file))) > 10
