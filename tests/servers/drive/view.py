"""A file as the API shows it to one caller. Knows no requests."""

from __future__ import annotations

import hashlib
from typing import Any

from .store import ROLES, Caller, File, Store


def at_least(role: str, wanted: str) -> bool:
    """Tell whether a role allows what another does."""
    return ROLES.index(role) >= ROLES.index(wanted)


def may_trash(file: File, role: str) -> bool:
    """Tell whether somebody of this role may put the file into the trash."""
    return at_least(role, "fileOrganizer" if file.drive else "owner")


def may_delete(file: File, role: str) -> bool:
    """Tell whether somebody of this role may delete the file for good."""
    return at_least(role, "organizer" if file.drive else "owner")


def user_view(store: Store, email: str, caller: Caller) -> dict[str, Any]:
    """Return a person."""
    return {
        "kind": "drive#user",
        "displayName": store.account(email).name,
        "me": email == caller.email,
        "permissionId": permission_id(email),
        "emailAddress": email,
    }


def permission_id(email: str) -> str:
    """Return the id that permissions of this account have."""
    return str(int(hashlib.sha256(email.encode()).hexdigest()[:15], 16))


def file_view(store: Store, file: File, caller: Caller) -> dict[str, Any]:
    """Return all fields of a file that this caller may see."""
    role = store.role(file, caller.email)
    found: dict[str, Any] = {
        "kind": "drive#file",
        "id": file.id,
        "name": file.name,
        "mimeType": file.mime,
        "starred": file.starred,
        "trashed": store.is_trashed(file),
        "explicitlyTrashed": file.trashed,
        "spaces": ["drive"],
        "version": str(file.version),
        "createdTime": file.created,
        "modifiedTime": file.modified,
        "capabilities": _capabilities(file, role),
        "isAppAuthorized": caller.project in file.apps,
        "quotaBytesUsed": str(len(file.content)),
        "webViewLink": f"https://drive.google.com/file/d/{file.id}/view",
    }
    if file.description:
        found["description"] = file.description
    if file.parent in store.files and store.visible(store.files[file.parent], caller):
        found["parents"] = [file.parent]
    if file.properties:
        found["properties"] = dict(file.properties)
    if private := file.app_properties.get(caller.project):
        found["appProperties"] = dict(private)
    if file.drive:
        found["driveId"] = found["teamDriveId"] = file.drive
    else:
        found["ownedByMe"] = file.owner == caller.email
        found["owners"] = [user_view(store, file.owner, caller)]
        found["shared"] = bool(file.roles) or any(one.roles for one in store.above(file))
    if file.is_binary:
        md5, sha1, sha256 = file.sums
        found |= {"md5Checksum": md5, "sha1Checksum": sha1, "sha256Checksum": sha256}
        found |= {"size": str(len(file.content)), "originalFilename": file.name, "headRevisionId": "0B" + file.id[:20]}
        extension = file.name.rpartition(".")[2] if "." in file.name else ""
        found |= {"fullFileExtension": extension, "fileExtension": extension}
    return found


def _capabilities(file: File, role: str) -> dict[str, bool]:
    edits, folder = at_least(role, "writer"), file.is_folder
    root = not file.parent
    return {
        "canAddChildren": folder and edits,
        "canListChildren": folder,
        "canRemoveChildren": folder and at_least(role, "fileOrganizer" if file.drive else "writer"),
        "canTrashChildren": bool(file.drive) and folder and at_least(role, "fileOrganizer"),
        "canDeleteChildren": bool(file.drive) and folder and at_least(role, "organizer"),
        "canEdit": edits,
        "canModifyContent": edits,
        "canRename": edits and not root,
        "canShare": edits,
        "canCopy": not folder,
        "canDownload": True,
        "canTrash": may_trash(file, role) and not root,
        "canUntrash": may_trash(file, role) and not root,
        "canDelete": may_delete(file, role) and not root,
        "canReadDrive": bool(file.drive),
    }


def terms(store: Store, file: File, caller: Caller) -> dict[str, Any]:
    """Return what a query may ask about a file."""
    roles = dict(file.roles)
    for one in store.above(file):
        roles |= one.roles
    return {
        "name": file.name,
        "mimeType": file.mime,
        "createdTime": file.created,
        "modifiedTime": file.modified,
        "trashed": store.is_trashed(file),
        "starred": file.starred,
        "parents": [file.parent, *(["root"] if file.parent == store.account(caller.email).root else [])],
        "owners": [file.owner, *(["me"] if file.owner == caller.email else [])],
        "writers": [email for email, role in roles.items() if at_least(role, "writer")] + [file.owner],
        "readers": [*roles, file.owner],
        "sharedWithMe": caller.email in file.roles,
        "visibility": "limited",
        "properties": file.properties,
        "appProperties": file.app_properties.get(caller.project, {}),
    }
