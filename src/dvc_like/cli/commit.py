"""`dvc-like commit`."""

from __future__ import annotations

import click

from ..ops.add import commit
from ..project import Project
from .add import report
from .command import command as make_command
from .command import pass_console
from .console import Console


@make_command(
    "commit",
    examples="""
    dvc-like commit
    dvc-like commit data/labels
    """,
)
@click.argument("targets", nargs=-1)
@click.option("-f", "--force", is_flag=True, help="Store everything again.")
@click.option("-R", "--recursive", is_flag=True, help="Accepted for DVC's users: folders are always searched.")
@pass_console
def command(console: Console, targets: tuple[str, ...], force: bool, recursive: bool) -> None:
    """Record the present state of TARGETS that are tracked already (default: of all that are here).

    The same as adding them again.
    """
    del recursive
    project = Project.find()
    report(console, project, "commit", commit(project, targets, force=force, progress=console.progress))
