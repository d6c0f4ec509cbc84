"""How fast Drive lets us go: one measure for all threads of a backend.

Owns two buckets (all calls; files made), which shrink when Drive says that it is too much and grow again slowly, and
the pause that all threads take together then. Google documents minutes and days; about three new files a second is
what it lets through.
"""

from __future__ import annotations

import random
import threading
import time

CALLS, BURST = 10.0, 100.0  # a second, and what may be saved up
CREATES, CREATES_BURST = 3.0, 15.0
LEAST = 0.2
LONGEST = 60.0  # seconds of one pause
PATIENCE = 300.0  # so long may everything be refused without one success

now = time.monotonic


def sleep_until(moment: float) -> None:
    """Return at a moment of `now`, or later."""
    time.sleep(max(0.0, moment - now()))


class _Bucket:
    def __init__(self, rate: float, burst: float) -> None:
        self.most, self.burst = rate, burst
        self.rate, self.level, self.filled = rate, burst, now()

    def delay(self, at: float) -> float:
        """Return how long until something is in it."""
        self.level = min(self.burst, self.level + (at - self.filled) * self.rate)
        self.filled = at
        return max(0.0, (1.0 - self.level) / self.rate)


class Pace:
    """Asked before every request, told of every answer."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._calls = _Bucket(CALLS, BURST)
        self._creates = _Bucket(CREATES, CREATES_BURST)
        self._until = now()
        self._pauses = 0  # in a row
        self._refused_since: dict[bool, float] = {}  # of what sends files, and of what does not

    def wait(self, *, creates: bool) -> None:
        """Return when one more request may be sent."""
        buckets = [self._calls, self._creates] if creates else [self._calls]
        while True:
            with self._mutex:
                at = now()
                delay = max(self._until - at, *(bucket.delay(at) for bucket in buckets))
                if delay < 1e-3:
                    for bucket in buckets:
                        bucket.level -= 1
                    return
            sleep_until(at + delay)

    def passed(self, *, uploads: bool) -> None:
        """Hear that a request was answered."""
        with self._mutex:
            self._refused_since.pop(False, None)  # of reading nobody has an allowance of his own
            if uploads:
                self._refused_since.pop(True, None)
            if not self._refused_since:
                self._pauses = 0
            for bucket in (self._calls, self._creates):
                bucket.rate = min(bucket.most, bucket.rate + bucket.most / 50)

    def refused(self, asked: float | None, *, uploads: bool) -> bool:
        """Hear that it was too much, and how many seconds were `asked` for; tell whether trying again makes sense.

        All that was under way is refused together: only the first of it makes the pause longer.
        """
        with self._mutex:
            at = now()
            since = self._refused_since.setdefault(uploads, at)
            if at >= self._until:
                self._pauses += 1
                bucket = self._creates if uploads else self._calls
                bucket.rate = max(LEAST, bucket.rate / 2)
                bucket.level = min(bucket.level, 1.0)
                pause = min(LONGEST, 2.0 ** (self._pauses - 1)) * (0.5 + 0.5 * random.random())
                self._until = at + pause
            if asked is not None:
                self._until = max(self._until, at + min(asked, PATIENCE) + random.random())
            return at - since < PATIENCE
