"""Where a remote on Google Drive is and how it is talked to: url and options, checked.

Owns the forms of its address, the web page's among them. Contacts nothing, loads nothing.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from ...errors import ConfigError, UsageError
from ...paths import CONTROL, show
from ..options import flag, number, verify

_TIMEOUT = 60.0  # seconds
_MAX_DEPTH = 20
ENDPOINT = "https://www.googleapis.com/"

_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")
_CONTROL = re.compile(f"[{CONTROL}]")
_WEB = re.compile(r"(?i)https?://drive\.google\.com(?:[/?#].*)?")
_WEB_FOLDER = re.compile(
    r"(?i:https?://drive\.google\.com)/(?:drive/)?(?:u/\d+/)?"
    r"(?:folders/|folderview\?(?:.*&)?id=|open\?(?:.*&)?id=)([A-Za-z0-9_-]{1,100})/?(?:[?&#].*)?"
)
_WEB_ROOT = re.compile(r"(?i:https?://drive\.google\.com)/drive/(?:u/\d+/)?my-drive/?(?:[?#].*)?")


class Place(NamedTuple):
    """A folder (its id, or ``root``), the names of folders below it, and how to get there."""

    folder: str
    path: tuple[str, ...] = ()
    endpoint: str = ENDPOINT  # ends with a slash
    timeout: float = _TIMEOUT
    verify: bool | str | None = None
    proxy: str | None = None
    acknowledge_abuse: bool = False
    root: str = ""  # the project's

    @property
    def url(self) -> str:
        """How it is named in messages."""
        return show("gdrive://" + "/".join((self.folder, *self.path)))


def from_web(url: str) -> str:
    """Return ``gdrive://`` and the id for the address of a folder's web page, anything else as it is."""
    if not _WEB.fullmatch(url.strip()):
        return url
    match = _WEB_FOLDER.fullmatch(url.strip())
    if match:
        return f"gdrive://{match[1]}"
    if _WEB_ROOT.fullmatch(url.strip()):
        return "gdrive://root"
    raise UsageError(
        "this web address names no folder on Google Drive",
        hint="Open the folder in the browser and copy its address: https://drive.google.com/drive/folders/ID",
    )


def parse(url: str, options: dict[str, str], root: str) -> Place:
    """Return what ``gdrive://ID[/PATH]`` and a remote's options mean; raise when they cannot be meant."""
    folder, _, path = url[len("gdrive://") :].partition("/")
    if not _ID.fullmatch(folder):
        raise UsageError(
            f"{show(url)[:200]} names no folder on Google Drive",
            hint="Write gdrive://ID or gdrive://ID/FOLDER; the id is the last part of the folder's web address.",
        )
    names = tuple(name for name in path.split("/") if name)
    if len(names) > _MAX_DEPTH or any(name in (".", "..") or _CONTROL.search(name) for name in names):
        raise UsageError(f"{show(url)[:200]}: this cannot be a path of folders")
    given = {name: text for name, text in options.items() if text != ""}
    endpoint = given.get("endpointurl", ENDPOINT)
    if not re.match(r"https?://[^/]", endpoint, re.I):
        raise ConfigError(f"endpointurl = {show(endpoint)[:100]} is not a url", hint="Write https://host[:port].")
    return Place(
        folder,
        names,
        endpoint=endpoint.rstrip("/") + "/",
        timeout=number("timeout", given, _TIMEOUT) or _TIMEOUT,
        verify=verify(given.get("verify"), root),
        proxy=given.get("proxy"),
        acknowledge_abuse=flag("acknowledgeabuse", given.get("acknowledgeabuse", "false")),
        root=root,
    )
