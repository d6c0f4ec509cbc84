"""The folders of one remote: its own, those in it, and whether a file lies in it.

Owns the look-up of the remote's folder, the making of folders for people to see, and the rule who is believed: anybody
may share a file with us that claims to be of our store, so an object counts only where it lies in the remote's
folder, however deep, or where it is this account's own and that folder and it are shared with nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import Any

from ...errors import RemoteDenied, RemoteError, RemoteNotFound, RemoteUnavailable
from ...paths import show
from .connection import Connection
from .naming import FOLDER, PATH, STORE, has, path_mark, quoted
from .refusals import status_of

_FIELDS = "id,name,mimeType,trashed,createdTime,driveId,parents,properties,ownedByMe,shared,capabilities/canAddChildren"
_DEEPEST = 100  # levels that Drive allows
TRASH = "trash"  # in the place of a folder's parent
PAGE = 1000


def in_pages(connection: Connection, query: str, fields: str, drive: str = "") -> Iterator[dict[str, Any]]:
    """Yield every file that a query finds; `fields` of each are told."""
    where = {"corpora": "drive", "driveId": drive} if drive else {"corpora": "user"}
    token = None
    while True:
        request = connection.files.list(
            q=f"{query} and trashed = false",
            fields=f"nextPageToken,files({fields})",
            pageSize=PAGE,
            pageToken=token,
            spaces="drive",
            supportsAllDrives=True,
            includeItemsFromAllDrives=True,
            **where,
        )
        try:
            answer = connection.call(request)
        except RemoteError as error:
            if token is None or status_of(error) not in (400, 410):
                raise
            raise RemoteUnavailable(f"{connection.place.url}: the listing broke off") from None
        yield from answer.get("files", ())
        token = answer.get("nextPageToken")
        if not token:
            return


class Ids:
    """Ids for new files, asked for in advance: a file that is made twice under one id is one file."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._mutex = threading.Lock()
        self._left: list[str] = []
        self._next = 10

    def take(self) -> str:
        """Return one that was never used."""
        with self._mutex:
            if not self._left:
                request = self._connection.files.generateIds(count=self._next, space="drive", fields="ids")
                self._left = list(self._connection.call(request)["ids"])
                self._next = min(PAGE, self._next * 10)
            return self._left.pop()


class Folders:
    """What is known of folders. `roots` are the ids of the remote's own: several only if a path means several."""

    def __init__(self, connection: Connection, ids: Ids) -> None:
        self._connection = connection
        self._ids = ids
        self._place = connection.place
        self._mutex = threading.RLock()
        self.roots: tuple[str, ...] = ()
        self.drive = ""  # the shared drive whose listing and feed are used: we are members of it
        self.is_guest = False  # in a folder of a shared drive, not a member of that
        self.is_shared = True  # others may look into it: nobody else finds what is dragged out of it
        self.is_foreign = False  # it is somebody else's: a search may not find what others put there
        self.parents: dict[str, str] = {}  # of folders; empty when there is none that can be seen
        self.changed: dict[str, str] = {}  # of `parents`, since they were saved
        self._of_path: dict[str, str] | None = None
        self._making: dict[tuple[str, str], str] = {}  # ids of folders of which it is not known whether they are there
        self._listed = False
        self._opened: dict[str, Any] | None = None  # the remote's own, as this process has seen it
        self._may_add = False

    # ---------------------------------------------------------------- the remote's own folder

    def open(self, *, create: bool = False) -> None:
        """Find the remote's folder; with `create` make what its path lacks. `roots` stays empty while it lacks some."""
        top = self._look(self._place.folder)
        self.drive = "" if self.is_guest else str(top.get("driveId") or "")
        found = [top]
        for name in self._place.path:
            try:
                below = self._children(found, name)
            except (RemoteDenied, RemoteNotFound):
                if not self.drive:
                    raise
                self.drive, self.is_guest = "", True
                below = self._children(found, name)
            if not below:
                if not create:
                    return
                self._check(found[0])
                made = self.make(name, str(found[0]["id"]), {})
                # Somebody else may have made the same: everybody takes the oldest for his own, and looks into all.
                below = self._children(found, name) or [{**found[0], "id": made}]
            found = below
        if not self.roots:  # else it is known better by now
            self.is_foreign = not self.drive and not found[0].get("ownedByMe")
        self.is_shared = any(one.get("shared") is not False for one in found)
        self.roots = tuple(str(one["id"]) for one in found)
        for one in found:
            self.place_in(str(one["id"]), parent_of(one))
        self._opened = found[0]

    def check_writable(self) -> None:
        """Raise unless files can be put there: asked once, before the first byte is sent."""
        with self._mutex:
            if self._may_add:
                return
            if self._opened is None:
                self.open(create=True)
            if self._opened is not None:
                self._check(self._opened)
            self._may_add = True

    def _look(self, folder: str) -> dict[str, Any]:
        url = self._place.url
        try:
            found = self._connection.call(
                self._connection.files.get(fileId=folder, fields=_FIELDS, supportsAllDrives=True), url
            )
        except RemoteNotFound:
            raise RemoteDenied(
                f"{url}: there is no such folder, or {self._account()} may not see it",
                hint="Look at the id, share the folder with that account, or log in with another one.",
            ) from None
        if found.get("mimeType") != FOLDER:
            raise RemoteDenied(f"{url} is no folder", hint="Give the id of a folder.")
        if found.get("trashed"):
            raise RemoteDenied(f"{url} is in the trash", hint="Restore the folder, or choose another one.")
        return found

    def _check(self, folder: dict[str, Any]) -> None:
        if self._connection.robot and not folder.get("driveId"):
            raise RemoteDenied(
                f"{self._place.url} lies in My Drive, where the service account {self._connection.robot} can store "
                "nothing: it has no space of its own",
                hint="Use a folder of a shared drive in which it is a content manager, let it act for a person "
                "(domain-wide delegation), or log in as a person: dvc-like remote login NAME",
            )
        if folder.get("capabilities", {}).get("canAddChildren") is False:
            raise RemoteDenied(
                f"{self._place.url}: {self._account()} may not add files to it",
                hint="Ask for the role of an editor (shared drive: content manager) on the folder.",
            )

    def _account(self) -> str:
        """Return how the account in use is named."""
        if self._connection.robot:
            return f"the service account {show(self._connection.robot)}"
        try:
            about = self._connection.call(self._connection.service.about.get(fields="user(emailAddress)"))
            return show(str(about["user"]["emailAddress"]))
        except (RemoteError, KeyError, TypeError):
            return "this account"

    def _children(self, folders: Iterable[dict[str, Any]], name: str) -> list[dict[str, Any]]:
        """Return the folders of a name, the oldest first. One parent at a time: Drive may find nothing for several."""
        found = []
        for folder in folders:
            query = f"{quoted(str(folder['id']))} in parents and name = {quoted(name)} and mimeType = {quoted(FOLDER)}"
            found += [one for one in in_pages(self._connection, query, _FIELDS, self.drive) if one["name"] == name]
        return sorted(found, key=_age)

    # ---------------------------------------------------------------- what lies in it

    def inside(self, folder: str) -> bool:
        """Tell whether a folder is the remote's own or lies in it, as far as `learn` knows."""
        return self._above(folder) in self.roots

    def thrown_away(self, folder: str) -> bool:
        """Tell whether a folder is in the trash, or lies in one that is."""
        return self._above(folder) == TRASH

    def _above(self, folder: str) -> str:
        """Return the remote's own folder, `TRASH`, or the last that is known on the way up."""
        for _ in range(_DEEPEST):
            above = self.parents.get(folder, "")
            if folder in self.roots or not above:
                break
            folder = above
        return folder

    def learn(self, folders: Iterable[str]) -> None:
        """Find out where folders lie."""
        unknown = {one for one in folders if one and one not in self.parents and one not in self.roots}
        if unknown and not self._listed:
            self._list()
        for folder in unknown:
            self._climb(folder)

    def _climb(self, folder: str) -> None:
        for _ in range(_DEEPEST):
            if not folder or folder == TRASH or folder in self.roots or folder in self.parents:
                break
            try:
                fields = "id,parents,trashed"
                request = self._connection.files.get(fileId=folder, fields=fields, supportsAllDrives=True)
                found = self._connection.call(request)
                above = TRASH if found.get("trashed") else parent_of(found)
            except (RemoteNotFound, RemoteDenied):
                above = ""
            self.place_in(folder, above)
            folder = above

    def lost(self) -> bool:
        """Tell whether the remote's own folder is in the trash with one above it: the feed may tell of that alone."""
        for root in self.roots:
            self._climb(self.parents.get(root, ""))
        return any(self.thrown_away(self.parents.get(root, "")) for root in self.roots)

    def place_in(self, folder: str, above: str) -> None:
        """Hear where a folder lies now: `TRASH` also when it is gone for good."""
        if above == TRASH:
            self._of_path = None
        self.parents[folder] = self.changed[folder] = above

    def store_term(self) -> str:
        """Return the term of a query for what claims to be of this store."""
        return "(" + " or ".join(has(STORE, root) for root in self.roots) + ")"

    def _list(self) -> dict[str, str]:
        """List the folders of the store; return those that paths name, the oldest of each."""
        if self.is_foreign:
            found = [one for one in self.contents(_FIELDS) if one["mimeType"] == FOLDER]
        else:
            query = f"{self.store_term()} and mimeType = {quoted(FOLDER)}"
            found = list(in_pages(self._connection, query, _FIELDS, self.drive))
        found.sort(key=_age)
        for one in found:
            self.place_in(str(one["id"]), parent_of(one))
        self._listed = True
        self.learn([parent_of(one) for one in found])
        of_path: dict[str, str] = {}
        for one in found:
            if self.inside(str(one["id"])):
                of_path.setdefault(str(one.get("properties", {}).get(PATH, "")), str(one["id"]))
        return of_path

    def contents(self, fields: str) -> Iterator[dict[str, Any]]:
        """Yield all that lies in the remote's folder, one folder after the other."""
        todo = list(self.roots)
        for folder in todo:
            for one in in_pages(self._connection, f"{quoted(folder)} in parents", fields, self.drive):
                if one["mimeType"] == FOLDER and one["id"] not in todo:
                    todo.append(str(one["id"]))
                    self.place_in(str(one["id"]), folder)
                yield one

    # ---------------------------------------------------------------- making

    def for_path(self, path: str) -> str:
        """Return the folder for a path that people see, made if there is none."""
        with self._mutex:
            if not self.roots:
                raise RemoteUnavailable(f"{self._place.url} is looked for again: it was deleted or moved")
            if not path:
                return self.roots[0]
            if self._of_path is None:
                self._of_path = self._list()
            mark = path_mark(path)
            if mark not in self._of_path:
                above, _, name = path.rpartition("/")
                made = self.make(name, self.for_path(above), {STORE: self.roots[0], PATH: mark})
                self._of_path[mark] = made
            return self._of_path[mark]

    def forget(self) -> None:
        """Forget what was learnt, and where the remote's own folder is."""
        with self._mutex:
            self.roots, self._of_path, self._listed = (), None, False
            self._opened, self._may_add = None, False
            self.parents.clear()
            self.changed.clear()

    def forget_paths(self) -> None:
        """Look for the folders of paths again: one of them is gone."""
        with self._mutex:
            self._of_path = None

    def make(self, name: str, above: str, properties: dict[str, str]) -> str:
        """Make a folder; return its id."""
        made = self._making.get((above, name)) or self._ids.take()
        self._making[above, name] = made
        body = {"id": made, "name": name, "mimeType": FOLDER, "parents": [above], "properties": properties}
        try:
            request = self._connection.files.create(body=body, fields="id", supportsAllDrives=True)
            self._connection.call(request, creates=True)
        except RemoteError as error:
            if status_of(error) != 409:  # else the answer to an earlier attempt was lost
                raise
        del self._making[above, name]
        self.place_in(made, above)
        return made


def _age(folder: dict[str, Any]) -> tuple[str, str]:
    return str(folder.get("createdTime", "")), str(folder["id"])


def parent_of(file: dict[str, Any]) -> str:
    """Return the folder that a file lies in, empty when that cannot be seen."""
    return str((file.get("parents") or [""])[0])
