"""What is the same for every kind of storage: trying again, bounding what is in flight, and a log.

Owns the wrappers, each a `Backend` around a `Backend`, and `wrap`, the one place that stacks them. Knows no driver:
what may be tried again is told by the class of the error.
"""

from __future__ import annotations

import contextlib
import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from queue import SimpleQueue
from typing import Any, TypeVar

from ..errors import RemoteUnavailable
from .base import Backend, Info, Sink
from .sinks import Counted
from .source import Source

FIRST_DELAY = 0.5  # seconds; doubles with every attempt that achieved nothing
MAX_DELAY = 30.0
PATIENCE = 300.0  # a store that wants to be left alone for longer is not waited for

Result = TypeVar("Result")
Notes = list[str]  # outside the classes, in which `list` is a method


def wrap(backend: Backend, *, attempts: int, concurrency: int, log: Callable[[str], None] | None = None) -> Retrying:
    """Return `backend` with everything around it. `attempts` counts the first one; 1 means never again."""
    if log is not None:
        backend = Logged(backend, log)  # innermost, so that every attempt is seen and waiting is not counted
    backend = Throttled(backend, concurrency)
    return Retrying(backend, attempts)  # outermost, so that waiting for the next attempt blocks nobody


def seconds_asked(text: str) -> float | None:
    """Return for how long a Retry-After header, a number or a date, asks to be left alone."""
    if text.strip().isdigit():
        return float(text)
    from datetime import datetime, timezone
    from email.utils import parsedate_to_datetime  # slow to load, and hardly ever needed

    with contextlib.suppress(ValueError, TypeError):
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(timezone.utc)).total_seconds())
    return None


class Wrapper(Backend):
    """Hands everything to `inner`; the base of wrappers that change some of it."""

    def __init__(self, inner: Backend) -> None:
        self.inner = inner
        self.capabilities = inner.capabilities

    def put(self, key: str, source: str | bytes | Source, *, label: str = "", once: bool = False) -> None:
        """See `Backend.put`."""
        self.inner.put(key, source, label=label, once=once)

    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        """See `Backend.get`."""
        self.inner.get(key, sink, start=start, length=length)

    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        """See `Backend.stat`."""
        return self.inner.stat(keys)

    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        """See `Backend.list`."""
        return self.inner.list(prefix)

    def delete(self, keys: Iterable[str]) -> None:
        """See `Backend.delete`."""
        self.inner.delete(keys)

    def flush(self) -> None:
        """See `Backend.flush`."""
        self.inner.flush()

    def sweep(self, age: float) -> int:
        """See `Backend.sweep`."""
        return self.inner.sweep(age)

    def close(self) -> None:
        """See `Backend.close`."""
        self.inner.close()


# ------------------------------------------------------------------------------ trying again


class Retrying(Wrapper):
    """Tries again what failed with `RemoteUnavailable`, `attempts` times in a row at most, waiting longer each time.

    An attempt that brought something (bytes of a `get`, keys of a `list`) begins the count anew; what it brought is
    not asked for again. An error with an attribute ``retry_after`` (seconds) says itself how long to wait, one with
    ``kept`` (bytes) how much of a `put` the next attempt will find there: more than before is progress too.
    Once interrupted, other threads get `KeyboardInterrupt` instead of more bytes or another attempt.
    """

    def __init__(
        self,
        inner: Backend,
        attempts: int = 5,
        *,
        max_delay: float = MAX_DELAY,
        sleep: Callable[[float], object] | None = None,
        chance: Callable[[], float] = random.random,
    ) -> None:
        super().__init__(inner)
        self._attempts = attempts
        self._max_delay = max_delay
        self._stop = threading.Event()
        self._sleep = sleep or self._stop.wait
        self._chance = chance

    def interrupt(self) -> None:
        """End what other threads are doing here, as soon as they notice."""
        self._stop.set()

    def _wait(self, failures: int, error: RemoteUnavailable) -> None:
        """Wait before the next attempt, or raise `error` when there is none."""
        if failures >= self._attempts:
            raise error
        asked = getattr(error, "retry_after", None)
        if asked is None:
            delay = min(self._max_delay, FIRST_DELAY * 2 ** min(failures - 1, 32))
            # At least half of it, and not the same for all: many clients failed at the same moment.
            delay *= 0.5 + 0.5 * self._chance()
        elif asked > PATIENCE:
            raise error
        else:
            delay = max(0.0, float(asked)) + FIRST_DELAY * self._chance()
        self._sleep(delay)
        if self._stop.is_set():
            raise KeyboardInterrupt

    def _again(self, call: Callable[..., Result], *arguments: Any, **options: Any) -> Result:
        failures = kept = 0
        while True:
            try:
                return call(*arguments, **options)
            except RemoteUnavailable as error:
                there = getattr(error, "kept", 0)
                failures = 1 if there > kept else failures + 1
                kept = max(kept, there)
                self._wait(failures, error)

    def put(self, key: str, source: str | bytes | Source, *, label: str = "", once: bool = False) -> None:
        """Send the object again: a `put` that failed has left nothing, or parts that it finds by itself."""
        self._again(self.inner.put, key, source, label=label, once=once)

    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        """Go on where the bytes stopped; raise `CorruptData` for more bytes than `length`."""
        counted = Counted(sink, self._stop, key=key, limit=length)
        failures = done = 0
        while True:
            left = None if length is None else length - done
            try:
                return self.inner.get(key, counted, start=start + done, length=left)
            except RemoteUnavailable as error:
                failures = 1 if counted.size > done else failures + 1
                done = counted.size
                if length is not None and done >= length:
                    return None  # the connection broke after the last byte
                self._wait(failures, error)

    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        """Ask for all keys again."""
        return self._again(self.inner.stat, tuple(keys))

    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        """Begin again and leave out what was yielded: the order is the same each time."""
        failures = 0
        last = ""
        while True:
            try:
                for key, info in self.inner.list(prefix):
                    if key > last:
                        last, failures = key, 0
                        yield key, info
                return
            except RemoteUnavailable as error:
                failures += 1
                self._wait(failures, error)

    def delete(self, keys: Iterable[str]) -> None:
        """Ask for all keys again: one that is gone is no error."""
        self._again(self.inner.delete, tuple(keys))

    def flush(self) -> None:
        """Ask again."""
        self._again(self.inner.flush)

    def sweep(self, age: float) -> int:
        """Ask again; what an attempt that failed removed is not counted."""
        return self._again(self.inner.sweep, age)


# ------------------------------------------------------------------------------ bounding


class Throttled(Wrapper):
    """Lets at most `concurrency` calls into `inner` at a time; the others wait.

    A sink or a consumer of `list` that calls the same backend would wait for itself: `list` holds its place only
    while it fetches, `get` as long as it writes.
    """

    def __init__(self, inner: Backend, concurrency: int) -> None:
        super().__init__(inner)
        # A queue of tickets: `threading.Semaphore` costs ten times as much, and that for every small object.
        self._tickets: SimpleQueue[None] = SimpleQueue()
        for _ in range(max(1, concurrency)):
            self._tickets.put(None)

    @contextlib.contextmanager
    def _place(self) -> Iterator[None]:
        self._tickets.get()
        try:
            yield
        finally:
            self._tickets.put(None)

    def put(self, key: str, source: str | bytes | Source, *, label: str = "", once: bool = False) -> None:
        """Wait for a place, then send."""
        self._tickets.get()
        try:
            self.inner.put(key, source, label=label, once=once)
        finally:
            self._tickets.put(None)

    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        """Wait for a place, then receive."""
        self._tickets.get()
        try:
            self.inner.get(key, sink, start=start, length=length)
        finally:
            self._tickets.put(None)

    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        """Wait for a place, then ask."""
        keys = tuple(keys)  # they may come from a `list` of this backend, which needs places too
        with self._place():
            return self.inner.stat(keys)

    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        """Wait for a place whenever the next key is fetched."""
        found = self.inner.list(prefix)
        while True:
            with self._place():
                pair = next(found, None)
            if pair is None:
                return
            yield pair

    def delete(self, keys: Iterable[str]) -> None:
        """Wait for a place, then remove."""
        keys = tuple(keys)
        with self._place():
            self.inner.delete(keys)

    def flush(self) -> None:
        """Wait for a place, then flush."""
        with self._place():
            self.inner.flush()

    def sweep(self, age: float) -> int:
        """Wait for a place, then sweep."""
        with self._place():
            return self.inner.sweep(age)


# ------------------------------------------------------------------------------ a log


def _size(source: str | bytes | Source) -> int:
    if isinstance(source, Source):
        return source.size
    return len(source) if isinstance(source, bytes) else os.path.getsize(source)


class Logged(Wrapper):
    """Says one line per call: method, key or number of keys, bytes, seconds, and the class of an error.

    Of an error only its class: its text may quote an answer that holds credentials.
    """

    def __init__(
        self, inner: Backend, log: Callable[[str], None], *, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        super().__init__(inner)
        self._log = log
        self._clock = clock

    @contextlib.contextmanager
    def _line(self, what: str) -> Iterator[Notes]:
        begin = self._clock()
        result: Notes = []
        outcome = ""
        try:
            yield result
        except BaseException as error:
            outcome = f" {type(error).__name__}"
            raise
        finally:
            self._log(" ".join([what, *result, f"{self._clock() - begin:.3f} s"]) + outcome)

    def put(self, key: str, source: str | bytes | Source, *, label: str = "", once: bool = False) -> None:
        """Send, and say how much."""
        with self._line(f"put {key}") as result:
            self.inner.put(key, source, label=label, once=once)
            with contextlib.suppress(OSError):
                result.append(f"{_size(source)} bytes")

    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        """Receive, and say how much, also when it broke off."""
        counted = Counted(sink)
        place = f" from {start}" if start else ""
        with self._line(f"get {key}{place}") as result:
            try:
                self.inner.get(key, counted, start=start, length=length)
            finally:
                result.append(f"{counted.size} bytes")

    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        """Ask, and say how many of how many keys are there."""
        keys = tuple(keys)
        with self._line(f"stat {len(keys)} keys") as result:
            found = self.inner.stat(keys)
            result.append(f"{len(found)} found")
            return found

    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        """List, and say how many keys there were, and the seconds until the last was taken."""
        seen = 0
        with self._line(f"list {prefix or '(all)'}") as result:
            try:
                for pair in self.inner.list(prefix):
                    seen += 1
                    yield pair
            finally:
                result.append(f"{seen} keys")

    def delete(self, keys: Iterable[str]) -> None:
        """Remove, and say how many keys were given."""
        keys = tuple(keys)
        with self._line(f"delete {len(keys)} keys"):
            self.inner.delete(keys)

    def flush(self) -> None:
        """Flush, and say so."""
        with self._line("flush"):
            self.inner.flush()

    def sweep(self, age: float) -> int:
        """Sweep, and say how much was found."""
        with self._line(f"sweep {age:g} s") as result:
            found = self.inner.sweep(age)
            result.append(f"{found} removed")
            return found
