"""Work for the disk while the next files are read: one thread at a time, whose error is not lost."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Background:
    """Runs one piece of work after the other, each in a thread of its own. Guarded by its owner."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._errors: list[BaseException] = []

    @property
    def is_busy(self) -> bool:
        """Tell whether a piece of work is not done yet."""
        return self._thread is not None and self._thread.is_alive()

    def start(self, work: Callable[[], None]) -> None:
        """Begin a piece of work; the one before must be done."""
        self._thread = threading.Thread(target=self._watched, args=(work,), daemon=True)
        self._thread.start()

    def _watched(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:
            self._errors.append(error)

    def check(self) -> None:
        """Raise what work that is done failed with: no use in going on."""
        if self._errors:
            raise self._errors[0]

    def join(self) -> None:
        """Wait until nothing is being worked on."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def settle(self) -> None:
        """Wait, and raise what the work failed with; once."""
        self.join()
        if self._errors:
            raise self._errors.pop()
