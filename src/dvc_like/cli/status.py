"""`dvc-like status`."""

from __future__ import annotations

import click

from ..errors import DataMissing, Differences, DvcLikeError, gathered
from ..ops.status import Change, TargetStatus, status
from ..paths import show
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .transfer import choice_options
from .words import plural

_MAX_SHOWN = 20
_COLOURS = {"modified": "yellow", "retyped": "yellow", "renamed": "green", "added": "green", "deleted": "red"}


@make_command(
    "status",
    examples="""
    dvc-like status
    dvc-like status data/ --json
    dvc-like status --exit-code
    dvc-like status --cloud
    dvc-like status --glob "data/**/*.jpg"
    """,
)
@click.argument("targets", nargs=-1)
@choice_options
@click.option("-c", "--cloud", is_flag=True, help="Also show what is not on the remote.")
@click.option("-r", "--remote", metavar="NAME", help="Compare with this remote; implies --cloud.")
@click.option("--exit-code", is_flag=True, help="Exit with 10 when anything differs.")
@click.option("-R", "--recursive", is_flag=True, help="Accepted for DVC's users: folders are always searched.")
@pass_console
def command(
    console: Console,
    targets: tuple[str, ...],
    glob: bool,
    profile: str,
    cloud: bool,
    remote: str | None,
    exit_code: bool,
    recursive: bool,
) -> None:
    """Show what differs between the workspace and what the meta files record.

    Files are modified, added, deleted, renamed (found by their content), retyped (a link where a file is recorded,
    say), or absent: recorded, but never checked out here. Of files that are as recorded it names those that the cache
    is known to lack, as uncached; with --cloud those that the remote lacks, as unsent. With -v it also lists the
    targets that are unchanged.
    """
    del recursive
    wrong: list[DvcLikeError] = []
    found = status(
        Project.find(),
        targets,
        glob=glob,
        profile=profile,
        cloud=cloud,
        remote=remote,
        failures=wrong,
        progress=console.progress,
    )
    if found or not wrong:
        console.document("status", {"targets": [_as_json(one) for one in found]})
    different = [one for one in found if one.differs]
    for one in found if console.verbose else different:
        _print(console, one)
    _summary(console, found, different, sound=not wrong)
    if wrong:
        raise gathered(wrong)
    if exit_code and different:
        verb = "differs" if len(different) == 1 else "differ"
        raise Differences(f"{plural(len(different), 'target')} {verb} from what is recorded")


def _as_json(one: TargetStatus) -> dict[str, object]:
    return {
        "path": one.target.path,
        "state": one.state,
        "cached": one.cached,
        "hash": one.target.meta.digest,
        "size": one.target.meta.size,
        "files": one.target.meta.files,
        "changes": [
            {"path": c.path, "state": c.state, "files": c.files, "source": c.source, "cached": c.cached}
            for c in one.changes
        ],
        "not_cached": list(one.uncached),
        "remote": one.remote.remote if one.remote is not None else None,
        "on_remote": one.remote.whole if one.remote is not None else None,
        "not_on_remote": list(one.remote.missing) if one.remote is not None else [],
    }


def _is_away(one: TargetStatus) -> bool:
    """Tell whether a remote was asked, and lacks something of a target."""
    return one.remote is not None and not one.remote.whole


def _away_note(one: TargetStatus) -> str:
    if one.remote is None or one.remote.whole:
        return ""
    files = len(one.remote.missing)
    return f"  ({plural(files, 'file') if files else 'its listing'} not on remote {show(one.remote.remote)})"


def _print(console: Console, one: TargetStatus) -> None:
    name = show(one.target.path) + ("/" if one.target.meta.is_folder else "")
    if one.problem is not None:
        console.say(f"{name}  {one.problem.message}", style="red")
        return
    note = ("" if one.cached else "  (not in the cache)") + _away_note(one)
    lines = [*map(_change_line, one.changes)]
    if one.state in ("absent", "deleted"):
        console.say(f"{one.state:<8}  {name}{note}", style=_COLOURS.get(one.state, "cyan"))
        lines = []
    elif one.state == "partial" and not console.verbose:
        away = sum(change.files for change in one.changes)
        console.say(f"partial   {name}  {away:,} of {plural(one.target.meta.file_count, 'file')} not checked out{note}")
        lines = []
    elif one.changes:
        console.say(f"{name}{note}")
    else:
        console.say(f"unchanged {name}{note}")
    lines += [(f"  uncached  {show(path)}", "cyan") for path in one.uncached]
    unsent = one.remote.missing if one.remote is not None else ()
    lines += [(f"  unsent    {show(path)}", "cyan") for path in sorted(unsent) if path != one.target.path]
    shown = lines if console.verbose else lines[:_MAX_SHOWN]
    for line, style in shown:
        console.say(line, style=style)
    if len(shown) < len(lines):
        console.say(f"  ... and {len(lines) - len(shown):,} more (-v shows all)")


def _change_line(change: Change) -> tuple[str, str]:
    path = show(change.path) if change.source is None else f"{show(change.source)} -> {show(change.path)}"
    notes = [plural(change.files, "file")] if change.files > 1 else []
    notes += [] if change.cached else ["not in the cache"]
    more = f"  ({', '.join(notes)})" if notes else ""
    return f"  {change.state:<8}  {path}{more}", _COLOURS.get(change.state, "cyan")


def _summary(console: Console, found: list[TargetStatus], different: list[TargetStatus], *, sound: bool) -> None:
    """Say what comes next: one line for each kind of difference."""
    if not found and sound:
        console.say("Nothing is tracked yet. Begin with: dvc-like add DATA")
    elif not different and sound:
        console.say(f"Everything is as recorded ({plural(len(found), 'target')}).")
    states = {one.state for one in found}
    if "changed" in states:
        console.say("To record this: dvc-like add TARGET")
        console.say("To go back to what is recorded: dvc-like checkout TARGET")
    if any(_is_away(one) for one in found):
        console.say("To send what is not on the remote: dvc-like push")
    if any(_is_uncached(one) for one in found):
        console.say("To bring what is not here: dvc-like pull")
    if any(one.state in ("absent", "partial", "deleted") and not _is_uncached(one) for one in found):
        console.say("To bring back what is not here: dvc-like checkout")


def _is_uncached(one: TargetStatus) -> bool:
    """Tell whether the cache lacks something of a target that has to come from a remote."""
    if one.problem is not None:
        return isinstance(one.problem, DataMissing)
    return not one.cached or bool(one.uncached) or any(not change.cached for change in one.changes)
