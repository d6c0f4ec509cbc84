"""What is kept: accounts, files, folders, shared drives, who may do what with them, and in which order all changed.

Knows nothing of HTTP. Whoever calls holds `Store.lock`.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import random
import string
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from .errors import not_found, refusal

FOLDER = "application/vnd.google-apps.folder"
DOCS = "application/vnd.google-apps."
ROLES = ("", "reader", "commenter", "writer", "fileOrganizer", "organizer", "owner")
MAX_DEPTH = 100
_LETTERS = string.ascii_letters + string.digits + "-_"

SCOPE = "https://www.googleapis.com/auth/drive"
SCOPE_FILE = SCOPE + ".file"
SCOPE_READONLY = SCOPE + ".readonly"
SCOPE_METADATA = SCOPE + ".metadata"
SCOPE_METADATA_READONLY = SCOPE + ".metadata.readonly"
SCOPE_APPDATA = SCOPE + ".appdata"
_SEES_ALL = frozenset({SCOPE, SCOPE_READONLY, SCOPE_METADATA, SCOPE_METADATA_READONLY})


@dataclass(frozen=True)
class Caller:
    """Who asks: the account, the project of the OAuth client, and what the token is good for."""

    email: str
    project: str
    scopes: frozenset[str]

    @property
    def sees_all(self) -> bool:
        """Tell whether files are seen that this app neither made nor was given."""
        return bool(self.scopes & _SEES_ALL)


@dataclass
class Account:
    """Somebody who can sign in. `limit` is in bytes, None is no limit; a service account has no space at all."""

    email: str
    root: str
    is_service: bool = False
    limit: int | None = 15 << 30
    name: str = ""


@dataclass
class File:
    """One file or folder. `owner` is empty in a shared drive, `parent` is empty for a root and for an orphan."""

    id: str
    name: str
    mime: str
    parent: str
    owner: str
    drive: str
    creator: str
    content: bytes = b""
    description: str = ""
    properties: dict[str, str] = field(default_factory=dict)
    app_properties: dict[str, dict[str, str]] = field(default_factory=dict)  # by project
    apps: set[str] = field(default_factory=set)  # the projects that made or opened it
    roles: dict[str, str] = field(default_factory=dict)  # given here; what is inherited is not
    created: str = ""
    modified: str = ""
    trashed: bool = False  # itself; a file in a trashed folder is trashed too
    starred: bool = False
    abusive: bool = False
    version: int = 1
    born: int = 0  # how many listings there had been
    lag: float = 0  # how many more were not to find it
    change: int = 0  # when it changed last, in the order of all changes

    @property
    def is_folder(self) -> bool:
        """Tell whether it holds files."""
        return self.mime == FOLDER

    @property
    def is_binary(self) -> bool:
        """Tell whether it has bytes of its own."""
        return not self.mime.startswith(DOCS)

    @cached_property
    def _sums(self) -> tuple[str, str, str]:
        names = ("md5", "sha1", "sha256")
        md5, sha1, sha256 = (hashlib.new(name, self.content, usedforsecurity=False).hexdigest() for name in names)
        return md5, sha1, sha256

    @property
    def sums(self) -> tuple[str, str, str]:
        """MD5, SHA-1 and SHA-256 of the content, in hex."""
        return self._sums

    def replace_content(self, content: bytes) -> None:
        """Put other bytes in."""
        self.content = content
        self.__dict__.pop("_sums", None)


@dataclass
class Gone:
    """A file that was deleted or taken away, and who had seen it."""

    id: str
    drive: str
    viewers: frozenset[str]
    change: int
    time: str


class Store:
    """Everything; `lock` is held by whoever uses it."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.accounts: dict[str, Account] = {}
        self.files: dict[str, File] = {}
        self.drives: dict[str, str] = {}  # id -> name
        self.gone: dict[str, Gone] = {}
        self.lost: list[Gone] = []  # by those that may not see it any more
        self.quiet_folders = False
        self._inside: dict[str, dict[str, File]] = {}  # folder -> what lies in it
        self.reserved: dict[str, str] = {}  # generated ids -> who asked
        self.listings = 0
        self.lag = 0.0
        self.shift = 0.0  # seconds that the server's clock is ahead
        self._changes = itertools.count(1)
        self.last_change = 0
        self._chance = random.Random(3)

    # ---------------------------------------------------------------- making

    def now(self) -> float:
        """Return the time, in seconds since 1970."""
        return time.time() + self.shift

    def timestamp(self) -> str:
        """Return the time as Drive writes it."""
        now = self.now()
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now))
        return f"{seconds}.{int(now * 1000) % 1000:03d}Z"

    def new_id(self, prefix: str = "1", length: int = 33) -> str:
        """Return an id that is not taken."""
        return prefix + "".join(self._chance.choices(_LETTERS, k=length - len(prefix)))

    def account(self, email: str) -> Account:
        """Return the account of this address, made when it is new; the address says whether a program has it."""
        if email not in self.accounts:
            is_service = email.endswith(".gserviceaccount.com")
            root = self.new_id("0A", 19)
            name = email.partition("@")[0].capitalize()
            self.accounts[email] = Account(email, root, is_service, 0 if is_service else 15 << 30, name)
            made = File(root, "My Drive", FOLDER, "", email, "", email, created=self.timestamp())
            made.modified = made.created
            self.files[root] = made
        return self.accounts[email]

    def shared_drive(self, name: str, members: dict[str, str]) -> str:
        """Make a shared drive; return its id, which is also its root folder's."""
        made = File(self.new_id("0A", 19), name, FOLDER, "", "", "", next(iter(members), ""), roles=dict(members))
        made.drive = made.id
        made.created = made.modified = self.timestamp()
        for email in members:
            self.account(email)
        self.files[made.id] = made
        self.drives[made.id] = name
        return made.id

    def add(self, file: File) -> File:
        """Keep a new file."""
        file.created = file.modified = self.timestamp()
        file.born, file.lag = self.listings, self.lag
        self.files[file.id] = file
        self._inside.setdefault(file.parent, {})[file.id] = file
        self.touch(file, modified=False)
        return file

    def move(self, file: File, parent: str) -> None:
        """Put a file into another folder."""
        with self._watched(file):
            del self._inside[file.parent][file.id]
            file.parent = parent
            self._inside.setdefault(parent, {})[file.id] = file

    def share(self, file: File, email: str, role: str) -> None:
        """Give somebody a role; an empty one takes it back."""
        self.account(email)
        with self._watched(file):
            file.roles.pop(email, None)
            file.roles |= {email: role} if role else {}
        self.touch(file, modified=False)

    @contextlib.contextmanager
    def _watched(self, file: File) -> Iterator[None]:
        """Note for whom files vanish while this is done."""
        touched = [file, *(() if self.quiet_folders else self.below(file))]
        before = [self.viewers(one) for one in touched]
        yield
        for one, viewers in zip(touched, before, strict=True):
            if lost := viewers - self.viewers(one):
                self.last_change = next(self._changes)
                self.lost.append(Gone(one.id, one.drive, lost, self.last_change, self.timestamp()))

    def viewers(self, file: File) -> frozenset[str]:
        """Return who may see a file."""
        return frozenset(email for email in self.accounts if self.role(file, email))

    def touch(self, file: File, *, modified: bool = True) -> None:
        """Note that a file, and for a folder all below it unless those are quiet, is another than before."""
        file.version += 1
        if modified:
            file.modified = self.timestamp()
        for one in [file, *(() if self.quiet_folders else self.below(file))]:
            self.last_change = one.change = next(self._changes)

    def remove(self, file: File) -> None:
        """Delete a file for good, with all below it."""
        for one in [*[*self.below(file)][::-1], file]:
            told = frozenset() if self.quiet_folders and one is not file else self.viewers(one)
            self.last_change = next(self._changes)
            self.gone[one.id] = Gone(one.id, one.drive, told, self.last_change, self.timestamp())
            del self.files[one.id], self._inside[one.parent][one.id]

    # ---------------------------------------------------------------- looking

    def children(self, folder: str) -> list[File]:
        """Return what lies in a folder."""
        return [*self._inside.get(folder, {}).values()]

    def count(self, folder: str) -> int:
        """Return how many things lie in a folder."""
        return len(self._inside.get(folder, {}))

    def below(self, file: File) -> Iterator[File]:
        """Yield all that lies below a folder."""
        for one in self.children(file.id) if file.is_folder else ():
            yield one
            yield from self.below(one)

    def above(self, file: File) -> Iterator[File]:
        """Yield the folder that a file lies in, and so on up."""
        while file.parent in self.files:
            file = self.files[file.parent]
            yield file

    def is_trashed(self, file: File) -> bool:
        """Tell whether it, or a folder above it, lies in the trash."""
        return file.trashed or any(one.trashed for one in self.above(file))

    def role(self, file: File, email: str) -> str:
        """Return what somebody may do with a file, all that is inherited included; empty: not even see it."""
        found = "owner" if file.owner == email else file.roles.get(email, "")
        for one in self.above(file):
            given = "writer" if one.owner == email else one.roles.get(email, "")
            found = max(found, given, key=ROLES.index)
        return found

    def visible(self, file: File, caller: Caller) -> bool:
        """Tell whether a file exists as far as this caller is concerned, shared drives included."""
        seen = caller.sees_all or caller.project in file.apps
        return seen and bool(self.role(file, caller.email))

    def get(self, file_id: str, caller: Caller, *, all_drives: bool) -> File:
        """Return a file that the caller may see. Raises a refusal (404)."""
        if file_id == "root":
            file_id = self.account(caller.email).root
        file = self.files.get(file_id)
        if file is not None and not file.parent and file.owner == caller.email:
            return file  # one's own root is known to every app
        if file is None or not self.visible(file, caller) or (file.drive and not all_drives):
            raise not_found(file_id)
        return file

    def path(self, file: File) -> str:
        """Return where a person finds it, the root's name first."""
        names = [one.name for one in [*self.above(file)][::-1]]
        return "/".join([*names, file.name])

    # ---------------------------------------------------------------- limits

    def usage(self, email: str) -> int:
        """Return how many bytes somebody uses, the trash included."""
        return sum(len(one.content) for one in self.files.values() if one.owner == email)

    def check_space(self, email: str, size: int) -> None:
        """Raise a refusal unless so many bytes more may be this account's."""
        account = self.account(email)
        if account.is_service:
            raise refusal(
                "storageQuotaExceeded",
                "Service Accounts do not have storage quota. Leverage shared drives "
                "(https://developers.google.com/workspace/drive/api/guides/about-shareddrives), or use OAuth "
                "delegation (http://support.google.com/a/answer/7281227) instead.",
            )
        if account.limit is not None and self.usage(email) + size > account.limit:
            raise refusal("storageQuotaExceeded")
