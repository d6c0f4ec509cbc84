"""`dvc-like move`."""

from __future__ import annotations

import click

from ..ops.move import move
from ..paths import show
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .words import git_hint


@make_command(
    "move",
    examples="""
    dvc-like move data/raw data/2024
    dvc-like move model.bin models/
    """,
)
@click.argument("source")
@click.argument("destination")
@pass_console
def command(console: Console, source: str, destination: str) -> None:
    """Move target SOURCE to DESTINATION, or into it when that is a folder.

    The data, the meta file with all that you wrote into it, and the line in .gitignore move; nothing is hashed again.
    The data need not be here. What is there already is never replaced.
    """
    project = Project.find()
    done = move(project, source, destination, progress=console.progress)
    console.document("move", {"source": done.source, "path": done.target.path, "meta": done.target.meta_path})
    console.say(f"moved  {show(done.source)} -> {show(done.target.path)}")
    if hint := git_hint(project, done.pointers):
        console.say(hint)
