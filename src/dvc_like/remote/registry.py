"""From a remote's URL to the backend that serves it.

Owns the table of the built-in kinds, the entry points by which other packages bring theirs, and how a URL is checked
and shown. A driver is imported only when its scheme is used. Knows nothing of what a driver does.
"""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING, Any, cast

from ..errors import RemoteError, UsageError
from ..paths import CONTROL, show
from .base import Backend, Factory

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from .login import Logins

#: Scheme -> ``module:factory``, looked at before any plug-in: an installed package cannot take over a built-in kind.
BUILT_IN = {
    "": "dvc_like.remote.local:open_url",
    "file": "dvc_like.remote.local:open_url",
    "memory": "dvc_like.remote.memory:open_url",
    "s3": "dvc_like.remote.s3:open_url",
    "gdrive": "dvc_like.remote.gdrive.backend:open_url",
    "fsspec+sftp": "dvc_like.remote.fsspec_sftp:open_url",
    "fsspec+ssh": "dvc_like.remote.fsspec_sftp:open_url",
    "fsspec+PROTOCOL": "dvc_like.remote.fsspec:open_url",  # every other one
}
#: What a driver cannot be imported without: the packages whose absence has a name, and how they are installed.
PACKAGES = {"fsspec": "'dvc-like[fsspec]'", "paramiko": "'dvc-like[fsspec]' paramiko"}
#: Scheme -> ``module:class`` of the kinds that people log in to.
LOGINS = {"gdrive": "dvc_like.remote.gdrive.login:DriveLogins"}
ENTRY_POINTS = "dvc_like.backends"

# Two characters at least, so that the drive letter of a Windows path is no scheme.
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_BAD_CHARACTER = re.compile(f"[{CONTROL}]")


def scheme_of(url: str) -> str:
    """Return the scheme in lower case; empty for the path of a folder."""
    match = _SCHEME.match(url)
    return match[1].lower() if match else ""


def built_in(scheme: str) -> str:
    """Return ``module:factory`` of the kind that comes with this package, empty when none does."""
    return BUILT_IN.get(scheme) or (BUILT_IN["fsspec+PROTOCOL"] if scheme.startswith("fsspec+") else "")


def check_url(url: str) -> None:
    """Raise `UsageError` for what can be the URL of no remote. A scheme nobody serves yet may be written down."""
    if not url.strip():
        raise UsageError("the URL of a remote is empty", hint="Give a folder, or a URL like s3://bucket/folder.")
    if _BAD_CHARACTER.search(url):
        raise UsageError(f"the URL {show(redact(url))} holds a control character or bytes that are not UTF-8")
    if url.lower().startswith("fsspec+") and not scheme_of(url):  # it would be taken for the path of a folder
        raise UsageError(f"{show(redact(url))} is no url", hint="Write fsspec+PROTOCOL://PLACE, and chain nothing.")


# A secret may hold a slash, though it should be written %2F there: everything up to the last @ is taken for userinfo,
# unless the part before the first slash is host:port.
_PASSWORD = re.compile(r"(?s)(://[^/?#@:]*):(?!\d*(?:[/?#]|$)).*@")
_QUERY_VALUE = re.compile(r"(?s)=[^&#]*")


def redact(url: str) -> str:
    """Return the URL for a message: a password, the values of a query and a fragment become ``***``."""
    if not scheme_of(url):
        return url
    shown = _PASSWORD.sub(r"\1:***@", url)
    if "#" in shown:
        shown = shown.partition("#")[0] + "#***"
    before, mark, query = shown.partition("?")
    return before + mark + _QUERY_VALUE.sub("=***", query)


def open_backend(url: str, options: dict[str, str], root: str) -> Backend:
    """Return the backend of a URL. `options` are the remote's own, `root` is what a relative path is relative to.

    Contacts nothing. Raises `UsageError` for a malformed URL and `RemoteError` when nobody serves its scheme.
    """
    check_url(url)
    scheme = scheme_of(url)
    place = built_in(scheme)
    factory = cast(Factory, _load_built_in(place)) if place else _load_plug_in(scheme)
    backend = factory(url, options, root)
    if not isinstance(backend, Backend):
        raise RemoteError(
            f"what serves {scheme}:// is not a backend of dvc-like but a {type(backend).__name__}",
            hint="Ask the author of the plug-in: its factory must return a dvc_like.remote.base.Backend.",
        )
    return backend


def open_logins(url: str) -> Logins:
    """Return what logs people in to remotes of this kind; raise `UsageError` where nobody has to."""
    scheme = scheme_of(url)
    if scheme not in LOGINS:
        kind = f"a remote of kind {scheme}://" if scheme else "a folder"
        how = "Its credentials are found where Amazon's own tools find them: see docs/remotes/s3.md."
        raise UsageError(f"nobody logs in to {kind}", hint=how if scheme == "s3" else "It needs no login of dvc-like.")
    return cast("Logins", _load_built_in(LOGINS[scheme])())


def _load_built_in(place: str) -> Any:
    module, _, name = place.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except ImportError as error:
        missing = str(error.name).partition(".")[0]
        if missing == __name__.partition(".")[0]:
            raise
        if missing not in PACKAGES or not isinstance(error, ModuleNotFoundError):  # it is there, and broken
            text = f"the driver of this kind of remote cannot be loaded: {show(str(error))[:200]}"
            raise RemoteError(text, hint="Install that package anew.") from error
        hint = f"Install it with: pip install {PACKAGES[missing]}"
        raise RemoteError(f"{missing} is needed for this kind of remote and is not installed", hint=hint) from None


def _load_plug_in(scheme: str) -> Factory:
    found = _plug_ins()
    offers = found.get(scheme, [])
    if not offers:
        kinds = ", ".join(["a folder", *(f"{name}://" for name in sorted({*BUILT_IN, *found} - {""}))])
        raise RemoteError(
            f"remotes of kind {scheme}:// cannot be used here: nothing installed serves it",
            hint=f"Install a package that provides the entry point {ENTRY_POINTS!r} for {scheme!r}. Here: {kinds}.",
        )
    if len({offer.value for offer in offers}) > 1:
        places = ", ".join(sorted(offer.value for offer in offers))
        raise RemoteError(
            f"several installed packages serve {scheme}:// ({places})", hint="Uninstall all of them but one."
        )
    try:
        return cast(Factory, offers[0].load())
    except (ImportError, AttributeError) as error:
        raise RemoteError(
            f"the plug-in for {scheme}:// cannot be loaded: {show(str(error))}",
            hint=f"It is {offers[0].value}; install it again with all it needs.",
        ) from error


def _plug_ins() -> dict[str, list[EntryPoint]]:
    # Imported here: reading what is installed costs as much as a whole command, and folders never need it.
    from importlib.metadata import entry_points

    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=ENTRY_POINTS):
        found.setdefault(point.name.lower(), []).append(point)
    return found
