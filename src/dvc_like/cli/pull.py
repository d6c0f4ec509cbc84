"""`dvc-like pull`."""

from __future__ import annotations

import click

from ..ops._tracked import Selection
from ..ops.pull import pull
from ..project import Project
from . import checkout, fetch
from .command import command as make_command
from .command import pass_console
from .console import Console
from .transfer import transfer_options


@make_command(
    "pull",
    examples="""
    dvc-like pull
    dvc-like pull data/train -r storage -j 16
    dvc-like pull data/images/cat.jpg
    dvc-like pull --glob "data/**/*.jpg"
    dvc-like pull --profile ci
    """,
)
@transfer_options
@click.option("-f", "--force", is_flag=True, help="Overwrite unsaved changes.")
@click.option("--allow-missing", is_flag=True, help="Be content with what the remote has.")
@pass_console
def command(
    console: Console,
    wanted: Selection,
    remote: str | None,
    jobs: int | None,
    force: bool,
    allow_missing: bool,
) -> None:
    """Bring TARGETS (default: all) from a remote into the cache and the workspace.

    A path inside a tracked folder brings only that path; the rest stays recorded.
    """
    done = pull(
        Project.find(),
        wanted,
        remote=remote,
        jobs=jobs,
        force=force,
        allow_missing=allow_missing,
        progress=console.progress,
    )
    console.document("pull", {**fetch.as_json(done.fetched), **checkout.as_json(done.checkout)})
    fetch.report(console, done.fetched)
    checkout.report(console, done.checkout)
