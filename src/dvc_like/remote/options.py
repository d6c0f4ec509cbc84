"""What the text of a driver's option means.

Owns the kinds of values that several drivers share. Which options there are, and which may be set where, is for
`config` and each driver.
"""

from __future__ import annotations

import os

from ..errors import ConfigError
from ..paths import show

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0", "")


def number(name: str, given: dict[str, str], default: float) -> float:
    """Return a number that is not negative; raise `ConfigError` for anything else."""
    text = given.get(name, str(default))
    try:
        found = float(text)
    except ValueError:
        found = -1
    if not 0 <= found < float("inf"):
        raise ConfigError(f"{name} = {show(text)[:100]} is not a number")
    return found


def flag(name: str, text: str) -> bool:
    """Return true or false, in Git's spellings; raise `ConfigError` for anything else."""
    if text.lower() in TRUE:
        return True
    if text.lower() in FALSE:
        return False
    raise ConfigError(f"{name} = {show(text)[:100]} is neither true nor false")


def verify(text: str | None, root: str) -> bool | str | None:
    """Return how certificates are checked: at all, by the authorities in a file, or (None) as the library does.

    Raises `ConfigError` when there is no such file.
    """
    if text is None:
        return None
    if text.lower() in TRUE + FALSE:
        return text.lower() in TRUE
    path = os.path.join(root, os.path.expanduser(text))
    if not os.path.exists(path):
        raise ConfigError(
            f"verify = {show(text)[:200]}: there is no such file",
            hint="Name the authority's file: dvc-like remote modify --local NAME verify /path/to/ca.pem",
        )
    return path
