"""Keeps one server alive for as long as somebody uses it, and not a moment longer.

Several processes (the workers of one test run) share a server through a folder:

    lock    held while one joins, starts or stops it
    users   a named pipe, which every user holds open for writing: the kernel counts them, also those that are killed
    ready   its port, once it answers
    log     what it printed
    data/   its files, removed with it

`Guard.join` starts a guard process, this very file, when there is none. The guard starts the server, and ends it when
the pipe has no writer left. The server dies with its guard.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

PATIENCE = 60.0  # seconds to start; a loaded machine needs 5


class Failed(Exception):
    """The server did not start; the text is the end of its log."""


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    import fcntl

    with open(folder / "lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def joined(folder: Path, words: list[str], pattern: str) -> Iterator[int]:
    """Use the server of this folder, which `words` start; give its port, the group of `pattern` in its output.

    ``{data}`` in the words is the folder for its files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with _locked(folder):
        pipe, ready = folder / "users", folder / "ready"
        if not pipe.exists():
            os.mkfifo(pipe)
        fd = os.open(pipe, os.O_RDWR)  # both ends: opening never waits for the other side
        try:
            if not ready.exists():
                _start(folder, words, pattern)
            port = int(ready.read_text())
        except BaseException:
            os.close(fd)
            raise
    try:
        yield port
    finally:
        os.close(fd)


def _start(folder: Path, words: list[str], pattern: str) -> None:
    with open(folder / "log", "wb") as log:
        guard = subprocess.Popen(
            [sys.executable, "-S", __file__, folder, pattern, *words],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,  # a Ctrl-C in the terminal is not for it
        )
    end = time.monotonic() + PATIENCE
    while not (folder / "ready").exists():
        if guard.poll() is not None or time.monotonic() > end:
            guard.kill()
            guard.wait()
            text = (folder / "log").read_text(errors="replace").strip()
            raise Failed(text.rpartition("\n")[2] or "it said nothing")
        time.sleep(0.02)
    guard.returncode = 0  # it outlives us, perhaps: nobody waits for it, and Python need not complain


# ------------------------------------------------------------------------------ the guard process


def _die_with_parent() -> None:
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def guard(folder: Path, pattern: str, words: list[str]) -> None:
    """Start the server, tell its port, and end it when nobody uses it."""
    data = folder / "data"
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir()
    users = os.open(folder / "users", os.O_RDONLY | os.O_NONBLOCK)
    words = [word.replace("{data}", str(data)) for word in words]
    server = subprocess.Popen(words, preexec_fn=_die_with_parent)  # noqa: PLW1509 - this process has no threads
    try:
        port = _port(folder / "log", pattern, server)
        (folder / "ready.tmp").write_text(port)
        os.replace(folder / "ready.tmp", folder / "ready")
        while server.poll() is None:
            if not _abandoned(users, 500):
                continue
            with _locked(folder):
                if _abandoned(users, 0):  # else somebody joined just now
                    (folder / "ready").unlink(missing_ok=True)
                    break
    finally:
        (folder / "ready").unlink(missing_ok=True)
        server.kill()
        server.wait()
        shutil.rmtree(data, ignore_errors=True)


def _abandoned(users: int, milliseconds: int) -> bool:
    poll = select.poll()
    poll.register(users, 0)
    return any(event & select.POLLHUP for _, event in poll.poll(milliseconds))


def _port(log: Path, pattern: str, server: subprocess.Popen[bytes]) -> str:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end and server.poll() is None:
        if match := re.search(pattern, log.read_text(errors="replace")):
            return match[1]
        time.sleep(0.02)
    raise SystemExit(f"the server ended with {server.returncode}" if server.poll() is not None else "no answer")


if __name__ == "__main__":
    guard(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
