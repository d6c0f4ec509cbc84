"""`dvc-like fsck`."""

from __future__ import annotations

import click

from ..ops.fsck import fsck, fsck_remote
from ..paths import show
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
    dvc-like fsck --remote storage --read-data=5
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
@click.option("--repair", is_flag=True, help="Bring back what is damaged or missing, from wherever it is sound.")
@click.option("-r", "--remote", metavar="NAME", help="Check this remote instead of the cache.")
@pass_console
def command(console: Console, read_data: float, repair: bool, remote: str | None) -> None:
    """Check that every object in the cache is what its name says, and that all is there that was checked out here.

    What was never fetched is only counted. Damaged objects are set aside, never deleted. With --remote, check that all
    that the workspace needs is there, in the right size, and with --read-data what its name says; --repair sends it
    again from the cache. Exits with 0 when all is sound or was repaired, else with 7.
    """
    if remote is not None:
        _check_remote(console, remote, read_data, repair)
        return
    done = fsck(Project.find(), read_data=read_data, repair=repair, progress=console.progress)
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


def _check_remote(console: Console, remote: str, read_data: float, repair: bool) -> None:
    done = fsck_remote(Project.find(), remote, read_data=read_data, repair=repair, progress=console.progress)
    console.document(
        "fsck",
        {
            "remote": remote,
            "files": done.files,
            "missing": done.missing,
            "damaged_packs": done.packs,
            "repaired": done.repaired,
        },
    )
    repaired = f"; {done.repaired:,} repaired" if done.missing or done.packs else ""
    unread = "" if read_data else "; their bytes were not read (--read-data does)"
    console.say(f"Remote {show(remote)} is sound: {plural(done.files, 'file')} looked for{repaired}{unread}")
