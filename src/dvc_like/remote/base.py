"""The backend contract: everything a kind of storage must do, written on the method that must do it.

Owns `Backend` and `Capabilities`. A backend sees opaque keys and bytes, and knows nothing of digests, trees or
projects. It contains no retry loop, no throttle and no log: those are wrapped around it (`remote.wrap`). It maps
its SDK's errors to the four classes below, and lets no other escape:

* `RemoteNotFound`: the key is not there
* `RemoteDenied`: credentials missing, wrong or not allowed; bucket or folder missing
* `RemoteUnavailable`: no answer, or told to come back later; the only one that is tried again
* `RemoteQuota`: no space or no allowance left

A key is 1 to 512 characters of ``A-Z a-z 0-9 . _ -`` and ``/``, without empty parts and without the parts ``.``
and ``..``; no key is also the folder of another key.
"""

from __future__ import annotations

import abc
import re
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple, Protocol

from ..errors import UsageError

if TYPE_CHECKING:
    from .source import Source


class Sink(Protocol):
    """Where bytes are written to as they arrive."""

    def write(self, data: bytes | memoryview, /) -> int:
        """Take some bytes, in order."""


class Info(NamedTuple):
    """What a store says of one key. `token` changes when the object is written again; it is no checksum."""

    size: int
    token: str = ""


class Capabilities(NamedTuple):
    """What a kind of storage is like: data, so that nobody asks for its class.

    `concurrency`: requests in flight that suit it. `cheap_stat`: a `stat` costs microseconds, not a round trip.
    `label`: how it is named in messages ("local folder"). `stat_at_once`: for how many keys one `stat` is best called;
    1 where every key is a request of its own. `streams`: `put` takes a `Source` too.
    """

    label: str
    concurrency: int = 16
    cheap_stat: bool = False
    stat_at_once: int = 1
    streams: bool = False


class Backend(abc.ABC):
    """One remote. Every method may be called from several threads at once, except `flush` and `close`."""

    capabilities: Capabilities

    @abc.abstractmethod
    def put(self, key: str, source: str | bytes | Source, *, label: str = "", once: bool = False) -> None:
        """Store an object: the bytes themselves, or those of the local file at a path.

        Where the capabilities say `streams` they may also be those of a `Source`, of which any part can be read, and no
        more than what is at hand should be kept. It may be read again, and is the caller's to close. Telling it by
        `reached` and `moved` how far it is, where that is known, lets people see a big file move.

        Replaces an older object of that key at once: a reader sees the old bytes or the new, never a mixture.
        An object that failed half-way is not there. It may become visible, and must become durable, only with
        the next `flush`. `label` is a name a person may see in the storage; a backend may ignore it.

        With `once` an object that is there already stays and is not replaced, where the store can tell; that is no
        error. Some stores cannot, and some let several writers win, so it is no lock: read back what is there.
        """

    @abc.abstractmethod
    def get(self, key: str, sink: Sink, *, start: int = 0, length: int | None = None) -> None:
        """Write an object, or `length` bytes from `start`, into the sink; fewer if it ends before.

        Raises `RemoteNotFound` before anything is written. Bytes are not verified here but by the caller.
        """

    @abc.abstractmethod
    def stat(self, keys: Iterable[str]) -> dict[str, Info]:
        """Return what is known of those keys that are there; the others are left out."""

    @abc.abstractmethod
    def list(self, prefix: str) -> Iterator[tuple[str, Info]]:
        """Yield every key that begins with `prefix`, sorted. The prefix is empty or ends with ``/``.

        Temporary and foreign names are not listed. A prefix that is not there yields nothing.
        """

    @abc.abstractmethod
    def delete(self, keys: Iterable[str]) -> None:
        """Remove keys; one that is not there is no error."""

    def flush(self) -> None:  # noqa: B027 - most stores are durable when `put` returns
        """Make every earlier `put` visible and durable. Called before anything that points to them is put."""

    def sweep(self, age: float) -> int:
        """Remove what transfers that were broken off more than `age` seconds ago left behind; return how many.

        Objects are never touched, nor what a transfer that still runs will need. A store that leaves nothing behind,
        or sweeps by itself, returns 0.
        """
        return 0

    def close(self) -> None:  # noqa: B027 - most drivers hold nothing
        """Give back connections. Nothing is called afterwards."""


#: Makes a backend from its URL, the remote's options and the project's root (for relative paths).
Factory = Callable[[str, dict[str, str], str], Backend]

_KEY = re.compile(r"(?!.*(?:^|/)\.{1,2}(?:/|$))[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)*")


def is_key(key: str) -> bool:
    """Tell whether a name found in a store can be a key; what cannot is foreign."""
    return len(key) <= 512 and _KEY.fullmatch(key) is not None


def check_key(key: str) -> str:
    """Return `key` when it obeys the rule above, else raise `UsageError`: a slip of the caller."""
    if len(key) <= 512 and _KEY.fullmatch(key):
        return key
    raise UsageError(f"{key[:80]!r} cannot be a key on a remote")


def check_prefix(prefix: str) -> str:
    """Return `prefix` when `Backend.list` may be asked for it, else raise `UsageError`."""
    if prefix:
        check_key(prefix[:-1])
        if prefix[-1] != "/":
            raise UsageError(f"{prefix[:80]!r} cannot be a prefix of keys: it does not end with a slash")
    return prefix
