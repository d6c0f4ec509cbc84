"""Deleting on a store that others push to: announced before it is done, and not done once the announcement is old.

Owns how long who deletes may go on, and from when on an announcement is taken for that of a dead process. The clocks of
two machines are never compared for that: who deletes looks at its own, and who waits remembers, in a file beside its
copies of indexes, when it saw the announcement first. The second time is so much longer than the first that what was
still on its way to the store has arrived.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection, Iterable
from copy import copy

from ..errors import RemoteError, RemoteUnavailable
from ..fsutil import Dir
from .base import Backend
from .wrap import Wrapper

LONGEST = 600  # seconds after its announcement in which a name may be deleted
OVER = 3600  # seconds after this machine saw an announcement first: who made it deletes nothing more
FORGOTTEN = 86_400  # the same by the time in its name, which is another machine's, for who was not here before


class Fenced(Wrapper):
    """Deletes only for so many seconds. Stands inside what tries again, so that every attempt is asked.

    `in_doubt` tells that a request to delete has no answer: the store may be at it yet.
    """

    def __init__(self, inner: Backend, seconds: float = LONGEST) -> None:
        super().__init__(inner)
        self.in_doubt = False
        self._seconds = seconds
        self._since = time.time(), time.monotonic()

    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys, or raise `RemoteError` when it is too late."""
        # Whichever went further: one stands still while the machine sleeps, the other may be set back.
        if max(abs(time.time() - self._since[0]), time.monotonic() - self._since[1]) > self._seconds:
            raise RemoteError(
                f"gc stopped: what it was deleting took longer than {self._seconds / 60:g} minutes",
                hint="Others may count on the rest by now. Run gc again.",
            )
        self.in_doubt = not self.capabilities.cheap_stat  # a store that is near goes on with nothing
        try:
            self.inner.delete(keys)
        except RemoteUnavailable:
            raise
        except RemoteError:
            self.in_doubt = False
            raise
        self.in_doubt = False


def fenced(backend: Backend) -> tuple[Backend, Fenced]:
    """Return the same store, with its attempts, on which deleting has to be done soon from now on; and the fence."""
    if not isinstance(backend, Wrapper):
        fence = Fenced(backend)
        return fence, fence
    found = copy(backend)
    found.inner = fence = Fenced(backend.inner)
    return found, fence


def over_at(folder: str, name: str, written: float) -> float:
    """Return from when on an announcement counts no more, by this machine's clock; remember in `folder` it was seen.

    `written` is when its maker says it made it.
    """
    seen = now = time.time()
    with contextlib.suppress(OSError):  # where nothing can be remembered, its own time has to do
        os.makedirs(folder, exist_ok=True)
        with Dir.open_root(folder) as here:
            try:
                seen = min(now, float(here.read(name, 40)))
            except (FileNotFoundError, ValueError):
                here.write(name, f"{now:.0f}\n".encode())
    return min(seen + OVER, written + FORGOTTEN)


def forget_copies(folder: str, listed: Collection[str]) -> None:
    """Remove from `folder` the copies of indexes, and the notes on announcements, that `listed` does not name."""
    with contextlib.suppress(OSError), Dir.open_root(folder) as copies:
        for entry in list(copies.entries()):
            if entry.name not in listed:
                copies.unlink(entry.name)
