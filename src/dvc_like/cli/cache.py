"""`dvc-like cache`."""

from __future__ import annotations

from functools import partial

import click

from ..ops.cache import cache_dir, set_cache_dir
from ..paths import show
from ..project import Project
from .command import COMMON, CONTEXT, level_option, pass_console
from .command import command as make_command
from .console import Console


@click.group(
    "cache",
    context_settings=CONTEXT,
    params=[*COMMON],
    epilog="\b\nExamples:\n  dvc-like cache dir\n  dvc-like cache dir /mnt/big/cache",
)
def command() -> None:
    """Say where the objects on this machine lie."""


@make_command(
    "dir",
    examples="""
    dvc-like cache dir
    dvc-like cache dir --show-origin
    dvc-like cache dir /mnt/big/cache
    dvc-like cache dir --unset
    """,
)
@click.argument("path", required=False)
@click.option("-u", "--unset", is_flag=True, help="Go back to the folder in .dvc-like.")
@click.option("--show-origin", is_flag=True, help="Show the file the setting comes from.")
@partial(level_option, default="local")
@pass_console
def folder(console: Console, path: str | None, unset: bool, show_origin: bool, level: str | None) -> None:
    """Print the folder the objects lie in, or make PATH that folder.

    Kept in --local unless another level is named; a file that Git tracks may not hold it. Objects that are there
    already are not moved. Several projects may share one folder; `dvc-like gc` then takes nothing without --force.
    """
    if path is not None and unset:
        raise click.UsageError("give a PATH or --unset, not both")
    project = Project.find()
    before = project.cache_dir
    if path is not None or unset:
        project = set_cache_dir(project, path, level=level or "local")
    found = cache_dir(project)
    console.document("cache-dir", {"path": found.path, "level": found.level, "origin": found.origin})
    console.answer(f"{show(found.origin or '(default)')}\t{show(found.path)}" if show_origin else show(found.path))
    if found.path != before:
        console.say(f"Objects that are in {show(before)} stay there: move them, or `dvc-like fetch` what you need.")
        console.say("Links into it are made anew by `dvc-like checkout --relink`.")


command.add_command(folder)
