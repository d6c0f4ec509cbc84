"""`dvc-like drop`."""

from __future__ import annotations

import click

from ..ops.drop import drop
from ..paths import show
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .words import human_size, plural

_MAX_SHOWN = 20


@make_command(
    "drop",
    examples="""
    dvc-like drop data/images --dry-run
    dvc-like drop data/images/2019
    dvc-like drop --glob "data/**/*.raw"
    dvc-like drop --cache-only data/images
    """,
)
@click.argument("targets", nargs=-1, required=True)
@click.option("--glob", is_flag=True, help="TARGETS are patterns over all that is tracked; ** reaches into folders.")
@click.option("--cache-only", is_flag=True, help="Leave the workspace as it is.")
@click.option("--workspace-only", is_flag=True, help="Leave the cache as it is; no remote is asked then.")
@click.option("-r", "--remote", metavar="NAME", help="The remote that must have it, instead of the default.")
@click.option("-n", "--dry-run", "--dry", "dry_run", is_flag=True, help="Only show what would go.")
@pass_console
def command(
    console: Console,
    targets: tuple[str, ...],
    glob: bool,
    cache_only: bool,
    workspace_only: bool,
    remote: str | None,
    dry_run: bool,
) -> None:
    """Free workspace and cache of TARGETS, or paths inside them, that the remote is proved to have.

    The remote is asked now, for every file. What is dropped is absent, not deleted: status shows it, add keeps it, and
    pull brings it back. Objects that other targets or worktrees need stay in the cache. Nothing is touched when the
    remote lacks something (exit code 4) or a file is not as recorded (5).
    """
    done = drop(
        Project.find(),
        targets,
        glob=glob,
        cache=not workspace_only,
        workspace=not cache_only,
        remote=remote,
        dry_run=dry_run,
        progress=console.progress,
    )
    console.document(
        "drop",
        {
            "dry_run": dry_run,
            "files": list(done.files),
            "workspace_size": done.workspace_size,
            "objects": done.objects,
            "cache_size": done.cache_size,
            "kept": done.kept,
        },
    )
    shown = done.files if console.verbose else done.files[:_MAX_SHOWN]
    for path in shown if dry_run or console.verbose else ():
        console.say(f"  {show(path)}")
    if dry_run and len(shown) < len(done.files):
        console.say(f"  ... and {len(done.files) - len(shown):,} more (-v shows all)")
    would = "would be dropped" if dry_run else "dropped"
    if not cache_only:
        console.say(f"{plural(len(done.files), 'file')} {would} from the workspace, {human_size(done.workspace_size)}")
    if not workspace_only:
        console.say(f"{plural(done.objects, 'object')} {would} from the cache, {human_size(done.cache_size)}")
    if done.kept:
        console.say(f"{plural(done.kept, 'object')} kept in the cache: other targets, worktrees or links need them")
