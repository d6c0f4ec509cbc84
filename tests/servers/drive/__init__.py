"""Google Drive (API v3) for tests, on loopback: `DriveServer`.

Every request is checked against the discovery document that google-api-python-client ships; what that does not allow
is answered 400 and noted in `violations`. Who owns what, who may do what, what is found by whom, limits and errors are
as far as known those of the live service. `faults` breaks what a test names.

    with DriveServer() as drive:
        folder = drive.folder("data")
        credentials = drive.authorized_user()
        drive.faults.add("userRateLimitExceeded", "files.create", times=2)
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Any

from .faults import FAULTS, Call, Fault, Rate
from .oauth import Client, private_key
from .server import Server
from .store import FOLDER, SCOPE, SCOPE_FILE, SCOPE_METADATA, SCOPE_READONLY, Caller, File

__all__ = [
    "ANNA",
    "BERT",
    "FAULTS",
    "FOLDER",
    "ROBOT",
    "SCOPE",
    "SCOPE_FILE",
    "SCOPE_METADATA",
    "SCOPE_READONLY",
    "Call",
    "DriveServer",
    "Fault",
    "Rate",
]

ANNA, BERT = "anna@example.com", "bert@example.com"
ROBOT = "robot@project.iam.gserviceaccount.com"


class DriveServer(Server):
    """A Drive of its own, empty at first; a context manager. Safe to ask from any thread.

    `url` is what `remote.<name>.endpointurl` is set to. Turn `api.lag`, `api.max_children`, `api.most_per_page`,
    `oauth.account`, `oauth.refuses`, `oauth.lifetime`; look at `calls`, `requests` and `violations`. With
    `store.quiet_folders` the feed of changes tells what happens to a folder of the folder alone, not of what lies in
    it: which of the two the live service does is documented nowhere. With `api.narrow` a search without a folder finds
    nothing of what others put into a folder that they share: so one may read what is documented.
    """

    def __enter__(self) -> DriveServer:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    @property
    def token_uri(self) -> str:
        """Where tokens are had."""
        return self.url + "token"

    @property
    def auth_uri(self) -> str:
        """Where a browser is sent to sign in; it is sent back at once, with what a person would have agreed to."""
        return self.url + "o/oauth2/auth"

    # ---------------------------------------------------------------- by hand, in the web page

    def account(self, email: str, *, limit: int | None = 15 << 30) -> None:
        """Let there be an account with so many bytes of space; None is without limit."""
        with self.store.lock:
            self.store.account(email).limit = limit

    def folder(self, name: str, parent: str = "root", *, owner: str = ANNA, drive: str | None = None) -> str:
        """Make a folder by hand; return its id. `drive` is the shared drive that it is made in."""
        return self._make(name, FOLDER, parent, owner, drive)

    def file(
        self,
        name: str,
        content: bytes = b"",
        parent: str = "root",
        *,
        owner: str = ANNA,
        drive: str | None = None,
        mime: str = "application/octet-stream",
    ) -> str:
        """Upload a file by hand; return its id."""
        return self._make(name, mime, parent, owner, drive, content)

    def _make(self, name: str, mime: str, parent: str, owner: str, drive: str | None, content: bytes = b"") -> str:
        with self.store.lock:
            root = self.store.account(owner).root
            above = self.store.files[(drive or root) if parent == "root" else parent]
            made = File(self.store.new_id(), name, mime, above.id, "" if above.drive else owner, above.drive, owner)
            made.content = content
            return self.store.add(made).id

    def shared_drive(self, name: str, members: Mapping[str, str] | None = None) -> str:
        """Make a shared drive; `members` are addresses and roles (reader, writer, fileOrganizer, organizer).

        Without members it is Anna's.
        """
        with self.store.lock:
            return self.store.shared_drive(name, dict(members or {ANNA: "organizer"}))

    def share(self, file_id: str, email: str, role: str = "writer") -> None:
        """Share a file or folder; an empty role takes it back."""
        with self.store.lock:
            self.store.share(self.store.files[file_id], email, role)

    def rename(self, file_id: str, name: str) -> None:
        """Rename something by hand."""
        with self.store.lock:
            self.store.files[file_id].name = name
            self.store.touch(self.store.files[file_id])

    def move(self, file_id: str, parent: str) -> None:
        """Drag something into another folder."""
        with self.store.lock:
            self.store.move(self.store.files[file_id], parent)
            self.store.touch(self.store.files[file_id])

    def trash(self, file_id: str, *, back: bool = False) -> None:
        """Put something into the trash, or take it `back`."""
        with self.store.lock:
            self.store.files[file_id].trashed = not back
            self.store.touch(self.store.files[file_id])

    def delete(self, file_id: str) -> None:
        """Delete something for good."""
        with self.store.lock:
            self.store.remove(self.store.files[file_id])

    def damage(self, file_id: str, content: bytes) -> None:
        """Put other bytes in the place of a file's."""
        with self.store.lock:
            self.store.files[file_id].replace_content(content)
            self.store.touch(self.store.files[file_id])

    def call_abusive(self, file_id: str) -> None:
        """Let Drive think that a file is malware."""
        self.store.files[file_id].abusive = True

    # ---------------------------------------------------------------- credentials

    def authorized_user(
        self, email: str = ANNA, client: str = "one", scopes: tuple[str, ...] = (SCOPE,), *, testing: bool = False
    ) -> dict[str, Any]:
        """Return what a credentials file of somebody who signed in holds."""
        with self.store.lock:
            self.store.account(email)
        made = self.oauth.client(client, testing=testing)
        return {
            "type": "authorized_user",
            "client_id": made.id,
            "client_secret": made.secret,
            "refresh_token": self.oauth.grant(email, made, frozenset(scopes)),
            "token_uri": self.token_uri,
            "universe_domain": "googleapis.com",
        }

    def service_account(self, email: str = ROBOT, *, delegates: tuple[str, ...] = ()) -> dict[str, Any]:
        """Return the key file of a service account; `delegates` are accounts that it may stand for."""
        with self.store.lock:
            self.store.account(email)
        robot = self.oauth.robot(email, frozenset(delegates))
        return {
            "type": "service_account",
            "project_id": robot.project,
            "private_key_id": robot.key_id,
            "private_key": private_key(),
            "client_email": email,
            "client_id": "100000000000000000001",
            "auth_uri": self.auth_uri,
            "token_uri": self.token_uri,
            "universe_domain": "googleapis.com",
        }

    def client_secrets(self, client: str = "one", *, testing: bool = False) -> dict[str, Any]:
        """Return the file of a Desktop client, as it is downloaded from the console."""
        made: Client = self.oauth.client(client, testing=testing)
        return {
            "installed": {
                "client_id": made.id,
                "project_id": made.project,
                "auth_uri": self.auth_uri,
                "token_uri": self.token_uri,
                "auth_provider_x509_cert_url": self.url + "oauth2/v1/certs",
                "client_secret": made.secret,
                "redirect_uris": ["http://localhost"],
            }
        }

    def workload_identity(self, token_file: str, email: str = ROBOT) -> dict[str, Any]:
        """Return the configuration by which a CI job is a service account without a key.

        Whoever runs the test writes `oauth.subject_token` into `token_file`.
        """
        self.service_account(email)
        return {
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/ci/providers/ci",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": self.url + "v1/token",
            "service_account_impersonation_url": (
                f"{self.url}v1/projects/-/serviceAccounts/{email}:generateAccessToken"
            ),
            "credential_source": {"file": token_file},
        }

    # ---------------------------------------------------------------- looking

    def files(self, *, trashed: bool | None = None) -> list[dict[str, Any]]:
        """Return all that people and programs made, folders too, oldest first; `trashed` picks one kind."""
        with self.store.lock:
            roots = {*self.store.drives, *(one.root for one in self.store.accounts.values())}
            found = [self._described(one) for one in self.store.files.values() if one.id not in roots]
        return [one for one in found if trashed is None or one["trashed"] is trashed]

    def _described(self, file: File) -> dict[str, Any]:
        return {
            "id": file.id,
            "name": file.name,
            "path": self.store.path(file),
            "mimeType": file.mime,
            "parents": [file.parent] if file.parent else [],
            "properties": dict(file.properties),
            "appProperties": {project: dict(one) for project, one in file.app_properties.items() if one},
            "description": file.description,
            "size": len(file.content),
            "md5": file.sums[0] if file.is_binary else "",
            "trashed": self.store.is_trashed(file),
            "owner": file.owner,
            "creator": file.creator,
            "drive": file.drive,
        }

    def content(self, file_id: str) -> bytes:
        """Return a file's bytes."""
        return self.store.files[file_id].content

    def tree(self, folder: str = "") -> list[str]:
        """Return the paths below a folder as a person sees them, folders with a slash at their end, without the trash.

        Without a folder: all, each path with its root's name before it.
        """
        with self.store.lock:
            start = self.store.files.get(folder)
            before = self.store.path(start) + "/" if start else ""
            found = [*self.store.below(start)] if start else [one for one in self.store.files.values() if one.parent]
            shown = [one for one in found if not self.store.is_trashed(one)]
            return sorted(self.store.path(one).removeprefix(before) + ("/" if one.is_folder else "") for one in shown)

    def reset(self) -> None:
        """Forget what was counted, and break nothing from now on. Violations stay."""
        self.faults.clear()
        self.reset_counts()

    def reset_counts(self) -> None:
        """Forget what was counted."""
        self.requests = []
        self.round_trips = self.most_in_flight = 0

    def advance(self, seconds: float) -> None:
        """Let time pass on the server."""
        self.store.shift += seconds

    def caller(self, email: str = ANNA, client: str = "one", scopes: tuple[str, ...] = (SCOPE,)) -> Caller:
        """Return somebody who asks, for tests of the parts."""
        with self.store.lock:
            self.store.account(email)
        return Caller(email, self.oauth.client(client).project, frozenset(scopes))
