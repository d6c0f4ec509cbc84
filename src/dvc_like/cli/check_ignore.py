"""`dvc-like check-ignore`."""

from __future__ import annotations

import sys

import click

from ..errors import UsageError
from ..ops.check_ignore import PathChecked, check_ignore
from ..paths import show
from ..project import Project
from .command import command as make_command
from .command import pass_console
from .console import Console


@make_command(
    "check-ignore",
    examples="""
    dvc-like check-ignore data/frames/notes.tmp
    dvc-like check-ignore --details --non-matching data/*
    find data -type f | dvc-like check-ignore --stdin
    """,
)
@click.argument("targets", nargs=-1)
@click.option("-d", "--details", is_flag=True, help="Also name the rule: file, line and pattern; -v does the same.")
@click.option("-n", "--non-matching", is_flag=True, help="With --details: list also what no rule concerns.")
@click.option("--stdin", is_flag=True, help="Read the paths from standard input, one a line.")
@pass_console
@click.pass_context
def command(
    context: click.Context, console: Console, targets: tuple[str, ...], details: bool, non_matching: bool, stdin: bool
) -> None:
    """Show which of TARGETS the rules of .dvc-likeignore leave out, and why.

    The rules are those of .gitignore; any folder may hold a .dvc-likeignore. They concern what is not recorded yet:
    what a dataset has already stays in it, until `add --force` makes it what is here. Exits with 0 when a path is
    ignored, with 1 when none is.
    """
    details = details or console.verbose
    if stdin and targets:
        raise UsageError("paths are given both as arguments and with --stdin", hint="Use one of them.")
    if stdin:
        targets = tuple(line for line in sys.stdin.read().split("\n") if line)
    elif not targets:
        raise UsageError("no path is named", hint="Name some, or give --stdin.")
    if non_matching and not details:
        raise UsageError("--non-matching goes with --details")
    found = check_ignore(Project.find(), targets)
    console.document("check-ignore", {"paths": [_as_json(one) for one in found]})
    for one in found:
        if details and (one.rule is not None or non_matching):
            rule = one.rule
            source = f"{show(rule.source)}:{rule.line}:{show(rule.text)}" if rule is not None else "::"
            console.say(f"{source}\t{show(one.typed)}")
        elif not details and one.ignored:
            console.say(show(one.typed))
    if not any(one.ignored for one in found):
        context.exit(1)


def _as_json(one: PathChecked) -> dict[str, object]:
    return {
        "path": one.path,
        "ignored": one.ignored,
        "source": one.rule.source if one.rule is not None else None,
        "line": one.rule.line if one.rule is not None else None,
        "pattern": one.rule.text if one.rule is not None else None,
    }
