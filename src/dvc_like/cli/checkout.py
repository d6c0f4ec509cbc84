"""`dvc-like checkout`."""

from __future__ import annotations

import click

from ..ops.checkout import CheckedOut, checkout
from ..paths import show
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .transfer import choice_options
from .words import plural

_MAX_SHOWN = 20


@make_command(
    "checkout",
    examples="""
    git checkout v1 && dvc-like checkout
    dvc-like checkout data/labels
    dvc-like checkout --force data/
    dvc-like checkout --glob "data/**/*.jpg"
    """,
)
@click.argument("targets", nargs=-1)
@choice_options
@click.option("-f", "--force", is_flag=True, help="Overwrite unsaved changes.")
@click.option("--relink", is_flag=True, help="Place every file again, to apply another cache.type.")
@click.option("--allow-missing", is_flag=True, help="Be content with what the cache has.")
@click.option("--summary", is_flag=True, help="Show only how many files changed.")
@click.option("-R", "--recursive", is_flag=True, help="Accepted for DVC's users: folders are always searched.")
@pass_console
def command(
    console: Console,
    targets: tuple[str, ...],
    glob: bool,
    profile: str,
    force: bool,
    relink: bool,
    allow_missing: bool,
    summary: bool,
    recursive: bool,
) -> None:
    """Bring TARGETS (default: all) of the workspace to what their meta files say.

    Unsaved changes are never overwritten unless --force is given: nothing at all is touched then.
    Files that were never added are not deleted to make room, not even with --force.
    """
    del recursive
    done = checkout(
        Project.find(),
        targets,
        glob=glob,
        profile=profile,
        force=force,
        relink=relink,
        allow_missing=allow_missing,
        progress=console.progress,
    )
    console.document("checkout", as_json(done))
    report(console, done, summary=summary)


def as_json(done: CheckedOut) -> dict[str, object]:
    """Return a checkout's result for `--json`."""
    return {
        "created": list(done.created),
        "replaced": list(done.replaced),
        "removed": list(done.removed),
        "missing": list(done.missing),
    }


def report(console: Console, done: CheckedOut, *, summary: bool = False) -> None:
    """Say what a checkout changed."""
    changes = [
        *(("created", path) for path in done.created),
        *(("replaced", path) for path in done.replaced),
        *(("removed", path) for path in done.removed),
    ]
    if not changes:
        console.say("The workspace is up to date.")
        return
    shown = changes if console.verbose else changes[:_MAX_SHOWN]
    for state, path in () if summary else shown:
        console.say(f"{state:<8}  {show(path)}")
    if not summary and len(shown) < len(changes):
        console.say(f"... and {len(changes) - len(shown):,} more (-v shows all)")
    console.say(
        f"{plural(len(done.created), 'file')} created, {len(done.replaced):,} replaced, {len(done.removed):,} removed"
    )
