"""A backend that fails as told: errors, broken connections, damaged answers, slowness.

Owns `FaultyBackend` and its rules. What calls a backend is tested with it; nothing happens by chance.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from ..errors import RemoteUnavailable
from ..remote.base import Backend, Info, Sink
from ..remote.source import Source
from ..remote.wrap import Wrapper


@dataclass(frozen=True)
class Rule:
    """When something goes wrong: at the `nth` matching call and the `times - 1` after it (0: at all from there on).

    A call matches when it is of `method` and, if `key` is given, one of its keys, or the prefix of a `list`, holds
    `key` somewhere.
    """

    method: str = "get"
    nth: int = 1
    times: int = 1
    key: str = ""


@dataclass(frozen=True)
class Fail(Rule):
    """The call raises `error` instead of doing anything; if `late`, after having done everything."""

    error: Exception = field(default_factory=lambda: RemoteUnavailable("the connection broke"))
    late: bool = False


@dataclass(frozen=True)
class Drop(Rule):
    """A `get` breaks off with `RemoteUnavailable` after so many bytes."""

    after: int = 0


@dataclass(frozen=True)
class Truncate(Rule):
    """A `get` brings only so many bytes, and says nothing."""

    keep: int = 0


@dataclass(frozen=True)
class Flip(Rule):
    """A `get` brings one bit of the byte at an offset (counted from its first) the wrong way round."""

    at: int = 0


@dataclass(frozen=True)
class Slow(Rule):
    """`wait` is called before the call is done: it may block until the test lets it go on."""

    wait: Callable[[], None] = lambda: None


Result = TypeVar("Result")
Calls = list[tuple[str, tuple[str, ...]]]  # outside the class, in which `list` is a method


class FaultyBackend(Wrapper):
    """Hands everything to `inner` but for what the rules say. `calls` lists (method, keys) in their order."""

    def __init__(self, inner: Backend, *rules: Rule) -> None:
        super().__init__(inner)
        self.calls: Calls = []
        self._rules = rules
        self._matched = [0] * len(rules)
        self._mutex = threading.Lock()

    def _due(self, method: str, keys: tuple[str, ...]) -> tuple[Rule, ...]:
        due = []
        with self._mutex:
            self.calls.append((method, keys))
            for at, rule in enumerate(self._rules):
                if rule.method != method or not (not rule.key or any(rule.key in key for key in keys)):
                    continue
                self._matched[at] += 1
                if rule.nth <= self._matched[at] and (not rule.times or self._matched[at] < rule.nth + rule.times):
                    due.append(rule)
        return tuple(due)

    def _do(self, method: str, keys: tuple[str, ...], call: Callable[[], Result]) -> Result:
        due = self._due(method, keys)
        _before(due)
        result = call()
        _after(due)
        return result

    def put(self, key: str, source: str | bytes | Source, *, label: str = "", once: bool = False) -> None:
        """See `Backend.put`."""
        self._do("put", (key,), lambda: self.inner.put(key, source, label=label, once=once))

    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        """See `Backend.get`."""
        due = self._due("get", (key,))
        _before(due)
        for rule in due:
            if isinstance(rule, Drop | Truncate | Flip):
                sink = _Damaging(sink, rule)
        self.inner.get(key, sink, start=start, length=length)
        _after(due)

    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        """See `Backend.stat`."""
        keys = tuple(keys)
        return self._do("stat", keys, lambda: self.inner.stat(keys))

    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        """See `Backend.list`. A late failure comes after the last key."""
        due = self._due("list", (prefix,))
        _before(due)
        yield from self.inner.list(prefix)
        _after(due)

    def delete(self, keys: Iterable[str]) -> None:
        """See `Backend.delete`."""
        keys = tuple(keys)
        self._do("delete", keys, lambda: self.inner.delete(keys))

    def flush(self) -> None:
        """See `Backend.flush`."""
        self._do("flush", (), self.inner.flush)

    def sweep(self, age: float) -> int:
        """See `Backend.sweep`."""
        return self._do("sweep", (), lambda: self.inner.sweep(age))

    def close(self) -> None:
        """See `Backend.close`."""
        self._do("close", (), self.inner.close)


def _before(due: tuple[Rule, ...]) -> None:
    for rule in due:
        if isinstance(rule, Slow):
            rule.wait()
        elif isinstance(rule, Fail) and not rule.late:
            raise rule.error


def _after(due: tuple[Rule, ...]) -> None:
    for rule in due:
        if isinstance(rule, Fail) and rule.late:
            raise rule.error


class _Damaging:
    """A sink that does to the bytes what a rule says."""

    def __init__(self, sink: Sink, rule: Drop | Truncate | Flip) -> None:
        self._sink = sink
        self._rule = rule
        self._seen = 0

    def write(self, data: bytes | memoryview, /) -> int:
        """Hand on what is left of them."""
        begin, self._seen = self._seen, self._seen + len(data)
        rule = self._rule
        if isinstance(rule, Flip):
            if begin <= rule.at < self._seen:
                changed = bytearray(data)
                changed[rule.at - begin] ^= 1
                data = bytes(changed)
            return self._sink.write(data)
        limit = rule.after if isinstance(rule, Drop) else rule.keep
        if begin < limit:
            self._sink.write(data[: limit - begin])
        if isinstance(rule, Drop) and self._seen >= limit:
            raise RemoteUnavailable(f"the connection broke after {limit} bytes")
        return len(data)
