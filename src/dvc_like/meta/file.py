"""The meta file ``X.meta``: a few lines of YAML that describe the neighbour ``X``.

Owns reading it with distrust and writing it so that equal content gives equal bytes. It holds no path, so
there is none to lead astray. The format is specified in ``docs/format.md``.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from .. import digest as digests
from ..digest import Digest
from ..errors import BadMeta, CorruptData
from ..paths import show
from .yaml import dump, load

SUFFIX = ".meta"
MAX_SIZE = 1 << 20
MAX_DEPTH = 32

# Our own writing, and nearly every file there is: read without loading YAML, which costs more than a whole `status`.
_PLAIN = re.compile(
    rb"hash: (" + digests.PATTERN.encode() + rb")\n"
    rb"size: (0|[1-9][0-9]{0,17})\n"
    rb"(?:files: (0|[1-9][0-9]{0,17})\n)?"
    rb"(?:exec: (true)\n)?"
    rb"(?:remote: ([A-Za-z][A-Za-z0-9_-]{0,99})\n)?"
)
# What YAML reads as something else than text must not pass the short road as a remote's name.
_YAML_WORDS = frozenset(["y", "n", "yes", "no", "on", "off", "true", "false", "null"])


class Meta(NamedTuple):
    """What a meta file says. `files` is None for a single file; `extra` holds the keys we do not know."""

    digest: Digest
    size: int
    files: int | None = None
    executable: bool = False
    remote: str | None = None
    extra: tuple[tuple[str, Any], ...] = ()

    @property
    def is_folder(self) -> bool:
        """Tell whether the target is a folder: `digest` then names its root tree."""
        return self.files is not None

    @property
    def file_count(self) -> int:
        """Return how many files the target has."""
        return 1 if self.files is None else self.files


def parse(data: bytes, name: str) -> Meta:
    """Read a meta file; `name` is for the message. Raises `BadMeta`."""
    if len(data) <= MAX_SIZE:
        plain = _PLAIN.fullmatch(data)
        if plain and (plain[5] is None or plain[5].decode().lower() not in _YAML_WORDS):
            return Meta(
                Digest(plain[1].decode()),
                int(plain[2]),
                None if plain[3] is None else int(plain[3]),
                plain[4] is not None,
                None if plain[5] is None else plain[5].decode(),
            )
    return _parse_yaml(data, name)


def _parse_yaml(data: bytes, name: str) -> Meta:
    if not data.strip():
        raise _bad(name, "is empty", "Restore it with `git checkout`, or run `dvc-like add` again.")
    if len(data) > MAX_SIZE:
        raise _bad(name, f"is larger than {MAX_SIZE} bytes")
    if re.search(rb"^(<<<<<<<|>>>>>>>) ", data, re.M):
        raise _bad(
            name,
            "holds a merge conflict",
            f"Take one side (`git checkout --ours -- {show(name)}`, or `--theirs`), then run `dvc-like checkout` and "
            "`git add`.",
        )
    try:
        data.decode()
        document = load(data, MAX_DEPTH)
    except ValueError as error:
        raise _bad(name, f"is not a meta file: {show(str(error))[:200]}") from None
    if not isinstance(document, dict):
        raise _bad(name, "is not a meta file: expected `key: value` lines")
    try:
        digest = digests.parse(document.pop("hash", None))
    except CorruptData as error:
        raise _bad(name, f"has a bad `hash`: {error.message}") from None
    size = document.pop("size", None)
    files = document.pop("files", None)
    executable = document.pop("exec", False)
    remote = document.pop("remote", None)
    if not _is_count(size):
        raise _bad(name, "has no sound `size`")
    if files is not None and not _is_count(files):
        raise _bad(name, "has no sound `files`")
    if not isinstance(executable, bool):
        raise _bad(name, "has an `exec` that is neither true nor false")
    if remote is not None and not isinstance(remote, str):
        raise _bad(name, "has a `remote` that is no name")
    return Meta(digest, size, files, executable, remote, tuple(document.items()))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63


def _bad(name: str, what: str, hint: str = "") -> BadMeta:
    return BadMeta(f"{show(name)} {what}", hint=hint)


def encode(meta: Meta) -> bytes:
    """Return the bytes of a meta file: known keys in their order, then the others in theirs."""
    lines = [f"hash: {meta.digest}", f"size: {meta.size}"]
    if meta.files is not None:
        lines.append(f"files: {meta.files}")
    if meta.executable:
        lines.append("exec: true")
    text = "\n".join(lines) + "\n"
    rest = dict(meta.extra)
    if meta.remote is not None:
        rest = {"remote": meta.remote, **rest}
    if rest:
        text += dump(rest)
    return text.encode()
