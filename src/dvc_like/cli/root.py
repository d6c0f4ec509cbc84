"""`dvc-like root`."""

from __future__ import annotations

import os

from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console


@make_command("root", examples="cd $(dvc-like root)")
@pass_console
def command(console: Console) -> None:
    """Print the project's root folder, relative to the current one."""
    project = Project.find()
    console.document("root", {"root": project.root})
    console.answer(os.path.relpath(project.root))
