"""Fixtures: S3 servers over http and https, fresh buckets on them, the proxy that breaks requests, a Drive, an sshd.

Nothing is started before a test asks for it. The workers of one run share the servers. What cannot be had is skipped,
naming what is missing.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from . import rclone, swift
from .certificate import Certificate, make_certificate
from .drive import DriveServer
from .proxy import Proxy
from .s3 import Bucket, S3Server
from .sshd import Line, Sshd
from .sshd import running as sshd_running
from .tools import Missing
from .web import Web

_RUNNING = {"swift": swift.running, "rclone": rclone.running}


@contextlib.contextmanager
def _or_skip() -> Iterator[None]:
    try:
        yield
    except Missing as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def _shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run know."""
    own = tmp_path_factory.getbasetemp()
    return (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "servers"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for 127.0.0.1 that nobody trusts but who is told to."""
    with _or_skip():
        return make_certificate(tmp_path_factory.mktemp("certificate"))


def _serve(name: str, folder: Path) -> Iterator[S3Server]:
    pytest.importorskip("boto3", reason="boto3 is not installed (extra s3)")
    with contextlib.ExitStack() as stack:
        with _or_skip():
            server = stack.enter_context(_RUNNING[name](folder / name))
        yield server


@pytest.fixture(scope="session")
def swift_server(_shared_folder: Path) -> Iterator[S3Server]:
    """Swift over http."""
    yield from _serve("swift", _shared_folder)


@pytest.fixture(scope="session")
def rclone_server(_shared_folder: Path) -> Iterator[S3Server]:
    """`rclone serve s3` over http."""
    yield from _serve("rclone", _shared_folder)


@pytest.fixture(scope="session")
def swift_https(swift_server: S3Server, certificate: Certificate) -> Iterator[S3Server]:
    """Swift over https."""
    with Proxy(swift_server.endpoint, certificate=certificate) as front:
        yield swift_server.at(front.url, certificate.bundle)


@pytest.fixture(scope="session")
def rclone_https(rclone_server: S3Server, certificate: Certificate) -> Iterator[S3Server]:
    """`rclone serve s3` over https."""
    with Proxy(rclone_server.endpoint, certificate=certificate) as front:
        yield rclone_server.at(front.url, certificate.bundle)


@pytest.fixture(params=["swift_server", "swift_https", "rclone_server", "rclone_https"])
def any_s3(request: pytest.FixtureRequest) -> S3Server:
    """Each of the servers, over http and https."""
    found: S3Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def new_bucket() -> Iterator[Callable[[S3Server], Bucket]]:
    """Make a fresh bucket: ``new_bucket(swift_server)``. Its objects are removed after the test."""
    with contextlib.ExitStack() as stack:

        def make(server: S3Server) -> Bucket:
            made = Bucket(server)
            stack.callback(made.close)
            return made

        yield make


@pytest.fixture
def proxy_to() -> Iterator[Callable[..., Proxy]]:
    """Put a proxy before a server: ``proxy_to(swift_server)``; options are those of `Proxy`."""
    with contextlib.ExitStack() as stack:

        def make(server: S3Server, **options: Any) -> Proxy:
            return stack.enter_context(Proxy(server.endpoint, **options))

        yield make


@pytest.fixture(scope="session")
def sshd() -> Iterator[Sshd]:
    """An sshd that all tests of this process share; each uses a folder of its own there."""
    yield from _sshd("")


@pytest.fixture(scope="session")
def plain_sshd() -> Iterator[Sshd]:
    """One that knows the protocol, and no more: no renaming over, no flushing, no telling how full the disk is."""
    extensions = "posix-rename,fsync,statvfs,fstatvfs"
    yield from _sshd(f"-P {extensions}")


@pytest.fixture(scope="session")
def read_only_sshd() -> Iterator[Sshd]:
    """One that lets nobody write."""
    yield from _sshd("-R")


def _sshd(words: str) -> Iterator[Sshd]:
    pytest.importorskip("paramiko", reason="paramiko is not installed (extra test)")
    with contextlib.ExitStack() as stack:
        with _or_skip():
            found = stack.enter_context(sshd_running(words))
        yield found


@pytest.fixture
def line_to() -> Iterator[Callable[[Sshd], Line]]:
    """Put a line that can be cut before an sshd: ``line_to(sshd)``."""
    with contextlib.ExitStack() as stack:

        def make(server: Sshd) -> Line:
            line = Line(server.port)
            stack.callback(line.close)
            return line

        yield make


@pytest.fixture
def web() -> Iterator[Web]:
    """An empty web server of this test's own."""
    with Web() as server:
        yield server


@pytest.fixture
def drive_server() -> Iterator[DriveServer]:
    """An empty Drive of this test's own. The test fails when a request was not what the API takes.

    A test that wants one to be refused clears `drive_server.violations` itself.
    """
    pytest.importorskip("googleapiclient", reason="google-api-python-client is not installed (extra gdrive)")
    with DriveServer() as server:
        yield server
    if server.violations:
        pytest.fail("not what the Drive API takes:\n" + "\n".join(server.violations), pytrace=False)


@pytest.fixture
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Let the pace of Drive's driver cost no time in this process: its clock runs on by what it sleeps, told here."""
    from dvc_like.remote.gdrive import pace

    slept: list[float] = []
    ahead = 0.0

    def now() -> float:
        return time.monotonic() + ahead

    def sleep_until(moment: float) -> None:
        nonlocal ahead
        slept.append(max(0.0, moment - now()))
        ahead = max(ahead, moment - time.monotonic())

    monkeypatch.setattr(pace, "sleep_until", sleep_until)
    monkeypatch.setattr(pace, "now", now)
    return slept
