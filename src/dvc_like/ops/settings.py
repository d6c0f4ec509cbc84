"""`config`: read and change settings, in a project or outside of one."""

from __future__ import annotations

from ..config import USER_LEVELS, Config, check_tracked, default_files, edit, is_setting, meaning, split_name
from ..errors import NoProject, UsageError
from ..paths import show
from ..project import Project
from ..remote.registry import check_url, redact

_SECRET = frozenset(["secretaccesskey", "sessiontoken", "accesskeyid", "clientsecret", "credentials", "fsspec"])
_URLS = frozenset(["url", "endpointurl", "proxy"])


def find_config() -> Config:
    """Return the configuration that counts here; outside a project, the user's and the machine's."""
    try:
        return Project.find().config
    except NoProject:
        return Config(default_files(None))


def split(name: str) -> str:
    """Return a setting's name as it is stored; raise `UsageError` when there is no such setting."""
    section, subsection, key = split_name(name)
    return f"{section}.{subsection}.{key}" if subsection else f"{section}.{key}"


def masked(name: str, text: str) -> str:
    """Return a setting's text as it may be listed: who asks for one secret by its name gets it, a list shows none."""
    section, _, rest = name.partition(".")
    key = rest.rpartition(".")[2]
    if section not in ("remote", "import"):
        return text
    if key in _URLS or section == "import":
        return redact(text)
    return "***" if key in _SECRET or not is_setting(name) else text  # what a plug-in reads may be a secret


def set_setting(config: Config, setting: str, value: str | None, *, level: str, add: bool = False) -> None:
    """Set (or, with None, unset) a setting, refusing what nobody could read and what a tracked file may not hold.

    With `add` a setting that may have several values gets one more.
    """
    if add and not (setting.startswith("profile.") or setting == "import.allow"):
        raise UsageError(f"{show(setting)} has one value", hint="Leave out --add.")
    section, _, rest = setting.partition(".")
    if value is not None:
        try:
            meaning(setting, value)
        except ValueError as error:
            raise UsageError(f"{show(setting)} = {show(value)!r} {error}") from None
        if setting.endswith(".url"):
            check_url(value)
        key = rest.rpartition(".")[2]
        reason = (check_tracked(section, key, value) or config.check_endpoint(setting)) if level == "project" else None
        if reason:
            raise UsageError(f"{show(setting)} {reason}", hint="Add `--local` to keep it on this machine.")
    edit(config.files[level], {setting: value}, follow=level in USER_LEVELS, add=add)
