"""`dvc-like push`."""

from __future__ import annotations

from ..ops._tracked import Selection
from ..ops.push import push
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .transfer import transfer_options
from .words import human_size, plural


@make_command(
    "push",
    examples="""
    dvc-like push
    dvc-like push data/train -r backup
    dvc-like push --all-commits
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
    """Send what TARGETS (default: all) need, and the remote lacks, from the cache to a remote.

    An object that is damaged on the remote is sent again where that can be seen.
    """
    done = push(Project.find(), wanted, remote=remote, jobs=jobs, progress=console.progress)
    console.document(
        "push",
        {
            "sent": done.objects,
            "size": done.size,
            "present": done.present,
            "healed": done.healed,
            "partial": done.partial,
        },
    )
    if done.objects:
        healed = f", {done.healed:,} of them mended" if done.healed else ""
        console.say(f"{plural(done.objects, 'object')} sent, {human_size(done.size)}{healed}")
    else:
        console.say("Everything is on the remote." if done.present else "There is nothing to send.")
    for target in done.partial:
        console.say(
            f"Of {target} only a part is there, so nobody can pull it yet: dvc-like push {target} sends the rest."
        )
