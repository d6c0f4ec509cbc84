"""What this machine offers: installed packages, file systems, the kinds of links that work between two folders.

Owns the trying out of links, which leaves nothing behind. Knows no project.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable
from importlib import metadata
from typing import NamedTuple

from ..cache.writer import CLONE_FROM
from ..fsutil import CREATE, Dir, clone, temp_name, write_all

_DISTRIBUTION = "dvc-like"
_EXTRA = re.compile(r"extra\s*==\s*['\"]([A-Za-z0-9_-]+)['\"]")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class Disk(NamedTuple):
    """Where a folder lies: its kind of file system (empty: cannot be told), and the bytes in all and free."""

    path: str
    file_system: str
    total: int
    free: int


class Packages(NamedTuple):
    """Installed versions of what dvc-like needs, and of each extra what is missing (nothing: it can be used)."""

    versions: dict[str, str]
    missing: dict[str, tuple[str, ...]]


def packages() -> Packages:
    """Return what is installed of what dvc-like names as its dependencies."""
    try:
        lines = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        lines = []  # run from its source
    versions: dict[str, str] = {}
    missing: dict[str, tuple[str, ...]] = {}
    for line in lines:
        found, extra = _NAME.match(line), _EXTRA.search(line)
        if found is None or found[0].lower() == _DISTRIBUTION or (extra and extra[1] in ("test", "lint", "all")):
            continue
        version = _version(found[0])
        if version:
            versions[found[0]] = version
        if extra is not None:
            missing[extra[1]] = missing.get(extra[1], ()) + (() if version else (found[0],))
    return Packages(dict(sorted(versions.items())), dict(sorted(missing.items())))


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def disk(path: str) -> Disk:
    """Return where a folder lies, or would lie."""
    here = os.path.realpath(path)
    while not os.path.exists(here) and os.path.dirname(here) != here:
        here = os.path.dirname(here)
    usage = shutil.disk_usage(here)
    return Disk(path, _file_system(here), usage.total, usage.free)


def _file_system(path: str) -> str:
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            lines = file.readlines()
    except OSError:
        return ""  # only Linux tells it in a file
    best, kind = "", ""
    for line in lines:
        fields, _, rest = line.partition(" - ")
        point = re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields.split()[4])
        if len(point) >= len(best) and f"{path}/".startswith(point.rstrip("/") + "/"):
            best, kind = point, rest.split()[0]  # of two at one place the later one lies on top
    return kind


def try_links(source: str, target: str) -> dict[str, bool]:
    """Return which kinds of links from a file in one folder into another work. Raises `OSError` when none can be tried.

    Both folders must be there; what was tried is removed again.
    """
    names = temp_name(), temp_name()
    with Dir.open_root(source) as there, Dir.open_root(target) as here:
        fd = there.open(names[0], CREATE)
        try:
            write_all(fd, bytes(CLONE_FROM))
            path = f"{source}/{names[0]}"
            return {
                "reflink": _can_clone(there, here, names),
                "hardlink": _can(lambda: os.link(path, f"{target}/{names[1]}"), here, names[1]),
                "symlink": _can(lambda: here.symlink(path, names[1]), here, names[1]),
                "copy": _can(lambda: os.close(here.open(names[1], CREATE)), here, names[1]),
            }
        finally:
            os.close(fd)
            there.unlink(names[0])


def _can(make: Callable[[], object], here: Dir, name: str) -> bool:
    try:
        make()
    except OSError:
        return False
    here.unlink(name)
    return True


def _can_clone(there: Dir, here: Dir, names: tuple[str, str]) -> bool:
    with contextlib.suppress(OSError):
        source = there.open(names[0], os.O_RDONLY)
        try:
            target = here.open(names[1], CREATE)
            try:
                return clone(source, target)
            finally:
                os.close(target)
                here.unlink(names[1])
        finally:
            os.close(source)
    return False
