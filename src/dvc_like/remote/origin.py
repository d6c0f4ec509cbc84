"""A place that data is imported from: read, never written, and not trusted to stay as it is.

Owns `Origin`, a `Backend` that can only be read, so that what is wrapped around stores serves here too. Its keys are
names below a URL, the empty one the URL itself; they are whatever is found there, and a caller who makes paths of them
checks them first. Which URLs may be read at all is decided by who asks.
"""

from __future__ import annotations

import abc
import threading
from collections.abc import Iterable

from ..errors import SourceChanged, UsageError
from .base import Backend, Info

UNKNOWN = -1  # a size that nobody tells


class Origin(Backend):
    """What lies at a URL: one file, or with `list` those of a folder. Safe to use from several threads.

    An `Info` has the size, `UNKNOWN` where nobody tells, and as token what the place says of this version, as
    ``etag:...`` or ``mtime:...``; empty where it says nothing. The version seen first is the one that counts: whoever
    would hand out bytes of another one raises `SourceChanged`. `is_inside` tells of a server that it was seen to answer
    from this machine or a private network.
    """

    is_inside = False

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._seen: dict[str, tuple[Info, str]] = {}

    def validator(self, key: str) -> str:
        """Return what proves that two reads of a key had the same bytes before them; empty where nothing does."""
        return self._seen[key][1] if key in self._seen else ""

    def _saw(self, key: str, info: Info, validator: str) -> Info:
        """Keep the version that was seen first; raise `SourceChanged` when this is another one."""
        with self._mutex:
            first, _ = self._seen.setdefault(key, (info, validator))
        if first.token != info.token or (UNKNOWN not in (first.size, info.size) and first.size != info.size):
            raise changed(key)
        return info

    def forget(self, key: str | None = None) -> None:
        """Take the next version that is seen of a key, or of all, for the one that counts."""
        with self._mutex:
            for one in [*self._seen] if key is None else [key]:
                self._seen.pop(one, None)

    def put(self, key: str, source: object, *, label: str = "", once: bool = False) -> None:
        """Refuse."""
        raise UsageError("what data is imported from is only read")

    def delete(self, keys: Iterable[str]) -> None:
        """Refuse."""
        raise UsageError("what data is imported from is only read")

    @abc.abstractmethod
    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        """See `Backend.stat`; what is no single file is left out."""


def changed(key: str) -> SourceChanged:
    """Return the error for a version that is not the one that was seen first."""
    what = f"{key} " if key else ""
    return SourceChanged(f"{what}changed while it was read", hint="Import it again when nobody writes to it.")
