"""`dvc-like migrate`."""

from __future__ import annotations

import click

from ..errors import PartialFailure
from ..ops.migrate import SOURCES, Migration, migrate
from ..paths import show
from .command import command as make_command
from .command import pass_console
from .console import Console
from .words import human_size, plural, typing_from_here


@make_command(
    "migrate",
    examples="""
    dvc-like migrate --dry-run
    dvc-like migrate
    dvc-like migrate --from lfs
    """,
)
@click.option("-n", "--dry-run", is_flag=True, help="Only say what would become of what.")
@click.option("--from", "source", type=click.Choice(SOURCES), help="Which tool's data; default: what is there.")
@pass_console
def command(console: Console, dry_run: bool, source: str | None) -> None:
    """Take over what DVC or Git LFS tracks in this repository, where it lies.

    Every .dvc file and LFS pointer becomes a meta file. Objects are linked into the cache, not copied; a remote of DVC
    in a folder or on S3 is used as it is, and nothing is uploaded again. What DVC and LFS stored stays untouched.
    The change is staged and not committed. Run it on each branch that shall be migrated.
    """
    done = migrate(source=source, dry_run=dry_run, progress=console.progress)
    console.document("migrate", _document(done))
    _report(console, done)
    if done.left and not dry_run:
        raise PartialFailure(
            f"{plural(len(done.left), 'path')} could not be migrated and stay as they were",
            hint="Mend what is named above, and run it again: it goes on where it stopped.",
        )


def _document(done: Migration) -> dict[str, object]:
    return {
        "root": done.root,
        "dry_run": done.dry_run,
        "targets": [
            {
                "path": one.path,
                "meta": f"{one.path}.meta",
                "from": one.source,
                "origin": one.origin,
                "hash": one.meta.digest,
                "size": one.meta.size,
                "files": one.meta.files,
            }
            for one in done.targets
        ],
        "left": [one._asdict() for one in done.left],
        "settings": list(done.settings),
        "notes": list(done.notes),
        "objects": {"files": done.files, "size": done.size, "copied": done.copied},
        "commit": done.commit,
    }


def _report(console: Console, done: Migration) -> None:
    verb = "would become" if done.dry_run else "became"
    for one in done.targets:
        console.say(f"{show(one.origin)}  {verb}  {show(one.path)}.meta")
    for left in done.left:
        console.say(f"left  {show(left.path)}: {show(left.reason)}" + (f"\n      {left.hint}" if left.hint else ""))
    for note in done.notes:
        console.say(f"note  {show(note)}")
    if done.settings:
        console.say(f"{'would set' if done.dry_run else 'set'}  {', '.join(map(show, done.settings))}")
    copied = f", {human_size(done.copied)} copied" if done.copied else ", none copied" if not done.dry_run else ""
    console.say(f"{plural(len(done.targets), 'target')}, {plural(done.files, 'file')}, {human_size(done.size)}{copied}")
    if done.dry_run or not done.targets:
        return
    if done.commit is not None:
        console.say('Next: git commit -m "move to dvc-like"')
    if any(name.startswith("remote.") for name in done.settings):
        console.say("Then: dvc-like push, which uploads the lists of folders, and of the data what DVC had not pushed")
    if done.commit is not None:
        top = typing_from_here(done.root)(".")
        git = "git" if top == "." else f"git -C {top}"  # the path that follows is one of the current folder
        back = f"{git} checkout --no-overlay HEAD -- ."
        console.say(f"Back: {back} before the commit, after it git checkout {done.commit[:10]}")
