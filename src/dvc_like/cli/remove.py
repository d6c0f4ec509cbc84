"""`dvc-like remove`."""

from __future__ import annotations

import click

from ..errors import DvcLikeError, gathered
from ..ops.remove import Removal, remove
from ..paths import show
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .words import git_hint, plural


@make_command(
    "remove",
    examples="""
    dvc-like remove data/labels
    dvc-like remove model.bin.meta
    dvc-like remove --outs data/raw
    """,
)
@click.argument("targets", nargs=-1, required=True)
@click.option("--outs", is_flag=True, help="Remove the data as well, if all of it is safe in the cache.")
@click.option("-f", "--force", is_flag=True, help="With --outs: give up what is not safe in the cache.")
@pass_console
def command(console: Console, targets: tuple[str, ...], outs: bool, force: bool) -> None:
    """Stop tracking TARGETS: remove the meta file and the line in .gitignore, and keep the data.

    The cache keeps its objects until `dvc-like gc`. Files in a target's folder that were never added always stay.
    """
    if force and not outs:
        raise click.UsageError("--force is for --outs: without it no data is removed")
    project = Project.find()
    wrong: list[DvcLikeError] = []
    done = remove(project, targets, outs=outs, force=force, failures=wrong, progress=console.progress)
    if done.targets or not wrong:
        _report(console, project, done, outs=outs)
    if wrong:
        raise gathered(wrong)


def _report(console: Console, project: Project, done: Removal, *, outs: bool) -> None:
    console.document(
        "remove",
        {
            "targets": [
                {
                    "path": one.target.path,
                    "meta": one.target.meta_path,
                    "removed": list(one.removed),
                    "left": list(one.left),
                }
                for one in done.targets
            ]
        },
    )
    for one in done.targets:
        note = plural(len(one.removed), "file") + " removed" if outs else "the data stays"
        stay = "file that was never added stays" if len(one.left) == 1 else "files that were never added stay"
        left = f"; {len(one.left):,} {stay}" if one.left else ""
        console.say(f"no longer tracked  {show(one.target.path)}  ({note}{left})")
    if hint := git_hint(project, done.pointers):
        console.say(hint)
