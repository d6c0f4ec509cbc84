"""`dvc-like du`."""

from __future__ import annotations

import click

from ..errors import DvcLikeError, UsageError, gathered
from ..ops.du import du
from ..paths import show
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .words import human_size


@make_command(
    "du",
    examples="""
    dvc-like du
    dvc-like du --summarize data/frames data/labels
    dvc-like du --max-depth 1 --rev v1 data
    """,
)
@click.argument("targets", nargs=-1)
@click.option("-s", "--summarize", is_flag=True, help="Only the sum of each TARGET; the same as --max-depth 0.")
@click.option("-d", "--max-depth", type=click.IntRange(0), metavar="N", help="Only folders so many levels below.")
@click.option("--rev", metavar="REV", help="Sizes at this revision instead of in the workspace's meta files.")
@pass_console
def command(
    console: Console, targets: tuple[str, ...], summarize: bool, max_depth: int | None, rev: str | None
) -> None:
    """Show how much TARGETS (default: all) and the folders in them hold, present or not.

    Told by the listings alone: no file is looked at. Equal files count each time.
    """
    if summarize and max_depth:
        raise UsageError("--summarize and --max-depth contradict each other", hint="Leave one out.")
    wrong: list[DvcLikeError] = []
    found = du(
        Project.find(),
        targets,
        rev=rev,
        max_depth=0 if summarize else max_depth,
        failures=wrong,
        progress=console.progress,
    )
    tops = [one for one in found if one.depth == 0]
    size, files = sum(one.size for one in tops), sum(one.files for one in tops)
    if found or not wrong:
        console.document(
            "du",
            {
                "paths": [
                    {
                        "path": one.path,
                        "size": one.size,
                        "files": one.files,
                        "folder": one.is_folder,
                        "depth": one.depth,
                    }
                    for one in found
                ],
                "size": size,
                "files": files,
            },
        )
    rows = [(human_size(one.size), f"{one.files:,}", show(one.path) + "/" * one.is_folder) for one in found]
    if len(tops) > 1:
        rows.append((human_size(size), f"{files:,}", "total"))
    widths = [max((len(row[column]) for row in rows), default=0) for column in (0, 1)]
    for first, second, name in rows:
        noun = "file " if second == "1" else "files"
        console.say(f"{first:>{widths[0]}}  {second:>{widths[1]}} {noun}  {name}")
    if not found and not wrong:
        console.say("Nothing is tracked.")
    if wrong:
        raise gathered(wrong)
