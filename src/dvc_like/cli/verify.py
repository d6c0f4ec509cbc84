"""`dvc-like verify`."""

from __future__ import annotations

import click

from ..errors import Differences
from ..ops._tracked import Selection
from ..ops.verify import Verified, sort_words, verify
from ..paths import show
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .words import plural

_MAX_SHOWN = 50


@make_command(
    "verify",
    examples="""
    dvc-like verify
    dvc-like verify --pushed
    dvc-like verify --pushed main..HEAD
    dvc-like verify v1.0 data/images
    """,
)
@click.argument("words", nargs=-1, metavar="[REV]... [TARGET]...")
@click.option("-p", "--pushed", is_flag=True, help="Look on the remote instead of in the cache.")
@click.option("-r", "--remote", metavar="NAME", help="Look on this remote; implies --pushed.")
@click.option("-j", "--jobs", type=click.IntRange(1), metavar="N", help="Requests in flight at once.")
@click.option("-a", "--all-branches", is_flag=True, help="What the tips of all branches need.")
@click.option("-T", "--all-tags", is_flag=True, help="What all tags need.")
@click.option("-A", "--all-commits", is_flag=True, help="What any commit needs.")
@click.option("--rev", "revisions", multiple=True, metavar="REV", help="A revision or range that looks like a path.")
@pass_console
def command(
    console: Console,
    words: tuple[str, ...],
    pushed: bool,
    remote: str | None,
    jobs: int | None,
    all_branches: bool,
    all_tags: bool,
    all_commits: bool,
    revisions: tuple[str, ...],
) -> None:
    """Fail unless all that revisions (default: HEAD) need is in the cache, or with --pushed on the remote.

    A range like main..HEAD stands for all of its commits. With TARGETS only those are looked for. Exits with 10 when
    something lacks: as a job of CI, `verify --pushed` stops a change whose data nobody else can get.
    """
    project = Project.find()
    found, targets = sort_words(project, words)
    selection = Selection(targets, (*found, *revisions), all_branches, all_tags, all_commits)
    pushed = pushed or remote is not None
    done = verify(project, selection, pushed=pushed, remote=remote, jobs=jobs, progress=console.progress)
    console.document(
        "verify",
        {
            "whole": not done.lacking,
            "revisions": done.revisions,
            "targets": done.targets,
            "files": done.files,
            "remotes": done.remotes,
            "lacking": [
                {"revision": one.revision or None, "path": one.path, "listing": one.listing} for one in done.lacking
            ],
        },
    )
    _report(console, done, pushed=pushed)


def _report(console: Console, done: Verified, *, pushed: bool) -> None:
    where = f"on remote {' or '.join(map(show, done.remotes))}" if pushed else "in the cache"
    if not done.lacking:
        needs = "needs" if done.revisions == 1 else "need"
        what = f"{plural(done.revisions, 'revision')} {needs}"
        console.say(f"All that {what} is {where}." if done.targets else f"Nothing is tracked that {what}.")
        return
    shown = done.lacking if console.verbose else done.lacking[:_MAX_SHOWN]
    for one in shown:
        name = f"{show(one.path)}/  (its listing)" if one.listing else show(one.path)
        console.say(f"{show(one.revision) or '(in no commit)'}  {name}")
    if len(shown) < len(done.lacking):
        console.say(f"... and {len(done.lacking) - len(shown):,} more (-v shows all)")
    names = list(dict.fromkeys(one.revision for one in done.lacking if one.revision != "HEAD"))
    flags = " --all-commits" if len(names) > 3 or "" in names else "".join(f" --rev {show(name)}" for name in names)
    are = "path that is needed is" if len(done.lacking) == 1 else "paths that are needed are"
    hint = f"Where the data is, `dvc-like push{flags}` sends it." if pushed else f"`dvc-like fetch{flags}` brings it."
    raise Differences(f"{len(done.lacking):,} {are} not {where}", hint=hint)
