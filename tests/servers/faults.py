"""What the proxy can do to a request, and which requests a rule means. Knows no sockets.

Faults, each of which a `Rule` names:

    drop             the connection is closed; the server never hears of the request
    swallow          the server does it all; the connection is closed instead of the reply
    error            answered 500; the server never hears of it
    lost             the server does it all; the client is told 500
    slow_down        answered 503 SlowDown, with Retry-After when `seconds` are given
    deny             answered 403 AccessDenied; the server never hears of it
    cut_request      `at` bytes of the body reach the server, then both connections are closed
    flip_request     the byte at `at` of the body is changed on its way to the server
    cut_reply        `at` bytes of the body reach the client, then its connection is closed
    shorten_reply    the body ends after `at` bytes, and Content-Length says so: a lie without a trace
    flip_reply       the byte at `at` of the body is changed on its way to the client
    stall            never answered; the connection stays open
    stall_reply      after `at` bytes of the body nothing more comes; the connection stays open
    delay            answered after `seconds`, else as usual; goes with another fault
"""

from __future__ import annotations

import random
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

FAULTS = (
    *("drop", "swallow", "error", "lost", "slow_down", "deny", "cut_request", "flip_request"),
    *("cut_reply", "shorten_reply", "flip_reply", "stall", "stall_reply", "delay"),
)

#: What S3 requests are, as they are counted: objects, then buckets, then uploads in parts.
KINDS = (
    *("get", "head", "put", "delete", "copy", "list", "bucket", "delete_many"),
    *("create", "part", "complete", "abort", "list_parts", "list_uploads", "other"),
)


class Target(NamedTuple):
    """What one request is about. `key` is empty for a bucket."""

    kind: str
    bucket: str
    key: str


def classify(method: str, target: str, copies: bool = False) -> Target:
    """Tell what kind of S3 request (path style) this is; `copies`: it names a source to copy from."""
    parts = urlsplit(target if target.startswith("/") else "/" + target.partition("//")[2].partition("/")[2])
    query = parse_qs(parts.query, keep_blank_values=True)
    bucket, _, key = unquote(parts.path.lstrip("/")).partition("/")
    return Target(_kind(method, query, key, copies), bucket, key)


def _kind(method: str, query: dict[str, list[str]], key: str, copies: bool) -> str:
    if "uploadId" in query:
        kinds = {"PUT": "part", "POST": "complete", "DELETE": "abort", "GET": "list_parts"}
    elif "uploads" in query:
        kinds = {"POST": "create", "GET": "list_uploads"}
    elif not key:
        kinds = {"HEAD": "bucket", "PUT": "bucket", "DELETE": "bucket"}
        listing = not set(query) & {"location", "versioning", "acl", "policy", "object-lock", "lifecycle"}
        kinds |= {"GET": "list" if listing else "other", "POST": "delete_many" if "delete" in query else "other"}
    else:
        kinds = {"GET": "get", "HEAD": "head", "PUT": "copy" if copies else "put", "DELETE": "delete"}
    return kinds.get(method, "other")


@dataclass
class Rule:
    """Which requests suffer which fault.

    All conditions must hold. `kinds` empty: any. `key`: an expression found somewhere in the key. `nth`: only these of
    the requests for which the conditions before hold, the first is 1. `probability` is drawn from the proxy's seed.
    `times` bounds how often it strikes.
    """

    fault: str
    kinds: tuple[str, ...] | str = ()
    key: str = ""
    nth: tuple[int, ...] = ()
    probability: float = 1.0
    times: int | None = None
    at: int = 0
    seconds: float = 0.0
    seen: int = 0
    struck: int = 0

    def __post_init__(self) -> None:
        self.kinds = (self.kinds,) if isinstance(self.kinds, str) else tuple(self.kinds)
        if self.fault not in FAULTS or not set(self.kinds) <= set(KINDS):
            raise ValueError(f"{self.fault} {self.kinds}: no such fault or kind")

    def strikes(self, target: Target, chance: random.Random) -> bool:
        """Tell whether this request is meant; counts it."""
        if self.kinds and target.kind not in self.kinds:
            return False
        if not re.search(self.key, target.key):
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


class Script:
    """The rules in force; safe to use from several threads."""

    def __init__(self, rules: Iterable[Rule] = (), seed: int = 0) -> None:
        self.rules = list(rules)
        self._chance = random.Random(seed)
        self._mutex = threading.Lock()

    def pick(self, target: Target) -> tuple[Rule | None, float]:
        """Return the first rule that strikes this request, delays aside, and how long to delay it."""
        seconds = 0.0
        with self._mutex:
            for rule in self.rules:
                if not rule.strikes(target, self._chance):
                    continue
                if rule.fault != "delay":
                    return rule, seconds
                seconds += rule.seconds
        return None, seconds

    def replace(self, rules: Iterable[Rule]) -> None:
        """Put other rules in force."""
        with self._mutex:
            self.rules = list(rules)

    def add(self, rule: Rule) -> None:
        """Put one more in force."""
        with self._mutex:
            self.rules.append(rule)
