"""`remote login`, `logout` and `whoami`: for remotes whose storage wants to know a person.

Owns what of a login is remembered in the project: which client and profile the remote uses, in ``config.local``.
"""

from __future__ import annotations

import os

from .. import homes
from ..config import edit
from ..errors import ConfigError
from ..paths import show
from ..project import Project
from ..remote.login import Identity, LoggedOut, Logins, Person
from ..remote.registry import open_logins
from ._store import of_remote, remote_name

__all__ = ["Identity", "LoggedOut", "Person", "login", "logout", "whoami"]


def login(
    project: Project,
    name: str | None = None,
    *,
    profile: str | None = None,
    client: str | None = None,
    token: str | None = None,
    read_only: bool = False,
    person: Person | None = None,
) -> tuple[str, Identity]:
    """Log in to a remote, the default one unless another is named; return its name and who that is now.

    `client` is the content of the file of an OAuth client, `token` that of a login made elsewhere. Without a `person`
    only the latter can be taken over. Nothing is written unless all went well. Raises `UsageError` for a kind of
    remote that needs no login, `RemoteDenied` when it was refused.
    """
    name, options, logins = _open(project, name, profile)
    if os.path.realpath(homes.credentials()).startswith(os.path.join(os.path.realpath(project.root), "")):
        raise ConfigError(
            f"logins would be kept in {show(homes.credentials())}, which is in the repository",
            hint="Let DVC_LIKE_CONFIG_GLOBAL or XDG_CONFIG_HOME name a place outside of it.",
        )
    with of_remote(name):
        found = logins.login(options, project.root, client=client, token=token, read_only=read_only, person=person)
    remembered = {**found.remember, **({"profile": found.profile} if profile is not None else {})}
    changes: dict[str, str | None] = {
        f"remote.{name}.{key}": text
        for key, text in remembered.items()
        if project.config.get(f"remote.{name}.{key}") != text
    }
    if changes:
        edit(project.config.files["local"], changes)
    return name, found


def logout(project: Project, name: str | None = None, *, profile: str | None = None) -> tuple[str, LoggedOut]:
    """Forget a login on this machine and, where it can be, at the service; return the remote's name and what went."""
    name, options, logins = _open(project, name, profile)
    with of_remote(name):
        return name, logins.logout(options, project.root)


def whoami(project: Project, name: str | None = None) -> tuple[str, Identity]:
    """Ask the service of a remote whose credentials the next transfer uses; return its name and the answer."""
    name, options, logins = _open(project, name, None)
    with of_remote(name):
        return name, logins.whoami(options, project.root)


def _open(project: Project, name: str | None, profile: str | None) -> tuple[str, dict[str, str], Logins]:
    name = remote_name(project, name)
    options = project.config.remotes()[name]
    if profile is not None:
        options = {**options, "profile": profile}
    return name, options, open_logins(options["url"])
