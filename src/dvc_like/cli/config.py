"""`dvc-like config`."""

from __future__ import annotations

import click

from ..errors import ConfigError, NoProject
from ..ops.settings import find_config, masked, set_setting, split
from ..paths import show
from .command import command as make_command
from .command import level_option, pass_console
from .console import Console


@make_command(
    "config",
    examples="""
    dvc-like config core.remote
    dvc-like config --local cache.type hardlink,copy
    dvc-like config --list --show-origin
    dvc-like config --unset core.remote
    dvc-like config --add profile.ci.exclude "**/*.raw"
    """,
)
@click.argument("name", required=False)
@click.argument("value", required=False)
@click.option("-u", "--unset", is_flag=True, help="Remove the setting.")
@click.option("--add", is_flag=True, help="Keep the values that a setting of a profile has, and add this one.")
@click.option("-l", "--list", "list_all", is_flag=True, help="List all settings; secrets are masked.")
@click.option("--show-origin", is_flag=True, help="Show the file a setting comes from.")
@level_option
@pass_console
def command(
    console: Console,
    name: str | None,
    value: str | None,
    unset: bool,
    add: bool,
    list_all: bool,
    show_origin: bool,
    level: str | None,
) -> None:
    """Read setting NAME, or set it to VALUE.

    Levels, later ones win: --system, --global, --project (.dvc-like/config, tracked by Git), --local
    (.dvc-like/config.local, never tracked). Settings are written to --project unless another level is named.
    """
    config = find_config()
    if list_all:
        if name is not None or unset:
            raise click.UsageError("--list takes no NAME")
        values = [one._replace(text=masked(one.name, one.text)) for one in config.values if level in (None, one.level)]
        console.document(
            "config",
            {"values": [{"name": v.name, "value": v.text, "level": v.level, "path": v.path} for v in values]},
        )
        for one in values:
            origin = f"{one.path}\t" if show_origin else ""
            console.answer(f"{origin}{one.name}={show(one.text)}")
        return
    if name is None:
        raise click.UsageError("name a setting, or give --list")
    setting = split(name)
    if add and value is None:
        raise click.UsageError("--add needs a VALUE")
    if unset or value is not None:
        if unset and value is not None:
            raise click.UsageError("--unset takes no VALUE")
        level = level or "project"
        if level not in config.files:
            raise NoProject("there is no project here for this level", hint="Add --global, or run `dvc-like init`.")
        set_setting(config, setting, None if unset else value, level=level, add=add)
        console.document("config", {"name": setting, "value": value and masked(setting, value)})
        is_ours = level in ("project", "local")  # the user's own setting is for other projects, too
        if setting == "core.remote" and value is not None and is_ours and value not in config.remotes():
            hint = "`dvc-like remote add NAME URL` makes one."
            console.warn(ConfigError(f"there is no remote named {show(value)!r} yet", hint=hint))
        return
    found = config.find(setting, level)
    console.document(
        "config", {"name": setting, "value": found.text if found else None, "path": found.path if found else None}
    )
    if found is None:
        console.say(f"{setting} is not set")
        raise click.exceptions.Exit(1)
    console.answer(f"{found.path}\t{show(found.text)}" if show_origin else show(found.text))
