"""`dvc-like git-textconv`: the diff driver."""

from __future__ import annotations

import click

from ..errors import NoProject
from ..ops.git_textconv import git_textconv
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console


@make_command("git-textconv", examples="dvc-like git-textconv data/images.meta")
@click.argument("file", type=click.Path(dir_okay=False))
@click.option("--project", "folder", metavar="DIR", help="Where the project is, if not in the current folder or above.")
@pass_console
def command(console: Console, file: str, folder: str | None) -> None:
    """Print a meta FILE and the files of its folder, one a line: the diff driver that `install` gives to Git.

    With it `git diff` and `git log -p` show which files of a dataset changed.
    """
    try:
        project: Project | None = Project.find(folder)
    except NoProject:
        project = None
    with open(file, "rb") as opened:
        text = git_textconv(project, opened.read())
    console.document("git-textconv", {"text": text})
    console.answer(text.removesuffix("\n"))
