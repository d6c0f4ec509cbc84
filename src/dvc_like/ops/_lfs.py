"""Reading what Git LFS tracks: the pointers that Git holds in place of files, and the objects beside them.

Owns the pointer's format, and where LFS keeps its objects and its rules. Changes nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable

from .. import paths
from ..digest import parse
from ..errors import DvcLikeError
from ..fsutil import Dir
from ..git import Git
from ..meta.file import MAX_SIZE
from ..paths import RelPath
from ._foreign import Found, Left, Shelf, Survey, read_if_any

SOURCE = "lfs"
ATTRIBUTES = ".gitattributes"
_MAX_POINTER = 1024
_MARK = b"version https://git-lfs.github.com/spec/v1\n"
_POINTER = re.compile(re.escape(_MARK) + rb"oid (sha256:[0-9a-f]{64})\nsize (0|[1-9][0-9]{0,17})\n")
_RULE = re.compile(rb"\s*(?!#|\[attr\]).*\sfilter=lfs(\s|$)")


def read(git: Git, root: Dir, survey: Survey) -> None:
    """Add to `survey` every pointer in Git's index, and the files with LFS's rules."""
    place = [f":(top,literal){git.prefix}"] if git.prefix else []
    lines = [
        line.partition(b"\t") for line in git.run("ls-files", "-s", "-z", "--full-name", "--", *place).split(b"\0")
    ]
    files = [(head.split(), git.relative(raw)) for head, _, raw in lines if head.startswith(b"100")]
    rules = [(head[1].decode(), path) for head, path in files if path.rpartition("/")[2] == ATTRIBUTES]
    # A run that died may have taken them out of the workspace, and not told Git.
    in_git = {path for path, data in git.contents(rules) if without_rules(data[:MAX_SIZE]) != data[:MAX_SIZE]}
    survey.attributes += [RelPath(path) for _, path in rules if path in in_git or _has_rules(root, path)]
    blobs = sorted({head[1].decode() for head, _ in files})
    sizes = git.run("cat-file", "--batch-check=%(objectsize)", stdin="".join(f"{name}\n" for name in blobs).encode())
    known = [(name, size) for name, size in zip(blobs, sizes.split(b"\n"), strict=False) if size.isdigit()]
    small = {name for name, size in known if int(size) <= _MAX_POINTER}
    modes = {path: head[0] for head, path in files}
    for path, data in git.contents([(head[1].decode(), path) for head, path in files if head[1].decode() in small]):
        if data.startswith(_MARK):
            try:
                survey.found.append(_found(path, data, executable=modes[path] == b"100755"))
            except DvcLikeError as error:
                survey.left.append(Left(path, error.message, error.hint, SOURCE))


def _has_rules(root: Dir, path: str) -> bool:
    data = read_if_any(root, path, MAX_SIZE) or b""
    return without_rules(data) != data


def _found(path: str, data: bytes, *, executable: bool) -> Found:
    pointer = _POINTER.fullmatch(data)
    if pointer is None:
        raise DvcLikeError("its pointer has extensions, or is damaged", hint="`git lfs fsck --pointers` tells more.")
    name = paths.parse(path)
    return Found(name, name, SOURCE, parse(pointer[1].decode()), False, int(pointer[2]), executable=executable)


def pointer(found: Found) -> bytes:
    """Return the text that Git holds in place of a file."""
    return _MARK + f"oid {found.digest}\nsize {found.size}\n".encode()


def shelf(git: Git) -> Shelf:
    """Return where LFS keeps its objects on this machine."""
    named = git.run("config", "--get", "lfs.storage", check=False).decode(errors="surrogateescape").strip()
    place = os.path.join(git.common_dir, os.path.expanduser(named) or "lfs", "objects")
    return Shelf(place, lambda digest: os.path.join(place, digest.hex[:2], digest.hex[2:4], digest.hex))


def without_rules(data: bytes) -> bytes:
    """Return a ``.gitattributes`` without the rules that hand files to LFS."""
    return b"".join(line for line in data.splitlines(keepends=True) if not _RULE.match(line))


def caught(git: Git, files: Iterable[str]) -> list[str]:
    """Return which files, relative to the project, a rule hands to LFS."""
    names = {f"{git.prefix}/{path}" if git.prefix else path: path for path in files}
    found = git.run("check-attr", "-z", "--stdin", "filter", stdin="\0".join(names).encode()).split(b"\0")
    return [names[name.decode()] for name, value in zip(found[::3], found[2::3], strict=False) if value == b"lfs"]
