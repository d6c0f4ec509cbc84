"""What the server can be told to do wrong, and to which calls. Knows no sockets.

A fault is a reason of `errors.REASONS`, which is answered as Drive words it without anything being done, or one of

    500, 502, 503, 504, 429   that status with a JSON body; html-500 and so on with a page instead
    html-200         a page as if all were well, which some machine before Drive made
    drop             the connection is closed; nothing was done
    lose             all is done; the connection is closed instead of the answer
    lose-500         all is done; the client is told 500
    hang-up          all is done and answered; the connection, which the client takes to be good still, is closed
    cut-upload       `at` bytes of the request's body arrive, then the connection is closed
    short-chunk      only `at` bytes of this piece of an upload are kept, as the answer (308) says
    flip-upload      the byte at `at` is another by the time it is stored: the checksum answered is another
    expire-session   the upload is forgotten: this call and all later ones for it are answered 404
    cut-download     `at` bytes of the answer's body are sent, then the connection is closed
    shorten-download the answer's body ends after `at` bytes, and Content-Length says so: a lie without a trace
    flip-download    the byte at `at` of the answer's body is changed
    stall            nothing is done, nothing answered; the connection stays open
    stall-answer     all is done, nothing answered; the connection stays open
    stall-download   after `at` bytes of the answer's body nothing more comes; the connection stays open
    delay            answered after `seconds`, else as usual; goes with another fault

Calls are named as in the API (files.list, files.create, ...), and besides: files.get_media for a download;
upload.multipart, upload.media, upload.start, upload.chunk and upload.query for the ways of an upload; batch (what is
in it counts by its own name too); token, auth and revoke.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from .errors import HTML, REASONS, Refusal, refusal

STATUSES = ("429", "500", "502", "503", "504")
FAULTS = frozenset(
    {
        *REASONS,
        *STATUSES,
        *(f"html-{status}" for status in ("200", *STATUSES)),
        *("drop", "lose", "lose-500", "hang-up", "cut-upload", "short-chunk", "flip-upload", "expire-session"),
        *("cut-download", "shorten-download", "flip-download", "stall", "stall-answer", "stall-download"),
        *("delay", "invalid_grant"),
    }
)


@dataclass
class Call:
    """One request, as it is counted. `status` 0: not answered (yet)."""

    name: str
    verb: str = ""
    path: str = ""
    query: dict[str, Any] = field(default_factory=dict)
    body: Any = None  # the metadata, when there is some
    account: str = ""
    file_id: str = ""
    status: int = 0
    fault: str = ""
    up: int = 0  # bytes of the body that came
    down: int = 0


@dataclass
class Fault:
    """Which calls suffer what. All conditions must hold.

    `calls` empty: any. `when` is asked last. `nth`: only these of the calls for which the conditions before hold, the
    first is 1. `times` None: always. `seconds` is how long to delay, and Retry-After where the answer has one.
    """

    what: str
    calls: tuple[str, ...] | str = ()
    times: int | None = 1
    nth: tuple[int, ...] = ()
    when: Callable[[Call], bool] | None = None
    probability: float = 1.0
    at: int = 0
    seconds: float = 0.0
    seen: int = 0
    struck: int = 0

    def __post_init__(self) -> None:
        self.calls = (self.calls,) if isinstance(self.calls, str) else tuple(self.calls)
        if self.what not in FAULTS:
            raise ValueError(f"{self.what}: no such fault")

    def strikes(self, call: Call, chance: random.Random) -> bool:
        """Tell whether this call is meant; counts it."""
        if self.calls and call.name not in self.calls:
            return False
        if self.when is not None and not self.when(call):
            return False
        self.seen += 1
        if self.nth and self.seen not in self.nth:
            return False
        if self.times is not None and self.struck >= self.times:
            return False
        if self.probability < 1.0 and chance.random() >= self.probability:
            return False
        self.struck += 1
        return True

    def answer(self) -> Refusal | None:
        """Return the error to answer with; None when the fault is of another kind."""
        headers = {"Retry-After": f"{self.seconds:g}"} if self.seconds and self.what != "delay" else {}
        status = self.what.removeprefix("html-")
        if self.what in REASONS:
            made = refusal(self.what)
        elif status in STATUSES or self.what == "html-200":
            reason = {"429": "rateLimitExceeded", "500": "internalError"}.get(status, "backendError")
            kind = Page if status != self.what else Refusal
            made = kind(int(status), reason, "Backend Error")
        else:
            return None
        made.headers |= headers
        return made


class Page(Refusal):
    """An error that a machine before Drive made: no JSON."""

    def body(self) -> bytes:
        return HTML.format(self.status).encode()


class Rate:
    """Tells which calls are more than so many a second, a burst aside; as `when` of a fault that always strikes."""

    def __init__(self, per_second: float, burst: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_second, self._burst, self._clock = per_second, burst, clock
        self._left, self._last = float(burst), clock()

    def __call__(self, call: Call) -> bool:
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._last) * self._per_second)
        self._last = now
        if self._left < 1:
            return True
        self._left -= 1
        return False


class Faults:
    """The faults in force; safe to use from several threads."""

    def __init__(self, seed: int = 0) -> None:
        self._faults: list[Fault] = []
        self._chance = random.Random(seed)
        self._mutex = threading.Lock()
        self.struck: Counter[str] = Counter()

    def add(self, what: str, calls: Iterable[str] | str = (), **options: Any) -> Fault:
        """Put one more in force; by default it strikes once. Options are those of `Fault`."""
        fault = Fault(what, calls if isinstance(calls, str) else tuple(calls), **options)
        with self._mutex:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        """Break nothing from now on."""
        with self._mutex:
            self._faults = []

    def pick(self, call: Call) -> tuple[Fault | None, float]:
        """Return the first fault that strikes this call, delays aside, and how long to delay it."""
        seconds = 0.0
        with self._mutex:
            for fault in self._faults:
                if not fault.strikes(call, self._chance):
                    continue
                self.struck[fault.what] += 1
                if fault.what != "delay":
                    call.fault = fault.what
                    return fault, seconds
                seconds += fault.seconds
        return None, seconds
