"""Logins that are kept on this machine: a file for each client and profile, which nobody else may read.

Owns those files; specified in ``docs/format.md``. Contacts nobody. What a login holds is never shown.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from dataclasses import dataclass, field

from ...errors import RemoteDenied, UsageError
from ...fsutil import Dir
from ...homes import credentials
from ...paths import show

DEFAULT_PROFILE = "default"
TOKEN_URI = "https://oauth2.googleapis.com/token"
AUTH_URI = "https://accounts.google.com/o/oauth2/auth"
_MAX_SIZE = 64 << 10
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")
_SUFFIX = ".apps.googleusercontent.com"
_AGAIN = "Log in again: dvc-like remote login NAME --client-secrets FILE"
_TEXTS = ("client_id", "client_secret", "refresh_token")


@dataclass(frozen=True)
class Login:
    """What is left of somebody's consent. `made` is in seconds since 1970, `account` an address or empty."""

    client_id: str
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)
    token_uri: str = TOKEN_URI
    auth_uri: str = AUTH_URI
    profile: str = DEFAULT_PROFILE
    account: str = ""
    scopes: tuple[str, ...] = ()
    made: int = 0

    @property
    def path(self) -> str:
        """Where it is kept."""
        return os.path.join(folder(), _file_name(self.client_id, self.profile))

    def __str__(self) -> str:
        return f"profile {self.profile}, client {short(self.client_id)}" + (f", {self.account}" if self.account else "")


def folder() -> str:
    """Return the folder of the logins."""
    return os.path.join(credentials(), "gdrive")


def short(client_id: str) -> str:
    """Return the part of a client's id by which people know it."""
    return client_id.removesuffix(_SUFFIX)


def check_profile(name: str) -> str:
    """Return `name`, or the default for none; raise `UsageError` when no file can be called so."""
    if name and not _NAME.fullmatch(name):
        raise UsageError(
            f"{show(name)[:100]!r} cannot be the name of a profile",
            hint="Use letters, digits, '.', '_', '@', '+' and '-', and begin with a letter or digit.",
        )
    return name or DEFAULT_PROFILE


def check_client(client_id: str) -> str:
    """Return the id of a client when it can be one."""
    if not _NAME.fullmatch(short(client_id)):
        raise UsageError(
            f"{show(client_id)[:100]!r} is not the id of an OAuth client",
            hint=f"It looks like 123456789-abc{_SUFFIX}, and stands in the file that Google gives for download.",
        )
    return client_id


def _file_name(client_id: str, profile: str) -> str:
    return f"{short(check_client(client_id))}-{check_profile(profile)}.json"


# ------------------------------------------------------------------------------ the files


def save(login: Login) -> None:
    """Keep a login; it takes the place of an older one of that client and profile."""
    path = folder()
    os.makedirs(os.path.dirname(credentials()), exist_ok=True)
    for each in (credentials(), path):
        with contextlib.suppress(FileExistsError):
            os.mkdir(each, 0o700)
    with Dir.open_root(credentials()) as above, above.sub("gdrive") as here:
        if os.name == "posix":
            os.chmod(above.path, 0o700)
            os.chmod(here.path, 0o700)
        if not above.exists(".gitignore"):  # people keep their configuration in Git
            above.write(".gitignore", b"*\n")
        here.write(_file_name(login.client_id, login.profile), encode(login), mode=0o600)


def remove(login: Login) -> None:
    """Delete the file of a login."""
    with Dir.open_root(folder()) as here:
        here.unlink(_file_name(login.client_id, login.profile))


def load(client_id: str, profile: str) -> Login | None:
    """Return the login of a client and a profile; with an empty `client_id`, the only one of that profile.

    Raises `RemoteDenied` when there are several, when one is damaged, or when others may read it.
    """
    if client_id:
        name = _file_name(client_id, profile)
        return _read(name) if os.path.lexists(os.path.join(folder(), name)) else None
    found, broken = _all()
    found = [login for login in found if login.profile == profile]
    if broken and not found:
        raise broken[0]
    if len(found) > 1:
        raise RemoteDenied(
            f"there are {len(found)} logins with the profile {profile}, each of another client",
            hint=f"Choose one: dvc-like remote modify --local NAME clientid {found[0].client_id}",
            details=tuple(map(str, found)),
        )
    return found[0] if found else None


def everything() -> list[Login]:
    """Return every login that is kept and can be used, sorted by file name."""
    return _all()[0]


def _all() -> tuple[list[Login], list[RemoteDenied]]:
    found: list[Login] = []
    broken: list[RemoteDenied] = []
    try:
        names = sorted(os.listdir(folder()))
    except (FileNotFoundError, NotADirectoryError):
        names = []
    for name in names:
        if name.endswith(".json"):
            try:
                found.append(_read(name))
            except RemoteDenied as error:
                broken.append(error)
    return found, broken


def _read(name: str) -> Login:
    path = os.path.join(folder(), name)
    try:
        with Dir.open_root(folder()) as here:
            if os.name == "posix":
                _check_modes(here, name)
            return decode(here.read(name, _MAX_SIZE).decode(errors="replace"), path)
    except OSError as error:
        raise RemoteDenied(
            f"the login in {show(path)} cannot be read: {error.strerror}", hint="Check who owns it and its permissions."
        ) from None


def _check_modes(here: Dir, name: str) -> None:
    for status, path, mode in ((here.status(), here.path, "700"), (here.lstat(name), f"{here.path}/{name}", "600")):
        if stat.S_IMODE(status.st_mode) & 0o077 and not stat.S_ISLNK(status.st_mode):
            raise RemoteDenied(
                f"{show(path)} can be reached by other users of this machine, and is not used therefore",
                hint=f"chmod {mode} {show(path)}. If somebody may have taken the login, then log out and in again.",
            )


# ------------------------------------------------------------------------------ the format


def encode(login: Login) -> bytes:
    """Return the content of the file."""
    content = {
        "type": "authorized_user",  # Google's own libraries read it too
        "client_id": login.client_id,
        "client_secret": login.client_secret,
        "refresh_token": login.refresh_token,
        "token_uri": login.token_uri,
        "auth_uri": login.auth_uri,
        "scopes": list(login.scopes),
        "account": login.account,
        "profile": login.profile,
        "made": login.made,
    }
    return json.dumps(content, indent=2).encode() + b"\n"


def decode(text: str, place: str) -> Login:
    """Return the login that a file, or what somebody imports, describes; raise `RemoteDenied` when it is none."""
    try:
        content = json.loads(text)
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise RemoteDenied(f"{show(place)} is not JSON", hint=_AGAIN)
    texts = {key: content.get(key) for key in _TEXTS}
    if missing := [key for key, value in texts.items() if not (isinstance(value, str) and value)]:
        raise RemoteDenied(f"{show(place)} is no login: {', '.join(missing)} missing", hint=_AGAIN)
    scopes, made = content.get("scopes"), content.get("made")
    return Login(
        **{key: str(value) for key, value in texts.items()},
        token_uri=str(content.get("token_uri") or TOKEN_URI),
        auth_uri=str(content.get("auth_uri") or AUTH_URI),
        profile=check_profile(str(content.get("profile") or "")),
        account=str(content.get("account") or ""),
        scopes=tuple(map(str, scopes)) if isinstance(scopes, list) else (),
        made=made if isinstance(made, int) else 0,
    )
