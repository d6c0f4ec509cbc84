"""`dvc-like import-url`."""

from __future__ import annotations

import click

from ..ops.import_url import import_url
from ..paths import show
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .words import git_hint, human_size, plural, typing_from_here


@make_command(
    "import-url",
    examples="""
    dvc-like import-url https://example.com/data/x.csv
    dvc-like import-url s3://bucket/images/ data/images
    dvc-like import-url https://example.com/huge.tar --to-remote
    """,
)
@click.argument("url")
@click.argument("out", required=False)
@click.option("--to-remote", is_flag=True, help="Send the bytes to a remote, and never all of them to this machine.")
@click.option("-r", "--remote", metavar="NAME", help="With --to-remote: the remote to use instead of the default.")
@click.option("-f", "--force", is_flag=True, help="Replace what is at OUT, also what was never saved.")
@click.option("-j", "--jobs", type=click.IntRange(1), metavar="N", help="Requests in flight at once.")
@pass_console
def command(
    console: Console, url: str, out: str | None, to_remote: bool, remote: str | None, force: bool, jobs: int | None
) -> None:
    """Track a file or folder that lies at URL, and remember where it came from.

    URL is http(s)://, s3://, a path, or any URL that fsspec knows where that is installed. OUT is where it shall be
    here; without it, it is called what it is called there. `dvc-like update` looks later whether it changed.
    """
    project = Project.find()
    options = {"to_remote": to_remote, "remote": remote, "force": force, "jobs": jobs}
    done = import_url(project, url, out, progress=console.progress, **options)  # type: ignore[arg-type]
    target, meta = done.target, done.target.meta
    console.document(
        "import-url",
        {
            "path": target.path,
            "meta": target.meta_path,
            "state": done.state,
            "url": done.source.url,
            "hash": meta.digest,
            "size": meta.size,
            "files": meta.files,
            "moved": done.moved,
            "to_remote": to_remote,
        },
    )
    files = f"{plural(meta.file_count, 'file')}, " if meta.is_folder else ""
    console.say(f"{done.state:<9}  {show(target.path)}  ({files}{human_size(meta.size)})", style="green")
    if to_remote:
        pull = f"dvc-like pull {typing_from_here(project.root)(target.path)}"
        console.say(f"It is on the remote only: {pull} brings it here.")
    folder = target.path.rpartition("/")[0]
    if hint := git_hint(project, [target.meta_path, f"{folder}/.gitignore" if folder else ".gitignore"]):
        console.say(hint)
