"""Paths that strangers write: the one safe type, and how a name is shown.

Owns the rule which names may come from a meta file, a tree or a remote. Text becomes a `RelPath`
here or is refused; what is a `RelPath` needs no second look. Knows no file system: whether a path
leads through a link is for `fsutil` to see when it opens it.
"""

from __future__ import annotations

import os
import re
import unicodedata

from .errors import TYPED, UnsafePath

MAX_NAME = 255  # bytes of one part, as on most file systems
MAX_PATH = 4096
MAX_DEPTH = 512

# Code points that some file system ignores when it compares names: ".g\u200cit" opens ".git" on HFS+. Unicode calls
# them default ignorable; folders that fold case on ext4 and f2fs skip them all.
_IGNORABLE_RANGES = (
    (0xAD, 0xAD), (0x34F, 0x34F), (0x61C, 0x61C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F),
    (0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF),
    (0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF),
)  # fmt: skip
_IGNORABLE = re.compile("[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in _IGNORABLE_RANGES) + "]")
_PRIVATE = (".git", ".dvc-like")
# NTFS short names ("git~1", and its hashed form after four clashes "gi7eb8~1").
_SHORT_NAME = re.compile(r"(git|gi[0-9a-f]{4}|dvc-li|dv[0-9a-f]{4})~[0-9]")
# C0 and C1 controls, delete, line and paragraph separators, and lone surrogates (bytes that are not UTF-8).
CONTROL = "\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff"
_BAD_CHARACTER = re.compile(f"[{CONTROL}/\\\\]")
# ASCII, no leading dot, no tilde: cannot be any spelling of a private name, so needs no closer look.
_PLAIN_TEXT = "[A-Za-z0-9_][A-Za-z0-9_.+=@,-]{0,254}"
_PLAIN = re.compile(_PLAIN_TEXT)
_ALL_PLAIN = re.compile(f"(?:{_PLAIN_TEXT}\n)*")


class RelPath(str):
    """A relative POSIX path of safe parts, below the project's root. Made by `parse` and `join` only."""

    __slots__ = ()


def is_doubtful(name: str) -> bool:
    """Tell whether `name` needs the close look of `check_name`; most names do not."""
    return _PLAIN.fullmatch(name) is None


def doubtful(names: list[str]) -> list[str]:
    """Return those names that are doubtful. Mostly none is, which one look at all of them tells."""
    text = "".join([f"{name}\n" for name in names])
    if text.count("\n") == len(names) and _ALL_PLAIN.fullmatch(text):
        return []
    return [name for name in names if is_doubtful(name)]


def check_name(name: str) -> str:
    """Return `name` when it may name one entry of a folder, else raise `UnsafePath`."""
    if not is_doubtful(name):
        return name
    if name in ("", ".", ".."):
        raise UnsafePath(f"{show(name)!r} is not a name of a file")
    if _BAD_CHARACTER.search(name):
        raise UnsafePath(
            f"the name {show(name)[:200]} holds a control character, a slash, a backslash or bytes that are not UTF-8",
            hint="Rename it: such names cannot be checked out on every system.",
        )
    if len(name.encode()) > MAX_NAME:
        raise UnsafePath(f"the name {show(name[:40])}... is longer than {MAX_NAME} bytes")
    if is_private(name):
        raise UnsafePath(
            f"{show(name)} is a name of Git's or dvc-like's own folder in some spelling",
            hint="Move it out of the data: a dataset may not hold such a name.",
        )
    return name


def is_private(name: str) -> bool:
    """Tell whether some file system could take `name` for ``.git`` or ``.dvc-like``."""
    stem = _fold(name)
    return stem in _PRIVATE or _SHORT_NAME.fullmatch(stem) is not None


def fold(path: str) -> str:
    """Return what all spellings of a path have in common that some file system takes for the same."""
    return "/".join(map(_fold, path.split("/")))


def _fold(name: str) -> str:
    plain = name if name.isascii() else unicodedata.normalize("NFKC", _IGNORABLE.sub("", name))
    folded = plain.casefold()
    return folded.partition(":")[0].rstrip(". ")  # NTFS drops dots, blanks and ":stream"


def parse(text: str) -> RelPath:
    """Return `text` as a safe relative path; raise `UnsafePath` for anything else."""
    parts = text.split("/")
    if len(text.encode("utf-8", "surrogatepass")) > MAX_PATH or len(parts) > MAX_DEPTH:
        raise UnsafePath(f"the path {show(text[:60])}... is too long or too deep")
    for part in parts:
        check_name(part)
    if os.name == "nt" and ":" in text:
        raise UnsafePath(f"{show(text)} cannot be a file name on Windows")
    return RelPath(text)


def join(folder: str, name: str) -> RelPath:
    """Return ``folder/name``; both are safe already (`folder` may be empty: the root)."""
    return RelPath(f"{folder}/{name}" if folder else name)


def parent(path: str) -> RelPath:
    """Return the folder of `path`, empty for the root."""
    return RelPath(path.rpartition("/")[0])


def is_below(path: str, folder: str) -> bool:
    """Tell whether `path` is `folder` or lies in it. The root holds everything."""
    return not folder or path == folder or path.startswith(folder + "/")


def typed(path: str) -> str:
    """Mark a path in the command of a hint, for whoever shows it to say as it is typed in the current folder."""
    return f"{TYPED[0]}{show(path)}{TYPED[1]}"


# Marks of writing direction: with them a name can be read as another one (``gpj.exe`` backwards).
_UNPRINTABLE = re.compile(f"[{CONTROL}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def show(text: str) -> str:
    """Return `text` for a terminal: what could move the cursor, break the line or turn it around is escaped."""
    return _UNPRINTABLE.sub(lambda match: match[0].encode("unicode_escape", "surrogatepass").decode(), text)


def show_lines(text: str) -> str:
    """Return a text of several lines as `show` does; ends of lines and tabs stay."""
    return _UNPRINTABLE.sub(lambda match: match[0] if match[0] in "\n\t" else show(match[0]), text)


def show_json(text: str) -> str:
    """Return a JSON document for a terminal: the same document, with such characters as JSON escapes them."""
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
