"""`dvc-like install`."""

from __future__ import annotations

import click

from .._version import VERSION
from ..ops.install import HookOptions, Installed, install
from ..paths import show
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console

_ALL = HookOptions().hooks
_TOOL = f"""\
Add this to .pre-commit-config.yaml:

repos:
  - repo: https://github.com/dvc-like/dvc-like
    rev: v{VERSION}
    hooks:
"""


@make_command(
    "install",
    examples="""
    dvc-like install
    dvc-like install --hooks pre-commit,pre-push --verify-only
    dvc-like install --pre-commit-tool
    """,
)
@click.option("--hooks", metavar="NAMES", help=f"Only these, with commas between them, of {', '.join(_ALL)}.")
@click.option("--warn", is_flag=True, help="pre-commit warns, and lets the commit pass.")
@click.option("--verify-only", is_flag=True, help="pre-push does not push data, it only sees that it was pushed.")
@click.option("--required", is_flag=True, help="pre-push fails where dvc-like cannot be found.")
@click.option("--pre-commit-tool", is_flag=True, help="Leave hooks to the pre-commit tool: show what to configure.")
@click.option("-f", "--force", is_flag=True, help="Also into hooks that all your repositories share.")
@pass_console
def command(
    console: Console,
    hooks: str | None,
    warn: bool,
    verify_only: bool,
    required: bool,
    pre_commit_tool: bool,
    force: bool,
) -> None:
    """Install Git hooks: data follows git checkout, merge and rebase, and is pushed before the commits are.

    Hooks that are there go on working: they run first, and ours only if they succeed. `uninstall` puts back
    exactly what was there. See docs/how-to/git-hooks.md.

    Git also learns to merge datasets file by file, and to show in diffs which of their files changed: that is a line in
    .gitattributes, to be committed. See docs/how-to/merge-branches.md.
    """
    named = tuple(name.strip() for name in hooks.split(",") if name.strip()) if hooks is not None else _ALL
    options = HookOptions(() if pre_commit_tool else named, warn, verify_only, required)
    done = install(Project.find(), options, force=force)
    document(console, "install", done)
    report(console, done)
    if pre_commit_tool:
        console.say(_TOOL + "".join(f"      - id: dvc-like-{name}\n" for name in named))
        console.say("and run: pre-commit install " + " ".join(f"--hook-type {name}" for name in named))


def document(console: Console, name: str, done: Installed) -> None:
    """Print the document of `install` and `uninstall`."""
    found = [{"name": one.name, "path": one.path, "state": one.state, "chained": one.chained} for one in done.files]
    console.document(name, {"files": found, "notes": done.notes})


def report(console: Console, done: Installed) -> None:
    """Say what became of each file."""
    for one in done.files:
        also = "" if not one.chained else " (back to what it was)" if one.state == "removed" else " (after the other)"
        console.say(f"{one.state:<9}  {one.name}{also}")
        console.detail(f"           {show(one.path)}")
    for note in done.notes:
        console.say(note)
