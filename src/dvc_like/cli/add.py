"""`dvc-like add`."""

from __future__ import annotations

import click

from ..ops.add import Added, add
from ..paths import show
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .words import git_hint, human_size, plural


@make_command(
    "add",
    examples="""
    dvc-like add data/
    dvc-like add model.pt images/cat.jpg
    dvc-like add --glob "raw/**/*.csv"
    """,
)
@click.argument("targets", nargs=-1, required=True)
@click.option("--glob", is_flag=True, help="TARGETS are patterns; ** reaches into folders.")
@click.option("-f", "--force", is_flag=True, help="Store everything again; a folder becomes what is here, not ignored.")
@pass_console
def command(console: Console, targets: tuple[str, ...], glob: bool, force: bool) -> None:
    """Track files and folders, or record their present state.

    Copies the bytes of TARGETS into the cache and writes TARGET.meta, which Git tracks; the data itself is put
    into .gitignore. A path inside a tracked folder updates only that path.
    """
    project = Project.find()
    report(console, project, "add", add(project, targets, glob=glob, force=force, progress=console.progress))


def report(console: Console, project: Project, verb: str, added: list[Added]) -> None:
    """Say what `add` or `commit` did, and what comes next."""
    console.document(
        verb,
        {
            "targets": [
                {
                    "path": done.target.path,
                    "meta": done.target.meta_path,
                    "state": done.state,
                    "hash": done.target.meta.digest,
                    "size": done.target.meta.size,
                    "files": done.target.meta.files,
                    "stored": done.stored,
                }
                for done in added
            ]
        },
    )
    changed = []
    for done in added:
        meta = done.target.meta
        what = (
            f"{plural(meta.file_count, 'file')}, {human_size(meta.size)}" if meta.is_folder else human_size(meta.size)
        )
        if done.state == "unchanged":
            console.say(f"unchanged  {show(done.target.path)}")
        else:
            console.say(f"{done.state:<9}  {show(done.target.path)}  ({what})", style="green")
            changed.append(done.target)
    files = []
    for target in changed:
        folder = target.path.rpartition("/")[0]
        files += [target.meta_path, f"{folder}/.gitignore" if folder else ".gitignore"]
    if hint := git_hint(project, files):
        console.say(hint)
