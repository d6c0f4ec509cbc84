"""The `.gitignore` line that keeps tracked data out of Git.

Owns the escaping of a name as a pattern and the edit of the one file beside the target. Not written through a link.
"""

from __future__ import annotations

import errno
import re

from ..errors import UnsafePath
from ..fsutil import Dir

NAME = ".gitignore"
_MAX_SIZE = 16 << 20


def pattern(name: str) -> str:
    """Return the pattern that matches exactly this entry of the folder the `.gitignore` lies in."""
    escaped = re.sub(r"([\\*?\[])", r"\\\1", name)
    if escaped.endswith(" "):
        escaped = escaped[:-1] + "\\ "
    return "/" + escaped


def lacking(folder: Dir, names: list[str]) -> list[str]:
    """Return those names of this folder that have no line of their own."""
    lines = set(_read(folder))
    return [name for name in names if pattern(name) not in lines]


def add(folder: Dir, names: list[str], aside: Dir | None = None) -> bool:
    """Make Git ignore `names` of this folder; return whether the file had to change. `aside` as for `Dir.write`."""
    lines = _read(folder)
    missing = [line for line in map(pattern, names) if line not in lines]
    if missing:
        _write(folder, lines + missing, aside)
    return bool(missing)


def remove(folder: Dir, names: list[str], aside: Dir | None = None) -> bool:
    """Take the lines of `names` out again; a file that is left empty is deleted. `aside` as for `Dir.write`."""
    lines = _read(folder)
    unwanted = set(map(pattern, names))
    kept = [line for line in lines if line not in unwanted]
    if len(kept) == len(lines):
        return False
    if kept:
        _write(folder, kept, aside)
    else:
        folder.unlink(NAME)
    return True


def _read(folder: Dir) -> list[str]:
    try:
        text = folder.read(NAME, _MAX_SIZE)
    except FileNotFoundError:
        return []
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.EINVAL, errno.EISDIR, errno.ENXIO, errno.EFBIG):
            raise
        raise UnsafePath(
            f"{folder.path}/{NAME} is a link or no ordinary file ({error.strerror})",
            hint="Replace it by a real file: dvc-like does not write through links.",
        ) from None
    # Not `splitlines`: a form feed inside a pattern is no line end for Git.
    return text.decode("utf-8", "surrogateescape").rstrip("\n").split("\n") if text else []


def _write(folder: Dir, lines: list[str], aside: Dir | None) -> None:
    data = "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")
    try:
        mode = folder.lstat(NAME).st_mode & 0o777
    except FileNotFoundError:
        mode = 0o666
    folder.write(NAME, data, mode=mode, aside=aside)
