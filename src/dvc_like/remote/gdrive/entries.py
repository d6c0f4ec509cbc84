"""The files that claim to be objects of one store, by id and by key; and which of them count.

Owns what is taken from Drive's description of a file, and the rule which of several files of one key everybody takes.
Asks for nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from ..base import is_key
from .folders import Folders, parent_of
from .naming import STORE, key_of

FIELDS = "id,size,md5Checksum,createdTime,properties,parents,trashed,ownedByMe,shared,mimeType"


class Entry(NamedTuple):
    """A file that claims to be an object. `own`: it is this account's and shared with nobody."""

    id: str
    key: str
    size: int
    md5: str
    created: str
    parent: str
    own: bool


class Entries:
    """What is known of one store. Not safe to share while it is changed."""

    def __init__(self, folders: Folders) -> None:
        self._folders = folders
        self._of_id: dict[str, Entry] = {}
        self._of_key: dict[str, set[str]] = {}
        self.changed: dict[str, Any] = {}  # since it was saved; None is what is gone

    def load(self, saved: Iterable[list[Any]]) -> None:
        """Take over what was saved: the values of `changed`."""
        for fields in saved:
            self._add(Entry(*fields))

    def _add(self, entry: Entry) -> None:
        self._of_id[entry.id] = entry
        self._of_key.setdefault(entry.key, set()).add(entry.id)

    def hear(self, file: dict[str, Any]) -> Entry | None:
        """Take in what Drive says of a file; return its entry, None when it is no object of this store (any more)."""
        entry = self._entry(file)
        if entry is None:
            self.forget(str(file["id"]))
        elif self._of_id.get(entry.id) != entry:
            self.forget(entry.id)
            self._add(entry)
            self.changed[entry.id] = list(entry)
        return entry

    def forget(self, file_id: str) -> None:
        """Take out a file. What is not known here may be known to another process that saves to the same state."""
        entry = self._of_id.pop(file_id, None)
        if entry is not None:
            ids = self._of_key[entry.key]
            ids.discard(file_id)
            if not ids:
                del self._of_key[entry.key]
        self.changed[file_id] = None

    def clear(self) -> None:
        """Take out everything."""
        for file_id in list(self._of_id):
            self.forget(file_id)

    def _entry(self, file: dict[str, Any]) -> Entry | None:
        properties = file.get("properties") or {}
        key = key_of(properties)
        if file.get("trashed") or "size" not in file or properties.get(STORE) not in self._folders.roots:
            return None
        if not is_key(key):
            return None
        return Entry(
            str(file["id"]),
            key,
            int(file["size"]),
            str(file.get("md5Checksum", "")),
            str(file.get("createdTime", "")),
            parent_of(file),
            bool(file.get("ownedByMe")) and file.get("shared") is False,
        )

    def parents(self) -> set[str]:
        """Return the folders on which it depends whether entries count."""
        return {entry.parent for entry in self._of_id.values()}

    def below(self, prefix: str) -> list[str]:
        """Return the keys that begin with `prefix`, sorted."""
        return sorted(key for key in self._of_key if key.startswith(prefix))

    def counted(self, key: str) -> list[Entry]:
        """Return the entries of a key that count, the one that everybody takes first."""
        entries = [self._of_id[one] for one in self._of_key.get(key, ())]
        return sorted(filter(self.counts, entries), key=lambda entry: (entry.created, entry.id))

    def counts(self, entry: Entry) -> bool:
        """Tell whether everybody takes it for an object: see `folders`."""
        folders = self._folders
        kept = entry.own and not folders.is_shared and not folders.thrown_away(entry.parent)
        return kept or folders.inside(entry.parent)

    def known(self, keys: Iterable[str]) -> dict[str, Entry]:
        """Return the entry of each key that has one."""
        return {key: entries[0] for key in keys if (entries := self.counted(key))}
