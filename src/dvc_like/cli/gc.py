"""`dvc-like gc`."""

from __future__ import annotations

import click

from ..ops._clone import KEPT_DAYS
from ..ops._cloud import CloudCollected, Doomed
from ..ops._tracked import Selection
from ..ops.gc import Collected, gc, undo
from ..paths import show
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .words import human_size, plural

_MAX_SHOWN = 50


@make_command(
    "gc",
    examples="""
    dvc-like gc --workspace --dry-run
    dvc-like gc --all-branches --all-tags
    dvc-like gc --all-commits --cloud --dry-run
    dvc-like gc --undo
    """,
)
@click.option("-w", "--workspace", is_flag=True, help="Keep what the workspaces of all worktrees need.")
@click.option("-a", "--all-branches", is_flag=True, help="Keep that, and what the tips of all branches need.")
@click.option("-T", "--all-tags", is_flag=True, help="Keep that, and what all tags need.")
@click.option("-A", "--all-commits", is_flag=True, help="Keep that, and what any commit needs.")
@click.option("--rev", "revisions", multiple=True, metavar="REV", help="Keep that, and what this revision needs.")
@click.option("-c", "--cloud", is_flag=True, help="Also collect the remote, in two phases with a grace period between.")
@click.option("-r", "--remote", metavar="NAME", help="Collect this remote; implies --cloud.")
@click.option("-n", "--dry-run", "--dry", "dry_run", is_flag=True, help="Only show what would go.")
@click.option("-f", "--force", is_flag=True, help="Go on where gc stops to be safe.")
@click.option(
    "--grace",
    type=click.FloatRange(0),
    metavar="SECONDS",
    help="Spare what is younger (default: 2 hours, on remotes 14 days); less than 60 needs --force.",
)
@click.option("--undo", "take_back", is_flag=True, help="Take everything back out of the trash.")
@pass_console
def command(
    console: Console,
    workspace: bool,
    all_branches: bool,
    all_tags: bool,
    all_commits: bool,
    revisions: tuple[str, ...],
    cloud: bool,
    remote: str | None,
    dry_run: bool,
    force: bool,
    grace: float | None,
    take_back: bool,
) -> None:
    """Free the cache of objects that nothing in the chosen scope needs.

    They go to the trash first, come back by themselves when something needs them, and are deleted for good by
    a later gc, after the grace period. Stops when a meta file cannot be read, and in a shallow clone.

    With --cloud the remote is collected too: what neither this clone nor any other that pushed there needs is
    condemned now, and deleted by a gc after the grace period unless a push needed it meanwhile. Many small packs, as
    small pushes leave them, are put together, so that a new clone asks for fewer.
    """
    project = Project.find()
    if take_back:
        restored = undo(project, progress=console.progress)
        console.document("gc", {"restored": restored})
        console.say(f"{plural(restored, 'object')} taken back out of the trash")
        return
    found = gc(
        project,
        Selection((), revisions, all_branches, all_tags, all_commits),
        workspace=workspace,
        cloud=cloud,
        remote=remote,
        dry_run=dry_run,
        force=force,
        grace=grace,
        progress=console.progress,
    )
    console.document(
        "gc",
        {
            "dry_run": dry_run,
            "removed": [
                {"path": one.path or None, "hash": one.item.digest, "size": one.item.size} for one in found.garbage
            ],
            "size": found.size,
            "kept": found.kept,
            "young": found.young,
            "deleted": found.deleted,
            "deleted_size": found.deleted_size,
            "clones": found.clones,
            **_cloud_as_json(found.cloud or CloudCollected()),
        },
    )
    _report(console, found, dry_run=dry_run)
    if found.cloud is not None:
        _report_cloud(console, found.cloud, dry_run=dry_run)


def _report(console: Console, found: Collected, *, dry_run: bool) -> None:
    shown = found.garbage if console.verbose else found.garbage[:_MAX_SHOWN]
    for one in shown if dry_run or console.verbose else ():
        name = show(one.path) if one.path else f"(in no commit) {one.item.digest.short}"
        console.say(f"{human_size(one.item.size):>9}  {name}")
    if dry_run and len(shown) < len(found.garbage):
        console.say(f"... and {len(found.garbage) - len(shown):,} more (-v shows all)")
    if found.garbage:
        verb = "would go to the trash" if dry_run else "moved to the trash (dvc-like gc --undo takes them back)"
        console.say(f"{plural(len(found.garbage), 'object')}, {human_size(found.size)}, {verb}")
    else:
        console.say("There is nothing to free.")
    console.say(f"{found.kept:,} kept, {found.young:,} spared for being young")
    if found.deleted:
        console.say(f"{plural(found.deleted, 'object')}, {human_size(found.deleted_size)}, deleted for good")
    if found.clones:
        what = "1 copy of another repository" if found.clones == 1 else f"{found.clones:,} copies of other repositories"
        console.say(f"{what} deleted, which nobody read for {KEPT_DAYS} days")


def _cloud_as_json(done: CloudCollected) -> dict[str, object]:
    return {
        "condemned": [{"key": one.key, "size": one.size, "what": one.what} for one in done.condemned],
        "purged": [{"key": one.key, "size": one.size, "what": one.what} for one in done.deleted],
        "repacked": done.repacked,
        "merged": done.merged,
        "foreign": done.foreign,
        "foreign_size": done.foreign_size,
        "unfinished": done.unfinished,
        "others": done.others,
        "expired": done.expired,
    }


def _report_doomed(console: Console, verb: str, doomed: list[Doomed], *, dry_run: bool) -> None:
    """Say what one half of the work comes to: each object by name in a dry run or with -v, then the sum."""
    if not doomed:
        return
    if dry_run or console.verbose:
        shown = doomed if console.verbose else doomed[:_MAX_SHOWN]
        for one in shown:
            name = show(one.what) or f"(in no commit here) {one.key}"
            console.say(f"{human_size(one.size):>9}  {verb:<9}  {name}")
        if len(shown) < len(doomed):
            console.say(f"... and {len(doomed) - len(shown):,} more (-v shows all)")
    size = human_size(sum(one.size for one in doomed))
    would = "would be " if dry_run else ""
    console.say(f"on the remote {plural(len(doomed), 'object')}, {size}, {would}{verb}")


def _report_cloud(console: Console, done: CloudCollected, *, dry_run: bool) -> None:
    would = "would be " if dry_run else ""
    _report_doomed(console, "deleted", done.deleted, dry_run=dry_run)
    _report_doomed(console, "condemned", done.condemned, dry_run=dry_run)
    if done.repacked:
        console.say(f"{plural(done.repacked, 'pack')} {would}written anew without what nobody needs")
    if done.merged:
        console.say(f"{plural(done.merged, 'small pack')} {would}put together: a new clone asks for fewer")
    if done.unfinished:
        console.say(f"{plural(done.unfinished, 'unfinished upload')} on the remote ended")
    if not done.condemned and not done.deleted and not done.unfinished:
        console.say("There is nothing to free on the remote.")
    if done.others:
        console.say(f"respected what {plural(len(done.others), 'other clone')} of this or other repositories need")
    if done.foreign:
        size = human_size(done.foreign_size)
        console.say(f"left alone: {plural(done.foreign, 'object')}, {size}, named by MD5, which DVC may need")
    for name in done.expired:
        console.say(f"not respected, for its last push is over a year ago: {name}", style="yellow")
