"""Where the files of ours lie that belong to the machine or to the user, and to no project.

Owns those paths. Makes and reads none of them.
"""

from __future__ import annotations

import os


def system_config() -> str:
    """Return the path of the machine's configuration."""
    named = os.environ.get("DVC_LIKE_CONFIG_SYSTEM")
    if named is not None:
        return named
    if os.name == "nt":
        return os.path.join(os.environ.get("PROGRAMDATA", r"C:\ProgramData"), "dvc-like", "config")
    return "/etc/dvc-like/config"


def user_config() -> str:
    """Return the path of the user's configuration."""
    named = os.environ.get("DVC_LIKE_CONFIG_GLOBAL")
    if named is not None:
        return named
    if os.name == "nt":
        home = os.environ.get("APPDATA") or os.path.expanduser("~")
    else:
        home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    return os.path.join(home, "dvc-like", "config")


def cache() -> str:
    """Return the folder of what can be had again: the user may delete it at any time."""
    if os.name == "nt":
        home = os.environ.get("LOCALAPPDATA") or os.path.expanduser("~")
    else:
        home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(home, "dvc-like")


def credentials() -> str:
    """Return the folder, beside the user's configuration, of the logins that are kept."""
    return os.path.join(os.path.dirname(os.path.abspath(user_config())), "credentials")
