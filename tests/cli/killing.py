"""Runs the command so that it dies, or is stopped, at a moment that a test chose.

`CHILD` is a program that runs the command line and sends itself a signal right before its N-th change of the file
system (a file opened for writing, a rename, a new folder, a removal, a link); the moments are counted by Python's audit
events, so the same N is the same moment each time.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

CHILD = """
import os, signal, sys
from dvc_like.cli import add, checkout, drop, fetch, get, import_, pull, push, shell, gc, undo, update
from dvc_like.remote import local
signal.signal(signal.SIGINT, signal.default_int_handler)
at, number, seen = int(sys.argv[1]), int(sys.argv[2]), 0
CHANGES = {"os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.utime"}
def hook(event, arguments):
    global seen
    if event in CHANGES or (event == "open" and isinstance(arguments[2], int) and arguments[2] & 3):
        seen += 1
        if seen == at:
            os.kill(os.getpid(), number)
sys.addaudithook(hook)
code = shell.run(sys.argv[3:])
if not at:
    sys.stderr.write(f"changes: {seen}\\n")
sys.exit(code)
"""


def run_child(at: int, words: list[str], cwd: Path, number: int = signal.SIGKILL) -> subprocess.CompletedProcess[str]:
    """Run the command until its change number `at` (0: to the end)."""
    call = [sys.executable, "-c", CHILD, str(at), str(int(number)), *words]
    return subprocess.run(
        call, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120, check=False
    )


def count_changes(words: list[str], cwd: Path) -> int:
    """Run the command to its end; return how many changes it made."""
    done = run_child(0, words, cwd)
    assert done.returncode == 0, done.stderr
    return int(done.stderr.rpartition("changes: ")[2])


def moments(total: int, wanted: int) -> list[int]:
    """Return so many numbers from 1 to `total`, spread evenly."""
    count = min(total, wanted)
    return sorted({1 + round(at * (total - 1) / max(1, count - 1)) for at in range(count)})


def start(words: list[str], cwd: Path, **options: object) -> subprocess.Popen[str]:
    """Start the real command; the caller waits for it."""
    call = [sys.executable, "-m", "dvc_like", *words]
    env = {**os.environ, "PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        call,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,  # type: ignore[call-overload]
    )
