"""Progress: a bar at a terminal, a line now and then elsewhere, nothing while work is short.

Owns the `Progress` that draws. The rich package is loaded only when a bar is really drawn.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Any

from ..paths import show_lines
from .words import human_size

_PATIENCE = 0.4  # seconds before anything is shown
_EVERY_TERMINAL = 0.1
_EVERY_LINE = 10.0
_FILE = 256 << 10  # a file more takes about as long as so many bytes more
_NARROW, _WIDE = 80, 100  # columns: below the one not all fits, from the other on a bar fits too
_ROOM = 3  # columns left free, where a terminal echoes ^C: a full line would wrap, and could not be wiped out


class Bars:
    """Draws on stderr, from a thread of its own: work that says nothing for a while is seen to be alive."""

    def __init__(self) -> None:
        # A CI service may give a job a terminal that nobody looks at while it runs: its log wants lines.
        self.terminal = sys.stderr.isatty() and os.environ.get("CI", "").lower() in ("", "0", "false")
        self._mutex = threading.Lock()
        self._open: set[_Task] = set()
        self._running = False

    def task(self, verb: str) -> _Task:
        """Open a task."""
        return _Task(verb, self)

    def note(self, message: str) -> None:
        """Print a line between the bars."""
        print(show_lines(message), file=sys.stderr, flush=True)

    def begin(self, task: _Task) -> None:
        """Look at a task from now on."""
        with self._mutex:
            self._open.add(task)
            if not self._running:
                self._running = True
                threading.Thread(target=self._run, daemon=True).start()

    def end(self, task: _Task) -> None:
        """Look at it no more."""
        with self._mutex:
            self._open.discard(task)

    def _run(self) -> None:
        while True:
            time.sleep(_EVERY_TERMINAL)
            with self._mutex:
                tasks = tuple(self._open)
                self._running = bool(tasks)
            if not tasks:
                return
            for task in tasks:
                task.look()


class _Task:
    """Counts cheaply."""

    def __init__(self, verb: str, bars: Bars) -> None:
        self._verb = verb
        self._bars = bars
        self._mutex = threading.Lock()
        self._files = self._size = self._all_files = self._all_size = 0
        self._begin = time.monotonic()
        self._next = self._begin + (_PATIENCE if bars.terminal else _EVERY_LINE)
        self._bar: Any = None
        self._id: Any = None
        self._closed = False

    def __enter__(self) -> _Task:
        self._bars.begin(self)
        return self

    def __exit__(self, *exc: object) -> None:
        self._bars.end(self)
        with self._mutex:
            self._closed = True
            if self._bar is not None:
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

    def look(self) -> None:
        """Show how far it is, if it is time to."""
        now = time.monotonic()
        with self._mutex:
            if self._closed or now < self._next:
                return
            if self._bars.terminal:
                self._draw(now)
            else:
                self._next = now + _EVERY_LINE
                share = self._share()
                done = f"{share:.0%}" if share is not None else ""
                words = [f"{self._verb}:", done, *self._counts(now), self._left(now)]
                print("  ".join(filter(None, words)), file=sys.stderr, flush=True)

    def _share(self) -> float | None:
        """Return how much is done; bytes count where all that come are known."""
        known = self._size <= self._all_size
        done = self._files * _FILE + (self._size if known else 0)
        whole = self._all_files * _FILE + (self._all_size if known else 0)
        return done / whole if whole and done <= whole else None

    def _counts(self, now: float, *, short: bool = False) -> list[str]:
        """Return files, bytes and rate, as far as they say something and there is room."""
        words = []
        if self._files or self._all_files > 1:
            words.append(f"{self._files:,}" + (f"/{self._all_files:,}" if self._all_files else "") + " files")
        if self._all_size >= self._size and self._all_size and not short:
            words.append(f"{human_size(self._size)} of {human_size(self._all_size)}")
        elif self._size:
            words.append(human_size(self._size))
        if self._size and not short:
            words.append(f"{human_size(self._size / max(now - self._begin, 0.001))}/s")
        return words

    def _left(self, now: float) -> str:
        share = self._share()
        if not share:
            return ""
        seconds = int((now - self._begin) * (1 - share) / share)
        return f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02} left"

    def _draw(self, now: float) -> None:
        if self._bar is None:
            self._bar, self._id = _new_bar(self._verb)
        share = self._share()
        self._bar.update(
            self._id,
            completed=(share or 0) * 100,
            total=None if share is None else 100,
            counts="  ".join([*self._counts(now, short=self._bar.console.width < _NARROW), self._left(now)]),
        )


def _new_bar(verb: str) -> tuple[Any, Any]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, ProgressColumn, SpinnerColumn, TextColumn

    console = Console(stderr=True)
    console.width -= _ROOM
    columns: list[ProgressColumn] = [SpinnerColumn(), TextColumn("{task.description}")]
    if console.width >= _WIDE:
        columns.append(BarColumn(bar_width=console.width - _NARROW))
    bar = Progress(*columns, TextColumn("{task.fields[counts]}"), console=console, transient=True)
    bar.start()
    return bar, bar.add_task(verb, counts="")
