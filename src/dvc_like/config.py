"""Configuration: git-config syntax in four files, later ones win, each value knows where it came from.

Owns the syntax (``[core]``, ``[remote "storage"]``, ``key = value``), the levels, which keys exist and which
of them the tracked file may hold. Knows no project: it is given the files' paths.

Levels, weakest first: ``system``, ``global`` (the user's), ``project`` (``.dvc-like/config``, tracked by Git, so
written by strangers), ``local`` (``.dvc-like/config.local``, never tracked).
"""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from .errors import ConfigError, UsageError
from .fsutil import Dir
from .paths import show

LEVELS = ("system", "global", "project", "local")
MAX_SIZE = 1 << 20

# Keys of every section. True: may stand in the tracked file.
_KEYS: dict[str, dict[str, bool]] = {
    "core": {
        "remote": True,
        "hash": True,
        "autostage": True,
        "locktimeout": True,
    },
    "cache": {"dir": False, "type": True},
    "gc": {"grace": True},
    "remote": {
        "url": True,
        "jobs": True,
        "timeout": True,
        "retries": True,
        "region": True,
        "profile": True,
        "endpointurl": True,
        "access_key_id": False,
        "secret_access_key": False,
        "session_token": False,
        "credentialpath": False,
        "verify": False,
        "proxy": False,
    },
}
_SECTION = re.compile(r'\[\s*([A-Za-z][A-Za-z0-9.-]*)(?:\s+"((?:[^"\\\n]|\\.)*)")?\s*\]')
_KEY = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)\s*(?:=\s*(.*))?$")
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

    def find(self, name: str) -> Value | None:
        """Return the winning setting with its origin."""
        return self._last.get(name)

    def number(self, name: str, default: float) -> float:
        """Return a setting as a number that is not negative."""
        value = self._last.get(name)
        if value is None:
            return default
        try:
            number = float(value.text)
        except ValueError:
            number = -1
        if not 0 <= number < float("inf"):
            raise ConfigError(f"{name} = {show(value.text)} in {value.path} is not a number")
        return number

    def flag(self, name: str, default: bool = False) -> bool:
        """Return a setting as true or false, in Git's spellings."""
        value = self._last.get(name)
        if value is None:
            return default
        word = value.text.lower()
        if word in ("true", "yes", "on", "1", ""):
            return True
        if word in ("false", "no", "off", "0"):
            return False
        raise ConfigError(f"{name} = {show(value.text)} in {value.path} is neither true nor false")

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
    section, key = section.lower(), key.lower()
    keys = _KEYS.get(section)
    if keys is None or key not in keys or bool(subsection) != (section == "remote"):
        known = ", ".join(f"{s}.{'NAME.' if s == 'remote' else ''}{k}" for s, ks in _KEYS.items() for k in ks)
        raise UsageError(f"there is no setting {show(name)!r}", hint=f"Settings: {known}.")
    if subsection:
        check_remote_name(subsection)
    return section, subsection, key


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
    if not _KEYS.get(section, {}).get(key, True):
        return "belongs into the local or the user's configuration, not into a file that Git tracks"
    if key == "endpointurl" and value.lower().startswith("http:"):
        host = re.sub(r"^http:/*(?:[^/@]*@)?(\[[^\]]*\]|[^:/]*).*", r"\1", value, flags=re.I).lower()
        if host not in ("localhost", "127.0.0.1", "[::1]"):
            return "is a plain http endpoint on another machine: allow it in the local configuration"
    if key in ("url", "endpointurl") and re.match(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*:[^/]*@", value):
        return "holds a password: put it into the local configuration"
    return None


def _read(level: str, path: str) -> list[Value]:
    try:
        folder, name = os.path.split(path)
        if level in ("project", "local"):
            with Dir.open_root(folder) as here:
                raw = here.read(name, MAX_SIZE)
        else:
            with open(path, "rb") as file:
                raw = file.read(MAX_SIZE)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    try:
        lines = raw.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8 text") from None
    values = []
    for name, text, number, _ in _parse(lines, path):
        section, _, rest = name.partition(".")
        reason = check_tracked(section, rest.rpartition(".")[2], text) if level == "project" else None
        if reason:
            raise ConfigError(
                f"{path}, line {number}: {show(name)} {reason}",
                hint="Remove the line, and set it with `dvc-like config --local` if you trust it.",
            )
        values.append(Value(name, text, level, path))
    return values


def _parse(lines: list[str], path: str) -> list[tuple[str, str, int, int]]:
    """Return (name, text, line number, line count) of every setting."""
    found = []
    prefix = ""
    number = 0
    while number < len(lines):
        start = number
        line = lines[number].strip()
        number += 1
        while line.endswith("\\") and not line.endswith("\\\\") and number < len(lines):
            line = line[:-1] + lines[number].strip()
            number += 1
        if not line or line[0] in "#;":
            continue
        if match := _SECTION.match(line):
            section, subsection = match[1].lower(), match[2]
            prefix = f"{section}." + (re.sub(r"\\(.)", r"\1", subsection) + "." if subsection is not None else "")
            line = line[match.end() :].strip()
            if not line or line[0] in "#;":
                continue
        match = _KEY.match(line)
        if match is None or not prefix:
            hint = (
                "It looks like a merge conflict: resolve it." if line[:7] in ("<<<<<<<", ">>>>>>>", "=======") else ""
            )
            raise ConfigError(f"{path}, line {start + 1}: cannot read {show(line)[:60]!r}", hint=hint)
        text = _unquote(match[2], f"{path}, line {start + 1}") if match[2] is not None else "true"
        found.append((prefix + match[1].lower(), text, start + 1, number - start))
    return found


_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "b": "\b"}


def _unquote(raw: str, where: str) -> str:
    out: list[str] = []
    quoted = False
    kept = 0  # length up to the last character that trailing blanks do not count after
    i = 0
    while i < len(raw):
        char = raw[i]
        if char == "\\":
            i += 1
            if i >= len(raw) or raw[i] not in _ESCAPES:
                raise ConfigError(f"{where}: bad escape in {show(raw)!r}")
            out.append(_ESCAPES[raw[i]])
            kept = len(out)
        elif char == '"':
            quoted = not quoted
            kept = len(out)
        elif char in "#;" and not quoted:
            break
        else:
            out.append(char)
            if quoted or not char.isspace():
                kept = len(out)
        i += 1
    if quoted:
        raise ConfigError(f"{where}: a quote is not closed")
    return "".join(out[:kept])


def _quote(text: str) -> str:
    escaped = (
        text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t").replace("\b", "\\b")
    )
    if text != text.strip() or any(char in text for char in "#;"):
        return f'"{escaped}"'
    return escaped


def edit(path: str, changes: dict[str, str | None]) -> None:
    """Set (or, with None, unset) settings in one file; comments and order stay as they are."""
    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    with Dir.open_root(folder) as here:
        try:
            lines = here.read(name, MAX_SIZE).decode("utf-8-sig").splitlines()
            mode = here.lstat(name).st_mode & 0o777
        except FileNotFoundError:
            lines, mode = [], 0o600 if name == "config.local" else 0o666
        for setting, text in changes.items():
            _change(lines, path, setting, text)
        here.write(name, "".join(f"{line}\n" for line in lines).encode(), mode=mode)


def _change(lines: list[str], path: str, setting: str, text: str | None) -> None:
    section, _, rest = setting.partition(".")
    subsection, _, key = rest.rpartition(".")
    header = f'[{section} "{subsection}"]' if subsection else f"[{section}]"
    hits = [(number - 1, length) for name, _, number, length in _parse(lines, path) if name == setting]
    for start, length in reversed(hits if text is None else hits[:-1]):
        del lines[start : start + length]
    if text is None:
        _drop_empty_section(lines, header)
    elif hits:
        start, length = hits[-1]
        removed = sum(count for _, count in hits[:-1])
        lines[start - removed : start - removed + length] = [f"\t{key} = {_quote(text)}"]
    else:
        at = _end_of_section(lines, header)
        if at is None:
            lines += [header]
            at = len(lines)
        lines.insert(at, f"\t{key} = {_quote(text)}")


def _end_of_section(lines: list[str], header: str) -> int | None:
    """Return the line after the last one of a section, or None when it is not there."""
    inside = None
    for number, line in enumerate(lines):
        if line.strip().startswith("["):
            if inside is not None:
                return inside
            if line.strip() == header:
                inside = number + 1
        elif inside is not None and line.strip():
            inside = number + 1
    return inside


def _drop_empty_section(lines: list[str], header: str) -> None:
    for number, line in enumerate(lines):
        if line.strip() == header:
            end = number + 1
            while end < len(lines) and not lines[end].strip():
                end += 1
            if end == len(lines) or lines[end].strip().startswith("["):
                del lines[number:end]
            return
