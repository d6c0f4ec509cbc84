"""Configuration: git-config syntax in four files, later ones win, each value knows where it came from.

Owns the levels and what a tracked file may hold. Knows no project: it is given the files' paths. Which settings there
are stands in `config_keys`, the syntax is `gitconfig`'s.

Levels, weakest first: ``system``, ``global`` (the user's), ``project`` (``.dvc-like/config``, tracked by Git, so
written by strangers), ``local`` (``.dvc-like/config.local``, never tracked).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from copy import copy
from typing import NamedTuple, TypeVar, cast

from . import config_keys, gitconfig
from .config_keys import KEYS, NAME, NAMED, Key, number, pattern
from .errors import ConfigError, UsageError
from .fsutil import Dir
from .homes import system_config, user_config
from .paths import show

LEVELS = ("system", "global", "project", "local")
USER_LEVELS = ("system", "global")  # trusted files of this machine, which may be links
MAX_SIZE = 1 << 20
GRACE, CLOUD_GRACE = config_keys.GRACE, config_keys.CLOUD_GRACE
#: The urls of fsspec that a tracked file may hold: what they name encrypts, and lies on no disk of this machine.
_FSSPEC = re.compile(r"fsspec\+(?:sftp|ssh|gs|gcs|az|abfs|abfss)://[\w.@+-]+(?::\d+)?(?:/[^?#*:\\]*)?", re.I | re.A)
_PRIVATE_ACLS = ("private", "bucket-owner-read", "bucket-owner-full-control")
T = TypeVar("T")


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
        for value in self._last.values():
            if value.level == "project" and (reason := self.check_endpoint(value.name)):
                raise ConfigError(
                    f"{value.path}: {show(value.name)} {reason}",
                    hint="Remove the line, and set it with `dvc-like config --local` if you trust it.",
                )

    def get(self, name: str, default: str = "") -> str:
        """Return the winning text of a setting."""
        value = self._last.get(name)
        return value.text if value else default

    def find(self, name: str, level: str | None = None) -> Value | None:
        """Return the winning setting with its origin; with `level`, that of this level alone."""
        if level is None:
            return self._last.get(name)
        return next((one for one in reversed(self.values) if (one.name, one.level) == (name, level)), None)

    def with_value(self, name: str, text: str) -> Config:
        """Return the same configuration with one more setting, which wins and is in no file."""
        found = copy(self)
        found.values = [*self.values, Value(name, text, "local", "")]
        found._last = {**self._last, name: found.values[-1]}
        return found

    def check_endpoint(self, name: str) -> str | None:
        """Return why the tracked file may not hold this setting, given the remote's url; None when it may.

        Requests to S3 are signed; those to Drive carry a token that whoever receives it can use.
        """
        remote, _, key = name.rpartition(".")
        if key != "endpointurl" or not self.get(f"{remote}.url").lower().startswith("gdrive:"):
            return None
        return "would be sent your Google login: allow it in the local configuration"

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

    def profile(self, name: str) -> tuple[list[str], list[str]]:
        """Return the patterns that a profile includes and excludes, of all levels; raise when there is none such."""
        found: dict[str, list[str]] = {"include": [], "exclude": []}
        for value in self.values:
            section, _, rest = value.name.partition(".")
            profile, _, key = rest.rpartition(".")
            if (section, profile) == ("profile", name) and key in found:
                try:
                    found[key].append(pattern(value.text))
                except ValueError as error:
                    raise ConfigError(f"{value.name} = {show(value.text)!r} in {value.path} {error}") from None
        if not any(found.values()):
            known = sorted({one.name[8:].rpartition(".")[0] for one in self.values if one.name.startswith("profile.")})
            raise ConfigError(
                f"there is no profile named {show(name)!r}",
                hint=f"Known: {', '.join(map(show, known))}."
                if known
                else "Make one with `dvc-like config --add profile.NAME.include PATTERN`.",
            )
        return found["include"], found["exclude"]


def default_files(project: str | None) -> dict[str, str]:
    """Return where the levels lie; `project` is the ``.dvc-like`` folder, if there is one."""
    files = {"system": system_config(), "global": user_config()}
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
    keys = KEYS.get(section)
    if keys is None or key not in keys or bool(subsection) != (section in NAMED):
        known = f"They begin with {', '.join(map(_beginning, KEYS))}."
        if keys is not None:
            known = f"{_beginning(section)} goes on with one of: {', '.join(keys)}."
        raise UsageError(f"there is no setting {show(name)!r}", hint=known)
    if subsection:
        check_remote_name(subsection, section)
    return section, subsection, key


def _beginning(section: str) -> str:
    return f"{section}.NAME." if section in NAMED else f"{section}."


def names(remotes: Iterable[str]) -> list[str]:
    """Return every setting there is; those of a remote for each of `remotes`."""
    own = [f"{section}.{key}" for section, keys in KEYS.items() if section not in NAMED for key in keys]
    return own + [f"remote.{remote}.{key}" for remote in remotes for key in KEYS["remote"]]


def meaning(name: str, value: str) -> object:
    """Return what the text of a setting means, by its kind; raise `ValueError` that completes "NAME = 'text' ..."."""
    key = _key(name.partition(".")[0], name.rpartition(".")[2])
    return key.kind(value) if key else value


def is_setting(name: str) -> bool:
    """Tell whether a setting is one of ours: what a plug-in reads is not."""
    return _key(name.partition(".")[0], name.rpartition(".")[2]) is not None


def _key(section: str, key: str) -> Key | None:
    return KEYS.get(section, {}).get(key)


def check_remote_name(name: str, what: str = "remote") -> str:
    """Return `name` when a remote, or `what` else there are several of, may be called so."""
    if not NAME.fullmatch(name):
        raise UsageError(
            f"{show(name)!r} cannot be the name of a {what}",
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
    if key == "url" and value.lower().startswith("fsspec+") and not _FSSPEC.fullmatch(value):
        return "is no plain place of a kind that a tracked file may name: allow it in the local configuration"
    return None


def _is_below(least: float, value: str) -> bool:
    try:
        return number(value) < least
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


def is_private(value: Value) -> bool:
    """Tell whether a setting may not stand in a file that Git tracks."""
    section, _, rest = value.name.partition(".")
    return check_tracked(section, rest.rpartition(".")[2], value.text) is not None


def _may_be_tracked(name: str) -> bool:
    known = _key(name.partition(".")[0], name.rpartition(".")[2])
    return known is not None and known.tracked


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


def edit(path: str, changes: dict[str, str | None], *, follow: bool = False, add: bool = False) -> None:
    """Set (or, with None, unset) settings in one file; comments and order stay as they are.

    With `follow` the file may be a link, and what it points to is changed: for the user's own configuration. With `add`
    a setting keeps the values that it has.
    """
    folder, name = os.path.split(os.path.realpath(path) if follow else path)
    os.makedirs(folder, exist_ok=True)
    try:
        text = _load(path, follow=follow)
        mode = os.lstat(path).st_mode & 0o777
    except FileNotFoundError:
        text, mode = "", 0o666
    if name == "config.local" or (path == user_config() and not all(map(_may_be_tracked, changes))):
        mode &= 0o700  # it holds secrets, or soon will
    for setting, value in changes.items():
        text = gitconfig.changed(text, path, setting, value, add=add)
    with Dir.open_root(folder) as here:
        try:
            here.write(name, text.encode(), mode=mode)
        except FileNotFoundError:  # a command swept what it was being written to, for here is no lock
            here.write(name, text.encode(), mode=mode)
