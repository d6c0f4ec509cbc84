"""`dvc-like get`."""

from __future__ import annotations

import click

from ..ops.get import get
from ..paths import show
from .command import command as make_command
from .command import pass_console
from .console import Console
from .transfer import from_elsewhere
from .words import human_size, plural


@make_command(
    "get",
    examples="""
    dvc-like get https://github.com/example/data.git models/best.pt
    dvc-like get git@example.com:team/data.git images/train -o train --rev v2
    dvc-like get ../other-project data
    """,
)
@from_elsewhere
@click.option("-f", "--force", is_flag=True, help="Replace files that are there; other files of a folder stay.")
@pass_console
def command(
    console: Console,
    repo: str,
    path: str,
    out: str | None,
    rev: str | None,
    force: bool,
    remote: str | None,
    jobs: int | None,
) -> None:
    """Take PATH out of another repository; track nothing.

    REPO is a URL that Git understands, or a folder on this machine; PATH is a file or folder that it tracks, with
    dvc-like or with Git alone, or a part of a tracked folder. Works anywhere. Of REPO only the one commit is read,
    without its history; bytes come from its remote.
    """
    done = get(path, out, rev=rev, repo=repo, force=force, remote=remote, jobs=jobs, progress=console.progress)
    console.document(
        "get",
        {
            "path": done.path,
            "out": done.out,
            "commit": done.commit,
            "hash": done.digest,
            "size": done.size,
            "files": done.files,
        },
    )
    console.say(f"{show(done.out)}  ({plural(done.files, 'file')}, {human_size(done.size)})", style="green")
