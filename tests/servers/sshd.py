"""A real sshd on 127.0.0.1, for tests: without root's power, with keys of its own, and a line that can be cut.

Where tests run as root it belongs to another user, whose permissions bind it.
"""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .guard import Failed, _die_with_parent
from .tools import Missing

PATIENCE = 30.0  # seconds
_OTHER = "daemon"  # "nobody" counts as locked where systemd answers for it

_CONFIG = """\
ListenAddress 127.0.0.1
Port {port}
HostKey {folder}/host
PidFile none
AuthorizedKeysFile {folder}/authorized
PasswordAuthentication no
KbdInteractiveAuthentication no
UsePAM no
StrictModes no
MaxStartups 100
Subsystem sftp internal-sftp {sftp}
"""


@dataclass(frozen=True)
class Sshd:
    """One that runs. `folder` is a place the user may write to; `key` lets in, `wrong_key` does not."""

    port: int
    user: str
    folder: Path
    key: Path
    wrong_key: Path
    host_key: str

    def url(self, path: str = "store", *, port: int = 0) -> str:
        """Return the url of a remote below the folder, reached at another port if one is given."""
        return f"fsspec+sftp://{self.user}@127.0.0.1:{port or self.port}{self.folder}/{path}"

    def options(self, **more: str) -> str:
        """Return what `remote.NAME.fsspec` has to be for the key that lets in."""
        return json.dumps({"key_filename": str(self.key), "allow_agent": False, "look_for_keys": False, **more})

    def trust(self, home: Path, *, port: int = 0, key: str = "") -> None:
        """Write into ``known_hosts`` what the server is known by."""
        file = home / ".ssh" / "known_hosts"
        file.parent.mkdir(mode=0o700, exist_ok=True)
        with open(file, "a") as lines:
            lines.write(f"[127.0.0.1]:{port or self.port} {key or self.host_key}\n")


def _keys(path: Path) -> str:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(path)], check=True)
    return path.with_suffix(".pub").read_text()


@contextlib.contextmanager
def running(sftp: str = "") -> Iterator[Sshd]:
    """Start one; `sftp` are words for its ``internal-sftp``. Raises `Missing` where there is none."""
    program = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if os.name != "posix" or program is None or shutil.which("ssh-keygen") is None:
        raise Missing("sshd is not installed (openssh-server)")
    import pwd  # not on Windows

    root = Path(tempfile.mkdtemp(prefix="sshd-"))
    other: dict[str, Any] = {}
    if not os.geteuid():
        other = {"user": _OTHER, "group": pwd.getpwnam(_OTHER).pw_gid, "extra_groups": []}
    try:
        root.chmod(0o711)
        own = root / "own"
        own.mkdir(mode=0o755)
        host_key = _keys(own / "host")
        (own / "authorized").write_text(_keys(root / "key"))
        _keys(root / "wrong")
        (own / "files").mkdir()
        if other:
            for path in (own, *own.iterdir()):
                shutil.chown(path, _OTHER)
        with _started(program, own, sftp, other) as port:
            user = _OTHER if other else getpass.getuser()
            yield Sshd(port, user, own / "files", root / "key", root / "wrong", host_key.strip())
    finally:
        shutil.rmtree(root, ignore_errors=True)


@contextlib.contextmanager
def _started(program: str, own: Path, sftp: str, other: dict[str, Any]) -> Iterator[int]:
    log = own.parent / "log"
    while True:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        (own / "config").write_text(_CONFIG.format(port=port, folder=own, sftp=sftp))
        with open(log, "wb") as output:
            words = [program, "-D", "-e", "-f", str(own / "config")]
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - it makes one call
                **other,
            )
        try:
            end = time.monotonic() + PATIENCE
            while "Server listening" not in log.read_text():
                if process.poll() is not None or time.monotonic() > end:
                    break
                time.sleep(0.01)
            else:
                yield port
                return
            text = log.read_text()
            if "already in use" not in text:  # else somebody took the port meanwhile
                raise Failed(text)
        finally:
            process.kill()
            process.wait()


class Line:
    """Passes bytes on to a server, and counts those sent to it. A test may act when there were so many, and cut it."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.sent = 0
        self.connections = 0
        self._at: tuple[int, Callable[[], None]] | None = None
        self._ends: list[socket.socket] = []
        self._mutex = threading.Lock()
        self._down = False
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def at(self, count: int, call: Callable[[], None]) -> None:
        """Call something, once, when so many bytes more were sent to the server; they are not passed on then."""
        with self._mutex:
            self._at = (self.sent + count, call)

    def cut(self) -> None:
        """Break every connection, and take no new one until `mend`."""
        with self._mutex:
            self._down = True
            ends, self._ends = self._ends, []
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        """Take new connections again."""
        self._down = False

    def _accept(self) -> None:
        while True:
            try:
                here, _ = self._listener.accept()
            except OSError:
                return
            if self._down:
                here.close()
                continue
            there = socket.create_connection(("127.0.0.1", self._target))
            with self._mutex:
                self.connections += 1
                self._ends += [here, there]
            for source, sink, counted in ((here, there, True), (there, here, False)):
                thread = threading.Thread(target=self._pump, args=(source, sink, counted))
                self._threads.append(thread)
                thread.start()

    def _pump(self, source: socket.socket, sink: socket.socket, counted: bool) -> None:
        with source, contextlib.suppress(OSError):
            while data := source.recv(65536):
                if counted:
                    self._count(len(data))
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)

    def _count(self, size: int) -> None:
        with self._mutex:
            self.sent += size
            due, call = self._at or (0, None)
            if call is None or self.sent < due:
                return
            self._at = None
        call()

    def close(self) -> None:
        """Break everything, and wait until nothing is passed on any more."""
        with contextlib.suppress(OSError):  # closed before
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for thread in self._threads:
            thread.join()
