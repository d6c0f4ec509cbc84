"""What a file system of fsspec says went wrong, told as one of the contract's errors, with what to do about it.

Owns the mapping and its words. The drivers are many, and none of them need be installed: their errors are known by the
name of their class, by an HTTP status or by an errno. Nothing of a request is quoted, and of a text only what holds no
secret.
"""

from __future__ import annotations

import contextlib
import errno
import re
import socket
from collections.abc import Iterator

from ..errors import DvcLikeError, RemoteDenied, RemoteError, RemoteNotFound, RemoteQuota, RemoteUnavailable
from ..paths import show

#: What a driver says of a name that is not there, or is that of a folder, or lies below that of an object.
ABSENT = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
NO_RANGE = 416

_QUOTA = {errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)}
_REFUSED = {errno.EROFS, errno.ELOOP, errno.ENAMETOOLONG, errno.EEXIST, errno.ENOTEMPTY}
#: Classes of errors of paramiko, Google's and Azure's libraries, and aiohttp.
_NO_LOGIN = {
    *("AuthenticationException", "DefaultCredentialsError", "RefreshError", "ClientAuthenticationError"),
    *("CredentialUnavailableError", "NoCredentialsError"),
}
_BROKEN = {
    *("SSHException", "TimeoutError", "ClientError", "ServiceRequestError", "ServiceResponseError", "TransportError"),
    *("EOFError", "ConnectionError", "IncompleteRead", "HTTPException", "RequestException"),
}
_LIKE_A_SECRET = re.compile(r"[A-Za-z0-9/+=_.%-]{40,}")


@contextlib.contextmanager
def told(place: str, *, writing: bool = False) -> Iterator[None]:
    """Make every error one that the contract knows; `place` is what was asked for.

    With `writing`, what is not there is the place itself.
    """
    try:
        yield
    except DvcLikeError:
        raise
    except Exception as error:
        found = _translated(error, place)
        if writing and isinstance(found, RemoteNotFound):
            found = RemoteDenied(
                f"{place} cannot be written: there is no such place", hint="Make the bucket or the folder it lies in."
            )
        raise found from error


def unfit(protocol: str, error: Exception) -> RemoteError:
    """Return the error for a url or settings that a file system does not take."""
    return RemoteDenied(
        f"a file system of {protocol}:// cannot be made so{_text(error)}",
        hint="Look at the url, and at remote.NAME.fsspec.",
    )


def status_of(error: Exception) -> int:
    """Return the HTTP status that an error carries, 0 when it carries none."""
    for name in ("status_code", "status", "code"):
        found = getattr(error, name, None)
        if str(found).isdigit():
            return int(str(found))
    return 0


def _translated(error: Exception, place: str) -> DvcLikeError:
    if isinstance(error, ABSENT):
        return RemoteNotFound(f"{place} is not there")
    names = {kind.__name__ for kind in type(error).__mro__}
    return (
        _of_ssh(error, names, place)
        or _of_status(status_of(error), names, place)
        or _of_system(error, names, place)
        or _unknown(error, place)
    )


def _of_ssh(error: Exception, names: set[str], place: str) -> RemoteError | None:
    if "BadHostKeyException" in names:
        return RemoteDenied(
            f"{place}: the server shows another key than the one in known_hosts: it was set up anew, "
            "or somebody is between you and it",
            hint="Ask whoever runs the server; if it is new, `ssh-keygen -R HOST`, and log in once with ssh.",
        )
    if "PasswordRequiredException" in names:
        return RemoteDenied(
            f"{place}: the private key has a passphrase", hint="Load it into an agent: `ssh-add PATH-OF-THE-KEY`."
        )
    if "AuthenticationException" in names or ("SSHException" in names and "No authentication" in str(error)):
        return RemoteDenied(
            f"{place}: the server lets nobody in with the user and the keys that were offered",
            hint="The user stands in the url (fsspec+sftp://USER@HOST/...); name a key with "
            """`dvc-like remote modify --local NAME fsspec '{"key_filename": "~/.ssh/KEY"}'`, or `ssh-add` it.""",
        )
    if "NoValidConnectionsError" in names:
        return RemoteUnavailable(f"{place}: nothing answers there", hint="Look at the host, the port and the network.")
    return None


def _of_status(status: int, names: set[str], place: str) -> RemoteError | None:
    if status == 401 or names & _NO_LOGIN:
        return RemoteDenied(
            f"{place}: no credentials were found, or they are not valid there",
            hint="See docs/remotes/fsspec.md for where they are looked for.",
        )
    if status == 403:
        return RemoteDenied(f"{place}: it is not allowed", hint="Whoever manages it has to allow reading and writing.")
    if status == 404:
        return RemoteNotFound(f"{place} is not there")
    if status in (413, 507):
        return RemoteQuota(f"{place}: the store is full", hint="Free space there, or raise its quota.")
    if status in (408, 409, 425, 429) or 500 <= status < 600:
        return RemoteUnavailable(f"{place}: the store cannot do it now ({status})")
    return None


def _of_system(error: Exception, names: set[str], place: str) -> RemoteError | None:
    number = getattr(error, "errno", None)
    if isinstance(error, socket.gaierror):
        return RemoteUnavailable(f"{place}: the name of the host is not known", hint="Look at the url and the network.")
    if number in _QUOTA:
        return RemoteQuota(f"{place}: no space is left there", hint="Free space there, or raise the quota.")
    if isinstance(error, PermissionError) or number in _REFUSED:
        reason = (getattr(error, "strerror", None) or "not allowed").lower()
        return RemoteDenied(f"{place}: {show(reason)[:100]}", hint="The user who is logged in there may not do this.")
    if "TimeoutError" in names:
        return RemoteUnavailable(f"{place}: no answer in time", hint="remote.NAME.timeout says how long, in seconds.")
    if names & _BROKEN or (isinstance(error, OSError) and number is not None):
        return RemoteUnavailable(f"{place}: the connection broke ({type(error).__name__}{_text(error)})")
    return None


def _unknown(error: Exception, place: str) -> RemoteError:
    if isinstance(error, NotImplementedError):
        return RemoteDenied(f"{place}: this kind of file system does not offer what a remote needs{_text(error)}")
    if isinstance(error, OSError):  # a refusal in words alone
        return RemoteDenied(f"{place}: it was refused{_text(error)}")
    return RemoteError(f"{place}: {type(error).__name__}{_text(error)}")


def _text(error: Exception) -> str:
    """Return a stranger's words, fit to be shown behind what we say ourselves."""
    words = _LIKE_A_SECRET.sub("***", show(str(error).strip()))[:160]
    return f": {words}" if words else ""
