"""Which objects there are: asked for by properties, remembered, and kept in step by Drive's feed of changes.

Owns when Drive is asked, and what an answer may be trusted for. A few keys are asked for with one query; for many all
files of the same first part of the key are listed, a thousand at a time. What was listed is saved, so that a second
look is one call. What is there is believed for some seconds; what is missing never without a new look.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from typing import Any

from ...errors import RemoteDenied, RemoteError, RemoteNotFound, RemoteUnavailable
from .connection import Connection
from .entries import FIELDS, Entries, Entry
from .folders import PAGE, TRASH, Folders, in_pages, parent_of
from .naming import FOLDER, TOP, has, key_term, quoted, top_of
from .state import State

FRESH = 10.0  # seconds for which what is there is taken to be there still, if nothing was written since
FEW = 20  # keys that are asked for with one query
MANY = 100  # for more keys than that all is listed
_MOST_CHANGES = 20  # pages; listing the store again is quicker than reading more of them
_EVERYTHING = ""

clock = time.monotonic


class Listing:
    """The entries of one store, as one account sees them. Safe to use from several threads."""

    def __init__(self, connection: Connection, folders: Folders, state: State) -> None:
        self._connection = connection
        self._folders = folders
        self._state = state
        self._mutex = threading.RLock()
        self._entries = Entries(folders)
        self._covered: set[str] = set()  # first parts of keys of which all files are known
        self._missed: set[str] = set()  # keys that were looked for in vain by this process
        self._queries = 0
        self._token = ""
        self._since = 0.0
        self._looked = float("-inf")
        self._wrote = False
        self._opened = False

    # ---------------------------------------------------------------- asking

    def find(self, keys: Iterable[str]) -> dict[str, Entry]:
        """Return the entries of those keys that are there."""
        begin = clock()
        asked = list(dict.fromkeys(keys))
        with self._mutex:
            if not asked or not self._open():
                return {}
            found = self._entries.known(asked)
            missing = [key for key in asked if key not in found]
            old = bool(found) and (self._wrote or self._looked < begin - FRESH)
            if old or any(map(self._is_covered, missing)):
                self._refresh(begin)
                found = self._entries.known(asked)
            if not self._folders.roots:
                return {}
            far = [key for key in asked if key not in found and not self._is_covered(key)]
            if len(far) > MANY or (far and self._queries >= FEW):
                for key in far:
                    if not self._is_covered(key):
                        self._cover(top_of(key))
                found = self._entries.known(asked)
            missing = [key for key in asked if key not in found]
            if len(missing) <= MANY:
                # The second look, and by another way: the feed of changes may lag, and so may a listing.
                for at in range(0, len(missing), FEW):
                    self._query(missing[at : at + FEW])
                found = self._entries.known(asked)
            if len(found) < len(asked):
                self._look_into_folders()
                found = self._entries.known(asked)
            self._missed.update(key for key in missing if key not in found)
            return found

    def for_put(self, key: str) -> Entry | None:
        """Return the entry that a put replaces. What this process found to be missing is not asked for again."""
        with self._mutex:
            if self._open():
                found = self._entries.known([key])
                if found or key in self._missed or (self._is_covered(key) and self._looked > float("-inf")):
                    return found.get(key)
            return self.find([key]).get(key)

    def walk(self, prefix: str) -> list[Entry]:
        """Return the entries of all keys below a prefix, sorted by key."""
        begin = clock()
        top = top_of(prefix) if prefix else _EVERYTHING
        with self._mutex:
            if not self._open():
                return []
            self._refresh(begin)  # also where all is listed below: what was known before may be gone
            if not self._folders.roots:
                return []
            if not self._covered & {top, _EVERYTHING}:
                self._cover(top)
            else:
                self._look_into_folders()
            return list(self._entries.known(self._entries.below(prefix)).values())

    def all_of(self, keys: Iterable[str]) -> list[Entry]:
        """Return every believed entry of keys, also those that lost against an older one."""
        asked = list(keys)
        self.find(asked)
        with self._mutex:
            return [entry for key in asked for entry in self._entries.counted(key)]

    # ---------------------------------------------------------------- hearing

    def wrote(self, file: dict[str, Any]) -> bool:
        """Take in what Drive says of a file that was just made or changed here; tell whether it counts."""
        with self._mutex:
            self._wrote = True
            return any(map(self._entries.counts, self._hear_all([file])))

    def forget(self, file_id: str) -> None:
        """Hear that a file is gone."""
        with self._mutex:
            self._entries.forget(file_id)

    def doubt(self) -> None:
        """Look again before anything is believed to be there: something turned out not to be so."""
        with self._mutex:
            self._wrote = True

    def _hear_all(self, files: Iterable[dict[str, Any]]) -> list[Entry]:
        found = [entry for entry in map(self._entries.hear, list(files)) if entry is not None]
        self._folders.learn({entry.parent for entry in found})
        return found

    # ---------------------------------------------------------------- looking

    def _is_covered(self, key: str) -> bool:
        return _EVERYTHING in self._covered or top_of(key) in self._covered

    def _query(self, keys: list[str]) -> None:
        self._queries += 1
        self._search(f"({' or '.join(map(key_term, keys))})")

    def _cover(self, top: str) -> None:
        if self._folders.is_foreign:
            top = _EVERYTHING  # all of it is looked at one by one in any case
        found = self._search(f"mimeType != {quoted(FOLDER)}" + (f" and {has(TOP, top)}" if top else ""))
        self._covered.add(top)
        others = self._look_into_folders()
        if others and others <= {entry.id for entry in found}:
            self._folders.is_foreign = False  # a search finds all that others made

    def _search(self, query: str) -> list[Entry]:
        query += f" and {self._folders.store_term()}"
        return self._hear_all(in_pages(self._connection, query, FIELDS, self._folders.drive))

    def _look_into_folders(self) -> set[str]:
        """Look where things lie, if a search may not find all; return the files that others made."""
        if not self._folders.is_foreign:
            return set()
        found = [one for one in self._folders.contents(FIELDS) if one["mimeType"] != FOLDER]
        others = {one["id"] for one in found if one.get("ownedByMe") is False}
        return others & {entry.id for entry in self._hear_all(found)}

    def _open(self) -> bool:
        """Make ready: from what was saved, or from the start. False while the remote's folder is not there."""
        if self._opened:
            return True
        head, files, parents = self._state.load()
        roots = tuple(head.get("roots", ()))
        if self._connection.place.path and not self._folders.roots:
            self._folders.open()  # a path may mean another folder now, or one more
            roots = roots if self._folders.roots == roots else ()
        if roots:
            self._folders.roots, self._folders.drive = roots, head["drive"]
            self._folders.is_guest, self._folders.is_foreign = not head["drive"], False
            self._folders.is_shared = head["shared"]
            self._folders.parents.update(parents)
            self._token, self._since = head["token"], head["since"]
            self._covered = set(head["covered"])
            self._entries.load(files.values())
        else:
            self._state.clear()
            if not self._folders.roots:
                self._folders.open()
            if not self._folders.roots:
                return False
            self._begin()
        self._opened = True
        return True

    def _begin(self) -> None:
        """Note where the feed of changes is now, before anything is listed."""
        begin = clock()
        try:
            self._token = self._start_of_feed()
        except (RemoteDenied, RemoteNotFound):
            if not self._folders.drive:
                raise
            self._folders.drive, self._folders.is_guest, self._folders.is_foreign = "", True, True
            self._token = self._start_of_feed()
        self._since, self._looked = time.time(), begin
        self._folders.lost()  # from now on the feed tells of what lies above it

    def _start_of_feed(self) -> str:
        where = {"driveId": self._folders.drive} if self._folders.drive else {}
        request = self._connection.service.changes.getStartPageToken(
            fields="startPageToken", supportsAllDrives=True, **where
        )
        return str(self._connection.call(request)["startPageToken"])

    def _refresh(self, begin: float) -> None:
        """Hear what changed, unless somebody looked since `begin`."""
        if self._looked >= begin:
            return
        begin, token = clock(), self._token
        where = {"driveId": self._folders.drive} if self._folders.drive else {}
        for _ in range(_MOST_CHANGES):
            request = self._connection.service.changes.list(
                pageToken=token,
                pageSize=PAGE,
                fields=f"nextPageToken,newStartPageToken,changes(fileId,removed,file({FIELDS}))",
                spaces="drive",
                includeRemoved=True,
                supportsAllDrives=True,
                includeItemsFromAllDrives=True,
                **where,
            )
            try:
                answer = self._connection.call(request)
            except RemoteError as error:
                if isinstance(error, RemoteUnavailable | RemoteDenied):
                    raise
                break  # this token is of no use any more
            if not self._apply(answer.get("changes", ())):
                break
            token = str(answer.get("newStartPageToken") or answer.get("nextPageToken"))
            if answer.get("newStartPageToken"):
                self._token, self._looked, self._wrote = token, begin, False
                return
        self._start_again()

    def _apply(self, changes: Iterable[dict[str, Any]]) -> bool:
        """Take in changes; False when the remote's own folder is gone."""
        files = []
        for change in changes:
            number, file = str(change.get("fileId", "")), change.get("file") or {}
            gone = bool(change.get("removed") or file.get("trashed") or not file)
            if number in self._folders.roots:
                if gone:
                    return False
                self._folders.is_shared = file.get("shared") is not False
            if number in self._folders.parents:
                self._folders.place_in(number, TRASH if gone else parent_of(file))
            elif gone:
                self._entries.forget(number)
            elif file.get("mimeType") != FOLDER:
                files.append(file)
        self._hear_all(files)
        self._folders.learn(self._entries.parents())
        return not self._folders.lost()

    def _start_again(self) -> None:
        self._entries.clear()
        self._covered.clear()
        self._missed.clear()
        self._folders.forget()
        self._opened = False
        self._state.clear()
        self._open()

    def close(self) -> None:
        """Save what is known; not while a thread still works, which after Ctrl-C may wait for minutes."""
        if not self._mutex.acquire(timeout=1):
            return
        try:
            if self._opened and not self._folders.is_foreign:  # of what others made the feed may not tell either
                head = {
                    **{"roots": self._folders.roots, "drive": self._folders.drive},
                    "shared": self._folders.is_shared,
                    **{"token": self._token, "since": self._since, "covered": sorted(self._covered)},
                }
                self._state.save(head, self._entries.changed, self._folders.changed)
                self._entries.changed, self._folders.changed = {}, {}
        finally:
            self._mutex.release()
