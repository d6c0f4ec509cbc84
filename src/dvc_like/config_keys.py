"""Which settings there are: what each may hold, and which of them the file that Git tracks may hold.

Owns the table. Knows neither files nor levels: these are `config`'s.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from .digest import WRITABLE

GRACE = 2 * 3600  # seconds: the default of gc.grace
CLOUD_GRACE = 14 * 86_400  # that of gc.cloudgrace
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")  # of a remote or a profile


# Kinds of settings: each gives what a text means, or raises `ValueError` with what ails it.


def _text(value: str) -> str:
    """Anything."""
    return value


def _path(value: str) -> str:
    """Anything but nothing."""
    if not value.strip():
        raise ValueError("is empty")
    return value


def _remote_name(value: str) -> str:
    """The name of a remote, or empty for none."""
    if value and not NAME.fullmatch(value):
        raise ValueError("cannot be the name of a remote")
    return value


def _profile_name(value: str) -> str:
    """The name of a profile, or empty for none."""
    if value and not NAME.fullmatch(value):
        raise ValueError("cannot be the name of a profile")
    return value


def pattern(value: str) -> str:
    """A pattern of paths, seen from the project's root."""
    text = value.removesuffix("/")
    if any(part in ("", ".", "..") for part in text.split("/")):
        raise ValueError("is no pattern of paths below the project's root")
    return text


def number(value: str) -> float:
    """A number that is not negative."""
    try:
        found = float(value)
    except ValueError:
        found = -1
    if not 0 <= found < float("inf"):
        raise ValueError("is not a number from 0 up")
    return found


def _count(value: str) -> int:
    """A whole number that is not negative."""
    found = number(value)
    if not found.is_integer():
        raise ValueError("is not a whole number")
    return int(found)


def _flag(value: str) -> bool:
    """True or false, in Git's spellings."""
    word = value.lower()
    if word in ("true", "yes", "on", "1"):
        return True
    if word in ("false", "no", "off", "0", ""):
        return False
    raise ValueError("is neither true nor false")


def _one_of(*known: str) -> Callable[[str], str]:
    """One of the words."""

    def choice(value: str) -> str:
        if value not in known:
            raise ValueError(f"is none of {', '.join(known)}")
        return value

    return choice


def _some_of(*known: str) -> Callable[[str], tuple[str, ...]]:
    """Some of the words, with commas between them."""

    def choices(value: str) -> tuple[str, ...]:
        words = tuple(word.strip() for word in value.split(",") if word.strip())
        if not set(words) <= set(known):
            raise ValueError(f"holds another word than {', '.join(known)}")
        return words

    return choices


class Key(NamedTuple):
    """A setting: its kind, whether it may stand in the tracked file, and the smallest number that may stand there."""

    kind: Callable[[str], object]
    tracked: bool = True
    least: float = 0


#: The keys of every section.
KEYS: dict[str, dict[str, Key]] = {
    "core": {
        "remote": Key(_remote_name),
        "hash": Key(_one_of(*WRITABLE)),
        "autostage": Key(_flag),
        "locktimeout": Key(number),
        "profile": Key(_profile_name, tracked=False),
    },
    "profile": {"include": Key(pattern), "exclude": Key(pattern)},
    "cache": {"dir": Key(_path, tracked=False), "type": Key(_some_of("reflink", "hardlink", "symlink", "copy"))},
    "hooks": {"largefile": Key(_count)},
    "import": {"allow": Key(_path, tracked=False)},
    "gc": {"grace": Key(number, least=GRACE), "cloudgrace": Key(number, least=CLOUD_GRACE)},
    "remote": {
        "url": Key(_path),
        "jobs": Key(_count),
        "timeout": Key(number),
        "retries": Key(_count),
        "region": Key(_text),
        "profile": Key(_text),
        "endpointurl": Key(_text),
        "pathstyle": Key(_one_of("auto", "true", "false")),
        "nosign": Key(_flag),
        "checksums": Key(_one_of("auto", "required-only")),
        "sse": Key(_text),
        "ssekmskeyid": Key(_text),
        "acl": Key(_text),
        "storageclass": Key(_text),
        "accesskeyid": Key(_text, tracked=False),
        "secretaccesskey": Key(_text, tracked=False),
        "sessiontoken": Key(_text, tracked=False),
        "credentials": Key(_path, tracked=False),
        "subject": Key(_text, tracked=False),
        "acknowledgeabuse": Key(_flag, tracked=False),
        "clientid": Key(_text),
        "clientsecret": Key(_text),
        "verify": Key(_text, tracked=False),
        "proxy": Key(_text, tracked=False),
    },
}
NAMED = ("remote", "profile")  # sections of which there are several, each with a name
