"""The calls of the API, media aside: about, files, changes, drives. Knows no HTTP."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

from . import schema, view
from .errors import Refusal, Violation, invalid, refusal
from .query import parse
from .store import FOLDER, MAX_DEPTH, SCOPE_METADATA, SCOPE_METADATA_READONLY, Caller, File, Store

MAX_PROPERTY = 124  # bytes of key and value
MAX_PROPERTIES = (30, 30, 100)  # public, private to one app, in all
_NOT_FOR_UPDATES = ("id", "parents")


class Api:
    """The calls, by name, and what a test may turn."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.narrow = False  # corpora=user is what the user made, has below the own root, or was given by name
        self.incomplete = False  # searches of all drives end early, and say so
        self.most_per_page = 1000
        self.max_children = 500_000
        self.max_items: int | None = None  # in a shared drive; None: as many as one likes
        self.copies_properties = True
        self._pages: dict[str, tuple[str, list[str]]] = {}
        self._numbers = itertools.count(1)
        self._calls: dict[str, Callable[..., Any]] = {
            "about.get": self._about,
            "files.get": self._get,
            "files.list": self._list,
            "files.create": self.create,
            "files.update": self.update,
            "files.delete": self._delete,
            "files.copy": self._copy,
            "files.generateIds": self._generate_ids,
            "changes.getStartPageToken": self._start_token,
            "changes.list": self._changes,
            "drives.get": self._drive,
            "drives.list": self._drives,
        }

    @property
    def lag(self) -> float:
        """By how many listings a file made from now on is not found; infinite: until this is set to less."""
        return self.store.lag

    @lag.setter
    def lag(self, listings: float) -> None:
        self.store.lag = listings

    def call(self, method: schema.Method, given: dict[str, Any], body: Any, caller: Caller) -> Any:
        """Do one call and return its answer, what of it is asked for; None is no content. Raises Refusal."""
        if method.name not in self._calls:
            raise Violation(501, "notImplemented", f"{method.name}: this server does not have it")
        if not caller.scopes & method.scopes:
            raise refusal("insufficientPermissions")
        mask = self.mask(method, given)
        with self.store.lock:
            answer = self._calls[method.name](given, body, caller)
            return answer if answer is None else self.masked(method, mask, answer)

    def mask(self, method: schema.Method, given: dict[str, Any]) -> schema.Mask | None:
        """Return what is asked for. Raises Violation when that does not exist, or must be said and is not."""
        text = given.get("fields") or schema.DEFAULT_MASKS.get(method.name, "")
        if method.name == "about.get" and not text:
            raise invalid("The 'fields' parameter is required for this method.", "fields", "required")
        return schema.parse_mask(text, method.response) if text else None

    def masked(self, method: schema.Method, mask: schema.Mask | None, answer: Any) -> Any:
        """Return what of an answer is asked for; it is one that the document allows."""
        schema.check_body(method.response, answer, writing=False)
        return schema.apply_mask(mask, answer)

    def _file(self, given: dict[str, Any], caller: Caller) -> File:
        return self.store.get(given["fileId"], caller, all_drives=given.get("supportsAllDrives", False))

    def _shown(self, file: File, caller: Caller) -> dict[str, Any]:
        return view.file_view(self.store, file, caller)

    # ---------------------------------------------------------------- about

    def _about(self, given: dict[str, Any], body: Any, caller: Caller) -> Any:
        account, used = self.store.account(caller.email), self.store.usage(caller.email)
        in_trash = sum(
            len(one.content)
            for one in self.store.files.values()
            if one.owner == caller.email and self.store.is_trashed(one)
        )
        quota = {"usage": str(used), "usageInDrive": str(used), "usageInDriveTrash": str(in_trash)}
        if account.limit is not None:
            quota["limit"] = str(account.limit)
        return {
            "kind": "drive#about",
            "user": view.user_view(self.store, caller.email, caller),
            "storageQuota": quota,
            "maxUploadSize": "5497558138880",
            "canCreateDrives": not account.is_service,
            "appInstalled": False,
        }

    # ---------------------------------------------------------------- files

    def _get(self, given: dict[str, Any], body: Any, caller: Caller) -> Any:
        return self._shown(self._file(given, caller), caller)

    def media(self, given: dict[str, Any], caller: Caller) -> File:
        """Return the file whose bytes are asked for. Raises a refusal when they may not be had."""
        if caller.scopes <= {SCOPE_METADATA, SCOPE_METADATA_READONLY}:
            raise refusal("insufficientPermissions")
        with self.store.lock:
            file = self._file(given, caller)
            if not file.is_binary:
                raise refusal("fileNotDownloadable", location="alt")
            trusted = view.may_delete(file, self.store.role(file, caller.email))
            if file.abusive and not (given.get("acknowledgeAbuse") and trusted):
                raise refusal("cannotDownloadAbusiveFile")
            return file

    def planned(self, given: dict[str, Any], body: dict[str, Any], caller: Caller) -> File:
        """Return the file that a create would make, not yet kept. Raises a refusal when it may not be made."""
        store = self.store
        file_id = body.get("id") or store.new_id()
        if body.get("id"):
            if file_id in store.files or file_id in store.gone:
                raise refusal("fileIdInUse")
            if store.reserved.get(file_id) != caller.email:
                raise invalid("The provided file ID is not usable.", "file.id")
        parents = body.get("parents") or ["root"]
        if len(parents) > 1:
            raise invalid("A file cannot have more than one parent.", "parents", "multipleParentsNotSupported")
        parent = store.get(parents[0], caller, all_drives=given.get("supportsAllDrives", False))
        self._check_parent(parent, caller)
        mime = body.get("mimeType") or "application/octet-stream"
        name = body.get("name", "Untitled")
        owner = "" if parent.drive else caller.email
        made = File(file_id, name, mime, parent.id, owner, parent.drive, caller.email, apps={caller.project})
        self._fill(made, body, caller)
        if owner and mime != FOLDER:
            store.check_space(owner, 0)
        return made

    def create(self, given: dict[str, Any], body: Any, caller: Caller, content: bytes = b"") -> Any:
        """Make a file or a folder."""
        made = self.planned(given, body or {}, caller)
        made.replace_content(content)
        if made.owner and made.is_binary:
            self.store.check_space(made.owner, len(content))
        return self._shown(self.store.add(made), caller)

    def _check_parent(self, parent: File, caller: Caller) -> None:
        if not parent.is_folder:
            raise Refusal(403, "parentNotAFolder", "The specified parent is not a folder.")
        if not view.at_least(self.store.role(parent, caller.email), "writer"):
            raise refusal("insufficientParentPermissions")
        if self.store.count(parent.id) >= self.max_children:
            raise refusal("numChildrenInNonRootLimitExceeded")
        if self.max_items is not None and parent.drive:
            taken = len([*self.store.below(self.store.files[parent.drive])])
            if taken >= self.max_items:
                raise refusal("teamDriveFileLimitExceeded")
        if len([*self.store.above(parent)]) >= MAX_DEPTH:
            raise refusal("teamDriveHierarchyTooDeep" if parent.drive else "myDriveHierarchyDepthLimitExceeded")

    def _fill(self, file: File, body: dict[str, Any], caller: Caller) -> None:
        """Take over from a body what is simply kept."""
        file.name = body.get("name", file.name)
        file.mime = body.get("mimeType") or file.mime
        file.description = body.get("description", file.description) or ""
        file.starred = body.get("starred", file.starred)
        private = file.app_properties.setdefault(caller.project, {})
        for kept, given in ((file.properties, body.get("properties")), (private, body.get("appProperties"))):
            for key, value in (given or {}).items():
                if value is None:
                    kept.pop(key, None)
                elif len((key + value).encode()) > MAX_PROPERTY:
                    raise Violation(403, "propertyTooLong", f"The property {key} is longer than {MAX_PROPERTY} bytes.")
                else:
                    kept[key] = value
        total = len(file.properties) + sum(map(len, file.app_properties.values()))
        counts = (len(file.properties), len(private), total)
        if any(count > limit for count, limit in zip(counts, MAX_PROPERTIES, strict=True)):
            raise Violation(403, "propertyLimitExceeded", "The file has too many properties.")

    def changing(self, given: dict[str, Any], body: dict[str, Any], caller: Caller) -> File:
        """Return the file that an update is about. Raises a refusal when it may not be changed so."""
        for name in _NOT_FOR_UPDATES:
            if name in body:
                raise Violation(403, "fieldNotWritable", f"The {name} field is not writable in update requests.")
        file = self._file(given, caller)
        role = self.store.role(file, caller.email)
        if not view.at_least(role, "writer"):
            raise refusal("insufficientFilePermissions")
        if "trashed" in body and not view.may_trash(file, role):
            raise refusal("insufficientFilePermissions")
        return file

    def update(self, given: dict[str, Any], body: Any, caller: Caller, content: bytes | None = None) -> Any:
        """Change a file, its bytes too when there are some."""
        file = self.changing(given, body or {}, caller)
        if content is not None:
            if file.owner:
                self.store.check_space(file.owner, len(content) - len(file.content))
            file.replace_content(content)
        self._move(file, given, caller)
        self._fill(file, body or {}, caller)
        if "trashed" in (body or {}):
            file.trashed = body["trashed"]
        self.store.touch(file)
        return self._shown(file, caller)

    def _move(self, file: File, given: dict[str, Any], caller: Caller) -> None:
        added = [one for one in given.get("addParents", "").split(",") if one]
        removed = [one for one in given.get("removeParents", "").split(",") if one]
        if removed and removed != [file.parent]:
            raise invalid("The specified parent is not one of the file's.", "removeParents")
        if len(added) > 1 or (added and file.parent and not removed):
            raise Refusal(403, "cannotAddParent", "Increasing the number of parents is not allowed")
        if added:
            parent = self.store.get(added[0], caller, all_drives=given.get("supportsAllDrives", False))
            self._check_parent(parent, caller)
            self.store.move(file, parent.id)
            for one in [file, *self.store.below(file)]:
                one.drive, one.owner = parent.drive, "" if parent.drive else one.owner or caller.email
        elif removed:
            self.store.move(file, self.store.account(file.owner).root if file.owner else file.drive)

    def _delete(self, given: dict[str, Any], body: Any, caller: Caller) -> None:
        file = self._file(given, caller)
        if not file.parent or not view.may_delete(file, self.store.role(file, caller.email)):
            raise refusal("insufficientFilePermissions")
        self.store.remove(file)

    def _copy(self, given: dict[str, Any], body: Any, caller: Caller) -> Any:
        source = self._file(given, caller)
        if source.is_folder:
            raise refusal("insufficientFilePermissions", "This file cannot be copied by the user.")
        kept: dict[str, Any] = {"name": source.name, "mimeType": source.mime, "description": source.description}
        if self.copies_properties:
            kept["properties"] = dict(source.properties)
        seen = view.file_view(self.store, source, caller)
        return self.create(given, {**kept, "parents": seen.get("parents"), **(body or {})}, caller, source.content)

    def _generate_ids(self, given: dict[str, Any], body: Any, caller: Caller) -> Any:
        count, space = given.get("count", 10), given.get("space", "drive")
        if not 1 <= count <= 1000 or space != "drive" or given.get("type", "files") != "files":
            raise invalid("Invalid value for count, space or type", "count", "invalidParameter")
        ids = [self.store.new_id() for _ in range(count)]
        self.store.reserved.update(dict.fromkeys(ids, caller.email))
        return {"kind": "drive#generatedIds", "space": space, "ids": ids}

    # ---------------------------------------------------------------- listing

    def _hidden(self, file: File) -> bool:
        return self.store.listings - file.born <= min(file.lag, self.lag)

    def _list(self, given: dict[str, Any], body: Any, caller: Caller) -> Any:
        self.store.listings += 1
        asked = repr(sorted((k, v) for k, v in given.items() if k not in ("pageToken", "pageSize", "fields")))
        if token := given.get("pageToken"):
            if self._pages.get(token, ("", []))[0] != asked:
                raise invalid("Invalid Value", "pageToken")
            ids = self._pages[token][1]
        else:
            ids = self._found(given, caller)
        size = min(given.get("pageSize", 100), self.most_per_page)
        page = [self.store.files[one] for one in ids[:size] if one in self.store.files]
        answer: dict[str, Any] = {
            "kind": "drive#fileList",
            "incompleteSearch": self.incomplete and given.get("corpora") == "allDrives",
            "files": [self._shown(one, caller) for one in page if self.store.visible(one, caller)],
        }
        if ids[size:]:
            answer["nextPageToken"] = f"~!!~{next(self._numbers)}"
            self._pages[answer["nextPageToken"]] = (asked, ids[size:])
        return answer

    def _found(self, given: dict[str, Any], caller: Caller) -> list[str]:
        store, reach = self.store, self._reach(given, caller)
        meant = parse(given["q"]) if given.get("q") else lambda _: True
        roots = {*store.drives, *(one.root for one in store.accounts.values())}
        found = [
            one
            for one in store.files.values()
            if one.id not in roots and store.visible(one, caller) and reach(one) and not self._hidden(one)
            if meant(view.terms(store, one, caller))
        ]
        found.sort(key=lambda one: one.change, reverse=True)
        keys: dict[str, Callable[[File], Any]] = {
            "createdTime": lambda one: one.created,
            "modifiedTime": lambda one: one.modified,
            "name": lambda one: one.name.casefold(),
            "folder": lambda one: not one.is_folder,
        }
        for part in reversed([part for part in given.get("orderBy", "").split(",") if part]):
            key, _, direction = part.strip().partition(" ")
            if key not in keys or direction not in ("", "desc"):
                raise invalid(f"Invalid value for orderBy: {part}", "orderBy")
            found.sort(key=keys[key], reverse=direction == "desc")
        return [one.id for one in found]

    def _reach(self, given: dict[str, Any], caller: Caller) -> Callable[[File], bool]:
        """Return which files are looked through, by corpora and drives."""
        corpora, drive = given.get("corpora", "user"), given.get("driveId", "")
        everywhere, supports = given.get("includeItemsFromAllDrives", False), given.get("supportsAllDrives", False)
        if corpora not in ("user", "domain", "drive", "allDrives"):
            raise invalid(f"Invalid value for corpora: {corpora}", "corpora", "invalidParameter")
        if bool(drive) != (corpora == "drive"):
            raise invalid("The driveId parameter must be specified if and only if corpora is set to drive.", "driveId")
        if everywhere and not supports:
            raise invalid("supportsAllDrives must be true with includeItemsFromAllDrives.", "supportsAllDrives")
        if corpora in ("drive", "allDrives") and not everywhere:
            raise invalid(
                f"includeItemsFromAllDrives must be true when corpora is {corpora}.", "includeItemsFromAllDrives"
            )
        if drive:
            self._check_drive(drive, caller)
            return lambda one: one.drive == drive
        if corpora == "allDrives":
            return lambda one: True
        narrow = self.narrow and " in parents" not in given.get("q", "")
        return functools.partial(self._own, caller, everywhere, narrow)

    def _own(self, caller: Caller, everywhere: bool, narrow: bool, file: File) -> bool:
        """Tell whether a file belongs to what corpora=user means: nobody has said so exactly, hence `narrow`."""
        path = [file, *self.store.above(file)]
        if narrow:
            root = self.store.account(caller.email).root
            return caller.email in (file.creator, *file.roles) or path[-1].id == root
        return not file.drive or (everywhere and any(caller.email in one.roles for one in path if one.parent))

    # ---------------------------------------------------------------- changes and drives

    def _start_token(self, given: dict[str, Any], body: Any, caller: Caller) -> Any:
        if drive := given.get("driveId", ""):
            self._check_drive(drive, caller, given)
        return {"kind": "drive#startPageToken", "startPageToken": str(self.store.last_change + 1)}

    def _changes(self, given: dict[str, Any], body: Any, caller: Caller) -> Any:
        self.store.listings += 1
        store, drive, token = self.store, given.get("driveId", ""), given["pageToken"]
        everywhere = given.get("includeItemsFromAllDrives", False)
        if everywhere and not given.get("supportsAllDrives", False):
            raise invalid("supportsAllDrives must be true with includeItemsFromAllDrives.", "supportsAllDrives")
        if drive:
            self._check_drive(drive, caller, given)
        if not token.isdecimal() or not 0 < int(token) <= store.last_change + 1:
            raise invalid("Invalid Value", "pageToken")
        changed: list[tuple[int, dict[str, Any]]] = []
        end = store.last_change + 1
        for one in store.files.values():
            if one.change < int(token) or (one.drive != drive if drive else one.drive and not everywhere):
                continue
            if self._hidden(one):
                end = min(end, one.change)
            elif store.visible(one, caller):
                file = self._shown(one, caller)
                changed.append((one.change, {"removed": False, "fileId": one.id, "time": one.modified, "file": file}))
        for gone in [*store.gone.values(), *store.lost]:
            shown = gone.drive == drive if drive else everywhere or not gone.drive
            shown = shown and caller.email in gone.viewers and given.get("includeRemoved", True)
            shown = shown and not (gone.id in store.files and store.visible(store.files[gone.id], caller))
            if gone.change >= int(token) and shown:
                changed.append((gone.change, {"removed": True, "fileId": gone.id, "time": gone.time}))
        changed = sorted((pair for pair in changed if pair[0] < end), key=lambda pair: pair[0])
        size = min(given.get("pageSize", 100), self.most_per_page)
        kind = {"kind": "drive#change", "type": "file", "changeType": "file"}
        answer: dict[str, Any] = {"kind": "drive#changeList", "changes": [kind | one for _, one in changed[:size]]}
        more = len(changed) > size
        answer["nextPageToken" if more else "newStartPageToken"] = str(changed[size][0] if more else end)
        return answer

    def _check_drive(self, drive: str, caller: Caller, given: dict[str, Any] | None = None) -> None:
        known = drive in self.store.drives and self.store.role(self.store.files[drive], caller.email)
        if not known or not caller.sees_all or (given is not None and not given.get("supportsAllDrives")):
            raise refusal("notFound", f"Shared drive not found: {drive}", "driveId")

    def _drive(self, given: dict[str, Any], body: Any, caller: Caller) -> Any:
        self._check_drive(given["driveId"], caller)
        return self._drive_view(given["driveId"], caller)

    def _drive_view(self, drive: str, caller: Caller) -> dict[str, Any]:
        root = self.store.files[drive]
        edits = view.at_least(self.store.role(root, caller.email), "writer")
        found = {"kind": "drive#drive", "id": drive, "name": root.name, "createdTime": root.created, "hidden": False}
        return found | {"capabilities": {"canAddChildren": edits, "canEdit": edits, "canListChildren": True}}

    def _drives(self, given: dict[str, Any], body: Any, caller: Caller) -> Any:
        mine = [one for one in self.store.drives if caller.email in self.store.files[one].roles]
        start, size = int(given.get("pageToken", "0")), given.get("pageSize", 10)
        answer: dict[str, Any] = {"kind": "drive#driveList"}
        answer["drives"] = [self._drive_view(one, caller) for one in mine[start : start + size]]
        return answer | ({"nextPageToken": str(start + size)} if mine[start + size :] else {})
