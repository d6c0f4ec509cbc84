"""`dvc-like fetch`."""

from __future__ import annotations

from ..ops._tracked import Selection
from ..ops.fetch import Fetched, fetch
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .transfer import transfer_options
from .words import human_size, plural


@make_command(
    "fetch",
    examples="""
    dvc-like fetch
    dvc-like fetch data/images -r storage
    dvc-like fetch --all-tags
    """,
)
@transfer_options
@pass_console
def command(
    console: Console,
    wanted: Selection,
    remote: str | None,
    jobs: int | None,
) -> None:
    """Bring what TARGETS (default: all) need from a remote into the cache. The workspace is not touched."""
    done = fetch(Project.find(), wanted, remote=remote, jobs=jobs, progress=console.progress)
    console.document("fetch", as_json(done))
    report(console, done)


def as_json(done: Fetched) -> dict[str, object]:
    """Return a fetch's result for `--json`."""
    return {"fetched": done.objects, "size": done.size, "present": done.present}


def report(console: Console, done: Fetched) -> None:
    """Say what came."""
    if done.objects:
        console.say(f"{plural(done.objects, 'file')} fetched, {human_size(done.size)}")
    else:
        console.say("Everything is in the cache." if done.present else "There is nothing to fetch.")
