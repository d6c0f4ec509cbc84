"""What Drive says when it refuses: status, reason and text as the live service words them. Knows no requests."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

#: reason -> (status, domain, text). What a fault or a rule of the server may answer.
REASONS: dict[str, tuple[int, str, str]] = {
    "invalid": (400, "global", "Invalid Value"),  # what is said of a page token that is too old
    "authError": (401, "global", "Invalid Credentials"),
    "userRateLimitExceeded": (403, "usageLimits", "User Rate Limit Exceeded"),
    "rateLimitExceeded": (403, "usageLimits", "Rate Limit Exceeded"),
    "sharingRateLimitExceeded": (403, "global", "Rate limit exceeded. These item(s) could not be shared."),
    "dailyLimitExceeded": (403, "usageLimits", "Daily Limit Exceeded"),
    "quotaExceeded": (403, "usageLimits", "The quota for this project has been exceeded."),
    "storageQuotaExceeded": (403, "usageLimits", "The user's Drive storage quota has been exceeded."),
    "downloadQuotaExceeded": (403, "usageLimits", "The download quota for this file has been exceeded."),
    "numChildrenInNonRootLimitExceeded": (
        *(403, "global"),
        "The limit for this folder's number of children (files and folders) has been exceeded.",
    ),
    "teamDriveFileLimitExceeded": (403, "global", "The file limit for this shared drive has been exceeded."),
    "activeItemCreationLimitExceeded": (403, "global", "This account has exceeded the creation limit of 500M items."),
    "myDriveHierarchyDepthLimitExceeded": (403, "global", "My Drive can't contain more than 100 levels of folders."),
    "teamDriveHierarchyTooDeep": (403, "global", "The shared drive hierarchy depth will exceed the limit."),
    "cannotDownloadAbusiveFile": (
        *(403, "global"),
        "This file has been identified as malware or spam and cannot be downloaded.",
    ),
    "fileNotDownloadable": (
        *(403, "global"),
        "Only files with binary content can be downloaded. Use Export with Docs Editors files.",
    ),
    "insufficientFilePermissions": (
        *(403, "global"),
        "The user does not have sufficient permissions for this file.",
    ),
    "insufficientParentPermissions": (403, "global", "Insufficient permissions for the specified parent."),
    "insufficientPermissions": (403, "global", "Insufficient Permission"),
    "appNotAuthorizedToFile": (403, "global", "The user has not granted the app write access to the file."),
    "domainPolicy": (403, "global", "The domain administrators have disabled Drive apps."),
    "accessNotConfigured": (
        *(403, "usageLimits"),
        "Google Drive API has not been used in project 1 before or it is disabled. Enable it, then retry.",
    ),
    "fieldNotWritable": (403, "global", "The resource body includes fields which are not directly writable."),
    "notFound": (404, "global", "Not Found"),
    "fileIdInUse": (409, "global", "A file already exists with the provided ID."),
    "requestedRangeNotSatisfiable": (416, "global", "Request range not satisfiable"),
    "locked": (423, "global", "The resource is locked."),
    "tooManyRequests": (429, "usageLimits", "Too many concurrent requests."),
    "internalError": (500, "global", "Internal Error"),
    "backendError": (503, "global", "Transient failure"),
    "transientError": (503, "global", "Transient failure"),
}
#: The reason that is said where the name above only tells two apart.
_SAID = {"tooManyRequests": "rateLimitExceeded"}

_TOP = {
    "authError": (
        "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid "
        "authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project.",
        "UNAUTHENTICATED",
    ),
    "insufficientPermissions": ("Request had insufficient authentication scopes.", "PERMISSION_DENIED"),
}

HTML = (
    "<!DOCTYPE html>\n<html lang=en>\n<meta charset=utf-8>\n<title>Error {0} (Server Error)!!1</title>\n"
    "<p><b>{0}.</b> <ins>That's an error.</ins>\n<p>The server encountered an error. <ins>Please try again in 30 "
    "seconds.</ins>\n"
)


@dataclass
class Refusal(Exception):
    """An answer that is an error. `location` names the parameter, header or field that is to blame."""

    status: int
    reason: str
    message: str
    domain: str = "global"
    location: str = ""
    location_type: str = "parameter"
    headers: dict[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """Return the body, before it is JSON."""
        one = {"message": self.message, "domain": self.domain, "reason": self.reason}
        if self.location:
            one |= {"location": self.location, "locationType": self.location_type}
        top, status = _TOP.get(self.reason, (self.message, ""))
        error: dict[str, Any] = {"code": self.status, "message": top, "errors": [one]}
        if self.reason == "insufficientPermissions":
            info = {"reason": "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "domain": "googleapis.com"}
            error["details"] = [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", **info}]
        return {"error": error | ({"status": status} if status else {})}

    def body(self) -> bytes:
        """Return the body as it is sent."""
        return json.dumps(self.document(), indent=1).encode()


class Violation(Refusal):
    """A request that the discovery document does not allow: a mistake of the client, never of the test."""


def refusal(reason: str, message: str = "", location: str = "", location_type: str = "parameter") -> Refusal:
    """Make one from the table."""
    status, domain, text = REASONS[reason]
    made = Refusal(status, _SAID.get(reason, reason), message or text, domain, location, location_type)
    if reason == "authError":
        made.location, made.location_type = "Authorization", "header"
        made.headers["WWW-Authenticate"] = 'Bearer realm="https://accounts.google.com/", error="invalid_token"'
    if reason == "insufficientPermissions":
        made.headers["WWW-Authenticate"] = 'Bearer realm="https://accounts.google.com/", error="insufficient_scope"'
    return made


def not_found(file_id: str) -> Refusal:
    """Make the answer about a file that does not exist, or that this caller may not know of."""
    return refusal("notFound", f"File not found: {file_id}.", "fileId")


def invalid(message: str, location: str = "", reason: str = "invalid") -> Violation:
    """Make the answer to a request that is wrong in itself."""
    return Violation(400, reason, message, location=location)
