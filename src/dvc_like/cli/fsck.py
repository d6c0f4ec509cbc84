"""`dvc-like fsck`."""

from __future__ import annotations

import click

from ..ops.fsck import fsck
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .words import human_size, plural


@make_command(
    "fsck",
    examples="""
    dvc-like fsck
    dvc-like fsck --read-data
    dvc-like fsck --repair
    """,
)
@click.option(
    "--read-data",
    type=click.FloatRange(0, 100),
    is_flag=False,
    flag_value=100,
    default=0,
    metavar="[PERCENT]",
    help="Read every object again, or this share of them, even where its stat is as recorded.",
)
@click.option("--repair", is_flag=True, help="Bring back what is damaged or missing from the workspace or the remote.")
@click.option("-r", "--remote", metavar="NAME", help="The remote to repair from instead of the default.")
@pass_console
def command(console: Console, read_data: float, repair: bool, remote: str | None) -> None:
    """Check that every object in the cache is what its name says, and that all is there that was checked out here.

    What was never fetched is only counted. Damaged objects are set aside, never deleted. Exits with 0 when all is
    sound or was repaired, else with 7.
    """
    done = fsck(Project.find(), read_data=read_data, repair=repair, remote=remote, progress=console.progress)
    console.document(
        "fsck",
        {
            "objects": done.objects,
            "size": done.size,
            "damaged": done.damaged,
            "missing": done.missing,
            "repaired": done.repaired,
            "not_fetched": done.not_fetched,
        },
    )
    for state, paths in (("damaged", done.damaged), ("missing", done.missing)):
        for path in paths:
            console.say(f"{state:<8}  {path}")
    repaired = f"; {plural(done.repaired, 'object')} repaired" if done.repaired else ""
    console.say(f"The cache is sound: {plural(done.objects, 'object')}, {human_size(done.size)}{repaired}")
    if done.not_fetched:
        console.say(f"{plural(done.not_fetched, 'file')} not fetched yet: `dvc-like pull` brings what is needed.")
