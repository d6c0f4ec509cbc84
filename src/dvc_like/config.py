"""Configuration: git-config syntax in four files, later ones win, each value knows where it came from.

Owns the levels, which keys exist, what each may hold, and which of them the tracked file may hold. Knows no project:
it is given the files' paths. The syntax is `gitconfig`'s.

Levels, weakest first: ``system``, ``global`` (the user's), ``project`` (``.dvc-like/config``, tracked by Git, so
written by strangers), ``local`` (``.dvc-like/config.local``, never tracked).
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import NamedTuple, TypeVar, cast

from . import gitconfig
from .digest import WRITABLE
from .errors import ConfigError, UsageError
from .fsutil import Dir
from .paths import show

LEVELS = ("system", "global", "project", "local")
USER_LEVELS = ("system", "global")  # trusted files of this machine, which may be links
MAX_SIZE = 1 << 20

GRACE = 2 * 3600  # seconds: the default of gc.grace
CLOUD_GRACE = 14 * 86_400  # that of gc.cloudgrace
T = TypeVar("T")


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
    if value and not _NAME.fullmatch(value):
        raise ValueError("cannot be the name of a remote")
    return value


def _number(value: str) -> float:
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
    found = _number(value)
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


# Keys of every section.
_KEYS: dict[str, dict[str, Key]] = {
    "core": {
        "remote": Key(_remote_name),
        "hash": Key(_one_of(*WRITABLE)),
        "autostage": Key(_flag),
        "locktimeout": Key(_number),
    },
    "cache": {"dir": Key(_path, tracked=False), "type": Key(_some_of("reflink", "hardlink", "symlink", "copy"))},
    "hooks": {"largefile": Key(_count)},
    "gc": {"grace": Key(_number, least=GRACE), "cloudgrace": Key(_number, least=CLOUD_GRACE)},
    "remote": {
        "url": Key(_path),
        "jobs": Key(_count),
        "timeout": Key(_number),
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
        "credentialpath": Key(_path, tracked=False),
        "verify": Key(_text, tracked=False),
        "proxy": Key(_text, tracked=False),
    },
}
_PRIVATE_ACLS = ("private", "bucket-owner-read", "bucket-owner-full-control")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


class Value(NamedTuple):
    """One setting: `name` as in ``remote.storage.url``, where it stands, and its text."""

    name: str
    text: str
    level: str
    path: str


class Config:
    """All levels read together. A value; `edit` makes the change on disk."""

    def __init__(self, files: dict[str, str]) -> None:
        """Read the `files` (level to path) that exist; raise `ConfigError` on the first bad one."""
        self.files = files
        self.values: list[Value] = []
        for level in LEVELS:
            if level in files:
                self.values += _read(level, files[level])
        self._last = {value.name: value for value in self.values}

    def get(self, name: str, default: str = "") -> str:
        """Return the winning text of a setting."""
        value = self._last.get(name)
        return value.text if value else default

    def find(self, name: str, level: str | None = None) -> Value | None:
        """Return the winning setting with its origin; with `level`, that of this level alone."""
        if level is None:
            return self._last.get(name)
        return next((one for one in reversed(self.values) if (one.name, one.level) == (name, level)), None)

    def text(self, name: str, default: str) -> str:
        """Return a setting that is a text of some kind."""
        return self._meaning(name, default)

    def number(self, name: str, default: float) -> float:
        """Return a setting as a number that is not negative."""
        return self._meaning(name, default)

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a setting as true or false."""
        return self._meaning(name, default)

    def words(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        """Return a setting as a list of words."""
        return self._meaning(name, default)

    def _meaning(self, name: str, default: T) -> T:
        value = self._last.get(name)
        if value is None:
            return default
        try:
            return cast(T, meaning(name, value.text))
        except ValueError as error:
            raise ConfigError(f"{name} = {show(value.text)!r} in {value.path} {error}") from None

    def remotes(self) -> dict[str, dict[str, str]]:
        """Return every remote that has a url: name to its options."""
        found: dict[str, dict[str, str]] = {}
        for value in self._last.values():
            section, _, rest = value.name.partition(".")
            remote, _, key = rest.rpartition(".")
            if section == "remote" and remote:
                found.setdefault(remote, {})[key] = value.text
        return {name: options for name, options in sorted(found.items()) if "url" in options}


def default_files(project: str | None) -> dict[str, str]:
    """Return where the levels lie; `project` is the ``.dvc-like`` folder, if there is one."""
    if os.name == "nt":
        system = os.path.join(os.environ.get("PROGRAMDATA", r"C:\ProgramData"), "dvc-like", "config")
        home = os.environ.get("APPDATA") or os.path.expanduser("~")
    else:
        system = "/etc/dvc-like/config"
        home = os.environ.get("XDG_CONFIG_HOME") or os.path.join(os.path.expanduser("~"), ".config")
    files = {
        "system": os.environ.get("DVC_LIKE_CONFIG_SYSTEM", system),
        "global": os.environ.get("DVC_LIKE_CONFIG_GLOBAL", os.path.join(home, "dvc-like", "config")),
    }
    if project is not None:
        files["project"] = os.path.join(project, "config")
        files["local"] = os.path.join(project, "config.local")
    return files


def split_name(name: str) -> tuple[str, str, str]:
    """Return section, subsection and key of ``core.remote`` or ``remote.storage.url``; check they exist."""
    section, _, rest = name.partition(".")
    subsection, _, key = rest.rpartition(".")
    section = section.lower()
    key = gitconfig.plain_key(key)
    keys = _KEYS.get(section)
    if keys is None or key not in keys or bool(subsection) != (section == "remote"):
        near = {section: keys} if keys else _KEYS
        known = ", ".join(f"{s}.{'NAME.' if s == 'remote' else ''}{k}" for s, ks in near.items() for k in ks)
        raise UsageError(f"there is no setting {show(name)!r}", hint=f"Known: {known}.")
    if subsection:
        check_remote_name(subsection)
    return section, subsection, key


def meaning(name: str, value: str) -> object:
    """Return what the text of a setting means, by its kind; raise `ValueError` that completes "NAME = 'text' ..."."""
    key = _key(name.partition(".")[0], name.rpartition(".")[2])
    return key.kind(value) if key else value


def _key(section: str, key: str) -> Key | None:
    return _KEYS.get(section, {}).get(key)


def check_remote_name(name: str) -> str:
    """Return `name` when a remote may be called so."""
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{show(name)!r} cannot be the name of a remote",
            hint="Use letters, digits, '-', '_' and '.', and begin with a letter or digit.",
        )
    return name


def check_tracked(section: str, key: str, value: str) -> str | None:
    """Return why the tracked file may not hold this, or None when it may.

    Whoever can commit writes that file for everybody who clones: it may point, never command or pay.
    """
    known = _key(section, key)
    if not (known.tracked if known else section != "remote"):  # what a plug-in reads may be a secret
        return "belongs into the local or the user's configuration, not into a file that Git tracks"
    if known and known.least and _is_below(known.least, value):
        return f"is below {known.least:g} seconds: so little may stand in the local or the user's configuration only"
    value = re.sub(r"[\x00-\x20]", "", value)  # a blank before the scheme must not hide it
    if key == "endpointurl" and re.search(r"[?#@\\]", value):
        return "is no plain endpoint: leave out user, query and fragment"
    if key == "endpointurl" and value.lower().startswith("http:"):
        host = re.sub(r"^http:/*(?:[^/@]*@)?(\[[^\]]*\]|[^:/]*).*", r"\1", value, flags=re.I).lower()
        if host not in ("localhost", "127.0.0.1", "[::1]"):
            return "is a plain http endpoint on another machine: allow it in the local configuration"
    if key == "acl" and value.lower() not in _PRIVATE_ACLS:
        return "would let others read what you push: allow it in the local configuration"
    if key in ("url", "endpointurl") and re.match(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*:[^/]*@", value):
        return "holds a password: put it into the local configuration"
    return None


def _is_below(least: float, value: str) -> bool:
    try:
        return _number(value) < least
    except ValueError:
        return False  # nobody will take it for a number


def _read(level: str, path: str) -> list[Value]:
    try:
        text = _load(path, follow=level in USER_LEVELS)
    except (FileNotFoundError, NotADirectoryError):
        return []
    values = []
    for found in gitconfig.parse(text, path)[0]:
        section, _, rest = found.name.partition(".")
        reason = check_tracked(section, rest.rpartition(".")[2], found.text) if level == "project" else None
        if reason:
            raise ConfigError(
                f"{path}, line {gitconfig.line_of(text, found.start)}: {show(found.name)} {reason}",
                hint="Remove the line, and set it with `dvc-like config --local` if you trust it.",
            )
        values.append(Value(found.name, found.text, level, path))
    return values


def _load(path: str, *, follow: bool) -> str:
    """Return the text of a file; the user's own may be a link, a project's may not."""
    folder, name = os.path.split(os.path.realpath(path) if follow else path)
    try:
        with Dir.open_root(folder) as here:
            raw = here.read(name, MAX_SIZE)
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text") from None
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None


def edit(path: str, changes: dict[str, str | None], *, follow: bool = False) -> None:
    """Set (or, with None, unset) settings in one file; comments and order stay as they are.

    With `follow` the file may be a link, and what it points to is changed: for the user's own configuration.
    """
    folder, name = os.path.split(os.path.realpath(path) if follow else path)
    os.makedirs(folder, exist_ok=True)
    try:
        text = _load(path, follow=follow)
        mode = os.lstat(path).st_mode & 0o777
    except FileNotFoundError:
        text, mode = "", 0o600 if name == "config.local" else 0o666
    for setting, value in changes.items():
        text = gitconfig.changed(text, path, setting, value)
    with Dir.open_root(folder) as here:
        here.write(name, text.encode(), mode=mode)
