"""Progress: a bar at a terminal, a line now and then elsewhere, nothing while work is short.

Owns the `Progress` that draws. The rich package is loaded only when a bar is really drawn.
"""

from __future__ import annotations

import sys
import threading
import time
from typing import Any

from .words import human_size

_PATIENCE = 0.4  # seconds before anything is shown
_EVERY_TERMINAL = 0.1
_EVERY_LINE = 10.0


class Bars:
    """Draws on stderr."""

    def __init__(self) -> None:
        self.terminal = sys.stderr.isatty()

    def task(self, verb: str) -> _Task:
        """Open a task."""
        return _Task(verb, self.terminal)

    def note(self, message: str) -> None:
        """Print a line between the bars."""
        print(message, file=sys.stderr, flush=True)


class _Task:
    """Counts cheaply; draws at most ten times a second."""

    def __init__(self, verb: str, terminal: bool) -> None:
        self._verb = verb
        self._terminal = terminal
        self._mutex = threading.Lock()
        self._files = self._size = self._all_files = self._all_size = 0
        self._begin = time.monotonic()
        self._next = self._begin + (_PATIENCE if terminal else _EVERY_LINE)
        self._bar: Any = None
        self._id: Any = None

    def __enter__(self) -> _Task:
        return self

    def __exit__(self, *exc: object) -> None:
        if self._bar is not None:
            self._draw()
            self._bar.stop()

    def expect(self, *, files: int = 0, size: int = 0) -> None:
        """More is known to come."""
        with self._mutex:
            self._all_files += files
            self._all_size += size

    def advance(self, *, files: int = 0, size: int = 0) -> None:
        """So much more is done."""
        with self._mutex:
            self._files += files
            self._size += size
            now = time.monotonic()
            if now < self._next:
                return
            self._next = now + (_EVERY_TERMINAL if self._terminal else _EVERY_LINE)
            if self._terminal:
                self._draw()
            else:
                self._print(now)

    def _share(self) -> float | None:
        """Return how much is done: by bytes where all that come are known, else by files."""
        for done, whole in ((self._size, self._all_size), (self._files, self._all_files)):
            if whole and done <= whole:
                return done / whole
        return None

    def _counts(self) -> str:
        files = f"{self._files:,}" + (f"/{self._all_files:,}" if self._all_files else "") + " files"
        rate = self._size / max(time.monotonic() - self._begin, 0.001)
        return f"{files}  {human_size(self._size)}  {human_size(rate)}/s"

    def _left(self) -> str:
        share = self._share()
        if not share:
            return ""
        seconds = int((time.monotonic() - self._begin) * (1 - share) / share)
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02} left"

    def _draw(self) -> None:
        if self._bar is None:
            self._bar, self._id = _new_bar(self._verb)
        share = self._share()
        self._bar.update(
            self._id,
            completed=(share or 0) * 100,
            total=None if share is None else 100,
            counts=self._counts(),
            left=self._left(),
        )

    def _print(self, now: float) -> None:
        share = self._share()
        percent = f"{share:.0%}  " if share is not None else ""
        print(f"{self._verb}: {percent}{self._counts()}  {self._left()}".rstrip(), file=sys.stderr, flush=True)


def _new_bar(verb: str) -> tuple[Any, Any]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[counts]}"),
        TextColumn("{task.fields[left]}"),
        console=Console(stderr=True),
        transient=True,
        expand=True,
    )
    bar.start()
    return bar, bar.add_task(verb, counts="", left="")
