"""What verbs over targets share: patterns and profiles; the options of `fetch`, `pull` and `push`, and of `get`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from ..ops._tracked import Selection

_CHOICE = (
    click.option(
        "--glob", is_flag=True, help="TARGETS are patterns over all that is tracked; ** reaches into folders."
    ),
    click.option(
        "--profile", default="", metavar="NAME", help="Leave out what this profile does not ask for and is not here."
    ),
)
_OPTIONS = (
    click.argument("targets", nargs=-1),
    *_CHOICE,
    click.option("-r", "--remote", metavar="NAME", help="The remote to use instead of the default."),
    click.option("-j", "--jobs", type=click.IntRange(1), metavar="N", help="Requests in flight at once."),
    click.option("-a", "--all-branches", is_flag=True, help="Also what the tips of all branches need."),
    click.option("-T", "--all-tags", is_flag=True, help="Also what all tags need."),
    click.option("-A", "--all-commits", is_flag=True, help="Also what any commit needs."),
    click.option("--rev", "revisions", multiple=True, metavar="REV", help="Also what this revision needs."),
    click.option("-R", "--recursive", is_flag=True, help="Accepted for DVC's users: folders are always searched."),
)


_FROM_ELSEWHERE = (
    click.argument("repo"),
    click.argument("path"),
    click.option("-o", "--out", metavar="OUT", help="Where to put it; into it, where that is a folder."),
    click.option("--rev", metavar="REV", help="A branch, tag or commit of REPO, instead of its default branch."),
    click.option("-r", "--remote", metavar="NAME", help="The remote of REPO to use instead of its default."),
    click.option("-j", "--jobs", type=click.IntRange(1), metavar="N", help="Requests in flight at once."),
)


def may_ask() -> None:
    """Let Git ask for a password where somebody can answer, and only there."""
    os.environ.setdefault("GIT_TERMINAL_PROMPT", "1" if sys.stdin and sys.stdin.isatty() else "0")


def from_elsewhere(function: Any) -> Any:
    """Add what of which repository is meant: `repo`, `path`, `out`, `rev`, `remote` and `jobs`."""

    @wraps(function)
    def asking(*arguments: Any, **options: Any) -> None:
        may_ask()
        function(*arguments, **options)

    found: Any = asking
    for option in reversed(_FROM_ELSEWHERE):
        found = option(found)
    return found


def choice_options(function: Any) -> Any:
    """Add patterns and profiles; the function gets `glob` and `profile`."""
    found = function
    for option in reversed(_CHOICE):
        found = option(found)
    return found


def transfer_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add which remote, how many requests and which revisions; the function gets `wanted`, `remote` and `jobs`."""

    @wraps(function)
    def with_selection(
        *arguments: Any,
        targets: tuple[str, ...],
        glob: bool,
        profile: str,
        revisions: tuple[str, ...],
        all_branches: bool,
        all_tags: bool,
        all_commits: bool,
        recursive: bool,
        **options: Any,
    ) -> None:
        del recursive
        wanted = Selection(targets, revisions, all_branches, all_tags, all_commits, glob, profile)
        function(*arguments, wanted=wanted, **options)

    made: Callable[..., None] = with_selection
    for option in reversed(_OPTIONS):
        made = option(made)
    return made
