"""`dvc-like import`."""

from __future__ import annotations

from ..ops.import_ import Imported, import_
from ..paths import show
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .transfer import from_elsewhere
from .words import git_hint, human_size, plural


@make_command(
    "import",
    examples="""
    dvc-like import https://github.com/example/data.git images/train
    dvc-like import git@example.com:team/data.git models/best.pt -o models/ --rev v2
    dvc-like import ../other-project data
    """,
)
@from_elsewhere
@pass_console
def command(
    console: Console, repo: str, path: str, out: str | None, rev: str | None, remote: str | None, jobs: int | None
) -> None:
    """Track PATH of another repository here, and record where it came from.

    REPO is a URL that Git understands, or a folder on this machine; PATH is a file or folder that it tracks, with
    dvc-like or with Git alone, or a part of a tracked folder. The data is then tracked like any other, and pushed to
    your own remote; `dvc-like update` brings what the source has later.
    """
    project = Project.find()
    done = import_(project, repo, path, out, rev=rev, remote=remote, jobs=jobs, progress=console.progress)
    report(console, project, "import", done)


def report(console: Console, project: Project, verb: str, done: Imported) -> None:
    """Say what was imported, and what comes next."""
    target = done.target
    meta = target.meta
    console.document(
        verb,
        {
            "path": target.path,
            "meta": target.meta_path,
            "hash": meta.digest,
            "size": meta.size,
            "files": meta.files,
            "source": dict(meta.extra)["source"],
        },
    )
    what = f"{plural(meta.file_count, 'file')}, {human_size(meta.size)}"
    console.say(f"imported  {show(target.path)}  ({what})", style="green")
    if hint := git_hint(project, done.pointers):
        console.say(hint)
