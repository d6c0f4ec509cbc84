"""`dvc-like git-merge`: the merge driver."""

from __future__ import annotations

import os

import click

from ..ops.git_merge import git_merge
from ..paths import show
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .words import plural


@make_command("git-merge", examples="dvc-like git-merge base.tmp ours.tmp theirs.tmp data/images.meta")
@click.argument("base")
@click.argument("ours")
@click.argument("theirs")
@click.argument("path")
@pass_console
def command(console: Console, base: str, ours: str, theirs: str, path: str) -> None:
    """Merge versions of the meta file PATH into the file OURS: the merge driver that `install` gives to Git.

    Folders are merged file by file. Of a file that both sides changed each version is kept, as NAME.ours and
    NAME.theirs, and the exit code is not 0, so that Git takes the meta file as conflicted.
    """
    # Git starts it at the top of the worktree; the project may lie below.
    project = Project.find(os.path.dirname(os.path.abspath(path)))
    done = git_merge(project, (base, ours, theirs), path, progress=console.progress)
    if done.problem is None or done.conflicts:
        console.document(
            "git-merge",
            {
                "path": done.path,
                "hash": done.meta.digest if done.meta is not None else None,
                "conflicts": [{"path": one.path, "why": one.why, "kept": list(one.kept)} for one in done.conflicts],
            },
        )
    if done.problem is not None:
        raise done.problem
    if done.meta is not None:
        console.detail(f"merged {show(done.path)}: {plural(done.meta.file_count, 'file')}")
