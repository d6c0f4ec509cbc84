"""`dvc-like undo`."""

from __future__ import annotations

import time

import click

from ..ops.undo import undo, undoable
from ..paths import show
from ..project import Project
from . import checkout
from .command import command as make_command
from .command import pass_console
from .console import Console
from .words import plural


@make_command(
    "undo",
    examples="""
    dvc-like undo
    dvc-like undo --list
    dvc-like undo 2
    """,
)
@click.argument("count", type=click.IntRange(1), default=1, metavar="[N]")
@click.option("-l", "--list", "list_all", is_flag=True, help="Show what can be undone, the last command first.")
@click.option("-f", "--force", is_flag=True, help="Go on where something changed since; that is saved first.")
@click.option("-r", "--remote", metavar="NAME", help="Bring from here what the cache no longer has.")
@pass_console
def command(console: Console, count: int, list_all: bool, force: bool, remote: str | None) -> None:
    """Bring meta files and data back to what they were before the last command, or the last N.

    That is a command that changed meta files, the workspace or the cache: add, commit, checkout, pull, drop, gc, and
    undo itself, so that a second undo brings back what the first took away. Nothing is touched when a file that was not
    saved would be lost. A command can be undone for as long as gc keeps its trash (gc.grace).
    """
    project = Project.find()
    if list_all:
        records = undoable(project)
        console.document("undo", {"records": [{"verb": one.verb, "made": one.made} for one in records]})
        for number, one in enumerate(records, 1):
            console.answer(
                f"{number:>3}  {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(one.made))}  {show(one.verb)}"
            )
        if not records:
            console.say("There is nothing to undo.")
        return
    done = undo(project, count, force=force, remote=remote, progress=console.progress)
    console.document(
        "undo",
        {
            "undone": done.commands,
            "pointers": list(done.pointers),
            **checkout.as_json(done.checkout),
            "revived": done.revived,
        },
    )
    for verb in done.commands:
        console.say(f"undone    {show(verb)}", style="green")
    for path in done.pointers:
        console.say(f"restored  {show(path)}")
    if done.checkout != ((), (), (), ()):
        checkout.report(console, done.checkout)
    if done.revived:
        console.say(f"{plural(done.revived, 'object')} taken back out of the trash")
