"""The syntax of the configuration, as Git reads and writes it. Pure text: knows no file, no level and no setting.

``[core]``, ``[remote "storage"]``, ``key = value``; a change keeps comments, order and everything else as it is.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .errors import ConfigError, UsageError
from .paths import show

_SECTION = re.compile(r'\[([A-Za-z0-9.-]+)(?:[ \t]+"((?:[^"\\\n]|\\[^\n])*)")?\]')
_KEY = re.compile(r"([A-Za-z][A-Za-z0-9_-]*)[ \t]*")

_BLANK = " \t\r\n"  # what Git's parser takes for white space, and nothing that Unicode adds to it


# Git knows no ``_`` in keys; people write these all the same, as they know them from elsewhere.
_SPELLINGS = (
    *("access_key_id", "secret_access_key", "session_token", "sse_kms_key_id", "storage_class", "no_sign"),
    *("path_style", "endpoint_url"),
)
_PLAIN = {spelling: spelling.replace("_", "") for spelling in _SPELLINGS}


def plain_key(key: str) -> str:
    """Return a key in the spelling that is stored."""
    return _PLAIN.get(key.lower(), key.lower())


class Found(NamedTuple):
    """One setting, and the characters of the text that it takes up."""

    name: str
    text: str
    start: int
    end: int


class Header(NamedTuple):
    """A section's header, and where it ends."""

    prefix: str
    end: int


def parse(text: str, path: str) -> tuple[list[Found], list[Header]]:
    """Return the settings and section headers of a text in their order; raise `ConfigError` that names `path`."""
    found: list[Found] = []
    headers: list[Header] = []
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
            headers.append(Header(f"{match[1].lower()}.{sub}", at))
        else:
            match = _KEY.match(text, at)
            if match is None or not headers:
                raise _unreadable(text, at, path)
            value, end = _value(text, match.end(), path)
            found.append(Found(headers[-1].prefix + plain_key(match[1]), value, at, end))
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


def line_of(text: str, at: int) -> int:
    """Return the number of the line in which a character stands."""
    return text.count("\n", 0, at) + 1


def _unreadable(text: str, at: int, path: str) -> ConfigError:
    line = text[text.rfind("\n", 0, at) + 1 : _end_of_line(text, at)]
    key, equals, _ = line.partition("=")
    hint = "It looks like a merge conflict: resolve it." if line.startswith(("<<<<<<<", ">>>>>>>", "=======")) else ""
    shown = f"{key}= ..." if equals and not hint else line  # the value may be a secret
    return ConfigError(f"{path}, line {line_of(text, at)}: cannot read {show(shown.strip())[:60]!r}", hint=hint)


def _quote(text: str) -> str:
    bad = next((char for char in text if ord(char) < 32 and char not in "\t\n\b"), None)
    if bad is not None:
        raise UsageError(f"{show(text)!r} holds a control character, which no setting may")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    escaped = escaped.replace("\n", "\\n").replace("\t", "\\t").replace("\b", "\\b")
    return f'"{escaped}"' if text != text.strip(_BLANK) or any(char in text for char in "#;") else escaped


def changed(text: str, path: str, setting: str, value: str | None, *, add: bool = False) -> str:
    """Return the text with a setting set (or, with None, unset), once; raise when it or the value is malformed.

    With `add` the values that it has stay, and this one comes after them.
    """
    return _unset(text, path, setting) if value is None else _set(text, path, setting, value, add=add)


def _unset(text: str, path: str, setting: str) -> str:
    for found in reversed(parse(text, path)[0]):
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
    for header in reversed(parse(text, path)[1]):
        next_one = text.find("[", header.end)
        if header.prefix == prefix and not text[header.end : next_one if next_one >= 0 else None].strip(_BLANK):
            text = _cut(text, text.rfind("[", 0, header.end), header.end)
    return text


def _set(text: str, path: str, setting: str, value: str, *, add: bool = False) -> str:
    line = f"{setting.rpartition('.')[2]} = {_quote(value)}"
    found, headers = parse(text, path)
    hits = [one for one in found if one.name == setting and not add]
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
        is_open = text.endswith(("\\\n", "\\\r\n"))  # a value that goes on in the line that comes would take it in
        start = "" if not text or (text.endswith("\n") and not is_open) else "\n"
        title = f'[{section} "{subsection}"]' if subsection else f"[{section}]"
        return f"{text}{start}{title}\n\t{line}\n"
    at = max([header.end, *(one.end for one in found if one.start > header.end and one.name.startswith(prefix))])
    at = _end_of_line(text, at)
    return f"{text[:at]}\n\t{line}{text[at:] or chr(10)}"
