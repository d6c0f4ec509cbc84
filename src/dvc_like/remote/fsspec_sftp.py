"""A folder on another machine as a remote, over SSH: ``fsspec+sftp://[USER@]HOST[:PORT]/FOLDER``, through paramiko.

Owns how such a machine is reached, and that it is the one that is meant: fsspec's own file system for SFTP takes any
server at its word, the one here only those in ``known_hosts``. Loaded only for such urls, for it loads paramiko.

A client of paramiko serves one thread well. Each thread borrows one from those that are open, so there are never more
than calls in flight.
"""

from __future__ import annotations

import base64
import contextlib
import errno
import hashlib
import logging
import os
import re
import stat
import threading
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote

import paramiko
from fsspec.implementations.sftp import SFTPFileSystem
from paramiko.sftp import CMD_DATA, CMD_EXTENDED, CMD_EXTENDED_REPLY, CMD_READ, int64

from ..errors import ConfigError, RemoteDenied, UsageError
from ..paths import show
from .fsspec import FsspecBackend, Kind, settings, split_url
from .fsspec_errors import unfit
from .options import number
from .source import Source, handed_over

KIND = Kind("folder over SFTP", concurrency=4, steady=True)  # a server of OpenSSH refuses some of more than 10 at once
TIMEOUT = 60.0  # seconds
KNOWN_HOSTS = ("~/.ssh/known_hosts", "/etc/ssh/ssh_known_hosts")
SSH_CONFIG = "~/.ssh/config"

_NOT_SET = {
    "host_key_policy": "Give a file of host keys: known_hosts.",
    # The url may be a stranger's, who would be sent it by some other host that is known.
    "password": "Write it into the url, fsspec+sftp://USER:PASSWORD@HOST/..., which is not tracked then.",
}
_REQUEST = 32 << 10  # bytes that every server takes, and gives, at a time
_WINDOW = 2 << 20  # bytes that are asked for at once: a round trip costs less than they take
_NEARLY_FULL = 1 << 20
_AUTHORITY = re.compile(r"(?:([^@:/]+)(?::([^@]*))?@)?([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(?::(\d{1,5}))?")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@\\+-]*")
_ANSWERS = (FileNotFoundError, PermissionError, FileExistsError)  # after which a connection is as good as before

# Without a handler, Python prints what paramiko logs on its way to an error that we tell ourselves.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


class Target(NamedTuple):
    """Who logs in where, and the folder there: absolute, or seen from the user's home."""

    host: str
    port: int | None
    user: str | None
    password: str | None
    folder: str


def open_url(url: str, options: dict[str, str], root: str) -> SftpBackend:
    """Make the backend of such a url. Contacts nobody."""
    protocol, place = split_url(url)
    given = {**settings(options), "timeout": number("timeout", options, TIMEOUT) or TIMEOUT}
    for name, hint in _NOT_SET.items():
        if name in given:
            raise ConfigError(f"fsspec: {name} is not to be set", hint=hint)
    for name in ("key_filename", "known_hosts"):
        if name in given:
            given[name] = _files(name, given[name], root)
    return SftpBackend(protocol, place, given, target_of(place))


def target_of(place: str) -> Target:
    """Take apart what follows ``sftp://``; raise `UsageError` for what is no host and folder."""
    authority, _, folder = place.partition("/")
    match = _AUTHORITY.fullmatch(authority)
    if match is None or not folder:
        raise UsageError(
            "the url names no host and folder", hint="Write fsspec+sftp://USER@HOST/FOLDER, or .../~/FOLDER."
        )
    user, password, host, port = match.groups()
    user = unquote(user) if user else None
    if user is not None and not _USER.fullmatch(user):
        raise UsageError(f"{show(user)[:60]!r} cannot be a user", hint="Write fsspec+sftp://USER@HOST/FOLDER.")
    folder = unquote(folder).strip("/")
    folder = folder.removeprefix("~/") if folder.startswith("~/") else f"/{folder}"
    return Target(host.strip("[]"), int(port) if port else None, user, unquote(password) if password else None, folder)


def _files(name: str, given: object, root: str) -> list[str]:
    """Return the paths that a setting names, one or several; raise `ConfigError` when one is not there."""
    names = given if isinstance(given, list) else [given]
    found = [os.path.join(root, os.path.expanduser(str(path))) for path in names]
    for path in found:
        if not os.path.exists(path):
            raise ConfigError(f"fsspec: {name}: there is no file {show(path)[:200]}")
    return found


def connection_of(target: Target, given: dict[str, Any]) -> dict[str, Any]:
    """Return how to connect: what the url and the settings say, and for the rest the user's ``~/.ssh/config``."""
    path = os.path.expanduser(SSH_CONFIG)
    try:
        found = dict(paramiko.SSHConfig.from_path(path).lookup(target.host)) if os.path.exists(path) else {}
    except (paramiko.SSHException, OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read: {show(str(error))[:160]}") from None
    if found.get("proxycommand", "none") != "none" or found.get("proxyjump", "none") != "none":
        raise RemoteDenied(
            f"{target.host} is reached through another host ({path}), which is not supported",
            hint="Mount the folder, for instance with sshfs, and use it as a folder remote.",
        )
    port = target.port or int(found.get("port", 22))
    keys = [name for name in map(os.path.expanduser, found.get("identityfile", ())) if os.path.exists(name)]
    wanted = {
        "host": str(found.get("hostname", target.host)),
        "port": port,
        "username": target.user or found.get("user"),
        "password": target.password,
        "key_filename": keys or None,
        "known_hosts": [*map(os.path.expanduser, str(found.get("userknownhostsfile", "")).split()), *KNOWN_HOSTS],
    }
    return {name: value for name, value in wanted.items() if value is not None} | given


class _KnownOnly(paramiko.MissingHostKeyPolicy):  # type: ignore[misc]  # of a package that types do not know
    """Refuses a server that is not in ``known_hosts``, and tells its fingerprint."""

    def missing_host_key(self, client: Any, hostname: str, key: Any) -> None:
        """Raise `RemoteDenied`."""
        print_ = base64.b64encode(hashlib.sha256(key.asbytes()).digest()).decode().rstrip("=")
        host, _, port = hostname.removeprefix("[").partition("]:")
        raise RemoteDenied(
            f"{show(hostname)}: the key of this server is in no known_hosts ({key.get_name()} SHA256:{print_})",
            hint="Compare the fingerprint with what whoever runs the server says, and log in once: "
            f"ssh {f'-p {port} ' if port else ''}{show(host)}",
        )


class SshFiles(SFTPFileSystem):  # type: ignore[misc]  # of a package that types do not know
    """fsspec's file system for SFTP, that connects only to servers it knows, and looks at every answer."""

    cachable = False

    def __init__(self, host: str, *, known_hosts: Iterable[str] = KNOWN_HOSTS, timeout: float = TIMEOUT, **more: Any):
        self._known_hosts, self._timeout = known_hosts, timeout
        self._can = {"fsync": True, "rename": True}
        super().__init__(host, **more)

    def _connect(self) -> None:
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(_KnownOnly())
        for path in map(os.path.expanduser, self._known_hosts):
            if os.path.exists(path):
                client.load_system_host_keys(path)
        waits = dict.fromkeys(("timeout", "banner_timeout", "auth_timeout", "channel_timeout"), self._timeout)
        try:
            client.connect(self.host, **{**waits, **self.ssh_kwargs})
            self.ftp = client.open_sftp()
            self.ftp.get_channel().settimeout(self._timeout)
        except BaseException:
            client.close()
            raise
        self.client = client

    @property
    def is_alive(self) -> bool:
        """Whether the connection was not closed, as far as can be told without asking."""
        transport = self.client.get_transport()
        return bool(transport and transport.is_active() and not self.ftp.get_channel().closed)

    def makedirs(self, path: str, exist_ok: bool = False, mode: int = 0o777) -> None:
        """Make a folder and what is missing above it, with one request where nothing is."""
        try:
            self.ftp.mkdir(path, mode)
        except FileNotFoundError:
            above = path.rpartition("/")[0]
            if not above:
                raise
            self.makedirs(above, exist_ok=True, mode=mode)
            self.makedirs(path, exist_ok=exist_ok, mode=mode)
        except OSError:
            if not (exist_ok and self.isdir(path)):  # the protocol has no "it is there already"
                raise

    def rm_file(self, path: str) -> None:
        """Remove a file, with one request."""
        self.ftp.remove(path)

    def write(self, path: str, pieces: Iterable[bytes | memoryview]) -> None:
        """Make a new file, sending ahead of the answers; none of them stays unread. It is on disk then."""
        last = b""
        try:
            with self.ftp.open(path, "wx") as file:
                file.set_pipelined(True)
                for piece in pieces:
                    for at in range(0, len(piece), _REQUEST):
                        if last:
                            file.write(last)
                        last = bytes(piece[at : at + _REQUEST])
                file.set_pipelined(False)  # paramiko reads every answer that is due before it returns from this write
                file.write(last)
                self._to_disk(file)
        except _ANSWERS:
            raise
        except OSError as error:
            if self.is_alive and self._is_full(path.rpartition("/")[0]):  # all that is said is "Failure"
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
            raise

    def _to_disk(self, file: Any) -> None:
        """Have the server flush a file, where it can: after a power cut a name would lead to nothing."""
        if not self._can["fsync"]:
            return
        try:
            self.ftp._request(CMD_EXTENDED, "fsync@openssh.com", file.handle)
        except OSError as error:
            if not _is_unknown(error):
                raise
            self._can["fsync"] = False

    def _is_full(self, folder: str) -> bool:
        try:
            kind, answer = self.ftp._request(CMD_EXTENDED, "statvfs@openssh.com", folder)
        except (OSError, EOFError, paramiko.SSHException):
            return False
        if kind != CMD_EXTENDED_REPLY:
            return False
        _, unit, _, _, free, files, _, free_files, *_ = (answer.get_int64() for _ in range(11))
        return bool(unit * free < _NEARLY_FULL or (files > 0 and free_files == 0))

    def read(self, path: str, start: int, length: int | None) -> Iterator[bytes]:
        """Yield a part of a file, asking for a window of it at once."""
        with self.ftp.open(path, "rb") as file:
            about = file.stat()
            if not stat.S_ISREG(about.st_mode or 0):
                raise FileNotFoundError(path)
            end = about.st_size if length is None else min(about.st_size, start + length)
            for begin in range(start, end, _WINDOW):
                answers = _Answers()  # paramiko's own reading ahead takes a thread, whose errors nobody hears
                asked = []
                for at in range(begin, min(end, begin + _WINDOW), _REQUEST):
                    size = min(_REQUEST, end - at)
                    asked.append((self.ftp._async_request(answers, CMD_READ, file.handle, int64(at), size), size))
                for ticket, size in asked:
                    while ticket not in answers.data:
                        self.ftp._read_response()
                    if len(piece := answers.data.pop(ticket)) != size:
                        raise EOFError("the file became shorter")
                    yield piece

    def mv(self, old: str, new: str, **_: Any) -> None:
        """Rename, replacing what has that name; all at once where the server can."""
        if self._can["rename"]:
            try:
                self.ftp.posix_rename(old, new)
                return
            except OSError as error:
                if not _is_unknown(error):
                    raise
                self._can["rename"] = False
        with contextlib.suppress(FileExistsError):
            self.rename_new(old, new)
            return
        self.ftp.remove(new)  # only what changes under its name (never an object) is away for a moment
        self.rename_new(old, new)

    def rename_new(self, old: str, new: str) -> None:
        """Rename to a name that nobody has, else raise `FileExistsError`."""
        try:
            self.ftp.rename(old, new)
        except _ANSWERS:
            raise
        except OSError:
            if self.is_alive and self.isfile(new):
                raise FileExistsError(new) from None
            raise


class _Answers:
    """What came back for requests that were sent ahead, in whatever order."""

    def __init__(self) -> None:
        self.data: dict[int, bytes] = {}

    def _async_response(self, kind: int, message: Any, number: int) -> None:
        """Hear one, as paramiko tells it; one without data is an error, or the end of the file."""
        self.data[number] = message.get_string() if kind == CMD_DATA else b""


def _is_unknown(error: OSError) -> bool:
    """Tell whether a server does not know a request, or is set up to refuse it."""
    return isinstance(error, PermissionError) or (error.errno is None and "unsupported" in str(error).lower())


class SftpBackend(FsspecBackend):
    """The objects in a folder of another machine."""

    def __init__(self, protocol: str, place: str, given: dict[str, Any], target: Target) -> None:
        super().__init__(protocol, place, given, KIND)
        self._target = target
        self._free: list[SshFiles] = []
        self._connecting = threading.Lock()  # one at a time: a server refuses many that are not logged in yet

    def _open(self) -> SshFiles:
        try:
            return SshFiles(**connection_of(self._target, self._given))
        except (TypeError, ValueError) as error:
            raise unfit(self._protocol, error) from None

    def _root(self, files: Any) -> str:
        return self._target.folder.rstrip("/")

    @property
    def folder(self) -> str:
        """The path that the url names, on the other machine."""
        return self._target.folder

    @contextlib.contextmanager
    def _lent(self) -> Iterator[SshFiles]:
        files = self._borrow()
        try:
            yield files
        except _ANSWERS:
            self._free.append(files)
            raise
        except BaseException as error:
            broke = isinstance(error, OSError) and not files.is_alive
            files.client.close()  # who knows what answers are still on their way
            if broke:  # else it would look like a refusal
                raise EOFError(str(error)) from error
            raise
        self._free.append(files)

    def _borrow(self) -> SshFiles:
        if self._process != os.getpid():
            self._free, self._process = [], os.getpid()
        free = self._waiting()
        if free is None:
            with self._connecting:
                free = self._waiting() or self._open()
        return free

    def _waiting(self) -> SshFiles | None:
        while True:
            try:
                files = self._free.pop()
            except IndexError:
                return None
            if files.is_alive:
                return files
            files.client.close()

    def _write(self, files: SshFiles, temp: str, data: Source) -> None:
        files.write(temp, handed_over(data))

    def _name_if_free(self, files: SshFiles, temp: str, path: str) -> None:
        try:
            files.rename_new(temp, path)
        except FileExistsError:
            files.rm_file(temp)

    def _read(self, files: SshFiles, path: str, start: int, length: int | None) -> Iterator[bytes]:
        yield from files.read(path, start, length)
        self._seen = True

    def close(self) -> None:
        """Close the connections. A second call does nothing."""
        while self._free:
            self._free.pop().client.close()
