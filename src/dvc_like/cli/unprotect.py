"""`dvc-like unprotect`."""

from __future__ import annotations

import click

from ..ops.unprotect import unprotect
from ..paths import show
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .words import plural


@make_command(
    "unprotect",
    examples="""
    dvc-like unprotect data/labels.csv
    dvc-like unprotect data/
    """,
)
@click.argument("targets", nargs=-1, required=True)
@pass_console
def command(console: Console, targets: tuple[str, ...]) -> None:
    """Make files of TARGETS that are links into the cache private copies, which can be edited.

    Only needed where cache.type is hardlink or symlink. The bytes stay what they are; `dvc-like checkout --relink`
    makes links of them again.
    """
    done = unprotect(Project.find(), targets, progress=console.progress)
    console.document("unprotect", {"copied": list(done.copied)})
    for path in done.copied if console.verbose else ():
        console.say(f"copied  {show(path)}")
    console.say(
        f"{plural(len(done.copied), 'file')} made private" if done.copied else "Nothing is a link into the cache."
    )
