"""`dvc-like uninstall`."""

from __future__ import annotations

from ..ops.install import uninstall
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .install import document, report


@make_command("uninstall", examples="dvc-like uninstall")
@pass_console
def command(console: Console) -> None:
    """Take away what `install` made, for all projects of the repository, and put back what was there before."""
    done = uninstall(Project.find())
    document(console, "uninstall", done)
    report(console, done)
    if not done.files:
        console.say("Nothing of dvc-like's is here.")
