"""The contract over SFTP, against a real sshd; what the driver refuses, survives and says."""

from __future__ import annotations

import io
import os
import stat
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.servers.sshd import Line, Sshd

from dvc_like.errors import ConfigError, RemoteDenied, RemoteNotFound, RemoteQuota, RemoteUnavailable
from dvc_like.remote.base import Backend
from dvc_like.remote.registry import open_backend
from dvc_like.remote.wrap import wrap
from dvc_like.testing import BackendContract
from dvc_like.testing.samples import difference, load, pattern, store

MIB = 1 << 20


class TestSftp(BackendContract):
    MANY = 20

    @pytest.fixture(autouse=True)
    def place(self, sshd: Sshd, home: Path) -> None:
        sshd.trust(home)
        self.url, self.options = sshd.url(uuid.uuid4().hex), {"fsspec": sshd.options()}

    def make_backend(self) -> Backend:
        return open_backend(self.url, self.options, "/")

    reopen = make_backend


class Lab:
    """A folder of this test's own on a server, and backends on it."""

    def __init__(self, server: Sshd) -> None:
        self.server = server
        self.name = uuid.uuid4().hex
        self.folder = server.folder / self.name
        self._open: list[Backend] = []

    def backend(self, *, port: int = 0, url: str = "", options: str = "", timeout: str = "20") -> Backend:
        where = url or self.server.url(self.name, port=port)
        made = open_backend(where, {"fsspec": options or self.server.options(), "timeout": timeout}, "/")
        self._open.append(made)
        return made

    def close(self) -> None:
        for backend in self._open:
            backend.close()


@pytest.fixture
def lab(sshd: Sshd, home: Path) -> Iterator[Lab]:
    sshd.trust(home)
    made = Lab(sshd)
    yield made
    made.close()


@pytest.fixture
def line(lab: Lab, line_to: Callable[[Sshd], Line], home: Path) -> Line:
    made = line_to(lab.server)
    lab.server.trust(home, port=made.port)
    return made


# ------------------------------------------------------------------------------ who is at the other end


def test_a_server_that_nobody_knows_is_refused(lab: Lab, home: Path) -> None:
    (home / ".ssh/known_hosts").unlink()
    with pytest.raises(RemoteDenied, match=r"in no known_hosts \(ssh-ed25519 SHA256:") as raised:
        lab.backend().stat(["a"])
    assert f"ssh -p {lab.server.port} 127.0.0.1" in raised.value.hint
    assert not (home / ".ssh/known_hosts").exists()  # and is not known afterwards either


def test_a_server_with_another_key_is_refused(lab: Lab, home: Path) -> None:
    (home / ".ssh/known_hosts").unlink()
    lab.server.trust(home, key=lab.server.wrong_key.with_suffix(".pub").read_text().strip())
    with pytest.raises(RemoteDenied, match="another key than the one in known_hosts"):
        lab.backend().put("a", b"x")
    assert not lab.folder.exists()


def test_a_file_of_host_keys_of_its_own(lab: Lab, home: Path, tmp_path: Path) -> None:
    (home / ".ssh/known_hosts").rename(tmp_path / "hosts")
    store(lab.backend(options=lab.server.options(known_hosts=str(tmp_path / "hosts"))), {"a": b"x"})
    with pytest.raises(ConfigError, match="there is no file"):
        lab.backend(options=lab.server.options(known_hosts="no-such-file"))
    for name in ("host_key_policy", "password"):
        with pytest.raises(ConfigError, match=f"{name} is not to be set"):
            lab.backend(options=lab.server.options(**{name: "auto_add"}))


@pytest.mark.parametrize("options", ["wrong", "none"])
def test_a_key_that_does_not_let_in(lab: Lab, options: str) -> None:
    given = lab.server.options(key_filename=str(lab.server.wrong_key))
    if options == "none":
        given = '{"look_for_keys": false, "allow_agent": false}'
    with pytest.raises(RemoteDenied, match="lets nobody in") as raised:
        lab.backend(options=given).stat(["a"])
    assert "key_filename" in raised.value.hint


def test_what_ssh_is_configured_to_is_used(lab: Lab, home: Path) -> None:
    text = "Host lab\n HostName 127.0.0.1\n Port {}\n User {}\n IdentityFile {}\n"
    (home / ".ssh/config").write_text(text.format(lab.server.port, lab.server.user, lab.server.key))
    url = f"fsspec+ssh://lab{lab.folder}"
    store(lab.backend(url=url, options="{}"), {"a": b"x"})
    assert (lab.folder / "a").read_bytes() == b"x"
    (home / ".ssh/config").write_text("Host lab\n ProxyJump gate\n")
    with pytest.raises(RemoteDenied, match="through another host"):
        lab.backend(url=url).stat(["a"])


def test_settings_that_ssh_does_not_know(lab: Lab) -> None:
    with pytest.raises(RemoteDenied, match=r"key_file"):
        lab.backend(options='{"key_file": "x"}').stat(["a"])


def test_nothing_answers(lab: Lab, line: Line) -> None:
    line.close()
    with pytest.raises(RemoteUnavailable, match="nothing answers there"):
        lab.backend(port=line.port).stat(["a"])


# ------------------------------------------------------------------------------ servers of other kinds


def test_a_server_without_extensions(plain_sshd: Sshd, home: Path, request: pytest.FixtureRequest) -> None:
    plain_sshd.trust(home)
    lab = Lab(plain_sshd)
    request.addfinalizer(lab.close)
    backend = lab.backend()
    store(backend, {"a": b"first", "b/c": pattern(MIB)})
    store(backend, {"a": b"second"})
    backend.put("a", b"third", once=True)
    assert load(backend, "a") == b"second"
    assert not difference(load(backend, "b/c"), pattern(MIB))
    assert [key for key, _ in backend.list("")] == ["a", "b/c"]


def test_a_server_that_lets_nobody_write(read_only_sshd: Sshd, home: Path, request: pytest.FixtureRequest) -> None:
    read_only_sshd.trust(home)
    lab = Lab(read_only_sshd)
    request.addfinalizer(lab.close)
    with pytest.raises(RemoteDenied, match="permission denied"):
        lab.backend().put("a", b"x")
    lab.folder.mkdir()
    (lab.folder / "a").write_bytes(b"there")
    (lab.folder / "a").chmod(0o644)
    lab.folder.chmod(0o755)
    assert load(lab.backend(), "a") == b"there"


def test_a_folder_that_is_not_there(lab: Lab) -> None:
    backend = lab.backend(url=lab.server.url("not/mounted/store"))
    for ask in (lambda: backend.stat(["a"]), lambda: load(backend, "a"), lambda: backend.put("a", b"x")):
        with pytest.raises(RemoteDenied, match=r"there is no .*/not/mounted"):
            ask()
    with pytest.raises(RemoteDenied, match=r"there is no .*/not/mounted"):
        list(backend.list(""))


def test_a_disk_that_is_full(lab: Lab, small_disk: Callable[[int], Path]) -> None:
    disk = small_disk(3 * MIB)
    disk.chmod(0o777)
    for folder in disk.parents:
        folder.chmod(stat.S_IMODE(folder.stat().st_mode) | 0o011) if folder.stat().st_uid == os.getuid() else None
    authority = lab.server.url().split("//")[1].split("/")[0]
    backend = lab.backend(url=f"fsspec+sftp://{authority}{disk}/store")
    store(backend, {"small": b"x"})
    with pytest.raises(RemoteQuota, match="no space is left"):
        backend.put("big", pattern(8 * MIB))
    assert [key for key, _ in backend.list("")] == ["small"]
    assert list((disk / "store/tmp").iterdir()) == []
    store(backend, {"later": pattern(MIB)})


# ------------------------------------------------------------------------------ connections


def test_a_line_that_is_cut_while_putting(lab: Lab, line: Line) -> None:
    backend = lab.backend(port=line.port)
    store(backend, {"a": b"old"})
    line.at(2 * MIB, line.cut)
    with pytest.raises(RemoteUnavailable):
        backend.put("a", pattern(6 * MIB))
    assert (lab.folder / "a").read_bytes() == b"old"
    line.mend()
    store(backend, {"a": pattern(6 * MIB)})
    assert not difference((lab.folder / "a").read_bytes(), pattern(6 * MIB))


def test_a_get_goes_on_where_the_line_was_cut(lab: Lab, line: Line) -> None:
    data = pattern(6 * MIB)
    store(lab.backend(), {"a": data})

    class Cutting(io.BytesIO):
        def write(self, piece: bytes | memoryview, /) -> int:  # type: ignore[override]
            if self.tell() < 3 * MIB <= self.tell() + len(piece):
                line.cut()
                line.mend()
            return super().write(piece)

    sink = Cutting()
    wrap(lab.backend(port=line.port), attempts=3, concurrency=1).get("a", sink)
    assert not difference(sink.getvalue(), data)
    assert line.connections == 2


def test_a_server_that_falls_silent(lab: Lab, line: Line) -> None:
    backend = lab.backend(port=line.port, timeout="0.3")
    store(backend, {"a": b"x"})
    silent = threading.Event()
    line.at(1, silent.wait)  # from now on nothing is passed on
    try:
        with pytest.raises(RemoteUnavailable, match="no answer in time"):
            backend.stat(["a"])
    finally:
        silent.set()
    assert backend.stat(["a"])["a"].size == 1


def test_no_more_connections_than_calls_in_flight(lab: Lab, line: Line) -> None:
    backend = wrap(lab.backend(port=line.port), attempts=1, concurrency=3)
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(lambda number: backend.put(f"a/{number}", b"x" * 1000), range(40)))
    assert sum(1 for _ in backend.list("")) == 40
    assert line.connections <= 3


def test_a_process_that_was_forked_connects_anew(lab: Lab, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = lab.backend(port=line.port)
    store(backend, {"a": b"x"})
    backend.stat(["a"])
    assert line.connections == 1
    monkeypatch.setattr(os, "getpid", lambda: -1)
    assert load(backend, "a") == b"x"
    assert line.connections == 2


# ------------------------------------------------------------------------------ what else lies there


def test_foreign_names_are_not_listed(lab: Lab) -> None:
    backend = lab.backend()
    store(backend, {"a": b"x", "b/c": b"y"})
    for name in ("a b", "ü", "new\nline", "\x1b[2J", "back\\slash", "b/-c d"):
        (lab.folder / name).write_bytes(b"foreign")
    (lab.folder / "link").symlink_to("/etc/passwd")
    (lab.folder / "folder").symlink_to("/etc")
    (lab.folder / "tmp" / f"put-{uuid.uuid4().hex}").write_bytes(b"half")
    assert [key for key, _ in backend.list("")] == ["a", "b/c"]
    with pytest.raises(RemoteNotFound):
        load(backend, "b")


def test_only_what_is_old_and_ours_is_swept(lab: Lab) -> None:
    backend = lab.backend()
    store(backend, {"a": b"x"})
    names = {name: lab.folder / "tmp" / name for name in (f"put-{'0' * 32}", f"put-{'1' * 32}", ".dvc-like-tmp-1@host")}
    for path in names.values():
        path.write_bytes(b"half")
    old, new, mark = names.values()
    for path in (old, mark):
        os.utime(path, (1, 1))
    assert backend.sweep(3600) == 1
    assert not old.exists()
    assert new.exists()
    assert mark.exists()  # of a process that uses the same folder as one of its own
