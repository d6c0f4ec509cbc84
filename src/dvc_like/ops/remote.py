"""`remote`: name the places where objects go. Records settings; contacts nothing."""

from __future__ import annotations

import os
import re

from ..config import USER_LEVELS, check_remote_name, check_tracked, edit
from ..errors import ConfigError
from ..paths import show
from ..project import Project
from ..remote.gdrive.place import from_web
from ..remote.registry import check_url, redact, scheme_of
from .settings import masked, set_setting, split


def add(
    project: Project, name: str, url: str, *, default: bool = False, force: bool = False, level: str = "project"
) -> str:
    """Record a remote; return its url as it may be shown. A local folder is kept relative to the project's root."""
    check_remote_name(name)
    check_url(url)
    if name in project.config.remotes() and not force:
        raise ConfigError(
            f"remote {name} exists already ({redact(project.config.remotes()[name]['url'])})",
            hint="Change it with `dvc-like remote modify`, or replace it with `--force`.",
        )
    url = _normalise(project, url)
    changes: dict[str, str | None] = {"core.remote": name} if default else {}
    changes[f"remote.{name}.url"] = url
    if level == "project" and why_local(url):
        edit(project.config.files["local"], {f"remote.{name}.url": url})
        del changes[f"remote.{name}.url"]
    elif level == "project" and project.config.find(f"remote.{name}.url", "local"):
        edit(project.config.files["local"], {f"remote.{name}.url": None})  # it would win
    if changes:
        edit(project.config.files[level], changes, follow=level in USER_LEVELS)
    return redact(url)


def why_local(url: str) -> str:
    """Return why a url may not stand in the tracked configuration, empty when it may."""
    return (check_tracked("remote", "url", url) or "").partition(":")[0]


def _normalise(project: Project, url: str) -> str:
    """Make a relative folder mean the same from everywhere, and the address of a web page name what it shows."""
    url = from_web(url)
    if scheme_of(url) or os.path.isabs(url) or url.startswith("~"):
        return url
    return os.path.relpath(os.path.abspath(url), project.root).replace(os.sep, "/")


def modify(project: Project, name: str, option: str, value: str | None, *, level: str = "project") -> None:
    """Set an option of a remote, or with None unset it."""
    _known(project, name)
    setting = split(f"remote.{name}.{option}")
    if setting.endswith(".url") and value is not None:
        check_url(value)
        value = _normalise(project, value)
    set_setting(project.config, setting, value, level=level)


def remove(project: Project, name: str) -> None:
    """Forget a remote at every level of this project, and that it was the default."""
    _known(project, name)
    _rewrite(project, name, None)


def rename(project: Project, name: str, new: str) -> None:
    """Call a remote otherwise, at every level of this project."""
    _known(project, name)
    check_remote_name(new)
    if new in project.config.remotes():
        raise ConfigError(f"remote {new} exists already", hint="Choose another name, or remove it first.")
    _rewrite(project, name, new)


def _rewrite(project: Project, name: str, new: str | None) -> None:
    elsewhere = set()
    for level in ("project", "local"):
        changes: dict[str, str | None] = {}
        for value in project.config.values:
            if value.level != level:
                continue
            if re.fullmatch(rf"remote\.{re.escape(name)}\.[^.]+", value.name):
                changes[value.name] = None
                if new is not None:
                    changes[f"remote.{new}.{value.name.rpartition('.')[2]}"] = value.text
            elif value.name == "core.remote" and value.text == name:
                changes[value.name] = new
        if changes:
            edit(project.config.files[level], changes)
    for value in project.config.values:
        if value.level in ("system", "global") and value.name.startswith(f"remote.{name}."):
            elsewhere.add(value.path)
    if elsewhere:
        raise ConfigError(f"remote {name} is also set in {', '.join(sorted(elsewhere))}", hint="Change it there too.")


def set_default(project: Project, name: str | None, *, level: str = "project") -> str:
    """Make a remote the default (with None: have none); return the one that is now."""
    if name is not None:
        _known(project, name)
    edit(project.config.files[level], {"core.remote": name}, follow=level in USER_LEVELS)
    return name or ""


def listing(project: Project) -> dict[str, dict[str, str]]:
    """Return every remote with its options; what is secret in them is masked."""
    return {
        name: {key: masked(f"remote.{name}.{key}", text) for key, text in options.items()}
        for name, options in project.config.remotes().items()
    }


def _known(project: Project, name: str) -> None:
    remotes = project.config.remotes()
    if name not in remotes:
        raise ConfigError(
            f"there is no remote named {show(name)!r}",
            hint=f"Known: {', '.join(remotes)}." if remotes else "Add it with `dvc-like remote add NAME URL`.",
        )
