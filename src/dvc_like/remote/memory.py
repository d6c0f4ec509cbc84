"""A store in the memory of this process, ``memory://NAME``: for tests and examples.

Owns the table of those stores. Every backend opened on a name sees the same objects, and sees them only after the
`flush` of whoever put them, as on the slowest store one may meet: a caller that forgets to flush is found out.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from itertools import count

from ..errors import RemoteNotFound, UsageError
from .base import Backend, Capabilities, Info, Sink, check_key, check_prefix
from .source import Source, read_whole

_SCHEME = "memory://"


class _Store:
    def __init__(self) -> None:
        self.mutex = threading.Lock()
        self.objects: dict[str, tuple[bytes, Info]] = {}
        self.serial = count(1)


_stores: dict[str, _Store] = {}


def open_url(url: str, options: dict[str, str], root: str) -> MemoryBackend:
    """Make the backend of a ``memory://NAME`` URL."""
    name = url[len(_SCHEME) :]
    if not name:
        raise UsageError(f"{url} names no store", hint="Write memory://NAME.")
    return MemoryBackend(name)


def forget(name: str) -> None:
    """Throw a store away with all that is in it; who has it open keeps what it has."""
    _stores.pop(name, None)


class MemoryBackend(Backend):
    """One user of the store called `name`."""

    capabilities = Capabilities("memory", concurrency=8, cheap_stat=True, streams=True)

    def __init__(self, name: str) -> None:
        self._name = name
        self._store = _stores.setdefault(name, _Store())
        self._pending: dict[str, bytes] = {}
        self._once: set[str] = set()  # of the pending ones

    def put(self, key: str, source: str | bytes | Source, *, label: str = "", once: bool = False) -> None:
        """Keep the bytes; they are seen after `flush`. With `once`, the first who flushes wins."""
        check_key(key)
        if isinstance(source, Source):
            data = b"".join(source.pieces(0, source.size))
        else:
            data = source if isinstance(source, bytes) else read_whole(source)
        with self._store.mutex:
            if once and (key in self._pending or key in self._store.objects):
                return
            self._pending[key] = data
            (self._once.add if once else self._once.discard)(key)

    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        """Write what was flushed last."""
        stored = self._store.objects.get(check_key(key))
        if stored is None:
            raise RemoteNotFound(f"{key} is not in the store {_SCHEME}{self._name}")
        sink.write(memoryview(stored[0])[start : None if length is None else start + length])

    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        """Return sizes and the serial number of the flush that brought each object."""
        objects = self._store.objects
        return {key: objects[key][1] for key in keys if key in objects}

    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        """Yield what there was when the listing began."""
        check_prefix(prefix)
        with self._store.mutex:
            found = [(key, info) for key, (_, info) in self._store.objects.items() if key.startswith(prefix)]
        yield from sorted(found)

    def delete(self, keys: Iterable[str]) -> None:
        """Forget objects, also those that were put and not flushed."""
        with self._store.mutex:
            for key in keys:
                self._pending.pop(key, None)
                self._store.objects.pop(key, None)

    def flush(self) -> None:
        """Show what was put."""
        with self._store.mutex:
            for key, data in self._pending.items():
                if key in self._once and key in self._store.objects:
                    continue
                self._store.objects[key] = (data, Info(len(data), str(next(self._store.serial))))
            self._pending.clear()

    def close(self) -> None:
        """Drop what was not flushed."""
        self._pending.clear()
