"""How an object looks on Drive: the folder, name and kind a person sees, and the properties it is found by.

Owns both. A name is made of the label, and says nothing to us: objects are found by their properties alone.
"""

from __future__ import annotations

import mimetypes
import os
import re
from typing import NamedTuple

from blake3 import blake3

from ...paths import CONTROL

FOLDER = "application/vnd.google-apps.folder"
STORE, TOP, KEY, PATH = "dl-store", "dl-top", "dl-key", "dl-path"
_ROOM = 124 - len(KEY) - 1  # Drive holds 124 bytes of a property: of its name and its value
_MAX_NAME = 120  # characters of one part of a name
_MAX_DEPTH = 20

_BAD = re.compile(f"[{CONTROL}/\\\\]")
_HEX = re.compile(r"(?:^|/)(?:([0-9a-f]{2})/)?([0-9a-f]{30,})")


class Look(NamedTuple):
    """What a person sees: the path of the folder (empty: the remote's own), the name, the kind, and a line of text."""

    folder: str
    name: str
    mime: str
    description: str


def look_of(key: str, label: str) -> Look:
    """Return how the object of a key looks; `label` is the path of what is in it, if there is one."""
    parts = [clean for part in label.split("/") if (clean := _clean(part))]
    if parts:
        *folders, name = parts[-_MAX_DEPTH:]
        stem, suffix = os.path.splitext(name)
        if stem.endswith(".tar"):
            stem, suffix = stem[:-4], ".tar" + suffix
        match = _HEX.search(key)
        mark = f".{((match[1] or '') + match[2])[:8]}" if match else ""
        name = f"{stem}{mark}{suffix}"
    else:
        first, slash, rest = key.partition("/")
        folders, name = ([first], rest.replace("/", "-")) if slash else ([], first)
    mime, encoding = mimetypes.guess_type(name)
    if encoding is not None:
        mime = f"application/{'x-' if encoding not in ('gzip', 'zstd') else ''}{encoding}"
    if mime is None or mime.startswith("application/vnd.google-apps"):
        mime = "application/octet-stream"
    return Look("/".join(folders), name, mime, f"{'/'.join(parts)} (dvc-like: {key})" if parts else f"dvc-like: {key}")


def _clean(part: str) -> str:
    """Return a part of a label without what moves a cursor, divides a path, or means another folder."""
    clean = _BAD.sub("_", part).strip()
    if clean in ("", ".", ".."):
        return ""
    if len(clean) <= _MAX_NAME:
        return clean
    stem, suffix = os.path.splitext(clean)
    return stem[: _MAX_NAME - len(suffix)] + suffix if len(suffix) < 20 else clean[:_MAX_NAME]


# ------------------------------------------------------------------------------ properties


def top_of(key: str) -> str:
    """Return the value of `TOP`: the first part of a key, a dot for a key of one part."""
    first, slash, _ = key.partition("/")
    return first[:_ROOM] if slash else "."


def properties_of(store: str, key: str) -> dict[str, str]:
    """Return the properties of the object of a key. A long key is divided: ``dl-key``, ``dl-key1``, ``dl-key2``..."""
    pieces = [key[at : at + _ROOM] for at in range(0, len(key), _ROOM)]
    named = {KEY + (str(number) if number else ""): piece for number, piece in enumerate(pieces)}
    return {STORE: store, TOP: top_of(key), **named}


def key_of(properties: dict[str, str]) -> str:
    """Return the key that properties name; empty when they name none."""
    key = properties.get(KEY, "")
    number = 1
    while key and (piece := properties.get(f"{KEY}{number}")):
        key, number = key + piece, number + 1
    return key


def path_mark(path: str) -> str:
    """Return the value of `PATH`, by which the folder of a path is found."""
    return blake3(path.encode()).hexdigest(length=16)


def has(name: str, value: str) -> str:
    """Return the term of a query for a property."""
    return f"properties has {{ key={quoted(name)} and value={quoted(value)} }}"


def key_term(key: str) -> str:
    """Return the term of a query for a key; what has only the first piece of it in common is found as well."""
    return has(KEY, key[:_ROOM])


def quoted(text: str) -> str:
    """Return a text as a query of Drive takes it."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
