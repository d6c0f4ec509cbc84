"""What changed inside a file: rows of tables, lines of text, the dimensions of images.

Owns telling the kinds apart and the comparison, within bounds: files may be large and a stranger's. It takes bytes and
reads nothing itself.
"""

from __future__ import annotations

import struct
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

MAX_TEXT = 1 << 20  # bytes of a file that is compared line by line
MAX_HEAD = 1 << 18  # bytes in which an image tells its dimensions
MAX_ALIGNED = 1000  # lines of a side, after what is equal at both ends, that are put side by side
MAX_LINES = 100  # that are returned
MAX_LENGTH = 500  # characters of one
ROWS, LINES, IMAGE, BYTES = "rows", "lines", "image", "bytes"

_DELIMITERS = {"csv": ",", "tsv": "\t"}


class Content(NamedTuple):
    """How the content of a file differs.

    `kind` is ``rows`` (csv, tsv, jsonl), ``lines`` (text), ``image`` or ``bytes`` (anything else, or too large).
    `added` and `removed` count lines; `lines` holds the first of them, ``+`` or ``-`` in front. `new_fields` and
    `gone_fields` are columns of a table, or keys in the differing rows of JSON lines. `before` and `after` are the
    dimensions of an image, as ``640x480``.
    """

    kind: str
    added: int = 0
    removed: int = 0
    lines: tuple[str, ...] = ()
    new_fields: tuple[str, ...] = ()
    gone_fields: tuple[str, ...] = ()
    before: str = ""
    after: str = ""


def compare(name: str, old: bytes, new: bytes) -> Content:
    """Compare what two versions of a file begin with: `MAX_TEXT` bytes and one, or all when it is less."""
    before, after = dimensions(old), dimensions(new)
    if before or after:
        return Content(IMAGE, before=before, after=after)
    texts = [_text(old), _text(new)]
    if texts[0] is None or texts[1] is None:
        return Content(BYTES)
    suffix = name.rpartition(".")[2].lower()
    rows = suffix in _DELIMITERS or suffix in ("jsonl", "ndjson")
    first, second = (text.removesuffix("\n").split("\n") if text else [] for text in texts if text is not None)
    changes = list(_changes(first, second))
    gone, come = ({*fields} for fields in _fields(suffix, first, second, changes))
    return Content(
        ROWS if rows else LINES,
        sum(line[0] == "+" for line in changes),
        sum(line[0] == "-" for line in changes),
        tuple(line[:MAX_LENGTH] for line in changes[:MAX_LINES]),
        tuple(sorted(come - gone)),
        tuple(sorted(gone - come)),
    )


def _text(data: bytes) -> str | None:
    """Return a file as text; None when it is none, or too large."""
    if len(data) > MAX_TEXT or b"\0" in data:
        return None
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError:
        return None


def _changes(old: list[str], new: list[str]) -> Iterator[str]:
    """Yield the lines that differ: in place where they are few, else as lines that are more often on one side."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    old, new = old[start : len(old) - end], new[start : len(new) - end]
    if max(len(old), len(new)) > MAX_ALIGNED:
        for sign, lines, others in (("-", old, new), ("+", new, old)):
            spare = Counter(lines) - Counter(others)
            for line in lines:
                if spare[line] > 0:
                    spare[line] -= 1
                    yield sign + line
        return
    import difflib  # costs as much to load as a small status takes

    for tag, first, last, begin, stop in difflib.SequenceMatcher(None, old, new).get_opcodes():
        if tag != "equal":
            yield from ("-" + line for line in old[first:last])
            yield from ("+" + line for line in new[begin:stop])


def _fields(suffix: str, old: list[str], new: list[str], changes: list[str]) -> tuple[list[str], list[str]]:
    """Return the names of columns on both sides: of the first line, or of the rows that differ."""
    if suffix in _DELIMITERS:
        return _header(old, _DELIMITERS[suffix]), _header(new, _DELIMITERS[suffix])
    if suffix not in ("jsonl", "ndjson"):
        return [], []
    import json

    found: dict[str, list[str]] = {"-": [], "+": []}
    for line in changes[:MAX_ALIGNED]:
        try:
            row = json.loads(line[1:])
        except (ValueError, RecursionError):
            continue
        found[line[0]] += row if isinstance(row, dict) else ()
    return found["-"], found["+"]


def _header(lines: list[str], delimiter: str) -> list[str]:
    import csv

    try:
        return next(csv.reader(lines[:1], delimiter=delimiter), [])
    except csv.Error:
        return []


def dimensions(head: bytes) -> str:
    """Return width and height of a PNG, GIF or JPEG as ``640x480``; empty for anything else."""
    if head.startswith(b"\x89PNG\r\n\x1a\n") and head[12:16] == b"IHDR" and len(head) >= 24:
        return "{}x{}".format(*struct.unpack(">II", head[16:24]))
    if head[:6] in (b"GIF87a", b"GIF89a") and len(head) >= 10:
        return "{}x{}".format(*struct.unpack("<HH", head[6:10]))
    return _jpeg(head) if head.startswith(b"\xff\xd8\xff") else ""


def _jpeg(head: bytes) -> str:
    at = 2
    while at + 9 <= min(len(head), MAX_HEAD) and head[at] == 0xFF:
        mark = head[at + 1]
        if mark == 0xFF or mark == 0x01 or 0xD0 <= mark <= 0xD9:  # filling, or a mark without a segment
            at += 1 if mark == 0xFF else 2
            continue
        if 0xC0 <= mark <= 0xCF and mark not in (0xC4, 0xC8, 0xCC):
            height, width = struct.unpack(">HH", head[at + 5 : at + 9])
            return f"{width}x{height}"
        at += 2 + int.from_bytes(head[at + 2 : at + 4], "big")
    return ""
