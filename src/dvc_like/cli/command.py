"""What all commands share: the common options, the way a command is made, and the choice of a configuration file."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click

from .console import Console

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
pass_console = click.make_pass_decorator(Console, ensure=True)


def _set(name: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def callback(ctx: click.Context, _: click.Parameter, value: Any) -> None:
        if value:
            console = ctx.find_root().ensure_object(Console)
            setattr(console, name, value)

    return callback


def _change_folder(_: click.Context, __: click.Parameter, value: str | None) -> None:
    if value:
        try:
            os.chdir(value)
        except OSError as error:
            raise click.BadParameter(f"{value}: {error.strerror}") from None


#: The options that every command and the group itself have.
COMMON: list[click.Parameter] = [
    click.Option(
        ["--json"], is_flag=True, expose_value=False, callback=_set("json"), help="One JSON document on stdout."
    ),
    click.Option(
        ["-q", "--quiet"], is_flag=True, expose_value=False, callback=_set("quiet"), help="Say nothing but errors."
    ),
    click.Option(["-v", "--verbose"], is_flag=True, expose_value=False, callback=_set("verbose"), help="Say more."),
    click.Option(["--debug"], is_flag=True, expose_value=False, callback=_set("debug"), help="Show tracebacks."),
    click.Option(
        ["--cd"],
        metavar="DIR",
        is_eager=True,
        expose_value=False,
        callback=_change_folder,
        help="Work as if started in DIR.",
    ),
]


def command(
    name: str, *, examples: str = "", cls: type[click.Command] = click.Command
) -> Callable[[Callable[..., None]], click.Command]:
    """Make a function a command with the common options after its own; `examples` end its help."""
    epilog = "\b\nExamples:\n" + "\n".join(f"  {line.strip()}" for line in examples.strip().splitlines())
    make = click.command(name, cls, epilog=epilog if examples else None, context_settings=CONTEXT)

    def wrap(function: Callable[..., None]) -> click.Command:
        made: click.Command = make(function)
        made.params += COMMON
        return made

    return wrap


def level_option(function: Any, default: str = "project") -> Any:
    """Add the choice of the configuration file; the function gets `level`, None when none was chosen.

    What None means, the `default`, is for the function to see to; here it is said.
    """
    found: Any = function
    for name, about in (
        ("system", "The machine's configuration."),
        ("global", "Your own configuration."),
        ("project", ".dvc-like/config, tracked by Git."),
        ("local", ".dvc-like/config.local: this clone only, never tracked."),
    ):
        about = f"{about[:-1]} (the default)." if name == default else about
        found = click.option(f"--{name}", "level", flag_value=name, default=None, help=about)(found)
    return found
