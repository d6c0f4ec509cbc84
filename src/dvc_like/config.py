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
USER_LEVELS = ("system", "global")  # trusted files of this machine, which may be links
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
_SECTION = re.compile(r'\[([A-Za-z0-9.-]+)(?:[ \t]+"((?:[^"\\\n]|\\[^\n])*)")?\]')
_KEY = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)[ \t]*")
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
        if word in ("true", "yes", "on", "1"):
            return True
        if word in ("false", "no", "off", "0", ""):
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
    if not _KEYS.get(section, {}).get(key, section != "remote"):  # what a plug-in reads may be a secret
        return "belongs into the local or the user's configuration, not into a file that Git tracks"
    value = re.sub(r"[\x00-\x20]", "", value)  # a blank before the scheme must not hide it
    if key == "endpointurl" and re.search(r"[?#@\\]", value):
        return "is no plain endpoint: leave out user, query and fragment"
    if key == "endpointurl" and value.lower().startswith("http:"):
        host = re.sub(r"^http:/*(?:[^/@]*@)?(\[[^\]]*\]|[^:/]*).*", r"\1", value, flags=re.I).lower()
        if host not in ("localhost", "127.0.0.1", "[::1]"):
            return "is a plain http endpoint on another machine: allow it in the local configuration"
    if key in ("url", "endpointurl") and re.match(r"[A-Za-z][A-Za-z0-9+.-]*://[^/]*:[^/]*@", value):
        return "holds a password: put it into the local configuration"
    return None


def _read(level: str, path: str) -> list[Value]:
    try:
        text = _load(path, follow=level in USER_LEVELS)
    except (FileNotFoundError, NotADirectoryError):
        return []
    values = []
    for found in _parse(text, path)[0]:
        section, _, rest = found.name.partition(".")
        reason = check_tracked(section, rest.rpartition(".")[2], found.text) if level == "project" else None
        if reason:
            raise ConfigError(
                f"{path}, line {_line(text, found.start)}: {show(found.name)} {reason}",
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


# ------------------------------------------------------------------------------ the syntax, as Git reads it

_BLANK = " \t\r\n"  # what Git's parser takes for white space, and nothing that Unicode adds to it


class _Found(NamedTuple):
    """One setting, and the characters of the text that it takes up."""

    name: str
    text: str
    start: int
    end: int


class _Header(NamedTuple):
    """A section's header, and where it ends."""

    prefix: str
    end: int


def _parse(text: str, path: str) -> tuple[list[_Found], list[_Header]]:
    """Return the settings and section headers of a file in their order; raise `ConfigError`."""
    found: list[_Found] = []
    headers: list[_Header] = []
    at = 0
    while at < len(text):
        char = text[at]
        if char in _BLANK:
            at += 1
        elif char in "#;":
            at = _end_of_line(text, at)
        elif char == "[":
            match = _SECTION.match(text, at)
            if match is None:
                raise _unreadable(text, at, path)
            sub = "" if match[2] is None else re.sub(r"\\(.)", r"\1", match[2]) + "."
            at = match.end()
            headers.append(_Header(f"{match[1].lower()}.{sub}", at))
        else:
            match = _KEY.match(text, at)
            if match is None or not headers:
                raise _unreadable(text, at, path)
            value, end = _value(text, match.end(), path)
            found.append(_Found(headers[-1].prefix + match[1].lower(), value, at, end))
            at = end
    return found, headers


_ESCAPES = {"n": "\n", "t": "\t", '"': '"', "\\": "\\", "b": "\b"}


def _value(text: str, at: int, path: str) -> tuple[str, int]:
    """Return the value that follows a key, and where it ends. A key alone means true."""
    if at == len(text) or text[at] in "\r\n":
        return "true", at
    if text[at] != "=":
        raise _unreadable(text, at, path)
    begin, at = at, at + 1
    out: list[str] = []
    kept = 0  # how much of it stays when blanks at the end are cut off
    quoted = False
    while at < len(text) and (char := text[at]) != "\n":
        if char in "#;" and not quoted:
            at = _end_of_line(text, at)
            break
        if char == "\\":
            at += 1
            if text.startswith(("\n", "\r\n"), at):  # the value goes on in the next line
                at = text.index("\n", at)
            elif at < len(text) and text[at] in _ESCAPES:
                out.append(_ESCAPES[text[at]])
                kept = len(out)
            else:
                raise _unreadable(text, begin, path)
        elif char == '"':
            quoted = not quoted
            kept = len(out)
        elif quoted or char not in _BLANK:
            out.append(char)
            kept = len(out)
        elif out:
            out.append(char)
        at += 1
    if quoted:
        raise _unreadable(text, begin, path)
    return "".join(out[:kept]), min(at, len(text))


def _end_of_line(text: str, at: int) -> int:
    end = text.find("\n", at)
    return len(text) if end < 0 else end


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _unreadable(text: str, at: int, path: str) -> ConfigError:
    line = text[text.rfind("\n", 0, at) + 1 : _end_of_line(text, at)]
    hint = "It looks like a merge conflict: resolve it." if line.startswith(("<<<<<<<", ">>>>>>>", "=======")) else ""
    return ConfigError(f"{path}, line {_line(text, at)}: cannot read {show(line.strip())[:60]!r}", hint=hint)


def _quote(text: str) -> str:
    bad = next((char for char in text if ord(char) < 32 and char not in "\t\n\b"), None)
    if bad is not None:
        raise UsageError(f"{show(text)!r} holds a control character, which no setting may")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    escaped = escaped.replace("\n", "\\n").replace("\t", "\\t").replace("\b", "\\b")
    return f'"{escaped}"' if text != text.strip(_BLANK) or any(char in text for char in "#;") else escaped


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
        text = _unset(text, path, setting) if value is None else _set(text, path, setting, value)
    with Dir.open_root(folder) as here:
        here.write(name, text.encode(), mode=mode)


def _unset(text: str, path: str, setting: str) -> str:
    for found in reversed(_parse(text, path)[0]):
        if found.name == setting:
            text = _cut(text, found.start, found.end)
    section, _, rest = setting.partition(".")
    subsection = rest.rpartition(".")[0]
    return _drop_empty_section(text, path, f"{section}.{subsection}." if subsection else f"{section}.")


def _cut(text: str, start: int, end: int) -> str:
    """Cut out a piece, and its line if nothing else stands in it."""
    begin = text.rfind("\n", 0, start) + 1
    after = _end_of_line(text, end)
    if not text[begin:start].strip(_BLANK) and not text[end:after].strip(_BLANK):
        return text[:begin] + text[after + 1 :]
    return text[:start].rstrip(" \t") + text[end:]


def _drop_empty_section(text: str, path: str, prefix: str) -> str:
    """Remove the headers of a section that holds nothing, not even a comment."""
    for header in reversed(_parse(text, path)[1]):
        next_one = text.find("[", header.end)
        if header.prefix == prefix and not text[header.end : next_one if next_one >= 0 else None].strip(_BLANK):
            text = _cut(text, text.rfind("[", 0, header.end), header.end)
    return text


def _set(text: str, path: str, setting: str, value: str) -> str:
    line = f"{setting.rpartition('.')[2]} = {_quote(value)}"
    found, headers = _parse(text, path)
    hits = [one for one in found if one.name == setting]
    for extra in reversed(hits[:-1]):
        text = _cut(text, extra.start, extra.end)
        return _set(text, path, setting, value)
    if hits:
        return text[: hits[0].start] + line + text[hits[0].end :]
    section, _, rest = setting.partition(".")
    subsection = rest.rpartition(".")[0]
    prefix = f"{section}.{subsection}." if subsection else f"{section}."
    header = next((one for one in reversed(headers) if one.prefix == prefix), None)
    if header is None:
        start = "" if not text or text.endswith("\n") else "\n"
        title = f'[{section} "{subsection}"]' if subsection else f"[{section}]"
        return f"{text}{start}{title}\n\t{line}\n"
    at = max([header.end, *(one.end for one in found if one.start > header.end and one.name.startswith(prefix))])
    at = _end_of_line(text, at)
    return f"{text[:at]}\n\t{line}{text[at:] or chr(10)}"
