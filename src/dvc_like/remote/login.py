"""What a kind of remote has to offer when people log in to it: the contract between such a kind and the verbs.

Owns the values that pass between them. The library has no terminal: whoever calls gives a `Person` to talk to, or None
where nobody sits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol


class Person(NamedTuple):
    """Somebody at a terminal. `visit` is given the address to open in a browser.

    `paste` asks for the address on which the browser ended; without it the browser runs here, and calls back.
    """

    visit: Callable[[str], None]
    paste: Callable[[], str] | None = None


@dataclass(frozen=True)
class Identity:
    """Who is logged in, and with what. Sizes are in bytes, `limit` is None where there is none.

    `place` is the file or the variable that holds the credentials, `kind` what they are ("login", "service account").
    `remember` are options of the remote that make later commands find the same login.
    """

    account: str
    kind: str
    place: str
    client: str = ""
    profile: str = ""
    read_only: bool = False
    used: int = 0
    limit: int | None = None
    problem: str = ""  # what is in the way of using the remote so, if something is
    before: str = ""  # the account whose login was replaced
    remember: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class LoggedOut:
    """A login that is gone from this machine. `kept` says why the service was not asked to forget it, if so."""

    account: str
    profile: str
    place: str
    kept: str = ""


class Logins(Protocol):
    """A kind of remote that people log in to. All raise `RemoteDenied` when there is nobody."""

    def login(
        self,
        options: Mapping[str, str],
        root: str,
        *,
        client: str | None,
        token: str | None,
        read_only: bool,
        person: Person | None,
    ) -> Identity:
        """Log somebody in and keep that; `client` and `token` are the content of files, if given."""

    def logout(self, options: Mapping[str, str], root: str) -> LoggedOut:
        """Forget a login, here and at the service."""

    def whoami(self, options: Mapping[str, str], root: str) -> Identity:
        """Ask the service who its next transfer will be."""
