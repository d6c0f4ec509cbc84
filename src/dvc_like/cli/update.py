"""`dvc-like update`."""

from __future__ import annotations

import click

from ..errors import DvcLikeError, gathered
from ..ops._sources import RepoSource, Source
from ..ops.update import Updated, update
from ..paths import show
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .transfer import may_ask
from .words import git_hint, human_size, plural


@make_command(
    "update",
    examples="""
    dvc-like update
    dvc-like update models/best.pt --rev v3
    dvc-like update --dry-run
    """,
)
@click.argument("targets", nargs=-1)
@click.option("--rev", metavar="REV", help="Move to this branch, tag or commit of the source.")
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("-f", "--force", is_flag=True, help="Give up unsaved data, and what was recorded here since the import.")
@click.option("--to-remote", is_flag=True, help="What comes from a URL goes to a remote, and no version stays here.")
@click.option("-r", "--remote", metavar="NAME", help="The source repository's remote, or the one for --to-remote.")
@click.option("-j", "--jobs", type=click.IntRange(1), metavar="N", help="Requests in flight at once.")
@click.option("-R", "--recursive", is_flag=True, help="Accepted for DVC's users: folders are always searched.")
@pass_console
def command(
    console: Console,
    targets: tuple[str, ...],
    rev: str | None,
    dry_run: bool,
    force: bool,
    to_remote: bool,
    remote: str | None,
    jobs: int | None,
    recursive: bool,
) -> None:
    """Bring imported TARGETS (default: all) to what their source is now.

    A branch or tag is looked up again; what was imported at a commit stays until --rev names another. Data that is not
    safe in the cache is not replaced, and the command ends with 5 then.
    """
    del recursive
    may_ask()
    project = Project.find()
    wrong: list[DvcLikeError] = []
    done = update(
        project,
        targets,
        rev=rev,
        dry_run=dry_run,
        force=force,
        to_remote=to_remote,
        remote=remote,
        jobs=jobs,
        failures=wrong,
        progress=console.progress,
    )
    if done or not wrong:
        _report(console, project, done, dry_run=dry_run)
    if wrong:
        raise gathered(wrong)
    if all(one.state == "unchanged" for one in done):
        which = "The imports named are" if targets else "All imports are"
        console.say(f"{which} up to date." if done else "Nothing is imported here.")


def _report(console: Console, project: Project, done: list[Updated], *, dry_run: bool) -> None:
    console.document("update", {"dry_run": dry_run, "targets": [_as_json(one) for one in done]})
    for one in done:
        if one.state != "unchanged" or console.verbose:
            console.say(_line(one), style="green" if one.state == "updated" else "")
    changed = [one.new for one in done if one.state != "unchanged"]
    if not dry_run and (hint := git_hint(project, [one.meta_path for one in changed])):
        console.say(hint)


def _as_json(one: Updated) -> dict[str, object]:
    old, new = one.old.meta, one.new.meta
    return {
        "path": one.new.path,
        "state": one.state,
        "old": {"hash": old.digest, "size": old.size, "files": old.files, "source": dict(old.extra)["source"]},
        "new": {"hash": new.digest, "size": new.size, "files": new.files, "source": dict(new.extra)["source"]},
    }


def _line(one: Updated) -> str:
    old, new = one.old.meta, one.new.meta
    sizes = [f"{plural(meta.file_count, 'file')}, {human_size(meta.size)}" for meta in (old, new)]
    data = f"({sizes[0]} -> {sizes[1]})" if one.state == "updated" and sizes[0] != sizes[1] else f"({sizes[1]})"
    return f"{one.state:<9}  {show(one.new.path)}  {_version(one.old_source)} -> {_version(one.new_source)}  {data}"


def _version(source: Source) -> str:
    if isinstance(source, RepoSource):
        return f"{f'{show(source.rev)} ' if source.rev else ''}{source.commit[:10]}"
    return show(source.version or source.etag or source.mtime or "?")
