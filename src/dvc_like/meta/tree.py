"""The tree object: one folder, one entry a line. Canonical: equal folders give equal bytes.

Owns its grammar, in and out. Everything a stranger could hide in a name is refused here, so what comes
out of `parse` needs no second look. The format is specified in ``docs/format.md``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from .. import digest as digests
from ..digest import Digest
from ..errors import BadTree, UnsafePath
from ..paths import CONTROL, check_name, doubtful, show

HEADER = b"dvc-like tree 1\n"
MAX_SIZE = 1 << 30
MAX_NUMBER = (1 << 63) - 1

FILE, EXECUTABLE, LINK, FOLDER = "f", "x", "l", "d"


class Entry(NamedTuple):
    """One name in a folder.

    `kind` is ``f`` file, ``x`` executable file, ``l`` link or ``d`` folder. `size` is in bytes: of the file, of the
    link's target text, or of all files below the folder. `value` is the digest, or the target of a link.
    `files` counts the files and links below a folder and is 1 otherwise.
    """

    name: str
    kind: str
    size: int
    value: str
    files: int = 1

    @property
    def digest(self) -> Digest:
        """The digest of a file or folder; a link has none."""
        return Digest(self.value)

    @property
    def data_size(self) -> int:
        """Bytes of files: a link has none."""
        return 0 if self.kind == LINK else self.size


_NUMBER = r"(?:0|[1-9][0-9]{0,18})"
_NAME = f"[^{CONTROL}/]+"
_DIGEST = f"(?:{digests.PATTERN})"
# The whole grammar as one expression: it runs in C over the whole object, a microsecond an entry.
_GRAMMAR = re.compile(
    f"(?:[fx]\t{_NUMBER}\t{_DIGEST}\t{_NAME}\n"
    f"|d\t{_NUMBER}\t{_DIGEST}\t{_NUMBER}\t{_NAME}\n"
    f"|l\t{_NUMBER}\t[^{CONTROL}]+\t{_NAME}\n)*"
)


def parse(data: bytes, label: str) -> list[Entry]:
    """Return the entries of a tree in their order; `label` names the tree in the message.

    Raises `BadTree` for anything but the canonical bytes, `UnsafePath` for a name that must not be.
    """
    if not data.startswith(HEADER):
        if re.match(rb"dvc-like tree [0-9]+\n", data):
            raise BadTree(f"{label} is written in a newer tree format", hint="Upgrade dvc-like.")
        raise BadTree(f"{label} is not a tree object")
    try:
        text = data[len(HEADER) :].decode()
    except UnicodeDecodeError:
        raise BadTree(f"{label} holds bytes that are not UTF-8") from None
    well_formed = _GRAMMAR.match(text)
    if well_formed is None or well_formed.end() != len(text):
        line = text[well_formed.end() if well_formed else 0 :].partition("\n")[0]
        raise BadTree(f"{label} has a malformed line: {show(line)[:120]!r}")
    entries = []
    new = tuple.__new__  # what a named tuple's own constructor calls, in half the time
    for fields in [line.split("\t") for line in text.split("\n")[:-1]]:
        kind, size, value = fields[0], int(fields[1]), fields[2]
        if kind == FOLDER:
            entries.append(new(Entry, (fields[4], FOLDER, size, value, int(fields[3]))))
        else:
            entries.append(new(Entry, (fields[3], kind, size, value, 1)))
            if kind == LINK:
                _check_link(value, size, label)
    if any(entry[2] > MAX_NUMBER or entry[4] > MAX_NUMBER for entry in entries):
        raise BadTree(f"{label} holds a number past {MAX_NUMBER}")
    _check_names([entry[0] for entry in entries], label)
    return entries


def _check_names(names: list[str], label: str) -> None:
    if names != sorted(set(names)):
        raise BadTree(f"{label} is not sorted, or holds a name twice")
    try:
        for name in doubtful(names):
            check_name(name)
    except UnsafePath as error:
        raise UnsafePath(f"{label} refused: {error.message}", hint=error.hint) from None


def _check_link(target: str, size: int, label: str) -> None:
    if target.startswith("/") or "\\" in target or len(target.encode()) != size or size > 4095:
        raise UnsafePath(f"{label} refused: a link to {show(target)[:200]!r}")


def link_stays_inside(folder_depth: int, target: str) -> bool:
    """Tell whether a relative link, `folder_depth` levels below the dataset's root, ends inside the dataset.

    Decided by the text alone, so that it means the same on every machine: ``..`` may only stand in front.
    """
    if target.startswith("/") or not target:
        return False
    depth = folder_depth
    named = False
    for part in target.split("/"):
        if part == "..":
            # After a name it could climb out of wherever that name, itself a link, leads to.
            depth -= 1
            if named or depth < 0:
                return False
        elif part not in ("", "."):
            named = True
    return True


def encode(entries: list[Entry]) -> bytes:
    """Return the canonical bytes of a folder; `entries` may come in any order."""
    lines = []
    for name, kind, size, value, files in sorted(entries):
        if kind == FOLDER:
            lines.append(f"d\t{size}\t{value}\t{files}\t{name}\n")
        else:
            lines.append(f"{kind}\t{size}\t{value}\t{name}\n")
    return HEADER + "".join(lines).encode()
