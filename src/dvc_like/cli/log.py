"""`dvc-like log`."""

from __future__ import annotations

import click

from ..errors import DvcLikeError, gathered
from ..ops.log import Event, log
from ..paths import show
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console
from .words import KINDS, human_size

_COLOURS = {"modified": "yellow", "added": "green", "deleted": "red", "renamed": "cyan"}


@make_command(
    "log",
    examples="""
    dvc-like log data/frames
    dvc-like log data/frames/001.png -n 5
    dvc-like log --rev v1 --json model.pt
    """,
)
@click.argument("path")
@click.option("-n", "--max-count", type=click.IntRange(1), metavar="N", help="Only the newest N changes.")
@click.option("--rev", metavar="REV", help="History up to this revision instead of HEAD.")
@pass_console
def command(console: Console, path: str, max_count: int | None, rev: str | None) -> None:
    """Show what became of PATH, commit by commit: a target, or a file or folder inside one.

    A path is added, modified, deleted, or renamed: then the same content was at another path before, which is
    followed. What is not committed is not shown; see `dvc-like status`.
    """
    wrong: list[DvcLikeError] = []
    found = log(Project.find(), path, rev, limit=max_count, failures=wrong, progress=console.progress)
    if found or not wrong:
        console.document("log", {"events": [_as_json(one) for one in found]})
    sizes = [human_size(one.entry.data_size) if one.entry is not None else "" for one in found]
    width = max(map(len, sizes), default=0)
    for one, size in zip(found, sizes, strict=True):
        line = f"{one.commit[:10]}  {one.date[:10]}  {one.state:<8}  {size:>{width}}"
        console.say(f"{line}  {show(one.author)}: {show(one.subject)}", style=_COLOURS.get(one.state, ""))
        if one.old_path is not None:
            console.say(f"            {show(one.old_path)} -> {show(one.path)}")
        if one.same_as:
            console.say(f"            the same content as in {one.same_as[:10]}")
    if found and found[-1].state == "present":
        console.say("History is cut off here (a shallow clone): git fetch --unshallow")
    if not found and not wrong:
        console.say("It is in no commit yet.")
    if wrong:
        raise gathered(wrong)


def _as_json(one: Event) -> dict[str, object]:
    entry = one.entry
    return {
        "commit": one.commit,
        "author": one.author,
        "email": one.email,
        "date": one.date,
        "subject": one.subject,
        "state": one.state,
        "path": one.path,
        "old_path": one.old_path,
        "same_as": one.same_as or None,
        "kind": KINDS[entry.kind] if entry is not None else None,
        "hash": entry.value if entry is not None and entry.kind != "l" else None,
        "size": entry.size if entry is not None else None,
        "files": entry.files if entry is not None else None,
    }
