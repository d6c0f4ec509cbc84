"""What Drive and Google's sign-in say went wrong, told as one of the contract's errors, with the way out.

Owns the mapping and its words. Of an answer only the reason and a shortened message are quoted: no request, no token.
"""

from __future__ import annotations

import json
import re
from typing import Any

from ...errors import RemoteDenied, RemoteError, RemoteNotFound, RemoteQuota, RemoteUnavailable
from ...paths import show
from ..wrap import seconds_asked
from .credentials import LOG_IN

_TOO_FAST = {"userRateLimitExceeded", "rateLimitExceeded", "sharingRateLimitExceeded"}
#: Reasons that mean: a limit is reached, and waiting a little does not help.
_LIMITS = {
    "dailyLimitExceeded": ("the day's allowance of requests is used up", "Try again tomorrow, or raise the quota."),
    "quotaExceeded": ("a quota is used up", "Look at the project's quotas in the Google Cloud console."),
    "storageQuotaExceeded": (
        "the storage of the account is full",
        "Free space or buy some; a service account has none: use a shared drive.",
    ),
    "numChildrenInNonRootLimitExceeded": ("the folder is full", "Use another folder: one holds 500,000 items."),
    "teamDriveFileLimitExceeded": ("the shared drive is full", "Use another shared drive: one holds 500,000 items."),
    "activeItemCreationLimitExceeded": ("the account has made too many files", "Use another account for new files."),
    "downloadQuotaExceeded": ("it was downloaded too often", "Try again tomorrow."),
    "teamDriveHierarchyTooDeep": ("its folders lie too deep", "Use a folder nearer to the top."),
    "myDriveHierarchyDepthLimitExceeded": ("its folders lie too deep", "Use a folder nearer to the top."),
}
_MAY_NOT = {
    "insufficientFilePermissions": "Ask for the role of an editor (shared drive: content manager) on the folder.",
    "insufficientParentPermissions": "Ask for the role of an editor (shared drive: content manager) on the folder.",
    "forbidden": "Ask for the role of an editor (shared drive: content manager) on the folder.",
    "appNotAuthorizedToFile": "Log in with the scope https://www.googleapis.com/auth/drive: drive.file is too little.",
    "insufficientPermissions": "Log in with the scope https://www.googleapis.com/auth/drive.",
    "ACCESS_TOKEN_SCOPE_INSUFFICIENT": "Log in with the scope https://www.googleapis.com/auth/drive.",
    "domainPolicy": "The administrators of the domain forbid this app: ask them to allow it.",
    "accessNotConfigured": "Enable the Google Drive API in the project that the credentials belong to.",
    "SERVICE_DISABLED": "Enable the Google Drive API in the project that the credentials belong to.",
    "cannotDownloadAbusiveFile": "Drive takes it for malware. If it is not, set remote.NAME.acknowledgeabuse = true.",
}
_OF_ACCOUNT = set(_MAY_NOT) - {"insufficientFilePermissions", "insufficientParentPermissions", "forbidden"}
_LIKE_A_SECRET = re.compile(r"[A-Za-z0-9/+=_.-]{40,}")


def refusal(status: int, headers: Any, content: bytes, place: str) -> RemoteError:
    """Return the error for an answer that is none of success. It keeps the ``status``."""
    reason, message = _said(content)
    found = _of(status, reason, message, place)
    setattr(found, "status", status)  # noqa: B010 - see `status_of`
    setattr(found, "reason", reason)  # noqa: B010 - see `is_of_file`
    wait = seconds_asked(str(headers.get("retry-after") or ""))
    if isinstance(found, RemoteUnavailable) and wait is not None:
        setattr(found, "retry_after", wait)  # noqa: B010 - read by `Retrying`
    return found


def status_of(error: BaseException) -> int:
    """Return the HTTP status of an error that `refusal` made, 0 for others."""
    return int(getattr(error, "status", 0))


def is_of_file(error: BaseException) -> bool:
    """Tell whether something may not be done with one file, though all else may."""
    denied = isinstance(error, RemoteDenied) and status_of(error) == 403
    return denied and getattr(error, "reason", "") not in _OF_ACCOUNT


def is_too_fast(error: BaseException) -> bool:
    """Tell whether Drive wants fewer requests."""
    return bool(getattr(error, "too_fast", False))


def _said(content: bytes) -> tuple[str, str]:
    try:
        error = json.loads(content)["error"]
        if isinstance(error, str):
            return error, ""
        details = [*error.get("errors", ()), *error.get("details", ())]
        reasons = [str(one["reason"]) for one in details if isinstance(one, dict) and one.get("reason")]
        known = [one for one in reasons if one in _LIMITS or one in _MAY_NOT or one in _TOO_FAST]
        return (known or reasons or [str(error.get("status", ""))])[0], str(error.get("message", ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "", ""


def _of(status: int, reason: str, message: str, place: str) -> RemoteError:
    told = f"{place}: {{}} ({show(reason)[:60] or status})"
    if status in (423, 429) or reason in _TOO_FAST:
        found = RemoteUnavailable(told.format("Drive wants fewer requests"))
        setattr(found, "too_fast", True)  # noqa: B010 - see `is_too_fast`
        return found
    if status == 401:
        return RemoteDenied(told.format("Google does not accept the credentials"), hint=LOG_IN)
    if reason in _LIMITS:
        what, hint = _LIMITS[reason]
        return RemoteQuota(told.format(what), hint=hint)
    if reason == "cannotDownloadAbusiveFile":
        return RemoteDenied(told.format("Drive does not give it out"), hint=_MAY_NOT[reason])
    if status == 403:
        hint = _MAY_NOT.get(reason, "Look at who the folder is shared with, and with which role.")
        return RemoteDenied(told.format(f"Drive does not allow it{_text(message)}"), hint=hint)
    if status == 404:
        return RemoteNotFound(
            f"{place} is not there, or this account may not see it", hint="Share it with the account that is used."
        )
    if status >= 500 or status == 408:
        return RemoteUnavailable(told.format("Drive cannot do it now"))
    return RemoteError(told.format(f"Drive refused it{_text(message)}"))


def too_long(place: str, *, uploads: bool) -> RemoteError:
    """Return the error for when Drive has refused everything for minutes."""
    if not uploads:
        return RemoteQuota(f"{place}: Drive has refused every request for minutes", hint="Try again later.")
    return RemoteQuota(
        f"{place}: Drive has refused every upload for minutes",
        hint="An account may upload 750 GB a day: push again tomorrow, and it goes on where it stopped.",
    )


def _text(message: str) -> str:
    """Return a stranger's words, fit to be shown; they may quote what should stay secret."""
    clean = _LIKE_A_SECRET.sub("***", show(message.strip()))[:160].rstrip(".")
    return f": {clean}" if clean else ""


# ------------------------------------------------------------------------------ what never got an answer


def unanswered(error: BaseException | None, place: str) -> RemoteError | None:
    """Return the error for a connection that broke; None for one that is something else."""
    from requests import exceptions as network
    from urllib3.exceptions import HTTPError

    if isinstance(error, network.SSLError):
        return RemoteDenied(
            f"{place}: the certificate of the endpoint is not trusted",
            hint="Give its authority: dvc-like remote modify --local NAME verify /path/to/ca.pem",
        )
    if isinstance(error, network.ProxyError):
        return RemoteUnavailable(f"{place}: the proxy does not answer", hint="Look at the remote's proxy.")
    if isinstance(error, network.Timeout):
        return RemoteUnavailable(f"{place}: no answer in time", hint="remote.NAME.timeout says how long to wait.")
    if isinstance(error, network.InvalidSchema | network.InvalidURL | network.MissingSchema):
        return RemoteDenied(f"{place}: the endpoint or the proxy has no usable address")
    if isinstance(error, network.RequestException | HTTPError | OSError):
        return RemoteUnavailable(f"{place}: the connection broke ({type(error).__name__})")
    return None
