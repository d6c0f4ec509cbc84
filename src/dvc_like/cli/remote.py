"""`dvc-like remote`."""

from __future__ import annotations

import click

from ..errors import RemoteError
from ..ops import remote as remotes
from ..ops.remote_test import try_remote
from ..paths import show
from ..project import Project
from .command import COMMON, CONTEXT, level_option, pass_console
from .command import command as make_command
from .console import Console
from .login import login, logout, whoami


@click.group(
    "remote",
    context_settings=CONTEXT,
    params=[*COMMON],
    epilog="\b\nExamples:\n  dvc-like remote add -d storage /mnt/store\n  dvc-like remote list",
)
def command() -> None:
    """Name the places where data goes.

    Only records settings, and contacts nothing, but for test, login, logout and whoami.
    """


@make_command(
    "add",
    examples="""
    dvc-like remote add -d storage /mnt/store
    dvc-like remote add backup ../backup
    dvc-like remote add drive gdrive://0AIac4JZqHhKmUk9PDA
    """,
)
@click.argument("name")
@click.argument("url")
@click.option("-d", "--default", is_flag=True, help="Make it the default remote.")
@click.option("-f", "--force", is_flag=True, help="Replace a remote of that name.")
@level_option
@pass_console
def add(console: Console, name: str, url: str, default: bool, force: bool, level: str | None) -> None:
    """Record a remote called NAME at URL: a folder, or scheme://..."""
    project = Project.find()
    kept_local = remotes.why_local(url)
    stored = remotes.add(project, name, url, default=default, force=force, level=level or "project")
    console.document("remote-add", {"name": name, "url": stored, "default": default})
    console.say(f"remote {name} added{' as default' if default else ''}: {show(stored)}")
    if kept_local and level in (None, "project"):
        console.say(f"The url {kept_local}: it is kept in .dvc-like/config.local, which Git does not track.")


@make_command("list", examples="dvc-like remote list")
@pass_console
def list_remotes(console: Console) -> None:
    """List the remotes; the default is marked."""
    project = Project.find()
    found = remotes.listing(project)
    default = project.config.get("core.remote")
    console.document("remote-list", {"default": default or None, "remotes": found})
    for name, options in found.items():
        mark = "  (default)" if name == default else ""
        console.answer(f"{name}\t{show(options['url'])}{mark}")
    if not found:
        console.say("No remote is configured. Add one with: dvc-like remote add -d NAME URL")


@make_command(
    "modify",
    examples="""
    dvc-like remote modify storage url /mnt/other
    dvc-like remote modify storage jobs 8
    dvc-like remote modify --unset storage jobs
    """,
)
@click.argument("name")
@click.argument("option")
@click.argument("value", required=False)
@click.option("-u", "--unset", is_flag=True, help="Remove the option.")
@level_option
@pass_console
def modify(console: Console, name: str, option: str, value: str | None, unset: bool, level: str | None) -> None:
    """Set OPTION of a remote to VALUE."""
    if (value is None) != unset:
        raise click.UsageError("give a VALUE, or --unset and none")
    remotes.modify(Project.find(), name, option, value, level=level or "project")
    console.document("remote-modify", {"name": name, "option": option})


@make_command("remove", examples="dvc-like remote remove backup")
@click.argument("name")
@pass_console
def remove(console: Console, name: str) -> None:
    """Forget a remote. What is stored there stays."""
    remotes.remove(Project.find(), name)
    console.document("remote-remove", {"name": name})


@make_command("rename", examples="dvc-like remote rename storage main")
@click.argument("name")
@click.argument("new")
@pass_console
def rename(console: Console, name: str, new: str) -> None:
    """Call remote NAME from now on NEW."""
    remotes.rename(Project.find(), name, new)
    console.document("remote-rename", {"name": new})


@make_command("default", examples="dvc-like remote default storage")
@click.argument("name", required=False)
@click.option("-u", "--unset", is_flag=True, help="Have no default.")
@level_option
@pass_console
def default_remote(console: Console, name: str | None, unset: bool, level: str | None) -> None:
    """Show the default remote, or make NAME the default."""
    project = Project.find()
    if name is None and not unset:
        current = project.config.get("core.remote")
        console.document("remote-default", {"default": current or None})
        if current:
            console.answer(current)
        else:
            console.say("No default remote is set.")
        return
    if name is not None and unset:
        raise click.UsageError("give a NAME or --unset, not both")
    remotes.set_default(project, name, level=level or "project")
    console.document("remote-default", {"default": name})


@make_command(
    "test",
    examples="""
    dvc-like remote test
    dvc-like remote test storage
    """,
)
@click.argument("name", required=False)
@pass_console
def test(console: Console, name: str | None) -> None:
    """Try whether remote NAME, or the default one, can be used.

    A small object is written below tests/, read, listed and deleted again. What does not work is named, with what to
    do about it; the exit code is then 6.
    """
    tested = try_remote(Project.find(), name, progress=console.progress)
    console.document(
        "remote-test",
        {
            "name": tested.name,
            "url": tested.url,
            "store": tested.store or None,
            "steps": [
                {"name": step.name, "ok": step.ok, "problem": step.problem, "hint": step.hint} for step in tested.steps
            ],
        },
    )
    console.say(f"remote {tested.name}: {show(tested.url)}")
    for step in tested.steps:
        console.say(f"  {step.name:<13} {show(step.problem) or 'ok'}", style="" if step.ok else "red")
        if step.hint:
            console.say(f"  {'':<13} {show(step.hint)}")
    if tested.ok:
        note = "a store is there" if tested.store else "empty: the first push makes a store of it"
        console.say(f"All of it works ({note}).")
        return
    failed = [step for step in tested.steps if not step.ok]
    raise RemoteError(
        f"remote {tested.name}: cannot {failed[0].name}: {failed[0].problem}",
        hint=failed[0].hint,
        details=tuple(f"{step.name}: {step.problem}" for step in failed[1:]),
    )


for _made in (add, list_remotes, modify, remove, rename, default_remote, test, login, logout, whoami):
    command.add_command(_made)
