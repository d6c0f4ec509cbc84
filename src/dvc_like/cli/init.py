"""`dvc-like init`."""

from __future__ import annotations

import click

from ..ops.init import init
from .command import command as make_command
from .command import pass_console
from .console import Console


@make_command(
    "init",
    examples="""
    dvc-like init
    dvc-like init --no-git scratch/
    dvc-like init --subdir
    """,
)
@click.argument("folder", required=False, type=click.Path(file_okay=False))
@click.option("--no-git", "--no-scm", "no_git", is_flag=True, help="Do without Git.")
@click.option("--subdir", is_flag=True, help="Make a project of a folder below the top of the Git repository.")
@click.option("-f", "--force", is_flag=True, help="Fill in what is missing in a project that exists.")
@pass_console
def command(console: Console, folder: str | None, no_git: bool, subdir: bool, force: bool) -> None:
    """Make FOLDER (default: here) a dvc-like project.

    Writes .dvc-like/config and .dvc-like/.gitignore and stages them in Git.
    """
    project = init(folder, git=not no_git, subdir=subdir, force=force)
    console.document("init", {"root": project.root, "git": project.git is not None})
    console.say(f"Initialised a dvc-like project in {project.root}")
    if project.git is not None:
        console.say('Next: git commit -m "start dvc-like", then dvc-like add DATA')
