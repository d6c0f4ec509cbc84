"""What `fetch`, `pull` and `push` share: their options, and the selection those make."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from ..ops._tracked import Selection

_OPTIONS = (
    click.argument("targets", nargs=-1),
    click.option("-r", "--remote", metavar="NAME", help="The remote to use instead of the default."),
    click.option("-j", "--jobs", type=click.IntRange(1), metavar="N", help="Requests in flight at once."),
    click.option("-a", "--all-branches", is_flag=True, help="Also what the tips of all branches need."),
    click.option("-T", "--all-tags", is_flag=True, help="Also what all tags need."),
    click.option("-A", "--all-commits", is_flag=True, help="Also what any commit needs."),
    click.option("--rev", "revisions", multiple=True, metavar="REV", help="Also what this revision needs."),
    click.option("-R", "--recursive", is_flag=True, help="Accepted for DVC's users: folders are always searched."),
)


def transfer_options(function: Callable[..., None]) -> Callable[..., None]:
    """Add which remote, how many requests and which revisions; the function gets `wanted`, `remote` and `jobs`."""

    @wraps(function)
    def with_selection(
        *arguments: Any,
        targets: tuple[str, ...],
        revisions: tuple[str, ...],
        all_branches: bool,
        all_tags: bool,
        all_commits: bool,
        recursive: bool,
        **options: Any,
    ) -> None:
        del recursive
        wanted = Selection(targets, revisions, all_branches, all_tags, all_commits)
        function(*arguments, wanted=wanted, **options)

    made: Callable[..., None] = with_selection
    for option in reversed(_OPTIONS):
        made = option(made)
    return made
