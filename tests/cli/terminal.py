"""The real command at a terminal: what it shows is read as it comes, and answered."""

from __future__ import annotations

import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Mapping

_PATIENCE = 60.0  # seconds
#: The terminal becomes the process's own when it is opened, so that Ctrl-C reaches it.
_START = """\
import os, signal, sys
os.close(os.open(os.ttyname(0), os.O_RDWR))
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # else what runs under nohup keeps its children after the terminal is gone
os.execv(sys.executable, [sys.executable, "-m", "dvc_like", *sys.argv[1:]])
"""


class Terminal:
    """``dvc-like *arguments`` whose stdin, stdout and stderr are one terminal."""

    def __init__(self, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        import pty

        self._own, theirs = pty.openpty()
        self.shown = ""
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, *arguments],
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
                env={**os.environ, "PYTHONSAFEPATH": "1", "TERM": "dumb", **(env or {})},
                start_new_session=True,
            )
        finally:
            os.close(theirs)

    def until(self, pattern: str) -> re.Match[str]:
        """Wait until it has shown something that the pattern fits; return the match."""
        ends = time.monotonic() + _PATIENCE
        while not (match := re.search(pattern, self.shown)):
            left = ends - time.monotonic()
            assert left > 0, f"{pattern!r} did not come:\n{self.shown}"
            assert self._read(left), f"it ended before {pattern!r}:\n{self.shown}"
        return match

    def _read(self, seconds: float) -> bool:
        if not select.select([self._own], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self._own, 65536)
        except OSError:  # so Linux says that nobody holds the other end any more
            return False
        self.shown += data.decode("utf-8", "replace").replace("\r\n", "\n")
        return bool(data)

    def type(self, text: str) -> None:
        """Type something."""
        os.write(self._own, text.encode())

    def end(self, *, interrupt: bool = False) -> int:
        """Read the rest and return the exit code; with `interrupt`, Ctrl-C is typed.

        Every five seconds anew: Python does not notice one that comes while its line editor is starting.
        """
        ends = time.monotonic() + _PATIENCE
        while True:
            if interrupt:
                self.type("\x03")
            again = time.monotonic() + 5
            while (now := time.monotonic()) < again or not interrupt:
                assert now < ends, f"it did not end:\n{self.shown}"
                if not self._read(1):
                    return self._process.wait(_PATIENCE)

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._own)
