"""The records that `undo` works from: what pointers and workspace were before a command.

Owns their format (specified in ``docs/format.md``) and the folder they lie in, ``.dvc-like/undo``. A record is as
little trusted as anything that Git could have delivered: it names meta files and `.gitignore` files below the root,
nothing else.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from dataclasses import dataclass, field

from .. import digest as digests
from .. import paths
from ..digest import parse
from ..errors import BadMeta, CorruptData, DvcLikeError, UnsafePath
from ..fsutil import Dir
from ..meta.file import SUFFIX, Meta
from ..meta.file import parse as parse_meta
from ..paths import RelPath, show
from ..workspace.gitignore import NAME as IGNORE
from ._tracked import Target, Wanted, is_ours

FOLDER = "undo"
MARK = "made-here"  # in a folder of state or of records: the text that proves it (see `_state`)
ENDING = ".undo"
HEADER = "dvc-like undo 1"
MAX_RECORDS = 50
MAX_SIZE = 4 << 20  # of one record: some ten thousand targets
_ESCAPED = re.compile(r"(?:[ -\[\]-~]|\\(?:[\\nrt]|x[0-9a-f]{2}))*")


@dataclass
class Record:
    """One command: what meta files, `.gitignore` files and the workspace's targets were before it.

    `pointers` holds bytes, or None where there was no file. `places` holds what of each target was in the workspace, as
    a meta file would describe it, None where there was nothing; `parts` holds the patterns of what a command was asked
    to change of one, where that was not all. `after` holds fingerprints of the pointers once the command had ended,
    empty where there is no file then. `freed` tells that objects were taken out of the cache, `trash` that they went to
    its trash, `large` that there was too much to record, or no place for it. `undoing` is how many records before this
    one an `undo` takes back that has not come to its end. `made` is in seconds since 1970.
    """

    serial: int
    verb: str
    made: float = 0.0
    pointers: dict[RelPath, bytes | None] = field(default_factory=dict)
    places: dict[RelPath, Meta | None] = field(default_factory=dict)
    after: dict[RelPath, str] = field(default_factory=dict)
    parts: dict[RelPath, list[str]] = field(default_factory=dict)
    freed: bool = False
    trash: bool = False
    large: bool = False
    undoing: int = 0

    def add_place(self, path: RelPath, place: Meta | None, patterns: list[str]) -> None:
        """Add what was there of a target, and what of it may change; what is known of it already counts."""
        known = self.parts.get(path, []) if path in self.places else patterns
        self.places.setdefault(path, place)
        self.parts.pop(path, None)
        if known and patterns:
            self.parts[path] = list(dict.fromkeys([*known, *patterns]))

    @property
    def name(self) -> str:
        """The name of its file."""
        return f"{self.serial:08}{ENDING}"


def fingerprint(data: bytes | None) -> str:
    """Return what tells whether a pointer is still the same; empty for no file."""
    return "" if data is None else digests.fingerprint(data).hex()


def encode(record: Record) -> bytes:
    """Return the bytes of a record; one that is too large keeps only its name."""
    lines = [HEADER, f"verb\t{show(record.verb)}"]
    lines += [flag for flag in ("freed", "trash", "large") if getattr(record, flag)]
    lines += [f"undoing\t{record.undoing}"] if record.undoing else []
    for path, data in record.pointers.items():
        # Latin-1 and back keeps every byte, and most text as it reads.
        lines.append(f"nothing\t{path}" if data is None else f"pointer\t{path}\t{_escape(data)}")
    for path, place in record.places.items():
        if place is None:
            lines.append(f"-\t{path}")
        elif place.files is not None:
            lines.append(f"d\t{place.size}\t{place.digest}\t{place.files}\t{path}")
        else:
            lines.append(f"{'x' if place.executable else 'f'}\t{place.size}\t{place.digest}\t{path}")
    lines += [f"part\t{path}\t{pattern}" for path, found in record.parts.items() for pattern in found]
    lines += [f"after\t{path}\t{mark}" for path, mark in record.after.items()]
    data = "".join(f"{line}\n" for line in lines).encode()
    if len(data) <= MAX_SIZE:
        return data
    return encode(Record(record.serial, record.verb, large=True, undoing=record.undoing))


def _escape(data: bytes) -> str:
    return data.decode("latin-1").encode("unicode_escape").decode("ascii")


def decode(data: bytes, serial: int) -> Record:
    """Read a record; raise `CorruptData` for anything that was not written by `encode`."""
    record = Record(serial, "")
    try:
        first, *lines = data.decode().split("\n")[:-1]
        if first != HEADER:
            raise ValueError("has another header")
        for line in lines:
            _take(record, *line.split("\t"))
    except (ValueError, TypeError, KeyError, DvcLikeError) as error:
        raise CorruptData(f"a record of `undo` cannot be read: {show(str(error))[:200]}") from None
    return record


def _take(record: Record, kind: str, *fields: str) -> None:
    if kind in ("freed", "trash", "large"):
        setattr(record, kind, True)
    elif kind == "verb":
        (record.verb,) = fields
    elif kind == "undoing":
        record.undoing = int(*fields)
    elif kind == "after":
        path, mark = fields
        record.after[_pointer(path)] = mark
    elif kind == "part":
        path, pattern = fields
        record.parts.setdefault(paths.parse(path), []).append(paths.parse(pattern))
    elif kind == "nothing":
        record.pointers[_pointer(*fields)] = None
    elif kind == "pointer":
        path, text = fields
        if not _ESCAPED.fullmatch(text):
            raise ValueError("has bytes that are not escaped as they should be")
        record.pointers[_pointer(path)] = text.encode("ascii").decode("unicode_escape").encode("latin-1")
    elif kind == "-":
        record.places[paths.parse(*fields)] = None
    elif kind == "d":
        size, digest, files, path = fields
        record.places[paths.parse(path)] = Meta(parse(digest), int(size), int(files))
    elif kind in ("f", "x"):
        size, digest, path = fields
        record.places[paths.parse(path)] = Meta(parse(digest), int(size), None, kind == "x")
    else:
        raise ValueError(f"knows no {kind!r}")


def _pointer(text: str) -> RelPath:
    path = paths.parse(text)
    if not path.endswith(SUFFIX) and path.rpartition("/")[2] != IGNORE:
        raise UnsafePath(f"{show(path)} is neither a meta file nor a {IGNORE}")
    return path


def open_folder(folder: str, *, create: bool = False) -> Dir | None:
    """Open the folder of the records in a `.dvc-like` folder, None where there is none. Never through a link."""
    with Dir.open_root(folder) as own:
        try:
            found = own.sub(FOLDER, create=create)
        except FileNotFoundError:
            return None
        try:
            if create and not found.exists(IGNORE):
                with own.sub("tmp") as aside:  # Git looks into this folder until it has its `.gitignore`
                    with contextlib.suppress(FileNotFoundError):  # where nothing can be kept in Git's folder
                        found.write(MARK, aside.read(MARK, MAX_SIZE), aside=aside)
                    found.write(IGNORE, b"*\n", aside=aside)
        except BaseException:
            found.close()
            raise
        return found


def serials(here: Dir) -> list[int]:
    """Return the numbers of the records that there are, in order."""
    names = [entry.name for entry in here.entries() if entry.name.endswith(ENDING)]
    stems = [name[: -len(ENDING)] for name in names]
    return sorted(int(stem) for stem in stems if stem.isascii() and stem.isdigit() and len(stem) == 8)


def live_records(folder: str, grace: float) -> list[Record]:
    """Return the records in a `.dvc-like` folder that are not older than `grace` seconds, the last command last.

    One that cannot be read is as if it were not there, and so are all before it: they do not lead up to now.
    """
    here = open_folder(folder) if os.path.isdir(folder) else None
    if here is None:
        return []
    found: list[Record] = []
    with here:
        for serial in serials(here):
            name = f"{serial:08}{ENDING}"
            try:
                record = decode(here.read(name, MAX_SIZE), serial)
                record.made = here.lstat(name).st_mtime
            except (CorruptData, OSError):
                found.clear()
                continue
            if record.made > time.time() - grace:
                found.append(record)
    return found[-MAX_RECORDS:]


def needed_by(record: Record) -> list[Wanted]:
    """Return what has to stay in the cache so that a command can be undone."""
    found = [Wanted(Target(path, place), path) for path, place in record.places.items() if place is not None]
    for path, data in record.pointers.items():
        if data is not None and path.endswith(SUFFIX) and is_ours(data):
            with contextlib.suppress(BadMeta):
                target = Target(RelPath(path[: -len(SUFFIX)]), parse_meta(data, path))
                found.append(Wanted(target, target.path))
    return found


def prune(here: Dir, grace: float) -> None:
    """Delete the records that count no more."""
    known = serials(here)
    old = time.time() - grace
    for at, serial in enumerate(known):
        name = f"{serial:08}{ENDING}"
        with contextlib.suppress(OSError):
            if at < len(known) - MAX_RECORDS or here.lstat(name).st_mtime < old:
                here.unlink(name)


def read_pointer(project_root: Dir, path: RelPath) -> bytes | None:
    """Return the bytes of a meta file or `.gitignore` now, None where there is none."""
    try:
        with project_root.descend(paths.parent(path)) as folder:
            return folder.read(path.rpartition("/")[2], MAX_SIZE)
    except OSError:
        return None  # not there, or a link: nothing that a command of ours would write to
